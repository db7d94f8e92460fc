//! `explore`: random experiments against a broker, and the simplest ones that fail.

use std::collections::BTreeSet;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::arguments::{names, prefix_of_part};
use crate::cli::{Explore, PATIENCE};
use crate::exit_code::ExitCode;
use crate::explore::{self, Experiment, Finding, Listener, Request, Wishes};
use crate::interruption::interruption;
use crate::laboratory::Laboratory;
use crate::measure::{self, reach_for_lanes};
use crate::output::{note, page, print};
use crate::printed_command::{PrintedCommand, option};
use crate::report;
use crate::run::{Cleanup, Gone, Observer, RunOptions};

/// How long a search lasts that is not told when to end.
const USUAL_TIME: Duration = Duration::from_secs(60);
/// The most clients of a random experiment, each with a connection.
const CLIENTS_MAX: usize = 5;

/// Tries random experiments, and tells what fails.
///
/// # Errors
/// A sentence for the user, wherever the command line, a folder or the broker does not allow to go on.
pub async fn explore(mut typed: Explore) -> Result<ExitCode> {
    typed.broker = typed.broker.at(typed.url.take());
    if let (Some(partition), None) = (typed.partition, typed.seed) {
        return Err(anyhow!("{partition} of a search needs the seed of all parts; give each the same --seed S"));
    }
    let prefix = prefix_of_part(typed.prefix.as_deref(), &typed.prefixes, typed.partition)?;
    let saving = typed.save.clone().map(Saving::open).transpose()?;
    let seed = typed.seed.unwrap_or_else(|| RandomState::new().hash_one(0) as u32);
    let interrupted = interruption();
    let broker = typed.broker.request()?;
    let Some(reached) = reach_for_lanes(&broker, &prefix, &interrupted).await? else {
        return Ok(ExitCode::Interrupted);
    };
    if let ([only], None) = (&reached.versions()[..], typed.protocol) {
        // Experiments of the other version would show nothing.
        note(&format!(
            "{} speaks MQTT {only} alone, so the experiments have clients of that version",
            reached.broker.url
        ));
        typed.protocol = Some(*only);
    }
    let wanted = typed.jobs.map(|jobs| jobs as usize);
    let jobs = measure::jobs(wanted, &reached.target, CLIENTS_MAX)?;
    let laboratory = Laboratory {
        target: reached.target.clone(),
        probes: &reached.probes,
        options: RunOptions {
            prefix: prefix.clone(),
            jobs,
            settle: typed.settle.window(&reached.probes),
            patience: PATIENCE,
            attempts_max: u32::MAX,
            repeat: 1,
            keep_all_histories: false,
        },
        interrupted,
    };
    let minute = typed.cases.is_none().then_some(USUAL_TIME);
    let request = Request {
        seed,
        cases: typed.cases,
        time: typed.time.or(minute),
        wishes: Wishes { protocol: typed.protocol, timers: !typed.no_timers },
        partition: typed.partition,
    };
    let part = typed.partition.map(|partition| format!(", {partition}")).unwrap_or_default();
    note(&format!("seed {seed}{part}, prefix {}", prefix.client_id));
    let telling = Telling { bar: bar(), saving, warnings: Mutex::default() };
    let explored = explore::search(&laboratory, request, &telling).await;
    telling.bar.finish_and_clear();
    let url = reached.broker.label.typed(&reached.broker.url);
    let reached_with = [broker.reached_with(&reached.broker), names(typed.prefix.as_deref(), &typed.prefixes)].concat();
    let repeat = |finding: &Finding| telling.repeat(finding, &typed).at(url, &reached_with);
    let search = report::Search { broker: &reached.label(), url: &reached.broker.url, repeat: &repeat };
    print(&report::explored(&explored, &search, page()))?;
    Ok(match (explored.interrupted, explored.is_gone) {
        (true, _) => ExitCode::Interrupted,
        (false, true) => ExitCode::Unclear,
        (false, false) => ExitCode::of(&explored.summary),
    })
}

/// A folder for the simplest experiments that fail.
struct Saving {
    folder: PathBuf,
}

impl Saving {
    /// Makes the folder, before hours are spent for it.
    fn open(folder: PathBuf) -> Result<Saving> {
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make the folder {}; give --save another one", folder.display()))?;
        Ok(Saving { folder })
    }

    fn path(&self, experiment: &Experiment) -> PathBuf {
        self.folder.join(format!("{}.toml", experiment.name))
    }

    /// Writes the experiment as a scenario file with what it showed at its head.
    fn save(&self, finding: &Finding) {
        let path = self.path(&finding.experiment);
        let said = finding.cell.reason.iter().map(|reason| format!("# {reason}\n"));
        let text = said.collect::<String>() + &finding.experiment.to_string();
        if let Err(error) = fs::write(&path, text) {
            note(&format!(
                "warning: cannot write {}: {error}; make room, or give --save another folder",
                path.display()
            ));
        }
    }
}

/// The progress line that the user sees while the search goes on.
struct Telling {
    bar: ProgressBar,
    saving: Option<Saving>,
    /// The warnings that the user has had, without the numbers: many batches have the same to say.
    warnings: Mutex<BTreeSet<String>>,
}

/// A line on stderr; nothing is drawn where stderr is no terminal.
fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} experiments, {per_sec} {msg}") {
        bar.set_style(style);
    }
    bar
}

impl Telling {
    /// The command that repeats a finding, by its file or by its seed.
    fn repeat(&self, finding: &Finding, typed: &Explore) -> PrintedCommand {
        if let Some(saving) = &self.saving {
            return PrintedCommand::new("run").with([saving.path(&finding.experiment).display().to_string()]);
        }
        let seed = finding.seeds.first().copied().unwrap_or_default().to_string();
        let protocol = typed.protocol.map(|protocol| option("--protocol", protocol.name()));
        let no_timers = typed.no_timers.then_some("--no-timers");
        let command = PrintedCommand::new("explore").with(["--seed", &seed, "--cases", "1"]);
        command.with(protocol.into_iter().flatten()).with(no_timers)
    }
}

impl Observer for Telling {
    fn round(&self, _attempt: u32, _cells: usize) {}

    fn cell(&self) {
        self.bar.inc(1);
    }

    fn warn(&self, sentence: String) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if warnings.insert(sentence.replace(char::is_numeric, "")) {
            self.bar.suspend(|| note(&format!("warning: {sentence}")));
        }
    }
}

impl Listener for Telling {
    fn findings(&self, findings: usize) {
        self.bar.set_message(format!("{findings} findings"));
    }

    fn shrinking(&self, experiments: usize) {
        self.bar.set_message(format!("shrinking {experiments} that failed"));
    }

    fn found(&self, finding: &Finding) {
        let seed = finding.seeds.first().copied().unwrap_or_default();
        let reason = finding.cell.reason.as_deref().unwrap_or_default();
        self.bar.suspend(|| note(&format!("seed {seed} fails: {reason}")));
        if let Some(saving) = &self.saving {
            saving.save(finding);
        }
    }

    fn gone(&self, gone: &Gone) {
        self.bar.suspend(|| note(&format!("error: {}", gone.sentence())));
    }

    fn left(&self, cleanup: &Cleanup) {
        if !cleanup.is_clean() {
            self.warn(cleanup.sentence());
        }
    }
}
