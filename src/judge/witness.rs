//! The witness's own copies are held to the rules of live delivery.

use super::deliveries::{DUP_0_AT_QOS_0, QOS_IS_THE_MINIMUM, RETAIN_0_ON_AN_ESTABLISHED_SUBSCRIPTION};
use super::finding::Findings;
use super::story::{Connection, Story};

/// The witness's copies: it subscribed at QoS 0 before anything was published.
pub fn check(story: &Story, findings: &mut Findings) {
    let Some(protocol) = story.connections.first().map(Connection::protocol) else { return };
    for (at, _, publish) in &story.witnessed {
        let payload = String::from_utf8_lossy(&publish.payload);
        if publish.retain {
            let expected = format!("RETAIN 0 on {payload} to the witness: its subscription was there before");
            findings.broken(protocol, RETAIN_0_ON_AN_ESTABLISHED_SUBSCRIPTION, &[*at], expected, "RETAIN 1");
        }
        if publish.qos > 0 {
            let expected = format!("{payload} to the witness at QoS 0, which is what it was granted");
            findings.broken(protocol, QOS_IS_THE_MINIMUM, &[*at], expected, format!("QoS {}", publish.qos));
        }
        if publish.qos == 0 && publish.dup {
            let expected = format!("DUP 0 on {payload} to the witness: it came at QoS 0");
            findings.broken(protocol, DUP_0_AT_QOS_0, &[*at], expected, "DUP 1");
        }
    }
}
