//! `matrix` and `run`: plan, run, judge, report.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Result, anyhow};

use super::arguments::{names, prefix_of_part};
use super::expected::{assess, known};
use super::probe::measured_queue_limit;
use super::selection::{check_repeat, load, nothing_selected, part_of, select, usual};
use crate::broker::Commands;
use crate::cli::{Histories, Library, Measure, Outages, QueueLimit, Running};
use crate::compare::{compare, same_options};
use crate::exit_code::ExitCode;
use crate::expectations::Place;
use crate::export::{Exported, Exports};
use crate::interruption::interruption;
use crate::measure::{self, BrokerRequest, Lessons, Measured, RunRequest};
use crate::output::page;
use crate::plan;
use crate::report::{self, Control, Page, Told};
use crate::results::{Options, Results};
use crate::run::Prefix;
use crate::scenario::Scenario;

impl Measure {
    fn request(&self, scenarios: Vec<String>, loaded: &[(&str, Scenario)]) -> Result<RunRequest> {
        let broker = BrokerRequest {
            name: self.broker_name.clone(),
            version: self.broker_version.clone(),
            commands: commands(&self.outages),
            ..self.broker.request()?
        };
        let prefix = prefix_of_part(self.prefix.as_deref(), &self.prefixes, self.plan.partition)?;
        let options = (&self.plan.amounts).into();
        Ok(RunRequest {
            prefix_was_chosen: self.prefix.is_some(),
            names: names(self.prefix.as_deref(), &self.prefixes),
            ..self.running.request(broker, prefix, options, scenarios, loaded)
        })
    }
}

impl Running {
    /// The run of these scenarios, with names at random.
    pub(super) fn request(
        &self,
        broker: BrokerRequest,
        prefix: Prefix,
        options: Options,
        scenarios: Vec<String>,
        loaded: &[(&str, Scenario)],
    ) -> RunRequest {
        RunRequest {
            broker,
            scenarios,
            scenario_files: files(loaded),
            about: loaded.iter().map(|(_, scenario)| (scenario.name.clone(), scenario.about())).collect(),
            prefix,
            prefix_was_chosen: false,
            names: Vec::new(),
            options,
            part: None,
            jobs: self.jobs.map(|jobs| jobs as usize),
            repeat: self.repeat,
            settle: self.settle,
            patience: self.patience,
            attempts_max: self.attempts,
            time_limit: self.time_limit,
            keep_all_histories: false,
        }
    }
}

/// The commands of the user's that end the broker and start it.
fn commands(typed: &Outages) -> Option<Commands> {
    let commands = Commands {
        stop: typed.stop_command.clone(),
        kill: typed.kill_command.clone(),
        start: typed.start_command.clone(),
        partition: typed.partition_command.clone(),
        heal: typed.heal_command.clone(),
    };
    Some(commands).filter(|commands| *commands != Commands::default())
}

/// Measures the matrix.
///
/// # Errors
/// As [`run`].
pub async fn matrix(url: Option<String>, options: Measure) -> Result<ExitCode> {
    let options = Measure { broker: options.broker.at(url), ..options };
    measure(vec!["matrix".into()], options, None).await
}

/// Runs scenarios, or all that are built in.
///
/// # Errors
/// A sentence for the user, wherever the command line, a file or the broker does not allow to go on.
pub async fn run(scenarios: Vec<String>, all: bool, library: Option<Library>, options: Measure) -> Result<ExitCode> {
    measure(if all { usual() } else { scenarios }, options, library).await
}

async fn measure(scenarios: Vec<String>, mut typed: Measure, library: Option<Library>) -> Result<ExitCode> {
    typed.plan.amounts = typed.plan.amounts.as_declared_by(&typed.broker.broker)?;
    if typed.baseline.is_none() && !typed.fail_on.fail_on.is_empty() {
        return Err(anyhow!(
            "--fail-on says which changes fail, and there is no baseline; give the results to compare with as --baseline"
        ));
    }
    let loaded = load(&scenarios)?;
    let interrupted = interruption();
    if typed.plan.amounts.queue_limit == Some(QueueLimit::Probe) {
        let broker = typed.broker.request()?;
        let prefix = prefix_of_part(None, &typed.prefixes, typed.plan.partition)?;
        let Some(limit) = measured_queue_limit(&broker, &prefix, &interrupted).await? else {
            return Ok(ExitCode::Interrupted);
        };
        typed.plan.amounts.queue_limit = limit.map(QueueLimit::Messages);
    }
    let cells = select(&loaded, (&typed.plan.amounts).into(), &typed.plan.filter)?;
    check_repeat(&cells, typed.running.repeat)?;
    if cells.is_empty() {
        return Ok(nothing_selected(&loaded, (&typed.plan.amounts).into(), &typed.plan.filter));
    }
    let (cells, part) = part_of(cells, typed.plan.partition);
    let own = loaded.iter().flat_map(|(_, scenario)| plan::cells(scenario, (&typed.plan.amounts).into()));
    let mut known = known(&typed.expected, typed.accept.accept, own.map(|cell| Place::from(&cell)))?;
    let request = typed.request(scenarios.clone(), &loaded);
    let lessons = Lessons::of(loaded, &cells, library.is_some())?;
    let exports = Exports::open(&typed.exports)?;
    let request = RunRequest {
        part,
        keep_all_histories: exports.need_all_histories() || typed.histories == Histories::All,
        ..request?
    };
    let baseline = typed.baseline.as_deref().map(Results::load).transpose()?;
    if let Some(baseline) = &baseline {
        same_options(&baseline.options, &request.options)?;
    }
    let selected: HashSet<String> = cells.iter().map(|cell| cell.id.clone()).collect();
    let measured = measure::measure(&request, cells, &lessons, &interrupted).await?;
    let Some(Measured { mut results, control, is_clean, interrupted }) = measured else {
        return Ok(ExitCode::Interrupted);
    };
    let assessment = assess(&mut known, typed.accept.accept, &results)?;
    let mut comparison = baseline.map(|baseline| compare(&baseline, &results, Some(&selected))).transpose()?;
    comparison.iter_mut().for_each(|comparison| comparison.excuse(&assessment));
    // Lessons and captures tell what happened, also where all went well.
    let needs_all = !lessons.teachings.is_empty() || exports.need_all_histories();
    let whole = needs_all.then(|| results.clone());
    keep_histories(&mut results, typed.histories);
    let told = Told {
        results: whole.as_ref().unwrap_or(&results),
        teachings: &lessons.teachings,
        known: &assessment,
        comparison: comparison.as_ref(),
    };
    let page = Page { details: typed.details, ..page() };
    exports.deliver(|| text(&told, control.as_ref(), page), &Exported { told, kept: &results })?;
    let code = match comparison {
        _ if interrupted => ExitCode::Interrupted,
        Some(comparison) => ExitCode::of_comparison(&comparison, &typed.fail_on.fail_on),
        None => ExitCode::of_results(&results, &assessment),
    };
    // A run that leaves something on somebody's broker is no success.
    Ok(if code == ExitCode::Success && !is_clean { ExitCode::Unclear } else { code })
}

/// Drops the histories that nobody asked for.
pub(super) fn keep_histories(results: &mut Results, which: Histories) {
    match which {
        Histories::All => {}
        Histories::Unclear => results.forget_histories_of_passes(),
        Histories::Examples => {
            let examples = report::examples(results);
            results.keep_examples(&examples);
        }
    }
}

/// The files of the scenarios that are not built in, by the name of the scenario.
fn files(loaded: &[(&str, Scenario)]) -> BTreeMap<String, String> {
    let is_file = |(typed, _): &&(&str, Scenario)| !Scenario::built_in_names().any(|name| name == *typed);
    loaded.iter().filter(is_file).map(|(typed, scenario)| (scenario.name.clone(), (*typed).to_owned())).collect()
}

/// The text that people read of a run.
fn text(told: &Told<'_>, control: Option<&Control>, page: Page) -> String {
    let Told { results, teachings, comparison, .. } = told;
    let measured = report::measured(&results.broker, &results.run.url);
    let mut text = format!("{measured}\n\n{}", report::terminal(told, page));
    if let Some(control) = control {
        text.push('\n');
        text.push_str(&report::control(results, teachings, control, page));
    }
    if let Some(comparison) = comparison {
        text.push_str("\n\n");
        text.push_str(&report::changes(comparison, page));
    }
    text
}
