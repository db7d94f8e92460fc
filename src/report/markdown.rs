//! Results -> Markdown for the job summary of a CI server: the table, what the broker chose, and the findings folded.

use super::{Palette, Told, changes, choices, findings, lessons, matrix, measured, scenarios, summary_line, table};
use crate::results::CellResult;

/// GitHub takes a summary of 1 MiB, and nothing of a longer one.
const BYTES_MAX: usize = 1_000_000;
/// Room for the sentence that says how much was left out.
const SPARE_BYTES: usize = 200;
/// How the second line of a wrapped sentence begins.
const WRAPPED: &str = "    ";

/// A table: its head, and its rows.
pub(super) struct Grid {
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// The summary, with less than a million bytes.
pub fn markdown(told: &Told<'_>) -> String {
    let results = told.results;
    let measured = measured(&results.broker, &results.run.url);
    let mut text = format!("## {}\n\n", escaped(measured.trim_end()));
    text += &format!("{}\n", escaped(summary_line(&results.summary, Palette::Plain).trim_end()));
    if !results.run.complete {
        let (came, planned) = (results.cells.len(), results.run.planned);
        text += &format!("\nThe run was cut short: {came} of {planned} cells are here.\n");
    }
    let mut parts: Vec<String> = Vec::new();
    if let Some(comparison) = told.comparison {
        parts.push(format!("### Against the baseline\n\n{}", fenced(&changes(comparison, Palette::Plain))));
    }
    parts.extend(scenarios(results).into_iter().map(|(scenario, cells)| scenario_part(told, scenario, &cells)));
    let findings = findings::sections(results, Palette::Plain);
    parts.extend((!findings.is_empty()).then(|| "### Findings\n".to_owned()));
    parts.extend(findings.iter().map(|finding| folded(finding)));
    parts.extend(choices::section(results, Palette::Plain).map(|choices| folded(&choices)));
    let whole = parts.len();
    for (place, part) in parts.iter().enumerate() {
        if text.len() + part.len() + SPARE_BYTES > BYTES_MAX {
            let left_out = whole - place;
            let cut = "Cut here, since a job summary ends at 1 MB";
            text += &format!("\n{cut}: {left_out} of {whole} parts are left out, and stdout has them all.\n");
            break;
        }
        text += &format!("\n{part}");
    }
    text
}

fn scenario_part(told: &Told<'_>, scenario: &str, cells: &[&CellResult]) -> String {
    let heading = format!("### Scenario {}\n\n", escaped(scenario));
    let teaching = told.teachings.iter().find(|teaching| teaching.scenario == scenario);
    if let Some(teaching) = teaching {
        return heading + &fenced(&lessons::section(teaching, told.results, Palette::Plain));
    }
    match matrix::grid(cells) {
        Some((title, grid, legend)) => {
            format!("{heading}{}\n\n{}\n{}", escaped(&title), grid.markdown(), fenced(&legend))
        }
        None => {
            let (constants, grid) = table::grid(cells);
            let constants = if constants.is_empty() { constants } else { format!("In every cell: {constants}\n\n") };
            heading + &escaped(&constants) + &grid.markdown()
        }
    }
}

impl Grid {
    fn markdown(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| escaped(&cell.replace('\n', " "))).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rule = format!("|{}\n", " --- |".repeat(self.head.len()));
        line(&self.head) + &rule + &self.rows.iter().map(|row| line(row)).collect::<String>()
    }
}

/// A text of which only the first line is seen until it is unfolded.
fn folded(text: &str) -> String {
    let mut lines = text.trim_end().lines().peekable();
    let mut first = lines.next().unwrap_or_default().to_owned();
    // A long first line goes on below, further to the right than anything else that may follow.
    while let Some(more) = lines.next_if(|line| line.starts_with(WRAPPED)) {
        first += " ";
        first += more.trim_start();
    }
    let summary = first.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let rest: Vec<&str> = lines.collect();
    let rest = if rest.is_empty() { String::new() } else { fenced(&rest.join("\n")) };
    format!("<details><summary>{summary}</summary>\n\n{rest}\n</details>\n")
}

/// A text as it stands, between fences that are longer than any in it.
fn fenced(text: &str) -> String {
    let longest = text.split(|character| character != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{}\n{fence}\n", text.trim_end())
}

/// A text in which Markdown reads nothing.
fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, character| {
        if "\\`*_[]<>|~&$".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_ends_its_fence_or_its_cell() {
        assert_eq!(fenced("a\n````\nb\n"), "`````text\na\n````\nb\n`````\n");
        assert_eq!(escaped("a|b <i> `c` *d*"), r"a\|b \<i\> \`c\` \*d\*");
        let grid = Grid { head: vec!["a\nb".into()], rows: vec![vec!["1|2".into()]] };
        assert_eq!(grid.markdown(), "| a b |\n| --- |\n| 1\\|2 |\n");
        assert_eq!(
            folded("one </summary>\n       more\ntwo"),
            "<details><summary>one &lt;/summary&gt; more</summary>\n\n```text\ntwo\n```\n\n</details>\n"
        );
    }
}
