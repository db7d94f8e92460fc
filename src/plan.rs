//! Scenarios × axes -> cells: every combination of axis values, with the steps that it takes.

use crate::packet::Protocol;
use crate::results::Axes;
use crate::scenario::Scenario;

/// A scenario with one value for each axis: the unit that runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// `scenario[axis=value,...]`: from content, never from position.
    pub id: String,
    pub scenario: String,
    pub axes: Axes,
    /// The first one's fate is what the experiment is about.
    pub clients: Vec<Client>,
    pub steps: Vec<Step>,
    /// The queue limit that the user declared for this broker, in messages.
    pub queue_limit: Option<u32>,
}

/// A client of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    pub name: String,
    pub protocol: Protocol,
    pub clean_session: bool,
}

/// A step of a cell, complete with what the proofs around it need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The client that acts, by its place in [`Cell::clients`].
    pub client: usize,
    pub action: Action,
}

/// What the client of a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Connect,
    Subscribe {
        topic: String,
        qos: u8,
        /// What is published on this topic in later steps: each is proven to reach the client before it goes away.
        loop_backs: Vec<Source>,
    },
    Publish {
        topic: String,
        qos: u8,
        retain: bool,
        /// How many messages; numbered on through the cell.
        messages: u32,
    },
    Receive {
        /// What was published so far: each can be fenced.
        fences: Vec<Source>,
        /// The client goes away after this step, so it is the last moment to tell late from never.
        last: bool,
    },
    Disconnect,
}

/// Where messages come from: all of one source are delivered in the order of publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// By its place in [`Cell::clients`].
    pub publisher: usize,
    pub topic: String,
    pub qos: u8,
}

/// What the run's options give to a plan.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Messages of a publish step that does not say how many.
    pub messages: u32,
    pub queue_limit: Option<u32>,
}

/// All cells of a scenario.
pub fn cells(scenario: &Scenario, settings: Settings) -> Vec<Cell> {
    let _ = (scenario, settings);
    Vec::new()
}
