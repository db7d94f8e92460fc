//! The reference of the scenario file: it knows every step, key and word that the types know, and its examples run.

use std::collections::BTreeSet;
use std::fs;

use mqtt_sessions::plan::{self, Cell, Settings};
use mqtt_sessions::results::Verdict;
use mqtt_sessions::scenario::{Answers, Ending, FromAxis, Point, Scenario, Timer, Verb, keys};
use test_broker::Broker;
use test_broker::measured::measure_scenario;

fn page() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/scenario-format.md")).unwrap()
}

/// The text below a heading, up to the next one of any rank.
fn section(heading: &str) -> String {
    let page = page();
    let (_, behind) = page.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("there is no {heading}"));
    // In the examples `#` opens no heading: they have no comments.
    behind.split("\n#").next().unwrap().to_owned()
}

/// The keys to which a table of the section gives a row.
fn rows(section: &str) -> BTreeSet<&str> {
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" | "));
    rows.flat_map(|(cell, _)| cell.split(['`', ',', ' ']).filter(|key| !key.is_empty())).collect()
}

#[track_caller]
fn has_rows(heading: &str, keys: &[&str]) {
    let section = section(heading);
    let wanted: BTreeSet<&str> = keys.iter().copied().collect();
    assert_eq!(rows(&section), wanted, "{heading}");
}

#[test]
fn every_key_has_its_row_and_no_row_is_left_over() {
    has_rows("## The file", &keys::SCENARIO);
    has_rows("## Clients", &[&keys::CLIENT[..], &keys::CONNECT, &keys::WILL].concat());
    has_rows("## Lessons", &keys::LESSON);
    for verb in Verb::ALL {
        has_rows(&format!("### `{verb}`"), verb.keys());
    }
    assert!(section("## Steps").contains(&format!("`{}`", keys::WHEN)));
    assert!(keys::FILTER.iter().all(|key| Verb::Subscribe.keys().contains(key)));
}

#[test]
fn every_word_that_a_value_may_be_is_there() {
    for (heading, accepted) in [
        ("### `receive`", Answers::ACCEPTED),
        ("### `receive`", Point::ACCEPTED),
        ("### `cut`", mqtt_sessions::connection::End::ACCEPTED),
        ("### `wait`", Timer::ACCEPTED),
        ("### `restart`", Ending::ACCEPTED),
    ] {
        let section = section(heading);
        for word in accepted.split('"').skip(1).step_by(2) {
            assert!(section.contains(&format!("`\"{word}\"`")), "{heading}: {word}");
        }
    }
}

fn examples() -> Vec<Scenario> {
    let page = page();
    let fenced = page.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix("toml\n"));
    fenced.map(|text| Scenario::parse("example", text).unwrap_or_else(|why| panic!("{why}"))).collect()
}

#[test]
fn every_verb_and_every_key_has_an_example() {
    let page = page();
    let examples: String = page.split("```").skip(1).step_by(2).collect();
    for verb in Verb::ALL {
        for key in verb.keys().iter().chain([&verb.word()]) {
            let is_of_connect = verb == Verb::Connect || *key == "message";
            assert!(is_of_connect || examples.contains(&format!("{key} = ")), "{verb}: {key}");
        }
    }
}

fn planned(scenario: &Scenario) -> Vec<Cell> {
    plan::cells(scenario, Settings::of(3))
}

/// What the examples ask for is as the standard has it: a correct broker passes each of their cells.
#[test]
fn the_examples_run() {
    let examples = examples();
    assert!(examples.len() >= 8, "{}", examples.len());
    // To a broker inside this process nothing can happen.
    let is_played = |scenario: &&Scenario| planned(scenario).iter().all(|cell| cell.operations().next().is_none());
    for scenario in examples.iter().filter(is_played) {
        let planned = planned(scenario);
        let played = measure_scenario(&Broker::correct(), scenario);
        assert_eq!(played.len(), planned.len(), "{}", scenario.name);
        for cell in played {
            assert_eq!(cell.verdict, Verdict::Pass, "{}: {:?} {:?}", cell.id, cell.reason, cell.violations);
        }
    }
}
