//! WebSocket frames, RFC 6455 §5, as a server reads and writes them for SIP (RFC 7118 §4).

use std::ops::Range;

/// The state of a connection between frames.
#[derive(Debug, Default)]
pub(crate) struct WebSocket {
    /// The payload of a message so far, when it came in fragments.
    fragments: Vec<u8>,
    /// Is a fragmented message under way, and is it text?
    fragmented: Option<bool>,
    /// Was a ping sent since something was last heard?
    pub(crate) pinged: bool,
}

/// The frame at the beginning of the bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// A whole message in one frame: its place.
    Message(Range<usize>),
    /// The last piece of a message: [`WebSocket::take`] gives it.
    Gathered,
    /// A ping: the place of what the pong must repeat.
    Ping(Range<usize>),
    /// A pong, or a fragment that others follow.
    Nothing,
    /// The other side closes.
    Close(Range<usize>),
    /// The rest of the frame has not come.
    Incomplete,
    /// The rules are broken: close with this code (RFC 6455 §7.4.1).
    Broken(u16),
}

/// Opcodes, RFC 6455 §5.2.
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
/// Close codes: a protocol error, not the bytes that were promised, too big.
const PROTOCOL: u16 = 1002;
const NOT_TEXT: u16 = 1007;
const TOO_BIG: u16 = 1009;
/// We end the connection.
pub(crate) const GOING_AWAY: u16 = 1001;
/// The other side ended it as it should.
pub(crate) const NORMAL: u16 = 1000;

impl WebSocket {
    /// Reads the frame at the start of `bytes`, unmasks it in place, and says how long it is. Messages above
    /// `limit` bytes are refused.
    pub(crate) fn next(&mut self, bytes: &mut [u8], limit: usize) -> (Item, usize) {
        let broken = |code| (Item::Broken(code), 0);
        let (Some(&first), Some(&second)) = (bytes.first(), bytes.get(1)) else {
            return (Item::Incomplete, 0);
        };
        let (last, opcode) = (first & 0x80 != 0, first & 0x0f);
        // No extension was agreed on, and what a client sends is masked (§5.1, §5.2).
        if first & 0x70 != 0 || second & 0x80 == 0 {
            return broken(PROTOCOL);
        }
        let control = opcode & 8 != 0;
        let (length, mut at) = match second & 0x7f {
            126 => match bytes.get(2..4) {
                Some(b) => (b.iter().fold(0, |n, b| n << 8 | u64::from(*b)), 4),
                None => return (Item::Incomplete, 0),
            },
            127 => match bytes.get(2..10) {
                Some(b) => (b.iter().fold(0, |n, b| n << 8 | u64::from(*b)), 10),
                None => return (Item::Incomplete, 0),
            },
            n => (u64::from(n), 2),
        };
        if control && (!last || length > 125) {
            return broken(PROTOCOL);
        }
        if length > limit as u64 || self.fragments.len() + length as usize > limit {
            return broken(TOO_BIG);
        }
        let Some(mask) = bytes.get(at..at + 4).and_then(|m| <[u8; 4]>::try_from(m).ok()) else {
            return (Item::Incomplete, 0);
        };
        at += 4;
        let end = at + length as usize;
        let Some(payload) = bytes.get_mut(at..end) else { return (Item::Incomplete, 0) };
        for (b, m) in payload.iter_mut().zip(mask.iter().cycle()) {
            *b ^= m;
        }
        let text = opcode == TEXT;
        let item = match (opcode, self.fragmented, last) {
            (TEXT | BINARY, None, true) if text && std::str::from_utf8(payload).is_err() => {
                return broken(NOT_TEXT);
            }
            (TEXT | BINARY, None, true) => Item::Message(at..end),
            (TEXT | BINARY, None, false) => {
                self.fragmented = Some(text);
                self.fragments.extend_from_slice(payload);
                Item::Nothing
            }
            (CONTINUATION, Some(text), last) => {
                self.fragments.extend_from_slice(payload);
                if last {
                    self.fragmented = None;
                    if text && std::str::from_utf8(&self.fragments).is_err() {
                        return broken(NOT_TEXT);
                    }
                    Item::Gathered
                } else {
                    Item::Nothing
                }
            }
            (PING, ..) => Item::Ping(at..end),
            (PONG, ..) => Item::Nothing,
            (CLOSE, ..) => Item::Close(at..end),
            _ => return broken(PROTOCOL),
        };
        (item, end)
    }

    /// The message that came in fragments.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.fragments)
    }

    /// Has a message begun whose end has not come?
    pub(crate) fn is_partial(&self) -> bool {
        self.fragmented.is_some()
    }
}

fn put(opcode: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.push(0x80 | opcode);
    match payload.len() {
        n @ 0..=125 => out.push(n as u8),
        n @ 126..=0xffff => {
            out.push(126);
            out.extend_from_slice(&(n as u16).to_be_bytes());
        }
        n => {
            out.push(127);
            out.extend_from_slice(&(n as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

/// Appends a frame with a message: text where it is UTF-8, binary otherwise (RFC 7118 §4.2).
pub(crate) fn put_message(message: &[u8], out: &mut Vec<u8>) {
    put(if std::str::from_utf8(message).is_ok() { TEXT } else { BINARY }, message, out);
}

/// Appends a ping.
pub(crate) fn put_ping(out: &mut Vec<u8>) {
    put(PING, b"", out);
}

/// Appends the answer to a ping.
pub(crate) fn put_pong(payload: &[u8], out: &mut Vec<u8>) {
    put(PONG, payload, out);
}

/// Appends a close frame.
pub(crate) fn put_close(code: u16, out: &mut Vec<u8>) {
    put(CLOSE, &code.to_be_bytes(), out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![first];
        match payload.len() {
            n @ 0..=125 => out.push(0x80 | n as u8),
            n => {
                out.push(0x80 | 126);
                out.extend_from_slice(&(n as u16).to_be_bytes());
            }
        }
        let mask = [7, 1, 200, 13];
        out.extend_from_slice(&mask);
        out.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
        out
    }

    #[test]
    fn whole_messages_cut_at_every_byte() {
        let message = [b'a'; 300];
        let frame = masked(0x81, &message);
        for cut in 0..frame.len() {
            let mut bytes = frame[..cut].to_vec();
            assert_eq!(WebSocket::default().next(&mut bytes, 1000), (Item::Incomplete, 0));
            assert_eq!(bytes, frame[..cut], "nothing is unmasked twice");
        }
        let mut bytes = frame.clone();
        assert_eq!(WebSocket::default().next(&mut bytes, 1000), (Item::Message(8..308), 308));
        assert_eq!(bytes[8..308], message);
    }

    #[test]
    fn fragments_with_a_ping_between() {
        let mut ws = WebSocket::default();
        assert_eq!(ws.next(&mut masked(0x01, b"REGI"), 99).0, Item::Nothing);
        assert!(ws.is_partial());
        assert_eq!(ws.next(&mut masked(0x89, b"x"), 99).0, Item::Ping(6..7));
        assert_eq!(ws.next(&mut masked(0x80, b"STER"), 99).0, Item::Gathered);
        assert_eq!(ws.take(), b"REGISTER");
        assert!(!ws.is_partial());
    }

    #[test]
    fn what_breaks_the_rules() {
        let broken = |mut bytes: Vec<u8>, limit| WebSocket::default().next(&mut bytes, limit).0;
        assert_eq!(broken(vec![0x81, 0x01, b'a'], 99), Item::Broken(PROTOCOL), "not masked");
        assert_eq!(broken(masked(0xc1, b"a"), 99), Item::Broken(PROTOCOL), "an extension");
        assert_eq!(broken(masked(0x80, b"a"), 99), Item::Broken(PROTOCOL), "continues nothing");
        assert_eq!(broken(masked(0x09, b"a"), 99), Item::Broken(PROTOCOL), "a ping in pieces");
        assert_eq!(broken(masked(0x83, b"a"), 99), Item::Broken(PROTOCOL), "an unknown opcode");
        assert_eq!(broken(masked(0x81, &[0xff]), 99), Item::Broken(NOT_TEXT));
        assert_eq!(broken(masked(0x82, &[0xff; 100]), 99), Item::Broken(TOO_BIG));
        assert_eq!(
            broken(vec![0x82, 0xff, 255, 255, 255, 255, 255, 255, 255, 255], 99),
            Item::Broken(TOO_BIG)
        );
    }

    #[test]
    fn frames_we_write() {
        let mut out = Vec::new();
        put_message(b"\r\n", &mut out);
        assert_eq!(out, [0x81, 2, b'\r', b'\n']);
        out.clear();
        put_message(&[0xff; 130], &mut out);
        assert_eq!(out[..4], [0x82, 126, 0, 130]);
    }
}
