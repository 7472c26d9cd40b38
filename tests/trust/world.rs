//! The exchange under test and everything around it: resources as an operator writes them, a socket for each party.

use std::fmt::{self, Write as _};
use std::net::SocketAddr;

use trunkline_tests::{Exchange, Resources, free_port};

use super::cast::{ALONE, BRANCH, FREE, HEAD, LAX, Who};
use super::net::Sockets;

/// A number of ours at each trunk, and whom it rings.
pub const NUMBERS: [(Who, &str, Who); 3] = [
    (Who::Carrier, "+15550001", Who::Bob),
    (Who::Open, "+17770001", Who::Bob),
    (Who::Cred, "+18880001", Who::Cleo),
];

/// A network of the carrier's, in which it has a second host.
pub const CARRIERS: &str = "127.44.33.0/28";

/// Where a number outside leads: what it begins with, whose domain has a policy for it, through which trunk.
pub const POLICIES: [(&str, &str, Who); 2] = [("+1555", HEAD, Who::Carrier), ("+1888", BRANCH, Who::Cred)];

/// How the exchange of a world is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub workers: usize,
    /// It keeps no transactions.
    pub stateless: bool,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} workers{}", self.workers, if self.stateless { ", stateless" } else { "" })
    }
}

/// Starts an exchange and the parties' sockets; the sockets come first, since the configuration has their addresses.
pub fn start(shape: Shape) -> (Exchange, Sockets) {
    let Shape { workers, stateless } = shape;
    let port = free_port();
    let exchange_at = SocketAddr::from(([127, 0, 0, 1], port));
    let mut sockets = Sockets::bind();
    let resources = resources(|who| sockets.address(who));
    // A disk that is slow for a while must not refuse a phone that moves.
    let mode = if stateless { "stateless: on\n" } else { "" };
    let config = format!(
        "{mode}domain: {HEAD}\nworkers: {workers}\nrouting: {{qualifySeconds: 0}}\nregistrar: {{flowTimerSeconds: 0, storePatienceMs: 0}}\n"
    );
    let exchange = Exchange::start_configured_at(port, &resources, &config, &[]);
    sockets.connect(exchange_at);
    (exchange, sockets)
}

fn resources(at: impl Fn(Who) -> SocketAddr) -> Resources {
    let mut all = Resources::new();
    let domains = [
        (HEAD, "all", ""),
        (BRANCH, "all", ""),
        (LAX, "never", ""),
        (ALONE, "all", "    interDomain: isolated\n"),
        (FREE, "all", "    interDomain: open\n"),
    ];
    for (host, authenticate, more) in domains {
        let policies: Vec<(String, &str)> = POLICIES
            .iter()
            .filter(|(_, domain, _)| *domain == host)
            .map(|(prefix, _, trunk)| (format!(r"^\{prefix}"), number_of(*trunk)))
            .collect();
        let policies: Vec<(&str, &str)> =
            policies.iter().map(|(rule, number)| (rule.as_str(), *number)).collect();
        all = all.domain_with(host, authenticate, &policies, more);
    }
    for who in Who::AGENTS {
        let (user, secret) = who.login().unwrap_or_default();
        all = all.agent(who.host(), user, secret);
    }
    all = all.peer(
        "pbx",
        &format!("sip:pbx@{HEAD}"),
        "pw-pbx",
        &format!(", contactAddr: \"{}\"", at(Who::Pbx)),
    );
    let desk = format!(", contactAddr: \"{}\"", at(Who::Desk));
    all = all.peer("desk", &Who::Desk.aor(), "pw-desk", &desk);
    all = all.peer("edge", "backend:edge", "pw-edge", &format!(", contactAddr: \"{}\"", at(Who::Pat)));
    all = all.credentials("gate-login", "gate", "pw-gate");
    let net = |who: Who| format!("{}/32", who.ip());
    all = all.acl("listed-list", &[&net(Who::Listed)], &["0.0.0.0/0"]);
    all = all.acl("carrier-list", &[&net(Who::Carrier), CARRIERS], &["0.0.0.0/0"]);
    // Who calls its numbers is whoever it may be.
    all = all.acl("everybody", &["0.0.0.0/1", "128.0.0.0/1", "::/0"], &[]);
    let mut peers = String::new();
    let _ = write!(
        peers,
        "- {{apiVersion: v2, kind: Peer, ref: gate, metadata: {{name: gate}}, spec: {{username: gate, contactAddr: \"{}\", credentialsRef: gate-login}}}}\n\
         - {{apiVersion: v2, kind: Peer, ref: listed, metadata: {{name: listed}}, spec: {{username: listed, contactAddr: \"{}\", accessControlListRef: listed-list}}}}\n",
        at(Who::Gate),
        at(Who::Listed)
    );
    all = all.raw("peers.yaml", &peers);
    all = all.credentials("cred-in", "cred-in", "pw-cred-in").credentials(
        "cred-out",
        "cred-out",
        "pw-cred-out",
    );
    for trunk in Who::TRUNKS {
        all = all.raw("trunks.yaml", &trunk_text(trunk, at(trunk)));
    }
    for (trunk, tel, rings) in NUMBERS {
        all = all.number(tel, &trunk_ref(trunk), &rings.aor());
    }
    all
}

fn trunk_text(trunk: Who, at: SocketAddr) -> String {
    let (inbound, outbound) = match trunk {
        Who::Carrier => (", accessControlListRef: carrier-list", ""),
        Who::Cred => (", credentialsRef: cred-in", ", credentialsRef: cred-out"),
        Who::Open => (", accessControlListRef: everybody", ""),
        _ => ("", ""),
    };
    let name = trunk_ref(trunk);
    format!(
        "- apiVersion: v2\n  kind: Trunk\n  ref: {name}\n  metadata: {{name: {name}}}\n  spec:\n    inbound: {{uri: {}{inbound}}}\n    outbound: {{sendRegister: false{outbound}, uris: [{{uri: {{host: {}, port: {}, transport: UDP}}, weight: 10, priority: 1, enabled: true}}]}}\n",
        trunk.host(),
        at.ip(),
        at.port()
    )
}

fn trunk_ref(trunk: Who) -> String {
    format!("trunk-{trunk:?}").to_lowercase()
}

/// The number of ours at a trunk.
pub fn number_of(trunk: Who) -> &'static str {
    NUMBERS.iter().find(|(t, _, _)| *t == trunk).map_or("", |(_, tel, _)| tel)
}
