//! `trunkline check`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use trunkline_config::{DEFAULT_PASSWORD, Env, Loaded, PassChallenges, Role};
use trunkline_model::dialect::v2;
use trunkline_model::document::Source;
use trunkline_model::{Asked, Kind, Tables};
use trunkline_store::{Store, common_user_passwords};
use trunkline_transport::{certificates_in, check_pair};

use crate::backend::transports;
use crate::connection::{access, load_once};
use crate::run::Failure;
use crate::show::counted;
use crate::stores::{check_stores, remedy};
use crate::words::in_its_words;

/// The text when there are no errors.
pub(crate) struct Good {
    pub(crate) said: String,
    /// Warnings about values that have no effect or allow more than may be intended.
    pub(crate) warnings: Vec<String>,
}

impl Good {
    fn of(said: String, tables: &Tables, asked: Asked) -> Good {
        Good { said, warnings: tables.cautions_where(asked) }
    }
}

/// Checks what a configuration names, and its store.
pub(crate) fn store(loaded: &Loaded) -> Result<Good, Failure> {
    loaded.check_files().map_err(|report| Failure::Usage(report.to_string()))?;
    check_stores(loaded, false).map_err(|report| Failure::Usage(report.to_string()))?;
    let url = loaded.config.store_url();
    if url.strip_prefix("sqlite:").is_some_and(|file| !Path::new(file).exists()) {
        let said = format!("the configuration is valid; the first start will create {url}\n");
        let warnings = loaded.cautions().into_iter().chain(unused_key_store(loaded)).collect();
        return Ok(Good { said, warnings });
    }
    let access = access(&loaded.config);
    let store = Store::open_with(&url, &access).map_err(|error| Failure::Usage(error.to_string()))?;
    let tables = store.live().snapshot();
    let said = format!("the configuration is valid; {url}: {}\n", counts(&tables));
    let mut good = Good::of(said, &tables, loaded.config.routing.authenticate.asked());
    good.warnings.extend(of_documents(&store));
    good.warnings.extend(common_user_passwords(&tables).iter().map(ToString::to_string));
    // A setting and the trunks together.
    if loaded.config.routing.pass_challenges != PassChallenges::None {
        good.warnings.extend(tables.passed_challenges());
    }
    if let Store::RoutrV1(_) = store {
        good.warnings.iter_mut().for_each(|warning| *warning = in_its_words(warning));
    }
    // Behind those of resources, of which the expensive ones are first.
    good.warnings.extend(loaded.cautions());
    good.warnings.extend(unused_key_store(loaded));
    if loaded.config.runs(Role::Exchange) {
        good.warnings.extend(tables.without_listener(&transports(&loaded.config)));
        good.warnings.extend(client_certificates(&tables));
    }
    Ok(good)
}

/// Checks files and folders as one set; a folder of Routr v1 as what it is.
pub(crate) fn paths(paths: &[PathBuf], loaded: &Loaded, env: &Env) -> Result<Good, Failure> {
    if let [folder] = paths
        && let Some(url) = trunkline_store::routr_v1_url(folder)
    {
        let store = Store::open(&url).map_err(|error| Failure::Usage(error.to_string()))?;
        let tables = store.live().snapshot();
        let asked = asked_beside(folder, loaded, env);
        let mut good = Good::of(format!("{url} is good: {}\n", counts(&tables)), &tables, asked);
        good.warnings.extend(of_documents(&store));
        good.warnings.extend(common_user_passwords(&tables).iter().map(ToString::to_string));
        good.warnings.iter_mut().for_each(|warning| *warning = in_its_words(warning));
        return Ok(good);
    }
    let sources = read(paths)?;
    let tables = v2::load(&sources).map_err(|report| Failure::Usage(report.to_string()))?;
    let are = if sources.len() == 1 { "is" } else { "are" };
    let said = format!("{} {are} good: {}\n", counted(sources.len(), "files"), counts(&tables));
    Ok(Good::of(said, &tables, Asked::Domain))
}

/// Trunks whose certificate for the carrier cannot be used: there would be no connection to it.
fn client_certificates(tables: &Tables) -> Vec<String> {
    let with = tables.trunks().filter_map(|trunk| Some((trunk, trunk.client_certificate.as_ref()?)));
    let checked = with.map(|(trunk, files)| {
        let checked = check_pair(Path::new(&files.certificate), Path::new(&files.key));
        checked.err().map(|error| {
            format!(
                "trunk {}: outbound.clientCertificate: {error}; until then there is no connection to the carrier",
                trunk.name
            )
        })
    });
    checked.flatten().collect()
}

/// The key store of a Routr v1 without TLS or WSS is not opened when it starts: what is wrong with it is told before it is needed.
fn unused_key_store(loaded: &Loaded) -> Option<String> {
    let context = loaded.routr_v1.as_ref()?.pointer("/spec/securityContext")?;
    let text = |key| context.get(key).and_then(serde_json::Value::as_str);
    let file = text("keyStore").filter(|_| loaded.config.tls.pkcs12.file.is_none())?;
    let error =
        certificates_in(Path::new(file), text("keyStorePassword").unwrap_or(DEFAULT_PASSWORD)).err()?;
    let remedy = remedy(&error).map(|remedy| format!(" ({remedy})")).unwrap_or_default();
    Some(format!(
        "`spec.securityContext.keyStore`: {error}{remedy}; it is not used while no transport is TLS or WSS"
    ))
}

/// Keys of documents of Routr v1 that mean nothing here, and values that are used otherwise.
fn of_documents(store: &Store) -> Vec<String> {
    let Store::RoutrV1(v1) = store else { return Vec::new() };
    let keys = v1.documents().unknown_keys().into_iter();
    let unknown = keys.map(|key| format!("{key} is not a known key and has no effect"));
    unknown.chain(v1.documents().adjusted_values()).collect()
}

/// Which calls the configuration of a folder of Routr v1 has challenged (`spec.auth.calls`): the one that is named, else the one in
/// the folder; where there is none, or one with mistakes, those that it has challenged where that key is not set.
fn asked_beside(folder: &Path, loaded: &Loaded, env: &Env) -> Asked {
    if loaded.routr_v1.is_some() {
        return loaded.config.routing.authenticate.asked();
    }
    let file = ["config.yml", "config.yaml"].map(|name| folder.join(name)).into_iter().find(|f| f.is_file());
    let own = file.and_then(|file| load_once(Some(&file), env, &mut |_| {}).ok());
    own.filter(|own| own.routr_v1.is_some())
        .map_or(Asked::Egress, |own| own.config.routing.authenticate.asked())
}

/// Reads files, and the `.yaml`, `.yml` and `.json` files of folders.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Vec<Arc<Source>>, Failure> {
    let mut sources = Vec::new();
    for path in paths {
        let files =
            trunkline_store::resource_files(path).map_err(|error| Failure::Usage(error.to_string()))?;
        for file in files {
            let wrong = |error| Failure::Usage(format!("cannot read {}: {error}", file.display()));
            sources.push(Source::read(&file).map_err(wrong)?);
        }
    }
    Ok(sources)
}

fn counts(tables: &Tables) -> String {
    let some = Kind::ALL.into_iter().filter(|kind| tables.count(*kind) > 0);
    let counts: Vec<String> = some.map(|kind| counted(tables.count(kind), kind.plural())).collect();
    if counts.is_empty() { "no resources".into() } else { counts.join(", ") }
}
