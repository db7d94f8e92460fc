//! Reasons for which a copy may have come and must not: a subscription or session that has ended, a message that is not the
//! retained one, a SUBSCRIBE that asked for none, its own publisher, or nothing at all.

use super::assignment::{Sighting, Unit};
use super::facts::{Connection, Publication, Subscribing};
use super::model::{Asks, Model};
use super::rules::{self, Rule};
use super::session::{Session, SessionEnd, Subscription};
use super::wills;
use crate::history::Message;
use crate::packet::Protocol;
use crate::topic;

/// A reason that the standard rules out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The session that had subscribed has ended; the index of the entry that ended it.
    EndedSession(usize),
    /// The client was told of no session, and gets what another client subscribed to.
    OtherSession,
    /// UNSUBSCRIBE ended the subscription; its index.
    Unsubscribed(usize),
    /// The client published it itself, and each subscription that matches it has No Local.
    OwnMessage,
    /// A message that is not the retained one of its topic, because of the SUBSCRIBE with this index.
    NotRetained(usize),
    /// A retained message that the SUBSCRIBE with this index did not ask for.
    NotAskedFor(usize),
    /// A retained message for a shared subscription.
    SharedRetained,
    /// A will that was not due.
    Will,
    /// A will that had been published before anybody here subscribed.
    WillAgain,
    /// No subscription explains it.
    Unsolicited,
}

impl Cause {
    /// The order among explanations of equal cost.
    pub fn rank(self) -> u32 {
        match self {
            Cause::Will | Cause::WillAgain | Cause::SharedRetained => 0,
            Cause::EndedSession(_) | Cause::OtherSession => 1,
            Cause::Unsubscribed(_) | Cause::OwnMessage => 2,
            Cause::NotRetained(_) | Cause::NotAskedFor(_) => 3,
            Cause::Unsolicited => 9,
        }
    }
}

/// The reasons for one copy, each with the rule that it breaks. That no subscription explains it is among them if nothing else
/// explains it.
pub fn causes<'a>(
    model: &Model<'a>,
    session: &Session<'a>,
    unit: &Unit<'a>,
    sighting: &Sighting<'a>,
    nothing_else: bool,
) -> Vec<(Cause, Rule)> {
    let mut causes = Vec::new();
    for publication in &unit.publications {
        will(model, publication, sighting, &mut causes);
        own_message(session, publication, sighting, &mut causes);
        retained(model, session, publication, sighting, &mut causes);
        unsubscribed(session, publication, sighting, &mut causes);
        ended_session(model, session, publication, sighting, &mut causes);
    }
    if causes.is_empty() && nothing_else {
        let will = unit.publications[0];
        causes.push(match will.is_will() && will.sent().is_some() {
            true => (Cause::WillAgain, rule_of_second_will(model, will, sighting.delivery.place.step)),
            false => unsolicited(model, session, sighting),
        });
    }
    causes
}

/// A will after DISCONNECT, before its delay, or of a connection that is still there.
fn will(model: &Model<'_>, publication: &Publication, sighting: &Sighting<'_>, causes: &mut Vec<(Cause, Rule)>) {
    let Some(connection) = publication.will_of.map(|index| &model.facts.connections[index]) else { return };
    if wills::is_of_an_open_connection(model.facts, publication, sighting.delivery.place) {
        causes.push((Cause::Will, rules::WILL_PUBLISHED_AT_THE_END));
    } else if connection.left_for_good().is_some() {
        causes.push((Cause::Will, rules::WILL_DISCARDED_AT_DISCONNECT));
    } else if publication.sent().is_none() {
        causes.push((Cause::Will, rules::WILL_NOT_BEFORE_ITS_DELAY));
    }
}

/// The client published it itself, and each subscription that matches it has No Local (5.0 MQTT-3.8.3-3).
fn own_message(
    session: &Session<'_>,
    publication: &Publication,
    sighting: &Sighting<'_>,
    causes: &mut Vec<(Cause, Rule)>,
) {
    // A retained message of its own is another matter: the standard does not say. RETAIN 1 on one that was published behind the SUBACK is
    // the work of Retain As Published.
    let is_as_published = |own: &Subscription<'_>| {
        let granted = own.subscribing.suback.map_or(usize::MAX, |(place, _)| place.at);
        own.subscribing.filter.retain_as_published && publication.sent().is_some_and(|sent| sent.at > granted)
    };
    let mut matching =
        session.subscriptions.iter().filter(|own| own.subscribing.matches(&publication.topic)).peekable();
    let is_forward = |own: &Subscription<'_>| !sighting.delivery.publish.retain || is_as_published(own);
    let is_local = matching.peek().is_some() && matching.any(|own| own.subscribing.filter.no_local && is_forward(own));
    if *publication.publisher_id == *session.id && is_local {
        causes.push((Cause::OwnMessage, rules::NOT_TO_ITS_OWN_PUBLISHER));
    }
}

/// Because of a SUBSCRIBE, although the message is not the retained one, or none was asked for.
fn retained<'a>(
    model: &Model<'a>,
    session: &Session<'a>,
    publication: &Publication,
    sighting: &Sighting<'a>,
    causes: &mut Vec<(Cause, Rule)>,
) {
    if !sighting.delivery.publish.retain {
        return;
    }
    let here = session.connections.iter().filter(|own| own.index <= sighting.connection.index);
    for connection in here {
        let before = connection.subscribes.iter().filter(|own| own.sent.at < sighting.delivery.place.at);
        for subscribing in before.filter(|own| topic::matches(&own.filter.filter, &publication.topic)) {
            let sent = publication.sent();
            // A message that was published behind the SUBACK was not there to be retained.
            let granted = subscribing.suback.map_or(usize::MAX, |(place, _)| place.at);
            if sent.is_none_or(|sent| sent.step > subscribing.sent.step || sent.at > granted) {
                continue;
            }
            let at = subscribing.sent.at;
            if subscribing.is_shared() {
                causes.push((Cause::SharedRetained, rules::SHARED_SUBSCRIPTIONS));
                continue;
            }
            let found = model.retained(&publication.topic, subscribing, connection);
            if !found.candidates.iter().any(|candidate| std::ptr::eq(*candidate, publication)) {
                causes.push((Cause::NotRetained(at), not_retained(model, publication, subscribing, connection)));
                continue;
            }
            match model.asks(session, subscribing) {
                Asks::Yes | Asks::Perhaps => {}
                Asks::NotAgain => causes.push((Cause::NotAskedFor(at), rules::RETAIN_HANDLING_1)),
                Asks::Never => causes.push((Cause::NotAskedFor(at), rules::RETAIN_HANDLING_2)),
            }
        }
    }
}

/// Why a message is not the retained one.
fn not_retained(
    model: &Model<'_>,
    publication: &Publication,
    subscribing: &Subscribing,
    connection: &Connection,
) -> Rule {
    if publication.is_clearing() {
        return rules::AN_EMPTY_MESSAGE_IS_NOT_STORED;
    }
    if !publication.retain {
        return if publication.is_will() { rules::WILL_RETAIN_0 } else { rules::RETAIN_0_IS_NOT_STORED };
    }
    match model.last_retaining(&publication.topic, subscribing, connection) {
        Some(last) if last.is_clearing() => rules::AN_EMPTY_MESSAGE_CLEARS,
        Some(last) if last.qos == 0 => rules::QOS_0_REPLACES_TOO,
        Some(last) if last.is_will() => rules::WILL_RETAIN_1,
        _ => rules::THE_LAST_RETAINED_MESSAGE,
    }
}

/// By a subscription that an UNSUBSCRIBE had ended when the message was published.
fn unsubscribed(
    session: &Session<'_>,
    publication: &Publication,
    sighting: &Sighting<'_>,
    causes: &mut Vec<(Cause, Rule)>,
) {
    let Some(sent) = publication.sent() else { return };
    let matching = session.subscriptions.iter().filter(|own| topic::matches(own.filter(), &publication.topic));
    let mut ended =
        matching.filter_map(|own| own.end.filter(|end| end.by_unsubscribe && end.sent.at < sighting.delivery.place.at));
    if let Some(end) = ended.rfind(|end| end.sent.step <= sent.step) {
        let connection = session.connection(end.connection);
        let here = connection.is_some_and(|connection| connection.ended_in() >= sent.step);
        let rule = if here { rules::UNSUBSCRIBE_STOPS } else { rules::UNSUBSCRIBE_DELETES };
        causes.push((Cause::Unsubscribed(end.sent.at), rule));
    }
}

/// By a session of this client that has ended: it is not to be used again.
fn ended_session<'a>(
    model: &Model<'a>,
    session: &Session<'a>,
    publication: &Publication,
    sighting: &Sighting<'a>,
    causes: &mut Vec<(Cause, Rule)>,
) {
    // Retained messages are part of no session, and behind a SUBSCRIBE the flag says that the copy is one.
    let asked = session
        .connections
        .iter()
        .flat_map(|own| &own.subscribes)
        .any(|own| own.matches(&publication.topic) && own.sent.at < sighting.delivery.place.at);
    if sighting.delivery.publish.retain && (publication.retain || asked) {
        return;
    }
    let earlier = model
        .sessions
        .iter()
        .filter(|own| own.id == session.id && own.connections[0].index < session.connections[0].index);
    for ended in earlier.filter(|own| own.had_subscribed(&publication.topic)) {
        let connection = session.connections[0];
        let rule = match ended.end {
            Some(SessionEnd::Expired(_)) => rules::AN_EXPIRED_SESSION_IS_DISCARDED,
            // Without a clean start only the Session Expiry Interval of 0 has ended it.
            Some(SessionEnd::WithConnection(_) | SessionEnd::Discarded(_))
                if !connection.connect.clean && session.protocol() == Protocol::V5 =>
            {
                rules::AN_EXPIRED_SESSION_IS_DISCARDED
            }
            // A session that the broker denies is found out by its Session Present.
            Some(SessionEnd::Lost(_) | SessionEnd::LostInOutage(_)) => rules::PRESENT_1_WITH_SESSION,
            _ => rules::A_DISCARDED_SESSION_IS_NOT_USED,
        };
        let at = ended.end.map_or(connection.opened.at, |end| end.place().at);
        causes.push((Cause::EndedSession(at), rule));
    }
}

/// Nothing explains the copy. A client that never was here may be told of a session, and get what another one subscribed to.
pub fn unsolicited(model: &Model<'_>, session: &Session<'_>, sighting: &Sighting<'_>) -> (Cause, Rule) {
    if is_of_broker_by_wildcard(session, &sighting.delivery.topic) {
        return (Cause::Unsolicited, rules::WILDCARDS_DO_NOT_MATCH_DOLLAR);
    }
    let is_fresh = session.connections[0].index == sighting.connection.index;
    let of_other =
        model.sessions.iter().any(|own| own.id != session.id && own.had_subscribed(&sighting.delivery.topic));
    if is_fresh && of_other && sighting.connection.session_present() {
        return (Cause::OtherSession, rules::IDENTIFIES_THE_SESSION);
    }
    (Cause::Unsolicited, rules::NO_SUBSCRIPTION_EXPLAINS_IT)
}

/// The topic begins with $, and a filter of the session that begins with a wildcard would match it otherwise.
fn is_of_broker_by_wildcard(session: &Session<'_>, topic: &str) -> bool {
    let Some(rest) = topic.strip_prefix('$') else { return false };
    session.had_subscribed(&format!("x{rest}"))
}

/// The witness, or a client of another session, had the will twice: the broker has published it twice.
pub fn came_twice_to_others(model: &Model<'_>, will: &Publication, session: &Session<'_>) -> bool {
    let is_it = |message: Option<Message>, topic: &str| message == Some(will.message) && *topic == *will.topic;
    let by_witness = model
        .facts
        .witnessed
        .iter()
        .filter(|(_, publish)| is_it(Message::of(&publish.payload), &publish.topic))
        .count();
    let others = model.sessions.iter().filter(|other| other.id != session.id);
    let count = |other: &Session<'_>| {
        let new = |d: &super::facts::Delivery| !d.publish.dup && !d.publish.retain && is_it(d.message, &d.topic);
        other.deliveries().filter(|(_, delivery)| new(delivery)).count()
    };
    by_witness > 1 || others.into_iter().any(|other| count(other) > 1) || by_witness == 0 && model.sessions.len() < 3
}

/// The rule that a second publication of a will breaks: a later connection without a will may have brought it.
pub fn rule_of_second_will(model: &Model<'_>, will: &Publication, step: usize) -> Rule {
    let Some(own) = will.will_of.map(|index| &model.facts.connections[index]) else {
        return rules::WILL_REMOVED_ONCE_PUBLISHED;
    };
    let mut later = model.facts.connections.iter().filter(|c| c.id == own.id && c.index > own.index);
    match later.any(|c| c.connect.will.is_none() && c.left.is_none() && c.ended_in() <= step) {
        true => rules::NO_WILL_NONE_PUBLISHED,
        false => rules::WILL_REMOVED_ONCE_PUBLISHED,
    }
}
