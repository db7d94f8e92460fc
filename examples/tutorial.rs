//! The five tests of the tutorial "MQTT Clean Sessions and QOS Examples", with rumqttc's own client.
//!
//! A subscriber subscribes and goes away, somebody publishes three messages, and it comes back. Which ones arrive?
//!
//! ```text
//! cargo run --example tutorial                    against the embedded broker
//! cargo run --example tutorial localhost:1883     against yours
//! ```

use std::time::Duration;

use anyhow::{Context, Result};
use mqtt_sessions::broker::{Broker, EMBEDDED, Given};
use rumqttc::QoS::{AtLeastOnce, AtMostOnce};
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Outgoing, Packet, Publish, QoS};
use tokio::time::timeout;

/// How long any answer is waited for.
const DEADLINE: Duration = Duration::from_secs(5);
/// The payload of a message that only marks a place in the stream of messages.
const FENCE: &str = "fence";
/// Clean session or persistent, QoS of the publication, QoS of the subscription.
const TESTS: [(bool, QoS, QoS); 5] = [
    (true, AtMostOnce, AtMostOnce),
    (false, AtMostOnce, AtMostOnce),
    (true, AtLeastOnce, AtLeastOnce),
    (false, AtLeastOnce, AtLeastOnce),
    (false, AtMostOnce, AtLeastOnce),
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let broker = match std::env::args().nth(1) {
        Some(address) => format!("mqtt://{address}"),
        None => EMBEDDED.into(),
    };
    // The embedded broker stops when this is dropped.
    let broker = Broker::find(&broker, Given::default(), DEADLINE).await?;
    let address = broker.url.trim_start_matches("mqtt://");
    println!("Three messages were published while the subscriber was away from {address}\n");
    println!("test  session     publish  subscribe  arrived after its return");
    for (number, (clean, publish_qos, subscribe_qos)) in (1..).zip(TESTS) {
        let id = format!("tutorial{}n{number}", std::process::id());
        let arrived = match experiment(address, &id, clean, publish_qos, subscribe_qos).await {
            Ok(messages) if messages.is_empty() => "none".into(),
            Ok(messages) => messages.join(" "),
            Err(error) => format!("not known: {error:#}"),
        };
        // A persistent session stays on the broker until its client connects with a clean one.
        Connection::open(address, &id, true).await?.leave().await?;
        let session = if clean { "clean" } else { "persistent" };
        println!("{number:<5} {session:<11} QoS {:<4} QoS {:<6} {arrived}", publish_qos as u8, subscribe_qos as u8);
    }
    Ok(())
}

/// One of the tutorial's tests: which messages arrive after the return?
async fn experiment(address: &str, id: &str, clean: bool, publish_qos: QoS, subscribe_qos: QoS) -> Result<Vec<String>> {
    let topic = format!("{id}/topic");
    let mut subscriber = Connection::open(address, id, clean).await?;
    subscriber.subscribe(&topic, subscribe_qos).await?;
    subscriber.leave().await?;

    let mut publisher = Connection::open(address, &format!("{id}p"), true).await?;
    for number in 1..=3 {
        publisher.publish(&topic, publish_qos, false, &number.to_string()).await?;
    }
    publisher.round_trip(id).await?;

    let mut subscriber = Connection::open(address, id, clean).await?;
    let messages = subscriber.read_to_fence(&mut publisher, &topic, publish_qos).await?;
    subscriber.leave().await?;
    publisher.leave().await?;
    Ok(messages.iter().map(|message| String::from_utf8_lossy(&message.payload).into_owned()).collect())
}

/// One connection to a broker. rumqttc has two halves: requests go into the client, and all work is done while the
/// event loop is polled.
pub struct Connection {
    client: AsyncClient,
    event_loop: EventLoop,
    /// The broker has a session of this client from an earlier connection.
    pub session_present: bool,
    /// What has come and was not asked for yet.
    pub received: Vec<Publish>,
    /// Handshakes of QoS 1 and 2 that are not finished.
    unfinished: i32,
}

impl Connection {
    pub async fn open(address: &str, id: &str, clean: bool) -> Result<Connection> {
        let (host, port) = address.rsplit_once(':').unwrap_or((address, "1883"));
        let mut options = MqttOptions::new(id, host, port.parse().context("the port is no number")?);
        options.set_clean_session(clean);
        let (client, mut event_loop) = AsyncClient::new(options, 10);
        // Many small packets follow each other; the kernel shall not hold them back.
        event_loop.network_options.set_tcp_nodelay(true);
        let mut connection =
            Connection { client, event_loop, session_present: false, received: Vec::new(), unfinished: 0 };
        // The first event of a connection is the broker's CONNACK.
        if let Event::Incoming(Packet::ConnAck(connack)) = connection.next().await? {
            connection.session_present = connack.session_present;
        }
        Ok(connection)
    }

    pub async fn subscribe(&mut self, topic: &str, qos: QoS) -> Result<()> {
        self.client.subscribe(topic, qos).await?;
        while !matches!(self.next().await?, Event::Incoming(Packet::SubAck(_))) {}
        Ok(())
    }

    /// Publishes a message, and at QoS 1 and 2 waits until the broker has acknowledged it.
    pub async fn publish(&mut self, topic: &str, qos: QoS, retain: bool, payload: &str) -> Result<()> {
        self.client.publish(topic, qos, retain, payload).await?;
        while !matches!(self.next().await?, Event::Outgoing(Outgoing::Publish(_))) {}
        self.finish_handshakes().await
    }

    /// Nothing acknowledges a message of QoS 0, but the broker answers a SUBSCRIBE only after what came before it.
    pub async fn round_trip(&mut self, id: &str) -> Result<()> {
        self.subscribe(&format!("{id}/private"), AtMostOnce).await
    }

    /// Has the publisher publish one more message, and reads until that has come: whatever was queued for this client
    /// stands before it, so what has not come by now does not come. Where there is no session there is no
    /// subscription either; then the fence goes through a private topic.
    pub async fn read_to_fence(&mut self, publisher: &mut Connection, topic: &str, qos: QoS) -> Result<Vec<Publish>> {
        let private = format!("{topic}/private");
        let topic = if self.session_present { topic } else { &private };
        if !self.session_present {
            self.subscribe(topic, qos).await?;
        }
        publisher.publish(topic, qos, false, FENCE).await?;
        while !self.received.iter().any(|message| message.payload == FENCE) {
            self.next().await?;
        }
        self.finish_handshakes().await?;
        Ok(self.received.drain(..).filter(|message| message.payload != FENCE).collect())
    }

    /// Disconnects and waits until the broker has ended the connection as well: only then is the client really gone.
    pub async fn leave(mut self) -> Result<()> {
        self.client.disconnect().await?;
        // The end shows as an error. One more poll after it would connect again.
        while timeout(DEADLINE, self.event_loop.poll()).await.context("the broker keeps the connection open")?.is_ok() {
        }
        Ok(())
    }

    async fn finish_handshakes(&mut self) -> Result<()> {
        while self.unfinished > 0 {
            self.next().await?;
        }
        Ok(())
    }

    /// The next thing that happens on this connection.
    pub async fn next(&mut self) -> Result<Event> {
        let event = timeout(DEADLINE, self.event_loop.poll()).await.context("no answer within 5 s")??;
        match &event {
            Event::Incoming(Packet::Publish(message)) => {
                self.unfinished += i32::from(message.qos != AtMostOnce);
                self.received.push(message.clone());
            }
            Event::Outgoing(Outgoing::Publish(id)) => self.unfinished += i32::from(*id != 0),
            Event::Incoming(Packet::PubAck(_) | Packet::PubComp(_))
            | Event::Outgoing(Outgoing::PubAck(_) | Outgoing::PubComp(_)) => self.unfinished -= 1,
            _ => {}
        }
        Ok(event)
    }
}
