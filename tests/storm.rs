//! Storms against the test broker: one that keeps its promises is never accused, whatever liberties it takes, and each lie about
//! queued messages is found out.

use std::time::Duration;

use mqtt_sessions::packet::Protocol;
use mqtt_sessions::results::Verdict;
use mqtt_sessions::run::{Prefix, Target};
use mqtt_sessions::storm::{CutShort, Ledger, Listener, Request, Stormed, storm};
use test_broker::choices::{BacklogOrder, PacketIds, Writes};
use test_broker::{Broker, Choices, Defect};
use tokio::sync::watch;

const SESSIONS: u32 = 40;
const MESSAGES: u32 = 7;

struct Quiet;

impl Listener for Quiet {
    fn moves(&self, _phase: &str, _done: u64, _of: u64) {}
    fn warn(&self, sentence: String) {
        panic!("{sentence}");
    }
}

fn request(protocol: Protocol, qos: u8) -> Request {
    Request {
        protocol,
        sessions: (1..=SESSIONS).collect(),
        messages: MESSAGES,
        qos,
        size: 50,
        return_rate: None,
        away: Duration::from_secs(1),
        start_at: None,
        patience: Duration::from_secs(30),
        settle: Duration::from_secs(1),
    }
}

/// Plays a storm with time that passes only while everybody waits.
fn play(broker: &Broker, request: &Request) -> Stormed {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let second = Duration::from_secs(1);
        let target = Target::new(broker.endpoint(), None, 5 * second, 5 * second);
        let prefix = Prefix::new("msstorm", "msstorm").unwrap();
        let (_interrupt, interrupted) = watch::channel(false);
        storm(&target, &prefix, request, &Protocol::ALL, &Quiet, interrupted).await
    })
}

fn each(mut check: impl FnMut(Protocol, u8)) {
    for protocol in Protocol::ALL {
        for qos in 1..=2 {
            check(protocol, qos);
        }
    }
}

/// Why a storm has its verdict.
fn told(stormed: &Stormed) -> String {
    let deviants = stormed.judged.deviants.iter().map(|deviant| {
        let result = &deviant.judged.result;
        format!(
            "session {}: {:?} {:#?}\n{}\n",
            deviant.number,
            result.reason,
            result.violations,
            deviant.history.lines().join("\n")
        )
    });
    format!("{:?}\n{:?}\n{}", stormed.judged.limits, stormed.ledger, deviants.collect::<String>())
}

#[track_caller]
fn assert_passes(broker: &Broker, request: &Request) {
    let stormed = play(broker, request);
    assert_eq!(stormed.judged.verdict, Verdict::Pass, "{}", told(&stormed));
    let sessions = request.sessions.len() as u64;
    let messages = sessions * u64::from(request.messages);
    let expected = Ledger {
        sessions,
        parked: sessions,
        sent: messages,
        accepted: messages,
        returned: sessions,
        complete: sessions,
        delivered: messages,
        ..Ledger::default()
    };
    assert_eq!(stormed.ledger, expected, "{}", told(&stormed));
    assert!(stormed.cleanup.is_clean(), "{}", stormed.cleanup.sentence());
    assert_eq!(broker.sessions(), Vec::<String>::new());
}

#[test]
fn a_correct_broker_passes_and_keeps_nothing() {
    each(|protocol, qos| assert_passes(&Broker::correct(), &request(protocol, qos)));
}

#[test]
fn no_liberty_is_taken_for_a_lie() {
    let usual = Choices::default;
    let ms = Duration::from_millis;
    for choices in [
        Choices { backlog_delay: ms(3000), ..usual() },
        Choices { write_delay: ms(700), ..usual() },
        Choices { connect_delay: ms(700), ..usual() },
        Choices { writes: Writes::EachByte, ..usual() },
        Choices { writes: Writes::Coalesced, ..usual() },
        Choices { packet_ids: PacketIds::LowestFree, ..usual() },
        Choices { backlog_order: BacklogOrder::ByTopic, ..usual() },
        Choices { qos2_onward_at_pubrel: true, ..usual() },
        Choices { wait_for_close: true, ..usual() },
        Choices { takeover_disconnect: true, ..usual() },
    ] {
        each(|protocol, qos| assert_passes(&Broker::choosing(choices.clone()), &request(protocol, qos)));
    }
}

/// Not even one that keeps a session for a minute, where nobody is there for two hours.
#[test]
fn no_choice_of_a_correct_broker_is_held_against_it() {
    let pass = ["default", "window-of-1", "queue-of-10", "expiry-sweep", "topic-aliases"];
    for (name, choices) in Choices::each_alone() {
        for protocol in Protocol::ALL {
            let request = Request { away: Duration::from_secs(2 * 3600), ..request(protocol, 1) };
            let stormed = play(&Broker::choosing(choices.clone()), &request);
            let verdict = stormed.judged.verdict;
            assert!(verdict != Verdict::Fail, "{name} {protocol}: {}", told(&stormed));
            assert!(verdict == Verdict::Pass || !pass.contains(&name), "{name} {protocol}: {}", told(&stormed));
            let keeps_all = protocol == Protocol::V3 || !name.starts_with("session-expiry-at-most");
            assert!(keeps_all || stormed.ledger.wrong_session_present > 0, "{name}: {}", told(&stormed));
        }
    }
}

#[test]
fn sessions_return_at_a_rate() {
    let request = Request { return_rate: Some(10), ..request(Protocol::V5, 1) };
    let broker = Broker::correct();
    assert_passes(&broker, &request);
    let stormed = play(&broker, &request);
    let took = stormed.figures.returning;
    assert!(took >= Duration::from_millis(3800) && took < Duration::from_secs(8), "{took:?}");
}

/// The lies of the broker that concern what waits for a session.
#[test]
fn each_lie_about_what_waits_is_found_out() {
    const FAILS: Verdict = Verdict::Fail;
    // What takes several attempts to prove, or lacks a proof, is no fail in a storm, which has one.
    const UNCLEAR: Verdict = Verdict::Inconclusive;
    for (name, qos, expected) in [
        ("queues-nothing", 1, FAILS),
        ("queues-nothing", 2, FAILS),
        ("keeps-oldest-two", 1, FAILS),
        ("keeps-newest-two", 1, FAILS),
        ("loses-first", 2, FAILS),
        ("loses-last", 1, FAILS),
        ("changes-payload", 1, FAILS),
        ("reverses-backlog", 1, FAILS),
        ("reverses-backlog", 2, FAILS),
        ("twice-at-qos2", 2, FAILS),
        ("session-present-0", 1, FAILS),
        ("loses-session", 1, FAILS),
        ("dup-on-first", 1, UNCLEAR),
        ("closes-on-subscribe", 1, UNCLEAR),
    ] {
        let Some(defect) = Defect::named(name) else { panic!("{name} is no lie: {:?}", names()) };
        for protocol in Protocol::ALL {
            let stormed = play(&Broker::lying(defect), &request(protocol, qos));
            let broken: Vec<&str> = stormed
                .judged
                .deviants
                .iter()
                .flat_map(|own| &own.judged.result.violations)
                .map(|own| own.statement.as_str())
                .collect();
            let may_break: Vec<&str> = defect.statements().iter().map(|(_, id)| *id).collect();
            assert!(broken.iter().all(|id| may_break.contains(id)), "{name}: {broken:?}\n{}", told(&stormed));
            assert_eq!(stormed.judged.verdict, expected, "{name} {protocol}\n{}", told(&stormed));
        }
    }
}

#[test]
fn what_cannot_be_accounted_for_is_said_and_accuses_nobody() {
    for (name, sentence) in [
        (
            "no-puback",
            "the storm could not go on: the broker acknowledged nothing any more; until then 40 of 40 sessions were parked",
        ),
        (
            "no-connack-on-resume",
            "the storm could not go on: no answer to CONNECT within 5 s; until then 40 of 40 sessions were parked",
        ),
    ] {
        let defect = Defect::named(name).unwrap_or_else(|| panic!("{name} is no lie: {:?}", names()));
        let stormed = play(&Broker::lying(defect), &request(Protocol::V5, 1));
        let limits = stormed.judged.limits.join("\n");
        assert!(limits.contains(sentence), "{name}: {limits}");
        assert_eq!(stormed.judged.verdict, Verdict::Inconclusive, "{name}\n{}", told(&stormed));
    }
}

fn names() -> Vec<&'static str> {
    Defect::all().into_iter().map(Defect::name).collect()
}

/// Each has sessions and messages that the other takes for its own.
#[test]
fn two_storms_with_one_prefix_end_each_other_and_accuse_nobody() {
    let broker = Broker::correct();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let request = request(Protocol::V5, 1);
    let target = Target::new(broker.endpoint(), None, Duration::from_secs(5), Duration::from_secs(5));
    let prefix = Prefix::new("msstorm", "msstorm").unwrap();
    let (_interrupt, interrupted) = watch::channel(false);
    let play = || storm(&target, &prefix, &request, &Protocol::ALL, &Quiet, interrupted.clone());
    let both = runtime.block_on(async { tokio::join!(play(), play()) });
    for stormed in [both.0, both.1] {
        assert_eq!(stormed.cut_short, Some(CutShort::Shared), "{}", told(&stormed));
        assert!(stormed.judged.limits[0].starts_with("until somebody else used the prefix, "));
        assert_eq!(stormed.judged.verdict, Verdict::Inconclusive, "{}", told(&stormed));
    }
}

#[test]
fn a_signal_ends_a_storm_in_good_order() {
    let broker = Broker::correct();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    for after in [0, 30, 1_050, 3_000] {
        let request = Request { away: Duration::from_secs(2), return_rate: Some(20), ..request(Protocol::V5, 1) };
        let stormed = runtime.block_on(async {
            let target = Target::new(broker.endpoint(), None, Duration::from_secs(5), Duration::from_secs(5));
            let prefix = Prefix::new("msstorm", "msstorm").unwrap();
            let (interrupt, interrupted) = watch::channel(false);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(after)).await;
                interrupt.send_replace(true);
                interrupt.closed().await;
            });
            storm(&target, &prefix, &request, &Protocol::ALL, &Quiet, interrupted).await
        });
        assert!(stormed.cut_short.is_some(), "{after}");
        assert!(stormed.judged.verdict >= Verdict::Inconclusive, "{after}: {}", told(&stormed));
        assert!(stormed.cleanup.is_clean());
        assert_eq!(broker.sessions(), Vec::<String>::new(), "{after}");
    }
}
