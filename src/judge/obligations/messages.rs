//! Messages: stored for a session whose client is away, delivered to one that is there, retained for one that subscribes,
//! and sent again where the end of a connection cut their handshakes off.

use super::{Duty, Obligation, Outcome, by};
use crate::judge::absences::{ADDED_TO_THE_SESSION, Balance, Proof, STORED_FOR_THE_SESSION, may_be_gone};
use crate::judge::deliveries::kind::{NO_RETAINED_MESSAGES, ONLY_TO_NEW_SUBSCRIPTIONS};
use crate::judge::finding::{Findings, Rule};
use crate::judge::resumed::{awaited_again, came_again};
use crate::judge::session::{Session, retained_topics};
use crate::judge::shared::{TO_ONE_CLIENT_OF_THE_GROUP, shared_subscription};
use crate::judge::story::{Connection, Delivery, Publication, Story, Subscribing};
use crate::judge::window::MAXIMUM_PACKET_SIZE;

impl Balance<'_> {
    /// The experiment's messages that met a subscription of this session.
    pub(super) fn owed_messages(&self, all: &mut Vec<Obligation>) {
        let excused = self.within_queue_limit();
        for publication in self.experiment() {
            let Some(accepted) = publication.accepted else { continue };
            let relation = self.session.relation(publication);
            let Some(connection) = self.connection_at(publication).filter(|_| !relation.is_none()) else { continue };
            let (duty, rule, why) = self.duty_to_deliver(publication, relation.online);
            let what = publication.message.to_string();
            let mut obligation = by(rule, connection.protocol(), accepted, duty, what, why);
            obligation.outcome = match self.outcome(publication, relation.online) {
                Outcome::Broken(_) if excused.contains(&publication.at) => Outcome::Excused,
                Outcome::Broken(_) if duty != Duty::Must => Outcome::Open,
                outcome => outcome,
            };
            all.push(obligation);
        }
    }

    /// How strongly a message is owed, by which rule, to whom and why.
    fn duty_to_deliver(&self, publication: &Publication, online: bool) -> (Duty, Option<Rule>, String) {
        let (client, qos) = (self.session.client, self.effective_qos(publication));
        let verb = if online { "deliver to" } else { "keep for" };
        if self.is_too_large(publication) {
            let why = format!("to {client}: it is larger than its Maximum Packet Size");
            return (Duty::Nothing, Some(MAXIMUM_PACKET_SIZE), why);
        }
        if self.is_owed(publication) {
            return match online {
                true => (Duty::Must, Some(ADDED_TO_THE_SESSION), format!("to {client} at QoS {qos}: it is there")),
                false => {
                    let why = format!("to {client} at QoS {qos}: stored while it is away");
                    (Duty::Must, Some(STORED_FOR_THE_SESSION), why)
                }
            };
        }
        let reason = match (qos, online) {
            (0, true) => "it has QoS 0 for this session, which promises nothing",
            (0, false) => "it has QoS 0 for this session, and the client is away",
            _ => "its Message Expiry Interval may pass before",
        };
        (Duty::May, None, format!("{verb} {client}: {reason}"))
    }

    /// The connection on which, or after which, the message was published.
    fn connection_at(&self, publication: &Publication) -> Option<&Connection> {
        self.session.connections.iter().rfind(|connection| connection.opened_in <= publication.step).copied()
    }

    fn outcome(&self, publication: &Publication, online: bool) -> Outcome {
        if let Some(copy) = self.arrival(publication) {
            return Outcome::Met(copy.delivery.at);
        }
        let due_on = if online { self.connection_at(publication) } else { self.back(publication) };
        match due_on.map(|connection| self.proof(publication, connection)) {
            Some(Proof::Fence(_) | Proof::Time) => Outcome::Broken(None),
            Some(Proof::Missing(_)) | None => Outcome::Open,
        }
    }

    /// Places of the publications that the declared queue limit allowed to drop.
    fn within_queue_limit(&self) -> Vec<usize> {
        let owed: Vec<&Publication> =
            self.experiment().filter(|p| self.session.relation(p).is_away() && self.is_owed(p)).collect();
        let lost: Vec<&Publication> = owed.iter().filter(|publication| !self.has_come(publication)).copied().collect();
        match !lost.is_empty() && self.is_within_queue_limit(&owed, &lost, &mut Findings::default()) {
            true => lost.iter().map(|publication| publication.at).collect(),
            false => Vec::new(),
        }
    }

    /// A fence is a message like any other. It is spoken of only where it shows that a subscription was lost.
    pub(super) fn owed_fences(&self, all: &mut Vec<Obligation>) {
        for connection in self.session.connections.iter().skip(1).filter(|connection| connection.session_present()) {
            let on_it = |fence: &&Publication| (connection.opened_in..connection.ended_in).contains(&fence.step);
            for fence in self.lost_fences().filter(on_it).filter(|_| self.time_has_passed(connection.opened_at)) {
                let Some(accepted) = fence.accepted else { continue };
                let why = format!("to {}: the subscription belongs to the resumed session", connection.client);
                let what = fence.message.to_string();
                let rule = Some(ADDED_TO_THE_SESSION);
                let owed = by(rule, connection.protocol(), accepted, Duty::Must, what, why);
                all.push(Obligation { outcome: Outcome::Broken(None), ..owed });
            }
        }
    }

    /// The retained messages that each SUBSCRIBE finds.
    pub(super) fn owed_retained(&self, all: &mut Vec<Obligation>) {
        for connection in &self.session.connections {
            for subscribe in connection.subscribes.iter().filter(|s| s.granted().is_some() && !s.is_shared()) {
                for publication in retained_topics(self.story, &subscribe.filter.filter, subscribe.step) {
                    all.push(self.retained_copy_of(connection, subscribe, publication));
                }
            }
        }
    }

    fn retained_copy_of(
        &self,
        connection: &Connection,
        subscribe: &Subscribing,
        publication: &Publication,
    ) -> Obligation {
        let client = &connection.client;
        let (duty, rule, why) = if !self.asks_for_retained(subscribe) {
            let (rule, why) = match subscribe.filter.retain_handling {
                1 => (ONLY_TO_NEW_SUBSCRIPTIONS, "Retain Handling is 1, and the subscription existed"),
                _ => (NO_RETAINED_MESSAGES, "Retain Handling is 2"),
            };
            (Duty::Nothing, Some(rule), format!("to {client} because of this SUBSCRIBE: {why}"))
        } else if self.is_too_large(publication) {
            let why = format!("to {client}: it is larger than its Maximum Packet Size");
            (Duty::Nothing, Some(MAXIMUM_PACKET_SIZE), why)
        } else if may_be_gone(publication) {
            (Duty::May, None, format!("send to {client} as the retained message: it need not be kept so long"))
        } else {
            let rule = self.rule_of_retained_loss(subscribe, publication);
            let why = format!("to {client} as the retained message, because of this SUBSCRIBE");
            (Duty::Must, Some(rule), why)
        };
        let what = publication.message.to_string();
        let at = subscribe.suback.map_or(subscribe.at, |(at, _)| at);
        let mut obligation = by(rule, connection.protocol(), at, duty, what, why);
        obligation.outcome = match (self.retained_arrival(connection, subscribe, publication), duty) {
            (Some(copy), Duty::Nothing) => Outcome::Broken(Some(copy.delivery.at)),
            (Some(copy), _) => Outcome::Met(copy.delivery.at),
            (None, Duty::Must) if self.time_has_passed_since(connection, subscribe.at) => Outcome::Broken(None),
            _ => Outcome::Open,
        };
        obligation
    }

    /// What was under way when the connection before ended.
    pub(super) fn owed_again(&self, all: &mut Vec<Obligation>) {
        let resumed = self.session.connections.iter().skip(1).filter(|connection| connection.session_present());
        for connection in resumed {
            for (of, delivery) in self.session.under_way(connection) {
                all.extend(self.again(connection, of, delivery));
            }
        }
    }

    fn again(&self, connection: &Connection, of: &Connection, delivery: &Delivery) -> Option<Obligation> {
        let at = connection.connack.as_ref().map_or(connection.opened_at, |(at, _)| *at);
        let message = delivery.message.map_or_else(|| "the message".into(), |message| message.to_string());
        let (rule, reason) = self.why_not_sent(of, connection, delivery);
        let client = &connection.client;
        let came = came_again(connection, delivery);
        let mut obligation = match awaited_again(of, delivery) {
            Some(packet) => {
                let (what, why) = (format!("{packet} of {message}"), format!("to {client} again: {reason}"));
                by(Some(rule), connection.protocol(), at, Duty::Must, what, why)
            }
            None if delivery.refused_at.is_some() => return None,
            None => {
                let why = format!("send to {client} again: the acknowledgement may not have reached the broker");
                by(None, connection.protocol(), at, Duty::May, message, why)
            }
        };
        obligation.outcome = match came {
            Some(place) => Outcome::Met(place),
            None if obligation.duty == Duty::Must && self.is_absent_again(connection, delivery) => {
                Outcome::Broken(None)
            }
            None => Outcome::Open,
        };
        Some(obligation)
    }
}

/// Messages for shared subscriptions: each to one client of the group.
pub(super) fn to_groups(story: &Story, sessions: &[Session<'_>], all: &mut Vec<Obligation>) {
    for publication in story.publications.iter().filter(|publication| publication.is_of_experiment()) {
        let Some(accepted) = publication.accepted else { continue };
        let sharing: Vec<&Session<'_>> = sessions
            .iter()
            .filter(|session| shared_subscription(session, publication, publication.step).is_some())
            .collect();
        let Some(first) = sharing.first() else { continue };
        let clients: Vec<&str> = sharing.iter().map(|session| session.client).collect();
        let deliveries = sharing.iter().flat_map(|session| &session.connections).flat_map(|c| &c.deliveries);
        let came = deliveries.filter(|delivery| delivery.message == Some(publication.message)).map(|d| d.at).min();
        let why = format!("to one client of the shared subscription: {}", clients.join(" or "));
        let protocol = first.connections[0].protocol();
        let what = publication.message.to_string();
        let owed = by(Some(TO_ONE_CLIENT_OF_THE_GROUP), protocol, accepted, Duty::Must, what, why);
        all.push(Obligation { outcome: came.map_or(Outcome::Open, Outcome::Met), ..owed });
    }
}
