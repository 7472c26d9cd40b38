//! A span: something that took time, and what it was part of.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// An attribute is shown up to this length.
const LONGEST: usize = 256;

/// The number of a trace. It is never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(pub [u8; 16]);

/// The number of a span. It is never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanId(pub [u8; 8]);

/// A number that nobody can foresee, another one each time.
fn fresh() -> u64 {
    static KEY: OnceLock<RandomState> = OnceLock::new();
    static NEXT: AtomicU64 = AtomicU64::new(0);
    KEY.get_or_init(RandomState::new).hash_one(NEXT.fetch_add(1, Ordering::Relaxed)).max(1)
}

impl TraceId {
    /// A new one.
    pub fn fresh() -> TraceId {
        TraceId((u128::from(fresh()) << 64 | u128::from(fresh())).to_be_bytes())
    }

    /// The same for equal texts, in this process.
    pub fn of(text: &[u8]) -> TraceId {
        static KEYS: OnceLock<[RandomState; 2]> = OnceLock::new();
        let keys = KEYS.get_or_init(|| [(); 2].map(|()| RandomState::new()));
        let [high, low] = keys.each_ref().map(|key| u128::from(key.hash_one(text).max(1)));
        TraceId((high << 64 | low).to_be_bytes())
    }
}

impl SpanId {
    /// A new one.
    pub fn fresh() -> SpanId {
        SpanId(fresh().to_be_bytes())
    }
}

/// Reads the header `traceparent` (W3C Trace Context §3.2): what a request of another program is part of.
pub fn parent_of(header: &str) -> Option<(TraceId, SpanId)> {
    let mut parts = header.trim().split('-');
    let (version, trace, span, _flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let of = |text: &str, length: usize| {
        let digits = text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit());
        digits.then(|| u128::from_str_radix(text, 16).ok()).flatten()
    };
    of(version, 2).filter(|version| *version != 0xff)?;
    let (trace, span) = (of(trace, 32).filter(|n| *n != 0)?, of(span, 16).filter(|n| *n != 0)?);
    Some((TraceId(trace.to_be_bytes()), SpanId((span as u64).to_be_bytes())))
}

/// Who asked whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SpanKind {
    /// A request that came.
    Server = 2,
    /// A request of ours.
    Client = 3,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// Text.
    Text(String),
    /// A number.
    Number(i64),
    /// Yes or no.
    Bool(bool),
}

impl From<&str> for Attribute {
    fn from(text: &str) -> Self {
        Attribute::Text(text.get(..text.floor_char_boundary(LONGEST)).unwrap_or_default().to_owned())
    }
}

impl From<i64> for Attribute {
    fn from(number: i64) -> Self {
        Attribute::Number(number)
    }
}

impl From<bool> for Attribute {
    fn from(value: bool) -> Self {
        Attribute::Bool(value)
    }
}

/// A span that has ended.
#[derive(Clone, Debug)]
pub struct FinishedSpan {
    /// The trace.
    pub trace: TraceId,
    /// Its own number.
    pub id: SpanId,
    /// What it is part of.
    pub parent: Option<SpanId>,
    /// What it is, e.g. `INVITE`.
    pub name: String,
    /// Who asked whom.
    pub kind: SpanKind,
    /// Nanoseconds since 1970.
    pub start: u64,
    /// Nanoseconds since 1970.
    pub end: u64,
    /// What is known of it.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// What failed.
    pub error: Option<String>,
}

/// Now, in nanoseconds since 1970.
pub fn unix_nanos() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traceparent_is_read() {
        let (trace, span) =
            parent_of("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").expect("a parent");
        assert_eq!(
            (trace.0[0], trace.0[15], span.0),
            (0x4b, 0x36, [0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 2, 0xb7])
        );
        for wrong in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        ] {
            assert_eq!(parent_of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn numbers_differ_and_those_of_a_text_do_not() {
        assert_ne!(TraceId::fresh(), TraceId::fresh());
        assert_ne!(SpanId::fresh(), SpanId::fresh());
        assert_eq!(TraceId::of(b"a"), TraceId::of(b"a"));
        assert_ne!(TraceId::of(b"a"), TraceId::of(b"b"));
    }
}
