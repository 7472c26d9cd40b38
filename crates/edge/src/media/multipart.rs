//! Bodies of several parts, RFC 2046 §5.1: an SDP may stand beside others, such as the ISUP of a gateway (RFC 3204 §3).

use memchr::memmem;
use trunkline_sip::{Params, unquote};

/// Parts within parts, at most.
const DEEPEST: u8 = 3;
/// Parts of one body that are looked at, at most.
const MOST_PARTS: usize = 16;

/// The first SDP of a body of this type: the body itself, or one of its parts.
pub(super) fn sdp_in<'a>(kind: &[u8], body: &'a [u8]) -> Option<&'a [u8]> {
    sdp_within(kind, body, DEEPEST)
}

fn sdp_within<'a>(kind: &[u8], body: &'a [u8], depth: u8) -> Option<&'a [u8]> {
    let end = kind.iter().position(|b| *b == b';').unwrap_or(kind.len());
    let (name, params) = kind.split_at_checked(end)?;
    let name = name.trim_ascii();
    if name.eq_ignore_ascii_case(b"application/sdp") {
        return (!body.is_empty()).then_some(body);
    }
    let several = name.get(..10).is_some_and(|start| start.eq_ignore_ascii_case(b"multipart/"));
    if !several || depth == 0 {
        return None;
    }
    let boundary = Params::new(params.trim_ascii()).get("boundary").flatten().map(unquote)?;
    let delimiter = [b"--", boundary].concat();
    let mut rest = after_delimiter(body, &delimiter)?.1;
    for _ in 0..MOST_PARTS {
        let (part, next) = after_delimiter(rest, &delimiter)?;
        let (headers, content) = split_headers(part);
        if let Some(sdp) = header(headers, "content-type", "c")
            .filter(|_| is_plain(headers))
            .and_then(|kind| sdp_within(kind, content, depth - 1))
        {
            return Some(sdp);
        }
        rest = next;
    }
    None
}

/// What stands before the next line with the delimiter, without the line end that belongs to it, and what after that line.
fn after_delimiter<'a>(text: &'a [u8], delimiter: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = memmem::find_iter(text, delimiter).find(|at| {
        let begins = at.checked_sub(1).is_none_or(|before| text.get(before) == Some(&b'\n'));
        let after = text.get(at + delimiter.len()..).unwrap_or_default();
        // A longer word is another boundary.
        begins && matches!(after.first(), None | Some(b'\r' | b'\n' | b' ' | b'\t' | b'-'))
    })?;
    let before = text.get(..at)?;
    let before = before.strip_suffix(b"\n").unwrap_or(before);
    let before = before.strip_suffix(b"\r").unwrap_or(before);
    let line = text.get(at..)?;
    let end = memchr::memchr(b'\n', line).map_or(line.len(), |end| end + 1);
    Some((before, line.get(end..)?))
}

/// The header lines of a part and its content; there may be none of the former.
fn split_headers(part: &[u8]) -> (&[u8], &[u8]) {
    for empty in [&b"\r\n"[..], b"\n"] {
        if let Some(content) = part.strip_prefix(empty) {
            return (b"", content);
        }
    }
    let ends = [(&b"\r\n\r\n"[..], 4), (b"\n\n", 2)];
    let end = ends.iter().filter_map(|(end, length)| Some((memmem::find(part, end)?, *length))).min();
    let Some((at, length)) = end else { return (part, b"") };
    (part.get(..at).unwrap_or_default(), part.get(at + length..).unwrap_or_default())
}

fn header<'a>(headers: &'a [u8], name: &str, compact: &str) -> Option<&'a [u8]> {
    headers.split(|b| *b == b'\n').find_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        let (known, value) = line.split_at_checked(colon)?;
        let known = known.trim_ascii();
        let is = |name: &str| known.eq_ignore_ascii_case(name.as_bytes());
        (is(name) || is(compact)).then(|| value.get(1..).unwrap_or_default().trim_ascii())
    })
}

/// Does the part stand there as it is, not in an encoding such as base64 (RFC 2045 §6)?
fn is_plain(headers: &[u8]) -> bool {
    let encoding = header(headers, "content-transfer-encoding", "content-transfer-encoding");
    encoding
        .is_none_or(|e| [&b"7bit"[..], b"8bit", b"binary"].iter().any(|plain| e.eq_ignore_ascii_case(plain)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sdp<'a>(kind: &str, body: &'a str) -> Option<&'a str> {
        sdp_in(kind.as_bytes(), body.as_bytes()).map(|sdp| std::str::from_utf8(sdp).unwrap())
    }

    const MIXED: &str = "multipart/mixed; boundary=b1";

    #[test]
    fn the_sdp_beside_others_is_found() {
        let isup = "--b1\r\nContent-Type: application/ISUP;version=itu-t92+;base=itu-t92+\r\n\
                    Content-Disposition: signal;handling=optional\r\n\r\n\u{1}\u{0}--b2\r\n";
        let with =
            |headers: &str| format!("pre\r\n{isup}--b1\r\n{headers}\r\n\r\nv=0\r\ns=-\r\n\r\n--b1--\r\npost");
        for headers in [
            "Content-Type: application/sdp",
            "c:Application/SDP ;x=y",
            "X: y\r\ncontent-type : application/sdp",
        ] {
            assert_eq!(sdp(MIXED, &with(headers)), Some("v=0\r\ns=-\r\n"), "{headers}");
        }
        for quoted in ["Multipart/Mixed;boundary=\"b1\"", "multipart/related;type=a/b ; Boundary=b1"] {
            assert_eq!(sdp(quoted, &with("c: application/sdp")), Some("v=0\r\ns=-\r\n"), "{quoted}");
        }
        for none in ["c: text/plain", "", "c: application/sdp\r\nContent-Transfer-Encoding: base64"] {
            assert_eq!(sdp(MIXED, &with(none)), None, "{none}");
        }
        assert_eq!(sdp("text/plain; boundary=b1", &with("c: application/sdp")), None);
        assert_eq!(sdp("application/sdp", "v=0\r\n"), Some("v=0\r\n"));
        assert_eq!(sdp("application/sdp", ""), None);
    }

    #[test]
    fn first_parts_parts_of_parts_and_other_boundaries() {
        let first = "--b1\r\nc: application/sdp\r\n\r\nv=0\r\n--b11\r\n\r\n--b1\r\n\r\nx\r\n--b1--";
        assert_eq!(sdp(MIXED, first), Some("v=0\r\n--b11\r\n"));
        let inner = "--b1\r\nc: multipart/alternative;boundary=in\r\n\r\n--in\r\nc: application/sdp\r\n\r\nv=0\r\n--in--\r\n--b1--\r\n";
        assert_eq!(sdp(MIXED, inner), Some("v=0"));
        let bare = "--b1\nc: application/sdp\n\nv=0\n--b1--\n";
        assert_eq!(sdp(MIXED, bare), Some("v=0"));
        for broken in [
            "",
            "--b1",
            "--b1\r\n",
            "--b1--",
            "--b1\r\nc: application/sdp\r\n\r\nv=0\r\n",
            "x--b1\r\n\r\n--b1--",
        ] {
            assert_eq!(sdp(MIXED, broken), None, "{broken}");
        }
        assert_eq!(sdp("multipart/mixed", first), None, "no boundary");
    }
}
