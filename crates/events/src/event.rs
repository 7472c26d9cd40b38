//! What can happen to a request.

use std::net::SocketAddr;

use trunkline_reasons::Reason;
use trunkline_sip::Transport;

/// Something that happened to a request. Texts are as they stood on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// It arrived.
    Arrived(Arrival<'a>),
    /// The router found something out: words with gaps (`{}`), and what belongs into them, with NUL between.
    Fact {
        /// The words.
        words: &'a str,
        /// The names.
        names: &'a str,
    },
    /// It waits for an answer: of the resolver about this name, or of the media relay.
    Waits(&'a [u8]),
    /// It goes on.
    GoesOn,
    /// It was sent to a target.
    Sent(Attempt<'a>),
    /// A response came from a target.
    Heard(Heard<'a>),
    /// A target failed without a final response.
    Failed {
        /// Which branch.
        branch: u8,
        /// How.
        how: Failure,
    },
    /// The media relay refused, or could not be asked; why.
    Media(&'a str),
    /// The call goes on to another callee.
    Diverted(&'a [u8]),
    /// The caller gave up.
    Cancelled,
    /// The caller got a response.
    Answered(Answer),
}

/// A request that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival<'a> {
    /// The method.
    pub method: &'a [u8],
    /// The Request-URI.
    pub uri: &'a [u8],
    /// The URI of From.
    pub from: &'a [u8],
    /// The Call-ID.
    pub call_id: &'a [u8],
    /// The name of the client software (User-Agent), if it says one; of a request of our own why there is one.
    pub agent: &'a [u8],
    /// The address in the topmost Contact's host, if it is another than the packet's source; else empty.
    pub contact: &'a [u8],
    /// How it came.
    pub transport: Transport,
    /// From where.
    pub source: SocketAddr,
    /// It has a To tag.
    pub inside: bool,
    /// Nobody sent it: the exchange ends a call, in the name of a party that is at `source`.
    pub own: bool,
    /// It has credentials.
    pub credentials: bool,
    /// Its SDP names a private address, and it came from a public one.
    pub private_media: bool,
    /// Contact has another address than the packet's source, and than its only Via: somebody changed one of them on the way.
    pub rewritten: bool,
}

/// A request on its way to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt<'a> {
    /// Which branch.
    pub branch: u8,
    /// Its Request-URI.
    pub uri: &'a [u8],
    /// The trunk, if it leaves by one.
    pub trunk: &'a str,
    /// How it goes.
    pub transport: Transport,
    /// To where.
    pub to: SocketAddr,
    /// The exchange has no listener for this transport.
    pub unheard: bool,
}

/// A response that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard<'a> {
    /// To which branch.
    pub branch: u8,
    /// Its status.
    pub code: u16,
    /// Its reason phrase.
    pub phrase: &'a [u8],
    /// The value of its Reason or Warning header, if it has one.
    pub why: &'a [u8],
    /// Its SDP names a private address, and it came from a public one.
    pub private_media: bool,
    /// How many seconds its sender's clock is ahead of ours, by the Date header of a failure; 0 if that is unknown.
    pub clock: i32,
}

/// How a target failed without a final response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Failure {
    /// Nothing came back in time.
    Silent = 0,
    /// The network refused the packet (ICMP).
    Unreachable = 1,
    /// No connection could be made.
    NoConnection = 2,
    /// The connection ended.
    ConnectionEnded = 3,
    /// It rang, and nobody took the call in time.
    NoAnswer = 4,
    /// The other side speaks no TLS.
    NoTls = 5,
    /// The certificate of the other side does not contain the name that it was reached by.
    CertificateName = 6,
    /// The certificate of the other side has expired.
    CertificateExpired = 7,
    /// The certificate of the other side is not valid yet.
    CertificateEarly = 8,
    /// The certificate of the other side is from no authority that is trusted.
    CertificateUntrusted = 9,
    /// The other side refused the TLS handshake.
    TlsRefused = 10,
    /// The TLS handshake failed.
    NoHandshake = 11,
    /// Nothing was sent: no address of the target can be used.
    NoWay = 12,
}

impl Failure {
    pub(crate) const ALL: [Failure; 13] = [
        Failure::Silent,
        Failure::Unreachable,
        Failure::NoConnection,
        Failure::ConnectionEnded,
        Failure::NoAnswer,
        Failure::NoTls,
        Failure::CertificateName,
        Failure::CertificateExpired,
        Failure::CertificateEarly,
        Failure::CertificateUntrusted,
        Failure::TlsRefused,
        Failure::NoHandshake,
        Failure::NoWay,
    ];

    /// Its name in events.
    pub fn name(self) -> &'static str {
        match self {
            Failure::Silent => "silent",
            Failure::Unreachable => "unreachable",
            Failure::NoConnection => "no-connection",
            Failure::ConnectionEnded => "connection-ended",
            Failure::NoAnswer => "no-answer",
            Failure::NoTls => "no-tls",
            Failure::CertificateName => "certificate-name",
            Failure::CertificateExpired => "certificate-expired",
            Failure::CertificateEarly => "certificate-not-yet-valid",
            Failure::CertificateUntrusted => "certificate-untrusted",
            Failure::TlsRefused => "tls-refused",
            Failure::NoHandshake => "no-handshake",
            Failure::NoWay => "no-way",
        }
    }
}

/// A response that went back to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub code: u16,
    /// Why it is no success.
    pub reason: Option<Reason>,
    /// The exchange made it itself; else it passed one on.
    pub ours: bool,
}
