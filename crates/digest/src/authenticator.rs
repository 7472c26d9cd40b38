//! The server's side in one piece.

use crate::challenge::write_challenge;
use crate::verify::{verify, verify_unknown};
use crate::{Algorithm, Credentials, Freshness, Ha1, Nonce, Nonces, Replays, Use};

/// The request the credentials came in.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// Its method.
    pub method: &'a [u8],
    /// The realm we challenge for.
    pub realm: &'a [u8],
    /// A hash over what identifies the request (topmost branch, Call-ID, CSeq): a retransmission has the
    /// same and is answered the same.
    pub fingerprint: u64,
}

/// What the credentials turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Right: go on.
    Accepted,
    /// The secret is right, the nonce old, used or not ours: challenge again with `stale=true`. Never
    /// counts as a failure.
    Stale,
    /// Wrong response, wrong realm or no such user: challenge again without `stale`, and count it.
    Wrong,
}

/// Nonces and replay table together: what a registrar or proxy asks.
#[derive(Default)]
pub struct Authenticator {
    nonces: Nonces,
    replays: Replays,
}

impl Authenticator {
    /// Default lifetime of nonces (300 s) and replay table (65,536 nonces).
    pub fn new() -> Authenticator {
        Authenticator::default()
    }

    /// With nonces and replay table of the caller's.
    pub fn with(nonces: Nonces, replays: Replays) -> Authenticator {
        Authenticator { nonces, replays }
    }

    /// A nonce for a response that carries several challenges: pass it to [`write_challenge`] for each
    /// algorithm (RFC 8760 §2.3), each in a header of its own.
    pub fn nonce(&self, realm: &str, now: u64) -> Nonce {
        self.nonces.issue(realm.as_bytes(), now)
    }

    /// Appends one challenge with a fresh nonce.
    pub fn challenge(&self, realm: &str, algorithm: Algorithm, stale: bool, now: u64, out: &mut Vec<u8>) {
        write_challenge(realm, self.nonce(realm, now).as_bytes(), algorithm, stale, out);
    }

    /// Checks credentials. `ha1` is `None` for a user who does not exist; that takes as long.
    ///
    /// Without qop there is no count: such a nonce serves one request.
    pub fn check(
        &self,
        credentials: &Credentials<'_>,
        request: &Presented<'_>,
        ha1: Option<&Ha1>,
        now: u64,
    ) -> Verdict {
        let right = match ha1 {
            Some(ha1) => verify(credentials, request.method, ha1),
            None => verify_unknown(credentials, request.method),
        };
        if !right || credentials.realm.as_ref() != request.realm {
            return Verdict::Wrong;
        }
        let Freshness::Fresh(nonce) = self.nonces.check(credentials.nonce, request.realm, now) else {
            return Verdict::Stale;
        };
        let count = if credentials.qop { credentials.nc.unwrap_or(1) } else { 1 };
        match self.replays.enter(nonce, count, request.fingerprint) {
            Use::First | Use::Again => Verdict::Accepted,
            Use::Replayed => Verdict::Stale,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Answer, answer};

    const NOW: u64 = 1_700_000_000_000;

    fn header(server: &Authenticator, password: &str, nc: u32) -> Vec<u8> {
        let mut challenge = Vec::new();
        server.challenge("r", Algorithm::Md5, false, NOW, &mut challenge);
        let with = Answer { username: "u", password, method: b"REGISTER", uri: b"sip:r", cnonce: "c", nc };
        answer(&[&challenge], &with).unwrap().value
    }

    #[test]
    fn a_replay_is_stale_and_a_retransmission_is_accepted() {
        let server = Authenticator::new();
        let ha1 = Ha1::new(Algorithm::Md5, b"u", b"r", b"p");
        let value = header(&server, "p", 1);
        let credentials = Credentials::parse(&value).unwrap().unwrap();
        let ask = |fingerprint, now| {
            let request = Presented { method: b"REGISTER", realm: b"r", fingerprint };
            server.check(&credentials, &request, Some(&ha1), now)
        };
        assert_eq!(ask(1, NOW), Verdict::Accepted);
        assert_eq!(ask(1, NOW), Verdict::Accepted);
        assert_eq!(ask(2, NOW), Verdict::Stale);
        assert_eq!(ask(3, NOW + 400_000), Verdict::Stale);
    }

    #[test]
    fn wrong_password_unknown_user_other_realm_and_foreign_nonce() {
        let server = Authenticator::new();
        let ha1 = Ha1::new(Algorithm::Md5, b"u", b"r", b"p");
        let check = |value: &[u8], realm: &[u8], ha1: Option<&Ha1>| {
            let credentials = Credentials::parse(value).unwrap().unwrap();
            server.check(&credentials, &Presented { method: b"REGISTER", realm, fingerprint: 1 }, ha1, NOW)
        };
        assert_eq!(check(&header(&server, "x", 1), b"r", Some(&ha1)), Verdict::Wrong);
        assert_eq!(check(&header(&server, "p", 1), b"r", None), Verdict::Wrong);
        assert_eq!(check(&header(&server, "p", 1), b"q", Some(&ha1)), Verdict::Wrong);
        assert_eq!(check(&header(&Authenticator::new(), "p", 1), b"r", Some(&ha1)), Verdict::Stale);
    }
}
