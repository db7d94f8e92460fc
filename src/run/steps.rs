//! What each step of a scenario does, with the proofs that belong to it.

use tokio::time::{Instant, timeout_at};

use super::client::Client;
use super::player::{Outgoing, Player, Stop, Waited};
use super::witness::KEEP_ALIVE_S;
use crate::connection::{Connection, END_AFTER_DISCONNECT};
use crate::history::{Awaited, Event, Message};
use crate::packet::{Filter, Packet, Protocol, Subscribe};
use crate::plan::{Action, Source};

/// How often a message that may legally vanish is sent in all.
pub const COPIES_MAX: u32 = 3;

impl Player<'_> {
    pub async fn step(&mut self, number: usize) -> Result<(), Stop> {
        let step = &self.cell.steps[number];
        let client = step.client;
        match &step.action {
            Action::Connect => self.connect(client).await,
            Action::Subscribe { topic, qos, loop_backs } => {
                self.subscribe(client, &[(topic, *qos)]).await?;
                for source in loop_backs {
                    self.loop_back(client, source).await?;
                }
                Ok(())
            }
            Action::Publish { topic, qos, retain, messages } => {
                self.publish_messages(client, (topic, *qos, *retain), *messages).await
            }
            Action::Receive { fences, last } => self.receive(client, fences, *last).await,
            Action::Disconnect => self.disconnect(client).await,
        }
    }

    /// Opens a connection, sends CONNECT and waits for CONNACK.
    pub async fn connect(&mut self, client: usize) -> Result<(), Stop> {
        let target = self.target;
        // Beyond the broker's listen backlog a SYN is sent again only after a second.
        let _permit = target.connecting.acquire().await;
        let plan = self.clients[client].plan.clone();
        let opened = Connection::open(&target.endpoint, plan.protocol, target.connect_timeout).await;
        let connection = match opened {
            Ok(connection) => connection,
            Err(error) => {
                self.record.observed(client, Event::Unreachable);
                self.record.noted(Event::Broken(super::probe::unreachable(&error, target.connect_timeout)));
                return Err(Stop);
            }
        };
        self.clients[client].connected(connection);
        let client_id = self.names.client_id(client);
        let packet = target.connect(plan.protocol, client_id, plan.clean_session, KEEP_ALIVE_S);
        self.send(client, Packet::Connect(packet))?;
        let deadline = Instant::now() + target.connect_timeout;
        match self.pump(deadline, |clients| clients[client].unanswered.is_empty()).await {
            Waited::Done => self.accepted(client),
            Waited::Ended(_) => Err(Stop),
            Waited::Deadline => Err(self.missing(client).await),
        }
    }

    /// Looks at the CONNACK as the standard orders a client to.
    fn accepted(&mut self, client: usize) -> Result<(), Stop> {
        let state = &mut self.clients[client];
        let Some(connack) = state.connack.as_ref().filter(|connack| connack.code == 0) else {
            state.connection = None;
            return Err(Stop);
        };
        let keeps_state = state.has_session && !state.plan.clean_session;
        // A client without state that is told of a session has to close (5.0, MQTT-3.2.2-4).
        if state.plan.protocol == Protocol::V5 && connack.session_present && !keeps_state {
            state.connection = None;
            self.record.observed(client, Event::Closed);
            return Err(Stop);
        }
        state.has_session = !state.plan.clean_session;
        Ok(())
    }

    /// Sends SUBSCRIBE and waits for SUBACK. A refusal stops the cell.
    pub async fn subscribe(&mut self, client: usize, topics: &[(&str, u8)]) -> Result<(), Stop> {
        let filters = topics.iter().map(|(topic, qos)| Filter { filter: self.names.topic(topic), qos: *qos });
        let packet = Subscribe { id: self.clients[client].next_id(), filters: filters.collect() };
        self.send(client, Packet::Subscribe(packet))?;
        self.answers(client).await?;
        let state = &mut self.clients[client];
        match state.granted {
            Some(granted) if granted < 0x80 => {
                for (topic, asked) in topics {
                    state.subscriptions.retain(|(name, _)| name != topic);
                    // Only the first code is kept; the others can only be lower than what was asked for.
                    state.subscriptions.push(((*topic).into(), granted.min(*asked)));
                }
                Ok(())
            }
            _ => Err(Stop),
        }
    }

    /// Proves that the subscription is in force: a message of the experiment's publisher at the experiment's QoS is
    /// delivered live, and every handshake is finished before the subscriber leaves.
    async fn loop_back(&mut self, client: usize, source: &Source) -> Result<(), Stop> {
        self.loop_backs += 1;
        let message = Message::LoopBack(self.loop_backs);
        let at_qos_0 = source.qos.min(self.clients[client].granted_for(&source.topic).unwrap_or(0)) == 0;
        let deadline = Instant::now() + self.target.deadline;
        for copy in 1..=COPIES_MAX {
            let outgoing = Outgoing { topic: &source.topic, qos: source.qos, retain: false, message, copy };
            self.publish(source.publisher, outgoing)?;
            let again = at_qos_0 && copy < COPIES_MAX;
            let until = if again { Instant::now() + self.settle } else { deadline };
            let done = |clients: &[Client]| {
                clients[client].arrivals.contains(&message)
                    && clients[client].unanswered.is_empty()
                    && clients[source.publisher].unanswered.is_empty()
            };
            match self.pump(until, done).await {
                Waited::Done => return Ok(()),
                Waited::Deadline if again => {}
                Waited::Deadline => break,
                Waited::Ended(ended) if ended == source.publisher => {
                    return Err(self.control(source.publisher, source, false).await);
                }
                Waited::Ended(_) => return Err(Stop),
            }
        }
        self.missing(source.publisher).await;
        Err(self.missing(client).await)
    }

    /// Publishes the experiment's messages, at most a window of them unacknowledged, and waits until the witness has
    /// them.
    async fn publish_messages(&mut self, client: usize, how: (&str, u8, bool), count: u32) -> Result<(), Stop> {
        let (topic, qos, retain) = how;
        let source = Source { publisher: client, topic: topic.into(), qos };
        let deadline = Instant::now() + self.target.deadline;
        for _ in 0..count {
            self.messages += 1;
            let message = Message::Experiment(self.messages);
            self.publish(client, Outgoing { topic, qos, retain, message, copy: 1 })?;
            let window = self.clients[client].window();
            if self.clients[client].unacknowledged() >= window {
                let room = |clients: &[Client]| clients[client].unacknowledged() < window;
                match self.pump(deadline, room).await {
                    Waited::Done => {}
                    Waited::Ended(_) => return Err(self.control(client, &source, retain).await),
                    Waited::Deadline => return Err(self.missing(client).await),
                }
            }
        }
        if qos == 0 {
            self.send(client, Packet::Pingreq)?;
        }
        match self.pump(deadline, |clients| clients[client].unanswered.is_empty()).await {
            Waited::Done => {}
            Waited::Ended(_) => return Err(self.control(client, &source, retain).await),
            Waited::Deadline => return Err(self.missing(client).await),
        }
        self.await_witness(count).await;
        Ok(())
    }

    /// Waits until the witness has what was just published, for a short time: it may legally never come.
    async fn await_witness(&mut self, count: u32) {
        let deadline = Instant::now() + self.settle.max(self.target.deadline / 10);
        let mut seen = self.take_witness_copies();
        while seen < count {
            let Some(mailbox) = self.witness.as_mut() else { return };
            match timeout_at(deadline, mailbox.next()).await {
                Ok(Some(copy)) => seen += u32::from(self.record_witness_copy(copy)),
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// The broker ended the publisher's connection on a PUBLISH. Is it the feature that it does not want? The same
    /// publisher sends a message without it on the same topic.
    async fn control(&mut self, publisher: usize, source: &Source, retain: bool) -> Stop {
        // A plain message at QoS 0 has no feature that a broker could refuse.
        if source.qos == 0 && !retain {
            return Stop;
        }
        let qos = if retain { source.qos } else { 0 };
        self.loop_backs += 1;
        let message = Message::LoopBack(self.loop_backs);
        let outgoing = Outgoing { topic: &source.topic, qos, retain: false, message, copy: 1 };
        if self.connect(publisher).await.is_ok() && self.publish(publisher, outgoing).is_ok() {
            // Where this fails too the history says so, and the cell is over anyway.
            let _ = self.send(publisher, Packet::Pingreq);
            let _ = self.answers(publisher).await;
            // Whoever is online gets it too, and has it in every run or in none.
            let arrived = |client: &Client| {
                client.connection.is_none()
                    || client.granted_for(&source.topic).is_none()
                    || client.arrivals.contains(&message)
            };
            self.pump(Instant::now() + self.settle, |clients| clients.iter().all(arrived)).await;
        }
        Stop
    }

    /// Sends DISCONNECT and waits until the broker has ended the connection: only then is the client really gone.
    async fn disconnect(&mut self, client: usize) -> Result<(), Stop> {
        self.send(client, Packet::Disconnect { reason: 0 })?;
        self.clients[client].leaving = true;
        let deadline = Instant::now() + self.target.deadline;
        let gone = |clients: &[Client]| clients[client].connection.is_none();
        let mut waited = self.pump(Instant::now() + END_AFTER_DISCONNECT, gone).await;
        if waited == Waited::Deadline {
            if let Some(connection) = &mut self.clients[client].connection {
                connection.half_close().await;
            }
            waited = self.pump(deadline, gone).await;
        }
        match waited {
            Waited::Done => {}
            Waited::Ended(_) => return Err(Stop),
            Waited::Deadline => {
                let awaited = Awaited { packet: "end".into(), id: None };
                self.record.observed(client, |name| Event::Missing(name, awaited));
                self.clients[client].connection = None;
            }
        }
        // The connection gone is not the session detached: a later attempt gives the broker time for that.
        if self.attempt > 1 {
            self.pump(Instant::now() + self.settle, |_| false).await;
            self.record.observed(client, Event::Settled);
        }
        Ok(())
    }
}
