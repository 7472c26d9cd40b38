//! Operations on resources: lists and single ones, and what Routr checks before it changes one.

use serde_json::Value;
use trunkline_model::dialect::v1::{Collection, Documents, Edition};
use trunkline_store::Write;

use crate::answer::{DEPENDENT, Outcome, UNFULFILLED, meta};
use crate::api::unix_seconds;
use crate::filter::Filter;
use crate::query::Query;
use crate::schema::{at, mistakes};
use crate::time::iso_8601;

/// Items of a page where nothing is said, in late editions.
const PER_PAGE: usize = 30;

/// What the operations look at.
pub(crate) struct Resources<'d> {
    pub documents: &'d Documents,
    pub edition: Edition,
    /// The creation and modification time that late editions show, ISO 8601.
    pub since: String,
}

impl Resources<'_> {
    /// The document as it is shown: without its secret, which is written and never read.
    fn shown(&self, document: &Value) -> Value {
        let mut shown = document.clone();
        if let Some(credentials) = shown.pointer_mut("/spec/credentials").and_then(Value::as_object_mut) {
            credentials.remove("secret");
        }
        if let Some(credentials) =
            shown.pointer_mut("/spec/regService/credentials").and_then(Value::as_object_mut)
        {
            credentials.remove("secret");
        }
        if let (Edition::Late, Some(metadata)) =
            (self.edition, shown.get_mut("metadata").and_then(Value::as_object_mut))
        {
            for name in ["createdOn", "modifiedOn"] {
                metadata.entry(name).or_insert_with(|| self.since.clone().into());
            }
        }
        shown
    }

    /// Those that pass the filter, or a page of them. The filter sees what is shown, so that nobody finds out a secret
    /// by asking whether it is this or that.
    pub fn list(&self, collection: Collection, query: &Query) -> Outcome {
        let all: Vec<Value> = self.documents.of(collection).iter().map(|one| self.shown(one)).collect();
        let all = Value::Array(all);
        let filter = Filter::parse(query.filter.as_deref().unwrap_or_default());
        match filter.and_then(|filter| filter.select(&all)) {
            Ok(items) => self.page(&items, query),
            Err(error) => {
                let message = match self.edition {
                    Edition::Rc2 => "Bad request".to_owned(),
                    Edition::Late => format!("Failed to parse filter: {error}"),
                };
                let payload = match self.edition {
                    Edition::Rc2 => Value::String(error.to_string()),
                    Edition::Late => Value::Array(Vec::new()),
                };
                Outcome { payload: Some(payload), ..Outcome::failed(400, message) }
            }
        }
    }

    /// A page of anything. Early editions know none, and list all where none is asked for.
    pub fn page(&self, items: &[&Value], query: &Query) -> Outcome {
        let cloned = |items: &[&Value]| Value::Array(items.iter().map(|one| (*one).clone()).collect());
        if self.edition == Edition::Rc2 && query.page.is_none() && query.items_per_page.is_none() {
            return Outcome::ok(cloned(items));
        }
        let number = |text: &Option<String>, default: usize| match text {
            Some(text) => text.trim().parse().ok(),
            None => Some(default),
        };
        let (Some(page), Some(per)) = (number(&query.page, 1), number(&query.items_per_page, PER_PAGE))
        else {
            return Outcome::failed(400, "Bad request");
        };
        let start = page.checked_sub(1).and_then(|before| before.checked_mul(per));
        let rest = start.and_then(|start| items.get(start..)).unwrap_or_default();
        let part = rest.get(..rest.len().min(per)).unwrap_or_default();
        Outcome { meta: Some(meta(page, per, items.len())), ..Outcome::ok(cloned(part)) }
    }

    /// One of a ref. Early editions had no such operation on files; here it is the same in both.
    pub fn get(&self, collection: Collection, reference: &str) -> Outcome {
        let found = match self.find(collection, reference) {
            Some(document) => Outcome::ok(self.shown(document)),
            None => Outcome::failed(404, "Not found"),
        };
        Outcome { always_200: true, ..found }
    }

    pub fn find(&self, collection: Collection, reference: &str) -> Option<&Value> {
        self.documents.of(collection).iter().find(|one| text(one, "metadata.ref") == Some(reference))
    }

    /// A new document: what is to be written, or what Routr says against it.
    pub fn create(&self, collection: Collection, body: &str) -> Result<Write, Outcome> {
        let mut document = self.read(collection, body)?;
        if let (Edition::Late, Some(said)) = (self.edition, self.schema(collection, &document)) {
            return Err(said);
        }
        if !self.fulfilled(collection, &document) {
            return Err(Outcome::failed(409, UNFULFILLED));
        }
        let own = text(&document, "metadata.ref");
        let of_any =
            |reference: &str| Collection::ALL.into_iter().any(|of| self.find(of, reference).is_some());
        if self.twin(collection, &document).is_some() || own.is_some_and(of_any) {
            return Err(self.exists());
        }
        self.stamp(&mut document, None);
        Ok(Write::Insert(collection, document))
    }

    fn exists(&self) -> Outcome {
        let message = match self.edition {
            Edition::Rc2 => "An attempt was made to create an object that already exists",
            Edition::Late => "Entity already exist",
        };
        Outcome::failed(409, message)
    }

    /// Sets the times of a document that is about to be written, in late editions.
    fn stamp(&self, document: &mut Value, stored: Option<&Value>) {
        if self.edition == Edition::Rc2 {
            return;
        }
        let now = iso_8601(i64::try_from(unix_seconds()).unwrap_or(i64::MAX));
        let created = stored.and_then(|stored| text(stored, "metadata.createdOn")).unwrap_or(&now).to_owned();
        if let Some(metadata) = document.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("createdOn".into(), created.into());
            metadata.insert("modifiedOn".into(), now.into());
        }
    }

    /// A changed document. The ref of the path names it; that of the body may be absent, and counts where the path
    /// has none.
    pub fn update(&self, collection: Collection, reference: &str, body: &str) -> Result<Write, Outcome> {
        let mut document = self.read(collection, body)?;
        let own = text(&document, "metadata.ref");
        let named = if reference.is_empty() { own.unwrap_or_default() } else { reference };
        let read_only = |path: &str| {
            Err(Outcome::failed(422, format!("$[0].{path}: is a readonly field, it cannot be changed")))
        };
        // Early editions found it by its name; by its ref first is what clients mean.
        let by_name = || self.twin(collection, &document).filter(|_| self.edition == Edition::Rc2);
        let Some(stored) = self.find(collection, named).or_else(by_name) else {
            return match self.edition {
                Edition::Rc2 => Err(Outcome::failed(404, "Not found")),
                Edition::Late => read_only("metadata.ref"),
            };
        };
        if self.edition == Edition::Late {
            let fixed: &[&str] = match collection {
                Collection::Agents => &["metadata.ref", "spec.credentials.username", "spec.domains"],
                Collection::Users => &["metadata.ref", "spec.credentials.username"],
                Collection::Domains => &["metadata.ref", "spec.context.domainUri"],
                Collection::Numbers => &["metadata.ref", "metadata.gwRef"],
                Collection::Gateways | Collection::Peers => &["metadata.ref"],
            };
            let changed = |path: &&&str| at(&document, path).is_some_and(|new| Some(new) != at(stored, path));
            if let Some(path) = fixed.iter().find(changed) {
                return read_only(path);
            }
            // What the body leaves out stays as it is.
            let mut merged = stored.clone();
            merge(&mut merged, &document);
            document = merged;
            if let Some(said) = self.schema(collection, &document) {
                return Err(said);
            }
        } else {
            keep_secret(&mut document, stored);
        }
        if !self.fulfilled(collection, &document) {
            return Err(Outcome::failed(409, UNFULFILLED));
        }
        // Another one may have the name that this one takes.
        let reference = text(stored, "metadata.ref").unwrap_or_default().to_owned();
        let twin = self.twin(collection, &document);
        if twin.is_some_and(|twin| text(twin, "metadata.ref") != Some(reference.as_str())) {
            return Err(self.exists());
        }
        self.stamp(&mut document, Some(stored));
        Ok(Write::Update(collection, reference, document))
    }

    /// One that is to go: not while others need it.
    pub fn remove(&self, collection: Collection, reference: &str) -> Result<Write, Outcome> {
        let needed =
            self.find(collection, reference).is_some_and(|document| self.needed(collection, document));
        if needed {
            return Err(Outcome::failed(409, DEPENDENT));
        }
        Ok(Write::Remove(collection, reference.to_owned()))
    }

    /// Reads a body: an object of the right kind.
    fn read(&self, collection: Collection, body: &str) -> Result<Value, Outcome> {
        let document: Value = serde_json::from_str(body).map_err(|_| Outcome::failed(400, "Bad request"))?;
        let kind = document["kind"].as_str().unwrap_or_default();
        match Collection::of_kind(kind) {
            _ if !document.is_object() => Err(Outcome::failed(400, "Bad request")),
            Some(of) if of == collection => Ok(document),
            Some(_) | None => Err(Outcome::failed(
                400,
                format!(
                    "Not a valid entity. `kind` must be: User, Agent, Peer, Domain, Gateway, {}",
                    Collection::Numbers.kind(self.edition)
                ),
            )),
        }
    }

    fn schema(&self, collection: Collection, document: &Value) -> Option<Outcome> {
        let said = mistakes(collection, document);
        (!said.is_empty()).then(|| Outcome::failed(422, said.join(", ")))
    }

    /// Is there everything it refers to?
    fn fulfilled(&self, collection: Collection, document: &Value) -> bool {
        let has = |of: Collection, path: &str, wanted: &str| {
            self.documents.of(of).iter().any(|one| text(one, path) == Some(wanted))
        };
        match collection {
            Collection::Agents => texts(document, "spec.domains")
                .all(|uri| has(Collection::Domains, "spec.context.domainUri", uri)),
            Collection::Numbers => text(document, "metadata.gwRef")
                .is_none_or(|gateway| has(Collection::Gateways, "metadata.ref", gateway)),
            Collection::Domains => ["didRef", "numberRef"]
                .iter()
                .filter_map(|name| text(document, &format!("spec.context.egressPolicy.{name}")))
                .all(|number| has(Collection::Numbers, "metadata.ref", number)),
            Collection::Users | Collection::Gateways | Collection::Peers => true,
        }
    }

    /// Another one of the same name.
    fn twin(&self, collection: Collection, document: &Value) -> Option<&Value> {
        let path = match collection {
            Collection::Users | Collection::Agents | Collection::Peers => "spec.credentials.username",
            Collection::Domains => "spec.context.domainUri",
            Collection::Gateways => "spec.host",
            Collection::Numbers => "spec.location.telUrl",
        };
        let same = |one: &&Value| {
            let shared = collection != Collection::Agents
                || texts(one, "spec.domains").any(|a| texts(document, "spec.domains").any(|b| a == b));
            shared && text(one, path).is_some() && text(one, path) == text(document, path)
        };
        // Late editions take a second gateway of a host.
        match (collection, self.edition) {
            (Collection::Gateways, Edition::Late) => None,
            _ => self.documents.of(collection).iter().find(same),
        }
    }

    /// Does another one refer to it?
    fn needed(&self, collection: Collection, document: &Value) -> bool {
        let any = |of: Collection, refers: &dyn Fn(&Value) -> bool| self.documents.of(of).iter().any(refers);
        match collection {
            Collection::Domains => {
                let uri = text(document, "spec.context.domainUri").unwrap_or_default();
                any(Collection::Agents, &|agent| texts(agent, "spec.domains").any(|domain| domain == uri))
            }
            Collection::Gateways => {
                let reference = text(document, "metadata.ref");
                any(Collection::Numbers, &|number| text(number, "metadata.gwRef") == reference)
            }
            Collection::Numbers => {
                let reference = text(document, "metadata.ref");
                any(Collection::Domains, &|domain| {
                    let policy = |name| text(domain, &format!("spec.context.egressPolicy.{name}"));
                    policy("numberRef") == reference || policy("didRef") == reference
                })
            }
            Collection::Users | Collection::Agents | Collection::Peers => false,
        }
    }
}

fn text<'v>(document: &'v Value, path: &str) -> Option<&'v str> {
    at(document, path).and_then(Value::as_str)
}

fn texts<'v>(document: &'v Value, path: &str) -> impl Iterator<Item = &'v str> {
    at(document, path).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// A document that comes back without the secret, as it is shown, has the secret it had.
fn keep_secret(document: &mut Value, stored: &Value) {
    for path in ["/spec/credentials", "/spec/regService/credentials"] {
        let Some(secret) = stored.pointer(path).and_then(|pair| pair.get("secret")) else { continue };
        let shown = document.pointer_mut(path).and_then(Value::as_object_mut);
        if let Some(pair) = shown.filter(|pair| !pair.contains_key("secret")) {
            pair.insert("secret".into(), secret.clone());
        }
    }
}

/// Lays one document over another; lists are replaced whole.
fn merge(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                merge(under.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over.clone(),
    }
}
