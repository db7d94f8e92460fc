//! Which cells a command is about: scenarios by the names that were typed, and the cells that the filters leave.

use anyhow::{Result, anyhow};

use crate::exit_code::ExitCode;
use crate::output::note;
use crate::plan::{self, Cell, Filter, Settings};
use crate::scenario::Scenario;

/// The names of the scenarios that run where none is named, as if they had been typed.
pub fn usual() -> Vec<String> {
    Scenario::usual_names().map(String::from).collect()
}

/// The scenarios by the names that were typed. Each file is read once: it may be a pipe.
///
/// # Errors
/// The mistake in a scenario file.
pub fn load(names: &[String]) -> Result<Vec<(&str, Scenario)>> {
    names.iter().map(|name| Ok((name.as_str(), Scenario::load(name)?))).collect()
}

/// All cells of the scenarios that the filters select.
///
/// # Errors
/// The mistake in a filter, or two cells with one id.
pub fn select(scenarios: &[(&str, Scenario)], settings: Settings, filters: &[String]) -> Result<Vec<Cell>> {
    let filter = Filter::parse(filters)?;
    let mut cells: Vec<Cell> = Vec::new();
    for (typed, scenario) in scenarios {
        let planned = plan::cells(scenario, settings);
        if let Some(twice) = planned.iter().find(|cell| cells.iter().any(|other| other.id == cell.id)) {
            return Err(anyhow!("{typed}: the cell {} is there already; give scenarios different names", twice.id));
        }
        cells.extend(planned);
    }
    Ok(filter.select(cells)?)
}

/// Says that no cell was selected.
pub fn nothing_selected() -> ExitCode {
    note("error: no cell is selected; `mqtt-sessions list` prints all cells");
    ExitCode::NothingSelected
}
