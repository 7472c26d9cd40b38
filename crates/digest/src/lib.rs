//! HTTP digest for SIP: RFC 7616 and RFC 8760, with RFC 2617 for old phones. Sans-IO: bytes and the time
//! come in, verdicts and header values go out.
//!
//! The server's side is [`Authenticator`]: stateless nonces bound to the source they are sent to ([`Nonces`]) and a
//! bounded replay table ([`Replays`]); beside it a brake on guessing ([`Guesses`]). The client's side is [`answer`].
//! Times are milliseconds since the Unix epoch. Everything is shared by reference between threads.
//!
//! ```
//! use trunkline_digest::{Algorithm, Answer, Authenticator, Credentials, Ha1, Presented, Verdict, answer};
//!
//! let server = Authenticator::new();
//! let now = 1_700_000_000_000;
//! let phone: std::net::SocketAddr = "192.0.2.1:5060".parse().unwrap();
//!
//! // The first request carries no credentials: 401 with one challenge per algorithm.
//! let mut header = Vec::new();
//! server.challenge("sip.local", phone.ip(), Algorithm::Md5, now, &mut header);
//!
//! // The phone answers.
//! let value = answer(
//!     &[&header],
//!     &Answer { username: "1001", password: "secret", method: b"REGISTER", uri: b"sip:sip.local", cnonce: "0a4f", nc: 1 },
//! )?
//! .value;
//!
//! // The second request is accepted.
//! let credentials = Credentials::parse(&value)?.expect("a Digest header");
//! let ha1 = Ha1::new(Algorithm::Md5, b"1001", b"sip.local", b"secret");
//! let nonce = server.fresh(&credentials, b"sip.local", phone.ip(), now).expect("a nonce that was sent there");
//! let request = Presented { method: b"REGISTER", fingerprint: server.fingerprint(phone, b"REGISTER sip:sip.local ...") };
//! assert_eq!(server.check(&credentials, nonce, &request, Some(&ha1), now), Verdict::Accepted);
//! # Ok::<(), trunkline_digest::Error>(())
//! ```

#![forbid(unsafe_code)]

mod algorithm;
mod answer;
mod authenticator;
mod bans;
mod buckets;
mod challenge;
mod credentials;
mod error;
mod guesses;
mod ha1;
mod nonce;
mod params;
mod replay;
mod throttle;
mod verify;

pub use algorithm::Algorithm;
pub use answer::{Answer, Answered, answer};
pub use authenticator::{Authenticator, Presented, Verdict};
pub use bans::Banned;
pub use challenge::{Challenge, parse_challenges, write_challenge};
pub use credentials::{Credentials, realm_of, realms};
pub use error::Error;
pub use guesses::{Ban, Bindings, Guess, Guesses, Limits, Standing};
pub use ha1::{Ha1, Ha1Cache};
pub use nonce::{Freshness, Nonce, NonceId, Nonces};
pub use replay::{Replays, Use};
pub use throttle::{Permit, Throttle, ThrottleLimits};
pub use verify::{Response, response, verify, verify_unknown};
