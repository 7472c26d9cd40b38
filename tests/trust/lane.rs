//! One world and the thread that plays in it. Whatever arrives at any of its sockets is judged here: each request by
//! what the oracle said of the one it stems from, each response by who asked.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use trunkline_tests::{Exchange, Message, PATIENCE};

use super::ladder::Ladder;
use super::net::{Port, Sockets};
use super::records::Answered;
use super::request::Request;
use super::ruling::{Broken, Plan, Play, Ruling};
use super::world::{self, Shape};

/// As long as SIP's T1 and then some: repeats what a full buffer has lost.
const REPEAT: Duration = Duration::from_secs(2);

/// A request of ours, and what has come of it.
pub struct Step {
    pub ruling: Ruling,
    pub plan: Plan,
    pub arrived: Vec<(Port, Message)>,
}

/// A request we sent: what came back.
struct Asked {
    port: Port,
    request: Request,
    answers: Vec<Message>,
}

/// A request we got: what was answered, for repetitions and for what the exchange says of it.
pub struct Served {
    pub port: Port,
    pub message: Message,
    pub status: u16,
    pub answer: Vec<u8>,
}

/// A request on its way.
#[derive(Clone, Debug)]
pub struct Tx {
    pub port: Port,
    pub branch: String,
    pub step: String,
    pub request: Request,
}

pub struct Lane {
    pub exchange: Exchange,
    pub sockets: Sockets,
    pub ladder: Ladder,
    pub steps: HashMap<String, Step>,
    asked: HashMap<String, Asked>,
    pub served: HashMap<String, Served>,
    /// Keys of what was forgotten, so that a late repetition is known as one.
    pub old: VecDeque<String>,
    /// Who sent on the branch of another: it may hear the answer to that.
    strays: HashSet<(Port, String)>,
    /// Calls their caller takes back.
    pub cancelled: HashSet<String>,
    /// All calls that were answered in this world.
    pub called: Vec<Answered>,
    seed: u64,
    count: u64,
    inbox: Vec<(Port, Vec<u8>)>,
    pub messages: u64,
    pub shape: Shape,
    /// When its phones registered last.
    pub registered: Instant,
}

impl Lane {
    pub fn start(shape: Shape) -> Lane {
        let (exchange, sockets) = world::start(shape);
        Lane {
            exchange,
            sockets,
            ladder: Ladder::default(),
            steps: HashMap::new(),
            asked: HashMap::new(),
            served: HashMap::new(),
            old: VecDeque::new(),
            strays: HashSet::new(),
            cancelled: HashSet::new(),
            called: Vec::new(),
            seed: 0,
            count: 0,
            inbox: Vec::new(),
            messages: 0,
            shape,
            registered: Instant::now(),
        }
    }

    /// Begins a history: what went before is forgotten, but for the names by which late repetitions are known.
    pub fn begin(&mut self, seed: u64) {
        self.seed = seed;
        self.count = 0;
        self.ladder.clear();
        self.steps.clear();
        self.asked.clear();
        self.strays.clear();
        self.cancelled.clear();
        let branches = self.served.drain().map(|(branch, _)| branch);
        self.old.extend(branches);
        while self.old.len() > 400 {
            self.old.pop_front();
        }
    }

    /// A name nothing else in this history has.
    pub fn fresh(&mut self) -> String {
        self.count += 1;
        format!("{:x}.{}", self.seed, self.count)
    }

    /// Sends a request of which the oracle has spoken.
    pub fn send(&mut self, port: Port, request: Request, ruling: Ruling, plan: Plan) -> Tx {
        let step = self.fresh();
        let branch = format!("z9hG4bK{step}");
        self.steps.insert(step.clone(), Step { ruling, plan, arrived: Vec::new() });
        self.asked.insert(branch.clone(), Asked { port, request: request.clone(), answers: Vec::new() });
        let tx = Tx { port, branch, step, request };
        self.put(&tx);
        tx
    }

    fn put(&mut self, tx: &Tx) {
        let (at, tcp) = (self.sockets.shown(tx.port), self.sockets.is_tcp(tx.port));
        let bytes = tx.request.bytes(at, tcp, &tx.branch, &tx.step);
        self.ladder.sent(self.sockets.who(tx.port), &bytes);
        self.messages += 1;
        self.sockets.send(tx.port, &bytes);
    }

    /// Sends on the branch of another request: a CANCEL, the ACK to a failure.
    pub fn send_on(&mut self, port: Port, request: &Request, branch: &str) {
        let tx = Tx { port, branch: branch.to_owned(), step: String::new(), request: request.clone() };
        self.put(&tx);
    }

    /// This socket may hear an answer on this branch.
    pub fn may_hear(&mut self, port: Port, branch: String) {
        self.strays.insert((port, branch));
    }

    /// Bytes as they stand, on a branch that another sent.
    pub fn send_raw(&mut self, port: Port, bytes: &[u8], branch: &str) {
        self.strays.insert((port, branch.to_owned()));
        self.ladder.sent(self.sockets.who(port), bytes);
        self.sockets.send(port, bytes);
    }

    /// The final response, once all that the request led to has arrived.
    pub fn finish(&mut self, tx: &Tx) -> Play<Message> {
        let answer = self.answer(tx, 200)?;
        self.judge(tx, &answer)?;
        Ok(answer)
    }

    /// The first response with this status or a higher one.
    pub fn answer(&mut self, tx: &Tx, least: u16) -> Play<Message> {
        let (branch, start) = (tx.branch.clone(), Instant::now());
        let (mut repeat, method) = (start + REPEAT, tx.request.method.clone());
        loop {
            if let Some(asked) = self.asked.get(&branch)
                && let Some(answer) =
                    asked.answers.iter().find(|a| a.status() >= least && of_method(a, &method))
            {
                return Ok(answer.clone());
            }
            if start.elapsed() > PATIENCE {
                return Err(Broken(format!("no answer to {} {}", method, tx.request.uri)));
            }
            if Instant::now() > repeat && !self.sockets.is_tcp(tx.port) {
                repeat += REPEAT;
                self.put(tx);
            }
            self.pump(Duration::from_millis(100))?;
        }
    }

    /// Asks and judges.
    pub fn ask(&mut self, port: Port, request: Request, ruling: Ruling, plan: Plan) -> Play<(Tx, Message)> {
        let tx = self.send(port, request, ruling, plan);
        let answer = self.finish(&tx)?;
        Ok((tx, answer))
    }

    /// Sends what has no response, and waits until the exchange must be done with it.
    pub fn tell(&mut self, port: Port, request: Request, ruling: Ruling) -> Play<Tx> {
        let must = matches!(ruling, Ruling::Must(_));
        let tx = self.send(port, request, ruling, Plan::status(200));
        self.mark(port)?;
        let start = Instant::now();
        while must && self.arrivals(&tx).is_empty() {
            if start.elapsed() > PATIENCE {
                return Err(Broken(format!("{} {} did not arrive", tx.request.method, tx.request.uri)));
            }
            self.pump(Duration::from_millis(100))?;
        }
        Ok(tx)
    }

    /// An OPTIONS to the exchange from the same socket: once it is answered, what went before it has been dealt with.
    pub fn mark(&mut self, port: Port) -> Play {
        let name = self.fresh();
        let exchange = self.sockets.exchange();
        let request = Request {
            method: "OPTIONS".into(),
            uri: format!("sip:{exchange}"),
            from: format!("<sip:mark@{}>;tag={name}", self.sockets.at(port)),
            to: format!("<sip:{exchange}>"),
            call_id: name,
            cseq: 1,
            ..Request::default()
        };
        let tx = self.send(port, request, Ruling::Never, Plan::default());
        self.answer(&tx, 200).map(drop)
    }

    /// Ends the exchange and starts it again on the same data.
    pub fn restart(&mut self) -> Play {
        let code = self.exchange.stop();
        if code != Some(0) {
            return Err(Broken(format!("the exchange ended with {code:?}")));
        }
        self.exchange.restart();
        let exchange = self.sockets.exchange();
        self.sockets.connect(exchange);
        Ok(())
    }

    /// From now on this call may be taken back.
    pub fn allow_cancel(&mut self, call_id: &str) {
        self.cancelled.insert(call_id.to_owned());
    }

    /// What a request has led to.
    pub fn arrivals(&self, tx: &Tx) -> &[(Port, Message)] {
        self.steps.get(&tx.step).map_or(&[], |step| &step.arrived)
    }

    /// Says another answer than the plan had for one that waits.
    pub fn respond_later(&mut self, tx: &Tx, plan: Plan) -> Play {
        let Some((port, message)) = self.arrivals(tx).first().cloned() else {
            return Err(Broken("nothing waits for its answer".into()));
        };
        self.respond(port, message, &plan);
        Ok(())
    }

    fn judge(&mut self, tx: &Tx, answer: &Message) -> Play {
        let Some(step) = self.steps.get(&tx.step) else { return Ok(()) };
        let (arrived, what) = (step.arrived.len(), format!("{} {}", tx.request.method, tx.request.uri));
        match &step.ruling {
            Ruling::Must(place) if arrived == 0 => Err(Broken(format!(
                "{what} was to arrive at {:?} and got {}",
                self.sockets.who(place.port),
                answer.start
            ))),
            Ruling::Must(_) | Ruling::May(_)
                if arrived > 0 && answer.status() != step.plan.hears() && step.plan.status != 0 =>
            {
                Err(Broken(format!(
                    "{what} was to be answered {} and the caller heard {}",
                    step.plan.hears(),
                    answer.start
                )))
            }
            Ruling::Never if answer.status() < 300 => {
                Err(Broken(format!("{what} arrived nowhere, and yet got {}", answer.start)))
            }
            Ruling::Must(_) | Ruling::May(_) | Ruling::Never => Ok(()),
        }
    }

    /// Takes in what comes within the bound, at least one message if there is any.
    pub fn pump(&mut self, bound: Duration) -> Play {
        let mut inbox = std::mem::take(&mut self.inbox);
        self.sockets.read(bound, &mut inbox);
        let mut result = Ok(());
        for (port, bytes) in inbox.drain(..) {
            if result.is_ok() {
                result = self.take(port, &bytes);
            }
        }
        self.inbox = inbox;
        result
    }

    fn take(&mut self, port: Port, bytes: &[u8]) -> Play {
        // A keep-alive has no head.
        let Some(message) = Message::parse(bytes) else { return Ok(()) };
        self.messages += 1;
        self.ladder.got(self.sockets.who(port), bytes);
        if message.status() > 0 {
            self.take_response(port, message)
        } else {
            self.take_request(port, message)
        }
    }

    fn take_response(&mut self, port: Port, message: Message) -> Play {
        let branch = message.branch().unwrap_or_default().to_owned();
        let who = self.sockets.who(port);
        if self.strays.contains(&(port, branch.clone())) {
            return Ok(());
        }
        let Some(asked) = self.asked.get_mut(&branch) else {
            let late = !message.call_id().starts_with(&format!("{:x}.", self.seed));
            return if late {
                Ok(())
            } else {
                Err(Broken(format!("{who:?} got a response it did not ask for")))
            };
        };
        if asked.port != port {
            return Err(Broken(format!("{who:?} got a response to another's request")));
        }
        let repeats = (message.call_id(), message.cseq().0) == (&asked.request.call_id, asked.request.cseq)
            && message.tag("From") == trunkline_tests::param(&asked.request.from, "tag");
        if !repeats {
            return Err(Broken(format!("{who:?} got a response that speaks of another dialog")));
        }
        let fails = message.status() >= 300 && message.cseq().1 == "INVITE";
        let ack = Some(&asked.request).filter(|_| fails).map(|invite| Request {
            method: "ACK".into(),
            to: message.get("To").unwrap_or_default().to_owned(),
            contact: None,
            more: Vec::new(),
            ..invite.clone()
        });
        asked.answers.push(message);
        if let Some(ack) = ack {
            self.send_on(port, &ack, &branch);
        }
        Ok(())
    }
}

fn of_method(answer: &Message, method: &str) -> bool {
    answer.cseq().1 == method
}
