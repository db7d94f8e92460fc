//! Options of a storm: how many sessions and messages, how they return, and what is told of it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::Args;

use super::{Prefixes, Reach, duration, long_time, partition, positive_duration, protocol};
use crate::packet::Protocol;
use crate::partition::Partition;

/// The most sessions, and messages for each of them.
pub const SESSIONS_MAX: i64 = 10_000_000;
const MESSAGES_MAX: i64 = 60_000;
/// The largest payload, in bytes.
const SIZE_MAX: i64 = 1024 * 1024;

#[derive(Debug, Args)]
pub struct Storm {
    /// The broker, as --broker
    #[arg(value_name = "URL")]
    pub url: Option<String>,
    /// How many sessions there are
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=SESSIONS_MAX))]
    #[arg(help_heading = "Storm")]
    pub sessions: u32,
    /// How many messages wait for each of them
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=MESSAGES_MAX))]
    #[arg(help_heading = "Storm")]
    pub messages: u32,
    /// The QoS of the publications and of the subscriptions: 1 or 2; at QoS 0 nothing is owed to who is away
    #[arg(long, value_name = "QOS", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2), help_heading = "Storm")]
    pub qos: u8,
    /// The payload of a message, in bytes at least
    #[arg(long, value_name = "BYTES", default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=SIZE_MAX))]
    #[arg(help_heading = "Storm")]
    pub size: u32,
    /// How many sessions return in a second [default: all at once, with at most 64 connections under way]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000), help_heading = "Storm")]
    pub return_rate: Option<u32>,
    /// How long nobody is there before the return
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = long_time, help_heading = "Storm")]
    pub away: Duration,
    /// When the return begins, such as 2030-01-02T03:04:05Z, for parts of a storm on several machines
    #[arg(long, value_name = "TIME", value_parser = moment, help_heading = "Storm")]
    pub start_at: Option<SystemTime>,
    /// With clients of this protocol version: 3.1.1 or 5.0 [default: 5.0, where the broker speaks it]
    #[arg(long, short = 'V', value_name = "VERSION", value_parser = protocol, help_heading = "Storm")]
    pub protocol: Option<Protocol>,
    /// Only the sessions of one of N parts, from 1, for as many machines; auto asks Slurm, Kubernetes or the CI server which
    #[arg(long, value_name = "hash:M/N", value_parser = partition, help_heading = "Storm")]
    pub partition: Option<Partition>,
    /// Permit more than 1,000 sessions or 10,000 messages: the broker is yours, or its owner agrees
    #[arg(long, help_heading = "Storm")]
    pub yes: bool,
    /// Addresses of this machine from which the clients connect in turn, where one has too few ports
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',', help_heading = "Storm")]
    pub source: Vec<IpAddr>,
    /// How long nothing moves before the return is over
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = positive_duration, help_heading = "Storm")]
    pub patience: Duration,
    /// How long nothing moves before a fence asks for what is missing
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration, help_heading = "Storm")]
    pub settle: Duration,

    #[command(flatten)]
    pub broker: Reach,
    #[command(flatten)]
    pub prefixes: Prefixes,
    /// Write what was found as JSON; - is stdout
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub export_json: Option<PathBuf>,
    /// Write the sessions that deviate to this folder: their experiment as a scenario file, and what was on the wire
    #[arg(long, value_name = "DIR", help_heading = "Results")]
    pub save: Option<PathBuf>,
    /// How client ids and topics begin [default: random]
    #[arg(long, value_name = "P", help_heading = "Names on the broker")]
    pub prefix: Option<String>,
}

fn moment(text: &str) -> Result<SystemTime, String> {
    humantime::parse_rfc3339_weak(text).map_err(|error| format!("{error}; write 2030-01-02T03:04:05Z"))
}
