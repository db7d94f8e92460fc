//! `merge`: the results files of all parts of a run become one.

use std::path::PathBuf;

use anyhow::Result;

use super::expected::{assess, known, of_results};
use super::measure::keep_histories;
use crate::cli::{Expected, ExportFiles, Histories};
use crate::exit_code::ExitCode;
use crate::export::{Exported, Exports};
use crate::merge::{self, Part};
use crate::output::page;
use crate::report::{self, Page, Told};
use crate::results::{Kept, Results};

/// Tells what the whole run found, and writes its files.
///
/// # Errors
/// A file that is no results file, or files that are not all parts of one run.
pub fn merge(files: &[PathBuf], exports: &ExportFiles, details: bool, expected: &Expected) -> Result<ExitCode> {
    let load = |file: &PathBuf| Ok((file.display().to_string(), Results::load(file)?));
    let parts: Vec<Part> = files.iter().map(load).collect::<Result<_>>()?;
    let mut results = merge::merge(parts)?;
    if results.run.kept == Kept::Examples {
        // Each part has kept examples of its own.
        keep_histories(&mut results, Histories::Examples);
    }
    let mut known = known(expected, false, of_results(&results))?;
    let exports = Exports::open(exports)?;
    let assessment = assess(&mut known, false, &results)?;
    let told = Told { results: &results, teachings: &[], known: &assessment, comparison: None };
    let page = Page { details, ..page() };
    let measured = report::measured(&results.broker, &results.run.url);
    let text = || format!("{measured}\n\n{}", report::terminal(&told, page));
    exports.deliver(text, &Exported { told, kept: &results })?;
    Ok(ExitCode::of_results(&results, &assessment))
}
