//! The process, as the REST API of Routr v1 sees it.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;
use trunkline_config::Env;
use trunkline_location::{ContactChange, Register};
use trunkline_model::dialect::v1::{Documents, Edition};
use trunkline_rest_v1::{GatewayRegistration, ManualEntry, RegisteredContact, RestBackend, Stop};
use trunkline_sip::{ConnectionId, Flow, Scheme, Transport, Uri};
use trunkline_store::{Store, Write, WriteError};

use crate::base::OpenResources;
use crate::operations::{Operations, text};
use crate::roles::SipView;
use crate::telemetry;
use crate::time::{unix_ms, unix_seconds};

/// The process, as the API sees it.
pub struct ProcessBackend {
    resources: Arc<OpenResources>,
    operations: Arc<Operations>,
    /// The operator's configuration.
    document: Value,
    env: Env,
}

/// The variables that early editions list, set or not.
const EARLY: [&str; 8] = [
    "ROUTR_JAVA_OPTS",
    "ROUTR_DS_PROVIDER",
    "ROUTR_DS_PARAMETERS",
    "ROUTR_CONFIG_PATH",
    "ROUTR_SALT",
    "ROUTR_EXTERN_ADDR",
    "ROUTR_LOCALNETS",
    "ROUTR_REGISTRAR_INTF",
];

impl ProcessBackend {
    pub fn new(
        resources: Arc<OpenResources>,
        operations: Arc<Operations>,
        document: Value,
    ) -> ProcessBackend {
        ProcessBackend { resources, operations, document, env: Env::of_process() }
    }

    /// SIP in this process, if it has that role.
    fn sip(&self) -> Option<&SipView> {
        self.operations.sip.as_deref()
    }

    /// Walks over all live bindings.
    fn each(&self, mut see: impl FnMut(String, &trunkline_location::Binding<'_>)) {
        let Some(sip) = self.sip() else { return };
        let now = unix_ms();
        let mut next = Some(0);
        while let Some(from) = next {
            next = sip.shared.location.list(from, 1_000, now, |aor, binding| see(text(aor), &binding));
        }
    }
}

/// Values that nobody who may look is to see.
fn masked(name: &str, value: &str) -> String {
    let named =
        name.ends_with("SALT") || ["PASSWORD", "SECRET", "JAAS"].iter().any(|word| name.contains(word));
    let secret = named || value.contains("secret=");
    if secret { "***".to_owned() } else { value.to_owned() }
}

/// A contact with the address that its REGISTER came from, as Routr writes it.
fn at_source(contact: &[u8], remote: SocketAddr) -> Option<String> {
    let uri = Uri::parse(contact).ok()?;
    let scheme = if uri.scheme == Scheme::Sips { "sips" } else { "sip" };
    let user = uri.user.map(|user| format!("{}@", text(user))).unwrap_or_default();
    let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
    Some(format!("{scheme}:{user}{remote}{}", text(uri.params)))
}

/// Does the contact name this address?
fn is_at(contact: &[u8], remote: SocketAddr) -> bool {
    let Ok(uri) = Uri::parse(contact) else { return false };
    let port = uri.port.unwrap_or(if uri.scheme == Scheme::Sips { 5061 } else { 5060 });
    uri.ip().is_some_and(|ip| ip == remote.ip().to_canonical()) && port == remote.port()
}

impl RestBackend for ProcessBackend {
    fn edition(&self) -> Edition {
        match &*self.resources.store {
            Store::RoutrV1(files) => files.edition(),
            Store::Files(_) | Store::Sqlite(_) | Store::Memory(_) => Edition::default(),
        }
    }

    fn documents(&self) -> Arc<Documents> {
        match &*self.resources.store {
            Store::RoutrV1(files) => files.documents(),
            Store::Files(_) | Store::Sqlite(_) | Store::Memory(_) => Arc::default(),
        }
    }

    fn is_writable(&self) -> bool {
        matches!(&*self.resources.store, Store::RoutrV1(v1) if v1.is_writable())
    }

    fn write(&self, write: Write) -> Result<String, WriteError> {
        match &*self.resources.store {
            Store::RoutrV1(v1) => v1.write(write),
            Store::Files(_) | Store::Sqlite(_) | Store::Memory(_) => Err(WriteError::ReadOnly),
        }
    }

    fn knows_user(&self, username: &str) -> bool {
        let tables = self.resources.store.live().load();
        tables.user_by_username(username.as_bytes()).is_some_and(|user| user.enabled)
    }

    fn bindings(&self) -> Vec<RegisteredContact> {
        let now = unix_ms();
        let Some(sip) = self.sip() else { return Vec::new() };
        let by_source = sip.shared.config.registrar.by_source;
        let mut found = Vec::new();
        self.each(|aor, binding| {
            let rewritten = binding.behind_nat && by_source.covers(binding.flow.transport);
            let from = rewritten.then(|| at_source(binding.uri, binding.flow.remote)).flatten();
            found.push(RegisteredContact {
                aor,
                nat: binding.behind_nat && !is_at(binding.uri, binding.flow.remote),
                contact: from.unwrap_or_else(|| text(binding.uri)),
                expires: binding.expires_in(now),
            });
        });
        found
    }

    fn gateways(&self) -> Vec<GatewayRegistration> {
        let now = unix_ms();
        let registrations = self.sip().map(|sip| sip.shared.trunk_registrations()).unwrap_or_default();
        let registered = registrations.into_iter().filter(|r| r.registered);
        registered
            .map(|r| {
                let (username, host) = r.aor.split_once('@').unwrap_or(("", &r.aor));
                GatewayRegistration {
                    gateway: r.trunk.to_string(),
                    username: username.to_owned(),
                    host: host.to_owned(),
                    ip: r.address,
                    expires: r.until.map_or(0, |until| until.saturating_sub(now) / 1000),
                    since: r.since,
                }
            })
            .collect()
    }

    fn evict(&self, aor: Option<&str>) -> usize {
        let Some(sip) = self.sip() else { return 0 };
        let mut aors = Vec::new();
        match aor {
            Some(aor) => aors.push(aor.to_owned()),
            None => self.each(|aor, _| aors.push(aor)),
        }
        let kick = |aor: &String| sip.shared.location.kick(aor.as_bytes(), None, unix_ms());
        aors.iter().map(kick).sum()
    }

    fn add(&self, aor: &str, entry: &ManualEntry) -> Result<(), String> {
        let Some(sip) = self.sip() else {
            return Err("this process does not run the role `exchange`".into());
        };
        let remote = SocketAddr::new(entry.address, entry.port);
        let ours = sip
            .listening
            .iter()
            .find(|l| l.transport == Transport::Udp && l.address.is_ipv4() == remote.is_ipv4());
        let Some(ours) = ours else { return Err(format!("nothing listens on UDP for {remote}")) };
        let contact = format!("sip:{}@{remote}", entry.user);
        let changes = [ContactChange::new(contact.as_bytes(), entry.expires)];
        let flow =
            Flow { transport: Transport::Udp, local: ours.address, remote, connection: ConnectionId::NONE };
        // One of these after the other is in order.
        let cseq = u32::try_from(unix_seconds()).unwrap_or(u32::MAX);
        let register = Register::new(aor.as_bytes(), b"rest-v1", cseq, flow, &changes);
        let added = sip.shared.location.register(&register, unix_ms(), |_| {});
        added.map(drop).map_err(|error| error.to_string())
    }

    fn configuration(&self) -> Value {
        self.document.clone()
    }

    fn environment(&self) -> Vec<(String, Option<String>)> {
        match self.edition() {
            Edition::Rc2 => EARLY
                .map(|name| {
                    let value = std::env::var(name).ok();
                    (name.to_owned(), value.map(|value| masked(name, &value)))
                })
                .to_vec(),
            Edition::Late => {
                let set = self.env.of_routr_v1();
                set.map(|(name, value)| (name.to_owned(), Some(masked(name, value)))).collect()
            }
        }
    }

    fn started(&self) -> i64 {
        self.operations.started
    }

    fn log(&self) -> String {
        telemetry::recent()
    }

    fn stop(&self, stop: Stop) {
        self.operations.end(stop);
    }
}

#[cfg(test)]
mod tests {
    use super::{at_source, is_at, masked};

    #[test]
    fn contacts_are_shown_with_the_address_they_came_from() {
        let remote = "192.0.2.1:40000".parse().expect("an address");
        for (contact, shown, there) in [
            ("sip:1001@10.0.0.1:5062;transport=udp", "sip:1001@192.0.2.1:40000;transport=udp", false),
            ("sips:10.0.0.1", "sips:192.0.2.1:40000", false),
            ("sip:1001@192.0.2.1:40000", "sip:1001@192.0.2.1:40000", true),
            ("sip:1001@192.0.2.1", "sip:1001@192.0.2.1:40000", false),
        ] {
            assert_eq!(at_source(contact.as_bytes(), remote).as_deref(), Some(shown));
            assert_eq!(is_at(contact.as_bytes(), remote), there, "{contact}");
        }
        let mapped = "[::ffff:192.0.2.1]:40000".parse().expect("an address");
        assert_eq!(at_source(b"sip:a@b", mapped).as_deref(), Some("sip:a@192.0.2.1:40000"));
        assert!(is_at(b"sip:a@192.0.2.1:40000", mapped));
    }

    #[test]
    fn secrets_are_masked() {
        for (name, value, shown) in [
            ("SALT", "abc", "***"),
            ("ROUTR_SALT", "abc", "***"),
            ("SALT_FILE", "/etc/salt", "/etc/salt"),
            ("REST_SERVICE_KEY_STORE_PASSWORD", "abc", "***"),
            ("INITIAL_API_SECRET", "abc", "***"),
            ("DATA_SOURCE_PARAMETERS", "host=a,secret=b", "***"),
            ("EXTERN_ADDR", "192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(masked(name, value), shown, "{name}");
        }
    }
}
