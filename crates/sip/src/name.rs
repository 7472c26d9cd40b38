//! Header names we act on, RFC 3261 §20 and its extensions, with their compact forms.

use crate::class::same_name;

/// Declares the known headers once: variant, name, compact form.
macro_rules! header_names {
    ($($variant:ident $name:literal $(, $compact:literal)?;)*) => {
        /// A header name. Everything we never look at is [`HeaderName::Other`] and travels untouched.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[allow(missing_docs)]
        pub enum HeaderName { $($variant,)* Other }

        impl HeaderName {
            /// How many names are known.
            pub const COUNT: usize = HeaderName::Other as usize;

            /// The name as we write it; empty for [`HeaderName::Other`].
            pub fn name(self) -> &'static str {
                match self { $(HeaderName::$variant => $name,)* HeaderName::Other => "" }
            }

            /// Every known name with its compact form.
            pub const KNOWN: &'static [(HeaderName, &'static str, Option<u8>)] =
                &[$((HeaderName::$variant, $name, header_names!(@compact $($compact)?)),)*];
        }
    };
    (@compact) => { None };
    (@compact $c:literal) => { Some($c) };
}

header_names! {
    Via "Via", b'v';
    From "From", b'f';
    To "To", b't';
    CallId "Call-ID", b'i';
    CSeq "CSeq";
    MaxForwards "Max-Forwards";
    Contact "Contact", b'm';
    Route "Route";
    RecordRoute "Record-Route";
    Expires "Expires";
    ContentLength "Content-Length", b'l';
    ContentType "Content-Type", b'c';
    Authorization "Authorization";
    ProxyAuthorization "Proxy-Authorization";
    WwwAuthenticate "WWW-Authenticate";
    ProxyAuthenticate "Proxy-Authenticate";
    ProxyRequire "Proxy-Require";
    Require "Require";
    Supported "Supported", b'k';
    Path "Path";
    ServiceRoute "Service-Route";
    UserAgent "User-Agent";
    MinExpires "Min-Expires";
    RetryAfter "Retry-After";
    Privacy "Privacy";
    PAssertedIdentity "P-Asserted-Identity";
    PPreferredIdentity "P-Preferred-Identity";
    RemotePartyId "Remote-Party-ID";
    Event "Event", b'o';
    ReferTo "Refer-To", b'r';
    ReferredBy "Referred-By", b'b';
    Replaces "Replaces";
    Diversion "Diversion";
    HistoryInfo "History-Info";
    MaxBreadth "Max-Breadth";
    Timestamp "Timestamp";
    SessionExpires "Session-Expires", b'x';
    Reason "Reason";
    Date "Date";
}

impl HeaderName {
    /// Reads a name in any case or in its compact form (RFC 3261 §7.3.3).
    pub fn from_bytes(name: &[u8]) -> HeaderName {
        use HeaderName::*;
        let Some(&first) = name.first() else { return Other };
        let lower = first | 0x20;
        let is = |known: HeaderName| {
            if same_name(name, known.name().as_bytes()) { known } else { Other }
        };
        // Length and first letter leave at most two candidates, so one comparison settles nearly every name.
        match (name.len(), lower) {
            (1, b'v') => Via,
            (1, b'f') => From,
            (1, b't') => To,
            (1, b'i') => CallId,
            (1, b'm') => Contact,
            (1, b'l') => ContentLength,
            (1, b'c') => ContentType,
            (1, b'k') => Supported,
            (1, b'o') => Event,
            (1, b'r') => ReferTo,
            (1, b'b') => ReferredBy,
            (1, b'x') => SessionExpires,
            (2, b't') => is(To),
            (3, b'v') => is(Via),
            (4, b'f') => is(From),
            (4, b'c') => is(CSeq),
            (4, b'p') => is(Path),
            (4, b'd') => is(Date),
            (5, b'r') => is(Route),
            (5, b'e') => is(Event),
            (6, b'r') => is(Reason),
            (7, b'c') => match is(CallId) {
                Other => is(Contact),
                found => found,
            },
            (7, b'e') => is(Expires),
            (7, b'r') => is(Require),
            (7, b'p') => is(Privacy),
            (8, b'r') => match is(ReferTo) {
                Other => is(Replaces),
                found => found,
            },
            (9, b's') => is(Supported),
            (9, b't') => is(Timestamp),
            (9, b'd') => is(Diversion),
            (10, b'u') => is(UserAgent),
            (11, b'm') => match is(MinExpires) {
                Other => is(MaxBreadth),
                found => found,
            },
            (11, b'r') => match is(RetryAfter) {
                Other => is(ReferredBy),
                found => found,
            },
            (12, b'm') => is(MaxForwards),
            (12, b'r') => is(RecordRoute),
            (12, b'c') => is(ContentType),
            (12, b'h') => is(HistoryInfo),
            (13, b'a') => is(Authorization),
            (13, b'p') => is(ProxyRequire),
            (13, b's') => is(ServiceRoute),
            (14, b'c') => is(ContentLength),
            (15, b's') => is(SessionExpires),
            (15, b'r') => is(RemotePartyId),
            (16, b'w') => is(WwwAuthenticate),
            (18, b'p') => is(ProxyAuthenticate),
            (19, b'p') => match is(ProxyAuthorization) {
                Other => is(PAssertedIdentity),
                found => found,
            },
            (20, b'p') => is(PPreferredIdentity),
            _ => Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case_and_in_its_compact_form() {
        for &(known, name, compact) in HeaderName::KNOWN {
            assert_eq!(HeaderName::from_bytes(name.as_bytes()), known, "{name}");
            assert_eq!(HeaderName::from_bytes(name.to_uppercase().as_bytes()), known, "{name}");
            assert_eq!(HeaderName::from_bytes(name.to_lowercase().as_bytes()), known, "{name}");
            if let Some(c) = compact {
                assert_eq!(HeaderName::from_bytes(&[c]), known, "{name}");
                assert_eq!(HeaderName::from_bytes(&[c.to_ascii_uppercase()]), known, "{name}");
            }
        }
    }

    #[test]
    fn others_are_other() {
        for name in ["", "Z", "Cone-Type", "C%6Fntact", "Vias", "From2", "[-Name"] {
            assert_eq!(HeaderName::from_bytes(name.as_bytes()), HeaderName::Other, "{name}");
        }
    }
}
