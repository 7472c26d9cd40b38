//! Text that may be shown on a terminal.

use std::borrow::Cow;

/// Is this a character that a terminal interprets: a control character, or a mark that changes the writing direction?
pub fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text of one line, with escapes (`\u{1b}`) in place of what a terminal would obey: names and the User-Agent of a
/// phone come from strangers.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_obeyed(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// A text of several lines, JSON for one, with `\u001b` in place of what a terminal would obey: for the readers of JSON it is the same.
pub fn printable_json(text: &str) -> Cow<'_, str> {
    let hidden = |c: char| is_obeyed(c) && c != '\n' && c != '\t';
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let shown = |c: char| if hidden(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    // Lines of CSV end with CRLF (RFC 4180 §2).
    let lines: Vec<String> = text.split("\r\n").map(|line| line.chars().map(shown).collect()).collect();
    Cow::Owned(lines.join("\r\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_obeyed() {
        assert_eq!(printable("☎️ Zoë 🎉 漢字"), "☎️ Zoë 🎉 漢字");
        assert_eq!(printable("a\x1b[31mb\n\t\u{9b}1m"), "a\\u{1b}[31mb\\n\\t\\u{9b}1m");
        assert_eq!(printable("gpj.\u{202e}exe"), "gpj.\\u{202e}exe");
    }

    #[test]
    fn json_says_the_same_without_what_is_obeyed() {
        let text =
            serde_json::to_string_pretty(&["a\u{9b}31m\u{202e}b\u{7f}\u{1b}", "\tplain ä"]).expect("JSON");
        let shown = printable_json(&text);
        assert!(!shown.contains(|c| is_obeyed(c) && c != '\n'), "{shown}");
        let [was, is] = [&text, &*shown].map(|json| serde_json::from_str::<Vec<String>>(json).expect("JSON"));
        assert_eq!(was, is);
        assert!(matches!(printable_json("{\n}\n"), Cow::Borrowed(_)));
        assert_eq!(printable_json("a,b\r\nc\rd\r\n"), "a,b\r\nc\\u000dd\r\n");
    }
}
