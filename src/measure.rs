//! The commands that talk to a broker, stage by stage.

mod explain;
mod lessons;

use std::collections::{BTreeMap, HashSet};
use std::time::{Instant, SystemTime};

use anyhow::{Result, anyhow};

use crate::broker::{Broker, EMBEDDED, Given};
use crate::cli::{Amounts, Clean, Histories, Library, Measure, Plan, Prefixes, Reach};
use crate::compare::{Comparison, compare, same_options};
use crate::exit_code::ExitCode;
use crate::export::{Export, deliver};
use crate::interruption::{interruption, unless_interrupted};
use crate::output::{note, println};
use crate::packet::Protocol;
use crate::plan::{self, Cell, Filter, Settings};
use crate::progress::Progress;
use crate::report::{self, Control, Palette, Teaching};
use crate::results::{BrokerLabel, Format, Options, Results, Run, Summary, Tool, Verdict};
use crate::run::{
    self, Leftovers, Outcome, Place, Prefix, Probe, Refusal, RefusalKind, RunOptions, SessionLeft, Target,
};
use crate::scenario::Scenario;

pub use explain::explain;
use lessons::Lessons;

/// Cells side by side against a broker on this machine: all of a plan of usual size.
const JOBS_ON_LOOPBACK: usize = 1024;
/// Cells side by side against any other broker.
const JOBS_ELSEWHERE: usize = 32;
/// Files that stay free for everything that is no cell.
const SPARE_FILES: u64 = 64;
/// How many attempts a run can make at one cell, counting those that refused connections cut short.
const TRIES_MAX: u32 = 6;

/// Plans, runs, judges and reports.
///
/// # Errors
/// A sentence for the user, wherever the command line, a file or the broker does not allow to go on.
pub async fn measure(scenarios: &[String], measure: Measure, library: Option<Library>) -> Result<ExitCode> {
    let loaded = load(scenarios)?;
    let cells = select(&loaded, &measure.plan)?;
    let lessons = Lessons::of(loaded, &cells, library)?;
    if cells.is_empty() {
        return Ok(nothing_selected());
    }
    let options = options(&measure.plan.amounts);
    let prefix = prefix(measure.prefix.as_deref(), &measure.prefixes)?;
    let export = measure.export_json.as_deref().map(Export::open).transpose()?;
    let baseline = measure.baseline.as_deref().map(Results::load).transpose()?;
    if let Some(baseline) = &baseline {
        same_options(&baseline.options, &options)?;
    }
    let selected: HashSet<String> = cells.iter().map(|cell| cell.id.clone()).collect();
    let Some(Measured { mut results, control, is_gone, interrupted }) =
        on_broker(scenarios, &measure, prefix, cells, &lessons).await?
    else {
        return Ok(ExitCode::Interrupted);
    };
    let comparison = baseline.map(|baseline| compare(&baseline, &results, Some(&selected))).transpose()?;
    let text = text(&results, &lessons.teachings, control.as_ref(), comparison.as_ref());
    if measure.histories == Histories::Unclear {
        results.cells.iter_mut().filter(|cell| cell.verdict == Verdict::Pass).for_each(|cell| cell.history.clear());
    }
    deliver(&text, &results, export.as_ref())?;
    Ok(match comparison {
        _ if interrupted => ExitCode::Interrupted,
        _ if is_gone => ExitCode::Unclear,
        Some(comparison) => ExitCode::of_comparison(&comparison),
        None => ExitCode::of(&results.summary),
    })
}

fn options(amounts: &Amounts) -> Options {
    Options { messages: amounts.messages, queue_limit: amounts.queue_limit }
}

/// What a run gives.
struct Measured {
    results: Results,
    /// What another client got in the same cells, where that was asked for.
    control: Option<Control>,
    /// The broker was gone before all cells were there.
    is_gone: bool,
    /// Not all cells are there.
    interrupted: bool,
}

/// The results of the cells; nothing if the run was interrupted before they began.
async fn on_broker(
    scenarios: &[String],
    measure: &Measure,
    prefix: Prefix,
    cells: Vec<Cell>,
    lessons: &Lessons,
) -> Result<Option<Measured>> {
    let interrupted = interruption();
    let reached = unless_interrupted(&interrupted, async {
        let (broker, target) =
            reach(&measure.broker, measure.broker_name.clone(), measure.broker_version.clone()).await?;
        let probes = probe(&target, &prefix).await;
        check_reachable(&probes, &broker.url, target.login.is_some())?;
        Ok::<_, anyhow::Error>((broker, target, probes))
    });
    let Some(reached) = reached.await else { return Ok(None) };
    let (broker, target, probes) = reached?;

    let run_options = RunOptions {
        jobs: jobs(measure, &target, &cells)?,
        settle: measure.settle,
        patience: measure.patience,
        repeat: measure.repeat,
        // A lesson tells what happened, also where all went well.
        keep_all_histories: !lessons.teachings.is_empty() || measure.histories == Histories::All,
        prefix: prefix.clone(),
    };
    let cure = how_to_clean(scenarios, measure, &prefix, &broker);
    note(&match &cure {
        Some(command) => format!("prefix {}: if this run is killed, `{command}` ends what it left", prefix.client_id),
        None => format!("prefix {}", prefix.client_id),
    });
    if measure.prefix.is_some() {
        let clearing = clear_before(&target, &prefix, &cells, measure.repeat, &probes);
        let Some(before) = unless_interrupted(&interrupted, clearing).await else { return Ok(None) };
        if !before.is_clean() {
            note(&format!("warning: before the run: {}", before.sentence()));
        }
    }
    let started = (SystemTime::now(), Instant::now());
    let progress = Progress::new();
    let outcome = run::run(&target, cells, &probes, &run_options, &progress, interrupted.clone()).await;
    progress.finish();
    if let Some(gone) = &outcome.gone {
        note(&format!("error: {}", gone.sentence()));
    }
    let is_gone = outcome.gone.is_some();
    note(&after_the_run(&outcome.cleanup, &prefix, cure.as_deref()));

    let control = lessons.control(&target, &prefix, &probes, &interrupted).await;
    let interrupted = *interrupted.borrow();
    let options = options(&measure.plan.amounts);
    let results = results(outcome, label(&broker, &probes), options, started, &run_options, &broker.url);
    Ok(Some(Measured { results, control, is_gone, interrupted }))
}

/// What people read of a run.
fn text(
    results: &Results,
    teachings: &[Teaching],
    control: Option<&Control>,
    comparison: Option<&Comparison>,
) -> String {
    let measured = report::measured(&results.broker, &results.run.url);
    let mut text = format!("{measured}\n\n{}", report::terminal(results, teachings, Palette::Coloured));
    if let Some(control) = control {
        text.push('\n');
        text.push_str(&report::control(results, teachings, control, Palette::Coloured));
    }
    if let Some(comparison) = comparison {
        text.push_str("\n\n");
        text.push_str(&report::changes(comparison, Palette::Coloured));
    }
    text
}

fn after_the_run(cleanup: &run::Cleanup, prefix: &Prefix, cure: Option<&str>) -> String {
    let sentence = cleanup.sentence();
    match cure {
        _ if cleanup.is_clean() => format!("prefix {}: {sentence}", prefix.client_id),
        Some(command) => format!("warning: {sentence}; when the broker answers again, `{command}` ends them"),
        None => format!("warning: {sentence}"),
    }
}

/// The command that ends what this run leaves if it cannot do it itself. An embedded broker leaves nothing.
fn how_to_clean(scenarios: &[String], measure: &Measure, prefix: &Prefix, broker: &Broker) -> Option<String> {
    if broker.label.how == EMBEDDED {
        return None;
    }
    let mut command = format!("mqtt-sessions clean --broker {} --prefix {}", broker.url, prefix.client_id);
    if prefix.topic != prefix.client_id {
        command.push_str(&format!(" --topic-prefix {}", prefix.topic));
    }
    if measure.repeat > 1 {
        command.push_str(&format!(" --repeat {}", measure.repeat));
    }
    let is_built_in = |scenario: &String| Scenario::built_in_names().any(|name| name == scenario);
    if !scenarios.iter().all(is_built_in) {
        command.extend(scenarios.iter().map(|scenario| format!(" '{scenario}'")));
    }
    Some(command)
}

/// All cells of the scenarios that the filters select.
///
/// # Errors
/// The mistake in a scenario file, or in a filter.
pub fn plan(scenarios: &[String], plan: &Plan) -> Result<Vec<Cell>> {
    select(&load(scenarios)?, plan)
}

/// The scenarios by the names that were typed. Each file is read once: it may be a pipe.
fn load(names: &[String]) -> Result<Vec<(&str, Scenario)>> {
    names.iter().map(|name| Ok((name.as_str(), Scenario::load(name)?))).collect()
}

fn select(scenarios: &[(&str, Scenario)], plan: &Plan) -> Result<Vec<Cell>> {
    let filter = Filter::parse(&plan.filter)?;
    let settings = settings(&plan.amounts);
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

fn settings(amounts: &Amounts) -> Settings {
    Settings { messages: amounts.messages, queue_limit: amounts.queue_limit }
}

/// Says that no cell was selected.
pub fn nothing_selected() -> ExitCode {
    note("error: no cell is selected; `mqtt-sessions list` prints all cells");
    ExitCode::NothingSelected
}

fn prefix(given: Option<&str>, parts: &Prefixes) -> Result<Prefix> {
    let random = Prefix::random();
    let (client_id, topic) = match given {
        Some(given) => (given, given),
        None => (random.client_id.as_str(), random.topic.as_str()),
    };
    let client_id = parts.client_id_prefix.as_deref().unwrap_or(client_id);
    let topic = parts.topic_prefix.as_deref().unwrap_or(topic);
    Prefix::new(client_id, topic).map_err(|why| anyhow!("prefix: {why}"))
}

async fn reach(reach: &Reach, name: Option<String>, version: Option<String>) -> Result<(Broker, Target)> {
    let given = Given { user: reach.username.clone(), password: reach.password.clone(), name, version };
    let broker = Broker::find(&reach.broker, given, reach.connect_timeout).await?;
    let target = Target::new(broker.endpoint.clone(), broker.login.clone(), reach.deadline, reach.connect_timeout);
    Ok((broker, target))
}

/// Asks for both protocol versions: a broker that refuses one shows by the other that it is a broker.
async fn probe(target: &Target, prefix: &Prefix) -> [Probe; 2] {
    let [v3, v5] = Protocol::ALL;
    let (v3, v5) = tokio::join!(run::probe(target, prefix, v3), run::probe(target, prefix, v5));
    [v3, v5]
}

/// # Errors
/// Why nothing can be measured: no version is answered, or a CONNECT is refused for another reason than its version.
fn check_reachable(probes: &[Probe], url: &str, with_login: bool) -> Result<()> {
    let refusals: Vec<_> =
        probes.iter().filter_map(|probe| Some((probe.protocol, probe.outcome.as_ref().err()?))).collect();
    let fatal = |(_, refusal): &&(Protocol, &Refusal)| !refusal.is_of_version();
    let about_version = |(_, refusal): &(Protocol, &Refusal)| matches!(refusal.kind, RefusalKind::Code(_));
    let (version, refusal) = match (refusals.iter().find(fatal), &refusals[..]) {
        (Some(refusal), _) => *refusal,
        (None, [first, second]) if !about_version(first) && !about_version(second) => *first,
        _ => return Ok(()),
    };
    // What both versions meet has nothing to do with the version.
    let how = match &refusals[..] {
        [(_, first), (_, second)] if first.how == second.how => first.how.clone(),
        [(_, first), (_, second)] => format!("3.1.1: {}; 5.0: {}", first.how, second.how),
        _ => format!("MQTT {version}: {}", refusal.how),
    };
    Err(anyhow!("cannot measure {url}: {how}; {}", advice(&refusal.kind, with_login)))
}

/// What to do about a broker that cannot be measured.
fn advice(kind: &RefusalKind, with_login: bool) -> &'static str {
    match kind {
        RefusalKind::Unreachable => "check host and port, and that the broker is running",
        RefusalKind::Code(0x04 | 0x05 | 0x86 | 0x87) if with_login => "check user name and password",
        RefusalKind::Code(0x04 | 0x05 | 0x86 | 0x87) => {
            "give --username and MQTT_SESSIONS_PASSWORD, or mqtt://USER:PASSWORD@HOST"
        }
        RefusalKind::Code(_) => "the broker does not let this client in; see its log",
        RefusalKind::Unencodable => "give a shorter user name or password",
        _ => "give the port of MQTT over TCP, usually 1883",
    }
}

/// How many cells run side by side, within the number of files that this process may open.
fn jobs(measure: &Measure, target: &Target, cells: &[Cell]) -> Result<usize> {
    let usual = if target.endpoint.is_loopback() { JOBS_ON_LOOPBACK } else { JOBS_ELSEWHERE };
    let wanted = measure.jobs.map_or(usual, |jobs| jobs as usize);
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
    let per_cell = cells.iter().map(|cell| cell.clients.len()).max().unwrap_or(1);
    let possible = usize::try_from(files.saturating_sub(SPARE_FILES)).unwrap_or(usize::MAX) / per_cell;
    if possible == 0 {
        return Err(anyhow!("this process may open only {files} files; raise the limit with ulimit -n"));
    }
    Ok(wanted.min(possible))
}

/// The broker's label, completed by what it says of itself.
fn label(broker: &Broker, probes: &[Probe]) -> BrokerLabel {
    let mut label = broker.label.clone();
    // "mosquitto version 2.0.11"
    let said = probes.iter().find_map(|probe| probe.version.as_deref()).and_then(|said| said.split_once(" version "));
    if let Some((name, version)) = said {
        label.name.get_or_insert_with(|| name.trim().into());
        label.version.get_or_insert_with(|| version.trim().into());
    }
    label
}

fn results(
    outcome: Outcome,
    broker: BrokerLabel,
    options: Options,
    (started_at, started): (SystemTime, Instant),
    run_options: &RunOptions,
    url: &str,
) -> Results {
    Results {
        format: Format::default(),
        tool: Tool::default(),
        broker,
        options,
        run: Run {
            started_at: humantime::format_rfc3339_seconds(started_at).to_string(),
            prefix: run_options.prefix.client_id.clone(),
            duration_ms: started.elapsed().as_millis() as u64,
            host: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            url: url.into(),
            settle_ms: run_options.settle.as_millis() as u64,
            cleanup: outcome.cleanup.sentence(),
            cells: outcome.runs.into_iter().collect::<BTreeMap<_, _>>(),
        },
        summary: Summary::of(&outcome.cells),
        cells: outcome.cells,
    }
}

/// Ends what runs with this prefix left.
///
/// # Errors
/// A sentence for the user, as for [`measure`].
pub async fn clean(clean: Clean) -> Result<ExitCode> {
    let prefix = prefix(Some(&clean.prefix), &clean.prefixes)?;
    let scenarios = match clean.scenarios.is_empty() {
        true => Scenario::built_in_names().map(String::from).collect(),
        false => clean.scenarios.clone(),
    };
    let cells = plan(&scenarios, &Plan { amounts: Amounts { messages: 1, queue_limit: None }, filter: Vec::new() })?;
    let interrupted = interruption();
    let cleaning = unless_interrupted(&interrupted, async {
        let (broker, target) = reach(&clean.broker, None, None).await?;
        let probes = probe(&target, &prefix).await;
        check_reachable(&probes, &broker.url, target.login.is_some())?;
        let cleanup = clear_before(&target, &prefix, &cells, clean.repeat, &probes).await;
        Ok::<_, anyhow::Error>((broker.url, cleanup))
    });
    let Some(cleaned) = cleaning.await else { return Ok(ExitCode::Interrupted) };
    let (url, cleanup) = cleaned?;
    println(&format!("{url}: {}", cleanup.sentence()))?;
    Ok(if cleanup.is_clean() && !cleanup.retained.unchecked { ExitCode::Success } else { ExitCode::Unclear })
}

/// Ends whatever earlier runs with this prefix can have left, since ids and topics follow from it.
async fn clear_before(target: &Target, prefix: &Prefix, cells: &[Cell], repeat: u32, probes: &[Probe]) -> run::Cleanup {
    let versions: Vec<Protocol> = probes.iter().filter(|p| p.outcome.is_ok()).map(|probe| probe.protocol).collect();
    let mut leftovers = Leftovers::default();
    for cell in cells {
        for (repetition, attempt) in (1..=repeat).flat_map(|r| (1..=TRIES_MAX).map(move |attempt| (r, attempt))) {
            let tag = Place { cell: &cell.id, repetition, attempt }.tag();
            leftovers.retained.extend(cell.retained_topics().map(|topic| run::topic(prefix, &tag, topic)));
            let persistent = cell.persistent_clients().map(|client| &cell.clients[client]);
            let spoken = persistent.filter(|client| versions.contains(&client.protocol));
            leftovers.sessions.extend(spoken.filter_map(|client| {
                Some(SessionLeft {
                    client_id: run::client_id(prefix, &tag, client.client_id?),
                    protocol: client.protocol,
                    persists: true,
                })
            }));
        }
    }
    let mut cleanup = run::clean_guessed(target, prefix, leftovers, &versions).await;
    let version = if versions.contains(&Protocol::V3) { Protocol::V3 } else { Protocol::V5 };
    cleanup.retained = run::clear_all_retained(target, prefix, version).await;
    cleanup
}
