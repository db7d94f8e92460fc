//! What each broker breaks, each cause once, with the command that shows it.

use super::super::causes::{Cause, causes};
use super::super::findings::repeat;
use super::super::markdown::{escaped, fenced, one_line};
use super::super::{Palette, cells, mark, summary_line};
use super::{Surveyed, findings, findings_of, name};
use crate::results::{Level, Results, Verdict, Violation};
use crate::statement;

/// What a reader has to know of the sections below.
pub const ABOUT: &str = "Each finding stands once: the statement in our words, how many cells show it, what was expected and observed \
    in one of them, and the command that repeats that cell. The files keep the packets of these cells: `mqtt-sessions explain CELL --results FILE` \
    tells them one by one.\n";

/// A broker in its usual configuration, and what is different in the others.
pub fn sections(family: &[&Surveyed]) -> String {
    let Some((usual, others)) = family.split_first() else { return String::new() };
    let found = causes(usual.results.cells.iter());
    let blocks: String = found.iter().map(|cause| finding(&usual.results, cause)).collect();
    let mut text = headed(usual, &(beside_the_cells(&usual.results) + &blocks));
    for other in others {
        text += &headed(other, &difference(&found, other, &name(&usual.results.broker)));
    }
    text
}

/// The heading of a broker, the line that sums up, and what follows.
fn headed(own: &Surveyed, below: &str) -> String {
    let results = &own.results;
    let summary = one_line(&summary_line(results, Palette::Plain));
    let count = findings(findings_of(results));
    format!("\n### {}\n\n{}; {count}.\n{below}", name(&results.broker), escaped(summary.trim_end()))
}

/// What another configuration breaks that the usual one does not, and the other way round.
fn difference(usual: &[Cause<'_>], other: &Surveyed, name: &str) -> String {
    let found = causes(other.results.cells.iter());
    let is_in = |cause: &Cause<'_>, causes: &[Cause<'_>]| causes.iter().any(|own| own.is_like(cause));
    let more: Vec<&Cause<'_>> = found.iter().filter(|cause| !is_in(cause, usual)).collect();
    let gone: Vec<&Cause<'_>> = usual.iter().filter(|cause| !is_in(cause, &found)).collect();
    let same = found.len() - more.len();
    let mut text = format!("\n{} as in {name}{}\n", findings(same), if more.is_empty() { "." } else { "; and:" });
    text += &beside_the_cells(&other.results);
    text.extend(more.iter().map(|cause| finding(&other.results, cause)));
    if !gone.is_empty() {
        let sentences: String = gone.iter().map(|cause| format!("- {}\n", escaped(&cause.sentence()))).collect();
        text += &format!("\nNot found here:\n\n{sentences}");
    }
    text
}

/// One cause: what it is, where, what was observed, and the command.
fn finding(results: &Results, cause: &Cause<'_>) -> String {
    let (example, number) = cause.example();
    let what = cause.sentence();
    let sentence = format!("{} {}: {}.", mark(cause.verdict), cells(cause.cells.len()), what.trim_end_matches('.'));
    let advice = cause.advice().map(|advice| format!(" Advice: {advice}.")).unwrap_or_default();
    let observed = number.and_then(|number| example.violations.get(number)).map(observed).unwrap_or_default();
    let command = repeat(results, example).to_string();
    format!("\n{}{observed}\n\n{}", escaped(&(sentence + &advice)), fenced(&command))
}

fn observed(violation: &Violation) -> String {
    let Violation { expected, observed, .. } = violation;
    format!("\nExpected: {}. Observed: {}.", escaped(expected), escaped(observed))
}

/// What was broken on connections of the tool's own.
fn beside_the_cells(results: &Results) -> String {
    let told = |violation: &Violation| {
        let verdict = if violation.level == Level::Must { Verdict::Fail } else { Verdict::Warn };
        let Violation { protocol, statement, .. } = violation;
        let paraphrase = statement::find(*protocol, statement).map_or("", |found| found.paraphrase);
        let sentence = format!("{} beside the cells: {statement} ({protocol}): {paraphrase}", mark(verdict));
        format!("\n{}{}\n", escaped(&sentence), observed(violation))
    };
    results.broker_findings.violations.iter().map(told).collect()
}
