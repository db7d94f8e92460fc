//! Two Results -> what changed, cell by cell, by id.
//!
//! The rules for "got worse" are those of the exit codes; every other difference is reported and fails nothing. What
//! stands under `run` is never compared.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use clap::ValueEnum;

use crate::choice;
use crate::expectations::Assessment;
use crate::results::{CellResult, Level, Options, Results, Verdict, Violation};
use crate::vocabulary::Ending;

/// What differs between a baseline and a later run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Sorted by id. A cell has at most one.
    pub changes: Vec<Change>,
    /// Cells that are in both.
    pub compared: usize,
    /// Something cut the later run short.
    pub is_cut_short: bool,
    /// Cells of the baseline that it did not come to for that: nothing is known about them.
    pub unmeasured: usize,
    /// Statements that the broker broke beside the cells, and that the baseline does not have.
    pub new_of_broker: Vec<String>,
}

/// How one cell differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub id: String,
    pub kind: Kind,
    /// Null for a new cell.
    pub before: Option<Verdict>,
    /// Null for a cell that is gone.
    pub after: Option<Verdict>,
    /// What else there is to say, without anything that is the cell's alone; may be empty.
    pub detail: String,
}

/// A kind of change that fails beside what got worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// What got worse, and new cells that fail: it always counts.
    Worse,
    /// Any change of a cell that is in both.
    Changed,
    /// Cells that are not there any more.
    Gone,
    /// Cells that the baseline does not have.
    New,
}

/// Ordered as reports speak of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// To fail, from pass to warn, from pass or warn to unsupported, or a failed cell that breaks a further statement.
    Worse,
    /// It got worse, or is new and fails, as is known of this broker.
    Known,
    /// To inconclusive or error: nothing can be said any more.
    Unclear,
    /// Any other verdict that changed.
    Better,
    /// The same verdict, and the broker decides otherwise what the standard leaves open.
    ChangedChoice,
    /// The same verdict, and other statements are cited for it.
    ChangedFinding,
    /// Not in the baseline.
    New,
    /// Only in the baseline.
    Gone,
}

impl Kind {
    pub const ALL: [Kind; 8] = [
        Kind::Worse,
        Kind::Known,
        Kind::Unclear,
        Kind::Better,
        Kind::ChangedChoice,
        Kind::ChangedFinding,
        Kind::New,
        Kind::Gone,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Worse => "worse",
            Kind::Known => "known",
            Kind::Unclear => "unclear",
            Kind::Better => "better",
            Kind::ChangedChoice => "changed choice",
            Kind::ChangedFinding => "changed finding",
            Kind::New => "new",
            Kind::Gone => "gone",
        }
    }
}

/// Why two results cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the baseline was made {baseline} and these results {results}; make them again {baseline}")]
pub struct OtherOptions {
    /// `with --messages 3`, or `without --queue-limit`.
    pub baseline: String,
    pub results: String,
}

/// Compares by cell id. With `selected`, the baseline's other cells are passed over, as a filtered run needs it.
///
/// # Errors
/// [`OtherOptions`], if the same cell id does not mean the same experiment in both.
pub fn compare(
    baseline: &Results,
    results: &Results,
    selected: Option<&HashSet<String>>,
) -> Result<Comparison, OtherOptions> {
    same_options(&baseline.options, &results.options)?;
    let (before, after) = (by_id(baseline, selected), by_id(results, selected));
    let ids: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    let compared = before.keys().filter(|id| after.contains_key(*id)).count();
    let mut changes: Vec<Change> =
        ids.into_iter().filter_map(|id| change(before.get(id).copied(), after.get(id).copied())).collect();
    let mut unmeasured = 0;
    if !results.run.complete {
        let all = changes.len();
        changes.retain(|change| change.kind != Kind::Gone);
        unmeasured = all - changes.len();
    }
    let new_of_broker =
        difference(&broken(&results.broker_findings.violations), &broken(&baseline.broker_findings.violations));
    Ok(Comparison { changes, compared, is_cut_short: !results.run.complete, unmeasured, new_of_broker })
}

fn by_id<'a>(results: &'a Results, selected: Option<&HashSet<String>>) -> BTreeMap<&'a str, &'a CellResult> {
    let cells = results.cells.iter().filter(|cell| selected.is_none_or(|ids| ids.contains(&cell.id)));
    cells.map(|cell| (cell.id.as_str(), cell)).collect()
}

/// Whether results with these options can be compared: known before anything runs.
///
/// # Errors
/// [`OtherOptions`] for the first option that differs.
pub fn same_options(baseline: &Options, results: &Options) -> Result<(), OtherOptions> {
    let messages = |options: &Options| format!("with --messages {}", options.messages);
    let queue_limit = |options: &Options| match options.queue_limit {
        Some(limit) => format!("with --queue-limit {limit}"),
        None => "without --queue-limit".to_owned(),
    };
    let durable = |options: &Options| match options.durable {
        Some(how) => {
            let how = if how == Ending::Stop { "stop" } else { "kill" };
            format!("with durable = \"{how}\" in the file of the broker")
        }
        None => "without durable in the file of the broker".to_owned(),
    };
    for say in [&messages as &dyn Fn(&Options) -> String, &queue_limit, &durable] {
        let (baseline, results) = (say(baseline), say(results));
        if baseline != results {
            return Err(OtherOptions { baseline, results });
        }
    }
    Ok(())
}

impl Comparison {
    pub fn count(&self, kind: Kind) -> usize {
        self.changes.iter().filter(|change| change.kind == kind).count()
    }

    /// Tells apart what is known: it fails nothing. The change itself stays.
    pub fn excuse(&mut self, known: &Assessment) {
        for change in self.changes.iter_mut().filter(|change| known.is_known(&change.id)) {
            if matches!(change.kind, Kind::Worse | Kind::New) {
                change.kind = Kind::Known;
            }
        }
        self.new_of_broker.retain(|statement| !known.beside_the_cells.contains(statement));
    }

    /// True if something got worse, or if there is a change of one of these kinds.
    pub fn fails(&self, on: &[FailOn]) -> bool {
        let is_one = |kind: Kind| match kind {
            Kind::Unclear | Kind::Better | Kind::ChangedChoice | Kind::ChangedFinding => on.contains(&FailOn::Changed),
            Kind::Gone => on.contains(&FailOn::Gone),
            Kind::New => on.contains(&FailOn::New),
            Kind::Worse | Kind::Known => false,
        };
        self.got_worse() || self.changes.iter().any(|change| is_one(change.kind))
    }

    /// True if something got worse, if a new cell fails, or if the broker breaks a further statement beside the cells.
    pub fn got_worse(&self) -> bool {
        !self.new_of_broker.is_empty()
            || self.changes.iter().any(|change| match change.kind {
                Kind::Worse => true,
                Kind::New => change.after == Some(Verdict::Fail),
                _ => false,
            })
    }

    /// True if a cell became inconclusive or an error, if a new cell is one, since the baseline has no such evidence to lack, or if
    /// not all cells were run.
    pub fn became_unclear(&self) -> bool {
        let is_unclear = |change: &Change| match change.kind {
            Kind::Unclear => true,
            Kind::New => matches!(change.after, Some(Verdict::Inconclusive | Verdict::Error)),
            _ => false,
        };
        self.is_cut_short || self.changes.iter().any(is_unclear)
    }
}

fn change(before: Option<&CellResult>, after: Option<&CellResult>) -> Option<Change> {
    let (kind, detail) = match (before, after) {
        (Some(before), Some(after)) => differences(before, after)?,
        (None, Some(after)) => (Kind::New, why(after)),
        (Some(_), None) => (Kind::Gone, String::new()),
        (None, None) => return None,
    };
    let id = before.or(after)?.id.clone();
    Some(Change { id, kind, before: before.map(|cell| cell.verdict), after: after.map(|cell| cell.verdict), detail })
}

fn differences(before: &CellResult, after: &CellResult) -> Option<(Kind, String)> {
    let choices = choices(before, after);
    let (now, gone) = findings(before, after);
    let kind = match verdicts(before.verdict, after.verdict) {
        Some(kind) => kind,
        None if after.verdict == Verdict::Fail && breaks_more(before, after) => Kind::Worse,
        None if !choices.is_empty() => Kind::ChangedChoice,
        None if !now.is_empty() || !gone.is_empty() => Kind::ChangedFinding,
        None => return None,
    };
    let say = |words: &str, ids: Vec<String>| (!ids.is_empty()).then(|| format!("{words} {}", ids.join(", ")));
    let findings: Vec<String> = say("now cites", now).into_iter().chain(say("no longer cites", gone)).collect();
    let mut details = choices;
    if kind != Kind::ChangedChoice && findings.is_empty() {
        details.insert(0, why(after));
    }
    details.extend(findings);
    details.retain(|detail| !detail.is_empty());
    Some((kind, details.join("; ")))
}

/// What a change of verdict is; nothing for two that are equal.
fn verdicts(before: Verdict, after: Verdict) -> Option<Kind> {
    use Verdict::{Error, Fail, Inconclusive, Pass, Unsupported, Warn};
    match (before, after) {
        (before, after) if before == after => None,
        (_, Fail) => Some(Kind::Worse),
        (_, Inconclusive | Error) => Some(Kind::Unclear),
        (Pass, Warn) | (Pass | Warn, Unsupported) => Some(Kind::Worse),
        _ => Some(Kind::Better),
    }
}

fn choices(before: &CellResult, after: &CellResult) -> Vec<String> {
    let names: BTreeSet<&String> = before.choices.keys().chain(after.choices.keys()).collect();
    let differing = names.into_iter().filter(|name| before.choices.get(*name) != after.choices.get(*name));
    let said = |cell: &CellResult, name: &str| cell.choices.get(name).map(|value| choice::sentence(name, value));
    let change = |name: &String| match (said(before, name), said(after, name)) {
        (Some(before), Some(after)) => format!("before: {before}; now: {after}"),
        (Some(before), None) => format!("no longer seen: {before}"),
        (None, after) => format!("seen now: {}", after.unwrap_or_default()),
    };
    differing.map(change).collect()
}

/// Statements that are cited on one side only: now, and no longer.
fn findings(before: &CellResult, after: &CellResult) -> (Vec<String>, Vec<String>) {
    let cited = |cell: &CellResult| ids(&cell.violations, |_| true);
    let (before, after) = (cited(before), cited(after));
    (difference(&after, &before), difference(&before, &after))
}

/// True if a statement is broken that was not before.
fn breaks_more(before: &CellResult, after: &CellResult) -> bool {
    !difference(&broken(&after.violations), &broken(&before.violations)).is_empty()
}

/// The statements that are broken. An oddity of which the standard says nothing breaks none.
fn broken(violations: &[Violation]) -> BTreeSet<String> {
    ids(violations, |level| level != Level::None)
}

fn ids(violations: &[Violation], of_level: impl Fn(Level) -> bool) -> BTreeSet<String> {
    let cited = violations.iter().filter(|violation| of_level(violation.level));
    cited.map(|violation| violation.statement.clone()).collect()
}

fn difference(left: &BTreeSet<String>, right: &BTreeSet<String>) -> Vec<String> {
    left.difference(right).cloned().collect()
}

/// Why a cell has its verdict.
fn why(cell: &CellResult) -> String {
    let ids: BTreeSet<&str> = cell.violations.iter().map(|violation| violation.statement.as_str()).collect();
    if ids.is_empty() {
        return cell.reason.clone().unwrap_or_default();
    }
    format!("cites {}", ids.into_iter().collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows: the baseline. Columns: the run. `=` no change, `+` better, `-` worse, `?` unclear.
    const TABLE: &str = "
                      pass unsupported warn inconclusive error fail
        pass          =    -           -    ?            ?     -
        unsupported   +    =           +    ?            ?     -
        warn          +    -           =    ?            ?     -
        inconclusive  +    +           +    =            ?     -
        error         +    +           +    ?            =     -
        fail          +    +           +    ?            ?     =
    ";

    #[test]
    fn every_pair_of_verdicts_is_decided() {
        let mut lines = TABLE.trim().lines();
        let verdict = |name: &str| Verdict::WORST_FIRST.into_iter().find(|verdict| verdict.name() == name).unwrap();
        let columns: Vec<Verdict> = lines.next().unwrap().split_whitespace().map(verdict).collect();
        let mut pairs = 0;
        for line in lines {
            let mut words = line.split_whitespace();
            let before = verdict(words.next().unwrap());
            for (after, expected) in columns.iter().zip(words) {
                let kind = match verdicts(before, *after) {
                    None => "=",
                    Some(Kind::Better) => "+",
                    Some(Kind::Worse) => "-",
                    Some(Kind::Unclear) => "?",
                    Some(other) => other.name(),
                };
                assert_eq!(kind, expected, "{} to {}", before.name(), after.name());
                pairs += 1;
            }
        }
        assert_eq!(pairs, 36);
    }
}
