//! The options that say what fails: against a baseline, and beside what is known.

use std::path::PathBuf;

use clap::Args;

use crate::compare::FailOn;

/// What fails in a comparison.
#[derive(Debug, Args)]
pub struct Failing {
    /// Let further cells fail beside those that got worse: changed, gone, new
    #[arg(long, value_name = "KIND", value_delimiter = ',', hide_possible_values = true, help_heading = "Results")]
    pub fail_on: Vec<FailOn>,
}

/// What is known to fail.
#[derive(Debug, Args)]
pub struct Expected {
    /// File of known deviations, each with its reason; they fail nothing [default: mqtt-sessions.toml, if it is there]
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub expect: Option<PathBuf>,
}

/// Whether what fails becomes known.
#[derive(Debug, Args)]
pub struct Accept {
    /// Add what fails to the file of known deviations; write the reasons there yourself
    #[arg(long, help_heading = "Results")]
    pub accept: bool,
}
