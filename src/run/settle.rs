//! How long the settle window is: what was asked for, or what suits the way to the broker.

use std::time::Duration;

use super::Probe;

/// The shortest window that is chosen. A broker on the same machine answers in less than a millisecond, but may have other
/// work to do first.
pub const SETTLE_MIN: Duration = Duration::from_millis(25);
/// How many of the longest round trips seen a chosen window lasts. What comes later than its neighbour by more than this is
/// asked for again with a longer window before anything is concluded.
const ROUND_TRIPS: u32 = 4;
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
        assert_eq!(Settle::For(Duration::ZERO).window(&[]), Duration::ZERO);
    }
}
