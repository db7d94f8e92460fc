//! Takes the events of a history into its story, one after the other.

use super::{Connection, Delivery, Publication, Story, Subscribing, Timed, Unsubscribing};
use crate::history::{Client, Event, Message, WITNESS};
use crate::packet::{Ack, AckKind, Packet, Publish};

impl Story {
    pub fn note(&mut self, at: usize, event: &Event) {
        let step = self.steps;
        match event {
            Event::Step(_) => self.steps += 1,
            Event::Attempt(_) => {}
            Event::Stopped => self.stopped = true,
            Event::Sent(client, packet) => self.sent(at, client, packet),
            Event::Received(client, Packet::Publish(publish)) if client.as_ref() == WITNESS => {
                self.witnessed(at, publish);
            }
            Event::Received(client, packet) => self.received(at, client, packet),
            Event::Ended(client, end) => self.change(client, |connection| {
                connection.ended = Some((at, *end));
                connection.ended_in = connection.ended_in.min(step);
            }),
            Event::Closed(client, _) => self.change(client, |connection| {
                connection.closed_at = Some(at);
                connection.ended_in = connection.ended_in.min(step);
            }),
            Event::Undecodable(client, ..) => self.change(client, |c| c.undecodable = Some(at)),
            Event::Missing(client, what) => self.change(client, |c| c.missing.push((at, *what))),
            Event::Settled(client) => self.change(client, |c| c.settled_at.push(at)),
            Event::Timed { client, timer, seconds, passed } => {
                let timed = Timed { at, step, timer: *timer, seconds: *seconds, passed: *passed };
                self.change(client, |connection| connection.timers.push(timed));
            }
            // What no client did, or only half, stands in the history alone.
            Event::Half(..) | Event::Late(_) | Event::Unreachable(_) | Event::Withheld(..) | Event::Broken(_) => {}
        }
    }

    fn change(&mut self, client: &Client, change: impl FnOnce(&mut Connection)) {
        if let Some(connection) = self.connections.iter_mut().rfind(|connection| connection.client == *client) {
            change(connection);
        }
    }

    fn sent(&mut self, at: usize, client: &Client, packet: &Packet) {
        let step = self.steps;
        match packet {
            Packet::Connect(connect) => {
                let opened = Connection::opened(at, step, client, connect);
                // The end that this brings may stand before it, since it is another client's.
                let open = |other: &&mut Connection| {
                    let left = other.left_at.is_some() || other.closed_at.is_some();
                    other.id == opened.id && other.ended_in >= step && !left && other.taken_over_at.is_none()
                };
                for other in self.connections.iter_mut().filter(open).filter(|other| other.client != *client) {
                    other.taken_over_at = Some(at);
                    other.ended_in = step;
                }
                self.connections.push(opened);
            }
            Packet::Publish(publish) => self.published(at, client, publish),
            Packet::Subscribe(subscribe) => self.change(client, |connection| {
                let filters = subscribe.filters.iter().enumerate().map(|(place, filter)| Subscribing {
                    at,
                    step,
                    filter: filter.clone(),
                    subscription_id: subscribe.subscription_id,
                    id: subscribe.id,
                    place: (subscribe.filters.len(), place),
                    suback: None,
                });
                connection.subscribes.extend(filters);
            }),
            Packet::Unsubscribe(unsubscribe) => self.change(client, |connection| {
                let filters = unsubscribe.filters.iter();
                connection.unsubscribes.extend(filters.map(|filter| Unsubscribing {
                    at,
                    step,
                    filter: filter.clone(),
                }));
            }),
            Packet::Ack(ack) => {
                self.released_again(at, client, *ack);
                self.change(client, |connection| answered(connection, at, *ack));
            }
            Packet::Pingreq => self.change(client, |connection| connection.pings_due += 1),
            Packet::Disconnect { reason, session_expiry } => self.change(client, |connection| {
                connection.left_at = Some((at, *reason));
                connection.expiry_at_end = *session_expiry;
                connection.ended_in = step;
            }),
            _ => {}
        }
    }

    fn published(&mut self, at: usize, client: &Client, publish: &Publish) {
        let clearings = self.publications.iter().filter(|p| matches!(p.message, Message::Clear(_))).count();
        let message = match Message::of(&publish.payload) {
            Some(message) => message,
            None if publish.payload.is_empty() => Message::Clear(clearings as u32 + 1),
            None => return,
        };
        if publish.dup {
            let same = |publication: &&mut Publication| publication.message == message;
            if let Some(publication) = self.publications.iter_mut().find(same) {
                publication.resent.push(at);
                return;
            }
        }
        let publisher_id = self.connections.iter().rfind(|connection| connection.client == *client);
        let reuses = |earlier: &Publication| {
            earlier.publisher == *client && earlier.id == publish.id && earlier.qos > 0 && earlier.accepted.is_some()
        };
        self.publications.push(Publication {
            message,
            publisher: client.clone(),
            publisher_id: publisher_id.map(|connection| connection.id.clone()).unwrap_or_default(),
            topic: publish.topic.clone(),
            qos: publish.qos,
            retain: publish.retain,
            properties: publish.properties.clone(),
            bytes: Message::bytes_filled(&publish.payload),
            at,
            step: self.steps,
            accepted: None,
            refused: None,
            misanswered: None,
            resent: Vec::new(),
            released_again: Vec::new(),
            witnessed_in: None,
            id: publish.id,
            reuses_id: publish.qos > 0 && self.publications.iter().any(reuses),
        });
    }

    /// A PUBREL on another connection than its PUBLISH is sent again, or for the first time after the end of that.
    fn released_again(&mut self, at: usize, client: &Client, ack: Ack) {
        let Some(connection) = self.connections.iter().rfind(|connection| connection.client == *client) else { return };
        let (id, since) = (connection.id.clone(), connection.opened_at);
        let of_ack = |publication: &&mut Publication| {
            publication.publisher_id == id && publication.id == ack.id && publication.qos == 2
        };
        if ack.kind == AckKind::Pubrel
            && let Some(publication) = self.publications.iter_mut().rev().find(of_ack)
            && publication.accepted.is_none()
            && publication.at < since
            && publication.resent.iter().all(|resent| *resent < since)
        {
            publication.released_again.push(at);
        }
    }

    fn received(&mut self, at: usize, client: &Client, packet: &Packet) {
        let step = self.steps;
        let Some(connection) = self.connections.iter_mut().rfind(|connection| connection.client == *client) else {
            return;
        };
        if connection.connack.is_none() && !matches!(packet, Packet::Connack(_)) {
            connection.before_connack.push((at, packet.name()));
        }
        if connection.dismissed.is_some() {
            connection.after_dismissal.push((at, packet.name()));
        }
        match packet {
            Packet::Connack(connack) => {
                if let Some(id) = &connack.assigned_client_id {
                    connection.id.clone_from(id);
                }
                connection.connack = Some((at, connack.clone()));
            }
            Packet::Publish(publish) => {
                let topic = connection.topic_of(publish);
                connection.deliveries.push(Delivery {
                    at,
                    step,
                    topic,
                    message: Message::of(&publish.payload),
                    complete: publish.qos == 0,
                    publish: publish.clone(),
                    acked_at: None,
                    refused_at: None,
                    released_at: None,
                });
            }
            Packet::Suback(suback) => connection.granted(at, suback),
            Packet::Unsuback(_) => connection.signs_of_life.push(at),
            // One that nobody asked for shows nothing.
            Packet::Pingresp if connection.pings_due == 0 => {}
            Packet::Pingresp => {
                connection.pings_due -= 1;
                connection.signs_of_life.push(at);
                let since = connection.opened_at;
                self.accept(client, at, |publication| publication.qos == 0 && publication.at > since);
            }
            Packet::Disconnect { reason, session_expiry } => {
                connection.dismissed = Some((at, *reason, *session_expiry));
            }
            Packet::Ack(ack) if ack.kind == AckKind::Pubrel => connection.released(at, ack.id),
            Packet::Ack(ack) => {
                let (since, id) = (connection.opened_at, connection.id.clone());
                if !self.acknowledged(at, &id, since, *ack) {
                    self.change(client, |connection| connection.stray_acks.push(at));
                }
            }
            _ => {}
        }
    }

    /// The broker answered a publication that was made, or made again, since the connection was opened. Whether there is
    /// one that it can answer.
    fn acknowledged(&mut self, at: usize, publisher_id: &str, since: usize, ack: Ack) -> bool {
        let open = |publication: &&mut Publication| {
            publication.publisher_id == publisher_id
                && publication.accepted.is_none()
                && publication.refused.is_none()
                && publication.id == ack.id
                && publication.qos > 0
                && (publication.at > since
                    || publication.resent.iter().chain(&publication.released_again).any(|at| *at > since))
        };
        let Some(publication) = self.publications.iter_mut().find(open) else { return false };
        match ack.kind {
            AckKind::Puback | AckKind::Pubrec if ack.reason >= 0x80 => publication.refused = Some((at, ack.reason)),
            AckKind::Puback => {
                publication.accepted = Some(at);
                publication.misanswered = (publication.qos == 2).then_some(at);
            }
            AckKind::Pubcomp if publication.qos == 2 => publication.accepted = Some(at),
            AckKind::Pubcomp | AckKind::Pubrec | AckKind::Pubrel => {}
        }
        true
    }

    fn accept(&mut self, publisher: &Client, at: usize, of_this: impl Fn(&Publication) -> bool) {
        let open =
            |publication: &&mut Publication| publication.publisher == *publisher && publication.accepted.is_none();
        self.publications
            .iter_mut()
            .filter(open)
            .filter(|publication| of_this(publication))
            .for_each(|publication| publication.accepted = Some(at));
    }

    fn witnessed(&mut self, at: usize, publish: &Publish) {
        let step = self.steps;
        self.witnessed.push((at, step, publish.clone()));
        let message = Message::of(&publish.payload);
        if let Some(publication) = self.publications.iter_mut().find(|publication| Some(publication.message) == message)
        {
            publication.witnessed_in.get_or_insert(step);
        }
    }
}

/// The client answered a PUBLISH or a PUBREL of the broker's.
fn answered(connection: &mut Connection, at: usize, ack: Ack) {
    let same = |delivery: &&mut Delivery| delivery.publish.id == ack.id && delivery.publish.qos > 0;
    let Some(delivery) = connection.deliveries.iter_mut().rev().find(same) else { return };
    match ack.kind {
        AckKind::Pubcomp => delivery.complete = true,
        AckKind::Puback | AckKind::Pubrec => {
            delivery.acked_at = Some(at);
            delivery.refused_at = (ack.reason >= 0x80).then_some(at);
            delivery.complete = ack.kind == AckKind::Puback || ack.reason >= 0x80;
        }
        AckKind::Pubrel => {}
    }
}
