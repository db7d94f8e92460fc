//! The page that a report stands on: how wide it is, and whether it has colour. Paragraphs are broken into lines here, at the
//! very end, when all has been said.

use super::Palette;

/// Where nobody knows how wide the terminal is.
const USUAL: usize = 80;
/// Narrower than this nothing can be told, and wider than that nobody reads a line.
const WIDTHS: std::ops::RangeInclusive<usize> = 60..=200;
/// Stands between the opening of a paragraph and its words. Nothing from outside has it: see `visible`.
const HANG: char = '\u{1f}';
/// Stands for a space within a command, at which no line ends.
const JOINT: &str = "\u{1e}";

/// What a report stands on, and how much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    pub palette: Palette,
    /// In columns.
    pub width: usize,
    /// Every finding is told whole, also where there are many.
    pub details: bool,
}

impl From<Palette> for Page {
    /// As wide as where nobody knows the width.
    fn from(palette: Palette) -> Page {
        Page { palette, width: USUAL, details: false }
    }
}

impl Page {
    /// In colour, and so many columns wide, as far as a page can be.
    pub fn of_width(columns: Option<usize>) -> Page {
        let width = columns.unwrap_or(USUAL).clamp(*WIDTHS.start(), *WIDTHS.end());
        Page { palette: Palette::Coloured, width, details: false }
    }

    /// The text with its paragraphs in lines that fit. A word that is longer than the page, such as the id of a cell, stays
    /// whole, and so does a command: it is there to be copied.
    pub(super) fn lay_out(self, text: &str) -> String {
        let line = |line: &str| match line.split_once(HANG) {
            Some((first, words)) => wrapped(first, words, self.width).replace(JOINT, " "),
            None => line.to_owned(),
        };
        let lines: Vec<String> = text.split('\n').map(line).collect();
        lines.join("\n")
    }
}

/// A paragraph, to be broken into lines: `first` opens the first one, the others begin below its end. A command in it, between
/// backticks, stays whole.
pub(super) fn wrap(first: &str, text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let words = words.join(" ");
    let parts = words.split('`').map(|part| match part.starts_with("mqtt-sessions ") {
        true => part.replace(' ', JOINT),
        false => part.to_owned(),
    });
    format!("{first}{HANG}{}\n", parts.collect::<Vec<_>>().join("`"))
}

fn wrapped(first: &str, words: &str, width: usize) -> String {
    let indent = columns_of(first);
    let mut wrapped = first.to_owned();
    let mut column = indent;
    for word in words.split(' ') {
        let length = columns_of(word);
        if column > indent && column + 1 + length > width {
            wrapped = format!("{}\n{:indent$}", wrapped.trim_end(), "");
            column = indent;
        } else if column > indent {
            wrapped.push(' ');
            column += 1;
        }
        wrapped += word;
        column += length;
    }
    wrapped
}

/// How many columns a text takes; colours take none.
pub(super) fn columns_of(text: &str) -> usize {
    let mut pieces = text.split('\u{1b}');
    let first = pieces.next().map_or(0, |piece| piece.chars().count());
    first + pieces.filter_map(|piece| piece.split_once('m')).map(|(_, rest)| rest.chars().count()).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid_out(text: &str, width: usize) -> String {
        Page { width, ..Page::from(Palette::Plain) }.lay_out(text)
    }

    #[test]
    fn a_paragraph_hangs_below_its_opening() {
        assert_eq!(laid_out(&wrap("  a ", "bb cc dd"), 9), "  a bb cc\n    dd\n");
        assert_eq!(laid_out("as it is: no paragraph\n", 9), "as it is: no paragraph\n");
    }

    #[test]
    fn a_word_that_is_too_long_stays_whole() {
        assert_eq!(laid_out(&wrap("", "a longerthanthepage b"), 8), "a\nlongerthanthepage\nb\n");
    }

    #[test]
    fn a_command_in_a_sentence_stays_whole() {
        assert_eq!(laid_out(&wrap("", "a `mqtt-sessions run b` c d"), 10), "a\n`mqtt-sessions run b`\nc d\n");
    }

    #[test]
    fn colour_takes_no_room() {
        assert_eq!(laid_out(&wrap("\u{1b}[31mx\u{1b}[0m ", "yy zz"), 7), "\u{1b}[31mx\u{1b}[0m yy zz\n");
    }
}
