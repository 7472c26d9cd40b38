//! What is known of the destinations of trunks and peers: their state, since when, the last error, the next question.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use hashbrown::{HashMap, HashSet};
use parking_lot::{Mutex, RwLock};
use trunkline_events::{Board, DestinationNotice, What};
use trunkline_model::{Ref, Tables};
use trunkline_trunks::{Place, State, Subject};

/// Milliseconds that a request waits for a destination that is known to be down: it may be back since it was asked last, and
/// carriers that answer calls need not answer OPTIONS.
pub(crate) const KNOWN_DOWN: u32 = 2_000;
/// Milliseconds between two requests that wait for the same one; those meanwhile do not.
const BETWEEN_TRIES: u64 = 10_000;
/// The same for one that has answered OPTIONS: those find that it is back. It may have stopped answering them, and answer calls.
const BETWEEN_TRIES_OF_ASKED: u64 = 300_000;

/// What is known of one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationState {
    /// The destination.
    pub subject: Subject,
    /// Its address: a host of the trunk, the peer's own, or the Contact that it registered.
    pub target: String,
    /// Does it answer?
    pub state: State,
    /// Since when, in seconds since 1970; of an unknown one, since it is there.
    pub since: i64,
    /// The last error, if there was one: a SIP status or what happened to the question.
    pub error: Option<LastError>,
    /// When it is asked next, in seconds since 1970; `None` if nobody is asked.
    pub next: Option<i64>,
}

/// An error of a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// What happened.
    pub text: String,
    /// When, in seconds since 1970.
    pub at: i64,
}

impl DestinationState {
    /// One of which nothing is known.
    fn unknown(subject: &Subject, target: String) -> DestinationState {
        DestinationState {
            subject: subject.clone(),
            target,
            state: State::Unknown,
            since: unix_seconds(),
            error: None,
            next: None,
        }
    }

    /// The trunk or peer.
    pub fn reference(&self) -> &Ref {
        match &self.subject {
            Subject::Trunk(reference, _) | Subject::Peer(reference, _) => reference,
        }
    }

    /// Is it that of a peer?
    pub fn is_of_peer(&self) -> bool {
        matches!(self.subject, Subject::Peer(..))
    }

    /// Is it an instance that registered, and not what the operator configured?
    pub fn is_instance(&self) -> bool {
        matches!(self.subject, Subject::Peer(_, Place::Instance(_)))
    }
}

/// The destinations of all trunks and peers, as the asking shard finds them.
#[derive(Debug, Default)]
pub(crate) struct Destinations {
    states: RwLock<HashMap<Subject, DestinationState>>,
    /// Which destinations of a trunk are down, a bit each; behind a flag, so that calls cost no lock while all is well.
    trunks: RwLock<HashMap<Ref, Arc<AtomicU64>>>,
    any_trunk: AtomicBool,
    /// Bindings of instances, and peers by their given address, that are down; behind a flag, too.
    peers: RwLock<DownPeers>,
    any_peer: AtomicBool,
    /// An instance of a peer has registered since they were last listed.
    arrived: AtomicBool,
    /// Destinations of trunks that left a call unanswered, or answered one while they were down, for the asking shard.
    silent: RwLock<Vec<Subject>>,
    heard: RwLock<Vec<Subject>>,
    /// When a request waited last for one that is down.
    tried: Mutex<HashMap<Subject, u64>>,
    /// Which have answered OPTIONS, and have not answered a call while they left OPTIONS unanswered.
    answering: RwLock<HashSet<Subject>>,
}

#[derive(Debug, Default)]
struct DownPeers {
    instances: HashSet<u64>,
    addresses: HashSet<Ref>,
}

impl Destinations {
    /// All that were listed, with those that were configured since, which are unknown.
    pub(crate) fn all(&self, tables: &Tables) -> Vec<DestinationState> {
        let mut known = self.states.read().clone();
        let mut all = Vec::with_capacity(known.len());
        for (subject, target) in configured(tables) {
            let listed = known.remove(&subject).filter(|known| known.target == target);
            all.push(listed.unwrap_or_else(|| DestinationState::unknown(&subject, target)));
        }
        all.extend(known.into_values().filter(DestinationState::is_instance));
        all
    }

    /// Which destinations of the trunk are down.
    pub(crate) fn trunk_down(&self, trunk: &Ref) -> u64 {
        if !self.any_trunk.load(Ordering::Relaxed) {
            return 0;
        }
        self.trunks.read().get(trunk).map_or(0, |d| d.load(Ordering::Relaxed))
    }

    /// Is the instance with this binding known to be down?
    pub(crate) fn is_instance_down(&self, binding: u64) -> bool {
        self.any_peer.load(Ordering::Relaxed) && self.peers.read().instances.contains(&binding)
    }

    /// Is the peer's given address known to be down?
    pub(crate) fn is_address_down(&self, peer: &Ref) -> bool {
        self.any_peer.load(Ordering::Relaxed) && self.peers.read().addresses.contains(peer)
    }

    /// Has the peer a given address that is not known to be down?
    pub(crate) fn may_answer_at_address(&self, peer: &Ref) -> bool {
        let subject = Subject::Peer(peer.clone(), Place::Address);
        self.states.read().get(&subject).is_some_and(|s| s.state != State::Down)
    }

    /// It is there from now on, and nothing is known of it.
    pub(crate) fn begin(&self, subject: &Subject, target: String) {
        let state = DestinationState::unknown(subject, target);
        self.states.write().insert(subject.clone(), state);
        self.note_down(subject, false);
    }

    /// Notes its state, also on the board.
    pub(crate) fn set(&self, subject: &Subject, new: State, board: &Board) {
        {
            let mut states = self.states.write();
            let Some(known) = states.get_mut(subject).filter(|s| s.state != new) else { return };
            announce(board, known, new);
            (known.state, known.since) = (new, unix_seconds());
            let (reference, target) = (known.reference(), &known.target);
            let error = known.error.as_ref().map(|e| e.text.as_str()).unwrap_or_default();
            match (new, known.is_of_peer()) {
                (State::Down, false) => {
                    tracing::warn!(trunk = %reference, target, error, "a trunk's destination is down");
                }
                (State::Down, true) => tracing::warn!(peer = %reference, target, error, "a peer is down"),
                (State::Up | State::Unknown, false) => {
                    tracing::info!(trunk = %reference, target, state = new.word(), "a trunk's destination");
                }
                (State::Up | State::Unknown, true) => {
                    tracing::info!(peer = %reference, target, state = new.word(), "a peer");
                }
            }
        }
        self.note_down(subject, new == State::Down);
    }

    /// It answered OPTIONS, and takes calls.
    pub(crate) fn note_answer(&self, subject: &Subject) {
        if !self.answering.read().contains(subject) {
            self.answering.write().insert(subject.clone());
        }
    }

    /// Notes an error of it.
    pub(crate) fn note_error(&self, subject: &Subject, text: String) {
        if let Some(known) = self.states.write().get_mut(subject) {
            known.error = Some(LastError { text, at: unix_seconds() });
        }
    }

    /// Notes in how many milliseconds it is asked next.
    pub(crate) fn note_next(&self, subject: &Subject, due_in: Option<u64>) {
        if let Some(known) = self.states.write().get_mut(subject) {
            known.next = due_in.map(|ms| unix_seconds().saturating_add_unsigned(ms.div_ceil(1_000)));
        }
    }

    /// Forgets those that are there no more.
    pub(crate) fn keep(&self, there: impl Fn(&Subject) -> bool) {
        let mut gone = Vec::new();
        self.states.write().retain(|subject, _| {
            let stays = there(subject);
            if !stays {
                gone.push(subject.clone());
            }
            stays
        });
        for subject in gone {
            self.answering.write().remove(&subject);
            self.note_down(&subject, false);
        }
    }

    /// A destination of a trunk left a call unanswered.
    pub(crate) fn note_silence(&self, trunk: &Ref, place: u8, now: u64) {
        let subject = Subject::Trunk(trunk.clone(), place);
        // That was a try.
        self.tried.lock().insert(subject.clone(), now);
        // The router knows at once, the rest when the asking shard has its turn.
        self.note_down(&subject, true);
        let mut silent = self.silent.write();
        if !silent.contains(&subject) {
            silent.push(subject);
        }
    }

    /// A request may be answered by one that is down: may this one wait for it? One at a time.
    pub(crate) fn may_be_tried(&self, subject: &Subject, now: u64) -> bool {
        let asked = self.answering.read().contains(subject);
        let between = if asked { BETWEEN_TRIES_OF_ASKED } else { BETWEEN_TRIES };
        let mut tried = self.tried.lock();
        let waits = tried.get(subject).is_none_or(|at| now >= at + between);
        if waits {
            tried.insert(subject.clone(), now);
        }
        waits
    }

    /// Will it be noticed when this one, which is down, is back? A trunk that answers a call is; a peer only by OPTIONS.
    pub(crate) fn is_missed(&self, subject: &Subject) -> bool {
        matches!(subject, Subject::Trunk(..)) || self.answering.read().contains(subject)
    }

    /// A destination of a trunk answered a request. If it was down it is not any more.
    pub(crate) fn note_voice(&self, trunk: &Ref, place: u8) {
        if self.trunk_down(trunk) & 1u64.checked_shl(u32::from(place)).unwrap_or(0) == 0 {
            return;
        }
        let subject = Subject::Trunk(trunk.clone(), place);
        self.answering.write().remove(&subject);
        self.note_down(&subject, false);
        let mut heard = self.heard.write();
        if !heard.contains(&subject) {
            heard.push(subject);
        }
    }

    /// Those that answered a request while they were down.
    pub(crate) fn take_heard(&self) -> Vec<Subject> {
        if self.heard.read().is_empty() {
            return Vec::new();
        }
        std::mem::take(&mut *self.heard.write())
    }

    /// Those that left a call unanswered.
    pub(crate) fn take_silent(&self) -> Vec<Subject> {
        if self.silent.read().is_empty() {
            return Vec::new();
        }
        std::mem::take(&mut *self.silent.write())
    }

    /// An instance of a peer has registered.
    pub(crate) fn note_arrival(&self) {
        self.arrived.store(true, Ordering::Release);
    }

    /// Has one, since this was asked last?
    pub(crate) fn take_arrival(&self) -> bool {
        self.arrived.load(Ordering::Relaxed) && self.arrived.swap(false, Ordering::Acquire)
    }

    /// What calls read.
    fn note_down(&self, subject: &Subject, down: bool) {
        if !down {
            self.tried.lock().remove(subject);
        }
        match subject {
            Subject::Trunk(trunk, place) => self.note_trunk(trunk, *place, down),
            Subject::Peer(peer, place) => {
                if !down && !self.any_peer.load(Ordering::Relaxed) {
                    return;
                }
                let mut peers = self.peers.write();
                let DownPeers { instances, addresses } = &mut *peers;
                match (place, down) {
                    (Place::Instance(binding), true) => instances.insert(*binding),
                    (Place::Instance(binding), false) => instances.remove(binding),
                    (Place::Address, true) => addresses.insert(peer.clone()),
                    (Place::Address, false) => addresses.remove(peer),
                };
                let any = !instances.is_empty() || !addresses.is_empty();
                self.any_peer.store(any, Ordering::Relaxed);
            }
        }
    }

    fn note_trunk(&self, trunk: &Ref, place: u8, down: bool) {
        if place >= 64 {
            return;
        }
        let known = self.trunks.read().get(trunk).cloned();
        let bits = match (known, down) {
            (Some(bits), _) => bits,
            (None, false) => return,
            (None, true) => self.trunks.write().entry(trunk.clone()).or_default().clone(),
        };
        let bit = 1u64 << place;
        let any = if down {
            bits.fetch_or(bit, Ordering::Relaxed);
            true
        } else {
            bits.fetch_and(!bit, Ordering::Relaxed);
            self.trunks.read().values().any(|bits| bits.load(Ordering::Relaxed) != 0)
        };
        // A call may note a silence meanwhile: the asking shard repeats it with its next turn.
        self.any_trunk.store(any, Ordering::Relaxed);
    }
}

/// Its state becomes another one.
fn announce(board: &Board, known: &DestinationState, new: State) {
    if !board.is_watched() {
        return;
    }
    let error = known.error.as_ref().filter(|_| new == State::Down);
    let notice = DestinationNotice {
        is_of_peer: known.is_of_peer(),
        reference: known.reference().to_string(),
        target: known.target.clone(),
        state: new.word(),
        before: known.state.word(),
        error: error.map(|error| error.text.clone()).unwrap_or_default(),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64);
    board.post(now, What::Destination(Box::new(notice)));
}

/// The destinations that the operator configured, with their names in lists.
fn configured(tables: &Tables) -> Vec<(Subject, String)> {
    let mut all = Vec::new();
    for trunk in tables.trunks() {
        let enabled = (0u8..64).zip(&trunk.uris).filter(|(_, uri)| uri.enabled);
        let subject = |place| Subject::Trunk(trunk.reference.clone(), place);
        all.extend(enabled.map(|(place, uri)| (subject(place), uri.to_string())));
    }
    for peer in tables.peers().filter(|peer| peer.enabled) {
        let subject = || Subject::Peer(peer.reference.clone(), Place::Address);
        all.extend(peer.contact_addr.iter().map(|address| (subject(), address.clone())));
    }
    all
}

/// The clock, in seconds since 1970.
pub(crate) fn unix_seconds() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_is_down_comes_back_or_is_forgotten() {
        let (all, peer) = (Destinations::default(), Ref::from("pbx"));
        let instance = Subject::Peer(peer.clone(), Place::Instance(7));
        let address = Subject::Peer(peer.clone(), Place::Address);
        all.set(&instance, State::Down, &Board::default());
        assert!(!all.is_instance_down(7), "nobody asked it");
        all.begin(&instance, "sip:pbx@192.0.2.1".into());
        all.begin(&address, "192.0.2.2".into());
        all.set(&instance, State::Down, &Board::default());
        assert!(all.is_instance_down(7) && all.may_answer_at_address(&peer) && !all.is_address_down(&peer));
        all.set(&instance, State::Up, &Board::default());
        assert!(!all.is_instance_down(7));
        all.set(&address, State::Down, &Board::default());
        all.set(&instance, State::Down, &Board::default());
        assert!(all.is_address_down(&peer) && !all.may_answer_at_address(&peer));
        all.keep(|subject| *subject == address);
        assert!(!all.is_instance_down(7) && all.is_address_down(&peer));
        assert_eq!(all.states.read().len(), 1);
    }

    #[test]
    fn a_trunk_is_unknown_until_it_has_answered_and_when_it_changes() {
        let (all, trunk) = (Destinations::default(), Ref::from("carrier"));
        let second = Subject::Trunk(trunk.clone(), 1);
        all.begin(&second, "udp 192.0.2.1:5060".into());
        let state = || all.states.read().get(&second).cloned().expect("one");
        assert_eq!((state().state, state().error, all.trunk_down(&trunk)), (State::Unknown, None, 0));
        all.note_error(&second, "503 Service Unavailable".into());
        all.set(&second, State::Down, &Board::default());
        assert_eq!(all.trunk_down(&trunk), 0b10);
        assert_eq!(state().error.expect("an error").text, "503 Service Unavailable");
        all.begin(&second, "udp 192.0.2.9:5060".into());
        assert_eq!((state().state, all.trunk_down(&trunk)), (State::Unknown, 0));
        all.note_silence(&trunk, 1, 0);
        assert_eq!((all.trunk_down(&trunk), all.take_silent()), (0b10, vec![second]));
        assert!(all.take_silent().is_empty());
    }

    #[test]
    fn each_change_of_a_state_is_announced() {
        let (all, board, trunk) = (Destinations::default(), Arc::new(Board::default()), Ref::from("carrier"));
        let first = Subject::Trunk(trunk, 0);
        all.begin(&first, "udp 192.0.2.1:5060".into());
        all.set(&first, State::Up, &board);
        let mut reader = board.watch();
        all.note_error(&first, "503 Service Unavailable".into());
        for state in [State::Down, State::Down, State::Up] {
            all.set(&first, state, &board);
        }
        let mut notices = Vec::new();
        assert_eq!(reader.turn(&mut notices), 0);
        let told: Vec<_> = notices.iter().map(|notice| notice.what.clone()).collect();
        let notice = |before, state, error: &str| {
            What::Destination(Box::new(DestinationNotice {
                is_of_peer: false,
                reference: "carrier".into(),
                target: "udp 192.0.2.1:5060".into(),
                state,
                before,
                error: error.into(),
            }))
        };
        assert_eq!(told, [notice("up", "down", "503 Service Unavailable"), notice("down", "up", "")]);
    }

    #[test]
    fn one_request_at_a_time_waits_for_one_that_is_down() {
        let (all, trunk) = (Destinations::default(), Ref::from("carrier"));
        let first = Subject::Trunk(trunk.clone(), 0);
        all.begin(&first, "udp 192.0.2.1:5060".into());
        all.note_voice(&trunk, 0);
        assert!(all.take_heard().is_empty(), "it was not down");
        all.set(&first, State::Down, &Board::default());
        assert!(all.may_be_tried(&first, 1_000) && !all.may_be_tried(&first, 1_000 + BETWEEN_TRIES - 1));
        assert!(all.may_be_tried(&first, 1_000 + BETWEEN_TRIES));
        all.note_voice(&trunk, 0);
        assert_eq!((all.trunk_down(&trunk), all.take_heard()), (0, vec![first.clone()]));
        all.set(&first, State::Up, &Board::default());
        all.set(&first, State::Down, &Board::default());
        assert!(all.may_be_tried(&first, 1_001 + BETWEEN_TRIES), "it was back meanwhile");
        let peer = Subject::Peer(Ref::from("pbx"), Place::Address);
        all.begin(&peer, "192.0.2.2".into());
        assert!(all.is_missed(&first) && !all.is_missed(&peer));
        all.note_answer(&peer);
        assert!(all.is_missed(&peer));
    }

    #[test]
    fn requests_seldom_wait_for_one_that_answers_options() {
        let (all, trunk) = (Destinations::default(), Ref::from("carrier"));
        let subject = Subject::Trunk(trunk.clone(), 0);
        all.begin(&subject, "udp 192.0.2.1:5060".into());
        all.note_answer(&subject);
        all.set(&subject, State::Down, &Board::default());
        // It may have stopped answering OPTIONS alone.
        assert!(all.may_be_tried(&subject, 0));
        assert!(!all.may_be_tried(&subject, BETWEEN_TRIES_OF_ASKED - 1));
        assert!(all.may_be_tried(&subject, BETWEEN_TRIES_OF_ASKED));
        all.set(&subject, State::Up, &Board::default());
        // The call that found it silent was a try.
        all.note_silence(&trunk, 0, 0);
        assert!(!all.may_be_tried(&subject, BETWEEN_TRIES));
        // It answers calls, and OPTIONS no more: they show nothing.
        all.note_voice(&trunk, 0);
        all.set(&subject, State::Down, &Board::default());
        assert!(all.may_be_tried(&subject, 0) && all.may_be_tried(&subject, BETWEEN_TRIES));
    }
}
