//! `compare`: two results files, cell by cell.

use std::path::Path;

use anyhow::Result;

use crate::compare;
use crate::exit_code::ExitCode;
use crate::output::println;
use crate::report::{self, Page};
use crate::results::Results;

/// Says what changed from one results file to the other.
///
/// # Errors
/// A file that is no results file, or two files that were not measured in the same way.
pub fn compare(baseline: &Path, results: &Path) -> Result<ExitCode> {
    let comparison = compare::compare(&Results::load(baseline)?, &Results::load(results)?, None)?;
    println(&report::changes(&comparison, Page::of_stdout()))?;
    Ok(ExitCode::of_comparison(&comparison))
}
