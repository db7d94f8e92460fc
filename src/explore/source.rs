//! The experiments of a search, one seed after the other.

use super::experiment::Experiment;
use super::generate::experiment;
use super::search::Request;

/// The experiments of a search in batches. Those that wait for timers stand in batches of their own, so that the others
/// do not wait with them.
pub struct Source {
    request: Request,
    /// How many were made.
    made: u32,
    plain: Batch,
    with_timers: Batch,
}

/// Experiments with their seeds.
pub type Batch = Vec<(u32, Experiment)>;

impl Source {
    pub fn new(request: Request) -> Source {
        Source { request, made: 0, plain: Batch::new(), with_timers: Batch::new() }
    }

    /// The next batch; `None` when all were tried.
    pub fn next(&mut self) -> Option<Batch> {
        let size = self.request.batch;
        while self.plain.len() < size
            && self.with_timers.len() < size
            && self.request.cases.is_none_or(|all| self.made < all)
        {
            let seed = self.request.seed.wrapping_add(self.made);
            self.made += 1;
            let experiment = experiment(seed, self.request.wishes);
            let batch = if experiment.has_timers() { &mut self.with_timers } else { &mut self.plain };
            batch.push((seed, experiment));
        }
        let fuller =
            if self.plain.len() < size.min(self.with_timers.len()) { &mut self.with_timers } else { &mut self.plain };
        let batch = std::mem::take(fuller);
        (!batch.is_empty()).then_some(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::Wishes;

    #[test]
    fn each_seed_comes_once_and_those_with_timers_apart() {
        let wishes = Wishes { protocol: None, timers: true };
        let mut source = Source::new(Request { seed: 7, cases: Some(300), time: None, batch: 50, wishes });
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
}
