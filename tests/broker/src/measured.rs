//! The whole line, from a scenario to its results, against a broker in this process and with paused time.

use std::time::Duration;

use mqtt_sessions::packet::Protocol;
use mqtt_sessions::plan::{self, Cell, Settings};
use mqtt_sessions::results::CellResult;
use mqtt_sessions::run::{self, Observer, Outcome, Prefix, RunOptions, Target};
use mqtt_sessions::scenario::Scenario;
use tokio::sync::watch;

use crate::Broker;

/// Runs a scenario, by its name, against the broker.
pub fn measure(broker: &Broker, scenario: &str) -> Vec<CellResult> {
    measure_scenario(broker, &Scenario::load(scenario).unwrap())
}

/// Runs one scenario against the broker.
pub fn measure_scenario(broker: &Broker, scenario: &Scenario) -> Vec<CellResult> {
    measure_cells(broker, plan::cells(scenario, Settings::of(3)))
}

/// Runs cells against the broker.
pub fn measure_cells(broker: &Broker, cells: Vec<Cell>) -> Vec<CellResult> {
    run_cells(broker, cells).cells
}

/// Runs cells against the broker, and keeps all histories. Time passes only while everybody waits, so it costs none.
pub fn run_cells(broker: &Broker, cells: Vec<Cell>) -> Outcome {
    // The order of client ids decides in which order the broker serves them, so they are the same in each run.
    run_cells_as("mstester", broker, cells)
}

/// As [`run_cells`], with client ids and topics that begin so. The broker has as many nodes as the cells ask for, which share everything.
pub fn run_cells_as(prefix: &str, broker: &Broker, cells: Vec<Cell>) -> Outcome {
    let nodes = cells.iter().map(Cell::nodes).max().unwrap_or(1);
    run_cells_at(prefix, &vec![broker.clone(); nodes as usize], cells)
}

/// As [`run_cells`], against the nodes of a cluster.
pub fn run_cells_at(prefix: &str, nodes: &[Broker], cells: Vec<Cell>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let second = Duration::from_secs(1);
        let further: Vec<_> = nodes[1..].iter().map(Broker::endpoint).collect();
        let target = Target::new(nodes[0].endpoint(), None, 5 * second, 5 * second).with_further_nodes(&further);
        let prefix = Prefix::new(prefix, prefix).unwrap();
        let mut probes = Vec::new();
        for protocol in Protocol::ALL {
            probes.push(run::probe(&target, &prefix, protocol).await);
        }
        let options = RunOptions {
            prefix,
            jobs: 1000,
            settle: Duration::from_millis(100),
            patience: 30 * second,
            attempts_max: u32::MAX,
            repeat: 1,
            keep_all_histories: true,
        };
        let (_interrupt, interrupted) = watch::channel(false);
        run::run(&target, cells, &probes, &options, &Quiet, interrupted).await
    })
}

struct Quiet;

impl Observer for Quiet {
    fn round(&self, _attempt: u32, _cells: usize) {}
    fn cell(&self) {}
    fn warn(&self, _sentence: String) {}
}
