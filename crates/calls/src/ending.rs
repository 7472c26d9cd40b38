//! Who ended a call, and with what words.

use crate::cause::Cause;

/// Who ended a call: by a BYE, a CANCEL or the final response to its INVITE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Ender {
    /// Nobody knows, or it lives.
    #[default]
    Unknown = 0,
    /// The calling side, a carrier that calls included.
    Caller = 1,
    /// The called side, reached without a trunk.
    Callee = 2,
    /// The called side, reached through a trunk.
    Carrier = 3,
    /// This exchange.
    Exchange = 4,
}

impl Ender {
    const ALL: [Ender; 5] = [Ender::Unknown, Ender::Caller, Ender::Callee, Ender::Carrier, Ender::Exchange];

    /// The text in records; empty for [`Ender::Unknown`].
    pub fn name(self) -> &'static str {
        match self {
            Ender::Unknown => "",
            Ender::Caller => "caller",
            Ender::Callee => "callee",
            Ender::Carrier => "carrier",
            Ender::Exchange => "us",
        }
    }

    pub(crate) fn from_number(number: u8) -> Ender {
        Ender::ALL.into_iter().find(|ender| *ender as u8 == number).unwrap_or_default()
    }
}

/// The values of a message's `Reason` header lines (RFC 3326), the first ones; empty slots are none.
pub type ReasonLines<'a> = [&'a [u8]; 3];

/// The final response to an INVITE that failed.
#[derive(Clone, Copy, Debug, Default)]
pub struct FailedWith<'a> {
    /// Its status.
    pub status: u16,
    /// Who sent it.
    pub by: Ender,
    /// The code of its reason; empty where there is none.
    pub reason: &'static str,
    /// Why it failed, where the status does not say it.
    pub cause: Option<Cause>,
    /// Its `Reason` header.
    pub lines: ReasonLines<'a>,
    /// The lines of its headers whose names begin with `X-`, for whoever watches.
    pub headers: &'a [u8],
}

impl From<u16> for FailedWith<'_> {
    fn from(status: u16) -> Self {
        FailedWith { status, ..FailedWith::default() }
    }
}
