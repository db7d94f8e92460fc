//! Several results files as one page that a browser opens by itself: the table of brokers and behaviours, what stands behind
//! each of its cells, the statements and the choices.
//!
//! The page asks nobody for anything: its style and its script stand in it, and its policy forbids the rest. What the files
//! say goes into it as data, which the script writes as text and never as markup. Files of a survey say the same over and
//! over, so that each text and each answer stands once, and cells have its number.

mod answers;
mod brokers;
mod cells;
mod commands;
mod label;
mod once;
mod rows;
mod runs;
mod statements;
mod storms;

use askama::Template;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::digest::{SHA256, digest};
use serde::Serialize;

use super::mark;
use super::survey::beside;
use super::survey::{Surveyed, families, title};
use crate::results::Verdict;
use answers::{Answer, Choice, Violation};
use brokers::Broker;
use cells::Cells;
use once::Once;
use rows::{Row, Scenario};
use runs::Runs;
use statements::Statement;

pub use storms::storms as storms_html;

const STYLE: &str = concat!(include_str!("html/page.css"), include_str!("html/panel.css"));
const SCRIPT: &str = concat!(
    "(() => {\n",
    include_str!("html/elements.js"),
    include_str!("html/data.js"),
    include_str!("html/address.js"),
    include_str!("html/filters.js"),
    include_str!("html/table.js"),
    include_str!("html/views.js"),
    include_str!("html/packets.js"),
    include_str!("html/diagram.js"),
    include_str!("html/panel.js"),
    include_str!("html/page.js"),
    "})();\n",
);

/// The page around the data.
#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    style: &'static str,
    script: &'static str,
    /// What the browser may run and load: the style and the script by their digests, and nothing else.
    policy: String,
    data: &'a Data,
    brokers: Vec<String>,
    /// A row for each scenario and protocol version, for readers without a script.
    rows: Vec<Vec<String>>,
}

/// What the script reads. Texts stand in `texts`, and elsewhere as their places there; 0 is no text.
#[derive(Serialize)]
struct Data {
    tool: String,
    /// Mark and name of each verdict, worst first.
    verdicts: Vec<(&'static str, &'static str)>,
    brokers: Vec<Broker>,
    scenarios: Vec<Scenario>,
    rows: Vec<Row>,
    answers: Vec<Answer>,
    violations: Vec<Violation>,
    choices: Vec<Choice>,
    statements: Vec<Statement>,
    /// Lists of texts: steps in words.
    lists: Vec<Vec<usize>>,
    texts: Vec<String>,
}

/// What occurs in several places and stands once.
#[derive(Default)]
struct Shared {
    texts: Once<String>,
    lists: Once<Vec<usize>>,
    answers: Once<Answer>,
    violations: Once<Violation>,
    choices: Once<Choice>,
    /// By version and id.
    statements: Once<(String, String)>,
}

impl Shared {
    /// The place of a text.
    fn text(&mut self, text: &str) -> usize {
        self.texts.place(text.to_owned())
    }

    /// The place of a text that may be missing.
    fn text_or_none(&mut self, text: Option<&str>) -> usize {
        text.map_or(0, |text| self.text(text))
    }
}

/// The page of these files.
///
/// # Panics
/// Never: the template writes texts and what is only texts, numbers and lists.
pub fn html(all: &[Surveyed]) -> String {
    let families = families(all);
    let sorted: Vec<&Surveyed> = families.concat();
    let data = data(&families, &sorted);
    let rows = beside::rows(&sorted).into_iter().map(|row| {
        let entries = sorted.iter().map(|own| {
            let cells = own.results.cells.iter().filter(|cell| beside::row_of(cell) == row);
            beside::entry(&cells.collect::<Vec<_>>())
        });
        [row.0.to_owned(), row.1.clone()].into_iter().chain(entries).collect()
    });
    let page = Page {
        style: STYLE,
        script: SCRIPT,
        policy: policy(&[("script-src", SCRIPT), ("style-src", STYLE)]),
        data: &data,
        brokers: sorted.iter().map(|own| title(&own.results.broker)).collect(),
        rows: rows.collect(),
    };
    page.render().expect("the template writes texts, numbers and lists")
}

fn data(families: &[Vec<&Surveyed>], sorted: &[&Surveyed]) -> Data {
    let mut shared = Shared::default();
    // Place 0 is no text.
    shared.text("");
    let cells = Cells::of(sorted);
    let (scenarios, rows) = rows::rows(sorted, &cells, &mut shared);
    let runs = Runs::of(sorted, &rows);
    let mut brokers: Vec<Broker> = Vec::new();
    for family in families {
        for (place, own) in family.iter().enumerate() {
            let broker = brokers::broker(own, (place == 0, brokers.len()), &rows, &cells, &runs, &mut shared);
            brokers.push(broker);
        }
    }
    brokers::name_apart(&mut brokers);
    let statements = statements::statements(&mut shared);
    Data {
        tool: concat!("mqtt-sessions ", env!("CARGO_PKG_VERSION")).into(),
        verdicts: Verdict::WORST_FIRST.iter().map(|verdict| (mark(*verdict), verdict.name())).collect(),
        brokers,
        scenarios,
        rows: rows.into_iter().map(|row| row.row).collect(),
        answers: shared.answers.all(),
        violations: shared.violations.all(),
        choices: shared.choices.all(),
        statements,
        lists: shared.lists.all(),
        texts: shared.texts.all(),
    }
}

/// The Content Security Policy: the browser runs and loads what has these digests, and what came into the page by a file in no case.
fn policy(allowed: &[(&str, &str)]) -> String {
    let digest = |text: &str| BASE64_STANDARD.encode(digest(&SHA256, text.as_bytes()));
    let allowed: Vec<String> = allowed.iter().map(|(what, text)| format!("{what} 'sha256-{}'", digest(text))).collect();
    format!("default-src 'none'; {}; base-uri 'none'; form-action 'none'", allowed.join("; "))
}
