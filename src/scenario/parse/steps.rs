//! The steps of a scenario: a verb with its client, and what belongs to the verb.

use std::collections::HashSet;
use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use super::{DEFAULT_TOPIC, Entry, MESSAGES_MAX, Reader, STEPS_MAX, ScenarioError, Section, kind};
use crate::axes::AxisValue;
use crate::connection::End;
use crate::scenario::{
    ActionPlan, Answers, ClientPlan, FilterPlan, PublishPlan, StepPlan, UntilPlan, Value, Verb, When, keys,
};
use crate::slip::did_you_mean;
use crate::vocabulary::{BROKER, Ending, FIRST_NODE, NODES_MAX};

/// The largest Subscription Identifier (5.0, section 3.8.2.1.2).
pub const IDENTIFIER_MAX: u32 = 268_435_455;
/// The longest time before the broker is ended or started: an hour, in milliseconds.
pub const AFTER_MS_MAX: u32 = 3_600_000;

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
        let client = match verb.is_of_broker() {
            true => self.broker(verb, actor)?,
            false => self.place_of(verb.word(), actor, clients)?,
        };
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
            let meant = did_you_mean(name, names.iter().copied());
            let why = format!("there is no client {shown}{meant}; the clients are {}", names.join(", "));
            self.document.mistake(&entry.span(), why)
        })
    }

    /// A step of the broker's names it, and belongs to no client.
    fn broker(&self, verb: Verb, entry: &Entry<'a>) -> Result<usize, ScenarioError> {
        if self.text(verb.word(), entry)? == BROKER {
            return Ok(0);
        }
        let shown = self.document.source(&entry.span());
        Err(self.document.mistake(&entry.span(), format!("`{verb}` is about \"{BROKER}\", not {shown}")))
    }

    fn action(
        &mut self,
        verb: Verb,
        step: &Section<'a>,
        clients: &[Spanned<ClientPlan>],
    ) -> Result<ActionPlan, ScenarioError> {
        Ok(match verb {
            Verb::Connect => {
                ActionPlan::Connect { connect: self.connect_plan(step)?, will: self.optional(step, "will", true)? }
            }
            Verb::Subscribe => ActionPlan::Subscribe {
                filters: self.filters(step)?,
                identifier: self.whole_number(step, "identifier", 1..=IDENTIFIER_MAX)?,
            },
            Verb::Unsubscribe => ActionPlan::Unsubscribe { topic: self.filter_topic(step)? },
            Verb::Publish => ActionPlan::Publish(PublishPlan {
                topic: self.topic(step, DEFAULT_TOPIC)?,
                qos: self.required(step, "qos")?,
                retain: self.optional(step, "retain", false)?,
                messages: self.whole_number(step, "messages", 1..=MESSAGES_MAX)?,
                empty: self.optional(step, "empty", false)?,
                bytes: self.found(step, "bytes")?,
                message_expiry: self.found(step, "message_expiry")?,
                properties: self.optional(step, "properties", false)?,
                window: self.whole_number(step, "window", 1..=MESSAGES_MAX)?,
                until: self.found(step, "until")?,
            }),
            Verb::Receive => {
                ActionPlan::Receive { answers: self.optional(step, "answers", Answers::All)?, until: self.until(step)? }
            }
            Verb::Disconnect => ActionPlan::Disconnect {
                with_will: self.optional(step, "with_will", false)?,
                session_expiry: self.found(step, "session_expiry")?,
            },
            Verb::Cut => ActionPlan::Cut { how: self.optional(step, "how", End::Fin)? },
            Verb::Silence => ActionPlan::Silence,
            Verb::Stall => ActionPlan::Stall,
            Verb::Race => {
                let (_, stays) = step.need("stays", "the name of the client that stays")?;
                ActionPlan::Race { stays: self.place_of("stays", stays, clients)? }
            }
            Verb::Wait => ActionPlan::Wait {
                timer: self.required(step, "timer")?,
                seconds: self.required(step, "seconds")?,
                early: self.optional(step, "early", false)?,
            },
            Verb::Partition | Verb::Heal => {
                step.need("node", "the number of the node that is cut off")?;
                self.of_broker(verb, Value::Is(Ending::Stop), step)?
            }
            Verb::Stop | Verb::Start => self.of_broker(verb, Value::Is(Ending::Stop), step)?,
            Verb::Kill => self.of_broker(verb, Value::Is(Ending::Kill), step)?,
            Verb::Restart => {
                let by = self.optional(step, "by", Ending::Stop)?;
                self.of_broker(verb, by, step)?
            }
        })
    }

    fn of_broker(&mut self, verb: Verb, by: Value<Ending>, step: &Section<'a>) -> Result<ActionPlan, ScenarioError> {
        let after_ms = self.whole_number(step, "after_ms", 0..=AFTER_MS_MAX)?.unwrap_or(Value::Is(0));
        let node = self.whole_number(step, "node", FIRST_NODE..=NODES_MAX)?;
        Ok(ActionPlan::Broker { verb, by, node, after_ms })
    }

    /// The one verb of a step, where it stands, and its value; the other keys are checked against it.
    fn verb(
        &self,
        step: &Section<'a>,
        entry: &Entry<'a>,
    ) -> Result<(Verb, Range<usize>, &'a Entry<'a>), ScenarioError> {
        let verbs = Verb::ALL.map(Verb::word);
        let mut known: Vec<&str> = verbs.to_vec();
        known.extend(Verb::ALL.iter().flat_map(|verb| verb.keys()).chain([&keys::WHEN]));
        let mut seen = HashSet::new();
        known.retain(|key| seen.insert(*key));
        step.only(&known)?;

        let verb_of = |key: &str| Verb::ALL.into_iter().find(|verb| verb.word() == key);
        let mut found = step.entries().filter_map(|(key, at, value)| Some((verb_of(key)?, at, value)));
        let Some((verb, at, actor)) = found.next() else {
            let why = format!(
                "a step needs one of {}, with the name of a client, or \"{BROKER}\" where it is ended or started",
                verbs.join(", ")
            );
            return Err(self.document.mistake(&entry.span(), why));
        };
        if let Some((second, at, _)) = found.next() {
            let why = format!("this step says both {verb} and {second}; a step takes one of {}", verbs.join(", "));
            return Err(self.document.mistake(&at, why));
        }
        let accepted = [verb.keys(), &[keys::WHEN][..]].concat();
        if let Some((key, at, _)) = step.entries().find(|(key, ..)| *key != verb.word() && !accepted.contains(key)) {
            let why = format!("`{key}` does not belong to {verb}; besides the client it takes {}", accepted.join(", "));
            return Err(self.document.mistake(&at, why));
        }
        Ok((verb, at, actor))
    }

    /// The filters of a subscribe step: one by its own keys, or a list.
    fn filters(&mut self, step: &Section<'a>) -> Result<Vec<FilterPlan>, ScenarioError> {
        let Some((at, value)) = step.find("filters") else { return Ok(vec![self.filter(step)?]) };
        if let Some((key, at, _)) = step.entries().find(|(key, ..)| keys::FILTER.contains(key)) {
            let why = format!("`{key}` and `filters` exclude each other; put `{key}` into the list");
            return Err(self.document.mistake(&at, why));
        }
        let entries = match value.get_ref() {
            DeValue::Array(entries) if !entries.is_empty() => entries,
            _ => return Err(self.document.mistake(&at, "`filters` takes an array of tables with topic and qos")),
        };
        let filter = |entry: &'a Entry<'a>| {
            let section = Section::of(self.document, "a filter", entry.span(), entry)?;
            section.only(&keys::FILTER)?;
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
        let Some((_, entry)) = step.find(keys::WHEN) else { return Ok(When::Is(Value::Is(true))) };
        let condition = entry.get_ref().as_str().and_then(|text| text.strip_prefix('$')?.split_once('='));
        let Some((name, wanted)) = condition else { return self.value(keys::WHEN, entry).map(When::Is) };
        let Some(axis) = self.axes.iter().map(Spanned::get_ref).find(|axis| axis.name == name) else {
            let meant = self.meant_axis(name);
            let why = format!("`when` asks for an axis that does not exist{meant}; {}", self.axes_that_exist());
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
