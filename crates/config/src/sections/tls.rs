//! `tls`: certificates, and who is asked for one.

use std::path::PathBuf;

use trunkline_model::document::{Node, Reading};

use crate::keys::Keys;
use crate::setting::{Secret, Setting, list_of, quoted, words};

/// A certificate for SNI, RFC 6066 §3: the host names are those the certificate itself has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The chain, PEM.
    pub cert: PathBuf,
    /// The key, PEM.
    pub key: PathBuf,
}

impl Setting for Certificate {
    fn read(node: &Node, reading: &Reading) -> Option<Certificate> {
        let fields = reading.fields("a certificate", node)?;
        let path = |key: &'static str| {
            let text = fields.text(key).filter(|text| !text.is_empty());
            if text.is_none() {
                fields.error(key, format!("a certificate needs `{key}`"), None);
            }
            text.map(PathBuf::from)
        };
        let (cert, key) = (path("cert"), path("key"));
        fields.finish();
        Some(Certificate { cert: cert?, key: key? })
    }

    fn show(&self) -> String {
        let path = |path: &PathBuf| quoted(&path.display().to_string());
        format!("{{cert: {}, key: {}}}", path(&self.cert), path(&self.key))
    }
}
list_of!(Certificate);

words! {
    /// Do clients need a certificate?
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    ClientAuth {
        /// They are not asked.
        Off = "off",
        /// They are asked; it is optional.
        Optional = "optional",
        /// They are refused without one.
        Required = "required",
    }
}

words! {
    /// A version of TLS. Those below are never offered.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    TlsVersion {
        /// RFC 5246.
        V1_2 = "1.2",
        /// RFC 8446.
        V1_3 = "1.3",
    }
}

section! {
    /// `tls.pkcs12`: certificate and key in one file. `routrV1.trustStore`: certificates in one.
    Pkcs12 {
        /// The file.
        file: Option<PathBuf> = None, "file";
        /// Its password.
        password: Secret = Secret::default(), "password";
    }
}

/// `tls`: certificates. Without any, a self-signed one is made at the first start.
#[derive(Clone, Debug, PartialEq)]
pub struct Tls {
    /// The chain of the certificate for all without a better one, PEM.
    pub cert: Option<PathBuf>,
    /// Its key, PEM.
    pub key: Option<PathBuf>,
    /// Or both as PKCS#12 or JKS.
    pub pkcs12: Pkcs12,
    /// More certificates, chosen by SNI.
    pub certificates: Vec<Certificate>,
    /// The CAs of client certificates: PEM, PKCS#12 or JKS.
    pub client_ca: Option<PathBuf>,
    /// The password of that file.
    pub client_ca_password: Secret,
    /// Do clients need a certificate?
    pub client_auth: ClientAuth,
    /// The CAs of trunks and peers, in addition to those of the system: PEM, PKCS#12 or JKS.
    pub trusted_ca: Option<PathBuf>,
    /// The password of that file.
    pub trusted_ca_password: Secret,
    /// Are the certificates of trunks and peers checked?
    pub verify: bool,
    /// The lowest version of TLS that is offered.
    pub min_version: TlsVersion,
}

impl Default for Tls {
    fn default() -> Self {
        Tls {
            cert: None,
            key: None,
            pkcs12: Pkcs12::default(),
            certificates: Vec::new(),
            client_ca: None,
            client_ca_password: Secret::default(),
            client_auth: ClientAuth::Off,
            trusted_ca: None,
            trusted_ca_password: Secret::default(),
            verify: true,
            min_version: TlsVersion::V1_2,
        }
    }
}

impl Tls {
    pub(crate) fn keys(&mut self, keys: &mut Keys<'_>) {
        keys.value("cert", &mut self.cert);
        keys.value("key", &mut self.key);
        keys.section("pkcs12", |keys| self.pkcs12.keys(keys));
        keys.value("certificates", &mut self.certificates);
        keys.value("clientCa", &mut self.client_ca);
        keys.value("clientCaPassword", &mut self.client_ca_password);
        keys.value("clientAuth", &mut self.client_auth);
        keys.value("trustedCa", &mut self.trusted_ca);
        keys.value("trustedCaPassword", &mut self.trusted_ca_password);
        keys.value("verify", &mut self.verify);
        keys.value("minVersion", &mut self.min_version);
    }
}
