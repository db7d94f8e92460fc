//! Where the questions of a probe play their cells, one lane of several, and where they put down what they found.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Listener;
use super::number::{Measured, Number};
use super::played::Played;
use super::quantity::Quantity;
use crate::connection::FRAME_BYTES_MAX;
use crate::laboratory::Laboratory;
use crate::packet::Protocol;
use crate::plan::{self, Declared, Settings};
use crate::results::CellResult;
use crate::run::{Cleanup, prefix_is_in_use};
use crate::scenario::Scenario;

/// The question that each cell of a probe has in common: its answer is a number, and no verdict.
const QUESTION: &str = "What does this broker do where the standard leaves it open?";
/// The judge is not to wait for what a queue drops: what is missing is the number.
const SETTINGS: Settings = Settings { messages: 1, declared: Declared { queue_limit: Some(1), durable: None } };

/// The largest packet that is tried: a broker may add properties to it, and the harness still has to read it.
pub const PACKET_BYTES_MAX: u32 = FRAME_BYTES_MAX as u32 - 1024;
/// How long messages that still come are waited for at most, and how long a pause may be, where time is not to be saved.
const PATIENT_DEADLINE: Duration = Duration::from_secs(30);
const PATIENT_SETTLE: Duration = Duration::from_secs(1);

/// How often cells are played again because the broker ended the connection of the witness.
const DISTURBANCES_MAX: u32 = 2;

/// The most that waits on the broker at once for one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Budget {
    pub messages: u32,
    /// Of payload.
    pub bytes: u32,
    pub connections: u32,
}

/// What no production broker minds.
const USUAL: Budget = Budget { messages: 2_000, bytes: 1024 * 1024, connections: 200 };

impl Budget {
    /// So many times the usual one.
    pub fn times(factor: u32) -> Budget {
        Budget {
            messages: USUAL.messages * factor,
            bytes: USUAL.bytes * factor,
            connections: USUAL.connections * factor,
        }
    }
}

/// Why a question cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Halt {
    Interrupted,
    /// With the sentence that says how.
    BrokerGone(String),
    /// Another run with the same prefix is under way, with the sentence that says so.
    Shared(String),
}

impl Halt {
    /// As half a sentence.
    pub fn why(&self) -> String {
        match self {
            Halt::Interrupted => "the probe was interrupted".into(),
            Halt::BrokerGone(sentence) | Halt::Shared(sentence) => sentence.clone(),
        }
    }
}

/// One lane of a probe: cells that run one after the other, or side by side, with names of their own.
pub struct Bench<'a> {
    laboratory: Laboratory<'a>,
    listener: &'a dyn Listener,
    /// That of the clients, where a question needs no other.
    pub protocol: Protocol,
    pub budget: Budget,
    /// How far timers are followed, in seconds.
    pub wait_s: u32,
    /// How many experiments were played: each has a name of its own.
    played: Cell<u32>,
    numbers: RefCell<Vec<Number>>,
    cleanup: RefCell<Cleanup>,
}

impl<'a> Bench<'a> {
    pub fn new(
        laboratory: Laboratory<'a>,
        listener: &'a dyn Listener,
        protocol: Protocol,
        limits: (Budget, u32),
    ) -> Self {
        let (budget, wait_s) = limits;
        Bench {
            laboratory,
            listener,
            protocol,
            budget,
            wait_s,
            played: Cell::default(),
            numbers: RefCell::default(),
            cleanup: RefCell::default(),
        }
    }

    /// Says what is asked now.
    pub fn asks(&self, what: &str) {
        self.listener.asks(what);
    }

    /// Puts down what was found.
    pub fn found(&self, number: Number) {
        self.numbers.borrow_mut().push(number);
    }

    /// Puts down why there is nothing to be measured of some quantities.
    pub fn moot(&self, quantities: &[Quantity], why: &str) {
        quantities.iter().for_each(|quantity| self.found(Number::moot(*quantity, why)));
    }

    /// Puts down that a cell told nothing of a quantity: the broker takes no such thing, or something went wrong.
    pub fn unknown(&self, quantity: Quantity, played: &Played) {
        self.found(played.no_number(quantity));
    }

    /// Takes back a part of what was said of some quantities: only so much is sure, and here is why.
    pub fn weaken(&self, quantities: &[Quantity], why: &str) {
        for number in self.numbers.borrow_mut().iter_mut().filter(|number| quantities.contains(&number.quantity)) {
            if let Measured::Exactly { value } = number.measured {
                number.measured = Measured::AtLeast { value };
                number.how = format!("{}; {why}", number.how);
            }
        }
    }

    /// What was found so far about a quantity.
    pub fn known(&self, quantity: Quantity) -> Option<Measured> {
        let numbers = self.numbers.borrow();
        numbers.iter().find(|number| number.quantity == quantity).map(|number| number.measured.clone())
    }

    /// True if the broker was started for the probe, so that nobody minds when it ends.
    pub fn can_restart(&self) -> bool {
        self.laboratory.target.operator.as_ref().is_some_and(|operator| operator.is_of_run())
    }

    /// The longest round trip to the broker that was seen before the probe.
    pub fn round_trip(&self) -> Duration {
        self.laboratory.probes.iter().filter_map(|probe| probe.round_trip).max().unwrap_or_default()
    }

    /// True if clients of this version are let in.
    pub fn speaks(&self, protocol: Protocol) -> bool {
        self.laboratory.probes.iter().any(|probe| probe.protocol == protocol && probe.outcome.is_ok())
    }

    /// Plays the one cell of an experiment, which is the text of a scenario file below its question.
    ///
    /// # Errors
    /// [`Halt`]: nothing more can be asked.
    pub async fn play(&self, experiment: &str) -> Result<Played, Halt> {
        let mut played = self.play_all(&[experiment.to_owned()]).await?;
        played.pop().ok_or(Halt::Interrupted)
    }

    /// As [`Bench::play`], with a cell that is given so much time that a slow broker does not look like one that keeps little.
    ///
    /// # Errors
    /// [`Halt`]: nothing more can be asked.
    pub async fn play_patiently(&self, experiment: &str, alter: impl FnOnce(&mut plan::Cell)) -> Result<Played, Halt> {
        let mut laboratory = self.laboratory.clone();
        laboratory.target.deadline = laboratory.target.deadline.max(PATIENT_DEADLINE);
        laboratory.options.settle = laboratory.options.settle.max(PATIENT_SETTLE);
        let cells = self.altered(experiment, alter);
        self.play_in(&laboratory, cells).await?.pop().ok_or(Halt::Interrupted)
    }

    /// As [`Bench::play`], with a cell that is more than a scenario file can say.
    ///
    /// # Errors
    /// [`Halt`]: nothing more can be asked.
    pub async fn play_altered(&self, experiment: &str, alter: impl FnOnce(&mut plan::Cell)) -> Result<Played, Halt> {
        let cells = self.altered(experiment, alter);
        self.play_in(&self.laboratory, cells).await?.pop().ok_or(Halt::Interrupted)
    }

    fn altered(&self, experiment: &str, alter: impl FnOnce(&mut plan::Cell)) -> Vec<plan::Cell> {
        let mut cells = self.cells(experiment);
        cells.first_mut().map(alter);
        cells
    }

    /// The cells of an experiment, for [`Bench::play_cells`].
    pub fn cells(&self, experiment: &str) -> Vec<plan::Cell> {
        plan::cells(&self.scenario(experiment), SETTINGS)
    }

    /// Plays all cells of some experiments side by side, in their order.
    ///
    /// # Errors
    /// [`Halt`]: nothing more can be asked.
    pub async fn play_all(&self, experiments: &[String]) -> Result<Vec<Played>, Halt> {
        self.play_cells(experiments.iter().flat_map(|text| self.cells(text)).collect()).await
    }

    /// As [`Bench::play_all`], with cells that may be more than a scenario file can say.
    ///
    /// # Errors
    /// [`Halt`]: nothing more can be asked.
    pub async fn play_cells(&self, cells: Vec<plan::Cell>) -> Result<Vec<Played>, Halt> {
        self.play_in(&self.laboratory, cells).await
    }

    /// The scenario of an experiment, under a name that none had before.
    ///
    /// # Panics
    /// If the text is no scenario, which is a fault of the question.
    fn scenario(&self, experiment: &str) -> Scenario {
        self.played.set(self.played.get() + 1);
        let text = format!("name = \"probe{}\"\nquestion = \"{QUESTION}\"\n{experiment}", self.played.get());
        Scenario::parse("probe", &text).unwrap_or_else(|why| panic!("an experiment is a scenario: {why}\n{text}"))
    }

    /// Plays the cells, and again where the broker ended the connection of the witness meanwhile: what one that was started again has
    /// lost is no number of its configuration.
    async fn play_in(&self, laboratory: &Laboratory<'_>, cells: Vec<plan::Cell>) -> Result<Vec<Played>, Halt> {
        for _ in 0..DISTURBANCES_MAX {
            let played = self.play_once(laboratory, cells.clone()).await?;
            if !played.iter().any(Played::was_disturbed) {
                return Ok(played);
            }
        }
        // A broker that does so each time has another reason, such as a packet that is too large for it.
        self.play_once(laboratory, cells).await
    }

    async fn play_once(&self, laboratory: &Laboratory<'_>, cells: Vec<plan::Cell>) -> Result<Vec<Played>, Halt> {
        let ids: Vec<String> = cells.iter().map(|cell| cell.id.clone()).collect();
        let mut outcome = laboratory.run(cells, self.listener).await;
        self.cleanup.borrow_mut().add(&outcome.cleanup);
        if outcome.is_shared {
            return Err(Halt::Shared(prefix_is_in_use(&self.laboratory.options.prefix)));
        }
        if let Some(gone) = &outcome.gone {
            // Which of these cells were under way says nothing to anybody.
            return Err(Halt::BrokerGone(format!("the broker is gone: {}; see its log", gone.how)));
        }
        let mut results: HashMap<String, CellResult> =
            outcome.cells.into_iter().map(|cell| (cell.id.clone(), cell)).collect();
        let played = ids.iter().map(|id| Played::of(results.remove(id)?, outcome.runs.remove(id)?));
        played.collect::<Option<Vec<Played>>>().ok_or(Halt::Interrupted)
    }

    /// What was found, and what the cells left.
    pub fn into_parts(self) -> (Vec<Number>, Cleanup) {
        (self.numbers.into_inner(), self.cleanup.into_inner())
    }
}
