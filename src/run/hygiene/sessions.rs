//! Ends sessions, and checks that they are gone.
//!
//! A session that may be left is ended by a CONNECT that discards it, and is gone when another CONNECT, which would resume it, finds
//! none. Only in 5.0 can that be asked without making a session; and the one who asks ends what it finds, by Session Expiry Interval 0,
//! so that one CONNECT is enough where none is left. What was never to outlive its connection needs no ending: some such sessions
//! are looked at, and all of them if the broker has kept one of those.

use std::iter;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::SessionLeft;
use crate::packet::{Connect, Protocol};
use crate::run::Target;
use crate::run::probe;
use crate::run::witness::KEEP_ALIVE_S;

/// How many sessions are ended at once.
const SIDE_BY_SIDE: usize = 64;
/// The same for those that were too many at once. Then they come alone.
const FEWER_SIDE_BY_SIDE: usize = 4;
/// The pause for a broker that takes only so many connections in a second, as long as it takes some.
const A_SECOND: Duration = Duration::from_secs(1);
/// Of how many sessions that ended with their connections it is checked that they did.
const LOOKED_AT: usize = 8;

/// What is done with each session.
#[derive(Debug, Clone, Copy)]
pub enum Stage {
    /// A clean CONNECT is accepted, then DISCONNECT.
    End,
    /// A 5.0 CONNECT that would resume the session finds none.
    Check,
}

/// How a check ended.
pub struct Checked {
    /// Sessions that may have been left and are gone.
    pub gone: Vec<SessionLeft>,
    /// How many may still be there.
    pub left: usize,
}

/// Checks that the sessions of suspects are gone, and that those are that are over by their nature.
pub async fn check(target: &Target, suspects: Vec<SessionLeft>, over: Vec<SessionLeft>, until: Instant) -> Checked {
    let step = over.len().div_ceil(LOOKED_AT).max(1);
    let (looked_at, others): (Vec<_>, Vec<_>) = (0..).zip(over).partition(|(place, _)| place % step == 0);
    let sessions = |numbered: Vec<(usize, SessionLeft)>| numbered.into_iter().map(|(_, session)| session);
    let first: Vec<SessionLeft> = suspects.into_iter().chain(sessions(looked_at)).collect();
    let mut looked = each(target, first, Stage::Check, until).await;
    let mut gone: Vec<SessionLeft> = looked.succeeded.into_iter().filter(|session| session.persists).collect();
    let mut left = looked.unanswered.len();
    if looked.present.iter().any(|session| !session.persists) {
        looked.present.extend(sessions(others));
    }
    // A check ends what it finds, if the broker keeps to Session Expiry Interval 0.
    let again = each(target, looked.present, Stage::Check, until).await;
    gone.extend(again.succeeded);
    left += again.unanswered.len();
    let ended = each(target, again.present, Stage::End, until).await;
    left += ended.unanswered.len();
    let last = each(target, ended.succeeded, Stage::Check, until).await;
    gone.extend(last.succeeded);
    left += last.present.len() + last.unanswered.len();
    Checked { gone, left }
}

/// Looks once at each session.
pub async fn look(target: &Target, sessions: Vec<SessionLeft>, until: Instant) -> Passed {
    pass(target, sessions, Stage::Check, SIDE_BY_SIDE, until).await
}

/// How a stage ended with one session.
enum Staged {
    Done(SessionLeft),
    /// The broker had it.
    Present(SessionLeft),
    /// No connection came about, or no CONNACK.
    Unanswered(SessionLeft),
}

/// Does the same with each session, several at a time, and with fewer at a time again with those for which no connection came
/// about, as long as somebody is answered.
pub async fn each(target: &Target, sessions: Vec<SessionLeft>, stage: Stage, until: Instant) -> Passed {
    let mut all = pass(target, sessions, stage, SIDE_BY_SIDE, until).await;
    let alone = probe::ROOM_PAUSES.into_iter().chain(iter::repeat(A_SECOND)).map(|pause| (1, pause));
    for (fewer, pause) in iter::once((FEWER_SIDE_BY_SIDE, Duration::ZERO)).chain(alone) {
        if all.unanswered.is_empty() || Instant::now() + pause >= until {
            break;
        }
        sleep(pause).await;
        // A broker that has no room for many, or is too slow for them, answers the few who come now. One that is gone answers nobody.
        let was_vain = all.is_vain();
        let passed = pass(target, all.unanswered, stage, fewer, until).await;
        let is_over = passed.is_vain() && (was_vain || pause == A_SECOND);
        all.succeeded.extend(passed.succeeded);
        all.present.extend(passed.present);
        all.unanswered = passed.unanswered;
        if is_over {
            break;
        }
    }
    all
}

/// How a stage ended with many sessions.
#[derive(Default)]
pub struct Passed {
    pub succeeded: Vec<SessionLeft>,
    /// Those that the broker had.
    pub present: Vec<SessionLeft>,
    /// Those for which no connection came about, and those that were not tried any more.
    pub unanswered: Vec<SessionLeft>,
}

impl Passed {
    /// The broker answered nobody.
    fn is_vain(&self) -> bool {
        self.succeeded.len() + self.present.len() == 0
    }
}

/// Those that are not done when the time is over count as unanswered, or are forgotten.
async fn pass(
    target: &Target,
    sessions: Vec<SessionLeft>,
    stage: Stage,
    side_by_side: usize,
    until: Instant,
) -> Passed {
    let mut sessions = sessions.into_iter();
    let mut under_way = JoinSet::new();
    let mut passed = Passed::default();
    let mut failures = 0;
    loop {
        // So many failures in a row mean that the broker is gone, and that to go on would only take time.
        while under_way.len() < side_by_side && failures < side_by_side {
            let Some(session) = sessions.next() else { break };
            under_way.spawn(stage.of(target.clone(), session));
        }
        let Ok(joined) = timeout_at(until, under_way.join_next()).await else { break };
        match joined {
            None => break,
            Some(Ok(Staged::Done(session))) => {
                passed.succeeded.push(session);
                failures = 0;
            }
            Some(Ok(Staged::Present(session))) => {
                passed.present.push(session);
                failures = 0;
            }
            Some(Ok(Staged::Unanswered(session))) => {
                passed.unanswered.push(session);
                failures += 1;
            }
            Some(Err(_)) => failures += 1,
        }
    }
    passed.unanswered.extend(sessions);
    passed
}

impl Stage {
    async fn of(self, target: Target, session: SessionLeft) -> Staged {
        let id = session.client_id.clone();
        let connect = match self {
            Stage::End => target.connect_as(session.role, session.protocol, id, true, KEEP_ALIVE_S),
            // Clean Start 0 with Session Expiry Interval 0 resumes what is there, and ends it at the close.
            Stage::Check => {
                let resuming = target.connect_as(session.role, Protocol::V5, id, true, KEEP_ALIVE_S);
                Connect { session_expiry: Some(0), clean: false, ..resuming }
            }
        };
        let Ok((connection, connack)) = probe::connect(&target, connect).await else {
            return Staged::Unanswered(session);
        };
        connection.leave().await;
        match self {
            Stage::Check if connack.session_present => Staged::Present(SessionLeft { existed: true, ..session }),
            Stage::Check | Stage::End => Staged::Done(session),
        }
    }
}
