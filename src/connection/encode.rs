//! One [`Packet`] to its bytes.
//!
//! rumqttc's packet types write what carries strings and options; packets that are an identifier and codes are written
//! here, in the shortest legal form. A string that does not fit its two length bytes is refused before it is encoded,
//! since rumqttc would wrap the length.

use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::{QoS as QosV3, v4};
use rumqttc::v5::mqttbytes::{QoS as QosV5, v5};

use super::frame::FRAME_BYTES_MAX;
use crate::packet::{AckKind, Connack, Connect, Filter, Packet, Protocol, Publish};

/// The longest string that MQTT can carry, in bytes (section 1.5.3 of 3.1.1, 1.5.4 of 5.0).
const STRING_BYTES_MAX: usize = 65_535;

/// Why a packet cannot be sent; completes "the packet ...".
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct Unencodable(String);

/// Appends the packet's bytes to `out`, or nothing at all.
///
/// # Errors
/// [`Unencodable`] where a string or the whole packet is too long, or a QoS is not 0, 1 or 2.
pub fn encode(protocol: Protocol, packet: &Packet, out: &mut Vec<u8>) -> Result<(), Unencodable> {
    check_strings(packet)?;
    let v5 = protocol == Protocol::V5;
    match packet {
        Packet::Connack(connack) => connack_bytes(v5, connack, out),
        Packet::Ack(ack) => {
            let first = match ack.kind {
                AckKind::Puback => 0x40,
                AckKind::Pubrec => 0x50,
                AckKind::Pubrel => 0x62,
                AckKind::Pubcomp => 0x70,
            };
            let reason = if v5 && ack.reason != 0 { &[ack.reason][..] } else { &[] };
            short(first, &[&ack.id.to_be_bytes(), reason], out);
        }
        Packet::Suback(suback) => answer(0x90, v5, suback.id, &suback.codes, out),
        Packet::Unsuback(unsuback) => answer(0xb0, v5, unsuback.id, if v5 { &unsuback.codes } else { &[] }, out),
        Packet::Pingreq => short(0xc0, &[], out),
        Packet::Pingresp => short(0xd0, &[], out),
        Packet::Disconnect { reason } if v5 && *reason != 0 => short(0xe0, &[&[*reason]], out),
        Packet::Disconnect { .. } => short(0xe0, &[], out),
        Packet::Auth { reason } => short(0xf0, &[&[*reason, 0]], out),
        Packet::Connect(_) | Packet::Publish(_) | Packet::Subscribe(_) | Packet::Unsubscribe(_) => {
            // After an error rumqttc leaves half a header behind, so it writes into a buffer of its own.
            let mut scratch = BytesMut::new();
            match protocol {
                Protocol::V3 => to_v3(packet)?.write(&mut scratch, FRAME_BYTES_MAX).map_err(|e| e.to_string()),
                Protocol::V5 => {
                    to_v5(packet)?.write(&mut scratch, Some(FRAME_BYTES_MAX as u32)).map_err(|e| e.to_string())
                }
            }
            .map_err(Unencodable)?;
            out.extend_from_slice(&scratch);
        }
    }
    Ok(())
}

/// A packet of less than 128 bytes.
fn short(first: u8, parts: &[&[u8]], out: &mut Vec<u8>) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.extend([first, length as u8]);
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// An identifier, properties (5.0, none) and codes.
fn answer(first: u8, v5: bool, id: u16, codes: &[u8], out: &mut Vec<u8>) {
    short(first, &[&id.to_be_bytes(), if v5 { &[0] } else { &[] }, codes], out);
}

fn connack_bytes(v5: bool, connack: &Connack, out: &mut Vec<u8>) {
    let mut properties = Vec::new();
    if let Some(seconds) = connack.session_expiry {
        properties.push(0x11);
        properties.extend(seconds.to_be_bytes());
    }
    if let Some(maximum) = connack.receive_maximum {
        properties.push(0x21);
        properties.extend(maximum.to_be_bytes());
    }
    if let Some(qos) = connack.maximum_qos {
        properties.extend([0x24, qos]);
    }
    if let Some(available) = connack.retain_available {
        properties.extend([0x25, u8::from(available)]);
    }
    let flags = [u8::from(connack.session_present), connack.code];
    if v5 {
        short(0x20, &[&flags, &[properties.len() as u8], &properties], out);
    } else {
        short(0x20, &[&flags], out);
    }
}

fn check_strings(packet: &Packet) -> Result<(), Unencodable> {
    let strings: Vec<(&str, &str)> = match packet {
        Packet::Connect(connect) => {
            let login = connect.login.as_ref();
            let user = login.map_or("", |login| &login.user);
            let password = login.map_or("", |login| &login.password);
            vec![("client id", &connect.client_id), ("user name", user), ("password", password)]
        }
        Packet::Publish(publish) => vec![("topic", &publish.topic)],
        Packet::Subscribe(subscribe) => subscribe.filters.iter().map(|f| ("topic filter", f.filter.as_str())).collect(),
        Packet::Unsubscribe(unsubscribe) => unsubscribe.filters.iter().map(|f| ("topic filter", f.as_str())).collect(),
        _ => Vec::new(),
    };
    match strings.into_iter().find(|(_, string)| string.len() > STRING_BYTES_MAX) {
        Some((what, string)) => Err(Unencodable(format!(
            "has a {what} of {} bytes, and MQTT strings end at {STRING_BYTES_MAX} bytes",
            string.len()
        ))),
        None => Ok(()),
    }
}

fn bad_qos(qos: u8) -> Unencodable {
    Unencodable(format!("has QoS {qos}, and there is only 0, 1 and 2"))
}

fn qos_v3(qos: u8) -> Result<QosV3, Unencodable> {
    rumqttc::mqttbytes::qos(qos).map_err(|_| bad_qos(qos))
}

fn qos_v5(qos: u8) -> Result<QosV5, Unencodable> {
    rumqttc::v5::mqttbytes::qos(qos).ok_or_else(|| bad_qos(qos))
}

fn to_v3(packet: &Packet) -> Result<v4::Packet, Unencodable> {
    Ok(match packet {
        Packet::Connect(connect) => {
            let mut packet = v4::Connect::new(connect.client_id.clone());
            packet.clean_session = connect.clean;
            packet.keep_alive = connect.keep_alive;
            packet.login =
                connect.login.as_ref().map(|login| v4::Login::new(login.user.clone(), login.password.clone()));
            v4::Packet::Connect(packet)
        }
        Packet::Publish(publish) => v4::Packet::Publish(v4::Publish {
            dup: publish.dup,
            qos: qos_v3(publish.qos)?,
            retain: publish.retain,
            topic: publish.topic.clone(),
            pkid: publish.id,
            payload: Bytes::copy_from_slice(&publish.payload),
        }),
        Packet::Subscribe(subscribe) => {
            let filter = |filter: &Filter| Ok(v4::SubscribeFilter::new(filter.filter.clone(), qos_v3(filter.qos)?));
            let filters = subscribe.filters.iter().map(filter).collect::<Result<Vec<_>, _>>()?;
            v4::Packet::Subscribe(v4::Subscribe { pkid: subscribe.id, filters })
        }
        Packet::Unsubscribe(unsubscribe) => {
            v4::Packet::Unsubscribe(v4::Unsubscribe { pkid: unsubscribe.id, topics: unsubscribe.filters.clone() })
        }
        other => return Err(Unencodable(format!("{} is not written this way", other.name()))),
    })
}

fn to_v5(packet: &Packet) -> Result<v5::Packet, Unencodable> {
    Ok(match packet {
        Packet::Connect(connect) => v5::Packet::Connect(connect_v5(connect), None, login_v5(connect)),
        Packet::Publish(publish) => v5::Packet::Publish(publish_v5(publish)?),
        Packet::Subscribe(subscribe) => {
            let filter = |filter: &Filter| Ok(v5::Filter::new(filter.filter.clone(), qos_v5(filter.qos)?));
            let filters = subscribe.filters.iter().map(filter).collect::<Result<Vec<_>, _>>()?;
            v5::Packet::Subscribe(v5::Subscribe { pkid: subscribe.id, filters, properties: None })
        }
        Packet::Unsubscribe(unsubscribe) => v5::Packet::Unsubscribe(v5::Unsubscribe {
            pkid: unsubscribe.id,
            filters: unsubscribe.filters.clone(),
            properties: None,
        }),
        other => return Err(Unencodable(format!("{} is not written this way", other.name()))),
    })
}

fn connect_v5(connect: &Connect) -> v5::Connect {
    let properties = connect.session_expiry.map(|seconds| v5::ConnectProperties {
        session_expiry_interval: Some(seconds),
        ..v5::ConnectProperties::new()
    });
    v5::Connect {
        keep_alive: connect.keep_alive,
        client_id: connect.client_id.clone(),
        clean_start: connect.clean,
        properties,
    }
}

fn login_v5(connect: &Connect) -> Option<v5::Login> {
    connect.login.as_ref().map(|login| v5::Login::new(login.user.clone(), login.password.clone()))
}

fn publish_v5(publish: &Publish) -> Result<v5::Publish, Unencodable> {
    Ok(v5::Publish {
        dup: publish.dup,
        qos: qos_v5(publish.qos)?,
        retain: publish.retain,
        topic: Bytes::copy_from_slice(publish.topic.as_bytes()),
        pkid: publish.id,
        payload: Bytes::copy_from_slice(&publish.payload),
        properties: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::decode::decode;
    use super::*;
    use crate::packet::{Ack, Login, Suback, Subscribe, Unsuback, Unsubscribe};

    fn bytes(protocol: Protocol, packet: &Packet) -> Vec<u8> {
        let mut out = Vec::new();
        encode(protocol, packet, &mut out).unwrap();
        out
    }

    #[test]
    fn what_is_written_is_read_again() {
        let publish = Publish { dup: true, qos: 2, retain: true, topic: "a/b".into(), id: 9, payload: b"m1".to_vec() };
        let filter = Filter { filter: "a/#".into(), qos: 2 };
        let connack = Connack {
            session_present: true,
            code: 0,
            session_expiry: Some(1),
            receive_maximum: Some(2),
            maximum_qos: Some(1),
            retain_available: Some(false),
        };
        for protocol in Protocol::ALL {
            let v5 = protocol == Protocol::V5;
            let connect = Connect {
                protocol,
                clean: false,
                session_expiry: v5.then_some(3600),
                keep_alive: 60,
                client_id: "c".into(),
                login: Some(Login { user: "u".into(), password: "p".into() }),
            };
            let plain = Connack { session_present: true, ..Connack::default() };
            let packets = [
                Packet::Connect(connect),
                Packet::Connack(if v5 { connack.clone() } else { plain }),
                Packet::Publish(publish.clone()),
                Packet::Ack(Ack { kind: AckKind::Pubrel, id: 3, reason: if v5 { 0x92 } else { 0 } }),
                Packet::Subscribe(Subscribe { id: 4, filters: vec![filter.clone()] }),
                Packet::Suback(Suback { id: 4, codes: vec![2, 0x80] }),
                Packet::Unsubscribe(Unsubscribe { id: 5, filters: vec!["a/#".into()] }),
                Packet::Unsuback(Unsuback { id: 5, codes: if v5 { vec![0] } else { vec![] } }),
                Packet::Pingreq,
                Packet::Pingresp,
                Packet::Disconnect { reason: if v5 { 4 } else { 0 } },
            ];
            for packet in packets {
                assert_eq!(decode(protocol, &bytes(protocol, &packet)), Ok(packet));
            }
        }
    }

    #[test]
    fn a_disconnect_has_its_shortest_form() {
        assert_eq!(bytes(Protocol::V5, &Packet::Disconnect { reason: 0 }), [0xe0, 0]);
        assert_eq!(bytes(Protocol::V5, &Packet::Disconnect { reason: 4 }), [0xe0, 1, 4]);
        assert_eq!(bytes(Protocol::V3, &Packet::Disconnect { reason: 4 }), [0xe0, 0]);
    }

    #[test]
    fn what_cannot_be_sent_leaves_no_bytes() {
        let publish = |topic: String, qos| Publish { dup: false, qos, retain: false, topic, id: 1, payload: vec![] };
        for protocol in Protocol::ALL {
            for packet in [publish("t".repeat(65_536), 0), publish("t".into(), 3)] {
                let mut out = Vec::new();
                assert!(encode(protocol, &Packet::Publish(packet), &mut out).is_err());
                assert!(out.is_empty());
            }
        }
    }
}
