//! What a broker is configured to keep. The standard knows no such limits for what has QoS 1 or 2, so that these are no choices of
//! a correct broker, and they are none of the lies either that scenarios have to catch: a probe has to find the numbers.

use std::collections::VecDeque;
use std::time::Duration;

use super::session::{Delivery, ENDS_AT_CLOSE, Lifetime};

/// What happens to a message for a queue that is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    DropsNewest,
    DropsOldest,
    /// Its publisher is cut off, in 5.0 with 0x97.
    Disconnects,
    /// The session is discarded, with all that waits for it.
    EndsSession,
}

/// The configuration; without limits where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keeping {
    /// How many messages are kept for a session that is away.
    pub queue: Option<(usize, Full)>,
    /// The same number is for all sessions together.
    pub is_shared: bool,
    /// What was under way when the session went away takes room in the queue.
    pub in_flight_counts: bool,
    /// How many bytes of payload are kept; the newest are dropped.
    pub bytes: Option<usize>,
    /// Of what is kept only so many come back.
    pub gives_back: Option<usize>,
    /// When a session is forgotten, whatever was granted.
    pub forgets_after: Option<Duration>,
    /// The broker looks so often which sessions are over.
    pub sweeps_every: Option<Duration>,
    /// How long after an acknowledgement the broker sends more of a backlog.
    pub refills_after: Option<Duration>,
    /// How long a session of 5.0 lives whose CONNECT has no Session Expiry Interval, in seconds; the standard says 0.
    pub unasked_expiry: Option<u32>,
    /// On how many topics a message is retained.
    pub retained: Option<usize>,
    /// How many bytes a client identifier may have.
    pub id_bytes: Option<usize>,
    /// The Topic Alias Maximum of CONNACK, and how many aliases are taken of that.
    pub aliases: [u16; 2],
}

impl Keeping {
    /// Drops what is too much from the queue of a session that has so many messages under way.
    pub fn limit(&self, queue: &mut VecDeque<Delivery>, under_way: usize) {
        let taken = if self.in_flight_counts { under_way } else { 0 };
        match self.queue {
            Some((limit, Full::DropsNewest)) => queue.truncate(limit.saturating_sub(taken)),
            Some((limit, Full::DropsOldest)) => drop(queue.drain(..(queue.len() + taken).saturating_sub(limit))),
            Some((_, Full::Disconnects | Full::EndsSession)) | None => {}
        }
        let size = |queue: &VecDeque<Delivery>| -> usize {
            queue.iter().map(|delivery| delivery.message.publish.payload.len()).sum()
        };
        while self.bytes.is_some_and(|limit| size(queue) > limit) {
            queue.pop_back();
        }
    }

    /// True if nothing more is kept for anybody, where so many messages wait for all sessions together.
    pub fn is_full_for_all(&self, waiting: usize) -> bool {
        self.is_shared && self.queue.is_some_and(|(limit, _)| waiting >= limit)
    }

    /// True if the publisher of a message for a queue of so many is cut off.
    pub fn cuts_off(&self, backlog: usize) -> bool {
        matches!(self.queue, Some((limit, Full::Disconnects)) if backlog >= limit)
    }

    /// True if a session is discarded for which so many wait.
    pub fn ends_session(&self, backlog: usize) -> bool {
        matches!(self.queue, Some((limit, Full::EndsSession)) if backlog > limit)
    }

    /// True if an alias may stand for a topic.
    pub fn takes_alias(&self, alias: u16) -> bool {
        (1..=self.aliases[1]).contains(&alias)
    }

    /// How long a session lives that was granted so much.
    pub fn lifetime(&self, granted: Lifetime) -> Lifetime {
        match self.forgets_after.filter(|_| granted != ENDS_AT_CLOSE) {
            Some(most) => Some(granted.map_or(most, |granted| granted.min(most))),
            None => granted,
        }
    }
}
