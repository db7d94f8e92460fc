//! What was on the wire in one cell: every event in the order in which the harness saw it.
//!
//! Within a Network Connection the order of the lines is the order on the wire. Between clients the order of lines within
//! a step proves nothing. The text form, one line an event, can be read without the code; it is what the results file keeps,
//! and the judge sees nothing else. Names of clients, topics and messages are those of the scenario. In a history that is
//! written by hand, times and connection numbers may be left out.

mod text;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

pub use crate::vocabulary::{PROBE, PROOF_WILL_TOPIC, WITNESS};

use crate::connection::End;
use crate::packet::{AckKind, Packet};
use crate::vocabulary::{Ending, Timer};

/// One attempt at a cell, or several, each opened by [`Event::Attempt`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    pub entries: Vec<Entry>,
}

/// One line of a history: an event, and when and on which connection the harness saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Since the attempt began; `None` where nobody measured it.
    pub time: Option<Time>,
    /// Which Network Connection of the client it was, from 1; `None` where the history does not tell, or the event belongs
    /// to no connection.
    pub connection: Option<u32>,
    pub event: Event,
    /// The bytes of the packet, where the harness kept them; never those of a CONNECT, which may hold a password. The text
    /// form leaves them out.
    pub raw: Option<Bytes>,
}

impl From<Event> for Entry {
    /// An entry without time and connection number, as it is written by hand.
    fn from(event: Event) -> Entry {
        Entry { time: None, connection: None, event, raw: None }
    }
}

/// A time since the beginning of an attempt, in tenths of a millisecond.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// The time as a duration.
    pub fn as_duration(self) -> Duration {
        Duration::from_micros(self.0.saturating_mul(100))
    }
}

impl From<Duration> for Time {
    fn from(duration: Duration) -> Time {
        Time(u64::try_from(duration.as_micros() / 100).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Time {
    /// In milliseconds with one decimal: `12.3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 / 10, self.0 % 10)
    }
}

/// The name of a client in the scenario; `witness` is the harness's own.
pub type Client = Arc<str>;

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
    /// The client ended its Network Connection: without a DISCONNECT, or some time after it, where the broker had not.
    Closed(Client, End),
    /// Bytes that are no packet came in, and why they are none: what completes "a packet that ...", empty where nobody
    /// said it. A client of the scenario closes its connection then, as the standard orders it to.
    Undecodable(Client, Vec<u8>, String),
    /// An answer did not come before the deadline.
    Missing(Client, Awaited),
    /// The Network Connection that begins here is one to this node of the broker, from 1.
    AtNode(Client, u32),
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
    /// More came on the client's connection than any broker has to send, and the client closed it.
    WithoutEnd(Client, Excess),
    /// The broker, or one node of it, was ended, or started again and lets clients in; or one node was cut off from the others.
    Broker(Turn, Option<u32>),
    /// The harness itself was held up for so many milliseconds before this line: nothing that needed it in time counts.
    Late(u32),
    /// The harness itself could not go on; the rest is its reason.
    Broken(String),
    /// The steps that follow were not played, for what the events before this one show.
    Stopped,
}

/// A deed of the harness to the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It has ended.
    Ended(Ending),
    Started,
    /// The node hears nothing of the others any more, and they nothing of it.
    CutOff,
    Joined,
}

/// How much came, where it was too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// The head of one packet that announces so many bytes.
    Packet(usize),
    /// So many packets.
    Packets(usize),
    /// So many messages of the cell, to the witness.
    Copies(usize),
}

/// Something that a client waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Awaited {
    Connack,
    /// With the Packet Identifier of the SUBSCRIBE.
    Suback(u16),
    /// With the Packet Identifier of the UNSUBSCRIBE.
    Unsuback(u16),
    /// An acknowledgement with its Packet Identifier.
    Ack(AckKind, u16),
    Pingresp,
    /// The broker's end of the Network Connection.
    ConnectionEnd,
    /// Any fence of those that were sent.
    Fence,
    /// The client's will at the witness.
    Will,
}

impl Awaited {
    /// The answer that a packet of a client's calls for, if it calls for one.
    pub fn answer_to(sent: &Packet) -> Option<Awaited> {
        Some(match sent {
            Packet::Connect(_) => Awaited::Connack,
            Packet::Publish(publish) => match publish.qos {
                0 => return None,
                1 => Awaited::Ack(AckKind::Puback, publish.id),
                _ => Awaited::Ack(AckKind::Pubrec, publish.id),
            },
            Packet::Ack(ack) => match ack.kind {
                AckKind::Pubrel => Awaited::Ack(AckKind::Pubcomp, ack.id),
                AckKind::Pubrec if ack.reason < 0x80 => Awaited::Ack(AckKind::Pubrel, ack.id),
                AckKind::Puback | AckKind::Pubrec | AckKind::Pubcomp => return None,
            },
            Packet::Subscribe(subscribe) => Awaited::Suback(subscribe.id),
            Packet::Unsubscribe(unsubscribe) => Awaited::Unsuback(unsubscribe.id),
            Packet::Pingreq => Awaited::Pingresp,
            Packet::Connack(_)
            | Packet::Suback(_)
            | Packet::Unsuback(_)
            | Packet::Pingresp
            | Packet::Disconnect { .. }
            | Packet::Auth { .. } => return None,
        })
    }

    /// What a packet that comes in is, to a client that waits; `None` for what no client waits for by its identifier.
    pub fn of(received: &Packet) -> Option<Awaited> {
        Some(match received {
            Packet::Connack(_) => Awaited::Connack,
            Packet::Suback(suback) => Awaited::Suback(suback.id),
            Packet::Unsuback(unsuback) => Awaited::Unsuback(unsuback.id),
            Packet::Ack(ack) => Awaited::Ack(ack.kind, ack.id),
            Packet::Pingresp => Awaited::Pingresp,
            _ => return None,
        })
    }

    /// The standard's name of the packet, or the word of the text form.
    pub fn name(self) -> &'static str {
        match self {
            Awaited::Connack => "CONNACK",
            Awaited::Suback(_) => "SUBACK",
            Awaited::Unsuback(_) => "UNSUBACK",
            Awaited::Ack(kind, _) => kind.name(),
            Awaited::Pingresp => "PINGRESP",
            Awaited::ConnectionEnd => "end",
            Awaited::Fence => "fence",
            Awaited::Will => "will",
        }
    }

    /// The Packet Identifier that it must carry, if it has one.
    pub fn id(self) -> Option<u16> {
        match self {
            Awaited::Suback(id) | Awaited::Unsuback(id) | Awaited::Ack(_, id) => Some(id),
            Awaited::Connack | Awaited::Pingresp | Awaited::ConnectionEnd | Awaited::Fence | Awaited::Will => None,
        }
    }
}

impl Event {
    /// The client of the event, if it is a client's.
    pub fn client(&self) -> Option<&Client> {
        match self {
            Event::Attempt(_)
            | Event::Step(_)
            | Event::Broker(..)
            | Event::Late(_)
            | Event::Broken(_)
            | Event::Stopped => None,
            Event::Sent(client, _)
            | Event::Half(client, _)
            | Event::Received(client, _)
            | Event::Ended(client, _)
            | Event::Closed(client, _)
            | Event::Undecodable(client, ..)
            | Event::Missing(client, _)
            | Event::AtNode(client, _)
            | Event::Unreachable(client)
            | Event::Settled(client)
            | Event::Timed { client, .. }
            | Event::Withheld(client, _)
            | Event::WithoutEnd(client, _) => Some(client),
        }
    }

    /// The same, to give the event to another client.
    pub fn client_mut(&mut self) -> Option<&mut Client> {
        match self {
            Event::Attempt(_)
            | Event::Step(_)
            | Event::Broker(..)
            | Event::Late(_)
            | Event::Broken(_)
            | Event::Stopped => None,
            Event::Sent(client, _)
            | Event::Half(client, _)
            | Event::Received(client, _)
            | Event::Ended(client, _)
            | Event::Closed(client, _)
            | Event::Undecodable(client, ..)
            | Event::Missing(client, _)
            | Event::AtNode(client, _)
            | Event::Unreachable(client)
            | Event::Settled(client)
            | Event::Timed { client, .. }
            | Event::Withheld(client, _)
            | Event::WithoutEnd(client, _) => Some(client),
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
        let message = text.split_once(FILLED).map_or(text, |(message, _)| message).parse().ok();
        // A clearing has no payload that could name it.
        message.filter(|message| !matches!(message, Message::Clear(_)))
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
    /// A history without times and connection numbers.
    pub fn of(events: impl IntoIterator<Item = Event>) -> History {
        History { entries: events.into_iter().map(Entry::from).collect() }
    }

    /// Reads the text form, one event a line.
    ///
    /// # Errors
    /// [`HistoryError`] names the first line that is no event.
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<History, HistoryError> {
        let mut entries = Vec::new();
        for (index, line) in lines.into_iter().enumerate() {
            entries.push(text::parse(line).map_err(|why| HistoryError { line: index + 1, why })?);
        }
        Ok(History { entries })
    }

    /// The events without times and connection numbers.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &Event> + ExactSizeIterator + Clone {
        self.entries.iter().map(|entry| &entry.event)
    }

    /// The attempts of a history, each opened by a line of its own.
    pub fn attempts(self) -> Vec<History> {
        let mut attempts: Vec<History> = Vec::new();
        for entry in self.entries {
            match (&entry.event, attempts.last_mut()) {
                (Event::Attempt(_), _) => attempts.push(History::default()),
                (_, Some(attempt)) => attempt.entries.push(entry),
                (_, None) => attempts.push(History { entries: vec![entry] }),
            }
        }
        attempts
    }

    /// The text form.
    pub fn lines(&self) -> Vec<String> {
        self.entries.iter().map(Entry::to_string).collect()
    }
}
