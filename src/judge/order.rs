//! Order: what one publisher sent to one topic at one QoS arrives in the order of publication.

use super::deliveries::{Copy, Kind};
use super::finding::{Findings, Rule, rule};
use crate::history::Message;

const IN_THE_ORDER_OF_PUBLICATION: Rule = rule("MQTT-4.6.0-6", "MQTT-4.6.0-5");

/// Looks for the first message that came behind a later one. Only first copies count: after a reconnect 1, 2, 3, 2, 3, 4
/// is in order (section 4.6).
pub fn check(copies: &[Copy<'_>], findings: &mut Findings) {
    let mut seen: Vec<(Message, u8)> = Vec::new();
    let mut firsts: Vec<&Copy<'_>> = Vec::new();
    for copy in copies.iter().filter(|copy| copy.is(Kind::Subscribed)) {
        // Overlapping subscriptions of different QoS bring copies that are ordered each for itself.
        let key = (copy.publication.message, copy.delivery.publish.qos);
        if seen.contains(&key) {
            continue;
        }
        seen.push(key);
        let overtaker = firsts
            .iter()
            .filter(|first| first.publication.is_of_same_source(copy.publication))
            .filter(|first| first.delivery.publish.qos == copy.delivery.publish.qos)
            .find(|first| first.publication.at > copy.publication.at);
        if let Some(overtaker) = overtaker {
            findings.broken(
                copy.connection.protocol(),
                IN_THE_ORDER_OF_PUBLICATION,
                &[copy.publication.at, overtaker.publication.at, overtaker.delivery.at, copy.delivery.at],
                format!("{} before {}", copy.publication.message, overtaker.publication.message),
                format!("{} after {}", copy.publication.message, overtaker.publication.message),
            );
            return;
        }
        firsts.push(copy);
    }
}
