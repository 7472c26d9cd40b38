//! The folder of a Routr v1, as its operator would have it, in either edition.

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
}

impl V1Folder {
    /// On free ports.
    pub fn new(edition: V1Edition) -> V1Folder {
        V1Folder { edition, sip: free_port(), rest: free_port(), gateway: free_port(), more: String::new() }
    }

    /// `config/config.yml`.
    pub fn config(&self) -> String {
        let parameters = match self.edition {
            Rc2 => "{path: config}",
            Late => "path=config",
        };
        format!(
            "apiVersion: v1beta1\nmetadata: {{userAgent: Test v1}}\nspec:\n  bindAddr: 127.0.0.1\n  dataSource:\n    provider: files_data_provider\n    parameters: {parameters}\n  restService:\n    bindAddr: 127.0.0.1\n    port: {}\n{}  transport:\n    - {{protocol: udp, port: {sip}}}\n    - {{protocol: tcp, port: {sip}}}\n",
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

    /// An exchange on it.
    pub fn start(&self, env: &[(&str, &str)]) -> Exchange {
        let files = self.files();
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
