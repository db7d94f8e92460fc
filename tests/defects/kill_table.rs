//! The kill table by statement.

use std::fmt::Write;

use mqtt_sessions::packet::Protocol;
use mqtt_sessions::results::Level;
use mqtt_sessions::statement::{Duty, statements};

use crate::{KILL_TABLE, Kills};
use test_broker::Defect;

/// Statements that the judge knows and no lie of the test broker breaks, with the reason. The list may only shrink.
const NOT_KILLED: [(Protocol, &str, &str); 0] = [];

/// What the written table has otherwise than this run. In which further scenarios a lie shows may depend on the moment,
/// so that of those a row has to share one.
pub fn stale(written: &str, now: &str) -> Vec<String> {
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
pub fn unkilled(kills: &[Kills]) -> Vec<String> {
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
pub fn text(lies: &[Defect], kills: &[Kills]) -> String {
    let mut text = String::from(KILL_TABLE_HEAD);
    for protocol in Protocol::ALL {
        let _ = write!(text, "\n## MQTT {protocol}\n\n{KILL_TABLE_COLUMNS}");
        for statement in statements(protocol).iter().filter(|statement| statement.duty == Duty::Judged) {
            let mut shown = (statement.id, statement.paraphrase);
            for (defect, kills) in lies.iter().zip(kills) {
                let Some(scenarios) = kills.get(&(protocol, statement.id)) else { continue };
                let (id, paraphrase) = std::mem::take(&mut shown);
                // What this lie breaks depends on which cell happens to be away.
                let scenarios = match defect {
                    Defect::AdoptsSession => "any".to_owned(),
                    _ => scenarios.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
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
(`tests/broker/`) tells at least one lie that breaks it, and here is what caught the lie. The table is generated:
`EVERY_CELL=1 cargo test --test defects` fails when it is stale. A lie is never caught by a statement that it does not break.
";

const KILL_TABLE_COLUMNS: &str = "| statement | what it demands | lie | caught in |\n|---|---|---|---|\n";

const UNSEEN_HEAD: &str = "
## What no client can see

A client that keeps to the standard cannot find these broken. The list may only shrink.

| version | statement | what it demands | why nobody sees it |
|---|---|---|---|
";
