//! When wills are published.

use mqtt_sessions::packet::{Protocol, Will};

use super::super::topics;
use super::{Defect, Rules};

impl Rules {
    /// 5.0 3.2.2-12 and 3.2.2-13: the reason to refuse a CONNECT for its will. 3.1.1 cannot announce the limits, and says
    /// that it is unavailable.
    pub fn refuses_will(&self, protocol: Protocol, will: &Will) -> Option<u8> {
        let v5 = protocol == Protocol::V5;
        let told = |lie| v5 && self.lies(lie);
        if !topics::is_topic(&will.topic) {
            return Some(if v5 { 0x90 } else { 0x03 });
        }
        if will.qos > self.choices.maximum_qos && !told(Defect::WillQosAboveMaximum) {
            return Some(if v5 { 0x9b } else { 0x03 });
        }
        if will.retain && !self.choices.retain_available && !told(Defect::WillRetainWithoutSupport) {
            return Some(if v5 { 0x9a } else { 0x03 });
        }
        None
    }

    /// 3.14.4-3: DISCONNECT discards the will; in 5.0 not with reason code 0x04.
    pub fn disconnect_discards_will(&self, reason: u8) -> bool {
        reason == 0 && !self.lies(Defect::WillAfterDisconnect)
    }

    /// 3.1.2-8: not before its connection has ended.
    pub fn publishes_will_at_connect(&self) -> bool {
        self.lies(Defect::WillAtConnect)
    }

    /// 3.1.2-8: the will of a client that goes away without a word is published.
    pub fn publishes_wills(&self) -> bool {
        !self.lies(Defect::NoWill)
    }

    /// 3.1.2-8, 5.0 section 3.1.4: also when another client takes its place.
    pub fn publishes_will_at_takeover(&self) -> bool {
        !self.lies(Defect::NoWillAtTakeover)
    }

    /// 3.1.2-10: what was published is gone.
    pub fn keeps_published_wills(&self) -> bool {
        self.lies(Defect::WillPublishedAgain)
    }

    /// 3.1.2-10: once, and then it is removed.
    pub fn copies_of_will(&self) -> usize {
        if self.lies(Defect::WillTwice) { 2 } else { 1 }
    }

    /// 3.1.2-16 and 3.1.2-17, 5.0 3.1.2-14 and 3.1.2-15.
    pub fn will_retain(&self, asked: bool) -> bool {
        match self.defect {
            Some(Defect::WillAlwaysRetained) => true,
            Some(Defect::WillNeverRetained) => false,
            _ => asked,
        }
    }

    /// 5.0 3.1.3-9: its delay, in seconds.
    pub fn will_delay(&self, will: &Will) -> u64 {
        let delay = u64::from(will.delay.unwrap_or(0));
        match self.defect {
            Some(Defect::WillIgnoresDelay) => 0,
            Some(Defect::WillLate) => delay + 5,
            _ => delay,
        }
    }

    /// 5.0 3.1.3-9: a client that returns to its session in time stops its will.
    pub fn return_stops_will(&self) -> bool {
        !self.lies(Defect::WillDespiteReturn)
    }

    /// 5.0 3.1.2-8: the end of the session does not wait for the delay.
    pub fn session_end_publishes_will(&self) -> bool {
        !self.lies(Defect::WillOutlivesSession) && !self.lies(Defect::WillLate)
    }
}
