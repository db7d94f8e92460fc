//! What a probe finds: a number for each quantity, with how sure it is and how it was found; and the file that keeps them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Budget;
use super::quantity::{Quantity, Unit};
use crate::packet::Protocol;
use crate::results::{BrokerLabel, Format, Tool};

/// The name that every profile file carries.
pub const FORMAT_NAME: &str = "mqtt-sessions-profile";
/// Raised when a reader of the older format would be misled.
pub const FORMAT_MAJOR: u32 = 1;
/// Raised when something was added that an older reader may pass over.
pub const FORMAT_MINOR: u32 = 2;

/// The numbers of one broker: the profile file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Profile {
    pub format: Format,
    pub tool: Tool,
    pub broker: BrokerLabel,
    /// The protocol version of the clients, where a number says no other.
    pub protocol: Protocol,
    pub budget: Budget,
    /// How far timers were followed, in seconds.
    pub wait_s: u32,
    pub run: Run,
    /// One for each quantity, in the order of the report.
    pub numbers: Vec<Number>,
}

/// What differs from run to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// RFC 3339, UTC.
    pub started_at: String,
    pub duration_ms: u64,
    /// Without credentials.
    pub url: String,
    /// How the client ids and topics began.
    pub prefix: String,
    /// What the clean-up could and could not prove.
    pub cleanup: String,
    /// What ended the probe before all was asked; null where nothing did.
    pub cut_short: Option<String>,
}

/// What was found about one quantity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Number {
    pub quantity: Quantity,
    /// What the broker says of itself, in the unit of the quantity: in CONNACK, or by what it acknowledges. Null where it says
    /// nothing.
    pub announced: Option<u64>,
    pub measured: Measured,
    /// What was measured is not what was announced.
    pub differs: bool,
    /// How it was found, as a sentence without a full stop.
    pub how: String,
}

/// A measured value in the unit of its quantity, and how sure it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "sure", rename_all = "snake_case")]
pub enum Measured {
    Exactly {
        value: u64,
    },
    /// The search stopped there.
    AtLeast {
        value: u64,
    },
    Between {
        least: u64,
        most: u64,
    },
    /// The broker answered differently from one try to the next.
    Unstable {
        values: Vec<u64>,
    },
    /// What has no number.
    Seen {
        value: String,
    },
    /// There is nothing to be measured here.
    DoesNotApply {
        why: String,
    },
    /// It could not be measured.
    NotMeasured {
        why: String,
    },
}

impl Number {
    /// A number of which the broker announces nothing.
    pub fn new(quantity: Quantity, measured: Measured, how: impl Into<String>) -> Number {
        Number { quantity, announced: None, measured, differs: false, how: how.into() }
    }

    /// A quantity of which there is nothing to be measured.
    pub fn moot(quantity: Quantity, why: impl Into<String>) -> Number {
        Number::new(quantity, Measured::DoesNotApply { why: why.into() }, "")
    }

    /// A quantity that could not be measured.
    pub fn missing(quantity: Quantity, why: impl Into<String>) -> Number {
        Number::new(quantity, Measured::NotMeasured { why: why.into() }, "")
    }

    /// The same beside what the broker announces. They differ where one contradicts the other by more than `tolerance`.
    #[must_use]
    pub fn announced(self, announced: Option<u64>, tolerance: u64) -> Number {
        let contradicts = |announced: u64| match &self.measured {
            Measured::Exactly { value } => value.abs_diff(announced) > tolerance,
            Measured::AtLeast { value } => *value > announced.saturating_add(tolerance),
            Measured::Between { least, most } => {
                *least > announced.saturating_add(tolerance) || most.saturating_add(tolerance) < announced
            }
            Measured::Unstable { .. }
            | Measured::Seen { .. }
            | Measured::DoesNotApply { .. }
            | Measured::NotMeasured { .. } => false,
        };
        Number { differs: announced.is_some_and(contradicts), announced, ..self }
    }
}

impl Number {
    /// True if another number of the quantity does not contradict this one, as far as one run can be told from the next: what
    /// takes milliseconds never takes as long again, and a second is as fine as a broker's clock.
    pub fn agrees_with(&self, other: &Number) -> bool {
        let slack = match self.quantity.unit() {
            Unit::Milliseconds | Unit::PerSecond => return true,
            Unit::Seconds => 1,
            _ => 0,
        };
        let measured = match (self.measured.range(), other.measured.range()) {
            (Some((least, most)), Some((other_least, other_most))) => {
                least <= other_most.saturating_add(slack) && other_least <= most.saturating_add(slack)
            }
            _ => self.measured == other.measured,
        };
        // A time that is announced may depend on when it was looked at.
        let announced = match (self.announced, other.announced) {
            (Some(one), Some(other)) => one.abs_diff(other) <= slack,
            (one, other) => one == other,
        };
        measured && announced
    }
}

impl Measured {
    /// Between these, or exactly where they are the same.
    pub fn between(least: u64, most: u64) -> Measured {
        if least == most { Measured::Exactly { value: least } } else { Measured::Between { least, most } }
    }

    /// The least and the most that it may be, where it is steady.
    fn range(&self) -> Option<(u64, u64)> {
        match self {
            Measured::Exactly { value } => Some((*value, *value)),
            Measured::AtLeast { value } => Some((*value, u64::MAX)),
            Measured::Between { least, most } => Some((*least, *most)),
            _ => None,
        }
    }

    pub fn seen(value: impl Into<String>) -> Measured {
        Measured::Seen { value: value.into() }
    }

    /// Nothing is known.
    pub fn is_missing(&self) -> bool {
        matches!(self, Measured::DoesNotApply { .. } | Measured::NotMeasured { .. })
    }
}

impl Profile {
    /// The format of profiles.
    pub fn format() -> Format {
        Format { name: FORMAT_NAME.into(), major: FORMAT_MAJOR, minor: FORMAT_MINOR }
    }

    /// The JSON Schema of the profile file, as this version writes it.
    pub fn schema() -> schemars::Schema {
        schemars::generate::SchemaSettings::default().for_serialize().into_generator().into_root_schema_for::<Profile>()
    }

    /// What was found about a quantity.
    pub fn number(&self, quantity: Quantity) -> Option<&Number> {
        self.numbers.iter().find(|number| number.quantity == quantity)
    }
}
