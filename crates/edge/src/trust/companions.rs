//! Without transactions: the CANCEL and the ACK of an INVITE that was let through.

use std::net::{IpAddr, SocketAddr};

use trunkline_routing::{named_elsewhere, put_called};
use trunkline_sip::Message;
use trunkline_transaction::TransactionKey;

use crate::shared::Shared;

impl Shared {
    /// What an INVITE has in common with its companions (RFC 3261 §9.1, §17.1.1.3): the transaction, the Request-URI, who is
    /// called where another header says so, the caller's tag and where it comes from: the very port, as a neighbour that is rung knows all the rest.
    fn companion_mark(&self, m: &Message<'_>, key: TransactionKey, from: SocketAddr) -> u64 {
        let mut rest = [0; 26];
        let (transaction, source) = rest.split_at_mut(8);
        let (address, port) = source.split_at_mut(16);
        transaction.copy_from_slice(&key.short().to_be_bytes());
        port.copy_from_slice(&from.port().to_be_bytes());
        match from.ip() {
            IpAddr::V4(v4) => address.copy_from_slice(&v4.to_ipv6_mapped().octets()),
            IpAddr::V6(v6) => address.copy_from_slice(&v6.octets()),
        }
        let Some(called) = named_elsewhere(m, &self.config.routing) else {
            return self.secret.tag(m.uri_text(), &rest, m.from_tag());
        };
        // Whoever is called stands elsewhere, so that an INVITE and its companions name the same there, too.
        let mut text = Vec::new();
        put_called(&called, &mut text);
        text.push(b' ');
        text.extend_from_slice(m.uri_text());
        self.secret.tag(&text, &rest, m.from_tag())
    }

    /// An INVITE was let through.
    pub(crate) fn admit(&self, m: &Message<'_>, key: TransactionKey, from: SocketAddr, now: u64) {
        self.admitted.note(self.companion_mark(m, key, from), now);
    }

    /// Was the INVITE of this CANCEL or ACK let through?
    pub(crate) fn is_admitted(
        &self,
        m: &Message<'_>,
        key: TransactionKey,
        from: SocketAddr,
        now: u64,
    ) -> bool {
        self.admitted.has(self.companion_mark(m, key, from), now)
    }
}
