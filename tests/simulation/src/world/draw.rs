//! Draws a history from its number.

use std::net::SocketAddr;

use super::plan::{Act, Answer, CallPlan, CancelAt, Final, LinkPlan, OnCancel, PhonePlan, Plan};
use super::setup::Setup;
use crate::rng::Rng;

/// Draws who is there and what they do.
pub fn plan(rng: &mut Rng, setup: &Setup) -> Plan {
    let mut draw = Draw { rng, setup, plan: Plan::default() };
    draw.links();
    let count = 2 + draw.rng.below(5);
    for _ in 0..count {
        let at = 1_000 + draw.rng.below(7_000) as u64;
        draw.act(at);
    }
    draw.plan
}

struct Draw<'a> {
    rng: &'a mut Rng,
    setup: &'a Setup,
    plan: Plan,
}

/// The host of a phone of this user.
fn host(user: &str, place: usize) -> SocketAddr {
    let base: u8 = match user {
        "1001" => 11,
        "1002" => 12,
        "1003" => 13,
        "2001" => 21,
        "2002" => 31,
        "2003" => 41,
        "2004" => 51,
        _ => 61,
    };
    SocketAddr::from(([192, 0, 2, base + place as u8], 5060))
}

impl Draw<'_> {
    fn links(&mut self) {
        let rng = &mut *self.rng;
        if rng.percent(35) {
            return;
        }
        let mut rate = |often: usize, most: usize| if rng.percent(often) { 1 + rng.below(most) } else { 0 };
        self.plan.links = LinkPlan {
            lost: rate(60, 150),
            doubled: rate(50, 150),
            delayed: rate(40, 120),
            reordered: rate(50, 200),
        };
    }

    fn phone(&mut self, user: &str, place: usize) -> usize {
        let address = host(user, place);
        if let Some(found) = self.plan.phones.iter().position(|p| p.address == address) {
            return found;
        }
        let stream = matches!((user, place), ("1003" | "2004", _) | ("2001", 2));
        // Where nobody listens the exchange connects in vain once the phone's own connection has ended.
        let listens = self.rng.percent(50);
        self.plan.phones.push(PhonePlan {
            name: format!("{user}.{place}"),
            user: user.to_owned(),
            address,
            stream,
            listens: user == "2001" && listens,
            registers: Some(1000),
            flows: if user == "2004" { 2 } else { 1 },
            dead: false,
            challenges: false,
            place,
        });
        self.plan.phones.len() - 1
    }

    fn other(&mut self, name: &str, user: &str, address: SocketAddr, place: usize) -> usize {
        if let Some(found) = self.plan.phones.iter().position(|p| p.address == address) {
            return found;
        }
        let challenges = user.is_empty() && self.rng.percent(20);
        self.plan.phones.push(PhonePlan {
            name: name.to_owned(),
            user: user.to_owned(),
            address,
            stream: false,
            listens: true,
            registers: None,
            flows: 1,
            dead: false,
            challenges,
            place,
        });
        self.plan.phones.len() - 1
    }

    fn carriers(&mut self) -> usize {
        let all = self.setup.carriers.clone();
        let found: Vec<usize> = all
            .into_iter()
            .enumerate()
            .map(|(place, address)| self.other(&format!("carrier{place}"), "", address, place))
            .collect();
        self.rng.pick(&found)
    }

    fn caller(&mut self) -> usize {
        let user = self.rng.pick(&["1001", "1002", "1001", "1002", "1003"]);
        self.phone(user, 0)
    }

    /// The phones of a called user, which register when the history begins.
    fn callees(&mut self, user: &str) {
        let known = self.plan.phones.iter().any(|p| p.user == user);
        if known {
            return;
        }
        let count = match user {
            "2001" => 1 + self.rng.below(3),
            "2003" => 1 + self.rng.below(2),
            _ => 1,
        };
        let serial = self.rng.percent(40);
        for place in 0..count {
            let phone = self.phone(user, place);
            if serial {
                self.plan.phones[phone].registers =
                    Some(self.rng.pick(&[[1000, 500, 200], [1000, 1000, 300], [700, 400, 400]])[place]);
            }
        }
        match user {
            "2002" | "2003" => self.callees("2005"),
            _ => {}
        }
    }

    fn act(&mut self, at: u64) {
        let act = match self.rng.below(100) {
            0..25 => self.call_to("2001"),
            25..31 => self.call_to("2002"),
            31..37 => self.call_to("2003"),
            37..43 => self.call_to("2004"),
            43..59 => self.call_out(),
            59..65 => self.call_in(),
            65..70 => self.call_peer(),
            70..76 => self.message(),
            76..79 => Act::Options { from: self.caller() },
            79..86 => self.registration(at),
            86..93 => self.disconnect(),
            93..96 => self.restart(),
            _ => Act::RestartExchange,
        };
        self.plan.acts.push((at, act));
    }

    fn cancel(&mut self) -> CancelAt {
        let ms = self.rng.below(4_000) as u64;
        match self.rng.below(100) {
            0..6 => CancelAt::Before100,
            6..14 => CancelAt::After100(ms / 8),
            14..24 => CancelAt::After180(ms),
            24..32 => CancelAt::Crossing200,
            32..36 => CancelAt::AfterFinal,
            _ => CancelAt::Never,
        }
    }

    fn answer(&mut self, good: usize) -> Answer {
        let rng = &mut *self.rng;
        let ms = |rng: &mut Rng, from: usize, to: usize| (from + rng.below(to - from)) as u64;
        let trying = rng.percent(50).then(|| ms(rng, 0, 250));
        let ring = rng.percent(80).then(|| (ms(rng, 20, 1_500), rng.pick(&[180, 180, 183])));
        let last = match rng.below(100) {
            n if n < good => Final::After(ms(rng, 100, 5_000), 200),
            n if n < 88 => {
                let status = rng.pick(&[486, 486, 480, 404, 603, 500, 503, 488]);
                Final::After(ms(rng, 30, 4_000), status)
            }
            _ => Final::Never,
        };
        let silent = last == Final::Never && rng.percent(40);
        let (trying, ring) = if silent { (None, None) } else { (trying, ring) };
        let on_cancel = match rng.below(100) {
            0..86 => OnCancel::Ends,
            86..95 => OnCancel::Ignores,
            _ => OnCancel::Deaf,
        };
        Answer { trying, ring, reliable: rng.percent(15), last, on_cancel }
    }

    fn calls(&mut self, from: usize, to: String, answers: Vec<Answer>) -> Act {
        let cancel = self.cancel();
        let rng = &mut *self.rng;
        Act::Call(CallPlan {
            from,
            to,
            cancel,
            acks: !rng.percent(10),
            talk: 500 + rng.below(8_000) as u64,
            caller_ends: rng.percent(50),
            reinvite: rng.percent(12).then(|| (100 + rng.below(3_000) as u64, rng.percent(50))),
            answers,
        })
    }

    fn call_to(&mut self, user: &str) -> Act {
        self.callees(user);
        let from = self.caller();
        let mut answers: Vec<Answer> = (0..3).map(|_| self.answer(50)).collect();
        if user == "2002" && self.rng.percent(60) {
            answers[0].last =
                Final::After(30 + self.rng.below(1_500) as u64, self.rng.pick(&[486, 600, 603]));
        }
        if user == "2003" && self.rng.percent(60) {
            answers.iter_mut().for_each(|a| a.last = Final::Never);
        }
        if self.rng.percent(15) {
            // All at the same moment.
            let last = answers[0].last;
            answers.iter_mut().for_each(|a| a.last = last);
        }
        self.calls(from, format!("sip:{user}@{}", self.setup.domain), answers)
    }

    fn call_out(&mut self) -> Act {
        self.carriers();
        let from = self.caller();
        let answers = (0..3).map(|_| self.carrier_answer()).collect();
        let to = format!("sip:+4930123{:04}@{}", self.rng.below(10_000), self.setup.domain);
        self.calls(from, to, answers)
    }

    fn carrier_answer(&mut self) -> Answer {
        let usual = self.answer(80);
        let late = 2_050 + self.rng.below(6_000) as u64;
        match self.rng.below(100) {
            0..25 => Answer { trying: None, ring: None, last: Final::Never, ..usual },
            25..40 => Answer {
                trying: None,
                ring: None,
                last: Final::After(late, self.rng.pick(&[200, 200, 486, 503])),
                ..usual
            },
            40..52 => Answer { last: Final::After(20 + late / 10, 503), ..usual },
            52..62 => Answer { last: Final::After(20 + late / 10, 486), ..usual },
            _ => Answer { trying: Some(10), ..usual },
        }
    }

    fn call_in(&mut self) -> Act {
        self.callees(self.setup.number_rings);
        let from = self.carriers();
        let answers = (0..3).map(|_| self.answer(60)).collect();
        self.calls(from, format!("sip:{}@{}", self.setup.number, self.setup.address.ip()), answers)
    }

    fn call_peer(&mut self) -> Act {
        let (user, address) = self.setup.peer;
        self.other("pbx", user, address, 0);
        let from = self.caller();
        let answers = vec![self.answer(60)];
        self.calls(from, format!("sip:{user}@{}", self.setup.domain), answers)
    }

    fn message(&mut self) -> Act {
        let user = self.rng.pick(&["2001", "2004", "2005"]);
        self.callees(user);
        let from = self.caller();
        let answers = (0..3).map(|_| Answer { ring: None, ..self.answer(60) }).collect();
        Act::Message { from, to: format!("sip:{user}@{}", self.setup.domain), answers }
    }

    /// A phone that is called in another act, if there is one.
    fn some_callee(&mut self) -> usize {
        let user = self.rng.pick(&["2001", "2001", "2002", "2003", "2004"]);
        self.callees(user);
        let own: Vec<usize> =
            (0..self.plan.phones.len()).filter(|&p| self.plan.phones[p].user == user).collect();
        self.rng.pick(&own)
    }

    fn registration(&mut self, at: u64) -> Act {
        let phone = self.some_callee();
        let expires = self.rng.pick(&[3_600, 3_600, 0, 0, 60]);
        if expires == 60 {
            let user = self.plan.phones[phone].user.clone();
            let later = self.call_to(&user);
            self.plan.acts.push((at + 59_000 + self.rng.below(3_000) as u64, later));
        }
        Act::Register { phone, expires }
    }

    fn disconnect(&mut self) -> Act {
        let user = self.rng.pick(&["1003", "2004", "2001", "2001"]);
        let phone = match user {
            "1003" => self.phone(user, 0),
            "2004" => {
                self.callees(user);
                self.phone(user, 0)
            }
            _ => {
                self.callees(user);
                self.phone(user, 2)
            }
        };
        Act::Disconnect { phone, again: self.rng.percent(60) }
    }

    fn restart(&mut self) -> Act {
        let phone = if self.rng.percent(30) { self.caller() } else { self.some_callee() };
        Act::RestartPhone { phone }
    }
}
