//! What a resumed session sends again: PUBLISH and PUBREL packets whose answer the end of the connection cut off.

use super::absences::Balance;
use super::deliveries::{Copy, Kind};
use super::finding::{ATTEMPTS_FOR_AN_ABSENCE, Findings, Rule, rule};
use super::story::{Connection, Delivery};
use crate::scenario::Timer;

const SENT_AGAIN_ON_RESUME: Rule = rule("MQTT-4.4.0-1", "MQTT-4.4.0-1");
const IN_THE_ORIGINAL_ORDER: Rule = rule("MQTT-4.6.0-6", "MQTT-4.6.0-5");
const DELIVERY_IS_COMPLETED: Rule = rule("MQTT-3.10.4-3", "MQTT-3.10.4-3");
const NO_EXPIRY_UNDER_WAY: Rule = Rule { v3: None, v5: Some("MQTT-4.3.3-7") };

impl<'a> Balance<'a> {
    /// For each connection that resumes the session, by the broker's own word.
    pub fn resumed(&self, findings: &mut Findings) {
        let resumed = self.session.connections.iter().skip(1).filter(|connection| connection.session_present());
        for connection in resumed {
            let under_way = self.session.under_way(connection);
            for (of, delivery) in &under_way {
                self.sent_again(connection, of, delivery, findings);
            }
            self.original_order(connection, &under_way, findings);
        }
    }

    fn sent_again(&self, connection: &Connection, of: &Connection, delivery: &Delivery, findings: &mut Findings) {
        // A client that withholds its acknowledgements may have no room for more.
        let withholds = connection.withholds();
        // What came again is judged where it came.
        let has_come = came_again(connection, delivery).is_some();
        let Some(awaited) = awaited_again(of, delivery).filter(|_| !withholds && !has_come) else { return };
        if !self.is_absent_again(connection, delivery) {
            return;
        }
        let (rule, why) = self.why_not_sent(of, connection, delivery);
        let what = delivery.message.map_or_else(|| "the message".into(), |message| message.to_string());
        // What was published later has come in its order, so this one will not.
        let is_fenced = self.is_fenced(connection, delivery);
        let attempts = if is_fenced { 1 } else { ATTEMPTS_FOR_AN_ABSENCE };
        let by_then = if is_fenced { " before what was published later" } else { "" };
        findings.broken_in(
            attempts,
            connection.protocol(),
            rule,
            &[delivery.at, connection.opened_at],
            format!("{awaited} of {what} again on the resumed session: {why}"),
            format!("no {awaited}{by_then}"),
        );
    }

    /// Something that has to come again on the newest connection has not come yet.
    pub fn resend_is_due(&self) -> bool {
        let newest = self.session.connections.last().filter(|connection| connection.session_present());
        newest.is_some_and(|newest| {
            let mut under_way = self.session.under_way(newest).into_iter();
            under_way
                .any(|(of, delivery)| awaited_again(of, delivery).is_some() && came_again(newest, delivery).is_none())
        })
    }

    /// Enough has come, or enough time has passed, to say that it is not sent again.
    pub(super) fn is_absent_again(&self, connection: &Connection, delivery: &Delivery) -> bool {
        self.time_has_passed_on(connection) || self.is_fenced(connection, delivery)
    }

    /// Something that was published later has come, at the same QoS.
    fn is_fenced(&self, connection: &Connection, delivery: &Delivery) -> bool {
        let own = self.copies.iter().find(|copy| copy.delivery.at == delivery.at).map(|copy| copy.publication);
        own.is_some_and(|own| {
            let here = |copy: &&Copy<'_>| copy.connection.opened_at == connection.opened_at;
            self.copies.iter().filter(here).any(|copy| {
                copy.kind == Kind::Subscribed && copy.publication.is_of_same_source(own) && copy.publication.at > own.at
            })
        })
    }

    pub(super) fn why_not_sent(&self, of: &Connection, next: &Connection, delivery: &Delivery) -> (Rule, &'static str) {
        let unsubscribed = of.unsubscribes.iter().any(|unsubscribing| {
            unsubscribing.at > delivery.at && crate::topic::matches(&unsubscribing.filter, &delivery.topic)
        });
        let timers = self.story.connections.iter().flat_map(|connection| &connection.timers);
        let expiry = delivery.publish.properties.message_expiry;
        let mut expired = timers.filter(|timed| timed.timer == Timer::MessageExpiry && timed.passed);
        let has_expired = expired.any(|timed| {
            let enough = expiry.is_some_and(|expiry| timed.seconds >= expiry);
            enough && timed.step > delivery.step && timed.at < next.opened_at
        });
        if unsubscribed {
            (DELIVERY_IS_COMPLETED, "its delivery had begun before UNSUBSCRIBE")
        } else if has_expired && delivery.publish.qos == 2 {
            (NO_EXPIRY_UNDER_WAY, "it does not expire once it was sent")
        } else {
            (SENT_AGAIN_ON_RESUME, "it was not acknowledged")
        }
    }

    /// Copies that are sent again come in the order in which they were sent first.
    fn original_order(&self, connection: &Connection, under_way: &[(&Connection, &Delivery)], findings: &mut Findings) {
        let place = |delivery: &Delivery| {
            under_way.iter().position(|(_, first)| {
                first.publish.payload == delivery.publish.payload
                    && first.topic == delivery.topic
                    && first.publish.qos == delivery.publish.qos
            })
        };
        let again: Vec<(usize, &Delivery)> = connection
            .deliveries
            .iter()
            .filter(|delivery| delivery.publish.dup && delivery.message.is_some())
            .filter_map(|delivery| Some((place(delivery)?, delivery)))
            .collect();
        // The order is that of a topic and a QoS (MQTT-4.6.0-6, 5.0 MQTT-4.6.0-5).
        let of_same =
            |one: &Delivery, other: &Delivery| one.topic == other.topic && one.publish.qos == other.publish.qos;
        let out_of_order = again.iter().enumerate().find_map(|(index, (later, second))| {
            let mut before = again[..index].iter().filter(|(_, first)| of_same(first, second));
            before.find(|(place, _)| place > later).map(|(_, first)| (*first, *second))
        });
        if let Some((first, second)) = out_of_order {
            let name = |delivery: &Delivery| delivery.message.map(|message| message.to_string()).unwrap_or_default();
            findings.broken(
                connection.protocol(),
                IN_THE_ORIGINAL_ORDER,
                &[first.at, second.at],
                format!("{} again before {}, as they were sent first", name(second), name(first)),
                "the other way round",
            );
        }
    }
}

/// The packet that a resumed session has to send again for a delivery, if it has to.
pub(super) fn awaited_again(of: &Connection, delivery: &Delivery) -> Option<&'static str> {
    if delivery.refused_at.is_some() {
        return None;
    }
    match (delivery.publish.qos, delivery.acked_at, delivery.released_at) {
        (2, Some(_), Some(_)) => Some("PUBREL"),
        // The acknowledgement may have come or not.
        (1, Some(_), _) => None,
        (2, Some(_), None) if of.left_at.is_none() => None,
        _ => Some("PUBLISH"),
    }
}

/// Where a delivery went on. PUBREC may have been cut off: then PUBLISH and PUBREL are both right.
pub(super) fn came_again(connection: &Connection, delivery: &Delivery) -> Option<usize> {
    let publish = connection.deliveries.iter().find(|again| {
        again.publish.payload == delivery.publish.payload && again.topic == delivery.topic && again.publish.qos > 0
    });
    let pubrel = connection.pubrels.iter().find(|(_, released)| *released == delivery.publish.id);
    let pubrel = pubrel.filter(|_| delivery.acked_at.is_some()).map(|(at, _)| *at);
    publish.map(|publish| publish.at).or(pubrel)
}
