//! The scenario file: an experiment as data, steps and axes, without a verdict.
//!
//! A scenario names its clients, the axes that vary, and the steps in order. A value may be `"$axis"`, which stands for
//! the value of that axis in each cell. Every mistake is reported with its line and with what would be accepted.

mod parse;

use std::fs;
use std::path::Path;

use crate::packet::Protocol;
use crate::results::AxisValue;

pub use parse::ScenarioError;

/// An experiment: steps over named clients, and the axes along which they vary.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// The first part of each cell's id.
    pub name: String,
    /// What the experiment asks, in one sentence.
    pub question: String,
    /// In the order of the file, which is the order in a cell's id.
    pub axes: Vec<Axis>,
    /// In the order of the file. The first one's fate is what the experiment is about.
    pub clients: Vec<ClientPlan>,
    pub steps: Vec<StepPlan>,
}

/// A property that varies from cell to cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    pub name: String,
    pub values: Vec<AxisValue>,
}

/// A client as the file declares it.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientPlan {
    pub name: String,
    pub protocol: Value<Protocol>,
    /// Clean Session of 3.1.1. In 5.0 true is Clean Start 1 with Session Expiry Interval 0, false is Clean Start 0 with
    /// [`SESSION_EXPIRY_S`].
    pub clean_session: Value<bool>,
}

/// The Session Expiry Interval of a session that shall outlive its connection, in seconds.
pub const SESSION_EXPIRY_S: u32 = 3600;

/// A value as it stands in the file: itself, or the axis that gives it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<T> {
    Is(T),
    Axis(String),
}

/// A step as the file declares it.
#[derive(Debug, Clone, PartialEq)]
pub struct StepPlan {
    /// The step is left out of cells where this is false.
    pub when: Value<bool>,
    /// The client that acts, by its place in [`Scenario::clients`].
    pub client: usize,
    pub action: ActionPlan,
}

/// What the client of a step does.
#[derive(Debug, Clone, PartialEq)]
pub enum ActionPlan {
    /// Opens a Network Connection and sends CONNECT.
    Connect,
    Subscribe {
        topic: String,
        qos: Value<u8>,
    },
    Publish {
        topic: String,
        qos: Value<u8>,
        retain: Value<bool>,
        /// `None` leaves it to the run's options.
        messages: Option<u32>,
    },
    /// Waits until everything that was queued has come.
    Receive,
    /// Sends DISCONNECT and waits until the broker has ended the connection.
    Disconnect,
}

/// The scenarios that are built into the program, by name.
const BUILT_IN: [(&str, &str); 2] =
    [("matrix", include_str!("../scenarios/matrix.toml")), ("backlog", include_str!("../scenarios/backlog.toml"))];

impl Scenario {
    /// The names of the built-in scenarios.
    pub fn built_in_names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// A built-in scenario by its name, or one from a file by its path.
    ///
    /// # Errors
    /// [`ScenarioError`] with file, line and cure.
    pub fn load(name_or_path: &str) -> Result<Scenario, ScenarioError> {
        if let Some((name, text)) = BUILT_IN.iter().find(|(name, _)| *name == name_or_path) {
            return Scenario::parse(&format!("scenarios/{name}.toml"), text);
        }
        let text = fs::read_to_string(Path::new(name_or_path)).map_err(|error| ScenarioError {
            file: name_or_path.into(),
            line: None,
            why: format!(
                "it cannot be read ({error}); name a file, or a built-in scenario: {}",
                Scenario::built_in_names().collect::<Vec<_>>().join(", ")
            ),
        })?;
        Scenario::parse(name_or_path, &text)
    }

    /// Reads the text of a scenario file; `file` is only for the error.
    ///
    /// # Errors
    /// [`ScenarioError`] with the line of the mistake and what is accepted there.
    pub fn parse(file: &str, text: &str) -> Result<Scenario, ScenarioError> {
        parse::parse(file, text)
    }
}
