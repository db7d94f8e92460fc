//! Alterations of sessions, wills and retained messages: copies that nothing gives a reason for, and answers that lie.

use mqtt_sessions::history::{Event, History, Message, WITNESS};
use mqtt_sessions::packet::{Packet, Protocol, Publish};
use mqtt_sessions::topic;

use super::alteration::{Alteration, UNUSED_ID, end_of_step};
use super::copies::Alter;
use super::reading::{Connection, Publication, Reading, Subscribing};

pub const ALTERATIONS: &[(&str, Alter)] = &[
    ("Session Present 1 at the first CONNECT", present_at_first_connect),
    ("Session Present 1 for a clean CONNECT", present_for_a_clean_connect),
    ("Session Present 0 for a session that is there", absent_session),
    ("PUBLISH before CONNACK", publish_before_connack),
    ("a SUBACK with too few codes", too_few_codes),
    ("a will in spite of DISCONNECT", will_after_disconnect),
    ("a message back in spite of No Local", no_local),
    ("a message after UNSUBSCRIBE", after_unsubscribe),
    ("a queued message of a discarded session", of_discarded_session),
    ("a retained copy in spite of Retain Handling 2", retain_handling_2),
    ("a retained copy of a message with RETAIN 0", retained_without_the_flag),
    ("a retained copy of a replaced message", retained_and_replaced),
    ("a retained copy of a cleared message", retained_and_cleared),
];

/// The long Session Expiry Interval of the harness, in seconds.
const LONG_S: u32 = 3600;

fn with_session_present(reading: &Reading, connection: &Connection, present: bool) -> Option<History> {
    let alteration = Alteration::of(reading).change(connection.connack_at?, |packet| {
        if let Packet::Connack(connack) = packet {
            connack.session_present = present;
        }
    });
    Some(alteration.history())
}

fn accepted(reading: &Reading) -> impl Iterator<Item = (usize, &Connection)> {
    let is_accepted = |connection: &Connection| {
        let packet = connection.connack_at.and_then(|at| reading.history.entries[at].event.packet());
        matches!(packet, Some(Packet::Connack(connack)) if connack.code == 0)
    };
    reading.connections.iter().enumerate().filter(move |(_, connection)| is_accepted(connection))
}

fn present_at_first_connect(reading: &Reading) -> Vec<History> {
    let is_first = |place: usize, session: &str| !reading.connections[..place].iter().any(|one| one.session == session);
    let first = accepted(reading).filter(|(place, connection)| is_first(*place, &connection.session));
    first.filter_map(|(_, connection)| with_session_present(reading, connection, true)).collect()
}

fn present_for_a_clean_connect(reading: &Reading) -> Vec<History> {
    let clean = accepted(reading).filter(|(_, connection)| connection.connect.clean);
    clean.filter_map(|(_, connection)| with_session_present(reading, connection, true)).collect()
}

/// True if the session outlives the connection by far, and the client left in good order.
fn leaves_a_session(connection: &Connection) -> bool {
    let persists = match connection.connect.protocol {
        Protocol::V3 => !connection.connect.clean,
        Protocol::V5 => connection.connect.session_expiry == Some(LONG_S) && connection.granted_expiry.is_none(),
    };
    persists && connection.left
}

fn absent_session(reading: &Reading) -> Vec<History> {
    let mut altered = Vec::new();
    for (place, connection) in accepted(reading).filter(|(_, connection)| connection.session_present) {
        let before = reading.connections[..place].iter().rfind(|before| before.session == connection.session);
        if before.is_some_and(leaves_a_session) && !connection.connect.clean {
            altered.extend(with_session_present(reading, connection, false));
        }
    }
    altered
}

fn publish_before_connack(reading: &Reading) -> Vec<History> {
    let mut altered = Vec::new();
    for (place, connection) in accepted(reading) {
        let Some(connack_at) = connection.connack_at else { continue };
        let of_client = |at: &usize| {
            reading.history.entries[*at].event.client().is_some_and(|client| **client == *connection.client)
        };
        let next = (connack_at + 1..reading.history.entries.len()).find(of_client);
        let copy = reading.copies.iter().find(|copy| copy.connection == place && Some(copy.at) == next);
        if let Some(copy) = copy {
            let connack = reading.history.entries[connack_at].event.clone();
            altered.push(Alteration::of(reading).remove(connack_at).insert(copy.at + 1, copy.at, [connack]).history());
        }
    }
    altered
}

fn too_few_codes(reading: &Reading) -> Vec<History> {
    let several = reading.subscribes.iter().filter(|subscribing| subscribing.filters.len() > 1);
    let shortened = |subscribing: &Subscribing| {
        let alteration = Alteration::of(reading).change(subscribing.answered_at?, |packet| {
            if let Packet::Suback(suback) = packet {
                suback.codes.pop();
            }
        });
        Some(alteration.history())
    };
    several.filter_map(shortened).collect()
}

fn will_after_disconnect(reading: &Reading) -> Vec<History> {
    let mut altered = Vec::new();
    for connection in reading.connections.iter().filter(|connection| connection.left) {
        let Some(will) = &connection.connect.will else { continue };
        let publish = Publish { topic: will.topic.clone(), payload: will.payload.clone(), ..Publish::default() };
        let entries = &reading.history.entries;
        let end = end_of_step(reading, connection.end_at);
        let witness = Event::Received(WITNESS.into(), Packet::Publish(publish));
        let like = entries.iter().position(|entry| entry.event.client().is_some_and(|client| **client == *WITNESS));
        if let Some(like) = like {
            altered.push(Alteration::of(reading).insert(end, like, [witness]).history());
        }
    }
    altered
}

/// The history with one more copy of a message at the end of a step of a connection that is still open there.
fn delivered(
    reading: &Reading,
    step_of: usize,
    connection: &Connection,
    publication: &Publication,
    (granted, retain): (u8, bool),
) -> Option<History> {
    let end = end_of_step(reading, step_of);
    let connack_at = connection.connack_at.filter(|at| *at < end)?;
    let qos = publication.publish.qos.min(granted);
    let id = if qos == 0 { 0 } else { UNUSED_ID };
    let copy = Publish { qos, id, retain, dup: false, ..publication.publish.clone() };
    (connection.end_at >= end).then(|| Alteration::of(reading).deliver(end, connack_at, copy).history())
}

fn is_ours(publication: &&Publication) -> bool {
    matches!(publication.message, Message::Experiment(_)) && publication.whole
}

/// The publications of the experiment that a filter matches.
fn matching<'a>(reading: &'a Reading, filter: &'a str) -> impl Iterator<Item = &'a Publication> {
    let own = reading.publications.iter().filter(is_ours);
    own.filter(move |publication| topic::matches(filter, &publication.publish.topic))
}

/// The connections of a session from one on.
fn connections_from<'a>(reading: &'a Reading, session: &'a str, place: usize) -> impl Iterator<Item = &'a Connection> {
    reading.connections[place..].iter().filter(move |connection| connection.session == session)
}

fn no_local(reading: &Reading) -> Vec<History> {
    let mut altered = Vec::new();
    for publication in reading.publications.iter().filter(is_ours) {
        let Some((subscribing, filter)) = reading.only_subscription(&publication.session) else { continue };
        let applies = filter.no_local
            && topic::matches(&filter.filter, &publication.publish.topic)
            && publication.step > subscribing.step;
        let connections = connections_from(reading, &publication.session, subscribing.connection);
        let live = connections
            .filter(|connection| connection.connect_at < publication.at && publication.at < connection.end_at);
        if let Some(connection) = live.last().filter(|_| applies) {
            altered.extend(delivered(reading, publication.at, connection, publication, (subscribing.codes[0], false)));
        }
    }
    altered
}

fn after_unsubscribe(reading: &Reading) -> Vec<History> {
    let mut altered = Vec::new();
    for unsubscribing in reading.subscribes.iter().filter(|own| own.ended.len() == 1 && own.answered_at.is_some()) {
        let filters = reading.filters(&unsubscribing.session);
        let [(subscribing, filter)] = filters[..] else { continue };
        let over = filter.filter == unsubscribing.ended[0] && subscribing.at < unsubscribing.at;
        if !over || unsubscribing.codes.iter().any(|code| *code != 0) || subscribing.codes[0] >= 0x80 {
            continue;
        }
        let connection = &reading.connections[unsubscribing.connection];
        let later = matching(reading, &filter.filter).filter(|publication| publication.step > unsubscribing.step);
        altered.extend(later.filter_map(|publication| {
            let granted = (subscribing.codes[0], false);
            delivered(reading, publication.at, connection, publication, granted)
        }));
    }
    altered
}

/// A clean CONNECT ends the session that had queued a message.
fn of_discarded_session(reading: &Reading) -> Vec<History> {
    let mut altered = Vec::new();
    for (_, connection) in accepted(reading).filter(|(_, connection)| connection.connect.clean) {
        let Some((subscribing, filter)) = reading.only_subscription(&connection.session) else { continue };
        let between = |publication: &&Publication| {
            let later = publication.step > subscribing.step && publication.step < connection.step;
            later && publication.sendings == 1 && !publication.publish.retain
        };
        let Some(connack_at) = connection.connack_at else { continue };
        altered.extend(matching(reading, &filter.filter).filter(between).filter_map(|publication| {
            delivered(reading, connack_at, connection, publication, (subscribing.codes[0], false))
        }));
    }
    altered
}

/// The history with a retained copy of a message behind the SUBACK of a session's only SUBSCRIBE.
fn with_retained_copy(reading: &Reading, subscribing: &Subscribing, publication: &Publication) -> Option<History> {
    let connection = &reading.connections[subscribing.connection];
    delivered(reading, subscribing.answered_at?, connection, publication, (subscribing.codes[0], true))
}

/// The only SUBSCRIBE of each session that has one, with the messages that were finished before it.
fn finished_before(
    reading: &Reading,
    is_meant: fn(&Subscribing, &mqtt_sessions::packet::Filter) -> bool,
) -> Vec<(&Subscribing, Vec<&Publication>)> {
    let sessions: std::collections::BTreeSet<&str> =
        reading.subscribes.iter().map(|subscribing| subscribing.session.as_str()).collect();
    let only = sessions.into_iter().filter_map(|session| reading.only_subscription(session));
    only.filter(|(subscribing, filter)| is_meant(subscribing, filter))
        .map(|(subscribing, filter)| {
            let over = |publication: &&Publication| reading.is_over(publication, subscribing.step);
            let all = reading.publications.iter();
            let here = all.filter(|publication| topic::matches(&filter.filter, &publication.publish.topic));
            (subscribing, here.filter(over).collect())
        })
        .collect()
}

fn retain_handling_2(reading: &Reading) -> Vec<History> {
    let sessions = finished_before(reading, |_, filter| filter.retain_handling == 2);
    let retained = sessions.into_iter().flat_map(|(subscribing, before)| {
        let own = before.into_iter().filter(is_ours).filter(|publication| publication.publish.retain);
        own.filter_map(|publication| with_retained_copy(reading, subscribing, publication)).collect::<Vec<_>>()
    });
    retained.collect()
}

fn retained_without_the_flag(reading: &Reading) -> Vec<History> {
    let sessions = finished_before(reading, |_, filter| filter.retain_handling == 0);
    let plain = sessions.into_iter().flat_map(|(subscribing, before)| {
        let own = before.into_iter().filter(is_ours).filter(|publication| !publication.publish.retain);
        own.filter_map(|publication| with_retained_copy(reading, subscribing, publication)).collect::<Vec<_>>()
    });
    plain.collect()
}

/// Retained copies of messages behind which another one of the same topic was retained, or cleared it.
fn overwritten(reading: &Reading, by: fn(&Publication) -> bool) -> Vec<History> {
    let mut altered = Vec::new();
    for (subscribing, before) in finished_before(reading, |_, filter| filter.retain_handling == 0) {
        let retained = before.iter().filter(|publication| publication.publish.retain);
        for publication in retained.clone().filter(|publication| is_ours(publication)) {
            let over = |later: &&Publication| {
                later.publish.topic == publication.publish.topic
                    && publication.accepted_step.is_some_and(|step| step < later.step)
                    && by(later)
            };
            if retained.clone().any(over) {
                altered.extend(with_retained_copy(reading, subscribing, publication));
            }
        }
    }
    altered
}

fn retained_and_replaced(reading: &Reading) -> Vec<History> {
    overwritten(reading, |later| matches!(later.message, Message::Experiment(_)))
}

fn retained_and_cleared(reading: &Reading) -> Vec<History> {
    overwritten(reading, |later| matches!(later.message, Message::Clear(_)))
}
