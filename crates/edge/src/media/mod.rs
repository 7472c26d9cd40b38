//! Media of calls: relayed by rtpengine where the operator set one, refused where it cannot work without.
//!
//! A message whose SDP is to be replaced waits for rtpengine's answer (`suspended.rs`). A request finds its new body in
//! [`Relayed`] then (one INVITE may need two, for browsers and for phones); a response is rewritten before it is taken up
//! again.
//!
//! A first INVITE gets the number of its dialogs here, before it has a transaction: everything that is relayed for it goes by
//! that number, and by the tag of the callee.

mod answers;
mod ask;
mod body;
mod call;
mod hang_up;
mod multipart;
mod name;
mod relayed;
mod requests;
mod responses;
mod silence;

pub(crate) use answers::{Answers, Awaited, Leg};
pub(crate) use body::{around_sdp, put_length, sdp_of};
pub(crate) use relayed::Relayed;
pub(crate) use requests::{Offered, Relaying, of, put_refusal};
