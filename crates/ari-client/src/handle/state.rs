//! Device states, endpoints, mailboxes.

use serde_json::json;
use trunkline_ari::{Key, Kind, kinds, model};

use super::{collection, commands, handle};
use crate::bus::Listing;
use crate::error::Error;
use crate::options::{Message, Refer};

handle! {
    /// The state of a device.
    DeviceState, kinds::DEVICE_STATE
}

collection! {
    /// The device states that applications control, in a cluster.
    DeviceStates of DeviceState, kinds::DEVICE_STATE, model::DeviceState as "device_state", DeviceStateData, get DeviceStateGet, list DeviceStateList
}

impl DeviceState {
    commands! {
        /// Forgets it.
        delete => DeviceStateDelete;
    }

    /// Sets it, such as `INUSE`. Only devices named `Stasis:…` can be set.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn update(&self, state: &str) -> Result<(), Error> {
        self.client.call_with(Kind::DeviceStateUpdate, &self.key, &json!({"state": state})).await.map(drop)
    }
}

handle! {
    /// An endpoint, `TECH/RESOURCE`.
    Endpoint, kinds::ENDPOINT
}

collection! {
    /// The endpoints of a cluster.
    Endpoints of Endpoint, kinds::ENDPOINT, model::Endpoint as "endpoint", EndpointData, get EndpointGet, list EndpointList
}

impl Endpoints<'_> {
    /// The endpoints of a technology, such as `PJSIP`.
    ///
    /// # Errors
    /// When no proxy told its part.
    pub async fn list_by_tech(&self, filter: &Key, technology: &str) -> Result<Listing, Error> {
        self.0.list(Kind::EndpointListByTech, filter, Some(&json!({"tech": technology}))).await
    }

    /// Sends a text message to any URI.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn send_message(&self, at: &Key, message: Message) -> Result<(), Error> {
        self.0.call_with(Kind::EndpointSendMessage, at, &message).await.map(drop)
    }

    /// Asks any endpoint to call somebody else.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn refer(&self, at: &Key, refer: Refer) -> Result<(), Error> {
        self.0.call_with(Kind::EndpointRefer, at, &refer).await.map(drop)
    }
}

impl Endpoint {
    /// Sends it a text message.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn send_message(&self, message: Message) -> Result<(), Error> {
        self.client.call_with(Kind::EndpointSendMessageTo, &self.key, &message).await.map(drop)
    }

    /// Asks it to call somebody else.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn refer(&self, refer: Refer) -> Result<(), Error> {
        self.client.call_with(Kind::EndpointReferTo, &self.key, &refer).await.map(drop)
    }
}

handle! {
    /// A mailbox.
    Mailbox, kinds::MAILBOX
}

collection! {
    /// The mailboxes of a cluster.
    Mailboxes of Mailbox, kinds::MAILBOX, model::Mailbox as "mailbox", MailboxData, get MailboxGet, list MailboxList
}

impl Mailbox {
    commands! {
        /// Removes it.
        delete => MailboxDelete;
    }

    /// Sets how many messages are in it.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn update(&self, old: u32, new: u32) -> Result<(), Error> {
        self.client
            .call_with(Kind::MailboxUpdate, &self.key, &json!({"new": new, "old": old}))
            .await
            .map(drop)
    }
}
