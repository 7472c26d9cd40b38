//! The way out: which number calls, through which trunk, to which of its destinations.

use std::borrow::Cow;

use arrayvec::ArrayVec;
use trunkline_model::{Domain, Number, Privacy, Ref, ShownAs, Trunk, TrunkUri};
use trunkline_reasons::Reason;
use trunkline_sip::Transport;

use crate::ask::Ask;
use crate::call::{Call, MAX_TRUNKS};
use crate::explain::Fact;
use crate::filter::wants_to_be_nobody;
use crate::headers::{Identity, put_display, write_identity};
use crate::number::{self, put_escaped, write_host};
use crate::parameters::{put_beside_host, put_in_user};
use crate::party::{Direction, Party};
use crate::request::Request;
use crate::rules::{Rules, Stop};
use crate::target::{NextHop, Target, Text};
use crate::withheld::is_withheld;

/// A call on its way out.
#[derive(Debug, Default)]
struct WayOut<'s> {
    tried: ArrayVec<&'s Ref, MAX_TRUNKS>,
    /// Is the caller's number withheld?
    private: bool,
}

/// Whom From shows a carrier.
#[derive(Clone, Copy, Debug)]
enum Shown<'a> {
    /// The caller, as it came.
    Caller,
    /// This number or account, a whole address or its user.
    As(&'a str),
    /// Nobody (RFC 3323 §4.1.1.3).
    Nobody,
}

impl Shown<'_> {
    /// Writes the address for the carrier of this host; nothing where it stays as it came.
    fn write(self, request: &Request<'_>, host: &str, out: &mut Vec<u8>) {
        match self {
            Shown::Caller => {}
            Shown::Nobody => out.extend_from_slice(ANONYMOUS),
            Shown::As(name) => {
                put_display(request, out);
                out.extend_from_slice(b"<sip:");
                let (user, host) = name.split_once('@').unwrap_or((name, host));
                put_escaped(user.as_bytes(), out);
                out.push(b'@');
                write_host(out, host);
                out.push(b'>');
            }
        }
    }
}

/// From of a caller that withholds its identity (RFC 3323 §4.1.1.3, RFC 3261 §8.1.1.3).
const ANONYMOUS: &[u8] = b"\"Anonymous\" <sip:anonymous@anonymous.invalid>";

impl<'x, 's: 'x, A: Ask<'s>> Rules<'_, 'x, A> {
    /// Nothing of ours has the called name: does the caller have a way out? Its own, whatever hosts the request names.
    pub(crate) fn leave(&mut self, call: &mut Call<'s, 'x>) -> Result<(), Stop> {
        let may_leave = self.request.inside.is_none_or(|inside| inside.may_leave);
        if !may_leave || self.request.called_outside().is_empty() {
            return Err(self.nothing_there(Reason::CalleeUnknown));
        }
        if number::is_misshapen(self.request.called_outside()) {
            self.note(Fact::Misshapen);
            return Err(self.reply(Reason::NumberMisshapen));
        }
        let request = self.request;
        let wants_privacy =
            wants_to_be_nobody(&request.message) || is_withheld(&request.from_uri, &request.caller);
        let mut way = WayOut::default();
        match call.caller {
            Party::Agent(agent, _) => {
                way.private = agent.privacy == Privacy::Private || wants_privacy;
                self.leave_by_policies(call.home, &mut way, call)
            }
            Party::Peer(_) => {
                let dod = self.request.message.other_header("X-DOD-Privacy").unwrap_or_default();
                way.private = dod.eq_ignore_ascii_case(b"id") || wants_privacy;
                match (self.dod(), call.policies_for_peers(self.request.options)) {
                    (Some(digits), _) => self.leave_by_number(digits, &mut way, call),
                    (None, Some(domain)) => self.leave_by_policies(Some(domain), &mut way, call),
                    (None, None) => {
                        self.note(Fact::NoDodNumber);
                        Err(self.reply(Reason::PeerNoNumber))
                    }
                }
            }
            Party::Pstn(..) | Party::Unknown => Err(self.nothing_there(Reason::CalleeNoWayOut)),
        }
    }

    /// The number a peer wants to call from, in its one form.
    fn dod(&self) -> Option<&'x [u8]> {
        let header = self.request.message.other_header("X-DOD-Number").filter(|number| !number.is_empty())?;
        match number::of_text(header) {
            Cow::Borrowed(digits) => Some(digits),
            Cow::Owned(digits) => Some(self.request.dod_number.get_or_init(|| digits)),
        }
    }

    /// A peer's call out by the number it names, which is the only way. A number of another domain is none for it.
    fn leave_by_number(
        &mut self,
        digits: &[u8],
        way: &mut WayOut<'s>,
        call: &mut Call<'s, 'x>,
    ) -> Result<(), Stop> {
        let number = self.number_in_any_form(digits)?;
        let may = match (number, call.home) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(number), Some(home)) => self.number_serves(number, home)?,
        };
        if let Some(number) = number.filter(|_| !may) {
            self.note(Fact::NumberOfOtherDomain(number));
        }
        let Some(number) = number.filter(|_| may) else {
            self.note(Fact::CalleeUnknown);
            return Err(self.reply(Reason::PeerUnknownNumber));
        };
        let Some(reference) = &number.trunk else {
            self.note(Fact::Dangling);
            return Err(self.reply(Reason::NumberWithoutTrunk));
        };
        self.add_trunk(reference, number, way, call)?;
        self.go_out(true, call)
    }

    /// The first policy whose rule matches is the way out, later ones take over when its trunk fails.
    fn leave_by_policies(
        &mut self,
        domain: Option<&'s Domain>,
        way: &mut WayOut<'s>,
        call: &mut Call<'s, 'x>,
    ) -> Result<(), Stop> {
        let mut matched = false;
        for policy in domain.map_or(&[][..], |d| &d.egress_policies) {
            if way.tried.is_full() || !policy.rule.is_match(self.request.called_outside()) {
                continue;
            }
            self.note(Fact::Policy(policy));
            matched = true;
            let number = self.number_by_ref(&policy.number)?;
            let Some((number, reference)) = number.and_then(|n| Some((n, n.trunk.as_ref()?))) else {
                self.note(Fact::Dangling);
                continue;
            };
            if !way.tried.contains(&reference) {
                self.add_trunk(reference, number, way, call)?;
            }
        }
        self.go_out(matched, call)
    }

    /// Lines up the destinations of a trunk.
    fn add_trunk(
        &mut self,
        reference: &'s Ref,
        number: &'s Number,
        way: &mut WayOut<'s>,
        call: &mut Call<'s, 'x>,
    ) -> Result<(), Stop> {
        let Some(trunk) = self.trunk(reference)? else {
            self.note(Fact::Dangling);
            return Ok(());
        };
        self.show_before_leaving(trunk, call)?;
        let _ = way.tried.try_push(&trunk.reference);
        if !trunk.uris.iter().any(|u| u.enabled) {
            self.note(Fact::NoDestination(trunk));
            return Ok(());
        }
        let down = self.destinations_down(trunk)?;
        self.note(Fact::OutBy(number));
        self.note(Fact::OutThrough(trunk));
        if call.callee.reference().is_none() {
            call.callee = Party::Pstn(trunk, Some(number));
        }
        let _ = call.allowed.try_push(&trunk.allowed_parameters);
        let private = way.private && !self.request.options.privacy_always_none;
        let shown_as = match trunk.shown_as {
            _ if private => Shown::Nobody,
            ShownAs::Caller => Shown::Caller,
            ShownAs::Number => Shown::As(number.digits()),
            ShownAs::Account => match &trunk.outbound_credentials {
                Some(reference) => {
                    self.credentials(reference)?.map_or(Shown::Caller, |c| Shown::As(&c.username))
                }
                None => Shown::Caller,
            },
        };
        let name = if private { "" } else { call.caller.name() };
        let identity = Identity { number: number.digits(), name, private, asserted: trunk.asserts_identity };
        for place in order(&trunk.uris, down, self.request.random) {
            if let Some(uri) = trunk.uris.get(usize::from(place)) {
                self.add_destination(trunk, (place, uri), &identity, shown_as);
            }
        }
        Ok(())
    }

    fn add_destination(
        &mut self,
        trunk: &Trunk,
        (place, uri): (u8, &TrunkUri),
        identity: &Identity<'_>,
        shown: Shown<'_>,
    ) {
        let request = self.request;
        let targets = &mut self.decision.targets;
        let group = targets.as_slice().len().min(255) as u8;
        let host = targets.put(uri.host.as_bytes());
        let request_uri = targets.write(|out| write_uri(out, request, uri, &trunk.allowed_parameters));
        let headers = targets.write(|out| write_identity(out, identity, &uri.host));
        let from = targets.write(|out| shown.write(request, &uri.host, out));
        targets.push(Target {
            uri: request_uri,
            flow: None,
            flow_only: false,
            phone: 0,
            alternate: false,
            next_hop: Some(NextHop { host, port: uri.port, transport: uri.transport }),
            path: Text::default(),
            headers,
            from,
            q: 0,
            group,
            trunk: Some(trunk.reference.clone()),
            trunk_uri: place,
            credentials: trunk.outbound_credentials.clone(),
            timeout_ms: Some(trunk.timeout_ms),
            binding_id: 0,
            named_from: None,
        });
    }

    fn go_out(&mut self, matched: bool, call: &mut Call<'s, 'x>) -> Result<(), Stop> {
        if self.decision.targets.as_slice().is_empty() {
            if matched {
                return Err(self.reply(Reason::TrunkNoDestination));
            }
            self.note(Fact::NoPolicy);
            return Err(self.reply(Reason::RouteNoPolicy));
        }
        let direction = match call.caller {
            Party::Peer(_) => Direction::PeerToPstn,
            Party::Agent(..) | Party::Pstn(..) | Party::Unknown => Direction::AgentToPstn,
        };
        self.forward(direction, call)
    }
}

/// The called user, as the rule saw it, at the trunk's destination; of the parameters that came those the trunk allows.
fn write_uri(out: &mut Vec<u8>, request: &Request<'_>, uri: &TrunkUri, allowed: &[String]) {
    out.extend_from_slice(b"sip:");
    put_escaped(request.called_outside(), out);
    put_in_user(&request.uri, allowed, out);
    out.push(b'@');
    write_host(out, &uri.host);
    if let Some(port) = uri.port {
        out.push(b':');
        push_number(out, port);
    }
    put_beside_host(&request.uri, allowed, out);
    if let Some(transport) = uri.transport.filter(|t| *t != Transport::Udp) {
        out.extend_from_slice(b";transport=");
        out.extend_from_slice(transport.param_name().as_bytes());
    }
}

fn push_number(out: &mut Vec<u8>, number: u16) {
    let mut divisor = 10_000;
    while divisor > 1 && number / divisor == 0 {
        divisor /= 10;
    }
    while divisor > 0 {
        out.push(b'0' + (number / divisor % 10) as u8);
        divisor /= 10;
    }
}

/// The order in which a trunk's destinations are tried, as places in `uris`: enabled ones only, those that are up
/// before those that are down, lower priority first; among equals drawn by weight (RFC 2782).
fn order(uris: &[TrunkUri], down: u64, random: u64) -> ArrayVec<u8, 64> {
    let mut rest: ArrayVec<u8, 64> =
        (0u8..64).zip(uris).filter(|(_, uri)| uri.enabled).map(|(place, _)| place).collect();
    let rank = |place: u8| {
        let uri = uris.get(usize::from(place));
        (down >> place & 1, uri.map_or(0, |u| u.priority))
    };
    let weight = |place: u8| u64::from(uris.get(usize::from(place)).map_or(0, |u| u.weight));
    let mut random = random;
    let mut out = ArrayVec::new();
    while let Some(best) = rest.iter().map(|&p| rank(p)).min() {
        let equals = || rest.iter().enumerate().filter(|&(_, &p)| rank(p) == best);
        let total: u64 = equals().map(|(_, &p)| weight(p)).sum();
        // splitmix64: the caller's one number serves several draws.
        random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = random;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        let mut drawn = (mixed ^ mixed >> 31) % total.max(1);
        let chosen = equals()
            .find(|&(_, &p)| {
                let hit = total == 0 || drawn < weight(p);
                drawn = drawn.saturating_sub(weight(p));
                hit
            })
            .map_or(0, |(i, _)| i);
        out.push(rest.remove(chosen));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(priority: u16, weight: u16, enabled: bool) -> TrunkUri {
        TrunkUri {
            user: None,
            host: "sip.provider.test".into(),
            port: Some(5060),
            transport: Some(Transport::Udp),
            weight,
            priority,
            enabled,
        }
    }

    #[test]
    fn up_before_down_then_priority() {
        let uris = [uri(20, 1, true), uri(10, 1, true), uri(5, 1, false), uri(30, 1, true)];
        assert_eq!(order(&uris, 0, 7).as_slice(), [1, 0, 3]);
        assert_eq!(order(&uris, 0b10, 7).as_slice(), [0, 3, 1], "a dead one comes last but comes");
        assert!(order(&[uri(1, 1, false)], 0, 7).is_empty());
        assert!(order(&[], 0, 7).is_empty());
    }

    #[test]
    fn equals_share_by_weight() {
        let uris = [uri(10, 3, true), uri(10, 1, true)];
        let first = (0..4000).filter(|&i| order(&uris, 0, i * 0x1234_5678_9abc)[0] == 0).count();
        assert!((2850..3150).contains(&first), "three of four, saw {first} of 4000");
        let none = [uri(10, 0, true), uri(10, 0, true)];
        assert_eq!(order(&none, 0, 9).as_slice(), [0, 1]);
    }

    #[test]
    fn numbers_and_hosts() {
        for n in [0u16, 7, 10, 5060, 65535] {
            let mut out = Vec::new();
            push_number(&mut out, n);
            assert_eq!(out, n.to_string().as_bytes());
        }
        let mut out = Vec::new();
        write_host(&mut out, "2001:db8::1");
        assert_eq!(out, b"[2001:db8::1]");
    }
}
