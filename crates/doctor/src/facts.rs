//! What the checks look at: gathered once, from the running exchange where there is one.

use std::path::{Path, PathBuf};

use trunkline_cli::protocol::{Request, Response, Status};
use trunkline_cli::{Connection, Offline};
use trunkline_config::{Config, Env, Loaded, Role};
use trunkline_model::Tables;
use trunkline_model::dialect::v2;
use trunkline_model::document::Source;

/// What the checks look at.
pub(crate) struct Facts {
    pub(crate) loaded: Loaded,
    /// The file of the configuration, if there is one.
    pub(crate) file: Option<PathBuf>,
    /// The state of the running exchange.
    pub(crate) status: Option<Status>,
    /// All resources as v2 documents, secrets included.
    pub(crate) export: String,
    /// The resources; the error if they cannot be read.
    pub(crate) resources: Result<Tables, String>,
}

impl Facts {
    /// Asks the running exchange, or opens the store.
    pub(crate) fn gather(loaded: Loaded, named: Option<&Path>, env: &Env, offline: Offline<'_>) -> Facts {
        let file = file_of(named, env);
        let mut facts =
            Facts { loaded, file, status: None, export: String::new(), resources: Ok(Tables::default()) };
        if let Err(error) = facts.ask(offline) {
            facts.resources = Err(error);
        }
        facts
    }

    fn ask(&mut self, offline: Offline<'_>) -> Result<(), String> {
        let mut connection =
            Connection::open(&self.loaded.config, false, offline).map_err(|e| e.to_string())?;
        let mut ask = |request| match connection.ask(request) {
            Ok(Response::Failed { message, .. }) => Err(message),
            Ok(response) => Ok(response),
            Err(error) => Err(error.to_string()),
        };
        if let Response::Status(status) = ask(Request::Status)? {
            self.status = status.running.then_some(*status);
        }
        if let Response::Text { text } = ask(Request::Export)? {
            self.export = text;
        }
        let source = Source::new("resources", self.export.as_str());
        self.resources = v2::load(&[source]).map_err(|report| report.to_string());
        Ok(())
    }

    pub(crate) fn config(&self) -> &Config {
        &self.loaded.config
    }

    pub(crate) fn tables(&self) -> Option<&Tables> {
        self.resources.as_ref().ok()
    }

    /// Does an exchange with this configuration run?
    pub(crate) fn is_running(&self) -> bool {
        self.status.is_some()
    }

    /// The process that runs with this configuration.
    pub(crate) fn process(&self) -> Option<u32> {
        self.status.as_ref().map(|status| status.pid).filter(|pid| *pid > 0)
    }

    pub(crate) fn has_role(&self, role: Role) -> bool {
        self.config().runs(role)
    }
}

/// The file that [`Config::load`] reads.
fn file_of(named: Option<&Path>, env: &Env) -> Option<PathBuf> {
    let by_variable =
        || ["TRUNKLINE_CONFIG", "ROUTR_CONFIG_FILE"].iter().find_map(|name| env.get(name)).map(PathBuf::from);
    let file = named.map(PathBuf::from).or_else(by_variable).unwrap_or_else(|| "trunkline.yaml".into());
    file.exists().then_some(file)
}
