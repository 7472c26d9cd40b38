//! The last look at an address before something is sent to it. It judges the address itself, whatever name, literal or
//! header led to it, so that nothing can change between the look and the sending.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use ipnet::Ipv6Net;
use trunkline_location::Location;
use trunkline_proxy::{PartyKind, Secret};
use trunkline_sip::{Transport, canonical_ip, is_private};
use trunkline_transport::Egress;

use super::Word;
use super::owners::{Owner, Owners};
use super::translated::forms;
use crate::address::Addresses;
use crate::resolver::is_unicast;

/// Why nothing is sent there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forbidden {
    /// Multicast, broadcast, unspecified: no host has it.
    NoHost,
    /// We listen there.
    Ourselves,
    /// A loopback address, which is for those on this host.
    Loopback,
    /// Something else on this host, which is for those on this host.
    ThisHost,
    /// A server that the exchange itself uses.
    BackEnd,
    /// A private network, which is for those in one.
    Private,
    /// A trunk's or a peer's, and the party is not that one.
    Configured,
    /// Another's phone is registered from there.
    Phone,
}

impl Forbidden {
    /// As whoever named the address is told.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Forbidden::NoHost => "Contact Leads to No Host",
            Forbidden::Ourselves => "Contact Leads to This Exchange",
            Forbidden::Loopback => "Contact Leads to Loopback",
            Forbidden::ThisHost => "Contact Leads to the Exchange's Host",
            Forbidden::BackEnd => "Contact Leads to a Server of the Exchange",
            Forbidden::Private => "Contact Leads into a Private Network",
            Forbidden::Configured => "Contact Leads to a Trunk or Peer",
            Forbidden::Phone => "Contact Leads to Another Phone",
        }
    }
}

/// Judges addresses. Read without a lock; what it goes by is renewed beside the packets' way (`look.rs`).
#[derive(Debug)]
pub(crate) struct Guard {
    addresses: Arc<Addresses>,
    /// Where we listen for something else than SIP.
    others: Vec<SocketAddr>,
    /// Where the servers are that the exchange uses.
    back_ends: ArcSwap<Vec<SocketAddr>>,
    owners: ArcSwap<Owners>,
    /// Where phones are registered from.
    location: Arc<Location>,
    secret: Secret,
    /// How the networks around us write IPv4 addresses as IPv6 ones, beside the ways that all know.
    translators: Vec<Ipv6Net>,
}

impl Guard {
    pub(crate) fn new(
        addresses: Arc<Addresses>,
        location: Arc<Location>,
        others: Vec<SocketAddr>,
        secret: Secret,
        translators: Vec<Ipv6Net>,
    ) -> Guard {
        Guard {
            addresses,
            others,
            back_ends: ArcSwap::default(),
            owners: ArcSwap::default(),
            location,
            secret,
            translators,
        }
    }

    /// Trunks and peers are there from now on.
    pub(crate) fn set_owners(&self, owners: Owners) {
        self.owners.store(Arc::new(owners));
    }

    /// The servers that the exchange uses are there from now on.
    pub(crate) fn set_back_ends(&self, back_ends: Vec<SocketAddr>) {
        self.back_ends.store(Arc::new(back_ends));
    }

    /// Where they are.
    pub(super) fn back_ends(&self) -> Arc<Vec<SocketAddr>> {
        self.back_ends.load_full()
    }

    /// May something be sent there by this word; without one by the operator's own?
    pub(crate) fn check(&self, word: Option<&Word>, egress: &Egress) -> Result<(), Forbidden> {
        match word {
            Some(word) => self.may_reach(word, egress),
            None => self.may_be_sent_to(egress),
        }
    }

    /// May a message go there because this party says so?
    pub(crate) fn may_reach(&self, word: &Word, egress: &Egress) -> Result<(), Forbidden> {
        self.judge(egress, |at| match self.is_for(word, egress.transport, at) {
            Err(_) if self.is_source(word, egress.transport, at) => Ok(()),
            judged => judged,
        })
    }

    /// Did the packets come from there by which the dialog began? What is before a party, a proxy that is a peer, say, is then
    /// as much its way as its own address. Of a party that is no agent the host alone is known, so that others' ports stay
    /// theirs; but where it came from another's very port, that is what is known (`Shared::source`).
    fn is_source(&self, word: &Word, transport: Transport, at: SocketAddr) -> bool {
        let anothers_port = || {
            let owned = self.owners.load().at(at.ip()).iter().any(|o| o.has_port(at.port()));
            owned || self.is_anothers_phone(word, transport, at)
        };
        word.source != 0
            && match word.kind {
                PartyKind::Agent => self.secret.source(transport, at) == word.source,
                PartyKind::Peer | PartyKind::Trunk | PartyKind::Stranger => {
                    self.secret.host(at.ip()) == word.source && !anothers_port()
                        || self.secret.source(transport, at) == word.source
                }
            }
    }

    /// May a message go there because the operator says so, or because a request came from there?
    pub(crate) fn may_be_sent_to(&self, egress: &Egress) -> Result<(), Forbidden> {
        self.judge(egress, |_| Ok(()))
    }

    /// Is this one of the addresses that the resources give a peer or trunk, or that its list has among others?
    pub(crate) fn is_address_of(&self, kind: PartyKind, party: u32, ip: IpAddr) -> bool {
        let (all, ip) = (self.owners.load(), canonical_ip(ip));
        all.at(ip).iter().chain(all.around(ip)).any(|owner| (owner.kind, owner.party) == (kind, party))
    }

    /// Was a name of this trunk or peer never resolved since the start, so that nobody knows all of its addresses?
    pub(crate) fn is_unresolved(&self, kind: PartyKind, party: u32) -> bool {
        self.owners.load().unresolved(kind, party).is_some()
    }

    /// Is it the address of a trunk or peer, or one that its list has among others?
    pub(crate) fn is_owned(&self, ip: IpAddr) -> bool {
        let (all, ip) = (self.owners.load(), canonical_ip(ip));
        !all.at(ip).is_empty() || all.around(ip).next().is_some()
    }

    /// Is this the address of trunks or peers, of which none is `own`?
    pub(crate) fn is_anothers(&self, at: SocketAddr, own: impl Fn(&Owner) -> bool) -> bool {
        let (all, ip) = (self.owners.load(), canonical_ip(at.ip()));
        let owners = || all.at(ip).iter().filter(|o| o.has_port(at.port())).chain(all.around(ip));
        owners().next().is_some() && !owners().any(own)
    }

    /// Is this the very address and port of trunks or peers, of which none is `own`?
    pub(crate) fn is_anothers_port(&self, at: SocketAddr, own: impl Fn(&Owner) -> bool) -> bool {
        let all = self.owners.load();
        let mut owners = all.at(canonical_ip(at.ip())).iter().filter(|o| o.has_port(at.port()));
        owners.clone().next().is_some() && !owners.any(own)
    }

    /// Does a trunk or peer have this very address, or its list this one among others?
    pub(crate) fn is_owned_at(&self, at: SocketAddr) -> bool {
        let (all, ip) = (self.owners.load(), canonical_ip(at.ip()));
        all.at(ip).iter().any(|o| o.has_port(at.port())) || all.around(ip).next().is_some()
    }

    fn judge(
        &self,
        egress: &Egress,
        more: impl Fn(SocketAddr) -> Result<(), Forbidden>,
    ) -> Result<(), Forbidden> {
        for ip in forms(egress.remote.ip(), &self.translators) {
            let at = SocketAddr::new(ip, egress.remote.port());
            if !is_unicast(ip) || at.port() == 0 || self.addresses.interfaces().is_broadcast(ip) {
                return Err(Forbidden::NoHost);
            }
            if self.addresses.is_listener(ip, Some(at.port())) {
                return Err(Forbidden::Ourselves);
            }
            // Over any transport: a large request changes from UDP to TCP.
            if self.others.iter().any(|other| self.is_at(*other, at)) {
                return Err(Forbidden::ThisHost);
            }
            if self.back_ends.load().iter().any(|server| self.is_server(*server, at)) {
                return Err(Forbidden::BackEnd);
            }
            more(at)?;
        }
        Ok(())
    }

    /// Does who listens there hear what is sent to this address?
    fn is_at(&self, listener: SocketAddr, at: SocketAddr) -> bool {
        let any = listener.ip().is_unspecified() && self.addresses.is_local(at.ip());
        listener.port() == at.port() && (canonical_ip(listener.ip()) == at.ip() || any)
    }

    /// The same of a server that is known by one of its addresses. One on this host may listen at all of the host's.
    fn is_server(&self, server: SocketAddr, at: SocketAddr) -> bool {
        let here = |ip| self.addresses.is_local(ip);
        let same = canonical_ip(server.ip()) == at.ip() || here(canonical_ip(server.ip())) && here(at.ip());
        server.port() == at.port() && same
    }

    /// Is another's phone registered from there, or does it listen there? It and its NAT accept from us what no other host could
    /// send them. Over any transport, as such a phone listens for TCP at the same port. Those on the same host are several
    /// accounts of one phone, or behind one proxy or NAT: from them no port is taken by what a phone says of where it listens, nor
    /// the proxy's, nor for TCP what another sends UDP from, which no NAT lets in.
    fn is_anothers_phone(&self, word: &Word, transport: Transport, at: SocketAddr) -> bool {
        let registrant = match word.kind {
            PartyKind::Stranger => 0,
            PartyKind::Agent | PartyKind::Peer | PartyKind::Trunk => {
                self.secret.registrant(word.kind, word.party)
            }
        };
        let beside = || word.seen_at.is_some_and(|seen| canonical_ip(seen.ip()) == canonical_ip(at.ip()));
        let location = &self.location;
        location.is_anothers_phone(at, registrant) && !(transport.is_reliable() && beside())
            || (location.is_anothers_proxy(at, registrant) || location.is_anothers_contact(at, registrant))
                && !beside()
    }

    /// Is this address one the party may name?
    fn is_for(&self, word: &Word, transport: Transport, at: SocketAddr) -> Result<(), Forbidden> {
        let seen = word.seen_at.map(|a| SocketAddr::new(canonical_ip(a.ip()), a.port()));
        if seen == Some(at) {
            return Ok(());
        }
        let all = self.owners.load();
        let owners = all.at(at.ip());
        if !owners.iter().any(|o| o.is(word) && o.has_port(at.port()))
            && self.is_anothers_phone(word, transport, at)
        {
            return Err(Forbidden::Phone);
        }
        if owners.iter().chain(all.around(at.ip())).any(|o| o.is(word)) {
            return Ok(());
        }
        if seen.is_some_and(|seen| seen.ip() == at.ip()) {
            // Phones and a server behind one public address, an Asterisk beside us: its own port is still its own. Of a
            // network that a list allows the hosts are not one, and this one is the party's.
            return match owners.iter().any(|o| o.has_port(at.port())) {
                true => Err(Forbidden::Configured),
                false => Ok(()),
            };
        }
        let here = |ip| self.addresses.is_local(ip);
        let foreign = here(at.ip()) && !seen.is_some_and(|seen| here(seen.ip()));
        if foreign && at.ip().is_loopback() {
            // Whatever is there: a loopback address is its owner's own.
            return Err(Forbidden::Loopback);
        }
        if !owners.is_empty() || all.around(at.ip()).next().is_some() {
            return Err(Forbidden::Configured);
        }
        if foreign {
            return Err(Forbidden::ThisHost);
        }
        // What a name leads to is judged as a literal is (`nat.rs`): nobody outside is in a private network.
        let inside = word.inside || seen.is_some_and(|seen| self.addresses.is_inside(seen.ip()));
        if is_private(at.ip()) && !inside { Err(Forbidden::Private) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
