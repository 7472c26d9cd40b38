//! Requests and the relay: the offer of a first INVITE, later ones inside the dialog, the end.

use std::net::IpAddr;

use trunkline_media::{Command, MediaError, Method as Turning, Party, Session, Side, WARNING, incompatible};
use trunkline_proxy::FlowToken;
use trunkline_sip::{Message, Method};
use trunkline_transaction::TransactionKey;
use trunkline_transport::Egress;

use super::answers::{Awaited, Leg};
use super::call::{Body, ByParty, PARTIES, Turn, Turned, place};
use super::name::Name;
use super::relayed::{Of, Offer};
use crate::context::Context;
use crate::edge::Edge;
use crate::inbound::Inbound;
use crate::mail::Io;
use crate::media::body::sdp_of;
use crate::resolver::Spare;
use crate::routes::Dialog;
use crate::suspended::{Cause, Suspended, Waiting};

/// What a first INVITE bears to each target.
#[derive(Clone, Debug, Default)]
pub(crate) struct Relaying {
    /// The number of the call, if it is relayed.
    pub(crate) number: Option<u64>,
    /// The number of its dialogs, where they have one already.
    pub(crate) dialogs: Option<u64>,
    bodies: ByParty<Body>,
}

impl Relaying {
    /// The body for a target, where its own is to be replaced.
    pub(crate) fn body(&self, to: &Egress) -> Option<&[u8]> {
        self.bodies.get(place(party_of(to))).and_then(Option::as_ref).and_then(|b| b.as_deref().ok())
    }

    /// What the transaction keeps of it.
    pub(crate) fn leg(&self) -> Option<Box<Leg>> {
        Some(Box::new(Leg { number: self.number?, responder: Side::Callee, callee_tag: None }))
    }
}

/// What a first INVITE does next.
pub(crate) enum Offered {
    Go(Relaying),
    /// It waits for rtpengine.
    Suspended,
    /// No target's media can be had.
    Refuse(u16),
}

/// Before an endpoint has said anything, its transport tells what it is.
fn party_of(to: &Egress) -> Party {
    Party::of_transport(to.transport.is_websocket())
}

/// Appends header lines for the refusal of a call whose media cannot work.
pub(crate) fn put_refusal(code: u16, out: &mut Vec<u8>) {
    match code {
        488 => {
            out.extend_from_slice(b"Warning: ");
            out.extend_from_slice(WARNING.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        503 => out.extend_from_slice(b"Retry-After: 5\r\n"),
        _ => {}
    }
}

impl Edge {
    /// An INVITE is about to begin a call over these ways, or to be diverted in a transaction that runs. A way whose media
    /// cannot be had is taken out. `any_sort`: later ways may lead to callees of either sort.
    pub(crate) fn offer_media(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        (key, any_sort): (TransactionKey, bool),
        ways: &mut [Option<(Egress, Spare)>],
        running: Option<&Context>,
    ) -> Offered {
        if inbound.method != Method::Invite || self.shared.config.stateless {
            return Offered::Go(Relaying::default());
        }
        let Some(relayed) = self.shared.media.clone() else {
            return refuse_mismatch(inbound, ways);
        };
        let goes_to = |party| ways.iter().flatten().any(|(way, _)| party_of(way) == party);
        let callees = PARTIES.map(goes_to);
        if callees == [false, false] {
            return Offered::Go(Relaying::default());
        }
        let relaying = match running {
            Some(context) => {
                let number = context.media.as_deref().map(|leg| leg.number);
                let bodies = number.map(|n| relayed.offered(n)).unwrap_or_default();
                Relaying { number, dialogs: None, bodies }
            }
            None => {
                match self.first_offer(io, inbound, key, ways, if any_sort { [true, true] } else { callees })
                {
                    Ok(relaying) => relaying,
                    Err(instead) => return instead,
                }
            }
        };
        match take_out_mute(inbound, ways, &relaying.bodies) {
            Some(code) => {
                if running.is_none() {
                    self.take_back_media(relaying);
                }
                Offered::Refuse(code)
            }
            None => Offered::Go(relaying),
        }
    }

    /// The bodies of a first INVITE; asked for where they are not there yet.
    fn first_offer(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        key: TransactionKey,
        ways: &[Option<(Egress, Spare)>],
        callees: [bool; 2],
    ) -> Result<Relaying, Offered> {
        let Some(relayed) = self.shared.media.clone() else { return Ok(Relaying::default()) };
        let m = &inbound.message;
        let caller = Party::of_transport(inbound.flow.transport.is_websocket());
        let number = self.take_number(key, inbound.flow, m.bytes);
        let number = number.unwrap_or_else(|| self.shared.dialogs.unique());
        let commands = match relayed.on_offer(number, m, caller, callees, io.unix_ms()) {
            Err(error) => return Err(Offered::Refuse(error.status())),
            Ok(Offer::Have(bodies)) => return Ok(Relaying { number: Some(number), dialogs: None, bodies }),
            Ok(Offer::Ask(commands)) => commands,
        };
        let awaited = Awaited::Offer(number);
        Err(match self.ask_relay((&awaited, inbound.flow), commands) {
            Ok((ticket, left)) => {
                let (what, cause) = (Waiting::Request(key), Cause::Media(awaited));
                let suspended = Suspended {
                    companion: self.companion(inbound),
                    bound_for: ways.iter().flatten().map(|(way, _)| way.remote.ip()).collect(),
                    left,
                    ..Suspended::new(what, cause, inbound.flow, m.bytes, io.now())
                };
                self.suspend(io, inbound, ticket, suspended);
                Offered::Suspended
            }
            Err(error) => {
                tracing::warn!(%error, "a call's media cannot be relayed");
                relayed.end(number);
                Offered::Refuse(error.status())
            }
        })
    }

    /// The call goes nowhere after all: the relay may have its ports back.
    pub(crate) fn take_back_media(&self, relaying: Relaying) {
        if let (Some(number), Some(relayed)) = (relaying.number, &self.shared.media) {
            relayed.end(number);
        }
    }

    /// A request inside a dialog is about to go on, by this flow or to this address: the body in its own's place, or `Err`
    /// when it went no further.
    pub(crate) fn turn_media(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        key: TransactionKey,
        dialog: &Dialog,
        (other, address): (&Option<FlowToken>, IpAddr),
    ) -> Result<(Option<Body>, Option<Box<Leg>>), ()> {
        let (Some(relayed), false) = (self.shared.media.clone(), self.shared.config.stateless) else {
            return Ok((None, None));
        };
        let method = match inbound.method {
            Method::Invite => Turning::Invite,
            Method::Ack => Turning::Ack,
            Method::Prack => Turning::Prack,
            Method::Update => Turning::Update,
            _ => return Ok((None, None)),
        };
        let m = &inbound.message;
        let (of, from) = (of(m, dialog.place.number, dialog.from), side(dialog.from));
        let turned = Turned { from, method, cseq: m.cseq(), callee_tag: of.callee_tag.into() };
        let sender = Party::of_transport(inbound.flow.transport.is_websocket());
        let receiver = Party::of_transport(other.is_some_and(|f| f.transport.is_websocket()));
        let resume = |name: &Name| {
            let (caller, callee) = match from {
                Side::Caller => (sender, receiver),
                Side::Callee => (receiver, sender),
            };
            let tags = (name.tag(of.caller_tag), name.tag(of.callee_tag));
            (callee, Session::resume(name.call_id(), &tags.0, &tags.1, caller, callee))
        };
        let callee_tag = Some(turned.callee_tag.clone());
        let leg = Some(Box::new(Leg { number: of.number, responder: from.other(), callee_tag }));
        match relayed.on_request(&of, &turned, m, io.unix_ms(), resume) {
            Turn::AsItIs => Ok((None, leg)),
            Turn::Have(body) => Ok((Some(body), leg)),
            Turn::Ask(command) => {
                let call = (of.number, turned);
                match self.suspend_turned(io, (inbound, key), call, address, command) {
                    Ok(()) => Err(()),
                    Err(error) => Ok((Some(Err(error.status())), leg)),
                }
            }
        }
    }

    /// Lets a request inside a dialog wait, which is about to go to this address.
    fn suspend_turned(
        &mut self,
        io: &mut Io<'_>,
        (inbound, key): (&Inbound<'_>, TransactionKey),
        (number, turned): (u64, Turned),
        address: IpAddr,
        command: Command,
    ) -> Result<(), MediaError> {
        let awaited = Awaited::Turned(number, turned);
        let (ticket, left) = self.ask_relay((&awaited, inbound.flow), [(Party::Web, command)])?;
        let (what, cause) = (Waiting::Request(key), Cause::Media(awaited));
        let suspended = Suspended {
            companion: self.companion(inbound),
            bound_for: [address].into(),
            left,
            ..Suspended::new(what, cause, inbound.flow, inbound.message.bytes, io.now())
        };
        self.suspend(io, inbound, ticket, suspended);
        Ok(())
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

/// Takes out the ways to callees whose body is not to be had. The status that this makes when none is left.
fn take_out_mute(
    inbound: &Inbound<'_>,
    ways: &mut [Option<(Egress, Spare)>],
    bodies: &ByParty<Body>,
) -> Option<u16> {
    let mut refused = None;
    for way in ways.iter_mut() {
        let Some(party) = way.as_ref().map(|(way, _)| party_of(way)) else { continue };
        let missing = match &bodies[place(party)] {
            Some(Err(code)) => Some(*code),
            // A late offer needs nothing yet.
            None if sdp_of(&inbound.message).is_some() => Some(488),
            Some(Ok(_)) | None => None,
        };
        if missing.is_some() {
            (*way, refused) = (None, missing);
        }
    }
    refused.filter(|_| ways.iter().all(Option::is_none))
}

fn side(side: trunkline_proxy::Side) -> Side {
    match side {
        trunkline_proxy::Side::Caller => Side::Caller,
        trunkline_proxy::Side::Callee => Side::Callee,
    }
}

/// What a request says of its dialog.
pub(crate) fn of<'a>(m: &Message<'a>, number: u64, side: trunkline_proxy::Side) -> Of<'a> {
    let (caller_tag, callee_tag) = match side {
        trunkline_proxy::Side::Caller => (m.from_tag(), m.to_tag()),
        trunkline_proxy::Side::Callee => (m.to_tag(), m.from_tag()),
    };
    Of { number, call_id: m.call_id(), caller_tag, callee_tag }
}
