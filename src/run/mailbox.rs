//! What the witness saw, sorted by the attempts that want to know.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::allowance::Allowance;
use super::by_name::Wish;
use crate::connection::End;
use crate::packet::Publish;

/// Something that the witness saw.
pub struct Sighting {
    pub at: Instant,
    /// The number of the witness's Network Connection, from 1.
    pub connection: u32,
    pub seen: Seen,
}

/// What the witness saw of one cell, or what all cells have to know.
pub enum Seen {
    Copy(Publish, Bytes),
    /// A PUBLISH to a topic of the cell's that cannot be decoded: its bytes, and why.
    Undecodable(Vec<u8>, String),
    /// The witness's connection ended; until it is back it misses copies.
    Ended(End),
    /// More than so many packets came for the cell; further ones are not kept.
    WithoutEnd(usize),
}

/// Where the sightings for one cell go in.
struct Slot {
    sender: mpsc::UnboundedSender<Sighting>,
    allowance: Allowance,
    /// Those to which the witness is subscribed by name.
    topics: Vec<String>,
}

/// The mailboxes of all cells, while the witness is there or comes back.
#[derive(Default)]
struct Slots {
    /// By the head of their topics.
    by_tag: HashMap<String, Slot>,
    /// The number of the connection that ended, and how, until the witness is back.
    away: Option<(u32, End)>,
}

/// The mailboxes of all cells that are under way; `None` once the witness has given up.
#[derive(Clone)]
pub struct Mailboxes(Arc<Mutex<Option<Slots>>>);

impl Default for Mailboxes {
    fn default() -> Mailboxes {
        Mailboxes(Arc::new(Mutex::new(Some(Slots::default()))))
    }
}

impl Mailboxes {
    /// Where the sightings with this tag will arrive; `None` if the witness has given up. More than the allowance is not kept. A
    /// cell that begins while the witness is away is told so.
    pub fn open(&self, tag: String, allowance: Allowance, by_name: Option<Named>) -> Option<Mailbox> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let topics = by_name.as_ref().map(|by_name| by_name.topics.clone()).unwrap_or_default();
        let mut lock = self.lock();
        let slots = lock.as_mut()?;
        if let Some((connection, end)) = slots.away {
            // The receiver is still here.
            let _ = sender.send(Sighting { at: Instant::now(), connection, seen: Seen::Ended(end) });
        }
        slots.by_tag.insert(tag.clone(), Slot { sender, allowance, topics });
        drop(lock);
        Some(Mailbox { receiver, tag, mailboxes: self.clone(), by_name })
    }

    /// The topics of all cells to which the witness is subscribed by name.
    pub fn topics(&self) -> Vec<String> {
        self.lock()
            .iter()
            .flat_map(|slots| slots.by_tag.values())
            .flat_map(|slot| slot.topics.iter().cloned())
            .collect()
    }

    /// The witness gives up: no more sightings will arrive.
    pub fn close(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Slots>> {
        // Nothing that holds this lock can leave the map half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a sighting into the mailbox of its cell. False if no cell wants it.
    pub fn deliver(&self, tag: &str, sighting: Sighting) -> bool {
        let mut slots = self.lock();
        let Some(slot) = slots.as_mut().and_then(|slots| slots.by_tag.get_mut(tag)) else { return false };
        let bytes = if let Seen::Copy(_, raw) = &sighting.seen { raw.len() } else { 0 };
        if slot.allowance.take(bytes) {
            return slot.sender.send(sighting).is_ok();
        }
        let seen = Seen::WithoutEnd(slot.allowance.taken());
        // A cell that has finished does not want to know.
        let _ = slot.sender.send(Sighting { seen, ..sighting });
        slots.as_mut().map(|slots| slots.by_tag.remove(tag));
        true
    }

    /// The witness is there again.
    pub fn is_back(&self) {
        self.lock().iter_mut().for_each(|slots| slots.away = None);
    }

    /// Tells all cells that the connection has ended.
    pub fn ended(&self, at: Instant, connection: u32, end: End) {
        let mut lock = self.lock();
        let Some(slots) = lock.as_mut() else { return };
        slots.away = Some((connection, end));
        for mailbox in slots.by_tag.values() {
            // A cell that has finished does not want to know.
            let _ = mailbox.sender.send(Sighting { at, connection, seen: Seen::Ended(end) });
        }
    }
}

/// What the witness sees for one attempt.
pub struct Mailbox {
    receiver: mpsc::UnboundedReceiver<Sighting>,
    tag: String,
    mailboxes: Mailboxes,
    by_name: Option<Named>,
}

/// The topics to which the witness is subscribed by name for one attempt, and whom to tell that the attempt has ended.
pub struct Named {
    pub topics: Vec<String>,
    pub wishes: mpsc::UnboundedSender<Wish>,
}

impl Mailbox {
    /// The next sighting that is there already.
    pub fn take(&mut self) -> Option<Sighting> {
        self.receiver.try_recv().ok()
    }

    /// Ready with the next sighting, or with nothing once the witness has given up.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Sighting>> {
        self.receiver.poll_recv(cx)
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        if let Some(mailboxes) = self.mailboxes.lock().as_mut() {
            mailboxes.by_tag.remove(&self.tag);
        }
        if let Some(Named { topics, wishes }) = self.by_name.take() {
            // A witness that has left is subscribed to nothing.
            let _ = wishes.send(Wish::Unsubscribe(topics));
        }
    }
}
