//! `explore`: random experiments against a broker.

use std::collections::HashSet;
use std::fs;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use mqtt_sessions::packet::Packet;

use crate::peers::{assert_nothing_left, serve, url};
use crate::program::{end_of, program, run, signal};
use crate::proxy::{Fate, proxy};
use test_broker::{Broker, Choices, Defect};

/// A lie that many experiments show, each of them at once.
const LIE: Defect = Defect::DupOnQos0;
/// Waits that are long enough for a broker in the same machine.
const SHORT: [&str; 5] = ["--no-timers", "--deadline", "2s", "--settle", "20ms"];

fn explore(broker: &Broker, arguments: &[&str]) -> std::process::Command {
    let mut command = program(["explore", "--broker", &url(serve(broker))]);
    command.args(SHORT).args(arguments);
    command
}

#[test]
fn what_fails_is_shrunk_and_saved_as_a_scenario_that_fails_too() {
    let folder = tempfile::tempdir().unwrap();
    let found = folder.path().join("found");
    let broker = Broker::lying(LIE);
    let ended = run(explore(&broker, &["--seed", "1", "--cases", "12", "--save", found.to_str().unwrap()]));
    assert_eq!(ended.code, Some(1), "{}\n{}", ended.stdout, ended.stderr);
    assert_nothing_left(&broker);
    let dup = "MQTT-3.3.1-2";
    assert!(ended.stdout.contains("✗ fail in") && ended.stdout.contains(dup), "{}", ended.stdout);
    let saved = fs::read_dir(&found).unwrap().map(|entry| entry.unwrap().path());
    let file = saved.filter(|file| fs::read_to_string(file).unwrap().contains(dup)).min().unwrap();
    let file = file.to_str().unwrap();
    assert!(ended.stdout.contains(&format!("mqtt-sessions run {file} --broker")), "{}", ended.stdout);
    let again = run(program(["run", file, "--broker", &url(serve(&Broker::lying(LIE)))]));
    assert_eq!(again.code, Some(1), "{file}: {}", again.stdout);
    assert!(again.stdout.contains(dup), "{file}: {}", again.stdout);
}

#[test]
fn the_seed_of_a_finding_repeats_it() {
    let ended = run(explore(&Broker::lying(LIE), &["--seed", "1", "--cases", "12", "--protocol", "3.1.1"]));
    let line = ended.stdout.lines().find(|line| line.contains("Repeat with")).expect(&ended.stdout);
    let (_, command) = line.split_once("mqtt-sessions explore ").expect(line);
    let (arguments, _) = command.split_once(" --broker").expect(line);
    assert!(arguments.contains("--cases 1 --protocol 3.1.1 --no-timers"), "{arguments}");
    let arguments: Vec<&str> = arguments.split(' ').filter(|argument| *argument != "--no-timers").collect();
    let again = run(explore(&Broker::lying(LIE), &arguments));
    assert_eq!(again.code, Some(1), "{}", again.stdout);
    assert!(again.stdout.contains("1 experiment in"), "{}", again.stdout);
}

/// Every second experiment would be one of 5.0, and show nothing.
#[test]
fn a_broker_without_5_0_gets_experiments_of_3_1_1() {
    let broker = || Broker::new(Choices { refuse_v5: true, ..Choices::default() }, Some(LIE));
    let ended = run(explore(&broker(), &["--seed", "1", "--cases", "24"]));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(!ended.stdout.contains("unsupported"), "{}", ended.stdout);
    assert!(ended.stdout.contains(" --protocol 3.1.1 "), "{}", ended.stdout);
    let alone = " 3.1.1 alone, so the experiments have clients of that version";
    assert!(ended.stderr.contains(alone), "{}", ended.stderr);
}

#[test]
fn an_interruption_leaves_nothing_behind() {
    let broker = Broker::correct();
    let mut child = explore(&broker, &["--time", "1h"]).spawn().unwrap();
    // The witness comes first.
    while broker.sessions().len() < 10 {
        thread::sleep(Duration::from_millis(5));
    }
    signal(&child, "INT");
    assert_eq!(end_of(&mut child).code(), Some(130));
    assert_nothing_left(&broker);
}

/// The arguments of a search whose first experiment hangs for an hour, and the client ids of all experiments.
fn hanging(broker: &Broker) -> (Vec<String>, Receiver<String>) {
    let (told, ids) = mpsc::channel();
    let told = Mutex::new((told, false));
    let url = proxy(broker, move |_, packet| {
        let Packet::Connect(connect) = packet else { return Fate::Pass };
        if ["probe", "rights", "witness", "cleaner", "looker"].iter().any(|helper| connect.client_id.contains(helper)) {
            return Fate::Pass;
        }
        let (told, hangs) = &mut *told.lock().unwrap();
        // The test may have seen enough.
        let _ = told.send(connect.client_id.clone());
        if std::mem::replace(hangs, true) { Fate::Pass } else { Fate::Swallow }
    });
    let arguments = ["explore", "--broker", &url, "--connect-timeout=1h", "--seed=1"];
    (arguments.iter().chain(&SHORT).map(|argument| (*argument).to_owned()).collect(), ids)
}

#[test]
fn an_experiment_that_hangs_holds_up_no_other_batch_than_its_own() {
    let broker = Broker::correct();
    let (arguments, ids) = hanging(&broker);
    let mut child = program(arguments).args(["--time=1h", "--jobs=64"]).spawn().unwrap();
    let mut experiments = HashSet::new();
    // More than are begun side by side, and more than the first batches have.
    while experiments.len() <= 300 {
        let id = ids.recv_timeout(Duration::from_secs(30)).expect("the search goes on");
        experiments.insert(id[id.len() - 11..id.len() - 1].to_owned());
    }
    signal(&child, "INT");
    assert_eq!(end_of(&mut child).code(), Some(130));
    assert_nothing_left(&broker);
}

#[test]
fn what_is_under_way_when_the_time_is_over_is_cut_short() {
    let broker = Broker::lying(LIE);
    let (arguments, _ids) = hanging(&broker);
    let mut search = program(arguments);
    search.args(["--time=3s", "--prefix=mine"]);
    let ended = run(search);
    assert!(ended.stdout.contains("experiments in"), "{}\n{}", ended.stdout, ended.stderr);
    // What follows is no neighbour of what was cut short.
    assert!(!ended.stderr.contains("somebody else"), "{}", ended.stderr);
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
