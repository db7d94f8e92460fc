//! The scenario file: an experiment as data, steps and axes, without a verdict.
//!
//! A scenario names its clients, the axes that vary, and the steps in order. A value may be `"$axis"`, which stands for
//! the value of that axis in each cell. In place of clients and steps it may have lessons, each with clients and steps
//! of its own. Every mistake is reported with its line and with what would be accepted.

mod built_in;
mod document;
mod excerpt;
pub mod keys;
mod legal;
mod order;
mod parse;
mod schema;
mod value;
mod verb;
mod written;

use std::path::Path;

use crate::axes::{Axes, AxisValue};
use crate::broker::without_login;
use crate::connection::End;
use crate::input::read_text;
use crate::packet::Protocol;
use crate::results::About;
use crate::slip::did_you_mean;
use crate::statement::Statement;

pub use parse::{MESSAGES_MAX, ScenarioError};
pub use value::{Answers, FromAxis, Point, Value};
pub use verb::{Effect, Verb};

pub use crate::vocabulary::{Ending, FIRST_NODE, Timer};

/// A scenario file: one experiment, or several that are lessons.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// The first part of each cell's id.
    pub name: String,
    /// The question of the experiment, in one sentence; with lessons, their subject.
    pub question: String,
    /// In the order of the file, which is the order in a cell's id; with lessons, [`LESSON`] is the first.
    pub axes: Vec<Axis>,
    /// One without a lesson, or one for each lesson.
    pub parts: Vec<Part>,
}

/// An experiment: steps over named clients, and the axes along which they vary.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    pub lesson: Option<Lesson>,
    /// Those of the scenario; [`LESSON`] has the one value that is this part's.
    pub axes: Vec<Axis>,
    /// Combinations of axis values that make no cell.
    pub except: Vec<Exception>,
    /// In the order of the file. The first one's fate is what the experiment is about.
    pub clients: Vec<ClientPlan>,
    pub steps: Vec<StepPlan>,
}

/// The axis that tells the lessons of a scenario apart.
pub const LESSON: &str = "lesson";

/// The lesson of an experiment. Nothing in it decides about a verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lesson {
    /// The value of [`LESSON`] in its cells.
    pub name: String,
    /// What the lesson is called, in words.
    pub title: Option<String>,
    pub question: String,
    /// What the tutorial says from which the reader comes, or what a reader of it asks, in a sentence.
    pub tutorial: Option<String>,
    /// The expectation of that tutorial, in a word for the table.
    pub expected: Option<String>,
    /// The result in that tutorial, in a word.
    pub actual: Option<String>,
    /// The statements that decide, for the reader to look at.
    pub statements: Vec<&'static Statement>,
    /// What follows from the statements for these steps, whatever the broker does.
    pub conclusion: Option<String>,
    /// What a reader can do who wants it otherwise.
    pub advice: Option<String>,
}

/// A property that varies from cell to cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    pub name: String,
    pub values: Vec<AxisValue>,
}

/// Values of some axes that make no cell together: one of those that are listed for each of these axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Exception(pub Vec<Axis>);

impl Exception {
    fn holds(&self, axes: &Axes) -> bool {
        self.0.iter().all(|axis| axes.get(&axis.name).is_some_and(|value| axis.values.contains(value)))
    }
}

/// Every combination of the axes' values, in order, the last axis fastest. Without axes there is one, and it is empty.
fn combinations(axes: &[Axis]) -> impl Iterator<Item = Axes> {
    let count: usize = axes.iter().map(|axis| axis.values.len()).product();
    (0..count).map(|number| {
        let mut rest = number;
        let mut chosen: Vec<_> = axes
            .iter()
            .rev()
            .map(|axis| {
                let value = axis.values[rest % axis.values.len()].clone();
                rest /= axis.values.len();
                (axis.name.clone(), value)
            })
            .collect();
        chosen.reverse();
        Axes(chosen)
    })
}

/// A client as the file declares it.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientPlan {
    pub name: String,
    pub client_id: ClientId,
    pub protocol: Value<Protocol>,
    /// Clean Session of 3.1.1. In 5.0 true is Clean Start 1 with Session Expiry Interval 0, false is Clean Start 0 with
    /// [`LONG_EXPIRY_S`](crate::session_rules::LONG_EXPIRY_S), each unless `connect` says otherwise.
    pub clean_session: Value<bool>,
    pub connect: ConnectPlan,
    pub will: Option<WillPlan>,
}

/// Under which client identifier a client connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientId {
    Own,
    /// That of another client, by its place: whoever connects later takes the session over.
    Of(usize),
    /// None: the broker assigns one.
    Assigned,
}

/// The node and the wishes of a CONNECT; in a step they override those of the client. An absent wish is not asked for. All but Keep
/// Alive belong to 5.0, and are left out in cells of 3.1.1.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConnectPlan {
    /// The node of the broker to which the client connects, from 1; the first where it is absent.
    pub node: Option<Value<u32>>,
    pub clean_start: Option<Value<bool>>,
    /// In seconds.
    pub session_expiry: Option<Value<u32>>,
    pub receive_maximum: Option<Value<u32>>,
    /// In bytes.
    pub maximum_packet_size: Option<Value<u32>>,
    pub topic_alias_maximum: Option<Value<u32>>,
    /// In seconds.
    pub keep_alive: Option<Value<u32>>,
}

/// A will as the file declares it.
#[derive(Debug, Clone, PartialEq)]
pub struct WillPlan {
    pub topic: String,
    pub qos: Value<u8>,
    pub retain: Value<bool>,
    /// Will Delay Interval in seconds; left out in cells of 3.1.1.
    pub delay: Option<Value<u32>>,
}

/// A step as the file declares it.
#[derive(Debug, Clone, PartialEq)]
pub struct StepPlan {
    pub when: When,
    /// The client that acts, by its place in [`Part::clients`]; the first where the broker acts.
    pub client: usize,
    pub action: ActionPlan,
}

/// In which cells a step is taken.
#[derive(Debug, Clone, PartialEq)]
pub enum When {
    Is(Value<bool>),
    /// In those where the axis has one of these values.
    OneOf {
        axis: String,
        values: Vec<AxisValue>,
    },
}

impl When {
    /// True if the step belongs to the cell that has these axis values.
    pub fn in_cell(&self, axes: &Axes) -> bool {
        match self {
            When::Is(value) => value.in_cell(axes),
            When::OneOf { axis, values } => axes.get(axis).is_some_and(|value| values.contains(value)),
        }
    }

    /// The axis that decides.
    pub fn axis(&self) -> Option<&str> {
        match self {
            When::Is(Value::Is(_)) => None,
            When::Is(Value::Axis(axis)) | When::OneOf { axis, .. } => Some(axis),
        }
    }
}

/// The action of the client of a step.
#[derive(Debug, Clone, PartialEq)]
pub enum ActionPlan {
    /// Opens a Network Connection and sends CONNECT, with the client's will unless this says no.
    Connect {
        connect: ConnectPlan,
        will: Value<bool>,
    },
    /// One SUBSCRIBE.
    Subscribe {
        filters: Vec<FilterPlan>,
        identifier: Option<Value<u32>>,
    },
    Unsubscribe {
        topic: String,
    },
    Publish(PublishPlan),
    /// Waits until everything that was queued has come, or until a message has come as far as `until` says.
    Receive {
        answers: Value<Answers>,
        until: Option<UntilPlan>,
    },
    /// Sends DISCONNECT and waits until the broker has ended the connection.
    Disconnect {
        /// With reason code 0x04, which asks for the will; 5.0 only.
        with_will: Value<bool>,
        /// A new Session Expiry Interval in seconds; 5.0 only.
        session_expiry: Option<Value<u32>>,
    },
    /// Ends the Network Connection without DISCONNECT.
    Cut {
        how: Value<End>,
    },
    /// Sends nothing any more, until the broker ends the connection for it.
    Silence,
    /// Neither reads nor writes any more, as behind a network that has gone, until the client connects anew.
    Stall,
    /// Connects at the same moment as another client with the same identifier, which is the one that stays.
    Race {
        /// The one that stays, by its place in [`Scenario::clients`].
        stays: usize,
    },
    /// Lets a timer of the protocol run out.
    Wait {
        timer: Value<Timer>,
        seconds: Value<u32>,
        /// The wait ends in the last second, before the timer has run out.
        early: Value<bool>,
    },
    /// Ends the broker, starts it, or both.
    Broker {
        verb: Verb,
        /// How it is ended, where the verb leaves that open.
        by: Value<Ending>,
        /// The node, from 1; the whole broker where it is absent.
        node: Option<Value<u32>>,
        /// How long before it happens nothing happens, in milliseconds.
        after_ms: Value<u32>,
    },
}

/// How far the last handshake of a receive step goes before the connection ends.
#[derive(Debug, Clone, PartialEq)]
pub struct UntilPlan {
    pub point: Value<Point>,
    /// Which of the messages that come on the connection it is, from 1. Those before it are answered as they should be.
    pub message: Value<u32>,
}

/// A Topic Filter of a SUBSCRIBE as the file declares it. The options belong to 5.0, and are left out in cells of 3.1.1.
#[derive(Debug, Clone, PartialEq)]
pub struct FilterPlan {
    pub topic: String,
    /// The Share Name of a shared subscription.
    pub share: Option<String>,
    pub qos: Value<u8>,
    pub no_local: Value<bool>,
    pub retain_as_published: Value<bool>,
    pub retain_handling: Value<u8>,
}

/// Messages as the file declares them. The properties belong to 5.0, and are left out in cells of 3.1.1.
#[derive(Debug, Clone, PartialEq)]
pub struct PublishPlan {
    pub topic: String,
    pub qos: Value<u8>,
    pub retain: Value<bool>,
    /// `None` leaves it to the run's options.
    pub messages: Option<Value<u32>>,
    /// With a payload of zero bytes.
    pub empty: Value<bool>,
    /// The payload is filled up to so many bytes.
    pub bytes: Option<Value<u32>>,
    /// In seconds.
    pub message_expiry: Option<Value<u32>>,
    /// With a value for each property that a broker has to pass on unaltered.
    pub properties: Value<bool>,
    /// How many messages are under way at once, as far as the broker's Receive Maximum permits; `None` is few.
    pub window: Option<Value<u32>>,
    /// How far the handshake of the last message goes; after that the client does nothing more on this connection.
    pub until: Option<Value<Point>>,
}

impl ActionPlan {
    pub fn verb(&self) -> Verb {
        match self {
            ActionPlan::Connect { .. } => Verb::Connect,
            ActionPlan::Subscribe { .. } => Verb::Subscribe,
            ActionPlan::Unsubscribe { .. } => Verb::Unsubscribe,
            ActionPlan::Publish(_) => Verb::Publish,
            ActionPlan::Receive { .. } => Verb::Receive,
            ActionPlan::Disconnect { .. } => Verb::Disconnect,
            ActionPlan::Cut { .. } => Verb::Cut,
            ActionPlan::Silence => Verb::Silence,
            ActionPlan::Stall => Verb::Stall,
            ActionPlan::Race { .. } => Verb::Race,
            ActionPlan::Wait { .. } => Verb::Wait,
            ActionPlan::Broker { verb, .. } => *verb,
        }
    }

    /// True if the client stops in the middle of a handshake and can only be cut after this step.
    pub fn stops(&self) -> bool {
        match self {
            ActionPlan::Publish(publish) => publish.until.is_some(),
            ActionPlan::Receive { until, .. } => until.is_some(),
            _ => false,
        }
    }
}

impl Part {
    /// The axis values of each cell, in order, the last axis fastest.
    pub fn combinations(&self) -> impl Iterator<Item = Axes> {
        combinations(&self.axes).filter(|axes| self.has(axes))
    }

    /// The client whose identifier this one uses; `None` where the broker assigns one.
    pub fn identifier(&self, client: usize) -> Option<usize> {
        match self.clients[client].client_id {
            ClientId::Own => Some(client),
            ClientId::Of(other) => self.identifier(other),
            ClientId::Assigned => None,
        }
    }

    /// The node to which a client connects, from 1, where the step asks for this.
    pub fn node(&self, client: usize, step: &ConnectPlan, axes: &Axes) -> u32 {
        let node = step.node.as_ref().or(self.clients[client].connect.node.as_ref());
        node.map_or(FIRST_NODE, |node| node.in_cell(axes))
    }

    /// True if this combination of axis values makes a cell.
    fn has(&self, axes: &Axes) -> bool {
        !self.except.iter().any(|exception| exception.holds(axes))
    }
}

impl Scenario {
    /// A built-in scenario by its name, or one from a file by its path.
    ///
    /// # Errors
    /// [`ScenarioError`] with file, line and cure.
    pub fn load(name_or_path: &str) -> Result<Scenario, ScenarioError> {
        if let Some(text) = built_in::text(name_or_path) {
            return Scenario::parse(&format!("scenarios/{name_or_path}.toml"), text);
        }
        if name_or_path.contains("://") {
            let (file, line, excerpt) = (without_login(name_or_path), None, None);
            let why = "this is the URL of a broker; a broker is given with --broker URL".into();
            return Err(ScenarioError { file, line, excerpt, why });
        }
        let text = read_text(Path::new(name_or_path)).map_err(|error| ScenarioError {
            file: name_or_path.into(),
            line: None,
            excerpt: None,
            why: format!(
                "it cannot be read ({error}){}; name a file, or a built-in scenario: {}",
                did_you_mean(name_or_path, Scenario::built_in_names()),
                Scenario::built_in_names().collect::<Vec<_>>().join(", ")
            ),
        })?;
        Scenario::parse(name_or_path, &text)
    }

    /// Reads the text of a scenario file; `file` is only for the error.
    ///
    /// # Errors
    /// [`ScenarioError`] with the line of the mistake and what is accepted there.
    pub fn parse(file: &str, text: &str) -> Result<Scenario, ScenarioError> {
        parse::parse(file, text)
    }

    /// The part to which the cell with these axis values belongs.
    pub fn part(&self, axes: &Axes) -> Option<&Part> {
        let lesson = axes.get(LESSON).map(AxisValue::to_string);
        let mut parts = self.parts.iter();
        parts.find(|part| part.lesson.as_ref().is_none_or(|own| lesson.as_ref() == Some(&own.name)))
    }

    /// What it is about, for those who have its results alone.
    pub fn about(&self) -> About {
        let has_wills = self.parts.iter().flat_map(|part| &part.clients).any(|client| client.will.is_some());
        About { question: self.question.clone(), has_wills }
    }

    /// The lesson of the cell with these axis values.
    pub fn lesson(&self, axes: &Axes) -> Option<&Lesson> {
        self.part(axes)?.lesson.as_ref()
    }

    /// The question of the cell with these axis values.
    pub fn question_of(&self, axes: &Axes) -> &str {
        self.lesson(axes).map_or(&self.question, |lesson| &lesson.question)
    }
}
