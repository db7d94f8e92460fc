//! A broker that restarts in the middle of a run and has lost all sessions: nobody is accused, and the rest of the run is right.

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;

use mqtt_sessions::results::{CellResult, Verdict};

use crate::peers::{assert_nothing_left, serve, url};
use crate::program::{each_cell, matrix, program, run};
use test_broker::Broker;

/// How many connections of a matrix there are before the restart: the first cells are done, and many are under way.
const BEFORE: usize = 150;
/// How many connections end at once while the broker is away.
const AWAY: usize = 20;

struct Restarting {
    brokers: [SocketAddr; 2],
    /// How many connections there are before the restart.
    before: usize,
    accepted: AtomicUsize,
    open: Mutex<Vec<TcpStream>>,
}

impl Restarting {
    fn carry(&self, client: TcpStream) {
        let number = self.accepted.fetch_add(1, SeqCst);
        if number == self.before {
            for stream in self.open.lock().unwrap().drain(..) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        if (self.before..self.before + AWAY).contains(&number) {
            return;
        }
        let server = TcpStream::connect(self.brokers[usize::from(number > self.before)]).unwrap();
        // Only speed depends on it.
        let _ = client.set_nodelay(true).and(server.set_nodelay(true));
        let handles = [client.try_clone().unwrap(), server.try_clone().unwrap()];
        if number < self.before {
            self.open.lock().unwrap().extend(handles);
        }
        let copy = |mut from: TcpStream, mut to: TcpStream| {
            thread::spawn(move || {
                // Either side may break the connection.
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Write);
            })
        };
        copy(client.try_clone().unwrap(), server.try_clone().unwrap());
        copy(server, client);
    }
}

/// A relay to a broker that restarts behind so many connections, its address, and the broker behind the restart.
fn restarting(before: usize) -> (Arc<Restarting>, SocketAddr, Broker) {
    let [first, second] = [Broker::correct(), Broker::correct()];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let restarting = Arc::new(Restarting {
        brokers: [serve(&first), serve(&second)],
        before,
        accepted: AtomicUsize::new(0),
        open: Mutex::default(),
    });
    let relay = restarting.clone();
    thread::spawn(move || listener.incoming().flatten().for_each(|client| relay.carry(client)));
    (restarting, address, second)
}

#[test]
fn a_broker_that_restarts_without_its_sessions_is_not_accused() {
    let (restarting, address, second) = restarting(BEFORE);
    let ended = run(matrix(&url(address), &["--jobs", "64", "--export-json", "-"]));
    assert!(restarting.accepted.load(SeqCst) > BEFORE + AWAY, "{}", ended.stderr);
    let results = ended.results();
    assert_eq!(results.cells.len(), 144);
    each_cell(&results, |_| Verdict::Pass);
    assert!(results.broker_findings.violations.is_empty(), "{:?}", results.broker_findings);
    let warnings: Vec<&str> = ended.stderr.lines().filter(|line| line.contains("warning")).collect();
    assert!(
        matches!(warnings[..], [one] if one.contains("which is back; cells that this disturbed are tried again")),
        "{warnings:?}"
    );
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_nothing_left(&second);
}

#[test]
fn whoever_asks_for_one_attempt_has_what_the_restart_disturbed_as_it_is() {
    let (_, address, _) = restarting(BEFORE);
    let ended = run(matrix(&url(address), &["--jobs", "64", "--attempts", "1", "--export-json", "-"]));
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let cells = ended.results().cells;
    let accuses = |cell: &&CellResult| !matches!(cell.verdict, Verdict::Pass | Verdict::Inconclusive | Verdict::Error);
    let accused: Vec<_> = cells.iter().filter(accuses).map(|cell| (&cell.id, cell.verdict, &cell.reason)).collect();
    assert!(accused.is_empty(), "{accused:?}");
    let disturbed = "the connection of the witness ended in the middle, as where a broker restarts";
    assert!(cells.iter().any(|cell| cell.reason.as_ref().is_some_and(|why| why.contains(disturbed))));
}

/// What a broker has lost in a restart is no number of its configuration.
#[test]
fn a_probe_takes_no_restart_for_a_limit() {
    let mut outlived = 0;
    for before in [30, 90, 150, 210] {
        let (restarting, address, _) = restarting(before);
        let ended = run(program(["probe", &url(address), "--wait=3s", "--details"]));
        // A probe may also end there, since the broker is gone for it.
        outlived += usize::from(!ended.stdout.contains("Not all was asked"));
        assert!(restarting.accepted.load(SeqCst) > before, "{before}: {}", ended.stderr);
        for wrong in ["≠", "unstable", "ends the session", "drops", "not kept"] {
            assert!(!ended.stdout.contains(wrong), "{before}: {wrong}: {}", ended.stdout);
        }
    }
    assert!(outlived > 0, "no probe came to its end");
}
