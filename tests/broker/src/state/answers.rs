//! What a connected client's packets are answered.

use mqtt_sessions::packet::{Ack, AckKind, Packet, Protocol, Publish};

use super::super::session::{Acknowledged, IDENTIFIER_NOT_FOUND, Lifetime, Message, Unreleased};
use super::{Client, Effect, Link, State, Wake};

/// Quota exceeded (5.0, sections 3.4.2.1 and 3.5.2.1).
const QUOTA_EXCEEDED: u8 = 0x97;
/// 5.0, section 4.13.
const TOPIC_ALIAS_INVALID: u8 = 0x94;

/// Packets of a connected client.
impl State {
    pub(super) fn answer(&mut self, link: Link, client: &Client, packet: Packet) {
        match packet {
            Packet::Publish(publish) => self.publish(link, client, publish),
            Packet::Ack(ack) if ack.kind == AckKind::Pubrel => self.release(link, client, ack.id),
            Packet::Ack(ack) => self.acknowledge(link, client, ack),
            Packet::Subscribe(subscribe) => self.subscribe(link, client, subscribe),
            Packet::Unsubscribe(unsubscribe) => self.unsubscribe(link, client, unsubscribe),
            // 3.12.4-1: PINGREQ is answered by PINGRESP.
            Packet::Pingreq if self.is_held_up(client) => {}
            Packet::Pingreq => self.send(link, client.protocol, Packet::Pingresp),
            Packet::Disconnect { reason, session_expiry } => self.disconnect(link, client, reason, session_expiry),
            // A second CONNECT (3.1.0-2), or what only servers send.
            _ => self.close(link),
        }
    }

    /// Closes a connection on which something went wrong; in 5.0 DISCONNECT says what (section 4.13).
    pub(super) fn expel(&mut self, link: Link, client: &Client, reason: u8) {
        if client.protocol == Protocol::V5 {
            self.send(link, client.protocol, Packet::disconnect(reason));
        }
        self.close(link);
    }

    /// 3.14.4-3: the will is discarded; 5.0, section 3.14.2.2.2: a new Session Expiry Interval holds. Section 3.14.4: the
    /// client closes the connection, and the server does so where the client has not.
    fn disconnect(&mut self, link: Link, client: &Client, reason: u8, session_expiry: Option<u32>) {
        if session_expiry.is_some_and(|asked| !self.rules.may_change_expiry(client.session_expiry, asked)) {
            return self.expel(link, client, 0x82);
        }
        if let (Some(session), Some(_)) = (self.sessions.get_mut(&client.id), session_expiry)
            && self.rules.heeds_expiry_of_disconnect()
        {
            let lifetime: Lifetime = self.rules.lifetime(Protocol::V5, false, session_expiry);
            session.lifetime = lifetime;
        }
        self.discard_will(&client.id, reason);
        match self.rules.choices.wait_for_close {
            true => self.detach(link),
            false => self.close(link),
        }
    }

    /// 5.0 3.3.4-10: a full window holds up nothing but PUBLISH packets.
    fn is_held_up(&self, client: &Client) -> bool {
        let full = self.sessions.get(&client.id).is_some_and(|session| session.is_full(&self.rules));
        full && client.protocol == Protocol::V5 && self.rules.holds_up_pingresp()
    }

    /// 3.3.4-1: a PUBLISH is answered as its QoS demands, after its message was taken over.
    fn publish(&mut self, link: Link, client: &Client, publish: Publish) {
        let Some(publish) = self.with_its_topic(link, publish) else {
            return self.expel(link, client, TOPIC_ALIAS_INVALID);
        };
        if let Some(reason) = self.rules.refuses(&publish) {
            return self.expel(link, client, reason);
        }
        if self.rules.choices.keeping.cuts_off(self.longest_backlog(&client.id, &publish)) {
            return self.expel(link, client, QUOTA_EXCEEDED);
        }
        let (qos, id) = (publish.qos, publish.id);
        let reason = match self.is_repetition(client, &publish) {
            true => 0,
            false if qos == 2 && self.is_unreleased(client, id) && !self.rules.takes_for_new(true) => {
                self.rules.answer_to_repetition(client.protocol)
            }
            false if self.exceeds_quota(client, &publish) => self.refuse_publish(client, &publish),
            false if qos == 2 => self.publish_qos2(client, publish),
            false => self.publish_now(client, publish),
        };
        if qos == 1 && client.is_cut_off {
            self.remember_unanswered(client, id);
        }
        let kind = match qos {
            0 => return,
            1 => AckKind::Puback,
            _ => AckKind::Pubrec,
        };
        self.send(link, client.protocol, Packet::Ack(Ack { kind, id, reason }));
    }

    /// 5.0 3.3.2-7 to 3.3.2-9: an alias that the client has set on this connection stands for its topic.
    fn with_its_topic(&mut self, link: Link, mut publish: Publish) -> Option<Publish> {
        let Some(alias) = publish.properties.topic_alias.take() else { return Some(publish) };
        let is_taken = self.rules.choices.keeping.takes_alias(alias);
        let known = &mut self.clients.get_mut(&link).filter(|_| is_taken)?.aliases;
        if publish.topic.is_empty() {
            publish.topic.clone_from(known.get(&alias)?);
        } else {
            known.insert(alias, publish.topic.clone());
        }
        Some(publish)
    }

    /// A QoS 1 message was taken over, and its PUBACK reaches nobody.
    fn remember_unanswered(&mut self, client: &Client, id: u16) {
        if self.rules.choices.recognises_resent_qos1
            && let Some(session) = self.sessions.get_mut(&client.id)
        {
            session.unanswered.insert(id);
        }
    }

    /// True if the message was taken over before, or if its identifier was used before and that is held against it.
    fn is_repetition(&mut self, client: &Client, publish: &Publish) -> bool {
        let Some(session) = self.sessions.get_mut(&client.id) else { return false };
        if publish.qos == 1 && session.unanswered.remove(&publish.id) && publish.dup {
            return true;
        }
        let used = (publish.qos, publish.id);
        match self.rules.remembers_id(publish.qos) {
            true => !session.used.insert(used),
            false if self.rules.remembers_refused_id() && session.used.contains(&used) => {
                // Its PUBREL is answered as if nothing were wrong.
                session.incoming.insert(publish.id, Unreleased::default());
                true
            }
            false => false,
        }
    }

    /// True if the PUBREL of a QoS 2 message under this identifier has not come.
    fn is_unreleased(&self, client: &Client, id: u16) -> bool {
        self.sessions.get(&client.id).is_some_and(|session| session.incoming.contains_key(&id))
    }

    /// Whether too much is waiting already for an absent client that the message would be stored for. A PUBLISH that is
    /// known, since its PUBREL has not come, was accepted before.
    fn exceeds_quota(&self, client: &Client, publish: &Publish) -> bool {
        if publish.qos == 0 || (publish.qos == 2 && self.is_unreleased(client, publish.id)) {
            return false;
        }
        self.rules.exceeds_quota(client.protocol, self.longest_backlog(&client.id, publish))
    }

    fn refuse_publish(&mut self, client: &Client, publish: &Publish) -> u8 {
        if publish.qos == 2
            && self.rules.remembers_refused_id()
            && let Some(session) = self.sessions.get_mut(&client.id)
        {
            session.used.insert((publish.qos, publish.id));
        }
        QUOTA_EXCEEDED
    }

    /// A message as it was taken over just now.
    fn message(&self, client: &Client, publish: Publish) -> Message {
        Message { publish, taken_at: self.now, publisher: client.id.clone(), is_will: false }
    }

    /// Takes the message over, and says what the publisher is told.
    fn publish_now(&mut self, client: &Client, publish: Publish) -> u8 {
        let message = self.message(client, publish);
        let matched = self.accept(&message);
        self.rules.accepted(client.protocol, matched)
    }

    /// 4.3.3-2, 4.3.3-10: the identifier is kept until the PUBREL, so that the message goes onward once. It may do so
    /// now (method B of 3.1.1's figure 4.3) or then (method A), and so may it be retained.
    fn publish_qos2(&mut self, client: &Client, publish: Publish) -> u8 {
        let message = self.message(client, publish);
        let id = message.publish.id;
        let later = |at_pubrel: bool| at_pubrel.then(|| message.clone());
        let to_retain = later(self.rules.choices.qos2_retained_at_pubrel);
        let to_route = later(self.rules.choices.qos2_onward_at_pubrel);
        let (retains_now, routes_now) = (to_retain.is_none(), to_route.is_none());
        let Some(session) = self.sessions.get_mut(&client.id) else { return 0 };
        session.incoming.insert(id, Unreleased { to_retain, to_route });
        if retains_now {
            self.retain(&message);
        }
        if !routes_now {
            return 0;
        }
        let matched = self.route(&message);
        self.rules.accepted(client.protocol, matched)
    }

    /// 4.3.3-2, 4.3.3-11: PUBREL is answered by PUBCOMP, and the identifier is free (5.0 4.3.3-12).
    fn release(&mut self, link: Link, client: &Client, id: u16) {
        let Some(session) = self.sessions.get_mut(&client.id) else { return };
        let unreleased = session.incoming.remove(&id);
        if unreleased.is_none() && self.rules.closes_on_repeated_pubrel() {
            return self.close(link);
        }
        let reason = match unreleased {
            None if client.protocol == Protocol::V5 => IDENTIFIER_NOT_FOUND,
            None => 0,
            Some(Unreleased { to_retain, to_route }) => {
                if let Some(message) = to_retain {
                    self.retain(&message);
                }
                if let Some(message) = to_route {
                    self.route(&message);
                }
                0
            }
        };
        self.send(link, client.protocol, Packet::Ack(Ack { kind: AckKind::Pubcomp, id, reason }));
    }

    fn acknowledge(&mut self, link: Link, client: &Client, ack: Ack) {
        if client.is_cut_off && ack.kind == AckKind::Pubrec && self.rules.forgets_cut_off_pubrec() {
            return self.with_session(link, client, |session, _| {
                session.forget(ack.id);
                Vec::new()
            });
        }
        let delay = self.rules.refill_delay();
        let now = self.now;
        let (mut paused, mut refused_delivery) = (false, None);
        self.with_session(link, client, |session, rules| {
            let Acknowledged { packet, refused } = session.acknowledge(rules, ack, now);
            refused_delivery = refused;
            let mut packets: Vec<Packet> = packet.into_iter().collect();
            if !delay.is_zero() && session.has_backlog() && !session.held {
                session.held = true;
                paused = true;
            }
            packets.extend(session.flush(rules, now));
            packets
        });
        if paused {
            self.effects.push(Effect::WakeAfter(delay, link, Wake::Queue));
        }
        if let Some(delivery) = refused_delivery {
            self.redirect_refused(&client.id, delivery);
        }
    }
}
