//! Tables for people.

use std::borrow::Cow;

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;
use trunkline_model::Kind;
use trunkline_model::document::printable;

use crate::live::shown;

/// A table without lines, so that it can be cut by programs as well.
pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().map(|name| name.to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|cell| printable(cell)));
    }
    // The first column of a table without lines begins with a space.
    let text = table.to_string();
    text.lines().map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line).trim_end())).collect()
}

/// `1 agent`, `2 agents`; of what is not counted by an `s`, `1 credentials`, `1 acl`.
pub(crate) fn counted(n: usize, plural: &str) -> String {
    let one = plural.strip_suffix('s').filter(|_| n == 1 && plural != "credentials");
    format!("{n} {}", one.unwrap_or(plural))
}

/// Lines that a terminal shows and does not obey.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    if text.split('\n').all(|line| matches!(printable(line), Cow::Borrowed(_))) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.split('\n').map(printable).collect::<Vec<_>>().join("\n"))
}

/// A column: its title, and the paths its value is put together from.
type Column = (&'static str, &'static str);

fn columns(kind: Kind) -> &'static [Column] {
    match kind {
        Kind::AccessControlList => {
            &[("allow", "/spec/accessControlList/allow"), ("deny", "/spec/accessControlList/deny")]
        }
        Kind::Credentials => &[("username", "/spec/credentials/username")],
        Kind::Trunk => &[
            ("inbound", "/spec/inbound/uri"),
            ("acl", "/spec/inbound/accessControlListRef"),
            ("outbound", "/spec/outbound/uris"),
            ("register", "/spec/outbound/sendRegister"),
            ("credentials", "/spec/outbound/credentialsRef"),
            ("state", "/status/state"),
        ],
        Kind::Number => &[
            ("number", "/spec/location/telUrl"),
            ("trunk", "/spec/trunkRef"),
            ("to", "/spec/location/aorLink"),
        ],
        Kind::Domain => &[
            ("host", "/spec/context/domainUri"),
            ("acl", "/spec/accessControlListRef"),
            ("authenticate", "/spec/authenticate"),
            ("interdomain", "/spec/interDomain"),
            ("egress", "/spec/context/egressPolicies"),
        ],
        Kind::Agent => &[
            ("username", "/spec/username"),
            ("domain", "/spec/domainRef"),
            ("credentials", "/spec/credentialsRef"),
            ("enabled", "/spec/enabled"),
        ],
        Kind::Peer => &[
            ("username", "/spec/username"),
            ("aor", "/spec/aor"),
            ("contact", "/spec/contactAddr"),
            ("credentials", "/spec/credentialsRef"),
            ("acl", "/spec/accessControlListRef"),
            ("enabled", "/spec/enabled"),
            ("state", "/status/state"),
        ],
        Kind::User => &[("username", "/spec/username"), ("role", "/spec/role"), ("enabled", "/spec/enabled")],
    }
}

/// Documents of a kind, a line each.
pub(crate) fn resources(kind: Kind, documents: &[Value]) -> String {
    let columns = columns(kind);
    let header: Vec<&str> =
        ["ref"].into_iter().chain(columns.iter().map(|(title, _)| *title)).chain(["name"]).collect();
    let rows = documents.iter().map(|document| {
        let cell = |path: &str| document.pointer(path).map(cell).unwrap_or_default();
        let middle = columns.iter().map(|(title, path)| match *title {
            "state" => shown(&cell(path)),
            _ => cell(path),
        });
        [cell("/ref")].into_iter().chain(middle).chain([cell("/metadata/name")]).collect()
    });
    table(&header, rows)
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.into(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.strip_prefix("tel:").unwrap_or(text).to_owned(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(" "),
        Value::Object(map) => match (map.get("uri"), map.get("rule")) {
            (Some(uri), _) => {
                let part = |key: &str| uri.get(key).map(cell).unwrap_or_default();
                // What is not set is left to DNS.
                let set = ["transport", "host", "port"].map(part);
                set.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(":")
            }
            (None, Some(rule)) => {
                format!("{}→{}", cell(rule), map.get("numberRef").map(cell).unwrap_or_default())
            }
            (None, None) => value.to_string(),
        },
    }
}

/// One document in full, as YAML.
pub(crate) fn resource(document: &Value) -> String {
    trunkline_model::dialect::v2::yaml(document)
}
