//! The broker, or one node of it, is ended, started or cut off in the middle of a run: all cells that are under way come to the step, then it happens once, and
//! all go on.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::joined::until_joined;
use super::ready::until_ready;
use super::witnesses::Witnesses;
use super::{RunOptions, Target};
use crate::broker::OperatorError;
use crate::plan::Operation;
use crate::vocabulary::{FIRST_NODE, Trouble};

/// The meeting point of the cells.
#[derive(Default)]
pub struct Outages {
    state: Mutex<State>,
    /// Counts whatever may concern those who wait.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    /// How many cells are under way in this round.
    playing: usize,
    /// How many of them have come to the step.
    waiting: usize,
    /// How often something was done to the broker.
    turns: u32,
    /// One of those who wait does it.
    is_at_work: bool,
    /// The trouble that has begun and not passed, and the node that it is about; without one it is the whole broker.
    down: Option<(Trouble, Option<u32>)>,
    last: Option<Result<Done, String>>,
}

/// When a trouble began and when it had passed, as far as the step has that.
#[derive(Debug, Clone, Copy)]
pub struct Done {
    /// Right before it began.
    pub ended: Option<Instant>,
    pub started: Option<Instant>,
}

/// One of the cells of a round. When it is dropped nobody waits for it any more.
pub struct Member<'a>(&'a Outages);

impl Drop for Member<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.playing = state.playing.saturating_sub(1);
        drop(state);
        self.0.changed();
    }
}

impl Outages {
    /// A round with so many cells begins; each becomes a [`Member`].
    pub fn begin(&self, cells: usize) {
        let mut state = self.lock();
        state.playing = cells;
        state.waiting = 0;
    }

    pub fn member(&self) -> Member<'_> {
        Member(self)
    }

    /// Waits for all cells of the round, has it happen, and waits until it has.
    ///
    /// # Errors
    /// Why the broker was not ended, or is not there again.
    pub async fn pass(
        &self,
        operation: Operation,
        witnesses: &Witnesses,
        target: &Target,
        options: &RunOptions,
    ) -> Result<Done, String> {
        let mut changes = self.changes.subscribe();
        let turn = {
            let mut state = self.lock();
            state.waiting += 1;
            state.turns
        };
        loop {
            let leads = {
                let mut state = self.lock();
                if let Some(last) = state.last.as_ref().filter(|_| state.turns > turn) {
                    return last.clone();
                }
                let leads = state.waiting >= state.playing && !state.is_at_work;
                state.is_at_work |= leads;
                leads
            };
            if leads {
                let done = self.done(operation, witnesses, target, options).await;
                let mut state = self.lock();
                state.last = Some(done.map_err(|error| error.to_string()));
                state.turns += 1;
                state.waiting = 0;
                state.is_at_work = false;
                drop(state);
                self.changed();
            } else {
                // The sender is here as long as this is.
                let _ = changes.changed().await;
            }
        }
    }

    async fn done(
        &self,
        operation: Operation,
        witnesses: &Witnesses,
        target: &Target,
        options: &RunOptions,
    ) -> Result<Done, OperatorError> {
        let no_command = OperatorError::NoCommand { done: "ended", option: "--stop-command" };
        let operator = target.operator.as_ref().ok_or(no_command)?;
        // Where a node is started, they are at another one.
        let have_to_leave = operation.begins || operation.node.is_none();
        if have_to_leave {
            witnesses.leave().await;
        }
        // The scenario asks for it, as it asks for the timers of the protocol.
        sleep(operation.after).await;
        let mut done = Done { ended: None, started: None };
        if operation.begins {
            self.lock().down = Some((operation.trouble, operation.node));
            done.ended = Some(Instant::now());
            let begun = match operation.trouble {
                Trouble::End(how) => operator.end(how, operation.node).await,
                Trouble::Partition => operator.partition(operation.node.unwrap_or(FIRST_NODE), false).await,
            };
            // One that could not be ended is there.
            begun.inspect_err(|_| self.is_there())?;
        }
        if operation.passes {
            self.pass_over(operation.trouble, operation.node, target, options).await?;
            done.started = Some(Instant::now());
        }
        if have_to_leave && (operation.passes || operation.node.is_some()) {
            witnesses.start(&self.there(target), options).await;
        }
        Ok(done)
    }

    /// Starts the broker, or heals the partition, and waits until its nodes are one broker.
    async fn pass_over(
        &self,
        trouble: Trouble,
        node: Option<u32>,
        target: &Target,
        options: &RunOptions,
    ) -> Result<(), OperatorError> {
        let Some(operator) = &target.operator else { return Ok(()) };
        let started = async {
            match trouble {
                Trouble::End(_) => {
                    operator.start(node).await?;
                    until_ready(operator, target, &options.prefix, node).await?;
                }
                Trouble::Partition => operator.partition(node.unwrap_or(FIRST_NODE), true).await?,
            }
            let joined = until_joined(target, &options.prefix, operator.ready_within().await).await;
            joined.map_err(|error| OperatorError::NotReady(error.to_string()))
        };
        let started = started.await;
        // Whoever wants to know whether a broker that did not start is gone is not to wait for it.
        self.is_there();
        started
    }

    /// Starts the broker, or heals it, where that was left out.
    ///
    /// # Errors
    /// Why it is not there again.
    pub async fn restore(&self, target: &Target, options: &RunOptions) -> Result<(), OperatorError> {
        let down = self.lock().down;
        match down {
            Some((trouble, node)) => self.pass_over(trouble, node, target, options).await,
            None => Ok(()),
        }
    }

    /// The broker for those who connect to the first node that is there.
    pub fn there(&self, target: &Target) -> Target {
        match self.lock().down {
            Some((_, Some(FIRST_NODE))) => target.at(FIRST_NODE + 1),
            _ => target.clone(),
        }
    }

    /// Waits as long as the whole broker is ended and a cell is there that will start it.
    pub async fn until_there(&self) {
        let mut changes = self.changes.subscribe();
        let is_awaited = || {
            let state = self.lock();
            matches!(state.down, Some((_, None))) && state.playing > 0
        };
        while is_awaited() {
            // The sender is here as long as this is.
            let _ = changes.changed().await;
        }
    }

    fn is_there(&self) {
        self.lock().down = None;
        self.changed();
    }

    fn changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that holds this lock can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
