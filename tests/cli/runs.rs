//! Runs that go well, and what they give.

use std::fs;

use mqtt_sessions::plan::{Settings, cells};
use mqtt_sessions::results::{Results, Verdict};
use mqtt_sessions::scenario::Scenario;

use crate::peers::{correct, serve, url};
use crate::program::{QUEUED, each_cell, matrix, program, run};
use test_broker::{Broker, Defect};

/// Steps of a user's own: a retained message meets a subscriber that comes later.
const MINE: &str = r#"
name = "mine"
question = "Does a subscriber get what was retained before it came?"
axes.protocol = ["3.1.1", "5.0"]
clients.subscriber = { protocol = "$protocol", clean_session = true }
clients.publisher = { protocol = "$protocol", clean_session = true }
steps = [
    { connect = "publisher" },
    { publish = "publisher", topic = "t", qos = 1, retain = true },
    { connect = "subscriber" },
    { subscribe = "subscriber", topic = "t", qos = 1 },
    { receive = "subscriber" },
]
"#;

#[test]
fn the_whole_matrix_against_the_correct_broker() {
    let ended = run(matrix(&correct(), &[]));
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("144 cells: 144 pass"), "{}", ended.stdout);
    assert!(ended.stderr.contains("checked that none of them is left"), "{}", ended.stderr);
}

#[test]
#[cfg(feature = "embedded")]
fn the_embedded_broker_is_the_default_and_the_first_line_says_so() {
    let ended = run(program([&["matrix"], &QUEUED[..]].concat()));
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let first = ended.stdout.lines().next().unwrap();
    assert!(first.contains("the embedded broker") && first.contains("--broker mqtt://HOST[:PORT]"), "{first}");
}

#[test]
fn list_prints_the_ids_and_runs_nothing() {
    let all = run(program(["list", "--cells"]));
    let settings = Settings::of(3);
    let cells = Scenario::usual_names().flat_map(|name| cells(&Scenario::load(name).unwrap(), settings));
    assert_eq!((all.code, all.stderr.as_str(), all.stdout.lines().count()), (Some(0), "", cells.count()));
    // Brokers may refuse by right what this one asks for, so it is not among all.
    assert!(!all.stdout.contains("long_backlog"));
    assert_eq!(run(program(["list", "long_backlog"])).stdout.lines().count(), 8);
    let lessons = run(program(["list", "tutorial"]));
    let (title, id) = ("test_1: A clean session, QoS 0\n", "tutorial[lesson=test_1,protocol=3.1.1]\n");
    assert!(lessons.stdout.starts_with(&format!("{title}  {id}")), "{}", lessons.stdout);
    assert!(run(program(["list", "tutorial", "--cells"])).stdout.starts_with(id));
    let some = run(program(["list", "matrix", "--filter", "protocol=5.0", "--filter", "publish_qos=1,2"]));
    assert_eq!((some.code, some.stdout.lines().count()), (Some(0), 48));
    assert!(some.stdout.lines().all(|id| id.starts_with("matrix[protocol=5.0,") && id.ends_with(']')));
    // Each line can be given back as a filter.
    let id = some.stdout.lines().next().unwrap();
    assert_eq!(run(program(["list", "--filter", id])).stdout, format!("{id}\n"));
}

#[test]
fn built_in_scenarios_and_files_run() {
    let backlog = run({
        let mut command = program(["run", "backlog", "--export-json", "-", "--broker"]);
        command.arg(correct());
        command
    });
    assert_eq!(backlog.code, Some(0), "{}", backlog.stderr);
    let results = backlog.results();
    assert!(results.cells.len() == 8 && results.cells.iter().all(|cell| cell.received.len() == 25));

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    fs::write(&path, MINE).unwrap();
    let mine = run({
        let mut command = program(["run", "--export-json", "-", "--broker", &correct()]);
        command.arg(&path);
        command
    });
    assert_eq!(mine.code, Some(0), "{}", mine.stderr);
    let ids: Vec<String> = mine.results().cells.into_iter().map(|cell| cell.id).collect();
    assert_eq!(ids, ["mine[protocol=3.1.1]", "mine[protocol=5.0]"]);
}

#[test]
fn each_repetition_counts_and_one_record_a_cell_stays() {
    let ended = run(matrix(&correct(), &[&QUEUED[..], &["--repeat", "3", "--export-json", "-"]].concat()));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.results().cells.len(), 2);
    assert!(ended.stderr.contains("6 sessions ended"), "{}", ended.stderr);
}

#[test]
fn more_messages_than_a_window_holds() {
    let cells = ["--filter", "clean_session=false", "--filter", "resubscribe=true", "--filter", "publish_qos=1,2"];
    let ended = run(matrix(&correct(), &[&cells[..], &["--messages", "25", "--export-json", "-"]].concat()));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let results = ended.results();
    assert_eq!((results.options.messages, results.summary.pass), (25, 24));
}

#[test]
fn what_is_stored_can_be_judged_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    let path = path.to_str().unwrap();
    for (histories, left) in [("all", false), ("unclear", true)] {
        run(matrix(&correct(), &[&QUEUED[..], &["--histories", histories, "--export-json", path]].concat()));
        let ended = run(program(["judge", path, "--export-json", "-"]));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(ended.results(), Results::load(path.as_ref()).unwrap());
        assert_eq!(ended.stderr.contains("2 cells have no history"), left, "{}", ended.stderr);
    }
}

#[test]
fn judged_again_a_broker_that_lies_has_the_verdicts_and_the_evidence_of_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    let path = path.to_str().unwrap();
    let broker = url(serve(&Broker::lying(Defect::QueuesNothing)));
    run(matrix(&broker, &[&QUEUED[..], &["--settle", "25ms", "--patience", "0s", "--export-json", path]].concat()));
    let ended = run(program(["judge", path, "--export-json", "-"]));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let judged = ended.results();
    assert_eq!(judged.summary.fail, 2);
    assert!(judged.run.cells.values().all(|run| !run.evidence.is_empty() && !run.names.is_empty()));
    assert_eq!(judged, Results::load(path.as_ref()).unwrap());
}

#[test]
fn two_runs_differ_only_under_run() {
    let broker = correct();
    let results = |_| {
        let arguments =
            ["--filter", "clean_session=false", "--filter", "retain=true", "--histories", "all", "--export-json", "-"];
        let mut results: serde_json::Value = serde_json::from_str(&run(matrix(&broker, &arguments)).stdout).unwrap();
        assert!(results.as_object_mut().is_some_and(|results| results.remove("run").is_some()));
        serde_json::to_string_pretty(&results).unwrap()
    };
    let [first, second] = [0, 1].map(results);
    let differing = first.lines().zip(second.lines()).find(|(one, other)| one != other);
    assert!(first == second, "the results differ outside `run`: {differing:?}");
}

/// DUP 1 on a first copy counts only if it comes again with a pause.
#[test]
fn one_attempt_is_no_proof_of_what_has_to_be_asked_again() {
    let lying = url(serve(&Broker::lying(Defect::DupOnFirst)));
    for (attempts, verdict) in [("3", Verdict::Fail), ("1", Verdict::Inconclusive)] {
        let arguments = ["--attempts", attempts, "--histories", "all", "--export-json", "-"];
        let results = run(matrix(&lying, &[&QUEUED[..], &arguments].concat())).results();
        each_cell(&results, |_| verdict);
        assert!(results.run.cells.values().all(|run| (run.attempts.len() == 1) == (attempts == "1")));
    }
}

/// What many messages under way at once cost is no queue limit, and one that is guessed from it would be declared for nothing.
#[test]
fn a_queue_limit_is_guessed_only_where_few_messages_are_under_way() {
    let losing = url(serve(&Broker::lying(Defect::LosesLast)));
    for (scenario, is_guessed) in [("publish_window", false), ("backlog", true)] {
        let arguments =
            ["run", scenario, "--broker", &losing, "--filter=protocol=3.1.1", "--patience=100ms", "--export-json=-"];
        let cells = run(program(arguments)).results().cells;
        let observed: Vec<&str> =
            cells.iter().flat_map(|cell| &cell.violations).map(|own| own.observed.as_str()).collect();
        assert!(observed.iter().any(|text| text.contains("missing")), "{scenario}: {observed:?}");
        assert_eq!(
            observed.iter().any(|text| text.contains("looks like a queue limit")),
            is_guessed,
            "{scenario}: {observed:?}"
        );
    }
}
