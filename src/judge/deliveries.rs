//! Each copy that a client got: may it be there, and are its QoS, RETAIN and DUP right?

pub(super) mod kind;
mod repetition;

use super::finding::{Findings, Rule, rule};
use super::session::{Match, Session};
use super::story::{Connection, Delivery, Publication, Story, Subscribing};
use crate::history::Message;
use crate::packet::Protocol;

pub const QOS_IS_THE_MINIMUM: Rule = rule("MQTT-3.8.4-6", "MQTT-3.8.4-8");
pub const DUP_0_AT_QOS_0: Rule = rule("MQTT-3.3.1-2", "MQTT-3.3.1-2");
pub const RETAIN_0_ON_AN_ESTABLISHED_SUBSCRIPTION: Rule = rule("MQTT-3.3.1-9", "MQTT-3.3.1-12");
const NO_SUBSCRIPTION_EXPLAINS_IT: Rule = rule("4.5", "4.5");
const WILDCARDS_DO_NOT_MATCH_DOLLAR: Rule = rule("MQTT-4.7.2-1", "MQTT-4.7.2-1");
const IDENTIFIES_THE_SESSION: Rule = rule("MQTT-3.1.3-2", "MQTT-3.1.3-2");

/// What a copy is, by the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Sent because a subscription was in force at the publication: live, or out of the queue.
    Subscribed,
    /// Sent because of a SUBSCRIBE.
    Retained,
    /// Sent because of a shared subscription.
    Shared,
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
    /// Its RETAIN flag is the one that belongs to its kind.
    pub flag_is_right: bool,
}

impl Copy<'_> {
    /// A copy of this kind with the RETAIN flag that belongs to it.
    pub fn is(&self, kind: Kind) -> bool {
        self.kind == kind && self.flag_is_right
    }

    /// We acknowledged the copy, and the broker has shown that it read the acknowledgement.
    pub fn is_acknowledged(&self) -> bool {
        match self.delivery.publish.qos {
            0 => true,
            _ if self.delivery.refused_at.is_some() => false,
            1 => self.delivery.acked_at.is_some_and(|at| self.connection.has_read(at)),
            _ => self.delivery.released_at.is_some(),
        }
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
            // Wills have rules of their own, beside that of the subscription.
            if matches!(delivery.message, Some(Message::Will(_))) && session.had_subscribed(&delivery.topic) {
                continue;
            }
            let publication = story.publication(delivery).filter(|published| published.topic == delivery.topic);
            let Some(publication) = publication else {
                // What has an alias without a topic is judged with the aliases.
                let nameless = delivery.topic.is_empty();
                if !nameless
                    && !is_of_broker(connection, delivery, findings)
                    && !session.had_subscribed(&delivery.topic)
                {
                    // A changed payload on a topic of the session is judged as the loss of the message that it was.
                    unexplained.push(delivery);
                }
                continue;
            };
            let judged = Judged { story, sessions, session, connection, delivery, publication, before: &copies };
            let (kind, flag_is_right) = judged.kind(findings);
            judged.repetition(kind, flag_is_right, findings);
            judged.dup_at_qos_0(findings);
            copies.push(Copy { connection, delivery, publication, kind, flag_is_right });
        }
        unsolicited(sessions, connection, &unexplained, findings);
    }
    copies
}

/// What the broker publishes about itself: only a filter that names `$` may bring it.
fn is_of_broker(connection: &Connection, delivery: &Delivery, findings: &mut Findings) -> bool {
    if !delivery.topic.starts_with('$') {
        return false;
    }
    let named = connection.subscribes.iter().any(|subscribe| subscribe.filter.filter.starts_with('$'));
    findings.choice("sys_topics", "some");
    if !named {
        findings.broken(
            connection.protocol(),
            WILDCARDS_DO_NOT_MATCH_DOLLAR,
            &[delivery.at],
            format!("nothing below $: all filters of {} begin with a wildcard or a name", connection.client),
            format!("a message on {}", delivery.topic),
        );
    }
    true
}

/// Messages that no subscription explains: one finding for a connection, since there may be hundreds.
fn unsolicited(sessions: &[Session<'_>], connection: &Connection, deliveries: &[&Delivery], findings: &mut Findings) {
    let Some(first) = deliveries.first() else { return };
    let payload = String::from_utf8_lossy(&first.publish.payload);
    let events: Vec<usize> = deliveries.iter().map(|delivery| delivery.at).collect();
    // A client that never was here is told of a session, and gets what another client subscribed to.
    let is_fresh = sessions.iter().any(|session| session.connections[0].opened_at == connection.opened_at);
    let of_other = sessions.iter().find(|session| session.id != connection.id && session.had_subscribed(&first.topic));
    if let Some(other) = of_other.filter(|_| is_fresh && connection.session_present()) {
        let expected = format!("nothing of the session of {}, which has another client identifier", other.client);
        let observed = format!("Session Present 1, and {payload} on the topic {}", first.topic);
        findings.broken(connection.protocol(), IDENTIFIES_THE_SESSION, &events, expected, observed);
        return;
    }
    findings.choice("unsolicited_messages", "some");
    let more = if deliveries.len() > 1 { ", and more" } else { "" };
    findings.broken(
        connection.protocol(),
        NO_SUBSCRIPTION_EXPLAINS_IT,
        &events,
        format!("only messages that a subscription of {} explains", connection.client),
        format!("{payload} on the topic {}{more}", first.publish.topic),
    );
}

/// One copy, and all that decides about it.
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

    fn relation(&self) -> Match<'a> {
        self.session.relation(self.publication)
    }

    /// The QoS of a copy is the minimum of what was published and what was granted, by any of the subscriptions.
    fn qos(&self, subscriptions: &[&Subscribing], findings: &mut Findings) {
        self.qos_by(subscriptions, None, findings);
    }

    /// As [`Judged::qos`]; what is below the minimum breaks another rule if one is given.
    fn qos_by(&self, subscriptions: &[&Subscribing], below: Option<Rule>, findings: &mut Findings) {
        let granted: Vec<u8> = subscriptions.iter().filter_map(|subscription| subscription.granted()).collect();
        let published = self.publication.qos;
        let observed = self.delivery.publish.qos;
        if let Some(first) =
            granted.first().filter(|_| !granted.iter().any(|granted| published.min(*granted) == observed))
        {
            let mut events = vec![self.publication.at, self.delivery.at];
            events.extend(subscriptions.iter().filter_map(|subscription| subscription.suback.map(|(at, _)| at)));
            let minimum = published.min(*first);
            findings.broken(
                self.protocol(),
                below.filter(|_| observed < minimum).unwrap_or_else(|| self.rule_of_qos(subscriptions, observed)),
                &events,
                format!(
                    "{} at QoS {minimum}, the minimum of published {published} and granted {first}",
                    self.message()
                ),
                format!("QoS {observed}"),
            );
        }
    }

    /// A QoS that an earlier SUBSCRIBE with the same filter was granted shows that it was not replaced.
    fn rule_of_qos(&self, subscriptions: &[&Subscribing], observed: u8) -> Rule {
        let earlier = self.session.connections.iter().flat_map(|connection| &connection.subscribes);
        let replaced = earlier.filter(|earlier| {
            let same = |now: &&Subscribing| now.filter.filter == earlier.filter.filter && earlier.at < now.at;
            subscriptions.iter().copied().any(|now| same(&now))
        });
        let mut by_replaced = replaced.filter_map(Subscribing::granted);
        // Where another copy shows that the new one is in force, this is another matter.
        let is_in_force = |copy: &Copy<'_>| {
            let by = |now: &&Subscribing| {
                let minimum = now.granted().map(|granted| granted.min(copy.publication.qos));
                copy.publication.at > now.at && minimum == Some(copy.delivery.publish.qos)
            };
            copy.kind == Kind::Subscribed && subscriptions.iter().any(by)
        };
        let is_replaced = self.before.iter().any(is_in_force);
        match !is_replaced && by_replaced.any(|granted| self.publication.qos.min(granted) == observed) {
            true => super::subscriptions::REPLACES_THE_SUBSCRIPTION,
            false => QOS_IS_THE_MINIMUM,
        }
    }

    fn dup_at_qos_0(&self, findings: &mut Findings) {
        if self.delivery.publish.qos == 0 && self.delivery.publish.dup {
            let expected = format!("DUP 0 on {}: it came at QoS 0", self.message());
            findings.broken(self.protocol(), DUP_0_AT_QOS_0, &[self.delivery.at], expected, "DUP 1");
        }
    }
}
