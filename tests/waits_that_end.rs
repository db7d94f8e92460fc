//! Experiments in which the harness once waited for ever: every run ends.

mod support;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use mqtt_sessions::results::Verdict;
use mqtt_sessions::scenario::Scenario;
use support::broker::Broker;
use support::measured::measure_scenario;

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
