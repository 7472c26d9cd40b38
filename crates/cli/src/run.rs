//! Running a command.

use std::io;

use serde_json::{Value, json};
use trunkline_config::{Config, EXIT_USAGE, Env, Loaded};
use trunkline_model::Kind;
use trunkline_operations::Operations;

use crate::backend::StoreOnly;
use crate::check::Good;
use crate::command::{Check, Command, Common, Get, List, OfKind, OfUsers};
use crate::connection::{ConnectError, Connection, load_once};
use crate::create::Create;
use crate::overlooked::{overlooked, overlooked_alone, told};
use crate::protocol::{Reachability, Request, Response, Seen};
use crate::show::counted;
use crate::terminal::Terminal;
use crate::{check, live, migrate, show};

/// Why a command ends badly.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A mistake in what was asked or configured: ends with 64.
    Usage(String),
    /// It could not be done: ends with 1.
    Failed(String),
    /// The reader of the output closed it, as `head` does: this is no error.
    Unread,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Failed(error.to_string())
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Failure {
        Failure::Failed(error.to_string())
    }
}

/// How many resources are asked for at once.
const PAGE: usize = 500;

/// Makes the backend for when no server runs, from the configuration and its store. [`StoreOnly`] will do; one that
/// reads bindings and call records from the database can tell more.
pub type Offline<'a> = &'a dyn Fn(&Config, StoreOnly) -> Box<dyn Operations>;

/// Runs a command to its end; gives what the process is to end with.
pub fn run(
    command: &Command,
    common: &Common,
    env: &Env,
    terminal: &mut Terminal<'_>,
    offline: Offline<'_>,
) -> u8 {
    let (text, code) = match dispatch(command, common, env, terminal, offline) {
        Ok(()) | Err(Failure::Unread) => return 0,
        Err(Failure::Usage(text)) => (text, EXIT_USAGE),
        Err(Failure::Failed(text)) => (text, 1),
    };
    let prefix = if text.starts_with("error: ") { "" } else { "error: " };
    // Nobody to tell if even this cannot be written.
    let _ = writeln!(terminal.err, "{prefix}{}", show::lines(text.trim_end()));
    code
}

fn dispatch(
    command: &Command,
    common: &Common,
    env: &Env,
    terminal: &mut Terminal<'_>,
    offline: Offline<'_>,
) -> Result<(), Failure> {
    // What is migrated has a configuration of its own.
    if let Command::Migrate(asked) = command {
        return migrate::run(asked, common, env, terminal);
    }
    let meant = match command {
        // Files and folders that are named need no configuration.
        Command::Check(asked) if !asked.paths.is_empty() => None,
        Command::Check(_) => overlooked(common, env),
        _ => overlooked_alone(common, env),
    };
    if let Some(meant) = meant {
        let words = if matches!(command, Command::Check(_)) { "check" } else { "COMMAND" };
        return Err(Failure::Usage(told(meant, words)));
    }
    let file = common.config.as_deref();
    let mut warnings = Vec::new();
    let loaded = match command {
        Command::Check(_) => load_once(file, env, &mut |warning| warnings.push(warning)),
        _ => Config::load(file, env),
    };
    let loaded = loaded.map_err(|report| Failure::Usage(report.to_string()))?;
    for warning in warnings.iter().chain(&loaded.warnings) {
        writeln!(terminal.err, "warning: {warning}")?;
    }
    if let Command::Check(asked) = command {
        return check(asked, (&loaded, env), common.json, terminal);
    }
    let mut session = Session { config: loaded.config, json: common.json, terminal, offline };
    match command {
        Command::Check(_) | Command::Migrate(_) => Ok(()),
        Command::Agents(action) => session.resources(Kind::Agent, action),
        Command::Domains(action) => session.resources(Kind::Domain, action),
        Command::Peers(action) => session.resources(Kind::Peer, action),
        Command::Trunks(action) => session.resources(Kind::Trunk, action),
        Command::Numbers(action) => session.resources(Kind::Number, action),
        Command::Credentials(action) => session.resources(Kind::Credentials, action),
        Command::Acl(action) => session.resources(Kind::AccessControlList, action),
        Command::Users(OfUsers::Resource(action)) => session.resources(Kind::User, action),
        Command::Users(OfUsers::Token(action)) => session.tokens(action),
        Command::Status => session.status(),
        Command::Registrations(arguments) => session.registrations(arguments),
        Command::Calls(arguments) => session.calls(arguments),
        Command::Explain(arguments) => session.explain(arguments),
        Command::Drain(arguments) => session.drain(arguments),
        Command::Bans => session.bans(),
        Command::Unban { who } => session.unban(who),
        Command::Trace(arguments) => session.trace(arguments),
        Command::Events(arguments) => session.events(arguments),
        Command::Export(arguments) => session.export(arguments),
        Command::Import(arguments) => session.import(arguments),
    }
}

/// The states of destinations.
struct States(Vec<Reachability>);

impl States {
    /// Adds `status` to the document of a trunk or peer; it is no part of the resource, and is ignored when it is read.
    fn put_into(&self, document: &mut Value) {
        let reference = field(document, "/ref").unwrap_or_default();
        let of: Vec<_> = self.0.iter().filter(|t| t.reference == reference).collect();
        let status = json!({ "state": live::states(&of), "destinations": of });
        if let Some(map) = document.as_object_mut() {
            map.insert("status".into(), status);
        }
    }
}

fn check(
    asked: &Check,
    (loaded, env): (&Loaded, &Env),
    as_json: bool,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    let Good { said, warnings } =
        if asked.paths.is_empty() { check::store(loaded)? } else { check::paths(&asked.paths, loaded, env)? };
    let json = json!({ "good": true, "said": said.trim_end(), "warnings": warnings });
    terminal.print(&if as_json { format!("{json:#}\n") } else { said })?;
    terminal.warn(&warnings)?;
    // What was found while the configuration was read is printed already.
    match warnings.len() + loaded.warnings.len() {
        found if asked.strict && found > 0 => Err(Failure::Failed(counted(found, "warnings"))),
        _ => Ok(()),
    }
}

pub(crate) struct Session<'a, 't> {
    pub(crate) config: Config,
    pub(crate) json: bool,
    pub(crate) terminal: &'a mut Terminal<'t>,
    offline: Offline<'a>,
}

pub(crate) fn ask(connection: &mut Connection, request: Request) -> Result<Response, Failure> {
    match connection.ask(request)? {
        Response::Failed { message, usage: true } => Err(Failure::Usage(message)),
        Response::Failed { message, usage: false } => Err(Failure::Failed(message)),
        response => Ok(response),
    }
}

pub(crate) fn unexpected<T>(response: &Response) -> Result<T, Failure> {
    Err(Failure::Failed(format!("unexpected answer of the exchange: {response:?}")))
}

pub(crate) fn get(connection: &mut Connection, kind: &str, name: &str) -> Result<Value, Failure> {
    get_seen(connection, kind, name).map(|(document, _)| document)
}

/// A document that is changed next, and what it was when it was read.
pub(crate) fn get_seen(
    connection: &mut Connection,
    kind: &str,
    name: &str,
) -> Result<(Value, Seen), Failure> {
    let request = Request::Get { kind: kind.to_owned(), name: name.to_owned() };
    match ask(connection, request)? {
        Response::Resource { document, seen } => Ok((document, seen)),
        other => unexpected(&other),
    }
}

pub(crate) fn field<'v>(document: &'v Value, path: &str) -> Option<&'v str> {
    document.pointer(path).and_then(Value::as_str)
}

impl Session<'_, '_> {
    pub(crate) fn connect(&self, make: bool) -> Result<Connection, Failure> {
        Ok(Connection::open(&self.config, make, self.offline)?)
    }

    /// Prints JSON, or else what `text` makes.
    pub(crate) fn tell(&mut self, json: &Value, text: impl FnOnce() -> String) -> Result<(), Failure> {
        let text = if self.json { format!("{json:#}\n") } else { show::lines(&text()).into_owned() };
        self.terminal.print(&text)
    }

    fn resources<C: Create>(&mut self, kind: Kind, action: &OfKind<C>) -> Result<(), Failure> {
        match action {
            OfKind::List(arguments) => self.list(kind, arguments),
            OfKind::Get(arguments) => self.get(kind, arguments),
            OfKind::Create(arguments) => self.create(kind, arguments),
            OfKind::Update(arguments) => self.update(kind, arguments),
            OfKind::Delete(arguments) => self.delete(kind, arguments),
        }
    }

    fn list(&mut self, kind: Kind, arguments: &List) -> Result<(), Failure> {
        let mut connection = self.connect(false)?;
        let wanted = arguments.limit.unwrap_or(usize::MAX);
        let (mut found, mut all, mut after) = (Vec::new(), 0, None);
        while found.len() < wanted {
            let request = Request::List {
                kind: kind.plural().into(),
                filter: arguments.filter.clone(),
                after: after.take(),
                limit: PAGE.min(wanted - found.len()),
            };
            match ask(&mut connection, request)? {
                Response::Page { items, total, next } => {
                    found.extend(items);
                    all = total;
                    after = next;
                }
                other => return unexpected(&other),
            }
            if after.is_none() {
                break;
            }
        }
        let more = all.saturating_sub(found.len());
        let states = self.states(kind, &mut connection)?;
        if let Some(states) = &states {
            found.iter_mut().for_each(|document| states.put_into(document));
        }
        self.tell(&json!(found), || show::resources(kind, &found))?;
        if more > 0 {
            writeln!(self.terminal.err, "{more} more")?;
        }
        Ok(())
    }

    fn get(&mut self, kind: Kind, arguments: &Get) -> Result<(), Failure> {
        let mut connection = self.connect(false)?;
        let mut document = get(&mut connection, kind.plural(), &arguments.name)?;
        if let Some(states) = self.states(kind, &mut connection)? {
            states.put_into(&mut document);
        }
        self.tell(&document, || show::resource(&document))
    }

    /// What a running exchange knows of the destinations of trunks and peers.
    fn states(&self, kind: Kind, connection: &mut Connection) -> Result<Option<States>, Failure> {
        if !matches!(kind, Kind::Trunk | Kind::Peer) {
            return Ok(None);
        }
        match ask(connection, Request::Status)? {
            Response::Status(status) => Ok(status.running.then_some(States(status.trunks))),
            other => unexpected(&other),
        }
    }
}
