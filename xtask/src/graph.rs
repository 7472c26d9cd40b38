//! The dependency graph as `cargo metadata` tells it, and the three rules held on it: the direction between our
//! crates, one version of each dependency, and the licences let in.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// How the packages of whole-system tests are named.
const SYSTEM: &str = "trunkline-tests";

/// What `cargo metadata` says.
pub struct Graph {
    packages: Vec<Package>,
}

struct Package {
    id: String,
    name: String,
    version: String,
    licence: String,
    member: bool,
    tests: Vec<String>,
    /// Names of the packages it links with outside its tests.
    uses: Vec<String>,
}

impl Graph {
    /// Asks cargo.
    pub fn load() -> Result<Graph> {
        let out = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["metadata", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"])
            .current_dir(crate::install::root())
            .output()
            .context("cargo metadata")?;
        if !out.status.success() {
            bail!("cargo metadata: {}", String::from_utf8_lossy(&out.stderr));
        }
        Graph::read(&serde_json::from_slice(&out.stdout).context("cargo metadata")?)
    }

    fn read(data: &Value) -> Result<Graph> {
        let members: BTreeSet<&str> = list(&data["workspace_members"]).filter_map(Value::as_str).collect();
        let mut packages = Vec::new();
        for package in list(&data["packages"]) {
            let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
            let id = text("id");
            packages.push(Package {
                member: members.contains(id.as_str()),
                tests: list(&package["targets"])
                    .filter(|target| list(&target["kind"]).any(|kind| kind == "test"))
                    .filter_map(|target| target["name"].as_str().map(str::to_owned))
                    .collect(),
                uses: list(&package["dependencies"])
                    .filter(|dependency| dependency["kind"].is_null())
                    .filter_map(|dependency| dependency["name"].as_str().map(str::to_owned))
                    .collect(),
                name: text("name"),
                version: text("version"),
                licence: text("license"),
                id,
            });
        }
        // What the lock file holds but no build for this platform reaches is nobody's concern.
        let reached: BTreeSet<&str> =
            list(&data["resolve"]["nodes"]).filter_map(|node| node["id"].as_str()).collect();
        packages.retain(|package| reached.contains(package.id.as_str()));
        Ok(Graph { packages })
    }

    /// Whether the workspace has a package of this name.
    pub fn has_member(&self, name: &str) -> bool {
        self.packages.iter().any(|package| package.member && package.name == name)
    }

    /// Our packages with whole-system tests, and the test targets of each.
    pub fn systems(&self) -> impl Iterator<Item = (&str, &[String])> {
        let ours = self.packages.iter().filter(|package| package.member && package.name.starts_with(SYSTEM));
        ours.map(|package| (package.name.as_str(), package.tests.as_slice()))
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// What whole-system tests have no part of.
const JUDGED: &[&str] = &["trunkline-routing", "trunkline-edge", "trunkline-proxy", "trunkline-digest"];

/// The storeys of the house, lowest first. A crate uses only crates of lower storeys, or those it is allowed
/// beside it.
const STOREYS: &[&[&str]] = &[
    &[
        "trunkline-sip",
        "trunkline-descriptors",
        "trunkline-probes",
        "trunkline-reasons",
        "trunkline-ari",
        "trunkline-ari-rest",
    ],
    &["trunkline-transaction", "trunkline-proxy", "trunkline-digest", "trunkline-events", "trunkline-trace"],
    &[
        "trunkline-transport",
        "trunkline-model",
        "trunkline-store",
        "trunkline-write-behind",
        "trunkline-location",
        "trunkline-registrar",
        "trunkline-routing",
        "trunkline-calls",
        "trunkline-media",
        "trunkline-trunks",
        "trunkline-login",
        "trunkline-grpc",
        "trunkline-wire",
        "trunkline-translation",
        "trunkline-operations",
        "trunkline-publisher",
        "trunkline-ari-proxy",
        "trunkline-ari-client",
    ],
    &[
        "trunkline-edge",
        "trunkline-config",
        "trunkline-cli",
        "trunkline-doctor",
        "trunkline-http",
        "trunkline-api",
        "trunkline-rest-v1",
        "trunkline-rpc",
        "trunkline-services",
    ],
    &["trunkline"],
];

/// Neighbours on one storey that may be used by the one named first.
const BESIDE: &[(&str, &str)] = &[
    ("trunkline-proxy", "trunkline-transaction"),
    ("trunkline-cli", "trunkline-config"),
    ("trunkline-doctor", "trunkline-cli"),
    ("trunkline-doctor", "trunkline-config"),
    ("trunkline-api", "trunkline-http"),
    ("trunkline-api", "trunkline-rpc"),
    ("trunkline-rpc", "trunkline-http"),
    ("trunkline-services", "trunkline-rpc"),
    ("trunkline-rest-v1", "trunkline-http"),
    ("trunkline-store", "trunkline-model"),
    // For the files of certificates: a store's server is trusted as those of SIP are.
    ("trunkline-store", "trunkline-transport"),
    ("trunkline-store", "trunkline-write-behind"),
    ("trunkline-operations", "trunkline-model"),
    ("trunkline-operations", "trunkline-store"),
    ("trunkline-publisher", "trunkline-model"),
    ("trunkline-publisher", "trunkline-operations"),
    ("trunkline-publisher", "trunkline-store"),
    ("trunkline-login", "trunkline-model"),
    ("trunkline-login", "trunkline-store"),
    ("trunkline-location", "trunkline-model"),
    ("trunkline-location", "trunkline-write-behind"),
    ("trunkline-calls", "trunkline-write-behind"),
    ("trunkline-registrar", "trunkline-location"),
    ("trunkline-translation", "trunkline-wire"),
    ("trunkline-routing", "trunkline-model"),
    ("trunkline-routing", "trunkline-location"),
    ("trunkline-trunks", "trunkline-model"),
    ("trunkline-calls", "trunkline-model"),
    ("trunkline-ari", "trunkline-ari-rest"),
    ("trunkline-ari-rest", "trunkline-ari"),
    ("trunkline-ari-proxy", "trunkline-ari-client"),
];

/// Two versions of these stand in the tree because their users have not all moved on; who is behind.
const TWICE: &[(&str, &str)] = &[
    ("base64", "serde-saphyr is ahead of the HTTP and NATS crates"),
    ("bit-vec", "fancy-regex is behind proptest, which nothing ships"),
    ("block-buffer", NATS_KEYS),
    ("const-oid", NATS_KEYS),
    ("cpufeatures", NATS_KEYS),
    ("crypto-common", NATS_KEYS),
    ("der", NATS_KEYS),
    ("digest", NATS_KEYS),
    ("fallible-iterator", "tokio-postgres is behind rusqlite"),
    ("foldhash", PROTO),
    ("getrandom", "ring is behind rand"),
    ("hashbrown", PROTO),
    ("md-5", "tokio-postgres is ahead of our digest, which shares sha2 with nkeys and argon2"),
    ("pem-rfc7468", NATS_KEYS),
    ("pkcs8", NATS_KEYS),
    ("rand", NATS_KEYS),
    ("rand_core", NATS_KEYS),
    ("sha2", NATS_KEYS),
    ("spki", NATS_KEYS),
    ("syn", "macros of clap and of the Unicode tables are ahead; nothing ships it"),
    ("synstructure", "as syn"),
    ("unicode-width", PROTO),
];

/// What compiles the .proto files is behind; it runs when the program is built and is no part of it.
const PROTO: &str = "petgraph and miette, under the compiler of .proto files, are behind; nothing ships them";

/// The crate that reads NATS keys, and argon2, use the RustCrypto generation before that of tungstenite and PKCS#12.
const NATS_KEYS: &str = "nkeys and argon2 are behind tungstenite and p12-keystore";

const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

impl Graph {
    /// Everything that breaks a rule, one line each.
    pub fn broken_rules(&self) -> Vec<String> {
        let homeless = self
            .homeless()
            .into_iter()
            .map(|name| format!("{name} stands on no storey of xtask/src/graph.rs"));
        let twice = self.duplicates().into_iter().map(|line| format!("more than one version of {line}"));
        let strange =
            self.strange_licences().into_iter().map(|line| format!("licence not on the list: {line}"));
        self.wrong_directions()
            .into_iter()
            .chain(self.biased())
            .chain(homeless)
            .chain(twice)
            .chain(strange)
            .collect()
    }

    /// Uses that point upwards or sideways.
    fn wrong_directions(&self) -> Vec<String> {
        let storey = |name: &str| STOREYS.iter().position(|storey| storey.contains(&name));
        let mut wrong = Vec::new();
        for package in self.packages.iter().filter(|package| package.member) {
            let Some(at) = storey(&package.name) else { continue };
            for used in &package.uses {
                let Some(under) = storey(used) else { continue };
                let beside = BESIDE.contains(&(package.name.as_str(), used.as_str()));
                if under > at || (under == at && !beside) {
                    wrong.push(format!("{} may not use {used}", package.name));
                }
                let ari = |name: &str| name.starts_with("trunkline-ari");
                if ari(&package.name) && !ari(used) {
                    wrong.push(format!(
                        "{} uses {used}: the ARI crates stand without the exchange",
                        package.name
                    ));
                }
            }
        }
        wrong
    }

    /// Whole-system tests that reach a crate whose decisions they judge: both would be wrong alike.
    fn biased(&self) -> Vec<String> {
        let uses = |name: &str| self.packages.iter().find(|p| p.name == name).map_or(&[][..], |p| &p.uses);
        let mut out = Vec::new();
        for system in self.packages.iter().filter(|p| p.member && p.name.starts_with(SYSTEM)) {
            let mut reached: Vec<&str> = vec![&system.name];
            let mut next = 0;
            while let Some(name) = reached.get(next).copied() {
                next += 1;
                for used in uses(name).iter().map(String::as_str).filter(|n| n.starts_with("trunkline-")) {
                    if !reached.contains(&used) {
                        reached.push(used);
                    }
                }
            }
            let judged = reached.iter().filter(|name| JUDGED.contains(name));
            out.extend(judged.map(|name| format!("{} reaches {name}, which it judges", system.name)));
        }
        out
    }

    /// Our packages that no storey names.
    fn homeless(&self) -> Vec<&str> {
        let ours = self.packages.iter().filter(|package| package.member);
        let aside = ["xtask", "trunkline-fuzz", "trunkline-simulation"];
        ours.map(|package| package.name.as_str())
            .filter(|name| {
                !name.starts_with(SYSTEM)
                    && !aside.contains(name)
                    && !STOREYS.iter().any(|storey| storey.contains(name))
            })
            .collect()
    }

    /// Dependencies in more than one version.
    fn duplicates(&self) -> Vec<String> {
        let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for package in &self.packages {
            versions.entry(&package.name).or_default().insert(&package.version);
        }
        versions
            .into_iter()
            .filter(|(name, versions)| versions.len() > 1 && !TWICE.iter().any(|(twice, _)| twice == name))
            .map(|(name, versions)| {
                format!("{name}: {}", versions.into_iter().collect::<Vec<_>>().join(", "))
            })
            .collect()
    }

    /// Packages of whose licences none is on the list.
    fn strange_licences(&self) -> Vec<String> {
        let odd = self.packages.iter().filter(|package| !licence_ok(&package.licence));
        odd.map(|package| format!("{} {}: `{}`", package.name, package.version, package.licence)).collect()
    }
}

/// Reads an SPDX expression without a parser: every AND part needs one known licence among its ORs.
fn licence_ok(expression: &str) -> bool {
    let plain = expression.replace(['(', ')'], " ").replace('/', " OR ");
    plain.split(" AND ").all(|part| part.split(" OR ").any(|name| LICENCES.contains(&name.trim())))
}

#[cfg(test)]
mod tests {
    use super::{Graph, licence_ok};

    fn graph() -> Graph {
        Graph::load().expect("cargo metadata answers")
    }

    #[test]
    fn dependencies_point_downwards() {
        let none: Vec<String> = Vec::new();
        assert_eq!(graph().wrong_directions(), none, "see the storeys in xtask/src/graph.rs");
        assert_eq!(graph().biased(), none, "tests judge these crates from outside");
        let none: Vec<&str> = Vec::new();
        assert_eq!(graph().homeless(), none, "a new crate needs its storey in xtask/src/graph.rs");
    }

    /// The world and its judge would be wrong alike with the exchange if they used its code.
    #[test]
    fn the_simulated_world_knows_no_code_of_the_exchange() {
        let mut folders = vec![crate::install::root().join("tests/simulation/src")];
        let mut read = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("the folder can be read").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if !path.ends_with("exchange.rs") {
                    let text = std::fs::read_to_string(&path).expect("a text");
                    assert!(!text.contains("trunkline_"), "{}: only exchange.rs may", path.display());
                    read += 1;
                }
            }
        }
        assert!(read > 10, "{read} files");
    }

    #[test]
    fn one_version_of_each_dependency() {
        let none: Vec<String> = Vec::new();
        assert_eq!(
            graph().duplicates(),
            none,
            "bring their users to one version, or list them in TWICE with the reason"
        );
    }

    #[test]
    fn licences_are_known() {
        let none: Vec<String> = Vec::new();
        assert_eq!(graph().strange_licences(), none);
        assert!(licence_ok("MIT OR Apache-2.0"));
        assert!(licence_ok("(MIT OR GPL-3.0) AND Unicode-3.0"));
        assert!(!licence_ok("GPL-3.0"));
        assert!(!licence_ok("MIT AND GPL-3.0"));
    }

    #[test]
    fn versions_stand_in_the_root_only() {
        let root = crate::install::root();
        for dir in ["crates", "."] {
            for entry in std::fs::read_dir(root.join(dir)).expect("the folder can be read").flatten() {
                let file = entry.path().join("Cargo.toml");
                let Ok(text) = std::fs::read_to_string(&file) else { continue };
                let mut inside = false;
                for line in text.lines() {
                    if line.starts_with('[') {
                        inside = line.contains("dependencies");
                    } else if inside && line.contains('=') {
                        assert!(
                            line.contains("workspace"),
                            "{}: `{line}`: versions stand in the root Cargo.toml",
                            file.display()
                        );
                    }
                }
            }
        }
    }
}
