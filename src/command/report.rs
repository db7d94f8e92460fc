//! `report`: results files of several brokers, or their profiles, side by side; and storms.

use std::path::PathBuf;

use anyhow::{Result, anyhow};

use crate::cli::Report;
use crate::exit_code::ExitCode;
use crate::export::Pages;
use crate::file_format::read_all;
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
    if let Some(profiles) = read_all(files, Profile::read)? {
        if pages.has_html() {
            let cure = "leave it out, or give results files";
            return Err(anyhow!(
                "--export-html makes a page of results files or of storms, and these are profiles; {cure}"
            ));
        }
        pages.deliver(|| report::profiles(&profiles), String::new)?;
    } else if let Some(storms) = read_all(files, StormFile::read)? {
        if pages.has_markdown() {
            let cure = "leave it out, or give --export-html";
            return Err(anyhow!(
                "--export-markdown makes a page of results files or of profiles, and these are storms; {cure}"
            ));
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

fn surveyed(files: &[PathBuf]) -> Result<Vec<Surveyed>> {
    let load = |file: &PathBuf| Ok(Surveyed { file: file.display().to_string(), results: Results::load(file)? });
    files.iter().map(load).collect()
}
