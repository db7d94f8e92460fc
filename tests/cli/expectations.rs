//! `--expect`, `--accept` and `--fail-on`: what is known decides no exit code, and other changes do where that is asked for.

use std::fs;

use crate::peers::{serve, url};
use crate::program::{QUEUED, matrix, program, run};
use test_broker::{Broker, Defect};

#[test]
fn what_is_accepted_fails_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let [known, right, wrong] = ["known.toml", "right.json", "wrong.json"].map(path);
    let measured = |broker: &str, arguments: &[&str]| {
        run(matrix(broker, &[&QUEUED[..], &["--deadline", "1s", "--patience", "1s"], arguments].concat()))
    };
    let lying = url(serve(&Broker::lying(Defect::LosesLast)));
    measured(&url(serve(&Broker::correct())), &["--export-json", &right]);
    assert_eq!(measured(&lying, &["--export-json", &wrong]).code, Some(1));
    measured(&lying, &["--expect", &known]).gave_up(2, &["cannot read", "known.toml", "--accept"]);
    let accepted = measured(&lying, &["--expect", &known, "--accept"]);
    assert_eq!(accepted.code, Some(0), "{}", accepted.stderr);
    assert!(accepted.stderr.contains("known deviations added"), "{}", accepted.stderr);
    let accepted = measured(&lying, &["--expect", &known, "--accept"]);
    assert!(accepted.stderr.contains("nothing fails that is not known"), "{}", accepted.stderr);
    let again = measured(&lying, &["--expect", &known, "--baseline", &right]);
    assert_eq!(again.code, Some(0), "{}", again.stdout);
    assert!(again.stdout.contains("to be filled in") && again.stdout.contains("known           pass → fail"));
    measured(&lying, &["--fail-on", "new"]).gave_up(2, &["--fail-on", "--baseline"]);
    for (arguments, code) in [
        (vec!["judge", &wrong], 1),
        (vec!["judge", &wrong, "--expect", &known], 0),
        (vec!["compare", &right, &wrong], 1),
        (vec!["compare", &right, &wrong, "--expect", &known], 0),
        (vec!["compare", &wrong, &right, "--expect", &known], 0),
        (vec!["compare", &wrong, &right, "--fail-on", "gone,new"], 0),
        (vec!["compare", &wrong, &right, "--fail-on", "gone", "--fail-on", "changed"], 1),
    ] {
        let ended = run(program(&arguments));
        assert_eq!(ended.code, Some(code), "{arguments:?}\n{}{}", ended.stdout, ended.stderr);
    }
    let mut in_folder = program(["judge", &wrong]);
    in_folder.current_dir(folder.path());
    assert_eq!(run(in_folder).code, Some(1));
    fs::rename(&known, path("mqtt-sessions.toml")).unwrap();
    let mut in_folder = program(["judge", &wrong]);
    in_folder.current_dir(folder.path());
    assert_eq!(run(in_folder).code, Some(0));
}

#[test]
fn the_page_is_as_wide_as_it_is_said_to_be() {
    let broker = url(serve(&Broker::correct()));
    let widest = |columns: Option<&str>| {
        let mut command = matrix(&broker, &QUEUED);
        if let Some(columns) = columns {
            command.env("COLUMNS", columns);
        }
        let text = run(command).stdout;
        text.lines().map(|line| line.chars().count()).max().unwrap()
    };
    assert!(widest(Some("60")) <= 60);
    assert!((61..=80).contains(&widest(None)));
    assert!((81..=120).contains(&widest(Some("120"))));
}
