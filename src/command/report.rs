//! `report`: results files of several brokers, or their profiles, side by side.

use std::path::PathBuf;

use anyhow::{Result, anyhow};

use crate::cli::Report;
use crate::exit_code::ExitCode;
use crate::export::Pages;
use crate::profile::Profile;
use crate::report::{self, Surveyed};
use crate::results::Results;

/// Sets the files side by side, whatever stands in them: on stdout, or in the files that are asked for.
///
/// # Errors
/// A file that is no results file, where not all are profiles; a file that cannot be written; HTML of profiles.
pub fn report(Report { files, pages }: &Report) -> Result<ExitCode> {
    let pages = Pages::open(pages)?;
    match profiles(files)? {
        Some(_) if pages.has_html() => {
            let cure = "leave it out, or give results files";
            return Err(anyhow!("--export-html makes a page of results files, and these are profiles; {cure}"));
        }
        Some(profiles) => pages.deliver(|| report::profiles(&profiles), String::new)?,
        None => {
            let surveyed = surveyed(files)?;
            pages.deliver(|| report::side_by_side(&surveyed), || report::html(&surveyed))?;
        }
    }
    Ok(ExitCode::Success)
}

/// The profiles with the names of their files; `None` where not all files are profiles.
fn profiles(files: &[PathBuf]) -> Result<Option<Vec<(String, Profile)>>> {
    let profiles = files.iter().map(|file| Profile::read(file)).collect::<Result<Vec<_>, _>>()?;
    let profiles: Option<Vec<Profile>> = profiles.into_iter().collect();
    Ok(profiles.map(|profiles| names(files).zip(profiles).collect()))
}

fn surveyed(files: &[PathBuf]) -> Result<Vec<Surveyed>> {
    let results = files.iter().map(|file| Ok(Results::load(file)?)).collect::<Result<Vec<_>>>()?;
    Ok(names(files).zip(results).map(|(file, results)| Surveyed { file, results }).collect())
}

fn names(files: &[PathBuf]) -> impl Iterator<Item = String> {
    files.iter().map(|file| file.display().to_string())
}
