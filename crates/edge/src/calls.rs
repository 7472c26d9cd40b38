//! Calls as the edge tells of them: every INVITE that begins a dialog is one, from the moment it goes out.

use trunkline_calls::{
    CallHandle, CallStart, CallerProof, Calls, Cause, Counted, Direction as Recorded, Ender, Ends,
    FailedWith, Payer, ReasonLines, Refused, SessionKey, codec_of,
};
use trunkline_model::Ref;
use trunkline_proxy::transaction::Branch;
use trunkline_proxy::{PartyKind, Side};
use trunkline_reasons::Reason;
use trunkline_routing::{Decision, Direction, Outcome, RoutedKind, Target, called_uri, put_called};
use trunkline_sip::{HeaderName, Message, Method, Uri};
use trunkline_transaction::Slot;

use crate::aims::Rung;
use crate::context::{Context, DialogUse, Hop};
use crate::edge::Edge;
use crate::inbound::Inbound;
use crate::limits;
use crate::mail::Io;
use crate::media::{of, sdp_of};
use crate::own_answer::OwnAnswer;
use crate::party::PartyRef;
use crate::shared::Shared;
use crate::trust::replaced_record;

fn recorded(direction: Option<Direction>) -> Recorded {
    match direction {
        None => Recorded::Unknown,
        Some(Direction::AgentToAgent) => Recorded::AgentToAgent,
        Some(Direction::AgentToPeer) => Recorded::AgentToPeer,
        Some(Direction::AgentToPstn) => Recorded::AgentToPstn,
        Some(Direction::PeerToAgent) => Recorded::PeerToAgent,
        Some(Direction::PeerToPeer) => Recorded::PeerToPeer,
        Some(Direction::PeerToPstn) => Recorded::PeerToPstn,
        Some(Direction::FromPstn) => Recorded::FromPstn,
    }
}

/// Who is called ([`called_uri`]), written into `text`: what decides where the call goes, not what To says. With it To, where that is
/// somebody else.
pub(crate) fn called<'t>(
    m: &Message<'_>,
    named: Option<&Uri<'_>>,
    text: &'t mut Vec<u8>,
) -> (&'t [u8], &'t [u8]) {
    text.clear();
    match named {
        Some(uri) => put_called(uri, text),
        None => text.extend_from_slice(m.uri_text()),
    }
    let end = text.len();
    match m.to().map(|to| to.parsed_uri()) {
        Ok(Ok(uri)) if named == Some(&uri) => return (text, b""),
        Ok(Ok(uri)) => put_called(&uri, text),
        Ok(Err(_)) => text.extend_from_slice(m.to().map_or(b"", |to| to.uri)),
        Err(_) => {}
    }
    let (called, to) = text.split_at_checked(end).unwrap_or_default();
    // `sips:` names the same as `sip:` does.
    fn name(uri: &[u8]) -> &[u8] {
        uri.splitn(2, |b| *b == b':').nth(1).unwrap_or(uri)
    }
    let same = name(called).eq_ignore_ascii_case(name(to));
    (called, if same { b"" } else { to })
}

/// A call that begins, to this target first.
pub(crate) struct Beginning<'a> {
    pub(crate) rung: Rung<'a>,
    pub(crate) target: &'a Target,
    pub(crate) number: u64,
    /// As [`called`] gives it.
    pub(crate) called: (&'a [u8], &'a [u8]),
    /// Who holds its memory.
    pub(crate) payer: Option<Payer>,
    pub(crate) counts: limits::Parties,
    pub(crate) trunk: Option<Counted>,
}

/// A call begins with this INVITE.
///
/// # Errors
/// When a party has as many calls as it may.
pub(crate) fn begin(
    calls: &Calls,
    inbound: &Inbound<'_>,
    beginning: &Beginning<'_>,
    now: u64,
) -> Result<Option<CallHandle>, Refused> {
    let &Beginning { rung, target, number, called: (to, to_header), payer, counts, trunk } = beginning;
    let m = &inbound.message;
    let (decision, parties) = (rung.decision, &rung.decision.parties);
    let Ok(from) = m.from() else { return Ok(None) };
    let headers = extensions(calls, Some(m));
    let binding = (target.binding_id != 0).then(|| SessionKey::binding(target.binding_id));
    let start = CallStart {
        number,
        call_id: m.call_id(),
        from_tag: m.from_tag(),
        from: from.uri,
        to,
        to_header,
        headers: &headers,
        direction: recorded(decision.direction),
        caller_ref: text(&parties.caller.reference),
        callee_ref: text(&parties.callee.reference),
        trunk_ref: text(&target.trunk),
        source: inbound.flow.remote.ip(),
        proof: proof(decision),
        payer,
        is_strangers: is_strangers(decision),
        caller: counts.caller,
        callee: binding.map(Counted::of).unwrap_or_default(),
        trunk: trunk.unwrap_or_default(),
        called: counts.called,
        domains: counts.domains,
        replaces: replaced_record(calls, m, text(&parties.callee.reference)).unwrap_or(0),
    };
    let call = calls.start(&start, now)?;
    divert(calls, call, rung);
    Ok(Some(call))
}

/// The header lines of a message whose names begin with `X-`, for whoever watches the calls; nothing is allocated for nobody.
fn extensions(calls: &Calls, m: Option<&Message<'_>>) -> Vec<u8> {
    let mut lines = Vec::new();
    if let Some(m) = m.filter(|_| calls.is_watched()) {
        m.put_extensions(&mut lines);
    }
    lines
}

/// The call goes on to this decision's callee, where that is another one.
pub(crate) fn divert(calls: &Calls, call: CallHandle, rung: Rung<'_>) {
    if rung.diverted {
        calls.diverted(call, &rung.decision.aor, text(&rung.decision.parties.callee.reference));
    }
}

fn text(reference: &Option<Ref>) -> &[u8] {
    reference.as_ref().map_or(b"", |r| r.as_str().as_bytes())
}

/// Another target than the first answered: its sessions count, and its trunk stands in the record.
pub(crate) fn moved(calls: &Calls, call: CallHandle, target: &Hop) {
    let counted = |key: Option<SessionKey>| key.map(Counted::of).unwrap_or_default();
    let unspecified = std::net::IpAddr::from([0, 0, 0, 0]);
    let to = CallStart {
        trunk_ref: text(&target.trunk),
        callee: counted((target.binding != 0).then(|| SessionKey::binding(target.binding))),
        trunk: counted(target.trunk.as_ref().map(|r| SessionKey::reference(r.as_str().as_bytes()))),
        ..CallStart::new(Recorded::Unknown, unspecified)
    };
    calls.assign(call, &to);
}

/// The first `Reason` lines of a message.
pub(crate) fn reason_lines<'a>(m: &Message<'a>) -> ReasonLines<'a> {
    let mut lines = ReasonLines::default();
    for (line, found) in lines.iter_mut().zip(m.header_lines(HeaderName::Reason)) {
        *line = found.value.of(m.bytes);
    }
    lines
}

/// The codec that the SDP of a message has.
fn codec<'a>(m: &Message<'a>) -> &'a [u8] {
    sdp_of(m).map_or(b"", codec_of)
}

/// Who answers a branch.
fn answerer(branch: &Branch<Hop>) -> Ender {
    if branch.target.carrier || branch.target.trunk { Ender::Carrier } else { Ender::Callee }
}

/// The caller and callee of a refused call, as far as the router has found them. A caller that did not show who it is
/// is whoever it says only in its From.
fn put_parties<'d>(decision: &'d Decision, start: &mut CallStart<'d>) {
    let parties = &decision.parties;
    let shown = !decision.source_refused && !matches!(decision.outcome, Outcome::Challenge { .. });
    start.direction = match decision.direction {
        None if parties.caller.kind == RoutedKind::Pstn => Recorded::FromPstn,
        direction => recorded(direction),
    };
    start.callee_ref = text(&parties.callee.reference);
    if shown {
        start.caller_ref = text(&parties.caller.reference);
        start.proof = proof(decision);
        start.is_strangers = is_strangers(decision);
    }
}

/// How the caller has shown who it is.
fn proof(decision: &Decision) -> CallerProof {
    match decision.parties.caller.reference.is_some() {
        true if decision.proven => CallerProof::Identity,
        true if decision.known => CallerProof::Address,
        _ => CallerProof::None,
    }
}

/// Does nobody know who calls: has the caller shown nothing, and is it no carrier?
fn is_strangers(decision: &Decision) -> bool {
    let carrier = PartyRef::caller(&decision.parties).kind == PartyKind::Trunk;
    !carrier && proof(decision) == CallerProof::None
}

impl Edge {
    /// An INVITE that begins a call is answered by us before it goes anywhere. A challenge is no refusal, unless the credentials
    /// were wrong.
    pub(crate) fn note_refused(&self, io: &mut Io<'_>, inbound: &Inbound<'_>, answer: &OwnAnswer<'_>) {
        let (m, calls) = (&inbound.message, &self.shared.calls);
        let Some(reason) = answer.reason.filter(|_| answer.code >= 300) else { return };
        let begins = inbound.method == Method::Invite && m.to_tag().is_empty();
        if !begins || reason.is_challenge() {
            return;
        }
        let now = io.unix_ms();
        let number = self.shared.keys.key(m, &inbound.via, Method::Invite).short();
        let headers = extensions(calls, Some(m));
        let mut start = CallStart {
            number,
            headers: &headers,
            ..CallStart::new(Recorded::Unknown, inbound.flow.remote.ip())
        };
        match inbound.decided {
            Some(decision) => put_parties(decision, &mut start),
            // Turned away before anybody asked who calls.
            None if self.looked_up(start.source, now) => start.proof = CallerProof::Address,
            None => {}
        }
        if !calls.sums_up_refused(start.proof, now) {
            (start.call_id, start.from_tag) = (m.call_id(), m.from_tag());
            start.from = m.from().map_or(b"", |from| from.uri);
            let named = called_uri(m, &self.shared.config.routing);
            (start.to, start.to_header) = called(m, named.as_ref(), &mut io.memory.text);
        }
        calls.refused(&start, answer.code, reason.code(), now);
    }

    /// The caller of this transaction cancels it.
    pub(crate) fn note_cancelled(&self, slot: Slot, cancel: &Message<'_>) {
        if let Some(call) = self.contexts.get(slot).and_then(|context| context.call) {
            self.shared.calls.cancelled(call, &reason_lines(cancel));
        }
    }

    /// A response of this branch goes back to the caller: what it does to the record of the call.
    pub(crate) fn note_response(
        &self,
        context: &Context,
        (fork, branch): (u8, &Branch<Hop>),
        ((code, reason), m): ((u16, Option<Reason>), Option<&Message<'_>>),
        now: u64,
    ) {
        let (Some(call), calls) = (context.call, &self.shared.calls) else { return };
        match code {
            ..180 => {}
            180..200 => {
                // Only what must arrive is an answer to the offer (RFC 3262 §5).
                let reliable = m.filter(|m| m.has_option(HeaderName::Require, "100rel"));
                calls.provisional(call, true, reliable.map_or(b"", codec), now);
            }
            200..300 => {
                if fork > 0 {
                    moved(calls, call, &branch.target.hop);
                }
                let (to_tag, codec) = m.map_or((&b""[..], &b""[..]), |m| (m.to_tag(), codec(m)));
                calls.answered(call, (to_tag, codec), now);
                // Without a Record-Route nobody tells us of its end: its record ends here.
                if matches!(context.dialog, DialogUse::None) {
                    calls.ended_as(call, Cause::Unknown, now);
                }
            }
            300.. => {
                let lines = m.map_or(ReasonLines::default(), reason_lines);
                let reason = reason.map_or("", Reason::code);
                let headers = &*extensions(calls, m);
                let by = answerer(branch);
                calls.failed(call, FailedWith { status: code, by, reason, lines, cause: None, headers }, now);
            }
        }
    }

    /// A transaction gets a final answer of ours, `reply` being the last one before it. It may stand for what a callee said.
    pub(crate) fn note_answered_locally(
        &self,
        context: &Context,
        (code, reason): (u16, Reason),
        (reply, now): (&Message<'_>, u64),
    ) {
        let calls = &self.shared.calls;
        if let Some(call) = context.call {
            let heard = context.proxy.branches().iter().rfind(|b| context.heard && b.code() >= 300);
            let by = heard.map_or(Ender::Exchange, answerer);
            let (by, cause) = match context.hung_up {
                true => (Ender::Exchange, Some(Cause::ManagerRequest)),
                false => (by, None),
            };
            let with = FailedWith { status: code, by, reason: reason.code(), cause, ..FailedWith::default() };
            calls.failed(call, with, now);
        } else if context.proxy.method() == Method::Invite && !context.tagged && code >= 300 {
            let start = CallStart {
                number: context.key.short(),
                call_id: reply.call_id(),
                from_tag: reply.from_tag(),
                from: reply.from().map_or(b"", |from| from.uri),
                to: reply.to().map_or(b"", |to| to.uri),
                proof: match context.caller.0 {
                    PartyKind::Stranger => CallerProof::None,
                    _ => CallerProof::Address,
                },
                is_strangers: context.caller.0 == PartyKind::Stranger,
                ..CallStart::new(Recorded::Unknown, context.from.remote.ip())
            };
            calls.refused(&start, code, reason.code(), now);
        }
    }
}

impl Shared {
    /// A BYE, or the answer to one of this side, has ended something in the dialog of this number: the relaying of its media,
    /// and the record with the last callee that took the call.
    pub(crate) fn hung_up(&self, m: &Message<'_>, (number, side): (u64, Side), ends: Ends, now: u64) {
        if ends == Ends::Nothing {
            return;
        }
        if ends == Ends::Call {
            let headers = extensions(&self.calls, Some(m));
            self.calls.ended_with(number, side, (&headers, now), |_| {});
        }
        if let (Some(relayed), false) = (&self.media, self.config.stateless) {
            relayed.hang_up(&of(m, number, side));
        }
    }
}
