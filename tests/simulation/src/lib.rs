//! The exchange in a world of virtual time: phones, carriers and links that fail, and what must hold whatever they do.
//!
//! One number makes one history: who is there, what they do when, which messages are lost, doubled or delayed. The same
//! number makes the same history again, byte for byte. [`invariants`] looks at what reaches the exchange and what leaves
//! it, and at nothing else. Neither the [`world`] nor the invariants know any code of the exchange: they speak SIP as
//! text. The one file that knows the exchange is [`exchange`].
#![forbid(unsafe_code)]

pub mod exchange;
pub mod history;
pub mod invariants;
pub mod ladder;
pub mod message;
#[path = "../../trust/rng.rs"]
pub mod rng;
pub mod world;
