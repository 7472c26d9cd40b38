//! The servers that this process uses: nothing of what phones and peers say may lead there.

use trunkline_ari_proxy::cli::AriProxyArgs;
use trunkline_config::{Config, Role};
use trunkline_store::servers_of;

/// All of them, as `HOST:PORT`.
pub fn back_ends(config: &Config) -> Vec<String> {
    let mut servers = servers_of(&config.store_url());
    let urls = [&config.events.webhook.url, &config.events.nats.url, &config.otlp.url];
    servers.extend(urls.into_iter().flatten().flat_map(|url| servers_of(url)));
    servers.extend(config.trace.hep.iter().map(|server| server.0.clone()));
    servers.extend(config.rtpengine.iter().map(ToString::to_string));
    servers.extend(config.dns.servers.iter().map(|server| server.0.to_string()));
    // What is wrong with its settings is said where the role is started.
    if config.runs(Role::AriProxy)
        && let Ok(ari) = AriProxyArgs::default().config()
    {
        servers.extend(ari.urls().into_iter().flat_map(servers_of));
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_config::Env;

    /// Keys that take an address and name no server that the exchange uses: its own listeners, and the origins of pages.
    const NO_SERVERS: [&str; 10] = [
        "listen.udp",
        "listen.tcp",
        "listen.tls",
        "listen.ws",
        "listen.wss",
        "listen.origins",
        "http.addr",
        "grpc.addr",
        "grpc.externalAddr",
        "routrV1.addr",
    ];

    /// The configuration with this value of a key, if it is one.
    fn with(path: &str, value: &str) -> Option<Config> {
        let mut name = String::from("TRUNKLINE_");
        for c in path.chars() {
            match c {
                '.' => name.push('_'),
                c if c.is_uppercase() => name.extend(['_', c]),
                c => name.push(c.to_ascii_uppercase()),
            }
        }
        // A webhook needs a secret.
        let env = Env::from([(name.as_str(), value), ("TRUNKLINE_EVENTS_WEBHOOK_SECRET", "x")]);
        Config::read(None, &env).ok().map(|loaded| loaded.config)
    }

    /// A key that takes servers and no other text has to be among the back ends, or in the list above.
    #[test]
    fn every_server_of_the_configuration_is_a_back_end() {
        let all = Config::read(None, &Env::default()).expect("the defaults").values;
        let forms = [
            "http://192.0.2.77:4567/x",
            "nats://192.0.2.77:4567",
            "192.0.2.77:4567",
            "routr-v1-redis:192.0.2.77:4567",
        ];
        let mut found = Vec::new();
        for path in all.iter().map(|value| value.path.as_str()) {
            let takes_text = with(path, "no server").is_some() && path != "data";
            let fits = |form: &&&str| (path == "data") == form.starts_with("routr-v1") && !takes_text;
            for config in forms.iter().filter(fits).filter_map(|form| with(path, form)) {
                let known = back_ends(&config).contains(&"192.0.2.77:4567".to_owned());
                assert!(known || NO_SERVERS.contains(&path), "{path} is in back_ends() or in NO_SERVERS");
                found.push(path);
            }
        }
        for path in [
            "data",
            "rtpengine",
            "dns.servers",
            "trace.hep",
            "otlp.url",
            "events.nats.url",
            "events.webhook.url",
        ] {
            assert!(found.contains(&path), "{path}: {found:?}");
        }
    }
}
