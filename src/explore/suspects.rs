//! Experiments that failed, on their way to the simplest ones that fail in the same way.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::care::Care;
use super::experiment::Experiment;
use super::finding::{self, Accusation, Finding};
use super::search::{Explored, Quiet, Search, copy_name};
use super::shrink::simpler;
use crate::results::{CellResult, Verdict};

/// How many simpler experiments are tried at once at least, however slow the broker is.
const AT_ONCE_MIN: usize = 256;
/// How many simpler experiments are tried side by side for one that fails.
const SIMPLER_AT_ONCE: usize = 64;
/// How many simpler experiments are tried for one that fails.
const TRIES_MAX: usize = 3000;
/// How long what was collected may be shrunk, to which the last look with all care comes.
const TIME_TO_SHRINK: Duration = Duration::from_secs(60);

/// An experiment that failed, on its way to the simplest one that fails in the same way.
pub(super) struct Suspect {
    /// That of the experiment that failed, and those of others that looked alike.
    pub(super) seeds: Vec<u32>,
    /// That of the experiment that failed.
    failed_as: Accusation,
    /// That of the current experiment.
    pub(super) accusation: Accusation,
    /// The experiment that failed, and what it showed.
    original: (Experiment, CellResult),
    current: Experiment,
    /// What is simpler than the current one, and was not tried yet.
    untried: VecDeque<Experiment>,
    /// How many other experiments were tried for it.
    tries: usize,
}

impl Search<'_> {
    /// Shrinks suspects side by side, trying so many simpler experiments at once, and keeps what is new.
    pub(super) async fn shrink(&self, mut suspects: Vec<Suspect>, at_once: usize, explored: &mut Explored) {
        if suspects.is_empty() {
            return;
        }
        self.listener.shrinking(suspects.len());
        let started = Instant::now();
        while !self.cannot_go_on()
            && started.elapsed() < TIME_TO_SHRINK
            && suspects.iter().any(|suspect| !suspect.untried.is_empty())
        {
            self.shrink_once(&mut suspects, at_once).await;
        }
        for (suspect, shown) in self.confirmed(suspects).await {
            let Suspect { seeds, original, failed_as, .. } = suspect;
            let Some((experiment, cell)) = shown else {
                explored.unrepeated.push((seeds[0], original.1));
                continue;
            };
            let experiment = experiment.named(&super::name(seeds[0]));
            let Some(accusation) = Accusation::of(&cell) else { continue };
            let before = explored.findings.len();
            finding::add(&mut explored.findings, Finding { accusation, failed_as, experiment, cell, seeds });
            if let Some(finding) = explored.findings.get(before) {
                self.listener.found(finding);
            }
        }
    }

    /// A failure that short waits have shown counts only if it is there with long ones: the simplest experiment of each suspect, or the one
    /// that failed, with what it shows then; `None` if neither fails again.
    async fn confirmed(&self, suspects: Vec<Suspect>) -> Vec<(Suspect, Option<(Experiment, CellResult)>)> {
        let name = |suspect: &Suspect, copy: usize| copy_name(suspect.seeds[0], suspect.tries + copy);
        let simplest = suspects.iter().map(|suspect| suspect.current.named(&name(suspect, 0)));
        let originals = suspects.iter().map(|suspect| suspect.original.0.named(&name(suspect, 1)));
        let both: Vec<Experiment> = simplest.chain(originals).collect();
        let mut cells = self.try_all(self.laboratory, &both, Care::Thorough, &Quiet(self.listener)).await;
        let originals = cells.split_off(suspects.len());
        let shown =
            suspects.into_iter().zip(cells.into_iter().zip(originals)).map(|(suspect, (simplest, original))| {
                let is_part = |cell: &CellResult, of: &Accusation| {
                    Accusation::of(cell).is_some_and(|said| said.verdict == Verdict::Fail && said.is_part_of(of))
                };
                let simplest = simplest.filter(|cell| is_part(cell, &suspect.accusation));
                let original = original.filter(|cell| is_part(cell, &suspect.failed_as));
                let simplest = simplest.map(|cell| (suspect.current.clone(), cell));
                let shown = simplest.or_else(|| original.map(|cell| (suspect.original.0.clone(), cell)));
                (suspect, shown)
            });
        shown.collect()
    }

    /// Replaces each suspect's experiment by the first of the next simpler ones that is still accused of nothing else.
    async fn shrink_once(&self, suspects: &mut [Suspect], at_once: usize) {
        let mut candidates: Vec<(usize, Experiment)> = Vec::new();
        let most = self.laboratory.options.jobs.max(AT_ONCE_MIN);
        let for_each = (at_once.clamp(AT_ONCE_MIN, most) / suspects.len()).clamp(1, SIMPLER_AT_ONCE);
        for (place, suspect) in suspects.iter_mut().enumerate() {
            let count = suspect.untried.len().min(for_each);
            for experiment in suspect.untried.drain(..count) {
                candidates.push((place, experiment.named(&copy_name(suspect.seeds[0], suspect.tries))));
                suspect.tries += 1;
            }
        }
        let experiments: Vec<Experiment> = candidates.iter().map(|(_, experiment)| experiment.clone()).collect();
        let cells = self.try_all(self.laboratory, &experiments, Care::Brief, &Quiet(self.listener)).await;
        let mut is_simpler = vec![false; suspects.len()];
        for ((place, experiment), cell) in candidates.into_iter().zip(cells) {
            let suspect = &mut suspects[place];
            let said = cell.and_then(|cell| Accusation::of(&cell));
            if let Some(said) = said.filter(|said| !is_simpler[place] && said.is_part_of(&suspect.accusation)) {
                is_simpler[place] = true;
                suspect.go_on_from(experiment, said);
            }
        }
    }
}

impl Suspect {
    /// An experiment that failed when it was tried so many times again.
    pub(super) fn new(
        seed: u32,
        accusation: Accusation,
        experiment: Experiment,
        cell: CellResult,
        tries: usize,
    ) -> Suspect {
        let untried = simpler(&experiment).into();
        Suspect {
            seeds: vec![seed],
            failed_as: accusation.clone(),
            accusation,
            current: experiment.clone(),
            original: (experiment, cell),
            untried,
            tries,
        }
    }

    fn go_on_from(&mut self, experiment: Experiment, accusation: Accusation) {
        self.accusation = accusation;
        self.untried = if self.tries < TRIES_MAX { simpler(&experiment).into() } else { VecDeque::new() };
        self.current = experiment;
    }
}
