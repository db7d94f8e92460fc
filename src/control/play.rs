//! One cell, played by rumqttc: its steps in their order, and what the library showed of them as a history.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use rumqttc::{ConnectReturnCode, ConnectionError, MqttOptions, QoS, SubscribeReasonCode};

use super::Connection;
use crate::connection::End;
use crate::history::{Client, Event, History, PROOF_WILL_TOPIC};
use crate::packet::{self, AckKind, Connack, Filter, Login, Packet, Protocol, Publish, Suback};
use crate::plan::{Action, Cell, Connect, Publication, Source, Will};
use crate::run::{self, Prefix, Target};
use crate::scenario::Answers;

/// Where a cell is played, and under which names.
pub struct Stage {
    pub address: SocketAddr,
    /// Who logs in, and how long an answer is waited for.
    pub target: Target,
    /// How long nothing must have come before nothing more is expected.
    pub quiet: Duration,
    pub prefix: Prefix,
    /// What tells the cell's names from all others.
    pub tag: String,
}

/// Why rumqttc cannot play this cell, if it cannot.
pub fn cannot_play(cell: &Cell) -> Option<String> {
    if cell.clients.iter().any(|client| client.protocol != Protocol::V3) {
        return Some("rumqttc has another client for 5.0".into());
    }
    let is_proof = |will: &Will| will.topic == PROOF_WILL_TOPIC;
    cell.steps.iter().find_map(|step| match &step.action {
        Action::Connect(Connect { clean: false, .. }) if cell.clients[step.client].client_id.is_none() => {
            Some("rumqttc asks for no persistent session without an id".into())
        }
        Action::Connect(Connect { will, .. }) if will.as_ref().is_none_or(is_proof) => None,
        Action::Publish(Publication { until: Some(_), .. }) => {
            Some("rumqttc reads PUBACK by itself and cannot be cut before it".into())
        }
        Action::Publish(Publication { empty: false, bytes: None, .. }) | Action::Disconnect { .. } => None,
        Action::Subscribe { filters, .. } if filters.len() == 1 => None,
        Action::Receive { answers: Answers::All, until: None, .. } => None,
        other => Some(format!("rumqttc cannot do `{}` as this step asks", other.verb())),
    })
}

/// Plays the cell.
///
/// # Errors
/// Why it could not be played to its end.
pub async fn play(cell: &Cell, stage: &Stage) -> Result<History> {
    let connections = cell.clients.iter().map(|_| None).collect();
    let mut player = Player { cell, stage, connections, messages: 0, events: Vec::new() };
    for number in 0..cell.steps.len() {
        player.events.push(Event::Step(cell.step_line(number)));
        let played = player.step(number).await.with_context(|| format!("step {}", cell.step_line(number)))?;
        if !played {
            break;
        }
    }
    for connection in player.connections.into_iter().flatten() {
        // Whoever cannot leave in good order is gone when it is dropped.
        let _ = connection.leave().await;
    }
    Ok(History::of(player.events))
}

struct Player<'a> {
    cell: &'a Cell,
    stage: &'a Stage,
    /// By the place of the client.
    connections: Vec<Option<Connection>>,
    /// How many of the experiment's messages were published.
    messages: u32,
    events: Vec<Event>,
}

impl Player<'_> {
    /// Takes a step; whether the next one can follow.
    async fn step(&mut self, number: usize) -> Result<bool> {
        let step = &self.cell.steps[number];
        let client = step.client;
        match &step.action {
            Action::Connect(connect) => return self.connect(client, connect).await,
            Action::Subscribe { filters, .. } => self.subscribe(client, filters).await?,
            Action::Publish(publication) => self.publish(client, publication).await?,
            Action::Receive { fences, .. } => self.receive(client, fences).await?,
            Action::Disconnect { .. } => {
                let connection = self.connections[client].take().context("it is not connected")?;
                connection.leave().await?;
            }
            // A cell with one of these is not played.
            Action::Unsubscribe { .. }
            | Action::Cut { .. }
            | Action::Silence
            | Action::Stall
            | Action::Race { .. }
            | Action::Wait { .. }
            | Action::Broker(_) => {}
        }
        Ok(true)
    }

    async fn connect(&mut self, client: usize, connect: &Connect) -> Result<bool> {
        let id = self.cell.clients[client].client_id;
        let options = self.options(client, id.map_or(String::new(), |place| self.client_id(place)), connect.clean);
        let opened = Connection::open_with(options, self.stage.target.deadline).await;
        let connack = match &opened {
            Ok(connection) => Connack { session_present: connection.session_present, ..Connack::default() },
            Err(error) => match refusal(error) {
                Some(code) => Connack { code, ..Connack::default() },
                None => return opened.map(|_| false),
            },
        };
        self.received(client, Packet::Connack(connack));
        let Ok(connection) = opened else {
            self.events.push(Event::Ended(self.name(client), End::Fin));
            return Ok(false);
        };
        self.connections[client] = Some(connection);
        for other in (0..self.connections.len()).filter(|other| *other != client) {
            if id.is_some() && self.cell.clients[other].client_id == id && self.connections[other].is_some() {
                let older = self.connections[other].take().context("it is not connected")?;
                older.end().await.context("another client has its id")?;
                self.events.push(Event::Ended(self.name(other), End::Fin));
            }
        }
        Ok(true)
    }

    fn options(&self, client: usize, id: String, clean: bool) -> MqttOptions {
        let mut options = MqttOptions::new(id, self.stage.address.ip().to_string(), self.stage.address.port());
        options.set_clean_session(clean);
        if let Some(Login { user, password }) = self.stage.target.login_of(self.cell.role(client)) {
            options.set_credentials(user, password);
        }
        options
    }

    async fn subscribe(&mut self, client: usize, filters: &[Filter]) -> Result<()> {
        for filter in filters {
            let topic = self.topic(&filter.filter);
            let granted = self.connection(client)?.subscribe(&topic, qos(filter.qos)).await?;
            let codes = granted.iter().map(|code| match code {
                SubscribeReasonCode::Success(qos) => *qos as u8,
                SubscribeReasonCode::Failure => 0x80,
            });
            let suback = Suback { id: 1, codes: codes.collect() };
            self.received(client, Packet::Suback(suback));
        }
        Ok(())
    }

    async fn publish(&mut self, client: usize, publication: &Publication) -> Result<()> {
        let topic = self.topic(&publication.topic);
        for _ in 0..publication.messages {
            self.messages += 1;
            let payload = format!("m{}", self.messages);
            self.connection(client)?.publish(&topic, qos(publication.qos), publication.retain, &payload).await?;
            let kind = if publication.qos == 2 { AckKind::Pubcomp } else { AckKind::Puback };
            if publication.qos > 0 {
                self.received(client, Packet::ack(kind, 1));
            }
        }
        let own = format!("{topic}/{client}");
        if publication.qos == 0 { self.connection(client)?.round_trip(&own).await } else { Ok(()) }
    }

    /// Takes what comes until a fence of somebody who published, or of the client's own, and until nothing more comes.
    async fn receive(&mut self, client: usize, fences: &[Source]) -> Result<()> {
        let own = Source { publisher: client, topic: "t".into(), qos: 1 };
        let is_there = |source: &&Source| source.publisher != client && self.connections[source.publisher].is_some();
        let source = fences.iter().find(is_there).unwrap_or(&own);
        let topic = self.topic(&source.topic);
        let mut taker = self.connections[client].take().context("it is not connected")?;
        let mut messages = match &mut self.connections[source.publisher] {
            Some(publisher) => taker.read_to_fence(publisher, &topic, qos(source.qos)).await?,
            None => Vec::new(),
        };
        messages.extend(taker.read_until_quiet(self.stage.quiet).await?);
        self.connections[client] = Some(taker);
        for message in messages {
            let message = Publish {
                dup: message.dup,
                qos: message.qos as u8,
                retain: message.retain,
                topic: message.topic.clone(),
                id: message.pkid,
                payload: message.payload.to_vec(),
                properties: packet::Properties::default(),
            };
            self.received(client, Packet::Publish(message));
        }
        Ok(())
    }

    fn connection(&mut self, client: usize) -> Result<&mut Connection> {
        self.connections[client].as_mut().context("it is not connected")
    }

    fn received(&mut self, client: usize, packet: Packet) {
        self.events.push(Event::Received(self.name(client), packet));
    }

    fn name(&self, client: usize) -> Client {
        self.cell.clients[client].name.as_str().into()
    }

    fn client_id(&self, place: usize) -> String {
        run::client_id(&self.stage.prefix, &self.stage.tag, place)
    }

    fn topic(&self, name: &str) -> String {
        run::topic(&self.stage.prefix, &self.stage.tag, name)
    }
}

fn qos(qos: u8) -> QoS {
    match qos {
        0 => QoS::AtMostOnce,
        1 => QoS::AtLeastOnce,
        _ => QoS::ExactlyOnce,
    }
}

/// The return code with which a broker refused the connection.
fn refusal(error: &anyhow::Error) -> Option<u8> {
    let Some(ConnectionError::ConnectionRefused(code)) = error.downcast_ref() else { return None };
    Some(match code {
        ConnectReturnCode::Success => 0,
        ConnectReturnCode::RefusedProtocolVersion => 1,
        ConnectReturnCode::BadClientId => 2,
        ConnectReturnCode::ServiceUnavailable => 3,
        ConnectReturnCode::BadUserNamePassword => 4,
        ConnectReturnCode::NotAuthorized => 5,
    })
}
