//! The pipeline as prose: plan -> run -> judge -> report, and the commands around it.

use std::path::Path;
use std::process;

use anyhow::{Context, Result};
use clap::Parser;
use mqtt_sessions::cli::{Cli, Command, Plan};
use mqtt_sessions::compare::compare;
use mqtt_sessions::exit_code::ExitCode;
use mqtt_sessions::export::{Export, deliver};
use mqtt_sessions::judge::judge_again;
use mqtt_sessions::measure;
use mqtt_sessions::output::{conceal, note, print, println};
use mqtt_sessions::report::{self, Palette};
use mqtt_sessions::results::{Results, Summary};
use mqtt_sessions::scenario::Scenario;

fn main() -> process::ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(message) => return usage(&message),
    };
    anstream::ColorChoice::from(cli.color).write_global();
    match execute(cli.command) {
        Ok(code) => code.into(),
        Err(error) => {
            note(&format!("error: {}", conceal(&format!("{error:#}"))));
            ExitCode::Usage.into()
        }
    }
}

/// The help that was asked for, or what is wrong with the command line.
fn usage(message: &clap::Error) -> process::ExitCode {
    let text = message.render();
    if message.use_stderr() {
        note(conceal(&text.ansi().to_string()).trim_end());
        return ExitCode::Usage.into();
    }
    // Help that cannot be shown helps nobody.
    let _ = print(&text.ansi().to_string());
    ExitCode::Success.into()
}

fn execute(command: Command) -> Result<ExitCode> {
    match command {
        Command::Matrix(options) => on_runtime(measure::measure(&["matrix".into()], options, None)),
        Command::Run { scenarios, all, client, measure: options } => {
            let scenarios = if all { built_in() } else { scenarios };
            on_runtime(measure::measure(&scenarios, options, client))
        }
        Command::List { scenarios, plan } => list(scenarios, &plan),
        Command::Explain(options) => on_runtime(measure::explain(options)),
        Command::Compare { baseline, results } => compare_files(&baseline, &results),
        Command::Judge { results, export_json } => judge_file(&results, export_json.as_deref()),
        Command::Clean(options) => on_runtime(measure::clean(options)),
    }
}

/// One thread moves all packets; the broker has the other processors.
fn on_runtime(command: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("failed to start the runtime")?;
    let code = runtime.block_on(command);
    // A name that is still being resolved would hold up the end.
    runtime.shutdown_background();
    code
}

fn built_in() -> Vec<String> {
    Scenario::built_in_names().map(String::from).collect()
}

fn list(scenarios: Vec<String>, plan: &Plan) -> Result<ExitCode> {
    let scenarios = if scenarios.is_empty() { built_in() } else { scenarios };
    let cells = measure::plan(&scenarios, plan)?;
    if cells.is_empty() {
        return Ok(measure::nothing_selected());
    }
    let ids: String = cells.iter().map(|cell| format!("{}\n", cell.id)).collect();
    print(&ids)?;
    Ok(ExitCode::Success)
}

fn compare_files(baseline: &Path, results: &Path) -> Result<ExitCode> {
    let comparison = compare(&Results::load(baseline)?, &Results::load(results)?, None)?;
    println(&report::changes(&comparison, Palette::Coloured))?;
    Ok(ExitCode::of_comparison(&comparison))
}

fn judge_file(path: &Path, export: Option<&Path>) -> Result<ExitCode> {
    let mut results = Results::load(path)?;
    let export = export.map(Export::open).transpose()?;
    let mut left = 0;
    for cell in &mut results.cells {
        let judged = judge_again(cell, &results.options);
        match judged.with_context(|| format!("{}: the history of {}", path.display(), cell.id))? {
            Some(judged) => *cell = judged,
            None => left += 1,
        }
    }
    results.summary = Summary::of(&results.cells);
    deliver(&report::terminal(&results, &[], Palette::Coloured), &results, export.as_ref())?;
    if left > 0 {
        note(&format!("{left} cells have no history and keep their verdicts; --histories all keeps all histories"));
    }
    Ok(ExitCode::of(&results.summary))
}
