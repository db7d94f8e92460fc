//! The retained messages that each SUBSCRIBE finds.

use super::Balance;
use crate::history::Message;
use crate::judge::deliveries::{Copy, Kind};
use crate::judge::finding::{ATTEMPTS_FOR_AN_ABSENCE, Findings, Rule, rule};
use crate::judge::session::retained_topics;
use crate::judge::story::{Connection, Publication, Subscribing};
use crate::results::Verdict;

const RETAINED_TO_A_NEW_SUBSCRIPTION: Rule = rule("MQTT-3.3.1-6", "MQTT-3.3.1-9");
const RETAINED_AGAIN_TO_A_REPLACED_SUBSCRIPTION: Rule = rule("MQTT-3.8.4-3", "MQTT-3.8.4-4");
const RETAIN_HANDLING_1: Rule = Rule { v3: None, v5: Some("MQTT-3.3.1-10") };
const RETAIN_0_REMOVES_NOTHING: Rule = rule("MQTT-3.3.1-12", "MQTT-3.3.1-8");
const RETAINED_OUTLIVES_THE_SESSION: Rule = rule("MQTT-3.1.2-7", "MQTT-3.3.1-9");

impl<'a> Balance<'a> {
    /// The retained messages that each SUBSCRIBE finds.
    pub fn retained(&self, findings: &mut Findings) {
        for connection in &self.session.connections {
            let granted = connection.subscribes.iter().filter(|s| s.granted().is_some() && !s.is_shared());
            for subscribe in granted.filter(|subscribe| self.asks_for_retained(subscribe)) {
                for publication in retained_topics(self.story, &subscribe.filter.filter, subscribe.step) {
                    self.retained_copy(connection, subscribe, publication, findings);
                }
            }
        }
    }

    /// 5.0 MQTT-3.3.1-9 to -11; 3.1.1 knows no other way than always.
    pub(in crate::judge) fn asks_for_retained(&self, subscribe: &Subscribing) -> bool {
        match subscribe.filter.retain_handling {
            0 => true,
            1 => !self.session.had_subscription(subscribe),
            _ => false,
        }
    }

    fn retained_copy(
        &self,
        connection: &Connection,
        subscribe: &Subscribing,
        publication: &Publication,
        findings: &mut Findings,
    ) {
        let came = self.retained_arrival(connection, subscribe, publication);
        // A retained message of QoS 0 may be discarded at any time (section 3.3.1.3).
        if publication.qos == 0 && (came.is_some() || self.time_has_passed_since(connection, subscribe.at)) {
            findings.choice("retained_qos0", if came.is_some() { "kept" } else { "gone" });
        }
        // One that is too large does not come.
        match came {
            Some(copy) => self.retained_copy_order(copy, subscribe, findings),
            None if may_be_gone(publication) || self.is_too_large(publication) => {}
            // A client that withholds its acknowledgements may have no room for more.
            None if connection.withholds() => {}
            // A client that goes away at once may miss what was sent to it.
            None if !self.time_has_passed_since(connection, subscribe.at) && connection.ended_in < usize::MAX => {}
            None if !self.time_has_passed_since(connection, subscribe.at) => {
                let reason = format!("the retained copy of {} did not come, and no fence", publication.message);
                findings.limit(Verdict::Inconclusive, reason);
            }
            None => self.retained_lost(connection, subscribe, publication, findings),
        }
    }

    /// The copy that came because of this SUBSCRIBE.
    pub(in crate::judge) fn retained_arrival(
        &self,
        connection: &Connection,
        subscribe: &Subscribing,
        publication: &Publication,
    ) -> Option<&Copy<'a>> {
        self.copies.iter().find(|copy| {
            copy.kind == Kind::Retained
                && copy.publication.message == publication.message
                && copy.connection.opened_at == connection.opened_at
                && copy.delivery.at > subscribe.at
        })
    }

    fn retained_lost(
        &self,
        connection: &Connection,
        subscribe: &Subscribing,
        publication: &Publication,
        findings: &mut Findings,
    ) {
        let mut events = vec![publication.at, subscribe.at];
        events.extend(self.last_settled());
        findings.broken_in(
            ATTEMPTS_FOR_AN_ABSENCE,
            connection.protocol(),
            self.rule_of_retained_loss(subscribe, publication),
            &events,
            format!("the retained message {} because of the SUBSCRIBE", publication.message),
            "no retained message",
        );
    }

    pub(in crate::judge) fn rule_of_retained_loss(&self, subscribe: &Subscribing, publication: &Publication) -> Rule {
        if subscribe.filter.retain_handling == 1 {
            return RETAIN_HANDLING_1;
        }
        if self.was_lost_with_a_plain_message(publication, subscribe) {
            return RETAIN_0_REMOVES_NOTHING;
        }
        if self.was_lost_with_publisher(publication, subscribe) {
            return RETAINED_OUTLIVES_THE_SESSION;
        }
        match self.session.had_subscription(subscribe) {
            true => RETAINED_AGAIN_TO_A_REPLACED_SUBSCRIPTION,
            false => RETAINED_TO_A_NEW_SUBSCRIPTION,
        }
    }

    /// A message with RETAIN 0 was published to the topic, and nobody found the retained one afterwards.
    fn was_lost_with_a_plain_message(&self, publication: &Publication, subscribe: &Subscribing) -> bool {
        let plain = self.story.publications.iter().find(|p| {
            let is_plain = !p.retain && matches!(p.message, Message::Experiment(_));
            is_plain && p.topic == publication.topic && p.at > publication.at && p.step < subscribe.step
        });
        plain.is_some_and(|plain| self.steps_of_retained(publication).iter().all(|step| *step <= plain.step))
    }

    /// The steps in which anybody found the retained message.
    fn steps_of_retained(&self, publication: &Publication) -> Vec<usize> {
        let deliveries = self.story.connections.iter().flat_map(|connection| &connection.deliveries);
        let copies = deliveries.filter(|d| d.publish.retain && d.message == Some(publication.message));
        copies.map(|delivery| delivery.step).collect()
    }

    /// Somebody found it before the session of its publisher ended, and nobody afterwards.
    fn was_lost_with_publisher(&self, publication: &Publication, subscribe: &Subscribing) -> bool {
        let own = self.story.connections_of(&publication.publisher);
        let own = own.filter(|c| c.opened_at < publication.at && !c.session_persists());
        let Some(left_in) = own.last().map(|c| c.ended_in).filter(|step| *step < subscribe.step) else {
            return false;
        };
        let steps = self.steps_of_retained(publication);
        steps.iter().any(|step| *step <= left_in) && steps.iter().all(|step| *step <= left_in)
    }

    /// No statement orders a copy sent because of a SUBSCRIBE among the others.
    fn retained_copy_order(&self, retained: &Copy<'_>, subscribe: &Subscribing, findings: &mut Findings) {
        let is_away = |copy: &Copy<'_>| self.session.relation(copy.publication).is_away();
        let here = |copy: &Copy<'_>| copy.connection.opened_at == retained.connection.opened_at;
        let queued = |copy: &&Copy<'_>| copy.kind == Kind::Subscribed && is_away(copy) && here(copy);
        let fenced = self.copies.iter().any(|copy| {
            matches!(copy.publication.message, Message::Fence(_))
                && copy.delivery.at > subscribe.at
                && copy.delivery.at < retained.delivery.at
        });
        let last_queued = self.copies.iter().filter(queued).map(|copy| copy.delivery.at).max();
        match last_queued {
            _ if fenced => findings.choice("retained_copy_order", "after_fence"),
            Some(queued) if queued > retained.delivery.at => findings.choice("retained_copy_order", "before_queue"),
            Some(_) => findings.choice("retained_copy_order", "after_queue"),
            None => {}
        }
    }
}

/// A retained message of QoS 0 may be discarded at any time (section 3.3.1.3), and one of a short life may be gone too.
pub(in crate::judge) fn may_be_gone(publication: &Publication) -> bool {
    publication.qos == 0 || publication.properties.message_expiry.is_some()
}
