//! Late is told from never, with the seconds, and costs no finding: against a broker that sends again only three seconds after the return, behind
//! what was published since, and against one that never does.

use std::time::Duration;

use mqtt_sessions::plan::{self, Settings};
use mqtt_sessions::results::{Verdict, Violation};
use mqtt_sessions::run::Outcome;
use mqtt_sessions::scenario::Scenario;
use test_broker::measured::run_cells;
use test_broker::{Broker, Choices, Defect};

const CELL: &str = "cuts[protocol=3.1.1,qos=1,leg=subscriber,point=half,how=fin]";

fn measured(defect: Defect) -> Outcome {
    let settings = Settings::of(3);
    let mut cells = plan::cells(&Scenario::load("cuts").unwrap(), settings);
    cells.retain(|cell| cell.id == CELL);
    assert_eq!(cells.len(), 1);
    run_cells(&Broker::lying(defect), cells)
}

/// The only violation, how long the broker took or was waited for, and how many attempts there were.
fn said(outcome: &Outcome) -> (&Violation, u64, usize) {
    let [cell] = &outcome.cells[..] else { panic!("one cell") };
    assert_eq!(cell.verdict, Verdict::Fail, "{:?}", cell.reason);
    let [violation] = &cell.violations[..] else { panic!("{:?}", cell.violations) };
    assert_eq!(violation.statement, "MQTT-4.4.0-1");
    let run = &outcome.runs[CELL];
    let milliseconds = run.evidence_of(0).and_then(|evidence| evidence.milliseconds).expect("a time");
    (violation, milliseconds, run.attempts.len())
}

#[test]
fn what_comes_late_is_told_with_its_seconds() {
    let outcome = measured(Defect::ResendsBehindNew);
    let (violation, milliseconds, attempts) = said(&outcome);
    assert_eq!(violation.observed, "it came late, behind what was published later");
    assert!((3000..4000).contains(&milliseconds), "{milliseconds} ms");
    assert_eq!(attempts, 1);
}

#[test]
fn what_never_comes_was_waited_for() {
    let outcome = measured(Defect::ResendsNothing);
    let (violation, milliseconds, attempts) = said(&outcome);
    assert_eq!(violation.observed, "no PUBLISH, although what was published later came");
    assert!(milliseconds >= 30_000, "{milliseconds} ms");
    assert_eq!(attempts, 1);
}

/// A busy broker sends its backlog some time behind its PINGRESP; the client still answers one message at a time.
#[test]
fn what_comes_late_is_answered_one_by_one() {
    let settings = Settings::of(3);
    let mut cells = plan::cells(&Scenario::load("window").unwrap(), settings);
    cells.retain(|cell| cell.id == "window[protocol=5.0,qos=1,limit=one_by_one]");
    let choices = Choices { backlog_delay: Duration::from_millis(300), ..Choices::default() };
    let outcome = run_cells(&Broker::new(choices, Some(Defect::PubackReleasesTwo)), cells);
    let [cell] = &outcome.cells[..] else { panic!("one cell") };
    let cited: Vec<&str> = cell.violations.iter().map(|violation| violation.statement.as_str()).collect();
    assert_eq!((cell.verdict, cited), (Verdict::Fail, vec!["MQTT-3.3.4-9"]), "{:?}", cell.reason);
}

/// A busy broker ends the connection long after the DISCONNECT from which on the session's interval passes. Whoever counts from the end of
/// the connection takes a session that has expired for one that was lost.
#[test]
fn what_expires_behind_an_end_that_came_late_was_not_lost() {
    let mut cells = plan::cells(&Scenario::load("last_second").unwrap(), Settings::of(3));
    cells.retain(|cell| cell.id == "last_second[protocol=5.0,timer=session_expiry,qos=2]");
    let choices = Choices { wait_for_close: true, end_delay: Duration::from_millis(700), ..Choices::default() };
    let outcome = run_cells(&Broker::choosing(choices), cells);
    let [cell] = &outcome.cells[..] else { panic!("one cell") };
    let mut lines = outcome.runs[&cell.id].attempts.iter().flat_map(|attempt| &attempt.history);
    assert!(!lines.any(|line| line.contains("session_present=1")), "the interval passed");
    assert_ne!(cell.verdict, Verdict::Fail, "{:?}", cell.reason);
}
