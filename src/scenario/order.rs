//! Whether the steps can be played in their order, in every cell.

use super::{ActionPlan, Axis, Scenario, Value, combinations};
use crate::results::Axes;

/// Finds the first step that cannot work in some cell, and says why.
pub fn check(scenario: &Scenario) -> Result<(), (usize, String)> {
    // Only the axes of `when` decide which steps a cell has.
    let axes: Vec<Axis> = scenario
        .axes
        .iter()
        .filter(|axis| scenario.steps.iter().any(|step| step.when == Value::Axis(axis.name.clone())))
        .cloned()
        .collect();
    let mistakes = combinations(&axes).filter_map(|cell| Some((first_mistake(scenario, &cell)?, cell)));
    match mistakes.min_by_key(|(step, _)| *step) {
        Some((step, cell)) => Err((step, sentence(scenario, step, &cell))),
        None => Ok(()),
    }
}

/// The first step whose client is not in the state that the step needs.
fn first_mistake(scenario: &Scenario, cell: &Axes) -> Option<usize> {
    let mut connected = vec![false; scenario.clients.len()];
    for (index, step) in scenario.steps.iter().enumerate() {
        if !step.when.in_cell(cell) {
            continue;
        }
        let connects = step.action == ActionPlan::Connect;
        if connected[step.client] == connects {
            return Some(index);
        }
        connected[step.client] = step.action != ActionPlan::Disconnect;
    }
    None
}

fn sentence(scenario: &Scenario, index: usize, cell: &Axes) -> String {
    let step = &scenario.steps[index];
    let client = &scenario.clients[step.client].name;
    let decisive = |axis: &str| {
        let mut so_far = scenario.steps[..=index].iter().enumerate().filter(|(_, other)| other.client == step.client);
        so_far.any(|(place, other)| {
            let decides = place == index || matches!(other.action, ActionPlan::Connect | ActionPlan::Disconnect);
            decides && matches!(&other.when, Value::Axis(name) if name == axis)
        })
    };
    let values: Vec<String> =
        cell.0.iter().filter(|(axis, _)| decisive(axis)).map(|(axis, value)| format!("{axis}={value}")).collect();
    let place = if values.is_empty() { String::new() } else { format!("in cells with {} ", values.join(",")) };
    let (state, cure) = match step.action {
        ActionPlan::Connect => ("connected already", "disconnect"),
        _ => ("not connected", "connect"),
    };
    let verb = step.action.verb();
    format!("\"{client}\" cannot {verb} here: {place}it is {state}; {cure} it in a step before")
}
