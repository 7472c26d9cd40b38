//! A PostgreSQL server of a test, with its data in a scratch folder.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::ports::free_port;
use crate::scratch::Scratch;
use crate::wait_for;

/// A running PostgreSQL with a user `trunkline`, who owns the database `trunkline`; dropped, it is ended.
#[derive(Debug)]
pub struct PostgresServer {
    /// Its port on 127.0.0.1.
    pub port: u16,
    settings: Vec<String>,
    scratch: Scratch,
    child: Child,
}

/// The password of the user.
const SECRET: &str = "of-the-database";

/// An account that owns nothing: the server refuses to run as root.
const NOBODY: &str = "65534";

impl PostgresServer {
    /// On a free port.
    pub fn start() -> PostgresServer {
        PostgresServer::start_with(|_| Vec::new())
    }

    /// On a free port, with settings that may name files in its folder.
    pub fn start_with(settings: impl FnOnce(&Scratch) -> Vec<String>) -> PostgresServer {
        let scratch = Scratch::new("postgres");
        scratch.write("password", SECRET);
        let settings = settings(&scratch);
        own(scratch.path());
        let done = server("initdb", &scratch)
            .args(["--username", "trunkline", "--auth", "scram-sha-256", "--no-sync", "--encoding", "UTF8"])
            .args(["--locale", "C", "--pwfile"])
            .arg(scratch.path().join("password"))
            .arg("--pgdata")
            .arg(scratch.path().join("data"))
            .output()
            .expect("`initdb` starts: cargo xtask install");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let port = free_port();
        let child = spawn(port, &settings, &scratch);
        let server = PostgresServer { port, settings, scratch, child };
        wait_for("PostgreSQL to answer", || {
            (server.try_ask("postgres", "SELECT 1").ok()? == "1").then_some(())
        });
        server.try_ask("postgres", "CREATE DATABASE trunkline").expect("a database");
        server
    }

    /// The URL of the database, without a password.
    pub fn url(&self) -> String {
        format!("postgres://trunkline@127.0.0.1:{}/trunkline", self.port)
    }

    /// The variable that has the password.
    pub fn password(&self) -> (&'static str, &'static str) {
        ("PGPASSWORD", SECRET)
    }

    /// Ends it at once, with all its connections.
    pub fn kill(&mut self) {
        // A server that is killed leaves its processes to find that out; this signal ends them all.
        let _ = Command::new("kill").args(["-QUIT", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }

    /// Starts it again with the data it had.
    pub fn restart(&mut self) {
        self.child = spawn(self.port, &self.settings, &self.scratch);
        wait_for("PostgreSQL to answer", || self.try_ask("postgres", "SELECT 1").ok());
    }

    /// The rows that a statement gives, fields with `|` between.
    pub fn ask(&self, sql: &str) -> String {
        self.try_ask("trunkline", sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    fn try_ask(&self, database: &str, sql: &str) -> Result<String, String> {
        let out = Command::new("psql")
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "trunkline", "-d", database])
            .args(["-qAtX", "-c", sql])
            .env("PGPASSWORD", SECRET)
            .output()
            .expect("`psql` starts: cargo xtask install");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if out.status.success() { Ok(text(&out.stdout)) } else { Err(text(&out.stderr)) }
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|data| std::os::unix::fs::MetadataExt::uid(&data) == 0)
}

/// Gives the folder and what is in it to the account that the server runs as.
fn own(folder: &Path) {
    if is_root() {
        let done = Command::new("chown").args(["-R", &format!("{NOBODY}:{NOBODY}")]).arg(folder).status();
        assert!(done.is_ok_and(|status| status.success()), "chown {}", folder.display());
    }
}

/// One of the server's programs, which are not on PATH.
fn server(program: &str, scratch: &Scratch) -> Command {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin").join(program))
        .filter(|path| path.exists())
        .collect();
    found.sort();
    let program = found.pop().unwrap_or_else(|| program.into());
    let mut command = match is_root() {
        true => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]).arg(program);
            command
        }
        false => Command::new(program),
    };
    command.current_dir(scratch.path()).env("LC_ALL", "C").stdin(Stdio::null());
    command
}

fn spawn(port: u16, settings: &[String], scratch: &Scratch) -> Child {
    let log = std::fs::File::options().create(true).append(true).open(scratch.path().join("postgres.log"));
    let log = log.expect("the log file opens");
    let mut command = server("postgres", scratch);
    command.arg("-D").arg(scratch.path().join("data"));
    let fixed = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "max_connections=20"];
    for setting in fixed.into_iter().map(str::to_owned).chain([format!("port={port}")]) {
        command.args(["-c", &setting]);
    }
    for setting in settings {
        command.args(["-c", setting]);
    }
    command
        .stdout(Stdio::from(log.try_clone().expect("the log file opens")))
        .stderr(Stdio::from(log))
        .spawn()
        .expect("`postgres` starts: cargo xtask install")
}
