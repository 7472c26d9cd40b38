//! Certificates: `securityContext`, `restService`.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use trunkline_model::document::{Fields, Node, Place};

use super::Conversion;
use super::nodes::text;

/// The format of a key store, by its first bytes: `keytool` writes PKCS#12 under any name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// PKCS#12, RFC 7292: an ASN.1 sequence.
    Pkcs12,
    /// Java's own form, JKS.
    Jks,
    /// Another form of Java's, JCEKS, which is not read.
    Jceks,
    /// Something else.
    Unknown,
    /// It cannot be read.
    Missing,
}

fn form(file: &Path) -> Form {
    let mut first = [0u8; 4];
    // A pipe would be waited for.
    if !file.is_file() {
        return Form::Missing;
    }
    let Ok(mut opened) = std::fs::File::open(file) else { return Form::Missing };
    match opened.read_exact(&mut first) {
        Ok(()) => match first {
            [0x30, ..] => Form::Pkcs12,
            [0xfe, 0xed, 0xfe, 0xed] => Form::Jks,
            [0xce, 0xce, 0xce, 0xce] => Form::Jceks,
            _ => Form::Unknown,
        },
        Err(_) => Form::Unknown,
    }
}

/// How a key store is made one that can be read: the line to type, and what to do then.
pub fn conversion(file: &str) -> String {
    let stem = [".jks", ".jceks"].iter().find_map(|end| file.strip_suffix(end));
    let other =
        [".p12", ".pfx"].iter().find_map(|end| file.strip_suffix(end)).map(|stem| format!("{stem}-new"));
    let to = format!("{}.p12", stem.map(str::to_owned).or(other).unwrap_or_else(|| file.to_owned()));
    let quoted = |path: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._/".contains(c);
        if path.chars().all(plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
    };
    format!(
        "convert it once: keytool -importkeystore -srckeystore {} -destkeystore {} -deststoretype pkcs12, and name {to} here",
        quoted(file),
        quoted(&to)
    )
}

/// The password of key stores and trust stores of Routr v1 where nothing is said.
pub const DEFAULT_PASSWORD: &str = "changeit";

/// Where Routr has its stores where nothing is said.
const DEFAULT_STORE: &str = "etc/certs/domains-cert.jks";

/// The same for the REST API.
const DEFAULT_API_STORE: &str = "etc/certs/api-cert.jks";

const CLIENT_AUTH: [(&str, Asked); 5] = [
    ("Disabled", Asked::Never),
    ("DisabledAll", Asked::NorServers),
    ("Want", Asked::MayBe),
    ("Default", Asked::Must),
    ("Enabled", Asked::Must),
];

/// Are clients asked for certificates?
#[derive(Clone, Copy, PartialEq)]
enum Asked {
    Never,
    /// Neither are those of servers verified.
    NorServers,
    MayBe,
    Must,
}

/// Protocols that are offered, and those that no longer are.
const PROTOCOLS: [(&str, bool); 7] = [
    ("TLSv1.3", true),
    ("TLSv1.2", true),
    ("TLSv1.1", false),
    ("TLSv1", false),
    ("SSLv3", false),
    ("SSLv2Hello", false),
    ("TLSv1.0", false),
];

impl Conversion<'_> {
    /// `securityContext`: the certificate of TLS and WSS, and whose certificates are believed.
    pub(super) fn security_context(&mut self, spec: &Fields<'_>) {
        let Some(context) = spec.map("securityContext") else {
            if self.tls_listens {
                self.certificate(DEFAULT_STORE, None, spec.place());
            }
            return;
        };
        let password = context.node("keyStorePassword").cloned();
        let named = context.node("keyStore");
        if self.tls_listens {
            let file = named.and_then(Node::as_text).unwrap_or(DEFAULT_STORE).to_owned();
            let place = named.map_or(context.place(), |node| &node.place).clone();
            self.certificate(&file, named, &place);
            if let Some(password) = &password
                && self.tree.get("tls.pkcs12.file").is_some()
            {
                self.tree.set("tls.pkcs12.password", password.clone());
            }
        }
        // What the file is, its first bytes say.
        context.choice("keyStoreType", &[("jks", ()), ("pkcs12", ())]);
        let (store, misspelt) = (context.node("trustStore"), context.node("trueStore"));
        let (word, other) = (context.node("trustStorePassword"), context.node("trueStorePassword"));
        let trusts = store.or(misspelt).is_some_and(|node| self.trust_store(node, word.or(other)));
        if let Some(client) = context.map("client") {
            self.client_auth(&client, trusts);
            self.protocols(&client);
            client.finish();
        }
        if context.boolean("debugging") == Some(true)
            && let Some(node) = context.node("debugging")
        {
            self.log("trunkline_transport=debug,rustls=debug", &node.place);
        }
        context.finish();
    }

    /// The CAs for certificates of clients, and of servers that we connect to.
    fn trust_store(&mut self, node: &Node, password: Option<&Node>) -> bool {
        if !self.is_trust_store(node) {
            return false;
        }
        let password = password.cloned().unwrap_or_else(|| text(DEFAULT_PASSWORD, &node.place));
        for key in ["clientCa", "trustedCa"] {
            self.tree.set(&format!("tls.{key}"), node.clone());
            self.tree.set(&format!("tls.{key}Password"), password.clone());
        }
        true
    }

    /// Does the file look like one? What is in it is read when its part starts.
    fn is_trust_store(&self, node: &Node) -> bool {
        let file = node.as_text().unwrap_or_default();
        let (message, help) = match form(Path::new(file)) {
            Form::Missing => (format!("{file} cannot be read: does it exist?"), None),
            Form::Jceks => {
                (format!("{file} is a JCEKS store, which is not supported"), Some(conversion(file)))
            }
            Form::Pkcs12 | Form::Jks | Form::Unknown => return true,
        };
        self.reading.error(message, &node.place, help);
        false
    }

    /// The key store in a file. A named one that cannot be read is an error: phones would meet another certificate.
    fn certificate(&mut self, file: &str, named: Option<&Node>, place: &Place) {
        match (form(Path::new(file)), named) {
            (Form::Pkcs12 | Form::Jks, _) => {
                self.tree.set("tls.pkcs12.file", text(file, place));
                self.tree.set("tls.pkcs12.password", text(DEFAULT_PASSWORD, place));
            }
            (Form::Jceks, Some(_)) => {
                let message = format!("{file} is a JCEKS key store, which is not supported");
                self.reading.error(message, place, Some(conversion(file)));
            }
            (Form::Unknown, Some(_)) => {
                let message = format!("{file} is neither a PKCS#12 nor a JKS file");
                self.reading.error(message, place, Some(conversion(file)));
            }
            (Form::Missing, Some(_)) => {
                self.reading.error(format!("{file} cannot be read: does it exist?"), place, None);
            }
            (Form::Unknown | Form::Missing | Form::Jceks, None) => self.warnings.push(format!(
                "{place}: there is no `spec.securityContext.keyStore`: a self-signed certificate is used"
            )),
        }
    }

    fn client_auth(&mut self, client: &Fields<'_>, trusts: bool) {
        let asked = client.choice("authType", &CLIENT_AUTH);
        let Some(node) = client.node("authType") else { return };
        let trusts = trusts || self.env.get("TRUNKLINE_TLS_CLIENT_CA").is_some();
        match asked {
            Some(Asked::Must) if self.tls_listens && !trusts => {
                let message = "clients need a certificate, but there is no trust store to verify it";
                let help = "set spec.securityContext.trustStore, or TRUNKLINE_TLS_CLIENT_CA to a PEM file";
                self.reading.error(message, &node.place, Some(help.to_owned()));
            }
            Some(Asked::Must) if trusts => self.tree.set("tls.clientAuth", text("required", &node.place)),
            Some(Asked::MayBe) if trusts => self.tree.set("tls.clientAuth", text("optional", &node.place)),
            Some(Asked::MayBe) => {
                let why = "there is no `trustStore` to verify certificates: clients are not asked for one";
                self.warn("spec.securityContext.client.authType", node, why);
            }
            Some(Asked::NorServers) => {
                self.tree.set("tls.verify", text("off", &node.place));
                self.warnings.push(format!(
                    "{}: `spec.securityContext.client.authType: DisabledAll`: the certificates of servers that we \
                     connect to are not verified; `Disabled` verifies them",
                    node.place
                ));
            }
            Some(Asked::Must | Asked::Never) | None => {}
        }
    }

    /// Nothing below TLS 1.2 is offered, whatever is listed.
    fn protocols(&mut self, client: &Fields<'_>) {
        let Some(node) = client.node("protocols") else { return };
        let Some(offered) = client.choices("protocols", &PROTOCOLS) else { return };
        let listed = client.texts("protocols").unwrap_or_default();
        if listed.len() != offered.len() {
            return;
        }
        let old: Vec<&str> = listed
            .iter()
            .zip(&offered)
            .filter(|(_, good)| !**good)
            .map(|((name, _), _)| name.as_str())
            .collect();
        // Routr's own lists cannot name 1.3, so that leaving it out says nothing.
        if listed.iter().all(|(name, _)| name.eq_ignore_ascii_case("TLSv1.3")) && !listed.is_empty() {
            self.tree.set("tls.minVersion", text("1.3", &node.place));
        }
        if old.is_empty() {
            return;
        }
        if offered.contains(&true) {
            let why = format!("{} are not supported; TLS 1.2 and 1.3 are", old.join(", "));
            self.warn("spec.securityContext.client.protocols", node, &why);
        } else {
            let message = format!("{}: none of them is supported", old.join(", "));
            self.reading.error(message, &node.place, Some("add TLSv1.2".to_owned()));
        }
    }

    /// `restService`: the API that only a configuration of Routr v1 opens.
    pub(super) fn rest_service(&mut self, spec: &Fields<'_>) {
        let Some(rest) = spec.map("restService") else {
            self.tree.set("routrV1.addr", text("0.0.0.0:4567", spec.place()));
            return;
        };
        let ip = match rest.node("bindAddr") {
            Some(node) => self.address(node),
            None => Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        };
        let port = rest.integer("port", 0..=65_535).unwrap_or(4567);
        let place = rest.node("port").map_or(rest.place(), |node| &node.place);
        if let Some(ip) = ip {
            let port = u16::try_from(port).unwrap_or_default();
            self.tree.set("routrV1.addr", text(SocketAddr::new(ip, port).to_string(), place));
        }
        if let (Some(unsecured), Some(node)) = (rest.boolean("unsecured"), rest.node("unsecured")) {
            self.tree.set("routrV1.tls", text(if unsecured { "off" } else { "on" }, &node.place));
        }
        self.api_certificate(&rest);
        for key in ["minThreads", "maxThreads", "timeoutMillis", "timeOutMillis"] {
            if rest.integer(key, 0..=i64::from(u32::MAX)).is_some() {
                self.no_equal.push(format!("spec.restService.{key}"));
            }
        }
        let (store, misspelt) = (rest.node("trustStore"), rest.node("trueStore"));
        let (word, other) = (rest.node("trustStorePassword"), rest.node("trueStorePassword"));
        if let Some(node) = store.or(misspelt)
            && self.is_trust_store(node)
        {
            self.tree.set("routrV1.trustStore.file", node.clone());
            let password = word.or(other).cloned().unwrap_or_else(|| text(DEFAULT_PASSWORD, &node.place));
            self.tree.set("routrV1.trustStore.password", password);
        } else if let Some(password) = word.or(other) {
            self.warn("spec.restService.trustStorePassword", password, "there is no `trustStore`");
        }
        rest.finish();
    }
}

impl Conversion<'_> {
    /// `restService.keyStore`; the one that Routr has where nothing is said, if it is there.
    fn api_certificate(&mut self, rest: &Fields<'_>) {
        let password = rest.node("keyStorePassword").cloned();
        let named = rest.node("keyStore");
        let file = named.and_then(Node::as_text).unwrap_or(DEFAULT_API_STORE).to_owned();
        let place = named.map_or(rest.place(), |node| &node.place).clone();
        match (form(Path::new(&file)), named) {
            (Form::Pkcs12 | Form::Jks, _) => {
                self.tree.set("routrV1.pkcs12.file", text(file, &place));
                let password = password.unwrap_or_else(|| text(DEFAULT_PASSWORD, &place));
                self.tree.set("routrV1.pkcs12.password", password);
            }
            (Form::Missing, None) => {
                if let Some(password) = password {
                    let why = format!("there is no `keyStore`, and no {DEFAULT_API_STORE}");
                    self.warn("spec.restService.keyStorePassword", &password, &why);
                }
            }
            (Form::Missing, Some(_)) => {
                self.reading.error(format!("{file} cannot be read: does it exist?"), &place, None);
            }
            (Form::Jceks | Form::Unknown, _) => {
                let message = format!("{file} is neither a PKCS#12 nor a JKS file");
                self.reading.error(message, &place, Some(conversion(&file)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_store_is_known_by_its_bytes() {
        let folder = std::env::temp_dir().join(format!("trunkline-keystores-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        for (bytes, is) in [
            (&[0x30u8, 0x82, 1, 2][..], Form::Pkcs12),
            (&[0xfe, 0xed, 0xfe, 0xed, 0], Form::Jks),
            (&[0xce, 0xce, 0xce, 0xce], Form::Jceks),
            (b"-----BEGIN", Form::Unknown),
            (b"", Form::Unknown),
        ] {
            let file = folder.join("store");
            std::fs::write(&file, bytes).expect("written");
            assert_eq!(form(&file), is, "{bytes:?}");
        }
        assert_eq!(form(&folder.join("none")), Form::Missing);
        std::fs::remove_dir_all(&folder).expect("removed");
        assert!(conversion("etc/api.jks").contains("-destkeystore etc/api.p12"));
        assert!(conversion("etc/api.p12").contains("-srckeystore etc/api.p12 -destkeystore etc/api-new.p12"));
        assert!(
            conversion("my certs/a.jks")
                .contains("-srckeystore 'my certs/a.jks' -destkeystore 'my certs/a.p12'")
        );
    }
}
