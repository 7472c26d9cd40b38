//! Handles: objects of Asterisk and their operations.

mod application;
mod asterisk;
mod bridge;
mod channel;
mod media;
mod state;

pub use application::{Application, Applications};
pub use asterisk::{Asterisk, Config, Logging, Module, Modules};
pub use bridge::{Bridge, Bridges};
pub use channel::{Channel, Channels};
pub use media::{
    LiveRecording, LiveRecordings, Playback, Playbacks, Sounds, StoredFile, StoredRecording,
    StoredRecordings, WrittenFile,
};
pub use state::{DeviceState, DeviceStates, Endpoint, Endpoints, Mailbox, Mailboxes};

use std::future::Future;
use std::pin::Pin;

use crate::client::Client;
use crate::error::Error;

/// Something prepared at the proxy and not done yet: its handle can be subscribed to before
/// [`Staged::exec`] does it.
pub struct Staged<H> {
    /// The thing that will be made.
    pub handle: H,
    exec: Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>,
}

impl<H> Staged<H> {
    fn new(handle: H, exec: impl Future<Output = Result<(), Error>> + Send + 'static) -> Self {
        Staged { handle, exec: Box::pin(exec) }
    }

    /// Does it.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn exec(self) -> Result<H, Error> {
        self.exec.await?;
        Ok(self.handle)
    }
}

/// A handle: a key and the client that acts on it.
macro_rules! handle {
    ($(#[$meta:meta])* $handle:ident, $kind:expr) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub struct $handle {
            client: $crate::client::Client,
            key: trunkline_ari::Key,
        }

        impl $handle {
            /// A handle on `key`; whether the thing exists is not asked.
            #[must_use]
            pub fn new(client: &$crate::client::Client, mut key: trunkline_ari::Key) -> Self {
                key.kind = $kind.to_owned();
                $handle { client: client.clone(), key }
            }

            /// Where and what it is.
            #[must_use]
            pub fn key(&self) -> &trunkline_ari::Key {
                &self.key
            }

            /// Its id.
            #[must_use]
            pub fn id(&self) -> &str {
                &self.key.id
            }

            #[allow(dead_code, reason = "not every kind of thing needs it")]
            pub(crate) fn client(&self) -> &$crate::client::Client {
                &self.client
            }

            /// The same thing with its events copied to `dialog`.
            #[must_use]
            pub fn in_dialog(mut self, dialog: impl Into<String>) -> Self {
                self.key.dialog = dialog.into();
                self
            }
        }
    };
}

/// Operations on a handle that take nothing and only succeed or fail.
macro_rules! commands {
    ($($(#[$meta:meta])* $name:ident => $kind:ident;)*) => {
        $(
            $(#[$meta])*
            ///
            /// # Errors
            /// When Asterisk or the proxy refuses.
            pub async fn $name(&self) -> Result<(), $crate::error::Error> {
                self.client.call(trunkline_ari::Kind::$kind, &self.key).await.map(drop)
            }
        )*
    };
}

/// The methods of every collection: the list, a handle, a checked handle, the data.
macro_rules! collection {
    ($(#[$meta:meta])* $collection:ident of $handle:ident, $kind:expr, $data:ty as $member:literal, $data_kind:ident $(, get $get:ident)? $(, list $list:ident)?) => {
        $(#[$meta])*
        pub struct $collection<'c>(pub(crate) &'c $crate::client::Client);

        impl $collection<'_> {
            /// A handle on `key`; whether the thing exists is not asked.
            #[must_use]
            pub fn handle(&self, key: trunkline_ari::Key) -> $handle {
                $handle::new(self.0, key)
            }

            $(
                /// A handle on the thing `key` names, which exists.
                ///
                /// # Errors
                /// When it does not exist.
                pub async fn get(&self, key: trunkline_ari::Key) -> Result<$handle, $crate::error::Error> {
                    let handle = $handle::new(self.0, key);
                    let response = self.0.call(trunkline_ari::Kind::$get, &handle.key).await?;
                    Ok($handle::new(self.0, $crate::client::Client::key_of(response)?))
                }
            )?

            $(
                /// The keys of all, on every node that matches `filter`.
                ///
                /// # Errors
                /// When no proxy told its part.
                pub async fn list(&self, filter: &trunkline_ari::Key) -> Result<$crate::Listing, $crate::error::Error> {
                    self.0.list(trunkline_ari::Kind::$list, filter, None::<&()>).await
                }
            )?
        }

        impl $handle {
            /// What Asterisk knows of it.
            ///
            /// # Errors
            /// When it does not exist.
            pub async fn data(&self) -> Result<$data, $crate::error::Error> {
                self.client.data(trunkline_ari::Kind::$data_kind, &self.key, $member).await
            }
        }
    };
}

/// Subscribing to a handle: events of its id, after binding it to the dialog when it has one.
macro_rules! subscribe {
    ($handle:ident, $kind:ident) => {
        impl $handle {
            /// Its events. With a dialog, those of everything bound to the dialog.
            ///
            /// # Errors
            /// When the subscription cannot be made.
            pub async fn subscribe(
                &self,
                types: &[trunkline_ari::EventType],
            ) -> Result<$crate::Subscription, $crate::error::Error> {
                // First the subscription, then the binding: no event falls between.
                let mut key = self.key.clone();
                if !key.dialog.is_empty() {
                    key.id.clear();
                }
                let subscription = self.client.subscribe(&key, types).await?;
                let bound = self.client.call(trunkline_ari::Kind::$kind, &self.key).await;
                match bound {
                    Err(error) if !self.key.dialog.is_empty() => Err(error),
                    _ => Ok(subscription),
                }
            }
        }
    };
}

pub(crate) use {collection, commands, handle, subscribe};

impl Client {
    /// Applications.
    #[must_use]
    pub fn application(&self) -> Applications<'_> {
        Applications(self)
    }

    /// Asterisk itself, on the node of `key` (any when it names none).
    #[must_use]
    pub fn asterisk(&self, key: trunkline_ari::Key) -> Asterisk {
        Asterisk::new(self, key)
    }

    /// Bridges.
    #[must_use]
    pub fn bridge(&self) -> Bridges<'_> {
        Bridges(self)
    }

    /// Channels.
    #[must_use]
    pub fn channel(&self) -> Channels<'_> {
        Channels(self)
    }

    /// Device states.
    #[must_use]
    pub fn device_state(&self) -> DeviceStates<'_> {
        DeviceStates(self)
    }

    /// Endpoints.
    #[must_use]
    pub fn endpoint(&self) -> Endpoints<'_> {
        Endpoints(self)
    }

    /// Recordings being made.
    #[must_use]
    pub fn live_recording(&self) -> LiveRecordings<'_> {
        LiveRecordings(self)
    }

    /// Mailboxes.
    #[must_use]
    pub fn mailbox(&self) -> Mailboxes<'_> {
        Mailboxes(self)
    }

    /// Playbacks.
    #[must_use]
    pub fn playback(&self) -> Playbacks<'_> {
        Playbacks(self)
    }

    /// Sounds.
    #[must_use]
    pub fn sound(&self) -> Sounds<'_> {
        Sounds(self)
    }

    /// Recordings on disk.
    #[must_use]
    pub fn stored_recording(&self) -> StoredRecordings<'_> {
        StoredRecordings(self)
    }
}
