//! Loop-backs and fences are messages like any other: what of them is owed to a session and lost.

use super::{Lost, lost, owed_at, reasons};
use crate::history::Message;
use crate::judge::facts::{Connection, Publication};
use crate::judge::finding::{ATTEMPTS_FOR_AN_ABSENCE, Findings};
use crate::judge::proof::{Evidence, Proof};
use crate::judge::rules;

/// The fence on the experiment's topic is a message like any other: where a subscription is in force, one of QoS 1 or 2 that
/// never comes was lost.
pub fn subscription_lost(evidence: &Evidence<'_, '_>, findings: &mut Findings) {
    // A broker that says it has no session is found out by that.
    for connection in evidence.ledger.session.connections.iter().skip(1).filter(|own| own.session_present()) {
        let Some(fence) = lost_fences(evidence).find(|fence| is_on(fence, connection)) else { continue };
        // The client was waited for: something came in the step of the fence or later, and a settle window passed behind it.
        let step = fence.sent().map_or(usize::MAX, |sent| sent.step);
        let mut later = connection.deliveries.iter().filter(|delivery| delivery.place.step >= step);
        let is_waited_for = later.any(|own| connection.settled.iter().any(|settled| *settled > own.place.at));
        if !is_waited_for || !evidence.time_has_passed_on(connection, connection.opened.at) {
            continue;
        }
        let rule = reasons::rule_of_loss(evidence, &[fence], rules::ADDED_TO_THE_SESSION);
        let events = fence.sent().into_iter().chain(fence.accepted).map(|place| place.at);
        let finding = findings.broken(rule, connection.protocol()).absence().at(events);
        let finding = finding.after_attempts(ATTEMPTS_FOR_AN_ABSENCE);
        let expected = format!("{}: the subscription belongs to the resumed session", fence.message);
        finding.expected(expected).observed("it did not come, although a message on another topic did");
        return;
    }
}

fn is_on(fence: &Publication, connection: &Connection) -> bool {
    fence.sent().is_some_and(|sent| sent.at > connection.opened.at && sent.step < connection.ended_in())
}

/// Accepted fences of QoS 1 or 2 on a subscription of the session that have not come.
pub fn lost_fences<'e, 'a>(evidence: &'e Evidence<'e, 'a>) -> impl Iterator<Item = &'a Publication> + 'e {
    evidence.model.facts.publications.iter().filter(|publication| {
        let session = evidence.ledger.session;
        matches!(publication.message, Message::Fence(_))
            && evidence.model.owed_qos(session, publication).is_some()
            && evidence.model.is_away(session, publication) == Some(false)
            && !evidence.has_come(publication)
            && owed_at(evidence, publication, 2, Proof::Missing("")).is_some()
    })
}

/// The loop-backs and fences that the client should have got while it was there, on a subscription that an earlier message has shown in
/// force: how many they are, and those that a later message has overtaken.
pub fn overtaken<'a>(evidence: &Evidence<'_, 'a>) -> (usize, Vec<Lost<'a>>) {
    let (model, session) = (evidence.model, evidence.ledger.session);
    let is_owed = |publication: &&Publication| {
        matches!(publication.message, Message::LoopBack(_) | Message::Fence(_))
            && model.owed_qos(session, publication).is_some()
            && model.is_away(session, publication) == Some(false)
            && evidence.was_in_force_before(publication)
    };
    let owed: Vec<(&Publication, bool)> =
        model.facts.publications.iter().filter(is_owed).map(|publication| (publication, false)).collect();
    let mut lost = lost(evidence, owed.iter().copied());
    lost.retain(|lost| matches!(lost.proof, Proof::Fence(_)));
    (owed.len(), lost)
}
