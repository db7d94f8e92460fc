use super::*;
use crate::packet::Connack;

fn reads(protocol: Protocol, frame: &[u8], packet: Packet) {
    assert_eq!(decode(protocol, frame), Ok(packet), "{frame:02x?}");
}

fn refused(code: u8) -> Packet {
    Packet::Connack(Connack { code, ..Connack::default() })
}

#[test]
fn each_packet_type_is_read_at_its_shortest_legal_length() {
    use Protocol::{V3, V5};
    for protocol in Protocol::ALL {
        for (first, kind) in [(0x40, AckKind::Puback), (0x50, AckKind::Pubrec), (0x62, AckKind::Pubrel)] {
            reads(protocol, &[first, 2, 0, 7], Packet::ack(kind, 7));
        }
        reads(protocol, &[0x70, 2, 0, 7], Packet::ack(AckKind::Pubcomp, 7));
        reads(protocol, &[0xc0, 0], Packet::Pingreq);
        reads(protocol, &[0xd0, 0], Packet::Pingresp);
        reads(protocol, &[0xe0, 0], Packet::disconnect(0));
    }
    reads(V3, &[0x20, 2, 1, 0], Packet::Connack(Connack { session_present: true, ..Connack::default() }));
    reads(V5, &[0x20, 3, 1, 0, 0], Packet::Connack(Connack { session_present: true, ..Connack::default() }));
    reads(V3, &[0x90, 3, 0, 7, 1], Packet::Suback(Suback { id: 7, codes: vec![1] }));
    reads(V5, &[0x90, 4, 0, 7, 0, 1], Packet::Suback(Suback { id: 7, codes: vec![1] }));
    reads(V3, &[0xb0, 2, 0, 7], Packet::Unsuback(Unsuback { id: 7, codes: vec![] }));
    reads(V5, &[0xb0, 4, 0, 7, 0, 0x11], Packet::Unsuback(Unsuback { id: 7, codes: vec![0x11] }));
    reads(V5, &[0xe0, 1, 0x8e], Packet::disconnect(0x8e));
    reads(V3, &[0xe0, 1, 0x8e], Packet::disconnect(0x8e));
    reads(V5, &[0xf0, 2, 0x18, 0], Packet::Auth { reason: 0x18 });
    let empty = Publish { topic: "t".into(), ..Publish::default() };
    reads(V3, &[0x30, 3, 0, 1, b't'], Packet::Publish(empty.clone()));
    reads(V5, &[0x30, 4, 0, 1, b't', 0], Packet::Publish(empty));
}

#[test]
fn refusals_keep_their_code_whatever_their_shape() {
    for code in [0x01, 0x84, 0xff] {
        reads(Protocol::V3, &[0x20, 2, 0, code], refused(code));
        reads(Protocol::V5, &[0x20, 2, 0, code], refused(code));
        reads(Protocol::V5, &[0x20, 3, 0, code, 0], refused(code));
    }
    reads(Protocol::V3, &[0x90, 3, 0, 1, 0x87], Packet::Suback(Suback { id: 1, codes: vec![0x87] }));
    let ack = Ack { kind: AckKind::Puback, id: 1, reason: 0xfe };
    reads(Protocol::V5, &[0x40, 3, 0, 1, 0xfe], Packet::Ack(ack));
}

#[test]
fn connack_properties_are_read_also_beside_an_error_code() {
    let frame = [0x20, 0x0b, 0, 0x97, 8, 0x11, 0, 0, 0, 9, 0x21, 0, 20];
    let Ok(Packet::Connack(connack)) = decode(Protocol::V5, &frame) else { panic!("not read") };
    assert_eq!((connack.code, connack.session_expiry, connack.receive_maximum), (0x97, Some(9), Some(20)));
}

#[test]
fn the_third_subscription_identifier_is_no_payload() {
    let frame = [0x30, 0x0c, 0, 1, b't', 6, 0x0b, 1, 0x0b, 2, 0x0b, 3, b'm', b'1'];
    let Ok(Packet::Publish(publish)) = decode(Protocol::V5, &frame) else { panic!("not read") };
    assert_eq!((&publish.properties.subscription_ids, publish.payload), (&vec![1, 2, 3], b"m1".to_vec()));
}

#[test]
fn a_broken_frame_is_an_error_and_never_a_wait() {
    let broken: [&[u8]; 9] = [
        &[0x20, 1, 0],
        &[0x20, 2, 0xfe, 0],
        &[0x40, 1, 0],
        &[0x40, 2, 0, 0],
        &[0x90, 2, 0, 1],
        &[0x36, 5, 0, 1, b't', 0, 1],
        &[0x32, 3, 0, 1, b't'],
        &[0x00, 0],
        &[0xd0, 1, 0],
    ];
    for frame in broken {
        for protocol in Protocol::ALL {
            assert!(decode(protocol, frame).is_err(), "{protocol} {frame:02x?}");
        }
    }
}

#[test]
fn each_reason_completes_a_packet_that() {
    let whole: [&[u8]; 12] = [
        b"\x10\x10\0\x04MQTT\x04\xc2\0\x3c\0\0\0\0",
        b"\x10\x11\0\x04MQTT\x05\xc2\0\x3c\0\0\0\0\0",
        b"\x20\x06\0\0\x03\x21\0\x09",
        b"\x32\x05\0\x01t\0\x01",
        b"\x32\x0d\0\x01t\0\x01\x07\x0b\x01\x03\0\x01c",
        b"\x34\x09\0\x01t\0\x01\0payl",
        b"\x40\x02\0\x07",
        b"\x82\x06\0\x01\0\x01t\x01",
        b"\x90\x04\0\x07\0\x01",
        b"\xa2\x06\0\x01\0\0\x01t",
        b"\xe0\x02\x8e\0",
        b"\xd0\0",
    ];
    let mut reasons = std::collections::BTreeSet::new();
    for (frame, at) in whole.iter().flat_map(|frame| (0..frame.len()).map(move |at| (frame, at))) {
        for byte in 0..=u8::MAX {
            let mut bent = frame.to_vec();
            bent[at] = byte;
            let cut = [&bent[..at.max(2)], &bent[..]];
            let tried = Protocol::ALL.into_iter().flat_map(|protocol| cut.map(|frame| decode(protocol, frame)));
            reasons.extend(tried.filter_map(|read| read.err()).map(|why| why.to_string()));
        }
    }
    assert!(reasons.len() > 20, "{reasons:?}");
    for why in reasons {
        let verb = why.split(' ').next().unwrap();
        assert!(["is", "has", "ends"].contains(&verb), "a packet that {why}");
        assert!(!why.contains(": ") && !why.contains(|c: char| c.is_control()), "a packet that {why}");
    }
}

/// A CONNACK of 5.0 with these properties.
fn connack_with(properties: &[u8]) -> Result<Packet, Undecodable> {
    let length = properties.len() as u8;
    decode(Protocol::V5, &[&[0x20, length + 3, 0, 0, length], properties].concat())
}

#[test]
fn the_least_values_of_a_connack_are_read() {
    let properties = [0x21, 0, 1, 0x22, 0, 0, 0x24, 0, 0x25, 0, 0x27, 0, 0, 0, 1, 0x28, 0, 0x29, 1, 0x2a, 1];
    let Ok(Packet::Connack(connack)) = connack_with(&properties) else { panic!("not read") };
    assert_eq!(
        (connack.receive_maximum, connack.maximum_qos, connack.maximum_packet_size),
        (Some(1), Some(0), Some(1))
    );
}

#[test]
fn a_value_that_the_standard_rules_out_makes_no_connack() {
    for (properties, why) in [
        (&[0x21, 0, 0][..], "is a CONNACK with Receive Maximum 0"),
        (&[0x27, 0, 0, 0, 0], "is a CONNACK with Maximum Packet Size 0"),
        (&[0x24, 2], "is a CONNACK with Maximum QoS 2"),
        (&[0x25, 2], "is a CONNACK with Retain Available 2"),
        (&[0x28, 255], "is a CONNACK with Wildcard Subscription Available 255"),
        (&[0x29, 2], "is a CONNACK with Subscription Identifiers Available 2"),
        (&[0x2a, 2], "is a CONNACK with Shared Subscription Available 2"),
    ] {
        let error = connack_with(properties).expect_err(why);
        assert_eq!(error.to_string(), why);
        assert!(matches!(error, Undecodable::RuledOutValue { .. }));
    }
}

#[test]
fn a_publish_of_3_1_1_is_read_with_all_that_it_has() {
    let publish = Publish { topic: "t".into(), id: 7, payload: b"m1".to_vec(), ..Publish::default() };
    let publish = Publish { dup: true, qos: 2, retain: true, ..publish };
    reads(Protocol::V3, b"\x3d\x07\0\x01t\0\x07m1", Packet::Publish(publish));
}

#[test]
fn only_user_properties_stand_twice() {
    assert!(connack_with(&[0x26, 0, 1, b'k', 0, 0, 0x26, 0, 1, b'k', 0, 0]).is_ok());
    let once: [&[u8]; 5] = [&[0x21, 0, 9], &[0x1f, 0, 0], &[0x16, 0, 1, 0xff], &[0x11, 0, 0, 0, 0], &[0x25, 1]];
    for property in once {
        assert!(connack_with(property).is_ok(), "{property:02x?}");
        let apart = [property, &[0x13, 0, 5], property].concat();
        assert_eq!(connack_with(&apart), Err(Undecodable::RepeatedProperty { kind: property[0] }));
    }
    assert_eq!(connack_with(&[0x13, 0, 5, 0x13, 0, 5]), Err(Undecodable::RepeatedProperty { kind: 0x13 }));
}

#[test]
fn every_text_is_utf8_without_the_null_character() {
    use Protocol::{V3, V5};
    for kind in [0x12, 0x15, 0x1a, 0x1c, 0x1f] {
        assert!(connack_with(&[kind, 0, 3, 0xe2, 0x82, 0xac]).is_ok(), "{kind:#04x}");
        assert_eq!(connack_with(&[kind, 0, 1, 0xff]), Err(Undecodable::IllFormedText), "{kind:#04x}");
        assert_eq!(connack_with(&[kind, 0, 1, 0]), Err(Undecodable::NullCharacter), "{kind:#04x}");
    }
    assert_eq!(connack_with(&[0x26, 0, 0, 0, 1, 0]), Err(Undecodable::NullCharacter));
    // Half of a surrogate pair (5.0, MQTT-1.5.4-1).
    assert_eq!(connack_with(&[0x1f, 0, 3, 0xed, 0xa0, 0x80]), Err(Undecodable::IllFormedText));
    // Authentication Data is no text, and no payload is.
    assert!(connack_with(&[0x16, 0, 2, 0xff, 0]).is_ok());
    assert!(decode(V3, &[0x30, 5, 0, 1, b't', 0xff, 0]).is_ok());
    assert_eq!(decode(V3, &[0x30, 3, 0, 1, 0xff]), Err(Undecodable::IllFormedText));
    assert_eq!(decode(V3, &[0x30, 3, 0, 1, 0]), Err(Undecodable::NullCharacter));
    assert_eq!(decode(V5, &[0x30, 4, 0, 1, 0xff, 0]), Err(Undecodable::IllFormedText));
    assert_eq!(decode(V5, &[0xe0, 6, 0x8e, 4, 0x1f, 0, 1, 0xff]), Err(Undecodable::IllFormedText));
}

#[test]
fn both_qos_bits_together_make_no_publish() {
    use Protocol::{V3, V5};
    for first in 0x30..=0x3f {
        let is_qos_3 = first & 0x06 == 0x06;
        for (protocol, rest) in [(V3, &[5, 0, 1, b't', 0, 1][..]), (V5, &[6, 0, 1, b't', 0, 1, 0])] {
            let read = decode(protocol, &[&[first][..], rest].concat());
            let refused = is_qos_3.then_some(Undecodable::Qos3);
            // DUP 1 at QoS 0 is read too: the judge says what is wrong with it.
            assert_eq!(read.as_ref().err(), refused.as_ref(), "{protocol} {first:#04x}: {read:?}");
        }
    }
}
