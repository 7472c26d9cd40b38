//! Changing a document by paths.

use serde_json::{Map, Value};
use trunkline_model::document::{Node, Source, parse};

/// The parts of a document that a path may begin with; any other begins below `spec`.
const TOP: [&str; 5] = ["apiVersion", "ref", "metadata", "spec", "extended"];

/// Keys whose values nobody should see in a list of processes.
const SECRET: [&str; 3] = ["password", "passwordHash", "hash"];

/// Applies `path=value`; the value is YAML, so that `2`, `true`, `[a, b]` and `text` are what they look like.
pub(crate) fn set(document: &mut Value, edit: &str) -> Result<(), String> {
    let (path, text) =
        edit.split_once('=').ok_or_else(|| format!("`{edit}`: write PATH=VALUE, e.g. maxContacts=2"))?;
    if path.split(['.', '[']).any(|step| SECRET.contains(&step)) {
        return Err(format!(
            "`{path}` is a secret, and others can read command lines: use --prompt-password, \
             --password-stdin or --generate-password"
        ));
    }
    let nodes = parse(&Source::new("the command line", text)).map_err(|error| error.message)?;
    let node = nodes.first();
    let mut value = node.map_or(Value::Null, Node::to_json);
    // `0123` and `+1706…` are user names and telephone numbers, and would lose their beginning.
    if let (Value::Number(number), Some(typed)) = (&value, node.and_then(Node::as_text))
        && number.to_string() != typed
    {
        value = typed.into();
    }
    put(document, path, Some(value))
}

/// Removes the value at a path.
pub(crate) fn unset(document: &mut Value, path: &str) -> Result<(), String> {
    put(document, path, None)
}

fn put(document: &mut Value, path: &str, value: Option<Value>) -> Result<(), String> {
    let full = match path.split(['.', '[']).next() {
        Some(first) if TOP.contains(&first) => path.to_owned(),
        _ => format!("spec.{path}"),
    };
    let mut steps: Vec<&str> = full.split(['.', '[']).collect();
    let last =
        steps.pop().filter(|step| !step.is_empty()).ok_or_else(|| format!("`{path}` is not a path"))?;
    let mut at = document;
    for step in steps {
        at = inside(at, step).ok_or_else(|| format!("`{path}`: no field `{step}`"))?;
    }
    match (value, at, last.strip_suffix(']')) {
        (Some(value), at, Some(_)) => {
            *inside(at, last).ok_or_else(|| format!("`{path}`: no item `[{last}`"))? = value;
        }
        (None, Value::Array(items), Some(index)) => {
            let index = index.parse().ok().filter(|index| *index < items.len());
            items.remove(index.ok_or_else(|| format!("`{path}`: no item `[{last}`"))?);
        }
        (Some(value), Value::Object(map), None) => {
            map.insert(last.to_owned(), value);
        }
        (None, Value::Object(map), None) => {
            map.remove(last);
        }
        _ => return Err(format!("`{path}`: no field `{last}`")),
    }
    Ok(())
}

/// One step down; a map that is missing is made.
fn inside<'v>(value: &'v mut Value, step: &str) -> Option<&'v mut Value> {
    if let Some(index) = step.strip_suffix(']') {
        return value.get_mut(index.parse::<usize>().ok()?);
    }
    let map = value.as_object_mut()?;
    Some(map.entry(step).or_insert_with(|| Value::Object(Map::new())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths() {
        let mut d = json!({"spec": {"a": [{"b": 1}, {"b": 2}]}});
        set(&mut d, "maxContacts=2").expect("set");
        set(&mut d, "fallback.busy=sip:1@x").expect("set");
        set(&mut d, "metadata.name=Ann Lee").expect("set");
        set(&mut d, "spec.a[1].b=[x, 'y', {z: true}]").expect("set");
        for typed in ["username='0123'", "username=0123"] {
            set(&mut d, typed).expect("set");
            assert_eq!(d["spec"]["username"], "0123");
        }
        set(&mut d, "n=+1706").expect("set");
        assert_eq!(d["spec"]["n"], "+1706");
        unset(&mut d, "n").expect("unset");
        let expected = json!({
            "metadata": {"name": "Ann Lee"},
            "spec": {
                "a": [{"b": 1}, {"b": ["x", "y", {"z": true}]}],
                "maxContacts": 2,
                "fallback": {"busy": "sip:1@x"},
                "username": "0123",
            },
        });
        assert_eq!(d, expected);
        unset(&mut d, "a[0]").expect("unset");
        unset(&mut d, "fallback").expect("unset");
        unset(&mut d, "never.was").expect("unset");
        assert_eq!(d["spec"]["a"], json!([{"b": ["x", "y", {"z": true}]}]));
        assert!(d["spec"].get("fallback").is_none());
        for wrong in ["a", "a[7]=1", "a[x].b=1", "username.x=1", "=1", "a=[1"] {
            assert!(set(&mut d, wrong).is_err(), "{wrong}");
        }
        let error = set(&mut d, "credentials.password=x").expect_err("a secret");
        assert!(error.contains("--prompt-password"), "{error}");
    }
}
