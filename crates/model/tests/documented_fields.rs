//! docs/resources.md lists every key of every kind, and no other; its defaults are the program's.

use std::collections::BTreeSet;

use serde_json::Value;
use trunkline_model::Kind;
use trunkline_model::dialect::v2;
use trunkline_model::document::Source;

fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/resources.md");
    std::fs::read_to_string(path).expect("docs/resources.md")
}

/// The rows of a section's table: the keys of the first cell, and the cell of the default.
fn rows(page: &str, section: &str) -> Vec<(String, String)> {
    let begin = format!("\n## {section}\n");
    let text = page.split_once(&begin).unwrap_or_else(|| panic!("no section {section}")).1;
    let text = text.split("\n## ").next().unwrap_or_default();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect::<Vec<_>>());
    cells
        .flat_map(|cells| {
            let [keys, _, default, _] = cells[..] else { panic!("not four cells: {cells:?}") };
            // `a`, `b` + is two keys of our own.
            let keys = keys.trim_end_matches(" +").split(", ");
            keys.map(|key| (key.trim_matches('`').to_owned(), default.to_owned())).collect::<Vec<_>>()
        })
        .collect()
}

/// The keys of a kind that hold a value, without the kind's name. Maps are left out.
fn keys(kind: Kind) -> BTreeSet<String> {
    let begin = format!("{kind}.");
    let all: BTreeSet<String> = v2::keys_of(kind.as_str())
        .iter()
        .filter_map(|path| path.strip_prefix(&begin))
        .map(str::to_owned)
        .collect();
    let holds = |path: &String| {
        ["spec", "metadata"].contains(&path.as_str())
            || all
                .iter()
                .any(|other| [".", "[]."].iter().any(|dot| other.starts_with(&format!("{path}{dot}"))))
    };
    all.iter().filter(|path| !holds(path)).cloned().collect()
}

#[test]
fn every_key_is_documented_and_no_other() {
    let page = page();
    let common: BTreeSet<String> =
        rows(&page, "All kinds").into_iter().map(|(key, _)| key).filter(|key| key != "spec").collect();
    for kind in Kind::ALL {
        let path = |(key, _): (String, String)| match key.starts_with("metadata.") || key == "status" {
            true => key,
            false => format!("spec.{key}"),
        };
        let own: BTreeSet<String> = rows(&page, kind.as_str()).into_iter().map(path).collect();
        let documented: BTreeSet<String> = common.union(&own).cloned().collect();
        let keys = keys(kind);
        let missing: Vec<_> = keys.difference(&documented).collect();
        let unknown: Vec<_> = documented.difference(&keys).collect();
        assert!(missing.is_empty() && unknown.is_empty(), "{kind}: missing {missing:?}, unknown {unknown:?}");
    }
}

/// A document with nothing but what is required.
const LEAST: [(Kind, &str); 8] = [
    (Kind::Domain, "context: {domainUri: a.example}"),
    (Kind::Agent, "username: a"),
    (Kind::Peer, "username: a, loadBalancing: {}"),
    (Kind::Trunk, "outbound: {uris: [{uri: {host: a.example}}]}"),
    (Kind::Number, "location: {telUrl: 'tel:+1'}"),
    (Kind::AccessControlList, "accessControlList: {allow: [192.0.2.1]}"),
    (Kind::Credentials, "credentials: {username: a, password: b}"),
    (Kind::User, "username: a"),
];

/// What is read with a default written into it is what is read without.
#[test]
fn the_documented_defaults_are_those_of_the_program() {
    let page = page();
    let mut compared = 0;
    for (kind, least) in LEAST {
        let read = |spec: &Value| {
            let document = serde_json::json!({
                "apiVersion": "v2", "kind": kind.as_str(), "ref": "a", "metadata": {"name": "a"}, "spec": spec,
            });
            let tables =
                v2::load(&[Source::new("x", document.to_string())]).unwrap_or_else(|e| panic!("{e}"));
            let resource = tables.get(kind, "a").unwrap_or_else(|| panic!("{kind}"));
            v2::to_json_in_full(&resource)
        };
        let least: Value = parsed(&format!("{{{least}}}"));
        let expected = read(&least);
        for (key, default) in rows(&page, kind.as_str()) {
            let Some(value) = literal(&default) else { continue };
            let mut spec = least.clone();
            if !put(&mut spec, &key, &value) {
                continue;
            }
            assert_eq!(read(&spec), expected, "{kind}: {key}, default {default}");
            compared += 1;
        }
    }
    assert!(compared >= 18, "{compared}");
}

/// The value in a cell, where it is one: `all`, 2000, `[MD5, SHA-256]`, empty.
fn literal(cell: &str) -> Option<Value> {
    let word = cell.trim_matches('`');
    match word {
        "empty" => Some(Value::Array(Vec::new())),
        _ if cell.starts_with('`') || word.parse::<i64>().is_ok() => Some(parsed(word)),
        _ => None,
    }
}

fn parsed(text: &str) -> Value {
    let documents =
        trunkline_model::document::parse(&Source::new("x", text)).unwrap_or_else(|e| panic!("{e}"));
    documents.first().expect("a document").to_json()
}

/// Writes the value at a path, `[]` being the first of a list; false where the list has no entry.
fn put(spec: &mut Value, path: &str, value: &Value) -> bool {
    let mut place = spec;
    for step in path.split('.') {
        let (key, listed) = step.strip_suffix("[]").map_or((step, false), |key| (key, true));
        if place.is_null() {
            *place = serde_json::json!({});
        }
        place = &mut place[key];
        if listed {
            match place.get_mut(0) {
                Some(first) => place = first,
                None => return false,
            }
        }
    }
    *place = value.clone();
    true
}
