//! The statements of the standard: all of them, and one explained. What stands here was found out with the test broker of
//! this repository, and says nothing about any other broker.

use std::collections::BTreeSet;

use super::grid::Grid;
use super::page::{Page, wrap};
use crate::choice;
use crate::packet::Protocol;
use crate::scenario::Scenario;
use crate::statement::{self, Duty, Lie, Statement, statements};

/// How wide the columns of the list are before the text: the id, and the level.
const COLUMNS: [usize; 2] = [20, 6];
/// Scenarios that a line of the list names; the others are counted.
const NAMED_SCENARIOS: usize = 4;
/// Cells that an explanation names.
const NAMED_CELLS: usize = 5;

/// Every statement with its level, its paraphrase, and where it is judged; below them what the standard leaves open.
pub fn all_statements(page: Page) -> String {
    let heading = |text: &str| format!("{}\n\n", page.palette.heading(text));
    let list = |rows: Vec<Vec<String>>| Grid::beside(rows, &COLUMNS, page.width) + "\n";
    let mut text = String::new();
    for protocol in Protocol::ALL {
        text += &heading(&format!("MQTT {protocol}"));
        let row = |statement: &Statement| {
            let said = format!("{}\n{}", statement.paraphrase, judged_in(statement));
            vec![format!("{protocol} {}", statement.id), statement.level.name().into(), said]
        };
        text += &list(statements(protocol).iter().map(row).collect());
    }
    text += &heading("MAY: left open by the standard, recorded as a choice and never failed");
    let row = |(name, sentence): (&str, String)| vec![String::new(), "MAY".into(), format!("{sentence} [{name}]")];
    text += &list(choice::all().map(row).collect());
    text + "mqtt-sessions explain MQTT-3.1.2-5 says more about one of them.\n"
}

/// Where the statement is judged, or why it is not, in a line or two.
fn judged_in(statement: &Statement) -> String {
    match statement.duty {
        Duty::Client => "-> a duty of clients, and not judged".into(),
        Duty::Same(other) => format!("-> the same as {other}, which is cited"),
        Duty::Unseen(why) => format!("-> not judged: {why}"),
        Duty::Judged => {
            let lies = statement.lies();
            let scenarios = scenarios(&lies);
            let more = scenarios.len().saturating_sub(NAMED_SCENARIOS);
            let named = scenarios[..scenarios.len() - more].join(", ");
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            match (lies.len(), scenarios.is_empty()) {
                (0, _) => "-> judged in every cell".into(),
                (count, true) => format!("-> judged in every cell; {} it", lies_break(count)),
                (count, false) => format!("-> {} it, seen in {named}{more}", lies_break(count)),
            }
        }
    }
}

fn lies_break(count: usize) -> String {
    if count == 1 { "1 lie breaks".into() } else { format!("{count} lies break") }
}

/// The built-in scenarios in which one of the lies was caught, in the order in which they run.
fn scenarios(lies: &[Lie]) -> Vec<&'static str> {
    let caught: BTreeSet<&str> = lies.iter().flat_map(|lie| &lie.scenarios).copied().collect();
    Scenario::built_in_names().filter(|name| caught.contains(name)).collect()
}

/// What each version demands under this number, what a broker does that breaks it, and how to see it.
pub fn statement(found: &[&Statement], page: Page) -> String {
    let texts: Vec<String> = found.iter().map(|statement| explained(statement, page)).collect();
    page.lay_out(&texts.join("\n"))
}

fn explained(statement: &Statement, page: Page) -> String {
    let Statement { protocol, id, level, .. } = statement;
    let mut text = page.palette.heading(&format!("{id} in MQTT {protocol} ({})", level.in_words())) + "\n";
    text += &wrap("", statement.paraphrase);
    text += &format!("Section {}: {}\n\n", statement.section(), statement.link());
    match statement.duty {
        Duty::Client => text + &wrap("", "It is a duty of clients, and no broker is judged by it."),
        Duty::Unseen(why) => text + &wrap("", &format!("No client can see whether a broker keeps it: {why}.")),
        Duty::Judged => text + &shown_by(statement),
        Duty::Same(other) => {
            text += &wrap("", &format!("It demands the same as {other}, which is cited in its place."));
            match statement::find(*protocol, other) {
                Some(other) => text + "\n" + &shown_by(other),
                None => text,
            }
        }
    }
}

/// The lies, the scenarios and cells, and the commands.
fn shown_by(statement: &Statement) -> String {
    let lies = statement.lies();
    if lies.is_empty() {
        return wrap("", "It is judged in every cell. No lie of the test broker breaks it.");
    }
    let mut text = String::from("A broker breaks it that does one of these:\n");
    for lie in &lies {
        text += &wrap("    - ", &format!("{} [{}]", lie.description, lie.name));
    }
    let scenarios = scenarios(&lies);
    if scenarios.is_empty() {
        return text + &wrap("", "It is judged in every cell; which one shows it depends on the moment.");
    }
    text += &wrap("Scenarios that show it: ", &scenarios.join(", "));
    text += "Some of their cells:\n";
    let mut cells: Vec<&str> = lies.iter().flat_map(|lie| &lie.cells).copied().collect();
    cells.sort_by_key(|id| scenarios.iter().position(|name| id.split('[').next() == Some(name)));
    // One of each scenario says more than several of one.
    cells.dedup_by_key(|id| id.split('[').next());
    text += &cells.iter().take(NAMED_CELLS).map(|id| format!("    {id}\n")).collect::<String>();
    text += &format!("Run them:  mqtt-sessions run {} --broker mqtt://HOST\n", scenarios.join(" "));
    text + &format!("See one:   mqtt-sessions explain '{}' --broker mqtt://HOST\n", cells[0])
}
