//! The files that a command writes: each format once, all made from one thing and delivered together.

use std::io::{self, IsTerminal};
use std::path::Path;

use anyhow::anyhow;

use super::{Export, ExportError, each_another};
use crate::capture::capture;
use crate::cli::ExportFiles;
use crate::input::BYTES_MAX;
use crate::output;
use crate::report::{self, Told};
use crate::results::Results;

/// A file format of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Junit,
    Markdown,
    Pcap,
}

/// What the files are made from.
pub struct Exported<'a> {
    /// With all histories that a file needs.
    pub told: Told<'a>,
    /// The results with the histories that the user wants to keep.
    pub kept: &'a Results,
}

/// The files that were asked for.
#[derive(Debug)]
pub struct Exports(Vec<(Format, Export)>);

impl Exports {
    /// Checks that every file can be written, and that each is another one.
    ///
    /// # Errors
    /// A sentence that names the file, or the two options that name the same.
    pub fn open(files: &ExportFiles) -> anyhow::Result<Exports> {
        let asked_for = [
            (Format::Json, &files.export_json),
            (Format::Junit, &files.export_junit),
            (Format::Markdown, &files.export_markdown),
            (Format::Pcap, &files.export_pcap),
        ];
        let asked_for: Vec<(Format, &Path)> =
            asked_for.iter().filter_map(|(format, path)| Some((*format, path.as_deref()?))).collect();
        let options: Vec<_> = asked_for.iter().map(|(format, path)| (format.option(), *path)).collect();
        each_another(&options)?;
        if asked_for.contains(&(Format::Pcap, Path::new("-"))) && io::stdout().is_terminal() {
            let cure = "name a file, or send stdout to one";
            return Err(anyhow!("--export-pcap - writes bytes that are no text, and stdout is a terminal; {cure}"));
        }
        let open = |(format, path): (Format, &Path)| Ok((format, Export::open(format.option(), path)?));
        Ok(Exports(asked_for.into_iter().map(open).collect::<Result<_, ExportError>>()?))
    }

    /// A file shows cells that passed, too, packet by packet.
    pub fn need_all_histories(&self) -> bool {
        self.0.iter().any(|(format, _)| *format == Format::Pcap)
    }

    /// Writes the files, and then makes and prints the text that belongs to them: a run is not to be lost for its text.
    /// Where one of them fails, the others are still done.
    ///
    /// # Errors
    /// Says what could not be written.
    pub fn deliver(&self, text: impl FnOnce() -> String, exported: &Exported<'_>) -> anyhow::Result<()> {
        let mut written = Ok(());
        for (format, export) in &self.0 {
            // The first mistake is told.
            written = written.and(export.write(&format.bytes(exported)));
        }
        let text = text();
        if on_github() {
            // GitHub reads stderr too, and stdout may be a file's.
            report::annotations(&exported.told).iter().for_each(|line| output::note(line));
        }
        if self.0.iter().any(|(_, export)| export.is_stdout()) {
            output::note(&text);
            return written;
        }
        let printed = output::println(&text);
        written?;
        Ok(printed?)
    }
}

impl Format {
    fn option(self) -> &'static str {
        match self {
            Format::Json => "--export-json",
            Format::Junit => "--export-junit",
            Format::Markdown => "--export-markdown",
            Format::Pcap => "--export-pcap",
        }
    }

    fn bytes(self, exported: &Exported<'_>) -> Vec<u8> {
        match self {
            Format::Json => json(exported.kept),
            Format::Junit => report::junit(&exported.told),
            Format::Markdown => report::markdown(&exported.told).into_bytes(),
            Format::Pcap => capture(exported.told.results),
        }
    }
}

/// As GitHub tells each step of a job.
fn on_github() -> bool {
    std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true")
}

fn json(results: &Results) -> Vec<u8> {
    let text = results.to_json();
    if text.len() as u64 > BYTES_MAX {
        let bound = BYTES_MAX / (1024 * 1024);
        output::note(&format!(
            "warning: the results have more than {bound} MiB, which no command reads; keep fewer --histories"
        ));
    }
    text.into_bytes()
}
