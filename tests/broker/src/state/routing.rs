//! Where messages go: to every client that subscribed, to one client of each group, and into the retained messages.

use std::collections::BTreeSet;

use mqtt_sessions::packet::{Packet, Protocol, Publish};

use super::super::defect::Way;
use super::super::rules::Retaining;
use super::super::session::{Delivery, Message, Session, Subscription};
use super::super::topics;
use super::{Defect, Link, State};

impl State {
    /// Takes a message over: it is retained if it asks for that, and routed. True if somebody subscribes to it.
    pub(super) fn accept(&mut self, message: &Message) -> bool {
        self.retain(message);
        self.route(message)
    }

    /// Gives a message to every session that subscribes to it. True if there is one.
    pub(super) fn route(&mut self, message: &Message) -> bool {
        let of_version = self.sessions.get(&message.publisher).map(|session| session.protocol);
        let mut matched = false;
        let waiting = self.sessions.values().filter(|session| session.link.is_none()).map(Session::backlog).sum();
        let is_full = self.rules.choices.keeping.is_full_for_all(waiting);
        let mut outgoing: Vec<(Link, Protocol, Packet)> = Vec::new();
        for (id, session) in &mut self.sessions {
            let other_version = of_version.is_some_and(|version| version != session.protocol);
            if other_version && session.link.is_none() && self.rules.lies(Defect::StoresOneVersion) {
                continue;
            }
            if is_full && session.link.is_none() {
                continue;
            }
            let Some(packets) = session.offer(&self.rules, message, id, self.now) else { continue };
            matched = true;
            if let Some(link) = session.link {
                outgoing.extend(packets.into_iter().map(|packet| (link, session.protocol, packet)));
            }
        }
        let ends =
            |session: &Session| session.link.is_none() && self.rules.choices.keeping.ends_session(session.backlog());
        let ended: Vec<String> =
            self.sessions.iter().filter(|(_, session)| ends(session)).map(|(id, _)| id.clone()).collect();
        ended.iter().for_each(|id| self.end_session(id));
        outgoing.into_iter().for_each(|(link, protocol, packet)| self.send(link, protocol, packet));
        for filter in self.groups(&message.publish.topic) {
            matched = true;
            self.give_to_group(&filter, message, None);
        }
        matched
    }

    /// The longest backlog among the absent clients that a message would be stored for.
    pub(super) fn longest_backlog(&self, publisher: &str, publish: &Publish) -> usize {
        let message =
            Message { publish: publish.clone(), taken_at: self.now, publisher: publisher.to_owned(), is_will: false };
        let storing = self.sessions.iter().filter(|(id, session)| session.stores(&self.rules, &message, id));
        storing.map(|(_, session)| session.backlog()).max().unwrap_or(0)
    }

    /// The shared filters that match a topic, each once.
    fn groups(&self, topic: &str) -> BTreeSet<String> {
        let filters = self.sessions.values().flat_map(|session| session.subscriptions.keys());
        let matching = filters
            .filter(|filter| topics::shared(filter).is_some_and(|(_, filter)| self.rules.matches(filter, topic)));
        matching.cloned().collect()
    }

    /// 5.0, section 4.8.2: one member gets the message, one that is there if there is one. `except` has had it before. A
    /// member that is away and would not store it is not chosen.
    fn give_to_group(&mut self, filter: &str, message: &Message, except: Option<&str>) {
        let takes =
            |session: &Session, granted| session.link.is_some() || self.rules.queues(message.publish.qos, granted);
        let is_member = |(id, session): &(&String, &Session)| {
            let subscription = session.subscriptions.get(filter);
            Some(id.as_str()) != except && subscription.is_some_and(|own| takes(session, own.granted))
        };
        let members: Vec<(String, bool)> =
            self.sessions.iter().filter(is_member).map(|(id, session)| (id.clone(), session.link.is_some())).collect();
        let there: Vec<&String> = members.iter().filter(|(_, online)| *online).map(|(id, _)| id).collect();
        let anybody = there.is_empty() || self.rules.choices.shared_to_absent;
        let candidates = if anybody { members.iter().map(|(id, _)| id).collect() } else { there };
        let turn = self.turns.entry(filter.to_owned()).or_default();
        *turn += 1;
        let chosen: Vec<String> = match candidates.len() {
            0 => Vec::new(),
            _ if self.rules.lies(Defect::SharedToAllMembers) => candidates.into_iter().cloned().collect(),
            count => vec![candidates[*turn % count].clone()],
        };
        for id in chosen {
            self.give_to_member(&id, filter, message);
        }
    }

    fn give_to_member(&mut self, id: &str, filter: &str, message: &Message) {
        let now = self.now;
        let Some(session) = self.sessions.get_mut(id) else { return };
        let Some(subscription) = session.subscriptions.get(filter) else { return };
        let queued = session.link.is_none();
        let delivery = Delivery {
            message: message.clone(),
            // 5.0 4.8.2-3.
            qos: self.rules.shared_qos(message.publish.qos, subscription.granted),
            retain: message.publish.retain && subscription.retain_as_published,
            subscription_ids: subscription.id.into_iter().collect(),
            queued,
            is_retained_copy: false,
            share: Some(filter.to_owned()),
        };
        let mut packets = session.take(&self.rules, delivery, now);
        packets.extend(session.flush(&self.rules, now));
        if let Some(link) = session.link {
            let protocol = session.protocol;
            packets.into_iter().for_each(|packet| self.send(link, protocol, packet));
        }
    }

    /// 5.0 4.8.2-4: a QoS 2 delivery that was broken off waits for its client. One at QoS 1 MAY go to another member.
    pub(super) fn redirect_broken_off(&mut self, id: &str) {
        let mut moving: Vec<Delivery> = Vec::new();
        if self.rules.lies(Defect::SharedRedirectsUnderWay) {
            moving.extend(
                self.sessions.get_mut(id).into_iter().flat_map(|session| session.take_shared_under_way(2, |_| true)),
            );
        }
        if self.rules.choices.shared_qos1_moves_on {
            let others: BTreeSet<String> = self
                .sessions
                .iter()
                .filter(|(member, session)| *member != id && session.link.is_some())
                .flat_map(|(_, session)| session.subscriptions.keys().cloned())
                .collect();
            let has_other = |filter: &str| others.contains(filter);
            moving.extend(
                self.sessions.get_mut(id).into_iter().flat_map(|session| session.take_shared_under_way(1, has_other)),
            );
        }
        for delivery in moving {
            self.redirect(id, delivery);
        }
    }

    /// 5.0 4.8.2-5: when its session ends, nobody else gets it. What had QoS 1 or was not sent yet goes to another
    /// member.
    pub(super) fn redirect_of_ended(&mut self, mut session: Session) {
        if self.rules.lies(Defect::SharedRedirectsAtSessionEnd) {
            for delivery in session.take_shared_under_way(2, |_| true) {
                self.redirect("", delivery);
            }
        }
        for delivery in session.take_shared_leftovers() {
            self.redirect("", delivery);
        }
    }

    /// 5.0 4.8.2-6: nor does anybody get what was refused.
    pub(super) fn redirect_refused(&mut self, id: &str, delivery: Delivery) {
        if self.rules.lies(Defect::SharedRedirectsRefused) {
            self.redirect(id, delivery);
        }
    }

    fn redirect(&mut self, from: &str, delivery: Delivery) {
        if let Some(filter) = &delivery.share {
            self.give_to_group(filter, &delivery.message, Some(from));
        }
    }

    pub(super) fn retain(&mut self, message: &Message) {
        self.drop_retained_qos0();
        let publish = &message.publish;
        match self.rules.retaining(publish, self.retained.contains_key(&publish.topic)) {
            Retaining::Leave => {}
            Retaining::Remove => drop(self.retained.remove(&publish.topic)),
            Retaining::Store
                if self.rules.choices.keeping.retained.is_some_and(|limit| self.retained.len() > limit) => {}
            Retaining::Store => {
                let mut stored = message.clone();
                stored.publish.qos = self.rules.stored_qos(publish.qos);
                self.retained.insert(publish.topic.clone(), stored);
            }
        }
    }

    /// 3.1.1 3.3.1-7, 5.0 section 3.3.1.3: retained messages of QoS 0 may be discarded at any time.
    pub(super) fn drop_retained_qos0(&mut self) {
        let rules = &self.rules;
        self.retained.retain(|topic, message| message.publish.qos > 0 || !rules.loses_qos0(topic));
    }

    /// 3.3.1-6, 3.3.1-9: the retained messages that a SUBSCRIBE gets, at the lower of both QoS (3.8.4-6, 3.8.4-8).
    pub(super) fn retained_for(&self, client_id: &str, filter: &str, subscription: &Subscription) -> Vec<Delivery> {
        let filter = topics::unshared(filter);
        // 5.0 3.8.3-3: with No Local no message comes back to its publisher, this way neither.
        let local = |message: &Message| {
            subscription.no_local && message.publisher == client_id && !self.rules.ignores_no_local(Way::RetainedCopy)
        };
        let matching = self
            .retained
            .values()
            .filter(|message| self.rules.matches(filter, &message.publish.topic) && !local(message));
        let copy = |message: &Message| Delivery {
            message: message.clone(),
            qos: self.rules.delivered_qos(message.publish.qos, subscription.granted),
            retain: self.rules.retain_of_retained(),
            subscription_ids: subscription.id.into_iter().collect(),
            queued: false,
            is_retained_copy: true,
            share: None,
        };
        matching.map(copy).collect()
    }
}
