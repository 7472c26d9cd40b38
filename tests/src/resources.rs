//! Resources in the v2 YAML dialect, as an operator would write them, one file per kind.

use std::fmt::Write as _;

/// A folder of resources in the making.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    files: Vec<(&'static str, String)>,
}

impl Resources {
    /// Nothing yet.
    pub fn new() -> Resources {
        Resources::default()
    }

    /// A domain; `authenticate` is `never`, `register` or `all`.
    pub fn domain(self, uri: &str, authenticate: &str) -> Resources {
        self.domain_with(uri, authenticate, &[], "")
    }

    /// A domain with egress policies (rule, number) and further lines of its spec, four spaces in.
    pub fn domain_with(
        self,
        uri: &str,
        authenticate: &str,
        policies: &[(&str, &str)],
        more: &str,
    ) -> Resources {
        let mut list = String::new();
        for (rule, number) in policies {
            let _ = write!(list, "{{rule: '{rule}', numberRef: {}}}, ", reference(number));
        }
        let text = format!(
            "- apiVersion: v2\n  kind: Domain\n  ref: {ref}\n  metadata: {{name: {uri}}}\n  spec:\n    authenticate: {authenticate}\n    context: {{domainUri: {uri}, egressPolicies: [{list}]}}\n{more}",
            ref = reference(uri),
        );
        self.raw("domains.yaml", &text)
    }

    /// An agent with credentials of the same name.
    pub fn agent(self, domain: &str, user: &str, password: &str) -> Resources {
        self.agent_with(domain, user, password, "")
    }

    /// An agent with further spec entries, each starting with a comma: `, maxContacts: 1`.
    pub fn agent_with(self, domain: &str, user: &str, password: &str, more: &str) -> Resources {
        let ref_ = reference(&format!("{user}-{domain}"));
        self.credentials(&ref_, user, password).raw(
            "agents.yaml",
            &format!(
                "- {{apiVersion: v2, kind: Agent, ref: agent-{ref_}, metadata: {{name: \"{user}\"}}, spec: {{username: \"{user}\", domainRef: {}, credentialsRef: {ref_}, privacy: None{more}}}}}\n",
                reference(domain)
            ),
        )
    }

    /// Credentials.
    pub fn credentials(self, ref_: &str, user: &str, password: &str) -> Resources {
        self.raw(
            "credentials.yaml",
            &format!(
                "- {{apiVersion: v2, kind: Credentials, ref: {ref_}, metadata: {{name: \"{user}\"}}, spec: {{credentials: {{username: \"{user}\", password: \"{password}\"}}}}}}\n"
            ),
        )
    }

    /// A trunk: its inbound URI, the hosts it dials (`127.0.0.1:port`, priority, transport), and its credentials.
    pub fn trunk(
        self,
        name: &str,
        inbound: &str,
        uris: &[(&str, u16, &str)],
        login: Option<(&str, &str)>,
    ) -> Resources {
        self.trunk_with(name, inbound, uris, login, "sendRegister: false")
    }

    /// The same with further entries of `outbound`.
    pub fn trunk_with(
        self,
        name: &str,
        inbound: &str,
        uris: &[(&str, u16, &str)],
        login: Option<(&str, &str)>,
        outbound: &str,
    ) -> Resources {
        let mut list = String::new();
        for (at, priority, transport) in uris {
            let (host, port) = at.rsplit_once(':').unwrap_or((at, "5060"));
            let _ = write!(
                list,
                "{{uri: {{host: {host}, port: {port}, transport: {transport}}}, weight: 10, priority: {priority}, enabled: true}}, "
            );
        }
        let credentials = login.map_or(String::new(), |_| format!("credentialsRef: {name}-login, "));
        let text = format!(
            "- apiVersion: v2\n  kind: Trunk\n  ref: {name}\n  metadata: {{name: {name}}}\n  spec:\n    inbound: {{uri: {inbound}}}\n    outbound: {{{outbound}, {credentials}uris: [{list}]}}\n"
        );
        let out = self.raw("trunks.yaml", &text);
        match login {
            Some((user, password)) => out.credentials(&format!("{name}-login"), user, password),
            None => out,
        }
    }

    /// A number of a trunk that rings an AOR.
    pub fn number(self, tel: &str, trunk: &str, aor: &str) -> Resources {
        self.raw(
            "numbers.yaml",
            &format!(
                "- {{apiVersion: v2, kind: Number, ref: {}, metadata: {{name: \"{tel}\", geoInfo: {{city: City, country: Country, countryIsoCode: US}}}}, spec: {{trunkRef: {trunk}, location: {{telUrl: \"tel:{tel}\", aorLink: \"{aor}\"}}}}}}\n",
                reference(tel)
            ),
        )
    }

    /// A peer with an AOR and credentials.
    pub fn peer(self, user: &str, aor: &str, password: &str, more: &str) -> Resources {
        self.credentials(&format!("peer-{user}"), user, password).raw(
            "peers.yaml",
            &format!(
                "- {{apiVersion: v2, kind: Peer, ref: {user}, metadata: {{name: {user}}}, spec: {{username: {user}, aor: \"{aor}\", credentialsRef: peer-{user}{more}}}}}\n"
            ),
        )
    }

    /// An access control list.
    pub fn acl(self, ref_: &str, allow: &[&str], deny: &[&str]) -> Resources {
        let list = |list: &[&str]| list.iter().map(|net| format!("\"{net}\"")).collect::<Vec<_>>().join(", ");
        self.raw(
            "acls.yaml",
            &format!(
                "- {{apiVersion: v2, kind: AccessControlList, ref: {ref_}, metadata: {{name: {ref_}}}, spec: {{accessControlList: {{allow: [{}], deny: [{}]}}}}}}\n",
                list(allow),
                list(deny)
            ),
        )
    }

    /// Lines of a file as they stand.
    pub fn raw(mut self, file: &'static str, text: &str) -> Resources {
        match self.files.iter_mut().find(|(name, _)| *name == file) {
            Some((_, have)) => have.push_str(text),
            None => self.files.push((file, text.to_owned())),
        }
        self
    }

    /// The files: name and text.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.files.iter().map(|(name, text)| (*name, text.as_str()))
    }

    /// The text of one of the files.
    pub fn file(&self, name: &str) -> &str {
        self.files().find(|(file, _)| *file == name).expect("a file of these resources").1
    }
}

/// A resource's ref made from free text.
pub fn reference(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    format!("r{plain}")
}
