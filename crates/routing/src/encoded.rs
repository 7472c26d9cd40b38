//! A decision as bytes, so that a router may stand in another process.

use trunkline_model::DigestAlgorithm;
use trunkline_reasons::Reason;
use trunkline_sip::Span;

use crate::decision::{Decision, Edit, Noted, Outcome, UNDECIDED, Words};
use crate::party::{Direction, Fallback, Parties, PartyName, RoutedKind};
use crate::target::{NextHop, Target, Targets, Text};
use crate::wire::{Reader, Writer};

/// The first byte; another one is of another edition.
const EDITION: u8 = 2;

/// Bytes that are no decision, or one of another edition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoDecision;

impl Decision {
    /// Appends the whole decision. Spans are those of the message that was decided about.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let w = &mut Writer(out);
        w.u8(EDITION);
        put_outcome(w, self.outcome);
        w.option(self.direction, |w, direction| w.u8(direction as u8));
        put_targets(w, &self.targets);
        for bytes in [&self.aor, &self.realm, &self.texts, &self.added] {
            w.bytes(bytes);
        }
        w.u8(self.algorithms.len() as u8);
        self.algorithms.iter().for_each(|algorithm| w.u8(*algorithm as u8));
        for flag in [self.proven, self.known, self.record_route, self.source_refused] {
            w.flag(flag);
        }
        put_parties(w, &self.parties);
        w.u32(self.edits.len() as u32);
        for Edit { span, start, end } in &self.edits {
            w.u16(span.start);
            w.u16(span.end);
            w.u32(*start);
            w.u32(*end);
        }
        w.u32(self.facts.len() as u32);
        for fact in self.facts() {
            w.bytes(fact.words.as_bytes());
            w.bytes(fact.names.as_bytes());
        }
    }

    /// Reads a decision into this one, whose memory is used again.
    ///
    /// # Errors
    /// [`NoDecision`]; what this one holds then is nothing to go by.
    pub fn decode(&mut self, bytes: &[u8]) -> Result<(), NoDecision> {
        self.clear();
        let mut reader = Reader(bytes);
        let read = self.read(&mut reader);
        read.filter(|()| reader.0.is_empty()).ok_or(NoDecision)
    }

    fn read(&mut self, r: &mut Reader<'_>) -> Option<()> {
        if r.u8()? != EDITION {
            return None;
        }
        self.outcome = outcome(r)?;
        self.direction = r.option(direction)?;
        read_targets(r, &mut self.targets)?;
        for bytes in [&mut self.aor, &mut self.realm, &mut self.texts, &mut self.added] {
            bytes.extend_from_slice(r.bytes()?);
        }
        for _ in 0..r.u8()? {
            self.algorithms.try_push(algorithm(r)?).ok()?;
        }
        for flag in [&mut self.proven, &mut self.known, &mut self.record_route, &mut self.source_refused] {
            *flag = r.flag()?;
        }
        self.parties = parties(r)?;
        for _ in 0..r.u32()? {
            let span = Span { start: r.u16()?, end: r.u16()? };
            self.edits.push(Edit { span, start: r.u32()?, end: r.u32()? });
        }
        for _ in 0..r.u32()? {
            let mut keep = |text: &str| {
                let start = self.names.len() as u32;
                self.names.push_str(text);
                (start, self.names.len() as u32)
            };
            let (from, to) = keep(r.text()?);
            let (start, end) = keep(r.text()?);
            self.facts.try_push(Noted { words: Words::Read(from, to), start, end }).ok()?;
        }
        Some(())
    }
}

fn put_outcome(w: &mut Writer<'_>, outcome: Outcome) {
    match outcome {
        Outcome::Reply { code, reason, retry_after } => {
            w.u8(0);
            w.u16(code);
            w.bytes(reason.code().as_bytes());
            w.option(retry_after, Writer::u32);
        }
        Outcome::Challenge { proxy, stale, reason } => {
            w.u8(1);
            w.flag(proxy);
            w.flag(stale);
            w.bytes(reason.code().as_bytes());
        }
        Outcome::Register { max_contacts, replaces_oldest, expires } => {
            w.u8(2);
            w.option(max_contacts, Writer::u32);
            w.option(replaces_oldest, Writer::flag);
            w.option(expires, Writer::u32);
        }
        Outcome::Forward => w.u8(3),
    }
}

fn outcome(r: &mut Reader<'_>) -> Option<Outcome> {
    Some(match r.u8()? {
        0 => {
            let code = r.u16()?;
            Outcome::Reply { code, reason: reason(r)?, retry_after: r.option(Reader::u32)? }
        }
        1 => Outcome::Challenge { proxy: r.flag()?, stale: r.flag()?, reason: reason(r)? },
        2 => Outcome::Register {
            max_contacts: r.option(Reader::u32)?,
            replaces_oldest: r.option(Reader::flag)?,
            expires: r.option(Reader::u32)?,
        },
        3 => Outcome::Forward,
        _ => return None,
    })
}

/// One that this edition does not have is read as the least specific one.
fn reason(r: &mut Reader<'_>) -> Option<Reason> {
    Some(Reason::from_code(r.text()?).unwrap_or(UNDECIDED))
}

fn direction(r: &mut Reader<'_>) -> Option<Direction> {
    let n = r.u8()?;
    Direction::ALL.into_iter().find(|direction| *direction as u8 == n)
}

fn algorithm(r: &mut Reader<'_>) -> Option<DigestAlgorithm> {
    let n = r.u8()?;
    [DigestAlgorithm::Md5, DigestAlgorithm::Sha256].into_iter().find(|algorithm| *algorithm as u8 == n)
}

fn put_parties(w: &mut Writer<'_>, parties: &Parties) {
    for party in [&parties.caller, &parties.callee] {
        w.u8(party.kind as u8);
        w.reference(party.reference.as_ref());
    }
    w.flag(parties.is_carrier);
    w.reference(parties.number.as_ref());
    w.flag(parties.diverted);
    w.option(parties.no_answer_seconds, Writer::u32);
    w.text(parties.fallback.busy.as_deref());
    w.text(parties.fallback.no_answer.as_deref());
}

fn parties(r: &mut Reader<'_>) -> Option<Parties> {
    let party = |r: &mut Reader<'_>| {
        let n = r.u8()?;
        let kind = RoutedKind::ALL.into_iter().find(|kind| *kind as u8 == n)?;
        Some(PartyName { kind, reference: r.reference()? })
    };
    let text = |r: &mut Reader<'_>| r.option(|r| r.text().map(str::to_owned));
    Some(Parties {
        caller: party(r)?,
        callee: party(r)?,
        is_carrier: r.flag()?,
        number: r.reference()?,
        diverted: r.flag()?,
        no_answer_seconds: r.option(Reader::u32)?,
        fallback: Fallback { busy: text(r)?, no_answer: text(r)? },
    })
}

fn put_text(w: &mut Writer<'_>, text: Text) {
    w.u32(text.start);
    w.u32(text.end);
}

fn text(r: &mut Reader<'_>) -> Option<Text> {
    Some(Text { start: r.u32()?, end: r.u32()? })
}

fn put_targets(w: &mut Writer<'_>, targets: &Targets) {
    w.bytes(&targets.arena);
    w.u32(targets.list.len() as u32);
    for target in &targets.list {
        for text in [target.uri, target.path, target.headers, target.from] {
            put_text(w, text);
        }
        w.option(target.flow.as_ref(), |w, flow| w.flow(flow));
        w.flag(target.flow_only);
        w.u64(target.phone);
        w.flag(target.alternate);
        w.option(target.next_hop, |w, hop| {
            put_text(w, hop.host);
            w.option(hop.port, Writer::u16);
            w.option(hop.transport, |w, transport| w.u8(transport as u8));
        });
        w.u16(target.q);
        w.u8(target.group);
        w.reference(target.trunk.as_ref());
        w.u8(target.trunk_uri);
        w.reference(target.credentials.as_ref());
        w.option(target.timeout_ms, Writer::u32);
        w.u64(target.binding_id);
        w.option(target.named_from.as_ref(), |w, at| w.address(at));
    }
}

fn read_targets(r: &mut Reader<'_>, targets: &mut Targets) -> Option<()> {
    targets.arena.extend_from_slice(r.bytes()?);
    for _ in 0..r.u32()? {
        let (uri, path, headers, from) = (text(r)?, text(r)?, text(r)?, text(r)?);
        let next_hop = |r: &mut Reader<'_>| {
            let host = text(r)?;
            Some(NextHop { host, port: r.option(Reader::u16)?, transport: r.option(Reader::transport)? })
        };
        targets.list.push(Target {
            uri,
            path,
            headers,
            from,
            flow: r.option(Reader::flow)?,
            flow_only: r.flag()?,
            phone: r.u64()?,
            alternate: r.flag()?,
            next_hop: r.option(next_hop)?,
            q: r.u16()?,
            group: r.u8()?,
            trunk: r.reference()?,
            trunk_uri: r.u8()?,
            credentials: r.reference()?,
            timeout_ms: r.option(Reader::u32)?,
            binding_id: r.u64()?,
            named_from: r.option(Reader::address)?,
        });
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One with a value in every place.
    fn full() -> Decision {
        let mut d = Decision::default();
        let (v4, v6) = ("192.0.2.1:5060".parse().unwrap(), "[2001:db8::1]:9".parse().unwrap());
        let flow = trunkline_sip::Flow {
            transport: trunkline_sip::Transport::Wss,
            local: v6,
            remote: v4,
            connection: trunkline_sip::ConnectionId(77),
        };
        let binding = crate::target::Binding {
            flow: Some(flow),
            flow_only: true,
            phone: 9,
            q: 300,
            next_hop: Some((b"h.example", Some(5061), Some(trunkline_sip::Transport::Tls))),
            path: b"<sip:p;lr>",
            named_from: Some(v6),
            ..crate::target::Binding::new(b"sip:a@h", 5)
        };
        d.targets.push_binding(binding);
        d.targets.push_binding(crate::target::Binding::new(b"sip:b@h", 0));
        d.outcome = Outcome::Reply { code: 403, reason: Reason::AclPeer, retry_after: Some(7) };
        d.direction = Some(Direction::PeerToPstn);
        d.set_aor(b"1001", "sip.local");
        d.realm.extend_from_slice(b"sip.local");
        d.offer(&[DigestAlgorithm::Sha256, DigestAlgorithm::Md5]);
        (d.proven, d.known, d.record_route, d.source_refused) = (true, true, true, true);
        d.parties = Parties {
            caller: PartyName { kind: RoutedKind::Pstn, reference: Some("t".into()) },
            is_carrier: true,
            callee: PartyName { kind: RoutedKind::Agent, reference: Some("a".into()) },
            number: Some("n".into()),
            diverted: true,
            no_answer_seconds: Some(20),
            fallback: Fallback { busy: Some("sip:b@h".into()), no_answer: Some(String::new()) },
        };
        d.delete(Span { start: 3, end: 9 });
        d.replace(Span { start: 10, end: 12 }, b"new");
        d.add_header("X-One", b"1");
        d.note(crate::explain::Fact::KnownConnection);
        let domain = trunkline_model::Domain::new("d", "sip.local");
        d.note(crate::explain::Fact::OwnAddress(&domain));
        d
    }

    #[test]
    fn what_is_written_is_read() {
        let (mut bytes, mut again, mut read) = (Vec::new(), Vec::new(), Decision::default());
        for decision in [full(), Decision::default(), full()] {
            bytes.clear();
            decision.encode(&mut bytes);
            read.decode(&bytes).unwrap();
            again.clear();
            read.encode(&mut again);
            assert_eq!(bytes, again);
            assert_eq!((read.parties.clone(), read.outcome), (decision.parties.clone(), decision.outcome));
            let told = |d: &Decision| (d.explain(), format!("{:?}", (&d.targets, d.added_headers())));
            assert_eq!(told(&read), told(&decision));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let mut bytes = Vec::new();
        full().encode(&mut bytes);
        let mut read = Decision::default();
        for length in 0..bytes.len() {
            assert_eq!(read.decode(&bytes[..length]), Err(NoDecision), "{length} bytes");
        }
        bytes.push(0);
        assert_eq!(read.decode(&bytes), Err(NoDecision), "more than one");
        bytes.pop();
        bytes[0] = EDITION + 1;
        assert_eq!(read.decode(&bytes), Err(NoDecision));
        for n in 0..bytes.len() {
            // Whatever it says, it is read without harm.
            bytes[n] ^= 0xff;
            let _ = read.decode(&bytes);
            let _ = (read.explain(), read.edits().count());
            bytes[n] ^= 0xff;
        }
    }
}
