//! Record until something ends it.

use std::time::Duration;

use trunkline_ari::{Event, EventType};

use super::{GONE, gone};
use crate::error::Error;
use crate::handle::{Channel, LiveRecording};
use crate::options::Record;

/// How long the end of a recording may come after the end of its channel.
const STRAGGLING: Duration = Duration::from_secs(2);

/// The condition that ends a recording, in addition to the limits in its options and the end of the channel.
#[derive(Clone, Debug, Default)]
pub struct RecordUntil {
    /// How it is made.
    pub options: Record,
    /// The digits that end it, such as `#`.
    pub digits: String,
}

/// How a recording ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordEnd {
    /// By one of the digits.
    Digit(char),
    /// By a limit of its options, or because somebody stopped it.
    Finished,
    /// The channel left the application.
    HungUp,
    /// Asterisk could not go on, for this reason. There may be no file.
    Failed(String),
}

/// A recording that has ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Recorded {
    /// The recording; [`LiveRecording::stored`] is its file.
    pub recording: LiveRecording,
    /// How it ended.
    pub end: RecordEnd,
    /// How long it is in whole seconds, where Asterisk says so.
    pub duration: Duration,
}

impl Channel {
    /// Records the channel and waits for the end; an empty name is made up.
    ///
    /// # Errors
    /// When it cannot begin, or the client is closed meanwhile.
    pub async fn record_until(&self, name: &str, until: RecordUntil) -> Result<Recorded, Error> {
        let [left, destroyed] = GONE;
        let types = [
            EventType::ChannelDtmfReceived,
            EventType::RecordingFinished,
            EventType::RecordingFailed,
            left,
            destroyed,
        ];
        let mut events = self.subscribe(&types).await?;
        let recording = self.record(name, until.options).await?;
        let mut end = RecordEnd::Finished;
        loop {
            let next = match end {
                RecordEnd::HungUp => match tokio::time::timeout(STRAGGLING, events.event()).await {
                    Ok(next) => next,
                    Err(_) => return Ok(Recorded { recording, end, duration: Duration::ZERO }),
                },
                RecordEnd::Finished | RecordEnd::Digit(_) | RecordEnd::Failed(_) => events.event().await,
            };
            let Some(received) = next else { return Err(Error::Closed) };
            match &received.event {
                Event::RecordingFinished(ended) if ended.recording.name == recording.id() => {
                    let seconds = ended.recording.duration.unwrap_or_default();
                    let duration = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
                    return Ok(Recorded { recording, end, duration });
                }
                Event::RecordingFailed(ended) if ended.recording.name == recording.id() => {
                    let cause = ended.recording.cause.clone().unwrap_or_default();
                    let end = if end == RecordEnd::HungUp { end } else { RecordEnd::Failed(cause) };
                    return Ok(Recorded { recording, end, duration: Duration::ZERO });
                }
                Event::ChannelDtmfReceived(dtmf) if dtmf.channel.id == self.id() => {
                    let digit = dtmf.digit.chars().next().filter(|c| until.digits.contains(*c));
                    if let (Some(digit), RecordEnd::Finished) = (digit, &end) {
                        end = RecordEnd::Digit(digit);
                        match recording.stop().await {
                            // It has ended by itself meanwhile: its event is on the way.
                            Err(error) if !error.is_not_found() => return Err(error),
                            _ => {}
                        }
                    }
                }
                event if gone(event, self.id()) && end == RecordEnd::Finished => end = RecordEnd::HungUp,
                _ => {}
            }
        }
    }
}
