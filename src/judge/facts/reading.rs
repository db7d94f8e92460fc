//! Takes the entries of a history into its facts, one after the other: here what clients sent, in [`incoming`] what came to them.

mod incoming;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{
    Connection, Facts, Flow, NOT_MEASURED, Outage, Place, Publication, Sending, Subscribing, Timed, Unsubscribing,
};
use crate::connection::End;
use crate::history::{Awaited, Client, Entry, Event, History, Message, Turn, WITNESS};
use crate::packet::{Ack, AckKind, Packet, Properties, Publish};
use crate::vocabulary::Trouble;

/// Reads a history.
pub fn read(history: &History) -> Facts {
    let mut reader = Reader::default();
    for (at, entry) in history.entries.iter().enumerate() {
        reader.note(at, entry);
    }
    let mut facts = reader.facts;
    facts.times = history.entries.iter().map(|entry| entry.time.unwrap_or(NOT_MEASURED)).collect();
    forget_what_was_cut_short(&mut facts);
    facts.publications.shrink_to_fit();
    for connection in &mut facts.connections {
        connection.deliveries.shrink_to_fit();
        connection.flows.shrink_to_fit();
    }
    facts
}

/// A payload of another length than the one that was published is not the message that it was.
fn forget_what_was_cut_short(facts: &mut Facts) {
    let mut cut_short = Vec::new();
    for connection in &facts.connections {
        for (number, delivery) in connection.deliveries.iter().enumerate() {
            let bytes = Message::bytes_filled(&delivery.publish.payload);
            let mut sources = delivery.message.into_iter().flat_map(|message| facts.of_message(message)).peekable();
            if sources.peek().is_some() && sources.all(|source| facts.publications[source].bytes != bytes) {
                cut_short.push((connection.index, number));
            }
        }
    }
    for (connection, number) in cut_short {
        facts.connections[connection].deliveries[number].message = None;
    }
}

/// The facts so far, and what finds them.
#[derive(Default)]
struct Reader {
    facts: Facts,
    /// The newest connection of each client.
    newest: HashMap<Client, usize>,
    /// The connections that have a number, by client and number.
    numbered: HashMap<(Client, u32), usize>,
    /// The number of the connection in the entry at hand.
    number: Option<u32>,
    /// The newest message under way to a client identifier with this Packet Identifier: connection and delivery.
    inbound: HashMap<(Arc<str>, u16), (usize, usize)>,
    /// The newest publication of a client identifier with this Packet Identifier.
    outbound: HashMap<(Arc<str>, u16), usize>,
    /// The Packet Identifiers, by client identifier, of which the newest publication has had its PUBREL.
    released: HashSet<(Arc<str>, u16)>,
    /// Questions that wait for their answer, by connection: the answer, and where the question was sent.
    asked: HashMap<usize, Vec<(Awaited, Place)>>,
    /// Publications at QoS 0 that no answer stands behind yet, by connection.
    unproven: HashMap<usize, Vec<usize>>,
    clearings: u32,
    /// The topics, once each.
    topics: HashSet<Arc<str>>,
}

impl Reader {
    fn note(&mut self, at: usize, entry: &Entry) {
        let place = Place { step: self.facts.steps, at };
        self.number = entry.connection;
        match &entry.event {
            Event::Step(_) => self.facts.steps += 1,
            Event::Half(client, _) => self.change(client, |connection| connection.half = true),
            // What begins an attempt is no fact; the others are read from the history itself.
            Event::Attempt(_)
            | Event::Unreachable(_)
            | Event::Withheld(..)
            | Event::WithoutEnd(..)
            | Event::Broken(_) => {}
            Event::Stopped => self.facts.stopped = true,
            Event::AtNode(_, node) => drop(self.facts.nodes.insert(*node)),
            Event::Broker(Turn::Ended(how), node) => self.befallen(Trouble::End(*how), *node, place),
            Event::Broker(Turn::CutOff, node) => self.befallen(Trouble::Partition, *node, place),
            Event::Broker(Turn::Started | Turn::Joined, _) => {
                self.facts.outages.last_mut().into_iter().for_each(|outage| outage.until = Some(place));
            }
            Event::Late(milliseconds) => self.facts.late.push((place, *milliseconds)),
            Event::Sent(client, packet) => self.sent(place, client, packet),
            Event::Received(client, Packet::Publish(publish)) if client.as_ref() == WITNESS => {
                self.witnessed(place, publish);
            }
            Event::Received(client, packet) => self.received(place, client, packet),
            Event::Ended(client, end) => self.change(client, |connection| {
                connection.ended.get_or_insert((place, *end));
                connection.end.get_or_insert(place);
            }),
            Event::Closed(client, end) => self.change(client, |connection| {
                connection.reset_behind_left |=
                    *end == End::Reset && connection.left.is_some() && connection.ended.is_none();
                connection.closed = Some(place);
                connection.end.get_or_insert(place);
            }),
            Event::Undecodable(client, ..) => self.change(client, |c| c.undecodable = Some(at)),
            Event::Missing(client, awaited) => self.change(client, |c| c.missing.push((at, *awaited))),
            Event::Settled(client) => self.change(client, |c| c.settled.push(at)),
            Event::Timed { client, timer, seconds, passed } => {
                let timed = Timed { place, timer: *timer, seconds: *seconds, passed: *passed };
                self.change(client, |connection| connection.timers.push(timed));
            }
        }
    }

    fn befallen(&mut self, how: Trouble, node: Option<u32>, from: Place) {
        self.facts.outages.push(Outage { how, node, from, until: None });
    }

    /// The connection of the entry at hand: the one with its number, or the newest of the client.
    fn index(&self, client: &Client) -> Option<usize> {
        let numbered = self.number.and_then(|number| self.numbered.get(&(client.clone(), number)));
        numbered.or_else(|| self.newest.get(client)).copied()
    }

    fn change(&mut self, client: &Client, change: impl FnOnce(&mut Connection)) {
        if let Some(index) = self.index(client) {
            change(&mut self.facts.connections[index]);
        }
    }

    fn sent(&mut self, place: Place, client: &Client, packet: &Packet) {
        if let Packet::Connect(connect) = packet {
            let index = self.facts.connections.len();
            let opened = Connection::new(index, place, client, connect);
            self.take_over(&opened);
            if connect.clean {
                self.outbound.retain(|(id, _), _| *id != opened.id);
            }
            self.facts.connections.push(opened);
            self.newest.insert(client.clone(), index);
            if let Some(number) = self.number {
                self.numbered.insert((client.clone(), number), index);
            }
        }
        let Some(index) = self.index(client) else { return };
        if let Some(awaited) = Awaited::answer_to(packet) {
            self.asked.entry(index).or_default().push((awaited, place));
        }
        let connection = &mut self.facts.connections[index];
        connection.last_sent = Some((place, packet.name()));
        if connection.half {
            connection.garbled.get_or_insert(place);
        }
        match packet {
            Packet::Publish(publish) => self.published(place, index, publish),
            Packet::Subscribe(subscribe) => {
                let filters = subscribe.filters.iter().enumerate().map(|(number, filter)| Subscribing {
                    sent: place,
                    filter: filter.clone(),
                    subscription_id: subscribe.subscription_id,
                    id: subscribe.id,
                    number,
                    suback: None,
                    codes: 0,
                });
                connection.subscribes.extend(filters);
            }
            Packet::Unsubscribe(unsubscribe) => {
                let ended = |(number, filter): (usize, &String)| {
                    let filter = filter.clone();
                    let (id, sent) = (unsubscribe.id, place);
                    Unsubscribing { sent, filter, id, number, unsuback: None, is_refused: false, without_code: None }
                };
                connection.unsubscribes.extend(unsubscribe.filters.iter().enumerate().map(ended));
            }
            Packet::Ack(ack) if ack.kind == AckKind::Pubrel => {
                self.released.insert((connection.id.clone(), ack.id));
                self.released_again(place.at, index, ack.id);
            }
            Packet::Ack(ack) => self.acknowledged_by_client(place.at, index, *ack),
            Packet::Disconnect { reason, session_expiry } => {
                connection.left = Some((place, *reason));
                connection.expiry_at_end = *session_expiry;
                connection.end.get_or_insert(place);
            }
            _ => {}
        }
    }

    /// A CONNECT ends the open connections with the same identifier, also one of the same client that neither reads nor writes any
    /// more. The end that it brings to another client may stand before it.
    fn take_over(&mut self, opened: &Connection) {
        let step = opened.opened.step;
        for other in self.facts.connections.iter_mut().filter(|other| other.id == opened.id) {
            other.left_beside_heir |=
                other.client != opened.client && other.left.is_some_and(|(left, _)| left.step == step);
            let left = other.left.is_some() || other.closed.is_some();
            let is_open = if other.client == opened.client { other.end.is_none() } else { other.ended_in() >= step };
            if is_open && !left && other.taken_over.is_none() {
                other.taken_over = Some(opened.opened);
                other.end.get_or_insert(opened.opened);
            }
        }
    }

    fn published(&mut self, place: Place, index: usize, publish: &Publish) {
        let message = match Message::of(&publish.payload) {
            Some(message) => message,
            None if publish.payload.is_empty() => {
                self.clearings += 1;
                Message::Clear(self.clearings)
            }
            None => return,
        };
        let connection = &mut self.facts.connections[index];
        let topic = connection.aliases_of_client.topic_of(publish);
        let (publisher, publisher_id) = (connection.client.clone(), connection.id.clone());
        let sending = Sending { place, connection: index, is_new: !publish.dup };
        let key = (publisher_id.clone(), publish.id);
        if !publish.dup {
            self.released.remove(&key);
        }
        let earlier = self.outbound.get(&key).copied().filter(|_| publish.qos > 0);
        // A publisher whose session is gone publishes the same message anew (DUP 0), which may come once more.
        if publish.dup || self.is_published_anew(message, &publisher_id, publish) {
            let again = match message {
                // One of which only half had been sent comes whole under an identifier that another message had.
                Message::Clear(_) => earlier.filter(|earlier| {
                    let earlier = &self.facts.publications[*earlier];
                    let is_open = earlier.accepted.is_none() && *earlier.topic == *publish.topic;
                    is_open && earlier.is_clearing() && earlier.qos == publish.qos
                }),
                _ => self.facts.of_message(message).next(),
            };
            if let Some(again) = again {
                if publish.qos > 0 {
                    self.outbound.insert(key, again);
                }
                let publication = &mut self.facts.publications[again];
                publication.sendings.push(sending);
                publication.properties_vary |= publication.properties != publish.properties;
                return;
            }
        }
        let reuses_id = earlier.is_some_and(|earlier| {
            let earlier = &self.facts.publications[earlier];
            earlier.publisher == publisher && earlier.accepted.is_some()
        });
        let number = self.facts.publications.len();
        if publish.qos > 0 {
            self.outbound.insert(key, number);
        } else {
            self.unproven.entry(index).or_default().push(number);
        }
        let topic = self.topic(&topic);
        self.facts.push(Publication {
            sendings: vec![sending],
            id: publish.id,
            reuses_id,
            bytes: Message::bytes_filled(&publish.payload),
            properties: publish.properties.clone(),
            ..publication(message, publisher, publisher_id, topic, publish.qos, publish.retain)
        });
    }

    /// The same publisher published this message before, to the same topic and at the same QoS.
    fn is_published_anew(&self, message: Message, publisher_id: &str, publish: &Publish) -> bool {
        let is_same = |own: &Publication| {
            let is_alike = own.qos == publish.qos && own.retain == publish.retain;
            is_alike && *own.publisher_id == *publisher_id && *own.topic == *publish.topic
        };
        let mut before = self.facts.of_message(message).map(|number| &self.facts.publications[number]);
        !matches!(message, Message::Clear(_)) && before.any(is_same)
    }

    /// A PUBREL on another connection than its PUBLISH is sent again, or for the first time after the end of that.
    fn released_again(&mut self, at: usize, index: usize, id: u16) {
        let connection = &self.facts.connections[index];
        let since = connection.opened.at;
        let Some(number) = self.outbound.get(&(connection.id.clone(), id)) else { return };
        let publication = &mut self.facts.publications[*number];
        let before = publication.sendings.iter().all(|sending| sending.place.at < since);
        if publication.qos == 2 && publication.accepted.is_none() && before {
            publication.released_again.push(at);
        }
    }

    /// The client answered a PUBLISH or a PUBREL of the broker's.
    fn acknowledged_by_client(&mut self, at: usize, index: usize, ack: Ack) {
        let connection = &mut self.facts.connections[index];
        connection.flows.push(Flow::Sent { at, ack });
        let Some((owner, delivery)) = self.inbound.get(&(connection.id.clone(), ack.id)).copied() else { return };
        let delivery = &mut self.facts.connections[owner].deliveries[delivery];
        match ack.kind {
            AckKind::Pubcomp => delivery.completed = Some(at),
            AckKind::Puback | AckKind::Pubrec => {
                delivery.acked = Some((at, index));
                delivery.refused = ack.reason >= 0x80;
                if ack.kind == AckKind::Puback || ack.reason >= 0x80 {
                    delivery.completed = Some(at);
                }
            }
            AckKind::Pubrel => {}
        }
    }

    /// The topic, which all messages on it share.
    fn topic(&mut self, topic: &str) -> Arc<str> {
        if let Some(known) = self.topics.get(topic) {
            return known.clone();
        }
        let new: Arc<str> = topic.into();
        self.topics.insert(new.clone());
        new
    }
}

/// A publication of which nothing else is known.
pub(super) fn publication(
    message: Message,
    publisher: Client,
    publisher_id: Arc<str>,
    topic: Arc<str>,
    qos: u8,
    retain: bool,
) -> Publication {
    Publication {
        message,
        publisher,
        publisher_id,
        topic,
        qos,
        retain,
        properties: Properties::default(),
        properties_vary: false,
        bytes: None,
        sendings: Vec::new(),
        accepted: None,
        refused: None,
        misanswered: None,
        received_at: None,
        released_again: Vec::new(),
        witnessed: None,
        id: 0,
        reuses_id: false,
        will_of: None,
    }
}
