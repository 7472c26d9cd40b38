//! Asterisk's REST interface over NATS, without the network: keys, subjects, requests and replies
//! as ari-proxy 5.3 has them, every kind translated to its REST calls, events and dialogs.
//!
//! A proxy parses a [`Request`], starts an [`Exchange`] and makes the calls it asks for:
//!
//! ```
//! use trunkline_ari::{Exchange, Request, RestReply, Site, Step};
//!
//! let site = Site { app: "example".into(), node: "02:00:00:00:00:0a".into() };
//! let request = Request::parse(br#"{"kind":"ChannelAnswer","key":{"kind":"channel","id":"c1"}}"#)?;
//! let (mut exchange, step) = Exchange::start(&request, &site);
//! let Step::Call(call) = step else { panic!("Asterisk must be asked") };
//! assert_eq!((call.method.name(), call.path.as_str()), ("POST", "/channels/c1/answer"));
//!
//! let reply = RestReply { status: 204, reason: "No Content", content_type: "", body: b"" };
//! let Step::Done(outcome) = exchange.on_reply(&reply) else { panic!("that was all") };
//! assert_eq!(outcome.message, br#"{"error":""}"#);
//! # Ok::<(), trunkline_ari::RequestError>(())
//! ```
#![forbid(unsafe_code)]

pub mod base64;
mod dialog;
pub mod event;
mod exchange;
mod file;
pub mod header;
mod json;
mod key;
mod kind;
pub mod model;
mod object;
mod operation;
mod plan;
mod presence;
mod reply;
mod request;
mod response;
mod rest;
mod scan;
mod shape;
mod sighting;
mod subject;
mod ulid;

pub use dialog::Dialogs;
pub use event::{Event, EventType};
pub use exchange::{Binding, Exchange, Site, Step};
pub use file::FileParts;
pub use key::{Key, KeyView, kinds};
pub use kind::{Kind, UPSTREAM_KINDS};
pub use object::{NotText, NotTexts, Object, text_of};
pub use operation::{OPERATIONS, Operation};
pub use presence::{Announcement, Cluster, Member};
pub use reply::{Outcome, Refused};
pub use request::{OwnedRequest, Request, RequestError};
pub use response::{ConfigData, FilePart, LogData, Response};
pub use rest::{Method, RestCall, RestReply};
pub use sighting::{NotAnEvent, Sighting, with_dialog};
pub use subject::{CREATE_QUEUE, Class, DEFAULT_PREFIX, LISTEN_QUEUE, Subjects, is_subject};
pub use ulid::{Purpose, fresh, ulid};
