//! The table of the matrix: a row for each way to come back, a column for each pair of QoS, and in each entry how many
//! of the messages arrived and whether that is right. Equal rows are folded.

use std::collections::BTreeSet;
use std::ops::Range;

use super::grid::{Drawing, Grid};
use super::page::{Page, wrap};
use super::{Palette, choices, group, mark};
use crate::fold::{Domain, Product};
use crate::results::{Axes, AxisValue, CellResult, Phase, Received, Verdict};

const ROW_AXES: [&str; 4] = ["protocol", "clean_session", "retain", "resubscribe"];
const ROW_HEADS: [&str; 4] = ["protocol", "clean_\nsession", "retain", "resub-\nscribe"];
const COLUMN_AXES: [&str; 2] = ["publish_qos", "subscribe_qos"];

/// The pairs of publish and subscribe QoS, one for each column.
const COLUMNS: [(u32, u32); 9] = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)];

const COLUMN_TITLE: &str = "Columns: QoS of the publication → QoS of the subscription";

const DRAWING: Drawing = Drawing { gap: 1, right: ROW_AXES.len()..usize::MAX };

/// The mark of a pass whose count the standard leaves open.
pub(super) const CHOSEN: &str = "*";

const MEANINGS: [(&str, &str); 7] = [
    ("✓", "right"),
    (CHOSEN, "right, the count is the broker's choice"),
    ("✗", "breaks a MUST"),
    ("!", "breaks a SHOULD, or is odd"),
    ("?", "not enough evidence"),
    ("-", "not supported"),
    ("E", "error of the harness or the network"),
];

/// What came back in one cell.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    verdict: Verdict,
    /// Whether a choice of the broker decides the count.
    chosen: bool,
    counts: Option<Counts>,
}

/// Distinct messages, by how they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    queued: usize,
    retained: usize,
    /// Once more, on a further connection.
    again: usize,
}

/// The rows of the table: what each arrangement of [`ROW_AXES`] gave in each column.
type Row = (Axes, Vec<Option<Entry>>);

/// The table, or nothing if these are not cells of the matrix.
pub(super) fn table(cells: &[&CellResult], page: Page) -> Option<String> {
    let rows = rows(cells)?;
    let mut text = wrap("", &page.palette.heading(&title(cells)));
    text += &wrap("", COLUMN_TITLE);
    text += &render(&rows, page);
    text.push('\n');
    text += &legend(cells, &rows, page);
    Some(text)
}

/// The same for a format that draws tables itself: what is above the table, the table, and what is below it.
pub(super) fn grid(cells: &[&CellResult], page: Page) -> Option<(String, Grid, String)> {
    let rows = rows(cells)?;
    let title = format!("{}. {COLUMN_TITLE}", title(cells));
    Some((title, entries(&rows, 0..COLUMNS.len(), ROW_AXES), legend(cells, &rows, page)))
}

fn title(cells: &[&CellResult]) -> String {
    let sent = cells.iter().map(|cell| cell.sent).max().unwrap_or_default();
    format!("How many of {sent} messages arrived after the return")
}

fn rows(cells: &[&CellResult]) -> Option<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    for cell in cells {
        let value = |axis: &&str| Some(((*axis).to_owned(), cell.axes.get(axis)?.clone()));
        let axes = Axes(ROW_AXES.iter().map(value).collect::<Option<_>>()?);
        let [publish, subscribe] = COLUMN_AXES.map(|axis| cell.axes.get(axis));
        let column = match (publish?, subscribe?) {
            (AxisValue::Number(publish), AxisValue::Number(subscribe)) => (*publish, *subscribe),
            _ => return None,
        };
        let column = COLUMNS.iter().position(|known| *known == column)?;
        if cell.axes.0.len() != ROW_AXES.len() + COLUMN_AXES.len() {
            return None;
        }
        let place = rows.iter().position(|(known, _)| *known == axes).unwrap_or_else(|| {
            rows.push((axes, vec![None; COLUMNS.len()]));
            rows.len() - 1
        });
        rows[place].1[column] = Some(entry(cell));
    }
    Some(rows)
}

fn entry(cell: &CellResult) -> Entry {
    // Where the subscriber never came back nothing was counted, and "0" would say that nothing arrived.
    let counted = cell.session_present.is_some() && !matches!(cell.verdict, Verdict::Unsupported | Verdict::Error);
    Entry { verdict: cell.verdict, chosen: choices::decide_count(cell), counts: counted.then(|| counts(cell)) }
}

/// Whether a SUBSCRIBE brought it. Without one there is no retained copy: what has RETAIN 1 there was queued, and its flag is a
/// finding.
pub(super) fn is_retained_copy(copy: &Received) -> bool {
    copy.retain && copy.phase != Phase::Resumed
}

/// The messages that came after the return of a client. A message that came twice counts once: the verdict speaks of the
/// second copy.
fn counts(cell: &CellResult) -> Counts {
    let distinct = |again: bool, retain: bool| {
        let back = cell.received.iter().filter(|copy| copy.phase != Phase::First);
        let copies = back.filter(|copy| (copy.phase == Phase::Again) == again);
        let copies = copies.filter(|copy| is_retained_copy(copy) == retain);
        copies.filter_map(|copy| copy.seq).collect::<BTreeSet<u32>>().len()
    };
    Counts {
        queued: distinct(false, false),
        retained: distinct(false, true),
        again: distinct(true, false) + distinct(true, true),
    }
}

impl std::fmt::Display for Counts {
    /// `3`, `3+1` with a retained copy, `+1` with nothing else.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.queued > 0 || self.retained == 0 {
            write!(f, "{}", self.queued)?;
        }
        if self.retained > 0 {
            write!(f, "+{}", self.retained)?;
        }
        Ok(())
    }
}

impl Counts {
    /// `(+3)` came once more.
    fn again(&self) -> String {
        if self.again > 0 { format!("(+{})", self.again) } else { String::new() }
    }
}

impl Entry {
    fn mark(&self) -> &'static str {
        match self.verdict {
            Verdict::Pass if self.chosen => CHOSEN,
            verdict => mark(verdict),
        }
    }

    fn text(&self) -> String {
        let counts = self.counts.map(|counts| format!("{counts}{}", counts.again())).unwrap_or_default();
        counts + self.mark()
    }
}

fn fold<'a>(domain: &Domain, rows: &'a [Row], columns: Range<usize>) -> Vec<(Product, &'a [Option<Entry>])> {
    let mut folded = Vec::new();
    let measured = rows.iter().filter(|(_, entries)| entries[columns.clone()].iter().any(Option::is_some));
    for (entries, members) in group(measured, |(_, entries)| &entries[columns.clone()]) {
        let products = domain.fold(members.iter().map(|(axes, _)| axes));
        folded.extend(products.into_iter().map(|product| (product, entries)));
    }
    folded.sort_by_key(|(product, _)| product.order());
    folded
}

/// The head and the folded rows of some columns.
fn entries(rows: &[Row], columns: Range<usize>, row_heads: [&str; ROW_AXES.len()]) -> Grid {
    let domain = Domain::of(rows.iter().map(|(axes, _)| axes));
    let heads = COLUMNS[columns.clone()].iter().map(|(publish, subscribe)| format!("{publish}→{subscribe}"));
    let row = |(product, entries): (Product, &[Option<Entry>])| {
        let axes = (0..ROW_AXES.len()).map(|axis| domain.values(&product, axis));
        axes.chain(entries.iter().map(|entry| entry.as_ref().map(Entry::text).unwrap_or_default())).collect()
    };
    Grid {
        head: row_heads.map(str::to_owned).into_iter().chain(heads).collect(),
        rows: fold(&domain, rows, columns).into_iter().map(row).collect(),
    }
}

/// As few tables as fit: all pairs of QoS in one, or one for each QoS of the publication, or one for each pair.
fn render(rows: &[Row], page: Page) -> String {
    let tables = |count: usize, width: usize| -> Option<String> {
        let starts = (0..COLUMNS.len()).step_by(count);
        let parts = starts.map(|first| entries(rows, first..first + count, ROW_HEADS).fit(&DRAWING, width));
        parts.map(|drawn| Some(format!("\n{}", colour(&drawn?, page.palette)))).collect()
    };
    let fitting = [COLUMNS.len(), 3].into_iter().find_map(|count| tables(count, page.width));
    fitting.or_else(|| tables(1, usize::MAX)).unwrap_or_default()
}

/// Colours the marks below the head. The axes' own values contain none of them.
fn colour(drawn: &str, palette: Palette) -> String {
    match drawn.rsplit_once('─') {
        Some((head, rows)) => format!("{head}─{}", paint_marks(rows, palette)),
        None => drawn.to_owned(),
    }
}

pub(super) fn paint_marks(text: &str, palette: Palette) -> String {
    let mut painted = String::new();
    for character in text.chars() {
        let character = character.to_string();
        let verdict = Verdict::WORST_FIRST.into_iter().find(|verdict| mark(*verdict) == character);
        match verdict.or((character == CHOSEN).then_some(Verdict::Pass)) {
            Some(verdict) => painted += &palette.verdict(verdict, &character),
            None => painted += &character,
        }
    }
    painted
}

/// Only the marks that occur.
fn legend(cells: &[&CellResult], rows: &[Row], page: Page) -> String {
    let marks: BTreeSet<&str> = rows.iter().flat_map(|(_, entries)| entries).flatten().map(Entry::mark).collect();
    let mut text = meanings(&marks, page);
    let counts: Vec<Counts> = cells.iter().map(|cell| counts(cell)).collect();
    if counts.iter().any(|counts| counts.retained > 0) {
        text += "+1 a retained copy\n";
    }
    if counts.iter().any(|counts| counts.again > 0) {
        text += "(+N) came once more on the next connection\n";
    }
    text
}

/// What the marks mean. Each meaning stays on one line.
pub(super) fn meanings(marks: &BTreeSet<&str>, page: Page) -> String {
    let mut text = String::new();
    let mut column = 0;
    for (mark, meaning) in MEANINGS.into_iter().filter(|(mark, _)| marks.contains(mark)) {
        let width = mark.chars().count() + 1 + meaning.chars().count();
        let gap = match column {
            0 => "",
            column if column + 3 + width > page.width => "\n",
            _ => "   ",
        };
        column = if gap == "   " { column + 3 + width } else { width };
        text += &format!("{gap}{} {meaning}", paint_marks(mark, page.palette));
    }
    text + "\n"
}
