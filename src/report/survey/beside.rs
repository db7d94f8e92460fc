//! The table of brokers: a row for each scenario and protocol version, a column for each broker.

use super::super::grid::Grid;
use super::super::markdown::escaped;
use super::super::matrix::meanings;
use super::super::{Page, Palette, mark};
use super::{Surveyed, name};
use crate::results::{AxisValue, CellResult, Verdict};
use crate::scenario::Scenario;

/// A scenario in one protocol version.
pub(in crate::report) type Row<'a> = (&'a str, String);

/// The brokers in their usual configurations, what the entries mean, and what the scenarios ask.
pub fn section(usual: &[&Surveyed], all: &[&Surveyed]) -> String {
    let text = "Each entry is the worst verdict, and how many of the cells have it: ✗ 3/36 says that 3 of 36 cells break a MUST, ✓ 36 \
        that all 36 are right.";
    let scenarios = scenarios(all);
    let questions = scenarios.iter().filter(|name| Scenario::built_in_names().any(|built_in| built_in == **name));
    let questions = questions.filter_map(|name| Scenario::load(name).ok());
    let asked: String =
        questions.map(|scenario| format!("- {}: {}\n", escaped(&scenario.name), escaped(&scenario.question))).collect();
    let asked = format!("<details><summary>What each scenario asks</summary>\n\n{asked}\n</details>\n");
    format!("{text}\n\n{}\n\n{}\n{asked}", legend(), table(usual))
}

/// What the marks mean, in one line.
fn legend() -> String {
    let page = Page { width: usize::MAX, ..Page::from(Palette::Plain) };
    let marks = Verdict::WORST_FIRST.map(mark).into_iter().collect();
    meanings(&marks, page).trim_end().replace("   ", " · ")
}

/// A column for each of these.
pub fn table(all: &[&Surveyed]) -> String {
    let heads = ["scenario", "MQTT"].map(String::from).into_iter();
    let row = |row: Row<'_>| {
        let entries = all.iter().map(|own| {
            let cells = own.results.cells.iter().filter(|cell| row_of(cell) == row);
            entry(&cells.collect::<Vec<_>>())
        });
        [escaped(row.0), escaped(&row.1)].into_iter().chain(entries).collect()
    };
    Grid {
        head: heads.chain(all.iter().map(|own| name(&own.results.broker))).collect(),
        rows: rows(all).into_iter().map(row).collect(),
    }
    .of_markdown()
}

/// The worst verdict, and how many of the cells have it; nothing where none was run.
pub(in crate::report) fn entry(cells: &[&CellResult]) -> String {
    let Some(worst) = cells.iter().map(|cell| cell.verdict).max() else { return String::new() };
    let count = cells.iter().filter(|cell| cell.verdict == worst).count();
    let of_all = if count == cells.len() { String::new() } else { format!("/{}", cells.len()) };
    format!("{} {count}{of_all}", mark(worst))
}

/// A row for each scenario and protocol version that some broker has.
pub(in crate::report) fn rows<'a>(all: &[&'a Surveyed]) -> Vec<Row<'a>> {
    let mut rows: Vec<Row<'a>> = Vec::new();
    for row in all.iter().flat_map(|own| &own.results.cells).map(row_of) {
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    let order = scenarios(all);
    rows.sort_by_key(|(scenario, protocol)| (order.iter().position(|own| own == scenario), protocol.clone()));
    rows
}

/// The row of a cell.
pub(in crate::report) fn row_of(cell: &CellResult) -> Row<'_> {
    let protocol = match cell.axes.get("protocol") {
        Some(AxisValue::Text(protocol)) => protocol.clone(),
        _ => String::new(),
    };
    (&cell.scenario, protocol)
}

/// Those that are built in as `list` has them, then the others by name.
pub(in crate::report) fn scenarios<'a>(all: &[&'a Surveyed]) -> Vec<&'a str> {
    let mut names: Vec<&str> =
        all.iter().flat_map(|own| &own.results.cells).map(|cell| cell.scenario.as_str()).collect();
    let place = |name: &str| Scenario::built_in_names().position(|built_in| built_in == name).unwrap_or(usize::MAX);
    names.sort_by_key(|name| (place(name), *name));
    names.dedup();
    names
}
