//! What those who connect to us are shown, for listeners of other protocols too.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::ServerConfig;

/// The certificates in force for those who connect to us; changed files change it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ServerTls(Arc<Mutex<Arc<ServerConfig>>>);

impl ServerTls {
    pub(super) fn new(config: Arc<ServerConfig>) -> ServerTls {
        ServerTls(Arc::new(Mutex::new(config)))
    }

    pub(super) fn change(&self, config: Arc<ServerConfig>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = config;
    }

    /// For a connection that begins now.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same for a protocol that is agreed upon during the handshake (RFC 7301), such as `h2`.
    pub fn speaking(&self, protocol: &[u8]) -> Arc<ServerConfig> {
        let mut config = ServerConfig::clone(&self.current());
        config.alpn_protocols = vec![protocol.to_vec()];
        Arc::new(config)
    }
}
