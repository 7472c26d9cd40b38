//! The values of enums in the dialect, for reading and writing.

use trunkline_sip::Transport;

use crate::resource::{Algorithm, Authenticate, DigestAlgorithm, InterDomain, Privacy, Role, ShownAs};

pub(super) const PRIVACY: [(&str, Privacy); 2] = [("None", Privacy::None), ("Private", Privacy::Private)];

pub(super) const ALGORITHM: [(&str, Algorithm); 2] =
    [("round-robin", Algorithm::RoundRobin), ("least-sessions", Algorithm::LeastSessions)];

pub(super) const AUTHENTICATE: [(&str, Authenticate); 4] = [
    ("never", Authenticate::Never),
    ("register", Authenticate::Register),
    ("egress", Authenticate::Egress),
    ("all", Authenticate::All),
];

pub(super) const INTER_DOMAIN: [(&str, InterDomain); 3] = [
    ("authenticated", InterDomain::Authenticated),
    ("isolated", InterDomain::Isolated),
    ("open", InterDomain::Open),
];

pub(super) const DIGEST: [(&str, DigestAlgorithm); DigestAlgorithm::COUNT] = [
    ("MD5", DigestAlgorithm::Md5),
    ("SHA-256", DigestAlgorithm::Sha256),
    ("SHA-512-256", DigestAlgorithm::Sha512_256),
    ("MD5-sess", DigestAlgorithm::Md5Session),
    ("SHA-256-sess", DigestAlgorithm::Sha256Session),
    ("SHA-512-256-sess", DigestAlgorithm::Sha512_256Session),
];

pub(super) const SHOWN_AS: [(&str, ShownAs); 3] =
    [("caller", ShownAs::Caller), ("number", ShownAs::Number), ("account", ShownAs::Account)];

pub(super) const ROLE: [(&str, Role); 3] =
    [("viewer", Role::Viewer), ("operator", Role::Operator), ("admin", Role::Admin)];

pub(super) const TRANSPORT: [(&str, Transport); 5] = [
    ("udp", Transport::Udp),
    ("tcp", Transport::Tcp),
    ("tls", Transport::Tls),
    ("ws", Transport::Ws),
    ("wss", Transport::Wss),
];

/// The word for a value.
pub(super) fn word<T: PartialEq>(words: &[(&'static str, T)], value: &T) -> &'static str {
    words.iter().find(|(_, v)| v == value).map_or("", |(word, _)| word)
}
