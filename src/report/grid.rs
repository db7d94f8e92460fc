//! Tables: what stands in them, and how a terminal shows them. How wide each column is, and whether the whole fits, is decided
//! here; the drawing is comfy-table's. Markdown has the same tables in its own form.

use std::ops::Range;

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle, Width};

/// No lines but the one below the head.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─'));

/// A table: its head, which may be empty, and its rows.
pub(super) struct Grid {
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// How a terminal shows a table.
pub(super) struct Drawing {
    /// How many spaces stand between two columns.
    pub gap: usize,
    /// The columns whose texts stand at the right.
    pub right: Range<usize>,
}

impl Grid {
    /// Rows without a head on a page that is so wide: the last column takes what the others leave.
    pub fn beside(rows: Vec<Vec<String>>, others: &[usize], width: usize) -> String {
        let gap = 2;
        let left = others.iter().sum::<usize>() + gap * others.len();
        let widths = [others, &[width.saturating_sub(left)]].concat();
        Grid { head: Vec::new(), rows }.drawn(&Drawing { gap, right: 0..0 }, &widths)
    }

    /// The table on a page that is so wide. Nothing where it would have to break a word.
    pub fn fit(&self, drawing: &Drawing, width: usize) -> Option<String> {
        let wanted = widths(self.undrawn(str::to_owned));
        let mut widths = self.longest_words();
        let gaps = drawing.gap * widths.len().saturating_sub(1);
        let mut left = width.checked_sub(widths.iter().sum::<usize>() + gaps)?;
        while left > 0 {
            let narrow = (0..widths.len()).filter(|&column| widths[column] < wanted[column]);
            let Some(column) = narrow.max_by_key(|&column| wanted[column] - widths[column]) else { break };
            widths[column] += 1;
            left -= 1;
        }
        Some(self.drawn(drawing, &widths))
    }

    /// The table with columns that are so wide. One with a longer word is as wide as that.
    pub fn drawn(&self, drawing: &Drawing, widths: &[usize]) -> String {
        let mut table = self.undrawn(str::to_owned);
        table.load_style(STYLE).set_content_arrangement(ContentArrangement::Disabled);
        let longest_words = self.longest_words();
        for (place, column) in table.column_iter_mut().enumerate() {
            let gap = if place + 1 < widths.len() { drawing.gap } else { 0 };
            let [width, gap] = [widths[place].max(longest_words[place]) + gap, gap].map(in_columns);
            column.set_padding((0, gap)).set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
            if drawing.right.contains(&place) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.trim_fmt() + "\n"
    }

    fn longest_words(&self) -> Vec<usize> {
        widths(self.undrawn(|text| text.replace(' ', "\n")))
    }

    /// The table with the texts as they are made to be.
    fn undrawn(&self, text: fn(&str) -> String) -> Table {
        let mut table = Table::new();
        if !self.head.is_empty() {
            table.set_header(self.head.iter().map(|head| text(head)));
        }
        table.add_rows(self.rows.iter().map(|row| row.iter().map(|cell| text(cell)).collect::<Vec<_>>()));
        table
    }
}

/// How wide the longest line of each column is.
fn widths(table: Table) -> Vec<usize> {
    table.column_max_content_widths().into_iter().map(usize::from).collect()
}

fn in_columns(width: usize) -> u16 {
    u16::try_from(width).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEFT: Drawing = Drawing { gap: 2, right: 0..0 };

    fn grid(rows: &[[&str; 2]]) -> Grid {
        Grid {
            head: ["a", "b_\nc"].map(String::from).into(),
            rows: rows.iter().map(|row| row.map(String::from).into()).collect(),
        }
    }

    #[test]
    fn a_table_is_as_wide_as_what_stands_in_it() {
        let drawn = grid(&[["1 2", "3"], ["1", "any"]]).fit(&LEFT, 80);
        assert_eq!(drawn.as_deref(), Some("a    b_\n     c\n────────\n1 2  3\n1    any\n"));
    }

    #[test]
    fn a_line_is_broken_between_words_and_no_word_is() {
        let grid = grid(&[["one two", "x"]]);
        let narrow = "a    b_\n     c\n───────\none  x\ntwo\n";
        assert_eq!(grid.fit(&LEFT, 7).as_deref(), Some(narrow));
        assert_eq!(grid.fit(&LEFT, 6), None);
        assert_eq!(grid.drawn(&LEFT, &[1, 1]), narrow);
    }

    #[test]
    fn numbers_stand_at_the_right() {
        let drawn = grid(&[["x", "1"], ["yy", "100"]]).fit(&Drawing { gap: 1, right: 1..2 }, 80);
        assert_eq!(drawn.as_deref(), Some("a   b_\n     c\n──────\nx    1\nyy 100\n"));
    }
}
