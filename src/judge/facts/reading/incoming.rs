//! The reader takes in what the broker sent, to clients and to the witness.

use super::Reader;
use crate::history::{Awaited, Client, Message};
use crate::judge::facts::{Connection, Delivery, Flow, Place, Subscribing, Unsubscribing};
use crate::packet::{Ack, AckKind, Packet, Protocol, Publish, Suback};
use crate::session_rules::is_failure;

impl Reader {
    pub(super) fn received(&mut self, place: Place, client: &Client, packet: &Packet) {
        let Some(index) = self.index(client) else { return };
        let connection = &mut self.facts.connections[index];
        // AUTH may come before CONNACK (5.0 MQTT-3.2.0-1).
        if connection.connack.is_none() && !matches!(packet, Packet::Connack(_) | Packet::Auth { .. }) {
            connection.before_connack.push((place.at, packet.name()));
        }
        if connection.dismissed.is_some() {
            connection.after_dismissal.push((place.at, packet.name()));
        }
        let is_answer = self.sign(place, index, packet);
        let connection = &mut self.facts.connections[index];
        if let Packet::Ack(Ack { kind: AckKind::Pubcomp, id, .. }) = packet
            && !self.released.contains(&(connection.id.clone(), *id))
        {
            connection.early_pubcomps.push(place.at);
        }
        match packet {
            Packet::Connack(_) if connection.connack.is_some() => connection.more_connacks.push(place.at),
            Packet::Connack(connack) => {
                if let Some(id) = &connack.assigned_client_id {
                    connection.id = id.as_str().into();
                }
                connection.connack = Some((place.at, connack.clone()));
                if connack.code != 0 {
                    let (opened, id) = (connection.opened, connection.id.clone());
                    self.spared(opened, &id);
                }
            }
            Packet::Publish(publish) => self.delivered(place, index, publish),
            Packet::Suback(suback) => granted(connection, place, suback),
            Packet::Unsuback(unsuback) => {
                let protocol = connection.protocol();
                let own = |u: &&mut Unsubscribing| u.id == unsuback.id && u.unsuback.is_none() && !u.is_refused;
                for unsubscribing in connection.unsubscribes.iter_mut().filter(own) {
                    let code = unsuback.codes.get(unsubscribing.number);
                    unsubscribing.is_refused = code.is_some_and(|code| is_failure(*code));
                    unsubscribing.unsuback = Some(place).filter(|_| !unsubscribing.is_refused);
                    let lacks = protocol == Protocol::V5 && code.is_none();
                    unsubscribing.without_code = lacks.then_some(place.at);
                }
            }
            Packet::Auth { .. } => connection.auths.push(place.at),
            Packet::Disconnect { reason, session_expiry } => {
                connection.dismissed = Some((place.at, *reason, *session_expiry));
            }
            Packet::Ack(ack) if ack.kind == AckKind::Pubrel => {
                connection.flows.push(Flow::Pubrel { at: place.at, id: ack.id });
                if let Some((owner, delivery)) = self.inbound.get(&(connection.id.clone(), ack.id)) {
                    let delivery = &mut self.facts.connections[*owner].deliveries[*delivery];
                    delivery.released.get_or_insert(place.at);
                }
            }
            Packet::Ack(ack) if !self.acknowledged(place, index, *ack) && !is_answer => {
                self.facts.connections[index].stray_acks.push(place.at);
            }
            _ => {}
        }
    }

    /// Notes what an answer shows the broker to have read, and tells whether somebody asked for it. A PUBACK in the place of a
    /// PUBREC is an answer too.
    fn sign(&mut self, place: Place, index: usize, packet: &Packet) -> bool {
        let Some(answer) = Awaited::of(packet) else { return false };
        let Some(asked) = self.asked.get_mut(&index) else { return false };
        let wrong = match answer {
            Awaited::Ack(AckKind::Puback, id) => Some(Awaited::Ack(AckKind::Pubrec, id)),
            _ => None,
        };
        let found = asked.iter().position(|(awaited, _)| *awaited == answer || Some(*awaited) == wrong);
        let Some((_, asked_at)) = found.map(|found| asked.remove(found)) else { return false };
        let question = asked_at.at;
        let connection = &mut self.facts.connections[index];
        connection.answered_last = connection.answered_last.max(Some(asked_at));
        let read = connection.signs.last().map_or(question, |(_, read)| (*read).max(question));
        connection.signs.push((place.at, read));
        let unproven = self.unproven.entry(index).or_default();
        let publications = &mut self.facts.publications;
        unproven.retain(|number| {
            let is_proven = publications[*number].at() < read;
            if is_proven {
                publications[*number].accepted.get_or_insert(place);
            }
            !is_proven
        });
        true
    }

    fn delivered(&mut self, place: Place, index: usize, publish: &Publish) {
        let connection = &mut self.facts.connections[index];
        let number = connection.deliveries.len();
        let topic = connection.aliases_of_broker.topic_of(publish);
        let topic = self.topic(&topic);
        let connection = &mut self.facts.connections[index];
        connection.deliveries.push(Delivery {
            place,
            topic,
            message: Message::of(&publish.payload),
            publish: publish.clone(),
            acked: None,
            refused: false,
            released: None,
            completed: None,
        });
        if publish.qos > 0 {
            connection.flows.push(Flow::Publish(number));
            self.inbound.insert((connection.id.clone(), publish.id), (index, number));
        }
    }

    /// The broker answered a publication that was made, or made again, on this connection. Tells whether there is one that it
    /// can answer.
    fn acknowledged(&mut self, place: Place, index: usize, ack: Ack) -> bool {
        let connection = &self.facts.connections[index];
        let since = connection.opened.at;
        let Some(number) = self.outbound.get(&(connection.id.clone(), ack.id)) else { return false };
        let publication = &mut self.facts.publications[*number];
        let sent = publication.sendings.iter().map(|sending| sending.place.at);
        let is_here = sent.chain(publication.released_again.iter().copied()).any(|at| at > since);
        if !is_here || publication.accepted.is_some() || publication.refused.is_some() {
            return false;
        }
        match ack.kind {
            AckKind::Puback | AckKind::Pubrec if ack.reason >= 0x80 => publication.refused = Some((place, ack.reason)),
            AckKind::Puback => {
                publication.accepted = Some(place);
                publication.misanswered = (publication.qos == 2).then_some(place.at);
            }
            AckKind::Pubcomp if publication.qos == 2 => publication.accepted = Some(place),
            AckKind::Pubrec => drop(publication.received_at.get_or_insert(place.at)),
            AckKind::Pubcomp | AckKind::Pubrel => {}
        }
        true
    }

    /// The CONNECT at this place was refused: it has taken no connection over.
    fn spared(&mut self, opened: Place, id: &str) {
        let has_been = |other: &&mut Connection| *other.id == *id && other.taken_over == Some(opened);
        for other in self.facts.connections.iter_mut().filter(has_been) {
            other.is_spared = true;
            if other.end == Some(opened) {
                other.end = other.ended.map(|(place, _)| place).or(other.closed);
            }
        }
    }

    pub(super) fn witnessed(&mut self, place: Place, publish: &Publish) {
        self.facts.witnessed.push((place, publish.clone()));
        let Some(message) = Message::of(&publish.payload) else { return };
        let published = self.facts.of_message(message).find(|n| *self.facts.publications[*n].topic == *publish.topic);
        if let Some(number) = published {
            self.facts.publications[number].witnessed.get_or_insert(place);
        }
    }
}

/// A SUBACK answers the SUBSCRIBE with its Packet Identifier.
fn granted(connection: &mut Connection, place: Place, suback: &Suback) {
    let asked = |subscribing: &&mut Subscribing| subscribing.id == suback.id && subscribing.suback.is_none();
    let answered: Vec<&mut Subscribing> = connection.subscribes.iter_mut().filter(asked).collect();
    if answered.is_empty() {
        connection.stray_subacks.push(place.at);
    }
    for (subscribing, code) in answered.into_iter().zip(&suback.codes) {
        subscribing.suback = Some((place, *code));
        subscribing.codes = suback.codes.len();
    }
}
