//! The search: experiments in batches, and what fails is tried again and shrunk.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::experiment::Experiment;
use super::finding::{self, Accusation, Finding, Looks};
use super::generate::Wishes;
use super::laboratory::{Care, Laboratory, Tried};
use super::shrink::simpler;
use super::source::{Batch, Source};
use crate::results::{CellResult, Summary, Verdict};
use crate::run::{Cleanup, Gone, Observer, Retained, prefix_is_in_use};

/// How long a batch may take: the search ends only behind one.
const TIME_OF_A_BATCH: Duration = Duration::from_secs(10);
/// How many experiments that look alike are looked at. All that come later are counted with the first.
const LOOKED_AT_MAX: usize = 2;
/// How many simpler experiments are tried side by side for one that fails.
const SIMPLER_AT_ONCE: usize = 64;
/// How many simpler experiments are tried for one that fails.
const TRIES_MAX: usize = 3000;
/// How long suspects are collected before they are shrunk: to shrink one costs as much as to shrink a hundred side by side.
const COLLECTED_FOR: Duration = Duration::from_secs(300);
/// How long what was collected may be shrunk, to which the last look with all care comes.
const TIME_TO_SHRINK: Duration = Duration::from_secs(60);

/// What a search is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// That of the first experiment; those that follow count on from it.
    pub seed: u32,
    /// How many experiments are enough; `None` leaves it to the time.
    pub cases: Option<u32>,
    /// How long is enough; `None` leaves it to the number of experiments.
    pub time: Option<Duration>,
    /// How many experiments run in one batch at most.
    pub batch: usize,
    /// How many experiments run side by side.
    pub side_by_side: usize,
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
    /// The broker is gone, and the search ends.
    fn gone(&self, gone: &Gone);
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
    /// How long experiments were tried.
    pub elapsed: Duration,
    /// How long those that failed were shrunk and confirmed.
    pub shrinking: Duration,
    /// The broker was gone before the search was over.
    pub is_gone: bool,
    pub interrupted: bool,
}

/// An experiment that failed, on its way to the simplest one that fails in the same way.
struct Suspect {
    /// That of the experiment that failed, and those of others that looked alike.
    seeds: Vec<u32>,
    /// That of the experiment that failed.
    failed_as: Accusation,
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

/// An experiment that is no pass at a quick look.
struct Suspicious {
    seed: u32,
    experiment: Experiment,
    quick: CellResult,
}

/// What came of experiments that were tried with all care, by what they looked like. Those that passed are not here.
type Known = BTreeMap<Looks, (Verdict, Option<Accusation>)>;

/// Tries experiments until there were enough.
pub async fn search(laboratory: &Laboratory<'_>, request: Request, listener: &dyn Listener) -> Explored {
    let started = Instant::now();
    let ends = request.time.map(|time| started + time);
    let search = Search { laboratory, listener, ends, is_gone: Cell::new(false) };
    let mut explored = Explored::default();
    let mut source = Source::new(request);
    let mut known = Known::new();
    let mut suspects = Vec::new();
    let mut shrunk_at = started;
    while let Some(batch) = source.next().filter(|_| !search.is_over()) {
        let with_timers = batch.iter().any(|(_, experiment)| experiment.has_timers());
        let (began, size) = (Instant::now(), batch.len());
        let suspicious = search.looked_at(batch, &mut explored).await;
        source.pace(with_timers, size, began.elapsed(), search.time_of_a_batch());
        listener.tried(explored.tried(), explored.findings.len());
        search.examine(suspicious, &mut suspects, &mut known, &mut explored).await;
        listener.tried(explored.tried(), explored.findings.len());
        if shrunk_at.elapsed() >= COLLECTED_FOR {
            search.shrink(std::mem::take(&mut suspects), source.size(), &mut explored).await;
            listener.tried(explored.tried(), explored.findings.len());
            shrunk_at = Instant::now();
        }
    }
    search.shrink(suspects, source.size(), &mut explored).await;
    explored.interrupted = laboratory.is_interrupted();
    explored.is_gone = search.is_gone.get();
    explored.elapsed = started.elapsed() - explored.shrinking;
    if !explored.is_gone {
        listener.left(&laboratory.cleared().await);
    }
    explored
}

/// What all stages of a search share.
struct Search<'a> {
    laboratory: &'a Laboratory<'a>,
    listener: &'a dyn Listener,
    ends: Option<Instant>,
    is_gone: Cell<bool>,
}

impl Search<'_> {
    /// True if the user wants to end, or the broker is gone.
    fn cannot_go_on(&self) -> bool {
        self.laboratory.is_interrupted() || self.is_gone.get()
    }

    /// True if nothing more is to be tried.
    fn is_over(&self) -> bool {
        self.cannot_go_on() || self.ends.is_some_and(|ends| Instant::now() >= ends)
    }

    fn time_of_a_batch(&self) -> Duration {
        let left = self.ends.map(|ends| ends.saturating_duration_since(Instant::now()));
        left.map_or(TIME_OF_A_BATCH, |left| left.min(TIME_OF_A_BATCH))
    }

    async fn try_all(
        &self,
        experiments: &[Experiment],
        care: Care,
        observer: &dyn Observer,
    ) -> Vec<Option<CellResult>> {
        if self.is_gone.get() {
            return experiments.iter().map(|_| None).collect();
        }
        let Tried { cells, cleanup, gone, is_shared } = self.laboratory.try_all(experiments, care, observer).await;
        if let Some(gone) = gone {
            self.listener.gone(&gone);
            self.is_gone.set(true);
        }
        // Nothing that was seen beside another run can be trusted, and nothing that follows.
        if is_shared {
            self.listener.warn(prefix_is_in_use(&self.laboratory.options.prefix));
            self.is_gone.set(true);
        }
        // A will that came late is cleared when all is over.
        self.listener.left(&Cleanup { retained: Retained::default(), ..cleanup });
        cells
    }

    /// Tries a batch quickly, and gives what is no pass.
    async fn looked_at(&self, batch: Batch, explored: &mut Explored) -> Vec<Suspicious> {
        let experiments: Vec<Experiment> = batch.iter().map(|(_, experiment)| experiment.clone()).collect();
        let cells = self.try_all(&experiments, Care::Quick, self.listener).await;
        let mut suspicious = Vec::new();
        for ((seed, experiment), cell) in batch.into_iter().zip(cells) {
            let Some(quick) = cell else { continue };
            if matches!(quick.verdict, Verdict::Pass | Verdict::Unsupported) {
                explored.count(quick.verdict);
            } else {
                suspicious.push(Suspicious { seed, experiment, quick });
            }
        }
        suspicious
    }

    /// Tries again the first experiments of each look, and adds those that fail to the suspects. What looks like something
    /// known is counted with it.
    async fn examine(
        &self,
        suspicious: Vec<Suspicious>,
        suspects: &mut Vec<Suspect>,
        known: &mut Known,
        explored: &mut Explored,
    ) {
        let mut counts: BTreeMap<Looks, usize> = known.keys().map(|looks| (looks.clone(), LOOKED_AT_MAX)).collect();
        let (first, rest): (Vec<_>, Vec<_>) = suspicious.into_iter().partition(|suspicious| {
            let count = counts.entry(Looks::of(&suspicious.quick)).or_default();
            *count += 1;
            *count <= LOOKED_AT_MAX
        });
        suspects.extend(self.tried_again(first, known, explored).await);
        let mut unlike = Vec::new();
        for suspicious in rest {
            let Some((verdict, accusation)) = known.get(&Looks::of(&suspicious.quick)) else {
                unlike.push(suspicious);
                continue;
            };
            explored.count(*verdict);
            match suspects.iter_mut().find(|suspect| Some(&suspect.accusation) == accusation.as_ref()) {
                Some(suspect) => suspect.seeds.push(suspicious.seed),
                None => explored.add_seed(accusation.as_ref(), suspicious.seed),
            }
        }
        suspects.extend(self.tried_again(unlike, known, explored).await);
    }

    async fn tried_again(
        &self,
        suspicious: Vec<Suspicious>,
        known: &mut Known,
        explored: &mut Explored,
    ) -> Vec<Suspect> {
        let again: Vec<Experiment> =
            suspicious.iter().map(|own| own.experiment.named(&copy_name(own.seed, 0))).collect();
        let cells = self.try_all(&again, Care::Brief, &Quiet(self.listener)).await;
        let mut suspects = Vec::new();
        for (Suspicious { seed, experiment, quick }, cell) in suspicious.into_iter().zip(cells) {
            let Some(cell) = cell else { continue };
            explored.count(cell.verdict);
            let accusation = Accusation::of(&cell).filter(|said| said.verdict == Verdict::Fail);
            if cell.verdict != Verdict::Pass {
                known.entry(Looks::of(&quick)).or_insert((cell.verdict, accusation.clone()));
            }
            match accusation {
                Some(accusation) => suspects.push(Suspect::new(seed, accusation, experiment, cell)),
                None if quick.verdict == Verdict::Fail => explored.unrepeated.push((seed, quick)),
                None if cell.verdict == Verdict::Pass => {}
                None => drop(explored.examples.entry(cell.verdict).or_insert((seed, cell))),
            }
        }
        suspects
    }

    /// Shrinks suspects side by side, trying so many simpler experiments at once, and keeps what is new.
    async fn shrink(&self, mut suspects: Vec<Suspect>, at_once: usize, explored: &mut Explored) {
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
        explored.shrinking += started.elapsed();
    }

    /// A failure that short waits have shown counts only if it is there with long ones: the simplest experiment of each suspect, or the one
    /// that failed, with what it shows then; `None` if neither fails again.
    async fn confirmed(&self, suspects: Vec<Suspect>) -> Vec<(Suspect, Option<(Experiment, CellResult)>)> {
        let name = |suspect: &Suspect, copy: usize| copy_name(suspect.seeds[0], suspect.tries + copy);
        let simplest = suspects.iter().map(|suspect| suspect.current.named(&name(suspect, 0)));
        let originals = suspects.iter().map(|suspect| suspect.original.0.named(&name(suspect, 1)));
        let both: Vec<Experiment> = simplest.chain(originals).collect();
        let mut cells = self.try_all(&both, Care::Thorough, &Quiet(self.listener)).await;
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
        let for_each = (at_once / suspects.len()).clamp(1, SIMPLER_AT_ONCE);
        for (place, suspect) in suspects.iter_mut().enumerate() {
            let count = suspect.untried.len().min(for_each);
            for experiment in suspect.untried.drain(..count) {
                candidates.push((place, experiment.named(&copy_name(suspect.seeds[0], suspect.tries))));
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
        Suspect {
            seeds: vec![seed],
            failed_as: accusation.clone(),
            accusation,
            current: experiment.clone(),
            original: (experiment, cell),
            untried,
            tries: 1,
        }
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

    /// Adds the seed of an experiment that looked like a finding before it was shrunk.
    fn add_seed(&mut self, accusation: Option<&Accusation>, seed: u32) {
        let known = self.findings.iter_mut().find(|finding| Some(&finding.failed_as) == accusation);
        known.into_iter().for_each(|finding| finding.seeds.push(seed));
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

/// Passes on only what the user should know.
struct Quiet<'a>(&'a dyn Listener);

impl Observer for Quiet<'_> {
    fn round(&self, _attempt: u32, _cells: usize) {}
    fn cell(&self) {}
    fn warn(&self, sentence: String) {
        self.0.warn(sentence);
    }
}
