//! What a killed run leaves on the broker, and who ends it.

use std::collections::HashSet;
use std::process::Command;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use mqtt_sessions::packet::Packet;

use crate::peers::{assert_nothing_left, serve, url};
use crate::program::{Ended, end_of, matrix, program, run};
use crate::proxy::{Fate, proxy, proxy_by_client};
use test_broker::{Broker, Choices};

/// One cell for each protocol version that leaves a session and a retained message.
const RETAINED: [&str; 5] = [
    "--filter=clean_session=false",
    "--filter=publish_qos=1",
    "--filter=subscribe_qos=1",
    "--filter=retain=true",
    "--filter=resubscribe=false",
];
const PREFIX: &str = "killed1";

/// A proxy that lets nobody come back: it swallows the second CONNECT of each session that shall outlive its
/// connection, and tells so.
fn no_return(broker: &Broker) -> (String, Receiver<()>) {
    let (told, reached) = mpsc::channel();
    let told = Mutex::new(told);
    let seen: Mutex<HashSet<String>> = Mutex::default();
    let url = proxy(broker, move |_, packet| match packet {
        // The checks of the clean-up ask for an interval of 0.
        Packet::Connect(connect) if !connect.clean && connect.session_expiry != Some(0) => {
            if seen.lock().unwrap().insert(connect.client_id.clone()) {
                return Fate::Pass;
            }
            told.lock().unwrap().send(()).unwrap();
            Fate::Swallow
        }
        _ => Fate::Pass,
    });
    (url, reached)
}

/// Starts a run and kills it when both cells have left a session and a retained message.
fn kill_in_the_middle(broker: &Broker, names: &[&str]) {
    let (url, reached) = no_return(broker);
    kill_when_stuck(matrix(&url, &[&RETAINED[..], names].concat()), &reached, 2);
    assert_eq!(broker.retained().len(), 2);
    assert!(broker.sessions().len() >= 2);
}

/// Kills a run when so many of its cells are stuck, and gives what it said on stderr.
fn kill_when_stuck(mut run: Command, reached: &Receiver<()>, cells: usize) -> String {
    let mut child = run.args(["--connect-timeout", "1h"]).spawn().unwrap();
    for _ in 0..cells {
        reached.recv_timeout(Duration::from_secs(30)).unwrap();
    }
    child.kill().unwrap();
    assert!(end_of(&mut child).code().is_none());
    std::io::read_to_string(child.stderr.take().unwrap()).unwrap()
}

fn clean(broker: &Broker, arguments: &[&str]) -> Ended {
    let mut command = program(["clean", "--broker", &url(serve(broker))]);
    command.args(arguments);
    run(command)
}

#[test]
fn clean_ends_what_a_killed_run_left() {
    // Retained copies that come late must be found, too.
    let late = test_broker::choices::RetainedCopies::Late(Duration::from_millis(200));
    for choices in [Choices::default(), Choices { retained_copies: late, ..Choices::default() }] {
        let broker = Broker::choosing(choices);
        kill_in_the_middle(&broker, &["--prefix", PREFIX]);
        let other = clean(&broker, &["--prefix", "other1"]);
        assert_eq!((other.code, broker.retained().len()), (Some(0), 2), "{}", other.stderr);
        let ended = clean(&broker, &["--prefix", PREFIX]);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        assert!(ended.stdout.contains("checked that none of them is left"), "{}", ended.stdout);
        assert_nothing_left(&broker);
    }
}

/// A scenario of a user's own whose client ids the built-in ones do not share.
const MINE: &str = r#"
name = "mine"
question = "Is what was retained there after the return?"
clients.subscriber = { protocol = "3.1.1", clean_session = false }
clients.publisher = { protocol = "3.1.1", clean_session = true }
steps = [
    { connect = "subscriber" },
    { connect = "publisher" },
    { subscribe = "subscriber", topic = "t", qos = 1 },
    { disconnect = "subscriber" },
    { publish = "publisher", topic = "t", qos = 1, retain = true },
    { connect = "subscriber" },
    { receive = "subscriber" },
]
"#;

#[test]
fn the_command_that_a_run_prints_ends_what_it_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my own.toml");
    std::fs::write(&path, MINE).unwrap();
    let broker = Broker::correct();
    let (url, reached) = no_return(&broker);
    let mut command = program(["run", "--broker", &url, "--repeat", "2", "--topic-prefix", "lab"]);
    command.arg(&path);
    let stderr = kill_when_stuck(command, &reached, 2);
    assert_eq!(broker.retained().len(), 2);
    let printed = stderr.split('`').nth(1).and_then(|command| command.strip_prefix("mqtt-sessions ")).unwrap();
    let mut words: Vec<&str> = printed.split(" '").next().unwrap().split(' ').collect();
    let file = printed.split('\'').nth(1).unwrap();
    words.push(file);
    let ended = run(program(words));
    assert_eq!(ended.code, Some(0), "{printed}: {}", ended.stderr);
    assert_nothing_left(&broker);
}

#[test]
fn clean_knows_both_prefixes() {
    let broker = Broker::correct();
    let names = ["--prefix", PREFIX, "--topic-prefix", "lab/killed"];
    kill_in_the_middle(&broker, &names);
    assert!(broker.retained().iter().all(|topic| topic.starts_with("lab/killed/")));
    assert_eq!(clean(&broker, &names).code, Some(0));
    assert_nothing_left(&broker);
}

#[test]
fn a_run_with_the_prefix_of_a_killed_one_is_not_disturbed_by_it() {
    let broker = Broker::correct();
    kill_in_the_middle(&broker, &["--prefix", PREFIX]);
    let ended = run(matrix(&url(serve(&broker)), &[&RETAINED[..], &["--prefix", PREFIX]].concat()));
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(ended.stdout.contains("2 cells: 2 pass"), "{}", ended.stdout);
    assert_nothing_left(&broker);
}

#[test]
fn what_an_earlier_run_left_and_nobody_can_end_is_told_with_the_command() {
    let broker = Broker::correct();
    let url = proxy_by_client(&broker, |connect, _| match connect.client_id.ends_with("cleaner") {
        true => Fate::Close,
        false => Fate::Pass,
    });
    let ended = run(matrix(&url, &[&RETAINED[..], &["--prefix", PREFIX]].concat()));
    let before = ended.stderr.lines().find(|line| line.starts_with("warning: before the run: ")).unwrap_or_default();
    assert!(before.contains("; when the broker answers again, `mqtt-sessions clean --broker "), "{}", ended.stderr);
}

#[test]
fn a_run_leaves_nothing() {
    let broker = Broker::correct();
    let ended = run(matrix(&url(serve(&broker)), &["--filter", "publish_qos=1"]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_nothing_left(&broker);
}

#[test]
fn what_cannot_be_checked_is_not_claimed() {
    let broker = Broker::choosing(Choices { refuse_v5: true, ..Choices::default() });
    let ended = clean(&broker, &["--prefix", PREFIX]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains(": 0 sessions and perhaps "), "{}", ended.stdout);
    assert!(ended.stdout.contains("not verifiable on 3.1.1"), "{}", ended.stdout);
    let forbidding = proxy(&Broker::correct(), |_, packet| match packet {
        Packet::Subscribe(_) => Fate::Close,
        _ => Fate::Pass,
    });
    let ended = run(program(["clean", "--broker", &forbidding, "--prefix", PREFIX]));
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(
        ended.stdout.contains("may be left") || ended.stdout.contains("does not let anybody look"),
        "{}",
        ended.stdout
    );
    assert!(!ended.stdout.contains("checked that none of them is left"), "{}", ended.stdout);
}

/// An embedded broker that has just begun has nothing to be cleaned.
#[test]
fn clean_needs_a_broker() {
    for arguments in [&["clean", "--prefix", "p"][..], &["clean", "--prefix", "p", "--broker", "embedded"]] {
        run(program(arguments)).gave_up(2, &["clean needs --broker URL", "leaves nothing"]);
    }
}
