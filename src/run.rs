//! Cells -> histories: plays every cell against the broker, side by side, and again where the judge asks for it.
//!
//! No wait here hopes that something will have happened by then: it is a fence or has a deadline.

mod allowance;
mod by_name;
mod client;
mod endings;
mod finished;
mod gone;
mod hygiene;
mod job;
mod joined;
mod longest;
mod mailbox;
mod names;
mod neighbours;
mod operations;
mod outages;
mod pace;
mod player;
mod points;
mod probe;
mod publish;
mod pulse;
mod pump;
mod ready;
mod receive;
mod record;
mod rights;
mod round;
mod settle;
mod steps;
mod takeover;
mod talk;
mod target;
mod traces;
mod turns;
mod waves;
mod witness;
mod witnesses;

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

pub use client::answer;
pub use gone::Gone;
pub use hygiene::{Cleanup, Leftovers, Retained, SessionLeft, clean, clean_guessed, clear_all_retained};
pub use job::ATTEMPTS_MAX;
pub use joined::until_joined;
pub use longest::Longest;
pub use names::{ClientName, Names, Place, Prefix, client_id, random_word, topic};
pub use neighbours::{Keeper, is_in_use, sentence as prefix_is_in_use};
pub use probe::{Probe, ROOM_PAUSES, Refusal, RefusalKind, connect, probe};
pub use ready::until_ready;
pub use rights::{Forbidden, Rights, look as look_at_rights};
pub use settle::{SETTLE_MIN, Settle};
pub use talk::{Talk, Unanswered};
pub use target::Target;
pub use waves::run;

use crate::history::History;
use crate::packet::Protocol;
use crate::plan::Cell;
use crate::results::{CellResult, CellRun};
use allowance::Common;
use finished::Finished;
use job::Job;
use outages::Outages;
use pace::Pace;
use pulse::Pulse;
use round::{Played, Round};
use witness::Ears;
use witnesses::Witnesses;

/// How often the number of cells side by side is lowered when the broker refuses connections.
const LOWERINGS_MAX: u32 = 4;
/// How often a cell is tried again because the broker ended the connection of the witness meanwhile, or the harness was held up.
const DISTURBANCES_MAX: u32 = 2;
/// How often a cell that plays alone is tried again after a pause.
const PAUSES_MAX: u32 = 2;
/// By what it is divided each time.
const LOWERED_BY: usize = 8;

/// How a run is done.
#[derive(Debug, Clone)]
pub struct RunOptions {
    pub prefix: Prefix,
    /// How many cells run side by side at most.
    pub jobs: usize,
    pub settle: Duration,
    /// How long the last attempt waits for what is missing, to tell late from never.
    pub patience: Duration,
    /// How many attempts are made at a cell at most. A finding that needs more stays unproven.
    pub attempts_max: u32,
    /// How often each cell is run, with ids of its own.
    pub repeat: u32,
    /// Keep the history of cells that pass, too.
    pub keep_all_histories: bool,
}

/// What a run tells while it goes on.
pub trait Observer: Send + Sync {
    /// A round of attempts begins: so many cells, in the n-th attempt.
    fn round(&self, attempt: u32, cells: usize);
    /// A cell has ended for this round.
    fn cell(&self);
    /// Something that the user should know, as a sentence.
    fn warn(&self, sentence: String);
}

/// What a run gives.
#[derive(Default)]
pub struct Outcome {
    /// The finished cells, sorted by id.
    pub cells: Vec<CellResult>,
    pub runs: HashMap<String, CellRun>,
    pub cleanup: Cleanup,
    /// What the broker did to the harness's own connections, one history a connection's client, as far as it is worth to
    /// be judged and belongs to no cell.
    pub helpers: Vec<History>,
    /// The broker was gone before all cells were finished.
    pub gone: Option<Gone>,
    /// Another run with the same prefix was under way, so that nothing here can be trusted.
    pub is_shared: bool,
    /// The run was interrupted before all cells were finished.
    pub interrupted: bool,
}

impl Outcome {
    /// Adds that of further cells.
    fn add(&mut self, further: Outcome) {
        self.cells.extend(further.cells);
        self.runs.extend(further.runs);
        self.cleanup.add(&further.cleanup);
        self.helpers.extend(further.helpers);
        self.gone = self.gone.take().or(further.gone);
        self.is_shared |= further.is_shared;
        self.interrupted |= further.interrupted;
    }
}

/// Everything that the cells of a run share.
struct Shared {
    target: Target,
    options: RunOptions,
    nonce: String,
    /// A protocol version that the broker answers.
    protocol: Protocol,
    witnesses: Witnesses,
    outages: Outages,
    pulse: Arc<Pulse>,
    common: Arc<Common>,
    pace: Pace,
    /// What the cells have left so far.
    leftovers: Mutex<Leftovers>,
    began: Instant,
}

/// Runs cells to which the same happens, and cleans up, also after an interruption.
async fn run_side_by_side(
    target: &Target,
    cells: Vec<Cell>,
    probes: &[Probe],
    options: &RunOptions,
    observer: &dyn Observer,
    mut interrupted: watch::Receiver<bool>,
) -> Outcome {
    let versions: Vec<Protocol> =
        probes.iter().filter(|probe| probe.outcome.is_ok()).map(|probe| probe.protocol).collect();
    let mut finished = Finished::new(options.keep_all_histories);
    let mut jobs = Vec::new();
    for cell in cells {
        let refused = probes.iter().find(|probe| probe.outcome.is_err() && speaks(&cell, probe.protocol));
        match refused {
            Some(probe) => finished.add_unplayed(&cell, &probe.history),
            None => jobs.extend(Job::repetitions(cell, options.repeat)),
        }
    }
    let pulse = Arc::new(Pulse::new());
    let (warnings, mut warned) = mpsc::unbounded_channel();
    let (neighbour, nonce) = (Arc::new(Notify::new()), names::random_word());
    let ears = Ears {
        pulse: pulse.clone(),
        warnings,
        neighbour: neighbour.clone(),
        nonce: nonce.clone(),
        is_told: Arc::default(),
    };
    let heard = versions.iter().copied().filter(|version| jobs.iter().any(|job| speaks(&job.cell, *version)));
    let witnesses = Witnesses::new(heard.collect(), ears);
    witnesses.start(target, options).await;
    let shared = Arc::new(Shared {
        witnesses,
        outages: Outages::default(),
        target: target.clone(),
        options: options.clone(),
        nonce,
        protocol: versions.first().copied().unwrap_or(Protocol::V3),
        pulse: pulse.clone(),
        common: Arc::default(),
        pace: Pace::default(),
        leftovers: Mutex::default(),
        began: Instant::now(),
    });
    let playing = rounds(&shared, jobs, &mut finished, observer, interrupted.clone());
    let (gone, is_shared) = tokio::select! {
        gone = playing => (gone, false),
        () = neighbour.notified() => (None, true),
        () = pulse.beat_on() => (None, false),
        () = tell(&mut warned, observer) => (None, false),
    };
    let is_interrupted = *interrupted.borrow();
    while let Ok(sentence) = warned.try_recv() {
        observer.warn(sentence);
    }
    let leftovers = mem::take(&mut *traces::lock(&shared.leftovers));
    shared.witnesses.leave().await;
    let helpers = shared.witnesses.helpers(gone.is_some() || is_shared, &mut interrupted).await;
    if let Err(error) = shared.outages.restore(target, options).await {
        observer.warn(error.to_string());
    }
    // What comes in the clean-up cuts nothing short.
    drop(interrupted);
    let cleanup = match gone {
        Some(_) => Cleanup::of_gone(&leftovers),
        None => hygiene::clean(target, &options.prefix, leftovers, &versions).await,
    };
    let (cells, runs) = finished.into_parts();
    Outcome { cells, runs, cleanup, helpers, gone, is_shared, interrupted: is_interrupted }
}

/// Hands the witnesses' warnings to the observer, without end.
async fn tell(warned: &mut mpsc::UnboundedReceiver<String>, observer: &dyn Observer) {
    while let Some(sentence) = warned.recv().await {
        observer.warn(sentence);
    }
    std::future::pending().await
}

fn speaks(cell: &Cell, protocol: Protocol) -> bool {
    cell.clients.iter().any(|client| client.protocol == protocol)
}

/// Plays all jobs, then again those whose findings need another attempt, unless the broker is gone.
async fn rounds(
    shared: &Arc<Shared>,
    mut jobs: Vec<Job>,
    finished: &mut Finished,
    observer: &dyn Observer,
    mut interrupted: watch::Receiver<bool>,
) -> Option<Gone> {
    let mut side_by_side = shared.options.jobs;
    let mut lowerings = 0;
    while !jobs.is_empty() && !*interrupted.borrow() {
        let attempt = jobs.iter().map(Job::made).max().unwrap_or(0) + 1;
        observer.round(attempt, jobs.len());
        let at_once = side_by_side.min(jobs.len());
        let mut refused = Vec::new();
        let mut again = Vec::new();
        let mut disturbed = Vec::new();
        let mut paused = Vec::new();
        let may_be_lowered = side_by_side > 1 && lowerings < LOWERINGS_MAX;
        let played = |played| match played {
            Played::Lost(cell, fault) => finished.add_lost(&cell, fault),
            Played::Whole(job) => {
                observer.cell();
                let was_refused = job.was_refused(lowerings > 0);
                if !was_refused {
                    shared.pace.let_in();
                }
                // Whoever asks for one attempt has it as it is.
                let may_be_played_again = shared.options.attempts_max > 1 && job.disturbances < DISTURBANCES_MAX;
                if job.was_disturbed() && may_be_played_again {
                    disturbed.push(job.after_disturbance());
                } else if may_be_lowered && was_refused {
                    // With fewer cells side by side the connection may come about.
                    refused.push(job.without_last_attempt());
                } else if side_by_side == 1 && was_refused && job.pauses < PAUSES_MAX && shared.pace.refused() {
                    paused.push(job.after_pause());
                } else if job.made() < shared.options.attempts_max && job.needs_another_attempt() {
                    again.push(job);
                } else {
                    finished.add(job);
                }
            }
        };
        let gone = Round::new(shared).play(jobs, side_by_side, &mut interrupted, played).await;
        if gone.is_some() {
            return gone;
        }
        if !refused.is_empty() {
            side_by_side = (at_once / LOWERED_BY).max(1);
            // One warning is enough, however often it is lowered.
            if lowerings == 0 {
                observer.warn(format!(
                    "the broker refused connections of {} cells, or left them waiting; going on as with --jobs \
                     {side_by_side}, or fewer",
                    refused.len()
                ));
            }
            lowerings += 1;
        }
        jobs = again;
        jobs.extend(refused);
        jobs.extend(disturbed);
        jobs.extend(paused);
    }
    None
}
