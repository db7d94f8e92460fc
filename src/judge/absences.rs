//! Messages that are owed and did not come: stored ones, live ones, and fences on a subscription that was lost.

mod controls;
mod limit;
mod reasons;
mod retained;

use super::deliveries::Ledger;
use super::facts::{Connection, Outage, Publication};
use super::finding::{ATTEMPTS_FOR_AN_ABSENCE, Findings, names};
use super::model::Model;
use super::proof::{Evidence, Proof};
use super::rules::{self, Rule};
use super::{subscriptions, wills};
use crate::history::{Event, History, Message};
use crate::results::Verdict;
use crate::scenario::Verb;

pub use controls::lost_fences;
pub use limit::SuspectedLimit;
pub use retained::asks;

/// A message that is owed to a session and did not come.
pub struct Lost<'a> {
    pub publication: &'a Publication,
    /// At this QoS for the session.
    pub qos: u8,
    /// The client was away when it was routed.
    pub away: bool,
    /// The connection on which it was due: the one that was open, or the next.
    pub due: &'a Connection,
    pub proof: Proof,
}

impl Lost<'_> {
    /// True if the history proves that it does not come.
    fn is_proven(&self) -> bool {
        self.control().is_none()
    }

    /// The control that is missing for a proof, as half a sentence.
    fn control(&self) -> Option<&'static str> {
        match self.proof {
            Proof::Missing(control) => Some(control),
            Proof::Fence(_) | Proof::Time(_) => None,
        }
    }
}

/// Everything that is owed to a session, and what of it did not come.
pub fn check(model: &Model<'_>, ledger: &Ledger<'_>, queue_limit: Option<u32>, findings: &mut Findings) {
    let evidence = Evidence { model, ledger };
    let owed: Vec<(&Publication, bool)> = owed(&evidence).collect();
    let lost: Vec<Lost<'_>> = lost(&evidence, owed.iter().copied());
    let (away, live): (Vec<Lost<'_>>, Vec<Lost<'_>>) = lost.into_iter().partition(|lost| lost.away);
    let owed_away: Vec<&Publication> =
        owed.iter().filter(|(_, away)| *away).map(|(publication, _)| *publication).collect();
    let lost_away: Vec<&Publication> = away.iter().map(|lost| lost.publication).collect();
    let unproven = away.iter().chain(&live).find(|lost| !lost.is_proven());
    let unproven = unproven.map(|lost| lost.publication).or_else(|| lost_fences(&evidence).next());
    // Nobody knows yet whether the others were dropped.
    let proven_away: Vec<&Publication> =
        away.iter().filter(|lost| lost.is_proven()).map(|lost| lost.publication).collect();
    let mut is_within = |lost: &[&Publication]| limit::is_within(&evidence, &owed_away, lost, queue_limit, findings);
    if !is_within(&lost_away) && !is_within(&proven_away) {
        queued(&evidence, &owed_away, &away, findings);
    }
    if away.is_empty() {
        controls::subscription_lost(&evidence, findings);
    }
    let live_owed = owed.iter().filter(|(_, away)| !*away).count();
    missing_live(&evidence, live_owed, &live, findings);
    let (owed, lost) = controls::overtaken(&evidence);
    missing_live(&evidence, owed, &lost, findings);
    qos_0_choices(&evidence, findings);
    retained::check(&evidence, findings);
    held_up(&evidence, unproven, findings);
    open_will(&evidence, &live, findings);
}

/// The broker has published a will, and a client that was there does not have it yet: it has no fence behind it, as messages of the
/// experiment have.
fn open_will(evidence: &Evidence<'_, '_>, live: &[Lost<'_>], findings: &mut Findings) {
    let is_open = |lost: &&Lost<'_>| lost.publication.is_will() && !lost.is_proven();
    let Some(will) = live.iter().find(is_open).filter(|_| findings.limits.is_empty()) else { return };
    let (message, client) = (will.publication.message, evidence.ledger.session.client);
    let reason = format!("{message} was published and has not come to {client}; nothing shows that it does not");
    findings.limit(Verdict::Inconclusive, reason);
}

/// A message has not come, and would be missed if the harness had not been held up while the client waited for it.
fn held_up(evidence: &Evidence<'_, '_>, unproven: Option<&Publication>, findings: &mut Findings) {
    let is_void = evidence.ledger.session.connections.last().is_some_and(|last| evidence.is_void(last));
    let Some(unproven) = unproven.filter(|_| is_void && findings.limits.is_empty() && findings.broken.is_empty())
    else {
        return;
    };
    let (message, client) = (unproven.message, evidence.ledger.session.client);
    let reason = format!("{message} has not come to {client}, but the harness was late, too");
    findings.limit(Verdict::Inconclusive, reason);
}

/// The experiment's messages that the standard orders to give to the session, and whether its client was away.
pub fn owed<'e, 'a>(evidence: &'e Evidence<'e, 'a>) -> impl Iterator<Item = (&'a Publication, bool)> + 'e {
    let (model, session) = (evidence.model, evidence.ledger.session);
    let experiment = model.facts.publications.iter().filter(|p| p.is_of_experiment() || p.is_will());
    experiment.filter_map(move |publication| {
        model.owed_qos(session, publication)?;
        Some((publication, model.is_away(session, publication)?))
    })
}

/// What of these messages did not come, with the proof. What was queued for a subscription may be dropped when that ends (section
/// 3.10.4), unless the proof was there before.
pub fn lost<'a>(evidence: &Evidence<'_, 'a>, owed: impl Iterator<Item = (&'a Publication, bool)>) -> Vec<Lost<'a>> {
    let mut all = Vec::new();
    for (publication, away) in owed.filter(|(publication, _)| !evidence.has_come(publication)) {
        let Some(due) = due(evidence, publication, away) else { continue };
        let Some(qos) = evidence.model.owed_qos(evidence.ledger.session, publication) else { continue };
        let proof = evidence.proof(publication, qos, due);
        if let Some(qos) = owed_at(evidence, publication, qos, proof) {
            all.push(Lost { publication, qos, away, due, proof });
        }
    }
    all
}

/// The first message that is owed, and the client that should get it, if nothing is judged: of all that is owed to sessions that
/// are still there nothing has come in a step that waits for it, and nothing shows that it does not.
pub fn unjudged<'a>(
    history: &History,
    model: &Model<'a>,
    ledgers: &[Ledger<'a>],
) -> Option<(&'a Publication, &'a str)> {
    let mut first = None;
    for ledger in ledgers.iter().filter(|ledger| ledger.session.end.is_none()) {
        let evidence = Evidence { model, ledger };
        // What an UNSUBSCRIBE has ended is owed no more.
        let is_owed = |publication: &Publication| owed_at(&evidence, publication, 2, Proof::Missing("")).is_some();
        let owed: Vec<(&Publication, bool)> = owed(&evidence).filter(|(publication, _)| is_owed(publication)).collect();
        let lost = lost(&evidence, owed.iter().copied());
        let has_come = owed.iter().any(|(publication, _)| evidence.has_come(publication));
        if has_come && (lost.is_empty() || is_waited_for(history, ledger)) || lost.iter().any(Lost::is_proven) {
            return None;
        }
        let missing = owed.iter().find(|(publication, _)| !evidence.has_come(publication));
        first = first.or(missing.map(|(publication, _)| (*publication, ledger.session.client)));
    }
    first
}

/// A step waits for what comes on the last connection of the session, if that is a return.
fn is_waited_for(history: &History, ledger: &Ledger<'_>) -> bool {
    let Some(last) = ledger.session.connections.last() else { return false };
    if !ledger.session.is_resumed_by(last) {
        return true;
    }
    let ends = format!(" {} {}", Verb::Receive, last.client);
    let mut steps = history.events().skip(last.opened.at);
    steps.any(|event| matches!(event, Event::Step(step) if step.ends_with(&ends)))
}

/// The connection on which a message is due.
fn due<'a>(evidence: &Evidence<'_, 'a>, publication: &Publication, away: bool) -> Option<&'a Connection> {
    let sent = publication.sent()?;
    let mut connections = evidence.ledger.session.connections.iter();
    let due = if away {
        connections.find(|connection| connection.opened.step > sent.step)
    } else {
        connections.rfind(|connection| connection.opened.step <= sent.step)
    };
    due.copied()
}

/// The QoS at which it is still owed when the proof is there: by the subscriptions that had not ended by then.
fn owed_at(evidence: &Evidence<'_, '_>, publication: &Publication, qos: u8, proof: Proof) -> Option<u8> {
    let by = match proof {
        Proof::Fence(at) | Proof::Time(at) => at,
        Proof::Missing(_) => usize::MAX,
    };
    let ended = |end: super::session::SubscriptionEnd| end.by_unsubscribe && end.sent.at < by;
    let met = evidence.model.met(evidence.ledger.session, publication);
    let is_left = |filter: &&super::session::InForce<'_>| {
        let versions = filter.versions.iter().chain(&filter.later);
        !versions.into_iter().any(|version| version.end.is_some_and(ended))
    };
    let left = met.iter().filter(is_left).map(|filter| filter.least_qos(publication.qos)).max()?;
    (left > 0).then_some(left.min(qos))
}

/// True if the declared queue limit allowed the broker to drop what is missing.
pub fn is_excused(
    evidence: &Evidence<'_, '_>,
    owed: &[(&Publication, bool)],
    lost: &[Lost<'_>],
    queue_limit: Option<u32>,
) -> bool {
    let away: Vec<&Publication> = owed.iter().filter(|(_, away)| *away).map(|(publication, _)| *publication).collect();
    let lost: Vec<&Publication> = lost.iter().filter(|lost| lost.away).map(|lost| lost.publication).collect();
    limit::is_within(evidence, &away, &lost, queue_limit, &mut Findings::default())
}

fn messages(lost: &[&Lost<'_>]) -> Vec<Message> {
    lost.iter().map(|lost| lost.publication.message).collect()
}

/// The messages that were stored for the session while its client was away.
fn queued(evidence: &Evidence<'_, '_>, owed: &[&Publication], lost: &[Lost<'_>], findings: &mut Findings) {
    let Some(first) = lost.first() else { return };
    let all: Vec<&Lost<'_>> = lost.iter().collect();
    let client = evidence.ledger.session.client;
    let expected = format!(
        "{} of {} accepted messages at QoS {} that were published while {client} was away",
        owed.len(),
        owed.len(),
        first.qos
    );
    let sent = first.publication.sent();
    let expected = match sent.and_then(|sent| evidence.model.facts.outage_between(sent, first.due.opened)) {
        Some(Outage { node: None, .. }) => {
            format!("{expected}: behind its restart the broker says that the session is present")
        }
        Some(_) => format!("{expected}: behind the end of a node the broker says that the session is present"),
        None => expected,
    };
    let publications: Vec<&Publication> = lost.iter().map(|lost| lost.publication).collect();
    // It is no queue limit where something else is seen to be the cause.
    let is_usual =
        reasons::rule_of_loss(evidence, &publications, rules::STORED_FOR_THE_SESSION) == rules::STORED_FOR_THE_SESSION;
    let guess = if is_usual { limit::looks_like_one(evidence, owed, &publications) } else { None };
    let proven: Vec<&Lost<'_>> = lost.iter().filter(|lost| lost.is_proven()).collect();
    let named = if proven.is_empty() { &all } else { &proven };
    let observed = format!("{} missing: {}", named.len(), names(&messages(named)));
    if let Some(control) = first.control().filter(|_| proven.is_empty()) {
        // To a client that withholds its acknowledgements the rest may still be to come.
        let last = evidence.ledger.session.connections.last();
        let withholds = last.is_some_and(|last| last.deliveries.iter().any(|delivery| !delivery.is_complete()));
        if !withholds && findings.limits.is_empty() {
            findings.limit(Verdict::Inconclusive, format!("{observed}; {control}"));
        }
        return;
    }
    say(evidence, lost, rules::STORED_FOR_THE_SESSION, (&expected, &observed, guess), findings);
}

/// Messages that were published while the client was there, and did not come.
fn missing_live(evidence: &Evidence<'_, '_>, owed: usize, lost: &[Lost<'_>], findings: &mut Findings) {
    let proven: Vec<&Lost<'_>> = lost.iter().filter(|lost| lost.is_proven()).collect();
    let Some(first) = proven.first() else { return };
    let client = &first.due.client;
    let expected = format!("{owed} of {owed} accepted messages that {client} subscribed to");
    let observed = format!("{} missing: {}", proven.len(), names(&messages(&proven)));
    // Something came on this connection, and then nothing: the subscription went while the client was there.
    let was_in_force = evidence.ledger.copies.iter().any(|copy| {
        copy.connection.index == first.due.index
            && copy.is_forward()
            && copy.publication.sent().is_some_and(|sent| sent.step >= first.due.opened.step)
            && copy.publication.is_of_same_source(first.publication)
    });
    let by_time = matches!(first.proof, Proof::Time(_));
    let usual = match by_time && was_in_force {
        true => rules::LASTS_AS_LONG_AS_ITS_CONNECTION,
        false => rules::ADDED_TO_THE_SESSION,
    };
    say(evidence, lost, usual, (&expected, &observed, None), findings);
}

fn say(
    evidence: &Evidence<'_, '_>,
    lost: &[Lost<'_>],
    usual: Rule,
    (expected, observed, guess): (&str, &str, Option<String>),
    findings: &mut Findings,
) {
    let proven: Vec<&Lost<'_>> = lost.iter().filter(|lost| lost.is_proven()).collect();
    let Some(first) = proven.first() else { return };
    let publications: Vec<&Publication> = proven.iter().map(|lost| lost.publication).collect();
    let rule = reasons::rule_of_loss(evidence, &publications, usual);
    let accepted = first.publication.accepted.map(|place| place.at);
    let (at, attempts) = match first.proof {
        Proof::Fence(at) => (at, 1),
        Proof::Time(at) => (at, ATTEMPTS_FOR_AN_ABSENCE),
        Proof::Missing(_) => return,
    };
    let due_since = accepted.unwrap_or(first.publication.at()).max(first.due.opened.at);
    let waited_until = evidence.last_settled().unwrap_or(at).max(at);
    let finding = findings.broken(rule, first.due.protocol()).absence().after_attempts(attempts);
    // Behind a restart the broker's own word is what it is held to.
    let facts = evidence.model.facts;
    let outage = first.publication.sent().and_then(|sent| facts.outage_between(sent, first.due.opened));
    let word = outage.and(first.due.connack.as_ref()).map(|(at, _)| *at);
    let events =
        [first.publication.at(), at].into_iter().chain(accepted).chain(outage.map(|own| own.from.at)).chain(word);
    let finding = finding.at(events).span(due_since, waited_until);
    finding.guess(guess).expected(expected).observed(observed);
}

/// What the broker did with messages that have QoS 0 for the session, which it may store or not (3.1.1, section 3.1.2.4; 5.0,
/// section 4.1).
fn qos_0_choices(evidence: &Evidence<'_, '_>, findings: &mut Findings) {
    let (model, session) = (evidence.model, evidence.ledger.session);
    let granted = |publication: &Publication| {
        let met = model.met(session, publication);
        let granted = met.iter().flat_map(|filter| &filter.versions).map(|version| version.granted).max()?;
        let is_away = model.is_away(session, publication) == Some(true)
            && session.connections.iter().any(|c| Some(c.opened.step) > publication.sent().map(|sent| sent.step));
        (is_away && publication.qos.min(granted) == 0 && publication.accepted.is_some()).then_some(granted)
    };
    let experiment = model.facts.publications.iter().filter(|publication| publication.is_of_experiment());
    let at_qos_0: Vec<(&Publication, u8)> = experiment.filter_map(|p| Some((p, granted(p)?))).collect();
    let Some((first, granted)) = at_qos_0.first() else { return };
    let name = match (first.qos, granted) {
        (0, 0) => "qos0_both_while_away",
        (0, _) => "qos0_publication_while_away",
        _ => "qos0_subscription_while_away",
    };
    let came = at_qos_0.iter().filter(|(publication, _)| evidence.has_come(publication)).count();
    let value = match came {
        0 => "dropped",
        came if came == at_qos_0.len() => "queued",
        _ => "some",
    };
    findings.choice(name, value);
}

/// Something is owed that has not come, although what was published later has.
pub fn is_overtaken(evidence: &Evidence<'_, '_>) -> bool {
    let is_fenced = |lost: &Lost<'_>| matches!(lost.proof, Proof::Fence(_));
    let owed: Vec<(&Publication, bool)> = owed(evidence).collect();
    lost(evidence, owed.into_iter()).iter().any(is_fenced)
}

/// Something is owed that has not come yet, or something was published that did not come at all.
pub fn is_open(evidence: &Evidence<'_, '_>) -> bool {
    // A will that was published is owed like any other message.
    let is_owed = |p: &Publication| p.is_will() && evidence.model.owed_qos(evidence.ledger.session, p).is_some();
    let asked = evidence.model.facts.publications.iter().filter(|p| p.is_of_experiment() || is_owed(p));
    let came: std::collections::HashSet<*const Publication> = {
        let forwards = evidence.ledger.copies.iter().filter(|copy| copy.is_forward() || copy.is_shared());
        forwards.map(|copy| std::ptr::from_ref(copy.publication)).collect()
    };
    asked.into_iter().any(|publication| !came.contains(&std::ptr::from_ref(publication)))
        || lost_fences(evidence).next().is_some()
        || retained::is_open(evidence)
        || wills::is_awaited(evidence.model, evidence.ledger)
        || subscriptions::is_open(evidence)
}

/// A loop-back behind a SUBSCRIBE that replaced a subscription, which ended the experiment by not coming.
pub fn interrupted(model: &Model<'_>, ledger: &Ledger<'_>, findings: &mut Findings) -> bool {
    let evidence = Evidence { model, ledger };
    let is_last = |p: &&Publication| matches!(p.message, Message::LoopBack(_)) && p.accepted.is_some();
    let Some(lost) = model.facts.publications.iter().rfind(is_last) else { return false };
    let Some(step) = lost.sent().map(|sent| sent.step).filter(|step| *step == model.facts.steps) else { return false };
    let subscribes = ledger.session.connections.iter().flat_map(|own| own.subscribes.iter().map(move |s| (own, s)));
    let mut replacing = subscribes.filter(|(_, s)| {
        let granted = s.granted().is_some_and(|granted| granted.min(lost.qos) > 0) && s.matches(&lost.topic);
        granted && s.sent.step == step && ledger.session.had_subscription(s) == Some(true)
    });
    let Some((connection, subscribing)) = replacing.next() else { return false };
    if model.is_too_large(ledger.session, lost) {
        return false;
    }
    // A full window holds every message up.
    if evidence.has_come(lost) || connection.deliveries.iter().any(|delivery| !delivery.is_complete()) {
        return false;
    }
    let rule = reasons::rule_of_loss(&evidence, &[lost], rules::REPLACING_LOSES_NOTHING);
    let finding = findings.broken(rule, connection.protocol());
    let finding = finding.at([subscribing.sent.at, lost.at()]).after_attempts(ATTEMPTS_FOR_AN_ABSENCE);
    finding.expected(format!("{} after the SUBSCRIBE with the same filter", lost.message)).observed("it did not come");
    true
}
