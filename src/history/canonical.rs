//! From what was recorded while the cell ran to the canonical order, which is the same in every run.
//!
//! Steps are barriers. Within a step events stand by client, in the order in which the scenario declares them and the
//! witness last (a client that takes a session over behind those that it may take it from), and within a client in wire
//! order. Two things that differ from run to run without meaning anything are
//! levelled: Packet Identifiers are renumbered, and answers that come in turn stand right behind what they answer, since
//! how a broker interleaves its handshakes depends on the weather. Where one comes out of turn, those of its kind stay
//! where they were.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use super::{Awaited, Client, Event, History};
use crate::packet::{AckKind, Packet};

/// An event with the place it was recorded at.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The step, from 0 in the order of the run.
    pub step: usize,
    /// The client's place in the scenario; the harness's own events and the witness come last.
    pub client: usize,
    pub event: Event,
}

/// Brings recorded events into canonical order; `steps` are the lines that open the steps.
pub fn canonical(steps: &[String], recorded: &[Recorded]) -> History {
    let mut events = Vec::with_capacity(steps.len() + recorded.len());
    let mut sorted: Vec<&Recorded> = recorded.iter().collect();
    let takers = takers(recorded);
    sorted.sort_by_key(|recorded| {
        let last = takers.get(&(recorded.step, recorded.client)).copied();
        (recorded.step, last.unwrap_or(recorded.client), last.is_some(), recorded.client)
    });
    let mut rest = &sorted[..];
    for (number, step) in steps.iter().enumerate() {
        events.push(Event::Step(step.clone()));
        while let Some(first) = rest.first().filter(|recorded| recorded.step == number) {
            let length = rest.iter().take_while(|r| r.step == number && r.client == first.client).count();
            let client: Vec<&Event> = rest[..length].iter().map(|recorded| &recorded.event).collect();
            events.extend(answers_in_place(&client).into_iter().cloned());
            rest = &rest[length..];
        }
    }
    renumber(&mut events);
    History::of(events)
}

/// In which steps which clients connect with an identifier that others, who do not connect in the same step, use too; and
/// the last of those others. Whoever may be taken over stands before the taker, as its connection is the older one.
fn takers(recorded: &[Recorded]) -> HashMap<(usize, usize), usize> {
    let connects = recorded.iter().filter_map(|recorded| match &recorded.event {
        Event::Sent(_, Packet::Connect(connect)) if !connect.client_id.is_empty() => {
            Some((recorded.step, recorded.client, connect.client_id.as_str()))
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
fn answers_in_place<'a>(events: &[&'a Event]) -> Vec<&'a Event> {
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
fn place<'a>(events: &[&'a Event], disordered: &[Kind]) -> Result<Vec<&'a Event>, Kind> {
    // A chain is a packet with the answers that follow from it: PUBLISH, PUBREC, PUBREL, PUBCOMP.
    let mut chains: Vec<Vec<&Event>> = Vec::with_capacity(events.len());
    // The chains whose last event still wants its answer, oldest first.
    let mut open: Vec<(Question, usize)> = Vec::new();
    // What was answered before it was asked, with the chain of that answer.
    let mut unasked: Vec<(Question, usize)> = Vec::new();
    for &event in events {
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
        chains[chain].push(event);
    }
    for neighbours in chains.chunk_by_mut(|one, next| fence_topic(one).is_some() && fence_topic(next).is_some()) {
        neighbours.sort_by(|one, next| fence_topic(one).cmp(&fence_topic(next)));
    }
    Ok(chains.into_iter().flatten().collect())
}

/// The topic of the harness's own on which this chain brought a message. Such topics prove that time has passed, not
/// order, so neighbours may change places.
fn fence_topic<'a>(chain: &[&'a Event]) -> Option<&'a str> {
    match chain.first()? {
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
