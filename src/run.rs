//! Cells -> histories: plays every cell against the broker, side by side, and again where the judge asks for it.
//!
//! There is no sleep here: a wait is a fence or has a deadline.

mod client;
mod endings;
mod finished;
mod hygiene;
mod job;
mod names;
mod player;
mod points;
mod probe;
mod receive;
mod record;
mod steps;
mod takeover;
mod witness;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::{self, JoinSet};

pub use hygiene::{Cleanup, Leftovers, Retained, SessionLeft, clean, clean_guessed, clear_all_retained};
pub use names::{Place, Prefix, client_id, topic};
pub use probe::{Probe, Refusal, RefusalKind, probe};

use crate::connection::Endpoint;
use crate::packet::{Connect, Login, Protocol};
use crate::plan::Cell;
use crate::results::{CellResult, CellRun};
use crate::session_rules::LONG_EXPIRY_S;
use finished::Finished;
use job::{Job, Next};
use witness::Witness;

/// How many connections stand between SYN and CONNACK at most. Beyond the broker's listen backlog (100 for mosquitto)
/// a SYN is lost and sent again only after a second.
const CONNECTING_MAX: usize = 64;
/// How many cells run side by side in the last attempt at an absence.
const JOBS_OF_LAST_ATTEMPT: usize = 8;
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

    /// The CONNECT of a client. In 5.0 a session that shall outlive its connection asks for [`LONG_EXPIRY_S`].
    fn connect(&self, protocol: Protocol, client_id: String, clean_session: bool, keep_alive: u16) -> Connect {
        let expiry = if clean_session { 0 } else { LONG_EXPIRY_S };
        Connect {
            clean: clean_session,
            session_expiry: (protocol == Protocol::V5).then_some(expiry),
            keep_alive,
            login: self.login.clone(),
            ..Connect::new(protocol, client_id)
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
pub struct Outcome {
    /// The finished cells, sorted by id.
    pub cells: Vec<CellResult>,
    pub runs: HashMap<String, CellRun>,
    pub cleanup: Cleanup,
    /// The run was interrupted before all cells were finished.
    pub interrupted: bool,
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
    for witness in shared.witnesses.values() {
        witness.leave().await;
    }
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
            Played::Lost(cell, fault) => finished.add_lost(&cell, fault),
            Played::Whole(job) => {
                observer.cell();
                match job.next() {
                    Next::Refused if halve => refused.push(job.without_last_attempt()),
                    Next::AnotherAttempt if attempt < shared.options.attempts_max => again.push(job),
                    Next::AnotherAttempt | Next::Refused | Next::Done => finished.add(job),
                }
            }
        })
        .await;
        if !refused.is_empty() {
            halvings += 1;
            side_by_side = (side_by_side.min(refused.len()) / 2).max(1);
            observer.warn(format!(
                "the broker refused connections of {} cells, or left them waiting; going on with --jobs {side_by_side}",
                refused.len()
            ));
        }
        jobs = again;
        jobs.extend(refused);
    }
}

/// How a job came back.
enum Played {
    Whole(Job),
    /// The task of the cell ended by a fault of this program.
    Lost(Arc<Cell>, String),
}

/// Plays each job once, `limit` side by side, and hands on those that came to their end.
async fn round(
    shared: &Arc<Shared>,
    jobs: Vec<Job>,
    limit: usize,
    interrupted: &mut watch::Receiver<bool>,
    mut played: impl FnMut(Played),
) {
    let mut waiting = jobs.into_iter();
    let mut playing = JoinSet::new();
    let mut cells: HashMap<task::Id, Arc<Cell>> = HashMap::new();
    loop {
        while playing.len() < limit {
            let Some(job) = waiting.next() else { break };
            let cell = job.cell.clone();
            cells.insert(playing.spawn(job.play(shared.clone())).id(), cell);
        }
        tokio::select! {
            biased;
            // An interruption drops the connections of the cells in progress; their sessions are ended afterwards.
            _ = interrupted.wait_for(|interrupted| *interrupted) => return,
            job = playing.join_next_with_id() => match job {
                None => return,
                Some(Ok((id, job))) => {
                    cells.remove(&id);
                    played(Played::Whole(job));
                }
                Some(Err(fault)) => {
                    if let Some(cell) = cells.remove(&fault.id()) {
                        played(Played::Lost(cell, fault.to_string()));
                    }
                }
            },
        }
    }
}

impl Leftovers {
    /// Notes what the next attempt at these jobs may leave on the broker.
    fn note(&mut self, shared: &Shared, jobs: &[Job]) {
        for job in jobs {
            let names = job.names(shared, job.tries + 1);
            let persistent: Vec<usize> = job.cell.persistent_clients().collect();
            let own = job.cell.clients.iter().enumerate().filter(|(index, client)| client.client_id == Some(*index));
            self.sessions.extend(own.map(|(index, client)| SessionLeft {
                client_id: names.client_id(index),
                protocol: client.protocol,
                // Whoever uses the identifier may have made the session.
                persists: persistent.iter().any(|other| job.cell.clients[*other].client_id == Some(index)),
            }));
            self.retained.extend(job.cell.retained_topics().map(|topic| names.topic(topic)));
        }
    }
}
