//! What fails becomes known: the deviations of a run are added to the file. What stands there already stays as it is.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use toml::Value;

use super::{Deviation, Expectations, ExpectationsError, Known, Pattern, USUAL_FILE};
use crate::fold::Domain;
use crate::results::{CellResult, Level, Results, Verdict};

/// Until somebody says why.
const NO_REASON: &str = "to be filled in";

impl Known {
    /// Adds what these results break and nothing covers, and writes the file. The number of deviations that were added.
    ///
    /// # Errors
    /// [`ExpectationsError`] where the file cannot be written, or does not end in a list of `[[known]]`.
    pub fn accept(&mut self, results: &Results) -> Result<usize, ExpectationsError> {
        let file = self.file.clone().unwrap_or_else(|| Path::new(USUAL_FILE).to_owned());
        let path = file.display().to_string();
        let added = self.not_covered(results);
        if added.is_empty() {
            return Ok(0);
        }
        let mut text = self.text.clone();
        for known in &added {
            if !text.is_empty() {
                text += if text.ends_with('\n') { "\n" } else { "\n\n" };
            }
            text += &in_toml(known);
        }
        let expectations = Expectations::parse(&path, &text, &self.places).map_err(|_| ExpectationsError::Mistake {
            path: path.clone(),
            line: None,
            why: "nothing can be added to it; write each known deviation as a table [[known]]".into(),
        })?;
        fs::write(&file, &text).map_err(|why| ExpectationsError::Write { path, why: why.to_string() })?;
        (self.file, self.text, self.expectations) = (Some(file), text, expectations);
        Ok(added.len())
    }

    /// A deviation for each set of cells, with the statements that they break and nothing covers.
    fn not_covered(&self, results: &Results) -> Vec<Deviation> {
        let of_broker: Vec<&Deviation> = self.expectations.known.iter().filter(|known| known.is_of(results)).collect();
        let mut by_statement: BTreeMap<&str, Vec<&CellResult>> = BTreeMap::new();
        for cell in results.cells.iter().filter(|cell| cell.verdict == Verdict::Fail) {
            let broken = cell.violations.iter().filter(|own| own.level == Level::Must);
            for own in broken.filter(|own| !of_broker.iter().any(|known| known.covers(cell, own))) {
                let cells = by_statement.entry(&own.statement).or_default();
                if cells.last().is_none_or(|last| last.id != cell.id) {
                    cells.push(cell);
                }
            }
        }
        let mut added: Vec<Deviation> = Vec::new();
        for (statement, cells) in by_statement {
            let patterns = self.patterns(&cells);
            match added.iter_mut().find(|known| known.cells == patterns) {
                Some(known) => known.statements.push(statement.into()),
                None => added.push(Deviation {
                    broker: results.broker.name.clone(),
                    cells: patterns,
                    statements: vec![statement.into()],
                    reason: NO_REASON.into(),
                    link: None,
                }),
            }
        }
        added
    }

    /// The same cells in few patterns, which name no other cell that exists.
    fn patterns(&self, cells: &[&CellResult]) -> Vec<Pattern> {
        let mut scenarios: Vec<&str> = cells.iter().map(|cell| cell.scenario.as_str()).collect();
        scenarios.dedup();
        let patterns = scenarios.into_iter().flat_map(|scenario| {
            let all = self.places.iter().filter(|place| place.scenario == scenario).map(|place| &place.axes);
            let domain = Domain::with_gaps(all);
            let own = cells.iter().filter(|cell| cell.scenario == scenario).map(|cell| &cell.axes);
            let products = domain.fold(own);
            products.iter().map(|product| Pattern::new(scenario, domain.chosen(product))).collect::<Vec<_>>()
        });
        patterns.collect()
    }
}

fn in_toml(known: &Deviation) -> String {
    let text = |text: &str| Value::from(text).to_string();
    let texts = |texts: Vec<String>| match texts.as_slice() {
        [one] => format!("[{}]", text(one)),
        several => format!("[\n{}]", several.iter().map(|one| format!("    {},\n", text(one))).collect::<String>()),
    };
    let mut table = "[[known]]\n".to_owned();
    table += &known.broker.as_ref().map(|broker| format!("broker = {}\n", text(broker))).unwrap_or_default();
    table += &format!("cells = {}\n", texts(known.cells.iter().map(Pattern::to_string).collect()));
    table += &format!("statements = {}\n", texts(known.statements.clone()));
    table + &format!("reason = {}\n", text(&known.reason))
}
