//! Brokers whose CONNACK breaks the standard, also the first one that the program sees, and brokers that announce little.

use std::io::Write;
use std::time::{Duration, Instant};

use mqtt_sessions::packet::{Packet, Protocol};
use mqtt_sessions::results::{Results, Verdict, Violation};

use crate::peers::{listener, read_connect, serve, url, wait_for_end};
use crate::program::{Ended, QUEUED, each_cell, matrix, run};
use crate::proxy::{Fate, proxy};
use test_broker::{Broker, Choices, Defect};

/// Longer than any of these runs takes, of which none waits for anything, and shorter than the waits for what never comes.
const AT_ONCE: Duration = Duration::from_secs(15);

const RECEIVE_MAXIMUM_0: &[u8] = &[0x20, 6, 0, 0, 3, 0x21, 0, 0];
const REASON_NOT_UTF8: &[u8] = &[0x20, 7, 0, 0, 4, 0x1f, 0, 1, 0xff];
const REFUSAL_OF_V3: &[u8] = &[0x20, 2, 0, 1];

/// A listener that answers each CONNECT of 5.0 with these bytes and then waits, and others with these and the end.
fn greeting(v3: &'static [u8], v5: &'static [u8]) -> String {
    listener(move |mut stream| {
        let connect = read_connect(&mut stream);
        // The protocol level stands behind the name.
        let is_v5 = connect.windows(5).any(|window| window == b"MQTT\x05");
        // A client that went away needs no answer.
        let _ = stream.write_all(if is_v5 { v5 } else { v3 });
        if is_v5 {
            wait_for_end(stream);
        }
    })
}

fn measured(broker: &str) -> (Ended, Results) {
    let began = Instant::now();
    let arguments = [&QUEUED[..], &["--deadline", "300ms", "--patience", "0s", "--export-json", "-"]].concat();
    let ended = run(matrix(broker, &arguments));
    assert!(began.elapsed() < AT_ONCE, "it took {:?}", began.elapsed());
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    let results = ended.results();
    assert_eq!(results.cells.len(), 2);
    (ended, results)
}

fn cited(violations: &[Violation]) -> Vec<&str> {
    violations.iter().map(|violation| violation.statement.as_str()).collect()
}

#[track_caller]
fn assert_judged(results: &Results, v3: Verdict, (v5, statement, observed): (Verdict, &str, &str)) {
    let of_v5 = |id: &str| id.contains("protocol=5.0");
    for cell in each_cell(results, |cell| if of_v5(&cell.id) { v5 } else { v3 }) {
        if of_v5(&cell.id) {
            assert!(!cell.violations.is_empty());
            assert!(cited(&cell.violations).iter().all(|cited| *cited == statement), "{:?}", cell.violations);
            assert!(cell.violations[0].observed.contains(observed), "{}", cell.violations[0].observed);
        }
    }
}

#[test]
fn receive_maximum_0_from_a_broker_of_5_0_alone() {
    let (ended, results) = measured(&greeting(REFUSAL_OF_V3, RECEIVE_MAXIMUM_0));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let expected = (Verdict::Warn, "3.2.2.3.3", "a CONNACK with Receive Maximum 0");
    assert_judged(&results, Verdict::Unsupported, expected);
}

#[test]
fn text_that_is_not_utf8_where_3_1_1_is_not_answered() {
    let (ended, results) = measured(&greeting(b"", REASON_NOT_UTF8));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let expected = (Verdict::Fail, "MQTT-1.5.4-1", "a text that is not UTF-8");
    assert_judged(&results, Verdict::Unsupported, expected);
}

#[test]
fn a_broken_connack_of_5_0_says_nothing_about_3_1_1() {
    let (ended, results) = measured(&proxy(&Broker::correct(), |protocol, packet| match packet {
        Packet::Connect(_) if protocol == Protocol::V5 => Fate::Answer(RECEIVE_MAXIMUM_0.to_vec()),
        _ => Fate::Pass,
    }));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_judged(&results, Verdict::Pass, (Verdict::Warn, "3.2.2.3.3", "a CONNACK with Receive Maximum 0"));
}

#[test]
fn receive_maximum_0_behind_a_good_probe() {
    let is_probe = |id: &str| ["probe5", "witness5", "cleaner"].iter().any(|end| id.ends_with(end));
    let (ended, results) = measured(&proxy(&Broker::correct(), move |protocol, packet| match packet {
        Packet::Connect(connect) if protocol == Protocol::V5 && !is_probe(&connect.client_id) => {
            Fate::Answer(RECEIVE_MAXIMUM_0.to_vec())
        }
        _ => Fate::Pass,
    }));
    // The sessions cannot be ended.
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert_judged(&results, Verdict::Pass, (Verdict::Warn, "3.2.2.3.3", "a CONNACK with Receive Maximum 0"));
}

#[test]
fn two_connacks_at_once() {
    let twice = &[0x20, 3, 0, 0, 0, 0x20, 3, 0, 0, 0];
    let (ended, results) = measured(&greeting(REFUSAL_OF_V3, twice));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_judged(&results, Verdict::Unsupported, (Verdict::Fail, "MQTT-3.2.0-2", "a second one"));
    assert_eq!(cited(&results.broker_findings.violations), ["MQTT-3.2.0-2", "MQTT-3.2.0-2"]);
    // The witness that was not let to its subscription saw it, too.
    let helpers: Vec<&str> = results.broker_findings.violations.iter().map(|own| own.expected.as_str()).collect();
    assert_eq!(helpers, ["one CONNACK to probe", "one CONNACK to witness"]);
}

#[test]
fn a_second_connack_to_the_helpers() {
    let (ended, results) = measured(&url(serve(&Broker::lying(Defect::SecondConnack))));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let helpers: Vec<&str> = results.broker_findings.violations.iter().map(|own| own.expected.as_str()).collect();
    assert_eq!(helpers, ["one CONNACK to probe", "one CONNACK to witness"]);
    assert_eq!(cited(&results.broker_findings.violations), ["MQTT-3.2.0-2", "MQTT-3.2.0-2"]);
}

#[test]
fn what_is_larger_than_the_maximum_packet_size_is_not_sent() {
    for maximum in [1, 20, 40] {
        let choices = Choices { packet_size_at_most: Some(maximum), ..Choices::default() };
        let (ended, results) = measured(&url(serve(&Broker::choosing(choices))));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let of_v5 = |id: &str| id.contains("protocol=5.0");
        for cell in each_cell(&results, |cell| if of_v5(&cell.id) { Verdict::Unsupported } else { Verdict::Pass }) {
            let reason = cell.reason.as_deref().unwrap_or_default();
            let announced = format!("Maximum Packet Size {maximum}");
            assert!(!of_v5(&cell.id) || reason.ends_with(&announced), "{reason}");
        }
    }
}
