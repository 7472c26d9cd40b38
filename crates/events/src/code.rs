//! Events as bytes: a head of 20 bytes (length, kind, shard and number of the request, time), then the fields. Texts are cut
//! at [`LONGEST`] bytes.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use trunkline_reasons::Reason;
use trunkline_sip::Transport;

use crate::event::{Answer, Arrival, Attempt, Event, Failure, Heard};

const HEAD: usize = 2 + 1 + 8 + 8;
/// The kinds that are looked for.
const ARRIVED: u8 = 0;
const ANSWERED: u8 = 11;
/// A text is kept up to this length.
const LONGEST: usize = 256;

/// An event of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The number of the request, which no other request of the process has.
    pub request: u64,
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// What happened.
    pub event: Event<'a>,
}

/// The part of a text that is kept.
pub(crate) fn kept(bytes: &[u8]) -> &[u8] {
    bytes.get(..LONGEST).unwrap_or(bytes)
}

fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = kept(bytes);
    out.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn address(out: &mut Vec<u8>, at: SocketAddr) {
    let ip = match at.ip() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    };
    out.extend_from_slice(&ip.octets());
    out.extend_from_slice(&at.port().to_le_bytes());
}

/// A whole word of UTF-8 for words that may be cut.
fn words(out: &mut Vec<u8>, words: &str) {
    let mut end = words.len().min(LONGEST);
    while !words.is_char_boundary(end) {
        end -= 1;
    }
    text(out, words.get(..end).unwrap_or_default().as_bytes());
}

/// Appends an event.
pub(crate) fn put(out: &mut Vec<u8>, request: u64, at: u64, event: Event<'_>) {
    let start = out.len();
    out.extend_from_slice(&[0; 3]);
    out.extend_from_slice(&request.to_le_bytes());
    out.extend_from_slice(&at.to_le_bytes());
    let kind = match event {
        Event::Arrived(a) => {
            out.push(a.transport as u8);
            let flags = [a.inside, a.credentials, a.private_media, a.rewritten, a.own];
            out.push(flags.into_iter().rev().fold(0, |all, flag| all << 1 | u8::from(flag)));
            address(out, a.source);
            for part in [a.method, a.uri, a.from, a.call_id, a.agent, a.contact] {
                text(out, part);
            }
            ARRIVED
        }
        Event::Fact { words: said, names } => {
            words(out, said);
            words(out, names);
            2
        }
        Event::Waits(name) => {
            text(out, name);
            3
        }
        Event::GoesOn => 4,
        Event::Sent(a) => {
            out.extend_from_slice(&[a.transport as u8, a.branch, u8::from(a.unheard)]);
            address(out, a.to);
            text(out, a.uri);
            words(out, a.trunk);
            5
        }
        Event::Heard(h) => {
            out.extend_from_slice(&[h.branch, u8::from(h.private_media)]);
            out.extend_from_slice(&h.code.to_le_bytes());
            out.extend_from_slice(&h.clock.to_le_bytes());
            text(out, h.phrase);
            text(out, h.why);
            6
        }
        Event::Failed { branch, how } => {
            out.extend_from_slice(&[branch, how as u8]);
            7
        }
        Event::Media(why) => {
            words(out, why);
            8
        }
        Event::Diverted(to) => {
            text(out, to);
            9
        }
        Event::Cancelled => 10,
        Event::Answered(a) => {
            out.extend_from_slice(&a.code.to_le_bytes());
            out.push(u8::from(a.ours));
            // 0: no reason.
            out.push(a.reason.map_or(0, |reason| reason.number() as u8 + 1));
            ANSWERED
        }
    };
    let length = (out.len() - start) as u16;
    if let Some(head) = out.get_mut(start..start + 3) {
        head.copy_from_slice(&[length.to_le_bytes()[0], length.to_le_bytes()[1], kind]);
    }
}

/// Reads the events of a stretch of a log, in order. It ends where the bytes are no event.
#[derive(Clone, Debug)]
pub struct Events<'a>(&'a [u8]);

impl<'a> Events<'a> {
    /// Of bytes that [`crate::Log::read`] gave.
    pub fn new(bytes: &'a [u8]) -> Events<'a> {
        Events(bytes)
    }
}

impl<'a> Events<'a> {
    /// The next event, of which only the head is read.
    pub(crate) fn head(&mut self) -> Option<Head<'a>> {
        let length = usize::from(u16::from_le_bytes(self.0.first_chunk::<2>().copied()?));
        let (one, rest) = self.0.split_at_checked(length.max(HEAD))?;
        self.0 = rest;
        let mut r = Reader(one.get(2..)?);
        Some(Head { kind: r.u8()?, request: r.u64()?, at: r.u64()?, fields: r.0 })
    }
}

impl<'a> Iterator for Events<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        self.head()?.entry()
    }
}

/// The head of an event, with fields that nobody has read yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    kind: u8,
    pub(crate) request: u64,
    at: u64,
    fields: &'a [u8],
}

impl<'a> Head<'a> {
    pub(crate) fn is_arrival(&self) -> bool {
        self.kind == ARRIVED
    }

    pub(crate) fn is_answer(&self) -> bool {
        self.kind == ANSWERED
    }

    /// Has the request credentials? Of an arrival.
    pub(crate) fn has_credentials(&self) -> bool {
        // Behind the transport.
        self.fields.get(1).is_some_and(|flags| flags & 2 != 0)
    }

    /// The whole event.
    pub(crate) fn entry(&self) -> Option<Entry<'a>> {
        let event = read(self.kind, &mut Reader(self.fields))?;
        Some(Entry { request: self.request, at: self.at, event })
    }
}

/// What is left of an event.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.u16()?);
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(text)
    }

    fn words(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.text()?).ok()
    }

    fn address(&mut self) -> Option<SocketAddr> {
        let ip = Ipv6Addr::from(self.take::<16>()?);
        Some(SocketAddr::new(IpAddr::V6(ip).to_canonical(), self.u16()?))
    }

    fn transport(&mut self) -> Option<Transport> {
        let n = self.u8()?;
        Transport::ALL.into_iter().find(|transport| *transport as u8 == n)
    }
}

fn read<'a>(kind: u8, r: &mut Reader<'a>) -> Option<Event<'a>> {
    Some(match kind {
        ARRIVED => {
            let (transport, flags, source) = (r.transport()?, r.u8()?, r.address()?);
            Event::Arrived(Arrival {
                method: r.text()?,
                uri: r.text()?,
                from: r.text()?,
                call_id: r.text()?,
                agent: r.text()?,
                contact: r.text()?,
                transport,
                source,
                inside: flags & 1 != 0,
                credentials: flags & 2 != 0,
                private_media: flags & 4 != 0,
                rewritten: flags & 8 != 0,
                own: flags & 16 != 0,
            })
        }
        2 => Event::Fact { words: r.words()?, names: r.words()? },
        3 => Event::Waits(r.text()?),
        4 => Event::GoesOn,
        5 => {
            let (transport, branch, unheard, to) = (r.transport()?, r.u8()?, r.u8()? != 0, r.address()?);
            Event::Sent(Attempt { branch, uri: r.text()?, trunk: r.words()?, transport, to, unheard })
        }
        6 => {
            let (branch, private_media, code) = (r.u8()?, r.u8()? != 0, r.u16()?);
            let clock = r.take().map(i32::from_le_bytes)?;
            Event::Heard(Heard { branch, code, phrase: r.text()?, why: r.text()?, private_media, clock })
        }
        7 => {
            let (branch, how) = (r.u8()?, r.u8()?);
            Event::Failed { branch, how: Failure::ALL.into_iter().find(|one| *one as u8 == how)? }
        }
        8 => Event::Media(r.words()?),
        9 => Event::Diverted(r.text()?),
        10 => Event::Cancelled,
        ANSWERED => {
            let (code, ours, reason) = (r.u16()?, r.u8()? != 0, r.u8()?);
            let reason = usize::from(reason).checked_sub(1).and_then(|n| Reason::ALL.get(n).copied());
            Event::Answered(Answer { code, reason, ours })
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all<'a>() -> Vec<Event<'a>> {
        let (v4, v6) = ("192.0.2.7:5060".parse().unwrap(), "[2001:db8::1]:5061".parse().unwrap());
        vec![
            Event::Arrived(Arrival {
                method: b"INVITE",
                uri: b"sip:1002@sip.local",
                from: b"sip:1001@sip.local",
                call_id: b"a84b4c76e66710",
                agent: b"Phone/1.0",
                contact: b"10.0.0.1",
                transport: Transport::Wss,
                source: v4,
                inside: true,
                credentials: false,
                private_media: true,
                rewritten: false,
                own: true,
            }),
            Event::Arrived(Arrival {
                method: b"REGISTER",
                uri: b"sip:sip.local",
                from: b"",
                call_id: b"",
                agent: b"",
                contact: b"",
                transport: Transport::Tls,
                source: v6,
                inside: false,
                credentials: true,
                private_media: false,
                rewritten: true,
                own: false,
            }),
            Event::Fact { words: "{} is agent {}", names: "1002\0agent-02" },
            Event::Waits(b"carrier.example"),
            Event::GoesOn,
            Event::Sent(Attempt {
                branch: 3,
                uri: b"sip:a@b",
                trunk: "trunk-01",
                transport: Transport::Udp,
                to: v6,
                unheard: true,
            }),
            Event::Heard(Heard {
                branch: 3,
                code: 486,
                phrase: b"Busy Here",
                why: b"Q.850;cause=17",
                private_media: true,
                clock: -86_400,
            }),
            Event::Failed { branch: 3, how: Failure::ConnectionEnded },
            Event::Media("rtpengine did not answer"),
            Event::Diverted(b"sip:1003@sip.local"),
            Event::Cancelled,
            Event::Answered(Answer { code: 480, reason: Some(Reason::CalleeNotRegistered), ours: true }),
            Event::Answered(Answer { code: 200, reason: None, ours: false }),
        ]
    }

    #[test]
    fn what_is_written_is_read() {
        let mut out = Vec::new();
        for (n, event) in all().into_iter().enumerate() {
            put(&mut out, n as u64, 1_000 + n as u64, event);
        }
        let read: Vec<Entry<'_>> = Events::new(&out).collect();
        assert_eq!(read.len(), all().len());
        for (n, (entry, event)) in read.iter().zip(all()).enumerate() {
            assert_eq!(*entry, Entry { request: n as u64, at: 1_000 + n as u64, event });
        }
    }

    #[test]
    fn long_texts_are_cut_and_garbage_ends_the_reading() {
        let mut out = Vec::new();
        let long = "ü".repeat(400);
        put(&mut out, 1, 1, Event::Fact { words: &long, names: "" });
        put(&mut out, 1, 1, Event::Diverted(long.as_bytes()));
        let read: Vec<Entry<'_>> = Events::new(&out).collect();
        assert!(matches!(read[0].event, Event::Fact { words, .. } if words.len() == 256));
        assert!(matches!(read[1].event, Event::Diverted(to) if to.len() == 256));
        for end in 0..out.len() {
            assert!(Events::new(&out[..end]).count() < 2);
        }
        for n in 0..out.len() {
            out[n] ^= 0xff;
            let _ = Events::new(&out).count();
            out[n] ^= 0xff;
        }
    }
}
