//! Why messages are missing: the statement that explains a loss best.

use super::{Balance, REPLACING_LOSES_NOTHING};
use crate::history::Message;
use crate::judge::deliveries::kind::A_DISCARDED_SESSION_IS_NOT_USED;
use crate::judge::deliveries::{Copy, Kind};
use crate::judge::finding::{Rule, rule};
use crate::judge::story::{Publication, Subscribing};
use crate::topic;

const BEHIND_A_TOO_LARGE_MESSAGE: Rule = Rule { v3: None, v5: Some("MQTT-3.1.2-25") };
const AN_EMPTY_MESSAGE_IS_FORWARDED: Rule = rule("MQTT-3.3.1-10", "MQTT-3.3.1-6");
const UNSUBSCRIBE_BY_CHARACTER: Rule = rule("MQTT-3.10.4-1", "MQTT-3.10.4-1");
const AN_IDENTIFIER_IS_NEW_AFTER_PUBACK: Rule = rule("MQTT-4.3.2-2", "MQTT-4.3.2-5");
const AN_IDENTIFIER_IS_NEW_AFTER_PUBCOMP: Rule = rule("MQTT-4.3.3-2", "MQTT-4.3.3-12");

impl Balance<'_> {
    /// The rule that explains a loss best; without any sign of a certain one the usual.
    pub(super) fn rule_of_loss(&self, lost: &[&Publication], usual: Rule) -> Rule {
        let first = lost[0];
        let of_cell = |p: &&Publication| p.is_of_same_source(first) && p.accepted.is_some();
        let before = |p: &Publication| p.at < first.at;
        if lost.iter().all(|p| matches!(p.message, Message::Clear(_))) {
            return AN_EMPTY_MESSAGE_IS_FORWARDED;
        }
        let stuck = |p: &Publication| before(p) && self.is_too_large(p) && !self.came_after(first, p.at);
        if self.story.publications.iter().filter(of_cell).any(stuck) {
            return BEHIND_A_TOO_LARGE_MESSAGE;
        }
        if self.identifiers_explain(first) {
            return if first.qos == 1 { AN_IDENTIFIER_IS_NEW_AFTER_PUBACK } else { AN_IDENTIFIER_IS_NEW_AFTER_PUBCOMP };
        }
        if self.taken_for_an_old_one(first) {
            return A_DISCARDED_SESSION_IS_NOT_USED;
        }
        if self.unsubscribed_another(first) {
            return UNSUBSCRIBE_BY_CHARACTER;
        }
        if self.replaced_since(first) { REPLACING_LOSES_NOTHING } else { usual }
    }

    /// All that is lost of this source has a Packet Identifier that was used before, and nothing that came has.
    pub(super) fn identifiers_explain(&self, lost: &Publication) -> bool {
        let of_source = |p: &&Publication| p.is_of_same_source(lost) && p.accepted.is_some();
        let mut own = self.story.publications.iter().filter(of_source).peekable();
        // What was taken for a repetition went nowhere, so the witness lacks it too.
        let fits_one = |p: &Publication| p.reuses_id != self.has_come(p) && (!p.reuses_id || p.witnessed_in.is_none());
        let fits = own.peek().is_some() && own.all(fits_one);
        // Only what the witness would have got proves that.
        let is_proof = |p: &Publication| p.reuses_id && p.is_of_experiment();
        fits && self.story.publications.iter().filter(of_source).any(is_proof)
    }

    /// It has the Packet Identifier of a message that a discarded session of its publisher left unfinished, and went
    /// nowhere.
    fn taken_for_an_old_one(&self, lost: &Publication) -> bool {
        let unfinished = |p: &&Publication| {
            p.publisher_id == lost.publisher_id && p.id == lost.id && p.at < lost.at && p.accepted.is_none()
        };
        let between = |p: &Publication| {
            let mut later = self.story.connections.iter().filter(|c| c.id == lost.publisher_id && c.connect.clean);
            later.any(|connection| (p.at..lost.at).contains(&connection.opened_at))
        };
        let mut old = self.story.publications.iter().filter(unfinished);
        lost.qos == 2 && lost.witnessed_in.is_none() && old.any(between)
    }

    /// An UNSUBSCRIBE named another filter that matches the topic too.
    fn unsubscribed_another(&self, lost: &Publication) -> bool {
        let in_force: Vec<&Subscribing> = self.session.relation(lost).subscriptions;
        let mut unsubscribes = self.session.connections.iter().flat_map(|connection| &connection.unsubscribes);
        unsubscribes.any(|unsubscribing| {
            unsubscribing.step < lost.step
                && !self.came_after(lost, unsubscribing.at)
                && topic::matches(&unsubscribing.filter, &lost.topic)
                && in_force.iter().all(|subscription| subscription.filter.filter != unsubscribing.filter)
        })
    }

    /// Something of the message's source that was published after a place has come.
    fn came_after(&self, lost: &Publication, place: usize) -> bool {
        let later = |copy: &&Copy<'_>| copy.publication.is_of_same_source(lost) && copy.publication.at > place;
        self.copies.iter().any(|copy| copy.kind == Kind::Subscribed && later(&copy))
    }

    /// The subscription was replaced while the message may have been on its way, and another client, whose subscription
    /// was not, has it.
    fn replaced_since(&self, lost: &Publication) -> bool {
        let subscribes = self.session.connections.iter().flat_map(|connection| &connection.subscribes);
        let mut replacing = subscribes.filter(|subscribe| {
            subscribe.matches(&lost.topic) && subscribe.step > lost.step && self.session.had_subscription(subscribe)
        });
        let fenced_before = |subscribe: &Subscribing| {
            let later = |copy: &&Copy<'_>| copy.publication.is_of_same_source(lost) && copy.publication.at > lost.at;
            self.copies.iter().filter(later).any(|copy| copy.delivery.at < subscribe.at)
        };
        let others = self.story.connections.iter().filter(|connection| connection.id != self.session.id);
        let mut deliveries = others.flat_map(|connection| &connection.deliveries);
        replacing.any(|subscribe| !fenced_before(subscribe))
            && deliveries.any(|delivery| delivery.message == Some(lost.message))
    }
}
