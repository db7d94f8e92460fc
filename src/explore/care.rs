//! Runs experiments side by side in a laboratory, with as much patience as they are worth.

use std::collections::HashMap;
use std::time::Duration;

use super::experiment::Experiment;
use crate::laboratory::Laboratory;
use crate::plan::{self, Cell, Settings};
use crate::results::CellResult;
use crate::run::{Cleanup, Gone, Observer, SETTLE_MIN};

/// How much time an experiment gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Care {
    /// One attempt with short deadlines: enough to see that nothing is wrong, and a suspicion where something may be.
    Quick,
    /// All attempts, with short waits: enough to compare an experiment with a simpler one.
    Brief,
    /// As in an ordinary run: enough to accuse a broker.
    Thorough,
}

/// By what the waits of a quick or brief experiment are shorter.
const SHORTER: u32 = 4;

/// The results of experiments.
pub struct Tried {
    /// In the order of the experiments; `None` for one that was cut short.
    pub cells: Vec<Option<CellResult>>,
    pub cleanup: Cleanup,
    /// The broker was gone before all were done.
    pub gone: Option<Gone>,
    /// Another run with the same prefix was under way.
    pub is_shared: bool,
}

impl<'a> Laboratory<'a> {
    /// Runs the experiments, and ends and clears all that they left. Their names differ.
    pub async fn try_all(&self, experiments: &[Experiment], care: Care, observer: &dyn Observer) -> Tried {
        let cells: Vec<Option<Cell>> = experiments.iter().map(cell).collect();
        let ids: Vec<Option<String>> = cells.iter().map(|cell| cell.as_ref().map(|cell| cell.id.clone())).collect();
        let outcome = self.with(care).run(cells.into_iter().flatten().collect(), observer).await;
        let mut results: HashMap<String, CellResult> =
            outcome.cells.into_iter().map(|cell| (cell.id.clone(), cell)).collect();
        let cells = ids.into_iter().map(|id| results.remove(&id?)).collect();
        Tried { cells, cleanup: outcome.cleanup, gone: outcome.gone, is_shared: outcome.is_shared }
    }

    /// The same broker, with so much time for an experiment.
    fn with(&self, care: Care) -> Laboratory<'a> {
        let mut laboratory = self.clone();
        let Laboratory { target, options, .. } = &mut laboratory;
        if care != Care::Thorough {
            target.deadline /= SHORTER;
            options.patience = Duration::ZERO;
        }
        match care {
            Care::Quick => options.attempts_max = 1,
            Care::Brief => options.settle = options.settle.min(SETTLE_MIN.max(options.settle / SHORTER)),
            Care::Thorough => {}
        }
        laboratory
    }
}

/// The one cell of an experiment; `None` if clients may not do it.
fn cell(experiment: &Experiment) -> Option<Cell> {
    // Each step says how many messages it publishes.
    let settings = Settings::of(1);
    plan::cells(&experiment.scenario().ok()?, settings).pop()
}
