//! One broker: what it is, how it was measured, its answers, and what it broke.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use super::super::causes::causes;
use super::super::lessons::steps::done;
use super::super::survey::{Surveyed, configuration, findings_of, title};
use super::Shared;
use super::answers::{answer, verdict_place, violation};
use super::cells::Cells;
use super::commands::{commands, explain_stored};
use super::rows::Identified;
use super::runs::{Run, Runs};
use crate::broker::name_and_variant;
use crate::results::{CellResult, CutShort, Kept, Results, Verdict};

/// A column of the table.
#[derive(Serialize)]
pub struct Broker {
    /// What its address is made of: `mosquitto:persistent-2.0.11`.
    key: String,
    name: String,
    variant: String,
    version: String,
    /// True for the first configuration of a broker.
    usual: bool,
    configuration: String,
    file: String,
    measured_on: String,
    with: String,
    /// Where and how, each a name and a value.
    facts: Vec<(&'static str, String)>,
    /// How many cells have which verdict, worst first.
    counts: Vec<u32>,
    findings: usize,
    /// Its answer in each row, from 1; 0 where it was not asked.
    answers: Vec<usize>,
    /// The steps of each row in words, as a list from 1; 0 where they are not known.
    steps: Vec<usize>,
    /// By the row.
    runs: BTreeMap<usize, Run>,
    /// By the name of the scenario: the command that repeats a cell, and the one that explains it.
    commands: BTreeMap<String, (String, String)>,
    explain_stored: String,
    causes: Vec<Cause>,
    /// What it broke on connections of the tool's own, with the lines that show it.
    beside: Vec<(usize, Vec<(usize, String)>)>,
}

/// What the cells of a broker have in common.
#[derive(Serialize)]
struct Cause {
    verdict: usize,
    sentence: usize,
    advice: usize,
    /// The row that shows it with the fewest messages.
    example: usize,
    rows: Vec<usize>,
}

/// A broker of a family: whether it is its usual configuration, and its place among all.
pub fn broker(
    own: &Surveyed,
    (usual, place): (bool, usize),
    rows: &[Identified],
    plans: &Cells,
    runs: &Runs,
    shared: &mut Shared,
) -> Broker {
    let results = &own.results;
    let by_id: HashMap<&str, &CellResult> = results.cells.iter().rev().map(|cell| (cell.id.as_str(), cell)).collect();
    let of_row = |row: &Identified| by_id.get(row.id.as_str()).copied();
    let has_all = results.run.kept == Kept::All;
    let mut answers = Vec::new();
    let mut steps = Vec::new();
    let mut told = BTreeMap::new();
    for (number, row) in rows.iter().enumerate() {
        let Some(cell) = of_row(row) else {
            answers.push(0);
            steps.push(0);
            continue;
        };
        let kept = has_all || results.run.cells.contains_key(&cell.id);
        answers.push(answer(cell, kept, shared) + 1);
        steps.push(steps_of(results, cell, plans, shared));
        told.extend(runs.run((place, results), cell, plans, shared).map(|run| (number, run)));
    }
    let scenarios: BTreeSet<&str> = results.cells.iter().map(|cell| cell.scenario.as_str()).collect();
    let commands = scenarios.into_iter().map(|name| (name.to_owned(), commands(results, name))).collect();
    let label = &results.broker;
    Broker {
        key: title(label).replace(' ', "-"),
        name: label.name.clone().unwrap_or_else(|| "a broker without a name".into()),
        variant: name_and_variant(&label.how).1.unwrap_or_default().to_owned(),
        version: label.version.clone().unwrap_or_default(),
        usual,
        configuration: configuration(results),
        file: own.file.clone(),
        measured_on: results.run.started_at.split('T').next().unwrap_or_default().to_owned(),
        with: format!("{} {}", results.tool.name, results.tool.version),
        facts: facts(results),
        counts: Verdict::WORST_FIRST.iter().map(|verdict| results.summary.count(*verdict)).collect(),
        findings: findings_of(results),
        answers,
        steps,
        runs: told,
        commands,
        explain_stored: explain_stored(&own.file),
        causes: told_causes(results, rows, shared),
        beside: beside_the_cells(results, shared),
    }
}

/// Numbers brokers whose keys are the same, so that each has an address of its own.
pub fn name_apart(brokers: &mut [Broker]) {
    let mut taken = BTreeSet::new();
    for broker in brokers {
        let own = broker.key.clone();
        let mut number = 1;
        while !taken.insert(broker.key.clone()) {
            number += 1;
            broker.key = format!("{own}-{number}");
        }
    }
}

/// The steps in words, as a list from 1; 0 where the scenario is not built in.
fn steps_of(results: &Results, cell: &CellResult, plans: &Cells, shared: &mut Shared) -> usize {
    let Some(plan) = plans.plan(results, &cell.id) else { return 0 };
    let steps = (0..plan.steps.len()).map(|step| shared.text(&done(plan, step))).collect();
    shared.lists.place(steps) + 1
}

fn facts(results: &Results) -> Vec<(&'static str, String)> {
    let (run, options) = (&results.run, &results.options);
    let cells = match run.complete {
        true => results.cells.len().to_string(),
        false => {
            let why = run.cut_short.map_or("cut short", CutShort::sentence);
            format!("{} of {}: {why}", results.cells.len(), run.planned)
        }
    };
    let facts = [
        ("Broker file", Some(results.broker.how.clone())),
        ("URL", Some(run.url.clone())),
        ("Options", Some(run.reached_with.join(" "))),
        ("Cells", Some(cells)),
        ("Messages of an experiment", Some(options.messages.to_string())),
        ("Declared queue limit", options.queue_limit.map(|limit| limit.to_string())),
        ("Declared durable over", options.durable.map(|ending| format!("{ending:?}").to_lowercase())),
        ("Settle window", Some(format!("{} ms", run.settle_ms))),
        ("Measured in", Some(format!("{} s", run.duration_ms.div_ceil(1000)))),
        ("Machine", Some(run.host.clone())),
        ("Clean-up", Some(run.cleanup.clone())),
    ];
    facts.into_iter().filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?))).collect()
}

fn told_causes(results: &Results, rows: &[Identified], shared: &mut Shared) -> Vec<Cause> {
    let places: HashMap<&str, usize> = (0..).zip(rows).map(|(place, row)| (row.id.as_str(), place)).collect();
    let place = |cell: &CellResult| places.get(cell.id.as_str()).copied();
    let told = |cause: &super::super::causes::Cause<'_>| {
        Some(Cause {
            verdict: verdict_place(cause.verdict),
            sentence: shared.text(&cause.sentence()),
            advice: shared.text_or_none(cause.advice().as_deref()),
            example: place(cause.example().0)?,
            rows: cause.cells.iter().filter_map(|(cell, _)| place(cell)).collect(),
        })
    };
    causes(results.cells.iter()).iter().filter_map(told).collect()
}

fn beside_the_cells(results: &Results, shared: &mut Shared) -> Vec<(usize, Vec<(usize, String)>)> {
    let violations = results.broker_findings.violations.iter().enumerate();
    violations
        .map(|(number, own)| {
            let lines = results.run.helpers.lines_of(number);
            let lines = lines.into_iter().map(|(line, text)| (line, text.to_owned())).collect();
            (violation(own, shared), lines)
        })
        .collect()
}
