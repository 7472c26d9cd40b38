//! The numbers of `/metrics`, summed over shards.

use std::collections::BTreeMap;

use crate::exposition::{Exposition, Kind};

/// A moment's numbers. What a process does not run stays at its default and shows as 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// The edge's counters, one list per shard: name in snake case, value.
    pub shards: Vec<Vec<(&'static str, u64)>>,
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
    /// Open file descriptors and their limit, where the kernel says.
    pub descriptors: Option<(u64, u64)>,
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

impl Figures {
    /// Writes every number.
    pub fn write(&self, out: &mut Exposition) {
        self.write_shards(out);
        out.family(
            "trunkline_sip_messages_total",
            Kind::Counter,
            "SIP messages, by transport and direction.",
        );
        for t in &self.transports {
            out.sample(&[("transport", t.name), ("direction", "in")], t.received);
            out.sample(&[("transport", t.name), ("direction", "out")], t.sent);
        }
        for (name, help, value) in [
            ("datagrams_lost", "Datagrams the kernel refused.", self.datagrams_lost),
            ("connections_accepted", "Connections accepted.", self.connections_accepted),
            (
                "connections_refused",
                "Connections refused by the limit per address, or for want of file descriptors.",
                self.connections_refused,
            ),
            (
                "connections_unfinished",
                "Connections whose TLS handshake or HTTP request was not completed.",
                self.connections_unfinished,
            ),
            ("connections_made", "Connections opened by the exchange.", self.connections_made),
            ("connections_closed", "Connections that ended.", self.connections_closed),
            ("keep_alives", "Keep-alives received.", self.keep_alives),
            ("location_writes", "Binding records written to the database.", self.location_writes),
            ("location_write_errors", "Writes of bindings that failed.", self.location_write_errors),
            ("calls_started", "Calls started.", self.calls_started),
            ("calls_answered", "Calls answered.", self.calls_answered),
            ("calls_ended", "Calls ended.", self.calls_ended),
            ("calls_expired", "Calls closed without a BYE.", self.calls_expired),
            ("calls_refused", "Calls refused by a limit.", self.calls_refused),
        ] {
            out.counter(&format!("trunkline_{name}_total"), help, value);
        }
        for (name, help, value) in [
            (
                "sources_handed_over",
                "Busy sources whose new calls are moved to other workers.",
                self.sources_handed_over,
            ),
            ("transactions", "Transactions under way.", self.transactions),
            ("aors", "Addresses of record with a binding.", self.aors),
            ("bindings", "Bindings.", self.bindings),
            ("calls", "Calls now.", self.calls),
        ] {
            out.gauge(&format!("trunkline_{name}"), help, value);
        }
        if let Some(relay) = self.relay {
            out.gauge("trunkline_rtpengine_up", "Whether rtpengine answers.", u64::from(relay.up));
            out.gauge("trunkline_rtpengine_calls", "Calls whose media it relays.", relay.calls);
            out.family(
                "trunkline_rtpengine_commands_total",
                Kind::Counter,
                "Commands to rtpengine, by result.",
            );
            for (outcome, value) in
                [("answered", relay.answered), ("refused", relay.refused), ("timeout", relay.timeouts)]
            {
                out.sample(&[("outcome", outcome)], value);
            }
        }
        if let Some((open, limit)) = self.descriptors {
            out.gauge("process_open_fds", "Open file descriptors.", open);
            out.gauge("process_max_fds", "Limit of open file descriptors.", limit);
        }
        self.write_trunks(out);
        out.family(
            "trunkline_api_calls_total",
            Kind::Counter,
            "Calls of the resource services, by listener, service, method and gRPC status.",
        );
        for c in &self.api {
            let labels =
                [("listener", c.listener), ("service", c.service), ("method", c.method), ("code", c.code)];
            out.sample(&labels, c.count);
        }
    }

    /// One series per counter, the shards summed: which shard served a message is chance. How busy each is tells
    /// whether chance is fair.
    fn write_shards(&self, out: &mut Exposition) {
        let mut sums: Vec<(&'static str, u64)> = Vec::new();
        for (name, value) in self.shards.iter().flatten() {
            match sums.iter_mut().find(|(known, _)| known == name) {
                Some((_, sum)) => *sum = sum.saturating_add(*value),
                None => sums.push((name, *value)),
            }
        }
        for (name, value) in sums {
            let help = self.shard_help.iter().find(|(known, _)| *known == name).map_or("", |(_, help)| help);
            out.counter(&format!("trunkline_edge_{name}_total"), help, value);
        }
        let help = "Requests that failed, by reason code (docs/reasons.md).";
        out.family("trunkline_reasons_total", Kind::Counter, help);
        for (reason, count) in self.reasons.iter().filter(|(_, count)| *count > 0) {
            out.sample(&[("reason", reason)], *count);
        }
        out.gauge("trunkline_shards", "Threads that serve SIP.", self.shards.len() as u64);
        let help = "Load of each shard in the last second, in percent.";
        out.family("trunkline_shard_busy_percent", Kind::Gauge, help);
        for (shard, busy) in self.busy_percent.iter().enumerate() {
            out.sample(&[("shard", &shard.to_string())], u64::from(*busy));
        }
    }

    /// A trunk or peer is up while one of its destinations answers; we are registered at a trunk while one of them has
    /// us.
    fn write_trunks(&self, out: &mut Exposition) {
        let mut registered: BTreeMap<&str, bool> = BTreeMap::new();
        for (trunk, one) in &self.trunk_registrations {
            *registered.entry(trunk).or_default() |= one;
        }
        let help = "Whether we are registered at the trunk's carrier.";
        out.family("trunkline_trunk_registered", Kind::Gauge, help);
        for (trunk, one) in registered {
            out.sample(&[("trunk", trunk)], u64::from(one));
        }
        for (kind, list) in [("trunk", &self.trunks), ("peer", &self.peers)] {
            let help = format!("Whether a destination of the {kind} answers.");
            out.family(&format!("trunkline_{kind}_up"), Kind::Gauge, &help);
            for t in list {
                out.sample(&[(kind, &t.reference)], u64::from(t.up > 0));
            }
            let name = format!("trunkline_{kind}_destinations_down");
            out.family(&name, Kind::Gauge, "Destinations that do not answer.");
            for t in list {
                out.sample(&[(kind, &t.reference)], t.down);
            }
            let name = format!("trunkline_{kind}_destinations_unknown");
            out.family(&name, Kind::Gauge, "Destinations that have not answered yet.");
            for t in list {
                out.sample(&[(kind, &t.reference)], t.unknown);
            }
        }
        self.write_destinations(out);
    }

    fn write_destinations(&self, out: &mut Exposition) {
        let help = "State of a destination: 1 for the one of up, down and unknown that it is in.";
        out.family("trunkline_destination_state", Kind::Gauge, help);
        for d in &self.destinations {
            for state in ["up", "down", "unknown"] {
                let labels =
                    [("kind", d.kind), ("ref", &d.reference), ("target", &d.target), ("state", state)];
                out.sample(&labels, u64::from(d.state == state));
            }
        }
        type Time = fn(&DestinationFigures) -> Option<u64>;
        let times: [(&str, &str, Time); 3] = [
            ("since", "Since when a destination is in its state, in Unix time.", |d| Some(d.since)),
            ("last_error", "Time of the last error of a destination, in Unix time.", |d| d.last_error),
            ("next_question", "When a destination is asked next, in Unix time.", |d| d.next),
        ];
        for (name, help, time) in times {
            out.family(&format!("trunkline_destination_{name}_seconds"), Kind::Gauge, help);
            for d in &self.destinations {
                if let Some(time) = time(d) {
                    let labels = [("kind", d.kind), ("ref", &d.reference), ("target", &d.target)];
                    out.sample(&labels, time);
                }
            }
        }
    }
}
