//! One cell, packet by packet: what went over the wire, what each packet means in its place, what the broker owes by it,
//! what became of that, and the verdict.
//!
//! Everything is taken from the stored history and from the obligations of the model; no rule is made here.

mod gloss;
mod lines;
mod obligations;
mod packets;

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::{Page, Palette, findings, mark, measured, wrap};
use crate::choice;
use crate::history::{Entry, Event, Time};
use crate::judge::Attempt;
use crate::packet::Packet;
use crate::printed_command::PrintedCommand;
use crate::results::{AttemptRun, CellResult, CellRun, Results, Verdict, to_the_millisecond};
pub(super) use gloss::Glossary;
pub(super) use lines::{Line, arrow, lines};
pub(super) use obligations::{Owed, left_over};

/// How many bytes stand in a row.
const ROW_BYTES: usize = 16;
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
    pub detail: Detail,
}

/// What else is printed of each event.
#[derive(Debug, Clone, Copy, Default)]
pub struct Detail {
    /// The bytes of its packet.
    pub bytes: bool,
    /// The time of day in place of that since the attempt began.
    pub times: bool,
}

/// The whole explanation.
pub fn explain(explained: &Explained<'_>, page: impl Into<Page>) -> String {
    let page: Page = page.into();
    let palette = page.palette;
    let Explained { results, cell, run, question, attempts, detail } = explained;
    let mut text = format!("{}\n\n", measured(&results.broker, &results.run.url));
    text += &format!("{}\n", palette.heading(&cell.id));
    text += &question.map(|question| wrap("", question)).unwrap_or_default();
    text.push('\n');
    let times = if detail.times { TIMES_OF_DAY } else { TIMES_SINCE };
    text += &wrap("", &format!("Each event has its number, as findings cite it, and {times}. {HOW_TO_READ}"));
    let mut glossary = Glossary::default();
    for (place, attempt) in attempts.iter().enumerate() {
        if attempts.len() > 1 {
            let number = place + 1;
            let line = format!("attempt {number} of {}, with client ids and topics of its own", attempts.len());
            text += &format!("\n{}\n", palette.heading(&line));
        }
        text += &run.attempts.get(place).map(|attempt| names(&attempt.names, palette)).unwrap_or_default();
        let began = run.attempts.get(place).and_then(AttemptRun::began).filter(|_| detail.times);
        text += &exchange(attempt, &mut glossary, (began, detail.bytes), palette);
        let left: String = left_over(attempt).iter().map(|owed| owed.drawn(palette)).collect();
        if !left.is_empty() {
            text += &format!("\n{}\n{left}", palette.heading("What was owed and did not come"));
        }
    }
    text.push('\n');
    text += &verdict(cell, run, palette);
    let repeat = PrintedCommand::explain(results, &cell.id, &cell.scenario);
    page.lay_out(&(text + &format!("  Repeat with  {repeat}\n")))
}

const TIMES_SINCE: &str = "its time in milliseconds";
const TIMES_OF_DAY: &str = "its time of day in UTC, where the results have it";
const HOW_TO_READ: &str = "subscriber#2 is \
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
fn exchange(
    attempt: &Attempt,
    glossary: &mut Glossary,
    (began, with_bytes): (Option<SystemTime>, bool),
    palette: Palette,
) -> String {
    let mut text = String::new();
    let time = |entry: &Entry| entry.time.map(|time| moment(time, began) + " ").unwrap_or_default();
    let width = attempt.history.entries.iter().map(|entry| time(entry).len()).max().unwrap_or(0);
    for (number, line) in (1..).zip(lines(attempt, glossary)) {
        match &line.entry.event {
            Event::Step(_) => text += &format!("\n{}\n", palette.heading(&line.said)),
            event => {
                let head = format!("{number:>5}  {:>width$}{}", time(line.entry), head(line.entry));
                text += &wrap(&head, &line.said);
                if with_bytes && event.packet().is_some() {
                    text += &dump(line.entry);
                }
                text += &line.gloss.map(|gloss| wrap(INDENT, &gloss)).unwrap_or_default();
            }
        }
        text.extend(line.owed.iter().map(|owed| owed.drawn(palette)));
    }
    text
}

/// The time since the attempt began, or that of the day.
fn moment(time: Time, began: Option<SystemTime>) -> String {
    let Some(began) = began else { return time.to_string() };
    let of_day = to_the_millisecond(began + time.as_duration());
    of_day.split(['T', 'Z']).nth(1).unwrap_or_default().to_owned()
}

/// The bytes of a packet, in rows that fit.
fn dump(entry: &Entry) -> String {
    let Some(raw) = &entry.raw else {
        let is_connect = matches!(entry.event.packet(), Some(Packet::Connect(_)));
        let why = if is_connect { ", since they may hold a password" } else { "" };
        return format!("{INDENT}its bytes are not kept{why}\n");
    };
    let row = |bytes: &[u8]| {
        let hexadecimal: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let shown = |byte: &u8| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' };
        let text: String = bytes.iter().map(shown).collect();
        format!("{INDENT}{:<47}  {text}\n", hexadecimal.join(" "))
    };
    raw.chunks(ROW_BYTES).map(row).collect()
}

/// The client with the number of its connection, and the direction.
fn head(entry: &Entry) -> String {
    let arrow = arrow(&entry.event);
    let number = entry.connection.map(|number| format!("#{number}")).unwrap_or_default();
    match entry.event.client() {
        Some(client) => format!("{client}{number} {arrow} "),
        None => format!("{arrow} "),
    }
}

fn verdict(cell: &CellResult, run: &CellRun, palette: Palette) -> String {
    let word = format!("{} {}", mark(cell.verdict), cell.verdict.name());
    let text = match (&cell.reason, cell.violations.is_empty()) {
        (Some(reason), true) if cell.verdict == Verdict::Pass => {
            wrap(&format!("{word}: "), &format!("as the standard orders; {reason}"))
        }
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
