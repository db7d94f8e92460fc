//! The tester is tested: a broker that is correct in every legal way is never failed, and a broker that lies in one way
//! is caught by a statement that the lie breaks, and by no other.

mod support;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use mqtt_sessions::results::{CellResult, Verdict};
use support::broker::{Broker, Choices, Defect};
use support::measured::measure;

/// The scenarios that are run against each broker.
const SCENARIOS: [&str; 2] = ["matrix", "backlog"];

/// Combinations of choices that are tried, by their seeds.
const COMBINATIONS: u64 = 20;

/// Lies about what no scenario asks for yet, with what it would take. The list may only shrink.
const OUT_OF_SIGHT: [(Defect, &str); 11] = [
    (Defect::IgnoresSessionExpiry, "a session that is left alone until it expires"),
    (Defect::NoTakeover, "two clients with one id"),
    (Defect::IgnoresKeepAlive, "a client that falls silent"),
    (Defect::DupNever, "a delivery that is cut before its acknowledgement"),
    (Defect::ForgetsPubrec, "a delivery that is cut before its PUBCOMP"),
    (Defect::ResendsNothing, "a delivery that is cut before its acknowledgement"),
    (Defect::WildcardsMatchDollar, "a filter with a wildcard"),
    (Defect::ResubscribeDiscardsQueue, "a SUBSCRIBE while the backlog is still to come"),
    (Defect::IgnoresUnsubscribe, "an UNSUBSCRIBE of the experiment's topic"),
    (Defect::NeverClearsRetained, "a retained message that is cleared"),
    (Defect::Qos2OnwardTwice, "a publisher that sends a message again"),
];

fn run(broker: impl Fn() -> Broker) -> Vec<CellResult> {
    SCENARIOS.iter().flat_map(|scenario| measure(&broker(), scenario)).collect()
}

/// Checks all items, on as many threads as there are processors, and gives what is wrong with any.
fn check_all<T: Sync>(items: &[T], check: impl Fn(&T) -> Vec<String> + Sync) -> Vec<String> {
    let (next, complaints) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = check(item);
                    complaints.lock().unwrap().extend(found);
                }
            });
        }
    });
    complaints.into_inner().unwrap()
}

fn none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// A cell as a complaint.
fn described(who: &str, cell: &CellResult) -> String {
    format!("{who}: {:?} {}: {}", cell.verdict, cell.id, cell.reason.as_deref().unwrap_or_default())
}

#[test]
fn the_correct_broker_passes_every_cell() {
    let cells = run(Broker::correct);
    assert_eq!(cells.len(), 152);
    none(cells.iter().filter(|cell| cell.verdict != Verdict::Pass).map(|cell| described("correct", cell)).collect());
}

#[test]
fn no_legal_choice_is_ever_failed() {
    let combinations = (0..COMBINATIONS).map(|seed| (format!("seed {seed}"), Choices::random(seed)));
    let alone = Choices::each_alone().into_iter().map(|(name, choices)| (name.to_owned(), choices));
    let brokers: Vec<(String, Choices)> = alone.chain(combinations).collect();
    none(check_all(&brokers, |(name, choices)| {
        let cells = run(|| Broker::choosing(choices.clone()));
        let wrong = cells.iter().filter(|cell| !matches!(cell.verdict, Verdict::Pass | Verdict::Unsupported));
        wrong.map(|cell| described(name, cell)).collect()
    }));
}

#[test]
fn each_lie_is_caught_by_what_it_breaks_and_by_nothing_else() {
    none(check_all(Defect::ALL, |defect| {
        let cells = run(|| Broker::lying(*defect));
        let mut complaints = Vec::new();
        let mut caught = false;
        for cell in cells.iter().filter(|cell| cell.verdict != Verdict::Pass) {
            let breaks = |statement| defect.statements().contains(&statement);
            let cited = || cell.violations.iter().map(|violation| (violation.protocol, violation.statement.as_str()));
            caught |= cited().any(breaks) || defect.inconclusive_allowed();
            if cited().any(|statement| !breaks(statement)) {
                complaints.push(described(defect.name(), cell));
            }
            if cited().next().is_none() && !defect.inconclusive_allowed() {
                complaints.push(described(defect.name(), cell));
            }
        }
        if caught == OUT_OF_SIGHT.iter().any(|(unseen, _)| unseen == defect) {
            complaints.push(format!("{}: caught is {caught}, against the list of what is out of sight", defect.name()));
        }
        complaints
    }));
}
