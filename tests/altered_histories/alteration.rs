//! A change in a history: entries replaced, taken away, and put in between.

use std::collections::{BTreeMap, BTreeSet};

use mqtt_sessions::history::{Entry, Event, History};
use mqtt_sessions::packet::{Ack, AckKind, Packet, Publish};

use super::reading::{Reading, Received};

/// A Packet Identifier that no broker has reached in so short a time.
pub const UNUSED_ID: u16 = 61_000;

/// What changes in a history.
pub struct Alteration<'a> {
    reading: &'a Reading,
    replaced: BTreeMap<usize, Event>,
    removed: BTreeSet<usize>,
    /// By the entry before which they stand.
    inserted: BTreeMap<usize, Vec<Entry>>,
}

impl<'a> Alteration<'a> {
    pub fn of(reading: &'a Reading) -> Alteration<'a> {
        Alteration { reading, replaced: BTreeMap::new(), removed: BTreeSet::new(), inserted: BTreeMap::new() }
    }

    /// Changes the packet of an entry.
    pub fn change(mut self, at: usize, change: impl FnOnce(&mut Packet)) -> Self {
        let mut event = self.replaced.remove(&at).unwrap_or_else(|| self.reading.history.entries[at].event.clone());
        if let Event::Sent(_, packet) | Event::Received(_, packet) = &mut event {
            change(packet);
        }
        self.replaced.insert(at, event);
        self
    }

    /// Changes the PUBLISH of an entry.
    pub fn change_publish(self, at: usize, change: impl FnOnce(&mut Publish)) -> Self {
        self.change(at, |packet| match packet {
            Packet::Publish(publish) => change(publish),
            _ => panic!("entry {at} is no PUBLISH"),
        })
    }

    pub fn remove(mut self, at: usize) -> Self {
        self.removed.insert(at);
        self
    }

    /// Puts events before an entry; their time is that of the entry before, and their connection that of `like`.
    pub fn insert(mut self, before: usize, like: usize, events: impl IntoIterator<Item = Event>) -> Self {
        let entries = &self.reading.history.entries;
        let time = before.checked_sub(1).and_then(|at| entries[at].time);
        let connection = entries[like].connection;
        let new = events.into_iter().map(|event| Entry { time, connection, event, raw: None });
        self.inserted.entry(before).or_default().extend(new);
        self
    }

    /// Puts a further delivery before an entry, with all of its handshake.
    pub fn deliver(self, before: usize, like: usize, publish: Publish) -> Self {
        let client = self.client(like);
        let id = publish.id;
        let sent = |kind| Event::Sent(client.as_str().into(), Packet::ack(kind, id));
        let received = |packet| Event::Received(client.as_str().into(), packet);
        let mut events = vec![received(Packet::Publish(publish.clone()))];
        match publish.qos {
            0 => {}
            1 => events.push(sent(AckKind::Puback)),
            _ => events.extend([
                sent(AckKind::Pubrec),
                received(Packet::ack(AckKind::Pubrel, id)),
                sent(AckKind::Pubcomp),
            ]),
        }
        self.insert(before, like, events)
    }

    /// The client of an entry.
    pub fn client(&self, at: usize) -> String {
        self.reading.history.entries[at].event.client().expect("an entry of a client").to_string()
    }

    /// A copy comes with another QoS, and is acknowledged as that orders.
    pub fn with_qos(self, copy: &Received, qos: u8) -> Self {
        let id = if copy.publish.qos == 0 { UNUSED_ID } else { copy.publish.id };
        let publish = Publish { qos, id: if qos == 0 { 0 } else { id }, ..copy.publish.clone() };
        let without = copy.acks.iter().fold(self.remove(copy.at), |alteration, at| alteration.remove(*at));
        without.deliver(copy.at, copy.at, publish)
    }

    /// The altered history.
    pub fn history(mut self) -> History {
        let mut entries = Vec::new();
        for (at, entry) in self.reading.history.entries.iter().enumerate() {
            entries.extend(self.inserted.remove(&at).unwrap_or_default());
            if !self.removed.contains(&at) {
                let event = self.replaced.remove(&at).unwrap_or_else(|| entry.event.clone());
                entries.push(Entry { event, ..entry.clone() });
            }
        }
        entries.extend(self.inserted.into_values().flatten());
        History { entries }
    }
}

/// The kind of the acknowledgement at an entry.
pub fn ack_kind(reading: &Reading, at: usize) -> Option<AckKind> {
    match reading.history.entries[at].event.packet() {
        Some(Packet::Ack(Ack { kind, .. })) => Some(*kind),
        _ => None,
    }
}

/// Where the step of an entry ends.
pub fn end_of_step(reading: &Reading, from: usize) -> usize {
    let entries = &reading.history.entries;
    (from + 1..entries.len()).find(|at| matches!(entries[*at].event, Event::Step(_))).unwrap_or(entries.len())
}
