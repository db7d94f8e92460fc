//! What the record of a cell lists as received: each client's copies, in an order that no legal interleaving changes.

mod made_up;

use mqtt_sessions::judge::judge_again;
use mqtt_sessions::results::{AttemptRun, CellResult, CellRun, Options, Phase, Received};

/// The record of a history that is written by hand.
fn record(history: &str) -> CellResult {
    let stored = made_up::matrix().cells.remove(0);
    let history = history.lines().map(str::to_owned).collect();
    let run = CellRun { attempts: vec![AttemptRun { history, ..AttemptRun::default() }], ..CellRun::default() };
    let judged = judge_again(&stored, &run, &Options { messages: 3, queue_limit: None, durable: None });
    judged.expect("it is a history").expect("it was kept").result
}

/// Client, connection and message of each copy, as `one#2 m1`.
fn copies(record: &CellResult) -> Vec<String> {
    let name = |copy: &Received| copy.seq.map_or("foreign".into(), |seq| format!("m{seq}"));
    record.received.iter().map(|copy| format!("{}#{} {}", copy.client, copy.connection, name(copy))).collect()
}

/// Two publishers with messages on two topics and at two QoS, for a client that is away.
const BEFORE: &str = "step 1 connect one
one -> CONNECT protocol=3.1.1 clean_session=0 keep_alive=60 client_id=one
one <- CONNACK session_present=0 code=0x00
step 2 subscribe one
one -> SUBSCRIBE id=1 filter=t qos=2 filter=u qos=2
one <- SUBACK id=1 code=0x02 code=0x02
step 3 disconnect one
one -> DISCONNECT
one <- end fin
step 4 connect left
left -> CONNECT protocol=3.1.1 clean_session=1 keep_alive=60 client_id=left
left <- CONNACK session_present=0 code=0x00
step 5 connect right
right -> CONNECT protocol=3.1.1 clean_session=1 keep_alive=60 client_id=right
right <- CONNACK session_present=0 code=0x00
step 6 publish left
left -> PUBLISH topic=t qos=1 retain=0 dup=0 id=1 payload=m1
left <- PUBACK id=1
step 7 publish right
right -> PUBLISH topic=t qos=1 retain=0 dup=0 id=1 payload=m2
right <- PUBACK id=1
step 8 publish left
left -> PUBLISH topic=u qos=1 retain=0 dup=0 id=2 payload=m3
left <- PUBACK id=2
step 9 publish left
left -> PUBLISH topic=t qos=2 retain=0 dup=0 id=3 payload=m4
left <- PUBREC id=3
left -> PUBREL id=3
left <- PUBCOMP id=3
step 10 publish left
left -> PUBLISH topic=t qos=1 retain=0 dup=0 id=4 payload=m5
left <- PUBACK id=4
step 11 connect one
one -> CONNECT protocol=3.1.1 clean_session=0 keep_alive=60 client_id=one
one <- CONNACK session_present=1 code=0x00
";

fn returned(deliveries: &[&str]) -> CellResult {
    let lines: String = deliveries.iter().map(|delivery| format!("one <- PUBLISH {delivery}\n")).collect();
    record(&format!("{BEFORE}step 12 receive one\n{lines}"))
}

const M1: &str = "topic=t qos=1 retain=0 dup=0 id=11 payload=m1";
const M2: &str = "topic=t qos=1 retain=0 dup=0 id=12 payload=m2";
const M3: &str = "topic=u qos=1 retain=0 dup=0 id=13 payload=m3";
const M4: &str = "topic=t qos=2 retain=0 dup=0 id=14 payload=m4";
const M5: &str = "topic=t qos=1 retain=0 dup=0 id=15 payload=m5";

#[test]
fn what_a_broker_may_interleave_is_levelled() {
    let first = returned(&[M1, M2, M3, M4, M5]);
    assert_eq!(copies(&first), ["one#2 m1", "one#2 m5", "one#2 m2", "one#2 m4", "one#2 m3"]);
    for order in [[M4, M3, M2, M1, M5], [M3, M1, M5, M4, M2], [M1, M5, M2, M4, M3]] {
        assert_eq!(returned(&order).received, first.received, "{order:?}");
    }
}

#[test]
fn what_was_sent_and_what_came_are_told_by_topic_client_and_step() {
    let record = returned(&[M1, M3]);
    assert_eq!(
        record.sent_to.iter().map(|(topic, sent)| (topic.as_str(), *sent)).collect::<Vec<_>>(),
        [("t", 4), ("u", 1)]
    );
    let came: Vec<_> = record
        .received
        .iter()
        .map(|copy| (copy.client.as_str(), copy.topic.as_str(), copy.connection, copy.step))
        .collect();
    assert_eq!(came, [("one", "t", 2, 12), ("one", "u", 2, 12)]);
}

#[test]
fn the_order_that_a_broker_has_to_keep_is_kept() {
    assert_eq!(copies(&returned(&[M5, M2, M3, M4, M1]))[..3], ["one#2 m5", "one#2 m1", "one#2 m2"]);
}

#[test]
fn only_a_fence_of_the_same_lane_that_was_sent_behind_a_message_makes_it_late() {
    let fenced = |fence: &str, delivery: &str| {
        let text = format!(
            "{BEFORE}step 12 receive one\n{fence}one <- PUBLISH {delivery}\nright -> PUBLISH topic=t qos=1 retain=0 dup=0 \
             id=2 payload=m6\nright <- PUBACK id=2\none <- PUBLISH topic=t qos=1 retain=0 dup=0 id=30 payload=m6\n"
        );
        record(&text).received.iter().map(|copy| copy.late).collect::<Vec<_>>()
    };
    let own = "right -> PUBLISH topic=t qos=1 retain=0 dup=0 id=9 payload=fence1
right <- PUBACK id=9
one <- PUBLISH topic=t qos=1 retain=0 dup=0 id=20 payload=fence1
";
    assert_eq!(fenced(own, M2), [true, false]);
    assert_eq!(fenced(own, M1), [false, false]);
    let other_qos = own.replace("qos=1", "qos=0").replace(" id=9", "").replace(" id=20", "");
    let other_qos = other_qos.replace("right <- PUBACK\n", "");
    assert_eq!(fenced(&other_qos, M2), [false, false]);
}

#[test]
fn phases_go_by_the_client_identifier() {
    let taken_over = record(
        "step 1 connect one
one -> CONNECT protocol=3.1.1 clean_session=0 keep_alive=60 client_id=one
one <- CONNACK session_present=0 code=0x00
step 2 subscribe one
one -> SUBSCRIBE id=1 filter=t qos=1
one <- SUBACK id=1 code=0x01
step 3 connect publisher
publisher -> CONNECT protocol=3.1.1 clean_session=1 keep_alive=60 client_id=publisher
publisher <- CONNACK session_present=0 code=0x00
step 4 publish publisher
publisher -> PUBLISH topic=t qos=1 retain=0 dup=0 id=1 payload=m1
publisher <- PUBACK id=1
step 5 receive one
one <- PUBLISH topic=t qos=1 retain=0 dup=0 id=1 payload=m1
step 5 connect heir
heir -> CONNECT protocol=3.1.1 clean_session=0 keep_alive=60 client_id=one
one <- end fin
heir <- CONNACK session_present=1 code=0x00
heir <- PUBLISH topic=t qos=1 retain=0 dup=1 id=1 payload=m1
heir -> PUBACK id=1
step 6 subscribe heir
heir -> SUBSCRIBE id=1 filter=t qos=1
heir <- SUBACK id=1 code=0x01
step 7 publish publisher
publisher -> PUBLISH topic=t qos=1 retain=0 dup=0 id=2 payload=m2
publisher <- PUBACK id=2
heir <- PUBLISH topic=t qos=1 retain=0 dup=0 id=2 payload=m2
heir -> PUBACK id=2
step 8 receive heir
step 8 connect one
one -> CONNECT protocol=3.1.1 clean_session=0 keep_alive=60 client_id=one
heir <- end fin
one <- CONNACK session_present=1 code=0x00
one <- PUBLISH topic=t qos=1 retain=0 dup=1 id=2 payload=m2
step 9 receive one
",
    );
    let phases: Vec<(String, Phase)> =
        copies(&taken_over).into_iter().zip(taken_over.received.iter().map(|copy| copy.phase)).collect();
    let expected = [
        ("heir#1 m1", Phase::Resumed),
        ("heir#1 m2", Phase::Resubscribed),
        ("one#1 m1", Phase::First),
        ("one#2 m2", Phase::Again),
    ];
    assert_eq!(phases, expected.map(|(copy, phase)| (copy.to_owned(), phase)));
    assert_eq!(taken_over.session_present, Some(true));
    assert_eq!((taken_over.granted_qos, taken_over.regranted_qos), (Some(1), Some(1)));
    let complete: Vec<bool> = taken_over.received.iter().map(|copy| copy.complete).collect();
    assert_eq!(complete, [true, true, false, false]);
}

#[test]
fn what_is_not_of_the_experiment_is_left_out() {
    let text = format!(
        "{BEFORE}step 12 receive one
one <- PUBLISH topic=t qos=0 retain=0 dup=0 payload=loop1
one <- PUBLISH topic=t qos=0 retain=0 dup=0 payload=fence1
one <- PUBLISH topic=t qos=0 retain=0 dup=0 payload=will1
one <- PUBLISH topic=?elsewhere qos=0 retain=0 dup=0 payload=?elsewhere
one <- PUBLISH topic=t qos=0 retain=0 dup=0 payload=?strange
"
    );
    assert_eq!(copies(&record(&text)), ["one#2 foreign"]);
}

#[test]
fn what_nobody_waited_for_is_left_out() {
    let text = format!(
        "{BEFORE}one <- PUBLISH {M1}
step 12 receive one
one <- PUBLISH {M2}
step 13 wait left
one <- PUBLISH {M4}
"
    );
    assert_eq!(copies(&record(&text)), ["one#2 m1", "one#2 m2"]);
    assert_eq!(copies(&record(&text.replace("receive one", "receive left"))), [""; 0]);
}
