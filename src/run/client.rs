//! One client of a cell: its connection, and what it knows and waits for.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use crate::connection::{Connection, End, Incoming};
use crate::history::{Awaited, Message};
use crate::packet::{AckKind, Connack, Packet, Protocol, Publish};
use crate::plan;

/// A client of a cell while the cell runs.
pub struct Client {
    pub plan: plan::Client,
    pub name: Arc<str>,
    pub connection: Option<Connection>,
    /// What has come in and was not looked at yet.
    pub incoming: VecDeque<Incoming>,
    /// The CONNACK of the connection, as long as there is one.
    pub connack: Option<Connack>,
    /// How the broker ended the connection.
    pub ended: Option<End>,
    /// The client keeps state of a session that an earlier connection began.
    pub has_session: bool,
    /// DISCONNECT was sent: nothing may follow it.
    pub leaving: bool,
    /// The answers that are due on this connection.
    pub unanswered: Vec<Awaited>,
    /// Messages of ours that came on this connection.
    pub arrivals: Vec<Message>,
    /// Messages of the experiment's that came on any connection.
    pub seen: HashSet<Message>,
    /// The subscriptions of the session as far as the client knows: topic and granted QoS.
    pub subscriptions: Vec<(String, u8)>,
    /// The codes of the last SUBACK on this connection, until a receive step takes them as a sign of life.
    pub granted: Vec<u8>,
    last_id: u16,
}

impl Client {
    pub fn new(plan: plan::Client) -> Client {
        Client {
            name: plan.name.as_str().into(),
            plan,
            connection: None,
            incoming: VecDeque::new(),
            connack: None,
            ended: None,
            has_session: false,
            leaving: false,
            unanswered: Vec::new(),
            arrivals: Vec::new(),
            seen: HashSet::new(),
            subscriptions: Vec::new(),
            granted: Vec::new(),
            last_id: 0,
        }
    }

    /// Forgets what belongs to the connection before; called for each new one.
    pub fn connected(&mut self, connection: Connection) {
        self.connection = Some(connection);
        self.incoming.clear();
        self.connack = None;
        self.ended = None;
        self.leaving = false;
        self.unanswered.clear();
        self.arrivals.clear();
        self.granted.clear();
        if self.plan.clean_session {
            self.subscriptions.clear();
        }
    }

    /// A Packet Identifier that is not in use: there are never 65,535 in flight (MQTT-2.3.1-2, 5.0 MQTT-2.2.1-3).
    pub fn next_id(&mut self) -> u16 {
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        self.last_id
    }

    /// Messages sent whose handshake is not finished.
    pub fn unacknowledged(&self) -> usize {
        self.unanswered
            .iter()
            .filter(|awaited| matches!(awaited.packet.as_str(), "PUBACK" | "PUBREC" | "PUBCOMP"))
            .count()
    }

    /// How many messages may be unacknowledged at once. Some brokers refuse, drop or reset beyond a limit of their own
    /// that 3.1.1 cannot announce.
    pub fn window(&self) -> usize {
        let announced = self.connack.as_ref().and_then(|connack| connack.receive_maximum).unwrap_or(u16::MAX);
        usize::from(announced.clamp(1, 8))
    }

    /// What the broker's CONNACK forbids this client to publish (5.0, MQTT-3.2.2-11 and MQTT-3.2.2-14).
    pub fn forbidden(&self, qos: u8, retain: bool) -> Option<String> {
        let connack = self.connack.as_ref().filter(|_| self.plan.protocol == Protocol::V5)?;
        match (connack.maximum_qos, connack.retain_available) {
            (Some(maximum), _) if qos > maximum => Some(format!("PUBLISH at QoS {qos}: Maximum QoS {maximum}")),
            (_, Some(false)) if retain => Some("PUBLISH with RETAIN 1: Retain Available 0".into()),
            _ => None,
        }
    }

    /// The QoS that was granted for a topic, while the subscription exists.
    pub fn granted_for(&self, topic: &str) -> Option<u8> {
        self.subscriptions.iter().find(|(name, _)| name == topic).map(|(_, qos)| *qos)
    }

    /// Notes which answer a sent packet calls for.
    pub fn expect_answer(&mut self, sent: &Packet) {
        let packet = match sent {
            Packet::Connect(_) => "CONNACK",
            Packet::Publish(Publish { qos: 1, .. }) => "PUBACK",
            Packet::Publish(Publish { qos: 2, .. }) => "PUBREC",
            Packet::Ack(ack) if ack.kind == AckKind::Pubrel => "PUBCOMP",
            Packet::Ack(ack) if ack.kind == AckKind::Pubrec => "PUBREL",
            Packet::Subscribe(_) => "SUBACK",
            Packet::Unsubscribe(_) => "UNSUBACK",
            Packet::Pingreq => "PINGRESP",
            _ => return,
        };
        let awaited = Awaited { packet: packet.into(), id: sent.id() };
        // A PUBLISH that is resent before its PUBREL is answered again, and still has one PUBREL to come.
        if !self.unanswered.contains(&awaited) {
            self.unanswered.push(awaited);
        }
    }

    /// Strikes off what a received packet answers.
    pub fn answered(&mut self, received: &Packet) {
        let place = |packet: &str| {
            self.unanswered.iter().position(|due| (due.packet.as_str(), due.id) == (packet, received.id()))
        };
        // A PUBACK for a PUBLISH at QoS 2 is a wrong answer, but the last one: no PUBREC will follow.
        let wrong = || place("PUBREC").filter(|_| received.name() == "PUBACK");
        if let Some(place) = place(received.name()).or_else(wrong) {
            self.unanswered.remove(place);
        }
    }
}

/// The acknowledgement that a received packet calls for (MQTT-3.3.4-1, MQTT-4.3.2-2, MQTT-4.3.3-1 and -2).
pub fn answer(received: &Packet) -> Option<Packet> {
    match received {
        Packet::Publish(Publish { qos: 1, id, .. }) => Some(Packet::ack(AckKind::Puback, *id)),
        Packet::Publish(Publish { qos: 2, id, .. }) => Some(Packet::ack(AckKind::Pubrec, *id)),
        Packet::Ack(ack) => match ack.kind {
            AckKind::Pubrec if ack.reason < 0x80 => Some(Packet::ack(AckKind::Pubrel, ack.id)),
            AckKind::Pubrel => Some(Packet::ack(AckKind::Pubcomp, ack.id)),
            AckKind::Pubrec | AckKind::Puback | AckKind::Pubcomp => None,
        },
        _ => None,
    }
}
