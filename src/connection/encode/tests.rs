use super::*;
use crate::connection::decode::decode;
use crate::packet::{Ack, Login, Suback, Subscribe, Unsuback, Unsubscribe, Values, Will};

fn bytes(protocol: Protocol, packet: &Packet) -> Vec<u8> {
    let mut out = Vec::new();
    encode(protocol, packet, &mut out).unwrap();
    out
}

#[test]
fn what_is_written_is_read_again() {
    let publish = Publish {
        dup: true,
        qos: 2,
        retain: true,
        topic: "a/b".into(),
        id: 9,
        payload: b"m1".to_vec(),
        ..Publish::default()
    };
    let filter = Filter::new("a/#", 2);
    let properties = Values {
        payload_format: Some(1),
        message_expiry: Some(60),
        topic_alias: Some(2),
        content_type: Some("text/plain".into()),
        response_topic: Some("r".into()),
        correlation_data: Some(vec![0, 1]),
        user: vec![("k".into(), "2".into()), ("k".into(), "1".into())],
        subscription_ids: vec![5, 300],
    };
    let options = Filter { no_local: true, retain_as_published: true, retain_handling: 2, ..filter.clone() };
    let connack = Connack {
        session_present: true,
        code: 0,
        session_expiry: Some(1),
        receive_maximum: Some(2),
        maximum_qos: Some(1),
        retain_available: Some(false),
        assigned_client_id: Some("assigned".into()),
        server_keep_alive: Some(30),
        maximum_packet_size: Some(1000),
        topic_alias_maximum: Some(10),
        wildcards_available: Some(true),
        subscription_ids_available: Some(false),
        shared_available: Some(false),
        authentication_method: Some("SCRAM-SHA-1".into()),
    };
    for protocol in Protocol::ALL {
        let v5 = protocol == Protocol::V5;
        let will = Will { topic: "w".into(), payload: b"bye".to_vec(), qos: 1, retain: true, delay: v5.then_some(7) };
        let connect = Connect {
            clean: false,
            session_expiry: v5.then_some(3600),
            receive_maximum: v5.then_some(4),
            maximum_packet_size: v5.then_some(500),
            topic_alias_maximum: v5.then_some(3),
            will: Some(will),
            keep_alive: 60,
            ..Connect::new(protocol, "c")
        };
        let connect = Connect { login: Some(Login { user: "u".into(), password: "p".into() }), ..connect };
        let plain = Connack { session_present: true, ..Connack::default() };
        let packets = [
            Packet::Connect(connect),
            Packet::Connack(if v5 { connack.clone() } else { plain }),
            Packet::Publish(publish.clone()),
            Packet::Publish(Publish {
                properties: if v5 { properties.clone().into() } else { Properties::default() },
                ..publish.clone()
            }),
            Packet::Disconnect { reason: if v5 { 4 } else { 0 }, session_expiry: v5.then_some(9) },
            Packet::Ack(Ack { kind: AckKind::Pubrel, id: 3, reason: if v5 { 0x92 } else { 0 } }),
            Packet::Subscribe(Subscribe { id: 4, filters: vec![filter.clone()], ..Subscribe::default() }),
            Packet::Subscribe(Subscribe {
                id: 4,
                subscription_id: v5.then_some(5),
                filters: vec![if v5 { options.clone() } else { filter.clone() }],
            }),
            Packet::Suback(Suback { id: 4, codes: vec![2, 0x80] }),
            Packet::Unsubscribe(Unsubscribe { id: 5, filters: vec!["a/#".into()] }),
            Packet::Unsuback(Unsuback { id: 5, codes: if v5 { vec![0] } else { vec![] } }),
            Packet::Pingreq,
            Packet::Pingresp,
            Packet::disconnect(if v5 { 4 } else { 0 }),
        ];
        for packet in packets {
            assert_eq!(decode(protocol, &bytes(protocol, &packet)), Ok(packet));
        }
    }
}

#[test]
fn a_disconnect_has_its_shortest_form() {
    assert_eq!(bytes(Protocol::V5, &Packet::disconnect(0)), [0xe0, 0]);
    assert_eq!(bytes(Protocol::V5, &Packet::disconnect(4)), [0xe0, 1, 4]);
    assert_eq!(bytes(Protocol::V3, &Packet::disconnect(4)), [0xe0, 0]);
}

#[test]
fn a_length_of_more_than_127_takes_more_bytes() {
    let suback = Packet::Suback(Suback { id: 1, codes: vec![1; 200] });
    let connack = Connack { assigned_client_id: Some("c".repeat(300)), ..Connack::default() };
    for packet in [suback, Packet::Connack(connack)] {
        assert_eq!(decode(Protocol::V5, &bytes(Protocol::V5, &packet)), Ok(packet));
    }
}

#[test]
fn what_cannot_be_sent_leaves_no_bytes() {
    let publish = |topic: String, qos| Publish { qos, topic, id: 1, ..Publish::default() };
    for protocol in Protocol::ALL {
        for packet in [publish("t".repeat(65_536), 0), publish("t".into(), 3)] {
            let mut out = Vec::new();
            assert!(encode(protocol, &Packet::Publish(packet), &mut out).is_err());
            assert!(out.is_empty());
        }
    }
}
