//! Hexadecimal without allocation.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Appends the digits of `bytes`.
pub(crate) fn put(bytes: &[u8], out: &mut Vec<u8>) {
    for b in bytes {
        out.push(DIGITS[usize::from(b >> 4)]);
        out.push(DIGITS[usize::from(b & 15)]);
    }
}

/// Writes the digits of `bytes` into `into`, which is twice as long.
pub(crate) fn fill(bytes: &[u8], into: &mut [u8]) {
    for (b, pair) in bytes.iter().zip(into.chunks_exact_mut(2)) {
        if let [high, low] = pair {
            (*high, *low) = (DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]);
        }
    }
}

/// Fills `into` from exactly twice as many digits.
pub(crate) fn take(digits: &[u8], into: &mut [u8]) -> Option<()> {
    if digits.len() != into.len() * 2 {
        return None;
    }
    for (pair, byte) in digits.chunks_exact(2).zip(into) {
        let [high, low] = pair else { return None };
        let digit = |d: u8| (d as char).to_digit(16).map(|d| d as u8);
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(())
}
