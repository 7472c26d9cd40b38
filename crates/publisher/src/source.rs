//! Everything that happens, for one subscriber.

use std::sync::Arc;
use std::time::{Duration, Instant};

use trunkline_events::{Board, BoardReader, EventTypes, Log, Requests};

use crate::published::Published;
use crate::states::States;
use crate::world::World;
use crate::{calls, requests};

/// How often states are looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Where events come from.
#[derive(Clone)]
pub struct Inputs {
    /// What became of requests, a log per shard.
    pub logs: Vec<Arc<Log>>,
    /// What happens to calls and bindings.
    pub board: Arc<Board>,
    /// What is looked at.
    pub world: Arc<dyn World>,
}

/// The events for one subscriber.
pub struct Source {
    types: EventTypes,
    requests: Option<Requests>,
    notices: Option<BoardReader>,
    states: States,
    world: Arc<dyn World>,
    looked: Option<Instant>,
    taken: Vec<Arc<trunkline_events::Notice>>,
}

impl Source {
    /// Of these types, from now on.
    pub fn from_now(inputs: &Inputs, types: EventTypes) -> Source {
        let requests = || Requests::from_now(&inputs.logs);
        Source::new(inputs, types, requests, Board::watch)
    }

    /// Of these types, those first that are kept in memory.
    pub fn from_oldest(inputs: &Inputs, types: EventTypes) -> Source {
        let requests = || Requests::from_oldest(&inputs.logs);
        Source::new(inputs, types, requests, Board::watch_kept)
    }

    fn new(
        inputs: &Inputs,
        types: EventTypes,
        requests: impl FnOnce() -> Requests,
        notices: impl FnOnce(&Arc<Board>) -> BoardReader,
    ) -> Source {
        let of_notices = types.admits_group("call")
            || types.admits_group("registration")
            || types.admits("trunk.state")
            || types.admits("peer.state");
        Source {
            requests: types.admits_group("request").then(requests),
            notices: of_notices.then(|| notices(&inputs.board)),
            states: States::new(&*inputs.world),
            world: Arc::clone(&inputs.world),
            looked: None,
            taken: Vec::new(),
            types,
        }
    }

    /// Appends what happened since the last turn, by time; what was lost as an event of its own. Gives the number of lost ones.
    pub fn turn(&mut self, now: u64, out: &mut Vec<Published>) -> u64 {
        let begin = out.len();
        let mut lost = 0;
        if let Some(requests) = &mut self.requests {
            let types = &self.types;
            lost += requests.entries(|call_id, entry| {
                if types.admits(requests::kind(&entry.event)) {
                    out.push(requests::of(call_id, entry));
                }
            });
        }
        if let Some(notices) = &mut self.notices {
            lost += notices.turn(&mut self.taken);
            let types = &self.types;
            let wanted = self.taken.drain(..).filter(|notice| types.admits(calls::kind(&notice.what)));
            out.extend(wanted.map(|notice| calls::of(&notice)));
        }
        if self.looked.is_none_or(|at| at.elapsed() >= LOOK) {
            self.looked = Some(Instant::now());
            let types = &self.types;
            self.states.look(&*self.world, types, now, &mut |event| {
                if types.admits(event.kind) {
                    out.push(event);
                }
            });
        }
        if let Some(new) = out.get_mut(begin..) {
            new.sort_by_key(|event| event.at);
        }
        if lost > 0 {
            out.push(Published::lost(now, lost));
        }
        lost
    }
}
