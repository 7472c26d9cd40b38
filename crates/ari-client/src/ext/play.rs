//! Play and wait; stop what is played.

use std::time::{Duration, Instant};

use trunkline_ari::{Event, EventType};

use super::{GONE, gone};
use crate::error::{Error, Refusal};
use crate::handle::{Bridge, Channel, Playback};
use crate::options::Play;
use crate::subscription::Subscription;

/// How a playback ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlayEnd {
    /// It was played to its end, or stopped by somebody.
    Done,
    /// Asterisk could not play it: there is no such sound.
    Failed,
    /// The channel left the application.
    HungUp,
}

impl Channel {
    /// Plays media and waits for the end.
    ///
    /// # Errors
    /// When the channel is gone before, or the client is closed meanwhile.
    pub async fn play_and_wait(&self, play: Play) -> Result<PlayEnd, Error> {
        let [left, destroyed] = GONE;
        let mut events = self.subscribe(&[EventType::PlaybackFinished, left, destroyed]).await?;
        let playback = self.play_with(play).await?;
        ended(&mut events, &playback, self.id()).await
    }
}

impl Bridge {
    /// Plays media to everyone in the bridge and waits for the end.
    ///
    /// # Errors
    /// When the bridge is gone before, or the client is closed meanwhile.
    pub async fn play_and_wait(&self, play: Play) -> Result<PlayEnd, Error> {
        let types = [EventType::PlaybackFinished, EventType::BridgeDestroyed];
        let mut events = self.subscribe(&types).await?;
        let playback = self.play_with(play).await?;
        ended(&mut events, &playback, self.id()).await
    }
}

/// How long Asterisk may take from telling that a playback has begun until it can be stopped, and how
/// often it is asked meanwhile.
const BEGINNING: Duration = Duration::from_secs(2);
const AGAIN: Duration = Duration::from_millis(20);

/// Stops a playback, which may have ended by itself meanwhile. Asterisk tells that a playback has begun a
/// moment before it can be stopped; what asks it to in between is answered 500.
pub(super) async fn stop(playback: &Playback) -> Result<(), Error> {
    let give_up = Instant::now() + BEGINNING;
    loop {
        match playback.stop().await {
            // 409: there is nothing that plays.
            Err(error) if !error.is_not_found() && !has_status(&error, 409) => {
                if !has_status(&error, 500) || Instant::now() >= give_up {
                    return Err(error);
                }
                tokio::time::sleep(AGAIN).await;
            }
            Ok(()) | Err(_) => return Ok(()),
        }
    }
}

/// Whether Asterisk answered with this status. An original proxy tells it only in its text.
fn has_status(error: &Error, status: u16) -> bool {
    let Error::Refused(Refusal { text, status: said, .. }) = error else { return false };
    *said == Some(status) || (said.is_none() && text.contains(&format!("Non-2XX response: {status} ")))
}

/// Waits until the playback ends, or what it is played on.
async fn ended(events: &mut Subscription, playback: &Playback, on: &str) -> Result<PlayEnd, Error> {
    while let Some(received) = events.event().await {
        match &received.event {
            Event::PlaybackFinished(end) if end.playback.id == playback.id() => {
                let failed = end.playback.state == "failed";
                return Ok(if failed { PlayEnd::Failed } else { PlayEnd::Done });
            }
            Event::BridgeDestroyed(end) if end.bridge.id == on => return Ok(PlayEnd::HungUp),
            event if gone(event, on) => return Ok(PlayEnd::HungUp),
            _ => {}
        }
    }
    Err(Error::Closed)
}
