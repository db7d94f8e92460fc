//! A session's record as a history: what was on the wire, as the judge reads it and as people do.

use super::experiment::{PUBLISHER, SUBSCRIBER, cell};
use super::fleet::Common;
use super::publish::Publisher;
use super::record::{DUP, RETAIN, Seen, Sent, Session, Visit};
use crate::connection::{END_AFTER_DISCONNECT, End};
use crate::history::{Client, Entry, Event, History, Message, Time};
use crate::packet::{AckKind, Connect, Filter, Packet, Publish, Subscribe};
use crate::plan::{Cell, Role};
use crate::run::{Names, answer};
use crate::scenario::Answers;

/// A history that is being written.
struct Writer<'w> {
    common: &'w Common,
    names: Names,
    cell: Cell,
    /// How many steps were opened.
    steps: usize,
    entries: Vec<Entry>,
}

/// A deed of the publisher's, with its place among all of them.
type Deed = (u32, u32, Event);

/// The history of one session.
pub fn history(common: &Common, session: &Session, publishers: &[Publisher]) -> History {
    let mut writer = Writer {
        common,
        names: common.names(session.number),
        cell: cell(&common.request, session.number),
        steps: 0,
        entries: Vec::new(),
    };
    writer.parking(session);
    writer.publishing(session, publishers);
    writer.return_(session, publishers);
    History { entries: writer.entries }
}

impl Writer<'_> {
    /// Opens the next step of the experiment.
    fn step(&mut self) {
        let line = self.cell.step_line(self.steps);
        self.steps += 1;
        self.entries.push(Event::Step(line).into());
    }

    fn add(&mut self, client: &str, connection: u32, at: Option<u32>, event: impl FnOnce(Client) -> Event) {
        let time = at.map(|at| Time(u64::from(at)));
        self.entries.push(Entry { time, connection: Some(connection), event: event(client.into()), raw: None });
    }

    fn sent(&mut self, connection: u32, at: u32, packet: Packet) {
        self.add(SUBSCRIBER, connection, Some(at), |client| Event::Sent(client, packet));
    }

    fn parking(&mut self, session: &Session) {
        let Some(visit) = &session.parked else { return };
        self.step();
        self.opening(visit, 1);
        self.step();
        let filters = vec![Filter::new("t", self.common.request.qos)];
        self.sent(1, visit.answered, Packet::Subscribe(Subscribe { id: 1, filters, ..Subscribe::default() }));
        let disconnected = visit.disconnected.map_or(visit.seen.len(), |place| place as usize);
        self.seen(&visit.seen[..disconnected], 1);
        let Some(last) = visit.seen[..disconnected].last().filter(|_| visit.disconnected.is_some()) else { return };
        self.step();
        self.sent(1, last.at(), Packet::disconnect(0));
        self.seen(&visit.seen[disconnected..], 1);
        if !visit.has_ended() {
            let at = last.at() + Time::from(END_AFTER_DISCONNECT).0 as u32;
            self.add(SUBSCRIBER, 1, Some(at), |client| Event::Closed(client, End::Fin));
        }
    }

    /// CONNECT and CONNACK.
    fn opening(&mut self, visit: &Visit, connection: u32) {
        let connect = self.common.connect(&self.names);
        let connect = Packet::Connect(Connect { client_id: SUBSCRIBER.into(), login: None, ..connect });
        if let Some(at) = visit.unanswered {
            self.sent(connection, at, connect.clone());
            self.add(SUBSCRIBER, connection, Some(visit.began), |client| Event::Closed(client, End::Fin));
        }
        self.sent(connection, visit.began, connect);
        let connack = Packet::Connack(visit.connack.clone());
        self.add(SUBSCRIBER, connection, Some(visit.answered), |client| Event::Received(client, connack));
    }

    /// What came on a connection of the subscriber, and the answers to it.
    fn seen(&mut self, seen: &[Seen], connection: u32) {
        let mut unanswered: Vec<Packet> = Vec::new();
        for seen in seen {
            let received = match seen {
                Seen::Answered { at } => {
                    std::mem::take(&mut unanswered).into_iter().for_each(|answer| self.sent(connection, *at, answer));
                    continue;
                }
                Seen::Ended { at, end } => {
                    self.add(SUBSCRIBER, connection, Some(*at), |client| Event::Ended(client, *end));
                    continue;
                }
                Seen::Other { at, event } => {
                    let event = self.local(event);
                    if let Event::Received(_, packet) = &event {
                        unanswered.extend(answer(packet, Answers::All));
                    }
                    self.add(SUBSCRIBER, connection, Some(*at), |_| event);
                    continue;
                }
                Seen::Message { number, id, flags, properties, .. } => {
                    let message = if *number == 0 { Message::Fence(1) } else { Message::Experiment(*number) };
                    let (dup, retain, qos) = (flags & DUP != 0, flags & RETAIN != 0, flags & 3);
                    let properties = properties.clone();
                    Packet::Publish(Publish { dup, retain, qos, properties, ..self.publication(message, *id) })
                }
                Seen::Pubrel { id, .. } => Packet::ack(AckKind::Pubrel, *id),
                Seen::Suback { code, .. } => Packet::Suback(crate::packet::Suback { id: 1, codes: vec![*code] }),
            };
            unanswered.extend(answer(&received, Answers::All));
            self.add(SUBSCRIBER, connection, Some(seen.at()), |client| Event::Received(client, received));
        }
    }

    /// Whatever else came, with the scenario's names.
    fn local(&self, event: &Event) -> Event {
        let mut event = event.clone();
        if let Event::Received(_, Packet::Publish(publish)) = &mut event {
            publish.topic = self.names.local_topic(&publish.topic);
            publish.payload = match self.names.local_payload(&publish.payload) {
                Ok(message) => self.names.history_payload(message, &publish.payload),
                Err(foreign) => foreign,
            };
        }
        event
    }

    /// A message of this session as it stands in a history.
    fn publication(&self, message: Message, id: u16) -> Publish {
        let wire = self.names.payload(message, self.common.request.size);
        let payload = self.names.history_payload(message, &wire);
        Publish { topic: "t".into(), payload, id, qos: self.common.request.qos, ..Publish::default() }
    }

    fn publishing(&mut self, session: &Session, publishers: &[Publisher]) {
        let Some(publisher) = publishers.get(session.publisher) else { return };
        let deeds = self.deeds(&session.sent, Message::Experiment);
        let Some(first) = deeds.first().map(|(_, connection, _)| *connection) else { return };
        self.step();
        self.publisher_opens(publisher, first);
        self.step();
        self.deeds_of(publisher, first, deeds);
    }

    /// What a publisher did for these messages, in order.
    fn deeds(&self, sent: &[Sent], message: impl Fn(u32) -> Message) -> Vec<Deed> {
        let mut deeds: Vec<Deed> = Vec::new();
        let client = || Client::from(PUBLISHER);
        for (number, own) in (1..).zip(sent).filter(|(_, own)| own.sent > 0) {
            let connection = u32::from(own.connection);
            let publish = Packet::Publish(self.publication(message(number), own.id));
            deeds.push((own.sent, connection, Event::Sent(client(), publish)));
            if own.received > 0 {
                let pubrec = Packet::ack(AckKind::Pubrec, own.id);
                deeds.push((own.received, connection, Event::Received(client(), pubrec)));
                deeds.push((own.received + 1, connection, Event::Sent(client(), Packet::ack(AckKind::Pubrel, own.id))));
            }
            if own.done > 0 {
                let kind = match (self.common.request.qos, own.received > 0) {
                    (1, _) => AckKind::Puback,
                    (_, true) => AckKind::Pubcomp,
                    (_, false) => AckKind::Pubrec,
                };
                let ack = crate::packet::Ack { kind, id: own.id, reason: own.reason };
                deeds.push((own.done, connection, Event::Received(client(), Packet::Ack(ack))));
            }
        }
        deeds.sort_by_key(|(deed, ..)| *deed);
        deeds
    }

    /// The deeds of a publisher; where one is on another connection than the one before, that one had ended.
    fn deeds_of(&mut self, publisher: &Publisher, mut connection: u32, deeds: Vec<Deed>) {
        for (_, own, event) in deeds {
            if own != connection {
                self.publisher_ends(publisher, connection);
                self.publisher_opens(publisher, own);
                connection = own;
            }
            self.add(PUBLISHER, own, None, |_| event);
        }
    }

    fn publisher_opens(&mut self, publisher: &Publisher, connection: u32) {
        let target = &self.common.target;
        let connect = target.connect_as(Role::Publisher, self.common.request.protocol, PUBLISHER.into(), true, 0);
        let connect = Packet::Connect(Connect { login: None, ..connect });
        self.add(PUBLISHER, connection, None, |client| Event::Sent(client, connect));
        if let Some(stay) = publisher.stays.get(connection as usize - 1) {
            let connack = Packet::Connack(stay.connack.clone());
            self.add(PUBLISHER, connection, None, |client| Event::Received(client, connack));
        }
    }

    /// The broker ended this connection of a publisher, or the publisher left it.
    fn publisher_ends(&mut self, publisher: &Publisher, connection: u32) {
        let end = publisher.stays.get(connection as usize - 1).and_then(|stay| stay.end);
        self.add(PUBLISHER, connection, None, |client| match end {
            Some(end) => Event::Ended(client, end),
            None => Event::Closed(client, End::Fin),
        });
    }

    fn return_(&mut self, session: &Session, publishers: &[Publisher]) {
        for (visit, connection) in session.returned.iter().zip(2..) {
            if connection == 2 {
                self.step();
            }
            self.opening(visit, connection);
            if connection == 2 {
                self.step();
                self.fence(session, publishers);
            }
            self.seen(&visit.seen, connection);
            if visit.is_settled(self.common.request.settle) {
                self.add(SUBSCRIBER, connection, None, Event::Settled);
            }
        }
    }

    /// The fence stands in front of what came in this step: between two clients the order of lines proves nothing.
    fn fence(&mut self, session: &Session, publishers: &[Publisher]) {
        let (Some(fence), Some(publisher)) = (session.fence, publishers.get(session.publisher)) else { return };
        let last = session.sent.iter().rev().find(|sent| sent.sent > 0).map_or(1, |sent| u32::from(sent.connection));
        let deeds = self.deeds(&[fence], |_| Message::Fence(1));
        self.deeds_of(publisher, last, deeds);
    }
}
