//! Roles: a process opens the listeners, files and threads of its own and no others.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command, Stdio};

use trunkline_tests::{Scratch, binary, free_port, wait_for};

/// What one role opens.
struct Opened {
    role: &'static str,
    listens: &'static [&'static str],
    files: &'static [&'static str],
    threads: &'static [&'static str],
}

const ROLES: [Opened; 6] = [
    Opened {
        role: "exchange",
        listens: &["sip-udp", "sip-tcp", "tls", "ws", "wss"],
        files: &["trunkline.crt", "trunkline.db", "trunkline.key", "trunkline.secret"],
        // And those of the resolver, the guard and the writers.
        threads: &["acceptor", "refusals", "shard-0", "store-watch"],
    },
    Opened { role: "health", listens: &["http"], files: &[], threads: &["http"] },
    Opened {
        role: "control",
        listens: &["control"],
        files: &["trunkline.db", "trunkline.sock"],
        threads: &["control", "store-watch"],
    },
    Opened {
        role: "api",
        listens: &["grpc", "grpcs"],
        files: &["trunkline.crt", "trunkline.db", "trunkline.key"],
        threads: &["grpc", "store-watch"],
    },
    Opened {
        role: "rest-v1",
        listens: &["rest"],
        files: &[".routr.salt", "trunkline.crt", "trunkline.key"],
        threads: &["http", "store-watch"],
    },
    Opened { role: "ari-proxy", listens: &[], files: &[], threads: &["ari-proxy"] },
];

/// A process with some roles, and every listener on a port of its own.
struct Process {
    folder: Scratch,
    child: Child,
    /// A name and where it would listen.
    ports: Vec<(&'static str, u16)>,
}

impl Process {
    fn start(roles: &str) -> Process {
        let folder = Scratch::new("roles");
        let names = ["sip-tcp", "tls", "ws", "wss", "http", "grpc", "grpcs", "rest"];
        let ports: Vec<_> = names.into_iter().map(|name| (name, free_port())).collect();
        let at = |name: &str| {
            let port = ports.iter().find(|(known, _)| *known == name).expect("a name").1;
            format!("127.0.0.1:{port}")
        };
        let data = if roles.contains("rest-v1") { "routr-v1:v1" } else { "sqlite:trunkline.db" };
        folder.write("v1/domains.yml", "[]\n");
        folder.write(
            "trunkline.yaml",
            format!(
                "roles: [{roles}]\ndata: {data}\nworkers: 1\n\
                 listen: {{udp: {0}, tcp: {0}, tls: {1}, ws: {2}, wss: {3}}}\n\
                 http: {{addr: {4}}}\ngrpc: {{addr: {5}, externalAddr: {6}}}\n{7}",
                at("sip-tcp"),
                at("tls"),
                at("ws"),
                at("wss"),
                at("http"),
                at("grpc"),
                at("grpcs"),
                if data.starts_with("routr") {
                    format!("routrV1: {{addr: {}}}\n", at("rest"))
                } else {
                    String::new()
                },
            ),
        );
        let log = fs::File::create(folder.path().join("log")).expect("a file");
        let child = Command::new(binary())
            .arg("serve")
            .current_dir(folder.path())
            // For the role ari-proxy, which waits for NATS and Asterisk.
            .envs([("ARI_USERNAME", "user"), ("ARI_PASSWORD", "secret"), ("NATS_URL", "nats://127.0.0.1:9")])
            .env("ARI_HTTP_URL", "http://127.0.0.1:9/ari")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("starts");
        let mut process = Process { folder, child, ports };
        wait_for("the process to have started", || {
            assert!(process.child.try_wait().expect("a child").is_none(), "it ended: {}", process.log());
            process.log().contains(" started roles=").then_some(())
        });
        process
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The sockets it listens on, by name; for a port that none of the names has, the port.
    fn listens(&self) -> BTreeSet<String> {
        let pid = self.child.id();
        let fds = fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors").flatten();
        let own: BTreeSet<String> = fds
            .filter_map(|fd| fs::metadata(fd.path()).ok())
            .map(|socket| socket.ino().to_string())
            .collect();
        let table = |name: &str| fs::read_to_string(format!("/proc/{pid}/net/{name}")).unwrap_or_default();
        let mut found = BTreeSet::new();
        // In UDP's table 07 is a socket without a peer, in TCP's 0A one that listens.
        for (name, state) in [("udp", "07"), ("udp6", "07"), ("tcp", "0A"), ("tcp6", "0A")] {
            for line in table(name).lines().skip(1) {
                let fields: Vec<_> = line.split_whitespace().collect();
                let (local, is, inode) = (fields[1], fields[3], fields[9]);
                if is == state && own.contains(inode) {
                    let port = local.rsplit_once(':').and_then(|(_, hex)| u16::from_str_radix(hex, 16).ok());
                    found.insert(self.name(name, port.expect("a port")));
                }
            }
        }
        for line in table("unix").lines().skip(1) {
            let fields: Vec<_> = line.split_whitespace().collect();
            // Flags with __SO_ACCEPTCON: it listens.
            if fields[3] == "00010000" && own.contains(fields[6]) {
                found.insert("control".into());
            }
        }
        found
    }

    fn name(&self, table: &str, port: u16) -> String {
        match self.ports.iter().find(|(_, known)| *known == port) {
            Some(("sip-tcp", _)) if table.starts_with("udp") => "sip-udp".into(),
            Some((name, _)) => (*name).into(),
            None => format!("{table} {port}"),
        }
    }

    fn threads(&self) -> BTreeSet<String> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("its threads").flatten();
        let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
        names.map(|name| name.trim().to_owned()).filter(|name| name != "trunkline").collect()
    }

    /// The files it made, without those that SQLite keeps beside a database.
    fn files(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.folder.path()).expect("its folder").flatten();
        let given = ["log", "trunkline.yaml", "v1"];
        entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| !given.contains(&&**name) && !name.ends_with("-wal") && !name.ends_with("-shm"))
            .collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_process_with_one_role_opens_nothing_of_the_others() {
    for Opened { role, listens, files, threads } in ROLES {
        let mut process = Process::start(role);
        assert_eq!(process.listens(), set(listens), "listeners of {role}");
        assert_eq!(process.files(), set(files), "files of {role}");
        if role == "exchange" {
            assert!(set(threads).is_subset(&process.threads()), "{:?}", process.threads());
        } else {
            assert_eq!(process.threads(), set(threads), "threads of {role}");
        }
        let pid = process.child.id().to_string();
        let signalled = Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        assert!(signalled.success());
        assert_eq!(process.child.wait().expect("it ends").code(), Some(0), "{role}: {}", process.log());
        assert!(!process.files().contains("trunkline.sock"), "{role} removes its socket");
    }
}

#[test]
fn roles_together_open_what_each_of_them_opens() {
    let process = Process::start("health, control, api");
    assert_eq!(process.listens(), set(&["http", "control", "grpc", "grpcs"]));
    assert_eq!(process.threads(), set(&["http", "control", "grpc", "store-watch"]));
    let run = |words: &[&str]| {
        let output =
            Command::new(binary()).args(words).current_dir(process.folder.path()).output().expect("runs");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let status = run(&["status"]);
    assert!(status.contains("health, control, api") && !status.contains("udp "), "{status}");
    // Resources can be changed; what only SIP knows is answered by the process that has it.
    let made = run(&["domains", "create", "sip.local"]);
    assert!(run(&["domains", "list"]).contains("sip.local"), "{made}");
    let said = run(&["registrations"]);
    assert!(said.contains("does not run the role `exchange`"), "{said}");
}
