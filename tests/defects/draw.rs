//! Which cells a run of these tests tries: those in which lies are known to show, and of the others a draw, or each one.

use std::collections::BTreeSet;
use std::env;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use mqtt_sessions::packet::Protocol;
use mqtt_sessions::plan::Cell;
use mqtt_sessions::statement::statements;
use test_broker::Defect;
use test_broker::cases::seed;

/// A draw of cells, another one for each lie and each choice.
pub struct Draw {
    /// `None` where every cell is asked for.
    seed: Option<u32>,
}

impl Draw {
    /// Every cell where `EVERY_CELL` or `BLESS` is set, and else a draw that `RANDOM_SEED` repeats. The seed is printed.
    pub fn new() -> Draw {
        let is_every = ["EVERY_CELL", "BLESS"].iter().any(|name| env::var_os(name).is_some());
        let seed = (!is_every).then(seed);
        seed.iter().for_each(|seed| println!("RANDOM_SEED={seed}"));
        Draw { seed }
    }

    /// True if nothing is left out.
    pub fn is_every_cell(&self) -> bool {
        self.seed.is_none()
    }

    /// True if a cell is tried: one in so many is.
    pub fn has(&self, who: &str, cell: &Cell, one_in: u64) -> bool {
        let drawn = BuildHasherDefault::<DefaultHasher>::new();
        self.seed.is_none_or(|seed| drawn.hash_one((seed, who, &cell.id)) % one_in == 0)
    }
}

/// The cells in which a lie is known to show, by each statement that it breaks.
pub struct Known {
    cells: BTreeSet<&'static str>,
    /// True if a statement is broken by it only in the scenarios of these tests.
    is_hidden: bool,
}

impl Known {
    pub fn of(defect: Defect) -> Known {
        let all = Protocol::ALL.into_iter().flat_map(statements);
        let lies = || all.clone().flat_map(|statement| statement.lies()).filter(|lie| lie.name == defect.name());
        Known { cells: lies().flat_map(|lie| lie.cells).collect(), is_hidden: lies().any(|lie| lie.cells.is_empty()) }
    }

    pub fn has(&self, cell: &Cell, is_own: bool) -> bool {
        self.cells.contains(cell.id.as_str()) || self.is_hidden && is_own
    }
}
