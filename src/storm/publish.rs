//! Publishing: a few clients give each session its messages, one session after the other, and behind the return a fence.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::figures::Latencies;
use super::fleet::{Common, CutShort, Fleet, TELLING};
use super::record::Sent;
use crate::connection::{Connection, End, Incoming};
use crate::history::Message;
use crate::packet::{AckKind, Connack, Packet, Publish};
use crate::plan::Role;
use crate::run::{self, Refusal};

/// How many clients publish.
const PUBLISHERS: usize = 4;
/// How many messages of each are under way at once, where the broker permits it.
const WINDOW: usize = 64;
/// How often a publisher connects anew in all.
const CONNECTS_MAX: usize = 20;
/// The pause before it does.
const PAUSE: Duration = Duration::from_millis(250);

/// A client that publishes. What it did is counted, since the order counts and not the time.
pub struct Publisher {
    common: Arc<Common>,
    place: usize,
    connection: Option<Connection>,
    /// Its connections so far.
    pub stays: Vec<Stay>,
    deeds: u32,
    last_id: u16,
    pub latencies: Latencies,
    /// How the broker refused it or ended its connection, last.
    trouble: Option<String>,
}

/// One connection of a publisher that the broker let in.
pub struct Stay {
    pub connack: Connack,
    /// How the broker ended it, if it did.
    pub end: Option<End>,
}

/// What is to be published for a session: its place, its number and the messages.
struct Work {
    place: usize,
    number: u32,
    messages: Vec<Message>,
}

/// A message that is under way.
struct UnderWay {
    /// Which of the work, and which of its messages.
    work: usize,
    message: usize,
    since: Instant,
}

/// Publishes the messages of all sessions that are parked.
///
/// # Errors
/// The storm ends here.
pub async fn publish(fleet: &mut Fleet<'_>) -> Result<(), CutShort> {
    let began = Instant::now();
    let count = PUBLISHERS.min(fleet.sessions.len()).max(1);
    fleet.publishers = (0..count).map(|place| Publisher::new(fleet.common.clone(), place)).collect();
    let messages: Vec<Message> = (1..=fleet.request.messages).map(Message::Experiment).collect();
    let parked = fleet.sessions.iter_mut().enumerate().filter(|(_, session)| session.parked.is_some());
    let mut work: Vec<Vec<Work>> = (0..count).map(|_| Vec::new()).collect();
    for (turn, (place, session)) in parked.enumerate() {
        session.publisher = turn % count;
        work[session.publisher].push(Work { place, number: session.number, messages: messages.clone() });
    }
    let of = work.iter().map(|own| own.len() as u64).sum::<u64>() * u64::from(fleet.request.messages);
    let (sent, done) = all(fleet, work, of).await;
    sent.into_iter().for_each(|(place, sent)| fleet.sessions[place].sent = sent);
    fleet.figures.publishing = began.elapsed();
    done
}

/// Publishes a fence for each of these sessions.
///
/// # Errors
/// The storm ends here.
pub async fn fence(fleet: &mut Fleet<'_>, places: &[usize]) -> Result<(), CutShort> {
    let mut work: Vec<Vec<Work>> = fleet.publishers.iter().map(|_| Vec::new()).collect();
    for place in places {
        let session = &fleet.sessions[*place];
        work[session.publisher].push(Work { place: *place, number: session.number, messages: vec![Message::Fence(1)] });
    }
    let (sent, done) = all(fleet, work, places.len() as u64).await;
    sent.into_iter()
        .for_each(|(place, sent)| fleet.sessions[place].fence = sent.into_iter().find(|sent| sent.sent > 0));
    done
}

/// Each publisher does its work. Gives what became of the messages, by the place of their session.
async fn all(fleet: &mut Fleet<'_>, work: Vec<Vec<Work>>, of: u64) -> (Vec<(usize, Vec<Sent>)>, Result<(), CutShort>) {
    let before = fleet.common.counts.answered.load(Relaxed);
    let mut publishing = JoinSet::new();
    for (publisher, work) in fleet.publishers.drain(..).zip(work) {
        publishing.spawn(publisher.publish(work));
    }
    let (mut publishers, mut all) = (Vec::new(), Vec::new());
    let mut outcome = Ok(());
    while !publishing.is_empty() {
        tokio::select! {
            joined = publishing.join_next() => {
                let Some(Ok((publisher, sent))) = joined else { continue };
                all.extend(sent);
                publishers.push(publisher);
            }
            _ = fleet.unless_interrupted(sleep(TELLING)) => {
                fleet.listener.moves("publishing", fleet.common.counts.answered.load(Relaxed) - before, of);
                if fleet.is_interrupted() && outcome.is_ok() {
                    // Those who publish end in good order.
                    fleet.common.over.send_replace(true);
                    outcome = Err(CutShort::Interrupted);
                }
            }
        }
        if outcome.is_err() && !publishing.is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
    }
    publishers.sort_by_key(|publisher| publisher.place);
    for publisher in &mut publishers {
        fleet.figures.acknowledged.append(&std::mem::take(&mut publisher.latencies));
        publisher.trouble.take().iter().for_each(|how| fleet.refusals.add(how));
    }
    let has_nobody = publishers.iter().all(|publisher| publisher.connection.is_none());
    fleet.publishers = publishers;
    (all, if has_nobody { outcome.and(Err(CutShort::Gone)) } else { outcome })
}

impl Publisher {
    fn new(common: Arc<Common>, place: usize) -> Publisher {
        Publisher {
            common,
            place,
            connection: None,
            stays: Vec::new(),
            deeds: 0,
            last_id: 0,
            latencies: Latencies::default(),
            trouble: None,
        }
    }

    /// True if its connection is still open: it has had nothing to do since it published.
    pub fn is_there(&mut self) -> bool {
        let Some(connection) = &mut self.connection else { return false };
        let mut cx = Context::from_waker(Waker::noop());
        connection.poll_end(&mut cx).is_pending() && self.stays.len() == 1
    }

    /// The connection that is still open, for whoever ends it.
    pub fn into_connection(self) -> Option<Connection> {
        self.connection
    }

    /// The place of what it does now among all that it does.
    fn deed(&mut self) -> u32 {
        self.deeds += 1;
        self.deeds
    }

    /// Publishes everything, and tells what became of it. Where its connection ends it goes on with the next message on another one:
    /// whether the broker took over what was under way nobody knows.
    async fn publish(mut self, work: Vec<Work>) -> (Publisher, Vec<(usize, Vec<Sent>)>) {
        let mut sent: Vec<(usize, Vec<Sent>)> =
            work.iter().map(|own| (own.place, vec![Sent::default(); own.messages.len()])).collect();
        let mut next =
            work.iter().enumerate().flat_map(|(place, own)| (0..own.messages.len()).map(move |m| (place, m)));
        let mut waiting = next.next();
        while waiting.is_some() && !self.common.is_over() {
            if self.connection.is_none() && !self.connect().await {
                break;
            }
            let Some(mut connection) = self.connection.take() else { break };
            let mut under_way: HashMap<u16, UnderWay> = HashMap::new();
            let window = self.window();
            let is_open = loop {
                while let Some((own, message)) = waiting.filter(|_| under_way.len() < window) {
                    let Some(id) = self.free_id(&under_way) else { break };
                    let Work { number, messages, .. } = &work[own];
                    if connection.send(&self.packet(*number, messages[message], id)).is_ok() {
                        let entry = &mut sent[own].1[message];
                        *entry = Sent { id, connection: self.stays.len() as u16, sent: self.deed(), ..Sent::default() };
                        under_way.insert(id, UnderWay { work: own, message, since: Instant::now() });
                    }
                    waiting = next.next();
                }
                connection.flush().await;
                if under_way.is_empty() {
                    break true;
                }
                let deadline = Instant::now() + self.common.request.patience;
                let Ok(batch) = timeout_at(deadline, poll_fn(|cx| connection.poll_incoming(cx))).await else {
                    self.trouble = Some("the broker acknowledged nothing any more".into());
                    break false;
                };
                if !self.take(&mut connection, batch, &mut under_way, &mut sent) {
                    break false;
                }
                if self.common.is_over() {
                    break true;
                }
            };
            self.connection = is_open.then_some(connection);
        }
        (self, sent)
    }

    /// Notes acknowledgements, and answers them; false where the connection is over.
    fn take(
        &mut self,
        connection: &mut Connection,
        batch: Vec<Incoming>,
        under_way: &mut HashMap<u16, UnderWay>,
        sent: &mut [(usize, Vec<Sent>)],
    ) -> bool {
        for incoming in batch {
            let ack = match incoming {
                Incoming::Packet(Packet::Ack(ack), _) => ack,
                Incoming::Packet(Packet::Disconnect { reason, .. }, _) => {
                    self.trouble = Some(format!("the broker sent a publisher DISCONNECT {reason:#04x}"));
                    continue;
                }
                Incoming::Packet(..) => continue,
                Incoming::End(end) => {
                    self.stays.iter_mut().last().into_iter().for_each(|stay| stay.end = Some(end));
                    self.trouble.get_or_insert_with(|| "the broker ended the connection of a publisher".into());
                    return false;
                }
                Incoming::Undecodable { .. } | Incoming::TooLong(_) => {
                    self.trouble.get_or_insert_with(|| "the broker sent a publisher what is no packet of MQTT".into());
                    return false;
                }
            };
            let deed = self.deed();
            let Some(own) = under_way.get(&ack.id) else { continue };
            let entry = &mut sent[own.work].1[own.message];
            entry.reason = ack.reason;
            if ack.kind == AckKind::Pubrec && ack.reason < 0x80 {
                entry.received = deed;
                // PUBREL is the next deed.
                self.deed();
                let _ = connection.send(&Packet::ack(AckKind::Pubrel, ack.id));
                continue;
            }
            entry.done = deed;
            if ack.reason >= 0x80 {
                self.trouble =
                    Some(format!("the broker refused messages with {} {:#04x}", ack.kind.name(), ack.reason));
            }
            self.latencies.add(own.since.elapsed());
            self.common.counts.answered.fetch_add(1, Relaxed);
            under_way.remove(&ack.id);
        }
        true
    }

    fn packet(&self, number: u32, message: Message, id: u16) -> Packet {
        let names = self.common.names(number);
        let payload = names.payload(message, self.common.request.size);
        let topic = names.topic("t");
        Packet::Publish(Publish { topic, payload, id, qos: self.common.request.qos, ..Publish::default() })
    }

    /// The next Packet Identifier that is not in use.
    fn free_id(&mut self, under_way: &HashMap<u16, UnderWay>) -> Option<u16> {
        (0..=under_way.len()).find_map(|_| {
            self.last_id = self.last_id % u16::MAX + 1;
            (!under_way.contains_key(&self.last_id)).then_some(self.last_id)
        })
    }

    /// How many messages may be under way.
    fn window(&self) -> usize {
        let granted = self.stays.last().and_then(|stay| stay.connack.receive_maximum);
        granted.map_or(WINDOW, |granted| WINDOW.min(usize::from(granted.max(1))))
    }

    /// Connects; false where the broker lets it in no more.
    async fn connect(&mut self) -> bool {
        let started = Instant::now();
        while self.stays.len() < CONNECTS_MAX && !self.common.is_over() {
            let id = format!("{}publisher{}", self.common.prefix.client_id, self.place);
            let target = &self.common.target;
            let connect = target.connect_as(Role::Publisher, self.common.request.protocol, id, true, 0);
            match run::connect(target, connect).await {
                Ok((connection, connack)) => {
                    self.deed();
                    self.stays.push(Stay { connack, end: None });
                    self.connection = Some(connection);
                    return true;
                }
                Err(Refusal { how, .. }) => self.trouble = Some(how),
            }
            self.common.counts.refused.fetch_add(1, Relaxed);
            if started.elapsed() > target.deadline {
                return false;
            }
            sleep(PAUSE).await;
            self.common.counts.retried.fetch_add(1, Relaxed);
        }
        false
    }
}
