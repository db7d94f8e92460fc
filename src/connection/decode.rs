//! One frame of bytes to one [`Packet`].
//!
//! rumqttc's packet types read what only clients send. All else is read from the bytes, since those types refuse legal short
//! forms and every code that they do not list, and do not tell what is wrong with a text or a property.

mod connack;
mod properties;

use bytes::BytesMut;
use rumqttc::mqttbytes::v4;
use rumqttc::v5::mqttbytes::v5;

use self::connack::connack;
use self::properties::{block, name, properties, text};
use super::frame::FRAME_BYTES_MAX;
use crate::packet::{
    Ack, AckKind, Connect, Filter, Login, Packet, Properties, Protocol, Publish, Suback, Subscribe, Unsuback,
    Unsubscribe, Will,
};

/// Why a frame is no packet; completes "a packet that ...".
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Undecodable {
    /// Its type does not have this property.
    #[error("is a {packet} with the property {kind:#04x}")]
    ForeignProperty { packet: &'static str, kind: u8 },
    /// The standard lets this property stand once, and it stands twice.
    #[error("is a CONNACK with the property {} twice", name(*kind))]
    RepeatedProperty { kind: u8 },
    /// The standard rules out this value of the property.
    #[error("is a CONNACK with {} {value}", name(*kind))]
    RuledOutValue { kind: u8, value: u32 },
    /// The bytes of a text are not UTF-8 (3.1.1, section 1.5.3; 5.0, section 1.5.4).
    #[error("has a text that is not UTF-8")]
    IllFormedText,
    /// Both QoS bits of a PUBLISH are set (3.3.1.2).
    #[error("is a PUBLISH at QoS 3")]
    Qos3,
    #[error("has a text with the null character")]
    NullCharacter,
    #[error("has the Packet Identifier 0")]
    Identifier0,
    /// A PUBLISH whose topic no alias stands for (4.7.3).
    #[error("is a PUBLISH with an empty topic")]
    EmptyTopic,
    #[error("is a CONNACK with reserved flags set ({flags:#04x})")]
    FlagsOfConnack { flags: u8 },
    #[error("{0}")]
    Other(String),
}

fn undecodable<T>(why: impl Into<String>) -> Result<T, Undecodable> {
    Err(Undecodable::Other(why.into()))
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
        (2, 0) => connack(protocol, body).map(Packet::Connack),
        (4, 0) => ack(protocol, AckKind::Puback, body),
        (5, 0) => ack(protocol, AckKind::Pubrec, body),
        (6, 2) => ack(protocol, AckKind::Pubrel, body),
        (7, 0) => ack(protocol, AckKind::Pubcomp, body),
        (9, 0) => codes(protocol, body).map(|(id, codes)| Packet::Suback(Suback { id, codes })),
        (11, 0) if protocol == Protocol::V3 => id(body).map(|id| Packet::Unsuback(Unsuback { id, codes: Vec::new() })),
        (11, 0) => codes(protocol, body).map(|(id, codes)| Packet::Unsuback(Unsuback { id, codes })),
        (12, 0) if body.is_empty() => Ok(Packet::Pingreq),
        (13, 0) if body.is_empty() => Ok(Packet::Pingresp),
        // 3.1.1 has no reason code, and no DISCONNECT from a broker; one that comes all the same is shown as what it is.
        (14, 0) if protocol == Protocol::V3 => Ok(Packet::disconnect(body.first().copied().unwrap_or(0))),
        (14, 0) => disconnect(body),
        (15, 0) if protocol == Protocol::V5 => Ok(Packet::Auth { reason: body.first().copied().unwrap_or(0) }),
        (3, _) if body.len() >= 2 => publish(protocol, frame[0], body),
        (1, 0) | (8, 2) | (10, 2) => from_client(protocol, frame),
        (kind, flags) => undecodable(format!("has packet type {kind}, flags {flags:#x} and {} bytes", body.len())),
    }
}

fn id(body: &[u8]) -> Result<u16, Undecodable> {
    match body {
        [high, low, ..] if (*high, *low) != (0, 0) => Ok(u16::from_be_bytes([*high, *low])),
        [_, _, ..] => Err(Undecodable::Identifier0),
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
        Protocol::V5 => block(&body[2..])?.1,
    };
    match codes {
        [] => undecodable("has no reason code"),
        codes => Ok((id, codes.to_vec())),
    }
}

/// The DISCONNECT of 5.0: reason code, properties, both of which may be left out.
fn disconnect(body: &[u8]) -> Result<Packet, Undecodable> {
    let reason = body.first().copied().unwrap_or(0);
    let mut session_expiry = None;
    if let [_, rest @ ..] = body
        && !rest.is_empty()
    {
        for property in properties(block(rest)?.0)? {
            match property.kind {
                0x11 => session_expiry = Some(property.number()),
                // Reason String, Server Reference, User Property.
                0x1f | 0x1c | 0x26 => {}
                kind => return Err(Undecodable::ForeignProperty { packet: "DISCONNECT", kind }),
            }
        }
    }
    Ok(Packet::Disconnect { reason, session_expiry })
}

/// Topic, Packet Identifier above QoS 0, properties (5.0), payload.
fn publish(protocol: Protocol, first: u8, body: &[u8]) -> Result<Packet, Undecodable> {
    let (length, rest) = body.split_first_chunk().ok_or(Undecodable::Other("ends inside its topic".into()))?;
    let name = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)));
    let (name, mut rest) = name.ok_or(Undecodable::Other("ends inside its topic".into()))?;
    let qos = first >> 1 & 3;
    let mut publish = Publish {
        dup: first & 8 != 0,
        qos,
        retain: first & 1 != 0,
        topic: text(name)?,
        id: 0,
        payload: Vec::new(),
        properties: Properties::default(),
    };
    match qos {
        0 => {}
        1 | 2 => {
            publish.id = id(rest)?;
            rest = &rest[2..];
        }
        _ => return Err(Undecodable::Qos3),
    }
    if protocol == Protocol::V5 {
        let (block, payload) = block(rest)?;
        publish.properties = of_publish(block)?;
        rest = payload;
    }
    if publish.topic.is_empty() && publish.properties.topic_alias.is_none() {
        return Err(Undecodable::EmptyTopic);
    }
    publish.payload = rest.to_vec();
    Ok(Packet::Publish(publish))
}

fn of_publish(block: &[u8]) -> Result<Properties, Undecodable> {
    let mut found = Properties::default();
    for property in properties(block)? {
        let number = property.number();
        match property.kind {
            0x01 => found.payload_format = Some(number as u8),
            0x02 => found.message_expiry = Some(number),
            0x03 => found.content_type = Some(property.text()?),
            0x08 => found.response_topic = Some(property.text()?),
            0x09 => found.correlation_data = Some(property.data()),
            0x0b => found.subscription_ids.push(number),
            0x23 => found.topic_alias = Some(number as u16),
            0x26 => found.user.push(property.pair()?),
            kind => return Err(Undecodable::ForeignProperty { packet: "PUBLISH", kind }),
        }
    }
    Ok(found)
}

/// CONNECT, SUBSCRIBE and UNSUBSCRIBE.
fn from_client(protocol: Protocol, frame: &[u8]) -> Result<Packet, Undecodable> {
    match protocol {
        Protocol::V3 => match read_v3(frame)? {
            v4::Packet::Connect(connect) => Ok(Packet::Connect(Connect {
                protocol,
                clean: connect.clean_session,
                session_expiry: None,
                receive_maximum: None,
                maximum_packet_size: None,
                topic_alias_maximum: None,
                keep_alive: connect.keep_alive,
                client_id: connect.client_id,
                will: connect.last_will.map(|will| Will {
                    topic: will.topic,
                    payload: will.message.to_vec(),
                    qos: will.qos as u8,
                    retain: will.retain,
                    delay: None,
                }),
                login: connect.login.map(|login| Login { user: login.username, password: login.password }),
            })),
            v4::Packet::Subscribe(subscribe) => Ok(Packet::Subscribe(Subscribe {
                id: subscribe.pkid,
                subscription_id: None,
                filters: subscribe.filters.into_iter().map(|f| Filter::new(f.path, f.qos as u8)).collect(),
            })),
            v4::Packet::Unsubscribe(unsubscribe) => {
                Ok(Packet::Unsubscribe(Unsubscribe { id: unsubscribe.pkid, filters: unsubscribe.topics }))
            }
            _ => undecodable("is out of place"),
        },
        Protocol::V5 => match read_v5(frame)? {
            v5::Packet::Connect(connect, will, login) => Ok(Packet::Connect(connect_v5(connect, will, login)?)),
            v5::Packet::Subscribe(subscribe) => subscribe_v5(subscribe),
            v5::Packet::Unsubscribe(unsubscribe) => {
                Ok(Packet::Unsubscribe(Unsubscribe { id: unsubscribe.pkid, filters: unsubscribe.filters }))
            }
            _ => undecodable("is out of place"),
        },
    }
}

fn connect_v5(
    connect: v5::Connect,
    will: Option<v5::LastWill>,
    login: Option<v5::Login>,
) -> Result<Connect, Undecodable> {
    let properties = connect.properties.as_ref();
    let will = will.map(|will| {
        Ok(Will {
            topic: text(&will.topic)?,
            payload: will.message.to_vec(),
            qos: will.qos as u8,
            retain: will.retain,
            delay: will.properties.and_then(|properties| properties.delay_interval),
        })
    });
    Ok(Connect {
        protocol: Protocol::V5,
        clean: connect.clean_start,
        session_expiry: properties.and_then(|properties| properties.session_expiry_interval),
        receive_maximum: properties.and_then(|properties| properties.receive_maximum),
        maximum_packet_size: properties.and_then(|properties| properties.max_packet_size),
        topic_alias_maximum: properties.and_then(|properties| properties.topic_alias_max),
        keep_alive: connect.keep_alive,
        client_id: connect.client_id,
        will: will.transpose()?,
        login: login.map(|login| Login { user: login.username, password: login.password }),
    })
}

fn subscribe_v5(subscribe: v5::Subscribe) -> Result<Packet, Undecodable> {
    let filter = |filter: v5::Filter| Filter {
        filter: filter.path,
        qos: filter.qos as u8,
        no_local: filter.nolocal,
        retain_as_published: filter.preserve_retain,
        retain_handling: match filter.retain_forward_rule {
            v5::RetainForwardRule::OnEverySubscribe => 0,
            v5::RetainForwardRule::OnNewSubscribe => 1,
            v5::RetainForwardRule::Never => 2,
        },
    };
    let subscription_id = subscribe.properties.and_then(|properties| properties.id).map(u32::try_from);
    Ok(Packet::Subscribe(Subscribe {
        id: subscribe.pkid,
        subscription_id: subscription_id
            .transpose()
            .map_err(|_| Undecodable::Other("has a Subscription Identifier that is too large".into()))?,
        filters: subscribe.filters.into_iter().map(filter).collect(),
    }))
}

/// A packet that only clients send; rumqttc's errors are no half sentences.
fn unreadable(frame: &[u8]) -> Undecodable {
    let name = match frame[0] >> 4 {
        1 => "CONNECT",
        8 => "SUBSCRIBE",
        _ => "UNSUBSCRIBE",
    };
    Undecodable::Other(format!("is a {name} that is malformed"))
}

fn read_v3(frame: &[u8]) -> Result<v4::Packet, Undecodable> {
    v4::Packet::read(&mut BytesMut::from(frame), FRAME_BYTES_MAX).map_err(|_| unreadable(frame))
}

fn read_v5(frame: &[u8]) -> Result<v5::Packet, Undecodable> {
    v5::Packet::read(&mut BytesMut::from(frame), Some(FRAME_BYTES_MAX as u32)).map_err(|_| unreadable(frame))
}

#[cfg(test)]
mod tests;
