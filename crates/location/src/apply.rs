//! One REGISTER, RFC 3261 §10.3 steps 6 to 8: as a whole or not at all.

use trunkline_sip::{ConnectionId, Flow, Transport};

use crate::binding::Timestamp;
use crate::origins::Places;
use crate::record::{self, BEHIND_NAT, Entry, Head, PROVEN, Part, REMOVED, SHOWN, Texts};
use crate::register::{ContactChange, Contacts, Outcome, Overflow, PASSED_ON, Register, RegisterError};
use crate::uri::uri_equivalent;

/// No AOR has more bindings than this, whatever the configuration says.
const MOST: usize = 200;
/// One phone has so many flows at most (RFC 5626 §4.2.1 speaks of two); the oldest gives way, whatever the overflow.
const MOST_FLOWS: usize = 8;
/// Bytes of a record, at most: each REGISTER may write all of it. 200 common bindings have 60,000.
const MOST_BYTES: usize = 128 << 10;
/// Ended bindings kept for late retransmissions.
const MOST_ENDED: usize = 16;

/// What is to be done with the record.
pub(crate) enum Effect {
    Nothing,
    /// It was changed where it is; where the phone was before.
    InPlace(Option<Places>),
    Replace(Box<[u8]>),
}

fn texts<'a>(register: &Register<'a>, change: &ContactChange<'a>) -> Texts<'a> {
    Texts {
        uri: change.uri,
        call_id: register.call_id,
        path: register.path,
        instance: change.instance,
        user_agent: register.user_agent,
        params: change.params,
        labels: register.labels,
    }
}

/// The binding a contact is about: by instance and reg-id (RFC 5626 §6), else by URI. Two flows of phones stay two,
/// whatever URI their phones put into both, and so do two phones that are reached by their connections alone. A phone that has begun
/// anew, with another Call-ID, has left what it registered before over the same transport and family.
fn find<'r>(record: &'r [u8], change: &ContactChange<'_>, register: &Register<'_>) -> Option<Entry<'r>> {
    let flow = &register.flow;
    let is_flow = change.reg_id != 0 && !change.instance.is_empty();
    let by_instance = is_flow
        .then(|| {
            record::entries(record)
                .find(|e| e.reg_id() == change.reg_id && e.texts().instance == change.instance)
        })
        .flatten();
    let by_contact = by_instance.or_else(|| {
        record::entries(record).find(|e| {
            let texts = e.texts();
            let both = is_flow && e.reg_id() != 0 && !texts.instance.is_empty();
            !both && uri_equivalent(texts.uri, change.uri) && !is_of_another_phone(e, change, register)
        })
    });
    let began_anew = |e: &Entry<'_>| {
        let (texts, at) = (e.texts(), e.remote());
        e.reg_id() == 0
            && texts.instance == change.instance
            && texts.call_id != register.call_id
            && e.transport() == flow.transport
            && at.is_ipv4() == flow.remote.is_ipv4()
    };
    let may_replace = change.reg_id == 0 && !change.instance.is_empty() && change.expires > 0;
    let by_contact =
        by_contact.or_else(|| record::entries(record).find(|e| may_replace && !e.removed() && began_anew(e)));
    by_contact.or_else(|| {
        record::entries(record).find(|e| {
            e.texts().call_id.starts_with(PASSED_ON)
                && (e.transport(), e.remote()) == (flow.transport, flow.remote)
        })
    })
}

/// Do two phones behind NATs have the same private address? The one of this binding is at the end of another connection that lives, and
/// has a Call-ID of its own, which a phone that connects anew keeps (RFC 3261 §10.2).
fn is_of_another_phone(entry: &Entry<'_>, change: &ContactChange<'_>, register: &Register<'_>) -> bool {
    let (texts, flow) = (entry.texts(), &register.flow);
    let by_connection = |behind_nat, transport: Transport| {
        transport.is_reliable() && (behind_nat || transport.is_websocket())
    };
    let by_connections = by_connection(change.behind_nat, flow.transport)
        && by_connection(entry.flags() & BEHIND_NAT != 0, entry.transport());
    let same_phone = !change.instance.is_empty() && change.instance == texts.instance;
    by_connections
        && !same_phone
        && !entry.removed()
        && entry.connection() != ConnectionId::NONE.0
        && entry.connection() != flow.connection.0
        && texts.call_id != register.call_id
}

fn same(entry: &Entry<'_>, change: &ContactChange<'_>) -> bool {
    if change.expires == 0 {
        return entry.removed();
    }
    !entry.removed()
        && entry.q() == change.q
        && entry.expires_at().checked_sub(entry.registered_at()) == Some(u64::from(change.expires) * 1000)
        && uri_equivalent(entry.texts().uri, change.uri)
}

/// A binding that has ended, remembered without what only a live one needs.
fn ended<'a>(entry: &Entry<'a>, register: &Register<'a>, locals: u16, now: Timestamp) -> Part<'a> {
    let texts = entry.texts();
    let head = Head {
        id: entry.id(),
        expires_at: now,
        registered_at: entry.registered_at(),
        cseq: register.cseq,
        reg_id: entry.reg_id(),
        q: entry.q(),
        flags: REMOVED,
        local: locals,
        registrant: entry.registrant(),
        proof: entry.proof(),
        flow: Flow { connection: ConnectionId::NONE, ..register.flow },
    };
    let texts =
        Texts { call_id: register.call_id, instance: texts.instance, uri: texts.uri, ..Texts::default() };
    Part::New(head, texts)
}

/// Applies a REGISTER to a record (empty for none). `new_id` numbers a new binding.
pub(crate) fn apply(
    record: &mut [u8],
    register: &Register<'_>,
    local: u16,
    now: Timestamp,
    new_id: impl Fn() -> u64,
) -> Result<(Outcome, Effect), RegisterError> {
    let changes = match register.contacts {
        Contacts::Changes(changes) => changes,
        Contacts::Wildcard => return remove_all(record, register, local, now),
    };
    let fits = |change: &ContactChange<'_>| texts(register, change).fits();
    if register.aor.is_empty() || register.aor.len() > usize::from(u16::MAX) || !changes.iter().all(fits) {
        return Err(RegisterError::Unstorable);
    }
    if let Some(outcome) = check_order(record, register, changes)? {
        return Ok((outcome, Effect::Nothing));
    }
    let merge = Merge { register, changes, local, now };
    if let Some(had) = merge.refresh_in_place(record) {
        return Ok((Outcome { refreshed: 1, ..Outcome::default() }, Effect::InPlace(had)));
    }
    merge.rebuild(record, new_id)
}

/// A REGISTER that is applied to a record.
struct Merge<'a> {
    register: &'a Register<'a>,
    changes: &'a [ContactChange<'a>],
    local: u16,
    now: Timestamp,
}

impl<'a> Merge<'a> {
    fn head(&self, change: &ContactChange<'_>, id: u64) -> Head {
        Head {
            id,
            expires_at: self.now + u64::from(change.expires) * 1000,
            registered_at: self.now,
            cseq: self.register.cseq,
            reg_id: change.reg_id,
            q: change.q,
            flags: if change.behind_nat { BEHIND_NAT } else { 0 }
                | if self.register.shown { SHOWN } else { 0 }
                | if self.register.proven { PROVEN } else { 0 },
            local: self.local,
            registrant: self.register.registrant,
            proof: self.register.proof,
            flow: self.register.flow,
        }
    }

    fn new_part(&self, change: &ContactChange<'a>, id: u64) -> Part<'a> {
        Part::New(self.head(change, id), texts(self.register, change))
    }

    /// The everyday case: one live binding is refreshed and everything has the length it had. Where its phone was before; `None`
    /// when it is another case.
    fn refresh_in_place(&self, record: &mut [u8]) -> Option<Option<Places>> {
        let [change] = self.changes else { return None };
        let entry = find(record, change, self.register)
            .filter(|e| change.expires > 0 && e.live(self.now) && e.q() == change.q)?;
        let (had, flow) = (entry.texts(), &self.register.flow);
        let stays = entry.transport() == flow.transport
            && entry.remote() == flow.remote
            && entry.connection() == flow.connection.0
            && (had.uri, had.path) == (change.uri, self.register.path)
            && (entry.flags() & BEHIND_NAT != 0) == change.behind_nat;
        let (at, id, had) = (entry.at, entry.id(), (!stays).then(|| Places::of(&entry)));
        record::overwrite(record, at, &self.head(change, id), &texts(self.register, change)).then_some(had)
    }

    /// The record anew: what is kept, what has changed, what has ended, what is added.
    fn rebuild(&self, record: &[u8], new_id: impl Fn() -> u64) -> Result<(Outcome, Effect), RegisterError> {
        let Merge { register, changes, local, now } = *self;
        let mut outcome = Outcome::default();
        let matches: Vec<Option<usize>> =
            changes.iter().map(|c| find(record, c, register).map(|e| e.at)).collect();
        let mut parts: Vec<Part<'_>> = Vec::with_capacity(changes.len() + 4);
        let mut dead: Vec<Entry<'_>> = Vec::new();
        for entry in record::entries(record) {
            let about = (0..changes.len()).rev().find(|n| matches.get(*n) == Some(&Some(entry.at)));
            match about.and_then(|n| changes.get(n)) {
                Some(change) if change.expires > 0 => {
                    let live = entry.live(now);
                    let id = if live { entry.id() } else { new_id() };
                    parts.push(self.new_part(change, id));
                    if live { outcome.refreshed += 1 } else { outcome.added += 1 }
                }
                Some(_) if entry.live(now) => {
                    parts.push(ended(&entry, register, local, now));
                    outcome.removed += 1;
                }
                Some(_) | None if entry.live(now) => parts.push(Part::Kept(entry)),
                Some(_) | None => dead.push(entry),
            }
        }
        for (n, change) in changes.iter().enumerate() {
            if change.expires > 0 && matches.get(n) == Some(&None) && !self.is_superseded(n, &matches) {
                parts.push(self.new_part(change, new_id()));
                outcome.added += 1;
            }
        }
        if outcome == Outcome::default() {
            return Ok((outcome, Effect::Nothing));
        }
        if outcome.added > 0 {
            if register.add_nothing {
                return Err(RegisterError::Unavailable);
            }
            make_room(&mut parts, register, local, now, &mut outcome)?;
        }
        keep_ended(&mut parts, dead, now);
        if parts.len() > record::MOST_PARTS {
            return Err(RegisterError::Unstorable);
        }
        let built = record::build(register.aor, flags(record), &mut parts);
        // What only ends bindings is never refused.
        if built.len() > MOST_BYTES && outcome.added + outcome.refreshed > 0 {
            return Err(RegisterError::Unstorable);
        }
        Ok((outcome, Effect::Replace(built)))
    }

    /// Of two contacts about the same binding the later one counts.
    fn is_superseded(&self, n: usize, matches: &[Option<usize>]) -> bool {
        let (Some(this), Some(found)) = (self.changes.get(n), matches.get(n)) else { return true };
        self.changes.iter().zip(matches).skip(n + 1).any(|(later, at)| match (found, at) {
            (Some(a), Some(b)) => a == b,
            (None, None) => uri_equivalent(this.uri, later.uri),
            _ => false,
        })
    }
}

fn flags(record: &[u8]) -> u8 {
    record.first().copied().unwrap_or(0)
}

/// RFC 3261 §10.3 step 7. `Some` when the request was applied before.
fn check_order(
    record: &[u8],
    register: &Register<'_>,
    changes: &[ContactChange<'_>],
) -> Result<Option<Outcome>, RegisterError> {
    let (mut seen, mut fresh) = (None, false);
    for change in changes {
        let Some(entry) = find(record, change, register) else {
            fresh |= change.expires > 0;
            continue;
        };
        let had = entry.cseq();
        if entry.texts().call_id != register.call_id || had < register.cseq {
            fresh = true;
        } else if had == register.cseq && same(&entry, change) {
            seen = Some(had);
        } else {
            return Err(RegisterError::OutOfOrder { got: register.cseq, had });
        }
    }
    match seen {
        Some(had) if fresh => Err(RegisterError::OutOfOrder { got: register.cseq, had }),
        Some(_) => Ok(Some(Outcome { retransmission: true, ..Outcome::default() })),
        None => Ok(None),
    }
}

fn is_live(part: &Part<'_>, now: Timestamp) -> bool {
    match part {
        Part::Kept(entry) => entry.live(now),
        Part::New(head, _) => head.flags & REMOVED == 0,
    }
}

fn uri_of<'a>(part: &Part<'a>) -> &'a [u8] {
    match part {
        Part::Kept(entry) => entry.texts().uri,
        Part::New(_, texts) => texts.uri,
    }
}

/// How many contacts count: the flows of one phone are one (RFC 5626 §3.1), and one whose connection a restart ended
/// does not stand in the way of the phone that comes back.
fn contacts(parts: &[Part<'_>], now: Timestamp) -> usize {
    let (mut phones, mut others): (Vec<&[u8]>, usize) = (Vec::new(), 0);
    let counts = |part: &&Part<'_>| match part {
        Part::Kept(entry) => entry.live(now) && !entry.stranded(),
        Part::New(..) => is_live(part, now),
    };
    for part in parts.iter().filter(counts) {
        match part.flow_of() {
            Some(phone) if phones.contains(&phone) => {}
            Some(phone) => phones.push(phone),
            None => others += 1,
        }
    }
    phones.len() + others
}

fn make_room<'a>(
    parts: &mut [Part<'a>],
    register: &Register<'a>,
    local: u16,
    now: Timestamp,
    outcome: &mut Outcome,
) -> Result<(), RegisterError> {
    let max = register.max_contacts.unwrap_or(MOST).min(MOST);
    while let Some(phone) = with_too_many_flows(parts, now) {
        let oldest = oldest(parts, now, |part| part.flow_of() == Some(&*phone));
        let Some((entry, part)) = oldest else { return Err(RegisterError::TooMany { max: MOST_FLOWS }) };
        *part = ended(&entry, register, local, now);
        outcome.removed += 1;
    }
    let is_full = |parts: &[Part<'_>]| {
        contacts(parts, now) > max || parts.iter().filter(|part| is_live(part, now)).count() > MOST
    };
    let added = parts.iter().filter(|part| matches!(part, Part::New(..)) && is_live(part, now));
    let added: Vec<&[u8]> = added.map(uri_of).collect();
    while is_full(parts) {
        // A phone that begins anew while its old connection seems to live cannot be told from another one with its address: it is the
        // more frequent case, and must not be kept out by itself.
        let is_twin = |part: &Part<'_>| {
            let by_connection =
                matches!(part, Part::Kept(e) if e.connection() != ConnectionId::NONE.0 && e.reg_id() == 0);
            by_connection && added.iter().any(|uri| uri_equivalent(uri_of(part), uri))
        };
        if let Some((entry, part)) = oldest(parts, now, is_twin) {
            *part = ended(&entry, register, local, now);
            outcome.removed += 1;
            continue;
        }
        match (register.overflow, oldest(parts, now, |_| true)) {
            (Overflow::ReplaceOldest, Some((entry, part))) => {
                *part = ended(&entry, register, local, now);
                outcome.removed += 1;
            }
            (Overflow::ReplaceOldest | Overflow::Fail, _) => return Err(RegisterError::TooMany { max }),
        }
    }
    Ok(())
}

/// The oldest of the live bindings that were there before and are meant.
fn oldest<'a, 'p>(
    parts: &'p mut [Part<'a>],
    now: Timestamp,
    is_meant: impl Fn(&Part<'a>) -> bool,
) -> Option<(Entry<'a>, &'p mut Part<'a>)> {
    parts
        .iter_mut()
        .filter_map(|part| match part {
            Part::Kept(entry) if entry.live(now) && is_meant(&Part::Kept(*entry)) => Some((*entry, part)),
            Part::Kept(_) | Part::New(..) => None,
        })
        .min_by_key(|(entry, _)| (entry.registered_at(), entry.id()))
}

/// The phone of a new flow that has more than it may.
fn with_too_many_flows(parts: &[Part<'_>], now: Timestamp) -> Option<Box<[u8]>> {
    let added = parts.iter().filter(|part| matches!(part, Part::New(..)) && is_live(part, now));
    let many = |phone: &&[u8]| {
        let of = |part: &&Part<'_>| is_live(part, now) && part.flow_of() == Some(*phone);
        parts.iter().filter(of).count() > MOST_FLOWS
    };
    added.filter_map(Part::flow_of).find(many).map(Box::from)
}

/// Of the ended bindings the latest stay a while.
fn keep_ended<'a>(parts: &mut Vec<Part<'a>>, mut dead: Vec<Entry<'a>>, now: Timestamp) {
    dead.retain(|entry| !entry.forgotten(now));
    dead.sort_by_key(|entry| std::cmp::Reverse(entry.expires_at()));
    dead.truncate(MOST_ENDED);
    parts.extend(dead.into_iter().map(Part::Kept));
}

fn remove_all(
    record: &[u8],
    register: &Register<'_>,
    local: u16,
    now: Timestamp,
) -> Result<(Outcome, Effect), RegisterError> {
    let mut seen = false;
    for entry in record::entries(record).filter(|e| e.texts().call_id == register.call_id) {
        let had = entry.cseq();
        if had > register.cseq || (had == register.cseq && !entry.removed()) {
            return Err(RegisterError::OutOfOrder { got: register.cseq, had });
        }
        seen |= had == register.cseq;
    }
    if seen {
        return Ok((Outcome { retransmission: true, ..Outcome::default() }, Effect::Nothing));
    }
    let mut outcome = Outcome::default();
    let (mut parts, mut dead) = (Vec::new(), Vec::new());
    for entry in record::entries(record) {
        if entry.live(now) {
            parts.push(ended(&entry, register, local, now));
            outcome.removed += 1;
        } else {
            dead.push(entry);
        }
    }
    if outcome.removed == 0 {
        return Ok((outcome, Effect::Nothing));
    }
    keep_ended(&mut parts, dead, now);
    Ok((outcome, Effect::Replace(record::build(register.aor, flags(record), &mut parts))))
}
