//! Subscriptions: the codes of a SUBACK, overlapping filters with their QoS and identifiers.

use super::deliveries::{Copy, Kind};
use super::finding::{Findings, Rule, rule};
use super::session::Session;
use super::story::{Connection, Story, Subscribing};
use crate::history::Message;
use crate::packet::Protocol;

pub const REPLACES_THE_SUBSCRIPTION: Rule = rule("MQTT-3.8.4-3", "MQTT-3.8.4-3");
const A_CODE_FOR_EACH_FILTER: Rule = rule("MQTT-3.8.4-5", "MQTT-3.8.4-7");
const CODES_IN_THE_ORDER_OF_THE_FILTERS: Rule = rule("MQTT-3.9.3-1", "MQTT-3.9.3-1");
const SUBSCRIBE_AT_ANY_QOS: Rule = Rule { v3: None, v5: Some("MQTT-3.2.2-10") };
const OVERLAP_AT_THE_HIGHEST_QOS: Rule = rule("MQTT-3.3.5-1", "MQTT-3.3.4-2");
const CARRIES_ITS_IDENTIFIER: Rule = Rule { v3: None, v5: Some("MQTT-3.3.4-3") };
const ONE_COPY_CARRIES_ALL_IDENTIFIERS: Rule = Rule { v3: None, v5: Some("MQTT-3.3.4-4") };
const EACH_COPY_CARRIES_ITS_OWN_IDENTIFIER: Rule = Rule { v3: None, v5: Some("MQTT-3.3.4-5") };

/// The SUBACKs of all connections.
pub fn check(story: &Story, findings: &mut Findings) {
    for connection in &story.connections {
        for subscribe in &connection.subscribes {
            refused_above_maximum(connection, subscribe, findings);
        }
        let firsts = connection.subscribes.iter().filter(|subscribe| subscribe.place.1 == 0);
        for first in firsts {
            let all: Vec<&Subscribing> = connection.subscribes.iter().filter(|s| s.at == first.at).collect();
            codes(connection, &all, findings);
        }
    }
}

/// A broker that announced a Maximum QoS takes a SUBSCRIBE at any QoS all the same.
fn refused_above_maximum(connection: &Connection, subscribe: &Subscribing, findings: &mut Findings) {
    let maximum = connection.connack.as_ref().and_then(|(_, connack)| connack.maximum_qos);
    let Some((maximum, (at, code))) = maximum.zip(subscribe.suback.filter(|(_, code)| *code >= 0x80)) else { return };
    // Such a refusal has nothing to do with the QoS if another filter at this QoS was granted.
    if subscribe.filter.qos > maximum && !subscribe.is_shared() {
        let expected = format!("a SUBSCRIBE at QoS {} is granted, if at QoS {maximum}", subscribe.filter.qos);
        let observed = format!("SUBACK {code:#04x}");
        findings.broken(connection.protocol(), SUBSCRIBE_AT_ANY_QOS, &[subscribe.at, at], expected, observed);
    }
}

fn codes(connection: &Connection, subscribes: &[&Subscribing], findings: &mut Findings) {
    let answered: Vec<(usize, u8)> = subscribes.iter().filter_map(|subscribe| subscribe.suback).collect();
    let Some((suback, _)) = answered.first() else { return };
    let events = [subscribes[0].at, *suback];
    if answered.len() < subscribes.len() {
        let expected = format!("{} codes in the SUBACK, one for each filter", subscribes.len());
        let observed = format!("{}", answered.len());
        findings.broken(connection.protocol(), A_CODE_FOR_EACH_FILTER, &events, expected, observed);
        return;
    }
    let above = |subscribe: &&&Subscribing| subscribe.granted().is_some_and(|granted| granted > subscribe.filter.qos);
    if let Some(first) = subscribes.iter().find(above) {
        let rule = if subscribes.len() > 1 { CODES_IN_THE_ORDER_OF_THE_FILTERS } else { A_CODE_FOR_EACH_FILTER };
        let expected = format!("at most QoS {} for {}", first.filter.qos, first.filter.filter);
        let observed = format!("QoS {}", first.granted().unwrap_or_default());
        findings.broken(connection.protocol(), rule, &events, expected, observed);
    }
}

/// What came because of one subscription or several: the highest QoS, and the Subscription Identifiers.
pub fn check_copies(session: &Session<'_>, copies: &[Copy<'_>], findings: &mut Findings) {
    for (place, copy) in copies.iter().enumerate().filter(|(_, copy)| copy.is(Kind::Subscribed)) {
        let is_same = |other: &&Copy<'_>| {
            other.publication.message == copy.publication.message
                && other.is(Kind::Subscribed)
                && other.connection.opened_at == copy.connection.opened_at
        };
        // All copies of one message are looked at together, at the first.
        let is_first = |other: &Copy<'_>| other.publication.message != copy.publication.message;
        if !copies[..place].iter().all(is_first) {
            continue;
        }
        let all: Vec<&Copy<'_>> = copies[place..].iter().filter(is_same).collect();
        let subscriptions = session.relation(copy.publication).subscriptions;
        // Another copy may still be on its way, unless something that was published later has come.
        let highest = subscriptions.iter().filter_map(|s| s.granted()).max().unwrap_or(0).min(copy.publication.qos);
        let is_later = |other: &Copy<'_>| {
            let at_highest = other.delivery.publish.qos >= highest;
            let later = other.publication.at > copy.publication.at;
            at_highest && later && other.publication.is_of_same_source(copy.publication)
        };
        let connection = copy.connection;
        let is_fence = |other: &Copy<'_>| {
            other.connection.opened_at == connection.opened_at && matches!(other.publication.message, Message::Fence(_))
        };
        let time_has_passed = !connection.settled_at.is_empty() && copies.iter().any(is_fence);
        // To a client that withholds its acknowledgements the rest may still be to come.
        let withholds = connection.withholds();
        let here = |other: &Copy<'_>| other.connection.opened_at == connection.opened_at;
        let has_later = copies.iter().any(|other| is_later(other) && (!withholds || here(other)));
        let has_all = has_later || time_has_passed && !withholds;
        if subscriptions.len() > 1 && !has_all {
            continue;
        }
        highest_qos(copy, &all, &subscriptions, findings);
        if copy.connection.protocol() == Protocol::V5 {
            identifiers(copy, &all, &subscriptions, findings);
        }
    }
}

/// 3.1.1 MQTT-3.3.5-1, 5.0 MQTT-3.3.4-2: further copies are permitted, a lower QoS alone is not.
fn highest_qos(copy: &Copy<'_>, all: &[&Copy<'_>], subscriptions: &[&Subscribing], findings: &mut Findings) {
    let granted = subscriptions.iter().filter_map(|subscription| subscription.granted());
    let Some(highest) = granted.max().map(|granted| granted.min(copy.publication.qos)) else { return };
    let reached = all.iter().map(|copy| copy.delivery.publish.qos).max().unwrap_or(0);
    if subscriptions.len() > 1 && reached < highest {
        let events = [copy.publication.at, copy.delivery.at];
        let expected = format!("{} at QoS {highest}, the highest of its subscriptions", copy.publication.message);
        let observed = format!("QoS {reached}");
        findings.broken(copy.connection.protocol(), OVERLAP_AT_THE_HIGHEST_QOS, &events, expected, observed);
    }
}

fn identifiers(copy: &Copy<'_>, all: &[&Copy<'_>], subscriptions: &[&Subscribing], findings: &mut Findings) {
    let mut expected: Vec<u32> = subscriptions.iter().filter_map(|s| s.subscription_id).collect();
    expected.sort_unstable();
    let mut events = vec![copy.publication.at];
    events.extend(all.iter().map(|copy| copy.delivery.at));
    let carried = |copy: &Copy<'_>| {
        let mut ids = copy.delivery.publish.properties.subscription_ids.clone();
        ids.sort_unstable();
        ids
    };
    let message = copy.publication.message;
    if let [copy] = all {
        let carried = carried(copy);
        // A further copy at QoS 0 may have been dropped, and its identifier with it.
        let may_lack = |id: &u32| {
            let own = subscriptions.iter().find(|s| s.subscription_id == Some(*id));
            own.is_some_and(|own| copy.publication.qos.min(own.granted().unwrap_or(0)) == 0)
        };
        let is_one_of_several = carried.len() == 1 && expected.contains(&carried[0]);
        if is_one_of_several && expected.iter().filter(|id| **id != carried[0]).all(may_lack) {
            return;
        }
        if carried != expected {
            let rule = match expected.len() > 1 && !carried.is_empty() {
                true => ONE_COPY_CARRIES_ALL_IDENTIFIERS,
                false => CARRIES_ITS_IDENTIFIER,
            };
            let expected = format!("{message} with the Subscription Identifiers {expected:?}");
            findings.broken(Protocol::V5, rule, &events, expected, format!("{carried:?}"));
        }
        return;
    }
    let one_each = all.iter().all(|copy| carried(copy).len() <= 1);
    let mut together: Vec<u32> = all.iter().flat_map(|copy| carried(copy)).collect();
    together.sort_unstable();
    together.dedup();
    if !one_each || together.iter().any(|id| !expected.contains(id)) {
        let expected = format!("each copy of {message} with the Subscription Identifier of its own subscription");
        let observed: Vec<Vec<u32>> = all.iter().map(|copy| carried(copy)).collect();
        let rule = EACH_COPY_CARRIES_ITS_OWN_IDENTIFIER;
        findings.broken(Protocol::V5, rule, &events, expected, format!("{observed:?}"));
    } else if together.len() < expected.len() && all.len() >= subscriptions.len() {
        let expected = format!("{message} with the Subscription Identifiers {expected:?}");
        findings.broken(Protocol::V5, CARRIES_ITS_IDENTIFIER, &events, expected, format!("{together:?}"));
    }
}
