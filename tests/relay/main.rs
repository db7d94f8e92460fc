//! Histories held against the bytes: a recording relay of the test's own stands between the harness and a broker, and can
//! delay, change or end what passes.
//!
//! `RELAY_ALL=1 cargo test --test relay` takes every scenario, and `RELAY_BROKER=127.0.0.1:1883` another broker than the
//! tests' own.

mod same;
mod wire;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};
use std::{env, thread};

use mqtt_sessions::connection::Endpoint;
use mqtt_sessions::history::History;
use mqtt_sessions::packet::Protocol;
use mqtt_sessions::plan::{self, Cell, Filter, Settings};
use mqtt_sessions::results::Verdict;
use mqtt_sessions::run::{self, Observer, Outcome, Place, Prefix, RunOptions, Target};
use mqtt_sessions::scenario::Scenario;
use test_broker::Broker;
use tokio::sync::watch;
use wire::{Fate, Passing, Relay, SharedTap, jitter};

/// How many attempts a run makes at a cell at most.
const ATTEMPTS_MAX: u32 = 3;

/// What is told while a run goes on.
#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl Observer for Warnings {
    fn round(&self, _attempt: u32, _cells: usize) {}
    fn cell(&self) {}
    fn warn(&self, sentence: String) {
        self.0.lock().unwrap().push(sentence);
    }
}

/// A run behind the relay.
struct Run {
    outcome: Outcome,
    warnings: Vec<String>,
    prefix: Prefix,
}

/// Serves a correct broker over TCP until the tests end.
fn serve() -> SocketAddr {
    let (ready, address) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (address, serving) = Broker::correct().listen().await.unwrap();
            ready.send(address).unwrap();
            serving.await.unwrap();
        });
    });
    address.recv().unwrap()
}

/// The broker behind the relay.
fn broker() -> SocketAddr {
    env::var("RELAY_BROKER").map_or_else(|_| serve(), |address| address.parse().unwrap())
}

fn cells(scenarios: &[&str], filters: &[&str]) -> Vec<Cell> {
    let settings = Settings::of(3);
    let all = scenarios.iter().flat_map(|name| plan::cells(&Scenario::load(name).unwrap(), settings)).collect();
    Filter::parse(filters).unwrap().select(all).unwrap()
}

fn cells_of(text: &str) -> Vec<Cell> {
    plan::cells(&Scenario::parse("test", text).unwrap(), Settings::of(3))
}

/// Runs these cells against the broker behind the relay.
fn run_cells(relay: &Relay, cells: Vec<Cell>, patience: Duration) -> Run {
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let second = Duration::from_secs(1);
        let target = Target::new(Endpoint::tcp([relay.address]), None, 5 * second, 5 * second);
        let prefix = Prefix::random();
        let mut probes = Vec::new();
        for protocol in Protocol::ALL {
            probes.push(run::probe(&target, &prefix, protocol).await);
        }
        let settle = Duration::from_millis(100);
        let (jobs, repeat) = (256, 1);
        let options = RunOptions {
            prefix: prefix.clone(),
            jobs,
            settle,
            patience,
            attempts_max: u32::MAX,
            repeat,
            keep_all_histories: true,
        };
        let (_interrupt, interrupted) = watch::channel(false);
        let warnings = Warnings::default();
        let outcome = run::run(&target, cells, &probes, &options, &warnings, interrupted).await;
        Run { outcome, warnings: warnings.0.into_inner().unwrap(), prefix }
    })
}

impl Run {
    /// The attempts at each cell.
    fn attempts(&self) -> Vec<(String, Vec<History>)> {
        let parse = |lines: &[String]| History::parse(lines.iter().map(String::as_str)).unwrap();
        let of = |id: &String| self.outcome.runs[id].attempts.iter().map(|attempt| parse(&attempt.history)).collect();
        self.outcome.cells.iter().map(|cell| (cell.id.clone(), of(&cell.id))).collect()
    }

    /// All lines of all histories.
    fn lines(&self) -> Vec<String> {
        self.attempts().iter().flat_map(|(_, attempts)| attempts.iter().flat_map(History::lines)).collect()
    }

    fn failed(&self) -> Vec<String> {
        let failed = self.outcome.cells.iter().filter(|cell| cell.verdict == Verdict::Fail);
        failed.map(|cell| format!("{}: {}", cell.id, cell.reason.as_deref().unwrap_or_default())).collect()
    }

    /// Holds every history against the bytes, and gives how many packets are the same.
    fn hold_against(&self, relay: &Relay, cells: &[Cell]) -> usize {
        let taps = relay.taps();
        let mut complaints = Vec::new();
        let mut packets = 0;
        for (id, attempts) in self.attempts() {
            let cell = cells.iter().find(|cell| cell.id == id).unwrap();
            for (number, history) in attempts.iter().enumerate() {
                // Where a cell was tried again and passed, the attempts before are not kept.
                let held: Result<usize, String> = (number as u32 + 1..=ATTEMPTS_MAX)
                    .map(|attempt| self.hold_attempt(cell, attempt, history, &taps))
                    .reduce(|first, next| first.or_else(|why| next.map_err(|_| why)))
                    .unwrap();
                match held {
                    Ok(count) => packets += count,
                    Err(why) => complaints.push(format!("{id}: {why}")),
                }
            }
        }
        let shown = complaints.iter().take(5).map(String::as_str).collect::<Vec<_>>().join("\n");
        assert!(complaints.is_empty(), "{} of the histories differ:\n{shown}", complaints.len());
        packets
    }

    fn hold_attempt(&self, cell: &Cell, attempt: u32, history: &History, taps: &[SharedTap]) -> Result<usize, String> {
        let told = same::told(&history.lines())?;
        let tag = Place { cell: &cell.id, repetition: 1, attempt }.tag();
        let wire_id = |name: &str| {
            let client = cell.clients.iter().find(|client| client.name == name).unwrap();
            client.client_id.map_or(String::new(), |own| run::client_id(&self.prefix, &tag, own))
        };
        let mut ids: Vec<String> = told.keys().map(|(name, _)| wire_id(name)).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut packets = 0;
        for client_id in ids {
            let own = told.iter().filter(|((name, _), _)| wire_id(name) == client_id);
            let own = own.map(|((name, number), told)| (format!("{name}#{number}"), told)).collect();
            let same_id = taps.iter().filter(|tap| tap.lock().unwrap().client_id == client_id).cloned();
            packets += same::compare(own, &same_id.collect::<Vec<_>>())?;
        }
        Ok(packets)
    }
}

fn pass(_: &Passing<'_>) -> Fate {
    Fate::Pass
}

#[test]
fn histories_tell_what_was_on_the_wire() {
    let all: Vec<&str> = Scenario::usual_names().collect();
    let few = ["cuts", "takeover", "qos2", "options", "identifiers"];
    let cells = if env::var_os("RELAY_ALL").is_some() { cells(&all, &[]) } else { cells(&few, &[]) };
    let relay = Relay::start(broker(), pass);
    let run = run_cells(&relay, cells.clone(), Duration::ZERO);
    assert_eq!(run.outcome.cells.len(), cells.len());
    let packets = run.hold_against(&relay, &cells);
    assert!(packets > 20 * cells.len(), "only {packets} packets in {} cells", cells.len());

    // A history that is not what was on the wire is noticed.
    let (id, attempts) = run.attempts().into_iter().next().unwrap();
    let cell = cells.iter().find(|cell| cell.id == id).unwrap();
    let lines = attempts[0].lines();
    let holds = |lines: &[String]| {
        let history = History::parse(lines.iter().map(String::as_str)).unwrap();
        (1..=ATTEMPTS_MAX).any(|attempt| run.hold_attempt(cell, attempt, &history, &relay.taps()).is_ok())
    };
    assert!(holds(&lines));
    for (place, line) in lines.iter().enumerate().filter(|(_, line)| line.contains(" PUB") && !line.contains("half of"))
    {
        for other in
            [line.replace(" id=", " id=1"), line.replace("dup=0", "dup=1"), line.replace("payload=", "payload=x")]
        {
            let changed = [&lines[..place], std::slice::from_ref(&other), &lines[place + 1..]].concat();
            assert!(other == *line || line.contains("witness") || !holds(&changed), "{other}");
        }
        let without = [&lines[..place], &lines[place + 1..]].concat();
        // What a client did not look at any more is not told, so the last packet of a connection may be missing.
        let who = line.split(' ').nth(1).unwrap();
        let is_later = |line: &String| line.contains(&format!("{who} <- ")) && !line.contains("<- end");
        let is_last_received = line.contains("<-") && !without[place..].iter().any(is_later);
        assert!(line.contains("witness") || is_last_received || !holds(&without), "without {line}");
    }
}

#[test]
fn behind_jitter_no_correct_broker_is_failed() {
    let mut cells = cells(&["away"], &["away=takeover"]);
    cells.extend(self::cells(&["cuts"], &["point=puback,pubrec", "leg=subscriber,publisher,clean_start"]));
    cells.extend(self::cells(&["wills"], &["ending=silence,disconnect"]));
    let relay = Relay::start(broker(), |_| Fate::Delay(jitter(20, 170)));
    let run = run_cells(&relay, cells.clone(), Duration::ZERO);
    run.hold_against(&relay, &cells);
    assert_eq!(run.failed(), [] as [&str; 0]);
}

#[test]
fn a_client_pings_while_an_answer_is_late() {
    let cells = cells_of(
        r#"
        name = "keep_alive"
        question = "Does the harness keep its Keep Alive?"
        axes.protocol = ["3.1.1", "5.0"]
        clients.subscriber = { protocol = "$protocol", clean_session = true, keep_alive = 1, will = { topic = "will", qos = 0, retain = false } }
        clients.publisher = { protocol = "$protocol", clean_session = true, keep_alive = 1 }
        steps = [
            { connect = "subscriber" },
            { connect = "publisher" },
            { subscribe = "subscriber", topic = "t", qos = 1 },
            { publish = "publisher", topic = "t", qos = 1 },
            { receive = "subscriber" },
            { disconnect = "subscriber" },
        ]
        "#,
    );
    let late = |passing: &Passing<'_>| {
        let is_suback = passing.from_broker && passing.frame[0] == 0x90;
        if is_suback && !passing.client_id.contains("witness") {
            Fate::Hold(Duration::from_secs(3))
        } else {
            Fate::Pass
        }
    };
    let relay = Relay::start(broker(), late);
    let run = run_cells(&relay, cells.clone(), Duration::ZERO);
    run.hold_against(&relay, &cells);
    let verdicts: Vec<Verdict> = run.outcome.cells.iter().map(|cell| cell.verdict).collect();
    assert_eq!(verdicts, [Verdict::Pass; 2], "{}", run.lines().join("\n"));
    for client in ["subscriber#1 -> PINGREQ", "publisher#1 -> PINGREQ"] {
        let pings = run.lines().iter().filter(|line| line.ends_with(client)).count();
        assert!(pings >= 8, "{pings} of {client} in two cells of three seconds");
    }
}

#[test]
fn a_broker_that_dies_is_noticed_once() {
    let passed = AtomicU32::new(0);
    let relay =
        Relay::start(
            serve(),
            move |_| {
                if passed.fetch_add(1, Ordering::Relaxed) == 600 { Fate::Die } else { Fate::Pass }
            },
        );
    let began = Instant::now();
    let run = run_cells(&relay, cells(&["matrix"], &[]), Duration::ZERO);
    let gone = run.outcome.gone.expect("it is gone");
    assert!(!gone.cells.is_empty() && gone.sentence().contains("nothing listens there"), "{}", gone.sentence());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let blamed: Vec<&str> =
        run.outcome.cells.iter().filter(|cell| cell.verdict != Verdict::Pass).map(|cell| cell.id.as_str()).collect();
    assert_eq!(blamed, [] as [&str; 0]);
}

#[test]
fn a_broker_that_falls_silent_is_noticed_within_three_deadlines() {
    let passed = AtomicU32::new(0);
    let relay = Relay::start(serve(), move |_| {
        if passed.fetch_add(1, Ordering::Relaxed) == 600 { Fate::FallSilent } else { Fate::Pass }
    });
    let began = Instant::now();
    let run = run_cells(&relay, cells(&["matrix"], &[]), Duration::from_secs(30));
    assert!(run.outcome.gone.is_some());
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn the_witness_reads_past_a_malformed_will() {
    // The Will Delay Interval belongs to no PUBLISH (5.0, section 3.3.2.3).
    let meddle = |passing: &Passing<'_>| {
        let is_publish = passing.from_broker && passing.frame[0] >> 4 == 3 && passing.client_id.contains("witness5");
        if !is_publish || !String::from_utf8_lossy(passing.frame).contains(":will") {
            return Fate::Pass;
        }
        let (topic, rest) = wire::string(wire::body(passing.frame));
        assert!(rest[0] == 0 && rest.len() + topic.len() < 100, "it has no properties, and is short");
        let mut changed = vec![passing.frame[0], 0, 0, topic.len() as u8];
        changed.extend_from_slice(topic);
        changed.extend_from_slice(&[5, 0x18, 0, 0, 0, 1]);
        changed.extend_from_slice(&rest[1..]);
        changed[1] = changed.len() as u8 - 2;
        Fate::Change(changed)
    };
    let relay = Relay::start(broker(), meddle);
    let run = run_cells(&relay, cells(&["cuts"], &["protocol=5.0", "qos=1", "leg=subscriber"]), Duration::ZERO);
    let seen =
        run.lines().iter().filter(|line| line.contains("witness#1 <- undecodable") && line.contains("0x18")).count();
    assert!(seen >= run.outcome.cells.len(), "{seen} in {} cells", run.outcome.cells.len());
    assert!(!run.lines().iter().any(|line| line.contains("-- no will")));
    assert!(run.outcome.helpers.is_empty() && run.warnings.is_empty(), "{:?}", run.warnings);
}

#[test]
fn the_witness_comes_back_and_its_end_is_kept() {
    let closed = Arc::new(AtomicU32::new(0));
    let meddle = move |passing: &Passing<'_>| {
        let is_copy = passing.from_broker && passing.frame[0] >> 4 == 3 && passing.client_id.contains("witness3");
        if is_copy && closed.fetch_add(1, Ordering::Relaxed) == 3 { Fate::Close } else { Fate::Pass }
    };
    let relay = Relay::start(broker(), meddle);
    let run = run_cells(&relay, cells(&["takeover"], &["protocol=3.1.1"]), Duration::ZERO);
    let [helper] = &run.outcome.helpers[..] else { panic!("{:?}", run.outcome.helpers) };
    let lines = helper.lines();
    assert!(lines.iter().any(|line| line.ends_with("witness#1 <- end fin")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("witness#2 -> SUBSCRIBE")), "{lines:?}");
    assert_eq!(run.warnings.len(), 1, "{:?}", run.warnings);
    assert_eq!(run.failed(), [] as [&str; 0]);
}

#[test]
fn a_witness_that_is_taken_over_says_so() {
    let copies = AtomicU32::new(0);
    let meddle = move |passing: &Passing<'_>| {
        let is_copy = passing.from_broker && passing.frame[0] >> 4 == 3 && passing.client_id.contains("witness5");
        match is_copy.then(|| copies.fetch_add(1, Ordering::Relaxed)) {
            Some(3) => Fate::Change(vec![0xe0, 1, 0x8e]),
            Some(4) => Fate::Close,
            _ => Fate::Pass,
        }
    };
    let relay = Relay::start(broker(), meddle);
    let run = run_cells(&relay, cells(&["takeover"], &["protocol=5.0"]), Duration::ZERO);
    let [warning] = &run.warnings[..] else { panic!("{:?}", run.warnings) };
    assert!(warning.contains("somebody else uses the prefix"), "{warning}");
    let lines = run.outcome.helpers.iter().flat_map(History::lines).collect::<Vec<_>>();
    assert!(lines.iter().any(|line| line.ends_with("witness#1 <- DISCONNECT reason=0x8e")), "{lines:?}");
}

#[test]
fn what_comes_late_is_not_what_never_comes() {
    let late = Duration::from_secs(4);
    let meddle = move |passing: &Passing<'_>| {
        let is_retained = passing.from_broker && passing.frame[0] >> 4 == 3 && passing.frame[0] & 1 == 1;
        if is_retained { Fate::Hold(late) } else { Fate::Pass }
    };
    let relay = Relay::start(serve(), meddle);
    let filters = ["clean_session=true", "retain=true", "resubscribe=true", "publish_qos=1", "subscribe_qos=1"];
    let began = Instant::now();
    let run = run_cells(&relay, cells(&["matrix"], &filters), Duration::from_secs(8));
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let mut times = Vec::new();
    for (id, attempts) in run.attempts() {
        let lines = attempts.last().unwrap().lines();
        let line = lines.iter().find(|line| line.contains("subscriber#2 <- PUBLISH") && line.contains("retain=1"));
        let time = line.and_then(|line| line.split_once(' ')?.0.parse::<f64>().ok());
        times.push(time.unwrap_or_else(|| panic!("{id}:\n{}", lines.join("\n"))));
    }
    assert!(times.len() == 2 && times.iter().all(|time| *time > 4000.0), "{times:?}");
    assert_eq!(run.failed(), [] as [&str; 0]);
}
