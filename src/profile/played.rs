//! One played cell, read for its numbers: what came is what the judge's record says, and when it came stands in the history.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::number::Number;
use super::quantity::Quantity;
use super::search::Works;
use crate::axes::AxisValue;
use crate::connection::encode::encode;
use crate::history::{Event, History, Message};
use crate::judge::is_end_of_witness;
use crate::packet::{Connack, Packet, Protocol, Publish};
use crate::results::{CellResult, CellRun, Verdict};
use crate::session_rules::is_failure;

/// A cell that was played once.
pub struct Played {
    pub cell: CellResult,
    history: History,
    /// From the scenario's name of a client or a topic to that on the wire.
    names: BTreeMap<String, String>,
}

/// The topics of experiments about sizes.
const TOPICS: [&str; 2] = ["t", "r/n1"];

impl Played {
    /// `None` where no history was kept, which an interruption may cause.
    pub fn of(cell: CellResult, run: CellRun) -> Option<Played> {
        let history = run.histories().ok()?.pop()?;
        Some(Played { cell, history, names: run.names })
    }

    /// The value of an axis of numbers.
    pub fn axis(&self, name: &str) -> u32 {
        match self.cell.axes.get(name) {
            Some(AxisValue::Number(number)) => *number,
            _ => 0,
        }
    }

    /// The messages of the experiment's that came to a client on a connection, each once, in the order of their arrival.
    pub fn came(&self, client: &str, connection: u32) -> Vec<u32> {
        let mut seen = HashSet::new();
        let own = self.cell.received.iter().filter(|copy| copy.client == client && copy.connection == connection);
        own.filter_map(|copy| copy.seq.filter(|seq| seen.insert(*seq))).collect()
    }

    /// The CONNACK on a connection of a client's.
    pub fn connack<'p>(&'p self, client: &'p str, connection: u32) -> Option<&'p Connack> {
        self.on(client, connection).find_map(|(_, event)| match event {
            Event::Received(_, Packet::Connack(connack)) => Some(connack),
            _ => None,
        })
    }

    /// The PUBLISH packets that came on a connection, with their times.
    pub fn publishes<'p>(&'p self, client: &'p str, connection: u32) -> impl Iterator<Item = (Duration, &'p Publish)> {
        self.on(client, connection).filter_map(|(time, event)| match event {
            Event::Received(_, Packet::Publish(publish)) => Some((time, publish)),
            _ => None,
        })
    }

    /// When something first happened on a connection of a client's.
    pub fn when(&self, client: &str, connection: u32, is: impl Fn(&Event) -> bool) -> Option<Duration> {
        self.on(client, connection).find(|(_, event)| is(event)).map(|(time, _)| time)
    }

    /// When a client first sent a message of ours.
    pub fn published(&self, client: &str, message: Message) -> Option<Duration> {
        self.when(client, 1, |event| match event {
            Event::Sent(_, Packet::Publish(publish)) => Message::of(&publish.payload) == Some(message),
            _ => false,
        })
    }

    /// The identifier of a client on the wire.
    pub fn wire_name(&self, client: &str) -> &str {
        self.names.get(client).map(String::as_str).unwrap_or_default()
    }

    /// The usual topic as it is on the wire.
    pub fn wire_topic(&self) -> &str {
        let of_message = TOPICS.iter().find_map(|topic| self.names.get(*topic));
        of_message.map_or(TOPICS[0], String::as_str)
    }

    /// How many bytes a PUBLISH on the usual topic has with a payload of so many, at QoS 1.
    pub fn packet_bytes(&self, protocol: Protocol, payload: u32) -> u32 {
        let topic = self.wire_topic().to_owned();
        let empty = Publish { qos: 1, id: 1, topic, ..Publish::default() };
        let mut bytes = Vec::new();
        // The name of a topic of ours is short.
        let _ = encode(protocol, &Packet::Publish(empty), &mut bytes);
        let behind_the_head = bytes.len() as u32 - 2 + payload;
        let digits = [128, 16_384, 2_097_152].iter().filter(|limit| behind_the_head >= **limit).count() as u32 + 1;
        1 + digits + behind_the_head
    }

    /// The longest payload of a PUBLISH on the usual topic that has no more than so many bytes, at QoS 1.
    pub fn payload_within(&self, protocol: Protocol, packet: u32) -> u32 {
        (0..=packet).rev().find(|payload| self.packet_bytes(protocol, *payload) <= packet).unwrap_or(0)
    }

    /// When the client sent its CONNECT.
    pub fn connected(&self, client: &str, connection: u32) -> Option<Duration> {
        self.when(client, connection, |event| matches!(event, Event::Sent(_, Packet::Connect(_))))
    }

    /// When a connection was over, by whomever.
    pub fn over(&self, client: &str, connection: u32) -> Option<Duration> {
        self.when(client, connection, |event| matches!(event, Event::Ended(..) | Event::Closed(..)))
    }

    /// The first reason code with which the broker refused a message of a client's, if it refused one.
    pub fn refusal(&self, client: &str) -> Option<u8> {
        self.history.events().find_map(|event| match event {
            Event::Received(own, Packet::Ack(ack)) if **own == *client => {
                Some(ack.reason).filter(|code| is_failure(*code))
            }
            _ => None,
        })
    }

    /// The code with which the broker dismissed a client, where it ended a connection with DISCONNECT.
    pub fn dismissal(&self, client: &str) -> Option<u8> {
        self.history.events().find_map(|event| match event {
            Event::Received(own, Packet::Disconnect { reason, .. }) if **own == *client => Some(*reason),
            _ => None,
        })
    }

    /// True if the broker ended a connection of a client that had not said good-bye.
    pub fn was_cut_off(&self, client: &str) -> bool {
        let mut has_left = false;
        self.history.events().any(|event| {
            match event {
                Event::Sent(own, Packet::Connect(_)) if **own == *client => has_left = false,
                Event::Sent(own, Packet::Disconnect { .. }) if **own == *client => has_left = true,
                _ => {}
            }
            matches!(event, Event::Ended(own, _) if **own == *client) && !has_left
        })
    }

    /// True if nothing more came at last, for a settle window. Else the wait ended while messages still came, or had no need
    /// to end.
    pub fn has_settled(&self, client: &str, connection: u32) -> bool {
        self.when(client, connection, |event| matches!(event, Event::Settled(_))).is_some()
    }

    /// What a cell says in which something was to come, or to be accepted, and was or was not.
    pub fn works(&self, is_so: bool) -> Works {
        let is_unanswered =
            self.history.events().any(|event| matches!(event, Event::Missing(..) | Event::WithoutEnd(..)));
        match (is_so, is_unanswered) {
            (true, _) => Works::Yes,
            (false, true) => Works::Unanswered,
            (false, false) => Works::No,
        }
    }

    /// True if the broker takes no such thing, as it announces or shows.
    fn is_unsupported(&self) -> bool {
        self.cell.verdict == Verdict::Unsupported
    }

    /// True if the broker ended the connection of the witness meanwhile, as one that is started again does.
    pub fn was_disturbed(&self) -> bool {
        self.history.events().any(is_end_of_witness)
    }

    /// True if not all steps were played.
    pub fn is_stopped(&self) -> bool {
        self.history.events().any(|event| matches!(event, Event::Stopped))
    }

    /// The number of a quantity of which this cell tells nothing: the broker takes no such thing, or something went wrong.
    pub fn no_number(&self, quantity: Quantity) -> Number {
        match self.is_unsupported() {
            true => Number::moot(quantity, self.why()),
            false => Number::missing(quantity, self.why()),
        }
    }

    /// Why a cell did not get to its end, as half a sentence.
    fn why(&self) -> String {
        let reason = self.cell.reason.as_deref().unwrap_or("the experiment did not get to its end");
        reason.trim_end_matches('.').to_owned()
    }

    /// What happened on a connection of a client's, with the times.
    fn on<'p>(&'p self, client: &'p str, connection: u32) -> impl Iterator<Item = (Duration, &'p Event)> {
        let own = self.history.entries.iter().filter(move |entry| {
            let is_own = entry.event.client().is_some_and(|own| **own == *client);
            is_own && entry.connection == Some(connection)
        });
        own.map(|entry| (entry.time.unwrap_or_default().as_duration(), &entry.event))
    }
}
