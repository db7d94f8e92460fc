//! A short sentence for an event: what it means in its place. The harness's own means are explained where they first
//! appear.

use std::collections::HashMap;

use crate::history::{Client, Event, Message, PROOF_WILL_TOPIC, WITNESS};
use crate::packet::{Ack, AckKind, Connack, Connect, Packet, Protocol, Publish, Suback};

const LOOP_BACK: &str = "A loop-back: a message that the client gets while it is there. It proves that the subscription is \
     in force before anything is said about it.";
const FENCE: &str = "A fence: sent after everything else. The standard orders the messages of one publisher, topic and QoS, \
     so when it arrives, everything that was queued before it has come or is lost.";
const FENCE_TOPIC: &str =
    "A fence on a topic of its own: it orders nothing, and shows that time has passed for the broker.";
const SEEN_BY_WITNESS: &str =
    "The witness, an always-online client of the tool at QoS 0, has it: the broker has routed it.";
const PROOF_WILL: &str = "The tool gave the client a will: its publication shows that the broker has noticed the end.";
const SETTLED: &str = "The settle window tells late from never: only now may something be called absent.";
const PING: &str = "A question that must be answered: the broker has read everything that was sent before it.";

/// What was said already, and what packets refer to.
#[derive(Default)]
pub(in crate::report) struct Glossary {
    explained: Vec<&'static str>,
    /// What was published last under a Packet Identifier, by client and by whether the client sent it.
    messages: HashMap<(Client, bool, u16), String>,
    /// Messages that a client got and answered or not.
    seen: Vec<(Client, String)>,
}

impl Glossary {
    /// Forgets the messages, which each attempt sends anew.
    pub(in crate::report) fn begin_attempt(&mut self) {
        self.messages.clear();
        self.seen.clear();
    }

    /// The sentence for the event at a place, if there is something to say.
    pub(in crate::report) fn gloss(&mut self, events: &[Event], at: usize) -> Option<String> {
        match events.get(at)? {
            Event::Sent(client, packet) => self.sent(client, packet),
            Event::Received(client, _) if client.as_ref() == WITNESS => self.once(SEEN_BY_WITNESS),
            Event::Received(client, packet) => self.received(client, packet, &events[at + 1..]),
            Event::Ended(client, _) => Some(ended(events, at, client)),
            Event::Half(..) => Some("The connection breaks in the middle of it, so the broker never has it.".into()),
            Event::Closed(..) => Some("The client goes away without DISCONNECT.".into()),
            Event::Undecodable(..) => Some("No client can make sense of this.".into()),
            Event::Settled(_) => self.once(SETTLED),
            Event::Missing(_, awaited) => missing(awaited.name()),
            _ => None,
        }
    }

    /// The explanation, unless it was given.
    fn once(&mut self, explanation: &'static str) -> Option<String> {
        let is_new = !self.explained.contains(&explanation);
        is_new.then(|| {
            self.explained.push(explanation);
            explanation.into()
        })
    }

    fn sent(&mut self, client: &Client, packet: &Packet) -> Option<String> {
        match packet {
            Packet::Connect(connect) => {
                let will = connect.will.as_ref().filter(|will| will.topic == PROOF_WILL_TOPIC);
                let about_will = will.and_then(|_| self.once(PROOF_WILL));
                Some([Some(session_asked_for(connect)), about_will].into_iter().flatten().collect::<Vec<_>>().join(" "))
            }
            Packet::Publish(publish) => self.published(client, publish),
            Packet::Ack(Ack { kind: AckKind::Puback | AckKind::Pubrec, id, reason }) if *reason >= 0x80 => {
                Some(format!("The client refuses {}.", self.name(client, false, *id)))
            }
            Packet::Ack(Ack { kind: AckKind::Puback | AckKind::Pubrec | AckKind::Pubcomp, id, .. })
                if is_proof(self.name(client, false, *id)) =>
            {
                None
            }
            Packet::Ack(Ack { kind: AckKind::Puback, id, .. }) => {
                Some(format!("The client has {}: its delivery is complete.", self.name(client, false, *id)))
            }
            Packet::Ack(Ack { kind: AckKind::Pubrec, id, .. }) => {
                let name = self.name(client, false, *id);
                Some(format!("The client has {name}: it must not be sent again as PUBLISH once this is read."))
            }
            Packet::Ack(Ack { kind: AckKind::Pubcomp, id, .. }) => {
                Some(format!("The handshake of {} is complete.", self.name(client, false, *id)))
            }
            Packet::Ack(Ack { kind: AckKind::Pubrel, .. }) => None,
            Packet::Pingreq => self.once(PING),
            Packet::Disconnect { reason: 0x04, .. } => Some("The client leaves, and asks for its will.".into()),
            Packet::Disconnect { .. } => Some("The client leaves in good order.".into()),
            _ => None,
        }
    }

    fn published(&mut self, client: &Client, publish: &Publish) -> Option<String> {
        self.remember(client, true, publish);
        if publish.dup {
            return Some("Sent again by the client: DUP 1.".into());
        }
        match Message::of(&publish.payload) {
            Some(Message::LoopBack(_)) => self.once(LOOP_BACK),
            Some(Message::Fence(_)) => self.once(fence(&publish.topic).0),
            _ if publish.payload.is_empty() && publish.retain => Some("It clears the retained message.".into()),
            _ if publish.retain => Some("The broker is to retain it for the topic.".into()),
            _ => None,
        }
    }

    fn received(&mut self, client: &Client, packet: &Packet, later: &[Event]) -> Option<String> {
        match packet {
            Packet::Connack(connack) => Some(accepted(connack)),
            Packet::Publish(publish) => Some(self.delivered(client, publish, later)),
            Packet::Suback(suback) => granted(suback),
            Packet::Unsuback(_) => Some("From here on these subscriptions are gone.".into()),
            Packet::Ack(ack) => self.acknowledged(client, ack, later),
            Packet::Disconnect { reason, .. } => {
                Some(format!("The broker dismisses the client, with code {reason:#04x}."))
            }
            _ => None,
        }
    }

    fn delivered(&mut self, client: &Client, publish: &Publish, later: &[Event]) -> String {
        self.remember(client, false, publish);
        let name = name_of(publish);
        let mut said = match Message::of(&publish.payload) {
            Some(Message::LoopBack(_)) => self.once(LOOP_BACK).unwrap_or("The subscription is in force.".into()),
            Some(Message::Fence(_)) => {
                let (explanation, short) = fence(&publish.topic);
                self.once(explanation).unwrap_or(short.into())
            }
            _ if publish.retain => format!("{name}, as a retained message."),
            Some(Message::Will(_)) => format!("{name} was published: the broker has noticed that its client is gone."),
            _ => format!("{name} arrives."),
        };
        let known = (client.clone(), name.clone());
        let before = self.seen.contains(&known);
        match (before, publish.dup) {
            (true, true) => said += " Sent again: DUP 1.",
            (true, false) if !publish.retain => said += " This client has had it before.",
            (false, true) => said += " DUP 1, although this client never had it.",
            _ => {}
        }
        self.seen.push(known);
        let answer = if publish.qos == 1 { AckKind::Puback } else { AckKind::Pubrec };
        if publish.qos > 0 && !is_answered(client, publish.id, answer, later) {
            said += " Not acknowledged, on purpose.";
        }
        said
    }

    fn acknowledged(&self, client: &Client, ack: &Ack, later: &[Event]) -> Option<String> {
        let name = self.name(client, true, ack.id);
        match ack.kind {
            AckKind::Puback | AckKind::Pubrec if ack.reason >= 0x80 => Some(format!("The broker refuses {name}.")),
            AckKind::Puback | AckKind::Pubcomp if is_proof(name) => None,
            AckKind::Puback => Some(format!("{name} is accepted: from here on it is the broker's.")),
            AckKind::Pubcomp => {
                Some(format!("{name} is accepted, with the complete handshake: from here on it is the broker's."))
            }
            AckKind::Pubrec => None,
            AckKind::Pubrel => {
                let name = self.name(client, false, ack.id);
                let answered = is_answered(client, ack.id, AckKind::Pubcomp, later);
                let rest = if answered { "" } else { " Its PUBCOMP is withheld, on purpose." };
                Some(format!("The broker knows that the client has {name}.{rest}"))
            }
        }
    }

    fn remember(&mut self, client: &Client, sent: bool, publish: &Publish) {
        if publish.qos > 0 {
            self.messages.insert((client.clone(), sent, publish.id), name_of(publish));
        }
    }

    fn name(&self, client: &Client, sent: bool, id: u16) -> &str {
        self.messages.get(&(client.clone(), sent, id)).map_or("the message", String::as_str)
    }
}

/// What a fence on this topic proves, in full and in short.
fn fence(topic: &str) -> (&'static str, &'static str) {
    match topic.starts_with("fence") {
        true => (FENCE_TOPIC, "Time has passed for the broker."),
        false => (FENCE, "Everything that was queued before it has come, or is lost."),
    }
}

/// A message that proves something, and whose own fate is not what is asked about.
fn is_proof(name: &str) -> bool {
    matches!(name.parse(), Ok(Message::LoopBack(_) | Message::Fence(_)))
}

fn name_of(publish: &Publish) -> String {
    match Message::of(&publish.payload) {
        Some(message) => message.to_string(),
        None if publish.payload.is_empty() => "a message of zero bytes".into(),
        None => "a payload that is none of ours".into(),
    }
}

/// Whether the client answers before its connection ends.
fn is_answered(client: &Client, id: u16, kind: AckKind, later: &[Event]) -> bool {
    later
        .iter()
        .filter(|event| event.client() == Some(client))
        .take_while(|event| !matches!(event, Event::Ended(..) | Event::Closed(..) | Event::Sent(_, Packet::Connect(_))))
        .any(|event| matches!(event, Event::Sent(_, Packet::Ack(ack)) if ack.kind == kind && ack.id == id))
}

fn session_asked_for(connect: &Connect) -> String {
    match (connect.protocol, connect.clean, connect.session_expiry.unwrap_or(0)) {
        (Protocol::V3, true, _) => "A clean session is asked for: nothing before counts, and nothing is kept.".into(),
        (Protocol::V3, false, _) => "A session is asked for, to go on with or to begin, and to be kept.".into(),
        (Protocol::V5, true, 0) => "A clean session is asked for: nothing before counts, and nothing is kept.".into(),
        (Protocol::V5, true, seconds) => format!("A new session is asked for, to be kept {seconds} s."),
        (Protocol::V5, false, 0) => "The session is to go on, if there is one, and to end with this connection.".into(),
        (Protocol::V5, false, seconds) => {
            format!("A session is asked for, to go on with or to begin, and to be kept {seconds} s.")
        }
    }
}

fn accepted(connack: &Connack) -> String {
    match (connack.code, connack.session_present) {
        (0, true) => "The broker says that it has a session of this client, and goes on with it.".into(),
        (0, false) => "The broker says that it has no session of this client.".into(),
        (code, _) => format!("The broker refuses the connection, with code {code:#04x}."),
    }
}

fn granted(suback: &Suback) -> Option<String> {
    let refused = suback.codes.iter().any(|code| *code >= 0x80);
    Some(match refused {
        true => "What is refused is no subscription.".into(),
        false => "From here on matching messages belong to this client's session.".into(),
    })
}

/// Who ended the connection, as far as the events before tell.
fn ended(events: &[Event], at: usize, client: &Client) -> String {
    let before = events[..at].iter().rev().find(|event| event.client() == Some(client));
    match before {
        Some(Event::Sent(_, Packet::Disconnect { .. })) => {
            "The broker has closed the connection: the client is gone.".into()
        }
        _ => "The broker ends the connection.".into(),
    }
}

fn missing(packet: &str) -> Option<String> {
    match packet {
        "fence" => Some("What should have come last has not come.".into()),
        "will" => Some("Nothing shows that the broker has noticed the end.".into()),
        "end" => Some("The broker keeps the connection open.".into()),
        _ => Some("The broker leaves the question unanswered.".into()),
    }
}
