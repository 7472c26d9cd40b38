//! The commands `ari-proxy` and `ari` of the binary.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use futures_util::StreamExt;
use trunkline_ari_client::{
    Client, Delivered, Error, EventType, Key, Kind, NatsConfig, Originate, OwnedRequest,
};

use crate::config::{Config, ConfigError, File, SETTINGS};
use crate::look::{channels, nodes};
use crate::run::{ProxyError, run};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The proxy failed.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// A request failed.
    #[error(transparent)]
    Client(#[from] Error),
    /// An argument is wrong.
    #[error("{0}")]
    Argument(String),
    /// The output could not be written.
    #[error("output: {0}")]
    Output(#[from] std::io::Error),
}

impl CliError {
    /// Did the reader of the output close it, as `head` does?
    #[must_use]
    pub fn is_unread(&self) -> bool {
        matches!(self, CliError::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// The exit status: 64 when the configuration or an argument is wrong, else 1.
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self {
            CliError::Config(_) | CliError::Argument(_) => 64,
            CliError::Proxy(_) | CliError::Client(_) | CliError::Output(_) => 1,
        }
    }
}

/// Run the proxy that offers an Asterisk's REST interface over NATS; it replaces ari-proxy
///
/// A flag overrides an environment variable, a variable overrides the file; the names are those of ari-proxy.
#[derive(Args, Clone, Default)]
pub struct AriProxyArgs {
    /// Read this configuration file (YAML, TOML or JSON) [default: .ari-proxy.* in the home folder]
    #[arg(long, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// Log requests and events
    #[arg(short, long)]
    pub verbose: bool,
    /// URLs of the NATS servers (nats:// or tls://), separated by commas
    #[arg(long = "messagebus.url", value_name = "URL")]
    pub messagebus_url: Option<String>,
    /// Older name of --messagebus.url
    #[arg(long = "nats.url", value_name = "URL")]
    pub nats_url: Option<String>,
    /// ARI application [default: a new unique name]
    #[arg(long = "ari.application", value_name = "NAME")]
    pub ari_application: Option<String>,
    /// User name for ARI
    #[arg(long = "ari.username", value_name = "USER")]
    pub ari_username: Option<String>,
    /// Password for ARI
    #[arg(long = "ari.password", value_name = "PASSWORD")]
    pub ari_password: Option<String>,
    /// URL of Asterisk's REST interface
    #[arg(long = "ari.http_url", value_name = "URL")]
    pub ari_http_url: Option<String>,
    /// URL of Asterisk's event WebSocket
    #[arg(long = "ari.websocket_url", value_name = "URL")]
    pub ari_websocket_url: Option<String>,
    /// Set any other setting, e.g. delivery=stream or listen=127.0.0.1:9090
    #[arg(long = "set", value_name = "SETTING=VALUE")]
    pub set: Vec<String>,
}

impl std::fmt::Debug for AriProxyArgs {
    /// Without the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AriProxyArgs").field("config", &self.config).finish_non_exhaustive()
    }
}

impl AriProxyArgs {
    /// The configuration from these flags, the environment and the file.
    ///
    /// # Errors
    /// When a setting is unknown, missing or wrong.
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

    /// The names of all settings, with their environment variables.
    #[must_use]
    pub fn settings() -> Vec<(&'static str, &'static str)> {
        SETTINGS.iter().map(|s| (s.name, s.env)).collect()
    }
}

/// Runs the proxy until SIGTERM or SIGINT; then finishes the requests under way.
///
/// # Errors
/// When the proxy fails.
pub async fn run_proxy(config: Config) -> Result<(), CliError> {
    Ok(run(config, stopped()).await?)
}

/// Waits for SIGTERM or SIGINT, or for the end of the terminal.
async fn stopped() {
    use tokio::signal::unix::{SignalKind, signal};
    let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
    let [Ok(mut term), Ok(mut int), Ok(mut hangup)] = kinds.map(signal) else {
        // Without handlers the signals end the process by themselves.
        return std::future::pending().await;
    };
    let at_a_terminal = std::io::stdin().is_terminal();
    loop {
        tokio::select! {
            _ = term.recv() => return,
            _ = int.recv() => return,
            // To a service it is the usual word for "read again", and there is nothing to read.
            _ = hangup.recv() => if at_a_terminal { return },
        }
    }
}

/// Show and control the Asterisk nodes behind ARI proxies
#[derive(Args, Clone, Debug)]
pub struct AriArgs {
    /// URLs of the NATS servers [default: MESSAGEBUS_URL, NATS_URL or NATS_URI]
    #[arg(long, global = true, value_name = "URL")]
    pub nats: Option<String>,
    /// Prefix of the NATS subjects
    #[arg(long, global = true, env = "ARI_PREFIX", default_value = "ari.", value_name = "PREFIX")]
    pub prefix: String,
    /// Use only this application
    #[arg(long, global = true, value_name = "NAME")]
    pub app: Option<String>,
    /// Use only this node
    #[arg(long, global = true, value_name = "ID")]
    pub node: Option<String>,
    /// Wait this long for answers, in milliseconds
    #[arg(long, global = true, default_value_t = 1000, value_name = "MS")]
    pub timeout: u64,
    /// The action.
    #[command(subcommand)]
    pub command: AriCommand,
}

/// The actions of `trunkline ari`.
#[derive(Subcommand, Clone, Debug)]
pub enum AriCommand {
    /// List the nodes that proxies announce, with the state of their Asterisk
    Nodes,
    /// List the channels of all nodes
    Channels,
    /// Print events, one JSON object per line
    Events {
        /// Run until interrupted [default: end after a second without an event]
        #[arg(short, long)]
        follow: bool,
        /// Print only events of these types
        #[arg(short = 't', long = "type", value_name = "TYPE")]
        types: Vec<String>,
        /// Print only events of this ARI dialog
        #[arg(long, value_name = "ID")]
        dialog: Option<String>,
    },
    /// Call an endpoint and connect it to an application or a dialplan extension
    Call {
        /// Endpoint to call, e.g. PJSIP/1001
        endpoint: String,
        /// Connect to this application [default: that of --app]
        #[arg(long, value_name = "NAME")]
        into: Option<String>,
        /// Connect to this extension
        #[arg(long, value_name = "EXTEN")]
        extension: Option<String>,
        /// Dialplan context of the extension
        #[arg(long, value_name = "CONTEXT", default_value = "default")]
        context: String,
        /// Caller ID to show
        #[arg(long, value_name = "ID")]
        caller_id: Option<String>,
        /// Ring this long, in seconds
        #[arg(long, default_value_t = 30)]
        ring: u64,
    },
    /// Send a request and print the answer
    Request {
        /// Kind of request, e.g. ChannelHangup
        kind: String,
        /// Id of the channel, bridge or other object
        #[arg(default_value = "")]
        id: String,
        /// Options of the request, as JSON
        #[arg(long, value_name = "JSON")]
        option: Option<String>,
    },
}

impl AriArgs {
    /// Runs the command, writing to `out`; `json` instead of tables.
    ///
    /// # Errors
    /// When a request fails or the output is closed.
    pub async fn run_to(self, json: bool, out: &mut (impl Write + Send)) -> Result<(), CliError> {
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
            AriCommand::Nodes => nodes(&client, &at, json, out).await,
            AriCommand::Channels => channels(&client, &at, json, out).await,
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
                let (id, node) = (channel.id(), channel.key().node.as_str());
                if json {
                    writeln!(out, "{:#}", serde_json::json!({ "channel": id, "node": node }))?;
                } else {
                    writeln!(out, "{id} on {node}")?;
                }
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
    pub async fn run(self, json: bool) -> Result<(), CliError> {
        self.run_to(json, &mut std::io::stdout()).await
    }
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
