//! Results -> text for people. It reads nothing but the results, and cannot fail.
//!
//! [`terminal`] is the whole answer: the table, what the broker chose where the standard leaves it open, and every
//! finding with its evidence. [`changes`] says what differs from a baseline. A file a format.

mod annotations;
mod catalogue;
mod causes;
mod changes;
mod choices;
mod control;
mod examined;
mod explain;
mod explored;
mod findings;
mod grid;
mod histories;
mod html;
mod junit;
mod known;
mod lessons;
mod markdown;
mod matrix;
mod page;
mod profile;
mod profiles;
mod statements;
mod storm;
mod survey;
mod table;
mod told;

use anstyle::{AnsiColor, Style};

use crate::results::{BrokerLabel, CellResult, CutShort, Results, Verdict};

pub use annotations::annotations;
pub use catalogue::{brokers, catalogue, scenarios_in_help};
pub use changes::changes;
pub use control::{Control, ControlPlayed, control};
pub use examined::examined;
pub use explain::{Detail, Explained, explain};
pub use explored::{Search, explored};
pub use histories::{JudgedFile, histories};
pub use html::{html, storms_html};
pub use junit::junit;
pub use lessons::Teaching;
pub use markdown::markdown;
pub use page::Page;
use page::wrap;
pub use profile::{profile, value as measured_value};
pub use profiles::{profile_changes, profiles};
pub use statements::{all_statements, statement};
pub use storm::{storm, storm_changes};
pub use survey::{PAGE_MARK, Surveyed, examples, side_by_side, surveyed, title};
pub use told::Told;

/// Ids that a folded finding names; the others are counted.
const NAMED_CELLS: usize = 3;

/// Whether marks and verdicts are coloured. Nothing is said by colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Palette {
    Plain,
    Coloured,
}

impl Palette {
    fn paint(self, style: Style, text: &str) -> String {
        match self {
            Palette::Plain => text.to_owned(),
            Palette::Coloured => format!("{style}{text}{style:#}"),
        }
    }

    fn verdict(self, verdict: Verdict, text: &str) -> String {
        self.paint(style(verdict), text)
    }

    fn heading(self, text: &str) -> String {
        self.paint(Style::new().bold(), text)
    }
}

/// What was measured: the first line of the output.
pub fn measured(broker: &BrokerLabel, url: &str) -> String {
    let name = match (&broker.name, &broker.version) {
        (Some(name), Some(version)) => format!("{name} {version}"),
        (Some(name), None) => name.clone(),
        (None, Some(version)) => format!("version {version}"),
        (None, None) => String::new(),
    };
    if broker.how == BrokerLabel::EMBEDDED {
        let name = if name.is_empty() { name } else { format!(", {name}") };
        return format!("Measured: the embedded broker{name}. Yours: --broker mqtt://HOST[:PORT]");
    }
    let gap = if name.is_empty() { "" } else { " at " };
    format!("Measured: {name}{gap}{url}")
}

/// Where a reader meets the word first.
const CELL: &str =
    "A cell is one experiment: a scenario with one value for each of its axes, such as the protocol version.";

/// The answer of a run: a table or the lessons of each scenario, the choices, the findings, what was known, and the line that
/// sums up.
pub fn terminal(told: &Told<'_>, page: impl Into<Page>) -> String {
    let Told { results, teachings, known, .. } = *told;
    let page = page.into();
    let palette = page.palette;
    let section = |(scenario, cells): (&str, Vec<&CellResult>)| {
        let teaching = teachings.iter().find(|teaching| teaching.scenario == scenario);
        let lessons = teaching.map(|teaching| lessons::section(teaching, results, page));
        lessons
            .or_else(|| matrix::table(&cells, page))
            .unwrap_or_else(|| table::table(scenario, results.run.scenarios.get(scenario), &cells, page))
    };
    let mut sections: Vec<String> = scenarios(results).into_iter().map(section).collect();
    sections.extend(choices::section(results, palette));
    let is_taught = |scenario: &str| teachings.iter().any(|teaching| teaching.scenario == scenario);
    if scenarios(results).into_iter().any(|(scenario, _)| !is_taught(scenario)) {
        sections.insert(0, wrap("", CELL));
    }
    sections.extend(findings::sections(told, page));
    sections.extend(known::section(results, known, palette));
    sections.push(summary_line(results, palette) + &known::summary(known, palette));
    page.lay_out(&sections.join("\n"))
}

/// `144 cells: 3 fail, 141 pass`, worst first; `50 of 144 cells, the broker was gone: 50 pass` where something has cut the run short.
fn summary_line(results: &Results, palette: Palette) -> String {
    let counts = Verdict::WORST_FIRST.map(|verdict| (verdict, results.summary.count(verdict)));
    let words: Vec<String> = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(verdict, count)| palette.verdict(*verdict, &format!("{count} {}", verdict.name())))
        .collect();
    let total = match results.run.complete {
        true => cells(results.cells.len()),
        false => {
            let why = results.run.cut_short.map_or("cut short", CutShort::sentence);
            format!("{} of {}, {why}", results.cells.len(), cells(results.run.planned as usize))
        }
    };
    match (words.is_empty(), results.run.complete) {
        (true, true) => "no cells\n".into(),
        (true, false) => format!("{total}\n"),
        (false, _) => format!("{total}: {}\n", words.join(", ")),
    }
}

/// The cells of each scenario, in order of first appearance.
fn scenarios(results: &Results) -> Vec<(&str, Vec<&CellResult>)> {
    group(&results.cells, |cell| cell.scenario.as_str())
}

/// Things of the same key together, in order of first appearance.
fn group<'a, T, K: PartialEq>(
    things: impl IntoIterator<Item = &'a T>,
    key: impl Fn(&'a T) -> K,
) -> Vec<(K, Vec<&'a T>)> {
    let mut groups: Vec<(K, Vec<&T>)> = Vec::new();
    for thing in things {
        let key = key(thing);
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, members)) => members.push(thing),
            None => groups.push((key, vec![thing])),
        }
    }
    groups
}

fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✓",
        Verdict::Fail => "✗",
        Verdict::Warn => "!",
        Verdict::Inconclusive => "?",
        Verdict::Unsupported => "-",
        Verdict::Error => "E",
    }
}

fn style(verdict: Verdict) -> Style {
    let colour = match verdict {
        Verdict::Pass => AnsiColor::Green,
        Verdict::Fail => AnsiColor::Red,
        Verdict::Warn => AnsiColor::Yellow,
        Verdict::Inconclusive | Verdict::Error => AnsiColor::Magenta,
        Verdict::Unsupported => AnsiColor::Cyan,
    };
    Style::new().fg_color(Some(colour.into()))
}

/// `1 cell`, `2 cells`.
fn cells(count: usize) -> String {
    format!("{count} cell{}", if count == 1 { "" } else { "s" })
}

/// The first few ids, a line each, and how many more there are.
fn name_cells<'a>(ids: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = ids.len().saturating_sub(NAMED_CELLS);
    let mut text: String = ids.take(NAMED_CELLS).map(|id| format!("  {id}\n")).collect();
    if more > 0 {
        text += &format!("  and {more} more cell{}\n", if more == 1 { "" } else { "s" });
    }
    text
}
