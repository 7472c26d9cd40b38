//! Forwarding without serialising: edits by position, applied while the message is copied once.

use crate::index::Span;

/// One edit: at `at` leave out `delete` bytes and put in `insert` (a stretch of the arena).
#[derive(Clone, Copy, Debug)]
struct Edit {
    at: u16,
    delete: u16,
    insert: Span,
}

/// A list of edits to one message. Used again and again, it stops allocating.
#[derive(Clone, Debug, Default)]
pub struct Splices {
    edits: Vec<Edit>,
    arena: Vec<u8>,
    open: u16,
}

impl Splices {
    /// Forgets all edits, keeps the memory.
    pub fn clear(&mut self) {
        self.edits.clear();
        self.arena.clear();
    }

    /// Leaves out a stretch.
    pub fn delete(&mut self, span: Span) {
        let insert = Span::default();
        self.push(Edit { at: span.start, delete: span.end.saturating_sub(span.start), insert });
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
        self.open = self.arena.len() as u16;
        write(&mut self.arena);
        let insert = Span { start: self.open, end: self.arena.len() as u16 };
        self.push(Edit { at: span.start, delete: span.end.saturating_sub(span.start), insert });
    }

    fn push(&mut self, edit: Edit) {
        // Edits come nearly sorted; a stable insertion from the back costs less than a sort.
        let place = self.edits.iter().rposition(|e| e.at <= edit.at).map_or(0, |i| i + 1);
        self.edits.insert(place, edit);
    }

    /// Appends `bytes[..end]` with the edits to `out`. Overlapping deletions delete their union.
    pub fn apply(&self, bytes: &[u8], end: u16, out: &mut Vec<u8>) {
        let end = usize::from(end).min(bytes.len());
        out.reserve(end + self.arena.len());
        let mut at = 0usize;
        for e in &self.edits {
            let start = usize::from(e.at).min(end);
            if let Some(kept) = bytes.get(at..start) {
                out.extend_from_slice(kept);
            }
            out.extend_from_slice(e.insert.of(&self.arena));
            at = at.max(start + usize::from(e.delete)).min(end);
        }
        out.extend_from_slice(bytes.get(at..end).unwrap_or_default());
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
}
