//! Registrations: hostile Contacts and Paths, phones that move while they are in a call.

use super::bait::Bait;
use super::cast::Who;
use super::dialog::{End, Side, Stage};
use super::history::History;
use super::net::{Port, Sockets};
use super::request::Request;
use super::ruling::{Broken, Plan, Play, Ruling};
use super::twist::Twist;
use super::within::kind;

impl History<'_> {
    /// A phone registers what it must not; then somebody calls it.
    pub fn hostile_registration(&mut self) -> Play {
        let who = self.rng.pick(&[Who::Ann, Who::Bob, Who::Cleo]);
        let bait = Bait::forbidden(&mut self.rng);
        let (port, uri) = (Sockets::port(who), bait.uri(&self.lane.sockets));
        let path = self.rng.percent(30);
        self.table.count(
            kind(who),
            "REGISTER",
            format!("{} {}", if path { "path" } else { "contact" }, bait.name()),
        );
        self.lane.ladder.note(format!("{who:?} registers {uri}{}", if path { " as a Path" } else { "" }));
        let own = self.contact(who, port);
        let status = match path {
            true => self.register_with(who, port, &own, &format!("<{uri};lr>"))?,
            false => self.register(who, port, &uri)?,
        };
        // A phone behind a NAT is reached where it is, whatever its Contact says: there such a Contact does no harm.
        let mut place = self.place(who, who.user());
        place.or = Some(uri.clone()).filter(|_| !path && status < 300);
        // Where such a Path was taken the phone is beyond reach: its own fault.
        let ruling = if path && status < 300 { Ruling::May(place) } else { Ruling::Must(place) };
        self.message_from_tess(who, ruling)?;
        if status < 300 {
            self.unregister(who, port, if path { &own } else { &uri })?;
        }
        if path {
            self.register_again(who, port, &own)?;
        }
        Ok(())
    }

    /// Somebody else registers an agent's address of record for itself; then the agent is called.
    pub fn stolen_registration(&mut self) -> Play {
        let who = self.rng.pick(&[Who::Ann, Who::Bob, Who::Cleo, Who::Solo, Who::Free]);
        let (thief, login) = match self.rng.below(4) {
            0 => (Who::Third, None),
            1 => (Who::Third, who.login().map(|(user, _)| (user, "not-the-secret"))),
            2 => (Who::Third, Who::Tess.login()),
            _ => (Who::Tess, Who::Tess.login()),
        };
        let port = Sockets::port(thief);
        let contact = self.contact(thief, port);
        self.table.count(kind(thief), "REGISTER", "another's address of record");
        self.lane.ladder.note(format!("{thief:?} registers {} for itself", who.aor()));
        let more = [("Expires", "3600")];
        let status = self.register_as(who, login, (port, &contact), &more)?;
        if status < 300 {
            return Err(Broken(format!("{thief:?} has registered as {who:?}")));
        }
        let ruling = match who {
            Who::Solo => Ruling::Never,
            _ => Ruling::Must(self.place(who, who.user())),
        };
        self.message_from_tess(who, ruling).map(drop)
    }

    /// Somebody who sees no answer registers for one whom nobody asks, in the name of a carrier's or peer's address; then that one
    /// is called.
    pub fn forged_registration(&mut self) -> Play {
        let victim = self.rng.pick(&[Who::Carrier, Who::Listed, Who::Gate, Who::Pbx, Who::Cred]);
        let port = match self.rng.percent(50) && victim == Who::Carrier {
            true => Sockets::second(victim),
            false => Sockets::port(victim),
        };
        let at = self.lane.sockets.at(port);
        let private = "sip:+19005550000@10.0.0.1".to_owned();
        let contact = if self.rng.percent(50) { private } else { format!("sip:+19005550000@{at}") };
        self.table.count(kind(victim), "REGISTER", "in its name");
        self.lane.ladder.note(format!("in the name of {at} somebody registers {contact} for {:?}", Who::Lax));
        let status = self.register_for(Who::Lax, port, &contact, &[("Expires", "3600")])?;
        if status < 300 {
            return Err(Broken(format!("{victim:?} is taken for {:?}, which nothing shows", Who::Lax)));
        }
        self.message_from_tess(Who::Lax, Ruling::Must(self.place(Who::Lax, Who::Lax.user()))).map(drop)
    }

    /// A MESSAGE to somebody's address of record, from an agent who proves itself.
    pub fn message_from_tess(&mut self, who: Who, ruling: Ruling) -> Play<u16> {
        let call_id = self.lane.fresh();
        let request = Request {
            method: "MESSAGE".into(),
            uri: who.aor(),
            from: format!("<{}>;tag={call_id}", Who::Tess.aor()),
            to: format!("<{}>", who.aor()),
            call_id,
            cseq: 1,
            ..Request::default()
        };
        let port = Sockets::port(Who::Tess);
        let (_, challenge) = self.stay(port, request.clone())?;
        let Some((name, value)) = self.credentials(&request, &challenge, Who::Tess.login()) else {
            return Err(Broken(format!("no challenge: {}", challenge.start)));
        };
        let again = Request { cseq: 2, ..request }.with(name, value);
        Ok(self.lane.ask(port, again, ruling, Plan::status(200))?.1.status())
    }

    /// One of those who are in a call gets another address (another network, a restart), tells the registrar and the
    /// other side, and goes on.
    pub fn phone_moves(&mut self) -> Play {
        // A carrier goes on from another host of its network.
        let movable = |side: &Side| match side.who {
            Who::Ann | Who::Bob | Who::Cleo => side.known_as == Some(side.who),
            Who::Carrier => side.known_as.is_none() && !side.stranger && side.port == Sockets::port(side.who),
            _ => false,
        };
        let found = self.open.iter().position(|c| {
            c.method == "INVITE"
                && (movable(&c.caller) || movable(&c.callee))
                && !c.caller.doubtful
                && !c.callee.doubtful
                // Two accounts of one phone: where one registers the other is no more.
                && !(c.caller.who == c.callee.who && (c.caller.is_lodger() || c.callee.is_lodger()))
        });
        let Some(mut call) = found.map(|n| self.open.swap_remove(n)) else { return Ok(()) };
        let end = if movable(&call.caller) { End::Caller } else { End::Callee };
        let who = call.side(end).who;
        let (old, new) = (Sockets::port(who), Sockets::second(who));
        let (before, contact) = (self.contact(who, old), self.contact(who, new));
        self.table.count(kind(who), "moves", "in a call");
        self.lane.ladder.note(format!("{who:?} moves in {}", call.id));
        let registers = who != Who::Carrier;
        if registers {
            self.register_again(who, new, &contact)?;
            self.unregister(who, new, &before)?;
        }
        let mut request = call.request(end, "INVITE");
        request.contact = Some(contact.clone());
        let other = call.side(end.other()).clone();
        let place = other.place();
        let plan = Plan { status: 200, contact: Some(other.target.clone()), ..Plan::default() };
        let (tx, _) = self.lane.ask(new, request, Ruling::Must(place.clone()), plan)?;
        let ack = Request { method: "ACK".into(), contact: None, ..tx.request };
        self.lane.tell(new, ack, Ruling::Must(place))?;
        let side = call.side_mut(end);
        (side.port, side.target) = (new, contact.clone());
        if !side.behind {
            side.at = vec![new];
        }
        self.request_within(&mut call, end.other(), "INFO", Twist::Honest)?;
        let bye = if self.rng.percent(50) { end } else { end.other() };
        self.request_within(&mut call, bye, "BYE", Twist::Honest)?;
        call.stage = Stage::Over;
        if !registers {
            return Ok(());
        }
        self.register_again(who, old, &before)?;
        self.unregister(who, old, &contact)
    }

    /// A REGISTER that has to be accepted.
    pub fn register_again(&mut self, who: Who, port: Port, contact: &str) -> Play {
        match self.register(who, port, contact)? {
            200 => Ok(()),
            status => Err(Broken(format!("{who:?} cannot register {contact}: {status}"))),
        }
    }

    fn unregister(&mut self, who: Who, port: Port, contact: &str) -> Play {
        let status = self.register_for(who, port, contact, &[("Expires", "0")])?;
        match status {
            200 => Ok(()),
            _ => Err(Broken(format!("{who:?} cannot take {contact} back: {status}"))),
        }
    }

    fn register_with(&mut self, who: Who, port: Port, contact: &str, path: &str) -> Play<u16> {
        self.register_for(who, port, contact, &[("Expires", "3600"), ("Path", path), ("Supported", "path")])
    }
}
