//! Plays one attempt at one cell: moves packets, acknowledges them, and writes everything down.
//!
//! This file is the machinery (sending, receiving, waiting); what a step does stands in [`super::steps`], and how the
//! player proves that nothing more will come in [`super::receive`].

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::Target;
use super::client::{Client, answer};
use super::names::Names;
use super::record::Record;
use super::witness::Mailbox;
use crate::connection::Incoming;
use crate::history::{Event, History, Message};
use crate::packet::{Packet, Publish};
use crate::plan::Cell;

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
    /// How long a cell that is about to say "absent" stays open.
    pub settle: Duration,
    pub attempt: u32,
    /// How many loop-backs, fences and messages of the experiment were numbered so far.
    pub loop_backs: u32,
    pub fences: u32,
    pub messages: u32,
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
        Ok(())
    }

    /// Sends a message of ours.
    pub fn publish(&mut self, client: usize, message: Outgoing<'_>) -> Result<(), Stop> {
        if let Some(why) = self.clients[client].forbidden(message.qos, message.retain) {
            self.record.observed(client, |name| Event::Withheld(name, why));
            return Err(Stop);
        }
        let id = if message.qos > 0 { self.clients[client].next_id() } else { 0 };
        let packet = Publish {
            dup: false,
            qos: message.qos,
            retain: message.retain,
            topic: self.names.topic(message.topic),
            id,
            payload: self.names.payload(message.message, message.copy),
        };
        self.send(client, Packet::Publish(packet))
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
            if self.clients[client].connection.is_none() {
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

    async fn flush(&mut self) {
        for connection in self.clients.iter_mut().filter_map(|client| client.connection.as_mut()) {
            connection.flush().await;
        }
    }

    /// Waits for the answers that one client is owed. What is missing at the deadline is recorded, and the broker is
    /// asked for a sign of life: only beside one is a missing answer a finding.
    pub async fn answers(&mut self, client: usize) -> Result<(), Stop> {
        let deadline = Instant::now() + self.target.deadline;
        match self.pump(deadline, |clients| clients[client].unanswered.is_empty()).await {
            Waited::Done => Ok(()),
            Waited::Ended(_) => Err(Stop),
            Waited::Deadline => Err(self.missing(client).await),
        }
    }

    /// Records the answers that did not come, and asks for a sign of life.
    pub async fn missing(&mut self, client: usize) -> Stop {
        for awaited in std::mem::take(&mut self.clients[client].unanswered) {
            self.record.observed(client, |name| Event::Missing(name, awaited));
        }
        if self.clients[client].connack.is_some() && self.send(client, Packet::Pingreq).is_ok() {
            let deadline = Instant::now() + self.target.deadline;
            self.pump(deadline, |clients| clients[client].unanswered.is_empty()).await;
        }
        Stop
    }

    fn handle(&mut self, client: usize, incoming: Incoming) {
        match incoming {
            Incoming::Packet(packet) => {
                let message = self.record.received(&self.names, client, &packet);
                self.clients[client].arrivals.extend(message);
                self.clients[client].seen.extend(message.filter(|message| matches!(message, Message::Experiment(_))));
                self.clients[client].answered(&packet);
                match (&packet, answer(&packet)) {
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
                self.clients[client].connection = None;
            }
            Incoming::End(end) => {
                self.record.observed(client, |name| Event::Ended(name, end));
                self.clients[client].ended = Some(end);
                self.clients[client].connection = None;
            }
        }
    }

    /// Records the copies of the experiment's messages that the witness has by now.
    pub fn take_witness_copies(&mut self) -> u32 {
        let mut count = 0;
        while let Some(copy) = self.witness.as_mut().and_then(Mailbox::take) {
            count += u32::from(self.record_witness_copy(copy));
        }
        count
    }

    /// Loop-backs and fences are left out: their proof is at the subscriber.
    pub fn record_witness_copy(&mut self, copy: Publish) -> bool {
        let ours = matches!(self.names.local_payload(&copy.payload), Ok((Message::Experiment(_), _)));
        if ours {
            self.record.received(&self.names, self.record.witness(), &Packet::Publish(copy));
        }
        ours
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
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    pub topic: &'a str,
    pub qos: u8,
    pub retain: bool,
    pub message: Message,
    /// From 1; what may legally vanish is sent again with the next number.
    pub copy: u32,
}

/// Waits until packets come in on any connection of the cell, and says on whose.
async fn next_batch(clients: &mut [Client]) -> usize {
    poll_fn(|cx| {
        for (index, client) in clients.iter_mut().enumerate() {
            if let Some(Poll::Ready(batch)) = client.connection.as_mut().map(|connection| connection.poll_incoming(cx))
            {
                client.incoming.extend(batch);
                return Poll::Ready(index);
            }
        }
        Poll::Pending
    })
    .await
}
