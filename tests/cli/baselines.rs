//! `--baseline` and `compare`: what got worse decides the exit code, and what was bad before does not.

use std::fs;
use std::path::{Path, PathBuf};

use mqtt_sessions::packet::Packet;

use crate::peers::{serve, url};
use crate::program::{Ended, QUEUED, matrix, program, run};
use crate::proxy::{Fate, proxy};
use test_broker::{Broker, Defect};

struct Folder(tempfile::TempDir);

impl Folder {
    /// Measures a broker into this file.
    fn measure(&self, name: &str, broker: &str) -> PathBuf {
        let path = self.0.path().join(name);
        let arguments = ["--deadline", "1s", "--patience", "1s", "--export-json", path.to_str().unwrap()];
        run(matrix(broker, &[&QUEUED[..], &arguments].concat()));
        assert!(path.is_file(), "{name}");
        path
    }
}

fn compared(baseline: &Path, results: &Path) -> Ended {
    let mut command = program(["compare"]);
    command.arg(baseline).arg(results);
    run(command)
}

/// A broker that never answers what an experiment publishes: nothing can be concluded.
fn silent() -> String {
    proxy(&Broker::correct(), |_, packet| match packet {
        Packet::Publish(_) | Packet::Pingreq => Fate::Swallow,
        _ => Fate::Pass,
    })
}

#[test]
fn the_exit_code_is_the_change() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let right = url(serve(&Broker::correct()));
    let wrong = url(serve(&Broker::lying(Defect::LosesLast)));
    let silent = silent();
    let known = folder.measure("right.json", &right);
    let lost = folder.measure("wrong.json", &wrong);
    let unclear = folder.measure("unclear.json", &silent);
    let cases = [
        (&known, &known, &right, 0, ""),
        (&known, &lost, &wrong, 1, "worse"),
        (&lost, &lost, &wrong, 0, ""),
        (&lost, &known, &right, 0, "better"),
        (&known, &unclear, &silent, 3, "unclear"),
    ];
    for (baseline, results, broker, code, said) in cases {
        let ended = compared(baseline, results);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(code), ""), "{}", ended.stdout);
        assert!(ended.stdout.contains(said) && !ended.stdout.is_empty(), "{}", ended.stdout);
        let arguments = ["--deadline", "1s", "--patience", "1s", "--baseline", baseline.to_str().unwrap()];
        let ended = run(matrix(broker, &[&QUEUED[..], &arguments].concat()));
        assert_eq!(ended.code, Some(code), "{}{}", ended.stdout, ended.stderr);
        assert!(ended.stdout.contains(said), "{}", ended.stdout);
    }
}

#[test]
fn files_that_cannot_be_compared() {
    let folder = Folder(tempfile::tempdir().unwrap());
    let known = folder.measure("right.json", &url(serve(&Broker::correct())));
    let nothing = folder.0.path().join("nothing.json");
    compared(&known, &nothing).gave_up(2, &["cannot read", "nothing.json", "--export-json"]);
    let text = fs::read_to_string(&known).unwrap();
    let other = folder.0.path().join("other.json");
    fs::write(&other, text.replace("\"messages\": 3", "\"messages\": 7")).unwrap();
    compared(&known, &other).gave_up(2, &["with --messages 3", "with --messages 7", "make them again"]);
    fs::write(&other, text.replace("\"major\": 2", "\"major\": 9")).unwrap();
    compared(&other, &known).gave_up(2, &["other.json has format 9.3", "use a newer mqtt-sessions"]);
}
