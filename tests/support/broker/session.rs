//! The Session State of one client (section 3.1.2.4 of 3.1.1, 4.1 of 5.0) and the delivery of messages to it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use mqtt_sessions::packet::{Ack, AckKind, Packet, Protocol, Publish};
use tokio::time::Instant;

use super::choices::RetainedCopies;
use super::rules::Rules;
use super::state::Link;

/// How long a session outlives its connection; `None` is for ever.
pub type Lifetime = Option<Duration>;

/// The session ends with its connection.
pub const ENDS_AT_CLOSE: Lifetime = Some(Duration::ZERO);

/// A message on its way to one subscriber.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub topic: String,
    pub payload: Vec<u8>,
    /// The QoS of this delivery.
    pub qos: u8,
    /// The RETAIN flag of this delivery.
    pub retain: bool,
    /// It was queued for an absent subscriber.
    pub queued: bool,
}

/// A delivery above QoS 0 that is under way. It keeps its Packet Identifier until the last answer (3.1.1 2.3.1-4, 5.0
/// 2.2.1-4).
#[derive(Debug, Clone)]
struct InFlight {
    id: u16,
    delivery: Delivery,
    /// The answer that comes next: PUBACK, or PUBREC and then PUBCOMP.
    awaits: AckKind,
}

pub struct Session {
    pub protocol: Protocol,
    /// The connection that the session is attached to.
    pub link: Option<Link>,
    pub lifetime: Lifetime,
    /// When the session ends, while it has no connection.
    pub ends_at: Option<Instant>,
    /// Topic Filters with the QoS granted to each.
    pub subscriptions: BTreeMap<String, u8>,
    /// PUBLISH packets of QoS 2 from the client whose PUBREL has not come, with the message if it still has to go
    /// onward.
    pub incoming: BTreeMap<u16, Option<Publish>>,
    /// Retained copies that come late.
    pub late: Vec<Delivery>,
    /// Nothing of the queue is sent for now.
    pub held: bool,
    /// So many messages are to be lost.
    pub interrupted: usize,
    queue: VecDeque<Delivery>,
    /// In the order in which they were sent first.
    in_flight: Vec<InFlight>,
    /// What was acknowledged, where that is to be forgotten.
    acknowledged: Vec<InFlight>,
    last_id: u16,
}

impl Session {
    pub fn new(protocol: Protocol) -> Session {
        Session {
            protocol,
            link: None,
            lifetime: ENDS_AT_CLOSE,
            ends_at: None,
            subscriptions: BTreeMap::new(),
            incoming: BTreeMap::new(),
            late: Vec::new(),
            held: false,
            interrupted: 0,
            queue: VecDeque::new(),
            in_flight: Vec::new(),
            acknowledged: Vec::new(),
            last_id: 0,
        }
    }

    /// Whether something waits to be sent.
    pub fn has_backlog(&self) -> bool {
        !self.queue.is_empty()
    }

    /// The QoS granted to each subscription that matches the topic.
    pub fn granted(&self, rules: &Rules, topic: &str) -> Vec<u8> {
        let matching = self.subscriptions.iter().filter(|(filter, _)| rules.matches(filter, topic));
        matching.map(|(_, granted)| *granted).collect()
    }

    /// 4.5.0-1 in both versions: a message is added to the session of each client with a matching subscription. Returns
    /// what goes out now, or `None` where no subscription matches.
    pub fn offer(&mut self, rules: &Rules, message: &Publish) -> Option<Vec<Packet>> {
        let granted = self.granted(rules, &message.topic);
        if granted.is_empty() {
            return None;
        }
        let mut packets = Vec::new();
        let queued = self.link.is_none();
        for granted in rules.copies(message.qos, granted) {
            if (queued && !rules.queues(message.qos, granted)) || self.is_interrupted() {
                continue;
            }
            let delivery = Delivery {
                topic: message.topic.clone(),
                payload: message.payload.clone(),
                qos: rules.delivered_qos(message.qos, granted),
                retain: rules.retain_of_copy(message.retain, queued),
                queued,
            };
            if !queued && rules.overtakes(self.held) {
                packets.push(self.send(rules, delivery));
                self.held = false;
            } else {
                self.enqueue(rules, delivery);
            }
        }
        if rules.choices.retained_copies == RetainedCopies::AfterNextMessage {
            self.release_late();
        }
        packets.extend(self.flush(rules));
        Some(packets)
    }

    fn is_interrupted(&mut self) -> bool {
        let interrupted = self.interrupted > 0;
        self.interrupted = self.interrupted.saturating_sub(1);
        interrupted
    }

    /// Puts the retained copies that come late behind the rest.
    pub fn release_late(&mut self) {
        self.queue.extend(self.late.drain(..));
    }

    /// Adds a message behind what is queued. It goes out with [`Session::flush`].
    pub fn enqueue(&mut self, rules: &Rules, delivery: Delivery) {
        self.queue.push_back(delivery);
        if self.link.is_none() {
            rules.limit_queue(&mut self.queue);
        }
    }

    /// Removes what is queued for a Topic Filter.
    pub fn discard_queued(&mut self, rules: &Rules, filter: &str) {
        self.queue.retain(|delivery| !rules.matches(filter, &delivery.topic));
    }

    /// Sends what is queued, in order, as far as the window has room. QoS 0 needs no room.
    pub fn flush(&mut self, rules: &Rules) -> Vec<Packet> {
        if self.link.is_none() || self.held {
            return Vec::new();
        }
        let mut packets = Vec::new();
        for delivery in std::mem::take(&mut self.queue) {
            if delivery.qos == 0 || self.in_flight.len() < rules.window() {
                packets.push(self.send(rules, delivery));
            } else {
                self.queue.push_back(delivery);
            }
        }
        packets
    }

    /// The first PUBLISH of a delivery.
    pub fn send(&mut self, rules: &Rules, delivery: Delivery) -> Packet {
        let id = if delivery.qos == 0 { 0 } else { self.unused_id() };
        let packet = publish(&delivery, id, rules.dup_of_first(&delivery));
        if delivery.qos > 0 {
            let awaits = first_answer(&delivery);
            self.in_flight.push(InFlight { id, delivery, awaits });
        }
        packet
    }

    /// 3.1.1 2.3.1-4, 5.0 2.2.1-4: a new PUBLISH gets a Packet Identifier that is not in use, and never 0.
    fn unused_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.wrapping_add(1).max(1);
            if self.in_flight.iter().all(|in_flight| in_flight.id != self.last_id) {
                return self.last_id;
            }
        }
    }

    /// 4.4.0-1 in both versions: on a resumed session each PUBLISH and PUBREL that was not acknowledged is sent again
    /// under its old identifier, in the original order (4.6.0-1). 5.0 forbids it at any other time.
    pub fn resend(&mut self, rules: &Rules) -> Vec<Packet> {
        self.in_flight.splice(0..0, self.acknowledged.drain(..));
        if rules.resends_nothing() {
            self.in_flight.clear();
        }
        for in_flight in &mut self.in_flight {
            in_flight.awaits = rules.awaited_after_resume(in_flight.awaits);
        }
        let again = |in_flight: &InFlight| match in_flight.awaits {
            // 4.3.3-1 (5.0: 4.3.3-6): after PUBREL the PUBLISH is never sent again.
            AckKind::Pubcomp => Packet::ack(AckKind::Pubrel, in_flight.id),
            _ => publish(&in_flight.delivery, in_flight.id, rules.dup_of_resent()),
        };
        self.in_flight.iter().map(again).collect()
    }

    /// Gives what waits for an absent subscriber into the hands of the rules.
    pub fn prepare_backlog(&mut self, rules: &Rules) {
        rules.prepare_backlog(&mut self.queue);
    }

    /// Takes an answer of the client to one of our PUBLISH or PUBREL packets.
    pub fn acknowledge(&mut self, rules: &Rules, ack: Ack) -> Option<Packet> {
        let position = self.in_flight.iter().position(|f| f.id == ack.id && f.awaits == ack.kind);
        match (ack.kind, position) {
            // 4.3.3-1 (5.0: 4.3.3-4): PUBREC is answered by PUBREL under the same identifier, and that is
            // unacknowledged until PUBCOMP.
            (AckKind::Pubrec, Some(position)) if ack.reason < 0x80 => {
                self.in_flight[position].awaits = AckKind::Pubcomp;
                Some(Packet::ack(AckKind::Pubrel, ack.id))
            }
            // 3.1.1 2.3.1-3: the identifier is free after PUBACK or PUBCOMP; 5.0 4.4.0-2: also after a refusal.
            (_, Some(position)) => {
                let done = self.in_flight.remove(position);
                if rules.forgets_acknowledgement(ack.kind) {
                    self.acknowledged.push(InFlight { awaits: first_answer(&done.delivery), ..done });
                }
                None
            }
            // A PUBREC that answers nothing of ours, or comes twice, wants its PUBREL nevertheless.
            (AckKind::Pubrec, None) if ack.reason < 0x80 => {
                let known = self.in_flight.iter().any(|f| f.id == ack.id && f.awaits == AckKind::Pubcomp);
                let reason = if known || self.protocol == Protocol::V3 { 0 } else { IDENTIFIER_NOT_FOUND };
                Some(Packet::Ack(Ack { kind: AckKind::Pubrel, id: ack.id, reason }))
            }
            _ => None,
        }
    }
}

/// Packet Identifier not found (5.0, sections 3.6.2.1 and 3.7.2.1).
pub const IDENTIFIER_NOT_FOUND: u8 = 0x92;

/// The answer to the PUBLISH of a delivery above QoS 0.
fn first_answer(delivery: &Delivery) -> AckKind {
    if delivery.qos == 1 { AckKind::Puback } else { AckKind::Pubrec }
}

fn publish(delivery: &Delivery, id: u16, dup: bool) -> Packet {
    Packet::Publish(Publish {
        dup,
        qos: delivery.qos,
        retain: delivery.retain,
        topic: delivery.topic.clone(),
        id,
        payload: delivery.payload.clone(),
    })
}
