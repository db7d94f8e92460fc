//! Writes down what happens in a cell while it runs, in the scenario's names.

use std::collections::HashMap;
use std::sync::Arc;

use super::names::Names;
use crate::history::{self, Client, Event, History, Message, Recorded, WITNESS};
use crate::packet::{Packet, Publish};

/// The growing record of one attempt.
pub struct Record {
    /// Those of the scenario, then the witness.
    clients: Vec<Client>,
    steps: Vec<String>,
    recorded: Vec<Recorded>,
    /// Which copy of a message a client saw first. Fences and loop-backs at QoS 0 are sent again when they do not come;
    /// the history shows each once.
    copies: HashMap<(usize, Message), u32>,
}

impl Record {
    pub fn new(clients: impl Iterator<Item = String>) -> Record {
        let mut clients: Vec<Client> = clients.map(Arc::from).collect();
        clients.push(Arc::from(WITNESS));
        Record { clients, steps: Vec::new(), recorded: Vec::new(), copies: HashMap::new() }
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
        if copy.is_none_or(|(_, copy)| copy == 1) {
            self.push(client, Event::Sent(self.clients[client].clone(), local));
        }
    }

    /// Records a packet that came in, and says which message of ours it carries.
    pub fn received(&mut self, names: &Names, client: usize, packet: &Packet) -> Option<Message> {
        let (local, copy) = localise(names, packet);
        let message = copy.map(|(message, _)| message);
        if let Some((message, copy)) = copy {
            let first = *self.copies.entry((client, message)).or_insert(copy);
            if first != copy {
                return Some(message);
            }
        }
        self.push(client, Event::Received(self.clients[client].clone(), local));
        message
    }

    /// Records something about a client that is no packet.
    pub fn observed(&mut self, client: usize, event: impl FnOnce(Client) -> Event) {
        let event = event(self.clients[client].clone());
        self.push(client, event);
    }

    pub fn broken(&mut self, why: String) {
        self.push(self.clients.len(), Event::Broken(why));
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
    match &mut packet {
        Packet::Connect(connect) => {
            connect.client_id = names.local_client(&connect.client_id);
            connect.login = None;
        }
        Packet::Publish(Publish { topic, payload, .. }) => {
            *topic = names.local_topic(topic);
            match names.local_payload(payload) {
                Ok((message, copy)) => {
                    *payload = message.to_string().into_bytes();
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
