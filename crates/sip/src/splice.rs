//! Forwarding without serialising: edits by position, applied while the message is copied once.

use crate::index::Span;

/// One edit: at `at` leave out `delete` bytes and put in a stretch of the arena, which may hold more than a message.
#[derive(Clone, Copy, Debug)]
struct Edit {
    at: u16,
    delete: u16,
    insert: (u32, u32),
}

/// A list of edits to one message. Used again and again, it stops allocating.
#[derive(Clone, Debug, Default)]
pub struct Splices {
    edits: Vec<Edit>,
    arena: Vec<u8>,
}

impl Splices {
    /// Forgets all edits, keeps the memory.
    pub fn clear(&mut self) {
        self.edits.clear();
        self.arena.clear();
    }

    /// Leaves out a stretch.
    pub fn delete(&mut self, span: Span) {
        self.push(Edit { at: span.start, delete: span.end.saturating_sub(span.start), insert: (0, 0) });
    }

    /// Puts text in before byte `at`. Several at one place come out in the order of their calls.
    pub fn insert(&mut self, at: u16, text: &[u8]) {
        self.insert_with(at, |out| out.extend_from_slice(text));
    }

    /// Puts in what `write` appends, before byte `at`.
    pub fn insert_with(&mut self, at: u16, write: impl FnOnce(&mut Vec<u8>)) {
        self.replace_with(Span { start: at, end: at }, write);
    }

    /// Puts text in the place of a stretch.
    pub fn replace(&mut self, span: Span, text: &[u8]) {
        self.replace_with(span, |out| out.extend_from_slice(text));
    }

    /// Puts what `write` appends in the place of a stretch.
    pub fn replace_with(&mut self, span: Span, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.arena.len() as u32;
        write(&mut self.arena);
        let insert = (start, self.arena.len() as u32);
        self.push(Edit { at: span.start, delete: span.end.saturating_sub(span.start), insert });
    }

    fn push(&mut self, edit: Edit) {
        // Edits come nearly sorted; a stable insertion from the back costs less than a sort.
        let place = self.edits.iter().rposition(|e| e.at <= edit.at).map_or(0, |i| i + 1);
        self.edits.insert(place, edit);
    }

    /// Appends `bytes[..end]` with the edits to `out`. Overlapping deletions delete their union, and what was to be put
    /// inside one.
    pub fn apply(&self, bytes: &[u8], end: u16, out: &mut Vec<u8>) {
        let end = usize::from(end).min(bytes.len());
        out.reserve(end + self.arena.len());
        let mut at = 0usize;
        for e in &self.edits {
            let start = usize::from(e.at).min(end);
            if let Some(kept) = bytes.get(at..start) {
                out.extend_from_slice(kept);
            }
            if start >= at {
                let (from, to) = (e.insert.0 as usize, e.insert.1 as usize);
                out.extend_from_slice(self.arena.get(from..to).unwrap_or_default());
            }
            at = at.max(start + usize::from(e.delete)).min(end);
        }
        out.extend_from_slice(bytes.get(at..end).unwrap_or_default());
    }

    /// Does an edit change something of this stretch?
    pub fn change(&self, span: Span) -> bool {
        let ends = |e: &Edit| u32::from(e.at) + u32::from(e.delete);
        let touches = |e: &Edit| e.at < span.end && (e.at >= span.start || ends(e) > u32::from(span.start));
        self.edits.iter().any(|e| touches(e) && (e.delete > 0 || e.at > span.start))
    }

    /// Is there nothing to change?
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_in_any_order() {
        let mut s = Splices::default();
        s.replace(Span { start: 8, end: 9 }, b"I");
        s.insert(2, b"<");
        s.insert(2, b"+");
        s.delete(Span { start: 4, end: 6 });
        let mut out = Vec::new();
        s.apply(b"0123456789", 10, &mut out);
        assert_eq!(out, b"01<+2367I9");
        out.clear();
        s.apply(b"0123456789", 5, &mut out);
        assert_eq!(out, b"01<+23I");
    }

    #[test]
    fn more_may_be_put_in_than_a_message_holds() {
        let mut s = Splices::default();
        let much = vec![b'x'; 60_000];
        s.insert(1, &much);
        s.insert(2, &much);
        s.insert(3, b"end");
        let mut out = Vec::new();
        s.apply(b"0123", 4, &mut out);
        assert_eq!(out, [b"0", &much[..], b"1", &much, b"2end3"].concat());
    }

    #[test]
    fn nothing_is_put_inside_what_is_left_out() {
        let mut s = Splices::default();
        s.delete(Span { start: 2, end: 6 });
        s.replace(Span { start: 5, end: 6 }, b"X");
        s.insert(6, b"+");
        let mut out = Vec::new();
        s.apply(b"0123456789", 10, &mut out);
        assert_eq!(out, b"01+6789");
    }
}
