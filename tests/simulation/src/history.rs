//! Plays histories.

use crate::exchange::{Exchange, Resources, tables};
use crate::world::{Setup, Table, World};

/// What does not change between histories.
pub struct Player {
    setup: Setup,
    tables: Resources,
    /// What happened.
    pub table: Table,
    /// Messages that reached the exchange or left it.
    pub messages: u64,
}

/// A rule was broken.
#[derive(Debug)]
pub struct Failure {
    /// In which history.
    pub seed: u64,
    /// Which rule.
    pub what: String,
    /// What went over the links.
    pub ladder: String,
}

impl Default for Player {
    fn default() -> Player {
        let setup = Setup::usual();
        let tables = tables(&setup);
        Player { setup, tables, table: Table::default(), messages: 0 }
    }
}

impl Player {
    /// Plays one history; what goes wrong is played again for its ladder.
    pub fn play(&mut self, seed: u64) -> Result<(), Failure> {
        let mut exchange = Exchange::new(&self.setup, &self.tables);
        let mut world = World::new(&self.setup, &mut exchange, seed);
        let played = world.play();
        self.messages += world.messages;
        self.table.count(world.seen);
        played.map_err(|what| Failure { seed, what, ladder: self.ladder(seed, false) })
    }

    /// The ladder of a history.
    pub fn ladder(&self, seed: u64, whole: bool) -> String {
        let mut exchange = Exchange::new(&self.setup, &self.tables);
        let mut world = World::new(&self.setup, &mut exchange, seed);
        world.ladder.on = true;
        let played = world.play();
        let end = played.map_or_else(|what| what, |()| "no rule was broken".to_owned());
        format!("{}{end}\n", world.ladder.print(whole))
    }
}
