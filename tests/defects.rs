//! The tester is tested: a broker that is correct in every legal way is never failed, and a broker that lies in one way
//! is caught by a statement that the lie breaks, and by no other. What was caught by what stands in
//! `docs/kill-table.md`; `BLESS=1 cargo test --test defects` writes it anew.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, thread};

use mqtt_sessions::packet::Protocol;
use mqtt_sessions::plan::{self, Cell, Settings};
use mqtt_sessions::results::{AxisValue, CellResult, Level, Verdict};
use mqtt_sessions::scenario::Scenario;
use mqtt_sessions::statement::{Duty, statements};
use support::broker::{Broker, Choices, Defect};
use support::measured::{measure, measure_cells};

/// Combinations of choices that are tried, by their seeds.
const COMBINATIONS: u64 = 20;

/// How many cells share a broker.
const SIDE_BY_SIDE: usize = 48;

const KILL_TABLE: &str = "docs/kill-table.md";

/// Statements that the judge knows and no lie of the test broker breaks, with the reason. The list may only shrink.
const NOT_KILLED: [(Protocol, &str, &str); 0] = [];

/// Runs all scenarios.
fn run_all(broker: impl Fn() -> Broker) -> Vec<CellResult> {
    Scenario::built_in_names().flat_map(|scenario| measure(&broker(), scenario)).collect()
}

/// Runs all scenarios but their longest backlogs, which only ask again, at length, what three messages ask; and of the
/// ways to go away those at equal QoS, since the matrix asks for the others.
fn run(broker: impl Fn() -> Broker) -> Vec<CellResult> {
    let settings = Settings { messages: 3, queue_limit: None };
    let is_short = |cell: &Cell| {
        let has_equal_qos = cell.axes.get("publish_qos") == cell.axes.get("subscribe_qos");
        let is_long = matches!(cell.axes.get("messages"), Some(AxisValue::Number(30..)));
        !is_long && (cell.scenario != "away" || has_equal_qos)
    };
    let cells = |name| plan::cells(&Scenario::load(name).unwrap(), settings).into_iter().filter(is_short);
    let all: Vec<Cell> = Scenario::built_in_names().flat_map(cells).collect();
    // The test broker looks through all its sessions for each message, so several with few are faster than one with many.
    all.chunks(SIDE_BY_SIDE).flat_map(|cells| measure_cells(&broker(), cells.to_vec())).collect()
}

/// Does the same with all items, on as many threads as there are processors, and gives what comes of it in their order.
fn for_all<T: Sync, R: Send>(items: &[T], act: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(place) else { return };
                    let result = act(item);
                    results.lock().unwrap().push((place, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(place, _)| *place);
    results.into_iter().map(|(_, result)| result).collect()
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
    let cells = run_all(Broker::correct);
    none(cells.iter().filter(|cell| cell.verdict != Verdict::Pass).map(|cell| described("correct", cell)).collect());
}

#[test]
fn no_legal_choice_is_ever_failed() {
    let combinations = (0..COMBINATIONS).map(|seed| (format!("seed {seed}"), Choices::random(seed)));
    let alone = Choices::each_alone().into_iter().map(|(name, choices)| (name.to_owned(), choices));
    let brokers: Vec<(String, Choices)> = alone.chain(combinations).collect();
    let complaints = for_all(&brokers, |(name, choices)| {
        let cells = run(|| Broker::choosing(choices.clone()));
        // Where QoS 0 gets lost, so may what the harness proves things by.
        let is_lossy = choices.qos0_lost_once_in.is_some();
        let wrong = cells.iter().filter(|cell| match cell.verdict {
            Verdict::Pass | Verdict::Unsupported => false,
            Verdict::Inconclusive => !is_lossy,
            _ => true,
        });
        wrong.map(|cell| described(name, cell)).collect::<Vec<_>>()
    });
    none(complaints.concat());
}

/// The scenarios whose cells caught a lie, by what was cited.
type Kills = BTreeMap<(Protocol, &'static str), BTreeSet<String>>;

/// What a lie is caught by, and what is wrong with that.
fn judged(defect: Defect) -> (Kills, Vec<String>) {
    let (mut kills, mut complaints) = (Kills::new(), Vec::new());
    // What a broker announces as missing is no lie.
    let announces = defect.choices() != Choices::default();
    let mut caught = defect.inconclusive_allowed();
    for cell in run(|| Broker::lying(defect)).iter().filter(|cell| cell.verdict != Verdict::Pass) {
        let is_quiet = cell.violations.is_empty();
        let is_allowed = defect.inconclusive_allowed() || announces && cell.verdict == Verdict::Unsupported;
        if is_quiet && !is_allowed {
            complaints.push(described(defect.name(), cell));
        }
        for violation in &cell.violations {
            let cited = (violation.protocol, violation.statement.as_str());
            match defect.statements().iter().find(|listed| **listed == cited) {
                Some(listed) => drop(kills.entry(*listed).or_default().insert(cell.scenario.clone())),
                None => {
                    let what = format!("{} {}: {}", cited.0, cited.1, violation.observed);
                    complaints.push(format!("{}: {}: {what}", defect.name(), cell.id));
                }
            }
        }
    }
    caught |= !kills.is_empty();
    if !caught {
        complaints.push(format!("{}: never caught", defect.name()));
    }
    (kills, complaints)
}

#[test]
fn each_lie_is_caught_by_what_it_breaks_and_by_nothing_else() {
    let (kills, complaints): (Vec<Kills>, Vec<Vec<String>>) =
        for_all(&Defect::all(), |defect| judged(*defect)).into_iter().unzip();
    none(complaints.concat());
    let table = kill_table(&kills);
    none(unkilled(&kills));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(KILL_TABLE);
    if env::var_os("BLESS").is_some() {
        fs::write(&path, &table).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    none(stale(&written, &table));
}

/// What the written table has otherwise than this run. In which further scenarios a lie shows may depend on the moment,
/// so that of those a row has to share one.
fn stale(written: &str, now: &str) -> Vec<String> {
    let halves = |line: &str| match line.trim_end_matches(" |").rsplit_once(" | ") {
        Some((row, scenarios)) if line.starts_with('|') => (row.to_owned(), scenarios.to_owned()),
        _ => (line.to_owned(), String::new()),
    };
    let agree = |one: &str, other: &str| {
        let ((one, here), (other, there)) = (halves(one), halves(other));
        one == other && (here == there || here.split(", ").any(|scenario| there.split(", ").any(|s| s == scenario)))
    };
    let (written, now): (Vec<&str>, Vec<&str>) = (written.lines().collect(), now.lines().collect());
    let cure = format!("{KILL_TABLE} is stale; BLESS=1 cargo test --test defects writes it anew");
    if written.len() != now.len() {
        return vec![cure];
    }
    let differ = written.iter().zip(&now).filter(|(written, now)| !agree(written, now));
    differ.map(|(written, now)| format!("{cure}: {written} is now {now}")).collect()
}

/// Statements that the judge is said to know and that no lie shows it to know.
fn unkilled(kills: &[Kills]) -> Vec<String> {
    let mut complaints = Vec::new();
    for protocol in Protocol::ALL {
        for statement in statements(protocol).iter().filter(|statement| statement.duty == Duty::Judged) {
            let is_killed = kills.iter().any(|kills| kills.contains_key(&(protocol, statement.id)));
            let is_excused = NOT_KILLED.iter().any(|(version, id, _)| (*version, *id) == (protocol, statement.id));
            if is_killed == is_excused && statement.level == Level::Must {
                complaints.push(format!("{protocol} {}: killed is {is_killed}", statement.id));
            }
        }
    }
    complaints
}

/// The kill table: for each statement the lies that break it, and the scenarios that caught them.
fn kill_table(kills: &[Kills]) -> String {
    let mut text = String::from(KILL_TABLE_HEAD);
    for protocol in Protocol::ALL {
        let _ = write!(text, "\n## MQTT {protocol}\n\n{KILL_TABLE_COLUMNS}");
        for statement in statements(protocol).iter().filter(|statement| statement.duty == Duty::Judged) {
            let mut shown = (statement.id, statement.paraphrase);
            for (defect, kills) in Defect::all().iter().zip(kills) {
                let Some(scenarios) = kills.get(&(protocol, statement.id)) else { continue };
                let (id, paraphrase) = std::mem::take(&mut shown);
                // What this lie breaks depends on which cell happens to be away.
                let scenarios = match defect {
                    Defect::AdoptsSession => "any".to_owned(),
                    _ => scenarios.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
                };
                let _ = writeln!(text, "| {id} | {paraphrase} | {} | {scenarios} |", defect.name());
            }
        }
    }
    text.push_str(UNSEEN_HEAD);
    for protocol in Protocol::ALL {
        for statement in statements(protocol) {
            if let Duty::Unseen(why) = statement.duty {
                let _ = writeln!(text, "| {protocol} | {} | {} | {why} |", statement.id, statement.paraphrase);
            }
        }
    }
    for (protocol, id, why) in NOT_KILLED {
        let _ = writeln!(text, "| {protocol} | {id} | judged, and broken by no lie of the test broker | {why} |");
    }
    text
}

const KILL_TABLE_HEAD: &str = "\
# The kill table

A tester is worth what its verdicts are worth. For each statement of the standard that this tool judges, the test broker
(`tests/support/broker/`) tells at least one lie that breaks it, and here is what caught the lie. The table is generated:
`cargo test --test defects` fails when it is stale. A lie is never caught by a statement that it does not break.
";

const KILL_TABLE_COLUMNS: &str = "| statement | what it demands | lie | caught in |\n|---|---|---|---|\n";

const UNSEEN_HEAD: &str = "
## What no client can see

A client that keeps to the standard cannot find these broken. The list may only shrink.

| version | statement | what it demands | why nobody sees it |
|---|---|---|---|
";
