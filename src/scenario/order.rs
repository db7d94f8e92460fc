//! Whether the steps can be played in their order, in every cell.

use super::{ActionPlan, Axis, ClientId, Part, combinations};
use crate::results::Axes;

/// Finds the first step that cannot work in some cell, and says why.
pub fn check(scenario: &Part) -> Result<(), (usize, String)> {
    // Only the axes of `when` decide which steps a cell has.
    let axes: Vec<Axis> = scenario
        .axes
        .iter()
        .filter(|axis| scenario.steps.iter().any(|step| step.when.axis() == Some(axis.name.as_str())))
        .cloned()
        .collect();
    let mistakes = combinations(&axes).filter_map(|cell| Some((first_mistake(scenario, &cell)?, cell)));
    match mistakes.min_by_key(|(step, _)| *step) {
        Some((step, cell)) => Err((step, sentence(scenario, step, &cell))),
        None => Ok(()),
    }
}

/// The first step whose client is not in the state that the step needs.
fn first_mistake(scenario: &Part, cell: &Axes) -> Option<usize> {
    let mut connected = vec![false; scenario.clients.len()];
    for (index, step) in scenario.steps.iter().enumerate() {
        if !step.when.in_cell(cell) {
            continue;
        }
        let connects = matches!(step.action, ActionPlan::Connect { .. });
        let waits = matches!(step.action, ActionPlan::Wait { .. });
        if connected[step.client] == connects && !waits {
            return Some(index);
        }
        if connects {
            // Whoever connects under the same identifier takes the session over.
            let id = identifier(scenario, step.client);
            let others = (0..connected.len()).filter(|other| id.is_some() && identifier(scenario, *other) == id);
            others.for_each(|other| connected[other] = false);
        }
        connected[step.client] = match step.action {
            ActionPlan::Disconnect { .. } | ActionPlan::Cut { .. } | ActionPlan::Silence => false,
            ActionPlan::Wait { .. } => connected[step.client],
            _ => true,
        };
    }
    None
}

/// The client whose identifier this one uses; `None` where the broker assigns one.
fn identifier(scenario: &Part, client: usize) -> Option<usize> {
    match scenario.clients[client].client_id {
        ClientId::Own => Some(client),
        ClientId::Of(other) => identifier(scenario, other),
        ClientId::Assigned => None,
    }
}

fn sentence(scenario: &Part, index: usize, cell: &Axes) -> String {
    let step = &scenario.steps[index];
    let client = &scenario.clients[step.client].name;
    let decisive = |axis: &str| {
        let mut so_far = scenario.steps[..=index].iter().enumerate().filter(|(_, other)| other.client == step.client);
        so_far.any(|(place, other)| {
            let is_of_connection = matches!(
                other.action,
                ActionPlan::Connect { .. }
                    | ActionPlan::Disconnect { .. }
                    | ActionPlan::Cut { .. }
                    | ActionPlan::Silence
            );
            (place == index || is_of_connection) && other.when.axis() == Some(axis)
        })
    };
    let values: Vec<String> =
        cell.0.iter().filter(|(axis, _)| decisive(axis)).map(|(axis, value)| format!("{axis}={value}")).collect();
    let place = if values.is_empty() { String::new() } else { format!("in cells with {} ", values.join(",")) };
    let (state, cure) = match step.action {
        ActionPlan::Connect { .. } => ("connected already", "disconnect"),
        _ => ("not connected", "connect"),
    };
    let verb = step.action.verb();
    format!("\"{client}\" cannot {verb} here: {place}it is {state}; {cure} it in a step before")
}
