//! `kind: Location`.

use std::net::SocketAddr;

use trunkline_model::document::Fields;

use super::file::{bind, version};

/// The configuration of `trunkline location`.
#[derive(Clone, Debug, PartialEq)]
pub struct LocationRole {
    /// `spec.bindAddr`.
    pub bind: SocketAddr,
    /// `spec.cache`.
    pub cache: LocationCache,
    /// `spec.acceptSips`: are addresses of record with `sips:` accepted?
    pub sips: bool,
}

/// Where routes are kept.
#[derive(Clone, Debug, PartialEq)]
pub enum LocationCache {
    /// In memory.
    Memory,
}

const PROVIDERS: [(&str, bool); 2] = [("memory", false), ("redis", true)];

impl LocationRole {
    pub(super) fn read(top: &Fields<'_>) -> Option<LocationRole> {
        version(top);
        let mut role = LocationRole {
            bind: SocketAddr::from(([0, 0, 0, 0], 51902)),
            cache: LocationCache::Memory,
            sips: true,
        };
        let Some(spec) = top.map("spec") else {
            top.error(
                "spec",
                "the spec is required",
                Some("write `spec: {bindAddr: 0.0.0.0:51902}`".to_owned()),
            );
            return None;
        };
        role.bind = bind(&spec, role.bind);
        role.sips = spec.boolean("acceptSips").unwrap_or(true);
        if let Some(cache) = spec.map("cache") {
            let redis = cache.choice("provider", &PROVIDERS).unwrap_or_default();
            if redis {
                cache.error(
                    "provider",
                    "routes are kept in memory only, so far",
                    Some("write memory".to_owned()),
                );
            }
            cache.text("parameters");
            cache.finish_open();
        }
        spec.finish_open();
        Some(role)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{RoleFile, is_role_file};
    use super::*;
    use trunkline_model::document::Source;

    fn read(name: &str, text: &str) -> Result<LocationRole, String> {
        match RoleFile::read(&Source::new(name, text)) {
            Ok(RoleFile::Location(role)) => Ok(role),
            Ok(other) => Err(other.role().to_owned()),
            Err(report) => Err(report.to_string()),
        }
    }

    #[test]
    fn the_three_languages_say_the_same() {
        let yaml = "kind: Location\napiVersion: v2beta1\nref: location\nmetadata: {region: r}\nspec:\n  bindAddr: 127.0.0.1:5\n  cache:\n    provider: Memory\n";
        let json = r#"{"kind": "location", "apiVersion": "v2", "metadata": {}, "spec": {"bindAddr": "127.0.0.1:5", "cache": {"provider": "memory"}, "other": 1}}"#;
        let toml = "kind = 'Location'\napiVersion = 'v2'\n[spec]\nbindAddr = '127.0.0.1:5'\n";
        let role = read("a.yaml", yaml).expect("good");
        assert_eq!(role.bind, SocketAddr::from(([127, 0, 0, 1], 5)));
        assert_eq!((read("a.json", json), read("a.toml", toml)), (Ok(role.clone()), Ok(role)));
    }

    #[test]
    fn mistakes_have_places_and_remedies() {
        for (text, expected) in [
            ("kind: Location\napiVersion: v1\nspec: {}\n", "a.yaml:2:13"),
            ("kind: Location\napiVersion: v2\nspec:\n  bindAdr: 0.0.0.0:1\n", "did you mean `bindAddr`"),
            ("kind: Location\napiVersion: v2\nspec:\n  bindAddr: here\n", "a.yaml:4:13"),
            ("kind: Locaton\n", "did you mean `Location`"),
            ("kind: Registry\n", "no role `registry` yet"),
            ("kind: Location\napiVersion: v2\n", "the spec is required"),
            (
                "kind: Location\napiVersion: v2\nspec: {cache: {provider: mongo}}\n",
                "expected one of: memory, redis",
            ),
            ("", "empty"),
            ("a: [\n", "not YAML"),
            ("a: 1\n---\nb: 2\n", "one document"),
        ] {
            let said = read("a.yaml", text).expect_err(text);
            assert!(said.contains(expected), "{text}: {said}");
        }
        assert!(!is_role_file(std::path::Path::new("/nowhere")));
    }
}
