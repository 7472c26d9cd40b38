//! Events, as the command line wants them.

use std::io;
use std::time::{Duration, Instant};

use trunkline_events::{EventTypes, LOST};
use trunkline_operations::{EventLines, EventQuery, OperationError};
use trunkline_publisher::{Inputs, Published, Source};

use crate::time::unix_ms;

/// How often events are read.
const INTERVAL: Duration = Duration::from_millis(50);
/// A subscriber learns so often that there is nothing to tell.
const LIVES_EVERY: Duration = Duration::from_secs(1);
/// So often the events that are kept are read, at most: 4 MB of each shard at a time.
const MOST_TURNS: usize = 1_024;
/// Events told at once, at most.
const AT_ONCE: usize = 500;

/// Tells events: those that are kept, or those from now on until `tell` fails.
pub fn subscribe(
    inputs: &Inputs,
    query: &EventQuery,
    tell: &mut dyn FnMut(EventLines) -> io::Result<()>,
) -> Result<(), OperationError> {
    let types = match query.types.is_empty() {
        true => EventTypes::all(),
        false => EventTypes::named(query.types.iter().map(String::as_str)).map_err(|name| {
            OperationError::Failed(format!(
                "`{name}` is no type of events; `trunkline events --help` lists them"
            ))
        })?,
    };
    let mut events = Vec::new();
    // Whoever went away is noticed when something is told; that is no failure.
    if !query.follow {
        let mut source = Source::from_oldest(inputs, types);
        // Exchanges that write faster than this reads keep nobody here for ever.
        for _ in 0..MOST_TURNS {
            source.turn(unix_ms(), &mut events);
            // What came before the memory that is kept is not lost to this subscriber.
            events.retain(|event| event.kind != LOST);
            if events.is_empty() {
                break;
            }
            if told(&mut events, tell).is_err() {
                return Ok(());
            }
        }
        let _ = tell(EventLines { events: Vec::new(), over: true });
        return Ok(());
    }
    let mut source = Source::from_now(inputs, types);
    let mut last = Instant::now();
    if tell(EventLines::default()).is_err() {
        return Ok(());
    }
    loop {
        source.turn(unix_ms(), &mut events);
        if !events.is_empty() {
            last = Instant::now();
            if told(&mut events, tell).is_err() {
                return Ok(());
            }
        } else if last.elapsed() >= LIVES_EVERY {
            last = Instant::now();
            if tell(EventLines::default()).is_err() {
                return Ok(());
            }
        }
        std::thread::sleep(INTERVAL);
    }
}

fn told(events: &mut Vec<Published>, tell: &mut dyn FnMut(EventLines) -> io::Result<()>) -> io::Result<()> {
    for part in events.chunks(AT_ONCE) {
        tell(EventLines { events: part.iter().map(Published::line).collect(), over: false })?;
    }
    events.clear();
    Ok(())
}
