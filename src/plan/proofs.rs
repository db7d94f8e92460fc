//! Adds controls to planned steps: messages that prove a subscription or an absence, and wills that prove that a client
//! is gone.

use super::{Action, Client, Connect, Source, Step, Will};
use crate::scenario::Verb;
use crate::session_rules::brings;
use crate::vocabulary::{FIRST_NODE, PROOF_WILL_TOPIC};

/// Tells each step what the steps around it publish, and whether its client stays.
pub fn add(clients: &[Client], steps: &mut [Step]) {
    let mut online = vec![false; clients.len()];
    // The node of each client's latest connection.
    let mut at = vec![FIRST_NODE; clients.len()];
    for index in 0..steps.len() {
        let (earlier, rest) = steps.split_at_mut(index);
        let Some((step, later)) = rest.split_first_mut() else { return };
        let client = step.client;
        let next_of_client = later.iter().find(|next| next.client == client || next.action.verb().is_of_broker());
        match &mut step.action {
            Action::Connect(connect) => {
                let id = clients[client].client_id;
                let others = (0..clients.len()).filter(|other| id.is_some() && clients[*other].client_id == id);
                others.for_each(|other| online[other] = false);
                online[client] = true;
                at[client] = connect.node;
                prove_the_end(connect, later, client);
            }
            Action::Race { stays, node, connect } => {
                (online[client], online[*stays]) = (false, true);
                (at[client], at[*stays]) = (*node, connect.node);
                prove_the_end(connect, later, *stays);
            }
            Action::Subscribe { filters, loop_backs, .. } => {
                let reaches = |source: &Source| {
                    let is_own = clients[source.publisher].client_id == clients[client].client_id;
                    filters.iter().any(|filter| brings(filter, &source.topic, is_own))
                };
                *loop_backs = sources(later);
                loop_backs.retain(|source| online[source.publisher] && reaches(source));
            }
            Action::Receive { fences, last, .. } => {
                *fences = sources(earlier);
                fences.retain(|source| online[source.publisher]);
                let takes_over = |next: &Step| {
                    let same_id = clients[next.client].client_id == clients[client].client_id;
                    next.client != client && same_id && next.action.verb().connects()
                };
                let goes = |next: &Step| next.action.verb().goes_away() || next.action.verb().is_of_broker();
                *last = next_of_client.is_none_or(goes) || later.iter().any(takes_over);
            }
            Action::Disconnect { .. } | Action::Cut { .. } | Action::Silence | Action::Stall => online[client] = false,
            Action::Broker(operation) => {
                online.iter_mut().zip(&at).for_each(|(online, node)| *online &= !operation.ends_at(*node));
            }
            Action::Unsubscribe { .. } | Action::Publish(_) | Action::Wait { .. } => {}
        }
        if step.action.stops_half_way() {
            online[client] = false;
        }
    }
}

/// A client that goes away without DISCONNECT, and that has no will, gets one: its publication shows that the broker has
/// noticed.
fn prove_the_end(connect: &mut Connect, later: &[Step], client: usize) {
    let node = connect.node;
    let own = later.iter().filter(|step| match step.action {
        Action::Broker(operation) => operation.ends_at(node),
        _ => step.client == client,
    });
    let ends = |verb: &Verb| verb.goes_away() && *verb != Verb::Stall || verb.connects() || verb.is_of_broker();
    let end = own.map(|step| step.action.verb()).find(ends);
    if matches!(end, Some(Verb::Cut | Verb::Silence)) && connect.will.is_none() && !connect.without_will {
        connect.will = Some(Will { topic: PROOF_WILL_TOPIC.into(), qos: 1, retain: false, delay: None });
    }
}

/// The distinct sources of the publish steps among these, in their order.
fn sources(steps: &[Step]) -> Vec<Source> {
    let mut sources = Vec::new();
    for step in steps {
        if let Action::Publish(publication) = &step.action {
            let source = Source { publisher: step.client, topic: publication.topic.clone(), qos: publication.qos };
            if !sources.contains(&source) {
                sources.push(source);
            }
        }
    }
    sources
}
