//! Options of a measurement: which cells, how they run, and what is told of them.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{Accept, Expected, ExportFiles, Failing, Prefixes, Reach, duration, long_time, partition, settle};
use crate::partition::Partition;
use crate::run::{ATTEMPTS_MAX, Settle};
use crate::scenario::{Ending, MESSAGES_MAX};

#[derive(Debug, Args)]
pub struct Measure {
    #[command(flatten)]
    pub broker: Reach,
    #[command(flatten)]
    pub plan: Plan,
    #[command(flatten)]
    pub prefixes: Prefixes,

    /// Broker name to record in the results
    #[arg(long, value_name = "NAME", help_heading = "Results")]
    pub broker_name: Option<String>,
    /// Broker version to record in the results
    #[arg(long, value_name = "VERSION", help_heading = "Results")]
    pub broker_version: Option<String>,
    #[command(flatten)]
    pub exports: ExportFiles,
    /// Keep the packet histories of all cells, only of those that are no pass (unclear), or of one for each finding (examples)
    #[arg(
        long,
        value_name = "WHICH",
        default_value = "unclear",
        hide_possible_values = true,
        help_heading = "Results"
    )]
    pub histories: Histories,
    /// Compare with these results; then only what got worse fails
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub baseline: Option<PathBuf>,
    #[command(flatten)]
    pub fail_on: Failing,
    #[command(flatten)]
    pub expected: Expected,
    #[command(flatten)]
    pub accept: Accept,
    /// Tell each finding in full, also where there are many
    #[arg(long, help_heading = "Results")]
    pub details: bool,

    #[command(flatten)]
    pub outages: Outages,
    #[command(flatten)]
    pub running: Running,
    /// How client ids and topics begin [default: random]
    #[arg(long, value_name = "P", help_heading = "Names on the broker")]
    pub prefix: Option<String>,
}

/// How the cells run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Running")]
pub struct Running {
    /// Cells side by side [default: all against this machine, 32 elsewhere]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub jobs: Option<u32>,
    /// Number of repetitions of each cell, each with ids of its own; the worst verdict counts
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub repeat: u32,
    /// How long a cell that is about to say "absent" stays open; auto follows the round trip, from 25 ms on
    #[arg(long, value_name = "TIME", default_value = "auto", value_parser = settle)]
    pub settle: Settle,
    /// How much longer a cell waits for what is missing, to tell late from never
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub patience: Duration,
    /// How many attempts are made at a cell at most; a finding that needs more is inconclusive
    #[arg(long, value_name = "N", default_value_t = ATTEMPTS_MAX, value_parser = clap::value_parser!(u32).range(1..=i64::from(ATTEMPTS_MAX)))]
    pub attempts: u32,
    /// How long the cells may run; then the run ends in good order, and what was not reached is left out [default: twice what
    /// they can take with a broker that answers at once, and a minute; said at the start where it is long]
    #[arg(long, value_name = "TIME", value_parser = long_time)]
    pub time_limit: Option<Duration>,
}

/// How a broker that was not started for the run is ended and started, for scenarios that do so.
#[derive(Debug, Args)]
#[command(next_help_heading = "Scenarios that restart the broker")]
pub struct Outages {
    /// Command that stops the broker in good order, and returns when it has stopped; for a broker that is not started for the run
    #[arg(long, value_name = "COMMAND")]
    pub stop_command: Option<String>,
    /// Command that kills the broker
    #[arg(long, value_name = "COMMAND")]
    pub kill_command: Option<String>,
    /// Command that starts the broker again
    #[arg(long, value_name = "COMMAND")]
    pub start_command: Option<String>,
    /// Command that cuts node $NODE of a cluster off from the other nodes, and leaves its clients
    #[arg(long, value_name = "COMMAND")]
    pub partition_command: Option<String>,
    /// Command that joins node $NODE with the other nodes again
    #[arg(long, value_name = "COMMAND")]
    pub heal_command: Option<String>,
}

/// Which cells.
#[derive(Debug, Args)]
pub struct Plan {
    #[command(flatten)]
    pub amounts: Amounts,
    /// Only these cells: an id, or axis=value[,value]; all must hold
    #[arg(long, value_name = "FILTER", help_heading = "Cells")]
    pub filter: Vec<String>,
    /// Only the cells of one of N parts, from 1, for as many machines; auto asks Slurm, Kubernetes or the CI server which;
    /// `merge` makes one results file of all
    #[arg(long, value_name = "hash:M/N", value_parser = partition, help_heading = "Cells")]
    pub partition: Option<Partition>,
}

/// The options that change the meaning of a cell.
#[derive(Debug, Clone, Args)]
pub struct Amounts {
    /// Messages published while the subscriber is away
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=i64::from(MESSAGES_MAX)))]
    #[arg(help_heading = "Cells")]
    pub messages: u32,
    /// How many messages the broker is configured to keep for a session: more may then be dropped; probe measures it first
    #[arg(long, value_name = "N", value_parser = queue_limit, help_heading = "Cells")]
    pub queue_limit: Option<QueueLimit>,
    /// What the file of the broker declares.
    #[arg(skip)]
    pub durable: Option<Ending>,
}

/// The queue limit of the broker, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueLimit {
    Messages(u32),
    /// It is measured before the cells run.
    Probe,
}

impl QueueLimit {
    /// The limit, where it is known.
    pub fn messages(self) -> Option<u32> {
        match self {
            QueueLimit::Messages(messages) => Some(messages),
            QueueLimit::Probe => None,
        }
    }
}

fn queue_limit(text: &str) -> Result<QueueLimit, String> {
    match text.parse() {
        _ if text == "probe" => Ok(QueueLimit::Probe),
        Ok(messages) if messages > 0 => Ok(QueueLimit::Messages(messages)),
        _ => Err("write a number of messages from 1 on, or probe".into()),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Histories {
    /// Those of cells that are no pass.
    Unclear,
    All,
    /// Those of one cell for each finding.
    Examples,
}
