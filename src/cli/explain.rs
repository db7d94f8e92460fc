//! Options of `explain`: which cell, and what is shown of it.

use std::path::PathBuf;

use clap::Args;

use super::{Amounts, Prefixes, Reach, settle};
use crate::run::{ATTEMPTS_MAX, Settle};

#[derive(Debug, Args)]
pub struct Explain {
    /// A cell's id, as list and the reports print it: scenario[axis=value,...]; or a statement's, such as MQTT-3.1.2-5
    #[arg(value_name = "CELL|STATEMENT")]
    pub cell: String,
    /// The scenario of the cell, a name or a file [default: the built-in one that the id names]
    #[arg(long, value_name = "SCENARIO")]
    pub scenario: Option<String>,
    /// Explain the history that this results file keeps, without a broker
    #[arg(long, value_name = "FILE", conflicts_with_all = ["scenario", "as_scenario"])]
    pub results: Option<PathBuf>,
    /// Print the cell as a scenario file with all values written out, and run nothing
    #[arg(long, conflicts_with_all = ["bytes", "times", "export_pcap"])]
    pub as_scenario: bool,
    /// Print the bytes of each packet, too
    #[arg(long)]
    pub bytes: bool,
    /// Print the time of day (UTC) of each event, as the broker's log has it
    #[arg(long)]
    pub times: bool,
    /// Write the packets for Wireshark, as pcapng; - is stdout
    #[arg(long, value_name = "FILE")]
    pub export_pcap: Option<PathBuf>,

    #[command(flatten)]
    pub broker: Reach,
    #[command(flatten)]
    pub amounts: Amounts,
    #[command(flatten)]
    pub prefixes: Prefixes,
    /// How many attempts are made at a cell at most; a finding that needs more is inconclusive
    #[arg(long, value_name = "N", default_value_t = ATTEMPTS_MAX, value_parser = clap::value_parser!(u32).range(1..=i64::from(ATTEMPTS_MAX)))]
    #[arg(help_heading = "Running")]
    pub attempts: u32,
    /// How long the cell stays open when it is about to say "absent"; auto follows the round trip, from 25 ms on
    #[arg(long, value_name = "TIME", default_value = "auto", value_parser = settle, help_heading = "Running")]
    pub settle: Settle,
    /// How client ids and topics begin [default: random]
    #[arg(long, value_name = "P", help_heading = "Names on the broker")]
    pub prefix: Option<String>,
}
