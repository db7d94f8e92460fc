//! `report`: results files of several brokers, or their profiles, side by side.

use std::path::PathBuf;

use anyhow::Result;

use crate::exit_code::ExitCode;
use crate::output::print;
use crate::profile::Profile;
use crate::report::{self, Surveyed};
use crate::results::Results;

/// Prints the page that sets the files side by side, whatever stands in them.
///
/// # Errors
/// A file that is no results file, where not all are profiles.
pub fn report(files: &[PathBuf]) -> Result<ExitCode> {
    let profiles = files.iter().map(|file| Profile::read(file)).collect::<Result<Vec<_>, _>>()?;
    if let Some(profiles) = profiles.into_iter().collect::<Option<Vec<Profile>>>() {
        let names = files.iter().map(|file| file.display().to_string());
        print(&report::profiles(&names.zip(profiles).collect::<Vec<_>>()))?;
        return Ok(ExitCode::Success);
    }
    let results = files.iter().map(|file| Ok(Results::load(file)?)).collect::<Result<Vec<_>>>()?;
    let names = files.iter().map(|file| file.display().to_string());
    let surveyed: Vec<Surveyed> = names.zip(results).map(|(file, results)| Surveyed { file, results }).collect();
    print(&report::side_by_side(&surveyed))?;
    Ok(ExitCode::Success)
}
