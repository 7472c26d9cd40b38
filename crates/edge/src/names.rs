//! From and To that one side of a dialog knows otherwise than the other, since the exchange shows a carrier another caller than
//! the one that called, writes a number in its one form, or leaves out of an address what no carrier is to be told.
//!
//! What changed is the same in every message (RFC 3261 §12.2.1.1): a response says again what its request said as it came, and in
//! a request inside a dialog what the other side knows takes the place of what the sender knows. That stands, sealed, beside the
//! mark in the sender's route set, so that nothing has to be remembered ([`trunkline_proxy::Names`]). Tags never change.

use std::borrow::Cow;

use trunkline_proxy::{Bound, Names, Secret, Side};
use trunkline_sip::{HeaderName, Index, Limits, Message, Params, Span, Splices};

/// What From and To say when a message goes on, in the place of their addresses; an empty one leaves them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown<'a> {
    pub(crate) from: Cow<'a, [u8]>,
    pub(crate) to: Cow<'a, [u8]>,
}

/// Which of From and To go on otherwise than they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    from: bool,
    to: bool,
}

impl Changed {
    /// Does one of them?
    pub(crate) fn any(self) -> bool {
        self.from || self.to
    }

    /// What edits do to a request.
    pub(crate) fn by(splices: &Splices, m: &Message<'_>) -> Changed {
        // Most requests keep both lines: then nobody has to know where the address in them ends.
        let line = |name| m.header_line(name).is_some_and(|line| splices.change(line.value));
        let change = |name| line(name) && address(m, name).is_some_and(|span| splices.change(span));
        Changed { from: change(HeaderName::From), to: change(HeaderName::To) }
    }

    /// The names in a message, where they changed. `from` is the side that sends it, or the request that it answers.
    fn names(self, m: &Message<'_>, from: Side) -> Names {
        let of = |changed: bool, name| {
            changed.then(|| address(m, name).map_or(b"" as &[u8], |s| s.of(m.bytes)).to_vec())
        };
        let (from_name, to_name) = (of(self.from, HeaderName::From), of(self.to, HeaderName::To));
        match from {
            Side::Caller => Names { caller: from_name, callee: to_name },
            Side::Callee => Names { caller: to_name, callee: from_name },
        }
    }
}

impl<'a> Shown<'a> {
    /// Only From.
    pub(crate) fn from(from: &'a [u8]) -> Shown<'a> {
        Shown { from: Cow::Borrowed(from), to: Cow::Borrowed(b"") }
    }

    /// What the names of a side's route set make of its requests.
    fn of(names: Names, side: Side) -> Shown<'a> {
        let (from, to) = match side {
            Side::Caller => (names.caller, names.callee),
            Side::Callee => (names.callee, names.caller),
        };
        Shown { from: Cow::Owned(from.unwrap_or_default()), to: Cow::Owned(to.unwrap_or_default()) }
    }

    /// As a message says it.
    fn in_message(m: &Message<'a>) -> Shown<'a> {
        let of = |name| Cow::Borrowed(address(m, name).map_or(b"" as &[u8], |span| span.of(m.bytes)));
        Shown { from: of(HeaderName::From), to: of(HeaderName::To) }
    }

    /// As a message says it that is kept; as it comes where that cannot be read.
    pub(crate) fn in_bytes(bytes: &[u8]) -> Shown<'static> {
        let mut index = Index::default();
        if index.parse(bytes, &Limits::default()).is_err() {
            return Shown::default();
        }
        let Shown { from, to } = Shown::in_message(&Message::new(bytes, &index));
        Shown { from: Cow::Owned(from.into_owned()), to: Cow::Owned(to.into_owned()) }
    }

    /// Adds the edits.
    pub(crate) fn put(&self, m: &Message<'_>, splices: &mut Splices) {
        for (name, text) in [(HeaderName::From, &self.from), (HeaderName::To, &self.to)] {
            if !text.is_empty()
                && let Some(span) = address(m, name)
            {
                splices.replace(span, text);
            }
        }
    }
}

/// Where the address of From or To stands, its name with it and its parameters not.
fn address(m: &Message<'_>, name: HeaderName) -> Option<Span> {
    let value = m.header_line(name)?.value;
    let read = if name == HeaderName::From { m.from() } else { m.to() };
    let params = read.ok()?.params;
    let end = if params.is_empty() { value.end } else { Span::locate(params, m.bytes).start };
    let text = Span { start: value.start, end }.of(m.bytes);
    Some(Span { start: value.start, end: value.start + text.trim_ascii_end().len() as u16 })
}

/// Appends the names that the sender of a request knows, as a parameter for the receiver's Record-Route beside the mark of this
/// side in dialogs of this number.
pub(crate) fn put_beside_mark(
    (m, changed): (&Message<'_>, Changed),
    (number, side): (u64, Side),
    secret: &Secret,
    out: &mut Vec<u8>,
) {
    let sender = if side == Side::Callee { Side::Caller } else { Side::Callee };
    put(&changed.names(m, sender), (secret, Bound::Mark(number, side)), out);
}

/// The same for the Via of a request without a transaction.
pub(crate) fn put_in_via(
    (m, changed): (&Message<'_>, Changed),
    mac: u64,
    secret: &Secret,
    out: &mut Vec<u8>,
) {
    put(&changed.names(m, Side::Caller), (secret, Bound::Branch(mac)), out);
}

fn put(names: &Names, (secret, bound): (&Secret, Bound), out: &mut Vec<u8>) {
    out.push(b';');
    out.extend_from_slice(Names::PARAM.as_bytes());
    out.push(b'=');
    names.seal(secret, bound, out);
}

/// What stands beside the caller's mark in a response, in the place of what stood beside the callee's in the request: the names
/// that the callee knows, which the response has.
pub(crate) fn put_for_caller(
    response: &Message<'_>,
    callees: &[u8],
    (number, secret): (u64, &Secret),
    out: &mut Vec<u8>,
) {
    if let Some(names) = Names::unseal(callees, secret, Bound::Mark(number, Side::Callee)) {
        let changed = Changed { from: names.caller.is_some(), to: names.callee.is_some() };
        changed.names(response, Side::Caller).seal(secret, Bound::Mark(number, Side::Caller), out);
    }
}

/// What a request of this side says to the other one. `None`: these are no names of its dialog.
pub(crate) fn beside_mark(
    sealed: &[u8],
    (number, side): (u64, Side),
    secret: &Secret,
) -> Option<Shown<'static>> {
    Some(Shown::of(Names::unseal(sealed, secret, Bound::Mark(number, side))?, side))
}

/// What a response to a request without a transaction says, by the names in its topmost Via, which has this MAC.
pub(crate) fn in_via(response: &Message<'_>, mac: u64, secret: &Secret) -> Option<Shown<'static>> {
    let via = response.top_via_text().ok()?;
    let params = via.get(memchr::memchr(b';', via)?..)?;
    let sealed = Params::new(params).get(Names::PARAM)??;
    Some(Shown::of(Names::unseal(sealed, secret, Bound::Branch(mac))?, Side::Caller))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(text: &str, edit: impl FnOnce(&Message<'_>, &mut Splices)) -> String {
        let mut index = Index::default();
        index.parse(text.as_bytes(), &Limits::default()).expect("a message");
        let (mut splices, mut out) = (Splices::default(), Vec::new());
        edit(&Message::new(text.as_bytes(), &index), &mut splices);
        splices.apply(text.as_bytes(), text.len() as u16, &mut out);
        String::from_utf8(out).expect("text")
    }

    fn request(from: &str, to: &str) -> String {
        format!(
            "BYE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\nFrom: {from}\r\nTo:{to}\r\nCall-ID: i\r\nCSeq: 9 BYE\r\n\r\n"
        )
    }

    #[test]
    fn addresses_change_and_parameters_stay() {
        for (from, to, want) in [
            (
                "\"A; <b>\" <sip:a@h>;tag=1;x",
                " <sip:b@h;y> ;tag=2",
                ("<sip:n@c>;tag=1;x", " <sip:m@c> ;tag=2"),
            ),
            ("sip:a@h;tag=1", " sip:b@h", ("<sip:n@c>;tag=1", " <sip:m@c>")),
            ("A B  <tel:1;x=y>;tag=1", "<sip:b@h>", ("<sip:n@c>;tag=1", "<sip:m@c>")),
        ] {
            let shown = Shown { from: Cow::Borrowed(b"<sip:n@c>"), to: Cow::Borrowed(b"<sip:m@c>") };
            let mut changed = Changed::default();
            let got = edited(&request(from, to), |m, splices| {
                shown.put(m, splices);
                changed = Changed::by(splices, m);
            });
            assert_eq!(got, request(want.0, want.1));
            assert_eq!(changed, Changed { from: true, to: true });
        }
    }

    #[test]
    fn what_changed_is_known() {
        let text = request("<sip:a;x=1@h>;tag=1", "<sip:b@h>;tag=2");
        let by = |find: &str, put: &str| {
            let mut changed = Changed::default();
            edited(&text, |m, splices| {
                let start = text.find(find).expect("there") as u16;
                splices.replace(Span { start, end: start + find.len() as u16 }, put.as_bytes());
                changed = Changed::by(splices, m);
            });
            (changed.from, changed.to)
        };
        assert_eq!(by(";x=1", ""), (true, false));
        assert_eq!(by("b@h>;tag=2", "c@h>;tag=2"), (false, true));
        assert_eq!(by(";tag=1\r\n", ";tag=9\r\n"), (false, false));
        assert_eq!(by("Call-ID", "i"), (false, false));
    }
}
