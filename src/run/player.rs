//! Plays one attempt at one cell.
//!
//! This file has its state, and what is sent and waited for; [`super::pump`] moves the packets. What a step does stands in
//! [`super::steps`], and how the player proves that nothing more will come in [`super::receive`].

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::allowance::Allowance;
use super::client::{Client, Unsent};
use super::endings::detaching;
use super::hygiene::Leftovers;
use super::mailbox::Mailbox;
use super::names::Names;
use super::probe::{self, Refusal, RefusalKind};
use super::pulse::Pulse;
use super::record::Record;
use super::{Shared, Target};
use crate::connection::Unsendable;
use crate::history::{Awaited, Event, History, Message, PROBE};
use crate::packet::{self, AckKind, Packet, Properties, Protocol, Publish};
use crate::plan::{Action, Cell};

/// The topic of a SUBSCRIBE that only asks for its answer.
const SIGN_TOPIC: &str = "fence";
/// The shortest wait for a message that is expected to come.
pub const VANISHED_MIN: Duration = Duration::from_millis(100);

/// The player of one attempt.
pub struct Player<'a> {
    pub cell: &'a Cell,
    pub shared: &'a Shared,
    /// The protocol version of its publisher, and so of its witness.
    pub publishes_in: Protocol,
    pub target: &'a Target,
    pub names: Names,
    pub clients: Vec<Client>,
    /// What each client may still take.
    pub allowances: Vec<Allowance>,
    pub record: Record,
    /// Where the witness's copies arrive, if there is a witness.
    pub witness: Option<Mailbox>,
    /// How many connections earlier witnesses had, before the broker was started again.
    pub witness_connections: u32,
    /// What the witness has.
    pub witnessed: HashSet<Message>,
    /// How long a cell that is about to say "absent" stays open.
    pub settle: Duration,
    /// How much longer it still waits, to tell late from never: in any attempt for what a later message has overtaken, in the
    /// last one for whatever is missing.
    pub patience: Duration,
    pub attempt: u32,
    pub is_last_attempt: bool,
    pub pulse: &'a Pulse,
    /// What all cells have left so far.
    pub leftovers: &'a Mutex<Leftovers>,
    /// The node of the step before.
    pub node: u32,
    /// How many of the pulse's hold-ups are recorded.
    pub hold_ups: usize,
    /// How many loop-backs, fences and messages of the experiment were numbered so far.
    pub loop_backs: u32,
    pub fences: u32,
    pub messages: u32,
    pub wills: u32,
    pub clearings: u32,
}

/// The cell cannot go on; why stands in the history.
#[derive(Debug)]
pub struct Stop;

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    Done,
    Deadline,
    /// A connection that the wait depends on was ended by the broker, or brought bytes that are no packet.
    Ended(usize),
}

impl Player<'_> {
    /// Plays all steps, or as many as are possible, and gives what happened.
    pub async fn play(&mut self) -> History {
        for number in 0..self.cell.steps.len() {
            self.record.step(self.cell.step_line(number));
            self.let_nodes_agree(number).await;
            let played = self.step(number).await;
            self.take_witness_copies();
            if played.is_err() {
                self.record.noted(Event::Stopped);
                break;
            }
        }
        self.close().await;
        self.record.history()
    }

    /// What one node of the broker has done another may hear of late: an attempt behind the first gives them one pause wherever the next
    /// step is at another node than the one before.
    async fn let_nodes_agree(&mut self, number: usize) {
        let step = &self.cell.steps[number];
        let next = match &step.action {
            Action::Connect(connect) | Action::Race { connect, .. } => connect.node,
            Action::Broker(_) => return,
            _ => self.clients[step.client].node,
        };
        if std::mem::replace(&mut self.node, next) != next && self.attempt > 1 {
            self.pump(Instant::now() + detaching(self.settle), |_| false).await;
        }
    }

    /// What happened so far, as the judge would see it.
    pub fn history(&self) -> History {
        self.record.history()
    }

    /// How long a message that may legally vanish is waited for before another one is sent, and a fence before another kind
    /// is tried. It ends with the arrival, so a settle window of 0 need not cut it short.
    pub fn vanished_after(&self) -> Duration {
        self.settle.max(VANISHED_MIN)
    }

    /// Until when something that the broker has to do is waited for.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.target.deadline.max(self.patience_for_all())
    }

    /// How much longer whatever is missing is waited for.
    pub fn patience_for_all(&self) -> Duration {
        if self.is_last_attempt { self.patience } else { Duration::ZERO }
    }

    /// Sends a packet with the next flush, and notes the answer that is due.
    pub fn send(&mut self, client: usize, packet: Packet) -> Result<(), Stop> {
        self.queue(client, &packet, false)?;
        self.clients[client].expect_answer(&packet);
        self.clients[client].keep_sent(&packet);
        Ok(())
    }

    /// Takes a packet, or the first half of one, for the next flush. Only then is it recorded.
    pub fn queue(&mut self, client: usize, packet: &Packet, half: bool) -> Result<(), Stop> {
        let state = &mut self.clients[client];
        if state.closed_by_rule {
            return Err(Stop);
        }
        let Some(connection) = &mut state.connection else {
            // Where the broker has ended it, the history says so already.
            if state.ended.is_none() {
                self.record.noted(Event::Broken(format!("{} is not connected", state.name)));
            }
            return Err(Stop);
        };
        let encoded = if half { connection.send_half(packet) } else { connection.send(packet) };
        match encoded {
            Ok(raw) => {
                state.unsent.push_back(Unsent { packet: packet.clone(), half, raw });
                state.last_sent = Instant::now();
                state.pings_due += u32::from(*packet == Packet::Pingreq);
                self.note_leftover(client, packet);
                Ok(())
            }
            Err(Unsendable::TooLarge { maximum }) => {
                let why = format!("{} of more than {maximum} bytes: Maximum Packet Size {maximum}", packet.name());
                self.record.observed(client, |name| Event::Withheld(name, why));
                Err(Stop)
            }
            Err(error) => {
                self.record.noted(Event::Broken(format!("the {} {error}", packet.name())));
                Err(Stop)
            }
        }
    }

    /// Sends a message of ours.
    pub fn publish(&mut self, client: usize, message: Outgoing<'_>) -> Result<(), Stop> {
        let packet = self.packet_of(client, message)?;
        self.send(client, packet)
    }

    /// The PUBLISH for a message of ours, if the broker takes such a one.
    pub fn packet_of(&mut self, client: usize, message: Outgoing<'_>) -> Result<Packet, Stop> {
        if let Some(why) = self.clients[client].forbidden(message.qos, message.retain) {
            self.record.observed(client, |name| Event::Withheld(name, why));
            return Err(Stop);
        }
        let id = if message.qos > 0 { self.clients[client].next_id() } else { 0 };
        Ok(Packet::Publish(Publish {
            dup: false,
            qos: message.qos,
            retain: message.retain,
            topic: self.names.topic(message.topic),
            id,
            payload: self.names.payload(message.message, message.bytes),
            properties: message.properties,
        }))
    }

    /// Waits for the answers that one client is owed. What is missing at the deadline is recorded, and the broker is
    /// asked for a sign of life: only beside one is a missing answer a finding. Without a PUBREL the client goes on: what
    /// becomes of the message is worth to be seen.
    pub async fn answers(&mut self, client: usize) -> Result<(), Stop> {
        let deadline = self.deadline();
        match self.pump(deadline, |clients| clients[client].unanswered.is_empty()).await {
            Waited::Done => Ok(()),
            Waited::Ended(_) => Err(Stop),
            Waited::Deadline => {
                let only_pubrel = self.clients[client]
                    .unanswered
                    .iter()
                    .all(|awaited| matches!(awaited, Awaited::Ack(AckKind::Pubrel, _)));
                let stop = self.missing(client).await;
                let goes_on = only_pubrel && self.clients[client].connection.is_some();
                if goes_on { Ok(()) } else { Err(stop) }
            }
        }
    }

    /// Records the answers that did not come, and asks for a sign of life.
    pub async fn missing(&mut self, client: usize) -> Stop {
        for awaited in std::mem::take(&mut self.clients[client].unanswered) {
            self.record.observed(client, |name| Event::Missing(name, awaited));
        }
        let is_ping = self.record.is_missing(client, Awaited::Pingresp);
        if self.clients[client].connack.is_none() {
            self.look_for_the_broker(client).await;
        } else if self.ask_for_a_sign(client, is_ping).is_ok() {
            let deadline = Instant::now() + self.target.deadline;
            self.pump(deadline, |clients| clients[client].unanswered.is_empty()).await;
        }
        Stop
    }

    /// A CONNECT was left without an answer. A broker that is alive, and has room for one more connection, answers one of nobody
    /// in particular.
    pub async fn look_for_the_broker(&mut self, client: usize) {
        let connect = self.target.connect(self.clients[client].plan.protocol, String::new(), true, 0);
        let shown = packet::Connect { login: None, ..connect.clone() };
        self.record.noted(Event::Sent(PROBE.into(), Packet::Connect(shown)));
        let target = self.target.at(self.clients[client].node);
        match self.meanwhile(probe::connect(&target, connect)).await {
            Ok((connection, connack)) => {
                self.record.noted(Event::Received(PROBE.into(), Packet::Connack(connack)));
                connection.leave().await;
            }
            Err(Refusal { connack: Some(connack), .. }) => {
                self.record.noted(Event::Received(PROBE.into(), Packet::Connack(*connack)));
            }
            Err(Refusal { kind: RefusalKind::Closed(end), .. }) => self.record.noted(Event::Ended(PROBE.into(), end)),
            Err(Refusal { kind: RefusalKind::Unreachable(_), .. }) => {
                self.record.noted(Event::Unreachable(PROBE.into()));
            }
            Err(_) => {}
        }
    }

    /// Asks for what a broker that is alive answers: PINGREQ, or SUBSCRIBE where it leaves that without an answer.
    fn ask_for_a_sign(&mut self, client: usize, without_ping: bool) -> Result<(), Stop> {
        if !without_ping {
            return self.send(client, Packet::Pingreq);
        }
        let filters = vec![packet::Filter::new(self.names.topic(SIGN_TOPIC), 0)];
        let id = self.clients[client].next_id();
        self.send(client, Packet::Subscribe(packet::Subscribe { id, filters, subscription_id: None }))
    }

    /// Leaves in good order wherever a connection is still open, so that as few sessions as possible are left to the clean-up.
    async fn close(&mut self) {
        for client in &mut self.clients {
            if let Some(connection) = client.connection.take() {
                connection.leave_for_good().await;
            }
        }
    }
}

/// A message to publish.
#[derive(Debug, Clone)]
pub struct Outgoing<'a> {
    pub topic: &'a str,
    pub qos: u8,
    pub retain: bool,
    pub message: Message,
    /// The payload is filled up to so many bytes.
    pub bytes: usize,
    pub properties: Properties,
}

impl<'a> Outgoing<'a> {
    /// A plain message.
    pub fn new(topic: &'a str, qos: u8, message: Message) -> Outgoing<'a> {
        Outgoing { topic, qos, retain: false, message, bytes: 0, properties: Properties::default() }
    }
}
