//! `--attack`: a copy of the configuration on loopback, and the probes against it.
//!
//! The running exchange is never attacked: bans, half-open dialogs and floods would disturb its phones. The copy has the
//! operator's settings and resources; its trunks and peers lead to a carrier on loopback, it registers nowhere, asks no name
//! server, and gets accounts of its own.

mod copy;
mod process;

use trunkline_cli::Terminal;
use trunkline_model::{Domain, Tables};
use trunkline_probes::{Card, Target, Way};

use self::copy::Copy;
use self::process::{Exchange, Scratch, free_port};
use crate::facts::Facts;

/// Domains that are attacked, at most: each takes half a minute.
const MOST_DOMAINS: usize = 3;

/// Attacks the domains whose settings differ.
pub(crate) fn run(facts: &Facts, terminal: &mut Terminal<'_>) -> Result<Card, String> {
    let tables = facts.resources.as_ref().map_err(Clone::clone)?;
    let domains = different_domains(tables);
    if domains.is_empty() {
        return Err("there is no domain yet: start `trunkline serve` once".into());
    }
    let mut card = Card::default();
    for domain in domains.iter().take(MOST_DOMAINS) {
        let _ = writeln!(terminal.err, "attacking a copy of {} on loopback …", domain.domain_uri);
        let mut results = attack(facts, tables, domain).map_err(|error| error.to_string())?.results;
        if domains.len() > 1 {
            results
                .iter_mut()
                .for_each(|result| result.what = format!("{}: {}", domain.domain_uri, result.what));
        }
        card.results.append(&mut results);
    }
    Ok(card)
}

/// One domain of each kind of settings.
fn different_domains(tables: &Tables) -> Vec<&Domain> {
    let mut domains: Vec<&Domain> = tables.domains().map(|domain| &**domain).collect();
    domains.sort_by(|a, b| a.domain_uri.cmp(&b.domain_uri));
    let mut seen = Vec::new();
    domains.retain(|domain| {
        let settings = (domain.authenticate, domain.inter_domain, domain.acl.clone());
        let new = !seen.contains(&settings);
        if new {
            seen.push(settings);
        }
        new
    });
    domains
}

/// Attacks a domain over each transport that the configuration has, all at once: each copy has its own process, and its own bans.
fn attack(facts: &Facts, tables: &Tables, domain: &Domain) -> std::io::Result<Card> {
    let listen = &facts.config().listen;
    let all = [
        (Way::Udp, true),
        (Way::Tls, !listen.tls.is_empty()),
        (Way::Ws, !listen.ws.is_empty()),
        (Way::Wss, !listen.wss.is_empty()),
    ];
    let ways: Vec<Way> = all.into_iter().filter(|(_, heard)| *heard).map(|(way, _)| way).collect();
    let mut card = Card::default();
    let cards = std::thread::scope(|scope| {
        let begin = |way: &Way| {
            let way = *way;
            scope.spawn(move || attack_by(way, facts, tables, domain))
        };
        let running: Vec<_> = ways.iter().map(begin).collect();
        let ended = running.into_iter().map(|thread| thread.join());
        ended.collect::<Vec<_>>()
    });
    for one in cards {
        card.results.extend(one.map_err(|_| std::io::Error::other("a probe panicked"))??.results);
    }
    Ok(card)
}

fn attack_by(way: Way, facts: &Facts, tables: &Tables, domain: &Domain) -> std::io::Result<Card> {
    let scratch = Scratch::new()?;
    let carrier_port = free_port(trunkline_probes::Cast::CARRIER)?;
    let copy = Copy::new(tables, domain, carrier_port);
    scratch.write("resources/all.json", &copy.documents())?;
    let exchange = Exchange::start(facts, &scratch)?;
    let target = Target {
        udp: exchange.address(),
        tcp: exchange.address(),
        tls: exchange.tls(),
        ws: exchange.ws(),
        wss: exchange.wss(),
        way,
        other: copy.other(),
        domain: domain.domain_uri.clone(),
        agents: copy.logins(),
        carrier_port,
        allowed: copy::ALLOWED.into(),
        forbidden: copy::FORBIDDEN.into(),
        open_number: copy.open_number(),
    };
    trunkline_probes::run(target)
}
