//! `judge`: stored histories once more, without a broker.

use std::path::Path;

use anyhow::{Context, Result};

use crate::exit_code::ExitCode;
use crate::export::{Export, deliver};
use crate::judge::{Combined, judge_again};
use crate::output::note;
use crate::report::{self, Palette};
use crate::results::{Results, Summary};

/// Judges every history that a results file keeps.
///
/// # Errors
/// A file that is no results file, or a history that cannot be read.
pub fn judge(path: &Path, export: Option<&Path>) -> Result<ExitCode> {
    let mut results = Results::load(path)?;
    let export = export.map(Export::open).transpose()?;
    let mut left = 0;
    for cell in &mut results.cells {
        let Some(run) = results.run.cells.get_mut(&cell.id) else {
            left += 1;
            continue;
        };
        let judged = judge_again(cell, run, &results.options);
        match judged.with_context(|| format!("{}: the history of {}", path.display(), cell.id))? {
            Some(Combined { result, evidence, attempt }) => {
                *cell = result;
                run.rest_on(attempt, evidence);
            }
            None => left += 1,
        }
    }
    results.summary = Summary::of(&results.cells);
    deliver(&report::terminal(&results, &[], Palette::Coloured), &results, export.as_ref())?;
    if left > 0 {
        note(&format!("{left} cells have no history and keep their verdicts; --histories all keeps all histories"));
    }
    Ok(ExitCode::of(&results.summary))
}
