//! Who asks: challenges, the digests that answer them, and the brake on guessing.

use smallvec::SmallVec;
use trunkline_digest::{
    Ban, Bindings, Credentials as Digest, Guess, Presented, Standing, verify_unknown, write_challenge,
};
use trunkline_model::{Credentials, DigestAlgorithm};
use trunkline_reasons::Reason;
use trunkline_routing::{Decision, Registrant, Verdict};
use trunkline_sip::{HeaderName, Message, Method, Via};

use crate::edge::Edge;
use crate::inbound::Inbound;
use crate::mail::Io;
use crate::own_answer::OwnAnswer;
use crate::shared::Shared;

/// What a digest is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand<'a> {
    /// The realm it is challenged for.
    pub(crate) realm: &'a [u8],
    /// The algorithms it may have.
    pub(crate) algorithms: &'a [DigestAlgorithm],
    /// The AOR that is to be registered, of a REGISTER.
    pub(crate) aor: &'a [u8],
    /// Does the request begin something? Then another header than the Request-URI may say who is called.
    pub(crate) begins: bool,
}

impl Edge {
    /// Judges the digest that a request carries for a realm by one of the algorithms that are offered. `credentials` are
    /// those of the user the request must come from; without any it is never accepted.
    ///
    /// The secret is looked at only if the nonce is ours, fresh and was sent to the address that the request came from.
    /// So a wrong digest from a forged address counts against nobody, and no guess goes uncounted. A digest of another
    /// user is compared with no secret, so it is no guess.
    pub(crate) fn judge(
        &self,
        io: &Io<'_>,
        inbound: &Inbound<'_>,
        credentials: Option<&Credentials>,
        demand: &Demand<'_>,
    ) -> Verdict {
        self.judge_as(io, inbound, credentials, None, demand)
    }

    /// The same; with whose credentials they are: others' guesses ban it less where it is registered.
    pub(crate) fn judge_as(
        &self,
        io: &Io<'_>,
        inbound: &Inbound<'_>,
        credentials: Option<&Credentials>,
        owner: Option<Registrant<'_>>,
        demand: &Demand<'_>,
    ) -> Verdict {
        let m = &inbound.message;
        let fits = |digest: &Digest<'_>| {
            digest.realm.as_ref() == demand.realm
                && offered(inbound, demand.algorithms).any(|algorithm| algorithm == digest.algorithm)
                && !digest.answer_nothing()
        };
        let digests = m
            .header_lines(HeaderName::ProxyAuthorization)
            .chain(m.header_lines(HeaderName::Authorization))
            .filter_map(|h| Digest::parse(h.value.of(m.bytes)).ok().flatten())
            .filter(fits);
        let (now, from, shared) = (io.unix_ms(), inbound.flow.remote, &self.shared);
        // The first whose nonce is good, and no other: a request is one guess. One of an old nonce may stand beside it.
        let (mut any, mut good) = (false, None);
        for digest in digests {
            any = true;
            if let Some(nonce) = shared.authenticator.fresh(&digest, demand.realm, from.ip(), now) {
                good = Some((digest, nonce));
                break;
            }
        }
        let Some((digest, nonce)) = good else {
            return if any { Verdict::Stale } else { Verdict::Missing };
        };
        // The nonce was sent there.
        self.proven.prove(from.ip(), now);
        // Agents and peers are asked with whose credentials they are.
        let carrier = credentials.is_some() && owner.is_none();
        if !self.names_target(inbound, digest.uri, demand, carrier) {
            return Verdict::OtherTarget;
        }
        let Some(known) = credentials.filter(|c| c.username.as_bytes() == digest.username.as_ref()) else {
            shared.ha1.miss(digest.algorithm, &digest.username, demand.realm);
            verify_unknown(&digest, m.method_name());
            self.counters.auth_failed.add();
            return Verdict::Wrong;
        };
        let (user, secret) = (known.username.as_bytes(), known.password.as_bytes());
        let origin = origin(m);
        let guess = Guess { from, origin: &origin, user, secret };
        let here = Here { shared, inbound, relayed: !origin.is_empty(), demand, owner, now };
        if let Standing::Banned { ban, told } = shared.guesses.standing(&guess, &here, now) {
            self.counters.throttled.add();
            if !told {
                report(&guess, &known.username, demand.realm, ban);
            }
            verify_unknown(&digest, m.method_name());
            return Verdict::Banned;
        }
        let ha1 = shared.ha1.get(digest.algorithm, user, demand.realm, secret);
        let fingerprint = shared.authenticator.fingerprint(from, m.bytes);
        let request = Presented { method: m.method_name(), fingerprint };
        match shared.authenticator.check(&digest, nonce, &request, Some(&ha1), now) {
            trunkline_digest::Verdict::Accepted => {
                shared.guesses.right(&guess, now);
                Verdict::Accepted
            }
            trunkline_digest::Verdict::Replayed => Verdict::Stale,
            trunkline_digest::Verdict::Wrong => {
                self.counters.auth_failed.add();
                shared.guesses.wrong(&guess, now);
                Verdict::Wrong
            }
        }
    }

    /// Sends one challenge per algorithm, all with the same nonce (RFC 8760 §2.3).
    pub(crate) fn challenge(
        &mut self,
        io: &mut Io<'_>,
        inbound: &Inbound<'_>,
        decision: &Decision,
        (proxy, stale): (bool, bool),
        reason: Reason,
    ) {
        if inbound.method == Method::Ack {
            return;
        }
        self.counters.challenged.add();
        let Ok(realm) = std::str::from_utf8(&decision.realm) else {
            return self.refuse(io, inbound, Reason::AuthRealm);
        };
        let nonce = self.shared.authenticator.nonce(&decision.realm, inbound.back.remote.ip(), io.unix_ms());
        let (code, name) =
            if proxy { (407, HeaderName::ProxyAuthenticate) } else { (401, HeaderName::WwwAuthenticate) };
        let answer = OwnAnswer { code, ..reason.into() };
        self.reply_with(io, inbound, &answer, |out| {
            for algorithm in offered(inbound, &decision.algorithms) {
                out.extend_from_slice(name.name().as_bytes());
                out.extend_from_slice(b": ");
                write_challenge(realm, nonce.as_bytes(), algorithm, stale, out);
                out.extend_from_slice(b"\r\n");
            }
        });
    }
}

/// The algorithms that this request may be answered with, and a digest have, in the order of a challenge.
fn offered<'p>(
    inbound: &Inbound<'_>,
    algorithms: &'p [DigestAlgorithm],
) -> impl Iterator<Item = trunkline_digest::Algorithm> + 'p {
    let md5_alone = algorithms.contains(&DigestAlgorithm::Md5) && knows_md5_alone(inbound);
    let fits = move |a: &&DigestAlgorithm| !md5_alone || **a == DigestAlgorithm::Md5;
    algorithms.iter().filter(fits).map(|algorithm| match algorithm {
        DigestAlgorithm::Md5 => trunkline_digest::Algorithm::Md5,
        DigestAlgorithm::Sha256 => trunkline_digest::Algorithm::Sha256,
        DigestAlgorithm::Sha512_256 => trunkline_digest::Algorithm::Sha512_256,
        DigestAlgorithm::Md5Session => trunkline_digest::Algorithm::Md5Session,
        DigestAlgorithm::Sha256Session => trunkline_digest::Algorithm::Sha256Session,
        DigestAlgorithm::Sha512_256Session => trunkline_digest::Algorithm::Sha512_256Session,
    })
}

/// Does a second challenge, for SHA-256, keep this phone from answering the first? Browser phones know MD5 alone, and
/// JsSIP looks at the last challenge only; baresip before 2.0 gives up when one of them is not for MD5.
fn knows_md5_alone(inbound: &Inbound<'_>) -> bool {
    let agent = inbound.message.header(HeaderName::UserAgent).unwrap_or_default();
    inbound.flow.transport.is_websocket()
        || [&b"baresip v0."[..], b"baresip v1."].iter().any(|old| agent.starts_with(old))
}

/// By which hops the request came to a proxy that sent it to us: of each Via below the topmost transport and sent-by, which its
/// sender wrote, and `received` and `rport`, which the hop behind it added (RFC 3261 §18.2.1, RFC 3581 §4). So where its client
/// is stands there by the proxy's own word, whatever the client writes. Empty where nobody relayed it.
fn origin(m: &Message<'_>) -> SmallVec<[u8; 128]> {
    let mut origin = SmallVec::new();
    for element in m.list(HeaderName::Via).skip(1).flatten() {
        match Via::parse(element) {
            Ok(via) => {
                for part in [via.transport, via.host, via.received.unwrap_or_default()] {
                    origin.extend_from_slice(part);
                    origin.push(b' ');
                }
                for port in [via.port, via.rport.flatten()] {
                    origin.extend_from_slice(&port.unwrap_or(0).to_be_bytes());
                }
            }
            Err(_) => origin.extend_from_slice(element),
        }
        origin.push(b',');
    }
    origin
}

/// Who is registered where a digest came from.
struct Here<'a> {
    shared: &'a Shared,
    inbound: &'a Inbound<'a>,
    relayed: bool,
    demand: &'a Demand<'a>,
    owner: Option<Registrant<'a>>,
    now: u64,
}

impl Bindings for Here<'_> {
    fn is_registered_here(&self) -> bool {
        if self.relayed {
            // All who come through the proxy come from there.
            return false;
        }
        let (Some(owner), flow) = (self.owner, self.inbound.flow) else { return false };
        let registrant = self.shared.registrant(owner.kind, owner.reference);
        let registered = |aor: &[u8]| {
            let mut here = false;
            self.shared.location.visit(aor, self.now, |b| {
                // By whom counts, and not whose address of record it is: else somebody guesses at the secret of a user
                // from where another is registered.
                here |= b.proven
                    && b.registrant == registrant
                    && b.flow.transport == flow.transport
                    && b.flow.remote == flow.remote;
            });
            here
        };
        let of_user = || [b"sip:", owner.user.as_bytes(), b"@", self.demand.realm].concat();
        // A REGISTER's own address of record, else the owner's.
        self.inbound.method == Method::Register && registered(self.demand.aor)
            || owner.aor.map_or_else(|| registered(&of_user()), |aor| registered(aor.as_bytes()))
    }

    fn has_registrations(&self) -> bool {
        self.shared.location.has_source(self.inbound.flow.remote.ip(), self.now)
    }
}

/// Logs a ban once: whose digests, from where, for how long, and what an operator can do.
fn report(guess: &Guess<'_>, user: &str, domain: &[u8], ban: Ban) {
    let (reason, checked_every) = match ban {
        Ban::Flow => ("too many wrong digests of this user from this address and port", "20 s"),
        Ban::User => ("too many wrong digests of this user from this address", "20 s"),
        Ban::Source => ("too many wrong digests from this address, where nobody is registered", "5 s"),
    };
    let domain = String::from_utf8_lossy(domain);
    let ends = "with `trunkline unban`, a new password of the account, or a restart";
    let remedy = "correct the password in the phone, it is accepted when it is checked next; refuse an address that is unknown";
    tracing::warn!(
        source = %guess.from, user, %domain, reason, checked_every, ends, remedy,
        "digests are refused for a while"
    );
}
