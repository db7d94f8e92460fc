//! MQTT control packets as this project sees them: one neutral view for 3.1.1 and 5.0.
//!
//! The bytes are the business of [`crate::connection`], the one-line text form that of [`crate::history`]. What only
//! one protocol version has is an `Option`, absent in the other.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A protocol version of MQTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Protocol {
    #[serde(rename = "3.1.1")]
    V3,
    #[serde(rename = "5.0")]
    V5,
}

impl Protocol {
    pub const ALL: [Protocol; 2] = [Protocol::V3, Protocol::V5];

    /// The spelling of axes, reports and results.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::V3 => "3.1.1",
            Protocol::V5 => "5.0",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Protocol {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Protocol::ALL.into_iter().find(|protocol| protocol.name() == name).ok_or(())
    }
}

/// One MQTT control packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    Connect(Connect),
    Connack(Connack),
    Publish(Publish),
    /// PUBACK, PUBREC, PUBREL or PUBCOMP.
    Ack(Ack),
    Subscribe(Subscribe),
    Suback(Suback),
    Unsubscribe(Unsubscribe),
    Unsuback(Unsuback),
    Pingreq,
    Pingresp,
    /// The reason code is 0 in 3.1.1, which has none.
    Disconnect {
        reason: u8,
    },
    Auth {
        reason: u8,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connect {
    pub protocol: Protocol,
    /// Clean Session in 3.1.1, Clean Start in 5.0.
    pub clean: bool,
    /// Session Expiry Interval in seconds, 5.0 only; absent is 0 (5.0, section 3.1.2.11.2).
    pub session_expiry: Option<u32>,
    /// In seconds; 0 switches it off.
    pub keep_alive: u16,
    pub client_id: String,
    /// User name and password. They are never part of the text form.
    pub login: Option<Login>,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    pub user: String,
    pub password: String,
}

impl fmt::Debug for Login {
    /// Credentials appear in no output, not even in a debug print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(hidden)")
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connack {
    pub session_present: bool,
    /// The return code (3.1.1) or reason code (5.0), as it stands on the wire.
    pub code: u8,
    /// What the broker granted, in seconds, where it overrides what was asked for (5.0, section 3.2.2.3.2).
    pub session_expiry: Option<u32>,
    pub receive_maximum: Option<u16>,
    pub maximum_qos: Option<u8>,
    pub retain_available: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    pub dup: bool,
    pub qos: u8,
    pub retain: bool,
    pub topic: String,
    /// The Packet Identifier, 0 at QoS 0.
    pub id: u16,
    pub payload: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    pub kind: AckKind,
    pub id: u16,
    /// 0 in 3.1.1, and where a 5.0 packet leaves it out.
    pub reason: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AckKind {
    Puback,
    Pubrec,
    Pubrel,
    Pubcomp,
}

impl AckKind {
    pub const ALL: [AckKind; 4] = [AckKind::Puback, AckKind::Pubrec, AckKind::Pubrel, AckKind::Pubcomp];

    pub fn name(self) -> &'static str {
        match self {
            AckKind::Puback => "PUBACK",
            AckKind::Pubrec => "PUBREC",
            AckKind::Pubrel => "PUBREL",
            AckKind::Pubcomp => "PUBCOMP",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribe {
    pub id: u16,
    pub filters: Vec<Filter>,
}

/// A Topic Filter of a SUBSCRIBE with the QoS asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    pub filter: String,
    pub qos: u8,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suback {
    pub id: u16,
    /// A granted QoS, or a refusal from 0x80 on, for each filter.
    pub codes: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsubscribe {
    pub id: u16,
    pub filters: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsuback {
    pub id: u16,
    /// Empty in 3.1.1.
    pub codes: Vec<u8>,
}

impl Packet {
    /// The standard's name of the packet type.
    pub fn name(&self) -> &'static str {
        match self {
            Packet::Connect(_) => "CONNECT",
            Packet::Connack(_) => "CONNACK",
            Packet::Publish(_) => "PUBLISH",
            Packet::Ack(ack) => ack.kind.name(),
            Packet::Subscribe(_) => "SUBSCRIBE",
            Packet::Suback(_) => "SUBACK",
            Packet::Unsubscribe(_) => "UNSUBSCRIBE",
            Packet::Unsuback(_) => "UNSUBACK",
            Packet::Pingreq => "PINGREQ",
            Packet::Pingresp => "PINGRESP",
            Packet::Disconnect { .. } => "DISCONNECT",
            Packet::Auth { .. } => "AUTH",
        }
    }

    /// An acknowledgement with reason code 0.
    pub fn ack(kind: AckKind, id: u16) -> Packet {
        Packet::Ack(Ack { kind, id, reason: 0 })
    }

    /// The Packet Identifier, if this packet has one.
    pub fn id(&self) -> Option<u16> {
        match self {
            Packet::Publish(publish) if publish.qos > 0 => Some(publish.id),
            Packet::Ack(ack) => Some(ack.id),
            Packet::Subscribe(subscribe) => Some(subscribe.id),
            Packet::Suback(suback) => Some(suback.id),
            Packet::Unsubscribe(unsubscribe) => Some(unsubscribe.id),
            Packet::Unsuback(unsuback) => Some(unsuback.id),
            _ => None,
        }
    }

    /// The place of the Packet Identifier, for whoever renumbers it.
    pub fn id_mut(&mut self) -> Option<&mut u16> {
        match self {
            Packet::Publish(publish) if publish.qos > 0 => Some(&mut publish.id),
            Packet::Ack(ack) => Some(&mut ack.id),
            Packet::Subscribe(subscribe) => Some(&mut subscribe.id),
            Packet::Suback(suback) => Some(&mut suback.id),
            Packet::Unsubscribe(unsubscribe) => Some(&mut unsubscribe.id),
            Packet::Unsuback(unsuback) => Some(&mut unsuback.id),
            _ => None,
        }
    }
}
