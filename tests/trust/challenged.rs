//! The other side of a dialog asks for a digest: a carrier that has given us an account gets ours, other carriers may ask the
//! caller, and nobody else may.

use super::cast::{HEAD, Kind, Who};
use super::dialog::{Call, End, Side};
use super::history::History;
use super::rng::Rng;
use super::ruling::{Plan, Play, Ruling};
use super::twist::Twist;
use super::within::kind;

/// The realm of a carrier's own, and how it knows us.
const OUTSIDE: &str = "elsewhere.example";
pub const ACCOUNT: &str = "cred-out";

/// What comes of a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comes {
    /// The trunk's own credentials answer it.
    Answered,
    /// It is passed on to who asked.
    Passed,
    /// It ends here.
    Refused,
}

impl History<'_> {
    /// One of the dialogs that are up, at the end of a history.
    pub fn challenge_inside(&mut self, rng: &mut Rng) -> Play {
        let up = |call: &Call| call.method == "INVITE" && !call.caller.doubtful && !call.callee.doubtful;
        let Some(n) = self.open.iter().position(up) else { return Ok(()) };
        let mut call = self.open.swap_remove(n);
        for _ in 0..1 + rng.below(2) {
            let end = rng.pick(&[End::Caller, End::Callee]);
            let method = rng.pick(&["INFO", "MESSAGE", "OPTIONS"]);
            let realm = rng.pick(&[OUTSIDE, HEAD]);
            self.challenged(&mut call, end, method, realm)?;
        }
        self.open.push(call);
        Ok(())
    }

    fn challenged(&mut self, call: &mut Call, end: End, method: &str, realm: &str) -> Play {
        let request = call.request(end, method);
        let ruling = self.ruling_within(call, end, Twist::Honest, &request);
        let other = call.side(end.other());
        // Whether an account of ours answers for a realm of ours is open.
        if !matches!(ruling, Ruling::Must(_)) || has_account(other) && realm == HEAD {
            return Ok(());
        }
        let comes = self.comes(other, realm);
        self.table.count(
            kind(other.who),
            format!("in {method}"),
            format!("challenged: {comes:?}").to_lowercase(),
        );
        self.lane.ladder.note(format!("{end:?} of {}: {method}, challenged for {realm}: {comes:?}", call.id));
        let (status, heard) = match comes {
            Comes::Answered => (200, 200),
            Comes::Passed => (407, 407),
            Comes::Refused => (407, 403),
        };
        let plan = Plan { status, heard, asks: Some(realm.to_owned()), ..Plan::default() };
        self.lane.ask(call.side(end).port, request, ruling, plan).map(drop)
    }

    /// By docs/security.md: `routing.passChallenges` is as it comes.
    fn comes(&self, other: &Side, realm: &str) -> Comes {
        let carrier = !other.stranger
            && match other.known_as {
                Some(who) => who.kind() == Kind::Trunk,
                None => other.who.kind() == Kind::Trunk,
            };
        match carrier {
            _ if self.lane.shape.stateless => Comes::Refused,
            true if has_account(other) => Comes::Answered,
            true if realm == OUTSIDE => Comes::Passed,
            true | false => Comes::Refused,
        }
    }
}

/// Is it the carrier that has given us an account, at its own address?
fn has_account(side: &Side) -> bool {
    side.who == Who::Cred && !side.stranger && side.known_as.is_none_or(|who| who == Who::Cred)
}
