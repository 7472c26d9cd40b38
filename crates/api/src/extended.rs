//! The `extended` data of resources, as `google.protobuf.Struct`.

use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value as Proto};
use serde_json::{Map, Number, Value};
use trunkline_model::Extended;

/// Whole numbers up to here are exact in a double: 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// To the wire; nothing where there is nothing.
pub(crate) fn to_proto(extended: &Extended) -> Option<Struct> {
    (!extended.is_empty()).then(|| fields(extended))
}

/// From the wire. `None` for a number that JSON has no words for.
pub(crate) fn from_proto(fields: Struct) -> Option<Extended> {
    fields.fields.into_iter().map(|(name, value)| Some((name, from_value(value)?))).collect()
}

fn fields(map: &Map<String, Value>) -> Struct {
    Struct { fields: map.iter().map(|(name, value)| (name.clone(), to_value(value))).collect() }
}

fn to_value(value: &Value) -> Proto {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(flag) => Kind::BoolValue(*flag),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(items) => Kind::ListValue(ListValue { values: items.iter().map(to_value).collect() }),
        Value::Object(map) => Kind::StructValue(fields(map)),
    };
    Proto { kind: Some(kind) }
}

fn from_value(value: Proto) -> Option<Value> {
    Some(match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(flag)) => Value::Bool(flag),
        Some(Kind::NumberValue(number)) => Value::Number(number_of(number)?),
        Some(Kind::StringValue(text)) => Value::String(text),
        Some(Kind::ListValue(list)) => {
            Value::Array(list.values.into_iter().map(from_value).collect::<Option<_>>()?)
        }
        Some(Kind::StructValue(fields)) => Value::Object(from_proto(fields)?),
    })
}

/// A number without a fraction stays one: 7 is not to be shown as 7.0.
fn number_of(number: f64) -> Option<Number> {
    if number.fract() == 0.0 && number.abs() <= EXACT {
        return Some(Number::from(number as i64));
    }
    Number::from_f64(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn there_and_back() {
        let value = json!({"a": null, "b": [true, 7, -1.5, "x", {"c": {}}], "region": "us-east1", "": 9e300});
        let Value::Object(map) = value else { panic!("a map") };
        let wire = to_proto(&map).expect("something");
        assert_eq!(from_proto(wire), Some(map));
        assert_eq!(to_proto(&Map::new()), None);
        let nan = Proto { kind: Some(Kind::NumberValue(f64::NAN)) };
        assert_eq!(from_proto(Struct { fields: [("n".to_owned(), nan)].into() }), None);
    }
}
