//! Two runs with one prefix would end each other's sessions and take each other's messages, so each of them has to learn of the
//! other. A run greets when its witness is there: whoever hears that and greets, too, has to end. Before it begins, a run asks
//! whether anybody is there, and leaves whoever answers alone.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::Target;
use super::hygiene::cleaner;
use super::names::{Prefix, random_word};
use super::talk::{Talk, Unanswered};
use super::witness::{KEEP_ALIVE_S, NONCE_CHARS};
use crate::packet::{Filter, Packet, Protocol, Publish, Subscribe};
use crate::plan::Role;

/// The payload of a question.
const QUESTION: &[u8] = b"?";
/// How long another run may take to answer a question, beyond the time that the broker takes to pass it on.
const ANSWER_WAIT: Duration = Duration::from_millis(300);
/// How long a keeper listens before it listens again.
const LISTENING: Duration = Duration::from_secs(60);
/// The round trips to the broker that are given to a question and its answer.
const ROUND_TRIPS: u32 = 4;

/// A sentence for the user who started another run with the same prefix.
pub fn sentence(prefix: &Prefix) -> String {
    let prefix = &prefix.client_id;
    format!(
        "somebody else uses the prefix {prefix} on this broker; wait until that run has ended, or give another --prefix"
    )
}

/// What one run says to all others with its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word<'w> {
    /// The run with this nonce is under way.
    Greeting(&'w [u8]),
    /// Is anybody there?
    Question,
}

impl Word<'_> {
    /// The PUBLISH that says it.
    pub fn said(self, prefix: &Prefix) -> Packet {
        let payload = match self {
            Word::Greeting(nonce) => nonce.to_vec(),
            Word::Question => QUESTION.to_vec(),
        };
        Packet::Publish(Publish { topic: topic(prefix), payload, ..Publish::default() })
    }
}

/// What a PUBLISH says, if it is such a word.
pub fn heard<'p>(prefix: &Prefix, publish: &'p Publish) -> Option<Word<'p>> {
    let word = if publish.payload == QUESTION { Word::Question } else { Word::Greeting(&publish.payload) };
    (publish.topic == topic(prefix)).then_some(word)
}

/// True if a run with this prefix is under way: it answers the question.
pub async fn is_in_use(target: &Target, prefix: &Prefix, protocol: Protocol) -> bool {
    let began = Instant::now();
    let Some(mut asker) = cleaner(target, Role::Main, prefix, protocol).await else { return false };
    if !subscribe(&mut asker, target, prefix).await {
        return false;
    }
    let wait = ANSWER_WAIT + ROUND_TRIPS * began.elapsed();
    asker.say(said_here(target, prefix, protocol, Word::Question)).await;
    let greeting = |packet: &Packet| match packet {
        Packet::Publish(publish) => matches!(heard(prefix, publish), Some(Word::Greeting(_))).then_some(()),
        _ => None,
    };
    let is_in_use = asker.hear(Instant::now() + wait, greeting).await.is_ok();
    asker.leave().await;
    is_in_use
}

/// Subscribes to the words; false where the broker does not answer.
async fn subscribe(talk: &mut Talk, target: &Target, prefix: &Prefix) -> bool {
    let filters = vec![Filter::new(topic(prefix), 0)];
    talk.say([Packet::Subscribe(Subscribe { id: 1, filters, ..Subscribe::default() })]).await;
    let suback = |packet: &Packet| matches!(packet, Packet::Suback(_)).then_some(());
    talk.hear(Instant::now() + target.deadline, suback).await.is_ok()
}

/// A client that greets and answers for a storm, which has no witness.
pub struct Keeper {
    is_shared: watch::Receiver<bool>,
    leave: Arc<Notify>,
    listening: JoinHandle<()>,
}

impl Keeper {
    /// Connects, subscribes and greets; `None` where the broker does not let it.
    pub async fn open(target: &Target, prefix: &Prefix, protocol: Protocol) -> Option<Keeper> {
        let nonce = random_word();
        let id = format!("{}keeper{}", prefix.client_id, &nonce[..NONCE_CHARS]);
        let mut talk = Talk::open(target, target.connect(protocol, id, true, 0)).await.ok()?;
        if !subscribe(&mut talk, target, prefix).await {
            return None;
        }
        let (shared, is_shared) = watch::channel(false);
        let leave = Arc::new(Notify::new());
        let (target, prefix, leaves) = (target.clone(), prefix.clone(), leave.clone());
        let listening = tokio::spawn(async move {
            let greeting = || said_here(&target, &prefix, protocol, Word::Greeting(nonce.as_bytes()));
            let word = |packet: &Packet| match packet {
                Packet::Publish(publish) => heard(&prefix, publish)
                    .filter(|word| *word != Word::Greeting(nonce.as_bytes()))
                    .map(|word| word != Word::Question),
                _ => None,
            };
            talk.say(greeting()).await;
            loop {
                let is_greeting = tokio::select! {
                    heard = talk.hear(Instant::now() + LISTENING, word) => heard,
                    () = leaves.notified() => break,
                };
                match is_greeting {
                    // A greeting is answered once, or two would greet each other without end.
                    Ok(is_greeting) if !(is_greeting && shared.send_replace(true)) => drop(talk.say(greeting()).await),
                    Ok(_) | Err(Unanswered::Silence) => {}
                    Err(Unanswered::Ended { .. } | Unanswered::TooLong) => return,
                }
            }
            talk.leave().await;
        });
        Some(Keeper { is_shared, leave, listening })
    }

    /// True when another run with this prefix has greeted: both have to end.
    pub fn is_shared(&self) -> watch::Receiver<bool> {
        self.is_shared.clone()
    }

    /// Leaves in good order.
    pub async fn leave(self) {
        self.leave.notify_one();
        // It has nothing to tell.
        let _ = self.listening.await;
    }
}

/// The packet with which whoever hears the words says one. Where another login publishes, it is said beside, on a connection of
/// its own, and there is none.
pub fn said_here(target: &Target, prefix: &Prefix, protocol: Protocol, word: Word<'_>) -> Option<Packet> {
    let said = word.said(prefix);
    if !target.has_two_logins() {
        return Some(said);
    }
    let id = format!("{}greeter{}", prefix.client_id, &random_word()[..NONCE_CHARS]);
    let connect = target.connect_as(Role::Publisher, protocol, id, true, KEEP_ALIVE_S);
    let target = target.clone();
    tokio::spawn(async move {
        if let Ok(mut talk) = Talk::open(&target, connect).await {
            talk.say([said]).await;
            talk.leave().await;
        }
    });
    None
}

/// Where all of it is said.
pub fn topic(prefix: &Prefix) -> String {
    format!("{}/greetings", prefix.topic)
}
