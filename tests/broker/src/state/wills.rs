//! Wills: kept with the session until their time has come, or until DISCONNECT.

use std::time::Duration;

use mqtt_sessions::packet::{Publish, Will};

use super::super::session::Message;
use super::{Effect, Link, State, Wake};

impl State {
    /// 3.14.4-3: DISCONNECT discards the will.
    pub(super) fn discard_will(&mut self, id: &str, reason: u8) {
        if self.rules.disconnect_discards_will(reason)
            && let Some(session) = self.sessions.get_mut(id)
        {
            session.will = None;
        }
    }

    /// 3.1.2-8: the connection has ended, so its will goes out: now, or after its delay.
    pub(super) fn schedule_will(&mut self, id: &str, link: Link) {
        let now = self.now;
        let Some(session) = self.sessions.get_mut(id) else { return };
        let Some(will) = session.will.as_ref().filter(|_| self.rules.publishes_wills()) else { return };
        let delay = Duration::from_secs(self.rules.will_delay(will));
        session.will_due = Some(now + delay);
        let end = session.ends_at.map(|end| self.rules.noticed_after(now, end));
        self.effects.push(Effect::WakeAfter(delay, link, Wake::Time));
        if let Some(end) = end.filter(|end| *end < delay) {
            self.effects.push(Effect::WakeAfter(end, link, Wake::Time));
        }
    }

    /// 5.0 3.1.3-9: the client is back, and its will is not sent.
    pub(super) fn leave_will_behind(&mut self, id: &str) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let due = session.will_due.take();
        let will = session.will.clone();
        if !self.rules.return_stops_will()
            && let (Some(due), Some(will)) = (due, will)
        {
            self.orphaned_wills.push((due, will, id.to_owned()));
        }
    }

    pub(super) fn publish_due_wills(&mut self) {
        let now = self.now;
        let keeps = self.rules.keeps_published_wills();
        let mut due: Vec<(Will, String)> = Vec::new();
        for (id, session) in &mut self.sessions {
            if session.will_due.is_some_and(|time| time <= now) {
                session.will_due = None;
                due.extend(session.will.clone().map(|will| (will, id.clone())));
                session.will = session.will.take().filter(|_| keeps);
            }
        }
        let (orphans, waiting) = self.orphaned_wills.drain(..).partition(|(time, ..)| *time <= now);
        self.orphaned_wills = waiting;
        let orphans: Vec<_> = orphans;
        due.extend(orphans.into_iter().map(|(_, will, id)| (will, id)));
        for (will, id) in due {
            self.publish_will(&id, &will);
        }
    }

    pub(super) fn publish_will(&mut self, id: &str, will: &Will) {
        let publish = Publish {
            qos: will.qos,
            retain: self.rules.will_retain(will.retain),
            topic: will.topic.clone(),
            payload: will.payload.clone(),
            ..Publish::default()
        };
        let message = Message { publish, taken_at: self.now, publisher: id.to_owned(), is_will: true };
        self.wills_sent.insert((will.topic.clone(), will.payload.clone()));
        for _ in 0..self.rules.copies_of_will() {
            self.accept(&message);
        }
    }
}
