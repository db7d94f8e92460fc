//! Cells -> histories: plays every cell against the broker, side by side, and again where the judge asks for it.
//!
//! There is no sleep here: a wait is a fence or has a deadline.

mod client;
mod hygiene;
mod names;
mod player;
mod probe;
mod receive;
mod record;
mod steps;
mod witness;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinError, JoinSet};

pub use hygiene::{Cleanup, Leftovers, SessionLeft, clean, clear_all_retained};
pub use names::{Place, Prefix, client_id, topic};
pub use probe::{Probe, Refusal, RefusalKind, probe};

use crate::connection::Endpoint;
use crate::history::{Event, History};
use crate::judge::{self, Judgement};
use crate::packet::{Connect, Login, Protocol};
use crate::plan::{Action, Cell};
use crate::results::{CellResult, CellRun, Verdict};
use crate::scenario::SESSION_EXPIRY_S;
use client::Client;
use names::Names;
use player::Player;
use record::Record;
use witness::Witness;

/// How many connections stand between SYN and CONNACK at most. Beyond the broker's listen backlog (100 for mosquitto)
/// a SYN is lost and sent again only after a second.
const CONNECTING_MAX: usize = 64;
/// How many cells run side by side in the last attempt at an absence.
const JOBS_OF_LAST_ATTEMPT: usize = 8;
/// By what each further attempt at an absence multiplies the settle window.
const SETTLE_FACTOR: u32 = 4;
/// How often the number of cells side by side is halved when the broker refuses connections.
const HALVINGS_MAX: u32 = 3;

/// The broker, and how long it is waited for.
#[derive(Clone)]
pub struct Target {
    pub endpoint: Endpoint,
    pub login: Option<Login>,
    pub deadline: Duration,
    pub connect_timeout: Duration,
    connecting: Arc<Semaphore>,
}

impl Target {
    pub fn new(endpoint: Endpoint, login: Option<Login>, deadline: Duration, connect_timeout: Duration) -> Target {
        let connecting = Arc::new(Semaphore::new(CONNECTING_MAX));
        Target { endpoint, login, deadline, connect_timeout, connecting }
    }

    /// The CONNECT of a client. In 5.0 a session that shall outlive its connection asks for [`SESSION_EXPIRY_S`].
    fn connect(&self, protocol: Protocol, client_id: String, clean_session: bool, keep_alive: u16) -> Connect {
        let expiry = if clean_session { 0 } else { SESSION_EXPIRY_S };
        Connect {
            protocol,
            clean: clean_session,
            session_expiry: (protocol == Protocol::V5).then_some(expiry),
            keep_alive,
            client_id,
            login: self.login.clone(),
        }
    }
}

/// How a run is done.
#[derive(Debug, Clone)]
pub struct RunOptions {
    pub prefix: Prefix,
    /// How many cells run side by side at most.
    pub jobs: usize,
    pub settle: Duration,
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
pub struct Outcome {
    /// The finished cells, sorted by id.
    pub cells: Vec<CellResult>,
    pub runs: HashMap<String, CellRun>,
    pub cleanup: Cleanup,
    /// The run was interrupted before all cells were finished.
    pub interrupted: bool,
}

/// One cell in one repetition, with the attempts made so far.
struct Job {
    cell: Arc<Cell>,
    repetition: u32,
    attempts: Vec<(History, Judgement)>,
    /// How often ids were used up, counting attempts that the broker's refusal of connections cut short.
    tries: u32,
    duration: Duration,
}

/// Everything that the cells of a run share.
struct Shared {
    target: Target,
    options: RunOptions,
    nonce: String,
    witnesses: HashMap<Protocol, Witness>,
}

/// Runs all cells whose protocol versions the broker answers, and cleans up, also after an interruption.
pub async fn run(
    target: &Target,
    cells: Vec<Cell>,
    probes: &[Probe],
    options: &RunOptions,
    observer: &dyn Observer,
    interrupted: watch::Receiver<bool>,
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
    let shared = Arc::new(Shared {
        witnesses: witnesses(target, &jobs, &versions, &options.prefix, observer).await,
        target: target.clone(),
        options: options.clone(),
        nonce: names::random_word(),
    });
    let mut leftovers = Leftovers::default();
    rounds(&shared, jobs, &mut finished, &mut leftovers, observer, interrupted.clone()).await;
    let cleanup = hygiene::clean(target, &options.prefix, leftovers, &versions).await;
    let (cells, runs) = finished.into_parts();
    Outcome { cells, runs, cleanup, interrupted: *interrupted.borrow() }
}

fn speaks(cell: &Cell, protocol: Protocol) -> bool {
    cell.clients.iter().any(|client| client.protocol == protocol)
}

/// A witness for each protocol version in the plan. Without one the run goes on, and says so.
async fn witnesses(
    target: &Target,
    jobs: &[Job],
    versions: &[Protocol],
    prefix: &Prefix,
    observer: &dyn Observer,
) -> HashMap<Protocol, Witness> {
    let mut witnesses = HashMap::new();
    for protocol in versions.iter().filter(|version| jobs.iter().any(|job| speaks(&job.cell, **version))) {
        match Witness::start(target, *protocol, prefix).await {
            Ok(witness) => {
                witnesses.insert(*protocol, witness);
            }
            Err(why) => observer.warn(format!("no witness for {protocol}, so some absences stay inconclusive: {why}")),
        }
    }
    witnesses
}

/// Plays all jobs, then again those whose findings need another attempt.
async fn rounds(
    shared: &Arc<Shared>,
    mut jobs: Vec<Job>,
    finished: &mut Finished,
    leftovers: &mut Leftovers,
    observer: &dyn Observer,
    mut interrupted: watch::Receiver<bool>,
) {
    let mut side_by_side = shared.options.jobs;
    let mut halvings = 0;
    while !jobs.is_empty() && !*interrupted.borrow() {
        let attempt = jobs.iter().map(|job| job.attempts.len()).max().unwrap_or(0) as u32 + 1;
        let limit = if attempt >= 3 { side_by_side.min(JOBS_OF_LAST_ATTEMPT) } else { side_by_side };
        observer.round(attempt, jobs.len());
        leftovers.note(shared, &jobs);
        let mut refused = Vec::new();
        let mut again = Vec::new();
        let halve = side_by_side > 1 && halvings < HALVINGS_MAX;
        round(shared, jobs, limit, &mut interrupted, |played| match played {
            Err(panic) => observer.warn(format!("a cell was lost: {panic}")),
            Ok(job) => {
                observer.cell();
                match job.next() {
                    Next::Refused if halve => refused.push(job.without_last_attempt()),
                    Next::AnotherAttempt => again.push(job),
                    Next::Refused | Next::Done => finished.add(job),
                }
            }
        })
        .await;
        if !refused.is_empty() {
            halvings += 1;
            side_by_side = (side_by_side.min(refused.len()) / 2).max(1);
            observer.warn(format!(
                "the broker refused connections of {} cells; going on with --jobs {side_by_side}",
                refused.len()
            ));
        }
        jobs = again;
        jobs.extend(refused);
    }
}

/// Plays each job once, `limit` side by side, and hands on those that came to their end.
async fn round(
    shared: &Arc<Shared>,
    jobs: Vec<Job>,
    limit: usize,
    interrupted: &mut watch::Receiver<bool>,
    mut played: impl FnMut(Result<Job, JoinError>),
) {
    let mut waiting = jobs.into_iter();
    let mut playing = JoinSet::new();
    loop {
        while playing.len() < limit {
            let Some(job) = waiting.next() else { break };
            playing.spawn(job.play(shared.clone()));
        }
        tokio::select! {
            // An interruption drops the connections of the cells in progress; their sessions are ended afterwards.
            _ = interrupted.wait_for(|interrupted| *interrupted) => return,
            job = playing.join_next() => match job {
                None => return,
                Some(job) => played(job),
            },
        }
    }
}

/// What comes after an attempt.
enum Next {
    Done,
    AnotherAttempt,
    /// No connection came about: with fewer cells side by side it may.
    Refused,
}

impl Job {
    fn repetitions(cell: Cell, repeat: u32) -> impl Iterator<Item = Job> {
        let cell = Arc::new(cell);
        (1..=repeat).map(move |repetition| Job {
            cell: cell.clone(),
            repetition,
            attempts: Vec::new(),
            tries: 0,
            duration: Duration::ZERO,
        })
    }

    /// Plays the cell once more and judges what happened.
    async fn play(mut self, shared: Arc<Shared>) -> Job {
        let started = Instant::now();
        let attempt = self.attempts.len() as u32 + 1;
        let names = self.names(&shared, self.tries + 1);
        self.tries += 1;
        let publisher = self.cell.steps.iter().find(|step| matches!(step.action, Action::Publish { .. }));
        let protocol = publisher.map_or(self.cell.clients[0].protocol, |step| self.cell.clients[step.client].protocol);
        let player = Player {
            cell: &self.cell,
            target: &shared.target,
            clients: self.cell.clients.iter().cloned().map(Client::new).collect(),
            record: Record::new(self.cell.clients.iter().map(|client| client.name.clone())),
            witness: shared.witnesses.get(&protocol).map(|witness| witness.mailbox(names.tag())),
            names,
            settle: shared.options.settle * SETTLE_FACTOR.pow(attempt - 1),
            attempt,
            loop_backs: 0,
            fences: 0,
            messages: 0,
        };
        let history = player.play().await;
        let judgement = judge::judge(&self.cell, &history);
        self.attempts.push((history, judgement));
        self.duration += started.elapsed();
        self
    }

    fn names(&self, shared: &Shared, attempt: u32) -> Names {
        let place = Place { cell: &self.cell.id, repetition: self.repetition, attempt };
        let clients = self.cell.clients.iter().map(|client| client.name.clone()).collect();
        Names::new(&shared.options.prefix, &shared.nonce, place, clients)
    }

    fn next(&self) -> Next {
        let Some((history, judgement)) = self.attempts.last() else { return Next::Done };
        if history.events.iter().any(|event| matches!(event, Event::Unreachable(_))) {
            Next::Refused
        } else if judgement.attempts_needed() > self.attempts.len() as u32 {
            Next::AnotherAttempt
        } else {
            Next::Done
        }
    }

    fn without_last_attempt(mut self) -> Job {
        self.attempts.pop();
        self
    }
}

impl Leftovers {
    /// Notes what the next attempt at these jobs may leave on the broker.
    fn note(&mut self, shared: &Shared, jobs: &[Job]) {
        for job in jobs {
            let names = job.names(shared, job.tries + 1);
            self.sessions.extend(job.cell.clients.iter().enumerate().map(|(index, client)| SessionLeft {
                client_id: names.client_id(index),
                protocol: client.protocol,
                persists: !client.clean_session,
            }));
            self.retained.extend(job.cell.retained_topics().map(|topic| names.topic(topic)));
        }
    }
}

/// The cells that are done.
struct Finished {
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
    fn new(keep_all_histories: bool) -> Finished {
        Finished { keep_all_histories, cells: HashMap::new() }
    }

    /// A cell that was not played, since the broker refused its protocol version.
    fn add_unplayed(&mut self, cell: &Cell, history: &History) {
        let judgement = judge::judge(cell, history);
        let result = judge::combine(cell, vec![(history.clone(), judgement)], self.keep_all_histories);
        self.insert(result, CellRun { duration_ms: 0, attempts: 1 });
    }

    fn add(&mut self, job: Job) {
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

    fn into_parts(self) -> (Vec<CellResult>, HashMap<String, CellRun>) {
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
