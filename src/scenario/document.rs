//! A TOML document that remembers where everything stands, so that a mistake can be shown with its line.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::ScenarioError;
use super::excerpt::excerpt;
use crate::slip::did_you_mean;

/// A value with its place in the text.
pub type Entry<'a> = Spanned<DeValue<'a>>;

/// The most characters of the file that a mistake repeats.
const SHOWN_MAX: usize = 40;

/// The text of a scenario file.
pub struct Document<'a> {
    pub file: &'a str,
    pub text: &'a str,
}

impl<'a> Document<'a> {
    /// Reads the text as TOML.
    pub fn parse(&self) -> Result<Spanned<DeTable<'a>>, ScenarioError> {
        DeTable::parse(self.text).map_err(|error| {
            let at = error.span().unwrap_or(0..0);
            let found = self.source(&at);
            let place = if found.is_empty() { String::new() } else { format!(" at `{found}`") };
            self.mistake(&at, format!("the file is not valid TOML{place}: {}", error.message()))
        })
    }

    /// A mistake at a place of the text.
    pub fn mistake(&self, at: &Range<usize>, why: impl Into<String>) -> ScenarioError {
        // What is missing at the very end is best looked for on the last line that says something.
        let end = at.start.min(self.text.trim_end().len());
        let line = 1 + self.text.as_bytes()[..end].iter().filter(|byte| **byte == b'\n').count();
        let excerpt = excerpt(self.text, end..at.end.max(end), line);
        ScenarioError { file: self.file.into(), line: Some(line), why: why.into(), excerpt: Some(excerpt) }
    }

    /// How a place of the text is spelled, cut to what a sentence can bear.
    pub fn source(&self, at: &Range<usize>) -> String {
        let first_line = self.text.get(at.clone()).unwrap_or_default().lines().next().unwrap_or_default();
        let mut shown: String = first_line.chars().filter(|c| !c.is_control()).take(SHOWN_MAX).collect();
        if shown.len() < at.len() && !shown.is_empty() {
            shown.push('…');
        }
        shown
    }
}

/// A table of the document.
pub struct Section<'a> {
    document: &'a Document<'a>,
    /// The name of the table, for the reader of a mistake.
    what: &'static str,
    at: Range<usize>,
    table: &'a DeTable<'a>,
}

impl<'a> Section<'a> {
    pub fn root(document: &'a Document<'a>, table: &'a DeTable<'a>) -> Section<'a> {
        Section { document, what: "a scenario", at: 0..0, table }
    }

    /// The table that a value is; `at` is where its name stands.
    pub fn of(
        document: &'a Document<'a>,
        what: &'static str,
        at: Range<usize>,
        value: &'a Entry<'a>,
    ) -> Result<Section<'a>, ScenarioError> {
        match value.get_ref() {
            DeValue::Table(table) => Ok(Section { document, what, at, table }),
            other => Err(document.mistake(&value.span(), format!("{what} is a table, not {}", kind(other)))),
        }
    }

    /// Refuses every key that is not listed.
    pub fn only(&self, keys: &[&str]) -> Result<(), ScenarioError> {
        match self.entries().find(|(key, ..)| !keys.contains(key)) {
            Some((key, at, _)) => {
                let shown = self.document.source(&at);
                let meant = did_you_mean(key, keys.iter().copied());
                let why = format!("unknown key `{shown}`{meant}; {} takes {}", self.what, keys.join(", "));
                Err(self.document.mistake(&at, why))
            }
            None => Ok(()),
        }
    }

    /// The keys, their places and their values, in the order of the file.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, Range<usize>, &'a Entry<'a>)> + use<'a> {
        self.table.iter().map(|(key, value)| (key.get_ref().as_ref(), key.span(), value))
    }

    /// The place of a key and its value.
    pub fn find(&self, key: &str) -> Option<(Range<usize>, &'a Entry<'a>)> {
        self.entries().find(|(name, ..)| *name == key).map(|(_, at, value)| (at, value))
    }

    /// As [`Section::find`], for a key that must be there; `accepted` says what it would hold.
    pub fn need(&self, key: &str, accepted: &str) -> Result<(Range<usize>, &'a Entry<'a>), ScenarioError> {
        self.find(key).ok_or_else(|| {
            let why = format!("{} needs the key `{key}`, which takes {accepted}", self.what);
            let mistake = self.document.mistake(&self.at, why);
            // What a whole file lacks has no place in it.
            if self.at.is_empty() { ScenarioError { excerpt: None, ..mistake } } else { mistake }
        })
    }
}

/// The kind of a value, with its article.
pub fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
