//! What broke, each cause once: a statement, a queue limit that nobody declared, or the reason why nothing can be said.

use super::findings::any_message;
use super::{Palette, cells, mark, style, wrap};
use crate::judge::SuspectedLimit;
use crate::printed_command::PrintedCommand;
use crate::results::{CellResult, Level, Results, Verdict, Violation};
use crate::statement;

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
    /// The id, and the statement in our words, which may be the same in both versions of the standard.
    Statement(&'a str, &'a str),
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
    let paraphrase = statement::find(violation.protocol, &violation.statement).map_or("", |found| found.paraphrase);
    Kind::Statement(&violation.statement, paraphrase)
}

fn add<'a>(causes: &mut Vec<Cause<'a>>, kind: Kind<'a>, verdict: Verdict, member: (&'a CellResult, Option<usize>)) {
    match causes.iter_mut().find(|cause| (&cause.kind, cause.verdict) == (&kind, verdict)) {
        // One violation of a kind is enough to show it.
        Some(cause) if cause.cells.last().is_some_and(|(cell, _)| cell.id == member.0.id) => {}
        Some(cause) => cause.cells.push(member),
        None => causes.push(Cause { kind, verdict, cells: vec![member] }),
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
            Kind::Statement(id, paraphrase) => format!("{id} ({}): {paraphrase}", self.protocols()),
            Kind::Reason(reason) => reason.clone(),
        }
    }

    /// What is to be done, if that is known.
    pub fn advice(&self) -> Option<String> {
        let limit = self.usual_limit().filter(|_| self.kind == Kind::QueueLimit)?;
        Some(format!("if the broker is configured so, --queue-limit {} declares it", limit.kept))
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

    fn protocols(&self) -> String {
        let mut protocols: Vec<&str> = self.violations().map(|own| own.protocol.name()).collect();
        protocols.sort_unstable();
        protocols.dedup();
        protocols.join(", ")
    }
}

/// A few lines for each cause: how many cells, what, and the command that shows one of them.
pub(super) fn overview(results: &Results, causes: &[Cause<'_>], palette: Palette) -> String {
    let mut text = wrap("", &palette.heading("What broke"));
    for cause in causes {
        let (example, _) = cause.example();
        let mark = palette.paint(style(cause.verdict), mark(cause.verdict));
        let advice = cause.advice().map(|advice| format!("; {advice}")).unwrap_or_default();
        let first = format!("{mark} {:>9}  ", cells(cause.cells.len()));
        text += &wrap(&first, &format!("{}{advice}", cause.sentence()));
        text += &format!("{:13}{}\n", "", PrintedCommand::explain(results, &example.id, &example.scenario));
    }
    text
}
