//! Messages, as the command line wants them.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use trunkline_operations::{TracedMessage, TracedMessages};
use trunkline_trace::{Filter, Tap, Watcher};

use crate::time::unix_micros;

/// How often the shards' messages are read.
const INTERVAL: Duration = Duration::from_millis(25);
/// A watcher learns so often that there is nothing to tell.
const LIVES_EVERY: Duration = Duration::from_millis(500);
/// Messages told at once, at most.
const AT_ONCE: usize = 500;

/// Tells messages as they come and go, until `tell` fails: whoever went away is noticed then.
pub fn follow_messages(
    taps: &[Arc<Tap>],
    filter: Filter,
    tell: &mut dyn FnMut(TracedMessages) -> io::Result<()>,
) {
    let mut watcher = Watcher::new(taps, filter);
    let mut told = Instant::now();
    if tell(TracedMessages::default()).is_err() {
        return;
    }
    loop {
        let turn = watcher.turn(unix_micros());
        let mut lost = turn.lost;
        for part in turn.messages.chunks(AT_ONCE) {
            let messages = part.iter().map(TracedMessage::from).collect();
            if tell(TracedMessages { messages, lost: std::mem::take(&mut lost) }).is_err() {
                return;
            }
            told = Instant::now();
        }
        if lost > 0 || told.elapsed() >= LIVES_EVERY {
            if tell(TracedMessages { messages: Vec::new(), lost }).is_err() {
                return;
            }
            told = Instant::now();
        }
        if !turn.more {
            std::thread::sleep(INTERVAL);
        }
    }
}
