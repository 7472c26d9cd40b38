//! Ask for digits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use trunkline_ari::{Event, EventType};

use super::play::{PlayEnd, stop};
use super::{GONE, gone};
use crate::error::Error;
use crate::handle::{Channel, Playback};
use crate::options::Play;
use crate::subscription::Subscription;

/// The state of the digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// What was asked for.
    Complete,
    /// More may come.
    Incomplete,
    /// Nothing that can become right.
    Invalid,
}

type Matching = dyn Fn(&str) -> Match + Send + Sync;

/// A question that is answered with digits.
#[derive(Clone)]
pub struct Prompt {
    play: Play,
    matching: Arc<Matching>,
    terminators: String,
    first: Duration,
    between: Duration,
    attempts: u32,
    invalid: Option<Play>,
}

/// How a question ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PromptEnd {
    /// The digits are what was asked for.
    Complete,
    /// A digit that ends input came; it is not among the digits.
    Terminated(char),
    /// Nothing more came in time, and every attempt is used up.
    TimedOut,
    /// The input is wrong and no attempt is left.
    Invalid,
    /// The channel left the application.
    HungUp,
    /// Asterisk could not play the question, and nobody pressed a digit all the same.
    Unplayed,
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Prompted {
    /// The digits of the last attempt.
    pub digits: String,
    /// How it ended.
    pub end: PromptEnd,
}

impl Prompt {
    /// Plays `play`, which the first digit stops, and takes up to `digits` digits; a hash ends them
    /// sooner. The first digit has 5 s after the end of the playback, each further one 3 s; there is
    /// one attempt.
    #[must_use]
    pub fn new(play: Play, digits: usize) -> Self {
        let matching = move |text: &str| {
            if text.len() >= digits { Match::Complete } else { Match::Incomplete }
        };
        Prompt {
            play,
            matching: Arc::new(matching),
            terminators: "#".to_owned(),
            first: Duration::from_secs(5),
            between: Duration::from_secs(3),
            attempts: 1,
            invalid: None,
        }
    }

    /// Judges digits by `matching` instead of counting them.
    #[must_use]
    pub fn matching(mut self, matching: impl Fn(&str) -> Match + Send + Sync + 'static) -> Self {
        self.matching = Arc::new(matching);
        self
    }

    /// The digits that end input; empty for none.
    #[must_use]
    pub fn terminators(mut self, digits: impl Into<String>) -> Self {
        self.terminators = digits.into();
        self
    }

    /// How long the first digit and each further one may take.
    #[must_use]
    pub fn timeouts(mut self, first: Duration, between: Duration) -> Self {
        (self.first, self.between) = (first, between);
        self
    }

    /// How often the question is asked when nothing came, or nothing that can be right.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// The media played after wrong digits, before the question is repeated.
    #[must_use]
    pub fn invalid(mut self, play: Play) -> Self {
        self.invalid = Some(play);
        self
    }
}

impl Channel {
    /// Asks for digits and waits for them.
    ///
    /// # Errors
    /// When the channel is gone before, the question cannot be stopped at the first digit, or the client is
    /// closed meanwhile.
    pub async fn prompt(&self, prompt: Prompt) -> Result<Prompted, Error> {
        let [left, destroyed] = GONE;
        let types = [EventType::ChannelDtmfReceived, EventType::PlaybackFinished, left, destroyed];
        let mut events = self.subscribe(&types).await?;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let playback = match self.play_with(prompt.play.clone()).await {
                Ok(playback) => playback,
                // It left between two attempts: its event tells, whichever came first.
                Err(Error::Refused(_)) if attempt > 1 && left_now(&mut events, self.id()).await => {
                    return Ok(Prompted { digits: String::new(), end: PromptEnd::HungUp });
                }
                Err(error) => return Err(error),
            };
            let mut answer = PromptAnswer { channel: self, prompt: &prompt, digits: String::new() };
            let end = answer.take(&mut events, &playback).await?;
            let again = matches!(end, PromptEnd::TimedOut | PromptEnd::Invalid) && attempt < prompt.attempts;
            if !again {
                return Ok(Prompted { digits: answer.digits, end });
            }
            if let (PromptEnd::Invalid, Some(invalid)) = (end, &prompt.invalid)
                && self.play_and_wait(invalid.clone()).await? == PlayEnd::HungUp
            {
                return Ok(Prompted { digits: answer.digits, end: PromptEnd::HungUp });
            }
        }
    }
}

/// How long the event may take that tells why Asterisk refuses to play: the channel left the application.
const TELLING: Duration = Duration::from_secs(2);

/// Whether an event tells that the channel left the application.
async fn left_now(events: &mut Subscription, id: &str) -> bool {
    let left = async {
        while let Some(received) = events.event().await {
            if gone(&received.event, id) {
                return true;
            }
        }
        false
    };
    tokio::time::timeout(TELLING, left).await.unwrap_or(false)
}

/// One attempt.
struct PromptAnswer<'a> {
    channel: &'a Channel,
    prompt: &'a Prompt,
    digits: String,
}

impl PromptAnswer<'_> {
    async fn take(&mut self, events: &mut Subscription, playback: &Playback) -> Result<PromptEnd, Error> {
        // While the question is played nothing is late.
        let mut due: Option<Instant> = None;
        let mut unplayed = false;
        loop {
            let next = match due {
                None => events.event().await,
                Some(due) => match tokio::time::timeout_at(due.into(), events.event()).await {
                    Ok(next) => next,
                    // Asterisk tells of a playback that it failed when the caller hangs up, too: that event follows.
                    Err(_) if unplayed && self.digits.is_empty() => return Ok(PromptEnd::Unplayed),
                    Err(_) => return Ok(PromptEnd::TimedOut),
                },
            };
            let Some(received) = next else { return Err(Error::Closed) };
            match &received.event {
                Event::ChannelDtmfReceived(dtmf) if dtmf.channel.id == self.channel.id() => {
                    if self.digits.is_empty() && due.is_none() {
                        stop(playback).await?;
                    }
                    if let Some(end) = self.digit(&dtmf.digit) {
                        return Ok(end);
                    }
                    due = Some(Instant::now() + self.prompt.between);
                }
                Event::PlaybackFinished(end) if end.playback.id == playback.id() && due.is_none() => {
                    unplayed = end.playback.state == "failed";
                    due = Some(Instant::now() + self.prompt.first);
                }
                event if gone(event, self.channel.id()) => return Ok(PromptEnd::HungUp),
                _ => {}
            }
        }
    }

    fn digit(&mut self, digit: &str) -> Option<PromptEnd> {
        let ends = digit.chars().next().filter(|c| self.prompt.terminators.contains(*c));
        if let Some(terminator) = ends {
            return Some(PromptEnd::Terminated(terminator));
        }
        self.digits.push_str(digit);
        match (self.prompt.matching)(&self.digits) {
            Match::Complete => Some(PromptEnd::Complete),
            Match::Invalid => Some(PromptEnd::Invalid),
            Match::Incomplete => None,
        }
    }
}
