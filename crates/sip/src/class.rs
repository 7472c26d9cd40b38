//! What a byte may be in RFC 3261 §25.1, by one table, and reading forward by it.
//!
//! For what is short: a look at a table per byte takes less than the call of a routine that is fast on long texts. What may
//! be long is read by [`crate::scan`].

/// A set of [`class`](self) bits.
pub(crate) type Class = u8;

/// `token`
pub(crate) const TOKEN: Class = 1;
/// White space inside a header value; folding leaves CR and LF there (§7.3.1).
pub(crate) const SPACE: Class = 1 << 1;
/// A host name or IPv4 address; `_` is no part of one, but in use.
pub(crate) const HOST: Class = 1 << 2;
/// A parameter's name: a token, or of a URI one of `param-unreserved` too.
pub(crate) const PARAM_NAME: Class = 1 << 3;
/// Ends a parameter's value, or makes it one that takes a closer look: white space, `;`, a quote or a bracket.
pub(crate) const PARAM_STOP: Class = 1 << 4;
/// Can stand in no URI: white space, quotes, angle brackets.
pub(crate) const NOT_URI: Class = 1 << 5;
/// `@`
pub(crate) const AT: Class = 1 << 6;
/// What divides or escapes a user part: `:`, `%`.
pub(crate) const IN_USER: Class = 1 << 7;

static CLASSES: [Class; 256] = classes();

const fn classes() -> [Class; 256] {
    let mut all = [0; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        let mut class = 0;
        let alphanumeric = b.is_ascii_alphanumeric();
        if alphanumeric || matches!(b, b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~') {
            class |= TOKEN | PARAM_NAME;
        }
        if matches!(b, b'[' | b']' | b':' | b'/' | b'&' | b'$') {
            class |= PARAM_NAME;
        }
        if alphanumeric || matches!(b, b'-' | b'.' | b'_') {
            class |= HOST;
        }
        if matches!(b, b' ' | b'\t' | b'\r' | b'\n') {
            class |= SPACE | PARAM_STOP | NOT_URI;
        }
        if matches!(b, b'<' | b'>' | b'"') {
            class |= PARAM_STOP | NOT_URI;
        }
        match b {
            b';' => class |= PARAM_STOP,
            b'@' => class |= AT,
            b':' | b'%' => class |= IN_USER,
            _ => {}
        }
        all[i] = class;
        i += 1;
    }
    all
}

/// Is it of one of these classes?
#[inline]
pub(crate) fn is(b: u8, class: Class) -> bool {
    CLASSES.get(usize::from(b)).is_some_and(|c| c & class != 0)
}

/// How many bytes at the beginning are of the class.
#[inline]
pub(crate) fn leading(s: &[u8], class: Class) -> usize {
    s.iter().position(|&b| !is(b, class)).unwrap_or(s.len())
}

/// How many bytes come before the first of the class; all, when there is none.
#[inline]
pub(crate) fn until(s: &[u8], class: Class) -> usize {
    s.iter().position(|&b| is(b, class)).unwrap_or(s.len())
}

/// Are these the same name in any case? `known` is of letters, digits, `-`, `.` and `+`: two letters that differ in one bit
/// alone differ in case, and of the others none may differ.
#[inline]
pub(crate) fn same_name(name: &[u8], known: &[u8]) -> bool {
    const LETTER: u64 = 0x4040_4040_4040_4040;
    // The bits in which letters of one word may differ from those of the other.
    let case = |known: u64| (known & LETTER) >> 1;
    let same = |a: &[u8; 8], known: &[u8; 8]| {
        let (a, known) = (u64::from_le_bytes(*a), u64::from_le_bytes(*known));
        (a ^ known) & !case(known) == 0
    };
    if name.len() != known.len() {
        return false;
    }
    match (name.last_chunk(), known.last_chunk()) {
        (Some(a), Some(b)) => {
            let (x, y) = (name.as_chunks().0, known.as_chunks().0);
            same(a, b) && x.iter().zip(y).all(|(a, b)| same(a, b))
        }
        _ => name.iter().zip(known).all(|(a, b)| (a ^ b) & !((b & 0x40) >> 1) == 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_in_any_case_only() {
        for known in
            ["q", "lr", "tag", "branch", "expires", "received", "+sip.instance", "Proxy-Authorization"]
        {
            assert!(same_name(known.to_uppercase().as_bytes(), known.as_bytes()));
            for i in 0..known.len() {
                for b in 0..=255u8 {
                    let mut name = known.as_bytes().to_vec();
                    name[i] = b;
                    let same = name.eq_ignore_ascii_case(known.as_bytes());
                    assert_eq!(same_name(&name, known.as_bytes()), same, "{name:?}");
                }
            }
            assert!(!same_name(&known.as_bytes()[1..], known.as_bytes()));
        }
    }

    #[test]
    fn classes_of_the_grammar() {
        let of = |class| (0..=255u8).filter(|b| is(*b, class)).map(char::from).collect::<String>();
        assert_eq!(of(SPACE), "\t\n\r ");
        assert_eq!(of(NOT_URI), "\t\n\r \"<>");
        assert_eq!(of(PARAM_STOP), "\t\n\r \";<>");
        let alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let others = |class| of(class).replace(|c| alphanumeric.contains(c), "");
        assert_eq!((others(TOKEN).as_str(), others(HOST).as_str()), ("!%'*+-._`~", "-._"));
        assert_eq!(others(PARAM_NAME), "!$%&'*+-./:[]_`~");
        assert_eq!((leading(b"ab c", TOKEN), until(b"ab c", SPACE), until(b"ab", SPACE)), (2, 2, 2));
    }
}
