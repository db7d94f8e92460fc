//! Histories that stand in text files: what the judge says about each, and where the head of the file says otherwise.

use super::{Page, Palette, mark, wrap};
use crate::results::{CellResult, Summary, Verdict};

/// A history from a file, judged.
pub struct JudgedFile<'a> {
    /// Its id is the file's name.
    pub result: &'a CellResult,
    /// The file says what it expects.
    pub has_head: bool,
    /// What the judge says otherwise.
    pub disagreement: Option<String>,
}

/// A line for each file with its verdict and the statements that are cited, and what there is to say about it.
pub fn histories(files: &[JudgedFile<'_>], page: impl Into<Page>) -> String {
    let page: Page = page.into();
    let palette = page.palette;
    let mut text: String = files.iter().map(|file| one(file, palette)).collect();
    text.push('\n');
    let summary = Summary::of(files.iter().map(|file| file.result));
    let counted = Verdict::WORST_FIRST.into_iter().filter(|verdict| summary.count(*verdict) > 0);
    let counts: Vec<String> = counted
        .map(|verdict| palette.verdict(verdict, &format!("{} {}", summary.count(verdict), verdict.name())))
        .collect();
    let noun = if files.len() == 1 { "history" } else { "histories" };
    text += &format!("{} {noun}: {}\n", files.len(), counts.join(", "));
    let heads = files.iter().filter(|file| file.has_head).count();
    let otherwise = files.iter().filter(|file| file.disagreement.is_some()).count();
    if heads > 0 {
        text += &format!("{otherwise} of {heads} heads say otherwise\n");
    }
    page.lay_out(&text)
}

fn one(file: &JudgedFile<'_>, palette: Palette) -> String {
    let CellResult { id, verdict, reason, violations, .. } = file.result;
    let mut statements: Vec<&str> = violations.iter().map(|violation| violation.statement.as_str()).collect();
    statements.dedup();
    let marked = palette.verdict(*verdict, &format!("{} {}", mark(*verdict), verdict.name()));
    let mut text = format!("{} {id}\n", [&[marked.as_str()], &statements[..]].concat().join(" "));
    if violations.is_empty() {
        text += &reason.as_ref().map(|reason| wrap("  ", reason)).unwrap_or_default();
    }
    for violation in violations {
        let said = format!("expected {}; observed {}", violation.expected, violation.observed);
        text += &wrap(&format!("  {} ", violation.statement), &said);
    }
    text += &file.disagreement.as_ref().map(|otherwise| wrap("  ", otherwise)).unwrap_or_default();
    text
}
