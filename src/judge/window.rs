//! What a client announced at CONNECT and the broker has to heed: Receive Maximum, Maximum Packet Size, Topic Alias
//! Maximum; and Packet Identifiers that are in use.

use super::finding::{Findings, Rule, rule};
use super::session::Session;
use super::story::{Connection, Delivery};
use crate::history::Message;

const RECEIVE_MAXIMUM: Rule = Rule { v3: None, v5: Some("MQTT-3.3.4-9") };
const RECEIVE_MAXIMUM_OF_THIS_CONNECTION: Rule = Rule { v3: None, v5: Some("MQTT-4.9.0-1") };
pub const MAXIMUM_PACKET_SIZE: Rule = Rule { v3: None, v5: Some("MQTT-3.1.2-24") };
const NO_ALIAS_UNASKED: Rule = Rule { v3: None, v5: Some("MQTT-3.1.2-27") };
const NO_ALIAS_ABOVE_THE_MAXIMUM: Rule = Rule { v3: None, v5: Some("MQTT-3.1.2-26") };
const ALIASES_END_WITH_THE_CONNECTION: Rule = Rule { v3: None, v5: Some("MQTT-3.3.2-7") };
const AN_UNUSED_IDENTIFIER: Rule = rule("MQTT-2.3.1-4", "MQTT-2.2.1-4");

/// Checks every connection of a session.
pub fn check(session: &Session<'_>, findings: &mut Findings) {
    for connection in &session.connections {
        receive_maximum(session, connection, findings);
        identifiers(session, connection, findings);
        for delivery in &connection.deliveries {
            packet_size(connection, delivery, findings);
            topic_alias(connection, delivery, findings);
        }
    }
}

/// The delivery was without its last answer at a place.
fn is_unacknowledged(connection: &Connection, delivery: &Delivery, place: usize) -> bool {
    let answered = match (delivery.publish.qos, delivery.complete) {
        (0, _) => true,
        // Its answers stand right behind it or not at all.
        (_, true) => delivery.acked_at.is_some_and(|at| at < place),
        _ => false,
    };
    !answered && delivery.at < place && connection.opened_at < place
}

fn receive_maximum(session: &Session<'_>, connection: &Connection, findings: &mut Findings) {
    let maximum = connection.receive_maximum();
    let over = connection.deliveries.iter().filter(|delivery| delivery.publish.qos > 0).find(|delivery| {
        let open = connection.deliveries.iter().filter(|other| is_unacknowledged(connection, other, delivery.at));
        open.count() + 1 > maximum
    });
    let Some(delivery) = over else { return };
    let before = session.before(connection).filter(|before| before.connect.receive_maximum.is_some());
    let rule = match before {
        Some(before) if before.receive_maximum() > maximum => RECEIVE_MAXIMUM_OF_THIS_CONNECTION,
        _ => RECEIVE_MAXIMUM,
    };
    findings.broken(
        connection.protocol(),
        rule,
        &[connection.opened_at, delivery.at],
        format!("at most {maximum} messages unacknowledged to {}: its Receive Maximum", connection.client),
        format!("{}", maximum + 1),
    );
}

fn packet_size(connection: &Connection, delivery: &Delivery, findings: &mut Findings) {
    let bytes = Message::bytes_filled(&delivery.publish.payload);
    let Some((bytes, maximum)) = bytes.zip(connection.connect.maximum_packet_size) else { return };
    if bytes > maximum as usize {
        let expected = format!("no packet of more than {maximum} bytes to {}", connection.client);
        let observed = format!("a PUBLISH with a payload of {bytes} bytes");
        let events = [connection.opened_at, delivery.at];
        findings.broken(connection.protocol(), MAXIMUM_PACKET_SIZE, &events, expected, observed);
    }
}

fn topic_alias(connection: &Connection, delivery: &Delivery, findings: &mut Findings) {
    let Some(alias) = delivery.publish.properties.topic_alias else { return };
    let maximum = connection.connect.topic_alias_maximum.unwrap_or(0);
    let events = [connection.opened_at, delivery.at];
    let (rule, expected) = match maximum {
        0 => (NO_ALIAS_UNASKED, "no Topic Alias: the client takes none".to_owned()),
        maximum if alias > maximum => (NO_ALIAS_ABOVE_THE_MAXIMUM, format!("no Topic Alias above {maximum}")),
        _ if delivery.topic.is_empty() => {
            (ALIASES_END_WITH_THE_CONNECTION, format!("a topic beside the Topic Alias {alias}, which is new here"))
        }
        _ => return,
    };
    findings.broken(connection.protocol(), rule, &events, expected, format!("Topic Alias {alias}"));
}

/// A new PUBLISH under an identifier whose last use has no last answer yet.
fn identifiers(session: &Session<'_>, connection: &Connection, findings: &mut Findings) {
    let mut in_use: Vec<&Delivery> = session.under_way(connection).into_iter().map(|(_, delivery)| delivery).collect();
    for delivery in connection.deliveries.iter().filter(|delivery| delivery.publish.qos > 0) {
        in_use.retain(|other| !other.complete || other.acked_at.is_some_and(|at| at > delivery.at));
        let same = |other: &&&Delivery| other.publish.id == delivery.publish.id;
        let is_other = |other: &Delivery| other.publish.payload != delivery.publish.payload;
        if let Some(other) = in_use.iter().find(same).filter(|other| !delivery.publish.dup && is_other(other)) {
            let id = delivery.publish.id;
            findings.broken(
                connection.protocol(),
                AN_UNUSED_IDENTIFIER,
                &[other.at, delivery.at],
                format!("a Packet Identifier that is not in use: {id} belongs to a message without its last answer"),
                format!("{id}"),
            );
            return;
        }
        // What is sent again under another identifier gives its first one up.
        let gives_up = |other: &Delivery| delivery.publish.dup && !is_other(other);
        in_use.retain(|other| other.publish.id != delivery.publish.id && !gives_up(other));
        in_use.push(delivery);
    }
}
