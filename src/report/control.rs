//! The same lessons with two clients, the harness and a client library: is it the broker or the client?

use super::grid::{Drawing, Grid};
use super::lessons::happened::happened;
use super::lessons::steps::done;
use super::lessons::{TaughtCell, Teaching};
use super::{Page, Palette, wrap};
use crate::history::History;
use crate::packet::Protocol;
use crate::plan::{Action, Cell};
use crate::results::Results;

/// What another client got.
#[derive(Debug)]
pub struct Control {
    pub client: &'static str,
    pub played: Vec<ControlPlayed>,
}

/// One cell, as the other client played it.
#[derive(Debug)]
pub struct ControlPlayed {
    /// The cell's id.
    pub id: String,
    /// What the client showed, or why it did not play the cell or could not finish it.
    pub history: Result<History, String>,
}

/// How wide the column with the name of the lesson is, and the mark before it.
const LESSON: usize = 21;
const GAP: usize = 2;

/// One lesson with both clients.
struct Row<'a> {
    cell: &'a Cell,
    lesson: &'a str,
    own: Vec<String>,
    other: Result<Vec<String>, &'a str>,
}

/// What came to both clients in each lesson, side by side, and the steps in which they differ.
pub fn control(results: &Results, teachings: &[Teaching], control: &Control, page: impl Into<Page>) -> String {
    let page: Page = page.into();
    let palette = page.palette;
    let rows: Vec<Row<'_>> = teachings.iter().flat_map(|teaching| rows(teaching, results, control)).collect();
    let client = control.client;
    let mut text = palette.heading(&format!("Is it the broker or my client? The same in 3.1.1 with {client}")) + "\n\n";
    let grid = Grid {
        head: ["  lesson", "this tool", client].map(String::from).into(),
        rows: rows.iter().map(in_columns).collect(),
    };
    let left = page.width - LESSON - GAP;
    let own = left / 2 + 1;
    text += &grid.drawn(&Drawing { gap: GAP, right: 0..0 }, &[LESSON, own - GAP, left - own]);
    text.push('\n');
    page.lay_out(&(text + &where_they_differ(&rows, client, palette)))
}

fn rows<'a>(teaching: &'a Teaching, results: &'a Results, control: &'a Control) -> Vec<Row<'a>> {
    let taught = teaching.taught(results);
    let cells = taught.into_iter().flat_map(|taught| {
        let lesson = taught.lesson.name.as_str();
        taught.cells.into_iter().map(move |cell| (lesson, cell))
    });
    let row = |(lesson, TaughtCell { plan, history, .. }): (&'a str, TaughtCell<'a>)| {
        let played = control.played.iter().find(|played| played.id == plan.id)?;
        Some(Row {
            cell: plan,
            lesson,
            own: happened(plan, &history),
            other: played.history.as_ref().map(|history| happened(plan, history)).map_err(String::as_str),
        })
    };
    cells.filter(|(_, cell)| super::lessons::protocol(cell.plan) == Protocol::V3).filter_map(row).collect()
}

fn in_columns(row: &Row<'_>) -> Vec<String> {
    let mark = if differences(row).is_empty() { " " } else { "≠" };
    let other = row.other.as_ref().map_or_else(|why| (*why).to_owned(), |said| arrived(row.cell, said));
    let own = if row.own.is_empty() { "not played".into() } else { arrived(row.cell, &row.own) };
    vec![format!("{mark} {}", row.lesson), own, other]
}

/// What came in the steps that take messages; where there are none, what came of the connections.
fn arrived(cell: &Cell, said: &[String]) -> String {
    let of = |wanted: fn(&Action) -> bool| -> Vec<String> {
        let steps = cell.steps.iter().zip(said).filter(|(step, said)| wanted(&step.action) && !said.is_empty());
        steps.map(|(_, said)| said.clone()).collect()
    };
    let taken = of(|action| matches!(action, Action::Receive { .. }));
    let taken = if taken.is_empty() { of(|action| matches!(action, Action::Connect(_))) } else { taken };
    taken.join("; later: ")
}

/// The steps of which the two clients say something else.
fn differences(row: &Row<'_>) -> Vec<usize> {
    let Ok(other) = &row.other else { return Vec::new() };
    (0..row.own.len().min(other.len())).filter(|step| row.own[*step] != other[*step]).collect()
}

fn where_they_differ(rows: &[Row<'_>], client: &str, palette: Palette) -> String {
    let differing = rows.iter().flat_map(|row| differences(row).into_iter().map(move |step| (row, step)));
    let mut text = String::new();
    for (row, step) in differing {
        let Ok(other) = &row.other else { continue };
        text += &wrap("  ", &format!("{}, step {}: {}", row.lesson, step + 1, done(row.cell, step)));
        text += &wrap("    this tool  ", &row.own[step]);
        text += &wrap(&format!("    {client:<9}  "), &other[step]);
    }
    let none = "In every lesson that both played they got the same, so no failure there is caused by the client.";
    match text.is_empty() {
        true => wrap("", none),
        false => palette.heading("Where they differ") + "\n" + &text,
    }
}
