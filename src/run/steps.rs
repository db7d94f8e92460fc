//! What each step of a scenario does, with the proofs that belong to it. How clients go away stands in
//! [`super::endings`], how they receive in [`super::receive`], what they publish in [`super::publish`].

use std::time::Duration;

use tokio::time::Instant;

use super::allowance::longest_packet;
use super::client::{Client, Subscribed};
use super::player::{Outgoing, Player, Stop, Waited};
use crate::connection::{Connection, End};
use crate::history::{Awaited, Event, Message, PROOF_WILL_TOPIC};
use crate::packet::{self, Filter, Packet, Protocol, Subscribe, Unsubscribe};
use crate::plan::{Action, Connect, Source, Will};
use crate::scenario::{Answers, Timer};
use crate::session_rules::{LONG_EXPIRY_S, is_failure};

/// How many messages are sent in all where each may legally vanish and any of them serves.
pub const TRIES_MAX: u32 = 3;

impl Player<'_> {
    pub async fn step(&mut self, number: usize) -> Result<(), Stop> {
        let step = &self.cell.steps[number];
        let client = step.client;
        match &step.action {
            Action::Connect(connect) => {
                self.connect(client, connect).await?;
                self.resend(client).await
            }
            Action::Subscribe { filters, identifier, loop_backs } => {
                self.subscribe(client, filters, *identifier).await?;
                for source in loop_backs {
                    self.loop_back(client, source).await?;
                }
                Ok(())
            }
            Action::Unsubscribe { filter } => self.unsubscribe(client, vec![filter.clone()]).await,
            Action::Publish(publication) => self.publish_messages(client, publication).await,
            Action::Receive { until: Some(until), .. } => self.receive_until(client, *until).await,
            Action::Receive { answers, until: None, fences, last } => {
                self.receive(client, *answers, fences, *last).await
            }
            Action::Disconnect { with_will, session_expiry } => {
                self.disconnect(client, *with_will, *session_expiry).await
            }
            Action::Cut { how } => self.cut(client, *how).await,
            Action::Silence => self.silence(client).await,
            Action::Stall => self.stall(client).await,
            Action::Race { stays, node, connect } => self.race((client, *node), *stays, connect).await,
            Action::Broker(operation) => self.operate(*operation).await,
            Action::Wait { seconds, early: true, .. } => self.wait_almost(*seconds).await,
            Action::Wait { timer, seconds, early: false } => self.wait(client, *timer, *seconds).await,
        }
    }

    /// Opens a connection, sends CONNECT and waits for CONNACK.
    pub async fn connect(&mut self, client: usize, connect: &Connect) -> Result<(), Stop> {
        let target = self.target;
        let before_it = self.record.connection(client);
        let connection = self.open(client, connect.node).await?;
        // To the client its old connection is over; the broker learns of it by the new one.
        let stalled = self.clients[client].stalled.take();
        let gone_since = self.clients[client].gone_since.take();
        let before = self.clients[client].connect.clone();
        let older = self.take_over(client);
        self.clients[client].connected(connection, connect);
        let packet = self.connect_packet(client, connect);
        self.send(client, Packet::Connect(packet))?;
        let deadline = Instant::now() + target.connect_timeout.max(self.patience_for_all());
        match self.pump(deadline, |clients| clients[client].unanswered.is_empty()).await {
            Waited::Done => {}
            Waited::Ended(_) => {
                if self.clients[client].connack.is_some() {
                    return Err(Stop);
                }
                self.look_for_the_broker(client).await;
                if connect.will.is_none() {
                    return Err(Stop);
                }
                self.clients[client].connect = before;
                return Box::pin(self.without_its_will(client, connect, gone_since)).await;
            }
            Waited::Deadline => return Err(self.missing(client).await),
        }
        if connect.will.is_some() && self.clients[client].connack.as_ref().is_some_and(|connack| connack.code != 0) {
            // What was refused has changed nothing about the session.
            self.clients[client].connect = before;
            return Box::pin(self.without_its_will(client, connect, gone_since)).await;
        }
        if let Some(older) = older {
            self.note_takeover(client, older);
        } else if let (Some(before), Some(since)) = (before, gone_since) {
            self.note_timers(client, &before, since.elapsed());
        }
        self.accepted(client).await?;
        if let Some(stalled) = stalled {
            stalled.cut(End::Reset).await;
            self.record.closed(client, before_it, |name| Event::Closed(name, End::Reset));
        }
        match older {
            Some(older) => self.await_takeover(older).await,
            None => Ok(()),
        }
    }

    /// Opens a Network Connection to a node for a client.
    pub async fn open(&mut self, client: usize, node: u32) -> Result<Connection, Stop> {
        let target = self.target;
        let protocol = self.clients[client].plan.protocol;
        let endpoint = target.node(node);
        let is_first = (0..self.clients.len()).all(|client| self.record.connection(client) == 0);
        let opening = async {
            let _turn = if is_first { target.turns.next_for_first().await } else { target.turns.next().await };
            Connection::open(endpoint, protocol, target.connect_timeout).await
        };
        let longest = longest_packet(self.cell);
        match self.meanwhile(opening).await {
            Ok(mut connection) => {
                if endpoint.has_handshake() {
                    self.pulse.hear();
                }
                connection.read_up_to(longest);
                self.record.opened(client);
                self.clients[client].node = node;
                if target.nodes() > 1 {
                    self.record.observed(client, |name| Event::AtNode(name, node));
                }
                Ok(connection)
            }
            Err(error) => {
                self.record.observed(client, Event::Unreachable);
                self.record.noted(Event::Broken(error.to_string()));
                Err(Stop)
            }
        }
    }

    /// The CONNECT was refused, perhaps for its will: a will that is there only to prove the end of the connection is
    /// tried at QoS 0, and any other is left out, to show that it was the will.
    async fn without_its_will(
        &mut self,
        client: usize,
        connect: &Connect,
        gone_since: Option<Instant>,
    ) -> Result<(), Stop> {
        self.hang_up(client);
        // The timers of the session run on.
        self.clients[client].gone_since = gone_since;
        let is_proof = |will: &&Will| will.topic == PROOF_WILL_TOPIC;
        let lesser = connect.will.as_ref().filter(is_proof).filter(|will| will.qos > 0);
        let will = lesser.map(|will| Will { qos: 0, ..will.clone() });
        let goes_on = will.is_some();
        self.connect(client, &Connect { will, ..connect.clone() }).await?;
        if goes_on { Ok(()) } else { Err(Stop) }
    }

    pub fn connect_packet(&mut self, client: usize, connect: &Connect) -> packet::Connect {
        let mut packet = packet::Connect {
            clean: connect.clean,
            session_expiry: connect.session_expiry,
            receive_maximum: connect.receive_maximum,
            maximum_packet_size: connect.maximum_packet_size,
            topic_alias_maximum: connect.topic_alias_maximum,
            keep_alive: connect.keep_alive,
            login: self.target.login_of(self.cell.role(client)).cloned(),
            ..packet::Connect::new(self.clients[client].plan.protocol, self.names.client_id(client))
        };
        self.clients[client].will = None;
        if let Some(will) = &connect.will {
            self.wills += 1;
            let message = Message::Will(self.wills);
            self.clients[client].will = Some(message);
            packet.will = Some(packet::Will {
                topic: self.names.topic(&will.topic),
                payload: self.names.payload(message, 0),
                qos: will.qos,
                retain: will.retain,
                delay: will.delay,
            });
        }
        packet
    }

    /// Records what the clock says about the timers that ran while the client was away. A session of an hour needs no
    /// clock.
    pub fn note_timers(&mut self, client: usize, before: &Connect, elapsed: Duration) {
        let of_will = before.will.as_ref().and_then(|will| will.delay).map(|delay| (Timer::WillDelay, delay));
        let of_session = before.session_expiry.filter(|seconds| *seconds < LONG_EXPIRY_S);
        let timers = of_will.into_iter().chain(of_session.map(|seconds| (Timer::SessionExpiry, seconds)));
        for (timer, seconds) in timers.filter(|(_, seconds)| *seconds > 0 && elapsed.as_secs() < u64::from(*seconds)) {
            self.record.observed(client, |client| Event::Timed { client, timer, seconds, passed: false });
        }
    }

    /// Looks at the CONNACK as the standard orders a client to.
    pub async fn accepted(&mut self, client: usize) -> Result<(), Stop> {
        let state = &mut self.clients[client];
        let Some(connack) = state.connack.clone().filter(|connack| connack.code == 0) else {
            if state.must_be_refused() {
                self.await_end_of_refused(client).await;
                return Ok(());
            }
            self.hang_up(client);
            return Err(Stop);
        };
        // A client without state that is told of a session has to close (5.0, MQTT-3.2.2-4).
        if state.plan.protocol == Protocol::V5 && connack.session_present && !state.has_session {
            self.hang_up(client);
            // What others do may still tell whose session it was.
            self.clients[client].closed_by_rule = true;
            return Ok(());
        }
        if !connack.session_present {
            // What the client kept belonged to a session that is not there (5.0, MQTT-3.2.2-5).
            state.outbox.clear();
        }
        state.has_session = state.session_persists();
        Ok(())
    }

    /// The client has asked for what a broker must refuse, and was refused: the connection has to end, and other clients
    /// go on.
    async fn await_end_of_refused(&mut self, client: usize) {
        self.clients[client].may_end = true;
        let deadline = self.deadline();
        if self.pump(deadline, |clients| clients[client].connection.is_none()).await == Waited::Deadline {
            self.record.observed(client, |name| Event::Missing(name, Awaited::ConnectionEnd));
            self.hang_up(client);
        }
    }

    /// Sends again what the session before left without an answer (MQTT-4.4.0-1).
    async fn resend(&mut self, client: usize) -> Result<(), Stop> {
        let packets = self.clients[client].to_resend();
        if packets.is_empty() {
            return Ok(());
        }
        for packet in packets {
            self.send(client, packet)?;
        }
        // What is done with it belongs to this step.
        self.answers(client).await
    }

    /// Sends SUBSCRIBE and waits for SUBACK. A refusal stops the cell.
    pub async fn subscribe(&mut self, client: usize, filters: &[Filter], identifier: Option<u32>) -> Result<(), Stop> {
        if let Some(why) = self.clients[client].unavailable(filters, identifier) {
            self.record.observed(client, |name| Event::Withheld(name, why));
            return Err(Stop);
        }
        let on_wire =
            filters.iter().map(|filter| Filter { filter: self.names.topic(&filter.filter), ..filter.clone() });
        let packet =
            Subscribe { id: self.clients[client].next_id(), subscription_id: identifier, filters: on_wire.collect() };
        self.send(client, Packet::Subscribe(packet))?;
        self.answers(client).await?;
        let state = &mut self.clients[client];
        if state.granted.len() != filters.len() || state.granted.iter().any(|code| is_failure(*code)) {
            return Err(Stop);
        }
        for (filter, granted) in filters.iter().zip(&state.granted) {
            state.subscriptions.retain(|subscribed| subscribed.filter.filter != filter.filter);
            state.subscriptions.push(Subscribed { filter: filter.clone(), granted: *granted });
        }
        Ok(())
    }

    /// Sends UNSUBSCRIBE and waits for UNSUBACK.
    pub async fn unsubscribe(&mut self, client: usize, filters: Vec<String>) -> Result<(), Stop> {
        self.clients[client].subscriptions.retain(|subscribed| !filters.contains(&subscribed.filter.filter));
        let on_wire = filters.iter().map(|filter| self.names.topic(filter)).collect();
        let id = self.clients[client].next_id();
        self.send(client, Packet::Unsubscribe(Unsubscribe { id, filters: on_wire }))?;
        self.answers(client).await
    }

    /// Proves that the subscription is in force: a message of the experiment's publisher at the experiment's QoS is
    /// delivered live, and every handshake is finished before the subscriber leaves.
    async fn loop_back(&mut self, client: usize, source: &Source) -> Result<(), Stop> {
        let at_qos_0 = source.qos.min(self.clients[client].granted_for(&source.topic).unwrap_or(0)) == 0;
        // Another node may not have heard of the subscription yet.
        let may_vanish = at_qos_0 || self.clients[client].node != self.clients[source.publisher].node;
        let deadline = self.deadline();
        let mut messages = Vec::new();
        for number in 1..=TRIES_MAX {
            self.loop_backs += 1;
            let message = Message::LoopBack(self.loop_backs);
            messages.push(message);
            self.publish(source.publisher, Outgoing::new(&source.topic, source.qos, message))?;
            let again = may_vanish && number < TRIES_MAX;
            let until = if again { Instant::now() + self.vanished_after() } else { deadline };
            let done = |clients: &[Client]| {
                messages.iter().any(|message| clients[client].arrivals.contains(message))
                    && clients[client].unanswered.is_empty()
                    && clients[source.publisher].unanswered.is_empty()
            };
            match self.pump(until, done).await {
                Waited::Done => {
                    self.let_others_finish(source, &messages).await;
                    return Ok(());
                }
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

    /// Others who are there get the loop-back too, and are not to leave in the middle of its handshake.
    async fn let_others_finish(&mut self, source: &Source, messages: &[Message]) {
        let publisher = self.clients[source.publisher].plan.client_id;
        let done = |client: &Client| {
            let granted = match client.plan.client_id == publisher {
                true => client.granted_for_own(&source.topic),
                false => client.granted_for(&source.topic),
            };
            let reads = client.connection.is_some() && client.lost.is_none() && client.answers == Answers::All;
            let is_owed = granted.is_some_and(|granted| granted.min(source.qos) > 0);
            let has_come = messages.iter().any(|message| client.arrivals.contains(message));
            !reads || !is_owed || has_come && client.unanswered.is_empty()
        };
        // What is wrong with their delivery shows in the steps that ask about them.
        let until = Instant::now() + self.vanished_after();
        self.pump(until, |clients| clients.iter().all(done)).await;
    }
}
