//! The steps of a lesson, each with what was done and what happened, the protocol versions folded into one list.

use std::collections::VecDeque;

use super::happened::happened;
use super::{TaughtCell, folded, protocol};
use crate::packet::Protocol;
use crate::plan::{Action, Cell, Connect, Publication};
use crate::report::grid::{Drawing, Grid};
use crate::topic;
use crate::vocabulary::{Ending, Trouble};

/// How wide the numbers are.
const NUMBER: usize = 3;
const GAP: usize = 2;

/// A step in words, and what happened in each protocol version that took it.
struct Line {
    done: String,
    taken_in: Vec<Protocol>,
    happened: Vec<(Protocol, String)>,
}

/// The steps, numbered, in two columns.
pub(super) fn table(cells: &[TaughtCell<'_>], width: usize) -> String {
    let left = width - NUMBER - GAP;
    let done = left * 42 / 75;
    let row = |(number, line): (usize, Line)| {
        let only = match line.taken_in.len() == cells.len() {
            true => String::new(),
            false => line.taken_in.iter().map(|protocol| format!(" (in {protocol})")).collect(),
        };
        let happened = folded(line.happened, "\n");
        vec![number.to_string(), format!("{}{only}", line.done), happened]
    };
    let grid = Grid { head: Vec::new(), rows: (1..).zip(lines(cells)).map(row).collect() };
    grid.drawn(&Drawing { gap: GAP, right: 0..1 }, &[NUMBER, done - GAP, left - done])
}

/// The steps of all cells in one list. A step that not all of them take says which do.
fn lines(cells: &[TaughtCell<'_>]) -> Vec<Line> {
    let mut all: Vec<Line> = Vec::new();
    for (place, TaughtCell { plan: cell, history, .. }) in cells.iter().enumerate() {
        let played = happened(cell, history);
        let steps = (0..cell.steps.len()).map(|step| {
            let said = played.get(step).map(|said| (protocol(cell), said.clone()));
            Line { done: done(cell, step), taken_in: vec![protocol(cell)], happened: said.into_iter().collect() }
        });
        all = if place == 0 { steps.collect() } else { merged(all, steps.collect()) };
    }
    all
}

/// Two lists that have most of their steps in common, as one in which each stands in its place.
fn merged(one: Vec<Line>, other: Vec<Line>) -> Vec<Line> {
    let mut merged = Vec::new();
    let mut other = VecDeque::from(other);
    for mut line in one {
        if let Some(same) = other.iter().position(|next| next.done == line.done) {
            merged.extend(other.drain(..same));
            if let Some(same) = other.pop_front() {
                line.taken_in.extend(same.taken_in);
                line.happened.extend(same.happened);
            }
        }
        merged.push(line);
    }
    merged.extend(other);
    merged
}

/// A step in plain words.
pub fn done(cell: &Cell, step: usize) -> String {
    let client = cell.steps[step].client;
    let name = &cell.clients[client].name;
    match &cell.steps[step].action {
        Action::Connect(connect) => format!("{name} connects{}", asks_for(cell, client, connect)),
        Action::Subscribe { filters, .. } => {
            let said: Vec<String> =
                filters.iter().map(|filter| format!("{} at QoS {}", filter.filter, filter.qos)).collect();
            let is_used = filters.iter().any(|filter| is_published_to(cell, &filter.filter));
            let what_for = if is_used { "" } else { ", so that its session has something in it" };
            format!("{name} subscribes to {}{what_for}", said.join(", "))
        }
        Action::Unsubscribe { filter } => format!("{name} unsubscribes from {filter}"),
        Action::Publish(publication) => format!("{name} publishes {}", what(cell, step, publication)),
        Action::Receive { .. } => format!("{name} takes what comes"),
        Action::Disconnect { .. } => format!("{name} disconnects"),
        Action::Cut { .. } => format!("{name} is cut off without DISCONNECT"),
        Action::Silence => format!("{name} falls silent"),
        Action::Stall => format!("the network of {name} is gone, and nobody is told"),
        Action::Race { stays, .. } => format!("{name} and {} connect at once", cell.clients[*stays].name),
        Action::Wait { seconds, early: false, .. } => format!("{seconds} s pass"),
        Action::Wait { seconds, early: true, .. } => format!("almost {seconds} s pass"),
        Action::Broker(operation) => {
            let what = operation.node.map_or("the broker".to_owned(), |node| format!("node {node} of the broker"));
            let befalls = match operation.trouble {
                Trouble::Partition if operation.begins => return format!("{what} is cut off from the others"),
                Trouble::Partition => return format!("{what} is joined with the others"),
                Trouble::End(_) if !operation.begins => return format!("{what} is started"),
                Trouble::End(Ending::Stop) => "stopped",
                Trouble::End(Ending::Kill) => "killed",
            };
            format!("{what} is {befalls}{}", if operation.passes { " and started again" } else { "" })
        }
    }
}

/// Whether a step of the cell publishes to a filter.
fn is_published_to(cell: &Cell, filter: &str) -> bool {
    cell.steps.iter().any(|step| match &step.action {
        Action::Publish(publication) => topic::matches(filter, &publication.topic),
        _ => false,
    })
}

fn asks_for(cell: &Cell, client: usize, connect: &Connect) -> String {
    let id = match cell.clients[client].client_id {
        None => " without an id".into(),
        Some(place) if place != client => format!(" with the id of {}", cell.clients[place].name),
        Some(_) => String::new(),
    };
    let session = if connect.clean { "clean session" } else { "persistent session" };
    format!("{id}: {session}")
}

/// `m1 to m3 at QoS 1`, numbered on through the cell.
fn what(cell: &Cell, step: usize, publication: &Publication) -> String {
    let before = cell.steps[..step].iter().filter_map(|earlier| match &earlier.action {
        Action::Publish(earlier) if !earlier.empty => Some(earlier.messages),
        _ => None,
    });
    let first = before.sum::<u32>() + 1;
    let messages = match publication.messages {
        _ if publication.empty => "an empty message".into(),
        1 => format!("m{first}"),
        2 => format!("m{first} and m{}", first + 1),
        count => format!("m{first} to m{}", first + count - 1),
    };
    let retained = if publication.retain { ", retained" } else { "" };
    format!("{messages} at QoS {}{retained}", publication.qos)
}
