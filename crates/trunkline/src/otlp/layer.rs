//! The spans of `tracing` that are for the collector.

use std::fmt::Debug;

use tracing::Subscriber;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;
use trunkline_publisher::{
    Attribute, FinishedSpan, SpanId, SpanKind, SpanQueue, TraceId, parent_of, unix_nanos,
};

/// Gives spans to the exporter when they end. Three fields say something of the span itself: `otlp.name`,
/// `otlp.parent` (a `traceparent`) and `otlp.error`.
pub struct SpanLayer(pub SpanQueue);

/// What is gathered of a span.
struct Open {
    span: FinishedSpan,
}

impl Visit for Open {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "otlp.name" => value.clone_into(&mut self.span.name),
            "otlp.parent" => {
                if let Some((trace, parent)) = parent_of(value) {
                    (self.span.trace, self.span.parent) = (trace, Some(parent));
                }
            }
            "otlp.error" => self.span.error = Some(value.to_owned()),
            name => self.span.attributes.push((name, value.into())),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.span.attributes.push((field.name(), value.into()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.record_i64(field, i64::try_from(value).unwrap_or(i64::MAX));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.span.attributes.push((field.name(), Attribute::Bool(value)));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

impl<S: Subscriber + for<'l> LookupSpan<'l>> Layer<S> for SpanLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut open = Open {
            span: FinishedSpan {
                trace: TraceId::fresh(),
                id: SpanId::fresh(),
                parent: None,
                name: attributes.metadata().name().to_owned(),
                kind: SpanKind::Server,
                start: unix_nanos(),
                end: 0,
                attributes: Vec::new(),
                error: None,
            },
        };
        attributes.record(&mut open);
        span.extensions_mut().insert(open);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(open) = span.extensions_mut().get_mut::<Open>()
        {
            values.record(open);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let open = context.span(&id).and_then(|span| span.extensions_mut().remove::<Open>());
        if let Some(Open { mut span }) = open {
            span.end = unix_nanos();
            self.0.push(span);
        }
    }
}
