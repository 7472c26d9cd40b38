//! The next hop of a request inside a dialog, RFC 3261 §16.4 to §16.6.

use std::net::SocketAddr;

use smallvec::SmallVec;
use trunkline_proxy::{FlowToken, PartyKind, Way};
use trunkline_sip::{ConnectionId, Flow, Transport, Uri};
use trunkline_transport::Egress;

use crate::branches::Outgoing;
use crate::edge::Edge;
use crate::forward::DroppedRoutes;
use crate::inbound::Inbound;
use crate::mail::Io;
use crate::reach::{Reach, reach};
use crate::resolver::{Question, Resolved, Spare};
use crate::routes::{Dialog, Routes};
use crate::trust::{Judged, Word, is_sips};
use trunkline_registrar::{Named, is_of};

/// Where a request inside a dialog goes. Lives on the stack of one call, so its size costs nothing.
#[allow(clippy::large_enum_variant)]
pub(crate) enum NextHop<'a> {
    To(Outgoing<'a>, Spare),
    Nowhere,
    /// A SIPS URI, and no way protected by TLS.
    Insecure,
    /// A name has to be looked up first; the request will be looked at again.
    Later(Question),
}

impl<'a> Outgoing<'a> {
    /// Down this way, where the guard lets it go by this word.
    fn by(mut self, edge: &Edge, word: &Word, way: Resolved) -> NextHop<'a> {
        let judged = match way {
            Resolved::To(egress, spare) => edge.guarded(Some(word), egress, spare),
            Resolved::Nowhere => Judged::Nowhere,
            Resolved::Later(question) => Judged::Later(question),
        };
        match judged {
            Judged::To(egress, spare) => {
                self.egress = edge.shared.shown_by_word(word, egress);
                NextHop::To(self, spare)
            }
            // A dialog has its other end elsewhere.
            Judged::Inside | Judged::Nowhere => NextHop::Nowhere,
            Judged::Later(question) => NextHop::Later(question),
        }
    }
}

impl Edge {
    /// `target` is the real Request-URI: the last Route value where a strict router is before us.
    pub(crate) fn next_in_dialog<'a>(
        &self,
        io: &Io<'_>,
        inbound: &Inbound<'a>,
        target: &Uri<'_>,
        routes: &Routes<'a>,
        (dialog, way, word): (&Dialog, &Way, &Word),
        memory: &'a mut Vec<u8>,
    ) -> NextHop<'a> {
        let m = &inbound.message;
        let request_uri = routes.last.unwrap_or(m.uri_text());
        let mut out = Outgoing {
            uri: routes.last.unwrap_or_default(),
            path: b"",
            headers: b"",
            drop_routes: DroppedRoutes { first: routes.own, last: routes.last.is_some() },
            egress: Egress::back(inbound.flow),
            may_grow: b"",
            mark: self.notifier_mark(inbound, dialog, &routes.inner),
            max_breadth: None,
            body: None,
            cut: self.shared.cuts_body(m, routes.sender_kind(dialog), (way.kind, way.party)),
            spent: self.left_out(inbound, (routes, dialog), way, io.unix_ms()),
            unproven: false,
            raise: self.raise_of(m, std::iter::once(dialog).chain(&routes.inner), io.unix_ms()),
            shown: routes.shown.clone(),
            stateless: None,
        };
        let Some(next) = routes.next else {
            return self.to_other_side(io, (target, request_uri), (way, word), out, memory);
        };
        let Ok(hop) = Uri::parse(next) else { return NextHop::Nowhere };
        out.may_grow = next;
        if !hop.is_loose() {
            // A strict router after us: it wants to see itself in the Request-URI (§16.6 step 6).
            out.uri = next;
            out.drop_routes.first += 1;
            memory.clear();
            memory.extend_from_slice(b"Route: <");
            memory.extend_from_slice(request_uri);
            memory.extend_from_slice(b">\r\n");
            out.headers = memory;
        }
        self.by_name(&hop, is_sips(request_uri), word, out)
    }

    /// Nobody is between us and the other side: by the flow it has, else where its URI leads.
    fn to_other_side<'a>(
        &self,
        io: &Io<'_>,
        (target, request_uri): (&Uri<'_>, &'a [u8]),
        (way, word): (&Way, &Word),
        mut out: Outgoing<'a>,
        memory: &'a mut Vec<u8>,
    ) -> NextHop<'a> {
        let flow = &way.flow;
        let alive = flow.filter(|f| !f.transport.is_reliable() || io.is_connected(f.connection));
        let left = alive.is_some_and(|f| {
            let registrant = self.shared.secret.registrant(way.kind, way.party);
            self.shared.location.has_left(registrant, f.transport, f.remote, f.connection)
        });
        // A GRUU of ours is translated, and finds the phone on whatever flow it has now (RFC 5627 §5.1).
        if let Some((found, seen_at)) = self.phone_named(io, target, way, memory) {
            out.uri = memory;
            return match alive.filter(|_| !left) {
                Some(flow) => out.by(self, word, Resolved::To(egress_of(&flow), Spare::default())),
                None => out.by(self, &Word { seen_at: Some(seen_at), ..*word }, found),
            };
        }
        let again = if left { self.phone_again(io, (way, true), target) } else { None };
        if let Some((flow, seen_at)) = again {
            return out.by(self, &Word { seen_at: Some(seen_at), ..*word }, flow);
        }
        if let Some(flow) = alive {
            if is_sips(request_uri) && !flow.transport.is_secure() {
                return NextHop::Insecure;
            }
            return out.by(self, word, Resolved::To(egress_of(&flow), Spare::default()));
        }
        if let Some((flow, seen_at)) = self.phone_again(io, (way, false), target) {
            return out.by(self, &Word { seen_at: Some(seen_at), ..*word }, flow);
        }
        let is_ours = || target.user.is_none() && self.shared.addresses.is_own(target);
        if flow.is_some_and(|f| !f.listens) || self.is_our_gruu(target) || is_ours() {
            return NextHop::Nowhere;
        }
        out.may_grow = request_uri;
        self.by_name(target, is_sips(request_uri), word, out)
    }

    /// Where this URI leads, for a request to a SIPS URI or to another one.
    fn by_name<'a>(&self, hop: &Uri<'_>, sips: bool, word: &Word, out: Outgoing<'a>) -> NextHop<'a> {
        match self.shared.resolver.resolve_hop(hop) {
            // A Route may name another transport than the SIPS URI behind it allows.
            Resolved::To(egress, _) if sips && !egress.transport.is_secure() => NextHop::Insecure,
            way => out.by(self, word, way),
        }
    }

    /// A phone whose connection has ended, that has registered by another way since (`gone`), or that has none in this dialog since it said something by another way: by the connection
    /// of its registration now (RFC 5626 §5.3). Of several phones of its account it is the one that registered this remote target;
    /// else nobody can tell.
    fn phone_again(
        &self,
        io: &Io<'_>,
        (way, gone): (&Way, bool),
        target: &Uri<'_>,
    ) -> Option<(Resolved, SocketAddr)> {
        let ended = |f: &FlowToken| f.transport.is_reliable() && !io.is_connected(f.connection);
        let lost = gone || way.flow.as_ref().is_some_and(ended);
        // Most phones listen nowhere: what their Contact names is their end of that connection.
        let left = way.flow.is_none() && target.transport().is_some_and(Transport::is_reliable);
        if !(lost || left) || way.kind != PartyKind::Agent {
            return None;
        }
        let shared = &self.shared;
        let tables = shared.tables.load();
        let (agent, domain) = shared.account(&tables, way.party)?;
        let aor = aor_of(agent.username.as_bytes(), domain.domain_uri.as_bytes());
        let registrant = shared.secret.registrant(PartyKind::Agent, way.party);
        let (mut named, mut any, mut phones) = (None::<(Flow, Vec<u8>)>, None, 0);
        // Two phones may have the same private address.
        let mut several = false;
        shared.location.visit(&aor, io.unix_ms(), |b| {
            let Some(Reach { flow: Some(flow), .. }) = reach(io, &b).filter(|_| b.registrant == registrant)
            else {
                return;
            };
            phones += 1;
            any = Some(flow);
            if Uri::parse(b.uri).is_ok_and(|uri| shared.secret.target(&uri) == way.target) {
                several |= named.as_ref().is_some_and(|(_, instance)| instance != b.instance);
                named = Some((flow, b.instance.to_vec()));
            }
        });
        let flow = named.map(|(flow, _)| flow).filter(|_| !several).or(any.filter(|_| lost && phones == 1))?;
        Some((Resolved::To(Egress::back(&flow), Spare::default()), flow.remote))
    }

    fn is_our_gruu(&self, uri: &Uri<'_>) -> bool {
        let ours = || {
            self.shared.addresses.is_own(uri) || self.shared.tables.load().domain_by_uri(uri.host).is_some()
        };
        uri.param("gr").is_some() && ours()
    }

    /// The phone a GRUU of ours names, where the party that named it registered it: how it is reached now and where its
    /// REGISTER came from, with its Contact in `contact`. `None`: the URI is no GRUU of ours, the phone is not registered, or
    /// it is somebody else's. A party's Contact leads to nobody else, and tells nobody where a temporary GRUU's phone is.
    fn phone_named(
        &self,
        io: &Io<'_>,
        uri: &Uri<'_>,
        way: &Way,
        contact: &mut Vec<u8>,
    ) -> Option<(Resolved, SocketAddr)> {
        if way.party == 0 {
            return None;
        }
        let shared = &self.shared;
        let named = Named::read(uri, &shared.secret)?;
        let tables = shared.tables.load();
        let own = || shared.addresses.is_own(uri).then_some(shared.config.routing.default_domain.as_bytes());
        let domain = tables.domain_by_uri(uri.host).or_else(|| tables.domain_by_uri(own()?))?;
        let own_user = uri.user_decoded();
        let user = named.user.as_deref().or(own_user.as_deref())?;
        let aor = aor_of(user, domain.domain_uri.as_bytes());
        let registrant = shared.secret.registrant(way.kind, way.party);
        let mut found = None;
        shared.location.visit(&aor, io.unix_ms(), |b| {
            if found.is_some() || b.registrant != registrant || !shared.is_there(&b) {
                return;
            }
            if is_of(&b, &named.instance, named.registration, &shared.secret) != Ok(true) {
                return;
            }
            let Some(way) = reach(io, &b) else { return };
            contact.clear();
            contact.extend_from_slice(b.uri);
            let way = match way.flow {
                Some(flow) => Resolved::To(Egress::back(&flow), Spare::default()),
                None => self.shared.way_by_uri(b.path, b.uri),
            };
            found = Some((way, b.flow.remote));
        });
        found
    }
}

fn aor_of(user: &[u8], host: &[u8]) -> SmallVec<[u8; 128]> {
    let mut aor = SmallVec::new();
    for part in [b"sip:", user, b"@", host] {
        aor.extend_from_slice(part);
    }
    aor
}

fn egress_of(flow: &FlowToken) -> Egress {
    let mut egress = Egress::to(flow.transport, flow.remote);
    egress.local.set_port(flow.local_port);
    egress.connection = if flow.transport.is_reliable() { flow.connection } else { ConnectionId::NONE };
    egress
}
