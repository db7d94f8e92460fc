//! Profiles side by side, as a table in Markdown; and what changed from one to the next.

use super::markdown::escaped;
use super::page::{Page, wrap};
use super::profile::value;
use super::survey::title;
use crate::profile::{Measured, Number, Profile, Quantity};
use crate::visible::visible;

const ABOUT: &str = "Each column is what `mqtt-sessions probe` measured of one broker in one configuration. `at least` is where the search \
    stopped, `-` where there is nothing to be measured, and `≠` marks what is not as the broker announces it.";

/// The profiles as a page, each with the file in which it stands.
pub fn profiles(profiles: &[(String, Profile)]) -> String {
    let mut text = format!("# What the standard leaves open\n\n{ABOUT}\n");
    let mut group = None;
    for quantity in Quantity::ALL {
        let own = quantity.group();
        if group.replace(own) != Some(own) {
            text += &format!("\n## {}\n\n", own.title());
            text += &row(String::new(), profiles.iter().map(heading));
            text += &format!("|---|{}\n", "---|".repeat(profiles.len()));
        }
        let of = |(_, profile): &(String, Profile)| profile.number(quantity).map(value).unwrap_or_default();
        text += &row(quantity.title().into(), profiles.iter().map(of).map(|value| escaped(&value).to_string()));
    }
    text
}

fn heading((file, profile): &(String, Profile)) -> String {
    format!("[{}]({})", escaped(&title(&profile.broker)), file)
}

fn row(first: String, rest: impl Iterator<Item = String>) -> String {
    let cells: Vec<String> = [first].into_iter().chain(rest).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// What one profile says and another does not.
pub fn profile_changes(changes: &[(&Number, &Number)], page: Page) -> String {
    if changes.is_empty() {
        return "No number changed.".into();
    }
    let mut text = format!(
        "{} changed:\n",
        if changes.len() == 1 { "1 number".into() } else { format!("{} numbers", changes.len()) }
    );
    for (before, after) in changes {
        let quantity = before.quantity;
        let said = format!("{}: {} -> {}", quantity.title(), shown(before), shown(after));
        text += &wrap("  - ", &visible(&format!("{}: {said}", quantity.group().title())));
    }
    page.lay_out(text.trim_end())
}

fn shown(number: &Number) -> String {
    match (&number.measured, number.announced) {
        (Measured::DoesNotApply { why } | Measured::NotMeasured { why }, _) => format!("{} ({why})", value(number)),
        (_, Some(announced)) => format!("{} ({} announced)", value(number), number.quantity.unit().shown(announced)),
        (_, None) => value(number),
    }
}
