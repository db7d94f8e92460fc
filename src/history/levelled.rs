//! A levelled copy of a history, in which what differs from run to run without meaning anything is alike. Only comparisons
//! and the judge's older checks read it; the history itself is never changed.
//!
//! Steps are barriers. Within a step events stand by client, in the order in which the clients first appear and the witness
//! last (a client that takes a session over behind those that it may take it from), and within a client by connection and in
//! wire order. Two things more are levelled: Packet Identifiers are renumbered, and answers that come in turn stand right
//! behind what they answer, since how a broker interleaves its handshakes depends on the weather. Where one comes out of
//! turn, those of its kind stay where they were.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use super::{Awaited, Client, Event, History, WITNESS};
use crate::packet::{AckKind, Packet};

/// A levelled copy of a history, and where its events stand in the history itself.
#[derive(Debug)]
pub struct Levelled {
    pub history: History,
    /// For each event of the copy its index in the history that was levelled.
    pub places: Vec<usize>,
}

/// An event of the history that is levelled.
#[derive(Debug, Clone, Copy)]
struct Placed<'a> {
    /// Its index in the history.
    place: usize,
    /// The step, from 0; what stands before the first step belongs to it.
    step: usize,
    /// The client's rank: by first appearance, then the witness, then what is no client's.
    client: usize,
    /// The number of its connection, from 1; 0 where the history does not tell.
    connection: u32,
    event: &'a Event,
}

/// Brings a history into an order that is the same in every run, and gives up times and numbers of connections.
pub fn levelled(history: &History) -> Levelled {
    let mut sorted = placed(history);
    let takers = takers(&sorted);
    sorted.sort_by_key(|placed| {
        let last = takers.get(&(placed.step, placed.client)).copied();
        (placed.step, last.unwrap_or(placed.client), last.is_some(), placed.client, placed.connection)
    });
    let mut places = Vec::with_capacity(history.entries.len());
    let mut events: Vec<Event> = Vec::with_capacity(history.entries.len());
    let mut rest = &sorted[..];
    let steps: Vec<usize> = steps(history).collect();
    for number in 0..steps.len().max(1) {
        if let Some(place) = steps.get(number) {
            places.push(*place);
            events.push(history.entries[*place].event.clone());
        }
        while let Some(first) = rest.first().filter(|placed| placed.step == number) {
            let length = rest.iter().take_while(|r| r.step == number && r.client == first.client).count();
            for placed in answers_in_place(&rest[..length]) {
                places.push(placed.place);
                events.push(placed.event.clone());
            }
            rest = &rest[length..];
        }
    }
    renumber(&mut events);
    Levelled { history: History::of(events), places }
}

/// Where the steps begin.
fn steps(history: &History) -> impl Iterator<Item = usize> {
    let is_step = |(_, event): &(usize, &Event)| matches!(event, Event::Step(_));
    history.events().enumerate().filter(is_step).map(|(place, _)| place)
}

/// Every event but the steps themselves, with what it is sorted by.
fn placed(history: &History) -> Vec<Placed<'_>> {
    let mut ranks: HashMap<&str, usize> = HashMap::new();
    let names = history.events().filter_map(Event::client).map(|client| client.as_ref());
    for name in names.filter(|name| *name != WITNESS) {
        let next = ranks.len();
        ranks.entry(name).or_insert(next);
    }
    let (witness, nobody) = (ranks.len(), ranks.len() + 1);
    let mut begun = 0usize;
    let mut placed = Vec::with_capacity(history.entries.len());
    for (place, entry) in history.entries.iter().enumerate() {
        let event = &entry.event;
        if matches!(event, Event::Step(_)) {
            begun += 1;
            continue;
        }
        let client = event.client().map_or(nobody, |name| ranks.get(name.as_ref()).copied().unwrap_or(witness));
        let connection = entry.connection.unwrap_or(0);
        placed.push(Placed { place, step: begun.saturating_sub(1), client, connection, event });
    }
    placed
}

/// In which steps which clients connect with an identifier that others, who do not connect in the same step, use too; and
/// the last of those others. A client that may be taken over stands before the taker, as its connection is the older one.
fn takers(placed: &[Placed<'_>]) -> HashMap<(usize, usize), usize> {
    let connects = placed.iter().filter_map(|placed| match placed.event {
        Event::Sent(_, Packet::Connect(connect)) if !connect.client_id.is_empty() => {
            Some((placed.step, placed.client, connect.client_id.as_str()))
        }
        _ => None,
    });
    let in_step = |step: usize, client: usize| connects.clone().any(|(at, own, _)| (at, own) == (step, client));
    let last = |step: usize, id: &str| {
        let others = connects.clone().filter(|(_, client, other)| *other == id && !in_step(step, *client));
        others.map(|(_, client, _)| client).max()
    };
    let later = connects.clone().filter_map(|(step, client, id)| Some(((step, client), last(step, id)?)));
    later.filter(|((_, client), last)| last > client).collect()
}

/// What an answer answers: whether the question was sent or received, the kind of answer, and the identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Question {
    sent: bool,
    answer: Answer,
    id: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Ack(AckKind),
    Unsuback,
    Pingresp,
}

/// The question that an event puts, if it puts one whose answer may be moved.
fn question(event: &Event) -> Option<Question> {
    let (sent, packet) = match event {
        Event::Sent(_, packet) => (true, packet),
        Event::Received(_, packet) => (false, packet),
        _ => return None,
    };
    let answer = match packet {
        Packet::Publish(publish) if publish.qos == 1 => Answer::Ack(AckKind::Puback),
        Packet::Publish(publish) if publish.qos == 2 => Answer::Ack(AckKind::Pubrec),
        Packet::Ack(ack) if ack.kind == AckKind::Pubrec => Answer::Ack(AckKind::Pubrel),
        Packet::Ack(ack) if ack.kind == AckKind::Pubrel => Answer::Ack(AckKind::Pubcomp),
        Packet::Unsubscribe(_) => Answer::Unsuback,
        Packet::Pingreq => Answer::Pingresp,
        _ => return None,
    };
    Some(Question { sent, answer, id: packet.id() })
}

/// The question that an event answers.
fn answered(event: &Event) -> Option<Question> {
    let (sent, packet) = match event {
        Event::Sent(_, packet) => (false, packet),
        Event::Received(_, packet) => (true, packet),
        _ => return None,
    };
    let answer = match packet {
        Packet::Ack(ack) => Answer::Ack(ack.kind),
        Packet::Unsuback(_) => Answer::Unsuback,
        Packet::Pingresp => Answer::Pingresp,
        _ => return None,
    };
    Some(Question { sent, answer, id: packet.id() })
}

/// Puts the answers of each kind right behind their questions, unless one of that kind came out of turn: then all of the
/// kind stay where they were, since their order is evidence.
fn answers_in_place<'a>(events: &[Placed<'a>]) -> Vec<Placed<'a>> {
    let mut disordered: Vec<Kind> = Vec::new();
    loop {
        match place(events, &disordered) {
            Ok(placed) => return placed,
            Err(kind) => disordered.push(kind),
        }
    }
}

/// Who asked, and what kind of answer it takes.
type Kind = (bool, Answer);

/// # Errors
/// The kind of the first answer that is out of turn, if that kind is not among `disordered` yet.
fn place<'a>(events: &[Placed<'a>], disordered: &[Kind]) -> Result<Vec<Placed<'a>>, Kind> {
    // A chain is a packet with the answers that follow from it: PUBLISH, PUBREC, PUBREL, PUBCOMP.
    let mut chains: Vec<Vec<Placed<'a>>> = Vec::with_capacity(events.len());
    // The chains whose last event still wants its answer, oldest first.
    let mut open: Vec<(Question, usize)> = Vec::new();
    // What was answered before it was asked, with the chain of that answer.
    let mut unasked: Vec<(Question, usize)> = Vec::new();
    for placed in events {
        let event = placed.event;
        let mut chain = chains.len();
        if let Some(wanted) = answered(event) {
            let kind = (wanted.sent, wanted.answer);
            let oldest = open.iter().position(|(asked, _)| (asked.sent, asked.answer) == kind);
            if let Some(oldest) = oldest.filter(|_| !disordered.contains(&kind)) {
                if open[oldest].0.id != wanted.id {
                    return Err(kind);
                }
                chain = open.remove(oldest).1;
                // In its place it would stand before an answer that came without waiting for it.
                let hides = |(answer, at): &(Question, usize)| Some(*answer) == question(event) && *at > chain;
                if unasked.iter().any(hides) {
                    return Err(kind);
                }
            } else {
                unasked.push((wanted, chain));
            }
        }
        if chain == chains.len() {
            chains.push(Vec::new());
        }
        if matches!(event, Event::Ended(..) | Event::Closed(..)) {
            open.clear();
        }
        if let Some(question) = question(event) {
            open.push((question, chain));
        }
        chains[chain].push(*placed);
    }
    for neighbours in chains.chunk_by_mut(|one, next| fence_topic(one).is_some() && fence_topic(next).is_some()) {
        neighbours.sort_by(|one, next| fence_topic(one).cmp(&fence_topic(next)));
    }
    Ok(chains.into_iter().flatten().collect())
}

/// The topic of the harness's own on which this chain brought a message. Such topics prove that time has passed, not
/// order, so neighbours may change places.
fn fence_topic<'a>(chain: &[Placed<'a>]) -> Option<&'a str> {
    match chain.first()?.event {
        Event::Received(_, Packet::Publish(publish)) => {
            Some(publish.topic.as_str()).filter(|topic| topic.starts_with("fence"))
        }
        _ => None,
    }
}

/// Renumbers Packet Identifiers by first appearance, per client and by who assigned them, over all its connections. An
/// identifier that is free again and taken for a new message counts as another one: whether a broker takes it again or
/// the next one depends on how fast our acknowledgement was.
fn renumber(events: &mut [Event]) {
    let mut known: HashMap<(Client, bool), Vec<Identifier>> = HashMap::new();
    // Clients that share an identifier share a session, and so its Packet Identifiers.
    let mut identifiers: HashMap<Client, Client> = HashMap::new();
    for event in events.iter() {
        if let Event::Sent(client, Packet::Connect(connect)) = event
            && !connect.client_id.is_empty()
        {
            identifiers.entry(client.clone()).or_insert_with(|| connect.client_id.as_str().into());
        }
    }
    for event in events {
        // Half an answer ends no handshake.
        let is_whole = !matches!(event, Event::Half(..));
        let (client, sent, packet) = match event {
            Event::Sent(client, packet) | Event::Half(client, packet) => (client.clone(), true, packet),
            Event::Received(client, packet) => (client.clone(), false, packet),
            Event::Missing(client, awaited) => {
                let by_client = !matches!(awaited, Awaited::Ack(AckKind::Pubrel, _));
                let session = identifiers.get(client).unwrap_or(client).clone();
                if let Awaited::Suback(id) | Awaited::Unsuback(id) | Awaited::Ack(_, id) = awaited {
                    *id = ordinal(known.entry((session, by_client)).or_default(), *id, false);
                }
                continue;
            }
            _ => continue,
        };
        let by_client = sent == assigned_by_sender(packet);
        // Our own identifiers are the same in every run, also those that are taken again.
        let is_new = !by_client && matches!(packet, Packet::Publish(publish) if !publish.dup);
        let is_last = matches!(packet, Packet::Ack(ack) if matches!(ack.kind, AckKind::Puback | AckKind::Pubcomp)
            || ack.kind == AckKind::Pubrec && ack.reason >= 0x80);
        let session = identifiers.get(&client).cloned().unwrap_or(client);
        let known = known.entry((session, by_client)).or_default();
        if let Some(id) = packet.id_mut() {
            *id = ordinal(known, *id, is_new);
            if is_last
                && is_whole
                && let Some(identifier) = known.get_mut(usize::from(*id) - 1)
            {
                identifier.is_free = true;
            }
        }
    }
}

/// A Packet Identifier as it was on the wire.
#[derive(Debug)]
struct Identifier {
    id: u16,
    /// The handshake of its message is finished.
    is_free: bool,
}

fn ordinal(known: &mut Vec<Identifier>, id: u16, is_new: bool) -> u16 {
    let place = known.iter().rposition(|seen| seen.id == id).filter(|place| !(is_new && known[*place].is_free));
    let place = place.unwrap_or_else(|| {
        known.push(Identifier { id, is_free: false });
        known.len() - 1
    });
    // No cell has so many messages that the place would not fit.
    u16::try_from(place + 1).unwrap_or(u16::MAX)
}

/// Whether the sender of this packet is who chose its identifier.
fn assigned_by_sender(packet: &Packet) -> bool {
    match packet {
        Packet::Ack(ack) => ack.kind == AckKind::Pubrel,
        Packet::Suback(_) | Packet::Unsuback(_) => false,
        _ => true,
    }
}
