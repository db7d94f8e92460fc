//! A line of a file, with a mark under a place in it.

use std::ops::Range;

use unicode_width::UnicodeWidthStr;

use crate::visible::visible;

/// The most characters that are shown before the place, of the place, and behind it.
const BEFORE_MAX: usize = 40;
const MARKED_MAX: usize = 40;
const BEHIND_MAX: usize = 20;

/// The line in which the place begins, with its number, and a mark below.
pub fn excerpt(text: &str, at: Range<usize>, number: usize) -> String {
    let begin = boundary(text, at.start);
    let first = text[..begin].rfind('\n').map_or(0, |end| end + 1);
    let last = text[begin..].find('\n').map_or(text.len(), |end| begin + end);
    let end = boundary(text, at.end).clamp(begin, last);
    let (before, marked, behind) = (&text[first..begin], &text[begin..end], text[end..last].trim_end());

    let skipped = before.chars().count().saturating_sub(BEFORE_MAX);
    let mut before = shown(&before.chars().skip(skipped).collect::<String>());
    if skipped > 0 {
        before.insert(0, '…');
    }
    let marked = shown(&cut(marked.trim_end(), MARKED_MAX));
    let behind = if marked.ends_with('…') { String::new() } else { shown(&cut(behind, BEHIND_MAX)) };
    let (number, gap) = (number.to_string(), before.width());
    let (margin, marks) = (number.len(), "^".repeat(marked.width().max(1)));
    format!("{:margin$} |\n{number} | {before}{marked}{behind}\n{:margin$} | {:gap$}{marks}", "", "", "")
}

/// The place itself, or the beginning of the character in whose middle it is.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|place| text.is_char_boundary(*place)).unwrap_or(0)
}

/// The first characters, and whether there are more.
fn cut(text: &str, most: usize) -> String {
    let kept: String = text.chars().take(most).collect();
    if kept.len() < text.len() { kept + "…" } else { kept }
}

/// Spelled out where a terminal would act on it. A tab is as wide everywhere.
fn shown(text: &str) -> String {
    visible(&text.replace('\t', "    ")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, place: &str, number: usize, expected: &str) {
        let begin = text.find(place).unwrap();
        assert_eq!(excerpt(text, begin..begin + place.len(), number), expected);
    }

    #[test]
    fn the_mark_stands_under_the_place() {
        check("a = 1\nbb = 22\nc = 3\n", "22", 2, "  |\n2 | bb = 22\n  |      ^^");
        check("a = 1", "a", 12, "   |\n12 | a = 1\n   | ^");
        check("\tqos = 3 # ä", "3", 1, "  |\n1 |     qos = 3 # ä\n  |           ^");
        // A character may be as wide as two.
        check("名 = 3", "3", 1, "  |\n1 | 名 = 3\n  |      ^");
        check("steps = [\n  1,\n]", "[\n  1", 1, "  |\n1 | steps = [\n  |         ^");
    }

    #[test]
    fn an_end_a_long_line_and_a_hostile_one() {
        assert_eq!(excerpt("a =", 3..3, 1), "  |\n1 | a =\n  |    ^");
        assert_eq!(excerpt("", 0..0, 1), "  |\n1 | \n  | ^");
        let long = format!("{}!{}", "x".repeat(1000), "y".repeat(1000));
        let shown = excerpt(&long, 1000..1001, 1);
        assert!(
            shown.lines().all(|line| line.chars().count() < 80) && shown.contains("…xxx") && shown.contains("yyy…")
        );
        assert!(excerpt("a\u{1b}[31m = ü", 0..99, 1).contains("\\x1b[31m"));
        // In the middle of a character.
        assert!(excerpt("ä", 1..1, 1).contains('ä'));
    }
}
