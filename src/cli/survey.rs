//! Options of a survey: which brokers, which cells, and where the results are kept.

use std::path::PathBuf;

use clap::Args;

use super::{Histories, Plan, Running, StartedBroker, Waits};

#[derive(Debug, Args)]
pub struct Survey {
    /// The brokers to be started: NAME, NAME:VARIANT or FILE.toml, or embedded [default: each built-in one that is installed]
    #[arg(value_name = "BROKER")]
    pub brokers: Vec<String>,
    /// Measure each of these brokers in each of its other configurations, too
    #[arg(long)]
    pub variants: bool,
    /// Run these scenarios: built-in names, or files [default: all usual ones]
    #[arg(long, value_name = "SCENARIO", value_delimiter = ',', help_heading = "Cells")]
    pub scenario: Vec<String>,
    #[command(flatten)]
    pub plan: Plan,
    #[command(flatten)]
    pub started: StartedBroker,
    #[command(flatten)]
    pub waits: Waits,
    /// The folder for a results file of each broker, and for README.md, which sets them side by side
    #[arg(long, value_name = "DIR", default_value = "results", help_heading = "Results")]
    pub save: PathBuf,
    /// Keep the packet histories of one cell for each finding (examples), of all cells that are no pass (unclear), or of all
    #[arg(
        long,
        value_name = "WHICH",
        default_value = "examples",
        hide_possible_values = true,
        help_heading = "Results"
    )]
    pub histories: Histories,
    #[command(flatten)]
    pub running: Running,
}
