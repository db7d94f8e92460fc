//! The scenarios, each with what it asks and how many cells it spans in each protocol version.

use super::lessons::steps::columns;
use crate::broker::BrokerFile;
use crate::packet::Protocol;
use crate::plan::Cell;
use crate::scenario::Scenario;

/// Where the columns begin: cells in 3.1.1, in 5.0, in both at once, and the question.
const COLUMNS: [usize; 4] = [18, 24, 29, 35];
/// Where the questions begin in a help, which counts no cells.
const IN_HELP: [usize; 1] = [20];

/// Where it begins what is said of a broker or a variant.
const OF_BROKERS: usize = 22;

/// All scenarios, a row each. Those after `usual` run only where they are named.
pub fn catalogue(scenarios: &[(Scenario, Vec<Cell>)], usual: usize) -> String {
    let head = ["scenario", "3.1.1", "5.0", "both", "what it asks"].map(str::to_owned);
    let mut text = columns(&COLUMNS, &head) + &"─".repeat(super::WIDTH) + "\n";
    for (place, (scenario, cells)) in scenarios.iter().enumerate() {
        if place == usual {
            text += "\nOnly where they are named:\n";
        }
        let [v3, v5, both] = counts(cells).map(|count| if count == 0 { String::new() } else { count.to_string() });
        text += &columns(&COLUMNS, &[scenario.name.clone(), v3, v5, both, question(scenario)]);
    }
    text + "\nboth: one client speaks 3.1.1, another one 5.0\n"
        + "run SCENARIO runs one, list SCENARIO prints its cells, list --cells all cells\n"
}

/// The brokers that can be started, each with the version that is installed or with the sentence that says how it is installed,
/// and its variants.
pub fn brokers(files: &[(BrokerFile, Result<Option<String>, String>)]) -> String {
    let mut text = String::new();
    for (file, installed) in files {
        let here = match installed {
            Ok(Some(version)) => format!("{version} is installed"),
            Ok(None) => "is installed".into(),
            Err(missing) => missing.clone(),
        };
        // A command stays in one line, so that it can be copied.
        text += &format!("{:OF_BROKERS$}{here}\n", file.name);
        for (name, variant) in &file.variants {
            text += &format!("{:OF_BROKERS$}{}\n", format!("  :{name}"), variant.about);
        }
    }
    text + "\n--broker NAME starts one for the run, --broker NAME:VARIANT in another configuration\n"
}

/// The names and questions alone.
pub fn scenarios_in_help(scenarios: &[Scenario]) -> String {
    let row = |scenario: &Scenario| columns(&IN_HELP, &[format!("  {}", scenario.name), question(scenario)]);
    "Scenarios:\n".to_owned() + &scenarios.iter().map(row).collect::<String>()
}

/// What the scenario asks, and in how many lessons.
fn question(scenario: &Scenario) -> String {
    let lessons = scenario.parts.iter().filter(|part| part.lesson.is_some()).count();
    let lessons = if lessons == 0 { String::new() } else { format!(" ({lessons} lessons)") };
    format!("{}{lessons}", scenario.question)
}

/// How many cells speak 3.1.1 alone, 5.0 alone, and both.
fn counts(cells: &[Cell]) -> [usize; 3] {
    let speaks = |cell: &Cell, protocol| cell.clients.iter().any(|client| client.protocol == protocol);
    let mut counts = [0; 3];
    for cell in cells {
        let place = match (speaks(cell, Protocol::V3), speaks(cell, Protocol::V5)) {
            (true, true) => 2,
            (false, true) => 1,
            _ => 0,
        };
        counts[place] += 1;
    }
    counts
}
