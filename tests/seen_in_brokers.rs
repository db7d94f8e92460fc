//! Exchanges with real brokers, byte for byte confirmed by hand, and what the judge says about them.

mod made_up;

use mqtt_sessions::judge::judge_again;
use mqtt_sessions::results::{CellResult, Options, Verdict};

/// Judges a history of one attempt.
fn judged(history: &[&str]) -> CellResult {
    judged_in(1, history)
}

/// Judges so many attempts that all went the same.
fn judged_in(attempts: u32, history: &[&str]) -> CellResult {
    let mut cell = made_up::matrix().cells.remove(0);
    let lines = |attempt: u32| {
        let head = std::iter::once(format!("attempt {attempt}"));
        head.chain(history.iter().map(|line| (*line).to_owned())).collect::<Vec<_>>()
    };
    cell.history = (1..=attempts).flat_map(lines).collect();
    judge_again(&cell, &Options { messages: 1, queue_limit: None }).unwrap().unwrap()
}

fn statements(cell: &CellResult) -> Vec<&str> {
    cell.violations.iter().map(|violation| violation.statement.as_str()).collect()
}

/// rabbitmq 3.10: the session of a subscription at QoS 0 is not kept. It says so rightly; what it breaks is the keeping.
#[test]
fn a_session_that_was_not_kept_is_no_wrong_session_present() {
    let cell = judged(&[
        "step 1 connect subscriber",
        "subscriber -> CONNECT protocol=3.1.1 clean_session=0 keep_alive=60 client_id=subscriber",
        "subscriber <- CONNACK session_present=0 code=0x00",
        "step 2 subscribe subscriber",
        "subscriber -> SUBSCRIBE id=1 filter=t qos=0",
        "subscriber <- SUBACK id=1 code=0x00",
        "step 3 disconnect subscriber",
        "subscriber -> DISCONNECT",
        "subscriber <- end fin",
        "step 4 connect subscriber",
        "subscriber -> CONNECT protocol=3.1.1 clean_session=0 keep_alive=60 client_id=subscriber",
        "subscriber <- CONNACK session_present=0 code=0x00",
        "step 5 receive subscriber",
        "subscriber -> PINGREQ",
        "subscriber <- PINGRESP",
    ]);
    assert_eq!(statements(&cell), ["MQTT-3.1.2-4"]);
}

/// activemq 5.17: the backlog comes, and Session Present is 0 all the same.
#[test]
fn a_session_that_shows_itself_is_a_wrong_session_present() {
    let cell = judged(&[
        "step 1 connect subscriber",
        "subscriber -> CONNECT protocol=3.1.1 clean_session=0 keep_alive=60 client_id=subscriber",
        "subscriber <- CONNACK session_present=0 code=0x00",
        "step 2 connect publisher",
        "publisher -> CONNECT protocol=3.1.1 clean_session=1 keep_alive=60 client_id=publisher",
        "publisher <- CONNACK session_present=0 code=0x00",
        "step 3 subscribe subscriber",
        "subscriber -> SUBSCRIBE id=1 filter=t qos=1",
        "subscriber <- SUBACK id=1 code=0x01",
        "step 4 disconnect subscriber",
        "subscriber -> DISCONNECT",
        "subscriber <- end fin",
        "step 5 publish publisher",
        "publisher -> PUBLISH topic=t qos=1 retain=0 dup=0 id=1 payload=m1",
        "publisher <- PUBACK id=1",
        "step 6 connect subscriber",
        "subscriber -> CONNECT protocol=3.1.1 clean_session=0 keep_alive=60 client_id=subscriber",
        "subscriber <- CONNACK session_present=0 code=0x00",
        "step 7 receive subscriber",
        "subscriber <- PUBLISH topic=t qos=1 retain=0 dup=0 id=1 payload=m1",
        "subscriber -> PUBACK id=1",
    ]);
    assert_eq!(statements(&cell), ["MQTT-3.2.2-2"]);
}

/// rabbitmq 3.10 answers a PUBLISH at QoS 2 with PUBACK. It has taken the message, so it is held to deliver it.
#[test]
fn puback_for_a_publish_at_qos_2_is_one_finding_and_an_acceptance() {
    let cell = judged(&[
        "step 1 connect subscriber",
        "subscriber -> CONNECT protocol=3.1.1 clean_session=0 keep_alive=60 client_id=subscriber",
        "subscriber <- CONNACK session_present=0 code=0x00",
        "step 2 connect publisher",
        "publisher -> CONNECT protocol=3.1.1 clean_session=1 keep_alive=60 client_id=publisher",
        "publisher <- CONNACK session_present=0 code=0x00",
        "step 3 subscribe subscriber",
        "subscriber -> SUBSCRIBE id=1 filter=t qos=2",
        "subscriber <- SUBACK id=1 code=0x01",
        "step 4 disconnect subscriber",
        "subscriber -> DISCONNECT",
        "subscriber <- end fin",
        "step 5 publish publisher",
        "publisher -> PUBLISH topic=t qos=2 retain=0 dup=0 id=1 payload=m1",
        "publisher <- PUBACK id=1",
        "publisher -> PUBLISH topic=t qos=2 retain=0 dup=0 id=2 payload=m2",
        "publisher <- PUBACK id=2",
        "step 6 connect subscriber",
        "subscriber -> CONNECT protocol=3.1.1 clean_session=0 keep_alive=60 client_id=subscriber",
        "subscriber <- CONNACK session_present=1 code=0x00",
        "step 7 receive subscriber",
        "subscriber <- PUBLISH topic=t qos=1 retain=0 dup=0 id=1 payload=m1",
        "subscriber -> PUBACK id=1",
        "subscriber <- PUBLISH topic=t qos=1 retain=0 dup=0 id=2 payload=m2",
        "subscriber -> PUBACK id=2",
    ]);
    assert_eq!(statements(&cell), ["MQTT-3.3.4-1"]);
    assert_eq!(cell.violations[0].observed, "PUBACK");
    assert_eq!(cell.published, 2);
}

/// amqtt 0.12 sends every retained message that matches anybody's subscription to whoever connects. Retained messages
/// are part of no session, so that is no use of a discarded one.
#[test]
fn a_retained_message_that_nobody_asked_for_is_odd_and_no_use_of_a_discarded_session() {
    let connect = "subscriber -> CONNECT protocol=3.1.1 clean_session=1 keep_alive=60 client_id=subscriber";
    let cell = judged(&[
        "step 1 connect subscriber",
        connect,
        "subscriber <- CONNACK session_present=0 code=0x00",
        "step 2 connect publisher",
        "publisher -> CONNECT protocol=3.1.1 clean_session=1 keep_alive=60 client_id=publisher",
        "publisher <- CONNACK session_present=0 code=0x00",
        "step 3 subscribe subscriber",
        "subscriber -> SUBSCRIBE id=1 filter=t qos=1",
        "subscriber <- SUBACK id=1 code=0x01",
        "step 4 disconnect subscriber",
        "subscriber -> DISCONNECT",
        "subscriber <- end fin",
        "step 5 publish publisher",
        "publisher -> PUBLISH topic=t qos=1 retain=1 dup=0 id=1 payload=m1",
        "publisher <- PUBACK id=1",
        "step 6 connect subscriber",
        connect,
        "subscriber <- CONNACK session_present=0 code=0x00",
        "subscriber <- PUBLISH topic=t qos=0 retain=1 dup=0 payload=m1",
        "subscriber <- PUBLISH topic=?elsewhere qos=0 retain=1 dup=0 payload=?elsewhere",
        "subscriber <- PUBLISH topic=?elsewhere qos=0 retain=1 dup=0 payload=?elsewhere",
    ]);
    assert_eq!(statements(&cell), ["4.5", "4.5"]);
    assert_eq!(cell.verdict, Verdict::Warn);
    assert_eq!(cell.choices.get("unsolicited_messages").map(String::as_str), Some("some"));
}

/// aedes 1.2 delivers at QoS 2 what it granted QoS 1, and sends it again after its PUBREL.
#[test]
fn a_broker_that_delivers_at_qos_2_is_held_to_its_handshake() {
    let cell = judged(&[
        "step 1 connect subscriber",
        "subscriber -> CONNECT protocol=3.1.1 clean_session=0 keep_alive=60 client_id=subscriber",
        "subscriber <- CONNACK session_present=0 code=0x00",
        "step 2 connect publisher",
        "publisher -> CONNECT protocol=3.1.1 clean_session=1 keep_alive=60 client_id=publisher",
        "publisher <- CONNACK session_present=0 code=0x00",
        "step 3 subscribe subscriber",
        "subscriber -> SUBSCRIBE id=1 filter=t qos=1",
        "subscriber <- SUBACK id=1 code=0x01",
        "step 4 disconnect subscriber",
        "subscriber -> DISCONNECT",
        "subscriber <- end fin",
        "step 5 publish publisher",
        "publisher -> PUBLISH topic=t qos=2 retain=0 dup=0 id=1 payload=m1",
        "publisher <- PUBREC id=1",
        "publisher -> PUBREL id=1",
        "publisher <- PUBCOMP id=1",
        "step 6 connect subscriber",
        "subscriber -> CONNECT protocol=3.1.1 clean_session=0 keep_alive=60 client_id=subscriber",
        "subscriber <- CONNACK session_present=1 code=0x00",
        "subscriber <- PUBLISH topic=t qos=2 retain=0 dup=0 id=1 payload=m1",
        "subscriber -> PUBREC id=1",
        "subscriber <- PUBREL id=1",
        "subscriber -> PUBCOMP id=1",
        "step 7 disconnect subscriber",
        "subscriber -> DISCONNECT",
        "subscriber <- end fin",
        "step 8 connect subscriber",
        "subscriber -> CONNECT protocol=3.1.1 clean_session=0 keep_alive=60 client_id=subscriber",
        "subscriber <- CONNACK session_present=1 code=0x00",
        "subscriber <- PUBLISH topic=t qos=2 retain=0 dup=0 id=1 payload=m1",
        "subscriber -> PUBREC id=1",
        "subscriber <- PUBREL id=1",
        "subscriber -> PUBCOMP id=1",
    ]);
    assert_eq!(statements(&cell), ["MQTT-3.8.4-6", "MQTT-4.3.3-1"]);
}

/// rabbitmq 3.10 under load answers PINGREQ at once and SUBSCRIBE after more than 5 s.
#[test]
fn an_answer_that_came_late_is_not_missing() {
    let cell = judged_in(
        3,
        &[
            "step 1 connect subscriber",
            "subscriber -> CONNECT protocol=3.1.1 clean_session=1 keep_alive=60 client_id=subscriber",
            "subscriber <- CONNACK session_present=0 code=0x00",
            "step 2 subscribe subscriber",
            "subscriber -> SUBSCRIBE id=4 filter=t qos=0",
            "subscriber -- no SUBACK id=4",
            "subscriber -> PINGREQ",
            "subscriber <- PINGRESP",
            "subscriber <- SUBACK id=4 code=0x00",
            "stopped",
        ],
    );
    assert_eq!((cell.verdict, statements(&cell)), (Verdict::Inconclusive, vec![]));
    assert_eq!(cell.reason.as_deref(), Some("SUBACK to subscriber came only after the deadline"));
}

/// mosca 2.8 never answers a PUBLISH at QoS 2.
#[test]
fn an_answer_is_missing_if_it_is_in_each_of_three_attempts() {
    let history = [
        "step 1 connect publisher",
        "publisher -> CONNECT protocol=3.1.1 clean_session=1 keep_alive=60 client_id=publisher",
        "publisher <- CONNACK session_present=0 code=0x00",
        "step 2 publish publisher",
        "publisher -> PUBLISH topic=t qos=2 retain=0 dup=0 id=1 payload=m1",
        "publisher -- no PUBREC id=1",
        "publisher -> PINGREQ",
        "publisher <- PINGRESP",
        "stopped",
    ];
    assert_eq!(judged_in(2, &history).verdict, Verdict::Inconclusive);
    let cell = judged_in(3, &history);
    assert_eq!((cell.verdict, statements(&cell)), (Verdict::Fail, vec!["MQTT-3.3.4-1"]));
}

/// aedes 1.2 sends PUBREL twice for one message and never for the one before it.
#[test]
fn a_pubrel_that_was_overtaken_needs_no_second_attempt() {
    let cell = judged(&[
        "step 1 connect subscriber",
        "subscriber -> CONNECT protocol=3.1.1 clean_session=0 keep_alive=60 client_id=subscriber",
        "subscriber <- CONNACK session_present=0 code=0x00",
        "step 2 connect publisher",
        "publisher -> CONNECT protocol=3.1.1 clean_session=1 keep_alive=60 client_id=publisher",
        "publisher <- CONNACK session_present=0 code=0x00",
        "step 3 subscribe subscriber",
        "subscriber -> SUBSCRIBE id=1 filter=t qos=2",
        "subscriber <- SUBACK id=1 code=0x02",
        "step 4 publish publisher",
        "subscriber <- PUBLISH topic=t qos=2 retain=0 dup=0 id=1 payload=m1",
        "subscriber -> PUBREC id=1",
        "subscriber <- PUBLISH topic=t qos=2 retain=0 dup=0 id=2 payload=m2",
        "subscriber -> PUBREC id=2",
        "subscriber <- PUBREL id=2",
        "subscriber -> PUBCOMP id=2",
        "subscriber -- no PUBREL id=1",
        "subscriber -> PINGREQ",
        "subscriber <- PINGRESP",
        "publisher -> PUBLISH topic=t qos=2 retain=0 dup=0 id=1 payload=m1",
        "publisher <- PUBREC id=1",
        "publisher -> PUBREL id=1",
        "publisher <- PUBCOMP id=1",
        "publisher -> PUBLISH topic=t qos=2 retain=0 dup=0 id=2 payload=m2",
        "publisher <- PUBREC id=2",
        "publisher -> PUBREL id=2",
        "publisher <- PUBCOMP id=2",
        "stopped",
    ]);
    assert_eq!((cell.verdict, statements(&cell)), (Verdict::Fail, vec!["MQTT-4.3.3-1"]));
}

/// aedes 1.2 lets new messages overtake the backlog, whose copies keep RETAIN 1. What comes after the SUBSCRIBE is the
/// rest of the backlog and one retained copy, and nothing is lost.
#[test]
fn queued_copies_that_keep_their_retain_flag_are_queued_also_after_a_subscribe() {
    let cell = judged(&[
        "step 1 connect subscriber",
        "subscriber -> CONNECT protocol=3.1.1 clean_session=0 keep_alive=60 client_id=subscriber",
        "subscriber <- CONNACK session_present=0 code=0x00",
        "step 2 connect publisher",
        "publisher -> CONNECT protocol=3.1.1 clean_session=1 keep_alive=60 client_id=publisher",
        "publisher <- CONNACK session_present=0 code=0x00",
        "step 3 subscribe subscriber",
        "subscriber -> SUBSCRIBE id=1 filter=t qos=1",
        "subscriber <- SUBACK id=1 code=0x01",
        "step 4 disconnect subscriber",
        "subscriber -> DISCONNECT",
        "subscriber <- end fin",
        "step 5 publish publisher",
        "publisher -> PUBLISH topic=t qos=1 retain=1 dup=0 id=1 payload=m1",
        "publisher <- PUBACK id=1",
        "publisher -> PUBLISH topic=t qos=1 retain=1 dup=0 id=2 payload=m2",
        "publisher <- PUBACK id=2",
        "publisher -> PUBLISH topic=t qos=1 retain=1 dup=0 id=3 payload=m3",
        "publisher <- PUBACK id=3",
        "step 6 connect subscriber",
        "subscriber -> CONNECT protocol=3.1.1 clean_session=0 keep_alive=60 client_id=subscriber",
        "subscriber <- CONNACK session_present=1 code=0x00",
        "step 7 receive subscriber",
        "subscriber <- PUBLISH topic=t qos=1 retain=1 dup=0 id=1 payload=m1",
        "subscriber -> PUBACK id=1",
        "subscriber <- PUBLISH topic=t qos=1 retain=0 dup=0 id=2 payload=fence1",
        "subscriber -> PUBACK id=2",
        "publisher -> PUBLISH topic=t qos=1 retain=0 dup=0 id=4 payload=fence1",
        "publisher <- PUBACK id=4",
        "step 8 subscribe subscriber",
        "subscriber -> SUBSCRIBE id=2 filter=t qos=1",
        "subscriber <- SUBACK id=2 code=0x01",
        "step 9 receive subscriber",
        "subscriber <- PUBLISH topic=t qos=1 retain=1 dup=0 id=3 payload=m3",
        "subscriber -> PUBACK id=3",
        "subscriber <- PUBLISH topic=t qos=1 retain=1 dup=0 id=4 payload=m2",
        "subscriber -> PUBACK id=4",
        "subscriber <- PUBLISH topic=t qos=1 retain=1 dup=0 id=5 payload=m3",
        "subscriber -> PUBACK id=5",
        "subscriber -- settled",
    ]);
    assert_eq!(statements(&cell), ["MQTT-3.3.1-9", "MQTT-3.3.1-9"]);
}
