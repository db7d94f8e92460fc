//! What the program says of each statement: the lies that break it, and built-in scenarios and cells in which they show.

use std::fmt::Write;

use mqtt_sessions::packet::Protocol;
use mqtt_sessions::scenario::Scenario;
use mqtt_sessions::statement::statements;

use crate::{Kills, LIES};
use test_broker::Defect;

/// How many cells are named for each lie.
const CELLS: usize = 3;

/// A line for each lie of a statement; see `src/statement/lies.rs`.
pub fn text(lies: &[Defect], kills: &[Kills]) -> String {
    let mut text = String::new();
    for protocol in Protocol::ALL {
        for statement in statements(protocol) {
            for (defect, kills) in lies.iter().zip(kills) {
                let Some(caught) = kills.get(&(protocol, statement.id)) else { continue };
                // What this lie breaks depends on which cell happens to be away.
                let is_steady = *defect != Defect::AdoptsSession;
                let built_in: Vec<&str> =
                    Scenario::usual_names().filter(|name| is_steady && caught.contains_key(*name)).collect();
                let cells: Vec<&str> = built_in.iter().take(CELLS).map(|name| caught[*name].as_str()).collect();
                let (name, description, id) = (defect.name(), defect.description(), statement.id);
                let scenarios = built_in.join(" ");
                let _ = writeln!(text, "{protocol}\t{id}\t{name}\t{description}\t{scenarios}\t{}", cells.join(" "));
            }
        }
    }
    text
}

/// A sentence for each statement that caught a lie against what the program says, or did not catch it. The lie was told at least in the
/// cells that the program names.
pub fn differ(defect: Defect, kills: &Kills) -> Vec<String> {
    let all = Protocol::ALL.into_iter().flat_map(statements);
    let differs = all.filter(|statement| {
        let is_said = statement.lies().iter().any(|lie| lie.name == defect.name());
        is_said != kills.contains_key(&(statement.protocol, statement.id)) && defect != Defect::AdoptsSession
    });
    let name = defect.name();
    let told = |protocol, id| {
        format!("{name} is otherwise caught by {protocol} {id} than {LIES} says; EVERY_CELL=1 tells more")
    };
    differs.map(|statement| told(statement.protocol, statement.id)).collect()
}

/// What the written file has otherwise than this run. In which further cells a lie shows may depend on the moment, so that
/// of the scenarios a line has to share one.
pub fn stale(written: &str, now: &str) -> Vec<String> {
    let parts = |line: &str| line.split('\t').map(str::to_owned).collect::<Vec<String>>();
    let agree = |one: &str, other: &str| {
        let (one, other) = (parts(one), parts(other));
        let shares = || one[4].split(' ').any(|scenario| other[4].split(' ').any(|there| there == scenario));
        one.len() == 6 && other.len() == 6 && one[..4] == other[..4] && shares()
    };
    let cure = format!("{LIES} is stale; BLESS=1 cargo test --test defects writes it anew");
    let (written, now): (Vec<&str>, Vec<&str>) = (written.lines().collect(), now.lines().collect());
    if written.len() != now.len() {
        return vec![cure];
    }
    let differ = written.iter().zip(&now).filter(|(written, now)| !agree(written, now));
    differ.map(|(written, now)| format!("{cure}: {written} is now {now}")).collect()
}
