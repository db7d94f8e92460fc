//! `explore`: random experiments against a broker.

use std::fs;
use std::io::BufReader;

use crate::peers::{assert_nothing_left, serve, url};
use crate::program::{end_of, program, run, signal, wait_for_line};
use crate::support::broker::{Broker, Defect};

/// A lie that many experiments show.
const LIE: Defect = Defect::KeepsCleanSession;

fn explore(broker: &Broker, arguments: &[&str]) -> std::process::Command {
    let mut command = program(["explore", "--broker", &url(serve(broker)), "--no-timers"]);
    command.args(arguments);
    command
}

#[test]
fn what_fails_is_shrunk_and_saved_as_a_scenario_that_fails_too() {
    let folder = tempfile::tempdir().unwrap();
    let found = folder.path().join("found");
    let broker = Broker::lying(LIE);
    let ended = run(explore(&broker, &["--seed", "1", "--cases", "40", "--save", found.to_str().unwrap()]));
    assert_eq!(ended.code, Some(1), "{}\n{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("✗ fail in") && ended.stdout.contains("Simplest"), "{}", ended.stdout);
    assert_nothing_left(&broker);
    let files: Vec<_> = fs::read_dir(&found).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty(), "{}", ended.stdout);
    for file in files {
        let file = file.to_str().unwrap();
        assert!(ended.stdout.contains(&format!("mqtt-sessions run {file} --broker")), "{}", ended.stdout);
        let again = run(program(["run", file, "--broker", &url(serve(&Broker::lying(LIE)))]));
        assert_eq!(again.code, Some(1), "{file}: {}", again.stdout);
    }
}

#[test]
fn a_seed_repeats_its_experiments() {
    let found = |seed: &str| {
        let ended = run(explore(&Broker::lying(LIE), &["--seed", seed, "--cases", "40", "--protocol", "3.1.1"]));
        // How long it took is different each time.
        let lines = ended.stdout.lines().filter(|line| !line.contains(" a second") && !line.contains("mqtt://"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(found("1"), found("1"));
    assert_ne!(found("1"), found("1000"));
}

#[test]
fn an_interruption_leaves_nothing_behind() {
    let broker = Broker::lying(LIE);
    let mut child = explore(&broker, &["--seed", "1", "--time", "1h"]).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    wait_for_line(&mut stderr, "fails: ");
    signal(&child, "INT");
    assert_eq!(end_of(&mut child).code(), Some(130));
    assert_nothing_left(&broker);
}

#[test]
fn a_mistake_on_the_command_line_is_told_before_the_broker_is_reached() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    run(program(["explore", "--save", path])).gave_up(2, &["cannot make the folder", path, "--save"]);
    for arguments in [["--cases", "0"], ["--protocol", "4"], ["--time", "long"], ["--seed", "x"]] {
        let ended = run(program(["explore"].iter().chain(&arguments)));
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
        ended.complained(&[arguments[0], arguments[1]]);
    }
}
