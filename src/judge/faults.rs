//! What a client has done against the standard, or against what the broker announced: a broker may end its connection for it (5.0,
//! section 4.13). The clients of built-in scenarios do nothing of the kind; those of other histories may.

use super::facts::{Connection, Facts, Publication};
use crate::packet::{Connack, Protocol};
use crate::topic::share_name;

/// True if the client of this connection has broken a rule of 5.0 on it.
pub fn has_one(facts: &Facts, connection: &Connection) -> bool {
    let Some((_, connack)) = connection.connack.as_ref().filter(|_| connection.protocol() == Protocol::V5) else {
        return false;
    };
    // A shared subscription has no No Local (MQTT-3.8.3-4).
    let shares_without_its_own =
        connection.subscribes.iter().any(|own| share_name(&own.filter.filter).is_some() && own.filter.no_local);
    let sent: Vec<&Publication> = facts.publications.iter().filter(|own| is_sent_on(own, connection)).collect();
    // MQTT-3.3.4-7: no more than the broker takes unacknowledged.
    let is_open = |own: &&&Publication| own.qos > 0 && own.accepted.is_none() && own.refused.is_none();
    let exceeds = sent.iter().filter(is_open).count() > connack.receive_maximum.map_or(65_535, usize::from);
    shares_without_its_own || exceeds || sent.iter().any(|own| is_wrong(own, connack))
}

fn is_sent_on(publication: &Publication, connection: &Connection) -> bool {
    !publication.is_will() && publication.sendings.iter().any(|sending| sending.connection == connection.index)
}

/// A PUBLISH that is larger than the broker takes (MQTT-3.2.2-15), under an alias that it does not take (MQTT-3.3.2-9), or to a
/// topic with a wildcard (MQTT-3.3.2-2).
fn is_wrong(publication: &Publication, connack: &Connack) -> bool {
    let is_too_large = connack.maximum_packet_size.is_some_and(|maximum| {
        let payload = publication.bytes.unwrap_or(0);
        payload + publication.topic.len() + publication.properties.bytes_max() >= maximum as usize
    });
    let alias = publication.properties.topic_alias;
    let has_wrong_alias = alias.is_some_and(|alias| alias == 0 || alias > connack.topic_alias_maximum.unwrap_or(0));
    is_too_large || has_wrong_alias || publication.topic.contains(['+', '#'])
}
