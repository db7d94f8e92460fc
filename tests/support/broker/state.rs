//! Everything the broker knows, and what it does about each packet.
//!
//! A packet goes in, [`Effect`]s come out; nothing here touches a socket or waits for a clock. What the standard asks
//! for in each place is decided by [`Rules`].

mod answers;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use mqtt_sessions::packet::{Connack, Connect, Packet, Protocol, Publish};
use tokio::time::Instant;

use super::rules::Rules;
use super::session::{Delivery, ENDS_AT_CLOSE, Session};

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
    retained: BTreeMap<String, Publish>,
    effects: Vec<Effect>,
}

#[derive(Debug, Clone)]
struct Client {
    protocol: Protocol,
    id: String,
}

impl State {
    pub fn new(rules: Rules) -> State {
        State {
            rules,
            now: Instant::now(),
            clients: HashMap::new(),
            sessions: BTreeMap::new(),
            retained: BTreeMap::new(),
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
        self.retained.keys().cloned().collect()
    }

    /// Takes a packet from a connection.
    pub fn handle(&mut self, now: Instant, link: Link, packet: Packet) -> Vec<Effect> {
        self.now = now;
        match (self.clients.get(&link).cloned(), packet) {
            (None, Packet::Connect(connect)) => self.connect(link, connect),
            // 3.1.0-1: the first packet is CONNECT.
            (None, _) => self.close(link),
            (Some(client), packet) => self.answer(link, &client, packet),
        }
        std::mem::take(&mut self.effects)
    }

    /// Takes note that a connection has ended.
    pub fn ended(&mut self, now: Instant, link: Link) -> Vec<Effect> {
        self.now = now;
        self.close(link);
        std::mem::take(&mut self.effects)
    }

    /// Does what was put off.
    pub fn wake(&mut self, now: Instant, link: Link, wake: Wake) -> Vec<Effect> {
        self.now = now;
        if let Some(client) = self.clients.get(&link).cloned() {
            self.with_session(link, &client, |session, rules| {
                match wake {
                    Wake::Queue => session.held = false,
                    Wake::Retained => session.release_late(),
                }
                session.flush(rules)
            });
        }
        std::mem::take(&mut self.effects)
    }

    /// 3.1.1 3.1.2-2: a protocol level that is not supported is answered by CONNACK 0x01, in the shape of 3.1.1.
    pub fn refuse_version(&mut self, link: Link) -> Vec<Effect> {
        self.refuse(link, Protocol::V3, 0x01);
        std::mem::take(&mut self.effects)
    }

    /// 5.0 4.1.0-2: a session whose connection is closed is discarded when its interval has passed. Nobody can tell
    /// when exactly it is, as long as it is done before a CONNECT or a message finds the session.
    fn end_expired_sessions(&mut self) {
        let now = self.now;
        self.sessions.retain(|_, session| session.ends_at.is_none_or(|end| now < end));
    }
}

/// Connections.
impl State {
    fn connect(&mut self, link: Link, connect: Connect) {
        let Connect { protocol, clean, session_expiry, client_id, .. } = connect;
        if protocol == Protocol::V5 && self.rules.choices.refuse_v5 {
            return self.refuse(link, Protocol::V3, 0x01);
        }
        if client_id.is_empty() {
            // 3.1.3-8: to invent a ClientId is a MAY (3.1.3-6).
            return self.refuse(link, protocol, if protocol == Protocol::V3 { 0x02 } else { 0x85 });
        }
        self.end_expired_sessions();
        self.take_over(&client_id);
        if clean && self.rules.discards_at_clean_connect() {
            self.sessions.remove(&client_id);
        }
        let earlier = self.sessions.get(&client_id).map(|session| session.lifetime);
        let session = self.sessions.entry(client_id.clone()).or_insert_with(|| Session::new(protocol));
        session.protocol = protocol;
        session.link = Some(link);
        session.ends_at = None;
        session.lifetime = self.rules.lifetime(protocol, clean, session_expiry);
        let client = Client { protocol, id: client_id };
        self.clients.insert(link, client.clone());

        let connack = self.connack(protocol, session_expiry, self.rules.session_present(clean, earlier));
        if self.rules.connack_first() {
            self.send(link, protocol, connack);
            self.resume(link, &client);
        } else {
            self.resume(link, &client);
            self.send(link, protocol, connack);
        }
    }

    fn connack(&self, protocol: Protocol, session_expiry: Option<u32>, session_present: bool) -> Packet {
        let choices = &self.rules.choices;
        let v5 = protocol == Protocol::V5;
        let granted = self.rules.granted_expiry(session_expiry);
        Packet::Connack(Connack {
            session_present,
            // What is left out is as it was asked for, or without limit (5.0, sections 3.2.2.3.2, 3.2.2.3.4 and
            // 3.2.2.3.5).
            session_expiry: (v5 && granted != session_expiry.unwrap_or(0)).then_some(granted),
            maximum_qos: (v5 && choices.maximum_qos < 2).then_some(choices.maximum_qos),
            retain_available: (v5 && !choices.retain_available).then_some(false),
            ..Connack::default()
        })
    }

    /// 3.2.2-4 and 3.2.2-5, 3.2.2-6 and 3.2.2-7: a refusal says Session Present 0, and the connection is closed.
    fn refuse(&mut self, link: Link, protocol: Protocol, code: u8) {
        self.send(link, protocol, Packet::Connack(Connack { code, ..Connack::default() }));
        self.close(link);
    }

    /// 3.1.4-2, 3.1.4-3: the connection that has the session is closed; in 5.0 DISCONNECT 0x8E says why.
    fn take_over(&mut self, client_id: &str) {
        let Some(session) = self.sessions.get(client_id) else { return };
        let (Some(older), protocol) = (session.link, session.protocol) else { return };
        if !self.rules.takes_over() {
            return;
        }
        if protocol == Protocol::V5 && self.rules.choices.takeover_disconnect {
            self.send(older, protocol, Packet::Disconnect { reason: 0x8e });
        }
        self.close(older);
    }

    /// 3.1.2-4, 3.1.2-5: a stored session goes on where it was: first what was under way, then what was queued. A new
    /// one has neither.
    fn resume(&mut self, link: Link, client: &Client) {
        let delay = self.rules.backlog_delay();
        let copies = self.retained_on_resume(&client.id);
        let mut held = false;
        self.with_session(link, client, |session, rules| {
            if rules.forgets_subscriptions() {
                session.subscriptions.clear();
            }
            let mut packets = session.resend(rules);
            session.prepare_backlog(rules);
            copies.into_iter().for_each(|copy| session.enqueue(rules, copy));
            session.held = session.has_backlog() && !delay.is_zero();
            held = session.held;
            packets.extend(session.flush(rules));
            packets
        });
        if held {
            self.effects.push(Effect::WakeAfter(delay, link, Wake::Queue));
        }
    }

    fn retained_on_resume(&self, client_id: &str) -> Vec<Delivery> {
        match self.sessions.get(client_id) {
            Some(session) if self.rules.sends_retained_on_resume() => {
                session.subscriptions.iter().flat_map(|(filter, granted)| self.retained(filter, *granted)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Ends a connection, and the session with it if it is not to be kept (3.1.2-6, 5.0 4.1.0-2).
    fn close(&mut self, link: Link) {
        self.detach(link);
        self.effects.push(Effect::Close(link));
    }

    fn detach(&mut self, link: Link) {
        let Some(client) = self.clients.remove(&link) else { return };
        let Some(session) = self.sessions.get_mut(&client.id).filter(|session| session.link == Some(link)) else {
            return;
        };
        session.link = None;
        session.held = false;
        // They were owed to this connection's SUBSCRIBE; on the next they would come without one.
        session.late.clear();
        match self.rules.outlives(session.lifetime) {
            ENDS_AT_CLOSE => drop(self.sessions.remove(&client.id)),
            lifetime => session.ends_at = lifetime.map(|lifetime| self.now + lifetime),
        }
    }

    fn send(&mut self, link: Link, protocol: Protocol, packet: Packet) {
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
