//! The cells of a run, in waves: a step of the broker's concerns all cells that are under way, so that those with the same such steps
//! run together.

use std::borrow::Borrow;

use tokio::sync::watch;

use super::{Observer, Outcome, Probe, RunOptions, Target, run_side_by_side};
use crate::plan::{Cell, Operation};

/// Runs all cells whose protocol versions the broker answers, and cleans up, also after an interruption.
pub async fn run(
    target: &Target,
    cells: Vec<Cell>,
    probes: &[Probe],
    options: &RunOptions,
    observer: &dyn Observer,
    interrupted: watch::Receiver<bool>,
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut waves = waves(cells, options.jobs);
    let last = waves.pop().unwrap_or_default();
    // Whoever holds it wants to hear of an interruption, which the clean-up at the end does not.
    let each = waves.into_iter().map(|wave| (wave, interrupted.clone())).collect::<Vec<_>>();
    for (wave, interrupted) in each.into_iter().chain([(last, interrupted)]) {
        let further = run_side_by_side(target, wave, probes, options, observer, interrupted).await;
        outcome.add(further);
        if outcome.gone.is_some() || outcome.is_shared || outcome.interrupted {
            break;
        }
    }
    let seen = probes.iter().filter(|probe| probe.is_remarkable).map(|probe| probe.history.clone());
    outcome.helpers.splice(0..0, seen);
    outcome.cells.sort_by(|one, other| one.id.cmp(&other.id));
    outcome
}

/// First the cells without a step of the broker's, however many; then those with the same ones, as many as may run side by side.
pub fn waves<C: Borrow<Cell>>(cells: Vec<C>, jobs: usize) -> Vec<Vec<C>> {
    let mut kinds: Vec<(Vec<Operation>, Vec<C>)> = vec![(Vec::new(), Vec::new())];
    for cell in cells {
        let operations: Vec<Operation> = cell.borrow().operations().collect();
        match kinds.iter_mut().find(|(kind, _)| *kind == operations) {
            Some((_, alike)) => alike.push(cell),
            None => kinds.push((operations, vec![cell])),
        }
    }
    let is_alone = kinds.len() == 1;
    let undisturbed = kinds.remove(0).1;
    let mut waves = Vec::new();
    if is_alone || !undisturbed.is_empty() {
        waves.push(undisturbed);
    }
    for (_, alike) in kinds {
        let mut rest = alike.into_iter().peekable();
        while rest.peek().is_some() {
            waves.push(rest.by_ref().take(jobs.max(1)).collect());
        }
    }
    waves
}
