//! The NG protocol over datagrams: a cookie, a space, a dictionary. Sans-IO: time in milliseconds comes in, datagrams
//! and results go out.

use std::collections::{BTreeSet, HashMap};

use crate::bencode::Value;
use crate::command::Command;
use crate::error::MediaError;

/// Milliseconds of any clock that only goes forward.
pub type Now = u64;

/// How long a command may take, in milliseconds.
pub const TIMEOUT: u64 = 5_000;
/// The first repetition comes after this, each later one after twice the time. The relay knows a command by its
/// cookie and answers a repeated one as before.
const FIRST_REPEAT: u64 = 250;
/// Commands under way, at most.
pub const MOST_WAITING: usize = 4_096;
/// A datagram over UDP holds no more.
const LARGEST: usize = 65_507;

/// A command that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// A caller, by his number.
    Ticket(u64),
    /// Nobody, but the command shall arrive.
    Nobody,
    /// The question whether the relay lives.
    Ping,
}

/// A command's end: the SDP, empty for commands that give none.
pub type Outcome = (Asker, Result<Vec<u8>, MediaError>);

/// What an answer has to hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wants {
    Nothing,
    Sdp,
    Packets,
}

struct Waiting {
    asker: Asker,
    wants: Wants,
    datagram: Vec<u8>,
    pause: u64,
    next: Now,
    until: Now,
}

/// The commands under way to one relay.
pub struct Ng {
    prefix: u64,
    serial: u64,
    waiting: HashMap<Vec<u8>, Waiting>,
    deadlines: BTreeSet<(Now, Vec<u8>)>,
}

impl Ng {
    /// `prefix` begins every cookie: a random number, so that cookies of an earlier process are not met again and
    /// nobody guesses ours.
    pub fn new(prefix: u64) -> Ng {
        Ng { prefix, serial: 0, waiting: HashMap::new(), deadlines: BTreeSet::new() }
    }

    /// Begins a command; the answer is the datagram to send.
    pub fn request(&mut self, command: &Command, asker: Asker, now: Now) -> Result<&[u8], MediaError> {
        if self.waiting.len() >= MOST_WAITING {
            return Err(MediaError::Busy(self.waiting.len()));
        }
        self.serial += 1;
        let cookie = format!("{:016x}{:x}", self.prefix, self.serial).into_bytes();
        let mut datagram = cookie.clone();
        datagram.push(b' ');
        command.encode(&mut datagram);
        if datagram.len() > LARGEST {
            return Err(MediaError::TooLarge(datagram.len()));
        }
        let waiting = Waiting {
            asker,
            wants: match command {
                Command::Offer(_) | Command::Answer(_) => Wants::Sdp,
                Command::Query { .. } => Wants::Packets,
                Command::Delete { .. } | Command::Ping => Wants::Nothing,
            },
            datagram,
            pause: FIRST_REPEAT,
            next: now + FIRST_REPEAT,
            until: now + TIMEOUT,
        };
        self.deadlines.insert((waiting.next, cookie.clone()));
        Ok(&self.waiting.entry(cookie).insert_entry(waiting).into_mut().datagram)
    }

    /// A datagram arrived. Those that answer nothing under way (repeated answers, noise) are `None`.
    pub fn on_datagram(&mut self, datagram: &[u8]) -> Option<Outcome> {
        let space = datagram.iter().position(|b| *b == b' ')?;
        let (cookie, body) = (datagram.get(..space)?, datagram.get(space + 1..)?);
        // What cannot be read answers nothing: the command is repeated.
        let reply = Value::decode(body).ok()?;
        let result = reply.text("result")?;
        let waiting = self.waiting.remove(cookie)?;
        self.deadlines.remove(&(waiting.next, cookie.to_vec()));
        let reason = || String::from_utf8_lossy(reply.text("error-reason").unwrap_or(result)).into_owned();
        let outcome = match (result, reply.text("sdp")) {
            (b"ok", Some(sdp)) if waiting.wants == Wants::Sdp => Ok(sdp.to_vec()),
            (b"ok", None) if waiting.wants == Wants::Sdp => Err(MediaError::NoSdp),
            (b"ok", _) if waiting.wants == Wants::Packets => Ok(packets(&reply).to_be_bytes().into()),
            (b"ok" | b"pong", _) => Ok(Vec::new()),
            (b"load limit", _) => Err(MediaError::LoadLimit(
                String::from_utf8_lossy(reply.text("message").unwrap_or(result)).into_owned(),
            )),
            _ => Err(MediaError::Refused(reason())),
        };
        Some((waiting.asker, outcome))
    }

    /// When [`Ng::on_deadline`] is to be called next.
    pub fn deadline(&self) -> Option<Now> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Time went on: what is to be repeated goes to `send`, what waited too long to `ended`.
    pub fn on_deadline(&mut self, now: Now, mut send: impl FnMut(&[u8]), mut ended: impl FnMut(Outcome)) {
        while self.deadlines.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, cookie)) = self.deadlines.pop_first() else { return };
            let Some(waiting) = self.waiting.get_mut(&cookie) else { continue };
            if waiting.until <= now {
                let asker = waiting.asker;
                self.waiting.remove(&cookie);
                ended((asker, Err(MediaError::Timeout(TIMEOUT))));
                continue;
            }
            send(&waiting.datagram);
            waiting.pause *= 2;
            waiting.next = (now + waiting.pause).min(waiting.until);
            self.deadlines.insert((waiting.next, cookie));
        }
    }

    /// Commands under way.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Gives up everything, with this reason.
    pub fn give_up(&mut self, why: &MediaError, mut ended: impl FnMut(Outcome)) {
        self.deadlines.clear();
        for (_, waiting) in self.waiting.drain() {
            ended((waiting.asker, Err(why.clone())));
        }
    }
}

/// The RTP packets of a call, in both directions.
fn packets(reply: &Value<'_>) -> u64 {
    let rtp = reply.get("totals").and_then(|totals| totals.get("RTP"));
    match rtp.and_then(|rtp| rtp.get("packets")) {
        Some(Value::Int(packets)) => u64::try_from(*packets).unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Description;
    use crate::direction::Direction;

    fn offer() -> Command {
        Command::Offer(Description {
            call_id: b"c".to_vec(),
            from_tag: b"f".to_vec(),
            to_tag: None,
            branch: None,
            direction: Direction::PhoneToPhone,
            sdp: b"v=0\r\n".to_vec(),
        })
    }

    fn reply(datagram: &[u8], body: &[u8]) -> Vec<u8> {
        let cookie = datagram.split(|b| *b == b' ').next().unwrap();
        [cookie, b" ", body].concat()
    }

    #[test]
    fn an_answer_finds_its_asker_once() {
        let mut ng = Ng::new(7);
        let one = ng.request(&offer(), Asker::Ticket(1), 0).unwrap().to_vec();
        let two = ng.request(&offer(), Asker::Ticket(2), 0).unwrap().to_vec();
        let good = reply(&two, b"d6:result2:ok3:sdp3:newe");
        assert_eq!(ng.on_datagram(&good), Some((Asker::Ticket(2), Ok(b"new".to_vec()))));
        assert_eq!(ng.on_datagram(&good), None);
        let bad = reply(&one, b"d12:error-reason4:ouch6:result5:errore");
        assert_eq!(ng.on_datagram(&bad), Some((Asker::Ticket(1), Err(MediaError::Refused("ouch".into())))));
        assert_eq!((ng.waiting(), ng.deadline()), (0, None));
    }

    #[test]
    fn noise_changes_nothing() {
        let mut ng = Ng::new(7);
        let sent = ng.request(&offer(), Asker::Ticket(1), 0).unwrap().to_vec();
        for noise in [
            b"".as_slice(),
            b" ",
            b"x",
            b"x d6:result2:oke",
            &sent,
            &reply(&sent, b"d6:result"),
            &reply(&sent, b"le"),
        ] {
            assert_eq!(ng.on_datagram(noise), None);
        }
        assert_eq!(ng.waiting(), 1);
        let other = ng.on_datagram(&reply(&sent, b"d6:result2:oke"));
        assert_eq!(other, Some((Asker::Ticket(1), Err(MediaError::NoSdp))));
        let sent = ng.request(&offer(), Asker::Ticket(3), 0).unwrap().to_vec();
        let full = ng.on_datagram(&reply(&sent, b"d7:message4:full6:result10:load limite"));
        assert_eq!(full, Some((Asker::Ticket(3), Err(MediaError::LoadLimit("full".into())))));
    }

    #[test]
    fn repeats_with_growing_pauses_then_gives_up() {
        let mut ng = Ng::new(7);
        let sent = ng.request(&offer(), Asker::Ticket(1), 1_000).unwrap().to_vec();
        let (mut repeats, mut ended) = (Vec::new(), None);
        while let Some(at) = ng.deadline() {
            ng.on_deadline(
                at,
                |datagram| {
                    assert_eq!(datagram, sent);
                    repeats.push(at - 1_000);
                },
                |outcome| ended = Some((at - 1_000, outcome)),
            );
        }
        assert_eq!(repeats, [250, 750, 1_750, 3_750]);
        assert_eq!(ended, Some((5_000, (Asker::Ticket(1), Err(MediaError::Timeout(5_000))))));
    }

    #[test]
    fn bounded() {
        let mut ng = Ng::new(7);
        for n in 0..MOST_WAITING {
            ng.request(&Command::Ping, Asker::Ticket(n as u64), 0).unwrap();
        }
        assert_eq!(ng.request(&Command::Ping, Asker::Nobody, 0), Err(MediaError::Busy(MOST_WAITING)));
        let mut left = 0;
        ng.give_up(&MediaError::Ended, |(_, r)| left += usize::from(r == Err(MediaError::Ended)));
        assert_eq!((left, ng.waiting()), (MOST_WAITING, 0));
    }
}
