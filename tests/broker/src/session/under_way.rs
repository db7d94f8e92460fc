//! Deliveries above QoS 0 that are under way: their acknowledgement, and what a resumed session sends again.

use std::time::Duration;

use mqtt_sessions::packet::{Ack, AckKind, Packet, Protocol, Publish};
use tokio::time::Instant;

use super::{Delivery, Rules, Session, Way};

/// A delivery above QoS 0 that is under way. It keeps its Packet Identifier until the last answer (3.1.1 2.3.1-4, 5.0
/// 2.2.1-4).
#[derive(Debug, Clone)]
pub struct InFlight {
    pub id: u16,
    pub delivery: Delivery,
    /// The answer that comes next: PUBACK, or PUBREC and then PUBCOMP.
    pub awaits: AckKind,
    /// It was sent on this connection.
    pub resent: bool,
    /// When its PUBLISH or its PUBREL was sent last.
    pub sent_at: Instant,
    /// Its PUBLISH or its PUBREL was sent twice on this connection.
    pub repeated: bool,
}

/// How long an answer may take before a broker that repeats packets on a live connection does so.
pub const REPEATED_AFTER: Duration = Duration::from_secs(1);

/// Packet Identifier not found (5.0, sections 3.6.2.1 and 3.7.2.1).
pub const IDENTIFIER_NOT_FOUND: u8 = 0x92;

/// What an answer of the client brings about.
#[derive(Default)]
pub struct Acknowledged {
    pub packet: Option<Packet>,
    /// A delivery for a group that the client refused.
    pub refused: Option<Delivery>,
}

impl Session {
    /// What takes room in the window: what was sent on this connection and has not had its last answer, and each PUBREL
    /// that is owed. The latter need not count (5.0, section 4.9), but may.
    pub(super) fn under_way(&self) -> usize {
        self.in_flight.iter().filter(|in_flight| in_flight.resent || in_flight.awaits == AckKind::Pubcomp).count()
    }

    /// 4.4.0-1 in both versions: on a resumed session each PUBLISH and PUBREL that was not acknowledged is sent again
    /// under its old identifier, in the original order (4.6.0-1). 5.0 forbids it at any other time. They go out with
    /// [`Session::flush`].
    pub fn resend(&mut self, rules: &Rules, now: Instant) {
        self.in_flight.splice(0..0, self.acknowledged.drain(..));
        if rules.resends_nothing() {
            self.in_flight.clear();
        }
        if rules.drops_pubrel() {
            self.in_flight.retain(|in_flight| in_flight.awaits != AckKind::Pubcomp);
        }
        // 5.0 4.3.3-7: what has begun does not expire.
        self.in_flight.retain(|in_flight| !rules.expires_under_way(&in_flight.delivery.message, now));
        if rules.reverses_resent() {
            self.in_flight.reverse();
        }
        if rules.reverses_pubrels(self.protocol) {
            self.reverse_released();
        }
        for in_flight in &mut self.in_flight {
            in_flight.awaits = rules.awaited_after_resume(in_flight.awaits);
            (in_flight.resent, in_flight.repeated) = (false, false);
        }
        if rules.renumbers_resent() {
            for place in 0..self.in_flight.len() {
                self.in_flight[place].id = self.unused_id(rules);
            }
        }
    }

    /// What awaits PUBCOMP changes places, and all else stays.
    fn reverse_released(&mut self) {
        let (released, open): (Vec<InFlight>, Vec<InFlight>) =
            self.in_flight.drain(..).partition(|in_flight| in_flight.awaits == AckKind::Pubcomp);
        self.in_flight = released.into_iter().rev().chain(open).collect();
    }

    /// Sends again each PUBREL, which no window holds up (5.0 3.3.4-10), and the PUBLISH packets that fit into the window.
    pub(super) fn resend_more(&mut self, rules: &Rules, room: usize, now: Instant) -> Vec<Packet> {
        let mut packets = Vec::new();
        if self.put_off {
            return packets;
        }
        let mut room = room.saturating_sub(self.under_way());
        if rules.goes_beyond_window(self.protocol, Way::Resent) {
            room = usize::MAX;
        }
        for mut next in std::mem::take(&mut self.in_flight) {
            if !next.resent && next.awaits == AckKind::Pubcomp {
                // 4.3.3-1 (5.0: 4.3.3-6): after PUBREL the PUBLISH is never sent again.
                (next.resent, next.sent_at) = (true, now);
                packets.push(Packet::ack(AckKind::Pubrel, next.id));
            } else if !next.resent && room > 0 {
                let again = publish_again(rules, &next, now);
                // 5.0 3.1.2-25: what is too large for this connection counts as delivered.
                if self.is_too_large(rules, &again, Way::Resent) {
                    continue;
                }
                (next.resent, next.sent_at) = (true, now);
                room -= 1;
                let copies = rules.copies_of_resent(self.protocol);
                packets.extend(vec![Packet::Publish(again); copies]);
            }
            self.in_flight.push(next);
        }
        packets
    }

    /// A delivery is not known any more.
    pub fn forget(&mut self, id: u16) {
        self.in_flight.retain(|in_flight| in_flight.id != id);
    }

    /// Nothing that was sent is known any more.
    pub fn forget_under_way(&mut self) {
        self.in_flight.clear();
    }

    /// The last message that was sent and not acknowledged is not known any more.
    pub fn forget_last_under_way(&mut self) {
        if self.in_flight.last().is_some_and(|in_flight| in_flight.awaits != AckKind::Pubcomp) {
            self.in_flight.pop();
        }
    }

    /// What is sent again although the connection has not changed: nothing, in a correct broker of 5.0.
    pub fn resend_live(&mut self, rules: &Rules, now: Instant) -> Vec<Packet> {
        let is_late = |own: &&mut InFlight| own.resent && !own.repeated && own.sent_at + REPEATED_AFTER <= now;
        let repeat = |own: &mut InFlight| {
            own.repeated = true;
            match own.awaits {
                AckKind::Pubcomp => Packet::ack(AckKind::Pubrel, own.id),
                _ => Packet::Publish(publish_again(rules, own, now)),
            }
        };
        self.in_flight.iter_mut().filter(is_late).map(repeat).collect()
    }

    /// 3.10.4-3: a delivery that has begun is completed.
    pub fn drop_under_way(&mut self, rules: &Rules, filter: &str) {
        self.in_flight.retain(|in_flight| !rules.matches(filter, &in_flight.delivery.message.publish.topic));
    }

    /// What a group has left here when the session ends and may go to another member: what was not sent, and QoS 1 that
    /// was not acknowledged (5.0, section 4.8.2: SHOULD).
    pub fn take_shared_leftovers(&mut self) -> Vec<Delivery> {
        let under_way = self.in_flight.drain(..).map(|in_flight| in_flight.delivery);
        let unsent = self.queue.drain(..);
        under_way.filter(|delivery| delivery.qos == 1).chain(unsent).filter(|d| d.share.is_some()).collect()
    }

    /// Deliveries at this QoS for certain groups that were broken off.
    pub fn take_shared_under_way(&mut self, qos: u8, group: impl Fn(&str) -> bool) -> Vec<Delivery> {
        let of_group = |in_flight: &InFlight| {
            in_flight.delivery.share.as_deref().is_some_and(&group) && in_flight.delivery.qos == qos
        };
        let (taken, kept) = self.in_flight.drain(..).partition(of_group);
        self.in_flight = kept;
        let taken: Vec<InFlight> = taken;
        self.moved_on.extend(taken.iter().map(|in_flight| in_flight.id));
        taken.into_iter().map(|in_flight| in_flight.delivery).collect()
    }

    /// Takes an answer of the client to one of our PUBLISH or PUBREL packets.
    pub fn acknowledge(&mut self, rules: &Rules, ack: Ack, now: Instant) -> Acknowledged {
        let position = self.in_flight.iter().position(|f| f.id == ack.id && f.awaits == ack.kind);
        let nothing = Acknowledged::default();
        match (ack.kind, position) {
            // 4.3.3-1 (5.0: 4.3.3-4): PUBREC is answered by PUBREL under the same identifier, and that is
            // unacknowledged until PUBCOMP.
            (AckKind::Pubrec, Some(position)) if ack.reason < 0x80 => {
                let released = &mut self.in_flight[position];
                (released.awaits, released.sent_at) = (AckKind::Pubcomp, now);
                Acknowledged { packet: Some(Packet::ack(AckKind::Pubrel, ack.id)), ..nothing }
            }
            // 3.1.1 2.3.1-3: the identifier is free after PUBACK or PUBCOMP; 5.0 4.4.0-2: also after a refusal.
            (_, Some(position)) => {
                let done = self.in_flight.remove(position);
                self.excess += rules.excess_of(self.protocol, ack.kind);
                if done.repeated {
                    self.answered_once.insert(done.id);
                }
                let refused = ack.reason >= 0x80;
                if rules.forgets_acknowledgement(ack.kind, refused) {
                    self.acknowledged.push(InFlight { awaits: first_answer(&done.delivery), ..done.clone() });
                }
                Acknowledged { packet: None, refused: refused.then_some(done.delivery) }
            }
            // A PUBREC that answers nothing of ours, or comes twice, wants its PUBREL nevertheless.
            (AckKind::Pubrec, None) if ack.reason < 0x80 => {
                let known = self.in_flight.iter().any(|f| f.id == ack.id && f.awaits == AckKind::Pubcomp);
                let reason = if known || self.protocol == Protocol::V3 { 0 } else { IDENTIFIER_NOT_FOUND };
                Acknowledged { packet: Some(Packet::Ack(Ack { kind: AckKind::Pubrel, id: ack.id, reason })), ..nothing }
            }
            _ => nothing,
        }
    }
}

/// The answer to the PUBLISH of a delivery above QoS 0.
fn first_answer(delivery: &Delivery) -> AckKind {
    if delivery.qos == 1 { AckKind::Puback } else { AckKind::Pubrec }
}

fn publish_again(rules: &Rules, in_flight: &InFlight, now: Instant) -> Publish {
    let mut packet = rules.forwarded(&in_flight.delivery, Way::Resent, now);
    packet.id = in_flight.id;
    packet.dup = rules.dup_of_resent();
    packet.qos = rules.qos_of_resent(packet.qos);
    packet
}
