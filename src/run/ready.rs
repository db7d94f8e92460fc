//! A broker that was started is waited for until it lets a client in.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::names::Prefix;
use super::probe::probe;
use super::target::Target;
use crate::broker::{Operator, OperatorError};
use crate::packet::Protocol;

/// How long the harness waits before it asks a broker again that was not ready.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// Waits until a broker that was started answers a CONNECT.
///
/// # Errors
/// The broker has ended, or does not get ready in time, and what it said last.
pub async fn until_ready(operator: &Operator, target: &Target, prefix: &Prefix) -> Result<(), OperatorError> {
    let within = operator.ready_within().await;
    let deadline = Instant::now() + within;
    // Either version may be the only one that it speaks.
    for version in Protocol::ALL.into_iter().cycle() {
        match probe(target, prefix, version).await.outcome {
            Ok(()) => return Ok(()),
            // What is wrong is told by the probes of the run.
            Err(refusal) if !refusal.may_be_for_now() && !refusal.is_silence() => return Ok(()),
            Err(_) => check(operator, deadline, within).await?,
        }
        sleep(ASK_EVERY).await;
    }
    Ok(())
}

/// # Errors
/// The broker has ended, or its time is over.
async fn check(operator: &Operator, deadline: Instant, within: Duration) -> Result<(), OperatorError> {
    let is_over = Instant::now() >= deadline;
    let why = match operator.started() {
        Some(started) => {
            let mut started = started.lock().await;
            let (has_ended, name) = (started.has_ended(), started.name.clone());
            let words = || started.last_words();
            match (has_ended, is_over) {
                (true, _) => Some(format!(
                    "{name} ended before it answered a CONNECT; --keep keeps its files and its log; {}",
                    words()
                )),
                (false, true) => Some(format!(
                    "{name} answered no CONNECT within {} s; ready_within_s in its file gives it more; {}",
                    within.as_secs(),
                    words()
                )),
                (false, false) => None,
            }
        }
        None if is_over => {
            Some(format!("the broker answered no CONNECT within {} s; see what --start-command does", within.as_secs()))
        }
        None => None,
    };
    why.map_or(Ok(()), |why| Err(OperatorError::NotReady(why)))
}
