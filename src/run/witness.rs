//! An always-online subscriber to everything that the run publishes.
//!
//! It separates "the broker lost it for this session" from "the broker never routed it". It subscribes at QoS 0, where
//! it has no window and no queue of its own to overflow. Its silence is never a finding by itself.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use super::client::answer;
use super::names::Prefix;
use super::probe::{self, Refusal};
use crate::connection::{Connection, Incoming};
use crate::packet::{Filter, Packet, Protocol, Publish, Subscribe};
use crate::scenario::Answers;
use crate::session_rules::is_failure;

use super::Target;

/// How often the witness shows that it is alive; well within its keep alive.
const PING_EVERY: Duration = Duration::from_secs(20);
/// The witness's keep alive, in seconds.
pub const KEEP_ALIVE_S: u16 = 60;

type Mailboxes = Arc<Mutex<HashMap<String, mpsc::UnboundedSender<Publish>>>>;

/// The witness of one protocol version.
pub struct Witness {
    prefix: Prefix,
    mailboxes: Mailboxes,
    /// Asks the reading task to leave.
    leave: Arc<Notify>,
    /// Told when the reading task has ended.
    left: Arc<Notify>,
}

impl Witness {
    /// Connects and subscribes the witness.
    ///
    /// # Errors
    /// Why there is no witness, as half a sentence: the run goes on without.
    pub async fn start(target: &Target, protocol: Protocol, prefix: &Prefix) -> Result<Witness, String> {
        let client_id = format!("{}witness{}", prefix.client_id, if protocol == Protocol::V3 { 3 } else { 5 });
        let connect = target.connect(protocol, client_id, true, KEEP_ALIVE_S);
        let (mut connection, _) =
            probe::connect(target, connect).await.map_err(|Refusal { how, .. }| format!("its CONNECT: {how}"))?;
        let filter = Filter::new(prefix.filter(), 0);
        let subscribe = Packet::Subscribe(Subscribe { id: 1, filters: vec![filter], ..Subscribe::default() });
        connection.send(&subscribe).map_err(|error| error.to_string())?;
        connection.flush().await;
        let mailboxes = Mailboxes::default();
        match timeout(target.deadline, granted(&mut connection)).await {
            Ok(Some(code)) if !is_failure(code) => {}
            Ok(Some(code)) => return Err(format!("SUBSCRIBE to {} was refused with {code:#04x}", prefix.filter())),
            Ok(None) => return Err(format!("the connection ended at SUBSCRIBE to {}", prefix.filter())),
            Err(_) => return Err(format!("SUBSCRIBE to {} was not answered", prefix.filter())),
        }
        let witness = Witness { prefix: prefix.clone(), mailboxes, leave: Arc::default(), left: Arc::default() };
        let (leave, left) = (witness.leave.clone(), witness.left.clone());
        let reading = read(connection, prefix.clone(), witness.mailboxes.clone(), leave);
        tokio::spawn(async move {
            reading.await;
            left.notify_one();
        });
        Ok(witness)
    }

    /// Disconnects the witness in good order.
    pub async fn leave(&self) {
        self.leave.notify_one();
        self.left.notified().await;
    }

    /// Where the messages of the attempt with this tag will arrive.
    pub fn mailbox(&self, tag: &str) -> Mailbox {
        let (sender, receiver) = mpsc::unbounded_channel();
        let tag = format!("{}/{tag}", self.prefix.topic);
        lock(&self.mailboxes).insert(tag.clone(), sender);
        Mailbox { receiver, tag, mailboxes: self.mailboxes.clone() }
    }
}

/// The witness's copies for one attempt.
pub struct Mailbox {
    receiver: mpsc::UnboundedReceiver<Publish>,
    tag: String,
    mailboxes: Mailboxes,
}

impl Mailbox {
    /// The next copy that has come already.
    pub fn take(&mut self) -> Option<Publish> {
        self.receiver.try_recv().ok()
    }

    /// Waits for the next copy.
    pub async fn next(&mut self) -> Option<Publish> {
        self.receiver.recv().await
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        lock(&self.mailboxes).remove(&self.tag);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing that holds this lock can leave the map half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn granted(connection: &mut Connection) -> Option<u8> {
    loop {
        for incoming in poll_fn(|cx| connection.poll_incoming(cx)).await {
            match incoming {
                Incoming::Packet(Packet::Suback(suback)) => return suback.codes.first().copied(),
                Incoming::Packet(_) => {}
                Incoming::Undecodable { .. } | Incoming::End(_) => return None,
            }
        }
    }
}

/// Reads until the connection ends or is left, and puts each message into the mailbox of its cell.
async fn read(mut connection: Connection, prefix: Prefix, mailboxes: Mailboxes, leave: Arc<Notify>) {
    loop {
        let next = timeout(PING_EVERY, poll_fn(|cx| connection.poll_incoming(cx)));
        let batch = tokio::select! {
            batch = next => batch,
            () = leave.notified() => return connection.leave().await,
        };
        let Ok(batch) = batch else {
            // A packet without strings can always be encoded.
            let _ = connection.send(&Packet::Pingreq);
            connection.flush().await;
            continue;
        };
        for incoming in batch {
            match incoming {
                Incoming::Packet(packet) => {
                    // At QoS 0 there is nothing to acknowledge, but a broker may ignore the QoS that it granted.
                    if let Some(answer) = answer(&packet, Answers::All) {
                        let _ = connection.send(&answer);
                    }
                    if let Packet::Publish(publish) = packet {
                        deliver(&prefix, &mailboxes, publish);
                    }
                }
                Incoming::Undecodable { .. } | Incoming::End(_) => return,
            }
        }
        connection.flush().await;
    }
}

fn deliver(prefix: &Prefix, mailboxes: &Mailboxes, publish: Publish) {
    let rest = publish.topic.strip_prefix(&prefix.topic).unwrap_or_default();
    let tag = format!("{}/{}", prefix.topic, rest.split('/').nth(1).unwrap_or_default());
    if let Some(mailbox) = lock(mailboxes).get(&tag) {
        // A cell that has finished no longer wants its messages.
        let _ = mailbox.send(publish);
    }
}
