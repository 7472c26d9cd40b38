//! The commands `ari-proxy` and `ari` of the binary.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use futures_util::StreamExt;
use trunkline_ari_client::{
    Client, Delivered, Error, EventType, Key, Kind, NatsConfig, Originate, OwnedRequest,
};

use crate::config::{Config, ConfigError, File, SETTINGS};
use crate::run::{ProxyError, run};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The configuration of the proxy.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The proxy ended by itself.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// A request failed.
    #[error(transparent)]
    Client(#[from] Error),
    /// An argument that cannot be used.
    #[error("{0}")]
    Argument(String),
    /// The output was closed.
    #[error("output: {0}")]
    Output(#[from] std::io::Error),
}

impl CliError {
    /// The exit status: 64 when the configuration or an argument is wrong, else 1.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self {
            CliError::Config(_) | CliError::Argument(_) => 64,
            CliError::Proxy(_) | CliError::Client(_) | CliError::Output(_) => 1,
        }
    }
}

/// Asterisk's REST interface over NATS, in the place of ari-proxy.
///
/// Settings come from flags, then the environment, then the file, under ari-proxy's own names.
#[derive(Args, Clone, Debug, Default)]
pub struct AriProxyArgs {
    /// Configuration file (YAML, TOML or JSON); by default .ari-proxy.* in the home folder
    #[arg(long, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// Log requests and events
    #[arg(short, long)]
    pub verbose: bool,
    /// URL of the NATS servers, nats:// or tls://, several separated by commas
    #[arg(long = "messagebus.url", value_name = "URL")]
    pub messagebus_url: Option<String>,
    /// The same by its elder name
    #[arg(long = "nats.url", value_name = "URL")]
    pub nats_url: Option<String>,
    /// ARI application; a fresh name by default
    #[arg(long = "ari.application", value_name = "NAME")]
    pub ari_application: Option<String>,
    /// ARI user
    #[arg(long = "ari.username", value_name = "USER")]
    pub ari_username: Option<String>,
    /// ARI password
    #[arg(long = "ari.password", value_name = "PASSWORD")]
    pub ari_password: Option<String>,
    /// REST interface of Asterisk
    #[arg(long = "ari.http_url", value_name = "URL")]
    pub ari_http_url: Option<String>,
    /// Event WebSocket of Asterisk
    #[arg(long = "ari.websocket_url", value_name = "URL")]
    pub ari_websocket_url: Option<String>,
    /// Any other setting, such as delivery=stream or listen=127.0.0.1:9090
    #[arg(long = "set", value_name = "SETTING=VALUE")]
    pub set: Vec<String>,
}

impl AriProxyArgs {
    /// The configuration from these flags, the environment and the file.
    ///
    /// # Errors
    /// What is unknown, missing or cannot be used.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let named = [
            ("messagebus.url", &self.messagebus_url),
            ("nats.url", &self.nats_url),
            ("ari.application", &self.ari_application),
            ("ari.username", &self.ari_username),
            ("ari.password", &self.ari_password),
            ("ari.http_url", &self.ari_http_url),
            ("ari.websocket_url", &self.ari_websocket_url),
        ];
        let mut flags: Vec<(&str, String)> =
            named.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
        if self.verbose {
            flags.push(("verbose", "true".to_owned()));
        }
        for pair in &self.set {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            flags.push((name, value.to_owned()));
        }
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let path = self.config.clone().or_else(|| home.and_then(|h| Config::default_file(&h)));
        let text = match &path {
            Some(path) => {
                std::fs::read_to_string(path).map_err(|e| ConfigError::File(path.clone(), e.to_string()))?
            }
            None => String::new(),
        };
        let file = path.as_deref().map(|path| File { path, text: &text });
        Config::from_sources(|name| std::env::var(name).ok(), file, &flags)
    }

    /// Runs the proxy until SIGTERM or SIGINT, then drains.
    ///
    /// # Errors
    /// When the configuration is wrong or the proxy ends by itself.
    pub async fn run(self) -> Result<(), CliError> {
        let config = self.config()?;
        Ok(run(config, stopped()).await?)
    }

    /// The names of all settings, with their environment variables.
    #[must_use]
    pub fn settings() -> Vec<(&'static str, &'static str)> {
        SETTINGS.iter().map(|s| (s.name, s.env)).collect()
    }
}

/// Waits for SIGTERM or SIGINT.
async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        // Without handlers the signals end the process by themselves.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}

/// Look at and act on the Asterisk nodes behind the proxies.
#[derive(Args, Clone, Debug)]
pub struct AriArgs {
    /// URL of the NATS servers (else MESSAGEBUS_URL, NATS_URL, NATS_URI)
    #[arg(long, global = true, value_name = "URL")]
    pub nats: Option<String>,
    /// What the subjects start with
    #[arg(long, global = true, env = "ARI_PREFIX", default_value = "ari.", value_name = "PREFIX")]
    pub prefix: String,
    /// Only this application
    #[arg(long, global = true, value_name = "NAME")]
    pub app: Option<String>,
    /// Only this node
    #[arg(long, global = true, value_name = "ID")]
    pub node: Option<String>,
    /// How long to wait for answers, in milliseconds
    #[arg(long, global = true, default_value_t = 1000, value_name = "MS")]
    pub timeout: u64,
    /// What to do
    #[command(subcommand)]
    pub command: AriCommand,
}

/// What `trunkline ari` can do.
#[derive(Subcommand, Clone, Debug)]
pub enum AriCommand {
    /// The nodes that proxies announce, and their Asterisk
    Nodes,
    /// The channels of all nodes
    Channels,
    /// Events as they come, one JSON object a line
    Events {
        /// Go on until interrupted (otherwise end after the first second without an event)
        #[arg(short, long)]
        follow: bool,
        /// Only these types
        #[arg(short = 't', long = "type", value_name = "TYPE")]
        types: Vec<String>,
        /// Only what is bound to this dialog
        #[arg(long, value_name = "ID")]
        dialog: Option<String>,
    },
    /// Call an endpoint, into an application or a place in the dialplan
    Call {
        /// Whom, such as PJSIP/1001
        endpoint: String,
        /// Into this application (by default that of --app)
        #[arg(long, value_name = "NAME")]
        into: Option<String>,
        /// Into this extension
        #[arg(long, value_name = "EXTEN")]
        extension: Option<String>,
        /// Of this context
        #[arg(long, value_name = "CONTEXT", default_value = "default")]
        context: String,
        /// As this caller
        #[arg(long, value_name = "ID")]
        caller_id: Option<String>,
        /// How long it may ring, in seconds
        #[arg(long, default_value_t = 30)]
        ring: u64,
    },
    /// Send any request and print the answer
    Request {
        /// The kind, such as ChannelHangup
        kind: String,
        /// The id of the thing
        #[arg(default_value = "")]
        id: String,
        /// The options, as JSON
        #[arg(long, value_name = "JSON")]
        option: Option<String>,
    },
}

impl AriArgs {
    /// Runs the command, writing to `out`.
    ///
    /// # Errors
    /// When a request fails or the output is closed.
    pub async fn run_to(self, out: &mut (impl Write + Send)) -> Result<(), CliError> {
        let mut nats = NatsConfig::from_env(|name| std::env::var(name).ok());
        if let Some(url) = &self.nats {
            nats.servers = vec![url.clone()];
        }
        let client = Client::builder()
            .nats(nats)
            .prefix(self.prefix.clone())
            .application(self.app.clone().unwrap_or_default())
            .timeout(Duration::from_millis(self.timeout))
            .connect()
            .await?;
        let at =
            Key::default().at(self.app.clone().unwrap_or_default(), self.node.clone().unwrap_or_default());
        let result = match self.command.clone() {
            AriCommand::Nodes => nodes(&client, &at, self.timeout, out).await,
            AriCommand::Channels => channels(&client, &at, out).await,
            AriCommand::Events { follow, types, dialog } => {
                events(&client, at.with_dialog(dialog.unwrap_or_default()), follow, &types, out).await
            }
            AriCommand::Call { endpoint, into, extension, context, caller_id, ring } => {
                let mut call =
                    Originate { endpoint, timeout: Duration::from_secs(ring), ..Originate::default() };
                call.caller_id = caller_id.unwrap_or_default();
                match extension {
                    Some(extension) => {
                        (call.context, call.extension, call.priority) = (context, extension, Some(1));
                    }
                    None => {
                        call.app = into.or(self.app.clone()).ok_or_else(|| {
                            CliError::Argument(
                                "say where the call goes: --into, --app or --extension".to_owned(),
                            )
                        })?
                    }
                }
                let channel = client.channel().originate(&at, call).await?;
                writeln!(out, "{} on {}", channel.id(), channel.key().node)?;
                Ok(())
            }
            AriCommand::Request { kind, id, option } => {
                request(&client, at, &kind, &id, option.as_deref(), out).await
            }
        };
        client.close().await;
        result
    }

    /// Runs the command, writing to standard output.
    ///
    /// # Errors
    /// As [`Self::run_to`].
    pub async fn run(self) -> Result<(), CliError> {
        self.run_to(&mut std::io::stdout()).await
    }
}

async fn nodes(client: &Client, at: &Key, timeout: u64, out: &mut impl Write) -> Result<(), CliError> {
    client.ping().await?;
    // Whoever is there answers at once; the wait is for those far away.
    tokio::time::sleep(Duration::from_millis(timeout.min(500))).await;
    let wanted = |m: &&trunkline_ari_client::Member| {
        (at.app.is_empty() || at.app == m.app) && (at.node.is_empty() || at.node == m.node)
    };
    let members = client.cluster();
    writeln!(out, "{:<24} {:<24} {:<40} CHANNELS", "APPLICATION", "NODE", "ASTERISK")?;
    for member in members.iter().filter(wanted) {
        let key = Key::default().at(member.app.clone(), member.node.clone());
        let version = match client.asterisk(key.clone()).info().await {
            Ok(info) => info.system.map(|s| s.version).unwrap_or_default(),
            Err(error) => error.to_string(),
        };
        let channels =
            client.channel().list(&key).await.map_or_else(|_| "-".to_owned(), |l| l.keys.len().to_string());
        writeln!(out, "{:<24} {:<24} {version:<40} {channels}", member.app, member.node)?;
    }
    Ok(())
}

async fn channels(client: &Client, at: &Key, out: &mut impl Write) -> Result<(), CliError> {
    let listing = client.channel().list(at).await?;
    writeln!(out, "{:<20} {:<32} {:<40} {:<8} CALLER", "NODE", "ID", "NAME", "STATE")?;
    // One line a channel, though several applications of a node may list it.
    let mut seen = BTreeMap::new();
    for key in listing.keys {
        seen.entry((key.node.clone(), key.id.clone())).or_insert(key);
    }
    for ((node, id), key) in seen {
        // A channel may end between the list and the question.
        if let Ok(data) = client.channel().handle(key).data().await {
            writeln!(out, "{node:<20} {id:<32} {:<40} {:<8} {}", data.name, data.state, data.caller.number)?;
        }
    }
    if let Some(error) = listing.error {
        writeln!(out, "(a node could not tell: {error})")?;
    }
    Ok(())
}

async fn events(
    client: &Client,
    key: Key,
    follow: bool,
    types: &[String],
    out: &mut impl Write,
) -> Result<(), CliError> {
    let known: Result<Vec<_>, _> = types
        .iter()
        .map(|t| {
            EventType::from_name(t).ok_or_else(|| CliError::Argument(format!("`{t}` is no type of event")))
        })
        .collect();
    let mut events = client.subscribe(&key, &known?).await?;
    loop {
        let next = if follow {
            events.next().await
        } else {
            tokio::time::timeout(Duration::from_secs(1), events.next()).await.unwrap_or_default()
        };
        match next {
            Some(Delivered::Event(event)) => {
                out.write_all(&event.raw)?;
                out.write_all(b"\n")?;
                out.flush()?;
            }
            Some(Delivered::Gap(gap)) => {
                writeln!(out, "{{\"gap\":{:?},\"node\":{:?}}}", gap.reason, gap.node)?
            }
            None => return Ok(()),
        }
    }
}

async fn request(
    client: &Client,
    at: Key,
    kind: &str,
    id: &str,
    option: Option<&str>,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let kind =
        Kind::from_name(kind).ok_or_else(|| CliError::Argument(format!("`{kind}` is no kind of request")))?;
    let mut request = OwnedRequest::new(kind, Key { id: id.to_owned(), ..at });
    if let Some(option) = option {
        let option: serde_json::Value = serde_json::from_str(option)
            .map_err(|e| CliError::Argument(format!("the options are no JSON: {e}")))?;
        request = request.with_option(&option).map_err(|e| CliError::Argument(e.to_string()))?;
    }
    let response = client.send(request).await?;
    let answer = serde_json::json!({"data": response.data, "key": response.key, "keys": response.keys});
    writeln!(out, "{answer:#}")?;
    Ok(())
}
