//! What the record of a cell says beside the verdict: what was sent, granted and received, as numbers.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use super::facts::{Connection, Delivery, Facts, Publication, Subscribing};
use crate::history::{Event, History, Message};
use crate::results::{Phase, Received};
use crate::scenario::Verb;
use crate::topic;
use crate::visible::visible;

/// The measured part of a cell's record.
#[derive(Debug, Default)]
pub struct Measured {
    pub sent: u32,
    pub sent_to: BTreeMap<String, u32>,
    pub published: u32,
    pub session_present: Option<bool>,
    pub granted_qos: Option<u8>,
    pub regranted_qos: Option<u8>,
    pub received: Vec<Received>,
}

/// Measures one attempt.
pub fn measure(history: &History, facts: &Facts) -> Measured {
    let experiment: Vec<&Publication> =
        facts.publications.iter().filter(|p| matches!(p.message, Message::Experiment(_))).collect();
    let mut sent_to = BTreeMap::new();
    for publication in &experiment {
        *sent_to.entry(visible(&publication.topic).into_owned()).or_default() += 1;
    }
    let mut measured = Measured {
        sent: experiment.len() as u32,
        sent_to,
        published: experiment.iter().filter(|publication| publication.accepted.is_some()).count() as u32,
        received: received(history, facts),
        ..Measured::default()
    };
    let Some(subject) = facts.subject() else { return measured };
    let Some(first) = facts.connections_of(subject).next() else { return measured };
    let connections: Vec<&Connection> = of_identifier(facts, &first.id).collect();
    let back = connections.iter().skip(1).find(|connection| connection.is_accepted());
    measured.session_present = back.map(|connection| connection.session_present());
    let subscribes = || connections.iter().flat_map(|connection| &connection.subscribes);
    if let Some(filter) = subscribes().next().map(|subscribe| subscribe.filter.filter.as_str()) {
        let mut codes = subscribes()
            .filter(|subscribe| subscribe.filter.filter == filter)
            .map(|subscribe| subscribe.suback.map(|(_, code)| code));
        measured.granted_qos = codes.next().flatten();
        measured.regranted_qos = codes.next().flatten();
    }
    measured
}

/// The connections with one client identifier, oldest first: they carry one session, whichever client made them.
fn of_identifier<'a>(facts: &'a Facts, id: &'a str) -> impl Iterator<Item = &'a Connection> {
    facts.connections.iter().filter(move |connection| *connection.id == *id)
}

/// What each client got, in an order that does not depend on how a broker interleaves what it may interleave.
fn received(history: &History, facts: &Facts) -> Vec<Received> {
    let receive_steps = receive_steps(history);
    let topics: HashSet<&str> =
        facts.publications.iter().filter(|p| p.is_of_experiment()).map(|p| p.topic.as_ref()).collect();
    let published: HashMap<Message, &Publication> = facts.publications.iter().map(|p| (p.message, p)).collect();
    let mut received: Vec<(Lane<'_>, Received)> = Vec::new();
    for connection in &facts.connections {
        let arrivals = Arrivals::on(facts, connection, &published);
        let waiting = steps_on(&receive_steps, facts, connection);
        let on_topic = connection.deliveries.iter().filter(|delivery| topics.contains(delivery.topic.as_ref()));
        let copies = on_topic.filter(|delivery| {
            !matches!(delivery.message, Some(Message::LoopBack(_) | Message::Fence(_) | Message::Will(_)))
        });
        received.extend(copies.filter_map(|delivery| {
            let step = waiting.iter().find(|step| delivery.place.at < step.events.end)?;
            Some((arrivals.lane(delivery), arrivals.copy(delivery, step.number)))
        }));
    }
    // The sort is stable, so what one lane holds stays in the order of its arrival.
    received.sort_by(|one, other| place(one).cmp(&place(other)));
    received.into_iter().map(|(_, copy)| copy).collect()
}

/// A step in which the harness waits for all that may come to a client, as a range of places in the history.
struct ReceiveStep<'a> {
    /// From 1.
    number: u32,
    client: &'a str,
    events: Range<usize>,
}

fn receive_steps(history: &History) -> Vec<ReceiveStep<'_>> {
    let is_step = |(_, event): &(usize, &Event)| matches!(event, Event::Step(_));
    let ends: Vec<usize> = history.events().enumerate().filter(is_step).map(|(at, _)| at).skip(1).collect();
    let ends = ends.into_iter().chain([history.entries.len()]);
    let steps = history.events().enumerate().filter(is_step).zip(ends);
    let receive = steps.filter_map(|((at, event), end)| {
        // A step opens as `8 receive subscriber`.
        let Event::Step(line) = event else { return None };
        let (number, deed) = line.split_once(' ')?;
        let (verb, client) = deed.split_once(' ')?;
        let number = number.parse().ok()?;
        (verb == Verb::Receive.word()).then_some(ReceiveStep { number, client, events: at..end })
    });
    receive.collect()
}

/// The receive steps on a connection, in their order. What comes behind the last of them came by chance: its client went
/// away, or was taken over, or the cell ended, and nobody waited for what was still under way.
fn steps_on<'s, 'a>(steps: &'s [ReceiveStep<'a>], facts: &Facts, connection: &Connection) -> Vec<&'s ReceiveStep<'a>> {
    let next = facts.connections_of(&connection.client).find(|other| other.index > connection.index);
    let on_it = connection.opened.at..next.map_or(usize::MAX, |next| next.opened.at);
    let own = steps.iter().filter(|step| step.client == &*connection.client && on_it.contains(&step.events.start));
    own.collect()
}

/// What decides about the place of a copy among all that came.
fn place<'a>((lane, copy): &'a (Lane<'a>, Received)) -> impl Ord {
    (copy.client.as_str(), copy.connection, copy.topic.as_str(), copy.phase, copy.retain, copy.qos, *lane)
}

/// Messages that a broker has to keep in order: those of one publisher at one QoS, on the topic that they share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Lane<'a> {
    publisher: &'a str,
    qos: u8,
}

/// One connection, with what has to be known of the others to place its copies.
struct Arrivals<'a> {
    connection: &'a Connection,
    /// Which of its client's connections this is, from 1.
    number: u32,
    /// How many connections with the same client identifier came before this one.
    before: usize,
    published: &'a HashMap<Message, &'a Publication>,
    /// The fences that came on it: the place of the copy, and the message.
    fences: Vec<(usize, &'a Publication)>,
}

impl<'a> Arrivals<'a> {
    fn on(facts: &Facts, connection: &'a Connection, published: &'a HashMap<Message, &'a Publication>) -> Arrivals<'a> {
        let is_earlier = |other: &&Connection| other.index < connection.index;
        let fence = |delivery: &Delivery| {
            let message = delivery.message.filter(|message| matches!(message, Message::Fence(_)))?;
            Some((delivery.place.at, *published.get(&message)?))
        };
        Arrivals {
            connection,
            number: facts.connections_of(&connection.client).filter(is_earlier).count() as u32 + 1,
            before: of_identifier(facts, &connection.id).filter(is_earlier).count(),
            published,
            fences: connection.deliveries.iter().filter_map(fence).collect(),
        }
    }

    fn publication(&self, delivery: &Delivery) -> Option<&'a Publication> {
        self.published.get(&delivery.message?).copied()
    }

    /// A copy whose payload is not ours has a lane of its own.
    fn lane(&self, delivery: &Delivery) -> Lane<'a> {
        match self.publication(delivery) {
            Some(publication) => Lane { publisher: &publication.publisher, qos: publication.qos },
            None => Lane { publisher: "", qos: delivery.publish.qos },
        }
    }

    fn copy(&self, delivery: &Delivery, step: u32) -> Received {
        let publish = &delivery.publish;
        Received {
            client: self.connection.client.to_string(),
            connection: self.number,
            topic: visible(&delivery.topic).into_owned(),
            phase: self.phase(delivery),
            step,
            seq: match delivery.message {
                Some(Message::Experiment(number)) => Some(number),
                _ => None,
            },
            qos: publish.qos,
            retain: publish.retain,
            dup: publish.dup,
            complete: delivery.is_complete(),
            // A copy sent because of a SUBSCRIBE has no place in the order, so it has no fence either.
            late: !publish.retain && self.is_behind_its_fence(delivery),
        }
    }

    fn phase(&self, delivery: &Delivery) -> Phase {
        let is_asked_for = |subscribe: &Subscribing| {
            topic::matches(&subscribe.filter.filter, &delivery.topic) && subscribe.sent.at < delivery.place.at
        };
        match self.before {
            0 => Phase::First,
            1 if self.connection.subscribes.iter().any(is_asked_for) => Phase::Resubscribed,
            1 => Phase::Resumed,
            _ => Phase::Again,
        }
    }

    /// True if a fence that the same publisher sent behind this message, on its topic and at its QoS, came before it.
    fn is_behind_its_fence(&self, delivery: &Delivery) -> bool {
        let Some(publication) = self.publication(delivery) else { return false };
        let mut earlier = self.fences.iter().filter(|(at, _)| *at < delivery.place.at);
        earlier.any(|(_, fence)| fence.is_of_same_source(publication) && fence.at() > publication.at())
    }
}
