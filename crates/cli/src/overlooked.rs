//! A folder with the configuration of a Routr v1 and none of ours: most likely the operator means that one.

use std::os::unix::net::UnixStream;
use std::path::Path;

use trunkline_config::{Config, Env};
use trunkline_store::Store;

use crate::command::Common;

/// The variables that name a configuration or a store.
const NAMING: [&str; 4] = ["TRUNKLINE_CONFIG", "ROUTR_CONFIG_FILE", "CONFIG_FILE", "TRUNKLINE_DATA"];

/// The configuration of a Routr v1 in this folder, if none is named and there is none of ours. The database is that of an
/// exchange of our own only if resources were ever stored in it: one that serves a Routr v1 keeps registrations there.
pub fn overlooked(common: &Common, env: &Env) -> Option<&'static str> {
    let named = common.config.is_some() || NAMING.iter().any(|name| env.get(name).is_some());
    if named || Path::new("trunkline.yaml").exists() {
        return None;
    }
    let found = ["config/config.yml", "config/config.yaml"];
    let found = found.into_iter().find(|file| trunkline_config::is_routr_v1(file.as_ref()))?;
    let database = Path::new("trunkline.db");
    let ours = database.exists() && !Store::has_no_resources(database);
    (!ours).then_some(found)
}

/// The same for a command that a running exchange can answer: one that runs here is meant, whatever its configuration.
pub(crate) fn overlooked_alone(common: &Common, env: &Env) -> Option<&'static str> {
    let found = overlooked(common, env)?;
    let default = Config::load(None, env).ok()?;
    UnixStream::connect(default.config.control_socket()).is_err().then_some(found)
}

/// What an operator is told of it: `words` are the command, without `trunkline` and `--config`.
pub fn told(file: &str, words: &str) -> String {
    format!(
        "error: there is no trunkline.yaml here, and {file} is the configuration of a Routr v1\n  \
         to use it:             trunkline {words} --config {file}\n  \
         to move its resources: trunkline migrate . --dry-run\n  \
         to begin anew:         trunkline serve --config FILE (or TRUNKLINE_DATA=sqlite:trunkline.db)\n"
    )
}
