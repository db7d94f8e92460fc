//! The rows of the table: the cells of all brokers by scenario. Cells of which every broker says the same stand together as
//! one row that can be unfolded.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;

use super::super::survey::{Surveyed, beside};
use super::Shared;
use super::cells::Cells;
use crate::fold::Domain;
use crate::results::{AxisValue, CellResult, Verdict};
use crate::scenario::LESSON;

/// The rows of one scenario.
#[derive(Serialize)]
pub struct Scenario {
    name: usize,
    question: usize,
    /// What its rows have in common, as `axis=value`; 0 where that is nothing.
    constants: usize,
    folds: Vec<Fold>,
}

/// Rows that stand together, which follow one another.
#[derive(Serialize)]
struct Fold {
    /// The axes that tell it from the other rows, each with its values.
    axes: Vec<(usize, Vec<usize>)>,
    rows: usize,
}

/// A cell, whichever brokers have it.
#[derive(Serialize)]
pub struct Row {
    id: usize,
    protocol: usize,
    /// The axes that vary in the scenario, each with its value; the protocol is not among them.
    axes: Vec<(usize, usize)>,
    /// The question and the title of its lesson; 0 where it is none.
    question: usize,
    title: usize,
}

/// A row with the id by which results are found.
pub struct Identified {
    pub row: Row,
    pub id: String,
}

/// What the brokers say of a cell, as far as the table shows it.
type Said<'a> = Vec<Option<(Verdict, Vec<(&'static str, &'a str)>, &'a BTreeMap<String, String>)>>;

/// All rows in the order of the table.
pub fn rows(all: &[&Surveyed], plans: &Cells, shared: &mut Shared) -> (Vec<Scenario>, Vec<Identified>) {
    let by_id: Vec<HashMap<&str, &CellResult>> =
        all.iter().map(|own| own.results.cells.iter().rev().map(|cell| (cell.id.as_str(), cell)).collect()).collect();
    let mut seen = HashSet::new();
    let every = all.iter().flat_map(|own| &own.results.cells).filter(|cell| seen.insert(cell.id.as_str()));
    let mut by_scenario: HashMap<&str, Vec<&CellResult>> = HashMap::new();
    every.for_each(|cell| by_scenario.entry(&cell.scenario).or_default().push(cell));
    let (mut scenarios, mut rows) = (Vec::new(), Vec::new());
    for name in beside::scenarios(all) {
        let cells = by_scenario.remove(name).unwrap_or_default();
        let domain = Domain::with_gaps(cells.iter().map(|cell| &cell.axes));
        let said = |cell: &CellResult| -> Said<'_> {
            by_id.iter().map(|own| own.get(cell.id.as_str()).map(|cell| said_of(cell))).collect()
        };
        let mut alike: HashMap<Said<'_>, Vec<&CellResult>> = HashMap::new();
        cells.iter().for_each(|cell| alike.entry(said(cell)).or_default().push(cell));
        let products = alike.values().flat_map(|members| {
            let products = domain.fold(members.iter().map(|cell| &cell.axes));
            products.into_iter().map(move |product| (product, members))
        });
        let mut products: Vec<_> = products.collect();
        products.sort_by_key(|(product, _)| product.order());
        let mut folds = Vec::new();
        for (product, members) in products {
            let mut members: Vec<&CellResult> =
                members.iter().copied().filter(|cell| domain.holds(&product, &cell.axes)).collect();
            members.sort_by_key(|cell| domain.order(&cell.axes));
            let chosen = domain.chosen(&product).into_iter().filter(|(axis, _)| axis != PROTOCOL);
            let axes = chosen
                .map(|(axis, values)| (shared.text(&axis), values.iter().map(|value| shared.text(value)).collect()));
            folds.push(Fold { axes: axes.collect(), rows: members.len() });
            rows.extend(members.into_iter().map(|cell| row(cell, &domain, plans, shared)));
        }
        scenarios.push(Scenario {
            name: shared.text(name),
            question: shared.text(&question(name, all, plans)),
            constants: shared.text(&domain.constants()),
            folds,
        });
    }
    (scenarios, rows)
}

/// The axis that has a column of its own.
const PROTOCOL: &str = "protocol";

fn said_of(cell: &CellResult) -> (Verdict, Vec<(&'static str, &str)>, &BTreeMap<String, String>) {
    let broken = cell.violations.iter().map(|own| (own.protocol.name(), own.statement.as_str()));
    let mut broken: Vec<_> = broken.collect();
    broken.sort_unstable();
    broken.dedup();
    (cell.verdict, broken, &cell.choices)
}

fn row(cell: &CellResult, domain: &Domain, plans: &Cells, shared: &mut Shared) -> Identified {
    let varying: Vec<&str> = domain.varying().map(|axis| domain.axis_name(axis)).collect();
    let own = cell.axes.0.iter().filter(|(axis, _)| axis != PROTOCOL && varying.contains(&axis.as_str()));
    let axes = own.map(|(axis, value)| (shared.text(axis), shared.text(&value.to_string()))).collect();
    let protocol = match cell.axes.get(PROTOCOL) {
        Some(AxisValue::Text(protocol)) => protocol.as_str(),
        _ => "",
    };
    let lesson = plans.scenarios.get(&cell.scenario).filter(|_| cell.axes.get(LESSON).is_some());
    let lesson = lesson.and_then(|scenario| scenario.lesson(&cell.axes));
    let row = Row {
        id: shared.text(&cell.id),
        protocol: shared.text(protocol),
        axes,
        question: shared.text_or_none(lesson.map(|lesson| lesson.question.as_str())),
        title: shared.text_or_none(lesson.and_then(|lesson| lesson.title.as_deref())),
    };
    Identified { row, id: cell.id.clone() }
}

/// The question of a scenario, as a file or the built-in scenario has it.
fn question(name: &str, all: &[&Surveyed], plans: &Cells) -> String {
    let told = all.iter().find_map(|own| own.results.run.scenarios.get(name));
    let told = told.map(|about| about.question.clone());
    told.or_else(|| Some(plans.scenarios.get(name)?.question.clone())).unwrap_or_default()
}
