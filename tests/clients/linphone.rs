//! Linphone without a window (`linphone-daemon`), driven over its Unix socket.

use std::fs::File;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use trunkline_tests::{PATIENCE, Scratch, free_run, wait_for, wait_for_every};

use super::phone::{Phone, Role, Way, aor, password};

/// So often it holds where the other side refuses.
const MOST_GLARES: usize = 20;

pub struct Linphone {
    child: Child,
    control: UnixStream,
    socket: PathBuf,
    scratch: Scratch,
    user: String,
    way: Way,
    /// The call it is in, by Linphone's number.
    call: String,
    /// While it has a second one, the first.
    first: String,
}

impl Linphone {
    /// Starts one and waits until it is registered.
    pub fn start(user: &str, at: SocketAddr, way: Way) -> Linphone {
        let scratch = Scratch::new("linphone");
        scratch.write("linphonerc", settings(user, way));
        // Without these folders it starts, and does nothing.
        scratch.write(".local/share/linphone/made", "");
        scratch.write(".config/linphone/made", "");
        // It makes its socket in /tmp, where the scratch folder may stand under its own name.
        let name = scratch.path().file_name().expect("a name").to_string_lossy() + ".socket";
        let name = name.into_owned();
        let log = File::create(scratch.path().join("log")).expect("a file");
        let child = Command::new("linphone-daemon")
            .args(["--pipe", &name, "--disable-stats-events", "--config"])
            .arg(scratch.path().join("linphonerc"))
            .arg("--log")
            .arg(scratch.path().join("messages"))
            .env("HOME", scratch.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file"))
            .stderr(log)
            .spawn()
            .expect("linphone-daemon starts: cargo xtask install");
        let socket = PathBuf::from("/tmp").join(name);
        let control = wait_for("Linphone's socket", || UnixStream::connect(&socket).ok());
        control.set_read_timeout(Some(PATIENCE)).expect("a live socket");
        let (user, call, first) = (user.to_owned(), String::new(), String::new());
        let mut phone = Linphone { child, control, socket, scratch, user, way, call, first };
        phone.register(at);
        phone
    }

    fn register(&mut self, at: SocketAddr) {
        let (identity, way) = (aor(&self.user), self.way.word());
        let login = format!("{} {}", password(&self.user), self.user);
        self.command(&format!("register {identity} sip:{at};transport={way} {login}"));
        wait_for_every(Duration::from_millis(20), "Linphone to be registered", || {
            let status = self.command("register-status ALL");
            status.contains("LinphoneRegistrationOk").then_some(())
        });
    }

    /// Gives a command; its answer.
    fn command(&mut self, line: &str) -> String {
        // It takes what one read gives for one command.
        self.control.write_all(format!("{line}\n").as_bytes()).expect("Linphone lives");
        let mut bytes = Vec::new();
        // One answer is one write, which ends with a line.
        while bytes.last() != Some(&b'\n') {
            let mut buffer = [0; 16_384];
            let n = self.control.read(&mut buffer).expect("an answer");
            assert!(n > 0, "Linphone has ended:\n{}", self.log());
            bytes.extend_from_slice(&buffer[..n]);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The same for what has to succeed.
    fn order(&mut self, line: &str) -> String {
        let answer = self.command(line);
        assert!(answer.starts_with("Status: Ok"), "{line}: {answer}{}", self.log());
        answer
    }

    /// Waits for a state of its call; those before it are forgotten.
    fn event(&mut self, state: &str) -> String {
        loop {
            let (now, id) = self.next(state);
            if now == state {
                return id;
            }
        }
    }

    /// The next state of a call, and its number.
    fn next(&mut self, what: &str) -> (String, String) {
        let title = format!("{} to come to {what}", self.name());
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = self.command("pop-event");
            if let Some(state) = field(&answer, "Event: ") {
                return (state, field(&answer, "Id: ").unwrap_or_default());
            }
            assert!(Instant::now() < end, "waited for {title}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn log(&self) -> String {
        let bytes = std::fs::read(self.scratch.path().join("messages")).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let last: Vec<&str> = text.lines().rev().take(60).collect();
        last.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

/// The rest of the first line that begins so.
fn field(answer: &str, name: &str) -> Option<String> {
    answer.lines().find_map(|line| line.strip_prefix(name)).map(|rest| rest.trim().to_owned())
}

fn settings(user: &str, way: Way) -> String {
    let media = free_run(2);
    // One transport, at a port that the system chooses; -2 is none.
    let port = |this| if this == way { -1 } else { -2 };
    format!(
        "[sip]\nsip_port={}\nsip_tcp_port={}\nsip_tls_port={}\nuse_ipv6=0\nverify_server_certs=0\nverify_server_cn=0\n\
\n[rtp]\naudio_rtp_port={media}\n\n\
         [net]\nmtu=1300\n\n[misc]\nuuid={user}\n",
        port(Way::Udp),
        port(Way::Tcp),
        port(Way::Tls),
    )
}

impl Phone for Linphone {
    fn program(&self) -> &'static str {
        "Linphone"
    }

    fn user(&self) -> &str {
        &self.user
    }

    fn way(&self) -> Way {
        self.way
    }

    fn dial(&mut self, user: &str) {
        let answer = self.order(&format!("call {}", aor(user)));
        self.call = field(&answer, "Id: ").unwrap_or_else(|| panic!("no number: {answer:?}"));
    }

    fn answer(&mut self) {
        self.call = self.event("LinphoneCallIncomingReceived");
        let line = format!("answer {}", self.call);
        self.order(&line);
    }

    fn talking(&mut self) {
        self.event("LinphoneCallStreamsRunning");
    }

    fn hold(&mut self) {
        let line = format!("call-pause {}", self.call);
        for _ in 0..MOST_GLARES {
            self.order(&line);
            // The other side may still be busy with its own re-INVITE, and refuses (491). RFC 3261 §14.1 has the sender try again; Linphone
            // leaves that to its user.
            loop {
                match self.next("LinphoneCallPaused").0.as_str() {
                    "LinphoneCallPaused" => return,
                    "LinphoneCallStreamsRunning" => break,
                    _ => {}
                }
            }
        }
        panic!("{} is refused each time it holds\n{}", self.name(), self.log());
    }

    fn resume(&mut self) {
        let line = format!("call-resume {}", self.call);
        self.order(&line);
        self.event("LinphoneCallStreamsRunning");
    }

    fn held(&mut self) {
        self.event("LinphoneCallPausedByRemote");
    }

    fn resumed(&mut self) {
        self.event("LinphoneCallStreamsRunning");
    }

    fn hang_up(&mut self) {
        let line = format!("terminate {}", self.call);
        self.order(&line);
        self.event("LinphoneCallReleased");
    }

    fn ended(&mut self) {
        self.event("LinphoneCallEnd");
        self.event("LinphoneCallReleased");
    }

    fn transfer(&mut self, user: &str) {
        let line = format!("call-transfer {} {}", self.call, aor(user));
        self.order(&line);
    }

    fn has_transferred(&mut self) {
        self.event("LinphoneCallReleased");
    }

    fn transferred(&mut self) {
        let (first, mut over) = (self.call.clone(), false);
        while !over || self.call == first {
            match self.next("a transfer") {
                (state, id) if state == "LinphoneCallReleased" && id == first => over = true,
                (state, id) if state == "LinphoneCallStreamsRunning" && id != first => self.call = id,
                _ => {}
            }
        }
    }

    fn can(&self, _role: Role) -> bool {
        true
    }

    fn consult(&mut self, user: &str) {
        self.first = std::mem::take(&mut self.call);
        self.dial(user);
    }

    fn consulting(&mut self) {
        while self.event("LinphoneCallStreamsRunning") != self.call {}
    }

    fn connect(&mut self) {
        let line = format!("call-transfer {} {}", self.first, self.call);
        self.order(&line);
    }

    fn has_connected(&mut self) {
        let mut left = vec![std::mem::take(&mut self.first), self.call.clone()];
        while !left.is_empty() {
            let over = self.event("LinphoneCallReleased");
            left.retain(|call| *call != over);
        }
    }

    fn replaced(&mut self) {
        self.transferred();
    }
}

impl Drop for Linphone {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.socket);
    }
}
