//! What was on the wire in cells whose histories the files keep, up to what a page has room for.

use std::collections::{BTreeMap, HashMap, HashSet};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;

use super::super::explain::{Glossary, Line, Owed, arrow, left_over, lines};
use super::super::lessons::happened::happened;
use super::super::survey::{Surveyed, examples};
use super::Shared;
use super::answers::verdict_place;
use super::cells::Cells;
use super::label::label;
use super::rows::Identified;
use crate::history::{Event, History, WITNESS};
use crate::judge;
use crate::results::{CellResult, CellRun, Results};
use crate::visible::visible;

/// Lines of history on one page: with these a page has some 3 MB.
const LINES_MAX: usize = 40_000;
/// Lines of one cell: more are read in a terminal or in Wireshark.
const CELL_LINES_MAX: usize = 1_500;

/// Which cells have their packets on the page, by the place of the broker and the id.
pub struct Runs(HashSet<(usize, String)>);

/// A cell as it was played.
#[derive(Serialize)]
pub struct Run {
    /// What happened in each step, in words.
    happened: Vec<usize>,
    attempts: Vec<Attempt>,
    /// Where each violation is seen: its index, the attempt from 1, the lines from 1, and how long it was waited for.
    evidence: Vec<(usize, usize, Vec<usize>, Option<u64>)>,
    /// Why there are no packets; 0 where there are.
    without: usize,
}

/// What was on the wire in one attempt.
#[derive(Serialize)]
struct Attempt {
    began: usize,
    /// The scenario's names of clients and topics, and those on the wire.
    names: Vec<(usize, usize)>,
    /// Client, connection, direction, what it is, what it means, the words of the diagram, and what is owed.
    lines: Vec<ToldLine>,
    /// What was owed and did not come.
    left: Vec<(&'static str, usize)>,
}

/// A line, in the order in which the script takes it apart: the time in tenths of a millisecond, client, connection,
/// direction, what it is, what it means, the words of the diagram, what is owed, and the bytes in Base64.
#[derive(Serialize)]
struct ToldLine(
    Option<u64>,
    usize,
    Option<u32>,
    &'static str,
    usize,
    usize,
    usize,
    Vec<(&'static str, usize)>,
    #[serde(skip_serializing_if = "Option::is_none")] Option<String>,
);

impl Runs {
    /// Chooses the cells: examples of what was found first, then by their verdicts, worst first.
    pub fn of(all: &[&Surveyed], rows: &[Identified]) -> Runs {
        let places: HashMap<&str, usize> = (0..).zip(rows).map(|(place, row)| (row.id.as_str(), place)).collect();
        let mut wanted = Vec::new();
        for (broker, own) in all.iter().enumerate() {
            let examples = examples(&own.results);
            let kept = own.results.cells.iter().filter_map(|cell| {
                let length = length(own.results.run.cells.get(&cell.id)?);
                let order = (!examples.contains(&cell.id), verdict_place(cell.verdict), places.get(cell.id.as_str()));
                (1..=CELL_LINES_MAX).contains(&length).then_some((order, broker, length, &cell.id))
            });
            wanted.extend(kept);
        }
        wanted.sort();
        let mut left = LINES_MAX;
        let fits = |(_, broker, length, id): (_, usize, usize, &String)| {
            left = left.checked_sub(length)?;
            Some((broker, id.clone()))
        };
        Runs(wanted.into_iter().map_while(fits).collect())
    }

    /// What is told of a cell's run; `None` where nothing of it was kept.
    pub fn run(
        &self,
        (broker, results): (usize, &Results),
        cell: &CellResult,
        plans: &Cells,
        shared: &mut Shared,
    ) -> Option<Run> {
        let stored = results.run.cells.get(&cell.id)?;
        let evidence: Vec<_> = stored
            .evidence
            .iter()
            .map(|own| (own.violation, own.attempt, own.events.clone(), own.milliseconds))
            .collect();
        let without = |why: String, shared: &mut Shared| {
            let without = shared.text(&why);
            Some(Run { happened: Vec::new(), attempts: Vec::new(), evidence: evidence.clone(), without })
        };
        if length(stored) == 0 {
            return None;
        }
        if !self.0.contains(&(broker, cell.id.clone())) {
            let why = format!("The file keeps {} lines of packets, for which this page has no room.", length(stored));
            return without(why, shared);
        }
        let attempts = match judge::attempts(stored, &results.options) {
            Ok(attempts) => attempts,
            Err(error) => return without(format!("The packets in the file cannot be read: {error}."), shared),
        };
        let deciding: History = stored.deciding().and_then(|attempt| attempt.parsed().ok()).unwrap_or_default();
        let plan = plans.plan(results, &cell.id);
        let happened = plan.map(|plan| happened(plan, &deciding)).unwrap_or_default();
        let happened = happened.iter().map(|text| shared.text(&visible(text))).collect();
        let told = stored.attempts.iter().zip(&attempts).map(|(stored, attempt)| Attempt {
            began: shared.text(&stored.began_at),
            names: names(&stored.names, shared),
            lines: lines(attempt, &mut Glossary::default()).iter().map(|line| told(line, shared)).collect(),
            left: left_over(attempt).iter().map(|own| owed(own, shared)).collect(),
        });
        Some(Run { happened, attempts: told.collect(), evidence: evidence.clone(), without: 0 })
    }
}

/// Lines of history of all attempts.
fn length(run: &CellRun) -> usize {
    run.attempts.iter().map(|attempt| attempt.history.len()).sum()
}

fn names(names: &BTreeMap<String, String>, shared: &mut Shared) -> Vec<(usize, usize)> {
    names.iter().map(|(name, wire)| (shared.text(name), shared.text(wire))).collect()
}

fn told(line: &Line<'_>, shared: &mut Shared) -> ToldLine {
    let entry = line.entry;
    let direction = match &entry.event {
        Event::Step(_) => "step",
        event => arrow(event),
    };
    let client = entry.event.client().map(|client| client.as_ref());
    let words = label(&entry.event);
    // The witness belongs to the tool, and has no lane in the diagram.
    let words = if client == Some(WITNESS) { "" } else { words.as_str() };
    ToldLine(
        entry.time.map(|time| time.0),
        shared.text(client.unwrap_or_default()),
        entry.connection,
        direction,
        shared.text(&line.said),
        shared.text(line.gloss.as_deref().unwrap_or_default()),
        shared.text(&visible(words)),
        line.owed.iter().map(|own| owed(own, shared)).collect(),
        entry.raw.as_ref().map(|raw| BASE64_STANDARD.encode(raw)),
    )
}

fn owed(owed: &Owed, shared: &mut Shared) -> (&'static str, usize) {
    (owed.word, shared.text(&owed.text))
}
