//! Requests of our own, sent without a transaction of the table: their branch says which one an answer is to.

use std::io::Write as _;

use trunkline_proxy::Secret;
use trunkline_sip::{MAGIC_COOKIE, Message, Method};

/// What a request of our own is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errand {
    /// OPTIONS to a trunk or peer.
    Qualify,
    /// REGISTER at a trunk.
    Register,
}

impl Errand {
    fn letter(self) -> u8 {
        match self {
            Errand::Qualify => b'q',
            Errand::Register => b'r',
        }
    }

    /// The method of such a request, which an answer to it repeats.
    fn method(self) -> Method {
        match self {
            Errand::Qualify => Method::Options,
            Errand::Register => Method::Register,
        }
    }

    fn of(letter: u8) -> Option<Errand> {
        [Errand::Qualify, Errand::Register].into_iter().find(|p| p.letter() == letter)
    }

    /// What nobody else can write.
    pub(crate) fn mac(self, secret: &Secret, serial: u64) -> u64 {
        secret.tag(&[self.letter()], &serial.to_be_bytes(), b"")
    }

    /// Appends the branch of a request of this serial number.
    pub(crate) fn put_branch(self, secret: &Secret, serial: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(MAGIC_COOKIE);
        out.push(self.letter());
        let _ = write!(out, "{serial:016x}{:016x}", self.mac(secret, serial));
    }
}

/// Which request of ours a response with this branch in its topmost Via answers; `None` when it answers none.
pub(crate) fn answered(secret: &Secret, m: &Message<'_>, branch: &[u8]) -> Option<(Errand, u64)> {
    let (cookie, rest) = branch.split_at_checked(MAGIC_COOKIE.len())?;
    let (letter, digits) = rest.split_first().filter(|_| cookie.eq_ignore_ascii_case(MAGIC_COOKIE))?;
    let errand = Errand::of(letter.to_ascii_lowercase())?;
    let hex = |part: &[u8]| u64::from_str_radix(std::str::from_utf8(part).ok()?, 16).ok();
    let (serial, mac) = digits.split_at_checked(16)?;
    let serial = hex(serial)?;
    let ours = hex(mac)? == errand.mac(secret, serial) && m.cseq_method() == errand.method();
    ours.then_some((errand, serial))
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_sip::{Index, Limits};

    #[test]
    fn an_answer_to_ours_is_known_and_a_forged_one_is_not() {
        let secret = Secret::new([7; 16]);
        let mut branch = Vec::new();
        Errand::Register.put_branch(&secret, 42, &mut branch);
        let of = |branch: &str| {
            let text = format!(
                "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch={branch}\r\nFrom: <sip:a@h>;tag=1\r\n\
                 To: <sip:a@h>;tag=2\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\n\r\n"
            );
            let mut index = Index::default();
            index.parse(text.as_bytes(), &Limits::default()).unwrap();
            let m = Message::new(text.as_bytes(), &index);
            answered(&secret, &m, m.top_via().unwrap().branch)
        };
        let branch = String::from_utf8(branch).unwrap();
        assert_eq!(of(&branch), Some((Errand::Register, 42)));
        assert_eq!(of(&branch.to_uppercase()), Some((Errand::Register, 42)));
        assert_eq!(of(&branch.replace("bKr", "bKq")), None);
        assert_eq!(of(&branch.replace("2a", "2b")), None);
        for short in ["z9hG4bKr", "z9hG4bKr00", "z9hG4bK", "x", "z9hG4bKr000000000000002a+0000000000000001"] {
            assert_eq!(of(short), None, "{short}");
        }
    }
}
