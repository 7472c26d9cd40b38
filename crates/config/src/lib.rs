//! `trunkline.yaml`: one tree of settings with defaults in code, overridden by the file, overridden by the
//! environment; each value remembers where it came from.
//!
//! ```
//! use trunkline_config::{Config, Env, Source};
//!
//! let file = Source::new("trunkline.yaml", "registrar:\n  maxExpires: 1800\n");
//! let env = Env::from([("TRUNKLINE_DOMAIN", "pbx.example")]);
//! let loaded = Config::read(Some(&file), &env).unwrap_or_else(|report| panic!("{report}"));
//! assert_eq!(loaded.config.registrar.max_expires, 1800);
//! assert_eq!(loaded.config.domain, "pbx.example");
//! assert!(loaded.to_string().contains("maxExpires: 1800  # trunkline.yaml:2:15"));
//! ```

#![forbid(unsafe_code)]

mod caution;
mod check;
mod host_port;
mod keys;
mod load;
mod observing;
mod routr_v1;
mod routr_v2;
mod sections;
mod setting;
mod tree;

pub use host_port::HostPort;
pub use keys::{Env, Origin, Value};
pub use load::{Loaded, holds_v1 as is_routr_v1};
pub use observing::{Log, LogFormat, Otlp, Trace};
pub use routr_v1::{DEFAULT_PASSWORD, Stored, conversion};
pub use routr_v2::{
    DispatcherRole, LocationCache, LocationRole, MiddlewareEntry, ProcessorEntry, RoleEnv, RoleFile, RoleTls,
    default_file as default_role_file, is_role_file, read_users,
};
pub use sections::{
    AccessControl, BySource, Calls, Certificate, Challenge, ClientAuth, Control, DigestUri, Dns, EventNats,
    EventType, EventWebhook, Events, Grpc, Http, Limits, Listen, OpenMethod, PassChallenges, Pkcs12,
    Registrar, Role, Routing, RoutrV1, RoutrV1Provider, Tls, TlsVersion,
};
pub use setting::{
    CalledNumber, ExternalAddrs, HeaderField, HostAddresses, NameServer, Nat64Prefix, Network, Secret,
    WebOrigin,
};
pub use tree::Config;
pub use trunkline_model::document::{Report, Source};

/// The exit status after a mistake in arguments or configuration (BSD `EX_USAGE`).
pub const EXIT_USAGE: u8 = 64;
