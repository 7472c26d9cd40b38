//! Looking for a few kinds of bytes, sixteen at a time.

use wide::i8x16;

use crate::class::{AT, Class, NOT_URI, PARAM_STOP, until};

#[inline]
fn load(piece: &[u8; 16]) -> i8x16 {
    i8x16::from(piece.map(|b| b as i8))
}

#[inline]
fn equal(piece: i8x16, byte: u8) -> i8x16 {
    piece.simd_eq(i8x16::splat(byte as i8))
}

/// White space, and other bytes that are no printable ASCII.
#[inline]
fn unprintable(piece: i8x16) -> i8x16 {
    // Signed: what is above 0x7f is low too.
    piece.simd_lt(i8x16::splat(0x21))
}

/// `<` and `>`, which differ in one bit.
#[inline]
fn brackets(piece: i8x16) -> i8x16 {
    equal(piece | i8x16::splat(2), b'>')
}

/// The place of the first byte for which `hits` has a mark.
#[inline]
fn first(s: &[u8], hits: impl Fn(i8x16) -> i8x16) -> Option<usize> {
    let marks = |piece: &[u8; 16]| hits(load(piece)).to_bitmask();
    let (pieces, rest) = s.as_chunks::<16>();
    for (i, piece) in pieces.iter().enumerate() {
        let found = marks(piece);
        if found != 0 {
            return Some(i * 16 + found.trailing_zeros() as usize);
        }
    }
    if rest.is_empty() {
        return None;
    }
    // The last sixteen bytes overlap those before them, which have no mark.
    if let Some(last) = s.last_chunk::<16>() {
        let found = marks(last);
        return (found != 0).then(|| s.len() - 16 + found.trailing_zeros() as usize);
    }
    short(s, hits)
}

/// As [`first`] in fewer than sixteen bytes: those from the start and those from the end, which overlap.
#[inline]
fn short(s: &[u8], hits: impl Fn(i8x16) -> i8x16) -> Option<usize> {
    let (low, high) = match s {
        [] => return None,
        [a] => ([*a; 8], [*a; 8]),
        [a, b] => ([*a, *b, *b, *b, *b, *b, *b, *b], [*b; 8]),
        [a, b, c] => ([*a, *b, *c, *c, *c, *c, *c, *c], [*c; 8]),
        [a, b, c, d, ..] => match (s.first_chunk::<8>(), s.last_chunk::<8>(), s.last_chunk::<4>()) {
            (Some(low), Some(high), _) => (*low, *high),
            (_, _, Some([e, f, g, h])) => ([*a, *b, *c, *d, *e, *f, *g, *h], [*h; 8]),
            _ => return None,
        },
    };
    let found = hits(load(&join(low, high))).to_bitmask();
    let at = found.trailing_zeros() as usize;
    // Where the second part begins, and by how much its places are too high.
    let (second, gap) = match s.len() {
        8.. => (8, 16 - s.len()),
        4..8 => (4, 8 - s.len()),
        _ => (4, 0),
    };
    (found != 0).then_some(if at < second { at } else { at - gap })
}

#[inline]
fn join(low: [u8; 8], high: [u8; 8]) -> [u8; 16] {
    let [a, b, c, d, e, f, g, h] = low;
    let [i, j, k, l, m, n, o, p] = high;
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
}

/// The first place of a byte.
#[inline]
pub(crate) fn find(byte: u8, s: &[u8]) -> Option<usize> {
    first(s, |piece| equal(piece, byte))
}

/// The first place of either byte.
#[inline]
pub(crate) fn find_either(a: u8, b: u8, s: &[u8]) -> Option<usize> {
    first(s, |piece| equal(piece, a) | equal(piece, b))
}

/// How many bytes come before the first that is of the class, among those that `hits` marks.
#[inline]
fn until_one_of(s: &[u8], hits: impl Fn(i8x16) -> i8x16, class: Class) -> usize {
    match first(s, hits) {
        None => s.len(),
        // Nearly always that is it.
        Some(at) => at + until(s.get(at..).unwrap_or_default(), class),
    }
}

/// How many bytes come before the first `@`, or before what can stand in no URI.
#[inline]
pub(crate) fn until_at(s: &[u8]) -> usize {
    let hits = |piece| equal(piece, b'@') | equal(piece, b'"') | brackets(piece) | unprintable(piece);
    until_one_of(s, hits, AT | NOT_URI)
}

/// How many bytes come before the end of a parameter's value, or before what makes it take a closer look.
#[inline]
pub(crate) fn until_param_stop(s: &[u8]) -> usize {
    let hits = |piece| equal(piece, b';') | equal(piece, b'"') | brackets(piece) | unprintable(piece);
    until_one_of(s, hits, PARAM_STOP)
}

/// What stands in 64 bytes, a bit each.
#[derive(Clone, Copy, Default)]
struct Marks {
    /// LF.
    ends: u64,
    /// `,` or `"`.
    commas: u64,
    /// No printable ASCII, DEL and the blank aside.
    unusual: u64,
}

impl Marks {
    /// What is unusual, is no LF and does not stand right before one.
    #[inline]
    fn beside_ends(&self) -> u64 {
        self.unusual & !(self.ends | self.ends >> 1)
    }

    #[inline]
    fn of(block: &[u8; 64]) -> Marks {
        let mut marks = Marks::default();
        for (i, piece) in block.as_chunks::<16>().0.iter().enumerate() {
            let piece = load(piece);
            let bits = |hits: i8x16| u64::from(hits.to_bitmask()) << (16 * i);
            marks.ends |= bits(equal(piece, b'\n'));
            marks.commas |= bits(equal(piece, b',') | equal(piece, b'"'));
            marks.unusual |= bits(piece.simd_lt(i8x16::splat(0x20)));
        }
        marks
    }
}

/// The end of a line, and what stood in it.
#[derive(Clone, Copy)]
pub(crate) struct LineEnd {
    /// One past its LF.
    pub(crate) end: usize,
    /// It holds neither a comma nor a quote.
    pub(crate) plain: bool,
}

/// The lines of a text, one after the other.
pub(crate) struct LineEnds<'a> {
    text: &'a [u8],
    /// Where the block at hand begins, and where the one after it does.
    block: usize,
    next: usize,
    marks: Marks,
    /// The line ends of the block that were not given yet.
    left: u64,
    /// Something stood between the last line end and this block.
    commas_before: bool,
    /// Before this block stands something unusual.
    unusual: bool,
}

/// The last byte of a block.
const LAST: u64 = 1 << 63;

impl<'a> LineEnds<'a> {
    pub(crate) fn new(text: &'a [u8]) -> LineEnds<'a> {
        let marks = Marks::default();
        LineEnds { text, block: 0, next: 0, marks, left: 0, commas_before: false, unusual: false }
    }

    /// The next one; `None` where no LF follows.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<LineEnd> {
        while self.left == 0 {
            self.turn()?;
        }
        let bit = self.left.trailing_zeros();
        let before = (1 << bit) - 1;
        let plain = !self.commas_before && self.marks.commas & before == 0;
        self.commas_before = false;
        self.marks.commas &= !before;
        self.left &= self.left - 1;
        Some(LineEnd { end: self.block + bit as usize + 1, plain })
    }

    /// Goes on to the next block.
    fn turn(&mut self) -> Option<()> {
        let rest = self.text.get(self.next..).filter(|rest| !rest.is_empty())?;
        let marks = match rest.first_chunk::<64>() {
            Some(block) => Marks::of(block),
            None => {
                let mut block = [b' '; 64];
                block.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
                Marks::of(&block)
            }
        };
        // The line end of the last byte may stand in the next block.
        let beside = self.marks.beside_ends();
        self.unusual |= beside & !LAST != 0 || beside & LAST != 0 && marks.ends & 1 == 0;
        self.commas_before |= self.marks.commas != 0;
        self.block = self.next;
        self.next += 64;
        (self.marks, self.left) = (marks, marks.ends);
        Some(())
    }

    /// Is there anything before this line end, the last one given, that is no printable ASCII (DEL aside), no LF and not right
    /// before one?
    pub(crate) fn is_unusual_before(&self, end: usize) -> bool {
        let inside = end.saturating_sub(self.block).min(64) as u32;
        let before = 1u64.checked_shl(inside).map_or(u64::MAX, |bit| bit - 1);
        self.unusual || self.marks.beside_ends() & before != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_found_where_it_first_stands() {
        for length in 0..50 {
            for at in 0..length {
                // Bytes beside the wanted one that differ in the lowest or the highest bit only.
                for other in [b';' ^ 1, b';' ^ 0x80, b';' - 1, b';' + 1, 0, 255] {
                    let mut s = vec![other; length];
                    assert_eq!(find(b';', &s), None);
                    s[at] = b';';
                    assert_eq!(find(b';', &s), Some(at), "{at} of {length}");
                    assert_eq!(find_either(b',', b';', &s), Some(at));
                    s[length - 1] = b';';
                    assert_eq!(find(b';', &s), Some(at));
                }
            }
        }
    }

    #[test]
    fn the_few_bytes_of_a_class_are_found_wherever_they_stand() {
        for length in [1, 3, 7, 8, 9, 15, 16, 17, 31, 40] {
            for b in 0..=255u8 {
                for at in 0..length {
                    let mut s = vec![b'a'; length];
                    s[at] = b;
                    assert_eq!(until_at(&s), until(&s, AT | NOT_URI), "{b} at {at}");
                    assert_eq!(until_param_stop(&s), until(&s, PARAM_STOP), "{b} at {at}");
                    // What looks like one comes before it.
                    s[0] = 0xff;
                    assert_eq!(until_at(&s), until(&s, AT | NOT_URI), "{b} at {at}");
                    assert_eq!(until_param_stop(&s), until(&s, PARAM_STOP), "{b} at {at}");
                    assert_eq!((until_at(&s[..at]), until_param_stop(&s[..at])), (at, at));
                }
            }
        }
    }

    #[test]
    fn lines_end_where_they_end() {
        let mut seed = 7u64;
        for length in 0..300 {
            let text: Vec<u8> = (0..length)
                .map(|_| {
                    seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                    match seed >> 56 {
                        0..8 => b'\n',
                        8..12 => b',',
                        12..16 => b'"',
                        16..24 => b'\r',
                        24 => 0xe9,
                        _ => b'a',
                    }
                })
                .collect();
            let unusual = |text: &[u8]| {
                let lines = text.split(|b| *b == b'\n');
                let inner = |line: &[u8]| line.split_last().map_or(vec![], |(_, inner)| inner.to_vec());
                lines.flat_map(inner).any(|b| !(0x20..0x80).contains(&b))
            };
            let mut lines = LineEnds::new(&text);
            let mut start = 0;
            for line in text.split_inclusive(|b| *b == b'\n').filter(|line| line.ends_with(b"\n")) {
                let found = lines.next().expect("a line");
                assert_eq!(found.end, start + line.len());
                assert_eq!(found.plain, !line.contains(&b',') && !line.contains(&b'"'), "{line:?}");
                assert_eq!(lines.is_unusual_before(found.end), unusual(&text[..found.end]));
                start = found.end;
            }
            assert!(lines.next().is_none());
        }
    }
}
