//! One Network Connection of one client, as the history shows it.

use std::collections::HashMap;
use std::sync::Arc;

use super::Place;
use crate::connection::End;
use crate::history::{Awaited, Client, Message};
use crate::packet::{Ack, AckKind, Connack, Connect, Filter, Protocol, Publish};
use crate::scenario::Timer;
use crate::topic;

/// The return code of 3.1.1 for a client identifier that is refused.
pub const IDENTIFIER_REJECTED: u8 = 0x02;

/// One Network Connection of one client.
#[derive(Debug)]
pub struct Connection {
    /// Its place among [`super::Facts::connections`].
    pub index: usize,
    pub client: Client,
    /// The client identifier, also one that the broker assigned.
    pub id: Arc<str>,
    /// The CONNECT.
    pub opened: Place,
    /// Its end, by whomever; `None` while it is open.
    pub end: Option<Place>,
    pub connect: Connect,
    pub connack: Option<(usize, Connack)>,
    /// Every further CONNACK.
    pub more_connacks: Vec<usize>,
    pub subscribes: Vec<Subscribing>,
    pub unsubscribes: Vec<Unsubscribing>,
    pub deliveries: Vec<Delivery>,
    /// What belongs to handshakes of messages to this client, in wire order.
    pub flows: Vec<Flow>,
    /// What came before the CONNACK.
    pub before_connack: Vec<(usize, &'static str)>,
    /// Every AUTH.
    pub auths: Vec<usize>,
    /// Where the client sent DISCONNECT, with the reason code.
    pub left: Option<(Place, u8)>,
    /// The Session Expiry Interval that its DISCONNECT set.
    pub expiry_at_end: Option<u32>,
    /// Where the client ended it without DISCONNECT.
    pub closed: Option<Place>,
    /// Where the broker ended it.
    pub ended: Option<(Place, End)>,
    /// A DISCONNECT from the broker, with its reason code and its Session Expiry Interval.
    pub dismissed: Option<(usize, u8, Option<u32>)>,
    /// What came behind a DISCONNECT from the broker.
    pub after_dismissal: Vec<(usize, &'static str)>,
    /// Another client connected with the same identifier: its CONNECT.
    pub taken_over: Option<Place>,
    /// True if another client connected with the same identifier in the step of the DISCONNECT: the broker may have read that first.
    pub left_beside_heir: bool,
    /// That CONNECT was refused, so that this one may stay.
    pub is_spared: bool,
    /// The client reset the connection right behind its DISCONNECT, which may have been lost by that.
    pub reset_behind_left: bool,
    pub undecodable: Option<usize>,
    /// The client sent only half of a packet.
    pub half: bool,
    /// The client sent another packet behind half of one, so that the broker reads bytes that are no packet.
    pub garbled: Option<Place>,
    /// Packets of the client may have been on their way for longer than its Keep Alive when the connection ended.
    pub may_have_timed_out: bool,
    pub missing: Vec<(usize, Awaited)>,
    /// Where settle windows passed.
    pub settled: Vec<usize>,
    /// What the clock said during this connection, or before the next.
    pub timers: Vec<Timed>,
    /// Answers of the broker: where each came, and the last packet of the client's that the broker had read by then.
    pub signs: Vec<(usize, usize)>,
    /// The last of these packets: the connection was there when it was sent.
    pub answered_last: Option<Place>,
    /// The last packet that came, with its name.
    pub last_sent: Option<(Place, &'static str)>,
    /// SUBACKs with the identifier of no SUBSCRIBE.
    pub stray_subacks: Vec<usize>,
    /// PUBACKs and PUBRECs with the identifier of no PUBLISH.
    pub stray_acks: Vec<usize>,
    /// PUBCOMPs of the broker's for which the client had sent no PUBREL.
    pub early_pubcomps: Vec<usize>,
    /// As the broker set them.
    pub aliases_of_broker: Aliases,
    /// As the client set them; neither knows those of the other (5.0, section 3.3.2.3.4).
    pub aliases_of_client: Aliases,
}

/// Topics by their aliases, as one side of a connection set them.
#[derive(Debug, Default)]
pub struct Aliases(HashMap<u16, String>);

impl Aliases {
    /// True if this alias has a topic.
    pub fn has(&self, alias: u16) -> bool {
        self.0.contains_key(&alias)
    }

    /// The topic of a PUBLISH, which may have an alias for it.
    pub fn topic_of(&mut self, publish: &Publish) -> String {
        let Some(alias) = publish.properties.topic_alias else { return publish.topic.clone() };
        if publish.topic.is_empty() {
            return self.0.get(&alias).cloned().unwrap_or_default();
        }
        self.0.insert(alias, publish.topic.clone());
        publish.topic.clone()
    }
}

/// One filter of a SUBSCRIBE.
#[derive(Debug)]
pub struct Subscribing {
    pub sent: Place,
    pub filter: Filter,
    pub subscription_id: Option<u32>,
    /// The Packet Identifier of the SUBSCRIBE.
    pub id: u16,
    /// Which filter of its SUBSCRIBE this is, from 0.
    pub number: usize,
    /// The SUBACK and its code for this filter.
    pub suback: Option<(Place, u8)>,
    /// How many codes that SUBACK has.
    pub codes: usize,
}

/// One filter of an UNSUBSCRIBE.
#[derive(Debug)]
pub struct Unsubscribing {
    pub sent: Place,
    pub filter: String,
    /// The Packet Identifier of the UNSUBSCRIBE.
    pub id: u16,
    /// Which filter of its UNSUBSCRIBE this is, from 0.
    pub number: usize,
    /// The UNSUBACK, if it says that this was done.
    pub unsuback: Option<Place>,
    /// True if the UNSUBACK says that it was not done.
    pub is_refused: bool,
    /// The UNSUBACK that has no code for it (5.0).
    pub without_code: Option<usize>,
}

/// What the clock said about a timer of the protocol.
#[derive(Debug, Clone, Copy)]
pub struct Timed {
    pub place: Place,
    pub timer: Timer,
    pub seconds: u32,
    pub passed: bool,
}

impl Timed {
    /// The timer ran in steps between these places.
    pub fn is_between(&self, from: Place, to: Place) -> bool {
        self.place.step > from.step
            && (self.place.step < to.step || self.place.step == to.step && self.place.at < to.at)
    }
}

/// A PUBLISH that a client received.
#[derive(Debug)]
pub struct Delivery {
    pub place: Place,
    pub publish: Publish,
    /// The topic, also where an alias stands for it; empty where nothing tells it.
    pub topic: Arc<str>,
    /// `None` is a payload that is not ours, or one of zero bytes.
    pub message: Option<Message>,
    /// Our PUBACK or PUBREC: its index, and the connection on which it was sent.
    pub acked: Option<(usize, usize)>,
    /// Our acknowledgement refused it.
    pub refused: bool,
    /// The PUBREL that came for it, on whichever connection.
    pub released: Option<usize>,
    /// Our last answer: PUBACK, PUBCOMP, or a PUBREC that refuses.
    pub completed: Option<usize>,
}

impl Delivery {
    /// Our last answer was sent, or none is due.
    pub fn is_complete(&self) -> bool {
        self.publish.qos == 0 || self.completed.is_some()
    }
}

/// A packet of a handshake between broker and subscriber.
#[derive(Debug, Clone, Copy)]
pub enum Flow {
    /// A PUBLISH came: the delivery at this place of [`Connection::deliveries`].
    Publish(usize),
    /// A PUBREL came.
    Pubrel { at: usize, id: u16 },
    /// The client sent an acknowledgement.
    Sent { at: usize, ack: Ack },
}

impl Subscribing {
    /// The granted QoS, if the subscription was granted.
    pub fn granted(&self) -> Option<u8> {
        self.suback.map(|(_, code)| code).filter(|code| *code < 0x80)
    }

    pub fn is_shared(&self) -> bool {
        topic::share_name(&self.filter.filter).is_some()
    }

    /// The QoS that may have been granted: at most what was asked for, where the SUBACK is unknown.
    pub fn may_have_granted(&self) -> Option<u8> {
        if self.suback.is_none() { Some(self.filter.qos) } else { self.granted() }
    }

    /// The QoS values at which a message of this QoS may come by it, as bits, if so much was granted.
    pub fn qos_bits(&self, published: u8, granted: u8) -> u8 {
        let most = published.min(granted);
        if self.suback.is_none() { (1 << (most + 1)) - 1 } else { 1 << most }
    }

    /// The filter matches the topic, and the subscription is not shared.
    pub fn matches(&self, topic: &str) -> bool {
        !self.is_shared() && topic::matches(&self.filter.filter, topic)
    }
}

impl Connection {
    pub fn new(index: usize, opened: Place, client: &Client, connect: &Connect) -> Connection {
        // Until the broker has assigned one, a client without an identifier is like no other.
        let id =
            if connect.client_id.is_empty() { format!("?{index}").into() } else { connect.client_id.as_str().into() };
        Connection {
            index,
            client: client.clone(),
            id,
            opened,
            end: None,
            connect: connect.clone(),
            connack: None,
            more_connacks: Vec::new(),
            subscribes: Vec::new(),
            unsubscribes: Vec::new(),
            deliveries: Vec::new(),
            flows: Vec::new(),
            before_connack: Vec::new(),
            auths: Vec::new(),
            left: None,
            expiry_at_end: None,
            closed: None,
            ended: None,
            dismissed: None,
            after_dismissal: Vec::new(),
            taken_over: None,
            left_beside_heir: false,
            is_spared: false,
            reset_behind_left: false,
            undecodable: None,
            half: false,
            garbled: None,
            may_have_timed_out: false,
            missing: Vec::new(),
            settled: Vec::new(),
            timers: Vec::new(),
            signs: Vec::new(),
            answered_last: None,
            last_sent: None,
            stray_subacks: Vec::new(),
            stray_acks: Vec::new(),
            early_pubcomps: Vec::new(),
            aliases_of_broker: Aliases::default(),
            aliases_of_client: Aliases::default(),
        }
    }

    pub fn protocol(&self) -> Protocol {
        self.connect.protocol
    }

    /// The CONNECT asks for a session under no identifier, which no client of 3.1.1 may do (MQTT-3.1.3-7).
    pub fn must_be_refused(&self) -> bool {
        self.protocol() == Protocol::V3 && self.connect.client_id.is_empty() && !self.connect.clean
    }

    /// It was refused with the code that the standard orders for that (3.1.1 MQTT-3.1.3-8).
    pub fn is_refused_by_rule(&self) -> bool {
        let code = self.connack.as_ref().map(|(_, connack)| connack.code);
        self.must_be_refused() && code == Some(IDENTIFIER_REJECTED)
    }

    /// The broker accepted the CONNECT.
    pub fn is_accepted(&self) -> bool {
        self.connack.as_ref().is_some_and(|(_, connack)| connack.code == 0)
    }

    /// The CONNECT asks for a clean session, and nobody knows whether the broker has read it.
    pub fn is_unanswered_clean(&self) -> bool {
        self.connack.is_none() && self.connect.clean
    }

    pub fn session_present(&self) -> bool {
        self.connack.as_ref().is_some_and(|(_, connack)| connack.session_present)
    }

    /// How long the session outlives this connection, in seconds, by what the broker granted (3.1.1 MQTT-3.1.2-4; 5.0
    /// MQTT-3.1.2-23 with sections 3.2.2.3.2 and 3.14.2.2.2).
    pub fn expiry(&self) -> u32 {
        match self.protocol() {
            Protocol::V3 if self.connect.clean => 0,
            Protocol::V3 => u32::MAX,
            Protocol::V5 => {
                let granted = self.connack.as_ref().and_then(|(_, connack)| connack.session_expiry);
                self.expiry_at_end.or(granted).or(self.connect.session_expiry).unwrap_or(0)
            }
        }
    }

    /// The session outlives this connection.
    pub fn session_persists(&self) -> bool {
        self.expiry() > 0
    }

    /// The connection is open in the whole step.
    pub fn is_open_in(&self, step: usize) -> bool {
        self.opened.step <= step && self.end.is_none_or(|end| end.step > step)
    }

    /// The step in which it ended; the highest number while it is open.
    pub fn ended_in(&self) -> usize {
        self.end.map_or(usize::MAX, |end| end.step)
    }

    /// The DISCONNECT that discards the client's will, if the broker has surely read it.
    pub fn left_for_good(&self) -> Option<Place> {
        let left = self.left.filter(|(_, reason)| self.protocol() == Protocol::V3 || *reason == 0);
        left.filter(|_| !self.may_have_left_in_vain()).map(|(place, _)| place)
    }

    /// The broker may not have read the DISCONNECT: it may have ended the connection for its silence, or for another client with the same
    /// identifier, before, or the client's reset came first. One that asks for a session where CONNECT asked for none is no valid one (5.0, section 3.14.2.2.2).
    pub fn may_have_left_in_vain(&self) -> bool {
        let asks_late = self.expiry_at_end.is_some_and(|expiry| expiry > 0);
        let is_invalid = asks_late && self.connect.session_expiry.unwrap_or(0) == 0;
        let is_raced = self.left_beside_heir || self.taken_over.is_some() && !self.is_spared;
        self.left.is_some() && (self.may_have_timed_out || self.reset_behind_left || is_raced || is_invalid)
    }

    /// The Keep Alive by which the broker has to go, in seconds; 0 is none (5.0, section 3.2.2.3.14).
    pub fn keep_alive(&self) -> u16 {
        let own = self.connack.as_ref().and_then(|(_, connack)| connack.server_keep_alive);
        own.unwrap_or(self.connect.keep_alive)
    }

    /// True if the broker answered what the client sent in a later step than this one: the connection was there then.
    pub fn was_there_after(&self, place: Place) -> bool {
        self.answered_last.is_some_and(|answered| answered.step > place.step)
    }

    /// The broker has shown, by an answer that came before the entry `by`, that it read what the client sent at `sent`.
    pub fn has_answered(&self, sent: usize, by: usize) -> bool {
        let answers = self.signs.partition_point(|(answer, _)| *answer < by);
        self.signs[..answers].last().is_some_and(|(_, read)| *read > sent)
    }

    /// The same, or it has ended the stream after our DISCONNECT. A network that cuts the connection looks like that, too.
    pub fn has_read(&self, sent: usize, by: usize) -> bool {
        let left =
            || self.left.is_some_and(|(left, _)| left.at > sent) && self.ended.is_some_and(|(end, _)| end.at < by);
        self.has_answered(sent, by) || left()
    }

    /// Some message of QoS 1 or 2 that came on this connection between these entries was not answered to its end.
    pub fn withholds_between(&self, from: usize, to: usize) -> bool {
        let open = |delivery: &Delivery| delivery.publish.qos > 0 && delivery.completed.is_none_or(|at| at > to);
        self.deliveries
            .iter()
            .any(|delivery| delivery.place.at < to && open(delivery) && delivery.completed.is_none_or(|at| at > from))
            || self.withholds_pubcomp_at(to)
    }

    /// Some PUBREL that came before this entry was not answered by then; its PUBLISH may have come on an earlier connection.
    fn withholds_pubcomp_at(&self, to: usize) -> bool {
        let mut open: Vec<u16> = Vec::new();
        for flow in &self.flows {
            match *flow {
                Flow::Pubrel { at, id } if at < to => open.push(id),
                Flow::Sent { at, ack } if at < to && ack.kind == AckKind::Pubcomp => open.retain(|id| *id != ack.id),
                _ => {}
            }
        }
        !open.is_empty()
    }

    /// How many QoS 1 and QoS 2 messages the client takes unacknowledged (5.0, section 3.1.2.11.3).
    pub fn receive_maximum(&self) -> usize {
        self.connect.receive_maximum.map_or(65_535, usize::from)
    }
}
