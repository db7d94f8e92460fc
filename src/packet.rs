//! MQTT control packets as this project sees them: one neutral view for 3.1.1 and 5.0.
//!
//! The bytes are the business of [`crate::connection`], the one-line text form that of [`crate::history`]. What only
//! one protocol version has is an `Option`, absent in the other.

mod properties;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use properties::{Properties, Values};

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
        /// Session Expiry Interval in seconds, 5.0 only; absent leaves what CONNECT said (5.0, section 3.14.2.2.2).
        session_expiry: Option<u32>,
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
    /// How many QoS 1 and QoS 2 messages the client takes unacknowledged, 5.0 only; absent is 65,535.
    pub receive_maximum: Option<u16>,
    /// The largest packet that the client takes, in bytes, 5.0 only.
    pub maximum_packet_size: Option<u32>,
    /// The highest Topic Alias that the client takes, 5.0 only; absent is 0, none.
    pub topic_alias_maximum: Option<u16>,
    /// In seconds; 0 switches it off.
    pub keep_alive: u16,
    pub client_id: String,
    pub will: Option<Will>,
    /// User name and password. They are never part of the text form.
    pub login: Option<Login>,
}

impl Connect {
    /// A clean CONNECT without options, which in 5.0 asks for no session beyond the connection.
    pub fn new(protocol: Protocol, client_id: impl Into<String>) -> Connect {
        Connect {
            protocol,
            clean: true,
            session_expiry: None,
            receive_maximum: None,
            maximum_packet_size: None,
            topic_alias_maximum: None,
            keep_alive: 0,
            client_id: client_id.into(),
            will: None,
            login: None,
        }
    }
}

/// The message that the broker publishes for a client that goes away without DISCONNECT.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Will {
    pub topic: String,
    pub payload: Vec<u8>,
    pub qos: u8,
    pub retain: bool,
    /// Will Delay Interval in seconds, 5.0 only.
    pub delay: Option<u32>,
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
    /// The client identifier that the broker gave to a client without one.
    pub assigned_client_id: Option<String>,
    /// In seconds, where the broker overrides the client's.
    pub server_keep_alive: Option<u16>,
    /// In bytes.
    pub maximum_packet_size: Option<u32>,
    pub topic_alias_maximum: Option<u16>,
    pub wildcards_available: Option<bool>,
    pub subscription_ids_available: Option<bool>,
    pub shared_available: Option<bool>,
    /// The Authentication Method, which is only for a client that gave one.
    pub authentication_method: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Publish {
    pub dup: bool,
    pub qos: u8,
    pub retain: bool,
    pub topic: String,
    /// The Packet Identifier, 0 at QoS 0.
    pub id: u16,
    pub payload: Vec<u8>,
    /// 5.0 only.
    pub properties: Properties,
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

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subscribe {
    pub id: u16,
    /// Subscription Identifier, 5.0 only.
    pub subscription_id: Option<u32>,
    pub filters: Vec<Filter>,
}

/// A Topic Filter of a SUBSCRIBE with its Subscription Options (5.0, section 3.8.3.1); 3.1.1 has the QoS alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub filter: String,
    /// The QoS asked for.
    pub qos: u8,
    pub no_local: bool,
    pub retain_as_published: bool,
    /// 0, 1 or 2.
    pub retain_handling: u8,
}

impl Filter {
    /// A filter without options.
    pub fn new(filter: impl Into<String>, qos: u8) -> Filter {
        Filter { filter: filter.into(), qos, ..Filter::default() }
    }
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

    /// A DISCONNECT that leaves the Session Expiry Interval as it was.
    pub fn disconnect(reason: u8) -> Packet {
        Packet::Disconnect { reason, session_expiry: None }
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
