//! The commands that change resources: create, update, delete, import; and export.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use trunkline_model::document::{Node, Source, parse};
use trunkline_model::{Kind, SHORT_PASSWORD, is_common_password};
use trunkline_store::generate_secret;

use crate::command::{Creation, Delete, Export, Import, NewPassword, Update};
use crate::connection::Connection;
use crate::create::{Create, Lookup};
use crate::protocol::{ApplyMode, Changed, ImportMode, Request, Response, Seen, Target, Text};
use crate::run::{Failure, Session, ask, field, get, get_seen, unexpected};
use crate::terminal::Terminal;
use crate::{check, edit};

/// How long a generated password is.
const PASSWORD_LENGTH: usize = 16;

impl Session<'_, '_> {
    pub(crate) fn create<C: Create>(
        &mut self,
        kind: Kind,
        Creation { own, new }: &Creation<C>,
    ) -> Result<(), Failure> {
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
            weak: None,
        };
        let documents = own.documents(new, &mut making).map_err(Failure::Usage)?;
        let (generated, weak) = (making.generated, making.weak);
        let mut warnings = apply(&mut connection, ApplyMode::Create, &documents, Vec::new())?;
        warnings.extend(of_login(kind, weak));

        let made = documents.last().map(|d| field(d, "/ref").unwrap_or_default()).unwrap_or_default();
        let refs = documents.iter().filter_map(|d| d.get("ref")).collect::<Vec<_>>();
        self.tell_with_password(json!({ "created": refs }), &format!("created {kind} {made}"), generated)?;
        self.terminal.warn(&warnings)
    }

    /// Tells what was done, and the password that was made for it, if any.
    fn tell_with_password(
        &mut self,
        mut json: Value,
        text: &str,
        generated: Option<String>,
    ) -> Result<(), Failure> {
        if let Some(password) = &generated {
            json["password"] = password.as_str().into();
        }
        let secret = generated.map(|p| format!("password: {p}\n")).unwrap_or_default();
        self.tell(&json, || format!("{text}\n{secret}"))
    }

    pub(crate) fn update(&mut self, kind: Kind, arguments: &Update) -> Result<(), Failure> {
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
        let (mut document, seen) = get_seen(&mut connection, kind.plural(), name)?;
        let mut all_seen = vec![seen];
        for edit in &arguments.edits.set {
            edit::set(&mut document, edit).map_err(Failure::Usage)?;
        }
        for path in &arguments.unset {
            edit::unset(&mut document, path).map_err(Failure::Usage)?;
        }
        let reference = field(&document, "/ref").unwrap_or_default().to_owned();
        let mut documents = vec![document];
        let (mut generated, mut weak) = (None, None);
        if secret {
            let mut making = Making {
                connection: &mut connection,
                terminal: self.terminal,
                domain: &self.config.domain,
                how: how.clone(),
                generated: None,
                weak: None,
            };
            let password = making.password(&reference).map_err(Failure::Usage)?;
            (generated, weak) = (making.generated, making.weak);
            all_seen.extend(set_password(&mut connection, kind, &mut documents, &password)?);
        }
        let mut warnings = apply(&mut connection, ApplyMode::Update, &documents, all_seen)?;
        warnings.extend(of_login(kind, weak));
        let text = format!("updated {kind} {reference}");
        self.tell_with_password(json!({ "updated": reference }), &text, generated)?;
        self.terminal.warn(&warnings)
    }

    pub(crate) fn delete(&mut self, kind: Kind, arguments: &Delete) -> Result<(), Failure> {
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
    pub(crate) fn apply(&mut self, mode: ApplyMode, texts: Vec<Text>) -> Result<(), Failure> {
        let mut connection = self.connect(mode == ApplyMode::Create)?;
        let response =
            ask(&mut connection, Request::Apply { mode, texts, documents: Vec::new(), seen: Vec::new() })?;
        self.changed(response)
    }

    pub(crate) fn changed(&mut self, response: Response) -> Result<(), Failure> {
        let Response::Changed(done) = response else { return unexpected(&response) };
        self.tell(&json!(done), || {
            let Changed { created, updated, unchanged, deleted, .. } = done;
            let parts =
                [(created, "created"), (updated, "updated"), (unchanged, "unchanged"), (deleted, "deleted")];
            let parts: Vec<String> =
                parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
            if parts.is_empty() { "nothing to do\n".into() } else { format!("{}\n", parts.join(", ")) }
        })?;
        self.terminal.warn(&done.warnings)
    }

    pub(crate) fn export(&mut self, arguments: &Export) -> Result<(), Failure> {
        let mut connection = self.connect(false)?;
        let text = match ask(&mut connection, Request::Export)? {
            Response::Text { text } => text,
            other => return unexpected(&other),
        };
        let text = if self.json { as_json(&text)? } else { text };
        let Some(path) = &arguments.output else {
            return self.terminal.print(&text);
        };
        let shown = path;
        let wrong = |error: io::Error| Failure::Failed(format!("cannot write {}: {error}", shown.display()));
        let mut options = std::fs::OpenOptions::new();
        if std::fs::metadata(path).is_ok_and(|there| !there.is_file()) {
            // A pipe or a device must not be replaced by a file.
            return options
                .write(true)
                .open(path)
                .and_then(|mut to| to.write_all(text.as_bytes()))
                .map_err(wrong);
        }
        // Made beside it and moved: what others may read, or the backup before, is not half written over.
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
        let mut fresh = path.as_os_str().to_owned();
        fresh.push(format!(".{}", std::process::id()));
        let fresh = PathBuf::from(fresh);
        let file = options.write(true).create_new(true).mode(0o600).open(&fresh).map_err(wrong)?;
        let written = (&file).write_all(text.as_bytes()).and_then(|()| file.sync_all());
        written.and_then(|()| std::fs::rename(&fresh, &path)).map_err(|error| {
            let _ = std::fs::remove_file(&fresh);
            wrong(error)
        })
    }

    pub(crate) fn import(&mut self, arguments: &Import) -> Result<(), Failure> {
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
    pub(crate) fn texts(&mut self, paths: &[PathBuf]) -> Result<Vec<Text>, Failure> {
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

/// The documents of a YAML text as a JSON list, which `import` reads too.
fn as_json(yaml: &str) -> Result<String, Failure> {
    let documents = parse(&Source::new("the export", yaml));
    let documents = documents.map_err(|error| Failure::Failed(error.to_string()))?;
    let documents: Vec<Value> = documents.iter().map(Node::to_json).collect();
    Ok(format!("{:#}\n", json!(documents)))
}

/// Makes changes; gives what there is to be warned of.
pub(crate) fn apply(
    connection: &mut Connection,
    mode: ApplyMode,
    documents: &[Value],
    seen: Vec<Seen>,
) -> Result<Vec<String>, Failure> {
    let request = Request::Apply { mode, texts: Vec::new(), documents: documents.to_vec(), seen };
    match ask(connection, request)? {
        Response::Changed(done) => Ok(done.warnings),
        other => unexpected(&other),
    }
}

/// Puts a new password where the kind keeps it: itself, or its credentials, which then change too.
fn set_password(
    connection: &mut Connection,
    kind: Kind,
    documents: &mut Vec<Value>,
    password: &str,
) -> Result<Option<Seen>, Failure> {
    let Some(document) = documents.first_mut() else { return Ok(None) };
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
            let (mut credentials, seen) = get_seen(connection, Kind::Credentials.plural(), name)?;
            credentials["spec"]["credentials"]["password"] = password.into();
            documents.push(credentials);
            return Ok(Some(seen));
        }
        Kind::AccessControlList | Kind::Number | Kind::Domain => {
            return Err(Failure::Usage(format!("a {kind} has no password")));
        }
    }
    Ok(None)
}

/// A warning about a weak password that is stored as a hash, which does not show that later.
fn of_login(kind: Kind, weak: Option<String>) -> Option<String> {
    weak.filter(|_| kind == Kind::User)
}

/// Why a password is a weak one.
fn weakness(password: &str) -> Option<String> {
    if is_common_password(password) {
        return Some("the password is one of the most common ones, which are guessed first".into());
    }
    (password.chars().count() < SHORT_PASSWORD).then(|| {
        format!("the password has fewer than {SHORT_PASSWORD} characters, which can be guessed soon")
    })
}

/// The answers a `create` needs.
struct Making<'a, 't> {
    connection: &'a mut Connection,
    terminal: &'a mut Terminal<'t>,
    domain: &'a str,
    how: NewPassword,
    generated: Option<String>,
    /// Why the password that was given is a weak one.
    weak: Option<String>,
}

impl Lookup for Making<'_, '_> {
    fn reference(&mut self, kind: &str, name: &str) -> Result<String, String> {
        match get(self.connection, kind, name) {
            Ok(document) => Ok(field(&document, "/ref").unwrap_or_default().to_owned()),
            Err(Failure::Usage(message) | Failure::Failed(message)) => Err(message),
            // Nothing was printed.
            Err(Failure::Unread) => Err(String::new()),
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
        self.weak = weakness(&password);
        if password.is_empty() { Err("the password is empty".into()) } else { Ok(password) }
    }

    fn default_domain(&self) -> String {
        self.domain.to_owned()
    }
}
