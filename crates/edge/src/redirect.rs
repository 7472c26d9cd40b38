//! A phone answers a call with a redirection (RFC 3261 §21.3): call forwarding that was set on the phone. The exchange calls whom it
//! names, where that is somebody of the phone's own domain (§16.5 lets a proxy recurse), as if the phone's agent had a
//! fallback there: with Diversion and History-Info, and never out by a trunk. Every other redirection goes on to the caller.

use trunkline_proxy::PartyKind;
use trunkline_proxy::transaction::{Answer, Heard};
use trunkline_routing::{Decision, Diversion, Outcome};
use trunkline_sip::{Address, HeaderName, Limits, Message, Scheme, Splices, Uri};
use trunkline_transaction::Slot;

use crate::address::Addresses;
use crate::aims::MOST_TARGETS;
use crate::context::{Context, Hop};
use crate::decide::Round;
use crate::divertible::{MOST_TURNS, account_of};
use crate::edge::Edge;
use crate::inbound::{Inbound, read_again};
use crate::mail::Io;
use crate::names::Shown;
use crate::visit::Visit;

impl Edge {
    /// The branch at hand was redirected: the call goes there as well, if it may.
    pub(crate) fn redirect(
        &mut self,
        io: &mut Io<'_>,
        slot: Slot,
        context: &mut Context,
        heard: Heard<'_>,
    ) -> Answer<Hop> {
        if context.turns >= MOST_TURNS || !context.proxy.has_room(MOST_TARGETS) {
            return Answer::Nothing;
        }
        let Some((from, to)) = self.redirected(context, heard) else { return Answer::Nothing };
        // Who calls from outside is known by the number it called, which To names.
        let outside = matches!(context.caller.0, PartyKind::Trunk | PartyKind::Stranger);
        let called = if outside { None } else { Some(from.as_bytes()) };
        let sent = context.proxy.branch(heard.branch).map_or(&[][..], |branch| branch.sent());
        let renamed = context.proxy.branch(heard.branch).is_some_and(|branch| branch.target.hop.renamed);
        // The 100 says From and To as they came.
        let names = if renamed { Shown::in_bytes(context.proxy.reply()) } else { Shown::default() };
        let Some(request) = as_it_came((sent, &names), called, &self.shared.addresses) else {
            return Answer::Nothing;
        };
        let cause = heard.message.status().unwrap_or(302);
        // Both are of one domain: nobody has to show more than it has.
        let caller = context.party.clone();
        let shared = self.shared.clone();
        let tables = shared.tables.load();
        let account = account_of(&tables, &caller);
        let diversion = Diversion {
            from: &from,
            to: &to,
            cause,
            caller: &caller,
            account,
            proven: false,
            by_phone: true,
        };
        let flow = context.from;
        let forwarded = read_again(&shared.guard, &flow, &request, |inbound| {
            let Ok(uri) = inbound.message.uri() else { return false };
            // It is no loop: it was forwarded.
            let inbound = &Inbound { spiral: self.visit(inbound) == Visit::Spiral, ..*inbound };
            self.note_diverted(io, &to);
            let mut decision = Decision::default();
            let decided = self.decide(io, inbound, &uri, Round::Diverted(diversion), &mut decision);
            if decided.is_err() || decision.outcome != Outcome::Forward {
                return false;
            }
            context.turns += 1;
            self.forward_again(io, inbound, &decision, (slot, &mut *context), true)
        });
        match forwarded {
            Some(true) => Answer::Started,
            Some(false) | None => Answer::Nothing,
        }
    }

    /// The AORs of the agent whose phone redirects, and of whom it names, where both are of one domain.
    fn redirected(&self, context: &Context, heard: Heard<'_>) -> Option<(String, String)> {
        let word = context.proxy.branch(heard.branch)?.target.hop.word?;
        if word.kind != PartyKind::Agent {
            return None;
        }
        let shared = &self.shared;
        let tables = shared.tables.load();
        let (agent, domain) = shared.account(&tables, word.party)?;
        let contact = heard.message.list(HeaderName::Contact).flatten().next()?;
        let uri = Address::parse(contact, "Contact").ok()?.parsed_uri().ok()?;
        let own = uri.host.eq_ignore_ascii_case(domain.domain_uri.as_bytes());
        if !own || !matches!(uri.scheme, Scheme::Sip | Scheme::Sips) {
            return None;
        }
        let user = String::from_utf8(uri.user_decoded()?.into_owned()).ok()?;
        let aor = |user: &str| format!("sip:{user}@{}", domain.domain_uri);
        Some((aor(&agent.username), aor(&user)))
    }
}

/// A request that went out, as it came: without what the exchange put into it, and for the AOR that was called, else for whom To
/// names.
fn as_it_came(
    (sent, names): (&[u8], &Shown<'_>),
    called: Option<&[u8]>,
    addresses: &Addresses,
) -> Option<Vec<u8>> {
    let mut index = trunkline_sip::Index::default();
    index.parse(sent, &Limits::default()).ok()?;
    let m = Message::new(sent, &index);
    let mut splices = Splices::default();
    splices.replace(m.uri_span(), called.unwrap_or(m.to().ok()?.uri));
    splices.delete(m.header_line(HeaderName::Via)?.line);
    names.put(&m, &mut splices);
    for line in m.header_lines(HeaderName::RecordRoute) {
        let value = Address::parse(line.value.of(sent), "Record-Route").ok();
        let uri = value.and_then(|address| Uri::parse(address.uri).ok());
        if uri.is_some_and(|uri| addresses.is_own(&uri) && uri.param(trunkline_proxy::Mark::PARAM).is_some())
        {
            splices.delete(line.line);
        }
    }
    m.header_lines(HeaderName::Route).for_each(|line| splices.delete(line.line));
    let mut out = Vec::with_capacity(sent.len());
    splices.apply(sent, m.body_span().end, &mut out);
    Some(out)
}
