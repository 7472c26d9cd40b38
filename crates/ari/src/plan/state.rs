//! Device states, endpoints, mailboxes.

use super::{Ask, Planned, Refusal, Then, run};
use crate::Kind;
use crate::json::JsonWriter;
use crate::key::kinds;
use crate::rest::{Method, RestCall};
use crate::shape::{DEVICE_STATE, ENDPOINT, MAILBOX};

pub(super) fn plan<'a>(ask: &Ask<'_, 'a>) -> Planned<'a> {
    match ask.kind {
        Kind::DeviceStateList => ask.list(&DEVICE_STATE),
        Kind::DeviceStateUpdate => {
            let mut body = JsonWriter::new();
            body.text("deviceState", &ask.option()?.text("state")?);
            ask.command_with(Method::Put, &DEVICE_STATE, &[], body)
        }
        Kind::DeviceStateDelete => ask.command(Method::Delete, &DEVICE_STATE, &[]),
        Kind::DeviceStateData | Kind::DeviceStateGet => ask.read(&DEVICE_STATE),
        Kind::EndpointList => ask.list(&ENDPOINT),
        Kind::EndpointListByTech => {
            let tech = ask.option()?.text("tech")?;
            Ok(run(RestCall::new(Method::Get, &["endpoints", &tech])?, Then::List(&ENDPOINT)))
        }
        Kind::EndpointSendMessage => {
            message(ask, RestCall::new(Method::Put, &["endpoints", "sendMessage"])?, true)
        }
        Kind::EndpointRefer => refer(ask, RestCall::new(Method::Post, &["endpoints", "refer"])?, true),
        Kind::EndpointSendMessageTo => message(ask, endpoint_call(ask, Method::Put, "sendMessage")?, false),
        Kind::EndpointReferTo => refer(ask, endpoint_call(ask, Method::Post, "refer")?, false),
        Kind::MailboxList => ask.list(&MAILBOX),
        Kind::MailboxUpdate => {
            let option = ask.option()?;
            let mut body = JsonWriter::new();
            // Asterisk takes these numbers as text.
            body.text("newMessages", &option.integer("new").to_string())
                .text("oldMessages", &option.integer("old").to_string());
            ask.command_with(Method::Put, &MAILBOX, &[], body)
        }
        Kind::MailboxDelete => ask.command(Method::Delete, &MAILBOX, &[]),
        Kind::MailboxData | Kind::MailboxGet => ask.read(&MAILBOX),
        _ => {
            if let Some(key) = ask.request.key()
                && !key.id.is_empty()
                && !key.kind.is_empty()
                && key.kind != kinds::ENDPOINT
            {
                return Err(Refusal("wrong key type".to_owned()));
            }
            ask.read(&ENDPOINT)
        }
    }
}

fn endpoint_call(ask: &Ask<'_, '_>, method: Method, action: &str) -> Result<RestCall, Refusal> {
    let key = ask.named(&ENDPOINT)?;
    // Without a resource the action would be taken for one.
    if !key.id.contains('/') {
        return Err(Refusal("wrong key type".to_owned()));
    }
    Ok(super::entity_call(method, &ENDPOINT, &key.id, &[action])?)
}

/// `endpoint_message`: `to` (unless the key names the endpoint), `from`, `body`, `variables`.
fn message<'a>(ask: &Ask<'_, 'a>, call: RestCall, anywhere: bool) -> Planned<'a> {
    let option = ask.option()?;
    let mut body = JsonWriter::new();
    if anywhere {
        body.raw("to", option.raw("to"));
    }
    body.raw("from", option.raw("from"));
    for name in ["body", "variables"] {
        body.raw_unless_empty(name, option.optional(name));
    }
    Ok(run(call.body(body), Then::Empty))
}

/// `endpoint_refer`: `to` (unless the key names the endpoint), `from`, `refer_to`, `to_self`,
/// `variables`.
fn refer<'a>(ask: &Ask<'_, 'a>, call: RestCall, anywhere: bool) -> Planned<'a> {
    let option = ask.option()?;
    let mut body = JsonWriter::new();
    if anywhere {
        body.raw("to", option.raw("to"));
    }
    body.raw("from", option.raw("from")).raw("refer_to", option.raw("refer_to"));
    for name in ["to_self", "variables"] {
        body.raw_unless_empty(name, option.optional(name));
    }
    Ok(run(call.body(body), Then::Empty))
}
