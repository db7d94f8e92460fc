//! The results of all parts of a run -> the results of the whole run. What makes files parts of one run holds for storms, too.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::judge::judge_helpers;
use crate::partition::Partition;
use crate::results::{
    BrokerLabel, CutShort, Format, HelperRun, Results, Run, StoredHistoryError, Summary, in_rfc_3339,
};

/// Why files do not make one run; each names the files, and what helps.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotOneRun {
    #[error(
        "{file} is no part of a run; give files of runs with --partition, or see whole ones with `mqtt-sessions report`"
    )]
    NoPart { file: String },
    #[error("{first} and {other} are of different runs: {what}; give the parts of one run")]
    Different { first: String, other: String, what: String },
    #[error("{first} and {other} are both part {part}; give each part once")]
    Twice { first: String, other: String, part: u32 },
    #[error("of {of} parts there is no {}; give their files too", listed(parts))]
    Missing { of: u32, parts: Vec<u32> },
    #[error("{file}: {why}")]
    Unreadable { file: String, why: StoredHistoryError },
}

/// `3`, `3, 5`.
fn listed(parts: &[u32]) -> String {
    parts.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

/// The results of one part, and the file that has them.
pub type Part = (String, Results);

/// One results file of all parts; what stands outside of `run` is as if the whole run had been made at once.
///
/// # Errors
/// [`NotOneRun`], where the files are not all parts of one run, each once.
pub fn merge(mut parts: Vec<Part>) -> Result<Results, NotOneRun> {
    check(&parts)?;
    parts.sort_by_key(|(_, results)| results.run.partition.as_ref().map(|part| part.partition.part));
    let mut helpers = Vec::new();
    for (file, results) in &parts {
        let parsed = results.run.helpers.parsed();
        helpers.extend(parsed.map_err(|why| NotOneRun::Unreadable { file: file.clone(), why })?);
    }
    let (broker_findings, helpers) = judge_helpers(&helpers);
    let parts: Vec<Results> = parts.into_iter().map(|(_, results)| results).collect();
    let first = &parts[0];
    let (tool, broker, options) = (first.tool.clone(), first.broker.clone(), first.options.clone());
    let mut run = run(&parts, helpers);
    let mut cells = Vec::new();
    for part in parts {
        run.cells.extend(part.run.cells);
        cells.extend(part.cells);
    }
    cells.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(Results {
        format: Format::default(),
        tool,
        broker,
        options,
        run,
        summary: Summary::of(&cells),
        broker_findings,
        cells,
    })
}

/// A file that may hold a part of a run, or of a storm.
pub trait IsPart {
    /// Which part it is; `None` for a whole one.
    fn partition(&self) -> Option<Partition>;
    /// The first difference that two parts of one run cannot have, as the end of "are of different runs: ..."; `None` if there is none.
    fn difference(&self, other: &Self) -> Option<String>;
}

/// Whether the files are all parts of one run, each once.
///
/// # Errors
/// [`NotOneRun`] says what they are.
pub fn check<T: IsPart>(parts: &[(String, T)]) -> Result<(), NotOneRun> {
    let mut found: BTreeMap<u32, &str> = BTreeMap::new();
    let mut of = 0;
    for (file, own) in parts {
        let Some(partition) = own.partition() else { return Err(NotOneRun::NoPart { file: file.clone() }) };
        let (first, first_own) = &parts[0];
        if let Some(what) = first_own.difference(own) {
            return Err(NotOneRun::Different { first: first.clone(), other: file.clone(), what });
        }
        of = partition.of;
        if let Some(first) = found.insert(partition.part, file) {
            return Err(NotOneRun::Twice { first: first.into(), other: file.clone(), part: partition.part });
        }
    }
    let missing: Vec<u32> = (1..=of).filter(|part| !found.contains_key(part)).collect();
    if missing.is_empty() { Ok(()) } else { Err(NotOneRun::Missing { of, parts: missing }) }
}

/// The first of these that differs: what it is, and its value in either part.
pub fn first_difference(told: impl IntoIterator<Item = (&'static str, String, String)>) -> Option<String> {
    let (what, one, two) = told.into_iter().find(|(_, one, two)| one != two)?;
    Some(format!("{what} is {one}, and {two}"))
}

/// A broker in words.
pub fn broker(label: &BrokerLabel) -> String {
    let words = [label.name.as_deref(), label.version.as_deref(), Some(label.how.as_str())];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// Texts of parts, which may all be the same.
pub fn each_once<'t>(texts: impl IntoIterator<Item = &'t str>, between: &str) -> String {
    let mut all: Vec<&str> = Vec::new();
    for text in texts {
        if !all.contains(&text) {
            all.push(text);
        }
    }
    all.join(between)
}

impl IsPart for Results {
    fn partition(&self) -> Option<Partition> {
        self.run.partition.as_ref().map(|part| part.partition)
    }

    fn difference(&self, other: &Results) -> Option<String> {
        let of = |results: &Results| results.partition().map_or(0, |partition| partition.of).to_string();
        let digest = |results: &Results| results.run.partition.as_ref().map(|part| part.digest.clone());
        let told = [
            ("mqtt-sessions", self.tool.version.clone(), other.tool.version.clone()),
            ("the number of parts", of(self), of(other)),
            ("the broker", broker(&self.broker), broker(&other.broker)),
        ];
        if let Some(difference) = first_difference(told) {
            return Some(difference);
        }
        if self.options != other.options {
            return Some("--messages, --queue-limit, or what the broker's file declares".into());
        }
        if self.run.kept != other.run.kept {
            return Some("--histories".into());
        }
        (digest(self) != digest(other)).then(|| "the scenarios, or --filter".into())
    }
}

/// The facts about the run, taken from all parts; the caller adds the cells.
fn run(parts: &[Results], helpers: HelperRun) -> Run {
    let runs = || parts.iter().map(|part| &part.run);
    let first = &parts[0].run;
    let texts = |text: fn(&Run) -> &String, between: &str| each_once(runs().map(|run| text(run).as_str()), between);
    let (started_at, duration_ms) = times(runs().map(|run| (run.started_at.as_str(), run.duration_ms)));
    Run {
        started_at,
        prefix: texts(|run| &run.prefix, " "),
        duration_ms,
        host: texts(|run| &run.host, ", "),
        url: first.url.clone(),
        reached_with: first.reached_with.clone(),
        settle_ms: runs().map(|run| run.settle_ms).max().unwrap_or(0),
        scenario_files: first.scenario_files.clone(),
        scenarios: runs().flat_map(|run| run.scenarios.clone()).collect(),
        partition: None,
        complete: runs().all(|run| run.complete),
        cut_short: runs()
            .find_map(|run| run.cut_short)
            .or(runs().any(|run| !run.complete).then_some(CutShort::Interrupted)),
        planned: runs().map(|run| run.planned).sum(),
        kept: first.kept,
        cleanup: texts(|run| &run.cleanup, "; "),
        helpers,
        cells: BTreeMap::new(),
    }
}

/// When the first part began, and how long it was from there to the end of the last, in milliseconds; each part with both of its own. A
/// time that nobody can read is left out.
pub fn times<'t>(parts: impl Iterator<Item = (&'t str, u64)> + Clone) -> (String, u64) {
    let read = |(began, duration_ms): (&str, u64)| {
        let began = humantime::parse_rfc3339(began).ok()?;
        Some((began, began.checked_add(Duration::from_millis(duration_ms))?))
    };
    let times: Vec<(SystemTime, SystemTime)> = parts.clone().filter_map(read).collect();
    let began = times.iter().map(|(began, _)| *began).min();
    let ended = times.iter().map(|(_, ended)| *ended).max();
    match (began, ended) {
        (Some(began), Some(ended)) => {
            let took = ended.duration_since(began).unwrap_or_default();
            (in_rfc_3339(began), took.as_millis() as u64)
        }
        _ => {
            let longest = parts.clone().map(|(_, duration_ms)| duration_ms).max();
            (parts.map(|(began, _)| began).next().unwrap_or_default().to_owned(), longest.unwrap_or_default())
        }
    }
}
