//! What a step or a client of a random experiment asks for.

use super::{Generator, Timed};
use crate::explore::experiment::{Fields, Step, Value};
use crate::packet::Protocol;

/// A time that runs out within an experiment, in seconds.
pub const SHORT_S: u32 = 2;
/// A time that never runs out within an experiment, in seconds.
const LONG_S: u32 = 3600;
/// The topics that are published to, the first one most.
const TOPICS: [(usize, &str); 3] = [(6, "t"), (2, "u"), (1, "t/u")];
const PLAIN_FILTERS: [(usize, &str); 2] = [(6, "t"), (2, "u")];
const OVERLAPPING_FILTERS: [(usize, &str); 7] =
    [(5, "t"), (2, "u"), (2, "t/u"), (3, "+"), (3, "#"), (2, "t/#"), (1, "t/+")];
const SHARES: [(usize, &str); 2] = [(5, "g"), (1, "h")];
const QOS: [(usize, u32); 3] = [(3, 0), (4, 1), (4, 2)];

impl Generator {
    /// What a client says of itself, and whether its session outlives the connection.
    pub(super) fn client_fields(&mut self, name: &str, protocol: Protocol, reads: bool) -> (Fields, bool) {
        let random = &mut self.random;
        let clean = random.percent(if reads { 20 } else { 40 });
        let mut fields = Fields::default().with("protocol", protocol.name()).with("clean_session", clean);
        if name == super::HEIR {
            fields = fields.with("client_id", "one");
        }
        let mut persists = !clean;
        if protocol == Protocol::V5 {
            if self.taste.timer == Some(Timed::Session) && reads {
                fields = fields.with("session_expiry", SHORT_S);
                persists = true;
            } else if random.percent(15) {
                let seconds = random.pick(&[0, LONG_S]);
                fields = fields.with("session_expiry", seconds);
                persists = seconds > 0;
            }
            if self.taste.limits && random.percent(50) {
                fields = fields.with("receive_maximum", random.weighed(&[(3, 1), (2, 2), (1, 5)]));
            }
            if self.taste.limits && random.percent(25) {
                fields = fields.with("maximum_packet_size", random.pick(&[60, 100, 150]));
            }
            if random.percent(10) {
                fields = fields.with("topic_alias_maximum", random.pick(&[1, 10]));
            }
        }
        if self.taste.wills && random.percent(60) {
            fields = fields.with("will", Value::Table(self.will(protocol)));
        }
        (fields, persists)
    }

    fn will(&mut self, protocol: Protocol) -> Fields {
        let random = &mut self.random;
        let topic = random.weighed(&[(5, "t"), (2, "u"), (2, "will")]);
        let will = Fields::default().with("topic", topic).with("qos", random.weighed(&QOS));
        let retain = random.percent(35);
        let will = will.with("retain", retain);
        // A retained will that comes when all is cleaned up would stay on the broker.
        let delays: &[u32] = if retain { &[0] } else { &[0, LONG_S] };
        let delay = match self.taste.timer {
            Some(Timed::Will) => random.percent(70).then_some(SHORT_S),
            _ => random.percent(20).then(|| random.pick(delays)),
        };
        match delay.filter(|_| protocol == Protocol::V5) {
            Some(delay) => will.with("delay", delay),
            None => will,
        }
    }

    pub(super) fn connect(&mut self, place: usize) {
        let random = &mut self.random;
        let actor = &self.actors[place];
        let mut step = Step::new("connect", actor.name);
        let mut persists = actor.usually_persists;
        if actor.protocol == Protocol::V5 {
            if random.percent(12) {
                step = step.with("clean_start", random.percent(50));
            }
            if random.percent(8) {
                let seconds = random.pick(&[0, LONG_S]);
                persists = seconds > 0;
                step = step.with("session_expiry", seconds);
            }
            if self.taste.limits && random.percent(20) {
                step = step.with("receive_maximum", random.pick(&[1, 2, 10]));
            }
        }
        if actor.has_will && random.percent(20) {
            step = step.with("will", false);
        }
        self.push(step);
        self.present(place);
        self.actors[place].persists = persists;
    }

    pub(super) fn disconnect(&mut self, place: usize) -> Step {
        let random = &mut self.random;
        let actor = &self.actors[place];
        let mut step = Step::new("disconnect", actor.name);
        if actor.protocol == Protocol::V5 {
            if random.percent(if actor.has_will { 25 } else { 3 }) {
                step = step.with("with_will", true);
            }
            // After 0 at CONNECT anything else is a Protocol Error of the client (section 3.14.2.2.2).
            if random.percent(10) {
                let longer = if self.taste.timer == Some(Timed::Session) { SHORT_S } else { LONG_S };
                step = step.with("session_expiry", if actor.persists { random.pick(&[0, longer]) } else { 0 });
            }
        }
        step
    }

    pub(super) fn subscribe(&mut self, place: usize) {
        let name = self.actors[place].name;
        let v5 = self.actors[place].protocol == Protocol::V5;
        let count = self.random.weighed(&[(8, 1), (if self.taste.overlaps { 3 } else { 1 }, 2)]);
        let mut filters: Vec<Fields> = Vec::new();
        for _ in 0..count {
            let filter = self.filter(v5);
            let same = |other: &Fields| ["topic", "share"].iter().all(|key| other.get(key) == filter.get(key));
            if !filters.iter().any(same) {
                filters.push(filter);
            }
        }
        let mut step = Step::new("subscribe", name);
        match filters.pop() {
            Some(only) if filters.is_empty() => step.fields = only,
            Some(last) => {
                filters.push(last);
                step = step.with("filters", Value::Tables(filters));
            }
            None => return,
        }
        if v5 && self.taste.identifiers && self.random.percent(70) {
            step = step.with("identifier", self.random.weighed(&[(3, 1), (2, 2), (1, 300)]));
        }
        self.push(step);
    }

    fn filter(&mut self, v5: bool) -> Fields {
        let random = &mut self.random;
        let filters: &[(usize, &str)] = if self.taste.overlaps { &OVERLAPPING_FILTERS } else { &PLAIN_FILTERS };
        let mut filter = Fields::default().with("topic", random.weighed(filters)).with("qos", random.weighed(&QOS));
        let shared = v5 && self.taste.shares && random.percent(60);
        if shared {
            filter = filter.with("share", random.weighed(&SHARES));
        }
        if v5 && self.taste.options {
            // No Local beside a Share Name is a Protocol Error of the client (MQTT-3.8.3-4).
            if !shared && random.percent(30) {
                filter = filter.with("no_local", true);
            }
            if random.percent(40) {
                filter = filter.with("retain_as_published", true);
            }
            if random.percent(50) {
                filter = filter.with("retain_handling", random.pick(&[1, 2]));
            }
        }
        filter
    }

    pub(super) fn unsubscribe(&mut self, place: usize) {
        let name = self.actors[place].name;
        let filters: &[(usize, &str)] = if self.taste.overlaps { &OVERLAPPING_FILTERS } else { &PLAIN_FILTERS };
        let filter = self.random.weighed(filters);
        self.push(Step::new("unsubscribe", name).with("topic", filter));
    }

    pub(super) fn publish(&mut self, place: usize) {
        let qos = self.random.weighed(&QOS);
        let step = self.publication(place, qos);
        self.push(step);
    }

    /// A publish step without its end.
    pub(super) fn publication(&mut self, place: usize, qos: u32) -> Step {
        let random = &mut self.random;
        let v5 = self.actors[place].protocol == Protocol::V5;
        let topic = random.weighed(if self.taste.overlaps { &TOPICS[..] } else { &TOPICS[..2] });
        let retain = random.percent(if self.taste.retained { 60 } else { 12 });
        let mut step = Step::new("publish", self.actors[place].name).with("topic", topic).with("qos", qos);
        if retain {
            step = step.with("retain", true);
        }
        let empty = random.percent(if self.taste.retained && retain { 25 } else { 2 });
        step = step.with("messages", random.weighed(&[(6, 1), (3, 2), (if empty { 0 } else { 1 }, 3)]));
        if empty {
            step = step.with("empty", true);
        } else if self.taste.limits && random.percent(25) {
            step = step.with("bytes", random.pick(&[100, 200]));
        }
        if v5 && self.taste.expiry && random.percent(60) {
            let short = if self.taste.timer == Some(Timed::Message) { SHORT_S } else { LONG_S };
            step = step.with("message_expiry", random.pick(&[short, 100]));
        }
        if v5 && self.taste.properties && random.percent(40) {
            step = step.with("properties", true);
        }
        step
    }
}
