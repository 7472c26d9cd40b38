//! The counters of a proxy, in Prometheus' format.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use trunkline_ari::Kind;

/// Upper bounds of the buckets of request times, in microseconds.
const BUCKETS: [u64; 10] =
    [500, 1_000, 2_000, 5_000, 10_000, 25_000, 100_000, 500_000, 2_000_000, 10_000_000];

/// The counters. None has a call's or channel's id in its labels.
pub struct Metrics {
    requests: Vec<[AtomicU64; 2]>,
    times: [AtomicU64; BUCKETS.len()],
    time_sum: AtomicU64,
    time_count: AtomicU64,
    pub(crate) unreadable: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) handed_over: AtomicU64,
    pub(crate) answers_too_long: AtomicU64,
    pub(crate) events_too_long: AtomicU64,
    pub(crate) twins: AtomicU64,
    pub(crate) replaced: AtomicU64,
    pub(crate) in_flight: AtomicI64,
    pub(crate) events: AtomicU64,
    pub(crate) dialog_events: AtomicU64,
    pub(crate) events_dropped: AtomicU64,
    pub(crate) events_waiting: AtomicU64,
    pub(crate) frames_unreadable: AtomicU64,
    pub(crate) ari_connects: AtomicU64,
    pub(crate) nats_connects: AtomicU64,
    pub(crate) stream_published: AtomicU64,
    pub(crate) stream_dropped: AtomicU64,
    pub(crate) stream_waiting: AtomicU64,
    pub(crate) dialogs: AtomicU64,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics {
            requests: Kind::ALL.iter().map(|_| Default::default()).collect(),
            times: Default::default(),
            time_sum: AtomicU64::new(0),
            time_count: AtomicU64::new(0),
            unreadable: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            handed_over: AtomicU64::new(0),
            answers_too_long: AtomicU64::new(0),
            events_too_long: AtomicU64::new(0),
            twins: AtomicU64::new(0),
            replaced: AtomicU64::new(0),
            in_flight: AtomicI64::new(0),
            events: AtomicU64::new(0),
            dialog_events: AtomicU64::new(0),
            events_dropped: AtomicU64::new(0),
            events_waiting: AtomicU64::new(0),
            frames_unreadable: AtomicU64::new(0),
            ari_connects: AtomicU64::new(0),
            nats_connects: AtomicU64::new(0),
            stream_published: AtomicU64::new(0),
            stream_dropped: AtomicU64::new(0),
            stream_waiting: AtomicU64::new(0),
            dialogs: AtomicU64::new(0),
        }
    }
}

impl Metrics {
    /// A request was answered.
    pub(crate) fn request(&self, kind: Kind, ok: bool, took: Duration) {
        if let Some(counts) = self.requests.get(kind as usize) {
            let [good, bad] = counts;
            if ok { good } else { bad }.fetch_add(1, Relaxed);
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(n) = BUCKETS.iter().position(|b| micros <= *b)
            && let Some(bucket) = self.times.get(n)
        {
            bucket.fetch_add(1, Relaxed);
        }
        self.time_sum.fetch_add(micros, Relaxed);
        self.time_count.fetch_add(1, Relaxed);
    }

    /// How many requests were answered.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.time_count.load(Relaxed)
    }

    /// How many events came from Asterisk.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events.load(Relaxed)
    }

    /// How many events were lost because NATS was away for too long.
    #[must_use]
    pub fn events_dropped(&self) -> u64 {
        self.events_dropped.load(Relaxed)
    }

    /// Everything in Prometheus' text format.
    #[must_use]
    pub fn render(&self, ari_up: bool, nats_up: bool) -> String {
        let mut out = String::with_capacity(4096);
        let mut gauge = |name: &str, kind: &str, help: &str, value: i128| {
            // Writing into a String cannot fail.
            let _ = writeln!(
                out,
                "# HELP trunkline_ari_{name} {help}\n# TYPE trunkline_ari_{name} {kind}\ntrunkline_ari_{name} {value}"
            );
        };
        let of = |n: &AtomicU64| i128::from(n.load(Relaxed));
        gauge("asterisk_up", "gauge", "Whether Asterisk's event WebSocket is open.", ari_up.into());
        gauge("nats_up", "gauge", "Whether NATS is connected.", nats_up.into());
        gauge(
            "asterisk_connects_total",
            "counter",
            "Successful connections to Asterisk.",
            of(&self.ari_connects),
        );
        gauge("nats_connects_total", "counter", "Successful connections to NATS.", of(&self.nats_connects));
        gauge("requests_in_flight", "gauge", "Requests under way.", self.in_flight.load(Relaxed).into());
        gauge("requests_unreadable_total", "counter", "Requests that were not JSON.", of(&self.unreadable));
        gauge("requests_refused_total", "counter", "Requests beyond the limit.", of(&self.refused));
        gauge(
            "requests_handed_over_total",
            "counter",
            "Create requests that were passed to another proxy when Asterisk died.",
            of(&self.handed_over),
        );
        gauge(
            "answers_too_long_total",
            "counter",
            "Answers longer than one NATS message.",
            of(&self.answers_too_long),
        );
        gauge(
            "events_too_long_total",
            "counter",
            "Events longer than one NATS message, which are lost.",
            of(&self.events_too_long),
        );
        gauge("twins", "gauge", "Other proxies with the same application and node.", of(&self.twins));
        gauge(
            "application_replaced_total",
            "counter",
            "Times another client took over the application at Asterisk.",
            of(&self.replaced),
        );
        gauge("events_total", "counter", "Events from Asterisk.", of(&self.events));
        gauge("dialog_events_total", "counter", "Copies of events for dialogs.", of(&self.dialog_events));
        gauge(
            "events_dropped_total",
            "counter",
            "Events lost while NATS was not connected.",
            of(&self.events_dropped),
        );
        gauge("events_waiting_bytes", "gauge", "Bytes of events waiting for NATS.", of(&self.events_waiting));
        gauge(
            "frames_unreadable_total",
            "counter",
            "WebSocket messages that were not events.",
            of(&self.frames_unreadable),
        );
        gauge("dialog_things", "gauge", "Objects bound to dialogs.", of(&self.dialogs));
        gauge(
            "stream_published_total",
            "counter",
            "Events stored in the stream.",
            of(&self.stream_published),
        );
        gauge(
            "stream_dropped_total",
            "counter",
            "Events lost because the outbox was full.",
            of(&self.stream_dropped),
        );
        gauge("stream_waiting_bytes", "gauge", "Bytes waiting for the stream.", of(&self.stream_waiting));
        let _ = writeln!(
            out,
            "# HELP trunkline_ari_requests_total Requests answered.\n# TYPE trunkline_ari_requests_total counter"
        );
        for (kind, [good, bad]) in Kind::ALL.iter().zip(&self.requests) {
            for (outcome, count) in [("ok", good), ("error", bad)] {
                let count = count.load(Relaxed);
                if count > 0 {
                    let _ = writeln!(
                        out,
                        "trunkline_ari_requests_total{{kind=\"{}\",outcome=\"{outcome}\"}} {count}",
                        kind.name()
                    );
                }
            }
        }
        let name = "trunkline_ari_request_seconds";
        let _ = writeln!(
            out,
            "# HELP {name} Time from a request's arrival to its answer.\n# TYPE {name} histogram"
        );
        let mut below = 0;
        for (bound, count) in BUCKETS.iter().zip(&self.times) {
            below += count.load(Relaxed);
            let _ = writeln!(out, "{name}_bucket{{le=\"{}\"}} {below}", *bound as f64 / 1e6);
        }
        let count = self.time_count.load(Relaxed);
        let _ = writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {count}");
        let _ =
            writeln!(out, "{name}_sum {}\n{name}_count {count}", self.time_sum.load(Relaxed) as f64 / 1e6);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_kind_and_time() {
        let m = Metrics::default();
        m.request(Kind::ChannelData, true, Duration::from_micros(700));
        m.request(Kind::ChannelData, false, Duration::from_secs(60));
        let text = m.render(true, false);
        assert!(text.contains("requests_total{kind=\"ChannelData\",outcome=\"ok\"} 1"));
        assert!(text.contains("request_seconds_bucket{le=\"0.0005\"} 0\n"));
        assert!(text.contains("request_seconds_bucket{le=\"0.001\"} 1\n"));
        assert!(text.contains("request_seconds_bucket{le=\"10\"} 1\n"));
        assert!(text.contains("request_seconds_count 2"));
        assert!(text.contains("trunkline_ari_asterisk_up 1\n") && text.contains("trunkline_ari_nats_up 0\n"));
    }
}
