//! The cells that are done, one record a cell.

use std::collections::HashMap;

use super::job::Job;
use crate::history::{Event, History};
use crate::judge;
use crate::plan::Cell;
use crate::results::{CellResult, CellRun, Verdict};

/// The cells that are done.
pub struct Finished {
    keep_all_histories: bool,
    cells: HashMap<String, (CellResult, CellRun, Unstable)>,
}

/// How many repetitions of a cell had another verdict than pass.
#[derive(Debug, Default, Clone, Copy)]
struct Unstable {
    repetitions: u32,
    worse: u32,
}

impl Finished {
    pub fn new(keep_all_histories: bool) -> Finished {
        Finished { keep_all_histories, cells: HashMap::new() }
    }

    /// A cell that was not played, since the broker refused its protocol version.
    pub fn add_unplayed(&mut self, cell: &Cell, history: &History) {
        let judgement = judge::judge(cell, history);
        let result = judge::combine(cell, vec![(history.clone(), judgement)], self.keep_all_histories);
        self.insert(result, CellRun { duration_ms: 0, attempts: 1 });
    }

    /// A cell that a fault of this program has ended.
    pub fn add_lost(&mut self, cell: &Cell, fault: String) {
        self.add_unplayed(cell, &History::of([Event::Broken(format!("a fault of mqtt-sessions: {fault}"))]));
    }

    pub fn add(&mut self, job: Job) {
        let run = CellRun { duration_ms: job.duration.as_millis() as u64, attempts: job.attempts.len() as u32 };
        let result = judge::combine(&job.cell, job.attempts, self.keep_all_histories);
        self.insert(result, run);
    }

    /// One record a cell: of several repetitions the worst.
    fn insert(&mut self, result: CellResult, run: CellRun) {
        let worse = u32::from(result.verdict != Verdict::Pass);
        match self.cells.get_mut(&result.id) {
            None => {
                self.cells.insert(result.id.clone(), (result, run, Unstable { repetitions: 1, worse }));
            }
            Some((kept, kept_run, unstable)) => {
                unstable.repetitions += 1;
                unstable.worse += worse;
                kept_run.attempts = kept_run.attempts.max(run.attempts);
                kept_run.duration_ms = kept_run.duration_ms.max(run.duration_ms);
                if result.verdict > kept.verdict {
                    *kept = result;
                }
            }
        }
    }

    pub fn into_parts(self) -> (Vec<CellResult>, HashMap<String, CellRun>) {
        let mut cells = Vec::new();
        let mut runs = HashMap::new();
        for (id, (mut cell, run, unstable)) in self.cells {
            if unstable.worse > 0 && unstable.worse < unstable.repetitions {
                let reason = cell.reason.take().unwrap_or_default();
                let Unstable { repetitions, worse } = unstable;
                cell.reason = Some(format!("unstable, in {worse} of {repetitions} repetitions: {reason}"));
            }
            cells.push(cell);
            runs.insert(id, run);
        }
        cells.sort_by(|one, other| one.id.cmp(&other.id));
        (cells, runs)
    }
}
