//! Control any channel on any Asterisk of a cluster, over NATS through ari-proxy's or Trunkline's
//! proxies; or one Asterisk directly.
//!
//! New calls go to one instance of an application; events reach everyone who listens.
//!
//! ```no_run
//! use trunkline_ari_client::{Client, Error};
//!
//! # async fn example() -> Result<(), Error> {
//! let client = Client::builder().application("example").url("nats://127.0.0.1:4222").connect().await?;
//! client
//!     .listen(|mut call| async move {
//!         if call.answer().await.is_ok() {
//!             let _ = call.channel.play("sound:hello-world").await;
//!         }
//!     })
//!     .await
//! # }
//! ```
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
    Modules, Playback, Playbacks, Sounds, Staged, StoredFile, StoredRecording, StoredRecordings,
};
pub use listen::Incoming;
pub use nats::{NatsConfig, NatsError};
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
