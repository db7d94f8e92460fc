//! The model of Session State: which session a connection belongs to, which subscriptions it has when a message is
//! published, and which retained message a SUBSCRIBE finds. The model follows the standard, not the broker's word.

use super::story::{Connection, Delivery, Publication, Story, Subscribing, Timed};
use crate::history::Message;
use crate::scenario::Timer;
use crate::topic;

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
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEnd {
    /// With its last connection, or by a clean start that followed.
    Discarded,
    /// Its Session Expiry Interval passed: the place where the clock says so.
    Expired(usize),
    /// The broker does not have it any more, and says so to the connection that was opened at this place.
    Lost(usize),
}

/// How a publication meets a session: the subscriptions that were in force, and whether the client was there.
#[derive(Debug, Clone, Default)]
pub struct Match<'a> {
    pub online: bool,
    /// Not the shared ones.
    pub subscriptions: Vec<&'a Subscribing>,
}

impl Match<'_> {
    /// The highest QoS that was granted.
    pub fn granted(&self) -> Option<u8> {
        self.subscriptions.iter().filter_map(|subscription| subscription.granted()).max()
    }

    pub fn is_none(&self) -> bool {
        self.subscriptions.is_empty()
    }

    /// The client was away: this is what sessions are for.
    pub fn is_away(&self) -> bool {
        !self.is_none() && !self.online
    }
}

/// The sessions of all client identifiers, in the order in which they began.
pub fn sessions(story: &Story) -> Vec<Session<'_>> {
    let mut sessions: Vec<Session<'_>> = Vec::new();
    for connection in story.connections.iter().filter(|connection| connection.is_accepted()) {
        let id = connection.id.as_str();
        let before = sessions.iter_mut().rfind(|session| session.id == id);
        let expired = before.as_ref().and_then(|session| session.expired_at(story, connection));
        match before {
            Some(session) if session.goes_on_with(connection) && expired.is_none() => {
                if connection.session_present() || shows_a_session(connection) {
                    session.connections.push(connection);
                } else {
                    // What the broker has lost is one finding; whatever follows begins anew.
                    session.end = Some(SessionEnd::Lost(connection.opened_at));
                    let client = connection.client.as_ref();
                    sessions.push(Session { client, id, connections: vec![connection], end: None });
                }
            }
            before => {
                if let Some(session) = before {
                    session.end = Some(expired.map_or(SessionEnd::Discarded, SessionEnd::Expired));
                }
                let client = connection.client.as_ref();
                sessions.push(Session { client, id, connections: vec![connection], end: None });
            }
        }
    }
    sessions
}

/// A message came without a SUBSCRIBE on this connection: by a subscription that only an earlier one can have made.
pub fn shows_a_session(connection: &Connection) -> bool {
    connection.deliveries.iter().any(|delivery| {
        let asked = connection.subscribes.iter().any(|s| s.matches(&delivery.topic) && s.at < delivery.at);
        let ours = matches!(delivery.message, Some(message) if !matches!(message, Message::Will(_)));
        ours && !delivery.publish.retain && !asked
    })
}

impl<'a> Session<'a> {
    /// Where the clock says that the session has expired before this connection (5.0 MQTT-4.1.0-2).
    fn expired_at(&self, story: &Story, next: &Connection) -> Option<usize> {
        let last = self.connections.last()?;
        let (from, until) = (last.opened_at, next.opened_at);
        let is_expiry = |timed: &&Timed| {
            timed.timer == Timer::SessionExpiry
                && timed.passed
                && timed.seconds >= last.expiry()
                && timed.step > last.ended_in
        };
        let mut timers = story.connections.iter().flat_map(|connection| &connection.timers);
        timers.find(|timed| is_expiry(timed) && (from..until).contains(&timed.at)).map(|timed| timed.at)
    }

    /// The connection resumes this session. Where the interval is short and no clock tells, the broker's word counts.
    fn goes_on_with(&self, next: &Connection) -> bool {
        let Some(last) = self.connections.last() else { return false };
        let still_open = last.taken_over_at == Some(next.opened_at);
        let is_sure = still_open || last.expiry() >= LONG_EXPIRY_S || self.has_not_expired(next);
        !next.connect.clean && last.session_persists() && (is_sure || next.session_present())
    }

    /// The clock says that the interval had not passed at this connection.
    fn has_not_expired(&self, next: &Connection) -> bool {
        next.timers.iter().any(|timed| timed.timer == Timer::SessionExpiry && !timed.passed)
    }

    pub fn is_of(&self, client: &str) -> bool {
        self.connections.iter().any(|connection| connection.client.as_ref() == client)
    }

    /// Whether this connection resumes a session that another one began.
    pub fn is_resumed_by(&self, connection: &Connection) -> bool {
        self.connections.first().is_some_and(|first| first.opened_at != connection.opened_at)
    }

    pub fn has(&self, connection: &Connection) -> bool {
        self.connections.iter().any(|own| own.opened_at == connection.opened_at)
    }

    /// The connection of this session before another one.
    pub fn before(&self, connection: &Connection) -> Option<&'a Connection> {
        self.connections.iter().rfind(|own| own.opened_at < connection.opened_at).copied()
    }

    /// How the publication meets this session.
    pub fn relation(&self, publication: &Publication) -> Match<'a> {
        let Some(online) = self.presence(publication.step) else { return Match::default() };
        let reaches = |subscription: &&Subscribing| {
            let is_own = publication.publisher_id == self.id && subscription.filter.no_local;
            subscription.matches(&publication.topic) && !is_own
        };
        let subscriptions = self.subscriptions(publication.step).into_iter().filter(reaches).collect();
        Match { online, subscriptions }
    }

    /// Whether the client is connected in a step; `None` where there is no session.
    pub fn presence(&self, step: usize) -> Option<bool> {
        let current = self.connections.iter().rfind(|connection| connection.opened_in <= step)?;
        let online = current.ended_in > step
            || current.left_at.is_none() && current.closed_at.is_none() && current.ended_in == step;
        (online || current.session_persists()).then_some(online)
    }

    /// The granted subscriptions that are in force in a step, one for each filter.
    pub fn subscriptions(&self, step: usize) -> Vec<&'a Subscribing> {
        let so_far = || self.connections.iter().filter(|connection| connection.opened_in <= step);
        let mut newest: Vec<&'a Subscribing> = Vec::new();
        let granted = |subscribing: &&Subscribing| subscribing.step <= step && subscribing.granted().is_some();
        for subscribing in so_far().flat_map(|connection| &connection.subscribes).filter(granted) {
            newest.retain(|other| other.filter.filter != subscribing.filter.filter);
            newest.push(subscribing);
        }
        let ended = |subscribed: &&Subscribing| {
            so_far().flat_map(|connection| &connection.unsubscribes).any(|unsubscribing| {
                unsubscribing.filter == subscribed.filter.filter
                    && unsubscribing.at > subscribed.at
                    && unsubscribing.step < step
            })
        };
        newest.retain(|subscribed| !ended(subscribed));
        newest
    }

    /// The SUBSCRIBEs of this session, at any time, whose filter matches the topic; shared ones too.
    pub fn had_subscribed(&self, topic: &str) -> bool {
        self.connections
            .iter()
            .flat_map(|connection| &connection.subscribes)
            .any(|subscribing| topic::matches(&subscribing.filter.filter, topic))
    }

    /// Whether a subscription with the same filter existed before this SUBSCRIBE.
    pub fn had_subscription(&self, subscribing: &Subscribing) -> bool {
        let before = self.subscriptions(subscribing.step.saturating_sub(1));
        before.iter().any(|other| other.filter.filter == subscribing.filter.filter)
    }

    /// The UNSUBSCRIBE that ended a subscription to the topic before a step, unless one is in force.
    pub fn unsubscribed(&self, topic: &str, step: usize) -> Option<(&'a Connection, usize)> {
        if self.subscriptions(step).iter().any(|subscription| subscription.matches(topic)) {
            return None;
        }
        let ended = |connection: &&'a Connection| {
            let connection = *connection;
            let own = connection
                .unsubscribes
                .iter()
                .rfind(|unsubscribing| topic::matches(&unsubscribing.filter, topic) && unsubscribing.step < step)?;
            Some((connection, own.at))
        };
        self.connections.iter().rev().find_map(ended)
    }

    /// What was sent to the client before a connection and left without its last answer, oldest first; of a message that
    /// was sent several times the newest copy.
    pub fn under_way(&self, connection: &Connection) -> Vec<(&'a Connection, &'a Delivery)> {
        let mut under_way: Vec<(&'a Connection, &'a Delivery)> = Vec::new();
        let before = self.connections.iter().filter(|own| own.opened_at < connection.opened_at);
        for own in before {
            for delivery in own.deliveries.iter().filter(|delivery| delivery.publish.qos > 0) {
                let same_message = |other: &Delivery| {
                    other.publish.payload == delivery.publish.payload && other.topic == delivery.topic
                };
                let same_id = |other: &Delivery| other.publish.id == delivery.publish.id;
                let by_id = under_way.iter().position(|(_, other)| same_id(other) && same_message(other));
                // A broker that sends it again under another identifier breaks a rule, and still goes on with it.
                let by_message = || under_way.iter().position(|(_, other)| delivery.publish.dup && same_message(other));
                match by_id.or_else(by_message) {
                    // What is sent again keeps its place.
                    Some(place) => under_way[place] = (own, delivery),
                    None => {
                        under_way.retain(|(_, other)| other.publish.id != delivery.publish.id);
                        under_way.push((own, delivery));
                    }
                }
            }
            // A PUBCOMP for a PUBREL that was sent again ends it too.
            under_way.retain(|(of, delivery)| {
                !(of.opened_at < own.opened_at && own.pubrels.iter().any(|(_, id)| *id == delivery.publish.id))
            });
        }
        under_way.retain(|(_, delivery)| !delivery.complete);
        under_way
    }
}

/// From this Session Expiry Interval on, in seconds, no experiment lasts long enough.
const LONG_EXPIRY_S: u32 = 3600;

/// The message that the broker has to have retained for a topic when a step begins: the last one that it accepted, unless
/// that cleared the topic.
pub fn retained<'a>(story: &'a Story, topic: &str, step: usize) -> Option<&'a Publication> {
    last_retaining(story, topic, step).filter(|publication| !matches!(publication.message, Message::Clear(_)))
}

/// The last accepted message with RETAIN 1 on a topic before a step, whether it stored or cleared.
pub fn last_retaining<'a>(story: &'a Story, topic: &str, step: usize) -> Option<&'a Publication> {
    story.publications.iter().rfind(|publication| {
        publication.retain && publication.topic == topic && publication.step < step && publication.accepted.is_some()
    })
}

/// The topics that hold a retained message when a step begins, and that the filter matches.
pub fn retained_topics<'a>(story: &'a Story, filter: &str, step: usize) -> Vec<&'a Publication> {
    let mut topics: Vec<&str> = story.publications.iter().map(|publication| publication.topic.as_str()).collect();
    topics.sort_unstable();
    topics.dedup();
    topics
        .into_iter()
        .filter(|topic| topic::matches(filter, topic))
        .filter_map(|topic| retained(story, topic, step))
        .collect()
}
