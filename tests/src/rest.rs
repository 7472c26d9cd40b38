//! A client of HTTP APIs, with or without TLS, that sends paths as they are.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;

use crate::PATIENCE;

/// The client of one API.
pub struct Rest {
    at: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    base: &'static str,
}

/// An answer.
#[derive(Debug)]
pub struct RestReply {
    /// The status over HTTP.
    pub status: u16,
    /// The body.
    pub body: String,
    /// The body as JSON; null where it is none.
    pub json: Value,
}

impl Rest {
    /// Plain HTTP.
    pub fn http(at: SocketAddr, base: &'static str) -> Rest {
        Rest { at, tls: None, base }
    }

    /// HTTPS, believing the one certificate in this PEM file.
    pub fn https(at: SocketAddr, base: &'static str, certificate: &Path) -> Rest {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(certificate).expect("a certificate");
        roots.add(certificate).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Rest { tls: Some(Arc::new(config)), ..Rest::http(at, base) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.at
    }

    /// GET.
    pub fn get(&self, path: &str) -> RestReply {
        self.send("GET", path, "", "")
    }

    /// GET with a user's name and password; `basic` is their base64.
    pub fn get_as(&self, path: &str, basic: &str) -> RestReply {
        self.send("GET", path, &format!("Authorization: Basic {basic}\r\n"), "")
    }

    /// Any request; `headers` are whole lines.
    pub fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> RestReply {
        let text = self.text(method, path, headers, body);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        RestReply {
            status: head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default(),
            json: serde_json::from_str(body).unwrap_or_default(),
            body: body.to_owned(),
        }
    }

    /// The value of a header of the answer; its name in lower case.
    pub fn head_value(&self, method: &str, path: &str, name: &str) -> Option<String> {
        let text = self.text(method, path, "", "");
        let (head, _) = text.split_once("\r\n\r\n")?;
        let mut fields = head.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
    }

    fn text(&self, method: &str, path: &str, headers: &str, body: &str) -> String {
        let socket = TcpStream::connect_timeout(&self.at, PATIENCE).expect("the listener");
        socket.set_read_timeout(Some(PATIENCE)).expect("a live socket");
        let request = format!(
            "{method} {}{path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            self.base,
            self.at,
            body.len()
        );
        match &self.tls {
            None => exchange(socket, &request),
            Some(config) => {
                let name = ServerName::from(self.at.ip());
                let session = ClientConnection::new(config.clone(), name).expect("a session");
                exchange(StreamOwned::new(session, socket), &request)
            }
        }
    }
}

/// Text in base64, as HTTP Basic has it.
pub fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

/// What a JSON Web Token claims.
pub fn token_claims(token: &str) -> Value {
    let claims = token.split('.').nth(1).unwrap_or_default();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap_or_default()).unwrap_or_default()
}

/// Sends and reads to the end of the connection.
fn exchange(mut stream: impl Read + Write, request: &str) -> String {
    stream.write_all(request.as_bytes()).expect("sent");
    let mut bytes = Vec::new();
    // Some end a connection without the TLS alert that announces it.
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}
