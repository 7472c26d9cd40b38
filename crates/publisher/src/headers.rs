//! Headers whose names begin with `X-`, for subscribers.

use serde_json::{Map, Value};

/// Such headers of one message, at most.
const MOST: usize = 32;
/// Longer values are cut.
const LONGEST: usize = 512;

/// Reads header lines. Those that may be credentials are left out: Routr's tokens and accounts of carriers, and others named so.
pub(crate) fn read(lines: &str) -> Map<String, Value> {
    let mut map = Map::new();
    for line in lines.split("\r\n").flat_map(|line| line.split('\n')) {
        let Some((name, value)) = line.split_once(':') else { continue };
        let name = name.trim();
        if map.len() >= MOST || is_secret(name) {
            continue;
        }
        let value: String = value.trim().chars().filter(|c| !c.is_control()).take(LONGEST).collect();
        map.entry(name.to_owned()).or_insert(Value::from(value));
    }
    map
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["token", "auth", "secret", "password", "key", "edgeport"].iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_left_out() {
        let lines = "X-Tenant:  a b \r\nX-Connect-Token: eyJ\r\nX-Gateway-Auth: dTpw\r\nx-tag: 1\u{1b}[m\r\nX-Api-Key: k\r\n";
        let map = read(lines);
        let all: Vec<_> = map.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(all, [("X-Tenant", Some("a b")), ("x-tag", Some("1[m"))]);
    }
}
