//! The middleware that asks for a digest (RFC 7616) of users in a file.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};
use tonic::{Request, Response, Status, async_trait};
use trunkline_digest::{
    Algorithm, Authenticator, Bindings, Credentials, Guess, Guesses, Ha1, Nonces, Presented, Replays,
    Standing, Verdict,
};
use trunkline_wire::processor::processor_server::Processor;
use trunkline_wire::processor::{MessageRequest, MessageResponse};
use trunkline_wire::sipmessage::sip_message::MessageType;
use trunkline_wire::sipmessage::{Authorization, ResponseType, SipMessage, SipUri, WwwAuthenticate};

use crate::message::{message_of, method_name, response, response_type, unchanged};

/// How long a nonce is good, in seconds.
const LIFETIME: u32 = 300;
/// Nonces whose uses are remembered.
const REMEMBERED: usize = 65_536;
/// RFC 3261 §22.1: nobody can answer a challenge to these.
const NEVER: [&str; 2] = ["ACK", "CANCEL"];

/// Who is asked, and for what.
#[derive(Clone, Default)]
pub struct SimpleAuthRules {
    /// The methods of requests that need credentials.
    pub methods: HashSet<String>,
    /// User parts of From that need none.
    pub allowed: HashSet<String>,
    /// Secrets by user name.
    pub users: HashMap<String, String>,
}

impl std::fmt::Debug for SimpleAuthRules {
    /// Without secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimpleAuthRules").field("methods", &self.methods).finish_non_exhaustive()
    }
}

/// Passes requests of known users on; challenges others with 401.
#[derive(Clone)]
pub struct SimpleAuthService(Arc<Asking>);

struct Asking {
    rules: SimpleAuthRules,
    authenticator: Authenticator,
    guesses: Guesses,
}

/// It knows of no registrations.
struct Unknown;

impl Bindings for Unknown {
    fn is_registered_here(&self) -> bool {
        false
    }

    fn has_registrations(&self) -> bool {
        false
    }
}

impl SimpleAuthService {
    /// With these rules. The nonces are bound to the secrets, so that several processes with the same file accept each
    /// other's.
    pub fn new(rules: SimpleAuthRules) -> SimpleAuthService {
        let nonces = Nonces::with_secret(key(&rules.users), LIFETIME);
        let authenticator = Authenticator::with(nonces, Replays::new(REMEMBERED));
        SimpleAuthService(Arc::new(Asking { rules, authenticator, guesses: Guesses::default() }))
    }
}

/// A key that only those know who know all secrets.
fn key(users: &HashMap<String, String>) -> [u8; 16] {
    let mut pairs: Vec<(&String, &String)> = users.iter().collect();
    pairs.sort();
    let mut hash = Sha256::new_with_prefix(b"nonces of simpleauth");
    for text in pairs.into_iter().flat_map(|(user, secret)| [user, secret]) {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    let hash = hash.finalize();
    let mut key = [0; 16];
    key.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    key
}

impl Asking {
    /// Does the request need credentials?
    fn asks(&self, request: &MessageRequest, message: &SipMessage) -> bool {
        let method = method_name(request);
        let from = message.from.as_ref().and_then(|from| from.address.as_ref()?.uri.as_ref());
        response_type(message).is_none()
            && self.rules.methods.contains(method)
            && !NEVER.contains(&method)
            && !from.is_some_and(|uri| self.rules.allowed.contains(&uri.user))
    }

    /// Are there credentials that are right?
    fn admits(&self, request: &MessageRequest, message: &SipMessage, now: u64) -> bool {
        let Some(shown) = message.authorization.as_ref() else { return false };
        let (realm, from) = (realm(message), source(request, message));
        let count = format!("{:08x}", shown.nonce_count);
        let Some(credentials) = credentials(shown, &count) else { return false };
        let Some(nonce) = self.authenticator.fresh(&credentials, realm.as_bytes(), from.ip(), now) else {
            return false;
        };
        let secret = self.rules.users.get(&shown.username);
        let nobody = String::new();
        let guess = Guess {
            from,
            origin: b"",
            user: shown.username.as_bytes(),
            secret: secret.unwrap_or(&nobody).as_bytes(),
        };
        if let Standing::Banned { told, .. } = self.guesses.standing(&guess, &Unknown, now) {
            if !told {
                tracing::warn!(user = shown.username, %from, "too many wrong passwords");
            }
            return false;
        }
        let ha1 = secret.map(|secret| {
            Ha1::new(Algorithm::Md5, shown.username.as_bytes(), realm.as_bytes(), secret.as_bytes())
        });
        let method = method_name(request).as_bytes();
        let fingerprint = self.authenticator.fingerprint(from, &identity(request, message));
        match self.authenticator.check(
            &credentials,
            nonce,
            &Presented { method, fingerprint },
            ha1.as_ref(),
            now,
        ) {
            Verdict::Accepted => {
                self.guesses.right(&guess, now);
                true
            }
            Verdict::Replayed => false,
            Verdict::Wrong => {
                self.guesses.wrong(&guess, now);
                false
            }
        }
    }

    fn challenge(&self, request: &MessageRequest, message: &SipMessage, now: u64) -> MessageResponse {
        let realm = realm(message);
        let nonce = self.authenticator.nonce(realm.as_bytes(), source(request, message).ip(), now);
        let mut challenge = response(ResponseType::Unauthorized, "Unauthorized");
        if let Some(message) = &mut challenge.message {
            message.www_authenticate = Some(WwwAuthenticate {
                realm,
                scheme: "Digest".into(),
                nonce: nonce.as_str().into(),
                algorithm: "MD5".into(),
                qop: "auth".into(),
                ..WwwAuthenticate::default()
            });
        }
        challenge
    }
}

/// The host of the Request-URI.
fn realm(message: &SipMessage) -> String {
    match &message.message_type {
        Some(MessageType::RequestUri(SipUri { host, .. })) => host.clone(),
        Some(MessageType::ResponseType(_)) | None => String::new(),
    }
}

/// Where the request came from: what the edge port saw, else what the client says of itself.
fn source(request: &MessageRequest, message: &SipMessage) -> SocketAddr {
    let via = message.via.first();
    let seen = via.and_then(|via| via.received.parse::<IpAddr>().ok());
    let said = || request.sender.as_ref().and_then(|sender| sender.host.parse::<IpAddr>().ok());
    let port = via.map_or(0, |via| if via.r_port > 0 { via.r_port } else { via.port });
    let host = seen.or_else(said).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    SocketAddr::new(host, u16::try_from(port).unwrap_or_default())
}

/// What a repetition of a request has in common with it: Call-ID, CSeq, branch.
fn identity(request: &MessageRequest, message: &SipMessage) -> Vec<u8> {
    let sequence = message.extensions.iter().find(|header| header.name.eq_ignore_ascii_case("CSeq"));
    let branch = message.via.first().map_or("", |via| via.branch.as_str());
    let sequence = sequence.map_or("", |header| header.value.as_str());
    [request.r#ref.as_str(), sequence, branch].join("\n").into_bytes()
}

/// The credentials of a message; `None` for a scheme, algorithm or quality of protection that was not offered.
fn credentials<'a>(shown: &'a Authorization, count: &'a str) -> Option<Credentials<'a>> {
    let md5 = shown.algorithm.is_empty() || shown.algorithm.eq_ignore_ascii_case("MD5");
    let digest = shown.scheme.eq_ignore_ascii_case("Digest");
    let qop = shown.qop.eq_ignore_ascii_case("auth");
    if !md5 || !digest || !qop && !shown.qop.is_empty() || shown.nonce_count < -1 {
        return None;
    }
    Some(Credentials {
        username: Cow::Borrowed(shown.username.as_bytes()),
        realm: Cow::Borrowed(shown.realm.as_bytes()),
        nonce: shown.nonce.as_bytes(),
        uri: shown.uri.as_bytes(),
        response: shown.response.as_bytes(),
        algorithm: Algorithm::Md5,
        cnonce: qop.then_some(shown.c_nonce.as_bytes()),
        nc: u32::try_from(shown.nonce_count).ok().filter(|_| qop),
        nc_text: count.as_bytes(),
        qop,
        opaque: None,
    })
}

#[async_trait]
impl Processor for SimpleAuthService {
    async fn process_message(
        &self,
        request: Request<MessageRequest>,
    ) -> Result<Response<MessageResponse>, Status> {
        let request = request.into_inner();
        let message = message_of(&request)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        if !self.0.asks(&request, message) || self.0.admits(&request, message, now) {
            return Ok(Response::new(unchanged(request)));
        }
        Ok(Response::new(self.0.challenge(&request, message, now)))
    }
}
