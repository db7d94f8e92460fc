//! Notices when the harness itself was held up: by a busy machine, by its own work, by a stop signal, or because the machine
//! slept. What needed the harness in time then proves nothing against a broker.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// How often the harness looks at the clock although nothing happens.
const BEAT: Duration = Duration::from_millis(50);
/// How late it may do so.
const TOLERATED: Duration = Duration::from_millis(250);
/// By how much the time of day may go ahead of the clock that stands still while the machine sleeps.
const ASLEEP_MIN: Duration = Duration::from_secs(1);

/// When the harness last looked at the clock, and when it was held up.
pub struct Pulse {
    state: Mutex<State>,
    /// Told when something comes from the broker.
    sign: Notify,
}

struct State {
    last: Instant,
    /// The same moment by the clock that stands still while the machine sleeps, and by the time of day.
    awake: (std::time::Instant, SystemTime),
    held_up: Vec<(Instant, Duration)>,
    /// How often a packet of the broker's was read, or it answered a handshake of the transport.
    heard: u64,
}

impl Pulse {
    pub fn new() -> Pulse {
        let awake = (std::time::Instant::now(), SystemTime::now());
        let state = State { last: Instant::now(), awake, held_up: Vec::new(), heard: 0 };
        Pulse { state: Mutex::new(state), sign: Notify::new() }
    }

    /// Looks at the clock again and again.
    pub async fn beat_on(&self) {
        loop {
            sleep(BEAT).await;
            self.beat();
        }
    }

    /// Looks at the clock.
    pub fn beat(&self) {
        let mut state = self.lock();
        let (now, awake) = (Instant::now(), (std::time::Instant::now(), SystemTime::now()));
        let of_day = awake.1.duration_since(state.awake.1).unwrap_or_default();
        let asleep = of_day.saturating_sub(awake.0.duration_since(state.awake.0));
        let gap = now.saturating_duration_since(state.last).saturating_sub(BEAT);
        (state.last, state.awake) = (now, awake);
        let late = if asleep > ASLEEP_MIN { gap + asleep } else { gap };
        if late > TOLERATED {
            state.held_up.push((now, late));
        }
    }

    /// The times until which the harness was held up, and for how long, behind those that are known already.
    pub fn held_up(&self, known: &mut usize) -> Vec<(Instant, Duration)> {
        let state = self.lock();
        let new = state.held_up.get(*known..).unwrap_or_default().to_vec();
        *known = state.held_up.len();
        new
    }

    /// How often the harness was held up.
    pub fn held_up_so_far(&self) -> usize {
        self.lock().held_up.len()
    }

    /// Notes that something came from the broker.
    pub fn hear(&self) {
        self.lock().heard += 1;
        self.sign.notify_waiters();
    }

    /// Waits until something comes from the broker.
    pub async fn next_sign(&self) {
        self.sign.notified().await;
    }

    /// How often something came from the broker.
    pub fn heard(&self) -> u64 {
        self.lock().heard
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Nothing that holds this lock can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_a_long_gap_between_two_looks_is_a_hold_up() {
        let pulse = Pulse::new();
        let mut known = 0;
        for milliseconds in [50, 200, 299] {
            advance(Duration::from_millis(milliseconds)).await;
            pulse.beat();
            assert_eq!(pulse.held_up(&mut known), []);
        }
        advance(Duration::from_millis(900)).await;
        pulse.beat();
        assert_eq!(pulse.held_up(&mut known), [(Instant::now(), Duration::from_millis(850))]);
        assert_eq!(pulse.held_up(&mut known), []);
    }
}
