//! Lessons need more than their cells: their texts, and another client that plays them too.

use std::time::Duration;

use anyhow::{Result, anyhow};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::leftovers::TRIES_MAX;
use super::reach::Reached;
use crate::control::{self, Stage};
use crate::interruption::unless_interrupted;
use crate::output::note;
use crate::packet::Protocol;
use crate::plan::Cell;
use crate::report::{Control, ControlPlayed, Teaching};
use crate::run::{self, Leftovers, Place, Prefix, SessionLeft, Target};
use crate::scenario::{Lesson, Scenario};

/// How long nothing must have come to the other client before nothing more is expected of the broker.
const QUIET: Duration = Duration::from_millis(150);

/// The lessons of a run.
#[derive(Default)]
pub struct Lessons {
    pub teachings: Vec<Teaching>,
    /// rumqttc's clients play them too.
    with_rumqttc: bool,
}

impl Lessons {
    /// Those of the scenarios, with their cells. Beside scenarios without lessons they are a table as any other.
    ///
    /// # Errors
    /// A scenario that a client library cannot play, since it has no lessons.
    pub fn of(scenarios: Vec<(&str, Scenario)>, cells: &[Cell], with_rumqttc: bool) -> Result<Lessons> {
        let mut teachings = Vec::new();
        for (typed, Scenario { name, question, parts, .. }) in scenarios {
            let lessons: Vec<Lesson> = parts.into_iter().filter_map(|part| part.lesson).collect();
            match (lessons.is_empty(), with_rumqttc) {
                (true, false) => return Ok(Lessons::default()),
                (true, true) => {
                    return Err(anyhow!("--client: {typed} has no lessons; write `run tutorial --client rumqttc`"));
                }
                (false, _) => {
                    let cells = cells.iter().filter(|cell| cell.scenario == name).cloned().collect();
                    teachings.push(Teaching { scenario: name, question, lessons, cells });
                }
            }
        }
        Ok(Lessons { teachings, with_rumqttc })
    }

    /// The record of the client library in the same cells. Whatever it leaves on the broker is ended, also after an
    /// interruption.
    pub async fn control(
        &self,
        reached: &Reached,
        prefix: &Prefix,
        interrupted: &watch::Receiver<bool>,
    ) -> Option<Control> {
        if !self.with_rumqttc {
            return None;
        }
        let cells: Vec<&Cell> = self.teachings.iter().flat_map(|teaching| &teaching.cells).collect();
        let played = unless_interrupted(interrupted, play(&cells, &reached.target, prefix)).await;
        let leftovers = leftovers(&cells, prefix, played.is_some());
        let cleanup = run::clean(&reached.target, prefix, leftovers, &reached.versions()).await;
        note(&format!("rumqttc: {}", cleanup.sentence()));
        Some(Control { client: "rumqttc", played: played? })
    }
}

/// All cells side by side.
async fn play(cells: &[&Cell], target: &Target, prefix: &Prefix) -> Vec<ControlPlayed> {
    let mut playing = JoinSet::new();
    for cell in cells.iter().filter(|cell| speaks_v3(cell)).map(|cell| (*cell).clone()) {
        let stage = target.endpoint.plain_tcp().map(|address| Stage {
            address,
            target: target.clone(),
            quiet: QUIET,
            prefix: prefix.clone(),
            tag: tag(&cell),
        });
        playing.spawn(async move {
            let history = match (control::cannot_play(&cell), stage) {
                (Some(why), _) => Err(format!("not played: {why}")),
                (None, None) => Err("not played: rumqttc speaks plain TCP here".into()),
                (None, Some(stage)) => control::play(&cell, &stage).await.map_err(|why| format!("broken off: {why:#}")),
            };
            ControlPlayed { id: cell.id, history }
        });
    }
    playing.join_all().await
}

/// The client of rumqttc that plays here speaks 3.1.1 alone.
fn speaks_v3(cell: &Cell) -> bool {
    cell.clients.iter().all(|client| client.protocol == Protocol::V3)
}

/// Names that `clean --prefix` finds, and that no attempt of the harness's has left anything under.
fn tag(cell: &Cell) -> String {
    Place { cell: &cell.id, repetition: 1, attempt: TRIES_MAX }.tag()
}

/// What the other client leaves, or may leave where it was not `played` to the end.
fn leftovers(cells: &[&Cell], prefix: &Prefix, played: bool) -> Leftovers {
    let mut leftovers = Leftovers::default();
    for cell in cells.iter().filter(|cell| speaks_v3(cell)) {
        let tag = tag(cell);
        leftovers.retained.extend(cell.retained_topics().map(|topic| run::topic(prefix, &tag, topic)));
        let sessions = cell.persistent_clients().filter_map(|client| {
            Some(SessionLeft {
                client_id: run::client_id(prefix, &tag, cell.clients[client].client_id?),
                protocol: Protocol::V3,
                role: cell.role(client),
                persists: true,
                existed: played,
            })
        });
        sessions.for_each(|session| leftovers.add(session));
    }
    leftovers
}
