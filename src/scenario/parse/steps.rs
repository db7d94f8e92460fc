//! The steps of a scenario: a verb with its client, and what belongs to the verb.

use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use super::clients::CONNECT_KEYS;
use super::{DEFAULT_TOPIC, Entry, MESSAGES_MAX, Reader, STEPS_MAX, ScenarioError, Section, kind};
use crate::connection::End;
use crate::results::AxisValue;
use crate::scenario::{
    ActionPlan, Answers, ClientPlan, FilterPlan, FromAxis, PublishPlan, StepPlan, UntilPlan, Value, When,
};

/// What belongs to a Topic Filter.
const FILTER_KEYS: [&str; 6] = ["topic", "share", "qos", "no_local", "retain_as_published", "retain_handling"];
/// What belongs to a subscribe step beside one filter of its own.
const SUBSCRIBE_KEYS: [&str; 8] =
    ["topic", "share", "qos", "no_local", "retain_as_published", "retain_handling", "filters", "identifier"];
const PUBLISH_KEYS: [&str; 9] =
    ["topic", "qos", "retain", "messages", "empty", "bytes", "message_expiry", "properties", "until"];
const CONNECT_STEP_KEYS: [&str; 7] = [
    "clean_start",
    "session_expiry",
    "receive_maximum",
    "maximum_packet_size",
    "topic_alias_maximum",
    "keep_alive",
    "will",
];
/// The verbs of steps, each with the keys that it takes besides itself and `when`.
const VERBS: [(&str, &[&str]); 11] = [
    ("connect", &CONNECT_STEP_KEYS),
    ("subscribe", &SUBSCRIBE_KEYS),
    ("unsubscribe", &["topic"]),
    ("publish", &PUBLISH_KEYS),
    ("receive", &["answers", "until", "message"]),
    ("disconnect", &["with_will", "session_expiry"]),
    ("cut", &["how"]),
    ("silence", &[]),
    ("stall", &[]),
    ("race", &["stays"]),
    ("wait", &["timer", "seconds"]),
];
const WHEN: &str = "when";

impl<'a> Reader<'a> {
    pub(super) fn steps(
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
        let client = self.place_of(verb, actor, clients)?;
        let action = self.action(verb, &step, clients)?;
        let when = self.when(&step)?;
        Ok(Spanned::new(at, StepPlan { when, client, action }))
    }

    /// The client that a key names, by its place.
    fn place_of(&self, key: &str, entry: &Entry<'a>, clients: &[Spanned<ClientPlan>]) -> Result<usize, ScenarioError> {
        let name = self.text(key, entry)?;
        clients.iter().position(|client| client.get_ref().name == name).ok_or_else(|| {
            let names: Vec<&str> = clients.iter().map(|client| client.get_ref().name.as_str()).collect();
            let shown = self.document.source(&entry.span());
            let why = format!("there is no client {shown}; the clients are {}", names.join(", "));
            self.document.mistake(&entry.span(), why)
        })
    }

    fn action(
        &mut self,
        verb: &str,
        step: &Section<'a>,
        clients: &[Spanned<ClientPlan>],
    ) -> Result<ActionPlan, ScenarioError> {
        Ok(match verb {
            "connect" => {
                ActionPlan::Connect { connect: self.connect_plan(step)?, will: self.optional(step, "will", true)? }
            }
            "subscribe" => {
                ActionPlan::Subscribe { filters: self.filters(step)?, identifier: self.found(step, "identifier")? }
            }
            "unsubscribe" => ActionPlan::Unsubscribe { topic: self.filter_topic(step)? },
            "publish" => ActionPlan::Publish(PublishPlan {
                topic: self.topic(step, DEFAULT_TOPIC)?,
                qos: self.required(step, "qos")?,
                retain: self.optional(step, "retain", false)?,
                messages: self.messages(step)?,
                empty: self.optional(step, "empty", false)?,
                bytes: self.found(step, "bytes")?,
                message_expiry: self.found(step, "message_expiry")?,
                properties: self.optional(step, "properties", false)?,
                until: self.found(step, "until")?,
            }),
            "receive" => {
                ActionPlan::Receive { answers: self.optional(step, "answers", Answers::All)?, until: self.until(step)? }
            }
            "disconnect" => ActionPlan::Disconnect {
                with_will: self.optional(step, "with_will", false)?,
                session_expiry: self.found(step, "session_expiry")?,
            },
            "cut" => ActionPlan::Cut { how: self.optional(step, "how", End::Fin)? },
            "silence" => ActionPlan::Silence,
            "stall" => ActionPlan::Stall,
            "race" => {
                let (_, stays) = step.need("stays", "the name of the client that stays")?;
                ActionPlan::Race { stays: self.place_of("stays", stays, clients)? }
            }
            _ => ActionPlan::Wait { timer: self.required(step, "timer")?, seconds: self.required(step, "seconds")? },
        })
    }

    /// The one verb of a step, where it stands, and its value; the other keys are checked against it.
    fn verb(
        &self,
        step: &Section<'a>,
        entry: &Entry<'a>,
    ) -> Result<(&'static str, Range<usize>, &'a Entry<'a>), ScenarioError> {
        let verbs = VERBS.map(|(verb, _)| verb);
        let mut known: Vec<&str> = verbs.to_vec();
        let keys = VERBS.iter().flat_map(|(_, keys)| keys.iter().copied());
        known.extend(keys.chain([WHEN]));
        let mut seen = std::collections::HashSet::new();
        known.retain(|key| seen.insert(*key));
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
        let accepted = [keys, &[WHEN][..]].concat();
        if let Some((key, at, _)) = step.entries().find(|(key, ..)| key != verb && !accepted.contains(key)) {
            let why = format!("`{key}` does not belong to {verb}; besides the client it takes {}", accepted.join(", "));
            return Err(self.document.mistake(&at, why));
        }
        Ok((verb, at, actor))
    }

    /// The filters of a subscribe step: one by its own keys, or a list.
    fn filters(&mut self, step: &Section<'a>) -> Result<Vec<FilterPlan>, ScenarioError> {
        let Some((at, value)) = step.find("filters") else { return Ok(vec![self.filter(step)?]) };
        if let Some((key, at, _)) = step.entries().find(|(key, ..)| FILTER_KEYS.contains(key)) {
            let why = format!("`{key}` and `filters` exclude each other; put `{key}` into the list");
            return Err(self.document.mistake(&at, why));
        }
        let entries = match value.get_ref() {
            DeValue::Array(entries) if !entries.is_empty() => entries,
            _ => return Err(self.document.mistake(&at, "`filters` takes an array of tables with topic and qos")),
        };
        let filter = |entry: &'a Entry<'a>| {
            let section = Section::of(self.document, "a filter", entry.span(), entry)?;
            section.only(&FILTER_KEYS)?;
            self.filter(&section)
        };
        entries.iter().map(filter).collect()
    }

    fn filter(&mut self, section: &Section<'a>) -> Result<FilterPlan, ScenarioError> {
        let share = match section.find("share") {
            Some((_, value)) => Some(self.name("share", &value.span(), self.text("share", value)?)?),
            None => None,
        };
        Ok(FilterPlan {
            topic: self.filter_topic(section)?,
            share,
            qos: self.required(section, "qos")?,
            no_local: self.optional(section, "no_local", false)?,
            retain_as_published: self.optional(section, "retain_as_published", false)?,
            retain_handling: self.optional(section, "retain_handling", 0)?,
        })
    }

    fn messages(&mut self, step: &Section<'a>) -> Result<Option<Value<u32>>, ScenarioError> {
        let Some((_, entry)) = step.find("messages") else { return Ok(None) };
        let messages = self.value("messages", entry)?;
        let axis = |name: &String| self.axes.iter().map(Spanned::get_ref).find(|axis| axis.name == *name);
        let numbers: Vec<u32> = match &messages {
            Value::Is(number) => vec![*number],
            Value::Axis(name) => axis(name).iter().flat_map(|axis| &axis.values).filter_map(u32::from_axis).collect(),
        };
        if numbers.iter().all(|number| (1..=MESSAGES_MAX).contains(number)) {
            return Ok(Some(messages));
        }
        let shown = self.document.source(&entry.span());
        let why = format!("`messages` cannot be {shown}; it takes whole numbers from 1 to {MESSAGES_MAX}");
        Err(self.document.mistake(&entry.span(), why))
    }

    /// Which message is received how far. The one cannot stand without the other.
    fn until(&mut self, step: &Section<'a>) -> Result<Option<UntilPlan>, ScenarioError> {
        match (step.find("until"), step.find("message")) {
            (None, None) => Ok(None),
            (None, Some((at, _))) => {
                Err(self.document.mistake(&at, "`message` needs `until`, the point where its handshake stops"))
            }
            (Some(_), _) => {
                Ok(Some(UntilPlan { point: self.required(step, "until")?, message: self.required(step, "message")? }))
            }
        }
    }

    /// `"$axis"` of true and false, or `"$axis=value,value"`.
    fn when(&mut self, step: &Section<'a>) -> Result<When, ScenarioError> {
        let Some((_, entry)) = step.find(WHEN) else { return Ok(When::Is(Value::Is(true))) };
        let condition = entry.get_ref().as_str().and_then(|text| text.strip_prefix('$')?.split_once('='));
        let Some((name, wanted)) = condition else { return self.value(WHEN, entry).map(When::Is) };
        let Some(axis) = self.axes.iter().map(Spanned::get_ref).find(|axis| axis.name == name) else {
            let why = format!("`{WHEN}` asks for an axis that does not exist: {}", self.axes_that_exist());
            return Err(self.document.mistake(&entry.span(), why));
        };
        let value = |wanted: &str| axis.values.iter().find(|value| value.to_string() == wanted).cloned();
        let values: Option<Vec<AxisValue>> = wanted.split(',').map(value).collect();
        let Some(values) = values else {
            let all: Vec<String> = axis.values.iter().map(AxisValue::to_string).collect();
            let why = format!("axis \"{name}\" does not hold all of {wanted}; it holds {}", all.join(", "));
            return Err(self.document.mistake(&entry.span(), why));
        };
        self.used.insert(name.into());
        Ok(When::OneOf { axis: name.into(), values })
    }
}

/// The keys of a connect step are those of a client's CONNECT.
const _: () = assert!(CONNECT_KEYS.len() + 1 == CONNECT_STEP_KEYS.len());
