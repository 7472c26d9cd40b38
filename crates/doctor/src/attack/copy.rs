//! The resources of the copy.

use serde_json::{Value, json};
use trunkline_model::dialect::v2;
use trunkline_model::{Domain, Kind, Rule, Tables};
use trunkline_probes::{Cast, Login, Other};

/// A number that the probes' phones may call, and one that they may not.
pub(super) const ALLOWED: &str = "+9990012345";
pub(super) const FORBIDDEN: &str = "+19005551234";
/// Our number at the probes' carrier, and one at a trunk that strangers may call.
const OWN_NUMBER: &str = "+9990000001";
const OPEN_NUMBER: &str = "+9990000002";
const RULE: &str = r"^\+99900[0-9]{5}$";
/// Another domain, and the numbers that it alone may call.
const OTHER_DOMAIN: &str = "doctor-tenant.example";
const OTHER_ALLOWED: &str = "+9991012345";
const OTHER_RULE: &str = r"^\+99910[0-9]{5}$";

const AGENTS: usize = 4;

/// The operator's resources as documents, and what the probes need beside them.
pub(super) struct Copy {
    documents: Vec<Value>,
    logins: Vec<Login>,
    other: Login,
    open_host: Option<String>,
}

impl Copy {
    pub(super) fn new(tables: &Tables, domain: &Domain, carrier_port: u16) -> Copy {
        let mut copy =
            Copy { documents: Vec::new(), logins: Vec::new(), other: login("doctor-other"), open_host: None };
        for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::User) {
            let documents = tables.of_kind(kind).iter().map(v2::to_json).collect::<Vec<_>>();
            copy.documents.extend(documents.into_iter().map(|d| harmless(kind, d, carrier_port)));
        }
        copy.open_domain(tables, domain);
        copy.add_agents(domain);
        copy.add_other(domain);
        copy.add_carrier(carrier_port);
        copy.add_open_number(tables, domain);
        copy
    }

    /// All documents, as one file.
    pub(super) fn documents(&self) -> String {
        Value::from(self.documents.clone()).to_string()
    }

    pub(super) fn logins(&self) -> Vec<Login> {
        self.logins.clone()
    }

    /// The other domain.
    pub(super) fn other(&self) -> Other {
        Other { domain: OTHER_DOMAIN.into(), agent: self.other.clone(), allowed: OTHER_ALLOWED.into() }
    }

    /// The URI of a number that strangers may call.
    pub(super) fn open_number(&self) -> Option<String> {
        self.open_host.as_ref().map(|host| format!("sip:{OPEN_NUMBER}@{host}"))
    }

    /// The attacked domain gets a policy for the probes' number, and lets their phones pass its access list.
    fn open_domain(&mut self, tables: &Tables, domain: &Domain) {
        let list = domain.acl.as_ref().and_then(|acl| tables.acl_by_ref(acl));
        let list = list.map(|acl| {
            let mut document = v2::to_json(&acl.clone().into());
            document["ref"] = "doctor-acl".into();
            document["metadata"]["name"] = "doctor-acl".into();
            let allow = &mut document["spec"]["accessControlList"]["allow"];
            if let Some(allow) = allow.as_array_mut().filter(|allow| !allow.is_empty()) {
                allow.push(Cast::PHONES.into());
            }
            document
        });
        let of_domain = |d: &&mut Value| d["kind"] == "Domain" && d["ref"] == domain.reference.as_str();
        if let Some(document) = self.documents.iter_mut().find(of_domain) {
            if list.is_some() {
                document["spec"]["accessControlListRef"] = "doctor-acl".into();
            }
            let policy = json!({ "rule": RULE, "numberRef": "doctor-number" });
            let context = &mut document["spec"]["context"];
            let policies = context["egressPolicies"].as_array().cloned().unwrap_or_default();
            // A policy that lets out a number of the probes would be no hole: they call none of the operator's own.
            let lets_out = |number: &&str, rule: &Rule| rule.is_match(number.as_bytes());
            let own = domain.egress_policies.iter().map(|policy| &policy.rule);
            let kept = policies.into_iter().zip(own).filter(|(_, rule)| {
                ![ALLOWED, FORBIDDEN, OTHER_ALLOWED].iter().any(|number| lets_out(number, rule))
            });
            let kept: Vec<Value> = kept.map(|(policy, _)| policy).chain([policy]).collect();
            context["egressPolicies"] = kept.into();
        }
        self.documents.extend(list);
    }

    fn add(&mut self, kind: &str, reference: &str, spec: Value) {
        let metadata = json!({ "name": reference });
        self.documents.push(
            json!({ "apiVersion": "v2", "kind": kind, "ref": reference, "metadata": metadata, "spec": spec }),
        );
    }

    fn add_agents(&mut self, domain: &Domain) {
        for n in 1..=AGENTS {
            let login = login(&format!("doctor-{n}"));
            self.add_agent(&login, domain.reference.as_str());
            self.logins.push(login);
        }
    }

    fn add_agent(&mut self, Login { user, password }: &Login, domain: &str) {
        let credentials = format!("{user}-credentials");
        let spec = json!({ "credentials": { "username": user, "password": password } });
        self.add("Credentials", &credentials, spec);
        let spec = json!({
            "username": user, "domainRef": domain, "credentialsRef": credentials, "privacy": "None",
        });
        self.add("Agent", &format!("{user}-agent"), spec);
    }

    /// Another domain with the settings of the attacked one, an agent of its own, and a number that it alone may call.
    fn add_other(&mut self, domain: &Domain) {
        let is_it = |d: &&Value| d["kind"] == "Domain" && d["ref"] == domain.reference.as_str();
        let Some(mut document) = self.documents.iter().find(is_it).cloned() else { return };
        document["ref"] = "doctor-tenant".into();
        document["metadata"]["name"] = "doctor-tenant".into();
        document["spec"]["context"]["domainUri"] = OTHER_DOMAIN.into();
        let policy = json!({ "rule": OTHER_RULE, "numberRef": "doctor-number" });
        document["spec"]["context"]["egressPolicies"] = json!([policy]);
        self.documents.push(document);
        self.add_agent(&self.other.clone(), "doctor-tenant");
    }

    fn add_carrier(&mut self, carrier_port: u16) {
        let spec = json!({ "accessControlList": { "allow": [format!("{}/32", Cast::CARRIER)], "deny": [] } });
        self.add("AccessControlList", "doctor-carrier-acl", spec);
        let uri = json!({ "host": Cast::CARRIER.to_string(), "port": carrier_port, "transport": "udp" });
        let spec = json!({
            "inbound": { "uri": "doctor-carrier.invalid", "accessControlListRef": "doctor-carrier-acl" },
            "outbound": {
                "sendRegister": false,
                "uris": [{ "uri": uri, "weight": 1, "priority": 1, "enabled": true }],
            },
        });
        self.add("Trunk", "doctor-carrier", spec);
        self.add_number("doctor-number", "doctor-carrier", OWN_NUMBER, None);
    }

    fn add_number(&mut self, reference: &str, trunk: &str, number: &str, to: Option<String>) {
        let mut location = json!({ "telUrl": format!("tel:{number}") });
        if let Some(to) = to {
            location["aorLink"] = to.into();
        }
        self.add("Number", reference, json!({ "trunkRef": trunk, "location": location }));
        if let Some(document) = self.documents.last_mut() {
            document["metadata"]["geoInfo"] = json!({ "city": "-", "country": "-", "countryIsoCode": "US" });
        }
    }

    /// If strangers may call the numbers of a trunk, one of them leads to a phone of the probes.
    fn add_open_number(&mut self, tables: &Tables, domain: &Domain) {
        let is_open = |trunk: &trunkline_model::Trunk| {
            let list = trunk.acl.as_ref().and_then(|acl| tables.acl_by_ref(acl));
            trunk.inbound_credentials.is_none() && list.is_none_or(|acl| acl.allows_everybody())
        };
        let open = tables.trunks().filter(|t| is_open(t)).find_map(|t| Some((t, t.inbound_uri.clone()?)));
        if let Some((trunk, host)) = open {
            let to = format!("sip:doctor-2@{}", domain.domain_uri);
            self.add_number("doctor-open-number", trunk.reference.as_str(), OPEN_NUMBER, Some(to));
            self.open_host = Some(host);
        }
    }
}

/// A document that leads to nobody outside.
fn harmless(kind: Kind, mut document: Value, carrier_port: u16) -> Value {
    let spec = &mut document["spec"];
    match kind {
        Kind::Trunk => {
            let outbound = &mut spec["outbound"];
            if let Some(outbound) = outbound.as_object_mut() {
                outbound.insert("sendRegister".into(), false.into());
                outbound.remove("registries");
            }
            for uri in outbound["uris"].as_array_mut().into_iter().flatten() {
                uri["uri"] =
                    json!({ "host": Cast::CARRIER.to_string(), "port": carrier_port, "transport": "udp" });
            }
        }
        Kind::Peer if spec.get("contactAddr").is_some_and(Value::is_string) => {
            // Nobody is there.
            spec["contactAddr"] = format!("127.0.0.51:{carrier_port}").into();
        }
        _ => {}
    }
    document
}

fn login(user: &str) -> Login {
    Login { user: user.to_owned(), password: random() }
}

/// A password.
fn random() -> String {
    let mut bytes = [0; 16];
    // Without random numbers no exchange could run either; the copy is on loopback and lives for a minute.
    let _ = getrandom::fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_model::document::Source;

    const RESOURCES: &str = r#"
- {apiVersion: v2, kind: AccessControlList, ref: office, metadata: {name: Office}, spec: {accessControlList: {allow: [192.0.2.0/24]}}}
- {apiVersion: v2, kind: Domain, ref: d, metadata: {name: D}, spec: {accessControlListRef: office, context: {domainUri: sip.example}}}
- apiVersion: v2
  kind: Trunk
  ref: carrier
  metadata: {name: Carrier}
  spec:
    inbound: {uri: sbc.example}
    outbound: {sendRegister: true, uris: [{uri: {host: sip.carrier.example, transport: tls}, weight: 1, priority: 1, enabled: true}]}
"#;

    #[test]
    fn the_copy_is_valid_and_leads_to_nobody_outside() {
        let tables = v2::load(&[Source::new("test", RESOURCES)]).unwrap_or_else(|report| panic!("{report}"));
        let domain = tables.domain_by_ref("d").expect("a domain").clone();
        let copy = Copy::new(&tables, &domain, 5_999);
        let text = copy.documents();
        let copied =
            v2::load(&[Source::new("copy", text.as_str())]).unwrap_or_else(|report| panic!("{report}"));
        let trunk = copied.trunk_by_ref("carrier").expect("the trunk");
        assert!(!trunk.send_register && trunk.uris.iter().all(|uri| uri.host == "127.0.0.50"), "{trunk:?}");
        assert!(!text.contains("sip.carrier.example"), "{text}");
        let domain = copied.domain_by_ref("d").expect("a domain");
        assert_eq!(domain.acl.as_ref().map(|acl| acl.as_str()), Some("doctor-acl"));
        assert_eq!(copied.agents().count(), AGENTS + 1);
        assert_eq!(copy.open_number().as_deref(), Some("sip:+9990000002@sbc.example"));
    }
}
