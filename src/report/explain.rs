//! One cell, packet by packet: what went over the wire, what each packet means in its place, what the broker owes by it,
//! what became of that, and the verdict.
//!
//! Everything is taken from the stored history and from the obligations of the model; no rule is made here.

mod gloss;
mod obligations;
mod packets;

use std::collections::BTreeMap;

use super::{Page, Palette, findings, mark, measured, wrap};
use crate::choice;
use crate::history::{Entry, Event};
use crate::judge::Attempt;
use crate::results::{CellResult, CellRun, Results, Verdict};
use crate::visible::visible;
use gloss::Glossary;

/// What stands before the text below an event.
const INDENT: &str = "        ";

/// A cell, and all that is known of it.
pub struct Explained<'a> {
    /// Where it comes from; its cells are not looked at.
    pub results: &'a Results,
    pub cell: &'a CellResult,
    pub run: &'a CellRun,
    /// The question of the scenario, if it is known.
    pub question: Option<&'a str>,
    /// The attempts of `run`, in the same order.
    pub attempts: &'a [Attempt],
}

/// The whole explanation.
pub fn explain(explained: &Explained<'_>, page: impl Into<Page>) -> String {
    let page: Page = page.into();
    let palette = page.palette;
    let Explained { results, cell, run, question, attempts, .. } = explained;
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
        text += &run.attempts.get(place).map(|attempt| names(&attempt.names, palette)).unwrap_or_default();
        text += &exchange(attempt, &mut glossary, palette);
        text += &obligations::left_over(attempt, palette);
    }
    text.push('\n');
    text += &verdict(cell, run, palette);
    page.lay_out(
        &(text + &format!("  Repeat with  {}\n", findings::explain_command(explained.results, explained.cell))),
    )
}

const HOW_TO_READ: &str = "Each event has its number, as findings cite it, and its time in milliseconds. subscriber#2 is \
     the second Network Connection of the client subscriber; -> is sent by the client, <- comes from the broker; id is the \
     Packet Identifier. The events of one connection stand in the order on the wire. Between clients the order within a \
     step proves nothing.";

/// The scenario's names of clients and topics beside those on the wire.
fn names(names: &BTreeMap<String, String>, palette: Palette) -> String {
    if names.is_empty() {
        return String::new();
    }
    let width = names.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    let lines: String = names.iter().map(|(name, wire)| format!("  {name:width$}  {wire}\n")).collect();
    format!("\n{}\n{lines}", palette.heading("Names on the wire"))
}

/// The events of one attempt.
fn exchange(attempt: &Attempt, glossary: &mut Glossary, palette: Palette) -> String {
    let mut text = String::new();
    let events: Vec<Event> = attempt.history.events().cloned().collect();
    let times = attempt.history.entries.iter().filter_map(|entry| entry.time);
    let width = times.map(|time| time.to_string().len() + 1).max().unwrap_or(0);
    for (at, entry) in attempt.history.entries.iter().enumerate() {
        match &entry.event {
            Event::Step(step) => text += &format!("\n{}\n", palette.heading(&visible(step))),
            event => {
                let time = entry.time.map(|time| format!("{time} ")).unwrap_or_default();
                let head = format!("{:>5}  {time:>width$}{}", at + 1, head(entry));
                text += &wrap(&head, &visible(&packets::said(event)));
                if let Some(gloss) = glossary.gloss(&events, at) {
                    text += &wrap(INDENT, &gloss);
                }
            }
        }
        text += &obligations::at(attempt, at, palette);
    }
    text
}

/// The client with the number of its connection, and the direction.
fn head(entry: &Entry) -> String {
    let arrow = match &entry.event {
        Event::Sent(..) | Event::Half(..) | Event::Closed(..) => "->",
        Event::Received(..) | Event::Ended(..) | Event::Undecodable(..) => "<-",
        _ => "--",
    };
    let number = entry.connection.map(|number| format!("#{number}")).unwrap_or_default();
    match entry.event.client() {
        Some(client) => format!("{client}{number} {arrow} "),
        None => format!("{arrow} "),
    }
}

fn verdict(cell: &CellResult, run: &CellRun, palette: Palette) -> String {
    let word = format!("{} {}", mark(cell.verdict), cell.verdict.name());
    let text = match (&cell.reason, cell.violations.is_empty()) {
        (Some(reason), true) => wrap(&format!("{word} "), reason),
        (_, false) => format!("{word}: {}\n", count(cell.violations.len(), "statement broken", "findings")),
        (None, true) if cell.verdict == Verdict::Pass => format!("{word}: as the standard orders\n"),
        (None, true) => format!("{word}\n"),
    };
    let mut text = text.replacen(&word, &palette.verdict(cell.verdict, &word), 1);
    for (number, violation) in cell.violations.iter().enumerate() {
        text += &findings::violated(violation);
        text += &(findings::measured(run, number) + &findings::events(&run.lines_of(number)));
        let several = run.attempts.len() > 1;
        let attempt = run.evidence_of(number).filter(|_| several).map(|evidence| evidence.attempt);
        text += &attempt.map(|attempt| format!("  Seen in      attempt {attempt}\n")).unwrap_or_default();
    }
    for (name, value) in &cell.choices {
        text += &wrap("  Choice       ", &format!("{}; the standard leaves it open", choice::sentence(name, value)));
    }
    text
}

fn count(number: usize, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}
