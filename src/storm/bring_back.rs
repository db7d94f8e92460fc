//! The return: all sessions come back, at once or at a rate, and stay until each has all of its messages. What is missing when
//! nothing moves any more is asked for with a fence.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, sleep_until};

use super::figures::Sample;
use super::fleet::{Common, CutShort, Fleet, TELLING};
use super::park::may_be_for_now;
use super::publish::fence;
use super::record::{Seen, Session, Visit, seen};
use crate::connection::{Connection, Incoming};
use crate::packet::{AckKind, Packet};
use crate::run::{self, Names, Refusal, answer};
use crate::scenario::Answers;

/// The first pause of a client that was refused, or whose connection broke; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(25);
/// The longest one.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// How often a session comes back whose connections break.
const VISITS_MAX: usize = 20;
/// More packets on one connection than its messages and their handshakes, and a few, come from a broker that sends without end.
const SPARE_PACKETS: usize = 1000;

/// A session that is on its way back.
struct Returning {
    common: Arc<Common>,
    place: usize,
    names: Names,
    topic: String,
    /// How many of its messages the broker accepted.
    owed: usize,
    /// Which have come, by their number.
    came: Vec<bool>,
    /// How many messages have come, each counted once.
    count: usize,
    /// Handshakes at QoS 2 that have come to their end.
    released: usize,
    fence_came: bool,
    visits: Vec<Visit>,
    latency: Latency,
    refused: Vec<Refusal>,
}

/// When the first connection that was let in got what, since it began.
#[derive(Default)]
struct Latency {
    began: Option<Instant>,
    connack: Option<Duration>,
    first: Option<Duration>,
    last: Option<Duration>,
    drained: Option<Duration>,
}

/// Brings all sessions back that have a backlog.
///
/// # Errors
/// The storm ends here.
pub async fn bring_back(fleet: &mut Fleet<'_>) -> Result<(), CutShort> {
    let began = Instant::now();
    let mut under_way: JoinSet<(Returning, Option<Connection>)> = JoinSet::new();
    let mut waiting =
        (0..fleet.sessions.len()).filter(|place| fleet.sessions[*place].parked.is_some()).collect::<Vec<_>>();
    waiting.reverse();
    let count = waiting.len();
    let mut watch = Watch::new(began);
    let mut ticks = interval(TELLING);
    let mut outcome = Ok(());
    while !waiting.is_empty() || !under_way.is_empty() {
        let due = fleet
            .request
            .return_rate
            .map(|rate| began + Duration::from_secs_f64(f64::from(watch.begun) / f64::from(rate)));
        tokio::select! {
            biased;
            Some(joined) = under_way.join_next(), if !under_way.is_empty() => {
                let Ok((returning, connection)) = joined else { continue };
                if returning.is_done() {
                    fleet.figures.returning = began.elapsed();
                }
                note(fleet, returning, connection);
            }
            permit = permit(fleet.common.clone(), due), if !waiting.is_empty() => {
                let Some(place) = waiting.pop() else { continue };
                let returning = Returning::new(fleet.common.clone(), place, &fleet.sessions[place]);
                under_way.spawn(returning.come(permit));
                watch.begun += 1;
            }
            _ = ticks.tick() => {
                fleet.figures.timeline.push(watch.sample(fleet));
                fleet.listener.moves("returning", fleet.common.counts.drained.load(Relaxed), count as u64);
                if outcome.is_ok() {
                    outcome = watch.look(fleet, waiting.is_empty()).await;
                }
                if outcome.is_err() || fleet.common.is_over() {
                    fleet.common.over.send_replace(true);
                    waiting.clear();
                }
            }
        }
    }
    fleet.figures.timeline.push(watch.sample(fleet));
    if fleet.figures.returning.is_zero() {
        fleet.figures.returning = began.elapsed();
    }
    if outcome.is_ok() && fleet.common.counts.drained.load(Relaxed) < count as u64 {
        // What a fence did not prove absent, such as PUBREL, may still be on its way.
        outcome = fleet.unless_interrupted(sleep(fleet.request.settle)).await;
    }
    late(fleet);
    outcome
}

/// A permit to connect, when it is time.
async fn permit(common: Arc<Common>, due: Option<Instant>) -> Option<OwnedSemaphorePermit> {
    if let Some(due) = due {
        sleep_until(due).await;
    }
    common.under_way.clone().acquire_owned().await.ok()
}

/// Keeps what a session saw, and its connection.
fn note(fleet: &mut Fleet<'_>, returning: Returning, connection: Option<Connection>) {
    let Returning { place, mut visits, latency, refused, .. } = returning;
    // They are kept to the end, as those of many others are.
    visits.iter_mut().for_each(|visit| visit.seen.shrink_to_fit());
    let figures = &mut fleet.figures;
    for (histogram, latency) in [
        (&mut figures.connack, latency.connack),
        (&mut figures.first, latency.first),
        (&mut figures.last, latency.last),
        (&mut figures.drained, latency.drained),
    ] {
        latency.into_iter().for_each(|latency| histogram.add(latency));
    }
    refused.iter().for_each(|refusal| fleet.refusals.add(&refusal.how));
    fleet.sessions[place].returned = visits;
    fleet.back.extend(connection.map(|connection| (place, connection)));
}

/// What has come on the connections of those who had all: nobody has looked since.
fn late(fleet: &mut Fleet<'_>) {
    let at = fleet.common.now();
    for (place, connection) in &mut fleet.back {
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let session = &mut fleet.sessions[*place];
        let names = fleet.common.names(session.number);
        let topic = names.topic("t");
        let Some(visit) = session.returned.last_mut() else { continue };
        visit.watched_until = at;
        while let Poll::Ready(batch) = connection.poll_incoming(&mut cx) {
            visit.seen.extend(batch.into_iter().map(|incoming| own(at, &names, &topic, &fleet.common, incoming)));
            if visit.has_ended() {
                break;
            }
        }
    }
}

/// What came, as a message of the session's own or as what else it is.
fn own(at: u32, names: &Names, topic: &str, common: &Common, incoming: Incoming) -> Seen {
    match &incoming {
        Incoming::Packet(Packet::Publish(publish), _) => {
            Seen::of_publish(at, names, topic, common.request.size, publish).unwrap_or_else(|| seen(at, incoming))
        }
        Incoming::Packet(Packet::Ack(ack), _) if ack.kind == AckKind::Pubrel && ack.reason == 0 => {
            Seen::Pubrel { at, id: ack.id }
        }
        _ => seen(at, incoming),
    }
}

/// Whether the return moves on, and what is done where it does not.
struct Watch {
    began: Instant,
    /// How many sessions have begun to return.
    begun: u32,
    moved: u64,
    since: Instant,
    is_fenced: bool,
}

impl Watch {
    fn new(began: Instant) -> Watch {
        Watch { began, begun: 0, moved: 0, since: began, is_fenced: false }
    }

    fn sample(&self, fleet: &Fleet<'_>) -> Sample {
        let counts = &fleet.common.counts;
        Sample {
            ms: self.began.elapsed().as_millis() as u64,
            returned: counts.returned.load(Relaxed),
            messages: counts.messages.load(Relaxed),
            drained: counts.drained.load(Relaxed),
        }
    }

    /// Looks whether anything has moved. Where nothing does, fences are published behind what is missing, and when nothing moves
    /// after that, the return is over.
    async fn look(&mut self, fleet: &mut Fleet<'_>, all_have_begun: bool) -> Result<(), CutShort> {
        if fleet.is_interrupted() {
            return Err(CutShort::Interrupted);
        }
        let counts = &fleet.common.counts;
        let moved = counts.moved();
        if moved != self.moved || !all_have_begun && fleet.request.return_rate.is_some() {
            (self.moved, self.since) = (moved, Instant::now());
            return Ok(());
        }
        let still = self.since.elapsed();
        let is_refused = counts.refused.load(Relaxed) > 0 || counts.broken.load(Relaxed) > 0;
        if !self.is_fenced && all_have_begun && still >= fleet.request.settle {
            self.is_fenced = true;
            let open: Vec<usize> = fleet.open();
            if fence(fleet, &open).await.is_err() {
                return if fleet.is_interrupted() { Err(CutShort::Interrupted) } else { Err(CutShort::Gone) };
            }
            (self.moved, self.since) = (fleet.common.counts.moved(), Instant::now());
        } else if is_refused
            && still >= fleet.common.target.deadline
            && counts.returned.load(Relaxed) < u64::from(self.begun)
        {
            return Err(CutShort::Gone);
        } else if still >= fleet.request.patience {
            fleet.common.over.send_replace(true);
        }
        Ok(())
    }
}

impl Fleet<'_> {
    /// The places of the sessions that are back, and still wait for something.
    fn open(&self) -> Vec<usize> {
        let is_open =
            |place: &usize| self.sessions[*place].returned.is_empty() && self.common.arrived[*place].load(Relaxed);
        (0..self.sessions.len()).filter(is_open).collect()
    }
}

impl Returning {
    fn new(common: Arc<Common>, place: usize, session: &Session) -> Returning {
        let names = common.names(session.number);
        Returning {
            topic: names.topic("t"),
            names,
            place,
            owed: session.sent.iter().filter(|sent| sent.is_accepted()).count(),
            came: session.sent.iter().map(|sent| !sent.is_accepted()).collect(),
            count: 0,
            released: 0,
            fence_came: false,
            visits: Vec::new(),
            latency: Latency::default(),
            refused: Vec::new(),
            common,
        }
    }

    /// All that is owed has come and was answered to its end.
    fn has_all(&self) -> bool {
        self.count >= self.owed && (self.common.request.qos < 2 || self.released >= self.owed)
    }

    /// Nothing more is waited for: what a fence overtakes does not come.
    fn is_done(&self) -> bool {
        self.has_all() || self.fence_came
    }

    /// Comes back, and comes again where the connection breaks, until nothing more is waited for.
    async fn come(mut self, permit: Option<OwnedSemaphorePermit>) -> (Returning, Option<Connection>) {
        let mut over = self.common.over.subscribe();
        let mut permit = permit;
        let (mut pause, mut unanswered) = (PAUSE, None);
        while !self.common.is_over() && self.visits.len() < VISITS_MAX {
            let common = self.common.clone();
            if permit.is_none() {
                permit = common.under_way.clone().acquire_owned().await.ok();
            }
            let (began, started) = (common.now(), Instant::now());
            let connected = run::connect(&common.target, common.connect(&self.names)).await;
            drop(permit.take());
            match connected {
                Ok((mut connection, connack)) => {
                    let is_first = self.visits.is_empty();
                    self.visits.push(Visit::new(unanswered.take(), began, common.now(), connack));
                    if is_first {
                        self.latency.began = Some(started);
                        self.latency.connack = Some(started.elapsed());
                        common.counts.returned.fetch_add(1, Relaxed);
                        common.arrived[self.place].store(true, Relaxed);
                    }
                    pause = PAUSE;
                    self.stay(&mut connection, &mut over).await;
                    let has_ended = self.visits.last().is_some_and(Visit::has_ended);
                    if self.is_done() || !has_ended {
                        if self.has_all() {
                            common.counts.drained.fetch_add(1, Relaxed);
                        }
                        return (self, Some(connection));
                    }
                    common.counts.broken.fetch_add(1, Relaxed);
                }
                Err(refusal) => {
                    common.counts.refused.fetch_add(1, Relaxed);
                    let may_be_for_now = may_be_for_now(&refusal);
                    unanswered = unanswered.or(refusal.may_have_been_taken().then_some(began));
                    self.refused.truncate(1);
                    self.refused.push(refusal);
                    if !may_be_for_now {
                        return (self, None);
                    }
                }
            }
            tokio::select! {
                () = sleep(pause) => {}
                _ = over.wait_for(|over| *over) => {}
            }
            pause = PAUSE_MAX.min(pause * 2);
            common.counts.retried.fetch_add(1, Relaxed);
        }
        (self, None)
    }

    /// Takes what comes, and answers it, until nothing more is waited for or the connection ends.
    async fn stay(&mut self, connection: &mut Connection, over: &mut tokio::sync::watch::Receiver<bool>) {
        let most = 4 * self.came.len() + SPARE_PACKETS;
        while !self.is_done() {
            let batch = tokio::select! {
                batch = poll_fn(|cx| connection.poll_incoming(cx)) => batch,
                _ = over.wait_for(|over| *over) => return,
            };
            let at = self.common.now();
            let mut is_answered = false;
            for incoming in batch {
                if let Incoming::Packet(packet, _) = &incoming
                    && let Some(answer) = answer(packet, Answers::All)
                {
                    is_answered |= connection.send(&answer).is_ok();
                }
                let seen = own(at, &self.names, &self.topic, &self.common, incoming);
                self.count(&seen);
                if let Some(visit) = self.visits.last_mut() {
                    visit.seen.push(seen);
                }
            }
            if is_answered {
                connection.flush().await;
                let at = self.common.now();
                self.visits.iter_mut().last().into_iter().for_each(|visit| visit.seen.push(Seen::Answered { at }));
            }
            let Some(visit) = self.visits.last() else { return };
            if visit.has_ended() || visit.seen.len() > most {
                return;
            }
        }
        self.latency.drained = self.latency.began.map(|began| began.elapsed()).filter(|_| self.has_all());
    }

    fn count(&mut self, seen: &Seen) {
        match seen {
            Seen::Message { number: 0, .. } => self.fence_came = true,
            Seen::Message { number, .. } => {
                if let Some(came) = self.came.get_mut(*number as usize - 1)
                    && !std::mem::replace(came, true)
                {
                    self.count += 1;
                    let elapsed = self.latency.began.map(|began| began.elapsed());
                    self.latency.first = self.latency.first.or(elapsed);
                    self.latency.last = elapsed;
                    self.common.counts.messages.fetch_add(1, Relaxed);
                }
            }
            Seen::Pubrel { .. } => {
                self.released += 1;
                self.common.counts.released.fetch_add(1, Relaxed);
            }
            _ => {}
        }
    }
}
