//! Two runs or storms with one prefix, and a clean-up in the middle of a run: each says that somebody else uses the prefix.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Child;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use mqtt_sessions::connection::encode::encode;
use mqtt_sessions::packet::{Connect, Packet, Protocol, Publish};

use crate::peers::{assert_nothing_left, correct, serve, url};
use crate::program::{QUEUED, end_of, matrix, program, run, signal};
use crate::proxy::{Fate, is_experiment, proxy};
use test_broker::Broker;

const PREFIX: &str = "--prefix=shared";
const PATIENCE: Duration = Duration::from_secs(30);
const SAID: &str = "somebody else uses the prefix shared on this broker; wait until that run has ended";

/// The broker behind a proxy that withholds the answers to the experiment's SUBSCRIBEs, and tells when one has come.
fn withholding(broker: &Broker) -> (String, Receiver<()>) {
    let (told, reached) = mpsc::channel();
    let told = Mutex::new(told);
    let url = proxy(broker, move |_, packet| match packet {
        Packet::Subscribe(subscribe) if is_experiment(&subscribe.filters[0].filter) => {
            let _ = told.lock().unwrap().send(());
            Fate::Swallow
        }
        _ => Fate::Pass,
    });
    (url, reached)
}

#[test]
fn a_second_run_and_a_clean_up_find_the_first_one_and_leave_it_alone() {
    let broker = Broker::correct();
    let (slow, reached) = withholding(&broker);
    let waits = ["--deadline=1h", "--connect-timeout=1h", PREFIX];
    let mut first = matrix(&slow, &[&QUEUED[..], &waits].concat()).spawn().unwrap();
    reached.recv_timeout(PATIENCE).unwrap();
    let direct = url(serve(&broker));
    let sessions = broker.sessions();
    run(matrix(&direct, &[&QUEUED[..], &[PREFIX]].concat())).gave_up(2, &[SAID, "another --prefix"]);
    run(program(["clean", "--broker", &direct, PREFIX])).gave_up(2, &[SAID]);
    // Cells beside the one that is held up may have gone on.
    let left = broker.sessions();
    assert!(sessions.iter().all(|session| left.contains(session)), "{sessions:?} {left:?}");
    assert!(first.try_wait().unwrap().is_none());
    signal(&first, "TERM");
    assert_eq!(end_of(&mut first).code(), Some(130));
}

/// Another run that began at the same moment greets with its witness. A search ends with what it has.
#[test]
fn a_run_that_hears_of_another_one_ends() {
    for (command, code) in
        [(&[&["matrix"][..], &QUEUED].concat()[..], 2), (&["explore", "--cases=100"], 3), (&["storm"], 2)]
    {
        hears_of_another(command, code);
    }
}

fn hears_of_another(command: &[&str], code: i32) {
    let broker = Broker::correct();
    let (slow, reached) = withholding(&broker);
    let arguments = ["--broker", &slow, "--deadline=1h", "--connect-timeout=1h", PREFIX];
    let child = program([command, &arguments].concat()).spawn().unwrap();
    reached.recv_timeout(PATIENCE).unwrap();
    let mut other = TcpStream::connect(serve(&broker)).unwrap();
    let greeting = Publish { topic: "shared/greetings".into(), payload: b"other".to_vec(), ..Publish::default() };
    let mut bytes = Vec::new();
    for packet in [Packet::Connect(Connect::new(Protocol::V3, "other")), Packet::Publish(greeting)] {
        encode(Protocol::V3, &packet, &mut bytes).unwrap();
    }
    other.write_all(&bytes).unwrap();
    let ended = rest(child);
    assert_eq!(ended.0, Some(code), "{}", ended.1);
    assert!(ended.1.contains(SAID), "{}", ended.1);
    let accounts = ended.1.contains("until somebody else used the prefix, ");
    assert_eq!(accounts, command[0] == "storm", "{}", ended.1);
}

/// The exit code and stderr of a program that ends by itself.
fn rest(mut child: Child) -> (Option<i32>, String) {
    let code = end_of(&mut child).code();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    (code, stderr)
}

/// Each would be told of the other's sessions that they should not be there.
#[test]
fn a_second_storm_finds_the_first_one_and_one_that_was_killed_is_cleaned_up() {
    let broker = Broker::correct();
    let direct = url(serve(&broker));
    let storm = |more: &[&str]| program([&["storm", "--broker", &direct, "--sessions=30", PREFIX], more].concat());
    let mut first = storm(&["--away=1h"]).spawn().unwrap();
    while broker.sessions().len() < 30 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let sessions = broker.sessions();
    run(storm(&[])).gave_up(2, &[SAID, "another --prefix"]);
    run(program(["clean", "--broker", &direct, PREFIX, "--storm=30"])).gave_up(2, &[SAID]);
    run(matrix(&direct, &[&QUEUED[..], &[PREFIX]].concat())).gave_up(2, &[SAID]);
    let left = broker.sessions();
    assert!(sessions.iter().all(|session| left.contains(session)), "{sessions:?} {left:?}");
    assert!(first.try_wait().unwrap().is_none());
    first.kill().unwrap();
    first.wait().unwrap();
    let ended = run(storm(&[]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_nothing_left(&broker);
}

#[test]
fn runs_one_after_the_other_are_no_neighbours() {
    let url = correct();
    for _ in 0..2 {
        let ended = run(matrix(&url, &[&QUEUED[..], &[PREFIX]].concat()));
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}
