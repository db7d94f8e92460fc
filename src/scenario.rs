//! The scenario file: an experiment as data, steps and axes, without a verdict.
//!
//! A scenario names its clients, the axes that vary, and the steps in order. A value may be `"$axis"`, which stands for
//! the value of that axis in each cell. Every mistake is reported with its line and with what would be accepted.

mod document;
mod order;
mod parse;

use std::fs;
use std::path::Path;

use crate::packet::Protocol;
use crate::results::{Axes, AxisValue};

pub use parse::{MESSAGES_MAX, ScenarioError};

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

/// Every combination of the axes' values, in order, the last axis fastest. Without axes there is one, and it is empty.
pub fn combinations(axes: &[Axis]) -> impl Iterator<Item = Axes> {
    let count: usize = axes.iter().map(|axis| axis.values.len()).product();
    (0..count).map(|number| {
        let mut rest = number;
        let mut chosen: Vec<_> = axes
            .iter()
            .rev()
            .map(|axis| {
                let value = axis.values[rest % axis.values.len()].clone();
                rest /= axis.values.len();
                (axis.name.clone(), value)
            })
            .collect();
        chosen.reverse();
        Axes(chosen)
    })
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

impl<T: FromAxis> Value<T> {
    /// The value in the cell that has these axis values.
    ///
    /// # Panics
    /// If the axis is missing there or holds another type; parsing refuses such a scenario.
    pub fn in_cell(&self, axes: &Axes) -> T {
        match self {
            Value::Is(value) => *value,
            Value::Axis(name) => {
                axes.get(name).and_then(T::from_axis).expect("a parsed scenario's axes fit where they are used")
            }
        }
    }
}

/// A type that may stand where an axis may stand.
pub trait FromAxis: Copy {
    /// The values of this type, for the reader of a mistake.
    const ACCEPTED: &'static str;

    /// `None` if the value is not of this type.
    fn from_axis(value: &AxisValue) -> Option<Self>;
}

impl FromAxis for Protocol {
    const ACCEPTED: &'static str = "\"3.1.1\" or \"5.0\"";

    fn from_axis(value: &AxisValue) -> Option<Protocol> {
        match value {
            AxisValue::Text(name) => name.parse().ok(),
            _ => None,
        }
    }
}

impl FromAxis for bool {
    const ACCEPTED: &'static str = "true or false";

    fn from_axis(value: &AxisValue) -> Option<bool> {
        match value {
            AxisValue::Bool(value) => Some(*value),
            _ => None,
        }
    }
}

/// The only number that varies along an axis is a QoS.
impl FromAxis for u8 {
    const ACCEPTED: &'static str = "0, 1 or 2";

    fn from_axis(value: &AxisValue) -> Option<u8> {
        match value {
            AxisValue::Number(qos) => u8::try_from(*qos).ok().filter(|qos| *qos <= 2),
            _ => None,
        }
    }
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

impl ActionPlan {
    /// The word of the file for it.
    pub fn verb(&self) -> &'static str {
        match self {
            ActionPlan::Connect => "connect",
            ActionPlan::Subscribe { .. } => "subscribe",
            ActionPlan::Publish { .. } => "publish",
            ActionPlan::Receive => "receive",
            ActionPlan::Disconnect => "disconnect",
        }
    }
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
