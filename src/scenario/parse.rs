//! TOML to [`Scenario`], with a line for every mistake.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use super::document::{Document, Entry, Section, kind};
use super::{ActionPlan, Axis, ClientPlan, FromAxis, Scenario, StepPlan, Value, order};
use crate::history::WITNESS;
use crate::results::AxisValue;

/// The most messages that one step publishes.
pub const MESSAGES_MAX: u32 = 10_000;
/// The most cells that one scenario spans.
const CELLS_MAX: usize = 100_000;
const CLIENTS_MAX: usize = 8;
const STEPS_MAX: usize = 100;
const NAME_MAX: usize = 20;
/// The topic of a step that names none.
const DEFAULT_TOPIC: &str = "t";
/// Words that mean something else in a history.
const RESERVED: [&str; 4] = [WITNESS, "attempt", "step", "broken"];
/// How the topics of the harness's own begin.
const RESERVED_START: &str = "fence";
/// The verbs of steps, each with the keys that it takes besides itself.
const VERBS: [(&str, &[&str]); 5] = [
    ("connect", &["when"]),
    ("subscribe", &["topic", "qos", "when"]),
    ("publish", &["topic", "qos", "retain", "messages", "when"]),
    ("receive", &["when"]),
    ("disconnect", &["when"]),
];

/// Why a scenario cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub struct ScenarioError {
    pub file: String,
    /// From 1, where the mistake has a place.
    pub line: Option<usize>,
    /// What is wrong and what is accepted.
    pub why: String,
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.why),
            None => write!(f, "{}: {}", self.file, self.why),
        }
    }
}

impl std::error::Error for ScenarioError {}

pub fn parse(file: &str, text: &str) -> Result<Scenario, ScenarioError> {
    let document = Document { file, text };
    let table = document.parse()?;
    let root = Section::root(&document, table.get_ref());
    root.only(&["name", "question", "axes", "clients", "steps"])?;
    let mut reader = Reader { document: &document, axes: Vec::new(), used: HashSet::new() };

    let (_, name) = root.need("name", "a text")?;
    let name = reader.name("scenario", &name.span(), reader.text("name", name)?)?;
    let (_, question) = root.need("question", "one sentence")?;
    let question = reader.question(question)?;
    reader.axes = reader.axes(&root)?;
    let clients = reader.clients(&root)?;
    let steps = reader.steps(&root, &clients)?;
    reader.nothing_unused(&clients, &steps)?;

    let places: Vec<Range<usize>> = steps.iter().map(Spanned::span).collect();
    let scenario = Scenario {
        name,
        question,
        axes: without_places(reader.axes),
        clients: without_places(clients),
        steps: without_places(steps),
    };
    order::check(&scenario).map_err(|(step, why)| document.mistake(&places[step], why))?;
    Ok(scenario)
}

fn without_places<T>(parts: Vec<Spanned<T>>) -> Vec<T> {
    parts.into_iter().map(Spanned::into_inner).collect()
}

/// Reads the parts of a scenario; what was read before decides what is accepted later.
struct Reader<'a> {
    document: &'a Document<'a>,
    axes: Vec<Spanned<Axis>>,
    /// The axes that some value named.
    used: HashSet<String>,
}

impl<'a> Reader<'a> {
    fn axes(&self, root: &Section<'a>) -> Result<Vec<Spanned<Axis>>, ScenarioError> {
        let Some((at, value)) = root.find("axes") else { return Ok(Vec::new()) };
        let mut cells: usize = 1;
        let mut axes = Vec::new();
        for (key, at, values) in Section::of(self.document, "`axes`", at, value)?.entries() {
            let name = self.name("axis", &at, key)?;
            let values = self.axis_values(&name, values)?;
            cells = cells.saturating_mul(values.len());
            if cells > CELLS_MAX {
                let why = format!("with axis \"{name}\" there are {cells} cells; a scenario has at most {CELLS_MAX}");
                return Err(self.document.mistake(&at, why));
            }
            axes.push(Spanned::new(at, Axis { name, values }));
        }
        Ok(axes)
    }

    fn axis_values(&self, axis: &str, entry: &Entry<'a>) -> Result<Vec<AxisValue>, ScenarioError> {
        const ACCEPTED: &str = "true and false, or whole numbers from 0, or texts";
        let mistake = |at: Range<usize>, why| {
            Err(self.document.mistake(&at, format!("axis \"{axis}\" {why}; it lists {ACCEPTED}")))
        };
        let DeValue::Array(entries) = entry.get_ref() else {
            return mistake(entry.span(), format!("is {}, not an array", kind(entry.get_ref())));
        };
        let mut values: Vec<AxisValue> = Vec::new();
        let mut seen = HashSet::new();
        for entry in entries {
            let shown = self.document.source(&entry.span());
            let Some(value) = scalar(entry) else {
                return mistake(entry.span(), format!("cannot hold {shown}"));
            };
            if values.first().is_some_and(|first| std::mem::discriminant(first) != std::mem::discriminant(&value)) {
                return mistake(entry.span(), format!("holds values of another type before {shown}"));
            }
            if !seen.insert(value.clone()) {
                return mistake(entry.span(), format!("holds {shown} twice"));
            }
            values.push(value);
        }
        if values.is_empty() {
            return mistake(entry.span(), "is empty".into());
        }
        Ok(values)
    }

    fn clients(&mut self, root: &Section<'a>) -> Result<Vec<Spanned<ClientPlan>>, ScenarioError> {
        let (clients_at, value) = root.need("clients", "a table for each client")?;
        let mut clients = Vec::new();
        for (key, at, value) in Section::of(self.document, "`clients`", clients_at.clone(), value)?.entries() {
            let name = self.name("client", &at, key)?;
            if clients.len() == CLIENTS_MAX {
                return Err(self.document.mistake(&at, format!("a scenario has at most {CLIENTS_MAX} clients")));
            }
            let client = Section::of(self.document, "a client", at.clone(), value)?;
            client.only(&["protocol", "clean_session"])?;
            let protocol = self.required(&client, "protocol")?;
            let clean_session = self.required(&client, "clean_session")?;
            clients.push(Spanned::new(at, ClientPlan { name, protocol, clean_session }));
        }
        if clients.is_empty() {
            return Err(self.document.mistake(&clients_at, "`clients` is empty; a scenario has at least one client"));
        }
        Ok(clients)
    }

    fn steps(
        &mut self,
        root: &Section<'a>,
        clients: &[Spanned<ClientPlan>],
    ) -> Result<Vec<Spanned<StepPlan>>, ScenarioError> {
        let (at, value) = root.need("steps", "an array of steps")?;
        let DeValue::Array(entries) = value.get_ref() else {
            let why = format!("`steps` is an array of steps, not {}", kind(value.get_ref()));
            return Err(self.document.mistake(&value.span(), why));
        };
        if entries.is_empty() || entries.len() > STEPS_MAX {
            let why = format!("there are {} steps; a scenario has 1 to {STEPS_MAX}", entries.len());
            return Err(self.document.mistake(&at, why));
        }
        entries.iter().map(|entry| self.step(entry, clients)).collect()
    }

    fn step(
        &mut self,
        entry: &'a Entry<'a>,
        clients: &[Spanned<ClientPlan>],
    ) -> Result<Spanned<StepPlan>, ScenarioError> {
        let step = Section::of(self.document, "a step", entry.span(), entry)?;
        let (verb, at, actor) = self.verb(&step, entry)?;
        let name = self.text(verb, actor)?;
        let Some(client) = clients.iter().position(|client| client.get_ref().name == name) else {
            let names: Vec<&str> = clients.iter().map(|client| client.get_ref().name.as_str()).collect();
            let shown = self.document.source(&actor.span());
            let why = format!("there is no client {shown}; the clients are {}", names.join(", "));
            return Err(self.document.mistake(&actor.span(), why));
        };
        let action = match verb {
            "connect" => ActionPlan::Connect,
            "subscribe" => ActionPlan::Subscribe { topic: self.topic(&step)?, qos: self.required(&step, "qos")? },
            "publish" => ActionPlan::Publish {
                topic: self.topic(&step)?,
                qos: self.required(&step, "qos")?,
                retain: self.optional(&step, "retain", false)?,
                messages: self.messages(&step)?,
            },
            "receive" => ActionPlan::Receive,
            _ => ActionPlan::Disconnect,
        };
        let when = self.optional(&step, "when", true)?;
        Ok(Spanned::new(at, StepPlan { when, client, action }))
    }

    /// The one verb of a step, where it stands, and its value; the other keys are checked against it.
    fn verb(
        &self,
        step: &Section<'a>,
        entry: &Entry<'a>,
    ) -> Result<(&'static str, Range<usize>, &'a Entry<'a>), ScenarioError> {
        let verbs = VERBS.map(|(verb, _)| verb);
        let mut known: Vec<&str> = verbs.to_vec();
        known.extend(["topic", "qos", "retain", "messages", "when"]);
        step.only(&known)?;

        let mut found = step
            .entries()
            .filter_map(|(key, at, value)| Some((VERBS.iter().find(|(verb, _)| *verb == key)?, at, value)));
        let Some(((verb, keys), at, actor)) = found.next() else {
            let why = format!("a step needs one of {}, with the name of a client", verbs.join(", "));
            return Err(self.document.mistake(&entry.span(), why));
        };
        if let Some(((second, _), at, _)) = found.next() {
            let why = format!("this step says both {verb} and {second}; a step takes one of {}", verbs.join(", "));
            return Err(self.document.mistake(&at, why));
        }
        if let Some((key, at, _)) = step.entries().find(|(key, ..)| key != verb && !keys.contains(key)) {
            let why = format!("`{key}` does not belong to {verb}; besides the client it takes {}", keys.join(", "));
            return Err(self.document.mistake(&at, why));
        }
        Ok((verb, at, actor))
    }

    fn topic(&self, step: &Section<'a>) -> Result<String, ScenarioError> {
        match step.find("topic") {
            Some((_, value)) => self.name("topic", &value.span(), self.text("topic", value)?),
            None => Ok(DEFAULT_TOPIC.into()),
        }
    }

    fn messages(&self, step: &Section<'a>) -> Result<Option<u32>, ScenarioError> {
        let Some((_, value)) = step.find("messages") else { return Ok(None) };
        match scalar(value) {
            Some(AxisValue::Number(messages @ 1..=MESSAGES_MAX)) => Ok(Some(messages)),
            _ => {
                let shown = self.document.source(&value.span());
                let why = format!("`messages` cannot be {shown}; it takes a whole number from 1 to {MESSAGES_MAX}");
                Err(self.document.mistake(&value.span(), why))
            }
        }
    }

    fn required<T: FromAxis>(&mut self, section: &Section<'a>, key: &str) -> Result<Value<T>, ScenarioError> {
        let (_, value) = section.need(key, T::ACCEPTED)?;
        self.value(key, value)
    }

    fn optional<T: FromAxis>(
        &mut self,
        section: &Section<'a>,
        key: &str,
        default: T,
    ) -> Result<Value<T>, ScenarioError> {
        section.find(key).map_or(Ok(Value::Is(default)), |(_, value)| self.value(key, value))
    }

    /// A value as it stands there, or the axis that gives it.
    fn value<T: FromAxis>(&mut self, key: &str, entry: &Entry<'a>) -> Result<Value<T>, ScenarioError> {
        let shown = self.document.source(&entry.span());
        let accepted = T::ACCEPTED;
        let Some(name) = entry.get_ref().as_str().and_then(|text| text.strip_prefix('$')) else {
            return scalar(entry).as_ref().and_then(T::from_axis).map(Value::Is).ok_or_else(|| {
                let why =
                    format!("`{key}` cannot be {shown}; it takes {accepted}, or \"$\" and an axis of such values");
                self.document.mistake(&entry.span(), why)
            });
        };
        let Some(axis) = self.axes.iter().map(Spanned::get_ref).find(|axis| axis.name == name) else {
            let names: Vec<&str> = self.axes.iter().map(|axis| axis.get_ref().name.as_str()).collect();
            let exist =
                if names.is_empty() { "none is declared".into() } else { format!("there are {}", names.join(", ")) };
            let why = format!("there is no axis for {shown}; `{key}` takes {accepted}, or \"$\" and an axis: {exist}");
            return Err(self.document.mistake(&entry.span(), why));
        };
        if let Some(misfit) = axis.values.iter().find(|value| T::from_axis(value).is_none()) {
            let why = format!("`{key}` cannot be {shown}, because that axis holds {misfit}; it takes {accepted}");
            return Err(self.document.mistake(&entry.span(), why));
        }
        self.used.insert(name.into());
        Ok(Value::Axis(name.into()))
    }

    fn text<'b>(&self, key: &str, entry: &'b Entry<'_>) -> Result<&'b str, ScenarioError> {
        entry.get_ref().as_str().ok_or_else(|| {
            let why = format!("`{key}` takes a text in quotes, not {}", kind(entry.get_ref()));
            self.document.mistake(&entry.span(), why)
        })
    }

    fn question(&self, entry: &Entry<'_>) -> Result<String, ScenarioError> {
        let question = self.text("question", entry)?;
        if question.trim().is_empty() || question.contains(char::is_control) {
            let why = "`question` takes one sentence on one line: what the experiment asks";
            return Err(self.document.mistake(&entry.span(), why));
        }
        Ok(question.into())
    }

    /// A name that can stand in ids, topics and histories.
    fn name(&self, what: &str, at: &Range<usize>, name: &str) -> Result<String, ScenarioError> {
        let well_formed = name.len() <= NAME_MAX
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        let shown = self.document.source(at);
        if !well_formed {
            let why = format!(
                "{shown} cannot name the {what}; a name has 1 to {NAME_MAX} of a-z, 0-9 and _, the first of them a-z"
            );
            return Err(self.document.mistake(at, why));
        }
        if RESERVED.contains(&name) || name.starts_with(RESERVED_START) {
            let why = format!(
                "{shown} cannot name the {what}; {} and all that begins with {RESERVED_START} are reserved",
                RESERVED.join(", ")
            );
            return Err(self.document.mistake(at, why));
        }
        Ok(name.into())
    }

    /// What is declared and changes nothing is a slip: somebody meant something by it.
    fn nothing_unused(
        &self,
        clients: &[Spanned<ClientPlan>],
        steps: &[Spanned<StepPlan>],
    ) -> Result<(), ScenarioError> {
        if let Some(axis) = self.axes.iter().find(|axis| !self.used.contains(&axis.get_ref().name)) {
            let name = &axis.get_ref().name;
            let why = format!("axis \"{name}\" is never used; write \"${name}\" where it shall apply, or remove it");
            return Err(self.document.mistake(&axis.span(), why));
        }
        for (index, client) in clients.iter().enumerate() {
            if steps.iter().all(|step| step.get_ref().client != index) {
                let why = format!("client \"{}\" has no step; give it one, or remove it", client.get_ref().name);
                return Err(self.document.mistake(&client.span(), why));
            }
        }
        Ok(())
    }
}

/// A value that an axis could hold.
fn scalar(entry: &Entry<'_>) -> Option<AxisValue> {
    match entry.get_ref() {
        DeValue::Boolean(value) => Some(AxisValue::Bool(*value)),
        DeValue::Integer(value) => u32::from_str_radix(value.as_str(), value.radix()).ok().map(AxisValue::Number),
        DeValue::String(value) => Some(AxisValue::Text(value.to_string())),
        _ => None,
    }
}
