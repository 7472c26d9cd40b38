//! The Routr v1 image: the last stage of its Containerfile, built with the program of these tests on a base that
//! `cargo xtask install` makes, and started.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use trunkline_tests::{Network, Rest, Scratch, Side, Ua, Wire, base64, binary, wait_for};

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/routr-v1");
const BASE: &str = "docker.io/library/debian:trixie-slim";
const IMAGE: &str = "localhost/trunkline/routr-v1:test";

/// Images and containers of the test.
struct Images {
    scratch: Scratch,
}

impl Images {
    /// Buildah on a storage of its own. In a chroot, as jobs without a daemon and user namespaces have it.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("buildah");
        command.arg("--root").arg(self.scratch.path().join("storage"));
        command.arg("--runroot").arg(self.scratch.path().join("run"));
        command.args(words).env("STORAGE_DRIVER", "vfs").env("BUILDAH_ISOLATION", "chroot");
        command
    }

    fn ask(&self, words: &[&str]) -> String {
        let output = self.command(words).output().expect("`buildah` starts: cargo xtask install");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        assert!(output.status.success(), "buildah {words:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Builds the image; gives its configuration.
    fn build() -> (Images, Value) {
        let images = Images { scratch: Scratch::new("images") };
        let folder = images.scratch.path();
        let base = images.ask(&["from", "scratch"]);
        let files = base_files().display().to_string();
        images.ask(&["copy", "--quiet", &base, &files]);
        images.ask(&["commit", "--quiet", "--rm", &base, BASE]);
        let recipe = std::fs::read_to_string(Path::new(DEPLOY).join("Containerfile")).expect("the recipe");
        let last = recipe.find(&format!("FROM {BASE}")).expect("its last stage");
        let recipe = images.scratch.write("Containerfile", &recipe[last..]);
        // What the first stage leaves: the program.
        let program = folder.join("build/src/target/release/trunkline");
        std::fs::create_dir_all(program.parent().expect("a folder")).expect("made");
        std::fs::copy(binary(), &program).expect("the program");
        for file in ["entrypoint.sh", "config.yml"] {
            let copy = images.scratch.write(&format!("context/deploy/routr-v1/{file}"), "");
            std::fs::copy(Path::new(DEPLOY).join(file), copy).expect("a file of the image");
        }
        let stage = format!("build={}", folder.join("build").display());
        let words =
            ["build", "--pull-never", "--layers=false", "--build-context", &stage, "--tag", IMAGE, "--file"];
        let (recipe, context) = (recipe.display().to_string(), folder.join("context").display().to_string());
        images.ask(&[&words[..], &[&recipe, &context]].concat());
        let image: Value =
            serde_json::from_str(&images.ask(&["inspect", "--type", "image", IMAGE])).expect("JSON");
        let config = image["OCIv1"]["config"].clone();
        (images, config)
    }
}

/// The files of the base image.
fn base_files() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = cache.or_else(|| std::env::home_dir().map(|home| home.join(".cache"))).expect("HOME");
    let folder = cache.join("trunkline/debian-trixie");
    assert!(folder.is_dir(), "{}: cargo xtask install makes it", folder.display());
    folder
}

/// A running container; dropped, it is ended.
struct Container {
    log: PathBuf,
    child: Child,
}

impl Container {
    /// Starts the image's entry point with this folder as its volume.
    fn start(images: &Images, config: &Value, volume: &str, env: &[&str]) -> Container {
        let container = images.ask(&["from", "--pull-never", IMAGE]);
        let log = images.scratch.path().join("log");
        let file = || Stdio::from(File::options().create(true).append(true).open(&log).expect("a log"));
        let entry = config["Entrypoint"][0].as_str().expect("an entry point");
        let mut command = images.command(&["run", "--volume", volume]);
        for variable in env {
            command.args(["--env", variable]);
        }
        let child =
            command.args([&container, "--", entry]).stdin(Stdio::null()).stdout(file()).stderr(file());
        Container { child: child.spawn().expect("buildah starts"), log }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The processes in it, with the parent and the user of each.
    fn processes(&self) -> Vec<(u32, String, u32)> {
        let mut known = vec![self.child.id()];
        let mut found = Vec::new();
        let mut next = 0;
        while let Some(pid) = known.get(next).copied() {
            next += 1;
            let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
            for task in tasks {
                let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
                for child in children.split_whitespace().filter_map(|pid| pid.parse().ok()) {
                    known.push(child);
                    let status = std::fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
                    let field = |name: &str| {
                        let line = status.lines().find(|line| line.starts_with(name))?;
                        line.split_whitespace().nth(1).map(str::to_owned)
                    };
                    let user = field("Uid:").and_then(|uid| uid.parse().ok()).unwrap_or(0);
                    found.push((child, field("Name:").unwrap_or_default(), user));
                }
            }
        }
        found
    }

    /// As `docker stop` does: the signal goes to the entry point.
    fn stop(&mut self) -> Option<i32> {
        for (pid, ..) in self.processes().into_iter().filter(|(_, name, _)| name == "routr") {
            let _ = Command::new("kill").args(["-TERM", &pid.to_string()]).status();
        }
        let ended = || self.child.try_wait().ok().flatten();
        wait_for("the container to end", ended).code()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.stop();
        }
    }
}

#[test]
fn the_image_is_built_and_serves() {
    let (images, config) = Images::build();
    for (key, value) in [
        ("User", json!("65534:65534")),
        ("WorkingDir", json!("/opt/routr")),
        ("Entrypoint", json!(["/usr/local/bin/routr"])),
        ("Volumes", json!({"/opt/routr/data": {}})),
        ("StopSignal", json!("SIGTERM")),
    ] {
        assert_eq!(config[key], value, "{config}");
    }
    let data = images.scratch.path().join("data");
    std::fs::create_dir(&data).expect("made");
    std::os::unix::fs::chown(&data, Some(65534), Some(65534)).expect("the user's of the image");
    let volume = format!("{}:/opt/routr/data", data.display());
    Network::behind_a_nat().on(Side::Inside, || {
        for start in 1..=2 {
            let env = ["INITIAL_API_SECRET=of-the-operator", "ROUTR_EXTERN_ADDR=203.0.113.9"];
            let mut container = Container::start(&images, &config, &volume, &env);
            wait_for("the exchange", || (container.log().matches("started roles").count() >= start).then_some(()));
            // Redis is the default, in the container; nothing of the image runs as root.
            let processes = container.processes();
            let users = |wanted: &str| {
                let of_name = processes.iter().filter(|(_, name, _)| name == wanted);
                of_name.map(|(.., user)| *user).collect::<Vec<u32>>()
            };
            for name in ["routr", "redis-server", "trunkline"] {
                assert_eq!(users(name), [65534], "{name}: {processes:?}");
            }
            let at = SocketAddr::from(([127, 0, 0, 1], 4567));
            let rest = Rest::https(at, "/api/v1beta1", &data.join("trunkline.crt"));
            let token = rest.get_as("/credentials", &base64("admin:of-the-operator")).body;
            let send = |path: &str, body: Value| {
                let made = rest.send("POST", &format!("{path}?token={token}"), "", &body.to_string());
                assert_eq!(made.json["status"], 201, "{}", made.body);
            };
            // The second start has what the first one was told.
            if start == 1 {
                send("/domains", json!({"apiVersion": "v1beta1", "kind": "Domain", "metadata": {"name": "First"},
                    "spec": {"context": {"domainUri": "sip.local"}}}));
                send("/agents", json!({"apiVersion": "v1beta1", "kind": "Agent", "metadata": {"name": "First"},
                    "spec": {"credentials": {"username": "1001", "secret": "pw-1001"}, "domains": ["sip.local"]}}));
            }
            let sip = SocketAddr::from(([127, 0, 0, 1], 5060));
            let mut phone = Ua::new(Wire::udp(sip), "1001", "sip.local", "pw-1001");
            assert_eq!(phone.register(600).status(), 200, "{}", container.log());
            assert_eq!(container.stop(), Some(0), "{}", container.log());
        }
    });
}
