//! Which AORs have bindings on a connection, so that its end need not search a million records.

use hashbrown::{HashMap, HashSet};
use parking_lot::Mutex;

const SHARDS: usize = 32;

type State = foldhash::fast::RandomState;

/// Where a record stands: shard number and 32-bit hash in one.
pub(crate) type Place = u64;

enum Places {
    One(Place),
    Many(HashSet<Place, State>),
}

/// Stream connections only; an entry lives until its connection is lost.
pub(crate) struct Connections {
    shards: Box<[Mutex<HashMap<u64, Places, State>>]>,
}

impl Connections {
    pub fn new() -> Connections {
        Connections { shards: (0..SHARDS).map(|_| Mutex::new(HashMap::default())).collect() }
    }

    fn shard(&self, connection: u64) -> &Mutex<HashMap<u64, Places, State>> {
        &self.shards[(connection ^ connection >> 48) as usize % SHARDS]
    }

    pub fn add(&self, connection: u64, place: Place) {
        let mut shard = self.shard(connection).lock();
        match shard.get_mut(&connection) {
            None => {
                shard.insert(connection, Places::One(place));
            }
            Some(Places::One(had)) if *had == place => {}
            Some(places @ Places::One(_)) => {
                let mut many: HashSet<Place, State> = HashSet::default();
                if let Places::One(had) = places {
                    many.insert(*had);
                }
                many.insert(place);
                *places = Places::Many(many);
            }
            Some(Places::Many(many)) => {
                many.insert(place);
            }
        }
    }

    /// Forgets the connection and gives its places.
    pub fn take(&self, connection: u64) -> Vec<Place> {
        match self.shard(connection).lock().remove(&connection) {
            None => Vec::new(),
            Some(Places::One(place)) => vec![place],
            Some(Places::Many(many)) => many.into_iter().collect(),
        }
    }
}
