//! A broker that was started is waited for until it lets a client in.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::names::Prefix;
use super::probe::probe;
use super::target::Target;
use crate::broker::{Operator, OperatorError};
use crate::packet::Protocol;
use crate::vocabulary::FIRST_NODE;

/// How long the harness waits before it asks a broker again that was not ready.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// Waits until each node of a broker that was started, or this one, answers a CONNECT.
///
/// # Errors
/// A node has ended, or does not get ready in time, and what it said last.
pub async fn until_ready(
    operator: &Operator,
    target: &Target,
    prefix: &Prefix,
    node: Option<u32>,
) -> Result<(), OperatorError> {
    let within = operator.ready_within().await;
    let deadline = Instant::now() + within;
    for own in (FIRST_NODE..).take(target.nodes() as usize).filter(|own| node.is_none_or(|node| node == *own)) {
        let target = target.at(own);
        // Either version may be the only one that it speaks.
        for version in Protocol::ALL.into_iter().cycle() {
            match probe(&target, prefix, version).await.outcome {
                Ok(()) => break,
                // What is wrong is told by the probes of the run.
                Err(refusal) if !refusal.may_be_for_now() && !refusal.is_silence() => break,
                Err(_) => check(operator, own, deadline, within).await?,
            }
            sleep(ASK_EVERY).await;
        }
    }
    Ok(())
}

/// # Errors
/// The node has ended, or its time is over.
async fn check(operator: &Operator, node: u32, deadline: Instant, within: Duration) -> Result<(), OperatorError> {
    let is_over = Instant::now() >= deadline;
    let why = match operator.started(Some(node)).await.first_mut() {
        Some(started) => {
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
