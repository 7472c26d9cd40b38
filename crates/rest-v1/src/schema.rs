//! Validation of documents, with the messages of late editions.

use serde_json::Value;
use trunkline_model::dialect::v1::Collection;

/// What a value must be.
#[derive(Clone, Copy)]
pub(crate) enum Check {
    Map,
    /// Text of at least and at most so many characters.
    Text(usize, usize),
    Word(&'static [&'static str]),
    /// A whole number of at least that.
    Whole(i64),
    Flag,
    /// A list of different texts, of at least one.
    Texts,
}

/// A path, whether it must be there where its parent is, and what must stand there.
pub(crate) type Rule = (&'static str, bool, Check);

/// No bound.
pub(crate) const ANY: usize = usize::MAX;

const COMMON: &[Rule] = &[
    ("apiVersion", true, Check::Word(&["v1beta1", "v1.0", "v1"])),
    ("kind", true, Check::Text(1, ANY)),
    ("metadata", true, Check::Map),
    ("metadata.ref", false, Check::Text(3, 24)),
    ("spec", true, Check::Map),
];

fn rules(collection: Collection) -> &'static [Rule] {
    match collection {
        Collection::Users => &[
            ("metadata.name", true, Check::Text(3, 30)),
            ("spec.credentials", true, Check::Map),
            ("spec.credentials.username", true, Check::Text(3, 30)),
            ("spec.credentials.secret", true, Check::Text(1, ANY)),
        ],
        Collection::Agents => &[
            ("metadata.name", true, Check::Text(3, 100)),
            ("spec.credentials", true, Check::Map),
            ("spec.credentials.username", true, Check::Text(3, 100)),
            ("spec.credentials.secret", true, Check::Text(1, ANY)),
            ("spec.domains", true, Check::Texts),
            ("spec.privacy", false, Check::Word(&["Private", "private", "None", "none"])),
            ("spec.ex_maxContact", false, Check::Whole(0)),
        ],
        Collection::Domains => &[
            ("metadata.name", true, Check::Text(3, 30)),
            ("spec.context", true, Check::Map),
            ("spec.context.domainUri", true, Check::Text(1, ANY)),
            ("spec.context.egressPolicy", false, Check::Map),
            ("spec.context.egressPolicy.rule", true, Check::Text(1, ANY)),
            ("spec.context.accessControlList", false, Check::Map),
        ],
        Collection::Gateways => &[
            ("metadata.name", true, Check::Text(3, 30)),
            ("spec.host", true, Check::Text(1, ANY)),
            ("spec.port", false, Check::Whole(1)),
            ("spec.transport", true, Check::Word(&["tcp", "udp"])),
            ("spec.credentials", false, Check::Map),
            ("spec.credentials.username", true, Check::Text(3, 30)),
            ("spec.credentials.secret", true, Check::Text(1, ANY)),
            ("spec.expires", false, Check::Whole(0)),
            ("spec.sendRegister", false, Check::Flag),
            ("spec.registries", false, Check::Texts),
        ],
        Collection::Numbers => &[
            ("metadata.gwRef", true, Check::Text(3, 24)),
            ("spec.location", true, Check::Map),
            ("spec.location.telUrl", true, Check::Text(4, ANY)),
            ("spec.location.aorLink", true, Check::Text(4, ANY)),
        ],
        Collection::Peers => &[
            ("metadata.name", true, Check::Text(3, 100)),
            ("spec.credentials", true, Check::Map),
            ("spec.credentials.username", true, Check::Text(3, 100)),
            ("spec.credentials.secret", true, Check::Text(1, ANY)),
            ("spec.device", false, Check::Text(1, ANY)),
            ("spec.contactAddr", false, Check::Text(1, ANY)),
            ("spec.ex_maxContact", false, Check::Whole(0)),
        ],
    }
}

/// The rules of all kinds, then those of this one; the parent of a path stands before it.
pub(crate) fn all_rules(collection: Collection) -> impl Iterator<Item = &'static Rule> {
    COMMON.iter().chain(rules(collection))
}

/// The configuration, as far as late editions check its form.
const CONFIGURATION: &[Rule] = &[
    ("apiVersion", true, Check::Word(&["v1beta1", "v1.0", "v1"])),
    ("metadata", false, Check::Map),
    ("metadata.userAgent", false, Check::Text(3, 30)),
    ("spec", true, Check::Map),
    ("spec.bindAddr", false, Check::Text(1, ANY)),
    ("spec.externAddr", false, Check::Text(1, ANY)),
    ("spec.localnets", false, Check::Texts),
    ("spec.recordRoute", false, Check::Flag),
    ("spec.useToAsAOR", false, Check::Flag),
    ("spec.registrarIntf", false, Check::Text(1, ANY)),
    ("spec.addressInfo", false, Check::Texts),
    ("spec.accessControlList", false, Check::Map),
    ("spec.accessControlList.allow", false, Check::Texts),
    ("spec.accessControlList.deny", false, Check::Texts),
    ("spec.restService", false, Check::Map),
    ("spec.restService.bindAddr", false, Check::Text(1, ANY)),
    ("spec.restService.port", false, Check::Whole(0)),
    ("spec.restService.unsecured", false, Check::Flag),
    ("spec.securityContext", false, Check::Map),
    ("spec.securityContext.client", false, Check::Map),
    ("spec.securityContext.client.protocols", false, Check::Texts),
    ("spec.securityContext.debugging", false, Check::Flag),
    ("spec.dataSource", false, Check::Map),
    ("spec.logging", false, Check::Map),
    ("spec.logging.traceLevel", false, Check::Whole(0)),
    ("spec.ex_rtpEngine", false, Check::Map),
];

/// Everything that is wrong with the form of a configuration.
pub(crate) fn mistakes_of_configuration(document: &Value) -> Vec<String> {
    broken(CONFIGURATION.iter(), document, "$")
}

/// The value at a path of names.
pub(crate) fn at<'v>(document: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(document, |value, name| value.get(name)).filter(|value| !value.is_null())
}

/// Everything that is wrong with a document.
pub(crate) fn mistakes(collection: Collection, document: &Value) -> Vec<String> {
    broken(all_rules(collection), document, "$[0]")
}

/// The rules that a document breaks.
fn broken(rules: impl Iterator<Item = &'static Rule>, document: &Value, root: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (path, required, check) in rules {
        let parent = path.rsplit_once('.').map_or(Some(document), |(parent, _)| at(document, parent));
        if !parent.is_some_and(Value::is_object) {
            continue;
        }
        let said = match at(document, path) {
            Some(value) => check.mistake(value),
            None => required.then(|| "is missing but it is required".to_owned()),
        };
        found.extend(said.map(|said| format!("{root}.{path}: {said}")));
    }
    found
}

impl Check {
    fn mistake(self, value: &Value) -> Option<String> {
        let expected = |what: &str| Some(format!("{} found, {what} expected", found(value)));
        match self {
            Check::Map => {
                if value.is_object() {
                    None
                } else {
                    expected("object")
                }
            }
            Check::Flag => {
                if value.is_boolean() {
                    None
                } else {
                    expected("boolean")
                }
            }
            Check::Text(least, most) => {
                let Some(text) = value.as_str() else { return expected("string") };
                match text.chars().count() {
                    n if n < least => Some(format!("must be at least {least} characters long")),
                    n if n > most => Some(format!("may only be {most} characters long")),
                    _ => None,
                }
            }
            Check::Word(words) => {
                let known = value.as_str().is_some_and(|text| words.contains(&text));
                (!known).then(|| format!("does not have a value in the enumeration [{}]", words.join(", ")))
            }
            Check::Whole(least) => match value.as_i64() {
                None => expected("integer"),
                Some(n) if n < least => Some(format!("must have a minimum value of {least}")),
                Some(_) => None,
            },
            Check::Texts => {
                let Some(items) = value.as_array() else { return expected("array") };
                let twice = items.iter().enumerate().any(|(n, a)| items.iter().take(n).any(|b| a == b));
                if items.is_empty() {
                    Some("there must be a minimum of 1 items in the array".into())
                } else if twice {
                    Some("the items in the array must be unique".into())
                } else {
                    items
                        .iter()
                        .find(|item| !item.is_string())
                        .and_then(|item| Check::Text(0, ANY).mistake(item))
                }
            }
        }
    }
}

fn found(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn gateway() -> Value {
        json!({"apiVersion": "v1beta1", "kind": "Gateway", "metadata": {"name": "Provider"},
               "spec": {"host": "sip.provider.net", "transport": "tcp"}})
    }

    fn with(path: &str, value: Value) -> Value {
        let mut document = gateway();
        let mut place = &mut document;
        for step in path.split('.') {
            place = &mut place[step];
        }
        *place = value;
        document
    }

    #[test]
    fn the_messages_of_late_editions() {
        assert_eq!(mistakes(Collection::Gateways, &gateway()), Vec::<String>::new());
        for (path, value, said) in [
            (
                "spec.transport",
                json!("sctp"),
                "$[0].spec.transport: does not have a value in the enumeration [tcp, udp]",
            ),
            ("metadata.name", json!("ab"), "$[0].metadata.name: must be at least 3 characters long"),
            ("metadata.ref", json!("a".repeat(25)), "$[0].metadata.ref: may only be 24 characters long"),
            ("spec.host", Value::Null, "$[0].spec.host: is missing but it is required"),
            ("spec.port", json!("5060"), "$[0].spec.port: string found, integer expected"),
            ("spec.port", json!(0), "$[0].spec.port: must have a minimum value of 1"),
            ("spec.sendRegister", json!("yes"), "$[0].spec.sendRegister: string found, boolean expected"),
            (
                "spec.credentials",
                json!({"username": "abc"}),
                "$[0].spec.credentials.secret: is missing but it is required",
            ),
            (
                "spec.registries",
                json!([]),
                "$[0].spec.registries: there must be a minimum of 1 items in the array",
            ),
            (
                "spec.registries",
                json!(["a", "a"]),
                "$[0].spec.registries: the items in the array must be unique",
            ),
            ("metadata", json!([]), "$[0].metadata: array found, object expected"),
            ("spec", Value::Null, "$[0].spec: is missing but it is required"),
        ] {
            assert_eq!(mistakes(Collection::Gateways, &with(path, value)), [said]);
        }
        assert!(mistakes(Collection::Agents, &json!([])).is_empty(), "no document at all is told elsewhere");
    }
}
