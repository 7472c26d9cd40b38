//! Validation of single resources. The messages are those of the Connect API.

use crate::resource::{
    AccessControlList, Agent, Credentials, Domain, Number, Peer, Resource, ShownAs, Trunk, TrunkUri, User,
};

/// A value that may not be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The path of the field, e.g. `spec.context.domainUri`.
    pub field: String,
    /// The error.
    pub message: String,
}

/// Checks a resource by itself; what it refers to is [`crate::Tables::apply`]'s to check.
pub fn validate(resource: &Resource) -> Vec<Problem> {
    let mut check = Check::default();
    let reference = resource.reference();
    check.that(!reference.is_empty(), "ref", "the reference to the resource is required");
    check.that(
        !reference.contains(char::is_whitespace),
        "ref",
        "the reference to the resource must not contain spaces",
    );
    check.no_control(reference, "ref", "the reference to the resource");
    let name = resource.name();
    check.that(!name.is_empty(), "metadata.name", "the friendly name for the resource is required");
    check.that(
        name.chars().count() <= 60,
        "metadata.name",
        "the friendly name must have less than 60 characters",
    );
    check.no_control(name, "metadata.name", "the friendly name");
    match resource {
        Resource::AccessControlList(r) => check.acl(r),
        Resource::Credentials(r) => check.credentials(r),
        Resource::Trunk(r) => check.trunk(r),
        Resource::Number(r) => check.number(r),
        Resource::Domain(r) => check.domain(r),
        Resource::Agent(r) => check.agent(r),
        Resource::Peer(r) => check.peer(r),
        Resource::User(r) => check.user(r),
    }
    check.problems
}

#[derive(Default)]
struct Check {
    problems: Vec<Problem>,
}

impl Check {
    fn that(&mut self, holds: bool, field: &str, message: &str) {
        if !holds {
            self.problems.push(Problem { field: field.to_owned(), message: message.to_owned() });
        }
    }

    fn no_control(&mut self, text: &str, field: &str, what: &str) {
        let message = format!("{what} must not contain control characters");
        self.that(!text.contains(char::is_control), field, &message);
    }

    fn username(&mut self, username: &str, field: &str) {
        self.that(!username.is_empty(), field, "the username is required");
        self.that(!username.contains(char::is_whitespace), field, "the username must not contain spaces");
        self.that(username.len() <= 60, field, "the username must have at most 60 characters");
        self.no_control(username, field, "the username");
    }

    fn acl(&mut self, r: &AccessControlList) {
        let any = !r.allow.is_empty() || !r.deny.is_empty();
        self.that(any, "spec.accessControlList", "acl rules are required");
    }

    fn credentials(&mut self, r: &Credentials) {
        self.username(&r.username, "spec.credentials.username");
        let password = "spec.credentials.password";
        self.that(!r.password.is_empty(), password, "the password is required");
        self.that(r.password.len() <= 255, password, "the password must have at most 255 characters");
    }

    fn trunk(&mut self, r: &Trunk) {
        if let Some(host) = &r.inbound_uri {
            let message = "the inbound URI must be a valid FQDN or IP address (e.g., sip.example.com)";
            self.that(is_host(host), "spec.inbound.uri", message);
        }
        let reached = r.inbound_uri.is_some() || !r.uris.is_empty();
        self.that(reached, "spec", "the inboundUri is required where the trunk has no outbound uris");
        for (n, uri) in r.uris.iter().enumerate() {
            self.trunk_uri(uri, &format!("spec.outbound.uris[{n}]"));
        }
        for (n, registry) in r.registries.iter().enumerate() {
            self.trunk_uri(registry, &format!("spec.outbound.registries[{n}]"));
        }
        let timeout = "the timeoutMs must be between 500 and 4000";
        self.that((500..=4000).contains(&r.timeout_ms), "spec.outbound.timeoutMs", timeout);
        for (n, name) in r.allowed_parameters.iter().enumerate() {
            let path = format!("spec.outbound.allowedParameters[{n}]");
            self.that(
                is_token(name),
                &path,
                "the name of a parameter must be alphanumeric and without spaces",
            );
            // These say where a request goes, which is the trunk's to say.
            let ours = ["transport", "maddr", "ttl", "lr", "method", "user", "gr", "ob", "bnc"];
            self.that(!ours.contains(&name.as_str()), &path, "callers may not set this parameter");
        }
        if let Some(files) = &r.client_certificate {
            // A line end tells the two apart on their way to the connection.
            self.no_control(&files.certificate, "spec.outbound.clientCertificate.certificate", "the path");
            self.no_control(&files.key, "spec.outbound.clientCertificate.key", "the path");
        }
        let nobody = r.shown_as == ShownAs::Account && r.outbound_credentials.is_none();
        self.that(!nobody, "spec.outbound.from", "from: account needs outbound.credentialsRef");
        let nowhere = r.send_register && r.uris.is_empty();
        self.that(!nowhere, "spec.outbound.sendRegister", "sendRegister needs at least one of uris");
    }

    fn trunk_uri(&mut self, uri: &TrunkUri, path: &str) {
        let host = format!("{path}.uri.host");
        self.that(!uri.host.is_empty(), &host, "the host is required");
        let valid = uri.host.is_empty() || is_host(&uri.host);
        self.that(valid, &host, "the host must be a valid FQDN or IP");
        self.that(uri.port != Some(0), &format!("{path}.uri.port"), "the port must be a valid port");
        self.that(uri.weight > 0, &format!("{path}.weight"), "the weight must be between 1 and 65535");
        if let Some(user) = &uri.user {
            self.username(user, &format!("{path}.uri.user"));
        }
    }

    fn number(&mut self, r: &Number) {
        let tel = "spec.location.telUrl";
        self.that(!r.tel_url.is_empty(), tel, "the telUrl is required");
        if !r.tel_url.is_empty() {
            let scheme = r.tel_url.get(..4).is_some_and(|s| s.eq_ignore_ascii_case("tel:"));
            self.that(scheme, tel, "the telUrl must start with `tel:`");
            self.that(!scheme || is_phone(r.digits()), tel, "the telUrl must be a valid e164 number");
        }
        if let Some(aor) = &r.aor_link {
            self.that(is_aor(aor), "spec.location.aorLink", "the aorLink must start with backend: or sip:");
        }
        if let Some(header) = &r.session_affinity_header {
            let message = "the sessionAffinityHeader must be alphanumeric and without spaces";
            self.that(is_token(header), "spec.location.sessionAffinityHeader", message);
        }
        for (n, (name, value)) in r.extra_headers.iter().enumerate() {
            let path = format!("spec.location.extraHeaders[{n}]");
            let message = "the header must be alphanumeric and without spaces";
            self.that(is_token(name), &format!("{path}.name"), message);
            let path = format!("{path}.value");
            self.that(!value.is_empty(), &path, "the header value cannot be empty");
            // What ends a line, here or for another SIP stack, would let a value write headers of its own.
            let ends = |c: char| c != '\t' && (c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'));
            self.that(!value.contains(ends), &path, "the header value must be one line");
        }
    }

    fn domain(&mut self, r: &Domain) {
        let message = "the domainUri must be a valid fully qualified domain name";
        self.that(is_host(&r.domain_uri), "spec.context.domainUri", message);
        for (n, policy) in r.egress_policies.iter().enumerate() {
            let path = format!("spec.context.egressPolicies[{n}]");
            self.that(!policy.rule.text().is_empty(), &format!("{path}.rule"), "the rule is required");
            let message = "the numberRef is required";
            self.that(!policy.number.is_empty(), &format!("{path}.numberRef"), message);
        }
        let message = "at least one algorithm, such as MD5 or SHA-256, is required";
        self.that(!r.algorithms.is_empty(), "spec.algorithms", message);
        let twice = r.algorithms.iter().enumerate().any(|(n, a)| r.algorithms.iter().take(n).any(|b| a == b));
        self.that(!twice, "spec.algorithms", "each algorithm may be listed once");
    }

    fn agent(&mut self, r: &Agent) {
        self.username(&r.username, "spec.username");
        for (aor, field) in
            [(&r.fallback_busy, "spec.fallback.busy"), (&r.fallback_no_answer, "spec.fallback.noAnswer")]
        {
            if let Some(aor) = aor {
                self.that(is_aor(aor), field, "the aor schema must start with `backend:` or `sip:`");
            }
        }
    }

    fn peer(&mut self, r: &Peer) {
        self.username(&r.username, "spec.username");
        if let Some(aor) = &r.aor {
            let message = "the aor schema must start with `backend:` or `sip:`";
            self.that(is_aor(aor), "spec.aor", message);
        }
        if let Some(address) = &r.contact_addr {
            let message = "the contact address must be a valid FQDN or IP";
            self.that(is_host_port(address), "spec.contactAddr", message);
        }
    }

    fn user(&mut self, r: &User) {
        self.username(&r.username, "spec.username");
        if let Some(hash) = &r.password_hash {
            let message = "the passwordHash must be in the PHC string format of argon2";
            self.that(hash.starts_with("$argon2"), "spec.passwordHash", message);
        }
        for (n, token) in r.tokens.iter().enumerate() {
            let sha256 = token.hash.len() == 64 && token.hash.bytes().all(|c| c.is_ascii_hexdigit());
            let message = "the hash must be a SHA-256 in hexadecimal";
            self.that(sha256, &format!("spec.tokens[{n}].hash"), message);
            let path = format!("spec.tokens[{n}].name");
            self.that(!token.name.is_empty(), &path, "the name of the token is required");
            self.no_control(&token.name, &path, "the name of the token");
            let twice = r.tokens.iter().take(n).any(|other| other.name == token.name);
            self.that(!twice, &path, "the names of tokens must differ");
        }
    }
}

/// A host name or an address without brackets. One label is enough: people call their exchange `pbx`.
pub fn is_host(host: &str) -> bool {
    if host.parse::<std::net::IpAddr>().is_ok() {
        return true;
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    // All digits and dots would be an address, and is not a good one.
    (1..=255).contains(&host.len())
        && host.split('.').all(label)
        && !host.bytes().all(|c| c.is_ascii_digit() || c == b'.')
}

/// `host`, `host:port`, `[v6]:port`, `v6`.
fn is_host_port(text: &str) -> bool {
    if is_host(text) || text.parse::<std::net::SocketAddr>().is_ok() {
        return true;
    }
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    bare.is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok())
        || text
            .rsplit_once(':')
            .is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// `sip:`, `sips:` or `backend:` and something without spaces behind.
fn is_aor(aor: &str) -> bool {
    let rest = ["sip:", "sips:", "backend:"].iter().find_map(|scheme| aor.strip_prefix(scheme));
    rest.is_some_and(|rest| {
        !rest.is_empty() && rest.len() <= 323 && !rest.contains(|c: char| c.is_whitespace() || c.is_control())
    })
}

/// Up to 15 digits (ITU-T E.164 §6.1) with or without a plus; local short numbers pass.
fn is_phone(number: &str) -> bool {
    let digits = number.strip_prefix('+').unwrap_or(number);
    (1..=15).contains(&digits.len()) && digits.bytes().all(|c| c.is_ascii_digit())
}

/// A header name, RFC 3261 §25.1 `token`.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ref;

    #[test]
    fn hosts() {
        for good in ["sip.local", "pbx", "10.0.0.1", "2001:db8::1", "a-b.example.", "_sip.example"] {
            assert!(is_host(good), "{good}");
        }
        for bad in ["", "a b", "-a.b", "a..b", "1.2.3", "sip:x", "300.1.1.1", "a/b"] {
            assert!(!is_host(bad), "{bad}");
        }
        for good in ["10.0.0.1:5060", "[::1]:5060", "[::1]", "ast.local:5070", "ast.local"] {
            assert!(is_host_port(good), "{good}");
        }
        assert!(!is_host_port("ast.local:99999"));
    }

    #[test]
    fn every_problem_is_named_with_its_field() {
        let mut number = Number::new("number 1", "sip:12", None);
        number.name = "x".repeat(61);
        number.aor_link = Some("mailto:x@y".into());
        number.extra_headers.push(("X Y".into(), "a\r\nEvil: 1".into()));
        let problems = validate(&number.into());
        let fields: Vec<&str> = problems.iter().map(|p| p.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "ref",
                "metadata.name",
                "spec.location.telUrl",
                "spec.location.aorLink",
                "spec.location.extraHeaders[0].name",
                "spec.location.extraHeaders[0].value",
            ]
        );
        for foul in ["a\rB: 1", "a\nB: 1", "a\0", "a\u{b}B: 1", "a\u{c}", "a\u{85}B: 1", "a\u{2028}B: 1"] {
            let mut number = Number::new("number-1", "tel:12", None);
            number.extra_headers.push(("X-A".into(), foul.into()));
            let problems = validate(&number.into());
            assert!(problems.iter().any(|p| p.field.ends_with("extraHeaders[0].value")), "{foul:?}");
        }
        assert!(validate(&Agent::new("a", "1001", Some(Ref::new("d"))).into()).is_empty());
        let mut agent = Agent::new("a\u{7}", "1\u{1b}[31m", None);
        agent.name = "Ann\nLee".into();
        let fields: Vec<String> = validate(&agent.into()).into_iter().map(|p| p.field).collect();
        assert_eq!(fields, ["ref", "metadata.name", "spec.username"]);
        let problems = validate(&Agent::new("a", "", None).into());
        assert!(problems.iter().any(|p| p.message == "the username is required"), "{problems:?}");
    }
}
