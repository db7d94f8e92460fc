//! `storm`: many sessions return at once, and each message is accounted for.

use std::fs;
use std::path::PathBuf;
use std::time::{Instant, SystemTime};

use anyhow::{Context, Result, anyhow};
use indicatif::ProgressBar;

use super::arguments::{names, prefix_of_part};
use super::probe::spoken;
use crate::cli::Storm;
use crate::exit_code::ExitCode;
use crate::export::Export;
use crate::interruption::{interruption, unless_interrupted};
use crate::measure::{BrokerRequest, Reached, check_unused, reach};
use crate::output::{note, page, print};
use crate::printed_command::{PrintedCommand, option};
use crate::profile::grouped;
use crate::progress::progress_line;
use crate::report;
use crate::results::{Tool, in_rfc_3339};
use crate::run::{self, Prefix};
use crate::storm::{self, CutShort, Listener, Options, Phases, Request, Run, StormFile, Stormed};
use crate::visible::visible_json;

/// More is asked for with --yes.
const SESSIONS_POLITE: u32 = 1000;
const MESSAGES_POLITE: u64 = 10_000;

/// Plays a storm, and tells what became of each message.
///
/// # Errors
/// A sentence for the user, wherever the command line, a folder, this machine or the broker does not allow to go on.
pub async fn storm(mut typed: Storm) -> Result<ExitCode> {
    typed.broker = typed.broker.at(typed.url.take());
    check_polite(&typed)?;
    let prefix = prefix_of_part(typed.prefix.as_deref(), &typed.prefixes, typed.partition)?;
    let broker = typed.broker.request()?;
    let export = typed.export_json.as_deref().map(|path| Export::open("--export-json", path)).transpose()?;
    let saving = typed.save.clone().map(Saving::open).transpose()?;
    let interrupted = interruption();
    let reaching = async {
        let reached = reach(&broker, &prefix).await?;
        reached.check_rights(&prefix).await?;
        Ok::<_, anyhow::Error>(reached)
    };
    let Some(reached) = unless_interrupted(&interrupted, reaching).await else { return Ok(ExitCode::Interrupted) };
    let reached = reached?;
    let request = request(&typed, &reached)?;
    let addresses = reached.target.endpoint.addresses();
    let sources = storm::sources(request.sessions.len(), addresses, &typed.source);
    if let Some(lack) = storm::lacks(&request, addresses, sources.len()).into_iter().next() {
        return Err(anyhow!("this machine cannot do that: {lack}"));
    }
    if !names(typed.prefix.as_deref(), &typed.prefixes).is_empty() {
        let clearing = make_room(&reached, &prefix, &request);
        let Some(cleared) = unless_interrupted(&interrupted, clearing).await else { return Ok(ExitCode::Interrupted) };
        cleared?;
    }
    let target = reached.target.clone().from_sources(&sources);
    note(&before(&prefix, &reached, &broker, typed.sessions));
    let started = (SystemTime::now(), Instant::now());
    let telling = Telling(progress_line());
    let stormed = storm::storm(&target, &prefix, &request, &reached.versions(), &telling, interrupted).await;
    telling.0.finish_and_clear();
    if stormed.cut_short == Some(CutShort::Shared) {
        // The storm tells how far it came. Nothing that it saw is its own alone.
        stormed.judged.limits.iter().for_each(|limit| note(limit));
        return Err(anyhow!(run::prefix_is_in_use(&prefix)));
    }
    if !stormed.cleanup.is_clean() {
        note(&format!("warning: {}", stormed.cleanup.sentence()));
    }
    if let Some(saving) = &saving {
        saving.save(&request, &stormed)?;
    }
    let file = file(&stormed, &typed, &request, &reached, (&prefix, started));
    tell(&file, export.as_ref())?;
    Ok(exit_code(&stormed))
}

/// Ends what an earlier storm with this prefix may have left: its sessions would be taken for this one's.
///
/// # Errors
/// Somebody uses the prefix now: a sentence for the user.
async fn make_room(reached: &Reached, prefix: &Prefix, request: &Request) -> Result<()> {
    check_unused(reached, prefix).await?;
    let sessions = request.sessions.iter().copied();
    let cleanup = storm::clear_what_it_left(&reached.target, prefix, sessions, &reached.versions()).await;
    if !cleanup.is_clean() {
        note(&format!("warning: before the storm: {}", cleanup.sentence()));
    }
    Ok(())
}

/// The line that the user reads when the storm begins: a broker that ends with it keeps nothing.
fn before(prefix: &Prefix, reached: &Reached, broker: &BrokerRequest, sessions: u32) -> String {
    if reached.broker.ends_with_the_run() {
        return format!("prefix {}", prefix.client_id);
    }
    let names = [option("--prefix", &prefix.client_id), option("--topic-prefix", &prefix.topic)].concat();
    let command = PrintedCommand::new("clean").at(Some(&reached.broker.url), &broker.reached_with(&reached.broker));
    let command = command.with(names).with(option("--storm", &sessions.to_string()));
    format!("prefix {}: if this storm is killed, `{command}` ends what it left", prefix.client_id)
}

/// A storm may hurt a broker that others use.
fn check_polite(typed: &Storm) -> Result<()> {
    let messages = u64::from(typed.sessions) * u64::from(typed.messages);
    if typed.yes || typed.sessions <= SESSIONS_POLITE && messages <= MESSAGES_POLITE {
        return Ok(());
    }
    Err(anyhow!(
        "{} sessions with {} messages are more than {} with {}, which any broker bears; add --yes if this one may be hurt",
        grouped(typed.sessions),
        grouped(messages),
        grouped(SESSIONS_POLITE),
        grouped(MESSAGES_POLITE)
    ))
}

fn request(typed: &Storm, reached: &Reached) -> Result<Request> {
    let is_own = |number: &u32| typed.partition.is_none_or(|partition| partition.has(&number.to_string()));
    Ok(Request {
        protocol: spoken(reached, typed.protocol)?,
        sessions: (1..=typed.sessions).filter(is_own).collect(),
        messages: typed.messages,
        qos: typed.qos,
        size: typed.size as usize,
        return_rate: typed.return_rate,
        away: typed.away,
        start_at: typed.start_at,
        patience: typed.patience,
        settle: typed.settle,
    })
}

fn exit_code(stormed: &Stormed) -> ExitCode {
    match ExitCode::of_storm(stormed.judged.verdict) {
        _ if stormed.cut_short == Some(CutShort::Interrupted) => ExitCode::Interrupted,
        ExitCode::Success if !stormed.cleanup.is_clean() => ExitCode::Unclear,
        code => code,
    }
}

fn file(
    stormed: &Stormed,
    typed: &Storm,
    request: &Request,
    reached: &Reached,
    (prefix, (started_at, started)): (&Prefix, (SystemTime, Instant)),
) -> StormFile {
    StormFile {
        format: StormFile::format(),
        tool: Tool::default(),
        broker: reached.label(),
        options: Options::of(request, typed.sessions),
        run: Run {
            started_at: in_rfc_3339(started_at),
            duration_ms: started.elapsed().as_millis() as u64,
            url: reached.broker.url.clone(),
            prefix: prefix.client_id.clone(),
            partition: typed.partition,
            cleanup: stormed.cleanup.sentence(),
            phases: Phases::of(&stormed.figures),
            timeline: stormed.figures.timeline.clone(),
            deviants: stormed.judged.deviants.iter().map(Into::into).collect(),
        },
        verdict: stormed.judged.verdict,
        limits: stormed.judged.limits.clone(),
        ledger: stormed.ledger.clone(),
        findings: stormed.findings(),
    }
}

/// Prints what a storm found, and writes its file.
///
/// # Errors
/// Stdout or the file cannot be written.
pub fn tell(file: &StormFile, export: Option<&Export>) -> Result<()> {
    let written = export.map_or(Ok(()), |export| {
        let json = serde_json::to_string_pretty(file)?;
        export.write((visible_json(&json) + "\n").as_bytes())
    });
    let text = report::storm(file, page());
    if export.is_some_and(Export::is_stdout) {
        note(&text);
        return written;
    }
    print(&text)?;
    written
}

/// A folder for the sessions that deviate.
struct Saving(PathBuf);

impl Saving {
    /// Makes the folder, before the storm.
    fn open(folder: PathBuf) -> Result<Saving> {
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make the folder {}; give --save another one", folder.display()))?;
        Ok(Saving(folder))
    }

    /// Writes the experiment of a session as a scenario file, and what was on the wire of each that was judged.
    fn save(&self, request: &Request, stormed: &Stormed) -> Result<()> {
        let write = |name: &str, text: String| {
            let path = self.0.join(name);
            let cure = || format!("cannot write {}; make room, or give --save another folder", path.display());
            fs::write(&path, text).with_context(cure)
        };
        if !stormed.judged.deviants.is_empty() {
            write("storm.toml", storm::experiment(request))?;
        }
        for deviant in &stormed.judged.deviants {
            let name = storm::file_of(deviant.number);
            write(&name, deviant.history.lines().join("\n") + "\n")?;
        }
        Ok(())
    }
}

/// The progress line that the user sees meanwhile.
struct Telling(ProgressBar);

impl Listener for Telling {
    fn moves(&self, phase: &str, done: u64, of: u64) {
        self.0.set_message(format!("{phase}: {} of {}", grouped(done), grouped(of)));
        self.0.tick();
    }

    fn warn(&self, sentence: String) {
        self.0.suspend(|| note(&format!("warning: {sentence}")));
    }
}
