//! A message that comes more than once: is it the first copy, a resent one, or one too many?

use super::{Copy, Judged, Kind};
use crate::history::Message;
use crate::judge::finding::{ATTEMPTS_FOR_TIMING, Findings, Rule, rule};

const DUP_0_ON_A_FIRST_COPY: Rule = rule("MQTT-3.3.1-3", "MQTT-3.3.1-3");
const DUP_1_ON_A_RESENT_COPY: Rule = rule("MQTT-3.3.1-1", "MQTT-3.3.1-1");
const EXACTLY_ONCE_ON_A_FURTHER_CONNECTION: Rule = rule("MQTT-4.3.3-1", "MQTT-4.3.3-6");
const EXACTLY_ONCE_ON_ONE_CONNECTION: Rule = rule("MQTT-4.3.3-1", "MQTT-4.4.0-1");
const ACKNOWLEDGED_IS_NOT_RESENT: Rule = rule("4.3.2", "MQTT-4.4.0-1");
const AT_MOST_ONCE: Rule = rule("4.3.1", "MQTT-4.4.0-1");
const TAKEN_IN_ONCE: Rule = rule("MQTT-4.3.3-2", "MQTT-4.3.3-10");
const REFUSED_IS_NOT_RESENT: Rule = Rule { v3: None, v5: Some("MQTT-4.4.0-2") };
const RESENT_ONLY_ON_RESUME: Rule = Rule { v3: None, v5: Some("MQTT-4.4.0-1") };
const RESENT_WITH_ITS_IDENTIFIER: Rule = rule("MQTT-4.4.0-1", "MQTT-4.4.0-1");

impl<'a> Judged<'a, '_> {
    /// A copy whose RETAIN flag is wrong is a finding already.
    pub(super) fn repetition(&self, kind: Kind, flag_is_right: bool, findings: &mut Findings) {
        if kind == Kind::Unknown || kind == Kind::Subscribed && !flag_is_right {
            return;
        }
        // Messages of zero bytes cannot be told apart.
        if matches!(self.message(), Message::Clear(_)) {
            return;
        }
        let same = |copy: &&Copy<'a>| copy.publication.message == self.message() && copy.is(kind);
        let dup = self.delivery.publish.dup;
        // What is sent again continues the copy that had its identifier.
        let continued = |copy: &&Copy<'a>| {
            dup && copy.delivery.publish.qos > 0 && copy.delivery.publish.id == self.delivery.publish.id && same(copy)
        };
        let before = self.before.iter().rfind(continued).or_else(|| self.before.iter().rfind(same));
        let Some(before) = before else {
            if dup && self.delivery.publish.qos > 0 && !self.may_have_been_sent_unseen() {
                let expected = format!("DUP 0 on {}: it was never sent to this client before", self.message());
                let events = [self.delivery.at];
                findings.broken_in(
                    ATTEMPTS_FOR_TIMING,
                    self.protocol(),
                    DUP_0_ON_A_FIRST_COPY,
                    &events,
                    expected,
                    "DUP 1",
                );
            }
            return;
        };
        let here = before.connection.opened_at == self.connection.opened_at;
        // Each SUBSCRIBE brings a retained copy of its own, and each overlapping subscription may bring a copy.
        let topic = &self.publication.topic;
        let asked = self.connection.subscribes.iter().any(|s| s.matches(topic) && s.at < self.delivery.at);
        let is_further_copy = match kind {
            Kind::Retained => here || asked && !dup || dup && self.is_unseen_retained_copy(),
            _ => {
                // A cut may have hidden the first sending of one of several.
                let room = self.before.iter().filter(same).count() < self.relation().subscriptions.len();
                room && (!dup || self.may_have_been_sent_unseen() && self.is_new())
            }
        };
        if is_further_copy {
            return;
        }
        let is_new = self.is_new();
        let by_publisher = is_new && self.publication.was_repeated();
        let from_publisher = by_publisher && dup && self.publication.qos == 1 && !self.may_have_been_sent_unseen();
        if let Some(resent) = self.publication.resent.first().filter(|_| from_publisher) {
            let expected = format!("DUP 0 on {}: its publisher sent it again, not the broker", self.message());
            let events = [*resent, self.delivery.at];
            findings.broken(self.protocol(), DUP_0_ON_A_FIRST_COPY, &events, expected, "DUP 1");
            return;
        }
        if before.delivery.refused_at.is_some() && !here {
            let expected = format!("{} no more: the client refused it", self.message());
            let events = [before.delivery.at, self.delivery.at];
            findings.broken(self.protocol(), REFUSED_IS_NOT_RESENT, &events, expected, "it came once more");
        } else if before.is_acknowledged() || before.delivery.refused_at.is_some() || by_publisher {
            self.again(before, findings);
        } else {
            self.resent(before, here, findings);
        }
    }

    /// A cut connection asked more often for the retained message than copies of it were seen.
    fn is_unseen_retained_copy(&self) -> bool {
        let topic = &self.publication.topic;
        let earlier = self.session.connections.iter().filter(|c| c.opened_at < self.connection.opened_at);
        let asked = earlier.flat_map(|c| &c.subscribes).filter(|s| s.matches(topic)).count();
        let seen = |copy: &&Copy<'_>| copy.publication.message == self.message() && copy.kind == Kind::Retained;
        self.may_have_been_sent_unseen() && self.before.iter().filter(seen).count() < asked
    }

    /// No copy of the same delivery: DUP 0, or an identifier of its own. What the publisher sent again may be a new message to
    /// the broker.
    fn is_new(&self) -> bool {
        let publish = &self.delivery.publish;
        let of_it =
            |copy: &Copy<'_>| copy.publication.message == self.message() && copy.delivery.publish.id == publish.id;
        !publish.dup || publish.qos > 0 && !self.before.iter().any(of_it)
    }

    /// An earlier connection ended without DISCONNECT when the message was there already: what the broker had sent then, the
    /// client may never have read.
    fn may_have_been_sent_unseen(&self) -> bool {
        let earlier = self.session.connections.iter().filter(|c| c.opened_at < self.connection.opened_at);
        let mut cut = earlier.filter(|connection| connection.left_at.is_none());
        cut.any(|connection| connection.ended_in >= self.publication.step)
    }

    /// The message was sent before and not acknowledged.
    fn resent(&self, before: &Copy<'_>, here: bool, findings: &mut Findings) {
        let events = [before.delivery.at, self.delivery.at];
        let publish = &self.delivery.publish;
        if publish.qos == 0 {
            return;
        }
        if here && publish.dup {
            let expected = format!("{} again only on a further connection", self.message());
            findings.broken(self.protocol(), RESENT_ONLY_ON_RESUME, &events, expected, "it came again on the same one");
        }
        if !publish.dup {
            let expected = format!("DUP 1 on {}: it was sent before and not acknowledged", self.message());
            findings.broken(self.protocol(), DUP_1_ON_A_RESENT_COPY, &events, expected, "DUP 0");
        } else if !here
            // Of several overlapping subscriptions each may have a copy, one of which came unseen.
            && self.relation().subscriptions.len() == 1
            && !self
                .before
                .iter()
                .any(|copy| copy.publication.message == self.message() && copy.delivery.publish.id == publish.id)
        {
            let expected = format!("{} with the Packet Identifier that it had before", self.message());
            findings.broken(self.protocol(), RESENT_WITH_ITS_IDENTIFIER, &events, expected, "another one");
        }
    }

    /// The message was delivered and acknowledged, and comes once more.
    fn again(&self, first: &Copy<'_>, findings: &mut Findings) {
        let further = first.connection.opened_at != self.connection.opened_at;
        let effective = self.publication.qos.min(self.relation().granted().unwrap_or(2));
        // A broker that delivers by the QoS 2 protocol is held to it, whatever QoS it had granted.
        let by_protocol = if first.delivery.publish.qos == 2 { 2 } else { effective };
        let new = self.is_new();
        let rule = match (self.publication.qos, by_protocol, further) {
            // Duplicates are permitted where QoS 1 is downgraded to 0 (section 3.8.4), and where the publisher sent a QoS
            // 1 message again.
            (1, 0, _) => return,
            (1, ..) if new && !self.publication.resent.is_empty() => return,
            (2, ..) if new && self.publication.was_repeated() => TAKEN_IN_ONCE,
            (_, 2, true) => EXACTLY_ONCE_ON_A_FURTHER_CONNECTION,
            (_, 2, false) => EXACTLY_ONCE_ON_ONE_CONNECTION,
            (_, 1, _) => ACKNOWLEDGED_IS_NOT_RESENT,
            _ => AT_MOST_ONCE,
        };
        let place = if further { "on a further connection" } else { "on the same connection" };
        let mut events = vec![first.delivery.at, self.delivery.at];
        events.extend(self.publication.resent.iter().chain(&self.publication.released_again));
        findings.broken(
            self.protocol(),
            rule,
            &events,
            format!("{} once: {}", self.message(), why_it_is_over(first)),
            format!("it came once more {place}"),
        );
    }
}

/// Why a copy is not to come again.
fn why_it_is_over(copy: &Copy<'_>) -> String {
    let qos = copy.delivery.publish.qos;
    match qos == 2 && copy.delivery.released_at.is_some() {
        true => "its PUBREL had come".into(),
        false => format!("its delivery at QoS {qos} was complete"),
    }
}
