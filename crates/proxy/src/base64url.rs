//! base64url without padding (RFC 4648 §5): its letters may stand in the user part and in parameters of a URI.

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const NONE: u8 = 0xff;

const VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let mut n = 0;
    while n < 64 {
        values[DIGITS[n] as usize] = n as u8;
        n += 1;
    }
    values
};

/// Appends the text of `bytes`.
pub(crate) fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            out.push(DIGITS[(bits >> (18 - 6 * place) & 63) as usize]);
        }
    }
}

/// Reads a text into `into` and gives the number of bytes. `None`: a character that does not belong there, bits that an
/// encoder leaves zero, or more bytes than there is room for.
pub(crate) fn decode(text: &[u8], into: &mut [u8]) -> Option<usize> {
    let mut length = 0;
    for chunk in text.chunks(4) {
        let mut bits = 0u32;
        for digit in chunk {
            let value = VALUES[usize::from(*digit)];
            if value == NONE {
                return None;
            }
            bits = bits << 6 | u32::from(value);
        }
        bits <<= 6 * (4 - chunk.len());
        let bytes = bits.to_be_bytes();
        let taken = chunk.len().checked_sub(1).filter(|n| *n > 0)?;
        if bytes.iter().skip(1 + taken).any(|b| *b != 0) {
            return None;
        }
        into.get_mut(length..length + taken)?.copy_from_slice(bytes.get(1..1 + taken)?);
        length += taken;
    }
    Some(length)
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
    }
}
