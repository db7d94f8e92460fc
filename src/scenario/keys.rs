//! The keys of the tables of a scenario file; those of the steps stand at their verbs, in [`super::Verb::keys`].

/// At the top of a file. Lessons have clients, steps and exceptions of their own.
pub const SCENARIO: [&str; 7] = ["name", "question", "axes", "except", "clients", "steps", "lessons"];

pub const CLIENT: [&str; 4] = ["protocol", "clean_session", "client_id", "will"];

/// The node and the wishes of a CONNECT, at a client and in a step.
pub const CONNECT: [&str; 7] = [
    "node",
    "clean_start",
    "session_expiry",
    "receive_maximum",
    "maximum_packet_size",
    "topic_alias_maximum",
    "keep_alive",
];

pub const WILL: [&str; 4] = ["topic", "qos", "retain", "delay"];

/// A Topic Filter, in a subscribe step or in its list.
pub const FILTER: [&str; 6] = ["topic", "share", "qos", "no_local", "retain_as_published", "retain_handling"];

pub const LESSON: [&str; 12] = [
    "name",
    "title",
    "question",
    "tutorial",
    "expected",
    "actual",
    "statements",
    "conclusion",
    "advice",
    "except",
    "clients",
    "steps",
];

/// In every step, beside its verb and the keys of that.
pub const WHEN: &str = "when";
