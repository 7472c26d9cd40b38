//! The variables that services of Routr v2 have in common.

use std::net::SocketAddr;
use std::path::PathBuf;

use trunkline_model::document::{Place, Report, Source};

use crate::keys::Env;
use crate::observing::{Log, LogFormat};

/// The variables of all roles.
const NAMES: [&str; 14] = [
    "ALLOWLIST",
    "BIND_ADDR",
    "CACERT",
    "CLIENT_CACERT",
    "CLIENT_CERT",
    "CLIENT_KEY",
    "CONFIG_PATH",
    "LOGS_FORMAT",
    "LOGS_LEVEL",
    "METHODS",
    "PATH_TO_AUTH",
    "SERVER_CERT",
    "SERVER_KEY",
    "TLS_ON",
];
const VERIFY: &str = "VERIFY_CLIENT_CERT";
/// Where the image of Routr has its certificates.
const CERTIFICATES: &str = "/etc/routr/certs";

/// The environment of a role, and what is wrong with it.
#[derive(Debug)]
pub struct RoleEnv {
    env: Env,
    report: Report,
}

/// TLS of a gRPC server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleTls {
    /// `SERVER_CERT`: the chain, PEM.
    pub cert: PathBuf,
    /// `SERVER_KEY`: its key, PEM.
    pub key: PathBuf,
    /// `CACERT`, if `VERIFY_CLIENT_CERT` is set: clients need a certificate that it has signed.
    pub client_ca: Option<PathBuf>,
}

impl RoleEnv {
    /// That of this process.
    pub fn of_process() -> RoleEnv {
        RoleEnv::new(Env::named(NAMES.into_iter().chain([VERIFY])))
    }

    /// Of these variables.
    pub fn new(env: Env) -> RoleEnv {
        RoleEnv { env, report: Report::default() }
    }

    /// The value of a variable; an empty one is none.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.env.get(name).filter(|value| !value.is_empty())
    }

    /// Notes that a variable has no good value.
    pub fn wrong(&mut self, name: &str, message: impl Into<String>, help: Option<&str>) {
        let source = Source::new(format!("environment variable {name}"), "");
        self.report.push(message.into(), Some(Place::whole(source)), help.map(str::to_owned));
    }

    /// `BIND_ADDR`, or its default.
    pub fn bind(&mut self, default: SocketAddr) -> SocketAddr {
        let Some(text) = self.get("BIND_ADDR").map(str::to_owned) else { return default };
        text.parse().unwrap_or_else(|_| {
            self.wrong("BIND_ADDR", format!("`{text}` is not an address and port, e.g. {default}"), None);
            default
        })
    }

    /// A list with commas between.
    pub fn list(&self, name: &str) -> Vec<String> {
        let items = self.get(name).unwrap_or_default().split(',').map(str::trim);
        items.filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    fn flag(&mut self, name: &str) -> bool {
        match self.get(name) {
            None => false,
            Some(text) if text.eq_ignore_ascii_case("true") => true,
            Some(text) if text.eq_ignore_ascii_case("false") => false,
            Some(text) => {
                let message = format!("`{text}` is neither true nor false");
                self.wrong(name, message, None);
                false
            }
        }
    }

    /// TLS of the server, if `TLS_ON` is set.
    pub fn tls(&mut self) -> Option<RoleTls> {
        let (on, verify) = (self.flag("TLS_ON"), self.flag(VERIFY));
        if verify && !on {
            self.wrong(VERIFY, "clients show certificates over TLS only", Some("set TLS_ON=true, too"));
        }
        let file = |name: &str, usual: &str| {
            self.get(name).map_or_else(|| PathBuf::from(CERTIFICATES).join(usual), PathBuf::from)
        };
        on.then(|| RoleTls {
            cert: file("SERVER_CERT", "server.crt"),
            key: file("SERVER_KEY", "server.key"),
            client_ca: verify.then(|| file("CACERT", "ca.crt")),
        })
    }

    /// The log, by `LOGS_LEVEL` and `LOGS_FORMAT`.
    pub fn log(&mut self) -> Log {
        let mut log = Log::default();
        match self.get("LOGS_LEVEL").map(str::to_ascii_lowercase).as_deref() {
            None | Some("info") => {}
            Some(level @ ("error" | "warn" | "debug" | "trace")) => log.level = level.to_owned(),
            Some("verbose") => log.level = "debug".to_owned(),
            Some("silly") => log.level = "trace".to_owned(),
            Some(level) => {
                let message = format!("`{level}` is no level");
                self.wrong("LOGS_LEVEL", message, Some("write error, warn, info, verbose or silly"));
            }
        }
        if self.get("LOGS_FORMAT").is_some_and(|format| format.eq_ignore_ascii_case("json")) {
            log.format = LogFormat::Json;
        }
        log
    }

    /// What was wrong with variables that were asked for.
    pub fn finish(self) -> Result<(), Report> {
        self.report.unless(())
    }
}
