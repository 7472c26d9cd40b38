//! What a notice says. Texts are as they stood on the wire.

use std::net::{IpAddr, SocketAddr};

use trunkline_sip::Transport;

/// Something that happened, for a [`Board`](crate::Board).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// What.
    pub what: What,
}

/// Texts of notices are kept up to this length, and header lines together.
const LONGEST: usize = 512;
pub(crate) const LONGEST_HEADERS: usize = 4_096;

/// A text of the wire, up to so many bytes.
pub(crate) fn text(bytes: &[u8], most: usize) -> String {
    String::from_utf8_lossy(bytes.get(..most).unwrap_or(bytes)).into_owned()
}

/// A text of the wire for a notice; its end is cut where it is very long.
pub fn notice_text(bytes: &[u8]) -> String {
    text(bytes, LONGEST)
}

/// Header lines for a notice; those at the end are cut where there are very many.
pub fn notice_headers(lines: &[u8]) -> String {
    text(lines, LONGEST_HEADERS)
}

impl What {
    /// About how many bytes it takes.
    pub(crate) fn size(&self) -> usize {
        match self {
            What::Call(call) => {
                let CallNotice {
                    call_id,
                    from,
                    to,
                    caller_ref,
                    callee_ref,
                    trunk,
                    reason,
                    codec,
                    headers,
                    ..
                } = &**call;
                let texts = [call_id, from, to, caller_ref, callee_ref, trunk, reason, codec, headers];
                size_of::<CallNotice>() + texts.into_iter().map(String::len).sum::<usize>()
            }
            What::Registration(registration) => {
                let RegistrationNotice { aor, contact, user_agent, instance, call_id, headers, .. } =
                    &**registration;
                let texts = [aor, contact, user_agent, instance, call_id, headers];
                size_of::<RegistrationNotice>() + texts.into_iter().map(String::len).sum::<usize>()
            }
            What::Destination(destination) => {
                let DestinationNotice { reference, target, error, .. } = &**destination;
                size_of::<DestinationNotice>() + reference.len() + target.len() + error.len()
            }
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// To a call.
    Call(Box<CallNotice>),
    /// To a binding.
    Registration(Box<RegistrationNotice>),
    /// To a destination of a trunk or peer.
    Destination(Box<DestinationNotice>),
}

/// What happened to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallStep {
    /// Its INVITE is forwarded for the first time.
    Started,
    /// It was answered.
    Answered,
    /// It ended: after its answer, or without one.
    Ended,
    /// The exchange refused it before it was forwarded.
    Refused,
}

/// A call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallNotice {
    /// What happened to it.
    pub step: CallStep,
    /// The number of its record.
    pub id: u64,
    /// The Call-ID.
    pub call_id: String,
    /// The URI of From.
    pub from: String,
    /// Who was called, or to whom the call was diverted.
    pub to: String,
    /// Which way it goes, by name.
    pub direction: &'static str,
    /// Ref of the calling agent, peer or trunk; empty for none.
    pub caller_ref: String,
    /// Ref of the called agent, peer or number; empty for none.
    pub callee_ref: String,
    /// Ref of the trunk; empty for none.
    pub trunk: String,
    /// Where its INVITE came from.
    pub source: IpAddr,
    /// When it started, in milliseconds since 1970.
    pub started: u64,
    /// When it first rang.
    pub rang: Option<u64>,
    /// When it was answered.
    pub answered: Option<u64>,
    /// When it ended.
    pub ended: Option<u64>,
    /// Final status; 0 before.
    pub status: u16,
    /// Why it ended, by name; empty before.
    pub cause: &'static str,
    /// Who ended it; empty where nobody knows.
    pub ended_by: &'static str,
    /// The reason code; empty for none.
    pub reason: String,
    /// The codec; empty where it is not known.
    pub codec: String,
    /// The lines of headers whose names begin with `X-`, of the message that made it happen.
    pub headers: String,
}

/// A destination of a trunk or peer whose state has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationNotice {
    /// Is it that of a peer?
    pub is_of_peer: bool,
    /// The ref of the trunk or peer.
    pub reference: String,
    /// Its address.
    pub target: String,
    /// Its state, by name.
    pub state: &'static str,
    /// What it was before.
    pub before: &'static str,
    /// Why it is down; empty for none.
    pub error: String,
}

/// What happened to a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistrationStep {
    /// It is new.
    Added,
    /// Its phone refreshed it.
    Refreshed,
    /// Its phone removed it.
    Removed,
    /// An operator removed it.
    Kicked,
    /// It gave way to a newer one of its AOR.
    Replaced,
    /// Its time ran out.
    Expired,
    /// The connection that led to it ended.
    ConnectionLost,
}

/// A binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationNotice {
    /// What happened to it.
    pub step: RegistrationStep,
    /// The AOR.
    pub aor: String,
    /// The Contact URI.
    pub contact: String,
    /// When it ends or ended, in milliseconds since 1970.
    pub expires_at: u64,
    /// Where its REGISTER came from.
    pub source: Option<SocketAddr>,
    /// How.
    pub transport: Transport,
    /// User-Agent; empty for none.
    pub user_agent: String,
    /// `+sip.instance`; empty for none.
    pub instance: String,
    /// Call-ID of the REGISTER.
    pub call_id: String,
    /// The lines of headers of the REGISTER whose names begin with `X-`.
    pub headers: String,
}

impl RegistrationNotice {
    /// One of which only the AOR is known.
    pub fn new(step: RegistrationStep, aor: &[u8]) -> RegistrationNotice {
        RegistrationNotice {
            step,
            aor: notice_text(aor),
            contact: String::new(),
            expires_at: 0,
            source: None,
            transport: Transport::Udp,
            user_agent: String::new(),
            instance: String::new(),
            call_id: String::new(),
            headers: String::new(),
        }
    }
}
