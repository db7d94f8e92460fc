//! Each copy that a client got: may it be there, and are its QoS, RETAIN and DUP right?

use super::finding::{ATTEMPTS_FOR_TIMING, Findings, Rule, rule};
use super::session::{Relation, Session, retained};
use super::story::{Connection, Delivery, Publication, Story, Subscribing};
use crate::history::Message;
use crate::packet::Protocol;

pub const QOS_IS_THE_MINIMUM: Rule = rule("MQTT-3.8.4-6", "MQTT-3.8.4-8");
pub const DUP_0_AT_QOS_0: Rule = rule("MQTT-3.3.1-2", "MQTT-3.3.1-2");
const DUP_0_ON_A_FIRST_COPY: Rule = rule("MQTT-3.3.1-3", "MQTT-3.3.1-3");
const DUP_1_ON_A_RESENT_COPY: Rule = rule("MQTT-3.3.1-1", "MQTT-3.3.1-1");
pub const RETAIN_0_ON_AN_ESTABLISHED_SUBSCRIPTION: Rule = rule("MQTT-3.3.1-9", "MQTT-3.3.1-12");
const RETAIN_1_ON_A_RETAINED_COPY: Rule = rule("MQTT-3.3.1-8", "3.8.3.1");
const RETAIN_0_IS_NOT_STORED: Rule = rule("MQTT-3.3.1-12", "MQTT-3.3.1-8");
const THE_LAST_RETAINED_MESSAGE: Rule = rule("MQTT-3.3.1-6", "MQTT-3.3.1-5");
const A_DISCARDED_SESSION_IS_NOT_USED: Rule = rule("MQTT-3.1.2-6", "MQTT-3.1.2-4");
const NO_SUBSCRIPTION_EXPLAINS_IT: Rule = rule("4.5", "4.5");
const EXACTLY_ONCE_ON_A_FURTHER_CONNECTION: Rule = rule("MQTT-4.3.3-1", "MQTT-4.3.3-6");
const EXACTLY_ONCE_ON_ONE_CONNECTION: Rule = rule("MQTT-4.3.3-1", "MQTT-4.4.0-1");
const ACKNOWLEDGED_IS_NOT_RESENT: Rule = rule("4.3.2", "MQTT-4.4.0-1");
const AT_MOST_ONCE: Rule = rule("4.3.1", "MQTT-4.4.0-1");

/// What a copy is, by the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Sent because a subscription was in force at the publication: live, or out of the queue.
    Subscribed,
    /// Sent because of a SUBSCRIBE.
    Retained,
    /// Nothing can be concluded from it.
    Unknown,
}

/// A copy of one of our messages, with what the model says about it.
#[derive(Debug)]
pub struct Copy<'a> {
    pub connection: &'a Connection,
    pub delivery: &'a Delivery,
    pub publication: &'a Publication,
    pub kind: Kind,
}

impl Copy<'_> {
    /// A copy of this kind with the RETAIN flag that belongs to it.
    pub fn is(&self, kind: Kind) -> bool {
        self.kind == kind && self.delivery.publish.retain == (kind == Kind::Retained)
    }
}

/// Judges every copy of the session, and gives those that are ours.
pub fn check<'a>(
    story: &'a Story,
    sessions: &'a [Session<'a>],
    session: &'a Session<'a>,
    findings: &mut Findings,
) -> Vec<Copy<'a>> {
    let mut copies: Vec<Copy<'a>> = Vec::new();
    for connection in &session.connections {
        let mut unexplained: Vec<&Delivery> = Vec::new();
        for delivery in &connection.deliveries {
            let publication = delivery.message.and_then(|message| story.publication(message));
            let Some(publication) = publication.filter(|published| published.topic == delivery.publish.topic) else {
                // A changed payload on a topic of the session is judged as the loss of the message that it was.
                if !session.had_subscribed(&delivery.publish.topic) {
                    unexplained.push(delivery);
                }
                continue;
            };
            let judged = Judged { story, sessions, session, connection, delivery, publication, before: &copies };
            let kind = judged.kind(findings);
            judged.repetition(kind, findings);
            judged.dup_at_qos_0(findings);
            copies.push(Copy { connection, delivery, publication, kind });
        }
        unsolicited(connection, &unexplained, findings);
    }
    copies
}

/// Messages that no subscription explains: one finding for a connection, since there may be hundreds.
fn unsolicited(connection: &Connection, deliveries: &[&Delivery], findings: &mut Findings) {
    let Some(first) = deliveries.first() else { return };
    findings.choice("unsolicited_messages", "some");
    let payload = String::from_utf8_lossy(&first.publish.payload);
    let more = if deliveries.len() > 1 { ", and more" } else { "" };
    findings.broken(
        connection.protocol(),
        NO_SUBSCRIPTION_EXPLAINS_IT,
        &deliveries.iter().map(|delivery| delivery.at).collect::<Vec<_>>(),
        format!("only messages that a subscription of {} explains", connection.client),
        format!("{payload} on the topic {}{more}", first.publish.topic),
    );
}

struct Judged<'a, 'b> {
    story: &'a Story,
    sessions: &'a [Session<'a>],
    session: &'a Session<'a>,
    connection: &'a Connection,
    delivery: &'a Delivery,
    publication: &'a Publication,
    /// The copies of this session before this one.
    before: &'b [Copy<'a>],
}

impl<'a> Judged<'a, '_> {
    fn protocol(&self) -> Protocol {
        self.connection.protocol()
    }

    fn message(&self) -> Message {
        self.publication.message
    }

    /// Says what the copy is, and whether its being there and its RETAIN flag are right.
    fn kind(&self, findings: &mut Findings) -> Kind {
        let relation = self.session.relation(self.publication);
        // The SUBSCRIBEs on this connection that the copy may be the consequence of.
        let subscribe = self
            .connection
            .subscribes
            .iter()
            .rfind(|subscribing| subscribing.topic == self.publication.topic && subscribing.at < self.delivery.at);
        match (self.delivery.publish.retain, subscribe) {
            (true, None) => self.flagged_without_subscribe(relation, findings),
            (true, Some(subscribe)) => self.flagged(subscribe, relation, findings),
            (false, subscribe) => self.unflagged(subscribe, relation, findings),
        }
    }

    /// RETAIN 1 on a connection that has not subscribed.
    fn flagged_without_subscribe(&self, relation: Relation<'_>, findings: &mut Findings) -> Kind {
        if self.resumes_a_retained_copy() {
            return Kind::Retained;
        }
        // Retained messages are part of no session, so this one says nothing about a discarded session either.
        if relation.subscription().is_none() && self.publication.retain {
            unsolicited(self.connection, &[self.delivery], findings);
            return Kind::Unknown;
        }
        findings.broken(
            self.protocol(),
            RETAIN_0_ON_AN_ESTABLISHED_SUBSCRIPTION,
            &[self.publication.at, self.delivery.at],
            format!("RETAIN 0 on {}: no SUBSCRIBE on this connection asked for a retained message", self.message()),
            "RETAIN 1",
        );
        if let Some(subscription) = relation.subscription() {
            self.qos(&[subscription], findings);
            return Kind::Subscribed;
        }
        self.of_discarded_session(findings);
        Kind::Unknown
    }

    /// RETAIN 1 after a SUBSCRIBE.
    fn flagged(&self, subscribe: &Subscribing, relation: Relation<'_>, findings: &mut Findings) -> Kind {
        let events = [self.publication.at, subscribe.at, self.delivery.at];
        let live = self.publication.step >= subscribe.step;
        let queued = |subscription: &&Subscribing| !live && self.was_queued(subscription, subscribe);
        if let Some(subscription) = relation.subscription().filter(queued) {
            let expected = format!("RETAIN 0 on {}: it was queued for the session", self.message());
            findings.broken(self.protocol(), RETAIN_0_ON_AN_ESTABLISHED_SUBSCRIPTION, &events, expected, "RETAIN 1");
            self.qos(&[subscription], findings);
            return Kind::Subscribed;
        }
        if live {
            let expected = format!("RETAIN 0 on {}: it was published after the SUBSCRIBE", self.message());
            findings.broken(self.protocol(), RETAIN_0_ON_AN_ESTABLISHED_SUBSCRIPTION, &events, expected, "RETAIN 1");
        } else if !self.publication.retain {
            let expected = format!("{} is not retained: it was published with RETAIN 0", self.message());
            findings.broken(
                self.protocol(),
                RETAIN_0_IS_NOT_STORED,
                &events,
                expected,
                "it came as a retained message",
            );
        } else if !self.is_retained_at(subscribe) {
            let last = retained(self.story, &self.publication.topic, subscribe.step);
            let last = last.map_or("none".into(), |publication| publication.message.to_string());
            let expected = format!("the last retained message of the topic, which is {last}");
            findings.broken(
                self.protocol(),
                THE_LAST_RETAINED_MESSAGE,
                &events,
                expected,
                format!("{}", self.message()),
            );
        }
        match relation.subscription() {
            Some(subscription) if live => {
                self.qos(&[subscription], findings);
                Kind::Subscribed
            }
            _ => {
                self.qos(&[subscribe], findings);
                Kind::Retained
            }
        }
    }

    /// RETAIN 0: live or queued, or a retained copy without its flag.
    fn unflagged(&self, subscribe: Option<&Subscribing>, relation: Relation<'_>, findings: &mut Findings) -> Kind {
        let owed_retained = subscribe.filter(|subscribe| self.is_retained_at(subscribe));
        let came_before =
            self.before.iter().any(|copy| copy.publication.message == self.message() && copy.kind == Kind::Subscribed);
        match (relation.subscription(), owed_retained) {
            (Some(subscription), None) => {
                self.qos(&[subscription], findings);
                Kind::Subscribed
            }
            (Some(subscription), Some(subscribe)) if !came_before && !self.is_fenced() => {
                self.qos(&[subscription, subscribe], findings);
                Kind::Subscribed
            }
            (_, Some(subscribe)) if self.was_routed_before(subscribe) => {
                let events = [self.publication.at, subscribe.at, self.delivery.at];
                let expected = format!("RETAIN 1 on {}: it was sent because of the SUBSCRIBE", self.message());
                findings.broken(self.protocol(), RETAIN_1_ON_A_RETAINED_COPY, &events, expected, "RETAIN 0");
                self.qos(&[subscribe], findings);
                Kind::Retained
            }
            // What the broker had not routed before the return may legally reach a new subscription live.
            _ if subscribe.is_some_and(|subscribe| !self.was_routed_before(subscribe)) => Kind::Unknown,
            _ => {
                if !self.of_discarded_session(findings) {
                    unsolicited(self.connection, &[self.delivery], findings);
                }
                Kind::Unknown
            }
        }
    }

    /// A later message of the same source has come on this connection, so nothing of its queue is left; unless the
    /// retained copy is there too, which leaves only the queue to explain this one.
    fn is_fenced(&self) -> bool {
        let flagged = |delivery: &Delivery| delivery.message == Some(self.message()) && delivery.publish.retain;
        if self.connection.deliveries.iter().any(flagged) {
            return false;
        }
        self.before.iter().any(|copy| {
            copy.connection.opened_at == self.connection.opened_at
                && copy.kind == Kind::Subscribed
                && copy.publication.is_of_same_source(self.publication)
                && copy.publication.at > self.publication.at
        })
    }

    /// A SUBSCRIBE on an earlier connection of the session asked for this retained message: its copy is part of the
    /// session state until it is acknowledged. After that only DUP tells a copy that is sent again from a new one.
    fn resumes_a_retained_copy(&self) -> bool {
        let same = |copy: &&Copy<'_>| copy.publication.message == self.message() && copy.kind == Kind::Retained;
        if self.before.iter().rfind(same).is_some_and(acknowledged) && !self.delivery.publish.dup {
            return false;
        }
        let earlier = self.session.connections.iter().filter(|c| c.opened_at < self.connection.opened_at);
        let mut subscribes = earlier.flat_map(|connection| &connection.subscribes);
        subscribes.any(|subscribe| subscribe.topic == self.publication.topic && self.is_retained_at(subscribe))
    }

    /// A copy out of the queue that kept its RETAIN flag, and came only after a SUBSCRIBE: another message is the
    /// retained one, or each SUBSCRIBE has brought its copy of this one already.
    fn was_queued(&self, subscription: &Subscribing, subscribe: &Subscribing) -> bool {
        let same = |copy: &&Copy<'_>| copy.publication.message == self.message();
        // What has QoS 0 need not have been queued, unless others show that it was.
        let owed = self.publication.qos.min(subscription.granted().unwrap_or(0)) > 0;
        if !owed && !self.before.iter().any(|copy| copy.kind == Kind::Subscribed && copy.delivery.publish.retain) {
            return false;
        }
        if !self.publication.retain || self.before.iter().filter(same).any(|copy| copy.kind == Kind::Subscribed) {
            return false;
        }
        let here = |copy: &&Copy<'_>| copy.connection.opened_at == self.connection.opened_at;
        let copies = self.before.iter().filter(same).filter(here).filter(|copy| copy.kind == Kind::Retained).count();
        let own = self.connection.subscribes.iter().filter(|s| s.topic == subscribe.topic && s.at < self.delivery.at);
        !self.is_retained_at(subscribe) || copies >= own.count()
    }

    fn is_retained_at(&self, subscribe: &Subscribing) -> bool {
        retained(self.story, &self.publication.topic, subscribe.step)
            .is_some_and(|publication| publication.message == self.message())
    }

    /// The witness had its copy before the step of the SUBSCRIBE, so a new subscription cannot get it live.
    fn was_routed_before(&self, subscribe: &Subscribing) -> bool {
        self.publication.witnessed_in.is_some_and(|step| step < subscribe.step)
            || !matches!(self.message(), Message::Experiment(_))
    }

    /// A copy that only a discarded session of this client explains.
    fn of_discarded_session(&self, findings: &mut Findings) -> bool {
        // Also what was published after the discarding would come from the subscription of that session.
        let explained = self.sessions.iter().any(|session| {
            session.client == self.session.client
                && session.discarded
                && session.had_subscribed(&self.publication.topic)
        });
        if explained {
            findings.broken(
                self.protocol(),
                A_DISCARDED_SESSION_IS_NOT_USED,
                &[self.publication.at, self.connection.opened_at, self.delivery.at],
                "nothing: the session that had subscribed was discarded",
                format!("{} at QoS {}", self.message(), self.delivery.publish.qos),
            );
        }
        explained
    }

    /// The QoS of a copy is the minimum of what was published and what was granted, by any of the subscriptions.
    fn qos(&self, subscriptions: &[&Subscribing], findings: &mut Findings) {
        let granted: Vec<u8> = subscriptions.iter().filter_map(|subscription| subscription.granted()).collect();
        let published = self.publication.qos;
        let observed = self.delivery.publish.qos;
        if let Some(first) =
            granted.first().filter(|_| !granted.iter().any(|granted| published.min(*granted) == observed))
        {
            let mut events = vec![self.publication.at, self.delivery.at];
            events.extend(subscriptions.iter().filter_map(|subscription| subscription.suback.map(|(at, _)| at)));
            findings.broken(
                self.protocol(),
                QOS_IS_THE_MINIMUM,
                &events,
                format!(
                    "{} at QoS {}, the minimum of published {published} and granted {first}",
                    self.message(),
                    published.min(*first)
                ),
                format!("QoS {observed}"),
            );
        }
    }

    fn dup_at_qos_0(&self, findings: &mut Findings) {
        if self.delivery.publish.qos == 0 && self.delivery.publish.dup {
            let expected = format!("DUP 0 on {}: it came at QoS 0", self.message());
            findings.broken(self.protocol(), DUP_0_AT_QOS_0, &[self.delivery.at], expected, "DUP 1");
        }
    }

    /// Is it the first copy, a resent one, or one too many? A copy whose RETAIN flag is wrong is a finding already.
    fn repetition(&self, kind: Kind, findings: &mut Findings) {
        let same = |copy: &&Copy<'_>| copy.publication.message == self.message() && copy.is(kind);
        let dup = self.delivery.publish.dup;
        let qos = self.delivery.publish.qos;
        let before = self.before.iter().rfind(same);
        match (kind, before) {
            (Kind::Unknown, _) => {}
            (Kind::Subscribed, _) if self.delivery.publish.retain => {}
            (_, None) if dup && qos > 0 => findings.broken_in(
                ATTEMPTS_FOR_TIMING,
                self.protocol(),
                DUP_0_ON_A_FIRST_COPY,
                &[self.delivery.at],
                format!("DUP 0 on {}: it was never sent to this client before", self.message()),
                "DUP 1",
            ),
            (_, None) => {}
            // Each SUBSCRIBE brings a retained copy of its own.
            (Kind::Retained, Some(first)) if first.connection.opened_at == self.connection.opened_at => {}
            (_, Some(first)) if acknowledged(first) => self.again(first, findings),
            (_, Some(first)) if !dup && qos > 0 => findings.broken(
                self.protocol(),
                DUP_1_ON_A_RESENT_COPY,
                &[first.delivery.at, self.delivery.at],
                format!("DUP 1 on {}: it was sent before and not acknowledged", self.message()),
                "DUP 0",
            ),
            (_, Some(_)) => {}
        }
    }

    /// The message was delivered and acknowledged, and comes once more.
    fn again(&self, first: &Copy<'_>, findings: &mut Findings) {
        let granted = self.session.relation(self.publication).subscription().and_then(Subscribing::granted);
        let further = first.connection.opened_at != self.connection.opened_at;
        let effective = self.publication.qos.min(granted.unwrap_or(2));
        // A broker that delivers by the QoS 2 protocol is held to it, whatever QoS it had granted.
        let by_protocol = if first.delivery.publish.qos == 2 { 2 } else { effective };
        let rule = match (self.publication.qos, by_protocol, further) {
            // Duplicates are permitted where QoS 1 is downgraded to 0 (section 3.8.4).
            (1, 0, _) => return,
            (_, 2, true) => EXACTLY_ONCE_ON_A_FURTHER_CONNECTION,
            (_, 2, false) => EXACTLY_ONCE_ON_ONE_CONNECTION,
            (_, 1, _) => ACKNOWLEDGED_IS_NOT_RESENT,
            _ => AT_MOST_ONCE,
        };
        let place = if further { "on a further connection" } else { "on the same connection" };
        findings.broken(
            self.protocol(),
            rule,
            &[first.delivery.at, self.delivery.at],
            format!("{} once: its delivery at QoS {} was complete", self.message(), first.delivery.publish.qos),
            format!("it came once more {place}"),
        );
    }
}

/// We acknowledged the copy, and the broker has shown that it read the acknowledgement.
fn acknowledged(copy: &Copy<'_>) -> bool {
    match copy.delivery.publish.qos {
        0 => true,
        1 => copy.delivery.acked_at.is_some_and(|at| copy.connection.has_read(at)),
        _ => copy.delivery.released_at.is_some(),
    }
}
