//! The day on which everybody comes back: many sessions are parked, get a backlog, return at once, and each message is accounted for.
//!
//! ```text
//! park -> publish -> away -> return -> fences for what is missing -> ledger -> judge, for the sessions that deviate
//! ```
//!
//! Every session is the same small experiment, whose steps stand in [`experiment`]. What came on each of its connections is kept in
//! few bytes (`record.rs`), counted in a ledger (`ledger.rs`), and written out as a history only where it is not what it should be
//! (`written.rs`): the judge says what the standard says about it, as about any other history.

mod bring_back;
mod compare;
mod experiment;
mod figures;
mod file;
mod fleet;
mod judged;
mod ledger;
mod machine;
mod merge;
mod park;
mod publish;
mod record;
mod written;

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::packet::Protocol;
use crate::plan::Role;
use crate::run::{self, Cleanup, Keeper, Leftovers, Place, Prefix, SessionLeft, Target};

pub use compare::{OtherStorm, StormChanges};
pub use experiment::experiment;
pub use figures::{Figures, Quantiles, Sample};
pub use file::{DeviantRun, Finding, Options, Phases, Run, StormFile};
pub use judged::{Deviant, Judged};
pub use ledger::Ledger;
pub use machine::{Lack, lacks, sources};

pub use fleet::CutShort;
use fleet::Fleet;

/// What a storm is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    pub protocol: Protocol,
    /// The numbers of the sessions, from 1; in a part of a storm not all of them.
    pub sessions: Vec<u32>,
    /// How many messages each session is owed.
    pub messages: u32,
    /// Of the publications and of the subscriptions: 1 or 2.
    pub qos: u8,
    /// The payload of a message, in bytes.
    pub size: usize,
    /// How many sessions return in a second; `None` is as many as can.
    pub return_rate: Option<u32>,
    /// How long nobody is there, behind the last publication.
    pub away: Duration,
    /// When the return begins; `None` is when the sessions have been away so long.
    pub start_at: Option<std::time::SystemTime>,
    /// How long a storm goes on in which nothing moves.
    pub patience: Duration,
    /// How long nothing moves before something is taken for missing.
    pub settle: Duration,
}

/// What a storm tells while it goes on.
pub trait Listener {
    /// So many of so many are done in this phase.
    fn moves(&self, phase: &str, done: u64, of: u64);
    /// Something that the user should know, as a sentence.
    fn warn(&self, sentence: String);
}

/// What a storm found.
pub struct Stormed {
    pub ledger: Ledger,
    pub figures: Figures,
    pub judged: Judged,
    pub cleanup: Cleanup,
    /// Why not all of it was done.
    pub cut_short: Option<CutShort>,
}

/// Ends the sessions with these numbers that a storm may have left under this prefix, since their client ids follow from it.
pub async fn clear_what_it_left(
    target: &Target,
    prefix: &Prefix,
    sessions: impl IntoIterator<Item = u32>,
    versions: &[Protocol],
) -> Cleanup {
    let protocol = versions.last().copied().unwrap_or(Protocol::V5);
    let mut leftovers = Leftovers::default();
    for number in sessions {
        let tag = Place { cell: &experiment::id(number), repetition: 1, attempt: 1 }.tag();
        let client_id = run::client_id(prefix, &tag, 0);
        leftovers.add(SessionLeft { client_id, protocol, role: Role::Main, persists: true, existed: false });
    }
    run::clean_guessed(target, prefix, leftovers, versions).await
}

/// The file that keeps what was on the wire of a session.
pub fn file_of(session: u32) -> String {
    format!("session-{session}.txt")
}

/// Plays a storm to its end, or until it is interrupted, and cleans up.
pub async fn storm(
    target: &Target,
    prefix: &Prefix,
    request: &Request,
    versions: &[Protocol],
    listener: &dyn Listener,
    interrupted: watch::Receiver<bool>,
) -> Stormed {
    let keeper = Keeper::open(target, prefix, request.protocol).await;
    let is_shared = keeper.as_ref().map(Keeper::is_shared);
    let end = is_shared.clone().map_or(interrupted.clone(), |is_shared| either(interrupted, is_shared));
    let mut fleet = Fleet::new(target, prefix, request, listener, end);
    let cut_short = play(&mut fleet).await.err();
    let is_shared = is_shared.is_some_and(|is_shared| *is_shared.borrow());
    let cut_short = if is_shared { Some(CutShort::Shared) } else { cut_short };
    let ledger = Ledger::of(&fleet);
    let judged = judged::judge(&mut fleet, &ledger, cut_short);
    let cleanup = fleet.clean(versions).await;
    if let Some(keeper) = keeper {
        keeper.leave().await;
    }
    Stormed { ledger, figures: fleet.figures, judged, cleanup, cut_short }
}

/// True when one of them is.
fn either(mut one: watch::Receiver<bool>, mut other: watch::Receiver<bool>) -> watch::Receiver<bool> {
    let (end, ended) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            () = end.closed() => return,
            Ok(_) = one.wait_for(|is| *is) => {}
            Ok(_) = other.wait_for(|is| *is) => {}
        }
        end.send_replace(true);
        // Those who wait for it still have to read it.
        end.closed().await;
    });
    ended
}

async fn play(fleet: &mut Fleet<'_>) -> Result<(), CutShort> {
    park::park(fleet).await?;
    publish::publish(fleet).await?;
    stay_away(fleet).await?;
    bring_back::bring_back(fleet).await
}

/// Nobody is there, until the time has come to return.
async fn stay_away(fleet: &Fleet<'_>) -> Result<(), CutShort> {
    let mut until = Instant::now() + fleet.request.away;
    if let Some(start_at) = fleet.request.start_at {
        match start_at.duration_since(std::time::SystemTime::now()) {
            Ok(left) => until = until.max(Instant::now() + left),
            Err(late) => fleet.listener.warn(format!(
                "the storm was not ready at --start-at, and returns {} late; give a later time",
                humantime::format_duration(Duration::from_secs(late.duration().as_secs()))
            )),
        }
    }
    fleet.unless_interrupted(tokio::time::sleep_until(until)).await
}
