//! What makes two requests the same transaction.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};
use trunkline_sip::{Message, Method, Via};

/// A server transaction's identity, RFC 3261 §17.2.3, as a keyed 128-bit hash: nobody without the key can
/// make two requests fall together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransactionKey(pub u128);

impl TransactionKey {
    /// 64 of its bits, for a table.
    pub fn short(self) -> u64 {
        self.0 as u64
    }
}

/// Makes [`TransactionKey`]s with the secret of this process.
#[derive(Clone, Debug)]
pub struct KeyMaker {
    keys: (u64, u64),
}

impl KeyMaker {
    /// `secret` is random, made at start.
    pub fn new(secret: (u64, u64)) -> Self {
        KeyMaker { keys: secret }
    }

    /// A number that all requests of a dialog share, and all that began with it: of the Call-ID alone.
    pub fn dialog(&self, request: &Message<'_>) -> u64 {
        let mut h = SipHasher13::new_with_keys(self.keys.0, self.keys.1);
        h.write(request.call_id());
        h.finish()
    }

    /// The key of `request`, taken as a request of `method`: an ACK and a CANCEL find their INVITE that way.
    ///
    /// With the magic cookie branch, sent-by and method decide, and Call-ID and CSeq number, which are equal for
    /// all that belongs to one transaction: a client whose branches are not as unique as it believes is served
    /// all the same. Without the cookie the rules of RFC 2543 decide (From tag and Request-URI besides; of the To
    /// tag nothing, since an ACK brings one that the INVITE had not).
    pub fn key(&self, request: &Message<'_>, via: &Via<'_>, method: Method) -> TransactionKey {
        let mut h = SipHasher13::new_with_keys(self.keys.0, self.keys.1);
        let mut part = |bytes: &[u8]| {
            h.write(bytes);
            h.write_u8(0);
        };
        part(via.branch);
        part(via.host);
        part(request.call_id());
        if !via.has_cookie() {
            part(request.from_tag());
            part(request.uri_text());
        }
        h.write_u32(request.cseq());
        h.write_u16(via.port.unwrap_or(0));
        match method {
            Method::Invite | Method::Ack => h.write_u8(Method::Invite as u8),
            Method::Other => h.write(request.method_name()),
            known => h.write_u8(known as u8),
        }
        TransactionKey(h.finish128().as_u128())
    }
}
