//! Parking: each session connects, subscribes, and goes away in good order.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::fleet::{Common, CutShort, Fleet, TELLING, UNDER_WAY_MAX};
use super::record::{Seen, Visit, seen};
use crate::connection::{Connection, END_AFTER_DISCONNECT};
use crate::packet::{Connack, Filter, Packet, Subscribe};
use crate::run::{self, Refusal, RefusalKind};

/// The pauses before a client that was refused asks again. Brokers that let in only so many connections in a second have room for
/// some more behind each.
const PAUSES: [Duration; 8] = [
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(1),
];
/// So many sessions in a row that could not be parked mean that no other can.
const FAILURES_MAX: usize = UNDER_WAY_MAX;

/// What became of one session, by its place.
struct Parked {
    place: usize,
    outcome: Result<(Visit, Duration), Refusal>,
}

/// Parks all sessions, or as many as the broker takes.
///
/// # Errors
/// The storm ends here.
pub async fn park(fleet: &mut Fleet<'_>) -> Result<(), CutShort> {
    let began = Instant::now();
    let mut under_way = JoinSet::new();
    let (mut failures, mut told) = (0, Instant::now());
    let count = fleet.sessions.len();
    loop {
        while under_way.len() < UNDER_WAY_MAX && fleet.begun < count && failures < FAILURES_MAX {
            let place = fleet.begun;
            under_way.spawn(one(fleet.common.clone(), place, fleet.sessions[place].number));
            fleet.begun += 1;
        }
        let Some(joined) = fleet.unless_interrupted(under_way.join_next()).await? else { break };
        match joined {
            Ok(Parked { place, outcome: Ok((visit, latency)) }) => {
                if visit.disconnected.is_none() && visit.has_ended() {
                    fleet.common.counts.gone_while_parking.fetch_add(1, Relaxed);
                }
                fleet.sessions[place].parked = Some(visit);
                fleet.figures.park_connack.add(latency);
                failures = 0;
            }
            Ok(Parked { outcome: Err(refusal), .. }) => {
                fleet.refusals.add(&refusal.how);
                failures += 1;
            }
            Err(_) => failures += 1,
        }
        if told.elapsed() > TELLING {
            told = Instant::now();
            fleet.listener.moves("parking", fleet.common.counts.parked.load(Relaxed), count as u64);
        }
    }
    fleet.figures.parking = began.elapsed();
    if fleet.common.counts.parked.load(Relaxed) == 0 { Err(CutShort::Gone) } else { Ok(()) }
}

/// Parks one session; where the broker has no room it is asked again.
async fn one(common: Arc<Common>, place: usize, number: u32) -> Parked {
    let mut pauses = PAUSES.into_iter();
    let mut unanswered = None;
    loop {
        let began = common.now();
        match visit(&common, number, unanswered).await {
            Err(refusal) if may_be_for_now(&refusal) && !common.is_over() => {
                if matches!(refusal.kind, RefusalKind::Unreachable(_)) && common.counts.parked.load(Relaxed) > 0 {
                    common.counts.gone_while_parking.fetch_add(1, Relaxed);
                }
                unanswered = unanswered.or(refusal.may_have_been_taken().then_some(began));
                common.counts.refused.fetch_add(1, Relaxed);
                let Some(pause) = pauses.next() else { return Parked { place, outcome: Err(refusal) } };
                sleep(pause).await;
                common.counts.retried.fetch_add(1, Relaxed);
            }
            outcome => {
                let counts = &common.counts;
                if outcome.is_ok() { &counts.parked } else { &counts.refused }.fetch_add(1, Relaxed);
                return Parked { place, outcome };
            }
        }
    }
}

/// True if the broker may let in later whom it refused so: where too many come at once some brokers just say nothing.
pub fn may_be_for_now(refusal: &Refusal) -> bool {
    refusal.may_be_for_now() || refusal.is_silence()
}

/// The first connection of a session, and how long its CONNACK took.
async fn visit(common: &Common, number: u32, unanswered: Option<u32>) -> Result<(Visit, Duration), Refusal> {
    let names = common.names(number);
    let (began, started) = (common.now(), Instant::now());
    let (mut connection, connack): (Connection, Connack) = run::connect(&common.target, common.connect(&names)).await?;
    let latency = started.elapsed();
    let mut visit = Visit::new(unanswered, began, common.now(), connack);
    let filters = vec![Filter::new(names.topic("t"), common.request.qos)];
    // What cannot be sent shows as an answer that does not come.
    let _ = connection.send(&Packet::Subscribe(Subscribe { id: 1, filters, ..Subscribe::default() }));
    connection.flush().await;
    let granted = |visit: &Visit| visit.seen.iter().any(|seen| matches!(seen, Seen::Suback { .. }));
    read(common, &mut connection, &mut visit, Instant::now() + common.target.deadline, granted).await;
    if granted(&visit) {
        visit.disconnected = Some(visit.seen.len() as u32);
        let _ = connection.send(&Packet::disconnect(0));
        connection.flush().await;
        let soon = Instant::now() + END_AFTER_DISCONNECT;
        read(common, &mut connection, &mut visit, soon, |_| false).await;
        connection.leave().await;
    }
    // It is kept to the end, as many others are.
    visit.seen.shrink_to_fit();
    Ok((visit, latency))
}

/// Notes what comes until this is enough, until the broker ends the connection, or until the time is over.
async fn read(
    common: &Common,
    connection: &mut Connection,
    visit: &mut Visit,
    until: Instant,
    is_enough: impl Fn(&Visit) -> bool,
) {
    while !is_enough(visit) {
        let Ok(batch) = timeout_at(until, poll_fn(|cx| connection.poll_incoming(cx))).await else { return };
        visit.seen.extend(batch.into_iter().map(|incoming| seen(common.now(), incoming)));
        if visit.has_ended() {
            return;
        }
    }
}
