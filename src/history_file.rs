//! A history as a text file: lines that begin with `#`, which may say what the standard says about it, and then one event
//! a line. `tests/histories/README.md` describes the format.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use crate::axes::Axes;
use crate::history::History;
use crate::input::read_text;
use crate::judge::{self, Combined};
use crate::packet::Protocol;
use crate::plan::{Cell, Declared};
use crate::results::{CellResult, Verdict};
use crate::statement;
use crate::visible::is_hidden;
use crate::vocabulary::Ending;

/// The keys of a head.
const KEYS: [&str; 8] =
    ["verdict", "statements", "choices", "attempts", "queue_limit", "durable", "published", "reason"];
/// How the line begins that opens an attempt.
const ATTEMPT: &str = "attempt ";

/// For whoever writes a line of another kind.
const EVENT: &str = "write an event as results files have it under run.cells";

/// A history from a file.
#[derive(Debug)]
pub struct HistoryFile {
    /// The file's name without its extension.
    pub name: String,
    /// The expectation of the head; `None` if it gives no verdict.
    pub expected: Option<Expected>,
    pub declared: Declared,
    /// Oldest first; never empty.
    pub attempts: Vec<History>,
}

/// The verdict of the standard on a history, by the word of its head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    pub verdict: Verdict,
    /// All statements that are cited.
    pub statements: BTreeSet<String>,
    /// All choices that are recorded; `None` where the head says nothing about choices.
    pub choices: Option<BTreeMap<String, String>>,
    /// How many of the experiment's messages count as accepted.
    pub published: Option<u32>,
    /// A part of the sentence that gives the reason.
    pub reason: Option<String>,
}

/// Why a file holds no history.
#[derive(Debug, PartialEq, Eq)]
pub struct HistoryFileError {
    pub file: String,
    /// From 1, where the mistake has a place.
    pub line: Option<usize>,
    /// The mistake, and its cure.
    pub why: String,
}

impl fmt::Display for HistoryFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.why),
            None => write!(f, "{}: {}", self.file, self.why),
        }
    }
}

impl std::error::Error for HistoryFileError {}

impl HistoryFile {
    /// Reads the file at a path.
    ///
    /// # Errors
    /// [`HistoryFileError`] with file, line and cure.
    pub fn load(path: &Path) -> Result<HistoryFile, HistoryFileError> {
        let file = path.display().to_string();
        let text = read_text(path).map_err(|error| HistoryFileError {
            file: file.clone(),
            line: None,
            why: format!("it cannot be read ({error}); name a text file with one event a line"),
        })?;
        let name = path.file_stem().map_or(file.clone(), |stem| stem.to_string_lossy().into_owned());
        HistoryFile::parse(&name, &text).map_err(|(line, why)| HistoryFileError { file, line: Some(line), why })
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// The line, from 1, and what is wrong there.
    pub fn parse(name: &str, text: &str) -> Result<HistoryFile, (usize, String)> {
        let (head, events) = split(text)?;
        let at_key = |(key, why)| (head.get(key).map_or(1, |(line, _)| *line), why);
        Ok(HistoryFile {
            name: name.into(),
            expected: expected(&head).map_err(at_key)?,
            declared: Declared {
                queue_limit: number(&head, "queue_limit").map_err(at_key)?,
                durable: ending(&head, "durable").map_err(at_key)?,
            },
            attempts: attempts(&events, number(&head, "attempts").map_err(at_key)?).map_err(at_key)?,
        })
    }
}

impl HistoryFile {
    /// Judges all attempts.
    pub fn judged(&self) -> Combined {
        // The steps stand in the history, as far as they were played.
        let cell = Cell {
            id: self.name.clone(),
            scenario: self.name.clone(),
            axes: Axes::default(),
            clients: Vec::new(),
            steps: Vec::new(),
            declared: self.declared,
        };
        judge::combine(&cell, self.attempts.iter().map(|attempt| judge::judge(&cell, attempt)).collect())
    }
}

/// The values of the head by key, each with its line.
type Head<'a> = BTreeMap<&'a str, (usize, &'a str)>;

/// The head, and the lines with events.
fn split(text: &str) -> Result<(Head<'_>, Vec<&str>), (usize, String)> {
    let mut head = Head::new();
    let mut events: Vec<&str> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        match line.strip_prefix('#') {
            Some(_) if !events.is_empty() => {
                return Err((number, "a comment stands only in the head; move it above the first event".into()));
            }
            Some(comment) => {
                let Some((key, value)) = comment.trim().split_once(':').filter(|(key, _)| KEYS.contains(key)) else {
                    continue;
                };
                if value.trim().contains(is_hidden) {
                    return Err((number, format!("{key} has a control character; leave it out")));
                }
                if head.insert(key, (number, value.trim())).is_some() {
                    return Err((number, format!("{key} stands here twice; leave one of them out")));
                }
            }
            None => {
                History::parse([line]).map_err(|error| (number, format!("{}; {EVENT}", error.why)))?;
                events.push(line);
            }
        }
    }
    if events.is_empty() {
        return Err((text.lines().count().max(1), "there is no event; write one a line below the head".into()));
    }
    Ok((head, events))
}

/// The expectation of the head. The error is a key and what is wrong with it.
fn expected(head: &Head<'_>) -> Result<Option<Expected>, (&'static str, String)> {
    let value = |key: &str| head.get(key).map(|(_, value)| *value);
    let Some(verdict) = value("verdict") else {
        let only_with = ["statements", "choices", "published", "reason"].into_iter().find(|key| head.contains_key(key));
        return only_with.map_or(Ok(None), |key| Err((key, "there is no \"# verdict:\" beside it; add one".into())));
    };
    let names = Verdict::WORST_FIRST.map(Verdict::name).join(", ");
    let verdict = Verdict::WORST_FIRST.into_iter().find(|known| known.name() == verdict);
    let verdict = verdict.ok_or(("verdict", format!("a verdict is one of {names}")))?;
    let cited = value("statements").ok_or(("statements", "there is no \"# statements:\"; add it".into()))?;
    let cited: Vec<&str> = cited.split_whitespace().collect();
    let known = |id: &str| Protocol::ALL.into_iter().any(|protocol| statement::find(protocol, id).is_some());
    if let Some(unknown) = cited.iter().find(|id| !known(id)) {
        return Err(("statements", format!("there is no statement {unknown}; write its id, as in MQTT-3.1.2-5")));
    }
    if !cited.is_sorted_by(|one, next| one < next) {
        return Err((
            "statements",
            "they are not sorted, or one stands there twice; write each once, in the order of the alphabet".into(),
        ));
    }
    let pair = |pair: &str| pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let choices = |text: &str| text.split_whitespace().map(pair).collect::<Option<BTreeMap<_, _>>>();
    let choices =
        value("choices").map(|text| choices(text).ok_or(("choices", "a choice is name=value; write both".into())));
    Ok(Some(Expected {
        verdict,
        statements: cited.into_iter().map(str::to_owned).collect(),
        choices: choices.transpose()?,
        published: number(head, "published")?,
        reason: value("reason").map(String::from),
    }))
}

fn number(head: &Head<'_>, key: &'static str) -> Result<Option<u32>, (&'static str, String)> {
    let number = |(_, text): &(usize, &str)| {
        text.parse().map_err(|_| (key, format!("{key} is a number, not \"{text}\"; write one")))
    };
    head.get(key).map(number).transpose()
}

fn ending(head: &Head<'_>, key: &'static str) -> Result<Option<Ending>, (&'static str, String)> {
    let ending = |(_, text): &(usize, &str)| match *text {
        "stop" => Ok(Ending::Stop),
        "kill" => Ok(Ending::Kill),
        _ => Err((key, format!("{key} is stop or kill, not \"{text}\"; write one of them"))),
    };
    head.get(key).map(ending).transpose()
}

/// The most attempts that a head can ask for: no run makes more, and each takes memory.
const ATTEMPTS_MAX: u32 = 100;

/// The attempts: so many that all went the same, or those that the file itself opens.
fn attempts(events: &[&str], count: Option<u32>) -> Result<Vec<History>, (&'static str, String)> {
    let wrong = |why: &str| ("attempts", why.to_owned());
    let opened = events.iter().filter(|line| line.starts_with(ATTEMPT)).count();
    let history = History::parse(events.iter().copied()).map_err(|error| wrong(&error.why))?;
    match (opened, events[0].starts_with(ATTEMPT), count) {
        (0, _, Some(count)) if !(1..=ATTEMPTS_MAX).contains(&count) => {
            Err(wrong(&format!("there are 1 to {ATTEMPTS_MAX} attempts; write such a number")))
        }
        (0, ..) => Ok(vec![history; count.unwrap_or(1) as usize]),
        (_, true, None) => Ok(history.attempts()),
        _ => Err(wrong(
            "either the head says how many attempts there were, or each is opened by a line, the first too; leave one of \
                 them out",
        )),
    }
}

impl Expected {
    /// The difference between the judge's word and the head's, in one line; `None` if they say the same.
    pub fn disagreement(&self, judged: &CellResult) -> Option<String> {
        let reason = judged.reason.as_deref().unwrap_or_default();
        let found = Expected {
            verdict: judged.verdict,
            statements: judged.violations.iter().map(|violation| violation.statement.clone()).collect(),
            choices: self.choices.as_ref().map(|_| judged.choices.clone()),
            published: self.published.map(|_| judged.published),
            reason: self.reason.clone().filter(|part| reason.contains(part.as_str())),
        };
        (found != *self).then(|| format!("the head says {self}; the judge says {found}"))
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let statements: Vec<&str> = self.statements.iter().map(String::as_str).collect();
        write!(f, "{} [{}]", self.verdict.name(), statements.join(" "))?;
        if let Some(choices) = &self.choices {
            let choices: Vec<String> = choices.iter().map(|(name, value)| format!("{name}={value}")).collect();
            write!(f, ", choices [{}]", choices.join(" "))?;
        }
        if let Some(published) = self.published {
            write!(f, ", published {published}")?;
        }
        self.reason.as_ref().map_or(Ok(()), |reason| write!(f, ", because \"{reason}\""))
    }
}
