//! The quantities, once each: their names in files and on the screen, their groups and their units.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    QueueQos1,
    QueueQos2,
    QueueQos0,
    QueueGivenBack,
    QueueBytes,
    QueueFull,
    QueueTold,
    QueueInFlight,
    QueueShared,
    SessionLong,
    SessionShort,
    SessionAtDisconnect,
    SessionZero,
    SessionAbsent,
    SessionForever,
    Session311,
    SessionEnd,
    SessionRestart,
    MessageExpiryQueued,
    MessageExpiryTold,
    MessageExpiryLongest,
    MessageExpiryRetained,
    Window,
    WindowAsked,
    DrainRate,
    DrainPause,
    DrainTimer,
    RetainedMessages,
    RetainedBytes,
    RetainedQos0,
    RetainedRestart,
    PacketBytes,
    PacketBytes311,
    TopicBytes,
    TopicLevels,
    ClientIdBytes,
    MaximumQos,
    FiltersAtOnce,
    Subscriptions,
    ReceiveMaximum,
    TopicAliasMaximum,
    KeepAlive,
    Wildcards,
    Shares,
    TakeoverTime,
    KeepAliveNoticed,
    WillDelay,
}

/// What stands together in the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    Queue,
    Session,
    MessageExpiry,
    Window,
    Retained,
    Limits,
    Moments,
}

/// What a value counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Messages,
    Bytes,
    Seconds,
    Milliseconds,
    PerSecond,
    /// 1 is yes, 0 is no.
    YesNo,
    /// A plain number.
    None,
}

impl Quantity {
    /// In the order of the report.
    pub const ALL: [Quantity; 47] = [
        Quantity::QueueQos1,
        Quantity::QueueQos2,
        Quantity::QueueQos0,
        Quantity::QueueGivenBack,
        Quantity::QueueBytes,
        Quantity::QueueFull,
        Quantity::QueueTold,
        Quantity::QueueInFlight,
        Quantity::QueueShared,
        Quantity::SessionLong,
        Quantity::SessionShort,
        Quantity::SessionAtDisconnect,
        Quantity::SessionZero,
        Quantity::SessionAbsent,
        Quantity::SessionForever,
        Quantity::Session311,
        Quantity::SessionEnd,
        Quantity::SessionRestart,
        Quantity::MessageExpiryQueued,
        Quantity::MessageExpiryTold,
        Quantity::MessageExpiryLongest,
        Quantity::MessageExpiryRetained,
        Quantity::Window,
        Quantity::WindowAsked,
        Quantity::DrainRate,
        Quantity::DrainPause,
        Quantity::DrainTimer,
        Quantity::RetainedMessages,
        Quantity::RetainedBytes,
        Quantity::RetainedQos0,
        Quantity::RetainedRestart,
        Quantity::PacketBytes,
        Quantity::PacketBytes311,
        Quantity::TopicBytes,
        Quantity::TopicLevels,
        Quantity::ClientIdBytes,
        Quantity::MaximumQos,
        Quantity::FiltersAtOnce,
        Quantity::Subscriptions,
        Quantity::ReceiveMaximum,
        Quantity::TopicAliasMaximum,
        Quantity::KeepAlive,
        Quantity::Wildcards,
        Quantity::Shares,
        Quantity::TakeoverTime,
        Quantity::KeepAliveNoticed,
        Quantity::WillDelay,
    ];

    pub fn group(self) -> Group {
        self.described().0
    }

    pub fn unit(self) -> Unit {
        self.described().1
    }

    /// As the report calls it, below the title of its group.
    pub fn title(self) -> &'static str {
        self.described().2
    }

    fn described(self) -> (Group, Unit, &'static str) {
        use Group::{Limits, MessageExpiry, Moments, Queue, Retained, Session, Window};
        use Unit::{Bytes, Messages, Milliseconds, PerSecond, Seconds, YesNo};
        match self {
            Quantity::QueueQos1 => (Queue, Messages, "messages at QoS 1"),
            Quantity::QueueQos2 => (Queue, Messages, "messages at QoS 2"),
            Quantity::QueueQos0 => (Queue, Messages, "messages at QoS 0"),
            Quantity::QueueGivenBack => (Queue, Messages, "given back at the first return"),
            Quantity::QueueBytes => (Queue, Bytes, "bytes of payload"),
            Quantity::QueueFull => (Queue, Unit::None, "when it is full, it"),
            Quantity::QueueTold => (Queue, Unit::None, "who is told"),
            Quantity::QueueInFlight => (Queue, Unit::None, "what is in flight"),
            Quantity::QueueShared => (Queue, Unit::None, "whose limit it is"),
            Quantity::SessionLong => (Session, Seconds, "asked for 3,600 s"),
            Quantity::SessionShort => (Session, Seconds, "asked for 4 s"),
            Quantity::SessionAtDisconnect => (Session, Seconds, "asked for 4 s at DISCONNECT"),
            Quantity::SessionZero => (Session, Seconds, "asked for 0 s"),
            Quantity::SessionAbsent => (Session, Seconds, "asked for nothing in 5.0"),
            Quantity::SessionForever => (Session, Seconds, "asked for 0xFFFFFFFF"),
            Quantity::Session311 => (Session, Seconds, "3.1.1 with Clean Session 0"),
            Quantity::SessionEnd => (Session, Unit::None, "one that is over goes"),
            Quantity::SessionRestart => (Session, Unit::None, "behind a restart it is"),
            Quantity::MessageExpiryQueued => (MessageExpiry, Seconds, "asked for 4 s, in the queue"),
            Quantity::MessageExpiryTold => (MessageExpiry, Seconds, "left of 4 s, told after 2.5 s"),
            Quantity::MessageExpiryLongest => (MessageExpiry, Seconds, "left of 1,000,000 s"),
            Quantity::MessageExpiryRetained => (MessageExpiry, Seconds, "asked for 4 s, retained"),
            Quantity::Window => (Window, Messages, "unacknowledged at once"),
            Quantity::WindowAsked => (Window, Messages, "with Receive Maximum 5"),
            Quantity::DrainRate => (Window, PerSecond, "messages a second"),
            Quantity::DrainPause => (Window, Milliseconds, "longest pause between two"),
            Quantity::DrainTimer => (Window, YesNo, "by a timer"),
            Quantity::RetainedMessages => (Retained, Messages, "messages, a topic each"),
            Quantity::RetainedBytes => (Retained, Bytes, "payload of one"),
            Quantity::RetainedQos0 => (Retained, Unit::None, "one at QoS 0 is"),
            Quantity::RetainedRestart => (Retained, Unit::None, "behind a restart one is"),
            Quantity::PacketBytes => (Limits, Bytes, "packet in 5.0"),
            Quantity::PacketBytes311 => (Limits, Bytes, "packet in 3.1.1"),
            Quantity::TopicBytes => (Limits, Bytes, "topic"),
            Quantity::TopicLevels => (Limits, Unit::None, "levels of a topic"),
            Quantity::ClientIdBytes => (Limits, Bytes, "client identifier"),
            Quantity::MaximumQos => (Limits, Unit::None, "Maximum QoS"),
            Quantity::FiltersAtOnce => (Limits, Unit::None, "filters in one SUBSCRIBE"),
            Quantity::Subscriptions => (Limits, Unit::None, "subscriptions of a session"),
            Quantity::ReceiveMaximum => (Limits, Messages, "Receive Maximum"),
            Quantity::TopicAliasMaximum => (Limits, Unit::None, "Topic Alias Maximum"),
            Quantity::KeepAlive => (Limits, Seconds, "Keep Alive"),
            Quantity::Wildcards => (Limits, YesNo, "wildcards"),
            Quantity::Shares => (Limits, YesNo, "shared subscriptions"),
            Quantity::TakeoverTime => (Moments, Milliseconds, "end of a client taken over"),
            Quantity::KeepAliveNoticed => (Moments, Milliseconds, "end of one silent, Keep Alive 2"),
            Quantity::WillDelay => (Moments, Milliseconds, "will with Will Delay Interval 2"),
        }
    }
}

impl Group {
    pub fn title(self) -> &'static str {
        match self {
            Group::Queue => "The queue of a session that is away",
            Group::Session => "How long a session lives without a connection",
            Group::MessageExpiry => "How long a message lives",
            Group::Window => "A backlog on its way",
            Group::Retained => "Retained messages",
            Group::Limits => "Limits",
            Group::Moments => "When things happen",
        }
    }
}

impl Unit {
    /// A value as people read it.
    pub fn shown(self, value: u64) -> String {
        let suffix = match self {
            Unit::Messages | Unit::None => "",
            Unit::Bytes => " B",
            Unit::Seconds if value == FOR_EVER => return "for ever".into(),
            Unit::Seconds => " s",
            Unit::Milliseconds => " ms",
            Unit::PerSecond => "/s",
            Unit::YesNo => return if value == 0 { "no".into() } else { "yes".into() },
        };
        grouped(value) + suffix
    }
}

/// The Session Expiry Interval of a session that does not expire (5.0, section 3.1.2.11.2), in seconds.
const FOR_EVER: u64 = u32::MAX as u64;

/// `2,000`.
pub fn grouped(number: impl Into<u64>) -> String {
    let digits = number.into().to_string();
    let mut shown = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}
