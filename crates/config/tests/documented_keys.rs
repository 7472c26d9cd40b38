//! The settings that the documents and the reason codes name: each exists.

use std::collections::BTreeSet;
use std::path::Path;

use trunkline_config::{Config, Env};

const PAGES: [&str; 9] = [
    "README.md",
    "docs/api.md",
    "docs/ari.md",
    "docs/ari-operations.md",
    "docs/events.md",
    "docs/exchange.md",
    "docs/reasons.md",
    "docs/resources.md",
    "docs/security.md",
];

/// Names of something else.
const OTHERS: [&str; 6] = [
    "grpc.health.v1.Health",
    "events.lost",
    "events.md",
    "otlp.ca",
    "http.request.method",
    "http.response.status_code",
];

/// What is written like a setting: `section.key`, `section.key.key`.
fn named<'t>(text: &'t str, sections: &BTreeSet<&str>) -> BTreeSet<&'t str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_'));
    words
        .map(|word| word.trim_end_matches('.'))
        .filter(|word| word.split_once('.').is_some_and(|(section, _)| sections.contains(section)))
        .collect()
}

#[test]
fn every_setting_that_is_named_exists() {
    let values = Config::read(None, &Env::default()).expect("the defaults").values;
    let paths: BTreeSet<&str> = values.iter().map(|value| value.path.as_str()).collect();
    let sections: BTreeSet<&str> =
        paths.iter().filter_map(|path| path.split_once('.')).map(|(section, _)| section).collect();
    let exists =
        |word: &str| paths.contains(word) || paths.iter().any(|path| path.starts_with(&format!("{word}.")));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = 0;
    for page in PAGES {
        let text = std::fs::read_to_string(root.join(page)).expect(page);
        for word in named(&text, &sections) {
            assert!(exists(word) || OTHERS.contains(&word), "{page} names {word}, which is no setting");
            found += 1;
        }
    }
    assert!(found > 60, "{found}");
}
