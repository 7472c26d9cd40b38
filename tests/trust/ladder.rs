//! What went over the wires in one history, for when it fails.

use std::fmt::Write as _;

use super::cast::Who;

#[derive(Debug, Default)]
pub struct Ladder {
    lines: Vec<(Who, bool, Vec<u8>)>,
    notes: Vec<(usize, String)>,
}

impl Ladder {
    pub fn clear(&mut self) {
        self.lines.clear();
        self.notes.clear();
    }

    /// What comes next, in words.
    pub fn note(&mut self, text: String) {
        self.notes.push((self.lines.len(), text));
    }

    pub fn sent(&mut self, who: Who, bytes: &[u8]) {
        self.lines.push((who, true, bytes.to_vec()));
    }

    pub fn got(&mut self, who: Who, bytes: &[u8]) {
        self.lines.push((who, false, bytes.to_vec()));
    }

    /// The last message, whole.
    pub fn last(&self) -> String {
        self.lines.last().map_or(String::new(), |(_, _, bytes)| String::from_utf8_lossy(bytes).into_owned())
    }

    /// What was being done, in words.
    pub fn about(&self) -> &str {
        self.notes.last().map_or("", |(_, text)| text)
    }

    /// A line for each message, the last `whole` of them in full.
    pub fn print(&self, whole: usize) -> String {
        let mut out = String::new();
        let mut notes = self.notes.iter().peekable();
        for (n, (who, sent, bytes)) in self.lines.iter().enumerate() {
            while let Some((_, text)) = notes.next_if(|(at, _)| *at <= n) {
                let _ = writeln!(out, "     -- {text}");
            }
            let text = String::from_utf8_lossy(bytes);
            let arrow = if *sent { "->" } else { "<-" };
            let head = text.lines().next().unwrap_or_default();
            let _ = writeln!(out, "{n:4} {:<9}{arrow} {head}", format!("{who:?}"));
            if n + whole >= self.lines.len() {
                for line in text.lines().skip(1).filter(|line| !line.is_empty()) {
                    let _ = writeln!(out, "               | {line}");
                }
            }
        }
        for (_, text) in notes {
            let _ = writeln!(out, "     -- {text}");
        }
        out
    }
}
