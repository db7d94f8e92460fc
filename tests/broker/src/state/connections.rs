//! How connections begin and end, and the sessions with them.

use std::collections::HashMap;

use std::collections::BTreeMap;
use std::time::Duration;

use mqtt_sessions::packet::{Connack, Connect, Packet, Protocol};

use super::super::session::{Delivery, ENDS_AT_CLOSE, Session, Unreleased};
use super::{Client, Defect, Effect, Link, State, Wake};

/// How long a broker that resends late waits.
const PUT_OFF_FOR: Duration = Duration::from_secs(3);

impl State {
    pub(super) fn connect(&mut self, link: Link, mut connect: Connect) {
        let protocol = connect.protocol;
        let asks_for_a_session = connect.session_expiry.is_some_and(|seconds| seconds > 0);
        self.greeted = asks_for_a_session.then(|| connect.client_id.bytes().map(usize::from).sum());
        if let Some((shape, code)) = self.refused(&connect) {
            return self.refuse(link, shape, code);
        }
        if !self.rules.answers_connect(!connect.clean && self.sessions.contains_key(&connect.client_id)) {
            return;
        }
        let nameless = connect.client_id.is_empty();
        if nameless {
            connect.client_id = self.assign();
        }
        let id = connect.client_id.clone();
        self.take_over(&id);
        let mut kept_ids = BTreeMap::new();
        if connect.clean && self.rules.discards_at_clean_connect() {
            if self.rules.ids_outlive_session()
                && let Some(session) = self.sessions.get(&id)
            {
                kept_ids = session.incoming.keys().map(|id| (*id, Unreleased::default())).collect();
            }
            self.end_session(&id);
        }
        if !connect.clean && self.rules.adopts_sessions() {
            self.adopt(&id, protocol);
        }
        let earlier = self.sessions.get(&id).map(|session| session.lifetime);
        let now = self.now;
        self.leave_will_behind(&id);
        let session = self.sessions.entry(id.clone()).or_insert_with(|| Session::new(protocol));
        session.attach(&self.rules, link, &connect, now);
        session.incoming.append(&mut kept_ids);
        if connect.will.is_some() || !self.rules.keeps_published_wills() {
            session.will.clone_from(&connect.will);
        }
        if let Some(will) = connect.will.as_ref().filter(|_| self.rules.publishes_will_at_connect()) {
            self.publish_will(&id, will);
        }
        let session_expiry = connect.session_expiry.unwrap_or(0);
        let client = Client { protocol, id, session_expiry, is_cut_off: false, aliases: HashMap::new() };
        self.clients.insert(link, client.clone());

        let connack = self.connack(&connect, nameless, self.rules.session_present(connect.clean, earlier));
        if self.rules.connack_first() {
            self.send(link, protocol, connack);
            self.resume(link, &client);
        } else {
            self.resume(link, &client);
            self.send(link, protocol, connack);
        }
        self.set_alarms(link);
    }

    /// Why a CONNECT is refused, if it is, and in the shape of which version that is said.
    fn refused(&self, connect: &Connect) -> Option<(Protocol, u8)> {
        let protocol = connect.protocol;
        let choices = &self.rules.choices;
        match protocol {
            Protocol::V5 if choices.refuse_v5 && self.rules.speaks_v5_to_refuse() => return Some((protocol, 0x84)),
            Protocol::V5 if choices.refuse_v5 => return Some((Protocol::V3, 0x01)),
            Protocol::V3 if choices.refuse_v3 => return Some((protocol, 0x01)),
            _ => {}
        }
        if protocol == Protocol::V3 && connect.client_id.is_empty() && !connect.clean {
            return self.rules.refuses_nameless_session().map(|code| (protocol, code));
        }
        if self.rules.refuses_id(&connect.client_id) {
            return Some((protocol, if protocol == Protocol::V3 { 0x02 } else { 0x85 }));
        }
        let will = connect.will.as_ref()?;
        self.rules.refuses_will(protocol, will).map(|code| (protocol, code))
    }

    /// 3.1.3-6, 3.2.2-16: a new identifier that no other session has.
    fn assign(&mut self) -> String {
        if self.rules.assigns_one_id() {
            return "assigned".into();
        }
        loop {
            self.assigned += 1;
            let id = format!("assigned{}", self.assigned);
            if !self.sessions.contains_key(&id) {
                return id;
            }
        }
    }

    fn connack(&self, connect: &Connect, nameless: bool, session_present: bool) -> Packet {
        let choices = &self.rules.choices;
        let v5 = connect.protocol == Protocol::V5;
        let granted = self.rules.granted_expiry(connect.session_expiry);
        let keep_alive = self.rules.keep_alive(connect.protocol, connect.keep_alive);
        Packet::Connack(Connack {
            session_present,
            // What is left out is as it was asked for, or without limit (5.0, sections 3.2.2.3.2, 3.2.2.3.4 and
            // 3.2.2.3.5).
            session_expiry: (v5 && granted != connect.session_expiry.unwrap_or(0)).then_some(granted),
            maximum_qos: (v5 && choices.maximum_qos < 2).then_some(choices.maximum_qos),
            topic_alias_maximum: Some(choices.keeping.aliases[0]).filter(|most| v5 && *most > 0),
            maximum_packet_size: choices.packet_size_at_most.filter(|_| v5),
            retain_available: (v5 && !choices.retain_available).then_some(false),
            assigned_client_id: (v5 && nameless).then(|| connect.client_id.clone()),
            server_keep_alive: (v5 && keep_alive != connect.keep_alive).then_some(keep_alive),
            wildcards_available: (v5 && !choices.wildcards).then_some(false),
            subscription_ids_available: (v5 && !choices.subscription_ids).then_some(false),
            shared_available: (v5 && !choices.shared_subscriptions).then_some(false),
            ..Connack::default()
        })
    }

    /// 3.2.2-4 and 3.2.2-5, 3.2.2-6 and 3.2.2-7: a refusal says Session Present 0, and the connection is closed.
    pub(super) fn refuse(&mut self, link: Link, protocol: Protocol, code: u8) {
        let session_present = self.rules.session_present_of_refusal(protocol);
        self.send(link, protocol, Packet::Connack(Connack { code, session_present, ..Connack::default() }));
        if self.rules.closes_after_refusal(protocol) {
            self.close(link);
        }
    }

    /// 3.1.4-2, 3.1.4-3: the connection that has the session is closed; in 5.0 DISCONNECT 0x8E says why.
    fn take_over(&mut self, client_id: &str) {
        let Some(session) = self.sessions.get(client_id) else { return };
        let (Some(older), protocol) = (session.link, session.protocol) else { return };
        if !self.rules.takes_over() {
            return;
        }
        let says_why = self.rules.sends_disconnect(protocol);
        if says_why {
            let reason = if protocol == Protocol::V5 { 0x8e } else { 0 };
            self.send(older, protocol, Packet::disconnect(reason));
        }
        if !self.rules.publishes_will_at_takeover()
            && let Some(session) = self.sessions.get_mut(client_id)
        {
            session.will = None;
        }
        self.detach(older);
        if !says_why || self.rules.closes_after_disconnect() {
            self.effects.push(Effect::Close(older));
        }
        if self.rules.lies(Defect::TakeoverLosesUnderWay)
            && let Some(session) = self.sessions.get_mut(client_id)
        {
            session.forget_under_way();
        }
        if self.rules.loses_session_at_takeover() {
            self.end_session(client_id);
        }
    }

    /// The state of somebody who is away becomes that of an identifier that has none.
    fn adopt(&mut self, id: &str, protocol: Protocol) {
        if self.sessions.contains_key(id) || !self.known.insert(id.to_owned()) {
            return;
        }
        let absent = self.sessions.iter().find(|(_, session)| session.link.is_none() && session.protocol == protocol);
        let Some(victim) = absent.map(|(victim, _)| victim.clone()) else { return };
        if let Some(session) = self.sessions.remove(&victim) {
            self.sessions.insert(id.to_owned(), session);
        }
    }

    /// 3.1.2-4, 3.1.2-5: a stored session goes on where it was: first what was under way, then what was queued. A new
    /// one has neither.
    fn resume(&mut self, link: Link, client: &Client) {
        let delay = self.rules.backlog_delay();
        let copies = self.retained_on_resume(&client.id);
        let now = self.now;
        let mut held = false;
        self.with_session(link, client, |session, rules| {
            if rules.forgets_subscriptions() {
                session.subscriptions.clear();
            }
            let restored = std::mem::take(&mut session.unsubscribed);
            session.subscriptions.extend(restored);
            session.resend(rules, now);
            session.prepare_backlog(rules);
            copies.into_iter().for_each(|copy| session.enqueue(rules, copy));
            session.put_off = rules.puts_off_resending();
            session.held = rules.holds_back(session.has_backlog(), session.is_under_way());
            held = session.held;
            session.flush(rules, now)
        });
        if held {
            self.effects.push(Effect::WakeAfter(delay, link, Wake::Queue));
        }
        if self.rules.puts_off_resending() {
            self.effects.push(Effect::WakeAfter(PUT_OFF_FOR, link, Wake::PutOff));
        }
    }

    fn retained_on_resume(&self, client_id: &str) -> Vec<Delivery> {
        match self.sessions.get(client_id) {
            Some(session) if self.rules.sends_retained_on_resume() => session
                .subscriptions
                .iter()
                .flat_map(|(filter, own)| self.retained_for(client_id, filter, own))
                .collect(),
            _ => Vec::new(),
        }
    }

    fn set_alarms(&mut self, link: Link) {
        if let Some(delay) = self.rules.forgets_after() {
            self.effects.push(Effect::WakeAfter(delay, link, Wake::Forget));
        }
    }

    /// Ends a connection, and the session with it if it is not to be kept (3.1.2-6, 5.0 4.1.0-2).
    pub(super) fn close(&mut self, link: Link) {
        self.detach(link);
        self.effects.push(Effect::Close(link));
    }

    pub(super) fn detach(&mut self, link: Link) {
        let Some(client) = self.clients.remove(&link) else { return };
        let now = self.now;
        let Some(session) = self.sessions.get_mut(&client.id).filter(|session| session.link == Some(link)) else {
            return;
        };
        session.link = None;
        session.held = false;
        if self.rules.loses_tail_at_end() {
            session.forget_last_under_way();
        }
        // They were owed to this connection's SUBSCRIBE; on the next they would come without one.
        session.late.clear();
        if self.rules.forgets_received_ids() {
            session.incoming.clear();
        }
        let lifetime = self.rules.choices.keeping.lifetime(self.rules.outlives(session.lifetime));
        session.ends_at = lifetime.map(|lifetime| now + lifetime);
        self.schedule_will(&client.id, link);
        self.redirect_broken_off(&client.id);
        if lifetime == ENDS_AT_CLOSE {
            self.end_session(&client.id);
        }
        self.pass_time();
    }

    /// Discards a session: its will goes out now at the latest.
    pub(super) fn end_session(&mut self, id: &str) {
        let Some(mut session) = self.sessions.remove(id) else { return };
        if session.will_due.is_some()
            && let Some(will) = session.will.take()
        {
            match self.rules.session_end_publishes_will() {
                true => self.publish_will(id, &will),
                false => self.orphaned_wills.extend(session.will_due.map(|due| (due, will, id.to_owned()))),
            }
        }
        if self.rules.retained_ends_with_session() {
            self.retained.retain(|_, message| message.publisher != id);
        }
        self.redirect_of_ended(session);
    }

    /// 5.0 4.1.0-2: a session whose connection is closed is discarded when its interval has passed. Nobody can tell
    /// when exactly it is, as long as it is done before a packet finds the session.
    pub(super) fn pass_time(&mut self) {
        let now = self.rules.clock(self.now);
        let over = |session: &Session| session.link.is_none() && session.ends_at.is_some_and(|end| end <= now);
        let expired: Vec<String> =
            self.sessions.iter().filter(|(_, session)| over(session)).map(|(id, _)| id.clone()).collect();
        for id in expired {
            self.end_session(&id);
        }
        self.publish_due_wills();
    }
}
