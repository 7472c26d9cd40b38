//! A file for a client: cut into messages while it is read, so that it is never in memory as a whole.

use crate::json::JsonWriter;

/// Bytes of a file in one message at most, before base64.
const PART: usize = 256 * 1024;

/// What a message of a file has besides its part, the name and the type.
const HEAD: usize = 256;

/// Cuts the file of a stored recording into messages. Each tells its offset and the whole size, so
/// that a client sees when something is missing and when it has everything.
#[derive(Debug)]
pub struct FileParts {
    name: String,
    content_type: String,
    total: u64,
    /// Bytes of a part.
    size: usize,
    /// Where the next part begins.
    next: u64,
    /// Of the next part, what has come.
    held: Vec<u8>,
    told: bool,
}

impl FileParts {
    pub(crate) fn new(name: String, content_type: &str, total: u64, limit: usize) -> Self {
        let room = limit.saturating_sub(HEAD + name.len() + content_type.len());
        let size = (room / 4 * 3).clamp(3, PART);
        let content_type = content_type.to_owned();
        FileParts { name, content_type, total, size, next: 0, held: Vec::new(), told: false }
    }

    /// The one message of a file that is whole already.
    pub(crate) fn whole(mut self, mut body: &[u8]) -> Vec<u8> {
        self.size = usize::MAX;
        self.take(&mut body).unwrap_or_default()
    }

    /// Takes as much of `bytes` as the next message holds; the message, when it is full or the last.
    /// To be called again until it gives none. What comes beyond the whole size is not taken.
    pub fn take(&mut self, bytes: &mut &[u8]) -> Option<Vec<u8>> {
        let left = usize::try_from(self.total.saturating_sub(self.next)).unwrap_or(usize::MAX);
        let part = left.min(self.size);
        let (now, later) = bytes.split_at(bytes.len().min(part.saturating_sub(self.held.len())));
        *bytes = later;
        self.held.extend_from_slice(now);
        // An empty file is one message too.
        let due = self.held.len() >= part && (part > 0 || !self.told);
        due.then(|| self.message())
    }

    /// Whether every byte of the file is in a message.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.told && self.next >= self.total
    }

    fn message(&mut self) -> Vec<u8> {
        let mut part = JsonWriter::with_capacity(self.held.len() * 4 / 3 + HEAD);
        part.text("name", &self.name)
            .text("content_type", &self.content_type)
            .integer("offset", i64::try_from(self.next).unwrap_or(i64::MAX))
            .integer("total", i64::try_from(self.total).unwrap_or(i64::MAX))
            .text("content", &crate::base64::encode(&self.held));
        self.next += self.held.len() as u64;
        self.told = true;
        self.held.clear();
        crate::exchange::wrap("file", &part.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The messages of a file whose bytes come `at_once`.
    fn messages(body: &[u8], limit: usize, at_once: usize) -> Vec<Vec<u8>> {
        let mut parts = FileParts::new("r".to_owned(), "audio/x-wav", body.len() as u64, limit);
        let mut messages = Vec::new();
        let empty: &[u8] = &[];
        for mut piece in body.chunks(at_once).chain([empty]) {
            while let Some(message) = parts.take(&mut piece) {
                messages.push(message);
            }
            assert!(piece.is_empty());
        }
        assert!(parts.is_whole());
        messages
    }

    #[test]
    fn a_file_is_cut_to_the_limit_and_told_whole() {
        for (size, limit) in [(0, 4096), (1, 4096), (10_000, 1024), (1_000_000, 1 << 20), (900, 0)] {
            for at_once in [1, 7, 4096, 1 << 20] {
                let body: Vec<u8> = (0..size).map(|n: u32| n.to_le_bytes()[0]).collect();
                let mut whole = Vec::new();
                for message in messages(&body, limit, at_once) {
                    assert!(message.len() <= limit.max(HEAD), "{} of {limit}", message.len());
                    let value: serde_json::Value = serde_json::from_slice(&message).unwrap();
                    let part = &value["data"]["file"];
                    let place = (part["offset"].as_u64(), part["total"].as_u64());
                    assert_eq!(place, (Some(whole.len() as u64), Some(u64::from(size))));
                    whole.extend(crate::base64::decode(part["content"].as_str().unwrap()).unwrap());
                }
                assert!(whole == body);
            }
        }
    }

    #[test]
    fn what_is_not_told_is_not_taken_and_what_lacks_shows() {
        let mut parts = FileParts::new("r".to_owned(), "", 3, 4096);
        let mut bytes: &[u8] = b"ab";
        assert_eq!(parts.take(&mut bytes), None);
        assert!(!parts.is_whole());
        bytes = b"cdef";
        assert!(parts.take(&mut bytes).is_some());
        assert_eq!((parts.take(&mut bytes), bytes), (None, &b"def"[..]));
        assert!(parts.is_whole());
    }
}
