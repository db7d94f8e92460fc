//! Everything the broker knows, and what it does about each packet.
//!
//! A packet goes in, [`Effect`]s come out; nothing here touches a socket or waits for a clock. What the standard asks
//! for in each place is decided by [`Rules`].

mod answers;
mod connections;
mod routing;
mod subscribing;
mod wills;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use mqtt_sessions::packet::{AckKind, Packet, Protocol, Publish, Will};
use tokio::time::Instant;

use super::defect::Defect;
use super::malformed::{
    CONNACK_PROPERTIES, PINGRESP_WITH_RESERVED_FLAG, with_identifier_0, with_properties, with_qos_3,
    with_reserved_flag, with_topic_tail, with_will_delay,
};
use super::rules::Rules;
use super::session::{Message, REPEATED_AFTER, Session};

/// Where the broker tells its version.
const VERSION_TOPIC: &str = "$SYS/broker/version";

/// The number of a Network Connection.
pub type Link = u64;

/// What the broker does.
#[derive(Debug)]
pub enum Effect {
    Send(Link, Protocol, Packet),
    /// Closes the Network Connection when all that was sent is written.
    Close(Link),
    /// Calls [`State::wake`] after this time.
    WakeAfter(Duration, Link, Wake),
}

/// What a connection is woken for.
#[derive(Debug, Clone, Copy)]
pub enum Wake {
    /// To send the queue that was held.
    Queue,
    /// To send the retained copies that come late.
    Retained,
    /// To look for wills and sessions whose time has come.
    Time,
    /// To forget the subscriptions.
    Forget,
    /// To send again what was not acknowledged.
    Resend,
    /// To send again what should have been sent at once.
    PutOff,
}

pub struct State {
    rules: Rules,
    /// The time of the call that is going on.
    now: Instant,
    /// The client at each connection, from its CONNECT to its end.
    clients: HashMap<Link, Client>,
    /// 3.1.3-2: the ClientId names the session.
    sessions: BTreeMap<String, Session>,
    /// 3.1.1 3.1.2-7: retained messages are no session's. At most one for each topic.
    retained: BTreeMap<String, Message>,
    /// Wills of sessions that are gone, with the time at which they go out and their client identifier.
    orphaned_wills: Vec<(Instant, Will, String)>,
    /// Client identifiers that were here before, where a new one adopts a session.
    known: BTreeSet<String>,
    /// How many client identifiers were assigned.
    assigned: usize,
    /// By the filter of a group, which member is next, counted up.
    turns: BTreeMap<String, usize>,
    /// By topic and payload, what was published as a will.
    wills_sent: BTreeSet<(String, Vec<u8>)>,
    /// How many packets have come.
    packets: usize,
    /// Where the last CONNECT asked for a session that outlives its connection: a number that its client identifier gives,
    /// the same in every run.
    greeted: Option<usize>,
    effects: Vec<Effect>,
}

#[derive(Debug, Clone)]
struct Client {
    protocol: Protocol,
    id: String,
    /// The Session Expiry Interval of its CONNECT.
    session_expiry: u32,
    /// Its connection has ended, and what it had sent before is still being read.
    is_cut_off: bool,
    /// The topics for which it has set aliases.
    aliases: HashMap<u16, String>,
}

impl State {
    pub fn new(rules: Rules) -> State {
        let version = Publish {
            retain: true,
            topic: VERSION_TOPIC.into(),
            payload: b"test broker version 1.0".to_vec(),
            ..Publish::default()
        };
        // Without support of retained messages it tells no version.
        let told = rules.choices.retain_available;
        let version = Message { publish: version, taken_at: Instant::now(), publisher: String::new(), is_will: false };
        State {
            rules,
            now: Instant::now(),
            clients: HashMap::new(),
            sessions: BTreeMap::new(),
            retained: told.then(|| (VERSION_TOPIC.to_owned(), version)).into_iter().collect(),
            orphaned_wills: Vec::new(),
            known: BTreeSet::new(),
            assigned: 0,
            turns: BTreeMap::new(),
            wills_sent: BTreeSet::new(),
            packets: 0,
            greeted: None,
            effects: Vec::new(),
        }
    }

    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    pub fn session_ids(&self) -> Vec<String> {
        self.sessions.keys().cloned().collect()
    }

    pub fn retained_topics(&self) -> Vec<String> {
        self.retained.keys().filter(|topic| *topic != VERSION_TOPIC).cloned().collect()
    }

    /// Takes a packet from a connection.
    pub fn handle(&mut self, now: Instant, link: Link, packet: Packet) -> Vec<Effect> {
        self.now = now;
        self.packets += 1;
        if self.rules.is_frozen(self.packets) {
            return Vec::new();
        }
        if self.is_dead() {
            return self.clients.drain().map(|(open, _)| Effect::Close(open)).chain([Effect::Close(link)]).collect();
        }
        self.pass_time();
        match (self.clients.get(&link).cloned(), packet) {
            (None, Packet::Connect(connect)) => self.connect(link, connect),
            // 3.1.0-1: the first packet is CONNECT.
            (None, _) => self.close(link),
            (Some(client), packet) => self.answer(link, &client, packet),
        }
        std::mem::take(&mut self.effects)
    }

    /// Takes note that no answer reaches a connection any more, although more packets of it are still to be handled.
    pub fn cut_off(&mut self, link: Link) {
        if let Some(client) = self.clients.get_mut(&link) {
            client.is_cut_off = true;
        }
    }

    /// Takes note that a connection has ended.
    pub fn ended(&mut self, now: Instant, link: Link) -> Vec<Effect> {
        self.now = now;
        if self.is_dead() || self.rules.is_frozen(self.packets) {
            return vec![Effect::Close(link)];
        }
        self.close(link);
        std::mem::take(&mut self.effects)
    }

    /// True if the broker is gone.
    pub fn is_dead(&self) -> bool {
        self.rules.is_dead(self.packets)
    }

    /// The bytes of a packet that only a lie can write. `None` for all others.
    pub fn malformed(&self, protocol: Protocol, packet: &Packet) -> Option<Vec<u8>> {
        let defect = self.rules.defect?;
        match (defect, packet, protocol) {
            (Defect::ReservedFlagSet, Packet::Pingresp, _) => Some(PINGRESP_WITH_RESERVED_FLAG.to_vec()),
            (Defect::WillDelayInPublish, Packet::Publish(publish), Protocol::V5) => {
                let is_will = self.wills_sent.contains(&(publish.topic.clone(), publish.payload.clone()));
                is_will.then(|| with_will_delay(publish))
            }
            (Defect::TopicNotUtf8, Packet::Publish(publish), _) => Some(with_topic_tail(protocol, publish, &[0xff])),
            (Defect::PublishAtQos3, Packet::Publish(publish), _) => Some(with_qos_3(protocol, publish)),
            (Defect::Identifier0, Packet::Publish(publish), _) if publish.qos > 0 => {
                Some(with_identifier_0(protocol, publish))
            }
            (Defect::EmptyTopic, Packet::Publish(publish), _) => {
                Some(with_topic_tail(protocol, &Publish { topic: String::new(), ..publish.clone() }, &[]))
            }
            (Defect::ConnackReservedFlag, Packet::Connack(connack), _) if connack.session_present => {
                Some(with_reserved_flag(protocol, connack))
            }
            (Defect::NullInTopic, Packet::Publish(publish), _) => Some(with_topic_tail(protocol, publish, &[0])),
            // Whoever asks for no session, as who only looks for a broker, is told the truth.
            (_, Packet::Connack(connack), Protocol::V5) => {
                let greeted = self.greeted?;
                let properties: &[u8] = match defect {
                    Defect::ReceiveMaximum0 => &[0x21, 0, 0],
                    Defect::MaximumQos2 => &[0x24, 2],
                    Defect::MaximumPacketSize0 => &[0x27, 0, 0, 0, 0],
                    Defect::RetainAvailable2 => &[0x25, 2],
                    Defect::SharedAvailable255 => &[0x2a, 0xff],
                    Defect::ReasonNotUtf8 => &[0x1f, 0, 2, b'a', 0xff],
                    Defect::NullInUserProperty => &[0x26, 0, 1, b'k', 0, 2, b'v', 0],
                    Defect::ConnackPropertyTwice => CONNACK_PROPERTIES[greeted % CONNACK_PROPERTIES.len()],
                    _ => return None,
                };
                let twice = [properties, properties].concat();
                let is_twice = defect == Defect::ConnackPropertyTwice;
                Some(with_properties(connack, if is_twice { &twice } else { properties }))
            }
            _ => None,
        }
    }

    /// Does what was put off.
    pub fn wake(&mut self, now: Instant, link: Link, wake: Wake) -> Vec<Effect> {
        self.now = now;
        if self.is_dead() || self.rules.is_frozen(self.packets) {
            return Vec::new();
        }
        self.pass_time();
        if let Some(client) = self.clients.get(&link).cloned() {
            self.with_session(link, &client, |session, rules| {
                match wake {
                    Wake::Queue => session.held = false,
                    Wake::PutOff => session.put_off = false,
                    Wake::Retained => session.release_late(),
                    Wake::Time => {}
                    Wake::Forget => session.subscriptions.retain(|_, own| own.granted == 0),
                    Wake::Resend => return session.resend_live(rules, now),
                }
                session.flush(rules, now)
            });
        }
        std::mem::take(&mut self.effects)
    }

    /// 3.1.1 3.1.2-2: a protocol level that is not supported is answered by CONNACK 0x01, in the shape of 3.1.1.
    pub fn refuse_version(&mut self, link: Link) -> Vec<Effect> {
        self.refuse(link, Protocol::V3, 0x01);
        std::mem::take(&mut self.effects)
    }

    fn send(&mut self, link: Link, protocol: Protocol, packet: Packet) {
        let wants_answer = match &packet {
            Packet::Publish(publish) => publish.qos > 0 && !publish.dup,
            Packet::Ack(ack) => ack.kind == AckKind::Pubrel,
            _ => false,
        };
        if wants_answer && self.rules.resends_live(protocol) {
            self.effects.push(Effect::WakeAfter(REPEATED_AFTER, link, Wake::Resend));
        }
        match self.rules.spoken(packet) {
            Some(packets) => {
                self.effects.extend(packets.into_iter().map(|packet| Effect::Send(link, protocol, packet)))
            }
            None => self.close(link),
        }
    }

    /// Does something to the session of a connection, and sends what comes of it.
    fn with_session(&mut self, link: Link, client: &Client, act: impl FnOnce(&mut Session, &Rules) -> Vec<Packet>) {
        let Some(session) = self.sessions.get_mut(&client.id).filter(|session| session.link == Some(link)) else {
            return;
        };
        for packet in act(session, &self.rules) {
            self.send(link, client.protocol, packet);
        }
    }
}
