//! TOML to [`Scenario`], with a line for every mistake.

mod clients;
mod lessons;
mod steps;
mod values;

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use super::document::{Document, Entry, Section, kind};
use super::{
    ActionPlan, Axis, ClientPlan, Exception, FromAxis, Lesson, Part, Scenario, StepPlan, Value, keys, legal, order,
};
use crate::axes::AxisValue;
use crate::slip::did_you_mean;
use crate::vocabulary::{BROKER, FENCE_TOPICS, PROOF_WILL_TOPIC, WITNESS};

pub(super) use steps::{AFTER_MS_MAX, IDENTIFIER_MAX};

/// The most messages that one step publishes.
pub const MESSAGES_MAX: u32 = 10_000;
/// The most cells that one scenario spans.
const CELLS_MAX: usize = 100_000;
const CLIENTS_MAX: usize = 8;
pub(super) const STEPS_MAX: usize = 100;
pub(super) const NAME_MAX: usize = 20;
/// The topic of a step that names none.
const DEFAULT_TOPIC: &str = "t";
/// Words that mean something else in a history.
const RESERVED: [&str; 7] = [WITNESS, BROKER, "attempt", "step", "broken", "late", PROOF_WILL_TOPIC];
/// Topics and filters that begin with one of these are not put under the prefix of the run: `$` is the broker's own, and
/// a filter that begins with a wildcard is there to not match it.
const NOT_OURS: [&str; 2] = ["$SYS/", "+/broker/"];
/// Why a scenario cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub struct ScenarioError {
    pub file: String,
    /// From 1, where the mistake has a place.
    pub line: Option<usize>,
    /// The mistake, and what is accepted.
    pub why: String,
    /// The line with a mark under the place, ready to be printed below the sentence.
    pub excerpt: Option<String>,
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.why),
            None => write!(f, "{}: {}", self.file, self.why),
        }?;
        self.excerpt.iter().try_for_each(|excerpt| write!(f, "\n{excerpt}"))
    }
}

impl std::error::Error for ScenarioError {}

pub fn parse(file: &str, text: &str) -> Result<Scenario, ScenarioError> {
    let document = Document { file, text };
    let table = document.parse()?;
    let root = Section::root(&document, table.get_ref());
    root.only(&keys::SCENARIO)?;
    let mut reader = Reader { document: &document, axes: Vec::new(), used: HashSet::new() };

    let (_, name) = root.need("name", "a text")?;
    let name = reader.name("scenario", &name.span(), reader.text("name", name)?)?;
    let (_, question) = root.need("question", "one sentence")?;
    let question = reader.sentence("question", question)?;
    reader.axes = reader.axes(&root)?;
    let parts = match root.find("lessons") {
        Some((at, value)) => reader.lessons(&root, &at, value)?,
        None => vec![reader.part(&root, None)?],
    };
    reader.no_axis_unused()?;
    Ok(Scenario { name, question, axes: lessons::axes(without_places(reader.axes), &parts), parts })
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

    /// The combinations of axis values that make no cell.
    fn exceptions(&self, section: &Section<'a>) -> Result<Vec<Exception>, ScenarioError> {
        let Some((at, value)) = section.find("except") else { return Ok(Vec::new()) };
        let DeValue::Array(entries) = value.get_ref() else {
            return Err(self
                .document
                .mistake(&at, "`except` takes an array of tables, each with axes and their values"));
        };
        let exception = |entry: &'a Entry<'a>| {
            let section = Section::of(self.document, "an exception", entry.span(), entry)?;
            section.entries().map(|(key, at, values)| self.excepted(key, &at, values)).collect::<Result<_, _>>()
        };
        entries.iter().map(|entry| exception(entry).map(Exception)).collect()
    }

    /// One value of an axis, or several.
    fn excepted(&self, name: &str, at: &Range<usize>, entry: &'a Entry<'a>) -> Result<Axis, ScenarioError> {
        let Some(axis) = self.axes.iter().map(Spanned::get_ref).find(|axis| axis.name == name) else {
            let why = format!("there is no axis \"{name}\"{}; {}", self.meant_axis(name), self.axes_that_exist());
            return Err(self.document.mistake(at, why));
        };
        let entries = match entry.get_ref() {
            DeValue::Array(entries) => entries.iter().collect(),
            _ => vec![entry],
        };
        let value = |entry: &Entry<'a>| scalar(entry).filter(|value| axis.values.contains(value));
        let values = entries.iter().map(|entry| {
            value(entry).ok_or_else(|| {
                let all: Vec<String> = axis.values.iter().map(AxisValue::to_string).collect();
                let shown = self.document.source(&entry.span());
                let meant = did_you_mean(shown.trim_matches('"'), all.iter().map(String::as_str));
                let why = format!("axis \"{name}\" does not hold {shown}{meant}; it holds {}", all.join(", "));
                self.document.mistake(&entry.span(), why)
            })
        });
        Ok(Axis { name: name.into(), values: values.collect::<Result<_, _>>()? })
    }

    /// The topic of a publication or a will.
    fn topic(&self, section: &Section<'a>, default: &str) -> Result<String, ScenarioError> {
        match section.find("topic") {
            Some((_, value)) => self.levels(&value.span(), self.text("topic", value)?),
            None => Ok(default.into()),
        }
    }

    /// The Topic Filter of a subscription.
    fn filter_topic(&self, section: &Section<'a>) -> Result<String, ScenarioError> {
        let Some((_, value)) = section.find("topic") else { return Ok(DEFAULT_TOPIC.into()) };
        match self.text("topic", value)? {
            filter if matches!(filter, "+" | "#") || NOT_OURS.iter().any(|start| filter.starts_with(start)) => {
                Ok(filter.into())
            }
            filter => match filter.strip_suffix("/+").or(filter.strip_suffix("/#")) {
                Some(level) => self.name("topic", &value.span(), level).map(|_| filter.into()),
                None => self.levels(&value.span(), filter),
            },
        }
    }

    /// A Topic Name of one level or two.
    fn levels(&self, at: &Range<usize>, topic: &str) -> Result<String, ScenarioError> {
        let (first, second) = topic.split_once('/').map_or((topic, None), |(first, second)| (first, Some(second)));
        for level in std::iter::once(first).chain(second) {
            self.name("topic", at, level)?;
        }
        Ok(topic.into())
    }

    fn text<'b>(&self, key: &str, entry: &'b Entry<'_>) -> Result<&'b str, ScenarioError> {
        entry.get_ref().as_str().ok_or_else(|| {
            let why = format!("`{key}` takes a text in quotes, not {}", kind(entry.get_ref()));
            self.document.mistake(&entry.span(), why)
        })
    }

    fn sentence(&self, key: &str, entry: &Entry<'_>) -> Result<String, ScenarioError> {
        let sentence = self.text(key, entry)?;
        if sentence.trim().is_empty() || sentence.contains(char::is_control) {
            let what =
                if key == "question" { "one sentence on one line: what the experiment asks" } else { "one line" };
            return Err(self.document.mistake(&entry.span(), format!("`{key}` takes {what}")));
        }
        Ok(sentence.into())
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
        if RESERVED.contains(&name) || name.starts_with(FENCE_TOPICS) {
            let why = format!(
                "{shown} cannot name the {what}; {} and all that begins with {FENCE_TOPICS} are reserved",
                RESERVED.join(", ")
            );
            return Err(self.document.mistake(at, why));
        }
        Ok(name.into())
    }

    /// Clients and steps, at the top of the file or of a lesson.
    fn part(&mut self, section: &Section<'a>, lesson: Option<Lesson>) -> Result<Part, ScenarioError> {
        let except = self.exceptions(section)?;
        let clients = self.clients(section)?;
        let steps = self.steps(section, &clients)?;
        self.no_client_unused(&clients, &steps)?;
        let places: Vec<Range<usize>> = steps.iter().map(Spanned::span).collect();
        let axes = lessons::own_axes(without_places(self.axes.clone()), lesson.as_ref());
        let (clients, steps) = (without_places(clients), without_places(steps));
        let part = Part { lesson, axes, except, clients, steps };
        let checked = order::check(&part).and_then(|()| legal::check(&part));
        checked.map_err(|(step, why)| self.document.mistake(&places[step], why))?;
        Ok(part)
    }

    /// Refuses axes that nothing uses: they are almost always slips.
    fn no_axis_unused(&self) -> Result<(), ScenarioError> {
        let Some(axis) = self.axes.iter().find(|axis| !self.used.contains(&axis.get_ref().name)) else { return Ok(()) };
        let name = &axis.get_ref().name;
        let why = format!("axis \"{name}\" is never used; write \"${name}\" where it shall apply, or remove it");
        Err(self.document.mistake(&axis.span(), why))
    }

    /// As [`Reader::no_axis_unused`], for clients.
    fn no_client_unused(
        &self,
        clients: &[Spanned<ClientPlan>],
        steps: &[Spanned<StepPlan>],
    ) -> Result<(), ScenarioError> {
        for (index, client) in clients.iter().enumerate() {
            let acts = |step: &StepPlan| {
                let is_own = step.client == index && !step.action.verb().is_of_broker();
                is_own || matches!(step.action, ActionPlan::Race { stays } if stays == index)
            };
            if !steps.iter().any(|step| acts(step.get_ref())) {
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
