//! The verbs of steps: one description each, which the parser, the check of the order and the plan share.

use std::fmt;

/// The word of a step for what its client does, or what happens to the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Connect,
    Subscribe,
    Unsubscribe,
    Publish,
    Receive,
    Disconnect,
    Cut,
    Silence,
    Stall,
    Race,
    Wait,
    Stop,
    Kill,
    Start,
    Restart,
    Partition,
    Heal,
}

/// The effect of a step on the Network Connection of its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It opens one; the client must have none.
    Opens,
    /// It opens one for its client and one for another client; both must have none, and one of them stays.
    OpensTwo,
    /// It needs one, and keeps it.
    Uses,
    /// It ends one on which the client can still do everything.
    Ends,
    /// It ends one, also in the middle of a handshake.
    EndsAbruptly,
    /// It neither needs nor changes one.
    None,
    /// It ends the broker or one node of it, and with that all connections to it.
    EndsBroker,
    /// It starts the broker or the node again.
    StartsBroker,
    /// It cuts a node off from the others, and leaves all connections of clients.
    PartsNodes,
    /// It lets the node reach the others again.
    JoinsNodes,
}

impl Verb {
    /// In the order in which a mistake lists them.
    pub const ALL: [Verb; 17] = [
        Verb::Connect,
        Verb::Subscribe,
        Verb::Unsubscribe,
        Verb::Publish,
        Verb::Receive,
        Verb::Disconnect,
        Verb::Cut,
        Verb::Silence,
        Verb::Stall,
        Verb::Race,
        Verb::Wait,
        Verb::Stop,
        Verb::Kill,
        Verb::Start,
        Verb::Restart,
        Verb::Partition,
        Verb::Heal,
    ];

    /// The word of scenario files and histories.
    pub fn word(self) -> &'static str {
        match self {
            Verb::Connect => "connect",
            Verb::Subscribe => "subscribe",
            Verb::Unsubscribe => "unsubscribe",
            Verb::Publish => "publish",
            Verb::Receive => "receive",
            Verb::Disconnect => "disconnect",
            Verb::Cut => "cut",
            Verb::Silence => "silence",
            Verb::Stall => "stall",
            Verb::Race => "race",
            Verb::Wait => "wait",
            Verb::Stop => "stop",
            Verb::Kill => "kill",
            Verb::Start => "start",
            Verb::Restart => "restart",
            Verb::Partition => "partition",
            Verb::Heal => "heal",
        }
    }

    /// The keys that a step takes besides its verb and `when`.
    pub fn keys(self) -> &'static [&'static str] {
        match self {
            Verb::Connect => &[
                "node",
                "clean_start",
                "session_expiry",
                "receive_maximum",
                "maximum_packet_size",
                "topic_alias_maximum",
                "keep_alive",
                "will",
            ],
            Verb::Subscribe => &[
                "topic",
                "share",
                "qos",
                "no_local",
                "retain_as_published",
                "retain_handling",
                "filters",
                "identifier",
            ],
            Verb::Unsubscribe => &["topic"],
            Verb::Publish => &[
                "topic",
                "qos",
                "retain",
                "messages",
                "empty",
                "bytes",
                "message_expiry",
                "properties",
                "window",
                "until",
            ],
            Verb::Receive => &["answers", "until", "message"],
            Verb::Disconnect => &["with_will", "session_expiry"],
            Verb::Cut => &["how"],
            Verb::Silence | Verb::Stall => &[],
            Verb::Race => &["stays"],
            Verb::Wait => &["timer", "seconds", "early"],
            Verb::Stop | Verb::Kill | Verb::Start | Verb::Partition | Verb::Heal => &["node", "after_ms"],
            Verb::Restart => &["by", "node", "after_ms"],
        }
    }

    pub fn effect(self) -> Effect {
        match self {
            Verb::Connect => Effect::Opens,
            Verb::Race => Effect::OpensTwo,
            Verb::Subscribe | Verb::Unsubscribe | Verb::Publish | Verb::Receive => Effect::Uses,
            Verb::Disconnect | Verb::Silence | Verb::Stall => Effect::Ends,
            Verb::Cut => Effect::EndsAbruptly,
            Verb::Wait => Effect::None,
            Verb::Stop | Verb::Kill | Verb::Restart => Effect::EndsBroker,
            Verb::Start => Effect::StartsBroker,
            Verb::Partition => Effect::PartsNodes,
            Verb::Heal => Effect::JoinsNodes,
        }
    }

    /// True if the broker gets a CONNECT in this step.
    pub fn connects(self) -> bool {
        matches!(self.effect(), Effect::Opens | Effect::OpensTwo)
    }

    /// True if the broker acts, and no client.
    pub fn is_of_broker(self) -> bool {
        matches!(self.effect(), Effect::EndsBroker | Effect::StartsBroker | Effect::PartsNodes | Effect::JoinsNodes)
    }

    /// True if the client goes away in this step.
    pub fn goes_away(self) -> bool {
        matches!(self.effect(), Effect::Ends | Effect::EndsAbruptly)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
