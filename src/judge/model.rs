//! The model of one attempt: facts, sessions, and the messages that may be retained. Everything is derived from it before any
//! delivery is looked at.

use std::collections::HashMap;
use std::time::Duration;

use super::facts::{Connection, Facts, Place, Publication, Subscribing};
use super::session::{InForce, Session, Span, sessions};
use crate::scenario::Timer;
use crate::topic;

/// The model of one attempt.
pub struct Model<'a> {
    pub facts: &'a Facts,
    pub sessions: Vec<Session<'a>>,
    /// The publications with RETAIN 1, wills among them, by topic and in order of publication.
    retaining: HashMap<&'a str, Vec<&'a Publication>>,
}

/// What a SUBSCRIBE may find as the retained message of a topic. A broker may not have taken a message that was cut off, and
/// may store a QoS 2 message at its PUBLISH or at its PUBREL, so it is a set.
#[derive(Debug, Clone)]
pub struct Retained<'a> {
    /// Each may be the one, in order of publication; clearings are left out.
    pub candidates: Vec<&'a Publication>,
    /// There may be none.
    pub none: bool,
}

/// How a SUBSCRIBE asks for retained messages (5.0 MQTT-3.3.1-9 to -11; 3.1.1 knows no other way than always).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    Yes,
    /// It depends on whether the subscription existed, and the history does not tell.
    Perhaps,
    /// The subscription existed, and Retain Handling is 1.
    NotAgain,
    /// Retain Handling is 2.
    Never,
}

impl<'a> Model<'a> {
    /// `kept` are connections, by their index, whose Session Present 0 is held to be a lie.
    pub fn of(facts: &'a Facts, kept: &[usize]) -> Model<'a> {
        let mut retaining: HashMap<&str, Vec<&Publication>> = HashMap::new();
        for publication in facts.publications.iter().filter(|p| p.retain && p.sent().is_some()) {
            retaining.entry(&publication.topic).or_default().push(publication);
        }
        Model { facts, sessions: sessions(facts, kept), retaining }
    }

    /// The sessions that a publication may meet are those of these routings: one for each time that it was sent at QoS 0 or 1,
    /// since a broker may take a repeated PUBLISH for a new message, and at QoS 2 one for each time that it was published anew.
    pub fn routings(&self, publication: &Publication) -> Vec<Span> {
        let first = publication.sent();
        let is_new = |own: &&super::facts::Sending| publication.qos < 2 || own.is_new || Some(own.place) == first;
        let span = |sending: &super::facts::Sending| Span {
            from: sending.place,
            until: self.routed_by(publication),
            connection: if publication.is_will() { usize::MAX } else { sending.connection },
            accepted: publication.accepted,
        };
        publication.sendings.iter().filter(is_new).map(span).collect()
    }

    /// From the first time that it was sent until it was accepted: in this time the broker has routed it once at least.
    pub fn span(&self, publication: &Publication) -> Option<Span> {
        let first = self.routings(publication).into_iter().next()?;
        Some(Span { until: publication.accepted.map_or(usize::MAX, |accepted| accepted.step), ..first })
    }

    /// The step in which the broker has routed it for the last time: the witness had it then, and its publisher did not send it
    /// again.
    fn routed_by(&self, publication: &Publication) -> usize {
        let witnessed = publication.witnessed.filter(|_| !publication.was_repeated());
        // Messages of the harness's own meet no subscription that comes later, and the witness's copies are not recorded.
        let own = || publication.accepted.filter(|_| !publication.is_of_experiment() && !publication.is_will());
        witnessed.or_else(own).map_or(usize::MAX, |place| place.step)
    }

    /// The QoS 1 or 2 at which the standard orders that the session gets the message; `None` where it is not owed: not accepted,
    /// at QoS 0 for the session, too large for the client, or perhaps expired before it can have come.
    pub fn owed_qos(&self, session: &Session<'a>, publication: &Publication) -> Option<u8> {
        let span = self.span(publication).filter(|span| span.accepted.is_some())?;
        let sure = session.in_force(publication, span).into_iter().filter(|filter| filter.sure);
        let qos = sure.map(|filter| filter.least_qos(publication.qos)).max()?;
        let owed = qos > 0 && !self.is_too_large(session, publication) && !self.may_have_expired(session, publication);
        owed.then_some(qos)
    }

    /// The client is away, or there, when the message is routed; `None` where it meets no subscription for sure.
    pub fn is_away(&self, session: &Session<'a>, publication: &Publication) -> Option<bool> {
        let span = self.span(publication)?;
        let met = session.in_force(publication, span).iter().any(|filter| filter.sure);
        let online = session.presence(span.from.step)?;
        met.then_some(!online)
    }

    /// The subscriptions that the message meets for sure.
    pub fn met(&self, session: &Session<'a>, publication: &Publication) -> Vec<InForce<'a>> {
        let span = self.span(publication);
        let met = span.map(|span| session.in_force(publication, span)).unwrap_or_default();
        met.into_iter().filter(|filter| filter.sure).collect()
    }

    /// Perhaps larger than what a client of the session takes (5.0 MQTT-3.1.2-25). How long the topic is on the wire, and what a
    /// broker adds, the history does not tell.
    pub fn is_too_large(&self, session: &Session<'_>, publication: &Publication) -> bool {
        let limits = session.connections.iter().filter_map(|c| c.connect.maximum_packet_size);
        let Some(limit) = limits.min() else { return false };
        let payload = publication.bytes.unwrap_or(USUAL_PAYLOAD);
        let topic = publication.topic.len().saturating_sub(USUAL_TOPIC);
        payload + HEADER + topic + publication.properties.bytes_max() > limit as usize
    }

    /// Its Message Expiry Interval may have passed before the client could get it.
    pub fn may_have_expired(&self, session: &Session<'_>, publication: &Publication) -> bool {
        let Some((expiry, sent)) = publication.properties.message_expiry.zip(publication.sent()) else { return false };
        let last = session.connections[session.connections.len() - 1];
        let end = last.deliveries.last().map_or(last.opened, |delivery| delivery.place);
        let until = last.settled.last().map_or(end, |at| Place { step: end.step, at: *at }).max(end);
        self.facts.at_most_between(sent, until) >= Duration::from_secs(expiry.into())
    }

    /// The message waited, by the clock, for at least so many seconds before this place, in which it may have been sent.
    pub fn waited_s(&self, publication: &Publication, opened: Place, delivered: Place) -> (u32, Option<usize>) {
        // A PUBLISH that its publisher sends again carries its interval once more.
        let mut sendings = publication.sendings.iter().map(|sending| sending.place);
        let Some(last) = sendings.rfind(|sent| sent.at < delivered.at) else { return (0, None) };
        let sent = publication.accepted.filter(|accepted| accepted.at > last.at).unwrap_or(last);
        let timed = self.facts.ran_out(Timer::MessageExpiry, last, delivered);
        let told = timed.map_or(0, |timed| timed.seconds);
        // A broker counts whole seconds, and may round either way.
        let measured = self.facts.elapsed(sent.at, opened.at).map_or(0, |elapsed| elapsed.as_secs().saturating_sub(1));
        (told.max(measured as u32), timed.map(|timed| timed.place.at))
    }

    /// How a SUBSCRIBE asks for retained messages.
    pub fn asks(&self, session: &Session<'_>, subscribing: &Subscribing) -> Asks {
        match (subscribing.filter.retain_handling, session.had_subscription(subscribing)) {
            (0, _) | (1, Some(false)) => Asks::Yes,
            (1, None) => Asks::Perhaps,
            (1, Some(true)) => Asks::NotAgain,
            _ => Asks::Never,
        }
    }

    /// The topics that may hold a retained message and that a filter matches.
    pub fn retained_topics(&self, filter: &str) -> Vec<&'a str> {
        let mut topics: Vec<&str> =
            self.retaining.keys().copied().filter(|topic| topic::matches(filter, topic)).collect();
        topics.sort_unstable();
        topics
    }

    /// What a SUBSCRIBE on this connection may find as the retained message of a topic.
    pub fn retained(&self, topic: &str, subscribing: &Subscribing, connection: &Connection) -> Retained<'a> {
        let all = self.retaining.get(topic).map(Vec::as_slice).unwrap_or_default();
        let done = subscribing.suback.map_or(subscribing.sent, |(place, _)| place);
        let surely: Vec<&Publication> =
            all.iter().copied().filter(|p| has_surely_stored(p, subscribing.sent, connection)).collect();
        let is_superseded = |own: &Publication| surely.iter().any(|later| is_surely_after(later, own));
        let possible = all.iter().copied().filter(|p| may_have_stored(p, done, connection) && !is_superseded(p));
        let possible: Vec<&'a Publication> = possible.collect();
        // A retained message of QoS 0 may be discarded at any time (section 3.3.1.3), and one that expires is gone.
        let may_go = |p: &&Publication| p.is_clearing() || p.qos == 0 || self.has_perhaps_expired(p, done);
        let none = surely.is_empty() || possible.iter().any(may_go);
        Retained { candidates: possible.into_iter().filter(|p| !p.is_clearing()).collect(), none }
    }

    /// The last message with RETAIN 1 on a topic that the broker has taken for sure when it reads this SUBSCRIBE, whether it
    /// stored or cleared.
    pub fn last_retaining(
        &self,
        topic: &str,
        subscribing: &Subscribing,
        connection: &Connection,
    ) -> Option<&'a Publication> {
        let all = self.retaining.get(topic).map(Vec::as_slice).unwrap_or_default();
        let stored = all.iter().copied().filter(|p| has_surely_stored(p, subscribing.sent, connection));
        stored.max_by_key(|publication| publication.accepted)
    }

    fn has_perhaps_expired(&self, publication: &Publication, by: Place) -> bool {
        let Some((expiry, sent)) = publication.properties.message_expiry.zip(publication.sent()) else { return false };
        self.facts.at_most_between(sent, by) >= Duration::from_secs(expiry.into())
    }
}

/// Bytes of a payload that is not filled up, of a topic, and of the header of a PUBLISH with such a topic and what a broker adds.
const USUAL_PAYLOAD: usize = 32;
const USUAL_TOPIC: usize = 32;
const HEADER: usize = 64;

/// The broker has stored it, or cleared by it, for sure when it reads a packet that was sent at `sent`.
fn has_surely_stored(publication: &Publication, sent: Place, connection: &Connection) -> bool {
    let here = publication.sendings.iter().all(|sending| sending.connection == connection.index);
    publication.accepted.is_some_and(|accepted| accepted.step < sent.step || here && accepted.at < sent.at)
}

/// The broker may have stored it by the time at which it sends the answer at `done`.
fn may_have_stored(publication: &Publication, done: Place, connection: &Connection) -> bool {
    let here = publication.sendings.iter().all(|sending| sending.connection == connection.index);
    publication
        .sent()
        .is_some_and(|sent| sent.step < done.step || sent.step == done.step && (!here || sent.at < done.at))
}

/// The broker has taken `later` for sure after `own`.
fn is_surely_after(later: &Publication, own: &Publication) -> bool {
    let (Some(first), Some(last)) = (later.sendings.first(), own.sendings.last()) else { return false };
    if later.is_will() || own.is_will() {
        return own.accepted.is_some_and(|accepted| accepted.step < first.place.step);
    }
    let same = first.connection == last.connection && own.released_again.is_empty();
    // Packets of one connection are read in their order; what has QoS 2 may be stored as late as its PUBREL.
    let in_order = same && own.qos < 2 && last.place.at < first.place.at;
    let finished = |accepted: Place| accepted.step < first.place.step || same && accepted.at < first.place.at;
    in_order || own.accepted.is_some_and(finished)
}
