//! Writes down what happens in a cell while it runs, in the scenario's names.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::names::Names;
use crate::history::{self, Awaited, Client, Event, History, Message, Recorded, WITNESS};
use crate::packet::{AckKind, Connack, Packet, Publish};

/// The growing record of one attempt.
pub struct Record {
    /// Those of the scenario, then the witness.
    clients: Vec<Client>,
    steps: Vec<String>,
    recorded: Vec<Recorded>,
    /// Which copy of a message a client saw first. Fences and loop-backs at QoS 0 are sent again when they do not come;
    /// the history shows each once.
    copies: HashMap<(usize, Message), u32>,
    /// The handshakes of messages that are left out: client, who chose the Packet Identifier, and the identifier.
    hidden: HashSet<(usize, Side, u16)>,
    /// The client identifiers that the broker assigned, in the order of their coming: they differ from run to run.
    assigned: Vec<String>,
}

/// Who chose a Packet Identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Side {
    Client,
    Broker,
}

impl Record {
    pub fn new(clients: impl Iterator<Item = String>) -> Record {
        let mut clients: Vec<Client> = clients.map(Arc::from).collect();
        clients.push(Arc::from(WITNESS));
        Record {
            clients,
            steps: Vec::new(),
            recorded: Vec::new(),
            copies: HashMap::new(),
            hidden: HashSet::new(),
            assigned: Vec::new(),
        }
    }

    /// Where the witness stands among the clients: last.
    pub fn witness(&self) -> usize {
        self.clients.len() - 1
    }

    pub fn step(&mut self, line: String) {
        self.steps.push(line);
    }

    pub fn sent(&mut self, names: &Names, client: usize, packet: &Packet) {
        let (local, copy) = localise(names, packet);
        if copy.is_some_and(|(_, copy)| copy > 1) {
            self.hide(client, Side::Client, packet);
        } else if !self.is_hidden(client, Side::Broker, packet) {
            self.push(client, Event::Sent(self.clients[client].clone(), local));
        }
    }

    /// Records that half of a packet was sent.
    pub fn sent_half(&mut self, names: &Names, client: usize, packet: &Packet) {
        let (local, _) = localise(names, packet);
        self.push(client, Event::Half(self.clients[client].clone(), local));
    }

    /// Gives what two clients did in the current step to each other.
    pub fn swap(&mut self, one: usize, other: usize) {
        let step = self.steps.len().saturating_sub(1);
        for recorded in self.recorded.iter_mut().filter(|recorded| recorded.step == step) {
            let now = match recorded.client {
                client if client == one => other,
                client if client == other => one,
                _ => continue,
            };
            recorded.client = now;
            if let Some(name) = recorded.event.client_mut() {
                *name = self.clients[now].clone();
            }
        }
    }

    /// Records a packet that came in, and says which message of ours it carries.
    pub fn received(&mut self, names: &Names, client: usize, packet: &Packet) -> Option<Message> {
        let (mut local, copy) = localise(names, packet);
        if let Packet::Connack(Connack { assigned_client_id: Some(id), .. }) = &mut local {
            *id = self.local_assigned(names, id);
        }
        let message = copy.map(|(message, _)| message);
        if let Some((message, copy)) = copy {
            let first = *self.copies.entry((client, message)).or_insert(copy);
            if first != copy {
                self.hide(client, Side::Broker, packet);
                return Some(message);
            }
        }
        if !self.is_hidden(client, Side::Client, packet) {
            self.push(client, Event::Received(self.clients[client].clone(), local));
        }
        message
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
        format!("assigned{}", place + 1)
    }

    fn hide(&mut self, client: usize, side: Side, packet: &Packet) {
        self.hidden.extend(packet.id().map(|id| (client, side, id)));
    }

    /// Whether the packet is part of a handshake that is left out. `answerer` chose the identifier of what this packet
    /// acknowledges, unless it is a PUBREL, which goes the way of its PUBLISH.
    fn is_hidden(&mut self, client: usize, answerer: Side, packet: &Packet) -> bool {
        let Packet::Ack(ack) = packet else { return false };
        let other = if answerer == Side::Client { Side::Broker } else { Side::Client };
        let side = if ack.kind == AckKind::Pubrel { other } else { answerer };
        let key = (client, side, ack.id);
        match ack.kind {
            AckKind::Puback | AckKind::Pubcomp => self.hidden.remove(&key),
            AckKind::Pubrec | AckKind::Pubrel => self.hidden.contains(&key),
        }
    }

    /// Records something about a client that is no packet.
    pub fn observed(&mut self, client: usize, event: impl FnOnce(Client) -> Event) {
        let event = event(self.clients[client].clone());
        self.push(client, event);
    }

    /// The last thing recorded is that this packet did not come to the client.
    pub fn is_missing(&self, client: usize, packet: Awaited) -> bool {
        let last = self.recorded.last().filter(|recorded| recorded.client == client);
        matches!(last.map(|last| &last.event), Some(Event::Missing(_, awaited)) if *awaited == packet)
    }

    /// Records something of the harness's own.
    pub fn noted(&mut self, event: Event) {
        self.push(self.clients.len(), event);
    }

    /// The canonical history of what was recorded so far.
    pub fn history(&self) -> History {
        history::canonical(&self.steps, &self.recorded)
    }

    fn push(&mut self, client: usize, event: Event) {
        self.recorded.push(Recorded { step: self.steps.len().saturating_sub(1), client, event });
    }
}

/// The packet in the scenario's names, and the message that it carries with its copy number.
fn localise(names: &Names, packet: &Packet) -> (Packet, Option<(Message, u32)>) {
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
                if let Ok((message, _)) = names.local_payload(&will.payload) {
                    will.payload = message.to_string().into_bytes();
                }
            }
        }
        // Behind a Topic Alias the topic itself may be empty.
        Packet::Publish(Publish { topic, payload, .. }) if payload.is_empty() => *topic = names.local_topic(topic),
        Packet::Publish(Publish { topic, payload, .. }) => {
            *topic = names.local_topic(topic);
            match names.local_payload(payload) {
                Ok((message, copy)) => {
                    *payload = names.history_payload(message, copy, payload);
                    carried = Some((message, copy));
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
