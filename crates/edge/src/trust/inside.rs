//! Requests inside dialogs: who may send what, and where it may go. A mark leads to the remote target of its dialog and
//! nowhere else, while the dialog lives, and from an agent that is where it is known to be.

use std::net::{Ipv4Addr, SocketAddr};

use trunkline_calls::{Answered, Ended, Ends, Moved, Refresh, Standing};
use trunkline_proxy::{Holder, PartyKind, Seen, Way};
use trunkline_reasons::Reason;
use trunkline_sip::{Message, Method, Uri};
use trunkline_transport::Egress;

use super::Word;
use super::events::{event_of, expires};
use super::marks::{contact_of, port_of};
use super::senders::{Refused, Sender};
use crate::calls;
use crate::edge::Edge;
use crate::hang_up::contact;
use crate::inbound::Inbound;
use crate::mail::Io;
use crate::routes::Dialog;

impl Edge {
    /// Judges a request inside a dialog. The way to the other side, and who sent it; `None` when the request was answered. The
    /// dialog does not change yet.
    pub(crate) fn judge_inside(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        target: &Uri<'_>,
        dialogs: (&Dialog, &[Dialog]),
    ) -> Option<(Way, Sender)> {
        match self.examine(io, inbound, target, dialogs) {
            Ok(judged) => return Some(judged),
            Err(Refused::NoDialog(reason)) => {
                self.counters.outside_dialogs.add();
                self.refuse(io, inbound, reason);
            }
            Err(Refused::Forbidden(reason)) => self.refuse(io, inbound, reason),
            Err(Refused::Answered) => {}
        }
        None
    }

    fn examine(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        target: &Uri<'_>,
        (dialog, inner): (&Dialog, &[Dialog]),
    ) -> Result<(Way, Sender), Refused> {
        let now = io.unix_ms();
        let judge = |dialog: &Dialog| {
            let standing = self.shared.dialogs.look(dialog.place, &dialog.mark, inbound.method, now);
            let standing = standing.map_err(|Ended| Refused::NoDialog(Reason::DialogEnded))?;
            let way = self.way_in(target, dialog, &standing);
            Ok((way.ok_or(Refused::NoDialog(Reason::DialogOtherTarget))?, standing))
        };
        let (mut way, standing) = judge(dialog)?;
        let mut before = dialog;
        for lap in inner {
            // A call that comes back is that of who made it, or of whom it went to. Any other mark is another dialog's, which
            // somebody has seen and put there.
            let holder = named(lap.mark.holder.kind, lap.mark.holder.party);
            let first = named(dialog.mark.holder.kind, dialog.mark.holder.party);
            let sent_on_by = named(before.mark.way.kind, before.mark.way.party);
            if holder.is_none() || holder != first && holder != sent_on_by {
                return Err(Refused::NoDialog(Reason::DialogForeignMark));
            }
            // Of the further laps of a spiral the last one knows the way.
            (way, _) = judge(lap)?;
            before = lap;
        }
        let sender = self.identify_sender(io, inbound, dialog, &standing)?;
        Ok((way, sender))
    }

    /// The request goes on: its dialogs count it. False: they have no room for it, or have just ended.
    pub(crate) fn enter_dialogs(
        &self,
        io: &Io<'_>,
        inbound: &Inbound<'_>,
        (dialog, inner): (&Dialog, &[Dialog]),
        sender: Sender,
    ) -> bool {
        let (dialogs, now) = (&self.shared.dialogs, io.unix_ms());
        let what = (inbound.method, sender != Sender::Unknown);
        let mut all = std::iter::once(dialog).chain(inner);
        if all.any(|d| dialogs.enter(d.place, &d.mark, what, now).is_err()) {
            return false;
        }
        if sender == Sender::Proven {
            let here = self.shared.secret.source(inbound.flow.transport, inbound.flow.remote);
            dialogs.proven(dialog.place, dialog.from, here);
        }
        true
    }

    /// The way to the remote target that was recorded last, if the Request-URI names it (RFC 3261 §19.1.4).
    fn way_in(&self, target: &Uri<'_>, dialog: &Dialog, standing: &Standing) -> Option<Way> {
        let named = self.shared.secret.target(target);
        let way = dialog.mark.way;
        let at = match standing.moved {
            Some(moved) => {
                Way { seen: moved.seen, target: moved.target, flow: moved.flow.unwrap_or(way.flow), ..way }
            }
            None => way,
        };
        if named == at.target {
            // What is accepted goes before what is under way, which may be refused.
            return Some(at);
        }
        if named == way.target && way.flow.is_some() && at.flow == way.flow {
            // The first one, of clients that do not read the Contact of a 2xx to their re-INVITE, as JsSIP: the party is at the end
            // of the same flow still, and a 481 would end the call.
            return Some(way);
        }
        let moving = standing.moving.filter(|m| m.target == named)?;
        Some(Way { seen: moving.seen, target: moving.target, flow: moving.flow.unwrap_or(at.flow), ..at })
    }

    /// A BYE has no way to the other side, and nobody answers it: who hangs up has hung up, whether that side hears of it or
    /// not.
    pub(crate) fn note_unheard(&self, m: &Message<'_>, (dialog, inner): (&Dialog, &[Dialog]), now: u64) {
        let answered =
            Answered { method: Method::Bye, status: 408, cseq: m.cseq(), contact: None, expires: None };
        for dialog in std::iter::once(dialog).chain(inner) {
            let Dialog { place, from: side, .. } = *dialog;
            let ends = self.shared.dialogs.answered(place, side, &answered, now);
            self.shared.hung_up(m, (place.number, side), ends, now);
        }
    }

    /// What the request does to its dialog once it goes on.
    pub(crate) fn note_request(
        &self,
        io: &Io<'_>,
        inbound: &Inbound<'_>,
        (dialog, inner): (&Dialog, &[Dialog]),
        sender: Sender,
    ) {
        let m = &inbound.message;
        let (shared, now) = (&self.shared, io.unix_ms());
        let all = || std::iter::once(dialog).chain(inner);
        let listens = shared.config.media_timeout_seconds > 0 && sender != Sender::Unknown;
        if let Some(relayed) = shared.media.as_ref().filter(|_| listens) {
            relayed.silence.heard(dialog.place.number, m, now);
        }
        if matches!(inbound.method, Method::Invite | Method::Update)
            && sender != Sender::Unknown
            && let Some(contact) = contact(m)
        {
            shared.calls.asks_to_move(dialog.place.number, dialog.from, (m.cseq(), contact));
        }
        if inbound.method == Method::Bye {
            for dialog in all() {
                let Dialog { place, from: side, .. } = *dialog;
                let ends = shared.dialogs.leaving(place, side, now);
                if ends == Ends::Nothing {
                    shared.calls.leaving(place.number, side, &calls::reason_lines(m));
                }
                shared.hung_up(m, (place.number, side), ends, now);
            }
        }
        // Target refresh requests, RFC 3261 §12.2, RFC 3311 §5.1, RFC 6665 §4.1.2.
        let refreshes = matches!(
            inbound.method,
            Method::Invite | Method::Update | Method::Subscribe | Method::Notify | Method::Refer
        );
        let known = refreshes && sender != Sender::Unknown;
        let contact = if known { contact_of(m) } else { None };
        let moved = contact.map(|contact| {
            let Holder { kind, party, .. } = dialog.mark.holder;
            let proven = matches!(sender, Sender::Shown | Sender::Proven);
            let shown = shared.is_shown(&Egress::back(inbound.flow), (kind, party), proven);
            let flow = self.caller_flow(inbound, Some(&contact)).filter(|_| shown);
            shared.moved(&contact, inbound.flow.remote, (Some(flow), shown))
        });
        if moved.is_none() && !matches!(inbound.method, Method::Subscribe | Method::Notify) {
            return;
        }
        let expires = if inbound.method == Method::Notify { notified_for(m) } else { expires(m) };
        let (method, cseq, event) = (inbound.method, m.cseq(), event_of(m, inbound.method));
        let refresh = Refresh { method, cseq, event, expires, moved };
        shared.dialogs.refreshing(dialog.place, dialog.from, refresh, now);
        for dialog in inner {
            // There the side is reached as it was.
            let moved = moved.map(|moved| Moved { flow: None, ..moved });
            shared.dialogs.refreshing(dialog.place, dialog.from, Refresh { moved, ..refresh }, now);
        }
    }
}

/// An agent, peer or trunk; nobody knows one stranger from another.
fn named(kind: PartyKind, party: u32) -> Option<(PartyKind, u32)> {
    (kind != PartyKind::Stranger && party != 0).then_some((kind, party))
}

/// How long a NOTIFY says that its subscription lives, in seconds, 0 for one that ends (RFC 6665 §4.1.3).
fn notified_for(m: &Message<'_>) -> Option<u32> {
    let value = m.other_header("Subscription-State")?;
    let end = value.iter().position(|b| *b == b';').unwrap_or(value.len());
    let (state, params) = value.split_at(end);
    if state.trim_ascii().eq_ignore_ascii_case(b"terminated") {
        return Some(0);
    }
    let expires = trunkline_sip::Params::new(params).get("expires").flatten()?;
    trunkline_sip::seconds(expires).filter(|seconds| *seconds > 0)
}

impl Edge {
    /// By whose word a request inside the dialog goes to its remote target.
    pub(crate) fn word_of(&self, way: &Way, target: &Uri<'_>) -> Word {
        let at = |port: u16| target.ip().map(|ip| SocketAddr::new(ip, port));
        let seen_at = match (&way.flow, way.seen) {
            (Some(flow), _) => Some(flow.remote),
            (None, Seen::AtTarget) => at(port_of(target)),
            (None, Seen::AtHost) => at(0),
            (None, Seen::OnLoopback) => Some((Ipv4Addr::LOCALHOST, 0).into()),
            (None, Seen::Elsewhere | Seen::Inside) => None,
        };
        let inside = way.seen == Seen::Inside;
        Word { kind: way.kind, party: way.party, seen_at, inside, source: way.source }
    }
}
