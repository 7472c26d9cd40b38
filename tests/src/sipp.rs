//! SIPp as a caller or a callee: one process, one scenario of `tests/sipp`, one call unless told otherwise.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::scratch::Scratch;
use crate::{free_port, wait_for};

/// A SIPp run in the making.
#[derive(Debug)]
pub struct Sipp {
    scenario: String,
    /// For calls that others make meanwhile.
    beside: Option<String>,
    host: String,
    target: Option<SocketAddr>,
    port: u16,
    transport: &'static str,
    calls: u32,
    args: Vec<String>,
    fill: Vec<(String, String)>,
}

impl Sipp {
    /// A scenario of `tests/sipp` by its name without `.xml`.
    pub fn new(scenario: &str) -> Sipp {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("sipp").join(format!("{scenario}.xml"));
        let text = std::fs::read_to_string(&file);
        Sipp::of(&text.unwrap_or_else(|error| panic!("{}: {error}", file.display())))
    }

    /// A scenario as its text.
    pub fn of(scenario: &str) -> Sipp {
        Sipp {
            scenario: scenario.to_owned(),
            beside: None,
            host: "127.0.0.1".to_owned(),
            target: None,
            port: free_port(),
            transport: "u1",
            calls: 1,
            args: Vec::new(),
            fill: Vec::new(),
        }
    }

    /// Another scenario, for calls that others make meanwhile.
    pub fn beside(mut self, scenario: &str) -> Sipp {
        self.beside = Some(scenario.to_owned());
        self
    }

    /// Its address.
    pub fn from(mut self, host: &str) -> Sipp {
        self.host = host.to_owned();
        self
    }

    /// Where its requests go.
    pub fn to(mut self, target: SocketAddr) -> Sipp {
        self.target = Some(target);
        self
    }

    /// Its own port instead of a free one.
    pub fn port(mut self, port: u16) -> Sipp {
        self.port = port;
        self
    }

    /// `u1` (UDP) or `t1` (TCP).
    pub fn transport(mut self, transport: &'static str) -> Sipp {
        self.transport = transport;
        self
    }

    /// How many calls it makes or takes.
    pub fn calls(mut self, calls: u32) -> Sipp {
        self.calls = calls;
        self
    }

    /// Further header lines of its INVITEs, for scenarios that take them.
    pub fn headers(self, lines: &[&str]) -> Sipp {
        let text = lines.iter().fold(String::new(), |text, line| text + "\n" + line);
        self.fill("MORE", &text)
    }

    /// Fills `{NAME}` in the scenario.
    pub fn fill(mut self, name: &str, value: &str) -> Sipp {
        self.fill.push((format!("{{{name}}}"), value.to_owned()));
        self
    }

    /// A further argument.
    pub fn arg(mut self, arg: &str) -> Sipp {
        self.args.push(arg.to_owned());
        self
    }

    /// Starts it.
    pub fn start(self) -> SippRun {
        let scratch = Scratch::new("sipp");
        let fill = |text: &str| {
            let text =
                self.fill.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value));
            text.replace("{MORE}", "")
        };
        let file = scratch.write("scenario.xml", fill(&self.scenario));
        let filled = |name: &str| self.fill.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        let target_uri = filled("{TO}").zip(filled("{DOMAIN}")).map(|(user, host)| format!("{user}@{host}"));
        let mut command = Command::new("sipp");
        command.args(self.target.map(|target| target.to_string()));
        command.arg("-sf").arg(file).args([
            "-i",
            &self.host,
            "-nostdin",
            "-timeout_error",
            "-trace_msg",
            "-trace_err",
        ]);
        if let Some(beside) = &self.beside {
            command.arg("-oocsf").arg(scratch.write("beside.xml", fill(beside)));
        }
        command.args(["-p", &self.port.to_string(), "-t", self.transport, "-m", &self.calls.to_string()]);
        command
            .args(["-timeout", "55s", "-message_file", "messages", "-error_file", "errors"])
            .args(&self.args);
        // Else its digests are for its server's address, whoever is called, which no INVITE may have.
        command.args(target_uri.iter().flat_map(|uri| ["-auth_uri", uri]));
        if self.transport == "u1" {
            // On a busy machine timer A repeats an INVITE, so its failure comes twice and so does the ACK. SIPp knows
            // a repetition only of the last message and gives up at any other; what must come must come all the same.
            command.args(["-default_behaviors", "all,-abortunexp"]);
        }
        let out = std::fs::File::create(scratch.path().join("screen")).expect("a file");
        let child = command
            .current_dir(scratch.path())
            .env("TERM", "dumb")
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("a file"))
            .stderr(out)
            .spawn()
            .expect("sipp starts: cargo xtask install");
        let mut run = SippRun { child, scratch, port: self.port };
        if self.target.is_none() {
            run.wait_bound(self.transport);
        }
        run
    }

    /// Starts it and waits for its end; panics unless every call went as the scenario says.
    pub fn run(self) {
        self.start().finish();
    }
}

/// A running SIPp; dropped, it is ended.
#[derive(Debug)]
pub struct SippRun {
    child: Child,
    scratch: Scratch,
    /// Its port.
    pub port: u16,
}

impl SippRun {
    /// Waits for its end; panics unless every call went as the scenario says.
    pub fn finish(mut self) {
        let child = &mut self.child;
        let status = wait_for("SIPp to end", || child.try_wait().ok().flatten());
        assert!(status.success(), "sipp ended with {status}\n{}", self.trace());
    }

    /// Every message it sent and received.
    pub fn messages(&self) -> String {
        std::fs::read_to_string(self.scratch.path().join("messages")).unwrap_or_default()
    }

    /// What its scenario has logged, with `-trace_logs -log_file log`.
    pub fn logged(&self) -> String {
        std::fs::read_to_string(self.scratch.path().join("log")).unwrap_or_default()
    }

    /// Its errors, and what it sent and received.
    pub fn trace(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(self.scratch.path().join(name)).unwrap_or_default();
        format!("{}\n{}", read("errors"), read("messages"))
    }

    /// A callee counts as started once its port is taken.
    fn wait_bound(&mut self, transport: &str) {
        let (port, child) = (self.port, &mut self.child);
        wait_for("SIPp to bind its port", || {
            assert!(
                child.try_wait().is_ok_and(|status| status.is_none()),
                "sipp ended before its first call"
            );
            // A look, not a bind of our own: that could take the port from under SIPp.
            // 0A is LISTEN: a bound TCP socket refuses connections until then.
            let (table, state) =
                if transport == "t1" { ("/proc/net/tcp", "0A") } else { ("/proc/net/udp", "07") };
            let line = format!("0100007F:{port:04X} 00000000:0000 {state}");
            std::fs::read_to_string(table).ok()?.contains(&line).then_some(())
        });
    }
}

impl Drop for SippRun {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
