//! What a REGISTER asks of an AOR's bindings.

use trunkline_sip::Flow;

/// One Contact of a REGISTER.
#[derive(Clone, Copy, Debug)]
pub struct ContactChange<'a> {
    /// The URI, without angle brackets.
    pub uri: &'a [u8],
    /// Seconds granted; 0 removes the binding.
    pub expires: u32,
    /// Preference in thousandths, 0 to 1000.
    pub q: u16,
    /// `+sip.instance`, without quotes; empty for none.
    pub instance: &'a [u8],
    /// `reg-id`; 0 for none.
    pub reg_id: u32,
    /// Further parameters to be kept and listed, from the first semicolon on; empty for none.
    pub params: &'a [u8],
    /// It is reached by the flow that the REGISTER came by, not where it points.
    pub behind_nat: bool,
}

impl<'a> ContactChange<'a> {
    /// A contact with q 1.0 and nothing else.
    pub fn new(uri: &'a [u8], expires: u32) -> ContactChange<'a> {
        ContactChange { uri, expires, q: 1000, instance: b"", reg_id: 0, params: b"", behind_nat: false }
    }
}

/// What the Contact header fields say.
#[derive(Clone, Copy, Debug)]
pub enum Contacts<'a> {
    /// Bindings to add, refresh or remove; none at all only asks for the list.
    Changes(&'a [ContactChange<'a>]),
    /// `Contact: *` with `Expires: 0`. The caller has checked that both stand alone (RFC 3261 §10.2.2).
    Wildcard,
}

/// A Call-ID that begins with this marks a binding that another server passed on. Its Contact need not be what the phone
/// writes, so that a REGISTER from the same source takes its place.
pub const PASSED_ON: &[u8] = b"passed-on-";

/// What happens when the AOR has as many bindings as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Overflow {
    /// The REGISTER fails.
    #[default]
    Fail,
    /// The binding that was refreshed longest ago gives way.
    ReplaceOldest,
}

/// A REGISTER, as far as the location service cares.
#[derive(Clone, Copy, Debug)]
pub struct Register<'a> {
    /// The canonical AOR: scheme and host in lower case, no parameters.
    pub aor: &'a [u8],
    /// Call-ID.
    pub call_id: &'a [u8],
    /// CSeq number.
    pub cseq: u32,
    /// What is to be done.
    pub contacts: Contacts<'a>,
    /// The way it came.
    pub flow: Flow,
    /// Who sent it, by a number that stands for one party; 0 where that is not known.
    pub registrant: u32,
    /// Is it shown that it came that way, and no forged source address?
    pub shown: bool,
    /// Has its sender shown who it is? Only then its address is a source of ours ([`crate::Location::has_source`]).
    pub proven: bool,
    /// Which secret its sender has shown, by a number that stands for one secret; 0 for none.
    pub proof: u32,
    /// Path header values joined by commas (RFC 3327); empty for none.
    pub path: &'a [u8],
    /// User-Agent; empty for none.
    pub user_agent: &'a [u8],
    /// The lines of its headers whose names begin with `X-`, for whoever watches; not stored.
    pub headers: &'a [u8],
    /// Labels for selection, `key=value` joined by semicolons; empty for none.
    pub labels: &'a [u8],
    /// How many bindings the AOR may have; `None` for no limit.
    pub max_contacts: Option<usize>,
    /// What happens beyond that.
    pub overflow: Overflow,
    /// Refresh, change and remove what is there, but add nothing: the database would not have it.
    pub add_nothing: bool,
}

impl<'a> Register<'a> {
    /// A REGISTER without path, labels, limit or NAT.
    pub fn new(
        aor: &'a [u8],
        call_id: &'a [u8],
        cseq: u32,
        flow: Flow,
        changes: &'a [ContactChange<'a>],
    ) -> Register<'a> {
        Register {
            aor,
            call_id,
            cseq,
            contacts: Contacts::Changes(changes),
            flow,
            registrant: 0,
            shown: false,
            proven: false,
            proof: 0,
            path: b"",
            user_agent: b"",
            headers: b"",
            labels: b"",
            max_contacts: None,
            overflow: Overflow::Fail,
            add_nothing: false,
        }
    }

    /// How many seconds the binding lasts that lasts longest; `None` when none is added or refreshed.
    pub(crate) fn longest(&self) -> Option<u32> {
        match self.contacts {
            Contacts::Changes(changes) => changes.iter().map(|c| c.expires).max().filter(|s| *s > 0),
            Contacts::Wildcard => None,
        }
    }
}

/// What a REGISTER did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Bindings added.
    pub added: u16,
    /// Bindings refreshed or changed.
    pub refreshed: u16,
    /// Bindings removed, also those that gave way.
    pub removed: u16,
    /// It was seen before: nothing changed, and the answer is the same.
    pub retransmission: bool,
}

/// Why a REGISTER was not applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// The same Call-ID came with a higher CSeq before (RFC 3261 §10.3 step 7): answer 500.
    #[error("register: CSeq {got} after {had} of the same Call-ID: out of order")]
    OutOfOrder {
        /// The CSeq that came.
        got: u32,
        /// The CSeq that is stored.
        had: u32,
    },
    /// The AOR has as many bindings as it may: answer 403.
    #[error("register: more than {max} contacts: remove one, or raise maxContacts")]
    TooMany {
        /// The limit.
        max: usize,
    },
    /// It would add a binding, and [`Register::add_nothing`] is set: answer 503.
    #[error("register: no binding can be added while the database cannot be written")]
    Unavailable,
    /// A text is longer than 65,535 bytes or the AOR is empty: answer 400 or 513.
    #[error("register: the AOR is empty or a text is too long to be stored")]
    Unstorable,
}
