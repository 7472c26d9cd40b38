//! The `spec` of each kind.

use ipnet::IpNet;

use super::words::{ALGORITHM, AUTHENTICATE, DIGEST, INTER_DOMAIN, PRIVACY, ROLE, SHOWN_AS, TRANSPORT};
use crate::document::{Fields, Place};
use crate::reference::Ref;
use crate::resource::{
    AccessControlList, Agent, CallLimits, ClientCertificate, Credentials, Domain, EgressPolicy, GeoInfo,
    LoadBalancing, Number, Peer, Role, Rule, Token, Trunk, TrunkUri, User, network,
};
use crate::tables::normal_aor;

fn reference(fields: &Fields<'_>, key: &'static str) -> Option<Ref> {
    fields.text(key).filter(|text| !text.is_empty()).map(Ref::from)
}

fn filled(fields: &Fields<'_>, key: &'static str) -> Option<String> {
    fields.text(key).filter(|text| !text.is_empty())
}

/// Routr writes 0 and -1 for "no limit" and "no override".
fn positive(fields: &Fields<'_>, key: &'static str) -> Option<u32> {
    let n = fields.integer(key, -1..=i64::from(i32::MAX))?;
    u32::try_from(n).ok().filter(|n| *n > 0)
}

fn limits(spec: &Fields<'_>) -> CallLimits {
    CallLimits { at_once: positive(spec, "maxCalls"), per_minute: positive(spec, "maxCallsPerMinute") }
}

pub(super) fn acl(spec: &Fields<'_>) -> AccessControlList {
    let mut acl = AccessControlList::new("", Vec::new(), Vec::new());
    if let Some(lists) = spec.map("accessControlList") {
        let nets = |key| {
            let texts = lists.texts(key).unwrap_or_default();
            texts.into_iter().filter_map(|(text, place)| net(&text, place, &lists)).collect()
        };
        acl.allow = nets("allow");
        acl.deny = nets("deny");
        lists.finish();
    }
    acl
}

/// A network, or a lone address.
fn net(text: &str, place: &Place, fields: &Fields<'_>) -> Option<IpNet> {
    let net = network(text);
    if net.is_none() {
        let help = "e.g. 10.0.0.0/8, 192.0.2.7, 2001:db8::/32".to_owned();
        fields.error_at(place, format!("{text} is not a valid cidr or ip"), Some(help));
    }
    net
}

pub(super) fn credentials(spec: &Fields<'_>) -> Credentials {
    let mut credentials = Credentials::new("", "", "");
    if let Some(pair) = spec.map("credentials") {
        credentials.username = pair.text("username").unwrap_or_default();
        credentials.password = pair.text("password").unwrap_or_default();
        pair.finish();
    }
    credentials
}

pub(super) fn trunk(spec: &Fields<'_>) -> Trunk {
    let mut trunk = Trunk::new("", "");
    if let Some(inbound) = spec.map("inbound") {
        trunk.inbound_uri = filled(&inbound, "uri").map(|host| host.to_ascii_lowercase());
        trunk.acl = reference(&inbound, "accessControlListRef");
        trunk.inbound_credentials = reference(&inbound, "credentialsRef");
        inbound.finish();
    }
    if let Some(outbound) = spec.map("outbound") {
        trunk.send_register = outbound.boolean("sendRegister").unwrap_or_default();
        trunk.outbound_credentials = reference(&outbound, "credentialsRef");
        let seconds = outbound.integer("registerExpires", 60..=86_400);
        trunk.register_expires = seconds.and_then(|seconds| u32::try_from(seconds).ok());
        let registries = outbound.texts("registries").unwrap_or_default();
        trunk.registries = registries.iter().map(|(host, _)| TrunkUri::of_host(host)).collect();
        for entry in outbound.maps("uris").unwrap_or_default() {
            trunk.uris.extend(trunk_uri(&entry));
            entry.finish();
        }
        // Checked with the other values, so that the message is the same for all sources.
        if let Some(ms) = outbound.integer("timeoutMs", 0..=i64::from(u32::MAX)) {
            trunk.timeout_ms = u32::try_from(ms).unwrap_or(u32::MAX);
        }
        for (name, _) in outbound.texts("allowedParameters").unwrap_or_default() {
            trunk.allowed_parameters.push(name.to_ascii_lowercase());
        }
        trunk.client_certificate = outbound.map("clientCertificate").map(|files| {
            let file = |key| {
                let path = filled(&files, key);
                if path.is_none() {
                    files.error(key, format!("the {key} is required: the path of a PEM file"), None);
                }
                path.unwrap_or_default()
            };
            let read = ClientCertificate { certificate: file("certificate"), key: file("key") };
            files.finish();
            read
        });
        trunk.shown_as = outbound.choice("from", &SHOWN_AS).unwrap_or_default();
        trunk.asserts_identity = outbound.boolean("assertIdentity").unwrap_or(true);
        outbound.finish();
    }
    trunk.limits = limits(spec);
    trunk
}

fn trunk_uri(entry: &Fields<'_>) -> Option<TrunkUri> {
    let weight = entry.integer("weight", 0..=65535).unwrap_or(1);
    let priority = entry.integer("priority", 0..=65535).unwrap_or(0);
    let enabled = entry.boolean("enabled").unwrap_or(true);
    let Some(uri) = entry.map("uri") else {
        entry.error("uri", "the host is required", Some("uri takes: user, host, port, transport".into()));
        return None;
    };
    let transport = uri.choice("transport", &TRANSPORT);
    let host = uri.text("host").unwrap_or_default();
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(&host).to_ascii_lowercase();
    let port = uri.integer("port", 0..=65535);
    let user = filled(&uri, "user");
    uri.finish();
    let port = port.and_then(|p| u16::try_from(p).ok());
    let (weight, priority) = (u16::try_from(weight).ok()?, u16::try_from(priority).ok()?);
    Some(TrunkUri { user, host, port, transport, weight, priority, enabled })
}

pub(super) fn number(spec: &Fields<'_>, geo: GeoInfo) -> Number {
    let mut number = Number::new("", "", reference(spec, "trunkRef"));
    number.geo = geo;
    if let Some(location) = spec.map("location") {
        number.tel_url = location.text("telUrl").unwrap_or_default();
        number.aor_link = filled(&location, "aorLink").map(|aor| normal_aor(&aor));
        number.session_affinity_header = filled(&location, "sessionAffinityHeader");
        for header in location.maps("extraHeaders").unwrap_or_default() {
            let name = header.text("name").unwrap_or_default();
            number.extra_headers.push((name, header.text("value").unwrap_or_default()));
            header.finish();
        }
        location.finish();
    }
    number
}

pub(super) fn domain(spec: &Fields<'_>) -> Domain {
    let mut domain = Domain::new("", "");
    domain.acl = reference(spec, "accessControlListRef");
    if let Some(context) = spec.map("context") {
        domain.domain_uri = context.text("domainUri").unwrap_or_default().to_ascii_lowercase();
        for policy in context.maps("egressPolicies").unwrap_or_default() {
            let rule = policy.text("rule").unwrap_or_default();
            let number = Ref::from(policy.text("numberRef").unwrap_or_default());
            match Rule::new(rule.clone()) {
                Ok(rule) => domain.egress_policies.push(EgressPolicy { rule, number }),
                Err(error) => {
                    let help = error.to_string().lines().last().map(str::to_owned);
                    policy.error("rule", format!("`{rule}` is not a regular expression"), help);
                }
            }
            policy.finish();
        }
        context.finish();
    }
    domain.authenticate = spec.choice("authenticate", &AUTHENTICATE).unwrap_or_default();
    domain.inter_domain = spec.choice("interDomain", &INTER_DOMAIN).unwrap_or_default();
    if let Some(algorithms) = spec.choices("algorithms", &DIGEST) {
        domain.algorithms = algorithms;
    }
    domain.limits = limits(spec);
    domain
}

pub(super) fn agent(spec: &Fields<'_>) -> Agent {
    let mut agent = Agent::new("", spec.text("username").unwrap_or_default(), reference(spec, "domainRef"));
    agent.credentials = reference(spec, "credentialsRef");
    agent.privacy = spec.choice("privacy", &PRIVACY).unwrap_or_default();
    agent.max_contacts = positive(spec, "maxContacts");
    agent.replaces_oldest = spec.boolean("replaceOldestContact");
    agent.limits = limits(spec);
    agent.expires = positive(spec, "expires");
    agent.enabled = spec.boolean("enabled").unwrap_or(true);
    if let Some(fallback) = spec.map("fallback") {
        agent.fallback_busy = filled(&fallback, "busy").map(|aor| normal_aor(&aor));
        agent.fallback_no_answer = filled(&fallback, "noAnswer").map(|aor| normal_aor(&aor));
        agent.no_answer_seconds = positive(&fallback, "noAnswerSeconds");
        fallback.finish();
    }
    agent
}

pub(super) fn peer(spec: &Fields<'_>) -> Peer {
    let username = spec.text("username").unwrap_or_default();
    let mut peer = Peer::new("", username, filled(spec, "aor").as_deref());
    peer.contact_addr = filled(spec, "contactAddr");
    peer.credentials = reference(spec, "credentialsRef");
    peer.acl = reference(spec, "accessControlListRef");
    peer.load_balancing = spec.map("loadBalancing").map(|balancing| {
        let read = LoadBalancing {
            algorithm: balancing.choice("algorithm", &ALGORITHM).unwrap_or_default(),
            with_session_affinity: balancing.boolean("withSessionAffinity").unwrap_or_default(),
        };
        balancing.finish();
        read
    });
    peer.max_contacts = positive(spec, "maxContacts");
    peer.replaces_oldest = spec.boolean("replaceOldestContact");
    peer.limits = limits(spec);
    peer.expires = positive(spec, "expires");
    peer.enabled = spec.boolean("enabled").unwrap_or(true);
    peer
}

pub(super) fn user(spec: &Fields<'_>) -> User {
    let username = spec.text("username").unwrap_or_default();
    let mut user = User::new("", username, Role::Viewer);
    user.role = spec.choice("role", &ROLE).unwrap_or_default();
    user.password_hash = filled(spec, "passwordHash");
    user.enabled = spec.boolean("enabled").unwrap_or(true);
    for token in spec.maps("tokens").unwrap_or_default() {
        user.tokens.push(Token {
            name: token.text("name").unwrap_or_default(),
            hash: token.text("hash").unwrap_or_default().to_ascii_lowercase(),
            expires: token.integer("expires", 0..=i64::MAX),
        });
        token.finish();
    }
    user
}
