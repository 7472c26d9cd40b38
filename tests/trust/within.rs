//! Requests inside dialogs, honest and hostile.

use super::bait::Bait;
use super::cast::{Kind, Who};
use super::dialog::{Call, End, Side, Stage};
use super::first::soften;
use super::history::History;
use super::net::Port;
use super::oracle::is_foreign_to;
use super::referral::{Named, refers_beyond};
use super::request::Request;
use super::ruling::{Broken, Place, Plan, Play, Ruling};
use super::twist::{Source, Twist, label};

const METHODS: [&str; 12] = [
    "INVITE",
    "INVITE",
    "UPDATE",
    "INFO",
    "MESSAGE",
    "OPTIONS",
    "REFER",
    "NOTIFY",
    "SUBSCRIBE",
    "PUBLISH",
    "BYE",
    "FROB",
];

/// Requests that change where a party is (RFC 3261 §12.2, RFC 3311, RFC 6665).
const REFRESHES: [&str; 5] = ["INVITE", "UPDATE", "REFER", "SUBSCRIBE", "NOTIFY"];

impl History<'_> {
    /// Something within one of the dialogs that are up.
    pub fn within(&mut self) -> Play {
        let n = self.rng.below(self.open.len());
        let mut call = self.open.swap_remove(n);
        let end = self.rng.pick(&[End::Caller, End::Callee]);
        match self.rng.below(12) {
            0 if call.method == "INVITE" => self.refresh(&mut call, end)?,
            1 if self.rng.percent(50) => self.stray_ack(&mut call, end)?,
            1 => self.stray_response(&call)?,
            2 if call.method == "INVITE" && self.rng.percent(50) => return self.close(call),
            2 if call.method == "INVITE" => self.refresh_that_waits(&mut call, end)?,
            3 if self.rng.percent(40) => self.forged_response(&mut call, end)?,
            _ => {
                let method = self.rng.pick(&METHODS);
                let twist = self.twist_within();
                self.request_within(&mut call, end, method, twist)?;
            }
        }
        if call.stage == Stage::Up {
            self.open.push(call);
        }
        Ok(())
    }

    /// One request inside a dialog.
    pub fn request_within(&mut self, call: &mut Call, end: End, method: &str, twist: Twist) -> Play {
        // What is refused must not be what the other side waits for: only honest ones count.
        let before = call.side(end).cseq;
        let mut request = call.request(end, method);
        let named = if method == "REFER" { Named::draw(&mut self.rng) } else { Named::Phone };
        if let Some((_, value)) = request.more.iter_mut().find(|(name, _)| name == "Refer-To") {
            *value = named.refer_to();
        }
        let Some(port) = self.write_twist(call, end, &mut request, twist) else { return Ok(()) };
        let ruling = self.ruling_within(call, end, twist, &request);
        self.lane.ladder.note(format!("{end:?} of {}: {method}, {twist:?}", call.id));
        let to = if named == Named::Phone { String::new() } else { format!(" to {named:?}").to_lowercase() };
        self.table.count(kind(call.side(end).who), format!("in {method}{to}"), label(twist, &ruling));
        let answers = if twist == Twist::Turned { end } else { end.other() };
        let contact = Some(call.side(answers).target.clone());
        // A BYE that is refused ends nothing, unless the other side has sent one too.
        let refused = method == "BYE" && twist == Twist::Honest && self.rng.percent(40);
        let status = if refused { self.rng.pick(&[405, 420, 500, 603]) } else { 200 };
        let plan = Plan { status, contact, ..Plan::default() };
        if ruling == Ruling::Never {
            call.side_mut(end).cseq = before;
            request.cseq = before + 1;
        }
        let may = matches!(ruling, Ruling::May(_));
        let (tx, answer) = self.lane.ask(port, request.clone(), ruling.clone(), plan.clone())?;
        let proves = twist == Twist::Source(Source::ThirdProven)
            || twist == Twist::Honest && method == "REFER" && call.side(end).known_as == Some(Who::Lax);
        if proves && matches!(answer.status(), 401 | 407) {
            return self.prove_within(call, end, (port, request), &answer);
        }
        let arrived = !self.lane.arrivals(&tx).is_empty();
        if method == "INVITE" && arrived && answer.status() < 300 {
            let mut ack = Request { method: "ACK".into(), contact: None, ..tx.request.clone() };
            ack.more.retain(|(name, _)| name.contains("uthoriz"));
            self.lane.tell(port, ack, ruling)?;
        }
        if arrived && twist == Twist::OtherMark {
            // It was said in that dialog, which is left as it is.
            self.open.swap_remove(0);
            return Ok(());
        }
        if arrived && twist == Twist::FromTag {
            // After a restart the callee's tag is known by what it writes itself: that one is the dialog now.
            return self.leave(call);
        }
        if arrived && answer.status() < 300 && matches!(method, "REFER" | "SUBSCRIBE") {
            call.subscribed = true;
        }
        let refreshes = REFRESHES.contains(&method);
        if arrived && may && refreshes && matches!(twist, Twist::Turned | Twist::Source(_)) {
            // Somebody spoke in the name of one whom nobody asks for a secret: where it is now is open.
            let named = if twist == Twist::Turned { end.other() } else { end };
            if call.side(named).who == Who::Nat {
                // It is reached by its flow alone, and that may be another now.
                return self.leave(call);
            }
            call.side_mut(named).doubtful = true;
            call.side_mut(named).at.push(port);
        }
        // Who hangs up has hung up, whether the other side hears of it or not.
        let hung_up = arrived
            || may
            || matches!(twist, Twist::Honest | Twist::Spelled | Twist::Strict | Twist::RouteAnew);
        if arrived && refused && call.left.replace(end) != Some(end.other()) {
            return Ok(());
        }
        if method == "BYE" && hung_up && twist != Twist::FromTag {
            call.stage = Stage::Over;
            // Of two whose BYEs were refused one may have said something since, so that it is there still.
            if arrived && !refused {
                self.after_end(call)?;
            }
        }
        Ok(())
    }

    /// The same with credentials of the party whose dialog it is: whoever has the secret is the party.
    fn prove_within(
        &mut self,
        call: &mut Call,
        end: End,
        asked: (Port, Request),
        challenge: &trunkline_tests::Message,
    ) -> Play {
        let (port, request) = asked;
        let side = call.side(end).clone();
        let again = Request { cseq: request.cseq + 1, ..request };
        let Some((name, value)) = self.credentials(&again, challenge, side.known_as.and_then(Who::login))
        else {
            return Ok(());
        };
        let other = call.side(end.other());
        let place = other.place();
        let open = other.doubtful || other.unshown;
        let ruling = match open {
            _ if commands_another(call, end, &again) => Ruling::Never,
            true => Ruling::May(place),
            false => Ruling::Must(place),
        };
        call.side_mut(end).cseq = again.cseq;
        call.side_mut(end).elsewhere = true;
        let again = again.with(name, value);
        self.lane.ask(port, again.clone(), ruling, Plan::status(488))?;
        if again.method == "BYE" {
            call.stage = Stage::Over;
        }
        Ok(())
    }

    /// After a target refresh from elsewhere, in the name of one whom nobody asks for a secret, it is open where that party
    /// is taken to be: the dialog is left as it is.
    fn leave(&mut self, call: &mut Call) -> Play {
        call.stage = Stage::Over;
        Ok(())
    }

    pub fn ruling_within(&self, call: &Call, end: End, twist: Twist, request: &Request) -> Ruling {
        let (me, other) = (call.side(end), call.side(end.other()));
        let uri = if twist == Twist::Spelled { request.uri.clone() } else { other.target.clone() };
        let place = Place { uri, ..other.place() };
        let straight = match (takes(call, &request.method), other.doubtful) {
            (Takes::Yes, false) => Ruling::Must(place.clone()),
            (Takes::Yes | Takes::Perhaps, _) => Ruling::May(place.clone()),
            (Takes::No, _) => Ruling::Never,
        };
        let straight = if other.unshown && !other.behind { Ruling::Never } else { straight };
        let asked =
            |side: &Side| side.known_as.is_some_and(|who| who.kind() == Kind::Agent && who != Who::Lax);
        // It asks nobody to call somebody else; by the mark of another dialog it may have proven itself there.
        let unasked = request.method == "REFER" && me.known_as == Some(Who::Lax);
        let transfer = request.method == "REFER" && me.stranger || unasked && !me.elsewhere;
        // Of a stranger a phone takes what is part of a call.
        let beyond =
            matches!(request.method.as_str(), "MESSAGE" | "NOTIFY" | "SUBSCRIBE" | "PUBLISH" | "FROB");
        let transfer = transfer || beyond && me.stranger || commands_another(call, end, request);
        // It has shown its secret somewhere.
        let straight = if unasked { soften(straight) } else { straight };
        // Of one that is no agent whoever hangs up is believed; everything else comes from where it is.
        let elsewhere = |side: &Side, place: Place| match (side.known_as, request.method.as_str()) {
            (Some(Who::Lax), _) | (_, "BYE") => Ruling::May(place),
            (_, _) => Ruling::Never,
        };
        match twist {
            Twist::OtherMark if transfer => self.ruling_other_mark(call, end),
            _ if transfer => Ruling::Never,
            Twist::Honest | Twist::Spelled | Twist::Strict | Twist::RouteAnew => straight,
            _ if straight == Ruling::Never => Ruling::Never,
            // Who is no agent of ours may well have several addresses; an agent is asked for its secret.
            Twist::Source(Source::Third | Source::ThirdProven) if me.elsewhere => Ruling::May(place),
            Twist::Source(_) if asked(me) => Ruling::Never,
            Twist::Source(Source::Third | Source::ThirdProven) => elsewhere(me, place),
            Twist::Source(_) => Ruling::May(place),
            // Its own mark is an agent's only from where the agent is; a carrier has many addresses.
            Twist::Turned if asked(other) && !other.elsewhere => Ruling::Never,
            // Who has shown the other side's secret from there is there as that one.
            Twist::Turned if asked(other) => Ruling::May(me.place()),
            // Connections come from one address.
            Twist::Turned if me.who.is_tcp() && other.who.is_tcp() => Ruling::May(me.place()),
            Twist::Turned => elsewhere(other, me.place()),
            // Ours as well, without a mark.
            Twist::RouteBefore(Bait::Listener | Bait::Localhost | Bait::Unspecified)
            | Twist::RouteAfter(Bait::Listener | Bait::Localhost | Bait::Unspecified) => Ruling::May(place),
            Twist::OtherMark => self.ruling_other_mark(call, end),
            // The callee's mark is older than its tag.
            Twist::FromTag if end == End::Callee => Ruling::May(place),
            Twist::StrictTo(_)
            | Twist::Target(_)
            | Twist::User
            | Twist::RouteAfter(_)
            | Twist::RouteBefore(_)
            | Twist::NoRoute
            | Twist::ToTag
            | Twist::FromTag
            | Twist::TwoTags(_)
            | Twist::EmptyTag
            | Twist::OtherCallId => Ruling::Never,
        }
    }

    /// The mark of another dialog opens that one, and that only under its own names.
    fn ruling_other_mark(&self, call: &Call, end: End) -> Ruling {
        let target = &call.side(end.other()).target;
        match self.open.first().map(|other| (other, other.side(end.other()))) {
            Some((other, side)) if other.id == call.id && side.target == *target => Ruling::May(side.place()),
            _ => Ruling::Never,
        }
    }

    /// After its end the mark opens nothing.
    pub fn after_end(&mut self, call: &mut Call) -> Play {
        if !self.rng.percent(30) {
            return Ok(());
        }
        let end = self.rng.pick(&[End::Caller, End::Callee]);
        let method = self.rng.pick(&["INVITE", "MESSAGE", "REFER", "OPTIONS", "BYE"]);
        let mut request = call.request(end, method);
        let twist =
            if self.rng.percent(50) { Twist::Honest } else { Twist::Target(Bait::any(&mut self.rng)) };
        let Some(port) = self.write_twist(call, end, &mut request, twist) else { return Ok(()) };
        self.lane.ladder.note(format!("after the end of {}: {method}, {twist:?}", call.id));
        let ruling = self.ruling_within(call, end, twist, &request);
        self.table.count(kind(call.side(end).who), format!("after {method}"), label(twist, &ruling));
        self.lane.ask(port, request, ruling, Plan::status(200)).map(drop)
    }

    /// An ACK nobody waits for, to where it must not go.
    fn stray_ack(&mut self, call: &mut Call, end: End) -> Play {
        let mut ack = call.request(end, "ACK");
        let twist = match self.rng.below(3) {
            0 => Twist::Target(Bait::any(&mut self.rng)),
            1 => Twist::RouteAfter(Bait::At(Who::Carrier)),
            _ => Twist::ToTag,
        };
        let Some(port) = self.write_twist(call, end, &mut ack, twist) else { return Ok(()) };
        self.lane.ladder.note(format!("{end:?} of {}: ACK, {twist:?}", call.id));
        self.table.count(kind(call.side(end).who), "in ACK", label(twist, &Ruling::Never));
        self.lane.tell(port, ack, Ruling::Never).map(drop)
    }

    /// An answer nobody waits for, whose Vias lead elsewhere.
    fn stray_response(&mut self, call: &Call) -> Play {
        let Some((port, arrived)) = self.lane.arrivals(&call.first).first().cloned() else { return Ok(()) };
        let bait = self.rng.pick(&[Who::Carrier, Who::Foreign, Who::Pbx, Who::Third]);
        let at = self.lane.sockets.address(bait);
        self.table.count(kind(call.callee.who), "response", "stray, Via elsewhere");
        self.lane.ladder.note(format!("a stray response in {}, for {bait:?}", call.id));
        let branch = format!("z9hG4bK{}", self.lane.fresh());
        self.lane.may_hear(call.caller.port, branch.clone());
        let top = arrived.all("Via").next().unwrap_or_default();
        let status = self.rng.pick(&["180 Ringing", "200 OK", "486 Busy Here"]);
        let text = format!(
            "SIP/2.0 {status}\r\nVia: {top}\r\nVia: SIP/2.0/UDP {at};branch={branch};rport={};received={}\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {}\r\nContent-Length: 0\r\n\r\n",
            at.port(),
            at.ip(),
            arrived.get("From").unwrap_or_default(),
            call.callee.local,
            call.id,
            arrived.get("CSeq").unwrap_or_default(),
        );
        self.lane.send_raw(port, text.as_bytes(), "");
        self.lane.mark(port)
    }

    /// Ends a dialog as it is meant to be ended.
    pub fn close(&mut self, mut call: Call) -> Play {
        if call.stage == Stage::Over {
            return Ok(());
        }
        let end = self.rng.pick(&[End::Caller, End::Callee]);
        match call.method.as_str() {
            "INVITE" => self.request_within(&mut call, end, "BYE", Twist::Honest),
            _ => self.end_subscription(&mut call),
        }
    }

    fn end_subscription(&mut self, call: &mut Call) -> Play {
        let mut notify = call.request(End::Callee, "NOTIFY");
        for (name, value) in &mut notify.more {
            if name == "Subscription-State" {
                *value = "terminated;reason=timeout".to_owned();
            }
        }
        let ruling = self.ruling_within(call, End::Callee, Twist::Honest, &notify);
        self.table.count(kind(call.callee.who), "in NOTIFY", "the last");
        let (tx, _) = self.lane.ask(call.callee.port, notify, ruling, Plan::status(200))?;
        if self.lane.arrivals(&tx).is_empty() && !call.caller.doubtful {
            return Err(Broken("the last NOTIFY did not arrive".into()));
        }
        call.stage = Stage::Over;
        self.after_end(call)
    }
}

/// Does a dialog take this method as it stands (RFC 5057)?
enum Takes {
    Yes,
    Perhaps,
    No,
}

fn takes(call: &Call, method: &str) -> Takes {
    let of_calls = matches!(method, "INVITE" | "UPDATE" | "PRACK" | "BYE" | "ACK");
    let subscription = call.method != "INVITE";
    match call.stage {
        // It belongs to no dialog (RFC 3903 §4).
        Stage::Early | Stage::Up if method == "PUBLISH" => Takes::Perhaps,
        Stage::Early | Stage::Up if subscription && of_calls => Takes::Perhaps,
        Stage::Early | Stage::Up => Takes::Yes,
        // A subscription outlives the call it was made in, and its own last NOTIFY by the time of repetitions.
        Stage::Over if (subscription || call.subscribed) && !of_calls => Takes::Perhaps,
        Stage::Over => Takes::No,
    }
}

/// Does it ask a phone of another domain for something that is no part of a call, or a phone or carrier to call whom its sender may
/// not have it call?
fn commands_another(call: &Call, end: End, request: &Request) -> bool {
    let sides = call.side(end).known_as.zip(call.side(end.other()).known_as);
    match request.method.as_str() {
        "SUBSCRIBE" | "PUBLISH" | "FROB" => sides.is_some_and(|(who, other)| is_foreign_to(who, other)),
        "REFER" => Named::of(request).is_some_and(|named| refers_beyond(call, end, named)),
        _ => false,
    }
}

pub fn kind(who: Who) -> String {
    format!("{:?}", who.kind()).to_lowercase()
}
