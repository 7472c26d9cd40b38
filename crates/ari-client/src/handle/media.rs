//! Playbacks, recordings, sounds.

use serde_json::{Value, json};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use trunkline_ari::{FilePart, Key, Kind, OwnedRequest, Purpose, base64, fresh, kinds, model};

use super::{Staged, collection, commands, handle, subscribe};
use crate::bus::Listing;
use crate::client::{Client, Transport};
use crate::error::Error;
use crate::options::{Play, Record};
use crate::words::Control;

handle! {
    /// A playback.
    Playback, kinds::PLAYBACK
}

collection! {
    /// The playbacks of a cluster.
    Playbacks of Playback, kinds::PLAYBACK, model::Playback as "playback", PlaybackData, get PlaybackGet
}

subscribe!(Playback, PlaybackSubscribe);

impl Playback {
    commands! {
        /// Ends it.
        stop => PlaybackStop;
    }

    /// Controls it.
    ///
    /// # Errors
    /// When Asterisk or the proxy refuses.
    pub async fn control(&self, command: Control) -> Result<(), Error> {
        self.client.call_with(Kind::PlaybackControl, &self.key, &json!({"command": command})).await.map(drop)
    }
}

handle! {
    /// A recording being made.
    LiveRecording, kinds::LIVE_RECORDING
}

collection! {
    /// The recordings being made in a cluster.
    LiveRecordings of LiveRecording, kinds::LIVE_RECORDING, model::LiveRecording as "live_recording", RecordingLiveData, get RecordingLiveGet
}

subscribe!(LiveRecording, RecordingLiveSubscribe);

impl LiveRecording {
    commands! {
        /// Ends it and keeps the file.
        stop => RecordingLiveStop;
        /// Pauses it.
        pause => RecordingLivePause;
        /// Goes on with it.
        resume => RecordingLiveResume;
        /// Records silence.
        mute => RecordingLiveMute;
        /// Ends recording silence.
        unmute => RecordingLiveUnmute;
        /// Ends it and throws the file away.
        scrap => RecordingLiveScrap;
    }

    /// The file it becomes.
    #[must_use]
    pub fn stored(&self) -> StoredRecording {
        StoredRecording::new(&self.client, self.key.clone())
    }
}

handle! {
    /// A recording on disk.
    StoredRecording, kinds::STORED_RECORDING
}

collection! {
    /// The recordings on disk in a cluster.
    StoredRecordings of StoredRecording, kinds::STORED_RECORDING, model::StoredRecording as "stored_recording", RecordingStoredData, get RecordingStoredGet, list RecordingStoredList
}

/// The longest file that is held in memory.
const HELD: usize = 256 << 20;

/// The file of a stored recording.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredFile {
    /// Its media type, such as `audio/x-wav`.
    pub content_type: String,
    /// The bytes.
    pub content: Vec<u8>,
}

/// The data of a written file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WrittenFile {
    /// Its media type, such as `audio/x-wav`.
    pub content_type: String,
    /// Its size in bytes.
    pub length: u64,
}

impl StoredRecording {
    commands! {
        /// Removes it.
        delete => RecordingStoredDelete;
    }

    /// Copies it on its node.
    ///
    /// # Errors
    /// When there is one of the new name.
    pub async fn copy(&self, destination: &str) -> Result<StoredRecording, Error> {
        let option = json!({"destination": destination});
        let response = self.client.call_with(Kind::RecordingStoredCopy, &self.key, &option).await?;
        Ok(StoredRecording::new(&self.client, Client::key_of(response)?))
    }

    /// Fetches the file into memory, 256 MiB at most.
    ///
    /// # Errors
    /// When it does not exist, is longer, or does not come whole.
    pub async fn file(&self) -> Result<StoredFile, Error> {
        let mut content = Vec::new();
        let written = self.copy_file(&mut content, HELD).await?;
        Ok(StoredFile { content_type: written.content_type, content })
    }

    /// Fetches the file and writes it as it comes; nothing but the part that has just come is held.
    /// The writer is flushed at the end.
    ///
    /// # Errors
    /// When it does not exist, does not come whole or cannot be written; then a part of it may be.
    pub async fn write_to(&self, writer: &mut (impl AsyncWrite + Unpin)) -> Result<WrittenFile, Error> {
        let written = self.copy_file(writer, usize::MAX).await?;
        writer.flush().await.map_err(|e| self.unwritten(e))?;
        Ok(written)
    }

    async fn copy_file(
        &self,
        writer: &mut (impl AsyncWrite + Unpin),
        limit: usize,
    ) -> Result<WrittenFile, Error> {
        let long = |length: u64| Error::LongFile(self.key.id.clone(), length, limit);
        let request = OwnedRequest::new(Kind::RecordingStoredFile, self.key.clone());
        let mut written = WrittenFile { content_type: String::new(), length: 0 };
        match &self.client.core.transport {
            Transport::Direct(direct) => {
                let mut download = direct.file(&request).await?;
                written.content_type.clone_from(&download.content_type);
                while let Some(piece) = download.piece().await? {
                    written.length += piece.len() as u64;
                    if written.length > limit as u64 {
                        return Err(long(download.length.unwrap_or(written.length)));
                    }
                    writer.write_all(&piece).await.map_err(|e| self.unwritten(e))?;
                }
                Ok(written)
            }
            Transport::Nats(bus) => {
                let mut parts = bus.parts(&request).await?;
                while let Some(answer) = parts.next(None).await? {
                    let part: FilePart = answer.good()?.data("file")?.ok_or(Error::Nil("file"))?;
                    if part.total > limit as u64 {
                        return Err(long(part.total));
                    }
                    let content = base64::decode(&part.content).filter(|_| part.offset == written.length);
                    let content = content.ok_or_else(|| Error::Hole(self.key.id.clone()))?;
                    writer.write_all(&content).await.map_err(|e| self.unwritten(e))?;
                    written.content_type = part.content_type;
                    written.length += content.len() as u64;
                    if written.length >= part.total {
                        return Ok(written);
                    }
                    // Each part has its time.
                    parts.extend();
                }
                Err(match written.length {
                    0 if parts.nobody => Error::NoData,
                    0 => Error::Timeout(bus.timeout),
                    _ => Error::Hole(self.key.id.clone()),
                })
            }
        }
    }

    fn unwritten(&self, error: std::io::Error) -> Error {
        Error::Write(self.key.id.clone(), error)
    }
}

/// The sounds of a cluster.
pub struct Sounds<'c>(pub(crate) &'c Client);

impl Sounds<'_> {
    /// The keys of sounds in a language and format; empty is any.
    ///
    /// # Errors
    /// When no proxy told its part.
    pub async fn list(&self, filter: &Key, lang: &str, format: &str) -> Result<Listing, Error> {
        let mut filters = serde_json::Map::new();
        for (name, value) in [("lang", lang), ("format", format)] {
            if !value.is_empty() {
                filters.insert(name.to_owned(), value.into());
            }
        }
        let filters = if filters.is_empty() { Value::Null } else { Value::Object(filters) };
        self.0.list(Kind::SoundList, filter, Some(&json!({"filters": filters}))).await
    }

    /// What Asterisk knows of a sound.
    ///
    /// # Errors
    /// When it does not exist.
    pub async fn data(&self, key: &Key) -> Result<model::Sound, Error> {
        self.0.data(Kind::SoundData, key, "sound").await
    }
}

fn named(play: Play) -> Play {
    let id = if play.playback_id.is_empty() { fresh(Purpose::Playback) } else { play.playback_id };
    Play { playback_id: id, ..play }
}

pub(super) async fn play(client: &Client, on: &Key, kind: Kind, play: Play) -> Result<Playback, Error> {
    let response = client.call_with(kind, on, &named(play)).await?;
    Ok(Playback::new(client, Client::key_of(response)?.with_dialog(on.dialog.clone())))
}

pub(super) async fn stage_play(
    client: &Client,
    on: &Key,
    [stage, exec]: [Kind; 2],
    play: Play,
) -> Result<Staged<Playback>, Error> {
    let play = named(play);
    let key = Client::key_of(client.call_with(stage, on, &play).await?)?;
    let on = on.clone().at(key.app.clone(), key.node.clone());
    let handle = Playback::new(client, key.with_dialog(on.dialog.clone()));
    let client = client.clone();
    Ok(Staged::new(handle, async move { client.call_with(exec, &on, &play).await.map(drop) }))
}

fn recording(name: &str, options: Record) -> Value {
    let name = if name.is_empty() { fresh(Purpose::Recording) } else { name.to_owned() };
    json!({"name": name, "options": options})
}

pub(super) async fn record(
    client: &Client,
    on: &Key,
    kind: Kind,
    name: &str,
    options: Record,
) -> Result<LiveRecording, Error> {
    let response = client.call_with(kind, on, &recording(name, options)).await?;
    Ok(LiveRecording::new(client, Client::key_of(response)?.with_dialog(on.dialog.clone())))
}

pub(super) async fn stage_record(
    client: &Client,
    on: &Key,
    [stage, exec]: [Kind; 2],
    name: &str,
    options: Record,
) -> Result<Staged<LiveRecording>, Error> {
    let option = recording(name, options);
    let key = Client::key_of(client.call_with(stage, on, &option).await?)?;
    let on = on.clone().at(key.app.clone(), key.node.clone());
    let handle = LiveRecording::new(client, key.with_dialog(on.dialog.clone()));
    let client = client.clone();
    Ok(Staged::new(handle, async move { client.call_with(exec, &on, &option).await.map(drop) }))
}
