//! Options of a probe: how much it may put on the broker, and how long it waits.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{Prefixes, Reach, positive_duration, protocol};
use crate::packet::Protocol;

/// How many times the usual budget can be had.
const BUDGET_MAX: i64 = 5;

#[derive(Debug, Args)]
pub struct Probe {
    /// The broker, as --broker
    #[arg(value_name = "URL")]
    pub url: Option<String>,
    /// How many times 2,000 messages, 1 MiB and 200 connections a question may put on the broker at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=BUDGET_MAX))]
    #[arg(help_heading = "Measuring")]
    pub budget: u32,
    /// How far timers are followed, such as those of sessions, in whole seconds
    #[arg(long, value_name = "TIME", default_value = "6s", value_parser = positive_duration, help_heading = "Measuring")]
    pub wait: Duration,
    /// With clients of this protocol version: 3.1.1 or 5.0 [default: 5.0, where the broker speaks it]
    #[arg(long, value_name = "VERSION", value_parser = protocol, help_heading = "Measuring")]
    pub protocol: Option<Protocol>,

    #[command(flatten)]
    pub broker: Reach,
    #[command(flatten)]
    pub prefixes: Prefixes,
    /// Say how each number was found, also on a narrow page
    #[arg(long, help_heading = "Results")]
    pub details: bool,
    /// Write the numbers as JSON; - is stdout
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub export_json: Option<PathBuf>,
    /// How client ids and topics begin [default: random]
    #[arg(long, value_name = "P", help_heading = "Names on the broker")]
    pub prefix: Option<String>,
}
