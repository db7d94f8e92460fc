//! The proof that whatever was queued has come: fences, and one settle window where something is absent.

use std::time::Duration;

use tokio::time::Instant;

use super::client::Client;
use super::player::{Outgoing, Player, Stop, Waited};
use super::steps::TRIES_MAX;
use crate::connection::Connection;
use crate::history::{Awaited, Event, Message};
use crate::judge::{self, Absent};
use crate::packet::{Filter, Packet};
use crate::plan::Source;
use crate::scenario::Answers;

/// A fence: a message behind everything that its source published before.
struct Fence {
    source: Source,
    /// Any of them serves.
    messages: Vec<Message>,
    /// Its QoS for the session. At 0 it may legally vanish, and another one is sent.
    qos: u8,
}

impl Fence {
    /// True if it has come at its own QoS: a copy at QoS 0 for another subscription may overtake what is queued.
    fn has_come(&self, client: &Client) -> bool {
        let mut right = self.messages.iter().flat_map(|message| (self.qos..=2).map(|qos| (*message, qos)));
        right.any(|copy| client.arrived_at.contains(&copy))
    }
}

impl Player<'_> {
    /// Waits until everything that the session holds for the client has come.
    pub async fn receive(
        &mut self,
        client: usize,
        answers: Answers,
        sources: &[Source],
        last: bool,
    ) -> Result<(), Stop> {
        self.clients[client].answers = answers;
        if answers == Answers::OneByOne {
            // What came with the CONNACK is held, too.
            self.clients[client].answers_at_most = Some(0);
        }
        // On a fresh connection nothing shows yet that the broker read us; after a SUBSCRIBE its SUBACK did.
        if std::mem::take(&mut self.clients[client].granted).is_empty() {
            self.send(client, Packet::Pingreq)?;
            self.answers(client).await?;
        }
        match answers {
            Answers::All => {}
            Answers::OneByOne => self.take_one_by_one(client).await?,
            Answers::None | Answers::Pubrec | Answers::Refuse => return self.receive_withholding(client).await,
        }
        let is_in_a_packet = |source: &&Source| {
            self.clients[source.publisher].connection.as_ref().is_some_and(Connection::is_in_a_packet)
        };
        let sources: Vec<Source> = sources.iter().filter(|source| !is_in_a_packet(source)).cloned().collect();
        let subscribed = sources.iter().filter(|source| self.granted(client, source).is_some()).cloned();
        let mut fences = self.fences(client, subscribed.collect());
        let mut arrived = !fences.is_empty() && self.raise(client, &mut fences).await?;
        let something_was_published = self.messages + self.wills + self.clearings > 0;
        if !arrived && something_was_published {
            let topics = self.fence_topics(client, &sources).await?;
            let mut time_fences = self.fences(client, topics);
            arrived = self.raise(client, &mut time_fences).await?;
            if !arrived {
                self.await_fences(client, &time_fences).await?;
            }
        }
        self.answers(client).await?;
        for source in &sources {
            self.answers(source.publisher).await?;
        }
        self.catch_up(client).await;
        if last {
            self.settle(client).await?;
            self.leave_fence_topics(client).await?;
        }
        Ok(())
    }

    fn fences(&self, client: usize, sources: Vec<Source>) -> Vec<Fence> {
        let fence = |source: Source| {
            let granted = self.granted(client, &source).unwrap_or(0);
            Fence { qos: source.qos.min(granted), messages: Vec::new(), source }
        };
        sources.into_iter().map(fence).collect()
    }

    /// Publishes fences and waits for them; where one may vanish, and has not come after one settle window, the next
    /// message is sent in its place. Tells whether all have come.
    async fn raise(&mut self, client: usize, fences: &mut [Fence]) -> Result<bool, Stop> {
        for attempt in 1..=TRIES_MAX {
            let missing = |fence: &&Fence, clients: &[Client]| !fence.has_come(&clients[client]);
            let is_due = |fence: &Fence| attempt == 1 || fence.qos == 0 && missing(&fence, &self.clients);
            let due: Vec<usize> = (0..fences.len()).filter(|fence| is_due(&fences[*fence])).collect();
            if due.is_empty() {
                break;
            }
            for fence in due {
                self.fences += 1;
                let message = Message::Fence(self.fences);
                fences[fence].messages.push(message);
                let Source { publisher, topic, qos } = &fences[fence].source;
                self.publish(*publisher, Outgoing::new(topic, *qos, message))?;
            }
            let all = |clients: &[Client]| !fences.iter().any(|fence| missing(&fence, clients));
            // What may not vanish gets more time: which fences a cell needs must not depend on how busy the broker is.
            let may_vanish = fences.iter().any(|fence| fence.qos == 0 && missing(&fence, &self.clients));
            let window = if may_vanish { self.vanished_after() } else { self.settle.max(self.target.deadline / 10) };
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
        // Where nobody is left who published, the client publishes to itself: time passes for it all the same.
        let own = Source { publisher: client, topic: String::new(), qos: 1 };
        let sources = if sources.is_empty() { std::slice::from_ref(&own) } else { sources };
        for source in sources {
            for qos in [0, source.qos] {
                let topic = Source { publisher: source.publisher, topic: format!("fence{qos}"), qos };
                if !topics.contains(&topic) {
                    topics.push(topic);
                }
            }
        }
        let known = |topic: &&Source| {
            !self.clients[client].subscriptions.iter().any(|subscribed| subscribed.filter.filter == topic.topic)
        };
        let new: Vec<Filter> =
            topics.iter().filter(known).map(|topic| Filter::new(topic.topic.as_str(), topic.qos)).collect();
        if !new.is_empty() {
            self.subscribe(client, &new, None).await?;
            self.clients[client].granted.clear();
        }
        Ok(topics)
    }

    /// Gives the fences that are out the whole deadline. One of them is enough to show that time has passed.
    async fn await_fences(&mut self, client: usize, fences: &[Fence]) -> Result<(), Stop> {
        let deadline = self.deadline();
        let arrived = |clients: &[Client], fence: &Fence| fence.has_come(&clients[client]);
        match self.pump(deadline, |clients| fences.iter().all(|fence| arrived(clients, fence))).await {
            Waited::Done => Ok(()),
            Waited::Ended(_) => Err(Stop),
            Waited::Deadline if fences.iter().any(|fence| arrived(&self.clients, fence)) => Ok(()),
            Waited::Deadline => {
                self.record.observed(client, |name| Event::Missing(name, Awaited::Fence));
                Err(Stop)
            }
        }
    }

    /// Asks the model whether the client still waits for something.
    fn absent(&self, client: usize) -> Absent {
        judge::absent(&self.history(), &self.clients[client].name)
    }

    /// True if a message that was sent has not come, owed or not. The model is asked only if all have.
    fn something_is_absent(&self, client: usize) -> bool {
        self.clients[client].seen.len() < self.messages as usize || self.absent(client) != Absent::Nothing
    }

    /// Stays open for one settle window, unless everything that was sent is here, and then as long as the patience lasts where
    /// a finding would say that something is missing: it may be late.
    async fn settle(&mut self, client: usize) -> Result<(), Stop> {
        let deadline = self.deadline();
        if self.something_is_absent(client) && self.settles(client, self.settle, deadline).await? {
            let is_worth_it = match self.absent(client) {
                Absent::Nothing => false,
                Absent::Owed => self.is_last_attempt,
                Absent::Overtaken => true,
            };
            if is_worth_it && self.patience > self.settle {
                self.settles(client, self.patience, Instant::now() + self.patience).await?;
            }
        }
        self.answers(client).await
    }

    /// Waits for one window in which nothing comes, restarted by each arrival, and notes it. False if there was none before the
    /// deadline, or if everything has come.
    async fn settles(&mut self, client: usize, window: Duration, deadline: Instant) -> Result<bool, Stop> {
        while self.something_is_absent(client) && Instant::now() < deadline {
            let arrived = self.clients[client].arrivals.len();
            let until = (Instant::now() + window).min(deadline);
            match self.pump(until, |clients| clients[client].arrivals.len() > arrived).await {
                Waited::Done => {}
                Waited::Ended(_) => return Err(Stop),
                Waited::Deadline => {
                    self.record.observed(client, Event::Settled);
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Ends the subscriptions to the fence topics, since they would change a session that outlives the connection.
    async fn leave_fence_topics(&mut self, client: usize) -> Result<(), Stop> {
        if !self.clients[client].session_persists() {
            return Ok(());
        }
        let filters = self.clients[client].subscriptions.iter().map(|subscribed| subscribed.filter.filter.clone());
        let topics: Vec<String> = filters.filter(|filter| filter.starts_with("fence")).collect();
        match topics.is_empty() {
            true => Ok(()),
            false => self.unsubscribe(client, topics).await,
        }
    }

    /// The QoS at which what this source publishes reaches the client, while there is a subscription.
    fn granted(&self, client: usize, source: &Source) -> Option<u8> {
        let state = &self.clients[client];
        match self.clients[source.publisher].plan.client_id == state.plan.client_id {
            true => state.granted_for_own(&source.topic),
            false => state.granted_for(&source.topic),
        }
    }

    /// Takes what comes and withholds or refuses its acknowledgements. A fence could not come behind a full window, so
    /// one settle window has to pass; nothing is concluded from what did not come until then.
    async fn receive_withholding(&mut self, client: usize) -> Result<(), Stop> {
        let deadline = Instant::now() + self.target.deadline;
        loop {
            let arrived = self.clients[client].arrivals.len();
            let window = (Instant::now() + self.vanished_after()).min(deadline);
            match self.pump(window, |clients| clients[client].arrivals.len() > arrived).await {
                Waited::Done => {}
                Waited::Ended(_) => return Err(Stop),
                Waited::Deadline => break,
            }
        }
        // The answer shows that the broker has read what was acknowledged or refused, and is not held up by the rest.
        self.send(client, Packet::Pingreq)?;
        self.answers(client).await?;
        self.catch_up(client).await;
        Ok(())
    }
}
