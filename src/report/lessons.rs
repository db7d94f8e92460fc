//! Lessons: what was asked, what was done, what happened, and which statements decide. Above them a table of the tests
//! whose results the tutorial gives.

pub(super) mod happened;
pub(super) mod steps;

use std::collections::BTreeSet;

use super::grid::{Drawing, Grid};
use super::{Page, Palette, choices, group, mark, matrix, style, wrap};
use crate::choice;
use crate::history::History;
use crate::packet::Protocol;
use crate::plan::{Action, Cell};
use crate::printed_command::PrintedCommand;
use crate::results::{CellResult, CellRun, Phase, Results, Verdict};
use crate::scenario::{LESSON, Lesson};
use crate::statement::{Duty, Statement};
use crate::topic;

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
pub(super) fn section(teaching: &Teaching, results: &Results, page: Page) -> String {
    let taught = teaching.taught(results);
    let mut text = table(teaching, &taught, page);
    text += "\n";
    text += &wrap("", HOW_TO_READ);
    if let Some(cell) = taught.iter().find_map(|taught| taught.cells.first()) {
        let command = PrintedCommand::explain(results, &cell.plan.id, &cell.plan.scenario);
        text += &format!("Packet by packet: {command}\n");
    }
    for taught in &taught {
        text += "\n";
        text += &lesson(taught, results.options.queue_limit, page);
    }
    text
}

/// What is said of an experiment of which the tutorial expects something.
const HEADS: [&str; 7] = ["lesson", "session", "QoS", "retain", "expects", "found", "here"];

/// The experiments of which the tutorial expects something, with its results beside ours.
fn table(teaching: &Teaching, taught: &[Taught<'_>], page: Page) -> String {
    let palette = page.palette;
    let is_test = |taught: &&Taught<'_>| taught.lesson.expected.is_some() || taught.lesson.actual.is_some();
    let tests: Vec<&Taught<'_>> = taught.iter().filter(is_test).collect();
    let mut text = wrap("", &palette.heading(&teaching.question));
    if tests.is_empty() {
        return text;
    }
    let rows: Vec<[String; 7]> = tests.iter().filter_map(|test| row(test)).collect();
    text += "\n";
    text += &in_columns(&rows, page).unwrap_or_else(|| rows.iter().map(|row| in_words(row, palette)).collect());
    let marks: BTreeSet<&str> = tests.iter().flat_map(|test| &test.cells).map(|cell| mark_of(cell.result)).collect();
    text += "\nQoS 1→0: published at QoS 1, subscribed at QoS 0\n";
    text + &matrix::meanings(&marks, page)
}

/// What the table says of a test.
fn row(test: &Taught<'_>) -> Option<[String; 7]> {
    let [session, qos, retain] = settings(test.cells.first()?.plan);
    let said = |text: &Option<String>| text.clone().unwrap_or_default();
    let (expected, found) = (said(&test.lesson.expected), said(&test.lesson.actual));
    Some([test.lesson.name.clone(), session, qos, retain, expected, found, here(test)])
}

/// A line for each test, if the page is wide enough.
fn in_columns(rows: &[[String; 7]], page: Page) -> Option<String> {
    let grid = Grid { head: HEADS.map(str::to_owned).into(), rows: rows.iter().map(|row| row.to_vec()).collect() };
    let drawn = grid.fit(&Drawing { gap: 1, right: 0..0 }, page.width)?;
    let mut lines = drawn.lines();
    let (head, rule) = (lines.next()?, lines.next()?);
    let lines: Vec<&str> = lines.collect();
    let before_tutorial = head.split_once(HEADS[4])?.0.chars().count();
    let mut text = format!("{:before_tutorial$}the tutorial\n{head}\n{rule}\n", "");
    for (line, row) in lines.iter().zip(rows) {
        // What was found here ends the line, or the line is broken.
        let before = line.strip_suffix(row[6].as_str())?;
        text += &format!("{before}{}\n", matrix::paint_marks(&row[6], page.palette));
    }
    (lines.len() == rows.len()).then_some(text)
}

/// For a page that is too narrow for the table.
fn in_words([test, session, qos, retain, expected, found, here]: &[String; 7], palette: Palette) -> String {
    let here = matrix::paint_marks(here, palette);
    let setting = format!("{session} session, QoS {qos}, retain {retain}");
    wrap(&format!("{test}: "), &format!("{setting}; the tutorial expects {expected}, found {found}; here: {here}"))
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
fn here(taught: &Taught<'_>) -> String {
    let said = taught
        .cells
        .iter()
        .map(|cell| (protocol(cell.plan), format!("{} {}", arrived(cell), mark_of(cell.result)).trim().to_owned()));
    folded(said.collect(), " ")
}

/// Which of the messages that the first subscription is about came after the return. Where it was not played to its end, nothing is
/// known of them.
fn arrived(cell: &TaughtCell<'_>) -> String {
    let TaughtCell { plan, result, .. } = cell;
    if !happened::is_played(plan, &cell.history) {
        return "not played".into();
    }
    if matches!(result.verdict, Verdict::Unsupported | Verdict::Error) {
        return String::new();
    }
    let filter = plan.steps.iter().find_map(|step| match &step.action {
        Action::Subscribe { filters, .. } => filters.first().map(|filter| filter.filter.as_str()),
        _ => None,
    });
    let is_about = |topic: &str| filter.is_none_or(|filter| topic::matches(filter, topic));
    let back = result.received.iter().filter(|copy| matches!(copy.phase, Phase::Resumed | Phase::Resubscribed));
    let messages: BTreeSet<u32> = back.filter(|copy| is_about(&copy.topic)).filter_map(|copy| copy.seq).collect();
    let sent: u32 = result.sent_to.iter().filter(|(topic, _)| is_about(topic)).map(|(_, count)| count).sum();
    match messages.len() as u32 {
        0 => "none".into(),
        count if count == sent => "all".into(),
        1 if sent == result.sent && messages.contains(&sent) => "the last".into(),
        count => format!("{count} of {sent}"),
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
fn lesson(taught: &Taught<'_>, queue_limit: Option<u32>, page: Page) -> String {
    let palette = page.palette;
    let lesson = taught.lesson;
    let title = lesson.title.as_ref().map(|title| format!(": {title}")).unwrap_or_default();
    let mut text = wrap("", &palette.heading(&format!("{}{title}", lesson.name)));
    text += &wrap("", &lesson.question);
    text += "\n";
    text += &steps::table(&taught.cells, page.width);
    text += "\n";
    text += &tutorial(taught);
    text += &why(&lesson.statements);
    text += &paragraph("So", lesson.conclusion.as_deref());
    text += &left_open(taught, queue_limit);
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
        results.push(format!("here: {}", here(taught)));
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

/// What the standard, or the user, leaves to the broker in these cells.
fn left_open(taught: &Taught<'_>, queue_limit: Option<u32>) -> String {
    let names: BTreeSet<&String> = taught.cells.iter().flat_map(|cell| cell.result.choices.keys()).collect();
    let line = |name: &String| {
        let of_cell =
            |cell: &TaughtCell<'_>| Some((protocol(cell.plan), choice::sentence(name, cell.result.choices.get(name)?)));
        let said = folded(taught.cells.iter().filter_map(of_cell).collect(), "; ");
        let who = match queue_limit.filter(|_| choice::is_of_queue_limit(name)) {
            Some(limit) => format!("You declared a queue limit of {limit}, and what is beyond it is not judged."),
            None => "The standard leaves open what this broker chose:".to_owned(),
        };
        wrap("  Open      ", &format!("{who} {said}."))
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
