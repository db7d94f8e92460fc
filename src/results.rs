//! The record in the middle: what a run found, cell by cell, and the file that keeps it.
//!
//! `judge` fills it, `report` and `compare` read it. Everything that changes from run to run stands under `run`, so
//! that two runs against a broker that behaves the same differ nowhere else. What was on the wire is such a thing:
//! histories, times, the numbers of events and the wire's names of clients and topics.

mod file;
mod run;

use std::collections::{BTreeMap, HashSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::packet::Protocol;
use crate::plan::Declared;
use crate::vocabulary::Ending;

pub use crate::axes::{Axes, AxisValue};
pub use file::ResultsError;
pub use run::{
    About, AttemptRun, CellRun, CutShort, Evidence, HelperEvidence, HelperRun, Kept, Run, StoredHistoryError,
    in_rfc_3339, to_the_millisecond,
};

/// The name that every results file carries.
pub const FORMAT_NAME: &str = "mqtt-sessions-results";
/// Raised when a reader of the older format would be misled.
pub const FORMAT_MAJOR: u32 = 2;
/// Raised when something was added that an older reader may pass over.
pub const FORMAT_MINOR: u32 = 3;

/// Every cell of one broker: the results file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Results {
    pub format: Format,
    pub tool: Tool,
    pub broker: BrokerLabel,
    pub options: Options,
    pub run: Run,
    pub summary: Summary,
    /// What the broker broke on connections of the harness's own, where no cell is at fault.
    pub broker_findings: BrokerFindings,
    /// Sorted by id.
    pub cells: Vec<CellResult>,
}

/// What the broker broke on the helper connections of a run: those of the witness, of the probe and of the clean-up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BrokerFindings {
    /// Sorted by statement. Their evidence stands under `run.helpers`.
    pub violations: Vec<Violation>,
}

impl Results {
    /// Keeps what came and what was on the wire of these cells alone, and of the others what is said about the broker. The
    /// bytes of packets go, since the histories say as much.
    pub fn keep_examples(&mut self, ids: &HashSet<String>) {
        self.run.kept = Kept::Examples;
        self.run.cells.retain(|id, _| ids.contains(id));
        self.run.cells.values_mut().flat_map(|run| &mut run.attempts).for_each(|attempt| attempt.bytes.clear());
        self.cells.iter_mut().filter(|cell| !ids.contains(&cell.id)).for_each(|cell| cell.received.clear());
    }

    /// Drops what was on the wire in cells that passed.
    pub fn forget_histories_of_passes(&mut self) {
        for cell in self.cells.iter().filter(|cell| cell.verdict == Verdict::Pass) {
            if let Some(run) = self.run.cells.get_mut(&cell.id) {
                run.forget_histories();
            }
        }
    }
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
    /// `url`, `embedded`, or the broker file as it was typed.
    pub how: String,
}

impl BrokerLabel {
    /// How a broker is labelled that was reached by its URL.
    pub const BY_URL: &str = "url";
    /// How the embedded broker is labelled, and typed.
    pub const EMBEDDED: &str = "embedded";

    /// What stands behind `--broker` to measure it again; nothing for the embedded one.
    pub fn typed<'a>(&'a self, url: &'a str) -> Option<&'a str> {
        match self.how.as_str() {
            BrokerLabel::EMBEDDED => None,
            BrokerLabel::BY_URL => Some(url),
            file => Some(file),
        }
    }
}

/// What changes the meaning of a cell. Files with different options cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Options {
    /// Messages published while the subscriber is away, where the scenario leaves it open.
    pub messages: u32,
    /// The queue limit that the user declared for a session of this broker, in messages.
    pub queue_limit: Option<u32>,
    /// The end over which the broker keeps sessions and retained messages, as its file declares; absent where it declares none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durable: Option<Ending>,
}

impl Options {
    pub fn declared(&self) -> Declared {
        Declared { queue_limit: self.queue_limit, durable: self.durable }
    }
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
            summary.add(cell.verdict);
        }
        summary
    }

    /// Counts one more.
    pub fn add(&mut self, verdict: Verdict) {
        *self.count_mut(verdict) += 1;
    }

    /// How many there are.
    pub fn all(&self) -> u32 {
        Verdict::WORST_FIRST.into_iter().map(|verdict| self.count(verdict)).sum()
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
    /// One sentence; null for a pass, unless an attempt before it showed something that did not come again.
    pub reason: Option<String>,
    /// The experiment's messages that were sent, by all clients to all topics.
    pub sent: u32,
    /// The same by topic, with the scenario's names. Empty in files of format 2.0.
    #[serde(default)]
    pub sent_to: BTreeMap<String, u32>,
    /// Those of them that the broker accepted.
    pub published: u32,
    /// Session Present in the CONNACK of the return.
    pub session_present: Option<bool>,
    /// The first SUBACK's code, 128 and above as it is.
    pub granted_qos: Option<u8>,
    /// The second SUBACK's code.
    pub regranted_qos: Option<u8>,
    /// What each client got on the experiment's topics. Loop-backs, fences and wills are left out, and so is what came to
    /// a client behind its last `receive` step on a connection: nobody waited for it, so it came by chance.
    ///
    /// Sorted by client, connection, topic, phase, RETAIN, QoS and publisher, and in order of arrival only where all of
    /// these are the same: no other order is one that a broker has to keep from run to run.
    ///
    /// Where `run.kept` is `examples`, cells that are no example have none.
    pub received: Vec<Received>,
    /// What the standard leaves open and this broker decided, by name.
    pub choices: BTreeMap<String, String>,
    /// Sorted by statement, then by text. Their evidence stands under `run.cells`.
    pub violations: Vec<Violation>,
}

/// A PUBLISH on a topic of the experiment's that came to a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Received {
    /// The scenario's name of the client.
    pub client: String,
    /// Which Network Connection of this client it was, from 1.
    pub connection: u32,
    /// The scenario's name of the topic, also where a Topic Alias stood for it.
    pub topic: String,
    pub phase: Phase,
    /// The `receive` step of the scenario that waited for it, from 1, as the history numbers steps; 0 in files of format 2.0.
    #[serde(default)]
    pub step: u32,
    /// Which of the experiment's messages, from 1; null if the payload is not ours.
    pub seq: Option<u32>,
    pub qos: u8,
    pub retain: bool,
    pub dup: bool,
    /// Its PUBACK or PUBCOMP was sent; true at QoS 0.
    pub complete: bool,
    /// A fence of the same publisher, topic and QoS that was published behind it had already arrived. Always false with
    /// RETAIN 1, since a copy sent because of a SUBSCRIBE has no place in the order.
    pub late: bool,
}

/// When a copy came, in the life of a client identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// On the first connection with this client identifier, so before any return.
    First,
    /// On the second connection with this client identifier, the return, until the experiment's own SUBSCRIBE is sent.
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

    /// As it stands behind the id of a statement in a sentence.
    pub fn in_words(self) -> &'static str {
        match self {
            Level::None => "no MUST",
            level => level.name(),
        }
    }
}
