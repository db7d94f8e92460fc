//! A probe finds the numbers of a broker whose configuration is known, and says where the broker says another one.

use std::sync::Mutex;
use std::time::Duration;

use mqtt_sessions::laboratory::Laboratory;
use mqtt_sessions::packet::Protocol;
use mqtt_sessions::profile::{Budget, Listener, Measured, Number, Probed, Quantity, Request, probe};
use mqtt_sessions::run::{self, Observer, Prefix, RunOptions, Target};
use test_broker::cases::on_all_processors;
use test_broker::choices::RetainedCopies;
use test_broker::keeping::{Full, Keeping};
use test_broker::{Broker, Choices, Defect};
use tokio::sync::watch;

/// Enough for the limits here.
const BUDGET: Budget = Budget { messages: 120, bytes: 64 * 1024, connections: 200 };
const WAIT_S: u32 = 8;

struct Quiet;

impl Observer for Quiet {
    fn round(&self, _attempt: u32, _cells: usize) {}
    fn cell(&self) {}
    fn warn(&self, _sentence: String) {}
}

impl Listener for Quiet {
    fn asks(&self, _what: &str) {}
}

fn probed(broker: &Broker, protocol: Protocol) -> Probed {
    probed_within(broker, protocol, BUDGET)
}

/// Probes a broker in this process; time passes only while everybody waits.
fn probed_within(broker: &Broker, protocol: Protocol, budget: Budget) -> Probed {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let second = Duration::from_secs(1);
        let target = Target::new(broker.endpoint(), None, 5 * second, 5 * second);
        let prefix = Prefix::new("mstester", "mstester").unwrap();
        let mut probes = Vec::new();
        for protocol in Protocol::ALL {
            probes.push(run::probe(&target, &prefix, protocol).await);
        }
        let options = RunOptions {
            prefix,
            jobs: 200,
            settle: Duration::from_millis(100),
            patience: Duration::ZERO,
            attempts_max: 1,
            repeat: 1,
            keep_all_histories: true,
        };
        let (_interrupt, interrupted) = watch::channel(false);
        let laboratory = Laboratory { target, probes: &probes, options, interrupted };
        probe(&laboratory, protocol, Request { budget, wait_s: WAIT_S }, &Quiet).await
    })
}

fn number(probed: &Probed, quantity: Quantity) -> &Number {
    probed.numbers.iter().find(|number| number.quantity == quantity).unwrap()
}

fn exactly(value: u64) -> Measured {
    Measured::Exactly { value }
}

fn at_least(value: u64) -> Measured {
    Measured::AtLeast { value }
}

fn seen(value: &str) -> Measured {
    Measured::Seen { value: value.into() }
}

/// A broker with this configuration.
fn keeping(keeping: Keeping) -> Broker {
    Broker::choosing(Choices { keeping, ..Choices::default() })
}

fn queue(limit: usize, full: Full) -> Keeping {
    Keeping { queue: Some((limit, full)), ..Keeping::default() }
}

/// A configuration by its name, and what a probe has to find.
type Configured = (&'static str, Broker, Vec<(Quantity, Measured)>);

fn configurations() -> Vec<Configured> {
    use Quantity::*;
    let seconds = Duration::from_secs;
    let choosing = |change: fn(&mut Choices)| {
        let mut choices = Choices::default();
        change(&mut choices);
        Broker::choosing(choices)
    };
    vec![
        (
            "no limit",
            Broker::correct(),
            vec![
                (QueueQos1, at_least(120)),
                (QueueQos2, at_least(120)),
                (QueueQos0, exactly(0)),
                (QueueBytes, at_least(64 * 1024)),
                (SessionLong, at_least(7)),
                (SessionShort, exactly(4)),
                (SessionAtDisconnect, exactly(4)),
                (SessionZero, exactly(0)),
                (SessionAbsent, exactly(0)),
                (SessionForever, at_least(7)),
                (Session311, at_least(7)),
                (SessionEnd, seen("at its time")),
                (MessageExpiryQueued, exactly(4)),
                (MessageExpiryRetained, exactly(4)),
                (Window, exactly(20)),
                (WindowAsked, exactly(5)),
                (DrainTimer, exactly(0)),
                (RetainedQos0, seen("kept")),
                (ClientIdBytes, at_least(65_535)),
                (TopicAliasMaximum, exactly(0)),
                (MaximumQos, exactly(2)),
                (Wildcards, exactly(1)),
                (Shares, exactly(1)),
            ],
        ),
        (
            "drops the newest beyond 10",
            keeping(queue(10, Full::DropsNewest)),
            vec![
                (QueueQos1, exactly(10)),
                (QueueQos2, exactly(10)),
                (QueueFull, seen("drops the newest")),
                (QueueTold, seen("nobody")),
                (QueueInFlight, seen("counts apart")),
                (QueueShared, seen("each session has its own")),
                (QueueGivenBack, exactly(10)),
            ],
        ),
        (
            "drops the oldest beyond 50",
            keeping(queue(50, Full::DropsOldest)),
            vec![(QueueQos1, exactly(50)), (QueueFull, seen("drops the oldest")), (QueueTold, seen("nobody"))],
        ),
        (
            "refuses beyond 10",
            choosing(|choices| choices.queue_at_most = Some(10)),
            vec![
                (QueueQos1, exactly(10)),
                (QueueFull, seen("refuses what is new (0x97)")),
                (QueueTold, seen("the publisher, by 0x97")),
            ],
        ),
        (
            "disconnects the publisher beyond 10",
            keeping(queue(10, Full::Disconnects)),
            vec![
                (QueueQos1, exactly(10)),
                (QueueQos2, exactly(10)),
                (QueueFull, seen("disconnects the publisher")),
                (QueueTold, seen("the publisher, by DISCONNECT 0x97")),
            ],
        ),
        (
            "ends the session beyond 30",
            keeping(queue(30, Full::EndsSession)),
            vec![(QueueQos1, exactly(30)), (QueueQos2, exactly(30)), (QueueFull, seen("ends the session"))],
        ),
        (
            "says Session Present 0",
            Broker::lying(Defect::SessionPresent0),
            vec![
                (SessionLong, at_least(7)),
                (SessionShort, exactly(4)),
                (SessionZero, exactly(0)),
                (Session311, at_least(7)),
            ],
        ),
        (
            "queues nothing",
            Broker::lying(Defect::QueuesNothing),
            vec![(QueueQos1, exactly(0)), (QueueQos2, exactly(0)), (QueueFull, seen("drops all"))],
        ),
        (
            "keeps 20 for all together",
            keeping(Keeping { is_shared: true, ..queue(20, Full::DropsNewest) }),
            vec![(QueueQos1, exactly(20)), (QueueShared, seen("all sessions share it"))],
        ),
        (
            "counts what is in flight",
            keeping(Keeping { in_flight_counts: true, ..queue(20, Full::DropsNewest) }),
            vec![(QueueQos1, exactly(20)), (QueueInFlight, seen("counts"))],
        ),
        (
            "keeps 10,000 bytes",
            keeping(Keeping { bytes: Some(10_000), ..Keeping::default() }),
            vec![(QueueBytes, Measured::Between { least: 9_984, most: 10_111 })],
        ),
        ("window of 3", choosing(|choices| choices.window = 3), vec![(Window, exactly(3)), (WindowAsked, exactly(3))]),
        ("queues QoS 0", choosing(|choices| choices.queue_qos0_publications = true), vec![(QueueQos0, at_least(120))]),
        (
            "grants 6 s",
            choosing(|choices| choices.session_expiry_at_most = 6),
            vec![(SessionLong, exactly(6)), (SessionForever, exactly(6)), (SessionShort, exactly(4))],
        ),
        (
            "looks for sessions that are over once in 3 s",
            keeping(Keeping { sweeps_every: Some(seconds(3)), ..Keeping::default() }),
            vec![(SessionEnd, seen("by a sweep"))],
        ),
        (
            "sends more of a backlog once in 50 ms",
            keeping(Keeping { refills_after: Some(Duration::from_millis(50)), ..Keeping::default() }),
            vec![(DrainTimer, exactly(1))],
        ),
        (
            "retained copies come late",
            choosing(|choices| choices.retained_copies = RetainedCopies::Late(Duration::from_millis(500))),
            vec![(RetainedMessages, at_least(60)), (RetainedQos0, seen("kept"))],
        ),
        (
            "retains 30",
            keeping(Keeping { retained: Some(30), ..Keeping::default() }),
            vec![(RetainedMessages, exactly(30))],
        ),
        (
            "takes identifiers of 40 bytes",
            keeping(Keeping { id_bytes: Some(40), ..Keeping::default() }),
            vec![(ClientIdBytes, exactly(40))],
        ),
        (
            "takes 7 aliases",
            keeping(Keeping { aliases: [7, 7], ..Keeping::default() }),
            vec![(TopicAliasMaximum, exactly(7))],
        ),
        (
            "takes packets of 200 bytes in 5.0",
            choosing(|choices| choices.packet_size_at_most = Some(200)),
            vec![(PacketBytes, at_least(200)), (PacketBytes311, at_least(64 * 1024))],
        ),
        (
            "QoS 1 at most",
            choosing(|choices| choices.maximum_qos = 1),
            vec![(MaximumQos, exactly(1)), (ReceiveMaximum, at_least(120))],
        ),
        (
            "forgets sessions at 5 s",
            keeping(Keeping { forgets_after: Some(seconds(5)), ..Keeping::default() }),
            vec![(SessionLong, exactly(5)), (Session311, exactly(5)), (SessionShort, exactly(4))],
        ),
    ]
}

#[test]
fn the_configured_numbers_are_found() {
    let wrong = Mutex::new(Vec::new());
    let configurations = configurations();
    on_all_processors(|index| {
        let Some((name, broker, expected)) = configurations.get(index as usize) else { return false };
        let probed = probed(broker, Protocol::V5);
        assert_eq!(probed.halt, None, "{name}");
        assert!(probed.cleanup.is_clean(), "{name}: {}", probed.cleanup.sentence());
        assert!(broker.sessions().is_empty() && broker.retained().is_empty(), "{name}");
        for (quantity, measured) in expected {
            let found = number(&probed, *quantity);
            if found.measured != *measured {
                wrong.lock().unwrap().push(format!("{name}: {quantity:?}: {:?} ({})", found.measured, found.how));
            }
        }
        true
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a broker says of itself is not believed.
#[test]
fn what_is_announced_and_not_true_is_marked() {
    let refuses = Choices { queue_at_most: Some(100), ..Choices::default() };
    let gives_back = Keeping { gives_back: Some(50), ..Keeping::default() };
    let forgets = Keeping { forgets_after: Some(Duration::from_secs(5)), ..Keeping::default() };
    let takes_fewer = Keeping { aliases: [10, 5], ..Keeping::default() };
    let stays = Keeping { unasked_expiry: Some(3600), ..Keeping::default() };
    for (broker, quantity, announced, measured) in [
        (Broker::choosing(Choices { keeping: gives_back, ..refuses }), Quantity::QueueQos1, 100, exactly(50)),
        (keeping(forgets), Quantity::SessionLong, 3600, exactly(5)),
        (keeping(takes_fewer), Quantity::TopicAliasMaximum, 10, exactly(5)),
        (keeping(stays), Quantity::SessionAbsent, 0, at_least(2)),
    ] {
        let probed = probed(&broker, Protocol::V5);
        let found = number(&probed, quantity);
        assert_eq!((found.announced, &found.measured, found.differs), (Some(announced), &measured, true), "{found:?}");
    }
    let honest = probed(&Broker::correct(), Protocol::V5);
    let marked: Vec<&Number> = honest.numbers.iter().filter(|number| number.differs).collect();
    assert!(marked.is_empty(), "{marked:?}");
}

/// No liberty of a broker is taken for a lie, and none keeps a probe from its end.
#[test]
fn no_correct_broker_is_marked() {
    let brokers = Choices::each_alone();
    let marked = Mutex::new(Vec::new());
    on_all_processors(|index| {
        let Some((name, choices)) = brokers.get(index as usize) else { return false };
        let protocol = if choices.refuse_v5 { Protocol::V3 } else { Protocol::V5 };
        let budget = Budget { messages: 30, bytes: 4096, ..BUDGET };
        let probed = probed_within(&Broker::choosing(choices.clone()), protocol, budget);
        assert_eq!(probed.halt, None, "{name}");
        assert!(probed.cleanup.is_clean(), "{name}: {}", probed.cleanup.sentence());
        let wrong = |number: &&Number| number.differs || matches!(number.measured, Measured::Unstable { .. });
        let said = probed.numbers.iter().filter(wrong).map(|number| format!("{name}: {number:?}"));
        marked.lock().unwrap().extend(said);
        true
    });
    let marked = marked.into_inner().unwrap();
    assert!(marked.is_empty(), "{}", marked.join("\n"));
}

/// A broker that answers differently from one try to the next has no number.
#[test]
fn no_number_is_certain_that_is_not_steady() {
    let broker = Broker::lying(Defect::LosesFirst);
    let probed = probed(&broker, Protocol::V5);
    let found = number(&probed, Quantity::QueueQos1);
    assert!(matches!(found.measured, Measured::Unstable { .. }), "{found:?}");
}

#[test]
fn a_broker_of_one_version_is_probed_with_that() {
    let broker =
        Broker::choosing(Choices { refuse_v5: true, keeping: queue(10, Full::DropsNewest), ..Choices::default() });
    let probed = probed(&broker, Protocol::V3);
    assert_eq!(number(&probed, Quantity::QueueQos1).measured, exactly(10));
    let moot = &number(&probed, Quantity::SessionLong).measured;
    assert!(matches!(moot, Measured::DoesNotApply { why } if why.contains("does not speak 5.0")), "{moot:?}");
    assert_eq!(number(&probed, Quantity::Session311).measured, at_least(7));
}

/// What is left of a message when a client looks depends on the moment of the look, from one probe to the next.
#[test]
fn what_is_announced_of_a_time_may_be_a_second_off() {
    let told = |quantity, announced| Number::new(quantity, exactly(1), "").announced(Some(announced), 1);
    let agree = |quantity, other| told(quantity, 1).agrees_with(&told(quantity, other));
    assert!(agree(Quantity::MessageExpiryTold, 2));
    assert!(!agree(Quantity::MessageExpiryTold, 3));
    assert!(!agree(Quantity::TopicAliasMaximum, 2));
}
