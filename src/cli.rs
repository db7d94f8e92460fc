//! The command line: what can be typed, and the help that explains it.

mod expected;
mod explain;
mod explore;
mod exports;
mod measure;
mod probe;
mod reach;
mod storm;
mod survey;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::packet::Protocol;
use crate::partition::Partition;
use crate::run::Settle;
pub use expected::{Accept, Expected, Failing};
pub use explain::Explain;
pub use explore::Explore;
pub use exports::{ExportFiles, PageFiles};
pub use measure::{Amounts, Histories, Measure, Outages, Plan, QueueLimit, Running};
pub use probe::Probe;
pub use reach::{Prefixes, Reach, StartedBroker, Tls, Waits};
pub use storm::Storm;
pub use survey::Survey;

/// Does your MQTT broker keep its promises when a session breaks?
#[derive(Debug, Parser)]
#[command(
    version = env!("VERSION_WITH_COMMIT"),
    max_term_width = 100,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 nothing failed · 1 something failed · 2 usage, a file, the broker out of reach, or its \
                  topics forbidden · 3 nothing failed but something is unclear, or not all was run · 4 no cell selected · 130 interrupted.\n\
                  With --baseline and compare, \"failed\" means \"got worse\"; what is known (--expect) fails nothing."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,

    /// Colour the output: auto, always or never; NO_COLOR is honoured
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    pub color: Color,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Measure the table: clean_session x publish QoS x subscribe QoS x RETAIN x subscribing again, in 3.1.1 and 5.0
    #[command(after_help = MATRIX_EXAMPLES)]
    Matrix {
        /// The broker, as --broker
        #[arg(value_name = "URL")]
        url: Option<String>,
        #[command(flatten)]
        measure: Measure,
    },

    /// Run scenarios: built-in ones, which `list` prints, or files
    Run {
        /// Built-in names, or paths of scenario files
        #[arg(required_unless_present = "all", value_name = "SCENARIO")]
        scenarios: Vec<String>,
        /// All built-in scenarios
        #[arg(long, conflicts_with = "scenarios")]
        all: bool,
        /// Play the tutorial with this client library too, and say where it gets something else: rumqttc
        #[arg(long, value_name = "CLIENT", hide_possible_values = true, help_heading = "Running")]
        client: Option<Library>,
        #[command(flatten)]
        measure: Measure,
    },

    /// Say what each scenario asks; print the cells of those that are named, or all statements that are judged
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// Print the cells of these, as `run` would run them: built-in names, or paths of scenario files
        #[arg(value_name = "SCENARIO")]
        scenarios: Vec<String>,
        #[command(flatten)]
        listed: Listed,
        #[command(flatten)]
        plan: Plan,
    },

    /// Show one cell packet by packet: what each means, what the broker owes by it, and what became of that. Or say what
    /// a statement of the standard demands, and what breaks it
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(Explain),

    /// Try random experiments, and show the simplest of those that fail
    #[command(after_help = EXPLORE_EXAMPLES)]
    Explore(Explore),

    /// Measure what the standard leaves open: how much this broker keeps, for how long, and what it announces of that
    #[command(after_help = PROBE_EXAMPLES)]
    Probe(Probe),

    /// Let many sessions return at once, as after an outage, and account for each message
    #[command(after_help = STORM_EXAMPLES)]
    Storm(Storm),

    /// Start brokers one after the other, run the scenarios against each, and set them side by side
    #[command(after_help = SURVEY_EXAMPLES)]
    Survey(Survey),

    /// Set results files side by side, as Markdown or as a page for a browser: what breaks in which broker, and what each
    /// chose; or profiles, or storms
    #[command(after_help = REPORT_EXAMPLES)]
    Report(Report),

    /// Compare two results files, cell by cell, two profiles, number by number, or two storms
    Compare {
        /// The results that count as known
        baseline: PathBuf,
        /// The new results
        results: PathBuf,
        #[command(flatten)]
        fail_on: Failing,
        #[command(flatten)]
        expected: Expected,
    },

    /// Make one results file of those of all parts of a run (--partition), and tell what the whole run found; or of a storm
    #[command(after_help = MERGE_EXAMPLES)]
    Merge {
        /// The results files of all parts
        #[arg(required = true, value_name = "RESULTS")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        exports: ExportFiles,
        /// Tell each finding in full, also where there are many
        #[arg(long, help_heading = "Results")]
        details: bool,
        #[command(flatten)]
        expected: Expected,
    },

    /// Judge stored histories again, without a broker, with the rules of this version
    #[command(after_help = JUDGE_EXAMPLES)]
    Judge {
        /// A results file with histories, or text files with one history each, whose names end in .txt
        #[arg(required = true, value_name = "RESULTS|HISTORY.txt")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        exports: ExportFiles,
        /// Tell each finding in full, also where there are many
        #[arg(long, help_heading = "Results")]
        details: bool,
        #[command(flatten)]
        expected: Expected,
        #[command(flatten)]
        accept: Accept,
    },

    /// Check step by step whether a run against this broker will work, and say what to do if it will not
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(Doctor),

    /// End the sessions and clear the retained messages that a killed run left on a broker
    Clean(Clean),

    /// Print the completions for a shell: bash, elvish, fish, powershell or zsh
    Completions {
        #[arg(value_name = "SHELL", hide_possible_values = true)]
        shell: clap_complete::Shell,
    },

    /// Write the manual pages of the program and of each command to a folder
    Man {
        /// The folder; it is created if it is not there
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

const MATRIX_EXAMPLES: &str = "Examples:
  mqtt-sessions matrix                                       the embedded broker
  mqtt-sessions matrix mqtt://localhost                      your own
  mqtt-sessions matrix mqtts://broker.example -u me          over TLS; the password in MQTT_SESSIONS_PASSWORD
  mqtt-sessions matrix --broker mqtt://localhost --filter retain=false --filter publish_qos=1,2
  mqtt-sessions matrix --broker mqtt://localhost --export-json now.json --baseline known.json";

const SURVEY_EXAMPLES: &str = "Examples:
  mqtt-sessions survey                                       every broker that is installed
  mqtt-sessions survey --variants mosquitto                  one, in each of its configurations
  mqtt-sessions survey nats mosquitto:persistent mine.toml --save found
  mqtt-sessions survey --scenario matrix,cuts --filter protocol=5.0

A broker that does not start, or dies, does not end the survey; the exit code
is then 2 or 3.";

const REPORT_EXAMPLES: &str = "Examples:
  mqtt-sessions report results/*.json                           Markdown on stdout
  mqtt-sessions report results/*.json --export-html page.html   one page to open in a browser, and to put on a web server";

const PROBE_EXAMPLES: &str = "Examples:
  mqtt-sessions probe mqtts://broker.example -u me           the password in MQTT_SESSIONS_PASSWORD
  mqtt-sessions probe mqtt://localhost --wait 60s            follow sessions and messages for a minute
  mqtt-sessions probe mosquitto:queue_limit_20 --export-json profile.json

A probe says numbers, and fails no broker.
Exit codes: 0 measured · 2 the broker is out of reach · 3 something could not be measured · 130 interrupted.";

const STORM_EXAMPLES: &str = "Examples:
  mqtt-sessions storm mqtt://localhost                                    1,000 sessions, 10 messages for each
  mqtt-sessions storm mqtt://localhost --sessions 50000 --yes             an outage of a day
  mqtt-sessions storm mqtt://localhost --return-rate 500 --away 60s --qos 2 --save found

Exit codes: 0 every message came as it should · 1 a session shows a broken statement · 2 the broker is out of reach, or this machine
too small · 3 not all can be accounted for · 130 interrupted.";

const DOCTOR_EXAMPLES: &str = "Examples:
  mqtt-sessions doctor mqtts://broker.example -u me          the password in MQTT_SESSIONS_PASSWORD
  mqtt-sessions doctor mqtt://localhost --topic-prefix devices/42

All checks together end within five times --deadline and --connect-timeout,
and cleaning up within 10 s more.
Exit codes: 0 a run will work · 2 it will not · 3 something is unclear.";

const MERGE_EXAMPLES: &str = "Examples:
  mqtt-sessions run --all -b mqtt://broker --partition hash:1/2 --export-json 1.json    on one machine
  mqtt-sessions run --all -b mqtt://broker --partition hash:2/2 --export-json 2.json    on the other
  mqtt-sessions merge 1.json 2.json --export-json all.json";

const JUDGE_EXAMPLES: &str = "Examples:
  mqtt-sessions judge results.json               all cells whose histories a run kept
  mqtt-sessions judge one.txt another.txt        one history a file; what the head of a file expects is compared
  mqtt-sessions judge one.txt --export-json -    as results, with the file's name as the cell's id";

const LIST_EXAMPLES: &str = "Examples:
  mqtt-sessions list                                 what each scenario asks
  mqtt-sessions list matrix --filter retain=true     some cells of one
  mqtt-sessions list --cells                         the cells of all
  mqtt-sessions list --statements                    what the standard demands, and where that is judged";

const EXPLAIN_EXAMPLES: &str = "Examples (quote the id, since shells read brackets):
  mqtt-sessions explain 'backlog[protocol=5.0,publish_qos=2,subscribe_qos=1]'
  mqtt-sessions explain CELL --broker mqtt://localhost    your own broker, not the embedded one
  mqtt-sessions explain CELL --results results.json       what a run with --histories all kept
  mqtt-sessions explain CELL --times --export-pcap cell.pcapng    beside the broker's log, and for Wireshark
  mqtt-sessions explain CELL --as-scenario > mine.toml    to change it, and to run mine.toml
  mqtt-sessions explain MQTT-3.1.2-5                      a statement of the standard";

/// How much longer a cell waits for what is missing, where nobody says otherwise.
pub const PATIENCE: Duration = Duration::from_secs(30);
const EXPLORE_EXAMPLES: &str = "Examples:
  mqtt-sessions explore --broker mqtt://localhost                          for a minute
  mqtt-sessions explore --broker mqtt://localhost --time 1h --save found   keep what fails as scenario files
  mqtt-sessions explore --broker mqtt://localhost --seed 7 --cases 1       one experiment again";

#[derive(Debug, Args)]
pub struct Report {
    /// Results files that --export-json or `survey` wrote, or profiles of `probe`, or files of `storm`
    #[arg(required = true, value_name = "RESULTS")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub pages: PageFiles,
}

#[derive(Debug, Args)]
pub struct Doctor {
    /// The broker, as --broker
    #[arg(value_name = "URL")]
    pub url: Option<String>,
    #[command(flatten)]
    pub broker: Reach,
    #[command(flatten)]
    pub prefixes: Prefixes,
    /// Write what was found as JSON; - is stdout
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub export_json: Option<PathBuf>,
    /// How client ids and topics begin [default: random]
    #[arg(long, value_name = "P", help_heading = "Names on the broker")]
    pub prefix: Option<String>,
}

#[derive(Debug, Args)]
pub struct Clean {
    /// The prefix that the run printed when it began
    #[arg(long, value_name = "P")]
    pub prefix: String,
    /// The scenarios that the run ran [default: all built-in scenarios]
    #[arg(value_name = "SCENARIO")]
    pub scenarios: Vec<String>,
    /// Number of repetitions that the run was to make
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub repeat: u32,
    /// Clean up after a storm of this many sessions, in place of a run
    #[arg(long, value_name = "SESSIONS", value_parser = clap::value_parser!(u32).range(1..=storm::SESSIONS_MAX))]
    #[arg(conflicts_with_all = ["scenarios", "repeat"])]
    pub storm: Option<u32>,
    #[command(flatten)]
    pub prefixes: Prefixes,
    #[command(flatten)]
    pub broker: Reach,
}

/// What `list` prints in place of the scenarios.
#[derive(Debug, Args)]
pub struct Listed {
    /// Print the cells of all scenarios that `run --all` runs
    #[arg(long)]
    pub cells: bool,
    /// Print every statement of the standard on sessions: its level, what it demands, and where it is judged
    #[arg(long, conflicts_with_all = ["scenarios", "cells", "filter"])]
    pub statements: bool,
    /// Print the brokers that --broker NAME starts, whether they are installed, and their variants
    #[arg(long, conflicts_with_all = ["scenarios", "cells", "filter", "statements"])]
    pub brokers: bool,
}

/// A client library that can play lessons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Library {
    Rumqttc,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

impl From<Color> for anstream::ColorChoice {
    fn from(color: Color) -> Self {
        match color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        }
    }
}

/// The longest wait that can be asked for.
const DURATION_MAX: Duration = Duration::from_secs(3600);

fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration <= DURATION_MAX => Ok(duration),
        Ok(_) => Err("an hour is the longest wait; write 1h or less".into()),
        Err(error) => Err(format!("{error}; write 100ms or 5s")),
    }
}

fn settle(text: &str) -> Result<Settle, String> {
    match text {
        "auto" => Ok(Settle::Auto),
        text => duration(text).map(Settle::For).map_err(|why| format!("{why}, or auto")),
    }
}

fn protocol(text: &str) -> Result<Protocol, String> {
    text.parse().map_err(|()| "write 3.1.1 or 5.0".into())
}

fn partition(text: &str) -> Result<Partition, String> {
    match text {
        "auto" => Partition::of_scheduler(|name| std::env::var(name).ok()),
        text => text.parse(),
    }
}

/// A search or a run may take longer than any wait.
fn long_time(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write 60s or 2h"))
}

fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("it must be more than 0; write 100ms or 5s".into()),
        duration => Ok(duration),
    }
}
