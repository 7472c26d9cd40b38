//! Sends a command to the running exchange, or to the store when none runs.

use std::fmt;
use std::io::{self, BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use trunkline_config::{Config, Env, Loaded, Report, Role, Stored};
use trunkline_operations::Operations;
use trunkline_store::{Access, Store, StoreError, StoredConfiguration, stored_configuration};

use crate::backend::{StoreOnly, answer};
use crate::protocol::{Request, Response};
use crate::run::Offline;

/// To the running server, or on the database where none runs.
pub enum Connection {
    /// A running server.
    Server(BufReader<UnixStream>),
    /// The store, when no exchange runs.
    Direct(Box<dyn Operations>),
}

/// Why nobody answers.
#[derive(Debug)]
pub enum ConnectError {
    /// A server runs, but not for us.
    Socket(PathBuf, io::Error),
    /// No server runs, and its database cannot be opened.
    Store(StoreError),
    /// No server runs, and there is no database.
    NoDatabase(PathBuf),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::Socket(path, error) => {
                write!(f, "cannot talk to the exchange on {}: {error}", path.display())?;
                if error.kind() == ErrorKind::PermissionDenied {
                    f.write_str("; run the command as the user that runs the exchange")?;
                }
                Ok(())
            }
            ConnectError::Store(error) => error.fmt(f),
            ConnectError::NoDatabase(path) => write!(
                f,
                "no exchange is running and there is no database {}: start `trunkline serve` once, or name \
                 the configuration with --config",
                path.display()
            ),
        }
    }
}

impl std::error::Error for ConnectError {}

/// How the store of a configuration is reached where that is no folder and no database: tried once, for commands.
pub fn access(config: &Config) -> Access {
    let provider = &config.routr_v1.provider;
    Access {
        username: provider.username.clone(),
        secret: provider.secret.0.clone(),
        poll: Duration::from_secs(u64::from(provider.poll_seconds)),
        timeout: Duration::from_millis(u64::from(provider.timeout_ms)),
        tries: 1,
        interval: Duration::from_secs(u64::from(provider.retry_seconds)),
        cache: None,
        trusted_ca: config.tls.trusted_ca.clone(),
        trusted_ca_password: config.tls.trusted_ca_password.0.clone(),
    }
}

/// Why there is no configuration.
#[derive(Debug)]
pub enum LoadError {
    /// It has mistakes.
    Mistakes(Report),
    /// The Redis of a Routr v1, which has a part of it, does not answer.
    Provider(StoreError),
}

/// Loads the configuration. The Redis of a Routr v1 is asked for what the file does not set, as `access` says; `warn` gets what
/// an operator should know meanwhile.
pub fn load(
    file: Option<&Path>,
    env: &Env,
    access: impl Fn(&Config) -> Access,
    warn: &mut dyn FnMut(String),
) -> Result<Loaded, LoadError> {
    let loaded = Config::load(file, env).map_err(LoadError::Mistakes)?;
    if loaded.routr_v1.is_none() {
        return Ok(loaded);
    }
    let (url, access) = (loaded.config.store_url(), access(&loaded.config));
    match stored_configuration(&url, &access, warn).map_err(LoadError::Provider)? {
        Some(found) => Config::load_over(file, env, Some(&stored(found))).map_err(LoadError::Mistakes),
        None => Ok(loaded),
    }
}

/// As the configuration takes it.
pub fn stored(found: StoredConfiguration) -> Stored {
    Stored { prefix: format!("{}: ", found.place), document: found.document }
}

/// The same for commands that go on without Redis: with the file alone, and a warning.
pub fn load_once(file: Option<&Path>, env: &Env, warn: &mut dyn FnMut(String)) -> Result<Loaded, Report> {
    match load(file, env, access, warn) {
        Ok(loaded) => Ok(loaded),
        Err(LoadError::Mistakes(report)) => Err(report),
        Err(LoadError::Provider(error)) => {
            warn(format!("{error}; what it has of the configuration is not known"));
            Config::load(file, env)
        }
    }
}

impl Connection {
    /// Finds the server of a configuration, or opens its store. A database that is not there is made only if
    /// `make` says so.
    pub fn open(config: &Config, make: bool, offline: Offline<'_>) -> Result<Connection, ConnectError> {
        let socket = config.control_socket();
        match UnixStream::connect(&socket) {
            Ok(stream) => return Ok(Connection::Server(BufReader::new(stream))),
            // Nobody there, or a socket that a dead process left.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {}
            Err(error) => return Err(ConnectError::Socket(socket, error)),
        }
        let url = config.store_url();
        if let Some(file) = url.strip_prefix("sqlite:")
            && !make
            && !Path::new(file).exists()
        {
            return Err(ConnectError::NoDatabase(file.into()));
        }
        let store = Store::open_with(&url, &access(config)).map_err(ConnectError::Store)?;
        let mut alone = StoreOnly::new(store, url);
        if config.runs(Role::Exchange) {
            alone = alone.of_exchange(config);
        }
        Ok(Connection::Direct(offline(config, alone)))
    }

    /// Asks and waits for the answer.
    pub fn ask(&mut self, request: Request) -> io::Result<Response> {
        match self {
            Connection::Direct(backend) => Ok(answer(&**backend, request)),
            Connection::Server(stream) => {
                let mut line = serde_json::to_vec(&request)?;
                line.push(b'\n');
                stream.get_mut().write_all(&line)?;
                read_response(stream, "the exchange closed the connection without an answer")
            }
        }
    }

    /// The next answer to a request that has several.
    pub(crate) fn next(&mut self) -> io::Result<Response> {
        match self {
            Connection::Direct(_) => Err(io::Error::new(ErrorKind::UnexpectedEof, ENDED)),
            Connection::Server(stream) => read_response(stream, ENDED),
        }
    }
}

const ENDED: &str = "the exchange has ended";

fn read_response(stream: &mut BufReader<UnixStream>, closed: &'static str) -> io::Result<Response> {
    let mut text = String::new();
    if stream.read_line(&mut text)? == 0 {
        return Err(io::Error::new(ErrorKind::UnexpectedEof, closed));
    }
    Ok(serde_json::from_str(&text)?)
}
