//! The witness's task: its connection, what comes on it, and the way back when it ends.

use std::borrow::Cow;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, timeout_at};

use super::Ears;
use super::opening::{Failure, SUBSCRIBE_ID};
use crate::connection::{Connection, End, Incoming};
use crate::history::{Client, Entry, Event, Excess, History, WITNESS};
use crate::packet::{Packet, Protocol};
use crate::run::Target;
use crate::run::by_name::{ByName, Wish};
use crate::run::client::answer;
use crate::run::mailbox::{Mailboxes, Seen, Sighting};
use crate::run::names::Prefix;
use crate::run::neighbours::{Word, heard, said_here};
use crate::scenario::Answers;

/// How often the witness shows that it is alive; well within its keep alive.
const PING_EVERY: Duration = Duration::from_secs(20);
/// The same where connections end that are idle, at the least.
const PING_EVERY_MIN: Duration = Duration::from_millis(200);
/// A connection on which nothing came for so long counts as idle.
const IDLE_MIN: Duration = Duration::from_millis(500);
/// How many events are kept that belong to no cell.
const NOTED_MAX: usize = 1000;
/// How often it connects again in all.
const REOPENINGS_MAX: u32 = 5;
/// How often, and at what intervals, it looks whether a broker that ended its connection is back.
const RETURN_TRIES: u32 = 20;
const RETURN_PAUSE: Duration = Duration::from_millis(200);
/// The reason code of a DISCONNECT for a client whose identifier another one uses (5.0, section 3.14.2.1).
const SESSION_TAKEN_OVER: u8 = 0x8e;

/// The witness's task.
pub struct Watch {
    pub(super) target: Target,
    pub(super) protocol: Protocol,
    pub(super) prefix: Prefix,
    pub(super) ears: Ears,
    pub(super) mailboxes: Mailboxes,
    began: Instant,
    /// How many Network Connections were opened.
    pub(super) opened: u32,
    /// What happened on them, but for the copies and their handshakes.
    entries: Vec<Entry>,
    /// Shorter where something ends connections that are idle.
    ping_every: Duration,
    /// There, if the broker grants no wildcard.
    pub(super) by_name: Option<ByName>,
    /// Something happened that the broker can be judged by.
    pub(super) is_remarkable: bool,
    is_taken_over: bool,
    /// Another run has greeted.
    is_shared: bool,
}

impl Watch {
    pub fn new(target: Target, protocol: Protocol, prefix: Prefix, ears: Ears, mailboxes: Mailboxes) -> Watch {
        Watch {
            target,
            protocol,
            prefix,
            ears,
            mailboxes,
            began: Instant::now(),
            opened: 0,
            entries: vec![Event::Step(format!("0 connect {WITNESS}")).into()],
            ping_every: PING_EVERY,
            by_name: None,
            is_remarkable: false,
            is_taken_over: false,
            is_shared: false,
        }
    }

    /// Connects and subscribes for the first time, and waits so long for the SUBACK.
    ///
    /// # Errors
    /// [`Failure`] says how that failed.
    pub async fn begin(&mut self, wait: Duration) -> Result<Connection, Failure> {
        match self.open(wait).await {
            Err(Failure { at_wildcard: true, .. }) => {
                self.by_name = Some(ByName::default());
                self.open(wait).await
            }
            opened => opened,
        }
    }

    /// What happened that belongs to no cell, if the broker can be judged by it.
    pub fn into_history(self) -> Option<History> {
        self.is_remarkable.then_some(History { entries: self.entries })
    }

    /// The broker grants no wildcard.
    pub fn is_by_name(&self) -> bool {
        self.by_name.is_some()
    }

    /// Reads until it is told to leave, or until it cannot connect any more.
    pub async fn watch(
        mut self,
        mut connection: Connection,
        leave: Arc<Notify>,
        ping: Arc<Notify>,
        mut wished: mpsc::UnboundedReceiver<Wish>,
    ) -> Option<History> {
        loop {
            match self.read(connection, &leave, &ping, &mut wished).await {
                None => break,
                Some(how) => {
                    let reopened = tokio::select! {
                        reopened = self.reopen(how) => reopened,
                        () = leave.notified() => break,
                    };
                    let Some(reopened) = reopened else {
                        self.mailboxes.close();
                        // Nobody is to wait for topics any more.
                        drop(wished);
                        leave.notified().await;
                        break;
                    };
                    connection = reopened;
                }
            }
        }
        self.into_history()
    }

    /// Reads until the connection ends, and gives how; `None` once it was left in good order.
    async fn read(
        &mut self,
        mut connection: Connection,
        leave: &Notify,
        ping: &Notify,
        wished: &mut mpsc::UnboundedReceiver<Wish>,
    ) -> Option<End> {
        let (mut ping_due, mut heard) = (Instant::now() + self.ping_every, Instant::now());
        loop {
            let next = timeout_at(ping_due, poll_fn(|cx| connection.poll_incoming(cx)));
            let batch = tokio::select! {
                batch = next => batch.unwrap_or_default(),
                () = ping.notified() => Vec::new(),
                Some(wish) = wished.recv() => {
                    if let Some(by_name) = &mut self.by_name {
                        // Whoever waits for a packet that cannot be sent waits until the deadline.
                        let _ = connection.send(&by_name.packet(wish));
                        connection.flush().await;
                    }
                    continue;
                }
                () = leave.notified() => {
                    connection.leave().await;
                    return None;
                }
            };
            if batch.is_empty() {
                // A packet without strings can always be encoded.
                let _ = connection.send(&Packet::Pingreq);
                ping_due = Instant::now() + self.ping_every;
            } else {
                self.ears.pulse.hear();
            }
            let is_heard = !batch.is_empty();
            let end = batch.into_iter().filter_map(|incoming| self.take(&mut connection, incoming)).last();
            if end.is_some() {
                self.ping_sooner(heard.elapsed());
                return end;
            }
            if is_heard {
                heard = Instant::now();
            }
            connection.flush().await;
        }
    }

    /// The connection ended after nothing had come for so long. A proxy that closes idle connections closes none that pings twice
    /// in that time.
    fn ping_sooner(&mut self, idle: Duration) {
        if idle >= IDLE_MIN {
            self.ping_every = self.ping_every.min(idle / 2).max(PING_EVERY_MIN);
        }
    }

    /// Looks at what came in, and gives how the connection ended if that is it.
    pub(super) fn take(&mut self, connection: &mut Connection, incoming: Incoming) -> Option<End> {
        let at = Instant::now();
        match incoming {
            Incoming::Packet(packet, raw) => {
                // At QoS 0 there is nothing to acknowledge, but a broker may ignore the QoS that it granted.
                if let Some(answer) = answer(&packet, Answers::All) {
                    let _ = connection.send(&answer);
                }
                match packet {
                    Packet::Publish(publish) => match heard(&self.prefix, &publish) {
                        Some(word) => self.answer(connection, word),
                        None => {
                            let tag = self.tag(&publish.topic);
                            self.mailboxes.deliver(&tag, self.sighting(at, Seen::Copy(publish, raw)));
                        }
                    },
                    Packet::Suback(suback) if suback.id != SUBSCRIBE_ID && self.by_name.is_some() => {
                        self.by_name.iter_mut().for_each(|by_name| by_name.answered(&suback));
                    }
                    Packet::Unsuback(_) if self.by_name.is_some() => {}
                    Packet::Suback(ref suback) => {
                        self.is_remarkable |= suback.id != SUBSCRIBE_ID || suback.codes.len() != 1;
                        self.note(|name| Event::Received(name, packet));
                    }
                    Packet::Pingresp | Packet::Ack(_) => {}
                    other => {
                        self.is_taken_over |= matches!(other, Packet::Disconnect { reason: SESSION_TAKEN_OVER, .. });
                        self.is_remarkable = true;
                        self.note(|name| Event::Received(name, other));
                    }
                }
                None
            }
            Incoming::Undecodable { bytes, why } => {
                let topic = topic_of(&bytes).map(|topic| self.tag(&topic));
                let seen = Seen::Undecodable(bytes.clone(), why.clone());
                let sighting = self.sighting(at, seen);
                if !topic.is_some_and(|tag| self.mailboxes.deliver(&tag, sighting)) {
                    self.is_remarkable = true;
                    self.note(|name| Event::Undecodable(name, bytes, why));
                }
                None
            }
            Incoming::TooLong(bytes) => {
                self.is_remarkable = true;
                self.note(|name| Event::WithoutEnd(name, Excess::Packet(bytes)));
                None
            }
            Incoming::End(end) => {
                self.is_remarkable = true;
                self.note(|name| Event::Ended(name, end));
                self.mailboxes.ended(at, self.opened, end);
                // Nobody waits for an answer on it any more.
                self.by_name.iter_mut().for_each(|by_name| *by_name = ByName::default());
                Some(end)
            }
        }
    }

    /// Another run asks whether anybody is there, or greets: then both have to end.
    fn answer(&mut self, connection: &mut Connection, word: Word<'_>) {
        if word == Word::Greeting(self.ears.nonce.as_bytes()) {
            return;
        }
        let is_known = matches!(word, Word::Greeting(_)) && std::mem::replace(&mut self.is_shared, true);
        if !is_known {
            self.greet(connection);
        }
        if self.is_shared {
            self.ears.neighbour.notify_one();
        }
    }

    /// Tells all other runs with this prefix that this one is under way.
    pub(super) fn greet(&self, connection: &mut Connection) {
        let greeting = Word::Greeting(self.ears.nonce.as_bytes());
        if let Some(packet) = said_here(&self.target, &self.prefix, self.protocol, greeting) {
            // A greeting is short enough.
            let _ = connection.send(&packet);
        }
    }

    /// Connects again, a few times in all, and waits for a broker that restarts; `None` if it cannot. The user is told once.
    async fn reopen(&mut self, how: End) -> Option<Connection> {
        let wait = self.target.deadline;
        let how_often = "it was ended too often".into();
        let too_often = Failure { how: how_often, is_unanswered: false, out_of_reach: false, at_wildcard: false };
        let mut again = if self.opened > REOPENINGS_MAX { Err(too_often) } else { self.open(wait).await };
        for _ in 0..RETURN_TRIES {
            if !again.as_ref().is_err_and(|failure| failure.out_of_reach) {
                break;
            }
            sleep(RETURN_PAUSE).await;
            again = self.open(wait).await;
        }
        let ended = how.verb();
        let sentence = match &again {
            Ok(_) if self.ears.is_told.swap(true, SeqCst) => None,
            _ if self.is_taken_over => {
                Some("somebody else uses the prefix: the witness was taken over; give another --prefix".to_owned())
            }
            Ok(_) => Some(format!(
                "the broker {ended} the connection of the witness for {}, which is back; cells that this disturbed are tried again",
                self.protocol
            )),
            // If the broker is gone the cells show it, and it is said once.
            Err(failure) if failure.out_of_reach => None,
            Err(Failure { how: why, .. }) => Some(format!(
                "the broker {ended} the connection of the witness for {}: {why}; see its log",
                self.protocol
            )),
        };
        if let Some(sentence) = sentence {
            // Nobody listens at the end of the run.
            let _ = self.ears.warnings.send(sentence);
        }
        again.is_ok().then(|| self.mailboxes.is_back());
        again.ok()
    }

    /// The head of the topics of a cell, up to its tag.
    fn tag(&self, topic: &str) -> String {
        let rest = topic.strip_prefix(&self.prefix.topic).unwrap_or_default();
        format!("{}/{}", self.prefix.topic, rest.split('/').nth(1).unwrap_or_default())
    }

    fn sighting(&self, at: Instant, seen: Seen) -> Sighting {
        Sighting { at, connection: self.opened, seen }
    }

    pub(super) fn note(&mut self, event: impl FnOnce(Client) -> Event) {
        if self.entries.len() >= NOTED_MAX {
            return;
        }
        let time = Some(self.began.elapsed().into());
        let event = event(WITNESS.into());
        self.entries.push(Entry { time, connection: Some(self.opened), ..Entry::from(event) });
    }
}

/// The topic of a frame that is a PUBLISH by its first byte, as far as it is text.
fn topic_of(frame: &[u8]) -> Option<Cow<'_, str>> {
    let (first, rest) = frame.split_first()?;
    let length_bytes = rest.iter().take_while(|byte| **byte & 0x80 != 0).count() + 1;
    let (length, rest) = rest.get(length_bytes..)?.split_first_chunk()?;
    let topic = rest.get(..usize::from(u16::from_be_bytes(*length)))?;
    (first >> 4 == 3).then(|| String::from_utf8_lossy(topic))
}
