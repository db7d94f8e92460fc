//! The model of sessions and their subscriptions: which connection belongs to which session, and which subscriptions are in
//! force when a message is routed. The model follows the standard, not the broker's word.

mod subscription;

use std::time::Duration;

use super::facts::{Connection, Delivery, Facts, Place, Publication, Subscribing, Timed};
use crate::packet::Protocol;
use crate::scenario::Timer;
use crate::topic;
use subscription::{perhaps_end_all, subscriptions};

pub use subscription::{InForce, Subscription, SubscriptionEnd};

/// The session of one client identifier, over all connections that resume it.
#[derive(Debug)]
pub struct Session<'a> {
    /// The client of its first connection.
    pub client: &'a str,
    /// The client identifier.
    pub id: &'a str,
    /// Accepted connections, oldest first; never empty.
    pub connections: Vec<&'a Connection>,
    /// How the session ended, if it did before the history ends.
    pub end: Option<SessionEnd>,
    /// Every subscription that was granted, in the order of the SUBSCRIBEs.
    pub subscriptions: Vec<Subscription<'a>>,
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEnd {
    /// With its last connection.
    WithConnection(Place),
    /// By a CONNECT that asked for a clean session.
    Discarded(Place),
    /// Its Session Expiry Interval passed: the clock says so, or the broker where no clock tells.
    Expired(Place),
    /// The broker does not have it any more, and says so to this CONNECT.
    Lost(Place),
    /// The same, and the broker was ended since the connection before.
    LostInOutage(Place),
}

impl SessionEnd {
    pub fn place(self) -> Place {
        match self {
            SessionEnd::WithConnection(place)
            | SessionEnd::Discarded(place)
            | SessionEnd::Expired(place)
            | SessionEnd::Lost(place)
            | SessionEnd::LostInOutage(place) => place,
        }
    }
}

/// When a broker may route a message, and when it surely has.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// Not before this.
    pub from: Place,
    /// At the latest in this step.
    pub until: usize,
    /// The connection of the publisher, whose own packets are in order with the message.
    pub connection: usize,
    /// Where the publisher knows that it was taken.
    pub accepted: Option<Place>,
}

/// The sessions of all client identifiers, in the order in which they began. `kept` are connections, by their index, whose
/// Session Present 0 is held to be a lie about a session that is there.
pub fn sessions<'a>(facts: &'a Facts, kept: &[usize]) -> Vec<Session<'a>> {
    let mut sessions: Vec<Session<'a>> = Vec::new();
    for connection in facts.connections.iter().filter(|connection| connection.is_accepted()) {
        let before = sessions.iter_mut().rfind(|session| *session.id == *connection.id);
        let Some(session) = before else {
            sessions.push(Session::begun_by(connection));
            continue;
        };
        match session.fate_at(facts, connection) {
            None if connection.session_present() || kept.contains(&connection.index) => {
                session.connections.push(connection);
            }
            // What the broker has lost is one finding; whatever follows begins anew.
            fate => {
                let last = session.connections[session.connections.len() - 1];
                let lost = match facts.outage_between(last.opened, connection.opened).is_some() {
                    true => SessionEnd::LostInOutage(connection.opened),
                    false => SessionEnd::Lost(connection.opened),
                };
                session.end = Some(fate.unwrap_or(lost));
                sessions.push(Session::begun_by(connection));
            }
        }
    }
    for session in &mut sessions {
        let last = session.connections[session.connections.len() - 1];
        if session.end.is_none() && !last.session_persists() {
            session.end = last.end.map(SessionEnd::WithConnection);
        }
        session.subscriptions = subscriptions(&session.connections);
        for own in facts.connections.iter().filter(|own| *own.id == *session.id && own.is_unanswered_clean()) {
            if session.connections.iter().any(|later| later.index > own.index) {
                perhaps_end_all(&mut session.subscriptions, own);
            }
        }
    }
    sessions
}

/// Connections whose CONNACK denies a session that the model knows.
pub fn denials(facts: &Facts) -> Vec<usize> {
    let lost = sessions(facts, &[]).into_iter().filter_map(|session| match session.end {
        Some(SessionEnd::Lost(place)) => Some(place),
        _ => None,
    });
    let lost: Vec<Place> = lost.collect();
    facts.connections.iter().filter(|c| lost.contains(&c.opened)).map(|connection| connection.index).collect()
}

impl<'a> Session<'a> {
    fn begun_by(connection: &'a Connection) -> Session<'a> {
        Session {
            client: connection.client.as_ref(),
            id: connection.id.as_ref(),
            connections: vec![connection],
            end: None,
            subscriptions: Vec::new(),
        }
    }

    /// How the session has ended when a client connects; `None` if it goes on by the model.
    fn fate_at(&self, facts: &Facts, next: &Connection) -> Option<SessionEnd> {
        let last = self.connections[self.connections.len() - 1];
        let end = last.end.unwrap_or(next.opened);
        // A connection that is still open when another one takes it over has a session that no timer has ended.
        let is_open = last.taken_over == Some(next.opened);
        let goes_on_in_spite = last.may_have_left_in_vain() && next.session_present();
        if !last.session_persists() && !goes_on_in_spite {
            return Some(SessionEnd::WithConnection(end));
        }
        if next.connect.clean {
            return Some(SessionEnd::Discarded(next.opened));
        }
        let denied = || (!next.session_present()).then_some(SessionEnd::Expired(next.opened));
        if self.may_have_been_discarded(facts, next) {
            return denied();
        }
        if is_open || last.expiry() == u32::MAX {
            return None;
        }
        match (self.ran_out(facts, next), self.has_not_run_out(facts, next)) {
            (Some(timed), _) => Some(SessionEnd::Expired(timed.place)),
            (None, true) => None,
            // No clock tells: the broker's word counts.
            (None, false) => denied(),
        }
    }

    /// Nobody knows whether the broker has read what would have ended the session: a CONNECT without its CONNACK, or the DISCONNECT with
    /// another Session Expiry Interval.
    fn may_have_been_discarded(&self, facts: &Facts, next: &Connection) -> bool {
        let last = self.connections[self.connections.len() - 1];
        let mut between = facts.connections[last.index + 1..next.index].iter().filter(|own| *own.id == *self.id);
        between.any(|own| own.is_unanswered_clean() || own.connack.is_none() && !own.session_persists())
            || last.may_have_left_in_vain() && last.expiry_at_end.is_some()
    }

    /// By the clock the session's interval has passed before this connection (5.0 MQTT-4.1.0-2).
    fn ran_out(&self, facts: &'a Facts, next: &Connection) -> Option<&'a Timed> {
        let last = self.connections[self.connections.len() - 1];
        let timed = facts.ran_out(Timer::SessionExpiry, last.end.unwrap_or(last.opened), next.opened);
        timed.filter(|timed| timed.seconds >= last.expiry())
    }

    /// By the clock the interval had not passed at this connection.
    fn has_not_run_out(&self, facts: &Facts, next: &Connection) -> bool {
        let last = self.connections[self.connections.len() - 1];
        let told = next.timers.iter().any(|timed| timed.timer == Timer::SessionExpiry && !timed.passed);
        let end = last.end.unwrap_or(last.opened);
        told || facts.at_most_between(end, next.opened) < Duration::from_secs(last.expiry().into())
    }

    pub fn is_of(&self, client: &str) -> bool {
        self.connections.iter().any(|connection| connection.client.as_ref() == client)
    }

    pub fn protocol(&self) -> Protocol {
        self.connections[0].protocol()
    }

    /// This connection resumes a session that another one began.
    pub fn is_resumed_by(&self, connection: &Connection) -> bool {
        self.connections[0].index != connection.index
    }

    pub fn has(&self, connection: &Connection) -> bool {
        self.connections.iter().any(|own| own.index == connection.index)
    }

    /// The connection of this session before another one.
    pub fn before(&self, connection: &Connection) -> Option<&'a Connection> {
        self.connections.iter().rfind(|own| own.index < connection.index).copied()
    }

    /// The connection with this index among [`Facts::connections`].
    pub fn connection(&self, index: usize) -> Option<&'a Connection> {
        self.connections.iter().find(|own| own.index == index).copied()
    }

    /// The client is connected in a step; `None` where there is no session.
    pub fn presence(&self, step: usize) -> Option<bool> {
        let current = self.connections.iter().rfind(|connection| connection.opened.step <= step)?;
        let left_by_client = current.left.is_some() || current.closed.is_some();
        let online = current.ended_in() > step || !left_by_client && current.ended_in() == step;
        (online || current.session_persists()).then_some(online)
    }

    /// Every delivery of the session, in order.
    pub fn deliveries(&self) -> impl Iterator<Item = (&'a Connection, &'a Delivery)> + '_ {
        self.connections
            .iter()
            .flat_map(|connection| connection.deliveries.iter().map(|delivery| (*connection, delivery)))
    }

    /// The subscriptions, not shared, that a message meets when it is routed in this span: one entry for each filter. Those with
    /// No Local meet no message of their own client (5.0 MQTT-3.8.3-3).
    pub fn in_force(&self, publication: &Publication, span: Span) -> Vec<InForce<'a>> {
        if self.end.is_some_and(|end| end.place().step < span.from.step) || self.connections[0].opened.step > span.until
        {
            return Vec::new();
        }
        let is_own = *publication.publisher_id == *self.id;
        let mut filters: Vec<InForce<'a>> = Vec::new();
        for subscription in &self.subscriptions {
            let options = &subscription.subscribing.filter;
            if !subscription.subscribing.matches(&publication.topic) || is_own && options.no_local {
                continue;
            }
            let (sure, maybe) = subscription.is_in_force(span);
            let known = filters.iter_mut().find(|own| own.filter == subscription.filter());
            match known {
                None if maybe => {
                    filters.push(InForce {
                        filter: subscription.filter(),
                        sure,
                        versions: vec![*subscription],
                        later: Vec::new(),
                    });
                }
                Some(known) if maybe => {
                    let replaced =
                        known.versions.last().and_then(|last| last.end).is_some_and(|end| !end.by_unsubscribe);
                    known.sure |= sure || replaced && known.versions[0].has_begun(span) && subscription.end.is_none();
                    known.versions.push(*subscription);
                }
                Some(known) => known.later.push(*subscription),
                None => {}
            }
        }
        let outlives = self.outlives(span);
        filters.iter_mut().for_each(|filter| filter.sure &= outlives);
        filters
    }

    /// The session is there at any time of the span.
    pub fn outlives(&self, span: Span) -> bool {
        let opened = self.connections[0].opened;
        let taken = span.accepted.map_or(usize::MAX, |accepted| accepted.step);
        let begun = opened.step < span.from.step || self.connections[0].index == span.connection;
        begun && self.end.is_none_or(|end| end.place().step > taken)
    }

    /// The shared subscriptions that match a topic.
    pub fn shares(&self, topic: &str) -> impl Iterator<Item = &Subscription<'a>> {
        self.subscriptions.iter().filter(move |own| own.is_shared() && topic::matches(own.filter(), topic))
    }

    /// The shared subscription may have been in force in the span (second), or was for sure (first).
    pub fn shares_in(&self, subscription: &Subscription<'_>, span: Span) -> (bool, bool) {
        let (sure, maybe) = subscription.is_in_force(span);
        let alive = self.end.is_none_or(|end| end.place().step >= span.from.step);
        (sure && self.outlives(span), maybe && alive)
    }

    /// Some subscription of this session, at any time and of any kind, matches the topic.
    pub fn had_subscribed(&self, topic: &str) -> bool {
        let mut asked = self.connections.iter().flat_map(|connection| &connection.subscribes);
        asked.any(|subscribing| topic::matches(&subscribing.filter.filter, topic))
    }

    /// A subscription with the same filter existed before this SUBSCRIBE: `Some(true)` for sure, `None` where an UNSUBSCRIBE
    /// without its answer, or one that was refused, leaves it open.
    pub fn had_subscription(&self, subscribing: &Subscribing) -> Option<bool> {
        let same = |own: &&Subscription<'_>| {
            own.filter() == subscribing.filter.filter
                && (own.subscribing.sent.at, own.subscribing.number) < (subscribing.sent.at, subscribing.number)
        };
        let Some(earlier) = self.subscriptions.iter().rfind(same) else { return Some(false) };
        match earlier.end {
            Some(end) if end.by_unsubscribe && end.sent.at < subscribing.sent.at => {
                let was_done =
                    |c: &Connection| c.unsubscribes.iter().any(|own| own.sent == end.sent && !own.is_refused);
                let here = self.connections.iter().any(|c| {
                    c.index == end.connection && was_done(c) && c.subscribes.iter().any(|s| s.sent == subscribing.sent)
                });
                if here || end.done.is_some() { Some(false) } else { None }
            }
            _ => earlier.subscribing.suback.map(|_| true),
        }
    }
}
