//! Where a request may go.

use std::net::SocketAddr;
use std::ops::Range;

use trunkline_model::Ref;
use trunkline_sip::{Flow, Transport};

/// A stretch of the decision's memory; read with [`Targets::text`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Text {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Text {
    /// Is nothing there?
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Where a message is sent instead of where its Request-URI (or Route) points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// Host name or address; IPv6 without brackets.
    pub host: Text,
    /// The port; `None` leaves it to RFC 3263.
    pub port: Option<u16>,
    /// The transport; `None` leaves it to RFC 3263.
    pub transport: Option<Transport>,
}

/// One place a request may go, RFC 3261 §16.5.
#[derive(Clone, Debug)]
pub struct Target {
    /// The new Request-URI.
    pub uri: Text,
    /// Reach it by this flow: the client is behind a NAT or can only be reached by its own connection.
    pub flow: Option<Flow>,
    /// Once that flow has ended, nothing else leads to it.
    pub flow_only: bool,
    /// The phone it is one of the flows of (RFC 5626), by a number of the driver's; 0 for a contact of its own.
    pub phone: u64,
    /// Another flow of the same phone stands before it: it is tried when that one fails, never beside it.
    pub alternate: bool,
    /// Else reach it there; `None`: where the Request-URI, or the first of `path`, points.
    pub next_hop: Option<NextHop>,
    /// A list of Route values as it goes into one header, from the Path of a registration (RFC 3327); may be
    /// empty.
    pub path: Text,
    /// Header lines for this target alone, each with its CRLF; may be empty.
    pub headers: Text,
    /// What From shows this target in the place of the caller's address, without parameters; may be empty.
    pub from: Text,
    /// The preference of a contact, 0 to 1000 (RFC 3261 §20.10).
    pub q: u16,
    /// Targets of one group are tried at once, groups one after the other in rising order.
    pub group: u8,
    /// The trunk it belongs to.
    pub trunk: Option<Ref>,
    /// The place of the destination in the trunk's `uris`.
    pub trunk_uri: u8,
    /// Answers a 401 or 407 of the trunk, for its own realm and host only.
    pub credentials: Option<Ref>,
    /// After so many milliseconds of silence the next group is tried.
    pub timeout_ms: Option<u32>,
    /// The binding it came from, as the location service numbers them; 0 for none.
    pub binding_id: u64,
    /// Where the request came from that named this place; `None`: the operator named it.
    pub named_from: Option<SocketAddr>,
}

/// What the location service knows of a binding.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'b> {
    /// The Contact's URI.
    pub uri: &'b [u8],
    /// Its preference, 0 to 1000.
    pub q: u16,
    /// Reach it by this flow.
    pub flow: Option<Flow>,
    /// Once that flow has ended, nothing else leads to it.
    pub flow_only: bool,
    /// The same for all flows of one phone (RFC 5626 §5.3), 0 for a contact of its own.
    pub phone: u64,
    /// Reach it there (host, port, transport) when it has no flow and the URI does not say.
    pub next_hop: Option<(&'b [u8], Option<u16>, Option<Transport>)>,
    /// Route values from the registration's Path, as one header value; may be empty.
    pub path: &'b [u8],
    /// Its number, for counting its sessions.
    pub id: u64,
    /// Where its registration came from; `None` where the operator wrote it down.
    pub named_from: Option<SocketAddr>,
}

impl<'b> Binding<'b> {
    /// A contact of the highest preference, reached where its URI points.
    pub fn new(uri: &'b [u8], id: u64) -> Binding<'b> {
        Binding {
            uri,
            q: 1000,
            flow: None,
            flow_only: false,
            phone: 0,
            next_hop: None,
            path: b"",
            id,
            named_from: None,
        }
    }
}

/// The targets of a decision, with the memory their texts stand in.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    pub(crate) list: Vec<Target>,
    pub(crate) arena: Vec<u8>,
}

impl Targets {
    /// The targets, best first; equal groups stand together.
    pub fn as_slice(&self) -> &[Target] {
        &self.list
    }

    /// The bytes of a text.
    pub fn text(&self, text: Text) -> &[u8] {
        self.arena.get(text.range()).unwrap_or_default()
    }

    /// A contact found by the location service. Any order: the router sorts by q.
    pub fn push_binding(&mut self, binding: Binding<'_>) {
        // A Contact may have header fields, a Request-URI may not (RFC 3261 §19.1.1).
        let host = binding.uri.iter().rposition(|&b| b == b'@').unwrap_or(0);
        let end = binding.uri.iter().skip(host).position(|&b| b == b'?').map(|n| host + n);
        let uri = self.put(binding.uri.get(..end.unwrap_or(binding.uri.len())).unwrap_or_default());
        let path = self.put(binding.path);
        let next_hop =
            binding.next_hop.map(|(host, port, transport)| NextHop { host: self.put(host), port, transport });
        self.list.push(Target {
            uri,
            flow: binding.flow,
            flow_only: binding.flow_only,
            phone: binding.phone,
            alternate: false,
            next_hop,
            path,
            headers: Text::default(),
            from: Text::default(),
            q: binding.q.min(1000),
            group: 0,
            trunk: None,
            trunk_uri: 0,
            credentials: None,
            timeout_ms: None,
            binding_id: binding.id,
            named_from: binding.named_from,
        });
    }

    /// A target that says itself where it is.
    pub(crate) fn push_uri(&mut self, uri: Text) {
        self.push(Target {
            uri,
            flow: None,
            flow_only: false,
            phone: 0,
            alternate: false,
            next_hop: None,
            path: Text::default(),
            headers: Text::default(),
            from: Text::default(),
            q: 1000,
            group: 0,
            trunk: None,
            trunk_uri: 0,
            credentials: None,
            timeout_ms: None,
            binding_id: 0,
            named_from: None,
        });
    }

    pub(crate) fn push(&mut self, target: Target) {
        self.list.push(target);
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) -> Text {
        self.write(|out| out.extend_from_slice(bytes))
    }

    pub(crate) fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Text {
        let start = self.arena.len() as u32;
        write(&mut self.arena);
        Text { start, end: self.arena.len() as u32 }
    }

    pub(crate) fn clear(&mut self) {
        self.list.clear();
        self.arena.clear();
    }

    /// Sorts contacts by q, the best first, and numbers the groups (RFC 3261 §16.6: equal q at once). Of the flows of
    /// a phone one is tried at a time (RFC 5626 §5.3).
    pub(crate) fn group_by_q(&mut self) {
        // Stable for the few contacts an AOR has, and without memory of its own.
        for i in 1..self.list.len() {
            let mut at = i;
            while at > 0 && self.list.get(at - 1).map(|t| t.q) < self.list.get(at).map(|t| t.q) {
                self.list.swap(at - 1, at);
                at -= 1;
            }
        }
        let mut last = None;
        let mut group = 0u8;
        for i in 0..self.list.len() {
            let (before, rest) = self.list.split_at_mut(i);
            let Some(target) = rest.first_mut() else { break };
            let first = before.iter().find(|t| t.phone != 0 && t.phone == target.phone);
            if let Some(first) = first {
                (target.alternate, target.group) = (true, first.group);
                continue;
            }
            if last.is_some_and(|q| q != target.q) {
                group = group.saturating_add(1);
            }
            last = Some(target.q);
            target.group = group;
        }
    }

    /// Puts another user into every target's URI.
    pub(crate) fn set_user(&mut self, user: &[u8]) {
        for i in 0..self.list.len() {
            self.rewrite(i, user);
        }
    }

    /// A contact registered for all numbers of a server at once (`bnc`, RFC 6140 §7.1) gets the called user.
    pub(crate) fn fill_bulk_contacts(&mut self, user: &[u8]) {
        for i in 0..self.list.len() {
            let bulk = self.list.get(i).is_some_and(|t| bulk_parameter(self.text(t.uri)).is_some());
            if bulk {
                self.rewrite(i, user);
            }
        }
    }

    /// Writes a target's URI anew: this user, and without `bnc`, which is between the server and its registrar.
    fn rewrite(&mut self, i: usize, user: &[u8]) {
        let Some(old) = self.list.get(i).map(|t| t.uri.range()) else { return };
        let start = self.arena.len();
        let bytes = self.arena.get(old.clone()).unwrap_or_default();
        let colon = bytes.iter().position(|&b| b == b':').map_or(0, |c| c + 1);
        let rest = bytes.iter().position(|&b| b == b'@').map_or(colon, |a| a + 1);
        let bulk = bulk_parameter(bytes).unwrap_or(bytes.len()..bytes.len());
        self.arena.extend_from_within(old.start..old.start + colon);
        self.arena.extend_from_slice(user);
        self.arena.push(b'@');
        self.arena.extend_from_within(old.start + rest..old.start + bulk.start);
        self.arena.extend_from_within(old.start + bulk.end..old.end);
        let end = self.arena.len() as u32;
        if let Some(target) = self.list.get_mut(i) {
            target.uri = Text { start: start as u32, end };
        }
    }
}

/// Where `;bnc` stands in a URI, among its parameters.
fn bulk_parameter(uri: &[u8]) -> Option<Range<usize>> {
    const NAME: &[u8] = b";bnc";
    let host = uri.iter().position(|&b| b == b'@').unwrap_or(0);
    let found = uri.get(host..)?.windows(NAME.len()).position(|w| w.eq_ignore_ascii_case(NAME))?;
    let (start, end) = (host + found, host + found + NAME.len());
    matches!(uri.get(end), None | Some(b';' | b'?')).then_some(start..end)
}
