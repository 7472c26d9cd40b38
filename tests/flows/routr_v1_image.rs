//! The entry point of the Routr v1 image, without a container: in a network of the test, on a folder of its own.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;
use trunkline_tests::V1Edition::Late;
use trunkline_tests::{
    Network, RedisServer, Rest, Scratch, Side, Ua, V1Folder, Wire, base64, binary, free_port, wait_for,
};

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/routr-v1");

/// The running entry point and its folder; dropped, both are gone.
struct Image {
    folder: Scratch,
    child: Child,
}

impl Image {
    /// Starts it on a folder that holds these files.
    fn start(files: &[(&str, &str)], env: &[(&str, &str)]) -> Image {
        let folder = Scratch::new("image");
        for (path, text) in files {
            folder.write(path, text);
        }
        let log = || {
            Stdio::from(
                File::options().create(true).append(true).open(folder.path().join("log")).expect("a log"),
            )
        };
        // Tests that run in the background have SIGINT ignored, which a shell cannot undo for itself.
        let child = Command::new("env")
            .arg("--default-signal=INT,TERM")
            .arg(format!("{DEPLOY}/entrypoint.sh"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", folder.path().join("data"))
            .env("ROUTR_HOME", folder.path())
            .env("TRUNKLINE_BIN", binary())
            .envs(
                ["HTTP_ADDR", "GRPC_ADDR", "GRPC_EXTERNAL_ADDR"]
                    .map(|key| (format!("TRUNKLINE_{key}"), "off")),
            )
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(log())
            .stderr(log())
            .spawn()
            .expect("the entry point starts");
        Image { folder, child }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn wait_for_line(&self, line: &str, times: usize) {
        wait_for(line, || (self.log().matches(line).count() >= times).then_some(()));
    }

    /// The processes it started that still run.
    fn children(&self) -> Vec<String> {
        let task = format!("/proc/{0}/task/{0}/children", self.child.id());
        let pids = std::fs::read_to_string(task).unwrap_or_default();
        let name = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/comm")).ok();
        let mut names: Vec<String> =
            pids.split_whitespace().filter_map(name).map(|n| n.trim().to_owned()).collect();
        names.sort();
        names
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill {name}");
    }

    fn ended(&mut self) -> Option<i32> {
        let ended = || self.child.try_wait().ok().flatten();
        wait_for("the entry point to end", ended).code()
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.signal("-TERM");
            let _ = self.child.wait();
        }
    }
}

/// A TLS certificate is of the first start's making.
fn api(image: &Image) -> Rest {
    let certificate = image.folder.path().join("data/trunkline.crt");
    wait_for("the API", || {
        image.log().contains("listening").then_some(())?;
        std::net::TcpStream::connect(("127.0.0.1", 4567)).ok()
    });
    Rest::https(SocketAddr::from(([127, 0, 0, 1], 4567)), "/api/v1beta1", &certificate)
}

#[test]
fn the_image_has_a_redis_of_its_own_and_starts_again() {
    let network = Network::behind_a_nat();
    network.on(Side::Inside, || {
        let config =
            std::fs::read_to_string(Path::new(DEPLOY).join("config.yml")).expect("the image's configuration");
        let secret = "of-the-operator";
        let mut image = Image::start(
            &[("config/config.yml", &config)],
            &[("INITIAL_API_SECRET", secret), ("ROUTR_EXTERN_ADDR", "203.0.113.9")],
        );
        let rest = api(&image);
        assert_eq!(image.children(), ["redis-server", "trunkline"]);
        assert!(!image.log().contains("ROUTR_EXTERN_ADDR is not set"));
        let token = rest.get_as("/credentials", &base64(&format!("admin:{secret}"))).body;
        // The network of the container's own interface.
        let shown = rest.get(&format!("/system/config?token={token}"));
        assert_eq!(
            shown.json["data"]["spec"]["localnets"],
            json!(["192.168.77.0/255.255.255.0"]),
            "{}",
            shown.body
        );
        let domain = json!({"apiVersion": "v1beta1", "kind": "Domain", "metadata": {"name": "First"},
            "spec": {"context": {"domainUri": "sip.local"}}});
        let made = rest.send("POST", &format!("/domains?token={token}"), "", &domain.to_string());
        assert_eq!(made.json["status"], 201, "{}", made.body);
        let agent = json!({"apiVersion": "v1beta1", "kind": "Agent", "metadata": {"name": "First"},
            "spec": {"credentials": {"username": "1001", "secret": "pw-1001"}, "domains": ["sip.local"]}});
        let made = rest.send("POST", &format!("/agents?token={token}"), "", &agent.to_string());
        assert_eq!(made.json["status"], 201, "{}", made.body);
        let listening = image.log().matches("listening").count();
        // As Routr's launcher: 123 starts it again, with what it had.
        let path = format!("/system/status/restarting?token={token}&now=true");
        assert_eq!(rest.send("POST", &path, "", "").status, 200);
        image.wait_for_line("the exchange starts again", 1);
        image.wait_for_line("listening", 2 * listening);
        let mut phone =
            Ua::new(Wire::udp(SocketAddr::from(([127, 0, 0, 1], 5060))), "1001", "sip.local", "pw-1001");
        assert_eq!(phone.register(600).status(), 200);
        // Ended by a signal; what Redis had is there at the next start.
        image.signal("-TERM");
        assert_eq!(image.ended(), Some(0), "{}", image.log());
        assert!(std::net::TcpStream::connect(("127.0.0.1", 6379)).is_err(), "Redis has ended");
        let data = std::fs::read_dir(image.folder.path().join("data/appendonlydir")).map(Iterator::count);
        assert!(data.is_ok_and(|files| files > 0), "the data is in the volume");
    });
}

#[test]
fn the_image_takes_the_provider_that_is_named() {
    let network = Network::behind_a_nat();
    network.on(Side::Inside, || {
        let folder = V1Folder::new(Late);
        let redis = RedisServer::start();
        redis.fill(&folder.documents());
        let elsewhere = format!("host=127.0.0.1,port={}", redis.port);
        let files = folder.files();
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        let none = files[0]
            .1
            .replace("  dataSource: {provider: files_data_provider, parameters: path=config}\n", "");
        assert_ne!(none, files[0].1);
        let without = [("config/config.yml", none.as_str())];
        for (what, files, env) in [
            ("the configuration's own", &files[..], vec![]),
            ("by Routr's early variable", &files[..], vec![("ROUTR_DS_PROVIDER", "files_data_provider")]),
            ("by Routr's late variable", &files[..], vec![("DATA_SOURCE_PROVIDER", "files_data_provider")]),
            ("parameters alone", &without[..], vec![("ROUTR_DS_PARAMETERS", elsewhere.as_str())]),
            (
                "a Redis elsewhere",
                &without[..],
                vec![
                    ("DATA_SOURCE_PROVIDER", "redis_data_provider"),
                    ("DATA_SOURCE_PARAMETERS", elsewhere.as_str()),
                ],
            ),
        ] {
            let mut image = Image::start(files, &env);
            image.wait_for_line("listening", 2);
            image.wait_for_line("ROUTR_EXTERN_ADDR is not set", 1);
            assert_eq!(image.children(), ["trunkline"], "{what}");
            let mut phone =
                Ua::udp(SocketAddr::from(([127, 0, 0, 1], folder.sip)), "1001", "sip.local", "pw-1001");
            wait_for("the phone to be served", || (phone.register(600).status() == 200).then_some(()));
            image.signal("-INT");
            assert_eq!(image.ended(), Some(0), "{what}: {}", image.log());
        }
        // What is wrong ends it, with its own code.
        let mut image = Image::start(&files, &[("ROUTR_DS_PROVIDER", "redus_data_provider")]);
        assert_eq!(image.ended(), Some(64));
        assert!(image.log().contains("did you mean `redis_data_provider`"), "{}", image.log());
        let nobody = format!("host=127.0.0.1,port={},max_retry=1", free_port());
        let mut image = Image::start(&without, &[("ROUTR_DS_PARAMETERS", &nobody)]);
        assert_eq!(image.ended(), Some(1));
    });
}

/// What the image is made of is there, and its variables are those that the entry point and the exchange read.
#[test]
fn the_images_recipe_names_what_is_there() {
    let recipe = std::fs::read_to_string(Path::new(DEPLOY).join("Containerfile")).expect("the recipe");
    let root = Path::new(DEPLOY).join("../..");
    for line in recipe.lines().filter_map(|line| line.strip_prefix("COPY deploy/")) {
        let file = line.split(' ').next().unwrap_or_default();
        assert!(root.join("deploy").join(file).is_file(), "{file}");
    }
    for part in [
        "EXPOSE 4567 5060 5060/udp 5061 5062 5063",
        "WORKDIR /opt/routr",
        "ENTRYPOINT [\"/usr/local/bin/routr\"]",
    ] {
        assert!(recipe.contains(part), "{part}");
    }
    // The stage that compiles: the release of Rust that the workspace needs, all of its sources, what the last stage takes of it.
    let read = |name: &str| std::fs::read_to_string(root.join(name)).expect(name);
    let manifest = read("Cargo.toml");
    let release = manifest.lines().find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"'));
    let first =
        format!("FROM docker.io/library/rust:{}-slim-trixie AS build", release.expect("a release of Rust"));
    for line in [
        first.as_str(),
        "COPY . /src",
        "WORKDIR /src",
        "RUN cargo build --release --locked -p trunkline",
        "COPY --from=build /src/target/release/trunkline /usr/local/bin/trunkline",
    ] {
        assert!(recipe.lines().any(|one| one == line), "{line}");
    }
    let mut left_out: Vec<String> = read(".dockerignore").lines().map(str::to_owned).collect();
    left_out.sort();
    assert_eq!(left_out, ["**/node_modules", ".git", "target"], "the sources are in the context");
    let locked = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--package", "trunkline", "--depth", "0"])
        .current_dir(&root)
        .output()
        .expect("cargo starts");
    assert!(locked.status.success(), "{}", String::from_utf8_lossy(&locked.stderr));
    let version = manifest.lines().find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
    let tags = Command::new(format!("{DEPLOY}/build.sh")).args(["--tags"]).env_remove("VERSION").output();
    let tags = String::from_utf8(tags.expect("the script runs").stdout).expect("text");
    assert_eq!(tags.lines().next(), version.map(|v| format!("trunkline/routr-v1:{v}")).as_deref(), "{tags}");
    let tags = Command::new(format!("{DEPLOY}/build.sh")).args(["--tags"]).env("VERSION", "1.2.3").output();
    let tags = String::from_utf8(tags.expect("the script runs").stdout).expect("text");
    assert_eq!(tags.lines().next(), Some("trunkline/routr-v1:1.2.3"), "{tags}");
}
