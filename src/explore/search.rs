//! The search: experiments in batches, and what fails is tried again and shrunk.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::experiment::Experiment;
use super::finding::{self, Accusation, Finding};
use super::generate::{Wishes, experiment};
use super::laboratory::{Laboratory, Tried};
use super::shrink::simpler;
use crate::results::{CellResult, Summary, Verdict};
use crate::run::{Cleanup, Observer};

/// How many experiments with one accusation are shrunk. All that come later are counted with the first.
const SHRUNK_MAX: usize = 2;
/// How many simpler experiments are tried for one that fails.
const TRIES_MAX: usize = 3000;

/// What a search is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// That of the first experiment; those that follow count on from it.
    pub seed: u32,
    /// How many experiments are enough; `None` leaves it to the time.
    pub cases: Option<u32>,
    /// How long is enough; `None` leaves it to the number of experiments.
    pub time: Option<Duration>,
    /// How many experiments run in one batch.
    pub batch: usize,
    pub wishes: Wishes,
}

/// What a search tells while it goes on. It hears of each batch of experiments as an [`Observer`] does.
pub trait Listener: Observer {
    /// So many experiments were tried so far, and so many findings made.
    fn tried(&self, experiments: u32, findings: usize);
    /// So many failing experiments are being shrunk.
    fn shrinking(&self, experiments: usize);
    /// A finding that no other was before.
    fn found(&self, finding: &Finding);
    /// What a batch has left on the broker in spite of the clean-up.
    fn left(&self, cleanup: &Cleanup);
}

/// What a search has found.
#[derive(Debug, Default)]
pub struct Explored {
    pub summary: Summary,
    pub findings: Vec<Finding>,
    /// Failures that did not come again, with the seed.
    pub unrepeated: Vec<(u32, CellResult)>,
    /// The first experiment of each other verdict that is no pass, with its seed.
    pub examples: BTreeMap<Verdict, (u32, CellResult)>,
    pub elapsed: Duration,
    pub interrupted: bool,
}

/// An experiment that failed, on its way to the simplest one that fails in the same way.
struct Suspect {
    seed: u32,
    accusation: Accusation,
    current: Experiment,
    cell: CellResult,
    /// How many other experiments were tried for it.
    tries: usize,
    is_done: bool,
}

/// Tries experiments until there were enough.
pub async fn search(laboratory: &Laboratory<'_>, request: Request, listener: &dyn Listener) -> Explored {
    let started = Instant::now();
    let mut explored = Explored::default();
    let mut source = Source::new(request);
    let mut shrunk: BTreeMap<Accusation, usize> = BTreeMap::new();
    let is_over = || request.time.is_some_and(|time| started.elapsed() >= time) || laboratory.is_interrupted();
    while let Some(batch) = source.next().filter(|_| !is_over()) {
        let experiments: Vec<Experiment> = batch.iter().map(|(_, experiment)| experiment.clone()).collect();
        let Tried { cells, cleanup } = laboratory.try_all(&experiments, listener).await;
        listener.left(&cleanup);
        let mut suspects = Vec::new();
        explored.count(cells.iter().flatten());
        for ((seed, current), cell) in batch.into_iter().zip(cells) {
            let Some(cell) = cell else { continue };
            let Some(accusation) = Accusation::of(&cell).filter(|said| said.verdict == Verdict::Fail) else {
                if cell.verdict != Verdict::Pass {
                    explored.examples.entry(cell.verdict).or_insert((seed, cell));
                }
                continue;
            };
            let known = shrunk.entry(accusation.clone()).or_default();
            *known += 1;
            if *known <= SHRUNK_MAX {
                suspects.push(Suspect { seed, accusation, current, cell, tries: 0, is_done: false });
            } else if let Some(known) = explored.findings.iter_mut().find(|known| known.accusation == accusation) {
                known.seeds.push(seed);
            }
        }
        listener.tried(explored.tried(), explored.findings.len());
        explored.add_shrunk(laboratory, suspects, listener).await;
        listener.tried(explored.tried(), explored.findings.len());
    }
    explored.interrupted = laboratory.is_interrupted();
    explored.elapsed = started.elapsed();
    explored
}

impl Explored {
    /// How many experiments were tried.
    pub fn tried(&self) -> u32 {
        Verdict::WORST_FIRST.into_iter().map(|verdict| self.summary.count(verdict)).sum()
    }

    fn count<'a>(&mut self, cells: impl Iterator<Item = &'a CellResult>) {
        let Summary { pass, fail, warn, inconclusive, unsupported, error } = Summary::of(cells);
        self.summary.pass += pass;
        self.summary.fail += fail;
        self.summary.warn += warn;
        self.summary.inconclusive += inconclusive;
        self.summary.unsupported += unsupported;
        self.summary.error += error;
    }

    /// Tries suspects again, shrinks all that come again side by side, and keeps what is new.
    async fn add_shrunk(&mut self, laboratory: &Laboratory<'_>, suspects: Vec<Suspect>, listener: &dyn Listener) {
        if suspects.is_empty() {
            return;
        }
        listener.shrinking(suspects.len());
        let (mut suspects, unrepeated) = confirmed(laboratory, suspects, listener).await;
        self.unrepeated.extend(unrepeated);
        while suspects.iter().any(|suspect| !suspect.is_done) && !laboratory.is_interrupted() {
            shrink_once(laboratory, &mut suspects, listener).await;
        }
        for Suspect { seed, accusation, current, cell, .. } in suspects {
            let experiment = current.named(&super::name(seed));
            let before = self.findings.len();
            finding::add(&mut self.findings, Finding { accusation, experiment, cell, seeds: vec![seed] });
            if let Some(finding) = self.findings.get(before) {
                listener.found(finding);
            }
        }
    }
}

/// The suspects whose experiment fails in the same way once more, and the seeds of the others. An interruption leaves
/// all of them as they are.
async fn confirmed(
    laboratory: &Laboratory<'_>,
    suspects: Vec<Suspect>,
    listener: &dyn Listener,
) -> (Vec<Suspect>, Vec<(u32, CellResult)>) {
    let again: Vec<Experiment> = suspects.iter().map(|suspect| suspect.current.named(&suspect.next_name(0))).collect();
    let Tried { cells, cleanup } = laboratory.try_all(&again, &Quiet(listener)).await;
    listener.left(&cleanup);
    let mut confirmed = Vec::new();
    let mut unrepeated = Vec::new();
    for (mut suspect, cell) in suspects.into_iter().zip(cells) {
        suspect.tries += 1;
        if cell.is_none_or(|cell| Accusation::of(&cell).as_ref() == Some(&suspect.accusation)) {
            confirmed.push(suspect);
        } else {
            unrepeated.push((suspect.seed, suspect.cell));
        }
    }
    (confirmed, unrepeated)
}

/// Replaces each suspect's experiment by the first simpler one that still fails in the same way.
async fn shrink_once(laboratory: &Laboratory<'_>, suspects: &mut [Suspect], listener: &dyn Listener) {
    let mut candidates: Vec<(usize, Experiment)> = Vec::new();
    for (place, suspect) in suspects.iter().enumerate().filter(|(_, suspect)| !suspect.is_done) {
        let left = TRIES_MAX.saturating_sub(suspect.tries);
        let simpler = simpler(&suspect.current).into_iter().take(left).enumerate();
        candidates.extend(simpler.map(|(number, own)| (place, own.named(&suspect.next_name(number)))));
    }
    let experiments: Vec<Experiment> = candidates.iter().map(|(_, experiment)| experiment.clone()).collect();
    let Tried { cells, cleanup } = laboratory.try_all(&experiments, &Quiet(listener)).await;
    listener.left(&cleanup);
    let tried = |place: usize| candidates.iter().filter(|(own, _)| *own == place).count();
    let mut simpler: Vec<Option<(Experiment, CellResult)>> = suspects.iter().map(|_| None).collect();
    let counts: Vec<usize> = (0..suspects.len()).map(tried).collect();
    for ((place, experiment), cell) in candidates.into_iter().zip(cells) {
        let Some(cell) = cell else { continue };
        if simpler[place].is_none() && Accusation::of(&cell).as_ref() == Some(&suspects[place].accusation) {
            simpler[place] = Some((experiment, cell));
        }
    }
    for ((suspect, simpler), count) in suspects.iter_mut().zip(simpler).zip(counts) {
        suspect.tries += count;
        match simpler {
            Some((experiment, cell)) => (suspect.current, suspect.cell) = (experiment, cell),
            None => suspect.is_done = true,
        }
    }
}

impl Suspect {
    /// A name that no experiment had before: ids and topics follow from it.
    fn next_name(&self, number: usize) -> String {
        format!("{}_{}", super::name(self.seed), self.tries + number)
    }
}

/// The experiments of a search in batches. Those that wait for timers stand in batches of their own, so that the others
/// do not wait with them.
struct Source {
    request: Request,
    /// How many were made.
    made: u32,
    plain: Batch,
    with_timers: Batch,
}

/// Experiments with their seeds.
type Batch = Vec<(u32, Experiment)>;

impl Source {
    fn new(request: Request) -> Source {
        Source { request, made: 0, plain: Batch::new(), with_timers: Batch::new() }
    }

    /// The next batch; `None` when all were tried.
    fn next(&mut self) -> Option<Batch> {
        let size = self.request.batch;
        while self.plain.len() < size
            && self.with_timers.len() < size
            && self.request.cases.is_none_or(|all| self.made < all)
        {
            let seed = self.request.seed.wrapping_add(self.made);
            self.made += 1;
            let experiment = experiment(seed, self.request.wishes);
            let batch = if experiment.has_timers() { &mut self.with_timers } else { &mut self.plain };
            batch.push((seed, experiment));
        }
        let fuller =
            if self.plain.len() < size.min(self.with_timers.len()) { &mut self.with_timers } else { &mut self.plain };
        let batch = std::mem::take(fuller);
        (!batch.is_empty()).then_some(batch)
    }
}

/// Passes on only what the user should know.
struct Quiet<'a>(&'a dyn Listener);

impl Observer for Quiet<'_> {
    fn round(&self, _attempt: u32, _cells: usize) {}
    fn cell(&self) {}
    fn warn(&self, sentence: String) {
        self.0.warn(sentence);
    }
}
