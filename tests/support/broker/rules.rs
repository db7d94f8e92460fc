//! Each decision of the broker, with the statement that rules it, the liberty that the standard leaves, and the lies.
//!
//! Without a [`Defect`] every answer given here is one that the standard permits; the rest of the broker only carries
//! the decisions out. Statements are cited as `3.1.1 number, 5.0 number`, or once where both versions agree.

use std::collections::VecDeque;
use std::time::Duration;

use mqtt_sessions::packet::{AckKind, Packet, Protocol, Publish};

use super::choices::Choices;
use super::defect::Defect;
use super::session::{Delivery, ENDS_AT_CLOSE, Lifetime};
use super::topics;

pub struct Rules {
    pub choices: Choices,
    pub defect: Option<Defect>,
}

/// What a PUBLISH does to the retained message of its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retaining {
    Leave,
    Remove,
    Store,
}

/// Sessions.
impl Rules {
    fn lies(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    fn keeps_clean_sessions(&self) -> bool {
        self.lies(Defect::KeepsCleanSession) || self.lies(Defect::KeepsCleanSessionOpenly)
    }

    /// 3.1.2-6, 3.1.2-4: Clean Session or Clean Start discards what there was.
    pub fn discards_at_clean_connect(&self) -> bool {
        !self.keeps_clean_sessions()
    }

    /// 3.2.2-1 to 3.2.2-3, 3.2.2-2 and 3.2.2-3: Session Present tells whether an earlier session goes on, here given by
    /// its lifetime.
    pub fn session_present(&self, clean: bool, earlier: Option<Lifetime>) -> bool {
        match self.defect {
            Some(Defect::SessionPresent0) => false,
            Some(Defect::SessionPresent1) => true,
            Some(Defect::KeepsCleanSession) => !clean && earlier.is_some_and(|lifetime| lifetime != ENDS_AT_CLOSE),
            _ => earlier.is_some(),
        }
    }

    /// How long a session outlives its connection: with Clean Session 1 not at all (3.1.1 3.1.2-6), else
    /// without limit (3.1.1 3.1.2-4), or for the Session Expiry Interval (5.0 4.1.0-2, 3.1.2-23), which is 0 if it is
    /// absent and endless if it is 0xFFFFFFFF (5.0 section 3.1.2.11.2).
    pub fn lifetime(&self, protocol: Protocol, clean: bool, session_expiry: Option<u32>) -> Lifetime {
        match protocol {
            Protocol::V3 => clean.then_some(Duration::ZERO),
            Protocol::V5 => match self.granted_expiry(session_expiry) {
                u32::MAX => None,
                seconds => Some(Duration::from_secs(seconds.into())),
            },
        }
    }

    /// 5.0, section 3.2.2.3.2: the server may grant another interval than was asked for, and says so.
    pub fn granted_expiry(&self, session_expiry: Option<u32>) -> u32 {
        session_expiry.unwrap_or(0).min(self.choices.session_expiry_at_most)
    }

    /// What of a session's lifetime is left at the end of its connection.
    pub fn outlives(&self, lifetime: Lifetime) -> Lifetime {
        match self.defect {
            Some(Defect::LosesSession) => ENDS_AT_CLOSE,
            Some(Defect::IgnoresSessionExpiry) if lifetime != ENDS_AT_CLOSE => None,
            _ if lifetime == ENDS_AT_CLOSE && self.keeps_clean_sessions() => None,
            _ => lifetime,
        }
    }

    /// 3.1.2-4, 3.1.2-5: subscriptions belong to the session that goes on.
    pub fn forgets_subscriptions(&self) -> bool {
        self.lies(Defect::ForgetsSubscriptions)
    }

    /// 3.1.4-2, 3.1.4-3: the connection that has the session ends when another takes it.
    pub fn takes_over(&self) -> bool {
        !self.lies(Defect::NoTakeover)
    }

    /// 3.1.2-24, 3.1.2-22: one and a half times the Keep Alive without a packet, and the connection ends.
    pub fn silence_allowed(&self, keep_alive: u16) -> Option<Duration> {
        let limited = keep_alive > 0 && !self.lies(Defect::IgnoresKeepAlive);
        limited.then(|| Duration::from_millis(1500 * u64::from(keep_alive)))
    }
}

/// The queue.
impl Rules {
    /// 3.1.2-5 and 4.5.0-1, 4.5.0-1: what has QoS 1 or 2 for the session is stored. The rest MAY be stored (section
    /// 3.1.2.4, section 4.1).
    pub fn queues(&self, published: u8, granted: u8) -> bool {
        !self.lies(Defect::QueuesNothing)
            && (published > 0 || self.choices.queue_qos0_publications)
            && (granted > 0 || self.choices.queue_qos0_subscriptions)
    }

    /// No correct broker limits what has QoS 1 or 2.
    pub fn limit_queue(&self, queue: &mut VecDeque<Delivery>) {
        match self.defect {
            Some(Defect::KeepsOldest(limit)) => queue.truncate(limit),
            Some(Defect::KeepsNewest(limit)) if queue.len() > limit => drop(queue.pop_front()),
            _ => {}
        }
    }

    /// What is done to the backlog before it is sent: nothing.
    pub fn prepare_backlog(&self, queue: &mut VecDeque<Delivery>) {
        match self.defect {
            Some(Defect::LosesFirst) => drop(queue.pop_front()),
            Some(Defect::LosesLast) => drop(queue.pop_back()),
            Some(Defect::ReversesBacklog) => queue.make_contiguous().reverse(),
            Some(Defect::ChangesPayload) => queue.iter_mut().for_each(|delivery| delivery.payload.push(b'?')),
            _ => {}
        }
    }

    /// How long the backlog waits after CONNACK. No statement sets a time.
    pub fn backlog_delay(&self) -> Duration {
        match self.defect {
            Some(Defect::OvertakesBacklog) => Duration::from_millis(50),
            Some(Defect::ResubscribeDiscardsQueue) => Duration::from_millis(500),
            _ => self.choices.backlog_delay,
        }
    }

    /// 5.0 3.3.4-9: not more than Receive Maximum messages above QoS 0 are under way; a lower number is free in both
    /// versions.
    pub fn window(&self) -> usize {
        self.choices.window
    }

    /// How long the queue waits when an acknowledgement has made room.
    pub fn refill_delay(&self) -> Duration {
        if self.lies(Defect::OvertakesWindow) { Duration::from_millis(20) } else { Duration::ZERO }
    }

    /// 4.6.0-6, 4.6.0-5: a new message goes behind those that wait.
    pub fn overtakes(&self, held: bool) -> bool {
        (self.lies(Defect::OvertakesBacklog) && held) || self.lies(Defect::OvertakesWindow)
    }
}

/// Delivery.
impl Rules {
    /// 4.7.2-1: wildcards at the head of a filter do not match `$`.
    pub fn matches(&self, filter: &str, topic: &str) -> bool {
        if self.lies(Defect::WildcardsMatchDollar) {
            return topics::levels_match(filter, topic);
        }
        topics::matches(filter, topic)
    }

    /// 3.3.5-1, 3.3.4-2: one copy that respects the highest QoS granted to the matching subscriptions, or a copy for
    /// each.
    pub fn copies(&self, published: u8, mut granted: Vec<u8>) -> Vec<u8> {
        granted.sort_unstable_by(|one, other| other.cmp(one));
        if !self.choices.copy_for_each_subscription {
            granted.truncate(1);
        }
        let twice = match self.defect {
            Some(Defect::TwiceAtQos1) => 1,
            Some(Defect::TwiceAtQos2) => 2,
            _ => return granted,
        };
        let twice_where = |granted| if self.delivered_qos(published, granted) == twice { 2 } else { 1 };
        granted.into_iter().flat_map(|granted| vec![granted; twice_where(granted)]).collect()
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
            _ => false,
        }
    }

    /// 3.3.1-1: DUP is 1 on what is sent again.
    pub fn dup_of_resent(&self) -> bool {
        !self.lies(Defect::DupNever)
    }

    /// 4.4.0-1: what was not acknowledged is sent again on resume.
    pub fn resends_nothing(&self) -> bool {
        self.lies(Defect::ResendsNothing)
    }

    /// 4.3.3-1, 4.3.3-6: after the PUBREC the PUBREL is sent again, never the PUBLISH.
    pub fn awaited_after_resume(&self, awaited: AckKind) -> AckKind {
        match awaited {
            AckKind::Pubcomp if self.lies(Defect::ForgetsPubrec) => AckKind::Pubrec,
            awaited => awaited,
        }
    }

    /// 4.3.2-1 and 4.3.3-1, 4.4.0-1: what was acknowledged is done with.
    pub fn forgets_acknowledgement(&self, kind: AckKind) -> bool {
        match kind {
            AckKind::Puback => self.lies(Defect::ForgetsPuback),
            AckKind::Pubcomp => self.lies(Defect::ForgetsPubcomp),
            _ => false,
        }
    }
}

/// Subscriptions.
impl Rules {
    /// 3.8.4-5, 3.8.4-7: the server may grant less than was asked for.
    pub fn granted_qos(&self, asked: u8) -> u8 {
        asked.min(self.choices.grant_at_most)
    }

    /// 3.8.4-3, 3.8.4-4: replacing a subscription loses no message.
    pub fn discards_at_resubscribe(&self) -> bool {
        self.lies(Defect::ResubscribeDiscardsQueue)
    }

    /// 3.8.4-3, 3.8.4-4: nor does it interrupt the flow. This many messages are lost.
    pub fn lost_after_resubscribe(&self) -> usize {
        usize::from(self.lies(Defect::ResubscribeInterrupts))
    }

    /// 3.10.4-1: UNSUBSCRIBE deletes the subscription.
    pub fn unsubscribes(&self) -> bool {
        !self.lies(Defect::IgnoresUnsubscribe)
    }
}

/// Retained messages.
impl Rules {
    /// 3.3.1-5, 3.3.1-10 to 3.3.1-12 and 3.3.1-7; in 5.0 3.3.1-5 to 3.3.1-8 and section 3.3.1.3.
    pub fn retaining(&self, publish: &Publish, stored: bool) -> Retaining {
        if !publish.retain && !self.lies(Defect::RetainsEverything) {
            return Retaining::Leave;
        }
        if publish.payload.is_empty() {
            return if self.lies(Defect::NeverClearsRetained) { Retaining::Leave } else { Retaining::Remove };
        }
        match self.defect {
            Some(Defect::KeepsFirstRetained) if stored => Retaining::Leave,
            _ if publish.qos == 0 && !self.choices.keep_retained_qos0 => Retaining::Remove,
            _ => Retaining::Store,
        }
    }

    /// 3.3.1-6 and 3.8.4-3, 3.3.1-9 and 3.8.4-4: each SUBSCRIBE gets the retained messages, a repeated one too.
    pub fn sends_retained(&self, repeated: bool) -> bool {
        match self.defect {
            Some(Defect::NoRetainedOnSubscribe) => repeated,
            Some(Defect::NoRetainedOnResubscribe) => !repeated,
            _ => true,
        }
    }

    /// 3.3.1-9, 3.3.1-12: without a SUBSCRIBE nothing retained is sent.
    pub fn sends_retained_on_resume(&self) -> bool {
        self.lies(Defect::RetainedOnResume)
    }

    /// 3.3.1-8, 5.0 section 3.8.3.1: RETAIN is 1 on what is sent because of a SUBSCRIBE.
    pub fn retain_of_retained(&self) -> bool {
        !self.lies(Defect::RetainedWithoutFlag)
    }
}

/// Answers.
impl Rules {
    /// 5.0 3.2.2-9 and section 3.2.2.3.5: the reason to refuse a PUBLISH, which CONNACK announced. 3.1.1 knows no
    /// better answer than to close the connection.
    pub fn refuses(&self, publish: &Publish) -> Option<u8> {
        match publish {
            publish if !topics::is_topic(&publish.topic) => Some(0x90),
            publish if publish.qos > self.choices.maximum_qos => Some(0x9b),
            publish if publish.retain && !self.choices.retain_available => Some(0x9a),
            _ => None,
        }
    }

    /// 5.0, sections 3.4.2.1 and 3.5.2.1: 0x10 MAY tell that there are no matching subscribers.
    pub fn accepted(&self, protocol: Protocol, matched: bool) -> u8 {
        if protocol == Protocol::V5 && !matched && self.choices.tell_no_subscribers { 0x10 } else { 0 }
    }

    /// 4.3.3-2, 4.3.3-10: until the PUBREL a PUBLISH with the same identifier is the same message.
    pub fn takes_for_new(&self, known: bool) -> bool {
        !known || self.lies(Defect::Qos2OnwardTwice)
    }

    /// 3.2.0-1: CONNACK is the first packet.
    pub fn connack_first(&self) -> bool {
        !self.lies(Defect::PublishBeforeConnack)
    }

    /// What goes out in the place of a packet: itself. `None` closes the connection instead.
    pub fn spoken(&self, packet: Packet) -> Option<Vec<Packet>> {
        let Some(defect) = self.defect else { return Some(vec![packet]) };
        match (defect, packet) {
            (Defect::ClosesOnSubscribe, Packet::Suback(_)) => None,
            (Defect::ClosesOnPublish, Packet::Ack(ack)) if ack.kind == AckKind::Puback => None,
            (Defect::NoPuback, Packet::Ack(ack)) if ack.kind == AckKind::Puback => Some(vec![]),
            (Defect::NoPubrec, Packet::Ack(ack)) if ack.kind == AckKind::Pubrec => Some(vec![]),
            (Defect::NoPubcomp, Packet::Ack(ack)) if ack.kind == AckKind::Pubcomp => Some(vec![]),
            (Defect::NoPingresp, Packet::Pingresp) | (Defect::NeverDelivers, Packet::Publish(_)) => Some(vec![]),
            (Defect::SilentAfterConnack, packet) if !matches!(packet, Packet::Connack(_)) => Some(vec![]),
            (Defect::SubackWrongId, Packet::Suback(mut suback)) => {
                suback.id = suback.id.wrapping_add(1).max(1);
                Some(vec![Packet::Suback(suback)])
            }
            (Defect::UnsolicitedMessages, Packet::Publish(publish)) => {
                let topic = "nobody/subscribed/to/this".to_owned();
                let foreign =
                    Publish { topic, qos: 0, id: 0, dup: false, retain: false, payload: publish.payload.clone() };
                Some(vec![Packet::Publish(publish), Packet::Publish(foreign)])
            }
            (_, packet) => Some(vec![packet]),
        }
    }
}
