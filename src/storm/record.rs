//! What is kept of a session: enough to write its history, in few bytes.

use std::time::Duration;

use super::experiment::SUBSCRIBER;
use crate::connection::{End, Incoming};
use crate::history::{Event, Excess, Message, Time};
use crate::packet::{Connack, Packet, Properties, Publish, Suback, Values};
use crate::run::Names;

/// A session, what was published for it, and the connections of its subscriber.
#[derive(Debug, Default)]
pub struct Session {
    pub number: u32,
    /// The connection on which it subscribed.
    pub parked: Option<Visit>,
    /// Its messages in the order of publication.
    pub sent: Vec<Sent>,
    /// The message behind them that shows what is missing, where one was sent.
    pub fence: Option<Sent>,
    /// The publisher of its messages, by its place.
    pub publisher: usize,
    /// The connections with which it came back: more than one where they broke.
    pub returned: Vec<Visit>,
}

/// A message that was published for a session. The places count what its publisher did, from 1; 0 is never.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sent {
    pub id: u16,
    /// The connection of the publisher, from 1.
    pub connection: u16,
    /// When PUBLISH was sent.
    pub sent: u32,
    /// When PUBREC came; PUBREL was sent at once.
    pub received: u32,
    /// When PUBACK or PUBCOMP came, or a PUBREC that refuses.
    pub done: u32,
    /// The code of the last of these.
    pub reason: u8,
}

impl Sent {
    /// The broker took it over.
    pub fn is_accepted(&self) -> bool {
        self.done > 0 && self.reason < 0x80
    }

    /// The broker refused it.
    pub fn is_refused(&self) -> bool {
        self.done > 0 && self.reason >= 0x80
    }
}

/// One connection of a subscriber to which the broker answered with a CONNACK that accepts.
#[derive(Debug)]
pub struct Visit {
    /// When a CONNECT before this one was sent that was never answered, as below: the broker may have taken it.
    pub unanswered: Option<u32>,
    /// Since the storm began, in tenths of a millisecond.
    pub began: u32,
    pub answered: u32,
    pub connack: Connack,
    /// What came in order, and when the answers to it were on the wire.
    pub seen: Vec<Seen>,
    /// The client said DISCONNECT before this many of these.
    pub disconnected: Option<u32>,
    /// When the client looked for the last time, and nothing more had come.
    pub watched_until: u32,
}

/// What was seen on a connection; `at` is as in [`Visit`].
#[derive(Debug)]
pub enum Seen {
    /// A message of the session's own.
    Message {
        at: u32,
        /// 0 is the fence.
        number: u32,
        id: u16,
        flags: u8,
        /// Some brokers add User Properties of their own.
        properties: Properties,
    },
    Pubrel {
        at: u32,
        id: u16,
    },
    Suback {
        at: u32,
        code: u8,
    },
    /// Everything so far that calls for an answer has it.
    Answered {
        at: u32,
    },
    Ended {
        at: u32,
        end: End,
    },
    /// Whatever else came, as it stands in the history.
    Other {
        at: u32,
        event: Box<Event>,
    },
}

/// DUP and RETAIN in the flags of a message; the QoS stands in the last two bits.
pub const DUP: u8 = 8;
pub const RETAIN: u8 = 4;

impl Seen {
    /// What a PUBLISH is to this session: a message of its own, if it is whole.
    pub fn of_publish(at: u32, names: &Names, topic: &str, size: usize, publish: &Publish) -> Option<Seen> {
        let message = names.local_payload(&publish.payload).ok().filter(|_| publish.topic == topic)?;
        let number = match message {
            Message::Experiment(number) if publish.payload.len() == names.payload(message, size).len() => number,
            Message::Fence(1) => 0,
            _ => return None,
        };
        let flags = (u8::from(publish.dup) * DUP) | (u8::from(publish.retain) * RETAIN) | publish.qos;
        Some(Seen::Message { at, number, id: publish.id, flags, properties: publish.properties.clone() })
    }

    pub fn at(&self) -> u32 {
        match self {
            Seen::Message { at, .. }
            | Seen::Pubrel { at, .. }
            | Seen::Suback { at, .. }
            | Seen::Answered { at }
            | Seen::Ended { at, .. }
            | Seen::Other { at, .. } => *at,
        }
    }
}

impl Session {
    /// Every connection of its subscriber.
    pub fn visits(&self) -> impl Iterator<Item = &Visit> {
        self.parked.iter().chain(&self.returned)
    }
}

impl Visit {
    pub fn new(unanswered: Option<u32>, began: u32, answered: u32, connack: Connack) -> Visit {
        Visit { unanswered, began, answered, connack, seen: Vec::new(), disconnected: None, watched_until: 0 }
    }

    /// The numbers of the messages that came, in order, with their flags; the fence is not among them.
    pub fn messages(&self) -> impl Iterator<Item = (u32, u8)> {
        self.seen.iter().filter_map(|seen| match seen {
            Seen::Message { number, flags, .. } if *number > 0 => Some((*number, *flags)),
            _ => None,
        })
    }

    /// The code of the SUBACK.
    pub fn granted(&self) -> Option<u8> {
        self.seen.iter().find_map(|seen| match seen {
            Seen::Suback { code, .. } => Some(*code),
            _ => None,
        })
    }

    /// True if the client still listened when nothing had come for so long.
    pub fn is_settled(&self, settle: Duration) -> bool {
        let last = self.seen.last().map_or(self.answered, Seen::at);
        !self.has_ended() && self.watched_until.saturating_sub(last) >= ticks(settle)
    }

    /// The connection is over.
    pub fn has_ended(&self) -> bool {
        matches!(self.seen.last(), Some(Seen::Ended { .. }))
    }

    /// How many messages came at QoS 2 for which no PUBREL did.
    pub fn open_handshakes(&self) -> usize {
        let (mut received, mut released) = (0_usize, 0_usize);
        for seen in &self.seen {
            match seen {
                Seen::Message { flags, .. } => received += usize::from(flags & 3 == 2),
                Seen::Pubrel { .. } => released += 1,
                _ => {}
            }
        }
        received.saturating_sub(released)
    }

    /// Something came that no session of a storm should see.
    pub fn is_odd(&self) -> bool {
        self.seen.iter().any(|seen| match seen {
            Seen::Other { .. } => true,
            Seen::Message { properties, .. } => {
                let user = Values { user: properties.user.clone(), ..Values::default() };
                *properties != Properties::from(user)
            }
            _ => false,
        })
    }
}

/// A time since the storm began as records have it.
pub fn ticks(since: Duration) -> u32 {
    u32::try_from(Time::from(since).0).unwrap_or(u32::MAX)
}

/// Whatever came that is no message of the session's own. Behind bytes that are no packet comes the end.
pub fn seen(at: u32, incoming: Incoming) -> Seen {
    let client = || SUBSCRIBER.into();
    let event = match incoming {
        Incoming::Packet(Packet::Suback(Suback { id: 1, codes }), _) if codes.len() == 1 => {
            return Seen::Suback { at, code: codes[0] };
        }
        Incoming::End(end) => return Seen::Ended { at, end },
        Incoming::Packet(packet, _) => Event::Received(client(), packet),
        Incoming::Undecodable { bytes, why } => Event::Undecodable(client(), bytes, why),
        Incoming::TooLong(bytes) => Event::WithoutEnd(client(), Excess::Packet(bytes)),
    };
    Seen::Other { at, event: Box::new(event) }
}
