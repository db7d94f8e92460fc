//! Findings of experiments: the same accusation of the same shape is one finding.

use std::collections::BTreeSet;

use super::experiment::Experiment;
use crate::history::Message;
use crate::packet::Protocol;
use crate::results::{CellResult, Verdict};

/// The accusation of an experiment that is no pass. Two experiments with one accusation show the same, as far as the judge
/// can tell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Accusation {
    pub verdict: Verdict,
    pub statements: BTreeSet<(Protocol, String)>,
}

impl Accusation {
    /// `None` where nothing is said against the broker or the harness.
    pub fn of(cell: &CellResult) -> Option<Accusation> {
        let is_wrong = matches!(cell.verdict, Verdict::Fail | Verdict::Warn | Verdict::Error);
        let statements = cell.violations.iter().map(|violation| (violation.protocol, violation.statement.clone()));
        is_wrong.then(|| Accusation { verdict: cell.verdict, statements: statements.collect() })
    }

    /// True if this says the same as the other one, or a part of it: a simpler experiment may show one of two causes.
    pub fn is_part_of(&self, other: &Accusation) -> bool {
        let says_something = !self.statements.is_empty() || other.statements.is_empty();
        self.verdict == other.verdict && says_something && self.statements.is_subset(&other.statements)
    }
}

/// How a result looks: two that look alike have the same cause, mostly.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Looks {
    verdict: Verdict,
    statements: BTreeSet<(Protocol, String)>,
    /// The reason without messages and numbers, where no statement is cited.
    reason: String,
}

impl Looks {
    pub fn of(cell: &CellResult) -> Looks {
        let statements = cell.violations.iter().map(|violation| (violation.protocol, violation.statement.clone()));
        let statements: BTreeSet<_> = statements.collect();
        let is_told = |word: &&str| {
            let word = word.trim_end_matches([',', ';', ':']);
            Message::of(word.as_bytes()).is_none() && word.parse::<u32>().is_err() && !matches!(word, "and" | "more")
        };
        let reason = cell.reason.as_deref().filter(|_| statements.is_empty()).unwrap_or_default();
        let reason = reason.split(' ').filter(is_told).collect::<Vec<_>>().join(" ");
        Looks { verdict: cell.verdict, statements, reason }
    }
}

/// A failure that came again, shrunk.
#[derive(Debug, Clone)]
pub struct Finding {
    pub accusation: Accusation,
    /// That of the experiment before it was shrunk, which may have shown more.
    pub failed_as: Accusation,
    /// The simplest experiment that still shows it.
    pub experiment: Experiment,
    /// The result of that experiment.
    pub cell: CellResult,
    /// The seeds whose experiments were accused of the same, the shrunk one's first.
    pub seeds: Vec<u32>,
}

/// Adds a finding, or its seeds to the one that is the same.
pub fn add(findings: &mut Vec<Finding>, new: Finding) {
    let same = |known: &&mut Finding| {
        known.accusation == new.accusation && known.experiment.named("") == new.experiment.named("")
    };
    match findings.iter_mut().find(same) {
        Some(known) => known.seeds.extend(new.seeds),
        None => findings.push(new),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::{Wishes, experiment};
    use crate::plan::{self, Settings};
    use crate::{history::History, judge};

    #[test]
    fn the_same_shape_is_one_finding() {
        let finding = |seed: u32, of: u32| {
            let experiment = experiment(of, Wishes { protocol: None, timers: false }).named(&format!("seed_{seed}"));
            let scenario = experiment.scenario().unwrap();
            let cell = plan::cells(&scenario, Settings::of(1)).remove(0);
            let judgement = judge::judge(&cell, &History::default());
            let cell = judge::combine(&cell, vec![judgement]).result;
            let accusation = Accusation { verdict: Verdict::Fail, statements: BTreeSet::new() };
            Finding { failed_as: accusation.clone(), accusation, experiment, cell, seeds: vec![seed] }
        };
        let mut findings = Vec::new();
        for (seed, of) in [(1, 7), (2, 8), (3, 7)] {
            add(&mut findings, finding(seed, of));
        }
        let seeds: Vec<&[u32]> = findings.iter().map(|finding| &finding.seeds[..]).collect();
        assert_eq!(seeds, [&[1, 3][..], &[2]]);
    }
}
