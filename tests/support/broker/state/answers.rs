//! What a connected client's packets are answered, and where messages go.

use mqtt_sessions::packet::{
    Ack, AckKind, Filter, Packet, Protocol, Publish, Suback, Subscribe, Unsuback, Unsubscribe,
};

use super::super::choices::{RETAINED_PATIENCE, RetainedCopies};
use super::super::rules::Retaining;
use super::super::session::{Delivery, IDENTIFIER_NOT_FOUND};
use super::super::topics;
use super::{Client, Effect, Link, State, Wake};

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
            Packet::Pingreq => self.send(link, client.protocol, Packet::Pingresp),
            // Section 3.14.4: the client closes the connection, and the server does so where the client has not.
            Packet::Disconnect { .. } if self.rules.choices.wait_for_close => self.detach(link),
            Packet::Disconnect { .. } => self.close(link),
            // A second CONNECT (3.1.0-2), or what only servers send.
            _ => self.close(link),
        }
    }

    /// 3.3.4-1: a PUBLISH is answered as its QoS demands, after its message was taken over.
    fn publish(&mut self, link: Link, client: &Client, publish: Publish) {
        if let Some(reason) = self.rules.refuses(&publish) {
            if client.protocol == Protocol::V5 {
                self.send(link, client.protocol, Packet::Disconnect { reason });
            }
            return self.close(link);
        }
        let (qos, id) = (publish.qos, publish.id);
        let reason = if qos == 2 { self.publish_qos2(client, publish) } else { self.publish_now(client, &publish) };
        let kind = match qos {
            0 => return,
            1 => AckKind::Puback,
            _ => AckKind::Pubrec,
        };
        self.send(link, client.protocol, Packet::Ack(Ack { kind, id, reason }));
    }

    /// Sends the message onward, and says what the publisher is told.
    fn publish_now(&mut self, client: &Client, publish: &Publish) -> u8 {
        let matched = self.route(publish);
        self.rules.accepted(client.protocol, matched)
    }

    /// 4.3.3-2, 4.3.3-10: the identifier is kept until the PUBREL, so that the message goes onward once. It may do so
    /// now (method B of 3.1.1's figure 4.3) or then (method A).
    fn publish_qos2(&mut self, client: &Client, publish: Publish) -> u8 {
        let Some(session) = self.sessions.get_mut(&client.id) else { return 0 };
        if !self.rules.takes_for_new(session.incoming.contains_key(&publish.id)) {
            return 0;
        }
        if self.rules.choices.qos2_onward_at_pubrel {
            session.incoming.insert(publish.id, Some(publish));
            return 0;
        }
        session.incoming.insert(publish.id, None);
        self.publish_now(client, &publish)
    }

    /// 4.3.3-2, 4.3.3-11: PUBREL is answered by PUBCOMP, and the identifier is free (5.0 4.3.3-12).
    fn release(&mut self, link: Link, client: &Client, id: u16) {
        let Some(session) = self.sessions.get_mut(&client.id) else { return };
        let reason = match session.incoming.remove(&id) {
            None if client.protocol == Protocol::V5 => IDENTIFIER_NOT_FOUND,
            Some(Some(publish)) => {
                self.route(&publish);
                0
            }
            _ => 0,
        };
        self.send(link, client.protocol, Packet::Ack(Ack { kind: AckKind::Pubcomp, id, reason }));
    }

    fn acknowledge(&mut self, link: Link, client: &Client, ack: Ack) {
        let delay = self.rules.refill_delay();
        let mut paused = false;
        self.with_session(link, client, |session, rules| {
            let mut packets: Vec<Packet> = session.acknowledge(rules, ack).into_iter().collect();
            if !delay.is_zero() && session.has_backlog() && !session.held {
                session.held = true;
                paused = true;
            }
            packets.extend(session.flush(rules));
            packets
        });
        if paused {
            self.effects.push(Effect::WakeAfter(delay, link, Wake::Queue));
        }
    }

    /// 3.8.4-1, 3.8.4-2 and 3.9.3-1: SUBACK has the identifier of the SUBSCRIBE and a code for each filter, in order.
    fn subscribe(&mut self, link: Link, client: &Client, subscribe: Subscribe) {
        let Subscribe { id, filters } = subscribe;
        let (mut codes, mut copies) = (Vec::new(), Vec::new());
        for Filter { filter, qos } in filters {
            match refused_filter(client.protocol, &filter) {
                Some(code) => codes.push(code),
                None => {
                    let granted = self.rules.granted_qos(qos);
                    codes.push(granted);
                    copies.extend(self.establish(client, &filter, granted));
                }
            }
        }
        let suback = Packet::Suback(Suback { id, codes });
        let delay = match self.rules.choices.retained_copies {
            RetainedCopies::BeforeSuback => {
                self.deliver(link, client, copies);
                return self.send(link, client.protocol, suback);
            }
            RetainedCopies::AfterSuback => {
                self.send(link, client.protocol, suback);
                return self.deliver(link, client, copies);
            }
            RetainedCopies::AfterNextMessage => RETAINED_PATIENCE,
            RetainedCopies::Late(delay) => delay,
        };
        self.send(link, client.protocol, suback);
        self.with_session(link, client, |session, _| {
            session.late.extend(copies);
            Vec::new()
        });
        self.effects.push(Effect::WakeAfter(delay, link, Wake::Retained));
    }

    /// 3.8.4-3: a subscription to the same filter is replaced, without loss. Returns the retained messages it asks for.
    fn establish(&mut self, client: &Client, filter: &str, granted: u8) -> Vec<Delivery> {
        let Some(session) = self.sessions.get_mut(&client.id) else { return Vec::new() };
        let repeated = session.subscriptions.insert(filter.to_owned(), granted).is_some();
        if repeated {
            session.interrupted = self.rules.lost_after_resubscribe();
            if self.rules.discards_at_resubscribe() {
                session.discard_queued(&self.rules, filter);
            }
        }
        if self.rules.sends_retained(repeated) { self.retained(filter, granted) } else { Vec::new() }
    }

    fn deliver(&mut self, link: Link, client: &Client, copies: Vec<Delivery>) {
        self.with_session(link, client, |session, rules| {
            copies.into_iter().for_each(|copy| session.enqueue(rules, copy));
            session.flush(rules)
        });
    }

    /// 3.10.4-1: a filter that is the same character by character is deleted. What is queued MAY still come.
    fn unsubscribe(&mut self, link: Link, client: &Client, unsubscribe: Unsubscribe) {
        let Unsubscribe { id, filters } = unsubscribe;
        let Some(session) = self.sessions.get_mut(&client.id) else { return };
        let delete = |filter: &String| {
            let existed = if self.rules.unsubscribes() {
                session.subscriptions.remove(filter).is_some()
            } else {
                session.subscriptions.contains_key(filter)
            };
            // 5.0, section 3.11.3: success, or no subscription existed.
            if existed { 0x00 } else { 0x11 }
        };
        let codes = filters.iter().map(delete).collect();
        self.send(link, client.protocol, Packet::Unsuback(Unsuback { id, codes }));
    }
}

/// Messages.
impl State {
    /// Gives a message to every session that subscribes to it, and says whether there is one.
    fn route(&mut self, publish: &Publish) -> bool {
        self.end_expired_sessions();
        self.retain(publish);
        let mut matched = false;
        let mut outgoing = Vec::new();
        for session in self.sessions.values_mut() {
            let Some(packets) = session.offer(&self.rules, publish) else { continue };
            matched = true;
            if let Some(link) = session.link {
                outgoing.extend(packets.into_iter().map(|packet| (link, session.protocol, packet)));
            }
        }
        outgoing.into_iter().for_each(|(link, protocol, packet)| self.send(link, protocol, packet));
        matched
    }

    fn retain(&mut self, publish: &Publish) {
        match self.rules.retaining(publish, self.retained.contains_key(&publish.topic)) {
            Retaining::Leave => {}
            Retaining::Remove => drop(self.retained.remove(&publish.topic)),
            Retaining::Store => drop(self.retained.insert(publish.topic.clone(), publish.clone())),
        }
    }

    /// 3.3.1-6, 3.3.1-9: the retained messages that a SUBSCRIBE gets, at the lower of both QoS (3.8.4-6, 3.8.4-8).
    pub(super) fn retained(&self, filter: &str, granted: u8) -> Vec<Delivery> {
        let matching = self.retained.values().filter(|publish| self.rules.matches(filter, &publish.topic));
        let copy = |publish: &Publish| Delivery {
            topic: publish.topic.clone(),
            payload: publish.payload.clone(),
            qos: self.rules.delivered_qos(publish.qos, granted),
            retain: self.rules.retain_of_retained(),
            queued: false,
        };
        matching.map(copy).collect()
    }
}

/// The SUBACK code for a filter that is not accepted (3.1.1 section 3.9.3, 5.0 section 3.9.3).
fn refused_filter(protocol: Protocol, filter: &str) -> Option<u8> {
    let v5 = protocol == Protocol::V5;
    match filter {
        filter if !topics::is_filter(filter) => Some(if v5 { 0x8f } else { 0x80 }),
        // Shared subscriptions are not supported here.
        filter if v5 && filter.starts_with("$share/") => Some(0x9e),
        _ => None,
    }
}
