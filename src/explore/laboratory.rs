//! Runs experiments side by side against one broker, as every other cell runs.

use std::collections::HashMap;

use tokio::sync::watch;

use super::experiment::Experiment;
use crate::plan::{self, Cell, Settings};
use crate::results::CellResult;
use crate::run::{self, Cleanup, Observer, Probe, RunOptions, Target};

/// A broker, and how experiments run on it.
pub struct Laboratory<'a> {
    pub target: &'a Target,
    /// One for each protocol version.
    pub probes: &'a [Probe],
    pub options: RunOptions,
    pub interrupted: watch::Receiver<bool>,
}

/// What experiments showed.
pub struct Tried {
    /// In the order of the experiments; `None` for one that an interruption cut short.
    pub cells: Vec<Option<CellResult>>,
    pub cleanup: Cleanup,
}

impl Laboratory<'_> {
    /// Runs the experiments, and ends and clears all that they left. Their names differ.
    pub async fn try_all(&self, experiments: &[Experiment], observer: &dyn Observer) -> Tried {
        let cells: Vec<Option<Cell>> = experiments.iter().map(cell).collect();
        let ids: Vec<Option<String>> = cells.iter().map(|cell| cell.as_ref().map(|cell| cell.id.clone())).collect();
        let cells = cells.into_iter().flatten().collect();
        let outcome =
            run::run(self.target, cells, self.probes, &self.options, observer, self.interrupted.clone()).await;
        let mut results: HashMap<String, CellResult> =
            outcome.cells.into_iter().map(|cell| (cell.id.clone(), cell)).collect();
        let cells = ids.into_iter().map(|id| results.remove(&id?)).collect();
        Tried { cells, cleanup: outcome.cleanup }
    }

    /// True if the user wants to end.
    pub fn is_interrupted(&self) -> bool {
        *self.interrupted.borrow()
    }
}

/// The one cell of an experiment; `None` if clients may not do it.
pub fn cell(experiment: &Experiment) -> Option<Cell> {
    // Each step says how many messages it publishes.
    let settings = Settings { messages: 1, queue_limit: None };
    plan::cells(&experiment.scenario().ok()?, settings).pop()
}
