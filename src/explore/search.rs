//! The search: batches of experiments on several lanes side by side, and second looks at what is no pass. What fails then is
//! shrunk in `suspects.rs`.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::pending;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::{Mutex, Notify, watch};
use tokio::time::sleep;

use super::care::{Care, Tried};
use super::experiment::Experiment;
use super::finding::{Accusation, Finding, Looks};
use super::generate::Wishes;
use super::source::{BUSY_MAX, Batch, Source};
use super::suspects::Suspect;
use crate::laboratory::Laboratory;
use crate::partition::Partition;
use crate::results::{CellResult, Summary, Verdict};
use crate::run::{Cleanup, Gone, Observer, Retained, prefix_is_in_use};

/// How many lanes there are at most: while one waits for the slowest experiments of its batch, the others go on.
const LANES: usize = 8;
/// How many experiments that look alike are looked at. All that come later are counted with the first.
const LOOKED_AT_MAX: usize = 2;
/// How often the second look at an experiment is repeated that was cut short, or for which the harness was late.
const VAIN_MAX: usize = 3;
/// How long suspects are collected before they are shrunk: to shrink one costs as much as to shrink a hundred side by side.
const COLLECTED_FOR: Duration = Duration::from_secs(300);
/// How long the simpler experiments that are tried at once may take.
const TIME_OF_A_ROUND: Duration = Duration::from_secs(5);

/// What a search is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// That of the first experiment; those that follow count on from it.
    pub seed: u32,
    /// How many experiments are enough; `None` leaves it to the time.
    pub cases: Option<u32>,
    /// How long is enough; `None` leaves it to the number of experiments.
    pub time: Option<Duration>,
    pub wishes: Wishes,
    /// The part of the search that is made here; `None` for all of it.
    pub partition: Option<Partition>,
}

/// What a search tells while it goes on. It hears of each batch of experiments as an [`Observer`] does.
pub trait Listener: Observer {
    /// So many findings were made so far.
    fn findings(&self, findings: usize);
    /// So many failing experiments are being shrunk.
    fn shrinking(&self, experiments: usize);
    /// A finding that no other was before.
    fn found(&self, finding: &Finding);
    /// What the search has left on the broker in spite of the clean-up.
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

/// An experiment that is no pass at a quick look.
struct Suspicious {
    seed: u32,
    experiment: Experiment,
    quick: CellResult,
    /// How often it was tried again in vain: it was cut short, or the harness was late.
    tries: usize,
}

/// What came of experiments that were tried with all care, by what they looked like. Those that passed are not here.
type Known = BTreeMap<Looks, (Verdict, Option<Accusation>)>;

/// What comes of the second looks. One lane at a time takes them.
#[derive(Default)]
struct Examined {
    explored: Explored,
    known: Known,
    suspects: Vec<Suspect>,
}

/// Tries experiments until there were enough, and shrinks what fails after each stretch of time.
pub async fn search(laboratory: &Laboratory<'_>, request: Request, listener: &dyn Listener) -> Explored {
    let ends = request.time.map(|time| Instant::now() + time);
    let lanes = LANES.min(laboratory.options.jobs);
    let search = Search {
        laboratory,
        listener,
        lanes,
        source: RefCell::new(Source::new(request, laboratory.options.jobs / lanes)),
        suspicious: RefCell::default(),
        summary: RefCell::default(),
        cleanup: RefCell::default(),
        is_gone: Cell::new(false),
        is_shared: Notify::new(),
    };
    let examined = Mutex::new(Examined::default());
    let left = || ends.map_or(COLLECTED_FOR, |ends| ends.saturating_duration_since(Instant::now()));
    loop {
        let (began, before) = (Instant::now(), search.tried());
        search.look_for(left().min(COLLECTED_FOR), &examined).await;
        let took = began.elapsed();
        let speed = f64::from(search.tried() - before) / took.as_secs_f64();
        let mut examined = examined.lock().await;
        while !search.suspicious.borrow().is_empty() && !search.cannot_go_on() {
            search.examine(laboratory, &mut examined).await;
        }
        let at_once = (speed * TIME_OF_A_ROUND.as_secs_f64()) as usize;
        let Examined { suspects, explored, .. } = &mut *examined;
        search.shrink(std::mem::take(suspects), at_once, explored).await;
        explored.elapsed += took;
        explored.shrinking += began.elapsed() - took;
        if search.cannot_go_on() || left().is_zero() || search.source.borrow().is_empty() {
            break;
        }
    }
    let mut cleanup = search.cleanup.take();
    if !search.is_gone.get() {
        // A will that came late is cleared when all is over.
        cleanup.retained = laboratory.cleared().await;
    }
    listener.left(&cleanup);
    Explored {
        summary: search.summary.take(),
        interrupted: laboratory.is_interrupted(),
        is_gone: search.is_gone.get(),
        ..examined.into_inner().explored
    }
}

/// What all lanes and stages of a search share.
pub(super) struct Search<'a> {
    /// Has all places; the lanes share them.
    pub(super) laboratory: &'a Laboratory<'a>,
    pub(super) listener: &'a dyn Listener,
    lanes: usize,
    source: RefCell<Source>,
    /// What waits for a second look.
    suspicious: RefCell<Vec<Suspicious>>,
    summary: RefCell<Summary>,
    /// What is left on the broker so far.
    cleanup: RefCell<Cleanup>,
    is_gone: Cell<bool>,
    /// Told when another run with the same prefix is there.
    is_shared: Notify,
}

impl Search<'_> {
    /// True if the user wants to end, or the broker is gone.
    pub(super) fn cannot_go_on(&self) -> bool {
        self.laboratory.is_interrupted() || self.is_gone.get()
    }

    /// How many experiments were tried.
    fn tried(&self) -> u32 {
        self.summary.borrow().all()
    }

    /// Looks at experiments on all lanes for so long. What is under way at the end is cut short.
    async fn look_for(&self, time: Duration, examined: &Mutex<Examined>) {
        let end = watch::Sender::new(false);
        let lane = |number| self.laboratory.lane(number, self.lanes, end.subscribe());
        let lanes: Vec<Laboratory<'_>> = (0..self.lanes).map(lane).collect();
        let mut interrupted = self.laboratory.interrupted.clone();
        let ending = async {
            tokio::select! {
                () = sleep(time) => {}
                () = self.is_shared.notified() => {}
                _ = interrupted.wait_for(|interrupted| *interrupted) => {}
            }
            end.send_replace(true);
            // The lanes end in good order.
            pending().await
        };
        tokio::select! {
            _ = join_all(lanes.iter().map(|lane| self.look_on(lane, examined))) => {}
            () = ending => {}
        }
    }

    /// Looks at batches on one lane. Whichever lane comes first tries again what all of them have found.
    async fn look_on(&self, lane: &Laboratory<'_>, examined: &Mutex<Examined>) {
        while !lane.is_interrupted() && !self.is_gone.get() {
            let Some(batch) = self.source.borrow_mut().next() else { break };
            self.look(lane, batch).await;
            if let Ok(mut examined) = examined.try_lock() {
                self.examine(lane, &mut examined).await;
            }
        }
    }

    /// Tries a batch quickly, and keeps what is no pass.
    async fn look(&self, lane: &Laboratory<'_>, batch: Batch) {
        let experiments: Vec<Experiment> = batch.iter().map(|(_, experiment)| experiment.clone()).collect();
        let mut lane = lane.clone();
        if !experiments.iter().any(Experiment::has_timers) {
            lane.options.jobs = lane.options.jobs.min(BUSY_MAX);
        }
        let cells = self.try_all(&lane, &experiments, Care::Quick, self.listener).await;
        let mut cut_short = Batch::new();
        for ((seed, experiment), cell) in batch.into_iter().zip(cells) {
            match cell {
                None => cut_short.push((seed, experiment)),
                Some(quick) if matches!(quick.verdict, Verdict::Pass | Verdict::Unsupported) => {
                    self.count(quick.verdict);
                }
                Some(quick) => self.suspicious.borrow_mut().push(Suspicious { seed, experiment, quick, tries: 0 }),
            }
        }
        if lane.is_interrupted() {
            self.source.borrow_mut().give_back(cut_short);
        }
    }

    /// Tries again the first experiments of each look, and adds those that fail to the suspects. What looks like something
    /// known is counted with it.
    async fn examine(&self, lane: &Laboratory<'_>, examined: &mut Examined) {
        if lane.is_interrupted() {
            return;
        }
        let known = examined.known.keys();
        let mut counts: BTreeMap<Looks, usize> = known.map(|looks| (looks.clone(), LOOKED_AT_MAX)).collect();
        let (first, rest): (Vec<_>, Vec<_>) = self.suspicious.take().into_iter().partition(|suspicious| {
            let count = counts.entry(Looks::of(&suspicious.quick)).or_default();
            *count += 1;
            *count <= LOOKED_AT_MAX
        });
        self.try_again(lane, first, examined).await;
        let mut unlike = Vec::new();
        for suspicious in rest {
            let Some((verdict, accusation)) = examined.known.get(&Looks::of(&suspicious.quick)) else {
                unlike.push(suspicious);
                continue;
            };
            self.count(*verdict);
            match examined.suspects.iter_mut().find(|suspect| Some(&suspect.accusation) == accusation.as_ref()) {
                Some(suspect) => suspect.seeds.push(suspicious.seed),
                None => examined.explored.add_seed(accusation.as_ref(), suspicious.seed),
            }
        }
        self.try_again(lane, unlike, examined).await;
        self.listener.findings(examined.explored.findings.len());
    }

    async fn try_again(&self, lane: &Laboratory<'_>, suspicious: Vec<Suspicious>, examined: &mut Examined) {
        let again: Vec<Experiment> =
            suspicious.iter().map(|own| own.experiment.named(&copy_name(own.seed, own.tries))).collect();
        let cells = self.try_all(lane, &again, Care::Brief, &Quiet(self.listener)).await;
        let Examined { explored, known, suspects } = examined;
        for (own, cell) in suspicious.into_iter().zip(cells) {
            let is_in_vain = cell.as_ref().is_none_or(|cell| cell.verdict == Verdict::Error);
            if is_in_vain && own.tries < VAIN_MAX {
                self.suspicious.borrow_mut().push(Suspicious { tries: own.tries + 1, ..own });
                continue;
            }
            let Some(cell) = cell else { continue };
            let Suspicious { seed, experiment, quick, tries } = own;
            self.count(cell.verdict);
            let accusation = Accusation::of(&cell).filter(|said| said.verdict == Verdict::Fail);
            // An error says nothing about the broker.
            if !matches!(cell.verdict, Verdict::Pass | Verdict::Error) {
                known.entry(Looks::of(&quick)).or_insert((cell.verdict, accusation.clone()));
            }
            match accusation {
                Some(accusation) => suspects.push(Suspect::new(seed, accusation, experiment, cell, tries + 1)),
                None if quick.verdict == Verdict::Fail => explored.unrepeated.push((seed, quick)),
                None if cell.verdict == Verdict::Pass => {}
                None => drop(explored.examples.entry(cell.verdict).or_insert((seed, cell))),
            }
        }
    }

    /// Tries experiments, unless the broker is gone.
    pub(super) async fn try_all(
        &self,
        lane: &Laboratory<'_>,
        experiments: &[Experiment],
        care: Care,
        observer: &dyn Observer,
    ) -> Vec<Option<CellResult>> {
        if self.is_gone.get() {
            return experiments.iter().map(|_| None).collect();
        }
        let Tried { cells, cleanup, gone, is_shared } = lane.try_all(experiments, care, observer).await;
        if let Some(gone) = gone
            && !self.is_gone.replace(true)
        {
            self.listener.gone(&gone);
        }
        // Nothing that was seen beside another run can be trusted, and nothing that follows.
        if is_shared && !self.is_gone.replace(true) {
            self.listener.warn(prefix_is_in_use(&self.laboratory.options.prefix));
            self.is_shared.notify_one();
        }
        self.cleanup.borrow_mut().add(&Cleanup { retained: Retained::default(), ..cleanup });
        cells
    }

    fn count(&self, verdict: Verdict) {
        self.summary.borrow_mut().add(verdict);
    }
}

/// A name that no experiment had before: ids and topics follow from it.
pub(super) fn copy_name(seed: u32, number: usize) -> String {
    format!("{}_{number}", super::name(seed))
}

impl Explored {
    /// Adds the seed of an experiment that looked like a finding before it was shrunk.
    fn add_seed(&mut self, accusation: Option<&Accusation>, seed: u32) {
        let known = self.findings.iter_mut().find(|finding| Some(&finding.failed_as) == accusation);
        known.into_iter().for_each(|finding| finding.seeds.push(seed));
    }
}

/// Passes on only what the user should know.
pub(super) struct Quiet<'a>(pub(super) &'a dyn Listener);

impl Observer for Quiet<'_> {
    fn round(&self, _attempt: u32, _cells: usize) {}
    fn cell(&self) {}
    fn warn(&self, sentence: String) {
        self.0.warn(sentence);
    }
}
