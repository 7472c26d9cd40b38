//! The role `control`: the Unix socket by which the command line reaches this process.

use std::io;
use std::sync::Arc;

use anyhow::Result;
use trunkline_calls::Records;
use trunkline_cli::protocol::{
    CallRecord, Descriptors, ExplainQuery, Explained, Happened, LiveCall, RecordQuery, Registration, Status,
};
use trunkline_cli::{ControlBackend, ControlServer};
use trunkline_sip::Transport;
use trunkline_store::Store;

use super::SipView;
use crate::base::{Base, OpenResources};
use crate::descriptors;
use crate::operations::{
    Operations, explain, follow_records, limits, read_records, some, text, trunk_registration,
};
use crate::time::{seconds, unix_ms};

/// The socket at work; dropping it removes it.
pub struct Control {
    _server: ControlServer,
}

impl Control {
    /// Opens the socket and answers.
    pub fn build(base: &Base, operations: &Arc<Operations>) -> Result<Control> {
        let backend = ControlAnswers { resources: base.resources()?, operations: operations.clone() };
        let server = ControlServer::start(&base.config.control_socket(), Arc::new(backend))?;
        Ok(Control { _server: server })
    }
}

/// Answers the command line.
struct ControlAnswers {
    resources: Arc<OpenResources>,
    operations: Arc<Operations>,
}

impl ControlAnswers {
    fn sip(&self) -> Result<&SipView, String> {
        let sip = self.operations.sip.as_deref();
        sip.ok_or_else(|| "this process does not run the role `exchange`: ask the process that does".into())
    }
}

impl ControlAnswers {
    fn call_records(&self) -> Result<&Records, String> {
        let records = self.sip()?.records.as_ref();
        records.ok_or_else(|| "call records are off: set calls.records to on".into())
    }
}

impl ControlBackend for ControlAnswers {
    fn store(&self) -> &Store {
        &self.resources.store
    }

    fn status(&self) -> Status {
        let (operations, config) = (&self.operations, &self.operations.base.config);
        let degraded = operations.parts().into_iter().filter(|p| !p.ok);
        let mut status = Status {
            running: true,
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            descriptors: descriptors::figures().map(|(open, limit)| Descriptors { open, limit }),
            started: operations.started,
            roles: config.roles.iter().map(|role| role.as_str().to_owned()).collect(),
            listeners: operations.listeners(),
            store: config.store_url(),
            trunks: operations.destinations(),
            degraded: degraded.map(|p| format!("{}: {}", p.name, p.reason.unwrap_or_default())).collect(),
            ..Status::default()
        };
        if let Some(sip) = &operations.sip {
            let shared = &sip.shared;
            status.workers = shared.counters.len();
            status.registrations = shared.location.stats().bindings;
            status.calls = shared.calls.stats().live;
            status.trunk_registrations =
                shared.trunk_registrations().into_iter().map(trunk_registration).collect();
            status.limits = limits(shared);
            for (name, value) in shared.counters.iter().flat_map(|shard| shard.all()) {
                *status.counters.entry(name.to_owned()).or_insert(0) += value;
            }
        }
        status
    }

    fn transports(&self) -> Option<Vec<Transport>> {
        let sip = self.operations.sip.as_ref()?;
        Some(sip.listening.iter().map(|listener| listener.transport).collect())
    }

    fn registrations(&self, filter: Option<&str>, limit: usize) -> Result<Vec<Registration>, String> {
        let (sip, now) = (self.sip()?, unix_ms());
        let filter = filter.map(str::to_lowercase);
        let holds = |text: &str| filter.as_ref().is_none_or(|f| text.to_lowercase().contains(f));
        let mut items = Vec::new();
        let mut next = Some(0);
        while let Some(from) = next.filter(|_| items.len() < limit) {
            next = sip.shared.location.list(from, 1_000, now, |aor, b| {
                let (aor, contact) = (text(aor), text(b.uri));
                if items.len() < limit && (holds(&aor) || holds(&contact)) {
                    items.push(Registration {
                        aor,
                        contact,
                        expires: i64::from(b.expires_in(now)),
                        q: Some(f32::from(b.q) / 1000.0),
                        flow: format!("{} {}", b.flow.transport, b.flow.remote),
                        user_agent: some(text(b.user_agent)),
                        instance: some(text(b.instance)),
                    });
                }
            });
        }
        items.sort_by(|a, b| (&a.aor, &a.contact).cmp(&(&b.aor, &b.contact)));
        Ok(items)
    }

    fn kick(&self, aor: &str, contact: Option<&str>) -> Result<usize, String> {
        Ok(self.sip()?.shared.location.kick(aor.as_bytes(), contact.map(str::as_bytes), unix_ms()))
    }

    fn calls(&self, filter: Option<&str>, limit: usize) -> Result<Vec<LiveCall>, String> {
        let sip = self.sip()?;
        let filter = filter.map(str::to_lowercase);
        let mut items = Vec::new();
        let mut next = Some(0);
        while let Some(from) = next.filter(|_| items.len() < limit) {
            next = sip.shared.calls.live(from, 1_000, |c| {
                let holds = |f: &String| {
                    [c.call_id, c.from, c.to, c.to_header, c.first_called, c.trunk_ref]
                        .iter()
                        .any(|part| text(part).to_lowercase().contains(f))
                };
                if items.len() >= limit || !filter.as_ref().is_none_or(holds) {
                    return;
                }
                items.push(LiveCall {
                    id: c.id,
                    call_id: text(c.call_id),
                    caller: text(c.from),
                    callee: text(c.to),
                    to: some(text(c.to_header)),
                    state: if c.answered.is_some() { "up" } else { "ringing" }.into(),
                    started: seconds(c.started),
                    answered: c.answered.map(seconds),
                    trunk: some(text(c.trunk_ref)),
                    source: Some(c.source.to_string()),
                    caller_ref: some(text(c.caller_ref)),
                });
            });
        }
        items.sort_by_key(|c| c.started);
        Ok(items)
    }

    fn explain(&self, query: &ExplainQuery) -> Result<Vec<Explained>, String> {
        let shared = &self.sip()?.shared;
        if shared.events.iter().all(|log| log.is_off()) {
            return Err("no events are kept: set events.memory in the configuration".into());
        }
        Ok(explain(shared, query))
    }

    fn records(&self, query: &RecordQuery) -> Result<Vec<CallRecord>, String> {
        let records = self.call_records()?;
        if query.before.is_none() {
            records.flush();
        }
        read_records(query, |filter, before| {
            records.records(filter, before, query.limit).map_err(|e| e.to_string())
        })
    }

    fn follow(
        &self,
        query: &RecordQuery,
        tell: &mut dyn FnMut(Happened) -> io::Result<()>,
    ) -> Result<(), String> {
        follow_records(self.call_records()?, query, tell);
        Ok(())
    }
}
