//! Random experiments against random correct brokers, on all processors.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use mqtt_sessions::explore::{self, Experiment, Wishes};
use mqtt_sessions::plan::{self, Settings};
use mqtt_sessions::results::CellResult;

use crate::measured::run_cells;
use crate::{Broker, Choices};

const WISHES: Wishes = Wishes { protocol: None, timers: true };

/// An experiment, and the broker that it is tried on.
#[derive(Clone)]
pub struct Case {
    pub seed: u32,
    pub experiment: Experiment,
    /// The broker's choices, in words.
    pub broker: String,
    pub choices: Choices,
}

impl Case {
    /// The case of a seed. A quarter of the brokers take no liberties.
    pub fn of(seed: u32) -> Case {
        let experiment = explore::experiment(seed, WISHES);
        let (broker, choices) = match seed % 4 {
            0 => ("no liberties".into(), Choices::default()),
            _ => (format!("Choices::random({seed})"), Choices::random(u64::from(seed))),
        };
        Case { seed, experiment, broker, choices }
    }

    /// Runs the experiment against a broker of its own.
    pub fn measured(&self) -> Tried {
        let scenario = self.experiment.scenario().unwrap_or_else(|error| panic!("{error}\n{}", self.experiment));
        let cells = plan::cells(&scenario, Settings::of(3));
        let mut outcome = run_cells(&Broker::choosing(self.choices.clone()), cells);
        let cell = outcome.cells.remove(0);
        let attempts = outcome.runs.remove(&cell.id).map(|run| run.attempts).unwrap_or_default();
        Tried { cell, attempts: attempts.into_iter().map(|attempt| attempt.history).collect() }
    }
}

/// What came of a case.
pub struct Tried {
    pub cell: CellResult,
    /// The history of each attempt, in lines.
    pub attempts: Vec<Vec<String>>,
}

impl Tried {
    /// All attempts, each behind a line of its own.
    pub fn history(&self) -> String {
        let attempts = (1..).zip(&self.attempts);
        attempts.map(|(number, lines)| format!("attempt {number}\n{}", lines.join("\n"))).collect::<Vec<_>>().join("\n")
    }
}

/// The seed of the environment, or a fresh one.
pub fn seed() -> u32 {
    number("RANDOM_SEED").unwrap_or_else(|| RandomState::new().hash_one(0) as u32)
}

/// The first seed of a run. It is printed.
pub fn first_seed(cases: u32) -> u32 {
    let seed = seed();
    println!("RANDOM_SEED={seed} RANDOM_CASES={cases}");
    seed
}

/// How many cases a run tries, if the environment does not say so.
pub fn cases(default: u32) -> u32 {
    number("RANDOM_CASES").unwrap_or(default)
}

/// A number from the environment.
pub fn number(name: &str) -> Option<u32> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not \"{text}\"")))
}

/// Does the same for each index from 0, on all processors, until it says false.
pub fn on_all_processors(each: impl Fn(u32) -> bool + Sync) {
    let next = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| while each(next.fetch_add(1, Ordering::Relaxed)) {});
        }
    });
}
