//! Control any channel on any Asterisk of a cluster, over NATS through ari-proxy's or Trunkline's
//! proxies; or one Asterisk directly.
//!
//! # A voice menu in five minutes
//!
//! 1. Give Asterisk an ARI user (`http.conf`: `enabled=yes`; `ari.conf`: a section with `type=user` and
//!    `password=…`) and a dialplan that hands calls to the application:
//!    `exten => 700,1,Stasis(menu)`.
//! 2. Start `nats-server`, and a proxy beside Asterisk:
//!    `ARI_APPLICATION=menu ARI_USERNAME=… ARI_PASSWORD=… trunkline ari-proxy`. For one Asterisk neither is
//!    needed: `Client::builder().direct(AriConfig::new("http://127.0.0.1:8088/ari", user, password))`.
//! 3. `cargo add trunkline-ari-client` and `cargo add tokio --features full`, then this program, started with
//!    `ARI_APPLICATION=menu`:
//!
//! ```no_run
//! use std::time::Duration;
//! use trunkline_ari_client::{
//!     Client, Error, Incoming, Play, Prompt, PromptEnd, Record, RecordUntil, audio,
//! };
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Error> {
//!     let client = Client::from_env().await?;
//!     client.ready(Duration::from_secs(10)).await?;
//!     // Of all instances of the program, one gets a call.
//!     client
//!         .listen(|call| async move {
//!             if let Err(error) = menu(call).await {
//!                 eprintln!("a call ended: {error}");
//!             }
//!         })
//!         .await
//! }
//!
//! async fn menu(mut call: Incoming) -> Result<(), Error> {
//!     call.answer().await?;
//!     let channel = &call.channel;
//!     let question = Prompt::new(Play::media(audio::sound("press-1")), 1)
//!         .attempts(3)
//!         .invalid(Play::media(audio::sound("invalid")));
//!     let answer = channel.prompt(question).await?;
//!     match (answer.digits.as_str(), answer.end) {
//!         (_, PromptEnd::HungUp) => return Ok(()),
//!         ("1", _) => {
//!             channel.play_and_wait(Play::media(audio::sound("hello-world"))).await?;
//!         }
//!         ("2", _) => {
//!             let options = Record { max_duration: Duration::from_secs(60), beep: true, ..Record::default() };
//!             let until = RecordUntil { options, digits: "#".to_owned() };
//!             let recorded = channel.record_until("", until).await?;
//!             println!("a message of {:?}: {}", recorded.duration, recorded.recording.id());
//!         }
//!         _ => {}
//!     }
//!     channel.hangup("normal").await
//! }
//! ```
//!
//! # Where things are
//!
//! A [`Client`] has collections ([`Client::channel`], [`Client::bridge`], …); they give handles
//! ([`Channel`], [`Bridge`], …), which are keys with a client. A [`Key`] names a thing and where it is: an
//! application on a node, that is on one Asterisk. A key without them asks all; lists then say what is
//! missing ([`Listing::is_complete`]).
//!
//! Events are a stream, typed, with Asterisk's own frame beside:
//!
//! ```no_run
//! # use trunkline_ari_client::{Client, Error, Event, EventType};
//! # async fn example(client: Client) -> Result<(), Error> {
//! let mut events = client.subscribe(&client.here(), &[EventType::ChannelDtmfReceived]).await?;
//! while let Some(received) = events.event().await {
//!     if let Event::ChannelDtmfReceived(dtmf) = received.event {
//!         println!("{} pressed {}", dtmf.channel.id, dtmf.digit);
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Rust 1.95 or later. What may grow is `#[non_exhaustive]`; options are structs with defaults, to be written
//! with `..Default::default()`.
#![forbid(unsafe_code)]

mod builder;
mod bus;
mod client;
mod copies;
mod direct;
mod error;
mod ext;
mod gather;
mod handle;
mod listen;
mod members;
mod nats;
mod options;
mod own;
mod sequence;
pub mod stream;
mod subscription;
mod words;

pub use builder::ClientBuilder;
pub use bus::Listing;
pub use client::{Client, REQUEST_TIMEOUT};
pub use error::{Error, Refusal};
pub use ext::{
    BridgeChange, BridgeMonitor, Match, PlayEnd, Prompt, PromptEnd, Prompted, RecordEnd, RecordUntil,
    Recorded, audio,
};
pub use handle::{
    Application, Applications, Asterisk, Bridge, Bridges, Channel, Channels, Config, DeviceState,
    DeviceStates, Endpoint, Endpoints, LiveRecording, LiveRecordings, Logging, Mailbox, Mailboxes, Module,
    Modules, Playback, Playbacks, Sounds, Staged, StoredFile, StoredRecording, StoredRecordings, WrittenFile,
};
pub use listen::Incoming;
pub use nats::{LOCAL_SERVER, NatsConfig, NatsError};
pub use options::{
    AddChannel, CreateChannel, Dtmf, ExternalMedia, Message, Originate, Play, Record, Refer, Snoop, Variables,
};
pub use sequence::Gap;
pub use subscription::{Delivered, Received, Subscription};
pub use trunkline_ari::{
    ConfigData, Event, EventType, Key, Kind, LogData, Member, OwnedRequest, Response, event, kinds, model,
};
pub use trunkline_ari_rest::AriConfig;
pub use words::{BridgeType, Control, Direction, Format, IfExists, TerminateOn};
