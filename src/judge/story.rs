//! Reads a history into what the rules ask about: connections, publications and deliveries, with the places of the
//! events that show them.

mod connection;
mod reading;

use crate::history::{Client, History, Message};
use crate::packet::{Properties, Publish};

pub use connection::{Connection, Delivery, IDENTIFIER_REJECTED, Subscribing, Timed, Unsubscribing};

/// The facts of one attempt at one cell.
#[derive(Debug, Default)]
pub struct Story {
    /// In order of opening; those of one client follow one another in time.
    pub connections: Vec<Connection>,
    /// In order of publication per publisher.
    pub publications: Vec<Publication>,
    /// The witness's copies: place, step and packet.
    pub witnessed: Vec<(usize, usize, Publish)>,
    /// How many steps were begun.
    pub steps: usize,
    /// Not all steps of the scenario were played.
    pub stopped: bool,
}

/// A message of ours that a client published.
#[derive(Debug)]
pub struct Publication {
    pub message: Message,
    pub publisher: Client,
    /// The client identifier of the publisher.
    pub publisher_id: String,
    pub topic: String,
    pub qos: u8,
    pub retain: bool,
    pub properties: Properties,
    /// To how many bytes its payload was filled up, if it was.
    pub bytes: Option<usize>,
    pub at: usize,
    pub step: usize,
    /// The place of the PUBACK or PUBCOMP, or at QoS 0 of a PINGRESP later on the same connection.
    pub accepted: Option<usize>,
    /// The place and the code of a PUBACK or PUBREC that refused it.
    pub refused: Option<(usize, u8)>,
    /// The place of a PUBACK where PUBREC was due: the broker took the message, by another protocol than its QoS demands.
    pub misanswered: Option<usize>,
    /// Where the publisher sent it again, with DUP 1.
    pub resent: Vec<usize>,
    /// Where the publisher sent its PUBREL again, on a further connection.
    pub released_again: Vec<usize>,
    /// The step in which the witness had its copy.
    pub witnessed_in: Option<usize>,
    pub id: u16,
    /// The same publisher had used the Packet Identifier before, for a message that was done with.
    pub reuses_id: bool,
}

impl Story {
    pub fn read(history: &History) -> Story {
        let mut story = Story::default();
        for (at, event) in history.events().enumerate() {
            story.note(at, event);
        }
        story
    }

    /// The connections of one client, oldest first.
    pub fn connections_of(&self, client: &str) -> impl Iterator<Item = &Connection> {
        self.connections.iter().filter(move |connection| connection.client.as_ref() == client)
    }

    /// The publication that a delivered message comes from. A payload of zero bytes comes from the latest of its topic.
    pub fn publication(&self, delivery: &Delivery) -> Option<&Publication> {
        match delivery.message {
            Some(message) => self.publications.iter().find(|publication| publication.message == message),
            None if delivery.publish.payload.is_empty() => self.publications.iter().rfind(|p| {
                matches!(p.message, Message::Clear(_)) && p.topic == delivery.topic && p.step <= delivery.step
            }),
            None => None,
        }
    }

    /// The client whose fate the experiment is about: the first to subscribe.
    pub fn subject(&self) -> Option<&Client> {
        let subscribed = self.connections.iter().find(|connection| !connection.subscribes.is_empty());
        subscribed.or(self.connections.first()).map(|connection| &connection.client)
    }
}

impl Publication {
    /// The publisher sent its PUBLISH or its PUBREL again.
    pub fn was_repeated(&self) -> bool {
        !self.resent.is_empty() || !self.released_again.is_empty()
    }

    /// Both come from the same publisher on the same topic at the same QoS.
    pub fn is_of_same_source(&self, other: &Publication) -> bool {
        (&self.publisher, &self.topic, self.qos) == (&other.publisher, &other.topic, other.qos)
    }

    /// One of the messages whose fate the experiment asks about.
    pub fn is_of_experiment(&self) -> bool {
        matches!(self.message, Message::Experiment(_) | Message::Clear(_))
    }
}
