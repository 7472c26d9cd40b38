//! Conversion of the operator's settings to those of TLS.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::Path;

use trunkline_config::{ClientAuth, Config, TlsVersion};
use trunkline_transport::{SelfSigned, TlsSettings};

/// The TLS part of the settings. The certificate of the first start lies beside the database.
pub fn tls_settings(config: &Config, database: Option<&Path>) -> TlsSettings {
    let tls = &config.tls;
    TlsSettings {
        pair: tls.cert.clone().zip(tls.key.clone()),
        pkcs12: tls.pkcs12.file.clone().map(|file| (file, tls.pkcs12.password.0.clone())),
        more: tls.certificates.iter().map(|c| (c.cert.clone(), c.key.clone())).collect(),
        self_signed: SelfSigned {
            files: database.map(|file| (file.with_extension("crt"), file.with_extension("key"))),
            names: own_names(config),
        },
        client_ca: tls.client_ca.clone(),
        client_ca_password: tls.client_ca_password.0.clone(),
        client_auth: match tls.client_auth {
            ClientAuth::Off => trunkline_transport::ClientAuth::Off,
            ClientAuth::Optional => trunkline_transport::ClientAuth::Optional,
            ClientAuth::Required => trunkline_transport::ClientAuth::Required,
        },
        trusted_ca: tls.trusted_ca.clone(),
        trusted_ca_password: tls.trusted_ca_password.0.clone(),
        verify: tls.verify,
        only_1_3: tls.min_version == TlsVersion::V1_3,
    }
}

/// The names in a self-signed certificate: the domain, the host's names, its addresses.
fn own_names(config: &Config) -> Vec<String> {
    let mut names = vec![config.domain.to_ascii_lowercase(), "localhost".to_owned()];
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    names.push(host.trim().to_ascii_lowercase());
    let listening = config.listen.tls.iter().chain(&config.listen.wss).map(SocketAddr::ip);
    let loopback = ["127.0.0.1", "::1"].into_iter().filter_map(|a| a.parse().ok());
    // Where the way out begins: connecting a datagram socket sends nothing.
    let outward =
        [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")].into_iter().filter_map(|(from, to)| {
            let socket = UdpSocket::bind(from).ok()?;
            socket.connect(to).ok()?;
            socket.local_addr().ok().map(|a| a.ip())
        });
    let addresses =
        loopback.chain(listening).chain(outward).chain(config.external_addrs.addresses.iter().copied());
    names.extend(addresses.filter(|ip: &IpAddr| !ip.is_unspecified()).map(|ip| ip.to_string()));
    names.extend(config.external_addrs.names.iter().cloned());
    let sound = |n: &String| {
        !n.is_empty() && n.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b':'))
    };
    names.retain(sound);
    let mut seen = std::collections::HashSet::new();
    names.retain(|n| seen.insert(n.clone()));
    names
}
