//! A client that speaks in the text form of the histories, for tests of what a broker answers.

use std::time::Duration;

use mqtt_sessions::connection::{Connection, Endpoint, Incoming};
use mqtt_sessions::history::{Event, History};
use mqtt_sessions::packet::{AckKind, Packet, Protocol};
use tokio::time::timeout;

pub struct Client {
    connection: Connection,
    /// Whether it answers PUBLISH, PUBREC and PUBREL by itself.
    pub acknowledges: bool,
    /// How long nothing must have come before nothing more is expected.
    pub patience: Duration,
    over: bool,
}

impl Client {
    pub async fn open(endpoint: &Endpoint, protocol: Protocol) -> Client {
        let connection = Connection::open(endpoint, protocol, Duration::from_secs(5)).await.expect("a connection");
        Client { connection, acknowledges: true, patience: Duration::from_secs(1), over: false }
    }

    /// Sends the packet of one line, and returns the lines of what comes until the broker falls silent.
    pub async fn tell(&mut self, line: &str) -> Vec<String> {
        let history = History::parse([format!("client -> {line}").as_str()]).expect("a packet");
        let Event::Sent(_, packet) = &history.entries[0].event else { panic!("{line} is no packet") };
        self.send(packet).await;
        self.hear().await
    }

    /// What comes until the broker falls silent.
    pub async fn hear(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while !self.over {
            let incoming = std::future::poll_fn(|cx| self.connection.poll_incoming(cx));
            let Ok(incoming) = timeout(self.patience, incoming).await else { break };
            for incoming in incoming {
                match incoming {
                    Incoming::Packet(packet, _) => {
                        lines.push(packet.to_string());
                        self.acknowledge(&packet).await;
                    }
                    Incoming::Undecodable { bytes, .. } => lines.push(format!("undecodable {bytes:02x?}")),
                    Incoming::TooLong(bytes) => lines.push(format!("{bytes} bytes")),
                    Incoming::End(_) => {
                        lines.push("end".into());
                        self.over = true;
                    }
                }
            }
        }
        lines
    }

    /// Tells the broker that nothing more will come.
    pub async fn half_close(&mut self) {
        self.connection.half_close().await;
    }

    async fn acknowledge(&mut self, packet: &Packet) {
        let kind = match packet {
            Packet::Publish(publish) if publish.qos == 1 => AckKind::Puback,
            Packet::Publish(publish) if publish.qos == 2 => AckKind::Pubrec,
            Packet::Ack(ack) if ack.kind == AckKind::Pubrec => AckKind::Pubrel,
            Packet::Ack(ack) if ack.kind == AckKind::Pubrel => AckKind::Pubcomp,
            _ => return,
        };
        if let (true, Some(id)) = (self.acknowledges, packet.id()) {
            self.send(&Packet::ack(kind, id)).await;
        }
    }

    async fn send(&mut self, packet: &Packet) {
        self.connection.send(packet).expect("a packet that can be sent");
        self.connection.flush().await;
    }
}
