//! Plays one attempt at one cell: moves packets, acknowledges them, and writes everything down.
//!
//! This file is the machinery (sending, receiving, waiting); what a step does stands in [`super::steps`], and how the
//! player proves that nothing more will come in [`super::receive`].

use std::collections::HashSet;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::Target;
use super::client::Client;
use super::names::Names;
use super::record::Record;
use super::witness::Mailbox;
use crate::connection::Incoming;
use crate::history::{Awaited, Event, History, Message};
use crate::packet::{self, AckKind, Packet, Properties, Publish};
use crate::plan::Cell;

/// The topic of a SUBSCRIBE that only asks for its answer.
const SIGN_TOPIC: &str = "fence";
/// The shortest wait for a message that is expected to come.
const PATIENCE_MIN: Duration = Duration::from_millis(100);

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
    pub attempt: u32,
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

    /// How long a message that may legally vanish is waited for before it is sent again, and a fence before another kind
    /// is tried. It ends with the arrival, so a settle window of 0 need not cut it short.
    pub fn patience(&self) -> Duration {
        self.settle.max(PATIENCE_MIN)
    }

    /// Sends a packet with the next [`Player::pump`], and notes the answer that is due.
    pub fn send(&mut self, client: usize, packet: Packet) -> Result<(), Stop> {
        if self.clients[client].closed_by_rule {
            return Err(Stop);
        }
        let Some(connection) = &mut self.clients[client].connection else {
            self.record.noted(Event::Broken(format!("{} is not connected", self.clients[client].name)));
            return Err(Stop);
        };
        if let Err(error) = connection.send(&packet) {
            self.record.noted(Event::Broken(format!("the {} {error}", packet.name())));
            return Err(Stop);
        }
        self.record.sent(&self.names, client, &packet);
        self.clients[client].expect_answer(&packet);
        self.clients[client].keep_sent(&packet);
        Ok(())
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
            payload: self.names.payload(message.message, message.copy, message.bytes),
            properties: message.properties,
        }))
    }

    /// Moves packets of all clients until `done`, or until the deadline. What comes behind the packet that ends the wait
    /// is left for the next one, so that it stands in the same step however the broker cuts its segments.
    pub async fn pump(&mut self, deadline: Instant, mut done: impl FnMut(&[Client]) -> bool) -> Waited {
        let waited = loop {
            if done(&self.clients) {
                break Waited::Done;
            }
            let client = match self.clients.iter().position(|client| !client.incoming.is_empty()) {
                Some(client) => client,
                None => {
                    self.flush().await;
                    match timeout_at(deadline, next_batch(&mut self.clients)).await {
                        Ok(client) => client,
                        Err(_) => break Waited::Deadline,
                    }
                }
            };
            self.handle_next(client);
            let is_over = self.clients[client].connection.is_none();
            if is_over && (!self.clients[client].may_end || done(&self.clients)) {
                break if done(&self.clients) { Waited::Done } else { Waited::Ended(client) };
            }
        };
        self.flush().await;
        waited
    }

    /// Handles what has come in for a client already.
    pub async fn catch_up(&mut self, client: usize) {
        while !self.clients[client].incoming.is_empty() {
            self.handle_next(client);
        }
        self.flush().await;
    }

    fn handle_next(&mut self, client: usize) {
        if let Some(incoming) = self.clients[client].incoming.pop_front() {
            self.handle(client, incoming);
        }
    }

    /// Writes what was sent on all connections.
    pub async fn flush(&mut self) {
        for connection in self.clients.iter_mut().filter_map(|client| client.connection.as_mut()) {
            connection.flush().await;
        }
    }

    /// Waits for the answers that one client is owed. What is missing at the deadline is recorded, and the broker is
    /// asked for a sign of life: only beside one is a missing answer a finding. Without a PUBREL the client goes on: what
    /// becomes of the message is worth to be seen.
    pub async fn answers(&mut self, client: usize) -> Result<(), Stop> {
        let deadline = Instant::now() + self.target.deadline;
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

    fn handle(&mut self, client: usize, incoming: Incoming) {
        match incoming {
            Incoming::Packet(packet) => {
                let message = self.record.received(&self.names, client, &packet);
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
            Incoming::Undecodable { bytes, .. } => {
                self.record.observed(client, |name| Event::Undecodable(name, bytes));
                self.gone(client);
            }
            Incoming::End(end) => {
                self.record.observed(client, |name| Event::Ended(name, end));
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

    /// Records the copies of the experiment's messages that the witness has by now.
    pub fn take_witness_copies(&mut self) {
        while let Some(copy) = self.witness.as_mut().and_then(Mailbox::take) {
            self.record_witness_copy(copy);
        }
    }

    /// Waits until the witness has all of these messages; whether it does by the deadline.
    pub async fn await_witness(&mut self, messages: &[Message], deadline: Instant) -> bool {
        self.take_witness_copies();
        while !messages.iter().all(|message| self.witnessed.contains(message)) {
            let Some(mailbox) = self.witness.as_mut() else { return false };
            match timeout_at(deadline, mailbox.next()).await {
                Ok(Some(copy)) => drop(self.record_witness_copy(copy)),
                Ok(None) | Err(_) => return false,
            }
        }
        true
    }

    /// Records a copy of the witness's, and says which message of ours it is. Loop-backs and fences are left out: their
    /// proof is at the subscriber.
    pub fn record_witness_copy(&mut self, copy: Publish) -> Option<Message> {
        let message = match self.names.local_payload(&copy.payload) {
            Ok((message @ (Message::Experiment(_) | Message::Will(_)), _)) => message,
            _ => return None,
        };
        self.record.received(&self.names, self.record.witness(), &Packet::Publish(copy));
        self.witnessed.insert(message);
        Some(message)
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
    /// From 1; what may legally vanish is sent again with the next number.
    pub copy: u32,
    /// The payload is filled up to so many bytes.
    pub bytes: usize,
    pub properties: Properties,
}

impl<'a> Outgoing<'a> {
    /// The first copy of a plain message.
    pub fn new(topic: &'a str, qos: u8, message: Message) -> Outgoing<'a> {
        Outgoing { topic, qos, retain: false, message, copy: 1, bytes: 0, properties: Properties::default() }
    }
}

/// Waits until packets come in on any connection of the cell, and says on whose.
async fn next_batch(clients: &mut [Client]) -> usize {
    poll_fn(|cx| {
        for (index, client) in clients.iter_mut().enumerate() {
            let connection = client.connection.as_mut().filter(|_| !client.deaf);
            if let Some(Poll::Ready(batch)) = connection.map(|connection| connection.poll_incoming(cx)) {
                client.incoming.extend(batch);
                return Poll::Ready(index);
            }
        }
        Poll::Pending
    })
    .await
}
