//! Rates and latencies: how long each phase of a storm took, and how it went.

use std::time::Duration;

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest latency that is told apart from longer ones, in microseconds: an hour.
const LONGEST_US: u64 = 3_600_000_000;
/// How many digits of a latency are kept.
const DIGITS: u8 = 3;

/// What was measured while the storm went on.
#[derive(Debug, Default)]
pub struct Figures {
    pub parking: Duration,
    pub publishing: Duration,
    /// From the first CONNECT of the return to the last session that had all of its messages.
    pub returning: Duration,
    pub cleaning: Duration,
    /// CONNECT to CONNACK while the sessions were parked.
    pub park_connack: Latencies,
    /// PUBLISH to PUBACK or PUBCOMP.
    pub acknowledged: Latencies,
    /// The return, each from the beginning of the connection: to CONNACK, to the first and the last message, and until the last
    /// message has its acknowledgement.
    pub connack: Latencies,
    pub first: Latencies,
    pub last: Latencies,
    pub drained: Latencies,
    /// How far the return was from time to time.
    pub timeline: Vec<Sample>,
}

/// How far a return was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sample {
    /// Since the first CONNECT of the return.
    pub ms: u64,
    /// Sessions whose CONNECT was answered.
    pub returned: u64,
    /// Messages that had come.
    pub messages: u64,
    /// Sessions that had all of theirs.
    pub drained: u64,
}

/// Latencies of one kind.
#[derive(Debug)]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    /// # Panics
    /// Never: the bounds are ones that a histogram can have.
    fn default() -> Latencies {
        Latencies(
            Histogram::new_with_bounds(1, LONGEST_US, DIGITS).expect("the bounds are ones that a histogram can have"),
        )
    }
}

impl Latencies {
    pub fn add(&mut self, latency: Duration) {
        let microseconds = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record(microseconds);
    }

    /// Adds all of another.
    pub fn append(&mut self, other: &Latencies) {
        // Both have the same bounds.
        let _ = self.0.add(&other.0);
    }

    /// The quantiles; `None` where there was nothing to be measured.
    pub fn quantiles(&self) -> Option<Quantiles> {
        let at = |quantile| self.0.value_at_quantile(quantile);
        (!self.0.is_empty()).then(|| Quantiles {
            count: self.0.len(),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            max_us: self.0.max(),
        })
    }
}

/// Quantiles of a latency, in microseconds, to three digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Quantiles {
    /// How often it was measured.
    pub count: u64,
    /// Half of them were no longer than this.
    pub p50_us: u64,
    pub p90_us: u64,
    pub p99_us: u64,
    pub max_us: u64,
}
