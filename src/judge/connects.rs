//! CONNECT and CONNACK: the first packet, Session Present, and which session a connection continues.

use super::finding::{Findings, Rule, rule};
use super::session::Session;
use super::story::{Connection, Story};

const CONNACK_FIRST: Rule = rule("MQTT-3.2.0-1", "MQTT-3.2.0-1");
const PRESENT_0_AFTER_CLEAN: Rule = rule("MQTT-3.2.2-1", "MQTT-3.2.2-2");
const PRESENT_1_WITH_SESSION: Rule = rule("MQTT-3.2.2-2", "MQTT-3.2.2-3");
const KEEPS_THE_SESSION: Rule = rule("MQTT-3.1.2-4", "MQTT-3.1.2-23");
const PRESENT_0_WITHOUT_SESSION: Rule = rule("MQTT-3.2.2-3", "MQTT-3.2.2-3");
const PRESENT_0_WITH_ERROR: Rule = rule("MQTT-3.2.2-4", "MQTT-3.2.2-6");

pub fn check(story: &Story, sessions: &[Session<'_>], findings: &mut Findings) {
    for connection in &story.connections {
        first_packet(connection, findings);
        let session = sessions.iter().find(|session| session.has(connection));
        session_present(connection, session.is_some_and(|session| session.is_resumed_by(connection)), findings);
    }
}

fn first_packet(connection: &Connection, findings: &mut Findings) {
    if let Some((at, packet)) = connection.before_connack.first() {
        let expected = format!("CONNACK as the first packet to {}", connection.client);
        findings.broken(connection.protocol(), CONNACK_FIRST, &[*at], expected, format!("{packet} before CONNACK"));
    }
}

fn session_present(connection: &Connection, resumed: bool, findings: &mut Findings) {
    let Some((at, connack)) = &connection.connack else { return };
    let present = connack.session_present;
    let (rule, why) = match (connack.code, connection.connect.clean, resumed) {
        (0, true, _) => (PRESENT_0_AFTER_CLEAN, "the client asked for a clean session"),
        (0, false, true) if shows_a_session(connection) => {
            (PRESENT_1_WITH_SESSION, "the broker has its session, since messages come without a SUBSCRIBE")
        }
        (0, false, true) => (KEEPS_THE_SESSION, "the session of the connection before has to be there"),
        (0, false, false) => (PRESENT_0_WITHOUT_SESSION, "this client id never had a session"),
        (_, _, _) => (PRESENT_0_WITH_ERROR, "the CONNECT was refused"),
    };
    let right = connack.code == 0 && resumed;
    if present != right {
        findings.broken(
            connection.protocol(),
            rule,
            &[connection.opened_at, *at],
            format!("Session Present {} to {}: {why}", u8::from(right), connection.client),
            format!("Session Present {}", u8::from(present)),
        );
    }
}

/// A message came without a SUBSCRIBE on this connection: by a subscription that only an earlier one can have made.
fn shows_a_session(connection: &Connection) -> bool {
    connection.deliveries.iter().any(|delivery| {
        let asked = |topic: &str| connection.subscribes.iter().any(|s| s.topic == topic && s.at < delivery.at);
        delivery.message.is_some() && !asked(&delivery.publish.topic)
    })
}
