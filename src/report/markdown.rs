//! Results -> Markdown for the job summary of a CI server: the findings folded, the tables, and what the broker chose.

use super::grid::Grid;
use super::{
    Page, Palette, Told, changes, choices, findings, known, lessons, matrix, measured, scenarios, summary_line, table,
};
use crate::results::CellResult;

/// GitHub takes a summary of 1 MiB, and nothing of a longer one.
const BYTES_MAX: usize = 1_000_000;
/// A longer overview of the causes is left out.
const OVERVIEW_BYTES: usize = 100_000;
/// Room for the sentence that says how much was left out.
const SPARE_BYTES: usize = 200;

/// The summary, with less than a million bytes.
pub fn markdown(told: &Told<'_>) -> String {
    let results = told.results;
    let measured = measured(&results.broker, &results.run.url);
    let mut text = format!("## {}\n\n", escaped(measured.trim_end()));
    let summary = summary_line(results, Palette::Plain) + &known::summary(told.known, Palette::Plain);
    text += &format!("{}\n", escaped(one_line(&summary).trim_end()));
    let mut parts: Vec<String> = Vec::new();
    if let Some(comparison) = told.comparison {
        parts.push(format!("### Against the baseline\n\n{}", fenced(&changes(comparison, Palette::Plain))));
    }
    let page = Page { details: true, ..Page::from(Palette::Plain) };
    let findings = findings::sections(told, page);
    parts.extend((!findings.is_empty()).then(|| "### Findings\n".to_owned()));
    // What is long is no overview.
    let overview = findings::what_broke(told, Palette::Plain).filter(|text| text.len() < OVERVIEW_BYTES);
    parts.extend(overview.map(|overview| fenced(&laid_out(&overview))));
    parts.extend(findings.iter().map(|finding| folded(finding)));
    parts.extend(known::section(results, told.known, Palette::Plain).map(|known| folded(&known)));
    // The tables of all scenarios are long, and who looks into a summary looks for what broke.
    parts.extend(scenarios(results).into_iter().map(|(scenario, cells)| scenario_part(told, scenario, &cells)));
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
        return heading + &fenced(&laid_out(&lessons::section(teaching, told.results, Palette::Plain.into())));
    }
    let about = told.results.run.scenarios.get(scenario);
    let (above, grid, legend) = matrix::grid(cells, Palette::Plain.into()).unwrap_or_else(|| {
        let (constants, grid, legend) = table::grid(about, cells);
        let constants = if constants.is_empty() { constants } else { format!("In every cell: {constants}") };
        let question = about.map(|about| about.question.clone()).unwrap_or_default();
        (format!("{question} {constants}").trim().to_owned(), grid, legend)
    });
    let above = if above.is_empty() { above } else { escaped(&above) + "\n\n" };
    format!("{heading}{above}{}\n{}", grid.markdown(), fenced(&laid_out(&legend)))
}

impl Grid {
    fn markdown(&self) -> String {
        let escaped = |cells: &[String]| cells.iter().map(|cell| escaped(&cell.replace('\n', " "))).collect();
        Grid { head: escaped(&self.head), rows: self.rows.iter().map(|row| escaped(row)).collect() }.of_markdown()
    }

    /// A table whose texts are Markdown already.
    pub(super) fn of_markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule = format!("|{}\n", " --- |".repeat(self.head.len()));
        line(&self.head) + &rule + &self.rows.iter().map(|row| line(row)).collect::<String>()
    }
}

/// A text of which only the first line is seen until it is unfolded.
fn folded(text: &str) -> String {
    let (first, rest) = text.trim_end().split_once('\n').unwrap_or((text.trim_end(), ""));
    let summary = one_line(first).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let rest = if rest.is_empty() { String::new() } else { fenced(&laid_out(rest)) };
    format!("<details><summary>{summary}</summary>\n\n{rest}\n</details>\n")
}

/// The paragraphs in lines that fit a page.
fn laid_out(text: &str) -> String {
    Page::from(Palette::Plain).lay_out(text)
}

/// Each paragraph in one line.
pub(super) fn one_line(text: &str) -> String {
    Page { width: usize::MAX, ..Page::from(Palette::Plain) }.lay_out(text)
}

/// A text as it stands, between fences that are longer than any in it.
pub(super) fn fenced(text: &str) -> String {
    let longest = text.split(|character| character != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{}\n{fence}\n", text.trim_end())
}

/// A text in which Markdown reads nothing.
pub(super) fn escaped(text: &str) -> String {
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
    use crate::report::wrap;

    #[test]
    fn nothing_in_a_text_ends_its_fence_or_its_cell() {
        assert_eq!(fenced("a\n````\nb\n"), "`````text\na\n````\nb\n`````\n");
        assert_eq!(escaped("a|b <i> `c` *d*"), r"a\|b \<i\> \`c\` \*d\*");
        let grid = Grid { head: vec!["a\nb".into()], rows: vec![vec!["1|2".into()]] };
        assert_eq!(grid.markdown(), "| a b |\n| --- |\n| 1\\|2 |\n");
        assert_eq!(
            folded(&(wrap("", "one </summary> more") + "two")),
            "<details><summary>one &lt;/summary&gt; more</summary>\n\n```text\ntwo\n```\n\n</details>\n"
        );
    }
}
