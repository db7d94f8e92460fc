//! Checks that a client that takes the steps keeps to the standard, in every cell. Only values that depend on each other
//! are looked at here; a value that is never right is refused where it is read.

use super::{ActionPlan, ConnectPlan, FilterPlan, Part, StepPlan};
use crate::axes::Axes;
use crate::packet::Protocol;
use crate::session_rules::LONG_EXPIRY_S;

/// Finds the first step with which a client breaks the standard in some cell, and says how and what helps.
pub fn check(scenario: &Part) -> Result<(), (usize, String)> {
    for (index, step) in scenario.steps.iter().enumerate().filter(|(_, step)| may_be_illegal(step)) {
        let mut cells =
            scenario.combinations().filter(|cell| step.when.in_cell(cell) && speaks_v5(scenario, step, cell));
        if let Some(why) = cells.find_map(|cell| mistake(scenario, index, &cell)) {
            return Err((index, why));
        }
    }
    Ok(())
}

/// True if the step has what could be wrong in a cell, so that the cells are worth a look.
fn may_be_illegal(step: &StepPlan) -> bool {
    match &step.action {
        ActionPlan::Subscribe { filters, .. } => filters.iter().any(|filter| filter.share.is_some()),
        ActionPlan::Disconnect { session_expiry, .. } => session_expiry.is_some(),
        _ => false,
    }
}

fn speaks_v5(scenario: &Part, step: &StepPlan, cell: &Axes) -> bool {
    scenario.clients[step.client].protocol.in_cell(cell) == Protocol::V5
}

fn mistake(scenario: &Part, index: usize, cell: &Axes) -> Option<String> {
    let step = &scenario.steps[index];
    match &step.action {
        ActionPlan::Subscribe { filters, .. } => {
            let is_local_share = |filter: &&FilterPlan| filter.share.is_some() && filter.no_local.in_cell(cell);
            filters.iter().find(is_local_share).map(|_| {
                "a shared subscription cannot have no_local = true (5.0 MQTT-3.8.3-4); leave one of them out".into()
            })
        }
        ActionPlan::Disconnect { session_expiry: Some(seconds), .. } => {
            let prolongs = seconds.in_cell(cell) > 0 && expiry_at_connect(scenario, index, cell) == 0;
            prolongs.then(|| {
                let client = &scenario.clients[step.client].name;
                format!(
                    "\"{client}\" cannot disconnect with a session_expiry: its CONNECT had 0, and then DISCONNECT cannot \
                     have another (5.0, section 3.14.2.2.2); connect it with clean_session = false or with a \
                     session_expiry"
                )
            })
        }
        _ => None,
    }
}

/// The Session Expiry Interval of the CONNECT that opened the connection on which this step is taken.
fn expiry_at_connect(scenario: &Part, index: usize, cell: &Axes) -> u32 {
    let place = scenario.steps[index].client;
    let client = &scenario.clients[place];
    let usual = ConnectPlan::default();
    let so_far = scenario.steps[..index].iter().rev().filter(|step| step.when.in_cell(cell));
    let asked = so_far.into_iter().find_map(|step| match &step.action {
        ActionPlan::Connect { connect, .. } if step.client == place => Some(connect),
        ActionPlan::Race { stays } if *stays == place => Some(&usual),
        _ => None,
    });
    let interval = asked.unwrap_or(&usual).session_expiry.as_ref().or(client.connect.session_expiry.as_ref());
    let clean = client.clean_session.in_cell(cell);
    interval.map_or(if clean { 0 } else { LONG_EXPIRY_S }, |seconds| seconds.in_cell(cell))
}
