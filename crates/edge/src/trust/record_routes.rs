//! The Record-Route values of a message, and the callee's mark among them.

use smallvec::SmallVec;
use trunkline_proxy::{Mark, Names, Secret};
use trunkline_sip::{Address, HeaderName, Message, Span, Splices, Uri};

use crate::names::put_for_caller;

/// Values that look like a callee's mark, and are none of ours, after which no more are tried. Those of other exchanges like this
/// one are not among them: by then they have put the caller's in the place of theirs.
const MOST_TRIED: usize = 4;

/// A Record-Route value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordRoute<'a> {
    /// As it stands between its brackets.
    pub(crate) uri: &'a [u8],
    /// The value of the mark in it.
    pub(crate) mark: Option<&'a [u8]>,
}

impl<'a> RecordRoute<'a> {
    /// The names beside the mark.
    pub(super) fn names(&self) -> Option<&'a [u8]> {
        memchr::memmem::find(self.uri, b";who=")?;
        Uri::parse(self.uri).ok()?.param(Names::PARAM).flatten()
    }
}

/// The Record-Route values of a message, in order.
pub(crate) type RecordRoutes<'a> = SmallVec<[RecordRoute<'a>; 8]>;

/// Reads the Record-Route values of a message, each of them once.
pub(crate) fn record_routes<'a>(m: &Message<'a>) -> RecordRoutes<'a> {
    let read = |element| {
        let uri = Address::parse(element, "Record-Route").map_or(element, |address| address.uri);
        RecordRoute { uri, mark: Uri::parse(uri).ok().and_then(|uri| uri.param(Mark::PARAM).flatten()) }
    };
    m.list(HeaderName::RecordRoute).flatten().map(read).collect()
}

/// The callee's mark in Record-Route values.
pub(crate) struct Found<'s, 'a> {
    pub(crate) mark: Mark,
    pub(super) mac: u64,
    /// The values before ours.
    pub(crate) before: &'s [RecordRoute<'a>],
    /// Ours: two where the sides differ in transport or address.
    pub(super) ours: &'s [RecordRoute<'a>],
    /// The values after ours.
    pub(crate) after: &'s [RecordRoute<'a>],
}

/// The URIs of Record-Route values, as a mark binds them.
pub(crate) fn uris<'a>(values: &[RecordRoute<'a>]) -> impl DoubleEndedIterator<Item = &'a [u8]> + Clone {
    values.iter().map(|value| value.uri)
}

impl<'s, 'a> Found<'s, 'a> {
    /// Finds it in the values of a request that went out, or of a response to it, and verifies it. Whoever wrote the values may
    /// write as many as fit a message that look like one, and each costs a MAC over all that follow: some are tried.
    pub(crate) fn find(
        values: &'s [RecordRoute<'a>],
        secret: &Secret,
        (call_id, caller_tag): (&'a [u8], &'a [u8]),
    ) -> Option<Found<'s, 'a>> {
        let (mut at, mut tried) = (0, 0);
        while let Some((before, rest)) = values.split_at_checked(at).filter(|_| tried < MOST_TRIED) {
            let Some(text) = rest.first()?.mark else {
                at += 1;
                continue;
            };
            let ours = rest.iter().take_while(|value| value.mark == Some(text)).count();
            let (ours, after) = rest.split_at(ours);
            if Mark::may_be_callees(text) {
                if let Some((mark, mac)) = Mark::read_back(text, secret, call_id, caller_tag, uris(after)) {
                    return Some(Found { mark, mac, before, ours, after });
                }
                tried += 1;
            }
            at += ours.len();
        }
        None
    }

    /// Puts another mark in its place.
    pub(crate) fn replace(
        &self,
        m: &Message<'a>,
        splices: &mut Splices,
        mut write: impl FnMut(&mut Vec<u8>),
    ) {
        for place in self.ours.iter().filter_map(|value| value.mark) {
            splices.replace_with(Span::locate(place, m.bytes), &mut write);
        }
    }

    /// Puts the names that the caller is to have in the place of those that the callee had; none where it has no mark.
    pub(super) fn replace_names(
        &self,
        m: &Message<'a>,
        (secret, mark): (&Secret, Option<&Mark>),
        splices: &mut Splices,
    ) {
        if !self.mark.renamed {
            return;
        }
        for place in self.ours.iter().filter_map(RecordRoute::names) {
            splices.replace_with(Span::locate(place, m.bytes), |out| {
                if let Some(mark) = mark {
                    put_for_caller(m, place, (mark.dialog, secret), out);
                }
            });
        }
    }
}
