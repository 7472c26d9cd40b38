//! Resources to documents, without fields that have their default.

use serde_json::{Map, Value, json};
use trunkline_sip::Transport;

use super::words::{ALGORITHM, AUTHENTICATE, DIGEST, INTER_DOMAIN, PRIVACY, ROLE, SHOWN_AS, word};
use crate::document::is_obeyed;
use crate::reference::Ref;
use crate::resource::{Agent, Authenticate, Domain, InterDomain, Peer, Privacy, Resource, ShownAs, Trunk};

/// A resource as a v2 document. Reading it gives an equal resource.
pub fn to_json(resource: &Resource) -> Value {
    let common = resource.common();
    let mut metadata = Map::new();
    metadata.insert("name".into(), common.name.into());
    if common.created_at > 0 {
        metadata.insert("createdAt".into(), common.created_at.into());
    }
    if common.updated_at > 0 {
        metadata.insert("updatedAt".into(), common.updated_at.into());
    }
    if let Resource::Number(n) = resource {
        let geo = object([
            ("city", text(&n.geo.city)),
            ("country", text(&n.geo.country)),
            ("countryIsoCode", text(&n.geo.country_iso_code)),
        ]);
        if geo.as_object().is_some_and(|geo| !geo.is_empty()) {
            metadata.insert("geoInfo".into(), geo);
        }
    }
    let extended = if common.extended.is_empty() { Value::Null } else { Value::Object(common.extended) };
    object([
        ("apiVersion", common.api_version.into()),
        ("kind", resource.kind().as_str().into()),
        ("ref", common.reference.as_str().into()),
        ("metadata", Value::Object(metadata)),
        ("spec", spec(resource)),
        ("extended", extended),
    ])
}

/// The same with the defaults of what was not set, as far as the resource alone decides them.
pub fn to_json_in_full(resource: &Resource) -> Value {
    let mut document = to_json(resource);
    let defaults = match resource {
        Resource::Domain(d) => vec![
            ("authenticate", word(&AUTHENTICATE, &d.authenticate).into()),
            ("interDomain", word(&INTER_DOMAIN, &d.inter_domain).into()),
            ("algorithms", d.algorithms.iter().map(|a| word(&DIGEST, a)).collect()),
        ],
        Resource::Agent(a) => vec![("privacy", word(&PRIVACY, &a.privacy).into())],
        Resource::AccessControlList(_)
        | Resource::Peer(_)
        | Resource::Credentials(_)
        | Resource::Trunk(_)
        | Resource::Number(_)
        | Resource::User(_) => Vec::new(),
    };
    if let Some(spec) = document.get_mut("spec").and_then(Value::as_object_mut) {
        spec.extend(defaults.into_iter().map(|(key, value)| (key.to_owned(), value)));
    }
    document
}

/// Resources as one YAML text, a document each.
pub fn to_yaml<'a>(resources: impl IntoIterator<Item = &'a Resource>) -> String {
    let mut out = String::new();
    for resource in resources {
        out.push_str("---\n");
        out.push_str(&yaml(&to_json(resource)));
    }
    out
}

/// A document as YAML.
pub fn yaml(document: &Value) -> String {
    let mut out = String::new();
    if let Value::Object(map) = document {
        let first =
            |key: &str| ["apiVersion", "kind", "ref", "metadata", "spec"].iter().position(|k| *k == key);
        let mut entries: Vec<(&String, &Value)> = map.iter().collect();
        entries.sort_by_key(|(key, _)| first(key).unwrap_or(usize::MAX));
        entries.into_iter().for_each(|(key, value)| entry(key, value, 0, &mut out));
    }
    escaped(out)
}

/// With escapes for what YAML does not take as it is (YAML 1.2.2 §5.1), and JSON does, and for what a terminal would
/// obey. Such characters stand in quotes only.
fn escaped(yaml: String) -> String {
    let odd = |c: char| (c != '\n' && is_obeyed(c)) || matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    if !yaml.contains(odd) {
        return yaml;
    }
    let mut out = String::with_capacity(yaml.len() + 64);
    for c in yaml.chars() {
        if odd(c) {
            // All of them are below 0x10000.
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

fn spec(resource: &Resource) -> Value {
    match resource {
        Resource::AccessControlList(acl) => {
            let nets = |list: &[ipnet::IpNet]| list.iter().map(ToString::to_string).collect::<Value>();
            json!({"accessControlList": {"allow": nets(&acl.allow), "deny": nets(&acl.deny)}})
        }
        Resource::Credentials(c) => json!({"credentials": {"username": c.username, "password": c.password}}),
        Resource::Trunk(t) => trunk(t),
        Resource::Number(n) => {
            let header = |(name, value): &(String, String)| json!({"name": name, "value": value});
            object([
                ("trunkRef", reference(&n.trunk)),
                (
                    "location",
                    object([
                        ("telUrl", n.tel_url.as_str().into()),
                        ("aorLink", text(&n.aor_link)),
                        ("sessionAffinityHeader", text(&n.session_affinity_header)),
                        ("extraHeaders", list(n.extra_headers.iter().map(header))),
                    ]),
                ),
            ])
        }
        Resource::Domain(d) => domain(d),
        Resource::Agent(a) => agent(a),
        Resource::Peer(p) => peer(p),
        Resource::User(u) => {
            let token = |t: &crate::Token| {
                object([
                    ("name", t.name.as_str().into()),
                    ("hash", t.hash.as_str().into()),
                    ("expires", t.expires.into()),
                ])
            };
            object([
                ("username", u.username.as_str().into()),
                ("role", word(&ROLE, &u.role).into()),
                ("passwordHash", text(&u.password_hash)),
                ("enabled", u.enabled.into()),
                ("tokens", list(u.tokens.iter().map(token))),
            ])
        }
    }
}

fn agent(a: &Agent) -> Value {
    let fallback = object([
        ("busy", text(&a.fallback_busy)),
        ("noAnswer", text(&a.fallback_no_answer)),
        ("noAnswerSeconds", a.no_answer_seconds.into()),
    ]);
    let fallback = if fallback == json!({}) { Value::Null } else { fallback };
    object([
        ("username", a.username.as_str().into()),
        ("domainRef", reference(&a.domain)),
        ("credentialsRef", reference(&a.credentials)),
        ("privacy", unless(a.privacy == Privacy::None, word(&PRIVACY, &a.privacy))),
        ("maxContacts", a.max_contacts.into()),
        ("replaceOldestContact", a.replaces_oldest.into()),
        ("maxCalls", a.limits.at_once.into()),
        ("maxCallsPerMinute", a.limits.per_minute.into()),
        ("expires", a.expires.into()),
        ("enabled", a.enabled.into()),
        ("fallback", fallback),
    ])
}

fn peer(p: &Peer) -> Value {
    let balancing = p.load_balancing.map(|b| {
        json!({
            "algorithm": word(&ALGORITHM, &b.algorithm),
            "withSessionAffinity": b.with_session_affinity,
        })
    });
    object([
        ("username", p.username.as_str().into()),
        ("aor", text(&p.aor)),
        ("contactAddr", text(&p.contact_addr)),
        ("credentialsRef", reference(&p.credentials)),
        ("accessControlListRef", reference(&p.acl)),
        ("loadBalancing", balancing.into()),
        ("maxContacts", p.max_contacts.into()),
        ("replaceOldestContact", p.replaces_oldest.into()),
        ("maxCalls", p.limits.at_once.into()),
        ("maxCallsPerMinute", p.limits.per_minute.into()),
        ("expires", p.expires.into()),
        ("enabled", p.enabled.into()),
    ])
}

fn trunk(t: &Trunk) -> Value {
    let inbound = object([
        ("uri", text(&t.inbound_uri)),
        ("accessControlListRef", reference(&t.acl)),
        ("credentialsRef", reference(&t.inbound_credentials)),
    ]);
    let certificate =
        t.client_certificate.as_ref().map(|c| json!({"certificate": c.certificate, "key": c.key}));
    let uris = t.uris.iter().map(|u| {
        json!({
            "uri": object([
                ("user", text(&u.user)),
                ("host", u.host.as_str().into()),
                ("port", u.port.into()),
                ("transport", u.transport.map(Transport::param_name).into()),
            ]),
            "weight": u.weight,
            "priority": u.priority,
            "enabled": u.enabled,
        })
    });
    object([
        ("inbound", if inbound == json!({}) { Value::Null } else { inbound }),
        (
            "outbound",
            object([
                ("sendRegister", t.send_register.into()),
                ("credentialsRef", reference(&t.outbound_credentials)),
                ("registerExpires", t.register_expires.into()),
                ("registries", list(t.registries.iter().map(|uri| uri.host_text().into()))),
                ("uris", list(uris)),
                ("timeoutMs", t.timeout_ms.into()),
                ("allowedParameters", list(t.allowed_parameters.iter().map(|name| name.as_str().into()))),
                ("from", unless(t.shown_as == ShownAs::Caller, word(&SHOWN_AS, &t.shown_as))),
                ("clientCertificate", certificate.unwrap_or(Value::Null)),
                ("assertIdentity", if t.asserts_identity { Value::Null } else { false.into() }),
            ]),
        ),
        ("maxCalls", t.limits.at_once.into()),
        ("maxCallsPerMinute", t.limits.per_minute.into()),
    ])
}

fn domain(d: &Domain) -> Value {
    let policy = |p: &crate::EgressPolicy| json!({"rule": p.rule.text(), "numberRef": p.number.as_str()});
    let usual = d.algorithms == Domain::DEFAULT_ALGORITHMS;
    let algorithms = d.algorithms.iter().map(|a| word(&DIGEST, a).into());
    object([
        ("accessControlListRef", reference(&d.acl)),
        (
            "context",
            object([
                ("domainUri", d.domain_uri.as_str().into()),
                ("egressPolicies", list(d.egress_policies.iter().map(policy))),
            ]),
        ),
        ("authenticate", unless(d.authenticate == Authenticate::All, word(&AUTHENTICATE, &d.authenticate))),
        (
            "interDomain",
            unless(d.inter_domain == InterDomain::Authenticated, word(&INTER_DOMAIN, &d.inter_domain)),
        ),
        ("algorithms", if usual { Value::Null } else { list(algorithms) }),
        ("maxCalls", d.limits.at_once.into()),
        ("maxCallsPerMinute", d.limits.per_minute.into()),
    ])
}

/// An object without the keys whose value is null.
fn object<const N: usize>(entries: [(&str, Value); N]) -> Value {
    entries.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.to_owned(), v)).collect()
}

fn text(value: &Option<String>) -> Value {
    value.as_deref().map_or(Value::Null, Value::from)
}

fn reference(value: &Option<Ref>) -> Value {
    value.as_deref().map_or(Value::Null, Value::from)
}

fn unless(usual: bool, word: &str) -> Value {
    if usual { Value::Null } else { word.into() }
}

fn list(items: impl Iterator<Item = Value>) -> Value {
    let items: Vec<Value> = items.collect();
    if items.is_empty() { Value::Null } else { Value::Array(items) }
}

/// A key and its value in block YAML: maps and lists over lines, texts in the quotes of JSON, which are YAML's too.
fn entry(key: &str, value: &Value, indent: usize, out: &mut String) {
    out.push_str(&" ".repeat(indent));
    out.push_str(&plain(key));
    out.push(':');
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            map.iter().for_each(|(key, value)| entry(key, value, indent + 2, out));
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            out.push('\n');
            for item in items {
                let mut text = String::new();
                match item {
                    Value::Object(map) => {
                        map.iter().for_each(|(key, value)| entry(key, value, indent + 4, &mut text));
                    }
                    other => text = format!("{other}\n"),
                }
                // The dash takes the place of the first line's indent.
                out.push_str(&" ".repeat(indent + 2));
                out.push_str("- ");
                out.push_str(if text.is_empty() { "{}\n" } else { text.trim_start() });
            }
        }
        Value::String(text) => {
            out.push(' ');
            out.push_str(&plain(text));
            out.push('\n');
        }
        value => {
            out.push(' ');
            out.push_str(&value.to_string());
            out.push('\n');
        }
    }
}

/// Text without quotes where it cannot be taken for anything else.
fn plain(text: &str) -> String {
    let harmless = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.@/".contains(&c))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .iter()
            .any(|word| text.eq_ignore_ascii_case(word));
    if harmless { text.to_owned() } else { Value::String(text.to_owned()).to_string() }
}
