//! One Network Connection of one client, as the history shows it.

use std::collections::HashMap;

use crate::connection::End;
use crate::history::{Awaited, Client, Message};
use crate::packet::{Connack, Connect, Filter, Protocol, Publish, Suback};
use crate::scenario::Timer;
use crate::topic;

/// The return code of 3.1.1 for a client identifier that is refused.
pub const IDENTIFIER_REJECTED: u8 = 0x02;

/// One Network Connection of one client. Places are 0-based indices into the history.
#[derive(Debug)]
pub struct Connection {
    pub client: Client,
    /// The client identifier, also the one that the broker assigned.
    pub id: String,
    pub opened_at: usize,
    /// The step in which it was opened, from 1.
    pub opened_in: usize,
    /// The step in which it ended, by whomever; `usize::MAX` while it is open.
    pub ended_in: usize,
    pub connect: Connect,
    pub connack: Option<(usize, Connack)>,
    pub subscribes: Vec<Subscribing>,
    pub unsubscribes: Vec<Unsubscribing>,
    pub deliveries: Vec<Delivery>,
    /// PUBRELs that came: place and Packet Identifier.
    pub pubrels: Vec<(usize, u16)>,
    /// What came before the CONNACK.
    pub before_connack: Vec<(usize, &'static str)>,
    /// Where the client sent DISCONNECT, with the reason code.
    pub left_at: Option<(usize, u8)>,
    /// The Session Expiry Interval that its DISCONNECT set.
    pub expiry_at_end: Option<u32>,
    /// Where the client ended it without DISCONNECT.
    pub closed_at: Option<usize>,
    pub ended: Option<(usize, End)>,
    /// A DISCONNECT from the broker, with its reason code and its Session Expiry Interval.
    pub dismissed: Option<(usize, u8, Option<u32>)>,
    /// What came behind a DISCONNECT from the broker.
    pub after_dismissal: Vec<(usize, &'static str)>,
    /// Another client connected with the same identifier: the place of its CONNECT.
    pub taken_over_at: Option<usize>,
    pub undecodable: Option<usize>,
    pub missing: Vec<(usize, Awaited)>,
    /// Where settle windows passed.
    pub settled_at: Vec<usize>,
    /// What the clock said during this connection, or before the next.
    pub timers: Vec<Timed>,
    /// How many PINGREQs have no answer yet.
    pub pings_due: usize,
    /// Places of the answers that show that the broker read what was sent before: PINGRESP, SUBACK, UNSUBACK.
    pub signs_of_life: Vec<usize>,
    /// SUBACKs with the identifier of no SUBSCRIBE.
    pub stray_subacks: Vec<usize>,
    /// PUBACKs and PUBRECs with the identifier of no PUBLISH.
    pub stray_acks: Vec<usize>,
    /// Topics by their aliases, as the broker set them.
    pub aliases: HashMap<u16, String>,
}

/// One filter of a SUBSCRIBE.
#[derive(Debug)]
pub struct Subscribing {
    pub at: usize,
    pub step: usize,
    pub filter: Filter,
    pub subscription_id: Option<u32>,
    pub id: u16,
    /// How many filters its SUBSCRIBE has, and which of them this is.
    pub place: (usize, usize),
    /// The place and the code of its SUBACK.
    pub suback: Option<(usize, u8)>,
}

/// One filter of an UNSUBSCRIBE.
#[derive(Debug)]
pub struct Unsubscribing {
    pub at: usize,
    pub step: usize,
    pub filter: String,
}

/// What the clock said about a timer of the protocol.
#[derive(Debug, Clone, Copy)]
pub struct Timed {
    pub at: usize,
    pub step: usize,
    pub timer: Timer,
    /// In seconds.
    pub seconds: u32,
    pub passed: bool,
}

/// A PUBLISH that a client received.
#[derive(Debug)]
pub struct Delivery {
    pub at: usize,
    pub step: usize,
    pub publish: Publish,
    /// The topic, also where an alias stands for it; empty where nothing tells it.
    pub topic: String,
    /// `None` is a payload that is not ours, or one of zero bytes.
    pub message: Option<Message>,
    /// Its PUBACK or PUBCOMP was sent, or a PUBREC that refuses it.
    pub complete: bool,
    /// Where our acknowledgement was sent: PUBACK or PUBREC.
    pub acked_at: Option<usize>,
    /// Where our acknowledgement refused it.
    pub refused_at: Option<usize>,
    /// Where PUBREL came, which shows that the broker read our PUBREC.
    pub released_at: Option<usize>,
}

impl Subscribing {
    /// The granted QoS, if the subscription was granted.
    pub fn granted(&self) -> Option<u8> {
        self.suback.map(|(_, code)| code).filter(|code| *code < 0x80)
    }

    pub fn is_shared(&self) -> bool {
        topic::share_name(&self.filter.filter).is_some()
    }

    /// The filter matches the topic, and the subscription is not shared.
    pub fn matches(&self, topic: &str) -> bool {
        !self.is_shared() && topic::matches(&self.filter.filter, topic)
    }
}

impl Connection {
    pub fn opened(at: usize, step: usize, client: &Client, connect: &Connect) -> Connection {
        Connection {
            client: client.clone(),
            // Until the broker has assigned one, a client without an identifier is like no other.
            id: if connect.client_id.is_empty() { format!("?{at}") } else { connect.client_id.clone() },
            opened_at: at,
            opened_in: step,
            ended_in: usize::MAX,
            connect: connect.clone(),
            connack: None,
            subscribes: Vec::new(),
            unsubscribes: Vec::new(),
            deliveries: Vec::new(),
            pubrels: Vec::new(),
            before_connack: Vec::new(),
            left_at: None,
            expiry_at_end: None,
            closed_at: None,
            ended: None,
            dismissed: None,
            after_dismissal: Vec::new(),
            taken_over_at: None,
            undecodable: None,
            missing: Vec::new(),
            settled_at: Vec::new(),
            timers: Vec::new(),
            pings_due: 0,
            signs_of_life: Vec::new(),
            stray_subacks: Vec::new(),
            stray_acks: Vec::new(),
            aliases: HashMap::new(),
        }
    }

    pub fn granted(&mut self, at: usize, suback: &Suback) {
        self.signs_of_life.push(at);
        let asked = |subscribing: &&mut Subscribing| subscribing.id == suback.id && subscribing.suback.is_none();
        let answered: Vec<&mut Subscribing> = self.subscribes.iter_mut().filter(asked).collect();
        if answered.is_empty() {
            self.stray_subacks.push(at);
        }
        for (subscribing, code) in answered.into_iter().zip(&suback.codes) {
            subscribing.suback = Some((at, *code));
        }
    }

    /// PUBREL came for the newest message with this identifier.
    pub fn released(&mut self, at: usize, id: u16) {
        self.pubrels.push((at, id));
        let same = |delivery: &&mut Delivery| delivery.publish.id == id && delivery.publish.qos == 2;
        if let Some(delivery) = self.deliveries.iter_mut().rev().find(same) {
            delivery.released_at = Some(at);
        }
    }

    /// The topic of a PUBLISH, which may have an alias for it.
    pub fn topic_of(&mut self, publish: &Publish) -> String {
        let Some(alias) = publish.properties.topic_alias else { return publish.topic.clone() };
        if publish.topic.is_empty() {
            return self.aliases.get(&alias).cloned().unwrap_or_default();
        }
        self.aliases.insert(alias, publish.topic.clone());
        publish.topic.clone()
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

    /// The broker ended the connection although neither the client had sent DISCONNECT nor anything allowed it to.
    pub fn was_cut(&self) -> bool {
        let silent = self.timers.iter().any(|timed| timed.timer == Timer::KeepAlive);
        let allowed = silent || self.taken_over_at.is_some() || self.is_refused_by_rule();
        self.ended.is_some() && self.left_at.is_none() && !allowed
    }

    /// The client has not acknowledged all that came on this connection.
    pub fn withholds(&self) -> bool {
        self.deliveries.iter().any(|delivery| !delivery.complete)
    }

    /// The broker has shown that it read what the client sent at `place`.
    pub fn has_read(&self, place: usize) -> bool {
        self.signs_of_life.iter().any(|sign| *sign > place)
            || self.left_at.is_some_and(|(left, _)| left > place) && self.ended.is_some()
    }

    /// How many QoS 1 and QoS 2 messages the client takes unacknowledged (5.0, section 3.1.2.11.3).
    pub fn receive_maximum(&self) -> usize {
        self.connect.receive_maximum.map_or(65_535, usize::from)
    }
}
