//! The experiments of a search, one seed after the other.

use super::experiment::Experiment;
use super::generate::experiment;
use super::search::Request;

/// How many experiments without timers run side by side in a batch at most: each of them keeps the processors busy, and with more
/// of them the harness would come late.
pub const BUSY_MAX: usize = 48;
/// How many experiments without timers a batch has for each that runs side by side: while the last ones end, fewer run.
const FOR_EACH_PLACE: usize = 4;
/// The fewest experiments of such a batch: it pays for a settle window.
const FEWEST: usize = 32;

/// The experiments of a search in batches. Those that wait for timers stand in batches of their own, so that the others
/// do not wait with them.
pub struct Source {
    request: Request,
    /// How many were made, here or in other parts.
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
    /// A source for batches of which so many experiments run side by side.
    pub fn new(request: Request, side_by_side: usize) -> Source {
        let plain = Queue::new(FEWEST.max(FOR_EACH_PLACE * side_by_side.min(BUSY_MAX)));
        // While one waits all others of its batch can wait, too.
        let with_timers = Queue::new(side_by_side);
        Source { request, made: 0, plain, with_timers }
    }

    /// True if no more are to be made.
    fn has_made_all(&self) -> bool {
        self.request.cases.is_some_and(|all| self.made >= all)
    }

    /// True if there is no batch any more.
    pub fn is_empty(&self) -> bool {
        self.has_made_all() && self.plain.waiting.is_empty() && self.with_timers.waiting.is_empty()
    }

    /// The next batch; `None` when all were tried.
    pub fn next(&mut self) -> Option<Batch> {
        while !self.plain.is_full() && !self.with_timers.is_full() && !self.has_made_all() {
            let seed = self.request.seed.wrapping_add(self.made);
            self.made += 1;
            if self.request.partition.is_none_or(|partition| partition.has(&seed.to_string())) {
                self.add(seed, experiment(seed, self.request.wishes));
            }
        }
        let is_next = self.plain.is_full() || self.with_timers.waiting.is_empty();
        let queue = if is_next { &mut self.plain } else { &mut self.with_timers };
        Some(queue.batch()).filter(|batch| !batch.is_empty())
    }

    /// Takes back what was not tried to its end.
    pub fn give_back(&mut self, batch: Batch) {
        batch.into_iter().for_each(|(seed, experiment)| self.add(seed, experiment));
    }

    fn add(&mut self, seed: u32, experiment: Experiment) {
        let queue = if experiment.has_timers() { &mut self.with_timers } else { &mut self.plain };
        queue.waiting.push((seed, experiment));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::Wishes;

    fn source(cases: u32, side_by_side: usize) -> Source {
        let wishes = Wishes { protocol: None, timers: true };
        Source::new(Request { seed: 7, cases: Some(cases), time: None, wishes, partition: None }, side_by_side)
    }

    #[test]
    fn each_seed_comes_once_and_those_with_timers_apart() {
        let mut source = source(300, 12);
        let mut seeds = Vec::new();
        while let Some(batch) = source.next() {
            assert!(!batch.is_empty() && batch.len() <= 48);
            let timed = batch.iter().filter(|(_, experiment)| experiment.has_timers()).count();
            assert!(timed == 0 || timed == batch.len() && timed <= 12);
            seeds.extend(batch.into_iter().map(|(seed, _)| seed));
        }
        seeds.sort_unstable();
        assert_eq!(seeds, (7..307).collect::<Vec<u32>>());
        assert!(source.is_empty());
    }

    #[test]
    fn what_was_cut_short_comes_again() {
        let mut source = source(40, 1);
        let first = source.next().unwrap();
        source.give_back(first.clone());
        assert!(!source.is_empty());
        let mut seeds = Vec::new();
        while let Some(batch) = source.next() {
            seeds.extend(batch.into_iter().map(|(seed, _)| seed));
        }
        seeds.sort_unstable();
        assert_eq!(seeds, (7..47).collect::<Vec<u32>>());
    }
}
