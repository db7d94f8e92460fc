//! What a PUBLISH to a client may not be, whatever it carries: larger than the client takes, under a Topic Alias that it does not
//! take, or to a topic with a wildcard.

use super::facts::{Connection, Delivery, Facts};
use super::finding::Findings;
use super::rules;
use crate::history::Message;

pub fn check(facts: &Facts, findings: &mut Findings) {
    for connection in &facts.connections {
        for delivery in &connection.deliveries {
            packet_size(connection, delivery, findings);
            topic_alias(connection, delivery, findings);
            wildcard(connection, delivery, findings);
        }
    }
}

fn packet_size(connection: &Connection, delivery: &Delivery, findings: &mut Findings) {
    let bytes = Message::bytes_filled(&delivery.publish.payload);
    let Some((bytes, maximum)) = bytes.zip(connection.connect.maximum_packet_size) else { return };
    if bytes > maximum as usize {
        let events = [connection.opened.at, delivery.place.at];
        let finding = findings.broken(rules::MAXIMUM_PACKET_SIZE, connection.protocol()).at(events);
        let expected = format!("no packet of more than {maximum} bytes to {}", connection.client);
        finding.expected(expected).observed(format!("a PUBLISH with a payload of {bytes} bytes"));
    }
}

fn topic_alias(connection: &Connection, delivery: &Delivery, findings: &mut Findings) {
    let Some(alias) = delivery.publish.properties.topic_alias else { return };
    let (rule, expected) = match connection.connect.topic_alias_maximum.unwrap_or(0) {
        0 => (rules::NO_ALIAS_UNASKED, "no Topic Alias: the client takes none".to_owned()),
        _ if alias == 0 => (rules::NO_ALIAS_0, "no Topic Alias of 0".to_owned()),
        maximum if alias > maximum => (rules::NO_ALIAS_ABOVE_THE_MAXIMUM, format!("no Topic Alias above {maximum}")),
        _ if delivery.topic.is_empty() => {
            let expected = "a topic beside a Topic Alias that is new on this connection";
            (rules::ALIASES_END_WITH_THE_CONNECTION, expected.to_owned())
        }
        _ => return,
    };
    let events = [connection.opened.at, delivery.place.at];
    let finding = findings.broken(rule, connection.protocol()).at(events).expected(expected);
    finding.observed(format!("Topic Alias {alias}"));
}

fn wildcard(connection: &Connection, delivery: &Delivery, findings: &mut Findings) {
    if delivery.publish.topic.contains(['+', '#']) {
        let finding = findings.broken(rules::NO_WILDCARD_IN_A_TOPIC, connection.protocol()).at([delivery.place.at]);
        let expected = format!("no wildcard in the topic of a PUBLISH to {}", connection.client);
        finding.expected(expected).observed(format!("the topic {}", delivery.publish.topic));
    }
}
