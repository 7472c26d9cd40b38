//! The router: who calls, may they, where to.
//!
//! [`Route`] is a step machine without I/O. It looks at one [`Request`] out of dialog, says what it has to know
//! ([`Step::Need`] with a [`Lookup`]), takes the [`Answer`] and goes on until the decision stands in a [`Plan`].
//! Who answers is the driver's affair: the tables of this process at once ([`Lookup::answer`]), another process
//! over the network, a table in a test. Counters, digests and bindings belong to others, so the same request and
//! the same answers always give the same plan.
//!
//! ```
//! use trunkline_model::{Agent, Authenticate, Domain, Ref, Tables};
//! use trunkline_routing::{Answer, Binding, Lookup, Options, Outcome, Plan, Request, Route, Step};
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
//! let mut plan = Plan::default();
//! let mut route = Route::default();
//! let mut step = route.start(&request, &mut plan);
//! while let Step::Need(lookup) = step {
//!     let answer = match lookup.answer(&tables, &plan) {
//!         Some(answer) => answer,
//!         None => match lookup {
//!             Lookup::Bindings { .. } => {
//!                 plan.targets.push_binding(Binding::new(b"sip:1002@192.0.2.8", 1));
//!                 Answer::Found(true)
//!             }
//!             _ => Answer::Unavailable,
//!         },
//!     };
//!     step = route.step(&request, &mut plan, answer);
//! }
//! assert_eq!(plan.outcome, Outcome::Forward);
//! let target = &plan.targets.as_slice()[0];
//! assert_eq!(plan.targets.text(target.uri), b"sip:1002@192.0.2.8");
//! assert_eq!(plan.added_headers(), b"X-Call-Direction: agent-to-agent\r\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod access;
mod callee;
mod caller;
mod diversion;
mod e164;
mod egress;
mod explain;
mod headers;
mod link;
mod local;
mod lookup;
mod number;
mod parameters;
mod party;
mod plan;
mod register;
mod request;
mod route;
mod target;
mod tenants;
mod turn;

pub use access::OTHER_TARGET;
pub use explain::Fact;
pub use lookup::{Answer, Backend, Lookup, Step, Verdict};
pub use party::{Direction, Party};
pub use plan::{Outcome, Plan};
pub use request::{Diversion, Gruu, Inside, Options, Request};
pub use route::Route;
pub use target::{Binding, NextHop, Target, Targets, Text};
