//! The whole tree.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;

use crate::keys::Keys;
use crate::observing::{Log, Otlp, Trace};
use crate::sections::{
    AccessControl, Calls, Control, DigestUri, Dns, Events, Grpc, Handover, Http, Limits, Listen, Registrar,
    Role, Routing, RoutrV1, Tls,
};
use crate::setting::ExternalAddrs;

/// All settings, defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `data`: the store of the resources, by its URL; or a folder, in which `trunkline.db` is it.
    pub data: String,
    /// `database`: the SQLite file of bindings and call records; by default that of `data`.
    pub database: Option<PathBuf>,
    /// `domain`: the domain that our own addresses stand for; the first start makes it.
    pub domain: String,
    /// `userAgent`: the name in Server and User-Agent of our own messages; empty for none.
    pub user_agent: String,
    /// `roles`: the roles of this process.
    pub roles: Vec<Role>,
    /// `workers`: threads for SIP; 0: one per core.
    pub workers: u16,
    /// `handover`.
    pub handover: Handover,
    /// `stateless`: forward without transactions.
    pub stateless: bool,
    /// `listen`.
    pub listen: Listen,
    /// `externalAddrs`: addresses and names the outside sees us under.
    pub external_addrs: ExternalAddrs,
    /// `localnets`: networks that see us under our own address there; by default those of the interfaces.
    pub localnets: Vec<IpNet>,
    /// `accessControl`.
    pub access_control: AccessControl,
    /// `digestUri`: how closely the `uri` of a digest must name what is asked for.
    pub digest_uri: DigestUri,
    /// `limits`.
    pub limits: Limits,
    /// `events`.
    pub events: Events,
    /// `registrar`.
    pub registrar: Registrar,
    /// `routing`.
    pub routing: Routing,
    /// `tls`.
    pub tls: Tls,
    /// `dns`.
    pub dns: Dns,
    /// `rtpengine`: the address of its NG protocol; media is relayed if it is set.
    pub rtpengine: Option<SocketAddr>,
    /// `mediaTimeoutSeconds`: a relayed call without media for so long ends; 0: never.
    pub media_timeout_seconds: u32,
    /// `http`.
    pub http: Http,
    /// `grpc`.
    pub grpc: Grpc,
    /// `routrV1`.
    pub routr_v1: RoutrV1,
    /// `control`.
    pub control: Control,
    /// `calls`.
    pub calls: Calls,
    /// `trace`.
    pub trace: Trace,
    /// `otlp`.
    pub otlp: Otlp,
    /// `log`.
    pub log: Log,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            data: "sqlite:trunkline.db".into(),
            database: None,
            domain: "sip.local".into(),
            user_agent: "Trunkline".into(),
            roles: vec![Role::Exchange, Role::Health, Role::Control, Role::Api, Role::RestV1],
            workers: 0,
            handover: Handover::default(),
            stateless: false,
            listen: Listen::default(),
            external_addrs: ExternalAddrs::default(),
            localnets: Vec::new(),
            access_control: AccessControl::default(),
            digest_uri: DigestUri::User,
            limits: Limits::default(),
            events: Events::default(),
            registrar: Registrar::default(),
            routing: Routing::default(),
            tls: Tls::default(),
            dns: Dns::default(),
            rtpengine: None,
            media_timeout_seconds: 0,
            http: Http::default(),
            grpc: Grpc::default(),
            routr_v1: RoutrV1::default(),
            control: Control::default(),
            calls: Calls::default(),
            trace: Trace::default(),
            otlp: Otlp::default(),
            log: Log::default(),
        }
    }
}

const DATABASE: &str = "trunkline.db";

/// Schemes of the resources of a Routr v1.
pub(crate) const ROUTR_V1: [&str; 5] =
    ["routr-v1", "routr-v1-rc2", "routr-v1-redis", "routr-v1-rc2-redis", "routr-v1-rest"];

impl Config {
    pub(crate) fn keys(&mut self, keys: &mut Keys<'_>) {
        keys.value("data", &mut self.data);
        keys.value("database", &mut self.database);
        keys.value("domain", &mut self.domain);
        keys.value("userAgent", &mut self.user_agent);
        keys.value("roles", &mut self.roles);
        keys.value("workers", &mut self.workers);
        keys.section("handover", |keys| self.handover.keys(keys));
        keys.value("stateless", &mut self.stateless);
        keys.section("listen", |keys| self.listen.keys(keys));
        keys.value("externalAddrs", &mut self.external_addrs);
        keys.value("localnets", &mut self.localnets);
        keys.section("accessControl", |keys| self.access_control.keys(keys));
        keys.value("digestUri", &mut self.digest_uri);
        keys.section("limits", |keys| self.limits.keys(keys));
        keys.section("events", |keys| self.events.keys(keys));
        keys.section("registrar", |keys| self.registrar.keys(keys));
        keys.section("routing", |keys| self.routing.keys(keys));
        keys.section("tls", |keys| self.tls.keys(keys));
        keys.section("dns", |keys| self.dns.keys(keys));
        keys.value("rtpengine", &mut self.rtpengine);
        keys.value("mediaTimeoutSeconds", &mut self.media_timeout_seconds);
        keys.section("http", |keys| self.http.keys(keys));
        keys.section("grpc", |keys| self.grpc.keys(keys));
        keys.section("routrV1", |keys| self.routr_v1.keys(keys));
        keys.section("control", |keys| self.control.keys(keys));
        keys.section("calls", |keys| self.calls.keys(keys));
        keys.section("trace", |keys| self.trace.keys(keys));
        keys.section("otlp", |keys| self.otlp.keys(keys));
        keys.section("log", |keys| self.log.keys(keys));
    }

    /// The URL of the resource store, for `trunkline_store::Store::open`.
    pub fn store_url(&self) -> String {
        match self.data.split_once(':') {
            Some(("sqlite" | "files" | "memory", _)) => self.data.clone(),
            Some(("postgres" | "postgresql", at)) if at.starts_with("//") => self.data.clone(),
            Some((scheme, _)) if ROUTR_V1.contains(&scheme) => self.data.clone(),
            _ => format!("sqlite:{}", Path::new(&self.data).join(DATABASE).display()),
        }
    }

    /// The SQLite file of bindings and call records; `None` if nothing is to survive the process.
    pub fn database_file(&self) -> Option<PathBuf> {
        if let Some(file) = &self.database {
            return Some(file.clone());
        }
        match self.store_url().split_once(':') {
            Some(("sqlite", file)) => Some(PathBuf::from(file)),
            Some(("memory", _)) => None,
            _ => Some(PathBuf::from(DATABASE)),
        }
    }

    /// Where what a data provider of Routr v1 says is kept; `None` if nothing is to survive the process.
    pub fn provider_cache(&self) -> Option<PathBuf> {
        let beside = || self.database_file().map(|file| file.with_extension("routr-v1"));
        self.routr_v1.provider.cache.clone().or_else(beside)
    }

    /// The folder where events for the webhook wait.
    pub fn event_spool(&self) -> PathBuf {
        let beside = || self.database_file().unwrap_or_else(|| DATABASE.into()).with_extension("webhook");
        self.events.webhook.spool.clone().unwrap_or_else(beside)
    }

    /// The Unix socket of the command line.
    pub fn control_socket(&self) -> PathBuf {
        let beside = || self.database_file().unwrap_or_else(|| DATABASE.into()).with_extension("sock");
        self.control.socket.clone().unwrap_or_else(beside)
    }

    /// Does this process have the role?
    pub fn runs(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}
