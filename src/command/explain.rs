//! One cell, explained: from a broker, from a results file, or as a scenario of its own. Or a statement of the standard.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow};

use super::arguments::{names, prefix};
use crate::cli::{Explain, ExportFiles};
use crate::exit_code::ExitCode;
use crate::expectations::Assessment;
use crate::export::{Exported, Exports};
use crate::interruption::interruption;
use crate::judge::{self, Combined};
use crate::measure::{Lessons, Measured, RunRequest, measure};
use crate::output::{note, page, print};
use crate::plan::{self, Cell};
use crate::printed_command::PrintedCommand;
use crate::report::{self, Detail, Explained, Told};
use crate::results::{AxisValue, CellResult, CellRun, Results, Summary};
use crate::scenario::{Axis, Scenario};
use crate::slip::{did_you_mean, nearest_id};
use crate::statement;

/// Explains one cell, or a statement.
///
/// # Errors
/// A sentence for the user, wherever the id, a file or the broker does not allow to go on.
pub async fn explain(mut explain: Explain) -> Result<ExitCode> {
    let exports = Exports::open(&ExportFiles { export_pcap: explain.export_pcap.clone(), ..ExportFiles::default() })?;
    let shown = Shown { exports, detail: Detail { bytes: explain.bytes, times: explain.times } };
    if let Some(path) = &explain.results {
        return of_file(&explain.cell, path, &shown);
    }
    if explain.scenario.is_none() && !explain.as_scenario && statement::is_id(&explain.cell) {
        let found = statement::named(&explain.cell)?;
        print(&report::statement(&found, page()))?;
        return Ok(ExitCode::Success);
    }
    explain.amounts.check_planned()?;
    explain.amounts = explain.amounts.as_declared_by(&explain.broker.broker)?;
    let source = source(&explain)?;
    let scenario = Scenario::load(&source)?;
    let mut cells = plan::cells(&scenario, (&explain.amounts).into());
    let Some(place) = cells.iter().position(|cell| cell.id == explain.cell) else {
        let ids: Vec<&str> = cells.iter().map(|cell| cell.id.as_str()).collect();
        return Err(no_such_cell(&explain.cell, &ids, &source));
    };
    let cell = cells.swap_remove(place);
    if explain.as_scenario {
        print(&scenario.written_for(&cell.axes, explain.amounts.messages, &cell.id))?;
        return Ok(ExitCode::Success);
    }
    of_broker(&source, explain, (cell, &scenario), &shown).await
}

/// What is printed of the cell, and written.
struct Shown {
    exports: Exports,
    detail: Detail,
}

/// Where the scenario of the cell is found.
fn source(explain: &Explain) -> Result<String> {
    if let Some(scenario) = &explain.scenario {
        return Ok(scenario.clone());
    }
    let (name, _) = explain.cell.split_once('[').unwrap_or((&explain.cell, ""));
    match Scenario::built_in_names().find(|built_in| *built_in == name) {
        Some(name) => Ok(name.into()),
        // It is refused as what it is.
        None if name.contains("://") => Ok(name.into()),
        None => Err(anyhow!(
            "{}: no built-in scenario has the name \"{name}\"{}; `mqtt-sessions list` prints all scenarios, `list --cells` all \
             ids, and --scenario FILE gives the file of another scenario",
            explain.cell,
            did_you_mean(name, Scenario::built_in_names())
        )),
    }
}

fn no_such_cell(id: &str, ids: &[&str], scenario: &str) -> anyhow::Error {
    let question = nearest_id(id, ids).map(|nearest| format!(" (did you mean '{nearest}'?)")).unwrap_or_default();
    anyhow!("{id}: there is no such cell{question}; `{}` prints the ids", PrintedCommand::new("list").with([scenario]))
}

/// Runs the cell and explains what came.
async fn of_broker(
    source: &str,
    explain: Explain,
    (cell, scenario): (Cell, &Scenario),
    shown: &Shown,
) -> Result<ExitCode> {
    let question = scenario.question_of(&cell.axes);
    let request = RunRequest {
        broker: explain.broker.request()?,
        scenarios: vec![source.to_owned()],
        about: BTreeMap::from([(scenario.name.clone(), scenario.about())]),
        scenario_files: explain.scenario.iter().map(|file| (cell.scenario.clone(), file.clone())).collect(),
        prefix: prefix(explain.prefix.as_deref(), &explain.prefixes)?,
        prefix_was_chosen: explain.prefix.is_some(),
        names: names(explain.prefix.as_deref(), &explain.prefixes),
        options: (&explain.amounts).into(),
        part: None,
        jobs: None,
        repeat: 1,
        settle: explain.settle,
        patience: crate::cli::PATIENCE,
        attempts_max: explain.attempts,
        time_limit: None,
        keep_all_histories: true,
    };
    let measured = measure(&request, vec![cell], &Lessons::default(), &interruption()).await?;
    let Some(Measured { results, interrupted, .. }) = measured else { return Ok(ExitCode::Interrupted) };
    let Some(result) = results.cells.first().filter(|_| !interrupted) else { return Ok(ExitCode::Interrupted) };
    let Some(run) = results.run.cells.get(&result.id) else { return Ok(ExitCode::Interrupted) };
    shown.tell(&results, result, run, Some(question))?;
    Ok(ExitCode::of(&results.summary))
}

/// Explains the history that a results file keeps of a cell.
fn of_file(id: &str, path: &Path, shown: &Shown) -> Result<ExitCode> {
    let mut results = Results::load(path)?;
    let file = path.display();
    let Some(stored) = results.cells.iter().find(|cell| cell.id == id) else {
        let ids: Vec<&str> = results.cells.iter().map(|cell| cell.id.as_str()).collect();
        let (name, _) = id.split_once('[').unwrap_or((id, ""));
        return Err(no_such_cell(id, &ids, name).context(format!("{file} has {} cells", ids.len())));
    };
    let mut run = results.run.cells.get(id).cloned().unwrap_or_default();
    let judged = judge::judge_again(stored, &run, &results.options).with_context(|| format!("{file}: {id}"))?;
    let Some(Combined { result, evidence, attempt }) = judged else {
        return Err(anyhow!(
            "{file}: the history of {id} was not kept; run with --histories all to keep it, or leave \
             out --results to run the cell"
        ));
    };
    run.rest_on(attempt, evidence);
    if result.verdict != stored.verdict {
        let (then, now) = (stored.verdict.name(), result.verdict.name());
        note(&format!("the file says {then}, and this version judges the same history as {now}"));
    }
    let built_in = Scenario::built_in_names().find(|name| *name == stored.scenario);
    let scenario = built_in.map(Scenario::load).transpose()?;
    let question = scenario.as_ref().filter(|scenario| has_cell(scenario, stored));
    results.cells.retain(|cell| cell.id == id);
    shown.tell(&results, &result, &run, question.map(|scenario| scenario.question_of(&result.axes)))?;
    Ok(ExitCode::of(&Summary::of([&result])))
}

/// The scenario spans this cell, so it is not another one of the same name.
fn has_cell(scenario: &Scenario, cell: &CellResult) -> bool {
    let has_value =
        |(axis, (name, value)): (&Axis, &(String, AxisValue))| axis.name == *name && axis.values.contains(value);
    scenario.axes.len() == cell.axes.0.len() && scenario.axes.iter().zip(&cell.axes.0).all(has_value)
}

impl Shown {
    /// Explains the one cell of these results.
    fn tell(&self, results: &Results, cell: &CellResult, run: &CellRun, question: Option<&str>) -> Result<()> {
        let attempts = judge::attempts(run, &results.options)?;
        let explained = Explained { results, cell, run, question, attempts: &attempts, detail: self.detail };
        let text = || report::explain(&explained, page()).trim_end().to_owned();
        let told = Told { results, teachings: &[], known: &Assessment::default(), comparison: None };
        self.exports.deliver(text, &Exported { told, kept: results })
    }
}
