//! Requests about resources, answered from a store.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde_json::Value;
use trunkline_model::dialect::v2;
use trunkline_model::document::{Source, nearest};
use trunkline_model::{Change, Kind, Ref, Resource, Tables};
use trunkline_operations::version_of;
use trunkline_store::{self as store, Query, Store, StoreError};

use crate::protocol::{ApplyMode, Changed, ImportMode, Response, Seen, Target, Text};

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
        Ok(resource) => Response::Resource { document: shown(&resource), seen: seen(&resource) },
        Err(message) => Response::failed(message),
    }
}

/// A resource at this moment.
fn seen(resource: &Resource) -> Seen {
    Seen {
        kind: resource.kind().plural().to_owned(),
        reference: resource.reference().to_string(),
        version: version_of(resource),
    }
}

/// The resources that were seen, if they are still the same.
fn as_seen(tables: &Tables, all: &[Seen]) -> Result<Vec<Resource>, Response> {
    let mut unchanged = Vec::with_capacity(all.len());
    for old in all {
        let kind = kind_of(&old.kind).map_err(Response::refused)?;
        match tables.get(kind, &old.reference).filter(|now| seen(now) == *old) {
            Some(now) => unchanged.push(now),
            None => {
                let reference = Ref::from(old.reference.as_str());
                return Err(Response::failed(StoreError::Conflict { kind, reference }.to_string()));
            }
        }
    }
    Ok(unchanged)
}

pub(crate) fn apply(
    store: &Store,
    mode: ApplyMode,
    (texts, documents): (&[Text], &[Value]),
    seen: &[Seen],
) -> Response {
    let present = store.live().snapshot();
    let seen = match as_seen(&present, seen) {
        Ok(seen) => seen,
        Err(conflict) => return conflict,
    };
    // Arguments describe one thing, last; what else it needs is made for it.
    if let (ApplyMode::Create, Some(last)) = (mode, documents.last())
        && let Some(message) = already_there(&present, last)
    {
        return Response::refused(message);
    }
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
    let changed: Vec<Resource> = changes.iter().filter_map(Change::resource).cloned().collect();
    match store.apply_if(changes, &seen) {
        Ok(()) => {
            let warnings = changed.iter().flat_map(|resource| next.cautions_of(resource)).collect();
            Response::Changed(match mode {
                ApplyMode::Create => Changed { created: count, warnings, ..Changed::default() },
                ApplyMode::Update => Changed { updated: count, warnings, ..Changed::default() },
            })
        }
        Err(error) => Response::failed(error.to_string()),
    }
}

/// The error for a `create` of a resource that exists.
fn already_there(tables: &Tables, document: &Value) -> Option<String> {
    let field = |path: &str| document.pointer(path).and_then(Value::as_str);
    let kind = kind_of(field("/kind")?).ok()?;
    let domain = field("/spec/domainRef").map(Ref::from);
    let name = |path: &str| field(path).unwrap_or_default();
    let there: Option<&Ref> = match kind {
        Kind::Agent => {
            tables.agent(domain.as_ref(), name("/spec/username").as_bytes()).map(|found| &found.reference)
        }
        Kind::Peer => {
            tables.peer_by_username(name("/spec/username").as_bytes()).map(|found| &found.reference)
        }
        Kind::User => {
            tables.user_by_username(name("/spec/username").as_bytes()).map(|found| &found.reference)
        }
        Kind::Domain => {
            tables.domain_by_uri(name("/spec/context/domainUri").as_bytes()).map(|found| &found.reference)
        }
        Kind::Number => {
            tables.number_by_tel(name("/spec/location/telUrl").as_bytes()).map(|found| &found.reference)
        }
        Kind::Trunk | Kind::Credentials | Kind::AccessControlList => None,
    };
    let there = there.cloned().or_else(|| tables.get(kind, field("/ref")?).map(|r| r.reference().clone()))?;
    let title = [
        "/spec/username",
        "/spec/context/domainUri",
        "/spec/location/telUrl",
        "/spec/credentials/username",
        "/metadata/name",
    ];
    let title = title.into_iter().find_map(field).unwrap_or_else(|| there.as_str());
    let title = title.strip_prefix("tel:").unwrap_or(title);
    let one = match kind {
        Kind::AccessControlList => "access control list".to_owned(),
        other => other.as_str().to_lowercase(),
    };
    let exist = if kind == Kind::Credentials { "exist" } else { "exists" };
    let bare = title.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let named = if there.ends_with(&bare) { String::new() } else { format!(" (ref {there})") };
    Some(format!("{one} {title} {exist}{named}: use `{} update`", kind.plural()))
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
    let before = tables.cautions();
    match store.apply(changes) {
        Ok(()) => {
            // What leads nowhere now that it is gone.
            let warnings = new_cautions(&store.live().snapshot(), &before);
            Response::Changed(Changed { deleted, warnings, ..Changed::default() })
        }
        Err(error) => Response::failed(error.to_string()),
    }
}

/// The warnings that are new.
fn new_cautions(tables: &Tables, before: &[String]) -> Vec<String> {
    let before: HashSet<&String> = before.iter().collect();
    tables.cautions().into_iter().filter(|caution| !before.contains(caution)).collect()
}

pub(crate) fn import(store: &Store, texts: &[Text], mode: ImportMode) -> Response {
    let before = store.live().snapshot().cautions();
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
            warnings: new_cautions(&store.live().snapshot(), &before),
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
        format!("`{text}` is not a kind of resource: {}", kinds.join(", "))
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
            "several {} have the name `{name}`: use a ref, e.g. {} or {}",
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
                None => format!("there is no {kind} `{name}`: `trunkline {} list` lists all", kind.plural()),
            })
        }
    }
}

/// A resource as it may be shown: without its secrets, with the defaults that hold for it.
fn shown(resource: &Resource) -> Value {
    let mut document = v2::to_json_in_full(resource);
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
