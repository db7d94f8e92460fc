//! The oracle's truth table: each file in `tests/histories` is a history with the verdict that the standard gives it.

use std::fs;
use std::path::{Path, PathBuf};

use mqtt_sessions::history_file::HistoryFile;
use mqtt_sessions::results::Verdict;

/// What is wrong with the judge's word on one file.
fn complaint(file: &HistoryFile) -> Option<String> {
    let Some(expected) = &file.expected else { return Some(format!("{}: the head gives no verdict", file.name)) };
    let judged = file.judged().result;
    let disagreement = expected.disagreement(&judged)?;
    Some(format!("{}: {disagreement}: {}", file.name, judged.reason.unwrap_or_default()))
}

/// The files of the folder, by name. `HISTORIES` names another folder.
fn files() -> Vec<PathBuf> {
    let folder = std::env::var_os("HISTORIES").map_or("tests/histories".into(), PathBuf::from);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("the folder can be listed").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    files
}

#[test]
fn each_history_is_judged_as_the_standard_says() {
    let mut read = Vec::new();
    let mut complaints = Vec::new();
    for path in files() {
        match HistoryFile::load(&path) {
            Ok(file) => read.push(file),
            Err(error) => complaints.push(error.to_string()),
        }
    }
    complaints.extend(read.iter().filter_map(complaint));
    assert!(complaints.is_empty(), "{} of {}:\n{}", complaints.len(), read.len(), complaints.join("\n"));
    for verdict in [Verdict::Pass, Verdict::Fail] {
        let expects = |file: &HistoryFile| file.expected.as_ref().is_some_and(|expected| expected.verdict == verdict);
        assert!(read.iter().any(expects), "no file for {}", verdict.name());
    }
}

#[test]
fn a_malformed_file_is_refused_with_its_line() {
    let refused = |text: &str| HistoryFile::parse("a", text).expect_err(text);
    let head = "# What it shows.\n# verdict: pass\n# statements:\n";
    assert!(HistoryFile::parse("a", &format!("{head}step 1 connect subscriber\n")).is_ok());
    assert!(HistoryFile::parse("a", "stopped\n").is_ok_and(|file| file.expected.is_none()));
    assert_eq!(refused(&format!("{head}step 1 connect subscriber\nsubscriber => PINGREQ\n")).0, 5);
    for (text, line, phrase) in [
        (&*format!("{head}stopped\n# late\n"), 5, "a comment stands only in the head"),
        (&*format!("{head}# verdict: fail\nstopped\n"), 4, "verdict stands here twice"),
        (head, 3, "there is no event"),
        ("", 1, "there is no event"),
        ("# verdict: good\n# statements:\nstopped\n", 1, "a verdict is one of fail, error"),
        ("# verdict: pass\n# statements:\n# durable: off\nstopped\n", 3, "durable is stop or kill, not \"off\""),
        ("# verdict: pass\nstopped\n", 1, "there is no \"# statements:\""),
        ("#\n# statements:\nstopped\n", 2, "there is no \"# verdict:\" beside it"),
        ("#\n# verdict: fail\n# statements: MQTT-9.9.9-9\nstopped\n", 3, "no statement MQTT-9.9.9-9"),
        ("# verdict: fail\n# statements: MQTT-3.2.0-1 MQTT-3.1.2-5\nstopped\n", 2, "they are not sorted"),
        (&*format!("{head}# choices: queue_full\nstopped\n"), 4, "a choice is name=value"),
        (&*format!("{head}# attempts: many\nstopped\n"), 4, "attempts is a number"),
        (&*format!("{head}# attempts: 0\nstopped\n"), 4, "there are 1 to 100 attempts"),
        (&*format!("{head}# attempts: 1000000000\nstopped\n"), 4, "there are 1 to 100 attempts"),
        (&*format!("{head}# attempts: 2\nattempt 1\nstopped\n"), 4, "either the head says how many"),
    ] {
        let (refused, why) = refused(text);
        assert!(refused == line && why.contains(phrase), "{text}: line {refused}: {why}");
    }
}
