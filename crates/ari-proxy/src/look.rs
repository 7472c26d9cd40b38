//! Lists of the nodes of a cluster and their channels, for the command `ari`.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};
use trunkline_ari_client::{Client, Key, Member};

use crate::cli::CliError;

/// A name or number with `\u{fffd}` in place of what a terminal would obey: callers choose their own.
fn shown(text: &str) -> String {
    text.replace(char::is_control, "\u{fffd}")
}

/// How long a second proxy of a node has to answer.
const TWINS: Duration = Duration::from_millis(100);

fn print(rows: Vec<Value>, out: &mut impl Write) -> Result<(), CliError> {
    Ok(writeln!(out, "{:#}", Value::Array(rows))?)
}

/// `trunkline ari nodes`
pub(crate) async fn nodes(
    client: &Client,
    at: &Key,
    json: bool,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let wanted =
        |m: &&Member| (at.app.is_empty() || at.app == m.app) && (at.node.is_empty() || at.node == m.node);
    let members = client.survey().await?;
    let mut rows = Vec::new();
    if !json {
        writeln!(out, "{:<24} {:<24} {:<40} CHANNELS", "APPLICATION", "NODE", "ASTERISK")?;
    }
    for member @ Member { app, node, .. } in members.iter().filter(wanted) {
        let proxies = client.proxies_of(member, TWINS).await?;
        if proxies > 1 {
            let warning = format!(
                "{proxies} proxies serve application {app} on node {node}: requests reach all of them"
            );
            let _ = writeln!(std::io::stderr(), "warning: {}", shown(&warning));
        }
        let key = Key::default().at(app.clone(), node.clone());
        let version = match client.asterisk(key.clone()).info().await {
            Ok(info) => info.system.map(|s| s.version).unwrap_or_default(),
            Err(error) => error.to_string(),
        };
        let channels = client.channel().list(&key).await.ok().map(|list| list.keys.len());
        if json {
            rows.push(json!({"application": app, "node": node, "asterisk": version, "channels": channels, "proxies": proxies}));
        } else {
            let channels = channels.map_or_else(|| "-".to_owned(), |count| count.to_string());
            writeln!(out, "{:<24} {:<24} {:<40} {channels}", shown(app), shown(node), shown(&version))?;
        }
    }
    if json { print(rows, out) } else { Ok(()) }
}

/// `trunkline ari channels`
pub(crate) async fn channels(
    client: &Client,
    at: &Key,
    json: bool,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let listing = client.channel().list(at).await?;
    let mut rows = Vec::new();
    if !json {
        writeln!(out, "{:<20} {:<32} {:<40} {:<8} CALLER", "NODE", "ID", "NAME", "STATE")?;
    }
    // One line a channel, though several applications of a node may list it.
    let mut seen = BTreeMap::new();
    for key in &listing.keys {
        seen.entry((key.node.clone(), key.id.clone())).or_insert_with(|| key.clone());
    }
    for ((node, id), key) in seen {
        // A channel may end between the list and the question.
        let Ok(data) = client.channel().handle(key).data().await else { continue };
        let (name, state, caller) = (data.name, data.state, data.caller.number);
        if json {
            rows.push(json!({"node": node, "id": id, "name": name, "state": state, "caller": caller}));
        } else {
            let [node, id, name, state, caller] =
                [&node, &id, &name, &state, &caller].map(|text| shown(text));
            writeln!(out, "{node:<20} {id:<32} {name:<40} {state:<8} {caller}")?;
        }
    }
    // Among the channels it would be taken for one.
    let mut said = std::io::stderr();
    if let Some(error) = &listing.error {
        let _ = writeln!(said, "(a node could not tell: {})", shown(&error.to_string()));
    }
    for Member { app, node, .. } in &listing.missing {
        let _ = writeln!(said, "(the list lacks node {} of application {})", shown(node), shown(app));
    }
    if json { print(rows, out) } else { Ok(()) }
}
