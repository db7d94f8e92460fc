//! Leftovers of a killed run on a broker: how they are found again, and what the user is told about them.

use anyhow::{Result, anyhow};

use super::RunRequest;
use super::reach::Reached;
use crate::broker::Broker;
use crate::packet::Protocol;
use crate::plan::Cell;
use crate::printed_command::{PrintedCommand, option};
use crate::run::{self, Cleanup, Leftovers, Place, Prefix, Retained, SessionLeft};
use crate::scenario::Scenario;

/// How many attempts a run can make at one cell, counting those that refused connections cut short, also behind a pause, and those
/// that the end of the witness's connection spoilt.
pub const TRIES_MAX: u32 = 11;

/// Whether nobody else uses this prefix now.
///
/// # Errors
/// A run with it is under way: a sentence for the user.
pub async fn check_unused(reached: &Reached, prefix: &Prefix) -> Result<()> {
    match reached.versions().first() {
        Some(protocol) if run::is_in_use(&reached.target, prefix, *protocol).await => {
            Err(anyhow!(run::prefix_is_in_use(prefix)))
        }
        _ => Ok(()),
    }
}

/// Ends whatever earlier runs with this prefix can have left, since ids and topics follow from it.
///
/// # Errors
/// As [`check_unused`].
pub async fn clear_what_runs_left(reached: &Reached, prefix: &Prefix, cells: &[Cell], repeat: u32) -> Result<Cleanup> {
    check_unused(reached, prefix).await?;
    let versions = reached.versions();
    let mut leftovers = Leftovers::default();
    for cell in cells {
        for (repetition, attempt) in (1..=repeat).flat_map(|r| (1..=TRIES_MAX).map(move |attempt| (r, attempt))) {
            let tag = Place { cell: &cell.id, repetition, attempt }.tag();
            leftovers.retained.extend(cell.retained_topics().map(|topic| run::topic(prefix, &tag, topic)));
            let spoken = cell.persistent_clients().filter(|place| versions.contains(&cell.clients[*place].protocol));
            let sessions = spoken.filter_map(|place| {
                let client = &cell.clients[place];
                Some(SessionLeft {
                    client_id: run::client_id(prefix, &tag, client.client_id?),
                    protocol: client.protocol,
                    role: cell.role(place),
                    persists: true,
                    existed: false,
                })
            });
            sessions.for_each(|session| leftovers.add(session));
        }
    }
    let retained = std::mem::take(&mut leftovers.retained);
    let mut cleanup = run::clean_guessed(&reached.target, prefix, leftovers, &versions).await;
    let version = if versions.contains(&Protocol::V3) { Protocol::V3 } else { Protocol::V5 };
    cleanup.retained = run::clear_all_retained(&reached.target, prefix, version).await;
    if !retained.is_empty() {
        // Some brokers send retained messages late, and others let nobody look: each topic is cleared that may hold one.
        let leftovers = Leftovers { retained, ..Leftovers::default() };
        let guessed = run::clean(&reached.target, prefix, leftovers, &versions).await.retained;
        let found = &cleanup.retained;
        let cleared = if found.unchecked { guessed.cleared } else { found.cleared };
        cleanup.retained = Retained { cleared, ..guessed };
    }
    Ok(cleanup)
}

/// The command that ends what this run leaves if it cannot do it itself. A broker that ends with the run leaves nothing.
pub fn how_to_clean(request: &RunRequest, broker: &Broker) -> Option<PrintedCommand> {
    if broker.ends_with_the_run() {
        return None;
    }
    let RunRequest { prefix, scenarios, repeat, .. } = request;
    let mut options = option("--prefix", &prefix.client_id);
    if prefix.topic != prefix.client_id {
        options.extend(option("--topic-prefix", &prefix.topic));
    }
    if *repeat > 1 {
        options.extend(option("--repeat", &repeat.to_string()));
    }
    // Without a name the sessions of all built-in scenarios are looked for, which takes longer.
    let is_all = Scenario::usual_names().all(|name| scenarios.iter().any(|own| own == name));
    let is_built_in = |scenario: &String| Scenario::built_in_names().any(|name| name == scenario);
    let named = scenarios.iter().filter(|_| !is_all || !scenarios.iter().all(is_built_in));
    let command = PrintedCommand::new("clean").at(Some(&broker.url), &request.broker.reached_with(broker));
    Some(command.with(options).with(named))
}

/// The line that the user reads when the run begins.
pub fn before_the_run(prefix: &Prefix, cure: Option<&PrintedCommand>) -> String {
    match cure {
        Some(command) => format!("prefix {}: if this run is killed, `{command}` ends what it left", prefix.client_id),
        None => format!("prefix {}", prefix.client_id),
    }
}

/// The line that the user reads when the run is over and has cleaned up.
pub fn after_the_run(cleanup: &Cleanup, prefix: &Prefix, cure: Option<&PrintedCommand>) -> String {
    let sentence = cleanup.sentence();
    match cleanup.is_clean() {
        true => format!("prefix {}: {sentence}", prefix.client_id),
        false => format!("warning: {sentence}{}", who_ends_them(cure)),
    }
}

/// The line that the user reads where an earlier run with this prefix left something that could not be ended.
pub fn left_before(cleanup: &Cleanup, cure: Option<&PrintedCommand>) -> String {
    format!("warning: before the run: {}{}", cleanup.sentence(), who_ends_them(cure))
}

fn who_ends_them(cure: Option<&PrintedCommand>) -> String {
    cure.map(|command| format!("; when the broker answers again, `{command}` ends them")).unwrap_or_default()
}
