//! Runs experiments side by side against one broker, as every other cell runs.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::watch;

use super::experiment::Experiment;
use crate::plan::{self, Cell, Settings};
use crate::results::CellResult;
use crate::run::{self, Cleanup, Gone, Observer, Probe, Retained, RunOptions, SETTLE_MIN, Target};

/// A broker, and how experiments run on it.
#[derive(Clone)]
pub struct Laboratory<'a> {
    /// The broker with the deadlines of an ordinary run.
    pub target: Target,
    /// One for each protocol version.
    pub probes: &'a [Probe],
    pub options: RunOptions,
    pub interrupted: watch::Receiver<bool>,
}

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
    /// One of several that work side by side until the end: it has its share of the places, and names of its own.
    pub fn lane(&self, number: usize, of: usize, end: watch::Receiver<bool>) -> Laboratory<'a> {
        let prefix = self.options.prefix.lane(number);
        let options = RunOptions { prefix, jobs: self.options.jobs / of, ..self.options.clone() };
        Laboratory { target: self.target.clone(), probes: self.probes, options, interrupted: end }
    }

    /// Runs the experiments, and ends and clears all that they left. Their names differ.
    pub async fn try_all(&self, experiments: &[Experiment], care: Care, observer: &dyn Observer) -> Tried {
        let cells: Vec<Option<Cell>> = experiments.iter().map(cell).collect();
        let ids: Vec<Option<String>> = cells.iter().map(|cell| cell.as_ref().map(|cell| cell.id.clone())).collect();
        let cells = cells.into_iter().flatten().collect();
        let (target, options) = self.with(care);
        let outcome = run::run(&target, cells, self.probes, &options, observer, self.interrupted.clone()).await;
        let mut results: HashMap<String, CellResult> =
            outcome.cells.into_iter().map(|cell| (cell.id.clone(), cell)).collect();
        let cells = ids.into_iter().map(|id| results.remove(&id?)).collect();
        Tried { cells, cleanup: outcome.cleanup, gone: outcome.gone, is_shared: outcome.is_shared }
    }

    fn with(&self, care: Care) -> (Target, RunOptions) {
        let (mut target, mut options) = (self.target.clone(), self.options.clone());
        if care != Care::Thorough {
            target.deadline /= SHORTER;
            options.patience = Duration::ZERO;
        }
        match care {
            Care::Quick => options.attempts_max = 1,
            Care::Brief => options.settle = options.settle.min(SETTLE_MIN.max(options.settle / SHORTER)),
            Care::Thorough => {}
        }
        (target, options)
    }

    /// Clears whatever is still retained under the prefix.
    pub async fn cleared(&self) -> Retained {
        let spoken = self.probes.iter().find(|probe| probe.outcome.is_ok()).map(|probe| probe.protocol);
        match spoken {
            Some(protocol) => run::clear_all_retained(&self.target, &self.options.prefix, protocol).await,
            None => Retained::default(),
        }
    }

    /// True if nothing more is to be begun.
    pub fn is_interrupted(&self) -> bool {
        *self.interrupted.borrow()
    }
}

/// The one cell of an experiment; `None` if clients may not do it.
fn cell(experiment: &Experiment) -> Option<Cell> {
    // Each step says how many messages it publishes.
    let settings = Settings::of(1);
    plan::cells(&experiment.scenario().ok()?, settings).pop()
}
