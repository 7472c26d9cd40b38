//! Messages as JSON the way Routr's own services see them: camelCase, names of enums, 64-bit integers as text, and every
//! field there, with its default where nothing was sent.

use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey,
    MessageDescriptor, ReflectMessage, Value as Field,
};
use serde_json::{Map, Value, json};

/// The messages of Routr v2's core services.
pub struct Messages(DescriptorPool);

impl Default for Messages {
    fn default() -> Messages {
        Messages(DescriptorPool::decode(trunkline_wire::DESCRIPTORS).expect("descriptors"))
    }
}

impl Messages {
    fn of(&self, name: &str) -> MessageDescriptor {
        self.0.get_message_by_name(name).unwrap_or_else(|| panic!("no message {name}"))
    }

    /// The bytes of a message of this full name.
    pub fn encode(&self, name: &str, json: &Value) -> Vec<u8> {
        prost::Message::encode_to_vec(&message(self.of(name), json))
    }

    /// A message from its bytes.
    pub fn decode(&self, name: &str, bytes: &[u8]) -> Value {
        to_json(&DynamicMessage::decode(self.of(name), bytes).expect("the message"))
    }
}

fn message(of: MessageDescriptor, json: &Value) -> DynamicMessage {
    let mut message = DynamicMessage::new(of.clone());
    for (name, value) in json.as_object().unwrap_or_else(|| panic!("{}: no object: {json}", of.name())) {
        // What the JSON has in addition names the member of a oneof that is set.
        if of.oneofs().any(|one| camel(one.name()) == *name) || value.is_null() {
            continue;
        }
        let field =
            of.get_field_by_json_name(name).unwrap_or_else(|| panic!("{}: no field {name}", of.name()));
        let value = if field.is_map() {
            let entry = |(key, value): (&String, &Value)| {
                (MapKey::String(key.clone()), Field::String(value.as_str().expect("text").to_owned()))
            };
            Field::Map(value.as_object().expect("a map").iter().map(entry).collect())
        } else if field.cardinality() == Cardinality::Repeated {
            Field::List(value.as_array().expect("a list").iter().map(|item| scalar(&field, item)).collect())
        } else {
            scalar(&field, value)
        };
        message.set_field(&field, value);
    }
    message
}

fn scalar(field: &FieldDescriptor, value: &Value) -> Field {
    let number =
        || value.as_i64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_else(|| panic!("{value}"));
    match field.kind() {
        Kind::String => Field::String(value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()),
        Kind::Bool => Field::Bool(value.as_bool().expect("a boolean")),
        Kind::Int32 => Field::I32(i32::try_from(number()).expect("32 bits")),
        Kind::Int64 => Field::I64(number()),
        Kind::Float => Field::F32(value.as_f64().expect("a number") as f32),
        Kind::Enum(of) => {
            let name = value.as_str().unwrap_or_else(|| panic!("{value}"));
            Field::EnumNumber(of.get_value_by_name(name).unwrap_or_else(|| panic!("{name}")).number())
        }
        Kind::Message(of) => Field::Message(message(of, value)),
        other => panic!("{other:?}"),
    }
}

fn to_json(of: &DynamicMessage) -> Value {
    let mut out = Map::new();
    for field in of.descriptor().fields() {
        let in_one = field.containing_oneof();
        if let Some(one) = in_one {
            if !of.has_field(&field) {
                continue;
            }
            out.insert(camel(one.name()), json!(field.json_name()));
        }
        let absent = matches!(field.kind(), Kind::Message(_)) && !field.is_list() && !field.is_map();
        let value =
            if absent && !of.has_field(&field) { Value::Null } else { plain(&field, &of.get_field(&field)) };
        out.insert(field.json_name().to_owned(), value);
    }
    Value::Object(out)
}

fn plain(field: &FieldDescriptor, value: &Field) -> Value {
    let name = |of: &EnumDescriptor, n: i32| of.get_value(n).map_or(json!(n), |value| json!(value.name()));
    match value {
        Field::Bool(value) => json!(value),
        Field::I32(value) => json!(value),
        Field::I64(value) => json!(value.to_string()),
        // As JavaScript writes it.
        Field::F32(value) if value.fract() == 0.0 => json!(*value as i64),
        Field::F32(value) => json!(value),
        Field::String(value) => json!(value),
        Field::EnumNumber(n) => match field.kind() {
            Kind::Enum(of) => name(&of, *n),
            other => panic!("{other:?}"),
        },
        Field::Message(message) => to_json(message),
        Field::List(items) => items.iter().map(|item| plain(field, item)).collect(),
        Field::Map(entries) => {
            let entry = |(key, value): (&MapKey, &Field)| {
                (key.as_str().unwrap_or_default().to_owned(), json!(value.as_str().unwrap_or_default()))
            };
            Value::Object(entries.iter().map(entry).collect())
        }
        other => panic!("{other:?}"),
    }
}

/// `message_type` as `messageType`.
fn camel(name: &str) -> String {
    let mut out = String::new();
    let mut up = false;
    for c in name.chars() {
        match c {
            '_' => up = true,
            c if up => {
                out.extend(c.to_uppercase());
                up = false;
            }
            c => out.push(c),
        }
    }
    out
}
