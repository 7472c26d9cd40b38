//! JSON objects skimmed in one pass: which members they have and where their values stand. What is valid and
//! unusual is left to `serde_json`, as are the words for what is wrong.

/// How deep values may be nested.
const DEPTH: usize = 64;

/// Hands each member of the object `json` to `take`, as its name and its value. `None` when it is not a JSON
/// object, or one that only `serde_json` reads: names with escapes, values nested deeper than [`DEPTH`].
pub(crate) fn members<'a>(json: &'a str, mut take: impl FnMut(&'a str, &'a str)) -> Option<()> {
    let mut scan = Scan { bytes: json.as_bytes(), at: 0 };
    scan.space();
    scan.expect(b'{')?;
    scan.space();
    if scan.peek()? == b'}' {
        scan.at += 1;
    } else {
        loop {
            let start = scan.at;
            if scan.string()? {
                return None;
            }
            let name = json.get(start + 1..scan.at - 1)?;
            scan.space();
            scan.expect(b':')?;
            scan.space();
            let start = scan.at;
            scan.value(DEPTH)?;
            take(name, json.get(start..scan.at)?);
            scan.space();
            if scan.next()? == b'}' {
                break;
            }
            scan.back(b',')?;
            scan.space();
        }
    }
    scan.space();
    (scan.at == json.len()).then_some(())
}

/// A place in JSON. What is skipped is valid.
struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, wanted: u8) -> Option<()> {
        (self.next()? == wanted).then_some(())
    }

    /// Whether the byte just taken is `wanted`.
    fn back(&self, wanted: u8) -> Option<()> {
        (self.bytes.get(self.at.checked_sub(1)?) == Some(&wanted)).then_some(())
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'{' => self.list(depth, b'}', true),
            b'[' => self.list(depth, b']', false),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    /// Values between brackets, with names before them in an object.
    fn list(&mut self, depth: usize, end: u8, names: bool) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        self.at += 1;
        self.space();
        if self.peek()? == end {
            self.at += 1;
            return Some(());
        }
        loop {
            if names {
                self.string()?;
                self.space();
                self.expect(b':')?;
                self.space();
            }
            self.value(depth)?;
            self.space();
            if self.next()? == end {
                return Some(());
            }
            self.back(b',')?;
            self.space();
        }
    }

    /// A string; whether it has escapes.
    fn string(&mut self) -> Option<bool> {
        self.expect(b'"')?;
        let mut escaped = false;
        loop {
            match self.next()? {
                b'"' => return Some(escaped),
                b'\\' => {
                    escaped = true;
                    match self.next()? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                        b'u' => {
                            let digits = self.bytes.get(self.at..self.at + 4)?;
                            digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
                            self.at += 4;
                        }
                        _ => return None,
                    }
                }
                0..0x20 => return None,
                _ => {}
            }
        }
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.bytes.get(self.at..)?.starts_with(word).then(|| self.at += word.len())
    }

    /// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`, RFC 8259 §6.
    fn number(&mut self) -> Option<()> {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        if self.peek()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    /// What `serde_json` makes of it, in the order of the text.
    fn by_the_book(json: &str) -> Option<Vec<String>> {
        let object: std::collections::BTreeMap<String, &RawValue> = serde_json::from_str(json).ok()?;
        Some(object.into_iter().map(|(name, value)| format!("{name}={}", value.get())).collect())
    }

    fn skimmed(json: &str) -> Option<Vec<String>> {
        let mut found = std::collections::BTreeMap::new();
        members(json, |name, value| drop(found.insert(name.to_owned(), value.to_owned())))?;
        Some(found.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
    }

    const OBJECTS: [&str; 12] = [
        "{}",
        " { } ",
        r#"{"a":1}"#,
        r#"{"a":"x\"y\\z\u00e9","b":[1,{"c":[]},"ü"],"d":{}}"#,
        "{\r\n\t\"a\" : -0.5e+10 , \"b\":true,\"c\":false , \"d\":null}",
        r#"{"a":[ ],"b":[[[[]]]],"c":{"d":{"e":"f"}}}"#,
        r#"{"a":0,"b":-1,"c":10,"d":1E5,"e":1.25}"#,
        r#"{"id":"1795228565.0","name":"PJSIP/1001-00000000","caller":{"name":"Alice","number":"1001"}}"#,
        r#"{"":""}"#,
        r#"{"a":1,"a":2}"#,
        r#"{"x":"\/\b\f\n\r\t"}"#,
        "{\"a\":\"\u{7f}\u{80}\u{10ffff}\"}",
    ];

    #[test]
    fn members_are_those_of_serde_json() {
        for json in OBJECTS {
            assert_eq!(skimmed(json), by_the_book(json), "{json}");
            assert!(skimmed(json).is_some(), "{json}");
        }
    }

    /// Every text that is one change away from an object is read as `serde_json` reads it, or left to it.
    #[test]
    fn nothing_is_taken_that_serde_json_refuses() {
        let with = b"\"\\{}[]:,0-.eEtn \x01xu";
        for json in OBJECTS {
            for at in 0..json.len() {
                let (before, after) = json.as_bytes().split_at(at);
                let shorter = [before, &after[1..]].concat();
                let changes = with.iter().flat_map(|byte| {
                    let replaced = [before, &[*byte], &after[1..]].concat();
                    let inserted = [before, &[*byte], after].concat();
                    [replaced, inserted]
                });
                for changed in changes.chain([shorter, before.to_vec()]) {
                    let Ok(text) = String::from_utf8(changed) else { continue };
                    if let Some(found) = skimmed(&text) {
                        assert_eq!(Some(found), by_the_book(&text), "{text}");
                    }
                }
            }
        }
    }

    #[test]
    fn deep_nesting_is_left_to_serde_json() {
        let nested = |depth: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        assert!(skimmed(&nested(DEPTH)).is_some());
        assert!(skimmed(&nested(DEPTH + 1)).is_none());
        assert!(skimmed(&nested(1_000_000)).is_none());
        assert!(skimmed(r#"{"\u0061":1}"#).is_none(), "a name with an escape");
    }
}
