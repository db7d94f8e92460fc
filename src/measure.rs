//! From planned cells to results: the broker is reached, the cells run on it, and what they left is cleaned up.

mod leftovers;
mod lessons;
mod limits;
mod reach;

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, anyhow};
use tokio::sync::watch;

use crate::broker::{Broker, Commands, Operator};
use crate::interruption::unless_interrupted;
use crate::judge::judge_helpers;
use crate::output::note;
use crate::partition::PartOfRun;
use crate::plan::{Cell, Operation};
use crate::progress::Progress;
use crate::report::Control;
use crate::results::{About, CutShort, Format, Kept, Options, Results, Run, Summary, Tool, in_rfc_3339};
use crate::run::{self, Longest, Outcome, Prefix, RunOptions, Settle};

use leftovers::{after_the_run, before_the_run, how_to_clean, left_before};
pub use leftovers::{check_unused, clear_what_runs_left};
pub use lessons::Lessons;
pub use limits::jobs;
pub use reach::{
    BrokerRequest, Obstacle, Reached, check_reachable, denied, probe_both, reach, reach_for_lanes, until_started,
};

/// The request for a run: cells apart, everything that a run needs to know.
#[derive(Debug, Clone)]
pub struct RunRequest {
    pub broker: BrokerRequest,
    /// The scenarios as they were typed, for the command that cleans up.
    pub scenarios: Vec<String>,
    /// The files of scenarios that are not built in, by the name of the scenario.
    pub scenario_files: BTreeMap<String, String>,
    /// What each scenario is about, by its name.
    pub about: BTreeMap<String, About>,
    pub prefix: Prefix,
    /// The prefix is not a random one, so an earlier run may have left something under it.
    pub prefix_was_chosen: bool,
    /// The options that say how names begin, as they were typed.
    pub names: Vec<String>,
    pub options: Options,
    /// The part of a run that the cells are; `None` for a whole run.
    pub part: Option<PartOfRun>,
    /// How many cells run side by side; `None` leaves it to the kind of broker.
    pub jobs: Option<usize>,
    /// How often each cell is run.
    pub repeat: u32,
    /// How long a cell that is about to say "absent" stays open.
    pub settle: Settle,
    /// How long a message that is still absent in the last attempt is waited for.
    pub patience: Duration,
    /// How many attempts are made at a cell at most. A finding that needs more stays unproven.
    pub attempts_max: u32,
    /// How long the cells may run; `None` leaves it to what the plan can take.
    pub time_limit: Option<Duration>,
    /// Keep the history of cells that pass, too.
    pub keep_all_histories: bool,
}

/// The outcome of a run.
pub struct Measured {
    pub results: Results,
    /// The record of another client in the same cells, where that was asked for.
    pub control: Option<Control>,
    /// Nothing is known to be left on the broker.
    pub is_clean: bool,
    /// A signal came.
    pub interrupted: bool,
}

/// The results of the cells; `None` if the run was interrupted before they began.
///
/// # Errors
/// A sentence for the user: the broker cannot be measured, or not with so many files.
pub async fn measure(
    request: &RunRequest,
    cells: Vec<Cell>,
    lessons: &Lessons,
    interrupted: &watch::Receiver<bool>,
) -> Result<Option<Measured>> {
    let prefix = &request.prefix;
    let operations: Vec<Operation> = cells.iter().flat_map(Cell::operations).collect();
    let reaching = reach(&request.broker, prefix);
    let Some(reached) = unless_interrupted(interrupted, reaching).await else { return Ok(None) };
    let reached = reached?;
    can_be_operated(&reached.broker, &operations).await?;
    has_nodes_for(&reached, &cells)?;
    let Some(rights) = unless_interrupted(interrupted, reached.check_rights(prefix)).await else { return Ok(None) };
    rights?;
    let Some(joined) = unless_interrupted(interrupted, reached.check_joined(prefix)).await else { return Ok(None) };
    joined?;
    let Reached { broker, target, probes } = &reached;
    let settle = request.settle.window(probes);
    let options = RunOptions {
        jobs: jobs(request.jobs, target, cells.iter().map(|cell| cell.clients.len()).max().unwrap_or(1))?,
        settle,
        patience: request.patience,
        attempts_max: request.attempts_max,
        repeat: request.repeat,
        // A lesson tells what happened, also where all went well.
        keep_all_histories: !lessons.teachings.is_empty() || request.keep_all_histories,
        prefix: prefix.clone(),
    };
    let cure = how_to_clean(request, broker);
    if request.prefix_was_chosen {
        let clearing = clear_what_runs_left(&reached, prefix, &cells, request.repeat);
        let Some(before) = unless_interrupted(interrupted, clearing).await else { return Ok(None) };
        let before = before?;
        if !before.is_clean() {
            note(&left_before(&before, cure.as_ref()));
        }
    }
    note(&before_the_run(prefix, cure.as_ref()));
    let longest = Longest::of(&cells, target, &options, &reached.versions(), request.time_limit);
    longest.sentence().iter().for_each(|sentence| note(sentence));
    let started = (SystemTime::now(), Instant::now());
    let progress = Progress::new();
    let planned = cells.len();
    let end = end_of_run(interrupted.clone(), longest.cells);
    let outcome = run::run(target, cells, probes, &options, &progress, end).await;
    progress.finish();
    let cut_short = match &outcome.gone {
        _ if outcome.cells.len() == planned => None,
        Some(_) => Some(CutShort::BrokerGone),
        None if *interrupted.borrow() => Some(CutShort::Interrupted),
        None => Some(CutShort::TimeLimit),
    };
    if let Some(gone) = &outcome.gone {
        note(&format!("error: {}", gone.sentence()));
        if let Some(operator) = &broker.operator {
            for started in operator.started(None).await {
                note(&format!("{}: {}", started.name, started.last_words()));
            }
        }
    }
    let is_clean = outcome.cleanup.is_clean();
    note(&after_the_run(&outcome.cleanup, prefix, cure.as_ref()));
    if outcome.is_shared {
        return Err(anyhow!(run::prefix_is_in_use(prefix)));
    }

    let control = lessons.control(&reached, prefix, interrupted).await;
    let interrupted = *interrupted.borrow();
    let results = results(outcome, (planned, cut_short), request, &reached, (started, settle));
    Ok(Some(Measured { results, control, is_clean, interrupted }))
}

/// Whether all that can befall the broker that cells ask for.
///
/// # Errors
/// A sentence for the user.
async fn can_be_operated(broker: &Broker, operations: &[Operation]) -> Result<()> {
    let without = Operator::by(Commands::default());
    let operator = broker.operator.as_deref().unwrap_or(&without);
    for operation in operations {
        operator.can(operation.trouble, operation.begins, operation.passes).await?;
    }
    Ok(())
}

/// Whether the broker has as many nodes as cells ask for.
///
/// # Errors
/// A sentence for the user.
fn has_nodes_for(reached: &Reached, cells: &[Cell]) -> Result<()> {
    let nodes = reached.target.nodes();
    let largest = cells.iter().max_by_key(|cell| cell.nodes());
    let Some(cell) = largest.filter(|cell| cell.nodes() > nodes) else { return Ok(()) };
    Err(anyhow!(
        "{} needs a broker with {} nodes, and {} has {nodes}; give --broker mqtt://HOST,HOST,HOST for a cluster, or one that \
         is started as such (`mqtt-sessions list --brokers`)",
        cell.id,
        cell.nodes(),
        reached.broker.url,
    ))
}

/// True when a signal comes, or when the time is over.
pub fn end_of_run(mut interrupted: watch::Receiver<bool>, limit: Duration) -> watch::Receiver<bool> {
    let (end, ended) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            // The cells are done, and nobody wants to know any more.
            () = end.closed() => return,
            _ = interrupted.wait_for(|interrupted| *interrupted) => {}
            () = tokio::time::sleep(limit) => {
                note(&format!("the time limit of {} is over: ending sessions; --time-limit gives more", humantime::format_duration(limit)));
            }
        }
        end.send_replace(true);
        // Those who wait for it still have to read it.
        end.closed().await;
    });
    ended
}

fn results(
    outcome: Outcome,
    (planned, cut_short): (usize, Option<CutShort>),
    request: &RunRequest,
    reached: &Reached,
    ((started_at, started), settle): ((SystemTime, Instant), Duration),
) -> Results {
    let (broker_findings, helpers) = judge_helpers(&outcome.helpers);
    Results {
        format: Format::default(),
        tool: Tool::default(),
        broker: reached.label(),
        options: request.options.clone(),
        run: Run {
            started_at: in_rfc_3339(started_at),
            prefix: request.prefix.client_id.clone(),
            duration_ms: started.elapsed().as_millis() as u64,
            host: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            url: reached.broker.url.clone(),
            reached_with: [request.broker.reached_with(&reached.broker), request.names.clone()].concat(),
            settle_ms: settle.as_millis() as u64,
            scenario_files: request.scenario_files.clone(),
            scenarios: request.about.clone(),
            partition: request.part.clone(),
            complete: cut_short.is_none(),
            cut_short,
            planned: planned as u32,
            kept: Kept::All,
            cleanup: outcome.cleanup.sentence(),
            helpers,
            cells: outcome.runs.into_iter().collect::<BTreeMap<_, _>>(),
        },
        summary: Summary::of(&outcome.cells),
        broker_findings,
        cells: outcome.cells,
    }
}
