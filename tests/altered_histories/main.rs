//! One illegal change in the history of an experiment that passed: the judge has to fail it.
//!
//! The histories are those of random experiments with a correct broker, other ones in each run; the seed is printed, and
//! `RANDOM_SEED=… RANDOM_CASES=… cargo test --release --test altered_histories` repeats them. Each alteration breaks a
//! MUST whatever a broker may be allowed, so it is made only where nothing else explains what then stands there.

mod alteration;
mod copies;
mod properties;
mod reading;
mod sessions;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

use mqtt_sessions::explore::Random;
use mqtt_sessions::history::{Event, History};
use mqtt_sessions::judge::judge_again;
use mqtt_sessions::results::{AttemptRun, CellResult, CellRun, Options, Verdict};
use reading::Reading;
use test_broker::cases::{Case, Tried, cases, first_seed, on_all_processors};

/// How many experiments a run tries that does not say so.
const CASES: u32 = 1500;
/// How many altered histories of one kind are judged for each experiment.
const OF_A_KIND: usize = 2;
/// Of so many altered histories one may pass unseen.
const SEEN_OF_THOUSAND: usize = 997;
/// As many attempts as any finding needs.
const ATTEMPTS: u32 = 3;

/// What became of one kind of alteration.
#[derive(Debug, Default)]
struct Tally {
    judged: usize,
    /// Those that were not failed.
    survivors: Vec<Survivor>,
}

/// An altered history that was not failed.
#[derive(Debug)]
struct Survivor {
    seed: u32,
    judged: CellResult,
    lines: Vec<String>,
    /// The first line that is another one, from 1.
    changed: usize,
}

type Tallies = BTreeMap<&'static str, Tally>;

#[test]
fn an_illegal_change_is_failed() {
    let cases = cases(CASES);
    let seed = first_seed(cases);
    let tallies: Mutex<Tallies> = Mutex::default();
    on_all_processors(|index| {
        if index < cases {
            alter(seed.wrapping_add(index), &tallies);
        }
        index < cases
    });
    let tallies = tallies.into_inner().unwrap();
    let judged: usize = tallies.values().map(|tally| tally.judged).sum();
    let survived: usize = tallies.values().map(|tally| tally.survivors.len()).sum();
    let text = told(&tallies);
    println!("{judged} altered histories, {survived} not failed\n{text}");
    // Which occasions there are is a matter of chance.
    let idle: Vec<&str> = kinds().map(|(kind, _)| kind).filter(|kind| !tallies.contains_key(kind)).collect();
    println!("no occasion for {idle:?}");
    assert!(
        survived * 1000 <= judged * (1000 - SEEN_OF_THOUSAND),
        "RANDOM_SEED={seed}: {survived} of {judged} altered histories are not failed\n{text}"
    );
}

fn kinds() -> impl Iterator<Item = (&'static str, copies::Alter)> {
    copies::ALTERATIONS.iter().chain(properties::ALTERATIONS).chain(sessions::ALTERATIONS).copied()
}

/// Alters the history of one experiment in every way that it allows.
fn alter(seed: u32, tallies: &Mutex<Tallies>) {
    let Tried { cell, attempts } = Case::of(seed).measured();
    if cell.verdict != Verdict::Pass {
        return;
    }
    let Some(lines) = attempts.last() else { return };
    let history = History::parse(lines.iter().map(String::as_str)).unwrap();
    // An experiment that broke off proves little.
    if history.events().any(|event| matches!(event, Event::Stopped | Event::Broken(_))) {
        return;
    }
    let original = history.lines();
    let reading = Reading::of(history);
    let mut random = Random::new(u64::from(seed));
    for (kind, alter) in kinds() {
        let mut altered = alter(&reading);
        for _ in 0..OF_A_KIND.min(altered.len()) {
            let history = altered.swap_remove(random.below(altered.len()));
            let judged = judge(&cell, &history);
            let mut tallies = tallies.lock().unwrap();
            let tally = tallies.entry(kind).or_default();
            tally.judged += 1;
            if judged.verdict != Verdict::Fail {
                let lines = history.lines();
                let same = lines.iter().zip(&original).take_while(|(one, other)| one == other).count();
                tally.survivors.push(Survivor { seed, judged, lines, changed: same + 1 });
            }
        }
    }
}

/// Judges a history that every attempt has shown.
fn judge(cell: &CellResult, history: &History) -> CellResult {
    let attempt = AttemptRun { history: history.lines(), ..AttemptRun::default() };
    let run = CellRun { attempts: vec![attempt; ATTEMPTS as usize], ..CellRun::default() };
    judge_again(cell, &run, &Options { messages: 3, queue_limit: None, durable: None }).unwrap().unwrap().result
}

/// What survived, by kind; the histories are written to `target/altered`.
fn told(tallies: &Tallies) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/altered");
    // Where there is none, none is to be emptied.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let mut text = String::new();
    for (kind, Tally { judged, survivors }) in tallies {
        let _ = write!(text, "{:5} of {judged:5} survive: {kind}", survivors.len());
        for Survivor { seed, judged, lines, changed } in survivors {
            let verdict = judged.verdict.name();
            let _ = write!(text, " {verdict}={seed}");
            let reason = judged.reason.as_deref().unwrap_or_default();
            let line = lines.get(changed - 1).map_or("the end", String::as_str);
            let head = format!(
                "# {kind} (seed {seed}), judged as {verdict}: {reason}\n# It begins in line {}: {line}\n# verdict: fail\n\
                 # statements:\n# attempts: {ATTEMPTS}\n",
                changed + 5
            );
            let name = format!("{}-{seed}.txt", kind.replace(' ', "_"));
            fs::write(folder.join(name), head + &lines.join("\n") + "\n").unwrap();
        }
        text.push('\n');
    }
    text
}
