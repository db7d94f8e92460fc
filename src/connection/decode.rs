//! One frame of bytes to one [`Packet`].
//!
//! PUBLISH and what only clients send are read by rumqttc's packet types. CONNACK, DISCONNECT, AUTH and every packet
//! that is a Packet Identifier with reason codes are read from the bytes, since rumqttc's types refuse legal short forms
//! and every code that they do not list.

use bytes::BytesMut;
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;

use super::frame::FRAME_BYTES_MAX;
use crate::packet::{
    Ack, AckKind, Connack, Connect, Filter, Login, Packet, Protocol, Publish, Suback, Subscribe, Unsuback, Unsubscribe,
};

/// Why a frame is no packet; completes "a packet that ...".
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct Undecodable(String);

fn undecodable<T>(why: impl Into<String>) -> Result<T, Undecodable> {
    Err(Undecodable(why.into()))
}

/// Reads one complete frame.
///
/// # Errors
/// [`Undecodable`] says what is wrong with the frame. It never means that more bytes are needed.
pub fn decode(protocol: Protocol, frame: &[u8]) -> Result<Packet, Undecodable> {
    let length_bytes = frame.iter().skip(1).take_while(|byte| **byte & 0x80 != 0).count() + 1;
    let Some(body) = frame.get(1 + length_bytes..) else {
        return undecodable("ends inside its fixed header");
    };
    match (frame[0] >> 4, frame[0] & 0x0f) {
        (2, 0) => connack(protocol, frame, body).map(Packet::Connack),
        (4, 0) => ack(protocol, AckKind::Puback, body),
        (5, 0) => ack(protocol, AckKind::Pubrec, body),
        (6, 2) => ack(protocol, AckKind::Pubrel, body),
        (7, 0) => ack(protocol, AckKind::Pubcomp, body),
        (9, 0) => codes(protocol, body).map(|(id, codes)| Packet::Suback(Suback { id, codes })),
        (11, 0) if protocol == Protocol::V3 => id(body).map(|id| Packet::Unsuback(Unsuback { id, codes: Vec::new() })),
        (11, 0) => codes(protocol, body).map(|(id, codes)| Packet::Unsuback(Unsuback { id, codes })),
        (12, 0) if body.is_empty() => Ok(Packet::Pingreq),
        (13, 0) if body.is_empty() => Ok(Packet::Pingresp),
        (14, 0) if body.is_empty() || protocol == Protocol::V5 => {
            Ok(Packet::Disconnect { reason: body.first().copied().unwrap_or(0) })
        }
        (15, 0) if protocol == Protocol::V5 => Ok(Packet::Auth { reason: body.first().copied().unwrap_or(0) }),
        (3, _) if body.len() >= 2 => publish(protocol, frame),
        (1, 0) | (8, 2) | (10, 2) => from_client(protocol, frame),
        (kind, flags) => undecodable(format!("has packet type {kind}, flags {flags:#x} and {} bytes", body.len())),
    }
}

fn id(body: &[u8]) -> Result<u16, Undecodable> {
    match body {
        [high, low, ..] if (*high, *low) != (0, 0) => Ok(u16::from_be_bytes([*high, *low])),
        [_, _, ..] => undecodable("has the Packet Identifier 0"),
        _ => undecodable("is too short for its Packet Identifier"),
    }
}

fn ack(protocol: Protocol, kind: AckKind, body: &[u8]) -> Result<Packet, Undecodable> {
    let id = id(body)?;
    // A 5.0 packet of two bytes means reason 0 (5.0, sections 3.4.2.1, 3.5.2.1, 3.6.2.1 and 3.7.2.1).
    let reason = if protocol == Protocol::V5 { body.get(2).copied().unwrap_or(0) } else { 0 };
    Ok(Packet::Ack(Ack { kind, id, reason }))
}

/// SUBACK, and the UNSUBACK of 5.0: identifier, properties (5.0), a code for each filter.
fn codes(protocol: Protocol, body: &[u8]) -> Result<(u16, Vec<u8>), Undecodable> {
    let id = id(body)?;
    let codes = match protocol {
        Protocol::V3 => &body[2..],
        Protocol::V5 => after_properties(&body[2..])?,
    };
    match codes {
        [] => undecodable("has no reason code"),
        codes => Ok((id, codes.to_vec())),
    }
}

/// What follows a property block.
fn after_properties(bytes: &[u8]) -> Result<&[u8], Undecodable> {
    let mut length = 0usize;
    for (position, &byte) in bytes.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            return bytes.get(position + 1 + length..).ok_or(Undecodable("ends inside its properties".into()));
        }
    }
    undecodable("has no readable property length")
}

fn connack(protocol: Protocol, frame: &[u8], body: &[u8]) -> Result<Connack, Undecodable> {
    let &[flags, code, ref rest @ ..] = body else {
        return undecodable("is a CONNACK of less than two bytes");
    };
    if flags & 0xfe != 0 {
        return undecodable(format!("is a CONNACK with reserved flags set ({flags:#04x})"));
    }
    let plain = Connack { session_present: flags == 1, code, ..Connack::default() };
    // Brokers without 5.0 refuse it with a CONNACK in the shape of 3.1.1, which has no properties.
    if protocol == Protocol::V3 || rest.is_empty() {
        return Ok(plain);
    }
    // rumqttc refuses codes that it does not list, so it is given the properties under code 0.
    let mut readable = BytesMut::from(frame);
    let code_at = frame.len() - rest.len() - 1;
    readable[code_at] = 0;
    match v5::Packet::read(&mut readable, Some(FRAME_BYTES_MAX as u32)) {
        Ok(v5::Packet::ConnAck(v5::ConnAck { properties: Some(properties), .. })) => Ok(Connack {
            session_expiry: properties.session_expiry_interval,
            receive_maximum: properties.receive_max,
            maximum_qos: properties.max_qos,
            retain_available: properties.retain_available.map(|available| available != 0),
            ..plain
        }),
        Ok(_) => Ok(plain),
        Err(error) => undecodable(format!("is a CONNACK with unreadable properties: {error}")),
    }
}

fn publish(protocol: Protocol, frame: &[u8]) -> Result<Packet, Undecodable> {
    let publish = match protocol {
        Protocol::V3 => match read_v3(frame)? {
            v4::Packet::Publish(publish) => Publish {
                dup: publish.dup,
                qos: publish.qos as u8,
                retain: publish.retain,
                topic: publish.topic,
                id: publish.pkid,
                payload: publish.payload.to_vec(),
            },
            _ => return undecodable("is no PUBLISH"),
        },
        Protocol::V5 => match read_v5(frame)? {
            v5::Packet::Publish(publish) => Publish {
                dup: publish.dup,
                qos: publish.qos as u8,
                retain: publish.retain,
                topic: String::from_utf8(publish.topic.to_vec())
                    .map_err(|_| Undecodable("is a PUBLISH whose topic is not UTF-8".into()))?,
                id: publish.pkid,
                payload: publish.payload.to_vec(),
            },
            _ => return undecodable("is no PUBLISH"),
        },
    };
    Ok(Packet::Publish(publish))
}

/// CONNECT, SUBSCRIBE and UNSUBSCRIBE.
fn from_client(protocol: Protocol, frame: &[u8]) -> Result<Packet, Undecodable> {
    match protocol {
        Protocol::V3 => match read_v3(frame)? {
            v4::Packet::Connect(connect) => Ok(Packet::Connect(Connect {
                protocol,
                clean: connect.clean_session,
                session_expiry: None,
                keep_alive: connect.keep_alive,
                client_id: connect.client_id,
                login: connect.login.map(|login| Login { user: login.username, password: login.password }),
            })),
            v4::Packet::Subscribe(subscribe) => Ok(Packet::Subscribe(Subscribe {
                id: subscribe.pkid,
                filters: subscribe
                    .filters
                    .into_iter()
                    .map(|filter| Filter { filter: filter.path, qos: filter.qos as u8 })
                    .collect(),
            })),
            v4::Packet::Unsubscribe(unsubscribe) => {
                Ok(Packet::Unsubscribe(Unsubscribe { id: unsubscribe.pkid, filters: unsubscribe.topics }))
            }
            _ => undecodable("is out of place"),
        },
        Protocol::V5 => match read_v5(frame)? {
            v5::Packet::Connect(connect, _, login) => Ok(Packet::Connect(Connect {
                protocol,
                clean: connect.clean_start,
                session_expiry: connect.properties.and_then(|properties| properties.session_expiry_interval),
                keep_alive: connect.keep_alive,
                client_id: connect.client_id,
                login: login.map(|login| Login { user: login.username, password: login.password }),
            })),
            v5::Packet::Subscribe(subscribe) => Ok(Packet::Subscribe(Subscribe {
                id: subscribe.pkid,
                filters: subscribe
                    .filters
                    .into_iter()
                    .map(|filter| Filter { filter: filter.path, qos: filter.qos as u8 })
                    .collect(),
            })),
            v5::Packet::Unsubscribe(unsubscribe) => {
                Ok(Packet::Unsubscribe(Unsubscribe { id: unsubscribe.pkid, filters: unsubscribe.filters }))
            }
            _ => undecodable("is out of place"),
        },
    }
}

fn read_v3(frame: &[u8]) -> Result<v4::Packet, Undecodable> {
    v4::Packet::read(&mut BytesMut::from(frame), FRAME_BYTES_MAX).map_err(|error| Undecodable(error.to_string()))
}

fn read_v5(frame: &[u8]) -> Result<v5::Packet, Undecodable> {
    v5::Packet::read(&mut BytesMut::from(frame), Some(FRAME_BYTES_MAX as u32))
        .map_err(|error| Undecodable(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            reads(protocol, &[0xe0, 0], Packet::Disconnect { reason: 0 });
        }
        reads(V3, &[0x20, 2, 1, 0], Packet::Connack(Connack { session_present: true, ..Connack::default() }));
        reads(V5, &[0x20, 3, 1, 0, 0], Packet::Connack(Connack { session_present: true, ..Connack::default() }));
        reads(V3, &[0x90, 3, 0, 7, 1], Packet::Suback(Suback { id: 7, codes: vec![1] }));
        reads(V5, &[0x90, 4, 0, 7, 0, 1], Packet::Suback(Suback { id: 7, codes: vec![1] }));
        reads(V3, &[0xb0, 2, 0, 7], Packet::Unsuback(Unsuback { id: 7, codes: vec![] }));
        reads(V5, &[0xb0, 4, 0, 7, 0, 0x11], Packet::Unsuback(Unsuback { id: 7, codes: vec![0x11] }));
        reads(V5, &[0xe0, 1, 0x8e], Packet::Disconnect { reason: 0x8e });
        reads(V5, &[0xf0, 2, 0x18, 0], Packet::Auth { reason: 0x18 });
        let empty = Publish { dup: false, qos: 0, retain: false, topic: "t".into(), id: 0, payload: vec![] };
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
}
