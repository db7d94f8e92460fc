//! Reads a history into what the rules ask about: connections, publications and deliveries, with the places of the
//! events that show them.

use crate::connection::End;
use crate::history::{Awaited, Client, Event, History, Message, WITNESS};
use crate::packet::{Ack, AckKind, Connack, Connect, Packet, Protocol, Publish, Suback};

/// The facts of one attempt at one cell.
#[derive(Debug, Default)]
pub struct Story {
    /// In order of opening; those of one client follow one another in time.
    pub connections: Vec<Connection>,
    /// In order of publication per publisher.
    pub publications: Vec<Publication>,
    /// The witness's copies, by their places.
    pub witnessed: Vec<(usize, Publish)>,
    /// How many steps were begun.
    pub steps: usize,
    /// Not all steps of the scenario were played.
    pub stopped: bool,
}

/// One Network Connection of one client. Places are 0-based indices into the history.
#[derive(Debug)]
pub struct Connection {
    pub client: Client,
    pub opened_at: usize,
    /// The step in which it was opened, from 1.
    pub opened_in: usize,
    /// The step in which it ended, by whomever; `usize::MAX` while it is open.
    pub ended_in: usize,
    pub connect: Connect,
    pub connack: Option<(usize, Connack)>,
    pub subscribes: Vec<Subscribing>,
    pub unsubscribes: Vec<(usize, String)>,
    pub deliveries: Vec<Delivery>,
    /// What came before the CONNACK.
    pub before_connack: Vec<(usize, &'static str)>,
    /// Where the client sent DISCONNECT.
    pub left_at: Option<usize>,
    pub ended: Option<(usize, End)>,
    /// A DISCONNECT from the broker, with its reason code.
    pub dismissed: Option<(usize, u8)>,
    pub undecodable: Option<usize>,
    pub missing: Vec<(usize, Awaited)>,
    /// Where a settle window passed.
    pub settled_at: Option<usize>,
    /// Places of the answers that show that the broker read what was sent before: PINGRESP, SUBACK, UNSUBACK.
    pub signs_of_life: Vec<usize>,
    /// SUBACKs with the identifier of no SUBSCRIBE.
    pub stray_subacks: Vec<usize>,
}

/// One filter of a SUBSCRIBE.
#[derive(Debug)]
pub struct Subscribing {
    pub at: usize,
    pub step: usize,
    pub topic: String,
    pub id: u16,
    /// The place and the code of its SUBACK.
    pub suback: Option<(usize, u8)>,
}

/// A PUBLISH that a client received.
#[derive(Debug)]
pub struct Delivery {
    pub at: usize,
    pub publish: Publish,
    /// `None` is a payload that is not ours.
    pub message: Option<Message>,
    /// Its PUBACK or PUBCOMP was sent.
    pub complete: bool,
    /// Where our acknowledgement was sent: PUBACK or PUBREC.
    pub acked_at: Option<usize>,
    /// Where PUBREL came, which shows that the broker read our PUBREC.
    pub released_at: Option<usize>,
}

/// A message of ours that a client published.
#[derive(Debug)]
pub struct Publication {
    pub message: Message,
    pub publisher: Client,
    pub topic: String,
    pub qos: u8,
    pub retain: bool,
    pub at: usize,
    pub step: usize,
    /// The place of the PUBACK or PUBCOMP, or at QoS 0 of a PINGRESP later on the same connection.
    pub accepted: Option<usize>,
    /// The place and the code of a PUBACK or PUBREC that refused it.
    pub refused: Option<(usize, u8)>,
    /// The place of a PUBACK where PUBREC was due: the broker took the message, by another protocol than its QoS demands.
    pub misanswered: Option<usize>,
    /// The step in which the witness had its copy.
    pub witnessed_in: Option<usize>,
    pub id: u16,
}

impl Story {
    pub fn read(history: &History) -> Story {
        let mut story = Story::default();
        for (at, event) in history.events.iter().enumerate() {
            match event {
                Event::Step(_) => story.steps += 1,
                Event::Attempt(_) => {}
                Event::Stopped => story.stopped = true,
                Event::Sent(client, packet) => story.sent(at, client, packet),
                Event::Received(client, Packet::Publish(publish)) if client.as_ref() == WITNESS => {
                    story.witnessed(at, publish);
                }
                Event::Received(client, packet) => story.received(at, client, packet),
                Event::Ended(client, end) => {
                    let step = story.steps;
                    story.change(client, |connection| {
                        connection.ended = Some((at, *end));
                        connection.ended_in = step;
                    });
                }
                Event::Closed(client) => {
                    let step = story.steps;
                    story.change(client, |connection| connection.ended_in = step);
                }
                Event::Undecodable(client, _) => story.change(client, |c| c.undecodable = Some(at)),
                Event::Missing(client, what) => story.change(client, |c| c.missing.push((at, what.clone()))),
                Event::Settled(client) => story.change(client, |c| c.settled_at = Some(at)),
                // What no client did stands in the history alone.
                Event::Unreachable(_) | Event::Withheld(..) | Event::Broken(_) => {}
            }
        }
        story
    }

    /// The connections of one client, oldest first.
    pub fn connections_of(&self, client: &str) -> impl Iterator<Item = &Connection> {
        self.connections.iter().filter(move |connection| connection.client.as_ref() == client)
    }

    /// The publication that a delivered message comes from.
    pub fn publication(&self, message: Message) -> Option<&Publication> {
        self.publications.iter().find(|publication| publication.message == message)
    }

    /// The client whose fate the experiment is about: the first to subscribe.
    pub fn subject(&self) -> Option<&Client> {
        let subscribed = self.connections.iter().find(|connection| !connection.subscribes.is_empty());
        subscribed.or(self.connections.first()).map(|connection| &connection.client)
    }

    fn change(&mut self, client: &Client, change: impl FnOnce(&mut Connection)) {
        if let Some(connection) = self.connections.iter_mut().rfind(|connection| connection.client == *client) {
            change(connection);
        }
    }

    fn sent(&mut self, at: usize, client: &Client, packet: &Packet) {
        let step = self.steps;
        match packet {
            Packet::Connect(connect) => self.connections.push(Connection::opened(at, step, client, connect)),
            Packet::Publish(publish) => {
                if let Some(message) = Message::of(&publish.payload) {
                    self.publications.push(Publication {
                        message,
                        publisher: client.clone(),
                        topic: publish.topic.clone(),
                        qos: publish.qos,
                        retain: publish.retain,
                        at,
                        step,
                        accepted: None,
                        refused: None,
                        misanswered: None,
                        witnessed_in: None,
                        id: publish.id,
                    });
                }
            }
            Packet::Subscribe(subscribe) => self.change(client, |connection| {
                let filters = subscribe.filters.iter().map(|filter| Subscribing {
                    at,
                    step,
                    topic: filter.filter.clone(),
                    id: subscribe.id,
                    suback: None,
                });
                connection.subscribes.extend(filters);
            }),
            Packet::Unsubscribe(unsubscribe) => self.change(client, |connection| {
                connection.unsubscribes.extend(unsubscribe.filters.iter().map(|filter| (step, filter.clone())));
            }),
            Packet::Ack(ack) => self.change(client, |connection| {
                let same = |delivery: &&mut Delivery| delivery.publish.id == ack.id && delivery.publish.qos > 0;
                if let Some(delivery) = connection.deliveries.iter_mut().rev().find(same) {
                    match ack.kind {
                        AckKind::Pubcomp => delivery.complete = true,
                        AckKind::Puback => {
                            delivery.acked_at = Some(at);
                            delivery.complete = true;
                        }
                        AckKind::Pubrec => delivery.acked_at = Some(at),
                        AckKind::Pubrel => {}
                    }
                }
            }),
            Packet::Disconnect { .. } => self.change(client, |connection| {
                connection.left_at = Some(at);
                connection.ended_in = step;
            }),
            _ => {}
        }
    }

    fn received(&mut self, at: usize, client: &Client, packet: &Packet) {
        let Some(connection) = self.connections.iter_mut().rfind(|connection| connection.client == *client) else {
            return;
        };
        if connection.connack.is_none() && !matches!(packet, Packet::Connack(_)) {
            connection.before_connack.push((at, packet.name()));
        }
        match packet {
            Packet::Connack(connack) => connection.connack = Some((at, connack.clone())),
            Packet::Publish(publish) => connection.deliveries.push(Delivery {
                at,
                message: Message::of(&publish.payload),
                complete: publish.qos == 0,
                publish: publish.clone(),
                acked_at: None,
                released_at: None,
            }),
            Packet::Suback(suback) => connection.granted(at, suback),
            Packet::Unsuback(_) => connection.signs_of_life.push(at),
            Packet::Pingresp => {
                connection.signs_of_life.push(at);
                let since = connection.opened_at;
                self.accept(client, at, |publication| publication.qos == 0 && publication.at > since);
            }
            Packet::Disconnect { reason } => connection.dismissed = Some((at, *reason)),
            Packet::Ack(ack) if ack.kind == AckKind::Pubrel => connection.released(at, ack.id),
            Packet::Ack(ack) => {
                let since = connection.opened_at;
                self.acknowledged(at, client, since, *ack);
            }
            _ => {}
        }
    }

    /// The broker answered a publication that was made since the connection was opened.
    fn acknowledged(&mut self, at: usize, publisher: &Client, since: usize, ack: Ack) {
        let open = |publication: &&mut Publication| {
            publication.publisher == *publisher
                && publication.accepted.is_none()
                && publication.id == ack.id
                && publication.qos > 0
                && publication.at > since
        };
        let Some(publication) = self.publications.iter_mut().find(open) else { return };
        match ack.kind {
            AckKind::Puback | AckKind::Pubrec if ack.reason >= 0x80 => publication.refused = Some((at, ack.reason)),
            AckKind::Puback => {
                publication.accepted = Some(at);
                publication.misanswered = (publication.qos == 2).then_some(at);
            }
            AckKind::Pubcomp if publication.qos == 2 => publication.accepted = Some(at),
            AckKind::Pubcomp | AckKind::Pubrec | AckKind::Pubrel => {}
        }
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
        self.witnessed.push((at, publish.clone()));
        let message = Message::of(&publish.payload);
        let step = self.steps;
        if let Some(publication) = self.publications.iter_mut().find(|publication| Some(publication.message) == message)
        {
            publication.witnessed_in.get_or_insert(step);
        }
    }
}

impl Publication {
    /// Both come from the same publisher on the same topic at the same QoS.
    pub fn is_of_same_source(&self, other: &Publication) -> bool {
        (&self.publisher, &self.topic, self.qos) == (&other.publisher, &other.topic, other.qos)
    }
}

impl Connection {
    fn opened(at: usize, step: usize, client: &Client, connect: &Connect) -> Connection {
        Connection {
            client: client.clone(),
            opened_at: at,
            opened_in: step,
            ended_in: usize::MAX,
            connect: connect.clone(),
            connack: None,
            subscribes: Vec::new(),
            unsubscribes: Vec::new(),
            deliveries: Vec::new(),
            before_connack: Vec::new(),
            left_at: None,
            ended: None,
            dismissed: None,
            undecodable: None,
            missing: Vec::new(),
            settled_at: None,
            signs_of_life: Vec::new(),
            stray_subacks: Vec::new(),
        }
    }

    fn granted(&mut self, at: usize, suback: &Suback) {
        self.signs_of_life.push(at);
        let asked = |subscribing: &&mut Subscribing| subscribing.id == suback.id && subscribing.suback.is_none();
        let answered: Vec<&mut Subscribing> = self.subscribes.iter_mut().filter(asked).collect();
        if answered.is_empty() {
            self.stray_subacks.push(at);
        }
        for (subscribing, code) in answered.into_iter().zip(&suback.codes) {
            subscribing.suback = Some((at, *code));
        }
    }

    /// PUBREL came for the newest message with this identifier.
    fn released(&mut self, at: usize, id: u16) {
        let same = |delivery: &&mut Delivery| delivery.publish.id == id && delivery.publish.qos == 2;
        if let Some(delivery) = self.deliveries.iter_mut().rev().find(same) {
            delivery.released_at = Some(at);
        }
    }

    pub fn protocol(&self) -> Protocol {
        self.connect.protocol
    }

    /// The broker accepted the CONNECT.
    pub fn is_accepted(&self) -> bool {
        self.connack.as_ref().is_some_and(|(_, connack)| connack.code == 0)
    }

    /// The session outlives this connection, by what the broker granted (3.1.1 MQTT-3.1.2-4; 5.0 MQTT-3.1.2-23 with
    /// section 3.2.2.3.2).
    pub fn session_persists(&self) -> bool {
        match self.protocol() {
            Protocol::V3 => !self.connect.clean,
            Protocol::V5 => {
                let granted = self.connack.as_ref().and_then(|(_, connack)| connack.session_expiry);
                granted.or(self.connect.session_expiry).unwrap_or(0) > 0
            }
        }
    }

    /// The broker ended the connection although the client had not sent DISCONNECT.
    pub fn was_cut(&self) -> bool {
        self.ended.is_some() && self.left_at.is_none()
    }

    /// The broker has shown that it read what the client sent at `place`.
    pub fn has_read(&self, place: usize) -> bool {
        self.signs_of_life.iter().any(|sign| *sign > place)
            || self.left_at.is_some_and(|left| left > place) && self.ended.is_some()
    }
}
