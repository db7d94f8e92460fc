//! The normative statements that a verdict can cite, once each, in our own words.
//!
//! A statement is found by protocol version and id: the standard's number, or the section of a sentence that has none.
//! The wording is what reports print; what a broker has to do in detail is decided in `judge`.

use crate::packet::Protocol;
use crate::results::Level;

/// What the standard demands of a broker in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement {
    pub protocol: Protocol,
    /// `MQTT-3.1.2-5`, or a section such as `3.14.4`.
    pub id: &'static str,
    pub level: Level,
    /// One sentence: what the broker has to do.
    pub paraphrase: &'static str,
}

/// The statement with this id in this version of the standard.
pub fn find(protocol: Protocol, id: &str) -> Option<&'static Statement> {
    statements(protocol).iter().find(|statement| statement.id == id)
}

/// Every statement of one version of the standard, in the order of its sections.
pub fn statements(protocol: Protocol) -> &'static [Statement] {
    match protocol {
        Protocol::V3 => V3,
        Protocol::V5 => V5,
    }
}

const fn v3(level: Level, id: &'static str, paraphrase: &'static str) -> Statement {
    Statement { protocol: Protocol::V3, id, level, paraphrase }
}

const fn v5(level: Level, id: &'static str, paraphrase: &'static str) -> Statement {
    Statement { protocol: Protocol::V5, id, level, paraphrase }
}

use Level::{Must, None, Should};

#[rustfmt::skip]
const V3: &[Statement] = &[
    v3(Must, "MQTT-2.3.1-4", "Give each new PUBLISH at QoS 1 or 2 a Packet Identifier that is not in use, and keep it when the PUBLISH is sent again."),
    v3(Must, "MQTT-3.1.2-4", "With Clean Session 0, go on with the Session of this client identifier, or create one, and keep it after the connection ends."),
    v3(Must, "MQTT-3.1.2-5", "While a client with Clean Session 0 is away, store the QoS 1 and QoS 2 messages that match its subscriptions."),
    v3(Must, "MQTT-3.1.2-6", "With Clean Session 1, discard any earlier Session, and use nothing of this Session after its connection has ended."),
    v3(Must, "MQTT-3.1.3-5", "Accept client identifiers of 1 to 23 bytes made of digits and letters."),
    v3(Must, "MQTT-3.2.0-1", "Send CONNACK before any other packet."),
    v3(Must, "MQTT-3.2.2-1", "Answer an accepted Clean Session 1 with Session Present 0."),
    v3(Must, "MQTT-3.2.2-2", "Answer Clean Session 0 with Session Present 1 when a Session of this client is stored."),
    v3(Must, "MQTT-3.2.2-3", "Answer with Session Present 0 when no Session of this client is stored."),
    v3(Must, "MQTT-3.2.2-4", "Put Session Present 0 into a CONNACK that refuses the connection."),
    v3(Must, "MQTT-3.2.2-5", "Close the connection after a CONNACK that refuses it."),
    v3(Must, "MQTT-3.3.1-1", "Set DUP to 1 on a PUBLISH that is sent again."),
    v3(Must, "MQTT-3.3.1-2", "Set DUP to 0 on every QoS 0 message."),
    v3(Must, "MQTT-3.3.1-3", "Set DUP only by whether this PUBLISH itself was sent before, not by what the publisher set."),
    v3(Must, "MQTT-3.3.1-5", "Store a message published with RETAIN 1, with its QoS, for clients that subscribe later."),
    v3(Must, "MQTT-3.3.1-6", "Send the last retained message of each matching topic when a subscription is made."),
    v3(Must, "MQTT-3.3.1-7", "Replace the retained message of a topic when a QoS 0 message with RETAIN 1 arrives, also if the new one is not kept."),
    v3(Must, "MQTT-3.3.1-8", "Set RETAIN to 1 on a message that is sent because a client subscribed."),
    v3(Must, "MQTT-3.3.1-9", "Set RETAIN to 0 on a message that goes to a subscription that existed when it was published, however it was published."),
    v3(Must, "MQTT-3.3.1-12", "Let a message published with RETAIN 0 neither become nor remove nor replace a retained message."),
    v3(Must, "MQTT-3.3.2-3", "Send a subscriber only messages whose topic matches one of its filters."),
    v3(Must, "MQTT-3.3.4-1", "Answer a PUBLISH as its QoS demands: QoS 1 with PUBACK, QoS 2 with PUBREC."),
    v3(Must, "MQTT-3.8.4-1", "Answer SUBSCRIBE with SUBACK."),
    v3(Must, "MQTT-3.8.4-2", "Give the SUBACK the Packet Identifier of its SUBSCRIBE."),
    v3(Must, "MQTT-3.8.4-3", "Let a repeated SUBSCRIBE replace the subscription, send retained messages again, and interrupt no flow of messages."),
    v3(Must, "MQTT-3.8.4-5", "Put the granted QoS or a failure for each filter into the SUBACK."),
    v3(Must, "MQTT-3.8.4-6", "Deliver at the lower of the QoS of the publication and the QoS granted to the subscription."),
    v3(Must, "MQTT-3.9.3-1", "Order the codes of a SUBACK as the filters of its SUBSCRIBE."),
    v3(Must, "MQTT-3.12.4-1", "Answer PINGREQ with PINGRESP."),
    v3(Should, "3.14.4", "Close the connection after a DISCONNECT if the client has not."),
    v3(None, "4.3.1", "The standard does not forbid, and no client expects, that a delivered QoS 0 message comes once more on a later connection."),
    v3(None, "4.3.2", "The standard does not forbid, and no client expects, that an acknowledged QoS 1 message comes once more on a later connection."),
    v3(Must, "MQTT-4.3.2-2", "Answer a QoS 1 PUBLISH with PUBACK, and take the same Packet Identifier after that as a new message."),
    v3(Must, "MQTT-4.3.3-1", "Deliver a QoS 2 message by the complete handshake, and never send its PUBLISH again after PUBREL."),
    v3(Must, "MQTT-4.3.3-2", "Take in a QoS 2 message once: PUBREC for each repeated PUBLISH until PUBREL, then PUBCOMP, and one copy passed on."),
    v3(Must, "MQTT-4.4.0-1", "When a Session resumes, send unacknowledged PUBLISH and PUBREL packets again with their Packet Identifiers."),
    v3(None, "4.5", "The standard foresees subscriptions that a broker makes by itself, but no client expects a message that none of its own explains."),
    v3(Must, "MQTT-4.5.0-1", "Add an accepted message to the Session of every client with a matching subscription."),
    v3(Must, "MQTT-4.6.0-6", "Deliver the messages of one publisher on one topic at one QoS in the order in which they were published."),
];

#[rustfmt::skip]
const V5: &[Statement] = &[
    v5(Must, "MQTT-2.2.1-4", "Give each new PUBLISH at QoS 1 or 2 a Packet Identifier that is not 0 and not in use."),
    v5(Must, "MQTT-3.1.2-4", "With Clean Start 1, discard any earlier Session and start a new one."),
    v5(Must, "MQTT-3.1.2-5", "With Clean Start 0, go on with the Session of this client identifier where there is one."),
    v5(Must, "MQTT-3.1.2-6", "With Clean Start 0, create a Session where there is none."),
    v5(Must, "MQTT-3.1.2-23", "Keep the Session after the connection ends when its Session Expiry Interval is greater than 0."),
    v5(Must, "MQTT-3.1.3-5", "Accept client identifiers of 1 to 23 bytes made of digits and letters."),
    v5(Must, "MQTT-3.2.0-1", "Send CONNACK before any other packet than AUTH."),
    v5(Must, "MQTT-3.2.2-2", "Answer an accepted Clean Start 1 with Session Present 0."),
    v5(Must, "MQTT-3.2.2-3", "Answer Clean Start 0 with Session Present 1 exactly when a Session of this client is stored."),
    v5(Must, "MQTT-3.2.2-6", "Put Session Present 0 into a CONNACK that refuses the connection."),
    v5(Must, "MQTT-3.2.2-7", "Close the connection after a CONNACK with a reason code of 0x80 and above."),
    v5(None, "3.2.2.3.5", "A broker that takes no retained messages announces it with Retain Available 0; no client expects the refusal without it."),
    v5(Must, "MQTT-3.2.2-9", "Announce Maximum QoS in the CONNACK when PUBLISH packets at QoS 1 or 2 are not supported."),
    v5(Must, "MQTT-3.3.1-1", "Set DUP to 1 on a PUBLISH that is sent again."),
    v5(Must, "MQTT-3.3.1-2", "Set DUP to 0 on every QoS 0 message."),
    v5(Must, "MQTT-3.3.1-3", "Set DUP only by whether this PUBLISH itself was sent before, not by what the publisher set."),
    v5(Should, "3.3.1.3", "Store a QoS 0 message published with RETAIN 1 as the new retained message of its topic."),
    v5(Must, "MQTT-3.3.1-5", "Store a message published with RETAIN 1 as the retained message of its topic, instead of the one before."),
    v5(Must, "MQTT-3.3.1-8", "Let a message published with RETAIN 0 neither become nor remove nor replace a retained message."),
    v5(Must, "MQTT-3.3.1-9", "With Retain Handling 0, send the matching retained messages on every SUBSCRIBE."),
    v5(Must, "MQTT-3.3.1-10", "With Retain Handling 1, send retained messages only if the subscription did not exist before."),
    v5(Must, "MQTT-3.3.1-12", "With Retain As Published 0, forward messages with RETAIN 0, however they were published."),
    v5(Must, "MQTT-3.3.2-3", "Send a subscriber only messages whose topic matches one of its filters."),
    v5(Must, "MQTT-3.3.4-1", "Answer a PUBLISH as its QoS demands: QoS 1 with PUBACK, QoS 2 with PUBREC."),
    v5(Must, "MQTT-3.3.4-9", "Leave no more QoS 1 and QoS 2 messages unacknowledged than the client's Receive Maximum."),
    v5(Must, "3.8.3.1", "Set RETAIN to 1 on a retained message that is sent because a client subscribed."),
    v5(Must, "MQTT-3.8.4-1", "Answer SUBSCRIBE with SUBACK."),
    v5(Must, "MQTT-3.8.4-2", "Give the SUBACK the Packet Identifier of its SUBSCRIBE."),
    v5(Must, "MQTT-3.8.4-3", "Let a SUBSCRIBE with the same filter replace the subscription."),
    v5(Must, "MQTT-3.8.4-4", "When a subscription is replaced, lose no message, and with Retain Handling 0 send retained messages again."),
    v5(Must, "MQTT-3.8.4-7", "Put the granted QoS or a failure for each filter into the SUBACK."),
    v5(Must, "MQTT-3.8.4-8", "Deliver at the lower of the QoS of the publication and the QoS granted to the subscription."),
    v5(Must, "MQTT-3.9.3-1", "Order the reason codes of a SUBACK as the filters of its SUBSCRIBE."),
    v5(Must, "MQTT-3.12.4-1", "Answer PINGREQ with PINGRESP."),
    v5(Should, "3.14.4", "Close the connection after a DISCONNECT if the client has not."),
    v5(Must, "MQTT-4.3.1-1", "Send a QoS 0 message with QoS 0 and DUP 0."),
    v5(Must, "MQTT-4.3.2-1", "Give each new QoS 1 message a Packet Identifier that is not in use."),
    v5(Must, "MQTT-4.3.2-2", "Send a QoS 1 message for the first time with DUP 0."),
    v5(Must, "MQTT-4.3.3-1", "Give each new QoS 2 message a Packet Identifier that is not in use."),
    v5(Must, "MQTT-4.3.3-2", "Send a QoS 2 message for the first time with DUP 0."),
    v5(Must, "MQTT-4.3.3-6", "Never send a QoS 2 PUBLISH again after its PUBREL."),
    v5(Must, "MQTT-4.3.3-8", "Answer a QoS 2 PUBLISH with PUBREC."),
    v5(Must, "MQTT-4.3.3-10", "Until PUBREL, answer a repeated QoS 2 PUBLISH with PUBREC and pass no second copy on."),
    v5(Must, "MQTT-4.3.3-11", "Answer PUBREL with PUBCOMP."),
    v5(Must, "MQTT-4.4.0-1", "Send unacknowledged PUBLISH and PUBREL packets again when a Session resumes, and at no other time."),
    v5(None, "4.5", "The standard foresees subscriptions that a broker makes by itself, but no client expects a message that none of its own explains."),
    v5(Must, "MQTT-4.5.0-1", "Add an accepted message to the Session of every client with a matching subscription."),
    v5(Must, "MQTT-4.6.0-5", "Deliver the messages of one publisher on one topic at one QoS in the order in which they were published."),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn all() -> impl Iterator<Item = &'static Statement> {
        Protocol::ALL.into_iter().flat_map(|protocol| statements(protocol).iter())
    }

    #[test]
    fn ids_are_unique_in_each_protocol() {
        for protocol in Protocol::ALL {
            let ids: BTreeSet<&str> = statements(protocol).iter().map(|statement| statement.id).collect();
            assert_eq!(ids.len(), statements(protocol).len(), "{protocol}");
            assert!(statements(protocol).iter().all(|statement| statement.protocol == protocol));
        }
    }

    #[test]
    fn every_paraphrase_is_one_sentence() {
        for Statement { id, paraphrase, .. } in all() {
            let sentence = paraphrase.strip_suffix('.').unwrap_or_else(|| panic!("{id}: no full stop"));
            assert!(sentence.starts_with(|first: char| first.is_uppercase()), "{id}");
            assert!(!sentence.contains(". ") && sentence.len() > 20, "{id}: {paraphrase}");
        }
    }

    #[test]
    fn an_id_is_a_number_of_the_standard_or_a_section() {
        for Statement { id, level, .. } in all() {
            let section = id.strip_prefix("MQTT-").unwrap_or(id);
            assert!(section.split(['.', '-']).all(|part| part.parse::<u8>().is_ok()), "{id}");
            assert!(!id.starts_with("MQTT-") || *level == Must, "{id}: what is numbered is a MUST here");
        }
    }

    #[test]
    fn a_statement_is_found_in_its_own_protocol_only() {
        assert_eq!(find(Protocol::V3, "MQTT-3.1.2-5").map(|found| found.protocol), Some(Protocol::V3));
        assert_eq!(find(Protocol::V5, "MQTT-4.3.3-6").map(|found| found.level), Some(Must));
        assert_eq!(find(Protocol::V5, "3.14.4").map(|found| found.level), Some(Should));
        assert_eq!(find(Protocol::V3, "MQTT-4.3.3-6"), Option::None);
    }
}
