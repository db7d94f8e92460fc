//! What a history says, as far as the alterations need it. It shares no code with the judge.

use std::collections::HashMap;

use mqtt_sessions::history::{Event, History, Message, WITNESS};
use mqtt_sessions::packet::{Ack, AckKind, Connect, Filter, Packet, Protocol, Publish};

/// The history of one attempt.
pub struct Reading {
    pub history: History,
    pub connections: Vec<Connection>,
    pub subscribes: Vec<Subscribing>,
    /// What clients published, each message once.
    pub publications: Vec<Publication>,
    /// What clients received.
    pub copies: Vec<Received>,
    /// In which step the witness had its first copy of a message: from then on it was routed.
    pub witnessed: HashMap<Message, usize>,
}

/// A Network Connection of a client.
#[derive(Debug, Clone)]
pub struct Connection {
    pub client: String,
    /// The client identifier: clients that share it share the session.
    pub session: String,
    pub connect: Connect,
    /// Indices of entries.
    pub connect_at: usize,
    pub connack_at: Option<usize>,
    pub session_present: bool,
    /// The interval that the broker set in the place of the client's.
    pub granted_expiry: Option<u32>,
    pub end_at: usize,
    /// It ended by a DISCONNECT that changes nothing, and the broker ended the stream.
    pub left: bool,
    pub step: usize,
    pub end_step: usize,
}

/// A SUBSCRIBE or an UNSUBSCRIBE.
#[derive(Debug, Clone)]
pub struct Subscribing {
    pub at: usize,
    pub session: String,
    pub connection: usize,
    pub step: usize,
    /// Empty for an UNSUBSCRIBE.
    pub filters: Vec<Filter>,
    /// Empty for a SUBSCRIBE.
    pub ended: Vec<String>,
    pub identifier: Option<u32>,
    pub codes: Vec<u8>,
    pub answered_at: Option<usize>,
}

/// A message that a client published.
#[derive(Debug, Clone)]
pub struct Publication {
    pub at: usize,
    pub session: String,
    pub step: usize,
    pub publish: Publish,
    pub message: Message,
    /// How often it was sent, also in half.
    pub sendings: usize,
    /// All of it was sent at least once.
    pub whole: bool,
    /// The step in which the broker's last answer came, without an error; at QoS 0 that of the sending.
    pub accepted_step: Option<usize>,
    pub released_at: Option<usize>,
}

/// A PUBLISH that a client received.
#[derive(Debug, Clone)]
pub struct Received {
    pub at: usize,
    pub connection: usize,
    pub session: String,
    pub publish: Publish,
    pub message: Option<Message>,
    /// The acknowledgements of this copy on its connection.
    pub acks: Vec<usize>,
    /// The last acknowledgement was sent, or none is due.
    pub complete: bool,
}

/// The topics of the harness's own subscriptions.
const FENCE: &str = "fence";

impl Reading {
    pub fn of(history: History) -> Reading {
        let mut reading = Reading {
            history: History::default(),
            connections: Vec::new(),
            subscribes: Vec::new(),
            publications: Vec::new(),
            copies: Vec::new(),
            witnessed: HashMap::new(),
        };
        let mut step = 0;
        for (at, event) in history.events().enumerate() {
            match event {
                Event::Step(_) => step += 1,
                Event::Sent(client, packet) => reading.sent(at, step, client, packet),
                Event::Half(client, packet) => reading.half(at, step, client, packet),
                Event::Received(client, Packet::Publish(publish)) if **client == *WITNESS => {
                    if let Some(message) = Message::of(&publish.payload) {
                        reading.witnessed.entry(message).or_insert(step);
                    }
                }
                Event::Received(client, packet) => reading.received(at, step, client, packet),
                Event::Ended(client, _) | Event::Closed(client, _) => {
                    let is_end = matches!(event, Event::Ended(..));
                    if let Some(connection) = reading.connection_of(client) {
                        let connection = &mut reading.connections[connection];
                        if connection.end_at == usize::MAX {
                            (connection.end_at, connection.end_step) = (at, step);
                            connection.left &= is_end;
                        }
                    }
                }
                _ => {}
            }
        }
        for connection in &mut reading.connections {
            if connection.end_at == usize::MAX {
                connection.left = false;
            }
        }
        reading.history = history;
        reading
    }

    /// The latest connection of a client.
    fn connection_of(&self, client: &str) -> Option<usize> {
        self.connections.iter().rposition(|connection| connection.client == client)
    }

    fn sent(&mut self, at: usize, step: usize, client: &str, packet: &Packet) {
        if let Packet::Connect(connect) = packet {
            self.connections.push(Connection {
                client: client.into(),
                session: connect.client_id.clone(),
                connect: connect.clone(),
                connect_at: at,
                connack_at: None,
                session_present: false,
                granted_expiry: None,
                end_at: usize::MAX,
                left: false,
                step,
                end_step: usize::MAX,
            });
            return;
        }
        let Some(connection) = self.connection_of(client) else { return };
        let session = self.connections[connection].session.clone();
        match packet {
            Packet::Publish(publish) => self.published(at, step, session, publish),
            Packet::Subscribe(subscribe) => self.subscribes.push(Subscribing {
                at,
                session,
                connection,
                step,
                filters: subscribe.filters.clone(),
                ended: Vec::new(),
                identifier: subscribe.subscription_id,
                codes: Vec::new(),
                answered_at: None,
            }),
            Packet::Unsubscribe(unsubscribe) => self.subscribes.push(Subscribing {
                at,
                session,
                connection,
                step,
                filters: Vec::new(),
                ended: unsubscribe.filters.clone(),
                identifier: None,
                codes: Vec::new(),
                answered_at: None,
            }),
            Packet::Ack(Ack { kind: AckKind::Pubrel, id, .. }) => {
                if let Some(publication) = self.publication_with(&session, *id) {
                    publication.released_at.get_or_insert(at);
                }
            }
            Packet::Ack(ack) => self.acknowledged(at, connection, ack),
            Packet::Disconnect { reason: 0, session_expiry: None } => self.connections[connection].left = true,
            _ => {}
        }
    }

    fn half(&mut self, at: usize, step: usize, client: &str, packet: &Packet) {
        let Some(connection) = self.connection_of(client) else { return };
        let session = self.connections[connection].session.clone();
        match packet {
            Packet::Publish(publish) => {
                self.published(at, step, session, publish);
                let last = self.publications.last_mut().filter(|publication| publication.at == at);
                last.into_iter().for_each(|publication| publication.whole = false);
            }
            Packet::Ack(ack) => self.acknowledged(at, connection, ack),
            _ => {}
        }
    }

    fn published(&mut self, at: usize, step: usize, session: String, publish: &Publish) {
        let Some(message) = self.message_of(&session, publish) else { return };
        if let Some(known) = self.publications.iter_mut().find(|known| known.message == message) {
            known.sendings += 1;
            known.whole = true;
            known.accepted_step = None;
            return;
        }
        let accepted_step = (publish.qos == 0).then_some(step);
        let publish = publish.clone();
        self.publications.push(Publication {
            at,
            session,
            step,
            publish,
            message,
            sendings: 1,
            whole: true,
            accepted_step,
            released_at: None,
        });
    }

    /// The message in a PUBLISH of a client's. One without a payload has the number of its turn.
    fn message_of(&self, session: &str, publish: &Publish) -> Option<Message> {
        if !publish.payload.is_empty() {
            return Message::of(&publish.payload);
        }
        let clear = |publication: &&Publication| matches!(publication.message, Message::Clear(_));
        let clears = self.publications.iter().filter(clear);
        let again = |own: &&Publication| own.session == session && own.publish.id == publish.id && publish.dup;
        let turn = clears.clone().count() as u32 + 1;
        Some(clears.rev().find(again).map_or(Message::Clear(turn), |known| known.message))
    }

    fn publication_with(&mut self, session: &str, id: u16) -> Option<&mut Publication> {
        let own = |publication: &&mut Publication| {
            publication.session == session && publication.publish.qos > 0 && publication.publish.id == id
        };
        self.publications.iter_mut().rev().find(own)
    }

    /// The client acknowledges the last copy with this identifier.
    fn acknowledged(&mut self, at: usize, connection: usize, ack: &Ack) {
        let own =
            |copy: &&mut Received| copy.connection == connection && copy.publish.qos > 0 && copy.publish.id == ack.id;
        if let Some(copy) = self.copies.iter_mut().rev().find(own) {
            copy.acks.push(at);
            copy.complete = matches!(ack.kind, AckKind::Puback | AckKind::Pubcomp) && ack.reason < 0x80;
        }
    }

    fn received(&mut self, at: usize, step: usize, client: &str, packet: &Packet) {
        let Some(connection) = self.connection_of(client) else { return };
        let session = self.connections[connection].session.clone();
        match packet {
            Packet::Connack(connack) => {
                let own = &mut self.connections[connection];
                own.connack_at = Some(at);
                own.session_present = connack.session_present;
                own.granted_expiry = connack.session_expiry;
            }
            Packet::Publish(publish) => self.copies.push(Received {
                at,
                connection,
                session,
                publish: publish.clone(),
                message: Message::of(&publish.payload),
                acks: Vec::new(),
                complete: publish.qos == 0,
            }),
            Packet::Suback(suback) => self.answered(at, connection, suback.codes.clone()),
            Packet::Unsuback(unsuback) => self.answered(at, connection, unsuback.codes.clone()),
            Packet::Ack(ack) => match ack.kind {
                AckKind::Puback | AckKind::Pubcomp => {
                    let accepted = ack.reason < 0x80;
                    if let Some(publication) = self.publication_with(&session, ack.id) {
                        publication.accepted_step = accepted.then_some(step);
                    }
                }
                AckKind::Pubrel => {
                    let own = |copy: &&mut Received| copy.connection == connection && copy.publish.id == ack.id;
                    if let Some(copy) = self.copies.iter_mut().rev().find(own) {
                        copy.acks.push(at);
                    }
                }
                AckKind::Pubrec => {}
            },
            _ => {}
        }
    }

    fn answered(&mut self, at: usize, connection: usize, codes: Vec<u8>) {
        let own = |known: &&mut Subscribing| known.connection == connection && known.answered_at.is_none();
        if let Some(subscribing) = self.subscribes.iter_mut().find(own) {
            (subscribing.codes, subscribing.answered_at) = (codes, Some(at));
        }
    }

    /// The filters of a session with the place of their SUBSCRIBE, without those of the harness's own topics.
    pub fn filters(&self, session: &str) -> Vec<(&Subscribing, &Filter)> {
        let own = self.subscribes.iter().filter(|subscribing| subscribing.session == session);
        own.flat_map(|subscribing| subscribing.filters.iter().map(move |filter| (subscribing, filter)))
            .filter(|(_, filter)| !filter.filter.starts_with(FENCE))
            .collect()
    }

    /// The one subscription of a session that was granted and that nothing ends or replaces; `None` where it has others.
    pub fn only_subscription(&self, session: &str) -> Option<(&Subscribing, &Filter)> {
        let filters = self.filters(session);
        let [(subscribing, filter)] = filters[..] else { return None };
        let mut ended = self.subscribes.iter().filter(|other| other.session == session).flat_map(|other| &other.ended);
        let is_plain = !ended.any(|ended| !ended.starts_with(FENCE)) && !filter.filter.starts_with("$share/");
        (is_plain && subscribing.codes.first().is_some_and(|code| *code < 0x80)).then_some((subscribing, filter))
    }

    pub fn protocol(&self, copy: &Received) -> Protocol {
        self.connections[copy.connection].connect.protocol
    }

    pub fn publication(&self, message: Option<Message>) -> Option<&Publication> {
        self.publications.iter().find(|publication| Some(publication.message) == message)
    }

    /// True if the message was accepted and routed before a step began, and sent but once, above QoS 0.
    pub fn is_over(&self, publication: &Publication, step: usize) -> bool {
        let accepted = publication.accepted_step.is_some_and(|accepted| accepted < step);
        let is_clear = matches!(publication.message, Message::Clear(_));
        let routed = is_clear || self.witnessed.get(&publication.message).is_some_and(|witnessed| *witnessed < step);
        accepted && routed && publication.sendings == 1 && publication.publish.qos > 0
    }

    /// The copies of a message that clients of this session received.
    pub fn copies_of<'a>(&'a self, session: &'a str, message: Option<Message>) -> impl Iterator<Item = &'a Received> {
        self.copies.iter().filter(move |copy| copy.session == session && copy.message == message)
    }

    /// The copies of the experiment's own messages.
    pub fn of_experiment(&self) -> impl Iterator<Item = &Received> {
        self.copies.iter().filter(|copy| matches!(copy.message, Some(Message::Experiment(_))))
    }
}
