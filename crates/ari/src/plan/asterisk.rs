//! Asterisk itself: information, variables, configuration, logging, modules.

use super::{Ask, Planned, Refusal, Then, entity_call, run};
use crate::Kind;
use crate::json::JsonWriter;
use crate::key::kinds;
use crate::plan::{Fault, Plan, created};
use crate::rest::{Method, RestCall};
use crate::shape::{Entity, LOG, MODULE};

/// The name of a configuration key; these objects have no collection.
static CONFIG: Entity = Entity::nameless(kinds::CONFIG, "config");
static VARIABLE: Entity = Entity::nameless(kinds::VARIABLE, "variable");

pub(super) fn plan<'a>(ask: &Ask<'_, 'a>) -> Planned<'a> {
    match ask.kind {
        Kind::AsteriskInfo => info(ask),
        Kind::AsteriskPing => {
            Ok(run(RestCall::new(Method::Get, &["asterisk", "ping"])?, Then::Named("ping")))
        }
        Kind::AsteriskVariableGet => {
            let key = ask.key(&VARIABLE)?;
            let call = RestCall::new(Method::Get, &["asterisk", "variable"])?.query("variable", &key.id)?;
            Ok(run(call, Then::Variable).fault(format!("Error getting asterisk variable '{}'", key.id)))
        }
        Kind::AsteriskVariableSet => variable_set(ask),
        Kind::AsteriskConfigData => config_data(ask),
        Kind::AsteriskConfigUpdate => {
            let mut body = JsonWriter::new();
            let tuples = ask.option()?.optional("tuples").filter(|t| *t != "[]").unwrap_or("null");
            body.raw("fields", tuples);
            let call = config_call(ask, Method::Put)?.body(body);
            Ok(run(call, Then::Empty))
        }
        Kind::AsteriskConfigDelete => Ok(run(config_call(ask, Method::Delete)?, Then::Empty)),
        Kind::AsteriskLoggingList => ask.list(&LOG),
        Kind::AsteriskLoggingData | Kind::AsteriskLoggingGet => {
            let key = ask.named(&LOG)?;
            let data = ask.kind == Kind::AsteriskLoggingData;
            Ok(run(RestCall::new(Method::Get, LOG.collection)?, Then::Log { entity: &LOG, key, data }))
        }
        Kind::AsteriskLoggingCreate => {
            let (key, option) = (ask.named(&LOG)?, ask.option()?);
            let mut body = JsonWriter::new();
            body.text("configuration", &option.text("config")?);
            let call = entity_call(Method::Post, &LOG, &key.id, &[])?.body(body);
            Ok(run(call, created(kinds::LOGGING, key.id)))
        }
        Kind::AsteriskLoggingRotate => {
            unnamed(ask, "rotate")?;
            ask.command(Method::Put, &LOG, &["rotate"])
        }
        Kind::AsteriskLoggingDelete => {
            unnamed(ask, "delete")?;
            ask.command(Method::Delete, &LOG, &[])
        }
        Kind::AsteriskModuleList => ask.list(&MODULE),
        Kind::AsteriskModuleLoad => ask.command(Method::Post, &MODULE, &[]),
        Kind::AsteriskModuleReload => ask.command(Method::Put, &MODULE, &[]),
        Kind::AsteriskModuleUnload => ask.command(Method::Delete, &MODULE, &[]),
        _ => ask.read(&MODULE),
    }
}

/// `only` may be named in the options; partners never do.
fn info<'a>(ask: &Ask<'_, 'a>) -> Planned<'a> {
    let mut call = RestCall::new(Method::Get, &["asterisk", "info"])?;
    if let Some(option) = ask.request.option("asterisk_info")
        && let Ok(only) = option.text("only")
        && !only.is_empty()
    {
        call = call.query("only", &only)?;
    }
    Ok(run(call, Then::Named("asterisk")))
}

fn variable_set<'a>(ask: &Ask<'_, 'a>) -> Planned<'a> {
    let (key, option) = (ask.key(&VARIABLE)?, ask.option()?);
    let value = option.text("value")?;
    let mut body = JsonWriter::new();
    body.text("variable", &key.id).text_unless_empty("value", &value);
    let call = RestCall::new(Method::Post, &["asterisk", "variable"])?.body(body);
    Ok(run(call, Then::Empty).fault(format!("Error setting asterisk variable '{}' to '{value}'", key.id)))
}

/// `class/type/id`
fn config_parts(id: &str) -> Option<[&str; 3]> {
    let mut parts = id.splitn(3, '/');
    let parts = [parts.next()?, parts.next()?, parts.next()?];
    parts.iter().all(|p| !p.is_empty()).then_some(parts)
}

fn config_call(ask: &Ask<'_, '_>, method: Method) -> Result<RestCall, Refusal> {
    let key = ask.named(&CONFIG)?;
    let Some([class, object_type, name]) = config_parts(&key.id) else {
        return Err(Refusal("failed to parse key: invalid input ID".to_owned()));
    };
    Ok(RestCall::new(method, &["asterisk", "config", "dynamic", class, object_type, name])?)
}

fn config_data<'a>(ask: &Ask<'_, 'a>) -> Planned<'a> {
    let key = ask.named(&CONFIG)?;
    let Some([class, object_type, name]) = config_parts(&key.id).map(|parts| parts.map(str::to_owned)) else {
        return Err(Refusal("failed to parse configuration key: invalid input ID".to_owned()));
    };
    let call = config_call(ask, Method::Get)?;
    let fault = Fault::Data(&CONFIG, key.id.clone());
    Ok(Plan { fault, ..run(call, Then::Config { key, class, object_type, name }) })
}

fn unnamed(ask: &Ask<'_, '_>, what: &str) -> Result<(), Refusal> {
    match ask.request.key() {
        Some(key) if key.id.is_empty() => Err(Refusal(format!("Not allowed to {what} unnamed channels"))),
        _ => Ok(()),
    }
}
