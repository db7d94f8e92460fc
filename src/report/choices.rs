//! What the standard leaves open and this broker decided.

use super::{Palette, cells, group, wrap};
use crate::choice;
use crate::fold::Domain;
use crate::results::{CellResult, Results};

/// Phrases that describe the cells of one value; with more, the count alone is clearer.
const PHRASES: usize = 3;

/// Whether how many messages arrived in this cell was the broker's to decide.
pub(super) fn decide_count(cell: &CellResult) -> bool {
    cell.choices.keys().any(|name| choice::decides_count(name))
}

/// A sentence for each choice that a cell exercised and each of its values, and where it was seen.
pub(super) fn section(results: &Results, palette: Palette) -> Option<String> {
    let mut names: Vec<&String> = results.cells.iter().flat_map(|cell| cell.choices.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let text: String = names.into_iter().map(|name| sentences(name, results)).collect();
    let heading = palette.heading("Left open by the standard, chosen by this broker");
    (!text.is_empty()).then(|| wrap("", &heading) + &text)
}

fn sentences(name: &str, results: &Results) -> String {
    let exercised: Vec<&CellResult> = results.cells.iter().filter(|cell| cell.choices.contains_key(name)).collect();
    let mut groups = group(exercised.iter().copied(), |cell| &cell.choices[name]);
    groups.sort_by_key(|(value, _)| *value);
    let all = cells(exercised.len());
    let sentence = |(value, members): &(&String, Vec<&CellResult>)| {
        let count = match groups.len() {
            1 if exercised.len() == 1 => all.clone(),
            1 => format!("all {all}"),
            _ => format!("{} of {all}{}", members.len(), place(&exercised, members)),
        };
        wrap("  - ", &format!("{} ({count}).", choice::sentence(name, value)))
    };
    groups.iter().map(sentence).collect()
}

/// Which cells of those that exercised the choice, if that is said in few words.
fn place(exercised: &[&CellResult], members: &[&CellResult]) -> String {
    let mut phrases: Vec<String> = Vec::new();
    for (scenario, all) in group(exercised.iter().copied(), |cell| cell.scenario.as_str()) {
        let own = members.iter().filter(|cell| cell.scenario == scenario);
        let domain = Domain::with_gaps(all.iter().map(|cell| &cell.axes));
        let described = domain.fold(own.map(|cell| &cell.axes));
        let phrase = |described: String| format!("{scenario} {described}").trim_end().to_owned();
        phrases.extend(described.iter().map(|product| phrase(domain.describe(product))));
    }
    if phrases.len() > PHRASES { String::new() } else { format!(": {}", phrases.join("; ")) }
}
