//! One binding as its reader sees it.

use trunkline_sip::Flow;

/// Milliseconds since the Unix epoch.
pub type Timestamp = u64;

/// Names a binding: never used twice in one database, stable over refreshes and restarts. Bindings made
/// later have greater numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BindingId(pub u64);

/// A binding (RFC 3261 §10), borrowed while the location service's shard is locked: copy what is needed
/// and leave.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// Its number.
    pub id: BindingId,
    /// The contact URI as registered, without angle brackets.
    pub uri: &'a [u8],
    /// Preference in thousandths, 0 to 1000.
    pub q: u16,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was last registered or refreshed.
    pub registered_at: Timestamp,
    /// The way the REGISTER came.
    pub flow: Flow,
    /// The registrant, see [`crate::Register::registrant`]; 0 if unknown.
    pub registrant: u32,
    /// Reach it by its flow, not by its URI: it is behind a NAT, or on a connection we cannot open.
    pub behind_nat: bool,
    /// Is it shown that the REGISTER came from there: by a digest, by its connection, or by the operator's word?
    pub shown: bool,
    /// Has the registrant shown who it is? Where nobody is asked, anybody may have registered, from any address.
    pub proven: bool,
    /// Which secret it has shown, see [`crate::Register::proof`]; 0 for none.
    pub proof: u32,
    /// The Path header values (RFC 3327), joined by commas; empty for none.
    pub path: &'a [u8],
    /// `+sip.instance` (RFC 5626), as it stood between the quotes; empty for none.
    pub instance: &'a [u8],
    /// `reg-id` (RFC 5626); 0 for none.
    pub reg_id: u32,
    /// Call-ID of the REGISTER.
    pub call_id: &'a [u8],
    /// CSeq of the REGISTER.
    pub cseq: u32,
    /// User-Agent of the REGISTER.
    pub user_agent: &'a [u8],
    /// Further contact parameters, to be listed in the 200, from the first semicolon on; empty for none.
    pub params: &'a [u8],
    /// Labels for selection, `key=value` joined by semicolons; empty for none.
    pub labels: &'a [u8],
}

impl Binding<'_> {
    /// Seconds left, rounded up: what the `expires` parameter of the 200 says.
    pub fn expires_in(&self, now: Timestamp) -> u32 {
        u32::try_from(self.expires_at.saturating_sub(now).div_ceil(1000)).unwrap_or(u32::MAX)
    }

    /// Does it carry this label?
    pub fn has_label(&self, key: &[u8], value: &[u8]) -> bool {
        self.labels.split(|b| *b == b';').any(|pair| {
            pair.strip_prefix(key).and_then(|rest| rest.strip_prefix(b"=")).is_some_and(|v| v == value)
        })
    }
}
