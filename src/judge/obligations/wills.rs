//! Wills: owed when a client goes away without a word, and no more after DISCONNECT.

use super::{Duty, Obligation, Outcome, by};
use crate::history::{History, Message};
use crate::judge::finding::Findings;
use crate::judge::session::Session;
use crate::judge::story::{Connection, Story};
use crate::judge::wills::{
    DISCARDED_AT_DISCONNECT, NOT_BEFORE_ITS_DELAY, PUBLISHED_AT_THE_END, is_back_in_time, left_with_disconnect,
    missing, published,
};
use crate::packet::Will;

pub(super) fn wills(history: &History, story: &Story, sessions: &[Session<'_>], all: &mut Vec<Obligation>) {
    for connection in story.connections.iter().filter(|connection| connection.is_accepted()) {
        let Some(will) = &connection.connect.will else { continue };
        let Some(message) = Message::of(&will.payload) else { continue };
        all.extend(owed(history, story, sessions, connection, will, message));
    }
}

fn owed(
    history: &History,
    story: &Story,
    sessions: &[Session<'_>],
    connection: &Connection,
    will: &Will,
    message: Message,
) -> Option<Obligation> {
    let published = published(history, message, &will.topic);
    let first = published.first().map(|sighting| sighting.at);
    let (what, client) = (message.to_string(), &connection.client);
    let against = |obligation: Obligation| Obligation {
        outcome: first.map_or(Outcome::Open, |at| Outcome::Broken(Some(at))),
        ..obligation
    };
    let protocol = connection.protocol();
    if let Some(left) = left_with_disconnect(connection) {
        let why = format!("to anybody: DISCONNECT discards the will of {client}");
        return Some(against(by(Some(DISCARDED_AT_DISCONNECT), protocol, left, Duty::Nothing, what, why)));
    }
    // A DISCONNECT that asks for the will, an end without a word, or the broker's own.
    let left = connection.left_at.map(|(at, _)| at);
    let at = left.or(connection.closed_at).or(connection.ended.map(|(at, _)| at))?;
    let next = story.connections.iter().find(|c| c.id == connection.id && c.opened_at > connection.opened_at);
    let delay = will.delay.unwrap_or(0);
    if delay > 0 && next.is_some_and(is_back_in_time) {
        let why = format!("to anybody: {client} is back within the Will Delay Interval of {delay} s");
        return Some(against(by(Some(NOT_BEFORE_ITS_DELAY), protocol, at, Duty::Nothing, what, why)));
    }
    let when = if delay > 0 { format!(", after {delay} s or with its session") } else { String::new() };
    let why = format!("to whoever subscribes to its topic{when}: {client} went away without a plain DISCONNECT");
    let mut obligation = by(Some(PUBLISHED_AT_THE_END), protocol, at, Duty::Must, what, why);
    let mut findings = Findings::default();
    missing(story, sessions, connection, (will, message), &published, &mut findings);
    obligation.outcome = match first {
        Some(at) => Outcome::Met(at),
        None if !findings.violations.is_empty() => Outcome::Broken(None),
        None => Outcome::Open,
    };
    Some(obligation)
}
