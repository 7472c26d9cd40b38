//! Calls that ring: what may be said before the answer, and who may take the call back.

use super::cast::Who;
use super::dialog::{Call, End, Stage};
use super::history::History;
use super::net::{Port, Sockets};
use super::request::Request;
use super::ruling::{Plan, Play, Ruling};
use super::twist::Twist;
use super::within::kind;

impl History<'_> {
    /// From the 180 on.
    pub fn ringing(&mut self, mut call: Call, plan: Plan) -> Play {
        for _ in 0..self.rng.below(3) {
            match self.rng.below(5) {
                4 => self.forked(&call)?,
                0 => self.forged_cancel(&call)?,
                1 => self.request_within(&mut call, End::Caller, "PRACK", Twist::Honest)?,
                2 => self.request_within(&mut call, End::Callee, "UPDATE", Twist::Honest)?,
                _ => {
                    let bait = super::bait::Bait::any(&mut self.rng);
                    self.request_within(&mut call, End::Caller, "INFO", Twist::Target(bait))?;
                }
            }
        }
        let first = call.first.clone();
        // Without transactions a CANCEL is routed as its INVITE was, and says neither what number that was to call from nor, with
        // a digest, whose name was withheld.
        let said = |name: &str| first.request.more.iter().any(|(said, _)| said == name);
        let lost = self.lane.shape.stateless
            && (said("X-DOD-Number") || first.request.from.contains("anonymous.invalid"));
        match self.rng.below(4) {
            0 if !lost => self.cancel(&call),
            1 => {
                self.table.count(kind(call.caller.who), "INVITE", "rings, refused");
                self.lane.respond_later(&first, Plan { status: 486, ..plan })?;
                self.lane.answer(&first, 200).map(drop)
            }
            _ => {
                self.lane.respond_later(&first, Plan { status: 200, ..plan })?;
                self.lane.answer(&first, 200)?;
                call.stage = Stage::Up;
                self.acknowledge(&mut call, &first)?;
                self.open.push(call);
                Ok(())
            }
        }
    }

    fn cancel_of(call: &Call) -> Request {
        Request { method: "CANCEL".into(), contact: None, more: Vec::new(), ..call.first.request.clone() }
    }

    /// The caller thinks better of it.
    fn cancel(&mut self, call: &Call) -> Play {
        self.table.count(kind(call.caller.who), "CANCEL", "own");
        self.lane.allow_cancel(&call.id);
        if self.has_another_host(call) && self.rng.percent(50) {
            self.cancel_from(Sockets::second(call.caller.who), call);
        } else {
            self.lane.ladder.note(format!("the caller of {} cancels", call.id));
            self.lane.send_on(call.first.port, &Self::cancel_of(call), &call.first.branch);
        }
        let answer = self.lane.answer(&call.first, 200)?;
        match answer.status() {
            487 => Ok(()),
            _ => Err(super::ruling::Broken(format!("a call that was taken back ended in {}", answer.start))),
        }
    }

    /// Is the caller a carrier that may speak from any host of its list? Without transactions it stays where it is.
    fn has_another_host(&self, call: &Call) -> bool {
        let caller = &call.caller;
        caller.who == Who::Carrier
            && caller.known_as.is_none()
            && !caller.stranger
            && !self.lane.shape.stateless
    }

    /// The caller's CANCEL, letter for letter, from somebody's socket.
    fn cancel_from(&mut self, port: Port, call: &Call) {
        self.lane.ladder.note(format!("from {:?} {} is cancelled", self.lane.sockets.at(port), call.id));
        let cancel = Self::cancel_of(call);
        let (at, tcp) = (self.lane.sockets.shown(call.first.port), self.lane.sockets.is_tcp(call.first.port));
        let bytes = cancel.bytes(at, tcp, &call.first.branch, "");
        self.lane.send_raw(port, &bytes, &call.first.branch);
    }

    /// Somebody else would have it taken back: a third party, or a carrier or peer whose call it is not.
    fn forged_cancel(&mut self, call: &Call) -> Play {
        let third = if call.caller.who == Who::Third { Who::Stranger } else { Who::Third };
        let other = self.rng.pick(&[third, third, Who::Carrier, Who::Listed]);
        let own = [Some(call.caller.who), call.caller.known_as].contains(&Some(other));
        let other = if own { third } else { other };
        self.table.count(kind(other), "CANCEL", "of another's call");
        let port = if other == Who::Carrier { Sockets::second(other) } else { Sockets::port(other) };
        self.cancel_from(port, call);
        self.lane.mark(port)?;
        // Were it taken, the callee's 487 would be on its way by the time the next thing is answered.
        self.lane.mark(call.callee.port)
    }

    /// A target refresh: to another port of one's own, to a host that is nobody's, to one that the party is not.
    pub fn refresh(&mut self, call: &mut Call, end: End) -> Play {
        use super::bait::Bait;
        let me = call.side(end).clone();
        let bait = Bait::forbidden(&mut self.rng);
        let second = Sockets::second(me.who);
        let moved = me.who.user().to_owned() + "@" + &self.lane.sockets.at(second).to_string();
        let (contact, allowed) = match self.rng.percent(50) && !self.lane.sockets.is_tcp(me.port) {
            true => (format!("sip:{moved}"), true),
            false => (bait.uri(&self.lane.sockets), false),
        };
        if allowed && me.who.is_on_a_list() && me.known_as != Some(me.who) {
            return Ok(());
        }
        let method = self.rng.pick(&["INVITE", "UPDATE"]);
        let mut request = call.request(end, method);
        request.contact = Some(contact.clone());
        let other = call.side(end.other());
        if !allowed && other.who == Who::Listed {
            // It is asked for nothing: what it sends to such a Contact, by a user of ours, may begin something.
            return Ok(());
        }
        let place = other.place();
        let ruling = match allowed && !other.doubtful {
            true => Ruling::Must(place.clone()),
            false => Ruling::May(place.clone()),
        };
        let what = if allowed { "refresh to itself".into() } else { format!("refresh to {}", bait.name()) };
        self.table.count(kind(me.who), format!("in {method}"), what);
        self.lane.ladder.note(format!("{end:?} of {}: {method} with Contact {contact}", call.id));
        let plan = Plan { status: 200, contact: Some(other.target.clone()), ..Plan::default() };
        let (tx, answer) = self.lane.ask(me.port, request, ruling, plan)?;
        let arrived = !self.lane.arrivals(&tx).is_empty();
        if method == "INVITE" && arrived && answer.status() < 300 {
            let ack = Request { method: "ACK".into(), contact: None, ..tx.request.clone() };
            self.lane.tell(me.port, ack, Ruling::Must(place))?;
        }
        let side = call.side_mut(end);
        match (arrived, allowed) {
            (true, true) => {
                side.target = contact;
                side.refreshed = true;
                // Where another account of the phone is registered, that one alone is reached.
                side.doubtful |= me.is_lodger();
                if !side.behind {
                    side.at = vec![second, me.port];
                }
            }
            // Whoever was told of it may use it, but it leads nowhere but to its owner.
            (true, false) => {
                side.target = contact;
                side.refreshed = true;
                side.doubtful = true;
            }
            (false, _) => {}
        }
        Ok(())
    }
}
