//! Conversion of documents to the model.

use std::collections::{BTreeMap, HashSet};

use super::document::Document;
use super::resources::{self, Gateway, Login, Spec, did_you_mean};
use super::{Collection, Edition};
use crate::document::Reading;
use crate::reference::Ref;
use crate::resource::{
    AccessControlList, Agent, Authenticate, Credentials, Domain, EgressPolicy, InterDomain, Number, Peer,
    Resource, Role, Trunk, TrunkUri, User,
};
use crate::tables::normal_aor;

/// A resource, and the document it was made from, by its place.
pub(super) struct Made {
    pub resource: Resource,
    pub from: usize,
}

/// The list that lets a gateway's calls come from anywhere: Routr looks at no source address there.
const ANYWHERE: &str = "routr-v1-anywhere";

/// The path of a model field in the document it came from.
pub(super) fn field_in_v1(collection: Collection, field: &str) -> &str {
    match (collection, field) {
        (_, "ref") => "metadata.ref",
        (Collection::Agents | Collection::Peers | Collection::Users, "spec.username") => {
            "spec.credentials.username"
        }
        (Collection::Agents, "spec.domainRef") => "spec.domains",
        (_, "spec.credentials.password") => "spec.credentials.secret",
        (Collection::Peers, "spec.aor" | "spec.context.domainUri") => "spec.device",
        (Collection::Gateways, "spec.inbound.uri" | "spec.outbound.uris[0].uri.host") => "spec.host",
        (Collection::Gateways, "spec.outbound.uris[0].uri.port") => "spec.port",
        (Collection::Gateways, "spec.outbound.from") => "spec.from",
        (Collection::Numbers, "spec.trunkRef") => "metadata.gwRef",
        (Collection::Domains, "spec.context.egressPolicies[0].numberRef") => {
            "spec.context.egressPolicy.numberRef"
        }
        (_, field) => field,
    }
}

/// The end of the ref of a domain that is made of a peer's device.
pub(crate) const DEVICE: &str = "-device";

/// Hashes a user's secret: user name and secret to a PHC string.
pub(super) type Hash<'h> = dyn FnMut(&str, &str) -> Result<String, String> + 'h;

/// Makes the resources of all documents. References that lead nowhere are noted.
pub(super) struct Maker<'a, 'h> {
    pub documents: &'a [Document],
    pub edition: Edition,
    pub reading: &'a Reading,
    pub hash: &'a mut Hash<'h>,
    pub made: Vec<Made>,
    /// The domain of each host.
    domains: BTreeMap<&'a str, Ref>,
    /// The refs of each collection.
    refs: HashSet<(Collection, &'a str)>,
    /// The hosts that trunks are called by: the first gateway of a host gets its calls.
    hosts: HashSet<&'a str>,
    /// The devices that became domains.
    devices: HashSet<String>,
    at: usize,
    /// Is a domain made without a policy that leads nowhere?
    lenient: bool,
}

impl<'a, 'h> Maker<'a, 'h> {
    pub fn new(
        documents: &'a [Document],
        edition: Edition,
        reading: &'a Reading,
        hash: &'a mut Hash<'h>,
    ) -> Maker<'a, 'h> {
        let mut domains = BTreeMap::new();
        let mut refs = HashSet::new();
        for document in documents {
            refs.insert((document.collection, &*document.reference));
            if let Spec::Domain(domain) = &document.spec {
                domains.entry(domain.uri.as_str()).or_insert_with(|| document.reference.clone());
            }
        }
        Maker {
            documents,
            edition,
            reading,
            hash,
            made: Vec::new(),
            domains,
            refs,
            hosts: HashSet::new(),
            devices: HashSet::new(),
            at: 0,
            lenient: false,
        }
    }

    /// Leaves out what leads nowhere instead of the whole.
    pub fn lenient(mut self) -> Self {
        self.lenient = true;
        self
    }

    /// Makes everything.
    pub fn run(mut self) -> Vec<Made> {
        for (at, document) in self.documents.iter().enumerate() {
            self.at = at;
            match &document.spec {
                Spec::User(login) => self.user(document, login),
                Spec::Agent { .. } => self.agent(document),
                Spec::Domain(domain) => self.domain(document, domain),
                Spec::Gateway(gateway) => self.gateway(document, gateway),
                Spec::Number { .. } => self.number(document),
                Spec::Peer { .. } => self.peer(document),
            }
        }
        self.made
    }

    fn put(&mut self, resource: impl Into<Resource>) {
        self.made.push(Made { resource: resource.into(), from: self.at });
    }

    /// Credentials of a document, and their ref.
    fn credentials(&mut self, document: &Document, login: &Login) -> Ref {
        let reference = Ref::from(format!("{}-credentials", document.reference));
        let mut credentials = Credentials::new(reference.clone(), &*login.username, &*login.secret);
        credentials.name.clone_from(&document.name);
        self.put(credentials);
        reference
    }

    fn error(&self, document: &Document, field: &str, message: String) {
        let message = format!("{}: {message}", document.title(self.edition));
        self.reading.error(message, &document.node.at(field).place, None);
    }

    fn user(&mut self, document: &Document, login: &Login) {
        // Routr has no roles: every user has all rights.
        let mut user = User::new(document.reference.clone(), &*login.username, Role::Admin);
        user.name.clone_from(&document.name);
        match (self.hash)(&login.username, &login.secret) {
            Ok(hash) => user.password_hash = Some(hash),
            Err(why) => self.error(document, "spec.credentials.secret", why),
        }
        self.put(user);
    }

    fn agent(&mut self, document: &Document) {
        let Spec::Agent { login, domains, privacy, max_contacts, limits } = &document.spec else { return };
        let credentials = self.credentials(document, login);
        for (n, uri) in domains.iter().enumerate() {
            let Some(domain) = self.domains.get(uri.as_str()).cloned() else {
                let near = did_you_mean(uri, self.domains.keys().copied());
                let message = format!("there is no Domain with domainUri `{uri}`{near}");
                self.error(document, &format!("spec.domains[{n}]"), message);
                continue;
            };
            // The first one has the document's own ref, which clients know.
            let reference = match n {
                0 => document.reference.clone(),
                _ => Ref::from(format!("{}-{}", document.reference, n + 1)),
            };
            let mut agent = Agent::new(reference, &*login.username, Some(domain));
            agent.name.clone_from(&document.name);
            agent.credentials = Some(credentials.clone());
            agent.privacy = *privacy;
            agent.max_contacts = *max_contacts;
            agent.limits = *limits;
            self.put(agent);
        }
    }

    fn domain(&mut self, document: &Document, written: &resources::Domain) {
        let resources::Domain { uri, egress, acl, authenticate, inter_domain, limits } = written;
        let mut domain = Domain::new(document.reference.clone(), uri);
        domain.name.clone_from(&document.name);
        domain.limits = *limits;
        domain.authenticate = *authenticate;
        domain.inter_domain = *inter_domain;
        if let Some(acl) = acl {
            let reference = Ref::from(format!("{}-acl", document.reference));
            let mut acl = AccessControlList { reference: reference.clone(), ..acl.clone() };
            acl.name.clone_from(&document.name);
            domain.acl = Some(reference);
            self.put(acl);
        }
        if let Some((rule, number)) = egress {
            let known = self.refs.contains(&(Collection::Numbers, number.as_str()));
            if !known {
                let policy = document.node.at("spec.context.egressPolicy");
                let key = if policy.get("didRef").is_some() { "didRef" } else { "numberRef" };
                self.dangling(
                    document,
                    &format!("spec.context.egressPolicy.{key}"),
                    Collection::Numbers,
                    number,
                );
            }
            if known || !self.lenient {
                domain.egress_policies =
                    vec![EgressPolicy { rule: rule.clone(), number: Ref::from(number.as_str()) }];
            }
        }
        self.put(domain);
    }

    fn dangling(&self, document: &Document, field: &str, kind: Collection, to: &str) {
        let names = self.refs.iter().filter(|(k, _)| *k == kind).map(|(_, name)| *name);
        let near = did_you_mean(to, names);
        self.error(document, field, format!("there is no {} `{to}`{near}", kind.kind(self.edition)));
    }

    fn gateway(&mut self, document: &Document, gateway: &'a Gateway) {
        if !self.made.iter().any(|made| made.resource.reference().as_str() == ANYWHERE) {
            let all = ["0.0.0.0/0", "::/0"].into_iter().filter_map(super::net).collect();
            self.put(AccessControlList::new(ANYWHERE, all, Vec::new()));
        }
        let mut trunk = Trunk::new(document.reference.clone(), &*document.name);
        trunk.acl = Some(Ref::from(ANYWHERE));
        // What is called by a host of ours is called there; the carrier's calls are known by where they come from.
        let ours = |host: &str| {
            self.domains.keys().any(|d| d.eq_ignore_ascii_case(host))
                || self.devices.contains(&host.to_ascii_lowercase())
        };
        if !ours(&gateway.host) && self.hosts.insert(&gateway.host) {
            trunk.inbound_uri = Some(gateway.host.clone());
        }
        trunk.outbound_credentials = gateway.login.as_ref().map(|login| self.credentials(document, login));
        trunk.send_register = gateway.registers;
        trunk.register_expires = gateway.expires;
        trunk.registries.clone_from(&gateway.registries);
        (trunk.shown_as, trunk.asserts_identity) = (gateway.shown_as, gateway.asserts_identity);
        trunk.limits = gateway.limits;
        trunk.uris = vec![TrunkUri {
            user: None,
            host: gateway.host.clone(),
            port: gateway.port,
            transport: gateway.transport,
            weight: 1,
            priority: 0,
            enabled: true,
        }];
        self.put(trunk);
    }

    fn number(&mut self, document: &Document) {
        let Spec::Number { tel_url, aor_link, gateway, geo } = &document.spec else { return };
        if !self.refs.contains(&(Collection::Gateways, gateway.as_str())) {
            self.dangling(document, "metadata.gwRef", Collection::Gateways, gateway);
            return;
        }
        // Separators that are only seen (RFC 3966 §5.1.1) never come over the wire.
        let digits = tel_url.replace(['-', '.', '(', ')', ' '], "");
        let mut number = Number::new(document.reference.clone(), &digits, Some(Ref::from(gateway.as_str())));
        number.name.clone_from(&document.name);
        number.aor_link = Some(normal_aor(aor_link));
        number.geo = geo.clone();
        self.put(number);
    }

    fn peer(&mut self, document: &Document) {
        let Spec::Peer { login, device, contact_addr, max_contacts } = &document.spec else { return };
        let credentials = self.credentials(document, login);
        let device = device.as_ref().map(|host| host.to_ascii_lowercase());
        let aor = device.as_ref().map(|host| format!("sip:{}@{host}", login.username));
        let mut peer = Peer::new(document.reference.clone(), &*login.username, aor.as_deref());
        peer.name.clone_from(&document.name);
        peer.credentials = Some(credentials);
        peer.contact_addr.clone_from(contact_addr);
        peer.max_contacts = *max_contacts;
        self.put(peer);
        // It registers and is called under its device's name, so that is a host of ours.
        let other = |host: &String| self.hosts.iter().any(|gateway| gateway.eq_ignore_ascii_case(host));
        let device = device.filter(|host| !self.domains.contains_key(host.as_str()) && !other(host));
        if let Some(host) = device.filter(|host| self.devices.insert(host.clone())) {
            let mut domain = Domain::new(Ref::from(format!("{}{DEVICE}", document.reference)), &host);
            domain.name.clone_from(&document.name);
            domain.authenticate = Authenticate::Register;
            domain.inter_domain = InterDomain::Open;
            self.put(domain);
        }
    }
}
