//! Wills: published when a client goes away without a word, once, at their time, and not at all after DISCONNECT. Where a will is
//! published it is a message like any other.

use super::deliveries::Ledger;
use super::facts::{Connection, Facts, Place, Publication};
use super::finding::{ATTEMPTS_FOR_AN_ABSENCE, ATTEMPTS_FOR_TIMING, Findings, NAMES};
use super::illegal::rule_of_second_will;
use super::model::Model;
use super::proof::Evidence;
use super::rules;
use super::session::SessionEnd;
use std::time::Duration;

use crate::history::{Awaited, Message};
use crate::results::Verdict;
use crate::scenario::Timer;

pub fn check(model: &Model<'_>, ledgers: &[Ledger<'_>], findings: &mut Findings) {
    for connection in model.facts.connections.iter().filter(|connection| connection.is_accepted()) {
        accepted(connection, findings);
    }
    for will in model.facts.publications.iter().filter(|publication| publication.is_will()) {
        let Some(connection) = will.will_of.map(|index| &model.facts.connections[index]) else { continue };
        at_the_witness(model, will, connection, findings);
        at_clean_start(model.facts, will, connection, findings);
        missing(model, ledgers, will, connection, findings);
        late(model, will, connection, findings);
    }
}

/// A CONNECT whose will asks for more than the broker says it supports has to be refused.
fn accepted(connection: &Connection, findings: &mut Findings) {
    let Some((will, (at, connack))) = connection.connect.will.as_ref().zip(connection.connack.as_ref()) else { return };
    let events = [connection.opened.at, *at];
    if connack.maximum_qos.is_some_and(|maximum| will.qos > maximum) {
        let finding = findings.broken(rules::WILL_QOS_ABOVE_MAXIMUM, connection.protocol()).at(events);
        let expected = format!("a refusal: the will has QoS {} and Maximum QoS is less", will.qos);
        finding.expected(expected).observed("CONNACK 0x00");
    }
    if will.retain && connack.retain_available == Some(false) {
        let finding = findings.broken(rules::WILL_RETAIN_UNSUPPORTED, connection.protocol()).at(events);
        let expected = "a refusal: the will has Will Retain 1 and Retain Available is 0";
        finding.expected(expected).observed("CONNACK 0x00");
    }
}

/// The witness's copies: none of a will that was not due, and one of any other.
fn at_the_witness(model: &Model<'_>, will: &Publication, connection: &Connection, findings: &mut Findings) {
    let is_it = |publish: &crate::packet::Publish| {
        Message::of(&publish.payload) == Some(will.message) && *publish.topic == *will.topic
    };
    let copies: Vec<Place> =
        model.facts.witnessed.iter().filter(|(_, publish)| is_it(publish)).map(|(place, _)| *place).collect();
    let Some(first) = copies.first() else { return };
    let protocol = connection.protocol();
    if is_of_an_open_connection(model.facts, will, *first) {
        let finding = findings.broken(rules::WILL_PUBLISHED_AT_THE_END, protocol).at([connection.opened.at, first.at]);
        let expected = format!("no {NAMES} before the end of the connection of {}", connection.client);
        finding.about(will.message).expected(expected).observed("it was published, and the connection was there");
        return;
    }
    if let Some(left) = connection.left_for_good() {
        let finding = findings.broken(rules::WILL_DISCARDED_AT_DISCONNECT, protocol).at([left.at, first.at]);
        let finding = finding.about(will.message);
        finding.expected(format!("no {NAMES}: the client sent DISCONNECT")).observed("it was published");
        return;
    }
    if let Some(next) = is_back_in_time(model.facts, connection) {
        let events = [connection.opened.at, next.opened.at, first.at];
        let finding = findings.broken(rules::WILL_NOT_BEFORE_ITS_DELAY, protocol).at(events).about(will.message);
        let expected = format!("no {NAMES}: the client was back within its Will Delay Interval");
        finding.expected(expected).observed("it was published");
        return;
    }
    if is_premature(model.facts, connection, *first) {
        let finding = findings.broken(rules::WILL_PUBLISHED_AT_THE_END, protocol).about(will.message);
        let expected = format!("{NAMES} not before its Will Delay Interval has passed or its session has ended");
        let finding = finding.span(connection.opened.at, first.at).expected(expected);
        finding.observed("it was published earlier");
        return;
    }
    let Some(second) = copies.get(1).filter(|_| is_only(model.facts, will)) else { return };
    let rule = rule_of_second_will(model, will, second.step);
    let finding = findings.broken(rule, protocol).at([first.at, second.at]).about(will.message);
    finding.expected(format!("{NAMES} once")).observed("it was published again");
}

/// True if the will came while its connection was there: the broker answered on it in a later step.
pub fn is_of_an_open_connection(facts: &Facts, will: &Publication, copy: Place) -> bool {
    will.will_of.is_some_and(|index| facts.connections[index].was_there_after(copy)) && is_only(facts, will)
}

/// True if no other will says the same on the same topic.
fn is_only(facts: &Facts, will: &Publication) -> bool {
    facts.publications.iter().filter(|own| (own.message, &own.topic) == (will.message, &will.topic)).count() == 1
}

/// The connection with which the client returned to its session within the Will Delay Interval, by the clock or by a takeover.
pub fn is_back_in_time<'a>(facts: &'a Facts, connection: &Connection) -> Option<&'a Connection> {
    let delay = connection.connect.will.as_ref().and_then(|will| will.delay).filter(|delay| *delay > 0);
    let next = next(facts, connection).filter(|next| delay.is_some() && next.session_present())?;
    let in_time = next.timers.iter().any(|timed| timed.timer == Timer::WillDelay && !timed.passed);
    let is_silent = connection.may_have_timed_out || connection.timers.iter().any(|own| own.timer == Timer::KeepAlive);
    let takes_over = connection.taken_over == Some(next.opened) && !is_silent;
    (in_time || takes_over || is_within_delay(facts, connection, next.opened)).then_some(next)
}

/// The will came before its delay can have passed, and its session was there.
fn is_premature(facts: &Facts, connection: &Connection, copy: Place) -> bool {
    let mut later = facts.connections[connection.index + 1..].iter().filter(|own| own.id == connection.id);
    // A session that the broker has lost has ended, too, and is a finding of its own.
    let is_lost = |own: &Connection| own.is_accepted() && !own.session_present();
    let is_discarded = later.any(|own| is_lost(own) || own.connect.clean && own.opened.at < copy.at);
    let delay = connection.connect.will.as_ref().and_then(|will| will.delay).unwrap_or(0);
    !is_discarded && connection.expiry() >= delay && is_within_delay(facts, connection, copy)
}

/// By the clock the Will Delay Interval has not passed at this place: the connection was there when the client last asked something that
/// the broker answered. Brokers count whole seconds.
fn is_within_delay(facts: &Facts, connection: &Connection, place: Place) -> bool {
    let delay = connection.connect.will.as_ref().and_then(|will| will.delay).unwrap_or(0).min(connection.expiry());
    let since = connection.answered_last.unwrap_or(connection.opened);
    let elapsed = facts.elapsed(since.at, place.at).filter(|_| facts.outages.is_empty());
    elapsed.is_some_and(|elapsed| elapsed + Duration::from_secs(1) < Duration::from_secs(delay.into()))
}

fn next<'a>(facts: &'a Facts, connection: &Connection) -> Option<&'a Connection> {
    facts.connections.iter().find(|own| own.id == connection.id && own.index > connection.index)
}

/// A clean start before the delay is over ends the session, and is a new connection in time: MQTT-3.1.2-8 exempts it, and section
/// 3.1.3.2.2 would have the will published.
fn at_clean_start(facts: &Facts, will: &Publication, connection: &Connection, findings: &mut Findings) {
    let gone = connection.closed.is_some()
        && connection.connect.will.as_ref().is_some_and(|w| w.delay.is_some_and(|delay| delay > 0));
    let Some(next) = next(facts, connection).filter(|next| gone && next.connect.clean) else { return };
    if next.timers.iter().any(|timed| timed.timer == Timer::WillDelay && !timed.passed) {
        findings.choice("will_at_clean_start", if will.accepted.is_some() { "published" } else { "dropped" });
    }
}

/// The will did not come to anybody although the client went away without a word. The witness proves nothing by its silence, since
/// what has QoS 0 may vanish; another client that subscribes to the topic does.
fn missing(
    model: &Model<'_>,
    ledgers: &[Ledger<'_>],
    will: &Publication,
    connection: &Connection,
    findings: &mut Findings,
) {
    if will.accepted.is_some() {
        return;
    }
    let due = due(model, connection);
    let there = |ledger: &&Ledger<'_>| due.is_some_and(|due| was_there(model, ledger, will, connection, due, false));
    let waiting = |ledger: &&Ledger<'_>| due.is_some_and(|due| was_there(model, ledger, will, connection, due, true));
    let observer = ledgers.iter().find(waiting);
    let waited_for = connection.missing.iter().any(|(_, awaited)| *awaited == Awaited::Will);
    if let Some(observer) = observer {
        let finding =
            findings.broken(rules::WILL_PUBLISHED_AT_THE_END, connection.protocol()).at([connection.opened.at]);
        let attempts = if waited_for { ATTEMPTS_FOR_TIMING } else { ATTEMPTS_FOR_AN_ABSENCE };
        let finding = finding.about(will.message).after_attempts(attempts);
        let waited_until = Evidence { model, ledger: observer }.last_settled();
        let waited = connection.end.map(|end| end.at).zip(waited_until);
        let finding = waited.into_iter().fold(finding, |finding, (from, to)| finding.span(from, to));
        let expected = format!("{NAMES}, the will of {}, to {}", connection.client, observer.session.client);
        finding.expected(expected).observed("it was not published");
    } else if waited_for {
        let reason =
            format!("the will of {} did not come to the witness, so nothing shows that it is gone", connection.client);
        findings.limit(Verdict::Inconclusive, reason);
    } else if let Some(observer) = ledgers.iter().find(there) {
        let (mortal, observer) = (&connection.client, observer.session.client);
        let reason = format!("the will of {mortal} has not come to {observer}, and nothing shows that time has passed");
        findings.limit(Verdict::Inconclusive, reason);
    }
}

/// A will that waits for its delay although its session has ended with the connection (5.0, section 3.1.3.2.2).
fn late(model: &Model<'_>, will: &Publication, connection: &Connection, findings: &mut Findings) {
    let delay = connection.connect.will.as_ref().and_then(|will| will.delay).filter(|delay| *delay > 0);
    let Some((delay, (end, came))) = delay.zip(connection.end.zip(will.accepted)) else { return };
    // To a client that was away it came no earlier than the client.
    if model
        .facts
        .connections
        .iter()
        .any(|own| own.opened.at > end.at && own.deliveries.iter().any(|d| d.place == came))
    {
        return;
    }
    // A broker or a harness that stood still is late with everything: a fence behind the end has to have come before the will.
    let is_fence = |message: Message| {
        let own = model.facts.publications.iter().filter(|publication| publication.message == message);
        matches!(message, Message::Fence(_)) && own.filter_map(Publication::sent).any(|sent| sent.at > end.at)
    };
    let mut deliveries = model.facts.connections.iter().flat_map(|connection| &connection.deliveries);
    let went_on = deliveries.any(|own| own.place.at < came.at && own.message.is_some_and(is_fence));
    let waited = model.facts.elapsed(end.at, came.at).filter(|waited| waited.as_secs() >= delay.into());
    if !went_on || waited.is_none() || connection.session_persists() || connection.left_for_good().is_some() {
        return;
    }
    if model.facts.was_late_between(end.at, came.at) {
        let reason = format!("the will of {} came late, but the harness was late, too", connection.client);
        findings.limit(Verdict::Inconclusive, reason);
        return;
    }
    let finding = findings.broken(rules::WILL_PUBLISHED_AT_THE_END, connection.protocol()).span(end.at, came.at);
    let finding = finding.about(will.message).after_attempts(ATTEMPTS_FOR_TIMING);
    let expected = format!("{NAMES} at once: the session of {} ended with its connection", connection.client);
    finding.expected(expected).observed("it was published later, as its delay asks");
}

/// The step in which a will has to be published at the latest, if it has to be: when its delay has passed by the clock, or when
/// its session ends, whichever is first (5.0, section 3.1.3.2.2).
pub fn due(model: &Model<'_>, connection: &Connection) -> Option<usize> {
    let end = connection.end.filter(|_| connection.left_for_good().is_none() && !connection.may_have_left_in_vain())?;
    let delay = connection.connect.will.as_ref()?.delay.unwrap_or(0);
    let session = model.sessions.iter().find(|session| session.has(connection))?;
    // With a session that the broker has lost its timers went too, and that is a finding already.
    if matches!(session.end, Some(SessionEnd::Lost(_) | SessionEnd::LostInOutage(_)))
        || model.facts.connections.last().is_none()
    {
        return None;
    }
    if delay == 0 || !connection.session_persists() {
        return Some(end.step);
    }
    let timers = model.facts.connections.iter().flat_map(|own| &own.timers);
    let mut over =
        timers.filter(|timed| timed.passed && timed.place.step > end.step).filter(|timed| match timed.timer {
            Timer::WillDelay => timed.seconds >= delay,
            Timer::SessionExpiry => timed.seconds >= connection.expiry(),
            Timer::MessageExpiry | Timer::KeepAlive => false,
        });
    let over = over.next()?;
    // A CONNECT before that, if the broker may have taken it, stops the will or ends its session.
    let mut later = model.facts.connections[connection.index + 1..].iter().filter(|own| own.id == connection.id);
    let is_back = later.any(|own| own.opened.at < over.place.at && (own.is_accepted() || own.connack.is_none()));
    (!is_back).then_some(over.place.step)
}

/// A client that subscribes to the will's topic was there when it was due, and a fence has come to it since; if `long`, time has
/// passed for it, too.
fn was_there(
    model: &Model<'_>,
    ledger: &Ledger<'_>,
    will: &Publication,
    connection: &Connection,
    due: usize,
    long: bool,
) -> bool {
    let session = ledger.session;
    let granted = session.subscriptions.iter().any(|own| {
        let begun = own.subscribing.suback.is_some_and(|(place, _)| place.step < connection.ended_in());
        begun && own.end.is_none() && own.subscribing.matches(&will.topic) && will.qos.min(own.granted) > 0
    });
    let evidence = Evidence { model, ledger };
    let waited_for = connection.missing.iter().any(|(_, awaited)| *awaited == Awaited::Will);
    let there = session.connections.iter().filter(|own| own.is_open_in(due));
    *session.id != *connection.id
        && granted
        && there.into_iter().any(|own| {
            let later = |copy: &&super::deliveries::Copy<'_>| {
                copy.connection.index == own.index
                    && matches!(copy.publication.message, Message::Fence(_))
                    && copy.delivery.place.step > due
                    && copy.delivery.publish.qos > 0
            };
            // The deadline that passed at the witness has passed for everybody.
            let passed = || waited_for || evidence.time_has_passed_on(own, own.opened.at);
            ledger.copies.iter().any(|copy| later(&copy)) && (!long || passed())
        })
}

/// A will has come to nobody yet, although it is due and this session subscribes to its topic.
pub fn is_awaited(model: &Model<'_>, ledger: &Ledger<'_>) -> bool {
    let open =
        model.facts.publications.iter().filter(|publication| publication.is_will() && publication.accepted.is_none());
    open.into_iter().any(|will| {
        let due = will.will_of.and_then(|index| due(model, &model.facts.connections[index]));
        let mut own = ledger.session.subscriptions.iter();
        due.is_some() && own.any(|own| own.subscribing.matches(&will.topic) && own.granted.min(will.qos) > 0)
    })
}
