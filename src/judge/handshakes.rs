//! Handshakes from broker to client, one automaton by Packet Identifier over all connections of a session: identifiers in use,
//! the Receive Maximum, PUBRELs out of turn, and what a resumed session has to send again.

mod open;
mod resumption;

use std::collections::{HashMap, HashSet};
use std::mem;

use super::deliveries::{Copy, Ledger};
use super::facts::{Connection, Delivery, Flow, Publication};
use super::finding::Findings;
use super::model::Model;
use super::rules;
use crate::history::Message;
use crate::packet::{Ack, AckKind, Protocol};
use open::Open;
use resumption::{Resumed, content, not_sent_again};

pub use resumption::{Absence, Due, Resumption};

/// A message under way to the client.
#[derive(Debug, Clone, Copy)]
struct Exchange<'a> {
    /// Its newest PUBLISH, and the first one with the connection on which that came. Where connections overlap, the order of the
    /// events of different ones tells nothing.
    delivery: &'a Delivery,
    first: (usize, &'a Delivery),
    /// Our PUBACK or PUBREC, and the connection on which we sent it.
    acked: Option<usize>,
    acked_on: usize,
    refused: bool,
    /// The newest PUBREL.
    released: Option<usize>,
    /// Our last answer. The broker may not have read it.
    finished: Option<usize>,
    here: Here,
}

/// What of an exchange was on the connection at hand. At a takeover the connection before goes on for a while, so that the order
/// of the events cannot tell.
#[derive(Debug, Clone, Copy, Default)]
struct Here {
    /// Its PUBLISH.
    sent: bool,
    /// Its PUBREL.
    released: bool,
}

impl Exchange<'_> {
    fn due(&self) -> Due {
        match (self.finished, self.released, self.acked) {
            (Some(_), ..) => Due::Nothing,
            (None, Some(_), _) => Due::Pubrel,
            (None, None, Some(_)) => Due::PublishOrPubrel,
            (None, None, None) => Due::Publish,
        }
    }

    fn is_of(&self, delivery: &Delivery) -> bool {
        content(self.delivery) == content(delivery)
    }
}

/// Walks through the handshakes of a session, notes what is wrong, and gives what each resumed connection goes on with.
pub fn check<'a>(model: &Model<'a>, ledger: &Ledger<'a>, findings: &mut Findings) -> Vec<Resumption<'a>> {
    let mut resumptions = Vec::new();
    let mut open = Open::default();
    let (mut raced, mut confused) = (false, false);
    let discarded = discarded(model, ledger);
    let copies: HashMap<usize, &Copy<'a>> = ledger.copies.iter().map(|copy| (copy.delivery.place.at, copy)).collect();
    for (number, connection) in ledger.session.connections.iter().enumerate() {
        // What is too large for this connection counts as delivered (5.0 MQTT-3.1.2-25).
        let copy_of = |exchange: &Exchange<'_>| copies.get(&exchange.delivery.place.at).copied();
        let is_limited = connection.connect.maximum_packet_size.is_some();
        let is_too_large = |exchange: &Exchange<'_>| {
            copy_of(exchange).is_some_and(|copy| model.is_too_large(ledger.session, copy.publication))
        };
        let is_dropped = |exchange: &Exchange<'_>| exchange.released.is_none() && is_too_large(exchange);
        for exchange in open.iter_mut().filter(|exchange| is_limited && is_dropped(exchange)) {
            exchange.finished.get_or_insert(connection.opened.at);
        }
        // A message of a group may have gone to another member in the meantime (5.0, section 4.8.2).
        let may_have_moved_on = |exchange: &Exchange<'_>| {
            exchange.delivery.publish.qos == 1 && copy_of(exchange).is_some_and(Copy::may_be_shared)
        };
        for exchange in open.iter_mut().filter(|exchange| may_have_moved_on(exchange)) {
            exchange.finished.get_or_insert(connection.opened.at);
        }
        let earlier = number.checked_sub(1).map(|number| ledger.session.connections[number]);
        // Whether the broker has the exchanges still nobody knows, where a CONNECT that would have ended the session was not answered.
        let since = earlier.map_or(connection.index, |own| own.index + 1);
        let mut between = model.facts.connections[since..connection.index].iter();
        if between.any(|own| *own.id == *ledger.session.id && own.is_unanswered_clean()) {
            for exchange in open.iter_mut() {
                exchange.finished.get_or_insert(connection.opened.at);
            }
        }
        let before: Vec<Exchange<'a>> = open.iter().copied().collect();
        let takes_over = earlier.is_some_and(|own| own.end.is_none_or(|end| end.at > connection.opened.at));
        Walk {
            connection,
            takes_over,
            open: &mut open,
            unfinished: HashSet::new(),
            acknowledged: HashMap::new(),
            exceeded: false,
            confused: &mut confused,
            of_nothing: HashSet::new(),
            discarded: &discarded,
        }
        .walk(ledger, findings);
        // A session that is there by the broker's own word is resumed; one that it denies is another matter.
        let later = ledger.session.connections.get(number + 1);
        raced |= earlier.is_some_and(|earlier| has_raced(earlier, connection));
        raced |= later.is_some_and(|later| has_raced(connection, later));
        if number > 0 && connection.session_present() && !raced {
            let resumed = Resumed::new(model, ledger, connection, &before);
            let own = before.iter().filter(|exchange| !exchange.refused);
            resumptions.extend(own.map(|exchange| resumed.resumption(exchange, copy_of(exchange))));
            // Where the publisher sent it again, the broker may have begun another delivery of it, which was lost with the connection.
            let is_sure = |exchange: &&Exchange<'_>| {
                copy_of(exchange).is_none_or(|copy| copy.publication.qos == 2 || !copy.publication.was_repeated())
            };
            let originals = before.iter().filter(is_sure).map(|exchange| (exchange, copy_of(exchange)));
            original_order(connection, originals, findings);
        }
    }
    for resumption in &resumptions {
        not_sent_again(resumption, findings);
    }
    resumptions
}

/// The later CONNECT was sent before the earlier one was answered: the broker may have taken them in either order, and nothing tells
/// which connection goes on with what was on the other.
fn has_raced(earlier: &Connection, later: &Connection) -> bool {
    earlier.connack.as_ref().is_none_or(|(at, _)| *at > later.opened.at)
}

/// The walk through one connection.
struct Walk<'w, 'a> {
    connection: &'a Connection,
    /// It was opened while the one before was there: a PUBREC on that one may have been read behind what this one shows.
    takes_over: bool,
    open: &'w mut Open<'a>,
    /// The Packet Identifiers of messages whose PUBLISH came on this connection and that we have not answered for good.
    unfinished: HashSet<u16>,
    /// By topic, the connection of our PUBRECs, and whether the PUBREL is sent again: the latest of those that a PUBREL has followed,
    /// and the PUBREL.
    acknowledged: HashMap<(usize, &'a str, bool), (usize, usize)>,
    /// The Receive Maximum was exceeded already.
    exceeded: bool,
    /// An identifier in use was given to another message, so that the order of the PUBRELs tells nothing.
    confused: &'w mut bool,
    /// The Packet Identifiers of the client's answers to nothing.
    of_nothing: HashSet<u16>,
    /// The Packet Identifiers that wait for their PUBREL in a session of this client that has ended.
    discarded: &'w HashSet<u16>,
}

/// The Packet Identifiers under which messages waited for their PUBREL when an earlier session of the same client ended.
fn discarded(model: &Model<'_>, ledger: &Ledger<'_>) -> HashSet<u16> {
    let session = ledger.session;
    let earlier = model.facts.connections[..session.connections[0].index].iter().filter(|own| *own.id == *session.id);
    let waits = |own: &&Delivery| own.publish.qos == 2 && own.acked.is_some() && own.completed.is_none();
    earlier.flat_map(|own| own.deliveries.iter().filter(waits).map(|delivery| delivery.publish.id)).collect()
}

impl<'a> Walk<'_, 'a> {
    fn walk(&mut self, ledger: &Ledger<'a>, findings: &mut Findings) {
        for exchange in self.open.iter_mut() {
            exchange.here = Here::default();
        }
        for flow in &self.connection.flows {
            match *flow {
                Flow::Publish(number) => {
                    let delivery = &self.connection.deliveries[number];
                    self.published(delivery, findings);
                    self.receive_maximum(ledger, delivery, findings);
                }
                Flow::Pubrel { at, id } => self.released(at, id, findings),
                Flow::Sent { at, ack } => self.answered(at, ack),
            }
        }
    }

    fn published(&mut self, delivery: &'a Delivery, findings: &mut Findings) {
        let publish = &delivery.publish;
        self.unfinished.insert(publish.id);
        let here = Here { sent: true, ..Here::default() };
        let fresh = Exchange {
            delivery,
            first: (self.connection.index, delivery),
            acked: None,
            acked_on: 0,
            refused: false,
            released: None,
            finished: None,
            here,
        };
        // A message that is sent again under another identifier gives its first one up.
        if publish.dup
            && !publish.payload.is_empty()
            && !self.open.get_mut(publish.id).is_some_and(|own| own.is_of(delivery))
        {
            self.open.retain(|own| !own.is_of(delivery) || own.finished.is_some() || own.here.sent);
        }
        let Some(known) = self.open.get_mut(publish.id) else { return self.open.begin(fresh) };
        if known.is_of(delivery) && (publish.dup || known.finished.is_none()) {
            let continued = Exchange { delivery, released: known.released, ..fresh };
            *known = Exchange { first: known.first, ..continued };
            return;
        }
        if known.finished.is_none() && !publish.dup {
            *self.confused = true;
            let id = publish.id;
            let finding = findings.broken(rules::AN_UNUSED_IDENTIFIER, self.connection.protocol());
            let expected = "a Packet Identifier that is not in use for a new message";
            finding.at([known.delivery.place.at, delivery.place.at]).expected(expected).observed(format!(
                "one that belongs to a message without its last answer{}",
                if id == 0 { ", 0" } else { "" }
            ));
        }
        self.open.begin(fresh);
    }

    fn released(&mut self, at: usize, id: u16, findings: &mut Findings) {
        let protocol = self.connection.protocol();
        let known = self.open.get_mut(id).filter(|own| own.delivery.publish.qos == 2);
        let Some(known) = known.filter(|own| own.acked.is_some() || own.released.is_some()) else {
            // To an answer to nothing a broker may answer (5.0, section 3.6.2.1).
            if self.takes_over || self.of_nothing.contains(&id) {
                return;
            }
            let (rule, observed) = match self.discarded.contains(&id) {
                true => (rules::A_DISCARDED_SESSION_IS_NOT_USED, "PUBREL for a message of a session that has ended"),
                false => (rules::ANSWERS_PUBREC, "PUBREL for a message that it has not acknowledged"),
            };
            let finding = findings.broken(rule, protocol).at([at]);
            let expected = format!("PUBREL to {} only behind its PUBREC", self.connection.client);
            finding.expected(expected).observed(observed);
            return;
        };
        let is_again = mem::replace(&mut known.here.released, true);
        if is_again {
            let finding = findings.broken(rules::RESENT_ONLY_ON_RESUME, protocol).at([at]);
            finding.expected("PUBREL again only on a further connection").observed("it came again on the same one");
        }
        // Those that are sent again have an order of their own.
        let was_released = known.released.is_some();
        let acked = known.acked.filter(|_| !is_again);
        known.released = Some(at);
        let (topic, acked_on) = (known.delivery.topic.as_ref(), known.acked_on);
        let Some(acked) = acked.filter(|_| !*self.confused) else { return };
        // A PUBREL that comes before another one whose PUBREC was sent earlier on the same connection.
        let latest = self.acknowledged.entry((acked_on, topic, was_released)).or_insert((acked, at));
        if latest.0 > acked {
            let finding = findings.broken(rules::PUBRELS_IN_THE_ORDER_OF_PUBRECS, protocol).at([latest.1, at]);
            finding.expected("PUBRELs in the order of the PUBRECs").observed("another order");
        } else {
            *latest = (acked, at);
        }
    }

    fn answered(&mut self, at: usize, ack: Ack) {
        let Some(known) = self.open.get_mut(ack.id) else {
            self.of_nothing.insert(ack.id);
            return;
        };
        match ack.kind {
            AckKind::Puback | AckKind::Pubrec => {
                known.acked = Some(at);
                known.acked_on = self.connection.index;
                known.refused = ack.reason >= 0x80;
                if ack.kind == AckKind::Puback || known.refused {
                    known.finished = Some(at);
                }
            }
            AckKind::Pubcomp => known.finished = Some(at),
            AckKind::Pubrel => {}
        }
        if known.finished.is_some() {
            self.unfinished.remove(&ack.id);
        }
    }

    fn receive_maximum(&mut self, ledger: &Ledger<'_>, delivery: &Delivery, findings: &mut Findings) {
        let maximum = self.connection.receive_maximum();
        let since = self.connection.opened.at;
        if self.exceeded || self.unfinished.len() <= maximum {
            return;
        }
        self.exceeded = true;
        let before = ledger.session.before(self.connection).filter(|before| before.connect.receive_maximum.is_some());
        let rule = match before {
            Some(before) if before.receive_maximum() > maximum => rules::RECEIVE_MAXIMUM_OF_THIS_CONNECTION,
            _ => rules::RECEIVE_MAXIMUM,
        };
        let finding = findings.broken(rule, self.connection.protocol()).at([since, delivery.place.at]);
        let messages = if maximum == 1 { "message" } else { "messages" };
        let client = &self.connection.client;
        let expected = format!("at most {maximum} {messages} unacknowledged to {client}");
        finding
            .expected(expected)
            .observed(format!("{} unacknowledged, and the Receive Maximum is {maximum}", self.unfinished.len()));
    }
}

/// A copy that is sent again.
struct Again<'e> {
    delivery: &'e Delivery,
    /// The connection and the entry at which it was sent first.
    first: (usize, usize),
    /// In 5.0 alone, where the order of publication counts.
    publication: Option<&'e Publication>,
}

impl Again<'_> {
    /// Both are of one topic and QoS, and in 5.0 of one publisher.
    fn is_of_lane(&self, other: &Again<'_>) -> bool {
        let lane = |own: &Again<'_>| (own.delivery.topic.clone(), own.delivery.publish.qos);
        let publishers = self.publication.zip(other.publication).map(|(own, other)| own.publisher == other.publisher);
        lane(self) == lane(other) && publishers.unwrap_or(true)
    }

    /// The other one was sent first later, and comes again before this one. Copies of one message for several subscriptions have no
    /// order.
    fn is_overtaken_by(&self, other: &Again<'_>) -> bool {
        let was_published_first =
            self.publication.zip(other.publication).is_none_or(|(own, other)| own.is_before(other));
        other.first > self.first && other.delivery.message != self.delivery.message && was_published_first
    }
}

/// The broker sends messages of one topic and QoS again in the order in which it sent them first (MQTT-4.6.0-6 with -1). In 5.0 only
/// clients must: a server keeps the order of each publisher, on subscriptions that are not shared (MQTT-4.6.0-5).
fn original_order<'e>(
    connection: &'e Connection,
    originals: impl Iterator<Item = (&'e Exchange<'e>, Option<&'e Copy<'e>>)>,
    findings: &mut Findings,
) {
    let is_v3 = connection.protocol() == Protocol::V3;
    let mut known: HashMap<u16, Vec<(&Exchange<'_>, Option<&Copy<'_>>)>> = HashMap::new();
    let in_order = originals.filter(|(_, copy)| is_v3 || copy.is_some_and(Copy::is_surely_forward));
    in_order.for_each(|original| known.entry(original.0.delivery.publish.id).or_default().push(original));
    let sent_again = |delivery: &'e Delivery| {
        let (exchange, copy) = known.get(&delivery.publish.id)?.iter().find(|(own, _)| own.is_of(delivery))?;
        let publication = copy.map(|copy| copy.publication).filter(|_| !is_v3);
        Some(Again { delivery, first: (exchange.first.0, exchange.first.1.place.at), publication })
    };
    let resent = connection.deliveries.iter().filter(|delivery| delivery.publish.dup && delivery.message.is_some());
    let mut last: Vec<Again<'_>> = Vec::new();
    let mut seen: HashSet<u16> = HashSet::new();
    for again in resent.filter(|delivery| seen.insert(delivery.publish.id)).filter_map(sent_again) {
        match last.iter_mut().find(|other| other.is_of_lane(&again)) {
            Some(overtaker) if again.is_overtaken_by(overtaker) => {
                let name =
                    |again: &Again<'_>| again.delivery.message.map(|m: Message| m.to_string()).unwrap_or_default();
                let finding = findings.broken(rules::IN_THE_ORDER_OF_PUBLICATION, connection.protocol());
                let expected = format!("{} again before {}, as they were sent first", name(&again), name(overtaker));
                let events = [overtaker.delivery.place.at, again.delivery.place.at];
                finding.at(events).expected(expected).observed("the other way round");
                return;
            }
            Some(entry) => *entry = again,
            None => last.push(again),
        }
    }
}
