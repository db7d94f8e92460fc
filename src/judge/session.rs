//! The model of Session State: which session a connection belongs to, which subscriptions it has when a message is
//! published, and which retained message a SUBSCRIBE finds. The model follows the standard, not the broker's word.

use super::story::{Connection, Publication, Story, Subscribing};

/// The session of one client, over all connections that resume it.
#[derive(Debug)]
pub struct Session<'a> {
    pub client: &'a str,
    /// Accepted connections, oldest first; never empty.
    pub connections: Vec<&'a Connection>,
    /// The session ended with its last connection, or another one with a clean start followed.
    pub discarded: bool,
}

/// How a publication meets a session.
#[derive(Debug, Clone, Copy)]
pub enum Relation<'a> {
    /// A subscription was in force and the client connected.
    Online(&'a Subscribing),
    /// A subscription was in force and the client away: this is what sessions are for.
    Away(&'a Subscribing),
    /// No subscription was in force, or there was no session.
    None,
}

impl<'a> Relation<'a> {
    pub fn subscription(self) -> Option<&'a Subscribing> {
        match self {
            Relation::Online(subscription) | Relation::Away(subscription) => Some(subscription),
            Relation::None => None,
        }
    }
}

/// The sessions of all clients, in the order in which they began.
pub fn sessions(story: &Story) -> Vec<Session<'_>> {
    let mut sessions: Vec<Session<'_>> = Vec::new();
    for connection in story.connections.iter().filter(|connection| connection.is_accepted()) {
        let client = connection.client.as_ref();
        let before = sessions.iter_mut().rfind(|session| session.client == client);
        match before {
            Some(session) if !connection.connect.clean && session.persists() => session.connections.push(connection),
            before => {
                if let Some(session) = before {
                    session.discarded = true;
                }
                sessions.push(Session { client, connections: vec![connection], discarded: false });
            }
        }
    }
    sessions
}

impl<'a> Session<'a> {
    /// The session is kept when its newest connection ends.
    pub fn persists(&self) -> bool {
        self.connections.last().is_some_and(|connection| connection.session_persists())
    }

    /// Whether this connection resumes a session that another one began.
    pub fn is_resumed_by(&self, connection: &Connection) -> bool {
        self.connections.first().is_some_and(|first| first.opened_at != connection.opened_at)
    }

    pub fn has(&self, connection: &Connection) -> bool {
        self.connections.iter().any(|own| own.opened_at == connection.opened_at)
    }

    /// How the publication meets this session.
    pub fn relation(&self, publication: &Publication) -> Relation<'a> {
        let step = publication.step;
        let Some(current) = self.connections.iter().rfind(|connection| connection.opened_in <= step) else {
            return Relation::None;
        };
        let online = current.ended_in > step || current.left_at.is_none() && current.ended_in == step;
        if !online && (!current.session_persists() || self.ended_before(step)) {
            return Relation::None;
        }
        match self.subscription(&publication.topic, step) {
            Some(subscription) if online => Relation::Online(subscription),
            Some(subscription) => Relation::Away(subscription),
            None => Relation::None,
        }
    }

    /// A clean start of the same client ended this session before the step. Such a connection belongs to the next
    /// session, so it is enough that this one is discarded and has no later connection.
    fn ended_before(&self, step: usize) -> bool {
        self.discarded && self.connections.last().is_some_and(|last| last.ended_in < step && !last.session_persists())
    }

    /// The granted subscription to a topic that is in force in a step. The topics of an experiment have no wildcards.
    fn subscription(&self, topic: &str, step: usize) -> Option<&'a Subscribing> {
        let so_far = || self.connections.iter().filter(|connection| connection.opened_in <= step);
        let subscribed = so_far().flat_map(|connection| &connection.subscribes).rfind(|subscribing| {
            subscribing.topic == topic && subscribing.step <= step && subscribing.granted().is_some()
        })?;
        let ended = so_far()
            .flat_map(|connection| &connection.unsubscribes)
            .any(|(when, filter)| filter == topic && *when >= subscribed.step && *when < step);
        (!ended).then_some(subscribed)
    }

    /// Whether the session subscribed to the topic at any time.
    pub fn had_subscribed(&self, topic: &str) -> bool {
        self.connections
            .iter()
            .flat_map(|connection| &connection.subscribes)
            .any(|subscribing| subscribing.topic == topic)
    }

    /// Whether a subscription to the topic existed before this SUBSCRIBE.
    pub fn had_subscription(&self, subscribing: &Subscribing) -> bool {
        subscribing.step > 1 && self.subscription(&subscribing.topic, subscribing.step - 1).is_some()
    }
}

impl Subscribing {
    /// The granted QoS, if the subscription was granted.
    pub fn granted(&self) -> Option<u8> {
        self.suback.map(|(_, code)| code).filter(|code| *code < 0x80)
    }
}

/// The message that the broker has to have retained for a topic when a step begins: the last one that it accepted.
pub fn retained<'a>(story: &'a Story, topic: &str, step: usize) -> Option<&'a Publication> {
    story.publications.iter().rfind(|publication| {
        publication.retain && publication.topic == topic && publication.step < step && publication.accepted.is_some()
    })
}
