//! Prometheus' text format, version 0.0.4.

use std::fmt::Write as _;

/// Its media type.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows; its name ends with `_total`.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Durations in buckets.
    Histogram,
}

/// The text as it grows: a family, then its samples. A family without samples is left out.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
    name: String,
    /// Where the family's head begins, while it has no sample.
    empty: Option<usize>,
}

impl Exposition {
    /// A counter without labels; `name` ends with `_total`.
    pub fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, Kind::Counter, help);
        self.sample(&[], value);
    }

    /// A gauge without labels.
    pub fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, Kind::Gauge, help);
        self.sample(&[], value);
    }

    /// Begins a family; its samples follow, and no other family's come between.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        self.drop_empty();
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let begin = self.text.len();
        self.text.push_str("# HELP ");
        self.text.push_str(name);
        self.text.push(' ');
        escape(&mut self.text, help, false);
        // Writing into a String cannot fail.
        let _ = writeln!(self.text, "\n# TYPE {name} {kind}");
        self.name.clear();
        self.name.push_str(name);
        self.empty = Some(begin);
    }

    /// A counter or gauge of seconds without labels, given in milliseconds.
    pub fn seconds(&mut self, name: &str, kind: Kind, help: &str, ms: u64) {
        self.family(name, kind, help);
        self.suffixed("", &[], &seconds(ms));
    }

    /// A histogram of seconds, given in milliseconds: how many were in each bucket alone, and their sum.
    pub fn histogram(&mut self, name: &str, help: &str, buckets: &[(Option<u64>, u64)], sum_ms: u64) {
        self.family(name, Kind::Histogram, help);
        let mut count = 0;
        for (bound, more) in buckets {
            count += more;
            let bound = bound.map_or_else(|| "+Inf".to_owned(), seconds);
            self.suffixed("_bucket", &[("le", &bound)], &count.to_string());
        }
        self.suffixed("_sum", &[], &seconds(sum_ms));
        self.suffixed("_count", &[], &count.to_string());
    }

    /// A sample of the family begun last.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: u64) {
        self.suffixed("", labels, &value.to_string());
    }

    fn suffixed(&mut self, suffix: &str, labels: &[(&str, &str)], value: &str) {
        self.empty = None;
        self.text.push_str(&self.name);
        self.text.push_str(suffix);
        for (i, (label, value)) in labels.iter().enumerate() {
            let before = if i == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{before}{label}=\"");
            escape(&mut self.text, value, true);
            self.text.push('"');
        }
        let after = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{after} {value}");
    }

    /// The whole text.
    pub fn into_text(mut self) -> String {
        self.drop_empty();
        self.text
    }

    fn drop_empty(&mut self) {
        if let Some(begin) = self.empty.take() {
            self.text.truncate(begin);
        }
    }
}

/// Milliseconds as a decimal number of seconds, without zeros at its end.
fn seconds(ms: u64) -> String {
    let text = format!("{}.{:03}", ms / 1000, ms % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Backslash and line feed are escaped everywhere, quotes in labels only.
fn escape(out: &mut String, text: &str, label: bool) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if label => out.push_str("\\\""),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_samples_and_escapes() {
        let mut out = Exposition::default();
        out.counter("a_total", "How \"many\".\nReally", 3);
        out.family("nobody", Kind::Gauge, "Left out.");
        out.family("b", Kind::Gauge, "Two.");
        out.sample(&[("trunk", "x\"y\\z"), ("to", "a")], 1);
        out.sample(&[("trunk", "n\nl"), ("to", "b")], 0);
        out.histogram("h_seconds", "Durations.", &[(Some(250), 2), (Some(2_000), 0), (None, 1)], 3_050);
        out.family("nobody_else", Kind::Gauge, "Left out.");
        assert_eq!(
            out.into_text(),
            "# HELP a_total How \"many\".\\nReally\n# TYPE a_total counter\na_total 3\n\
             # HELP b Two.\n# TYPE b gauge\n\
             b{trunk=\"x\\\"y\\\\z\",to=\"a\"} 1\nb{trunk=\"n\\nl\",to=\"b\"} 0\n\
             # HELP h_seconds Durations.\n# TYPE h_seconds histogram\n\
             h_seconds_bucket{le=\"0.25\"} 2\nh_seconds_bucket{le=\"2\"} 2\nh_seconds_bucket{le=\"+Inf\"} 3\n\
             h_seconds_sum 3.05\nh_seconds_count 3\n"
        );
    }
}
