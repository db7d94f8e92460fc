//! What a broker does to the connection of a witness that does not come about is judged, too.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use mqtt_sessions::packet::{Packet, Protocol};
use mqtt_sessions::results::{Results, Verdict};

use crate::program::{QUEUED, each_cell, matrix, run};
use crate::proxy::{Fate, proxy_by_client};
use test_broker::Broker;

/// Measures the correct broker, to which the SUBSCRIBEs of the witnesses do not come: the n-th, from 0, has this fate.
fn measured(fate: impl Fn(Protocol, usize) -> Fate + Send + Sync + 'static) -> (Option<i32>, Results) {
    let subscribed = [AtomicUsize::new(0), AtomicUsize::new(0)];
    let url = proxy_by_client(&Broker::correct(), move |connect, packet| match packet {
        Packet::Subscribe(_) if connect.client_id.contains("witness") => {
            let number = subscribed[usize::from(connect.protocol == Protocol::V5)].fetch_add(1, SeqCst);
            fate(connect.protocol, number)
        }
        _ => Fate::Pass,
    });
    let ended = run(matrix(&url, &[&QUEUED[..], &["--deadline=500ms", "--patience=1s", "--export-json=-"]].concat()));
    let results = ended.results();
    each_cell(&results, |_| Verdict::Pass);
    assert!(ended.stderr.contains("no witness for 3.1.1"), "{}", ended.stderr);
    (ended.code, results)
}

fn found(results: &Results) -> Vec<(&str, &str)> {
    let violations = &results.broker_findings.violations;
    violations.iter().map(|own| (own.statement.as_str(), own.expected.as_str())).collect()
}

#[test]
fn a_witness_whose_subscribe_is_never_answered() {
    let (code, results) = measured(|_, _| Fate::Swallow);
    assert_eq!(code, Some(1));
    assert_eq!(found(&results), [("MQTT-3.8.4-1", "SUBACK to witness"); 2]);
    // A verdict of the stored histories alone is the same.
    assert_eq!(results.run.helpers.histories.len(), 6);
    assert_eq!(results.run.helpers.evidence.len(), 2);
}

/// It may have come later, as where the broker is busy.
#[test]
fn a_witness_whose_subscribe_is_answered_when_it_is_sent_again() {
    let (code, results) = measured(|_, number| if number < 2 { Fate::Swallow } else { Fate::Pass });
    assert_eq!((code, found(&results)), (Some(0), Vec::new()));
}

#[test]
fn a_suback_with_another_identifier() {
    let (code, results) = measured(|protocol, _| match protocol {
        Protocol::V3 => Fate::Answer(vec![0x90, 3, 0, 9, 0]),
        Protocol::V5 => Fate::Answer(vec![0x90, 4, 0, 9, 0, 0]),
    });
    assert_eq!(code, Some(1));
    assert_eq!(found(&results), [("MQTT-3.8.4-2", "SUBACK to witness"); 2]);
}

#[test]
fn a_refusal_behind_a_second_connack() {
    let (code, results) = measured(|protocol, _| match protocol {
        Protocol::V3 => Fate::Answer(vec![0x90, 3, 0, 1, 0x80]),
        Protocol::V5 => Fate::Answer(vec![0x20, 3, 0, 0, 0, 0x90, 4, 0, 1, 0, 0x80]),
    });
    assert_eq!(code, Some(1));
    assert_eq!(found(&results), [("MQTT-3.2.0-2", "one CONNACK to witness")]);
}
