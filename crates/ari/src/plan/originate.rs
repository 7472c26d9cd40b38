//! Operations that create channels: originate, create, external media; at once or staged.

use std::borrow::Cow;

use super::{Ask, Options, Plan, Planned, Refusal, Then, created, local, or, run};
use crate::json::JsonWriter;
use crate::key::kinds;
use crate::rest::{Method, RestCall};
use crate::ulid::{Purpose, fresh};

/// Members of an originate request besides `endpoint`, all left out when empty.
const ORIGINATE: [&str; 10] = [
    "timeout",
    "callerId",
    "context",
    "extension",
    "priority",
    "label",
    "app",
    "appArgs",
    "formats",
    "otherChannelId",
];

fn channel_id<'a>(options: &Options<'a>) -> Result<Cow<'a, str>, Refusal> {
    let id = options.text("channelId")?;
    Ok(if id.is_empty() { Cow::Owned(fresh(Purpose::Channel)) } else { id })
}

/// The originate request, which both forms must have.
fn originate_request<'a>(ask: &Ask<'_, 'a>) -> Result<Options<'a>, Refusal> {
    let option = ask.request.option("channel_originate").map(Options);
    let request = option.and_then(|o| o.inner("originate_request"));
    request.ok_or_else(|| Refusal("OriginateRequest is mandatory".to_owned()))
}

/// The originator: as asked, else the channel that the key names.
fn originator<'a>(ask: &Ask<'_, 'a>, request: &Options<'a>) -> Result<Cow<'a, str>, Refusal> {
    let asked = request.text("originator")?;
    Ok(match ask.request.key() {
        Some(key) if asked.is_empty() && key.kind == kinds::CHANNEL => key.id.clone(),
        _ => asked,
    })
}

/// Binds what an originate concerns: both channels, the originator and the key's own.
fn bind<'a>(ask: &Ask<'_, 'a>, plan: Plan<'a>, request: &Options<'a>, id: Cow<'a, str>) -> Planned<'a> {
    let key_id = ask.request.key().map_or(Cow::Borrowed(""), |k| k.id.clone());
    Ok(plan
        .bind(kinds::CHANNEL, id)
        .bind(kinds::CHANNEL, request.text("otherChannelId")?)
        .bind(kinds::CHANNEL, originator(ask, request)?)
        .bind(kinds::CHANNEL, key_id))
}

pub(super) fn originate<'a>(ask: &Ask<'_, 'a>) -> Planned<'a> {
    let request = originate_request(ask)?;
    let id = channel_id(&request)?;
    let originator = originator(ask, &request)?;
    let mut body = JsonWriter::with_capacity(256);
    body.raw("endpoint", request.raw("endpoint"));
    for name in ORIGINATE {
        body.raw_unless_empty(name, request.optional(name));
    }
    body.text("channelId", &id)
        .text_unless_empty("originator", &originator)
        .raw_unless_empty("variables", request.optional("variables"));
    let call = RestCall::new(Method::Post, &["channels"])?.body(body);
    let plan = run(call, created(kinds::CHANNEL, id.clone()));
    bind(ask, plan, &request, id)
}

/// Go's client stages external media under this kind, with the options of the other: both are taken.
pub(super) fn stage_originate<'a>(ask: &Ask<'_, 'a>) -> Planned<'a> {
    if ask.request.option("channel_originate").is_none()
        && ask.request.option("channel_external_media").is_some()
    {
        return stage_external_media(ask);
    }
    let request = originate_request(ask)?;
    let id = channel_id(&request)?;
    bind(ask, local(created(kinds::CHANNEL, id.clone())), &request, id)
}

pub(super) fn create<'a>(ask: &Ask<'_, 'a>) -> Planned<'a> {
    ask.key(&crate::shape::CHANNEL)?;
    let request = ask.option()?.inner("channel_create_request");
    let request = request.ok_or_else(|| Refusal("channel_create_request is required".to_owned()))?;
    let id = channel_id(&request)?;
    let mut body = JsonWriter::with_capacity(192);
    body.raw("endpoint", request.raw("endpoint")).raw("app", request.raw("app")).text("channelId", &id);
    for name in ["appArgs", "otherChannelId", "originator", "formats", "variables"] {
        body.raw_unless_empty(name, request.optional(name));
    }
    let call = RestCall::new(Method::Post, &["channels", "create"])?.body(body);
    Ok(run(call, created(kinds::CHANNEL, id.clone()))
        .bind(kinds::CHANNEL, id)
        .bind(kinds::CHANNEL, request.text("otherChannelId")?))
}

/// The options of external media and the id of the channel, both checked.
fn external<'a>(ask: &Ask<'_, 'a>) -> Result<(Options<'a>, Cow<'a, str>), Refusal> {
    let option = ask.request.option("channel_external_media").map(Options);
    let options = option.and_then(|o| o.inner("options"));
    let options = options.ok_or_else(|| Refusal("ExternalMediaOptions is required".to_owned()))?;
    for (name, text) in [("external_host", "ExternalHost is mandatory"), ("format", "Format is mandatory")] {
        if options.text(name)?.is_empty() {
            return Err(Refusal(text.to_owned()));
        }
    }
    let id = channel_id(&options)?;
    Ok((options, id))
}

pub(super) fn external_media<'a>(ask: &Ask<'_, 'a>) -> Planned<'a> {
    let (options, id) = external(ask)?;
    let app = options.text("app")?;
    let mut body = JsonWriter::with_capacity(256);
    body.text("channelId", &id)
        .text("app", if app.is_empty() { &ask.site.app } else { &app })
        .raw("external_host", options.raw("external_host"));
    for (name, default) in [("encapsulation", "rtp"), ("transport", "udp"), ("connection_type", "client")] {
        body.text(name, &or(options.text(name)?, default));
    }
    body.raw("format", options.raw("format"))
        .text("direction", &options.text_or("direction", "both")?)
        .raw("variables", options.optional("variables").unwrap_or("null"))
        .raw_unless_empty("data", options.optional("data"))
        .raw_unless_empty("transport_data", options.optional("transport_data"));
    let call = RestCall::new(Method::Post, &["channels", "externalMedia"])?.body(body);
    Ok(run(call, created(kinds::CHANNEL, id.clone())).bind(kinds::CHANNEL, id))
}

pub(super) fn stage_external_media<'a>(ask: &Ask<'_, 'a>) -> Planned<'a> {
    let (_, id) = external(ask)?;
    let then: Then<'a> = created(kinds::CHANNEL, id.clone());
    Ok(local(then).bind(kinds::CHANNEL, id))
}
