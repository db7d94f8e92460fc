//! May this user publish and subscribe below the prefix? A broker that forbids it often says nothing: it acknowledges, and passes
//! nothing on. So it is asked before the cells run, which would find a broker that loses everything.

use std::time::Duration;

use tokio::time::Instant;

use super::Target;
use super::names::{Prefix, random_word, topic};
use super::probe::{Refusal, RefusalKind};
use super::talk::{Talk, Unanswered};
use super::witness::KEEP_ALIVE_S;
use crate::packet::{Ack, AckKind, Filter, Packet, Protocol, Publish, Subscribe};
use crate::plan::Role;
use crate::session_rules::is_failure;

/// How long a message at QoS 0 may take to come back before another one is tried, beyond the round trips.
const COPY_WAIT: Duration = Duration::from_millis(100);
/// The round trips to the broker that are given to such a message.
const ROUND_TRIPS: u32 = 4;
/// The reason code of SUBACK, PUBACK and CONNACK in 5.0 (section 2.4).
const NOT_AUTHORIZED: u8 = 0x87;
/// The reason codes of a DISCONNECT with which a broker may forbid a topic: unspecified, implementation specific, not authorised, a
/// filter or a topic that it does not take, administrative action.
const FORBIDS: [u8; 6] = [0x80, 0x83, NOT_AUTHORIZED, 0x8f, 0x90, 0x98];
/// The only code of 3.1.1 with which a SUBACK refuses; in 5.0 "unspecified error".
const FAILURE: u8 = 0x80;

/// A message that comes back to whoever sends it: may it?
#[derive(Debug, Clone)]
pub struct LoopBack {
    pub topic: String,
    payload: Vec<u8>,
}

impl LoopBack {
    /// On a topic that no experiment uses.
    pub fn new(prefix: &Prefix, protocol: Protocol) -> LoopBack {
        let name = if protocol == Protocol::V3 { "rights3" } else { "rights5" };
        LoopBack { topic: topic(prefix, name, "loop"), payload: random_word().into_bytes() }
    }

    pub fn subscribe(&self, id: u16) -> Packet {
        Packet::Subscribe(Subscribe { id, filters: vec![Filter::new(&self.topic, 0)], ..Subscribe::default() })
    }

    pub fn publish(&self, qos: u8, id: u16) -> Packet {
        let (topic, payload) = (self.topic.clone(), self.payload.clone());
        Packet::Publish(Publish { qos, id, topic, payload, ..Publish::default() })
    }

    pub fn is(&self, packet: &Packet) -> bool {
        matches!(packet, Packet::Publish(publish) if publish.topic == self.topic && publish.payload == self.payload)
    }
}

/// The rights of this user below the prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rights {
    /// A message came back.
    Granted,
    Forbidden(Forbidden),
    /// Something else is wrong, which the cells show better.
    Unclear,
}

/// What the user may not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forbidden {
    /// How the broker said so, as half a sentence.
    Subscribe(String),
    Publish(String),
    /// Log in as the publisher.
    Login(String),
}

/// Asks with connections of its own, and with patience: whoever is denied a right is told so by one sentence, in the place of a
/// run. A message at QoS 1 is tried only where none came at QoS 0, which every broker takes.
pub async fn look(target: &Target, prefix: &Prefix, protocol: Protocol) -> Rights {
    let loop_back = LoopBack::new(prefix, protocol);
    let mut asking = match Asking::open(target, prefix, protocol).await {
        Ok(asking) => asking,
        Err(rights) => return rights,
    };
    let rights = match asking.rights(target, &loop_back).await {
        Ok(rights) | Err(rights) => rights,
    };
    asking.subscriber.leave().await;
    asking.publisher.leave().await;
    rights
}

/// Two clients, since two logins may have different rights, and to see which of them the broker cuts off.
struct Asking {
    subscriber: Talk,
    publisher: Talk,
}

impl Asking {
    async fn open(target: &Target, prefix: &Prefix, protocol: Protocol) -> Result<Asking, Rights> {
        let id = |role: &str| format!("{}rights{role}{}", prefix.client_id, &protocol.name()[..1]);
        let connect = |role, id| target.connect_as(role, protocol, id, true, KEEP_ALIVE_S);
        // That the main login is accepted is known.
        let subscriber = Talk::open(target, connect(Role::Main, id("s"))).await.map_err(|_| Rights::Unclear)?;
        match Talk::open(target, connect(Role::Publisher, id("p"))).await {
            Ok(publisher) => Ok(Asking { subscriber, publisher }),
            Err(Refusal { kind: RefusalKind::Code(0x04 | 0x05 | 0x86 | 0x87), how, .. }) if target.has_two_logins() => {
                subscriber.leave().await;
                Err(Rights::Forbidden(Forbidden::Login(how)))
            }
            Err(_) => Err(Rights::Unclear),
        }
    }

    /// `Err` is what stands in the way.
    async fn rights(&mut self, target: &Target, loop_back: &LoopBack) -> Result<Rights, Rights> {
        self.subscribe(target, loop_back).await?;
        if self.comes_back_at_qos_0(target, loop_back).await? {
            return Ok(Rights::Granted);
        }
        let takes_qos_1 = self.publisher.connack.maximum_qos != Some(0);
        if takes_qos_1 {
            self.publish_at_qos_1(target, loop_back).await?;
        }
        if self.came_back(loop_back, Instant::now() + target.deadline).await? {
            return Ok(Rights::Granted);
        }
        let taken = if takes_qos_1 { "the broker acknowledged a message" } else { "the broker took a message" };
        forbidden_to_publish(format!("{taken}, and its subscriber got nothing"))
    }

    /// Whether a message at QoS 0 comes back; it may vanish, so that this proves nothing else.
    async fn comes_back_at_qos_0(&mut self, target: &Target, loop_back: &LoopBack) -> Result<bool, Rights> {
        let asked = Instant::now();
        let is_taken = self.publisher.say([loop_back.publish(0, 0), Packet::Pingreq]).await == 2;
        let is_pingresp = |packet: &Packet| (*packet == Packet::Pingresp).then_some(());
        let answered = self.publisher.hear(Instant::now() + target.deadline, is_pingresp).await;
        let wait = COPY_WAIT + ROUND_TRIPS * asked.elapsed();
        if self.came_back(loop_back, Instant::now() + wait.min(target.deadline)).await? {
            return Ok(true);
        }
        match answered {
            Ok(()) if is_taken => Ok(false),
            Err(Unanswered::Ended { how, reason }) if forbids(reason) => forbidden_to_publish(how),
            Ok(()) | Err(_) => Err(Rights::Unclear),
        }
    }

    async fn publish_at_qos_1(&mut self, target: &Target, loop_back: &LoopBack) -> Result<(), Rights> {
        self.publisher.say([loop_back.publish(1, 1)]).await;
        let puback = |packet: &Packet| match packet {
            Packet::Ack(Ack { kind: AckKind::Puback, id: 1, reason }) => Some(*reason),
            _ => None,
        };
        match self.publisher.hear(Instant::now() + target.deadline, puback).await {
            Ok(reason @ NOT_AUTHORIZED) => forbidden_to_publish(format!("PUBACK {reason:#04x}")),
            Ok(reason) if !is_failure(reason) => Ok(()),
            Err(Unanswered::Ended { how, reason }) if forbids(reason) => forbidden_to_publish(how),
            Ok(_) | Err(_) => Err(Rights::Unclear),
        }
    }

    async fn subscribe(&mut self, target: &Target, loop_back: &LoopBack) -> Result<(), Rights> {
        if self.subscriber.say([loop_back.subscribe(1)]).await == 0 {
            return Err(Rights::Unclear);
        }
        let granted = |packet: &Packet| match packet {
            Packet::Suback(suback) => suback.codes.first().copied(),
            _ => None,
        };
        let forbidden = |how| Err(Rights::Forbidden(Forbidden::Subscribe(how)));
        match self.subscriber.hear(Instant::now() + target.deadline, granted).await {
            Ok(code @ (FAILURE | NOT_AUTHORIZED)) => forbidden(format!("SUBACK {code:#04x}")),
            Ok(code) if !is_failure(code) => Ok(()),
            Err(Unanswered::Ended { how, reason }) if forbids(reason) => forbidden(how),
            Ok(_) | Err(_) => Err(Rights::Unclear),
        }
    }

    /// Whether the message comes until then. A broker that sends something else, or cuts the subscriber off, has other faults.
    async fn came_back(&mut self, loop_back: &LoopBack, until: Instant) -> Result<bool, Rights> {
        match self.subscriber.hear(until, |packet| Some(loop_back.is(packet))).await {
            Ok(true) => Ok(true),
            Err(Unanswered::Silence) => Ok(false),
            Ok(false) | Err(_) => Err(Rights::Unclear),
        }
    }
}

/// True if a broker that ends the connection so may mean the topic: it gives no reason, or one of these.
fn forbids(reason: Option<u8>) -> bool {
    reason.is_none_or(|reason| FORBIDS.contains(&reason))
}

/// How the broker said so, as half a sentence.
fn forbidden_to_publish<T>(how: String) -> Result<T, Rights> {
    Err(Rights::Forbidden(Forbidden::Publish(how)))
}
