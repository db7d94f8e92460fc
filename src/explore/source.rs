//! The experiments of a search, one seed after the other.

use std::time::Duration;

use super::experiment::Experiment;
use super::generate::experiment;
use super::search::Request;

/// Experiments of a first batch without timers: it pays for a settle window, and shows how fast the broker is.
const FIRST: usize = 256;
/// How much longer a batch with timers may take: whatever the broker does, they have to run out.
const FOR_TIMERS: Duration = Duration::from_secs(10);
/// The fewest experiments of a batch.
const FEWEST: usize = 32;
/// By how much a batch may be larger or smaller than the one before.
const CHANGE_MAX: f64 = 4.0;

/// The experiments of a search in batches. Those that wait for timers stand in batches of their own, so that the others
/// do not wait with them.
pub struct Source {
    request: Request,
    /// How many were made.
    made: u32,
    plain: Queue,
    with_timers: Queue,
}

/// Experiments with their seeds.
pub type Batch = Vec<(u32, Experiment)>;

/// Experiments that wait for their batch, and how many make one.
struct Queue {
    waiting: Batch,
    size: usize,
}

impl Queue {
    fn new(size: usize) -> Queue {
        Queue { waiting: Batch::new(), size }
    }

    fn is_full(&self) -> bool {
        self.waiting.len() >= self.size
    }

    fn batch(&mut self) -> Batch {
        let rest = self.waiting.split_off(self.size.min(self.waiting.len()));
        std::mem::replace(&mut self.waiting, rest)
    }
}

impl Source {
    pub fn new(request: Request) -> Source {
        let plain = Queue::new(FIRST.min(request.batch));
        // While one waits all others that run side by side can wait, too.
        let with_timers = Queue::new(request.side_by_side.max(FIRST).min(request.batch));
        Source { request, made: 0, plain, with_timers }
    }

    /// The next batch; `None` when all were tried.
    pub fn next(&mut self) -> Option<Batch> {
        while !self.plain.is_full()
            && !self.with_timers.is_full()
            && self.request.cases.is_none_or(|all| self.made < all)
        {
            let seed = self.request.seed.wrapping_add(self.made);
            self.made += 1;
            let experiment = experiment(seed, self.request.wishes);
            let queue = if experiment.has_timers() { &mut self.with_timers } else { &mut self.plain };
            queue.waiting.push((seed, experiment));
        }
        let is_next = self.plain.is_full() || self.with_timers.waiting.is_empty();
        let queue = if is_next { &mut self.plain } else { &mut self.with_timers };
        Some(queue.batch()).filter(|batch| !batch.is_empty())
    }

    /// How many experiments without timers are tried at once.
    pub fn size(&self) -> usize {
        self.plain.size
    }

    /// Has batches of this kind take about the time that is wanted, since so many experiments took so long.
    pub fn pace(&mut self, with_timers: bool, tried: usize, took: Duration, wanted: Duration) {
        let wanted = if with_timers { wanted + FOR_TIMERS } else { wanted };
        let queue = if with_timers { &mut self.with_timers } else { &mut self.plain };
        let change = wanted.as_secs_f64() / took.as_secs_f64().max(f64::MIN_POSITIVE);
        let size = tried as f64 * change.clamp(1.0 / CHANGE_MAX, CHANGE_MAX);
        queue.size = (size as usize).max(FEWEST).min(self.request.batch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::Wishes;

    fn source(cases: Option<u32>, batch: usize) -> Source {
        Source::new(Request {
            seed: 7,
            cases,
            time: None,
            batch,
            side_by_side: 500,
            wishes: Wishes { protocol: None, timers: true },
        })
    }

    #[test]
    fn each_seed_comes_once_and_those_with_timers_apart() {
        let mut source = source(Some(300), 50);
        let mut seeds = Vec::new();
        while let Some(batch) = source.next() {
            assert!(batch.len() <= 50);
            let timed = batch.iter().filter(|(_, experiment)| experiment.has_timers()).count();
            assert!(timed == 0 || timed == batch.len());
            seeds.extend(batch.into_iter().map(|(seed, _)| seed));
        }
        seeds.sort_unstable();
        assert_eq!(seeds, (7..307).collect::<Vec<u32>>());
    }

    #[test]
    fn a_batch_is_as_large_as_the_broker_is_fast() {
        let mut source = source(None, 4000);
        let seconds = Duration::from_secs;
        let sizes = |source: &Source| [source.plain.size, source.with_timers.size];
        assert_eq!(sizes(&source), [256, 500]);
        source.pace(false, 256, seconds(5), seconds(10));
        assert_eq!(sizes(&source), [512, 500]);
        source.pace(true, 500, seconds(1000), seconds(10));
        assert_eq!(sizes(&source), [512, 125]);
        source.pace(false, 512, Duration::ZERO, seconds(10));
        source.pace(false, 2048, Duration::ZERO, seconds(10));
        source.pace(true, 64, seconds(1000), Duration::ZERO);
        assert_eq!(sizes(&source), [4000, FEWEST]);
    }
}
