//! The commands that talk to a broker, stage by stage.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Write};
use std::time::{Instant, SystemTime};

use anyhow::{Result, anyhow};
use tokio::sync::watch;

use crate::broker::{Broker, Given};
use crate::cli::{Clean, Histories, Measure, Plan, Prefixes, Reach};
use crate::compare::{compare, same_options};
use crate::exit_code::ExitCode;
use crate::export::Export;
use crate::packet::Protocol;
use crate::plan::{self, Cell, Filter, Settings};
use crate::progress::Progress;
use crate::report::{self, Palette};
use crate::results::{BrokerLabel, Format, Options, Results, Run, Summary, Tool};
use crate::run::{self, Leftovers, Outcome, Place, Prefix, Probe, RunOptions, SessionLeft, Target};
use crate::scenario::Scenario;

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
pub async fn measure(scenarios: &[String], measure: Measure) -> Result<ExitCode> {
    let cells = plan(scenarios, &measure.plan)?;
    if cells.is_empty() {
        return Ok(nothing_selected());
    }
    let options = Options { messages: measure.plan.messages, queue_limit: measure.plan.queue_limit };
    let prefix = prefix(measure.prefix.as_deref(), &measure.prefixes)?;
    let export = measure.export_json.as_deref().map(Export::open).transpose()?;
    let baseline = measure.baseline.as_deref().map(Results::load).transpose()?;
    if let Some(baseline) = &baseline {
        same_options(&baseline.options, &options)?;
    }
    let selected: HashSet<String> = cells.iter().map(|cell| cell.id.clone()).collect();

    let interrupted = interruption();
    let broker = reach(&measure.broker, measure.broker_name.clone(), measure.broker_version.clone()).await?;
    let target = target(&broker, &measure.broker);
    let mut ended = interrupted.clone();
    let probes = tokio::select! {
        probes = probe(&target, &prefix) => probes,
        _ = ended.wait_for(|interrupted| *interrupted) => return Ok(ExitCode::Interrupted),
    };
    check_reachable(&probes, &broker.url)?;

    let run_options = RunOptions {
        jobs: jobs(&measure, &target, &cells)?,
        settle: measure.settle,
        repeat: measure.repeat,
        keep_all_histories: measure.histories == Histories::All,
        prefix: prefix.clone(),
    };
    eprintln!(
        "prefix {}: if this run is killed, `mqtt-sessions clean --prefix {0}` ends what it left",
        prefix.client_id
    );
    if measure.prefix.is_some() {
        clear_before(&target, &prefix, &cells, measure.repeat, &probes).await;
    }
    let started = (SystemTime::now(), Instant::now());
    let progress = Progress::new();
    let outcome = run::run(&target, cells, &probes, &run_options, &progress, interrupted).await;
    progress.finish();

    let interrupted = outcome.interrupted;
    let results = results(outcome, label(&broker, &probes), options, started, &run_options, &broker.url);
    if let Some(export) = &export {
        export.write(&results.to_json())?;
    }
    let to_stderr = export.as_ref().is_some_and(Export::is_stdout);
    let mut text = format!(
        "{}\n\n{}",
        report::measured(&results.broker, &broker.url),
        report::terminal(&results, Palette::Coloured)
    );
    let mut code = ExitCode::of(&results.summary);
    if let Some(baseline) = &baseline {
        let comparison = compare(baseline, &results, Some(&selected))?;
        text.push_str("\n\n");
        text.push_str(&report::changes(&comparison, Palette::Coloured));
        code = ExitCode::of_comparison(&comparison);
    }
    if to_stderr {
        anstream::eprintln!("{text}")
    } else {
        println(&text)?
    }
    Ok(if interrupted { ExitCode::Interrupted } else { code })
}

/// All cells of the scenarios that the filters select.
///
/// # Errors
/// The mistake in a scenario file, or in a filter.
pub fn plan(scenarios: &[String], plan: &Plan) -> Result<Vec<Cell>> {
    let filter = Filter::parse(&plan.filter)?;
    let settings = Settings { messages: plan.messages, queue_limit: plan.queue_limit };
    let mut cells: Vec<Cell> = Vec::new();
    for scenario in scenarios {
        let planned = plan::cells(&Scenario::load(scenario)?, settings);
        if let Some(twice) = planned.iter().find(|cell| cells.iter().any(|other| other.id == cell.id)) {
            return Err(anyhow!("{scenario}: the cell {} is there already; give scenarios different names", twice.id));
        }
        cells.extend(planned);
    }
    Ok(filter.select(cells)?)
}

/// Says that no cell was selected.
pub fn nothing_selected() -> ExitCode {
    eprintln!("error: no cell is selected; `mqtt-sessions list` prints all cells");
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

async fn reach(reach: &Reach, name: Option<String>, version: Option<String>) -> Result<Broker> {
    let given = Given { user: reach.username.clone(), password: reach.password.clone(), name, version };
    Ok(Broker::find(&reach.broker, given, reach.connect_timeout).await?)
}

fn target(broker: &Broker, reach: &Reach) -> Target {
    Target::new(broker.endpoint.clone(), broker.login.clone(), reach.deadline, reach.connect_timeout)
}

/// Asks for both protocol versions: a broker that refuses one shows by the other that it is a broker.
async fn probe(target: &Target, prefix: &Prefix) -> [Probe; 2] {
    let [v3, v5] = Protocol::ALL;
    let (v3, v5) = tokio::join!(run::probe(target, prefix, v3), run::probe(target, prefix, v5));
    [v3, v5]
}

/// # Errors
/// Why nothing can be measured: no version is answered, or a CONNECT is refused for another reason than its version.
fn check_reachable(probes: &[Probe], url: &str) -> Result<()> {
    let refusals: Vec<_> = probes.iter().filter_map(|probe| Some((probe, probe.outcome.as_ref().err()?))).collect();
    if let Some((probe, refusal)) = refusals.iter().find(|(_, refusal)| !refusal.is_of_version()) {
        let advice = match refusal.kind {
            run::RefusalKind::Unreachable => "check host and port, and that the broker is running",
            run::RefusalKind::Code(0x04 | 0x05 | 0x86 | 0x87) => {
                "give --username and MQTT_SESSIONS_PASSWORD, or mqtt://USER:PASSWORD@HOST"
            }
            run::RefusalKind::Code(_) => "the broker does not let this client in; see its log",
            _ => "is that the port of MQTT over TCP?",
        };
        let version = probe.protocol;
        return Err(anyhow!("cannot measure {url}: MQTT {version}: {}; {advice}", refusal.how));
    }
    if let [(_, first), (_, second)] = refusals[..] {
        let is_code = |refusal: &run::Refusal| matches!(refusal.kind, run::RefusalKind::Code(_));
        if !is_code(first) && !is_code(second) {
            return Err(anyhow!(
                "cannot measure {url}: no protocol version is answered (3.1.1: {}; 5.0: {}); is that the port of MQTT \
                 over TCP?",
                first.how,
                second.how
            ));
        }
    }
    Ok(())
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
    let cells = plan(&scenarios, &Plan { messages: 1, queue_limit: None, filter: Vec::new() })?;
    let broker = reach(&clean.broker, None, None).await?;
    let target = target(&broker, &clean.broker);
    let probes = probe(&target, &prefix).await;
    check_reachable(&probes, &broker.url)?;
    let cleanup = clear_before(&target, &prefix, &cells, clean.repeat, &probes).await;
    println(&format!("{}: {}", broker.url, cleanup.sentence()))?;
    Ok(if cleanup.is_clean() { ExitCode::Success } else { ExitCode::Unclear })
}

/// Ends whatever earlier runs with this prefix can have left, since ids and topics follow from it.
async fn clear_before(target: &Target, prefix: &Prefix, cells: &[Cell], repeat: u32, probes: &[Probe]) -> run::Cleanup {
    let versions: Vec<Protocol> = probes.iter().filter(|p| p.outcome.is_ok()).map(|probe| probe.protocol).collect();
    let mut leftovers = Leftovers::default();
    for cell in cells {
        for (repetition, attempt) in (1..=repeat).flat_map(|r| (1..=TRIES_MAX).map(move |attempt| (r, attempt))) {
            let tag = Place { cell: &cell.id, repetition, attempt }.tag();
            let persistent = cell.clients.iter().enumerate().filter(|(_, client)| !client.clean_session);
            leftovers.sessions.extend(persistent.filter(|(_, client)| versions.contains(&client.protocol)).map(
                |(index, client)| SessionLeft {
                    client_id: run::client_id(prefix, &tag, index),
                    protocol: client.protocol,
                    persists: true,
                },
            ));
        }
    }
    let mut cleanup = run::clean(target, prefix, leftovers, &versions).await;
    let version = if versions.contains(&Protocol::V3) { Protocol::V3 } else { Protocol::V5 };
    run::clear_all_retained(target, prefix, version, &mut cleanup).await;
    cleanup
}

/// True from the first Ctrl-C or TERM on; the second one ends the program at once.
fn interruption() -> watch::Receiver<bool> {
    let (interrupt, interrupted) = watch::channel(false);
    tokio::spawn(async move {
        signalled().await;
        eprintln!("interrupted: ending sessions and clearing retained messages; once more to stop at once");
        // Nobody may be waiting for it yet.
        interrupt.send_replace(true);
        signalled().await;
        std::process::exit(i32::from(ExitCode::Interrupted.code()));
    });
    interrupted
}

async fn signalled() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        // Without a handler Ctrl-C ends the program by itself.
        std::future::pending::<()>().await;
    }
}

/// Writes to stdout; a reader that went away is no error.
///
/// # Errors
/// The operating system's, such as a full disk.
pub fn print(text: &str) -> io::Result<()> {
    let mut stdout = anstream::stdout();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// As [`print`], with a newline at the end.
///
/// # Errors
/// As [`print`].
pub fn println(text: &str) -> io::Result<()> {
    print(&format!("{text}\n"))
}
