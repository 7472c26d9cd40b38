//! Hexadecimal without allocation.

const DIGITS: &[u8; 16] = b"0123456789abcdef";
const VALUES: [u8; 256] = values(b"0123456789ABCDEF", values(DIGITS, [NONE; 256]));

/// The value of what is no digit: it has the upper bits that no value has.
pub(crate) const NONE: u8 = 0xff;

/// Adds the values of these digits to a table by character.
pub(crate) const fn values(digits: &[u8], mut table: [u8; 256]) -> [u8; 256] {
    let mut n = 0;
    while n < digits.len() {
        table[digits[n] as usize] = n as u8;
        n += 1;
    }
    table
}

/// Appends the digits of `bytes`.
pub(crate) fn put(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + bytes.len() * 2, 0);
    fill(bytes, out.get_mut(start..).unwrap_or_default());
}

/// Writes the digits of `bytes` into `into`, which is twice as long.
pub(crate) fn fill(bytes: &[u8], into: &mut [u8]) {
    for (b, pair) in bytes.iter().zip(into.as_chunks_mut::<2>().0) {
        *pair = [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]];
    }
}

/// Fills `into` from exactly twice as many digits.
pub(crate) fn take(digits: &[u8], into: &mut [u8]) -> Option<()> {
    if digits.len() != into.len() * 2 {
        return None;
    }
    let digit = |d: u8| VALUES[usize::from(d)];
    let mut all = 0;
    for (&[high, low], byte) in digits.as_chunks::<2>().0.iter().zip(into) {
        let (high, low) = (digit(high), digit(low));
        all |= high | low;
        *byte = high << 4 | low & 15;
    }
    // No value but NONE has one of the upper bits.
    (all & 0xf0 == 0).then_some(())
}
