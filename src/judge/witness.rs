//! The witness's own copies are held to the rules of live delivery: it subscribed at QoS 0 before anything was published.

use super::answers::was_cut;
use super::facts::{Connection, Facts, Publication};
use super::finding::Findings;
use super::rules;
use crate::history::{Event, History, WITNESS};
use crate::results::Verdict;

pub fn check(facts: &Facts, findings: &mut Findings) {
    let Some(protocol) = facts.protocol_of_witness() else { return };
    for (place, publish) in &facts.witnessed {
        let payload = String::from_utf8_lossy(&publish.payload);
        if publish.retain {
            let finding = findings.broken(rules::RETAIN_0_ON_AN_ESTABLISHED_SUBSCRIPTION, protocol).at([place.at]);
            let expected = format!("RETAIN 0 on {payload} to the witness: its subscription was there before");
            finding.expected(expected).observed("RETAIN 1");
        }
        if publish.qos > 0 {
            let finding = findings.broken(rules::QOS_IS_THE_MINIMUM, protocol).at([place.at]);
            let expected = format!("{payload} to the witness at QoS 0, which is what it was granted");
            finding.expected(expected).observed(format!("QoS {}", publish.qos));
        }
        if publish.qos == 0 && publish.dup {
            let finding = findings.broken(rules::DUP_0_AT_QOS_0, protocol).at([place.at]);
            finding.expected(format!("DUP 0 on {payload} to the witness: it came at QoS 0")).observed("DUP 1");
        }
    }
}

/// A broker that restarts ends all connections, and may lose what it kept. The witness is always online, and the end of its
/// connection is the sign of that: what is found in the same attempt accuses nobody, and shows no feature to be lacking.
pub fn excuse(history: &History, facts: &Facts, findings: &mut Findings) {
    let is_lacking = |(verdict, _): &(Verdict, String)| *verdict == Verdict::Unsupported;
    let says_something = !findings.broken.is_empty() || findings.limits.iter().any(is_lacking);
    let reason = match (history.events().any(is_its_end), was_lost_unseen(facts)) {
        _ if !says_something => return,
        (true, _) => {
            "the connection of the witness ended in the middle, as where a broker restarts: what followed accuses nobody"
        }
        (_, true) => {
            "the broker ended a connection whose session was gone then, as where it restarts, and no witness was there: that accuses \
             nobody"
        }
        (false, false) => return,
    };
    findings.broken.clear();
    findings.limits.retain(|limit| !is_lacking(limit));
    findings.limit(Verdict::Inconclusive, reason);
}

/// Nothing came to a witness, although something was accepted; and a session was gone behind the end of a connection for which the
/// client had done nothing.
fn was_lost_unseen(facts: &Facts) -> bool {
    let is_accepted = |own: &Publication| own.accepted.is_some() && !own.is_will();
    let is_blind = facts.witnessed.is_empty() && facts.publications.iter().any(is_accepted);
    let is_gone = |own: &Connection| {
        let later = facts.connections[own.index + 1..].iter().find(|later| later.id == own.id && later.is_accepted());
        own.session_persists() && later.is_some_and(|later| !later.connect.clean && !later.session_present())
    };
    is_blind && facts.connections.iter().any(|own| was_cut(own).is_some() && is_gone(own))
}

/// The end of the witness's connection.
pub fn is_its_end(event: &Event) -> bool {
    matches!(event, Event::Ended(client, _) if **client == *WITNESS)
}
