//! Writes down what happens in a cell while it runs, in the scenario's names: every event in the order in which the harness
//! saw it, and nothing left out.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::names::Names;
use crate::history::{Awaited, Client, Entry, Event, History, Message, WITNESS};
use crate::packet::{Connack, Packet, Publish};
use crate::visible::visible;

/// The longest packet of which the bytes are kept.
const RAW_BYTES_MAX: usize = 1024;

/// The growing record of one attempt.
pub struct Record {
    began: Instant,
    /// Those of the scenario, then the witness.
    clients: Vec<Client>,
    /// How many Network Connections each client has opened in this attempt.
    connections: Vec<u32>,
    /// In the order in which they were written down; what the witness saw comes late.
    recorded: Vec<(Instant, Entry)>,
    /// When the current step began, and how many entries there were by then.
    step: (Instant, usize),
    /// The client identifiers that the broker assigned, in the order of their coming: they differ from run to run.
    assigned: Vec<String>,
}

impl Record {
    pub fn new(clients: impl Iterator<Item = String>) -> Record {
        let mut clients: Vec<Client> = clients.map(Arc::from).collect();
        clients.push(Arc::from(WITNESS));
        let began = Instant::now();
        Record {
            began,
            connections: vec![0; clients.len()],
            clients,
            recorded: Vec::new(),
            step: (began, 0),
            assigned: Vec::new(),
        }
    }

    /// Where the witness stands among the clients: last.
    pub fn witness(&self) -> usize {
        self.clients.len() - 1
    }

    /// A step begins.
    pub fn step(&mut self, line: String) {
        let now = Instant::now();
        self.step = (now, self.recorded.len());
        self.write(now, Event::Step(line).into());
    }

    /// The client has a new Network Connection.
    pub fn opened(&mut self, client: usize) {
        self.connections[client] += 1;
    }

    /// The number of the client's latest Network Connection; 0 before the first.
    pub fn connection(&self, client: usize) -> u32 {
        self.connections[client]
    }

    /// As [`Record::connection`], of the witness.
    pub fn connection_of_witness(&self) -> u32 {
        self.connections[self.witness()]
    }

    /// Records a packet that was put on the wire at this time.
    pub fn sent(&mut self, names: &Names, client: usize, at: Instant, packet: &Packet, raw: Bytes) {
        let raw = Some(raw).filter(|_| !matches!(packet, Packet::Connect(_)));
        let (local, _) = localise(names, packet);
        self.push(client, at, Event::Sent(self.clients[client].clone(), local), raw);
    }

    /// Records that only half of a packet was put on the wire.
    pub fn sent_half(&mut self, names: &Names, client: usize, at: Instant, packet: &Packet, raw: Bytes) {
        let raw = Some(raw).filter(|_| !matches!(packet, Packet::Connect(_)));
        let (local, _) = localise(names, packet);
        self.push(client, at, Event::Half(self.clients[client].clone(), local), raw);
    }

    /// Records a packet that was read at this time, and says which message of ours it carries.
    pub fn received(
        &mut self,
        names: &Names,
        client: usize,
        at: Instant,
        packet: &Packet,
        raw: Bytes,
    ) -> Option<Message> {
        let (mut local, message) = localise(names, packet);
        if let Packet::Connack(Connack { assigned_client_id: Some(id), .. }) = &mut local {
            *id = self.local_assigned(names, id);
        }
        self.push(client, at, Event::Received(self.clients[client].clone(), local), Some(names.kept(raw)));
        message
    }

    /// Records a packet that the witness read at this time, on its connection of this number.
    pub fn witnessed(&mut self, names: &Names, at: Instant, connection: u32, packet: &Packet, raw: Bytes) {
        let witness = self.witness();
        self.connections[witness] = connection;
        self.received(names, witness, at, packet, raw);
    }

    /// Records something about the witness's connection of this number that is no packet.
    pub fn of_witness(&mut self, at: Instant, connection: u32, event: impl FnOnce(Client) -> Event) {
        let witness = self.witness();
        self.connections[witness] = connection;
        self.observed_at(at, witness, event);
    }

    /// The client identifiers that the broker assigned: the name in the history, and the one on the wire.
    pub fn assigned(&self) -> impl Iterator<Item = (String, String)> {
        (1..)
            .zip(&self.assigned)
            .map(|(number, id): (usize, &String)| (assigned_name(number), visible(id).into_owned()))
    }

    fn local_assigned(&mut self, names: &Names, id: &str) -> String {
        if let Some(ours) = Some(names.local_client(id)).filter(|local| !local.starts_with('?')) {
            return ours;
        }
        let known = self.assigned.iter().position(|seen| seen == id);
        let place = known.unwrap_or_else(|| {
            self.assigned.push(id.into());
            self.assigned.len() - 1
        });
        assigned_name(place + 1)
    }

    /// Gives two clients each other's latest connections, which were opened in the current step: which of two connections
    /// with one identifier has which name is the harness's own affair.
    pub fn swap(&mut self, one: usize, other: usize) {
        let numbers = [self.connections[one], self.connections[other]];
        let (began, before) = self.step;
        for (_, entry) in self.recorded[before..].iter_mut().filter(|(at, _)| *at >= began) {
            let Some(name) = entry.event.client_mut() else { continue };
            let (now, number) = match () {
                () if *name == self.clients[one] => (other, numbers[1]),
                () if *name == self.clients[other] => (one, numbers[0]),
                () => continue,
            };
            *name = self.clients[now].clone();
            entry.connection = entry.connection.map(|_| number);
        }
    }

    /// Records something about a client, or about its latest connection, that is no packet.
    pub fn observed(&mut self, client: usize, event: impl FnOnce(Client) -> Event) {
        self.observed_at(Instant::now(), client, event);
    }

    /// As [`Record::observed`], at a time that has passed.
    pub fn observed_at(&mut self, at: Instant, client: usize, event: impl FnOnce(Client) -> Event) {
        let event = event(self.clients[client].clone());
        self.push(client, at, event, None);
    }

    /// Records the end of an earlier connection of the client's.
    pub fn closed(&mut self, client: usize, connection: u32, event: impl FnOnce(Client) -> Event) {
        let event = event(self.clients[client].clone());
        self.write(Instant::now(), Entry { connection: Some(connection), ..Entry::from(event) });
    }

    /// True if the last thing recorded of the client is that this answer did not come.
    pub fn is_missing(&self, client: usize, answer: Awaited) -> bool {
        let own = |(_, entry): &&(Instant, Entry)| entry.event.client() == Some(&self.clients[client]);
        let last = self.recorded.iter().filter(own).max_by_key(|(at, _)| *at).map(|(_, entry)| &entry.event);
        matches!(last, Some(Event::Missing(_, awaited)) if *awaited == answer)
    }

    /// Records something of the harness's own.
    pub fn noted(&mut self, event: Event) {
        self.noted_at(Instant::now(), event);
    }

    /// As [`Record::noted`], at a time that has passed.
    pub fn noted_at(&mut self, at: Instant, event: Event) {
        self.write(at, event.into());
    }

    /// The harness was held up until this time.
    pub fn late(&mut self, until: Instant, by: Duration) {
        self.write(until, Event::Late(u32::try_from(by.as_millis()).unwrap_or(u32::MAX)).into());
    }

    /// What was recorded so far, in the order of the times: each entry behind all that happened before it or at the same time.
    pub fn history(&self) -> History {
        let mut sorted: Vec<&(Instant, Entry)> = self.recorded.iter().collect();
        sorted.sort_by_key(|(at, _)| *at);
        History { entries: sorted.into_iter().map(|(_, entry)| entry.clone()).collect() }
    }

    fn push(&mut self, client: usize, at: Instant, event: Event, raw: Option<Bytes>) {
        // An attempt to connect that failed, and a timer, are no connection's.
        let of_connection = !matches!(event, Event::Unreachable(_) | Event::Timed { .. });
        // The bytes of a long packet are worth less than what they take.
        let raw = raw.filter(|raw| raw.len() <= RAW_BYTES_MAX);
        let connection = Some(self.connections[client]).filter(|number| of_connection && *number > 0);
        self.write(at, Entry { time: None, connection, event, raw });
    }

    fn write(&mut self, at: Instant, entry: Entry) {
        let time = Some(at.saturating_duration_since(self.began).into());
        self.recorded.push((at, Entry { time, ..entry }));
    }
}

/// The name in the history of the n-th client identifier that the broker assigned, from 1.
fn assigned_name(number: usize) -> String {
    format!("assigned{number}")
}

/// The packet in the scenario's names, and the message of ours that it carries.
fn localise(names: &Names, packet: &Packet) -> (Packet, Option<Message>) {
    let mut packet = packet.clone();
    let mut carried = None;
    if let Packet::Publish(Publish { properties, .. }) = &mut packet {
        // Some brokers add the client identifier of the publisher.
        for (_, value) in &mut properties.user {
            let local = names.local_client(value);
            if !local.starts_with('?') {
                *value = local;
            }
        }
    }
    match &mut packet {
        Packet::Connect(connect) => {
            connect.client_id = names.local_client(&connect.client_id);
            connect.login = None;
            if let Some(will) = &mut connect.will {
                will.topic = names.local_topic(&will.topic);
                if let Ok(message) = names.local_payload(&will.payload) {
                    will.payload = message.to_string().into_bytes();
                }
            }
        }
        // Behind a Topic Alias the topic itself may be empty.
        Packet::Publish(Publish { topic, payload, .. }) if payload.is_empty() => *topic = names.local_topic(topic),
        Packet::Publish(Publish { topic, payload, .. }) => {
            *topic = names.local_topic(topic);
            match names.local_payload(payload) {
                Ok(message) => {
                    *payload = names.history_payload(message, payload);
                    carried = Some(message);
                }
                Err(foreign) => *payload = foreign,
            }
        }
        Packet::Subscribe(subscribe) => {
            subscribe.filters.iter_mut().for_each(|filter| filter.filter = names.local_topic(&filter.filter));
        }
        Packet::Unsubscribe(unsubscribe) => {
            unsubscribe.filters.iter_mut().for_each(|filter| *filter = names.local_topic(filter));
        }
        _ => {}
    }
    (packet, carried)
}
