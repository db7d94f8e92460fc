//! The results of all parts of a run -> the results of the whole run.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::judge::judge_helpers;
use crate::results::{CutShort, Format, HelperRun, Results, Run, StoredHistoryError, Summary, in_rfc_3339};

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

/// Whether the files are all parts of one run, each once.
fn check(parts: &[Part]) -> Result<(), NotOneRun> {
    let mut found: BTreeMap<u32, &str> = BTreeMap::new();
    let mut of = 0;
    for (file, results) in parts {
        let Some(part) = &results.run.partition else { return Err(NotOneRun::NoPart { file: file.clone() }) };
        let (first, first_results) = &parts[0];
        if let Some(what) = difference(first_results, results) {
            return Err(NotOneRun::Different { first: first.clone(), other: file.clone(), what });
        }
        of = part.partition.of;
        if let Some(first) = found.insert(part.partition.part, file) {
            return Err(NotOneRun::Twice { first: first.into(), other: file.clone(), part: part.partition.part });
        }
    }
    let missing: Vec<u32> = (1..=of).filter(|part| !found.contains_key(part)).collect();
    if missing.is_empty() { Ok(()) } else { Err(NotOneRun::Missing { of, parts: missing }) }
}

/// The first difference that two parts of one run cannot have, as the end of "are of different runs: ..."; `None` if there is none.
fn difference(first: &Results, other: &Results) -> Option<String> {
    let broker = |results: &Results| {
        let label = &results.broker;
        let words = [label.name.as_deref(), label.version.as_deref(), Some(label.how.as_str())];
        words.into_iter().flatten().collect::<Vec<_>>().join(" ")
    };
    let part = |results: &Results| results.run.partition.clone();
    let of = |results: &Results| part(results).map_or(0, |part| part.partition.of).to_string();
    let digest = |results: &Results| part(results).map(|part| part.digest);
    let told: [(&str, String, String); 3] = [
        ("mqtt-sessions", first.tool.version.clone(), other.tool.version.clone()),
        ("the number of parts", of(first), of(other)),
        ("the broker", broker(first), broker(other)),
    ];
    if let Some((what, one, two)) = told.into_iter().find(|(_, one, two)| one != two) {
        return Some(format!("{what} is {one}, and {two}"));
    }
    if first.options != other.options {
        return Some("--messages, --queue-limit, or what the broker's file declares".into());
    }
    if first.run.kept != other.run.kept {
        return Some("--histories".into());
    }
    (digest(first) != digest(other)).then(|| "the scenarios, or --filter".into())
}

/// The facts about the run, taken from all parts; the caller adds the cells.
fn run(parts: &[Results], helpers: HelperRun) -> Run {
    let runs = || parts.iter().map(|part| &part.run);
    let first = &parts[0].run;
    // The prefixes and URLs of parts may all be the same.
    let each_once = |text: fn(&Run) -> &String, between: &str| {
        let mut all: Vec<&str> = Vec::new();
        runs().map(|run| text(run).as_str()).for_each(|text| {
            if !all.contains(&text) {
                all.push(text);
            }
        });
        all.join(between)
    };
    let (started_at, duration_ms) = times(parts);
    Run {
        started_at,
        prefix: each_once(|run| &run.prefix, " "),
        duration_ms,
        host: each_once(|run| &run.host, ", "),
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
        cleanup: each_once(|run| &run.cleanup, "; "),
        helpers,
        cells: BTreeMap::new(),
    }
}

/// When the first part began, and how long it was from there to the end of the last. A time that nobody can read is left out.
fn times(parts: &[Results]) -> (String, u64) {
    let times: Vec<(SystemTime, SystemTime)> = parts
        .iter()
        .filter_map(|part| {
            let began = humantime::parse_rfc3339(&part.run.started_at).ok()?;
            Some((began, began.checked_add(Duration::from_millis(part.run.duration_ms))?))
        })
        .collect();
    let began = times.iter().map(|(began, _)| *began).min();
    let ended = times.iter().map(|(_, ended)| *ended).max();
    let longest = || parts.iter().map(|part| part.run.duration_ms).max().unwrap_or(0);
    match (began, ended) {
        (Some(began), Some(ended)) => {
            let took = ended.duration_since(began).unwrap_or_default();
            (in_rfc_3339(began), took.as_millis() as u64)
        }
        _ => (parts[0].run.started_at.clone(), longest()),
    }
}
