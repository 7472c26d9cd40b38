//! JsSIP in headless Chromium, driven by `tests/browser/driven.mjs`.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use trunkline_tests::PATIENCE;

use super::phone::{DOMAIN, Phone, Role, Way, password};

pub struct Browser {
    child: Child,
    orders: Option<ChildStdin>,
    events: Receiver<String>,
    user: String,
    way: Way,
}

impl Browser {
    /// Starts one and waits until it is registered.
    pub fn start(user: &str, at: SocketAddr, way: Way) -> Browser {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser");
        assert!(dir.join("node_modules").is_dir(), "no node_modules: cargo xtask install brings them");
        let want = serde_json::json!({
            "url": format!("{}://{at}/", way.word()),
            "domain": DOMAIN,
            "chromium": chromium(),
            "user": user,
            "password": password(user),
        });
        let mut child = Command::new("node")
            .arg("driven.mjs")
            .arg(want.to_string())
            .current_dir(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts");
        let (orders, out) = (child.stdin.take(), child.stdout.take().expect("piped"));
        let (tell, events) = channel();
        std::thread::spawn(move || {
            BufReader::new(out).lines().map_while(Result::ok).try_for_each(|line| tell.send(line).ok())
        });
        let mut browser = Browser { child, orders, events, user: user.to_owned(), way };
        browser.event("registered");
        browser
    }

    fn order(&mut self, words: &[&str]) {
        let line = serde_json::to_string(words).expect("words");
        let orders = self.orders.as_mut().expect("open until the end");
        writeln!(orders, "{line}").expect("the browser lives");
    }

    /// Waits for several things, in whatever order they come.
    fn events(&mut self, begin: &[&str]) {
        let mut missing = begin.to_vec();
        while !missing.is_empty() {
            let Ok(line) = self.events.recv_timeout(PATIENCE) else {
                panic!("{} waited for {missing:?}", self.name());
            };
            missing.retain(|begins| !line.starts_with(begins));
        }
    }

    /// Waits for something that happens to it; what came before is forgotten.
    fn event(&mut self, begins: &str) {
        let mut seen = Vec::new();
        loop {
            let Ok(line) = self.events.recv_timeout(PATIENCE) else {
                panic!("{} waited for {begins}, saw {seen:?}", self.name());
            };
            if line.starts_with(begins) {
                return;
            }
            seen.push(line);
        }
    }
}

impl Phone for Browser {
    fn program(&self) -> &'static str {
        "JsSIP"
    }

    fn user(&self) -> &str {
        &self.user
    }

    fn way(&self) -> Way {
        self.way
    }

    fn dial(&mut self, user: &str) {
        self.order(&["call", user]);
    }

    fn answer(&mut self) {
        self.event("incoming");
        self.order(&["answer"]);
    }

    fn talking(&mut self) {
        self.event("confirmed");
    }

    fn hold(&mut self) {
        self.order(&["hold"]);
        self.event("hold accepted");
    }

    fn resume(&mut self) {
        self.order(&["unhold"]);
        self.event("unhold accepted");
    }

    fn held(&mut self) {
        self.event("hold:remote");
    }

    fn resumed(&mut self) {
        self.event("unhold:remote");
    }

    fn hang_up(&mut self) {
        self.order(&["hangup"]);
        self.event("ended");
    }

    fn ended(&mut self) {
        self.event("ended");
    }

    /// It sends nothing until its next WebSocket is up.
    fn came_back(&mut self) {
        self.event("registered");
    }

    fn transfer(&mut self, user: &str) {
        self.order(&["refer", user]);
    }

    fn has_transferred(&mut self) {
        self.ended();
    }

    fn transferred(&mut self) {
        self.events(&["confirmed", "ended"]);
    }

    fn can(&self, _role: Role) -> bool {
        true
    }

    fn consult(&mut self, user: &str) {
        self.dial(user);
    }

    fn consulting(&mut self) {
        self.talking();
    }

    fn connect(&mut self) {
        self.order(&["connect"]);
    }

    fn has_connected(&mut self) {
        self.ended();
        self.ended();
    }

    fn replaced(&mut self) {
        self.transferred();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The end of its orders ends the browser, too.
        drop(self.orders.take());
        let _ = self.child.wait();
    }
}

/// The browser on PATH.
fn chromium() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join("chromium")).find(|file| file.is_file());
    found.expect("chromium is missing: cargo xtask install brings it")
}
