//! An operator deletes an agent while it is in a call: the call goes on, and the agent is nobody's any more.

use std::time::{Duration, Instant};

use trunkline_tests::{PATIENCE, reference};

use super::cast::Who;
use super::dialog::{Call, End, Side, Stage};
use super::history::History;
use super::net::Sockets;
use super::ruling::{Broken, Plan, Play, Ruling};
use super::twist::Twist;
use super::within::kind;

const AGENTS: &str = "agents.yaml";
/// Between two looks at whether a change is in force.
const LOOK: Duration = Duration::from_millis(50);

impl History<'_> {
    /// Somebody is deleted, commands and is commanded in vain, and is made anew.
    pub fn delete_somebody(&mut self) -> Play {
        let may_go = |side: &Side| {
            matches!(side.who, Who::Ann | Who::Cleo | Who::Free) && side.known_as == Some(side.who)
        };
        let found = self.open.iter().position(|call| {
            call.method == "INVITE"
                && call.left.is_none()
                && (may_go(&call.caller) || may_go(&call.callee))
                && !call.caller.doubtful
                && !call.callee.doubtful
        });
        let Some(mut call) = found.map(|n| self.open.swap_remove(n)) else { return Ok(()) };
        self.deleted = true;
        let end = if may_go(&call.caller) { End::Caller } else { End::Callee };
        let who = call.side(end).who;
        self.table.count(kind(who), "deleted", "in a call");
        self.lane.ladder.note(format!("{who:?} is deleted in {}", call.id));
        let path = self.lane.exchange.folder().join("resources").join(AGENTS);
        let before = std::fs::read_to_string(path).map_err(|error| Broken(error.to_string()))?;
        let name = format!("ref: agent-{},", reference(&format!("{}-{}", who.user(), who.host())));
        let rest: String =
            before.lines().filter(|line| !line.contains(&name)).map(|l| l.to_owned() + "\n").collect();
        self.lane.exchange.rewrite(AGENTS, &rest);
        self.wait_until(who, false)?;
        let played = self.act_as_nobody(&mut call, end);
        self.lane.exchange.rewrite(AGENTS, &before);
        self.wait_until(who, true)?;
        let port = Sockets::port(who);
        let contact = self.contact(who, port);
        self.register_again(who, port, &contact)?;
        played?;
        self.request_within(&mut call, end, "BYE", Twist::Honest)?;
        call.stage = Stage::Over;
        Ok(())
    }

    /// Asks for this agent until it is there, or is not.
    fn wait_until(&mut self, who: Who, there: bool) -> Play {
        let start = Instant::now();
        loop {
            let place = self.place(who, who.user());
            let status = self.message_from_tess(who, Ruling::May(place))?;
            if (status != 404) == there {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                return Err(Broken(format!("whether {who:?} exists has not changed: {status}")));
            }
            self.lane.pump(LOOK)?;
        }
    }

    /// What is part of a call goes on; what commands a phone does not, in either way.
    fn act_as_nobody(&mut self, call: &mut Call, end: End) -> Play {
        for by in [end, end.other()] {
            for method in ["REFER", "SUBSCRIBE", "FROB"] {
                let before = call.side(by).cseq;
                let request = call.request(by, method);
                call.side_mut(by).cseq = before;
                let port = call.side(by).port;
                self.lane.ladder.note(format!("{by:?} of {}: {method}, since {end:?} is deleted", call.id));
                self.table.count(kind(call.side(by).who), format!("in {method}"), "one is deleted: never");
                self.lane.ask(port, request, Ruling::Never, Plan::status(200))?;
            }
        }
        self.request_within(call, end, "MESSAGE", Twist::Honest)?;
        self.request_within(call, end.other(), "INFO", Twist::Honest)
    }
}
