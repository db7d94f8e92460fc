//! The liberties of the broker: each shows in what it says, and costs nothing that the standard promises.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::sleep;

use super::*;
use test_broker::choices::{BacklogOrder, PacketIds};

fn choosing(change: impl FnOnce(&mut Choices)) -> Broker {
    let mut choices = Choices::default();
    change(&mut choices);
    Broker::choosing(choices)
}

/// A subscriber that has gone, and a publisher.
async fn subscriber_away(broker: &Broker, protocol: Protocol, filters: &str) -> Client {
    let (mut subscriber, _) = connect(broker, protocol, "s").await;
    assert!(subscriber.tell(&format!("SUBSCRIBE id=1 {filters}")).await[0].starts_with("SUBACK"));
    subscriber.tell("DISCONNECT").await;
    connect(broker, protocol, "p").await.0
}

fn payloads(lines: &[String]) -> Vec<&str> {
    lines.iter().filter_map(|line| line.split_once("payload=").map(|(_, payload)| payload)).collect()
}

/// A publisher that sends a packet and is gone before it can be answered.
async fn send_and_vanish(broker: &Broker, protocol: Protocol, id: &str, line: &str) {
    let (mut publisher, _) = reserved(broker, protocol, "", id).await;
    publisher.patience = Duration::ZERO;
    publisher.tell(line).await;
    publisher.half_close().await;
    publisher.patience = Duration::from_secs(1);
    publisher.hear().await;
}

#[tokio::test(start_paused = true)]
async fn the_lowest_free_identifier_is_used_again() {
    for (packet_ids, expected) in [(PacketIds::Counter, "id=3"), (PacketIds::LowestFree, "id=1")] {
        let broker = choosing(|c| c.packet_ids = packet_ids);
        let (mut client, _) = reserved(&broker, V3, "", "s").await;
        client.tell("SUBSCRIBE id=1 filter=t qos=2").await;
        let (mut publisher, _) = connect(&broker, V3, "p").await;
        for qos in [1, 2] {
            publisher.tell(&publish("t", qos, 0, "m")).await;
        }
        assert_eq!(client.hear().await.len(), 2);
        assert!(client.tell("PUBACK id=1").await.is_empty());
        client.tell("PUBREC id=2").await;
        publisher.tell(&publish("t", 1, 0, "m")).await;
        let came = client.hear().await;
        assert!(came[0].contains(expected), "{came:?}");
        client.tell("PUBCOMP id=2").await;
        publisher.tell(&publish("t", 1, 0, "m")).await;
        let came = client.hear().await;
        assert!(came[0].contains(if expected == "id=1" { "id=2" } else { "id=4" }), "{came:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_backlog_comes_in_blocks() {
    for (backlog_order, expected) in [
        (BacklogOrder::AsPublished, ["t1", "u2", "t2", "u1"]),
        (BacklogOrder::ByTopic, ["u2", "u1", "t1", "t2"]),
        (BacklogOrder::HigherQosFirst, ["u2", "t2", "t1", "u1"]),
    ] {
        let broker = choosing(|c| c.backlog_order = backlog_order);
        let mut publisher = subscriber_away(&broker, V3, "filter=+ qos=2").await;
        for (topic, qos, payload) in [("t", 1, "t1"), ("u", 2, "u2"), ("t", 2, "t2"), ("u", 1, "u1")] {
            publisher.tell(&publish(topic, qos, 0, payload)).await;
        }
        assert_eq!(payloads(&backlog(&broker, V3, "s").await), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn qos_0_has_a_queue_of_its_own() {
    let broker = choosing(|c| {
        (c.qos0_apart, c.queue_qos0_publications, c.backlog_delay) = (true, true, Duration::from_millis(30));
    });
    let mut publisher = subscriber_away(&broker, V5, "filter=t qos=1").await;
    for (qos, payload) in [(1, "one"), (0, "zero"), (1, "two")] {
        publisher.tell(&publish("t", qos, 0, payload)).await;
    }
    assert_eq!(payloads(&backlog(&broker, V5, "s").await), ["zero", "one", "two"]);
}

#[tokio::test(start_paused = true)]
async fn a_qos_2_message_is_routed_once_and_retained_once_at_either_point() {
    for (onward, retained) in [(false, false), (false, true), (true, false), (true, true)] {
        let broker = choosing(|c| (c.qos2_onward_at_pubrel, c.qos2_retained_at_pubrel) = (onward, retained));
        let (mut subscriber, _) = connect(&broker, V5, "s").await;
        subscriber.tell("SUBSCRIBE id=1 filter=t qos=0").await;
        let (mut publisher, _) = reserved(&broker, V5, "", "p").await;
        let message = "PUBLISH topic=t qos=2 retain=1 dup=0 id=9 message_expiry=60 payload=m";
        publisher.tell(message).await;
        assert_eq!(subscriber.hear().await.len(), usize::from(!onward));
        assert_eq!(broker.retained().len(), usize::from(!retained));
        sleep(Duration::from_secs(20)).await;
        // A repetition changes nothing, and another message of the topic comes between.
        publisher.tell(&message.replace("dup=0", "dup=1")).await;
        publisher.tell("PUBREL id=9").await;
        publisher.tell("PUBREL id=9").await;
        let came = subscriber.hear().await;
        assert_eq!(came.len(), usize::from(onward));
        // The message waits from its PUBLISH on.
        assert!(came.iter().all(|line| line.contains("message_expiry=3") || line.contains("message_expiry=4")));
        assert_eq!(broker.retained().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_cut_off_may_be_lost_unless_it_was_answered() {
    for protocol in Protocol::ALL {
        let (mut kept, mut seeds) = (BTreeSet::new(), 0..12);
        for seed in &mut seeds {
            let broker = choosing(|c| (c.loses_cut_off, c.seed) = (true, seed));
            let (mut subscriber, _) = connect(&broker, protocol, "s").await;
            subscriber.tell("SUBSCRIBE id=1 filter=t qos=0").await;
            send_and_vanish(&broker, protocol, "p", "PUBLISH topic=t qos=1 retain=1 dup=0 id=9 payload=m").await;
            let came = subscriber.hear().await.len();
            // One decision for both: it is routed and retained, or neither.
            assert_eq!(came, broker.retained().len());
            kept.insert(came);
            // What was answered is there.
            let (mut publisher, _) = connect(&broker, protocol, "q").await;
            assert_eq!(publisher.tell(&publish("t", 1, 0, "answered")).await, ["PUBACK id=9"]);
            publisher.half_close().await;
            assert_eq!(subscriber.hear().await.len(), 1);
        }
        assert_eq!(kept, BTreeSet::from([0, 1]));
    }
}

#[tokio::test(start_paused = true)]
async fn what_precedes_disconnect_is_never_lost() {
    for seed in 0..12 {
        let broker = choosing(|c| (c.loses_cut_off, c.seed) = (true, seed));
        let (mut publisher, _) = reserved(&broker, V5, "", "p").await;
        publisher.patience = Duration::ZERO;
        publisher.tell("PUBLISH topic=t qos=1 retain=1 dup=0 id=9 payload=m").await;
        publisher.tell("DISCONNECT").await;
        publisher.half_close().await;
        publisher.patience = Duration::from_secs(1);
        publisher.hear().await;
        assert_eq!(broker.retained().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_pubrec_that_was_cut_off_comes_publish_or_pubrel() {
    for protocol in Protocol::ALL {
        let mut comes = BTreeSet::new();
        for seed in 0..12 {
            let broker = choosing(|c| (c.loses_cut_off, c.seed) = (true, seed));
            let (mut client, _) = reserved(&broker, protocol, "", "s").await;
            client.tell("SUBSCRIBE id=1 filter=t qos=2").await;
            let (mut publisher, _) = connect(&broker, protocol, "p").await;
            publisher.tell(&publish("t", 2, 0, "m")).await;
            assert_eq!(client.hear().await.len(), 1);
            client.patience = Duration::ZERO;
            client.tell("PUBREC id=1").await;
            client.half_close().await;
            client.patience = Duration::from_secs(1);
            client.hear().await;
            let came = backlog(&broker, protocol, "s").await;
            let first = came[0].clone();
            assert!(["PUBREL id=1", "PUBLISH topic=t qos=2 retain=0 dup=1 id=1 payload=m"].contains(&first.as_str()));
            comes.insert(first);
            assert!(backlog(&broker, protocol, "s").await.is_empty());
        }
        assert_eq!(comes.len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_qos_1_message_that_was_not_answered_is_recognised() {
    for protocol in Protocol::ALL {
        for (recognises_resent_qos1, expected) in [(false, 2), (true, 1)] {
            let broker = choosing(|c| c.recognises_resent_qos1 = recognises_resent_qos1);
            let (mut subscriber, _) = connect(&broker, protocol, "s").await;
            subscriber.tell("SUBSCRIBE id=1 filter=t qos=1").await;
            let line = "PUBLISH topic=t qos=1 retain=0 dup=0 id=9 payload=m";
            send_and_vanish(&broker, protocol, "p", line).await;
            let (mut publisher, _) = reserved(&broker, protocol, "", "p").await;
            assert_eq!(publisher.tell(&line.replace("dup=0", "dup=1")).await, ["PUBACK id=9"]);
            assert_eq!(subscriber.hear().await.len(), expected);
            // After PUBACK the identifier stands for a new message, whatever its DUP.
            for dup in [0, 1] {
                assert_eq!(publisher.tell(&line.replace("dup=0", &format!("dup={dup}"))).await, ["PUBACK id=9"]);
                assert_eq!(subscriber.hear().await.len(), 1);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_overlap_is_served_by_one_copy_or_by_one_for_each() {
    let (mut counts, mut flags) = (BTreeSet::new(), BTreeSet::new());
    for seed in 0..12 {
        let broker = choosing(|c| {
            (c.overlap_at_random, c.overlap_flag_at_random, c.subscription_ids_reversed) = (true, true, true);
            c.seed = seed;
        });
        let (mut client, _) = connect(&broker, V5, "s").await;
        client.tell("SUBSCRIBE id=1 subscription_id=1 filter=t qos=1").await;
        client.tell("SUBSCRIBE id=1 subscription_id=2 filter=+ qos=2,retain_as_published").await;
        let (mut publisher, _) = connect(&broker, V5, "p").await;
        publisher.tell(&publish("t", 1, 1, "m")).await;
        let came = client.hear().await;
        counts.insert(came.len());
        match came.as_slice() {
            [one] => {
                assert!(one.contains("subscription_id=1 subscription_id=2"), "{one}");
                flags.insert(one.contains("retain=1"));
            }
            [plus, t] => {
                assert!(plus.contains("retain=1") && plus.contains("subscription_id=2"), "{plus}");
                assert!(t.contains("retain=0") && t.contains("subscription_id=1"), "{t}");
            }
            _ => panic!("{came:?}"),
        }
    }
    assert_eq!((counts, flags), (BTreeSet::from([1, 2]), BTreeSet::from([false, true])));
}

#[tokio::test(start_paused = true)]
async fn a_sweep_notices_expiry_within_a_second_and_never_early() {
    for (waits, exact, swept) in [(4900, true, true), (5200, false, true), (6100, false, false)] {
        for (expiry_sweep, there) in [(false, exact), (true, swept)] {
            let broker = choosing(|c| c.expiry_sweep = expiry_sweep);
            let (mut client, _) = connect_as(&broker, V5, "brief", false, 5).await;
            let (mut subscriber, _) = connect(&broker, V5, "s").await;
            subscriber.tell("SUBSCRIBE id=1 filter=t qos=1").await;
            subscriber.tell("DISCONNECT").await;
            let (mut publisher, _) = connect(&broker, V5, "p").await;
            // The broker counts from its first packet, so this is 700 ms behind a whole second.
            sleep(Duration::from_millis(700)).await;
            publisher.patience = Duration::ZERO;
            publisher.tell("PUBLISH topic=t qos=1 retain=0 dup=0 id=1 message_expiry=5 payload=m").await;
            client.half_close().await;
            sleep(Duration::from_millis(waits)).await;
            assert_eq!(broker_has(&broker, "brief").await, there, "session {waits} {expiry_sweep}");
            assert_eq!(!backlog(&broker, V5, "s").await.is_empty(), there, "message {waits} {expiry_sweep}");
        }
    }
}

/// True if there is a session of this client.
async fn broker_has(broker: &Broker, id: &str) -> bool {
    let mut client = Client::open(&broker.endpoint(), V5).await;
    client.patience = Duration::from_millis(1);
    let line = format!("CONNECT protocol=5.0 clean_start=0 session_expiry=5 keep_alive=0 client_id={id}");
    client.tell(&line).await == [connack(1)]
}

#[tokio::test(start_paused = true)]
async fn qos_0_is_lost_now_and_then_and_nothing_else() {
    let broker = choosing(|c| c.qos0_lost_once_in = Some(2));
    let (mut client, _) = connect(&broker, V3, "s").await;
    client.tell("SUBSCRIBE id=1 filter=t qos=1").await;
    let (mut publisher, _) = connect(&broker, V3, "p").await;
    for _ in 0..20 {
        publisher.tell(&publish("t", 0, 0, "zero")).await;
        publisher.tell(&publish("t", 1, 0, "one")).await;
    }
    let came = client.hear().await;
    let count = |payload| payloads(&came).iter().filter(|own| **own == payload).count();
    assert_eq!(count("one"), 20);
    assert!((1..20).contains(&count("zero")), "{}", count("zero"));
    let mut gone = 0;
    for number in 0..12 {
        publisher.tell(&publish(&format!("kept/{number}"), 1, 1, "m")).await;
        publisher.tell(&publish(&format!("brief/{number}"), 0, 1, "m")).await;
        gone = 12 - broker.retained().iter().filter(|topic| topic.starts_with("brief/")).count();
    }
    assert_eq!(broker.retained().iter().filter(|topic| topic.starts_with("kept/")).count(), 12);
    assert!(gone > 0);
}

#[tokio::test(start_paused = true)]
async fn a_group_may_choose_a_member_that_is_away() {
    let broker = choosing(|c| c.shared_to_absent = true);
    let (mut there, _) = connect(&broker, V5, "a").await;
    let (mut away, _) = connect(&broker, V5, "b").await;
    for member in [&mut there, &mut away] {
        member.tell("SUBSCRIBE id=1 filter=$share/g/t qos=1").await;
    }
    away.tell("DISCONNECT").await;
    let (mut publisher, _) = connect(&broker, V5, "p").await;
    for _ in 0..4 {
        publisher.tell(&publish("t", 1, 0, "m")).await;
    }
    assert_eq!((there.hear().await.len(), backlog(&broker, V5, "b").await.len()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_broken_off_shared_delivery_at_qos_1_may_go_to_another_member() {
    for (qos, others) in [(1, 1), (2, 0)] {
        let broker = choosing(|c| c.shared_qos1_moves_on = true);
        let (mut first, _) = reserved(&broker, V5, "", "a").await;
        first.tell("SUBSCRIBE id=1 filter=$share/g/t qos=2").await;
        let (mut publisher, _) = connect(&broker, V5, "p").await;
        publisher.tell(&publish("t", qos, 0, "m")).await;
        assert_eq!(first.hear().await.len(), 1);
        let (mut second, _) = reserved(&broker, V5, "", "b").await;
        second.tell("SUBSCRIBE id=1 filter=$share/g/t qos=2").await;
        first.half_close().await;
        first.hear().await;
        assert_eq!(second.hear().await.len(), others);
        assert_eq!(payloads(&backlog(&broker, V5, "a").await).len(), 1 - others);
    }
    // Without another member that is there it waits.
    let broker = choosing(|c| c.shared_qos1_moves_on = true);
    let (mut only, _) = reserved(&broker, V5, "", "a").await;
    only.tell("SUBSCRIBE id=1 filter=$share/g/t qos=2").await;
    let (mut publisher, _) = connect(&broker, V5, "p").await;
    publisher.tell(&publish("t", 1, 0, "m")).await;
    only.hear().await;
    only.half_close().await;
    only.hear().await;
    assert_eq!(backlog(&broker, V5, "a").await, ["PUBLISH topic=t qos=1 retain=0 dup=1 id=1 payload=m"]);
}

#[tokio::test(start_paused = true)]
async fn in_3_1_1_an_unanswered_packet_is_repeated_once() {
    for protocol in Protocol::ALL {
        let broker = choosing(|c| (c.repeats_live, c.packet_ids) = (true, PacketIds::LowestFree));
        let (mut client, _) = reserved(&broker, protocol, "", "s").await;
        client.tell("SUBSCRIBE id=1 filter=t qos=2").await;
        let (mut publisher, _) = connect(&broker, protocol, "p").await;
        client.patience = Duration::from_secs(5);
        publisher.tell(&publish("t", 1, 0, "one")).await;
        let repeats = usize::from(protocol == V3);
        let mut came = client.hear().await;
        assert_eq!(came.len(), 1 + repeats);
        if protocol == V3 {
            assert_eq!(came.pop().unwrap(), "PUBLISH topic=t qos=1 retain=0 dup=1 id=1 payload=one");
        }
        // The second PUBACK of a repeated message acknowledges nothing else.
        client.tell("PUBACK id=1").await;
        publisher.tell(&publish("t", 2, 0, "two")).await;
        let came = client.hear().await;
        let id = 1 + repeats;
        assert_eq!(came[0], format!("PUBLISH topic=t qos=2 retain=0 dup=0 id={id} payload=two"));
        client.tell("PUBACK id=1").await;
        let released = client.tell(&format!("PUBREC id={id}")).await;
        assert!(released.iter().all(|line| *line == format!("PUBREL id={id}")), "{released:?}");
        client.half_close().await;
        client.hear().await;
        assert_eq!(reserved(&broker, protocol, "", "s").await.1[1..], [format!("PUBREL id={id}")]);
    }
    let broker = choosing(|c| c.repeats_live = true);
    let (mut client, _) = reserved(&broker, V3, "", "s").await;
    client.tell("SUBSCRIBE id=1 filter=t qos=2").await;
    let (mut publisher, _) = connect(&broker, V3, "p").await;
    (client.patience, publisher.patience) = (Duration::from_millis(100), Duration::ZERO);
    publisher.tell(&publish("t", 2, 0, "m")).await;
    client.hear().await;
    client.patience = Duration::from_secs(5);
    assert_eq!(client.tell("PUBREC id=1").await, ["PUBREL id=1", "PUBREL id=1"]);
}

#[tokio::test(start_paused = true)]
async fn retained_copies_come_in_any_order() {
    let mut orders = BTreeSet::new();
    for seed in 0..12 {
        let broker = choosing(|c| (c.retained_copies_shuffled, c.seed) = (true, seed));
        let (mut client, _) = connect(&broker, V3, "s").await;
        for topic in ["a", "b", "c"] {
            client.tell(&publish(topic, 1, 1, topic)).await;
        }
        let came = client.tell("SUBSCRIBE id=1 filter=+ qos=1").await;
        let mut order = payloads(&came).into_iter().map(str::to_owned).collect::<Vec<_>>();
        orders.insert(order.clone());
        order.sort();
        assert_eq!(order, ["a", "b", "c"]);
    }
    assert!(orders.len() > 2);
}

#[tokio::test(start_paused = true)]
async fn a_retained_will_is_a_retained_message_like_any_other() {
    const WILL: &str = "will_topic=w will_qos=1 will_retain=1 will_payload=gone";
    let broker = Broker::correct();
    let (mut client, _) = connect(&broker, V5, "s").await;
    client.tell(&publish("w", 2, 1, "before")).await;
    let (mut dying, _) = join(&broker, V5, true, "session_expiry=60", "d", WILL).await;
    dying.half_close().await;
    dying.hear().await;
    let copy = |id: u8| format!("PUBLISH topic=w qos=1 retain=1 dup=0 id={id} payload=gone");
    for (options, brings) in [("", true), (",retain_handling=1", false), (",retain_handling=2", false)] {
        let came = client.tell(&format!("SUBSCRIBE id=1 filter=w qos=2{options}")).await;
        assert_eq!(came.len(), 1 + usize::from(brings), "{options} {came:?}");
    }
    // No Local: it is a message of the client that died.
    let (mut dead, _) = join(&broker, V5, false, "session_expiry=60", "d", "").await;
    assert_eq!(dead.tell("SUBSCRIBE id=1 filter=w qos=2,no_local").await.len(), 1);
    assert_eq!(dead.tell("SUBSCRIBE id=1 filter=w qos=2").await[1], copy(1));
    // A message replaces it, and an empty one clears it.
    client.tell(&publish("w", 1, 1, "after")).await;
    assert_eq!(payloads(&client.tell("SUBSCRIBE id=1 filter=w qos=0").await), ["after"]);
    let (mut dying, _) = join(&broker, V5, true, "session_expiry=60", "e", WILL).await;
    dying.half_close().await;
    dying.hear().await;
    client.hear().await;
    client.tell("PUBLISH topic=w qos=0 retain=1 dup=0 payload=").await;
    assert_eq!(client.tell("SUBSCRIBE id=1 filter=w qos=0").await.len(), 1);
}
