//! Running a command.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use trunkline_config::{Config, EXIT_USAGE, Env};
use trunkline_model::Kind;
use trunkline_store::generate_secret;

use crate::backend::{ControlBackend, StoreOnly};
use crate::command::{
    CallAction, Calls, Command, Common, Creation, Delete, Export, Get, Import, List, NewPassword, OfKind,
    OfUsers, RegistrationAction, Registrations, Update,
};
use crate::connection::{ConnectError, Connection};
use crate::create::{Create, Lookup};
use crate::protocol::{ApplyMode, Changed, ImportMode, RecordQuery, Request, Response, Target, Text};
use crate::terminal::Terminal;
use crate::{check, edit, live, show, time};

/// Why a command ends badly.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A mistake in what was asked or configured: ends with 64.
    Usage(String),
    /// It could not be done: ends with 1.
    Failed(String),
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

/// How long a generated password is.
const PASSWORD_LENGTH: usize = 16;

/// How many resources are asked for at once.
const PAGE: usize = 500;

/// What answers when no server runs, made from the configuration and its store. [`StoreOnly`] will do; one that
/// reads bindings and call records from the database can tell more.
pub type Offline<'a> = &'a dyn Fn(&Config, StoreOnly) -> Box<dyn ControlBackend>;

/// Runs a command to its end; gives what the process is to end with.
pub fn run(
    command: &Command,
    common: &Common,
    env: &Env,
    terminal: &mut Terminal<'_>,
    offline: Offline<'_>,
) -> u8 {
    let (text, code) = match dispatch(command, common, env, terminal, offline) {
        Ok(()) => return 0,
        Err(Failure::Usage(text)) => (text, EXIT_USAGE),
        Err(Failure::Failed(text)) => (text, 1),
    };
    let prefix = if text.starts_with("error: ") { "" } else { "error: " };
    // Nobody to tell if even this cannot be written.
    let _ = writeln!(terminal.err, "{prefix}{}", text.trim_end());
    code
}

fn dispatch(
    command: &Command,
    common: &Common,
    env: &Env,
    terminal: &mut Terminal<'_>,
    offline: Offline<'_>,
) -> Result<(), Failure> {
    let loaded =
        Config::load(common.config.as_deref(), env).map_err(|report| Failure::Usage(report.to_string()))?;
    for warning in &loaded.warnings {
        writeln!(terminal.err, "warning: {warning}")?;
    }
    let config = loaded.config;
    if let Command::Check(paths) = command {
        let said = if paths.paths.is_empty() { check::store(&config) } else { check::paths(&paths.paths) };
        return Ok(terminal.out.write_all(said?.as_bytes())?);
    }
    let mut session = Session { config, json: common.json, terminal, offline };
    match command {
        Command::Check(_) => Ok(()),
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
        Command::Export(arguments) => session.export(arguments),
        Command::Import(arguments) => session.import(arguments),
    }
}

pub(crate) struct Session<'a, 't> {
    config: Config,
    json: bool,
    terminal: &'a mut Terminal<'t>,
    offline: Offline<'a>,
}

fn ask(connection: &mut Connection, request: Request) -> Result<Response, Failure> {
    match connection.ask(request)? {
        Response::Failed { message, usage: true } => Err(Failure::Usage(message)),
        Response::Failed { message, usage: false } => Err(Failure::Failed(message)),
        response => Ok(response),
    }
}

fn unexpected<T>(response: &Response) -> Result<T, Failure> {
    Err(Failure::Failed(format!("the exchange answered something else: {response:?}")))
}

pub(crate) fn get(connection: &mut Connection, kind: &str, name: &str) -> Result<Value, Failure> {
    let request = Request::Get { kind: kind.to_owned(), name: name.to_owned() };
    match ask(connection, request)? {
        Response::Resource { document } => Ok(document),
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
        if self.json {
            serde_json::to_writer_pretty(&mut *self.terminal.out, json).map_err(io::Error::from)?;
            writeln!(self.terminal.out)?;
        } else {
            self.terminal.out.write_all(text().as_bytes())?;
        }
        Ok(())
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
        self.tell(&json!(found), || show::resources(kind, &found))?;
        if more > 0 {
            writeln!(self.terminal.err, "{more} more")?;
        }
        Ok(())
    }

    fn get(&mut self, kind: Kind, arguments: &Get) -> Result<(), Failure> {
        let mut connection = self.connect(false)?;
        let document = get(&mut connection, kind.plural(), &arguments.name)?;
        self.tell(&document, || show::resource(&document))
    }

    fn create<C: Create>(&mut self, kind: Kind, Creation { own, new }: &Creation<C>) -> Result<(), Failure> {
        if let Some(file) = &new.file {
            let texts = self.texts(std::slice::from_ref(file))?;
            return self.apply(ApplyMode::Create, texts);
        }
        let mut how = own.password().cloned().unwrap_or_default();
        if own.asks() && !how.password_stdin && !how.generate_password {
            how.prompt_password = true;
        }
        let mut connection = self.connect(true)?;
        let mut making = Making {
            connection: &mut connection,
            terminal: self.terminal,
            domain: &self.config.domain,
            how,
            generated: None,
        };
        let documents = own.documents(new, &mut making).map_err(Failure::Usage)?;
        let generated = making.generated;
        apply(&mut connection, ApplyMode::Create, &documents)?;

        let made = documents.last().map(|d| field(d, "/ref").unwrap_or_default()).unwrap_or_default();
        let mut json =
            json!({ "created": documents.iter().filter_map(|d| d.get("ref")).collect::<Vec<_>>() });
        if let Some(password) = &generated {
            json["password"] = password.as_str().into();
        }
        self.tell(&json, || {
            let secret = generated.as_ref().map(|p| format!("password: {p}\n")).unwrap_or_default();
            format!("created {kind} {made}\n{secret}")
        })
    }

    fn update(&mut self, kind: Kind, arguments: &Update) -> Result<(), Failure> {
        if let Some(file) = &arguments.file {
            let texts = self.texts(std::slice::from_ref(file))?;
            return self.apply(ApplyMode::Update, texts);
        }
        let how = &arguments.password;
        let secret = how.password_stdin || how.prompt_password || how.generate_password;
        if arguments.edits.set.is_empty() && arguments.unset.is_empty() && !secret {
            return Err(Failure::Usage(
                "nothing to change: give --set, --unset, --file or a password".into(),
            ));
        }
        let mut connection = self.connect(false)?;
        let name = arguments.name.as_deref().unwrap_or_default();
        let mut document = get(&mut connection, kind.plural(), name)?;
        for edit in &arguments.edits.set {
            edit::set(&mut document, edit).map_err(Failure::Usage)?;
        }
        for path in &arguments.unset {
            edit::unset(&mut document, path).map_err(Failure::Usage)?;
        }
        let reference = field(&document, "/ref").unwrap_or_default().to_owned();
        let mut documents = vec![document];
        let mut generated = None;
        if secret {
            let mut making = Making {
                connection: &mut connection,
                terminal: self.terminal,
                domain: &self.config.domain,
                how: how.clone(),
                generated: None,
            };
            let password = making.password(&reference).map_err(Failure::Usage)?;
            generated = making.generated;
            set_password(&mut connection, kind, &mut documents, &password)?;
        }
        apply(&mut connection, ApplyMode::Update, &documents)?;
        let mut json = json!({ "updated": reference });
        if let Some(password) = &generated {
            json["password"] = password.as_str().into();
        }
        self.tell(&json, || {
            let secret = generated.as_ref().map(|p| format!("password: {p}\n")).unwrap_or_default();
            format!("updated {kind} {reference}\n{secret}")
        })
    }

    fn delete(&mut self, kind: Kind, arguments: &Delete) -> Result<(), Failure> {
        let mut connection = self.connect(false)?;
        let mut targets = Vec::new();
        for name in &arguments.names {
            targets.push(Target { kind: kind.plural().into(), name: name.clone() });
            if !arguments.with_credentials {
                continue;
            }
            let document = get(&mut connection, kind.plural(), name)?;
            let paths =
                ["/spec/credentialsRef", "/spec/inbound/credentialsRef", "/spec/outbound/credentialsRef"];
            for name in paths.iter().filter_map(|path| field(&document, path)) {
                let target = Target { kind: Kind::Credentials.plural().into(), name: name.to_owned() };
                if !targets.contains(&target) {
                    targets.push(target);
                }
            }
        }
        let response = ask(&mut connection, Request::Delete { targets })?;
        self.changed(response)
    }

    /// Creates or updates what files hold.
    fn apply(&mut self, mode: ApplyMode, texts: Vec<Text>) -> Result<(), Failure> {
        let mut connection = self.connect(mode == ApplyMode::Create)?;
        let response = ask(&mut connection, Request::Apply { mode, texts })?;
        self.changed(response)
    }

    fn changed(&mut self, response: Response) -> Result<(), Failure> {
        let Response::Changed(done) = response else { return unexpected(&response) };
        self.tell(&json!(done), || {
            let Changed { created, updated, unchanged, deleted } = done;
            let parts =
                [(created, "created"), (updated, "updated"), (unchanged, "unchanged"), (deleted, "deleted")];
            let parts: Vec<String> =
                parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
            if parts.is_empty() { "nothing to do\n".into() } else { format!("{}\n", parts.join(", ")) }
        })
    }

    fn status(&mut self) -> Result<(), Failure> {
        let mut connection = self.connect(false)?;
        match ask(&mut connection, Request::Status)? {
            Response::Status(status) => self.tell(&json!(status), || live::status(&status)),
            other => unexpected(&other),
        }
    }

    fn registrations(&mut self, arguments: &Registrations) -> Result<(), Failure> {
        let mut connection = self.connect(false)?;
        let filter = match &arguments.action {
            Some(RegistrationAction::Kick { aor, .. }) => Some(aor.clone()),
            Some(RegistrationAction::List) | None => arguments.filter.clone(),
        };
        let limit = arguments.limit;
        let items = match ask(&mut connection, Request::Registrations { filter, limit })? {
            Response::Registrations { items } => items,
            other => return unexpected(&other),
        };
        let Some(RegistrationAction::Kick { aor, contact }) = &arguments.action else {
            self.tell(&json!(items), || live::registrations(&items))?;
            if items.len() == limit {
                writeln!(self.terminal.err, "there may be more: --limit {}", limit.saturating_mul(10))?;
            }
            return Ok(());
        };
        let mut aors: Vec<&str> =
            items.iter().map(|r| r.aor.as_str()).filter(|known| means(known, aor)).collect();
        aors.dedup();
        aors.sort_unstable();
        aors.dedup();
        let aor = match aors.as_slice() {
            [one] => (*one).to_owned(),
            [] => return Err(Failure::Failed(format!("`{aor}` is not registered"))),
            [..] => {
                return Err(Failure::Usage(format!("`{aor}` may be one of: {}", aors.join(", "))));
            }
        };
        let request = Request::Kick { aor: aor.clone(), contact: contact.clone() };
        match ask(&mut connection, request)? {
            Response::Kicked { count } => self.tell(&json!({"aor": aor, "kicked": count}), || {
                format!("{aor}: {count} registrations removed\n")
            }),
            other => unexpected(&other),
        }
    }

    fn calls(&mut self, arguments: &Calls) -> Result<(), Failure> {
        let mut connection = self.connect(false)?;
        let request = match &arguments.action {
            Some(CallAction::List) | None => Request::Calls,
            Some(CallAction::Records { since, filter, limit }) => Request::Records(RecordQuery {
                since: since.map(|seconds| time::now() - seconds),
                filter: filter.clone(),
                limit: *limit,
            }),
        };
        match ask(&mut connection, request)? {
            Response::Calls { items } => self.tell(&json!(items), || live::calls(&items)),
            Response::Records { items } => self.tell(&json!(items), || live::records(&items)),
            other => unexpected(&other),
        }
    }

    fn export(&mut self, arguments: &Export) -> Result<(), Failure> {
        let mut connection = self.connect(false)?;
        let text = match ask(&mut connection, Request::Export)? {
            Response::Text { text } => text,
            other => return unexpected(&other),
        };
        let Some(path) = &arguments.output else {
            return Ok(self.terminal.out.write_all(text.as_bytes())?);
        };
        let mut file = std::fs::OpenOptions::new();
        let mut file = file
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| Failure::Failed(format!("cannot write {}: {error}", path.display())))?;
        Ok(file.write_all(text.as_bytes())?)
    }

    fn import(&mut self, arguments: &Import) -> Result<(), Failure> {
        let texts = self.texts(&arguments.paths)?;
        let mode = match (arguments.replace, arguments.add) {
            (true, _) => ImportMode::Replace,
            (false, true) => ImportMode::Add,
            (false, false) => ImportMode::Merge,
        };
        let mut connection = self.connect(true)?;
        let response = ask(&mut connection, Request::Import { texts, mode })?;
        self.changed(response)
    }

    /// Reads files, folders and the standard input.
    fn texts(&mut self, paths: &[PathBuf]) -> Result<Vec<Text>, Failure> {
        let mut texts = Vec::new();
        for path in paths {
            if path == Path::new("-") {
                let text = self.terminal.everything()?;
                texts.push(Text { name: "the standard input".into(), text });
                continue;
            }
            for source in check::read(std::slice::from_ref(path))? {
                texts.push(Text { name: source.name.clone(), text: source.text.clone() });
            }
        }
        Ok(texts)
    }
}

pub(crate) fn apply(
    connection: &mut Connection,
    mode: ApplyMode,
    documents: &[Value],
) -> Result<(), Failure> {
    let text = Text { name: "the command line".into(), text: json!(documents).to_string() };
    match ask(connection, Request::Apply { mode, texts: vec![text] })? {
        Response::Changed(_) => Ok(()),
        other => unexpected(&other),
    }
}

/// Puts a new password where the kind keeps it: itself, or its credentials, which then change too.
fn set_password(
    connection: &mut Connection,
    kind: Kind,
    documents: &mut Vec<Value>,
    password: &str,
) -> Result<(), Failure> {
    let Some(document) = documents.first_mut() else { return Ok(()) };
    match kind {
        Kind::Credentials => document["spec"]["credentials"]["password"] = password.into(),
        Kind::User => {
            let hash = trunkline_store::hash_password(password);
            document["spec"]["passwordHash"] =
                hash.map_err(|error| Failure::Failed(error.to_string()))?.into();
        }
        Kind::Agent | Kind::Peer | Kind::Trunk => {
            let path =
                if kind == Kind::Trunk { "/spec/outbound/credentialsRef" } else { "/spec/credentialsRef" };
            let Some(name) = field(document, path) else {
                return Err(Failure::Usage(format!("this {kind} has no credentials")));
            };
            let mut credentials = get(connection, Kind::Credentials.plural(), name)?;
            credentials["spec"]["credentials"]["password"] = password.into();
            documents.push(credentials);
        }
        Kind::AccessControlList | Kind::Number | Kind::Domain => {
            return Err(Failure::Usage(format!("a {kind} has no password")));
        }
    }
    Ok(())
}

/// Does what was typed mean this AOR? The scheme may be left out, and the host.
fn means(aor: &str, typed: &str) -> bool {
    let bare = aor.split_once(':').map_or(aor, |(_, rest)| rest);
    let user = bare.split_once('@').map_or(bare, |(user, _)| user);
    [aor, bare, user].contains(&typed)
}

/// The answers a `create` needs.
struct Making<'a, 't> {
    connection: &'a mut Connection,
    terminal: &'a mut Terminal<'t>,
    domain: &'a str,
    how: NewPassword,
    generated: Option<String>,
}

impl Lookup for Making<'_, '_> {
    fn reference(&mut self, kind: &str, name: &str) -> Result<String, String> {
        match get(self.connection, kind, name) {
            Ok(document) => Ok(field(&document, "/ref").unwrap_or_default().to_owned()),
            Err(Failure::Usage(message) | Failure::Failed(message)) => Err(message),
        }
    }

    fn password(&mut self, whose: &str) -> Result<String, String> {
        let password = if self.how.password_stdin {
            self.terminal.line().map_err(|error| error.to_string())?
        } else if self.how.prompt_password {
            self.terminal.ask_password(whose).map_err(|error| error.to_string())?
        } else {
            let password = generate_secret(PASSWORD_LENGTH).map_err(|error| error.to_string())?;
            self.generated = Some(password.clone());
            password
        };
        if password.is_empty() { Err("the password is empty".into()) } else { Ok(password) }
    }

    fn default_domain(&self) -> String {
        self.domain.to_owned()
    }
}
