//! First requests: who calls whom, by which name, with which proof.

use trunkline_tests::{Message, reference};

use super::bait::Bait;
use super::cast::{Kind, Who};
use super::dialog::{Call, End, Stage};
use super::history::History;
use super::lane::Tx;
use super::net::{Port, Sockets};
use super::oracle::{
    Claim, First, Goes, Proof, Target, first, is_believed, is_stranger, is_unshown, taken_for,
};
use super::records::Answered;
use super::referral::{Named, is_shown};
use super::request::Request;
use super::ruling::{Broken, Plan, Play, Ruling};
use super::serve::SAID;
use super::within::kind;
use super::world::number_of;

/// How the request itself is twisted, apart from who sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Twist {
    None,
    /// Host in capitals, an escaped digit.
    Spelled,
    /// The same in From.
    FromSpelled,
    /// A telephone number with separators, escapes, or parameters that would choose a route; what leaves has one form.
    Number(u8),
    /// To names somebody else, which says nothing.
    OtherTo,
    /// A Route of our own, as a phone with an outbound proxy sends it.
    OwnRoute,
    /// A Route to somewhere else, before or after ours.
    Route(Bait),
    Maddr(Who),
    /// A Contact the caller may not have.
    Contact(Bait),
    /// A Record-Route of its own other port, as if it stood behind a proxy of its own.
    OwnProxy,
    /// A Record-Route as if it came through there.
    RecordRoute(Bait),
    /// It came through another exchange of this make, whose Via looks like ours.
    OtherVia,
}

impl History<'_> {
    /// Begins a dialog, or tries to.
    pub fn first(&mut self) -> Play {
        let method = self.rng.pick(&[
            "INVITE",
            "INVITE",
            "INVITE",
            "INVITE",
            "INVITE",
            "INVITE",
            "SUBSCRIBE",
            "REFER",
            "MESSAGE",
            "OPTIONS",
            "PUBLISH",
        ]);
        let (facts, port) = self.draw(method);
        let (uri, dialled) = self.uri(facts.target);
        let twist = self.twist(facts.claim, facts.target);
        // Without transactions two calls of the same names are one.
        let may_share = method == "INVITE" && !self.lane.shape.stateless;
        let in_use = if may_share && self.rng.percent(8) { self.name_in_use() } else { None };
        let again = in_use.is_some();
        let call_id = in_use.unwrap_or_else(|| self.lane.fresh());
        let who = self.lane.sockets.who(port);
        let mut request = Request {
            method: method.into(),
            from: format!("{};tag=f{call_id}", self.from(facts.claim)),
            to: format!("<{uri}>"),
            uri,
            call_id,
            cseq: 1,
            contact: Some(self.contact(who, port)),
            ..Request::default()
        };
        match method {
            "SUBSCRIBE" => request = request.with("Event", "presence").with("Expires", "600"),
            "REFER" => request = request.with("Refer-To", "<sip:1003@head.test>"),
            "PUBLISH" => request = request.with("Event", "presence"),
            _ => {}
        }
        if let Target::Through(_, trunk) = facts.target {
            request = request.with("X-DOD-Number", number_of(trunk));
        }
        // Credentials are seen in an earlier request of the same making.
        if self.rng.percent(25) && facts.proof != Proof::Repeated {
            request = request.with("P-Asserted-Identity", format!("<sip:+19005550000@{SAID}>"));
        }
        let certain = self.apply(twist, &mut request);
        let proxy = self.proxy_of(who);
        request.more.extend(proxy.clone().map(|route| ("Record-Route".into(), route)));
        let has_ports = !who.is_on_a_list() || taken_for(&facts) == Some(who);
        if twist == Twist::OwnProxy && proxy.is_none() && has_ports && !who.is_tcp() && who != Who::Nat {
            let second = self.lane.sockets.at(Sockets::second(who));
            request.more.push(("Record-Route".into(), format!("<sip:{second};lr>")));
        }
        self.lane.ladder.note(format!("{facts:?} from {who:?}, {twist:?}"));
        self.table.count(kind_of(facts.claim), method, variant(&facts, who, twist));
        if again {
            self.table.count(kind_of(facts.claim), method, "under names in use");
        }
        self.table.begun += 1;
        let goes = |proof| {
            let ruling = self.ruling(first(&First { proof, ..facts }), &dialled);
            if certain { ruling } else { soften(ruling) }
        };
        let (bare, proven) = (goes(Proof::Absent), goes(facts.proof));
        if bare != Ruling::Never {
            return self.conduct(port, request, bare, &First { proof: Proof::Absent, ..facts });
        }
        let (_, answer) = self.lane.ask(port, request.clone(), Ruling::Never, Plan::default())?;
        if facts.proof == Proof::Absent {
            return Ok(());
        }
        let Some((name, value)) = self.prove(port, &request, &answer, &facts)? else {
            return match proven {
                Ruling::Must(_) => {
                    Err(Broken(format!("{} {} was not asked for a proof", request.method, request.uri)))
                }
                _ => Ok(()),
            };
        };
        let again = Request { cseq: 2, ..request }.with(name, value);
        match proven {
            Ruling::Never => self.lane.ask(port, again, Ruling::Never, Plan::default()).map(drop),
            ruling => self.conduct(port, again, ruling, &facts),
        }
    }

    fn twist(&mut self, claim: Claim, target: Target) -> Twist {
        let known = matches!(claim, Claim::Is(_));
        let outside = matches!(target, Target::Outside(..));
        let to_agent = matches!(target, Target::Aor(who) if who.kind() == Kind::Agent);
        match self.rng.below(30) {
            0..2 if to_agent => Twist::Spelled,
            0..10 if outside => Twist::Number(self.rng.below(4) as u8),
            2..4 => Twist::OwnRoute,
            4..6 => Twist::Route(Bait::any(&mut self.rng)),
            6 => Twist::Maddr(self.rng.pick(&[Who::Carrier, Who::Foreign, Who::Pbx])),
            7..9 => Twist::Contact(Bait::forbidden(&mut self.rng)),
            // Its own proxy is before it.
            9 | 12 if claim == Claim::Is(Who::Pat) => Twist::None,
            9 if self.rng.percent(30) => Twist::RecordRoute(Bait::At(Who::Foreign)),
            9 => Twist::RecordRoute(Bait::forbidden(&mut self.rng)),
            10 if known => Twist::FromSpelled,
            11 => Twist::OtherTo,
            12 => Twist::OwnProxy,
            13 => Twist::OtherVia,
            _ => Twist::None,
        }
    }

    /// Writes the twist into the request; `false` when the rules leave it open whether such a request is served.
    fn apply(&mut self, twist: Twist, request: &mut Request) -> bool {
        let own = format!("<sip:{};lr>", self.lane.sockets.exchange());
        match twist {
            Twist::None | Twist::OwnProxy => {}
            Twist::OtherVia => {
                let digits =
                    format!("{:016x}{:016x}{:08x}", self.rng.bits(), self.rng.bits(), self.rng.bits() >> 32);
                let via = format!("SIP/2.0/UDP 192.0.2.77:5060;branch=z9hG4bKt{digits}");
                request.more.push(("Via".into(), via));
            }
            Twist::Spelled => {
                request.uri = format!("{};user=phone", respelled(&request.uri));
            }
            Twist::FromSpelled => {
                let (address, tag) = request.from.rsplit_once(';').unwrap_or_default();
                let inner = address.trim_matches(['<', '>']);
                request.from = format!("\"1003\" <{}>;{tag}", respelled(inner));
            }
            Twist::Number(form) => {
                let (number, host) = request.uri[4..].split_once('@').unwrap_or_default();
                let number = match form {
                    0 => format!("{}-{}.({})", &number[..2], &number[2..5], &number[5..]),
                    1 => format!("%2B{}%{:02X}{}", &number[1..4], number.as_bytes()[4], &number[5..]),
                    2 => format!("{number};npdi;rn=+19005550000"),
                    _ => format!("{number};cic=+19005550000"),
                };
                request.uri = format!("sip:{number}@{host}");
            }
            Twist::OtherTo => request.to = "<sip:1003@head.test>".into(),
            Twist::OwnRoute => request.routes.push(own),
            Twist::Route(bait) => {
                let there = format!("<{};lr>", bait.uri(&self.lane.sockets));
                let both = if self.rng.percent(70) { vec![own, there] } else { vec![there] };
                request.routes.extend(both);
                return false;
            }
            Twist::Maddr(who) => {
                request.uri = format!("{};maddr={}", request.uri, self.lane.sockets.address(who).ip());
                return false;
            }
            Twist::Contact(bait) => {
                request.contact = Some(bait.uri(&self.lane.sockets));
                return false;
            }
            Twist::RecordRoute(bait) => {
                request.more.push(("Record-Route".into(), format!("<{};lr>", bait.uri(&self.lane.sockets))));
                return false;
            }
        }
        true
    }

    /// Sends a request that may arrive, has it answered, and keeps the dialog that comes of it.
    fn conduct(&mut self, port: Port, request: Request, ruling: Ruling, facts: &First) -> Play {
        let callee = match &ruling {
            Ruling::Must(place) | Ruling::May(place) => place.port,
            Ruling::Never => return self.lane.ask(port, request, ruling, Plan::default()).map(drop),
        };
        let who = self.lane.sockets.who(callee);
        let forms = matches!(request.method.as_str(), "INVITE" | "SUBSCRIBE" | "REFER");
        let rings = request.method == "INVITE" && self.rng.percent(35);
        let status = match forms {
            _ if rings => 0,
            _ if self.rng.percent(8) => self.rng.pick(&[302, 404, 486, 480]),
            true => 200,
            false => 202,
        };
        let redirected = (forms && status == 302 && matches!(who.kind(), Kind::Agent | Kind::Peer))
            .then(|| Named::draw(&mut self.rng));
        let contact = redirected.map(|named| named.contact(who));
        let contact = Some(contact.unwrap_or_else(|| self.contact(who, callee)));
        let tag = format!("t{}", request.call_id);
        let (record_route, at, doubtful) = self.behind(who);
        let stolen = if rings {
            None
        } else {
            self.stolen_mark(who, &[Some(self.lane.sockets.who(port)), taken_for(facts)], &request)
        };
        let robbed = stolen.is_some();
        let (stolen, record_route, contact) = match stolen {
            Some(stolen) => (stolen.routes, stolen.before.or(record_route), Some(stolen.contact)),
            None => (None, record_route, contact),
        };
        let believed = is_believed(facts);
        let plan = Plan { status, contact, tag, record_route, stolen, believed, ..Plan::default() };
        let tx = self.lane.send(port, request, ruling, plan.clone());
        let answer = self.lane.answer(&tx, if rings { 180 } else { 200 })?;
        if self.lane.arrivals(&tx).is_empty() || !rings {
            self.lane.finish(&tx)?;
        }
        let Some((_, arrived)) = self.lane.arrivals(&tx).first().cloned() else { return Ok(()) };
        if let Some(named) = redirected.filter(|_| !robbed) {
            self.check_redirection(&answer, (who, named), facts)?;
        }
        if !forms || answer.status() >= 300 {
            return Ok(());
        }
        let caller = (self.lane.sockets.who(port), port);
        let Some(mut call) = Call::new(&tx, (who, callee), &arrived, &answer, caller) else {
            return Err(Broken("a response that makes no dialog".into()));
        };
        call.caller.known_as = taken_for(facts);
        call.caller.stranger = is_stranger(facts);
        self.caller_behind(&mut call);
        call.caller.unshown = is_unshown(facts);
        call.caller.doubtful |= call.caller.unshown;
        call.callee.behind = at.is_some();
        call.callee.at = at.map_or(vec![callee], |at| vec![at]);
        call.callee.doubtful = doubtful || robbed;
        call.caller.doubtful |= robbed;
        self.table.dialogs += 1;
        if rings {
            return self.ringing(call, plan);
        }
        call.stage = Stage::Up;
        self.acknowledge(&mut call, &tx)?;
        self.open.push(call);
        Ok(())
    }

    /// What the caller hears of a redirection has its phone or trunk do no more than call.
    fn check_redirection(&mut self, answer: &Message, (by, named): (Who, Named), facts: &First) -> Play {
        let caller = taken_for(facts).filter(|who| who.kind() != Kind::Trunk);
        let wanted = is_shown(by, caller, named, self.lane.shape.stateless);
        let contact = named.contact(by);
        let shown = answer.get("Contact").is_some_and(|value| value.contains(&contact));
        let to = caller.map_or("outside".to_owned(), kind);
        self.table.count(kind(by), format!("302 to {to}"), format!("{named:?}, {wanted:?}").to_lowercase());
        match wanted {
            Some(wanted) if wanted != shown => Err(Broken(format!(
                "the Contact {contact} of {by:?} was {} to {caller:?}",
                if shown { "shown" } else { "not shown" }
            ))),
            _ => Ok(()),
        }
    }

    /// Where requests for the caller arrive, by the Contact and the Record-Route it gave.
    fn caller_behind(&self, call: &mut Call) {
        let second = Sockets::second(call.caller.who);
        let proxy = self.proxy_of(call.caller.who);
        let own = proxy.clone().unwrap_or_else(|| format!("<sip:{};lr>", self.lane.sockets.at(second)));
        let at = if proxy.is_some() { call.caller.port } else { second };
        let through = call.first.request.more.iter().find(|(name, _)| name == "Record-Route");
        call.caller.behind = through.is_some();
        match through {
            Some((_, value)) if *value == own => call.caller.at = vec![at],
            // A host that is nobody's may well be the caller's proxy.
            Some(_) => call.caller.at.push(Sockets::port(Who::Foreign)),
            None => {}
        }
        // What it shows itself to be has addresses that are its own.
        call.caller.at.extend(call.caller.known_as.filter(|who| *who != call.caller.who).map(Sockets::port));
        let strange = call.caller.target != self.contact(call.caller.who, call.caller.port);
        // Who shows nothing speaks for no peer that it says is before it: its own packets' source may be forged.
        let unheard = call.caller.stranger && proxy.is_some();
        call.caller.doubtful = strange || unheard || through.is_some_and(|(_, value)| *value != own);
    }

    /// Does whoever answers stand behind a proxy of its own, which stays in the way? On another port of its own it may,
    /// at somebody else's address it may not: the Record-Route value, where requests arrive then, and whether the rules
    /// leave it open that they do.
    fn behind(&mut self, who: Who) -> (Option<String>, Option<Port>, bool) {
        if let Some(proxy) = self.proxy_of(who) {
            return (Some(proxy), Some(Sockets::port(who)), false);
        }
        match self.rng.below(100) {
            0..6 if !who.is_tcp() && who != Who::Nat => {
                let second = Sockets::second(who);
                let at = self.lane.sockets.at(second);
                let own = match self.rng.percent(50) {
                    true => format!("<sip:{at};lr>"),
                    false => format!("<sip:edge@{at};lr=on;transport=udp>"),
                };
                (Some(own), Some(second), false)
            }
            6..9 => {
                let bait = Bait::forbidden(&mut self.rng);
                (Some(format!("<{};lr>", bait.uri(&self.lane.sockets))), None, true)
            }
            _ => (None, None, false),
        }
    }

    /// The ACK to a 2xx.
    pub fn acknowledge(&mut self, call: &mut Call, tx: &Tx) -> Play {
        if call.method != "INVITE" {
            return Ok(());
        }
        let agent = call.caller.known_as.filter(|who| who.kind() == Kind::Agent);
        self.lane.called.push(Answered {
            id: call.id.clone(),
            source: self.lane.sockets.at(call.first.port).ip().to_string(),
            caller: agent
                .map(|who| format!("agent-{}", reference(&format!("{}@{}", who.user(), who.host())))),
            leaves: call.callee.who.kind() == Kind::Trunk,
        });
        let ack = call.request(End::Caller, "ACK");
        let place = call.callee.place();
        let ruling = if call.callee.doubtful { Ruling::May(place) } else { Ruling::Must(place) };
        self.lane.tell(tx.port, Request { cseq: tx.request.cseq, ..ack }, ruling).map(drop)
    }
}

/// The same URI in other letters: an escaped first character, the host in capitals.
fn respelled(uri: &str) -> String {
    let (user, host) = uri.trim_start_matches("sip:").split_once('@').unwrap_or_default();
    let (first, rest) = user.split_at(1);
    format!("sip:%{:02X}{rest}@{}", first.as_bytes()[0], host.to_uppercase())
}

/// What the rules leave open may be refused, but leads nowhere else.
pub fn soften(ruling: Ruling) -> Ruling {
    match ruling {
        Ruling::Must(place) => Ruling::May(place),
        other => other,
    }
}

fn kind_of(claim: Claim) -> String {
    match claim {
        Claim::Is(who) => format!("{:?}", who.kind()).to_lowercase(),
        Claim::NoSuchUser => "no user".into(),
        Claim::Anonymous => "anonymous".into(),
    }
}

fn variant(facts: &First, source: Who, twist: Twist) -> String {
    let own = match facts.claim {
        Claim::Is(who) => source == who,
        Claim::NoSuchUser | Claim::Anonymous => source == Who::Stranger,
    };
    let target = match facts.target {
        Target::Aor(who) => format!("{:?}", who.kind()).to_lowercase(),
        Target::Own(_) => "agent at our address".into(),
        Target::Inbound(trunk) => format!("inbound {trunk:?}"),
        Target::Number(..) => "number".into(),
        Target::Outside(number, _) => number[..5].to_owned(),
        Target::Through(..) => "dod".into(),
        Target::Address(who) => format!("address of {who:?}"),
        Target::Listener | Target::Elsewhere => format!("{:?}", facts.target).to_lowercase(),
    };
    let twist = match twist {
        Twist::Route(_) => "route".into(),
        Twist::Contact(_) => "contact".into(),
        Twist::Number(_) => "number respelled".into(),
        Twist::RecordRoute(_) => "record-route".into(),
        other => format!("{other:?}").to_lowercase(),
    };
    let proof = match facts.proof {
        Proof::Other(_) => "other".into(),
        proof => format!("{proof:?}").to_lowercase(),
    };
    let goes = match first(facts) {
        Goes::Nowhere => "never",
        Goes::To(_) => "must",
        Goes::Perhaps(_) => "may",
    };
    let from = if own { "" } else { ", other source" };
    let twist = if twist == "none" { String::new() } else { format!(", {twist}") };
    format!("{target}, {proof}{from}{twist}: {goes}")
}
