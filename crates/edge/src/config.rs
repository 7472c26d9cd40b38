//! What an operator sets about the SIP edge.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::held::MemoryLimits;
use ipnet::{IpNet, Ipv6Net};
use trunkline_registrar::RegistrarConfig;
use trunkline_routing::{Options, Target};
use trunkline_sip::Limits;
use trunkline_transport::{Listener, StreamLimits};

use crate::rebalancing::RebalancingConfig;

/// The edge's settings, defaults filled in.
#[derive(Clone, Debug)]
pub struct EdgeConfig {
    /// Where to listen.
    pub listeners: Vec<Listener>,
    /// Where this process listens for something else: no SIP is sent there.
    pub other_listeners: Vec<SocketAddr>,
    /// The servers that this process uses, as `HOST:PORT`: no SIP is sent there.
    pub back_ends: Vec<String>,
    /// Addresses the outside sees us under; the first of a family is advertised to it.
    pub external_addrs: Vec<IpAddr>,
    /// Host names of ours; the first is advertised in the place of an address.
    pub external_names: Vec<String>,
    /// Networks that see us under our own address there: the address is ours, the prefix the network's.
    pub localnets: Vec<IpNet>,
    /// How many shards; 0: one per core.
    pub shards: usize,
    /// When the requests of a busy source are distributed among shards.
    pub rebalancing: RebalancingConfig,
    /// How closely the `uri` of a digest must name what is asked for.
    pub digest_uri: DigestUri,
    /// Bounds of a message.
    pub limits: Limits,
    /// Bytes of events that are kept in all; 0 keeps none.
    pub event_bytes: usize,
    /// How much transactions may hold.
    pub memory: MemoryLimits,
    /// Numbers that known callers reach however much there is to do.
    pub emergency_numbers: Vec<String>,
    /// Bounds of streams.
    pub streams: StreamLimits,
    /// Forward without transactions.
    pub stateless: bool,
    /// How the router behaves.
    pub routing: Options,
    /// Whose challenges callers see.
    pub pass_challenges: PassChallenges,
    /// May callers who have proven nothing send REFER?
    pub strangers_may_refer: bool,
    /// By which methods they may begin something.
    pub open_methods: Vec<&'static str>,
    /// Do carriers, peers and strangers send requests inside their dialogs from any address?
    pub dialogs_from_anywhere: bool,
    /// The registrar's bounds.
    pub registrar: RegistrarConfig,
    /// How long an unanswered INVITE rings when its agent sets nothing: timer C, RFC 3261 §16.6.
    pub no_answer: Duration,
    /// How long a dialog lives without a request in it, and after a restart the mark of one begun before, in seconds.
    pub dialog_seconds: u64,
    /// Between two OPTIONS to a trunk or peer.
    pub qualify: Duration,
    /// Register at the trunks that want it.
    pub register_at_trunks: bool,
    /// Hosts whose addresses are given, not looked up.
    pub hosts: Vec<(String, Vec<SocketAddr>)>,
    /// Name servers that are asked instead of the system's.
    pub name_servers: Vec<SocketAddr>,
    /// How long one address of a host, or one flow of a phone, may stay silent while there is another.
    pub failover: Duration,
    /// How long an address that failed stands behind the others of its host.
    pub avoid: Duration,
    /// rtpengine's NG protocol; media is relayed if it is set.
    pub rtpengine: Option<SocketAddr>,
    /// A relayed call without media for so many seconds ends; 0: never.
    pub media_timeout_seconds: u32,
    /// Prefixes of NAT64 translators, beside those that all know.
    pub translators: Vec<Ipv6Net>,
    /// Record calls.
    pub record_calls: bool,
    /// The Server header of our own answers; empty for none.
    pub server_name: String,
}

/// Which 401 and 407 of a callee go on to the caller. A phone answers a challenge with a hash of its secret, whoever
/// asks; what does not go on is 403 to the caller, whom its credentials would not help.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PassChallenges {
    /// Nobody's.
    None,
    /// Those of carriers whose trunk has no credentials of ours: the caller may have an account there.
    #[default]
    Carriers,
    /// Those of phones and peers, too.
    All,
}

impl PassChallenges {
    /// Does a challenge of this target go on?
    pub(crate) fn of(self, target: &Target) -> bool {
        self.includes(target.trunk.is_some(), target.credentials.is_some())
    }

    /// Does a challenge from there go on? `carrier`: from a trunk; `answered`: we have credentials for it.
    pub(crate) fn includes(self, carrier: bool, answered: bool) -> bool {
        match self {
            PassChallenges::None => false,
            PassChallenges::Carriers => carrier && !answered,
            PassChallenges::All => !answered,
        }
    }
}

/// How closely the `uri` of a digest must name what is asked for. RFC 3261 §22.4 lets a server compare them as it sees
/// fit, since phones differ in what they write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestUri {
    /// In INVITE, MESSAGE and REFER: the user is that of the Request-URI, the host is its host, ours or a trunk's. Port,
    /// parameters, scheme and escapes do not matter.
    User,
    /// In every request: equivalent to the Request-URI (§19.1.4).
    Strict,
    /// Not compared.
    Off,
}

impl Default for EdgeConfig {
    fn default() -> Self {
        EdgeConfig {
            listeners: Vec::new(),
            other_listeners: Vec::new(),
            back_ends: Vec::new(),
            external_addrs: Vec::new(),
            external_names: Vec::new(),
            localnets: Vec::new(),
            shards: 0,
            rebalancing: RebalancingConfig::default(),
            digest_uri: DigestUri::User,
            limits: Limits::default(),
            event_bytes: 64 << 20,
            memory: MemoryLimits::default(),
            emergency_numbers: Vec::new(),
            streams: StreamLimits::default(),
            stateless: false,
            routing: Options::default(),
            pass_challenges: PassChallenges::default(),
            strangers_may_refer: false,
            open_methods: vec!["INVITE"],
            dialogs_from_anywhere: false,
            registrar: RegistrarConfig::default(),
            no_answer: Duration::from_millis(trunkline_transaction::timers::C),
            dialog_seconds: 86_400,
            qualify: Duration::from_secs(30),
            register_at_trunks: true,
            hosts: Vec::new(),
            name_servers: Vec::new(),
            failover: Duration::from_secs(4),
            avoid: Duration::from_secs(30),
            rtpengine: None,
            media_timeout_seconds: 0,
            translators: Vec::new(),
            record_calls: true,
            server_name: "Trunkline".into(),
        }
    }
}
