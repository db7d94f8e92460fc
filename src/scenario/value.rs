//! The values of a scenario: what may stand in a place of the file, written out or given by an axis.

use crate::axes::{Axes, AxisValue};
use crate::connection::End;
use crate::packet::Protocol;
use crate::vocabulary::{Ending, Timer};

/// A value as it stands in the file: itself, or the axis that gives it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<T> {
    Is(T),
    Axis(String),
}

impl<T: FromAxis> Value<T> {
    /// The value in the cell that has these axis values.
    ///
    /// # Panics
    /// If the axis is missing there or holds another type; parsing refuses such a scenario.
    pub fn in_cell(&self, axes: &Axes) -> T {
        match self {
            Value::Is(value) => *value,
            Value::Axis(name) => {
                axes.get(name).and_then(T::from_axis).expect("a parsed scenario's axes fit where they are used")
            }
        }
    }
}

/// A type that may stand where an axis may stand.
pub trait FromAxis: Copy {
    /// The values of this type, for the reader of a mistake.
    const ACCEPTED: &'static str;

    /// `None` if the value is not of this type.
    fn from_axis(value: &AxisValue) -> Option<Self>;
}

impl FromAxis for Protocol {
    const ACCEPTED: &'static str = "\"3.1.1\" or \"5.0\"";

    fn from_axis(value: &AxisValue) -> Option<Protocol> {
        match value {
            AxisValue::Text(name) => name.parse().ok(),
            _ => None,
        }
    }
}

impl FromAxis for bool {
    const ACCEPTED: &'static str = "true or false";

    fn from_axis(value: &AxisValue) -> Option<bool> {
        match value {
            AxisValue::Bool(value) => Some(*value),
            _ => None,
        }
    }
}

/// A QoS.
impl FromAxis for u8 {
    const ACCEPTED: &'static str = "0, 1 or 2";

    fn from_axis(value: &AxisValue) -> Option<u8> {
        match value {
            AxisValue::Number(qos) => u8::try_from(*qos).ok().filter(|qos| *qos <= 2),
            _ => None,
        }
    }
}

/// Seconds, bytes, or a maximum.
impl FromAxis for u32 {
    const ACCEPTED: &'static str = "a whole number from 0";

    fn from_axis(value: &AxisValue) -> Option<u32> {
        match value {
            AxisValue::Number(number) => Some(*number),
            _ => None,
        }
    }
}

/// A type whose values are words of the scenario file.
pub(super) trait Words: Copy + PartialEq + Sized + 'static {
    const ACCEPTED: &'static str;
    const ALL: &'static [(&'static str, Self)];
}

/// The word of scenario files for a value.
pub(super) fn word<T: Words>(value: T) -> &'static str {
    T::ALL.iter().find(|(_, own)| *own == value).map_or("", |(word, _)| word)
}

impl<T: Words> FromAxis for T {
    const ACCEPTED: &'static str = T::ACCEPTED;

    fn from_axis(value: &AxisValue) -> Option<T> {
        match value {
            AxisValue::Text(text) => T::ALL.iter().find(|(word, _)| word == text).map(|(_, value)| *value),
            _ => None,
        }
    }
}

/// How a client answers the messages that it receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Answers {
    /// As the standard orders.
    #[default]
    All,
    /// PUBACK and PUBREC are withheld until the connection ends.
    None,
    /// PUBREC is sent, PUBCOMP is withheld until the connection ends.
    Pubrec,
    /// PUBACK and PUBREC carry the reason code 0x83; 5.0 only.
    Refuse,
    /// As the standard orders, but each message only when the broker has read the answer to the one before.
    OneByOne,
}

impl Words for Answers {
    const ACCEPTED: &'static str = "\"all\", \"none\", \"pubrec\", \"refuse\" or \"one_by_one\"";
    const ALL: &'static [(&'static str, Answers)] = &[
        ("all", Answers::All),
        ("none", Answers::None),
        ("pubrec", Answers::Pubrec),
        ("refuse", Answers::Refuse),
        ("one_by_one", Answers::OneByOne),
    ];
}

/// A point in the handshake of a message at which the client stops. Those of the receiving client are in parentheses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// Half of the PUBLISH is sent (half of the PUBACK or PUBREC).
    Half,
    /// PUBLISH is sent (has come).
    Publish,
    /// The broker has sent PUBACK, and it is lost on its way (PUBACK is sent).
    Puback,
    /// PUBREC has come (is sent).
    Pubrec,
    /// PUBREL is sent (has come).
    Pubrel,
    /// The broker has sent PUBCOMP, and it is lost on its way (PUBCOMP is sent).
    Pubcomp,
}

impl Words for Point {
    const ACCEPTED: &'static str = "\"half\", \"publish\", \"puback\", \"pubrec\", \"pubrel\" or \"pubcomp\"";
    const ALL: &'static [(&'static str, Point)] = &[
        ("half", Point::Half),
        ("publish", Point::Publish),
        ("puback", Point::Puback),
        ("pubrec", Point::Pubrec),
        ("pubrel", Point::Pubrel),
        ("pubcomp", Point::Pubcomp),
    ];
}

impl Words for Timer {
    const ACCEPTED: &'static str = "\"session_expiry\", \"message_expiry\", \"will_delay\" or \"keep_alive\"";
    const ALL: &'static [(&'static str, Timer)] = &Timer::WORDS;
}

impl Words for Ending {
    const ACCEPTED: &'static str = "\"stop\" or \"kill\"";
    const ALL: &'static [(&'static str, Ending)] = &[("stop", Ending::Stop), ("kill", Ending::Kill)];
}

impl Words for End {
    const ACCEPTED: &'static str = "\"fin\" or \"reset\"";
    const ALL: &'static [(&'static str, End)] = &[("fin", End::Fin), ("reset", End::Reset)];
}
