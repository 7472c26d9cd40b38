//! Values that are read without an error, and do nothing or open more than an operator may mean.

use std::collections::HashSet;

use trunkline_sip::Uri;

use crate::document::nearest;
use crate::reference::Ref;
use crate::resource::{
    Agent, Authenticate, Credentials, Domain, InterDomain, Kind, Number, Peer, Resource, Trunk,
};
use crate::tables::Tables;

/// Shorter passwords are found by trying, from one digest that was overheard.
pub const SHORT_PASSWORD: usize = 8;

/// The parameters of telephone numbers that carriers read (RFC 3966, 4694, 4904, and what is in use beside them).
const TELEPHONY: [&str; 23] = [
    "npdi",
    "rn",
    "rn-context",
    "cic",
    "cic-context",
    "enumdi",
    "isub",
    "isub-encoding",
    "ext",
    "postd",
    "phone-context",
    "tgrp",
    "trunk-context",
    "dtg",
    "otg",
    "cpc",
    "oli",
    "isup-oli",
    "noa",
    "npi",
    "sgrp",
    "carrier",
    "dai",
];

impl Tables {
    /// What an operator should know about all resources, a line each.
    pub fn cautions(&self) -> Vec<String> {
        let carriers: HashSet<&Ref> = self.trunks().filter_map(|t| t.outbound_credentials.as_ref()).collect();
        let mut out = Vec::new();
        self.trunks().for_each(|t| self.of_trunk(t, &mut out));
        self.numbers().for_each(|n| self.of_number(n, &mut out));
        self.domains().for_each(|d| self.of_domain(d, &mut out));
        self.agents().for_each(|a| self.of_agent(a, &mut out));
        self.peers().for_each(|p| self.of_peer(p, &mut out));
        let own = self.all_credentials().filter(|c| !carriers.contains(&c.reference));
        own.for_each(|c| of_credentials(c, &mut out));
        out.sort_unstable();
        out
    }

    /// What an operator should know about this resource, a line each.
    pub fn cautions_of(&self, resource: &Resource) -> Vec<String> {
        let mut out = Vec::new();
        match resource {
            Resource::Trunk(t) => self.of_trunk(t, &mut out),
            Resource::Number(n) => self.of_number(n, &mut out),
            Resource::Domain(d) => self.of_domain(d, &mut out),
            Resource::Agent(a) => self.of_agent(a, &mut out),
            Resource::Peer(p) => self.of_peer(p, &mut out),
            Resource::Credentials(c) => {
                // What a carrier gave us is not ours to choose.
                if !self.trunks().any(|t| t.outbound_credentials.as_ref() == Some(&c.reference)) {
                    of_credentials(c, &mut out);
                }
            }
            Resource::AccessControlList(_) | Resource::User(_) => {}
        }
        out.sort_unstable();
        out
    }

    fn of_trunk(&self, t: &Trunk, out: &mut Vec<String>) {
        let mut say = |text: String| out.push(format!("trunk {}: {text}", t.name));
        if let (Some(host), None) = (&t.inbound_uri, &t.inbound_credentials) {
            match &t.acl {
                None => say(format!(
                    "anyone may call its numbers by {host}; give it --acl (inbound.accessControlListRef)"
                )),
                Some(acl) if self.lets_everybody_pass(acl) => say(format!(
                    "anyone may call its numbers by {host}, since {acl} allows every address; name the carrier's networks there"
                )),
                Some(_) => {}
            }
        }
        for name in t.allowed_parameters.iter().filter(|name| !TELEPHONY.contains(&name.as_str())) {
            let meant = match nearest(name, TELEPHONY) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known are {}", TELEPHONY.join(", ")),
            };
            say(format!(
                "outbound.allowedParameters: `{name}` is not a parameter of telephone numbers; {meant}"
            ));
        }
        if !t.send_register && !t.registries.is_empty() {
            say("outbound.registries has no effect without outbound.sendRegister".into());
        }
    }

    /// Does this list allow any IPv4 or IPv6 address that it does not deny by name?
    fn lets_everybody_pass(&self, acl: &Ref) -> bool {
        self.acl_by_ref(acl).is_some_and(|acl| acl.allows_everybody())
    }

    fn of_number(&self, n: &Number, out: &mut Vec<String>) {
        if let Some(link) = n.aor_link.as_deref().filter(|link| !self.leads_to_somebody(link)) {
            out.push(format!(
                "number {}: location.aorLink (--to) {link} is not an agent or peer, so its calls get 480",
                n.digits()
            ));
        }
    }

    /// Is this the AOR of an agent or peer of ours, as the router looks for it?
    fn leads_to_somebody(&self, aor: &str) -> bool {
        if self.peer_by_aor(aor.as_bytes()).is_some() {
            return true;
        }
        let Ok(uri) = Uri::parse(aor.as_bytes()) else { return false };
        let (Some(domain), Some(user)) = (self.domain_by_uri(uri.host), uri.user) else { return false };
        self.agent(Some(&domain.reference), user).is_some() || self.peer_by_username(user).is_some()
    }

    fn of_domain(&self, d: &Domain, out: &mut Vec<String>) {
        let mut say = |text: String| out.push(format!("domain {}: {text}", d.domain_uri));
        let list = if d.acl.is_none() { "; restrict the senders by accessControlListRef" } else { "" };
        match d.authenticate {
            Authenticate::Never => say(format!(
                "authenticate: never: anyone who writes an agent's name into From calls as that agent, and gets its calls \
                 by a REGISTER{list}"
            )),
            Authenticate::Register => say(format!(
                "authenticate: register: anyone who writes an agent's name into From calls as that agent{list}"
            )),
            Authenticate::Egress => say(format!(
                "authenticate: egress: anyone who writes an agent's name into From calls the other agents as that agent{list}"
            )),
            Authenticate::All => {}
        }
        if d.inter_domain == InterDomain::Open {
            let asks_nothing = |o: &&std::sync::Arc<Domain>| {
                o.reference != d.reference && o.authenticate != Authenticate::All
            };
            for other in self.domains().filter(asks_nothing) {
                say(format!(
                    "interDomain: open: callers from {} need not authenticate, because that domain does not require it",
                    other.domain_uri
                ));
            }
        }
        for policy in &d.egress_policies {
            let trunk = self.number_by_ref(&policy.number).and_then(|n| n.trunk.as_ref());
            let trunk = trunk.and_then(|trunk| self.trunk_by_ref(trunk));
            let why = match trunk {
                None => "has no trunk".to_owned(),
                Some(t) if !t.uris.iter().any(|uri| uri.enabled) => {
                    format!("is at trunk {}, which has no destination (outbound.uris)", t.name)
                }
                Some(_) => continue,
            };
            say(format!("the egress policy `{}` has no effect: {} {why}", policy.rule.text(), policy.number));
        }
    }

    fn of_agent(&self, a: &Agent, out: &mut Vec<String>) {
        let domain = a.domain.as_ref().and_then(|domain| self.domain_by_ref(domain));
        let host = domain.map(|d| format!("@{}", d.domain_uri)).unwrap_or_default();
        let mut say = |text: String| out.push(format!("agent {}{host}: {text}", a.username));
        for (key, to) in [("busy", &a.fallback_busy), ("noAnswer", &a.fallback_no_answer)] {
            if let Some(to) = to.as_deref().filter(|to| !self.leads_to_somebody(to)) {
                say(format!("fallback.{key} {to} is not an agent or peer, so it has no effect"));
            }
        }
        let asked = domain.is_some_and(|d| d.authenticate != Authenticate::Never);
        if a.credentials.is_none() && asked {
            say("it has no credentials, so it cannot register".into());
        }
    }

    fn of_peer(&self, p: &Peer, out: &mut Vec<String>) {
        let Some(aor) = p.aor.as_deref() else { return };
        let uri = Uri::parse(aor.as_bytes()).ok().filter(|uri| !uri.host.is_empty());
        let Some(host) = uri.filter(|_| !aor.starts_with("backend:")).map(|uri| uri.host) else { return };
        if self.domain_by_uri(host).is_none() {
            out.push(format!(
                "peer {}: {}, the host of its AOR, is not one of our domains: the peer belongs to no domain and must always authenticate",
                p.username,
                String::from_utf8_lossy(host)
            ));
        }
    }
}

fn of_credentials(c: &Credentials, out: &mut Vec<String>) {
    let length = c.password.chars().count();
    let why = match c.password == c.username {
        true => "its password is its user name".to_owned(),
        false if length < SHORT_PASSWORD => format!("its password has {length} characters"),
        false => return,
    };
    let (kind, name) = (Kind::Credentials.plural(), &c.reference);
    out.push(format!("{kind} {name}: {why}, which can be guessed soon; use --generate-password"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{AccessControlList, EgressPolicy, Rule, TrunkUri};

    fn tables() -> Tables {
        let mut tables = Tables::default();
        tables.put(Domain::new("d", "sip.local"));
        let mut agent = Agent::new("a", "1001", Some(Ref::new("d")));
        agent.credentials = Some(Ref::new("c"));
        tables.put(agent);
        tables.put(Credentials::new("c", "1001", "long enough"));
        tables.put(Peer::new("p", "asterisk", Some("sip:ivr@sip.local")));
        tables.put(Peer::new("b", "voice", Some("backend:voice")));
        tables
    }

    /// What is said about a resource, alone and among all.
    fn said(tables: &Tables, resource: impl Into<Resource>) -> String {
        let (resource, mut tables) = (resource.into(), tables.clone());
        tables.put(resource.clone());
        let (of, all) = (tables.cautions_of(&resource), tables.cautions());
        assert_eq!(of, all, "{resource:?}");
        of.join("\n")
    }

    #[test]
    fn an_open_trunk() {
        let mut tables = tables();
        let nets = |nets: &[&str]| nets.iter().map(|net| net.parse().expect("a network")).collect();
        tables.put(AccessControlList::new("carrier", nets(&["198.51.100.0/24"]), Vec::new()));
        tables.put(AccessControlList::new("all", nets(&["0.0.0.0/0"]), Vec::new()));
        tables.put(AccessControlList::new("some", Vec::new(), nets(&["192.0.2.0/24"])));
        let mut trunk = Trunk::new("t", "carrier");
        trunk.uris.push(TrunkUri::of_host("sip.carrier.example"));
        assert_eq!(said(&tables, trunk.clone()), "", "calls come in from its own addresses only");
        trunk.inbound_uri = Some("sip.carrier.example".into());
        let open =
            "trunk carrier: anyone may call its numbers by sip.carrier.example; give it --acl (inbound.";
        assert!(said(&tables, trunk.clone()).starts_with(open), "{}", said(&tables, trunk));
        for (acl, open) in [("carrier", false), ("all", true), ("some", true)] {
            let listed = Trunk { acl: Some(Ref::new(acl)), ..trunk.clone() };
            assert_eq!(said(&tables, listed).contains("allows every address"), open, "{acl}");
        }
        trunk.inbound_credentials = Some(Ref::new("c"));
        assert_eq!(said(&tables, trunk.clone()), "");
        trunk.allowed_parameters = ["npdi", "npid", "colour"].map(str::to_owned).into();
        let text = said(&tables, trunk);
        assert!(
            text.contains("`npid` is not a parameter of telephone numbers; did you mean `npdi`?"),
            "{text}"
        );
        assert!(
            text.contains("`colour` is not a parameter of telephone numbers; known are npdi, rn"),
            "{text}"
        );
    }

    #[test]
    fn what_leads_nowhere() {
        let tables = tables();
        for (to, nowhere) in [
            ("sip:1001@sip.local", false),
            ("sip:1001@SIP.local", false),
            ("sip:ivr@sip.local", false),
            ("sip:asterisk@sip.local", false),
            ("backend:voice", false),
            ("backend:other", true),
            ("sip:1009@sip.local", true),
            ("sip:1001@elsewhere.example", true),
            ("sip:sip.local", true),
        ] {
            let mut number = Number::new("n", "tel:+17066041487", None);
            number.aor_link = Some(to.into());
            assert_eq!(said(&tables, number).contains("is no agent or peer of ours"), nowhere, "{to}");
            let mut agent = Agent::new("a2", "1002", Some(Ref::new("d")));
            agent.credentials = Some(Ref::new("c"));
            agent.fallback_busy = Some(to.into());
            assert_eq!(said(&tables, agent.clone()).contains("fallback.busy"), nowhere, "{to}");
            agent.fallback_no_answer = agent.fallback_busy.take();
            assert_eq!(said(&tables, agent).contains("agent 1002@sip.local: fallback.noAnswer"), nowhere);
        }
        assert!(said(&tables, Agent::new("a3", "1003", Some(Ref::new("d")))).contains("no credentials"));
        let peer = |aor| said(&tables, Peer::new("p2", "other", aor));
        assert!(peer(Some("sip:x@pbx.example")).contains("pbx.example, the host of its AOR, is no domain"));
        assert_eq!((peer(Some("sip:x@sip.local")), peer(Some("backend:x")), peer(None)), Default::default());
    }

    #[test]
    fn policies_without_a_way_out() {
        let mut tables = tables();
        let mut trunk = Trunk::new("t", "carrier");
        trunk.inbound_uri = Some("in.example".into());
        trunk.inbound_credentials = Some(Ref::new("c"));
        tables.put(Number::new("n1", "tel:+1", None));
        tables.put(Number::new("n2", "tel:+2", Some(Ref::new("t"))));
        tables.put(trunk.clone());
        let mut domain = Domain::new("d2", "b.example");
        domain.egress_policies = ["n1", "n2"]
            .map(|number| EgressPolicy { rule: Rule::new("^1").expect("a rule"), number: Ref::new(number) })
            .into();
        let text = said(&tables, domain.clone());
        assert!(text.contains("`^1` leads nowhere: n1 has no trunk"), "{text}");
        assert!(text.contains("n2 is at trunk carrier, which has no destination"), "{text}");
        trunk.uris.push(TrunkUri::of_host("sip.carrier.example"));
        tables.put(trunk);
        domain.egress_policies.remove(0);
        assert_eq!(said(&tables, domain), "");
    }

    #[test]
    fn who_proves_nothing() {
        let mut tables = tables();
        let with = |authenticate| Domain { authenticate, ..Domain::new("d2", "b.example") };
        assert_eq!(said(&tables, with(Authenticate::All)), "");
        let never = said(&tables, with(Authenticate::Never));
        assert!(never.starts_with("domain b.example: authenticate: never: whoever writes"), "{never}");
        assert!(never.ends_with("accessControlListRef before that"), "{never}");
        assert!(said(&tables, with(Authenticate::Register)).contains("authenticate: register"));
        let egress = said(&tables, with(Authenticate::Egress));
        assert!(egress.contains("authenticate: egress: anyone") && egress.contains("calls the other agents"));
        tables.put(with(Authenticate::Register));
        let open = Domain { inter_domain: InterDomain::Open, ..Domain::new("d3", "c.example") };
        let text = tables.cautions_of(&open.into()).join("\n");
        assert_eq!(
            text,
            "domain c.example: interDomain: open: callers from b.example need not authenticate, because that domain does not require it"
        );
    }

    #[test]
    fn short_passwords() {
        let mut tables = tables();
        let text = said(&tables, Credentials::new("c2", "1002", "1234567"));
        assert!(text.contains("c2: its password has 7 characters") && !text.contains("1234567"), "{text}");
        assert!(
            said(&tables, Credentials::new("c2", "1002-at-home", "1002-at-home"))
                .contains("is its user name")
        );
        assert_eq!(said(&tables, Credentials::new("c2", "1002", "12345678")), "");
        let mut trunk = Trunk::new("t", "carrier");
        trunk.outbound_credentials = Some(Ref::new("c2"));
        tables.put(trunk);
        assert_eq!(said(&tables, Credentials::new("c2", "account", "1234")), "", "the carrier's choice");
    }
}
