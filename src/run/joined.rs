//! The nodes of a broker are one broker as soon as what is published at each of them reaches each of them.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Target;
use super::names::{Prefix, helper_id, random_word, topic};
use super::talk::{Talk, Unanswered};
use super::witness::KEEP_ALIVE_S;
use crate::packet::{Filter, Packet, Protocol, Publish, Subscribe};
use crate::plan::Role;
use crate::session_rules::is_failure;

/// How long a message may take from node to node before another one is published.
const COPY_WAIT: Duration = Duration::from_millis(100);

/// The nodes are not one broker: why, and what to do.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0}; give the nodes of one broker that is a cluster, or one of them alone, and look into their logs if they should be one"
)]
pub struct NotJoined(String);

/// Waits until they are. A broker with one node is one.
///
/// # Errors
/// [`NotJoined`] after so long.
pub async fn until_joined(target: &Target, prefix: &Prefix, within: Duration) -> Result<(), NotJoined> {
    let deadline = Instant::now() + within;
    while target.nodes() > 1 {
        match Ring::open(target, prefix).await {
            Ok(mut ring) => {
                let apart = ring.turn(deadline).await;
                ring.leave().await;
                let Err(why) = apart else { break };
                if Instant::now() >= deadline {
                    return Err(NotJoined(format!("{why}, after {} s", within.as_secs())));
                }
            }
            Err(why) if Instant::now() >= deadline => return Err(NotJoined(why)),
            Err(_) => {}
        }
        sleep(COPY_WAIT).await;
    }
    Ok(())
}

/// A subscriber and a publisher at each node.
struct Ring {
    nodes: Vec<(Talk, Talk)>,
    topic: String,
    /// Tells this ring's messages from those of an earlier one.
    word: String,
}

impl Ring {
    async fn open(target: &Target, prefix: &Prefix) -> Result<Ring, String> {
        let topic = topic(prefix, "joined", "loop");
        let mut nodes = Vec::new();
        for node in 1..=target.nodes() {
            let own = target.at(node);
            let mut subscriber = talk(&own, prefix, Role::Main, node).await?;
            let filters = vec![Filter::new(&topic, 0)];
            subscriber.say([Packet::Subscribe(Subscribe { id: 1, filters, ..Subscribe::default() })]).await;
            let granted = |packet: &Packet| match packet {
                Packet::Suback(suback) => Some(!suback.codes.iter().any(|code| is_failure(*code))),
                _ => None,
            };
            match subscriber.hear(Instant::now() + target.deadline, granted).await {
                Ok(true) => {}
                _ => return Err(format!("node {node} of the broker does not let a client subscribe")),
            }
            nodes.push((subscriber, talk(&own, prefix, Role::Publisher, node).await?));
        }
        Ok(Ring { nodes, topic, word: random_word() })
    }

    /// Publishes at each node until each has something of each.
    async fn turn(&mut self, deadline: Instant) -> Result<(), String> {
        let all: Vec<String> = (1..=self.nodes.len()).map(|node| format!("{} {node}", self.word)).collect();
        let mut heard: Vec<BTreeSet<String>> = vec![BTreeSet::new(); self.nodes.len()];
        loop {
            for ((_, publisher), payload) in self.nodes.iter_mut().zip(&all) {
                let (topic, payload) = (self.topic.clone(), payload.clone().into_bytes());
                publisher.say([Packet::Publish(Publish { topic, payload, ..Publish::default() })]).await;
            }
            let until = Instant::now() + COPY_WAIT;
            for ((subscriber, _), heard) in self.nodes.iter_mut().zip(&mut heard) {
                let has_all = |packet: &Packet| {
                    if let Packet::Publish(publish) = packet {
                        heard.extend(String::from_utf8(publish.payload.clone()).ok().filter(|own| all.contains(own)));
                    }
                    (heard.len() == all.len()).then_some(())
                };
                // What is missing is seen below.
                if let Err(Unanswered::Ended { how, .. }) = subscriber.hear(until, has_all).await {
                    return Err(format!("the nodes are asked whether they are one broker, and {how}"));
                }
            }
            let apart = heard.iter().enumerate().find_map(|(to, heard)| {
                let from = all.iter().position(|own| !heard.contains(own))?;
                Some(format!("what is published at node {} does not come to node {}", from + 1, to + 1))
            });
            match apart {
                None => return Ok(()),
                Some(why) if Instant::now() >= deadline => return Err(why),
                Some(_) => {}
            }
        }
    }

    async fn leave(self) {
        for (subscriber, publisher) in self.nodes {
            subscriber.leave().await;
            publisher.leave().await;
        }
    }
}

async fn talk(target: &Target, prefix: &Prefix, role: Role, node: u32) -> Result<Talk, String> {
    let word = if role == Role::Main { "in" } else { "out" };
    let id = helper_id(prefix, &format!("{word}{node}"));
    let mut how = String::new();
    // Either version may be the only one that the broker speaks.
    for protocol in Protocol::ALL {
        let connect = target.connect_as(role, protocol, id.clone(), true, KEEP_ALIVE_S);
        match Talk::open(target, connect).await {
            Ok(talk) => return Ok(talk),
            Err(refusal) => how = refusal.how,
        }
    }
    Err(format!("node {node} of the broker lets no client in: {how}"))
}
