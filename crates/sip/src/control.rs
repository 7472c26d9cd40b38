//! Characters that another SIP stack may take for the end of a line, or for the end of the text.
//!
//! A CR alone ends a line for some stacks, NUL a text of C, and VT, FF, the separators FS, GS, RS, NEL, LINE SEPARATOR and
//! PARAGRAPH SEPARATOR end lines for the string functions of some languages. What passed them on would let a sender add
//! header lines that we have not judged. The grammar has them in quoted pairs alone (RFC 3261 §25.1); of those NUL may
//! stand (RFC 4475 §3.1.1.2), the others are sent by nobody. The rest of C0 may stand in quoted pairs, too.

/// May a character end a line elsewhere? CR and LF are judged by their place.
fn is_foreign(c: char) -> bool {
    matches!(c, '\0' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Other control characters of C0, which may stand in quoted pairs alone. TAB is white space, SO, SI and ESC switch the sets of
/// old encodings (ISO 2022), BEL does nothing but at a terminal; CR and LF are judged by their place.
fn is_bare(b: u8) -> bool {
    b < 0x20 && !matches!(b, 0x07 | b'\t' | b'\n' | b'\r' | 0x0e | 0x0f | 0x1b)
}

/// The same byte in a text that is no UTF-8, which a stack may read as Latin-1.
const NEL: u8 = 0x85;

/// The lines of a head.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lines {
    /// All of them.
    pub(crate) all: usize,
    /// Those that end in CR LF.
    pub(crate) crlf: usize,
}

impl Lines {
    /// Counts the last line of `text`, which ends in LF.
    pub(crate) fn count(&mut self, text: &[u8]) {
        self.all += 1;
        self.crlf += usize::from(matches!(text, [.., b'\r', _]));
    }
}

/// Does the head of a message hold such a character? Its lines all end alike, in CR LF or, which is tolerated, in LF alone.
/// `unusual`: it holds something that is no printable ASCII (DEL aside), no LF and not right before one.
pub(crate) fn is_foul(head: &[u8], unusual: bool, lines: Lines) -> bool {
    if !unusual && lines.crlf == lines.all {
        return false;
    }
    let mixed = lines.crlf != 0 && lines.crlf != lines.all;
    mixed || memchr::memchr_iter(b'\r', head).count() != lines.crlf || has_foreign(head) || has_bare(head)
}

fn has_foreign(head: &[u8]) -> bool {
    let foreign = |c: char| c != '\0' && is_foreign(c);
    head.utf8_chunks().any(|chunk| chunk.valid().contains(foreign) || chunk.invalid().contains(&NEL))
}

/// Is there a control character that is no quoted pair inside a quoted string?
fn has_bare(head: &[u8]) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    head.iter().any(|&b| is_bare(b))
        && head.iter().any(|&b| {
            let bare = is_bare(b) && !escaped;
            match b {
                // A string ends with its line at the latest; what goes on in a folded one is taken for unquoted.
                b'\n' => (quoted, escaped) = (false, false),
                b'"' if !escaped => quoted = !quoted,
                b'\\' => escaped = quoted && !escaped,
                _ => escaped = false,
            }
            bare
        })
}

/// A copy of the head in which each of these characters is blanks, so that it can be quoted in an answer: as long as the
/// original, so that an index of it holds.
pub fn without_control_characters(head: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(head.len());
    for chunk in head.utf8_chunks() {
        for c in chunk.valid().chars() {
            match is_foreign(c) || u8::try_from(c).is_ok_and(is_bare) {
                true => out.resize(out.len() + c.len_utf8(), b' '),
                false => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        out.extend(chunk.invalid().iter().map(|&b| if b == NEL { b' ' } else { b }));
    }
    for i in 0..out.len() {
        let at = |i: usize| out.get(i).copied();
        let (before, this, after) = (i.checked_sub(1).and_then(at), at(i), at(i + 1));
        let bare_cr = this == Some(b'\r') && after != Some(b'\n');
        let bare_fold = this == Some(b'\n') && before != Some(b'\r') && matches!(after, Some(b' ' | b'\t'));
        if let Some(b) = out.get_mut(i).filter(|_| bare_cr || bare_fold) {
            *b = b' ';
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::LineEnds;

    fn is_foul(text: &[u8]) -> bool {
        let mut lines = Lines::default();
        text.split_inclusive(|b| *b == b'\n').for_each(|line| lines.count(line));
        let mut ends = LineEnds::new(text);
        while ends.next().is_some() {}
        super::is_foul(text, ends.is_unusual_before(text.len()), lines)
    }

    #[test]
    fn what_ends_no_line_elsewhere_may_stand() {
        for text in ["Subject: a\tb\r\n", "Subject: \u{e5}\u{c5} \u{2026}\u{ff}\r\n", "a\r\n b\r\n"] {
            assert!(!is_foul(text.as_bytes()), "{text:?}");
            assert_eq!(without_control_characters(text.as_bytes()), text.as_bytes());
        }
        assert!(
            !is_foul(b"Subject: Zw\xf6lf \x1b[1m\r\n"),
            "Latin-1 without NEL, and what only terminals obey"
        );
    }

    #[test]
    fn what_ends_one_elsewhere_may_not() {
        let foul: [&[u8]; 14] = [
            b"a\x08b\r\n",
            b"a\x01b\r\n",
            b"a\x1fb\r\n",
            b"a\rb\r\n",
            b"a\r\r\n",
            b"a\0b\r\n",
            b"a\x0bb\r\n",
            b"a\x0cb\r\n",
            b"a\x1cb\r\n",
            b"a\x1eb\r\n",
            b"a\xc2\x85b\r\n",
            b"a\x85b\r\n",
            "a\u{2028}b\r\n".as_bytes(),
            "a\u{2029}b\r\n".as_bytes(),
        ];
        for text in foul {
            assert!(is_foul(text), "{text:?}");
            let clean = without_control_characters(text);
            assert!(!is_foul(&clean), "{clean:?}");
            assert_eq!(clean.len(), text.len());
        }
        // A quoted pair is the one place for NUL and its like.
        assert!(!is_foul(b"To: \"BS:\\\x08 SOH:\\\x01\" <sip:a@h>\r\n"));
        assert!(!is_foul(b"To: \"NUL:\\\0 \\\"\" <sip:a@h>\r\n"));
        for bare in [&b"To: \"\\\\\0\"\r\n"[..], b"To: \"a\" \\\0\r\n", b"To: \"a\0\"\r\n", b"To: \\\0\r\n"] {
            assert!(is_foul(bare), "{bare:?}");
        }
        assert!(is_foul(b"a\nb\r\n") && is_foul(b"a\r\nb\n"), "line ends are mixed");
        assert!(!is_foul(b"a\nb\n"));
        assert_eq!(without_control_characters(b"a\n b\r\n"), b"a  b\r\n");
    }
}
