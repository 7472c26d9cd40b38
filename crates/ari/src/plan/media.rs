//! Playbacks, recordings and sounds, and the operations that create them on bridges and channels.

use std::borrow::Cow;

use super::{Ask, Options, Planned, Refusal, Then, created, entity_call, local, run};
use crate::Kind;
use crate::json::JsonWriter;
use crate::key::kinds;
use crate::object::Object;
use crate::rest::{Method, RestCall};
use crate::shape::{Entity, LIVE_RECORDING, PLAYBACK, SOUND, STORED_RECORDING};
use crate::ulid::{Purpose, fresh};

pub(super) fn plan<'a>(ask: &Ask<'_, 'a>) -> Planned<'a> {
    match ask.kind {
        Kind::PlaybackData | Kind::PlaybackGet => ask.read(&PLAYBACK),
        Kind::PlaybackControl => {
            let mut body = JsonWriter::new();
            body.text("operation", &ask.option()?.text("command")?);
            ask.command_with(Method::Post, &PLAYBACK, &["control"], body)
        }
        Kind::PlaybackStop => ask.ending(Method::Delete, &PLAYBACK, &[]),
        Kind::PlaybackSubscribe => ask.subscribe(&PLAYBACK),
        Kind::RecordingLiveData | Kind::RecordingLiveGet => ask.read(&LIVE_RECORDING),
        Kind::RecordingLiveStop => ask.ending(Method::Post, &LIVE_RECORDING, &["stop"]),
        Kind::RecordingLivePause => ask.command(Method::Post, &LIVE_RECORDING, &["pause"]),
        Kind::RecordingLiveResume => ask.command(Method::Delete, &LIVE_RECORDING, &["pause"]),
        Kind::RecordingLiveMute => ask.command(Method::Post, &LIVE_RECORDING, &["mute"]),
        Kind::RecordingLiveUnmute => ask.command(Method::Delete, &LIVE_RECORDING, &["mute"]),
        Kind::RecordingLiveScrap => ask.ending(Method::Delete, &LIVE_RECORDING, &[]),
        Kind::RecordingLiveSubscribe => ask.subscribe(&LIVE_RECORDING),
        Kind::RecordingStoredList => ask.list(&STORED_RECORDING),
        Kind::RecordingStoredDelete => ask.command(Method::Delete, &STORED_RECORDING, &[]),
        Kind::RecordingStoredCopy => {
            let (key, option) = (ask.named(&STORED_RECORDING)?, ask.option()?);
            let destination = option.text("destination")?;
            let mut body = JsonWriter::new();
            body.text("destinationRecordingName", &destination);
            let call = entity_call(Method::Post, &STORED_RECORDING, &key.id, &["copy"])?.body(body);
            Ok(run(call, created(kinds::STORED_RECORDING, destination)))
        }
        Kind::RecordingStoredFile => {
            let key = ask.named(&STORED_RECORDING)?;
            let call = entity_call(Method::Get, &STORED_RECORDING, &key.id, &["file"])?;
            Ok(run(RestCall { file: true, ..call }, Then::File { name: key.id }))
        }
        Kind::RecordingStoredData | Kind::RecordingStoredGet => ask.read(&STORED_RECORDING),
        Kind::SoundList => sounds(ask),
        _ => ask.read(&SOUND),
    }
}

fn sounds<'a>(ask: &Ask<'_, 'a>) -> Planned<'a> {
    let option = ask.option()?;
    let mut call = RestCall::new(Method::Get, SOUND.collection)?;
    if let Some(filters) = option.0.object("filters") {
        for name in ["lang", "format"] {
            let value = filters.text(name)?;
            if !value.is_empty() {
                call = call.query(name, &value)?;
            }
        }
    }
    Ok(run(call, Then::List(&SOUND)))
}

fn id_of<'a>(option: &Options<'a>, name: &'static str, purpose: Purpose) -> Result<Cow<'a, str>, Refusal> {
    let id = option.text(name)?;
    Ok(if id.is_empty() { Cow::Owned(fresh(purpose)) } else { id })
}

/// The playback id to bind: one that Trunkline or the client chose. A bridge playback whose id the
/// proxy makes up is not bound, as partners know it.
fn bound_id<'a>(option: &Options<'a>, entity: &Entity, id: &Cow<'a, str>) -> Result<Cow<'a, str>, Refusal> {
    let asked = option.text("playback_id")?;
    Ok(if entity.kind == kinds::BRIDGE { asked } else { id.clone() })
}

/// Play media on a bridge, or on a channel that is asked for first.
pub(super) fn play<'a>(ask: &Ask<'_, 'a>, on: &'static Entity) -> Planned<'a> {
    let (key, option) = (ask.named(on)?, ask.option()?);
    let id = id_of(&option, "playback_id", Purpose::Playback)?;
    let mut body = JsonWriter::new();
    body.raw("media", option.raw("media_uri"));
    for name in ["announcer_format", "lang", "offsetms", "skipms"] {
        body.raw_unless_empty(name, option.optional(name));
    }
    let call = entity_call(Method::Post, on, &key.id, &["play", &id])?.body(body);
    let bound = bound_id(&option, on, &id)?;
    Ok(run(call, created(kinds::PLAYBACK, id)).bind(on.kind, key.id).bind(kinds::PLAYBACK, bound))
}

pub(super) fn stage_play<'a>(ask: &Ask<'_, 'a>, on: &'static Entity) -> Planned<'a> {
    let (key, option) = (ask.named(on)?, ask.option()?);
    let id = id_of(&option, "playback_id", Purpose::Playback)?;
    Ok(local(created(kinds::PLAYBACK, id.clone())).bind(on.kind, key.id).bind(kinds::PLAYBACK, id))
}

/// Nanoseconds, as Go writes durations, to whole seconds.
fn seconds(nanoseconds: i64) -> i64 {
    nanoseconds / 1_000_000_000
}

pub(super) fn record<'a>(ask: &Ask<'_, 'a>, on: &'static Entity) -> Planned<'a> {
    let (key, option) = (ask.named(on)?, ask.option()?);
    let name = id_of(&option, "name", Purpose::Recording)?;
    let options = option.inner("options").unwrap_or_else(|| Options(Object::default()));
    let mut body = JsonWriter::new();
    body.text("name", &name)
        .raw("format", options.raw("Format"))
        .integer("maxDurationSeconds", seconds(options.integer("MaxDuration")))
        .integer("maxSilenceSeconds", seconds(options.integer("MaxSilence")))
        .raw_unless_empty("ifExists", options.optional("Exists"))
        .raw("beep", options.optional("Beep").unwrap_or("false"))
        .raw_unless_empty("terminateOn", options.optional("Terminate"))
        .raw_unless_empty("recorder_format", options.optional("RecorderFormat"));
    let call = entity_call(Method::Post, on, &key.id, &["record"])?.body(body);
    Ok(run(call, created(kinds::LIVE_RECORDING, name.clone()))
        .bind(on.kind, key.id)
        .bind(kinds::LIVE_RECORDING, name))
}

/// The reply keeps the request's dialog, as partners know it.
pub(super) fn stage_record<'a>(ask: &Ask<'_, 'a>, on: &'static Entity) -> Planned<'a> {
    let (key, option) = (ask.named(on)?, ask.option()?);
    let name = id_of(&option, "name", Purpose::Recording)?;
    let then = Then::Key { kind: kinds::LIVE_RECORDING, id: name.clone(), dialog: key.dialog };
    Ok(local(then).bind(on.kind, key.id).bind(kinds::LIVE_RECORDING, name))
}

/// Listen to a channel, or speak into it, through a channel of its own.
pub(super) fn snoop<'a>(ask: &Ask<'_, 'a>, on: &'static Entity) -> Planned<'a> {
    let (key, option) = (ask.named(on)?, ask.option()?);
    let id = id_of(&option, "snoop_id", Purpose::Snoop)?;
    let mut body = JsonWriter::new();
    match option.inner("options") {
        None => {
            body.text("app", &ask.site.app);
        }
        Some(options) => {
            body.raw("app", options.raw("app"));
            for name in ["appArgs", "spy", "whisper"] {
                body.raw_unless_empty(name, options.optional(name));
            }
        }
    }
    let call = entity_call(Method::Post, on, &key.id, &["snoop", &id])?.body(body);
    Ok(run(call, created(kinds::CHANNEL, id.clone())).bind(kinds::CHANNEL, id))
}

pub(super) fn stage_snoop<'a>(ask: &Ask<'_, 'a>) -> Planned<'a> {
    let option = ask.option()?;
    let id = id_of(&option, "snoop_id", Purpose::Snoop)?;
    Ok(local(created(kinds::CHANNEL, id.clone())).bind(kinds::CHANNEL, id))
}
