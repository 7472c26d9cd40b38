//! Configuration files: nested names become the dotted names of settings.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::config::{ConfigError, File, SETTINGS, unknown};

/// Reads a file into values by setting.
pub(crate) fn read(file: &File<'_>) -> Result<BTreeMap<&'static str, String>, ConfigError> {
    let bad = |why: String| ConfigError::File(file.path.to_owned(), why);
    let mut flat = Vec::new();
    if file.path.extension().is_some_and(|e| e == "toml") {
        toml(file.text, &mut flat).map_err(bad)?;
    } else if !file.text.trim().is_empty() {
        let value: Value = serde_saphyr::from_str(file.text).map_err(|e| bad(e.to_string()))?;
        flatten("", &value, &mut flat);
    }
    let mut values = BTreeMap::new();
    for (name, value) in flat {
        // The setting `delivery` is also the name of a group: its own value may stand there.
        let name = name.strip_suffix(".mode").unwrap_or(&name);
        match SETTINGS.iter().find(|s| s.name.eq_ignore_ascii_case(name)) {
            Some(setting) => values.insert(setting.name, value),
            None => return Err(unknown(place(file, name), name)),
        };
    }
    Ok(values)
}

fn flatten(prefix: &str, value: &Value, out: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                flatten(&name, value, out);
            }
        }
        Value::Null => {}
        Value::String(text) => out.push((prefix.to_owned(), text.clone())),
        Value::Array(items) => {
            let items: Vec<_> =
                items.iter().map(|i| i.as_str().map_or_else(|| i.to_string(), str::to_owned)).collect();
            out.push((prefix.to_owned(), items.join(",")));
        }
        Value::Bool(_) | Value::Number(_) => out.push((prefix.to_owned(), value.to_string())),
    }
}

/// The part of TOML that settings need: tables and `name = value` of text, numbers and booleans.
fn toml(text: &str, out: &mut Vec<(String, String)>) -> Result<(), String> {
    let mut table = String::new();
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            table = format!("{}.", name.trim());
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            return Err(format!("line {}: neither a [table] nor `name = value`", n + 1));
        };
        let value = value.trim();
        let value = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => value
                .get(1..)
                .and_then(|v| v.split_once(quote))
                .map(|(v, _)| v)
                .ok_or_else(|| format!("line {}: the text has no end", n + 1))?,
            _ => value.split('#').next().unwrap_or(value).trim(),
        };
        out.push((format!("{table}{}", name.trim().trim_matches('"')), value.to_owned()));
    }
    Ok(())
}

/// Where a setting stands: the first line that begins with its last name.
fn place(file: &File<'_>, name: &str) -> String {
    let last = name.rsplit('.').next().unwrap_or(name);
    let begins = |line: &str| {
        let rest = line.trim_start().trim_start_matches(['"', '\'']).strip_prefix(last)?;
        rest.trim_start_matches(['"', '\'']).trim_start().starts_with([':', '=']).then_some(())
    };
    let path = file.path.display();
    match file.text.lines().enumerate().find(|(_, line)| begins(line).is_some()) {
        Some((n, line)) => format!("{path}:{}:{}", n + 1, line.len() - line.trim_start().len() + 1),
        None => path.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_three_formats_say_the_same() {
        let yaml = "verbose: true\nnats:\n  url: nats://a:1\nari:\n  timeout: 5\n";
        let json = r#"{"verbose": true, "nats": {"url": "nats://a:1"}, "ari": {"timeout": 5}}"#;
        let toml = "verbose = true # aloud\n[nats]\nurl = \"nats://a:1\"\n[ari]\ntimeout = 5\n";
        let read = |path: &str, text: &str| read(&File { path: Path::new(path), text }).unwrap();
        let want = read("a.yaml", yaml);
        assert_eq!(want.len(), 3);
        assert_eq!(read("a.json", json), want);
        assert_eq!(read("a.toml", toml), want);
    }

    #[test]
    fn a_file_that_is_none_says_where() {
        let text = read(&File { path: Path::new("a.toml"), text: "x" }).unwrap_err().to_string();
        assert_eq!(text, "a.toml: line 1: neither a [table] nor `name = value`");
    }
}
