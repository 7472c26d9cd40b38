//! JSON written straight into a buffer.

/// Writes `text` as a JSON string.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    let plain = text.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\');
    if plain {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        // Writing into a Vec cannot fail.
        let _ = serde_json::to_writer(out, text);
    }
}

/// Whether a raw value is what Go omits as empty.
pub(crate) fn is_empty(raw: &str) -> bool {
    matches!(raw, "" | "\"\"" | "0" | "null" | "false" | "[]" | "{}")
}

/// A JSON object being written. Names are ours and need no escaping.
pub(crate) struct JsonWriter {
    out: Vec<u8>,
}

impl JsonWriter {
    pub(crate) fn new() -> Self {
        JsonWriter::with_capacity(64)
    }

    pub(crate) fn with_capacity(bytes: usize) -> Self {
        let mut out = Vec::with_capacity(bytes);
        out.push(b'{');
        JsonWriter { out }
    }

    /// Goes on with an object that stands open at the end of `out`.
    pub(crate) fn reopen(out: Vec<u8>) -> Self {
        JsonWriter { out }
    }

    fn name(&mut self, name: &str) {
        if self.out.last() != Some(&b'{') {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    pub(crate) fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.name(name);
        write_text(&mut self.out, value);
        self
    }

    pub(crate) fn text_unless_empty(&mut self, name: &str, value: &str) -> &mut Self {
        if !value.is_empty() {
            self.text(name, value);
        }
        self
    }

    pub(crate) fn raw(&mut self, name: &str, value: &str) -> &mut Self {
        self.name(name);
        self.out.extend_from_slice(value.as_bytes());
        self
    }

    pub(crate) fn raw_unless_empty(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) if !is_empty(value) => self.raw(name, value),
            _ => self,
        }
    }

    pub(crate) fn integer(&mut self, name: &str, value: i64) -> &mut Self {
        self.raw(name, &value.to_string())
    }

    /// Opens a member that `write` fills; the buffer is handed on, nothing is copied.
    pub(crate) fn nested(&mut self, name: &str, write: impl FnOnce(&mut Vec<u8>)) -> &mut Self {
        self.name(name);
        write(&mut self.out);
        self
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.out.push(b'}');
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_separated_and_escaped() {
        let mut w = JsonWriter::new();
        w.text("a", "x\"y\n")
            .text_unless_empty("b", "")
            .raw("c", "[1]")
            .raw_unless_empty("d", Some("\"\""))
            .integer("e", 5);
        assert_eq!(w.finish(), br#"{"a":"x\"y\n","c":[1],"e":5}"#);
        assert_eq!(JsonWriter::new().finish(), b"{}");
    }
}
