//! The steps of a lesson, each with what was done and what happened, the protocol versions folded into one list.

use super::happened::{happened, last_attempt};
use super::{folded, protocol};
use crate::packet::Protocol;
use crate::plan::{Action, Cell, Connect, Publication};
use crate::report::WIDTH;
use crate::results::CellResult;

/// Where the column begins that says what happened.
const HAPPENED_AT: usize = 47;

/// A step in words, and what happened in each protocol version that took it.
struct Line {
    done: String,
    happened: Vec<(Protocol, String)>,
}

/// The steps in two columns.
pub(super) fn table(cells: &[(&Cell, &CellResult)]) -> String {
    let mut text = String::new();
    for (number, line) in (1..).zip(lines(cells)) {
        let said: Vec<String> = match folded(line.happened.clone(), "\n") {
            said if line.happened.iter().any(|(_, own)| !own.is_empty()) => {
                said.split('\n').map(String::from).collect()
            }
            _ => Vec::new(),
        };
        text += &columns(&format!("{number:>3}  "), &line.done, &said);
    }
    text
}

/// Two texts side by side, each wrapped in its column.
fn columns(head: &str, left: &str, right: &[String]) -> String {
    let indent = head.chars().count();
    let left = in_lines(left, HAPPENED_AT - indent - 2);
    let right: Vec<String> = right.iter().flat_map(|text| in_lines(text, WIDTH - HAPPENED_AT)).collect();
    let mut text = String::new();
    for place in 0..left.len().max(right.len()) {
        let head = if place == 0 { head } else { "" };
        let of = |lines: &[String]| lines.get(place).cloned().unwrap_or_default();
        let line = format!("{head:indent$}{:<width$}{}", of(&left), of(&right), width = HAPPENED_AT - indent);
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// Words in lines of so many columns.
fn in_lines(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is always a line");
        if !last.is_empty() && last.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            *last += if last.is_empty() { "" } else { " " };
            *last += word;
        }
    }
    lines
}

/// The steps of all cells in one list. A step that not all of them take says which do.
fn lines(cells: &[(&Cell, &CellResult)]) -> Vec<Line> {
    let mut all: Vec<Line> = Vec::new();
    for (place, (cell, result)) in cells.iter().enumerate() {
        let played = happened(cell, &last_attempt(&result.history));
        let steps = (0..cell.steps.len()).map(|step| {
            let said = played.get(step).map(|said| (protocol(cell), said.clone()));
            Line { done: done(cell, step), happened: said.into_iter().collect() }
        });
        all = if place == 0 { steps.collect() } else { merged(all, steps.collect()) };
    }
    all
}

/// Two lists that have most of their steps in common.
fn merged(one: Vec<Line>, other: Vec<Line>) -> Vec<Line> {
    let mut merged = Vec::new();
    let mut other = other.into_iter().peekable();
    for mut line in one {
        if other.peek().is_some_and(|next| next.done == line.done) {
            line.happened.extend(other.next().into_iter().flat_map(|same| same.happened));
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
            let filters: Vec<String> =
                filters.iter().map(|filter| format!("{} at QoS {}", filter.filter, filter.qos)).collect();
            format!("{name} subscribes to {}", filters.join(", "))
        }
        Action::Unsubscribe { filter } => format!("{name} unsubscribes from {filter}"),
        Action::Publish(publication) => format!("{name} publishes {}", what(cell, step, publication)),
        Action::Receive { .. } => format!("{name} takes what comes"),
        Action::Disconnect { .. } => format!("{name} disconnects"),
        Action::Cut { .. } => format!("{name} is cut off without DISCONNECT"),
        Action::Silence => format!("{name} falls silent"),
        Action::Wait { seconds, .. } => format!("{seconds} s pass"),
    }
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
