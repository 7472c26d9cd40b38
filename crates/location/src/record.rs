//! All bindings of one AOR in one boxed slice.
//!
//! At a million AORs the heap's own overhead and pointers weigh more than the data, so a record is a single
//! allocation, and the same bytes go to the database. Layout, little endian:
//!
//! ```text
//! flags u8 | bindings u8 | AOR length u16 | AOR | binding*
//! binding: HEAD bytes of numbers | seven texts (see `Text`)
//! ```
//!
//! Bindings stand in the order of use: q from high to low, newest first. One that has ended stays for
//! [`GRACE_MS`] so that a late retransmission finds its CSeq.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use trunkline_sip::{ConnectionId, Flow, Transport};

use crate::binding::{Binding, BindingId, Timestamp};
use crate::departures::Way;
use crate::locals::Locals;

/// How long an ended binding is remembered: a retransmission comes within Timer F (RFC 3261 §17.1.2.2).
pub(crate) const GRACE_MS: u64 = 32_000;

/// Bytes of numbers before a binding's texts.
pub(crate) const HEAD: usize = 90;
/// Bytes before the AOR.
pub(crate) const RECORD_HEAD: usize = 4;

/// The record waits to be written to the database.
pub(crate) const DIRTY: u8 = 1;

pub(crate) const REMOVED: u8 = 1;
pub(crate) const BEHIND_NAT: u8 = 2;
const REMOTE_V4: u8 = 4;
pub(crate) const SHOWN: u8 = 8;
pub(crate) const PROVEN: u8 = 16;
/// That it ran out has been told.
const TOLD: u8 = 32;

const ID: usize = 0;
const EXPIRES_AT: usize = 8;
const REGISTERED_AT: usize = 16;
const CONNECTION: usize = 24;
const CSEQ: usize = 32;
const REG_ID: usize = 36;
const SCOPE: usize = 40;
const Q: usize = 44;
const LOCAL: usize = 46;
const REMOTE_IP: usize = 48;
const REMOTE_PORT: usize = 64;
const FLAGS: usize = 66;
const TRANSPORT: usize = 67;
const LENGTHS: usize = 68;
const REGISTRANT: usize = 82;
const PROOF: usize = 86;
const TEXTS: usize = 7;

/// The texts of a binding, in the order they are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Texts<'a> {
    pub uri: &'a [u8],
    pub call_id: &'a [u8],
    pub path: &'a [u8],
    pub instance: &'a [u8],
    pub user_agent: &'a [u8],
    pub params: &'a [u8],
    pub labels: &'a [u8],
}

impl<'a> Texts<'a> {
    fn all(&self) -> [&'a [u8]; TEXTS] {
        [self.uri, self.call_id, self.path, self.instance, self.user_agent, self.params, self.labels]
    }

    /// Does every text fit its length field?
    pub fn fits(&self) -> bool {
        self.all().iter().all(|text| text.len() <= usize::from(u16::MAX))
    }

    fn len(&self) -> usize {
        self.all().iter().map(|text| text.len()).sum()
    }
}

/// The numbers of a binding, to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub id: u64,
    pub expires_at: Timestamp,
    pub registered_at: Timestamp,
    pub cseq: u32,
    pub reg_id: u32,
    pub q: u16,
    pub flags: u8,
    pub local: u16,
    pub registrant: u32,
    pub proof: u32,
    pub flow: Flow,
}

fn get<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..at + N).and_then(|b| b.try_into().ok()).unwrap_or([0; N])
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(room) = bytes.get_mut(at..at + value.len()) {
        room.copy_from_slice(value);
    }
}

/// One binding inside a record.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'a> {
    bytes: &'a [u8],
    /// Where it begins in the record.
    pub at: usize,
}

impl<'a> Entry<'a> {
    pub fn id(&self) -> u64 {
        u64::from_le_bytes(get(self.bytes, ID))
    }
    pub fn expires_at(&self) -> Timestamp {
        u64::from_le_bytes(get(self.bytes, EXPIRES_AT))
    }
    pub fn registered_at(&self) -> Timestamp {
        u64::from_le_bytes(get(self.bytes, REGISTERED_AT))
    }
    pub fn connection(&self) -> u64 {
        u64::from_le_bytes(get(self.bytes, CONNECTION))
    }
    pub fn cseq(&self) -> u32 {
        u32::from_le_bytes(get(self.bytes, CSEQ))
    }
    pub fn reg_id(&self) -> u32 {
        u32::from_le_bytes(get(self.bytes, REG_ID))
    }
    pub fn registrant(&self) -> u32 {
        u32::from_le_bytes(get(self.bytes, REGISTRANT))
    }
    pub fn proof(&self) -> u32 {
        u32::from_le_bytes(get(self.bytes, PROOF))
    }
    pub fn q(&self) -> u16 {
        u16::from_le_bytes(get(self.bytes, Q))
    }
    pub fn flags(&self) -> u8 {
        get::<1>(self.bytes, FLAGS)[0]
    }
    pub fn transport(&self) -> Transport {
        let number = get::<1>(self.bytes, TRANSPORT)[0];
        Transport::ALL.into_iter().find(|t| *t as u8 == number).unwrap_or_default()
    }
    pub fn removed(&self) -> bool {
        self.flags() & REMOVED != 0
    }
    pub fn live(&self, now: Timestamp) -> bool {
        !self.removed() && self.expires_at() > now
    }
    /// Only a connection leads to it, and that has ended with the process that held it: nobody reaches it any more.
    pub fn stranded(&self) -> bool {
        let by_connection = self.flags() & BEHIND_NAT != 0 || self.transport().is_websocket();
        by_connection && self.transport().is_reliable() && self.connection() == 0
    }
    /// Has its end been told?
    pub fn told(&self) -> bool {
        self.flags() & TOLD != 0
    }
    /// Ended so long ago that nobody asks any more.
    pub fn forgotten(&self, now: Timestamp) -> bool {
        self.expires_at().saturating_add(GRACE_MS) <= now
    }

    pub fn texts(&self) -> Texts<'a> {
        let mut from = HEAD;
        let mut text = |n: usize| {
            let len = usize::from(u16::from_le_bytes(get(self.bytes, LENGTHS + 2 * n)));
            let text = self.bytes.get(from..from + len).unwrap_or_default();
            from += len;
            text
        };
        Texts {
            uri: text(0),
            call_id: text(1),
            path: text(2),
            instance: text(3),
            user_agent: text(4),
            params: text(5),
            labels: text(6),
        }
    }

    pub fn remote(&self) -> SocketAddr {
        let ip = Ipv6Addr::from(get::<16>(self.bytes, REMOTE_IP));
        let port = u16::from_le_bytes(get(self.bytes, REMOTE_PORT));
        match ip.to_ipv4_mapped() {
            Some(v4) if self.flags() & REMOTE_V4 != 0 => SocketAddr::new(IpAddr::V4(v4), port),
            _ => {
                let scope = u32::from_le_bytes(get(self.bytes, SCOPE));
                SocketAddr::V6(SocketAddrV6::new(ip, port, 0, scope))
            }
        }
    }

    /// How it is reached, without the address that the exchange has there.
    pub fn way(&self) -> Way {
        let transport = self.transport();
        (transport, self.remote(), if transport.is_reliable() { self.connection() } else { 0 })
    }

    pub fn flow(&self, locals: &Locals) -> Flow {
        Flow {
            transport: self.transport(),
            local: locals.address(u16::from_le_bytes(get(self.bytes, LOCAL))),
            remote: self.remote(),
            connection: ConnectionId(self.connection()),
        }
    }

    pub fn view(&self, locals: &Locals) -> Binding<'a> {
        let texts = self.texts();
        Binding {
            id: BindingId(self.id()),
            uri: texts.uri,
            q: self.q(),
            expires_at: self.expires_at(),
            registered_at: self.registered_at(),
            flow: self.flow(locals),
            registrant: self.registrant(),
            behind_nat: self.flags() & BEHIND_NAT != 0,
            shown: self.flags() & SHOWN != 0,
            proven: self.flags() & PROVEN != 0,
            proof: self.proof(),
            path: texts.path,
            instance: texts.instance,
            reg_id: self.reg_id(),
            call_id: texts.call_id,
            cseq: self.cseq(),
            user_agent: texts.user_agent,
            params: texts.params,
            labels: texts.labels,
        }
    }
}

/// How long the texts of the binding are that begins at the slice's start.
fn texts_len(bytes: &[u8]) -> Option<usize> {
    let lengths = bytes.get(LENGTHS..REGISTRANT)?;
    Some(lengths.chunks_exact(2).map(|l| usize::from(u16::from_le_bytes([l[0], l[1]]))).sum())
}

/// Bytes of numbers in earlier formats: format 1 did not know who registered a binding, format 2 not by which secret.
pub(crate) fn older_head(format: &str) -> Option<usize> {
    match format {
        "1" => Some(REGISTRANT),
        "2" => Some(PROOF),
        _ => None,
    }
}

/// A record of an earlier format, whose bindings had so many bytes of numbers.
pub(crate) fn from_older(old: &[u8], head_len: usize) -> Option<Vec<u8>> {
    let (head, mut rest) = old.split_at_checked(RECORD_HEAD + aor(old).len())?;
    let mut new = head.to_vec();
    while !rest.is_empty() {
        let (numbers, after) = rest.split_at_checked(head_len)?;
        let (texts, others) = after.split_at_checked(texts_len(rest)?)?;
        new.extend_from_slice(numbers);
        new.resize(new.len() + HEAD.saturating_sub(head_len), 0);
        new.extend_from_slice(texts);
        rest = others;
    }
    valid(&new).then_some(new)
}

/// A record as an earlier format would have it.
#[cfg(test)]
pub(crate) fn to_older(new: &[u8], head_len: usize) -> Vec<u8> {
    let mut old = new[..RECORD_HEAD + aor(new).len()].to_vec();
    for entry in entries(new) {
        old.extend_from_slice(&entry.bytes[..head_len]);
        old.extend_from_slice(&entry.bytes[HEAD..]);
    }
    old
}

/// Length of the binding that begins at the slice's start; `None` when it does not fit.
fn entry_len(bytes: &[u8]) -> Option<usize> {
    let texts = texts_len(bytes)?;
    (bytes.len() >= HEAD + texts).then_some(HEAD + texts)
}

/// The AOR of a record.
pub(crate) fn aor(record: &[u8]) -> &[u8] {
    let len = usize::from(u16::from_le_bytes(get(record, 2)));
    record.get(RECORD_HEAD..RECORD_HEAD + len).unwrap_or_default()
}

/// The bindings of a record, ended ones too.
pub(crate) fn entries(record: &[u8]) -> impl Iterator<Item = Entry<'_>> {
    let mut at = RECORD_HEAD + aor(record).len();
    std::iter::from_fn(move || {
        let rest = record.get(at..)?;
        let len = entry_len(rest)?;
        let entry = Entry { bytes: rest.get(..len)?, at };
        at += len;
        Some(entry)
    })
}

/// Bindings that nobody has removed; some may have run out.
pub(crate) fn standing(record: &[u8]) -> usize {
    entries(record).filter(|e| !e.removed()).count()
}

/// Is this a record from beginning to end? For bytes from a file.
pub(crate) fn valid(record: &[u8]) -> bool {
    if record.len() < RECORD_HEAD || aor(record).is_empty() {
        return false;
    }
    let (count, end) = entries(record)
        .fold((0usize, RECORD_HEAD + aor(record).len()), |(n, _), e| (n + 1, e.at + e.bytes.len()));
    end == record.len() && count == usize::from(get::<1>(record, 1)[0])
}

pub(crate) fn is_dirty(record: &[u8]) -> bool {
    get::<1>(record, 0)[0] & DIRTY != 0
}

/// Sets or clears the mark; says what it was.
pub(crate) fn set_dirty(record: &mut [u8], dirty: bool) -> bool {
    let was = is_dirty(record);
    let flags = get::<1>(record, 0)[0];
    put(record, 0, &[if dirty { flags | DIRTY } else { flags & !DIRTY }]);
    was
}

/// When the sweep must look at the record: seconds since the epoch, when its first binding is forgotten.
pub(crate) fn sweep_at(record: &[u8]) -> u32 {
    let first = entries(record).map(|e| e.expires_at()).min().unwrap_or(0);
    u32::try_from(first.saturating_add(GRACE_MS).div_ceil(1000)).unwrap_or(u32::MAX)
}

/// Overwrites the binding at `at` when the new texts have the same lengths; otherwise says false.
pub(crate) fn overwrite(record: &mut [u8], at: usize, head: &Head, texts: &Texts<'_>) -> bool {
    let Some(bytes) = record.get_mut(at..) else { return false };
    for (n, text) in texts.all().iter().enumerate() {
        if usize::from(u16::from_le_bytes(get(bytes, LENGTHS + 2 * n))) != text.len() {
            return false;
        }
    }
    write_head(bytes, head);
    let mut from = HEAD;
    for text in texts.all() {
        put(bytes, from, text);
        from += text.len();
    }
    true
}

fn write_head(bytes: &mut [u8], head: &Head) {
    let (ip, v4, scope) = match head.flow.remote {
        SocketAddr::V4(v4) => (v4.ip().to_ipv6_mapped(), REMOTE_V4, 0),
        SocketAddr::V6(v6) => (*v6.ip(), 0, v6.scope_id()),
    };
    put(bytes, ID, &head.id.to_le_bytes());
    put(bytes, EXPIRES_AT, &head.expires_at.to_le_bytes());
    put(bytes, REGISTERED_AT, &head.registered_at.to_le_bytes());
    put(bytes, CONNECTION, &head.flow.connection.0.to_le_bytes());
    put(bytes, CSEQ, &head.cseq.to_le_bytes());
    put(bytes, REG_ID, &head.reg_id.to_le_bytes());
    put(bytes, SCOPE, &scope.to_le_bytes());
    put(bytes, Q, &head.q.to_le_bytes());
    put(bytes, LOCAL, &head.local.to_le_bytes());
    put(bytes, REMOTE_IP, &ip.octets());
    put(bytes, REMOTE_PORT, &head.flow.remote.port().to_le_bytes());
    put(bytes, FLAGS, &[head.flags | v4]);
    put(bytes, TRANSPORT, &[head.flow.transport as u8]);
    put(bytes, REGISTRANT, &head.registrant.to_le_bytes());
    put(bytes, PROOF, &head.proof.to_le_bytes());
}

/// Ends the binding at `at` in place.
pub(crate) fn end(record: &mut [u8], at: usize, now: Timestamp) {
    let Some(bytes) = record.get_mut(at..) else { return };
    let flags = get::<1>(bytes, FLAGS)[0];
    put(bytes, FLAGS, &[flags | REMOVED]);
    put(bytes, EXPIRES_AT, &now.to_le_bytes());
    put(bytes, CONNECTION, &0u64.to_le_bytes());
}

/// Notes that the end of the binding at `at` has been told.
pub(crate) fn set_told(record: &mut [u8], at: usize) {
    if let Some(bytes) = record.get_mut(at..) {
        let flags = get::<1>(bytes, FLAGS)[0];
        put(bytes, FLAGS, &[flags | TOLD]);
    }
}

/// Forgets the connection of the binding at `at`.
pub(crate) fn disconnect(record: &mut [u8], at: usize) {
    if let Some(bytes) = record.get_mut(at..) {
        put(bytes, CONNECTION, &0u64.to_le_bytes());
    }
}

/// A binding for a record under construction: kept as it is, or written anew.
// A handful on the stack while a record is built: boxing the large one would cost more than it saves.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Part<'a> {
    Kept(Entry<'a>),
    New(Head, Texts<'a>),
}

impl Part<'_> {
    fn order(&self) -> (std::cmp::Reverse<u16>, std::cmp::Reverse<u64>) {
        let (q, id) = match self {
            Part::Kept(entry) => (entry.q(), entry.id()),
            Part::New(head, _) => (head.q, head.id),
        };
        (std::cmp::Reverse(q), std::cmp::Reverse(id))
    }

    /// The instance of the phone it is one of the flows of (RFC 5626).
    pub fn flow_of(&self) -> Option<&[u8]> {
        let (instance, reg_id) = match self {
            Part::Kept(entry) => (entry.texts().instance, entry.reg_id()),
            Part::New(head, texts) => (texts.instance, head.reg_id),
        };
        (reg_id != 0 && !instance.is_empty()).then_some(instance)
    }

    fn len(&self) -> usize {
        match self {
            Part::Kept(entry) => entry.bytes.len(),
            Part::New(_, texts) => HEAD + texts.len(),
        }
    }
}

/// A record has so many bindings at most: its head counts them in a byte.
pub(crate) const MOST_PARTS: usize = u8::MAX as usize;

/// Builds a record of exactly the length it needs, of [`MOST_PARTS`] at most.
pub(crate) fn build(aor: &[u8], flags: u8, parts: &mut [Part<'_>]) -> Box<[u8]> {
    parts.sort_by_key(Part::order);
    let total = RECORD_HEAD + aor.len() + parts.iter().map(Part::len).sum::<usize>();
    let mut bytes = Vec::with_capacity(total);
    bytes.extend_from_slice(&[flags, parts.len() as u8]);
    bytes.extend_from_slice(&(aor.len() as u16).to_le_bytes());
    bytes.extend_from_slice(aor);
    for part in parts.iter() {
        match part {
            Part::Kept(entry) => bytes.extend_from_slice(entry.bytes),
            Part::New(head, texts) => {
                let mut room = [0u8; HEAD];
                write_head(&mut room, head);
                for (n, text) in texts.all().iter().enumerate() {
                    put(&mut room, LENGTHS + 2 * n, &(text.len() as u16).to_le_bytes());
                }
                bytes.extend_from_slice(&room);
                texts.all().iter().for_each(|text| bytes.extend_from_slice(text));
            }
        }
    }
    bytes.into_boxed_slice()
}
