//! Texts side by side.

/// Texts side by side, each wrapped in its column. The first one begins at the left, the others where it is said.
pub(super) fn columns(begin: &[usize], texts: &[String], width: usize) -> String {
    side_by_side(begin, texts, 2, width)
}

fn side_by_side(begin: &[usize], texts: &[String], gap: usize, width: usize) -> String {
    let begin = |column: usize| if column == 0 { 0 } else { begin[column - 1] };
    let ends = (1..texts.len()).map(|column| begin(column).saturating_sub(gap)).chain([width]);
    let wrapped: Vec<Vec<String>> =
        texts.iter().zip(ends).enumerate().map(|(column, (text, end))| in_lines(text, end - begin(column))).collect();
    let mut table = String::new();
    for place in 0..wrapped.iter().map(Vec::len).max().unwrap_or(0) {
        let mut line = String::new();
        for (column, lines) in wrapped.iter().enumerate() {
            let room = begin(column).saturating_sub(line.chars().count());
            line += &format!("{:room$}{}", "", lines.get(place).map_or("", String::as_str));
        }
        table += line.trim_end();
        table.push('\n');
    }
    table
}

/// A table with a line below its head, the first row, and so many spaces between its columns. Nothing where it would have to
/// break a word.
pub(super) fn table(rows: &[Vec<String>], gap: usize, width: usize) -> Option<String> {
    let widths = fit(rows, gap, width)?;
    let ends: Vec<usize> = widths
        .iter()
        .scan(0, |end, width| {
            *end += width + gap;
            Some(*end)
        })
        .collect();
    let (whole, begin) = ends.split_last()?;
    let whole = whole - gap;
    let mut lines = rows.iter().map(|row| side_by_side(begin, row, gap, whole));
    let head = lines.next()?;
    Some(format!("{head}{}\n{}", "─".repeat(whole), lines.collect::<String>()))
}

/// How wide each column is: what it asks for, or at least its longest word.
fn fit(rows: &[Vec<String>], gap: usize, width: usize) -> Option<Vec<usize>> {
    let count = rows.first()?.len();
    let of = |column: usize, size: fn(&str) -> usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|text| size(text)).max().unwrap_or(0)
    };
    let longest_word = |text: &str| text.split_whitespace().map(|word| word.chars().count()).max().unwrap_or(0);
    let longest_line = |text: &str| text.split('\n').map(|line| line.chars().count()).max().unwrap_or(0);
    let wanted: Vec<usize> = (0..count).map(|column| of(column, longest_line)).collect();
    let mut widths: Vec<usize> = (0..count).map(|column| of(column, longest_word)).collect();
    let mut left = width.checked_sub(widths.iter().sum::<usize>() + gap * count.saturating_sub(1))?;
    while left > 0 {
        let Some(column) = (0..count).filter(|&c| widths[c] < wanted[c]).max_by_key(|&c| wanted[c] - widths[c]) else {
            break;
        };
        widths[column] += 1;
        left -= 1;
    }
    Some(widths)
}

/// Words in lines of so many columns.
fn in_lines(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = paragraph.chars().take_while(|c| *c == ' ').collect::<String>();
        for word in paragraph.split_whitespace() {
            let begins = line.trim().is_empty();
            if !begins && line.chars().count() + 1 + word.chars().count() > width {
                lines.push(std::mem::take(&mut line));
            } else if !begins {
                line.push(' ');
            }
            line += word;
        }
        lines.push(line);
    }
    lines
}
