//! Facts that follow from the ends of connections, once the whole history is read: silence that may have been too long, and wills.

use std::sync::Arc;

use std::time::Duration;

use super::{Connection, Facts, Place, Publication, Sending, reading};
use crate::history::Message;

/// Adds them to the facts.
pub fn note(facts: &mut Facts) {
    note_silence(facts);
    publish_wills(facts);
}

/// Between what the broker is known to have read and the end of a connection its Keep Alive may have run out on the way, since
/// a network may hold packets up. Brokers count whole seconds, so that one and a half may be little more than one.
fn note_silence(facts: &mut Facts) {
    for index in 0..facts.connections.len() {
        let connection = &facts.connections[index];
        let read = connection.signs.last().map_or(connection.opened.at, |(_, read)| *read);
        let end = connection.ended.map(|(place, _)| place).or(connection.end);
        let silence = end.and_then(|end| facts.elapsed(read, end.at));
        let allowed = Duration::from_secs(connection.keep_alive().into());
        facts.connections[index].may_have_timed_out =
            !allowed.is_zero() && silence.is_some_and(|silence| silence > allowed);
    }
}

/// A will is a publication whose time is the end of its connection, and that is known to be made by its first copy.
fn publish_wills(facts: &mut Facts) {
    for index in 0..facts.connections.len() {
        let connection = &facts.connections[index];
        let Some(will) = connection.connect.will.as_ref().filter(|_| connection.is_accepted()) else { continue };
        // A will without a payload clears the retained message.
        let clears = (will.payload.is_empty() && will.retain).then(|| next_clearing(facts));
        let Some(message) = Message::of(&will.payload).or(clears) else { continue };
        let (client, id, will) = (connection.client.clone(), connection.id.clone(), will.clone());
        let topic: Arc<str> = will.topic.as_str().into();
        // Nobody can say which of several messages without a payload on one topic came.
        let is_alone = clears.is_none() || is_only_clearing(facts, &topic);
        let is_copy = |payload: &[u8], name: &str| match clears {
            Some(_) => is_alone && payload.is_empty() && *name == *topic,
            None => Message::of(payload) == Some(message) && *name == *topic,
        };
        let copies = facts.connections.iter().flat_map(|c| &c.deliveries);
        let copies = copies.filter(|own| !own.publish.retain || clears.is_none());
        let copies = copies.filter(|own| is_copy(&own.publish.payload, &own.topic)).map(|own| own.place);
        let own = facts.witnessed.iter().filter(|(_, own)| is_copy(&own.payload, &own.topic)).map(|(place, _)| *place);
        let witnessed = own.clone().next();
        let accepted = copies.chain(own).min();
        let ends = connection.left_for_good().is_none();
        let end =
            connection.garbled.into_iter().chain(refusal(facts, connection, accepted)).chain(connection.end).min();
        // The broker may have ended the connection before anybody sees that.
        let is_its_deed = connection.closed.is_none() && connection.left.is_none();
        let unseen = accepted.filter(|copy| is_its_deed && !connection.was_there_after(*copy));
        let end = end.into_iter().chain(unseen).min();
        let sendings = end.filter(|_| ends).map(|place| Sending { place, connection: index, is_new: true });
        facts.push(Publication {
            sendings: sendings.into_iter().collect(),
            accepted,
            witnessed,
            will_of: Some(index),
            ..reading::publication(message, client, id, topic, will.qos, will.retain)
        });
    }
}

/// One message without a payload, a will, is all that clears this topic.
fn is_only_clearing(facts: &Facts, topic: &str) -> bool {
    let is_empty =
        |own: &&Connection| own.connect.will.as_ref().is_some_and(|w| w.payload.is_empty() && w.topic == topic);
    let published = facts.publications.iter().any(|own| !own.is_will() && own.is_clearing() && *own.topic == *topic);
    !published && facts.connections.iter().filter(is_empty).count() == 1
}

/// A name that no other message without a payload has.
fn next_clearing(facts: &Facts) -> Message {
    let numbers = facts.publications.iter().filter_map(|own| match own.message {
        Message::Clear(number) => Some(number),
        _ => None,
    });
    Message::Clear(1 + numbers.max().unwrap_or(0))
}

/// The PUBLISH on which the broker has ended the connection before that was seen: a broker that does not take a PUBLISH may (3.1.1
/// MQTT-3.3.5-2). Either nobody read any more, or the first copy of the will came in an earlier step than the end.
fn refusal(facts: &Facts, connection: &Connection, first_copy: Option<Place>) -> Option<Place> {
    let was_unread = connection.closed.is_some() && connection.ended.is_none();
    let came_first = || first_copy.zip(connection.end).is_some_and(|(copy, end)| copy.step < end.step);
    let was_late = connection.ended.is_some() && connection.taken_over.is_none() && came_first();
    let (sent, _) = connection.last_sent.filter(|_| was_unread || was_late)?;
    let is_silent = connection.signs.last().is_none_or(|(answer, _)| *answer < sent.at);
    let mut sendings = facts.publications.iter().flat_map(|publication| &publication.sendings);
    let is_publish = sendings.any(|sending| sending.place.at == sent.at);
    (is_silent && is_publish).then_some(sent)
}
