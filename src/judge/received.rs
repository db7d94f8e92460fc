//! What the record of a cell says beside the verdict: what was sent, granted and received, as numbers.

use super::story::{Connection, Delivery, Story};
use crate::history::Message;
use crate::results::{Phase, Received};
use crate::topic;

/// The measured part of a cell's record.
#[derive(Debug, Default)]
pub struct Measured {
    pub sent: u32,
    pub published: u32,
    pub session_present: Option<bool>,
    pub granted_qos: Option<u8>,
    pub regranted_qos: Option<u8>,
    pub received: Vec<Received>,
}

pub fn measure(story: &Story) -> Measured {
    let experiment: Vec<_> =
        story.publications.iter().filter(|p| matches!(p.message, Message::Experiment(_))).collect();
    let mut measured = Measured {
        sent: experiment.len() as u32,
        published: experiment.iter().filter(|publication| publication.accepted.is_some()).count() as u32,
        ..Measured::default()
    };
    let Some(subject) = story.subject() else { return measured };
    let connections: Vec<&Connection> = story.connections_of(subject).collect();
    let Some(filter) =
        connections.iter().flat_map(|connection| &connection.subscribes).next().map(|s| s.filter.filter.as_str())
    else {
        return measured;
    };
    let codes: Vec<Option<u8>> = connections
        .iter()
        .flat_map(|connection| &connection.subscribes)
        .filter(|subscribe| subscribe.filter.filter == filter)
        .map(|subscribe| subscribe.suback.map(|(_, code)| code))
        .collect();
    measured.granted_qos = codes.first().copied().flatten();
    measured.regranted_qos = codes.get(1).copied().flatten();
    let accepted = connections.iter().skip(1).find(|connection| connection.is_accepted());
    let back = accepted.and_then(|connection| connection.connack.as_ref());
    measured.session_present = back.map(|(_, connack)| connack.session_present);
    for (number, connection) in connections.iter().enumerate().skip(1) {
        let on_topic = connection.deliveries.iter().filter(|delivery| topic::matches(filter, &delivery.topic));
        let copies = on_topic.filter(|delivery| {
            !matches!(delivery.message, Some(Message::LoopBack(_) | Message::Fence(_) | Message::Will(_)))
        });
        measured.received.extend(copies.map(|delivery| received(number, connection, filter, delivery)));
    }
    measured
}

fn received(number: usize, connection: &Connection, filter: &str, delivery: &Delivery) -> Received {
    let subscribed = connection.subscribes.iter().any(|s| s.filter.filter == filter && s.at < delivery.at);
    let phase = match (number, subscribed) {
        (1, false) => Phase::Resumed,
        (1, true) => Phase::Resubscribed,
        _ => Phase::Again,
    };
    let fenced = connection.deliveries.iter().any(|other| {
        matches!(other.message, Some(Message::Fence(_))) && other.topic == delivery.topic && other.at < delivery.at
    });
    let publish = &delivery.publish;
    Received {
        phase,
        seq: match delivery.message {
            Some(Message::Experiment(number)) => Some(number),
            _ => None,
        },
        qos: publish.qos,
        retain: publish.retain,
        dup: publish.dup,
        complete: delivery.complete,
        // A copy sent because of a SUBSCRIBE has no place in the order, so it has no fence either.
        late: fenced && !publish.retain,
    }
}
