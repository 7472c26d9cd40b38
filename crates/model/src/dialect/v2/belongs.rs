//! Where a key belongs that stands in the wrong document: in another kind of resource, or in the configuration.

use super::read::keys_of;
use crate::document::{Content, Node, Source, leaf, parse};
use crate::resource::Kind;

/// The configuration with all its keys. A test of the crate that reads it holds that none is missing.
const SETTINGS: &str = include_str!("../../../../config/examples/trunkline.yaml");

/// More places would be no hint.
const MOST: usize = 3;

/// A remark that names the resources and the settings with this key, for a key that the resource at hand does not have.
pub(super) fn foreign(key: &str) -> String {
    let mut places = resources_with(key);
    places.extend(settings_with(key).iter().map(|path| format!("`{path}` of trunkline.yaml")));
    remark(&places)
}

/// A remark that names the resources with this key, for a key that the configuration does not have.
pub fn of_resources(key: &str) -> String {
    remark(&resources_with(key))
}

fn remark(places: &[String]) -> String {
    if places.is_empty() || places.len() > MOST {
        return String::new();
    }
    format!(" (this is a key elsewhere: {})", places.join(", "))
}

/// Keys with this name in the specs of resources, e.g. `spec.interDomain of a Domain`.
fn resources_with(key: &str) -> Vec<String> {
    let of_kind = |kind: Kind| {
        let begin = format!("{kind}.");
        let specs = keys_of(kind.as_str()).into_iter().filter_map(move |path| {
            let path = path.strip_prefix(&begin)?;
            path.starts_with("spec.").then(|| path.to_owned())
        });
        specs
            .filter(|path| leaf(path) == key)
            .map(move |path| format!("`{path}` of {kind}"))
            .collect::<Vec<_>>()
    };
    Kind::ALL.into_iter().flat_map(of_kind).collect()
}

/// The paths of the settings with this name.
fn settings_with(key: &str) -> Vec<String> {
    let documents = parse(&Source::new("", SETTINGS)).unwrap_or_default();
    let mut found = Vec::new();
    for root in &documents {
        find(root, "", key, &mut found);
    }
    found
}

fn find(node: &Node, within: &str, wanted: &str, found: &mut Vec<String>) {
    let Content::Map(entries) = &node.content else { return };
    for (key, value) in entries {
        let path = format!("{within}{}", key.text);
        find(value, &format!("{path}."), wanted, found);
        if key.text == wanted {
            found.push(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_other_documents() {
        for (key, said) in [
            ("digestUri", " (this is a key elsewhere: `digestUri` of trunkline.yaml)"),
            ("passChallenges", " (this is a key elsewhere: `routing.passChallenges` of trunkline.yaml)"),
            ("interDomain", " (this is a key elsewhere: `spec.interDomain` of Domain)"),
            (
                "authenticate",
                " (this is a key elsewhere: `spec.authenticate` of Domain, `routing.authenticate` of trunkline.yaml)",
            ),
            ("colour", ""),
            ("credentialsRef", ""),
        ] {
            assert_eq!(foreign(key), said, "{key}");
        }
        assert_eq!(of_resources("digestUri"), "");
        assert_eq!(of_resources("algorithms"), " (this is a key elsewhere: `spec.algorithms` of Domain)");
    }
}
