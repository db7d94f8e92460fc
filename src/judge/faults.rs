//! A client may break the standard, or exceed what the broker announced, and a broker may end its connection for that (3.1.1, section
//! 4.8; 5.0, section 4.13). The clients of built-in scenarios do nothing of the kind; those of other histories may.

use super::facts::{Connection, Facts, Publication, Sending, Subscribing};
use crate::packet::Connack;
use crate::topic::{is_filter, unshared};

/// True if the client of this connection has broken a rule on it.
pub fn has_one(facts: &Facts, connection: &Connection) -> bool {
    let Some((_, connack)) = &connection.connack else { return false };
    let is_sent_here = |sending: &Sending| sending.connection == connection.index;
    let sent = facts.publications.iter().filter(|own| !own.is_will());
    let sent: Vec<&Publication> = sent.filter(|own| own.sendings.iter().any(is_sent_here)).collect();
    // MQTT-3.3.4-7: no more than the broker takes unacknowledged.
    let is_open = |own: &&&Publication| own.qos > 0 && own.accepted.is_none() && own.refused.is_none();
    let exceeds = sent.iter().filter(is_open).count() > connack.receive_maximum.map_or(65_535, usize::from);
    exceeds || connection.subscribes.iter().any(asks_wrongly) || sent.iter().any(|own| is_wrong(own, connack))
}

/// A filter that is none (section 4.7.1), or No Local on a shared subscription (MQTT-3.8.3-4).
fn asks_wrongly(subscribing: &Subscribing) -> bool {
    !is_filter(unshared(&subscribing.filter.filter)) || subscribing.is_shared() && subscribing.filter.no_local
}

/// A PUBLISH that no client may send (sections 3.3.1 to 3.3.4), or that the broker has said not to take.
fn is_wrong(publication: &Publication, connack: &Connack) -> bool {
    let properties = &publication.properties;
    let is_too_large = connack.maximum_packet_size.is_some_and(|maximum| {
        let payload = publication.bytes.unwrap_or(0);
        payload + publication.topic.len() + properties.bytes_max() >= maximum as usize
    });
    let alias = properties.topic_alias;
    let has_wrong_alias = alias.is_some_and(|alias| alias == 0 || alias > connack.topic_alias_maximum.unwrap_or(0));
    let is_topic = |topic: &str| !topic.is_empty() && !topic.contains(['+', '#']);
    let answers_nowhere = properties.response_topic.as_ref().is_some_and(|topic| !is_topic(topic));
    let is_repeated_at_0 = publication.qos == 0 && publication.sendings.iter().any(|sending| !sending.is_new);
    is_too_large
        || has_wrong_alias
        || answers_nowhere
        || is_repeated_at_0
        || !is_topic(&publication.topic)
        || !properties.subscription_ids.is_empty()
}
