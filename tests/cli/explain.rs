//! One cell, explained: what is typed, what is printed, and what is refused.

use std::fs;

use crate::peers::{Untouched, correct};
use crate::program::{Ended, matrix, program, run};

const CELL: &str =
    "matrix[protocol=3.1.1,clean_session=false,publish_qos=1,subscribe_qos=1,retain=false,resubscribe=false]";

fn explain(arguments: &[&str]) -> Ended {
    run(program([&["explain"], arguments].concat()))
}

#[test]
fn a_cell_is_run_and_explained() {
    let broker = correct();
    let ended = explain(&[CELL, "--broker", &broker, "--messages", "2"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(
        ended.stdout.starts_with(&format!("Measured: test broker 1.0 at {broker}\n\n{CELL}\n")),
        "{}",
        ended.stdout
    );
    for phrase in ["1 connect subscriber", "owes    m2", "met     m2", "pass: as the standard orders"] {
        assert!(ended.stdout.contains(phrase), "\"{phrase}\" is missing in:\n{}", ended.stdout);
    }
    let command = format!("mqtt-sessions explain '{CELL}' --broker {broker} --messages 2\n");
    assert!(ended.stdout.ends_with(&command), "{}", ended.stdout);
    assert!(!ended.stdout.contains('\u{1b}'), "colours where no terminal is");
    assert!(ended.stderr.contains("checked that none of them is left"), "{}", ended.stderr);
}

#[test]
fn an_id_that_does_not_exist() {
    let broker = Untouched::new();
    let slip = CELL.replace("protocol=3.1.1", "protcol=3.1.1");
    let ambiguous = CELL.replace("publish_qos=1", "publish_qos=3");
    let cases: [(&str, &[&str]); 5] = [
        (&slip, &["there is no such cell", &format!("did you mean '{CELL}'?"), "`mqtt-sessions list matrix`"]),
        (&ambiguous, &["there is no such cell", "`mqtt-sessions list matrix`"]),
        ("matrix", &["there is no such cell", "`mqtt-sessions list matrix`"]),
        (
            "mine[protocol=5.0]",
            &["no built-in scenario has the name \"mine\"", "`mqtt-sessions list`", "--scenario FILE"],
        ),
        ("mine", &["no built-in scenario has the name \"mine\""]),
    ];
    for (id, phrases) in cases {
        let ended = explain(&[id, "--broker", &broker.url()]);
        ended.gave_up(2, phrases);
        assert_eq!(ended.stderr.contains("did you mean"), id == slip, "{}", ended.stderr);
    }
    broker.assert_untouched();
}

#[test]
fn a_scenario_that_does_not_exist() {
    explain(&["matirx[protocol=5.0]"]).gave_up(2, &["no built-in scenario", "did you mean \"matrix\"?"]);
    let broker = Untouched::new();
    let ended = run(program(["run", "retaind", "--broker", &broker.url()]));
    ended.gave_up(2, &["retaind: it cannot be read", "did you mean \"retained\"?", "a built-in scenario: matrix, "]);
    broker.assert_untouched();
}

#[test]
fn a_stored_history_needs_no_broker() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    let path = path.to_str().unwrap();
    let broker = Untouched::new();
    for (histories, kept) in [("all", true), ("unclear", false)] {
        run(matrix(&correct(), &["--filter", CELL, "--histories", histories, "--export-json", path]));
        let ended = explain(&[CELL, "--results", path, "--broker", &broker.url()]);
        match kept {
            true => {
                assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
                assert!(ended.stdout.contains("met     m3"), "{}", ended.stdout);
            }
            false => ended.gave_up(2, &[CELL, "was not kept", "--histories all"]),
        }
    }
    explain(&["matrix[x=1]", "--results", path]).gave_up(2, &["there is no such cell", "`mqtt-sessions list matrix`"]);
    broker.assert_untouched();
}

#[test]
fn a_cell_as_a_scenario_runs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    let written = explain(&[CELL, "--as-scenario", "--messages", "2"]);
    assert_eq!((written.code, written.stderr.as_str()), (Some(0), ""));
    assert!(written.stdout.starts_with(&format!("# {CELL}\n")), "{}", written.stdout);
    fs::write(&path, &written.stdout).unwrap();
    let path = path.to_str().unwrap();

    let ended = run(program(["run", path, "--export-json", "-", "--broker", &correct()]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let results = ended.results();
    assert_eq!((results.cells[0].id.as_str(), results.cells[0].received.len()), ("matrix[]", 2));

    let again = explain(&["matrix[]", "--scenario", path, "--broker", &correct()]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert!(again.stdout.contains(&format!("explain 'matrix[]' --scenario {path}")), "{}", again.stdout);
}

#[test]
#[cfg(feature = "embedded")]
fn a_cell_as_a_scenario_is_piped_into_run() {
    use std::io::Write;
    use std::process::Stdio;

    let written = explain(&[CELL, "--as-scenario"]);
    let mut command = program(["run", "/dev/stdin"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(written.stdout.as_bytes()).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
    assert!(String::from_utf8_lossy(&ended.stdout).contains("1 cell: 1 pass"));
}
