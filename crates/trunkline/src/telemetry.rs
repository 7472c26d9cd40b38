//! Logs: events with fields, on standard error; the last ones are kept in memory for the REST API of Routr v1.
//!
//! Logged text may come from outside: from phones, carriers, the media relay, name servers. It is escaped here, in one
//! place for all of them, so that nothing writes lines of its own or commands the operator's terminal.

use std::collections::VecDeque;
use std::fmt::{Debug, Write as _};
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use tracing::Metadata;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::debug_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};
use trunkline_config::{Log, LogFormat};
use trunkline_model::document::{is_obeyed, printable};

use crate::otlp::{self, SpanLayer};

/// How much of the log is kept, in bytes.
const KEPT: usize = 256 * 1024;

static LAST: Mutex<VecDeque<u8>> = Mutex::new(VecDeque::new());

/// Starts logging as configured. Spans for the collector are no part of the log; while nobody wants them, none are made.
pub fn init(log: &Log) {
    let mut filter = EnvFilter::try_new(&log.level).unwrap_or_else(|_| EnvFilter::new("info"));
    // The library of NATS repeats at each attempt what is told once by those who use it.
    let quiet = (!log.level.contains("async_nats")).then_some("async_nats");
    let off = [otlp::TARGET].into_iter().chain(quiet).map(|target| format!("{target}=off"));
    for directive in off.filter_map(|directive| directive.parse().ok()) {
        filter = filter.add_directive(directive);
    }
    let ansi = io::stderr().is_terminal();
    let spans = otlp::queue().map(|queue| SpanLayer(queue.clone()).with_filter(filter_fn(of_spans)));
    let registry = tracing_subscriber::registry().with(spans);
    let layer = tracing_subscriber::fmt::layer().with_ansi(ansi);
    match log.format {
        LogFormat::Json => registry.with(layer.with_writer(|| Json(Both)).json().with_filter(filter)).init(),
        LogFormat::Text => {
            registry.with(layer.fmt_fields(text_fields()).with_writer(|| Both).with_filter(filter)).init();
        }
    }
}

fn of_spans(metadata: &Metadata<'_>) -> bool {
    metadata.target() == otlp::TARGET
}

/// Fields as `name=value`, in one line but for the event's own words: their further lines are indented, so that none
/// looks like another event.
fn text_fields() -> impl for<'w> FormatFields<'w> + 'static {
    debug_fn(|writer, field, value: &dyn Debug| {
        let text = format!("{value:?}");
        match field.name() {
            "message" => {
                let mut lines = text.split('\n');
                let first = lines.next().unwrap_or_default();
                write!(writer, "{}", printable(first))?;
                lines.try_for_each(|line| write!(writer, "\n    {}", printable(line)))
            }
            name => write!(writer, "{}={}", name.strip_prefix("r#").unwrap_or(name), printable(&text)),
        }
    })
    .delimited(" ")
}

/// The last of the log.
pub fn recent() -> String {
    let last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let bytes: Vec<u8> = last.iter().copied().collect();
    // The oldest line may have lost its beginning.
    let begin =
        if bytes.len() == KEPT { bytes.iter().position(|b| *b == b'\n').map_or(0, |at| at + 1) } else { 0 };
    String::from_utf8_lossy(bytes.get(begin..).unwrap_or_default()).into_owned()
}

/// Standard error, and what is kept.
struct Both;

impl Write for Both {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // That nobody reads the log any more, or its disk is full, ends no calls; told of it the subscriber would panic.
        let _ = io::stderr().write_all(bytes);
        let part = bytes.get(bytes.len().saturating_sub(KEPT)..).unwrap_or_default();
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        let over = (last.len() + part.len()).saturating_sub(KEPT);
        last.drain(..over);
        last.extend(part);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The same for JSON, which escapes what a terminal obeys in part only.
struct Json<W>(W);

impl<W: Write> Write for Json<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            match c != '\n' && is_obeyed(c) {
                true => drop(write!(out, "\\u{:04x}", u32::from(c))),
                false => out.push(c),
            }
        }
        self.0.write_all(out.as_bytes()).map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// What is logged through either kind of subscriber.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Kept {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().expect("no panic").clone()).expect("UTF-8")
        }
    }

    const FOUL: &str = "a\r\n2026-01-01 WARN forged\u{1b}[2J\u{9b}31m\u{7}\u{202e}b";

    fn say() {
        tracing::warn!(reason = %FOUL, text = FOUL, r#type = ?FOUL, n = 7, "two\nlines: {FOUL}");
    }

    #[test]
    fn no_field_obeys_its_writer() {
        let kept = Kept::default();
        let writer = kept.clone();
        let text = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone());
        tracing::subscriber::with_default(text.fmt_fields(text_fields()).finish(), say);
        let log = kept.text();
        assert!(
            log.lines().skip(1).all(|line| line.starts_with("    ")) && log.lines().count() == 3,
            "{log}"
        );
        assert!(!log.contains(|c| c != '\n' && is_obeyed(c)), "{log:?}");
        assert!(
            log.contains(r"reason=a\r\n2026-01-01 WARN forged\u{1b}[2J") && log.contains(" n=7"),
            "{log}"
        );
        assert!(log.contains(" type=\"a"), "{log}");

        let kept = Kept::default();
        let writer = kept.clone();
        let json = tracing_subscriber::fmt().with_writer(move || Json(writer.clone())).json().finish();
        tracing::subscriber::with_default(json, say);
        let log = kept.text();
        let line = log.strip_suffix('\n').expect("a line");
        assert!(!line.contains(is_obeyed), "{line:?}");
        let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(value["fields"]["reason"], FOUL);
    }

    #[test]
    fn the_last_lines_are_kept_and_no_more() {
        for n in 0..6_000 {
            writeln!(Both, "line {n:0>60}").expect("written");
        }
        let kept = recent();
        assert!(kept.len() <= KEPT && kept.len() > KEPT - 100, "{}", kept.len());
        assert!(kept.starts_with("line ") && kept.ends_with(&format!("{:0>60}\n", 5_999)));
    }
}
