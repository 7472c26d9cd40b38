//! Certificates: `securityContext`, `restService`.

use std::io::Read;
use std::path::Path;

use trunkline_model::document::{Fields, Node, Place};

use super::Conversion;
use super::nodes::text;

/// What a key store is, by its first bytes: `keytool` writes PKCS#12 under any name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// PKCS#12, RFC 7292: an ASN.1 sequence.
    Pkcs12,
    /// Java's own form.
    Jks,
    /// Something else.
    Unknown,
    /// It cannot be read.
    Missing,
}

fn form(file: &Path) -> Form {
    let mut first = [0u8; 4];
    let Ok(mut opened) = std::fs::File::open(file) else { return Form::Missing };
    match opened.read_exact(&mut first) {
        Ok(()) => match first {
            [0x30, ..] => Form::Pkcs12,
            [0xfe, 0xed, 0xfe, 0xed] | [0xce, 0xce, 0xce, 0xce] => Form::Jks,
            _ => Form::Unknown,
        },
        Err(_) => Form::Unknown,
    }
}

/// How a JKS file is made one that can be read.
fn conversion(file: &str) -> String {
    let stem = file.strip_suffix(".jks").unwrap_or(file);
    format!(
        "convert it once: keytool -importkeystore -srckeystore {file} -destkeystore {stem}.p12 -deststoretype pkcs12, \
         and name {stem}.p12 here"
    )
}

const DEFAULT_PASSWORD: &str = "changeit";

const CLIENT_AUTH: [(&str, Asked); 5] = [
    ("Disabled", Asked::Never),
    ("DisabledAll", Asked::Never),
    ("Want", Asked::MayBe),
    ("Default", Asked::Must),
    ("Enabled", Asked::Must),
];

/// Are clients asked for certificates?
#[derive(Clone, Copy, PartialEq)]
enum Asked {
    Never,
    MayBe,
    Must,
}

impl Conversion<'_> {
    /// `securityContext`: the certificate of TLS and WSS.
    pub(super) fn security_context(&mut self, spec: &Fields<'_>) {
        let Some(context) = spec.map("securityContext") else {
            if self.tls_listens {
                self.certificate("etc/certs/domains-cert.jks", None, spec.place());
            }
            return;
        };
        let password = context.node("keyStorePassword").cloned();
        let named = context.node("keyStore");
        if self.tls_listens {
            let file = named.and_then(Node::as_text).unwrap_or("etc/certs/domains-cert.jks").to_owned();
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
        if let Some(node) = context.node("trustStore") {
            self.warn(
                "spec.securityContext.trustStore",
                node,
                "whom to believe is set as PEM: TRUNKLINE_TLS_TRUSTED_CA for those we connect to, \
                 TRUNKLINE_TLS_CLIENT_CA for clients",
            );
        }
        context.node("trustStorePassword");
        if let Some(client) = context.map("client") {
            self.client_auth(&client);
            let protocols = client.texts("protocols").unwrap_or_default();
            if let (Some(node), true) = (
                client.node("protocols"),
                protocols.iter().any(|(name, _)| name != "TLSv1.2" && name != "TLSv1.3"),
            ) {
                self.warn("spec.securityContext.client.protocols", node, "TLS 1.2 and 1.3 are spoken");
            }
            client.finish();
        }
        if let Some(node) = context.node("debugging") {
            self.warn("spec.securityContext.debugging", node, "set TRUNKLINE_LOG_LEVEL=info,rustls=debug");
        }
        context.finish();
    }

    /// The key store in a file. A named one that cannot be read is an error: phones would meet another certificate.
    fn certificate(&mut self, file: &str, named: Option<&Node>, place: &Place) {
        match (form(Path::new(file)), named) {
            (Form::Pkcs12, _) => {
                self.tree.set("tls.pkcs12.file", text(file, place));
                self.tree.set("tls.pkcs12.password", text(DEFAULT_PASSWORD, place));
            }
            (Form::Jks, Some(_)) => {
                let message = format!("{file} is a Java key store, which is not read");
                self.reading.error(message, place, Some(conversion(file)));
            }
            (Form::Unknown, Some(_)) => {
                self.reading.error(format!("{file} is no PKCS#12 file"), place, None);
            }
            (Form::Missing, Some(_)) => {
                self.reading.error(format!("{file} cannot be read: does it exist?"), place, None);
            }
            (Form::Jks, None) => self.warnings.push(format!(
                "{place}: {file} is a Java key store, which is not read: phones meet a certificate of the \
                 exchange's own; to keep the old one, {} (`spec.securityContext.keyStore`)",
                conversion(file)
            )),
            (Form::Unknown | Form::Missing, None) => self.warnings.push(format!(
                "{place}: there is no `spec.securityContext.keyStore`: phones meet a certificate of the exchange's own"
            )),
        }
    }

    fn client_auth(&mut self, client: &Fields<'_>) {
        let asked = client.choice("authType", &CLIENT_AUTH);
        let Some(node) = client.node("authType") else { return };
        match asked {
            Some(Asked::Must) if self.tls_listens && self.env.get("TRUNKLINE_TLS_CLIENT_CA").is_none() => {
                let message =
                    "clients are to show a certificate, and the trust store that says whose cannot be read";
                let help = "set TRUNKLINE_TLS_CLIENT_CA to a PEM file of the signers, and \
                            TRUNKLINE_TLS_CLIENT_AUTH=required";
                self.reading.error(message, &node.place, Some(help.to_owned()));
            }
            Some(Asked::MayBe) => {
                let why = "set TRUNKLINE_TLS_CLIENT_CA (PEM) and TRUNKLINE_TLS_CLIENT_AUTH=optional";
                self.warn("spec.securityContext.client.authType", node, why);
            }
            Some(Asked::Must | Asked::Never) | None => {}
        }
    }

    /// `restService`: the API that only a configuration of Routr v1 opens.
    pub(super) fn rest_service(&mut self, spec: &Fields<'_>) {
        let Some(rest) = spec.map("restService") else {
            self.tree.set("routrV1.addr", text("0.0.0.0:4567", spec.place()));
            return;
        };
        let ip = rest.node("bindAddr").and_then(Node::as_text).unwrap_or("0.0.0.0").to_owned();
        let port = rest.integer("port", 0..=65_535).unwrap_or(4567);
        let place = rest.node("port").map_or(rest.place(), |node| &node.place);
        let address = if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") };
        self.tree.set("routrV1.addr", text(address, place));
        if let (Some(unsecured), Some(node)) = (rest.boolean("unsecured"), rest.node("unsecured")) {
            self.tree.set("routrV1.tls", text(if unsecured { "off" } else { "on" }, &node.place));
        }
        let password = rest.node("keyStorePassword").cloned();
        if let Some(node) = rest.node("keyStore") {
            let file = node.as_text().unwrap_or_default().to_owned();
            match form(Path::new(&file)) {
                Form::Pkcs12 => {
                    self.tree.set("routrV1.pkcs12.file", text(file, &node.place));
                    let password = password.unwrap_or_else(|| text(DEFAULT_PASSWORD, &node.place));
                    self.tree.set("routrV1.pkcs12.password", password);
                }
                Form::Jks | Form::Unknown | Form::Missing => {
                    let why = format!("the API shows the exchange's own certificate; {}", conversion(&file));
                    self.warn("spec.restService.keyStore", node, &why);
                }
            }
        }
        for (key, why) in [
            ("trustStore", "the API asks clients for no certificate"),
            ("trueStore", "the API asks clients for no certificate"),
            ("minThreads", "the API needs no threads of its own"),
            ("maxThreads", "the API needs no threads of its own"),
            ("timeoutMillis", "a request's head has 10 s"),
            ("timeOutMillis", "a request's head has 10 s"),
        ] {
            if let Some(node) = rest.node(key) {
                self.warn(&format!("spec.restService.{key}"), node, why);
            }
        }
        // Nothing but words for the stores named above.
        for key in ["trustStorePassword", "trueStorePassword"] {
            rest.node(key);
        }
        rest.finish();
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
            (&[0xce, 0xce, 0xce, 0xce], Form::Jks),
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
    }
}
