//! Warnings about valid settings that have no effect or allow more than may be intended.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use crate::keys::Origin;
use crate::load::Loaded;
use crate::observing::Otlp;
use crate::sections::{ClientAuth, DigestUri, EventType, Events, OpenMethod, PassChallenges, Role};
use crate::tree::Config;

/// A setting, and what it does.
type Caution = (&'static str, &'static str);

impl Loaded {
    /// Warnings about the settings, one line each, with the place of the setting.
    pub fn cautions(&self) -> Vec<String> {
        let told = |(path, what): Caution| {
            let value = self.values.iter().find(|value| value.path == path);
            let shown = value.map(|value| format!(": {}", value.shown)).unwrap_or_default();
            let place = match value.map(|value| &value.origin) {
                Some(origin @ (Origin::File(_) | Origin::Variable(_))) => format!(" ({origin})"),
                Some(Origin::Default) | None => String::new(),
            };
            format!("`{path}{shown}`{place}: {what}")
        };
        let config = &self.config;
        let all = of(config).into_iter().chain(of_events(&config.events)).chain(of_traces(config));
        all.map(told).collect()
    }
}

fn of(config: &Config) -> Vec<Caution> {
    let mut found = Vec::new();
    let mut when = |holds: bool, path: &'static str, what: &'static str| {
        if holds {
            found.push((path, what));
        }
    };
    let what = "anyone on the path to the server reads the passwords of all accounts, and can change them";
    when(is_read_in_plaintext(&config.data), "data", what);
    let r = &config.routing;
    let what = "calls have no failover, no forking, no records and no limits: those of trunks, agents and domains do not apply";
    when(config.stateless, "stateless", what);
    let what = "anyone who sees a call being made can make other calls with its digest";
    when(config.digest_uri == DigestUri::Off, "digestUri", what);
    let what = "a called phone can obtain a hash of the caller's password";
    when(r.pass_challenges == PassChallenges::All, "routing.passChallenges", what);
    when(r.reveal_unknown_users, "routing.revealUnknownUsers", "strangers can find out which accounts exist");
    let what = "a caller who has proven nothing can have a phone call any number its account may call";
    when(r.strangers_may_refer, "routing.strangersMayRefer", what);
    let what = "a caller who has proven nothing can send more than calls to phones behind open numbers";
    when(r.open_methods.iter().any(|m| *m != OpenMethod::Invite), "routing.openMethods", what);
    let what = "whoever overhears a dialog of a carrier or peer can send requests in it";
    when(r.dialogs_from_anywhere, "routing.dialogsFromAnywhere", what);
    // What Routr v1 does is said with its settings.
    let own_way = !config.store_url().starts_with("routr-v1");
    let what = "every user of a peer can call all numbers that the egress rules of its domain allow";
    when(r.peers_use_policies && own_way, "routing.peersUsePolicies", what);
    let what = "the caller chooses who is called by these headers, whatever the Request-URI says";
    when(!r.address_info.is_empty() && own_way, "routing.addressInfo", what);
    let what = "the caller chooses who is called by To, whatever the Request-URI says";
    when(r.to_as_aor && own_way, "routing.toAsAor", what);
    when(
        config.registrar.third_party,
        "registrar.thirdParty",
        "a user can register contacts for other users",
    );
    when(!config.calls.records, "calls.records", "there is no record of who called at whose expense");

    let t = &config.tls;
    let what = "anyone on the path to a carrier or peer can read and change the calls";
    when(!t.verify, "tls.verify", what);
    let what = "has no effect with `tls.verify: off`";
    when(!t.verify && t.trusted_ca.is_some(), "tls.trustedCa", what);
    let unused = t.client_ca.is_some() && t.client_auth == ClientAuth::Off;
    when(unused, "tls.clientCa", "has no effect with `tls.clientAuth: off`");
    let what = "has no effect with `grpc.externalAddr: off`";
    when(config.grpc.reveal_passwords && config.grpc.external_addr.is_none(), "grpc.revealPasswords", what);
    let unserved = config.routr_v1.addr.is_some() && !config.runs(Role::RestV1);
    when(unserved, "routrV1.addr", "has no effect without `rest-v1` in `roles`");
    let what = "has no effect with `calls.records: off`";
    when(!config.calls.records && config.calls.retention_days > 0, "calls.retentionDays", what);
    let what = "users of the resource services who may write can read the passwords of all accounts";
    let shown = config.grpc.reveal_passwords && config.grpc.external_addr.is_some();
    when(shown, "grpc.revealPasswords", what);
    let plain = |ip: IpAddr| !ip.to_canonical().is_loopback();
    let elsewhere = |addr: Option<SocketAddr>| addr.is_some_and(|addr| plain(addr.ip()));
    let what =
        "anyone who reaches it can read the names of trunks and peers and the call figures, without a login";
    when(elsewhere(config.http.addr), "http.addr", what);
    let list = &config.access_control;
    let allow: Vec<IpNet> = list.allow.iter().map(|network| network.0).collect();
    let what = "refuses nobody: it allows every address";
    let everybody = IpNet::aggregate(&allow).iter().any(|net| net.prefix_len() == 0);
    when(everybody && list.deny.is_empty(), "accessControl.allow", what);
    let what = "the log contains who calls whom and the text of messages";
    when(traces(&config.log.level), "log.level", what);
    let what = "logins and tokens are sent unencrypted";
    let open = config.routr_v1.addr.is_some_and(|addr| plain(addr.ip())) && !config.routr_v1.tls;
    when(open, "routrV1.tls", what);
    found
}

fn of_traces(config: &Config) -> Vec<Caution> {
    let (o, usual) = (&config.otlp, Otlp::default());
    let unused = o.url.is_none();
    let what = "has no effect without `otlp.url`";
    let url = o.url.as_deref();
    let all = [
        (unused && o.authorization != usual.authorization, "otlp.authorization", what),
        (unused && o.trusted_ca.is_some(), "otlp.trustedCa", what),
        (unused && o.calls_percent != usual.calls_percent, "otlp.callsPercent", what),
        (
            url.is_some_and(leaves_in_plaintext),
            "otlp.url",
            "traces are sent unencrypted to another machine: use https://",
        ),
        (url.is_some_and(has_no_path), "otlp.url", "has no path: collectors take traces at /v1/traces"),
        (
            !unused && config.events.memory == 0 && o.calls_percent > 0,
            "otlp.callsPercent",
            "no events of requests are kept (`events.memory`), so there are no traces of calls",
        ),
    ];
    all.into_iter().filter(|(holds, ..)| *holds).map(|(_, path, what)| (path, what)).collect()
}

/// Does a URL end with its host, or with the slash behind it?
fn has_no_path(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split_once('/').is_none_or(|(_, path)| path.is_empty())
}

fn of_events(e: &Events) -> Vec<Caution> {
    let mut found = Vec::new();
    let mut when = |holds: bool, path: &'static str, what: &'static str| {
        if holds {
            found.push((path, what));
        }
    };
    let of_requests = |types: &[EventType]| types.iter().any(|name| name.0.starts_with("request"));
    let what = "no events of requests are kept (`events.memory`), so nobody gets any";
    when(e.memory == 0 && of_requests(&e.types), "events.types", what);
    when(e.memory == 0 && of_requests(&e.webhook.types), "events.webhook.types", what);
    let what = "events are sent unencrypted to another machine: use https://";
    when(e.webhook.url.as_deref().is_some_and(leaves_in_plaintext), "events.webhook.url", what);
    let what = "has no effect without `events.nats.url`";
    let n = &e.nats;
    for (is_set, path) in [
        (n.trusted_ca.is_some(), "events.nats.trustedCa"),
        (n.cert.is_some(), "events.nats.cert"),
        (!n.user.is_empty(), "events.nats.user"),
        (!n.password.0.is_empty(), "events.nats.password"),
        (!n.token.0.is_empty(), "events.nats.token"),
    ] {
        when(is_set && n.url.is_none(), path, what);
    }
    let what = "has no effect without `events.webhook.url`";
    let w = &e.webhook;
    for (is_set, path) in [
        (w.trusted_ca.is_some(), "events.webhook.trustedCa"),
        (!w.secret.0.is_empty(), "events.webhook.secret"),
        (w.secret_file.is_some(), "events.webhook.secretFile"),
        (!w.types.is_empty(), "events.webhook.types"),
        (w.spool.is_some(), "events.webhook.spool"),
    ] {
        when(is_set && w.url.is_none(), path, what);
    }
    let what = "events and the login are sent unencrypted to another machine: use tls://";
    let at = e.nats.url.as_deref().and_then(|url| url.strip_prefix("nats://"));
    when(at.is_some_and(is_elsewhere) && !e.nats.needs_tls(), "events.nats.url", what);
    found
}

/// Does the log have each SIP message?
fn traces(level: &str) -> bool {
    let directives = level.split(',').map(|directive| directive.trim().to_ascii_lowercase());
    directives.into_iter().any(|directive| directive == "trace" || directive == "sip=trace")
}

/// Are the resources on another machine, and read without TLS?
fn is_read_in_plaintext(data: &str) -> bool {
    match data.split_once(':') {
        Some(("postgres" | "postgresql", at)) => {
            let at = at.strip_prefix("//").unwrap_or(at);
            let host = at.split(['/', '?']).next().and_then(|authority| authority.rsplit('@').next());
            let weak =
                ["disable", "allow", "prefer"].iter().any(|mode| at.contains(&format!("sslmode={mode}")));
            weak && host.is_some_and(|host| !host.is_empty() && is_elsewhere(host))
        }
        Some(("routr-v1-redis" | "routr-v1-rc2-redis", at)) => is_elsewhere(at),
        Some(("routr-v1-rest", url)) => leaves_in_plaintext(url),
        _ => false,
    }
}

/// Does a URL lead to another machine over plain HTTP?
fn leaves_in_plaintext(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return false };
    is_elsewhere(rest.split(['/', '?', '#']).next().unwrap_or_default())
}

/// Is a host, with or without a port, another machine than this one?
fn is_elsewhere(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host != "localhost" && !host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_on_other_machines() {
        for (data, plain) in [
            ("postgres://ann@db.example/pbx", false),
            ("postgres://ann@db.example:5433/pbx?sslmode=disable", true),
            ("postgres://ann@127.0.0.1/pbx?sslmode=disable", false),
            ("postgres:///pbx?host=/run/postgresql&sslmode=disable", false),
            ("routr-v1-redis:localhost:6379", false),
            ("routr-v1-redis:[::1]:6379", false),
            ("routr-v1-rc2-redis:redis.example:6379", true),
            ("routr-v1-rest:http://rest.example/v1", true),
            ("routr-v1-rest:https://rest.example/v1", false),
            ("sqlite:trunkline.db", false),
        ] {
            assert_eq!(is_read_in_plaintext(data), plain, "{data}");
        }
    }
}
