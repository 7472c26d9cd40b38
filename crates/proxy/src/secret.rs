//! The secret of this exchange and what it signs.

use std::hash::Hasher;
use std::net::{IpAddr, SocketAddr};

use siphasher::sip::SipHasher24;
use trunkline_sip::{HeaderName, Message, Transport};

use crate::PartyKind;

/// A secret that outlives the process: dialogs begun before a restart are recognised after it.
#[derive(Clone)]
pub struct Secret {
    keys: (u64, u64),
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// SipHash-2-4 over parts. They are held back, since the function takes much longer over many short parts than over a
/// few long ones.
pub(crate) struct Signing {
    hash: SipHasher24,
    held: [u8; Signing::HELD],
    length: usize,
}

impl Signing {
    const HELD: usize = 256;

    pub(crate) fn put(&mut self, part: &[u8]) {
        if let Some(place) = self.held.get_mut(self.length..self.length + part.len()) {
            place.copy_from_slice(part);
            self.length += part.len();
        } else {
            self.hash.write(self.held.get(..self.length).unwrap_or_default());
            self.length = 0;
            self.hash.write(part);
        }
    }

    pub(crate) fn put_u8(&mut self, byte: u8) {
        self.put(&[byte]);
    }

    pub(crate) fn finish(mut self) -> u64 {
        self.hash.write(self.held.get(..self.length).unwrap_or_default());
        self.hash.finish()
    }
}

impl Secret {
    /// From 16 random bytes.
    pub fn new(bytes: [u8; 16]) -> Secret {
        let n = u128::from_le_bytes(bytes);
        Secret { keys: (n as u64, (n >> 64) as u64) }
    }

    /// A keyed function of its own for each use.
    pub(crate) fn signing(&self, domain: u8) -> Signing {
        let mut signing = Signing {
            hash: SipHasher24::new_with_keys(self.keys.0, self.keys.1),
            held: [0; Signing::HELD],
            length: 0,
        };
        signing.put_u8(domain);
        signing
    }

    fn mac<'a>(&self, domain: u8, parts: impl IntoIterator<Item = &'a [u8]>) -> u64 {
        let mut signing = self.signing(domain);
        for part in parts {
            signing.put(part);
            signing.put_u8(0);
        }
        signing.finish()
    }

    /// The MAC in our branches, over what decides where a request goes: RFC 3261 §16.6 step 8 without the
    /// topmost Via, which differs on every turn of a loop (RFC 5393 §4.2). The same value seen again in one
    /// of our Vias is a loop; another value is a spiral.
    pub fn loop_mac(&self, request: &Message<'_>) -> u64 {
        let cseq = request.cseq().to_le_bytes();
        let header = |name| request.header(name).unwrap_or_default();
        self.mac(
            1,
            [
                request.to_tag(),
                request.from_tag(),
                request.call_id(),
                request.uri_text(),
                &cseq,
                header(HeaderName::ProxyRequire),
                header(HeaderName::ProxyAuthorization),
                header(HeaderName::Route),
            ],
        )
    }

    /// As [`Secret::loop_mac`], but the same for an INVITE, its CANCEL and the ACK to its failure, which without
    /// transactions must have one branch (RFC 3261 §16.11): they differ in To tag and credentials.
    pub fn stateless_loop_mac(&self, request: &Message<'_>) -> u64 {
        let cseq = request.cseq().to_le_bytes();
        let route = request.header(HeaderName::Route).unwrap_or_default();
        self.mac(8, [request.from_tag(), request.call_id(), request.uri_text(), &cseq, route])
    }

    /// What shows that the name of a branch is ours.
    pub(crate) fn branch_seal(&self, head: &[u8; 8], loop_mac: &[u8; 8]) -> u32 {
        self.mac(13, [&head[..], loop_mac]) as u32
    }

    /// The same of a branch without a transaction.
    pub(crate) fn stateless_seal(&self, letter: u8, body: &[u8; 24]) -> u32 {
        self.mac(14, [&[letter][..], body]) as u32
    }

    /// The MAC of the stateless branch: equal for a request and its retransmissions (RFC 3261 §16.11), and for where
    /// its responses go. Inside a dialog (`tagged`) the To tag counts, which the response has to repeat.
    pub fn stateless_mac(
        &self,
        via_branch: &[u8],
        back: (IpAddr, u16),
        message: &Message<'_>,
        tagged: bool,
    ) -> u64 {
        let cseq = message.cseq().to_le_bytes();
        let ip = match back.0 {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            IpAddr::V6(ip) => ip.octets(),
        };
        let port = back.1.to_be_bytes();
        let to_tag = if tagged { message.to_tag() } else { b"" };
        self.mac(2, [via_branch, message.call_id(), message.from_tag(), to_tag, &cseq, &ip, &port])
    }

    /// A short name of an agent, peer or trunk, by its reference, that only this exchange can make. Never 0.
    pub fn party(&self, reference: &[u8]) -> u32 {
        (self.mac(9, [reference]) as u32).max(1)
    }

    /// Who registered a binding, as a number that only this exchange can make. Never 0.
    pub fn registrant(&self, kind: PartyKind, reference: &[u8]) -> u32 {
        (self.mac(15, [&[kind as u8][..], reference]) as u32).max(1)
    }

    /// The host a party's own packets come from, whatever their port. Never 0.
    pub fn host(&self, remote: IpAddr) -> u32 {
        let ip = match remote.to_canonical() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            IpAddr::V6(ip) => ip.octets(),
        };
        (self.mac(12, [&ip[..]]) as u32).max(1)
    }

    /// Where a party's own packets come from, as a number that only this exchange can make. Never 0.
    pub fn source(&self, transport: Transport, remote: SocketAddr) -> u32 {
        let ip = match remote.ip().to_canonical() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            IpAddr::V6(ip) => ip.octets(),
        };
        (self.mac(11, [&[transport as u8][..], &ip, &remote.port().to_be_bytes()]) as u32).max(1)
    }

    /// A To tag for answers given without a transaction: a repeated request gets the same one.
    pub fn tag(&self, via_branch: &[u8], call_id: &[u8], from_tag: &[u8]) -> u64 {
        self.mac(4, [via_branch, call_id, from_tag])
    }

    /// The MAC of a sealed text.
    pub(crate) fn sealed_mac(&self, text: &[u8]) -> u64 {
        self.mac(5, [text])
    }

    /// One block of what sealed texts are crossed with.
    pub(crate) fn key_stream(&self, nonce: [u8; 8], block: u64) -> u64 {
        self.mac(6, [&nonce[..], &block.to_be_bytes()])
    }

    /// Names a phone's registration: the same as long as it keeps its Call-ID (RFC 5627 §5.4).
    pub fn registration(&self, call_id: &[u8], instance: &[u8]) -> u64 {
        self.mac(7, [call_id, instance])
    }
}
