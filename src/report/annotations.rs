//! Results -> the lines with which a job on GitHub puts findings beside a pull request: one for each cause.
//!
//! The form is that of the workflow commands `::error title=...::...`.

use super::causes::{Cause, causes};
use super::findings::repeat;
use super::junit::broken;
use super::{Told, cells};
use crate::printed_command::PrintedCommand;
use crate::results::{Results, Verdict};

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
    let causes = causes(results.cells.iter().filter(|cell| !told.is_known(cell)));
    lines.extend(causes.iter().filter_map(|cause| of_cause(results, cause)));
    let more = lines.len().saturating_sub(ANNOTATIONS_MAX);
    if more > 0 {
        lines.truncate(ANNOTATIONS_MAX - 1);
        lines.push(line("error", "more findings", &format!("{} more causes stand in the log", more + 1)));
    }
    lines
}

/// The line of a cause that fails or is unclear.
fn of_cause(results: &Results, cause: &Cause<'_>) -> Option<String> {
    let command = match cause.verdict {
        Verdict::Fail => "error",
        Verdict::Error | Verdict::Inconclusive => "warning",
        Verdict::Warn | Verdict::Unsupported | Verdict::Pass => return None,
    };
    let (first, number) = cause.cells.first()?;
    let statements = cause.statements();
    let what = if statements.is_empty() { cause.verdict.name().to_owned() } else { statements.join(", ") };
    let mut said = vec![cause.sentence()];
    if let Some(violation) = number.and_then(|number| first.violations.get(number)) {
        said.push(format!("Expected: {}", violation.expected));
        said.push(format!("Observed: {}", violation.observed));
    }
    said.extend(cause.advice().map(|advice| format!("Advice: {advice}.")));
    said.push(PrintedCommand::explain(results, &first.id, &first.scenario).to_string());
    said.push(repeat(results, first).to_string());
    Some(line(command, &format!("{what}, {}", cells(cause.cells.len())), &said.join("\n")))
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
