//! Why messages are missing: the rule that explains a loss best.

use super::Publication;
use crate::judge::proof::Evidence;
use crate::judge::rules::{self, Rule};
use crate::judge::session::Session;
use crate::topic;

/// The rule that explains a loss best; without any sign of a certain one the usual.
pub fn rule_of_loss(evidence: &Evidence<'_, '_>, lost: &[&Publication], usual: Rule) -> Rule {
    let first = lost[0];
    if lost.iter().all(|publication| publication.is_clearing()) {
        return rules::AN_EMPTY_MESSAGE_IS_FORWARDED;
    }
    if is_behind_a_too_large_one(evidence, first) {
        return rules::BEHIND_A_TOO_LARGE_MESSAGE;
    }
    if identifiers_explain(evidence, first) {
        return match first.qos {
            1 => rules::AN_IDENTIFIER_IS_NEW_AFTER_PUBACK,
            _ => rules::AN_IDENTIFIER_IS_NEW_AFTER_PUBCOMP,
        };
    }
    if was_taken_for_an_old_one(evidence, first) {
        return rules::A_DISCARDED_SESSION_IS_NOT_USED;
    }
    if unsubscribed_another(evidence, first) {
        return rules::UNSUBSCRIBE_DELETES;
    }
    if was_replaced_since(evidence, first) { rules::REPLACING_LOSES_NOTHING } else { usual }
}

/// Nothing of its source has come since a message that is too large for the client, from whomever (5.0 MQTT-3.1.2-25).
pub fn is_behind_a_too_large_one(evidence: &Evidence<'_, '_>, lost: &Publication) -> bool {
    let session = evidence.ledger.session;
    if session.connections.iter().all(|connection| connection.connect.maximum_packet_size.is_none()) {
        return false;
    }
    let is_earlier = |p: &&Publication| p.sent().is_some_and(|sent| sent.at < lost.at()) && p.accepted.is_some();
    let has_met = |p: &Publication| {
        evidence.model.span(p).is_some_and(|span| {
            let mut shared = session.shares(&p.topic);
            !session.in_force(p, span).is_empty() || shared.any(|own| session.shares_in(own, span).1)
        })
    };
    let mut before = evidence.model.facts.publications.iter().filter(is_earlier);
    before.any(|p| evidence.model.is_too_large(session, p) && has_met(p) && !came_after(evidence, lost, p.at()))
}

/// All that is lost of this source has a Packet Identifier that was used before, and nothing that came has.
fn identifiers_explain(evidence: &Evidence<'_, '_>, lost: &Publication) -> bool {
    if !lost.reuses_id {
        return false;
    }
    let of_source = |p: &&Publication| p.is_of_same_source(lost) && p.accepted.is_some();
    let own: Vec<&Publication> = evidence.model.facts.publications.iter().filter(of_source).collect();
    // A message that was taken for a repetition went nowhere, so the witness lacks it too.
    let fits = |p: &&Publication| p.reuses_id != evidence.has_come(p) && (!p.reuses_id || p.witnessed.is_none());
    // Only those that the witness would have got prove that.
    own.iter().all(fits) && own.iter().any(|p| p.reuses_id && p.is_of_experiment())
}

/// It has the Packet Identifier of a message that a discarded session of its publisher left unfinished, and went nowhere.
fn was_taken_for_an_old_one(evidence: &Evidence<'_, '_>, lost: &Publication) -> bool {
    if lost.qos != 2 || lost.witnessed.is_some() {
        return false;
    }
    let facts = evidence.model.facts;
    let unfinished = |p: &&Publication| {
        p.publisher_id == lost.publisher_id
            && p.id == lost.id
            && p.at() < lost.at()
            && p.accepted.is_none()
            && p.qos > 0
    };
    let between = |p: &Publication| {
        let mut later = facts.connections.iter().filter(|c| c.id == lost.publisher_id && c.connect.clean);
        later.any(|connection| (p.at()..lost.at()).contains(&connection.opened.at))
    };
    facts.publications.iter().filter(unfinished).any(between)
}

/// An UNSUBSCRIBE named another filter that matches the topic too, or was taken to.
fn unsubscribed_another(evidence: &Evidence<'_, '_>, lost: &Publication) -> bool {
    let session = evidence.ledger.session;
    let met = evidence.model.met(session, lost);
    let step = lost.sent().map_or(0, |sent| sent.step);
    let mut unsubscribes = session.connections.iter().flat_map(|connection| &connection.unsubscribes);
    unsubscribes.any(|unsubscribing| {
        unsubscribing.sent.step < step
            && !came_after(evidence, lost, unsubscribing.sent.at)
            && topic::matches(&unsubscribing.filter, &lost.topic)
            && met.iter().all(|filter| filter.filter != unsubscribing.filter)
    })
}

/// Something of the message's source that was published behind an entry has come.
fn came_after(evidence: &Evidence<'_, '_>, lost: &Publication, at: usize) -> bool {
    let later = |own: &Publication| own.is_of_same_source(lost) && own.at() > at;
    evidence.ledger.copies.iter().any(|copy| copy.is_forward() && later(copy.publication))
}

/// The subscription was replaced while the message may have been on its way, and another client, whose subscription was not, has
/// it.
fn was_replaced_since(evidence: &Evidence<'_, '_>, lost: &Publication) -> bool {
    let session = evidence.ledger.session;
    let step = lost.sent().map_or(usize::MAX, |sent| sent.step);
    let subscribes = session.connections.iter().flat_map(|connection| &connection.subscribes);
    let mut replacing = subscribes
        .filter(|own| own.matches(&lost.topic) && own.sent.step > step && session.had_subscription(own) == Some(true));
    let fenced_before = |at: usize| {
        let mut later = evidence.ledger.copies.iter().filter(|copy| lost.is_before(copy.publication));
        later.any(|copy| copy.delivery.place.at < at)
    };
    let has_it = |other: &Session<'_>| {
        other.id != session.id && other.deliveries().any(|(_, delivery)| delivery.message == Some(lost.message))
    };
    replacing.any(|own| !fenced_before(own.sent.at)) && evidence.model.sessions.iter().any(has_it)
}
