//! The first exchange with a broker: does it answer CONNECT, and in which protocol versions?

use std::future::poll_fn;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::Target;
use super::names::{Prefix, helper_id};
use super::rights::LoopBack;
use crate::connection::decode::{Undecodable, decode};
use crate::connection::{Connection, End, Incoming, secret, tls};
use crate::history::{Awaited, Entry, Event, History, PROBE};
use crate::packet::{Connack, Connect, Filter, Packet, Protocol, Publish, Subscribe};
use crate::session_rules::{has_no_room, is_failure};
use crate::visible::visible;

/// Where brokers tell their name and version.
const VERSION_TOPIC: &str = "$SYS/broker/version";
/// How long the broker may take to tell its version, once it has answered SUBSCRIBE; a message of the probe's own has a round
/// trip at least.
const VERSION_WAIT: Duration = Duration::from_millis(20);

/// How long whoever may have found no room waits each time before it asks again.
pub const ROOM_PAUSES: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(25), Duration::from_millis(50), Duration::from_millis(100)];

/// How many bytes of something that is no packet a message shows.
const BYTES_SHOWN: usize = 16;

/// What the probe found for one protocol version.
pub struct Probe {
    pub protocol: Protocol,
    pub outcome: Result<(), Refusal>,
    /// The content of `$SYS/broker/version`.
    pub version: Option<String>,
    /// From SUBSCRIBE to SUBACK.
    pub round_trip: Option<Duration>,
    /// A message of the probe's own came back at once, so that the user may publish and subscribe.
    pub came_back: bool,
    pub history: History,
    /// The broker let the probe in, and can be judged by what it did then.
    pub is_remarkable: bool,
}

/// How a CONNECT failed.
#[derive(Debug, Clone)]
pub struct Refusal {
    pub kind: RefusalKind,
    /// Half a sentence for the user.
    pub how: String,
    /// The CONNACK that refused, if one did.
    pub connack: Option<Box<Connack>>,
    /// The connection was still open at the deadline after it.
    pub stayed_open: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefusalKind {
    /// No Network Connection came about; here is what to do.
    Unreachable(String),
    /// A CONNACK with this code.
    Code(u8),
    /// The broker closed without a word.
    Closed(End),
    /// No answer until the deadline.
    Silence,
    /// Bytes came that are no packet, or only the head of one. Here is how they begin.
    NotMqtt(Vec<u8>),
    /// A CONNACK that breaks the standard: its bytes, and what completes "a packet that ...".
    Malformed(Vec<u8>, String),
    /// Another packet than CONNACK came.
    Other(Box<Packet>),
    /// The CONNECT cannot be sent, since MQTT cannot carry what is in it.
    Unencodable,
}

impl Refusal {
    fn new<T>(kind: RefusalKind, how: impl Into<String>) -> Result<T, Refusal> {
        Err(Refusal { kind, how: how.into(), connack: None, stayed_open: false })
    }

    /// The CONNECT was sent, and nothing says whether the broker has taken it.
    pub fn may_have_been_taken(&self) -> bool {
        matches!(self.kind, RefusalKind::Closed(_) | RefusalKind::Silence)
    }

    /// A broker that has no room for a connection may refuse one like this, whoever asks.
    pub fn may_be_for_now(&self) -> bool {
        match self.kind {
            RefusalKind::Unreachable(_) | RefusalKind::Closed(_) => true,
            RefusalKind::Code(code) => has_no_room(code),
            _ => false,
        }
    }

    /// Nothing came at all.
    pub fn is_silence(&self) -> bool {
        self.kind == RefusalKind::Silence
    }

    /// Whether the broker may still answer the other version: this was no CONNACK at all, or one about the version.
    pub fn is_of_version(&self) -> bool {
        match self.kind {
            RefusalKind::Code(code) => matches!(code, 0x01 | 0x84),
            RefusalKind::Unreachable(_) | RefusalKind::Unencodable => false,
            _ => true,
        }
    }
}

/// Opens a Network Connection, sends CONNECT and waits for an accepting CONNACK.
///
/// # Errors
/// [`Refusal`] says how it failed.
pub async fn connect(target: &Target, connect: Connect) -> Result<(Connection, Connack), Refusal> {
    let _turn = target.turns.next().await;
    let deadline = Instant::now() + target.connect_timeout;
    let mut connection = match Connection::open(&target.endpoint, connect.protocol, target.connect_timeout).await {
        Ok(connection) => connection,
        Err(error) => return Refusal::new(RefusalKind::Unreachable(error.cure.clone()), error.to_string()),
    };
    let protocol = connect.protocol;
    if let Err(error) = connection.send(&Packet::Connect(connect)) {
        return Refusal::new(RefusalKind::Unencodable, format!("the CONNECT {error}"));
    }
    connection.flush().await;
    let incoming = match timeout_at(deadline, poll_fn(|cx| connection.poll_incoming(cx))).await {
        Ok(batch) => {
            let mut batch = batch.into_iter();
            let first = batch.next().unwrap_or(Incoming::End(End::Fin));
            connection.give_back(batch.collect());
            first
        }
        Err(_) => return unanswered(&connection.unfinished(), target.connect_timeout),
    };
    match incoming {
        Incoming::Packet(Packet::Connack(connack), _) if connack.code == 0 => Ok((connection, connack)),
        Incoming::Packet(Packet::Connack(connack), _) => {
            let code = connack.code;
            let ended = timeout_at(Instant::now() + target.deadline, poll_fn(|cx| connection.poll_end(cx))).await;
            Err(Refusal {
                kind: RefusalKind::Code(code),
                how: format!("CONNACK {code:#04x} ({})", code_name(code)),
                connack: Some(Box::new(connack)),
                stayed_open: ended.is_err(),
            })
        }
        Incoming::Packet(packet, _) => {
            let how = format!("the answer to CONNECT was {}", packet.name());
            Refusal::new(RefusalKind::Other(Box::new(packet)), how)
        }
        Incoming::Undecodable { bytes, why } if is_connack(protocol, &bytes) => {
            let how = format!("the answer to CONNECT {why}");
            Refusal::new(RefusalKind::Malformed(bytes, why), how)
        }
        Incoming::Undecodable { bytes, why } => not_mqtt(&bytes, &why),
        Incoming::TooLong(bytes) => not_mqtt(&[], &format!("announces {bytes} bytes")),
        Incoming::End(end @ End::Alert(number)) => Refusal::new(RefusalKind::Closed(end), tls::ended_by_alert(number)),
        Incoming::End(end) => {
            let how = format!("the connection was {} without a CONNACK", end.verb());
            Refusal::new(RefusalKind::Closed(end), how)
        }
    }
}

/// These bytes are a CONNACK with one error that the standard names, so it is a broker that sent them.
fn is_connack(protocol: Protocol, bytes: &[u8]) -> bool {
    let is_named = |error: Undecodable| !matches!(error, Undecodable::Other(_));
    bytes.first() == Some(&0x20) && decode(protocol, bytes).is_err_and(is_named)
}

/// No whole packet came until the deadline.
fn unanswered<T>(begun: &[u8], connect_timeout: Duration) -> Result<T, Refusal> {
    let seconds = connect_timeout.as_secs_f32();
    match begun {
        [] => Refusal::new(RefusalKind::Silence, format!("no answer to CONNECT within {seconds} s")),
        begun => not_mqtt(begun, &format!("is still incomplete after {seconds} s")),
    }
}

/// The answer is no packet; `why` completes "a packet that ...". Other protocols betray themselves.
fn not_mqtt<T>(bytes: &[u8], why: &str) -> Result<T, Refusal> {
    let how = if bytes.starts_with(b"HTTP/") {
        "an HTTP server answers there".into()
    } else if bytes.starts_with(b"\x15\x03") {
        "a TLS server answers there".into()
    } else {
        let shown = &bytes[..bytes.len().min(BYTES_SHOWN)];
        let more = if shown.len() < bytes.len() { "..." } else { "" };
        format!("the answer to CONNECT is no MQTT packet, since it {why}: {}{more}", hex(shown))
    };
    Refusal::new(RefusalKind::NotMqtt(bytes[..bytes.len().min(64)].to_vec()), how)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
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
    let name = if protocol == Protocol::V3 { "probe3" } else { "probe5" };
    let client_id = helper_id(prefix, name);
    let packet = target.connect(protocol, client_id, true, 60);
    let connected = connect(target, packet.clone()).await;
    let mut history = probe_history(packet, &connected);
    let loop_back = LoopBack::new(prefix, protocol);
    let (outcome, Answer { version, round_trip, came_back, second_connack }) = match connected {
        Ok((connection, _)) => (Ok(()), version(target, connection, &loop_back).await),
        Err(refusal) => (Err(refusal), Answer::default()),
    };
    let is_remarkable = second_connack.is_some();
    let second = second_connack.map(|connack| Event::Received(PROBE.into(), Packet::Connack(connack)));
    history.entries.extend(second.map(Entry::from));
    Probe { protocol, outcome, version, round_trip, came_back, history, is_remarkable }
}

/// What the probe saw, as the history of every cell that it rules out.
fn probe_history(mut packet: Connect, connected: &Result<(Connection, Connack), Refusal>) -> History {
    packet.client_id = PROBE.into();
    packet.login = None;
    let sent = Event::Sent(PROBE.into(), Packet::Connect(packet));
    let mut events = vec![Event::Step(format!("0 connect {PROBE}")), sent];
    events.push(match connected {
        Ok((_, connack)) => Event::Received(PROBE.into(), Packet::Connack(connack.clone())),
        Err(refusal) => match refusal.kind.clone() {
            RefusalKind::Code(code) => {
                let connack = refusal.connack.as_deref().cloned();
                let connack = connack.unwrap_or(Connack { code, ..Connack::default() });
                Event::Received(PROBE.into(), Packet::Connack(connack))
            }
            RefusalKind::Other(packet) => Event::Received(PROBE.into(), *packet),
            RefusalKind::NotMqtt(bytes) => Event::Undecodable(PROBE.into(), bytes, String::new()),
            RefusalKind::Malformed(bytes, why) => Event::Undecodable(PROBE.into(), bytes, why),
            RefusalKind::Closed(end) => Event::Ended(PROBE.into(), end),
            RefusalKind::Silence => Event::Missing(PROBE.into(), Awaited::Connack),
            RefusalKind::Unreachable(_) | RefusalKind::Unencodable => Event::Unreachable(PROBE.into()),
        },
    });
    if connected.as_ref().is_err_and(|refusal| refusal.stayed_open) {
        events.push(Event::Missing(PROBE.into(), Awaited::ConnectionEnd));
    }
    History::of(events)
}

/// What came on the probe's connection behind the CONNACK.
#[derive(Default)]
struct Answer {
    version: Option<String>,
    round_trip: Option<Duration>,
    came_back: bool,
    second_connack: Option<Connack>,
}

/// Reads `$SYS/broker/version`, where the broker has it, sends a message that comes back at once where the user may publish and
/// subscribe, and leaves in good order.
async fn version(target: &Target, mut connection: Connection, loop_back: &LoopBack) -> Answer {
    let filter = Filter::new(VERSION_TOPIC, 0);
    connection.read_past_undecodable();
    let subscribe = Packet::Subscribe(Subscribe { id: 1, filters: vec![filter], ..Subscribe::default() });
    if connection.send(&subscribe).is_err() {
        // A broker that takes no packet of this size tells no version.
        connection.leave().await;
        return Answer::default();
    }
    // Whoever publishes with another login is asked on connections of its own.
    let asks = !target.has_two_logins()
        && connection.send(&loop_back.subscribe(2)).is_ok()
        && connection.send(&loop_back.publish(0, 0)).is_ok();
    connection.flush().await;
    let mut answer = Answer::default();
    let asked = Instant::now();
    let mut until = Instant::now() + target.deadline;
    let mut is_told = true;
    while (is_told && answer.version.is_none() || asks && !answer.came_back) && Instant::now() < until {
        let Ok(batch) = timeout_at(until, poll_fn(|cx| connection.poll_incoming(cx))).await else { break };
        for incoming in batch {
            match incoming {
                Incoming::Packet(packet, _) if loop_back.is(&packet) => answer.came_back = true,
                Incoming::Packet(Packet::Publish(Publish { topic, payload, .. }), _) if topic == VERSION_TOPIC => {
                    answer.version = Some(shown(target, payload));
                }
                Incoming::Packet(Packet::Suback(suback), _) if answer.round_trip.is_none() => {
                    let round_trip = asked.elapsed();
                    answer.round_trip = Some(round_trip);
                    is_told = suback.codes.first().is_some_and(|code| !is_failure(*code));
                    let wait = if asks { VERSION_WAIT.max(round_trip) } else { VERSION_WAIT };
                    until = Instant::now() + wait;
                }
                Incoming::Packet(Packet::Connack(connack), _) => answer.second_connack = Some(connack),
                Incoming::Packet(..) | Incoming::Undecodable { .. } => {}
                Incoming::TooLong(_) | Incoming::End(_) => return answer,
            }
        }
    }
    connection.leave().await;
    answer
}

/// What the broker says of itself, fit to be shown.
fn shown(target: &Target, mut said: Vec<u8>) -> String {
    secret::hide_all(target.endpoint.secrets.iter(), &mut said);
    visible(String::from_utf8_lossy(&said).trim()).into_owned()
}
