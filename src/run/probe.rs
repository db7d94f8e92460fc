//! The first exchange with a broker: does it answer CONNECT, and in which protocol versions?

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::Target;
use super::names::Prefix;
use crate::connection::{Connection, End, Incoming};
use crate::history::{Awaited, Event, History, PROBE};
use crate::packet::{Connack, Connect, Filter, Packet, Protocol, Publish, Subscribe};

/// How long the broker may take to tell its version, once it has answered SUBSCRIBE.
const VERSION_WAIT: Duration = Duration::from_millis(20);

/// What the probe found for one protocol version.
pub struct Probe {
    pub protocol: Protocol,
    pub outcome: Result<(), Refusal>,
    /// The content of `$SYS/broker/version`.
    pub version: Option<String>,
    pub history: History,
}

/// How a CONNECT failed.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub kind: RefusalKind,
    /// Half a sentence for the user.
    pub how: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// No Network Connection came about.
    Unreachable,
    /// A CONNACK with this code.
    Code(u8),
    /// The broker closed without a word.
    Closed(End),
    /// No answer until the deadline.
    Silence,
    /// Something came that is no CONNACK.
    NotMqtt,
}

impl Refusal {
    /// Whether a broker refuses a protocol version in this way: the code for it, a bare close, or silence.
    pub fn is_of_version(&self) -> bool {
        match self.kind {
            RefusalKind::Code(code) => matches!(code, 0x01 | 0x84),
            RefusalKind::Closed(_) | RefusalKind::Silence => true,
            RefusalKind::Unreachable | RefusalKind::NotMqtt => false,
        }
    }
}

/// Opens a Network Connection, sends CONNECT and waits for an accepting CONNACK.
///
/// # Errors
/// [`Refusal`] says how it failed.
pub async fn connect(target: &Target, connect: Connect) -> Result<(Connection, Connack), Refusal> {
    // Beyond the broker's listen backlog a SYN is sent again only after a second.
    let _permit = target.connecting.acquire().await;
    let deadline = Instant::now() + target.connect_timeout;
    let refusal = |kind, how: String| Err(Refusal { kind, how });
    let mut connection = match Connection::open(&target.endpoint, connect.protocol, target.connect_timeout).await {
        Ok(connection) => connection,
        Err(error) => return refusal(RefusalKind::Unreachable, unreachable(&error, target.connect_timeout)),
    };
    if let Err(error) = connection.send(&Packet::Connect(connect)) {
        return refusal(RefusalKind::NotMqtt, format!("the CONNECT {error}"));
    }
    connection.flush().await;
    match timeout_at(deadline, poll_fn(|cx| connection.poll_incoming(cx))).await {
        Err(_) => refusal(
            RefusalKind::Silence,
            format!("no answer to CONNECT within {} s", target.connect_timeout.as_secs_f32()),
        ),
        Ok(batch) => match batch.into_iter().next() {
            Some(Incoming::Packet(Packet::Connack(connack))) if connack.code == 0 => Ok((connection, connack)),
            Some(Incoming::Packet(Packet::Connack(Connack { code, .. }))) => {
                refusal(RefusalKind::Code(code), format!("CONNACK {code:#04x} ({})", code_name(code)))
            }
            Some(Incoming::Packet(packet)) => {
                refusal(RefusalKind::NotMqtt, format!("the answer to CONNECT was {}", packet.name()))
            }
            Some(Incoming::Undecodable { bytes, .. }) => refusal(
                RefusalKind::NotMqtt,
                format!("the answer to CONNECT is not MQTT: \"{}\"", bytes.escape_ascii()),
            ),
            Some(Incoming::End(End::Reset)) => {
                refusal(RefusalKind::Closed(End::Reset), "the connection was reset without a CONNACK".into())
            }
            Some(Incoming::End(End::Fin)) | None => {
                refusal(RefusalKind::Closed(End::Fin), "the connection was closed without a CONNACK".into())
            }
        },
    }
}

/// What the operating system says, in words that tell what to do.
pub fn unreachable(error: &io::Error, connect_timeout: Duration) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "nothing listens there (connection refused)".into(),
        io::ErrorKind::TimedOut => format!("no connection within {} s", connect_timeout.as_secs_f32()),
        _ => error.to_string(),
    }
}

/// The meaning of the return and reason codes that a CONNACK refuses with.
fn code_name(code: u8) -> &'static str {
    match code {
        0x01 | 0x84 => "unsupported protocol version",
        0x02 | 0x85 => "client identifier not valid",
        0x03 | 0x88 => "server unavailable",
        0x04 | 0x86 => "bad user name or password",
        0x05 | 0x87 => "not authorized",
        0x89 => "server busy",
        0x8a => "banned",
        0x97 => "quota exceeded",
        0x9f => "connection rate exceeded",
        _ => "refused",
    }
}

/// Asks the broker for one protocol version, and for its name and version where it publishes them.
pub async fn probe(target: &Target, prefix: &Prefix, protocol: Protocol) -> Probe {
    let client_id = format!("{}probe{}", prefix.client_id, if protocol == Protocol::V3 { 3 } else { 5 });
    let packet = target.connect(protocol, client_id, true, 60);
    let connected = connect(target, packet.clone()).await;
    let history = probe_history(packet, &connected);
    let (outcome, version) = match connected {
        Ok((connection, _)) => (Ok(()), version(target, connection).await),
        Err(refusal) => (Err(refusal), None),
    };
    Probe { protocol, outcome, version, history }
}

/// What the probe saw, as the history of every cell that it rules out.
fn probe_history(mut packet: Connect, connected: &Result<(Connection, Connack), Refusal>) -> History {
    packet.client_id = PROBE.into();
    packet.login = None;
    let sent = Event::Sent(PROBE.into(), Packet::Connect(packet));
    let answer = match connected {
        Ok((_, connack)) => Event::Received(PROBE.into(), Packet::Connack(connack.clone())),
        Err(refusal) => match refusal.kind {
            RefusalKind::Code(code) => {
                Event::Received(PROBE.into(), Packet::Connack(Connack { code, ..Connack::default() }))
            }
            RefusalKind::Closed(end) => Event::Ended(PROBE.into(), end),
            RefusalKind::Silence => Event::Missing(PROBE.into(), Awaited { packet: "CONNACK".into(), id: None }),
            RefusalKind::Unreachable | RefusalKind::NotMqtt => Event::Unreachable(PROBE.into()),
        },
    };
    History { events: vec![Event::Step(format!("0 connect {PROBE}")), sent, answer] }
}

/// Reads `$SYS/broker/version`, where the broker has it, and leaves in good order.
async fn version(target: &Target, mut connection: Connection) -> Option<String> {
    let filter = Filter { filter: "$SYS/broker/version".into(), qos: 0 };
    // These packets have no string that could be too long.
    let _ = connection.send(&Packet::Subscribe(Subscribe { id: 1, filters: vec![filter] }));
    connection.flush().await;
    let deadline = Instant::now() + target.deadline;
    let mut version = None;
    let mut until = deadline;
    while version.is_none() {
        let Ok(batch) = timeout_at(until, poll_fn(|cx| connection.poll_incoming(cx))).await else { break };
        for incoming in batch {
            match incoming {
                Incoming::Packet(Packet::Publish(Publish { payload, .. })) => {
                    version = Some(String::from_utf8_lossy(&payload).trim().to_owned());
                }
                Incoming::Packet(Packet::Suback(suback)) => {
                    let granted = suback.codes.first().is_some_and(|code| *code < 0x80);
                    until = if granted { Instant::now() + VERSION_WAIT } else { Instant::now() };
                }
                Incoming::Packet(_) => {}
                Incoming::Undecodable { .. } | Incoming::End(_) => return version,
            }
        }
    }
    connection.leave().await;
    version
}
