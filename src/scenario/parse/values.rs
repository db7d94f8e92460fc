//! The values in a section: required or not, written out or given by an axis.

use std::ops::RangeInclusive;

use super::{Entry, FromAxis, Reader, ScenarioError, Section, Value, scalar};
use crate::slip::did_you_mean;
use toml::Spanned;

impl<'a> Reader<'a> {
    pub(super) fn required<T: FromAxis>(
        &mut self,
        section: &Section<'a>,
        key: &str,
    ) -> Result<Value<T>, ScenarioError> {
        let (_, value) = section.need(key, T::ACCEPTED)?;
        self.value(key, value)
    }

    /// The value of a key, or what it is where the key is left out.
    pub(super) fn optional<T: FromAxis>(
        &mut self,
        section: &Section<'a>,
        key: &str,
        default: T,
    ) -> Result<Value<T>, ScenarioError> {
        Ok(self.found(section, key)?.unwrap_or(Value::Is(default)))
    }

    /// The value of a key, if it is there.
    pub(super) fn found<T: FromAxis>(
        &mut self,
        section: &Section<'a>,
        key: &str,
    ) -> Result<Option<Value<T>>, ScenarioError> {
        section.find(key).map(|(_, value)| self.value(key, value)).transpose()
    }

    /// A number within bounds, if the key is there; given by an axis, each value of the axis is within them.
    pub(super) fn whole_number(
        &mut self,
        section: &Section<'a>,
        key: &str,
        within: RangeInclusive<u32>,
    ) -> Result<Option<Value<u32>>, ScenarioError> {
        let Some((_, entry)) = section.find(key) else { return Ok(None) };
        let number = self.value(key, entry)?;
        let axis = |name: &String| self.axes.iter().map(Spanned::get_ref).find(|axis| axis.name == *name);
        let values: Vec<u32> = match &number {
            Value::Is(number) => vec![*number],
            Value::Axis(name) => axis(name).iter().flat_map(|axis| &axis.values).filter_map(u32::from_axis).collect(),
        };
        if values.iter().all(|value| within.contains(value)) {
            return Ok(Some(number));
        }
        let shown = self.document.source(&entry.span());
        let (first, last) = within.into_inner();
        let why = format!("`{key}` cannot be {shown}; it takes whole numbers from {first} to {last}");
        Err(self.document.mistake(&entry.span(), why))
    }

    /// A value as it stands there, or the axis that gives it.
    pub(super) fn value<T: FromAxis>(&mut self, key: &str, entry: &Entry<'a>) -> Result<Value<T>, ScenarioError> {
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
            let exist = self.axes_that_exist();
            let meant = self.meant_axis(name);
            let why =
                format!("there is no axis for {shown}{meant}; `{key}` takes {accepted}, or \"$\" and an axis: {exist}");
            return Err(self.document.mistake(&entry.span(), why));
        };
        if let Some(misfit) = axis.values.iter().find(|value| T::from_axis(value).is_none()) {
            let why = format!("`{key}` cannot be {shown}, because that axis holds {misfit}; it takes {accepted}");
            return Err(self.document.mistake(&entry.span(), why));
        }
        self.used.insert(name.into());
        Ok(Value::Axis(name.into()))
    }

    /// The axis that somebody may mean who names another.
    pub(super) fn meant_axis(&self, name: &str) -> String {
        did_you_mean(name, self.axes.iter().map(|axis| axis.get_ref().name.as_str()))
    }

    /// The axes, for the reader of a mistake.
    pub(super) fn axes_that_exist(&self) -> String {
        let names: Vec<&str> = self.axes.iter().map(|axis| axis.get_ref().name.as_str()).collect();
        if names.is_empty() { "none is declared".into() } else { format!("there are {}", names.join(", ")) }
    }
}
