//! `probe`: what does this broker do where the standard leaves it open?

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, anyhow};
use indicatif::ProgressBar;
use tokio::sync::watch;

use super::arguments::prefix;
use crate::cli::Probe;
use crate::exit_code::ExitCode;
use crate::export::Export;
use crate::interruption::interruption;
use crate::laboratory::Laboratory;
use crate::measure::{self, BrokerRequest, Reached, reach_for_lanes};
use crate::output::{note, page, print};
use crate::packet::Protocol;
use crate::profile::{self, Budget, Halt, Listener, Measured, Probed, Profile, Request};
use crate::progress::progress_line;
use crate::report::{self, Page};
use crate::results::{Tool, in_rfc_3339};
use crate::run::{Observer, Prefix, RunOptions, Settle};
use crate::visible::visible_json;

/// The most clients of an experiment.
const CLIENTS_MAX: usize = 3;

/// Measures the numbers of a broker.
///
/// # Errors
/// A sentence for the user, wherever the command line, a file or the broker does not allow to go on.
pub async fn probe(mut typed: Probe) -> Result<ExitCode> {
    typed.broker = typed.broker.at(typed.url.take());
    let prefix = prefix(typed.prefix.as_deref(), &typed.prefixes)?;
    let broker = typed.broker.request()?;
    let export = typed.export_json.as_deref().map(|path| Export::open("--export-json", path)).transpose()?;
    let interrupted = interruption();
    let Some(reached) = reach_for_lanes(&broker, &prefix, &interrupted).await? else {
        return Ok(ExitCode::Interrupted);
    };
    let protocol = spoken(&reached, typed.protocol)?;
    if !reached.passes_messages_on(&prefix, protocol).await {
        let url = &reached.broker.url;
        return Err(anyhow!(
            "{url}: nothing can be measured, since no message comes back from the broker; run `mqtt-sessions doctor {url}`, \
             which shows where it stops"
        ));
    }
    let request = Request { budget: Budget::times(typed.budget), wait_s: typed.wait.as_secs().max(1) as u32 };
    warn_of(request.budget, typed.budget);
    let laboratory = laboratory(&reached, &prefix, request.budget, interrupted)?;
    let started = (SystemTime::now(), Instant::now());
    let telling = Telling(progress_line());
    let probed = profile::probe(&laboratory, protocol, request, &telling).await;
    telling.0.finish_and_clear();
    let code = exit_code(&probed);
    if !probed.cleanup.is_clean() {
        note(&format!("warning: {}", probed.cleanup.sentence()));
    }
    let profile = profile_of(probed, (&reached, protocol), request, (&prefix, started));
    tell(&profile, Page { details: typed.details, ..page() }, export.as_ref())?;
    Ok(code)
}

/// The place where the questions play their cells.
fn laboratory<'r>(
    reached: &'r Reached,
    prefix: &Prefix,
    budget: Budget,
    interrupted: watch::Receiver<bool>,
) -> Result<Laboratory<'r>> {
    Ok(Laboratory {
        target: reached.target.clone(),
        probes: &reached.probes,
        options: RunOptions {
            prefix: prefix.clone(),
            jobs: measure::jobs(Some(budget.connections as usize), &reached.target, CLIENTS_MAX)?,
            settle: Settle::Auto.window(&reached.probes),
            // What does not come is a number here, and no finding.
            patience: Duration::ZERO,
            attempts_max: 1,
            repeat: 1,
            keep_all_histories: true,
        },
        interrupted,
    })
}

/// The queue limit of a broker, for a run that takes it over, and `None` inside where none was reached; `None` if a signal came.
///
/// # Errors
/// A sentence for the user: the broker cannot be measured, or has no steady limit.
pub(super) async fn measured_queue_limit(
    broker: &BrokerRequest,
    prefix: &Prefix,
    interrupted: &watch::Receiver<bool>,
) -> Result<Option<Option<u32>>> {
    let Some(reached) = reach_for_lanes(broker, prefix, interrupted).await? else { return Ok(None) };
    let protocol = spoken(&reached, None)?;
    let request = Request { budget: Budget::times(1), wait_s: 1 };
    let laboratory = laboratory(&reached, prefix, request.budget, interrupted.clone())?;
    let number = match profile::queue_limit(&laboratory, protocol, request, &Telling(progress_line())).await {
        Ok(number) => number,
        Err(Halt::Interrupted) => return Ok(None),
        Err(halt) => {
            let (url, why) = (&reached.broker.url, halt.why());
            return Err(anyhow!(
                "{url}: the queue limit was not measured: {why}; run again, or give it as --queue-limit N"
            ));
        }
    };
    let limit = match number.measured {
        Measured::Exactly { value } => Some(value as u32),
        Measured::AtLeast { .. } => None,
        _ => {
            let said = report::measured_value(&number);
            return Err(anyhow!(
                "{}: the queue limit cannot be taken over ({said}; {}); give it as --queue-limit N",
                reached.broker.url,
                number.how
            ));
        }
    };
    let said = limit.map_or_else(|| "none was reached".into(), |limit| format!("{} messages", profile::grouped(limit)));
    note(&format!("queue limit: {said}: {}", number.how));
    Ok(Some(limit))
}

/// The protocol version of the clients: that which was asked for, or the latest that the broker speaks.
pub(super) fn spoken(reached: &Reached, wanted: Option<Protocol>) -> Result<Protocol> {
    let versions = reached.versions();
    let found = wanted.or(versions.last().copied()).filter(|wanted| versions.contains(wanted));
    found.ok_or_else(|| match wanted {
        Some(wanted) => anyhow!("{} does not speak MQTT {wanted}; leave --protocol out", reached.broker.url),
        None => anyhow!("{} lets no client in; see the broker's log", reached.broker.url),
    })
}

/// A budget that was raised may hurt.
fn warn_of(budget: Budget, factor: u32) {
    if factor > 1 {
        note(&format!(
            "warning: up to {} messages and {} bytes will wait on the broker at once; Ctrl-C ends them",
            profile::grouped(budget.messages),
            profile::grouped(budget.bytes)
        ));
    }
}

fn exit_code(probed: &Probed) -> ExitCode {
    let is_missing = |measured: &Measured| matches!(measured, Measured::NotMeasured { .. });
    match &probed.halt {
        Some(Halt::Interrupted) => ExitCode::Interrupted,
        Some(_) => ExitCode::Unclear,
        None if !probed.cleanup.is_clean() => ExitCode::Unclear,
        None if probed.numbers.iter().any(|number| is_missing(&number.measured)) => ExitCode::Unclear,
        None => ExitCode::Success,
    }
}

fn profile_of(
    probed: Probed,
    (reached, protocol): (&Reached, Protocol),
    request: Request,
    (prefix, (started_at, started)): (&Prefix, (SystemTime, Instant)),
) -> Profile {
    Profile {
        format: Profile::format(),
        tool: Tool::default(),
        broker: reached.label(),
        protocol,
        budget: request.budget,
        wait_s: request.wait_s,
        run: profile::Run {
            started_at: in_rfc_3339(started_at),
            duration_ms: started.elapsed().as_millis() as u64,
            url: reached.broker.url.clone(),
            prefix: prefix.client_id.clone(),
            cleanup: probed.cleanup.sentence(),
            cut_short: probed.halt.as_ref().map(Halt::why),
        },
        numbers: probed.numbers,
    }
}

fn tell(profile: &Profile, page: Page, export: Option<&Export>) -> Result<()> {
    let written = export.map_or(Ok(()), |export| {
        let json = serde_json::to_string_pretty(profile)?;
        export.write((visible_json(&json) + "\n").as_bytes())
    });
    let text = report::profile(profile, page);
    if export.is_some_and(Export::is_stdout) {
        note(&text);
        return written;
    }
    print(&text)?;
    written
}

/// The progress line that the user sees meanwhile.
struct Telling(ProgressBar);

impl Observer for Telling {
    fn round(&self, _attempt: u32, _cells: usize) {}

    fn cell(&self) {
        self.0.tick();
    }

    fn warn(&self, sentence: String) {
        self.0.suspend(|| note(&format!("warning: {sentence}")));
    }
}

impl Listener for Telling {
    fn asks(&self, what: &str) {
        self.0.set_message(format!("measuring {what}"));
    }
}
