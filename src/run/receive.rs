//! The proof that whatever was queued has come: fences, and one settle window where something is absent.

use tokio::time::Instant;

use super::client::Client;
use super::player::{Outgoing, Player, Stop, Waited};
use super::steps::COPIES_MAX;
use crate::history::{Awaited, Event, Message};
use crate::judge;
use crate::packet::{Packet, Unsubscribe};
use crate::plan::Source;

/// A fence: a message behind everything that its source published before.
struct Fence {
    source: Source,
    message: Message,
    /// It has QoS 0 for the session, so it may legally vanish and is sent again.
    at_qos_0: bool,
}

impl Player<'_> {
    /// Waits until everything that the session holds for the client has come.
    pub async fn receive(&mut self, client: usize, sources: &[Source], last: bool) -> Result<(), Stop> {
        // On a fresh connection nothing shows yet that the broker read us; after a SUBSCRIBE its SUBACK did.
        if std::mem::take(&mut self.clients[client].granted).is_empty() {
            self.send(client, Packet::Pingreq)?;
            self.answers(client).await?;
        }
        let subscribed =
            sources.iter().filter(|source| self.clients[client].granted_for(&source.topic).is_some()).cloned();
        let mut fences = self.fences(client, subscribed.collect());
        let mut arrived = !fences.is_empty() && self.raise(client, &mut fences).await?;
        if !arrived && !sources.is_empty() {
            let topics = self.fence_topics(client, sources).await?;
            let mut time_fences = self.fences(client, topics);
            arrived = self.raise(client, &mut time_fences).await?;
        }
        if !arrived && !sources.is_empty() {
            self.await_fence(client).await?;
        }
        self.answers(client).await?;
        for source in sources {
            self.answers(source.publisher).await?;
        }
        self.catch_up(client).await;
        if last {
            self.settle(client).await?;
            self.leave_fence_topics(client).await?;
        }
        Ok(())
    }

    fn fences(&mut self, client: usize, sources: Vec<Source>) -> Vec<Fence> {
        let numbered = sources.into_iter().map(|source| {
            self.fences += 1;
            let granted = self.clients[client].granted_for(&source.topic).unwrap_or(0);
            Fence { at_qos_0: source.qos.min(granted) == 0, message: Message::Fence(self.fences), source }
        });
        numbered.collect()
    }

    /// Publishes fences and waits for them; those that may vanish are sent again after one settle window. Tells whether
    /// all have come.
    async fn raise(&mut self, client: usize, fences: &mut [Fence]) -> Result<bool, Stop> {
        for copy in 1..=COPIES_MAX {
            let missing = |fence: &&Fence, clients: &[Client]| !clients[client].arrivals.contains(&fence.message);
            let due: Vec<&Fence> =
                fences.iter().filter(|fence| copy == 1 || fence.at_qos_0 && missing(fence, &self.clients)).collect();
            if due.is_empty() {
                break;
            }
            for fence in due {
                let Source { publisher, topic, qos } = &fence.source;
                let outgoing = Outgoing { topic, qos: *qos, retain: false, message: fence.message, copy };
                self.publish(*publisher, outgoing)?;
            }
            let all = |clients: &[Client]| !fences.iter().any(|fence| missing(&fence, clients));
            // What may not vanish gets more time: which fences a cell needs must not depend on how busy the broker is.
            let may_vanish = fences.iter().any(|fence| fence.at_qos_0 && missing(&fence, &self.clients));
            let window = if may_vanish { self.settle } else { self.settle.max(self.target.deadline / 10) };
            match self.pump(Instant::now() + window, all).await {
                Waited::Done => return Ok(true),
                Waited::Deadline => {}
                Waited::Ended(_) => return Err(Stop),
            }
        }
        Ok(false)
    }

    /// Subscribes the client to topics of the harness's own, one for QoS 0 and one for each QoS in play, since some
    /// brokers queue the classes apart. They prove that time has passed, not order.
    async fn fence_topics(&mut self, client: usize, sources: &[Source]) -> Result<Vec<Source>, Stop> {
        let mut topics: Vec<Source> = Vec::new();
        for source in sources {
            for qos in [0, source.qos] {
                let topic = Source { publisher: source.publisher, topic: format!("fence{qos}"), qos };
                if !topics.contains(&topic) {
                    topics.push(topic);
                }
            }
        }
        let new = topics.iter().filter(|topic| self.clients[client].granted_for(&topic.topic).is_none());
        let new: Vec<(&str, u8)> = new.map(|topic| (topic.topic.as_str(), topic.qos)).collect();
        if !new.is_empty() {
            self.subscribe(client, &new).await?;
            self.clients[client].granted.clear();
        }
        Ok(topics)
    }

    /// Gives the fences that are out the whole deadline.
    async fn await_fence(&mut self, client: usize) -> Result<(), Stop> {
        let newest = Message::Fence(self.fences);
        let deadline = Instant::now() + self.target.deadline;
        match self.pump(deadline, |clients| clients[client].arrivals.contains(&newest)).await {
            Waited::Done => Ok(()),
            Waited::Ended(_) => Err(Stop),
            Waited::Deadline => {
                let awaited = Awaited { packet: "fence".into(), id: None };
                self.record.observed(client, |name| Event::Missing(name, awaited));
                Err(Stop)
            }
        }
    }

    /// What was sent and never came is absent without a look at the model.
    fn something_is_absent(&self, client: usize) -> bool {
        self.clients[client].seen.len() < self.messages as usize || !judge::nothing_is_absent(&self.history())
    }

    /// Stays open for one settle window, restarted by each arrival, unless everything that was sent is here.
    async fn settle(&mut self, client: usize) -> Result<(), Stop> {
        let deadline = Instant::now() + self.target.deadline;
        while self.something_is_absent(client) && Instant::now() < deadline {
            let arrived = self.clients[client].arrivals.len();
            let window = Instant::now() + self.settle;
            match self.pump(window, |clients| clients[client].arrivals.len() > arrived).await {
                Waited::Done => {}
                Waited::Ended(_) => return Err(Stop),
                Waited::Deadline => {
                    self.record.observed(client, Event::Settled);
                    break;
                }
            }
        }
        self.answers(client).await
    }

    /// Ends the subscriptions to the fence topics, since they would change a session that outlives the connection.
    async fn leave_fence_topics(&mut self, client: usize) -> Result<(), Stop> {
        if self.clients[client].plan.clean_session {
            return Ok(());
        }
        let of_fences = |(topic, _): &(String, u8)| topic.starts_with("fence");
        let topics: Vec<String> = self.clients[client]
            .subscriptions
            .extract_if(.., |topic| of_fences(topic))
            .map(|(topic, _)| topic)
            .collect();
        if topics.is_empty() {
            return Ok(());
        }
        let filters = topics.iter().map(|topic| self.names.topic(topic)).collect();
        let id = self.clients[client].next_id();
        self.send(client, Packet::Unsubscribe(Unsubscribe { id, filters }))?;
        self.answers(client).await
    }
}
