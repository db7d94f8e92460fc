//! The retained messages that each SUBSCRIBE finds, and those of them that did not come.

use super::{Publication, reasons};
use crate::judge::deliveries::Copy;
use crate::judge::facts::{Connection, Subscribing};
use crate::judge::finding::{ATTEMPTS_FOR_AN_ABSENCE, Findings};
use crate::judge::model::{Asks, Model, Retained};
use crate::judge::proof::Evidence;
use crate::judge::rules::{self, Rule};
use crate::judge::session::{Session, Subscription};
use crate::judge::slots::Way;
use crate::results::Verdict;

/// A SUBSCRIBE that finds a topic which may hold a retained message.
pub struct Ask<'a> {
    pub connection: &'a Connection,
    pub subscribing: &'a Subscribing,
    pub asks: Asks,
    pub found: Retained<'a>,
}

/// All that the SUBSCRIBEs of a session may find.
pub fn asks<'a>(model: &Model<'a>, session: &Session<'a>) -> Vec<Ask<'a>> {
    let mut all = Vec::new();
    for connection in &session.connections {
        for subscribing in connection.subscribes.iter().filter(|own| own.granted().is_some() && !own.is_shared()) {
            for topic in model.retained_topics(&subscribing.filter.filter) {
                let found = model.retained(topic, subscribing, connection);
                if !found.candidates.is_empty() {
                    all.push(Ask { connection, subscribing, asks: model.asks(session, subscribing), found });
                }
            }
        }
    }
    all
}

impl<'a> Ask<'a> {
    /// The standard orders that a copy comes because of the SUBSCRIBE.
    pub fn is_owed(&self, evidence: &Evidence<'_, 'a>) -> bool {
        let session = evidence.ledger.session;
        let own = |p: &&Publication| *p.publisher_id == *session.id && self.subscribing.filter.no_local;
        // What an UNSUBSCRIBE overtakes need not come any more (MQTT-3.10.4-2).
        let is_this = |own: &&Subscription<'_>| std::ptr::eq(own.subscribing, self.subscribing);
        let end = session.subscriptions.iter().find(is_this).and_then(|own| own.end);
        self.asks == Asks::Yes
            && !self.found.none
            && !end.is_some_and(|end| end.by_unsubscribe && self.may_be_overtaken(evidence, end.sent.at))
            && !self.found.candidates.iter().any(|p| own(p) || evidence.model.is_too_large(session, p))
    }

    /// An UNSUBSCRIBE at this entry was sent before enough time had passed to say that the copy does not come.
    fn may_be_overtaken(&self, evidence: &Evidence<'_, 'a>, unsubscribed: usize) -> bool {
        let had_passed = || self.connection.settled.iter().any(|settled| *settled < unsubscribed);
        !(self.time_has_passed(evidence) && had_passed())
    }

    /// The copy that came because of the SUBSCRIBE.
    pub fn arrival<'e>(&self, evidence: &'e Evidence<'_, 'a>) -> Option<&'e Copy<'a>> {
        evidence.ledger.copies.iter().find(|copy| match copy.slot.as_ref().map(|slot| slot.way) {
            Some(Way::Retained { subscribing, .. }) => {
                std::ptr::eq(subscribing, self.subscribing) && copy.publication.topic == self.found.candidates[0].topic
            }
            _ => false,
        })
    }

    /// A copy has come that may be the one, also if it is taken for another.
    fn may_have_come(&self, evidence: &Evidence<'_, 'a>) -> bool {
        let is_this = |way: Option<Way<'a>>| match way {
            Some(Way::Retained { subscribing, .. }) => std::ptr::eq(subscribing, self.subscribing),
            _ => false,
        };
        let of_topic = |copy: &&Copy<'a>| copy.publication.topic == self.found.candidates[0].topic;
        evidence.ledger.copies.iter().filter(of_topic).any(|copy| copy.ways().any(is_this))
    }

    /// The message that is named in its place: the last that may be the one.
    pub fn last(&self) -> &'a Publication {
        self.found.candidates[self.found.candidates.len() - 1]
    }

    /// Enough time has passed on the connection to say that nothing comes.
    pub fn time_has_passed(&self, evidence: &Evidence<'_, 'a>) -> bool {
        evidence.time_has_passed_on(self.connection, self.subscribing.sent.at)
    }

    /// The rule that a missing copy breaks.
    pub fn rule(&self, evidence: &Evidence<'_, 'a>) -> Rule {
        if self.subscribing.filter.retain_handling == 1 {
            return rules::RETAIN_HANDLING_1;
        }
        let lost = self.last();
        if reasons::is_behind_a_too_large_one(evidence, lost) {
            return rules::BEHIND_A_TOO_LARGE_MESSAGE;
        }
        if lost.is_will() {
            return rules::WILL_RETAIN_1;
        }
        if was_lost_with_a_plain_message(evidence.model, lost, self.subscribing) {
            return rules::RETAIN_0_IS_NOT_STORED;
        }
        if was_lost_with_its_publisher(evidence.model, lost, self.subscribing) {
            return rules::RETAINED_OUTLIVES_THE_SESSION;
        }
        match evidence.ledger.session.had_subscription(self.subscribing) {
            Some(true) => rules::REPLACING_LOSES_NOTHING,
            _ => rules::RETAINED_TO_A_SUBSCRIPTION,
        }
    }
}

pub fn check(evidence: &Evidence<'_, '_>, findings: &mut Findings) {
    let asks = asks(evidence.model, evidence.ledger.session);
    for ask in &asks {
        let came = ask.arrival(evidence);
        let passed = ask.time_has_passed(evidence);
        if ask.asks == Asks::Yes && ask.last().qos == 0 && ask.found.candidates.len() == 1 && (came.is_some() || passed)
        {
            findings.choice("retained_qos0", if came.is_some() { "kept" } else { "gone" });
        }
        match came {
            Some(copy) => order(evidence, copy, ask, findings),
            None if !ask.is_owed(evidence)
                || ask.may_have_come(evidence)
                || may_have_vanished(evidence, ask, &asks) => {}
            None if passed => lost(evidence, ask, findings),
            // A client that goes away at once, or withholds its acknowledgements, may miss what was sent to it.
            None if ask.connection.end.is_some() || ask.connection.deliveries.iter().any(|d| !d.is_complete()) => {}
            None if !findings.limits.is_empty() => {}
            None => {
                let reason = format!("the retained copy of {} did not come, and no fence", ask.last().message);
                findings.limit(Verdict::Inconclusive, reason);
            }
        }
    }
}

/// At QoS 0 a copy may vanish on its way. Where others came because of the same SUBSCRIBE, or the broker is seen to lose messages at
/// QoS 0, nothing shows that it had no retained message.
fn may_have_vanished(evidence: &Evidence<'_, '_>, ask: &Ask<'_>, asks: &[Ask<'_>]) -> bool {
    let of_same = |other: &&Ask<'_>| std::ptr::eq(other.subscribing, ask.subscribing);
    ask.subscribing.granted() == Some(0)
        && (asks.iter().filter(of_same).any(|other| other.arrival(evidence).is_some())
            || loses_at_qos_0(evidence.model))
}

/// A fence or a loop-back did not come to a client that was there and had subscribed to its topic at QoS 0.
fn loses_at_qos_0(model: &Model<'_>) -> bool {
    let controls = model.facts.publications.iter().filter(|p| !p.is_of_experiment() && !p.is_will());
    controls.filter(|control| control.accepted.is_some()).any(|control| {
        model.sessions.iter().any(|session| {
            let is_due_at_0 =
                model.is_away(session, control) == Some(false) && model.owed_qos(session, control).is_none();
            let mut deliveries = session.connections.iter().flat_map(|connection| &connection.deliveries);
            is_due_at_0
                && !model.is_too_large(session, control)
                && !deliveries.any(|delivery| delivery.message == Some(control.message))
        })
    })
}

/// Some retained copy that is owed, or may come, is not here yet.
pub fn is_open(evidence: &Evidence<'_, '_>) -> bool {
    asks(evidence.model, evidence.ledger.session)
        .iter()
        .any(|ask| ask.is_owed(evidence) && ask.arrival(evidence).is_none())
}

fn lost(evidence: &Evidence<'_, '_>, ask: &Ask<'_>, findings: &mut Findings) {
    let message = ask.last().message;
    let finding =
        findings.broken(ask.rule(evidence), ask.connection.protocol()).after_attempts(ATTEMPTS_FOR_AN_ABSENCE);
    let events = [ask.last().at(), ask.subscribing.sent.at].into_iter().chain(evidence.last_settled());
    let expected = format!("the retained message {message} because of the SUBSCRIBE");
    finding.at(events).expected(expected).observed("no retained message");
}

/// A message with RETAIN 0 was published to the topic, and nobody found the retained one afterwards although somebody had before.
fn was_lost_with_a_plain_message(model: &Model<'_>, lost: &Publication, subscribing: &Subscribing) -> bool {
    let is_plain = |p: &&Publication| !p.retain && p.is_of_experiment() && p.topic == lost.topic && p.at() > lost.at();
    let mut plain = model.facts.publications.iter().filter(is_plain).filter_map(|p| p.sent());
    let Some(plain) = plain.find(|sent| sent.step < subscribing.sent.step) else { return false };
    found_in(model, lost).iter().all(|step| *step <= plain.step)
}

/// The steps in which anybody found the retained message.
fn found_in(model: &Model<'_>, lost: &Publication) -> Vec<usize> {
    let deliveries = model.facts.connections.iter().flat_map(|connection| &connection.deliveries);
    let copies = deliveries.filter(|delivery| delivery.publish.retain && delivery.message == Some(lost.message));
    copies.map(|delivery| delivery.place.step).collect()
}

/// Somebody found it before the session of its publisher ended, and nobody afterwards.
fn was_lost_with_its_publisher(model: &Model<'_>, lost: &Publication, subscribing: &Subscribing) -> bool {
    let own = model.facts.connections_of(&lost.publisher);
    let own = own.filter(|c| c.opened.at < lost.at() && !c.session_persists());
    let ended = own.last().map(Connection::ended_in).filter(|step| *step < subscribing.sent.step);
    let Some(ended) = ended else { return false };
    let found = found_in(model, lost);
    !found.is_empty() && found.iter().all(|step| *step <= ended)
}

/// No statement orders a copy sent because of a SUBSCRIBE among the others.
fn order(evidence: &Evidence<'_, '_>, retained: &Copy<'_>, ask: &Ask<'_>, findings: &mut Findings) {
    let session = evidence.ledger.session;
    let here = |copy: &&Copy<'_>| copy.connection.index == retained.connection.index;
    let is_fence = |copy: &&Copy<'_>| matches!(copy.publication.message, crate::history::Message::Fence(_));
    // A fence that was sent before the SUBACK had come may have been with the broker before the SUBSCRIBE.
    let was_asked_before = |fence: &Copy<'_>| {
        let asked = ask.subscribing.suback.map(|(suback, _)| suback.step);
        asked.zip(fence.publication.sent()).is_some_and(|(asked, sent)| asked < sent.step)
    };
    let overtook = |fence: &Copy<'_>| was_asked_before(fence) && fence.delivery.place.at < retained.delivery.place.at;
    if evidence.ledger.copies.iter().filter(here).filter(is_fence).any(overtook) {
        findings.choice("retained_copy_order", "after_fence");
        return;
    }
    let queued =
        |copy: &&Copy<'_>| copy.is_forward() && evidence.model.is_away(session, copy.publication) == Some(true);
    let last = evidence.ledger.copies.iter().filter(here).filter(queued).map(|copy| copy.delivery.place.at).max();
    match last {
        Some(queued) if queued > retained.delivery.place.at => findings.choice("retained_copy_order", "before_queue"),
        Some(_) => findings.choice("retained_copy_order", "after_queue"),
        None => {}
    }
}
