//! The record in the middle: what a run found, cell by cell, and the file that keeps it.
//!
//! `judge` fills it, `report` and `compare` read it. Everything that changes from run to run stands under `run`, so
//! that two runs against the same broker differ nowhere else.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::packet::Protocol;

pub use crate::axes::{Axes, AxisValue};

/// The name that every results file carries.
pub const FORMAT_NAME: &str = "mqtt-sessions-results";
/// Raised when a reader of the older format would be misled.
pub const FORMAT_MAJOR: u32 = 1;
/// Raised when something was added that an older reader may pass over.
pub const FORMAT_MINOR: u32 = 0;

/// Every cell of one broker: the results file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Results {
    pub format: Format,
    pub tool: Tool,
    pub broker: BrokerLabel,
    pub options: Options,
    pub run: Run,
    pub summary: Summary,
    /// Sorted by id.
    pub cells: Vec<CellResult>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Format {
    pub name: String,
    pub major: u32,
    pub minor: u32,
}

impl Default for Format {
    fn default() -> Self {
        Format { name: FORMAT_NAME.into(), major: FORMAT_MAJOR, minor: FORMAT_MINOR }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    pub name: String,
    pub version: String,
}

impl Default for Tool {
    fn default() -> Self {
        Tool { name: env!("CARGO_PKG_NAME").into(), version: env!("CARGO_PKG_VERSION").into() }
    }
}

/// The broker under test, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BrokerLabel {
    /// Null unless a broker file, an option or `$SYS/broker/version` gave it.
    pub name: Option<String>,
    pub version: Option<String>,
    /// `url`, `embedded`, or the broker file.
    pub how: String,
}

/// What changes the meaning of a cell. Files with different options cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Options {
    /// Messages published while the subscriber is away, where the scenario leaves it open.
    pub messages: u32,
    /// The queue limit that the user declared for a session of this broker, in messages.
    pub queue_limit: Option<u32>,
}

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
    pub settle_ms: u64,
    /// What the clean-up at the end could and could not prove.
    pub cleanup: String,
    pub cells: BTreeMap<String, CellRun>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CellRun {
    pub duration_ms: u64,
    pub attempts: u32,
}

/// How many cells have which verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    pub pass: u32,
    pub fail: u32,
    pub warn: u32,
    pub inconclusive: u32,
    pub unsupported: u32,
    pub error: u32,
}

impl Summary {
    pub fn of<'a>(cells: impl IntoIterator<Item = &'a CellResult>) -> Summary {
        let mut summary = Summary::default();
        for cell in cells {
            *summary.count_mut(cell.verdict) += 1;
        }
        summary
    }

    pub fn count(&self, verdict: Verdict) -> u32 {
        let mut copy = *self;
        *copy.count_mut(verdict)
    }

    fn count_mut(&mut self, verdict: Verdict) -> &mut u32 {
        match verdict {
            Verdict::Pass => &mut self.pass,
            Verdict::Fail => &mut self.fail,
            Verdict::Warn => &mut self.warn,
            Verdict::Inconclusive => &mut self.inconclusive,
            Verdict::Unsupported => &mut self.unsupported,
            Verdict::Error => &mut self.error,
        }
    }
}

/// What the standard says about one history. Ordered from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Pass,
    /// Announced or refused on the wire.
    Unsupported,
    /// A SHOULD was broken, or the broker did something odd that the standard does not forbid.
    Warn,
    /// The evidence does not suffice.
    Inconclusive,
    /// The harness or the network; never the broker's fault.
    Error,
    /// A MUST was broken.
    Fail,
}

impl Verdict {
    /// Worst first: the order in which reports speak of them.
    pub const WORST_FIRST: [Verdict; 6] =
        [Verdict::Fail, Verdict::Error, Verdict::Inconclusive, Verdict::Warn, Verdict::Unsupported, Verdict::Pass];

    pub fn name(self) -> &'static str {
        match self {
            Verdict::Pass => "pass",
            Verdict::Unsupported => "unsupported",
            Verdict::Warn => "warn",
            Verdict::Inconclusive => "inconclusive",
            Verdict::Error => "error",
            Verdict::Fail => "fail",
        }
    }
}

/// One cell: what was sent, what came back, and what the standard says about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CellResult {
    pub id: String,
    pub scenario: String,
    pub axes: Axes,
    pub verdict: Verdict,
    /// One sentence, null for a pass.
    pub reason: Option<String>,
    /// The experiment's messages that were sent.
    pub sent: u32,
    /// Those of them that the broker accepted.
    pub published: u32,
    /// Session Present in the CONNACK of the return.
    pub session_present: Option<bool>,
    /// The first SUBACK's code, 128 and above as it is.
    pub granted_qos: Option<u8>,
    /// The second SUBACK's code.
    pub regranted_qos: Option<u8>,
    /// In order of arrival.
    pub received: Vec<Received>,
    /// What the standard leaves open and this broker decided, by name.
    pub choices: BTreeMap<String, String>,
    /// Sorted by statement, then by the first event.
    pub violations: Vec<Violation>,
    /// The canonical history, one line an event; empty where it was not kept.
    pub history: Vec<String>,
}

/// A PUBLISH on the experiment's topic that the subscriber got after its return.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Received {
    pub phase: Phase,
    /// Which of the experiment's messages, from 1; null if the payload is not ours.
    pub seq: Option<u32>,
    pub qos: u8,
    pub retain: bool,
    pub dup: bool,
    /// Its PUBACK or PUBCOMP was sent; true at QoS 0.
    pub complete: bool,
    /// Its fence had already arrived.
    pub late: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Until the experiment's own SUBSCRIBE is sent on the connection of the return.
    Resumed,
    /// From that SUBSCRIBE on.
    Resubscribed,
    /// On a further connection.
    Again,
}

/// A statement of the standard that the history breaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Violation {
    pub protocol: Protocol,
    /// The statement's id, or the section of an unnumbered sentence.
    pub statement: String,
    pub level: Level,
    pub expected: String,
    pub observed: String,
    /// 1-based indices into the history.
    pub events: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Level {
    #[serde(rename = "MUST")]
    Must,
    #[serde(rename = "SHOULD")]
    Should,
    /// Nothing normative: an oddity that is worth a warning.
    #[serde(rename = "none")]
    None,
}

impl Level {
    pub fn name(self) -> &'static str {
        match self {
            Level::Must => "MUST",
            Level::Should => "SHOULD",
            Level::None => "none",
        }
    }
}

/// Why a results file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    #[error("cannot read {path}: {why}; give a file that --export-json wrote")]
    Read { path: String, why: std::io::Error },
    #[error("{path} is not a results file of mqtt-sessions: {why}; write one with --export-json")]
    NotResults { path: String, why: String },
    #[error("{path} has format {major}.{minor}, and this version reads {FORMAT_MAJOR}.x; {cure}")]
    OtherMajor { path: String, major: u32, minor: u32, cure: &'static str },
}

impl Results {
    /// Reads a results file of this major format version.
    ///
    /// # Errors
    /// A [`ResultsError`] that names the file and says what to do, for a file that cannot be read, that is cut off, of
    /// another kind, or of another major version.
    pub fn load(path: &Path) -> Result<Results, ResultsError> {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|why| ResultsError::Read { path: name.clone(), why })?;
        Results::parse(&name, &text)
    }

    /// Reads the text of a results file; `path` is only for the error.
    ///
    /// # Errors
    /// As [`Results::load`].
    pub fn parse(path: &str, text: &str) -> Result<Results, ResultsError> {
        #[derive(Deserialize)]
        struct Header {
            format: Format,
        }
        let not_results = |why: String| ResultsError::NotResults { path: path.into(), why };
        let unreadable = |error: serde_json::Error| {
            let cut = if error.is_eof() { "it is cut off: " } else { "" };
            not_results(format!("{cut}{error}"))
        };
        let header: Header = serde_json::from_str(text).map_err(unreadable)?;
        let Format { name, major, minor } = header.format;
        if name != FORMAT_NAME {
            return Err(not_results(format!("its format is \"{name}\"")));
        }
        if major != FORMAT_MAJOR {
            let cure = if major > FORMAT_MAJOR { "use a newer mqtt-sessions" } else { "make the file anew" };
            return Err(ResultsError::OtherMajor { path: path.into(), major, minor, cure });
        }
        serde_json::from_str(text).map_err(unreadable)
    }

    /// The JSON Schema of the results file, as this version writes it: every key is there.
    pub fn schema() -> schemars::Schema {
        schemars::generate::SchemaSettings::default().for_serialize().into_generator().into_root_schema_for::<Results>()
    }

    /// The text of the results file, with a newline at its end.
    pub fn to_json(&self) -> String {
        let mut text =
            serde_json::to_string_pretty(self).expect("results hold only strings, numbers and maps by string");
        text.push('\n');
        text
    }
}
