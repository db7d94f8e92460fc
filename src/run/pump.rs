//! Moves the packets of a cell: reads and writes on all its connections, answers, keeps them alive, and has all of it
//! written down.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::client::{Client, Unsent};
use super::mailbox::{Mailbox, Seen, Sighting};
use super::player::{Player, Waited};

use crate::connection::{End, Incoming};
use crate::history::{Event, Excess, Message};
use crate::packet::Packet;

/// Longer than any wait.
const ENDLESS: Duration = Duration::from_secs(24 * 3600);

impl Player<'_> {
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
            Ok(Happening::Sighting(sighting)) => self.record_sighting(*sighting),
            Ok(Happening::NoWitness) => self.witness = None,
            Err(_) => {
                let now = Instant::now();
                let due = |client: &usize| self.clients[*client].ping_due().is_some_and(|due| due <= now);
                let due: Vec<usize> = (0..self.clients.len()).filter(due).collect();
                let queued = due.iter().filter(|client| self.queue(**client, &Packet::Pingreq, false).is_ok()).count();
                return queued > 0 || now < deadline;
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
    fn take_in(&mut self, client: usize, mut batch: Vec<Incoming>) {
        if let Some(lost) = &mut self.clients[client].lost {
            *lost += 1;
            batch.retain(|incoming| matches!(incoming, Incoming::End(_)));
        }
        let at = Instant::now();
        for incoming in batch {
            let bytes = if let Incoming::Packet(_, raw) = &incoming { raw.len() } else { 0 };
            if !self.allowances[client].take(bytes) {
                let excess = Excess::Packets(self.allowances[client].taken());
                return self.take_no_more(client, excess);
            }
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
                Incoming::TooLong(bytes) => return self.take_no_more(client, Excess::Packet(*bytes)),
            }
            self.clients[client].incoming.push_back((incoming, message));
        }
    }

    /// More came than the client takes: it looks at nothing more, and closes the connection.
    fn take_no_more(&mut self, client: usize, excess: Excess) {
        self.record.observed(client, |name| Event::WithoutEnd(name, excess));
        self.hang_up(client);
        let state = &mut self.clients[client];
        state.ended = Some(End::Reset);
        state.may_end = false;
        state.incoming.clear();
        // The wait that is under way ends with it.
        state.incoming.push_back((Incoming::End(End::Reset), None));
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
                    (Packet::Connack(connack), _) => {
                        self.clients[client].connack = Some(connack.clone());
                        if connack.code == 0 {
                            self.note_session(client);
                        }
                    }
                    (Packet::Suback(suback), _) => self.clients[client].granted = suback.codes.clone(),
                    _ => {}
                }
            }
            Incoming::Undecodable { .. } => {
                self.clients[client].ended = Some(End::Reset);
                self.hang_up(client);
            }
            // Nothing of it is kept.
            Incoming::TooLong(_) => {}
            Incoming::End(end) => {
                self.clients[client].ended = Some(end);
                self.gone(client);
            }
        }
    }

    /// The client's connection is over, by whatever.
    pub fn gone(&mut self, client: usize) {
        self.clients[client].connection = None;
        self.clients[client].gone_since.get_or_insert_with(Instant::now);
    }

    /// The client ends its connection.
    pub fn hang_up(&mut self, client: usize) {
        if self.clients[client].connection.is_some() {
            self.record.observed(client, |name| Event::Closed(name, End::Fin));
        }
        self.gone(client);
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
        let connection = self.witness_connections + connection;
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
            Seen::WithoutEnd(packets) => {
                self.record.of_witness(at, connection, |name| Event::WithoutEnd(name, Excess::Copies(packets)));
            }
        }
    }
}

/// Something that a cell waits for.
enum Happening {
    /// What came in on the connection of the client at this place.
    Batch(usize, Vec<Incoming>),
    Sighting(Box<Sighting>),
    /// There is no witness any more.
    NoWitness,
}

/// Waits until packets come in on any connection of the cell, or the witness sees something.
async fn next_happening(clients: &mut [Client], mut mailbox: Option<&mut Mailbox>) -> Happening {
    poll_fn(|cx| {
        for (index, client) in clients.iter_mut().enumerate() {
            if let Some(Poll::Ready(batch)) = client.connection.as_mut().map(|connection| connection.poll_incoming(cx))
            {
                return Poll::Ready(Happening::Batch(index, batch));
            }
        }
        match mailbox.as_mut().map(|mailbox| mailbox.poll_next(cx)) {
            Some(Poll::Ready(Some(sighting))) => Poll::Ready(Happening::Sighting(Box::new(sighting))),
            Some(Poll::Ready(None)) => Poll::Ready(Happening::NoWitness),
            Some(Poll::Pending) | None => Poll::Pending,
        }
    })
    .await
}
