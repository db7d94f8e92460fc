//! Plays one attempt at one cell: moves packets, acknowledges them, and writes everything down.
//!
//! This file is the machinery (sending, receiving, waiting); what a step does stands in [`super::steps`], and how the
//! player proves that nothing more will come in [`super::receive`].

use std::collections::HashSet;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::Target;
use super::client::{Client, Unsent};
use super::names::Names;
use super::pulse::Pulse;
use super::record::Record;
use super::witness::{Mailbox, Seen, Sighting};
use crate::connection::{End, Incoming};
use crate::history::{Awaited, Event, History, Message};
use crate::packet::{self, AckKind, Packet, Properties, Publish};
use crate::plan::Cell;

/// The topic of a SUBSCRIBE that only asks for its answer.
const SIGN_TOPIC: &str = "fence";
/// The shortest wait for a message that is expected to come.
const VANISHED_MIN: Duration = Duration::from_millis(100);
/// Longer than any wait.
const ENDLESS: Duration = Duration::from_secs(24 * 3600);

/// The player of one attempt.
pub struct Player<'a> {
    pub cell: &'a Cell,
    pub target: &'a Target,
    pub names: Names,
    pub clients: Vec<Client>,
    pub record: Record,
    /// Where the witness's copies arrive, if there is a witness.
    pub witness: Option<Mailbox>,
    /// What the witness has.
    pub witnessed: HashSet<Message>,
    /// How long a cell that is about to say "absent" stays open.
    pub settle: Duration,
    /// In the last attempt, how much longer it still waits for what is missing, to tell late from never.
    pub patience: Duration,
    pub attempt: u32,
    pub pulse: &'a Pulse,
    /// How many of the pulse's hold-ups are recorded.
    pub hold_ups: usize,
    /// How many loop-backs, fences and messages of the experiment were numbered so far.
    pub loop_backs: u32,
    pub fences: u32,
    pub messages: u32,
    pub wills: u32,
    pub clearings: u32,
}

/// The cell cannot go on; why stands in the history.
#[derive(Debug)]
pub struct Stop;

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    Done,
    Deadline,
    /// A connection that the wait depends on was ended by the broker, or brought bytes that are no packet.
    Ended(usize),
}

impl Player<'_> {
    /// Plays all steps, or as many as are possible, and gives what happened.
    pub async fn play(mut self) -> History {
        for number in 0..self.cell.steps.len() {
            self.record.step(self.cell.step_line(number));
            let played = self.step(number).await;
            self.take_witness_copies();
            if played.is_err() {
                self.record.noted(Event::Stopped);
                break;
            }
        }
        self.close().await;
        self.record.history()
    }

    /// What happened so far, as the judge would see it.
    pub fn history(&self) -> History {
        self.record.history()
    }

    /// How long a message that may legally vanish is waited for before another one is sent, and a fence before another kind
    /// is tried. It ends with the arrival, so a settle window of 0 need not cut it short.
    pub fn vanished_after(&self) -> Duration {
        self.settle.max(VANISHED_MIN)
    }

    /// Until when something that the broker has to do is waited for.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.target.deadline.max(self.patience)
    }

    /// Sends a packet with the next flush, and notes the answer that is due.
    pub fn send(&mut self, client: usize, packet: Packet) -> Result<(), Stop> {
        self.queue(client, &packet, false)?;
        self.clients[client].expect_answer(&packet);
        self.clients[client].keep_sent(&packet);
        Ok(())
    }

    /// Takes a packet, or the first half of one, for the next flush. Only then is it recorded.
    pub fn queue(&mut self, client: usize, packet: &Packet, half: bool) -> Result<(), Stop> {
        let state = &mut self.clients[client];
        if state.closed_by_rule {
            return Err(Stop);
        }
        let Some(connection) = &mut state.connection else {
            // Where the broker has ended it, the history says so already.
            if state.ended.is_none() {
                self.record.noted(Event::Broken(format!("{} is not connected", state.name)));
            }
            return Err(Stop);
        };
        let encoded = if half { connection.send_half(packet) } else { connection.send(packet) };
        match encoded {
            Ok(raw) => {
                state.unsent.push_back(Unsent { packet: packet.clone(), half, raw });
                state.last_sent = Instant::now();
                Ok(())
            }
            Err(error) => {
                self.record.noted(Event::Broken(format!("the {} {error}", packet.name())));
                Err(Stop)
            }
        }
    }

    /// Sends a message of ours.
    pub fn publish(&mut self, client: usize, message: Outgoing<'_>) -> Result<(), Stop> {
        let packet = self.packet_of(client, message)?;
        self.send(client, packet)
    }

    /// The PUBLISH for a message of ours, if the broker takes such a one.
    pub fn packet_of(&mut self, client: usize, message: Outgoing<'_>) -> Result<Packet, Stop> {
        if let Some(why) = self.clients[client].forbidden(message.qos, message.retain) {
            self.record.observed(client, |name| Event::Withheld(name, why));
            return Err(Stop);
        }
        let id = if message.qos > 0 { self.clients[client].next_id() } else { 0 };
        Ok(Packet::Publish(Publish {
            dup: false,
            qos: message.qos,
            retain: message.retain,
            topic: self.names.topic(message.topic),
            id,
            payload: self.names.payload(message.message, message.bytes),
            properties: message.properties,
        }))
    }

    /// Moves packets of all clients until `done`, or until the deadline. What comes behind the packet that ends the wait
    /// is answered by the next one.
    pub async fn pump(&mut self, deadline: Instant, mut done: impl FnMut(&[Client]) -> bool) -> Waited {
        self.drive(deadline, false, |player| done(&player.clients)).await
    }

    /// As [`Player::pump`]; copies of the witness's are looked at as they come, if they are waited for.
    async fn drive(&mut self, deadline: Instant, witness: bool, mut done: impl FnMut(&Self) -> bool) -> Waited {
        let began = Instant::now();
        let waited = loop {
            if done(self) {
                break Waited::Done;
            }
            let Some(client) = self.clients.iter().position(|client| !client.incoming.is_empty()) else {
                self.flush().await;
                if self.happens(deadline, witness).await {
                    continue;
                }
                // What a step waits for by its nature costs no patience.
                if began.elapsed() > self.target.deadline {
                    self.patience = self.patience.saturating_sub(began.elapsed());
                }
                break Waited::Deadline;
            };
            self.handle_next(client);
            let is_over = self.clients[client].connection.is_none();
            if is_over && !self.clients[client].may_end && !done(self) {
                break Waited::Ended(client);
            }
        };
        self.flush().await;
        waited
    }

    /// Waits until something happens that the cell has to look at, a PINGREQ that is due included. False if nothing did
    /// before the deadline.
    async fn happens(&mut self, deadline: Instant, witness: bool) -> bool {
        let ping = self.clients.iter().filter_map(Client::ping_due).min();
        let until = ping.map_or(deadline, |ping| ping.min(deadline));
        let (clients, mailbox) = (&mut self.clients, self.witness.as_mut().filter(|_| witness));
        let happened = timeout_at(until, next_happening(clients, mailbox)).await;
        self.note_hold_ups();
        match happened {
            Ok(Happening::Batch(client, batch)) => {
                self.pulse.hear();
                self.take_in(client, batch);
            }
            Ok(Happening::Sighting(sighting)) => drop(self.record_sighting(sighting)),
            Ok(Happening::NoWitness) => self.witness = None,
            Err(_) => {
                let now = Instant::now();
                let due = |client: &usize| self.clients[*client].ping_due().is_some_and(|due| due <= now);
                let due: Vec<usize> = (0..self.clients.len()).filter(due).collect();
                for client in &due {
                    // A PINGREQ can be encoded, and the connection is there.
                    let _ = self.send(*client, Packet::Pingreq);
                }
                return !due.is_empty() || now < deadline;
            }
        }
        true
    }

    /// Moves packets of all clients until something else is finished.
    pub async fn meanwhile<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut other = pin!(other);
        loop {
            self.flush().await;
            let endless = Instant::now() + ENDLESS;
            tokio::select! {
                biased;
                output = &mut other => return output,
                _ = self.happens(endless, false) => {}
            }
            while let Some(client) = self.clients.iter().position(|client| !client.incoming.is_empty()) {
                self.handle_next(client);
            }
        }
    }

    /// Records that the harness itself was held up, where it was.
    fn note_hold_ups(&mut self) {
        self.pulse.beat();
        for (until, by) in self.pulse.held_up(&mut self.hold_ups) {
            self.record.late(until, by);
        }
    }

    /// Records what was read, and keeps it until it is looked at.
    fn take_in(&mut self, client: usize, batch: Vec<Incoming>) {
        if let Some(lost) = &mut self.clients[client].lost {
            *lost += 1;
            return;
        }
        let at = Instant::now();
        for incoming in batch {
            let mut message = None;
            match &incoming {
                Incoming::Packet(packet, raw) => {
                    message = self.record.received(&self.names, client, at, packet, raw.clone());
                }
                Incoming::Undecodable { bytes, why } => {
                    let event = |name| Event::Undecodable(name, bytes.clone(), why.clone());
                    self.record.observed_at(at, client, event);
                }
                Incoming::End(end) => self.record.observed_at(at, client, |name| Event::Ended(name, *end)),
            }
            self.clients[client].incoming.push_back((incoming, message));
        }
    }

    /// Handles what has come in for a client already.
    pub async fn catch_up(&mut self, client: usize) {
        while !self.clients[client].incoming.is_empty() {
            self.handle_next(client);
        }
        self.flush().await;
    }

    fn handle_next(&mut self, client: usize) {
        if let Some((incoming, message)) = self.clients[client].incoming.pop_front() {
            self.handle(client, incoming, message);
        }
    }

    /// Writes what was sent on all connections, and records what was written.
    pub async fn flush(&mut self) {
        for (index, client) in self.clients.iter_mut().enumerate() {
            let Some(connection) = client.connection.as_mut().filter(|_| !client.unsent.is_empty()) else { continue };
            // What follows from it cannot come earlier than this.
            let at = Instant::now();
            let written = connection.flush().await;
            // The rest never reached the broker.
            for Unsent { packet, half, raw } in client.unsent.drain(..).take(written) {
                match half {
                    false => self.record.sent(&self.names, index, at, &packet, raw),
                    true => self.record.sent_half(&self.names, index, at, &packet, raw),
                }
            }
        }
    }

    /// Waits for the answers that one client is owed. What is missing at the deadline is recorded, and the broker is
    /// asked for a sign of life: only beside one is a missing answer a finding. Without a PUBREL the client goes on: what
    /// becomes of the message is worth to be seen.
    pub async fn answers(&mut self, client: usize) -> Result<(), Stop> {
        let deadline = self.deadline();
        match self.pump(deadline, |clients| clients[client].unanswered.is_empty()).await {
            Waited::Done => Ok(()),
            Waited::Ended(_) => Err(Stop),
            Waited::Deadline => {
                let only_pubrel = self.clients[client]
                    .unanswered
                    .iter()
                    .all(|awaited| matches!(awaited, Awaited::Ack(AckKind::Pubrel, _)));
                let stop = self.missing(client).await;
                let goes_on = only_pubrel && self.clients[client].connection.is_some();
                if goes_on { Ok(()) } else { Err(stop) }
            }
        }
    }

    /// Records the answers that did not come, and asks for a sign of life.
    pub async fn missing(&mut self, client: usize) -> Stop {
        for awaited in std::mem::take(&mut self.clients[client].unanswered) {
            self.record.observed(client, |name| Event::Missing(name, awaited));
        }
        let is_ping = self.record.is_missing(client, Awaited::Pingresp);
        if self.clients[client].connack.is_some() && self.ask_for_a_sign(client, is_ping).is_ok() {
            let deadline = Instant::now() + self.target.deadline;
            self.pump(deadline, |clients| clients[client].unanswered.is_empty()).await;
        }
        Stop
    }

    /// Asks for what a broker that is alive answers: PINGREQ, or SUBSCRIBE where it leaves that without an answer.
    fn ask_for_a_sign(&mut self, client: usize, without_ping: bool) -> Result<(), Stop> {
        if !without_ping {
            return self.send(client, Packet::Pingreq);
        }
        let filters = vec![packet::Filter::new(self.names.topic(SIGN_TOPIC), 0)];
        let id = self.clients[client].next_id();
        self.send(client, Packet::Subscribe(packet::Subscribe { id, filters, subscription_id: None }))
    }

    fn handle(&mut self, client: usize, incoming: Incoming, message: Option<Message>) {
        match incoming {
            Incoming::Packet(packet, _) => {
                self.clients[client].arrivals.extend(message);
                if let (Some(message), Packet::Publish(publish)) = (message, &packet) {
                    self.clients[client].arrived_at.insert((message, publish.qos));
                }
                self.clients[client].seen.extend(message.filter(|message| matches!(message, Message::Experiment(_))));
                self.clients[client].answered(&packet);
                self.clients[client].keep_received(&packet);
                let answer = self.clients[client].answer(&packet);
                match (&packet, answer) {
                    (_, Some(answer)) if !self.clients[client].leaving => {
                        // The connection is there, since the packet came over it, and an answer can be encoded.
                        let _ = self.send(client, answer);
                    }
                    (Packet::Connack(connack), _) => self.clients[client].connack = Some(connack.clone()),
                    (Packet::Suback(suback), _) => self.clients[client].granted = suback.codes.clone(),
                    _ => {}
                }
            }
            Incoming::Undecodable { .. } => {
                // The history says that the client ends its connection at such bytes.
                self.clients[client].ended = Some(End::Reset);
                self.gone(client);
            }
            Incoming::End(end) => {
                self.clients[client].ended = Some(end);
                self.gone(client);
            }
        }
    }

    /// The client's connection is over, by whatever.
    pub fn gone(&mut self, client: usize) {
        self.clients[client].connection = None;
        self.clients[client].gone_since = Some(Instant::now());
    }

    /// Records what the witness has read by now.
    pub fn take_witness_copies(&mut self) {
        while let Some(sighting) = self.witness.as_mut().and_then(Mailbox::take) {
            self.record_sighting(sighting);
        }
    }

    /// Waits until the witness has all of these messages; whether it does by the deadline.
    pub async fn await_witness(&mut self, messages: &[Message], deadline: Instant) -> Waited {
        self.take_witness_copies();
        let has_all = |player: &Self| messages.iter().all(|message| player.witnessed.contains(message));
        let waited = self.drive(deadline, true, |player| player.witness.is_none() || has_all(player)).await;
        if waited == Waited::Done && !has_all(self) { Waited::Deadline } else { waited }
    }

    /// Records what the witness saw of this cell's topics, and notes which message of ours it has.
    fn record_sighting(&mut self, Sighting { at, connection, seen }: Sighting) {
        match seen {
            Seen::Copy(copy, raw) => {
                self.witnessed.extend(self.names.local_payload(&copy.payload).ok());
                let packet = Packet::Publish(copy);
                self.record.witnessed(&self.names, at, connection, &packet, raw);
            }
            Seen::Undecodable(bytes, why) => {
                // It is no proper copy, but it shows that the message was sent on.
                self.witnessed.extend(self.names.message_at_the_end(&bytes));
                self.record.of_witness(at, connection, |name| Event::Undecodable(name, bytes, why));
            }
            Seen::Ended(end) => self.record.of_witness(at, connection, |name| Event::Ended(name, end)),
        }
    }

    /// Leaves in good order wherever a connection is still open.
    async fn close(&mut self) {
        for client in &mut self.clients {
            if let Some(connection) = client.connection.take() {
                connection.leave().await;
            }
        }
    }
}

/// A message to publish.
#[derive(Debug, Clone)]
pub struct Outgoing<'a> {
    pub topic: &'a str,
    pub qos: u8,
    pub retain: bool,
    pub message: Message,
    /// The payload is filled up to so many bytes.
    pub bytes: usize,
    pub properties: Properties,
}

impl<'a> Outgoing<'a> {
    /// A plain message.
    pub fn new(topic: &'a str, qos: u8, message: Message) -> Outgoing<'a> {
        Outgoing { topic, qos, retain: false, message, bytes: 0, properties: Properties::default() }
    }
}

/// Something that a cell waits for.
enum Happening {
    /// What came in on the connection of the client at this place.
    Batch(usize, Vec<Incoming>),
    Sighting(Sighting),
    /// There is no witness any more.
    NoWitness,
}

/// Waits until packets come in on any connection of the cell, or the witness sees something.
async fn next_happening(clients: &mut [Client], mut mailbox: Option<&mut Mailbox>) -> Happening {
    poll_fn(|cx| {
        for (index, client) in clients.iter_mut().enumerate() {
            let connection = client.connection.as_mut().filter(|_| !client.deaf);
            if let Some(Poll::Ready(batch)) = connection.map(|connection| connection.poll_incoming(cx)) {
                return Poll::Ready(Happening::Batch(index, batch));
            }
        }
        match mailbox.as_mut().map(|mailbox| mailbox.poll_next(cx)) {
            Some(Poll::Ready(Some(sighting))) => Poll::Ready(Happening::Sighting(sighting)),
            Some(Poll::Ready(None)) => Poll::Ready(Happening::NoWitness),
            Some(Poll::Pending) | None => Poll::Pending,
        }
    })
    .await
}
