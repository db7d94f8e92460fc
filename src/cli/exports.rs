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
    /// Write a test case for each cell as JUnit XML; - is stdout
    #[arg(long, value_name = "FILE")]
    pub export_junit: Option<PathBuf>,
    /// Write a job summary as Markdown; - is stdout
    #[arg(long, value_name = "FILE")]
    pub export_markdown: Option<PathBuf>,
    /// Write the packets for Wireshark, as pcapng; - is stdout
    #[arg(long, value_name = "FILE")]
    pub export_pcap: Option<PathBuf>,
}

/// The files that `report` writes in place of printing.
#[derive(Debug, Clone, Default, Args)]
pub struct PageFiles {
    /// Write one page for a browser, with all that the files say: each cell, its packets, the statements, or storms; - is stdout
    #[arg(long, value_name = "FILE")]
    pub export_html: Option<PathBuf>,
    /// Write the Markdown to a file, and print nothing; - is stdout
    #[arg(long, value_name = "FILE")]
    pub export_markdown: Option<PathBuf>,
}
