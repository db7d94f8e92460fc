//! Results -> the lines with which a job on GitHub puts findings beside a pull request: one for each cause.
//!
//! The form is that of the workflow commands `::error title=...::...`.

use super::junit::broken;
use super::{Told, cells, group};
use crate::results::{CellResult, Verdict};

/// GitHub shows so many of a step, and drops the others.
const ANNOTATIONS_MAX: usize = 10;

/// A line for each cause: what fails first, then what is unclear. The last line counts those that had no room.
pub fn annotations(told: &Told<'_>) -> Vec<String> {
    let results = told.results;
    let mut lines = Vec::new();
    if told.breaks_beside() {
        let said = broken(&results.broker_findings.violations, "");
        lines.push(line("error", "the broker breaks a MUST beside the cells", &said));
    }
    let of = |verdict| results.cells.iter().filter(move |cell| cell.verdict == verdict && !told.is_known(cell));
    for (statements, members) in group(of(Verdict::Fail), statements) {
        let title = format!("{}, {}", statements.join(", "), cells(members.len()));
        lines.extend(members.first().map(|first| line("error", &title, &said(first))));
    }
    for verdict in [Verdict::Error, Verdict::Inconclusive] {
        for (_, members) in group(of(verdict), |cell| cell.reason.as_deref()) {
            let title = format!("{}, {}", verdict.name(), cells(members.len()));
            lines.extend(members.first().map(|first| line("warning", &title, &said(first))));
        }
    }
    let more = lines.len().saturating_sub(ANNOTATIONS_MAX);
    if more > 0 {
        lines.truncate(ANNOTATIONS_MAX - 1);
        lines.push(line("error", "more findings", &format!("{} more causes stand in the log", more + 1)));
    }
    lines
}

/// The cause of a failure, as far as it can be known without asking the broker.
fn statements(cell: &CellResult) -> Vec<&str> {
    let mut statements: Vec<&str> = cell.violations.iter().map(|violation| violation.statement.as_str()).collect();
    statements.dedup();
    statements
}

fn said(cell: &CellResult) -> String {
    let reason = cell.reason.as_deref().unwrap_or("no reason was given");
    let expected = cell.violations.first().map(|violation| format!("Expected: {}\n", violation.expected));
    format!("{}{}\nmqtt-sessions explain '{}'", expected.unwrap_or_default(), broken(&cell.violations, reason), cell.id)
}

fn line(command: &str, title: &str, text: &str) -> String {
    format!("::{command} title={}::{}", property(title), data(text))
}

/// As the runner undoes it.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_ends_the_command() {
        assert_eq!(line("error", "a: b, 5%", "x::y\r\n%0A"), "::error title=a%3A b%2C 5%25::x::y%0D%0A%250A");
    }
}
