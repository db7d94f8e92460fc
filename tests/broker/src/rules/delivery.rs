//! How messages are delivered.

use std::collections::HashMap;

use mqtt_sessions::packet::{AckKind, Properties, Protocol, Publish, Values};
use tokio::time::Instant;

use super::super::defect::{Fault, Way};
use super::super::session::{Delivery, Subscription};
use super::super::topics;
use super::{Defect, Rules};

/// A copy of a message for one subscriber.
#[derive(Debug, Clone)]
pub struct Copy {
    pub granted: u8,
    pub qos: u8,
    pub retain: bool,
    pub subscription_ids: Vec<u32>,
}

impl Rules {
    /// 4.7.2-1: wildcards at the head of a filter do not match `$`.
    pub fn matches(&self, filter: &str, topic: &str) -> bool {
        if self.lies(Defect::WildcardsMatchDollar) {
            return topics::levels_match(filter, topic);
        }
        topics::matches(filter, topic)
    }

    /// 3.3.5-1, 3.3.4-2: one copy that respects the highest QoS granted to the matching subscriptions, or a copy for
    /// each. 5.0 3.3.4-3 to 3.3.4-5: one copy has all Subscription Identifiers, each of several its own.
    pub fn copies(&self, publish: &Publish, matching: &[Subscription], way: Way) -> Vec<Copy> {
        let queued = way == Way::Queued;
        let all_ids: Vec<u32> = matching.iter().filter_map(|subscription| subscription.id).collect();
        let mut copies: Vec<Copy> = matching.iter().map(|own| self.copy(publish, own, queued)).collect();
        let flags: Vec<bool> = copies.iter().map(|copy| copy.retain).collect();
        copies.sort_by_key(|copy| std::cmp::Reverse(copy.granted));
        if self.lies(Defect::OverlapTakesLowestQos) || self.has_fault(Fault::LowestOfOverlap, way) {
            copies.reverse();
        }
        if !self.sends_copy_for_each() {
            copies.truncate(1);
            let has_all = !self.lies(Defect::OneSubscriptionIdOfMany) && !self.has_fault(Fault::OneIdOfOverlap, way);
            for copy in copies.iter_mut().filter(|_| has_all) {
                copy.subscription_ids.clone_from(&all_ids);
                if self.choices.subscription_ids_reversed {
                    copy.subscription_ids.reverse();
                }
                if self.choices.overlap_flag_at_random {
                    copy.retain = flags[self.below(flags.len())];
                }
            }
        }
        for copy in &mut copies {
            match self.defect {
                Some(Defect::NoSubscriptionIds) => copy.subscription_ids.clear(),
                Some(Defect::SubscriptionIdLostInQueue) if queued => copy.subscription_ids.clear(),
                Some(Defect::AllSubscriptionIdsOnEachCopy) => copy.subscription_ids.clone_from(&all_ids),
                Some(Defect::OnTheWay(Fault::AllIdsOfOverlap, of)) if of == way => {
                    copy.subscription_ids.clone_from(&all_ids);
                }
                _ => {}
            }
        }
        let twice = match self.defect {
            Some(Defect::TwiceAtQos1) => 1,
            Some(Defect::TwiceAtQos2) => 2,
            _ => return copies,
        };
        copies.into_iter().flat_map(|copy| vec![copy.clone(); if copy.qos == twice { 2 } else { 1 }]).collect()
    }

    /// True if a message that matches several subscriptions of a client goes to each of them (section 3.3.5 of 3.1.1,
    /// 3.3.4 of 5.0).
    fn sends_copy_for_each(&self) -> bool {
        match self.choices.overlap_at_random {
            true => self.below(2) == 0,
            false => self.choices.copy_for_each_subscription,
        }
    }

    fn copy(&self, publish: &Publish, subscription: &Subscription, queued: bool) -> Copy {
        let as_published = subscription.retain_as_published
            && !self.lies(Defect::IgnoresRetainAsPublished)
            && !(queued && self.lies(Defect::RetainAsPublishedLostInQueue));
        Copy {
            granted: subscription.granted,
            qos: self.delivered_qos(publish.qos, subscription.granted),
            retain: publish.retain && as_published || self.retain_of_copy(publish.retain, queued),
            subscription_ids: subscription.id.into_iter().collect(),
        }
    }

    /// The PUBLISH of a delivery: in 5.0 with the properties as they were published (3.3.2-4, 3.3.2-15 to 3.3.2-20), and
    /// with what is left of the Message Expiry Interval (3.3.2-6).
    pub fn forwarded(&self, delivery: &Delivery, way: Way, now: Instant) -> Publish {
        let published = &delivery.message.publish;
        let mut properties = published.properties.clone();
        properties.topic_alias = None;
        properties.subscription_ids.clone_from(&delivery.subscription_ids);
        if !self.lies(Defect::MessageExpiryNotReduced) && !self.has_fault(Fault::ExpiryKept, way) {
            let waited = now.saturating_duration_since(delivery.message.taken_at).as_secs() as u32;
            properties.message_expiry = properties.message_expiry.map(|expiry| expiry.saturating_sub(waited));
        }
        self.alter(&mut properties, delivery.queued, way);
        let mut payload = published.payload.clone();
        if self.has_fault(Fault::PayloadChanged, way) && (delivery.qos > 0 || way == Way::Will) {
            payload.push(b'?');
        }
        Publish {
            dup: false,
            qos: delivery.qos,
            retain: delivery.retain != self.has_fault(Fault::RetainFlipped, way),
            topic: self.topic_on_the_wire(published),
            id: 0,
            payload,
            properties,
        }
    }

    /// 3.3.2-2, 3.3.2-3: the topic is the one that was published.
    fn topic_on_the_wire(&self, published: &Publish) -> String {
        let is_lied_about = published.qos == 0 && !published.topic.starts_with('$');
        match self.defect {
            Some(Defect::WrongTopicAtQos0) if is_lied_about => format!("{}/elsewhere", published.topic),
            Some(Defect::WildcardInTopic) if is_lied_about => "+".to_owned(),
            _ => published.topic.clone(),
        }
    }

    fn alter(&self, properties: &mut Properties, queued: bool, way: Way) {
        match self.defect {
            Some(Defect::AltersPayloadFormat) => properties.payload_format = None,
            Some(Defect::AltersResponseTopic) => properties.response_topic = None,
            Some(Defect::AltersCorrelationData) => {
                properties.correlation_data.iter_mut().for_each(|data| data.push(0));
            }
            Some(Defect::DropsUserProperty) => drop(properties.user.pop()),
            Some(Defect::ReordersUserProperties) => properties.user.sort(),
            Some(Defect::AltersContentType) => properties.content_type = None,
            Some(Defect::QueueDropsProperties) if queued => drop_properties(properties),
            Some(Defect::OnTheWay(Fault::PropertiesDropped, of)) if of == way => drop_properties(properties),
            Some(Defect::OnTheWay(Fault::UserPropertiesSorted, of)) if of == way => properties.user.sort(),
            Some(Defect::OnTheWay(Fault::NoSubscriptionId, of)) if of == way => properties.subscription_ids.clear(),
            _ => {}
        }
    }

    /// 5.0 3.1.2-26, 3.1.2-27 and 3.3.2-7: aliases up to the client's maximum, none without one, and those of this
    /// connection only.
    pub fn alias(&self, packet: &mut Publish, maximum: u16, known: &mut HashMap<String, u16>) {
        let maximum = match self.defect {
            Some(Defect::AliasUnasked) => 10,
            Some(Defect::AliasAboveMaximum) if maximum > 0 => 10,
            _ if self.choices.topic_aliases => maximum,
            _ => return,
        };
        if maximum == 0 {
            return;
        }
        let next = known.len() as u16 + 1;
        if self.lies(Defect::TopicAlias0) {
            // 5.0 3.3.2-8: 0 is no alias.
            packet.properties.topic_alias = Some(0);
        } else if let Some(alias) = known.get(&packet.topic) {
            packet.properties.topic_alias = Some(*alias);
            packet.topic.clear();
        } else if next <= maximum {
            known.insert(packet.topic.clone(), next);
            packet.properties.topic_alias = Some(next);
        }
    }

    pub fn keeps_aliases(&self) -> bool {
        self.lies(Defect::AliasSurvives)
    }

    /// 3.8.4-6, 3.8.4-8: the lower of the published and the granted QoS.
    pub fn delivered_qos(&self, published: u8, granted: u8) -> u8 {
        match self.defect {
            Some(Defect::QosOfSubscription) => granted,
            Some(Defect::QosOfPublication) => published,
            Some(Defect::Qos1Where0Granted) if granted == 0 => published.min(1),
            _ => published.min(granted),
        }
    }

    /// 3.3.1-9, 3.3.1-12: RETAIN is 0 on what matches an established subscription, queued or not.
    pub fn retain_of_copy(&self, published: bool, queued: bool) -> bool {
        published
            && match self.defect {
                Some(Defect::RetainOnQueued) => queued,
                Some(Defect::RetainOnLive) => !queued,
                _ => false,
            }
    }

    /// 3.3.1-3: DUP says whether this broker sends the message again, so it is 0 on a first copy; 3.3.1-2: and at QoS
    /// 0.
    pub fn dup_of_first(&self, delivery: &Delivery) -> bool {
        match self.defect {
            Some(Defect::DupOnFirst) => delivery.queued && delivery.qos > 0,
            Some(Defect::DupOnQos0) => delivery.qos == 0,
            Some(Defect::OnTheWay(Fault::DupAtQos0, way)) => delivery.qos == 0 && delivery.way() == way,
            Some(Defect::OnTheWay(Fault::DupOnFirst, way)) => delivery.qos > 0 && delivery.way() == way,
            _ => false,
        }
    }

    /// 3.8.4-6, 3.8.4-8: the QoS of a delivery is the one that was decided.
    pub fn qos_on_the_way(&self, delivery: &Delivery) -> u8 {
        match self.defect {
            Some(Defect::OnTheWay(Fault::AtQos0, way)) if way == delivery.way() => 0,
            Some(Defect::OnTheWay(Fault::QosRaised, way)) if way == delivery.way() => (delivery.qos + 1).min(2),
            _ => delivery.qos,
        }
    }

    /// 4.5.0-1 and 4.3.3-2, 4.5.0-1 and 4.3.3-10: each delivery is made, and once.
    pub fn copies_on_the_way(&self, delivery: &Delivery) -> usize {
        match self.defect {
            Some(Defect::OnTheWay(..)) if delivery.qos == 0 => 1,
            Some(Defect::OnTheWay(Fault::Lost, Way::Will)) if !delivery.queued => 1,
            Some(Defect::OnTheWay(Fault::Lost, way)) if way == delivery.way() => 0,
            Some(Defect::OnTheWay(Fault::Twice, way)) if way == delivery.way() => 2,
            _ => 1,
        }
    }

    /// 5.0 4.4.0-1: what is sent again on resume is sent again once. 3.1.1 does not forbid more.
    pub fn copies_of_resent(&self, protocol: Protocol) -> usize {
        if protocol == Protocol::V5 && self.has_fault(Fault::Twice, Way::Resent) { 2 } else { 1 }
    }

    /// 3.1.1 4.6.0-4 and 4.6.0-6: PUBRELs come in the order of their PUBRECs. 5.0 asks that of clients only.
    pub fn reverses_pubrels(&self, protocol: Protocol) -> bool {
        protocol == Protocol::V3 && self.lies(Defect::PubrelsReversed)
    }

    /// 3.1.1 2.3.1-4, 5.0 2.2.1-4: an identifier is in use until its last answer has come.
    pub fn is_in_use(&self, awaits: AckKind) -> bool {
        !(awaits == AckKind::Pubcomp && self.lies(Defect::ReusesIdBeforePubcomp))
    }

    /// 5.0 3.3.4-9: an answer makes room for one message. How many more are let go.
    pub fn excess_of(&self, protocol: Protocol, answer: AckKind) -> usize {
        usize::from(protocol == Protocol::V5 && answer == AckKind::Puback && self.lies(Defect::PubackReleasesTwo))
    }

    /// 5.0 3.3.4-9: each PUBLISH above QoS 0 waits for room. 3.1.1 knows no limit.
    pub fn goes_beyond_window(&self, protocol: Protocol, way: Way) -> bool {
        protocol == Protocol::V5 && self.has_fault(Fault::BeyondWindow, way)
    }

    /// 4.4.0-1: what the client has answered with PUBREC is known, however its connection ended.
    pub fn forgets_cut_off_pubrec(&self) -> bool {
        self.lies(Defect::ForgetsCutOffPubrec)
    }

    /// 3.3.1-1: DUP is 1 on what is sent again.
    pub fn dup_of_resent(&self) -> bool {
        !self.lies(Defect::DupNever)
    }

    /// 4.4.0-1: the PUBLISH that is sent again is the same as before.
    pub fn qos_of_resent(&self, qos: u8) -> u8 {
        if self.has_fault(Fault::QosRaised, Way::Resent) { (qos + 1).min(2) } else { qos }
    }

    /// 4.4.0-1: what was not acknowledged is sent again on resume.
    pub fn resends_nothing(&self) -> bool {
        self.lies(Defect::ResendsNothing)
    }

    /// It is sent again at once.
    pub fn puts_off_resending(&self) -> bool {
        self.lies(Defect::ResendsBehindNew)
    }

    /// 4.4.0-1: so is the PUBREL that was not answered.
    pub fn drops_pubrel(&self) -> bool {
        self.lies(Defect::PubrelNotResent)
    }

    /// 4.6.0-6, 4.6.0-5: what is sent again comes in its original order.
    pub fn reverses_resent(&self) -> bool {
        self.lies(Defect::ResendsReversed)
    }

    /// 4.4.0-1: and under its original identifier.
    pub fn renumbers_resent(&self) -> bool {
        self.lies(Defect::ResendsWithNewId)
    }

    /// 5.0 4.4.0-1: nothing is sent again at any other time. 3.1.1 does not forbid it.
    pub fn resends_live(&self, protocol: Protocol) -> bool {
        match protocol {
            Protocol::V3 => self.choices.repeats_live,
            Protocol::V5 => self.lies(Defect::ResendsLive),
        }
    }

    /// Section 4.3.1: a delivery at QoS 0 may be lost. The broker's own topics never are, since no experiment is about
    /// them.
    pub fn loses_qos0(&self, topic: &str) -> bool {
        !topic.starts_with('$') && self.choices.qos0_lost_once_in.is_some_and(|times| self.below(times as usize) == 0)
    }

    /// 3.1.1 2.3.1-4, 5.0 2.2.1-4.
    pub fn reuses_ids(&self) -> bool {
        self.lies(Defect::ReusesIdInUse)
    }

    /// 4.3.3-1, 4.3.3-6: after the PUBREC the PUBREL is sent again, never the PUBLISH.
    pub fn awaited_after_resume(&self, awaited: AckKind) -> AckKind {
        match awaited {
            AckKind::Pubcomp if self.lies(Defect::ForgetsPubrec) => AckKind::Pubrec,
            awaited => awaited,
        }
    }

    /// 4.3.2-1 and 4.3.3-1, 4.4.0-1: what was acknowledged is done with.
    pub fn forgets_acknowledgement(&self, kind: AckKind, refused: bool) -> bool {
        if refused {
            return self.lies(Defect::ResendsRefused);
        }
        match kind {
            AckKind::Puback => self.lies(Defect::ForgetsPuback),
            AckKind::Pubcomp => self.lies(Defect::ForgetsPubcomp),
            _ => false,
        }
    }

    /// 3.1.1 4.3.2-2 and 4.3.3-2, 5.0 4.3.2-5 and 4.3.3-12: after the last answer an identifier stands for a new message.
    pub fn remembers_id(&self, qos: u8) -> bool {
        match qos {
            1 => self.lies(Defect::RemembersPubackId),
            2 => self.lies(Defect::RemembersPubcompId),
            _ => false,
        }
    }

    /// 5.0 4.3.3-9: and so it does after a PUBREC that refuses.
    pub fn remembers_refused_id(&self) -> bool {
        self.lies(Defect::RemembersRefusedId)
    }

    /// 4.3.3-2, 4.3.3-10: identifiers whose PUBREL has not come belong to the session.
    pub fn forgets_received_ids(&self) -> bool {
        self.lies(Defect::ForgetsReceivedIds)
    }
}

/// Drops what is to be passed on unaltered.
fn drop_properties(properties: &mut Properties) {
    let (message_expiry, ids) = (properties.message_expiry, std::mem::take(&mut properties.subscription_ids));
    *properties = Values { message_expiry, subscription_ids: ids, ..Values::default() }.into();
}
