//! Bytes that no correct broker writes, and that therefore nothing but a lie can encode.

use mqtt_sessions::connection::encode::encode;
use mqtt_sessions::packet::{Connack, Packet, Protocol, Publish};

/// PINGRESP with a flag that section 2.2.2 of 3.1.1 and section 2.1.3 of 5.0 reserve.
pub const PINGRESP_WITH_RESERVED_FLAG: [u8; 2] = [0xd1, 0x00];

/// Each property that a CONNACK may have once (5.0, section 3.2.2.3), with a value that it may have.
pub const CONNACK_PROPERTIES: [&[u8]; 16] = [
    &[0x11, 0, 0, 0, 60],
    &[0x12, 0, 1, b'i'],
    &[0x13, 0, 60],
    &[0x15, 0, 1, b'm'],
    &[0x16, 0, 1, 7],
    &[0x1a, 0, 1, b'r'],
    &[0x1c, 0, 1, b's'],
    &[0x1f, 0, 1, b'w'],
    &[0x21, 0, 20],
    &[0x22, 0, 0],
    &[0x24, 1],
    &[0x25, 1],
    &[0x27, 0, 1, 0, 0],
    &[0x28, 1],
    &[0x29, 1],
    &[0x2a, 1],
];

/// A CONNACK of 5.0 with these properties behind its own.
pub fn with_properties(connack: &Connack, properties: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(Protocol::V5, &Packet::Connack(connack.clone()), &mut bytes).expect("what was read can be written");
    // The few properties that it has leave both lengths one byte long.
    bytes.extend(properties);
    for length in [1, 4] {
        bytes[length] += properties.len() as u8;
        assert!(bytes[length] < 0x80, "the length takes two bytes");
    }
    bytes
}

/// A PUBLISH with these bytes at the end of its topic.
pub fn with_topic_tail(protocol: Protocol, publish: &Publish, tail: &[u8]) -> Vec<u8> {
    let properties: &[u8] = if protocol == Protocol::V5 { &[0] } else { &[] };
    bytes_of(publish, &[publish.topic.as_bytes(), tail].concat(), properties)
}

/// A PUBLISH with both QoS bits set.
pub fn with_qos_3(protocol: Protocol, publish: &Publish) -> Vec<u8> {
    let mut bytes = with_topic_tail(protocol, publish, &[]);
    bytes[0] |= 0x06;
    bytes
}

/// A PUBLISH under the Packet Identifier 0.
pub fn with_identifier_0(protocol: Protocol, publish: &Publish) -> Vec<u8> {
    with_topic_tail(protocol, &Publish { id: 0, ..publish.clone() }, &[])
}

/// A CONNACK with a flag that section 3.2.2.1 reserves.
pub fn with_reserved_flag(protocol: Protocol, connack: &Connack) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(protocol, &Packet::Connack(connack.clone()), &mut bytes).expect("what was read can be written");
    bytes[2] |= 0x02;
    bytes
}

/// A PUBLISH of 5.0 whose only property is a Will Delay Interval of 0, which section 3.3.2.3 does not know.
pub fn with_will_delay(publish: &Publish) -> Vec<u8> {
    bytes_of(publish, publish.topic.as_bytes(), &[5, 0x18, 0, 0, 0, 0])
}

/// A PUBLISH with this topic and this property block.
fn bytes_of(publish: &Publish, topic: &[u8], properties: &[u8]) -> Vec<u8> {
    let flags = u8::from(publish.dup) << 3 | publish.qos << 1 | u8::from(publish.retain);
    let mut body = Vec::new();
    body.extend((topic.len() as u16).to_be_bytes());
    body.extend(topic);
    if publish.qos > 0 {
        body.extend(publish.id.to_be_bytes());
    }
    body.extend(properties);
    body.extend(&publish.payload);
    let mut bytes = vec![0x30 | flags];
    let mut length = body.len();
    while length > 0x7f {
        bytes.push(0x80 | (length & 0x7f) as u8);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend(body);
    bytes
}
