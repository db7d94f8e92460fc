//! The one-line text form of an event, written and read: `12.3 subscriber#2 <- PUBLISH topic=t ...`.
//!
//! The line begins with the time in milliseconds and the client with the number of its connection; both numbers may be
//! left out. `->` was sent by the client, `<-` was received by it, `--` is what the harness observed of it. Values are
//! `key=value`; bytes that would break the line are written `%XX`, and so is, in the words at the end of a line, what a
//! terminal would act on.

mod parse;
#[cfg(test)]
mod tests;

use std::fmt;

pub use parse::parse;

use super::{Entry, Event, Excess, Turn};
use crate::packet::{
    Ack, Connack, Connect, Filter, Packet, Protocol, Publish, Suback, Subscribe, Unsuback, Unsubscribe,
};
use crate::visible::is_hidden;
use crate::vocabulary::Ending;

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(time) = self.time {
            write!(f, "{time} ")?;
        }
        if let Some(client) = self.event.client() {
            write!(f, "{client}")?;
            if let Some(connection) = self.connection {
                write!(f, "#{connection}")?;
            }
            f.write_str(" ")?;
        }
        write!(f, "{}", self.event)
    }
}

impl fmt::Display for Event {
    /// The line without its time, its client and the number of the connection.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Attempt(number) => write!(f, "attempt {number}"),
            Event::Step(step) => write!(f, "step {}", Free(step)),
            Event::Sent(_, packet) => write!(f, "-> {packet}"),
            Event::Half(_, packet) => write!(f, "-> half of {packet}"),
            Event::Received(_, packet) => write!(f, "<- {packet}"),
            Event::Ended(_, end) => write!(f, "<- end {end}"),
            Event::Closed(_, end) => write!(f, "-> end {end}"),
            Event::Undecodable(_, bytes, why) => {
                f.write_str("<- undecodable ")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                if why.is_empty() { Ok(()) } else { write!(f, " {}", Free(why)) }
            }
            Event::Missing(_, awaited) => {
                write!(f, "-- no {}", awaited.name())?;
                optional(f, "id", awaited.id())
            }
            Event::AtNode(_, node) => write!(f, "-- at node {node}"),
            Event::Unreachable(_) => f.write_str("-- no connection"),
            Event::Settled(_) => f.write_str("-- settled"),
            Event::Timed { timer, seconds, passed, .. } => {
                let passed = if *passed { "passed" } else { "not passed" };
                write!(f, "-- {} {seconds} s: {passed}", timer.name())
            }
            Event::Withheld(_, what) => write!(f, "-- withheld {}", Free(what)),
            Event::WithoutEnd(_, what) => write!(f, "-- without end: {what}"),
            Event::Broker(turn, node) => {
                f.write_str("broker ")?;
                node.map_or(Ok(()), |node| write!(f, "node {node} "))?;
                f.write_str(match turn {
                    Turn::Ended(Ending::Stop) => "stopped",
                    Turn::Ended(Ending::Kill) => "killed",
                    Turn::Started => "started",
                    Turn::CutOff => "cut off from the others",
                    Turn::Joined => "joined with the others",
                })
            }
            Event::Late(milliseconds) => write!(f, "late {milliseconds} ms"),
            Event::Stopped => f.write_str("stopped"),
            Event::Broken(why) => write!(f, "broken off: {}", Free(why)),
        }
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Packet::Connect(connect) => write_connect(f, connect),
            Packet::Connack(connack) => write_connack(f, connack),
            Packet::Publish(publish) => write_publish(f, publish),
            Packet::Ack(Ack { id, reason: 0, .. }) => write!(f, " id={id}"),
            Packet::Ack(Ack { id, reason, .. }) => write!(f, " id={id} reason={reason:#04x}"),
            Packet::Subscribe(Subscribe { id, subscription_id, filters }) => {
                write!(f, " id={id}")?;
                optional(f, "subscription_id", *subscription_id)?;
                filters.iter().try_for_each(|filter| write_filter(f, filter))
            }
            Packet::Suback(Suback { id, codes }) | Packet::Unsuback(Unsuback { id, codes }) => {
                write!(f, " id={id}")?;
                codes.iter().try_for_each(|code| write!(f, " code={code:#04x}"))
            }
            Packet::Unsubscribe(Unsubscribe { id, filters }) => {
                write!(f, " id={id}")?;
                filters.iter().try_for_each(|filter| write!(f, " filter={}", Escaped(filter.as_bytes())))
            }
            Packet::Pingreq | Packet::Pingresp => Ok(()),
            Packet::Disconnect { reason, session_expiry } => {
                if *reason != 0 {
                    write!(f, " reason={reason:#04x}")?;
                }
                optional(f, "session_expiry", *session_expiry)
            }
            Packet::Auth { reason } => write!(f, " reason={reason:#04x}"),
        }
    }
}

fn write_connect(f: &mut fmt::Formatter<'_>, connect: &Connect) -> fmt::Result {
    let clean = match connect.protocol {
        Protocol::V3 => "clean_session",
        Protocol::V5 => "clean_start",
    };
    write!(f, " protocol={} {clean}={}", connect.protocol, u8::from(connect.clean))?;
    optional(f, "session_expiry", connect.session_expiry)?;
    optional(f, "receive_maximum", connect.receive_maximum)?;
    optional(f, "maximum_packet_size", connect.maximum_packet_size)?;
    optional(f, "topic_alias_maximum", connect.topic_alias_maximum)?;
    write!(f, " keep_alive={} client_id={}", connect.keep_alive, Escaped(connect.client_id.as_bytes()))?;
    let Some(will) = &connect.will else { return Ok(()) };
    write!(f, " will_topic={} will_qos={}", Escaped(will.topic.as_bytes()), will.qos)?;
    write!(f, " will_retain={}", u8::from(will.retain))?;
    optional(f, "will_delay", will.delay)?;
    write!(f, " will_payload={}", Escaped(&will.payload))
}

/// ` key=value`, or nothing.
fn optional(f: &mut fmt::Formatter<'_>, key: &str, value: Option<impl fmt::Display>) -> fmt::Result {
    value.map_or(Ok(()), |value| write!(f, " {key}={value}"))
}

fn write_publish(f: &mut fmt::Formatter<'_>, publish: &Publish) -> fmt::Result {
    write!(f, " topic={} qos={}", Escaped(publish.topic.as_bytes()), publish.qos)?;
    write!(f, " retain={} dup={}", u8::from(publish.retain), u8::from(publish.dup))?;
    if publish.qos > 0 {
        write!(f, " id={}", publish.id)?;
    }
    let properties = &publish.properties;
    optional(f, "payload_format", properties.payload_format)?;
    optional(f, "message_expiry", properties.message_expiry)?;
    optional(f, "topic_alias", properties.topic_alias)?;
    optional(f, "content_type", properties.content_type.as_ref().map(|text| Escaped(text.as_bytes())))?;
    optional(f, "response_topic", properties.response_topic.as_ref().map(|text| Escaped(text.as_bytes())))?;
    optional(f, "correlation_data", properties.correlation_data.as_ref().map(|data| Escaped(data)))?;
    for (key, value) in &properties.user {
        write!(f, " user_key={} user_value={}", Escaped(key.as_bytes()), Escaped(value.as_bytes()))?;
    }
    properties.subscription_ids.iter().try_for_each(|id| write!(f, " subscription_id={id}"))?;
    write!(f, " payload={}", Escaped(&publish.payload))
}

fn write_filter(f: &mut fmt::Formatter<'_>, filter: &Filter) -> fmt::Result {
    write!(f, " filter={} qos={}", Escaped(filter.filter.as_bytes()), filter.qos)?;
    // An option of a filter is joined to its QoS, so that each pair stays with its filter.
    if filter.no_local {
        f.write_str(",no_local")?;
    }
    if filter.retain_as_published {
        f.write_str(",retain_as_published")?;
    }
    match filter.retain_handling {
        0 => Ok(()),
        handling => write!(f, ",retain_handling={handling}"),
    }
}

fn write_connack(f: &mut fmt::Formatter<'_>, connack: &Connack) -> fmt::Result {
    write!(f, " session_present={} code={:#04x}", u8::from(connack.session_present), connack.code)?;
    optional(f, "session_expiry", connack.session_expiry)?;
    optional(f, "receive_maximum", connack.receive_maximum)?;
    optional(f, "maximum_qos", connack.maximum_qos)?;
    optional(f, "retain_available", connack.retain_available.map(u8::from))?;
    optional(f, "assigned_client_id", connack.assigned_client_id.as_ref().map(|id| Escaped(id.as_bytes())))?;
    optional(f, "server_keep_alive", connack.server_keep_alive)?;
    optional(f, "maximum_packet_size", connack.maximum_packet_size)?;
    optional(f, "topic_alias_maximum", connack.topic_alias_maximum)?;
    optional(f, "wildcards_available", connack.wildcards_available.map(u8::from))?;
    optional(f, "subscription_ids_available", connack.subscription_ids_available.map(u8::from))?;
    optional(f, "shared_available", connack.shared_available.map(u8::from))?;
    optional(f, "authentication_method", connack.authentication_method.as_ref().map(|name| Escaped(name.as_bytes())))
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Excess::Packet(bytes) => write!(f, "a packet of {bytes} bytes"),
            Excess::Packets(count) => write!(f, "{count} packets"),
            Excess::Copies(count) => write!(f, "{count} copies"),
        }
    }
}

/// Bytes as visible ASCII without blanks: everything else, and the percent sign, as `%XX`.
struct Escaped<'a>(&'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| match byte {
            b'!'..=b'~' if *byte != b'%' => write!(f, "{}", char::from(*byte)),
            byte => write!(f, "%{byte:02x}"),
        })
    }
}

/// Words at the end of a line: what a terminal would act on, and the percent sign, as `%XX`.
struct Free<'a>(&'a str);

impl fmt::Display for Free<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            character if is_hidden(character) || character == '%' => {
                character.encode_utf8(&mut [0; 4]).bytes().try_for_each(|byte| write!(f, "%{byte:02x}"))
            }
            character => write!(f, "{character}"),
        })
    }
}
