//! What the standard says about a history: a pure function of a cell and its history.
//!
//! No scenario carries an expectation. The judge walks the history with a model of Session State and derives what each
//! session must, may and must not get, and how. It reads no clock, does no I/O and cannot fail.

mod absences;
mod answers;
mod assignment;
mod combined;
mod connects;
mod deliveries;
mod facts;
mod faults;
mod finding;
mod groups;
mod handshakes;
mod illegal;
mod limits;
mod malformed;
mod model;
mod obligations;
mod order;
mod outages;
mod proof;
mod properties;
mod races;
mod reason_codes;
mod received;
mod rules;
mod session;
mod slots;
mod strays;
mod subscriptions;
mod unsupported;
mod wills;
mod witness;

use std::collections::BTreeSet;

use crate::history::{Event, History, Message};
use crate::plan::{Cell, Declared};
use crate::results::{Level, Verdict};
use crate::vocabulary::Timer;
pub use absences::SuspectedLimit;
pub use combined::{Combined, combine, judge_again, judge_helpers};
use facts::Facts;
use finding::{ATTEMPTS_FOR_AN_ABSENCE, Findings};
use model::Model;
use races::AsTaken;
use received::Measured;

pub use obligations::{Attempt, Duty, Obligation, Outcome, attempts, obligations};
pub use rules::is_one_rule;
pub use witness::is_its_end as is_end_of_witness;

/// What is said about one attempt at a cell.
#[derive(Debug)]
pub struct Judgement {
    findings: Findings,
    measured: Measured,
}

/// How many denied sessions are each held to be there or not; further ones are taken at the broker's word.
const DENIALS_MAX: usize = 4;

/// Judges one attempt.
pub fn judge(cell: &Cell, history: &History) -> Judgement {
    let taken = AsTaken::of(history);
    let history = taken.history.as_ref();
    let facts = Facts::of(history);
    let kept = kept_sessions(history, &facts, cell.declared);
    let mut findings = examine(history, &facts, &kept, cell.declared);
    findings.measure(&facts);
    if facts.spans_nodes() {
        findings.ask_again(ATTEMPTS_FOR_AN_ABSENCE);
    }
    // On connections of the harness's own the end of one is what is judged.
    if facts.steps > 0 {
        witness::excuse(history, &facts, &mut findings);
    }
    findings.merge_messages();
    findings.broken.iter_mut().flat_map(|finding| &mut finding.events).for_each(|at| *at = taken.seen_at(*at));
    Judgement { findings, measured: received::measure(history, &facts) }
}

/// The connections, by their index, whose Session Present 0 denies a session that is there. Where the broker denies a session that
/// it should have, either it has lost the session or its flag is wrong: the hypothesis that breaks fewer rules holds, and of two
/// equal ones the broker's own word.
fn kept_sessions(history: &History, facts: &Facts, declared: Declared) -> Vec<usize> {
    let denials = session::denials(facts);
    let denials = &denials[..denials.len().min(DENIALS_MAX)];
    let hypotheses = (0..1usize << denials.len()).map(|chosen| {
        let is_chosen = |(place, _): &(usize, &usize)| chosen >> place & 1 == 1;
        denials.iter().enumerate().filter(is_chosen).map(|(_, index)| *index).collect::<Vec<usize>>()
    });
    if denials.is_empty() {
        return Vec::new();
    }
    let cost = |kept: &Vec<usize>| {
        let findings = examine(history, facts, kept, declared);
        let of_level = |must: bool| {
            let own = findings.broken.iter().filter(|finding| (finding.level == Level::Must) == must);
            own.map(|finding| (finding.protocol, finding.statement)).collect::<BTreeSet<_>>().len()
        };
        (of_level(true), of_level(false), findings.broken.len(), kept.len())
    };
    hypotheses.min_by_key(cost).unwrap_or_default()
}

/// All that can be said of an attempt, under the hypothesis that these sessions were kept although the broker denies it.
fn examine(history: &History, facts: &Facts, kept: &[usize], declared: Declared) -> Findings {
    let mut findings = Findings::default();
    let model = Model::of(facts, kept);
    connects::check(&model, &mut findings);
    answers::check(history, facts, &mut findings);
    reason_codes::check(history, facts, &mut findings);
    subscriptions::check(facts, &mut findings);
    witness::check(facts, &mut findings);
    limits::check(facts, &mut findings);
    let ledgers = deliveries::ledgers(&model, &mut findings);
    wills::check(&model, &ledgers, &mut findings);
    groups::check(&model, &ledgers, &mut findings);
    let mut interrupted = false;
    for ledger in &ledgers {
        order::check(&model, ledger, &mut findings);
        subscriptions::check_overlaps(&model, ledger, declared.queue_limit, &mut findings);
        properties::check(&model, ledger, &mut findings);
        handshakes::check(&model, ledger, &mut findings);
        absences::check(&model, ledger, declared.queue_limit, &mut findings);
        interrupted |= facts.stopped && absences::interrupted(&model, ledger, &mut findings);
    }
    outages::check(history, &model, &ledgers, declared.durable, &mut findings);
    let is_explained = interrupted || findings.explains_the_end;
    if findings.limits.is_empty() && facts.stopped && !is_explained {
        findings.limit(Verdict::Inconclusive, unfinished(facts, history));
    }
    if findings.limits.is_empty()
        && findings.broken.is_empty()
        && !facts.stopped
        && let Some((owed, client)) = absences::unjudged(history, &model, &ledgers)
    {
        let reason = format!("{} is owed to {client}, and no step waits for it: add a receive step", owed.message);
        findings.limit(Verdict::Inconclusive, format!("nothing is judged: {reason}"));
    }
    findings
}

/// A client may still wait for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// Every message that was published is here, and nothing more is owed.
    Nothing,
    /// Something was published or is owed that may still come.
    Owed,
    /// Something is owed, and what was published later has come before it.
    Overtaken,
}

/// Tells whether a client still waits for something at the end of a history.
pub fn absent(history: &History, client: &str) -> Absent {
    let facts = Facts::of(&AsTaken::of(history).history);
    let model = Model::of(&facts, &session::denials(&facts));
    let ledgers = deliveries::ledgers(&model, &mut Findings::default());
    let Some(ledger) = ledgers.iter().rfind(|ledger| ledger.session.is_of(client)) else { return Absent::Owed };
    let newest = ledger.session.connections.last();
    let is_due = |own: &handshakes::Resumption<'_>| {
        newest.is_some_and(|newest| newest.index == own.connection.index)
            && own.due != handshakes::Due::Nothing
            && own.came.is_none()
    };
    let resumptions = handshakes::check(&model, ledger, &mut Findings::default());
    let evidence = proof::Evidence { model: &model, ledger };
    let due: Vec<&handshakes::Resumption<'_>> = resumptions.iter().filter(|own| is_due(own)).collect();
    let is_fenced = |own: &&handshakes::Resumption<'_>| own.absent == Some(handshakes::Absence::Fenced);
    if due.iter().any(is_fenced) || absences::is_overtaken(&evidence) {
        Absent::Overtaken
    } else if !due.is_empty() || absences::is_open(&evidence) {
        Absent::Owed
    } else {
        Absent::Nothing
    }
}

/// Why a cell ended early although no packet says so.
fn unfinished(facts: &Facts, history: &History) -> String {
    let step = history.events().rev().find_map(|event| match event {
        Event::Step(step) => Some(step.as_str()),
        _ => None,
    });
    let is_loop_back = |message| matches!(message, Message::LoopBack(_));
    let published = facts.publications.iter().any(|p| is_loop_back(p.message) && p.accepted.is_some());
    let arrived = facts.connections.iter().flat_map(|c| &c.deliveries).any(|d| d.message.is_some_and(is_loop_back));
    let step = step.unwrap_or("none");
    let open = facts.connections.iter().filter(|connection| connection.ended.is_none());
    let keep_alive = open.flat_map(|connection| &connection.timers).find_map(|timed| {
        let is_cut_short = timed.timer == Timer::KeepAlive && !timed.passed;
        is_cut_short.then_some(timed.seconds)
    });
    if let Some(seconds) = keep_alive {
        return format!("a Keep Alive of {seconds} s is longer than the harness waits; --patience makes that longer");
    }
    match published && !arrived {
        true => format!("no loop-back reached the subscriber, so the subscription was never in force (step {step})"),
        false => format!("the experiment ended in step {step}"),
    }
}
