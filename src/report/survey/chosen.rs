//! The choices that the standard leaves open, a row for each that was seen and each of its values.

use std::collections::BTreeSet;

use super::super::grid::Grid;
use super::super::markdown::escaped;
use super::{Surveyed, name};
use crate::choice;
use crate::results::Results;

/// A column for each of these.
pub fn section(all: &[&Surveyed]) -> String {
    let chosen = |own: &&Surveyed| {
        let choices = own.results.cells.iter().flat_map(|cell| cell.choices.clone());
        choices.collect::<BTreeSet<_>>()
    };
    let rows: BTreeSet<(String, String)> = all.iter().flat_map(chosen).collect();
    let row = |(choice, value): &(String, String)| {
        let entries = all.iter().map(|own| entry(&own.results, choice, value));
        [escaped(&choice::sentence(choice, value))].into_iter().chain(entries).collect()
    };
    let grid = Grid {
        head: [String::new()].into_iter().chain(all.iter().map(|own| name(&own.results.broker))).collect(),
        rows: rows.iter().map(row).collect(),
    };
    format!("Each entry says in how many of the cells that show it the broker chose so.\n\n{}", grid.of_markdown())
}

/// `all 16` of the cells in which the broker had the choice, or `3 of 16`; nothing where it never chose so.
fn entry(results: &Results, choice: &str, value: &str) -> String {
    let values: Vec<&String> = results.cells.iter().filter_map(|cell| cell.choices.get(choice)).collect();
    match values.iter().filter(|own| **own == value).count() {
        0 => String::new(),
        count if count == values.len() => format!("all {count}"),
        count => format!("{count} of {}", values.len()),
    }
}
