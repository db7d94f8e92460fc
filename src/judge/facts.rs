//! The facts of one attempt: connections, publications and deliveries, with the entries of the history that show them.
//!
//! Within a connection the order of entries is the order on the wire. Between clients only steps are in order, since each
//! begins when all of the step before is finished.

mod connection;
mod endings;
mod reading;

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::history::{Client, History, Message, PROBE, Time};
use crate::packet::{Properties, Protocol, Publish};
use crate::scenario::Timer;
use crate::session_rules::has_no_room;
use crate::vocabulary::{FIRST_NODE, Trouble};

pub use connection::{Connection, Delivery, Flow, IDENTIFIER_REJECTED, Subscribing, Timed, Unsubscribing};

/// An entry of the history: its index, and the step in which it stands, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub step: usize,
    pub at: usize,
}

/// The facts of one attempt at one cell.
#[derive(Debug, Default)]
pub struct Facts {
    /// In order of opening; those of one client follow one another in time.
    pub connections: Vec<Connection>,
    /// In order of publication per publisher; wills are in it too.
    pub publications: Vec<Publication>,
    /// The witness's copies.
    pub witnessed: Vec<(Place, Publish)>,
    /// How many steps were begun.
    pub steps: usize,
    /// Not all steps of the scenario were played.
    pub stopped: bool,
    /// The nodes of the broker to which clients connected, where it has several.
    pub nodes: BTreeSet<u32>,
    /// The times at which the broker was ended, or one node of it.
    pub outages: Vec<Outage>,
    /// The harness was held up, at these entries, for so many milliseconds.
    pub late: Vec<(Place, u32)>,
    /// Of each entry; [`NOT_MEASURED`] where nobody did.
    times: Vec<Time>,
    /// The first publication of each message.
    by_message: HashMap<Message, usize>,
    /// Further publications of the same messages.
    more_by_message: HashMap<Message, Vec<usize>>,
}

/// The broker was ended, or a node of it cut off, and that passed.
#[derive(Debug, Clone, Copy)]
pub struct Outage {
    pub how: Trouble,
    /// The one node that it was about; `None` is the whole broker.
    pub node: Option<u32>,
    pub from: Place,
    /// The place at which that passed, if it did.
    pub until: Option<Place>,
}

impl Outage {
    /// The outage may have taken everything that is older than this. A broker in two parts goes on, and may lose also what it accepts until
    /// it is healed.
    pub fn takes_until(&self) -> Place {
        match self.how {
            Trouble::End(_) => self.from,
            Trouble::Partition => self.until.unwrap_or(self.from),
        }
    }
}

/// A message that a client published, or the will of a connection.
#[derive(Debug)]
pub struct Publication {
    pub message: Message,
    pub publisher: Client,
    /// The client identifier of the publisher.
    pub publisher_id: Arc<str>,
    pub topic: Arc<str>,
    pub qos: u8,
    pub retain: bool,
    pub properties: Properties,
    /// Its publisher sent it again with other properties, as one that speaks another version has to.
    pub properties_vary: bool,
    /// To how many bytes its payload was filled up, if it was.
    pub bytes: Option<usize>,
    /// Each time that its PUBLISH was sent, oldest first; for a will the end that brings it, if it was brought.
    pub sendings: Vec<Sending>,
    /// The PUBACK or PUBCOMP, or at QoS 0 a later answer on the same connection; of a will its first copy at anybody.
    pub accepted: Option<Place>,
    /// The PUBACK or PUBREC that refused it, with its code.
    pub refused: Option<(Place, u8)>,
    /// A PUBACK where PUBREC was due: the broker took the message, by another protocol than its QoS demands.
    pub misanswered: Option<usize>,
    /// The broker answered with PUBREC, so that PUBREL is what the publisher sends again.
    pub received_at: Option<usize>,
    /// Where the publisher sent its PUBREL again, on a further connection.
    pub released_again: Vec<usize>,
    /// The witness's first copy.
    pub witnessed: Option<Place>,
    pub id: u16,
    /// The same publisher had used the Packet Identifier before, for a message that was done with.
    pub reuses_id: bool,
    /// The connection whose will it is.
    pub will_of: Option<usize>,
}

/// One time that a PUBLISH was sent, on one of [`Facts::connections`].
#[derive(Debug, Clone, Copy)]
pub struct Sending {
    pub place: Place,
    pub connection: usize,
    /// True if its DUP flag is 0.
    pub is_new: bool,
}

impl Facts {
    /// Reads a history.
    pub fn of(history: &History) -> Facts {
        let mut facts = reading::read(history);
        endings::note(&mut facts);
        facts
    }

    /// The connections of one client, oldest first.
    pub fn connections_of(&self, client: &str) -> impl Iterator<Item = &Connection> {
        self.connections.iter().filter(move |connection| connection.client.as_ref() == client)
    }

    /// The publications that a delivered message may come from: those of its message on its topic, or all clearings of the
    /// topic, which cannot be told apart.
    pub fn sources_of(&self, delivery: &Delivery) -> impl Iterator<Item = &Publication> {
        self.source_indices(delivery).map(|index| &self.publications[index])
    }

    /// The first of them, by its place among [`Facts::publications`].
    pub fn first_source_of(&self, delivery: &Delivery) -> Option<usize> {
        self.source_indices(delivery).next()
    }

    fn source_indices(&self, delivery: &Delivery) -> impl Iterator<Item = usize> {
        let is_clearing = delivery.message.is_none() && delivery.publish.payload.is_empty();
        let clearings = if is_clearing { 0..self.publications.len() } else { 0..0 };
        let clearings = clearings.filter(|index| self.publications[*index].is_clearing());
        let own = delivery.message.into_iter().flat_map(|message| self.of_message(message));
        own.chain(clearings).filter(|index| self.publications[*index].topic == delivery.topic)
    }

    /// The publications of a message, by their places.
    fn of_message(&self, message: Message) -> impl Iterator<Item = usize> {
        let more = self.more_by_message.get(&message).into_iter().flatten();
        self.by_message.get(&message).into_iter().chain(more).copied()
    }

    /// It may be the copy of any of several clearings.
    pub fn is_ambiguous(&self, delivery: &Delivery) -> bool {
        delivery.publish.payload.is_empty() && self.sources_of(delivery).nth(1).is_some()
    }

    /// The client whose fate the experiment is about: the first to subscribe.
    pub fn subject(&self) -> Option<&Client> {
        let subscribed = self.connections.iter().find(|connection| !connection.subscribes.is_empty());
        subscribed.or(self.connections.first()).map(|connection| &connection.client)
    }

    /// The version that the witness speaks: that of the client which publishes.
    pub fn protocol_of_witness(&self) -> Option<Protocol> {
        let publishes = self.publications.iter().find(|publication| !publication.is_will());
        let publisher = publishes.and_then(|publication| self.connections_of(&publication.publisher).next());
        publisher.or(self.connections.first()).map(Connection::protocol)
    }

    fn push(&mut self, publication: Publication) {
        let number = self.publications.len();
        match self.by_message.entry(publication.message) {
            Entry::Vacant(first) => drop(first.insert(number)),
            Entry::Occupied(_) => self.more_by_message.entry(publication.message).or_default().push(number),
        }
        self.publications.push(publication);
    }

    /// Several nodes of the broker took part: the witness is at the first. What one of them does another may hear of late, so that what
    /// is seen once is no finding.
    pub fn spans_nodes(&self) -> bool {
        self.nodes.iter().any(|node| *node != FIRST_NODE)
    }

    /// The broker, or a node of it, was away at some time between two places.
    pub fn outage_between(&self, from: Place, to: Place) -> Option<&Outage> {
        let is_over = |outage: &Outage| outage.until.is_some_and(|until| until.at <= from.at);
        self.outages.iter().find(|outage| outage.from.at < to.at && !is_over(outage))
    }

    /// The broker, or a node of it, was ended or cut off before this entry. What it refuses from then on shows that it was hurt, and no
    /// feature to be lacking.
    pub fn is_behind_an_outage(&self, at: usize) -> bool {
        self.outages.iter().any(|outage| outage.from.at < at)
    }

    /// A connection that ended here ended with the broker.
    pub fn ended_with_the_broker(&self, place: Place) -> bool {
        self.outages.iter().any(|outage| outage.from.step == place.step)
    }

    /// How much time passed between two entries, where both were measured.
    pub fn elapsed(&self, from: usize, to: usize) -> Option<Duration> {
        let time = |at: usize| self.times.get(at).filter(|time| **time != NOT_MEASURED).map(|time| time.as_duration());
        time(to)?.checked_sub(time(from)?)
    }

    /// The timer of this kind that ran out between two places and was the longest.
    pub fn ran_out(&self, timer: Timer, from: Place, to: Place) -> Option<&Timed> {
        self.timers()
            .filter(|timed| timed.timer == timer && timed.passed && timed.is_between(from, to))
            .max_by_key(|t| t.seconds)
    }

    /// The Session Expiry Interval passed between two connections of one client, as far as anybody measured it.
    pub fn session_has_expired(&self, last: &Connection, next: &Connection) -> bool {
        let end = last.end.unwrap_or(last.opened);
        let timed = self.ran_out(Timer::SessionExpiry, end, next.opened);
        let elapsed = self.elapsed(end.at, next.opened.at);
        timed.is_some_and(|timed| timed.seconds >= last.expiry())
            || elapsed.is_some_and(|elapsed| elapsed >= Duration::from_secs(last.expiry().into()))
    }

    /// At most so much time passed between two places: as measured, or by the timers that ran out in between, each of which
    /// takes somewhat longer than it says, and with some seconds for everything else.
    pub fn at_most_between(&self, from: Place, to: Place) -> Duration {
        if let Some(elapsed) = self.elapsed(from.at, to.at) {
            return elapsed + Duration::from_secs(1);
        }
        let waited = self.timers().filter(|timed| timed.passed && timed.is_between(from, to));
        waited.map(|timed| Duration::from_secs(u64::from(timed.seconds) + 2)).sum::<Duration>() + UNMEASURED
    }

    /// The harness was held up between these entries, so that nothing follows from what did not come in time.
    pub fn was_late_between(&self, from: usize, to: usize) -> bool {
        self.late.iter().any(|(place, _)| (from..=to).contains(&place.at))
    }

    /// A probe behind this entry was not let in either: the broker takes no more connections.
    pub fn has_no_room_at(&self, at: usize) -> bool {
        let behind = self.connections.iter().filter(|connection| connection.opened.at > at);
        let mut probes = behind.filter(|connection| connection.client.as_ref() == PROBE).peekable();
        let is_shut_out = |probe: &Connection| match &probe.connack {
            Some((_, connack)) => has_no_room(connack.code),
            None => true,
        };
        probes.peek().is_some() && probes.all(is_shut_out)
    }

    fn timers(&self) -> impl Iterator<Item = &Timed> {
        self.connections.iter().flat_map(|connection| &connection.timers)
    }
}

/// Takes half of the room of an [`Option`].
const NOT_MEASURED: Time = Time(u64::MAX);

/// How long an experiment may have taken, beside its timers, where nobody measured it.
const UNMEASURED: Duration = Duration::from_secs(30);

impl Publication {
    /// Where its PUBLISH was sent first, or the end that brings a will; `None` for a will that no end has brought.
    pub fn sent(&self) -> Option<Place> {
        self.sendings.first().map(|sending| sending.place)
    }

    /// The index of the entry that shows it: its first PUBLISH, or the CONNECT with the will.
    pub fn at(&self) -> usize {
        self.sent().map_or(0, |place| place.at)
    }

    /// The publisher sent its PUBLISH or its PUBREL again.
    pub fn was_repeated(&self) -> bool {
        self.sendings.len() > 1 || !self.released_again.is_empty()
    }

    /// Both come from the same publisher on the same topic at the same QoS.
    pub fn is_of_same_source(&self, other: &Publication) -> bool {
        (&self.publisher, &self.topic, self.qos) == (&other.publisher, &other.topic, other.qos)
            && self.is_will() == other.is_will()
    }

    /// The other was published by the same source when this one had been sent for the last time.
    pub fn is_before(&self, other: &Publication) -> bool {
        let last = self.sendings.last().zip(other.sendings.first());
        // The cheaper question first: there may be thousands of messages.
        last.is_some_and(|(own, other)| own.place.at < other.place.at) && self.is_of_same_source(other)
    }

    /// One of the messages whose fate the experiment asks about.
    pub fn is_of_experiment(&self) -> bool {
        matches!(self.message, Message::Experiment(_) | Message::Clear(_))
    }

    pub fn is_will(&self) -> bool {
        self.will_of.is_some()
    }

    pub fn is_clearing(&self) -> bool {
        matches!(self.message, Message::Clear(_))
    }
}
