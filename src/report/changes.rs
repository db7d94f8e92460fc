//! What differs from a baseline. Cells that changed in the same way are one block.

use super::{Page, Palette, cells, group, name_cells, style, wrap};
use crate::compare::{Change, Comparison, Kind};
use crate::results::Verdict;

/// The changes, worst first, and the line that sums them up.
pub fn changes(comparison: &Comparison, page: impl Into<Page>) -> String {
    let page: Page = page.into();
    let palette = page.palette;
    let mut text = String::new();
    for kind in Kind::ALL {
        let of_kind = comparison.changes.iter().filter(|change| change.kind == kind);
        let same = |change: &Change| (change.before, change.after, change.detail.clone());
        for (_, members) in group(of_kind, same) {
            text += &block(kind, &members, palette);
        }
    }
    if !comparison.new_of_broker.is_empty() {
        let said = format!("beside the cells the broker now breaks {}", comparison.new_of_broker.join(", "));
        let said = wrap(&format!("{:<16}", Kind::Worse.name()), &said);
        text += &said.replacen(Kind::Worse.name(), &palette.paint(style(Verdict::Fail), Kind::Worse.name()), 1);
    }
    if !text.is_empty() {
        text.push('\n');
    }
    page.lay_out(&(text + &summary(comparison, palette)))
}

fn block(kind: Kind, members: &[&Change], palette: Palette) -> String {
    let Some(first) = members.first() else { return String::new() };
    let verdicts = match (first.before, first.after) {
        (Some(before), Some(after)) if before != after => format!("{} → {}", before.name(), after.name()),
        (before, after) => before.or(after).map_or("", Verdict::name).to_owned(),
    };
    let detail = if first.detail.is_empty() { String::new() } else { format!("; {}", first.detail) };
    let said = format!("{verdicts}, {}{detail}", cells(members.len()));
    let text = wrap(&format!("{:<16}", kind.name()), &said);
    let ids = name_cells(members.iter().map(|change| change.id.as_str()));
    text.replacen(kind.name(), &paint(kind, first, palette), 1) + &ids
}

fn paint(kind: Kind, change: &Change, palette: Palette) -> String {
    match (kind, change.after) {
        (Kind::Worse | Kind::New, Some(after)) => palette.paint(style(after), kind.name()),
        (Kind::Better, _) => palette.paint(style(Verdict::Pass), kind.name()),
        (Kind::Unclear, _) => palette.paint(style(Verdict::Inconclusive), kind.name()),
        _ => kind.name().to_owned(),
    }
}

fn summary(comparison: &Comparison, palette: Palette) -> String {
    let counts = Kind::ALL.map(|kind| (kind, comparison.count(kind)));
    let is_in_both = |change: &&Change| change.before.is_some() && change.after.is_some();
    let changed = comparison.changes.iter().filter(is_in_both).count();
    let mut words: Vec<String> =
        counts.iter().filter(|(_, count)| *count > 0).map(|(kind, count)| format!("{count} {}", kind.name())).collect();
    words.push(format!("{} unchanged", comparison.compared - changed));
    let mut text = palette.heading(&format!("{} compared", cells(comparison.compared)));
    text += &format!(": {}\n", words.join(", "));
    if comparison.unmeasured > 0 {
        let of_baseline = cells(comparison.unmeasured);
        text += &wrap("", &format!("{of_baseline} of the baseline were not measured: the run is not complete"));
    }
    text
}
