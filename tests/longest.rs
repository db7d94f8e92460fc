//! The longest that a run can take is known before it begins, whatever the broker does.

use std::time::Duration;

use mqtt_sessions::connection::Endpoint;
use mqtt_sessions::measure::end_of_run;
use mqtt_sessions::packet::Protocol;
use mqtt_sessions::plan::{self, Cell, Role, Settings};
use mqtt_sessions::run::{self, Leftovers, Longest, Observer, Prefix, RunOptions, SessionLeft, Target};
use mqtt_sessions::scenario::Scenario;
use test_broker::{Broker, Defect};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

const DEADLINE: Duration = Duration::from_secs(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(3);
const PIPE_BYTES: usize = 64 * 1024;

/// How a broker is late.
#[derive(Debug, Clone, Copy)]
enum Late {
    /// Each answer comes so much later.
    Each(Duration),
    /// Each answer comes so much later than the one before.
    OneByOne(Duration),
}

/// The broker behind a pipe that holds back what it says.
fn delayed(broker: &Broker, late: Late) -> Endpoint {
    let broker = broker.clone();
    Endpoint::in_process(std::sync::Arc::new(move || {
        let (ours, theirs) = duplex(PIPE_BYTES);
        tokio::spawn(carry(theirs, broker.pipe(), late));
        ours
    }))
}

async fn carry(client: DuplexStream, broker: DuplexStream, late: Late) {
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_broker, mut to_broker) = tokio::io::split(broker);
    let (queue, mut queued) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let there = async {
        // The end of either side ends the other one.
        let _ = tokio::io::copy(&mut from_client, &mut to_broker).await;
        let _ = to_broker.shutdown().await;
    };
    let read = async move {
        let mut bytes = vec![0; PIPE_BYTES];
        let mut free = Instant::now();
        loop {
            let count = from_broker.read(&mut bytes).await.unwrap_or(0);
            free = match late {
                Late::Each(by) => Instant::now() + by,
                Late::OneByOne(by) => free.max(Instant::now()) + by,
            };
            if queue.send((free, bytes[..count].to_vec())).is_err() || count == 0 {
                return;
            }
        }
    };
    let back = async {
        while let Some((at, bytes)) = queued.recv().await {
            sleep_until(at).await;
            if bytes.is_empty() || to_client.write_all(&bytes).await.is_err() {
                break;
            }
        }
        let _ = to_client.shutdown().await;
    };
    tokio::join!(there, read, back);
}

struct Quiet;

impl Observer for Quiet {
    fn round(&self, _attempt: u32, _cells: usize) {}
    fn cell(&self) {}
    fn warn(&self, _sentence: String) {}
}

/// How a run ended.
struct Ended {
    took: Duration,
    longest: Longest,
    /// Cells are missing.
    is_cut_short: bool,
}

/// Runs the cells as the program does.
fn run_to_its_end(endpoint: Endpoint, cells: Vec<Cell>) -> Ended {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let target = Target::new(endpoint, None, DEADLINE, CONNECT_TIMEOUT);
        let prefix = Prefix::new("mslong", "mslong").unwrap();
        let mut probes = Vec::new();
        for protocol in Protocol::ALL {
            probes.push(run::probe(&target, &prefix, protocol).await);
        }
        let options = RunOptions {
            prefix,
            jobs: 5,
            settle: Duration::from_millis(50),
            patience: PATIENCE,
            attempts_max: u32::MAX,
            repeat: 1,
            keep_all_histories: false,
        };
        let versions: Vec<Protocol> =
            probes.iter().filter(|probe| probe.outcome.is_ok()).map(|probe| probe.protocol).collect();
        let longest = Longest::of(&cells, &target, &options, &versions, None);
        let (_interrupt, interrupted) = watch::channel(false);
        let end = end_of_run(interrupted, longest.cells);
        let planned = cells.len();
        let began = Instant::now();
        let outcome = run::run(&target, cells, &probes, &options, &Quiet, end).await;
        Ended { took: began.elapsed(), longest, is_cut_short: outcome.cells.len() < planned }
    })
}

/// Every n-th cell of a scenario.
fn cells(scenario: &str, every: usize) -> Vec<Cell> {
    let settings = Settings::of(3);
    plan::cells(&Scenario::load(scenario).unwrap(), settings).into_iter().step_by(every).collect()
}

/// Scenarios in which clients are cut off, fall silent, take over, race, withhold answers and wait for timers; and a backlog
/// that a broker can draw out over hours.
const SCENARIOS: [(&str, usize); 9] = [
    ("matrix", 11),
    ("away", 17),
    ("qos2", 3),
    ("resend", 7),
    ("takeover", 3),
    ("wills", 5),
    ("window", 3),
    ("cuts", 9),
    ("long_backlog", 8),
];

/// As late as the deadline of an answer permits, or that of a connection, or the patience of the last attempt.
#[test]
fn no_broker_makes_a_run_longer_than_was_said() {
    let just_in_time = Duration::from_millis(20);
    let mut cut_short = 0;
    for (scenario, every) in SCENARIOS {
        for late in [
            Late::Each(DEADLINE - just_in_time),
            Late::Each(CONNECT_TIMEOUT - just_in_time),
            Late::Each(PATIENCE - just_in_time),
            Late::OneByOne(DEADLINE / 2),
            Late::OneByOne(DEADLINE - just_in_time),
        ] {
            for broker in [Broker::correct(), Broker::lying(Defect::LosesLast)] {
                let ended = run_to_its_end(delayed(&broker, late), cells(scenario, every));
                let Ended { took, longest, is_cut_short } = ended;
                assert!(took <= longest.cells + longest.around, "{scenario}, {late:?}: {took:?} of {longest:?}");
                cut_short += usize::from(is_cut_short);
            }
        }
    }
    assert!(cut_short > 0, "no broker here needs the bound");
}

/// A broker that answers at once is never cut short, and takes half of the time, whatever it loses.
#[test]
fn no_prompt_broker_is_cut_short() {
    for (scenario, every) in SCENARIOS {
        for defect in [Defect::LosesLast, Defect::LosesSession, Defect::ForgetsSubscriptions] {
            let ended = run_to_its_end(Broker::lying(defect).endpoint(), cells(scenario, every));
            let Ended { took, longest, is_cut_short } = ended;
            assert!(took <= longest.prompt + longest.around, "{scenario}, {defect:?}: {took:?} of {longest:?}");
            assert!(!is_cut_short, "{scenario}, {defect:?}");
        }
    }
}

/// Each session waits for a CONNACK and for the end of its connection, those of 3.1.1 twice.
#[test]
fn the_clean_up_has_time_for_each_session_of_a_far_broker() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let cleanup = runtime.block_on(async {
        let far = Late::Each(Duration::from_millis(400));
        let target = Target::new(delayed(&Broker::correct(), far), None, DEADLINE, CONNECT_TIMEOUT);
        let prefix = Prefix::new("msfar", "msfar").unwrap();
        let mut leftovers = Leftovers::default();
        for number in 0..800 {
            leftovers.add(SessionLeft {
                client_id: format!("msfar{number}"),
                protocol: Protocol::ALL[number % 2],
                role: Role::Main,
                persists: true,
                existed: true,
            });
        }
        run::clean(&target, &prefix, leftovers, &Protocol::ALL).await
    });
    assert!(cleanup.is_clean() && cleanup.sessions_ended == 800, "{}", cleanup.sentence());
}

/// A broker that started at once is not thought to take a minute each time.
#[tokio::test]
async fn a_broker_that_starts_at_once_makes_no_long_estimate() {
    let target = Target::new(Broker::correct().endpoint(), None, DEADLINE, CONNECT_TIMEOUT);
    let options = RunOptions {
        prefix: Prefix::new("mslong", "mslong").unwrap(),
        jobs: 64,
        settle: Duration::from_millis(50),
        patience: PATIENCE,
        attempts_max: u32::MAX,
        repeat: 1,
        keep_all_histories: false,
    };
    let cells = cells("cluster_outages", 1);
    let of = |target: &Target| Longest::of(&cells, target, &options, &Protocol::ALL, None).cells;
    let (unknown, prompt) = (of(&target), of(&target.clone().with_start(Duration::from_millis(100))));
    assert!(prompt < unknown / 2, "{prompt:?} of {unknown:?}");
    let slow = of(&target.with_start(Duration::from_secs(100)));
    assert_eq!(slow, unknown, "no estimate is beyond the bound of the operator");
}

#[test]
fn only_a_long_run_is_worth_a_sentence() {
    let of = |cells: u64| {
        let (cells, around) = (Duration::from_secs(cells), Duration::from_secs(60));
        Longest { prompt: cells, cells, around }.sentence()
    };
    assert_eq!(of(540), None);
    let said = "the run takes 1h 2m at most, and far less if the broker loses nothing; --time-limit changes that";
    assert_eq!(of(3601).as_deref(), Some(said));
}
