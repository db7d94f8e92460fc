//! What the standard leaves open and this broker decided.

use super::fold::Domain;
use super::{Palette, group, scenarios, wrap};
use crate::results::{CellResult, Results};

/// Products that describe the cells of one value; with more, the count alone is clearer.
const PHRASES: usize = 3;

/// A choice in a few plain words, and whether it decides how many messages arrive.
struct Choice {
    name: &'static str,
    meaning: &'static str,
    decides_count: bool,
}

const CHOICES: [Choice; 11] = [
    Choice {
        name: "qos0_publication_while_away",
        meaning: "published at QoS 0, subscribed at 1 or 2, away",
        decides_count: true,
    },
    Choice {
        name: "qos0_subscription_while_away",
        meaning: "published at QoS 1 or 2, subscribed at 0, away",
        decides_count: true,
    },
    Choice { name: "qos0_both_while_away", meaning: "published and subscribed at QoS 0, away", decides_count: true },
    Choice {
        name: "retained_qos0",
        meaning: "a QoS 0 message with RETAIN 1, for later SUBSCRIBEs",
        decides_count: true,
    },
    Choice { name: "retained_copy_order", meaning: "its place among the queued messages", decides_count: false },
    Choice {
        name: "unsolicited_messages",
        meaning: "messages that no subscription of the session explains",
        decides_count: true,
    },
    Choice {
        name: "takeover_disconnect",
        meaning: "what DISCONNECT tells a client whose session is taken over (5.0)",
        decides_count: false,
    },
    Choice {
        name: "shared_while_away",
        meaning: "messages of a shared subscription while a client of the group is away",
        decides_count: true,
    },
    Choice {
        name: "will_at_clean_start",
        meaning: "a delayed will when its client is back in time with a clean start (5.0)",
        decides_count: false,
    },
    Choice { name: "sys_topics", meaning: "what the broker publishes below $SYS", decides_count: false },
    Choice { name: "queue_full", meaning: "messages beyond the declared queue limit", decides_count: true },
];

/// The name of each choice, and what it is about.
pub(super) fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    CHOICES.iter().map(|choice| (choice.name, choice.meaning))
}

/// Whether how many messages arrived in this cell was the broker's to decide.
pub(super) fn decide_count(cell: &CellResult) -> bool {
    cell.choices.keys().any(|name| CHOICES.iter().any(|choice| choice.name == name && choice.decides_count))
}

/// A choice in a few plain words.
pub(super) fn meaning(name: &str) -> Option<&'static str> {
    CHOICES.iter().find(|choice| choice.name == name).map(|choice| choice.meaning)
}

/// Each choice that a cell exercised, with its values and where they were seen.
pub(super) fn section(results: &Results, palette: Palette) -> Option<String> {
    let mut text = String::new();
    let several = scenarios(results).len() > 1;
    for (scenario, cells) in scenarios(results) {
        let mut names: Vec<&str> = cells.iter().flat_map(|cell| cell.choices.keys().map(String::as_str)).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            text += &headline(name, several.then_some(scenario));
            text += &values(name, &cells);
        }
    }
    (!text.is_empty()).then(|| palette.heading("Left open by the standard, chosen by this broker") + "\n" + &text)
}

fn headline(name: &str, scenario: Option<&str>) -> String {
    let scenario = scenario.map(|scenario| format!(" ({scenario})")).unwrap_or_default();
    match CHOICES.iter().find(|choice| choice.name == name) {
        Some(choice) => wrap("  ", &format!("{name}{scenario}: {}", choice.meaning)),
        None => format!("  {name}{scenario}\n"),
    }
}

fn values(name: &str, cells: &[&CellResult]) -> String {
    let exercised: Vec<&CellResult> = cells.iter().copied().filter(|cell| cell.choices.contains_key(name)).collect();
    let domain = Domain::of(exercised.iter().map(|cell| &cell.axes));
    let mut groups = group(exercised.iter().copied(), |cell| &cell.choices[name]);
    groups.sort_by_key(|(value, _)| *value);
    let mut text = String::new();
    for (value, members) in &groups {
        let all = super::cells(exercised.len());
        let count = match groups.len() {
            1 => format!("in all {all}"),
            _ => format!("in {} of {all}", members.len()),
        };
        let products = domain.fold(members.iter().map(|cell| &cell.axes));
        let phrases: Vec<String> = products.iter().map(|product| domain.describe(product)).collect();
        let place = match phrases.len() {
            _ if groups.len() == 1 => String::new(),
            0..=PHRASES => format!(": {}", phrases.join("; ")),
            _ => String::new(),
        };
        text += &wrap(&format!("    {value:<12} "), &format!("{count}{place}"));
    }
    text
}
