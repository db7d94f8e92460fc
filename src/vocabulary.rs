//! Words that scenario files, plans, runs and histories share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The name under which the witness stands in a history.
pub const WITNESS: &str = "witness";

/// The name of the client that asks, before the first cell, for the protocol versions of the broker. It stands alone in
/// the history of a cell whose version was refused.
pub const PROBE: &str = "probe";

/// The name under which the broker stands in the steps that end or start it.
pub const BROKER: &str = "broker";

/// The node to which clients connect that are not told another one. Nodes are counted from 1.
pub const FIRST_NODE: u32 = 1;

/// The most nodes of a broker.
pub const NODES_MAX: u32 = 9;

/// The topic of the will that proves that the broker has noticed the end of a connection, where the scenario's client
/// has no will of its own. Its publication at the witness is the proof.
pub const PROOF_WILL_TOPIC: &str = "gone";

/// How the topics of the harness's own fences begin.
pub const FENCE_TOPICS: &str = "fence";

/// A timer of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timer {
    SessionExpiry,
    MessageExpiry,
    WillDelay,
    KeepAlive,
}

impl Timer {
    /// Each timer with its word in scenario files and histories.
    pub const WORDS: [(&str, Timer); 4] = [
        ("session_expiry", Timer::SessionExpiry),
        ("message_expiry", Timer::MessageExpiry),
        ("will_delay", Timer::WillDelay),
        ("keep_alive", Timer::KeepAlive),
    ];

    /// The word of scenario files and histories.
    pub fn name(self) -> &'static str {
        Timer::WORDS.iter().find(|(_, timer)| *timer == self).map_or("", |(word, _)| word)
    }

    /// The timer with this name.
    pub fn of_name(name: &str) -> Option<Timer> {
        Timer::WORDS.iter().find(|(word, _)| *word == name).map(|(_, timer)| *timer)
    }
}

/// What befalls a broker, or one node of it, until it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It is ended, and with it all connections to it, until it is started.
    End(Ending),
    /// The node runs on with its clients, and no other node hears of it, until that is healed.
    Partition,
}

/// How a broker is ended. What outlives the harder way outlives the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It is asked to stop (SIGTERM), and has the time that it takes.
    Stop,
    /// It is killed (SIGKILL), as where the machine loses its power.
    Kill,
}
