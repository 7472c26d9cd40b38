//! Calls as the edge tells of them: every INVITE that begins a dialog is one, from the moment it goes out.

use trunkline_calls::{
    CallHandle, CallStart, Calls, Cause, Counted, Direction as Recorded, Ends, SessionKey,
};
use trunkline_model::Ref;
use trunkline_proxy::Side;
use trunkline_routing::{Direction, Options, Target, called_uri, put_called};
use trunkline_sip::Message;

use crate::aims::Rung;
use crate::context::Hop;
use crate::inbound::Inbound;
use crate::media::of;
use crate::shared::Shared;

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

/// Who is called, written into `text`: what decides where the call goes, not what To says. With it To, where that is somebody
/// else.
pub(crate) fn called<'t>(m: &Message<'_>, options: &Options, text: &'t mut Vec<u8>) -> (&'t [u8], &'t [u8]) {
    text.clear();
    let named = called_uri(m, options);
    match &named {
        Some(uri) => put_called(uri, text),
        None => text.extend_from_slice(m.uri_text()),
    }
    let end = text.len();
    match m.to().map(|to| to.parsed_uri()) {
        Ok(Ok(uri)) if named == Some(uri) => return (text, b""),
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

/// A call of this number begins with this INVITE, to this target first.
pub(crate) fn begin(
    calls: &Calls,
    inbound: &Inbound<'_>,
    (rung, target): (Rung<'_>, &Target),
    (number, (to, to_header)): (u64, (&[u8], &[u8])),
    now: u64,
) -> Option<CallHandle> {
    let m = &inbound.message;
    let (decision, parties) = (rung.decision, &rung.decision.parties);
    let from = m.from().ok()?.uri;
    let counted = |key: Option<SessionKey>| Counted { key, limit: None };
    let by_ref = |r: &Option<Ref>| r.as_ref().map(|r| SessionKey::reference(r.as_str().as_bytes()));
    let start = CallStart {
        number,
        call_id: m.call_id(),
        from_tag: m.from_tag(),
        from,
        to,
        to_header,
        direction: recorded(decision.direction),
        caller_ref: text(&parties.caller.reference),
        callee_ref: text(&parties.callee.reference),
        trunk_ref: text(&target.trunk),
        source: inbound.flow.remote.ip(),
        caller: counted(by_ref(&parties.caller.reference)),
        callee: counted((target.binding_id != 0).then(|| SessionKey::binding(target.binding_id))),
        trunk: counted(by_ref(&target.trunk)),
    };
    let call = calls.start(&start, now).ok()?;
    divert(calls, call, rung);
    Some(call)
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
    let counted = |key: Option<SessionKey>| Counted { key, limit: None };
    let unspecified = std::net::IpAddr::from([0, 0, 0, 0]);
    let to = CallStart {
        trunk_ref: text(&target.trunk),
        callee: counted((target.binding != 0).then(|| SessionKey::binding(target.binding))),
        trunk: counted(target.trunk.as_ref().map(|r| SessionKey::reference(r.as_str().as_bytes()))),
        ..CallStart::new(Recorded::Unknown, unspecified)
    };
    calls.assign(call, &to);
}

impl Shared {
    /// A BYE, or the answer to one of this side, has ended something in the dialog of this number: the relaying of its media,
    /// and the record with the last callee that took the call.
    pub(crate) fn hung_up(&self, m: &Message<'_>, (number, side): (u64, Side), ends: Ends, now: u64) {
        if ends == Ends::Nothing {
            return;
        }
        if ends == Ends::Call {
            self.calls.ended(number, Cause::NormalClearing, now);
        }
        if let (Some(relayed), false) = (&self.media, self.config.stateless) {
            relayed.hang_up(&of(m, number, side));
        }
    }
}
