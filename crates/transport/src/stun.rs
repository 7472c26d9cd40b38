//! The keep-alive of phones on UDP (RFC 5626 §4.4.2): a STUN Binding request on the SIP port is answered with the address
//! it came from, so that the phone sees when its NAT has forgotten it. No other use of STUN (RFC 5389) is served.

use std::net::{IpAddr, SocketAddr};

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
const HEADER: usize = 20;

/// An answer, on the stack: nothing is allocated for a keep-alive.
pub(crate) struct Answer {
    bytes: [u8; 64],
    length: usize,
}

impl Answer {
    /// Begins one: type, and the request's cookie and transaction.
    fn new(kind: u16, request: &[u8]) -> Answer {
        let mut answer = Answer { bytes: [0; 64], length: 0 };
        answer.put(&kind.to_be_bytes());
        answer.put(&[0, 0]);
        answer.put(request.get(4..HEADER).unwrap_or_default());
        answer
    }

    fn put(&mut self, bytes: &[u8]) {
        if let Some(room) = self.bytes.get_mut(self.length..self.length + bytes.len()) {
            room.copy_from_slice(bytes);
            self.length += bytes.len();
        }
    }

    /// Appends an attribute, padded to four bytes (RFC 5389 §15).
    fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.put(&kind.to_be_bytes());
        self.put(&(value.len() as u16).to_be_bytes());
        self.put(value);
        self.put([0u8; 3].get(..value.len().wrapping_neg() % 4).unwrap_or_default());
        let length = (self.length - HEADER) as u16;
        if let Some(room) = self.bytes.get_mut(2..4) {
            room.copy_from_slice(&length.to_be_bytes());
        }
    }

    /// The bytes to send.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// The answer to a Binding request from `remote`; `None` for everything else.
pub(crate) fn answer(request: &[u8], remote: SocketAddr) -> Option<Answer> {
    let number = |at: usize| Some(u16::from_be_bytes(*request.get(at..)?.first_chunk::<2>()?));
    let length = usize::from(number(2)?);
    if number(0)? != BINDING_REQUEST || request.get(4..8)? != COOKIE || request.len() != HEADER + length {
        return None;
    }
    let mut at = HEADER;
    while at < request.len() {
        let (kind, length) = (number(at)?, usize::from(number(at + 2)?));
        // Below 0x8000 an attribute must be understood (RFC 5389 §7.3.1); credentials may be left unread.
        if kind < 0x8000 && !matches!(kind, 0x0006 | 0x0008) {
            let mut error = Answer::new(BINDING_ERROR, request);
            error.attribute(ERROR_CODE, &[0, 0, 4, 20]);
            error.attribute(UNKNOWN_ATTRIBUTES, &kind.to_be_bytes());
            return Some(error);
        }
        at += 4 + length.next_multiple_of(4);
    }
    // The address is hidden from NATs that rewrite addresses wherever they see them (RFC 5389 §15.2).
    let mut value = [0u8; 20];
    let port = remote.port() ^ u16::from_be_bytes([COOKIE[0], COOKIE[1]]);
    let (family, size) = match remote.ip().to_canonical() {
        IpAddr::V4(ip) => {
            value[4..8].copy_from_slice(&ip.octets());
            (1, 8)
        }
        IpAddr::V6(ip) => {
            value[4..20].copy_from_slice(&ip.octets());
            (2, 20)
        }
    };
    value[1] = family;
    value[2..4].copy_from_slice(&port.to_be_bytes());
    let address = value.get_mut(4..size)?;
    address.iter_mut().zip(request.get(4..HEADER)?).for_each(|(b, mask)| *b ^= mask);
    let mut out = Answer::new(BINDING_SUCCESS, request);
    out.attribute(XOR_MAPPED_ADDRESS, value.get(..size)?);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(attributes: &[u8]) -> Vec<u8> {
        let mut out = vec![0, 1, 0, attributes.len() as u8];
        out.extend(COOKIE);
        out.extend(1..=12);
        out.extend(attributes);
        out
    }

    #[test]
    fn the_examples_of_rfc_5769() {
        // Its transaction, and the addresses of its two responses.
        let transaction = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];
        let mut ask = vec![0, 1, 0, 0];
        ask.extend(COOKIE);
        ask.extend(transaction);
        let four = answer(&ask, "192.0.2.1:32853".parse().unwrap()).unwrap();
        assert_eq!(four.bytes()[..4], [1, 1, 0, 12]);
        assert_eq!(four.bytes()[4..20], ask[4..20]);
        assert_eq!(four.bytes()[20..], [0, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]);
        let six = answer(&ask, "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap()).unwrap();
        let wanted = [
            0x00, 0x20, 0x00, 0x14, 0x00, 0x02, 0xa1, 0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79,
            0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9,
        ];
        assert_eq!(six.bytes()[20..], wanted);
    }

    #[test]
    fn what_is_not_understood_and_what_is_no_request() {
        let from = "192.0.2.1:5060".parse().unwrap();
        // SOFTWARE may be passed over, CHANGE-REQUEST may not.
        assert_eq!(
            answer(&request(&[0x80, 0x22, 0, 3, b'a', b'b', b'c', 0]), from).unwrap().bytes()[..2],
            [1, 1]
        );
        let refused = answer(&request(&[0, 3, 0, 4, 0, 0, 0, 6]), from).unwrap();
        assert_eq!(refused.bytes()[..4], [1, 0x11, 0, 16]);
        assert_eq!(refused.bytes()[20..], [0, 9, 0, 4, 0, 0, 4, 20, 0, 10, 0, 2, 0, 3, 0, 0]);
        let whole = request(&[]);
        for bad in [&whole[..19], &[0; 20], &[&whole[..], &[0; 4]].concat(), b"", b"\x00\x01"] {
            assert!(answer(bad, from).is_none());
        }
        for cut in 0..12 {
            let mut text = request(&[0x80, 0x22, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
            text.truncate(20 + cut);
            text[3] = cut as u8;
            let _ = answer(&text, from);
        }
    }

    #[test]
    fn whatever_comes_the_answer_is_whole() {
        let from = "[2001:db8::1]:5060".parse().unwrap();
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        let mut answered = 0;
        for _ in 0..50_000 {
            let length = (next() % 48) as usize;
            let attributes: Vec<u8> = (0..length).map(|_| (next() >> 7) as u8 & 0x8f).collect();
            let mut text = request(&attributes);
            if next() % 3 == 0 {
                let at = next() as usize % text.len();
                text[at] = next() as u8;
            }
            if let Some(answer) = answer(&text, from) {
                answered += 1;
                let bytes = answer.bytes();
                assert_eq!(usize::from(u16::from_be_bytes([bytes[2], bytes[3]])) + HEADER, bytes.len());
                assert_eq!(bytes[4..HEADER], text[4..HEADER]);
            }
        }
        assert!(answered > 1_000, "{answered}");
    }
}
