//! Subscriptions: the codes of SUBACK and UNSUBACK, and what overlapping filters bring together.

use std::collections::BTreeSet;

use super::deliveries::{Copy, Ledger};
use super::facts::{Connection, Facts, Publication, Subscribing};
use super::finding::{Findings, NAMES};
use super::model::Model;
use super::proof::{Evidence, Proof};
use super::rules;
use super::session::InForce;
use super::slots::Way;
use crate::packet::Protocol;

const QOS_MAX: u8 = 2;
/// Reason codes of a SUBACK (5.0, section 3.9.3).
const UNSPECIFIED: u8 = 0x80;
const IMPLEMENTATION_SPECIFIC: u8 = 0x83;

/// The SUBACKs and UNSUBACKs of all connections.
pub fn check(facts: &Facts, findings: &mut Findings) {
    for connection in &facts.connections {
        for subscribing in &connection.subscribes {
            refused_above_maximum(connection, subscribing, findings);
        }
        for first in connection.subscribes.iter().filter(|subscribing| subscribing.number == 0) {
            let all: Vec<&Subscribing> = connection.subscribes.iter().filter(|own| own.sent == first.sent).collect();
            codes(connection, &all, findings);
        }
        without_code(connection, findings);
    }
}

/// A broker that announced a Maximum QoS takes a SUBSCRIBE at any QoS all the same.
fn refused_above_maximum(connection: &Connection, subscribing: &Subscribing, findings: &mut Findings) {
    let maximum = connection.connack.as_ref().and_then(|(_, connack)| connack.maximum_qos);
    // Other codes tell of another cause.
    let refused = subscribing.suback.filter(|(_, code)| matches!(*code, UNSPECIFIED | IMPLEMENTATION_SPECIFIC));
    let Some((maximum, (place, code))) = maximum.zip(refused) else { return };
    if subscribing.filter.qos > maximum && !subscribing.is_shared() {
        let events = [subscribing.sent.at, place.at];
        let finding = findings.broken(rules::SUBSCRIBE_AT_ANY_QOS, connection.protocol()).at(events);
        let expected = format!("a SUBSCRIBE at QoS {} is granted, if at QoS {maximum}", subscribing.filter.qos);
        finding.expected(expected).observed(format!("SUBACK {code:#04x}"));
    }
}

/// An UNSUBACK of 5.0 has a code for each filter.
fn without_code(connection: &Connection, findings: &mut Findings) {
    let lacking = connection.unsubscribes.iter().find_map(|own| Some((own, own.without_code?)));
    let Some((unsubscribing, unsuback)) = lacking else { return };
    let events = [unsubscribing.sent.at, unsuback];
    let finding = findings.broken(rules::CODES_OF_UNSUBACK, connection.protocol()).at(events);
    let expected = format!("a code in the UNSUBACK for {}", unsubscribing.filter);
    finding.expected(expected).observed("fewer codes than filters");
}

fn codes(connection: &Connection, filters: &[&Subscribing], findings: &mut Findings) {
    let Some((suback, _)) = filters.iter().find_map(|filter| filter.suback) else { return };
    let events = [filters[0].sent.at, suback.at];
    let given = filters.iter().map(|filter| filter.codes).max().unwrap_or_default();
    if given != filters.len() {
        let finding = findings.broken(rules::A_CODE_FOR_EACH_FILTER, connection.protocol()).at(events);
        let expected = format!("{} codes in the SUBACK, one for each filter", filters.len());
        finding.expected(expected).observed(given.to_string());
        return;
    }
    // A code between these and 0x80 grants no QoS that exists: it is judged as a reason code.
    let is_above = |filter: &&&Subscribing| {
        filter.granted().is_some_and(|granted| granted > filter.filter.qos && granted <= QOS_MAX)
    };
    if let Some(first) = filters.iter().find(is_above) {
        let rule = match filters.len() {
            1 => rules::A_CODE_THAT_GRANTS_OR_REFUSES,
            _ => rules::CODES_IN_THE_ORDER_OF_THE_FILTERS,
        };
        let finding = findings.broken(rule, connection.protocol()).at(events);
        let expected = format!("at most QoS {} for {}", first.filter.qos, first.filter.filter);
        finding.expected(expected).observed(format!("QoS {}", first.granted().unwrap_or_default()));
    }
}

/// Messages that met several subscriptions: the highest QoS comes, and all Subscription Identifiers do. What may still come is
/// nothing to conclude from, so there has to be a proof.
pub fn check_overlaps(model: &Model<'_>, ledger: &Ledger<'_>, queue_limit: Option<u32>, findings: &mut Findings) {
    let has_overlap = ledger.session.subscriptions.iter().filter(|own| !own.is_shared()).count() > 1;
    if !has_overlap {
        return;
    }
    let evidence = Evidence { model, ledger };
    for publication in &model.facts.publications {
        let Some(arrival) = ledger.arrival(publication) else { continue };
        // A queue that was full may have dropped one of several copies, or one has expired before its turn.
        let may_be_dropped = queue_limit.is_some() && model.is_away(ledger.session, publication) == Some(true);
        if may_be_dropped || model.may_have_expired(ledger.session, publication) {
            continue;
        }
        let met = model.met(ledger.session, publication);
        let Some(highest) = met.iter().map(|filter| filter.least_qos(publication.qos)).max() else { continue };
        let own = forwards(ledger, publication);
        let is_ambiguous = own.iter().any(|copy| model.facts.is_ambiguous(copy.delivery));
        // The copy that is too large for the client may be the one at the higher QoS.
        if met.len() < 2 || own.is_empty() || is_ambiguous || model.is_too_large(ledger.session, publication) {
            continue;
        }
        let proof = match evidence.proof(publication, highest, arrival.connection) {
            Proof::Fence(at) | Proof::Time(at) => at,
            Proof::Missing(_) => continue,
        };
        highest_qos(publication, &own, highest, proof, findings);
        if arrival.connection.protocol() == Protocol::V5 {
            all_identifiers(publication, &own, &met, proof, findings);
        }
    }
}

/// Further copies at a lower QoS are permitted, a lower QoS alone is not.
fn highest_qos(publication: &Publication, own: &[&Copy<'_>], highest: u8, proof: usize, findings: &mut Findings) {
    let reached = own.iter().map(|copy| copy.delivery.publish.qos).max().unwrap_or(0);
    // A copy whose QoS is wrong for its slot is a finding already.
    let is_right = |copy: &&Copy<'_>| {
        let slot = copy.slot.as_ref();
        slot.is_some_and(|slot| slot.qos_bits(copy.delivery) & 1 << copy.delivery.publish.qos != 0)
    };
    if reached < highest && own.iter().all(is_right) {
        let events = [publication.at(), own[0].delivery.place.at, proof];
        let finding = findings.broken(rules::OVERLAP_AT_THE_HIGHEST_QOS, own[0].connection.protocol()).at(events);
        let expected = format!("{NAMES} at QoS {highest}, the highest of its subscriptions");
        finding.about(publication.message).expected(expected).observed(format!("QoS {reached}"));
    }
}

/// A single copy carries the identifiers of all subscriptions (5.0 MQTT-3.3.4-4).
fn all_identifiers(
    publication: &Publication,
    own: &[&Copy<'_>],
    met: &[InForce<'_>],
    proof: usize,
    findings: &mut Findings,
) {
    let Some(ids) = identifiers_that_lack(publication, own, met) else { return };
    let events = [publication.at(), own[0].delivery.place.at, proof];
    let finding = findings.broken(rules::ONE_COPY_CARRIES_ALL_IDENTIFIERS, Protocol::V5).at(events);
    let expected = format!("{NAMES} with the Subscription Identifiers {ids:?}");
    let carried = &own[0].delivery.publish.properties.subscription_ids;
    finding.about(publication.message).expected(expected).observed(format!("{carried:?}"));
}

/// The identifiers that a single copy should carry, if some of them are not there and no other copy carries them.
fn identifiers_that_lack(publication: &Publication, own: &[&Copy<'_>], met: &[InForce<'_>]) -> Option<Vec<u32>> {
    let [copy] = own else { return None };
    let is_single = copy.slot.as_ref().is_some_and(|slot| matches!(slot.way, Way::Forward { .. }));
    // A further copy at QoS 0 may have been dropped, and its identifier with it.
    let certain = met.iter().filter(|filter| filter.versions.len() == 1 && filter.later.is_empty());
    let owed = certain.filter(|filter| filter.least_qos(publication.qos) > 0);
    let ids: BTreeSet<u32> = owed.filter_map(|filter| filter.versions[0].subscribing.subscription_id).collect();
    let carried = &copy.delivery.publish.properties.subscription_ids;
    let lacks = is_single && !ids.iter().all(|id| carried.contains(id)) && !carried.is_empty();
    lacks.then(|| ids.into_iter().collect())
}

/// A will came in one copy with the identifier of one of its subscriptions, or at the QoS of a lower one: copies for the others may
/// still come. Other messages have a fence behind them.
pub fn is_open(evidence: &Evidence<'_, '_>) -> bool {
    let (model, ledger) = (evidence.model, evidence.ledger);
    model.facts.publications.iter().filter(|publication| publication.is_will()).any(|will| {
        let (own, met) = (forwards(ledger, will), model.met(ledger.session, will));
        let highest = met.iter().map(|filter| filter.least_qos(will.qos)).max();
        let reached = own.iter().map(|copy| copy.delivery.publish.qos).max();
        reached.is_some() && reached < highest || identifiers_that_lack(will, &own, &met).is_some()
    })
}

/// The copies of a message that came because subscriptions were in force, each when it was sent first.
fn forwards<'l, 'a>(ledger: &'l Ledger<'a>, publication: &Publication) -> Vec<&'l Copy<'a>> {
    let is_own = |copy: &&Copy<'_>| copy.is_first && copy.is_forward() && std::ptr::eq(copy.publication, publication);
    ledger.copies.iter().filter(is_own).collect()
}
