//! Telephone numbers, ITU-T E.164.

/// `+` and digits for a user part that is a telephone number with its country code, with or without `+`.
///
/// The country code must be assigned and the length possible: eleven digits in the North American decision with an
/// area code and an exchange that exist by their first digits, elsewhere eight to fifteen. So extensions such as
/// 1001 are left alone.
pub(crate) fn normalise(user: &[u8]) -> Option<Vec<u8>> {
    let digits = user.strip_prefix(b"+").unwrap_or(user);
    if !(8..=15).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let at = |i: usize| digits.get(i).map_or(0, |d| d - b'0');
    let valid = match (at(0), at(1), at(2)) {
        (1, area, _) => digits.len() == 11 && area >= 2 && at(4) >= 2,
        (a, b, c) => is_country(a, b, c),
    };
    valid.then(|| [b"+", digits].concat())
}

/// Do these first three digits begin with an assigned country code? (List of ITU-T E.164 assigned country codes.)
fn is_country(a: u8, b: u8, c: u8) -> bool {
    match (a, b) {
        (7, _) => true,
        (2, 0 | 7) | (3, 0..=4 | 6 | 9) | (4, 0 | 1 | 3..=9) | (5, 1..=8) | (6, 0..=6) => true,
        (8, 1 | 2 | 4 | 6) | (9, 0..=5 | 8) => true,
        (2, 1) => matches!(c, 1..=3 | 6 | 8),
        (2, 2..=4 | 6) | (3, 5) | (5, 0 | 9) => true,
        (2, 5) => c <= 8,
        (2, 9) => matches!(c, 0 | 1 | 7..=9),
        (3, 7) => true,
        (3, 8) => matches!(c, 0..=3 | 5..=7 | 9),
        (4, 2) => matches!(c, 0 | 1 | 3),
        (6, 7) => c != 1,
        (6, 8) => c != 4,
        (6, 9) => c <= 2,
        (8, 5) => matches!(c, 0 | 2 | 3 | 5 | 6),
        (8, 7) => matches!(c, 0 | 8),
        (8, 8) => matches!(c, 0..=3 | 6 | 8),
        (9, 6) => c <= 8,
        (9, 7) => c != 8,
        (9, 9) => matches!(c, 2..=6 | 8),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_extensions() {
        for (user, want) in [
            ("17853178070", Some("+17853178070")),
            ("+17853178070", Some("+17853178070")),
            ("4930123456", Some("+4930123456")),
            ("1001", None),
            ("17851178070", None),
            ("178531780700", None),
            ("21012345678", None),
            ("+0123456789", None),
            ("conference", None),
        ] {
            assert_eq!(normalise(user.as_bytes()).as_deref(), want.map(str::as_bytes), "{user}");
        }
    }
}
