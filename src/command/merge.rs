//! `merge`: the files of all parts of a run, or of a storm, become one.

use std::path::PathBuf;

use anyhow::{Result, anyhow};

use super::expected::{assess, known, of_results};
use super::measure::keep_histories;
use super::storm::tell;
use crate::cli::{Expected, ExportFiles, Histories};
use crate::exit_code::ExitCode;
use crate::export::{Export, Exported, Exports};
use crate::file_format::read_all;
use crate::merge::{self, Part};
use crate::output::page;
use crate::report::{self, Page, Told};
use crate::results::{Kept, Results};
use crate::storm::StormFile;

/// Tells what the whole run found, and writes its files.
///
/// # Errors
/// A file that is no results file, or files that are not all parts of one run.
pub fn merge(files: &[PathBuf], exports: &ExportFiles, details: bool, expected: &Expected) -> Result<ExitCode> {
    if let Some(parts) = read_all(files, StormFile::read)? {
        return merge_storm(parts, exports);
    }
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

/// The same for a storm, of which there is one format.
fn merge_storm(parts: Vec<(String, StormFile)>, exports: &ExportFiles) -> Result<ExitCode> {
    let ExportFiles { export_json, export_junit, export_markdown, export_pcap } = exports;
    if export_junit.is_some() || export_markdown.is_some() || export_pcap.is_some() {
        return Err(anyhow!("of a storm there is no JUnit, no Markdown and no capture; give --export-json alone"));
    }
    let export = export_json.as_deref().map(|path| Export::open("--export-json", path)).transpose()?;
    let storm = StormFile::merge(parts)?;
    tell(&storm, export.as_ref())?;
    Ok(ExitCode::of_storm(storm.verdict))
}
