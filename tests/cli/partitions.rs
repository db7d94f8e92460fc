//! Parts of a run: together they are the whole run, side by side on one broker, and `merge` takes nothing else.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};

use mqtt_sessions::results::{Results, Run};
use serde_json::Value;
use tempfile::TempDir;

use crate::peers::{assert_nothing_left, serve, url};
use crate::program::{Ended, end_of, program, run};
use test_broker::{Broker, Defect};

const PARTS: u32 = 3;
const CELLS: [&str; 4] = ["run", "backlog", "qos2", "--patience=100ms"];

/// The file of a part.
fn file(folder: &TempDir, part: u32) -> String {
    folder.path().join(format!("{part}.json")).display().to_string()
}

/// A run of one part, with names that all parts share.
fn part(broker: &str, folder: &TempDir, part: u32, more: &[&str]) -> Command {
    let mut command = program(CELLS);
    command.args(["--broker", broker, &format!("--partition=hash:{part}/{PARTS}"), "--export-json"]);
    command.arg(file(folder, part)).args(more);
    command
}

/// Runs all parts side by side.
fn all_parts(broker: &str, folder: &TempDir, more: &[&str]) {
    let start = |number| part(broker, folder, number, more).spawn().unwrap();
    let children: Vec<Child> = (1..=PARTS).map(start).collect();
    for mut child in children {
        assert!(matches!(end_of(&mut child).code(), Some(0 | 1)));
    }
}

fn merge(files: &[String]) -> Ended {
    run(program([&["merge".to_owned(), "--export-json=-".to_owned()], files].concat()))
}

fn files(folder: &TempDir) -> Vec<String> {
    (1..=PARTS).map(|part| file(folder, part)).collect()
}

/// What stands outside of `run`.
fn without_run(results: &Results) -> Value {
    let mut value = serde_json::to_value(results).unwrap();
    value.as_object_mut().unwrap().remove("run");
    value
}

#[test]
fn the_parts_of_a_run_are_the_whole_run() {
    for broker in [Broker::correct(), Broker::lying(Defect::named("queues-nothing").unwrap())] {
        let folder = tempfile::tempdir().unwrap();
        let url = url(serve(&broker));
        all_parts(&url, &folder, &["--prefix=shared"]);
        assert_nothing_left(&broker);
        let merged = merge(&files(&folder));
        let whole = run({
            let mut whole = program(CELLS);
            whole.args(["--broker", &url, "--export-json=-"]);
            whole
        });
        assert_eq!(merged.code, whole.code, "{}", merged.stderr);
        let (merged, whole) = (merged.results(), whole.results());
        for (one, other) in merged.cells.iter().zip(&whole.cells) {
            assert_eq!(format!("{one:?}"), format!("{other:?}"));
        }
        assert_eq!(without_run(&merged), without_run(&whole));
        assert!(merged.cells.len() > 10);
        let Run { planned, complete, partition, prefix, .. } = &merged.run;
        assert_eq!((*planned, *complete, partition.is_none()), (whole.run.planned, true, true));
        assert_eq!(prefix, "sharedp1p sharedp2p sharedp3p");
        assert_eq!(merged.run.cells.keys().collect::<Vec<_>>(), whole.run.cells.keys().collect::<Vec<_>>());
    }
}

#[test]
fn a_part_says_which_it_is_and_an_empty_one_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let url = url(serve(&Broker::correct()));
    let one = "--filter=protocol=5.0,publish_qos=1,subscribe_qos=1,retain=false,resubscribe=false,clean_session=true";
    let filters: Vec<String> =
        one.trim_start_matches("--filter=").split(',').map(|axis| format!("--filter={axis}")).collect();
    let mut cells = 0;
    let mut parts = Vec::new();
    for part in 1..=2 {
        let path = file(&folder, part);
        let ended = run({
            let mut command = program(["matrix", "--broker", &url, "--export-json", &path]);
            command.args(&filters).arg(format!("--partition=hash:{part}/2"));
            command
        });
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let results = Results::load(Path::new(&path)).unwrap();
        let part_of_run = results.run.partition.clone().unwrap();
        assert_eq!((part_of_run.partition.part, part_of_run.partition.of, part_of_run.cells), (part, 2, 1));
        assert!(
            ended.stderr.contains(&format!("part {part} of 2: {} of 1 cells", results.cells.len())),
            "{}",
            ended.stderr
        );
        cells += results.cells.len();
        parts.push(path);
    }
    assert_eq!(cells, 1);
    assert_eq!(merge(&parts).results().summary.pass, 1);
}

#[test]
fn what_is_not_all_parts_of_one_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let url = url(serve(&Broker::correct()));
    all_parts(&url, &folder, &[]);
    let files = files(&folder);
    let [first, second, third] = &files[..] else { unreachable!() };
    merge(std::slice::from_ref(first)).gave_up(2, &["of 3 parts there is no 2, 3; give their files too"]);
    merge(&[first.clone(), second.clone(), first.clone(), third.clone()])
        .gave_up(2, &[first, "are both part 1; give each part once"]);
    let changed = |change: &dyn Fn(&mut Results)| {
        let mut results = Results::load(Path::new(second)).unwrap();
        change(&mut results);
        let path = folder.path().join("changed.json").display().to_string();
        fs::write(&path, results.to_json()).unwrap();
        merge(&[first.clone(), path, third.clone()])
    };
    let of_run = |results: &mut Results, of, digest: &str| {
        let part = results.run.partition.as_mut().unwrap();
        part.partition.of = of;
        part.digest += digest;
    };
    for (ended, phrase) in [
        (changed(&|results| results.run.partition = None), "is no part of a run; give files of runs with --partition"),
        (
            changed(&|results| results.tool.version = "9.9.9".into()),
            "of different runs: mqtt-sessions is 0.1.0, and 9.9.9",
        ),
        (changed(&|results| of_run(results, 4, "")), "the number of parts is 3, and 4; give the parts of one run"),
        (changed(&|results| of_run(results, 3, "0")), "of different runs: the scenarios, or --filter"),
        (
            changed(&|results| results.broker.version = Some("7".into())),
            "of different runs: the broker is test broker 1.0 url, and test broker 7 url",
        ),
        (
            changed(&|results| results.options.messages = 4),
            "--messages, --queue-limit, or what the broker's file declares",
        ),
        (
            changed(&|results| results.run.kept = mqtt_sessions::results::Kept::Examples),
            "of different runs: --histories",
        ),
    ] {
        ended.gave_up(2, &[phrase]);
    }
    let broken = changed(&|results| results.run.helpers.histories.push(vec!["no line".into()]));
    broken.gave_up(2, &["measure again with --histories all"]);
}

#[test]
fn a_part_that_was_cut_short_leaves_the_run_cut_short() {
    let folder = tempfile::tempdir().unwrap();
    all_parts(&url(serve(&Broker::correct())), &folder, &[]);
    let path = file(&folder, 2);
    let mut results = Results::load(Path::new(&path)).unwrap();
    let gone = results.cells.pop().unwrap();
    results.run.cells.remove(&gone.id);
    results.run.complete = false;
    fs::write(&path, results.to_json()).unwrap();
    let merged = merge(&files(&folder));
    assert_eq!(merged.code, Some(3), "{}", merged.stderr);
    let results = merged.results();
    assert_eq!(results.cells.len() + 1, results.run.planned as usize);
    assert!(!results.run.complete && results.run.cut_short.is_some());
}

#[test]
fn list_shows_the_cells_of_a_part() {
    let list = |arguments: &[&str]| {
        let ended = run(program([&["list", "--cells"], arguments].concat()));
        assert_eq!(ended.code, Some(0));
        ended.stdout.lines().map(String::from).collect::<Vec<_>>()
    };
    let all = list(&[]);
    let mut parts: Vec<String> = (1..=8).flat_map(|part| list(&[&format!("--partition=hash:{part}/8")])).collect();
    assert_eq!(parts.len(), all.len());
    let mut sorted = all.clone();
    sorted.sort_unstable();
    parts.sort_unstable();
    assert_eq!(parts, sorted);
    let ended = run({
        let mut list = program(["list", "--cells", "--partition=auto"]);
        list.env("SLURM_ARRAY_TASK_ID", "0").env("SLURM_ARRAY_TASK_COUNT", "1").env("SLURM_ARRAY_TASK_MIN", "0");
        for name in ["CI_NODE_INDEX", "JOB_COMPLETION_INDEX"] {
            list.env_remove(name);
        }
        list
    });
    assert_eq!(ended.stdout.lines().collect::<Vec<_>>(), all);
}

#[test]
fn the_parts_of_a_search_are_the_whole_search() {
    let broker = Broker::correct();
    let url = url(serve(&broker));
    let explore = |arguments: &[&str]| {
        let fixed = ["explore", "--broker", &url, "--no-timers", "--settle=20ms", "--prefix=search"];
        run(program([&fixed, arguments].concat()))
    };
    let mut experiments = 0;
    for part in 1..=PARTS {
        let ended = explore(&["--seed=7", "--cases=20", &format!("--partition=hash:{part}/{PARTS}")]);
        assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
        assert!(ended.stderr.contains(&format!("seed 7, part {part} of 3, prefix searchp{part}p")), "{}", ended.stderr);
        let said = ended.stdout.split(" experiment").next().and_then(|text| text.split_whitespace().last());
        experiments += said.and_then(|count| count.parse::<u32>().ok()).unwrap_or_else(|| panic!("{}", ended.stdout));
    }
    assert_eq!(experiments, 20);
    assert_nothing_left(&broker);
    let slip = explore(&["--partition=hash:9/8"]);
    assert!(
        slip.code == Some(2) && slip.stderr.contains("there is no part 9 of 8; parts are counted from 1"),
        "{slip:?}"
    );
    explore(&["--partition=hash:1/2"])
        .gave_up(2, &["part 1 of 2 of a search needs the seed of all parts; give each the same --seed S"]);
}
