//! Scenarios × axes -> cells: every combination of axis values, with the steps that it takes.

mod filter;
mod proofs;
mod resolve;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::axes::Axes;
use crate::connection::End;
use crate::packet::{self, Protocol};
use crate::scenario::{Answers, Part, Point, Scenario, Timer, Verb};
use crate::session_rules::session_persists;
use crate::vocabulary::{BROKER, Ending, FENCE_TOPICS, FIRST_NODE, PROOF_WILL_TOPIC, Trouble};

pub use filter::{Filter, FilterError};

/// A scenario with one value for each axis: the unit that runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// `scenario[axis=value,...]`: from content, never from position.
    pub id: String,
    pub scenario: String,
    pub axes: Axes,
    /// The first one's fate is what the experiment is about.
    pub clients: Vec<Client>,
    pub steps: Vec<Step>,
    pub declared: Declared,
}

/// What the user, or the file of the broker, declares about the broker.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Declared {
    /// How many messages it keeps for a session.
    pub queue_limit: Option<u32>,
    /// It keeps sessions and retained messages over an end like this.
    pub durable: Option<Ending>,
}

/// A client of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    pub name: String,
    pub protocol: Protocol,
    /// The client, by its place in [`Cell::clients`], whose identifier this one uses; `None` lets the broker assign one.
    pub client_id: Option<usize>,
    /// The identifier is filled up to so many bytes.
    pub id_bytes: u32,
}

/// What a client is to a broker that gives rights: where clients that only publish have a login of their own, it decides which
/// login a client has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Whoever subscribes, and whoever neither subscribes nor publishes.
    Main,
    /// It publishes, or leaves a will, and never subscribes.
    Publisher,
}

/// A step of a cell, complete with what the proofs around it need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The client that acts, by its place in [`Cell::clients`]; the first where the broker acts.
    pub client: usize,
    pub action: Action,
}

/// The action of the client of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Connect(Connect),
    Subscribe {
        /// With the scenario's names.
        filters: Vec<packet::Filter>,
        identifier: Option<u32>,
        /// The sources of later steps that publish to these filters: each is proven to reach the client before it goes away.
        loop_backs: Vec<Source>,
    },
    Unsubscribe {
        filter: String,
    },
    Publish(Publication),
    Receive {
        answers: Answers,
        until: Option<Until>,
        /// The sources so far whose clients are there: each can be fenced.
        fences: Vec<Source>,
        /// The client goes away after this step, so it is the last moment to tell late from never.
        last: bool,
    },
    Disconnect {
        with_will: bool,
        session_expiry: Option<u32>,
    },
    Cut {
        how: End,
    },
    Silence,
    Stall,
    Race {
        /// The client that stays, by its place in [`Cell::clients`].
        stays: usize,
        /// The node to which the other one connects, from 1.
        node: u32,
        /// The CONNECT of both, with the node of the one that stays.
        connect: Connect,
    },
    Wait {
        timer: Timer,
        /// How long the timer is.
        seconds: u32,
        /// The wait ends in the last second, before the timer has run out.
        early: bool,
    },
    Broker(Operation),
}

/// A step of the broker's: something befalls it, passes, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// The node that it is about, from 1; `None` is the whole broker.
    pub node: Option<u32>,
    pub trouble: Trouble,
    pub begins: bool,
    pub passes: bool,
    /// How long before it nothing happens.
    pub after: Duration,
}

/// The node and the wishes of a CONNECT, beside what its client is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connect {
    /// The node of the broker to which the client connects, from 1.
    pub node: u32,
    /// Clean Session in 3.1.1, Clean Start in 5.0.
    pub clean: bool,
    /// In seconds; 5.0 only.
    pub session_expiry: Option<u32>,
    pub receive_maximum: Option<u16>,
    /// In bytes.
    pub maximum_packet_size: Option<u32>,
    pub topic_alias_maximum: Option<u16>,
    /// In seconds.
    pub keep_alive: u16,
    pub will: Option<Will>,
    /// The scenario asks for none, not even one that proves the end of the connection.
    pub without_will: bool,
}

/// A will, with the scenario's name of its topic. Its message is numbered when it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Will {
    pub topic: String,
    pub qos: u8,
    pub retain: bool,
    /// In seconds; 5.0 only.
    pub delay: Option<u32>,
}

/// The messages of a publish step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Publication {
    pub topic: String,
    pub qos: u8,
    pub retain: bool,
    /// How many messages; numbered on through the cell.
    pub messages: u32,
    /// With a payload of zero bytes.
    pub empty: bool,
    /// The payload is filled up to so many bytes.
    pub bytes: Option<u32>,
    /// In seconds.
    pub message_expiry: Option<u32>,
    /// With a value for each property that a broker has to pass on unaltered.
    pub properties: bool,
    /// The Topic Alias of messages at QoS 0, 5.0 only: the first sets it, and the further ones have it in place of a topic. It ends
    /// with its connection, so that no message with one is sent again.
    pub alias: Option<u16>,
    /// How many messages are under way at once, as far as the broker's Receive Maximum permits; `None` is few.
    pub window: Option<u32>,
    /// How far the handshake of the last message goes; after that the client does nothing more on this connection.
    pub until: Option<Point>,
}

/// How far the last handshake of a receive step goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Until {
    pub point: Point,
    /// Which of the messages that come on the connection it is, from 1.
    pub message: u32,
}

/// Where messages come from: all of one source are delivered in the order of publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// By its place in [`Cell::clients`].
    pub publisher: usize,
    pub topic: String,
    pub qos: u8,
}

/// The run's options as far as a plan needs them.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Messages of a publish step that does not say how many.
    pub messages: u32,
    pub declared: Declared,
}

impl Settings {
    /// So many messages, and nothing declared.
    pub const fn of(messages: u32) -> Settings {
        Settings { messages, declared: Declared { queue_limit: None, durable: None } }
    }
}

/// All cells of a scenario, in the order of its axes' values, the last axis fastest.
pub fn cells(scenario: &Scenario, settings: Settings) -> Vec<Cell> {
    let combined = scenario.parts.iter().flat_map(|part| part.combinations().map(move |axes| (part, axes)));
    combined.map(|(part, axes)| cell(&scenario.name, part, axes, settings)).collect()
}

fn cell(scenario: &str, part: &Part, axes: Axes, settings: Settings) -> Cell {
    let clients: Vec<Client> = (0..part.clients.len()).map(|place| client(part, &axes, place)).collect();
    let taken = part.steps.iter().filter(|step| step.when.in_cell(&axes));
    let mut steps: Vec<Step> =
        taken.map(|step| Step { client: step.client, action: resolve::action(part, step, &axes, settings) }).collect();
    proofs::add(&clients, &mut steps);
    Cell { id: id(scenario, &axes), scenario: scenario.to_owned(), clients, steps, axes, declared: settings.declared }
}

fn client(part: &Part, axes: &Axes, place: usize) -> Client {
    let client = &part.clients[place];
    Client {
        name: client.name.clone(),
        protocol: client.protocol.in_cell(axes),
        client_id: part.identifier(place),
        id_bytes: 0,
    }
}

fn id(scenario: &str, axes: &Axes) -> String {
    let values: Vec<String> = axes.0.iter().map(|(axis, value)| format!("{axis}={value}")).collect();
    format!("{scenario}[{}]", values.join(","))
}

impl Cell {
    /// The topics on which this cell publishes with RETAIN 1.
    pub fn retained_topics(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|step| match &step.action {
            Action::Publish(Publication { topic, retain: true, .. })
            | Action::Connect(Connect { will: Some(Will { topic, retain: true, .. }), .. }) => Some(topic.as_str()),
            _ => None,
        })
    }

    /// The topics to which something is published in this cell: messages, wills, and what proves something.
    pub fn published_topics(&self) -> BTreeSet<String> {
        let of_fences = (0..=2).map(|qos| format!("{FENCE_TOPICS}{qos}"));
        let topics = self.steps.iter().flat_map(|step| match &step.action {
            Action::Publish(Publication { topic, .. })
            | Action::Connect(Connect { will: Some(Will { topic, .. }), .. })
            | Action::Race { connect: Connect { will: Some(Will { topic, .. }), .. }, .. } => vec![topic.clone()],
            Action::Subscribe { loop_backs: sources, .. } | Action::Receive { fences: sources, .. } => {
                sources.iter().map(|source| source.topic.clone()).collect()
            }
            _ => Vec::new(),
        });
        topics.chain(of_fences).collect()
    }

    /// The clients whose sessions may outlive their connections.
    pub fn persistent_clients(&self) -> impl Iterator<Item = usize> {
        (0..self.clients.len()).filter(|client| {
            self.steps.iter().any(|step| {
                let acts = step.client == *client;
                let stays = matches!(step.action, Action::Race { stays, .. } if stays == *client);
                (acts || stays)
                    && match &step.action {
                        Action::Connect(connect) | Action::Race { connect, .. } => {
                            session_persists(self.clients[*client].protocol, connect.clean, connect.session_expiry)
                        }
                        Action::Disconnect { session_expiry, .. } => session_expiry.is_some_and(|seconds| seconds > 0),
                        _ => false,
                    }
            })
        })
    }

    /// The role of a client in this cell. All clients with one identifier have the same, since a broker may bind a session to
    /// a user. A will that only proves the end of a connection counts for nothing.
    pub fn role(&self, client: usize) -> Role {
        let id = self.clients[client].client_id;
        let is_same = |other: usize| other == client || id.is_some() && self.clients[other].client_id == id;
        let is_own = |will: &Will| will.topic != PROOF_WILL_TOPIC;
        let (mut publishes, mut subscribes) = (false, false);
        for step in &self.steps {
            let actor = if let Action::Race { stays, .. } = step.action { stays } else { step.client };
            if !is_same(actor) {
                continue;
            }
            match &step.action {
                Action::Publish(_) => publishes = true,
                Action::Subscribe { .. } => subscribes = true,
                Action::Connect(connect) | Action::Race { connect, .. } => {
                    publishes |= connect.will.as_ref().is_some_and(is_own);
                }
                _ => {}
            }
        }
        if publishes && !subscribes { Role::Publisher } else { Role::Main }
    }

    /// A step as it opens in the history, numbered from 1: `3 disconnect subscriber`.
    ///
    /// # Panics
    /// If the cell has no step at this index.
    pub fn step_line(&self, index: usize) -> String {
        let step = &self.steps[index];
        let verb = step.action.verb();
        let actor = match &step.action {
            Action::Broker(Operation { node: Some(node), .. }) => format!("{BROKER} node {node}"),
            Action::Broker(_) => BROKER.to_owned(),
            _ => self.clients[step.client].name.clone(),
        };
        format!("{} {verb} {actor}", index + 1)
    }

    /// How many nodes the broker needs for this cell.
    pub fn nodes(&self) -> u32 {
        let nodes = self.steps.iter().map(|step| match &step.action {
            Action::Connect(connect) => connect.node,
            Action::Race { node, connect, .. } => connect.node.max(*node),
            // Somebody has to be left.
            Action::Broker(Operation { node: Some(node), .. }) => (FIRST_NODE + 1).max(*node),
            _ => FIRST_NODE,
        });
        nodes.max().unwrap_or(FIRST_NODE)
    }

    /// The steps of the broker in this cell.
    pub fn operations(&self) -> impl Iterator<Item = Operation> {
        self.steps.iter().filter_map(|step| match step.action {
            Action::Broker(operation) => Some(operation),
            _ => None,
        })
    }
}

impl Operation {
    /// How the broker or the node is ended, if it is.
    pub fn ends(self) -> Option<Ending> {
        match self.trouble {
            Trouble::End(how) if self.begins => Some(how),
            _ => None,
        }
    }

    /// True if the broker or the node is started.
    pub fn starts(self) -> bool {
        self.passes && self.trouble != Trouble::Partition
    }

    /// A connection to this node ends in it.
    pub fn ends_at(self, node: u32) -> bool {
        self.ends().is_some() && self.node.is_none_or(|own| own == node)
    }

    fn verb(self) -> Verb {
        match (self.trouble, self.begins, self.passes) {
            (Trouble::End(_), true, true) => Verb::Restart,
            (Trouble::End(Ending::Stop), true, false) => Verb::Stop,
            (Trouble::End(Ending::Kill), true, false) => Verb::Kill,
            (Trouble::End(_), false, _) => Verb::Start,
            (Trouble::Partition, true, _) => Verb::Partition,
            (Trouble::Partition, false, _) => Verb::Heal,
        }
    }
}

impl Action {
    pub fn verb(&self) -> Verb {
        match self {
            Action::Connect(_) => Verb::Connect,
            Action::Subscribe { .. } => Verb::Subscribe,
            Action::Unsubscribe { .. } => Verb::Unsubscribe,
            Action::Publish(_) => Verb::Publish,
            Action::Receive { .. } => Verb::Receive,
            Action::Disconnect { .. } => Verb::Disconnect,
            Action::Cut { .. } => Verb::Cut,
            Action::Silence => Verb::Silence,
            Action::Stall => Verb::Stall,
            Action::Race { .. } => Verb::Race,
            Action::Wait { .. } => Verb::Wait,
            Action::Broker(operation) => operation.verb(),
        }
    }

    /// The client stops in the middle of a handshake, and does nothing more on its connection.
    pub fn stops_half_way(&self) -> bool {
        match self {
            Action::Publish(publication) => publication.until.is_some(),
            Action::Receive { until, .. } => until.is_some(),
            _ => false,
        }
    }
}
