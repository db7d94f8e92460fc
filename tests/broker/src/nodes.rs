//! Several nodes in front of one broker: a cluster that keeps everything together, or one that does not share something.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mqtt_sessions::packet::{Connect, Packet, Publish};
use tokio::time::Instant;

use super::Broker;
use super::state::Link;

/// How long a node takes to hear of what another one has done, if it is slow.
const LAG: Duration = Duration::from_millis(200);

/// How much the nodes of a cluster share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    Everything,
    /// A session is unknown at another node as long as that has not heard of it.
    EverythingLate,
    /// Each node has sessions of its own.
    NoSessions,
    /// What is to be retained is retained at the first node alone.
    NoRetained,
}

/// One node of a cluster.
#[derive(Clone)]
pub struct Node {
    number: u32,
    sharing: Sharing,
    /// By client identifier, the node at which its session was last, and when its connection there ended.
    last: Arc<Mutex<HashMap<String, (u32, Instant)>>>,
    links: Arc<Mutex<HashMap<Link, String>>>,
    /// As long as this file is there, the first node is cut off from the others, and what they accept is lost.
    loses_while: Option<PathBuf>,
}

impl Broker {
    /// So many nodes of a cluster in front of this broker.
    pub fn nodes(&self, count: u32, sharing: Sharing) -> Vec<Broker> {
        let (last, links) = (Arc::default(), Arc::default());
        let first = Node { number: 1, sharing, last, links, loses_while: None };
        (1..=count).map(|number| Broker { node: Some(Node { number, ..first.clone() }), ..self.clone() }).collect()
    }

    /// The same nodes, which share everything but what is published at the others as long as this file is there: as a cluster of
    /// which the first node was cut off, and tells behind that the session is present.
    pub fn nodes_that_lose(&self, count: u32, parted: PathBuf) -> Vec<Broker> {
        let mut nodes = self.nodes(count, Sharing::Everything);
        for node in nodes.iter_mut().filter_map(|broker| broker.node.as_mut()) {
            node.loses_while = Some(parted.clone());
        }
        nodes
    }
}

impl Node {
    /// The packet as the broker behind the node gets it.
    pub fn passed_on(&self, link: Link, packet: Packet) -> Packet {
        match packet {
            Packet::Connect(connect) => Packet::Connect(self.connect(link, connect)),
            Packet::Publish(publish) => {
                let is_lost = self.sharing == Sharing::NoRetained && self.number > 1;
                let is_parted = self.number > 1 && self.loses_while.as_ref().is_some_and(|file| file.exists());
                let topic = if is_parted { "to/nobody".into() } else { publish.topic };
                Packet::Publish(Publish { retain: publish.retain && !is_lost, topic, ..publish })
            }
            other => other,
        }
    }

    fn connect(&self, link: Link, connect: Connect) -> Connect {
        let id = connect.client_id.clone();
        self.links.lock().unwrap().insert(link, id.clone());
        let last = self.last.lock().unwrap().get(&id).copied();
        let is_news = last.is_some_and(|(node, ended)| node != self.number && ended.elapsed() < LAG);
        match self.sharing {
            Sharing::NoSessions if self.number > 1 => Connect { client_id: format!("{id}{}", self.number), ..connect },
            Sharing::EverythingLate if is_news => Connect { clean: true, ..connect },
            _ => connect,
        }
    }

    pub fn ended(&self, link: Link) {
        if let Some(id) = self.links.lock().unwrap().remove(&link) {
            self.last.lock().unwrap().insert(id, (self.number, Instant::now()));
        }
    }
}
