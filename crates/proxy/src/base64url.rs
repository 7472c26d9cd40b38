//! base64url without padding (RFC 4648 §5): its letters may stand in the user part and in parameters of a URI.

use crate::hex::{NONE, values};

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const VALUES: [u8; 256] = values(DIGITS, [NONE; 256]);

/// Appends the text of `bytes`.
pub(crate) fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    let digits = |bits: u32| [18, 12, 6, 0].map(|shift| DIGITS[(bits >> shift & 63) as usize]);
    let (whole, rest) = bytes.as_chunks::<3>();
    let start = out.len();
    out.reserve(whole.len() * 4 + 4);
    out.resize(start + whole.len() * 4, 0);
    let places = out.get_mut(start..).unwrap_or_default().as_chunks_mut::<4>().0;
    for (place, &[a, b, c]) in places.iter_mut().zip(whole) {
        *place = digits(u32::from_be_bytes([0, a, b, c]));
    }
    match *rest {
        [a] => out.extend_from_slice(&digits(u32::from(a) << 16)[..2]),
        [a, b] => out.extend_from_slice(&digits(u32::from_be_bytes([0, a, b, 0]))[..3]),
        _ => {}
    }
}

/// Reads a text into `into` and gives the number of bytes. `None`: a character that does not belong there, bits that an
/// encoder leaves zero, or more bytes than there is room for.
pub(crate) fn decode(text: &[u8], into: &mut [u8]) -> Option<usize> {
    let value = |digit: u8| VALUES[usize::from(digit)];
    let bits = |digit: u8| u32::from(value(digit));
    let (whole, rest) = text.as_chunks::<4>();
    let (places, last) = into.as_chunks_mut::<3>();
    let mut all = 0;
    for (&[a, b, c, d], place) in whole.iter().zip(places.iter_mut()) {
        let (a, b, c, d) = (bits(a), bits(b), bits(c), bits(d));
        all |= a | b | c | d;
        let [_, first, second, third] = (a << 18 | b << 12 | c << 6 | d).to_be_bytes();
        *place = [first, second, third];
    }
    // No value but NONE has one of the two upper bits.
    if all & 0xc0 != 0 || whole.len() > places.len() {
        return None;
    }
    let (bits, taken) = match *rest {
        [] => return Some(whole.len() * 3),
        [a, b] => ([value(a), value(b), 0], 1),
        [a, b, c] => ([value(a), value(b), value(c)], 2),
        _ => return None,
    };
    let [a, b, c] = bits;
    let bytes = [a << 2 | b >> 4, b << 4 | c >> 2, c << 6];
    if (a | b | c) & 0xc0 != 0 || bytes.iter().skip(taken).any(|b| *b != 0) {
        return None;
    }
    let place = places.get_mut(whole.len()).map_or(last, |place| &mut place[..]);
    place.get_mut(..taken)?.copy_from_slice(bytes.get(..taken)?);
    Some(whole.len() * 3 + taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_every_text_stands_for_other_bytes() {
        for length in 0..40usize {
            let bytes: Vec<u8> = (0..length).map(|n| (n * 37 + length) as u8).collect();
            let mut text = Vec::new();
            encode(&bytes, &mut text);
            let mut back = [0u8; 64];
            let read = decode(&text, &mut back).expect("its own text");
            assert_eq!(back.get(..read), Some(&*bytes));
        }
        let mut back = [0u8; 4];
        for bad in [&b"A"[..], b"AAAAA", b"A*", b"AB", b"AAAAAAAA"] {
            assert_eq!(decode(bad, &mut back), None, "{bad:?}");
        }
        // Of four letters any that does not belong there, and any two.
        for (one, two) in (0..4).flat_map(|one| (0..4).map(move |two| (one, two))) {
            let mut bad = *b"AAAA";
            (bad[one], bad[two]) = (b'*', b'*');
            assert_eq!(decode(&bad, &mut back), None, "{bad:?}");
            assert_eq!(decode(bad.get(..=one.max(two)).unwrap_or_default(), &mut back), None, "{bad:?}");
        }
        assert_eq!(decode(b"*AAA*AAA", &mut [0; 6]), None);
    }
}
