//! CONNECT and CONNACK: the first packet, Session Present, assigned identifiers, and the end of a connection that another one takes
//! over or that fell silent.

use super::facts::{Connection, Facts, IDENTIFIER_REJECTED, Timed};
use super::finding::{ATTEMPTS_FOR_AN_ABSENCE, Findings};
use super::model::Model;
use super::rules::{self, Rule};
use super::session::{Session, SessionEnd};
use crate::history::{Awaited, Message, PROBE};
use crate::packet::{Connack, Protocol};
use crate::scenario::Timer;

/// The return code of 3.1.1 with which a broker says that it serves nobody now.
pub const SERVER_UNAVAILABLE: u8 = 0x03;

pub fn check(model: &Model<'_>, findings: &mut Findings) {
    for connection in &model.facts.connections {
        first_packet(connection, findings);
        authentication(connection, findings);
        refused(connection, findings);
        without_identifier(model.facts, connection, findings);
        session_present(model, connection, findings);
        assigned(model, connection, findings);
        dismissed(connection, findings);
        not_ended(connection, findings);
    }
}

fn first_packet(connection: &Connection, findings: &mut Findings) {
    let protocol = connection.protocol();
    if let Some((at, packet)) = connection.before_connack.first() {
        let finding = findings.broken(rules::CONNACK_FIRST, protocol).at([*at]);
        let expected = format!("CONNACK as the first packet to {}", connection.client);
        finding.expected(expected).observed(format!("{packet} before CONNACK"));
    }
    if let Some(second) = connection.more_connacks.first() {
        let events = connection.connack.as_ref().map(|(at, _)| *at).into_iter().chain([*second]);
        let finding = findings.broken(rules::ONE_CONNACK, protocol).at(events);
        finding.expected(format!("one CONNACK to {}", connection.client)).observed("a second one");
    }
}

/// No client of ours gives an Authentication Method, so that no AUTH may come, and no CONNACK may name a method.
fn authentication(connection: &Connection, findings: &mut Findings) {
    let named = connection.connack.as_ref().filter(|(_, connack)| connack.authentication_method.is_some());
    let named = named.map(|(at, _)| (*at, "a CONNACK with one"));
    for (at, observed) in named.into_iter().chain(connection.auths.first().map(|at| (*at, "AUTH"))) {
        let finding =
            findings.broken(rules::NO_AUTHENTICATION_UNASKED, connection.protocol()).at([connection.opened.at, at]);
        let expected = format!(
            "nothing about authentication to {}, whose CONNECT has no Authentication Method",
            connection.client
        );
        finding.expected(expected).observed(observed);
    }
}

/// A refusal has to be followed by the end, and is out of place for an identifier that every broker has to take.
fn refused(connection: &Connection, findings: &mut Findings) {
    let Some((at, connack)) = connection.connack.as_ref().filter(|(_, connack)| connack.code != 0) else { return };
    if let Some((missing, _)) = connection.missing.iter().find(|(_, awaited)| *awaited == Awaited::ConnectionEnd) {
        // A broker without 5.0 answers in the words of 3.1.1.
        let protocol = if connack.code < 0x80 { Protocol::V3 } else { connection.protocol() };
        let finding = findings.broken(rules::CLOSES_AFTER_REFUSAL, protocol).at([*at, *missing]);
        let expected = format!("the connection of {} is closed after the refusal", connection.client);
        finding.expected(expected).observed("it stayed open");
    }
    let about_the_identifier = matches!((connection.protocol(), connack.code), (Protocol::V3, 0x02) | (_, 0x85));
    let id = connection.connect.client_id.as_bytes();
    if about_the_identifier && (1..=23).contains(&id.len()) && id.iter().all(u8::is_ascii_alphanumeric) {
        let events = [connection.opened.at, *at];
        let finding = findings.broken(rules::ACCEPTS_PLAIN_IDENTIFIERS, connection.protocol()).at(events);
        let expected = "an identifier of 1 to 23 digits and letters is taken";
        finding.expected(expected).observed(format!("CONNACK {:#04x}", connack.code));
    }
}

/// A client without an identifier that asks for a session has to be told 0x02.
fn without_identifier(facts: &Facts, connection: &Connection, findings: &mut Findings) {
    if !connection.must_be_refused() {
        return;
    }
    let (at, observed) = match (&connection.connack, connection.ended) {
        // A broker that is not available says so to everybody.
        (Some((_, Connack { code: IDENTIFIER_REJECTED | SERVER_UNAVAILABLE, .. })), _) | (None, None) => return,
        (Some((at, connack)), _) => (*at, format!("CONNACK {:#04x}", connack.code)),
        // A broker that takes no more connections says nothing about identifiers.
        (None, Some((place, _))) if facts.has_no_room_at(place.at) => return,
        (None, Some((place, _))) => (place.at, "the connection was ended without a CONNACK".into()),
    };
    let rule = rules::REFUSES_A_SESSION_WITHOUT_IDENTIFIER;
    let finding = findings.broken(rule, connection.protocol()).at([connection.opened.at, at]);
    let expected = format!("CONNACK 0x02 to {}, which has no identifier and asks for a session", connection.client);
    finding.expected(expected).observed(observed);
}

fn session_present(model: &Model<'_>, connection: &Connection, findings: &mut Findings) {
    let Some((at, connack)) = &connection.connack else { return };
    let expected = expected_present(model, connection);
    let may_resume = connack.code == 0 && !connection.connect.clean;
    let is_known_to_the_broker =
        may_resume && connack.session_present && may_have_begun_before(model.facts, connection);
    if connack.session_present == expected.value || is_known_to_the_broker {
        return;
    }
    let events = [connection.opened.at, *at].into_iter().chain(expected.because);
    let finding = findings.broken(expected.rule, connection.protocol()).at(events);
    let text = format!("Session Present {} to {}: {}", u8::from(expected.value), connection.client, expected.why);
    finding.expected(text).observed(format!("Session Present {}", u8::from(connack.session_present)));
}

/// A CONNECT with the same identifier was never answered: the broker may have begun a session by it.
fn may_have_begun_before(facts: &Facts, connection: &Connection) -> bool {
    let mut before = facts.connections[..connection.index].iter().filter(|own| own.id == connection.id);
    before.any(|own| own.connack.is_none() && own.session_persists())
}

/// What a CONNACK has to say of the session.
pub struct Present {
    pub value: bool,
    pub rule: Rule,
    pub why: &'static str,
    /// The entry that decides, beside CONNECT and CONNACK.
    because: Option<usize>,
}

/// The Session Present flag that the model expects in the CONNACK of a connection.
pub fn expected_present(model: &Model<'_>, connection: &Connection) -> Present {
    let session = model.sessions.iter().find(|session| session.has(connection));
    let lost = SessionEnd::Lost(connection.opened);
    let is_lost = model.sessions.iter().any(|session| session.end == Some(lost));
    let resumed = is_lost || session.is_some_and(|session| session.is_resumed_by(connection));
    let code = connection.connack.as_ref().map_or(0, |(_, connack)| connack.code);
    let expired = expired(&model.sessions, connection);
    let (rule, why) = match (code, connection.connect.clean, resumed) {
        (0, true, _) => (rules::PRESENT_0_AFTER_CLEAN, "the client asked for a clean session"),
        (0, false, true) if !is_lost && shows_a_session(connection) => {
            (rules::PRESENT_1_WITH_SESSION, "the broker has its session, since messages come without a SUBSCRIBE")
        }
        (0, false, true) if was_given_away(&model.sessions, connection) => {
            (rules::IDENTIFIES_THE_SESSION, "it has a session, and another client was told of one that it never had")
        }
        (0, false, true) => (rules::KEEPS_THE_SESSION, "the session of the connection before has to be there"),
        (0, false, false) if expired.is_some() => (rules::AN_EXPIRED_SESSION_IS_DISCARDED, "its session has expired"),
        (0, false, false) => (rules::PRESENT_0_WITHOUT_SESSION, "this client identifier has no session"),
        (_, _, _) => (rules::PRESENT_0_WITH_ERROR, "the CONNECT was refused"),
    };
    let because = expired.filter(|_| rule == rules::AN_EXPIRED_SESSION_IS_DISCARDED);
    Present { value: code == 0 && resumed, rule, why, because }
}

/// A message came on this connection without a SUBSCRIBE: by a subscription that only an earlier connection can have made.
fn shows_a_session(connection: &Connection) -> bool {
    connection.deliveries.iter().any(|delivery| {
        let asked = connection.subscribes.iter().any(|s| s.matches(&delivery.topic) && s.sent.at < delivery.place.at);
        let ours = matches!(delivery.message, Some(message) if !matches!(message, Message::Will(_)));
        ours && !delivery.publish.retain && !asked
    })
}

/// Where the clock says that the session before this connection has expired.
fn expired(sessions: &[Session<'_>], connection: &Connection) -> Option<usize> {
    let own = sessions.iter().filter(|session| *session.id == *connection.id);
    own.rev().find_map(|session| match session.end {
        Some(SessionEnd::Expired(place)) if place.at < connection.opened.at => Some(place.at),
        _ => None,
    })
}

/// While the client was away another one, new to the broker, was told of a session.
fn was_given_away(sessions: &[Session<'_>], connection: &Connection) -> bool {
    let own = sessions.iter().filter(|session| *session.id == *connection.id);
    let Some(before) = own.filter_map(|own| own.before(connection)).next_back() else { return false };
    let away = before.ended_in()..connection.opened.step;
    sessions.iter().filter(|session| *session.id != *connection.id).any(|session| {
        let first = session.connections[0];
        first.session_present() && !first.connect.clean && away.contains(&first.opened.step)
    })
}

/// A client without an identifier is told which one it got, and that is nobody else's.
fn assigned(model: &Model<'_>, connection: &Connection, findings: &mut Findings) {
    if connection.protocol() != Protocol::V5 || !connection.connect.client_id.is_empty() || !connection.is_accepted() {
        return;
    }
    let Some((at, connack)) = &connection.connack else { return };
    let events = [connection.opened.at, *at];
    let Some(id) = &connack.assigned_client_id else {
        let finding = findings.broken(rules::RETURNS_THE_ASSIGNED_IDENTIFIER, Protocol::V5).at(events);
        let expected = format!("an Assigned Client Identifier to {}, which has none", connection.client);
        finding.expected(expected).observed("none");
        return;
    };
    let goes_on = |other: &Connection| {
        let own = model.sessions.iter().find(|session| session.has(other)).and_then(|session| session.end);
        let has_expired = model.facts.session_has_expired(other, connection);
        other.session_persists() && !has_expired && own.is_none_or(|end| end.place().at >= connection.opened.at)
    };
    let is_in_use = |other: &&Connection| {
        *other.id == **id
            && other.index < connection.index
            && other.client != connection.client
            && other.is_accepted()
            && (other.ended_in() >= connection.opened.step || goes_on(other))
    };
    if let Some(other) = model.facts.connections.iter().find(is_in_use) {
        let events = events.into_iter().chain([other.opened.at]);
        let finding = findings.broken(rules::ASSIGNS_A_NEW_IDENTIFIER, Protocol::V5).at(events);
        let expected = format!("a new identifier for {}, not that of {}", connection.client, other.client);
        finding.expected(expected).observed("the same one");
    }
}

/// A DISCONNECT from the broker, and the takeover that may have brought it.
fn dismissed(connection: &Connection, findings: &mut Findings) {
    let protocol = connection.protocol();
    let Some((at, reason, expiry)) = connection.dismissed else {
        if connection.taken_over.is_some() && connection.ended.is_some() && protocol == Protocol::V5 {
            findings.choice("takeover_disconnect", "none");
        }
        return;
    };
    if protocol == Protocol::V3 {
        let finding = findings.broken(rules::NO_DISCONNECT_FROM_A_SERVER, protocol).at([at]);
        let expected = format!("no DISCONNECT to {}, which speaks 3.1.1", connection.client);
        finding.expected(expected).observed("DISCONNECT");
        return;
    }
    if connection.taken_over.is_some() {
        findings.choice("takeover_disconnect", format!("{reason:#04x}"));
    }
    if let Some(expiry) = expiry {
        let finding = findings.broken(rules::NO_EXPIRY_IN_ITS_DISCONNECT, protocol).at([at]);
        let expected = "no Session Expiry Interval in a DISCONNECT from the broker";
        finding.expected(expected).observed(format!("{expiry} s"));
    }
    if let Some((after, packet)) = connection.after_dismissal.first() {
        let finding = findings.broken(rules::NOTHING_AFTER_ITS_DISCONNECT, protocol).at([at, *after]);
        finding.expected(format!("nothing to {} after DISCONNECT", connection.client)).observed(*packet);
    }
}

/// A connection that stayed open although another one took its place, although it was silent for too long, or behind a DISCONNECT
/// from the broker.
fn not_ended(connection: &Connection, findings: &mut Findings) {
    let is_end = |(_, awaited): &&(usize, Awaited)| *awaited == Awaited::ConnectionEnd;
    let Some((missing, _)) = connection.missing.iter().find(is_end) else { return };
    let allowed = u32::from(connection.keep_alive());
    let is_too_long = |timed: &&Timed| timed.timer == Timer::KeepAlive && timed.passed && timed.seconds >= allowed;
    let silence = connection.timers.iter().find(is_too_long).filter(|_| allowed > 0);
    let dismissed = connection.dismissed.filter(|_| connection.protocol() == Protocol::V5);
    let taken_over = connection.taken_over.filter(|_| !connection.is_spared);
    let (rule, start, why) = match (taken_over, dismissed, silence) {
        (taken_over, Some((at, ..)), _) => {
            let start = taken_over.map_or(at, |start| start.at);
            (rules::CLOSES_AFTER_ITS_DISCONNECT, start, "the broker had sent DISCONNECT")
        }
        (Some(start), None, _) => {
            (rules::DISCONNECTS_THE_OLDER, start.at, "another one has connected with its identifier")
        }
        (None, None, Some(timed)) => {
            (rules::ENDS_A_SILENT_CONNECTION, timed.place.at, "it sent nothing for 1.5 times its Keep Alive")
        }
        (None, None, None) => return,
    };
    if connection.client.as_ref() == PROBE {
        return;
    }
    let finding = findings.broken(rule, connection.protocol()).span(start, *missing);
    let expected = format!("the broker ends the connection of {}: {why}", connection.client);
    finding.after_attempts(ATTEMPTS_FOR_AN_ABSENCE).expected(expected).observed("it stayed open until the deadline");
}
