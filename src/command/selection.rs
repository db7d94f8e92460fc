//! Which cells a command is about: scenarios by the names that were typed, and the cells that the filters leave.

use std::collections::HashSet;

use anyhow::{Result, anyhow};

use crate::exit_code::ExitCode;
use crate::output::note;
use crate::partition::{PartOfRun, Partition};
use crate::plan::{self, Cell, Filter, Settings};
use crate::scenario::Scenario;

/// How often cells are run in all, at most: what a run keeps of each stays in memory to its end.
const RUNS_MAX: usize = 200_000;

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
    let mut ids: HashSet<String> = HashSet::new();
    for (typed, scenario) in scenarios {
        let planned = plan::cells(scenario, settings);
        if let Some(twice) = planned.iter().find(|cell| !ids.insert(cell.id.clone())) {
            return Err(anyhow!("{typed}: the cell {} is there already; give scenarios different names", twice.id));
        }
        cells.extend(planned);
        if cells.len() > RUNS_MAX {
            return Err(anyhow!(
                "{typed}: with it there are {} cells, {RUNS_MAX} at most; name fewer scenarios",
                cells.len()
            ));
        }
    }
    Ok(filter.select(cells)?)
}

/// The cells of one part, and what the results file says about it; all of them where there are no parts.
pub fn part_of(cells: Vec<Cell>, partition: Option<Partition>) -> (Vec<Cell>, Option<PartOfRun>) {
    let Some(partition) = partition else { return (cells, None) };
    let (own, part) = partition.take(cells);
    note(&format!("{partition}: {} of {} cells", own.len(), part.cells));
    (own, Some(part))
}

/// Whether so many cells can be repeated so often.
///
/// # Errors
/// The product is more than a computer's memory holds.
pub fn check_repeat(cells: &[Cell], repeat: u32) -> Result<()> {
    let runs = cells.len() as u64 * u64::from(repeat);
    if runs <= RUNS_MAX as u64 {
        return Ok(());
    }
    let count = cells.len();
    let cure = "give a lower --repeat, or select fewer cells";
    Err(anyhow!("--repeat {repeat} of {count} cells makes {runs} runs, {RUNS_MAX} at most; {cure}"))
}

/// Says that no cell was selected, and which one was probably meant.
pub fn nothing_selected(scenarios: &[(&str, Scenario)], settings: Settings, filters: &[String]) -> ExitCode {
    let planned: Vec<Cell> = scenarios.iter().flat_map(|(_, scenario)| plan::cells(scenario, settings)).collect();
    let filter = Filter::parse(filters).unwrap_or_default();
    let guess = filter.slip(&planned).map(|(typed, meant)| format!("; {typed}: did you mean '{meant}'?"));
    let guess = guess.unwrap_or_default();
    note(&format!("error: no cell is selected by --filter{guess}; `mqtt-sessions list --cells` prints all cells"));
    ExitCode::NothingSelected
}
