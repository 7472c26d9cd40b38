//! One REGISTER, RFC 3261 §10.3 steps 6 to 8: as a whole or not at all.

use trunkline_sip::{ConnectionId, Flow};

use crate::binding::Timestamp;
use crate::record::{self, BEHIND_NAT, Entry, Head, Part, REMOVED, SHOWN, Texts};
use crate::uri::uri_equivalent;

/// No AOR has more bindings than this, whatever the configuration says.
const MOST: usize = 200;
/// Ended bindings kept for late retransmissions.
const MOST_ENDED: usize = 16;

/// One Contact of a REGISTER.
#[derive(Clone, Copy, Debug)]
pub struct ContactChange<'a> {
    /// The URI, without angle brackets.
    pub uri: &'a [u8],
    /// Seconds granted; 0 removes the binding.
    pub expires: u32,
    /// Preference in thousandths, 0 to 1000.
    pub q: u16,
    /// `+sip.instance`, without quotes; empty for none.
    pub instance: &'a [u8],
    /// `reg-id`; 0 for none.
    pub reg_id: u32,
    /// Further parameters to be kept and listed, from the first semicolon on; empty for none.
    pub params: &'a [u8],
    /// It is reached by the flow that the REGISTER came by, not where it points.
    pub behind_nat: bool,
}

impl<'a> ContactChange<'a> {
    /// A contact with q 1.0 and nothing else.
    pub fn new(uri: &'a [u8], expires: u32) -> ContactChange<'a> {
        ContactChange { uri, expires, q: 1000, instance: b"", reg_id: 0, params: b"", behind_nat: false }
    }
}

/// What the Contact header fields say.
#[derive(Clone, Copy, Debug)]
pub enum Contacts<'a> {
    /// Bindings to add, refresh or remove; none at all only asks for the list.
    Changes(&'a [ContactChange<'a>]),
    /// `Contact: *` with `Expires: 0`. The caller has checked that both stand alone (RFC 3261 §10.2.2).
    Wildcard,
}

/// A Call-ID that begins with this marks a binding that another server passed on. Its Contact need not be what the phone
/// writes, so that a REGISTER from the same source takes its place.
pub const PASSED_ON: &[u8] = b"passed-on-";

/// What happens when the AOR has as many bindings as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Overflow {
    /// The REGISTER fails.
    #[default]
    Fail,
    /// The binding that was refreshed longest ago gives way.
    ReplaceOldest,
}

/// A REGISTER, as far as the location service cares.
#[derive(Clone, Copy, Debug)]
pub struct Register<'a> {
    /// The canonical AOR: scheme and host in lower case, no parameters.
    pub aor: &'a [u8],
    /// Call-ID.
    pub call_id: &'a [u8],
    /// CSeq number.
    pub cseq: u32,
    /// What is to be done.
    pub contacts: Contacts<'a>,
    /// The way it came.
    pub flow: Flow,
    /// Who sent it, by a number that stands for one party; 0 where that is not known.
    pub registrant: u32,
    /// Is it shown that it came that way, and no forged source address?
    pub shown: bool,
    /// Path header values joined by commas (RFC 3327); empty for none.
    pub path: &'a [u8],
    /// User-Agent; empty for none.
    pub user_agent: &'a [u8],
    /// Labels for selection, `key=value` joined by semicolons; empty for none.
    pub labels: &'a [u8],
    /// How many bindings the AOR may have; `None` for no limit.
    pub max_contacts: Option<usize>,
    /// What happens beyond that.
    pub overflow: Overflow,
    /// Refresh, change and remove what is there, but add nothing: the database would not have it.
    pub add_nothing: bool,
}

impl<'a> Register<'a> {
    /// A REGISTER without path, labels, limit or NAT.
    pub fn new(
        aor: &'a [u8],
        call_id: &'a [u8],
        cseq: u32,
        flow: Flow,
        changes: &'a [ContactChange<'a>],
    ) -> Register<'a> {
        Register {
            aor,
            call_id,
            cseq,
            contacts: Contacts::Changes(changes),
            flow,
            registrant: 0,
            shown: false,
            path: b"",
            user_agent: b"",
            labels: b"",
            max_contacts: None,
            overflow: Overflow::Fail,
            add_nothing: false,
        }
    }

    /// How many seconds the binding lasts that lasts longest; `None` when none is added or refreshed.
    pub(crate) fn longest(&self) -> Option<u32> {
        match self.contacts {
            Contacts::Changes(changes) => changes.iter().map(|c| c.expires).max().filter(|s| *s > 0),
            Contacts::Wildcard => None,
        }
    }
}

/// What a REGISTER did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Bindings added.
    pub added: u16,
    /// Bindings refreshed or changed.
    pub refreshed: u16,
    /// Bindings removed, also those that gave way.
    pub removed: u16,
    /// It was seen before: nothing changed, and the answer is the same.
    pub retransmission: bool,
}

/// Why a REGISTER was not applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// The same Call-ID came with a higher CSeq before (RFC 3261 §10.3 step 7): answer 500.
    #[error("register: CSeq {got} after {had} of the same Call-ID: out of order")]
    OutOfOrder {
        /// The CSeq that came.
        got: u32,
        /// The CSeq that is stored.
        had: u32,
    },
    /// The AOR has as many bindings as it may: answer 403.
    #[error("register: more than {max} contacts: remove one, or raise maxContacts")]
    TooMany {
        /// The limit.
        max: usize,
    },
    /// It would add a binding, and [`Register::add_nothing`] is set: answer 503.
    #[error("register: no binding can be added while the database cannot be written")]
    Unavailable,
    /// A text is longer than 65,535 bytes or the AOR is empty: answer 400 or 513.
    #[error("register: the AOR is empty or a text is too long to be stored")]
    Unstorable,
}

/// What is to be done with the record.
pub(crate) enum Effect {
    Nothing,
    /// It was changed where it is.
    InPlace,
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
/// whatever URI their phones put into both. A phone that has begun anew, with another Call-ID, has left what it registered
/// before over the same transport and family.
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
            !both && uri_equivalent(texts.uri, change.uri)
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
    let head = |change: &ContactChange<'_>, id| Head {
        id,
        expires_at: now + u64::from(change.expires) * 1000,
        registered_at: now,
        cseq: register.cseq,
        reg_id: change.reg_id,
        q: change.q,
        flags: if change.behind_nat { BEHIND_NAT } else { 0 } | if register.shown { SHOWN } else { 0 },
        local,
        registrant: register.registrant,
        flow: register.flow,
    };
    // The everyday case: one live binding is refreshed and everything has the length it had.
    if let [change] = changes
        && change.expires > 0
    {
        let live = find(record, change, register)
            .filter(|e| e.live(now) && e.q() == change.q)
            .map(|e| (e.at, e.id()));
        if let Some((at, id)) = live
            && record::overwrite(record, at, &head(change, id), &texts(register, change))
        {
            return Ok((Outcome { refreshed: 1, ..Outcome::default() }, Effect::InPlace));
        }
    }

    let mut outcome = Outcome::default();
    let matches: Vec<Option<usize>> =
        changes.iter().map(|c| find(record, c, register).map(|e| e.at)).collect();
    // Of two contacts about the same binding the later one counts.
    let superseded = |n: usize| {
        let (Some(this), Some(found)) = (changes.get(n), matches.get(n)) else { return true };
        changes.iter().zip(&matches).skip(n + 1).any(|(later, at)| match (found, at) {
            (Some(a), Some(b)) => a == b,
            (None, None) => uri_equivalent(this.uri, later.uri),
            _ => false,
        })
    };
    let mut parts: Vec<Part<'_>> = Vec::with_capacity(changes.len() + 4);
    let mut dead: Vec<Entry<'_>> = Vec::new();
    for entry in record::entries(record) {
        let about = (0..changes.len()).rev().find(|n| matches.get(*n) == Some(&Some(entry.at)));
        match about.and_then(|n| changes.get(n)) {
            Some(change) if change.expires > 0 => {
                let live = entry.live(now);
                let id = if live { entry.id() } else { new_id() };
                parts.push(Part::New(head(change, id), texts(register, change)));
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
        if change.expires > 0 && matches.get(n) == Some(&None) && !superseded(n) {
            parts.push(Part::New(head(change, new_id()), texts(register, change)));
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
    Ok((outcome, Effect::Replace(record::build(register.aor, flags(record), &mut parts))))
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
    let mut live = contacts(parts, now);
    while live > max {
        let oldest = parts
            .iter_mut()
            .filter_map(|part| match part {
                Part::Kept(entry) if entry.live(now) => Some((*entry, part)),
                Part::Kept(_) | Part::New(..) => None,
            })
            .min_by_key(|(entry, _)| (entry.registered_at(), entry.id()));
        match (register.overflow, oldest) {
            (Overflow::ReplaceOldest, Some((entry, part))) => {
                *part = ended(&entry, register, local, now);
                outcome.removed += 1;
                live = contacts(parts, now);
            }
            (Overflow::ReplaceOldest | Overflow::Fail, _) => return Err(RegisterError::TooMany { max }),
        }
    }
    Ok(())
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
