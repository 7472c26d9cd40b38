//! A request as JSON the way Routr's dispatcher shows it to `matchFunc`: camelCase, names of enums, 64-bit integers as
//! text, and every field there, with its default where nothing was sent.

use std::sync::{LazyLock, OnceLock};

use prost::Message as _;
use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey, MessageDescriptor,
    ReflectMessage as _, Value as Field,
};
use serde_json::{Map, Value, json};
use trunkline_wire::processor::MessageRequest;

/// The request's descriptor. The files are our own: they can be read.
static REQUEST: LazyLock<Option<MessageDescriptor>> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(trunkline_wire::DESCRIPTORS).ok()?;
    pool.get_message_by_name("fonoster.routr.processor.v2beta1.MessageRequest")
});

/// The JSON of a request, made when the first `matchFunc` looks at it.
pub(crate) struct Lazy<'r> {
    request: &'r MessageRequest,
    value: OnceLock<Value>,
}

impl<'r> Lazy<'r> {
    pub(crate) fn new(request: &'r MessageRequest) -> Lazy<'r> {
        Lazy { request, value: OnceLock::new() }
    }

    pub(crate) fn value(&self) -> &Value {
        self.value.get_or_init(|| of_request(self.request))
    }
}

fn of_request(request: &MessageRequest) -> Value {
    let read = || DynamicMessage::decode(REQUEST.clone()?, &*request.encode_to_vec()).ok();
    read().map_or(Value::Null, |message| of_message(&message))
}

fn of_message(message: &DynamicMessage) -> Value {
    let mut out = Map::new();
    for field in message.descriptor().fields() {
        // Of the members of a oneof only the one that is set is there, and a key that names it.
        if let Some(one) = field.containing_oneof() {
            if !message.has_field(&field) {
                continue;
            }
            out.insert(camel(one.name()), json!(field.json_name()));
        }
        let single = matches!(field.kind(), Kind::Message(_)) && !field.is_list() && !field.is_map();
        let value = match single && !message.has_field(&field) {
            true => Value::Null,
            false => of_field(&field, &message.get_field(&field)),
        };
        out.insert(field.json_name().to_owned(), value);
    }
    Value::Object(out)
}

fn of_field(field: &FieldDescriptor, value: &Field) -> Value {
    match value {
        Field::Bool(value) => json!(value),
        Field::I32(value) => json!(value),
        Field::U32(value) => json!(value),
        Field::I64(value) => json!(value.to_string()),
        Field::U64(value) => json!(value.to_string()),
        Field::F32(value) => json!(value),
        Field::F64(value) => json!(value),
        Field::String(value) => json!(value),
        Field::Bytes(value) => json!(value.to_vec()),
        Field::EnumNumber(number) => match field.kind() {
            Kind::Enum(of) => named(&of, *number),
            _ => json!(number),
        },
        Field::Message(message) => of_message(message),
        Field::List(items) => items.iter().map(|item| of_field(field, item)).collect(),
        Field::Map(entries) => {
            let text = |key: &MapKey| key.as_str().unwrap_or_default().to_owned();
            let entry = |(key, value): (&MapKey, &Field)| (text(key), of_field(field, value));
            Value::Object(entries.iter().map(entry).collect())
        }
    }
}

/// The name of a value; the number where there is none.
fn named(of: &EnumDescriptor, number: i32) -> Value {
    of.get_value(number).map_or(json!(number), |value| json!(value.name()))
}

/// `message_type` as `messageType`.
fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut letters = part.chars();
        out.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        out.push_str(letters.as_str());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_wire::sipmessage::sip_message::MessageType;
    use trunkline_wire::sipmessage::{From, SipMessage, SipUri};

    #[test]
    fn every_field_is_there() {
        let uri = SipUri { host: "sip.local".into(), port: -1, ..SipUri::default() };
        let message = SipMessage {
            message_type: Some(MessageType::RequestUri(uri)),
            from: Some(From { tag: "t".into(), ..From::default() }),
            ..SipMessage::default()
        };
        let request = MessageRequest {
            r#ref: "r".into(),
            method: 2,
            message: Some(message),
            ..MessageRequest::default()
        };
        let json = of_request(&request);
        assert_eq!(
            (&json["ref"], &json["method"], &json["sender"]),
            (&json!("r"), &json!("INVITE"), &Value::Null)
        );
        assert_eq!((&json["externalAddrs"], &json["metadata"]), (&json!([]), &json!({})));
        let message = &json["message"];
        assert_eq!(
            (&message["messageType"], &message["requestUri"]["port"]),
            (&json!("requestUri"), &json!(-1))
        );
        assert_eq!((&message["from"]["tag"], &message["from"]["address"]), (&json!("t"), &Value::Null));
        assert!(message.get("responseType").is_none() && message["wwwAuthenticate"].is_null());
        assert_eq!(
            of_request(&MessageRequest { method: 99, ..MessageRequest::default() })["method"],
            json!(99)
        );
    }
}
