//! What files and annotations are made from, and which of it counts as a failure.

use crate::compare::{Comparison, Kind};
use crate::expectations::Assessment;
use crate::report::Teaching;
use crate::results::{CellResult, Results};

/// A run, and what it is held against.
#[derive(Clone, Copy)]
pub struct Told<'a> {
    pub results: &'a Results,
    pub teachings: &'a [Teaching],
    /// What is known to fail: it fails nothing.
    pub known: &'a Assessment,
    /// The changes against a baseline, if there is one: then only what got worse fails.
    pub comparison: Option<&'a Comparison>,
}

impl Told<'_> {
    /// Nobody has to be told of the cell: what it breaks is known, or stands in the baseline.
    pub(super) fn is_known(&self, cell: &CellResult) -> bool {
        self.known.is_known(&cell.id) || self.is_as_before(cell)
    }

    /// There is a baseline, and against it the cell got neither worse nor unclear.
    pub(super) fn is_as_before(&self, cell: &CellResult) -> bool {
        let counts = |comparison: &Comparison| {
            let change = comparison.changes.iter().find(|change| change.id == cell.id);
            change.is_some_and(|change| matches!(change.kind, Kind::Worse | Kind::Unclear | Kind::New))
        };
        self.comparison.is_some_and(|comparison| !counts(comparison))
    }

    /// How many of these cells fail as they do in the baseline, as half a sentence; nothing where none does.
    pub(super) fn as_before<'a>(&self, cells: impl Iterator<Item = &'a CellResult> + Clone) -> Option<String> {
        let all = cells.clone().count();
        match cells.filter(|cell| self.is_as_before(cell)).count() {
            0 => None,
            count if count == all => Some("as in the baseline".into()),
            count => Some(format!("{count} of them as in the baseline")),
        }
    }

    /// The broker breaks something beside the cells that fails the run.
    pub(super) fn breaks_beside(&self) -> bool {
        match self.comparison {
            Some(comparison) => !comparison.new_of_broker.is_empty(),
            None => self.known.fails_beside_the_cells(self.results),
        }
    }
}
