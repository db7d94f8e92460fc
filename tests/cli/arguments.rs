//! Mistakes on the command line and in scenario files: known before anything is measured.

use std::fs;
use std::path::Path;

use crate::peers::Untouched;
use crate::program::{Ended, matrix, program, run};

/// Runs the matrix with these arguments against a broker that must not be touched.
fn refused(arguments: &[&str]) -> Ended {
    let broker = Untouched::new();
    let ended = run(matrix(&broker.url(), arguments));
    broker.assert_untouched();
    ended
}

#[test]
fn a_filter_that_selects_nothing() {
    let excluding = ["--filter", "publish_qos=1", "--filter", "publish_qos=2"];
    refused(&excluding).gave_up(4, &["no cell is selected", "`mqtt-sessions list --cells` prints all cells"]);
    let ended = refused(&["--filter", "matrix[protocol=3.1.1]"]);
    ended.gave_up(4, &["no cell is selected"]);
    assert!(!ended.stderr.contains("did you mean"), "{}", ended.stderr);
    let id = "matrix[protocol=5.0,clean_session=true,publish_qos=1,subscribe_qos=1,retain=false,resubscribe=false]";
    let slip = id.replace("clean_session=true", "clean_sesion=true");
    refused(&["--filter", &slip]).gave_up(4, &["no cell is selected", &format!("did you mean '{id}'?")]);
    run(program([&["list"], &excluding[..]].concat())).gave_up(4, &["no cell is selected"]);
}

#[test]
fn a_url_where_a_scenario_is_expected() {
    let url = "mqtt://me:secret@127.0.0.1:1883";
    for command in [&["run", "matrix", url][..], &["run", url], &["list", url], &["explain", url]] {
        let ended = run(program(command));
        ended.gave_up(2, &["mqtt://***@127.0.0.1:1883: ", "a broker is given with --broker URL"]);
        assert!(!ended.stderr.contains("secret"), "{}", ended.stderr);
    }
}

#[test]
fn a_filter_that_makes_no_sense() {
    refused(&["--filter", "qos=1"]).gave_up(2, &["--filter qos=1", "no cell has an axis \"qos\"", "publish_qos"]);
    refused(&["--filter", "retian=true"]).gave_up(2, &["did you mean \"retain\"?"]);
    refused(&["--filter", "retain=ture"]).gave_up(2, &["did you mean \"true\"?); there are true, false"]);
    refused(&["--filter", "publish_qos=3"]).gave_up(2, &["no cell has \"3\"", "there are 0, 1, 2"]);
    refused(&["--filter", "publish_qos"]).gave_up(2, &["neither a cell's id", "axis=value"]);
}

#[test]
fn a_url_that_is_none() {
    let cases = [
        ("http://localhost", "the scheme http is not supported"),
        ("mqtt://", "it has no host"),
        ("mqtt://localhost/topic", "nothing may follow the port"),
        ("unix:", "it has no path"),
    ];
    // What is no port may be a password.
    run(matrix("mqtt://localhost:99999", &[])).gave_up(2, &["--broker mqtt://***", "port", "write mqtt://"]);
    for (url, why) in cases {
        run(matrix(url, &[])).gave_up(2, &[why, url, "write mqtt://[USER[:PASSWORD]@]HOST[:PORT], or embedded"]);
    }
}

#[test]
fn a_prefix_that_cannot_stand_in_names() {
    refused(&["--prefix", "a/b"]).gave_up(2, &["\"a/b\" cannot begin a client id", "without + and #, nor /"]);
    refused(&["--topic-prefix", "a/#"]).gave_up(2, &["\"a/#\" cannot begin a topic", "without + and #"]);
    refused(&["--topic-prefix", "$SYS/a"]).gave_up(2, &["\"$SYS/a\" cannot begin a topic", "the broker's own"]);
    refused(&["--topic-prefix", "/"]).gave_up(2, &["\"\" cannot begin a topic", "1 to 128 bytes"]);
}

#[test]
fn a_password_without_a_user() {
    refused(&["--password", "s3cret"]).gave_up(2, &["a password is given, but no user name", "--username"]);
}

#[test]
fn numbers_and_times_out_of_range() {
    let cases = [
        ["--jobs", "0"],
        ["--messages", "0"],
        ["--repeat", "0"],
        ["--queue-limit", "0"],
        ["--deadline", "5"],
        ["--deadline", "0s"],
        ["--connect-timeout", "2h"],
        ["--settle", "forever"],
        ["--histories", "some"],
        ["--color", "red"],
    ];
    for arguments in cases {
        let ended = refused(&arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        ended.complained(&[arguments[0]]);
    }
}

#[test]
fn a_scenario_that_is_not_there() {
    let ended = run(program(["run", "nosuch"]));
    ended.gave_up(2, &["nosuch: it cannot be read", "a built-in scenario: matrix, tutorial, backlog"]);
}

#[test]
fn the_same_cells_twice() {
    run(program(["run", "backlog", "backlog"])).gave_up(2, &["the cell backlog[", "give scenarios different names"]);
}

/// A mistake of each kind, made in a scenario that is right without it, and what is said about it.
const MISTAKES: [(&str, &str, usize, &str); 8] = [
    ("axes.publish_qos = [1, 2]", "axes.publish_qos = [1, 2", 10, "not valid TOML"),
    ("name = \"backlog\"", "name = \"Back Log\"", 4, "cannot name the scenario"),
    ("question = ", "qestion = ", 5, "qestion"),
    ("axes.publish_qos = [1, 2]", "axes.publish_qos = [1, 3]", 22, "that axis holds 3; it takes 0, 1 or 2"),
    (
        "axes.protocol = [\"3.1.1\", \"5.0\"]",
        "axes.protocol = [\"3.1\"]",
        13,
        "that axis holds 3.1; it takes \"3.1.1\" or \"5.0\"",
    ),
    ("{ connect = \"publisher\" }", "{ connect = \"publsher\" }", 18, "publsher"),
    ("messages = 25", "mesages = 25", 22, "mesages"),
    ("{ receive = \"subscriber\" }", "{ recieve = \"subscriber\" }", 25, "recieve"),
];

#[test]
fn a_mistake_in_a_scenario_file() {
    let right = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/backlog.toml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    for (before, after, line, phrase) in MISTAKES {
        assert!(right.contains(before), "{before}");
        fs::write(&path, right.replacen(before, after, 1)).unwrap();
        let broker = Untouched::new();
        let place = format!("mine.toml:{line}: ");
        run(run_file(&path, &broker.url())).gave_up(2, &[&place, phrase]);
        broker.assert_untouched();
    }
}

#[test]
fn a_scenario_file_that_is_no_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    fs::write(&path, [0xff, 0xfe, 0]).unwrap();
    run(run_file(&path, "embedded")).gave_up(2, &["mine.toml: it cannot be read"]);
    run(run_file(folder.path(), "embedded")).gave_up(2, &["it cannot be read", "name a file"]);
    fs::write(&path, "").unwrap();
    run(run_file(&path, "embedded")).gave_up(2, &["mine.toml:1: "]);
}

fn run_file(path: &Path, broker: &str) -> std::process::Command {
    let mut command = program(["run"]);
    command.arg(path).args(["--broker", broker]);
    command
}

/// A scenario with 18 cells for each number of messages.
fn many_cells(name: &str, numbers: usize) -> String {
    let numbers: Vec<String> = (1..=numbers).map(|number| number.to_string()).collect();
    format!(
        r#"
        name = "{name}"
        question = "How many cells?"
        axes.protocol = ["3.1.1", "5.0"]
        axes.publish_qos = [0, 1, 2]
        axes.subscribe_qos = [0, 1, 2]
        axes.messages = [{}]
        clients.a = {{ protocol = "$protocol", clean_session = true }}
        steps = [
            {{ connect = "a" }},
            {{ subscribe = "a", qos = "$subscribe_qos" }},
            {{ publish = "a", qos = "$publish_qos", messages = "$messages" }},
            {{ receive = "a" }},
        ]
        "#,
        numbers.join(", ")
    )
}

#[test]
fn more_than_can_be_run() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, numbers| {
        let path = folder.path().join(name);
        fs::write(&path, many_cells(name, numbers)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let many = ["one", "two", "three"].map(|name| file(name, 4_444));
    let started = std::time::Instant::now();
    let listed = run(program(["list", &many[0], &many[1]]));
    assert_eq!((listed.code, listed.stdout.lines().count()), (Some(0), 2 * 79_992), "{}", listed.stderr);
    // A search of each cell among all others takes minutes.
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
    let broker = Untouched::new();
    let at = ["--broker", &broker.url()];
    run(program([&["run"], &many.each_ref().map(String::as_str)[..], &at].concat()))
        .gave_up(2, &[&many[2], "239976 cells", "200000 at most", "name fewer scenarios"]);
    let too_often = ["--repeat 1000000 of", "200000 at most", "give a lower --repeat, or select fewer cells"];
    refused(&["--repeat", "1000000"]).gave_up(2, &too_often);
    run(program([&["clean", "--prefix", "p", "--repeat", "1000000"], &at[..]].concat())).gave_up(2, &too_often);
    run(program([&["run", &many[0], "--repeat", "3"], &at[..]].concat())).gave_up(2, &["239976 runs"]);
    broker.assert_untouched();
}
