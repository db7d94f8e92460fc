//! Checks that the steps can be played in their order, in every cell.

use super::{ActionPlan, Axis, ConnectPlan, Effect, Exception, Part, StepPlan, Value, Verb, combinations};
use crate::axes::Axes;
use crate::vocabulary::FIRST_NODE;

/// Finds the first step that cannot work in some cell, and says why.
pub fn check(scenario: &Part) -> Result<(), (usize, String)> {
    // Only the axes of `when` decide which steps a cell has, those of nodes where they happen, and those of `except` whether there is
    // a cell.
    let of_nodes = axes_of_nodes(scenario);
    let axes: Vec<Axis> = scenario
        .axes
        .iter()
        .filter(|axis| {
            let excepted = |exception: &Exception| exception.0.iter().any(|other| other.name == axis.name);
            scenario.steps.iter().any(|step| step.when.axis() == Some(axis.name.as_str()))
                || scenario.except.iter().any(excepted)
                || of_nodes.contains(&axis.name.as_str())
        })
        .cloned()
        .collect();
    let cells = combinations(&axes).filter(|cell| scenario.has(cell));
    let mistakes = cells.filter_map(|cell| Some((first_mistake(scenario, &cell)?, cell)));
    match mistakes.min_by_key(|((step, _), _)| *step) {
        Some(((step, state), cell)) => Err((step, sentence(scenario, step, state, &cell))),
        None => Ok(()),
    }
}

/// The state in which a step finds its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Away,
    Connected,
    /// It stopped in the middle of a handshake, and can only be cut.
    Stopped,
    /// The broker was ended, and was not started again.
    BrokerIsDown,
    /// So was the node to which it connects.
    NodeIsDown,
    /// The broker is there, and cannot be started.
    BrokerIsThere,
    /// Something else has befallen the broker, or a node of it, and has not passed.
    InTrouble,
    /// A node was cut off, and was not joined with the others again.
    CutOff,
    /// This node was not cut off.
    NotCutOff,
}

/// The first step whose client is not in the state that the step needs, and the state in which it is.
fn first_mistake(scenario: &Part, cell: &Axes) -> Option<(usize, State)> {
    let mut states = vec![State::Away; scenario.clients.len()];
    // The node of each client's latest connection.
    let mut at = vec![FIRST_NODE; scenario.clients.len()];
    // The step in which the broker or a node was ended, and which node.
    let mut ended_in = None;
    // The step in which a node was cut off, and which node.
    let mut parted_in = None;
    for (index, step) in scenario.steps.iter().enumerate().filter(|(_, step)| step.when.in_cell(cell)) {
        let effect = step.action.verb().effect();
        let node = node(scenario, step, cell);
        match (effect, parted_in) {
            (Effect::PartsNodes, None) if ended_in.is_none() => {
                parted_in = Some((index, node));
                continue;
            }
            (Effect::JoinsNodes, Some((_, own))) if own == node => {
                parted_in = None;
                continue;
            }
            (Effect::JoinsNodes, _) => return Some((index, State::NotCutOff)),
            (Effect::PartsNodes, _) | (Effect::EndsBroker | Effect::StartsBroker, Some(_)) => {
                return Some((index, State::InTrouble));
            }
            _ => {}
        }
        match (effect, ended_in) {
            (Effect::StartsBroker, Some((_, own))) if own == node => ended_in = None,
            (Effect::StartsBroker, _) => return Some((index, State::BrokerIsThere)),
            (Effect::None, Some(_)) | (_, None) => {}
            (Effect::EndsBroker, Some(_)) | (_, Some((_, None))) => return Some((index, State::BrokerIsDown)),
            (Effect::Opens | Effect::OpensTwo, Some((_, own)))
                if own == node || own == node_of_racer(scenario, step, cell) =>
            {
                return Some((index, State::NodeIsDown));
            }
            (_, Some((_, Some(_)))) => {}
        }
        if matches!(step.action.verb(), Verb::Stop | Verb::Kill) {
            ended_in = Some((index, node));
        }
        if !is_possible(scenario, &step.action, step.client, &states) {
            return Some((index, states[step.client]));
        }
        let stays = match step.action {
            ActionPlan::Race { stays } => stays,
            _ => step.client,
        };
        // A client that connects takes the session of its identifier over.
        if let Some(id) = scenario.identifier(stays).filter(|_| step.action.verb().connects()) {
            let others = (0..states.len()).filter(|other| scenario.identifier(*other) == Some(id));
            others.for_each(|other| states[other] = State::Away);
        }
        match effect {
            Effect::Opens | Effect::OpensTwo => {
                states[stays] = State::Connected;
                at[stays] = node.unwrap_or(FIRST_NODE);
            }
            Effect::Ends | Effect::EndsAbruptly => states[step.client] = State::Away,
            Effect::Uses if step.action.stops() => states[step.client] = State::Stopped,
            Effect::EndsBroker => {
                let ends = |own: &u32| node.is_none_or(|node| node == *own);
                let ended = states.iter_mut().zip(&at).filter(|(_, own)| ends(own));
                ended.for_each(|(state, _)| *state = State::Away);
            }
            Effect::Uses | Effect::None | Effect::StartsBroker | Effect::PartsNodes | Effect::JoinsNodes => {}
        }
    }
    let left_ended = ended_in.map(|(index, _)| (index, State::BrokerIsDown));
    left_ended.or(parted_in.map(|(index, _)| (index, State::CutOff)))
}

/// The node that a step is about: of a CONNECT the one to which the client connects, of a step of the broker's the one that is named.
fn node(scenario: &Part, step: &StepPlan, cell: &Axes) -> Option<u32> {
    match &step.action {
        ActionPlan::Connect { connect, .. } => Some(scenario.node(step.client, connect, cell)),
        ActionPlan::Race { stays } => Some(scenario.node(*stays, &ConnectPlan::default(), cell)),
        ActionPlan::Broker { node, .. } => node.as_ref().map(|node| node.in_cell(cell)),
        _ => None,
    }
}

/// The node to which the client of a race connects that does not stay.
fn node_of_racer(scenario: &Part, step: &StepPlan, cell: &Axes) -> Option<u32> {
    let races = matches!(step.action, ActionPlan::Race { .. });
    races.then(|| scenario.node(step.client, &ConnectPlan::default(), cell))
}

/// The axes that say at which node something happens.
fn axes_of_nodes(scenario: &Part) -> Vec<&str> {
    let of_clients = scenario.clients.iter().filter_map(|client| client.connect.node.as_ref());
    let of_steps = scenario.steps.iter().filter_map(|step| match &step.action {
        ActionPlan::Connect { connect, .. } => connect.node.as_ref(),
        ActionPlan::Broker { node, .. } => node.as_ref(),
        _ => None,
    });
    let nodes = of_clients.chain(of_steps);
    nodes.filter_map(|node| if let Value::Axis(axis) = node { Some(axis.as_str()) } else { None }).collect()
}

fn is_possible(scenario: &Part, action: &ActionPlan, client: usize, states: &[State]) -> bool {
    match action.verb().effect() {
        Effect::None | Effect::EndsBroker | Effect::StartsBroker | Effect::PartsNodes | Effect::JoinsNodes => true,
        Effect::Opens => states[client] == State::Away,
        Effect::OpensTwo => may_race(scenario, action, client, states),
        Effect::EndsAbruptly => states[client] != State::Away,
        Effect::Uses | Effect::Ends => states[client] == State::Connected,
    }
}

fn may_race(scenario: &Part, action: &ActionPlan, client: usize, states: &[State]) -> bool {
    let ActionPlan::Race { stays } = *action else { return false };
    let id = scenario.identifier(client);
    let both_away = [client, stays].iter().all(|client| states[*client] == State::Away);
    // Which of the two stays is known only afterwards, and each plays on as the other would have.
    let alike = scenario.clients[client].protocol == scenario.clients[stays].protocol;
    both_away && client < stays && id.is_some() && scenario.identifier(stays) == id && alike
}

fn sentence(scenario: &Part, index: usize, state: State, cell: &Axes) -> String {
    let step = &scenario.steps[index];
    let client = &scenario.clients[step.client].name;
    let decisive = |axis: &str| {
        let mut so_far = scenario.steps[..=index].iter().enumerate().filter(|(_, other)| other.client == step.client);
        so_far.any(|(place, other)| {
            let verb = other.action.verb();
            let is_of_connection = verb.effect() == Effect::Opens || verb.goes_away();
            (place == index || is_of_connection) && other.when.axis() == Some(axis)
        })
    };
    let values: Vec<String> =
        cell.0.iter().filter(|(axis, _)| decisive(axis)).map(|(axis, value)| format!("{axis}={value}")).collect();
    let place = if values.is_empty() { String::new() } else { format!("in cells with {} ", values.join(",")) };
    let verb = step.action.verb();
    match (verb.effect(), state) {
        (_, State::InTrouble) => {
            return format!(
                "the broker cannot {verb} here: {place}one thing befalls it at a time; start it, or heal it, before"
            );
        }
        (_, State::NotCutOff) => {
            return format!(
                "the broker cannot heal here: {place}no step before cuts this node off; give it a partition"
            );
        }
        (_, State::CutOff) => {
            return format!("the node cannot stay cut off: {place}heal it in a later step");
        }
        (Effect::StartsBroker, _) => {
            return format!("the broker cannot start here: {place}it was not stopped or killed before");
        }
        (Effect::EndsBroker, _) => {
            return format!("the broker cannot stay away: {place}start it in a later step, before a client acts");
        }
        _ => {}
    }
    let why = match (verb.effect(), state) {
        (_, State::BrokerIsDown) => "the broker is not there; start it in a step before",
        (_, State::NodeIsDown) => "its node is not there; start it in a step before, or connect to another node",
        (Effect::OpensTwo, _) => {
            "a race takes two clients with one client_id and one protocol that are not connected, and `stays` names the later one"
        }
        (_, State::Stopped) => "it stopped in the middle of a handshake; cut it in a step before",
        (Effect::Opens, _) => "it is connected already; disconnect it in a step before",
        _ => "it is not connected; connect it in a step before",
    };
    format!("\"{client}\" cannot {verb} here: {place}{why}")
}
