//! Applications: subscriptions, filters, events of one's own.

use std::borrow::Cow;

use super::{Ask, Options, Plan, Planned, Refusal, entity_call, run};
use crate::Kind;
use crate::exchange::Binding;
use crate::json::JsonWriter;
use crate::plan::Then;
use crate::rest::{Method, RestCall};
use crate::shape::APPLICATION;

pub(super) fn plan<'a>(ask: &Ask<'_, 'a>) -> Planned<'a> {
    match ask.kind {
        Kind::ApplicationList => ask.list(&APPLICATION),
        Kind::ApplicationSubscribe => subscribe(ask),
        Kind::ApplicationUnsubscribe => unsubscribe(ask),
        Kind::ApplicationFilter => filter(ask),
        Kind::ApplicationUserEvent => user_event(ask),
        _ => ask.read(&APPLICATION),
    }
}

fn subscribe<'a>(ask: &Ask<'_, 'a>) -> Planned<'a> {
    let (key, option) = (ask.named(&APPLICATION)?, ask.option()?);
    let source = option.text("event_source")?;
    let mut body = JsonWriter::new();
    body.text("eventSource", &source);
    let call = entity_call(Method::Post, &APPLICATION, &key.id, &["subscription"])?.body(body);
    let mut plan = run(call, Then::Empty)
        .fault(format!("Error subscribing application '{}' for event source '{source}'", key.id));
    plan.bindings.extend(binding(&source));
    Ok(plan)
}

/// The source `channel:ID` as a thing to bind; sources without an id stand for all of a kind.
fn binding<'a>(source: &str) -> Option<Binding<'a>> {
    let (kind, id) = source.split_once(':')?;
    Some(Binding { kind: Cow::Owned(kind.to_owned()), id: Cow::Owned(id.to_owned()) })
}

fn unsubscribe<'a>(ask: &Ask<'_, 'a>) -> Planned<'a> {
    let (key, option) = (ask.named(&APPLICATION)?, ask.option()?);
    let source = option.text("event_source")?;
    let call = entity_call(Method::Delete, &APPLICATION, &key.id, &["subscription"])?
        .query("eventSource", &source)?;
    Ok(run(call, Then::Empty)
        .fault(format!("Error unsubscribing application '{}' for event source '{source}'", key.id)))
}

/// `application_filter` is the filter object as Asterisk takes it: `allowed`, `disallowed`.
fn filter<'a>(ask: &Ask<'_, 'a>) -> Planned<'a> {
    let option = ask.option()?;
    let mut body = JsonWriter::new();
    for name in ["allowed", "disallowed"] {
        if let Some(list) = option.optional(name) {
            body.raw(name, list);
        }
    }
    ask.command_with(Method::Put, &APPLICATION, &["eventFilter"], body)
}

/// An event of one's own on any source; the key names the application.
fn user_event<'a>(ask: &Ask<'_, 'a>) -> Planned<'a> {
    let (key, option) = (ask.named(&APPLICATION)?, ask.option()?);
    user_event_call(&option, &key.id, &option.text("source")?)
}

/// The call that raises a user event; the event's name and variables come from `option`.
pub(super) fn user_event_call<'a>(option: &Options<'a>, application: &str, source: &str) -> Planned<'a> {
    let name = option.text("eventname")?;
    if name.is_empty() {
        return Err(Refusal("eventname is required".to_owned()));
    }
    let mut body = JsonWriter::new();
    body.text("application", application).text_unless_empty("source", source);
    // Asterisk takes `null` for an error of its own.
    if let Some(variables) = option.optional("userevent") {
        body.raw("variables", variables);
    }
    let call = RestCall::new(Method::Post, &["events", "user", &name])?.body(body);
    let plan: Plan<'a> = run(call, Then::Empty);
    Ok(plan)
}
