//! Requests and the relay: the offer of a first INVITE, later ones inside the dialog, the end.

use std::net::IpAddr;

use trunkline_media::{MediaError, Method as Turning, Party, Session, Side, WARNING, incompatible};
use trunkline_proxy::{FlowToken, PartyKind};
use trunkline_sip::Method;
use trunkline_sip::response;
use trunkline_transaction::TransactionKey;
use trunkline_transport::Egress;

use super::relayed::{Offer, PARTIES, Turn, place};
use super::{Awaited, Body, ByParty, CallName, Leg, Turned, Waiting};
use crate::divert::Fallback;
use crate::edge::Edge;
use crate::inbound::{Inbound, read_again};
use crate::mail::{EdgeMail, Io};
use crate::media::body::sdp_of;
use crate::resolver::Spare;
use crate::routes::Dialog;

/// What a first INVITE bears to each target.
#[derive(Clone, Debug, Default)]
pub(crate) struct Relaying {
    name: Option<CallName>,
    bodies: ByParty<Body>,
}

impl Relaying {
    /// The body for a target, where its own is to be replaced.
    pub(crate) fn body(&self, to: &Egress) -> Option<&[u8]> {
        self.bodies.get(place(party_of(to))).and_then(Option::as_ref).and_then(|b| b.as_deref().ok())
    }

    /// What the transaction keeps of it.
    pub(crate) fn leg(&self) -> Option<Box<Leg>> {
        let name = self.name.clone()?;
        Some(Box::new(Leg { name, responder: Side::Callee, first: true }))
    }
}

/// What a first INVITE does next.
pub(crate) enum Offered {
    Go(Relaying),
    /// It waits for rtpengine.
    Parked,
    /// No target's media can be had.
    Refuse(u16),
}

/// Before an endpoint has said anything, its transport tells what it is.
fn party_of(to: &Egress) -> Party {
    Party::of_transport(to.transport.is_websocket())
}

/// Header lines for the refusal of a call whose media cannot work.
pub(crate) fn refusal(code: u16) -> Vec<u8> {
    match code {
        488 => format!("Warning: {WARNING}\r\n").into_bytes(),
        503 => b"Retry-After: 5\r\n".to_vec(),
        _ => Vec::new(),
    }
}

impl Edge {
    /// An INVITE is about to begin a call over these ways. A way whose media cannot be had is taken out.
    pub(crate) fn offer_media(
        &mut self,
        io: &mut Io<EdgeMail>,
        inbound: &Inbound<'_>,
        key: TransactionKey,
        ways: &mut [Option<(Egress, Spare)>],
        diverted: bool,
    ) -> Offered {
        if inbound.method != Method::Invite || self.shared.config.stateless {
            return Offered::Go(Relaying::default());
        }
        let Some(relayed) = self.shared.media.clone() else {
            return refuse_mismatch(inbound, ways);
        };
        let m = &inbound.message;
        let name = CallName::new(m.call_id(), m.from_tag());
        let goes_to = |party| ways.iter().flatten().any(|(way, _)| party_of(way) == party);
        let mut callees = PARTIES.map(goes_to);
        if callees == [false, false] {
            return Offered::Go(Relaying::default());
        }
        let bodies = if diverted {
            relayed.offered(&name)
        } else {
            if self.scratch.parties.fallback != Fallback::default() {
                // Whoever the call is diverted to may be of either sort.
                callees = [true, true];
            }
            let caller = Party::of_transport(inbound.flow.transport.is_websocket());
            match relayed.on_offer(&name, m, caller, callees, io.unix_ms()) {
                Err(error) => return Offered::Refuse(error.status()),
                Ok(Offer::Have(bodies)) => bodies,
                Ok(Offer::Ask(commands)) => {
                    let awaited = Awaited::Offer(name.clone());
                    return match self.park(Waiting::Request(key), awaited, inbound.flow, m.bytes, commands) {
                        Ok(()) => {
                            self.say_trying(io, inbound);
                            Offered::Parked
                        }
                        Err(error) => {
                            tracing::warn!(%error, "a call's media cannot be relayed");
                            relayed.end(&name, false);
                            Offered::Refuse(error.status())
                        }
                    };
                }
            }
        };
        let mut refused = None;
        for way in ways.iter_mut() {
            let Some(party) = way.as_ref().map(|(way, _)| party_of(way)) else { continue };
            let missing = match &bodies[place(party)] {
                Some(Err(code)) => Some(*code),
                // A late offer needs nothing yet.
                None if sdp_of(m).is_some() => Some(488),
                Some(Ok(_)) | None => None,
            };
            if missing.is_some() {
                (*way, refused) = (None, missing);
            }
        }
        match refused {
            Some(code) if ways.iter().all(Option::is_none) => {
                if !diverted {
                    relayed.end(&name, false);
                }
                Offered::Refuse(code)
            }
            _ => Offered::Go(Relaying { name: Some(name), bodies }),
        }
    }

    /// The call goes nowhere after all: the relay may have its ports back.
    pub(crate) fn take_back_media(&self, relaying: Relaying) {
        if let (Some(name), Some(relayed)) = (relaying.name, &self.shared.media) {
            relayed.end(&name, false);
        }
    }

    /// A request inside a dialog is about to go on: the body in its own's place, or `Err` when it went no further.
    pub(crate) fn turn_media(
        &mut self,
        io: &mut Io<EdgeMail>,
        inbound: &Inbound<'_>,
        key: TransactionKey,
        dialog: &Dialog,
        other: &Option<FlowToken>,
    ) -> Result<(Option<Body>, Option<Box<Leg>>), ()> {
        let (Some(relayed), false) = (self.shared.media.clone(), self.shared.config.stateless) else {
            return Ok((None, None));
        };
        let m = &inbound.message;
        let from = match dialog.from {
            trunkline_proxy::Side::Caller => Side::Caller,
            trunkline_proxy::Side::Callee => Side::Callee,
        };
        let (caller_tag, callee_tag) = match from {
            Side::Caller => (m.from_tag(), m.to_tag()),
            Side::Callee => (m.to_tag(), m.from_tag()),
        };
        let name = CallName::new(m.call_id(), caller_tag);
        let method = match inbound.method {
            Method::Invite => Turning::Invite,
            Method::Ack => Turning::Ack,
            Method::Prack => Turning::Prack,
            Method::Update => Turning::Update,
            Method::Bye => {
                relayed.end(&name, true);
                return Ok((None, None));
            }
            _ => return Ok((None, None)),
        };
        let turned = Turned { from, method, cseq: m.cseq() };
        let sender = Party::of_transport(inbound.flow.transport.is_websocket());
        let receiver = Party::of_transport(other.is_some_and(|f| f.transport.is_websocket()));
        let resume = || {
            let (caller, callee) = match from {
                Side::Caller => (sender, receiver),
                Side::Callee => (receiver, sender),
            };
            (callee, Session::resume(m.call_id(), caller_tag, callee_tag, caller, callee))
        };
        let leg = || Some(Box::new(Leg { name: name.clone(), responder: from.other(), first: false }));
        match relayed.on_request(&name, turned, m, io.unix_ms(), resume) {
            Turn::AsItIs => Ok((None, leg())),
            Turn::Have(body) => Ok((Some(body), leg())),
            Turn::Ask(command) => {
                let awaited = Awaited::Turned(name.clone(), turned);
                let commands = [(Party::Web, command)];
                match self.park(Waiting::Request(key), awaited, inbound.flow, m.bytes, commands) {
                    Ok(()) => Err(()),
                    Err(error) => Ok((Some(Err(error.status())), leg())),
                }
            }
        }
    }

    /// Does this request wait for rtpengine?
    pub(crate) fn is_parked(&self, key: TransactionKey) -> bool {
        !self.desk.by_message.is_empty() && self.desk.by_message.contains_key(&Waiting::Request(key))
    }

    /// The caller cancels an INVITE that waits for rtpengine: it has gone nowhere yet, and is answered 487.
    pub(crate) fn cancel_parked(&mut self, io: &mut Io<EdgeMail>, key: TransactionKey, from: IpAddr) -> bool {
        let Some(number) = self.desk.by_message.get(&Waiting::Request(key)).copied() else { return false };
        if self.desk.parked.get(&number).is_none_or(|p| p.flow.remote.ip() != from) {
            return false;
        }
        let Some(parked) = self.desk.take(number) else { return false };
        if let (Awaited::Offer(name), Some(relayed)) = (&parked.awaited, &self.shared.media) {
            relayed.end(name, false);
        }
        let shared = self.shared.clone();
        read_again(&shared.guard, &parked.flow, &parked.bytes, |inbound| {
            if let Some((slot, context)) = self.open(io, inbound, key, (PartyKind::Stranger, 0)) {
                self.answer_and_settle(io, slot, context, 487);
            }
        });
        true
    }

    /// 100 to an INVITE that waits, so that it is not repeated meanwhile.
    fn say_trying(&mut self, io: &mut Io<EdgeMail>, inbound: &Inbound<'_>) {
        let mut out = std::mem::take(&mut self.scratch.out);
        out.clear();
        response::begin(&inbound.message, 100, None, b"", inbound.fill.as_ref(), &mut out);
        response::finish(&mut out);
        // The request goes on to pay for what comes after it.
        if self.may_send(&inbound.back, out.len(), io.unix_ms()) {
            io.send(&inbound.back, &out);
        }
        self.scratch.out = out;
    }
}

/// Without a relay: takes out the ways to endpoints that never understand this offer.
fn refuse_mismatch(inbound: &Inbound<'_>, ways: &mut [Option<(Egress, Spare)>]) -> Offered {
    let websocket = |(way, _): &(Egress, Spare)| way.transport.is_websocket();
    // Between phones nothing needs to be looked at.
    if !inbound.flow.transport.is_websocket() && !ways.iter().flatten().any(websocket) {
        return Offered::Go(Relaying::default());
    }
    let Some(sdp) = sdp_of(&inbound.message) else { return Offered::Go(Relaying::default()) };
    let mut refused = false;
    for way in ways.iter_mut() {
        // Plain RTP offered over a WebSocket: who speaks so here is not known, and may be understood.
        let alike = inbound.flow.transport.is_websocket() && way.as_ref().is_some_and(websocket);
        if !alike && way.as_ref().is_some_and(|w| incompatible(sdp, websocket(w))) {
            (*way, refused) = (None, true);
        }
    }
    match refused && ways.iter().all(Option::is_none) {
        true => Offered::Refuse(MediaError::Refused(String::new()).status()),
        false => Offered::Go(Relaying::default()),
    }
}
