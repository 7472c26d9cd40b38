//! A real Asterisk pair on loopback addresses of its own, by the scripts in `tests/asterisk`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::wait::Scratch;

/// The node id of the first instance.
pub const NODE_A: &str = "02:00:00:00:00:0a";
/// The node id of the second instance.
pub const NODE_B: &str = "02:00:00:00:00:0b";

/// Two running instances, A and B. Dropping them stops them.
pub struct Pair {
    run: Scratch,
    a: String,
    b: String,
    app: String,
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../asterisk")
}

/// The folder of the private Asterisk.
///
/// # Panics
/// When it is not installed.
#[must_use]
pub fn home() -> PathBuf {
    let output = Command::new(scripts().join("home.sh")).output().expect("tests/asterisk/home.sh");
    let home = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    assert!(home.join("env.sh").is_file(), "no Asterisk in {}: run tests/ari/install.sh", home.display());
    home
}

/// The folder of Asterisk's Swagger files.
///
/// # Panics
/// When Asterisk is not installed.
#[must_use]
pub fn rest_api() -> PathBuf {
    let env = std::fs::read_to_string(home().join("env.sh")).expect("env.sh");
    let data =
        env.lines().find_map(|l| l.strip_prefix("AST_DATA='")).expect("AST_DATA").trim_end_matches('\'');
    Path::new(data).join("rest-api")
}

impl Pair {
    /// Starts both; `app` is the application that extensions 700 and the context `stasis` enter.
    ///
    /// # Panics
    /// When they do not come up.
    #[must_use]
    pub fn start(app: &str) -> Self {
        let pair = Self::prepare(app);
        pair.script(&["start"]);
        pair
    }

    /// As [`Self::start`], with `https` and `wss` by certificates of an authority whose file is
    /// [`Self::authority`].
    ///
    /// # Panics
    /// When they do not come up.
    #[must_use]
    pub fn start_certified(app: &str) -> Self {
        let pair = Self::prepare(app);
        let mut params = rcgen::CertificateParams::new([]).expect("parameters");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "an authority of the test's own");
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("the authority's certificate");
        std::fs::write(pair.authority(), certificate.pem()).expect("its file");
        let authority = rcgen::Issuer::new(params, key);
        for (name, address) in [("A", &pair.a), ("B", &pair.b)] {
            let key = rcgen::KeyPair::generate().expect("a key");
            let params = rcgen::CertificateParams::new([address.clone()]).expect("parameters");
            let certificate = params.signed_by(&key, &authority).expect("a certificate");
            // Those that lie there already are kept by pair.sh.
            let keys = pair.run.path().join(name).join("keys");
            std::fs::create_dir_all(&keys).expect("the folder of keys");
            std::fs::write(keys.join("cert.pem"), certificate.pem()).expect("the certificate");
            std::fs::write(keys.join("key.pem"), key.serialize_pem()).expect("the key");
        }
        pair.script(&["start"]);
        pair
    }

    /// The file of the authority, when the pair is certified.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.run.path().join("authority.pem")
    }

    fn prepare(app: &str) -> Self {
        let _ = home();
        // Addresses of our own, so that test runs do not meet.
        let id = std::process::id();
        let unique = trunkline_ari::ulid();
        let salt = unique.bytes().fold(0u32, |n, b| n.wrapping_mul(31).wrapping_add(u32::from(b)));
        let net = format!("127.{}.{}", 64 + (id ^ salt) % 128, (salt >> 8) % 250 + 1);
        Pair { run: Scratch::new("ast"), a: format!("{net}.2"), b: format!("{net}.3"), app: app.to_owned() }
    }

    fn script(&self, arguments: &[&str]) -> String {
        let output = Command::new(scripts().join("pair.sh"))
            .args(arguments)
            .env("RUN", self.run.path())
            .env("IP_A", &self.a)
            .env("IP_B", &self.b)
            .env("APP", &self.app)
            .env_remove("PGPORT")
            .env_remove("AST_ENV")
            .output()
            .expect("tests/asterisk/pair.sh");
        let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "pair.sh {arguments:?}: {out}{error}");
        out.into_owned()
    }

    /// The address of instance A.
    #[must_use]
    pub fn ip_a(&self) -> &str {
        &self.a
    }

    /// The REST interface of instance A.
    #[must_use]
    pub fn url_a(&self) -> String {
        format!("http://{}:8088/ari", self.a)
    }

    /// The REST interface of instance A by TLS.
    #[must_use]
    pub fn https_a(&self) -> String {
        format!("https://{}:8089/ari", self.a)
    }

    /// The REST interface of instance B.
    #[must_use]
    pub fn url_b(&self) -> String {
        format!("http://{}:8088/ari", self.b)
    }

    /// Kills an instance (`A` or `B`) at once.
    pub fn kill(&self, name: &str) {
        self.script(&["kill", name]);
    }

    /// Starts an instance again and waits until it is up.
    pub fn revive(&self, name: &str) {
        self.script(&["revive", name]);
    }

    /// A command on the console of an instance.
    #[must_use]
    pub fn cli(&self, name: &str, command: &str) -> String {
        self.script(&["cli", name, command])
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let _ = Command::new(scripts().join("pair.sh"))
            .arg("stop")
            .env("RUN", self.run.path())
            .env("IP_A", &self.a)
            .env("IP_B", &self.b)
            .output();
    }
}
