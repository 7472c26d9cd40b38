//! Plays histories.

use crate::exchange::{Exchange, Resources, tables};
use crate::world::{Less, Setup, Table, World};

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
    /// Plays one history; what goes wrong is played again with less, for its ladder.
    pub fn play(&mut self, seed: u64) -> Result<(), Failure> {
        let mut exchange = Exchange::new(&self.setup, &self.tables);
        let mut world = World::new(&self.setup, &mut exchange, seed, Less::default());
        let played = world.play();
        self.messages += world.messages;
        self.table.count(world.seen);
        played.map_err(|what| Failure { seed, what, ladder: self.ladder(seed, self.shrink(seed), false) })
    }

    /// What can be left out of a history so that a rule is broken still.
    pub fn shrink(&self, seed: u64) -> Less {
        let breaks = |less: Less| {
            let mut exchange = Exchange::new(&self.setup, &self.tables);
            World::new(&self.setup, &mut exchange, seed, less).play().is_err()
        };
        let mut less = Less::default();
        let links = std::iter::once(Less { acts: 0, links: true });
        let acts = (0..16).map(|act| Less { acts: 1 << act, links: false });
        for more in links.chain(acts) {
            let both = Less { acts: less.acts | more.acts, links: less.links | more.links };
            if breaks(both) {
                less = both;
            }
        }
        less
    }

    /// The ladder of a history, or of what is left of it.
    pub fn ladder(&self, seed: u64, less: Less, whole: bool) -> String {
        let mut exchange = Exchange::new(&self.setup, &self.tables);
        let mut world = World::new(&self.setup, &mut exchange, seed, less);
        world.ladder.on = true;
        let played = world.play();
        let end = played.map_or_else(|what| what, |()| "no rule was broken".to_owned());
        let left_out = match (less.acts, less.links) {
            (0, false) => String::new(),
            (acts, links) => {
                format!("without acts {acts:#b}{}\n", if links { " and with good links" } else { "" })
            }
        };
        format!("{left_out}{}{end}\n", world.ladder.print(whole))
    }
}
