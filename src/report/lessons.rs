//! Lessons: what was asked, what was done, what happened, and which statements decide. Above them a table of the tests
//! whose results the tutorial gives.

pub(super) mod happened;
pub(super) mod steps;

use std::collections::BTreeSet;

use super::{Palette, choices, group, mark, matrix, style, wrap};
use crate::history::History;
use crate::packet::Protocol;
use crate::plan::{Action, Cell};
use crate::printed_command::PrintedCommand;
use crate::results::{CellResult, CellRun, Phase, Results, Verdict};
use crate::scenario::{LESSON, Lesson};
use crate::statement::{Duty, Statement};

/// The lessons of a scenario, and the cells that were planned for them.
#[derive(Debug, Clone)]
pub struct Teaching {
    /// The name of the scenario.
    pub scenario: String,
    /// What the lessons are about.
    pub question: String,
    pub lessons: Vec<Lesson>,
    pub cells: Vec<Cell>,
}

/// A lesson with the cells that were run for it.
pub(super) struct Taught<'a> {
    pub lesson: &'a Lesson,
    pub cells: Vec<TaughtCell<'a>>,
}

/// A cell of a lesson: the plan, the result, and the history of the attempt on which it rests.
pub(super) struct TaughtCell<'a> {
    pub plan: &'a Cell,
    pub result: &'a CellResult,
    /// Empty where it was not kept.
    pub history: History,
}

impl Teaching {
    /// The lessons of which at least one cell is among the results, in the order of the scenario.
    pub(super) fn taught<'a>(&'a self, results: &'a Results) -> Vec<Taught<'a>> {
        let of_lesson =
            |lesson: &Lesson, cell: &Cell| cell.axes.get(LESSON).is_some_and(|value| value.to_string() == lesson.name);
        let with_result = |plan: &'a Cell| {
            let result = results.cells.iter().find(|result| result.id == plan.id)?;
            Some(TaughtCell { plan, result, history: deciding_history(results, &plan.id) })
        };
        let taught = self.lessons.iter().map(|lesson| Taught {
            lesson,
            cells: self.cells.iter().filter(|cell| of_lesson(lesson, cell)).filter_map(with_result).collect(),
        });
        taught.filter(|taught| !taught.cells.is_empty()).collect()
    }
}

fn deciding_history(results: &Results, id: &str) -> History {
    let deciding = results.run.cells.get(id).and_then(CellRun::deciding);
    deciding.and_then(|attempt| attempt.parsed().ok()).unwrap_or_default()
}

const HOW_TO_READ: &str = "A persistent session is clean_session=false; in MQTT 5.0 it is Clean Start 0 with a Session \
     Expiry Interval. m1, m2 and so on are the messages. A line that names no version of MQTT is true of each version \
     that was played.";

/// All lessons of a scenario.
pub(super) fn section(teaching: &Teaching, results: &Results, palette: Palette) -> String {
    let taught = teaching.taught(results);
    let mut text = table(teaching, &taught, palette);
    text += "\n";
    text += &wrap("", HOW_TO_READ);
    if let Some(cell) = taught.iter().find_map(|taught| taught.cells.first()) {
        let command = PrintedCommand::explain(results, &cell.plan.id, &cell.plan.scenario);
        text += &format!("Packet by packet: {command}\n");
    }
    for taught in &taught {
        text += "\n";
        text += &lesson(taught, palette);
    }
    text
}

/// The experiments of which the tutorial expects something, with its results beside ours.
fn table(teaching: &Teaching, taught: &[Taught<'_>], palette: Palette) -> String {
    let is_test = |taught: &&Taught<'_>| taught.lesson.expected.is_some() || taught.lesson.actual.is_some();
    let tests: Vec<&Taught<'_>> = taught.iter().filter(is_test).collect();
    let mut text = palette.heading(wrap("", &teaching.question).trim_end()) + "\n";
    if tests.is_empty() {
        return text;
    }
    text += &format!("\n{:40}the tutorial\n", "");
    text += &row(["lesson", "session", "QoS", "retain", "expects", "found", "here"]);
    text += &format!("{}\n", "─".repeat(62));
    for test in &tests {
        let Some(cell) = test.cells.first() else { continue };
        let [session, qos, retain] = settings(cell.plan);
        let found = test.lesson.actual.as_deref().unwrap_or("");
        let expected = test.lesson.expected.as_deref().unwrap_or("");
        text += &row([&test.lesson.name, &session, &qos, &retain, expected, found, &here(test, palette)]);
    }
    let marks: BTreeSet<&str> = tests.iter().flat_map(|test| &test.cells).map(|cell| mark_of(cell.result)).collect();
    text += "\nQoS 1→0: published at QoS 1, subscribed at QoS 0\n";
    text + &matrix::meanings(&marks, palette)
}

fn row(columns: [&str; 7]) -> String {
    let [test, session, qos, retain, expected, found, here] = columns;
    let line = format!("{test:<16}{session:<11}{qos:<5}{retain:<8}{expected:<8}{found:<6}{here}");
    line.trim_end().to_owned() + "\n"
}

/// Session, QoS of the publication and of the subscription, and RETAIN, as the steps have them.
fn settings(cell: &Cell) -> [String; 3] {
    let mut publications = cell.steps.iter().filter_map(|step| match &step.action {
        Action::Publish(publication) => Some(publication),
        _ => None,
    });
    let subscribed = cell.steps.iter().find_map(|step| match &step.action {
        Action::Subscribe { filters, .. } => filters.first().map(|filter| filter.qos),
        _ => None,
    });
    let is_clean = cell.steps.iter().find_map(|step| match &step.action {
        Action::Connect(connect) => Some(connect.clean),
        _ => None,
    });
    let published = publications.clone().next().map(|publication| publication.qos);
    let qos = |qos: Option<u8>| qos.map_or("-".into(), |qos| qos.to_string());
    [
        if is_clean == Some(true) { "clean" } else { "persistent" }.into(),
        format!("{}→{}", qos(published), qos(subscribed)),
        if publications.any(|publication| publication.retain) { "yes" } else { "no" }.into(),
    ]
}

/// What arrived in each protocol version, in one word where they agree.
fn here(taught: &Taught<'_>, palette: Palette) -> String {
    let said = taught.cells.iter().map(|cell| {
        let mark = palette.verdict(cell.result.verdict, mark_of(cell.result));
        (protocol(cell.plan), format!("{} {mark}", arrived(cell)).trim().to_owned())
    });
    folded(said.collect(), " ")
}

/// Which of the messages came after the return. Where it was not played to its end, nothing is known of them.
fn arrived(cell: &TaughtCell<'_>) -> String {
    if !happened::is_played(cell.plan, &cell.history) {
        return "not played".into();
    }
    let cell = cell.result;
    if matches!(cell.verdict, Verdict::Unsupported | Verdict::Error) {
        return String::new();
    }
    let back = cell.received.iter().filter(|copy| matches!(copy.phase, Phase::Resumed | Phase::Resubscribed));
    let messages: BTreeSet<u32> = back.filter_map(|copy| copy.seq).collect();
    match messages.len() as u32 {
        0 => "none".into(),
        count if count == cell.sent => "all".into(),
        count => format!("{count} of {}", cell.sent),
    }
}

/// What was said for each protocol version: once if it is the same for all, otherwise behind the version.
pub(super) fn folded(said: Vec<(Protocol, String)>, separator: &str) -> String {
    match said.first() {
        Some((_, first)) if said.iter().all(|(_, text)| text == first) => first.clone(),
        _ => said.iter().map(|(protocol, text)| format!("{protocol}: {text}")).collect::<Vec<_>>().join(separator),
    }
}

pub(super) fn protocol(cell: &Cell) -> Protocol {
    cell.clients.first().map_or(Protocol::V3, |client| client.protocol)
}

fn mark_of(cell: &CellResult) -> &'static str {
    match cell.verdict {
        Verdict::Pass if choices::decide_count(cell) => matrix::CHOSEN,
        verdict => mark(verdict),
    }
}

/// One lesson: its question, its steps with what came of each, the tutorial's result, why, what follows, and what to do.
fn lesson(taught: &Taught<'_>, palette: Palette) -> String {
    let lesson = taught.lesson;
    let title = lesson.title.as_ref().map(|title| format!(": {title}")).unwrap_or_default();
    let mut text = palette.heading(wrap("", &format!("{}{title}", lesson.name)).trim_end()) + "\n";
    text += &wrap("", &lesson.question);
    text += "\n";
    text += &steps::table(&taught.cells);
    text += "\n";
    text += &tutorial(taught);
    text += &why(&lesson.statements);
    text += &paragraph("So", lesson.conclusion.as_deref());
    text += &left_open(taught);
    text += &verdicts(taught, palette);
    text + &paragraph("To do", lesson.advice.as_deref())
}

/// A text behind its heading, if there is one.
fn paragraph(head: &str, text: Option<&str>) -> String {
    text.map(|text| wrap(&format!("  {head:<10}"), text)).unwrap_or_default()
}

/// What the tutorial says, and its results beside ours.
fn tutorial(taught: &Taught<'_>) -> String {
    let lesson = taught.lesson;
    let mut text = paragraph("Tutorial", lesson.tutorial.as_deref());
    let mut results = Vec::new();
    results.extend(lesson.expected.as_ref().map(|expected| format!("expected: {expected}")));
    results.extend(lesson.actual.as_ref().map(|actual| format!("found: {actual}")));
    if !results.is_empty() {
        results.push(format!("here: {}", here(taught, Palette::Plain)));
        let head = if text.is_empty() { "Tutorial" } else { "" };
        text += &paragraph(head, Some(&results.join("; ")));
    }
    text
}

/// The statements in plain words, those for brokers apart from those for clients.
fn why(statements: &[&Statement]) -> String {
    let mut text = String::new();
    for (who, duty_of_client) in [("broker", false), ("client", true)] {
        let own = statements.iter().filter(|statement| (statement.duty == Duty::Client) == duty_of_client);
        for (place, (paraphrase, alike)) in group(own, |statement| statement.paraphrase).iter().enumerate() {
            if place == 0 {
                let head = if text.is_empty() { "Why" } else { "" };
                text += &format!("  {head:<9} The standard tells every {who}:\n");
            }
            let places: Vec<String> = alike.iter().map(|own| format!("{} {}", own.protocol, own.id)).collect();
            text += &wrap("            - ", &format!("{paraphrase} [{}]", places.join(", ")));
        }
    }
    text
}

/// What the standard leaves to the broker in these cells.
fn left_open(taught: &Taught<'_>) -> String {
    let names: BTreeSet<&String> = taught.cells.iter().flat_map(|cell| cell.result.choices.keys()).collect();
    let line = |name: &String| {
        let of_cell = |cell: &TaughtCell<'_>| Some((protocol(cell.plan), cell.result.choices.get(name)?.clone()));
        let values = folded(taught.cells.iter().filter_map(of_cell).collect(), ", ");
        let what = choices::meaning(name).unwrap_or(name);
        wrap("  Open      ", &format!("The standard lets the broker choose: {what}. This one chose: {values}."))
    };
    names.into_iter().map(line).collect()
}

fn verdicts(taught: &Taught<'_>, palette: Palette) -> String {
    let said = taught.cells.iter().map(|TaughtCell { plan, result, .. }| {
        let words = format!("{} {}", mark_of(result), result.verdict.name());
        (protocol(plan), palette.paint(style(result.verdict), &words))
    });
    format!("  Verdict   {}\n", folded(said.collect(), "   "))
}
