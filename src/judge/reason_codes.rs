//! Reason codes that the standard does not list for the packet in which they come (3.1.1, section 3.9.3; 5.0, section 2.4).

use super::facts::{Connection, Facts};
use super::finding::Findings;
use super::rules::{self, Rule};
use crate::history::{Client, Event, History};
use crate::packet::{AckKind, Packet, Protocol};

const OF_PUBLISH: &[u8] = &[0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
const OF_PUBREL: &[u8] = &[0x00, 0x92];
const OF_SUBACK_V3: &[u8] = &[0x00, 0x01, 0x02, 0x80];
const OF_SUBACK: &[u8] = &[0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2];
const OF_UNSUBACK: &[u8] = &[0x00, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91];
/// Those that a server may send, some of which a client may send too.
const OF_DISCONNECT: &[u8] = &[
    0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98,
    0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
];

/// One finding for each type of packet and client: a broker that does so once does it each time.
pub fn check(history: &History, facts: &Facts, findings: &mut Findings) {
    let mut told: Vec<(&Client, Rule)> = Vec::new();
    for (at, event) in history.events().enumerate() {
        let Event::Received(client, packet) = event else { continue };
        let Some((codes, listed, rule)) = codes_of(packet) else { continue };
        // 3.1.1 lists fewer: what it has is right in both, and there may be a hundred thousand packets.
        if are_listed(codes, if listed == OF_SUBACK { OF_SUBACK_V3 } else { listed }) {
            continue;
        }
        let protocol = facts.connections_of(client).next().map_or(Protocol::V5, Connection::protocol);
        let is_right = protocol == Protocol::V5 && are_listed(codes, listed);
        if is_right || told.contains(&(client, rule)) {
            continue;
        }
        told.push((client, rule));
        let finding = findings.broken(rule, protocol).at([at]);
        let codes: Vec<String> = codes.iter().map(|code| format!("{code:#04x}")).collect();
        finding.expected(format!("a reason code of {} to {client}", packet.name())).observed(codes.join(", "));
    }
}

fn are_listed(codes: &[u8], listed: &[u8]) -> bool {
    codes.iter().all(|code| listed.contains(code))
}

/// The reason codes of a packet, those that 5.0 lists for its type, and the rule that says so.
fn codes_of(packet: &Packet) -> Option<(&[u8], &'static [u8], Rule)> {
    match packet {
        Packet::Ack(ack) => {
            let (listed, rule) = match ack.kind {
                AckKind::Puback => (OF_PUBLISH, rules::CODES_OF_PUBACK),
                AckKind::Pubrec => (OF_PUBLISH, rules::CODES_OF_PUBREC),
                AckKind::Pubrel => (OF_PUBREL, rules::CODES_OF_PUBREL),
                AckKind::Pubcomp => (OF_PUBREL, rules::CODES_OF_PUBCOMP),
            };
            Some((std::slice::from_ref(&ack.reason), listed, rule))
        }
        Packet::Suback(suback) => Some((&suback.codes, OF_SUBACK, rules::CODES_OF_SUBACK)),
        Packet::Unsuback(unsuback) => Some((&unsuback.codes, OF_UNSUBACK, rules::CODES_OF_UNSUBACK)),
        Packet::Disconnect { reason, .. } => {
            Some((std::slice::from_ref(reason), OF_DISCONNECT, rules::CODES_OF_DISCONNECT))
        }
        _ => None,
    }
}
