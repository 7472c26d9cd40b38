//! One history: dialogs begun, honestly and not, and what is done within them.

use trunkline_tests::{Challenge, Message};

use std::time::{Duration, Instant};

use super::cast::{HEAD, Kind, Who};
use super::dialog::{Call, End};
use super::lane::Lane;
use super::net::{Port, Sockets, fresh_ip};
use super::oracle::Claim;
use super::request::Request;
use super::rng::Rng;
use super::ruling::{Place, Plan, Play, Ruling};
use super::table::Table;
use super::twist::Twist;

/// One history in so many has a restart in it.
const RESTART_EVERY: u64 = 500;
/// In one history in so many the operator deletes somebody.
const DELETION_EVERY: u64 = 60;

/// What a history has at hand.
pub struct History<'a> {
    pub lane: &'a mut Lane,
    pub rng: Rng,
    pub table: &'a mut Table,
    pub open: Vec<Call>,
    /// Was somebody deleted, and made anew?
    pub deleted: bool,
}

/// A phone behind a NAT is registered for 60 seconds at most, so that it keeps the NAT open.
const NAT_REFRESH: Duration = Duration::from_secs(25);

/// Registers every agent, each at its own address.
pub fn register_all(lane: &mut Lane) -> Play {
    register(lane, &Who::AGENTS, u64::MAX)
}

/// Registers these, by names of their own.
fn register(lane: &mut Lane, agents: &[Who], names: u64) -> Play {
    lane.begin(names);
    lane.registered = Instant::now();
    let mut table = Table::default();
    let mut history = History { lane, rng: Rng::new(0), table: &mut table, open: Vec::new(), deleted: false };
    for who in agents {
        let contact = history.contact(*who, Sockets::port(*who));
        history.register_again(*who, Sockets::port(*who), &contact)?;
    }
    Ok(())
}

impl History<'_> {
    /// Plays the history of this seed.
    pub fn play(lane: &mut Lane, table: &mut Table, seed: u64) -> Play {
        if lane.registered.elapsed() > NAT_REFRESH {
            register(lane, &[Who::Nat], !seed)?;
        }
        lane.begin(seed);
        lane.sockets.renew(Who::Stranger, fresh_ip(seed.wrapping_mul(2)));
        lane.sockets.renew(Who::Third, fresh_ip(seed.wrapping_mul(2) + 1));
        let mut history = History { lane, rng: Rng::new(seed), table, open: Vec::new(), deleted: false };
        let steps = 6 + history.rng.below(14);
        for step in 0..steps {
            if step == 8 && seed.is_multiple_of(RESTART_EVERY) {
                history.restart()?;
            }
            if step >= 5 && seed % DELETION_EVERY == 7 && !history.deleted {
                history.delete_somebody()?;
            }
            match history.rng.below(40) {
                0 if history.rng.percent(50) => history.forged_registration()?,
                0 => history.hostile_registration()?,
                1 => history.phone_moves()?,
                2 => history.stolen_registration()?,
                3..17 => history.first()?,
                _ if history.open.is_empty() => history.first()?,
                _ => history.within()?,
            }
        }
        // By a generator of its own: what went before stays as it is.
        let mut rng = Rng::new(!seed);
        if rng.percent(25) {
            history.challenge_inside(&mut rng)?;
        }
        while let Some(call) = history.open.pop() {
            history.close(call)?;
        }
        Ok(())
    }

    /// The exchange ends and starts again. Dialogs go on by what phones send; those over connections are gone with them,
    /// and targets that changed meanwhile are forgotten.
    fn restart(&mut self) -> Play {
        self.table.count("exchange", "restarts", "");
        self.lane.ladder.note("the exchange restarts".to_owned());
        self.lane.restart()?;
        self.open.retain(|c| [&c.caller, &c.callee].iter().all(|s| !s.who.is_tcp() && !s.refreshed));
        for who in Who::AGENTS.into_iter().filter(|who| who.is_tcp()) {
            let contact = self.contact(who, Sockets::port(who));
            self.register_again(who, Sockets::port(who), &contact)?;
        }
        // Nothing is remembered of it: its mark alone says which dialog it is.
        if let Some(n) = self.open.iter().position(|call| call.method == "INVITE") {
            let mut call = self.open.remove(n);
            self.request_within(&mut call, End::Caller, "INFO", Twist::ToTag)?;
            self.open.insert(n, call);
        }
        Ok(())
    }

    /// The Contact a party shows on a socket.
    pub fn contact(&self, who: Who, port: Port) -> String {
        let at = self.lane.sockets.at(port);
        match who {
            Who::Nat => format!("sip:{}@{}", who.user(), self.lane.sockets.shown(port)),
            // Nobody reaches it but its proxy.
            Who::Pat => format!("sip:{}@10.9.8.5:5060", who.user()),
            _ if self.lane.sockets.is_tcp(port) => format!("sip:{}@{at};transport=tcp", who.user()),
            _ => format!("sip:{}@{at}", who.user()),
        }
    }

    /// The route to the proxy that a party is behind, which speaks for it on its socket.
    pub fn proxy_of(&self, who: Who) -> Option<String> {
        (who == Who::Pat).then(|| format!("<sip:{};lr>", self.lane.sockets.address(who)))
    }

    /// Where a first request for this party arrives when its user was called by `dialled`.
    pub fn place(&self, who: Who, dialled: &str) -> Place {
        let port = Sockets::port(who);
        let at = self.lane.sockets.at(port);
        match who.kind() {
            Kind::Agent => Place::only(port, self.contact(who, port)),
            Kind::Peer | Kind::Trunk | Kind::Outside => Place::only(port, format!("sip:{dialled}@{at}")),
        }
    }

    pub fn ruling(&self, goes: super::oracle::Goes, dialled: &str) -> Ruling {
        use super::oracle::Goes;
        match goes {
            Goes::To(who) => Ruling::Must(self.place(who, dialled)),
            Goes::Perhaps(who) => Ruling::May(self.place(who, dialled)),
            Goes::Nowhere => Ruling::Never,
        }
    }

    /// A REGISTER of this Contact with the right secret; the status it ends with.
    pub fn register(&mut self, who: Who, port: Port, contact: &str) -> Play<u16> {
        let path = self.proxy_of(who).unwrap_or_default();
        let more = [("Expires", "3600"), ("Path", path.as_str()), ("Supported", "path")];
        self.register_for(who, port, contact, if path.is_empty() { &more[..1] } else { &more })
    }

    /// The same with other headers.
    pub fn register_for(&mut self, who: Who, port: Port, contact: &str, more: &[(&str, &str)]) -> Play<u16> {
        self.register_as(who, who.login(), (port, contact), more)
    }

    /// The same with somebody's credentials.
    pub fn register_as(
        &mut self,
        who: Who,
        login: Option<(&str, &str)>,
        (port, contact): (Port, &str),
        more: &[(&str, &str)],
    ) -> Play<u16> {
        let call_id = self.lane.fresh();
        let request = Request {
            method: "REGISTER".into(),
            uri: format!("sip:{}", who.host()),
            from: format!("<{}>;tag={call_id}", who.aor()),
            to: format!("<{}>", who.aor()),
            call_id,
            cseq: 1,
            contact: Some(contact.to_owned()),
            more: more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            ..Request::default()
        };
        let (_, answer) = self.stay(port, request.clone())?;
        match self.credentials(&request, &answer, login) {
            Some(line) => {
                Ok(self.stay(port, Request { cseq: 2, ..request }.with(line.0, line.1))?.1.status())
            }
            None => Ok(answer.status()),
        }
    }

    /// Asks what only the exchange itself answers.
    pub fn stay(&mut self, port: Port, request: Request) -> Play<(super::lane::Tx, Message)> {
        let tx = self.lane.send(port, request, Ruling::Never, Plan::default());
        let answer = self.lane.answer(&tx, 200)?;
        Ok((tx, answer))
    }

    /// The header that answers a challenge, if there is one.
    pub fn credentials(
        &mut self,
        request: &Request,
        challenge: &Message,
        login: Option<(&str, &str)>,
    ) -> Option<(&'static str, String)> {
        let (ask, name) = match challenge.status() {
            401 => ("WWW-Authenticate", "Authorization"),
            407 => ("Proxy-Authenticate", "Proxy-Authorization"),
            _ => return None,
        };
        let challenge = challenge.all(ask).find_map(Challenge::parse)?;
        let (user, secret) = login?;
        let cnonce = format!("{:x}", self.rng.bits());
        Some((name, challenge.answer_with(user, secret, &request.method, &request.uri, 1, &cnonce)))
    }

    /// What stands in From, without a tag.
    pub fn from(&self, claim: Claim) -> String {
        match claim {
            Claim::Is(who) => format!("<{}>", who.aor()),
            Claim::NoSuchUser => format!("<sip:7777@{HEAD}>"),
            Claim::Anonymous => "\"Anonymous\" <sip:anonymous@anonymous.invalid>".to_owned(),
        }
    }
}
