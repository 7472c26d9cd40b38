//! One private Asterisk on an address of its own, set up as tests/asterisk installs it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::scratch::Scratch;
use crate::wait_for;

/// A running Asterisk; dropped, it is ended.
#[derive(Debug)]
pub struct Asterisk {
    scratch: Scratch,
    program: PathBuf,
    child: Child,
}

impl Asterisk {
    /// Starts one with its media at this address, and with these texts as `pjsip.conf` and `extensions.conf`.
    pub fn start(address: &str, pjsip: &str, extensions: &str) -> Asterisk {
        Asterisk::start_with(address, &[("pjsip", pjsip), ("extensions", extensions)])
    }

    /// The same with other files, by their names without `.conf`.
    pub fn start_with(address: &str, files: &[(&str, &str)]) -> Asterisk {
        let (scratch, env) = (Scratch::new("asterisk"), env());
        let d = scratch.path().display().to_string();
        for folder in ["etc", "run", "log", "spool", "var", "cache", "db", "keys"] {
            std::fs::create_dir_all(scratch.path().join(folder)).expect("a folder");
        }
        let fill = |text: String| {
            let all = [
                ("@D@", d.as_str()),
                ("@IP@", address),
                ("@NAME@", "pbx"),
                ("@EID@", "02:00:00:00:00:0c"),
                ("@MODULES@", &env.modules),
                ("@DATA@", &env.data),
                ("@RTPSTART@", "21000"),
                ("@RTPEND@", "21499"),
            ];
            all.iter().fold(text, |text, (name, value)| text.replace(name, value))
        };
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        for name in ["asterisk", "logger", "rtp", "indications", "modules"] {
            let text =
                std::fs::read_to_string(here.join(format!("asterisk/conf/{name}.conf"))).expect("a template");
            let text = text.replace("preload = res_config_pgsql.so", "noload = res_config_pgsql.so");
            scratch.write(&format!("etc/{name}.conf"), fill(text));
        }
        for (name, text) in files {
            scratch.write(&format!("etc/{name}.conf"), text);
        }
        let mut command = as_user(&scratch, &env.program);
        command.args(["-C", &format!("{d}/etc/asterisk.conf"), "-f", "-n"]);
        let console = std::fs::File::create(scratch.path().join("log/console")).expect("a file");
        let out = console.try_clone().expect("a file");
        let child =
            command.stdin(Stdio::null()).stdout(out).stderr(console).spawn().expect("Asterisk starts");
        let mut asterisk = Asterisk { scratch, program: env.program, child };
        wait_for("Asterisk to boot", || {
            let status = asterisk.child.try_wait().expect("a child");
            assert!(status.is_none(), "Asterisk ended: {status:?}\n{}", asterisk.console());
            asterisk.cli("core waitfullybooted").contains("fully booted").then_some(())
        });
        asterisk
    }

    /// A command of its console, and what it prints.
    pub fn cli(&self, command: &str) -> String {
        let conf = self.scratch.path().join("etc/asterisk.conf");
        let mut run = as_user(&self.scratch, &self.program);
        let out = run
            .arg("-C")
            .arg(conf)
            .args(["-rx", command])
            .stdin(Stdio::null())
            .output()
            .expect("the console");
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    /// What it has written.
    pub fn console(&self) -> String {
        let read =
            |name| std::fs::read_to_string(self.scratch.path().join("log").join(name)).unwrap_or_default();
        read("console") + &read("messages")
    }
}

impl Drop for Asterisk {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.console().lines().rev().take(20).collect::<Vec<_>>().join("\n"));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Env {
    program: PathBuf,
    modules: String,
    data: String,
}

/// What `tests/asterisk/install.sh` wrote.
fn env() -> Env {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("asterisk/home.sh");
    let out = Command::new("sh").arg(home).output().expect("home.sh");
    let file = PathBuf::from(String::from_utf8_lossy(&out.stdout).trim()).join("env.sh");
    let text = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{}: {error}: cargo xtask install brings it", file.display()));
    let get = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.expect("a variable of env.sh").trim_matches('\'').to_owned()
    };
    Env { program: get("AST_BIN").into(), modules: get("AST_MODULES"), data: get("AST_DATA") }
}

/// Asterisk never runs as root.
fn as_user(scratch: &Scratch, program: &Path) -> Command {
    let root = Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout.trim_ascii() == b"0");
    if !root {
        return Command::new(program);
    }
    let owned = Command::new("chown").args(["-R", "nobody"]).arg(scratch.path()).status();
    assert!(owned.is_ok_and(|status| status.success()), "chown");
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]).arg(program);
    command
}
