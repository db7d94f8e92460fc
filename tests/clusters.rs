//! A broker with several nodes: a cluster passes the scenario `cluster`, and what its nodes do not share is seen.

use std::collections::BTreeSet;

use mqtt_sessions::plan::{self, Settings};
use mqtt_sessions::results::{CellResult, Verdict};
use mqtt_sessions::run::Outcome;
use mqtt_sessions::scenario::Scenario;
use test_broker::measured::run_cells_at;
use test_broker::{Broker, Sharing};

/// The scenario against three nodes in front of a correct broker, which has nothing of it in the end.
fn cluster(sharing: Sharing) -> Outcome {
    let broker = Broker::correct();
    let scenario = Scenario::load("cluster").unwrap();
    let cells = plan::cells(&scenario, Settings::of(3));
    let outcome = run_cells_at("mstester", &broker.nodes(3, sharing), cells);
    assert_eq!(outcome.cells.len(), 32);
    assert_eq!(broker.sessions(), Vec::<String>::new());
    assert_eq!(broker.retained(), Vec::<String>::new());
    outcome
}

fn what(cell: &CellResult) -> String {
    cell.axes.get("what").unwrap().to_string()
}

/// These cells fail, and no others, each with one of the statements.
#[track_caller]
fn fail(outcome: &Outcome, broken: &[(&str, &[&str])]) {
    for cell in &outcome.cells {
        let what = what(cell);
        let expected = broken.iter().find(|(own, _)| *own == what);
        let cited: BTreeSet<&str> = cell.violations.iter().map(|own| own.statement.as_str()).collect();
        match expected {
            None => assert_eq!(cell.verdict, Verdict::Pass, "{}: {:?}", cell.id, cell.reason),
            Some((_, statements)) => {
                assert_eq!(cell.verdict, Verdict::Fail, "{}: {:?}", cell.id, cell.reason);
                assert!(cited.iter().any(|own| statements.contains(own)), "{}: {cited:?}", cell.id);
            }
        }
    }
}

#[test]
fn a_cluster_that_shares_everything_passes() {
    let outcome = cluster(Sharing::Everything);
    fail(&outcome, &[]);
    for run in outcome.runs.values() {
        assert_eq!(run.attempts.len(), 1);
        assert!(run.attempts[0].history.iter().any(|line| line.ends_with("-- at node 2")), "{run:?}");
    }
}

#[test]
fn nodes_that_hear_of_a_session_late_are_asked_again_and_not_failed() {
    let outcome = cluster(Sharing::EverythingLate);
    fail(&outcome, &[]);
    let moves = outcome.runs.iter().filter(|(id, _)| id.contains("what=moves"));
    assert!(moves.clone().count() == 4 && moves.into_iter().all(|(_, run)| run.attempts.len() > 1));
}

#[test]
fn nodes_with_sessions_of_their_own_fail() {
    let resumes = &["MQTT-3.1.2-4", "MQTT-3.1.2-23"][..];
    let denied = ["follows", "moves", "long_queue", "round"].map(|what| (what, resumes));
    let taken_over = ["takeover", "race"].map(|what| (what, &["MQTT-3.1.4-2", "MQTT-3.1.4-3"][..]));
    fail(&cluster(Sharing::NoSessions), &[&denied[..], &taken_over].concat());
}

#[test]
fn nodes_with_retained_messages_of_their_own_fail() {
    fail(&cluster(Sharing::NoRetained), &[("retained", &["MQTT-3.3.1-6", "MQTT-3.3.1-9"])]);
}
