//! What the standard says about a history: a pure function of a cell and its history.
//!
//! No scenario carries an expectation. The judge walks the history with a model of Session State and derives what each
//! session must, may and must not get, and how. It reads no clock, does no I/O and cannot fail.

mod absences;
mod answers;
mod connects;
mod deliveries;
mod finding;
mod obligations;
mod order;
mod properties;
mod received;
mod resumed;
mod session;
mod shared;
mod story;
mod subscriptions;
mod wills;
mod window;
mod witness;

use std::collections::BTreeMap;

use crate::axes::Axes;
use crate::history::{Event, History, Levelled, Message, levelled};
use crate::packet::Protocol;
use crate::plan::Cell;
use crate::results::{
    BrokerFindings, CellResult, CellRun, Evidence, HelperEvidence, HelperRun, Level, Options, StoredHistoryError,
    Verdict, Violation,
};
use absences::Balance;
use finding::{Finding, Findings};
use received::Measured;
use story::Story;

pub use obligations::{Attempt, Duty, Obligation, Outcome, attempts, obligations};

/// What is said about one attempt at a cell.
#[derive(Debug)]
pub struct Judgement {
    findings: Findings,
    measured: Measured,
}

/// Judges one attempt. A history that was recorded is judged by its levelled copy.
pub fn judge(cell: &Cell, history: &History) -> Judgement {
    if history.entries.iter().all(|entry| entry.time.is_none()) {
        return judge_levelled(cell, history);
    }
    let Levelled { history, places } = levelled(history);
    let mut judgement = judge_levelled(cell, &history);
    for finding in &mut judgement.findings.violations {
        let events = &mut finding.events;
        events.iter_mut().for_each(|event| *event = places[*event - 1] + 1);
        events.sort_unstable();
    }
    judgement
}

fn judge_levelled(cell: &Cell, history: &History) -> Judgement {
    let story = Story::read(history);
    let mut findings = Findings::default();
    let sessions = session::sessions(&story);
    connects::check(&story, &sessions, &mut findings);
    answers::check(history, &story, &mut findings);
    subscriptions::check(&story, &mut findings);
    witness::check(&story, &mut findings);
    wills::check(history, &story, &sessions, &mut findings);
    shared::check(&story, &sessions, &mut findings);
    let mut interrupted = false;
    for session in &sessions {
        let copies = deliveries::check(&story, &sessions, session, &mut findings);
        order::check(&copies, &mut findings);
        subscriptions::check_copies(session, &copies, &mut findings);
        properties::check(&story, &copies, &mut findings);
        window::check(session, &mut findings);
        let balance = Balance { story: &story, session, copies: &copies, queue_limit: cell.queue_limit };
        // An experiment that broke off says nothing about what would have come later.
        if findings.limits.is_empty() {
            balance.queued(&mut findings);
            balance.live(&mut findings);
            balance.retained(&mut findings);
            balance.resumed(&mut findings);
            interrupted |= story.stopped && balance.interrupted(&mut findings);
        }
    }
    if findings.limits.is_empty() && story.stopped && !interrupted {
        findings.limit(Verdict::Inconclusive, unfinished(&story, history));
    }
    findings.merge_messages();
    Judgement { findings, measured: received::measure(history, &story) }
}

/// Whether every message that was published is here and nothing more is owed: then there is nothing to wait for.
pub fn nothing_is_absent(history: &History, client: &str) -> bool {
    let story = Story::read(&levelled(history).history);
    let sessions = session::sessions(&story);
    let Some(session) = sessions.iter().rfind(|session| session.is_of(client)) else { return false };
    let mut unused = Findings::default();
    let copies = deliveries::check(&story, &sessions, session, &mut unused);
    !Balance { story: &story, session, copies: &copies, queue_limit: None }.is_open()
}

/// Why a cell ended early although no packet says so.
fn unfinished(story: &Story, history: &History) -> String {
    let step = history.events().rev().find_map(|event| match event {
        Event::Step(step) => Some(step.as_str()),
        _ => None,
    });
    let loop_back = story
        .publications
        .iter()
        .any(|publication| matches!(publication.message, Message::LoopBack(_)) && publication.accepted.is_some());
    let step = step.unwrap_or("none");
    match loop_back {
        true => format!("no loop-back reached the subscriber, so the subscription was never in force (step {step})"),
        false => format!("the experiment ended in step {step}"),
    }
}

/// The record of a cell, and where the evidence for it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Combined {
    pub result: CellResult,
    /// Where each violation of the record is seen.
    pub evidence: Vec<Evidence>,
    /// The attempt on which the verdict rests, from 1.
    pub attempt: usize,
}

/// The record of a cell from all attempts at it, oldest first. The last attempt decides, unless an earlier one already
/// proved that a MUST was broken.
pub fn combine(cell: &Cell, mut attempts: Vec<Judgement>) -> Combined {
    let count = attempts.len();
    // Of several such attempts the last one that was played to its end is chosen: it repeats what the others show.
    let is_whole = |judgement: &Judgement| judgement.findings.limits.is_empty();
    let firm = attempts.iter().rposition(|judgement| judgement.has_firm_fail() && is_whole(judgement));
    let firm = firm.or_else(|| attempts.iter().rposition(Judgement::has_firm_fail));
    let chosen = firm.unwrap_or(count.saturating_sub(1));
    let judgement = if chosen < count { attempts.swap_remove(chosen) } else { judge(cell, &History::default()) };
    judgement.into_record(cell, count, chosen + 1)
}

/// Judges the stored histories of a cell anew, with no broker at hand. A cell whose histories were not kept is left as
/// it is: `None`.
///
/// # Errors
/// [`StoredHistoryError`] where a stored history is no history.
pub fn judge_again(
    stored: &CellResult,
    run: &CellRun,
    options: &Options,
) -> Result<Option<Combined>, StoredHistoryError> {
    if !run.has_histories() {
        return Ok(None);
    }
    // The steps of the scenario stand in the history, as far as they were played.
    let cell = Cell {
        id: stored.id.clone(),
        scenario: stored.scenario.clone(),
        axes: stored.axes.clone(),
        clients: Vec::new(),
        steps: Vec::new(),
        queue_limit: options.queue_limit,
    };
    let attempts = run.histories()?.iter().map(|history| judge(&cell, history)).collect();
    Ok(Some(combine(&cell, attempts)))
}

/// Judges what was on the wire on connections of the harness's own, each history by itself. Only what one history proves
/// counts, since nothing is tried again there.
pub fn judge_helpers(histories: &[History]) -> (BrokerFindings, HelperRun) {
    let cell = Cell {
        id: String::new(),
        scenario: String::new(),
        axes: Axes::default(),
        clients: Vec::new(),
        steps: Vec::new(),
        queue_limit: None,
    };
    let mut seen: Vec<(Finding, usize)> = Vec::new();
    for (number, history) in (1..).zip(histories) {
        let firm = judge(&cell, history).findings.violations.into_iter().filter(|finding| finding.attempts == 1);
        seen.extend(firm.map(|finding| (finding, number)));
    }
    seen.sort_by_cached_key(|(finding, _)| sort_key(finding));
    let mut findings = BrokerFindings::default();
    let mut run = HelperRun { histories: histories.iter().map(History::lines).collect(), evidence: Vec::new() };
    for (Finding { violation, events, .. }, history) in seen {
        // Another connection may have shown the same.
        if findings.violations.last() != Some(&violation) {
            run.evidence.push(HelperEvidence { violation: findings.violations.len(), history, events });
            findings.violations.push(violation);
        }
    }
    (findings, run)
}

impl Judgement {
    /// How many attempts have to show the same before all that was found counts.
    pub fn attempts_needed(&self) -> u32 {
        self.findings.attempts_needed()
    }

    /// A MUST was broken, and no other attempt is needed to say so.
    fn has_firm_fail(&self) -> bool {
        let firm = |finding: &&Finding| finding.attempts == 1 && finding.violation.level == Level::Must;
        self.findings.violations.iter().any(|finding| firm(&finding))
    }

    /// The record of a cell that was tried `attempts` times, by what this attempt shows.
    fn into_record(self, cell: &Cell, attempts: usize, attempt: usize) -> Combined {
        let mut limits = self.findings.limits;
        let (confirmed, open): (Vec<Finding>, Vec<Finding>) =
            self.findings.violations.into_iter().partition(|finding| finding.attempts as usize <= attempts);
        if let Some(finding) = open.first() {
            let observed = &finding.violation.observed;
            limits.push((Verdict::Inconclusive, format!("{observed}, in {attempts} of {} attempts", finding.attempts)));
        }
        let (violations, evidence) = violations(confirmed, attempt);
        let (verdict, reason) = verdict(&violations, &limits);
        let choices: BTreeMap<String, String> =
            self.findings.choices.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let result = CellResult {
            id: cell.id.clone(),
            scenario: cell.scenario.clone(),
            axes: cell.axes.clone(),
            verdict,
            reason,
            sent: self.measured.sent,
            published: self.measured.published,
            session_present: self.measured.session_present,
            granted_qos: self.measured.granted_qos,
            regranted_qos: self.measured.regranted_qos,
            received: self.measured.received,
            choices,
            violations,
        };
        Combined { result, evidence, attempt }
    }
}

/// The violations in an order that depends on no event, and where each is seen. Findings that say the same are one.
fn violations(mut findings: Vec<Finding>, attempt: usize) -> (Vec<Violation>, Vec<Evidence>) {
    findings.sort_by_cached_key(sort_key);
    let (mut violations, mut evidence): (Vec<Violation>, Vec<Evidence>) = (Vec::new(), Vec::new());
    for Finding { violation, events, .. } in findings {
        match evidence.last_mut().filter(|_| violations.last() == Some(&violation)) {
            Some(same) => same.events.extend(events),
            None => {
                evidence.push(Evidence { violation: violations.len(), attempt, events });
                violations.push(violation);
            }
        }
    }
    for seen in &mut evidence {
        seen.events.sort_unstable();
        seen.events.dedup();
    }
    (violations, evidence)
}

/// The place of a finding among others, by what it says and not by where it was seen.
fn sort_key(finding: &Finding) -> (String, Protocol, String, String) {
    let Violation { protocol, statement, expected, observed, .. } = &finding.violation;
    (statement.clone(), *protocol, expected.clone(), observed.clone())
}

/// The worst of all that was found, and the sentence for it.
fn verdict(violations: &[Violation], limits: &[(Verdict, String)]) -> (Verdict, Option<String>) {
    let of_level = |level: Level| if level == Level::Must { Verdict::Fail } else { Verdict::Warn };
    let broken = violations.iter().map(|violation| {
        let reason =
            format!("{}: expected {}; observed {}", violation.statement, violation.expected, violation.observed);
        (of_level(violation.level), reason)
    });
    let mut worst: Option<(Verdict, String)> = None;
    for (verdict, reason) in broken.chain(limits.iter().cloned()) {
        if worst.as_ref().is_none_or(|(so_far, _)| verdict > *so_far) {
            worst = Some((verdict, reason));
        }
    }
    match worst {
        Some((verdict, reason)) => (verdict, Some(reason)),
        None => (Verdict::Pass, None),
    }
}
