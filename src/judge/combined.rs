//! Several attempts at a cell are combined: into the record of the cell, and the places of the evidence for it.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::Finding;
use super::{Judgement, judge};
use crate::axes::Axes;
use crate::history::History;
use crate::packet::Protocol;
use crate::plan::{Cell, Declared};
use crate::results::{
    BrokerFindings, CellResult, CellRun, Evidence, HelperEvidence, HelperRun, Level, Options, StoredHistoryError,
    Verdict, Violation,
};
use crate::visible::visible;

/// The record of a cell, and where the evidence for it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Combined {
    pub result: CellResult,
    /// The places at which each violation of the record is seen.
    pub evidence: Vec<Evidence>,
    /// The attempt on which the verdict rests, from 1.
    pub attempt: usize,
}

/// The record of a cell from all attempts at it, oldest first. The last attempt decides, unless an earlier one already
/// proved that a MUST was broken. What needs several attempts counts if so many in a row show it.
pub fn combine(cell: &Cell, mut attempts: Vec<Judgement>) -> Combined {
    // One more attempt was made for the guess alone, and without patience, if all was proven at once.
    let again = match attempts.first() {
        Some(first) if first.leaves_a_guess_open() => attempts.split_off(1),
        _ => Vec::new(),
    };
    let count = attempts.len();
    // The last such attempt that was played to its end is chosen: it repeats what the others show.
    let is_whole = |judgement: &Judgement| judgement.findings.limits.is_empty() && !judgement.findings.explains_the_end;
    let firm = attempts.iter().rposition(|judgement| judgement.has_firm_fail() && is_whole(judgement));
    let firm = firm.or_else(|| attempts.iter().rposition(Judgement::has_firm_fail));
    let chosen = firm.unwrap_or(count.saturating_sub(1));
    if count == 0 {
        return judge(cell, &History::default()).into_record(cell, &[], 1);
    }
    let mut judgement = attempts.swap_remove(chosen);
    attempts.truncate(chosen);
    judgement.tell_guesses(attempts.last().into_iter().chain(&again));
    judgement.into_record(cell, &attempts, chosen + 1)
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
        declared: options.declared(),
    };
    let attempts = run.histories()?.iter().map(|history| judge(&cell, history)).collect();
    Ok(Some(combine(&cell, attempts)))
}

/// Judges what was on the wire on connections of the harness's own. Most are tried once, so that only what one history proves
/// counts; where one was tried again, what needs several attempts counts if so many in a row show it.
pub fn judge_helpers(histories: &[History]) -> (BrokerFindings, HelperRun) {
    let cell = Cell {
        id: String::new(),
        scenario: String::new(),
        axes: Axes::default(),
        clients: Vec::new(),
        steps: Vec::new(),
        declared: Declared::default(),
    };
    let mut findings = BrokerFindings::default();
    let mut run = HelperRun { histories: histories.iter().map(History::lines).collect(), evidence: Vec::new() };
    let judged: Vec<Judgement> = histories.iter().map(|own| judge(&cell, own)).collect();
    for (number, own) in judged.iter().enumerate() {
        let is_confirmed = |finding: &&Finding| Judgement::is_confirmed(finding, &judged[..number]);
        let confirmed = own.findings.broken.iter().filter(is_confirmed).cloned();
        let (violations, evidence) = violations(confirmed.collect(), 1);
        let history = number + 1;
        for (violation, Evidence { events, .. }) in violations.into_iter().zip(evidence) {
            // Another connection may have shown the same.
            if !findings.violations.contains(&violation) {
                run.evidence.push(HelperEvidence { violation: findings.violations.len(), history, events });
                findings.violations.push(violation);
            }
        }
    }
    (findings, run)
}

impl Judgement {
    /// How many attempts have to show the same before all that was found counts.
    pub fn attempts_needed(&self) -> u32 {
        self.findings.attempts_needed()
    }

    /// Nothing was found, and nothing is unclear.
    pub fn is_pass(&self) -> bool {
        self.findings.broken.is_empty() && self.findings.limits.is_empty()
    }

    /// True if something kept the experiment from being finished or judged. Another attempt may not meet it.
    pub fn is_open(&self) -> bool {
        let is_open = |verdict: Verdict| matches!(verdict, Verdict::Inconclusive | Verdict::Error);
        self.findings.limits.iter().any(|(verdict, _)| is_open(*verdict))
    }

    /// True if the broker does not take what the experiment asks for.
    fn is_unsupported(&self) -> bool {
        self.findings.limits.iter().any(|(verdict, _)| *verdict == Verdict::Unsupported)
    }

    /// All that was found is proven, and it suggests a cause that only one more attempt can show to be it.
    pub fn leaves_a_guess_open(&self) -> bool {
        self.attempts_needed() == 1 && self.findings.broken.iter().any(|finding| finding.guess.is_some())
    }

    /// Tells the causes that another attempt suggests as well.
    fn tell_guesses<'a>(&mut self, others: impl Iterator<Item = &'a Judgement>) {
        let others: Vec<&Finding> = others.flat_map(|judgement| &judgement.findings.broken).collect();
        let is_again = |finding: &&mut Finding| others.iter().any(|other| finding.is_guessed_again(other));
        self.findings.broken.iter_mut().filter(is_again).for_each(Finding::tell_guess);
    }

    /// A MUST was broken, and no other attempt is needed to say so.
    fn has_firm_fail(&self) -> bool {
        self.findings.broken.iter().any(|finding| finding.attempts == 1 && finding.level == Level::Must)
    }

    /// This attempt and those right before it, newest last in `earlier`, show the same often enough.
    fn is_confirmed(finding: &Finding, earlier: &[Judgement]) -> bool {
        let same = |other: &Finding| (other.protocol, other.statement) == (finding.protocol, finding.statement);
        let shown = earlier.iter().rev().take_while(|judgement| judgement.findings.broken.iter().any(same));
        shown.count() + 1 >= finding.attempts as usize
    }

    /// The record of a cell by what this attempt, the one with number `attempt`, shows after those before it.
    fn into_record(self, cell: &Cell, earlier: &[Judgement], attempt: usize) -> Combined {
        let mut limits = self.findings.limits;
        // A network may cut the connection where a broker without the feature would.
        if earlier.last().is_some_and(|before| !before.is_unsupported()) {
            limits.iter_mut().filter(|(verdict, _)| *verdict == Verdict::Unsupported).for_each(|(verdict, reason)| {
                *verdict = Verdict::Inconclusive;
                reason.push_str(", in this attempt and not in the one before");
            });
        }
        let (confirmed, open): (Vec<Finding>, Vec<Finding>) =
            self.findings.broken.into_iter().partition(|finding| Judgement::is_confirmed(finding, earlier));
        if let Some(finding) = open.first() {
            let observed = finding.observed();
            limits.push((Verdict::Inconclusive, format!("{observed}, in fewer than {} attempts", finding.attempts)));
        }
        let (violations, evidence) = violations(confirmed, attempt);
        let (verdict, reason) = verdict(&violations, &limits);
        let reason = reason.or_else(|| shown_once(earlier));
        let choices: BTreeMap<String, String> = self
            .findings
            .choices
            .into_iter()
            .map(|(name, value)| (name.to_owned(), visible(&value).into_owned()))
            .collect();
        let result = CellResult {
            id: cell.id.clone(),
            scenario: cell.scenario.clone(),
            axes: cell.axes.clone(),
            verdict,
            reason,
            sent: self.measured.sent,
            sent_to: self.measured.sent_to,
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

/// An attempt before a pass showed this, and no later one did.
fn shown_once(earlier: &[Judgement]) -> Option<String> {
    let (number, finding) =
        earlier.iter().zip(1..).find_map(|(own, number)| Some((number, own.findings.broken.first()?)))?;
    let observed = visible(&finding.observed()).into_owned();
    Some(format!("attempt {number} alone showed: {observed} ({})", finding.statement))
}

/// The violations in an order that depends on no event, and where each is seen. Findings that say the same are one.
fn violations(findings: Vec<Finding>, attempt: usize) -> (Vec<Violation>, Vec<Evidence>) {
    /// The statement, and what was expected and observed.
    type Said<'a> = (&'a str, Protocol, String, String);
    let mut sorted: BTreeMap<Said, (Level, BTreeSet<usize>, Option<u64>)> = BTreeMap::new();
    for finding in findings {
        // The texts name topics and payloads as a broker sent them.
        let texts = [finding.expected(), finding.observed()].map(|text| visible(&text).into_owned());
        let [expected, observed] = texts;
        let key = (finding.statement, finding.protocol, expected, observed);
        // Lines of a history are numbered from 1.
        let numbers = finding.events.iter().map(|index| index + 1);
        let same = sorted.entry(key).or_insert_with(|| (finding.level, BTreeSet::new(), None));
        same.1.extend(numbers);
        same.2 = same.2.max(finding.milliseconds);
    }
    let numbered = sorted.into_iter().enumerate();
    let record = |(number, ((statement, protocol, expected, observed), (level, events, milliseconds)))| {
        let violation = Violation { protocol, statement: String::from(statement), level, expected, observed };
        let events: BTreeSet<usize> = events;
        (violation, Evidence { violation: number, attempt, events: events.into_iter().collect(), milliseconds })
    };
    numbered.map(record).unzip()
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
        Some((verdict, reason)) => (verdict, Some(visible(&reason).into_owned())),
        None => (Verdict::Pass, None),
    }
}
