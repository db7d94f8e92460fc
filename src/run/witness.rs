//! An always-online subscriber to everything that the run publishes.
//!
//! Where the broker grants no wildcard, it subscribes to the topics of each cell by name (`by_name.rs`).
//!
//! It separates "the broker lost it for this session" from "the broker never routed it". It subscribes at QoS 0, where
//! it has no window and no queue of its own to overflow. Its silence is never a finding by itself. It reads past what cannot
//! be decoded, and connects again when its connection ends; both are kept, so that the broker can be judged by them.

mod opening;
mod watch;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Target;
use super::allowance::Allowance;
use super::by_name::Wish;
use super::mailbox::{Mailbox, Mailboxes, Named};
use super::names::{Names, Prefix};
use super::pulse::Pulse;
use crate::history::History;
use crate::packet::Protocol;
use crate::plan::Cell;
use opening::Failure;
use watch::Watch;

/// The witness's keep alive, in seconds.
pub const KEEP_ALIVE_S: u16 = 60;
/// How many characters of the nonce are part of the client id, which has 23 at most with the longest prefix.
pub const NONCE_CHARS: usize = 3;

/// The witness of one protocol version.
pub struct Witness {
    prefix: Prefix,
    mailboxes: Mailboxes,
    /// Asks the reading task to leave.
    leave: Arc<Notify>,
    /// Asks it to send PINGREQ.
    ping: Arc<Notify>,
    /// Where cells ask for their topics, if the broker grants no wildcard.
    wishes: Option<mpsc::UnboundedSender<Wish>>,
    /// How long a cell waits for its topics.
    deadline: Duration,
    reading: JoinHandle<Option<History>>,
}

/// No witness came about.
pub struct NotStarted {
    /// Why, as half a sentence.
    pub why: String,
    /// What happened on its connections, one history each, as far as the broker can be judged by them. Where SUBSCRIBE was not
    /// answered the broker is asked again meanwhile: what is absent once is no finding.
    pub histories: JoinHandle<Vec<History>>,
}

/// What a witness tells the run.
#[derive(Clone)]
pub struct Ears {
    pub pulse: Arc<Pulse>,
    /// Sentences for the user.
    pub warnings: mpsc::UnboundedSender<String>,
    /// Told when another run with the same prefix is there.
    pub neighbour: Arc<Notify>,
    /// What tells this run from others.
    pub nonce: String,
    /// The user was told that a witness's connection had ended.
    pub is_told: Arc<AtomicBool>,
}

/// The client id of the witness of one protocol version. Those of two runs differ, so that neither takes the other over.
pub fn client_id(prefix: &Prefix, protocol: Protocol, nonce: &str) -> String {
    let number = if protocol == Protocol::V3 { 3 } else { 5 };
    format!("{}witness{number}{}", prefix.client_id, &nonce[..NONCE_CHARS])
}

impl Witness {
    /// Connects and subscribes the witness.
    ///
    /// # Errors
    /// [`NotStarted`]: the run goes on without.
    pub async fn start(
        target: &Target,
        protocol: Protocol,
        prefix: &Prefix,
        ears: Ears,
        patience: Duration,
    ) -> Result<Witness, NotStarted> {
        let mailboxes = Mailboxes::default();
        let (leave, ping) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let new = {
            let (target, prefix, mailboxes) = (target.clone(), prefix.clone(), mailboxes.clone());
            move || Watch::new(target.clone(), protocol, prefix.clone(), ears.clone(), mailboxes.clone())
        };
        let mut watch = new();
        let connection = match watch.begin(target.deadline).await {
            Ok(connection) => connection,
            Err(Failure { how, is_unanswered, .. }) => {
                let waits = [target.deadline, target.deadline.max(patience)];
                let waits = if is_unanswered { waits.to_vec() } else { Vec::new() };
                let histories = tokio::spawn(asked_again(watch.into_history(), new, waits));
                return Err(NotStarted { why: how, histories });
            }
        };
        let (wishes, wished) = mpsc::unbounded_channel();
        let wishes = watch.is_by_name().then_some(wishes);
        let reading = tokio::spawn(watch.watch(connection, leave.clone(), ping.clone(), wished));
        Ok(Witness { prefix: prefix.clone(), mailboxes, leave, ping, wishes, deadline: target.deadline, reading })
    }

    /// Disconnects the witness in good order, and gives what it saw that belongs to no cell, if there was anything.
    pub async fn leave(self) -> Option<History> {
        self.leave.notify_one();
        self.reading.await.ok().flatten()
    }

    /// Asks the broker for a sign of life on the witness's connection.
    pub fn ping(&self) {
        self.ping.notify_one();
    }

    /// Where the messages of an attempt with these names will arrive; `None` if the witness has given up, or is not let to the
    /// topics. More than the allowance is not kept for it.
    pub async fn mailbox(&self, names: &Names, cell: &Cell, allowance: Allowance) -> Option<Mailbox> {
        let tag = format!("{}/{}", self.prefix.topic, names.tag());
        let Some(wishes) = &self.wishes else { return self.mailboxes.open(tag, allowance, None) };
        let topics = cell.published_topics().into_iter().map(|topic| names.topic(&topic));
        let topics: Vec<String> = topics.filter(|topic| self.prefix.holds(topic)).collect();
        let named = Named { topics: topics.clone(), wishes: wishes.clone() };
        let mailbox = self.mailboxes.open(tag, allowance, Some(named))?;
        let (granted, is_granted) = oneshot::channel();
        wishes.send(Wish::Subscribe(topics, granted)).ok()?;
        // If the connection ends before, the cell learns that, and the next one has its topics.
        let has_topics = timeout(self.deadline, is_granted).await.ok()?.unwrap_or(true);
        has_topics.then_some(mailbox)
    }
}

/// The history of a SUBSCRIBE without an answer, and of others that wait so long for theirs, up to one that is answered.
async fn asked_again(first: Option<History>, new: impl Fn() -> Watch, waits: Vec<Duration>) -> Vec<History> {
    let mut histories: Vec<History> = first.into_iter().collect();
    for wait in waits {
        let mut watch = new();
        match watch.begin(wait).await {
            Err(Failure { is_unanswered: true, .. }) => histories.extend(watch.into_history()),
            Err(_) => break,
            Ok(connection) => {
                connection.leave().await;
                break;
            }
        }
    }
    histories
}
