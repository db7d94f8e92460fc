//! Files that cannot be written or read: known before anything is measured, or, at the latest, said after it.

use std::fs;
use std::path::Path;

use mqtt_sessions::results::Results;

use crate::peers::{Untouched, correct};
use crate::program::{Ended, QUEUED, matrix, program, run};

/// Runs the matrix with these arguments against a broker that must not be touched.
fn refused(arguments: &[&str]) -> Ended {
    let broker = Untouched::new();
    let ended = run(matrix(&broker.url(), arguments));
    broker.assert_untouched();
    ended
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn an_output_file_that_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("no/such/results.json");
    for path in [missing.as_path(), folder.path()] {
        let ended = refused(&["--export-json", text(path)]);
        ended.gave_up(2, &["cannot write", text(path), "give --export-json a file that you may write"]);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_disk_that_fills_up_costs_the_file_and_not_the_table() {
    let ended = run(matrix(&correct(), &[&QUEUED[..], &["--export-json", "/dev/full"]].concat()));
    assert_eq!(ended.code, Some(2));
    ended.complained(&["cannot write /dev/full", "No space left", "it is lost; make room"]);
    assert!(ended.stdout.contains("2 cells: 2 pass"), "{}", ended.stdout);
}

#[test]
fn a_stdout_that_is_full_costs_the_table_and_not_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    let mut program = matrix(&correct(), &[&QUEUED[..], &["--export-json", text(&path)]].concat());
    program.stdout(fs::File::options().write(true).open("/dev/full").unwrap());
    let ended = run(program);
    assert_eq!(ended.code, Some(2));
    ended.complained(&["cannot write to stdout", "No space left"]);
    assert_eq!(Results::load(&path).unwrap().summary.pass, 2);
}

#[test]
fn a_named_pipe_is_written_once() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::read_to_string(pipe).unwrap()
    });
    let ended = run(matrix(&correct(), &[&QUEUED[..], &["--export-json", text(&pipe)]].concat()));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(Results::parse("pipe", &reader.join().unwrap()).unwrap().summary.pass, 2);
}

#[test]
fn what_a_file_held_stays_until_the_run_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    fs::write(&path, "before").unwrap();
    refused(&["--export-json", text(&path), "--baseline", "/no/such/file"]).gave_up(2, &["/no/such/file"]);
    assert_eq!(fs::read_to_string(&path).unwrap(), "before");
    let ended = run(matrix(&correct(), &[&QUEUED[..], &["--export-json", text(&path)]].concat()));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(Results::load(&path).unwrap().summary.pass, 2);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// A right results file, a way to spoil it, and what is said then.
#[test]
fn a_baseline_that_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("known.json");
    let right = run(matrix(&correct(), &[&QUEUED[..], &["--export-json", "-"]].concat())).stdout;
    let id = |place: usize| Results::parse("right", &right).unwrap().cells[place].id.clone();
    let mut twice: serde_json::Value = serde_json::from_str(&right).unwrap();
    twice["cells"][1] = twice["cells"][0].clone();
    let cases: [(String, &[&str]); 11] = [
        (right[..right.len() / 2].into(), &["it is cut off", "--export-json"]),
        (String::new(), &["it is cut off", "--export-json"]),
        ("{}".into(), &["is not a results file of mqtt-sessions", "--export-json"]),
        ("not JSON".into(), &["is not a results file of mqtt-sessions", "--export-json"]),
        (right.replace("mqtt-sessions-results", "junit"), &["its format is \"junit\"", "--export-json"]),
        (right.replace("\"major\": 2", "\"major\": 3"), &["format 3.3", "reads 2.x", "use a newer mqtt-sessions"]),
        (
            right.replace("\"major\": 2", "\"major\": 1"),
            &["format 1.3", "reads 2.x", "write the file anew with --export-json"],
        ),
        (twice.to_string(), &["the cell matrix[protocol=3.1.1,", "stands there twice", "--export-json"]),
        (
            right.replace(&format!("{:?}: {{", id(1)), &format!("{:?}: {{", id(0))),
            &["the run of the cell matrix[protocol=3.1.1,", "stands there twice", "--export-json"],
        ),
        (right.replace("\"messages\": 3", "\"messages\": 5"), &["with --messages 5", "make them again"]),
        (right.replace("\"queue_limit\": null", "\"queue_limit\": 9"), &["with --queue-limit 9", "make them again"]),
    ];
    for (spoiled, phrases) in cases {
        assert_ne!(spoiled, right);
        fs::write(&path, spoiled).unwrap();
        refused(&["--baseline", text(&path)]).gave_up(2, phrases);
    }
    for path in [folder.path(), &folder.path().join("nothing.json")] {
        run(program(["judge", text(path)])).gave_up(2, &["cannot read", text(path), "--export-json"]);
        refused(&["--baseline", text(path)]).gave_up(2, &["cannot read", text(path), "--export-json"]);
    }
}

/// What a results file holds under `run` can be spoilt, too.
#[test]
fn histories_in_a_results_file_that_are_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    let right = run(matrix(&correct(), &[&QUEUED[..], &["--histories", "all", "--export-json", "-"]].concat())).stdout;
    let id = Results::parse("right", &right).unwrap().cells[0].id.clone();
    let spoil = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut json: serde_json::Value = serde_json::from_str(&right).unwrap();
        change(&mut json);
        fs::write(&path, json.to_string()).unwrap();
    };
    let explained = |path: &Path| run(program(["explain", &id, "--results", text(path)]));
    spoil(&|json| json["run"]["cells"][&id]["attempts"][0]["history"][0] = "nonsense".into());
    let why = ["attempt 1, line 1 is no event: ", "measure again with --histories all"];
    run(program(["judge", text(&path)])).gave_up(2, &[&["results.json: the history of matrix["], &why[..]].concat());
    spoil(&|json| json["run"]["cells"][&id]["attempts"][0]["bytes"][0] = "?".into());
    explained(&path).gave_up(2, &["results.json: matrix[", "its bytes are no Base64"]);
    spoil(&|json| json["run"]["helpers"]["histories"] = serde_json::json!([["nonsense"]]));
    run(program(["judge", text(&path)]))
        .gave_up(2, &[&["results.json: the histories of run.helpers"], &why[..]].concat());
    spoil(&|json| json["run"]["cells"] = 1.into());
    explained(&path).gave_up(2, &["expected an object of runs by the ids of their cells", "--export-json"]);
    // A file of an earlier version may say otherwise than this one.
    spoil(&|json| json["cells"][0]["verdict"] = "warn".into());
    let ended = explained(&path);
    let said = "the file says warn, and this version judges the same history as pass";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
}

#[test]
#[cfg(unix)]
fn a_file_that_never_ends() {
    let folder = tempfile::tempdir().unwrap();
    let history = folder.path().join("endless.txt");
    std::os::unix::fs::symlink("/dev/zero", &history).unwrap();
    let endless = "it does not end within 64 MiB";
    for arguments in [vec!["judge", "/dev/zero"], vec!["compare", "/dev/zero", "/dev/zero"]] {
        run(program(arguments)).gave_up(2, &["cannot read /dev/zero", endless, "--export-json"]);
    }
    run(program(["explain", "matrix[]", "--results", "/dev/zero"])).gave_up(2, &["cannot read /dev/zero", endless]);
    run(program(["judge", text(&history)]))
        .gave_up(2, &[text(&history), "it cannot be read", endless, "one event a line"]);
    run(program(["list", "/dev/zero"])).gave_up(2, &["/dev/zero: it cannot be read", endless, "name a file"]);
    refused(&["--baseline", "/dev/zero"]).gave_up(2, &["cannot read /dev/zero", endless]);
    let tls = ["matrix", "mqtts://localhost", "--cafile", "/dev/zero"];
    run(program(tls)).gave_up(2, &["--cafile /dev/zero: it cannot be read", endless, "PEM"]);
}

#[test]
#[cfg(unix)]
fn a_link_stays_and_its_target_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let [link, file] = ["link.json", "file.json"].map(|name| folder.path().join(name));
    std::os::unix::fs::symlink("file.json", &link).unwrap();
    let ended = run(matrix(&correct(), &[&QUEUED[..], &["--export-json", text(&link)]].concat()));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(link.is_symlink() && !file.is_symlink());
    assert_eq!(Results::load(&file).unwrap().summary.pass, 2);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}
