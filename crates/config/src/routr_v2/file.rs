//! The files of services, whichever they are of.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use trunkline_model::document::{Fields, Node, Place, Reading, Report, Source, nearest, parse};

use super::dispatcher::DispatcherRole;
use super::location::LocationRole;
use super::toml::parse_toml;

/// Where Routr's images have their files.
const FOLDER: &str = "/etc/routr";
/// Kinds of files, and their roles.
const KINDS: [(&str, &str); 4] = [
    ("Location", "location"),
    ("MessageDispatcher", "dispatcher"),
    ("EdgePort", "edgeport"),
    ("Registry", "registry"),
];

/// What a file configures.
#[derive(Clone, Debug)]
pub enum RoleFile {
    /// `trunkline location`.
    Location(LocationRole),
    /// `trunkline dispatcher`.
    Dispatcher(DispatcherRole),
}

impl RoleFile {
    /// Reads a file of any kind.
    pub fn read(source: &Arc<Source>) -> Result<RoleFile, Report> {
        let root = document(source)?;
        let reading = Reading::default();
        let read = reading.fields("the file", &root).and_then(|top| of_kind(&top, source, &reading));
        let report = reading.into_report();
        match read {
            Some(role) => report.unless(role),
            None => Err(report),
        }
    }

    /// The command that runs it.
    pub fn role(&self) -> &'static str {
        match self {
            RoleFile::Location(_) => "location",
            RoleFile::Dispatcher(_) => "dispatcher",
        }
    }
}

fn of_kind(top: &Fields<'_>, source: &Arc<Source>, reading: &Reading) -> Option<RoleFile> {
    let Some(kind) = top.text("kind") else {
        reading.error("the kind is required", top.place(), Some(format!("write one of: {}", names())));
        return None;
    };
    let known = KINDS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(&kind));
    match known.map(|(_, role)| role) {
        Some("location") => LocationRole::read(top).map(RoleFile::Location),
        Some("dispatcher") => DispatcherRole::read(top).map(RoleFile::Dispatcher),
        Some(role) => {
            let place = Place::whole(source.clone());
            reading.error(format!("there is no role `{role}` yet"), &place, None);
            None
        }
        None => {
            let near = nearest(&kind, KINDS.into_iter().map(|(name, _)| name));
            let near = near.map(|name| format!(" (did you mean `{name}`?)")).unwrap_or_default();
            top.error(
                "kind",
                format!("the kind `{kind}` is unknown{near}"),
                Some(format!("kinds: {}", names())),
            );
            None
        }
    }
}

fn names() -> String {
    KINDS.map(|(name, _)| name).join(", ")
}

/// The one document of a file: TOML by its name, else YAML or JSON.
fn document(source: &Arc<Source>) -> Result<Node, Report> {
    if Path::new(&source.name).extension().is_some_and(|end| end.eq_ignore_ascii_case("toml")) {
        return parse_toml(source);
    }
    let mut report = Report::default();
    let mut documents = parse(source)?;
    if let Some(second) = documents.get(1) {
        report.push("the file must be one document".to_owned(), Some(second.place.clone()), None);
        return Err(report);
    }
    documents.pop().ok_or_else(|| {
        report.push("the file is empty".to_owned(), Some(Place::whole(source.clone())), None);
        report
    })
}

/// Is it a file of a service? Resources and our own configuration have other kinds or none.
pub fn is_role_file(path: &Path) -> bool {
    let root = Source::read(path).ok().and_then(|source| document(&source).ok());
    let kind = root.as_ref().and_then(|root| root.get("kind")).and_then(Node::as_text);
    kind.is_some_and(|kind| KINDS.into_iter().any(|(name, _)| name.eq_ignore_ascii_case(kind)))
}

/// The file of a role where none is named: the first of its names that there is.
pub fn default_file(role: &str) -> Result<PathBuf, Vec<PathBuf>> {
    let files =
        ["yaml", "yml", "json", "toml"].map(|end| PathBuf::from(FOLDER).join(format!("{role}.{end}")));
    files.iter().find(|file| file.is_file()).cloned().ok_or_else(|| files.to_vec())
}

/// An address to listen on: an IP address and a port.
pub(super) fn bind(fields: &Fields<'_>, default: std::net::SocketAddr) -> std::net::SocketAddr {
    let Some(text) = fields.text("bindAddr") else { return default };
    text.parse().unwrap_or_else(|_| {
        fields.error("bindAddr", format!("`{text}` is not an address and port, e.g. {default}"), None);
        default
    })
}

/// Checks `apiVersion`.
pub(super) fn version(top: &Fields<'_>) {
    match top.text("apiVersion").as_deref() {
        Some("v2beta1" | "v2") => {}
        Some(other) => top.error(
            "apiVersion",
            format!("the apiVersion `{other}` is unknown"),
            Some("write v2beta1 or v2".to_owned()),
        ),
        None => top.error(
            "apiVersion",
            "the apiVersion is required",
            Some("write `apiVersion: v2beta1`".to_owned()),
        ),
    }
}
