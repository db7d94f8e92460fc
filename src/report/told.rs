//! What files and annotations are made from, and which of it counts as a failure.

use crate::compare::{Comparison, Kind};
use crate::report::Teaching;
use crate::results::{CellResult, Level, Results};

/// A run, and what it is held against.
#[derive(Clone, Copy)]
pub struct Told<'a> {
    pub results: &'a Results,
    pub teachings: &'a [Teaching],
    /// The changes against a baseline, if there is one: then only what got worse fails.
    pub comparison: Option<&'a Comparison>,
}

impl Told<'_> {
    /// There is a baseline, and against it the cell got neither worse nor unclear.
    pub(super) fn is_known(&self, cell: &CellResult) -> bool {
        let counts = |comparison: &Comparison| {
            let change = comparison.changes.iter().find(|change| change.id == cell.id);
            change.is_some_and(|change| matches!(change.kind, Kind::Worse | Kind::Unclear | Kind::New))
        };
        self.comparison.is_some_and(|comparison| !counts(comparison))
    }

    /// The broker breaks something beside the cells that fails the run.
    pub(super) fn breaks_beside(&self) -> bool {
        match self.comparison {
            Some(comparison) => !comparison.new_of_broker.is_empty(),
            None => self.results.broker_findings.violations.iter().any(|violation| violation.level == Level::Must),
        }
    }
}
