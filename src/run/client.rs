//! One client of a cell: its connection, and what it knows and waits for.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::connection::{Connection, End, Incoming};
use crate::history::{Awaited, Message};
use crate::packet::{self, Ack, AckKind, Connack, Packet, Protocol, Publish};
use crate::plan;
use crate::scenario::Answers;
use crate::session_rules::{USUAL_WINDOW, granted_qos, is_failure, must_be_refused, session_persists};
use crate::topic;
use crate::vocabulary::FIRST_NODE;

/// A client of a cell while the cell runs.
pub struct Client {
    pub plan: plan::Client,
    pub name: Arc<str>,
    /// The node to which it connected last.
    pub node: u32,
    pub connection: Option<Connection>,
    /// What has come in and was not looked at yet, with the message of ours that it carries.
    pub incoming: VecDeque<(Incoming, Option<Message>)>,
    /// What waits to be put on the wire.
    pub unsent: VecDeque<Unsent>,
    /// When the client last sent something on this connection.
    pub last_sent: Instant,
    /// The CONNACK of the connection, as long as there is one.
    pub connack: Option<Connack>,
    /// How the broker ended the connection.
    pub ended: Option<End>,
    /// The client keeps state of a session that an earlier connection began.
    pub has_session: bool,
    /// The client has sent DISCONNECT, and sends nothing behind it.
    pub leaving: bool,
    /// The broker is about to end the connection by right: another one takes over, or the client has fallen silent.
    pub may_end: bool,
    /// Nothing is sent any more, not even PINGREQ.
    pub silent: bool,
    /// Packets that come in are lost on their way to the client: how often some were.
    pub lost: Option<u32>,
    /// The connection that neither reads nor writes any more, while the broker cannot know.
    pub stalled: Option<Connection>,
    /// How many of the messages of QoS 1 and 2 that come on this connection are answered; all where it is `None`.
    pub answers_at_most: Option<usize>,
    /// How many were answered.
    pub taken: usize,
    /// Those that came beyond that.
    pub held: Vec<Publish>,
    /// PUBREC is not answered.
    pub keeps_pubrel: bool,
    /// The answers that are due on this connection, but for those to PINGREQs that only keep it alive.
    pub unanswered: Vec<Awaited>,
    /// How many PINGREQs of this connection have no answer yet.
    pub pings_due: u32,
    /// Messages of ours that came on this connection.
    pub arrivals: Vec<Message>,
    /// The same with the QoS at which they came.
    pub arrived_at: HashSet<(Message, u8)>,
    /// The client has closed its connection, as the standard orders it to when it is told of a session that it never had.
    pub closed_by_rule: bool,
    /// Messages of the experiment's that came on any connection.
    pub seen: HashSet<Message>,
    /// The subscriptions of the session as far as the client knows.
    pub subscriptions: Vec<Subscribed>,
    /// PUBLISH packets of the session whose handshake is not finished, in the order of sending.
    pub outbox: Vec<Outgoing>,
    /// How what comes in is answered, until the connection ends.
    pub answers: Answers,
    /// The CONNECT of this connection, or of the last one.
    pub connect: Option<plan::Connect>,
    /// Since when the client is gone; for the broker it may be gone since it sent DISCONNECT.
    pub gone_since: Option<Instant>,
    /// The number of this connection's will.
    pub will: Option<Message>,
    /// The codes of the last SUBACK on this connection, until a receive step takes them as a sign of life.
    pub granted: Vec<u8>,
    last_id: u16,
}

/// A packet that waits to be put on the wire.
pub struct Unsent {
    pub packet: Packet,
    /// Only its first half is sent.
    pub half: bool,
    /// The bytes that are sent.
    pub raw: Bytes,
}

/// How many Packet Identifiers a client takes in turn: one more than it leaves unacknowledged.
const IDS_IN_TURN: u16 = 9;
/// Enough for a harness that is held up.
const PING_MARGIN_MIN: Duration = Duration::from_secs(2);

/// A subscription that was granted.
pub struct Subscribed {
    pub filter: packet::Filter,
    pub granted: u8,
}

/// A PUBLISH of QoS 1 or 2 that was sent, and what it waits for.
pub struct Outgoing {
    pub publish: Publish,
    /// PUBREC came, so that PUBREL is what would be sent again.
    pub released: bool,
}

impl Client {
    pub fn new(plan: plan::Client) -> Client {
        Client {
            name: plan.name.as_str().into(),
            plan,
            node: FIRST_NODE,
            connection: None,
            incoming: VecDeque::new(),
            unsent: VecDeque::new(),
            last_sent: Instant::now(),
            connack: None,
            ended: None,
            has_session: false,
            leaving: false,
            may_end: false,
            silent: false,
            lost: None,
            stalled: None,
            answers_at_most: None,
            taken: 0,
            held: Vec::new(),
            keeps_pubrel: false,
            unanswered: Vec::new(),
            pings_due: 0,
            arrivals: Vec::new(),
            arrived_at: HashSet::new(),
            closed_by_rule: false,
            seen: HashSet::new(),
            subscriptions: Vec::new(),
            outbox: Vec::new(),
            answers: Answers::All,
            connect: None,
            gone_since: None,
            will: None,
            granted: Vec::new(),
            last_id: 0,
        }
    }

    /// Forgets what belongs to the connection before; called for each new one.
    pub fn connected(&mut self, connection: Connection, connect: &plan::Connect) {
        self.answers = Answers::All;
        if connect.clean || !self.session_persists() {
            self.forget_session();
        }
        // Fence topics are subscribed to anew, so that they show what is true now.
        self.subscriptions.retain(|subscribed| !subscribed.filter.filter.starts_with("fence"));
        self.connect = Some(connect.clone());
        self.connection = Some(connection);
        self.incoming.clear();
        self.unsent.clear();
        self.last_sent = Instant::now();
        self.connack = None;
        self.ended = None;
        self.leaving = false;
        self.may_end = false;
        self.silent = false;
        self.lost = None;
        self.answers_at_most = None;
        self.taken = 0;
        self.held.clear();
        self.keeps_pubrel = false;
        self.unanswered.clear();
        self.pings_due = 0;
        self.arrivals.clear();
        self.arrived_at.clear();
        self.closed_by_rule = false;
        self.granted.clear();
    }

    /// Does nothing more on this connection: of what comes only the end is looked at, and nothing is waited for.
    pub fn stop(&mut self) {
        self.lost = Some(0);
        self.silent = true;
        self.may_end = true;
        self.incoming.clear();
        self.unanswered.clear();
    }

    /// When the client has to send PINGREQ, well before its Keep Alive runs out; `None` if it need not, or no more.
    pub fn ping_due(&self) -> Option<Instant> {
        let connack = self.connack.as_ref().filter(|connack| connack.code == 0)?;
        let asked = self.connect.as_ref().map_or(0, |connect| connect.keep_alive);
        let keep_alive = connack.server_keep_alive.unwrap_or(asked);
        // A PINGREQ behind half of a packet would be read as the rest of it.
        // Where the broker takes no packet of two bytes, nothing keeps the connection alive.
        let is_taken = connack.maximum_packet_size.is_none_or(|maximum| maximum >= 2);
        let can_send = self.connection.as_ref().is_some_and(|own| !own.is_in_a_packet()) && !self.closed_by_rule;
        let pings = can_send && is_taken && !self.silent && !self.leaving && keep_alive > 0;
        let keep_alive = Duration::from_secs(keep_alive.into());
        pings.then(|| self.last_sent + keep_alive - ping_margin(keep_alive))
    }

    /// The acknowledgement that a received packet gets on this connection.
    pub fn answer(&mut self, received: &Packet) -> Option<Packet> {
        match received {
            Packet::Publish(publish) if publish.qos > 0 => {
                if self.answers_at_most.is_some_and(|most| self.taken >= most) {
                    self.held.push(publish.clone());
                    return None;
                }
                self.taken += 1;
            }
            Packet::Ack(ack) if ack.kind == AckKind::Pubrec && self.keeps_pubrel => return None,
            Packet::Ack(ack) if ack.kind == AckKind::Pubrel && self.held.iter().any(|held| held.id == ack.id) => {
                return None;
            }
            _ => {}
        }
        answer(received, self.answers)
    }

    /// The session is not there any more, or is not resumed.
    pub fn forget_session(&mut self) {
        // The identifiers that were in use come first: a broker that takes them for the old messages is found out.
        if let Some(first) = self.outbox.first() {
            self.last_id = first.publish.id.saturating_sub(1).min(IDS_IN_TURN);
        }
        self.subscriptions.clear();
        self.outbox.clear();
        self.has_session = false;
    }

    /// The CONNECT asks for a session under no identifier, which 3.1.1 forbids (MQTT-3.1.3-7). Only a scenario that asks
    /// how the broker takes it has such a client.
    pub fn must_be_refused(&self) -> bool {
        let clean = self.connect.as_ref().is_none_or(|connect| connect.clean);
        must_be_refused(self.plan.protocol, self.plan.client_id.is_some(), clean)
    }

    /// The session outlives its connection, as far as this client asked for it.
    pub fn session_persists(&self) -> bool {
        let asked = self.connect.as_ref();
        asked.is_some_and(|asked| session_persists(self.plan.protocol, asked.clean, asked.session_expiry))
    }

    /// A Packet Identifier that is not in use (MQTT-2.3.1-2, 5.0 MQTT-2.2.1-3). There are few, taken in turn, so that each
    /// comes back soon: a broker has to take it for a new message then (MQTT-4.3.2-2, 5.0 MQTT-4.3.2-5).
    pub fn next_id(&mut self) -> u16 {
        let in_use = |id: u16| {
            self.outbox.iter().any(|outgoing| outgoing.publish.id == id)
                || self
                    .unanswered
                    .iter()
                    .any(|due| !matches!(due, Awaited::Ack(AckKind::Pubrel, _)) && due.id() == Some(id))
        };
        let turns = (1..=IDS_IN_TURN).map(|turn| (self.last_id + turn - 1) % IDS_IN_TURN + 1);
        // Where all are in use, as after messages whose answers were not read, there are more.
        let id = turns.chain(IDS_IN_TURN + 1..u16::MAX).find(|id| !in_use(*id)).unwrap_or(u16::MAX);
        self.last_id = id.min(IDS_IN_TURN);
        id
    }

    /// Notes what the session keeps of a packet that this client sends.
    pub fn keep_sent(&mut self, packet: &Packet) {
        if let Packet::Publish(publish) = packet
            && publish.qos > 0
            && !publish.dup
        {
            self.outbox.push(Outgoing { publish: publish.clone(), released: false });
        }
    }

    /// Notes what the session need not keep any more, by what came in.
    pub fn keep_received(&mut self, packet: &Packet) {
        let Packet::Ack(ack) = packet else { return };
        match ack.kind {
            AckKind::Pubrec if !is_failure(ack.reason) => {
                let own = self.outbox.iter_mut().find(|outgoing| outgoing.publish.id == ack.id);
                own.into_iter().for_each(|outgoing| outgoing.released = true);
            }
            AckKind::Puback | AckKind::Pubrec | AckKind::Pubcomp => {
                self.outbox.retain(|outgoing| outgoing.publish.id != ack.id);
            }
            AckKind::Pubrel => {}
        }
    }

    /// What the standard orders a client to send again on a resumed session, in the original order (MQTT-4.4.0-1,
    /// MQTT-4.6.0-1).
    pub fn to_resend(&self) -> Vec<Packet> {
        let again = |outgoing: &Outgoing| match (outgoing.released, self.plan.protocol) {
            (true, _) => Packet::ack(AckKind::Pubrel, outgoing.publish.id),
            (false, Protocol::V5) => Packet::Publish(Publish { dup: true, ..outgoing.publish.clone() }),
            // A client of 5.0 may have begun it: 3.1.1 has no properties.
            (false, Protocol::V3) => Packet::Publish(Publish {
                dup: true,
                properties: packet::Properties::default(),
                ..outgoing.publish.clone()
            }),
        };
        self.outbox.iter().map(again).collect()
    }

    /// Messages sent whose handshake is not finished.
    pub fn unacknowledged(&self) -> usize {
        self.unanswered
            .iter()
            .filter(|awaited| matches!(awaited, Awaited::Ack(AckKind::Puback | AckKind::Pubrec | AckKind::Pubcomp, _)))
            .count()
    }

    /// How many messages may be unacknowledged at once. Some brokers refuse, drop or reset beyond a limit of their own
    /// that 3.1.1 cannot announce, so there are few unless the step wants more.
    pub fn window(&self, wanted: Option<u32>) -> usize {
        let announced = self.connack.as_ref().and_then(|connack| connack.receive_maximum).unwrap_or(u16::MAX);
        wanted.unwrap_or(USUAL_WINDOW).min(announced.into()).max(1) as usize
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

    /// What the broker's CONNACK forbids this client to ask for in a SUBSCRIBE (5.0, sections 3.2.2.3.11 to 3.2.2.3.13).
    pub fn unavailable(&self, filters: &[packet::Filter], identifier: Option<u32>) -> Option<String> {
        let connack = self.connack.as_ref().filter(|_| self.plan.protocol == Protocol::V5)?;
        let any = |what: fn(&str) -> bool| filters.iter().any(|filter| what(&filter.filter));
        if any(|filter| filter.contains(['+', '#'])) && connack.wildcards_available == Some(false) {
            return Some("SUBSCRIBE with a wildcard: Wildcard Subscription Available 0".into());
        }
        if any(|filter| topic::share_name(filter).is_some()) && connack.shared_available == Some(false) {
            return Some("SUBSCRIBE to a share: Shared Subscription Available 0".into());
        }
        let refused = identifier.is_some() && connack.subscription_ids_available == Some(false);
        refused.then(|| "SUBSCRIBE with an identifier: Subscription Identifiers Available 0".into())
    }

    /// The highest QoS that was granted for a topic by a subscription that is not shared, while there is one.
    pub fn granted_for(&self, topic: &str) -> Option<u8> {
        granted_qos(self.granted_filters(), topic, false)
    }

    /// As [`Client::granted_for`], without the subscriptions that leave out what this client publishes itself.
    pub fn granted_for_own(&self, topic: &str) -> Option<u8> {
        granted_qos(self.granted_filters(), topic, true)
    }

    fn granted_filters(&self) -> impl Iterator<Item = (&packet::Filter, u8)> {
        self.subscriptions.iter().map(|subscribed| (&subscribed.filter, subscribed.granted))
    }

    /// Notes which answer a sent packet calls for.
    pub fn expect_answer(&mut self, sent: &Packet) {
        // A PUBLISH that is resent before its PUBREL is answered again, and still has one PUBREL to come.
        if let Some(awaited) = Awaited::answer_to(sent)
            && !self.unanswered.contains(&awaited)
        {
            self.unanswered.push(awaited);
        }
    }

    /// Strikes off what a received packet answers.
    pub fn answered(&mut self, received: &Packet) {
        let Some(answer) = Awaited::of(received) else { return };
        if answer == Awaited::Pingresp {
            // They are answered in their order, so the one that is waited for comes last.
            self.pings_due = self.pings_due.saturating_sub(1);
            if self.pings_due > 0 {
                return;
            }
        }
        let place = |answer| self.unanswered.iter().position(|due| *due == answer);
        // A PUBACK for a PUBLISH at QoS 2 is a wrong answer, but the last one: no PUBREC will follow.
        let wrong = || match answer {
            Awaited::Ack(AckKind::Puback, id) => place(Awaited::Ack(AckKind::Pubrec, id)),
            _ => None,
        };
        if let Some(place) = place(answer).or_else(wrong) {
            self.unanswered.remove(place);
        }
    }
}

/// How long before its Keep Alive runs out a client sends PINGREQ: a quarter of it, so that none is sent within the usual patience and
/// wakes a broker that owes a message. Where that is short, half of it, up to two seconds.
fn ping_margin(keep_alive: Duration) -> Duration {
    (keep_alive / 4).max((keep_alive / 2).min(PING_MARGIN_MIN))
}

/// The acknowledgement that a received packet calls for (MQTT-3.3.4-1, MQTT-4.3.2-2, MQTT-4.3.3-1 and -2), as far as it
/// is given.
pub fn answer(received: &Packet, answers: Answers) -> Option<Packet> {
    let first = |kind, id| match answers {
        Answers::None => None,
        Answers::Refuse => Some(Packet::Ack(Ack { kind, id, reason: IMPLEMENTATION_SPECIFIC_ERROR })),
        Answers::All | Answers::Pubrec | Answers::OneByOne => Some(Packet::ack(kind, id)),
    };
    match received {
        Packet::Publish(Publish { qos: 1, .. }) if answers == Answers::Pubrec => None,
        Packet::Publish(Publish { qos: 1, id, .. }) => first(AckKind::Puback, *id),
        Packet::Publish(Publish { qos: 2, id, .. }) => first(AckKind::Pubrec, *id),
        Packet::Ack(ack) => match ack.kind {
            AckKind::Pubrec if !is_failure(ack.reason) => Some(Packet::ack(AckKind::Pubrel, ack.id)),
            AckKind::Pubrel if answers != Answers::Pubrec => Some(Packet::ack(AckKind::Pubcomp, ack.id)),
            AckKind::Pubrec | AckKind::Pubrel | AckKind::Puback | AckKind::Pubcomp => None,
        },
        _ => None,
    }
}

/// The reason code of a PUBACK or PUBREC that refuses (5.0, sections 3.4.2.1 and 3.5.2.1).
const IMPLEMENTATION_SPECIFIC_ERROR: u8 = 0x83;
