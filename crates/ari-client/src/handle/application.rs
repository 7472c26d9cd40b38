//! Applications.

use serde_json::{Value, json};
use trunkline_ari::{Kind, kinds, model};

use super::{collection, handle};
use crate::error::Error;

handle! {
    /// An ARI application.
    Application, kinds::APPLICATION
}

collection! {
    /// The applications of a cluster.
    Applications of Application, kinds::APPLICATION, model::Application as "application", ApplicationData, get ApplicationGet, list ApplicationList
}

impl Application {
    /// Subscribes it to a source: `channel:ID`, `bridge:ID`, `endpoint:TECH/RESOURCE`,
    /// `deviceState:NAME`.
    ///
    /// # Errors
    /// When the source does not exist.
    pub async fn subscribe_to(&self, source: &str) -> Result<(), Error> {
        let option = json!({"event_source": source});
        self.client.call_with(Kind::ApplicationSubscribe, &self.key, &option).await.map(drop)
    }

    /// Ends a subscription to a source.
    ///
    /// # Errors
    /// When there was none.
    pub async fn unsubscribe_from(&self, source: &str) -> Result<(), Error> {
        let option = json!({"event_source": source});
        self.client.call_with(Kind::ApplicationUnsubscribe, &self.key, &option).await.map(drop)
    }

    /// Says which events it wants; `allowed` and `disallowed` are lists of `{"type": …}`.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn filter(&self, allowed: Option<Value>, disallowed: Option<Value>) -> Result<(), Error> {
        let mut option = serde_json::Map::new();
        option.extend(allowed.map(|v| ("allowed".to_owned(), v)));
        option.extend(disallowed.map(|v| ("disallowed".to_owned(), v)));
        self.client.call_with(Kind::ApplicationFilter, &self.key, &option).await.map(drop)
    }

    /// Raises an event of one's own on a source, or on none.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn user_event(&self, name: &str, source: &str, variables: Value) -> Result<(), Error> {
        let option = json!({"eventname": name, "source": source, "userevent": variables});
        self.client.call_with(Kind::ApplicationUserEvent, &self.key, &option).await.map(drop)
    }
}
