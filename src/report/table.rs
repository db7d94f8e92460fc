//! The table of any other scenario: a row for each group of cells that gave the same answer.

use comfy_table::{ContentArrangement, LineStyle, Table, TableStyle};

use super::fold::{Domain, Product};
use super::markdown::Grid;
use super::{Palette, WIDTH, group, mark, matrix};
use crate::results::{CellResult, Verdict};

const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─'));

/// The cells of one scenario. What all of them have in common is said once, above the table.
pub(super) fn table(scenario: &str, cells: &[&CellResult], palette: Palette) -> String {
    let domain = Domain::with_gaps(cells.iter().map(|cell| &cell.axes));
    let constants = domain.constants();
    let mut text = palette.heading(&format!("Scenario {scenario}")) + "\n";
    if !constants.is_empty() {
        text += &super::wrap("In every cell: ", &constants);
    }
    text += "\n";
    for line in render(&domain, &fold(&domain, cells)).lines() {
        text += &paint_verdict(line, palette);
        text.push('\n');
    }
    if cells.iter().any(|cell| arrived(cell).contains('(')) {
        text += "\n(+N) came once more on the next connection\n";
    }
    text
}

/// What a row says of its cells.
struct Answer {
    product: Product,
    sent: u32,
    arrived: String,
    verdict: Verdict,
}

fn fold(domain: &Domain, cells: &[&CellResult]) -> Vec<Answer> {
    let mut rows = Vec::new();
    for ((sent, arrived, verdict), members) in
        group(cells.iter().copied(), |cell| (cell.sent, arrived(cell), cell.verdict))
    {
        let products = domain.fold(members.iter().map(|cell| &cell.axes));
        rows.extend(products.into_iter().map(|product| Answer { product, sent, arrived: arrived.clone(), verdict }));
    }
    rows.sort_by_key(|row| row.product.order());
    rows
}

/// How many messages came after the return; `-` where no client came back.
fn arrived(cell: &CellResult) -> String {
    let counts = matrix::counts(cell);
    if cell.session_present.is_none() && counts.is_none() {
        return "-".into();
    }
    format!("{counts}{}", counts.again())
}

/// The same for a format that draws tables itself: what all cells have in common, and the table.
pub(super) fn grid(cells: &[&CellResult]) -> (String, Grid) {
    let domain = Domain::with_gaps(cells.iter().map(|cell| &cell.axes));
    (domain.constants(), answers(&domain, &fold(&domain, cells)))
}

fn answers(domain: &Domain, rows: &[Answer]) -> Grid {
    let axes: Vec<usize> = domain.varying().collect();
    let heads = axes.iter().map(|&axis| domain.axis_name(axis).to_owned());
    let row = |Answer { product, sent, arrived, verdict }: &Answer| {
        let values = axes.iter().map(|&axis| domain.values(product, axis));
        let verdict = format!("{} {}", mark(*verdict), verdict.name());
        values.chain([sent.to_string(), arrived.clone(), verdict]).collect()
    };
    Grid {
        head: heads.chain(["sent", "after return", "verdict"].map(str::to_owned)).collect(),
        rows: rows.iter().map(row).collect(),
    }
}

fn render(domain: &Domain, rows: &[Answer]) -> String {
    let Grid { head, rows } = answers(domain, rows);
    let mut table = Table::new();
    table.force_no_tty().load_style(STYLE);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH as u16);
    table.set_header(head).add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
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
