//! `report`: results files of several brokers, or their profiles, side by side; and storms.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};

use crate::cli::Report;
use crate::exit_code::ExitCode;
use crate::export::Pages;
use crate::file_format::FormatError;
use crate::output::page;
use crate::profile::Profile;
use crate::report::{self, Surveyed};
use crate::results::Results;
use crate::storm::StormFile;

/// Sets the files side by side, whatever stands in them: on stdout, or in the files that are asked for.
///
/// # Errors
/// A file that is no results file, where not all are profiles or storms; a file that cannot be written; HTML of profiles, and
/// Markdown of storms.
pub fn report(Report { files, pages }: &Report) -> Result<ExitCode> {
    let pages = Pages::open(pages)?;
    if let Some(profiles) = all(files, Profile::read)? {
        if pages.has_html() {
            let cure = "leave it out, or give results files";
            return Err(anyhow!("--export-html makes a page of results files or of storms, and these are profiles; {cure}"));
        }
        pages.deliver(|| report::profiles(&profiles), String::new)?;
    } else if let Some(storms) = all(files, StormFile::read)? {
        if pages.has_markdown() {
            let cure = "leave it out, or give --export-html";
            return Err(anyhow!("--export-markdown makes a page of results files or of profiles, and these are storms; {cure}"));
        }
        let told = |(_, storm): &(String, StormFile)| report::storm(storm, page());
        let text = || storms.iter().map(told).collect::<Vec<_>>().join("\n");
        pages.deliver(text, || report::storms_html(&storms))?;
    } else {
        let surveyed = surveyed(files)?;
        pages.deliver(|| report::side_by_side(&surveyed), || report::html(&surveyed))?;
    }
    Ok(ExitCode::Success)
}

/// What stands in the files, each with the name of its file; `None` where not all are of the kind that this reads.
fn all<T>(files: &[PathBuf], read: fn(&Path) -> Result<Option<T>, FormatError>) -> Result<Option<Vec<(String, T)>>> {
    let contents = files.iter().map(|file| read(file)).collect::<Result<Vec<_>, _>>()?;
    let contents: Option<Vec<T>> = contents.into_iter().collect();
    Ok(contents.map(|contents| names(files).zip(contents).collect()))
}

fn surveyed(files: &[PathBuf]) -> Result<Vec<Surveyed>> {
    let results = files.iter().map(|file| Ok(Results::load(file)?)).collect::<Result<Vec<_>>>()?;
    Ok(names(files).zip(results).map(|(file, results)| Surveyed { file, results }).collect())
}

fn names(files: &[PathBuf]) -> impl Iterator<Item = String> {
    files.iter().map(|file| file.display().to_string())
}
