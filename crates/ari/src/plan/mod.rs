//! From a request to its REST calls: one function per resource group.

mod application;
mod asterisk;
mod bridge;
mod channel;
mod media;
mod originate;
mod state;

use std::borrow::Cow;

use crate::exchange::{Binding, Site};
use crate::json::JsonWriter;
use crate::key::KeyView;
use crate::kind::Kind;
use crate::object::{NotText, NotTexts, Object};
use crate::request::Request;
use crate::rest::{BadPath, Method, RestCall, shown};
use crate::shape::Entity;
use crate::subject::is_subject;

/// A request that is answered without asking Asterisk: the error text.
#[derive(Debug)]
pub(crate) struct Refusal(pub String);

impl From<NotText> for Refusal {
    fn from(error: NotText) -> Self {
        Refusal(error.to_string())
    }
}

impl From<NotTexts> for Refusal {
    fn from(error: NotTexts) -> Self {
        Refusal(error.to_string())
    }
}

impl From<BadPath> for Refusal {
    fn from(error: BadPath) -> Self {
        Refusal(error.to_string())
    }
}

/// The result of a request.
pub(crate) struct Plan<'a> {
    /// The first call; none when Asterisk has no part in it.
    pub call: Option<RestCall>,
    /// What to make of its answer.
    pub then: Then<'a>,
    /// How its errors read.
    pub fault: Fault<'a>,
    /// The things to bind to the request's dialog.
    pub bindings: Vec<Binding<'a>>,
    /// The thing that is no more when this succeeds: its event may be for another application.
    pub ends: Option<Binding<'a>>,
}

/// The treatment of a successful response.
pub(crate) enum Then<'a> {
    /// Success and nothing else.
    Empty,
    /// Success with a key.
    Key { kind: &'static str, id: Cow<'a, str>, dialog: Cow<'a, str> },
    /// The thing exists: its key.
    Get(&'static Entity, KeyView<'a>),
    /// The thing itself.
    Data(&'static Entity, KeyView<'a>),
    /// The keys of all things of a kind.
    List(&'static Entity),
    /// The log channel of that name out of the list.
    Log { entity: &'static Entity, key: KeyView<'a>, data: bool },
    /// A configuration object.
    Config { key: KeyView<'a>, class: String, object_type: String, name: String },
    /// The value of a variable.
    Variable,
    /// The answer as it stands, under this name.
    Named(&'static str),
    /// The answer is a file.
    File { name: Cow<'a, str> },
    /// The thing exists: go on.
    Check(Box<Result<Plan<'a>, Refusal>>),
}

/// The prefix of an error's text.
pub(crate) enum Fault<'a> {
    /// Nothing.
    Plain,
    /// Which thing's data could not be had.
    Data(&'static Entity, Cow<'a, str>),
    /// This text.
    Text(String),
}

impl Fault<'_> {
    pub(crate) fn text(&self, error: &str) -> String {
        match self {
            Fault::Plain => error.to_owned(),
            Fault::Data(entity, id) => {
                format!("failed to get data: Error getting data for {} '{id}': {error}", entity.label)
            }
            Fault::Text(text) => format!("{text}: {error}"),
        }
    }
}

type Planned<'a> = Result<Plan<'a>, Refusal>;

/// Plans `request`.
pub(crate) fn plan<'a>(request: &Request<'a>, site: &'a Site) -> Planned<'a> {
    let Some(kind) = request.kind() else { return Err(Refusal("Not implemented".to_owned())) };
    let dialog = request.key().map_or("", |k| &k.dialog);
    if !dialog.is_empty() && !is_subject(dialog) {
        return Err(Refusal(format!("`{}` cannot be a dialog: it is no NATS subject", shown(dialog))));
    }
    let ask = Ask { request, site, kind };
    let name = kind.name();
    let mut plan = if name.starts_with("Application") {
        application::plan(&ask)
    } else if name.starts_with("Asterisk") {
        asterisk::plan(&ask)
    } else if name.starts_with("Bridge") {
        bridge::plan(&ask)
    } else if name.starts_with("Channel") {
        channel::plan(&ask)
    } else if name.starts_with("Playback") || name.starts_with("Recording") || name.starts_with("Sound") {
        media::plan(&ask)
    } else {
        state::plan(&ask)
    }?;
    // Only a request with a dialog binds anything.
    let keep = |b: &Binding<'_>| !dialog.is_empty() && !b.kind.is_empty() && !b.id.is_empty();
    plan.bindings.retain(keep);
    if let Then::Check(next) = &mut plan.then
        && let Ok(next) = next.as_mut()
    {
        next.bindings.retain(keep);
    }
    Ok(plan)
}

/// A request being planned.
pub(crate) struct Ask<'r, 'a> {
    request: &'r Request<'a>,
    site: &'a Site,
    kind: Kind,
}

impl<'a> Ask<'_, 'a> {
    /// The key, with whatever id.
    fn key(&self, entity: &'static Entity) -> Result<KeyView<'a>, Refusal> {
        self.request.key().cloned().ok_or_else(|| missing_key(entity.key_label))
    }

    /// The key, which must have an id.
    fn named(&self, entity: &'static Entity) -> Result<KeyView<'a>, Refusal> {
        self.key(entity)
            .and_then(|k| if k.id.is_empty() { Err(missing_key(entity.key_label)) } else { Ok(k) })
    }

    /// The options, which the kind must have.
    fn option(&self) -> Result<Options<'a>, Refusal> {
        let name = self.kind.option();
        let object = self.request.option(name).ok_or_else(|| Refusal(format!("{name} is required")))?;
        Ok(Options(object))
    }

    /// GET the thing and return its data or, for `Get` kinds, its key.
    fn read(&self, entity: &'static Entity) -> Planned<'a> {
        let key = self.named(entity)?;
        let fault = Fault::Data(entity, key.id.clone());
        let call = entity_call(Method::Get, entity, &key.id, &[])?;
        let then =
            if self.kind.name().ends_with("Data") { Then::Data(entity, key) } else { Then::Get(entity, key) };
        Ok(Plan { call: Some(call), then, fault, bindings: Vec::new(), ends: None })
    }

    /// GET the collection and return its keys.
    fn list(&self, entity: &'static Entity) -> Planned<'a> {
        Ok(run(RestCall::new(Method::Get, entity.collection)?, Then::List(entity)))
    }

    /// GET the thing first, then go on with `next`.
    fn check(&self, entity: &'static Entity, next: impl FnOnce(&KeyView<'a>) -> Planned<'a>) -> Planned<'a> {
        let key = self.named(entity)?;
        let next = next(&key);
        let call = entity_call(Method::Get, entity, &key.id, &[])?;
        let then = Then::Check(Box::new(next));
        Ok(Plan {
            call: Some(call),
            then,
            fault: Fault::Data(entity, key.id),
            bindings: Vec::new(),
            ends: None,
        })
    }

    /// A call on the thing that only succeeds or fails.
    fn command(&self, method: Method, entity: &'static Entity, action: &[&str]) -> Planned<'a> {
        let key = self.named(entity)?;
        Ok(run(entity_call(method, entity, &key.id, action)?, Then::Empty))
    }

    /// As [`Self::command`], and the thing is no more.
    fn ending(&self, method: Method, entity: &'static Entity, action: &[&str]) -> Planned<'a> {
        let key = self.named(entity)?;
        Ok(run(entity_call(method, entity, &key.id, action)?, Then::Empty).ends(entity.kind, key.id))
    }

    /// A call on the thing with a body.
    fn command_with(
        &self,
        method: Method,
        entity: &'static Entity,
        action: &[&str],
        body: JsonWriter,
    ) -> Planned<'a> {
        let key = self.named(entity)?;
        Ok(run(entity_call(method, entity, &key.id, action)?.body(body), Then::Empty))
    }

    /// Nothing but binding the thing to the dialog.
    fn subscribe(&self, entity: &'static Entity) -> Planned<'a> {
        let key = self.key(entity)?;
        Ok(local(Then::Empty).bind(entity.kind, key.id))
    }
}

/// The call on one thing, `action` below it. Endpoints are technology and resource.
fn entity_call(method: Method, entity: &Entity, id: &str, action: &[&str]) -> Result<RestCall, BadPath> {
    let mut segments = Vec::with_capacity(6);
    segments.extend_from_slice(entity.collection);
    if entity.id.len() == 2 {
        // A name without a resource is asked for as it stands: Asterisk says that it has none.
        segments.extend(id.splitn(2, '/'));
    } else {
        segments.push(id);
    }
    segments.extend_from_slice(action);
    RestCall::new(method, &segments)
}

fn missing_key(label: &str) -> Refusal {
    Refusal(format!("{label} key not supplied"))
}

fn run<'a>(call: RestCall, then: Then<'a>) -> Plan<'a> {
    Plan { call: Some(call), then, fault: Fault::Plain, bindings: Vec::new(), ends: None }
}

fn local<'a>(then: Then<'a>) -> Plan<'a> {
    Plan { call: None, then, fault: Fault::Plain, bindings: Vec::new(), ends: None }
}

fn created<'a>(kind: &'static str, id: Cow<'a, str>) -> Then<'a> {
    Then::Key { kind, id, dialog: Cow::Borrowed("") }
}

impl<'a> Plan<'a> {
    fn bind(mut self, kind: &'static str, id: Cow<'a, str>) -> Self {
        self.bindings.push(Binding { kind: Cow::Borrowed(kind), id });
        self
    }

    fn ends(mut self, kind: &'static str, id: Cow<'a, str>) -> Self {
        self.ends = Some(Binding { kind: Cow::Borrowed(kind), id });
        self
    }

    fn fault(mut self, text: String) -> Self {
        self.fault = Fault::Text(text);
        self
    }
}

/// The options of a request.
pub(crate) struct Options<'a>(Object<'a>);

impl<'a> Options<'a> {
    fn text(&self, name: &'static str) -> Result<Cow<'a, str>, Refusal> {
        Ok(self.0.text(name)?)
    }

    /// Text, or texts joined by commas.
    fn list(&self, name: &'static str) -> Result<Cow<'a, str>, Refusal> {
        Ok(self.0.list(name)?)
    }

    fn text_or(&self, name: &'static str, default: &'static str) -> Result<Cow<'a, str>, Refusal> {
        Ok(or(self.text(name)?, default))
    }

    /// The raw value; `""` when absent.
    fn raw(&self, name: &str) -> &'a str {
        self.0.get(name).unwrap_or("\"\"")
    }

    fn optional(&self, name: &str) -> Option<&'a str> {
        self.0.get(name)
    }

    fn integer(&self, name: &str) -> i64 {
        self.0.integer(name)
    }

    fn inner(&self, name: &str) -> Option<Options<'a>> {
        self.0.object(name).map(Options)
    }
}

fn or<'a>(text: Cow<'a, str>, default: &'static str) -> Cow<'a, str> {
    if text.is_empty() { Cow::Borrowed(default) } else { text }
}
