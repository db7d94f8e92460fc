//! The search: experiments in batches, and what fails is tried again and shrunk.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::experiment::Experiment;
use super::finding::{self, Accusation, Finding};
use super::generate::{Wishes, experiment};
use super::laboratory::{Care, Laboratory, Tried};
use super::shrink::simpler;
use crate::results::{CellResult, Summary, Verdict};
use crate::run::{Cleanup, Observer, Retained};

/// How many experiments that look alike are looked at. All that come later are counted with the first.
const LOOKED_AT_MAX: usize = 2;
/// How many simpler experiments are tried side by side for one that fails.
const SIMPLER_AT_ONCE: usize = 16;
/// How many simpler experiments are tried for one that fails.
const TRIES_MAX: usize = 3000;
/// How much longer than its time a search may go on to shrink what it has found.
const TIME_TO_SHRINK: Duration = Duration::from_secs(30);

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
    /// That of the current experiment.
    accusation: Accusation,
    /// The experiment that failed, and what it showed.
    original: (Experiment, CellResult),
    current: Experiment,
    /// What is simpler than the current one, and was not tried yet.
    untried: VecDeque<Experiment>,
    /// How many other experiments were tried for it.
    tries: usize,
}

/// What a result looks like without the numbers of messages: two that look alike have the same cause, mostly.
type Looks = (Verdict, String);

fn looks(cell: &CellResult) -> Looks {
    let reason = cell.reason.as_deref().unwrap_or_default();
    (cell.verdict, reason.chars().filter(|character| !character.is_ascii_digit()).collect())
}

/// Tries experiments until there were enough.
pub async fn search(laboratory: &Laboratory<'_>, request: Request, listener: &dyn Listener) -> Explored {
    let started = Instant::now();
    let search = Search { laboratory, listener, ends: request.time.map(|time| started + time) };
    let mut explored = Explored::default();
    let mut source = Source::new(request);
    let mut known: BTreeMap<Looks, Vec<(Verdict, Option<Accusation>)>> = BTreeMap::new();
    while let Some(batch) = source.next().filter(|_| !search.is_over(Duration::ZERO)) {
        let experiments: Vec<Experiment> = batch.iter().map(|(_, experiment)| experiment.clone()).collect();
        let cells = search.try_all(&experiments, Care::Quick, listener).await;
        let mut suspicious = Vec::new();
        for ((seed, experiment), cell) in batch.into_iter().zip(cells) {
            let Some(cell) = cell else { continue };
            if matches!(cell.verdict, Verdict::Pass | Verdict::Unsupported) {
                explored.count(cell.verdict);
                continue;
            }
            suspicious.push((seed, experiment, cell));
        }
        listener.tried(explored.tried(), explored.findings.len());
        let suspects = search.examined(suspicious, &mut known, &mut explored).await;
        listener.tried(explored.tried(), explored.findings.len());
        search.shrink(suspects, &mut explored).await;
        listener.tried(explored.tried(), explored.findings.len());
    }
    explored.interrupted = laboratory.is_interrupted();
    explored.elapsed = started.elapsed();
    listener.left(&laboratory.cleared().await);
    explored
}

/// What all stages of a search share.
struct Search<'a> {
    laboratory: &'a Laboratory<'a>,
    listener: &'a dyn Listener,
    ends: Option<Instant>,
}

impl Search<'_> {
    /// True if the user wants to end, or the time and so much more is over.
    fn is_over(&self, more: Duration) -> bool {
        self.laboratory.is_interrupted() || self.ends.is_some_and(|ends| Instant::now() >= ends + more)
    }

    async fn try_all(
        &self,
        experiments: &[Experiment],
        care: Care,
        observer: &dyn Observer,
    ) -> Vec<Option<CellResult>> {
        let Tried { cells, cleanup } = self.laboratory.try_all(experiments, care, observer).await;
        // A will that came late is cleared when all is over.
        self.listener.left(&Cleanup { retained: Retained::default(), ..cleanup });
        cells
    }

    /// Tries again, with all care, the first experiments of each look. What fails then is a suspect; what looks like
    /// something known is counted with it.
    async fn examined(
        &self,
        suspicious: Vec<(u32, Experiment, CellResult)>,
        known: &mut BTreeMap<Looks, Vec<(Verdict, Option<Accusation>)>>,
        explored: &mut Explored,
    ) -> Vec<Suspect> {
        let mut counts: BTreeMap<Looks, usize> = known.iter().map(|(looks, all)| (looks.clone(), all.len())).collect();
        let (new, alike): (Vec<_>, Vec<_>) = suspicious.into_iter().partition(|(_, _, cell)| {
            let count = counts.entry(looks(cell)).or_default();
            *count += 1;
            *count <= LOOKED_AT_MAX
        });
        let again: Vec<Experiment> = new.iter().map(|(seed, own, _)| own.named(&copy_name(*seed, 0))).collect();
        let cells = self.try_all(&again, Care::Thorough, &Quiet(self.listener)).await;
        let mut suspects = Vec::new();
        for ((seed, experiment, quick), cell) in new.into_iter().zip(cells) {
            let Some(cell) = cell else { continue };
            let accusation = Accusation::of(&cell).filter(|said| said.verdict == Verdict::Fail);
            known.entry(looks(&quick)).or_default().push((cell.verdict, accusation.clone()));
            explored.count(cell.verdict);
            match accusation {
                Some(accusation) => suspects.push(Suspect::new(seed, accusation, experiment, cell)),
                None if quick.verdict == Verdict::Fail => explored.unrepeated.push((seed, quick)),
                None if cell.verdict == Verdict::Pass => {}
                None => drop(explored.examples.entry(cell.verdict).or_insert((seed, cell))),
            }
        }
        for (seed, _, quick) in alike {
            let Some((verdict, accusation)) = known.get(&looks(&quick)).and_then(|all| all.first()) else { continue };
            explored.count(*verdict);
            let same = |finding: &&mut Finding| Some(&finding.accusation) == accusation.as_ref();
            explored.findings.iter_mut().find(same).into_iter().for_each(|finding| finding.seeds.push(seed));
        }
        suspects
    }

    /// Shrinks suspects side by side, and keeps what is new.
    async fn shrink(&self, mut suspects: Vec<Suspect>, explored: &mut Explored) {
        self.listener.shrinking(suspects.len());
        while !self.is_over(TIME_TO_SHRINK) && suspects.iter().any(|suspect| !suspect.untried.is_empty()) {
            self.shrink_once(&mut suspects).await;
        }
        // What short waits have shown counts only if it is there with long ones.
        let shrunk: Vec<Experiment> =
            suspects.iter().map(|suspect| suspect.current.named(&copy_name(suspect.seed, suspect.tries))).collect();
        let cells = self.try_all(&shrunk, Care::Thorough, &Quiet(self.listener)).await;
        for (suspect, cell) in suspects.into_iter().zip(cells) {
            let Suspect { seed, original, current, .. } = suspect;
            let still =
                cell.filter(|cell| Accusation::of(cell).is_some_and(|said| said.is_part_of(&suspect.accusation)));
            let (experiment, cell) = still.map_or(original, |cell| (current, cell));
            let experiment = experiment.named(&super::name(seed));
            let Some(accusation) = Accusation::of(&cell) else { continue };
            let before = explored.findings.len();
            finding::add(&mut explored.findings, Finding { accusation, experiment, cell, seeds: vec![seed] });
            if let Some(finding) = explored.findings.get(before) {
                self.listener.found(finding);
            }
        }
    }

    /// Replaces each suspect's experiment by the first of the next simpler ones that is still accused of nothing else.
    async fn shrink_once(&self, suspects: &mut [Suspect]) {
        let mut candidates: Vec<(usize, Experiment)> = Vec::new();
        for (place, suspect) in suspects.iter_mut().enumerate() {
            let count = suspect.untried.len().min(SIMPLER_AT_ONCE);
            for experiment in suspect.untried.drain(..count) {
                candidates.push((place, experiment.named(&copy_name(suspect.seed, suspect.tries))));
                suspect.tries += 1;
            }
        }
        let experiments: Vec<Experiment> = candidates.iter().map(|(_, experiment)| experiment.clone()).collect();
        let cells = self.try_all(&experiments, Care::Brief, &Quiet(self.listener)).await;
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
    fn new(seed: u32, accusation: Accusation, experiment: Experiment, cell: CellResult) -> Suspect {
        let untried = simpler(&experiment).into();
        Suspect { seed, accusation, current: experiment.clone(), original: (experiment, cell), untried, tries: 1 }
    }

    fn go_on_from(&mut self, experiment: Experiment, accusation: Accusation) {
        self.accusation = accusation;
        self.untried = if self.tries < TRIES_MAX { simpler(&experiment).into() } else { VecDeque::new() };
        self.current = experiment;
    }
}

/// A name that no experiment had before: ids and topics follow from it.
fn copy_name(seed: u32, number: usize) -> String {
    format!("{}_{number}", super::name(seed))
}

impl Explored {
    /// How many experiments were tried.
    pub fn tried(&self) -> u32 {
        Verdict::WORST_FIRST.into_iter().map(|verdict| self.summary.count(verdict)).sum()
    }

    fn count(&mut self, verdict: Verdict) {
        let count = match verdict {
            Verdict::Pass => &mut self.summary.pass,
            Verdict::Fail => &mut self.summary.fail,
            Verdict::Warn => &mut self.summary.warn,
            Verdict::Inconclusive => &mut self.summary.inconclusive,
            Verdict::Unsupported => &mut self.summary.unsupported,
            Verdict::Error => &mut self.summary.error,
        };
        *count += 1;
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
