//! Brokers that take few connections at once: the run does with fewer, and says so once.

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use mqtt_sessions::results::Verdict;

use crate::peers::{correct, listener, read_connect, serve};
use crate::program::{each_cell, matrix, program, run};
use test_broker::Broker;

/// The cells that ask for a resumption: 24 of each protocol version.
const CELLS: [&str; 2] = ["--filter=clean_session=false", "--filter=publish_qos=1,2"];

/// The correct broker behind a relay with room for so many connections, which says these bytes to all others.
fn with_room_for(connections: usize, refusal: &'static [u8]) -> String {
    let broker = serve(&Broker::correct());
    let open = Arc::new(AtomicUsize::new(0));
    listener(move |mut client| {
        if open.fetch_add(1, SeqCst) < connections {
            let server = TcpStream::connect(broker).unwrap();
            let _ = client.set_nodelay(true).and(server.set_nodelay(true));
            let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || copy(&from, &to));
            copy(&server, &client);
            // There is room again before the client learns of the end.
            open.fetch_sub(1, SeqCst);
            let _ = client.shutdown(Shutdown::Both);
        } else {
            read_connect(&mut client);
            open.fetch_sub(1, SeqCst);
            // A client that went away needs no answer.
            let _ = client.write_all(refusal);
        }
    })
}

/// How long a connection waits for others that come with it.
const BURST: Duration = Duration::from_millis(100);

/// The correct broker behind a relay that answers nobody who comes at once with more than so many others.
fn overwhelmed_by(connections: usize) -> String {
    let broker = serve(&Broker::correct());
    let open = Arc::new(AtomicUsize::new(0));
    listener(move |client| {
        open.fetch_add(1, SeqCst);
        let began = Instant::now();
        let mut has_room = true;
        while has_room && began.elapsed() < BURST {
            thread::sleep(Duration::from_millis(2));
            has_room = open.load(SeqCst) <= connections;
        }
        if has_room {
            let server = TcpStream::connect(broker).unwrap();
            let _ = client.set_nodelay(true).and(server.set_nodelay(true));
            let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || copy(&from, &to));
            copy(&server, &client);
        } else {
            // It keeps its place until all that came with it have seen how many they are.
            thread::sleep(BURST);
        }
        open.fetch_sub(1, SeqCst);
        let _ = client.shutdown(Shutdown::Both);
    })
}

#[test]
fn a_broker_that_answers_none_of_many_is_asked_by_few() {
    let ended = run(program(["clean", "--broker", &overwhelmed_by(12), "--prefix=killed2", "--storm=40"]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("checked that none of them is left"), "{}", ended.stdout);
}

/// Carries the bytes one way until either side ends.
fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

#[test]
fn a_broker_that_takes_five_connections_is_measured_with_fewer_cells_side_by_side() {
    let server_busy = b"\x20\x03\x00\x89\x00";
    let server_unavailable = b"\x20\x02\x00\x03";
    for (version, refusal) in [("3.1.1", &b""[..]), ("5.0", b""), ("5.0", server_busy), ("3.1.1", server_unavailable)] {
        let url = with_room_for(5, refusal);
        let protocol = format!("--filter=protocol={version}");
        let ended = run(matrix(&url, &[&CELLS[..], &[&protocol, "--export-json=-"]].concat()));
        assert_eq!(ended.code, Some(0), "{version}: {}", ended.stderr);
        // An eighth of the cells first, however many of them were refused.
        assert!(ended.stderr.contains("going on as with --jobs 3, or fewer\n"), "{}", ended.stderr);
        each_cell(&ended.results(), |_| Verdict::Pass);
    }
}

#[test]
#[cfg(unix)]
fn few_files_mean_few_cells_side_by_side() {
    let broker = correct();
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 100; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_mqtt-sessions"), "matrix", &broker]);
    limited.args(CELLS).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ended = run(limited);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let said = "this process may open only 100 files, so only 37 cells run side by side; ulimit -n raises that";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
}

/// There is no room for the subscriber and the publisher of one cell: that says nothing about sessions.
#[test]
fn a_broker_without_room_for_one_cell_is_not_accused() {
    let url = with_room_for(1, b"");
    let ended = run(matrix(&url, &[&CELLS[..], &["--filter=protocol=5.0", "--export-json=-"]].concat()));
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("the broker refused connections").count(), 1, "{}", ended.stderr);
    for cell in each_cell(&ended.results(), |_| Verdict::Inconclusive) {
        let reason = cell.reason.as_deref().unwrap_or_default();
        assert!(reason.contains("as a broker does that takes no more connections"), "{}: {reason}", cell.id);
    }
}
