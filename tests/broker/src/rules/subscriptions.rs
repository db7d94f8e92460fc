//! Subscriptions, and the retained messages that they find.

use mqtt_sessions::packet::Publish;

use super::super::defect::{Fault, Way};
use super::super::topics;
use super::{Defect, Retaining, Rules};

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

    /// 3.8.4-3: the new subscription is the one in force.
    pub fn keeps_replaced(&self) -> bool {
        self.lies(Defect::ResubscribeKeepsOld)
    }

    /// 5.0 3.8.3-3.
    pub fn ignores_no_local(&self, way: Way) -> bool {
        self.lies(Defect::IgnoresNoLocal) || self.has_fault(Fault::ToItsPublisher, way)
    }

    /// 3.10.4-1: filters are compared character by character.
    pub fn unsubscribed_by(&self, asked: &str, filter: &str) -> bool {
        asked == filter || self.lies(Defect::UnsubscribesByMatch) && topics::matches(topics::unshared(asked), filter)
    }

    /// 3.10.4-2: nothing is added to a subscription that has ended.
    pub fn serves_ended(&self) -> bool {
        matches!(self.defect, Some(Defect::OnTheWay(Fault::AfterUnsubscribe, _)))
    }

    /// 3.10.4-1: what is deleted stays so.
    pub fn restores_unsubscribed(&self) -> bool {
        self.lies(Defect::UnsubscribeForgottenOnResume)
    }

    /// 3.10.4-3: deliveries that have begun are completed.
    pub fn unsubscribe_drops_under_way(&self) -> bool {
        self.lies(Defect::UnsubscribeDropsUnderWay)
    }

    /// 5.0 4.8.2-3: the QoS of a delivery to a member of a group.
    pub fn shared_qos(&self, published: u8, granted: u8) -> u8 {
        if self.lies(Defect::SharedAtQosOfPublication) { published } else { published.min(granted) }
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
            return if self.lies(Defect::Retain0Removes) { Retaining::Remove } else { Retaining::Leave };
        }
        if publish.payload.is_empty() {
            return match self.defect {
                Some(Defect::NeverClearsRetained) => Retaining::Leave,
                Some(Defect::StoresEmptyRetained) => Retaining::Store,
                _ => Retaining::Remove,
            };
        }
        match self.defect {
            Some(Defect::Qos0KeepsOldRetained) if stored && publish.qos == 0 => Retaining::Leave,
            Some(Defect::KeepsFirstRetained) if stored => Retaining::Leave,
            _ if publish.qos == 0 && !self.choices.keep_retained_qos0 => Retaining::Remove,
            _ => Retaining::Store,
        }
    }

    /// 3.3.1-6 and 3.8.4-3, 3.3.1-9 and 3.8.4-4: each SUBSCRIBE gets the retained messages, a repeated one too. In 5.0
    /// that is Retain Handling 0; 1 is for new subscriptions only (3.3.1-10), 2 for none (3.3.1-11).
    pub fn sends_retained(&self, repeated: bool, handling: u8) -> bool {
        match (self.defect, handling) {
            (Some(Defect::RetainHandling1Always), 1) | (Some(Defect::IgnoresRetainHandling2), 2) => true,
            (Some(Defect::RetainHandling1Never), 1) => false,
            (Some(Defect::NoRetainedOnSubscribe), 0) => repeated,
            (Some(Defect::NoRetainedOnResubscribe), 0) => !repeated,
            (_, 0) => true,
            (_, 1) => !repeated,
            _ => false,
        }
    }

    /// 3.3.1-5: a retained message keeps its QoS.
    pub fn stored_qos(&self, published: u8) -> u8 {
        if self.lies(Defect::RetainedAtQos0) { 0 } else { published }
    }

    /// 3.3.1-10, 3.3.1-6: an empty message goes to subscribers as any other.
    pub fn forwards(&self, publish: &Publish, way: Way) -> bool {
        let held_back = self.lies(Defect::DoesNotForwardEmptyRetained) || self.has_fault(Fault::EmptyNotForwarded, way);
        !(publish.payload.is_empty() && publish.retain && held_back)
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
