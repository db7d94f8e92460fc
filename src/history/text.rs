//! The one-line text form of an event, written and read.
//!
//! `subscriber -> PUBLISH ...` was sent by the client, `subscriber <- ...` was received by it, `subscriber -- ...` is
//! what the harness observed of it. Values are `key=value`; bytes that would break the line are written `%XX`.

mod parse;
#[cfg(test)]
mod tests;

use std::fmt;

pub use parse::parse;

use super::{Awaited, Event};
use crate::connection::End;
use crate::packet::{
    Ack, Connack, Connect, Filter, Packet, Protocol, Publish, Suback, Subscribe, Unsuback, Unsubscribe,
};

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Attempt(number) => write!(f, "attempt {number}"),
            Event::Step(step) => write!(f, "step {step}"),
            Event::Sent(client, packet) => write!(f, "{client} -> {packet}"),
            Event::Half(client, packet) => write!(f, "{client} -> half of {packet}"),
            Event::Received(client, packet) => write!(f, "{client} <- {packet}"),
            Event::Ended(client, End::Fin) => write!(f, "{client} <- end fin"),
            Event::Ended(client, End::Reset) => write!(f, "{client} <- end reset"),
            Event::Closed(client, End::Fin) => write!(f, "{client} -> end fin"),
            Event::Closed(client, End::Reset) => write!(f, "{client} -> end reset"),
            Event::Undecodable(client, bytes) => {
                write!(f, "{client} <- undecodable ")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Event::Missing(client, Awaited { packet, id: Some(id) }) => write!(f, "{client} -- no {packet} id={id}"),
            Event::Missing(client, Awaited { packet, id: None }) => write!(f, "{client} -- no {packet}"),
            Event::Unreachable(client) => write!(f, "{client} -- no connection"),
            Event::Settled(client) => write!(f, "{client} -- settled"),
            Event::Timed { client, timer, seconds, passed } => {
                let passed = if *passed { "passed" } else { "not passed" };
                write!(f, "{client} -- {} {seconds} s: {passed}", timer.name())
            }
            Event::Withheld(client, what) => write!(f, "{client} -- withheld {what}"),
            Event::Stopped => f.write_str("stopped"),
            Event::Broken(why) => write!(f, "broken off: {}", why.replace(['\n', '\r'], " ")),
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
    optional(f, "shared_available", connack.shared_available.map(u8::from))
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
