//! Brokers that forbid the topics of a run, in each disguise: one sentence, and no cell. Brokers that lack a feature forbid nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use mqtt_sessions::packet::{Packet, Protocol, Publish};

use crate::peers::assert_nothing_left;
use crate::program::{Ended, QUEUED, matrix, program, run};
use crate::proxy::{Fate, is_experiment, proxy};
use test_broker::Broker;

/// The topics that the user may use in these tests.
const ALLOWED: &str = "devices/";

/// A broker's answer to a packet on a topic that the user may not use.
pub type Forbids = fn(Protocol, &Packet) -> Fate;

pub fn suback(protocol: Protocol, packet: &Packet) -> Fate {
    match packet {
        Packet::Subscribe(subscribe) => {
            let [high, low] = subscribe.id.to_be_bytes();
            Fate::Answer(match protocol {
                Protocol::V3 => vec![0x90, 3, high, low, 0x80],
                Protocol::V5 => vec![0x90, 4, high, low, 0, 0x87],
            })
        }
        _ => Fate::Pass,
    }
}

/// As mosquitto: a PUBACK with a reason, where the version has one, and nothing more.
fn puback(protocol: Protocol, packet: &Packet) -> Fate {
    match (protocol, packet) {
        (_, Packet::Publish(Publish { qos: 0, .. })) => Fate::Swallow,
        (Protocol::V3, Packet::Publish(Publish { id, .. })) => {
            Fate::Answer([&[0x40, 2][..], &id.to_be_bytes()].concat())
        }
        (Protocol::V5, Packet::Publish(Publish { id, .. })) => {
            Fate::Answer([&[0x40, 3][..], &id.to_be_bytes(), &[0x87]].concat())
        }
        _ => Fate::Pass,
    }
}

pub fn silent_drop(_: Protocol, packet: &Packet) -> Fate {
    puback(Protocol::V3, packet)
}

fn close_on_publish(_: Protocol, packet: &Packet) -> Fate {
    if matches!(packet, Packet::Publish(_)) { Fate::Close } else { Fate::Pass }
}

fn close_on_subscribe(_: Protocol, packet: &Packet) -> Fate {
    if matches!(packet, Packet::Subscribe(_)) { Fate::Close } else { Fate::Pass }
}

/// What the broker says, and how the sentence tells it.
pub const DISGUISES: [(Forbids, &str); 5] = [
    (suback, "not authorised to subscribe below mine/ (SUBACK 0x87)"),
    (puback, "not authorised to publish below mine/ (PUBACK 0x87)"),
    (
        silent_drop,
        "not authorised to publish below mine/ (the broker acknowledged a message, and its subscriber got nothing)",
    ),
    (close_on_publish, "not authorised to publish below mine/ (the broker closed the connection)"),
    (close_on_subscribe, "not authorised to subscribe below mine/ (the broker closed the connection)"),
];

/// The topic of a packet that has one.
fn topic(packet: &Packet) -> Option<&str> {
    match packet {
        Packet::Publish(publish) => Some(&publish.topic),
        Packet::Subscribe(subscribe) => Some(&subscribe.filters[0].filter),
        _ => None,
    }
}

/// A proxy that forbids all topics but those of the user's and of the broker's own, and tells whether a cell has begun.
pub fn forbidding(broker: &Broker, forbids: Forbids) -> (String, Arc<AtomicBool>) {
    let began = Arc::new(AtomicBool::new(false));
    let told = began.clone();
    let url = proxy(broker, move |protocol, packet| match topic(packet) {
        Some(topic) if !topic.starts_with("$SYS") && !topic.starts_with(ALLOWED) => {
            told.fetch_or(is_experiment(topic), SeqCst);
            forbids(protocol, packet)
        }
        _ => Fate::Pass,
    });
    (url, began)
}

#[test]
fn whoever_forbids_the_topics_is_understood_before_a_cell_runs() {
    for (forbids, sentence) in DISGUISES {
        let broker = Broker::correct();
        let (url, began) = forbidding(&broker, forbids);
        let cure = "give --topic-prefix with a topic that this user may use";
        let ended = run(matrix(&url, &["--topic-prefix=mine", "--deadline=300ms"]));
        ended.gave_up(2, &[sentence, cure]);
        let mut explore = program(["explore", &url, "--topic-prefix=mine", "--deadline=300ms", "--cases=1"]);
        explore.arg("--seed=1");
        run(explore).gave_up(2, &[sentence, cure]);
        assert!(!began.load(SeqCst), "{sentence}");
        assert_nothing_left(&broker);
    }
}

#[test]
fn below_a_topic_that_the_user_may_use_all_is_well() {
    for (forbids, sentence) in DISGUISES {
        let (url, _) = forbidding(&Broker::correct(), forbids);
        for prefix in ["devices/x", "devices/a/b/c/d/e/", "devices/x//"] {
            let ended = run(matrix(&url, &[&QUEUED[..], &["--topic-prefix", prefix]].concat()));
            assert_eq!(ended.code, Some(0), "{sentence} {prefix}: {}{}", ended.stdout, ended.stderr);
        }
    }
}

/// A run against a broker that treats packets like this is not stopped.
fn goes_on(treat: impl Fn(Protocol, &Packet) -> Fate + Send + Sync + 'static) -> Ended {
    let url = proxy(&Broker::correct(), treat);
    let ended = run(matrix(&url, &[&QUEUED[..], &["--deadline=1s"]].concat()));
    assert!(!ended.stderr.contains("authorised") && ended.code != Some(2), "{}", ended.stderr);
    ended
}

#[test]
fn a_broker_that_lacks_a_feature_forbids_nothing() {
    goes_on(|_, packet| match packet {
        Packet::Publish(publish) if publish.qos > 0 || publish.retain => Fate::Close,
        _ => Fate::Pass,
    });
    goes_on(|protocol, packet| match packet {
        Packet::Subscribe(subscribe) if subscribe.filters[0].filter.ends_with('#') => suback(protocol, packet),
        _ => Fate::Pass,
    });
    // The end of the probe's connection says nothing about the user's topics.
    let ended = goes_on(|_, packet| match topic(packet) {
        Some("$SYS/broker/version") => Fate::Close,
        _ => Fate::Pass,
    });
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn what_one_version_forbids_the_other_shows_in_its_cells() {
    for forbidden in Protocol::ALL {
        goes_on(move |protocol, packet| match topic(packet) {
            Some(topic) if protocol == forbidden && !topic.starts_with("$SYS") => suback(protocol, packet),
            _ => Fate::Pass,
        });
    }
}

/// A message at QoS 0 may vanish: nobody is accused for one.
#[test]
fn a_message_that_vanishes_is_no_right_that_is_missing() {
    let ended = goes_on(|_, packet| match packet {
        Packet::Publish(publish) if publish.topic.ends_with("/loop") && publish.qos == 0 => Fate::Swallow,
        _ => Fate::Pass,
    });
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}
