//! A call in bytes: numbers and texts in one reusable buffer, the same in the table and in the queue to the
//! database.

use std::net::{IpAddr, Ipv6Addr};

use crate::call::{CallStart, CallView, Direction};
use crate::cause::Cause;
use crate::ending::{Ender, ReasonLines};

/// What the database is to do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The call goes on: insert.
    Open = 0,
    /// The call goes on and has a row: update.
    Answered = 1,
    /// The call has ended and has no row: insert.
    Whole = 2,
    /// The call has ended and has a row: update.
    Ended = 3,
    /// Refused calls of one source, so far: insert or replace.
    Sum = 4,
    /// The same, and no more will come.
    WholeSum = 5,
}

const KIND: usize = 0;
const CAUSE: usize = 1;
const DIRECTION: usize = 2;
const STATE: usize = 3;
const STATUS: usize = 4;
const ENDED_BY: usize = 6;
const TRANSFERRED_BY: usize = 7;
const ID: usize = 8;
const STARTED: usize = 16;
const ANSWERED: usize = 24;
const ENDED: usize = 32;
const SOURCE: usize = 40;
const RANG: usize = 56;
const COUNT: usize = 64;
const LENGTHS: usize = 68;
const TEXTS: usize = 13;
const HEAD: usize = LENGTHS + 2 * TEXTS;

const WAS_ANSWERED: u8 = 1;
const HAS_ENDED: u8 = 2;
const SOURCE_V4: u8 = 4;
const HAS_RUNG: u8 = 8;
const MANY_SOURCES: u8 = 16;
const OF_STRANGER: u8 = 32;
/// It is one call, and what stands at [`COUNT`] is the number of the call that it takes the place of.
const REPLACES: u8 = 64;

/// Longer texts are cut: a record is for reading, and a Request-URI of kilobytes is noise.
const MOST_TEXT: usize = 512;
/// The callee's tag identifies the dialog, so it is cut only where it is so long that a call would take too much memory.
const MOST_TAG: usize = 4096;
/// A `Reason` header is a few words; that of a hostile party is not kept in full.
const MOST_REASON: usize = 256;

/// Text numbers; those of a plain call that change after the start come last.
pub(crate) const TO: usize = 3;
pub(crate) const CALLER: usize = 4;
pub(crate) const CALLEE: usize = 5;
pub(crate) const TRUNK: usize = 6;
pub(crate) const TO_TAG: usize = 7;
pub(crate) const FIRST_CALLED: usize = 8;
const TO_HEADER: usize = 9;
pub(crate) const SIP_REASON: usize = 10;
pub(crate) const REASON: usize = 11;
pub(crate) const CODEC: usize = 12;

/// The buffer of one call. Cleared and filled again for the next, so it allocates only until it has grown.
#[derive(Clone, Default)]
pub(crate) struct Row(Vec<u8>);

fn get<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..at + N).and_then(|b| b.try_into().ok()).unwrap_or([0; N])
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(room) = bytes.get_mut(at..at + value.len()) {
        room.copy_from_slice(value);
    }
}

fn text_len(bytes: &[u8], n: usize) -> usize {
    usize::from(u16::from_le_bytes(get(bytes, LENGTHS + 2 * n)))
}

/// As long as a text of a record may be.
pub(crate) fn cut(text: &[u8]) -> &[u8] {
    text.get(..MOST_TEXT).unwrap_or(text)
}

impl Row {
    pub fn fill(&mut self, start: &CallStart<'_>, id: u64, now: u64) {
        let bytes = &mut self.0;
        bytes.clear();
        bytes.resize(HEAD, 0);
        let (source, state) = match start.source {
            IpAddr::V4(v4) => (v4.to_ipv6_mapped(), SOURCE_V4),
            IpAddr::V6(v6) => (v6, 0),
        };
        let state = if start.is_strangers { state | OF_STRANGER } else { state };
        let replaced = u32::try_from(start.replaces).ok().filter(|id| *id > 0);
        let state = if replaced.is_some() { state | REPLACES } else { state };
        put(bytes, DIRECTION, &[start.direction as u8, state]);
        put(bytes, ID, &id.to_le_bytes());
        put(bytes, STARTED, &now.to_le_bytes());
        put(bytes, COUNT, &replaced.unwrap_or(1).to_le_bytes());
        put(bytes, SOURCE, &source.octets());
        let texts = [
            // These two identify the dialog, so they are never truncated.
            start.call_id,
            start.from_tag,
            cut(start.from),
            cut(start.to),
            cut(start.caller_ref),
            cut(start.callee_ref),
            cut(start.trunk()),
        ];
        let to_header = cut(start.to_header);
        // What comes between is said later.
        let numbered = texts.iter().enumerate().chain([(TO_HEADER, &to_header)]);
        for (n, text) in numbered {
            put(bytes, LENGTHS + 2 * n, &(text.len().min(usize::from(u16::MAX)) as u16).to_le_bytes());
            bytes.extend_from_slice(text.get(..usize::from(u16::MAX)).unwrap_or(text));
        }
    }

    /// The bytes it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Forgets a call, and gives back memory above this much.
    pub fn clear(&mut self, room: usize) {
        self.0.clear();
        self.0.shrink_to(room);
    }

    pub fn text(&self, n: usize) -> &[u8] {
        text(&self.0, n)
    }

    pub fn set_text(&mut self, n: usize, value: &[u8]) {
        let value = if n == TO_TAG { value.get(..MOST_TAG).unwrap_or(value) } else { cut(value) };
        let from = HEAD + (0..n).map(|n| text_len(&self.0, n)).sum::<usize>();
        let to = from + text_len(&self.0, n);
        if to <= self.0.len() {
            self.0.splice(from..to, value.iter().copied());
            put(&mut self.0, LENGTHS + 2 * n, &(value.len() as u16).to_le_bytes());
        }
    }

    /// The lines of a `Reason` header, one behind the other (RFC 3326 §2).
    pub fn set_sip_reason(&mut self, lines: &ReasonLines<'_>) {
        let (mut text, mut end) = ([0u8; MOST_REASON], 0);
        for line in lines.iter().filter(|line| !line.is_empty()) {
            let between: &[u8] = if end == 0 { b"" } else { b", " };
            // A line that does not fit as a whole is left out, unless it is the first.
            if end > 0 && end + between.len() + line.len() > MOST_REASON {
                break;
            }
            for b in between.iter().chain(*line) {
                if let Some(place) = text.get_mut(end) {
                    *place = *b;
                    end += 1;
                }
            }
        }
        self.set_text(SIP_REASON, text.get(..end).unwrap_or_default());
    }

    pub fn is_answered(&self) -> bool {
        get::<1>(&self.0, STATE)[0] & WAS_ANSWERED != 0
    }

    pub fn ended_by(&self) -> Ender {
        Ender::from_number(get::<1>(&self.0, ENDED_BY)[0])
    }

    pub fn set_ended_by(&mut self, by: Ender) {
        put(&mut self.0, ENDED_BY, &[by as u8]);
    }

    pub fn set_transferred_by(&mut self, by: Ender) {
        put(&mut self.0, TRANSFERRED_BY, &[by as u8]);
    }

    /// Has it gone out through a trunk? The trunk of a call that came in through one is its caller.
    pub fn leaves_by_trunk(&self) -> bool {
        let incoming = get::<1>(&self.0, DIRECTION)[0] == Direction::FromPstn as u8;
        let trunk = self.text(TRUNK);
        !(trunk.is_empty() || incoming && trunk == self.text(CALLER))
    }

    /// When it began, in milliseconds since 1970.
    pub fn started(&self) -> u64 {
        u64::from_le_bytes(get(&self.0, STARTED))
    }

    /// When it was answered, if it was.
    pub fn answered(&self) -> Option<u64> {
        self.is_answered().then(|| u64::from_le_bytes(get(&self.0, ANSWERED)))
    }

    /// It rings since then; false: it has rung before.
    pub fn set_rang(&mut self, now: u64) -> bool {
        let first = get::<1>(&self.0, STATE)[0] & HAS_RUNG == 0;
        if first {
            self.set_state(HAS_RUNG);
            put(&mut self.0, RANG, &now.to_le_bytes());
        }
        first
    }

    /// It stands for calls of many sources.
    pub fn set_many_sources(&mut self) {
        self.set_state(MANY_SOURCES);
    }

    /// It stands for so many calls.
    pub fn set_count(&mut self, count: u32) {
        put(&mut self.0, COUNT, &count.to_le_bytes());
    }

    fn set_state(&mut self, flag: u8) {
        let state = get::<1>(&self.0, STATE)[0] | flag;
        put(&mut self.0, STATE, &[state]);
    }

    pub fn set_answered(&mut self, now: u64) {
        self.set_state(WAS_ANSWERED);
        put(&mut self.0, ANSWERED, &now.to_le_bytes());
        put(&mut self.0, STATUS, &200u16.to_le_bytes());
    }

    pub fn set_ended(&mut self, cause: Cause, status: u16, now: u64) {
        self.set_state(HAS_ENDED);
        put(&mut self.0, ENDED, &now.to_le_bytes());
        put(&mut self.0, CAUSE, &[cause as u8]);
        if !self.is_answered() {
            put(&mut self.0, STATUS, &status.to_le_bytes());
        }
    }

    // Nearly all who end a call do not look at it.
    #[inline]
    pub fn view(&self) -> CallView<'_> {
        view(&self.0)
    }

    /// Appends it to a queue.
    pub fn push(&self, kind: Kind, queue: &mut Vec<u8>) {
        let at = queue.len();
        queue.extend_from_slice(&self.0);
        put(queue, at + KIND, &[kind as u8]);
    }
}

fn text(bytes: &[u8], n: usize) -> &[u8] {
    let from = HEAD + (0..n).map(|n| text_len(bytes, n)).sum::<usize>();
    bytes.get(from..from + text_len(bytes, n)).unwrap_or_default()
}

/// All texts, in the order of their numbers.
fn texts(bytes: &[u8]) -> [&[u8]; TEXTS] {
    let mut rest = bytes.get(HEAD..).unwrap_or_default();
    std::array::from_fn(|n| {
        let (text, after) = rest.split_at_checked(text_len(bytes, n)).unwrap_or_default();
        rest = after;
        text
    })
}

#[inline]
fn view(bytes: &[u8]) -> CallView<'_> {
    let [cause, direction, state] = get::<3>(bytes, CAUSE);
    let time = |at, flag| (state & flag != 0).then(|| u64::from_le_bytes(get(bytes, at)));
    let source = Ipv6Addr::from(get::<16>(bytes, SOURCE));
    let source = match source.to_ipv4_mapped() {
        Some(v4) if state & SOURCE_V4 != 0 => IpAddr::V4(v4),
        _ => IpAddr::V6(source),
    };
    let [
        call_id,
        from_tag,
        from,
        to,
        caller_ref,
        callee_ref,
        trunk_ref,
        to_tag,
        first_called,
        to_header,
        sip_reason,
        reason,
        codec,
    ] = texts(bytes);
    let count = u32::from_le_bytes(get(bytes, COUNT));
    CallView {
        id: u64::from_le_bytes(get(bytes, ID)),
        call_id,
        from_tag,
        from,
        to,
        first_called,
        to_header,
        caller_ref,
        callee_ref,
        trunk_ref,
        to_tag,
        direction: Direction::from_number(direction),
        source,
        started: u64::from_le_bytes(get(bytes, STARTED)),
        answered: time(ANSWERED, WAS_ANSWERED),
        ended: time(ENDED, HAS_ENDED),
        cause: (state & HAS_ENDED != 0).then(|| Cause::from_number(cause)),
        status: u16::from_le_bytes(get(bytes, STATUS)),
        rang: time(RANG, HAS_RUNG),
        ended_by: Ender::from_number(get::<1>(bytes, ENDED_BY)[0]),
        reason,
        sip_reason,
        codec,
        transferred_by: Ender::from_number(get::<1>(bytes, TRANSFERRED_BY)[0]),
        replaces: if state & REPLACES != 0 { u64::from(count) } else { 0 },
        count: if state & REPLACES != 0 { 1 } else { count },
        many_sources: state & MANY_SOURCES != 0,
        is_strangers: state & OF_STRANGER != 0,
    }
}

/// The position of a row in a queue: its call's number and its offset.
pub(crate) type Place = (u64, usize);

/// Shows the rows of a queue as they stand in it, those that are wanted by kind and status.
pub(crate) fn each(
    queue: &[u8],
    wanted: impl Fn(Kind, u16) -> bool,
    mut see: impl FnMut(Kind, CallView<'_>),
) {
    let mut at = 0;
    while let Some(row) = queue.get(at..).filter(|rest| rest.len() >= HEAD) {
        let kind = kind(queue, &(0, at));
        if wanted(kind, u16::from_le_bytes(get(row, STATUS))) {
            see(kind, view(row));
        }
        at += len(row);
    }
}

/// The rows of a queue in the order of the calls' numbers; what concerns one call stays in its order.
///
/// The queue was gathered shard by shard. Inserted like that, each shard would walk over all the pages of
/// the batch; sorted, they are appended.
pub(crate) fn in_order(queue: &[u8]) -> Vec<Place> {
    let mut order: Vec<Place> = Vec::with_capacity(queue.len() / 192);
    let mut at = 0;
    while let Some(row) = queue.get(at..).filter(|rest| rest.len() >= HEAD) {
        order.push((u64::from_le_bytes(get(row, ID)), at));
        at += len(row);
    }
    order.sort_unstable();
    order
}

/// The bytes of a row in a queue.
pub(crate) fn written<'a>(queue: &'a [u8], place: &Place) -> &'a [u8] {
    let row = queue.get(place.1..).unwrap_or_default();
    row.get(..len(row)).unwrap_or_default()
}

/// How long the row is that begins here.
fn len(row: &[u8]) -> usize {
    HEAD + (0..TEXTS).map(|n| text_len(row, n)).sum::<usize>()
}

/// The row at a place of a queue.
pub(crate) fn read<'a>(queue: &'a [u8], place: &Place) -> (Kind, CallView<'a>) {
    (kind(queue, place), view(queue.get(place.1..).unwrap_or_default()))
}

/// What the database is to do with the row at a place of a queue.
pub(crate) fn kind(queue: &[u8], place: &Place) -> Kind {
    match get::<1>(queue, place.1 + KIND)[0] {
        0 => Kind::Open,
        1 => Kind::Answered,
        2 => Kind::Whole,
        3 => Kind::Ended,
        4 => Kind::Sum,
        _ => Kind::WholeSum,
    }
}
