//! `kind: MessageDispatcher`.

use std::net::SocketAddr;

use trunkline_model::document::{Fields, Place};

use super::file::bind;

/// The configuration of `trunkline dispatcher`.
#[derive(Clone, Debug)]
pub struct DispatcherRole {
    /// `spec.bindAddr`.
    pub bind: SocketAddr,
    /// `spec.deadlineMs`: how long a processor or middleware may take.
    pub deadline_ms: u64,
    /// `spec.middlewares`, in their order.
    pub middlewares: Vec<MiddlewareEntry>,
    /// `spec.processors`, in their order.
    pub processors: Vec<ProcessorEntry>,
}

/// A middleware.
#[derive(Clone, Debug)]
pub struct MiddlewareEntry {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub addr: String,
    /// Where that is written.
    pub place: Place,
    /// Does it get messages after the processor?
    pub after: bool,
}

/// A processor.
#[derive(Clone, Debug)]
pub struct ProcessorEntry {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub addr: String,
    /// The methods that it wants.
    pub methods: Vec<String>,
    /// Which messages of these it wants: JavaScript.
    pub match_func: String,
    /// Where the address and the function are written.
    pub places: (Place, Place),
}

const METHODS: [(&str, &str); 14] = [
    ("REGISTER", "REGISTER"),
    ("INVITE", "INVITE"),
    ("MESSAGE", "MESSAGE"),
    ("PUBLISH", "PUBLISH"),
    ("NOTIFY", "NOTIFY"),
    ("SUBSCRIBE", "SUBSCRIBE"),
    ("ACK", "ACK"),
    ("BYE", "BYE"),
    ("CANCEL", "CANCEL"),
    ("OPTIONS", "OPTIONS"),
    ("PRACK", "PRACK"),
    ("INFO", "INFO"),
    ("REFER", "REFER"),
    ("UPDATE", "UPDATE"),
];

impl DispatcherRole {
    pub(super) fn read(top: &Fields<'_>) -> Option<DispatcherRole> {
        // Any version, as with Routr.
        top.text("apiVersion");
        let Some(spec) = top.map("spec") else {
            let help = "write `spec: {bindAddr: 0.0.0.0:51901, processors: […]}`".to_owned();
            top.error("spec", "the spec is required", Some(help));
            return None;
        };
        let bind = bind(&spec, SocketAddr::from(([0, 0, 0, 0], 51901)));
        let deadline_ms = spec.integer("deadlineMs", 100..=30_000).map_or(5_000, i64::unsigned_abs);
        let middlewares = spec.maps("middlewares").unwrap_or_default();
        let middlewares = middlewares.into_iter().filter_map(middleware).collect();
        let processors = match spec.maps("processors") {
            Some(all) => all.into_iter().filter_map(processor).collect(),
            None => {
                spec.error("processors", "the processors are required", None);
                Vec::new()
            }
        };
        spec.finish_open();
        Some(DispatcherRole { bind, deadline_ms, middlewares, processors })
    }
}

/// A text that must be there, and its place.
fn required(fields: &Fields<'_>, key: &'static str, example: &str) -> Option<(String, Place)> {
    let place = fields.node(key).map(|node| node.place.clone());
    match (fields.text(key).filter(|text| !text.trim().is_empty()), place) {
        (Some(text), Some(place)) => Some((text, place)),
        _ => {
            fields.error(key, format!("the {key} is required"), Some(format!("write `{key}: {example}`")));
            None
        }
    }
}

fn middleware(fields: Fields<'_>) -> Option<MiddlewareEntry> {
    let name = required(&fields, "ref", "simpleauth");
    let addr = required(&fields, "addr", "simpleauth:51903");
    let after = fields.boolean("postProcessor").unwrap_or_default();
    fields.finish_open();
    let ((name, _), (addr, place)) = (name?, addr?);
    Some(MiddlewareEntry { name, addr, place, after })
}

fn processor(fields: Fields<'_>) -> Option<ProcessorEntry> {
    let name = required(&fields, "ref", "connect-processor");
    let addr = required(&fields, "addr", "connect:51904");
    let function = required(&fields, "matchFunc", "req => true");
    let methods = fields.choices("methods", &METHODS);
    if methods.is_none() {
        fields.error(
            "methods",
            "the methods are required",
            Some("write `methods: [REGISTER, INVITE, ACK, BYE, CANCEL]`".to_owned()),
        );
    }
    fields.finish_open();
    let ((name, _), (addr, place), (match_func, of_function)) = (name?, addr?, function?);
    let methods = methods?.into_iter().map(str::to_owned).collect();
    Some(ProcessorEntry { name, addr, methods, match_func, places: (place, of_function) })
}
