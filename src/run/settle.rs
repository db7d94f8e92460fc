//! How long the settle window is: what was asked for, or what suits the way to the broker.

use std::time::Duration;

use super::Probe;

/// The shortest window that is chosen. A broker on the same machine answers in less than a millisecond, but may have other
/// work to do first.
pub const SETTLE_MIN: Duration = Duration::from_millis(25);
/// How many of the longest round trips seen a chosen window lasts. What comes later than its neighbour by more than this is
/// asked for again with a longer window before anything is concluded.
const ROUND_TRIPS: u32 = 4;
/// By what each further attempt at an absence multiplies the window.
const FACTOR: u32 = 4;
/// Up to here: the timers of the scenarios are to run on, and not out, while a cell waits.
const LENGTHENED_MAX: Duration = Duration::from_millis(1600);
/// The window where no round trip was measured.
const UNMEASURED: Duration = Duration::from_millis(100);

/// How long a cell that is about to say "absent" stays open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settle {
    /// As the round trips to the broker suggest.
    Auto,
    For(Duration),
}

impl Settle {
    /// The window for a broker that answered these probes.
    pub fn window(self, probes: &[Probe]) -> Duration {
        match self {
            Settle::For(window) => window,
            Settle::Auto => suitable(probes.iter().filter_map(|probe| probe.round_trip).max()),
        }
    }
}

/// The window of the n-th attempt at a cell, from 1.
pub fn of_attempt(window: Duration, attempt: u32) -> Duration {
    window.saturating_mul(FACTOR.pow(attempt - 1)).min(LENGTHENED_MAX.max(window))
}

/// The window that suits the longest round trip seen.
fn suitable(round_trip: Option<Duration>) -> Duration {
    round_trip.map_or(UNMEASURED, |round_trip| SETTLE_MIN.max(round_trip * ROUND_TRIPS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_follows_the_round_trip_and_is_never_too_short() {
        let milliseconds = Duration::from_millis;
        assert_eq!(suitable(Some(Duration::from_micros(200))), SETTLE_MIN);
        assert_eq!(suitable(Some(milliseconds(200))), milliseconds(800));
        assert_eq!(suitable(None), UNMEASURED);
        assert_eq!([1, 2, 3].map(|attempt| of_attempt(SETTLE_MIN, attempt).as_millis()), [25, 100, 400]);
        assert_eq!([1, 2, 3].map(|attempt| of_attempt(milliseconds(800), attempt).as_millis()), [800, 1600, 1600]);
        assert_eq!(of_attempt(milliseconds(2000), 3), milliseconds(2000));
        assert_eq!(Settle::For(Duration::ZERO).window(&[]), Duration::ZERO);
    }
}
