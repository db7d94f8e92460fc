//! What should have come and did not: queued messages and retained copies, each with the control that makes its absence
//! a finding.

use super::deliveries::{Copy, Kind};
use super::finding::{ATTEMPTS_FOR_AN_ABSENCE, Findings, Rule, rule};
use super::session::{Relation, Session, retained};
use super::story::{Connection, Publication, Story, Subscribing};
use crate::history::Message;
use crate::results::Verdict;

const STORED_FOR_THE_SESSION: Rule = rule("MQTT-3.1.2-5", "MQTT-4.5.0-1");
const SUBSCRIPTION_IN_FORCE: Rule = rule("MQTT-4.5.0-1", "MQTT-4.5.0-1");
const RETAINED_TO_A_NEW_SUBSCRIPTION: Rule = rule("MQTT-3.3.1-6", "MQTT-3.3.1-9");
const RETAINED_AGAIN_TO_A_REPLACED_SUBSCRIPTION: Rule = rule("MQTT-3.8.4-3", "MQTT-3.8.4-4");

/// One session with all that came to it.
pub struct Balance<'a> {
    pub story: &'a Story,
    pub session: &'a Session<'a>,
    pub copies: &'a [Copy<'a>],
    /// The queue limit that the user declared, in messages.
    pub queue_limit: Option<u32>,
}

/// How well an absence is proven.
enum Proof<'a> {
    /// A later message of the same source has come, so what came before it in order is lost or overtaken.
    Fence(&'a Copy<'a>),
    /// Time has passed: fence topics answered, and a settle window went by with nothing.
    Time,
    /// The control that is missing, as half a sentence.
    Missing(&'static str),
}

impl Balance<'_> {
    /// The messages that were stored for the session while its client was away.
    pub fn queued(&self, findings: &mut Findings) {
        let Some(back) = self.session.connections.get(1) else { return };
        let away: Vec<&Publication> = self.experiment().filter(|p| self.is_away(p)).collect();
        let owed = |publication: &&&Publication| self.effective_qos(publication) > 0 && publication.accepted.is_some();
        let owed: Vec<&Publication> = away.iter().filter(owed).copied().collect();
        let lost: Vec<&Publication> = owed.iter().filter(|publication| !self.has_come(publication)).copied().collect();
        if lost.is_empty() {
            self.subscription_lost(back, findings);
        } else if !self.is_within_queue_limit(&owed, &lost, findings) {
            self.lost(back, &owed, &lost, findings);
        }
        self.qos_0_choices(&away, findings);
    }

    /// The fence on the experiment's topic is a message like any other: where a subscription is in force, one of QoS 1
    /// or 2 that never comes was lost.
    fn subscription_lost(&self, back: &Connection, findings: &mut Findings) {
        // A broker that says it has no session is found out by that.
        let resumed = |c: &&&Connection| c.connack.as_ref().is_some_and(|(_, connack)| connack.session_present);
        for connection in self.session.connections.iter().skip(1).filter(resumed) {
            let since = connection.opened_at;
            let lost = self.lost_fences().find(|fence| fence.at > since && (fence.step < connection.ended_in));
            if let Some(fence) = lost.filter(|_| self.time_has_passed(since)) {
                let mut events = vec![fence.at];
                events.extend(fence.accepted);
                findings.broken_in(
                    ATTEMPTS_FOR_AN_ABSENCE,
                    back.protocol(),
                    SUBSCRIPTION_IN_FORCE,
                    &events,
                    format!("{}: the subscription belongs to the resumed session", fence.message),
                    "it did not come, although a message on another topic did",
                );
                return;
            }
        }
    }

    /// Accepted fences of QoS 1 or 2 on a subscription of the session that have not come.
    fn lost_fences(&self) -> impl Iterator<Item = &Publication> {
        self.story.publications.iter().filter(|publication| {
            matches!(publication.message, Message::Fence(_))
                && publication.accepted.is_some()
                && matches!(self.session.relation(publication), Relation::Online(_))
                && self.effective_qos(publication) > 0
                && !self.has_come(publication)
        })
    }

    fn experiment(&self) -> impl Iterator<Item = &Publication> {
        self.story.publications.iter().filter(|publication| matches!(publication.message, Message::Experiment(_)))
    }

    fn is_away(&self, publication: &Publication) -> bool {
        matches!(self.session.relation(publication), Relation::Away(_))
    }

    fn effective_qos(&self, publication: &Publication) -> u8 {
        let subscription = self.session.relation(publication).subscription();
        publication.qos.min(subscription.and_then(Subscribing::granted).unwrap_or(0))
    }

    fn has_come(&self, publication: &Publication) -> bool {
        // Where queued copies keep RETAIN 1, one that came after a SUBSCRIBE may be either.
        let keep_their_flag =
            self.copies.iter().any(|copy| copy.kind == Kind::Subscribed && copy.delivery.publish.retain);
        let counts = |kind| kind == Kind::Subscribed || kind == Kind::Retained && keep_their_flag;
        self.copies.iter().any(|copy| copy.publication.message == publication.message && counts(copy.kind))
    }

    fn lost(&self, back: &Connection, owed: &[&Publication], lost: &[&Publication], findings: &mut Findings) {
        let (first, proof) = (lost[0], self.proof(lost[0], back));
        let names = names(lost);
        let expected = format!(
            "{} of {} accepted messages at QoS {} that were published while {} was away",
            owed.len(),
            owed.len(),
            self.effective_qos(first),
            self.session.client
        );
        let observed = format!("{} missing: {names}{}", lost.len(), self.looks_like_a_limit(owed, lost));
        let mut events = vec![first.at];
        events.extend(first.accepted);
        match proof {
            Proof::Fence(fence) => {
                events.push(fence.delivery.at);
                findings.broken(back.protocol(), STORED_FOR_THE_SESSION, &events, expected, observed);
            }
            Proof::Time => {
                events.extend(self.last_settled());
                let attempts = ATTEMPTS_FOR_AN_ABSENCE;
                findings.broken_in(attempts, back.protocol(), STORED_FOR_THE_SESSION, &events, expected, observed);
            }
            Proof::Missing(control) => findings.limit(Verdict::Inconclusive, format!("{observed}; {control}")),
        }
    }

    fn proof(&self, lost: &Publication, back: &Connection) -> Proof<'_> {
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
            None if lost.witnessed_in.is_none() => Proof::Missing("accepted, not seen by the witness"),
            None if !self.time_has_passed(back.opened_at) => Proof::Missing("no fence shows that the backlog has come"),
            None => Proof::Time,
        }
    }

    fn loop_back_came(&self, lost: &Publication) -> bool {
        self.copies.iter().any(|copy| {
            matches!(copy.publication.message, Message::LoopBack(_)) && copy.publication.is_of_same_source(lost)
        })
    }

    /// Since `place` a fence topic has answered and a settle window has passed.
    fn time_has_passed(&self, place: usize) -> bool {
        let fenced = self
            .copies
            .iter()
            .any(|copy| matches!(copy.publication.message, Message::Fence(_)) && copy.delivery.at > place);
        fenced && self.last_settled().is_some_and(|settled| settled > place)
    }

    fn last_settled(&self) -> Option<usize> {
        self.session.connections.iter().filter_map(|connection| connection.settled_at).max()
    }

    /// The user declared a queue limit: then what is missing beyond it is the broker's choice.
    fn is_within_queue_limit(&self, owed: &[&Publication], lost: &[&Publication], findings: &mut Findings) -> bool {
        let kept = owed.len() - lost.len();
        let end = self.queue_limit.filter(|limit| kept >= *limit as usize).and_then(|_| missing_end(owed, lost));
        if let Some(end) = end {
            findings.choice("queue_full", end.dropped());
        }
        end.is_some()
    }

    fn looks_like_a_limit(&self, owed: &[&Publication], lost: &[&Publication]) -> String {
        match missing_end(owed, lost) {
            Some(end) => {
                let kept = owed.len() - lost.len();
                format!("; looks like a queue limit of {kept}, {} dropped", end.dropped().trim_start_matches("drop_"))
            }
            None => String::new(),
        }
    }

    /// What the broker did with messages that have QoS 0 for the session, which it may store or not (3.1.1, section
    /// 3.1.2.4; 5.0, section 4.1).
    fn qos_0_choices(&self, away: &[&Publication], findings: &mut Findings) {
        let at_qos_0: Vec<&&Publication> =
            away.iter().filter(|p| self.effective_qos(p) == 0 && p.accepted.is_some()).collect();
        let Some(first) = at_qos_0.first() else { return };
        let granted = self.session.relation(first).subscription().and_then(Subscribing::granted).unwrap_or(0);
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

    /// The retained message that each SUBSCRIBE finds.
    pub fn retained(&self, findings: &mut Findings) {
        for connection in &self.session.connections {
            for subscribe in connection.subscribes.iter().filter(|subscribe| subscribe.granted().is_some()) {
                if let Some(publication) = retained(self.story, &subscribe.topic, subscribe.step) {
                    self.retained_copy(connection, subscribe, publication, findings);
                }
            }
        }
    }

    fn retained_copy(
        &self,
        connection: &Connection,
        subscribe: &Subscribing,
        publication: &Publication,
        findings: &mut Findings,
    ) {
        let came = self.copies.iter().find(|copy| {
            copy.kind == Kind::Retained
                && copy.publication.message == publication.message
                && copy.connection.opened_at == connection.opened_at
                && copy.delivery.at > subscribe.at
        });
        // A retained message of QoS 0 may be discarded at any time (section 3.3.1.3).
        if publication.qos == 0 && (came.is_some() || self.time_has_passed(subscribe.at)) {
            findings.choice("retained_qos0", if came.is_some() { "kept" } else { "gone" });
        }
        match came {
            Some(copy) => self.retained_copy_order(copy, subscribe, findings),
            None if publication.qos == 0 => {}
            None if !self.time_has_passed(subscribe.at) => {
                let reason = format!("the retained copy of {} did not come, and no fence", publication.message);
                findings.limit(Verdict::Inconclusive, reason);
            }
            None => {
                let rule = if self.session.had_subscription(subscribe) {
                    RETAINED_AGAIN_TO_A_REPLACED_SUBSCRIPTION
                } else {
                    RETAINED_TO_A_NEW_SUBSCRIPTION
                };
                let mut events = vec![publication.at, subscribe.at];
                events.extend(self.last_settled());
                findings.broken_in(
                    ATTEMPTS_FOR_AN_ABSENCE,
                    connection.protocol(),
                    rule,
                    &events,
                    format!("the retained message {} because of the SUBSCRIBE", publication.message),
                    "no retained message",
                );
            }
        }
    }

    /// No statement orders a copy sent because of a SUBSCRIBE among the others.
    fn retained_copy_order(&self, retained: &Copy<'_>, subscribe: &Subscribing, findings: &mut Findings) {
        let queued = |copy: &&Copy<'_>| copy.kind == Kind::Subscribed && self.is_away(copy.publication);
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

    /// Something is owed that has not come yet, or something was published that did not come at all.
    pub fn is_open(&self) -> bool {
        let mut open = Findings::default();
        self.retained(&mut open);
        !open.violations.is_empty()
            || !open.limits.is_empty()
            || self.lost_fences().next().is_some()
            || self.experiment().any(|p| !self.has_come(p))
    }
}

/// Which end of the backlog is missing.
#[derive(Debug, Clone, Copy)]
enum MissingEnd {
    Oldest,
    Newest,
}

impl MissingEnd {
    fn dropped(self) -> &'static str {
        match self {
            MissingEnd::Oldest => "drop_oldest",
            MissingEnd::Newest => "drop_newest",
        }
    }
}

/// Whether what is missing is one head or one tail of the backlog, and something was kept.
fn missing_end(owed: &[&Publication], lost: &[&Publication]) -> Option<MissingEnd> {
    let is_lost = |publication: &&Publication| lost.iter().any(|lost| lost.message == publication.message);
    let head = owed.iter().take_while(|publication| is_lost(publication)).count();
    let tail = owed.iter().rev().take_while(|publication| is_lost(publication)).count();
    match (head, tail) {
        _ if lost.len() >= owed.len() => None,
        (head, _) if head == lost.len() => Some(MissingEnd::Oldest),
        (_, tail) if tail == lost.len() => Some(MissingEnd::Newest),
        _ => None,
    }
}

/// The first few names, and how many more.
fn names(publications: &[&Publication]) -> String {
    let shown: Vec<String> = publications.iter().take(5).map(|publication| publication.message.to_string()).collect();
    match publications.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
