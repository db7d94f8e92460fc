//! Histories that are text files are judged without a broker, and held against what their heads say.

use std::fs;
use std::path::PathBuf;

use mqtt_sessions::results::{Results, Verdict};
use tempfile::TempDir;

use crate::program::{Ended, program, run};

/// The message was accepted while the subscriber was away, and did not come before the fence did.
pub const LOST: &str = "\
step 1 connect subscriber
subscriber -> CONNECT protocol=3.1.1 clean_session=0 keep_alive=60 client_id=subscriber
subscriber <- CONNACK session_present=0 code=0x00
step 2 connect publisher
publisher -> CONNECT protocol=3.1.1 clean_session=1 keep_alive=60 client_id=publisher
publisher <- CONNACK session_present=0 code=0x00
step 3 subscribe subscriber
subscriber -> SUBSCRIBE id=1 filter=t qos=1
subscriber <- SUBACK id=1 code=0x01
publisher -> PUBLISH topic=t qos=1 retain=0 dup=0 id=1 payload=loop1
publisher <- PUBACK id=1
subscriber <- PUBLISH topic=t qos=1 retain=0 dup=0 id=1 payload=loop1
subscriber -> PUBACK id=1
step 4 disconnect subscriber
subscriber -> DISCONNECT
subscriber <- end fin
step 5 publish publisher
publisher -> PUBLISH topic=t qos=1 retain=0 dup=0 id=2 payload=m1
publisher <- PUBACK id=2
witness <- PUBLISH topic=t qos=0 retain=0 dup=0 payload=m1
step 6 connect subscriber
subscriber -> CONNECT protocol=3.1.1 clean_session=0 keep_alive=60 client_id=subscriber
subscriber <- CONNACK session_present=1 code=0x00
step 7 receive subscriber
subscriber -> PINGREQ
subscriber <- PINGRESP
publisher -> PUBLISH topic=t qos=1 retain=0 dup=0 id=3 payload=fence1
publisher <- PUBACK id=3
subscriber <- PUBLISH topic=t qos=1 retain=0 dup=0 id=2 payload=fence1
subscriber -> PUBACK id=2
subscriber -- settled
";

/// A folder with files, and their paths in the same order.
fn folder(files: &[(&str, String)]) -> (TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    let paths = files.iter().map(|(name, text)| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    });
    let paths = paths.collect();
    (folder, paths)
}

/// The text says what was seen.
#[test]
fn an_exceeded_receive_maximum_says_by_how_many() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/histories/receive-maximum-exceeded-5.0.txt");
    let ended = judge(&[path], &[]);
    let said = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let expected = "expected at most 1 message unacknowledged to subscriber; observed 2 unacknowledged, and the Receive Maximum is 1";
    assert!(said.contains(expected), "{said}");
}

fn judge(paths: &[PathBuf], options: &[&str]) -> Ended {
    let paths: Vec<&str> = paths.iter().map(|path| path.to_str().unwrap()).collect();
    run(program([&["judge"], &paths[..], options].concat()))
}

#[test]
fn heads_that_say_the_same_are_a_success() {
    let head = "# m1 is lost.\n# verdict: fail\n# statements: MQTT-3.1.2-5\n";
    let (_folder, paths) = folder(&[("lost.txt", format!("{head}{LOST}"))]);
    let ended = judge(&paths, &[]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    assert!(ended.stdout.starts_with("✗ fail MQTT-3.1.2-5 lost\n  MQTT-3.1.2-5 expected "), "{}", ended.stdout);
    assert!(ended.stdout.ends_with("1 history: 1 fail\n0 of 1 heads say otherwise\n\n"), "{}", ended.stdout);
}

#[test]
fn a_head_that_says_otherwise_is_a_failure_and_the_results_have_the_names_of_the_files() {
    let head = "# verdict: pass\n# statements:\n";
    let broken_off = "step 1 connect subscriber\nsubscriber -- no connection\nbroken off: no connection\nstopped\n";
    let (_folder, paths) = folder(&[("lost.txt", format!("{head}{LOST}")), ("broken.off.txt", broken_off.into())]);
    let ended = judge(&paths, &["--export-json", "-"]);
    assert_eq!(ended.code, Some(1));
    for phrase in [
        "✗ fail MQTT-3.1.2-5 lost",
        "the head says pass []; the judge says fail [MQTT-3.1.2-5]",
        "E error broken.off",
        "2 histories: 1 fail, 1 error",
        "1 of 1 heads say otherwise",
    ] {
        assert!(ended.stderr.contains(phrase), "{}", ended.stderr);
    }
    let results = Results::parse("stdout", &ended.stdout).unwrap();
    let cells: Vec<(&str, Verdict)> = results.cells.iter().map(|cell| (cell.id.as_str(), cell.verdict)).collect();
    assert_eq!(cells, [("broken.off", Verdict::Error), ("lost", Verdict::Fail)]);
    assert_eq!(results.run.cells["lost"].attempts[0].history.len(), LOST.lines().count());
    assert_eq!(results.run.cells["lost"].evidence[0].violation, 0);
}

#[test]
fn without_a_head_the_verdict_decides() {
    let (_folder, paths) = folder(&[("lost.txt", LOST.into())]);
    assert_eq!(judge(&paths, &[]).code, Some(1));
    let whole = LOST.replace(
        "publisher -> PUBLISH topic=t qos=1 retain=0 dup=0 id=3 payload=fence1\n",
        "subscriber <- PUBLISH topic=t qos=1 retain=0 dup=0 id=3 payload=m1\nsubscriber -> PUBACK id=3\n\
         publisher -> PUBLISH topic=t qos=1 retain=0 dup=0 id=3 payload=fence1\n",
    );
    let (_folder, paths) = folder(&[("whole.txt", whole)]);
    let ended = judge(&paths, &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    assert!(!ended.stdout.contains("head"), "{}", ended.stdout);
}

#[test]
fn files_that_hold_no_history() {
    let mistaken = "# verdict: pass\n# statements:\nsubscriber => PINGREQ\n";
    let (folder, paths) = folder(&[("mistaken.txt", mistaken.into()), ("lost.txt", LOST.into())]);
    let text = |path: &PathBuf| path.to_str().unwrap().to_owned();
    judge(&paths, &[]).gave_up(2, &[&format!("{}:3: ", text(&paths[0]))]);
    let missing = folder.path().join("missing.txt");
    judge(std::slice::from_ref(&missing), &[]).gave_up(2, &[&text(&missing), "it cannot be read", "one event a line"]);
    judge(&[paths[1].clone(), paths[1].clone()], &[]).gave_up(2, &["another file has the name lost", "rename"]);
    let results = folder.path().join("results.json");
    judge(&[paths[1].clone(), results], &[])
        .gave_up(2, &["is no history, and not the only file; give one results file"]);
}
