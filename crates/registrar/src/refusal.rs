//! Why a REGISTER is refused, and how that is told.

use std::borrow::Cow;

use trunkline_reasons::Reason;
use trunkline_sip::ParseError;

/// Why a REGISTER changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// What is to be registered is no SIP or SIPS URI (RFC 3261 §10.3 step 5).
    NoSipUri,
    /// A header cannot be read.
    Malformed(ParseError),
    /// A contact asks for less time than the least one (RFC 3261 §10.3 step 7).
    TooBrief,
    /// `Contact: *` stands alone, with `Expires: 0` (RFC 3261 §10.3 step 6).
    BadWildcard,
    /// More contacts than an AOR may have.
    TooMany,
    /// A flow stands alone (RFC 5626 §6).
    NotAlone,
    /// The first proxy does not keep flows (RFC 5626 §6).
    FirstHop,
    /// A contact leads where its owner may have nothing sent; why.
    Forbidden(&'static str),
    /// The bindings cannot be stored now.
    Unavailable,
    /// An older REGISTER of the same Call-ID (RFC 3261 §10.3 step 7).
    OutOfOrder,
    /// The AOR is empty or a text is too long.
    Unstorable,
}

impl Refusal {
    /// The status of the response.
    pub fn status(&self) -> u16 {
        match self {
            Refusal::NoSipUri | Refusal::BadWildcard | Refusal::NotAlone | Refusal::Unstorable => 400,
            Refusal::Malformed(error) => error.status(),
            Refusal::TooMany | Refusal::Forbidden(_) => 403,
            Refusal::TooBrief => 423,
            Refusal::FirstHop => 439,
            Refusal::OutOfOrder => 500,
            Refusal::Unavailable => 503,
        }
    }

    /// Its reason code.
    pub fn reason(&self) -> Reason {
        match self {
            Refusal::NoSipUri => Reason::RegisterNoSipUri,
            Refusal::Malformed(_) => Reason::RegisterMalformed,
            Refusal::TooBrief => Reason::RegisterTooBrief,
            Refusal::BadWildcard => Reason::RegisterBadWildcard,
            Refusal::TooMany => Reason::RegisterTooMany,
            Refusal::NotAlone => Reason::RegisterNotAlone,
            Refusal::FirstHop => Reason::RegisterFirstHop,
            Refusal::Forbidden(_) => Reason::RegisterForbiddenContact,
            Refusal::Unavailable => Reason::RegisterUnavailable,
            Refusal::OutOfOrder => Reason::RegisterOutOfOrder,
            Refusal::Unstorable => Reason::RegisterUnstorable,
        }
    }

    /// Its reason phrase; `None` for the status's own.
    pub fn phrase(&self) -> Option<Cow<'static, str>> {
        Some(Cow::Borrowed(match self {
            Refusal::NoSipUri => "To Is No SIP URI",
            Refusal::Malformed(error) => return Some(error.to_string().into()),
            Refusal::TooBrief | Refusal::Unstorable => return None,
            Refusal::BadWildcard => "Wildcard Only Alone and With Expires 0",
            Refusal::TooMany => "Too Many Contacts",
            Refusal::NotAlone => "reg-id Stands Alone",
            Refusal::FirstHop => "First Hop Lacks Outbound Support",
            Refusal::Forbidden(why) => why,
            Refusal::Unavailable => "Bindings Cannot Be Stored Now",
            Refusal::OutOfOrder => "CSeq Out of Order",
        }))
    }
}
