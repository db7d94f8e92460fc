//! rumqttc's own clients as a control: the same experiments as an application would do them, with `AsyncClient` and
//! `EventLoop` in place of the harness's packets. What they say decides about no verdict.

mod play;

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rumqttc::QoS::AtMostOnce;
use rumqttc::{
    AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, Outgoing, Packet, Publish, QoS, SubscribeReasonCode,
};
use tokio::time::timeout;

pub use play::{Stage, cannot_play, play};

/// How long any answer is waited for, unless somebody says otherwise.
const DEADLINE: Duration = Duration::from_secs(5);
/// How the payload of a message begins that only marks a place in the stream of messages.
const FENCE: &str = "fence ";
/// How many requests wait for the event loop at most.
const REQUESTS: usize = 10;

/// One connection to a broker. rumqttc has two halves: requests go into the client, and all work is done while the
/// event loop is polled.
pub struct Connection {
    client: AsyncClient,
    event_loop: EventLoop,
    deadline: Duration,
    /// The broker has a session of this client from an earlier connection.
    pub session_present: bool,
    /// What has come and was not asked for yet.
    pub received: Vec<Publish>,
    /// Handshakes of QoS 1 and 2 that are not finished.
    unfinished: i32,
    /// How many fences this connection has published.
    fences: u32,
}

impl Connection {
    /// Connects to `HOST:PORT`.
    pub async fn open(address: &str, id: &str, clean: bool) -> Result<Connection> {
        let (host, port) = address.rsplit_once(':').unwrap_or((address, "1883"));
        let mut options = MqttOptions::new(id, host, port.parse().context("the port is no number")?);
        options.set_clean_session(clean);
        Connection::open_with(options, DEADLINE).await
    }

    pub async fn open_with(options: MqttOptions, deadline: Duration) -> Result<Connection> {
        let (client, mut event_loop) = AsyncClient::new(options, REQUESTS);
        // Many small packets follow each other; the kernel shall not hold them back.
        event_loop.network_options.set_tcp_nodelay(true);
        let (session_present, received, unfinished, fences) = (false, Vec::new(), 0, 0);
        let mut connection = Connection { client, event_loop, deadline, session_present, received, unfinished, fences };
        // The first event of a connection is the broker's CONNACK.
        if let Event::Incoming(Packet::ConnAck(connack)) = connection.next().await? {
            connection.session_present = connack.session_present;
        }
        Ok(connection)
    }

    /// Subscribes, and gives what the broker granted.
    pub async fn subscribe(&mut self, topic: &str, qos: QoS) -> Result<Vec<SubscribeReasonCode>> {
        self.client.subscribe(topic, qos).await?;
        loop {
            if let Event::Incoming(Packet::SubAck(suback)) = self.next().await? {
                return Ok(suback.return_codes);
            }
        }
    }

    /// Publishes a message, and at QoS 1 and 2 waits until the broker has acknowledged it.
    pub async fn publish(&mut self, topic: &str, qos: QoS, retain: bool, payload: &str) -> Result<()> {
        self.client.publish(topic, qos, retain, payload).await?;
        while !matches!(self.next().await?, Event::Outgoing(Outgoing::Publish(_))) {}
        self.finish_handshakes().await
    }

    /// Nothing acknowledges a message of QoS 0, but the broker answers a SUBSCRIBE only after what came before it.
    pub async fn round_trip(&mut self, id: &str) -> Result<()> {
        self.subscribe(&format!("{id}/private"), AtMostOnce).await.map(drop)
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
        publisher.fences += 1;
        let fence = format!("{FENCE}{} {}", publisher.event_loop.mqtt_options.client_id(), publisher.fences);
        publisher.publish(topic, qos, false, &fence).await?;
        while !self.received.iter().any(|message| message.payload == fence) {
            self.next().await?;
        }
        self.finish_handshakes().await?;
        Ok(self.take_received())
    }

    /// Reads until nothing has come for a while: a retained copy has no place in the order of messages, so that no fence
    /// proves that it does not come any more.
    pub async fn read_until_quiet(&mut self, quiet: Duration) -> Result<Vec<Publish>> {
        while let Ok(event) = timeout(quiet, self.next()).await {
            event?;
        }
        Ok(self.take_received())
    }

    fn take_received(&mut self) -> Vec<Publish> {
        self.received.drain(..).filter(|message| !message.payload.starts_with(FENCE.as_bytes())).collect()
    }

    /// Disconnects and waits until the broker has ended the connection as well: only then is the client really gone.
    pub async fn leave(self) -> Result<()> {
        self.client.disconnect().await?;
        self.end().await
    }

    /// Waits until the broker has ended the connection.
    pub async fn end(mut self) -> Result<()> {
        // The end shows as an error. One more poll after it would connect again.
        let keeps = "the broker keeps the connection open";
        while timeout(self.deadline, self.event_loop.poll()).await.context(keeps)?.is_ok() {}
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
        let no_answer = || format!("no answer within {} s", self.deadline.as_secs_f32());
        let event: Result<Event, ConnectionError> =
            timeout(self.deadline, self.event_loop.poll()).await.with_context(no_answer)?;
        let event = event.map_err(in_words)?;
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

/// rumqttc shows the packet that came in the place of a CONNACK: a CONNECT that comes back has the password in it.
fn in_words(error: ConnectionError) -> anyhow::Error {
    match error {
        ConnectionError::NotConnAck(_) => anyhow!("the answer to CONNECT was no CONNACK"),
        error => error.into(),
    }
}
