//! `list`: the cells that would run.

use anyhow::Result;

use super::selection::{load, nothing_selected, select, usual};
use crate::cli::Plan;
use crate::exit_code::ExitCode;
use crate::output::print;

/// Prints the ids of the selected cells.
///
/// # Errors
/// The mistake in a scenario file or in a filter.
pub fn list(scenarios: Vec<String>, plan: &Plan) -> Result<ExitCode> {
    let scenarios = if scenarios.is_empty() { usual() } else { scenarios };
    let cells = select(&load(&scenarios)?, (&plan.amounts).into(), &plan.filter)?;
    if cells.is_empty() {
        return Ok(nothing_selected());
    }
    let ids: String = cells.iter().map(|cell| format!("{}\n", cell.id)).collect();
    print(&ids)?;
    Ok(ExitCode::Success)
}
