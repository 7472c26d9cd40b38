//! The numbers of the process, summed over shards.

/// A moment's numbers. What a process does not run stays at its default and shows as 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// The edge's counters, one list per shard: name in snake case, value.
    pub shards: Vec<Vec<(&'static str, u64)>>,
    /// Responses to clients, by status.
    pub codes: Vec<(u16, u64)>,
    /// Failed requests by reason code.
    pub reasons: Vec<(&'static str, u64)>,
    /// What the edge's counter of a name counts; empty where no shard runs.
    pub shard_help: Vec<(&'static str, &'static str)>,
    /// How busy each shard was in the last second, in percent of its time.
    pub busy_percent: Vec<u8>,
    /// Sources that keep a shard so busy that all serve them.
    pub sources_handed_over: u64,
    /// Messages by transport, of all shards.
    pub transports: Vec<TransportFigures>,
    /// Datagrams the kernel refused.
    pub datagrams_lost: u64,
    /// Connections accepted since the start.
    pub connections_accepted: u64,
    /// Connections refused by the limit per address.
    pub connections_refused: u64,
    /// Connections that did not get past their TLS handshake or HTTP request.
    pub connections_unfinished: u64,
    /// Connections made by us.
    pub connections_made: u64,
    /// Connections that ended.
    pub connections_closed: u64,
    /// Keep-alives received, RFC 5626 §4.4.
    pub keep_alives: u64,
    /// Transactions under way.
    pub transactions: u64,
    /// Sources that flood, so that the kernel drops most of what they begin.
    pub flooding: u64,
    /// AORs with a binding.
    pub aors: u64,
    /// Bindings now.
    pub bindings: u64,
    /// Binding records written to the database.
    pub location_writes: u64,
    /// Writes of binding records that failed.
    pub location_write_errors: u64,
    /// Calls now.
    pub calls: u64,
    /// Bytes that calls hold.
    pub call_bytes: u64,
    /// Calls that were started.
    pub calls_started: u64,
    /// Calls that were answered.
    pub calls_answered: u64,
    /// Calls that ended.
    pub calls_ended: u64,
    /// Calls given up without a BYE.
    pub calls_expired: u64,
    /// Calls refused by a limit.
    pub calls_refused: u64,
    /// The media relay, where there is one.
    pub relay: Option<RelayFigures>,
    /// The trunks.
    pub trunks: Vec<TrunkFigures>,
    /// Our registrations at trunks: the trunk, and whether its carrier has us.
    pub trunk_registrations: Vec<(String, bool)>,
    /// The peers.
    pub peers: Vec<TrunkFigures>,
    /// The destinations of trunks and peers that the operator configured.
    pub destinations: Vec<DestinationFigures>,
    /// Calls of the resource services.
    pub api: Vec<ApiCalls>,
    /// From the INVITE to the first ringing.
    pub ring_delay: HistogramFigures,
    /// From the INVITE to the answer.
    pub setup: HistogramFigures,
    /// From the answer to the end of the call.
    pub duration: HistogramFigures,
    /// Bans of those who guessed passwords.
    pub bans: u64,
    /// When certificates expire: the file, seconds since 1970.
    pub certificates: Vec<(String, u64)>,
    /// The version of the program.
    pub version: &'static str,
    /// What the process takes, where the kernel says.
    pub process: Option<ProcessFigures>,
    /// Messages that a capture server got, and those it did not get, where there is one.
    pub hep: Option<(u64, u64)>,
    /// Those who get events: file, webhook, NATS.
    pub sinks: Vec<SinkFigures>,
    /// Open file descriptors and their limit, where the kernel says.
    pub descriptors: Option<(u64, u64)>,
}

/// Events for one receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SinkFigures {
    /// `file`, `webhook` or `nats`.
    pub name: &'static str,
    /// Events that were written, acknowledged or sent.
    pub published: u64,
    /// Events that were lost.
    pub lost: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Events that wait.
    pub waiting: u64,
}

/// Calls of one method of the resource services that ended alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiCalls {
    /// The key of the listener: `grpc.addr` or `grpc.externalAddr`.
    pub listener: &'static str,
    /// The service, e.g. `Agents`.
    pub service: &'static str,
    /// The method, e.g. `Create`.
    pub method: &'static str,
    /// The gRPC status, e.g. `OK`, `NOT_FOUND`.
    pub code: &'static str,
    /// How many.
    pub count: u64,
}

/// Messages of one transport.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransportFigures {
    /// `udp`, `tcp`, `tls`, `ws` or `wss`.
    pub name: &'static str,
    /// Messages received.
    pub received: u64,
    /// Messages sent.
    pub sent: u64,
}

/// How rtpengine does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayFigures {
    /// Its last command was answered.
    pub up: bool,
    /// Calls whose media it carries.
    pub calls: u64,
    /// Commands it answered.
    pub answered: u64,
    /// Commands it refused.
    pub refused: u64,
    /// Commands it did not answer.
    pub timeouts: u64,
}

/// The state of a trunk or peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrunkFigures {
    /// Its `ref`.
    pub reference: String,
    /// The number of destinations that answer.
    pub up: u64,
    /// The number of destinations that do not answer.
    pub down: u64,
    /// The number of destinations that were not asked yet, or have not answered yet.
    pub unknown: u64,
}

/// The state of one destination of a trunk or peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DestinationFigures {
    /// `trunk` or `peer`.
    pub kind: &'static str,
    /// The `ref` of the trunk or peer.
    pub reference: String,
    /// The address, as the operator wrote it.
    pub target: String,
    /// `up`, `down` or `unknown`.
    pub state: &'static str,
    /// Since when, in seconds since 1970.
    pub since: u64,
    /// The time of its last error, in seconds since 1970.
    pub last_error: Option<u64>,
    /// When it is asked next, in seconds since 1970.
    pub next: Option<u64>,
}

/// Durations by size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistogramFigures {
    /// Upper bounds in milliseconds, and how many durations were in each bucket alone; the last bucket has no bound.
    pub buckets: Vec<(Option<u64>, u64)>,
    /// All durations together, in milliseconds.
    pub sum_ms: u64,
}

/// What the process takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessFigures {
    /// When it started, in seconds since 1970.
    pub started: u64,
    /// CPU time, user and system, in milliseconds.
    pub cpu_ms: u64,
    /// Resident memory in bytes.
    pub resident: u64,
    /// Virtual memory in bytes.
    pub virtual_memory: u64,
    /// Threads.
    pub threads: u64,
}
