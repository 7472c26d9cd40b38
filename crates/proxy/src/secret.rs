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

    pub(crate) fn finish(self) -> u64 {
        self.hash.hash(self.held.get(..self.length).unwrap_or_default())
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

    /// A user name and a secret as a number that only this exchange can make. Never 0.
    pub fn proof(&self, username: &str, secret: &str) -> u32 {
        (self.mac(17, [username.as_bytes(), secret.as_bytes()]) as u32).max(1)
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

    #[test]
    fn what_is_signed_does_not_depend_on_how_it_is_cut() {
        let secret = Secret::new([7; 16]);
        let text: Vec<u8> = (0..600).map(|n| (n * 7 % 251) as u8).collect();
        let whole = |text: &[u8]| {
            let mut signing = secret.signing(1);
            signing.put(text);
            signing.finish()
        };
        for cut in [0, 1, 190, 191, 192, 193, 400, 600] {
            let (a, b) = text.split_at(cut);
            let mut signing = secret.signing(1);
            signing.put(a);
            b.iter().for_each(|byte| signing.put_u8(*byte));
            assert_eq!(signing.finish(), whole(&text), "{cut}");
            let mut signing = secret.signing(1);
            signing.put(a);
            assert_eq!(signing.so_far(), whole(a));
            signing.put_lower(b);
            assert_eq!(signing.finish(), whole(&[a, &b.to_ascii_lowercase()].concat()), "{cut}");
        }
        assert_ne!(whole(&text), whole(&text[1..]));
    }

    #[test]
    fn names_of_parties_and_places_are_this_exchange_s_and_none_is_anothers() {
        let (ours, other) = (Secret::new([7; 16]), Secret::new([8; 16]));
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let at = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let all = |secret: &Secret| {
            vec![
                secret.party(b"agent-01"),
                secret.party(b"agent-02"),
                secret.registrant(PartyKind::Agent, 1),
                secret.registrant(PartyKind::Agent, 2),
                secret.registrant(PartyKind::Peer, 1),
                secret.host(ip("192.0.2.1")),
                secret.host(ip("192.0.2.2")),
                secret.host(ip("2001:db8::1")),
                secret.source(Transport::Udp, at("192.0.2.1:5060")),
                secret.source(Transport::Tcp, at("192.0.2.1:5060")),
                secret.source(Transport::Udp, at("192.0.2.1:5061")),
                secret.source(Transport::Udp, at("[2001:db8::1]:5060")),
            ]
        };
        let mut names = [all(&ours), all(&other)].concat();
        assert_eq!(all(&ours), all(&ours));
        names.sort_unstable();
        names.dedup();
        assert_eq!((names.len(), names.contains(&0)), (24, false));
        let mapped = (ip("::ffff:192.0.2.1"), at("[::ffff:192.0.2.1]:5060"));
        assert_eq!(ours.host(mapped.0), ours.host(ip("192.0.2.1")), "one address in two forms");
        assert_eq!(ours.source(Transport::Udp, mapped.1), ours.source(Transport::Udp, at("192.0.2.1:5060")));
        let tag = ours.tag(b"z9hG4bKa", b"c", b"1");
        assert_eq!(tag, ours.tag(b"Z9HG4BKA", b"c", b"1"), "a token has no case");
        let others =
            [(&b"z9hG4bKb"[..], &b"c"[..], &b"1"[..]), (b"z9hG4bKa", b"d", b"1"), (b"z9hG4bKa", b"c", b"2")];
        assert!(others.into_iter().all(|(branch, call_id, from)| ours.tag(branch, call_id, from) != tag));
        assert_ne!(ours.registration(b"c", b"i"), ours.registration(b"d", b"i"));
        assert_ne!(ours.registration(b"c", b"i"), ours.registration(b"c", b"j"));
    }

    #[test]
    fn a_request_without_transaction_has_one_mac_with_its_repetitions_alone() {
        let secret = Secret::new([7; 16]);
        let text = "BYE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\n\
                    Call-ID: c\r\nCSeq: 7 BYE\r\n\r\n";
        let mac = |text: &str, branch: &[u8], back: (&str, u16), tagged: bool, method: &[u8]| {
            let mut index = Index::default();
            index.parse(text.as_bytes(), &Limits::default()).expect("a request");
            let back = (back.0.parse().expect("an address"), back.1);
            secret.stateless_mac(branch, back, &Message::new(text.as_bytes(), &index), (tagged, method))
        };
        let (branch, back) = (&b"z9hG4bK1"[..], ("192.0.2.1", 5060));
        let one = mac(text, branch, back, true, b"BYE");
        assert_eq!(one, mac(text, b"Z9HG4BK1", back, true, b"BYE"));
        let of = |part: &str, other: &str| mac(&text.replace(part, other), branch, back, true, b"BYE");
        let others = [
            mac(text, b"z9hG4bK2", back, true, b"BYE"),
            mac(text, branch, ("192.0.2.2", 5060), true, b"BYE"),
            mac(text, branch, ("2001:db8::1", 5060), true, b"BYE"),
            mac(text, branch, ("192.0.2.1", 5061), true, b"BYE"),
            mac(text, branch, back, false, b"BYE"),
            mac(text, branch, back, true, b"INFO"),
            of("Call-ID: c", "Call-ID: d"),
            of("tag=1", "tag=3"),
            of("tag=2", "tag=3"),
            of("CSeq: 7", "CSeq: 8"),
        ];
        assert!(!others.contains(&one));
        let untagged = |text: &str| mac(text, branch, back, false, b"BYE");
        assert_eq!(untagged(text), untagged(&text.replace("tag=2", "tag=3")), "outside a dialog it has none");
    }
}
