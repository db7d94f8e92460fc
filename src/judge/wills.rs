//! Wills: published when a client goes away without a word, once, at its time, and not at all after DISCONNECT.

use super::absences::Balance;
use super::finding::{ATTEMPTS_FOR_AN_ABSENCE, ATTEMPTS_FOR_TIMING, Findings, Rule, rule};
use super::session::{Session, SessionEnd};
use super::story::{Connection, Delivery, Story};
use crate::history::{Awaited, Event, History, Message, WITNESS};
use crate::packet::{Protocol, Will};
use crate::results::Verdict;
use crate::scenario::Timer;

pub const PUBLISHED_AT_THE_END: Rule = rule("MQTT-3.1.2-8", "MQTT-3.1.2-8");
pub const DISCARDED_AT_DISCONNECT: Rule = rule("MQTT-3.14.4-3", "MQTT-3.14.4-3");
const REMOVED_ONCE_PUBLISHED: Rule = rule("MQTT-3.1.2-10", "MQTT-3.1.2-10");
const NO_WILL_NONE_PUBLISHED: Rule = rule("MQTT-3.1.2-12", "MQTT-3.1.2-10");
const WILL_RETAIN_0: Rule = rule("MQTT-3.1.2-16", "MQTT-3.1.2-14");
const WILL_RETAIN_1: Rule = rule("MQTT-3.1.2-17", "MQTT-3.1.2-15");
pub const NOT_BEFORE_ITS_DELAY: Rule = Rule { v3: None, v5: Some("MQTT-3.1.3-9") };
const WILL_QOS_ABOVE_MAXIMUM: Rule = Rule { v3: None, v5: Some("MQTT-3.2.2-12") };
const WILL_RETAIN_UNSUPPORTED: Rule = Rule { v3: None, v5: Some("MQTT-3.2.2-13") };

/// What a client, or the witness, got of a will.
pub(super) struct Sighting<'a> {
    pub at: usize,
    step: usize,
    client: &'a str,
    retain: bool,
}

pub fn check(history: &History, story: &Story, sessions: &[Session<'_>], findings: &mut Findings) {
    for connection in story.connections.iter().filter(|connection| connection.is_accepted()) {
        let Some(will) = &connection.connect.will else { continue };
        accepted(connection, will, findings);
        let Some(message) = Message::of(&will.payload) else { continue };
        let published = published(history, message, &will.topic);
        let next = story.connections.iter().find(|c| c.id == connection.id && c.opened_at > connection.opened_at);
        once(story, connection, message, &published, findings);
        not_before_its_time(connection, next, will, &published, findings);
        at_clean_start(connection, next, will, &published, findings);
        missing(story, sessions, connection, (will, message), &published, findings);
        retained(story, sessions, connection, (will, message), findings);
    }
}

/// A CONNECT whose will asks for more than the broker says it supports has to be refused.
fn accepted(connection: &Connection, will: &Will, findings: &mut Findings) {
    let Some((at, connack)) = &connection.connack else { return };
    let events = [connection.opened_at, *at];
    if connack.maximum_qos.is_some_and(|maximum| will.qos > maximum) {
        let expected = format!("a refusal: the will has QoS {} and Maximum QoS is less", will.qos);
        findings.broken(connection.protocol(), WILL_QOS_ABOVE_MAXIMUM, &events, expected, "CONNACK 0x00");
    }
    if will.retain && connack.retain_available == Some(false) {
        let expected = "a refusal: the will has Will Retain 1 and Retain Available is 0";
        findings.broken(connection.protocol(), WILL_RETAIN_UNSUPPORTED, &events, expected, "CONNACK 0x00");
    }
}

/// Everything that anybody got of a will because it was published.
pub(super) fn published<'a>(history: &'a History, message: Message, topic: &str) -> Vec<Sighting<'a>> {
    sightings(history, message, topic).into_iter().filter(|sighting| !sighting.retain).collect()
}

/// Everything that anybody got of a will.
fn sightings<'a>(history: &'a History, message: Message, topic: &str) -> Vec<Sighting<'a>> {
    let mut step = 0;
    let mut sightings = Vec::new();
    for (at, event) in history.events().enumerate() {
        match event {
            Event::Step(_) => step += 1,
            Event::Received(client, crate::packet::Packet::Publish(publish))
                if Message::of(&publish.payload) == Some(message)
                    && !publish.dup
                    && (publish.topic == topic || publish.topic.is_empty()) =>
            {
                sightings.push(Sighting { at, step, client, retain: publish.retain });
            }
            _ => {}
        }
    }
    sightings
}

/// Where the client sent the DISCONNECT that discards its will.
pub(super) fn left_with_disconnect(connection: &Connection) -> Option<usize> {
    connection.left_at.filter(|(_, reason)| connection.protocol() == Protocol::V3 || *reason == 0).map(|(at, _)| at)
}

/// Never after DISCONNECT, and once otherwise.
fn once(story: &Story, connection: &Connection, message: Message, published: &[Sighting<'_>], findings: &mut Findings) {
    if let (Some(left), Some(first)) = (left_with_disconnect(connection), published.first()) {
        let expected = format!("no {message}: the client sent DISCONNECT");
        findings.broken(
            connection.protocol(),
            DISCARDED_AT_DISCONNECT,
            &[left, first.at],
            expected,
            "it was published",
        );
        return;
    }
    // The witness has one copy, at QoS 0; others may have several for reasons of their own.
    let by_witness = published.iter().any(|sighting| sighting.client == WITNESS);
    let again = published.iter().enumerate().find(|(place, sighting)| {
        let is_witness = sighting.client == WITNESS;
        let mut before = published[..*place].iter().filter(|other| other.client == sighting.client);
        (is_witness || !by_witness) && before.any(|other| is_witness || other.step != sighting.step)
    });
    let Some((_, again)) = again else { return };
    let mut later = story.connections.iter().filter(|c| c.id == connection.id && c.opened_at > connection.opened_at);
    let without_will = later.any(|c| c.connect.will.is_none() && c.left_at.is_none() && c.ended_in <= again.step);
    let rule = if without_will { NO_WILL_NONE_PUBLISHED } else { REMOVED_ONCE_PUBLISHED };
    let expected = format!("{message} once");
    findings.broken(connection.protocol(), rule, &[connection.opened_at, again.at], expected, "it was published again");
}

/// A client that returns to its session within the Will Delay Interval has its will not published at all.
fn not_before_its_time(
    connection: &Connection,
    next: Option<&Connection>,
    will: &Will,
    published: &[Sighting<'_>],
    findings: &mut Findings,
) {
    let Some((delay, next)) = will.delay.filter(|delay| *delay > 0).zip(next) else { return };
    if let Some(first) = published.first().filter(|_| is_back_in_time(next)) {
        let message = Message::of(&will.payload).map(|message| message.to_string()).unwrap_or_default();
        let expected = format!("no {message}: the client was back within the Will Delay Interval of {delay} s");
        let events = [connection.opened_at, next.opened_at, first.at];
        findings.broken(connection.protocol(), NOT_BEFORE_ITS_DELAY, &events, expected, "it was published");
    }
}

/// The clock says that the client returned to its session within the Will Delay Interval.
pub(super) fn is_back_in_time(next: &Connection) -> bool {
    next.timers.iter().any(|timed| timed.timer == Timer::WillDelay && !timed.passed) && next.session_present()
}

/// A clean start before the delay is over ends the session, and is a new connection in time: MQTT-3.1.2-8 exempts it, and
/// section 3.1.3.2.2 would have the will published.
fn at_clean_start(
    connection: &Connection,
    next: Option<&Connection>,
    will: &Will,
    published: &[Sighting<'_>],
    findings: &mut Findings,
) {
    let gone = connection.closed_at.is_some() && will.delay.is_some_and(|delay| delay > 0);
    let in_time = |timed: &super::story::Timed| timed.timer == Timer::WillDelay && !timed.passed;
    if gone && next.is_some_and(|next| next.connect.clean && next.timers.iter().any(in_time)) {
        findings.choice("will_at_clean_start", if published.is_empty() { "dropped" } else { "published" });
    }
}

/// The will did not come although the client went away without a word.
pub(super) fn missing(
    story: &Story,
    sessions: &[Session<'_>],
    connection: &Connection,
    (will, message): (&Will, Message),
    published: &[Sighting<'_>],
    findings: &mut Findings,
) {
    if !published.is_empty() {
        return;
    }
    let expected = format!("{message}, the will of {}", connection.client);
    if let Some((at, _)) = connection.missing.iter().find(|(_, awaited)| *awaited == Awaited::Will) {
        // A broker whose other messages reach the witness would have brought this one too.
        match story.witnessed.is_empty() {
            true => {
                findings.limit(Verdict::Inconclusive, format!("no {message} at the witness, and nothing else either"))
            }
            false => {
                let events = [connection.opened_at, *at];
                let attempts = ATTEMPTS_FOR_TIMING;
                let protocol = connection.protocol();
                findings.broken_in(attempts, protocol, PUBLISHED_AT_THE_END, &events, expected, "it was not published");
            }
        }
        return;
    }
    let Some(due) = due(story, sessions, connection, will) else { return };
    let observer = sessions.iter().find(|session| {
        let granted = |step: usize| session.subscriptions(step).iter().any(|s| s.matches(&will.topic));
        session.id != connection.id && granted(due) && session.presence(due) == Some(true)
    });
    if let Some(observer) = observer.filter(|observer| has_waited(story, observer, due)) {
        let expected = format!("{expected} to {}", observer.client);
        findings.broken_in(
            ATTEMPTS_FOR_AN_ABSENCE,
            connection.protocol(),
            PUBLISHED_AT_THE_END,
            &[connection.opened_at],
            expected,
            "it was not published",
        );
    }
}

/// The step in which a will with a delay has to be published at the latest, if it has to be.
fn due(story: &Story, sessions: &[Session<'_>], connection: &Connection, will: &Will) -> Option<usize> {
    let gone = left_with_disconnect(connection).is_none() && connection.ended_in < usize::MAX;
    if !gone || will.delay.is_none_or(|delay| delay == 0) {
        return None;
    }
    let session = sessions.iter().find(|session| session.has(connection))?;
    let is_last = session.connections.last().is_some_and(|last| last.opened_at == connection.opened_at);
    let delay = will.delay.unwrap_or(0);
    let timers = story.connections.iter().flat_map(|connection| &connection.timers);
    // With a session that the broker has lost its timers went too, and that is a finding already.
    if matches!(session.end, Some(SessionEnd::Lost(_))) {
        return None;
    }
    let over =
        timers.filter(|timed| timed.passed && timed.step > connection.ended_in).find(|timed| match timed.timer {
            Timer::WillDelay => timed.seconds >= delay,
            Timer::SessionExpiry => timed.seconds >= connection.expiry(),
            _ => false,
        });
    over.filter(|_| is_last).map(|timed| timed.step)
}

fn has_waited(story: &Story, observer: &Session<'_>, due: usize) -> bool {
    let copies = |connection: &Connection| {
        let fence = |delivery: &&Delivery| matches!(delivery.message, Some(Message::Fence(_))) && delivery.step > due;
        connection.deliveries.iter().any(|delivery| fence(&delivery))
    };
    story.connections.iter().filter(|c| observer.has(c)).any(copies)
}

/// Will Retain decides what a later SUBSCRIBE finds.
fn retained(
    story: &Story,
    sessions: &[Session<'_>],
    connection: &Connection,
    (will, message): (&Will, Message),
    findings: &mut Findings,
) {
    let step = connection.ended_in;
    for session in sessions {
        for own in &session.connections {
            let later =
                own.subscribes.iter().find(|s| s.matches(&will.topic) && s.step > step && s.granted().is_some());
            let Some(subscribe) = later else { continue };
            let came =
                own.deliveries.iter().find(|delivery| delivery.message == Some(message) && delivery.publish.retain);
            let left = left_with_disconnect(connection).is_some();
            match came {
                Some(delivery) if !will.retain => {
                    let expected = format!("{message} is not retained: Will Retain is 0");
                    let events = [connection.opened_at, subscribe.at, delivery.at];
                    findings.broken(own.protocol(), WILL_RETAIN_0, &events, expected, "it came as a retained message");
                }
                None if will.retain && !left && will.qos > 0 => {
                    let balance = Balance { story, session, copies: &[], queue_limit: None };
                    let fenced = own.deliveries.iter().any(|delivery| {
                        matches!(delivery.message, Some(Message::Fence(_))) && delivery.at > subscribe.at
                    });
                    if fenced && balance.has_settled(subscribe.at) {
                        let expected = format!("the retained message {message}: Will Retain is 1");
                        let events = [connection.opened_at, subscribe.at];
                        let attempts = ATTEMPTS_FOR_AN_ABSENCE;
                        findings.broken_in(
                            attempts,
                            own.protocol(),
                            WILL_RETAIN_1,
                            &events,
                            expected,
                            "no retained message",
                        );
                    }
                }
                _ => {}
            }
        }
    }
}
