//! A broker that was ended and started again. What it keeps over its own end the standard leaves open, so that it is measured: how much
//! of the sessions and messages is there again. Only a broker that says that a session is present is held to what it has accepted
//! for it.

use std::collections::HashSet;

use super::absences::asks;
use super::deliveries::Ledger;
use super::facts::{Connection, Facts, Outage, Publication};
use super::finding::{ATTEMPTS_FOR_AN_ABSENCE, Findings};
use super::model::Model;
use super::proof::Evidence;
use super::rules::{self, Rule};
use super::session::Session;
use crate::history::{Event, History, Message, PROOF_WILL_TOPIC};
use crate::packet::Packet;
use crate::vocabulary::{Ending, Trouble};

/// The choices of a broker that was stopped in good order, and of one that was killed.
struct Choices {
    kept: &'static str,
    retained: &'static str,
    again: &'static str,
    will: &'static str,
}

const AFTER_STOP: Choices = Choices {
    kept: "after_stop",
    retained: "retained_after_stop",
    again: "delivered_again_after_stop",
    will: "will_after_stop",
};
const AFTER_KILL: Choices = Choices {
    kept: "after_kill",
    retained: "retained_after_kill",
    again: "delivered_again_after_kill",
    will: "will_after_kill",
};
const AFTER_STOP_OF_NODE: Choices = Choices {
    kept: "after_stop_of_node",
    retained: "retained_after_stop_of_node",
    again: "delivered_again_after_stop_of_node",
    will: "will_after_stop_of_node",
};
const AFTER_KILL_OF_NODE: Choices = Choices {
    kept: "after_kill_of_node",
    retained: "retained_after_kill_of_node",
    again: "delivered_again_after_kill_of_node",
    will: "will_after_kill_of_node",
};
const AFTER_PARTITION: Choices = Choices {
    kept: "after_partition",
    retained: "retained_after_partition",
    again: "delivered_again_after_partition",
    will: "will_after_partition",
};
/// The choice about a session whose Session Expiry Interval passed meanwhile.
const EXPIRED_MEANWHILE: &str = "expired_while_the_broker_was_away";

/// One packet breaks these by itself: no state of the broker, older or newer, would make it right.
const BY_ITSELF: &[Rule] = &[
    rules::DUP_0_AT_QOS_0,
    rules::NO_WILDCARD_IN_A_TOPIC,
    rules::A_TOPIC_HAS_A_CHARACTER,
    rules::MAXIMUM_PACKET_SIZE,
    rules::NO_ALIAS_UNASKED,
    rules::NO_ALIAS_ABOVE_THE_MAXIMUM,
    rules::NO_ALIAS_0,
    rules::RECEIVE_MAXIMUM,
    rules::PRESENT_0_AFTER_CLEAN,
    rules::PRESENT_0_WITH_ERROR,
];

/// Measures what was kept, and withdraws the findings that an outage explains.
pub fn check(
    history: &History,
    model: &Model<'_>,
    ledgers: &[Ledger<'_>],
    durable: Option<Ending>,
    findings: &mut Findings,
) {
    let (Some(first), Some(last)) = (model.facts.outages.first(), model.facts.outages.last()) else { return };
    let is_whole = model.facts.outages.iter().any(|own| own.node.is_none());
    let outage = Outage { until: last.until, node: first.node.filter(|_| !is_whole), ..*first };
    excuse(history, model.facts, outage, findings);
    let choices = match (outage.how, outage.node) {
        (Trouble::End(Ending::Stop), None) => AFTER_STOP,
        (Trouble::End(Ending::Kill), None) => AFTER_KILL,
        (Trouble::End(Ending::Stop), Some(_)) => AFTER_STOP_OF_NODE,
        (Trouble::End(Ending::Kill), Some(_)) => AFTER_KILL_OF_NODE,
        (Trouble::Partition, _) => AFTER_PARTITION,
    };
    for ledger in ledgers {
        if let Some(next) = return_of(model.facts, ledger.session, outage) {
            session(model, ledger, next, (outage, &choices, durable), findings);
        }
        retained(model, ledger, (outage, &choices, durable), findings);
    }
    wills(model.facts, &choices, findings);
}

/// The connection that resumes a session behind the outage, if the session was there when it began; other nodes let clients in while one
/// is away.
fn return_of<'a>(facts: &'a Facts, session: &Session<'_>, outage: Outage) -> Option<&'a Connection> {
    let last = session.connections.iter().rfind(|own| own.opened.at < outage.from.at)?;
    let own = facts.connections.iter().filter(|other| *other.id == *session.id && other.is_accepted());
    let next = own.into_iter().find(|other| other.opened.at > last.opened.at)?;
    let is_there = outage.node.is_some() || is_over(outage, next);
    (is_there && last.session_persists() && !next.connect.clean).then_some(next)
}

/// What was ended was there again when this connection was opened.
fn is_over(outage: Outage, next: &Connection) -> bool {
    outage.until.is_some_and(|until| next.opened.at > until.at)
}

/// Measures how much of a session is there again, and of the messages that it is owed.
fn session(
    model: &Model<'_>,
    ledger: &Ledger<'_>,
    next: &Connection,
    (outage, choices, durable): (Outage, &Choices, Option<Ending>),
    findings: &mut Findings,
) {
    let last = ledger.session.connections.iter().rfind(|own| own.opened.at < outage.from.at);
    if last.is_some_and(|last| model.facts.session_has_expired(last, next)) {
        return findings.choice(EXPIRED_MEANWHILE, if next.session_present() { "kept" } else { "gone" });
    }
    // The client has what it has answered, whether the handshake is complete or not.
    let answered = ledger.copies.iter().filter(|copy| copy.delivery.acked.is_some_and(|(at, _)| at < outage.from.at));
    let answered: HashSet<Message> = answered.map(|copy| copy.publication.message).collect();
    let behind = model.facts.connections.iter().filter(|own| own.id == next.id && own.opened.at >= next.opened.at);
    let behind: HashSet<Message> = behind.flat_map(|own| &own.deliveries).filter_map(|own| own.message).collect();
    let accepted = model.facts.publications.iter().filter(|own| {
        let is_before = own.accepted.is_some_and(|accepted| accepted.step < outage.takes_until().step);
        is_before && own.is_of_experiment() && model.owed_qos(ledger.session, own).is_some()
    });
    let (done, stored): (Vec<&Publication>, Vec<&Publication>) =
        accepted.partition(|own| answered.contains(&own.message));
    let came = stored.iter().filter(|own| behind.contains(&own.message)).count();
    let value = match (next.session_present(), came) {
        (true, came) if came == stored.len() => "kept",
        (false, 0) => "lost",
        _ => "partly",
    };
    findings.choice_among(choices.kept, value, "partly");
    if !done.is_empty() {
        let again = done.iter().filter(|own| behind.contains(&own.message)).count();
        findings.choice_among(choices.again, if again == 0 { "none" } else { "some" }, "some");
    }
    // A CONNECT that nobody answered may have ended the session.
    let since = last.map_or(next.index, |last| last.index + 1);
    let mut between = model.facts.connections[since..next.index].iter().filter(|own| own.id == next.id);
    let may_have_ended = between.any(|own| own.connack.is_none() && (own.connect.clean || !own.session_persists()));
    let promise = promise(outage, durable, rules::KEEPS_THE_SESSION).filter(|_| !may_have_ended);
    if let Some((rule, because)) = promise.filter(|_| is_over(outage, next) && !next.session_present()) {
        let connack = next.connack.as_ref().map(|(at, _)| *at);
        let finding = findings.broken(rule, next.protocol());
        let finding = finding.at([outage.from.at, next.opened.at].into_iter().chain(connack));
        let messages = match stored.len() {
            0 => String::new(),
            count => format!(", with {count} messages that were accepted for it"),
        };
        let expected = format!("the session of {}{messages}: {because}", next.client);
        finding.expected(expected).observed("it is gone behind the restart");
    }
}

/// What a loss breaks, if it breaks anything, and why: the standard, where the file of the broker declares that it keeps this.
fn promise(outage: Outage, durable: Option<Ending>, by_standard: Rule) -> Option<(Rule, &'static str)> {
    match outage.how {
        Trouble::End(how) if durable.is_some_and(|durable| how <= durable) => {
            Some((by_standard, "the file of the broker declares that it keeps it"))
        }
        Trouble::End(Ending::Stop) => Some((rules::KEPT_WHEN_STOPPED, "the broker was stopped in good order")),
        Trouble::End(Ending::Kill) | Trouble::Partition => None,
    }
}

/// Whether the wills of those were published whose connections ended with the broker.
fn wills(facts: &Facts, choices: &Choices, findings: &mut Findings) {
    let wills = facts.publications.iter().filter(|own| own.will_of.is_some() && *own.topic != *PROOF_WILL_TOPIC);
    for will in wills {
        let connection = will.will_of.map(|index| &facts.connections[index]);
        let ended = connection.filter(|own| own.left.is_none()).and_then(|own| own.end);
        if ended.is_some_and(|end| facts.ended_with_the_broker(end)) {
            let came = will.witnessed.is_some() || will.accepted.is_some();
            findings.choice_among(choices.will, if came { "published" } else { "dropped" }, "partly");
        }
    }
}

/// Whether retained messages are there again, for those who subscribe behind the outage and are owed them.
fn retained(
    model: &Model<'_>,
    ledger: &Ledger<'_>,
    (outage, choices, durable): (Outage, &Choices, Option<Ending>),
    findings: &mut Findings,
) {
    let Some(until) = outage.until else { return };
    let evidence = Evidence { model, ledger };
    for ask in asks(model, ledger.session).iter().filter(|ask| ask.connection.opened.at > until.at) {
        let is_older = |own: &&Publication| own.sent().is_some_and(|sent| sent.at < outage.from.at);
        if !ask.is_owed(&evidence) || !ask.found.candidates.iter().all(is_older) {
            continue;
        }
        let (connection, asked) = (ask.connection, ask.subscribing.sent.at);
        let mut later = connection.deliveries.iter().filter(|own| own.place.at > asked);
        let came = later.any(|own| own.topic == ask.last().topic && own.publish.retain);
        findings.choice_among(choices.retained, if came { "kept" } else { "lost" }, "partly");
        let promise = promise(outage, durable, rules::RETAINED_TO_A_SUBSCRIPTION);
        if let Some((rule, because)) = promise.filter(|_| !came && ask.time_has_passed(&evidence)) {
            // A copy may come late, and only a broken MUST is worth to start the broker again.
            let attempts = if rule == rules::KEPT_WHEN_STOPPED { 1 } else { ATTEMPTS_FOR_AN_ABSENCE };
            let finding = findings.broken(rule, connection.protocol()).after_attempts(attempts);
            let expected = format!("the retained message of its topic: {because}");
            finding.at([outage.from.at, asked]).expected(expected).observed("it is gone behind the restart");
        }
    }
}

/// Withdraws what the broker may have forgotten, or have gone back to: everything that is not wholly before the outage or wholly behind
/// it, but for messages that a session lacks although the broker says that it is present. Where one node was ended, others have
/// clients meanwhile, and only what is missing behind such a word counts.
fn excuse(history: &History, facts: &Facts, outage: Outage, findings: &mut Findings) {
    if findings.broken.is_empty() {
        return;
    }
    let is_step = |event: &Event| usize::from(matches!(event, Event::Step(_)));
    let sums = history.events().scan(0, |step, event| {
        *step += is_step(event);
        Some(*step)
    });
    let steps: Vec<usize> = sums.collect();
    let newest = outage.takes_until();
    let older = facts.publications.iter().filter(|own| own.sent().is_some_and(|sent| sent.at < newest.at));
    let older: HashSet<Message> = older.map(|own| own.message).collect();
    findings.broken.retain(|finding| {
        let is_before = finding.events.iter().all(|at| steps[*at] < outage.from.step);
        let is_behind = |at: &usize| {
            let begun = outage.until.is_some_and(|until| steps[*at] > until.step);
            begun && !is_of_older((&history.entries[*at].event, *at), facts, &older, outage)
        };
        let is_word = |at: &usize| {
            let connack = history.entries[*at].event.packet();
            *at > newest.at && matches!(connack, Some(Packet::Connack(connack)) if connack.session_present)
        };
        let lacks = finding.is_absence && (outage.node.is_none() || finding.events.iter().any(is_word));
        let is_of = |rule: &Rule| rule.id(finding.protocol) == Some(finding.statement);
        lacks || is_before || BY_ITSELF.iter().any(is_of) || finding.events.iter().all(is_behind)
    });
}

/// The event belongs to a session, or to one of the messages, that the outage may have taken.
fn is_of_older((event, at): (&Event, usize), facts: &Facts, older: &HashSet<Message>, outage: Outage) -> bool {
    let message = match event.packet() {
        Some(Packet::Publish(publish)) => Message::of(&publish.payload),
        _ => None,
    };
    let connection =
        event.client().and_then(|client| facts.connections_of(client).filter(|own| own.opened.at <= at).last());
    // Two parts of a broker may each have had a client under one identifier: which of them stays shows only behind the healing.
    let is_in_doubt = |own: &Connection| outage.how == Trouble::Partition && own.opened.at < outage.takes_until().at;
    message.is_some_and(|message| older.contains(&message))
        || connection.is_some_and(|own| own.session_present() || is_in_doubt(own))
}
