//! Ways to the broker that close idle connections, or let only so much through in a second: the broker is not accused for them.

use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use mqtt_sessions::results::Verdict;
use socket2::SockRef;

use crate::peers::{listener, serve};
use crate::program::{Ended, each_cell, matrix, program, run};
use crate::proxy::{Fate, proxy};
use test_broker::Broker;

/// Cells that ask for a resumption.
const CELLS: [&str; 4] =
    ["--filter=clean_session=false", "--filter=protocol=5.0", "--filter=publish_qos=1,2", "--export-json=-"];

/// Carries bytes both ways until either side ends. A connection on which nothing comes from the broker for so long is closed.
fn carry(client: &TcpStream, server: &TcpStream, idle: Option<Duration>) {
    // Only speed depends on it.
    let _ = client.set_nodelay(true).and(server.set_nodelay(true));
    let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || copy(&from, &to));
    server.set_read_timeout(idle).unwrap();
    copy(server, client);
    let _ = client.shutdown(Shutdown::Both).and(server.shutdown(Shutdown::Both));
}

/// Carries the bytes one way until either side ends, or the time for the next ones is over.
fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

/// Nobody but the witness is connected while its messages wait.
const WAITS: &str = r#"
name = "waits"
question = "Do messages wait as long as they may?"
clients.subscriber = { protocol = "5.0", clean_session = false }
clients.publisher = { protocol = "5.0", clean_session = true }
steps = [
    { connect = "subscriber" },
    { connect = "publisher" },
    { subscribe = "subscriber", topic = "t", qos = 1 },
    { disconnect = "subscriber" },
    { publish = "publisher", topic = "t", qos = 1, message_expiry = 2 },
    { publish = "publisher", topic = "t", qos = 1, message_expiry = 3600 },
    { disconnect = "publisher" },
    { wait = "subscriber", timer = "message_expiry", seconds = 4 },
    { connect = "publisher" },
    { connect = "subscriber" },
    { receive = "subscriber" },
]
"#;

#[test]
fn a_proxy_that_closes_idle_connections_does_not_cost_the_witness() {
    let broker = serve(&Broker::correct());
    let idle = Some(Duration::from_millis(1500));
    let url = listener(move |client| carry(&client, &TcpStream::connect(broker).unwrap(), idle));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("waits.toml");
    std::fs::write(&path, WAITS).unwrap();
    let mut command = program(["run", "--export-json=-", "--broker", &url]);
    command.arg(path);
    let ended = run(command);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    each_cell(&ended.results(), |_| Verdict::Pass);
    let warnings: Vec<&str> = ended.stderr.lines().filter(|line| line.contains("warning")).collect();
    assert!(matches!(warnings[..], [one] if one.contains("which is back")), "{warnings:?}");
}

/// A client that is idle cannot know that a proxy is on the way. Nothing is a fail.
#[test]
fn a_client_that_a_proxy_closed_while_it_was_idle() {
    let broker = serve(&Broker::correct());
    let idle = Some(Duration::from_secs(1));
    let url = listener(move |client| carry(&client, &TcpStream::connect(broker).unwrap(), idle));
    let ended = run(program(["run", "last_second", "--filter=qos=1", "--export-json=-", "--broker", &url]));
    assert!(matches!(ended.code, Some(0 | 3)), "{}", ended.stderr);
    let results = ended.results();
    assert!(results.cells.iter().all(|cell| matches!(cell.verdict, Verdict::Warn | Verdict::Inconclusive)));
    assert!(results.broker_findings.violations.is_empty());
}

/// So many in a second, and as many at once after a pause.
struct Rate {
    each: Duration,
    burst: u32,
    /// When all that came so far would have come at this rate.
    until: Mutex<Instant>,
}

impl Rate {
    fn new(a_second: u32, burst: u32) -> Arc<Rate> {
        let (each, now) = (Duration::from_secs(1) / a_second, Instant::now());
        let until = now.checked_sub(each * burst).unwrap_or(now);
        Arc::new(Rate { each, burst, until: Mutex::new(until) })
    }

    /// How long the next one would have to wait; it counts if that is no longer than this.
    fn next(&self, longest: Duration) -> Option<Duration> {
        let mut until = self.until.lock().unwrap();
        let now = Instant::now();
        let next = (*until).max(now.checked_sub(self.each * self.burst).unwrap_or(now)) + self.each;
        let wait = next.saturating_duration_since(now);
        if wait > longest {
            return None;
        }
        *until = next;
        Some(wait)
    }
}

/// The run went on with fewer cells side by side. How many of them pass depends on how busy this machine is, and the clean-up may
/// not come to its end; the broker is never accused.
#[track_caller]
fn adapts(ended: &Ended) {
    assert!(matches!(ended.code, Some(0 | 3)), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("going on as with --jobs ").count(), 1, "{}", ended.stderr);
    for cell in ended.results().cells {
        assert!(!matches!(cell.verdict, Verdict::Fail | Verdict::Warn), "{}: {:?}", cell.id, cell.reason);
    }
}

const ENDLESS: Duration = Duration::from_secs(3600);

#[test]
fn connections_that_wait_for_their_turn() {
    let broker = serve(&Broker::correct());
    let rate = Rate::new(60, 1);
    let url = listener(move |client| {
        thread::sleep(rate.next(ENDLESS).unwrap());
        carry(&client, &TcpStream::connect(broker).unwrap(), None);
    });
    // All cells begin at once, and the last of them would wait too long.
    let ended = run(matrix(&url, &[&CELLS[..], &["--jobs=64", "--connect-timeout=300ms"]].concat()));
    adapts(&ended);
}

#[test]
fn connections_that_are_reset_where_they_are_too_many_in_a_second() {
    let broker = serve(&Broker::correct());
    let rate = Rate::new(40, 40);
    let url = listener(move |client| match rate.next(Duration::ZERO) {
        Some(_) => carry(&client, &TcpStream::connect(broker).unwrap(), None),
        None => SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap(),
    });
    let ended = run(matrix(&url, &CELLS));
    adapts(&ended);
}

#[test]
fn packets_that_wait_for_their_turn() {
    let rate = Rate::new(400, 1);
    let url = proxy(&Broker::correct(), move |_, _| {
        thread::sleep(rate.next(ENDLESS).unwrap());
        Fate::Pass
    });
    let ended = run(matrix(&url, &CELLS));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    each_cell(&ended.results(), |_| Verdict::Pass);
}
