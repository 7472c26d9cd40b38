//! One call's media: which SDP offers, which answers (RFC 3264, RFC 6337), and between whom.

use crate::command::{Command, Description};
use crate::direction::{Direction, Party};

/// A side of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The sender of the first INVITE.
    Caller,
    /// Its recipient.
    Callee,
}

impl Side {
    /// The other one.
    pub fn other(self) -> Side {
        match self {
            Side::Caller => Side::Callee,
            Side::Callee => Side::Caller,
        }
    }
}

/// The requests whose SDP matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// INVITE, the first and later ones.
    Invite,
    /// ACK to a 2xx: with SDP it answers a late offer.
    Ack,
    /// PRACK, RFC 3262 §5.
    Prack,
    /// UPDATE, RFC 3311.
    Update,
}

#[derive(Clone, Debug)]
struct Leg {
    tag: Vec<u8>,
    party: Party,
    /// Those of both sides may cross, and each is answered for itself (RFC 3261 §14.1).
    invite: Invite,
    /// Its SDP that the other side has accepted last, and the one that it offers now.
    agreed: Option<Box<[u8]>>,
    offered: Option<Box<[u8]>>,
}

impl Leg {
    fn new(tag: &[u8], party: Party) -> Leg {
        Leg { tag: tag.to_vec(), party, invite: Invite::Idle, agreed: None, offered: None }
    }
}

/// A longer SDP is not kept: when a change to another one is refused, the relay keeps what was offered.
const MOST_KEPT: usize = 8_192;

fn kept(sdp: &[u8]) -> Option<Box<[u8]>> {
    (sdp.len() <= MOST_KEPT).then(|| sdp.into())
}

/// The exchange of descriptions within the last INVITE transaction of a side, RFC 6337 §2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Invite {
    /// None, or its offer has its answer.
    Idle,
    /// An INVITE with an offer: what comes back answers.
    Offered,
    /// An INVITE without: what comes back offers.
    Empty,
}

/// The media of a call that is relayed. It tells which command each message with SDP takes; who calls it sends the
/// command, waits, and puts the SDP of the outcome in the message's place.
#[derive(Clone, Debug)]
pub struct Session {
    call_id: Vec<u8>,
    caller: Leg,
    callee: Leg,
    branch: Option<Vec<u8>>,
    confirmed: bool,
    /// The relay knows the call.
    known: bool,
    ended: bool,
}

impl Session {
    /// A call at its first INVITE. `callee` is what is known of the target before it speaks, from its transport;
    /// `caller` likewise, until its SDP tells. A branch of a forked INVITE has a session and a `branch` of its own
    /// if the targets are not of one sort.
    pub fn new(
        call_id: &[u8],
        caller_tag: &[u8],
        caller: Party,
        callee: Party,
        branch: Option<&[u8]>,
    ) -> Session {
        Session {
            call_id: call_id.to_vec(),
            caller: Leg::new(caller_tag, caller),
            callee: Leg::new(b"", callee),
            branch: branch.map(<[u8]>::to_vec),
            confirmed: false,
            known: false,
            ended: false,
        }
    }

    /// A call that is up already: it began before this process did. `caller` and `callee` are guesses until their
    /// SDP tells.
    pub fn resume(
        call_id: &[u8],
        caller_tag: &[u8],
        callee_tag: &[u8],
        caller: Party,
        callee: Party,
    ) -> Session {
        let mut session = Session::new(call_id, caller_tag, caller, callee, None);
        session.callee.tag = callee_tag.to_vec();
        (session.confirmed, session.known) = (true, true);
        session
    }

    /// A request of one side, about to be forwarded. `sdp` is its body if that is SDP. `None`: forward it as it is.
    pub fn on_request(&mut self, from: Side, method: Method, sdp: Option<&[u8]>) -> Option<Command> {
        if self.ended {
            return None;
        }
        match (method, sdp) {
            (Method::Invite, Some(sdp)) => {
                self.leg_mut(from).invite = Invite::Offered;
                Some(self.offer(from, sdp))
            }
            (Method::Invite, None) => {
                self.leg_mut(from).invite = Invite::Empty;
                None
            }
            // An offer in a 2xx is answered in its ACK, one in a reliable 1xx in its PRACK.
            (Method::Ack, Some(sdp)) => Some(self.answer(from, sdp)),
            (Method::Prack, Some(sdp)) if self.leg(from).invite == Invite::Empty => {
                // The offer has its answer: what the 2xx bears repeats nothing.
                self.leg_mut(from).invite = Invite::Idle;
                Some(self.answer(from, sdp))
            }
            (Method::Prack | Method::Update, Some(sdp)) => Some(self.offer(from, sdp)),
            (Method::Ack | Method::Prack | Method::Update, None) => None,
        }
    }

    /// A response of one side (100 is none), about to be forwarded, with the CSeq's method and the To-tag. Early
    /// media comes this way: the SDP of a 183 is relayed as that of a 200.
    pub fn on_response(
        &mut self,
        from: Side,
        method: Method,
        code: u16,
        to_tag: &[u8],
        sdp: Option<&[u8]>,
    ) -> Option<Command> {
        if self.ended {
            return None;
        }
        if from == Side::Callee && !self.confirmed && !to_tag.is_empty() {
            // Forks further on have tags of their own; the one who answers stays.
            self.callee.tag.clear();
            self.callee.tag.extend_from_slice(to_tag);
        }
        // The INVITE or the change failed: what was agreed before stands. The end of the call is `end`.
        if code >= 300 {
            return None;
        }
        match method {
            Method::Invite => {
                self.confirmed |= code >= 200;
                match (self.leg(from.other()).invite, sdp?) {
                    (Invite::Offered, sdp) => Some(self.answer(from, sdp)),
                    (Invite::Empty, sdp) => Some(self.offer(from, sdp)),
                    (Invite::Idle, _) => None,
                }
            }
            Method::Prack | Method::Update => sdp.map(|sdp| self.answer(from, sdp)),
            Method::Ack => None,
        }
    }

    /// The offer that this side made inside the dialog is refused: what was agreed before stands, which the relay is told, since it
    /// took over the offer (RFC 3261 §14.1, RFC 6337 §3.4). Its answer is of no use.
    pub fn on_refusal(&mut self, asked: Side) -> Option<Command> {
        let leg = self.leg_mut(asked);
        let refused = leg.offered.take()?;
        let agreed = leg.agreed.clone().filter(|agreed| *agreed != refused)?;
        (!self.ended).then(|| Command::Offer(self.description(asked, asked, &agreed)))
    }

    /// The call is over: BYE, a failed first INVITE, CANCEL, a limit. The command is given once, and only if the
    /// relay knows the call.
    pub fn end(&mut self) -> Option<Command> {
        let known = self.known && !self.ended;
        self.ended = true;
        known.then(|| Command::Delete {
            call_id: self.call_id.clone(),
            from_tag: self.caller.tag.clone(),
            to_tag: None,
            branch: self.branch.clone(),
        })
    }

    /// From one side to the other, as far as is known.
    pub fn direction(&self, from: Side) -> Direction {
        Direction::between(self.leg(from).party, self.leg(from.other()).party)
    }

    /// Does the relay hold ports for this call?
    pub fn is_relayed(&self) -> bool {
        self.known && !self.ended
    }

    fn leg(&self, side: Side) -> &Leg {
        match side {
            Side::Caller => &self.caller,
            Side::Callee => &self.callee,
        }
    }

    fn leg_mut(&mut self, side: Side) -> &mut Leg {
        match side {
            Side::Caller => &mut self.caller,
            Side::Callee => &mut self.callee,
        }
    }

    /// The SDP of a side counts more than its transport.
    fn learn(&mut self, from: Side, sdp: &[u8]) {
        if let Some(party) = Party::of_sdp(sdp) {
            self.leg_mut(from).party = party;
        }
    }

    fn offer(&mut self, from: Side, sdp: &[u8]) -> Command {
        self.leg_mut(from).offered = kept(sdp);
        Command::Offer(self.description(from, from, sdp))
    }

    fn answer(&mut self, from: Side, sdp: &[u8]) -> Command {
        self.leg_mut(from).agreed = kept(sdp);
        let offerer = self.leg_mut(from.other());
        offerer.agreed = offerer.offered.clone().or(offerer.agreed.take());
        Command::Answer(self.description(from.other(), from, sdp))
    }

    fn description(&mut self, offerer: Side, from: Side, sdp: &[u8]) -> Description {
        self.learn(from, sdp);
        self.known = true;
        let to_tag = &self.leg(offerer.other()).tag;
        Description {
            call_id: self.call_id.clone(),
            from_tag: self.leg(offerer).tag.clone(),
            to_tag: (!to_tag.is_empty()).then(|| to_tag.clone()),
            branch: self.branch.clone(),
            direction: self.direction(from),
            sdp: sdp.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{BROWSER, PHONE};

    /// Kind, from-tag, to-tag, direction.
    fn show(command: Option<Command>) -> Option<(&'static str, String, String, Direction)> {
        let (kind, d) = match command? {
            Command::Offer(d) => ("offer", d),
            Command::Answer(d) => ("answer", d),
            Command::Delete { .. } | Command::Query { .. } | Command::Ping => panic!("no description"),
        };
        let text = |tag: &[u8]| String::from_utf8(tag.to_vec()).unwrap();
        Some((kind, text(&d.from_tag), text(&d.to_tag.unwrap_or_default()), d.direction))
    }

    fn want(
        kind: &'static str,
        from: &str,
        to: &str,
        direction: Direction,
    ) -> Option<(&'static str, String, String, Direction)> {
        Some((kind, from.into(), to.into(), direction))
    }

    fn browser_calls_phone() -> Session {
        Session::new(b"id", b"a", Party::of_transport(true), Party::of_transport(false), None)
    }

    #[test]
    fn offer_early_answer_answer_delete() {
        let mut s = browser_calls_phone();
        let offer = s.on_request(Side::Caller, Method::Invite, Some(BROWSER));
        assert_eq!(show(offer), want("offer", "a", "", Direction::WebToPhone));
        assert_eq!(s.on_response(Side::Callee, Method::Invite, 180, b"b", None), None);
        let early = s.on_response(Side::Callee, Method::Invite, 183, b"b", Some(PHONE));
        assert_eq!(show(early), want("answer", "a", "b", Direction::PhoneToWeb));
        let answer = s.on_response(Side::Callee, Method::Invite, 200, b"b", Some(PHONE));
        assert_eq!(show(answer), want("answer", "a", "b", Direction::PhoneToWeb));
        assert_eq!(s.on_request(Side::Caller, Method::Ack, None), None);
        assert!(s.is_relayed());
        let delete =
            Command::Delete { call_id: b"id".to_vec(), from_tag: b"a".to_vec(), to_tag: None, branch: None };
        assert_eq!((s.end(), s.end()), (Some(delete), None));
        assert_eq!(s.on_request(Side::Caller, Method::Invite, Some(BROWSER)), None);
    }

    #[test]
    fn a_late_offer_is_turned_round() {
        let mut s = browser_calls_phone();
        assert_eq!(s.on_request(Side::Caller, Method::Invite, None), None);
        let offer = s.on_response(Side::Callee, Method::Invite, 200, b"b", Some(PHONE));
        assert_eq!(show(offer), want("offer", "b", "a", Direction::PhoneToWeb));
        let answer = s.on_request(Side::Caller, Method::Ack, Some(BROWSER));
        assert_eq!(show(answer), want("answer", "b", "a", Direction::WebToPhone));
    }

    #[test]
    fn a_late_offer_in_a_reliable_183() {
        let mut s = browser_calls_phone();
        s.on_request(Side::Caller, Method::Invite, None);
        let offer = s.on_response(Side::Callee, Method::Invite, 183, b"b", Some(PHONE));
        assert_eq!(show(offer), want("offer", "b", "a", Direction::PhoneToWeb));
        let answer = s.on_request(Side::Caller, Method::Prack, Some(BROWSER));
        assert_eq!(show(answer), want("answer", "b", "a", Direction::WebToPhone));
        assert_eq!(s.on_response(Side::Callee, Method::Prack, 200, b"b", None), None);
        assert_eq!(s.on_response(Side::Callee, Method::Invite, 200, b"b", None), None);
    }

    #[test]
    fn changes_from_both_sides_keep_the_direction() {
        let mut s = browser_calls_phone();
        s.on_request(Side::Caller, Method::Invite, Some(BROWSER));
        s.on_response(Side::Callee, Method::Invite, 200, b"b", Some(PHONE));
        let hold = s.on_request(Side::Callee, Method::Invite, Some(PHONE));
        assert_eq!(show(hold), want("offer", "b", "a", Direction::PhoneToWeb));
        let held = s.on_response(Side::Caller, Method::Invite, 200, b"a", Some(BROWSER));
        assert_eq!(show(held), want("answer", "b", "a", Direction::WebToPhone));
        let update = s.on_request(Side::Caller, Method::Update, Some(BROWSER));
        assert_eq!(show(update), want("offer", "a", "b", Direction::WebToPhone));
        // Refused: nothing changes, and the call goes on.
        assert_eq!(s.on_response(Side::Callee, Method::Update, 488, b"b", None), None);
        assert!(s.is_relayed());
        let update = s.on_request(Side::Callee, Method::Update, Some(PHONE));
        assert_eq!(show(update), want("offer", "b", "a", Direction::PhoneToWeb));
        let done = s.on_response(Side::Caller, Method::Update, 200, b"a", Some(BROWSER));
        assert_eq!(show(done), want("answer", "b", "a", Direction::WebToPhone));
    }

    #[test]
    fn offers_that_cross_are_answered_each_for_itself() {
        let mut s = Session::resume(b"id", b"a", b"b", Party::Web, Party::Phone);
        s.on_request(Side::Caller, Method::Invite, Some(BROWSER));
        s.on_request(Side::Callee, Method::Invite, Some(PHONE));
        // The callee has sent its own after its answer, which it overtook.
        let answer = s.on_response(Side::Callee, Method::Invite, 200, b"b", Some(PHONE));
        assert_eq!(show(answer), want("answer", "a", "b", Direction::PhoneToWeb));
        assert_eq!(s.on_response(Side::Caller, Method::Invite, 491, b"a", None), None);
        let again = s.on_response(Side::Callee, Method::Invite, 200, b"b", Some(PHONE));
        assert_eq!(show(again), want("answer", "a", "b", Direction::PhoneToWeb));
        // One without an offer crosses one with: each 2xx bears what its own INVITE left open.
        s.on_request(Side::Caller, Method::Invite, None);
        s.on_request(Side::Callee, Method::Invite, Some(PHONE));
        let late = s.on_response(Side::Callee, Method::Invite, 200, b"b", Some(PHONE));
        assert_eq!(show(late), want("offer", "b", "a", Direction::PhoneToWeb));
        let other = s.on_response(Side::Caller, Method::Invite, 200, b"a", Some(BROWSER));
        assert_eq!(show(other), want("answer", "b", "a", Direction::WebToPhone));
    }

    #[test]
    fn a_refused_offer_is_taken_back() {
        let mut s = browser_calls_phone();
        s.on_request(Side::Caller, Method::Invite, Some(BROWSER));
        s.on_response(Side::Callee, Method::Invite, 200, b"b", Some(PHONE));
        assert_eq!(s.on_refusal(Side::Callee), None, "nothing was offered");
        let moved = [PHONE, b"a=x\r\n"].concat();
        s.on_request(Side::Callee, Method::Invite, Some(&moved));
        assert_eq!(s.on_response(Side::Caller, Method::Invite, 491, b"a", None), None);
        let Some(Command::Offer(again)) = s.on_refusal(Side::Callee) else { panic!("no offer") };
        assert_eq!((again.sdp.as_slice(), again.from_tag.as_slice()), (PHONE, b"b".as_slice()));
        assert_eq!(s.on_refusal(Side::Callee), None, "once");
        // What is accepted stands, and so does a refusal of the same.
        s.on_request(Side::Callee, Method::Update, Some(&moved));
        s.on_response(Side::Caller, Method::Update, 200, b"a", Some(BROWSER));
        s.on_request(Side::Callee, Method::Update, Some(&moved));
        assert_eq!(s.on_refusal(Side::Callee), None);
        s.on_request(Side::Callee, Method::Update, Some(PHONE));
        let Some(Command::Offer(again)) = s.on_refusal(Side::Callee) else { panic!("no offer") };
        assert_eq!(again.sdp, moved);
    }

    #[test]
    fn a_call_from_before_goes_on() {
        let mut s = Session::resume(b"id", b"a", b"b", Party::Web, Party::Phone);
        let hold = s.on_request(Side::Callee, Method::Invite, Some(PHONE));
        assert_eq!(show(hold), want("offer", "b", "a", Direction::PhoneToWeb));
        let held = s.on_response(Side::Caller, Method::Invite, 200, b"a", Some(BROWSER));
        assert_eq!(show(held), want("answer", "b", "a", Direction::WebToPhone));
        assert!(s.end().is_some());
    }

    #[test]
    fn an_update_while_it_rings_from_the_callee() {
        let mut s = browser_calls_phone();
        s.on_request(Side::Caller, Method::Invite, Some(BROWSER));
        s.on_response(Side::Callee, Method::Invite, 183, b"b", Some(PHONE));
        let update = s.on_request(Side::Callee, Method::Update, Some(PHONE));
        assert_eq!(show(update), want("offer", "b", "a", Direction::PhoneToWeb));
        let done = s.on_response(Side::Caller, Method::Update, 200, b"a", Some(BROWSER));
        assert_eq!(show(done), want("answer", "b", "a", Direction::WebToPhone));
    }

    #[test]
    fn forks_until_one_answers_and_failures() {
        let mut s = Session::new(b"id", b"a", Party::Phone, Party::Phone, None);
        s.on_request(Side::Caller, Method::Invite, Some(PHONE));
        let one = s.on_response(Side::Callee, Method::Invite, 183, b"x", Some(PHONE));
        assert_eq!(show(one), want("answer", "a", "x", Direction::PhoneToPhone));
        let two = s.on_response(Side::Callee, Method::Invite, 200, b"y", Some(PHONE));
        assert_eq!(show(two), want("answer", "a", "y", Direction::PhoneToPhone));
        let mut failed = browser_calls_phone();
        assert_eq!(failed.end(), None, "the relay never heard of it");
        let mut failed = browser_calls_phone();
        failed.on_request(Side::Caller, Method::Invite, Some(BROWSER));
        assert_eq!(failed.on_response(Side::Callee, Method::Invite, 486, b"b", None), None);
        assert!(failed.end().is_some());
    }
}
