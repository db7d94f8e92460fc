//! The scenarios, each with what it asks and how many cells it spans in each protocol version.

use super::grid::{Drawing, Grid};
use super::page::Page;
use crate::broker::BrokerFile;
use crate::packet::Protocol;
use crate::plan::Cell;
use crate::scenario::Scenario;

/// How wide the columns before the question are: the name, and the cells in 3.1.1, in 5.0, and in both at once.
const COLUMNS: [usize; 4] = [18, 5, 4, 4];
/// How wide the column before the questions is in a help, which counts no cells.
const IN_HELP: [usize; 1] = [19];
/// Where it begins what is said of a broker or a variant.
const OF_BROKERS: usize = 22;

/// All scenarios, a row each. Those after `usual` run only where they are named.
pub fn catalogue(scenarios: &[(Scenario, Vec<Cell>)], usual: usize, page: Page) -> String {
    let row = |(place, (scenario, cells)): (usize, &(Scenario, Vec<Cell>))| {
        let [v3, v5, both] = counts(cells).map(|count| if count == 0 { String::new() } else { count.to_string() });
        let rare = if place < usual { "" } else { " Only where it is named." };
        vec![scenario.name.clone(), v3, v5, both, question(scenario) + rare]
    };
    let grid = Grid {
        head: ["scenario", "3.1.1", "5.0", "both", "what it asks"].map(str::to_owned).into(),
        rows: scenarios.iter().enumerate().map(row).collect(),
    };
    let drawing = Drawing { gap: 2, right: 1..4 };
    let before = COLUMNS.iter().map(|width| width + drawing.gap).sum::<usize>();
    grid.drawn(&drawing, &[&COLUMNS[..], &[page.width.saturating_sub(before)]].concat())
        + "\nboth: one client speaks 3.1.1, another one 5.0\n"
        + "run SCENARIO runs one, list SCENARIO prints its cells, list --cells all cells\n"
        + "probe BROKER measures how many messages a broker keeps, and for how long\n"
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
        let untried = if file.untried { " (nobody has tried this file yet)" } else { "" };
        // A command stays in one line, so that it can be copied.
        text += &format!("{:OF_BROKERS$}{here}{untried}\n", file.name);
        for (name, variant) in &file.variants {
            text += &format!("{:OF_BROKERS$}{}\n", format!("  :{name}"), variant.about);
        }
    }
    text + "\n--broker NAME starts one for the run, --broker NAME:VARIANT in another configuration\n"
}

/// The names and questions alone.
pub fn scenarios_in_help(scenarios: &[Scenario], page: Page) -> String {
    let row = |scenario: &Scenario| vec![format!("  {}", scenario.name), question(scenario)];
    "Scenarios:\n".to_owned() + &Grid::beside(scenarios.iter().map(row).collect(), &IN_HELP, page.width)
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
