//! One [`Packet`] to its bytes.
//!
//! rumqttc's packet types write what carries strings and options; packets that are an identifier and codes are written
//! here, in the shortest legal form. A string that does not fit its two length bytes is refused before it is encoded,
//! since rumqttc would wrap the length.

use bytes::{Bytes, BytesMut};
use rumqttc::mqttbytes::{QoS as QosV3, v4};
use rumqttc::v5::mqttbytes::{QoS as QosV5, v5};

use super::frame::FRAME_BYTES_MAX;
use crate::packet::{AckKind, Connack, Connect, Filter, Packet, Properties, Protocol, Publish};

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
        Packet::Connack(connack) => connack_bytes(v5, connack, out)?,
        Packet::Ack(ack) => {
            let first = match ack.kind {
                AckKind::Puback => 0x40,
                AckKind::Pubrec => 0x50,
                AckKind::Pubrel => 0x62,
                AckKind::Pubcomp => 0x70,
            };
            let reason = if v5 && ack.reason != 0 { &[ack.reason][..] } else { &[] };
            frame(first, &[&ack.id.to_be_bytes(), reason], out)?;
        }
        Packet::Suback(suback) => answer(0x90, v5, suback.id, &suback.codes, out)?,
        Packet::Unsuback(unsuback) => answer(0xb0, v5, unsuback.id, if v5 { &unsuback.codes } else { &[] }, out)?,
        Packet::Pingreq => frame(0xc0, &[], out)?,
        Packet::Pingresp => frame(0xd0, &[], out)?,
        Packet::Disconnect { reason, session_expiry: Some(seconds) } if v5 => {
            frame(0xe0, &[&[*reason, 5, 0x11], &seconds.to_be_bytes()], out)?;
        }
        Packet::Disconnect { reason, .. } if v5 && *reason != 0 => frame(0xe0, &[&[*reason]], out)?,
        Packet::Disconnect { .. } => frame(0xe0, &[], out)?,
        Packet::Auth { reason } => frame(0xf0, &[&[*reason, 0]], out)?,
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

/// A packet of these parts, behind its fixed header.
fn frame(first: u8, parts: &[&[u8]], out: &mut Vec<u8>) -> Result<(), Unencodable> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let remaining_length = variable_byte_integer(length);
    if 1 + remaining_length.len() + length > FRAME_BYTES_MAX {
        return Err(Unencodable(format!("has {length} bytes, and packets end at {FRAME_BYTES_MAX} bytes")));
    }
    out.push(first);
    out.extend(remaining_length);
    parts.iter().for_each(|part| out.extend_from_slice(part));
    Ok(())
}

/// Seven bits a byte, the lowest first (3.1.1, section 2.2.3; 5.0, section 1.5.5).
fn variable_byte_integer(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push(0x80 | (value & 0x7f) as u8);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// An identifier, properties (5.0, none) and codes.
fn answer(first: u8, v5: bool, id: u16, codes: &[u8], out: &mut Vec<u8>) -> Result<(), Unencodable> {
    frame(first, &[&id.to_be_bytes(), if v5 { &[0] } else { &[] }, codes], out)
}

fn connack_bytes(v5: bool, connack: &Connack, out: &mut Vec<u8>) -> Result<(), Unencodable> {
    let mut properties = Vec::new();
    let mut property = |kind: u8, value: Option<Vec<u8>>| {
        if let Some(value) = value {
            properties.push(kind);
            properties.extend(value);
        }
    };
    let flag = |flag: Option<bool>| flag.map(|flag| vec![u8::from(flag)]);
    property(0x11, connack.session_expiry.map(|seconds| seconds.to_be_bytes().to_vec()));
    // Its length was checked, so it fits.
    let text = |text: &String| [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat();
    property(0x12, connack.assigned_client_id.as_ref().map(text));
    property(0x15, connack.authentication_method.as_ref().map(text));
    property(0x13, connack.server_keep_alive.map(|seconds| seconds.to_be_bytes().to_vec()));
    property(0x21, connack.receive_maximum.map(|maximum| maximum.to_be_bytes().to_vec()));
    property(0x22, connack.topic_alias_maximum.map(|maximum| maximum.to_be_bytes().to_vec()));
    property(0x24, connack.maximum_qos.map(|qos| vec![qos]));
    property(0x25, flag(connack.retain_available));
    property(0x27, connack.maximum_packet_size.map(|bytes| bytes.to_be_bytes().to_vec()));
    property(0x28, flag(connack.wildcards_available));
    property(0x29, flag(connack.subscription_ids_available));
    property(0x2a, flag(connack.shared_available));
    let flags = [u8::from(connack.session_present), connack.code];
    if v5 {
        frame(0x20, &[&flags, &variable_byte_integer(properties.len()), &properties], out)
    } else {
        frame(0x20, &[&flags], out)
    }
}

fn check_strings(packet: &Packet) -> Result<(), Unencodable> {
    let strings: Vec<(&str, &str)> = match packet {
        Packet::Connect(connect) => {
            let login = connect.login.as_ref();
            let user = login.map_or("", |login| &login.user);
            let password = login.map_or("", |login| &login.password);
            let will = connect.will.as_ref().map_or("", |will| &will.topic);
            vec![("client id", &connect.client_id), ("user name", user), ("password", password), ("will topic", will)]
        }
        Packet::Publish(publish) => {
            let properties = &publish.properties;
            let texts = [&properties.content_type, &properties.response_topic].into_iter().flatten();
            let pairs = properties.user.iter().flat_map(|(key, value)| [key, value]);
            let properties = texts.chain(pairs).map(|text| ("property", text.as_str()));
            std::iter::once(("topic", publish.topic.as_str())).chain(properties).collect()
        }
        Packet::Connack(connack) => connack.assigned_client_id.iter().map(|id| ("client id", id.as_str())).collect(),
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
            packet.last_will = match &connect.will {
                Some(will) => Some(v4::LastWill {
                    topic: will.topic.clone(),
                    message: Bytes::copy_from_slice(&will.payload),
                    qos: qos_v3(will.qos)?,
                    retain: will.retain,
                }),
                None => None,
            };
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
        Packet::Connect(connect) => v5::Packet::Connect(connect_v5(connect), will_v5(connect)?, login_v5(connect)),
        Packet::Publish(publish) => v5::Packet::Publish(publish_v5(publish)?),
        Packet::Subscribe(subscribe) => {
            let filters = subscribe.filters.iter().map(filter_v5).collect::<Result<Vec<_>, _>>()?;
            let properties = subscribe
                .subscription_id
                .map(|id| v5::SubscribeProperties { id: Some(id as usize), user_properties: Vec::new() });
            v5::Packet::Subscribe(v5::Subscribe { pkid: subscribe.id, filters, properties })
        }
        Packet::Unsubscribe(unsubscribe) => v5::Packet::Unsubscribe(v5::Unsubscribe {
            pkid: unsubscribe.id,
            filters: unsubscribe.filters.clone(),
            properties: None,
        }),
        other => return Err(Unencodable(format!("{} is not written this way", other.name()))),
    })
}

fn filter_v5(filter: &Filter) -> Result<v5::Filter, Unencodable> {
    let mut packed = v5::Filter::new(filter.filter.clone(), qos_v5(filter.qos)?);
    packed.nolocal = filter.no_local;
    packed.preserve_retain = filter.retain_as_published;
    packed.retain_forward_rule = match filter.retain_handling {
        0 => v5::RetainForwardRule::OnEverySubscribe,
        1 => v5::RetainForwardRule::OnNewSubscribe,
        2 => v5::RetainForwardRule::Never,
        other => return Err(Unencodable(format!("has Retain Handling {other}, and there is only 0, 1 and 2"))),
    };
    Ok(packed)
}

fn connect_v5(connect: &Connect) -> v5::Connect {
    let properties = v5::ConnectProperties {
        session_expiry_interval: connect.session_expiry,
        receive_maximum: connect.receive_maximum,
        max_packet_size: connect.maximum_packet_size,
        topic_alias_max: connect.topic_alias_maximum,
        ..v5::ConnectProperties::new()
    };
    v5::Connect {
        keep_alive: connect.keep_alive,
        client_id: connect.client_id.clone(),
        clean_start: connect.clean,
        properties: Some(properties),
    }
}

fn will_v5(connect: &Connect) -> Result<Option<v5::LastWill>, Unencodable> {
    let Some(will) = &connect.will else { return Ok(None) };
    let properties = will.delay.map(|delay| v5::LastWillProperties {
        delay_interval: Some(delay),
        payload_format_indicator: None,
        message_expiry_interval: None,
        content_type: None,
        response_topic: None,
        correlation_data: None,
        user_properties: Vec::new(),
    });
    let qos = qos_v5(will.qos)?;
    Ok(Some(v5::LastWill::new(will.topic.clone(), will.payload.clone(), qos, will.retain, properties)))
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
        properties: (publish.properties != Properties::default()).then(|| properties_v5(&publish.properties)),
    })
}

fn properties_v5(properties: &Properties) -> v5::PublishProperties {
    v5::PublishProperties {
        payload_format_indicator: properties.payload_format,
        message_expiry_interval: properties.message_expiry,
        topic_alias: properties.topic_alias,
        response_topic: properties.response_topic.clone(),
        correlation_data: properties.correlation_data.as_deref().map(Bytes::copy_from_slice),
        user_properties: properties.user.clone(),
        subscription_identifiers: properties.subscription_ids.iter().map(|id| *id as usize).collect(),
        content_type: properties.content_type.clone(),
    }
}

#[cfg(test)]
mod tests;
