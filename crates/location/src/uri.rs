//! When two contacts are the same.

use trunkline_sip::uris_equal;

/// Are two contact URIs equivalent by RFC 3261 §19.1.4? Parameters may stand in any order, users mind case, escapes
/// are what they stand for.
///
/// Nearly always the URIs are the same bytes, or differ in a user without escapes: neither is read then.
pub fn uri_equivalent(a: &[u8], b: &[u8]) -> bool {
    a == b || !users_differ(a, b) && uris_equal(a, b)
}

/// Do the users differ, as far as that shows without decoding them?
fn users_differ(a: &[u8], b: &[u8]) -> bool {
    match (user(a), user(b)) {
        (Some(a), Some(b)) => a != b && !a.contains(&b'%') && !b.contains(&b'%'),
        (a, b) => a.is_some() != b.is_some(),
    }
}

/// The part between scheme and host.
fn user(uri: &[u8]) -> Option<&[u8]> {
    let place = |wanted| uri.iter().position(|b| *b == wanted);
    uri.get(place(b':')? + 1..place(b'@')?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_has_no_case_and_the_user_has() {
        assert!(uri_equivalent(b"sip:a@HOST;transport=TCP", b"SIP:a@host;transport=tcp"));
        assert!(!uri_equivalent(b"sip:A@host", b"sip:a@host"));
        assert!(!uri_equivalent(b"sip:a@host", b"sip:a@host:5060"));
        assert!(uri_equivalent(b"sip:Host", b"sip:host"));
    }

    #[test]
    fn parameters_have_no_order_and_escapes_are_what_they_stand_for() {
        for (a, b, same) in [
            ("sip:a@h;transport=tcp;ob", "sip:a@h;ob;transport=tcp", true),
            ("sip:a@h;rinstance=1", "sip:a@h;rinstance=2", false),
            ("sip:a@h;transport=tcp", "sip:a@h", false),
            ("sip:%61@h", "sip:a@h", true),
            ("sip:a@h", "sip:h", false),
            ("sip:a:pw@h", "sip:a@h", false),
            ("sips:a@h", "sip:a@h", false),
            ("sip:a@[2001:DB8::1]", "sip:a@[2001:db8::1]", true),
            ("no uri", "no uri", true),
            ("no uri", "none either", false),
        ] {
            assert_eq!(uri_equivalent(a.as_bytes(), b.as_bytes()), same, "{a} {b}");
            assert_eq!(uri_equivalent(b.as_bytes(), a.as_bytes()), same, "{b} {a}");
        }
    }
}
