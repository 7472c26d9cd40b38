//! The router: who calls, may they, where to.
//!
//! [`decide`] is a plain function without I/O. It looks at one [`Request`] out of dialog, asks what it has to know
//! ([`Question`]) and leaves the decision in a [`Decision`], with the facts that led to it. Who answers ([`Ask`]) is the caller's
//! affair: the tables of this process at once ([`Question::answer`]), another process over the network by way of a [`Known`]
//! table, a table in a test. Counters, digests and bindings belong to others, so the same request and the same answers always
//! give the same decision.
//!
//! ```
//! use trunkline_model::{Agent, Authenticate, Domain, Ref, Tables};
//! use trunkline_routing::{Answer, Ask, Binding, BindingsQuestion, NoAnswer, Options, Outcome, Decision, Question, Request, decide};
//! use trunkline_sip::{ConnectionId, Flow, Index, Limits, Message, Transport};
//!
//! let mut tables = Tables::default();
//! let mut domain = Domain::new("domain-01", "sip.local");
//! domain.authenticate = Authenticate::Never;
//! tables.put(domain);
//! tables.put(Agent::new("agent-01", "1001", Some(Ref::new("domain-01"))));
//! tables.put(Agent::new("agent-02", "1002", Some(Ref::new("domain-01"))));
//!
//! let bytes = b"INVITE sip:1002@sip.local SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\n\
//!     From: <sip:1001@sip.local>;tag=1\r\nTo: <sip:1002@sip.local>\r\nCall-ID: 7\r\nCSeq: 1 INVITE\r\n\r\n";
//! let mut index = Index::default();
//! index.parse(bytes, &Limits::default())?;
//! let flow = Flow {
//!     transport: Transport::Udp,
//!     local: "192.0.2.1:5060".parse()?,
//!     remote: "192.0.2.7:5060".parse()?,
//!     connection: ConnectionId::NONE,
//! };
//! let options = Options { default_domain: "sip.local".into(), ..Options::default() };
//! let request = Request::new(Message::new(bytes, &index), flow, &options, &|_| false, 0)?;
//!
//! struct Here<'s>(&'s Tables);
//! impl<'s> Ask<'s> for Here<'s> {
//!     fn answer(&self, question: &Question<'_>) -> Result<Answer<'s>, NoAnswer> {
//!         question.answer(self.0).ok_or(NoAnswer::Unavailable)
//!     }
//!     fn bindings(&self, _: &BindingsQuestion<'_>, found: &mut dyn FnMut(Binding<'_>)) -> Result<(), NoAnswer> {
//!         found(Binding::new(b"sip:1002@192.0.2.8", 1));
//!         Ok(())
//!     }
//! }
//!
//! let mut decision = Decision::default();
//! decide(&request, &Here(&tables), &mut decision).expect("every answer is here");
//! assert_eq!(decision.outcome, Outcome::Forward);
//! let target = &decision.targets.as_slice()[0];
//! assert_eq!(decision.targets.text(target.uri), b"sip:1002@192.0.2.8");
//! assert_eq!(decision.added_headers(), b"X-Call-Direction: agent-to-agent\r\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod access;
mod ask;
mod call;
mod callee;
mod caller;
mod calls_out;
mod decision;
mod diversion;
mod e164;
mod egress;
mod encoded;
mod explain;
mod filter;
mod headers;
mod known;
mod local;
mod number;
mod outside;
mod parameters;
mod party;
mod referral;
mod register;
mod registered_at;
mod request;
mod rules;
mod spare;
mod target;
mod tenants;
mod wire;
mod withheld;

pub use ask::{Answer, Ask, Backend, BindingsQuestion, NoAnswer, Question, Verdict};
pub use decision::{Decision, Outcome};
pub use encoded::NoDecision;
pub use explain::Told;
pub use filter::{Passage, filter, has_commands};
pub use known::{Found, Kept, Known, Wanted, WantedBalance, WantedBindings};
pub use number::{is_number, is_separator};
pub use parameters::is_plain_uri;
pub use party::{Direction, Fallback, Parties, PartyName, Registrant, RoutedKind};
pub use referral::{
    Stay, ask_for_a_call, may_be_referred_to, may_be_said_by_another, names_replaced, stays_inside,
    tells_of_diversion,
};
pub use request::{
    Challenge, Diversion, Gruu, Inside, Options, Request, called_uri, named_elsewhere, named_in_to,
    put_called,
};
pub use rules::{Missing, decide};
pub use target::{Binding, NextHop, Target, Targets, Text};
pub use tenants::home_of;
