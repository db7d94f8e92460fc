//! Options of `explore`: which experiments, and how many.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{Prefixes, Reach, long_time, partition, protocol, settle};
use crate::packet::Protocol;
use crate::partition::Partition;
use crate::run::Settle;

#[derive(Debug, Args)]
pub struct Explore {
    /// The broker, as --broker
    #[arg(value_name = "URL")]
    pub url: Option<String>,
    /// The seed of the first experiment; those that follow count on from it [default: random]
    #[arg(long, value_name = "S", help_heading = "Experiments")]
    pub seed: Option<u32>,
    /// End after this many experiments
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Experiments")]
    pub cases: Option<u32>,
    /// End after this time [default: 60s, unless --cases is given]
    #[arg(long, value_name = "TIME", value_parser = long_time, help_heading = "Experiments")]
    pub time: Option<Duration>,
    /// Only this protocol version, 3.1.1 or 5.0 [default: what the broker speaks]
    #[arg(long, value_name = "VERSION", value_parser = protocol, help_heading = "Experiments")]
    pub protocol: Option<Protocol>,
    /// Only the experiments of one of N parts of the search, as of a run; each part needs the same --seed
    #[arg(long, value_name = "hash:M/N", value_parser = partition, help_heading = "Experiments")]
    pub partition: Option<Partition>,
    /// Leave out experiments that wait for a timer of the protocol, which takes seconds
    #[arg(long, help_heading = "Experiments")]
    pub no_timers: bool,
    /// Write the simplest experiments that fail to this folder, as scenario files
    #[arg(long, value_name = "DIR", help_heading = "Experiments")]
    pub save: Option<PathBuf>,

    #[command(flatten)]
    pub broker: Reach,
    #[command(flatten)]
    pub prefixes: Prefixes,
    /// Experiments side by side [default: 1024 against this machine, 32 elsewhere]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000), help_heading = "Running")]
    pub jobs: Option<u32>,
    /// How long an experiment that is about to say "absent" stays open; auto follows the round trip, from 25 ms on
    #[arg(long, value_name = "TIME", default_value = "auto", value_parser = settle, help_heading = "Running")]
    pub settle: Settle,
    /// How client ids and topics begin [default: random]
    #[arg(long, value_name = "P", help_heading = "Names on the broker")]
    pub prefix: Option<String>,
}
