//! The sections of the tree, with their defaults.

use std::net::SocketAddr;
use std::path::PathBuf;

use trunkline_model::Asked;

use crate::keys::Keys;
use crate::setting::{
    CalledNumber, HeaderField, HostAddresses, NameServer, Nat64Prefix, Network, Secret, WebOrigin,
    everywhere, list_of, words,
};

/// Declares a section: fields with key, type and default.
macro_rules! section {
    ($(#[$meta:meta])* $Name:ident {
        $($(#[$field_meta:meta])* $field:ident: $Type:ty = $default:expr, $key:literal;)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $Name { $($(#[$field_meta])* pub $field: $Type,)* }

        impl Default for $Name {
            fn default() -> Self {
                $Name { $($field: $default,)* }
            }
        }

        impl $Name {
            pub(crate) fn keys(&mut self, keys: &mut Keys<'_>) {
                $(keys.value($key, &mut self.$field);)*
            }
        }
    };
}

mod calls;
mod events;
mod handover;
mod tls;
pub use calls::Calls;
pub use events::{EventNats, EventType, EventWebhook, Events};
pub(crate) use events::{is_nats_url, is_web_url};
pub use handover::Handover;
pub(crate) use section;
pub use tls::{Certificate, ClientAuth, Pkcs12, Tls, TlsVersion};

words! {
    /// A role of this process. A process opens the listeners, files and threads of its roles and no others.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    Role {
        /// SIP, with registrar, router, location service and call records.
        Exchange = "exchange",
        /// Health and metrics over HTTP.
        Health = "health",
        /// The Unix socket of the command line.
        Control = "control",
        /// The resource services over gRPC.
        Api = "api",
        /// The REST API of Routr v1.
        RestV1 = "rest-v1",
        /// Asterisk's REST interface over NATS, configured as ari-proxy is.
        AriProxy = "ari-proxy",
    }
}
list_of!(Role);
list_of!(NameServer);
list_of!(Network);
list_of!(Nat64Prefix);
list_of!(HeaderField);
list_of!(CalledNumber);
list_of!(WebOrigin);

words! {
    /// A method by which callers who have proven nothing may begin something.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    OpenMethod {
        /// RFC 3261 §13
        Invite = "INVITE",
        /// RFC 3428
        Message = "MESSAGE",
        /// RFC 3261 §11
        Options = "OPTIONS",
        /// RFC 6665
        Subscribe = "SUBSCRIBE",
        /// RFC 6665, outside a dialog
        Notify = "NOTIFY",
        /// RFC 3903
        Publish = "PUBLISH",
        /// RFC 6086, outside a dialog
        Info = "INFO",
    }
}
list_of!(OpenMethod);

words! {
    /// How closely the `uri` of a digest must name what is asked for (RFC 3261 §22.4).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    DigestUri {
        /// The user of INVITE, MESSAGE and REFER is that of the Request-URI, the host is ours or a trunk's.
        User = "user",
        /// It is equivalent to the Request-URI, in every request.
        Strict = "strict",
        /// It is not compared.
        Off = "off",
    }
}

section! {
    /// `listen`: addresses per transport.
    Listen {
        /// SIP over UDP.
        udp: Vec<SocketAddr> = everywhere(5060), "udp";
        /// SIP over TCP.
        tcp: Vec<SocketAddr> = everywhere(5060), "tcp";
        /// SIP over TLS.
        tls: Vec<SocketAddr> = everywhere(5061), "tls";
        /// SIP over WebSocket, RFC 7118.
        ws: Vec<SocketAddr> = everywhere(5062), "ws";
        /// SIP over secure WebSocket.
        wss: Vec<SocketAddr> = everywhere(5063), "wss";
        /// The origins of web pages that count as any client; other pages must authenticate by digest.
        origins: Vec<WebOrigin> = Vec::new(), "origins";
    }
}

section! {
    /// `limits`: limits for each client.
    Limits {
        /// Bytes of a message, at most 65,535.
        message_size: u32 = 65_535, "messageSize";
        /// Header lines of a message, at most 240: the exchange adds some.
        headers: u16 = 240, "headers";
        /// Connections from one address; as many to one address, and for one account, because Contacts ask for them. An IPv6 /64 counts
        /// as one.
        connections_per_address: u32 = 1000, "connectionsPerAddress";
        /// A connection is closed when nothing was received for this time, in seconds.
        idle_seconds: u32 = 900, "idleSeconds";
        /// A connection is closed when a message is not complete after this time, in seconds.
        partial_seconds: u32 = 15, "partialSeconds";
        /// Bytes that may wait to be written to one connection.
        unsent_bytes: u32 = 1 << 20, "unsentBytes";
        /// Bytes of messages that all transactions may hold; new ones are 503 beyond it.
        transaction_bytes: u32 = 1 << 30, "transactionBytes";
        /// Those of one source that is not registered here and is no trunk or peer; an IPv6 /64 counts as one.
        stranger_bytes: u32 = 4 << 20, "strangerBytes";
        /// Bytes that ringing and answered calls may hold together, at least 1,048,576; new ones get 503 beyond it.
        call_bytes: u32 = 1 << 30, "callBytes";
        /// Those of one account, peer, trunk or unknown source, in percent of the bytes of all.
        account_percent: u32 = 25, "accountPercent";
    }
}

section! {
    /// `registrar`: RFC 3261 §10.3.
    Registrar {
        /// Shorter registrations get 423, in seconds.
        min_expires: u32 = 60, "minExpires";
        /// Longer ones are shortened, in seconds.
        max_expires: u32 = 7200, "maxExpires";
        /// The longest registration over UDP from behind a NAT, in seconds, so that refreshes keep it open; 0: no limit.
        nat_expires: u32 = 60, "natExpires";
        /// The lifetime of a contact without Expires, in seconds.
        default_expires: u32 = 3600, "defaultExpires";
        /// Contacts of an AOR whose resource sets nothing.
        max_contacts: u32 = 10, "maxContacts";
        /// A contact beyond that takes the place of the oldest, instead of being refused.
        replace_oldest_contact: bool = false, "replaceOldestContact";
        /// May a user register contacts for another user's AOR?
        third_party: bool = false, "thirdParty";
        /// How often phones are asked to show that they are still there, in seconds; 0 leaves it to them
        /// (RFC 5626 §4.4).
        flow_timer_seconds: u32 = 120, "flowTimerSeconds";
        /// Send Service-Route, so that phones send their requests through the exchange (RFC 3608).
        service_route: bool = true, "serviceRoute";
        /// Once the database has taken nothing for so many milliseconds, a new phone gets 503; 0: never.
        store_patience_ms: u32 = 2000, "storePatienceMs";
        /// The phones to which requests are sent at the source of their REGISTER, not at their Contact.
        reach_by_source: BySource = BySource::Detected, "reachBySource";
    }
}

words! {
    /// The phones to which requests are sent at the source of their REGISTER.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    BySource {
        /// Those behind a NAT, and those that accept no connections.
        Detected = "detected",
        /// Also those on UDP that send `rport`.
        Udp = "udp",
        /// Also those on connections: when the connection ends, they are not reached.
        All = "all",
    }
}

words! {
    /// Whose challenges are forwarded to callers; others become 403.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    PassChallenges {
        /// None.
        None = "none",
        /// Those of carriers whose trunk has no credentials.
        Carriers = "carriers",
        /// Those of phones and peers, too.
        All = "all",
    }
}

words! {
    /// The callers that must authenticate.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    Challenge {
        /// Those that the `authenticate` of their domain names.
        Domain = "domain",
        /// Also those who call out through a trunk, except over the connection by which they registered.
        Egress = "egress",
        /// All, whatever the domain says.
        All = "all",
    }
}

impl Challenge {
    /// The same for warnings about domains.
    pub fn asked(self) -> Asked {
        match self {
            Challenge::Domain => Asked::Domain,
            Challenge::Egress => Asked::Egress,
            Challenge::All => Asked::All,
        }
    }
}

section! {
    /// `routing`: how the router behaves.
    Routing {
        /// Users that are telephone numbers are written as E.164 with `+`.
        e164: bool = false, "e164";
        /// How long a phone rings when its agent sets nothing, in seconds.
        no_answer_seconds: u32 = 120, "noAnswerSeconds";
        /// How long a dialog lives without a request in it, and one from before a restart is known, in seconds.
        dialog_seconds: u32 = 86_400, "dialogSeconds";
        /// Calls of known callers to these numbers are accepted even in overload.
        emergency_numbers: Vec<CalledNumber> = ["112", "911"].map(|number| CalledNumber(number.to_owned())).into(), "emergencyNumbers";
        /// Between two OPTIONS to a trunk or peer, in seconds; 0 for none.
        qualify_seconds: u32 = 30, "qualifySeconds";
        /// Challenge other requests than REGISTER with 407 instead of 401.
        proxy_challenge: bool = false, "proxyChallenge";
        /// Send `Privacy: none` with every call through a trunk, as Routr 2.15 does.
        privacy_always_none: bool = false, "privacyAlwaysNone";
        /// Answer unknown users with 403 instead of a challenge, as Routr 2.15 does.
        reveal_unknown_users: bool = false, "revealUnknownUsers";
        /// The callers that must authenticate.
        authenticate: Challenge = Challenge::Domain, "authenticate";
        /// The headers that name the called user; they override the Request-URI.
        address_info: Vec<HeaderField> = Vec::new(), "addressInfo";
        /// Does To name the called user, not the Request-URI?
        to_as_aor: bool = false, "toAsAor";
        /// Send Record-Route in every call? Otherwise only if the sides do not reach each other without the exchange.
        record_route: bool = true, "recordRoute";
        /// Peers that name no number (X-DOD-Number) leave by policies, as in Routr v1: those of their own domain, or, if
        /// that has none, of the called domain if it is open to others.
        peers_use_policies: bool = false, "peersUsePolicies";
        /// Whose challenges (401, 407) are forwarded to callers.
        pass_challenges: PassChallenges = PassChallenges::Carriers, "passChallenges";
        /// May callers who have proven nothing send REFER? A phone that follows it calls with its own account.
        strangers_may_refer: bool = false, "strangersMayRefer";
        /// What callers who have proven nothing may begin at the numbers of open trunks.
        open_methods: Vec<OpenMethod> = vec![OpenMethod::Invite], "openMethods";
        /// Do carriers, peers and strangers send requests inside their dialogs from any address?
        dialogs_from_anywhere: bool = false, "dialogsFromAnywhere";
    }
}

section! {
    /// `accessControl`: who may send requests to the exchange at all; a domain's or trunk's own list comes after it.
    AccessControl {
        /// Networks that may; with none, all that are not denied.
        allow: Vec<Network> = Vec::new(), "allow";
        /// Networks that may not, but for what `allow` names more closely.
        deny: Vec<Network> = Vec::new(), "deny";
    }
}

section! {
    /// `routrV1.provider`: how resources of Routr v1 in Redis or behind a REST service are reached.
    RoutrV1Provider {
        /// The user name of a REST service.
        username: String = String::new(), "username";
        /// The password of Redis or of a REST service.
        secret: Secret = Secret::default(), "secret";
        /// Between two looks at a REST service, in seconds.
        poll_seconds: u32 = 5, "pollSeconds";
        /// For one answer, in milliseconds.
        timeout_ms: u32 = 3000, "timeoutMs";
        /// The number of attempts at the start; 0: until it answers.
        tries: u32 = 5, "tries";
        /// The time between attempts, in seconds.
        retry_seconds: u32 = 2, "retrySeconds";
        /// Where what was read is kept, secrets included, for a start without the provider; by default beside the
        /// database.
        cache: Option<PathBuf> = None, "cache";
    }
}

/// `routrV1`: the REST API of Routr v1, over the resources of one (`data: routr-v1:FOLDER`).
#[derive(Clone, Debug, PartialEq)]
pub struct RoutrV1 {
    /// Where it listens; `off` for nowhere.
    pub addr: Option<SocketAddr>,
    /// HTTPS; plain HTTP without.
    pub tls: bool,
    /// Its certificate; by default that of TLS.
    pub pkcs12: Pkcs12,
    /// Its trust store. As in Routr v1, clients are asked for no certificate: it is opened at the start and no more.
    pub trust_store: Pkcs12,
    /// The salt its tokens are signed with, base64; by default one that is kept in `salt_file`.
    pub salt: Secret,
    /// Where the salt is kept.
    pub salt_file: PathBuf,
    /// How long a token is good whose salt was made here, in hours; 0: for ever, as Routr's are.
    pub token_hours: u32,
    /// The secret of the user `admin`, who is made where Redis or a REST service has no users; by default one that is
    /// made and shown once.
    pub initial_secret: Secret,
    /// Resources that are in no folder.
    pub provider: RoutrV1Provider,
}

impl Default for RoutrV1 {
    fn default() -> Self {
        RoutrV1 {
            addr: None,
            tls: true,
            pkcs12: Pkcs12::default(),
            trust_store: Pkcs12::default(),
            salt: Secret::default(),
            salt_file: ".routr.salt".into(),
            token_hours: 24,
            initial_secret: Secret::default(),
            provider: RoutrV1Provider::default(),
        }
    }
}

impl RoutrV1 {
    pub(crate) fn keys(&mut self, keys: &mut Keys<'_>) {
        keys.value("addr", &mut self.addr);
        keys.value("tls", &mut self.tls);
        keys.section("pkcs12", |keys| self.pkcs12.keys(keys));
        keys.section("trustStore", |keys| self.trust_store.keys(keys));
        keys.value("salt", &mut self.salt);
        keys.value("saltFile", &mut self.salt_file);
        keys.value("tokenHours", &mut self.token_hours);
        keys.value("initialSecret", &mut self.initial_secret);
        keys.section("provider", |keys| self.provider.keys(keys));
    }
}

section! {
    /// `dns`: finding the way to a host, RFC 3263.
    Dns {
        /// Hosts whose addresses are given.
        hosts: Vec<HostAddresses> = Vec::new(), "hosts";
        /// Name servers that are asked instead of the system's.
        servers: Vec<NameServer> = Vec::new(), "servers";
        /// How long one address of a host, or one flow of a phone, may stay silent while there is another, in
        /// milliseconds.
        failover_ms: u32 = 4000, "failoverMs";
        /// How long an address that failed stands behind the others of its host, in seconds.
        avoid_seconds: u32 = 30, "avoidSeconds";
        /// The prefixes of the networks' NAT64 translators, beside `64:ff9b::/96` and `64:ff9b:1::/48`.
        nat64: Vec<Nat64Prefix> = Vec::new(), "nat64";
    }
}

section! {
    /// `http`: the listener of health and metrics.
    Http {
        /// Its address; `off` for none.
        addr: Option<SocketAddr> = Some(([127, 0, 0, 1], 8000).into()), "addr";
    }
}

section! {
    /// `grpc`: the resource services.
    Grpc {
        /// The address for processes on this machine: plaintext, no login, passwords shown; `off` for none.
        addr: Option<SocketAddr> = Some(([127, 0, 0, 1], 51907).into()), "addr";
        /// The address for other clients: TLS and a login; `off` for none.
        external_addr: Option<SocketAddr> = Some(([0, 0, 0, 0], 51908).into()), "externalAddr";
        /// Are passwords of credentials also shown to other clients that may write?
        reveal_passwords: bool = false, "revealPasswords";
    }
}

section! {
    /// `control`: the socket of the command line.
    Control {
        /// The Unix socket; by default beside the database.
        socket: Option<PathBuf> = None, "socket";
    }
}
