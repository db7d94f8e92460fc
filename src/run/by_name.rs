//! Where a broker grants no filter with a wildcard, the witness subscribes to the topics of each cell by name, and ends that when
//! the cell has ended.

use std::collections::HashMap;

use tokio::sync::oneshot;

use crate::packet::{Filter, Packet, Suback, Subscribe, Unsubscribe};
use crate::session_rules::is_failure;

/// How many topics stand in one SUBSCRIBE.
const TOPICS_AT_ONCE: usize = 64;

/// A wish of a cell's.
pub enum Wish {
    /// The sender is told whether all topics are granted, and dropped if the connection ends before.
    Subscribe(Vec<String>, oneshot::Sender<bool>),
    Unsubscribe(Vec<String>),
}

/// The subscriptions by name on one connection of the witness's.
#[derive(Default)]
pub struct ByName {
    waiting: HashMap<u16, oneshot::Sender<bool>>,
    last_id: u16,
}

impl ByName {
    /// The packet that grants a wish.
    pub fn packet(&mut self, wish: Wish) -> Packet {
        let id = self.next_id();
        match wish {
            Wish::Unsubscribe(filters) => Packet::Unsubscribe(Unsubscribe { id, filters }),
            Wish::Subscribe(topics, granted) => {
                self.waiting.insert(id, granted);
                subscribe(id, &topics)
            }
        }
    }

    /// The packets that subscribe again to all these topics; nobody waits for their answers.
    pub fn again(&mut self, topics: &[String]) -> Vec<Packet> {
        topics.chunks(TOPICS_AT_ONCE).map(|topics| subscribe(self.next_id(), topics)).collect()
    }

    /// Looks at an answer, and tells whoever waits for it.
    pub fn answered(&mut self, suback: &Suback) {
        if let Some(granted) = self.waiting.remove(&suback.id) {
            // A cell that waits no longer has gone on without.
            let _ = granted.send(!suback.codes.iter().any(|code| is_failure(*code)));
        }
    }

    /// The first identifier is that of the witness's own SUBSCRIBE.
    fn next_id(&mut self) -> u16 {
        self.last_id = if self.last_id == u16::MAX { 2 } else { self.last_id.max(1) + 1 };
        self.last_id
    }
}

fn subscribe(id: u16, topics: &[String]) -> Packet {
    let filters = topics.iter().map(|topic| Filter::new(topic.as_str(), 0)).collect();
    Packet::Subscribe(Subscribe { id, filters, ..Subscribe::default() })
}
