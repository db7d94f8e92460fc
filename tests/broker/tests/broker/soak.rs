//! Whatever the broker chooses, and wherever connections break, it keeps what QoS 1 and QoS 2 promise.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;
use test_broker::random::Random;

/// The value of a field of a line.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split(' ').find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
}

fn number(line: &str, name: &str) -> u16 {
    field(line, name).and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// A subscriber that knows what it has received, over all its connections.
#[derive(Default)]
struct Received {
    /// QoS 2 messages by identifier that were received and not released.
    unreleased: BTreeSet<u16>,
    /// What was sent on this connection and not answered to the end.
    in_use: BTreeMap<u16, String>,
    /// How often each message came.
    counts: BTreeMap<String, usize>,
    /// By topic and QoS, the first deliveries.
    order: BTreeMap<(String, u16), Vec<u32>>,
}

impl Received {
    /// Takes one packet, and says what is to be answered.
    fn take(&mut self, line: &str) -> Option<String> {
        let (qos, id) = (number(line, "qos"), number(line, "id"));
        match line.split(' ').next() {
            Some("PUBLISH") => {
                let payload = field(line, "payload").unwrap().to_owned();
                let (topic, dup) = (field(line, "topic").unwrap(), number(line, "dup"));
                if qos > 0 {
                    let holder = self.in_use.insert(id, payload.clone());
                    assert!(dup == 1 || holder.is_none(), "{id} is in use: {line}");
                    assert!(dup == 0 || holder.is_none_or(|own| own == payload), "{id} stands for another: {line}");
                }
                if qos < 2 || self.unreleased.insert(id) {
                    let count = self.counts.entry(payload.clone()).or_default();
                    *count += 1;
                    if *count == 1 {
                        let lane = self.order.entry((topic.to_owned(), qos)).or_default();
                        lane.push(payload.trim_start_matches('m').parse().unwrap());
                    }
                }
                match qos {
                    0 => None,
                    1 => {
                        self.in_use.remove(&id);
                        Some(format!("PUBACK id={id}"))
                    }
                    _ => Some(format!("PUBREC id={id}")),
                }
            }
            Some("PUBREL") => {
                self.unreleased.remove(&id);
                self.in_use.remove(&id);
                Some(format!("PUBCOMP id={id}"))
            }
            _ => None,
        }
    }
}

struct Soak {
    broker: Broker,
    protocol: Protocol,
    random: Random,
    subscriber: Client,
    received: Received,
    /// It has left something unread, and reads nothing more on this connection.
    is_deaf: bool,
    publisher: Client,
    /// The one message that the publisher has not finished: its QoS, its topic and its payload, and whether its PUBREC
    /// has come.
    unfinished: Option<(u8, String, String, bool)>,
    sent: Vec<(u8, String)>,
}

const PATIENCE: Duration = Duration::from_millis(200);

impl Soak {
    async fn new(seed: u64, protocol: Protocol) -> Soak {
        let usual = Choices { queue_at_most: None, session_expiry_at_most: u32::MAX, ..Choices::random(seed) };
        let choices = Choices { refuse_v5: false, server_keep_alive: None, grant_at_most: 2, maximum_qos: 2, ..usual };
        let broker = Broker::choosing(Choices { wildcards: true, wait_for_close: false, ..choices });
        let (mut subscriber, _) = reserved(&broker, protocol, "", "s").await;
        assert!(subscriber.tell("SUBSCRIBE id=1 filter=+ qos=2").await[0].starts_with("SUBACK"));
        let (publisher, _) = reserved(&broker, protocol, "", "p").await;
        let (random, received) = (Random::new(seed), Received::default());
        let (unfinished, sent) = (None, Vec::new());
        Soak { broker, protocol, random, subscriber, received, is_deaf: false, publisher, unfinished, sent }
    }

    /// The subscriber answers some of what comes, or all, until nothing comes any more.
    async fn receive(&mut self, at_most: u64) {
        let mut left = self.random.below(at_most + 1);
        loop {
            let lines = self.subscriber.hear().await;
            if lines.is_empty() {
                return;
            }
            self.answer(lines, &mut left).await;
        }
    }

    async fn answer(&mut self, mut lines: Vec<String>, left: &mut u64) {
        while !lines.is_empty() {
            let mut more = Vec::new();
            for line in lines {
                if *left == 0 || self.is_deaf {
                    self.is_deaf = true;
                    return;
                }
                let Some(answer) = self.received.take(&line) else { continue };
                *left -= 1;
                if *left > 0 {
                    more.extend(self.subscriber.tell(&answer).await);
                    continue;
                }
                // The last answer is never sent, or the client does not stay to see what it brings.
                self.is_deaf = true;
                if self.random.once_in(2) {
                    self.subscriber.patience = Duration::ZERO;
                    self.subscriber.tell(&answer).await;
                }
                return;
            }
            lines = more;
        }
    }

    /// The subscriber breaks off, misses some messages, and comes back.
    async fn break_subscriber(&mut self, misses: u64) {
        self.subscriber.half_close().await;
        self.subscriber.patience = PATIENCE;
        self.subscriber.hear().await;
        for _ in 0..misses {
            self.publish().await;
        }
        let (subscriber, answer) = reserved(&self.broker, self.protocol, "", "s").await;
        assert!(answer[0].starts_with(&connack(1)), "{answer:?}");
        self.subscriber = subscriber;
        self.subscriber.patience = PATIENCE;
        // What is under way is sent again, and what is not was lost on the way: its identifier counts no more.
        self.received.in_use.clear();
        self.is_deaf = false;
        self.answer(answer[1..].to_vec(), &mut u64::MAX.clone()).await;
    }

    /// The publisher breaks off and finishes what it had begun.
    async fn break_publisher(&mut self) {
        self.publisher.half_close().await;
        self.publisher.hear().await;
        let (publisher, _) = reserved(&self.broker, self.protocol, "", "p").await;
        self.publisher = publisher;
        self.publisher.patience = PATIENCE;
        if let Some((qos, topic, payload, has_pubrec)) = self.unfinished.take() {
            if !has_pubrec {
                let line = format!("PUBLISH topic={topic} qos={qos} retain=0 dup=1 id=9 payload={payload}");
                assert!(!self.publisher.tell(&line).await.is_empty());
            }
            if qos == 2 {
                assert!(!self.publisher.tell("PUBREL id=9").await.is_empty());
            }
        }
    }

    /// Publishes a message, and breaks off at some point of its handshake, or at none.
    async fn publish(&mut self) {
        let qos = self.random.below(3) as u8;
        let topic = if self.random.once_in(2) { "t" } else { "u" };
        let payload = format!("m{}", self.sent.len());
        self.sent.push((qos, payload.clone()));
        let point = self.random.below(4);
        self.unfinished = (qos > 0).then(|| (qos, topic.to_owned(), payload.clone(), false));
        self.publisher.patience = if point == 0 { Duration::ZERO } else { PATIENCE };
        self.publisher.tell(&publish(topic, qos, 0, &payload)).await;
        if point == 0 && qos > 0 {
            return self.break_publisher().await;
        }
        if qos == 2 {
            self.unfinished = Some((qos, topic.to_owned(), payload, true));
            if point == 1 {
                return self.break_publisher().await;
            }
            self.publisher.patience = if point == 2 { Duration::ZERO } else { PATIENCE };
            self.publisher.tell("PUBREL id=9").await;
            if point == 2 {
                return self.break_publisher().await;
            }
        }
        self.unfinished = None;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_or_doubled_or_out_of_order_wherever_connections_break() {
    for seed in 0..120 {
        let protocol = if seed % 2 == 0 { V3 } else { V5 };
        let mut soak = Soak::new(seed, protocol).await;
        (soak.subscriber.patience, soak.publisher.patience) = (PATIENCE, PATIENCE);
        for _ in 0..25 {
            match soak.random.below(5) {
                0..=2 => soak.publish().await,
                3 => soak.receive(6).await,
                _ => {
                    let misses = soak.random.below(4);
                    soak.break_subscriber(misses).await;
                }
            }
        }
        soak.break_subscriber(0).await;
        soak.receive(u64::MAX - 1).await;
        for (qos, payload) in &soak.sent {
            let count = soak.received.counts.get(payload).copied().unwrap_or(0);
            let is_right = match qos {
                0 => count <= 1,
                1 => count >= 1,
                _ => count == 1,
            };
            assert!(is_right, "seed {seed}: {payload} at QoS {qos} came {count} times");
        }
        let lanes = soak.received.order.iter();
        lanes.for_each(|(lane, numbers)| assert!(numbers.is_sorted(), "seed {seed}: {lane:?} {numbers:?}"));
    }
}
