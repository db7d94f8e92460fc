//! The options that write files.

use std::path::PathBuf;

use clap::Args;

/// The files that a command writes beside what it prints; each is complete or what it was before.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Results")]
pub struct ExportFiles {
    /// Write the results as JSON; - is stdout
    #[arg(long, value_name = "FILE")]
    pub export_json: Option<PathBuf>,
    /// Write a test case for each cell as JUnit XML, for the test reports of a CI server; - is stdout
    #[arg(long, value_name = "FILE")]
    pub export_junit: Option<PathBuf>,
    /// Write a summary as Markdown, for the job summary of a CI server; - is stdout
    #[arg(long, value_name = "FILE")]
    pub export_markdown: Option<PathBuf>,
    /// Write what was on the wire as a capture (pcapng), for Wireshark; - is stdout
    #[arg(long, value_name = "FILE")]
    pub export_pcap: Option<PathBuf>,
}
