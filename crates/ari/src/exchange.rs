//! One request carried out: REST calls out, Asterisk's answers in, a reply at the end. Sans-IO.

use std::borrow::Cow;

use crate::file::FileParts;
use crate::json::{JsonWriter, write_text};
use crate::key::{KeyView, kinds};
use crate::object::{Object, each};
use crate::plan::{self, Fault, Plan, Refusal, Then};
use crate::reply::Outcome;
use crate::request::Request;
use crate::rest::{RestCall, RestReply};
use crate::shape::Entity;

/// Where a proxy stands: what it stamps on the keys it returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The ARI application.
    pub app: String,
    /// The Asterisk, by its entity id.
    pub node: String,
}

/// A thing whose events a dialog wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding<'a> {
    /// The kind of thing, as in keys.
    pub kind: Cow<'a, str>,
    /// Its id.
    pub id: Cow<'a, str>,
}

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Make this call and hand its answer to [`Exchange::on_reply`].
    Call(RestCall),
    /// Send this to the reply subject.
    Done(Outcome),
}

/// A request on its way.
pub struct Exchange<'a> {
    site: &'a Site,
    then: Then<'a>,
    fault: Fault<'a>,
    bindings: Vec<Binding<'a>>,
    ends: Option<Binding<'a>>,
    /// Asterisk does not know the thing.
    gone: bool,
}

impl<'a> Exchange<'a> {
    /// Starts `request` at `site`. The bindings are to be made before the first call, so that no
    /// event is missed, and undone when the outcome is not ok.
    #[must_use]
    pub fn start(request: &Request<'a>, site: &'a Site) -> (Self, Step) {
        match plan::plan(request, site) {
            Ok(Plan { call, then, fault, bindings, ends }) => {
                let mut exchange = Exchange { site, then, fault, bindings, ends, gone: false };
                let step = match call {
                    Some(call) => Step::Call(call),
                    None => {
                        exchange.finish(&RestReply { status: 200, reason: "", content_type: "", body: b"" })
                    }
                };
                (exchange, step)
            }
            Err(Refusal(text)) => {
                let exchange = Exchange {
                    site,
                    then: Then::Empty,
                    fault: Fault::Plain,
                    bindings: Vec::new(),
                    ends: None,
                    gone: false,
                };
                (exchange, Step::Done(Outcome::error(&text)))
            }
        }
    }

    /// The things to bind to the request's dialog.
    #[must_use]
    pub fn bindings(&self) -> &[Binding<'a>] {
        &self.bindings
    }

    /// The thing that is no more after this exchange, `outcome` being its end: the request ended it,
    /// or Asterisk does not know it any more.
    #[must_use]
    pub fn ended(&self, outcome: &Outcome) -> Option<&Binding<'a>> {
        self.ends.as_ref().filter(|_| outcome.ok || self.gone)
    }

    /// Asterisk answered the last call. The file that a call asks for may come piece by piece instead:
    /// see [`Self::on_file`].
    pub fn on_reply(&mut self, reply: &RestReply<'_>) -> Step {
        if !reply.is_success() {
            self.gone = reply.status == 404;
            return Step::Done(Outcome::refused(&self.fault.text(&reply.to_string()), reply));
        }
        self.finish(reply)
    }

    /// The last call, one for a file, succeeded: how its `total` bytes are cut into messages no longer
    /// than `limit`. `None` when the request is not one for a file.
    pub fn on_file(&mut self, content_type: &str, total: u64, limit: usize) -> Option<FileParts> {
        let Then::File { name } = &self.then else { return None };
        Some(FileParts::new(name.as_ref().to_owned(), content_type, total, limit))
    }

    /// The last call could not be made or was not answered.
    #[must_use]
    pub fn on_failure(&self, why: &str) -> Outcome {
        Outcome::error(&self.fault.text(&format!("failed to make request: {why}")))
    }

    fn finish(&mut self, reply: &RestReply<'_>) -> Step {
        match std::mem::replace(&mut self.then, Then::Empty) {
            Then::Check(next) => match *next {
                Ok(Plan { call, then, fault, bindings, ends }) => {
                    self.ends = ends;
                    self.then = then;
                    self.fault = fault;
                    self.bindings = bindings;
                    match call {
                        Some(call) => Step::Call(call),
                        None => self.finish(reply),
                    }
                }
                Err(Refusal(text)) => Step::Done(Outcome::error(&text)),
            },
            then => Step::Done(self.outcome(then, reply).unwrap_or_else(|e| {
                Outcome::error(&self.fault.text(&format!("failed to decode response: {e}")))
            })),
        }
    }

    fn outcome(&self, then: Then<'a>, reply: &RestReply<'_>) -> Result<Outcome, serde_json::Error> {
        let message = match then {
            Then::Empty | Then::Check(_) => br#"{"error":""}"#.to_vec(),
            Then::Key { kind, id, dialog } => {
                let key = self.stamp(kind, &id, &dialog);
                let mut w = reply_with_capacity(key.len());
                w.nested("key", |out| out.extend_from_slice(&key));
                w.finish()
            }
            Then::Get(entity, key) => {
                Object::parse(reply.body)?;
                let key = self.stamp(entity.kind, &key.id, &key.dialog);
                let mut w = reply_with_capacity(key.len());
                w.nested("key", |out| out.extend_from_slice(&key));
                w.finish()
            }
            Then::Data(entity, key) => self.data(entity, &key, &Object::parse(reply.body)?),
            Then::List(entity) => {
                return Ok(Outcome::success(self.keys(entity, reply.body)?));
            }
            Then::Log { entity, key, data } => {
                let mut found = None;
                each(reply.body, |item| {
                    if found.is_none() && entity.id_of(&item) == key.id {
                        found = Some(item);
                    }
                })?;
                let Some(item) = found else { return Ok(Outcome::error("not found")) };
                if data {
                    self.data(entity, &key, &item)
                } else {
                    return self
                        .outcome(Then::Key { kind: entity.kind, id: key.id, dialog: key.dialog }, reply);
                }
            }
            Then::Config { key, class, object_type, name } => {
                let fields: &serde_json::value::RawValue = serde_json::from_slice(reply.body)?;
                let key = self.stamp(kinds::CONFIG, &key.id, &key.dialog);
                let mut config = JsonWriter::with_capacity(reply.body.len() + 128);
                config
                    .nested("key", |out| out.extend_from_slice(&key))
                    .text("Class", &class)
                    .text("Type", &object_type)
                    .text("Name", &name)
                    .raw("Fields", fields.get());
                wrap("config", &config.finish())
            }
            Then::Variable => {
                let value = Object::parse(reply.body)?.get("value").unwrap_or_default();
                let mut data = JsonWriter::with_capacity(value.len() + 16);
                data.raw_unless_empty("variable", Some(value).filter(|v| *v != "\"\""));
                let mut w = reply_with_capacity(value.len());
                w.nested("data", |out| out.extend_from_slice(&data.finish()));
                w.finish()
            }
            Then::Named(name) => {
                let body: &serde_json::value::RawValue = serde_json::from_slice(reply.body)?;
                wrap(name, body.get().as_bytes())
            }
            Then::File { name } => {
                let total = reply.body.len() as u64;
                FileParts::new(name.into_owned(), reply.content_type, total, usize::MAX).whole(reply.body)
            }
        };
        Ok(Outcome::success(message))
    }

    fn data(&self, entity: &Entity, key: &KeyView<'_>, object: &Object<'_>) -> Vec<u8> {
        let key = self.stamp(entity.kind, &key.id, &key.dialog);
        let mut out = Vec::with_capacity(512);
        out.extend_from_slice(b"{\"error\":\"\",\"data\":{\"");
        out.extend_from_slice(entity.data.as_bytes());
        out.extend_from_slice(b"\":");
        entity.write(&mut out, &key, object);
        out.extend_from_slice(b"}}");
        out
    }

    /// The keys of the things in Asterisk's list. What has no id is no thing.
    fn keys(&self, entity: &Entity, list: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
        let empty = br#"{"error":""}"#;
        let mut out = Vec::with_capacity(512);
        out.extend_from_slice(b"{\"error\":\"\",\"keys\":[");
        let head = out.len();
        each(list, |item| {
            let id = entity.id_of(&item);
            if id.is_empty() {
                return;
            }
            if out.len() > head {
                out.push(b',');
            }
            out.extend_from_slice(&self.stamp(entity.kind, &id, ""));
        })?;
        if out.len() == head {
            return Ok(empty.to_vec());
        }
        out.extend_from_slice(b"]}");
        Ok(out)
    }

    /// A key at this site.
    fn stamp(&self, kind: &str, id: &str, dialog: &str) -> Vec<u8> {
        let mut w = JsonWriter::with_capacity(96 + id.len());
        w.text_unless_empty("kind", kind)
            .text_unless_empty("id", id)
            .text_unless_empty("node", &self.site.node)
            .text_unless_empty("dialog", dialog)
            .text_unless_empty("app", &self.site.app);
        w.finish()
    }
}

fn reply_with_capacity(bytes: usize) -> JsonWriter {
    let mut w = JsonWriter::with_capacity(bytes + 32);
    w.text("error", "");
    w
}

/// `{"error":"","data":{NAME:VALUE}}`
pub(crate) fn wrap(name: &str, value: &[u8]) -> Vec<u8> {
    let mut w = reply_with_capacity(value.len() + name.len());
    w.nested("data", |out| {
        out.push(b'{');
        write_text(out, name);
        out.push(b':');
        out.extend_from_slice(value);
        out.push(b'}');
    });
    w.finish()
}
