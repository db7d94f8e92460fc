//! Brokers that take only so many connections in a second: cells that play alone are given a pause where one was refused.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Brokers count connections by the second.
const PAUSE: Duration = Duration::from_secs(1);
/// After so many refusals in a row another pause would change nothing.
const IN_A_ROW_MAX: u32 = 3;

#[derive(Default)]
pub struct Pace(Mutex<State>);

#[derive(Default)]
struct State {
    not_before: Option<Instant>,
    refused_in_a_row: u32,
}

impl Pace {
    /// A cell that played alone was refused. Tells whether a pause may help.
    pub fn refused(&self) -> bool {
        let mut state = self.lock();
        state.refused_in_a_row += 1;
        let may_help = state.refused_in_a_row <= IN_A_ROW_MAX;
        state.not_before = may_help.then(|| Instant::now() + PAUSE);
        may_help
    }

    /// A cell was not refused.
    pub fn let_in(&self) {
        self.lock().refused_in_a_row = 0;
    }

    /// Waits for the end of the pause, if there is one.
    pub async fn turn(&self) {
        let not_before = self.lock().not_before;
        if let Some(not_before) = not_before {
            sleep_until(not_before).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that holds this lock can leave it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
