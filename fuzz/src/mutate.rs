//! Mutations that keep much of a message, so that they reach behind the first check.

use crate::rng::Rng;

/// No input is longer than this: a UDP datagram and some.
pub const LARGEST: usize = 70_000;

/// Words and signs with a meaning somewhere.
const WORDS: &[&str] = &[
    "\r\n",
    "\r\n\r\n",
    "\r\n ",
    "\n",
    "\r",
    "\0",
    " ",
    "\t",
    ";",
    ",",
    ":",
    "=",
    "<",
    ">",
    "\"",
    "\\",
    "\\\"",
    "@",
    "?",
    "%",
    "%00",
    "%zz",
    "[",
    "]",
    "[::1]",
    "[::ffff:1.2.3.4]",
    "*",
    "sip:",
    "sips:",
    "tel:",
    "SIP/2.0",
    "SIP/2.0/UDP ",
    "z9hG4bK",
    ";branch=",
    ";tag=",
    ";rport",
    ";received=",
    ";lr",
    ";q=",
    ";expires=",
    "Content-Length: ",
    "l: ",
    "Via: ",
    "v: ",
    "CSeq: ",
    "Max-Forwards: ",
    "Contact: ",
    "m: *\r\n",
    "Digest ",
    "nonce=",
    "realm=\"",
    "nc=",
    "INVITE",
    "ACK",
    "é",
    "\u{feff}",
    "\u{7f}",
];

const NUMBERS: &[&str] = &[
    "0",
    "-1",
    "1",
    "255",
    "256",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999",
    "0x10",
    "1e9",
    "00000000000000001",
];

/// A changed copy of one of the corpus: one to eight mutations.
pub fn mutate(rng: &mut Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = rng.pick(corpus).clone();
    for _ in 0..=rng.below(8) {
        once(rng, &mut bytes, corpus);
    }
    bytes.truncate(LARGEST);
    bytes
}

fn once(rng: &mut Rng, bytes: &mut Vec<u8>, corpus: &[Vec<u8>]) {
    let at = rng.below(bytes.len() + 1);
    let run = |rng: &mut Rng| at + rng.below((bytes.len() - at).min(40) + 1);
    match rng.below(11) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << rng.below(8);
            }
        }
        1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = rng.draw() as u8;
            }
        }
        2 => {
            let to = run(rng);
            bytes.drain(at..to);
        }
        3 => {
            let to = run(rng);
            let copy = bytes[at..to].to_vec();
            let place = rng.below(bytes.len() + 1);
            bytes.splice(place..place, copy);
        }
        4 => drop(bytes.splice(at..at, rng.pick(WORDS).bytes())),
        5 => {
            let to = run(rng);
            bytes.splice(at..to, rng.pick(WORDS).bytes());
        }
        6 => number(rng, bytes, at),
        7 => bytes.truncate(at),
        8 => {
            let other = rng.pick(corpus);
            let from = rng.below(other.len() + 1);
            let to = from + rng.below((other.len() - from).min(400) + 1);
            bytes.splice(at..at, other[from..to].iter().copied());
        }
        9 => {
            // One sign many times: quadratic work would show.
            let word = rng.pick(WORDS).repeat(1 + rng.below(300));
            bytes.splice(at..at, word.bytes());
        }
        _ => lines(rng, bytes),
    }
}

/// Replaces the next run of digits.
fn number(rng: &mut Rng, bytes: &mut Vec<u8>, at: usize) {
    let Some(from) = bytes[at..].iter().position(u8::is_ascii_digit).map(|n| n + at) else { return };
    let len = bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    bytes.splice(from..from + len, rng.pick(NUMBERS).bytes());
}

/// Exchanges two lines, or doubles one.
fn lines(rng: &mut Rng, bytes: &mut Vec<u8>) {
    let mut all: Vec<Vec<u8>> = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    if all.is_empty() {
        return;
    }
    let (a, b) = (rng.below(all.len()), rng.below(all.len()));
    if rng.below(2) == 0 {
        all.swap(a, b);
    } else {
        let copy = all[a].clone();
        all.insert(b, copy);
    }
    *bytes = all.concat();
}
