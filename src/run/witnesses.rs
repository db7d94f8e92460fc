//! The witnesses of a run, one for each protocol version in its plan, while the broker is there.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::{RwLock, watch};
use tokio::task::JoinHandle;

use super::allowance::Allowance;
use super::mailbox::Mailbox;
use super::names::Names;
use super::witness::{Ears, NotStarted, Witness};
use super::{RunOptions, Target};
use crate::history::History;
use crate::packet::Protocol;
use crate::plan::Cell;

pub struct Witnesses {
    versions: Vec<Protocol>,
    ears: Ears,
    there: RwLock<HashMap<Protocol, Witness>>,
    /// What those saw that have left, as far as it is worth to be judged.
    helpers: Mutex<Vec<History>>,
    not_started: Mutex<Vec<JoinHandle<Vec<History>>>>,
}

impl Witnesses {
    pub fn new(versions: Vec<Protocol>, ears: Ears) -> Witnesses {
        let (there, helpers, not_started) = (RwLock::default(), Mutex::default(), Mutex::default());
        Witnesses { versions, ears, there, helpers, not_started }
    }

    /// Connects and subscribes them. Where one does not come about the run goes on without, and the user is told.
    pub async fn start(&self, target: &Target, options: &RunOptions) {
        let mut there = self.there.write().await;
        for protocol in &self.versions {
            let ears = self.ears.clone();
            match Witness::start(target, *protocol, &options.prefix, ears, options.patience).await {
                Ok(witness) => drop(there.insert(*protocol, witness)),
                Err(NotStarted { why, histories }) => {
                    let what = format!(
                        "no witness for {protocol}, so some absences stay inconclusive: {why}; `mqtt-sessions doctor` looks \
                         at the broker step by step"
                    );
                    // The run listens as long as it goes on.
                    let _ = self.ears.warnings.send(what);
                    lock(&self.not_started).push(histories);
                }
            }
        }
    }

    /// Has all of them leave in good order.
    pub async fn leave(&self) {
        let there = std::mem::take(&mut *self.there.write().await);
        for witness in there.into_values() {
            let seen = witness.leave().await;
            lock(&self.helpers).extend(seen);
        }
    }

    /// What they saw that belongs to no cell. Those that did not come about may still be asking, which an interruption ends, and
    /// so does `at_once`.
    pub async fn helpers(&self, at_once: bool, interrupted: &mut watch::Receiver<bool>) -> Vec<History> {
        let mut helpers = std::mem::take(&mut *lock(&self.helpers));
        let not_started = std::mem::take(&mut *lock(&self.not_started));
        for mut histories in not_started {
            tokio::select! {
                seen = &mut histories => helpers.extend(seen.unwrap_or_default()),
                // Whoever has no cell to wait for waits for nothing else.
                () = std::future::ready(()), if at_once => histories.abort(),
                _ = interrupted.wait_for(|interrupted| *interrupted) => histories.abort(),
            }
        }
        helpers
    }

    /// Where the copies of one attempt will arrive; `None` without a witness of this version.
    pub async fn mailbox(
        &self,
        protocol: Protocol,
        names: &Names,
        cell: &Cell,
        allowance: Allowance,
    ) -> Option<Mailbox> {
        let there = self.there.read().await;
        there.get(&protocol)?.mailbox(names, cell, allowance).await
    }

    /// Asks the broker for a sign of life on their connections, and gives a version that it speaks.
    pub async fn ping(&self) -> Option<Protocol> {
        let there = self.there.read().await;
        there.values().for_each(Witness::ping);
        there.keys().next().copied()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing that holds such a lock can leave the list half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
