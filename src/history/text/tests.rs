use super::parse;
use crate::history::{History, Message};

#[test]
fn every_kind_of_line_is_read_as_it_was_written() {
    let lines = [
        "attempt 2",
        "step 3 disconnect subscriber",
        "subscriber -> CONNECT protocol=3.1.1 clean_session=0 keep_alive=60 client_id=subscriber",
        "subscriber -> CONNECT protocol=5.0 clean_start=1 session_expiry=0 keep_alive=60 client_id=subscriber",
        "subscriber <- CONNACK session_present=1 code=0x00",
        "subscriber <- CONNACK session_present=0 code=0x87 session_expiry=9 receive_maximum=20 maximum_qos=1 \
         retain_available=0",
        "subscriber -> CONNECT protocol=5.0 clean_start=1 receive_maximum=3 maximum_packet_size=200 \
         topic_alias_maximum=2 keep_alive=60 client_id=subscriber will_topic=w will_qos=1 will_retain=1 \
         will_delay=2 will_payload=will1",
        "subscriber <- CONNACK session_present=0 code=0x00 assigned_client_id=x server_keep_alive=5 \
         maximum_packet_size=9 topic_alias_maximum=10 wildcards_available=0 subscription_ids_available=1 \
         shared_available=0",
        "subscriber -> SUBSCRIBE id=1 filter=t qos=1 filter=u qos=0",
        "subscriber -> SUBSCRIBE id=1 subscription_id=7 filter=t/# \
         qos=1,no_local,retain_as_published,retain_handling=2 filter=u qos=0,retain_handling=1",
        "subscriber <- PUBLISH topic=t qos=1 retain=0 dup=0 id=1 payload_format=1 message_expiry=4 topic_alias=2 \
         content_type=a%20b response_topic=r correlation_data=%00 user_key=k user_value=v user_key=k user_value= \
         subscription_id=1 subscription_id=7 payload=m1",
        "subscriber -> DISCONNECT reason=0x04 session_expiry=9",
        "subscriber <- SUBACK id=1 code=0x01 code=0x80",
        "publisher -> PUBLISH topic=t qos=2 retain=1 dup=0 id=1 payload=m1",
        "witness <- PUBLISH topic=t qos=0 retain=0 dup=0 payload=?%00%25x",
        "publisher <- PUBREC id=1",
        "publisher -> PUBREL id=1",
        "publisher <- PUBCOMP id=1 reason=0x92",
        "publisher <- PUBACK id=2 reason=0x10",
        "subscriber -> UNSUBSCRIBE id=2 filter=fence",
        "subscriber <- UNSUBACK id=2",
        "subscriber <- UNSUBACK id=2 code=0x11",
        "subscriber -> PINGREQ",
        "subscriber <- PINGRESP",
        "subscriber -- settled",
        "subscriber -- no PUBREL id=3",
        "subscriber -- no PINGRESP",
        "subscriber -- no connection",
        "publisher -- withheld PUBLISH at QoS 2: Maximum QoS 1",
        "subscriber -> DISCONNECT",
        "subscriber <- DISCONNECT reason=0x8e",
        "subscriber <- AUTH reason=0x18",
        "subscriber <- end fin",
        "subscriber <- end reset",
        "subscriber -> end fin",
        "subscriber -> end reset",
        "subscriber <- end close_notify",
        "subscriber <- end truncated",
        "subscriber <- end alert 116",
        "subscriber -> end close 1000",
        "subscriber -- session_expiry 2 s: passed",
        "subscriber -- will_delay 3 s: not passed",
        "subscriber <- undecodable 20020001ff",
        "12.3 subscriber#2 <- PUBLISH topic=t qos=1 retain=0 dup=0 id=3 payload=m1",
        "0.0 witness#1 -- settled",
        "subscriber#3 -> PINGREQ",
        "900.1 step 4 receive subscriber",
        "950.0 late 312 ms",
        "subscriber -- no CONNACK",
        "subscriber -- no end",
        "subscriber -- no will",
        "broken off: the CONNECT is too long",
        "broken off: 50 %25 of it%0d%0a, and %e2%80%ae",
        "step 3 receive%0d",
        "subscriber -- withheld %0d",
        "subscriber <- undecodable 00 is%0dcut",
        "stopped",
    ];
    let history = History::parse(lines).unwrap();
    assert_eq!(history.lines(), lines);
}

#[test]
fn a_line_that_is_no_event_is_refused_in_words() {
    let publish = "subscriber -> PUBLISH topic=t qos=";
    let lines = [
        ("", "it has no client, arrow and packet"),
        ("subscriber", "it has no client, arrow and packet"),
        ("1 subscriber -> PINGREQ", "\"1\" is no time in milliseconds like 12.3"),
        ("subscriber#x -> PINGREQ", "\"x\" is no number of a connection"),
        ("attempt x", "\"x\" is no number"),
        ("subscriber => PINGREQ", "\"=>\" is none of ->, <- and --"),
        ("subscriber -> PING", "\"PING\" is no packet type"),
        (&format!("{publish}1 retain=0 dup=0 payload=m1"), "it has no id"),
        (&format!("{publish}0 retain=2 dup=0 payload=m1"), "retain=2 is neither 0 nor 1"),
        ("subscriber -> SUBSCRIBE id=1 filter=t qos=x", "\"x\" is no QoS"),
        ("subscriber -> SUBSCRIBE id=1 filter=t filter=u qos=1", "it needs one qos for each filter"),
        ("subscriber -> SUBSCRIBE id=1 id=2 filter=t qos=1", "it has id twice; write it once"),
        (
            "subscriber -> DISCONNECT session_expirey=3600",
            "a DISCONNECT has no session_expirey; write one of the keys that it has",
        ),
        (&format!("{publish}0 retain=0 dup=0 payload"), "\"payload\" is no key=value"),
        ("subscriber -> PUBLISH topic=% qos=0 retain=0 dup=0 payload=m1", "\"%\" ends inside a %XX"),
        ("subscriber -> PUBLISH topic=%ff qos=0 retain=0 dup=0 payload=m1", "\"%ff\" is not UTF-8"),
        ("subscriber -> PUBACK id=70000", "id=70000 is out of range"),
        ("subscriber -> SUBSCRIBE id=1 filter=t qos=1,loud", "\"loud\" is no Subscription Option"),
        ("subscriber <- CONNACK session_present=0", "it has no code"),
        ("subscriber <- SUBACK id=1 code=1", "\"1\" is no reason code like 0x00"),
        ("subscriber <- undecodable 123", "the bytes end inside a byte"),
        ("subscriber <- undecodable xy", "\"xy\" is no hexadecimal byte"),
        ("subscriber -- without end: much", "\"much\" does not say how much came"),
        ("subscriber -- keep_alive: passed", "\"keep_alive: passed\" is no timer with its seconds"),
        ("subscriber -- asleep", "it says nothing that is known about a client"),
        ("subscriber -- no PUBREL id=x", "\"x\" is no Packet Identifier"),
        ("subscriber -- no sleep", "\"sleep\" is nothing that a client waits for"),
        ("step 3 receive\r", "it has the character \\r, which no line has; write the bytes of it as %XX"),
        ("step 3 receive\rsubscriber", "it has the character"),
        ("broken off: \u{1b}[31m", "it has the character"),
        ("broken off: %ff", "\"%ff\" is not UTF-8"),
        ("sub\u{202e}scriber -> PINGREQ", "it has the character"),
        ("subscriber -> CONNECT protocol=4 clean_session=0 keep_alive=60 client_id=a", "\"4\" is no protocol version"),
    ];
    for (line, why) in lines {
        let said = parse(line).unwrap_err();
        assert!(said.contains(why), "{line}: {said}");
    }
    let error = History::parse(["attempt 1", "nonsense"]).unwrap_err();
    assert!(error.to_string().starts_with("line 2 is no event: "), "{error}");
}

#[test]
fn only_our_own_spelling_of_a_message_is_ours() {
    assert_eq!(Message::of(b"m12"), Some(Message::Experiment(12)));
    assert_eq!(Message::of(b"loop1"), Some(Message::LoopBack(1)));
    assert_eq!(Message::of(b"fence3"), Some(Message::Fence(3)));
    for foreign in [&b"m"[..], b"m+1", b"m01", b"M1", b"?m1", b"fence", b"", b"\xff"] {
        assert_eq!(Message::of(foreign), None, "{foreign:?}");
    }
}
