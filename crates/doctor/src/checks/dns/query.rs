//! A question to a name server over UDP (RFC 1035), as far as a check needs it: how many records of a type there are.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// A server has this long, twice.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// A type of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    A = 1,
    Ns = 2,
    Aaaa = 28,
    Srv = 33,
}

/// What a server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    code: u8,
    /// Records of the type, as far as the answer shows.
    pub(super) records: usize,
}

impl Answer {
    /// Why there is no answer, in words (RFC 1035 §4.1.1).
    pub(super) fn failure(&self) -> Option<&'static str> {
        match self.code {
            0 => None,
            2 => Some("the name server failed (SERVFAIL)"),
            3 => Some("the name does not exist (NXDOMAIN)"),
            5 => Some("the name server refuses the question (REFUSED)"),
            _ => Some("the name server reports an error"),
        }
    }
}

/// Asks for the records of this type of a name.
pub(super) fn ask(server: SocketAddr, name: &str, kind: Kind) -> io::Result<Answer> {
    let socket = UdpSocket::bind(if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut id = [0; 2];
    getrandom::fill(&mut id).map_err(|_| io::Error::other("no random number"))?;
    let question = write(id, name, kind);
    let mut last = io::Error::from(io::ErrorKind::TimedOut);
    for _ in 0..2 {
        socket.send(&question)?;
        let mut buffer = [0; 4_096];
        match socket.recv(&mut buffer) {
            Ok(n) => match read(buffer.get(..n).unwrap_or_default(), id, kind) {
                Some(answer) => return Ok(answer),
                None => last = io::ErrorKind::InvalidData.into(),
            },
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn write(id: [u8; 2], name: &str, kind: Kind) -> Vec<u8> {
    let mut out = id.to_vec();
    // Recursion desired, one question.
    out.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.').filter(|label| !label.is_empty()) {
        let label = label.as_bytes().get(..label.len().min(63)).unwrap_or_default();
        out.push(label.len() as u8);
        out.extend_from_slice(label);
    }
    out.extend_from_slice(&[0, 0, kind as u8, 0, 1]);
    out
}

fn read(bytes: &[u8], id: [u8; 2], kind: Kind) -> Option<Answer> {
    let short = |at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    if bytes.get(..2)? != id || bytes.get(2)? & 0x80 == 0 {
        return None;
    }
    let code = bytes.get(3)? & 0x0f;
    let (questions, answers) = (short(4)?, short(6)?);
    let mut at = 12;
    for _ in 0..questions {
        at = behind_name(bytes, at)? + 4;
    }
    let mut records = 0;
    for _ in 0..answers {
        at = behind_name(bytes, at)?;
        // CNAMEs on the way are not counted.
        records += usize::from(short(at)? == kind as u16);
        at += 10 + usize::from(short(at + 8)?);
    }
    Some(Answer { code, records })
}

/// Where a name ends: with a zero, or a pointer (RFC 1035 §4.1.4).
fn behind_name(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            length if length >= 0xc0 => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_counted() {
        let question = write([1, 2], "sip.example", Kind::A);
        let mut answer = question.clone();
        (answer[2], answer[3], answer[7]) = (0x81, 0x80, 2);
        // A CNAME to itself, then an address.
        answer.extend_from_slice(&[0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 2, 0xc0, 12]);
        answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 1]);
        assert_eq!(read(&answer, [1, 2], Kind::A), Some(Answer { code: 0, records: 1 }));
        assert_eq!(read(&answer, [9, 9], Kind::A), None, "another question's");
        assert_eq!(read(&question, [1, 2], Kind::A), None, "a question");
        for end in 0..answer.len() {
            let _ = read(&answer[..end], [1, 2], Kind::A);
        }
        let mut missing = question;
        (missing[2], missing[3]) = (0x81, 0x83);
        assert!(
            read(&missing, [1, 2], Kind::A)
                .is_some_and(|a| a.failure().is_some_and(|f| f.contains("NXDOMAIN")))
        );
    }
}
