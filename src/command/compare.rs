//! `compare`: two results files, cell by cell, two profiles, number by number, or two storms.

use std::path::Path;

use anyhow::Result;

use super::expected::{known, of_results};
use crate::cli::{Expected, Failing};
use crate::compare::{self, FailOn};
use crate::exit_code::ExitCode;
use crate::output::{page, print, println};
use crate::profile::Profile;
use crate::report;
use crate::results::Results;
use crate::storm::StormFile;

/// Says what changed from one results file to the other.
///
/// # Errors
/// A file that is no results file, two files that were not measured in the same way, or a file of known deviations with a
/// mistake.
pub fn compare(baseline: &Path, results: &Path, failing: &Failing, expected: &Expected) -> Result<ExitCode> {
    if let (Some(before), Some(after)) = (Profile::read(baseline)?, Profile::read(results)?) {
        let changes = before.changes(&after);
        println(&report::profile_changes(&changes, page()))?;
        let fails = !changes.is_empty() && failing.fail_on.contains(&FailOn::Changed);
        return Ok(if fails { ExitCode::Failed } else { ExitCode::Success });
    }
    if let (Some(before), Some(after)) = (StormFile::read(baseline)?, StormFile::read(results)?) {
        let changes = before.changes(&after)?;
        print(&report::storm_changes(&changes, page()))?;
        return Ok(match (changes.got_worse(), changes.became_unclear()) {
            (true, _) => ExitCode::Failed,
            (false, true) => ExitCode::Unclear,
            (false, false) => ExitCode::Success,
        });
    }
    let (baseline, results) = (Results::load(baseline)?, Results::load(results)?);
    let known = known(expected, false, of_results(&results))?;
    let mut comparison = compare::compare(&baseline, &results, None)?;
    comparison.excuse(&known.assess(&results));
    println(&report::changes(&comparison, page()))?;
    Ok(ExitCode::of_comparison(&comparison, &failing.fail_on))
}
