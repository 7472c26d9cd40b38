//! Requests about resources, answered from a store.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use trunkline_model::dialect::v2;
use trunkline_model::document::{Source, nearest};
use trunkline_model::{Change, Kind, Ref, Resource, Tables};
use trunkline_store::{self as store, Query, Store, StoreError};

use crate::protocol::{ApplyMode, Changed, ImportMode, Response, Target, Text};

/// A page is at most this long, whatever is asked for.
const MAX_PAGE: usize = 1000;

pub(crate) fn list(
    store: &Store,
    kind: &str,
    filter: Option<String>,
    after: Option<String>,
    limit: usize,
) -> Response {
    let kind = match kind_of(kind) {
        Ok(kind) => kind,
        Err(message) => return Response::refused(message),
    };
    let limit = limit.clamp(1, MAX_PAGE);
    let query = Query { filter, after: after.map(Ref::from), limit, ..Query::all(kind) };
    let page = store::list(&store.live().snapshot(), &query);
    Response::Page {
        items: page.items.iter().map(shown).collect(),
        total: page.total,
        next: page.next.map(|next| next.to_string()),
    }
}

pub(crate) fn get(store: &Store, kind: &str, name: &str) -> Response {
    let tables = store.live().snapshot();
    match kind_of(kind).and_then(|kind| resolve(&tables, kind, name)) {
        Ok(resource) => Response::Resource { document: shown(&resource) },
        Err(message) => Response::failed(message),
    }
}

pub(crate) fn apply(store: &Store, mode: ApplyMode, texts: &[Text], documents: &[Value]) -> Response {
    let present = store.live().snapshot();
    let mut next = Tables::clone(&present);
    let change = |resource| match mode {
        ApplyMode::Create => Change::Create(resource),
        ApplyMode::Update => Change::Update(with_secrets(&present, resource)),
    };
    let changes = v2::apply(&mut next, &sources(texts), change).and_then(|mut changes| {
        changes.extend(v2::apply_json(&mut next, documents, change)?);
        Ok(changes)
    });
    let changes = match changes {
        Ok(changes) => changes,
        Err(report) => return Response::refused(report.to_string()),
    };
    let count = changes.len();
    match store.apply(changes) {
        Ok(()) => Response::Changed(match mode {
            ApplyMode::Create => Changed { created: count, ..Changed::default() },
            ApplyMode::Update => Changed { updated: count, ..Changed::default() },
        }),
        Err(error) => Response::failed(error.to_string()),
    }
}

pub(crate) fn delete(store: &Store, targets: &[Target]) -> Response {
    let tables = store.live().snapshot();
    let mut changes = Vec::with_capacity(targets.len());
    for target in targets {
        match kind_of(&target.kind).and_then(|kind| resolve(&tables, kind, &target.name)) {
            Ok(resource) => changes.push(Change::Delete(resource.kind(), resource.reference().clone())),
            Err(message) => return Response::failed(message),
        }
    }
    let deleted = changes.len();
    match store.apply(changes) {
        Ok(()) => Response::Changed(Changed { deleted, ..Changed::default() }),
        Err(error) => Response::failed(error.to_string()),
    }
}

pub(crate) fn import(store: &Store, texts: &[Text], mode: ImportMode) -> Response {
    let mode = match mode {
        ImportMode::Merge => store::ImportMode::Merge,
        ImportMode::Add => store::ImportMode::Add,
        ImportMode::Replace => store::ImportMode::Replace,
    };
    match store.import(&sources(texts), mode) {
        Ok(done) => Response::Changed(Changed {
            created: done.created,
            updated: done.updated,
            unchanged: done.unchanged,
            deleted: done.deleted,
        }),
        Err(error @ (StoreError::Resources(_) | StoreError::NothingToImport)) => {
            Response::refused(error.to_string())
        }
        Err(error) => Response::failed(error.to_string()),
    }
}

pub(crate) fn counts(store: &Store) -> BTreeMap<String, usize> {
    let tables = store.live().snapshot();
    Kind::ALL.into_iter().map(|kind| (kind.plural().to_owned(), tables.count(kind))).collect()
}

fn sources(texts: &[Text]) -> Vec<Arc<Source>> {
    texts.iter().map(|text| Source::new(text.name.clone(), text.text.clone())).collect()
}

fn kind_of(text: &str) -> Result<Kind, String> {
    text.parse().map_err(|()| {
        let kinds: Vec<&str> = Kind::ALL.iter().map(|kind| kind.plural()).collect();
        format!("`{text}` is no kind of resource: {}", kinds.join(", "))
    })
}

/// Finds a resource by its ref, or by what it is called otherwise.
fn resolve(tables: &Tables, kind: Kind, name: &str) -> Result<Resource, String> {
    if let Some(resource) = tables.get(kind, name) {
        return Ok(resource);
    }
    // Titles are for people, who do not mind capitals.
    let called = |title: &str| title.eq_ignore_ascii_case(name);
    let is = |resource: &Resource| match resource {
        Resource::AccessControlList(r) => called(&r.name),
        Resource::Credentials(r) => called(&r.name) || r.username == name,
        Resource::Trunk(r) => called(&r.name) || r.inbound_uri.as_deref() == Some(name),
        Resource::Number(r) => called(&r.name) || r.tel_url == name || r.digits() == name,
        Resource::Domain(r) => called(&r.name) || called(&r.domain_uri),
        Resource::Agent(r) => {
            let in_domain = |(user, host): (&str, &str)| {
                let domain = r.domain.as_ref().and_then(|d| tables.domain_by_ref(d));
                r.username == user && domain.is_some_and(|d| d.domain_uri.eq_ignore_ascii_case(host))
            };
            r.username == name || called(&r.name) || name.rsplit_once('@').is_some_and(in_domain)
        }
        Resource::Peer(r) => r.username == name || called(&r.name) || r.aor.as_deref() == Some(name),
        Resource::User(r) => r.username == name || called(&r.name),
    };
    let mut found: Vec<Resource> = tables.of_kind(kind).into_iter().filter(is).collect();
    match (found.pop(), found.pop()) {
        (Some(one), None) => Ok(one),
        (Some(one), Some(other)) => Err(format!(
            "several {} are called `{name}`: name one by its ref, e.g. {} or {}",
            kind.plural(),
            one.reference(),
            other.reference()
        )),
        (None, _) => {
            let all = tables.of_kind(kind);
            let names = all.iter().flat_map(|r| [r.name(), r.reference().as_str()]);
            let meant = nearest(name, names);
            Err(match meant {
                Some(meant) => format!("there is no {kind} `{name}`; do you mean `{meant}`?"),
                None => format!("there is no {kind} `{name}`: `trunkline {} list` shows all", kind.plural()),
            })
        }
    }
}

/// A resource as it may be shown: without its secrets.
fn shown(resource: &Resource) -> Value {
    let mut document = v2::to_json(resource);
    match resource {
        Resource::Credentials(_) => {
            if let Some(pair) = document.pointer_mut("/spec/credentials").and_then(Value::as_object_mut) {
                pair.remove("password");
            }
        }
        Resource::User(_) => {
            if let Some(spec) = document.get_mut("spec").and_then(Value::as_object_mut) {
                spec.remove("passwordHash");
                for token in spec.get_mut("tokens").and_then(Value::as_array_mut).into_iter().flatten() {
                    token.as_object_mut().map(|token| token.remove("hash"));
                }
            }
        }
        Resource::AccessControlList(_)
        | Resource::Trunk(_)
        | Resource::Number(_)
        | Resource::Domain(_)
        | Resource::Agent(_)
        | Resource::Peer(_) => {}
    }
    document
}

/// A changed resource with the secrets it had where it brings none: what is shown has none and may come back.
fn with_secrets(present: &Tables, resource: Resource) -> Resource {
    match resource {
        Resource::Credentials(mut new) if new.password.is_empty() => {
            if let Some(old) = present.credentials_by_ref(&new.reference) {
                Arc::make_mut(&mut new).password.clone_from(&old.password);
            }
            new.into()
        }
        Resource::User(mut new) => {
            if let Some(old) = present.user_by_ref(&new.reference) {
                let new = Arc::make_mut(&mut new);
                new.password_hash = new.password_hash.take().or_else(|| old.password_hash.clone());
                for token in new.tokens.iter_mut().filter(|token| token.hash.is_empty()) {
                    if let Some(known) = old.tokens.iter().find(|known| known.name == token.name) {
                        token.hash.clone_from(&known.hash);
                    }
                }
            }
            new.into()
        }
        other => other,
    }
}
