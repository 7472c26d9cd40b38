//! The trait of a kind of resource, by which one set of functions serves all kinds.

use std::borrow::Cow;
use std::sync::Arc;

use prost_types::Struct;
use tonic::Status;
use trunkline_model::{Extended, Kind, Ref, Resource, Tables};

use crate::extended;
use crate::reasons::invalid;

/// A resource of the Connect API.
pub(crate) trait Connect: Clone + Into<Resource> + Send + Sync + Sized + 'static {
    /// Its message.
    type Message: Send + 'static;
    /// The request that creates one.
    type Create: Send + 'static;
    /// The request that changes one.
    type Update: Update + Send + 'static;

    /// Its kind.
    const KIND: Kind;

    /// The fields it can be found by, by their JSON names.
    const FIELDS: &'static [&'static str];

    /// A new one.
    fn make(request: Self::Create, reference: Ref) -> Result<Self, Status>;

    /// Changes what the request names.
    fn edit(&mut self, request: Self::Update) -> Result<(), Status>;

    /// As a message, with what it refers to in full.
    fn message(&self, view: &View<'_>) -> Self::Message;

    /// The value of one of [`Connect::FIELDS`].
    fn field(&self, name: &str) -> Field<'_>;

    /// Finds without looking at every resource, where there is an index for that field. It may find too many.
    fn indexed(tables: &Tables, name: &str, value: &str) -> Option<Vec<Arc<Self>>> {
        let _ = (tables, name, value);
        None
    }

    /// The resources of this kind.
    fn of(resource: &Resource) -> Option<&Arc<Self>>;
}

/// A request that names what it changes.
pub(crate) trait Update {
    /// The ref.
    fn reference(&self) -> &str;
}

/// With what eyes resources are looked at.
pub(crate) struct View<'a> {
    /// Where to find what they refer to.
    pub tables: &'a Tables,
    /// May passwords be seen?
    pub secrets: bool,
}

/// A value that resources are found by.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Field<'a> {
    /// There is none.
    Absent,
    /// A text.
    Text(Cow<'a, str>),
    /// A flag.
    Flag(bool),
    /// A number.
    Number(i64),
}

impl Field<'_> {
    /// Is it what was asked for?
    pub(crate) fn is(&self, wanted: &str) -> bool {
        match self {
            Field::Absent => false,
            Field::Text(text) => text == wanted,
            Field::Flag(flag) => wanted.parse() == Ok(*flag),
            Field::Number(number) => wanted.parse() == Ok(*number),
        }
    }
}

impl<'a> From<&'a str> for Field<'a> {
    fn from(text: &'a str) -> Field<'a> {
        Field::Text(text.into())
    }
}

impl<'a> From<&'a Option<String>> for Field<'a> {
    fn from(text: &'a Option<String>) -> Field<'a> {
        text.as_deref().map_or(Field::Absent, Field::from)
    }
}

impl<'a> From<&'a Option<Ref>> for Field<'a> {
    fn from(reference: &'a Option<Ref>) -> Field<'a> {
        reference.as_ref().map_or(Field::Absent, |r| Field::from(r.as_str()))
    }
}

/// The fields all kinds have; their own come behind.
macro_rules! fields {
    ($($own:literal),* $(,)?) => {
        &["ref", "name", "apiVersion", "createdAt", "updatedAt", $($own),*]
    };
}
pub(crate) use fields;

/// The value of a field all kinds have.
macro_rules! common_field {
    ($r:expr, $name:expr) => {
        match $name {
            "ref" => $crate::kind::Field::from($r.reference.as_str()),
            "name" => $crate::kind::Field::from($r.name.as_str()),
            "apiVersion" => $crate::kind::Field::from($r.api_version.as_str()),
            "createdAt" => $crate::kind::Field::Number($r.created_at),
            "updatedAt" => $crate::kind::Field::Number($r.updated_at),
            _ => $crate::kind::Field::Absent,
        }
    };
}
pub(crate) use common_field;

/// Seconds of Unix time as the messages have them.
pub(crate) fn seconds(time: i64) -> i32 {
    i32::try_from(time).unwrap_or(i32::MAX)
}

/// A ref in a request; an empty one is none.
pub(crate) fn reference(text: String) -> Option<Ref> {
    (!text.is_empty()).then(|| Ref::from(text))
}

/// A text in a request; an empty one is none.
pub(crate) fn filled(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// A bound or an override in a request: 0 and -1 are none.
pub(crate) fn positive(number: i32) -> Option<u32> {
    u32::try_from(number).ok().filter(|n| *n > 0)
}

/// A limit of contacts on the wire, where 0 would let nobody register.
pub(crate) fn contacts(limit: Option<u32>) -> i32 {
    limit.and_then(|n| i32::try_from(n).ok()).unwrap_or(-1)
}

/// An override of the expiry on the wire.
pub(crate) fn expiry(seconds: Option<u32>) -> i32 {
    seconds.and_then(|n| i32::try_from(n).ok()).unwrap_or(0)
}

/// The operator's data in a request.
pub(crate) fn extended(fields: Option<Struct>) -> Result<Option<Extended>, Status> {
    let read = |fields| {
        extended::from_proto(fields).ok_or_else(|| invalid("the extended must not hold infinity or NaN"))
    };
    fields.map(read).transpose()
}

/// The list of an update: an empty one changes nothing, one of empty entries empties it.
pub(crate) fn replacement<T: Default + PartialEq>(list: Vec<T>) -> Option<Vec<T>> {
    let nothing = T::default();
    if list.is_empty() {
        None
    } else if list.iter().all(|entry| *entry == nothing) {
        Some(Vec::new())
    } else {
        Some(list)
    }
}
