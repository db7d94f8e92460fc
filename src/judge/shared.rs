//! Shared subscriptions: each message goes to one client of the group (5.0, section 4.8.2).

use super::finding::{Findings, Rule};
use super::session::Session;
use super::story::{Connection, Delivery, Publication, Story, Subscribing};
use crate::packet::Protocol;
use crate::topic;

const AT_THE_QOS_OF_THE_CLIENT: Rule = Rule { v3: None, v5: Some("MQTT-4.8.2-3") };
const COMPLETED_TO_THE_SAME_CLIENT: Rule = Rule { v3: None, v5: Some("MQTT-4.8.2-4") };
const TO_NOBODY_ELSE_AFTER_THE_SESSION: Rule = Rule { v3: None, v5: Some("MQTT-4.8.2-5") };
const REFUSED_GOES_TO_NOBODY_ELSE: Rule = Rule { v3: None, v5: Some("MQTT-4.8.2-6") };
pub const TO_ONE_CLIENT_OF_THE_GROUP: Rule = Rule { v3: None, v5: Some("4.8.2") };

/// A copy that a shared subscription of this session explains.
struct Share<'a> {
    session: &'a Session<'a>,
    connection: &'a Connection,
    delivery: &'a Delivery,
    subscription: &'a Subscribing,
}

/// Every message on a topic that a group subscribed to.
pub fn check(story: &Story, sessions: &[Session<'_>], findings: &mut Findings) {
    for publication in story.publications.iter().filter(|publication| publication.is_of_experiment()) {
        let shares = shares(sessions, publication);
        for share in &shares {
            qos(share, publication, findings);
        }
        to_one_client(&shares, publication, findings);
        while_away(sessions, &shares, publication, findings);
    }
}

/// The shared subscription to the topic that is in force in a step.
pub fn shared_subscription<'a>(
    session: &Session<'a>,
    publication: &Publication,
    step: usize,
) -> Option<&'a Subscribing> {
    let in_force = session.subscriptions(step).into_iter();
    // A client that subscribes to the topic for itself gets its own copy besides, and nothing tells them apart.
    let own: Vec<&Subscribing> = in_force.filter(|s| topic::matches(&s.filter.filter, &publication.topic)).collect();
    own.iter().all(|subscription| subscription.is_shared()).then(|| own.into_iter().next()).flatten()
}

fn shares<'a>(sessions: &'a [Session<'a>], publication: &Publication) -> Vec<Share<'a>> {
    let mut shares = Vec::new();
    for session in sessions {
        for connection in &session.connections {
            let is_copy = |delivery: &&Delivery| {
                let is_retained_copy = delivery.publish.retain;
                delivery.message == Some(publication.message)
                    && delivery.topic == publication.topic
                    && !is_retained_copy
            };
            // A client that joined the group later is in it too when something comes.
            let own = connection.deliveries.iter().filter(is_copy).filter_map(|delivery| {
                let subscription = shared_subscription(session, publication, delivery.step)?;
                Some(Share { session, connection, delivery, subscription })
            });
            shares.extend(own);
        }
    }
    shares.sort_by_key(|share| (share.delivery.step, share.delivery.at));
    shares
}

fn qos(share: &Share<'_>, publication: &Publication, findings: &mut Findings) {
    let Some(granted) = share.subscription.granted() else { return };
    let (minimum, observed) = (publication.qos.min(granted), share.delivery.publish.qos);
    if observed != minimum {
        let client = &share.connection.client;
        let expected = format!("{} at QoS {minimum}: {client} was granted QoS {granted}", publication.message);
        let events = [publication.at, share.delivery.at];
        findings.broken(Protocol::V5, AT_THE_QOS_OF_THE_CLIENT, &events, expected, format!("QoS {observed}"));
    }
}

/// A message that two clients of the group got: the one that began is to finish, as far as the standard binds the broker.
fn to_one_client(shares: &[Share<'_>], publication: &Publication, findings: &mut Findings) {
    let Some(first) = shares.first() else { return };
    let same_group = |other: &&Share<'_>| {
        other.session.id != first.session.id && other.subscription.filter.filter == first.subscription.filter.filter
    };
    let Some(second) = shares.iter().find(same_group) else { return };
    let (rule, why) = match &first.delivery {
        delivery if delivery.refused_at.is_some() => (REFUSED_GOES_TO_NOBODY_ELSE, "the first refused it"),
        delivery if delivery.publish.qos == 2 && !delivery.complete && has_ended(first.session) => {
            (TO_NOBODY_ELSE_AFTER_THE_SESSION, "the session of the first ended on the way")
        }
        delivery if delivery.publish.qos == 2 && !delivery.complete => {
            (COMPLETED_TO_THE_SAME_CLIENT, "its delivery to the first had begun")
        }
        // At QoS 1 a broker may turn to another client.
        delivery if delivery.publish.qos == 1 && !delivery.complete => return,
        _ => (TO_ONE_CLIENT_OF_THE_GROUP, "the first has it"),
    };
    findings.broken(
        Protocol::V5,
        rule,
        &[publication.at, first.delivery.at, second.delivery.at],
        format!("{} to {} and to nobody else of the group: {why}", publication.message, first.connection.client),
        format!("{} got it too", second.connection.client),
    );
}

/// What the broker does while a client of the group is away.
fn while_away(sessions: &[Session<'_>], shares: &[Share<'_>], publication: &Publication, findings: &mut Findings) {
    let away = |session: &&Session<'_>| {
        shared_subscription(session, publication, publication.step).is_some()
            && session.presence(publication.step) == Some(false)
    };
    let Some(absent) = sessions.iter().find(away) else { return };
    let Some(share) = shares.first() else { return };
    let value = if share.session.id == absent.id { "kept_for_the_absent" } else { "to_another" };
    let known = findings.choices.get("shared_while_away").is_none_or(|known| known == value);
    findings.choice("shared_while_away", if known { value } else { "some_of_each" });
}

/// The session has ended, with its last connection or otherwise.
fn has_ended(session: &Session<'_>) -> bool {
    let last = session.connections.last();
    session.end.is_some() || last.is_some_and(|last| last.ended_in < usize::MAX && !last.session_persists())
}
