//! Exchanges that were under way when a connection ended: what the next one has to send again, and the proof that it does not.

use std::collections::{HashMap, HashSet};

use super::Exchange;
use crate::judge::deliveries::{Copy, Ledger};
use crate::judge::facts::{Connection, Delivery, Flow};
use crate::judge::finding::{ATTEMPTS_FOR_AN_ABSENCE, Findings, NAMES};
use crate::judge::model::Model;
use crate::judge::proof::Evidence;
use crate::judge::rules::{self, Rule};
use crate::packet::AckKind;
use crate::scenario::Timer;
use crate::topic;

/// Something that was under way when a connection ended and that the next one goes on with.
pub struct Resumption<'a> {
    pub connection: &'a Connection,
    /// The newest PUBLISH of the message.
    pub delivery: &'a Delivery,
    pub due: Due,
    /// Where it went on.
    pub came: Option<usize>,
    /// It did not come, and the history proves that it will not, or that it was late.
    pub absent: Option<Absence>,
    pub rule: Rule,
    pub why: &'static str,
}

/// A packet that a resumed session has to send again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    Publish,
    Pubrel,
    /// PUBREC was sent, and the broker may have read it or not.
    PublishOrPubrel,
    /// The last answer was sent, and the broker may have read it or not.
    Nothing,
}

/// How well it is proven that something does not come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// A message that was published later has come.
    Fenced,
    Time,
}

impl Due {
    pub fn packet(self) -> &'static str {
        match self {
            Due::Publish => "PUBLISH",
            Due::Pubrel => "PUBREL",
            Due::PublishOrPubrel => "PUBLISH or PUBREL",
            Due::Nothing => "nothing",
        }
    }
}

/// A resumed connection, with what came on it. There may be thousands of exchanges, so nothing is looked for one by one.
pub(super) struct Resumed<'m, 'a> {
    model: &'m Model<'a>,
    ledger: &'m Ledger<'a>,
    connection: &'a Connection,
    /// Every PUBLISH of each message, by payload, topic and QoS: its Packet Identifier, and where it came.
    published: HashMap<Content<'a>, Vec<(u16, usize)>>,
    /// The messages that are under way with their Packet Identifiers. A message may be under way several times.
    under_way: HashSet<(Content<'a>, u16)>,
    /// The first PUBREL with each Packet Identifier.
    released: HashMap<u16, usize>,
    /// The client's first answer to a PUBLISH with each Packet Identifier.
    answered: HashMap<u16, usize>,
    /// Messages that came here for the first time.
    new: Vec<&'m Copy<'a>>,
}

impl<'m, 'a> Resumed<'m, 'a> {
    pub fn new(
        model: &'m Model<'a>,
        ledger: &'m Ledger<'a>,
        connection: &'a Connection,
        before: &[Exchange<'a>],
    ) -> Resumed<'m, 'a> {
        let mut published: HashMap<_, Vec<(u16, usize)>> = HashMap::new();
        for delivery in &connection.deliveries {
            published.entry(content(delivery)).or_default().push((delivery.publish.id, delivery.place.at));
        }
        let under_way = before.iter().map(|own| (content(own.delivery), own.delivery.publish.id)).collect();
        let (mut released, mut answered) = (HashMap::new(), HashMap::new());
        for flow in &connection.flows {
            match *flow {
                Flow::Pubrel { at, id } => drop(released.entry(id).or_insert(at)),
                Flow::Sent { at, ack } if matches!(ack.kind, AckKind::Puback | AckKind::Pubrec) => {
                    answered.entry(ack.id).or_insert(at);
                }
                _ => {}
            }
        }
        let is_new =
            |copy: &&Copy<'_>| copy.connection.index == connection.index && copy.is_surely_forward() && copy.is_first;
        let new = ledger.copies.iter().filter(is_new).collect();
        Resumed { model, ledger, connection, published, under_way, released, answered, new }
    }

    /// The place at which the PUBLISH came again: under its Packet Identifier, or under one that belongs to no other of the same
    /// message.
    fn publish(&self, delivery: &Delivery) -> Option<usize> {
        let all = self.published.get(&content(delivery))?;
        let own = all.iter().find(|(id, _)| *id == delivery.publish.id);
        let other = || all.iter().find(|(id, _)| !self.under_way.contains(&(content(delivery), *id)));
        own.or_else(other).map(|(_, at)| *at)
    }

    /// Tells what the connection goes on with for one exchange; its newest PUBLISH was this copy.
    pub fn resumption(&self, exchange: &Exchange<'a>, copy: Option<&Copy<'a>>) -> Resumption<'a> {
        let (connection, delivery) = (self.connection, exchange.delivery);
        let publish = self.publish(delivery);
        // The client may answer on this connection what came on the one before.
        let answered = self.answered.get(&delivery.publish.id);
        let is_answered = answered.is_some_and(|answered| publish.is_none_or(|came| came > *answered));
        let due = if is_answered { Due::Nothing } else { exchange.due() };
        let pubrel = self.released.get(&delivery.publish.id).copied();
        let came = match due {
            Due::Publish => publish,
            Due::Pubrel => pubrel.or(publish),
            Due::PublishOrPubrel | Due::Nothing => publish.or(pubrel),
        };
        let (rule, why) = why_not_sent(self.model, self.ledger, connection, delivery);
        // A packet is late that comes after a settle window, behind a message that was published later.
        let is_late = |came: usize| connection.settled.iter().any(|settled| *settled < came);
        let is_due = due != Due::Nothing && came.is_none_or(is_late);
        let absent = if is_due { self.absence(due, copy, came) } else { None };
        Resumption { connection, delivery, due, came, absent, rule, why }
    }

    fn absence(&self, due: Due, own: Option<&Copy<'a>>, came: Option<usize>) -> Option<Absence> {
        // A message of a shared subscription at QoS 1 may go to another client of the group when the connection ends (5.0,
        // section 4.8.2).
        if own.is_some_and(|own| own.may_be_shared() && own.delivery.publish.qos == 1) {
            return None;
        }
        // Other messages that were under way may be sent again before it: that is judged as an order.
        let is_later = |copy: &Copy<'_>, own: &Copy<'_>| {
            own.publication.is_before(copy.publication)
                && copy.delivery.publish.qos == own.delivery.publish.qos
                && came.is_none_or(|came| copy.delivery.place.at < came)
        };
        let is_fenced = own.is_some_and(|own| own.is_forward() && self.new.iter().any(|copy| is_later(copy, own)));
        match due {
            Due::Publish if is_fenced => return Some(Absence::Fenced),
            // Nothing orders a PUBREL among PUBLISH packets: the broker has until the end of the connection.
            Due::Pubrel | Due::PublishOrPubrel if is_fenced && came.is_none() && self.connection.end.is_none() => {
                return Some(Absence::Time);
            }
            _ => {}
        }
        let evidence = Evidence { model: self.model, ledger: self.ledger };
        let has_passed = came.is_none() && evidence.time_has_passed_on(self.connection, self.connection.opened.at);
        has_passed.then_some(Absence::Time)
    }
}

/// Two deliveries with the same payload, topic and QoS are one message.
type Content<'a> = (&'a [u8], &'a str, u8);

pub(super) fn content(delivery: &Delivery) -> Content<'_> {
    (&delivery.publish.payload, &delivery.topic, delivery.publish.qos)
}

fn why_not_sent(
    model: &Model<'_>,
    ledger: &Ledger<'_>,
    next: &Connection,
    delivery: &Delivery,
) -> (Rule, &'static str) {
    let meanwhile = delivery.place.at..next.opened.at;
    let unsubscribed = ledger.session.subscriptions.iter().any(|own| {
        let is_deleted = own.end.is_some_and(|end| end.by_unsubscribe && meanwhile.contains(&end.sent.at));
        is_deleted && topic::matches(own.filter(), &delivery.topic)
    });
    let expiry = delivery.publish.properties.message_expiry;
    let timed = model.facts.ran_out(Timer::MessageExpiry, delivery.place, next.opened);
    let has_expired = timed.zip(expiry).is_some_and(|(timed, expiry)| timed.seconds >= expiry);
    if unsubscribed {
        (rules::DELIVERY_IS_COMPLETED, "its delivery had begun before UNSUBSCRIBE")
    } else if has_expired && delivery.publish.qos == 2 {
        (rules::NO_EXPIRY_UNDER_WAY, "it does not expire once it was sent")
    } else {
        (rules::SENT_AGAIN_ON_RESUME, "it was not acknowledged")
    }
}

/// Notes what a resumed connection was to send again and did not.
pub(super) fn not_sent_again(resumption: &Resumption<'_>, findings: &mut Findings) {
    let Some(absence) = resumption.absent else { return };
    let Resumption { connection, delivery, due, rule, why, came, .. } = resumption;
    let attempts = if absence == Absence::Fenced { 1 } else { ATTEMPTS_FOR_AN_ABSENCE };
    let packet = due.packet();
    let finding = findings.broken(*rule, connection.protocol()).after_attempts(attempts);
    let waited_until = came.or(connection.settled.last().copied());
    let finding = finding.at([delivery.place.at, connection.opened.at]);
    let finding = waited_until.into_iter().fold(finding, |finding, to| finding.span(connection.opened.at, to));
    let finding = match delivery.message {
        Some(message) => {
            finding.about(message).expected(format!("{packet} of {NAMES} again on the resumed session: {why}"))
        }
        None => finding.expected(format!("{packet} of the message again on the resumed session: {why}")),
    };
    finding.observed(match (absence, came) {
        (Absence::Time, _) => format!("no {packet}"),
        (Absence::Fenced, None) => format!("no {packet}, although what was published later came"),
        (Absence::Fenced, Some(_)) => "it came late, behind what was published later".into(),
    });
}
