//! All sessions of a storm, and what its phases share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::experiment::{PUBLISHER, SUBSCRIBER, id};
use super::figures::Figures;
use super::publish::Publisher;
use super::record::{Session, ticks};
use super::{Listener, Request};
use crate::connection::Connection;
use crate::interruption::unless_interrupted;
use crate::packet::{Connect, Protocol};
use crate::plan::Role;
use crate::run::{self, Cleanup, ClientName, Leftovers, Names, Place, Prefix, SessionLeft, Target, random_word};

/// How many connections are under way at once.
pub const UNDER_WAY_MAX: usize = 64;
/// How many different refusals are told apart.
const KINDS_MAX: usize = 16;
/// How many times as long as parking and return the clean-up may take.
const PARKING_TIMES: u32 = 4;
/// How often the user hears how far it is.
pub const TELLING: Duration = Duration::from_millis(100);

/// What the tasks of a storm share.
pub struct Common {
    pub target: Target,
    pub prefix: Prefix,
    pub nonce: String,
    pub request: Request,
    /// How long the sessions are away at the longest, as far as that was asked for, in seconds.
    away_s: u32,
    /// The zero of all times in records.
    pub began: Instant,
    /// Permits for connections that are under way.
    pub under_way: Arc<Semaphore>,
    pub counts: Counts,
    /// Who is back, by the place of the session.
    pub arrived: Vec<AtomicBool>,
    /// True when the tasks are to come to an end.
    pub over: watch::Sender<bool>,
}

/// What was counted so far.
#[derive(Debug, Default)]
pub struct Counts {
    pub parked: AtomicU64,
    pub answered: AtomicU64,
    pub returned: AtomicU64,
    pub messages: AtomicU64,
    /// PUBRELs that came.
    pub released: AtomicU64,
    pub drained: AtomicU64,
    /// Connections that the broker refused, or that did not come about.
    pub refused: AtomicU64,
    /// Those that were tried again.
    pub retried: AtomicU64,
    /// Connections that broke before their session was done.
    pub broken: AtomicU64,
    /// While sessions were parked nobody listened, or connections of some that had been let in broke.
    pub gone_while_parking: AtomicU64,
}

impl Counts {
    /// How much has moved in all.
    pub fn moved(&self) -> u64 {
        [&self.parked, &self.answered, &self.returned, &self.messages, &self.released, &self.drained]
            .into_iter()
            .map(|count| count.load(Relaxed))
            .sum()
    }
}

/// Why a storm was cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutShort {
    /// A signal came.
    Interrupted,
    /// Nobody was let in any more.
    Gone,
    /// Another run uses the same prefix, and takes this one's sessions and messages.
    Shared,
}

/// All sessions, and the connections that are open.
pub struct Fleet<'s> {
    pub common: Arc<Common>,
    pub request: &'s Request,
    pub listener: &'s dyn Listener,
    interrupted: watch::Receiver<bool>,
    pub sessions: Vec<Session>,
    pub publishers: Vec<Publisher>,
    /// The connections of those who are back, by the place of the session.
    pub back: Vec<(usize, Connection)>,
    /// How many of the sessions were begun, so that there may be something left of them.
    pub begun: usize,
    pub figures: Figures,
    /// What the broker refused, each once, with how often.
    pub refusals: Refusals,
}

/// Sentences about refusals, with how often each was met.
#[derive(Debug, Default)]
pub struct Refusals(Vec<(String, u64)>);

impl Refusals {
    pub fn add(&mut self, how: &str) {
        if let Some((_, count)) = self.0.iter_mut().find(|(known, _)| known == how) {
            *count += 1;
        } else if self.0.len() < KINDS_MAX {
            self.0.push((how.to_owned(), 1));
        }
    }

    /// The one that was met most often.
    pub fn usual(&self) -> Option<&str> {
        self.0.iter().max_by_key(|(_, count)| *count).map(|(how, _)| how.as_str())
    }
}

impl Common {
    /// The names of a session.
    pub fn names(&self, number: u32) -> Names {
        let clients = [SUBSCRIBER, PUBLISHER].into_iter().enumerate();
        let clients =
            clients.map(|(place, name)| ClientName { name: name.into(), client_id: Some(place), id_bytes: 0 });
        let place = Place { cell: &id(number), repetition: 1, attempt: 1 };
        Names::new(&self.prefix, &self.nonce, place, clients.collect())
    }

    /// The CONNECT of a session, which is to be kept for longer than it is away. Its Keep Alive is off: a storm may have its clients
    /// wait for as long as it takes.
    pub fn connect(&self, names: &Names) -> Connect {
        let connect = self.target.connect_as(Role::Main, self.request.protocol, names.client_id(0), false, 0);
        let session_expiry = connect.session_expiry.map(|seconds| seconds.saturating_add(self.away_s));
        Connect { session_expiry, ..connect }
    }

    /// The time as records have it.
    pub fn now(&self) -> u32 {
        ticks(self.began.elapsed())
    }

    /// True when a task is to come to an end.
    pub fn is_over(&self) -> bool {
        *self.over.borrow()
    }
}

impl<'s> Fleet<'s> {
    pub fn new(
        target: &Target,
        prefix: &Prefix,
        request: &'s Request,
        listener: &'s dyn Listener,
        interrupted: watch::Receiver<bool>,
    ) -> Fleet<'s> {
        let common = Common {
            target: target.clone(),
            prefix: prefix.clone(),
            nonce: random_word(),
            request: request.clone(),
            away_s: away_s(request),
            began: Instant::now(),
            under_way: Arc::new(Semaphore::new(UNDER_WAY_MAX)),
            counts: Counts::default(),
            arrived: request.sessions.iter().map(|_| AtomicBool::new(false)).collect(),
            over: watch::Sender::new(false),
        };
        let session = |number: &u32| Session { number: *number, ..Session::default() };
        Fleet {
            common: Arc::new(common),
            request,
            listener,
            interrupted,
            sessions: request.sessions.iter().map(session).collect(),
            publishers: Vec::new(),
            back: Vec::new(),
            begun: 0,
            figures: Figures::default(),
            refusals: Refusals::default(),
        }
    }

    pub fn is_interrupted(&self) -> bool {
        *self.interrupted.borrow()
    }

    /// What this gives, unless a signal comes.
    ///
    /// # Errors
    /// A signal came.
    pub async fn unless_interrupted<T>(&self, work: impl Future<Output = T>) -> Result<T, CutShort> {
        unless_interrupted(&self.interrupted, work).await.ok_or(CutShort::Interrupted)
    }

    /// Ends every session that was begun. Those who are back end theirs with their connection, where the protocol lets them.
    pub async fn clean(&mut self, versions: &[Protocol]) -> Cleanup {
        let began = Instant::now();
        let ends_with_connection = self.request.protocol == Protocol::V5;
        // A broker that is slow to make sessions is as slow to end them, and does so twice where it is asked whether they are gone.
        let time = PARKING_TIMES * (self.figures.parking + self.figures.returning);
        let mut leftovers = Leftovers { time, ..Leftovers::default() };
        for session in &self.sessions[..self.begun] {
            leftovers.add(SessionLeft {
                client_id: self.common.names(session.number).client_id(0),
                protocol: self.request.protocol,
                role: Role::Main,
                persists: true,
                existed: session.parked.is_some(),
            });
        }
        let back = std::mem::take(&mut self.back);
        let mut ended = 0;
        for (place, _) in back.iter().filter(|_| ends_with_connection) {
            let id = self.common.names(self.sessions[*place].number).client_id(0);
            leftovers.sessions.entry(id).and_modify(|session| session.persists = false);
            ended += 1;
        }
        let publishers = self.publishers.drain(..).filter_map(Publisher::into_connection);
        leave(back.into_iter().map(|(_, connection)| connection).chain(publishers)).await;
        let mut cleanup = run::clean(&self.common.target, &self.common.prefix, leftovers, versions).await;
        cleanup.sessions_ended += ended;
        self.figures.cleaning = began.elapsed();
        cleanup
    }
}

/// How long the sessions of a storm that begins now are to be away, in seconds.
fn away_s(request: &Request) -> u32 {
    let until = request.start_at.and_then(|start_at| start_at.duration_since(SystemTime::now()).ok());
    let away = request.away.max(until.unwrap_or_default());
    u32::try_from(away.as_secs()).unwrap_or(u32::MAX)
}

/// Ends connections in good order, and with them the sessions of 5.0, several at a time.
async fn leave(connections: impl Iterator<Item = Connection>) {
    let mut leaving = JoinSet::new();
    for connection in connections {
        if leaving.len() >= UNDER_WAY_MAX {
            leaving.join_next().await;
        }
        leaving.spawn(connection.leave_for_good());
    }
    while leaving.join_next().await.is_some() {}
}
