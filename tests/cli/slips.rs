//! Options of other programs, and slips.

use crate::program::{program, run};

#[test]
fn who_types_as_for_mosquitto_is_told_what_to_type_here() {
    let words = ["matrix", "-h", "broker.example", "-p", "1884"];
    run(program(words)).gave_up(2, &["mosquitto", "write --broker mqtt://broker.example:1884"]);
    run(program(["run", "cuts", "-h", "broker"])).gave_up(2, &["write --broker mqtt://broker:1883"]);
    for help in [vec!["-h"], vec!["matrix", "-h"], vec!["-h", "matrix"]] {
        let ended = run(program(&help));
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{help:?}");
        assert!(ended.stdout.contains("Usage: mqtt-sessions"), "{help:?}");
    }
}

#[test]
fn a_tip_is_sensible_or_absent() {
    for (typed, meant) in [("--brokr", "--broker"), ("--user", "--username"), ("--ca", "--cafile")] {
        let ended = run(program(["matrix", typed, "x"]));
        assert_eq!(ended.code, Some(2));
        assert!(ended.stderr.contains(&format!("a similar argument exists: '{meant}'")), "{}", ended.stderr);
    }
    for typed in ["--tls", "--qos", "--id", "--protocol", "--verbose", "-x", "--pw"] {
        let ended = run(program(["matrix", typed]));
        assert_eq!(ended.code, Some(2));
        assert!(!ended.stderr.contains("tip:"), "{}", ended.stderr);
        assert!(ended.stderr.contains(&format!("unexpected argument '{typed}' found")), "{}", ended.stderr);
    }
}
