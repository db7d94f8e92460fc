//! Ctrl-C, TERM and HUP, and the time limit.

use std::collections::HashSet;
use std::io::{BufReader, Read};
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mqtt_sessions::packet::{Packet, Protocol};
use mqtt_sessions::results::{Results, Verdict};

use crate::peers::{assert_nothing_left, listener, wait_for_end};
use crate::program::{QUEUED, each_cell, end_of, matrix, program, run, signal, wait_for_line};
use crate::proxy::{Fate, is_experiment, proxy, proxy_by_client};
use test_broker::{Broker, Defect};

/// Waits that only a signal can end within a test.
const ENDLESS: [&str; 4] = ["--deadline", "1h", "--connect-timeout", "1h"];
const PATIENCE: Duration = Duration::from_secs(30);

/// A broker that stops answering the experiment's SUBSCRIBE in 5.0, tells when, and then ends its life as a broker if it
/// is told to be deaf.
fn withholding(broker: &Broker, deaf: Arc<AtomicBool>) -> (String, Receiver<()>) {
    let (told, reached) = mpsc::channel();
    let told = Mutex::new(told);
    let url = proxy(broker, move |protocol, packet| match (protocol, packet) {
        _ if deaf.load(SeqCst) => Fate::Swallow,
        (Protocol::V5, Packet::Subscribe(subscribe)) if is_experiment(&subscribe.filters[0].filter) => {
            told.lock().unwrap().send(()).unwrap();
            Fate::Swallow
        }
        _ => Fate::Pass,
    });
    (url, reached)
}

/// Starts a run, one cell after the other, and comes back when it is stuck in the middle.
fn stuck(url: &str, reached: &Receiver<()>, exports: &[&str]) -> Child {
    let child = matrix(url, &[&QUEUED[..], &ENDLESS, &["--jobs", "1"], exports].concat()).spawn().unwrap();
    reached.recv_timeout(PATIENCE).unwrap();
    child
}

fn rest(mut pipe: impl Read) -> String {
    let mut text = String::new();
    pipe.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn the_first_signal_ends_the_run_in_good_order() {
    for name in ["INT", "TERM", "HUP"] {
        let folder = tempfile::tempdir().unwrap();
        let [path, junit] = ["results.json", "junit.xml"].map(|name| folder.path().join(name));
        let broker = Broker::correct();
        let (url, reached) = withholding(&broker, Arc::default());
        let exports = ["--export-json", path.to_str().unwrap(), "--export-junit", junit.to_str().unwrap()];
        let mut child = stuck(&url, &reached, &exports);
        assert!(!broker.sessions().is_empty());
        signal(&child, name);
        let stderr = rest(child.stderr.take().unwrap());
        assert_eq!(end_of(&mut child).code(), Some(130), "{stderr}");
        assert!(stderr.contains("interrupted: ending sessions") && !stderr.contains("error"), "{stderr}");
        let results = Results::load(&path).unwrap();
        assert_eq!(results.cells.len(), 1, "only what is finished: {stderr}");
        each_cell(&results, |_| Verdict::Pass);
        assert!(results.cells[0].id.contains("protocol=3.1.1"));
        assert!(rest(child.stdout.take().unwrap()).contains("1 of 2 cells, interrupted: 1 pass"));
        assert!(std::fs::read_to_string(&junit).unwrap().contains("<testsuites name=\"mqtt-sessions\" tests=\"1\""));
        assert_nothing_left(&broker);
    }
}

/// Twelve cells would make a session each, and the first is stuck behind its CONNECT.
#[test]
fn only_sessions_that_there_were_are_counted() {
    let (url, reached) = withholding(&Broker::correct(), Arc::default());
    let cells = ["--filter=protocol=5.0", "--filter=clean_session=false", "--filter=publish_qos=1", "--jobs=1"];
    let mut child = matrix(&url, &[&cells[..], &ENDLESS].concat()).spawn().unwrap();
    reached.recv_timeout(PATIENCE).unwrap();
    signal(&child, "INT");
    let stderr = rest(child.stderr.take().unwrap());
    assert_eq!(end_of(&mut child).code(), Some(130), "{stderr}");
    assert!(stderr.contains(": 1 session ended, 0 retained topics cleared; "), "{stderr}");
}

#[test]
fn the_clean_up_asks_for_no_session_of_a_cell_that_was_not_begun() {
    let broker = Broker::correct();
    let (told, reached) = mpsc::channel();
    let seen = Arc::new(Mutex::new((told, HashSet::new())));
    let sees = seen.clone();
    let url = proxy(&broker, move |_, packet| match packet {
        Packet::Connect(connect) => {
            sees.lock().unwrap().1.insert(connect.client_id.clone());
            Fate::Pass
        }
        Packet::Subscribe(subscribe) if is_experiment(&subscribe.filters[0].filter) => {
            sees.lock().unwrap().0.send(()).unwrap();
            Fate::Swallow
        }
        _ => Fate::Pass,
    });
    let mut child = stuck(&url, &reached, &[]);
    signal(&child, "INT");
    assert_eq!(end_of(&mut child).code(), Some(130));
    // Each of the two cells has a subscriber and a publisher.
    let is_helper = |id: &str| ["probe", "rights", "witness", "cleaner"].iter().any(|helper| id.contains(helper));
    let ids = &seen.lock().unwrap().1;
    let cells: HashSet<&str> = ids.iter().filter(|id| !is_helper(id)).map(|id| &id[..id.len() - 1]).collect();
    assert_eq!(cells.len(), 1, "{ids:?}");
    assert_nothing_left(&broker);
}

#[test]
fn the_second_signal_ends_the_program_at_once() {
    let deaf = Arc::new(AtomicBool::new(false));
    let (url, reached) = withholding(&Broker::correct(), deaf.clone());
    let mut child = stuck(&url, &reached, &["--export-json", "-"]);
    // From now on nothing can be ended in good order.
    deaf.store(true, SeqCst);
    signal(&child, "INT");
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    wait_for_line(&mut stderr, "once more to stop at once");
    assert!(child.try_wait().unwrap().is_none());
    signal(&child, "INT");
    assert_eq!(end_of(&mut child).code(), Some(130));
}

#[test]
fn a_run_that_is_out_of_time_ends_in_good_order() {
    let broker = Broker::correct();
    let (url, _reached) = withholding(&broker, Arc::default());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("half.json");
    let file = file.to_str().unwrap();
    let arguments = ["--jobs", "1", "--time-limit", "1s", "--export-json", file];
    let ended = run(matrix(&url, &[&QUEUED[..], &ENDLESS, &arguments].concat()));
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stdout.contains("1 of 2 cells, the time limit passed: 1 pass"), "{}", ended.stdout);
    assert!(ended.stderr.contains("the time limit of 1s is over: ending sessions"), "{}", ended.stderr);
    let results = Results::load(file.as_ref()).unwrap();
    assert!(!results.run.complete && results.cells.len() == 1, "{}", ended.stdout);
    assert_nothing_left(&broker);
    // Whoever reads the file later is told the same.
    assert_eq!(run(program(["judge", file])).code, Some(3));
    assert_eq!(run(program(["compare", file, file])).code, Some(3));
}

/// The cells are done when the time is over, and the clean-up takes the time that it needs.
#[test]
fn a_time_limit_that_passes_in_the_clean_up_cuts_nothing_short() {
    let broker = Broker::correct();
    let (known, is_late) = (Mutex::new(HashSet::new()), AtomicBool::new(false));
    let url = proxy_by_client(&broker, move |connect, packet| {
        let is_known = matches!(packet, Packet::Connect(_)) && !known.lock().unwrap().insert(connect.client_id.clone());
        // The first CONNECT of the clean-up comes later than the limit.
        if is_known && connect.clean && !is_late.swap(true, SeqCst) {
            std::thread::sleep(Duration::from_secs(7));
        }
        Fate::Pass
    });
    let arguments = ["--time-limit", "5s", "--connect-timeout", "1m", "--export-json", "-"];
    let started = std::time::Instant::now();
    let ended = run(matrix(&url, &[&QUEUED[..], &arguments].concat()));
    assert!(started.elapsed() > Duration::from_secs(6), "{:?}", started.elapsed());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("time limit") && ended.stderr.contains("none of them is left"), "{}", ended.stderr);
    let results = ended.results();
    assert!(results.run.complete && results.cells.len() == 2, "{}", ended.stdout);
    assert_nothing_left(&broker);
}

/// A broker that takes sessions, and then no clean-up: its budget ends it, and the exit code tells that something is left.
#[test]
fn a_clean_up_that_the_broker_holds_up_ends() {
    let deaf = Arc::new(AtomicBool::new(false));
    let (url, reached) = withholding(&Broker::correct(), deaf.clone());
    let arguments = ["--deadline", "1h", "--connect-timeout", "1h", "--jobs", "1", "--time-limit", "3s"];
    let started = std::time::Instant::now();
    let mut child = matrix(&url, &[&QUEUED[..], &arguments].concat()).spawn().unwrap();
    reached.recv_timeout(PATIENCE).unwrap();
    deaf.store(true, SeqCst);
    let stderr = rest(child.stderr.take().unwrap());
    assert_eq!(end_of(&mut child).code(), Some(3), "{stderr}");
    assert!(stderr.contains("may be left; when the broker answers again, `mqtt-sessions clean"), "{stderr}");
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
}

#[test]
fn a_broker_that_does_not_answer_can_be_interrupted() {
    for command in [&["matrix"][..], &["clean", "--prefix", "p"], &["doctor"]] {
        let (told, reached) = mpsc::channel();
        let told = Mutex::new(told);
        let url = listener(move |stream| {
            let _ = told.lock().unwrap().send(());
            wait_for_end(stream);
        });
        let mut program = crate::program::program(command);
        let mut child = program.args(["--broker", &url]).args(ENDLESS).spawn().unwrap();
        reached.recv_timeout(PATIENCE).unwrap();
        signal(&child, "INT");
        assert_eq!(end_of(&mut child).code(), Some(130));
        assert_eq!(rest(child.stdout.take().unwrap()), "");
    }
}

#[test]
fn a_harness_that_was_held_up_says_so() {
    let (url, reached) = withholding(&Broker::correct(), Arc::default());
    let arguments = ["--attempts", "1", "--jobs", "1", "--deadline", "2s", "--export-json", "-"];
    let mut child = matrix(&url, &[&QUEUED[..], &arguments].concat()).spawn().unwrap();
    hold_up(&child, &reached);
    let stdout = rest(child.stdout.take().unwrap());
    end_of(&mut child);
    let late: Vec<u32> =
        stdout.split(" late ").skip(1).filter_map(|rest| rest.split_once(" ms\"")?.0.parse().ok()).collect();
    assert!(late.iter().any(|milliseconds| (600..10_000).contains(milliseconds)), "{late:?} in {stdout}");
}

/// Stops the program for a while, in the middle of a cell.
fn hold_up(child: &Child, reached: &Receiver<()>) {
    reached.recv_timeout(PATIENCE).unwrap();
    signal(child, "STOP");
    std::thread::sleep(Duration::from_millis(800));
    signal(child, "CONT");
}

/// What a run says of a broker, the harness being held up in the first attempt at the cell of 5.0.
fn said_under_a_hold_up(broker: &Broker, code: i32) -> String {
    let (told, reached) = mpsc::channel();
    let first = Mutex::new(Some(told));
    let url = proxy(broker, move |protocol, packet| match (protocol, packet) {
        (Protocol::V5, Packet::Subscribe(subscribe)) if is_experiment(&subscribe.filters[0].filter) => {
            first.lock().unwrap().take().map_or(Fate::Pass, |told| {
                told.send(()).unwrap();
                Fate::Swallow
            })
        }
        _ => Fate::Pass,
    });
    let waits = ["--jobs", "1", "--deadline", "2s", "--patience", "100ms"];
    let mut child = matrix(&url, &[&QUEUED[..], &waits].concat()).spawn().unwrap();
    hold_up(&child, &reached);
    let stdout = rest(child.stdout.take().unwrap());
    assert_eq!(end_of(&mut child).code(), Some(code), "{stdout}");
    stdout
}

/// The answer that is missing in the attempt in which the harness was held up comes in the next one.
#[test]
fn a_cell_that_a_hold_up_left_open_is_tried_again() {
    let stdout = said_under_a_hold_up(&Broker::correct(), 0);
    assert!(stdout.contains("2 cells: 2 pass"), "{stdout}");
}

/// The spoilt attempt takes none from the three that an absence needs, although the other cell is one ahead.
#[test]
fn a_cell_that_is_behind_the_others_has_all_its_attempts() {
    let stdout = said_under_a_hold_up(&Broker::lying(Defect::ForgetsSubscriptions), 1);
    assert!(stdout.contains("2 cells: 2 fail"), "{stdout}");
}

/// A broker that leaves the return of each session without an answer, and tells so.
#[test]
fn a_doctor_that_is_interrupted_leaves_nothing_and_promises_nothing() {
    let broker = Broker::correct();
    let (told, reached) = mpsc::channel();
    let (told, known) = (Mutex::new(told), Mutex::new(HashSet::new()));
    let url = proxy(&broker, move |_, packet| match packet {
        Packet::Connect(connect) if !connect.clean && connect.session_expiry != Some(0) => {
            if known.lock().unwrap().insert(connect.client_id.clone()) {
                return Fate::Pass;
            }
            told.lock().unwrap().send(()).unwrap();
            Fate::Swallow
        }
        _ => Fate::Pass,
    });
    for json in [false, true] {
        let export = if json { &["--export-json", "-"][..] } else { &[] };
        let arguments = [&["doctor", &url], &ENDLESS[..], export].concat();
        let mut child = crate::program::program(arguments).spawn().unwrap();
        reached.recv_timeout(PATIENCE).unwrap();
        assert!(!broker.sessions().is_empty());
        signal(&child, "INT");
        let stdout = rest(child.stdout.take().unwrap());
        let stderr = rest(child.stderr.take().unwrap());
        assert_eq!(end_of(&mut child).code(), Some(130), "{stdout}{stderr}");
        assert!(stderr.contains("interrupted: ending sessions"), "{stderr}");
        assert!(!format!("{stdout}{stderr}").contains("run will work"), "{stdout}{stderr}");
        assert!(stdout.contains("clean-up") && !stdout.contains("failed"), "{stdout}");
        assert_nothing_left(&broker);
    }
}
