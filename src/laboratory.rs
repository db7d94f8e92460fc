//! A broker on which cells run again and again: where a search plays the cells that it plans from the results of those before.

use tokio::sync::watch;

use crate::plan::Cell;
use crate::run::{self, Observer, Outcome, Probe, Retained, RunOptions, Target};

/// A broker, and how cells run on it.
#[derive(Clone)]
pub struct Laboratory<'a> {
    /// The broker with the deadlines of an ordinary run.
    pub target: Target,
    /// One for each protocol version.
    pub probes: &'a [Probe],
    pub options: RunOptions,
    pub interrupted: watch::Receiver<bool>,
}

impl<'a> Laboratory<'a> {
    /// One of several that work side by side until the end: it has its share of the places, and names of its own.
    pub fn lane(&self, number: usize, of: usize, end: watch::Receiver<bool>) -> Laboratory<'a> {
        let prefix = self.options.prefix.lane(number);
        let options = RunOptions { prefix, jobs: self.options.jobs / of, ..self.options.clone() };
        Laboratory { target: self.target.clone(), probes: self.probes, options, interrupted: end }
    }

    /// Runs cells, and ends and clears all that they left.
    pub async fn run(&self, cells: Vec<Cell>, observer: &dyn Observer) -> Outcome {
        run::run(&self.target, cells, self.probes, &self.options, observer, self.interrupted.clone()).await
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
