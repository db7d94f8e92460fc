//! `doctor`: what will work, what will not, and what to do then.

use std::time::{Duration, Instant};

use mqtt_sessions::packet::Packet;
use serde_json::Value;

use crate::certificates::Authority;
use crate::peers::{assert_nothing_left, listener, serve, url, wait_for_end};
use crate::program::{Ended, program, run};
use crate::proxy::{Fate, proxy};
use crate::relays::Relay;
use crate::rights::{DISGUISES, Forbids, forbidding, suback};
use test_broker::{Broker, Defect};

/// The checks of a broker of both versions that is reached by plain TCP.
const CHECKS: [&str; 13] = [
    "address",
    "connection",
    "MQTT 3.1.1",
    "MQTT 5.0",
    "QoS 0",
    "QoS 1",
    "QoS 2",
    "wildcard",
    "retained",
    "session 3.1.1",
    "session 5.0",
    "round trip",
    "clean-up",
];

fn doctor(url: &str, options: &[&str]) -> Ended {
    run(program([&["doctor", url], options].concat()))
}

/// The mark of a check, and what stands behind it.
#[track_caller]
fn line<'e>(ended: &'e Ended, check: &str) -> (char, &'e str) {
    let line = ended.stdout.lines().find(|line| line.chars().skip(2).collect::<String>().starts_with(check));
    let line = line.unwrap_or_else(|| panic!("no {check} in: {}{}", ended.stdout, ended.stderr));
    (line.chars().next().unwrap(), line)
}

/// The text in one line.
fn joined(ended: &Ended) -> String {
    ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_broker_with_which_all_is_well() {
    let broker = Broker::correct();
    let ended = doctor(&url(serve(&broker)), &["--topic-prefix", "a/b"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", ended.stdout);
    for check in CHECKS {
        assert_eq!(line(&ended, check).0, '✓', "{}", ended.stdout);
    }
    assert!(joined(&ended).contains("A run will work: mqtt-sessions matrix --broker mqtt://127.0.0.1:"));
    assert!(ended.stdout.trim_end().ends_with("--topic-prefix a/b"), "{}", ended.stdout);
    assert_nothing_left(&broker);
}

#[test]
fn the_same_as_json() {
    let ended = doctor(&url(serve(&Broker::correct())), &["--export-json", "-"]);
    assert!(ended.stderr.contains("A run will work"), "{}", ended.stderr);
    let json: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&json["format"]["name"], &json["format"]["major"]), (&"mqtt-sessions-doctor".into(), &1.into()));
    let checks: Vec<&Value> = json["checks"].as_array().unwrap().iter().collect();
    assert_eq!(checks.iter().map(|check| check["check"].as_str().unwrap()).collect::<Vec<_>>(), CHECKS);
    assert!(checks.iter().all(|check| check["outcome"] == "ok" && check["cure"].is_null()), "{json}");
    let [min, median, max] = ["min", "median", "max"].map(|which| json["round_trip_ms"][which].as_f64().unwrap());
    assert!(0.0 < min && min <= median && median <= max, "{json}");
}

#[test]
fn whoever_forbids_the_topics_is_told_so() {
    for (forbids, sentence) in DISGUISES {
        let broker = Broker::correct();
        let (url, _) = forbidding(&broker, forbids);
        let ended = doctor(&url, &["--topic-prefix=mine", "--deadline=300ms"]);
        assert_eq!(ended.code, Some(2), "{}{}", ended.stdout, ended.stderr);
        assert_eq!(line(&ended, "rights").0, '✗', "{}", ended.stdout);
        for phrase in [sentence, "give --topic-prefix with a topic that this user may use", "A run will not work yet."]
        {
            assert!(joined(&ended).contains(phrase), "{phrase}: {}", ended.stdout);
        }
        assert_nothing_left(&broker);
    }
}

#[test]
fn a_port_that_is_none_of_mqtt() {
    let silent = listener(wait_for_end);
    let identity = Authority::new().identity("localhost");
    let tls = format!("mqtt://localhost:{}", Relay::tls(identity.server()).before(serve(&Broker::correct())));
    for (url, check, phrases) in [
        (silent.as_str(), "CONNECT", &["no answer to CONNECT within 0.3 s", "give the port of MQTT over TCP"][..]),
        (&tls, "CONNECT", &["write mqtts://"]),
        ("mqtt://127.0.0.1:9", "connection", &["nothing listens there", "check host and port"]),
        ("mqtt://no-such-host.invalid", "address", &["cannot be resolved", "check its spelling"]),
        ("http://localhost", "address", &["the scheme http is not supported"]),
    ] {
        let began = Instant::now();
        let ended = doctor(url, &["--connect-timeout=300ms", "--deadline=300ms"]);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(2), ""), "{url}: {}", ended.stdout);
        assert_eq!(line(&ended, check).0, '✗', "{}", ended.stdout);
        for phrase in phrases {
            assert!(joined(&ended).contains(phrase), "{phrase}: {}", ended.stdout);
        }
        assert!(began.elapsed() < Duration::from_secs(13), "{url}: {:?}", began.elapsed());
    }
}

#[test]
fn a_certificate_is_shown() {
    let authority = Authority::new();
    let cafile = authority.cafile();
    let examined = |identity: crate::certificates::Identity, options: &[&str]| {
        let port = Relay::tls(identity.server()).before(serve(&Broker::correct()));
        doctor(&format!("mqtts://localhost:{port}"), options)
    };
    let ended = examined(authority.identity("localhost"), &["--cafile", &cafile]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    assert!(line(&ended, "TLS").1.contains("version 1.3, TLS13_"), "{}", ended.stdout);
    let (mark, _) = line(&ended, "certificate");
    assert!(mark == '✓' && joined(&ended).contains("CN=rcgen self signed cert"), "{}", ended.stdout);
    assert!(joined(&ended).contains("days left"), "{}", ended.stdout);
    let ended = examined(authority.expired("localhost"), &["--cafile", &cafile]);
    assert_eq!((ended.code, line(&ended, "connection").0), (Some(2), '✗'), "{}", ended.stdout);
    assert!(joined(&ended).contains("expired") && joined(&ended).contains("renew it"), "{}", ended.stdout);
    let ended = examined(authority.expired("localhost"), &["--insecure"]);
    assert_eq!((ended.code, line(&ended, "certificate").0), (Some(0), '!'), "{}", ended.stdout);
}

/// A run works with a broker that lacks a feature, and finds what is wrong with it.
#[test]
fn what_is_lacking_is_a_warning() {
    let lacking: [(&str, &str, Forbids); 3] = [
        ("QoS 2", "PUBLISH was answered by an end", |_, packet| match packet {
            Packet::Publish(publish) if publish.qos == 2 => Fate::Close,
            _ => Fate::Pass,
        }),
        ("retained", "PUBLISH was answered by an end", |_, packet| match packet {
            Packet::Publish(publish) if publish.retain => Fate::Close,
            _ => Fate::Pass,
        }),
        ("wildcard", "SUBSCRIBE was refused with 0x87", |protocol, packet| match packet {
            Packet::Subscribe(subscribe) if subscribe.filters[0].filter.ends_with('#') => suback(protocol, packet),
            _ => Fate::Pass,
        }),
    ];
    for (check, said, treat) in lacking {
        let ended = doctor(&proxy(&Broker::correct(), treat), &["--deadline=300ms"]);
        assert_eq!(ended.code, Some(0), "{check}: {}", ended.stdout);
        assert_eq!(line(&ended, check).0, '!', "{}", ended.stdout);
        assert!(joined(&ended).contains(said), "{}", ended.stdout);
    }
    let ended = doctor(&url(serve(&Broker::lying(Defect::LosesSession))), &["--deadline=300ms"]);
    assert_eq!((ended.code, line(&ended, "session").0), (Some(0), '!'), "{}", ended.stdout);
}

/// A broker that answers nothing but what it must is waited for no longer than is said.
#[test]
fn silence_ends_in_time() {
    let silent = proxy(&Broker::correct(), |_, packet| match packet {
        Packet::Connect(_) | Packet::Disconnect { .. } => Fate::Pass,
        _ => Fate::Swallow,
    });
    let began = Instant::now();
    let ended = doctor(&silent, &["--deadline=300ms", "--connect-timeout=300ms"]);
    assert_eq!(ended.code, Some(3), "{}", ended.stdout);
    assert!(began.elapsed() < Duration::from_secs(13), "{:?}", began.elapsed());
    assert!(ended.stdout.contains("Whether a run works is unclear"), "{}", ended.stdout);
}
