//! What should have come and did not: queued messages, live ones and retained copies, each with the control that makes
//! its absence a finding.

mod limit;
mod reasons;
mod retained;

use super::deliveries::{Copy, Kind};
use super::finding::{ATTEMPTS_FOR_AN_ABSENCE, Findings, Rule, rule};
use super::session::Session;
use super::story::{Connection, Publication, Story};
use crate::history::Message;
use crate::results::Verdict;
use limit::names;
pub(super) use retained::may_be_gone;

pub const STORED_FOR_THE_SESSION: Rule = rule("MQTT-3.1.2-5", "MQTT-4.5.0-1");
pub const ADDED_TO_THE_SESSION: Rule = rule("MQTT-4.5.0-1", "MQTT-4.5.0-1");
const LASTS_AS_LONG_AS_ITS_CONNECTION: Rule = rule("MQTT-4.1.0-2", "MQTT-4.1.0-1");
const REPLACING_LOSES_NOTHING: Rule = rule("MQTT-3.8.4-3", "MQTT-3.8.4-4");

/// A Message Expiry Interval from which on no experiment lasts long enough, in seconds.
const LONG_EXPIRY_S: u32 = 3600;

/// One session with all that came to it.
pub struct Balance<'a> {
    pub story: &'a Story,
    pub session: &'a Session<'a>,
    pub copies: &'a [Copy<'a>],
    /// The queue limit that the user declared, in messages.
    pub queue_limit: Option<u32>,
}

/// How well an absence is proven.
pub(super) enum Proof<'a> {
    /// A later message of the same source has come, so what came before it in order is lost or overtaken.
    Fence(&'a Copy<'a>),
    /// Time has passed: fence topics answered, and a settle window went by with nothing.
    Time,
    /// The control that is missing, as half a sentence.
    Missing(&'static str),
}

impl<'a> Balance<'a> {
    /// The messages that were stored for the session while its client was away.
    pub fn queued(&self, findings: &mut Findings) {
        let away: Vec<&Publication> =
            self.experiment().filter(|p| self.session.relation(p).is_away() && self.back(p).is_some()).collect();
        let owed: Vec<&Publication> = away.iter().filter(|publication| self.is_owed(publication)).copied().collect();
        let lost: Vec<&Publication> = owed.iter().filter(|publication| !self.has_come(publication)).copied().collect();
        match lost.first().and_then(|first| self.back(first)) {
            None => self.subscription_lost(findings),
            Some(_) if self.is_within_queue_limit(&owed, &lost, findings) => {}
            Some(back) => self.lost(back, &owed, &lost, findings),
        }
        self.qos_0_choices(&away, findings);
    }

    /// Messages that were published while the client was there, and did not come.
    pub fn live(&self, findings: &mut Findings) {
        let online = |p: &&Publication| self.session.relation(p).online && self.is_owed(p);
        let owed: Vec<&Publication> = self.experiment().filter(online).collect();
        let lost: Vec<&Publication> = owed.iter().filter(|publication| !self.has_come(publication)).copied().collect();
        let Some(first) = lost.first() else { return };
        let connection = self.session.connections.iter().rfind(|connection| connection.opened_in <= first.step);
        // A client that withholds its acknowledgements may have no room for more.
        let Some(connection) = connection.filter(|connection| !connection.withholds()) else { return };
        let expected =
            format!("{} of {} accepted messages that {} subscribed to", owed.len(), owed.len(), connection.client);
        let observed = format!("{} missing: {}", lost.len(), names(&lost));
        let mut events = vec![first.at];
        events.extend(first.accepted);
        let protocol = connection.protocol();
        match self.proof(first, connection) {
            Proof::Fence(fence) => {
                events.push(fence.delivery.at);
                findings.broken(protocol, self.rule_of_loss(&lost, ADDED_TO_THE_SESSION), &events, expected, observed);
            }
            Proof::Time => {
                // Something came on this connection, and then nothing: the subscription went while the client was there.
                let here = |copy: &Copy<'_>| {
                    copy.connection.opened_at == connection.opened_at
                        && copy.publication.step >= connection.opened_in
                        && copy.publication.is_of_same_source(first)
                };
                let was_in_force = self.copies.iter().any(here);
                let usual = if was_in_force { LASTS_AS_LONG_AS_ITS_CONNECTION } else { ADDED_TO_THE_SESSION };
                let rule = self.rule_of_loss(&lost, usual);
                findings.broken_in(ATTEMPTS_FOR_AN_ABSENCE, protocol, rule, &events, expected, observed);
            }
            Proof::Missing(_) => {}
        }
    }

    /// The fence on the experiment's topic is a message like any other: where a subscription is in force, one of QoS 1
    /// or 2 that never comes was lost.
    fn subscription_lost(&self, findings: &mut Findings) {
        // A broker that says it has no session is found out by that.
        for connection in self.session.connections.iter().skip(1).filter(|connection| connection.session_present()) {
            let since = connection.opened_at;
            let lost = self.lost_fences().find(|fence| fence.at > since && (fence.step < connection.ended_in));
            if let Some(fence) = lost.filter(|_| self.time_has_passed(since)) {
                let mut events = vec![fence.at];
                events.extend(fence.accepted);
                findings.broken_in(
                    ATTEMPTS_FOR_AN_ABSENCE,
                    connection.protocol(),
                    self.rule_of_loss(&[fence], ADDED_TO_THE_SESSION),
                    &events,
                    format!("{}: the subscription belongs to the resumed session", fence.message),
                    "it did not come, although a message on another topic did",
                );
                return;
            }
        }
    }

    /// Accepted fences of QoS 1 or 2 on a subscription of the session that have not come.
    pub(super) fn lost_fences(&self) -> impl Iterator<Item = &'a Publication> {
        self.story.publications.iter().filter(|publication| {
            matches!(publication.message, Message::Fence(_))
                && publication.accepted.is_some()
                && self.session.relation(publication).online
                && self.effective_qos(publication) > 0
                && !self.has_come(publication)
        })
    }

    pub(super) fn experiment(&self) -> impl Iterator<Item = &'a Publication> {
        self.story.publications.iter().filter(|publication| publication.is_of_experiment())
    }

    /// The first connection of the session after the publication.
    pub(super) fn back(&self, publication: &Publication) -> Option<&'a Connection> {
        self.session.connections.iter().find(|connection| connection.opened_in > publication.step).copied()
    }

    pub(super) fn effective_qos(&self, publication: &Publication) -> u8 {
        publication.qos.min(self.session.relation(publication).granted().unwrap_or(0))
    }

    /// The standard orders that the session gets it: it is accepted, at QoS 1 or 2 for the session, not too large for
    /// the client and not about to expire.
    pub(super) fn is_owed(&self, publication: &Publication) -> bool {
        let expires = publication.properties.message_expiry.is_some_and(|seconds| seconds < LONG_EXPIRY_S);
        publication.accepted.is_some()
            && self.effective_qos(publication) > 0
            && !expires
            && !self.is_too_large(publication)
            && !self.may_have_gone_with_its_subscription(publication)
    }

    /// What is queued for a subscription may be dropped when that ends (section 3.10.4).
    fn may_have_gone_with_its_subscription(&self, publication: &Publication) -> bool {
        let mut unsubscribes = self.session.connections.iter().flat_map(|connection| &connection.unsubscribes);
        let in_force = self.session.relation(publication).subscriptions;
        unsubscribes.any(|unsubscribing| {
            let ends = in_force.iter().any(|subscription| subscription.filter.filter == unsubscribing.filter);
            unsubscribing.step > publication.step && ends
        })
    }

    /// Larger than what a client of the session takes (5.0 MQTT-3.1.2-25).
    pub(super) fn is_too_large(&self, publication: &Publication) -> bool {
        let limits = self.session.connections.iter().filter_map(|c| c.connect.maximum_packet_size);
        publication.bytes.is_some_and(|bytes| limits.min().is_some_and(|limit| bytes > limit as usize))
    }

    pub(super) fn has_come(&self, publication: &Publication) -> bool {
        self.arrival(publication).is_some()
    }

    /// The first copy that came of a publication because a subscription was in force.
    pub(super) fn arrival(&self, publication: &Publication) -> Option<&Copy<'a>> {
        // Where queued copies keep RETAIN 1, one that came after a SUBSCRIBE may be either.
        let keep_their_flag =
            self.copies.iter().any(|copy| copy.kind == Kind::Subscribed && copy.delivery.publish.retain);
        let counts = |kind| kind == Kind::Subscribed || kind == Kind::Retained && keep_their_flag;
        let is_it = |own: &Publication| match publication.message {
            // Messages of zero bytes cannot be told apart, and a late one is taken for the latest.
            Message::Clear(_) => {
                let clears = matches!(own.message, Message::Clear(_)) && own.topic == publication.topic;
                clears && own.at >= publication.at
            }
            _ => own.message == publication.message,
        };
        self.copies.iter().find(|copy| is_it(copy.publication) && counts(copy.kind))
    }

    fn lost(&self, back: &Connection, owed: &[&Publication], lost: &[&Publication], findings: &mut Findings) {
        let (first, proof) = (lost[0], self.proof(lost[0], back));
        let expected = format!(
            "{} of {} accepted messages at QoS {} that were published while {} was away",
            owed.len(),
            owed.len(),
            self.effective_qos(first),
            self.session.client
        );
        let observed = format!("{} missing: {}{}", lost.len(), names(lost), self.looks_like_a_limit(owed, lost));
        let rule = self.rule_of_loss(lost, STORED_FOR_THE_SESSION);
        let mut events = vec![first.at];
        events.extend(first.accepted);
        match proof {
            Proof::Fence(fence) => {
                events.push(fence.delivery.at);
                findings.broken(back.protocol(), rule, &events, expected, observed);
            }
            Proof::Time => {
                events.extend(self.last_settled());
                let attempts = ATTEMPTS_FOR_AN_ABSENCE;
                findings.broken_in(attempts, back.protocol(), rule, &events, expected, observed);
            }
            // To a client that withholds its acknowledgements the rest may still be to come.
            Proof::Missing(_) if self.session.connections.last().is_some_and(|last| last.withholds()) => {}
            Proof::Missing(control) => findings.limit(Verdict::Inconclusive, format!("{observed}; {control}")),
        }
    }

    pub(super) fn proof(&self, lost: &Publication, back: &Connection) -> Proof<'_> {
        let fence = self.copies.iter().find(|copy| {
            matches!(copy.publication.message, Message::Fence(_))
                && copy.publication.is_of_same_source(lost)
                && copy.publication.at > lost.at
                && copy.kind == Kind::Subscribed
        });
        match fence {
            Some(fence) => Proof::Fence(fence),
            None if !self.loop_back_came(lost) => {
                Proof::Missing("the loop-back that would show the subscription in force did not come")
            }
            None if lost.witnessed_in.is_none() && !self.identifiers_explain(lost) => {
                Proof::Missing("accepted, not seen by the witness")
            }
            None if !self.time_has_passed(back.opened_at) => Proof::Missing("no fence shows that the backlog has come"),
            None => Proof::Time,
        }
    }

    fn loop_back_came(&self, lost: &Publication) -> bool {
        self.copies.iter().any(|copy| {
            matches!(copy.publication.message, Message::LoopBack(_)) && copy.publication.is_of_same_source(lost)
        })
    }

    /// A loop-back behind a SUBSCRIBE that replaced a subscription, which ended the experiment by not coming.
    pub fn interrupted(&self, findings: &mut Findings) -> bool {
        let mut loop_backs = self.story.publications.iter().filter(|p| matches!(p.message, Message::LoopBack(_)));
        let last =
            loop_backs.rfind(|p| p.step == self.story.steps && p.accepted.is_some() && self.effective_qos(p) > 0);
        let Some(lost) = last.filter(|last| !self.has_come(last)) else { return false };
        let subscribes = self.session.connections.iter().flat_map(|connection| &connection.subscribes);
        let mut replacing = subscribes.filter(|s| s.step == lost.step && self.session.had_subscription(s));
        let Some(subscribe) = replacing.next() else { return false };
        findings.broken_in(
            ATTEMPTS_FOR_AN_ABSENCE,
            self.session.connections[0].protocol(),
            REPLACING_LOSES_NOTHING,
            &[subscribe.at, lost.at],
            format!("{} after the SUBSCRIBE with the same filter", lost.message),
            "it did not come",
        );
        true
    }

    /// On this connection a fence has answered and a settle window has passed.
    pub fn time_has_passed_on(&self, connection: &Connection) -> bool {
        self.time_has_passed_since(connection, connection.opened_at)
    }

    /// As [`Balance::time_has_passed_on`], since a place.
    pub fn time_has_passed_since(&self, connection: &Connection, place: usize) -> bool {
        let here = |copy: &&Copy<'_>| copy.connection.opened_at == connection.opened_at && copy.delivery.at > place;
        let mut copies = self.copies.iter().filter(here);
        copies.any(|copy| matches!(copy.publication.message, Message::Fence(_)))
            && connection.settled_at.iter().any(|settled| *settled > place)
    }

    /// Since `place` a fence topic has answered and a settle window has passed.
    pub fn time_has_passed(&self, place: usize) -> bool {
        let fenced = self
            .copies
            .iter()
            .any(|copy| matches!(copy.publication.message, Message::Fence(_)) && copy.delivery.at > place);
        fenced && self.has_settled(place)
    }

    /// Since `place` a settle window has passed in which nothing came.
    pub fn has_settled(&self, place: usize) -> bool {
        self.last_settled().is_some_and(|settled| settled > place)
    }

    fn last_settled(&self) -> Option<usize> {
        self.session.connections.iter().flat_map(|connection| &connection.settled_at).max().copied()
    }

    /// What the broker did with messages that have QoS 0 for the session, which it may store or not (3.1.1, section
    /// 3.1.2.4; 5.0, section 4.1).
    fn qos_0_choices(&self, away: &[&Publication], findings: &mut Findings) {
        let at_qos_0: Vec<&&Publication> =
            away.iter().filter(|p| self.effective_qos(p) == 0 && p.accepted.is_some()).collect();
        let Some(first) = at_qos_0.first() else { return };
        let granted = self.session.relation(first).granted().unwrap_or(0);
        let name = match (first.qos, granted) {
            (0, 0) => "qos0_both_while_away",
            (0, _) => "qos0_publication_while_away",
            _ => "qos0_subscription_while_away",
        };
        let came = at_qos_0.iter().filter(|publication| self.has_come(publication)).count();
        let value = match came {
            0 => "dropped",
            came if came == at_qos_0.len() => "queued",
            _ => "some",
        };
        findings.choice(name, value);
    }

    /// Something is owed that has not come yet, or something was published that did not come at all.
    pub fn is_open(&self) -> bool {
        let mut open = Findings::default();
        self.retained(&mut open);
        !open.violations.is_empty()
            || !open.limits.is_empty()
            || self.lost_fences().next().is_some()
            || self.resend_is_due()
            || self.experiment().any(|p| !self.has_come(p))
    }
}
