//! What a PUBLISH to a client may not be, whatever it carries: larger than the client takes, under a Topic Alias that it does not
//! take, under the Packet Identifier 0, or to a topic that is empty or has a wildcard.

use super::facts::{Connection, Delivery, Facts};
use super::finding::Findings;
use super::rules;
use crate::connection::encode::encode;
use crate::history::Message;
use crate::packet::{Packet, Protocol, Publish};

pub fn check(facts: &Facts, findings: &mut Findings) {
    for connection in &facts.connections {
        for delivery in &connection.deliveries {
            packet_size(connection, delivery, findings);
            topic_alias(facts, connection, delivery, findings);
            identifier(connection, delivery, findings);
            topic(connection, delivery, findings);
        }
    }
}

fn packet_size(connection: &Connection, delivery: &Delivery, findings: &mut Findings) {
    let Some(maximum) = connection.connect.maximum_packet_size else { return };
    let Some(bytes) = bytes_of(connection.protocol(), &delivery.publish) else { return };
    if bytes > maximum as usize {
        let events = [connection.opened.at, delivery.place.at];
        let finding = findings.broken(rules::MAXIMUM_PACKET_SIZE, connection.protocol()).at(events);
        let expected = format!("no packet of more than {maximum} bytes to {}", connection.client);
        finding.expected(expected).observed(format!("a PUBLISH of {bytes} bytes"));
    }
}

/// The bytes of a PUBLISH on the wire. A history has the payload as it was before it was filled up.
fn bytes_of(protocol: Protocol, publish: &Publish) -> Option<usize> {
    let mut bytes = Vec::new();
    encode(protocol, &Packet::Publish(publish.clone()), &mut bytes).ok()?;
    let filled = Message::bytes_filled(&publish.payload).unwrap_or(publish.payload.len());
    Some(bytes.len() + filled.saturating_sub(publish.payload.len()))
}

fn topic_alias(facts: &Facts, connection: &Connection, delivery: &Delivery, findings: &mut Findings) {
    let Some(alias) = delivery.publish.properties.topic_alias else { return };
    let (rule, expected) = match connection.connect.topic_alias_maximum.unwrap_or(0) {
        0 => (rules::NO_ALIAS_UNASKED, "no Topic Alias: the client takes none".to_owned()),
        _ if alias == 0 => (rules::NO_ALIAS_0, "no Topic Alias of 0".to_owned()),
        maximum if alias > maximum => (rules::NO_ALIAS_ABOVE_THE_MAXIMUM, format!("no Topic Alias above {maximum}")),
        _ if delivery.topic.is_empty() => {
            let mut earlier = facts.connections[..connection.index].iter().filter(|own| own.id == connection.id);
            let rule = match earlier.any(|own| own.aliases_of_broker.has(alias)) {
                true => rules::ALIASES_END_WITH_THE_CONNECTION,
                false => rules::AN_ALIAS_HAS_A_TOPIC,
            };
            (rule, "a topic beside a Topic Alias that is new on this connection".to_owned())
        }
        _ => return,
    };
    let events = [connection.opened.at, delivery.place.at];
    let finding = findings.broken(rule, connection.protocol()).at(events).expected(expected);
    finding.observed(format!("Topic Alias {alias}"));
}

fn identifier(connection: &Connection, delivery: &Delivery, findings: &mut Findings) {
    if delivery.publish.qos > 0 && delivery.publish.id == 0 {
        let finding = findings.broken(rules::AN_IDENTIFIER_IS_NOT_0, connection.protocol()).at([delivery.place.at]);
        let expected = format!("a Packet Identifier that is not 0 in a PUBLISH to {}", connection.client);
        finding.expected(expected).observed("0");
    }
}

fn topic(connection: &Connection, delivery: &Delivery, findings: &mut Findings) {
    let publish = &delivery.publish;
    let (rule, expected) = match (publish.topic.as_str(), publish.properties.topic_alias) {
        ("", None) => (rules::A_TOPIC_HAS_A_CHARACTER, "one character at least"),
        (topic, _) if topic.contains(['+', '#']) => (rules::NO_WILDCARD_IN_A_TOPIC, "no wildcard"),
        _ => return,
    };
    let finding = findings.broken(rule, connection.protocol()).at([delivery.place.at]);
    let expected = format!("{expected} in the topic of a PUBLISH to {}", connection.client);
    finding.expected(expected).observed(match publish.topic.as_str() {
        "" => "an empty one".to_owned(),
        topic => format!("the topic {topic}"),
    });
}
