//! The documents of each kind as JSON schemas with an example, for the OpenAPI document.

use serde_json::{Map, Value, json};
use trunkline_model::dialect::v1::Collection;

use crate::schema::{ANY, Check, all_rules};

/// The schema of documents of the collection. Other keys are kept.
pub(crate) fn json_schema(collection: Collection, kind: &str) -> Value {
    let mut schema = object();
    for (path, required, check) in all_rules(collection) {
        put(&mut schema, path, *required, of(*check));
    }
    schema["properties"]["kind"] = json!({"type": "string", "enum": [kind, kind.to_lowercase()]});
    schema["example"] = example(collection, kind);
    schema
}

fn object() -> Value {
    json!({"type": "object", "properties": {}})
}

/// Puts what must stand at a path of names into the schema.
fn put(schema: &mut Value, path: &str, required: bool, found: Value) {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    match rest {
        Some(rest) => {
            let Some(properties) = schema["properties"].as_object_mut() else { return };
            put(properties.entry(first).or_insert_with(object), rest, required, found);
        }
        None => {
            // What is inside it may have been told before.
            let inside = &mut schema["properties"][first];
            if inside.is_null() {
                *inside = found;
            }
            if required {
                match schema["required"].as_array_mut() {
                    Some(names) => names.push(first.into()),
                    None => schema["required"] = json!([first]),
                }
            }
        }
    }
}

fn of(check: Check) -> Value {
    match check {
        Check::Map => object(),
        Check::Flag => json!({"type": "boolean"}),
        Check::Whole(least) => json!({"type": "integer", "minimum": least}),
        Check::Word(words) => json!({"type": "string", "enum": words}),
        Check::Texts => {
            json!({"type": "array", "items": {"type": "string"}, "minItems": 1, "uniqueItems": true})
        }
        Check::Text(least, most) => {
            let mut schema =
                Map::from_iter([("type".into(), "string".into()), ("minLength".into(), least.into())]);
            if most != ANY {
                schema.insert("maxLength".into(), most.into());
            }
            Value::Object(schema)
        }
    }
}

/// A document as a client would send it.
fn example(collection: Collection, kind: &str) -> Value {
    let login = |username: &str| json!({"username": username, "secret": "4aVeryLongSecret"});
    let (metadata, spec) = match collection {
        Collection::Users => (json!({"name": "Administrator"}), json!({"credentials": login("admin")})),
        Collection::Agents => {
            (json!({"name": "Ann Lee"}), json!({"credentials": login("1003"), "domains": ["sip.local"]}))
        }
        Collection::Domains => {
            (json!({"name": "Branch"}), json!({"context": {"domainUri": "branch.example"}}))
        }
        Collection::Gateways => (
            json!({"name": "Provider", "ref": "provider-2"}),
            json!({"host": "sip.provider.example", "transport": "udp", "credentials": login("account")}),
        ),
        Collection::Numbers => (
            json!({"name": "Main line", "gwRef": "provider"}),
            json!({"location": {"telUrl": "tel:17066041487", "aorLink": "sip:1001@sip.local"}}),
        ),
        Collection::Peers => (
            json!({"name": "Media server"}),
            json!({"credentials": login("media"), "device": "media.example"}),
        ),
    };
    json!({"apiVersion": "v1beta1", "kind": kind, "metadata": metadata, "spec": spec})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::mistakes;

    #[test]
    fn examples_are_good_and_schemas_are_the_rules() {
        for collection in Collection::ALL {
            let schema = json_schema(collection, "Kind");
            assert_eq!(mistakes(collection, &schema["example"]), Vec::<String>::new(), "{collection:?}");
        }
        let gateway = json_schema(Collection::Gateways, "Gateway");
        assert_eq!(gateway["required"], json!(["apiVersion", "kind", "metadata", "spec"]));
        let spec = &gateway["properties"]["spec"];
        assert_eq!(spec["required"], json!(["host", "transport"]));
        assert_eq!(spec["properties"]["port"], json!({"type": "integer", "minimum": 1}));
        let credentials = &spec["properties"]["credentials"];
        assert_eq!(credentials["required"], json!(["username", "secret"]));
        assert_eq!(credentials["properties"]["username"]["maxLength"], 30);
    }
}
