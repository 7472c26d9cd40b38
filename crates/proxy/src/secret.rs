//! The secret of this exchange and what it signs.

use std::hash::Hasher;
use std::net::{IpAddr, SocketAddr};

use siphasher::sip::SipHasher24;
use trunkline_sip::{HeaderName, Message, Transport};

use crate::party::PartyKind;

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
    const HELD: usize = 192;

    #[inline]
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

    #[inline]
    pub(crate) fn put_u8(&mut self, byte: u8) {
        match self.held.get_mut(self.length) {
            Some(place) => {
                *place = byte;
                self.length += 1;
            }
            None => self.put(&[byte]),
        }
    }

    /// The part in lower case.
    pub(crate) fn put_lower(&mut self, part: &[u8]) {
        if let Some(place) = self.held.get_mut(self.length..self.length + part.len()) {
            place.copy_from_slice(part);
            place.make_ascii_lowercase();
            self.length += part.len();
        } else {
            part.iter().for_each(|byte| self.put_u8(byte.to_ascii_lowercase()));
        }
    }

    /// The value over what was put so far; more may follow.
    fn so_far(&mut self) -> u64 {
        self.hash.write(self.held.get(..self.length).unwrap_or_default());
        self.length = 0;
        self.hash.finish()
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
    /// of our Vias is a loop. Its upper half is over what stays when the request comes back with another target, see
    /// [`Secret::is_spiral`].
    pub fn loop_mac(&self, request: &Message<'_>) -> u64 {
        let cseq = request.cseq().to_le_bytes();
        let header = |name| request.header(name).unwrap_or_default();
        self.mac_in_halves(
            1,
            [request.from_tag(), request.call_id()],
            [
                request.to_tag(),
                request.uri_text(),
                &cseq,
                header(HeaderName::ProxyRequire),
                header(HeaderName::ProxyAuthorization),
                header(HeaderName::Route),
            ],
        )
    }

    /// Of two loop MACs that differ: is the one in a Via that of the same request with another target (a spiral, RFC 3261 §6)?
    /// Whoever was sent one of our branches can put it into any request, and spirals share a budget.
    pub fn is_spiral(seen: u64, own: u64) -> bool {
        seen >> 32 == own >> 32
    }

    /// A MAC whose upper half is over the first parts alone.
    fn mac_in_halves<'a>(
        &self,
        domain: u8,
        first: impl IntoIterator<Item = &'a [u8]>,
        rest: impl IntoIterator<Item = &'a [u8]>,
    ) -> u64 {
        let mut signing = self.signing(domain);
        let put = |part: &[u8], signing: &mut Signing| {
            signing.put(part);
            signing.put_u8(0);
        };
        first.into_iter().for_each(|part| put(part, &mut signing));
        let upper = signing.so_far();
        rest.into_iter().for_each(|part| put(part, &mut signing));
        upper & 0xffff_ffff_0000_0000 | signing.finish() & 0xffff_ffff
    }

    /// As [`Secret::loop_mac`], but the same for an INVITE, its CANCEL and the ACK to its failure, which without
    /// transactions must have one branch (RFC 3261 §16.11): they differ in To tag and credentials.
    pub fn stateless_loop_mac(&self, request: &Message<'_>) -> u64 {
        let cseq = request.cseq().to_le_bytes();
        let route = request.header(HeaderName::Route).unwrap_or_default();
        let names = [request.from_tag(), request.call_id()];
        self.mac_in_halves(8, names, [request.uri_text(), &cseq, route])
    }

    /// What shows that the name of a branch is ours.
    pub(crate) fn branch_seal(&self, head: &[u8; 8], loop_mac: &[u8; 8]) -> u32 {
        let mut signing = self.signing(13);
        signing.put(head);
        signing.put_u8(0);
        signing.put(loop_mac);
        signing.put_u8(0);
        signing.finish() as u32
    }

    /// The same of a branch without a transaction.
    pub(crate) fn stateless_seal(&self, letter: u8, body: &[u8]) -> u32 {
        let mut signing = self.signing(14);
        signing.put_u8(letter);
        signing.put_u8(0);
        signing.put(body);
        signing.put_u8(0);
        signing.finish() as u32
    }

    /// The MAC of the stateless branch: equal for a request and its retransmissions (RFC 3261 §16.11), and for where
    /// its responses go. Inside a dialog (`tagged`) the To tag counts, which the response has to repeat, as it has to repeat
    /// the method ([`crate::StatelessBranch::method_of`]).
    pub fn stateless_mac(
        &self,
        via_branch: &[u8],
        back: (IpAddr, u16),
        message: &Message<'_>,
        (tagged, method): (bool, &[u8]),
    ) -> u64 {
        let cseq = message.cseq().to_le_bytes();
        let ip = match back.0 {
            IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
            IpAddr::V6(ip) => ip.octets(),
        };
        let port = back.1.to_be_bytes();
        let to_tag = if tagged { message.to_tag() } else { b"" };
        let mut signing = self.signing(2);
        // A token: case counts nothing in it.
        signing.put_lower(via_branch);
        signing.put_u8(0);
        for part in [message.call_id(), message.from_tag(), to_tag, method, &cseq, &ip, &port] {
            signing.put(part);
            signing.put_u8(0);
        }
        signing.finish()
    }

    /// A short name of an agent, peer or trunk, by its reference, that only this exchange can make. Never 0.
    ///
    /// 32 bits are enough, for a name opens nothing by itself:
    /// * It stands only in what has a MAC of its own over the whole (marks, branches), so that nobody can offer a name to try it. References
    ///   are the operator's and the key is secret: nobody can look for two that meet.
    /// * By chance n parties have n²/2³³ pairs of the same name: with 100,000 agents about one pair. Where an agent or trunk is
    ///   looked for by its name, one that two have is nobody's: what they send from a new place inside a dialog is refused, nothing
    ///   more is allowed. A binding is looked for among those of one address of record, so that there the names of a few parties
    ///   meet and not those of all.
    /// * What is left: of such a pair one could use the mark of the other, if it came to see it, as if it were its own. It would
    ///   have to be overheard, of the one agent in 100,000 whom chance has chosen.
    pub fn party(&self, reference: &[u8]) -> u32 {
        (self.mac(9, [reference]) as u32).max(1)
    }

    /// Who registered a binding, as a number that only this exchange can make: of a party as [`Secret::party`] names it.
    /// Never 0.
    pub fn registrant(&self, kind: PartyKind, party: u32) -> u32 {
        (self.mac(15, [&[kind as u8][..], &party.to_be_bytes()]) as u32).max(1)
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
        let mut signing = self.signing(4);
        signing.put_lower(via_branch);
        for part in [call_id, from_tag] {
            signing.put_u8(0);
            signing.put(part);
        }
        signing.put_u8(0);
        signing.finish()
    }

    /// The MAC of a sealed text.
    pub(crate) fn sealed_mac(&self, text: &[u8]) -> u64 {
        self.mac(5, [text])
    }

    /// A number that hardly any other text has: one text sealed with it is always sealed alike.
    pub(crate) fn text_nonce(&self, text: &[u8]) -> u64 {
        self.mac(16, [text])
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

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_sip::{Index, Limits};

    #[test]
    fn only_the_same_request_with_another_target_is_a_spiral() {
        let secret = Secret::new([7; 16]);
        let macs = |uri: &str, from_tag: &str, call_id: &str| {
            let text = format!(
                "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag={from_tag}\r\n\
                 To: <sip:b@h>\r\nCall-ID: {call_id}\r\nCSeq: 1 INVITE\r\n\r\n"
            );
            let mut index = Index::default();
            index.parse(text.as_bytes(), &Limits::default()).expect("a request");
            let m = Message::new(text.as_bytes(), &index);
            [secret.loop_mac(&m), secret.stateless_loop_mac(&m)]
        };
        let first = macs("sip:b@h", "1", "c");
        assert_eq!(first, macs("sip:b@h", "1", "c"));
        for (uri, tag, call_id, spiral) in
            [("sip:c@h", "1", "c", true), ("sip:b@h", "2", "c", false), ("sip:b@h", "1", "d", false)]
        {
            for (seen, own) in first.into_iter().zip(macs(uri, tag, call_id)) {
                assert!(seen != own && Secret::is_spiral(seen, own) == spiral, "{uri} {tag} {call_id}");
            }
        }
    }
}
