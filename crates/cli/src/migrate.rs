//! `trunkline migrate`: from a Routr v1 to a store of our own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;
use trunkline_config::{Challenge, Config, Env, Loaded};
use trunkline_model::dialect::v1::Collection;
use trunkline_model::dialect::v2;
use trunkline_model::document::Source;
use trunkline_model::{Authenticate, Kind, Resource, Tables};
use trunkline_store::{ImportMode, RoutrV1, Store, stored_configuration, verify_password};

use crate::command::{Common, Migrate};
use crate::connection::{access, load_once, stored};
use crate::run::Failure;
use crate::show::counted;
use crate::terminal::Terminal;

/// The migrated resources, with notes.
struct From {
    store: Store,
    /// Keys without an equivalent.
    without_equal: Vec<String>,
    /// The settings that go with the resources, as `trunkline.yaml` has them.
    settings: String,
    /// The requests to challenge in domains that challenge REGISTER only.
    calls: Authenticate,
}

/// Runs the command.
pub(crate) fn run(
    asked: &Migrate,
    common: &Common,
    env: &Env,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    Store::check_url(&asked.to).map_err(|error| Failure::Usage(error.to_string()))?;
    let mut from = open(asked, env)?;
    if !from.settings.is_empty() {
        from.settings = format!("data: {}\n{}", json!(asked.to), from.settings);
    }
    let tables = from.store.live().snapshot();
    if tables.is_empty() {
        return Err(Failure::Failed(format!(
            "there are no resources in {}: nothing was migrated",
            asked.from
        )));
    }
    let mut done = None;
    if !asked.dry_run {
        let config = Config::read(None, env).map_err(|report| Failure::Usage(report.to_string()))?.config;
        let to = Store::open_with(&asked.to, &access(&config));
        let to = to.map_err(|error| Failure::Failed(error.to_string()))?;
        let export = Source::new(&*asked.from, export(&from, &to));
        let imported = to.import(&[export], ImportMode::Merge);
        done = Some(imported.map_err(|error| Failure::Failed(format!("nothing was migrated:\n{error}")))?);
    }
    if common.json {
        let resources: Vec<_> = sorted(&tables)
            .map(
                |r| json!({"kind": r.kind().to_string(), "ref": r.reference().to_string(), "name": r.name()}),
            )
            .collect();
        let imported =
            done.map(|d| json!({"created": d.created, "updated": d.updated, "unchanged": d.unchanged}));
        let said = json!({
            "resources": resources, "withoutEqual": from.without_equal, "settings": from.settings,
            "to": asked.to, "done": imported,
        });
        return terminal.print(&format!("{said:#}\n"));
    }
    let mut text = String::new();
    for resource in sorted(&tables) {
        text += &format!(
            "{:<18} {:<28} {}\n",
            resource.kind().to_string(),
            resource.reference(),
            resource.name()
        );
    }
    for line in &from.without_equal {
        text += &format!("no equivalent: {line}\n");
    }
    if !from.settings.is_empty() {
        text += &format!("\nSettings for trunkline.yaml (passwords are not shown):\n\n{}\n", from.settings);
    }
    text += &match done {
        Some(done) => format!(
            "{} created, {} updated, {} unchanged in {}\n",
            done.created, done.updated, done.unchanged, asked.to
        ),
        None => format!("{} would be written to {}; nothing was changed\n", counts(&tables), asked.to),
    };
    terminal.print(&text)
}

/// All resources as they are written. A user whose password is what it was keeps the hash that is there: it would be
/// another one each time.
/// Writes the authentication of the configuration into the domains, so that the store is safe with any configuration.
fn export(from: &From, to: &Store) -> String {
    let (from, calls) = (&from.store, from.calls);
    let known = to.live().snapshot();
    let mut all: Vec<Resource> = sorted(&from.live().snapshot()).collect();
    let documents = match from {
        Store::RoutrV1(v1) => v1.documents(),
        Store::Files(_) | Store::Sqlite(_) | Store::Postgres(_) | Store::Memory(_) => return from.export(),
    };
    let secret = |username: &str| {
        let pairs = documents.of(Collection::Users).iter().map(|user| &user["spec"]["credentials"]);
        let mut of_user = pairs.filter(|pair| pair["username"].as_str() == Some(username));
        of_user.find_map(|pair| pair["secret"].as_str())
    };
    for resource in &mut all {
        if let Resource::Domain(domain) = resource
            && domain.authenticate == Authenticate::Register
        {
            Arc::make_mut(domain).authenticate = calls;
        }
        let Resource::User(user) = resource else { continue };
        let old =
            known.user_by_username(user.username.as_bytes()).and_then(|user| user.password_hash.clone());
        let same = |hash: &String| secret(&user.username).is_some_and(|secret| verify_password(secret, hash));
        if let Some(hash) = old.filter(same) {
            Arc::make_mut(user).password_hash = Some(hash);
        }
    }
    v2::to_yaml(&all)
}

/// Resources, those that others refer to first.
fn sorted(tables: &Tables) -> impl Iterator<Item = Resource> {
    let mut all: Vec<Resource> = tables.all().collect();
    all.sort_by(|a, b| (a.kind(), a.reference()).cmp(&(b.kind(), b.reference())));
    all.into_iter()
}

fn counts(tables: &Tables) -> String {
    let some = Kind::ALL.into_iter().filter(|kind| tables.count(*kind) > 0);
    let counts: Vec<String> = some.map(|kind| counted(tables.count(kind), kind.plural())).collect();
    counts.join(", ")
}

/// Opens what is to be migrated: a configuration of Routr v1, the folder of one, a folder of resources, a URL.
fn open(asked: &Migrate, env: &Env) -> Result<From, Failure> {
    let usage = |error: &dyn std::fmt::Display| Failure::Usage(error.to_string());
    let path = Path::new(&asked.from);
    let mut stored_warnings = Vec::new();
    let loaded = match configuration(path) {
        Some(file) => {
            let mut warn = |warning| stored_warnings.push(warning);
            let load = |file: &Path| load_once(Some(file), env, &mut warn);
            let loaded = where_it_starts(path, &file, load).map_err(|error| usage(&error))?;
            Some(loaded.map_err(|report| usage(&report))?)
        }
        None => None,
    };
    let (url, access, mut without_equal, settings, calls) = match loaded {
        Some(loaded) => {
            if loaded.routr_v1.is_none() {
                return Err(Failure::Usage(format!("{} is not a configuration of Routr v1", asked.from)));
            }
            let url = within(path, loaded.config.store_url());
            let calls = calls(&loaded.config);
            stored_warnings.extend(loaded.warnings.iter().cloned());
            stored_warnings.extend(of_rest_api(&loaded));
            (url, access(&loaded.config), stored_warnings, settings(&loaded, ""), calls)
        }
        None => {
            let url = trunkline_store::routr_v1_url(path).unwrap_or_else(|| asked.from.clone());
            // How a server is reached comes from the variables of our own configuration.
            let config = Config::read(None, env).map_err(|report| usage(&report))?.config;
            // What Routr does where no configuration says otherwise.
            let bare = Source::new("Routr v1", "{apiVersion: v1beta1, spec: {}}");
            let access = access(&config);
            let found = stored_configuration(&url, &access, &mut |warning| stored_warnings.push(warning));
            let found = found.map_err(|error| Failure::Failed(error.to_string()))?.map(stored);
            let bare =
                Config::read_over(Some(&bare), env, found.as_ref()).map_err(|report| usage(&report))?;
            let settings = match found {
                Some(_) => settings(&bare, ""),
                None => ["registrar.", "routing."].map(|section| settings(&bare, section)).concat(),
            };
            stored_warnings.extend(found.iter().flat_map(|_| bare.warnings.iter().cloned()));
            (url, access, stored_warnings, settings, calls(&bare.config))
        }
    };
    if !url.starts_with("routr-v1") {
        return Err(Failure::Usage(format!(
            "`{}` is not a Routr v1: give its config.yml, its folder, or routr-v1-redis:HOST:PORT, routr-v1-rest:URL",
            asked.from
        )));
    }
    let store = Store::open_with(&url, &access).map_err(|error| Failure::Failed(error.to_string()))?;
    if let Store::RoutrV1(v1) = &store {
        without_equal.extend(of_documents(v1));
    }
    Ok(From { store, without_equal, settings, calls })
}

/// The configuration that a path names or holds.
fn configuration(path: &Path) -> Option<PathBuf> {
    if path.is_file() {
        return Some(path.to_owned());
    }
    let names = ["config/config.yml", "config/config.yaml", "config.yml", "config.yaml"];
    names.into_iter().map(|name| path.join(name)).find(|file| file.is_file())
}

/// Reads a configuration in the folder in which Routr was started, where its relative paths lead.
fn where_it_starts<T>(named: &Path, file: &Path, read: impl FnOnce(&Path) -> T) -> std::io::Result<T> {
    let folder = if named.is_dir() { Some(named) } else { named.parent().and_then(Path::parent) };
    let Some(folder) = folder.filter(|folder| !folder.as_os_str().is_empty() && *folder != Path::new("."))
    else {
        return Ok(read(file));
    };
    let (here, file) = (std::env::current_dir()?, file.canonicalize()?);
    std::env::set_current_dir(folder)?;
    let found = read(&file);
    std::env::set_current_dir(here)?;
    Ok(found)
}

/// A relative folder is within the one that was named, if it is there and not here.
fn within(named: &Path, url: String) -> String {
    let Some((scheme @ ("routr-v1" | "routr-v1-rc2"), folder)) = url.split_once(':') else { return url };
    let base = if named.is_dir() { Some(named) } else { named.parent().and_then(Path::parent) };
    match base.map(|base| base.join(folder)) {
        Some(there) if Path::new(folder).is_relative() && !Path::new(folder).is_dir() && there.is_dir() => {
            format!("{scheme}:{}", there.display())
        }
        _ => url,
    }
}

/// Fields of the documents that have no equivalent in our resources.
fn of_documents(v1: &RoutrV1) -> Vec<String> {
    let left_out = v1.left_out();
    let left_out = left_out.lines().filter_map(|line| line.strip_prefix("error: "));
    let left_out = left_out.map(|line| format!("left out: {line}"));
    left_out.chain(v1.documents().unknown_keys()).collect()
}

/// The keys of the REST API, which serves a Routr v1 only.
fn of_rest_api(loaded: &Loaded) -> Vec<String> {
    let document = loaded.routr_v1.as_ref().and_then(|document| document["spec"]["restService"].as_object());
    let keys = document.into_iter().flat_map(|section| section.keys());
    let line = |key: &String| {
        format!(
            "spec.restService.{key}: the REST API is for Routr v1 only; use `trunkline` and gRPC (docs/api.md)"
        )
    };
    keys.map(line).collect()
}

/// Settings of a section that the configuration of Routr v1 made, as `trunkline.yaml` has them.
fn settings(loaded: &Loaded, section: &str) -> String {
    // Ours has the gRPC services that Routr v1 does not have.
    let other = |path: &str| ["routrV1.", "grpc."].iter().any(|section| path.starts_with(section));
    let skipped = |path: &str| path == "data" || other(path) || !path.starts_with(section);
    loaded.to_yaml(|value| value.is_set() && !skipped(&value.path))
}

/// The `authenticate` of a domain for `spec.auth.calls`.
fn calls(config: &Config) -> Authenticate {
    match config.routing.authenticate {
        Challenge::Domain => Authenticate::Register,
        Challenge::Egress => Authenticate::Egress,
        Challenge::All => Authenticate::All,
    }
}
