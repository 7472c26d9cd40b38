//! One form for a telephone number, however a URI writes it (RFC 3966 §5.1, RFC 3261 §19.1.6).
//!
//! A rule that looks at `+19005551234` must also see `+1-900-555-1234`, `+1(900)5551234;npdi` and `+1%39005551234`:
//! those who read the URI next would dial the same number. So the form is made before any rule is asked, and what
//! leaves is written from it.

use std::borrow::Cow;

/// The user part of a URI, decoded, with what it is taken for.
#[derive(Clone, Debug)]
pub(crate) struct User<'a> {
    /// As it came, escapes decoded.
    pub name: Cow<'a, [u8]>,
    /// The number in its one form; `None` where that is `name`, or where it is no number.
    pub number: Option<Cow<'a, [u8]>>,
    /// Is it a telephone number?
    pub is_number: bool,
}

impl<'a> User<'a> {
    /// Looks at a user part whose escapes are decoded.
    pub fn new(name: Cow<'a, [u8]>) -> User<'a> {
        match shape(&name) {
            Shape::Name => User { name, number: None, is_number: false },
            Shape::Plain => User { name, number: None, is_number: true },
            Shape::Number => {
                let number = Cow::Owned(stripped(&name));
                User { name, number: Some(number), is_number: true }
            }
        }
    }

    /// The form rules are asked about.
    pub fn into_text(self) -> Cow<'a, [u8]> {
        self.number.unwrap_or(self.name)
    }
}

enum Shape {
    /// No telephone number.
    Name,
    /// A number in its one form.
    Plain,
    /// A number with separators, parameters or a plus too many.
    Number,
}

/// What is only seen: RFC 3966 §5.1.1 has four; a space and a slash are written in other places, and ignored by those
/// who dial.
pub fn is_separator(b: u8) -> bool {
    matches!(b, b'-' | b'.' | b'(' | b')' | b' ' | b'/')
}

/// Is a user, its escapes decoded, this number, however it is written: with parameters, with visual separators?
pub fn is_number(user: &[u8], number: &[u8]) -> bool {
    let dialled = without_parameters(user).iter().filter(|b| !is_separator(**b));
    dialled.eq(number)
}

fn is_digit(b: u8) -> bool {
    b.is_ascii_digit() || matches!(b, b'*' | b'#')
}

/// Does this begin as a telephone number does, and is none? A gateway that dials it may stop at a character or dial on behind
/// it, so that no rule on numbers says where such a call goes: `+4921,,,1900`, `+49 21+1900`, `+4921*1900`.
pub(crate) fn is_misshapen(user: &[u8]) -> bool {
    let mut rest = user.iter().copied().skip_while(|&b| is_separator(b));
    match rest.next() {
        Some(b'+') => !rest.all(|b| b.is_ascii_digit() || is_separator(b)),
        Some(first) if first.is_ascii_digit() => rest.any(|b| matches!(b, b'+' | b',')),
        _ => false,
    }
}

/// What stands before the parameters of a `telephone-subscriber`.
pub(crate) fn without_parameters(user: &[u8]) -> &[u8] {
    user.split(|&b| b == b';').next().unwrap_or_default()
}

fn shape(user: &[u8]) -> Shape {
    let head = without_parameters(user);
    let mut changes = head.len() < user.len();
    let (mut digits, mut plus) = (0usize, false);
    for &b in head {
        match b {
            b if is_digit(b) => digits += 1,
            b if is_separator(b) => changes = true,
            b'+' if digits == 0 => {
                changes |= plus;
                plus = true;
            }
            _ => return Shape::Name,
        }
    }
    match (digits, changes) {
        (0, _) => Shape::Name,
        (_, false) => Shape::Plain,
        (_, true) => Shape::Number,
    }
}

/// A plus and digits, as far as they are there.
fn stripped(user: &[u8]) -> Vec<u8> {
    let head = without_parameters(user);
    let plus = head.contains(&b'+').then_some(b'+');
    plus.into_iter().chain(head.iter().copied().filter(|&b| is_digit(b))).collect()
}

/// The number of a text that may have a scheme, as headers of ours and resources have it: `tel:+1-706-604-1487`.
pub(crate) fn of_text(text: &[u8]) -> Cow<'_, [u8]> {
    let digits = match text.get(..4) {
        Some(scheme) if scheme.eq_ignore_ascii_case(b"tel:") => text.get(4..).unwrap_or_default(),
        _ => text,
    };
    User::new(Cow::Borrowed(digits)).into_text()
}

/// Appends a user part with the escapes it needs (RFC 3261 §25.1 `user`), a semicolon among them: what a rule saw is
/// not to become parameters.
pub(crate) fn put_escaped(user: &[u8], out: &mut Vec<u8>) {
    for &b in user {
        if is_unescaped(b) {
            out.push(b);
        } else {
            let hex = |n: u8| b"0123456789ABCDEF".get(usize::from(n)).copied().unwrap_or(b'0');
            out.extend_from_slice(&[b'%', hex(b >> 4), hex(b & 15)]);
        }
    }
}

/// May this stand in a user part as it is?
pub(crate) fn is_unescaped(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,?/".contains(&b)
}

/// A host as it stands in a URI: IPv6 in brackets.
pub(crate) fn write_host(out: &mut Vec<u8>, host: &str) {
    if host.contains(':') && !host.starts_with('[') {
        out.push(b'[');
        out.extend_from_slice(host.as_bytes());
        out.push(b']');
    } else {
        out.extend_from_slice(host.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(user: &str) -> String {
        String::from_utf8(User::new(Cow::Borrowed(user.as_bytes())).into_text().into_owned()).unwrap()
    }

    #[test]
    fn every_spelling_of_a_number_has_one_form() {
        for spelling in [
            "+19005551234",
            "+1-900-555-1234",
            "+1(900)555.1234",
            "(+1)9005551234",
            "+1 900 555 1234",
            "+1/900/555-1234",
            "++19005551234",
            "+-19005551234",
            "+19005551234;npdi",
            "+1(900)5551234;npdi;rn=+15550001111;cic=+1-6789",
            "+19005551234;",
        ] {
            assert_eq!(text(spelling), "+19005551234", "{spelling}");
        }
        assert_eq!(text("*31#0900-1"), "*31#09001");
    }

    #[test]
    fn names_stay() {
        for name in [
            "alice",
            "alice-b.c",
            "1001a",
            "a;b=c",
            "",
            "+",
            "()",
            ";npdi",
            "1+900",
            "10@01",
            "office-1",
            "1001",
        ] {
            assert_eq!(text(name), name);
        }
        let user = User::new(Cow::Borrowed(b"100-1"));
        assert_eq!(
            (&*user.name, user.number.as_deref()),
            (&b"100-1"[..], Some(&b"1001"[..])),
            "an agent may be called so"
        );
    }

    #[test]
    fn what_begins_as_a_number_and_is_none() {
        for user in ["+4921,,,1900", "+4921 +1900", "+4921*1900#", "+49abc", "4921,1900", "49+1900", "(+49)x"]
        {
            assert!(is_misshapen(user.as_bytes()), "{user}");
        }
        for user in ["+4921", "4921*1900#", "*31#4921", "*31#+4921", "alice", "1001a", "office,2", "", "#"] {
            assert!(!is_misshapen(user.as_bytes()), "{user}");
        }
    }

    #[test]
    fn numbers_in_headers_of_ours() {
        for (given, want) in [
            ("tel:+1-706-604-1487", "+17066041487"),
            ("TEL:+1706", "+1706"),
            ("+1 706;x=y", "+1706"),
            ("x", "x"),
        ] {
            assert_eq!(&*of_text(given.as_bytes()), want.as_bytes());
        }
    }

    #[test]
    fn what_needs_an_escape_gets_one() {
        let mut out = Vec::new();
        put_escaped(b"#31#a;b@c d:1", &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "%2331%23a%3Bb%40c%20d%3A1");
    }
}
