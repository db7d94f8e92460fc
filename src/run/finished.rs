//! The cells that are done, one record a cell.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::job::{Attempt, Job};
use crate::history::{Event, History};
use crate::judge::{self, Combined, Judgement};
use crate::plan::Cell;
use crate::results::{AttemptRun, CellResult, CellRun, Verdict};

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
        let attempt = Attempt { began_at: None, names: BTreeMap::new(), history: history.clone(), judgement };
        self.add_attempts(cell, vec![attempt], Duration::ZERO);
    }

    /// A cell that a fault of this program has ended.
    pub fn add_lost(&mut self, cell: &Cell, fault: String) {
        self.add_unplayed(cell, &History::of([Event::Broken(format!("a fault of mqtt-sessions: {fault}"))]));
    }

    pub fn add(&mut self, job: Job) {
        self.add_attempts(&job.cell, job.attempts, job.duration);
    }

    fn add_attempts(&mut self, cell: &Cell, attempts: Vec<Attempt>, duration: Duration) {
        let (attempts, judgements): (Vec<AttemptRun>, Vec<Judgement>) = attempts.into_iter().map(stored).unzip();
        let Combined { result, evidence, attempt } = judge::combine(cell, judgements);
        let mut run = CellRun { duration_ms: duration.as_millis() as u64, attempts, ..CellRun::default() };
        run.rest_on(attempt, evidence);
        if result.verdict == Verdict::Pass && !self.keep_all_histories {
            run.forget_histories();
        }
        self.insert(result, run);
    }

    /// One record a cell: of several repetitions the worst, and of several such the one with most attempts.
    fn insert(&mut self, result: CellResult, run: CellRun) {
        let worse = u32::from(result.verdict != Verdict::Pass);
        match self.cells.get_mut(&result.id) {
            None => {
                self.cells.insert(result.id.clone(), (result, run, Unstable { repetitions: 1, worse }));
            }
            Some((kept, kept_run, unstable)) => {
                unstable.repetitions += 1;
                unstable.worse += worse;
                let longest = kept_run.duration_ms.max(run.duration_ms);
                let more_attempts = run.attempts.len() > kept_run.attempts.len();
                if result.verdict > kept.verdict || result.verdict == kept.verdict && more_attempts {
                    (*kept, *kept_run) = (result, run);
                }
                kept_run.duration_ms = longest;
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

/// An attempt as the results keep it, apart from what was judged about it.
fn stored(attempt: Attempt) -> (AttemptRun, Judgement) {
    (AttemptRun::of(&attempt.history, attempt.names, attempt.began_at), attempt.judgement)
}
