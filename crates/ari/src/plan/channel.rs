//! Channels.

use super::{Ask, Plan, Planned, Then, application, entity_call, media, or, originate, run};
use crate::Kind;
use crate::json::JsonWriter;
use crate::key::kinds;
use crate::rest::{Method, RestCall};
use crate::shape::{CHANNEL, Entity};

static ON: &Entity = &CHANNEL;

pub(super) fn plan<'a>(ask: &Ask<'_, 'a>) -> Planned<'a> {
    match ask.kind {
        Kind::ChannelList => ask.list(ON),
        Kind::ChannelData | Kind::ChannelGet => ask.read(ON),
        Kind::ChannelSubscribe => ask.subscribe(ON),
        Kind::ChannelOriginate => originate::originate(ask),
        Kind::ChannelStageOriginate => originate::stage_originate(ask),
        Kind::ChannelCreate => originate::create(ask),
        Kind::ChannelExternalMedia => originate::external_media(ask),
        Kind::ChannelStageExternalMedia => originate::stage_external_media(ask),
        Kind::ChannelAnswer => Ok(bound(ask, ask.command(Method::Post, ON, &["answer"])?)),
        Kind::ChannelBusy => Ok(bound(ask, hangup(ask, "busy", None)?)),
        Kind::ChannelCongestion => Ok(bound(ask, hangup(ask, "congestion", None)?)),
        Kind::ChannelHangup => {
            let option = ask.option()?;
            let code = option.optional("reason_code").filter(|c| !crate::json::is_empty(c));
            let reason = option.text("reason")?;
            hangup(ask, &reason, code.map(|c| c.trim_matches('"')))
        }
        Kind::ChannelRing => ask.command(Method::Post, ON, &["ring"]),
        Kind::ChannelStopRing => ask.command(Method::Delete, ON, &["ring"]),
        Kind::ChannelProgress => ask.command(Method::Post, ON, &["progress"]),
        Kind::ChannelHold => ask.command(Method::Post, ON, &["hold"]),
        Kind::ChannelStopHold => ask.command(Method::Delete, ON, &["hold"]),
        Kind::ChannelSilence => ask.command(Method::Post, ON, &["silence"]),
        Kind::ChannelStopSilence => ask.command(Method::Delete, ON, &["silence"]),
        Kind::ChannelStopMOH => ask.command(Method::Delete, ON, &["moh"]),
        Kind::ChannelMOH => {
            let mut body = JsonWriter::new();
            body.raw_unless_empty("mohClass", ask.option()?.optional("music"));
            ask.command_with(Method::Post, ON, &["moh"], body)
        }
        Kind::ChannelMute => {
            let mut body = JsonWriter::new();
            body.text("direction", &ask.option()?.text_or("direction", "both")?);
            ask.command_with(Method::Post, ON, &["mute"], body)
        }
        Kind::ChannelUnmute => {
            let (key, option) = (ask.named(ON)?, ask.option()?);
            let call = entity_call(Method::Delete, ON, &key.id, &["mute"])?;
            Ok(run(call.query("direction", &option.text_or("direction", "both")?)?, Then::Empty))
        }
        Kind::ChannelSendDTMF => dtmf(ask),
        Kind::ChannelContinue => {
            let option = ask.option()?;
            let mut body = JsonWriter::new();
            body.raw("context", option.raw("context"))
                .raw("extension", option.raw("extension"))
                .raw("priority", option.optional("priority").unwrap_or("0"))
                .raw_unless_empty("label", option.optional("label"));
            ask.command_with(Method::Post, ON, &["continue"], body)
        }
        Kind::ChannelDial => {
            let option = ask.option()?;
            let mut body = JsonWriter::new();
            body.raw_unless_empty("caller", option.optional("caller"))
                .integer("timeout", option.integer("timeout") / 1_000_000_000);
            ask.command_with(Method::Post, ON, &["dial"], body)
        }
        Kind::ChannelUserEvent => {
            let (key, option) = (ask.named(ON)?, ask.option()?);
            let Some(event) = option.inner("UserEvent") else {
                return Err(super::Refusal("UserEvent is required".to_owned()));
            };
            let app = if key.app.is_empty() { &ask.site.app } else { key.app.as_ref() };
            application::user_event_call(&event, app, &format!("channel:{}", key.id))
        }
        Kind::ChannelVariableGet => {
            let (key, option) = (ask.named(ON)?, ask.option()?);
            let call = entity_call(Method::Get, ON, &key.id, &["variable"])?;
            Ok(run(call.query("variable", &option.text("name")?)?, Then::Variable))
        }
        Kind::ChannelVariableSet => {
            let option = ask.option()?;
            let mut body = JsonWriter::new();
            body.raw("variable", option.raw("name")).raw_unless_empty("value", option.optional("value"));
            body.raw_unless_empty("report_events", option.optional("report_events"));
            ask.command_with(Method::Post, ON, &["variable"], body)
        }
        Kind::ChannelVariablesGet => {
            let (key, option) = (ask.named(ON)?, ask.option()?);
            let call = entity_call(Method::Get, ON, &key.id, &["variables"])?;
            Ok(run(call.query("variables", &option.list("variables")?)?, Then::Named("variables")))
        }
        Kind::ChannelVariablesSet => {
            let mut body = JsonWriter::new();
            body.raw("variables", ask.option()?.optional("variables").unwrap_or("{}"));
            ask.command_with(Method::Post, ON, &["variables"], body)
        }
        Kind::ChannelMove => {
            let option = ask.option()?;
            let mut body = JsonWriter::new();
            body.raw("app", option.raw("app")).raw_unless_empty("appArgs", option.optional("appArgs"));
            ask.command_with(Method::Post, ON, &["move"], body)
        }
        Kind::ChannelRedirect => {
            let mut body = JsonWriter::new();
            body.raw("endpoint", ask.option()?.raw("endpoint"));
            ask.command_with(Method::Post, ON, &["redirect"], body)
        }
        Kind::ChannelTransferProgress => {
            let mut body = JsonWriter::new();
            body.raw("states", ask.option()?.raw("states"));
            ask.command_with(Method::Post, ON, &["transfer_progress"], body)
        }
        Kind::ChannelClaim => {
            let (key, option) = (ask.named(ON)?, ask.option()?);
            let application = or(option.text("application")?, "");
            let mut body = JsonWriter::new();
            body.text("channelId", &key.id)
                .text("application", if application.is_empty() { &ask.site.app } else { &application });
            Ok(run(RestCall::new(Method::Post, &["events", "claim"])?.body(body), Then::Empty))
        }
        Kind::ChannelRTPStatistics => {
            let key = ask.named(ON)?;
            Ok(run(
                entity_call(Method::Get, ON, &key.id, &["rtp_statistics"])?,
                Then::Named("rtp_statistics"),
            ))
        }
        Kind::ChannelPlay => ask.check(ON, |_| media::play(ask, ON)),
        Kind::ChannelStagePlay => ask.check(ON, |_| media::stage_play(ask, ON)),
        Kind::ChannelRecord => media::record(ask, ON),
        Kind::ChannelStageRecord => ask.check(ON, |_| media::stage_record(ask, ON)),
        Kind::ChannelSnoop => media::snoop(ask, ON),
        Kind::ChannelStageSnoop => ask.check(ON, |_| media::stage_snoop(ask)),
        _ => ask.read(ON),
    }
}

/// A reason and a cause code exclude each other at Asterisk, so the code stands alone.
fn hangup<'a>(ask: &Ask<'_, 'a>, reason: &str, code: Option<&str>) -> Planned<'a> {
    let key = ask.named(ON)?;
    let call = entity_call(Method::Delete, ON, &key.id, &[])?;
    let call = match code {
        Some(code) => call.query("reason_code", code)?,
        None => call.query("reason", if reason.is_empty() { "normal" } else { reason })?,
    };
    Ok(run(call, Then::Empty))
}

/// The same plan, with the channel bound.
fn bound<'a>(ask: &Ask<'_, 'a>, plan: Plan<'a>) -> Plan<'a> {
    match ask.request.key() {
        Some(key) => plan.bind(kinds::CHANNEL, key.id.clone()),
        None => plan,
    }
}

/// Times come in nanoseconds and go in milliseconds; zero leaves Asterisk its own.
fn dtmf<'a>(ask: &Ask<'_, 'a>) -> Planned<'a> {
    let option = ask.option()?;
    let mut body = JsonWriter::new();
    body.raw_unless_empty("dtmf", option.optional("dtmf"));
    if let Some(times) = option.inner("options") {
        for (name, from) in
            [("before", "Before"), ("between", "Between"), ("duration", "Duration"), ("after", "After")]
        {
            let millis = times.integer(from) / 1_000_000;
            if millis != 0 {
                body.integer(name, millis);
            }
        }
    }
    ask.command_with(Method::Post, ON, &["dtmf"], body)
}
