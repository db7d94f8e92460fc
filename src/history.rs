//! What went over the wire in one cell, in order, and what the harness saw beside it.
//!
//! The text form, one line an event, is the canonical one: it can be read without the code, it is what the results file
//! keeps, and the judge sees nothing else. Names of clients, topics and messages are those of the scenario, never those
//! of the run.

mod canonical;
mod text;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

pub use canonical::{Recorded, canonical};

use crate::connection::End;
use crate::packet::Packet;
use crate::scenario::Timer;

/// The events of one cell, or of one attempt at it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    pub events: Vec<Event>,
}

/// The name of a client in the scenario; `witness` is the harness's own.
pub type Client = Arc<str>;

/// The name under which the witness stands in a history.
pub const WITNESS: &str = "witness";

/// The name of the client that asks, before the first cell, for the protocol versions of the broker. It stands alone in
/// the history of a cell whose version was refused.
pub const PROBE: &str = "probe";

/// The topic of the will that proves that the broker has noticed the end of a connection, where the scenario's client
/// has no will of its own. Its publication at the witness is the proof.
pub const PROOF_WILL_TOPIC: &str = "gone";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The cell is tried for the n-th time, with client ids and topics of its own.
    Attempt(u32),
    /// A step of the scenario begins, and everything of the step before it is finished.
    Step(String),
    Sent(Client, Packet),
    /// The first half of a packet was sent, and the rest was not.
    Half(Client, Packet),
    Received(Client, Packet),
    /// The broker ended the client's Network Connection.
    Ended(Client, End),
    /// The client ended its Network Connection without a DISCONNECT.
    Closed(Client, End),
    /// Bytes that are no packet came in.
    Undecodable(Client, Vec<u8>),
    /// An answer did not come before the deadline.
    Missing(Client, Awaited),
    /// No Network Connection could be opened.
    Unreachable(Client),
    /// One settle window passed in which nothing arrived any more.
    Settled(Client),
    /// By the harness's clock a timer of the protocol, which the client or its messages set, has run out or has not.
    Timed {
        client: Client,
        timer: Timer,
        seconds: u32,
        passed: bool,
    },
    /// The broker's CONNACK announced that it does not take what the client was to send; the rest says what.
    Withheld(Client, String),
    /// The harness itself could not go on; the rest is its reason.
    Broken(String),
    /// The steps that follow were not played, for what the events before this one show.
    Stopped,
}

/// An answer that a client waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaited {
    /// The packet type in the standard's spelling, `end` for the end of the connection, `fence`, or `will`.
    pub packet: String,
    /// The Packet Identifier it must carry.
    pub id: Option<u16>,
}

impl Event {
    /// The client of the event, if it is a client's.
    pub fn client(&self) -> Option<&Client> {
        match self {
            Event::Attempt(_) | Event::Step(_) | Event::Broken(_) | Event::Stopped => None,
            Event::Sent(client, _)
            | Event::Half(client, _)
            | Event::Received(client, _)
            | Event::Ended(client, _)
            | Event::Closed(client, _)
            | Event::Undecodable(client, _)
            | Event::Missing(client, _)
            | Event::Unreachable(client)
            | Event::Settled(client)
            | Event::Timed { client, .. }
            | Event::Withheld(client, _) => Some(client),
        }
    }

    /// The same, to give the event to another client.
    pub fn client_mut(&mut self) -> Option<&mut Client> {
        match self {
            Event::Attempt(_) | Event::Step(_) | Event::Broken(_) | Event::Stopped => None,
            Event::Sent(client, _)
            | Event::Half(client, _)
            | Event::Received(client, _)
            | Event::Ended(client, _)
            | Event::Closed(client, _)
            | Event::Undecodable(client, _)
            | Event::Missing(client, _)
            | Event::Unreachable(client)
            | Event::Settled(client)
            | Event::Timed { client, .. }
            | Event::Withheld(client, _) => Some(client),
        }
    }

    /// The packet of the event, if it has a whole one.
    pub fn packet(&self) -> Option<&Packet> {
        match self {
            Event::Sent(_, packet) | Event::Received(_, packet) => Some(packet),
            _ => None,
        }
    }
}

/// A message of the experiment's, as it stands in the payload of a PUBLISH in a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Message {
    /// The n-th of the messages whose fate the experiment asks about, from 1.
    Experiment(u32),
    /// Sent while the subscriber is online, to prove that the subscription is in force.
    LoopBack(u32),
    /// Sent after the subscriber's return, to prove that what was queued before it has come.
    Fence(u32),
    /// The will of the n-th CONNECT that has one.
    Will(u32),
    /// The n-th message with a payload of zero bytes, which clears a retained message.
    Clear(u32),
}

/// What stands between a message and the number of bytes that it was filled up to.
const FILLED: char = '~';

impl Message {
    /// Reads the payload of a PUBLISH in a history; `None` is a payload that is not ours.
    pub fn of(payload: &[u8]) -> Option<Message> {
        let text = std::str::from_utf8(payload).ok()?;
        text.split_once(FILLED).map_or(text, |(message, _)| message).parse().ok()
    }

    /// The payload in a history of a message that was filled up to so many bytes on the wire.
    pub fn filled(self, bytes: usize) -> Vec<u8> {
        format!("{self}{FILLED}{bytes}").into_bytes()
    }

    /// To how many bytes a payload in a history was filled up on the wire, if it was.
    pub fn bytes_filled(payload: &[u8]) -> Option<usize> {
        std::str::from_utf8(payload).ok()?.split_once(FILLED)?.1.parse().ok()
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Message::Experiment(number) => write!(f, "m{number}"),
            Message::LoopBack(number) => write!(f, "loop{number}"),
            Message::Fence(number) => write!(f, "fence{number}"),
            Message::Will(number) => write!(f, "will{number}"),
            Message::Clear(number) => write!(f, "clear{number}"),
        }
    }
}

impl FromStr for Message {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let digits = text.find(|c: char| c.is_ascii_digit()).ok_or(())?;
        let (kind, number) = text.split_at(digits);
        // Only the spelling that Display writes is ours: no sign, no leading zero.
        let number: u32 = number.parse().map_err(|_| ())?;
        let message = match kind {
            "m" => Message::Experiment(number),
            "loop" => Message::LoopBack(number),
            "fence" => Message::Fence(number),
            "will" => Message::Will(number),
            "clear" => Message::Clear(number),
            _ => return Err(()),
        };
        if message.to_string() == text { Ok(message) } else { Err(()) }
    }
}

/// Why a text is no history.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {line} is no event: {why}")]
pub struct HistoryError {
    /// From 1.
    pub line: usize,
    pub why: String,
}

impl History {
    /// Reads the canonical text form, one event a line.
    ///
    /// # Errors
    /// [`HistoryError`] names the first line that is no event.
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<History, HistoryError> {
        let mut events = Vec::new();
        for (index, line) in lines.into_iter().enumerate() {
            events.push(text::parse(line).map_err(|why| HistoryError { line: index + 1, why })?);
        }
        Ok(History { events })
    }

    /// The attempts of a stored history, each opened by a line of its own.
    pub fn attempts(self) -> Vec<History> {
        let mut attempts: Vec<History> = Vec::new();
        for event in self.events {
            match event {
                Event::Attempt(_) => attempts.push(History::default()),
                event => match attempts.last_mut() {
                    Some(attempt) => attempt.events.push(event),
                    None => attempts.push(History { events: vec![event] }),
                },
            }
        }
        attempts
    }

    /// The canonical text form.
    pub fn lines(&self) -> Vec<String> {
        self.events.iter().map(Event::to_string).collect()
    }
}
