//! CONNECT and CONNACK: the first packet, Session Present, assigned identifiers, and the end of a connection that another
//! one takes over or that fell silent.

use super::finding::{ATTEMPTS_FOR_AN_ABSENCE, Findings, Rule, rule};
use super::session::{Session, SessionEnd, shows_a_session};
use super::story::{Connection, IDENTIFIER_REJECTED, Story};
use crate::history::{Awaited, PROBE};
use crate::packet::{Connack, Protocol};
use crate::scenario::Timer;

const CONNACK_FIRST: Rule = rule("MQTT-3.2.0-1", "MQTT-3.2.0-1");
const PRESENT_0_AFTER_CLEAN: Rule = rule("MQTT-3.2.2-1", "MQTT-3.2.2-2");
const PRESENT_1_WITH_SESSION: Rule = rule("MQTT-3.2.2-2", "MQTT-3.2.2-3");
const KEEPS_THE_SESSION: Rule = rule("MQTT-3.1.2-4", "MQTT-3.1.2-23");
const PRESENT_0_WITHOUT_SESSION: Rule = rule("MQTT-3.2.2-3", "MQTT-3.2.2-3");
const PRESENT_0_WITH_ERROR: Rule = rule("MQTT-3.2.2-4", "MQTT-3.2.2-6");
const AN_EXPIRED_SESSION_IS_DISCARDED: Rule = Rule { v3: None, v5: Some("MQTT-4.1.0-2") };
const IDENTIFIES_THE_SESSION: Rule = rule("MQTT-3.1.3-2", "MQTT-3.1.3-2");
const CLOSES_AFTER_REFUSAL: Rule = rule("MQTT-3.2.2-5", "MQTT-3.2.2-7");
const ACCEPTS_PLAIN_IDENTIFIERS: Rule = rule("MQTT-3.1.3-5", "MQTT-3.1.3-5");
pub(super) const REFUSES_A_SESSION_WITHOUT_IDENTIFIER: Rule = Rule { v3: Some("MQTT-3.1.3-8"), v5: None };
const RETURNS_THE_ASSIGNED_IDENTIFIER: Rule = Rule { v3: None, v5: Some("MQTT-3.1.3-7") };
const ASSIGNS_A_NEW_IDENTIFIER: Rule = Rule { v3: None, v5: Some("MQTT-3.2.2-16") };
const DISCONNECTS_THE_OLDER: Rule = rule("MQTT-3.1.4-2", "MQTT-3.1.4-3");
const CLOSES_AFTER_ITS_DISCONNECT: Rule = Rule { v3: None, v5: Some("MQTT-3.14.4-2") };
const NOTHING_AFTER_ITS_DISCONNECT: Rule = Rule { v3: None, v5: Some("MQTT-3.14.4-1") };
const NO_EXPIRY_IN_ITS_DISCONNECT: Rule = Rule { v3: None, v5: Some("MQTT-3.14.2-2") };
const ENDS_A_SILENT_CONNECTION: Rule = rule("MQTT-3.1.2-24", "MQTT-3.1.2-22");

/// The return code of 3.1.1 with which a broker says that it serves nobody now.
pub(super) const SERVER_UNAVAILABLE: u8 = 0x03;

pub fn check(story: &Story, sessions: &[Session<'_>], findings: &mut Findings) {
    for connection in &story.connections {
        first_packet(connection, findings);
        refused(connection, findings);
        without_identifier(connection, findings);
        let session = sessions.iter().find(|session| session.has(connection));
        let lost = SessionEnd::Lost(connection.opened_at);
        let resumed = session.is_some_and(|session| session.is_resumed_by(connection))
            || sessions.iter().any(|session| session.end == Some(lost));
        session_present(sessions, connection, resumed, findings);
        assigned(story, connection, findings);
        dismissed(connection, findings);
        not_ended(connection, findings);
    }
}

fn first_packet(connection: &Connection, findings: &mut Findings) {
    if let Some((at, packet)) = connection.before_connack.first() {
        let expected = format!("CONNACK as the first packet to {}", connection.client);
        findings.broken(connection.protocol(), CONNACK_FIRST, &[*at], expected, format!("{packet} before CONNACK"));
    }
}

/// A refusal has to be followed by the end, and is out of place for an identifier that every broker has to take.
fn refused(connection: &Connection, findings: &mut Findings) {
    let Some((at, connack)) = connection.connack.as_ref().filter(|(_, connack)| connack.code != 0) else { return };
    let open = connection.missing.iter().find(|(_, awaited)| *awaited == Awaited::ConnectionEnd);
    if let Some((missing, _)) = open {
        let expected = format!("the connection of {} is closed after the refusal", connection.client);
        let events = [*at, *missing];
        // A broker without 5.0 answers in the words of 3.1.1.
        let protocol = if connack.code < 0x80 { Protocol::V3 } else { connection.protocol() };
        findings.broken(protocol, CLOSES_AFTER_REFUSAL, &events, expected, "it stayed open");
    }
    let about_the_identifier = matches!((connection.protocol(), connack.code), (Protocol::V3, 0x02) | (_, 0x85));
    // Identifiers of ours have 1 to 23 digits and letters.
    if about_the_identifier && !connection.connect.client_id.is_empty() {
        let expected = "an identifier of 1 to 23 digits and letters is taken";
        let observed = format!("CONNACK {:#04x}", connack.code);
        let events = [connection.opened_at, *at];
        findings.broken(connection.protocol(), ACCEPTS_PLAIN_IDENTIFIERS, &events, expected, observed);
    }
}

/// A client without an identifier that asks for a session has to be told 0x02.
fn without_identifier(connection: &Connection, findings: &mut Findings) {
    if !connection.must_be_refused() {
        return;
    }
    let (at, observed) = match (&connection.connack, connection.ended) {
        // A broker that is not available says so to everybody.
        (Some((_, Connack { code: IDENTIFIER_REJECTED | SERVER_UNAVAILABLE, .. })), _) | (None, None) => return,
        (Some((at, connack)), _) => (*at, format!("CONNACK {:#04x}", connack.code)),
        (None, Some((at, _))) => (at, "the connection was ended without a CONNACK".into()),
    };
    let expected = format!("CONNACK 0x02 to {}, which has no identifier and asks for a session", connection.client);
    let events = [connection.opened_at, at];
    findings.broken(connection.protocol(), REFUSES_A_SESSION_WITHOUT_IDENTIFIER, &events, expected, observed);
}

fn session_present(sessions: &[Session<'_>], connection: &Connection, resumed: bool, findings: &mut Findings) {
    let Some((at, connack)) = &connection.connack else { return };
    let present = connack.session_present;
    let right = connack.code == 0 && resumed;
    if present == right {
        return;
    }
    let mut events = vec![connection.opened_at, *at];
    let (rule, why) = rule_of_session_present(sessions, connection, resumed);
    events.extend(expired_at(sessions, connection).filter(|_| rule == AN_EXPIRED_SESSION_IS_DISCARDED));
    let expected = format!("Session Present {} to {}: {why}", u8::from(right), connection.client);
    findings.broken(connection.protocol(), rule, &events, expected, format!("Session Present {}", u8::from(present)));
}

/// Which rule decides about Session Present in a CONNACK, and what it goes by.
pub(super) fn rule_of_session_present(
    sessions: &[Session<'_>],
    connection: &Connection,
    resumed: bool,
) -> (Rule, &'static str) {
    let code = connection.connack.as_ref().map_or(0, |(_, connack)| connack.code);
    match (code, connection.connect.clean, resumed) {
        (0, true, _) => (PRESENT_0_AFTER_CLEAN, "the client asked for a clean session"),
        (0, false, true) if shows_a_session(connection) => {
            (PRESENT_1_WITH_SESSION, "the broker has its session, since messages come without a SUBSCRIBE")
        }
        (0, false, true) if was_given_away(sessions, connection) => {
            (IDENTIFIES_THE_SESSION, "it has a session, and another client was told of one that it never had")
        }
        (0, false, true) => (KEEPS_THE_SESSION, "the session of the connection before has to be there"),
        (0, false, false) if expired_at(sessions, connection).is_some() => {
            (AN_EXPIRED_SESSION_IS_DISCARDED, "its session has expired")
        }
        (0, false, false) => (PRESENT_0_WITHOUT_SESSION, "this client id never had a session"),
        (_, _, _) => (PRESENT_0_WITH_ERROR, "the CONNECT was refused"),
    }
}

/// Where the clock says that the session before this connection has expired.
fn expired_at(sessions: &[Session<'_>], connection: &Connection) -> Option<usize> {
    sessions.iter().filter(|session| session.id == connection.id).find_map(|session| match session.end {
        Some(SessionEnd::Expired(at)) if at < connection.opened_at => Some(at),
        _ => None,
    })
}

/// While the client was away another one, new to the broker, was told of a session.
fn was_given_away(sessions: &[Session<'_>], connection: &Connection) -> bool {
    let own = sessions.iter().filter(|session| session.id == connection.id);
    let Some(before) = own.flat_map(|own| own.before(connection)).next_back() else { return false };
    let away = before.ended_in..connection.opened_in;
    sessions.iter().filter(|session| session.id != connection.id).any(|session| {
        let first = session.connections[0];
        first.session_present() && !first.connect.clean && away.contains(&first.opened_in)
    })
}

/// A client without an identifier is told which one it got, and that is nobody else's.
fn assigned(story: &Story, connection: &Connection, findings: &mut Findings) {
    if connection.protocol() != Protocol::V5 || !connection.connect.client_id.is_empty() || !connection.is_accepted() {
        return;
    }
    let Some((at, connack)) = &connection.connack else { return };
    let events = [connection.opened_at, *at];
    let Some(id) = &connack.assigned_client_id else {
        let expected = format!("an Assigned Client Identifier to {}, which has none", connection.client);
        findings.broken(Protocol::V5, RETURNS_THE_ASSIGNED_IDENTIFIER, &events, expected, "none");
        return;
    };
    let others = story.connections.iter().filter(|other| other.opened_at < connection.opened_at);
    let in_use = |other: &&Connection| {
        other.id == *id
            && other.client != connection.client
            && (other.ended_in >= connection.opened_in || other.session_persists())
    };
    if let Some(other) = others.filter(|other| other.is_accepted()).find(in_use) {
        let expected = format!("a new identifier for {}, not that of {}", connection.client, other.client);
        let events = [other.opened_at, connection.opened_at, *at];
        findings.broken(Protocol::V5, ASSIGNS_A_NEW_IDENTIFIER, &events, expected, "the same one");
    }
}

/// What belongs to a DISCONNECT of the broker's.
fn dismissed(connection: &Connection, findings: &mut Findings) {
    let Some((at, _, expiry)) = connection.dismissed else {
        if connection.taken_over_at.is_some() && connection.ended.is_some() && connection.protocol() == Protocol::V5 {
            findings.choice("takeover_disconnect", "none");
        }
        return;
    };
    if let Some((_, reason, _)) = connection.dismissed.filter(|_| connection.taken_over_at.is_some()) {
        findings.choice("takeover_disconnect", format!("{reason:#04x}"));
    }
    if let Some(expiry) = expiry {
        let expected = "no Session Expiry Interval in a DISCONNECT of the broker's";
        let observed = format!("{expiry} s");
        findings.broken(connection.protocol(), NO_EXPIRY_IN_ITS_DISCONNECT, &[at], expected, observed);
    }
    if let Some((after, packet)) = connection.after_dismissal.first() {
        let expected = format!("nothing to {} after DISCONNECT", connection.client);
        findings.broken(connection.protocol(), NOTHING_AFTER_ITS_DISCONNECT, &[at, *after], expected, *packet);
    }
}

/// A connection that stayed open although another one took its place, or although it was silent for too long.
fn not_ended(connection: &Connection, findings: &mut Findings) {
    let Some((missing, _)) = connection.missing.iter().find(|(_, awaited)| *awaited == Awaited::ConnectionEnd) else {
        return;
    };
    let silence = connection.timers.iter().find(|timed| timed.timer == Timer::KeepAlive && timed.passed);
    let (rule, start, why) = match (connection.taken_over_at, connection.dismissed, silence) {
        (Some(start), Some(_), _) => (CLOSES_AFTER_ITS_DISCONNECT, start, "the broker had sent DISCONNECT"),
        (Some(start), None, _) => (DISCONNECTS_THE_OLDER, start, "another one has connected with its identifier"),
        (None, _, Some(timed)) => (ENDS_A_SILENT_CONNECTION, timed.at, "it sent nothing for 1.5 times its Keep Alive"),
        _ => return,
    };
    if connection.client.as_ref() == PROBE {
        return;
    }
    findings.broken_in(
        ATTEMPTS_FOR_AN_ABSENCE,
        connection.protocol(),
        rule,
        &[start, *missing],
        format!("the broker ends the connection of {}: {why}", connection.client),
        "it stayed open until the deadline",
    );
}
