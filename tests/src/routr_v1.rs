//! The folder of a Routr v1, as its operator would have it, in either edition.

use serde_json::{Value, json};

use crate::exchange::Exchange;
use crate::ports::free_port;

/// The host of its one domain.
pub const V1_DOMAIN: &str = "sip.local";
/// The number that calls go out by, and that rings 1002.
pub const V1_NUMBER: &str = "17066041487";

/// Which releases of Routr v1 wrote the folder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum V1Edition {
    /// 1.0.0-rc1 and rc2.
    Rc2,
    /// rc4 to 1.2.8.
    Late,
}

use V1Edition::{Late, Rc2};

/// A folder of a Routr v1, and the ports it names.
pub struct V1Folder {
    /// Its edition.
    pub edition: V1Edition,
    /// SIP, UDP and TCP, on 127.0.0.1.
    pub sip: u16,
    /// The REST API, on 127.0.0.1.
    pub rest: u16,
    /// The provider's port, on 127.0.0.1, over UDP.
    pub gateway: u16,
    /// More lines of `spec.restService`, four spaces in.
    pub more: String,
    /// `spec.dataSource`, as YAML on one line; the folder's own files unless set.
    pub source: String,
}

/// A resource that is in no file: its set or path, its ref, itself.
pub type V1Document = (String, String, Value);

impl V1Folder {
    /// On free ports.
    pub fn new(edition: V1Edition) -> V1Folder {
        V1Folder {
            edition,
            sip: free_port(),
            rest: free_port(),
            gateway: free_port(),
            more: String::new(),
            source: String::new(),
        }
    }

    /// `config/config.yml`.
    pub fn config(&self) -> String {
        let source = match (self.source.as_str(), self.edition) {
            ("", Rc2) => "{provider: files_data_provider, parameters: {path: config}}",
            ("", Late) => "{provider: files_data_provider, parameters: path=config}",
            (given, _) => given,
        };
        format!(
            "apiVersion: v1beta1\nmetadata: {{userAgent: Test v1}}\nspec:\n  bindAddr: 127.0.0.1\n  dataSource: {source}\n  restService:\n    bindAddr: 127.0.0.1\n    port: {}\n{}  transport:\n    - {{protocol: udp, port: {sip}}}\n    - {{protocol: tcp, port: {sip}}}\n",
            self.rest,
            self.more,
            sip = self.sip,
        )
    }

    /// Path and text of each file.
    pub fn files(&self) -> Vec<(&'static str, String)> {
        let (number, kind, reference) = match self.edition {
            Rc2 => ("config/dids.yml", "DID", "didRef"),
            Late => ("config/numbers.yml", "Number", "numberRef"),
        };
        let gateway = match self.edition {
            Rc2 => format!("host: '127.0.0.1:{}'", self.gateway),
            Late => format!("host: 127.0.0.1\n    port: {}", self.gateway),
        };
        let agents = ["1001", "1002"].map(v1_agent).concat();
        vec![
            ("config/config.yml", self.config()),
            (
                "config/users.yml",
                "- apiVersion: v1beta1\n  kind: User\n  metadata:\n    name: Operator\n  spec:\n    credentials:\n      username: admin\n      secret: changeit\n".into(),
            ),
            ("config/agents.yml", agents),
            (
                "config/domains.yml",
                format!("- apiVersion: v1beta1\n  kind: Domain\n  metadata:\n    name: Office\n  spec:\n    context:\n      domainUri: {V1_DOMAIN}\n      egressPolicy:\n        rule: '.{{5,}}'\n        {reference}: main-line\n"),
            ),
            (
                "config/gateways.yml",
                format!("- apiVersion: v1beta1\n  kind: Gateway\n  metadata:\n    name: Provider\n    ref: provider\n  spec:\n    {gateway}\n    transport: udp\n    credentials:\n      username: account\n      secret: hidden\n"),
            ),
            (
                number,
                format!("- apiVersion: v1beta1\n  kind: {kind}\n  metadata:\n    name: Main line\n    ref: main-line\n    gwRef: provider\n    geoInfo:\n      city: Durham\n      country: USA\n      countryISOCode: US\n  spec:\n    location:\n      telUrl: 'tel:{V1_NUMBER}'\n      aorLink: 'sip:1002@{V1_DOMAIN}'\n"),
            ),
        ]
    }

    /// The same resources one by one, as Redis and REST services keep them.
    pub fn documents(&self) -> Vec<V1Document> {
        let (numbers, kind, policy) = match self.edition {
            Rc2 => ("dids", "DID", "didRef"),
            Late => ("numbers", "Number", "numberRef"),
        };
        let document = |kind: &str, metadata: Value, spec: Value| json!({"apiVersion": "v1beta1", "kind": kind, "metadata": metadata, "spec": spec});
        let login = |user: &str, secret: &str| json!({"username": user, "secret": secret});
        let agent = |user: &str| {
            let spec = json!({"credentials": login(user, &format!("pw-{user}")), "domains": [V1_DOMAIN]});
            document("Agent", json!({"name": format!("Agent {user}"), "ref": format!("ref-{user}")}), spec)
        };
        let gateway = match self.edition {
            Rc2 => {
                json!({"host": format!("127.0.0.1:{}", self.gateway), "transport": "udp", "credentials": login("account", "hidden")})
            }
            Late => {
                json!({"host": "127.0.0.1", "port": self.gateway, "transport": "udp", "credentials": login("account", "hidden")})
            }
        };
        let all = [
            (
                "users",
                document(
                    "User",
                    json!({"name": "Operator", "ref": "user-1"}),
                    json!({"credentials": login("admin", "changeit")}),
                ),
            ),
            ("agents", agent("1001")),
            ("agents", agent("1002")),
            (
                "domains",
                document(
                    "Domain",
                    json!({"name": "Office", "ref": "office"}),
                    json!({"context": {"domainUri": V1_DOMAIN, "egressPolicy": {"rule": ".{5,}", policy: "main-line"}}}),
                ),
            ),
            ("gateways", document("Gateway", json!({"name": "Provider", "ref": "provider"}), gateway)),
            (
                numbers,
                document(
                    kind,
                    json!({"name": "Main line", "ref": "main-line", "gwRef": "provider", "geoInfo": {"city": "Durham"}}),
                    json!({"location": {"telUrl": format!("tel:{V1_NUMBER}"), "aorLink": format!("sip:1002@{V1_DOMAIN}")}}),
                ),
            ),
        ];
        let reference = |one: &Value| one["metadata"]["ref"].as_str().unwrap_or_default().to_owned();
        all.into_iter().map(|(set, one)| (set.to_owned(), reference(&one), one)).collect()
    }

    /// An exchange on it.
    pub fn start(&self, env: &[(&str, &str)]) -> Exchange {
        let mut files = self.files();
        if !self.source.is_empty() {
            files.truncate(1);
        }
        self.start_on(&files, env)
    }

    /// An exchange on these files of it.
    pub fn start_on(&self, files: &[(&str, String)], env: &[(&str, &str)]) -> Exchange {
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        Exchange::start_routr_v1(self.sip, &files, env)
    }
}

/// An agent, whose secret is `pw-` and its name.
pub fn v1_agent(user: &str) -> String {
    format!(
        "- apiVersion: v1beta1\n  kind: Agent\n  metadata:\n    name: Agent {user}\n  spec:\n    credentials:\n      username: '{user}'\n      secret: 'pw-{user}'\n    domains:\n      - {V1_DOMAIN}\n"
    )
}
