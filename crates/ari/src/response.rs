//! Replies as a client reads them.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::key::Key;
use crate::object::Object;

/// A reply of a proxy.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Response {
    /// The error as text; empty without one.
    pub error: String,
    /// The data, under one member that tells what it is.
    pub data: Option<Box<RawValue>>,
    /// The key of what was asked for or made.
    pub key: Option<Key>,
    /// The keys of a list.
    pub keys: Vec<Key>,
}

impl Response {
    /// Reads the body of a message.
    ///
    /// # Errors
    /// When it is not a reply.
    pub fn parse(body: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(body)
    }

    /// The data under `name`; `None` when there is none of that name.
    ///
    /// # Errors
    /// When the data is something else.
    pub fn data<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, serde_json::Error> {
        let object = self.data.as_deref().and_then(|data| Object::from_raw(data.get()));
        object.as_ref().and_then(|o| o.get(name)).map(serde_json::from_str).transpose()
    }
}

/// A log channel as proxies describe it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct LogData {
    /// The file or device.
    pub channel: String,
    /// What it takes.
    pub levels: String,
    /// What it is.
    pub types: String,
    /// Whether it is on.
    pub status: String,
}

/// A configuration object as proxies describe it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
#[non_exhaustive]
pub struct ConfigData {
    /// The module, such as `res_pjsip`.
    pub class: String,
    /// The type of object, such as `endpoint`.
    #[serde(rename = "Type")]
    pub object_type: String,
    /// Its id.
    pub name: String,
    /// Its attributes.
    pub fields: Vec<crate::model::ConfigTuple>,
}

/// One part of the file of a stored recording.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct FilePart {
    /// The recording.
    pub name: String,
    /// The media type of the file, such as `audio/x-wav`.
    pub content_type: String,
    /// Where the part begins, in bytes.
    pub offset: u64,
    /// The size of the whole file, in bytes.
    pub total: u64,
    /// The bytes, in base64.
    pub content: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_read() {
        let r = Response::parse(br#"{"error":"","data":{"config":{"Class":"c","Type":"t","Name":"n","Fields":[{"attribute":"a","value":"v"}]}}}"#).unwrap();
        let config: ConfigData = r.data("config").unwrap().unwrap();
        assert_eq!((config.class.as_str(), config.object_type.as_str(), config.fields.len()), ("c", "t", 1));
        assert!(r.data::<LogData>("log").unwrap().is_none());
        assert!(Response::parse(br#"{"error":""}"#).unwrap().keys.is_empty());
    }
}
