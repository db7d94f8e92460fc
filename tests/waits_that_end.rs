//! Experiments in which the harness once waited for ever: every run ends.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use mqtt_sessions::plan::{Settings, cells};
use mqtt_sessions::results::Verdict;
use mqtt_sessions::scenario::Scenario;
use test_broker::measured::{measure_scenario, run_cells};
use test_broker::{Broker, Choices};

/// A run takes milliseconds, since the time of its clock costs none.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the scenario against the correct broker, with time that passes only while everybody waits.
fn verdict(clients_and_steps: &str) -> Verdict {
    let text = format!("name = \"mine\"\nquestion = \"Does it end?\"\n{clients_and_steps}");
    let scenario = Scenario::parse("mine.toml", &text).unwrap();
    let (ended, ends) = mpsc::channel();
    thread::spawn(move || ended.send(measure_scenario(&Broker::correct(), &scenario)[0].verdict));
    ends.recv_timeout(PATIENCE).expect("the run did not end")
}

/// A PINGREQ that is due cannot follow half of a packet.
#[test]
fn a_ping_is_due_behind_half_of_a_packet() {
    let verdict = verdict(
        r#"clients.one = { protocol = "5.0", clean_session = false }
clients.other = { protocol = "5.0", clean_session = false }
steps = [
    { connect = "one" },
    { connect = "other" },
    { publish = "other", topic = "t", qos = 1, messages = 1, until = "half" },
    { wait = "one", timer = "message_expiry", seconds = 100 },
    { cut = "other" },
]"#,
    );
    assert_ne!(verdict, Verdict::Error);
}

/// The broker ends the connection of a client whose packets are lost, since another one takes its session over.
#[test]
fn a_client_whose_packets_are_lost_is_taken_over() {
    let verdict = verdict(
        r#"clients.one = { protocol = "3.1.1", clean_session = false }
clients.heir = { protocol = "3.1.1", clean_session = false, client_id = "one" }
steps = [
    { connect = "one" },
    { publish = "one", topic = "t", qos = 1, messages = 1, until = "puback" },
    { connect = "heir" },
]"#,
    );
    assert_eq!(verdict, Verdict::Pass);
}

/// The broker may ask for a Keep Alive of hours; nobody waits until it has run out.
#[test]
fn a_keep_alive_of_hours_is_not_waited_for() {
    let text = r#"name = "mine"
question = "Does it end?"
clients.one = { protocol = "5.0", clean_session = false, keep_alive = 1 }
steps = [
    { connect = "one" },
    { silence = "one" },
]"#;
    let scenario = Scenario::parse("mine.toml", text).unwrap();
    let broker = Broker::choosing(Choices { server_keep_alive: Some(u16::MAX), ..Choices::default() });
    let outcome = run_cells(&broker, cells(&scenario, Settings::of(3)));
    let cell = &outcome.cells[0];
    assert_eq!(cell.verdict, Verdict::Inconclusive, "{cell:?}");
    assert!(cell.reason.as_ref().unwrap().contains("a Keep Alive of 65535 s is longer"), "{cell:?}");
    let lines = &outcome.runs[&cell.id].attempts[0].history;
    let last: f64 = lines.last().unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(last < 60_000.0, "{last} ms: {lines:?}");
}
