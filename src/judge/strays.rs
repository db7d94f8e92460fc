//! Answers to nothing: with a Packet Identifier of no packet, or before what they answer.

use super::facts::Connection;
use super::finding::Findings;
use super::rules::{self, Rule};
use crate::history::{Awaited, Event, History};
use crate::packet::{AckKind, Packet};

/// Answers with a Packet Identifier that no packet of any client has had, beside those that were due, and PUBCOMPs before any PUBREL.
pub fn check(history: &History, connection: &Connection, findings: &mut Findings) {
    if connection.half || connection.garbled.is_some() {
        return;
    }
    let (client, protocol) = (&connection.client, connection.protocol());
    let was_used = |at: usize| {
        let id = history.entries[at].event.packet().and_then(Packet::id);
        let mut sent = history.events().filter(|event| matches!(event, Event::Sent(..))).filter_map(Event::packet);
        sent.any(|packet| packet.id() == id)
    };
    let is_due = |awaited: &Awaited| matches!(awaited, Awaited::Suback(_) | Awaited::Ack(..));
    let kinds = [
        (&connection.stray_subacks, rules::SUBACK_HAS_ITS_ID, "SUBACK"),
        (&connection.stray_acks, rules::ACKS_HAVE_THEIR_ID, "PUBACK or PUBREC"),
    ];
    // A stray answer is the one that is missing, with another identifier, and is told of with that.
    let is_missing = connection.missing.iter().any(|(_, awaited)| is_due(awaited));
    for (strays, rule, name) in kinds.into_iter().filter(|_| !is_missing) {
        let Some(at) = strays.iter().copied().find(|at| !was_used(*at)) else { continue };
        let expected = format!("each {name} to {client} with the Packet Identifier of a packet that it answers");
        findings.broken(rule, protocol).at([at]).expected(expected).observed("one with an identifier of nothing");
    }
    if let Some(at) = connection.early_pubcomps.first() {
        let finding = findings.broken(rules::ANSWERS_PUBREL, protocol).at([*at]);
        finding.expected(format!("PUBCOMP to {client} only behind its PUBREL")).observed("PUBCOMP before any PUBREL");
    }
}

/// The answers of this kind that carry an identifier of nobody, and the rule that they break. They are on the wire, whether the
/// broker gives another sign of life or not.
pub fn of_kind(connection: &Connection, awaited: Awaited) -> (&[usize], Option<Rule>) {
    match awaited {
        Awaited::Suback(_) => (&connection.stray_subacks, Some(rules::SUBACK_HAS_ITS_ID)),
        Awaited::Ack(AckKind::Puback | AckKind::Pubrec, _) => (&connection.stray_acks, Some(rules::ACKS_HAVE_THEIR_ID)),
        _ => (&[], None),
    }
}
