//! The lessons of a scenario: what each asks and teaches, around clients and steps of its own.

use std::ops::Range;

use toml::de::DeValue;

use super::{CELLS_MAX, Entry, Reader, ScenarioError, Section, kind};
use crate::axes::AxisValue;
use crate::packet::Protocol;
use crate::scenario::keys;
use crate::scenario::{Axis, LESSON, Lesson, Part, combinations};
use crate::slip::did_you_mean;
use crate::statement::{self, Statement};

impl<'a> Reader<'a> {
    pub(super) fn lessons(
        &mut self,
        root: &Section<'a>,
        at: &Range<usize>,
        value: &'a Entry<'a>,
    ) -> Result<Vec<Part>, ScenarioError> {
        if let Some((key, at, _)) = root.entries().find(|(key, ..)| matches!(*key, "clients" | "steps" | "except")) {
            let why = format!("`{key}` and `lessons` exclude each other; give each lesson its own `{key}`");
            return Err(self.document.mistake(&at, why));
        }
        if let Some(axis) = self.axes.iter().find(|axis| axis.get_ref().name == LESSON) {
            let why = format!("with lessons there is an axis \"{LESSON}\" already; give this one another name");
            return Err(self.document.mistake(&axis.span(), why));
        }
        let entries = match value.get_ref() {
            DeValue::Array(entries) if !entries.is_empty() => entries,
            other => {
                let found = if other.as_array().is_some() { "none" } else { kind(other) };
                let why = format!("`lessons` takes one or more [[lessons]], not {found}");
                return Err(self.document.mistake(at, why));
            }
        };
        let axes = super::without_places(self.axes.clone());
        let cells = combinations(&axes).count().saturating_mul(entries.len());
        if cells > CELLS_MAX {
            let why = format!("with these lessons there are {cells} cells; a scenario has at most {CELLS_MAX}");
            return Err(self.document.mistake(at, why));
        }
        let mut parts: Vec<Part> = Vec::new();
        for entry in entries {
            let part = self.lesson(entry, &parts)?;
            parts.push(part);
        }
        Ok(parts)
    }

    fn lesson(&mut self, entry: &'a Entry<'a>, before: &[Part]) -> Result<Part, ScenarioError> {
        let section = Section::of(self.document, "a lesson", entry.span(), entry)?;
        section.only(&keys::LESSON)?;
        let (_, name) = section.need("name", "a text")?;
        let at = name.span();
        let name = self.name("lesson", &at, self.text("name", name)?)?;
        if before.iter().any(|part| part.lesson.as_ref().is_some_and(|lesson| lesson.name == name)) {
            let why = format!("there is a lesson \"{name}\" already; give this one another name");
            return Err(self.document.mistake(&at, why));
        }
        let (_, question) = section.need("question", "one sentence")?;
        let found = |key| section.find(key).map(|(_, value)| self.sentence(key, value)).transpose();
        let lesson = Lesson {
            name,
            title: found("title")?,
            question: self.sentence("question", question)?,
            tutorial: found("tutorial")?,
            expected: found("expected")?,
            actual: found("actual")?,
            conclusion: found("conclusion")?,
            advice: found("advice")?,
            statements: self.statements(&section)?,
        };
        self.part(&section, Some(lesson))
    }

    /// Texts such as `3.1.1 MQTT-3.1.2-5`.
    fn statements(&self, lesson: &Section<'a>) -> Result<Vec<&'static Statement>, ScenarioError> {
        const ACCEPTED: &str = "texts such as \"3.1.1 MQTT-3.1.2-5\": a protocol version and the id of a statement";
        let (at, value) = lesson.need("statements", &format!("an array of {ACCEPTED}"))?;
        let entries = match value.get_ref() {
            DeValue::Array(entries) if !entries.is_empty() => entries,
            _ => return Err(self.document.mistake(&at, format!("`statements` takes an array of {ACCEPTED}"))),
        };
        let statement = |entry: &Entry<'_>| {
            let text = self.text("statements", entry)?;
            let found = text.split_once(' ').and_then(|(protocol, id)| {
                let protocol: Protocol = protocol.parse().ok()?;
                statement::find(protocol, id)
            });
            found.ok_or_else(|| {
                let shown = self.document.source(&entry.span());
                let all = Protocol::ALL.into_iter().flat_map(statement::statements);
                let all: Vec<String> = all.map(|own| format!("{} {}", own.protocol, own.id)).collect();
                let meant = did_you_mean(text, all.iter().map(String::as_str));
                let why = format!(
                    "there is no statement {shown}{meant}; `statements` takes {ACCEPTED}, as `list --statements` prints them"
                );
                self.document.mistake(&entry.span(), why)
            })
        };
        entries.iter().map(statement).collect()
    }
}

/// The axes of one part.
pub(super) fn own_axes(mut axes: Vec<Axis>, lesson: Option<&Lesson>) -> Vec<Axis> {
    if let Some(lesson) = lesson {
        axes.insert(0, Axis { name: LESSON.into(), values: vec![AxisValue::Text(lesson.name.clone())] });
    }
    axes
}

/// The axes of a whole scenario.
pub(super) fn axes(mut axes: Vec<Axis>, parts: &[Part]) -> Vec<Axis> {
    let lessons = parts.iter().filter_map(|part| part.lesson.as_ref());
    let values: Vec<AxisValue> = lessons.map(|lesson| AxisValue::Text(lesson.name.clone())).collect();
    if !values.is_empty() {
        axes.insert(0, Axis { name: LESSON.into(), values });
    }
    axes
}
