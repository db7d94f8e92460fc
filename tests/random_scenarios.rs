//! Random experiments: whatever the steps, a correct broker is never failed, whichever liberties it takes.
//!
//! Each run tries other experiments, and prints its seed. What failed is shrunk, grouped by what was cited, and written
//! to `target/random`: a scenario, and a history in the format of `tests/histories`. All of it is repeated by
//! `RANDOM_SEED=… RANDOM_CASES=… cargo test --release --test random_scenarios`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use mqtt_sessions::explore::{self, Accusation};
use mqtt_sessions::results::{CellResult, Summary};
use test_broker::Choices;
use test_broker::cases::{Case, Tried, cases, first_seed, number, on_all_processors};

/// How many experiments a run tries that does not say so.
const CASES: u32 = 1000;
/// How many failing experiments are enough.
const FAILURES_MAX: u32 = 500;
/// How many failing experiments that cite the same are shrunk.
const SHRUNK_MAX: u32 = 4;
/// How many simpler experiments are tried for one that fails.
const TRIES_MAX: usize = 2000;

/// The simplest case found that is accused of nothing else, and of what it is accused.
fn shrunk(case: &Case, accusation: &Accusation) -> (Case, Accusation) {
    let (mut case, mut accusation) = simplified(case.clone(), accusation.clone());
    let each_alone = Choices::each_alone().into_iter().map(|(name, choices)| (name.to_owned(), choices));
    for (broker, choices) in each_alone {
        let plainer = Case { broker, choices, ..case.clone() };
        if let Some(said) = part(&plainer, &accusation) {
            (case, accusation) = simplified(plainer, said);
            break;
        }
    }
    (case, accusation)
}

/// What the case is accused of, if it is nothing else than this.
fn part(case: &Case, accusation: &Accusation) -> Option<Accusation> {
    Accusation::of(&case.measured().cell).filter(|said| said.is_part_of(accusation))
}

fn simplified(mut current: Case, mut accusation: Accusation) -> (Case, Accusation) {
    let mut tries = 0;
    loop {
        let with = |experiment| Case { experiment, ..current.clone() };
        let mut candidates = explore::simpler(&current.experiment).into_iter().map(with);
        let found = candidates.find_map(|case| {
            tries += 1;
            let said = if tries <= TRIES_MAX { part(&case, &accusation) } else { None };
            said.map(|said| (case, said))
        });
        match found {
            Some(simpler) => (current, accusation) = simpler,
            None => return (current, accusation),
        }
    }
}

/// The cases that failed, by what was said.
type Failures = BTreeMap<Accusation, Vec<Case>>;

fn failures(seed: u32, cases: u32) -> (Failures, Summary) {
    let found: Mutex<(Failures, Vec<CellResult>)> = Mutex::default();
    let limit = number("RANDOM_LIMIT").unwrap_or(FAILURES_MAX);
    let count = AtomicU32::new(0);
    on_all_processors(|index| {
        if index >= cases || count.load(Ordering::Relaxed) >= limit {
            return false;
        }
        let case = Case::of(seed.wrapping_add(index));
        let cell = case.measured().cell;
        let mut found = found.lock().unwrap();
        if let Some(accusation) = Accusation::of(&cell) {
            count.fetch_add(1, Ordering::Relaxed);
            found.0.entry(accusation).or_default().push(case);
        }
        found.1.push(cell);
        true
    });
    let (mut failures, cells) = found.into_inner().unwrap();
    failures.values_mut().for_each(|cases| cases.sort_by_key(|case| case.seed));
    (failures, Summary::of(&cells))
}

/// Shrinks some of each group, and leaves out what then looks the same.
fn some_shrunk(failures: &Failures) -> Vec<(Accusation, Case, Tried)> {
    let most = number("RANDOM_SHRINK").unwrap_or(SHRUNK_MAX) as usize;
    let some: Vec<(&Accusation, &Case)> =
        failures.iter().flat_map(|(said, cases)| cases.iter().take(most).map(move |case| (said, case))).collect();
    let done: Mutex<Vec<(Accusation, Case, Tried)>> = Mutex::default();
    on_all_processors(|index| {
        let Some((accusation, case)) = some.get(index as usize) else { return false };
        let (case, accusation) = shrunk(case, accusation);
        let tried = case.measured();
        done.lock().unwrap().push((accusation, case, tried));
        true
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by(|one, other| (&one.0, one.1.seed).cmp(&(&other.0, other.1.seed)));
    let mut shapes = BTreeSet::new();
    done.retain(|(accusation, case, _)| shapes.insert((accusation.clone(), case.experiment.named("").to_string())));
    done
}

fn words(accusation: &Accusation) -> String {
    let statements = accusation.statements.iter().map(|(protocol, id)| format!("{protocol} {id}"));
    format!("{} {}", accusation.verdict.name(), statements.collect::<Vec<_>>().join(", "))
}

/// Where the files of failing cases are. Those of the run before are gone.
fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/random");
    // Where there is none, none is to be emptied.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn write_files(folder: &Path, case: &Case, tried: &Tried) {
    let reason = tried.cell.reason.as_deref().unwrap_or_default();
    let head = format!("# A correct broker ({}) is accused: {reason}\n# verdict: pass\n# statements:\n", case.broker);
    let history = head + &tried.history() + "\n";
    fs::write(folder.join(format!("{}.txt", case.experiment.name)), history).unwrap();
    fs::write(folder.join(format!("{}.toml", case.experiment.name)), case.experiment.to_string()).unwrap();
}

#[test]
fn a_correct_broker_is_never_failed() {
    let cases = cases(CASES);
    let seed = first_seed(cases);
    let folder = folder();
    let started = Instant::now();
    let (failures, summary) = failures(seed, cases);
    println!("{summary:?} in {:.1?}", started.elapsed());
    let failed: usize = failures.values().map(Vec::len).sum();
    let mut text = String::new();
    for (accusation, cases) in &failures {
        let seeds: Vec<String> = cases.iter().take(8).map(|case| case.seed.to_string()).collect();
        let _ = writeln!(text, "{:5} × {}: RANDOM_SEED={}", cases.len(), words(accusation), seeds.join(" "));
    }
    let shrunk = some_shrunk(&failures);
    let _ = writeln!(text, "Shrunk:");
    for (accusation, case, _) in &shrunk {
        let _ = writeln!(text, "  {:3} steps: {}: seed {}", case.experiment.steps.len(), words(accusation), case.seed);
    }
    for (_, case, tried) in shrunk {
        write_files(&folder, &case, &tried);
        let reason = tried.cell.reason.as_deref().unwrap_or_default();
        let history = tried.history();
        let _ = write!(text, "\nRANDOM_SEED={} ({})\n{}{reason}\n{history}\n", case.seed, case.broker, case.experiment);
    }
    assert!(
        failures.is_empty(),
        "RANDOM_SEED={seed}: {failed} of {} experiments fail a correct broker; the files are in {}\n{text}",
        summary.pass + summary.fail + summary.warn + summary.inconclusive + summary.unsupported + summary.error,
        folder.display()
    );
}
