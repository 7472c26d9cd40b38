//! The servers that this process uses: nothing of what phones and peers say may lead there.

use trunkline_ari_proxy::cli::AriProxyArgs;
use trunkline_config::{Config, Role};
use trunkline_store::servers_of;

/// All of them, as `HOST:PORT`.
pub fn back_ends(config: &Config) -> Vec<String> {
    let mut servers = servers_of(&config.store_url());
    let urls = [&config.events.webhook.url, &config.events.nats.url];
    servers.extend(urls.into_iter().flatten().flat_map(|url| servers_of(url)));
    servers.extend(config.trace.hep.iter().map(|server| server.0.clone()));
    servers.extend(config.rtpengine.iter().map(ToString::to_string));
    servers.extend(config.dns.servers.iter().map(|server| server.0.to_string()));
    // What is wrong with its settings is said where the role is started.
    if config.runs(Role::AriProxy)
        && let Ok(ari) = AriProxyArgs::default().config()
    {
        servers.extend(ari.nats.servers.iter().flat_map(|url| servers_of(url)));
        servers
            .extend([&ari.ari.http_url, &ari.ari.websocket_url].into_iter().flat_map(|url| servers_of(url)));
    }
    servers
}
