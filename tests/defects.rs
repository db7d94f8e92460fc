//! The tester is tested: a broker that is correct in every legal way is never failed, and a broker that lies in one way
//! is caught by a statement that the lie breaks, and by no other. What was caught by what stands in
//! `docs/kill-table.md`, and in `src/statement/lies.txt` for the program.
//!
//! A run tries the cells that are known to show a lie, and a fresh draw of the others. `EVERY_CELL=1 cargo test --test defects` tries
//! each, and fails where the tables are stale; `BLESS=1` writes them anew. `LIE=name` tells one lie in every cell and prints what became
//! of it, with `SHOW=cell` also what went over the wire.

#[path = "defects/draw.rs"]
mod draw;
#[path = "defects/kill_table.rs"]
mod kill_table;
#[path = "defects/shown_in.rs"]
mod shown_in;
#[path = "defects/ways.rs"]
mod ways;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use draw::{Draw, Known};
use mqtt_sessions::packet::Protocol;
use mqtt_sessions::plan::{self, Action, Cell, Settings};
use mqtt_sessions::results::{AxisValue, CellResult, Verdict};
use mqtt_sessions::scenario::Scenario;
use test_broker::measured::{measure, measure_cells, run_cells};
use test_broker::{Broker, Choices, Defect, Way};

/// Combinations of choices that are tried, by their seeds.
const COMBINATIONS: u64 = 10;

/// One in so many cells is tried with a choice.
const CELLS_OF_A_CHOICE: u64 = 4;
/// One in so many cells in which a lie is not known to show is tried with it.
const CELLS_OF_A_LIE: u64 = 8;

/// How many cells share a broker.
const SIDE_BY_SIDE: usize = 12;

/// Scenarios with many cells, in which a fault on one way shows no better than in those with few.
const WIDE: [&str; 3] = ["away", "cuts", "matrix"];

/// What the judge does not get right about a lie yet, a line each; `BLESS=1` writes it anew. Whatever does not stand there fails.
const KNOWN_GAPS: &str = "tests/defects/known-gaps.txt";
const KILL_TABLE: &str = "docs/kill-table.md";
/// The same for the program itself, with a few cells.
const LIES: &str = "src/statement/lies.txt";

/// The one lie that was asked for.
fn asked_for() -> Option<Defect> {
    let name = env::var("LIE").ok()?;
    Some(Defect::named(&name).unwrap_or_else(|| panic!("no lie is called {name}")))
}

/// True if one lie or some histories were asked for, and not the whole test.
fn is_one_asked_for() -> bool {
    env::var_os("LIE").is_some() || env::var_os("SHOW").is_some()
}

/// The scenarios of these tests: they lead messages down ways that users rarely ask about.
fn own_scenarios() -> Vec<String> {
    let folder = root().join("tests/defects/scenarios");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path().to_str().unwrap().to_owned());
    let mut own: Vec<String> = files.collect();
    own.sort();
    own
}

fn scenarios() -> Vec<String> {
    Scenario::usual_names().map(str::to_owned).chain(own_scenarios()).collect()
}

/// Runs all scenarios.
fn run_all(broker: impl Fn() -> Broker) -> Vec<CellResult> {
    scenarios().iter().flat_map(|scenario| measure(&broker(), scenario)).collect()
}

/// The cells that differ for a broker in this process: not those that end a connection by RST, which a pipe does not know;
/// not the longest backlogs, which ask again, at length, what three messages ask; and at unequal QoS neither the ways to go
/// away, since the matrix asks for them, nor clean sessions, to which nothing comes at any QoS.
fn short_cells() -> Vec<Cell> {
    let settings = Settings::of(3);
    let is_short = |cell: &Cell| {
        let is = |axis: &str, value: AxisValue| cell.axes.get(axis) == Some(&value);
        let has_equal_qos = cell.axes.get("publish_qos") == cell.axes.get("subscribe_qos");
        let is_long = matches!(cell.axes.get("messages"), Some(AxisValue::Number(30..)));
        let is_clean = is("clean_session", AxisValue::Bool(true));
        let is_reset = is("how", AxisValue::Text("reset".into())) || is("ending", AxisValue::Text("reset".into()));
        !is_long
            && !is_reset
            && match cell.scenario.as_str() {
                "away" => has_equal_qos && !is("away", AxisValue::Text("reset".into())),
                "matrix" => has_equal_qos || !is_clean,
                _ => true,
            }
    };
    let cells = |name: &String| plan::cells(&Scenario::load(name).unwrap(), settings).into_iter().filter(is_short);
    scenarios().iter().flat_map(cells).collect()
}

fn run(broker: impl Fn() -> Broker, cells: &[Cell]) -> Vec<CellResult> {
    // The test broker looks through all its sessions for each message, so several with few are faster than one with many.
    cells.chunks(SIDE_BY_SIDE).flat_map(|cells| measure_cells(&broker(), cells.to_vec())).collect()
}

/// True if the lie can show in a cell: somebody speaks a version in which it is told, and on the one way on which it is told
/// a message may come.
fn can_show(defect: Defect, cell: &Cell) -> bool {
    let speaks = |version| cell.clients.iter().any(|client| client.protocol == version);
    let is_told = defect.statements().iter().any(|(version, _)| speaks(*version));
    let subscribes_to_group = |action: &Action| match action {
        Action::Subscribe { filters, .. } => filters.iter().any(|filter| filter.filter.starts_with("$share/")),
        _ => false,
    };
    is_told
        && match (defect, defect.way()) {
            (_, None) if defect.inconclusive_allowed() => cell.scenario != "matrix",
            (_, Some(Way::Shared)) => cell.steps.iter().any(|step| subscribes_to_group(&step.action)),
            (Defect::OnTheWay(..), Some(Way::Resent)) => cell.scenario == "cuts" || !is_wide(cell),
            (Defect::OnTheWay(..), _) => !is_wide(cell),
            _ => true,
        }
}

fn is_wide(cell: &Cell) -> bool {
    WIDE.contains(&cell.scenario.as_str())
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
    if is_one_asked_for() {
        return;
    }
    let cells = run_all(Broker::correct);
    none(cells.iter().filter(|cell| cell.verdict != Verdict::Pass).map(|cell| described("correct", cell)).collect());
}

#[test]
fn no_legal_choice_is_ever_failed() {
    if is_one_asked_for() {
        return;
    }
    let combinations = (0..COMBINATIONS).map(|seed| (format!("seed {seed}"), Choices::random(seed)));
    let alone = Choices::each_alone().into_iter().map(|(name, choices)| (name.to_owned(), choices));
    let brokers: Vec<(String, Choices)> = alone.chain(combinations).collect();
    let (short, draw) = (short_cells(), Draw::new());
    let complaints = for_all(&brokers, |(name, choices)| {
        let drawn = short.iter().filter(|cell| draw.has(name, cell, CELLS_OF_A_CHOICE));
        let cells = run(|| Broker::choosing(choices.clone()), &drawn.cloned().collect::<Vec<Cell>>());
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

/// No statement sets a time for a backlog, so a broker that takes 29 seconds loses nothing.
#[test]
fn a_late_broker_is_not_accused_of_a_loss() {
    if is_one_asked_for() {
        return;
    }
    let late = Choices { backlog_delay: Duration::from_secs(29), ..Choices::default() };
    let cells: Vec<Cell> = short_cells().into_iter().filter(|cell| !is_wide(cell)).collect();
    let cells = run(|| Broker::choosing(late.clone()), &cells);
    none(cells.iter().filter(|cell| cell.verdict == Verdict::Fail).map(|cell| described("late", cell)).collect());
}

/// The scenarios whose cells caught a lie, each with the first of these cells, by what was cited.
type Kills = BTreeMap<(Protocol, &'static str), BTreeMap<String, String>>;

/// What is wrong with the judgement of a lie.
struct Complaint {
    /// How it stands among the known gaps.
    gap: String,
    text: String,
}

impl Complaint {
    fn new(gap: String, text: String) -> Self {
        Complaint { gap, text }
    }
}

/// What is said about a lie.
struct Judged {
    kills: Kills,
    complaints: Vec<Complaint>,
    /// How many findings there are, and how many of them cite a statement that the lie does not break.
    findings: usize,
    wrong: usize,
}

/// What a lie is caught by, of so many cells that were to be run, and what is wrong with that.
fn judged(defect: Defect, cells: &[CellResult], asked: usize) -> Judged {
    let (mut kills, mut complaints) = (Kills::new(), Vec::new());
    let (mut findings, mut wrong) = (0, 0);
    // What a broker announces as missing is no lie.
    let announces = defect.choices() != Choices::default();
    for cell in cells.iter().filter(|cell| cell.verdict != Verdict::Pass) {
        let is_quiet = cell.violations.is_empty();
        let is_allowed = defect.inconclusive_allowed() || announces && cell.verdict == Verdict::Unsupported;
        if is_quiet && !is_allowed {
            let gap = format!("{}: {:?} in {}", defect.name(), cell.verdict, cell.scenario);
            complaints.push(Complaint::new(gap, described(defect.name(), cell)));
        }
        for violation in &cell.violations {
            let cited = (violation.protocol, violation.statement.as_str());
            findings += 1;
            match defect.statements().iter().find(|listed| **listed == cited) {
                Some(listed) => {
                    let scenarios = kills.entry(*listed).or_default();
                    scenarios.entry(cell.scenario.clone()).or_insert_with(|| cell.id.clone());
                }
                None => {
                    wrong += 1;
                    let what = format!("{} {}: {}", cited.0, cited.1, violation.observed);
                    let gap = format!("{}: {} {}", defect.name(), cited.0, cited.1);
                    complaints.push(Complaint::new(gap, format!("{}: {}: {what}", defect.name(), cell.id)));
                }
            }
        }
    }
    // A silent lie is caught where nothing can be proven any more.
    let is_told = !kills.is_empty() || defect.inconclusive_allowed();
    // Against a broker that is gone the other cells are not tried.
    let is_noticed = cells.len() < asked || cells.iter().any(|cell| cell.verdict != Verdict::Pass);
    if !(is_told && is_noticed) {
        let never = format!("{}: never caught", defect.name());
        complaints.push(Complaint::new(never.clone(), never));
    }
    Judged { kills, complaints, findings, wrong }
}

#[test]
fn one_lie_that_is_asked_for() {
    let Some(defect) = asked_for() else { return };
    let begun = Instant::now();
    let short = short_cells();
    let cells = run(|| Broker::lying(defect), &short);
    let took = begun.elapsed();
    let mut verdicts: BTreeMap<String, usize> = BTreeMap::new();
    for cell in &cells {
        *verdicts.entry(format!("{:?}", cell.verdict)).or_default() += 1;
    }
    let Judged { kills, complaints, findings, wrong } = judged(defect, &cells, short.len());
    println!("{findings} findings, {wrong} of which cite what the lie does not break");
    println!("{} in {:.1} s, {} cells: {verdicts:?}", defect.name(), took.as_secs_f64(), short.len());
    for ((protocol, id), scenarios) in &kills {
        println!("  caught by {protocol} {id} in {}", scenarios.keys().cloned().collect::<Vec<_>>().join(", "));
    }
    none(complaints.into_iter().map(|complaint| complaint.text).collect());
}

#[test]
fn each_lie_is_caught_by_what_it_breaks_and_by_nothing_else() {
    if is_one_asked_for() {
        return;
    }
    let (lies, short, draw) = (Defect::all(), short_cells(), Draw::new());
    let told = for_all(&lies, |defect| {
        let begun = Instant::now();
        (told(*defect, &short, &draw), begun.elapsed())
    });
    let (judgements, times): (Vec<Judged>, Vec<Duration>) = told.into_iter().unzip();
    let findings: usize = judgements.iter().map(|judged| judged.findings).sum();
    let wrong: usize = judgements.iter().map(|judged| judged.wrong).sum();
    println!("{findings} findings, {wrong} of which cite what the lie does not break");
    let in_two = |judged: Judged| (judged.kills, judged.complaints);
    let (kills, complaints): (Vec<Kills>, Vec<Vec<Complaint>>) = judgements.into_iter().map(in_two).unzip();
    let mut slowest: Vec<(Duration, &str)> = times.into_iter().zip(lies.iter().map(|defect| defect.name())).collect();
    slowest.sort();
    for (time, name) in slowest.iter().rev().take(10) {
        println!("{name} took {:.1} s", time.as_secs_f64());
    }
    let complaints: Vec<Complaint> = complaints.into_iter().flatten().collect();
    let stale = match draw.is_every_cell() {
        true => compare_tables(&lies, &kills, complaints),
        false => {
            let differ = lies.iter().zip(&kills).flat_map(|(defect, kills)| shown_in::differ(*defect, kills));
            unknown(&complaints).into_iter().chain(differ).collect()
        }
    };
    none(stale);
}

/// Judges a lie in the cells of the draw. How a lie shows may depend on the cells that share a broker, so a draw that shows something
/// new is made again with every cell.
fn told(defect: Defect, short: &[Cell], draw: &Draw) -> Judged {
    let tell = |cells: Vec<Cell>| judged(defect, &run(|| Broker::lying(defect), &cells), cells.len());
    let own: Vec<Cell> = short.iter().filter(|cell| can_show(defect, cell)).cloned().collect();
    if draw.is_every_cell() {
        return tell(own);
    }
    let (known, built_in) = (Known::of(defect), Scenario::usual_names().collect::<BTreeSet<&str>>());
    let is_tried = |cell: &&Cell| {
        draw.has(defect.name(), cell, CELLS_OF_A_LIE) || known.has(cell, !built_in.contains(cell.scenario.as_str()))
    };
    let drawn = tell(own.iter().filter(is_tried).cloned().collect());
    let new = [unknown(&drawn.complaints), shown_in::differ(defect, &drawn.kills)].concat();
    let Some(new) = new.first() else { return drawn };
    println!("in every cell, because of {new}");
    tell(own)
}

/// The complaints that are no known gaps.
fn unknown(complaints: &[Complaint]) -> Vec<String> {
    let known = fs::read_to_string(root().join(KNOWN_GAPS)).unwrap_or_default();
    let is_new = |complaint: &Complaint| !known.lines().any(|gap| gap == complaint.gap);
    complaints.iter().filter(|complaint| is_new(complaint)).map(|complaint| complaint.text.clone()).collect()
}

/// Holds what every cell showed against the tables, which `BLESS` writes anew.
fn compare_tables(lies: &[Defect], kills: &[Kills], complaints: Vec<Complaint>) -> Vec<String> {
    let mut by_way = ways::KillsByWay::new();
    for (defect, kills) in lies.iter().zip(kills) {
        let Some(way) = defect.way() else { continue };
        for (protocol, id) in kills.keys() {
            by_way.entry((*protocol, *id, way)).or_default().insert(defect.name());
        }
    }
    let table = kill_table::text(lies, kills) + &ways::table(&by_way);
    let for_program = shown_in::text(lies, kills);
    let whole = [kill_table::unkilled(kills), ways::complaints(&by_way)].concat();
    let whole = whole.into_iter().map(|text| Complaint::new(text.clone(), text));
    let complaints: Vec<Complaint> = complaints.into_iter().chain(whole).collect();
    if env::var_os("BLESS").is_some() {
        fs::write(root().join(KILL_TABLE), &table).unwrap();
        fs::write(root().join(LIES), &for_program).unwrap();
        let gaps: BTreeSet<String> = complaints.iter().map(|complaint| complaint.gap.clone() + "\n").collect();
        fs::write(root().join(KNOWN_GAPS), String::from_iter(gaps)).unwrap();
        complaints.iter().for_each(|complaint| println!("{}", complaint.text));
    }
    let written = fs::read_to_string(root().join(KILL_TABLE)).unwrap_or_default();
    let shown = fs::read_to_string(root().join(LIES)).unwrap_or_default();
    [unknown(&complaints), kill_table::stale(&written, &table), shown_in::stale(&shown, &for_program)].concat()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Prints the histories of the cells that were asked for, of the lie that was asked for or else of the correct broker.
#[test]
fn histories_that_are_asked_for() {
    let Ok(id) = env::var("SHOW") else { return };
    let cells: Vec<Cell> = short_cells().into_iter().filter(|cell| cell.id.starts_with(&id)).collect();
    let outcome = run_cells(&asked_for().map_or_else(Broker::correct, Broker::lying), cells);
    for cell in &outcome.cells {
        println!("{}", described("shown", cell));
        for attempt in &outcome.runs[&cell.id].attempts {
            println!("{}\n", attempt.history.join("\n"));
        }
    }
}
