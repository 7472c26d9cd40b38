//! Routr v2's services as roles of their own: `trunkline location` and others, each configured as Routr 2.15 is, by its
//! file and environment.

mod check;
mod location;
mod processors;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;

use tonic::service::Routes;
use trunkline_cli::Common;
use trunkline_config::{EXIT_USAGE, Log, RoleEnv, RoleFile, RoleTls, Source, default_role_file};

use crate::complain;

pub use check::check;

/// Adds a service to the others of its server.
type AddService = Box<dyn FnOnce(Routes) -> Routes>;

/// A service that is ready to be served.
struct ReadyService {
    /// Its full name.
    name: &'static str,
    add: AddService,
    address: std::net::SocketAddr,
    /// Where another address can be given.
    remedy: &'static str,
}

/// What all services have from the environment.
struct Surroundings {
    log: Log,
    tls: Option<RoleTls>,
}

/// Which service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    Location,
    Dispatcher,
    Echo,
    SimpleAuth,
}

/// Runs a service until it is told to stop.
pub fn run(service: Service, common: &Common) -> ExitCode {
    match build(service, common) {
        Ok((ready, around)) => run::run(ready, around),
        Err(report) => {
            complain(&report);
            ExitCode::from(EXIT_USAGE)
        }
    }
}

/// Builds a service; the text of what is wrong with its configuration.
fn build(service: Service, common: &Common) -> Result<(ReadyService, Surroundings), String> {
    let mut env = RoleEnv::of_process();
    let around = Surroundings { log: env.log(), tls: env.tls() };
    let ready = match service {
        Service::Location => match file("location", common, &env)? {
            RoleFile::Location(role) => {
                sound(env)?;
                location::build(&role)
            }
            other @ RoleFile::Dispatcher(_) => return Err(of_another(&other)),
        },
        Service::Dispatcher => match file("dispatcher", common, &env)? {
            RoleFile::Dispatcher(role) => processors::dispatcher(role, env)?,
            other @ RoleFile::Location(_) => return Err(of_another(&other)),
        },
        Service::Echo => processors::echo(env)?,
        Service::SimpleAuth => processors::simpleauth(env)?,
    };
    Ok((ready, around))
}

/// The file of a role: of `--config`, `CONFIG_PATH`, or where Routr's images have it.
fn file(role: &'static str, common: &Common, env: &RoleEnv) -> Result<RoleFile, String> {
    let named = common.config.clone().or_else(|| env.get("CONFIG_PATH").map(PathBuf::from));
    let path = match named {
        Some(path) => path,
        None => default_role_file(role).map_err(|tried| {
            let first = tried.first().map(|file| file.display().to_string()).unwrap_or_default();
            format!("error: there is no configuration: set CONFIG_PATH, or write {first} (or .yml, .json, .toml)\n")
        })?,
    };
    let read =
        Source::read(&path).map_err(|error| format!("error: cannot read {}: {error}\n", path.display()))?;
    RoleFile::read(&read).map_err(|report| report.to_string())
}

fn of_another(file: &RoleFile) -> String {
    format!("error: the file is of another role: run `trunkline {}`\n", file.role())
}

/// Ends the reading of the environment.
fn sound(env: RoleEnv) -> Result<(), String> {
    env.finish().map_err(|report| report.to_string())
}
