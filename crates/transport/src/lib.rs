//! Sockets and flows: UDP in batches, byte streams cut into messages, a shard's loop that polls them.
//!
//! A shard is one thread with sockets of its own on the shared addresses (SO_REUSEPORT), connections of its
//! own and a mailbox. What it receives goes to a [`Handler`]; the handler sends through [`Io`]. Nothing here
//! knows what SIP means beyond where a message ends.
//!
//! An [`Acceptor`], another thread, accepts TLS, WS and WSS connections, does their handshakes and hands them to the
//! shards. It does the handshakes of our own TLS connections, too.
#![deny(unsafe_code)]

mod acceptor;
mod clock;
mod connection;
mod half_read;
mod interfaces;
mod io;
mod lateness;
mod listener;
mod liveness;
mod load;
mod local_routes;
mod made;
mod mailbox;
mod names;
mod net;
mod per_source;
mod sending;
mod shard;
mod source;
mod streams;
mod stun;
mod tls;
mod trace;
mod udp;
mod upgrade;
mod want;
mod websocket;
mod wire;

pub use acceptor::{Acceptor, AcceptorMail, Dialer, RunningAcceptor};
pub use clock::clock_is_synchronised;
pub use connection::Closed;
pub use interfaces::Interfaces;
pub use io::{Alive, Counters, Egress, Io, Sent};
pub use lateness::Late;
pub use listener::{ListenError, Listener};
pub use load::Load;
pub use mailbox::{Mail, Mailbox, Mailboxes};
pub use names::HostName;
pub use net::Net;
pub use shard::{Handler, Shard, StreamLimits};
pub use source::{Sources, choose_local};
pub use tls::{
    Certificates, ClientAuth, SelfSigned, TlsError, TlsFailure, TlsSettings, certificates_in, check_pair,
    check_signers,
};
pub use udp::{BATCH, Drops, MOST_HEAVY, Receiver, SAMPLE, Sender, UdpSocket, keeps};
