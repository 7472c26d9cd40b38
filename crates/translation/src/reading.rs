//! What protobuf carries of a message.

use trunkline_sip::{Address, HeaderName, Message};
use trunkline_wire::sipmessage::{
    self, CallId, Contact, ContentLength, Expires, Extension, From, MaxForwards, RecordRoute, Route,
    SipMessage, To, sip_message::MessageType,
};

use crate::codes::response_type_of;
use crate::{digest, element, text, uri};

/// Headers with a field of their own: no extensions, also where the field holds only the first of several.
pub(crate) const WITH_FIELD: [HeaderName; 12] = [
    HeaderName::From,
    HeaderName::To,
    HeaderName::Contact,
    HeaderName::CallId,
    HeaderName::ContentLength,
    HeaderName::Expires,
    HeaderName::WwwAuthenticate,
    HeaderName::MaxForwards,
    HeaderName::Authorization,
    HeaderName::Via,
    HeaderName::Route,
    HeaderName::RecordRoute,
];

/// A message as a processor is sent it (Routr v2, wire conventions). Single fields hold the first of several headers; lists
/// have the topmost first. The body is sent as text, whatever it is.
pub fn read(message: &Message<'_>) -> SipMessage {
    let from = message.header(HeaderName::From).map(|value| {
        let parameters = element::params(value);
        From { address: Some(element::read(value)), tag: text(message.from_tag()), parameters }
    });
    let to = message.header(HeaderName::To).map(|value| {
        let parameters = element::params(value);
        To { address: Some(element::read(value)), tag: text(message.to_tag()), parameters }
    });
    let routed = |name| elements(message, name).into_iter().map(address_and_params);
    SipMessage {
        message_type: Some(match message.status() {
            Some(code) => MessageType::ResponseType(response_type_of(code).into()),
            None => MessageType::RequestUri(uri::read(message.uri_text())),
        }),
        from,
        to,
        contact: message.first_value(HeaderName::Contact).map(contact),
        call_id: message.header(HeaderName::CallId).map(|value| CallId { call_id: text(value) }),
        content_length: message.header(HeaderName::ContentLength).map(|_| ContentLength {
            content_length: i32::try_from(message.body().len()).unwrap_or(i32::MAX),
        }),
        expires: seconds(message).map(|expires| Expires { expires }),
        www_authenticate: message.header(HeaderName::WwwAuthenticate).map(digest::read_challenge),
        max_forwards: message.max_forwards().map(|n| MaxForwards { max_forwards: n.into() }),
        authorization: message
            .header(HeaderName::Authorization)
            .map(|value| digest::read_credentials(value, message.method_name())),
        extensions: extensions(message),
        via: elements(message, HeaderName::Via).into_iter().filter_map(element::read_via).collect(),
        route: routed(HeaderName::Route)
            .map(|(address, parameters)| Route { address: Some(address), parameters })
            .collect(),
        record_route: routed(HeaderName::RecordRoute)
            .map(|(address, parameters)| RecordRoute { address: Some(address), parameters })
            .collect(),
        reason_phrase: text(message.reason()),
        body: text(message.body()),
    }
}

/// The elements of a list header. A list in which one cannot be read is none: it stays in the message as it is.
pub(crate) fn elements<'a>(message: &Message<'a>, name: HeaderName) -> Vec<&'a [u8]> {
    let reads = |element: &&[u8]| match name {
        HeaderName::Via => element::read_via(element).is_some(),
        _ => Address::parse(element, name.name()).is_ok_and(|address| address.parsed_uri().is_ok()),
    };
    let all: Result<Vec<&[u8]>, _> = message.list(name).collect();
    all.ok().filter(|all| all.iter().all(reads)).unwrap_or_default()
}

fn address_and_params(value: &[u8]) -> (sipmessage::Address, std::collections::BTreeMap<String, String>) {
    (element::read(value), element::params(value))
}

/// Expires, in seconds, as far as it is a number.
pub(crate) fn seconds(message: &Message<'_>) -> Option<i32> {
    let seconds = message.seconds(HeaderName::Expires).ok()??;
    Some(i32::try_from(seconds).unwrap_or(i32::MAX))
}

pub(crate) fn contact(value: &[u8]) -> Contact {
    let address = Address::parse(value, "Contact").ok();
    let param = |name| address.and_then(|address| address.param(name)).flatten().map(text);
    Contact {
        address: Some(element::read(value)),
        expires: param("expires").and_then(|value| value.parse().ok()).unwrap_or(-1),
        q_value: param("q").and_then(|value| value.parse().ok()).unwrap_or(-1.0),
    }
}

/// The header lines that have no field, in their order.
pub(crate) fn extensions(message: &Message<'_>) -> Vec<Extension> {
    let others = message.lines().iter().filter(|header| !WITH_FIELD.contains(&header.name));
    others
        .map(|header| Extension {
            name: name_of(message, header),
            value: text(header.value.of(message.bytes)),
        })
        .collect()
}

/// A header's name in its long form; that of an unknown one as it stands.
pub(crate) fn name_of(message: &Message<'_>, header: &trunkline_sip::Header) -> String {
    if header.name != HeaderName::Other {
        return header.name.name().into();
    }
    let line = header.line.of(message.bytes);
    let end = line.iter().position(|b| matches!(b, b':' | b' ' | b'\t')).unwrap_or(line.len());
    text(line.get(..end).unwrap_or_default())
}
