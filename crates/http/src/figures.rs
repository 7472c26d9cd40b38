//! The numbers of the process in Prometheus' text format.

use std::collections::BTreeMap;

use trunkline_operations::{DestinationFigures, Figures};

use crate::exposition::{Exposition, Kind};

/// Figures on their way to `/metrics`.
pub(crate) struct Page<'f>(pub &'f Figures);

impl Page<'_> {
    /// Writes every number.
    pub fn write(&self, out: &mut Exposition) {
        self.write_shards(out);
        out.family(
            "trunkline_sip_messages_total",
            Kind::Counter,
            "SIP messages, by transport and direction.",
        );
        for t in &self.0.transports {
            out.sample(&[("transport", t.name), ("direction", "in")], t.received);
            out.sample(&[("transport", t.name), ("direction", "out")], t.sent);
        }
        for (name, help, value) in [
            ("datagrams_lost", "Datagrams the kernel refused.", self.0.datagrams_lost),
            ("connections_accepted", "Connections accepted.", self.0.connections_accepted),
            (
                "connections_refused",
                "Connections refused by the limit per address, or for want of file descriptors.",
                self.0.connections_refused,
            ),
            (
                "connections_unfinished",
                "Connections whose TLS handshake or HTTP request was not completed.",
                self.0.connections_unfinished,
            ),
            ("connections_made", "Connections opened by the exchange.", self.0.connections_made),
            ("connections_closed", "Connections that ended.", self.0.connections_closed),
            ("keep_alives", "Keep-alives received.", self.0.keep_alives),
            ("location_writes", "Binding records written to the database.", self.0.location_writes),
            ("location_write_errors", "Writes of bindings that failed.", self.0.location_write_errors),
            ("calls_started", "Calls started.", self.0.calls_started),
            ("calls_answered", "Calls answered.", self.0.calls_answered),
            ("calls_ended", "Calls ended.", self.0.calls_ended),
            ("calls_expired", "Calls closed without a BYE.", self.0.calls_expired),
            ("calls_refused", "Calls refused by a limit.", self.0.calls_refused),
        ] {
            out.counter(&format!("trunkline_{name}_total"), help, value);
        }
        for (name, help, value) in [
            (
                "sources_handed_over",
                "Busy sources whose new calls are moved to other workers.",
                self.0.sources_handed_over,
            ),
            ("transactions", "Transactions under way.", self.0.transactions),
            ("sources_flooding", "Unknown sources whose UDP requests the kernel drops.", self.0.flooding),
            ("aors", "Addresses of record with a binding.", self.0.aors),
            ("bindings", "Bindings.", self.0.bindings),
            ("calls", "Calls now.", self.0.calls),
            ("call_bytes", "Bytes that calls hold, of limits.callBytes.", self.0.call_bytes),
        ] {
            out.gauge(&format!("trunkline_{name}"), help, value);
        }
        if let Some(relay) = self.0.relay {
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
        self.write_calls(out);
        self.write_process(out);
        self.write_trunks(out);
        out.family(
            "trunkline_api_calls_total",
            Kind::Counter,
            "Calls of the resource services, by listener, service, method and gRPC status.",
        );
        for c in &self.0.api {
            let labels =
                [("listener", c.listener), ("service", c.service), ("method", c.method), ("code", c.code)];
            out.sample(&labels, c.count);
        }
    }

    /// One series per counter, the shards summed: which shard served a message is chance. How busy each is tells
    /// whether chance is fair.
    fn write_shards(&self, out: &mut Exposition) {
        let mut sums: Vec<(&'static str, u64)> = Vec::new();
        for (name, value) in self.0.shards.iter().flatten() {
            match sums.iter_mut().find(|(known, _)| known == name) {
                Some((_, sum)) => *sum = sum.saturating_add(*value),
                None => sums.push((name, *value)),
            }
        }
        for (name, value) in sums {
            let help =
                self.0.shard_help.iter().find(|(known, _)| *known == name).map_or("", |(_, help)| help);
            out.counter(&format!("trunkline_edge_{name}_total"), help, value);
        }
        let help = "SIP responses to clients, by status code. Those to requests of clients that are absorbed as repetitions do not count.";
        out.family("trunkline_sip_responses_total", Kind::Counter, help);
        for (code, count) in &self.0.codes {
            out.sample(&[("code", &code.to_string())], *count);
        }
        let help = "Requests that failed, by reason code (docs/reasons.md).";
        out.family("trunkline_reasons_total", Kind::Counter, help);
        for (reason, count) in self.0.reasons.iter().filter(|(_, count)| *count > 0) {
            out.sample(&[("reason", reason)], *count);
        }
        out.gauge("trunkline_shards", "Threads that serve SIP.", self.0.shards.len() as u64);
        let help = "Load of each shard in the last second, in percent.";
        out.family("trunkline_shard_busy_percent", Kind::Gauge, help);
        for (shard, busy) in self.0.busy_percent.iter().enumerate() {
            out.sample(&[("shard", &shard.to_string())], u64::from(*busy));
        }
    }

    /// What callers wait for, and who is refused.
    fn write_calls(&self, out: &mut Exposition) {
        for (name, help, h) in [
            ("ring_delay", "Time from an INVITE to the first ringing (post-dial delay).", &self.0.ring_delay),
            ("setup", "Time from an INVITE to the answer of its call, ringing included.", &self.0.setup),
            ("duration", "Time from the answer of a call to its end.", &self.0.duration),
        ] {
            if !h.buckets.is_empty() {
                out.histogram(&format!("trunkline_call_{name}_seconds"), help, &h.buckets, h.sum_ms);
            }
        }
        let help = "Bans of sources and users that guessed passwords (trunkline bans).";
        out.gauge("trunkline_bans", help, self.0.bans);
        let help = "Time at which a certificate of the exchange expires, in Unix time. Calls over TLS and WSS fail then.";
        out.family("trunkline_tls_certificate_expiry_timestamp_seconds", Kind::Gauge, help);
        for (file, end) in &self.0.certificates {
            out.sample(&[("file", file)], *end);
        }
    }

    /// Who gets events.
    fn write_sinks(&self, out: &mut Exposition) {
        if self.0.sinks.is_empty() {
            return;
        }
        let help = "Events for other programs (docs/events.md), by receiver and result.";
        out.family("trunkline_events_total", Kind::Counter, help);
        for sink in &self.0.sinks {
            for (outcome, value) in [("published", sink.published), ("lost", sink.lost)] {
                out.sample(&[("receiver", sink.name), ("outcome", outcome)], value);
            }
        }
        let help = "Attempts to write or send events that failed, by receiver.";
        out.family("trunkline_events_failures_total", Kind::Counter, help);
        for sink in &self.0.sinks {
            out.sample(&[("receiver", sink.name)], sink.failures);
        }
        let help = "Events that wait for their receiver.";
        out.family("trunkline_events_waiting", Kind::Gauge, help);
        for sink in &self.0.sinks {
            out.sample(&[("receiver", sink.name)], sink.waiting);
        }
    }

    fn write_process(&self, out: &mut Exposition) {
        out.family("trunkline_build_info", Kind::Gauge, "The running version; the value is always 1.");
        out.sample(&[("version", self.0.version)], 1);
        if let Some((sent, lost)) = self.0.hep {
            let help = "SIP messages for the capture server (trace.hep), by result.";
            out.family("trunkline_hep_messages_total", Kind::Counter, help);
            out.sample(&[("outcome", "sent")], sent);
            out.sample(&[("outcome", "lost")], lost);
        }
        self.write_sinks(out);
        if let Some((open, limit)) = self.0.descriptors {
            out.gauge("process_open_fds", "Open file descriptors.", open);
            out.gauge("process_max_fds", "Limit of open file descriptors.", limit);
        }
        let Some(process) = self.0.process else { return };
        let help = "Start time of the process, in Unix time.";
        out.gauge("process_start_time_seconds", help, process.started);
        let help = "CPU time of the process, user and system.";
        out.seconds("process_cpu_seconds_total", Kind::Counter, help, process.cpu_ms);
        out.gauge("process_resident_memory_bytes", "Resident memory.", process.resident);
        out.gauge("process_virtual_memory_bytes", "Virtual memory.", process.virtual_memory);
        out.gauge("process_threads", "Threads of the process.", process.threads);
    }

    /// A trunk or peer is up while one of its destinations answers; we are registered at a trunk while one of them has
    /// us.
    fn write_trunks(&self, out: &mut Exposition) {
        let mut registered: BTreeMap<&str, bool> = BTreeMap::new();
        for (trunk, one) in &self.0.trunk_registrations {
            *registered.entry(trunk).or_default() |= one;
        }
        let help = "Whether we are registered at the trunk's carrier.";
        out.family("trunkline_trunk_registered", Kind::Gauge, help);
        for (trunk, one) in registered {
            out.sample(&[("trunk", trunk)], u64::from(one));
        }
        for (kind, list) in [("trunk", &self.0.trunks), ("peer", &self.0.peers)] {
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
        for d in &self.0.destinations {
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
            for d in &self.0.destinations {
                if let Some(time) = time(d) {
                    let labels = [("kind", d.kind), ("ref", &d.reference), ("target", &d.target)];
                    out.sample(&labels, time);
                }
            }
        }
    }
}
