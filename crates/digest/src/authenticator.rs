//! The server's side: challenge and check.

use std::hash::{Hash as _, Hasher};
use std::net::{IpAddr, SocketAddr};

use siphasher::sip::SipHasher13;

use crate::challenge::write_challenge;
use crate::nonce::random;
use crate::verify::{verify, verify_unknown};
use crate::{Algorithm, Credentials, Freshness, Ha1, Nonce, NonceId, Nonces, Replays, Use};

/// The request the credentials came in.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// Its method.
    pub method: &'a [u8],
    /// What identifies the request, [`Authenticator::fingerprint`]: a retransmission has the same and is answered the
    /// same.
    pub fingerprint: u64,
}

/// The result for the credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Right: go on.
    Accepted,
    /// Right, but this use of the nonce was seen before: challenge again with `stale=true`.
    Replayed,
    /// Wrong response or no such user: challenge again without `stale`, and count it where there is such a user.
    Wrong,
}

/// Nonces and replay table together: what a registrar or proxy asks.
pub struct Authenticator {
    nonces: Nonces,
    replays: Replays,
    key: [u8; 16],
}

impl Authenticator {
    /// Default lifetime of nonces (300 s) and replay table (65,536 nonces).
    pub fn new() -> Authenticator {
        Authenticator::with(Nonces::default(), Replays::default())
    }

    /// With nonces and replay table of the caller's.
    pub fn with(nonces: Nonces, replays: Replays) -> Authenticator {
        Authenticator { nonces, replays, key: random() }
    }

    /// A nonce for a response to this source that carries several challenges: pass it to [`write_challenge`] for each
    /// algorithm (RFC 8760 §2.3), each in a header of its own.
    pub fn nonce(&self, realm: &[u8], source: IpAddr, now: u64) -> Nonce {
        self.nonces.issue(realm, source, now)
    }

    /// Appends one challenge to this source with a fresh nonce.
    pub fn challenge(&self, realm: &str, source: IpAddr, algorithm: Algorithm, now: u64, out: &mut Vec<u8>) {
        let nonce = self.nonce(realm.as_bytes(), source, now);
        write_challenge(realm, nonce.as_bytes(), algorithm, false, out);
    }

    /// The nonce of these credentials, if we sent it to this source for this realm and it is fresh. Without one the
    /// secret must not be looked at, so that nobody guesses uncounted: challenge again with `stale=true`.
    pub fn fresh(
        &self,
        credentials: &Credentials<'_>,
        realm: &[u8],
        source: IpAddr,
        now: u64,
    ) -> Option<NonceId> {
        if credentials.realm.as_ref() != realm {
            return None;
        }
        match self.nonces.check(credentials.nonce, realm, source, now) {
            Freshness::Fresh(nonce) => Some(nonce),
            Freshness::Stale | Freshness::Forged => None,
        }
    }

    /// A hash over all bytes of a request and where it came from: only a repetition has the same.
    pub fn fingerprint(&self, from: SocketAddr, request: &[u8]) -> u64 {
        let mut hash = SipHasher13::new_with_key(&self.key);
        from.hash(&mut hash);
        hash.write(request);
        hash.finish()
    }

    /// Checks credentials whose nonce is [fresh](Authenticator::fresh). `ha1` is `None` for a user who does not exist;
    /// that takes as long.
    ///
    /// Without qop there is no count: such a nonce serves one request.
    pub fn check(
        &self,
        credentials: &Credentials<'_>,
        nonce: NonceId,
        request: &Presented<'_>,
        ha1: Option<&Ha1>,
        now: u64,
    ) -> Verdict {
        let right = match ha1 {
            Some(ha1) => verify(credentials, request.method, ha1),
            None => verify_unknown(credentials, request.method),
        };
        if !right {
            return Verdict::Wrong;
        }
        let count = if credentials.qop { credentials.nc.unwrap_or(1) } else { 1 };
        match self.replays.enter(nonce, count, request.fingerprint, now) {
            Use::First | Use::Again => Verdict::Accepted,
            Use::Replayed => Verdict::Replayed,
        }
    }
}

impl Default for Authenticator {
    fn default() -> Self {
        Authenticator::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, answer};

    const NOW: u64 = 1_700_000_000_000;
    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn header(server: &Authenticator, password: &str, nc: u32) -> Vec<u8> {
        let mut challenge = Vec::new();
        server.challenge("r", HERE, Algorithm::Md5, NOW, &mut challenge);
        let with = Answer { username: "u", password, method: b"REGISTER", uri: b"sip:r", cnonce: "c", nc };
        answer(&[&challenge], &with).unwrap().value
    }

    /// `None`: the nonce is not good here.
    fn ask(
        server: &Authenticator,
        value: &[u8],
        (realm, source, now): (&[u8], IpAddr, u64),
        ha1: Option<&Ha1>,
        fingerprint: u64,
    ) -> Option<Verdict> {
        let credentials = Credentials::parse(value).unwrap().unwrap();
        let nonce = server.fresh(&credentials, realm, source, now)?;
        let request = Presented { method: b"REGISTER", fingerprint };
        Some(server.check(&credentials, nonce, &request, ha1, now))
    }

    #[test]
    fn a_replay_is_stale_and_a_retransmission_is_accepted() {
        let server = Authenticator::new();
        let ha1 = Ha1::new(Algorithm::Md5, b"u", b"r", b"p");
        let value = header(&server, "p", 1);
        let ask = |fingerprint, now| ask(&server, &value, (b"r", HERE, now), Some(&ha1), fingerprint);
        assert_eq!(ask(1, NOW), Some(Verdict::Accepted));
        assert_eq!(ask(1, NOW), Some(Verdict::Accepted));
        assert_eq!(ask(2, NOW), Some(Verdict::Replayed));
        assert_eq!(ask(3, NOW + 400_000), None);
    }

    #[test]
    fn another_source_or_another_byte_is_no_repetition() {
        let server = Authenticator::new();
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let first = server.fingerprint(at("192.0.2.1:5060"), b"INVITE");
        assert_eq!(server.fingerprint(at("192.0.2.1:5060"), b"INVITE"), first);
        for (from, request) in [
            ("192.0.2.1:5061", &b"INVITE"[..]),
            ("192.0.2.2:5060", b"INVITE"),
            ("[::1]:5060", b"INVITE"),
            ("192.0.2.1:5060", b"INVITF"),
        ] {
            assert_ne!(server.fingerprint(at(from), request), first, "{from}");
        }
    }

    #[test]
    fn wrong_password_unknown_user_other_realm_foreign_nonce_and_other_source() {
        let server = Authenticator::new();
        let ha1 = Ha1::new(Algorithm::Md5, b"u", b"r", b"p");
        let here = (&b"r"[..], HERE, NOW);
        let check = |value: &[u8], at, ha1: Option<&Ha1>| ask(&server, value, at, ha1, 1);
        assert_eq!(check(&header(&server, "x", 1), here, Some(&ha1)), Some(Verdict::Wrong));
        assert_eq!(check(&header(&server, "p", 1), here, None), Some(Verdict::Wrong));
        assert_eq!(check(&header(&server, "p", 1), (b"q", HERE, NOW), Some(&ha1)), None);
        assert_eq!(check(&header(&Authenticator::new(), "p", 1), here, Some(&ha1)), None);
        let elsewhere = (&b"r"[..], IpAddr::from([192, 0, 2, 2]), NOW);
        assert_eq!(check(&header(&server, "p", 1), elsewhere, Some(&ha1)), None);
    }
}
