//! Who may call without showing who it is.

use trunkline_cli::{derived_ref, in_its_words, quoted};
use trunkline_config::{Config, PassChallenges};
use trunkline_model::{Domain, Peer, Ref, Tables, Trunk, may_be_device};

use crate::facts::Facts;
use crate::finding::Findings;

pub(super) fn check(facts: &Facts, out: &mut Findings) {
    let Some(tables) = facts.tables() else { return };
    let before = out.list.len();
    let peopled = tables.peopled();
    let nobody = |domain: &Domain| may_be_device(domain) && !peopled.contains(&domain.reference);
    let domains = tables.domains().filter(|domain| !nobody(domain));
    domains.for_each(|domain| of_domain(facts.config(), tables, domain, out));
    tables.trunks().for_each(|trunk| of_trunk(facts.config(), tables, trunk, out));
    for peer in tables.peers().filter(|peer| peer.enabled) {
        of_peer(facts.config(), tables, peer, out);
    }
    if out.list.len() == before {
        out.ok("every caller has to show who it is");
    }
    // The rest of what `check` warns of.
    let told = |caution: &String| {
        [
            ": authenticate: ",
            "anyone may call its numbers",
            "its password",
            "is very wide",
            "it has neither credentials",
        ]
        .iter()
        .any(|part| caution.contains(part))
    };
    let asked = facts.config().routing.pass_challenges != PassChallenges::None;
    let passed = tables.passed_challenges().filter(|_| asked);
    let resources = tables
        .cautions_where(facts.config().routing.authenticate.asked())
        .into_iter()
        .filter(|caution| !told(caution));
    let is_v1 = is_v1(facts.config());
    let resources = resources.map(|caution| if is_v1 { in_its_words(&caution) } else { caution });
    for caution in resources.chain(facts.loaded.cautions()).chain(passed) {
        // What it means and what to do is in its text.
        out.warning(caution, "", "");
    }
}

/// Does this list let everybody pass?
fn is_open(tables: &Tables, acl: Option<&Ref>) -> bool {
    acl.and_then(|acl| tables.acl_by_ref(acl.as_str())).is_none_or(|acl| acl.allows_everybody())
}

fn of_domain(config: &Config, tables: &Tables, domain: &Domain, out: &mut Findings) {
    let Some(unproven) = config.routing.authenticate.asked().unproven(domain) else { return };
    let open = is_open(tables, domain.acl.as_ref());
    let listed = if open { "" } else { ", within its access list" };
    let word = domain.authenticate.as_str();
    let means = unproven.means(tables.ways_out(domain).as_deref());
    let means = &format!("anyone who writes an agent's name into From {means}");
    let what = format!("domain {}: authenticate: {word}{listed}", domain.domain_uri);
    let fix = match files_of(config) {
        Some((files, spec)) => format!("set `{spec}.authenticate: all` for this domain in {files}"),
        None => format!("trunkline domains update {} --set authenticate=all", quoted(&domain.domain_uri)),
    };
    match open {
        true => out.error(what, means, &fix),
        false => out.warning(what, means, &fix),
    }
}

/// Where the resources are edited as files: the place, and under which key of a Domain its settings are.
fn files_of(config: &Config) -> Option<(String, &'static str)> {
    let url = config.store_url();
    let (scheme, place) = url.split_once(':')?;
    match scheme {
        "files" => Some((place.to_owned(), "spec")),
        "routr-v1" | "routr-v1-rc2" => Some((format!("domains.yml in {place}"), "spec")),
        "routr-v1-redis" | "routr-v1-rc2-redis" => Some((format!("the Redis at {place}"), "spec")),
        "routr-v1-rest" => Some((format!("the REST service {place}"), "spec")),
        _ => None,
    }
}

/// Are the resources those of a Routr v1?
pub(super) fn is_v1(config: &Config) -> bool {
    config.store_url().starts_with("routr-v1")
}

fn of_trunk(config: &Config, tables: &Tables, trunk: &Trunk, out: &mut Findings) {
    let Some(host) = &trunk.inbound_uri else { return };
    if trunk.inbound_credentials.is_none() && is_open(tables, trunk.acl.as_ref()) {
        out.warning(
            format!("trunk {}: anyone may call its numbers by {host}", trunk.name),
            "strangers ring the phones behind these numbers, with any caller shown",
            &match is_v1(config) {
                true => "restrict who may send by `spec.accessControlList` of the configuration".to_owned(),
                false => format!(
                    "trunkline acl create {0} --allow NETWORK, then trunkline trunks update {0} --set \
                     inbound.accessControlListRef={1}",
                    quoted(&trunk.name),
                    derived_ref("AccessControlList", &trunk.name)
                ),
            },
        );
    } else if let Some(net) = trunk.acl.as_ref().and_then(|acl| tables.acl_by_ref(acl.as_str())?.too_wide()) {
        let means = "whoever sends from there is taken for the carrier";
        out.warning(
            format!("trunk {}: its access list contains the very wide network {net}", trunk.name),
            means,
            "name the carrier's own networks in the list",
        );
    }
}

fn of_peer(config: &Config, tables: &Tables, peer: &Peer, out: &mut Findings) {
    let name = &quoted(&peer.username);
    let update = match peer.credentials.is_some() {
        true if is_v1(config) => {
            "change `spec.credentials.secret` of the Peer, and set it in the peer".to_owned()
        }
        true => format!("trunkline peers update {name} --generate-password, and set it in the peer"),
        false => format!(
            "trunkline credentials create {name} --ref {name} --generate-password, then trunkline peers update {name} --set \
             credentialsRef={name}, and set the password in the peer"
        ),
    };
    let acl = peer.acl.as_ref().and_then(|acl| tables.acl_by_ref(acl.as_str()));
    let Some(acl) = acl else {
        if peer.credentials.is_none() {
            let means = "it can neither call nor register";
            out.warning(format!("peer {name} has neither credentials nor an access list"), means, &update);
        }
        return;
    };
    if let Some(net) = acl.too_wide() {
        let what = format!("peer {name}: its access list contains the very wide network {net}");
        match peer.credentials.is_none() {
            true => out.error(
                what,
                "whoever sends from there is this peer",
                "name the peer's own networks in the list",
            ),
            false => out.warning(
                what,
                "more is allowed than the peer needs",
                "name the peer's own networks in the list",
            ),
        }
    }
    if peer.credentials.is_none() && !acl.names_nobody() && !config.listen.udp.is_empty() {
        let calls_out = may_call_out(config, tables, peer);
        let what = format!("peer {name} is known by its address only, and UDP addresses can be forged");
        let fix = format!("{update}; or take its calls over TLS or TCP only");
        match calls_out {
            true => out.error(
                format!("{what}; it may call out"),
                "who forges its address calls at your expense",
                &fix,
            ),
            false => out.warning(what, "who forges its address rings your phones as this peer", &fix),
        }
    }
}

/// Do its calls leave by a trunk: those to numbers of its home's policies, or with a number that it names (X-DOD-Number)?
fn may_call_out(config: &Config, tables: &Tables, peer: &Peer) -> bool {
    let has_way = |number: &Ref| {
        let trunk = tables.number_by_ref(number).and_then(|number| number.trunk.as_ref());
        trunk
            .and_then(|trunk| tables.trunk_by_ref(trunk))
            .is_some_and(|t| t.uris.iter().any(|uri| uri.enabled))
    };
    let by_number = tables.numbers().any(|number| has_way(&number.reference));
    let by_policy = config.routing.peers_use_policies
        && tables.domains().any(|domain| domain.egress_policies.iter().any(|policy| has_way(&policy.number)));
    // A peer without an AOR belongs to no domain, and proves itself always.
    by_number || (by_policy && peer.aor.is_some())
}
