//! What a byte may be in RFC 3261 §25.1, by one table, and reading forward by it.
//!
//! Values in SIP are short: a look at a table per byte, or eight bytes at a time in one word, takes less than the
//! call of a routine that is fast on long ones.

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

/// As [`until`] for a class whose bytes are few, in values that may be long: sixteen bytes at a time, in one comparison
/// with each of them.
#[inline]
fn until_one_of<const N: usize>(s: &[u8], few: [u8; N], class: Class) -> usize {
    let (pieces, _) = s.as_chunks::<16>();
    let free = |piece: &&[u8; 16]| {
        let among = |b: u8| few.iter().fold(0, |hit, wanted| hit | u8::from(b == *wanted));
        piece.iter().fold(0, |hit, b| hit | among(*b)) == 0
    };
    let passed = pieces.iter().take_while(free).count() * 16;
    passed + until(s.get(passed..).unwrap_or_default(), class)
}

/// How many bytes come before the first `@`, or before what can stand in no URI.
#[inline]
pub(crate) fn until_at(s: &[u8]) -> usize {
    until_one_of(s, *b"@ \t\r\n<>\"", AT | NOT_URI)
}

/// How many bytes come before the end of a parameter's value, or before what makes it take a closer look.
#[inline]
pub(crate) fn until_param_stop(s: &[u8]) -> usize {
    until_one_of(s, *b"; \t\r\n<>\"", PARAM_STOP)
}

/// Does either byte stand there?
#[inline]
pub(crate) fn has_either(a: u8, b: u8, s: &[u8]) -> bool {
    let among =
        |piece: &[u8]| piece.iter().fold(0, |hit, x| hit | u8::from(*x == a) | u8::from(*x == b)) != 0;
    let (pieces, rest) = s.as_chunks::<16>();
    // The last sixteen bytes overlap those before them.
    let last = if pieces.is_empty() { rest } else { s.last_chunk::<16>().map_or(rest, |last| last) };
    pieces.iter().any(|piece| among(piece)) || among(last)
}

/// The first place of a byte, in values that are short.
#[inline]
pub(crate) fn find(byte: u8, s: &[u8]) -> Option<usize> {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let wanted = u64::from(byte) * LOW;
    let (words, rest) = s.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        // A byte that becomes 0 is marked by its highest bit; false marks stand only above a true one.
        let x = u64::from_le_bytes(*word) ^ wanted;
        let marks = x.wrapping_sub(LOW) & !x & HIGH;
        if marks != 0 {
            return Some(i * 8 + marks.trailing_zeros() as usize / 8);
        }
    }
    rest.iter().position(|&b| b == byte).map(|i| words.len() * 8 + i)
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
    fn a_byte_is_found_where_it_first_stands() {
        for length in 0..40 {
            for at in 0..length {
                // Bytes beside the wanted one that differ in the lowest or the highest bit only.
                for other in [b';' ^ 1, b';' ^ 0x80, b';' - 1, b';' + 1, 0, 255] {
                    let mut s = vec![other; length];
                    assert_eq!(find(b';', &s), None);
                    s[at] = b';';
                    assert_eq!(find(b';', &s), Some(at));
                    s[length - 1] = b';';
                    assert_eq!(find(b';', &s), Some(at));
                }
            }
        }
    }

    #[test]
    fn the_few_bytes_of_a_class_are_found_wherever_they_stand() {
        for b in 0..=255u8 {
            for at in 0..40 {
                let mut s = vec![b'a'; 40];
                s[at] = b;
                assert_eq!(until_at(&s), until(&s, AT | NOT_URI), "{b} at {at}");
                assert_eq!(until_param_stop(&s), until(&s, PARAM_STOP), "{b} at {at}");
                assert_eq!((until_at(&s[..at]), until_param_stop(&s[..at])), (at, at));
            }
        }
        for length in 0..40 {
            let mut s = vec![b'a'; length];
            assert!(!has_either(b',', b'"', &s));
            for at in 0..length {
                for b in [b',', b'"'] {
                    s[at] = b;
                    assert!(has_either(b',', b'"', &s), "{at} of {length}");
                }
                s[at] = b'a';
            }
        }
    }

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
