//! The media relay: rtpengine, spoken to by its NG protocol, stands between endpoints that do not understand each
//! other (WebRTC's ICE and DTLS-SRTP against plain RTP), and hides their addresses from each other.
//!
//! * [`carriage`], [`Party`], [`Direction`]: what an SDP says of its sender, and what a relay has to change.
//! * [`Session`]: one call. It turns each message with SDP into a [`Command`], or into none.
//! * [`Relay`]: the thread that speaks to rtpengine (`rtpengine` in the settings). It never makes its callers wait.
//! * [`Ng`], [`Value`]: the protocol without a socket.
//! * [`incompatible`], [`WARNING`]: without a relay, which calls get 488 and what it says.
//!
//! # How an edge calls this
//!
//! A message whose SDP is to be replaced waits outside, as a request waits for a name to be resolved: its bytes are
//! kept under a ticket, the shard goes on, the relay's callback posts the outcome to the shard's mailbox, and the
//! message is taken up again with the new body. A repetition of a waiting message is dropped.
//!
//! | in the edge | what | then |
//! | --- | --- | --- |
//! | first INVITE is routed, targets are known | without relay: [`incompatible`] for the caller's SDP and the target | all targets incompatible: 488 with `Warning: `[`WARNING`]; some: those are left out |
//! | same, with relay | [`Session::new`], [`Session::on_request`]`(Caller, Invite, sdp)` | the offer's outcome replaces the body before the branches are built |
//! | a 1xx or 2xx to an INVITE goes upstream | [`Session::on_response`] | the outcome replaces the body before it is sent and before it is kept for repetitions |
//! | re-INVITE, UPDATE, PRACK, ACK inside the dialog | [`Session::on_request`] with the side it comes from | as above; an ACK without SDP goes through |
//! | their responses | [`Session::on_response`] | as above |
//! | BYE, CANCEL, best final response ≥ 300 to the first INVITE, no answer, the call's limit | [`Session::end`] | [`Relay::tell`]; nothing waits |
//! | the outcome is an error | [`MediaError::status`] | a request gets that status; a 2xx is forwarded as it is and the call ended with BYE by whom it does not suit; a 1xx goes without SDP |
//!
//! The new body's length goes into Content-Length; its type stays `application/sdp`. Call-ID and tags are only what the
//! relay knows the call by: two calls may have the same, so that who calls this finds a session by other means, and gives
//! names that no other call has. Each callee of a fork has a session of its own, a copy of the one at the first INVITE. When
//! a forked INVITE goes to browsers and to phones at once, each sort has a branch of its own.
//!
//! ```
//! use trunkline_media::{Command, Direction, Method, Party, Session, Side};
//!
//! let offer = b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 0\r\n";
//! let mut session = Session::new(b"call@host", b"tag", Party::Phone, Party::of_transport(true), None);
//! let Some(Command::Offer(d)) = session.on_request(Side::Caller, Method::Invite, Some(offer)) else { panic!() };
//! assert_eq!(d.direction, Direction::PhoneToWeb);
//! ```
#![forbid(unsafe_code)]

mod bencode;
mod command;
mod direction;
mod error;
mod ng;
mod relay;
#[cfg(test)]
mod samples;
mod sdp;
mod session;

pub use bencode::{BencodeError, Value};
pub use command::{Command, Description};
pub use direction::{Direction, Party, WARNING, incompatible};
pub use error::MediaError;
pub use ng::{Asker, MOST_WAITING, Ng, Now, Outcome, TIMEOUT};
pub use relay::{Relay, RelayHealth};
pub use sdp::{Carriage, carriage, is_webrtc};
pub use session::{Method, Session, Side};
