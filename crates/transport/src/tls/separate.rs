//! TLS for listeners of other protocols that have a certificate of their own, or ask clients for none.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::ServerConfig;

use super::{Certificates, ClientAuth, TlsError, TlsSettings};

/// How often files are looked at, at most.
const PERIOD: Duration = Duration::from_secs(2);

/// A server's TLS settings, kept in step with their files. Clients are not asked for certificates.
pub struct SeparateTls {
    inner: Mutex<(Certificates, Instant)>,
}

impl SeparateTls {
    /// Loads certificates and keys. A `client_ca` is read, and an error where it cannot be.
    pub fn load(settings: TlsSettings) -> Result<SeparateTls, TlsError> {
        let settings = TlsSettings { client_auth: ClientAuth::Off, ..settings };
        Ok(SeparateTls { inner: Mutex::new((Certificates::load(settings)?, Instant::now())) })
    }

    /// The settings in force. Looks at the files once in a while.
    pub fn current(&self) -> Arc<ServerConfig> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (certificates, looked) = &mut *inner;
        if looked.elapsed() >= PERIOD {
            certificates.refresh();
            *looked = Instant::now();
        }
        certificates.server.current()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_settings_while_nothing_changes() {
        let tls = SeparateTls::load(TlsSettings::default()).expect("a certificate of our own making");
        assert!(Arc::ptr_eq(&tls.current(), &tls.current()));
    }
}
