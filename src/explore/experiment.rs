//! An experiment in parts that can be taken away, and the scenario file that it stands for.

use std::fmt::{self, Write};

use crate::scenario::{Scenario, ScenarioError};

/// The question of an experiment, as its file states it.
const QUESTION: &str = "Does the broker keep to the standard in this random experiment?";
/// The line of the first client in the file, from 1.
const FIRST_CLIENT_LINE: usize = 3;

/// A scenario file without axes, as clients and steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Experiment {
    /// The scenario's name. The names on the wire follow from it, so experiments that run side by side differ in it.
    pub name: String,
    pub clients: Vec<Client>,
    pub steps: Vec<Step>,
}

/// A client of an experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    pub name: &'static str,
    pub fields: Fields,
}

/// A step of an experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub verb: &'static str,
    /// The client that acts.
    pub client: &'static str,
    pub fields: Fields,
}

/// Keys with their values, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(pub Vec<(&'static str, Value)>);

/// A value in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Flag(bool),
    Number(u32),
    Word(&'static str),
    Table(Fields),
    Tables(Vec<Fields>),
}

impl From<bool> for Value {
    fn from(flag: bool) -> Value {
        Value::Flag(flag)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Value {
        Value::Number(number)
    }
}

impl From<&'static str> for Value {
    fn from(word: &'static str) -> Value {
        Value::Word(word)
    }
}

impl Fields {
    /// Adds a key at the end.
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Fields {
        self.0.push((key, value.into()));
        self
    }

    /// The value of a key; `None` where the key is absent.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(own, _)| *own == key).map(|(_, value)| value)
    }
}

impl Step {
    /// A step without options.
    pub fn new(verb: &'static str, client: &'static str) -> Step {
        Step { verb, client, fields: Fields::default() }
    }

    /// The same step with one more option.
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Step {
        self.fields = self.fields.with(key, value);
        self
    }
}

impl Experiment {
    /// The scenario that the file describes.
    ///
    /// # Errors
    /// The parser's, where the experiment is none that a client may do.
    pub fn scenario(&self) -> Result<Scenario, ScenarioError> {
        Scenario::parse(&self.name, &self.to_string())
    }

    /// The experiment without the steps that cannot be played any more and the clients that do nothing, or `None` where
    /// nothing is left. The parser decides.
    pub fn repaired(mut self) -> Option<Experiment> {
        while let Err(error) = self.scenario() {
            let client = error.line?.checked_sub(FIRST_CLIENT_LINE)?;
            if client < self.clients.len() {
                self.remove_client(client);
                continue;
            }
            // One line opens the array of steps.
            let step = client.checked_sub(self.clients.len() + 1)?;
            if step >= self.steps.len() {
                return None;
            }
            self.steps.remove(step);
        }
        Some(self)
    }

    /// The same experiment under another name.
    pub fn named(&self, name: &str) -> Experiment {
        Experiment { name: name.into(), ..self.clone() }
    }

    /// Takes a client and all its steps away.
    pub fn remove_client(&mut self, place: usize) {
        let name = self.clients.remove(place).name;
        let stays = |step: &Step| step.fields.get("stays") == Some(&Value::Word(name));
        self.steps.retain(|step| step.client != name && !stays(step));
    }

    /// True if the experiment waits for a timer of the protocol, which costs seconds.
    pub fn has_timers(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.verb, "wait" | "silence"))
    }
}

/// The text of the scenario file: one line for each client and for each step.
impl fmt::Display for Experiment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "name = \"{}\"\nquestion = \"{QUESTION}\"\n", self.name)?;
        for client in &self.clients {
            writeln!(f, "clients.{} = {{ {} }}", client.name, client.fields)?;
        }
        f.write_str("steps = [\n")?;
        for step in &self.steps {
            write!(f, "    {{ {} = \"{}\"", step.verb, step.client)?;
            if !step.fields.0.is_empty() {
                write!(f, ", {}", step.fields)?;
            }
            f.write_str(" },\n")?;
        }
        f.write_str("]\n")
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (key, value)) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            write!(f, "{comma}{key} = {value}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Flag(flag) => write!(f, "{flag}"),
            Value::Number(number) => write!(f, "{number}"),
            Value::Word(word) => write!(f, "\"{word}\""),
            Value::Table(fields) => write!(f, "{{ {fields} }}"),
            Value::Tables(tables) => {
                f.write_char('[')?;
                for (number, table) in tables.iter().enumerate() {
                    let comma = if number == 0 { "" } else { ", " };
                    write!(f, "{comma}{{ {table} }}")?;
                }
                f.write_char(']')
            }
        }
    }
}
