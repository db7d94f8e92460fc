//! What random experiments found: each finding with the simplest experiment that shows it.

use super::findings::violated;
use super::{Page, Palette, mark, measured, wrap};
use crate::explore::{Explored, Finding};
use crate::printed_command::PrintedCommand;
use crate::results::{BrokerLabel, CellResult, Verdict};

/// How many seeds a finding names.
const NAMED_SEEDS: usize = 3;
/// How many failures that did not come again are told.
const UNREPEATED: usize = 3;

/// What is needed to tell about a search beside what it found.
pub struct Search<'a> {
    pub broker: &'a BrokerLabel,
    pub url: &'a str,
    /// The command that repeats a finding.
    pub repeat: &'a dyn Fn(&Finding) -> PrintedCommand,
}

/// The findings, what is unclear, and the line that sums up.
pub fn explored(explored: &Explored, search: &Search<'_>, page: impl Into<Page>) -> String {
    let page: Page = page.into();
    let palette = page.palette;
    let mut text = format!("{}\n\n", measured(search.broker, search.url));
    for finding in &explored.findings {
        text += &found(finding, &(search.repeat)(finding), palette);
        text.push('\n');
    }
    for (seed, cell) in explored.unrepeated.iter().take(UNREPEATED) {
        text += &example("seen once, and not when it was tried again,", Verdict::Inconclusive, *seed, cell, palette);
    }
    for (verdict, (seed, cell)) in &explored.examples {
        text += &example(verdict.name(), *verdict, *seed, cell, palette);
    }
    if !explored.unrepeated.is_empty() || !explored.examples.is_empty() {
        text.push('\n');
    }
    page.lay_out(&(text + &summary(explored, palette)))
}

fn found(finding: &Finding, repeat: &PrintedCommand, palette: Palette) -> String {
    let Finding { cell, experiment, seeds, .. } = finding;
    let verdict = format!("{} {}", mark(cell.verdict), cell.verdict.name());
    let line = wrap(&format!("{verdict} "), &format!("in {}: {}", experiments(seeds.len()), named(seeds)));
    let mut text = line.replacen(&verdict, &palette.verdict(cell.verdict, &verdict), 1);
    let mut told: Vec<&str> = Vec::new();
    for violation in &cell.violations {
        if !told.contains(&violation.statement.as_str()) {
            text += &violated(violation);
            told.push(&violation.statement);
        }
    }
    text += "  Simplest     the fewest steps that still fail\n";
    text.extend(experiment.to_string().lines().map(|line| format!("      {line}\n")));
    text + &format!("  Repeat with  {repeat}\n")
}

fn named(seeds: &[u32]) -> String {
    let first: Vec<String> = seeds.iter().take(NAMED_SEEDS).map(u32::to_string).collect();
    let more = seeds.len().saturating_sub(NAMED_SEEDS);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("--seed {}{rest}", first.join(", "))
}

fn example(what: &str, verdict: Verdict, seed: u32, cell: &CellResult, palette: Palette) -> String {
    let head = format!("{} {what} ", mark(verdict));
    let reason = cell.reason.as_deref().unwrap_or("no reason was given");
    let line = wrap(&head, &format!("for example --seed {seed}: {reason}"));
    line.replacen(&head, &palette.verdict(verdict, &head), 1)
}

fn summary(explored: &Explored, palette: Palette) -> String {
    let seconds = explored.elapsed.as_secs_f64();
    let tried = explored.summary.all();
    let counts = Verdict::WORST_FIRST.map(|verdict| (verdict, explored.summary.count(verdict)));
    let words: Vec<String> = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(verdict, count)| palette.verdict(*verdict, &format!("{count} {}", verdict.name())))
        .collect();
    let rate = f64::from(tried) / seconds.max(0.001);
    let verdicts = if words.is_empty() { String::new() } else { format!(": {}", words.join(", ")) };
    let shrinking = match explored.shrinking.as_secs() {
        0 => String::new(),
        seconds => format!("; {seconds} s to shrink what failed"),
    };
    format!("{} in {seconds:.1} s, {rate:.0} a second{verdicts}{shrinking}\n", experiments(tried as usize))
}

fn experiments(count: usize) -> String {
    format!("{count} experiment{}", if count == 1 { "" } else { "s" })
}
