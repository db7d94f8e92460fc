//! Which cells: a scenario, and values of some of its axes.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::axes::Axes;
use crate::visible::visible;

/// The cells of a scenario that have one of these values on each of these axes. The id of a cell names that cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    pub scenario: String,
    /// Each with the values that are meant.
    axes: Vec<(String, Vec<String>)>,
}

impl Pattern {
    pub fn new(scenario: &str, axes: Vec<(String, Vec<String>)>) -> Pattern {
        Pattern { scenario: scenario.into(), axes }
    }

    /// Whether it names the cell with these values.
    pub fn names(&self, scenario: &str, axes: &Axes) -> bool {
        let has = |(axis, values): &(String, Vec<String>)| {
            axes.get(axis).is_some_and(|value| values.contains(&value.to_string()))
        };
        self.scenario == scenario && self.axes.iter().all(has)
    }

    fn parse(text: &str) -> Option<Pattern> {
        let (scenario, axes) = match text.split_once('[') {
            Some((scenario, axes)) => (scenario, axes.strip_suffix(']')?.split(',').collect()),
            None => (text, Vec::new()),
        };
        let axis = |axis: &str| {
            let (name, values) = axis.split_once('=')?;
            Some((name.to_owned(), values.split('|').map(str::to_owned).collect()))
        };
        let axes = axes.into_iter().map(axis).collect::<Option<_>>()?;
        (!scenario.is_empty()).then(|| Pattern::new(scenario, axes))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let axes: Vec<String> = self.axes.iter().map(|(axis, values)| format!("{axis}={}", values.join("|"))).collect();
        match axes.is_empty() {
            true => write!(f, "{}", visible(&self.scenario)),
            false => write!(f, "{}[{}]", visible(&self.scenario), visible(&axes.join(","))),
        }
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Pattern, D::Error> {
        let text = String::deserialize(deserializer)?;
        Pattern::parse(&text).ok_or_else(|| {
            let shown = visible(&text).into_owned();
            serde::de::Error::custom(format!(
                "\"{shown}\" names no cells; write scenario or scenario[axis=value|value,...]"
            ))
        })
    }
}

impl JsonSchema for Pattern {
    fn schema_name() -> Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}
