//! Bridges.

use std::borrow::Cow;

use super::{Ask, Plan, Planned, Then, entity_call, local, run};
use crate::Kind;
use crate::json::JsonWriter;
use crate::key::kinds;
use crate::plan::media;
use crate::rest::Method;
use crate::shape::BRIDGE;
use crate::ulid::{Purpose, fresh};

pub(super) fn plan<'a>(ask: &Ask<'_, 'a>) -> Planned<'a> {
    match ask.kind {
        Kind::BridgeList => ask.list(&BRIDGE),
        Kind::BridgeData => ask.read(&BRIDGE),
        Kind::BridgeGet => Ok(bound(ask, ask.read(&BRIDGE)?)),
        Kind::BridgeCreate => create(ask),
        Kind::BridgeStageCreate => {
            let key = ask.key(&BRIDGE)?;
            let id = id_or_fresh(key.id);
            Ok(local(Then::Key { kind: kinds::BRIDGE, id: id.clone(), dialog: key.dialog })
                .bind(kinds::BRIDGE, id))
        }
        Kind::BridgeSubscribe => ask.subscribe(&BRIDGE),
        Kind::BridgeUnsubscribe => Ok(local(Then::Empty)),
        Kind::BridgeDelete => Ok(bound(ask, ask.ending(Method::Delete, &BRIDGE, &[])?)),
        Kind::BridgeAddChannel => {
            let option = ask.option()?;
            let mut body = JsonWriter::new();
            body.raw("channel", option.raw("channel"));
            for name in ["absorbDTMF", "mute", "role", "inhibitConnectedLineUpdates"] {
                body.raw_unless_empty(name, option.optional(name));
            }
            with_channel(ask, Method::Post, &["addChannel"], Some(body))
        }
        Kind::BridgeRemoveChannel => {
            let mut body = JsonWriter::new();
            body.raw("channel", ask.option()?.raw("channel"));
            with_channel(ask, Method::Post, &["removeChannel"], Some(body))
        }
        Kind::BridgeVideoSource => {
            let channel = ask.option()?.text("channel")?;
            with_channel(ask, Method::Post, &["videoSource", &channel], None)
        }
        Kind::BridgeVideoSourceDelete => {
            Ok(bound(ask, ask.command(Method::Delete, &BRIDGE, &["videoSource"])?))
        }
        Kind::BridgeMOH => {
            let mut body = JsonWriter::new();
            body.text("mohClass", &ask.option()?.text("class")?);
            Ok(bound(ask, ask.command_with(Method::Post, &BRIDGE, &["moh"], body)?))
        }
        Kind::BridgeStopMOH => Ok(bound(ask, ask.command(Method::Delete, &BRIDGE, &["moh"])?)),
        Kind::BridgeVariableGet => {
            let (key, option) = (ask.named(&BRIDGE)?, ask.option()?);
            let call = entity_call(Method::Get, &BRIDGE, &key.id, &["variable"])?;
            Ok(run(call.query("variable", &option.text("name")?)?, Then::Variable))
        }
        Kind::BridgeVariableSet => {
            let option = ask.option()?;
            let mut body = JsonWriter::new();
            body.raw("variable", option.raw("name")).raw_unless_empty("value", option.optional("value"));
            body.raw_unless_empty("report_events", option.optional("report_events"));
            ask.command_with(Method::Post, &BRIDGE, &["variable"], body)
        }
        Kind::BridgeVariablesGet => {
            let (key, option) = (ask.named(&BRIDGE)?, ask.option()?);
            let call = entity_call(Method::Get, &BRIDGE, &key.id, &["variables"])?;
            Ok(run(call.query("variables", &option.list("variables")?)?, Then::Named("variables")))
        }
        Kind::BridgeVariablesSet => {
            let mut body = JsonWriter::new();
            body.raw("variables", ask.option()?.optional("variables").unwrap_or("{}"));
            ask.command_with(Method::Post, &BRIDGE, &["variables"], body)
        }
        Kind::BridgePlay => media::play(ask, &BRIDGE),
        Kind::BridgeStagePlay => ask.check(&BRIDGE, |_| media::stage_play(ask, &BRIDGE)),
        Kind::BridgeRecord => ask.check(&BRIDGE, |_| media::record(ask, &BRIDGE)),
        Kind::BridgeStageRecord => ask.check(&BRIDGE, |_| media::stage_record(ask, &BRIDGE)),
        _ => ask.read(&BRIDGE),
    }
}

fn id_or_fresh(id: Cow<'_, str>) -> Cow<'_, str> {
    if id.is_empty() { Cow::Owned(fresh(Purpose::Bridge)) } else { id }
}

fn create<'a>(ask: &Ask<'_, 'a>) -> Planned<'a> {
    let (key, option) = (ask.key(&BRIDGE)?, ask.option()?);
    let id = id_or_fresh(key.id);
    let mut body = JsonWriter::new();
    body.text("bridgeId", &id);
    for name in ["type", "name", "variables"] {
        body.raw_unless_empty(name, option.optional(name));
    }
    let call = entity_call(Method::Post, &BRIDGE, &id, &[])?.body(body);
    let then = Then::Key { kind: kinds::BRIDGE, id: id.clone(), dialog: key.dialog };
    Ok(run(call, then).bind(kinds::BRIDGE, id))
}

/// The same plan, with the bridge bound.
fn bound<'a>(ask: &Ask<'_, 'a>, plan: Plan<'a>) -> Plan<'a> {
    match ask.request.key() {
        Some(key) => plan.bind(kinds::BRIDGE, key.id.clone()),
        None => plan,
    }
}

/// A command on the bridge and a channel of it; both are bound.
fn with_channel<'a>(
    ask: &Ask<'_, 'a>,
    method: Method,
    action: &[&str],
    body: Option<JsonWriter>,
) -> Planned<'a> {
    let (key, option) = (ask.named(&BRIDGE)?, ask.option()?);
    let mut call = entity_call(method, &BRIDGE, &key.id, action)?;
    if let Some(body) = body {
        call = call.body(body);
    }
    let mut plan = run(call, Then::Empty).bind(kinds::BRIDGE, key.id);
    for channel in option.list("channel")?.split(',') {
        plan = plan.bind(kinds::CHANNEL, Cow::Owned(channel.to_owned()));
    }
    Ok(plan)
}
