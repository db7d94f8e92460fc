//! Bytes that are no packet, and which rule they break.

use super::facts::{Connection, Facts};
use super::finding::Findings;
use super::rules::{self, Rule};
use crate::connection::decode::{Undecodable, decode};
use crate::connection::encode::encode;
use crate::history::{Event, History, WITNESS};
use crate::packet::{Packet, Protocol};

/// Bytes that are no packet, in the place of a copy that the witness was to get.
pub fn to_the_witness(history: &History, facts: &Facts, findings: &mut Findings) {
    let is_malformed = |event: &Event| matches!(event, Event::Undecodable(client, ..) if client.as_ref() == WITNESS);
    let Some(at) = history.events().position(is_malformed) else { return };
    let Some(protocol) = facts.protocol_of_witness() else { return };
    bytes(history, at, protocol, "the witness", findings);
}

/// Bytes that are no packet, at this entry.
pub fn bytes(history: &History, at: usize, protocol: Protocol, to: &str, findings: &mut Findings) {
    let Some(Event::Undecodable(_, bytes, why)) = history.events().nth(at) else { return };
    let rule = match decode(protocol, bytes) {
        _ if has_wrong_flags(protocol, bytes) => rules::RESERVED_FLAGS,
        _ if is_suback_without_codes(protocol, bytes) => rules::A_CODE_FOR_EACH_FILTER,
        Err(Undecodable::Identifier0) => rule_of_identifier_0(bytes),
        Err(error) => rule_of(&error),
        Ok(_) => rules::MALFORMED_PACKET,
    };
    let observed = if why.is_empty() { "bytes that are no packet".into() } else { format!("a packet that {why}") };
    findings.broken(rule, protocol).at([at]).expected(only_packets(to)).observed(observed);
}

/// A CONNACK that no client takes for one, in a history that was written by hand: the harness keeps such a one as its bytes.
pub fn connack(connection: &Connection, findings: &mut Findings) {
    let Some((at, connack)) = connection.connack.as_ref().filter(|_| connection.protocol() == Protocol::V5) else {
        return;
    };
    let mut bytes = Vec::new();
    if encode(Protocol::V5, &Packet::Connack(connack.clone()), &mut bytes).is_err() {
        return;
    }
    if let Err(error) = decode(Protocol::V5, &bytes) {
        let finding = findings.broken(rule_of(&error), Protocol::V5).at([*at]);
        finding.expected(only_packets(&connection.client)).observed(format!("a packet that {error}"));
    }
}

fn only_packets(to: &str) -> String {
    format!("only MQTT packets to {to}")
}

/// The rule that says why a frame is no packet.
fn rule_of(error: &Undecodable) -> Rule {
    match error {
        Undecodable::ForeignProperty { .. } => rules::PROPERTIES_OF_ITS_TYPE,
        Undecodable::RepeatedProperty { kind } | Undecodable::RuledOutValue { kind, .. } => rule_of_connack(*kind),
        Undecodable::IllFormedText => rules::WELL_FORMED_TEXT,
        Undecodable::Qos3 => rules::NO_QOS_3,
        Undecodable::NullCharacter => rules::NO_NULL_CHARACTER,
        Undecodable::EmptyTopic => rules::A_TOPIC_HAS_A_CHARACTER,
        Undecodable::FlagsOfConnack { .. } => rules::FLAGS_OF_CONNACK,
        Undecodable::Identifier0 | Undecodable::Other(_) => rules::MALFORMED_PACKET,
    }
}

/// The rule on the Packet Identifier of a packet of this type: an answer has that of what it answers, and no client of ours uses 0.
fn rule_of_identifier_0(bytes: &[u8]) -> Rule {
    match bytes.first().map(|first| first >> 4) {
        Some(3) => rules::AN_IDENTIFIER_IS_NOT_0,
        Some(4..=7) => rules::ACKS_HAVE_THEIR_ID,
        Some(9) => rules::SUBACK_HAS_ITS_ID,
        _ => rules::MALFORMED_PACKET,
    }
}

/// The rule on this property of a CONNACK.
fn rule_of_connack(kind: u8) -> Rule {
    match kind {
        0x11 => rules::SESSION_EXPIRY_OF_CONNACK,
        0x12 => rules::ASSIGNED_IDENTIFIER_OF_CONNACK,
        0x13 => rules::KEEP_ALIVE_OF_CONNACK,
        0x15 => rules::AUTHENTICATION_METHOD_OF_CONNACK,
        0x16 => rules::AUTHENTICATION_DATA_OF_CONNACK,
        0x1a => rules::RESPONSE_INFORMATION_OF_CONNACK,
        0x1c => rules::SERVER_REFERENCE_OF_CONNACK,
        0x1f => rules::REASON_STRING_OF_CONNACK,
        0x21 => rules::RECEIVE_MAXIMUM_OF_CONNACK,
        0x22 => rules::TOPIC_ALIAS_MAXIMUM_OF_CONNACK,
        0x24 => rules::MAXIMUM_QOS_OF_CONNACK,
        0x25 => rules::RETAIN_AVAILABLE_OF_CONNACK,
        0x27 => rules::MAXIMUM_PACKET_SIZE_OF_CONNACK,
        0x28 => rules::WILDCARDS_OF_CONNACK,
        0x29 => rules::SUBSCRIPTION_IDENTIFIERS_OF_CONNACK,
        0x2a => rules::SHARED_SUBSCRIPTIONS_OF_CONNACK,
        _ => rules::MALFORMED_PACKET,
    }
}

/// With a code, it would be a SUBACK.
fn is_suback_without_codes(protocol: Protocol, bytes: &[u8]) -> bool {
    let [0x90, length @ 2..=100, rest @ ..] = bytes else { return false };
    rest.len() == usize::from(*length) && decode(protocol, &[&[0x90, length + 1], rest, &[0]].concat()).is_ok()
}

/// With the flags that its type has to have, it would be a packet that a broker sends.
fn has_wrong_flags(protocol: Protocol, bytes: &[u8]) -> bool {
    let Some((first, rest)) = bytes.split_first() else { return false };
    let kind = first & 0xf0;
    // A client's packets, and the PUBLISH, whose flags are not reserved.
    if matches!(kind, 0x10 | 0x30 | 0x80 | 0xa0 | 0xc0) {
        return false;
    }
    let flags = if kind == 0x60 { 2 } else { 0 };
    let right = [&[kind | flags], rest].concat();
    right != bytes && decode(protocol, &right).is_ok()
}
