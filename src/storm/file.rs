//! The file that keeps what a storm found: its format, and what tells one storm from another.

use std::path::Path;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::figures::{Figures, Quantiles, Sample};
use super::judged::Deviant;
use super::{Ledger, Request, Stormed};
use crate::file_format::{FormatError, Kind};
use crate::packet::Protocol;
use crate::partition::Partition;
use crate::results::{BrokerLabel, Evidence, Format, Tool, Verdict, Violation};

/// The name that the file of every storm carries.
pub const FORMAT_NAME: &str = "mqtt-sessions-storm";
/// Raised when a reader of the older format would be misled.
const FORMAT_MAJOR: u32 = 1;
/// Raised when something was added that an older reader may pass over.
const FORMAT_MINOR: u32 = 0;

/// What this file is, for whoever reads one.
const KIND: Kind = Kind { name: FORMAT_NAME, major: FORMAT_MAJOR, what: "storm", command: "mqtt-sessions storm" };

/// What a storm found: its file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StormFile {
    pub format: Format,
    pub tool: Tool,
    pub broker: BrokerLabel,
    pub options: Options,
    pub run: Run,
    pub verdict: Verdict,
    /// Why the storm cannot pass, although no session breaks anything; each a sentence without its full stop.
    pub limits: Vec<String>,
    pub ledger: Ledger,
    /// What the sessions broke that were judged, those with most sessions first.
    pub findings: Vec<Finding>,
}

/// What makes two storms the same experiment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Options {
    pub protocol: Protocol,
    /// In a part of a storm, those of all parts.
    pub sessions: u32,
    /// For each session.
    pub messages: u32,
    /// Of the publications and the subscriptions.
    pub qos: u8,
    /// The payload of a message, in bytes.
    pub size: u64,
    /// Sessions that return in a second; null is as many as can.
    pub return_rate: Option<u32>,
    pub away_ms: u64,
}

/// Everything that differs from storm to storm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// RFC 3339, UTC.
    pub started_at: String,
    pub duration_ms: u64,
    /// Without credentials.
    pub url: String,
    /// How the client ids and topics began.
    pub prefix: String,
    /// The part of a storm that this is; absent where it is a whole storm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<Partition>,
    /// What the clean-up at the end could and could not prove.
    pub cleanup: String,
    pub phases: Phases,
    /// How far the return was from time to time.
    pub timeline: Vec<Sample>,
    /// The sessions that were judged.
    pub deviants: Vec<DeviantRun>,
}

/// How long each phase took, and the latencies in it; null where there was nothing to be measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Phases {
    pub parking_ms: u64,
    pub publishing_ms: u64,
    /// From the first CONNECT of the return to the last session that had all of its messages.
    pub returning_ms: u64,
    pub cleaning_ms: u64,
    /// CONNECT to CONNACK while the sessions were parked. Each connection begins with that of TCP.
    pub park_connack: Option<Quantiles>,
    /// PUBLISH to PUBACK or PUBCOMP.
    pub acknowledged: Option<Quantiles>,
    /// The return: from the beginning of the connection to CONNACK.
    pub connack: Option<Quantiles>,
    /// From there to the first message, to the last one, and until that was acknowledged.
    pub first_message: Option<Quantiles>,
    pub last_message: Option<Quantiles>,
    pub drained: Option<Quantiles>,
}

/// A statement that sessions break.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    #[serde(flatten)]
    pub violation: Violation,
    /// How many sessions deviate as those do that were judged.
    pub sessions: u64,
}

/// A session that was judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeviantRun {
    /// The number of the session.
    pub session: u32,
    /// How many sessions deviate alike, with this one.
    pub alike: u64,
    pub verdict: Verdict,
    /// Why; null for a pass.
    pub reason: Option<String>,
    /// Where its violations are seen.
    pub evidence: Vec<Evidence>,
    pub violations: Vec<Violation>,
    /// What was on the wire, one line an event.
    pub history: Vec<String>,
}

impl StormFile {
    /// The JSON Schema of the file, as this version writes it: every key is there.
    pub fn schema() -> schemars::Schema {
        let settings = schemars::generate::SchemaSettings::default().for_serialize();
        settings.into_generator().into_root_schema_for::<StormFile>()
    }

    /// Reads such a file; `None` where it is of another kind.
    ///
    /// # Errors
    /// [`FormatError`] for one that is cut off, or of another major version.
    pub fn read(path: &Path) -> Result<Option<StormFile>, FormatError> {
        KIND.read(path)
    }

    pub fn format() -> Format {
        Format { name: FORMAT_NAME.into(), major: FORMAT_MAJOR, minor: FORMAT_MINOR }
    }
}

impl Options {
    pub fn of(request: &Request, sessions: u32) -> Options {
        Options {
            protocol: request.protocol,
            sessions,
            messages: request.messages,
            qos: request.qos,
            size: request.size as u64,
            return_rate: request.return_rate,
            away_ms: milliseconds(request.away),
        }
    }
}

impl Phases {
    pub fn of(figures: &Figures) -> Phases {
        Phases {
            parking_ms: milliseconds(figures.parking),
            publishing_ms: milliseconds(figures.publishing),
            returning_ms: milliseconds(figures.returning),
            cleaning_ms: milliseconds(figures.cleaning),
            park_connack: figures.park_connack.quantiles(),
            acknowledged: figures.acknowledged.quantiles(),
            connack: figures.connack.quantiles(),
            first_message: figures.first.quantiles(),
            last_message: figures.last.quantiles(),
            drained: figures.drained.quantiles(),
        }
    }
}

impl Stormed {
    /// What the sessions broke that were judged, each once.
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings: Vec<Finding> = Vec::new();
        for Deviant { judged, alike, .. } in &self.judged.deviants {
            for violation in &judged.result.violations {
                // Those of one kind have the same count, which is told once.
                match findings.iter_mut().find(|known| known.is_of_the_kind(violation)) {
                    Some(finding) => finding.sessions = finding.sessions.max(*alike),
                    None => findings.push(Finding { violation: violation.clone(), sessions: *alike }),
                }
            }
        }
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.sessions));
        findings
    }
}

impl Finding {
    /// True if both break the same, whichever message it was.
    pub fn is_of_the_kind(&self, violation: &Violation) -> bool {
        self.violation.statement == violation.statement && self.violation.expected == violation.expected
    }
}

impl From<&Deviant> for DeviantRun {
    fn from(deviant: &Deviant) -> DeviantRun {
        let result = &deviant.judged.result;
        DeviantRun {
            session: deviant.number,
            alike: deviant.alike,
            verdict: result.verdict,
            reason: result.reason.clone(),
            evidence: deviant.judged.evidence.clone(),
            violations: result.violations.clone(),
            history: deviant.history.lines(),
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
