//! One cell, packet by packet: what went over the wire, what each packet means in its place, what the broker owes by it,
//! what became of that, and the verdict.
//!
//! Everything is taken from the stored history and from the obligations of the model; no rule is made here.

mod gloss;
mod obligations;
mod packets;

use super::{Palette, findings, mark, measured, wrap};
use crate::history::Event;
use crate::judge::Attempt;
use crate::results::{CellResult, Results, Verdict};
use gloss::Glossary;

/// What stands before the text below an event.
const INDENT: &str = "        ";

/// A cell, and all that is known of it.
pub struct Explained<'a> {
    /// Where it comes from; its cells are not looked at.
    pub results: &'a Results,
    pub cell: &'a CellResult,
    /// What the scenario asks, if that is known.
    pub question: Option<&'a str>,
    pub attempts: &'a [Attempt],
    /// The file of the scenario, where it is not a built-in one.
    pub file: Option<&'a str>,
}

/// The whole explanation.
pub fn explain(explained: &Explained<'_>, palette: Palette) -> String {
    let Explained { results, cell, question, attempts, .. } = explained;
    let mut text = format!("{}\n\n", measured(&results.broker, &results.run.url));
    text += &format!("{}\n", palette.heading(&cell.id));
    text += &question.map(|question| wrap("", question)).unwrap_or_default();
    text.push('\n');
    text += &wrap("", HOW_TO_READ);
    let mut glossary = Glossary::default();
    for (place, attempt) in attempts.iter().enumerate() {
        if attempts.len() > 1 {
            let number = place + 1;
            let line = format!("attempt {number} of {}, with client ids and topics of its own", attempts.len());
            text += &format!("\n{}\n", palette.heading(&line));
        }
        text += &exchange(attempt, &mut glossary, palette);
        text += &obligations::left_over(attempt, palette);
    }
    text.push('\n');
    text += &verdict(cell, palette);
    text + &format!("  Repeat with  {}\n", repeat(explained))
}

const HOW_TO_READ: &str = "Events are numbered as findings cite them; -> is sent by the client, <- comes from the broker. \
     Within a step they stand by client, and in wire order for each client; id is the Packet Identifier.";

/// The events of one attempt.
fn exchange(attempt: &Attempt, glossary: &mut Glossary, palette: Palette) -> String {
    let mut text = String::new();
    let events: Vec<Event> = attempt.history.events().cloned().collect();
    for (at, event) in events.iter().enumerate() {
        let number = attempt.first + at;
        match event {
            Event::Step(step) => text += &format!("\n{}\n", palette.heading(step)),
            event => {
                text += &wrap(&format!("{number:>5}  {}", head(event)), &packets::said(event));
                if let Some(gloss) = glossary.gloss(&events, at) {
                    text += &wrap(INDENT, &gloss);
                }
            }
        }
        text += &obligations::at(attempt, at, palette);
    }
    text
}

/// Who, and in which direction.
fn head(event: &Event) -> String {
    let arrow = match event {
        Event::Sent(..) | Event::Closed(..) => "->",
        Event::Received(..) | Event::Ended(..) | Event::Undecodable(..) => "<-",
        _ => "--",
    };
    match event.client() {
        Some(client) => format!("{client} {arrow} "),
        None => format!("{arrow} "),
    }
}

fn verdict(cell: &CellResult, palette: Palette) -> String {
    let word = format!("{} {}", mark(cell.verdict), cell.verdict.name());
    let text = match (&cell.reason, cell.violations.is_empty()) {
        (Some(reason), true) => wrap(&format!("{word} "), reason),
        (_, false) => format!("{word}: {}\n", count(cell.violations.len(), "statement broken", "findings")),
        (None, true) if cell.verdict == Verdict::Pass => format!("{word}: as the standard orders\n"),
        (None, true) => format!("{word}\n"),
    };
    let mut text = text.replacen(&word, &palette.verdict(cell.verdict, &word), 1);
    for violation in &cell.violations {
        text += &findings::violated(violation, &cell.history);
    }
    for (name, value) in &cell.choices {
        text += &wrap("  Choice       ", &format!("{name} = {value}; the standard leaves it open"));
    }
    text
}

fn count(number: usize, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

/// The command that makes this explanation again.
fn repeat(explained: &Explained<'_>) -> String {
    let id = findings::quoted(&explained.cell.id);
    let file = explained.file.map(|file| format!(" --scenario {}", findings::quoted(file))).unwrap_or_default();
    format!("mqtt-sessions explain {id}{file}{}", findings::options(explained.results))
}
