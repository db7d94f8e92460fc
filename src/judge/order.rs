//! Order: the messages that one publisher sent to one topic at one QoS arrive in the order of publication.

use std::collections::{HashMap, HashSet};

use super::absences;
use super::deliveries::{Copy, Ledger, SENT_FOR_A_SUBSCRIBE};
use super::facts::Publication;
use super::finding::Findings;
use super::model::{Asks, Model};
use super::proof::Evidence;
use super::rules;
use crate::history::Message;

/// Messages that are delivered in order: publisher, topic, QoS of the publication, QoS of the delivery.
type Lane<'a> = (&'a str, &'a str, u8, u8);

/// Looks for the first message that came behind a later one. Only first copies count: after a reconnect 1, 2, 3, 2, 3, 4 is in
/// order (section 4.6).
pub fn check(model: &Model<'_>, ledger: &Ledger<'_>, findings: &mut Findings) {
    let mut seen: HashSet<(Message, u8)> = HashSet::new();
    let mut latest: HashMap<Lane<'_>, &Copy<'_>> = HashMap::new();
    // What came on a connection before was sent before, also where the harness read it later.
    let mut copies: Vec<&Copy<'_>> = ledger.copies.iter().collect();
    copies.sort_by_key(|copy| copy.connection.index);
    for copy in copies {
        let publication = copy.publication;
        // Overlapping subscriptions of different QoS bring copies that are ordered each for itself.
        let qos = copy.delivery.publish.qos;
        let is_like_others = publication.is_will() || publication.is_clearing();
        let is_first = !is_like_others && seen.insert((publication.message, qos));
        if !is_first || !copy.is_surely_forward() || !copy.flag_is_right {
            continue;
        }
        let lane = (publication.publisher.as_ref(), publication.topic.as_ref(), publication.qos, qos);
        match latest.get(&lane) {
            Some(overtaker)
                if publication.is_before(overtaker.publication) && is_one_lane(model, ledger, publication, qos) =>
            {
                match is_for_a_subscribe(model, ledger, copy) {
                    true => without_flag(copy, findings),
                    false => overtaken(copy, overtaker, findings),
                }
                return;
            }
            Some(overtaker) if publication.at() < overtaker.publication.at() => {}
            _ => drop(latest.insert(lane, copy)),
        }
    }
}

/// At QoS 0 a copy for one of several subscriptions may be lost, so that the first that is seen is another one's.
fn is_one_lane(model: &Model<'_>, ledger: &Ledger<'_>, publication: &Publication, qos: u8) -> bool {
    qos > 0 || model.met(ledger.session, publication).len() == 1
}

/// A SUBSCRIBE before it asks for the message, and has got no other copy: then this is the retained one.
fn is_for_a_subscribe(model: &Model<'_>, ledger: &Ledger<'_>, copy: &Copy<'_>) -> bool {
    let evidence = Evidence { model, ledger };
    absences::asks(model, ledger.session).iter().any(|ask| {
        ask.connection.index == copy.connection.index
            && ask.subscribing.sent.at < copy.delivery.place.at
            && std::ptr::eq(ask.last(), copy.publication)
            && ask.asks == Asks::Yes
            && ask.arrival(&evidence).is_none()
    })
}

fn without_flag(copy: &Copy<'_>, findings: &mut Findings) {
    let events = [copy.publication.at(), copy.delivery.place.at];
    let finding = findings.broken(rules::RETAIN_1_ON_A_RETAINED_COPY, copy.connection.protocol()).at(events);
    let expected = format!("RETAIN 1 on {}: {SENT_FOR_A_SUBSCRIBE}", copy.publication.message);
    finding.expected(expected).observed("RETAIN 0");
}

fn overtaken(copy: &Copy<'_>, overtaker: &Copy<'_>, findings: &mut Findings) {
    let (first, second) = (copy.publication, overtaker.publication);
    let events = [first.at(), second.at(), overtaker.delivery.place.at, copy.delivery.place.at];
    let finding = findings.broken(rules::IN_THE_ORDER_OF_PUBLICATION, copy.connection.protocol()).at(events);
    let expected = format!("{} before {}", first.message, second.message);
    finding
        .expected(expected)
        .span(overtaker.delivery.place.at, copy.delivery.place.at)
        .observed(format!("{} after {}", first.message, second.message));
}
