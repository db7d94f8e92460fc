//! Hostile peers, one a case: at some stage of the experiment they do what no broker does. Each ends in time, in little memory,
//! with the exit code that the documentation tells, and with a sentence.

mod deed;
mod stage;
mod table;

use std::process::Child;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use mqtt_sessions::packet::Protocol;

use crate::program::{Ended, matrix, peak_kib, read_all};
use deed::Deed;
use stage::Stage;
use table::CASES;

/// How long one case may take on a busy machine; a tenth is usual.
const PATIENCE: Duration = Duration::from_secs(50);
/// How much memory one case may take at its peak.
const PEAK_KIB: u64 = 256 * 1024;
/// Most of the time of a case is waiting.
const SIDE_BY_SIDE: usize = 12;
/// Waits are shorter than usual, as the cases are many.
const SHORT: [&str; 4] = ["--deadline=300ms", "--connect-timeout=300ms", "--patience=300ms", "--settle=20ms"];
/// What no output has: a fault of the program, or something that drives a terminal.
const DEBRIS: [&str; 4] = ["panicked", "a fault of mqtt-sessions", "\u{1b}", "Error {"];

/// A peer, and what the program says about it.
pub struct Case {
    stage: Stage,
    deed: Deed,
    protocol: Protocol,
    code: i32,
    said: &'static str,
}

#[test]
fn each_hostile_peer_has_its_end() {
    assert!(CASES.len() >= 100, "{} cases", CASES.len());
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while let Some(case) = CASES.get(next.fetch_add(1, SeqCst)) {
                    let found = case.wrong();
                    wrong.lock().unwrap().extend(found);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), CASES.len(), wrong.join("\n"));
}

impl Case {
    /// What is wrong with the end of the case, if anything is.
    fn wrong(&self) -> Option<String> {
        let (ended, took, peak_kib) = self.play();
        let all = format!("{}{}", ended.stdout, ended.stderr);
        let found = if ended.code != Some(self.code) {
            format!("exit code {:?} in the place of {}", ended.code, self.code)
        } else if !all.contains(self.said) {
            format!("\"{}\" is not said", self.said)
        } else if let Some(debris) = DEBRIS.iter().find(|debris| all.contains(**debris)) {
            format!("{debris:?} is said")
        } else if took > PATIENCE || peak_kib > PEAK_KIB {
            format!("{took:?}, {peak_kib} KiB")
        } else {
            return None;
        };
        Some(format!("{:?} {:?} {}: {found}\n{all}", self.stage, self.deed, self.protocol))
    }

    fn play(&self) -> (Ended, Duration, u64) {
        let qos = self.stage.qos();
        let mut command = matrix(&self.stage.peer(self.deed), &SHORT);
        for filter in ["clean_session=false", "retain=false", "resubscribe=false"] {
            command.args(["--filter", filter]);
        }
        command.args(["--filter", &format!("protocol={}", self.protocol)]);
        command.args(["--filter", &format!("publish_qos={qos}"), "--filter", &format!("subscribe_qos={qos}")]);
        let began = Instant::now();
        let mut child = command.spawn().expect("the program starts");
        let (stdout, stderr) = (read_all(child.stdout.take()), read_all(child.stderr.take()));
        let (code, peak_kib) = watched(&mut child, began);
        let ended = Ended { code, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() };
        (ended, began.elapsed(), peak_kib)
    }
}

/// The exit code and the peak of the memory of a program that ends; one that hangs is killed.
fn watched(child: &mut Child, began: Instant) -> (Option<i32>, u64) {
    let mut peak = 0;
    loop {
        peak = peak.max(peak_kib(child));
        if let Some(status) = child.try_wait().unwrap() {
            return (status.code(), peak);
        }
        if began.elapsed() > PATIENCE {
            child.kill().unwrap();
        }
        thread::sleep(Duration::from_millis(10));
    }
}
