//! A broker that was started is waited for until it lets a client in.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

use crate::broker::{Broker, Started};
use crate::output::note;
use crate::packet::Protocol;
use crate::run::{self, Prefix, Target};

/// How long the harness waits before it asks a broker again that was not ready.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// Waits until a broker that was started answers a CONNECT; one that was not started is left alone.
///
/// # Errors
/// A sentence for the user: the broker has ended, or does not get ready in time, and what it said last.
pub async fn until_ready(broker: &mut Broker, target: &Target, prefix: &Prefix) -> Result<()> {
    let Some(started) = &mut broker.started else { return Ok(()) };
    if started.is_kept() {
        note(&format!("{} keeps its configuration, data and log in {}", started.name, started.folder().display()));
    }
    let deadline = Instant::now() + started.ready_within;
    // Either version may be the only one that it speaks.
    for version in Protocol::ALL.into_iter().cycle() {
        let probe = run::probe(target, prefix, version).await;
        match probe.outcome {
            Ok(()) => return Ok(()),
            // What is wrong is told by the probes of the run.
            Err(refusal) if !refusal.may_be_for_now() && !refusal.is_silence() => return Ok(()),
            Err(_) => check(started, deadline)?,
        }
        sleep(ASK_EVERY).await;
    }
    Ok(())
}

/// # Errors
/// The broker has ended, or its time is over.
fn check(started: &mut Started, deadline: Instant) -> Result<()> {
    if started.has_ended() {
        let words = started.last_words();
        bail!("{} ended before it answered a CONNECT; --keep keeps its files and its log; {words}", started.name);
    }
    if Instant::now() >= deadline {
        let seconds = started.ready_within.as_secs();
        let words = started.last_words();
        bail!(
            "{} answered no CONNECT within {seconds} s; ready_within_s in its file gives it more; {words}",
            started.name
        );
    }
    Ok(())
}
