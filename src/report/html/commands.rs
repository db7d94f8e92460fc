//! The commands of the cells of one scenario, with a place for the id, since a page has thousands of cells.

use crate::printed_command::PrintedCommand;
use crate::results::Results;

/// What stands for the id, between the quotes that every id needs.
const CELL: &str = "[cell]";

/// The command that runs a cell of the scenario again, and the one that explains it packet by packet.
pub fn commands(results: &Results, scenario: &str) -> (String, String) {
    let repeat = PrintedCommand::run(results, scenario).with(["--filter", CELL]).measuring_as(results);
    (repeat.to_string(), PrintedCommand::explain(results, CELL, scenario).to_string())
}

/// The command that explains the history that a file keeps of a cell.
pub fn explain_stored(file: &str) -> String {
    PrintedCommand::new("explain").with([CELL, "--results", file]).to_string()
}
