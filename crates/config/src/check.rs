//! Checks of values against each other.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use trunkline_model::is_host;

use crate::sections::{ClientAuth, Events, Role, is_nats_url, is_web_url};
use crate::tree::{Config, ROUTR_V1};

/// A key whose value does not fit.
pub(crate) struct Misfit {
    pub path: &'static str,
    pub message: String,
}

pub(crate) fn check(config: &Config) -> Vec<Misfit> {
    let mut misfits = Vec::new();
    let mut unless = |holds: bool, path: &'static str, message: &str| {
        if !holds {
            misfits.push(Misfit { path, message: message.to_owned() });
        }
    };
    let r = &config.registrar;
    unless(r.max_expires > 0, "registrar.maxExpires", "maxExpires must be at least 1");
    unless(r.min_expires <= r.max_expires, "registrar.minExpires", "minExpires is above maxExpires");
    unless(
        r.default_expires <= r.max_expires,
        "registrar.defaultExpires",
        "defaultExpires is above maxExpires",
    );
    unless(
        r.default_expires >= r.min_expires,
        "registrar.defaultExpires",
        "defaultExpires is below minExpires",
    );
    unless(r.max_contacts > 0, "registrar.maxContacts", "maxContacts must be at least 1");
    let message = "storePatienceMs must be 0 (never refuse) or at least 500";
    unless(r.store_patience_ms == 0 || r.store_patience_ms >= 500, "registrar.storePatienceMs", message);

    let l = &config.limits;
    let message = "messageSize must be between 1024 and 65535";
    unless((1024..=65_535).contains(&l.message_size), "limits.messageSize", message);
    unless((16..=240).contains(&l.headers), "limits.headers", "headers must be between 16 and 240");
    unless(l.idle_seconds > 0, "limits.idleSeconds", "idleSeconds must be at least 1");
    unless(l.partial_seconds > 0, "limits.partialSeconds", "partialSeconds must be at least 1");
    let message = "callBytes must be between 1048576 and 4294967295";
    unless(l.call_bytes >= 1 << 20, "limits.callBytes", message);
    let message = "connectionsPerAddress must be at least 1";
    unless(l.connections_per_address > 0, "limits.connectionsPerAddress", message);
    unless(l.unsent_bytes >= 65_536, "limits.unsentBytes", "unsentBytes must be at least 65536");

    let h = &config.handover;
    let percent = (1..=100).contains(&config.limits.account_percent);
    unless(percent, "limits.accountPercent", "accountPercent must be 1 to 100");
    unless(h.busy_percent <= 100, "handover.busyPercent", "busyPercent must be at most 100");
    unless(h.calm_seconds > 0, "handover.calmSeconds", "calmSeconds must be at least 1");

    let message = "failoverMs must be between 100 and 32000";
    unless((100..=32_000).contains(&config.dns.failover_ms), "dns.failoverMs", message);

    let message = "noAnswerSeconds must be between 1 and 3600";
    unless((1..=3600).contains(&config.routing.no_answer_seconds), "routing.noAnswerSeconds", message);
    let message = "dialogSeconds must be between 60 and 2592000";
    unless((60..=2_592_000).contains(&config.routing.dialog_seconds), "routing.dialogSeconds", message);
    // A branch names its shard in one byte.
    unless(config.workers <= 256, "workers", "workers must be at most 256");
    unless(!config.roles.is_empty(), "roles", "at least one role is needed");
    let message = "the domain must be a host such as sip.local";
    unless(is_host(&config.domain), "domain", message);
    let message = "userAgent must be at most 200 printable ASCII characters";
    let printable = |c: char| c == ' ' || c.is_ascii_graphic();
    let named = config.user_agent.len() <= 200 && config.user_agent.chars().all(printable);
    unless(named, "userAgent", message);
    unless(!config.data.is_empty(), "data", "the data must not be empty");
    let message = "unknown store: write sqlite:FILE, files:FOLDER, postgres://USER@HOST/DATABASE, memory:, or a folder for \
                   trunkline.db";
    unless(is_store(&config.data), "data", message);
    let message = "a password must not be in the URL: set PGPASSWORD, or write it to ~/.pgpass";
    unless(!has_password(&config.data), "data", message);
    let message = "write error, warn, info, debug, trace, or filters such as info,trunkline_edge=debug";
    unless(config.log.level.split(',').all(is_filter), "log.level", message);

    let t = &config.tls;
    unless(t.cert.is_some() || t.key.is_none(), "tls.key", "a key needs `tls.cert`");
    unless(t.key.is_some() || t.cert.is_none(), "tls.cert", "a certificate needs `tls.key`");
    let both = t.cert.is_some() && t.pkcs12.file.is_some();
    unless(!both, "tls.pkcs12.file", "there is `tls.cert` already: one of them is enough");
    let checkable = t.client_auth == ClientAuth::Off || t.client_ca.is_some();
    unless(checkable, "tls.clientAuth", "client certificates need `tls.clientCa`");

    let message = "media cannot be relayed without transactions: set `stateless` or `rtpengine`, not both";
    unless(!config.stateless || config.rtpengine.is_none(), "rtpengine", message);

    let message = "nobody logs in there and passwords are shown, so it must be a loopback address such as \
                   127.0.0.1:51907; for other machines there is `grpc.externalAddr`";
    unless(config.grpc.addr.is_none_or(|a| a.ip().to_canonical().is_loopback()), "grpc.addr", message);

    let v1 = config.data.split_once(':').is_some_and(|(scheme, _)| ROUTR_V1.contains(&scheme));
    let message = "the API of Routr v1 needs resources of Routr v1: `data: routr-v1:FOLDER`";
    unless(config.routr_v1.addr.is_none() || v1, "routrV1.addr", message);

    let p = &config.routr_v1.provider;
    let message = "timeoutMs must be between 100 and 60000";
    unless((100..=60_000).contains(&p.timeout_ms), "routrV1.provider.timeoutMs", message);
    unless(p.poll_seconds > 0, "routrV1.provider.pollSeconds", "pollSeconds must be at least 1");

    let message = "write http:// or https://, host and path, without user name and password";
    unless(config.otlp.url.as_deref().is_none_or(is_web_url), "otlp.url", message);
    let message = "callsPercent must be at most 100";
    unless(config.otlp.calls_percent <= 100, "otlp.callsPercent", message);
    let message = "a header has printable characters only";
    let is_header = config.otlp.authorization.0.bytes().all(|c| c == b' ' || c.is_ascii_graphic());
    unless(is_header, "otlp.authorization", message);

    misfits.extend(check_events(&config.events));
    misfits.extend(ports_taken_twice(config));
    misfits
}

fn check_events(events: &Events) -> Vec<Misfit> {
    let mut misfits = Vec::new();
    let mut unless = |holds: bool, path: &'static str, message: &str| {
        if !holds {
            misfits.push(Misfit { path, message: message.to_owned() });
        }
    };
    unless(events.file_bytes >= 65_536, "events.fileBytes", "fileBytes must be at least 65536");
    unless(events.file_keep <= 1_000, "events.fileKeep", "fileKeep must be at most 1000");
    let message = "failedCalls must be at most 1000000";
    unless(events.failed_calls <= 1_000_000, "events.failedCalls", message);
    let w = &events.webhook;
    let message = "write http:// or https://, host and path, without user name and password";
    unless(w.url.as_deref().is_none_or(is_web_url), "events.webhook.url", message);
    let message = "batches are signed: set `events.webhook.secret` or `events.webhook.secretFile`";
    let signs = !w.secret.0.is_empty() || w.secret_file.is_some();
    unless(w.url.is_none() || signs, "events.webhook.secret", message);
    let message = "there is `events.webhook.secret` already: one of them is enough";
    unless(w.secret.0.is_empty() || w.secret_file.is_none(), "events.webhook.secretFile", message);
    unless(w.spool_bytes >= 65_536, "events.webhook.spoolBytes", "spoolBytes must be at least 65536");
    unless((1..=10_000).contains(&w.batch), "events.webhook.batch", "batch must be between 1 and 10000");
    let message = "timeoutMs must be between 100 and 60000";
    unless((100..=60_000).contains(&w.timeout_ms), "events.webhook.timeoutMs", message);
    let n = &events.nats;
    let message = "write nats:// or tls:// and a host; user name and password are `events.nats.user` and `events.nats.password`";
    unless(n.url.as_deref().is_none_or(is_nats_url), "events.nats.url", message);
    let message = "a certificate needs its key: set both `events.nats.cert` and `events.nats.key`, or none";
    unless(n.cert.is_some() == n.key.is_some(), "events.nats.cert", message);
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
    let parts = n.subject.split('.').all(|part| !part.is_empty());
    let message = "a subject has letters, digits, - and _, in parts with dots between";
    unless(parts && n.subject.bytes().all(plain), "events.nats.subject", message);
    misfits
}

/// A folder, or a scheme with something behind it. A folder whose name has a colon is written with `./` before it.
fn is_store(data: &str) -> bool {
    match data.split_once(':') {
        Some(("memory", rest)) => rest.is_empty(),
        Some(("sqlite" | "files", rest)) => !rest.is_empty(),
        Some(("postgres" | "postgresql", rest)) => rest.strip_prefix("//").is_some_and(|at| !at.is_empty()),
        Some((scheme, rest)) if ROUTR_V1.contains(&scheme) => !rest.is_empty(),
        Some((scheme, _)) => scheme.contains(['/', '.']),
        None => true,
    }
}

/// Has the URL of a PostgreSQL database a password? It would be shown with the URL.
fn has_password(data: &str) -> bool {
    let Some(("postgres" | "postgresql", at)) = data.split_once("://") else { return false };
    let (authority, rest) = at.split_once(['/', '?']).unwrap_or((at, ""));
    authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':')) || rest.contains("password=")
}

/// A level, or the level of a target.
fn is_filter(filter: &str) -> bool {
    let level = filter.rsplit_once('=').map_or(filter, |(_, level)| level).trim();
    ["off", "error", "warn", "info", "debug", "trace"].iter().any(|known| level.eq_ignore_ascii_case(known))
}

/// The folder of resources, where there is none: the exchange would start without a single account.
pub(crate) fn missing_data(config: &Config) -> Option<Misfit> {
    let url = config.store_url();
    let (_, folder) =
        url.split_once(':').filter(|(scheme, _)| matches!(*scheme, "files" | "routr-v1" | "routr-v1-rc2"))?;
    let message = format!("there is no folder {folder}, in which the resources are to be");
    (!Path::new(folder).is_dir()).then_some(Misfit { path: "data", message })
}

/// Files that cannot be read, and folders that are not there.
pub(crate) fn missing_files(config: &Config) -> Vec<Misfit> {
    let t = &config.tls;
    let named = [
        ("tls.cert", &t.cert),
        ("tls.key", &t.key),
        ("tls.pkcs12.file", &t.pkcs12.file),
        ("tls.clientCa", &t.client_ca),
        ("tls.trustedCa", &t.trusted_ca),
        ("routrV1.pkcs12.file", &config.routr_v1.pkcs12.file),
        ("events.webhook.secretFile", &config.events.webhook.secret_file),
        ("events.webhook.trustedCa", &config.events.webhook.trusted_ca),
        ("events.nats.trustedCa", &config.events.nats.trusted_ca),
        ("events.nats.cert", &config.events.nats.cert),
        ("events.nats.key", &config.events.nats.key),
        ("otlp.trustedCa", &config.otlp.trusted_ca),
    ];
    let files = named.into_iter().filter_map(|(path, file)| Some((path, file.as_ref()?)));
    let more =
        t.certificates.iter().flat_map(|c| [("tls.certificates", &c.cert), ("tls.certificates", &c.key)]);
    let mut misfits = Vec::from_iter(missing_data(config));
    for (path, file) in files.chain(more) {
        if let Err(error) = std::fs::File::open(file) {
            misfits.push(Misfit { path, message: format!("cannot read {}: {error}", file.display()) });
        }
    }
    let url = config.store_url();
    let made = [
        ("data", url.strip_prefix("sqlite:").map(PathBuf::from)),
        ("database", config.database.clone()),
        ("control.socket", config.control.socket.clone()),
        ("events.file", config.events.file.clone()),
    ];
    for (path, file) in made {
        let folder = file.as_deref().and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            misfits.push(Misfit { path, message: format!("there is no folder {}", folder.display()) });
        }
    }
    misfits
}

/// Keys of this process's roles that name the same port. UDP ports are another matter.
fn ports_taken_twice(config: &Config) -> Vec<Misfit> {
    let l = &config.listen;
    let one = |address: &Option<SocketAddr>| address.iter().copied().collect();
    let keys: [(Role, &'static str, Vec<SocketAddr>); 8] = [
        (Role::Exchange, "listen.tcp", l.tcp.clone()),
        (Role::Exchange, "listen.tls", l.tls.clone()),
        (Role::Exchange, "listen.ws", l.ws.clone()),
        (Role::Exchange, "listen.wss", l.wss.clone()),
        (Role::Health, "http.addr", one(&config.http.addr)),
        (Role::RestV1, "routrV1.addr", one(&config.routr_v1.addr)),
        (Role::Api, "grpc.addr", one(&config.grpc.addr)),
        (Role::Api, "grpc.externalAddr", one(&config.grpc.external_addr)),
    ];
    let mut misfits = Vec::new();
    let mut taken: BTreeMap<SocketAddr, &'static str> = BTreeMap::new();
    for (_, path, addresses) in keys.into_iter().filter(|(role, ..)| config.runs(*role)) {
        // Port 0 is any free one.
        for address in addresses.into_iter().filter(|address| address.port() > 0) {
            match taken.insert(address, path) {
                Some(by) => {
                    misfits.push(Misfit { path, message: format!("{address} is used by `{by}` already") });
                }
                None => continue,
            }
        }
    }
    misfits
}
