//! What happened in each step of a cell, in few words, read from the history.

use crate::history::{Event, History, Message};
use crate::packet::{AckKind, Connack, Packet, Publish};
use crate::plan::{Action, Cell, Connect, Publication};
use crate::scenario::Point;
use crate::visible::visible;

/// Messages in a row that are named one by one.
const NAMED_MESSAGES: usize = 3;

/// The words for each step; empty where there is nothing to say. Nothing at all for a cell that was not played.
pub fn happened(cell: &Cell, history: &History) -> Vec<String> {
    let played = by_step(history, cell.steps.len());
    if played.iter().all(Option::is_none) {
        return Vec::new();
    }
    (0..cell.steps.len()).map(|step| said(cell, &played, step)).collect()
}

/// Whether the cell came to its last step in which messages are taken, so that their absence means something.
pub fn is_played(cell: &Cell, history: &History) -> bool {
    let last = cell.steps.iter().rposition(|step| matches!(step.action, Action::Receive { .. }));
    last.is_some_and(|last| by_step(history, cell.steps.len())[last].is_some())
}

/// The events of each step; nothing where it was not taken.
type Played<'a> = Vec<Option<Vec<&'a Event>>>;

fn by_step(history: &History, steps: usize) -> Played<'_> {
    let mut played = vec![None; steps];
    let mut current = None;
    for event in history.events() {
        match event {
            // A step opens as `3 subscribe subscriber`, numbered from 1.
            Event::Step(line) => {
                let number = line.split_once(' ').and_then(|(number, _)| number.parse::<usize>().ok());
                current = number.and_then(|number| number.checked_sub(1)).filter(|place| *place < steps);
                current.into_iter().for_each(|place| played[place] = Some(Vec::new()));
            }
            event => current.into_iter().for_each(|place| played[place].get_or_insert_default().push(event)),
        }
    }
    played
}

fn said(cell: &Cell, played: &Played<'_>, step: usize) -> String {
    let client = cell.steps[step].client;
    let name = cell.clients[client].name.as_str();
    let Some(events) = &played[step] else { return "not played".into() };
    match &cell.steps[step].action {
        Action::Connect(connect) => connected(connect, name, events),
        Action::Subscribe { .. } => subscribed(name, events),
        Action::Publish(publication) => published(publication, name, events),
        Action::Receive { .. } => received(cell, played, step),
        Action::Silence => match events.iter().any(|event| matches!(event, Event::Ended(..)) && is_of(event, name)) {
            true => "the broker ends the connection".into(),
            false => "the broker keeps the connection".into(),
        },
        // The step says all of it.
        Action::Unsubscribe { .. }
        | Action::Disconnect { .. }
        | Action::Cut { .. }
        | Action::Stall
        | Action::Race { .. }
        | Action::Wait { .. }
        | Action::Broker(_) => String::new(),
    }
}

fn is_of(event: &Event, client: &str) -> bool {
    event.client().is_some_and(|own| own.as_ref() == client)
}

fn connected(connect: &Connect, name: &str, events: &[&Event]) -> String {
    let connack = events.iter().find_map(|event| match event {
        Event::Received(client, Packet::Connack(connack)) if client.as_ref() == name => Some(connack),
        _ => None,
    });
    let ended = |event: &&&Event| matches!(event, Event::Ended(..));
    let Some(connack) = connack else { return "no CONNACK".into() };
    if connack.code != 0 {
        let closed = events.iter().filter(ended).any(|event| is_of(event, name));
        let then = if closed { ", connection closed" } else { "" };
        return format!("refused with {:#04x}{then}", connack.code);
    }
    let mut parts = vec![session(connect, connack).to_owned()];
    parts.extend(connack.assigned_client_id.as_ref().map(|_| "the broker assigns an id".to_owned()));
    let other = events.iter().filter(ended).find(|event| !is_of(event, name)).and_then(|event| event.client());
    parts.extend(other.map(|other| format!("{other} is disconnected")));
    let again = events.iter().filter_map(|event| match event {
        Event::Sent(client, Packet::Publish(publish)) if publish.dup && client.as_ref() == name => {
            Some(format!("sends {} again, DUP 1", payload(publish)))
        }
        _ => None,
    });
    parts.extend(again);
    parts.join(", ")
}

fn session(connect: &Connect, connack: &Connack) -> &'static str {
    match (connack.session_present, connect.clean) {
        (true, _) => "its session is there",
        (false, true) => "a new session",
        (false, false) => "no session there: a new one",
    }
}

fn subscribed(name: &str, events: &[&Event]) -> String {
    let codes = events.iter().find_map(|event| match event {
        Event::Received(client, Packet::Suback(suback)) if client.as_ref() == name => Some(&suback.codes),
        _ => None,
    });
    let Some(codes) = codes else { return "no SUBACK".into() };
    match codes.iter().find(|code| **code > 2) {
        Some(refusal) => format!("refused with {refusal:#04x}"),
        None => {
            let granted: Vec<String> = codes.iter().map(u8::to_string).collect();
            format!("granted QoS {}", granted.join(", "))
        }
    }
}

fn published(publication: &Publication, name: &str, events: &[&Event]) -> String {
    let acks = events.iter().filter(|event| {
        let is_last = |kind| matches!(kind, AckKind::Puback | AckKind::Pubcomp);
        matches!(event, Event::Received(client, Packet::Ack(ack))
            if client.as_ref() == name && is_last(ack.kind) && ack.reason < 0x80)
    });
    match (publication.qos, publication.until, acks.count() as u32) {
        (_, Some(Point::Half), _) => "half of it is sent".into(),
        (_, Some(_), _) => "whatever comes is not read".into(),
        (0, ..) => "QoS 0: no answer is due".into(),
        (_, _, count) if count == publication.messages => "acknowledged".into(),
        (_, _, count) => format!("{count} of {} acknowledged", publication.messages),
    }
}

/// What came to the client since it took messages last, or since it connected.
fn received(cell: &Cell, played: &Played<'_>, step: usize) -> String {
    let client = cell.steps[step].client;
    let name = cell.clients[client].name.as_str();
    let own = |place: &usize| cell.steps[*place].client == client;
    let since = (0..step).rev().filter(own).find_map(|place| match cell.steps[place].action {
        Action::Connect(_) => Some(place),
        Action::Receive { .. } => Some(place + 1),
        _ => None,
    });
    let messages = played[since.unwrap_or(0)..=step].iter().flatten().flatten().filter_map(|event| match event {
        Event::Received(client, Packet::Publish(publish)) if client.as_ref() == name => Some(publish),
        _ => None,
    });
    messages_in_words(messages.filter(|publish| is_of_experiment(publish)))
}

/// The harness's own messages are left out.
fn is_of_experiment(publish: &Publish) -> bool {
    !matches!(Message::of(&publish.payload), Some(Message::LoopBack(_) | Message::Fence(_)))
}

/// `m1 m2 at QoS 1, then m2 at QoS 1 as a retained message`.
fn messages_in_words<'a>(messages: impl Iterator<Item = &'a Publish>) -> String {
    let mut groups: Vec<(Vec<&Publish>, String)> = Vec::new();
    for publish in messages {
        let mut how = format!("at QoS {}", publish.qos);
        how += if publish.retain { ", retained" } else { "" };
        how += if publish.dup { ", DUP 1" } else { "" };
        match groups.last_mut() {
            Some((alike, same)) if *same == how => alike.push(publish),
            _ => groups.push((vec![publish], how)),
        }
    }
    match groups.is_empty() {
        true => "nothing comes".into(),
        false => {
            let said = groups.into_iter().map(|(alike, how)| format!("{} {how}", names(&alike)));
            said.collect::<Vec<_>>().join(", then ")
        }
    }
}

/// The messages one by one; of many in the order of their numbers the first and the last.
fn names(messages: &[&Publish]) -> String {
    let number = |publish: &Publish| match Message::of(&publish.payload) {
        Some(Message::Experiment(number)) => Some(number),
        _ => None,
    };
    let follows = |pair: &[&Publish]| number(pair[1]).is_some_and(|next| number(pair[0]) == next.checked_sub(1));
    let mut said = Vec::new();
    let mut left = messages;
    while let [first, ..] = left {
        let length = 1 + left.windows(2).take_while(|pair| follows(pair)).count();
        let (sequence, others) = left.split_at(length);
        match sequence.last().filter(|_| length > NAMED_MESSAGES) {
            Some(last) => said.push(format!("{} to {}", payload(first), payload(last))),
            None => said.extend(sequence.iter().map(|publish| payload(publish))),
        }
        left = others;
    }
    said.join(" ")
}

fn payload(publish: &Publish) -> String {
    match (Message::of(&publish.payload), publish.payload.is_empty()) {
        (Some(message), _) => message.to_string(),
        (None, true) => "an empty message".into(),
        (None, false) => visible(&String::from_utf8_lossy(&publish.payload)).into_owned(),
    }
}
