//! What a copy is: live or queued, a retained one, or neither; and whether its being there and its RETAIN flag are right.

use super::{Copy, Judged, Kind, RETAIN_0_ON_AN_ESTABLISHED_SUBSCRIPTION, unsolicited};
use crate::history::Message;
use crate::judge::finding::{Findings, Rule, rule};
use crate::judge::session::{Match, SessionEnd, last_retaining, retained};
use crate::judge::story::{Delivery, Subscribing};
use crate::packet::Protocol;

const RETAIN_1_ON_A_RETAINED_COPY: Rule = rule("MQTT-3.3.1-8", "3.8.3.1");
const RETAIN_AS_PUBLISHED: Rule = Rule { v3: None, v5: Some("MQTT-3.3.1-13") };
const STORED_WITH_ITS_QOS: Rule = rule("MQTT-3.3.1-5", "MQTT-3.3.1-5");
const RETAIN_0_IS_NOT_STORED: Rule = rule("MQTT-3.3.1-12", "MQTT-3.3.1-8");
const THE_LAST_RETAINED_MESSAGE: Rule = rule("MQTT-3.3.1-6", "MQTT-3.3.1-5");
const QOS_0_REPLACES_TOO: Rule = rule("MQTT-3.3.1-7", "MQTT-3.3.1-5");
const AN_EMPTY_MESSAGE_CLEARS: Rule = rule("MQTT-3.3.1-10", "MQTT-3.3.1-6");
const AN_EMPTY_MESSAGE_IS_NOT_STORED: Rule = rule("MQTT-3.3.1-11", "MQTT-3.3.1-7");
pub const ONLY_TO_NEW_SUBSCRIPTIONS: Rule = Rule { v3: None, v5: Some("MQTT-3.3.1-10") };
pub const NO_RETAINED_MESSAGES: Rule = Rule { v3: None, v5: Some("MQTT-3.3.1-11") };
const NOT_TO_SHARED_SUBSCRIPTIONS: Rule = Rule { v3: None, v5: Some("4.8.2") };
pub const A_DISCARDED_SESSION_IS_NOT_USED: Rule = rule("MQTT-3.1.2-6", "MQTT-3.1.2-4");
pub const AN_EXPIRED_SESSION_IS_NOT_USED: Rule = Rule { v3: None, v5: Some("MQTT-4.1.0-2") };
const UNSUBSCRIBE_STOPS: Rule = rule("MQTT-3.10.4-2", "MQTT-3.10.4-2");
const UNSUBSCRIBE_DELETES: Rule = rule("MQTT-3.10.4-1", "MQTT-3.10.4-1");
const NOT_TO_ITS_OWN_PUBLISHER: Rule = Rule { v3: None, v5: Some("MQTT-3.8.3-3") };

impl<'a> Judged<'a, '_> {
    /// Says what the copy is, and whether its RETAIN flag belongs to that.
    pub(super) fn kind(&self, findings: &mut Findings) -> (Kind, bool) {
        let relation = self.relation();
        if relation.is_none() && self.is_shared() {
            return (self.shared(findings), true);
        }
        // The SUBSCRIBE on this connection that the copy may be the consequence of.
        let subscribe = self
            .connection
            .subscribes
            .iter()
            .rfind(|subscribe| subscribe.matches(&self.publication.topic) && subscribe.at < self.delivery.at);
        let flag = self.delivery.publish.retain;
        if relation.is_none() && self.of_own_publisher(subscribe, findings) {
            return (Kind::Unknown, true);
        }
        if flag && subscribe.is_none() && self.continues_a_retained_copy() {
            return (Kind::Retained, true);
        }
        if flag && self.is_forwarded_as_published(&relation, subscribe) {
            self.qos(&relation.subscriptions, findings);
            return (Kind::Subscribed, true);
        }
        let kind = match (flag, subscribe) {
            (true, None) => self.flagged_without_subscribe(&relation, findings),
            (true, Some(subscribe)) => self.flagged(subscribe, &relation, findings),
            (false, subscribe) => self.unflagged(subscribe, &relation, findings),
        };
        let keeps_flag = self.publication.retain && relation.subscriptions.iter().all(|s| s.filter.retain_as_published);
        if !flag && kind == Kind::Subscribed && keeps_flag {
            let events = [self.publication.at, self.delivery.at];
            let expected = format!("RETAIN 1 on {}, as it was published", self.message());
            findings.broken(self.protocol(), RETAIN_AS_PUBLISHED, &events, expected, "RETAIN 0");
        }
        (kind, flag == (kind == Kind::Retained))
    }

    /// A retained copy of an earlier connection is sent again, under its identifier.
    fn continues_a_retained_copy(&self) -> bool {
        let publish = &self.delivery.publish;
        let is_it = |copy: &Copy<'_>| {
            copy.publication.message == self.message()
                && copy.kind == Kind::Retained
                && copy.delivery.publish.id == publish.id
                && !copy.is_acknowledged()
        };
        publish.dup && publish.qos > 0 && self.before.iter().any(is_it)
    }

    /// A subscription with Retain As Published 1 explains the flag: no SUBSCRIBE can have brought the copy, or none of
    /// that subscription came before and nothing behind it has.
    fn is_forwarded_as_published(&self, relation: &Match<'a>, subscribe: Option<&Subscribing>) -> bool {
        let with_flag = relation.subscriptions.iter().filter(|s| s.filter.retain_as_published).count();
        if !self.publication.retain || with_flag == 0 {
            return false;
        }
        let same = |copy: &&Copy<'_>| copy.publication.message == self.message() && copy.kind == Kind::Subscribed;
        let is_due = self.before.iter().filter(same).count() < with_flag;
        match subscribe.filter(|s| s.step > self.publication.step && self.is_retained_at(s)) {
            None => true,
            Some(_) if self.not_asked_for().is_some() => is_due,
            Some(_) => is_due && !self.later_has_come(),
        }
    }

    /// A shared subscription of this session matches the topic, and no other explains the copy.
    fn is_shared(&self) -> bool {
        let own = self.connection.subscribes.iter().filter(|subscribe| subscribe.at < self.delivery.at);
        let in_force = self.session.subscriptions(self.publication.step);
        let mut matching =
            own.chain(in_force).filter(|s| crate::topic::matches(&s.filter.filter, &self.publication.topic)).peekable();
        matching.peek().is_some() && matching.all(Subscribing::is_shared)
    }

    /// What came for a shared subscription is judged for the whole group; only a retained copy is out of place.
    fn shared(&self, findings: &mut Findings) -> Kind {
        let before = self.connection.subscribes.iter().all(|s| s.step > self.publication.step);
        if self.delivery.publish.retain && before {
            let expected = format!("no retained message for a shared subscription, so not {}", self.message());
            let events = [self.publication.at, self.delivery.at];
            findings.broken(self.protocol(), NOT_TO_SHARED_SUBSCRIPTIONS, &events, expected, "it came with RETAIN 1");
        }
        Kind::Shared
    }

    /// RETAIN 1 on a connection that has not subscribed.
    fn flagged_without_subscribe(&self, relation: &Match<'a>, findings: &mut Findings) -> Kind {
        if self.resumes_a_retained_copy() {
            return Kind::Retained;
        }
        // Retained messages are part of no session, so this one says nothing about a discarded session either.
        if relation.is_none() && self.publication.retain {
            unsolicited(self.sessions, self.connection, &[self.delivery], findings);
            return Kind::Unknown;
        }
        findings.broken(
            self.protocol(),
            RETAIN_0_ON_AN_ESTABLISHED_SUBSCRIPTION,
            &[self.publication.at, self.delivery.at],
            format!("RETAIN 0 on {}: no SUBSCRIBE on this connection asked for a retained message", self.message()),
            "RETAIN 1",
        );
        if !relation.is_none() {
            self.qos(&relation.subscriptions, findings);
            return Kind::Subscribed;
        }
        self.of_ended_session(findings);
        Kind::Unknown
    }

    /// RETAIN 1 after a SUBSCRIBE.
    fn flagged(&self, subscribe: &'a Subscribing, relation: &Match<'a>, findings: &mut Findings) -> Kind {
        let events = [self.publication.at, subscribe.at, self.delivery.at];
        let live = self.publication.step >= subscribe.step;
        if !live && relation.subscriptions.iter().any(|subscription| self.was_queued(subscription, subscribe)) {
            if relation.subscriptions.iter().any(|subscription| subscription.filter.retain_as_published) {
                return Kind::Subscribed;
            }
            let expected = format!("RETAIN 0 on {}: it was queued for the session", self.message());
            findings.broken(self.protocol(), RETAIN_0_ON_AN_ESTABLISHED_SUBSCRIPTION, &events, expected, "RETAIN 1");
            self.qos(&relation.subscriptions, findings);
            return Kind::Subscribed;
        }
        if live {
            let expected = format!("RETAIN 0 on {}: it was published after the SUBSCRIBE", self.message());
            findings.broken(self.protocol(), RETAIN_0_ON_AN_ESTABLISHED_SUBSCRIPTION, &events, expected, "RETAIN 1");
        } else {
            self.as_retained(subscribe, &events, findings);
        }
        match relation.is_none() {
            false if live => {
                self.qos(&relation.subscriptions, findings);
                Kind::Subscribed
            }
            _ => {
                let asked = self.retained_by(subscribe);
                self.qos_by(&asked, Some(STORED_WITH_ITS_QOS), findings);
                Kind::Retained
            }
        }
    }

    /// The SUBSCRIBEs of this connection that may have brought a retained copy.
    fn retained_by(&self, newest: &'a Subscribing) -> Vec<&'a Subscribing> {
        let topic = &self.publication.topic;
        let own = self.connection.subscribes.iter().filter(|s| s.matches(topic) && s.at < self.delivery.at);
        std::iter::once(newest).chain(own.filter(|s| s.at != newest.at || s.place != newest.place)).collect()
    }

    /// A retained message because of a SUBSCRIBE: is it the one that is retained, and was it asked for?
    fn as_retained(&self, subscribe: &Subscribing, events: &[usize], findings: &mut Findings) {
        let protocol = self.protocol();
        if let Message::Clear(_) = self.message() {
            let expected = "no retained message with a payload of zero bytes";
            findings.broken(protocol, AN_EMPTY_MESSAGE_IS_NOT_STORED, events, expected, "one came");
        } else if !self.publication.retain {
            let expected = format!("{} is not retained: it was published with RETAIN 0", self.message());
            findings.broken(protocol, RETAIN_0_IS_NOT_STORED, events, expected, "it came as a retained message");
        } else if !self.retained_by_any() {
            let last = last_retaining(self.story, &self.publication.topic, subscribe.step);
            let rule = match last {
                Some(last) if matches!(last.message, Message::Clear(_)) => AN_EMPTY_MESSAGE_CLEARS,
                Some(last) if last.qos == 0 => QOS_0_REPLACES_TOO,
                _ => THE_LAST_RETAINED_MESSAGE,
            };
            let last = retained(self.story, &self.publication.topic, subscribe.step);
            let last = last.map_or("none".into(), |publication| publication.message.to_string());
            let expected = format!("the last retained message of the topic, which is {last}");
            findings.broken(protocol, rule, events, expected, format!("{}", self.message()));
        } else if let Some((rule, why)) = self.not_asked_for() {
            findings.broken(
                protocol,
                rule,
                events,
                format!("not the retained message {}: {why}", self.message()),
                "it came",
            );
        }
    }

    /// It was the retained message when some SUBSCRIBE of this connection was made: its copy may come late.
    fn retained_by_any(&self) -> bool {
        let topic = &self.publication.topic;
        let own = self.connection.subscribes.iter().filter(|s| s.matches(topic) && s.at < self.delivery.at);
        own.into_iter().any(|subscribe| self.is_retained_at(subscribe))
    }

    /// Why no SUBSCRIBE of this connection asks for a retained message, if none does.
    fn not_asked_for(&self) -> Option<(Rule, &'static str)> {
        let topic = &self.publication.topic;
        let own = self.connection.subscribes.iter().filter(|s| s.matches(topic) && s.at < self.delivery.at);
        let mut why = None;
        for subscribe in own {
            why = match subscribe.filter.retain_handling {
                2 => Some((NO_RETAINED_MESSAGES, "Retain Handling is 2")),
                1 if self.session.had_subscription(subscribe) => {
                    Some((ONLY_TO_NEW_SUBSCRIPTIONS, "Retain Handling is 1, and the subscription existed"))
                }
                _ => return None,
            };
        }
        why
    }

    /// RETAIN 0: live or queued, or a retained copy without its flag.
    fn unflagged(&self, subscribe: Option<&'a Subscribing>, relation: &Match<'a>, findings: &mut Findings) -> Kind {
        let asked = subscribe.filter(|_| self.not_asked_for().is_none());
        let owed_retained = asked.filter(|subscribe| self.is_retained_at(subscribe));
        // Each overlapping subscription may bring a copy.
        let same = |copy: &&Copy<'_>| copy.publication.message == self.message() && copy.kind == Kind::Subscribed;
        let came_before = self.before.iter().filter(same).count() >= relation.subscriptions.len().max(1);
        match (relation.is_none(), owed_retained) {
            (false, None) => {
                self.qos(&relation.subscriptions, findings);
                Kind::Subscribed
            }
            (false, Some(subscribe)) if !came_before && !self.is_fenced() => {
                let mut subscriptions = relation.subscriptions.clone();
                subscriptions.push(subscribe);
                self.qos(&subscriptions, findings);
                Kind::Subscribed
            }
            (false, Some(_)) if self.retained_copies_are_there() => {
                self.qos(&relation.subscriptions, findings);
                Kind::Subscribed
            }
            (_, Some(subscribe)) if self.was_routed_before(subscribe) && !self.retained_copies_are_there() => {
                let events = [self.publication.at, subscribe.at, self.delivery.at];
                let expected = format!("RETAIN 1 on {}: it was sent because of the SUBSCRIBE", self.message());
                findings.broken(self.protocol(), RETAIN_1_ON_A_RETAINED_COPY, &events, expected, "RETAIN 0");
                self.qos(&[subscribe], findings);
                Kind::Retained
            }
            // What the broker had not routed before the return may legally reach a new subscription live.
            _ if subscribe.is_some_and(|subscribe| {
                self.publication.step < subscribe.step && !self.was_routed_before(subscribe)
            }) =>
            {
                Kind::Unknown
            }
            _ => {
                if !self.of_ended_subscription(findings) && !self.of_ended_session(findings) {
                    unsolicited(self.sessions, self.connection, &[self.delivery], findings);
                }
                Kind::Unknown
            }
        }
    }

    /// Each SUBSCRIBE of this connection has its copy with RETAIN 1, so that one without it has come for another reason.
    /// With Retain As Published the flag tells nothing.
    fn retained_copies_are_there(&self) -> bool {
        let flagged = |delivery: &&Delivery| delivery.message == Some(self.message()) && delivery.publish.retain;
        let mut own = self.connection.subscribes.iter().filter(|s| s.matches(&self.publication.topic));
        let count = own.clone().count();
        self.connection.deliveries.iter().filter(flagged).count() >= count && !own.any(|s| s.filter.retain_as_published)
    }

    /// A later message of the same source has come on this connection, so nothing of its queue is left; unless the
    /// retained copy is there too, which leaves only the queue to explain this one.
    fn is_fenced(&self) -> bool {
        let flagged = |delivery: &Delivery| delivery.message == Some(self.message()) && delivery.publish.retain;
        !self.connection.deliveries.iter().any(flagged) && self.later_has_come()
    }

    /// A later message of the same source has come on this connection.
    fn later_has_come(&self) -> bool {
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
        if self.before.iter().rfind(same).is_some_and(Copy::is_acknowledged) && !self.delivery.publish.dup {
            return false;
        }
        let earlier = self.session.connections.iter().filter(|c| c.opened_at < self.connection.opened_at);
        let mut subscribes = earlier.flat_map(|connection| &connection.subscribes);
        subscribes.any(|subscribe| subscribe.matches(&self.publication.topic) && self.is_retained_at(subscribe))
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
        let topic = &self.publication.topic;
        let own = self.connection.subscribes.iter().filter(|s| s.matches(topic) && s.at < self.delivery.at);
        !self.is_retained_at(subscribe) || copies >= own.count()
    }

    fn is_retained_at(&self, subscribe: &Subscribing) -> bool {
        retained(self.story, &self.publication.topic, subscribe.step)
            .is_some_and(|publication| publication.message == self.message())
    }

    /// The witness had its copy before the step of the SUBSCRIBE, so a new subscription cannot get it live. What its
    /// publisher sent again may be routed again, at any time after that.
    fn was_routed_before(&self, subscribe: &Subscribing) -> bool {
        let is_settled = !self.publication.was_repeated();
        is_settled && self.publication.witnessed_in.is_some_and(|step| step < subscribe.step)
            || !matches!(self.message(), Message::Experiment(_))
    }

    /// The client published it itself, and each subscription that matches it has No Local.
    fn of_own_publisher(&self, subscribe: Option<&Subscribing>, findings: &mut Findings) -> bool {
        let subscriptions = self.session.subscriptions(self.publication.step);
        let is_own = self.publication.publisher_id == self.session.id
            && subscriptions.iter().any(|s| s.matches(&self.publication.topic) && s.filter.no_local);
        // A retained message of its own is another matter.
        let is_retained = self.delivery.publish.retain && subscribe.is_some_and(|s| self.is_retained_at(s));
        if is_own && !is_retained {
            let expected =
                format!("not {}: {} published it, and asked for No Local", self.message(), self.session.client);
            let events = [self.publication.at, self.delivery.at];
            findings.broken(self.protocol(), NOT_TO_ITS_OWN_PUBLISHER, &events, expected, "it came");
        }
        is_own && !is_retained
    }

    /// It was published after an UNSUBSCRIBE was acknowledged.
    fn of_ended_subscription(&self, findings: &mut Findings) -> bool {
        let ended = self.session.unsubscribed(&self.publication.topic, self.publication.step);
        let Some((connection, at)) = ended else { return false };
        let here = connection.ended_in >= self.publication.step;
        let rule = if here { UNSUBSCRIBE_STOPS } else { UNSUBSCRIBE_DELETES };
        findings.broken(
            self.protocol(),
            rule,
            &[at, self.publication.at, self.delivery.at],
            format!("not {}: it was published after UNSUBSCRIBE", self.message()),
            "it came",
        );
        true
    }

    /// A copy that only a session of this client that has ended explains.
    fn of_ended_session(&self, findings: &mut Findings) -> bool {
        // Also what was published after the end would come from the subscription of that session.
        // That the broker still has a session which it denies is found out by its Session Present.
        let is_denied = self.sessions.iter().any(|session| {
            let lost = matches!(session.end, Some(SessionEnd::Lost(_)));
            session.id == self.session.id && lost && session.had_subscribed(&self.publication.topic)
        });
        if is_denied {
            return true;
        }
        let ended = self.sessions.iter().find(|session| {
            let has_ended = matches!(session.end, Some(SessionEnd::Discarded | SessionEnd::Expired(_)));
            session.id == self.session.id && has_ended && session.had_subscribed(&self.publication.topic)
        });
        let Some(ended) = ended else { return false };
        let mut events = vec![self.publication.at, self.connection.opened_at, self.delivery.at];
        let (rule, why) = match ended.end {
            Some(SessionEnd::Expired(at)) => {
                events.push(at);
                (AN_EXPIRED_SESSION_IS_NOT_USED, "nothing: the session that had subscribed has expired")
            }
            // Without a clean start only the Session Expiry Interval of 0 has ended it.
            _ if !self.connection.connect.clean && self.protocol() == Protocol::V5 => {
                (AN_EXPIRED_SESSION_IS_NOT_USED, "nothing: the session that had subscribed ended with its connection")
            }
            _ => (A_DISCARDED_SESSION_IS_NOT_USED, "nothing: the session that had subscribed was discarded"),
        };
        let observed = format!("{} at QoS {}", self.message(), self.delivery.publish.qos);
        findings.broken(self.protocol(), rule, &events, why, observed);
        true
    }
}
