//! When two contacts are the same.

/// Are two contact URIs equivalent? The place where RFC 3261 §19.1.4 is decided for bindings.
///
/// The user part is compared byte by byte, the rest without regard to case. Parameters count in the order
/// they stand: a phone that writes its own contact differently from one REGISTER to the next is a new
/// binding, and the old one expires.
pub fn uri_equivalent(a: &[u8], b: &[u8]) -> bool {
    if a == b {
        return true;
    }
    if !a.eq_ignore_ascii_case(b) {
        return false;
    }
    // Same length and letters: the user part stands at the same place in both.
    let user = |uri: &[u8]| uri.iter().position(|c| *c == b'@').unwrap_or(0);
    let scheme = a.iter().position(|c| *c == b':').unwrap_or(0);
    let end = user(a);
    end == user(b) && a.get(scheme..end) == b.get(scheme..end)
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
}
