//! A carrier answers a call with a redirection (RFC 3261 §21.3). The exchange tries the address that it names where that is a host of
//! the same trunk (one of its destinations or registrars, or an address of one) and the number is that which was called, since no
//! other has been judged by the rules of its domain. So the carrier moves a call among its own gateways, and nobody else is called at
//! the operator's expense. Every other redirection goes on to the caller.

use trunkline_model::{Ref, TrunkUri};
use trunkline_proxy::PartyKind;
use trunkline_proxy::transaction::{Answer, Branch, Heard};
use trunkline_sip::{Address, HeaderName, Index, Limits, Message, Scheme, Transport, Uri, parse_ip};
use trunkline_transaction::Slot;
use trunkline_transport::Egress;

use crate::branches::grow;
use crate::context::{Context, Hop, first_egress};
use crate::divertible::MOST_TURNS;
use crate::edge::Edge;
use crate::memory::StepMemory;
use crate::readdress::{Readdress, readdress};
use crate::resolver::{Resolved, Spare};

impl Edge {
    /// The branch at hand went to a trunk, which redirects it: the request again for the first address that is the trunk's own.
    pub(crate) fn redirect_at_carrier(
        &mut self,
        memory: &mut StepMemory,
        slot: Slot,
        context: &mut Context,
        heard: Heard<'_>,
    ) -> Answer<Hop> {
        if context.turns >= MOST_TURNS || !context.proxy.has_room(1) {
            return Answer::Nothing;
        }
        let (Some(branch), Some(name)) = (
            context.proxy.branch(heard.branch),
            self.branch_name(slot, context.proxy.branches().len(), context.loop_mac),
        ) else {
            return Answer::Nothing;
        };
        let Some((uri, egress, spare)) = self.own_contact(context, branch, heard.message) else {
            return Answer::Nothing;
        };
        let StepMemory { index, splices, out, .. } = memory;
        if index.parse(branch.sent(), &Limits::default()).is_err() {
            return Answer::Nothing;
        }
        let egress = self.shared.shown_at(&branch.target.hop, egress);
        let old = first_egress(branch);
        let mut target = branch.target.clone();
        // A large request went over TCP, and does so again (RFC 3261 §18.1.1).
        let grown = branch.target.grown && egress.transport == Transport::Udp;
        let change = Readdress {
            uri: Some(uri),
            branch: &name,
            from: &old,
            to: &egress,
            via_transport: if grown { Transport::Tcp } else { egress.transport },
            came_by: &context.back(),
        };
        readdress(&Message::new(branch.sent(), index), &change, &self.shared.addresses, splices, out);
        (target.hop.egress, target.hop.spare) = (egress, spare);
        (target.reliable, target.grown) = (egress.transport.is_reliable(), false);
        grow(&mut target, grown);
        target.has_addresses = target.hop.spare.has_more();
        target.has_credentials = target.hop.credentials.is_some();
        let request = self.work.buffers.copy(out);
        context.turns += 1;
        Answer::Instead(request, target)
    }

    /// The first Contact of a redirection that leads to the trunk itself, and not where the request was before; with the way there.
    fn own_contact<'m>(
        &self,
        context: &Context,
        branch: &Branch<Hop>,
        m: &Message<'m>,
    ) -> Option<(&'m [u8], Egress, Spare)> {
        let trunk = branch.target.hop.trunk.as_ref()?;
        let mut index = Index::default();
        index.parse(branch.sent(), &Limits::default()).ok()?;
        let called = Message::new(branch.sent(), &index).uri().ok()?;
        let contacts = m.list(HeaderName::Contact).flatten();
        let mut contacts = contacts.filter_map(|value| Address::parse(value, "Contact").ok());
        contacts.find_map(|contact| {
            let uri = contact.parsed_uri().ok()?;
            // A Request-URI has no header fields (RFC 3261 §19.1.1).
            let text = contact.uri.split(|b| *b == b'?').next().unwrap_or_default();
            let been = || context.proxy.branches().iter().any(|b| went_to(b, text));
            if !is_same_number(&called, &uri) || !self.is_host_of(trunk, &uri) || been() {
                return None;
            }
            match self.shared.resolver.resolve_hop(&uri) {
                Resolved::To(egress, spare) => {
                    let secure = uri.scheme == Scheme::Sip || egress.transport.is_secure();
                    let free = self.shared.guard.may_be_sent_to(&egress).is_ok();
                    (secure && free).then_some((text, egress, spare))
                }
                Resolved::Nowhere => None,
                Resolved::Later(question) => {
                    // The call does not wait; the next one finds it.
                    self.shared.resolver.look_up(question);
                    None
                }
            }
        })
    }

    /// Does this URI lead to the trunk: to a host that the operator named for it, or to an address of one?
    fn is_host_of(&self, trunk: &Ref, uri: &Uri<'_>) -> bool {
        let host = uri.param("maddr").flatten().unwrap_or(uri.host);
        let plain = host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")).unwrap_or(host);
        let named = |of: &TrunkUri| of.host.as_bytes().eq_ignore_ascii_case(plain);
        let tables = self.shared.tables.load();
        let Some(trunk) = tables.trunk_by_ref(trunk.as_str()) else { return false };
        let party = self.shared.secret.party(trunk.reference.as_str().as_bytes());
        let known =
            || parse_ip(host).is_some_and(|ip| self.shared.guard.is_address_of(PartyKind::Trunk, party, ip));
        matches!(uri.scheme, Scheme::Sip | Scheme::Sips)
            && (trunk.uris.iter().filter(|uri| uri.enabled).any(named)
                || trunk.registries.iter().any(named)
                || known())
    }
}

/// Is the same number called, whatever parameters and visual separators it has (RFC 3966 §5.1.1)?
fn is_same_number(one: &Uri<'_>, other: &Uri<'_>) -> bool {
    let number = |uri: &Uri<'_>| -> Option<Vec<u8>> {
        let user = uri.user_decoded()?;
        let number = user.split(|b| *b == b';').next().unwrap_or_default();
        Some(number.iter().copied().filter(|b| !b"-.()".contains(b)).collect())
    };
    number(one).is_some_and(|number_of_one| number(other) == Some(number_of_one))
}

/// Did this branch's request go there?
fn went_to(branch: &Branch<Hop>, uri: &[u8]) -> bool {
    let mut index = Index::default();
    let read = index.parse(branch.sent(), &Limits::default()).is_ok();
    read && Message::new(branch.sent(), &index).uri_text() == uri
}
