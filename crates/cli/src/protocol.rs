//! The protocol of the Unix socket: one JSON object per line, a [`Request`] from the client, a [`Response`] to it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use trunkline_operations::{
    BanEntry, CallRecord, Descriptors, EventLines, EventQuery, ExplainQuery, Explained, ExplainedStep,
    Happened, Limit, LiveCall, Reachability, RecordQuery, Registration, Status, TraceQuery, TracedMessage,
    TracedMessages, TrunkRegistration,
};

/// A line may be this long: an import of a hundred thousand agents fits.
pub const MAX_LINE: u64 = 256 << 20;

/// A request of the command line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Request {
    /// A page of a kind; [`Response::Page`].
    List {
        /// The kind, singular or plural.
        kind: String,
        /// Only those with this text in ref, name, user name, number or host.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        filter: Option<String>,
        /// Only those behind this ref.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<String>,
        /// How many at most.
        limit: usize,
    },
    /// One resource; [`Response::Resource`].
    Get {
        /// The kind.
        kind: String,
        /// Its ref, or what it is called otherwise if that is unique: user name, host, number, name.
        name: String,
    },
    /// New or changed resources, all or none; [`Response::Changed`].
    Apply {
        /// Must they be new, or be there?
        mode: ApplyMode,
        /// Documents of the v2 dialect.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        texts: Vec<Text>,
        /// The same where no operator wrote them: errors name fields, not lines, and so show no secrets.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        documents: Vec<Value>,
        /// Resources as they were read: if one of them is another by now, nothing is changed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        seen: Vec<Seen>,
    },
    /// Fewer resources, all or none; [`Response::Changed`].
    Delete {
        /// Which.
        targets: Vec<Target>,
    },
    /// All resources as v2 YAML, secrets included; [`Response::Text`].
    Export,
    /// Resources from v2 documents, all or none; [`Response::Changed`].
    Import {
        /// The documents.
        texts: Vec<Text>,
        /// The treatment of existing resources.
        mode: ImportMode,
    },
    /// How the exchange is; [`Response::Status`].
    Status,
    /// List registrations; [`Response::Registrations`].
    Registrations {
        /// Only AORs and contacts with this text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        filter: Option<String>,
        /// How many at most: there may be a million.
        limit: usize,
    },
    /// Removes bindings; [`Response::Kicked`].
    Kick {
        /// The AOR, e.g. `sip:1001@sip.local`.
        aor: String,
        /// One contact only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        contact: Option<String>,
    },
    /// Calls that are up or ringing; [`Response::Calls`].
    Calls {
        /// Only those with this text in caller, callee, trunk or Call-ID.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        filter: Option<String>,
        /// How many at most.
        limit: usize,
    },
    /// Ends a call; [`Response::HungUp`].
    HangUp {
        /// The number of its record, or its Call-ID.
        call: String,
    },
    /// Refuses new calls, or takes them again; [`Response::Status`].
    Drain {
        /// Take them again.
        #[serde(default)]
        undo: bool,
    },
    /// Lists bans; [`Response::Bans`].
    Bans,
    /// Ends bans; [`Response::Bans`] with those that it ended.
    Unban {
        /// An IP address or a user.
        who: String,
    },
    /// Records of calls, the latest first; [`Response::Records`].
    Records(RecordQuery),
    /// Calls as they begin and end from now on; many [`Response::Happened`], the first one at once and then at least one every
    /// few seconds, until either side closes the connection.
    Follow(RecordQuery),
    /// Why calls ended as they did; [`Response::Explained`].
    Explain(ExplainQuery),
    /// Messages as they come and go from now on; many [`Response::Traced`], the first one at once and then at least one every
    /// second, until either side closes the connection.
    Trace(TraceQuery),
    /// Events; many [`Response::Events`], the first one at once. Those that are kept end with one that says so; of those from now on
    /// there is at least one every two seconds, until either side closes the connection.
    Events(EventQuery),
}

/// Must a resource be new?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ApplyMode {
    /// It must be new.
    Create,
    /// It must be there. A secret that the document leaves out stays.
    Update,
}

/// The treatment of existing resources in an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ImportMode {
    /// Same refs are replaced, the rest stays.
    Merge,
    /// Same refs are an error.
    Add,
    /// Delete resources that the import does not contain.
    Replace,
}

/// A resource at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Seen {
    /// Its kind.
    pub kind: String,
    /// Its ref.
    pub reference: String,
    /// Its version: it differs after each change, and says nothing else.
    pub version: String,
}

/// A text and what to call it in errors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Text {
    /// A file name, or what else the operator knows it by.
    pub name: String,
    /// The text.
    pub text: String,
}

/// A resource to delete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// The kind.
    pub kind: String,
    /// As in [`Request::Get`].
    pub name: String,
}

/// An answer to the command line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Response {
    /// A part of a list.
    Page {
        /// v2 documents without secrets.
        items: Vec<Value>,
        /// How many there are on all pages.
        total: usize,
        /// The `after` of the next page.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<String>,
    },
    /// One v2 document without secrets.
    Resource {
        /// The document.
        document: Value,
        /// What it is as of now, for [`Request::Apply`].
        #[serde(default)]
        seen: Seen,
    },
    /// The changes.
    Changed(Changed),
    /// A text.
    Text {
        /// The text.
        text: String,
    },
    /// How the exchange is.
    Status(Box<Status>),
    /// Registrations.
    Registrations {
        /// The bindings.
        items: Vec<Registration>,
    },
    /// How many bindings were removed.
    Kicked {
        /// How many.
        count: usize,
    },
    /// Calls that are up or ringing.
    Calls {
        /// The calls.
        items: Vec<LiveCall>,
    },
    /// The call that was ended, as it was.
    HungUp(Box<LiveCall>),
    /// Bans.
    Bans {
        /// The oldest first.
        items: Vec<BanEntry>,
    },
    /// Records of calls.
    Records {
        /// The records, the latest first.
        items: Vec<CallRecord>,
    },
    /// What a follower is told.
    Happened(Box<Happened>),
    /// Explained calls.
    Explained {
        /// The latest first.
        items: Vec<Explained>,
    },
    /// Messages.
    Traced(TracedMessages),
    /// Events.
    Events(EventLines),
    /// It could not be done.
    Failed {
        /// Why, and the way out.
        message: String,
        /// Is it a mistake in what was asked, rather than a trouble of the exchange?
        usage: bool,
    },
}

/// The effect of a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Changed {
    /// New resources.
    pub created: usize,
    /// Changed ones.
    pub updated: usize,
    /// Ones that were so already.
    pub unchanged: usize,
    /// Ones that went.
    pub deleted: usize,
    /// Warnings about resources that have no effect or allow more than may be intended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl Response {
    /// A trouble of the exchange.
    pub fn failed(message: impl Into<String>) -> Response {
        Response::Failed { message: message.into(), usage: false }
    }

    /// A mistake in what was asked.
    pub fn refused(message: impl Into<String>) -> Response {
        Response::Failed { message: message.into(), usage: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_a_line() {
        let request = Request::Get { kind: "agents".into(), name: "1001".into() };
        let line = serde_json::to_string(&request).expect("json");
        assert_eq!(line, r#"{"do":"get","kind":"agents","name":"1001"}"#);
        assert_eq!(serde_json::from_str::<Request>(&line).expect("read"), request);
        let records = Request::Records(RecordQuery { limit: 5, ..RecordQuery::default() });
        let line = serde_json::to_string(&records).expect("json");
        assert_eq!(line, r#"{"do":"records","limit":5}"#);
        assert_eq!(serde_json::from_str::<Request>(&line).expect("read"), records);
        let failed = serde_json::to_string(&Response::failed("no")).expect("json");
        assert_eq!(failed, r#"{"is":"failed","message":"no","usage":false}"#);
    }
}
