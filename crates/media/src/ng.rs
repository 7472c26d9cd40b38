//! The NG protocol over datagrams: a cookie, a space, a dictionary. Sans-IO: time in milliseconds comes in, datagrams
//! and results go out.

use std::collections::{BTreeSet, HashMap, VecDeque};

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
/// Those of one call, which go out one after the other.
pub const MOST_OF_CALL: usize = 32;
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
    /// The Call-ID, where it has a turn among the commands of a call.
    call: Option<Vec<u8>>,
    /// Has rtpengine been sent it?
    sent: bool,
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
    /// The cookies of each call's commands. Only the first has been sent: rtpengine reads datagrams with several threads, and one
    /// that is lost is repeated later, so that the answer to one offer could come after the next offer.
    calls: HashMap<Vec<u8>, VecDeque<Vec<u8>>>,
}

impl Ng {
    /// `prefix` begins every cookie: a random number, so that cookies of an earlier process are not met again and
    /// nobody guesses ours.
    pub fn new(prefix: u64) -> Ng {
        let (waiting, deadlines, calls) = (HashMap::new(), BTreeSet::new(), HashMap::new());
        Ng { prefix, serial: 0, waiting, deadlines, calls }
    }

    /// Begins a command; the answer is the datagram to send, nothing where an earlier command of its call has no answer yet.
    pub fn request(&mut self, command: &Command, asker: Asker, now: Now) -> Result<&[u8], MediaError> {
        if self.waiting.len() >= MOST_WAITING {
            return Err(MediaError::Busy(self.waiting.len()));
        }
        let call = command.turn();
        let before = call.and_then(|call| self.calls.get(call)).map_or(0, VecDeque::len);
        // The end of a call is always told.
        if before >= MOST_OF_CALL && asker != Asker::Nobody {
            return Err(MediaError::Busy(before));
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
            next: now + if before == 0 { FIRST_REPEAT } else { TIMEOUT },
            until: now + TIMEOUT,
            call: call.map(<[u8]>::to_vec),
            sent: before == 0,
        };
        if let Some(call) = call {
            self.calls.entry(call.to_vec()).or_default().push_back(cookie.clone());
        }
        self.deadlines.insert((waiting.next, cookie.clone()));
        let waiting = self.waiting.entry(cookie).insert_entry(waiting).into_mut();
        Ok(if waiting.sent { &waiting.datagram } else { b"" })
    }

    /// A datagram arrived; what may go out now is given to `send`. Those that answer nothing under way (repeated answers, noise)
    /// are `None`.
    pub fn on_datagram(&mut self, datagram: &[u8], now: Now, send: impl FnMut(&[u8])) -> Option<Outcome> {
        let space = datagram.iter().position(|b| *b == b' ')?;
        let (cookie, body) = (datagram.get(..space)?, datagram.get(space + 1..)?);
        // What cannot be read answers nothing: the command is repeated.
        let reply = Value::decode(body).ok()?;
        let result = reply.text("result")?;
        // What has not been sent has no answer.
        self.waiting.get(cookie).filter(|waiting| waiting.sent)?;
        let waiting = self.waiting.remove(cookie)?;
        self.deadlines.remove(&(waiting.next, cookie.to_vec()));
        self.leave(&waiting, cookie, now, send);
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
                let Some(waiting) = self.waiting.remove(&cookie) else { continue };
                self.leave(&waiting, &cookie, now, &mut send);
                ended((waiting.asker, Err(MediaError::Timeout(TIMEOUT))));
                continue;
            }
            send(&waiting.datagram);
            waiting.pause *= 2;
            waiting.next = (now + waiting.pause).min(waiting.until);
            self.deadlines.insert((waiting.next, cookie));
        }
    }

    /// A command is over: the next one of its call is sent.
    fn leave(&mut self, over: &Waiting, cookie: &[u8], now: Now, mut send: impl FnMut(&[u8])) {
        let Some(call) = &over.call else { return };
        let Some(turns) = self.calls.get_mut(call) else { return };
        turns.retain(|turn| turn != cookie);
        let Some(next) = turns.front() else {
            self.calls.remove(call);
            return;
        };
        if let Some(waiting) = self.waiting.get_mut(next).filter(|waiting| !waiting.sent) {
            self.deadlines.remove(&(waiting.next, next.clone()));
            waiting.sent = true;
            waiting.next = (now + FIRST_REPEAT).min(waiting.until);
            self.deadlines.insert((waiting.next, next.clone()));
            send(&waiting.datagram);
        }
    }

    /// Commands under way.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Gives up everything, with this reason.
    pub fn give_up(&mut self, why: &MediaError, mut ended: impl FnMut(Outcome)) {
        self.deadlines.clear();
        self.calls.clear();
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
        offer_of(b"c")
    }

    fn offer_of(call_id: &[u8]) -> Command {
        Command::Offer(Description {
            call_id: call_id.to_vec(),
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

    /// Nothing else waits for it.
    fn take(ng: &mut Ng, datagram: &[u8]) -> Option<Outcome> {
        ng.on_datagram(datagram, 0, |_| panic!("nothing waits"))
    }

    #[test]
    fn an_answer_finds_its_asker_once() {
        let mut ng = Ng::new(7);
        let one = ng.request(&offer(), Asker::Ticket(1), 0).unwrap().to_vec();
        let two = ng.request(&offer_of(b"d"), Asker::Ticket(2), 0).unwrap().to_vec();
        let good = reply(&two, b"d6:result2:ok3:sdp3:newe");
        assert_eq!(take(&mut ng, &good), Some((Asker::Ticket(2), Ok(b"new".to_vec()))));
        assert_eq!(take(&mut ng, &good), None);
        let bad = reply(&one, b"d12:error-reason4:ouch6:result5:errore");
        assert_eq!(take(&mut ng, &bad), Some((Asker::Ticket(1), Err(MediaError::Refused("ouch".into())))));
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
            assert_eq!(take(&mut ng, noise), None);
        }
        assert_eq!(ng.waiting(), 1);
        let other = take(&mut ng, &reply(&sent, b"d6:result2:oke"));
        assert_eq!(other, Some((Asker::Ticket(1), Err(MediaError::NoSdp))));
        let sent = ng.request(&offer(), Asker::Ticket(3), 0).unwrap().to_vec();
        let full = take(&mut ng, &reply(&sent, b"d7:message4:full6:result10:load limite"));
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
    fn commands_of_a_call_go_out_one_after_the_other() {
        let mut ng = Ng::new(7);
        let first = ng.request(&offer(), Asker::Ticket(1), 0).unwrap().to_vec();
        for ticket in 2..5 {
            assert_eq!(ng.request(&offer(), Asker::Ticket(ticket), 10).unwrap(), b"");
        }
        assert_ne!(
            ng.request(&offer_of(b"d"), Asker::Ticket(9), 10).unwrap(),
            b"",
            "another call has its own turn"
        );
        let mut sent = Vec::new();
        // The second one's answer cannot come yet, whoever guesses its cookie.
        let guessed = format!("{:016x}2 d6:result2:oke", 7);
        assert_eq!(ng.on_datagram(guessed.as_bytes(), 20, |d| sent.push(d.to_vec())), None);
        let ok = b"d6:result2:ok3:sdp3:newe";
        let over = ng.on_datagram(&reply(&first, ok), 20, |d| sent.push(d.to_vec()));
        assert_eq!((over.map(|(asker, _)| asker), sent.len()), (Some(Asker::Ticket(1)), 1));
        // It is repeated from when it was sent, and has as long as it would have had alone.
        let (mut repeats, mut ended) = (Vec::new(), Vec::new());
        while let Some(at) = ng.deadline() {
            ng.on_deadline(
                at,
                |datagram| repeats.push((at, datagram.to_vec())),
                |(asker, _)| ended.push((at, asker)),
            );
        }
        let second: Vec<_> = repeats.iter().filter(|(_, d)| *d == sent[0]).map(|(at, _)| *at).collect();
        assert_eq!(second, [270, 770, 1_770, 3_770]);
        let asker = |n| (5_010, Asker::Ticket(n));
        assert_eq!(ended.iter().filter(|(_, a)| *a != Asker::Ticket(9)).count(), 3);
        assert!([2, 3, 4].iter().all(|n| ended.contains(&asker(*n))), "{ended:?}");
        assert!(ng.calls.is_empty() && ng.waiting() == 0);
    }

    #[test]
    fn a_call_has_so_many_commands_and_its_end() {
        let mut ng = Ng::new(7);
        for n in 0..MOST_OF_CALL {
            ng.request(&offer(), Asker::Ticket(n as u64), 0).unwrap();
        }
        assert_eq!(ng.request(&offer(), Asker::Ticket(99), 0), Err(MediaError::Busy(MOST_OF_CALL)));
        let end =
            Command::Delete { call_id: b"c".to_vec(), from_tag: b"f".to_vec(), to_tag: None, branch: None };
        assert_eq!(ng.request(&end, Asker::Nobody, 0), Ok(&b""[..]));
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
