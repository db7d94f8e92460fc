//! SUBSCRIBE and UNSUBSCRIBE.

use mqtt_sessions::packet::{Filter, Packet, Protocol, Suback, Subscribe, Unsuback, Unsubscribe};

use super::super::choices::{RETAINED_PATIENCE, RetainedCopies};
use super::super::session::{Delivery, Subscription};
use super::super::topics;
use super::{Client, Defect, Effect, Link, State, Wake};

impl State {
    /// 3.8.4-1, 3.8.4-2 and 3.9.3-1: SUBACK has the identifier of the SUBSCRIBE and a code for each filter, in order.
    pub(super) fn subscribe(&mut self, link: Link, client: &Client, subscribe: Subscribe) {
        let Subscribe { id, filters, subscription_id } = subscribe;
        if filters.iter().any(|filter| filter.no_local && filter.filter.starts_with("$share/")) {
            // 5.0 3.8.3-4: No Local on a shared subscription is a protocol error.
            return self.expel(link, client, 0x82);
        }
        self.drop_retained_qos0();
        let (mut codes, mut copies) = (Vec::new(), Vec::new());
        for filter in filters {
            match self.refused_filter(client.protocol, &filter, subscription_id) {
                Some(code) => codes.push(code),
                None => {
                    let granted = self.rules.granted_qos(filter.qos);
                    codes.push(granted);
                    copies.extend(self.establish(client, &filter, granted, subscription_id));
                }
            }
        }
        if copies.iter().any(|copy| self.rules.closes_on_retained(copy.message.publish.qos)) {
            return self.close(link);
        }
        if self.rules.choices.retained_copies_shuffled {
            self.rules.shuffle(&mut copies);
        }
        let suback = Packet::Suback(Suback { id, codes });
        let delay = match self.rules.choices.retained_copies {
            RetainedCopies::BeforeSuback => {
                self.deliver(link, client, copies);
                return self.send(link, client.protocol, suback);
            }
            RetainedCopies::AfterSuback => {
                self.send(link, client.protocol, suback);
                return self.deliver(link, client, copies);
            }
            RetainedCopies::AfterNextMessage => RETAINED_PATIENCE,
            RetainedCopies::Late(delay) => delay,
        };
        self.send(link, client.protocol, suback);
        self.with_session(link, client, |session, _| {
            session.late.extend(copies);
            Vec::new()
        });
        self.effects.push(Effect::WakeAfter(delay, link, Wake::Retained));
    }

    /// The SUBACK code for a filter that is not accepted (3.1.1 section 3.9.3, 5.0 section 3.9.3).
    fn refused_filter(&self, protocol: Protocol, filter: &Filter, subscription_id: Option<u32>) -> Option<u8> {
        let v5 = protocol == Protocol::V5;
        let choices = &self.rules.choices;
        let above = v5 && filter.qos > choices.maximum_qos;
        match filter.filter.as_str() {
            filter if v5 && filter.starts_with("$share/") && !topics::is_shared_filter(filter) => Some(0x8f),
            filter if !topics::is_filter(filter) => Some(if v5 { 0x8f } else { 0x80 }),
            filter if v5 && filter.starts_with("$share/") && !choices.shared_subscriptions => Some(0x9e),
            filter if v5 && filter.contains(['+', '#']) && !choices.wildcards => Some(0xa2),
            _ if v5 && subscription_id.is_some() && !choices.subscription_ids => Some(0xa1),
            // 5.0 3.2.2-10: a QoS above the Maximum QoS is no reason.
            _ if above && self.rules.lies(Defect::RefusesSubscribeAboveMaximum) => Some(0x80),
            _ => None,
        }
    }

    /// 3.8.4-3: a subscription to the same filter is replaced, without loss. Returns the retained messages it asks for.
    fn establish(&mut self, client: &Client, filter: &Filter, granted: u8, id: Option<u32>) -> Vec<Delivery> {
        let Some(session) = self.sessions.get_mut(&client.id) else { return Vec::new() };
        let subscription =
            Subscription { granted, no_local: filter.no_local, retain_as_published: filter.retain_as_published, id };
        let repeated = session.subscriptions.contains_key(&filter.filter);
        if !(repeated && self.rules.keeps_replaced()) {
            session.subscriptions.insert(filter.filter.clone(), subscription.clone());
        }
        if repeated {
            session.interrupted = self.rules.lost_after_resubscribe();
            if self.rules.discards_at_resubscribe() {
                session.discard_queued(&self.rules, &filter.filter);
            }
        }
        // 5.0, section 4.8.2: no retained messages for shared subscriptions.
        let shared = topics::shared(&filter.filter).is_some() && !self.rules.lies(Defect::RetainedToShared);
        match !shared && self.rules.sends_retained(repeated, filter.retain_handling) {
            true => self.retained_for(&client.id, &filter.filter, &subscription),
            false => Vec::new(),
        }
    }

    fn deliver(&mut self, link: Link, client: &Client, copies: Vec<Delivery>) {
        let now = self.now;
        self.with_session(link, client, |session, rules| {
            copies.into_iter().for_each(|copy| session.enqueue(rules, copy));
            session.flush(rules, now)
        });
    }

    /// 3.10.4-1: a filter that is the same character by character is deleted. What is queued MAY still come.
    pub(super) fn unsubscribe(&mut self, link: Link, client: &Client, unsubscribe: Unsubscribe) {
        let Unsubscribe { id, filters } = unsubscribe;
        let rules = &self.rules;
        let Some(session) = self.sessions.get_mut(&client.id) else { return };
        let mut codes = Vec::new();
        for filter in &filters {
            // 5.0, section 3.11.3: success, or no subscription existed.
            codes.push(if session.subscriptions.contains_key(filter) { 0x00 } else { 0x11 });
            if !rules.unsubscribes() {
                continue;
            }
            let exact = |own: &&String| rules.unsubscribed_by(filter, own);
            let keys: Vec<String> = session.subscriptions.keys().filter(exact).cloned().collect();
            let deleted: Vec<(String, Subscription)> =
                keys.iter().filter_map(|key| session.subscriptions.remove_entry(key)).collect();
            if rules.serves_ended() {
                session.ended.extend(deleted.iter().cloned());
            }
            if rules.restores_unsubscribed() {
                session.unsubscribed.extend(deleted);
            }
            if rules.choices.unsubscribe_discards_queue {
                session.discard_unsubscribed(rules, filter);
            }
            if rules.unsubscribe_drops_under_way() {
                session.drop_under_way(rules, topics::unshared(filter));
            }
        }
        self.send(link, client.protocol, Packet::Unsuback(Unsuback { id, codes }));
    }
}
