//! Sessions: what a CONNACK has to say of them, and when nothing more is owed to one.

use super::{Duty, Obligation, Outcome, by};
use crate::judge::connects::{REFUSES_A_SESSION_WITHOUT_IDENTIFIER, SERVER_UNAVAILABLE, rule_of_session_present};
use crate::judge::deliveries::kind::{A_DISCARDED_SESSION_IS_NOT_USED, AN_EXPIRED_SESSION_IS_NOT_USED};
use crate::judge::session::{Session, SessionEnd};
use crate::judge::story::{Connection, Story};
use crate::packet::Protocol;

/// Session Present in the CONNACK of each accepted connection.
pub(super) fn present(story: &Story, sessions: &[Session<'_>], all: &mut Vec<Obligation>) {
    for connection in story.connections.iter().filter(|connection| connection.is_accepted()) {
        let resumed = sessions.iter().any(|session| session.has(connection) && session.is_resumed_by(connection));
        let (rule, why) = rule_of_session_present(sessions, connection, resumed);
        let what = format!("Session Present {}", u8::from(resumed));
        let kept = resumed && connection.session_present();
        let why = if kept { "its session of the connection before goes on" } else { why };
        let why = format!("to {}: {why}", connection.client);
        let owed = by(Some(rule), connection.protocol(), connection.opened_at, Duty::Must, what, why);
        let outcome = match &connection.connack {
            Some((at, connack)) if connack.session_present == resumed => Outcome::Met(*at),
            Some((at, _)) => Outcome::Broken(Some(*at)),
            None => Outcome::Open,
        };
        all.push(Obligation { outcome, ..owed });
    }
}

/// The refusal of whoever asks for a session without an identifier.
pub(super) fn refusals(story: &Story, all: &mut Vec<Obligation>) {
    for connection in story.connections.iter().filter(|connection| connection.must_be_refused()) {
        let why = format!("to {}, which has no identifier and asks for a session", connection.client);
        let rule = Some(REFUSES_A_SESSION_WITHOUT_IDENTIFIER);
        let what = "CONNACK 0x02".to_owned();
        let owed = by(rule, connection.protocol(), connection.opened_at, Duty::Must, what, why);
        let outcome = match &connection.connack {
            Some((at, _)) if connection.is_refused_by_rule() => Outcome::Met(*at),
            Some((at, connack)) if connack.code != SERVER_UNAVAILABLE => Outcome::Broken(Some(*at)),
            _ => Outcome::Open,
        };
        all.push(Obligation { outcome, ..owed });
    }
}

/// The session has ended, and with it all that was owed to it.
pub(super) fn ended(story: &Story, session: &Session<'_>, all: &mut Vec<Obligation>) {
    let subscribed = session.connections.iter().flat_map(|connection| &connection.subscribes);
    let (Some(last), true) = (session.connections.last(), subscribed.count() > 0) else { return };
    let next = story.connections.iter().find(|c| c.id == session.id && c.opened_at > last.opened_at);
    let with_connection = end_of(last).filter(|_| !last.session_persists());
    let (at, rule, why) = match (with_connection, session.end, next) {
        (Some(at), _, _) => {
            let rule = match last.protocol() {
                Protocol::V3 => A_DISCARDED_SESSION_IS_NOT_USED,
                Protocol::V5 => AN_EXPIRED_SESSION_IS_NOT_USED,
            };
            (at, rule, "the session was discarded at the end of its connection")
        }
        (None, Some(SessionEnd::Expired(at)), _) => {
            (at, AN_EXPIRED_SESSION_IS_NOT_USED, "the session was discarded when its Session Expiry Interval passed")
        }
        (None, Some(SessionEnd::Discarded), Some(next)) => {
            (next.opened_at, A_DISCARDED_SESSION_IS_NOT_USED, "the session before was discarded, as the client asked")
        }
        _ => return,
    };
    let why = format!("to {}: {why}", session.client);
    all.push(by(Some(rule), last.protocol(), at, Duty::Nothing, String::new(), why));
}

/// Where a connection ended, by whomever.
fn end_of(connection: &Connection) -> Option<usize> {
    let left = connection.left_at.map(|(at, _)| at);
    left.or(connection.closed_at).or(connection.ended.map(|(at, _)| at))
}
