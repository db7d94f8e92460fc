//! The table of any other scenario: a row for each group of cells that gave the same answer. A row stands for exactly the
//! cells that it names, and each cell is in one row.

use std::collections::{BTreeMap, BTreeSet};

use super::grid::{Drawing, Grid};
use super::matrix::is_retained_copy;
use super::page::{Page, wrap};
use super::{Palette, group, mark};
use crate::fold::{Domain, Product};
use crate::results::{About, CellResult, Received, Verdict};

/// The cells of one scenario. What all of them have in common is said once, above the table.
pub(super) fn table(scenario: &str, about: Option<&About>, cells: &[&CellResult], page: Page) -> String {
    let domain = Domain::of(cells.iter().map(|cell| &cell.axes));
    let constants = domain.constants();
    let mut text = page.palette.heading(&format!("Scenario {scenario}")) + "\n";
    text += &about.map(|about| wrap("", &about.question)).unwrap_or_default();
    if !constants.is_empty() {
        text += &wrap("In every cell: ", &constants);
    }
    let naming = Naming::of(cells, about);
    let rows = rows(&domain, cells, &naming);
    text += "\n";
    text += &match in_columns(&domain, &rows, page.width) {
        Some(table) => table.lines().map(|line| paint_verdict(line, page.palette) + "\n").collect(),
        None => as_list(&domain, &rows, page.palette),
    };
    text + "\n" + &naming.legend(&rows)
}

/// What has to be said of a message beside its number: nothing that is the same in all cells.
struct Naming {
    clients: BTreeSet<String>,
    topics: BTreeSet<String>,
    has_wills: bool,
}

impl Naming {
    fn of(cells: &[&CellResult], about: Option<&About>) -> Naming {
        let received = || cells.iter().flat_map(|cell| &cell.received);
        let sent = cells.iter().flat_map(|cell| cell.sent_to.keys());
        Naming {
            clients: received().map(|copy| copy.client.clone()).collect(),
            topics: received().map(|copy| &copy.topic).chain(sent).cloned().collect(),
            has_wills: about.is_some_and(|about| about.has_wills),
        }
    }

    /// `3`, or `t 3, u 1` where the scenario has several topics.
    fn sent(&self, cell: &CellResult) -> String {
        if self.topics.len() < 2 {
            return cell.sent.to_string();
        }
        let topics: Vec<String> = cell.sent_to.iter().map(|(topic, count)| format!("{topic} {count}")).collect();
        if topics.is_empty() { cell.sent.to_string() } else { topics.join(", ") }
    }

    /// `3`, or `one 2, two 1` where several clients got something.
    fn received(&self, cell: &CellResult) -> String {
        let mut counts: BTreeMap<(&str, &str), Counts<'_>> = BTreeMap::new();
        for copy in &cell.received {
            counts.entry((&copy.client, &copy.topic)).or_default().add(copy);
        }
        let said = counts.iter().map(|((client, topic), counts)| {
            let client = Some(*client).filter(|_| self.clients.len() > 1);
            let topic = Some(*topic).filter(|_| self.topics.len() > 1);
            let words: Vec<String> = client.into_iter().chain(topic).map(str::to_owned).collect();
            [words, vec![counts.to_string()]].concat().join(" ")
        });
        let said: Vec<String> = said.collect();
        if said.is_empty() { "0".into() } else { said.join(", ") }
    }

    /// What the columns count.
    fn legend(&self, rows: &[Answer]) -> String {
        let by_topic = if self.topics.len() > 1 { ", by topic" } else { "" };
        let who: Vec<&str> = self.clients.iter().map(String::as_str).collect();
        let received = match who.as_slice() {
            [] => "no client got one".to_owned(),
            [client] => format!("those that {client} got, each once{by_topic}"),
            _ => format!("those that each client got, each once{by_topic}"),
        };
        let wills = if self.has_wills { "; wills are not counted" } else { "" };
        let mut text =
            wrap("", &format!("sent: the messages of the experiment{by_topic}; received: {received}{wills}"));
        let any = |sign: &str| rows.iter().any(|row| row.received.contains(sign));
        if rows.iter().any(|row| row.received.replace("(+", "").contains('+')) {
            text += "+1 a retained copy\n";
        }
        if any("(+") {
            text += &wrap("", "(+N) so many of them came once more on a later connection");
        }
        text
    }
}

/// The messages of one client on one topic.
#[derive(Default)]
struct Counts<'a> {
    /// By message, and whether it came as a retained copy: the connections on which it came.
    connections: BTreeMap<(bool, u32), BTreeSet<&'a u32>>,
}

impl<'a> Counts<'a> {
    fn add(&mut self, copy: &'a Received) {
        let Some(seq) = copy.seq else { return };
        self.connections.entry((is_retained_copy(copy), seq)).or_default().insert(&copy.connection);
    }
}

impl std::fmt::Display for Counts<'_> {
    /// `3`, `3+1` with a retained copy, `3 (+2)` where two came once more.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let of = |retained: bool| self.connections.keys().filter(|(own, _)| *own == retained).count();
        let (plain, retained) = (of(false), of(true));
        let again = self.connections.values().filter(|connections| connections.len() > 1).count();
        if plain > 0 || retained == 0 {
            write!(f, "{plain}")?;
        }
        if retained > 0 {
            write!(f, "+{retained}")?;
        }
        if again > 0 { write!(f, " (+{again})") } else { Ok(()) }
    }
}

/// What a row says of its cells.
struct Answer {
    product: Product,
    sent: String,
    received: String,
    /// The mark and the word.
    verdict: String,
}

fn rows(domain: &Domain, cells: &[&CellResult], naming: &Naming) -> Vec<Answer> {
    let mut rows = Vec::new();
    let answer = |cell: &CellResult| (naming.sent(cell), naming.received(cell), verdict(cell));
    for ((sent, received, verdict), members) in group(cells.iter().copied(), answer) {
        let products = domain.fold(members.iter().map(|cell| &cell.axes));
        rows.extend(products.into_iter().map(|product| Answer {
            product,
            sent: sent.clone(),
            received: received.clone(),
            verdict: verdict.clone(),
        }));
    }
    rows.sort_by_key(|row| row.product.order());
    rows
}

fn verdict(cell: &CellResult) -> String {
    format!("{} {}", mark(cell.verdict), cell.verdict.name())
}

/// The same for a format that draws tables itself: what all cells have in common, the table, and what its columns count.
pub(super) fn grid(about: Option<&About>, cells: &[&CellResult]) -> (String, Grid, String) {
    let domain = Domain::of(cells.iter().map(|cell| &cell.axes));
    let naming = Naming::of(cells, about);
    let rows = rows(&domain, cells, &naming);
    (domain.constants(), answers(&domain, &rows), naming.legend(&rows))
}

fn answers(domain: &Domain, rows: &[Answer]) -> Grid {
    let axes: Vec<usize> = domain.varying().collect();
    let heads = axes.iter().map(|&axis| domain.axis_name(axis).to_owned());
    let row = |row: &Answer| {
        let values = axes.iter().map(|&axis| domain.values(&row.product, axis));
        values.chain([row.sent.clone(), row.received.clone(), row.verdict.clone()]).collect()
    };
    Grid {
        head: heads.chain(["sent", "received", "verdict"].map(str::to_owned)).collect(),
        rows: rows.iter().map(row).collect(),
    }
}

fn in_columns(domain: &Domain, rows: &[Answer], width: usize) -> Option<String> {
    let mut grid = answers(domain, rows);
    // An axis has a long name and short values.
    grid.head.iter_mut().for_each(|head| *head = head.replace('_', "_\n"));
    grid.fit(&Drawing { gap: 2, right: 0..0 }, width)
}

/// A page that is too narrow for the table has a paragraph for each row.
fn as_list(domain: &Domain, rows: &[Answer], palette: Palette) -> String {
    let row = |row: &Answer| {
        let cells = domain.describe(&row.product);
        let cells = if cells.is_empty() { "every cell".to_owned() } else { cells };
        let said =
            wrap(&format!("{} ", row.verdict), &format!("{cells}: sent {}, received {}", row.sent, row.received));
        said.replacen(&row.verdict, &paint_verdict(&row.verdict, palette), 1)
    };
    rows.iter().map(row).collect()
}

/// The verdict ends its line.
fn paint_verdict(line: &str, palette: Palette) -> String {
    for verdict in Verdict::WORST_FIRST {
        let words = format!("{} {}", mark(verdict), verdict.name());
        if let Some(rest) = line.strip_suffix(&words) {
            return format!("{rest}{}", palette.verdict(verdict, &words));
        }
    }
    line.to_owned()
}
