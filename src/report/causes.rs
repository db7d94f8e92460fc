//! What broke, each cause once: a statement, a queue limit that nobody declared, or the reason why nothing can be said.

use super::findings::{any_message, paraphrase, repeat};
use super::{Palette, Told, cells, group, mark, style, wrap};
use crate::judge::{SuspectedLimit, is_one_rule};
use crate::packet::Protocol;
use crate::printed_command::PrintedCommand;
use crate::results::{CellResult, Level, Verdict, Violation};

/// Something that cells have in common.
pub(super) struct Cause<'a> {
    kind: Kind<'a>,
    pub verdict: Verdict,
    /// Each with the violation that shows it, by its index; none for a reason.
    pub cells: Vec<(&'a CellResult, Option<usize>)>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Kind<'a> {
    /// Backlogs are cut as by a limit.
    QueueLimit,
    /// What is broken, by version and id: one rule, which each version may have under a number of its own.
    Rule(Vec<(Protocol, &'a str)>),
    /// Without the numbers of messages.
    Reason(String),
}

/// The causes of all cells that are neither a pass nor unsupported, worst first, and of two equal ones that with more cells.
pub(super) fn causes<'a>(cells: impl Iterator<Item = &'a CellResult>) -> Vec<Cause<'a>> {
    let mut causes: Vec<Cause<'a>> = Vec::new();
    for cell in cells.filter(|cell| !matches!(cell.verdict, Verdict::Pass | Verdict::Unsupported)) {
        for (number, violation) in cell.violations.iter().enumerate() {
            let verdict = if violation.level == Level::Must { Verdict::Fail } else { Verdict::Warn };
            add(&mut causes, kind(violation), verdict, (cell, Some(number)));
        }
        // What is broken is the reason of a fail and of a warning alone.
        if cell.violations.is_empty() || !matches!(cell.verdict, Verdict::Fail | Verdict::Warn) {
            let reason = any_message(cell.reason.as_deref().unwrap_or("no reason was given"));
            add(&mut causes, Kind::Reason(reason), cell.verdict, (cell, None));
        }
    }
    let badness = |verdict: Verdict| Verdict::WORST_FIRST.iter().position(|own| *own == verdict);
    causes.sort_by_key(|cause| (badness(cause.verdict), std::cmp::Reverse(cause.cells.len())));
    causes
}

fn kind(violation: &Violation) -> Kind<'_> {
    if SuspectedLimit::read(&violation.observed).is_some() {
        return Kind::QueueLimit;
    }
    Kind::Rule(vec![(violation.protocol, &violation.statement)])
}

fn add<'a>(causes: &mut Vec<Cause<'a>>, kind: Kind<'a>, verdict: Verdict, member: (&'a CellResult, Option<usize>)) {
    let of_verdict = |cause: &Cause<'a>| cause.verdict == verdict;
    let known = causes.iter().position(|cause| of_verdict(cause) && cause.kind.has(&kind));
    match known.or_else(|| causes.iter_mut().position(|cause| of_verdict(cause) && cause.kind.takes_in(&kind))) {
        // One violation of a kind is enough to show it.
        Some(place) if causes[place].cells.last().is_some_and(|(cell, _)| cell.id == member.0.id) => {}
        Some(place) => causes[place].cells.push(member),
        None => causes.push(Cause { kind, verdict, cells: vec![member] }),
    }
}

impl<'a> Kind<'a> {
    fn has(&self, other: &Kind<'a>) -> bool {
        match (self, other) {
            (Kind::Rule(own), Kind::Rule(statements)) => statements.iter().all(|statement| own.contains(statement)),
            _ => self == other,
        }
    }

    /// Whether the other is the same rule in the other version, which is kept in mind.
    fn takes_in(&mut self, other: &Kind<'a>) -> bool {
        let (Kind::Rule(own), Kind::Rule(statements)) = (self, other) else { return false };
        let is_same = statements.iter().all(|statement| is_one_rule(own[0], *statement));
        if is_same {
            own.extend(statements);
        }
        is_same
    }
}

impl<'a> Cause<'a> {
    /// The cell that shows it with the fewest messages, and the violation that does, by its index.
    pub fn example(&self) -> (&'a CellResult, Option<usize>) {
        let (cell, number) = self.cells.iter().min_by_key(|(cell, _)| cell.sent).unwrap_or(&self.cells[0]);
        (cell, *number)
    }

    /// What another broker has too.
    pub fn is_like(&self, other: &Cause<'_>) -> bool {
        (&self.kind, self.verdict) == (&other.kind, other.verdict)
    }
}

impl Cause<'_> {
    /// What it is, in a sentence.
    pub fn sentence(&self) -> String {
        match &self.kind {
            Kind::QueueLimit => self.limit(),
            Kind::Rule(_) => self.rule(),
            Kind::Reason(reason) => reason.clone(),
        }
    }

    /// What is to be done, if that is known.
    pub fn advice(&self) -> Option<String> {
        let limit = self.usual_limit().filter(|_| self.kind == Kind::QueueLimit)?;
        Some(format!("if the broker is configured so, --queue-limit {} declares it", limit.kept))
    }

    /// Each statement once, with the versions in which it is broken.
    fn rule(&self) -> String {
        let cited = self.cited();
        let alike = group(cited.iter().copied(), |own| (own.statement.as_str(), paraphrase(own)));
        let said = alike.iter().map(|((id, paraphrase), own)| {
            let versions: Vec<&str> = own.iter().map(|own| own.protocol.name()).collect();
            format!("{id} ({}): {paraphrase}", versions.join(", "))
        });
        said.collect::<Vec<_>>().join(" ")
    }

    /// A violation of each statement in each version, first that of the first cell.
    pub fn cited(&self) -> Vec<&Violation> {
        group(self.violations(), |own| (own.protocol, own.statement.as_str()))
            .iter()
            .map(|(_, alike)| alike[0])
            .collect()
    }

    fn limit(&self) -> String {
        let Some(limit) = self.usual_limit() else { return String::new() };
        let SuspectedLimit { kept, dropped } = limit;
        format!("Looks like a queue limit of {kept}, {dropped} dropped ({})", self.statements().join(", "))
    }

    /// The ids of the statements that are broken; none for a reason.
    pub fn statements(&self) -> Vec<&str> {
        let mut broken: Vec<&str> = self.violations().map(|own| own.statement.as_str()).collect();
        broken.sort_unstable();
        broken.dedup();
        broken
    }

    fn violations(&self) -> impl Iterator<Item = &Violation> {
        self.cells.iter().filter_map(|(cell, number)| cell.violations.get((*number)?))
    }

    /// The limit that most cells suggest.
    fn usual_limit(&self) -> Option<SuspectedLimit<'_>> {
        let limits: Vec<SuspectedLimit<'_>> =
            self.violations().filter_map(|own| SuspectedLimit::read(&own.observed)).collect();
        limits.iter().copied().max_by_key(|limit| limits.iter().filter(|other| *other == limit).count())
    }
}

/// A few lines for each cause: how many cells, what, and the commands that show and repeat one of them.
pub(super) fn overview(told: &Told<'_>, causes: &[Cause<'_>], palette: Palette) -> String {
    let results = told.results;
    let mut text = wrap("", &palette.heading("What broke"));
    for cause in causes {
        let (example, _) = cause.example();
        let mark = palette.paint(style(cause.verdict), mark(cause.verdict));
        let advice = cause.advice().map(|advice| format!("; {advice}")).unwrap_or_default();
        let first = format!("{mark} {:>9}  ", cells(cause.cells.len()));
        let before = told.as_before(cause.cells.iter().map(|(cell, _)| *cell));
        let before = before.map(|before| format!("({before}) ")).unwrap_or_default();
        text += &wrap(&first, &format!("{before}{}{advice}", cause.sentence()));
        text += &format!("{:13}{}\n", "", PrintedCommand::explain(results, &example.id, &example.scenario));
        text += &format!("{:13}{}\n", "", repeat(results, example));
    }
    text
}
