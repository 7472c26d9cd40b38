//! base64url without padding (RFC 4648 §5): its letters may stand in the user part and in parameters of a URI.
//!
//! Sixteen letters are made of twelve bytes at a time, and the other way round: each mark is written and read several times in a
//! call.

use wide::i8x16;

/// Letters that are made at a time, and the bytes that they stand for.
const LETTERS: usize = 16;
const BYTES: usize = 12;

/// Appends the text of `bytes`.
pub(crate) fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    let (blocks, rest) = bytes.as_chunks::<BYTES>();
    out.reserve((blocks.len() + 1) * LETTERS);
    for block in blocks {
        out.extend_from_slice(&letters(block));
    }
    let mut last = [0; BYTES];
    if let Some(place) = last.get_mut(..rest.len()) {
        place.copy_from_slice(rest);
    }
    out.extend_from_slice(letters(&last).get(..(rest.len() * 8).div_ceil(6)).unwrap_or_default());
}

/// Reads a text into `into` and gives the number of bytes. `None`: a character that does not belong there, bits that an
/// encoder leaves zero, or more bytes than there is room for.
pub(crate) fn decode(text: &[u8], into: &mut [u8]) -> Option<usize> {
    // One letter alone is less than a byte.
    let length = (text.len() % 4 != 1).then_some(text.len() * 6 / 8)?;
    let (blocks, rest) = text.as_chunks::<LETTERS>();
    let (places, last) = into.get_mut(..length)?.as_chunks_mut::<BYTES>();
    for (block, place) in blocks.iter().zip(places) {
        *place = bytes_of(block)?;
    }
    let mut block = [b'A'; LETTERS];
    block.get_mut(..rest.len())?.copy_from_slice(rest);
    let bytes = bytes_of(&block)?;
    let (own, zeros) = bytes.split_at_checked(last.len())?;
    last.copy_from_slice(own);
    zeros.iter().all(|b| *b == 0).then_some(length)
}

#[inline]
fn above(piece: i8x16, byte: u8) -> i8x16 {
    piece.simd_gt(i8x16::splat(byte as i8))
}

/// What is added where a mark stands.
#[inline]
fn step(marks: i8x16, by: i8) -> i8x16 {
    marks & i8x16::splat(by)
}

#[inline]
fn letters(bytes: &[u8; BYTES]) -> [u8; LETTERS] {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *bytes;
    let (high, low) =
        (u64::from_be_bytes([0, 0, a, b, c, d, e, f]), u64::from_be_bytes([0, 0, g, h, i, j, k, l]));
    let values = (u128::from(spread(high)) << 64 | u128::from(spread(low))).to_be_bytes();
    let piece = i8x16::from(values.map(|b| b as i8));
    // `A`, then `a` for 26, `0` for 52, `-` for 62, `_` for 63.
    let steps = step(above(piece, 25), 6) + step(above(piece, 51), -75);
    let steps = steps + step(above(piece, 61), -13) + step(above(piece, 62), 49);
    (piece + i8x16::splat(65) + steps).to_array().map(|b| b as u8)
}

/// `None`: a character is no letter.
#[inline]
fn bytes_of(letters: &[u8; LETTERS]) -> Option<[u8; BYTES]> {
    let piece = i8x16::from(letters.map(|b| b as i8));
    let between = |from: u8, to: u8| above(piece, from - 1) & !above(piece, to);
    let is = |byte: u8| piece.simd_eq(i8x16::splat(byte as i8));
    let (upper, lower, digit) = (between(b'A', b'Z'), between(b'a', b'z'), between(b'0', b'9'));
    let (dash, line) = (is(b'-'), is(b'_'));
    if (upper | lower | digit | dash | line).to_bitmask() != 0xffff {
        return None;
    }
    let steps = step(upper, -65) | step(lower, -71) | step(digit, 4) | step(dash, 17) | step(line, -32);
    let values = u128::from_be_bytes((piece + steps).to_array().map(|b| b as u8));
    let bits = u128::from(join((values >> 64) as u64)) << 48 | u128::from(join(values as u64));
    let [_, _, _, _, bytes @ ..] = bits.to_be_bytes();
    Some(bytes)
}

/// Puts 48 bits into eight bytes, six into each.
#[inline]
fn spread(bits: u64) -> u64 {
    let bits = (bits & 0xffff_ff00_0000) << 8 | bits & 0x00ff_ffff;
    let bits = (bits & 0x00ff_f000_00ff_f000) << 4 | bits & 0x0000_0fff_0000_0fff;
    (bits & 0x0fc0_0fc0_0fc0_0fc0) << 2 | bits & 0x003f_003f_003f_003f
}

/// The other way round.
#[inline]
fn join(bytes: u64) -> u64 {
    let bits = (bytes & 0x3f00_3f00_3f00_3f00) >> 2 | bytes & 0x003f_003f_003f_003f;
    let bits = (bits & 0x0fff_0000_0fff_0000) >> 4 | bits & 0x0000_0fff_0000_0fff;
    (bits & 0x00ff_ffff_0000_0000) >> 8 | bits & 0x00ff_ffff
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
