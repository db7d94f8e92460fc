//! The judge has an answer to any history, and the answer holds together.

use std::sync::LazyLock;

use mqtt_sessions::history::{Event, History};
use mqtt_sessions::judge::{Combined, absent, judge_again};
use mqtt_sessions::results::{AttemptRun, CellRun, Evidence, Level, Options, Verdict};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::{any_event, config, exchange, made_up};

/// The histories of the truth table, without their heads.
static KNOWN: LazyLock<Vec<Vec<String>>> = LazyLock::new(|| {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/histories");
    let entries = std::fs::read_dir(folder).expect("the folder can be listed");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("the folder can be listed").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    let events = |text: String| text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    files.iter().map(|file| events(std::fs::read_to_string(file).expect("the file can be read"))).collect()
});

/// A way to mutilate a history; places are taken modulo its length.
#[derive(Debug, Clone)]
enum Damage {
    Drop(Index),
    Duplicate(Index, Index),
    Swap(Index, Index),
    /// All identifiers of the line become this one.
    Renumber(Index, u16),
    /// A byte of the line becomes another, if it is still an event then.
    Byte(Index, Index, u8),
    /// All from here on is cut off.
    Cut(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = any::<Index>;
    prop_oneof![
        4 => place().prop_map(Damage::Drop),
        4 => (place(), place()).prop_map(|(from, to)| Damage::Duplicate(from, to)),
        4 => (place(), place()).prop_map(|(one, other)| Damage::Swap(one, other)),
        4 => (place(), 0..6u16).prop_map(|(at, id)| Damage::Renumber(at, id)),
        8 => (place(), place(), b' '..=b'~').prop_map(|(at, byte, value)| Damage::Byte(at, byte, value)),
        1 => place().prop_map(Damage::Cut),
    ]
}

fn apply(damage: &Damage, lines: &mut Vec<String>) {
    let length = lines.len();
    if length == 0 {
        return;
    }
    match damage {
        Damage::Drop(at) => drop(lines.remove(at.index(length))),
        Damage::Duplicate(from, to) => lines.insert(to.index(length), lines[from.index(length)].clone()),
        Damage::Swap(one, other) => lines.swap(one.index(length), other.index(length)),
        Damage::Renumber(at, id) => {
            let line = &mut lines[at.index(length)];
            if let Some((head, tail)) = line.split_once(" id=") {
                let tail = tail.trim_start_matches(|c: char| c.is_ascii_digit());
                *line = format!("{head} id={id}{tail}");
            }
        }
        Damage::Byte(at, byte, value) => {
            let line = &mut lines[at.index(length)];
            let mut bytes = line.clone().into_bytes();
            let byte = byte.index(bytes.len());
            bytes[byte] = *value;
            let changed = String::from_utf8(bytes).ok().filter(|text| History::parse([text.as_str()]).is_ok());
            *line = changed.unwrap_or_else(|| line.clone());
        }
        Damage::Cut(at) => lines.truncate(at.index(length)),
    }
}

/// What holds for any answer of the judge to these attempts.
fn holds_together(attempts: Vec<Vec<String>>, queue_limit: Option<u32>) -> Result<(), TestCaseError> {
    for lines in &attempts {
        let history = History::parse(lines.iter().map(String::as_str)).expect("every line is an event");
        for client in exchange::CLIENTS {
            absent(&history, client);
        }
    }
    let stored = made_up::matrix().cells.swap_remove(0);
    let attempts = attempts.into_iter().map(|history| AttemptRun { history, ..AttemptRun::default() });
    let run = CellRun { attempts: attempts.collect(), ..CellRun::default() };
    let options = Options { messages: 1, queue_limit, durable: None };
    let Some(judged) = judge_again(&stored, &run, &options).expect("every line is an event") else {
        return Ok(());
    };
    answer_holds_together(&judged, &run)?;
    // Once more says the same.
    let again = judge_again(&judged.result, &run, &options).expect("every line is an event");
    prop_assert_eq!(again, Some(judged));
    Ok(())
}

fn answer_holds_together(judged: &Combined, run: &CellRun) -> Result<(), TestCaseError> {
    let Combined { result, evidence, attempt } = judged;
    prop_assert_eq!(result.reason.is_none(), result.verdict == Verdict::Pass);
    let broken = result.violations.iter().any(|violation| violation.level == Level::Must);
    prop_assert_eq!(broken, result.verdict == Verdict::Fail);
    prop_assert!((1..=run.attempts.len()).contains(attempt));
    // Each violation has its evidence, and no two say the same.
    let violations: Vec<usize> = evidence.iter().map(|evidence| evidence.violation).collect();
    prop_assert_eq!(violations, (0..result.violations.len()).collect::<Vec<_>>());
    for (place, violation) in result.violations.iter().enumerate() {
        prop_assert!(!result.violations[..place].contains(violation), "{:?} twice", violation);
    }
    let mut run = run.clone();
    run.rest_on(*attempt, evidence.clone());
    for Evidence { violation, events, .. } in evidence {
        prop_assert!(!events.is_empty() && events.is_sorted(), "{:?}", events);
        prop_assert_eq!(run.lines_of(*violation).len(), events.len(), "{:?}", events);
    }
    prop_assert!(result.published <= result.sent);
    Ok(())
}

fn lines(events: Vec<Event>) -> Vec<String> {
    History::of(events).lines()
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn mutilated_histories_are_judged(
        known in any::<Index>(),
        damages in vec(damage(), 1..8),
        queue_limit in proptest::option::of(0..4u32),
    ) {
        let mut lines = known.get(&KNOWN).clone();
        damages.iter().for_each(|damage| apply(damage, &mut lines));
        holds_together(vec![lines], queue_limit)?;
    }

    #[test]
    fn histories_of_random_events_are_judged(events in vec(any_event::event(), 0..30)) {
        holds_together(vec![lines(events)], None)?;
    }

    #[test]
    fn random_exchanges_are_judged(
        events in vec(prop_oneof![5 => exchange::event(), 1 => exchange::interruption()], 0..60),
        queue_limit in proptest::option::of(0..4u32),
    ) {
        holds_together(vec![lines(events)], queue_limit)?;
    }

    /// The same exchange in three attempts, as an absence needs it.
    #[test]
    fn mutilated_attempts_are_judged(known in any::<Index>(), damages in vec(damage(), 0..4), attempts in 1..4usize) {
        let mut lines = known.get(&KNOWN).clone();
        lines.retain(|line| !line.starts_with("attempt "));
        damages.iter().for_each(|damage| apply(damage, &mut lines));
        holds_together(vec![lines; attempts], None)?;
    }
}
