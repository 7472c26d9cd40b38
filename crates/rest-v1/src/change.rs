//! Changes to resources: checked as Routr checks them, then made by the data provider.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use serde_json::Value;
use trunkline_model::dialect::v1::{Collection, Documents, Edition};
use trunkline_model::document::{Reading, Source, entries};
use trunkline_store::{Write, WriteError};

use crate::answer::{CHANGED, OK, Outcome, READ_ONLY_STORE, not_found};
use crate::api::{Api, Shared};
use crate::multipart::file_in;
use crate::resources::Resources;
use crate::version::Expected;

/// A change is checked and made again if another program changed the documents meanwhile, this often at most.
const TRIES: usize = 3;

/// Documents of one file, at most.
const MOST_AT_ONCE: usize = 1000;

/// No document of a file is begun later: an answer that says what was written must arrive before the listener gives up.
const LONGEST: Duration = Duration::from_secs(20);

/// A checked change: the document to write, or the reason for a refusal.
type Checked = Result<Write, Outcome>;

/// The collection of a path. Users have no endpoint in any edition.
pub(crate) fn collection_of(name: &str) -> Option<Collection> {
    Collection::of_name(name).filter(|collection| *collection != Collection::Users)
}

impl Api {
    /// Checks a change of a document and makes it, if the document is as the request expects.
    async fn change_if(
        self: &Arc<Self>,
        name: &str,
        expected: &Expected,
        check: impl Fn(&Resources<'_>, Collection) -> Checked,
    ) -> Response {
        self.change(name, |resources, collection| {
            let write = check(resources, collection)?;
            let reference = match &write {
                Write::Update(_, reference, _) | Write::Remove(_, reference) => reference,
                Write::Insert(..) => return Ok(write),
            };
            match expected.admits(&self.site.tokens, resources.find(collection, reference)) {
                true => Ok(write),
                false => Err(Outcome::failed(412, CHANGED)),
            }
        })
        .await
    }

    /// Checks a change and makes it.
    async fn change(
        self: &Arc<Self>,
        name: &str,
        check: impl Fn(&Resources<'_>, Collection) -> Checked,
    ) -> Response {
        let Some(collection) = collection_of(name) else { return not_found() };
        let outcome = self.made(collection, check).await;
        self.answer(outcome)
    }

    async fn made(
        self: &Arc<Self>,
        collection: Collection,
        check: impl Fn(&Resources<'_>, Collection) -> Checked,
    ) -> Outcome {
        let _changing = self.changing.lock().await;
        let mut outcome = Outcome::failed(409, CHANGED);
        for _ in 0..TRIES {
            let documents = self.site.provider.documents();
            let write = match check(&self.resources(&documents), collection) {
                Ok(write) if self.site.provider.is_writable() => write,
                Ok(_) => return Outcome::failed(405, READ_ONLY_STORE),
                Err(outcome) => return outcome,
            };
            match self.write(collection, write, documents).await {
                Ok(done) => return done,
                Err(changed) => outcome = changed,
            }
        }
        outcome
    }

    /// Makes a change; an error is the answer if another program goes on changing the documents.
    async fn write(
        self: &Arc<Self>,
        collection: Collection,
        write: Write,
        seen: Arc<Documents>,
    ) -> Result<Outcome, Outcome> {
        let (status, message, removes) = match &write {
            Write::Insert(..) => (201, "Created", false),
            Write::Update(..) => (200, OK, false),
            Write::Remove(..) => (200, OK, true),
        };
        let api = self.clone();
        let edition = self.site.provider.edition();
        Ok(match tokio::task::spawn_blocking(move || api.site.provider.write(write, &seen)).await {
            Ok(Ok(reference)) => {
                tracing::info!(%reference, ?collection, "{} over REST", if removes { "deleted" } else { "written" });
                let payload = (!removes).then(|| reference.into());
                Outcome { payload, ..Outcome::failed(status, message) }
            }
            Ok(Err(error @ WriteError::Changed)) => return Err(refused(error, edition)),
            Ok(Err(error)) => refused(error, edition),
            Err(error) => failed(error.to_string(), edition),
        })
    }
}

/// A change that the provider did not make, in the words of an edition.
pub(crate) fn refused(error: WriteError, edition: Edition) -> Outcome {
    match (error, edition) {
        (WriteError::ReadOnly, _) => Outcome::failed(405, READ_ONLY_STORE),
        (WriteError::NotFound, _) => Outcome::failed(404, "Not found"),
        (WriteError::Changed, _) => Outcome::failed(409, CHANGED),
        (WriteError::Unusable(why), Edition::Rc2) => {
            Outcome { payload: Some(why.into()), ..Outcome::failed(400, "Bad request") }
        }
        (WriteError::Unusable(why), Edition::Late) => Outcome::failed(422, why),
        (WriteError::Refused { status, message }, _) => Outcome::failed(status, message),
        (WriteError::Unavailable(why), edition) => failed(why, edition),
    }
}

pub(crate) fn failed(why: String, edition: Edition) -> Outcome {
    tracing::warn!("a change over REST was not made: {why}");
    match edition {
        Edition::Rc2 => {
            let message = "The execution of the service failed";
            Outcome { payload: Some(why.into()), ..Outcome::failed(500, message) }
        }
        Edition::Late => Outcome { payload: Some(Value::Array(Vec::new())), ..Outcome::failed(500, why) },
    }
}

pub(crate) async fn create(
    State(api): Shared,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let form = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if form.starts_with("multipart/form-data") {
        return create_all(&api, &name, form, &body).await;
    }
    api.change(&name, |resources, collection| resources.create(collection, &body)).await
}

/// A file of many: each is made by itself. Early editions answer a line for each, late ones one word for all.
async fn create_all(api: &Arc<Api>, name: &str, form: &str, body: &str) -> Response {
    let Some(collection) = collection_of(name) else { return not_found() };
    if !api.site.provider.is_writable() {
        return api.answer(Outcome::failed(405, READ_ONLY_STORE));
    }
    let Some(text) = file_in(form, body) else { return api.answer(Outcome::failed(400, "Bad request")) };
    let reading = Reading::default();
    let found = entries(&Source::new("file", text), &reading);
    if found.is_empty() || reading.errors() > 0 {
        return api.answer(Outcome::failed(400, "Bad request"));
    }
    if found.len() > MOST_AT_ONCE {
        let message = format!("{} documents, more than {MOST_AT_ONCE}: send them in parts", found.len());
        return api.answer(Outcome::failed(413, message));
    }
    let (mut lines, mut good) = (Vec::with_capacity(found.len()), true);
    let (start, count) = (Instant::now(), found.len());
    for (n, node) in found.into_iter().enumerate() {
        if start.elapsed() > LONGEST {
            lines
                .push(format!("{} of {count} were not written for want of time: send them again", count - n));
            good = false;
            break;
        }
        let body = node.to_json().to_string();
        let outcome = api.made(collection, |resources, of| resources.create(of, &body)).await;
        good &= outcome.status == 201;
        lines.push(outcome.message);
    }
    api.answer(match api.site.provider.edition() {
        Edition::Rc2 => Outcome::failed(if good { 201 } else { 400 }, lines.join("\n")),
        Edition::Late if good => Outcome::failed(200, "done"),
        Edition::Late => Outcome::failed(400, lines.join("\n")),
    })
}

pub(crate) async fn update(
    State(api): Shared,
    Path((name, reference)): Path<(String, String)>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let update = |resources: &Resources<'_>, of| resources.update(of, &reference, &body);
    api.change_if(&name, &Expected::of(&headers), update).await
}

/// The ref is in the body.
pub(crate) async fn update_unnamed(
    State(api): Shared,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let update = |resources: &Resources<'_>, of| resources.update(of, "", &body);
    api.change_if(&name, &Expected::of(&headers), update).await
}

pub(crate) async fn remove(
    State(api): Shared,
    Path((name, reference)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let remove = |resources: &Resources<'_>, of| resources.remove(of, &reference);
    api.change_if(&name, &Expected::of(&headers), remove).await
}

pub(crate) async fn remove_unnamed(State(api): Shared, Path(name): Path<String>) -> Response {
    api.change(&name, |resources, collection| resources.remove(collection, "")).await
}
