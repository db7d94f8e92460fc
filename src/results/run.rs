//! What differs from run to run: when and how the run was made, what was on the wire, and where evidence stands in it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use schemars::JsonSchema;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::history::{Entry, History, HistoryError};
use crate::partition::PartOfRun;

/// Everything that differs from run to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// RFC 3339, UTC.
    pub started_at: String,
    /// How the client ids and topics of this run begin.
    pub prefix: String,
    pub duration_ms: u64,
    /// The operating system and architecture that ran the tool.
    pub host: String,
    /// Without credentials.
    pub url: String,
    /// The options beside the URL that reached the broker, as they were typed, for a command that repeats a cell. No password is
    /// among them.
    #[serde(default)]
    pub reached_with: Vec<String>,
    pub settle_ms: u64,
    /// The files of scenarios that are not built in, by the name of the scenario.
    pub scenario_files: BTreeMap<String, String>,
    /// What each scenario is about, by its name; absent in older files.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scenarios: BTreeMap<String, About>,
    /// The part of a run that this is; absent where it is a whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<PartOfRun>,
    /// Every planned cell has a record: nothing cut the run short.
    pub complete: bool,
    /// What cut it short; absent where the run is complete, and in older files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_short: Option<CutShort>,
    /// How many cells were to be run.
    pub planned: u32,
    /// Of which cells the file has what came to the clients.
    #[serde(default)]
    pub kept: Kept,
    /// What the clean-up at the end could and could not prove.
    pub cleanup: String,
    /// What was on the wire for `broker_findings`.
    pub helpers: HelperRun,
    /// By the cell's id.
    #[serde(deserialize_with = "each_once")]
    pub cells: BTreeMap<String, CellRun>,
}

/// The cells of which a results file has what came to the clients, and what was on the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// What came to the clients of every cell.
    #[default]
    All,
    /// One cell for each finding.
    Examples,
}

/// What a scenario is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct About {
    pub question: String,
    /// A client has a will, which is none of the experiment's messages and is not counted with them.
    pub has_wills: bool,
}

/// What cut a run short before each planned cell had its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CutShort {
    /// A signal came.
    Interrupted,
    /// Nobody answered any more.
    BrokerGone,
    /// The time for the cells was over.
    TimeLimit,
}

impl CutShort {
    /// As half a sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            CutShort::Interrupted => "interrupted",
            CutShort::BrokerGone => "the broker was gone",
            CutShort::TimeLimit => "the time limit passed",
        }
    }
}

/// The last second that RFC 3339 can tell, since 1970.
const LAST_SECOND: Duration = Duration::from_secs(253_402_300_799);

/// A time as the results tell it. A clock that stands before 1970 or after the year 9999 is told as near as can be: it must
/// not cost a run its results.
pub fn in_rfc_3339(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(as_can_be_told(time)).to_string()
}

/// As [`in_rfc_3339`], with milliseconds.
pub fn to_the_millisecond(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(as_can_be_told(time)).to_string()
}

fn as_can_be_told(time: SystemTime) -> SystemTime {
    time.clamp(UNIX_EPOCH, UNIX_EPOCH + LAST_SECOND)
}

/// Reads an object that has no key twice: JSON permits it, and the first value would be lost.
fn each_once<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, CellRun>, D::Error> {
    struct EachOnce;
    impl<'de> Visitor<'de> for EachOnce {
        type Value = BTreeMap<String, CellRun>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of runs by the ids of their cells")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut runs = BTreeMap::new();
            while let Some((id, run)) = map.next_entry::<String, CellRun>()? {
                if runs.contains_key(&id) {
                    return Err(A::Error::custom(format!("the run of the cell {id} stands there twice")));
                }
                runs.insert(id, run);
            }
            Ok(runs)
        }
    }
    deserializer.deserialize_map(EachOnce)
}

/// How one cell was run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CellRun {
    pub duration_ms: u64,
    /// The names of the attempt on which the verdict rests.
    pub names: BTreeMap<String, String>,
    /// Oldest first; each has client ids and topics of its own.
    pub attempts: Vec<AttemptRun>,
    /// Where the cell's violations are seen.
    pub evidence: Vec<Evidence>,
}

/// One attempt at a cell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptRun {
    /// RFC 3339, UTC, with milliseconds: the zero of the times in the history. Empty where nobody noted it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub began_at: String,
    /// From the scenario's name of a client to its client id on the wire, and from the scenario's name of a topic or
    /// filter to the one on the wire. A topic that has the name of a client stands as `topic NAME`; `witness` is the tool's
    /// own client, and `assigned1` a client id that the broker assigned.
    pub names: BTreeMap<String, String>,
    /// What was on the wire, one line an event, in the order in which the harness saw it; empty where it was not kept.
    pub history: Vec<String>,
    /// For each line of the history the bytes of its packet, in Base64; empty where it has none. Those of CONNECT, which may
    /// hold a password, and of packets of more than 1024 bytes are not kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bytes: Vec<String>,
}

/// Where a violation is seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// The violation, as an index into those of the cell, from 0.
    pub violation: usize,
    /// The attempt whose history shows it, from 1.
    pub attempt: usize,
    /// The lines of that history, from 1.
    pub events: Vec<usize>,
    /// For a finding about time, how late something came or how long it was waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<u64>,
}

/// What was on the wire on connections of the harness's own, as far as findings rest on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HelperRun {
    /// The lines of each history.
    pub histories: Vec<Vec<String>>,
    pub evidence: Vec<HelperEvidence>,
}

/// Where a violation of `broker_findings` is seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HelperEvidence {
    /// The violation, as an index into those of the broker, from 0.
    pub violation: usize,
    /// The history that shows it, from 1.
    pub history: usize,
    /// The lines of that history, from 1.
    pub events: Vec<usize>,
}

/// Why a stored history cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("attempt {attempt}, {why}; measure again with --histories all")]
pub struct StoredHistoryError {
    /// From 1.
    pub attempt: usize,
    pub why: HistoryError,
}

impl HelperRun {
    /// The histories.
    ///
    /// # Errors
    /// [`StoredHistoryError`] where the stored lines are no history; its `attempt` is the number of the history.
    pub fn parsed(&self) -> Result<Vec<History>, StoredHistoryError> {
        let numbered = (1..).zip(&self.histories);
        let parse = |(attempt, lines): (usize, &Vec<String>)| {
            History::parse(lines.iter().map(String::as_str)).map_err(|why| StoredHistoryError { attempt, why })
        };
        numbered.map(parse).collect()
    }

    /// The lines that show a violation, by its index, with their numbers.
    pub fn lines_of(&self, violation: usize) -> Vec<(usize, &str)> {
        let Some(evidence) = self.evidence.iter().find(|evidence| evidence.violation == violation) else {
            return Vec::new();
        };
        let history = evidence.history.checked_sub(1).and_then(|place| self.histories.get(place));
        numbered_lines(history.map_or(&[], Vec::as_slice), &evidence.events)
    }
}

/// The lines with these numbers, from 1.
fn numbered_lines<'a>(history: &'a [String], events: &[usize]) -> Vec<(usize, &'a str)> {
    let line = |event: &usize| Some((*event, history.get(event.checked_sub(1)?)?.as_str()));
    events.iter().filter_map(line).collect()
}

impl AttemptRun {
    /// An attempt with this history.
    pub fn of(history: &History, names: BTreeMap<String, String>, began_at: Option<SystemTime>) -> AttemptRun {
        let bytes = |entry: &Entry| entry.raw.as_ref().map(|raw| BASE64_STANDARD.encode(raw)).unwrap_or_default();
        let began_at = began_at.map(to_the_millisecond);
        AttemptRun {
            began_at: began_at.unwrap_or_default(),
            names,
            history: history.lines(),
            bytes: history.entries.iter().map(bytes).collect(),
        }
    }

    /// When it began, if that was noted.
    pub fn began(&self) -> Option<SystemTime> {
        humantime::parse_rfc3339(&self.began_at).ok()
    }

    /// The history, with the bytes of the packets; empty where it was not kept.
    ///
    /// # Errors
    /// [`HistoryError`] where the stored lines are no history, or have bytes that cannot be read.
    pub fn parsed(&self) -> Result<History, HistoryError> {
        let mut history = History::parse(self.history.iter().map(String::as_str))?;
        for (place, (entry, bytes)) in history.entries.iter_mut().zip(&self.bytes).enumerate() {
            let no_base64 = |_| HistoryError { line: place + 1, why: "its bytes are no Base64".into() };
            let bytes = BASE64_STANDARD.decode(bytes).map_err(no_base64)?;
            entry.raw = (!bytes.is_empty()).then(|| bytes.into());
        }
        Ok(history)
    }
}

impl CellRun {
    /// True if the histories were kept.
    pub fn has_histories(&self) -> bool {
        self.attempts.iter().any(|attempt| !attempt.history.is_empty())
    }

    /// Notes on which attempt the verdict rests, from 1, and where its violations are seen.
    pub fn rest_on(&mut self, attempt: usize, evidence: Vec<Evidence>) {
        let deciding = attempt.checked_sub(1).and_then(|place| self.attempts.get(place));
        self.names = deciding.map(|attempt| attempt.names.clone()).unwrap_or_default();
        self.evidence = evidence;
    }

    /// Drops what was on the wire. How many attempts there were, and their names, stay.
    pub fn forget_histories(&mut self) {
        for attempt in &mut self.attempts {
            attempt.history.clear();
            attempt.bytes.clear();
        }
    }

    /// The history of each attempt, oldest first; empty ones where they were not kept.
    ///
    /// # Errors
    /// [`StoredHistoryError`] where the stored lines are no history.
    pub fn histories(&self) -> Result<Vec<History>, StoredHistoryError> {
        let numbered = (1..).zip(&self.attempts);
        numbered.map(|(attempt, stored)| stored.parsed().map_err(|why| StoredHistoryError { attempt, why })).collect()
    }

    /// The attempt on which the verdict rests: the one whose names are the cell's.
    pub fn deciding(&self) -> Option<&AttemptRun> {
        self.attempts.iter().rfind(|attempt| attempt.names == self.names)
    }

    /// The evidence of one violation of the cell, by its index.
    pub fn evidence_of(&self, violation: usize) -> Option<&Evidence> {
        self.evidence.iter().find(|evidence| evidence.violation == violation)
    }

    /// The lines that show a violation of the cell, by its index, with their numbers.
    pub fn lines_of(&self, violation: usize) -> Vec<(usize, &str)> {
        let Some(evidence) = self.evidence_of(violation) else { return Vec::new() };
        let attempt = evidence.attempt.checked_sub(1).and_then(|place| self.attempts.get(place));
        numbered_lines(attempt.map_or(&[], |attempt| attempt.history.as_slice()), &evidence.events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_clock_costs_a_run_its_results() {
        let day = Duration::from_secs(86_400);
        for (time, told) in [
            (UNIX_EPOCH + day, "1970-01-02T00:00:00Z"),
            (UNIX_EPOCH - day, "1970-01-01T00:00:00Z"),
            (UNIX_EPOCH + LAST_SECOND + Duration::from_nanos(999_999_999), "9999-12-31T23:59:59Z"),
            (UNIX_EPOCH + LAST_SECOND + day, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(in_rfc_3339(time), told);
        }
    }
}
