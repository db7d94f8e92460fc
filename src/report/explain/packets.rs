//! Packets and other events in the standard's words, one line each.

use crate::history::{Event, Message, Turn};
use crate::packet::{Ack, Connack, Connect, Filter, Packet, Protocol, Publish};
use crate::vocabulary::Ending;

/// What an event is, without its client.
pub(super) fn said(event: &Event) -> String {
    match event {
        Event::Sent(_, packet) | Event::Received(_, packet) => self::packet(packet),
        Event::Half(_, packet) => format!("the first half of {}", self::packet(packet)),
        Event::Ended(_, end) | Event::Closed(_, end) => format!("end of the Network Connection ({})", end.sign()),
        Event::Undecodable(_, bytes, _) => format!("{} bytes that are no packet", bytes.len()),
        Event::Missing(_, awaited) => match awaited.id() {
            Some(id) => format!("no {} with Packet Identifier {id} before the deadline", awaited.name()),
            None => format!("no {} before the deadline", awaited.name()),
        },
        Event::AtNode(_, node) => format!("a Network Connection to node {node}"),
        Event::Unreachable(_) => "no Network Connection can be opened".into(),
        Event::Settled(_) => "nothing more for one settle window".into(),
        Event::Timed { timer, seconds, passed, .. } => {
            let passed = if *passed { "have passed" } else { "have not passed" };
            format!("{}: {seconds} s {passed}, by the clock", timer.name().replace('_', " "))
        }
        Event::Withheld(_, what) => format!("not sent, since CONNACK rules it out: {what}"),
        Event::WithoutEnd(_, what) => format!("the broker sends without end: {what}"),
        Event::Broker(turn, node) => {
            let what = node.map_or("the broker".to_owned(), |node| format!("node {node} of the broker"));
            match turn {
                Turn::Ended(Ending::Stop) => format!("{what} has stopped, as it was asked to (SIGTERM)"),
                Turn::Ended(Ending::Kill) => format!("{what} was killed (SIGKILL)"),
                Turn::CutOff => format!("{what} is cut off from the others; its clients are not"),
                Turn::Joined => format!("{what} reaches the others again, and what is published at each comes to each"),
                Turn::Started => format!("{what} was started again, and lets clients in"),
            }
        }
        Event::Late(milliseconds) => format!("the harness was held up for {milliseconds} ms"),
        Event::Broken(why) => format!("broken off: {why}"),
        Event::Stopped => "the steps that follow are not played".into(),
        // These two are headings.
        Event::Attempt(_) | Event::Step(_) => String::new(),
    }
}

fn packet(packet: &Packet) -> String {
    let name = packet.name();
    let details: Vec<String> = match packet {
        Packet::Connect(packet) => connect(packet),
        Packet::Connack(packet) => connack(packet),
        Packet::Publish(packet) => publish(packet),
        Packet::Ack(Ack { id, reason: 0, .. }) => vec![identifier(*id)],
        Packet::Ack(Ack { id, reason, .. }) => vec![identifier(*id), format!("Reason Code {reason:#04x}")],
        Packet::Subscribe(packet) => {
            let mut details = vec![identifier(packet.id)];
            details.extend(packet.subscription_id.map(|id| format!("Subscription Identifier {id}")));
            details.extend(packet.filters.iter().map(filter));
            details
        }
        Packet::Suback(packet) => {
            let mut details = vec![identifier(packet.id)];
            details.extend(packet.codes.iter().map(|code| match code {
                0..=2 => format!("granted QoS {code}"),
                code => format!("refused with {code:#04x}"),
            }));
            details
        }
        Packet::Unsubscribe(packet) => {
            let mut details = vec![identifier(packet.id)];
            details.extend(packet.filters.iter().map(|filter| format!("filter {filter}")));
            details
        }
        Packet::Unsuback(packet) => {
            let mut details = vec![identifier(packet.id)];
            details.extend(packet.codes.iter().map(|code| format!("Reason Code {code:#04x}")));
            details
        }
        Packet::Pingreq | Packet::Pingresp => Vec::new(),
        Packet::Disconnect { reason, session_expiry } => {
            let mut details: Vec<String> =
                (*reason != 0).then(|| format!("Reason Code {reason:#04x}")).into_iter().collect();
            details.extend(session_expiry.map(|seconds| format!("Session Expiry Interval {seconds} s")));
            details
        }
        Packet::Auth { reason } => vec![format!("Reason Code {reason:#04x}")],
    };
    match details.is_empty() {
        true => name.into(),
        false => format!("{name}: {}", details.join(", ")),
    }
}

fn identifier(id: u16) -> String {
    format!("id {id}")
}

fn connect(connect: &Connect) -> Vec<String> {
    let clean = match connect.protocol {
        Protocol::V3 => "Clean Session",
        Protocol::V5 => "Clean Start",
    };
    let mut details = vec![format!("MQTT {}", connect.protocol), format!("{clean} {}", u8::from(connect.clean))];
    details.extend(connect.session_expiry.map(|seconds| format!("Session Expiry Interval {seconds} s")));
    details.extend(connect.receive_maximum.map(|most| format!("Receive Maximum {most}")));
    details.extend(connect.maximum_packet_size.map(|most| format!("Maximum Packet Size {most}")));
    details.extend(connect.topic_alias_maximum.map(|most| format!("Topic Alias Maximum {most}")));
    details.push(format!("Keep Alive {} s", connect.keep_alive));
    details.push(match connect.client_id.as_str() {
        "" => "no Client Identifier".into(),
        id => format!("Client Identifier {id}"),
    });
    if let Some(will) = &connect.will {
        let payload = String::from_utf8_lossy(&will.payload);
        details.push(format!("Will {payload} on {} at Will QoS {}", will.topic, will.qos));
        details.push(format!("Will Retain {}", u8::from(will.retain)));
        details.extend(will.delay.map(|seconds| format!("Will Delay Interval {seconds} s")));
    }
    details
}

fn connack(connack: &Connack) -> Vec<String> {
    let mut details = vec![format!("Session Present {}", u8::from(connack.session_present))];
    details.push(format!("code {:#04x}", connack.code));
    details.extend(connack.session_expiry.map(|seconds| format!("Session Expiry Interval {seconds} s")));
    details.extend(connack.receive_maximum.map(|most| format!("Receive Maximum {most}")));
    details.extend(connack.maximum_qos.map(|most| format!("Maximum QoS {most}")));
    details.extend(connack.retain_available.map(|there| format!("Retain Available {}", u8::from(there))));
    details.extend(connack.assigned_client_id.as_ref().map(|id| format!("Assigned Client Identifier {id}")));
    details.extend(connack.server_keep_alive.map(|seconds| format!("Server Keep Alive {seconds} s")));
    details.extend(connack.maximum_packet_size.map(|most| format!("Maximum Packet Size {most}")));
    details.extend(connack.topic_alias_maximum.map(|most| format!("Topic Alias Maximum {most}")));
    details.extend(connack.authentication_method.as_ref().map(|name| format!("Authentication Method {name}")));
    for (name, there) in [
        ("Wildcard Subscription Available", connack.wildcards_available),
        ("Subscription Identifier Available", connack.subscription_ids_available),
        ("Shared Subscription Available", connack.shared_available),
    ] {
        details.extend(there.map(|there| format!("{name} {}", u8::from(there))));
    }
    details
}

fn publish(publish: &Publish) -> Vec<String> {
    let what = match (Message::of(&publish.payload), publish.payload.is_empty()) {
        (Some(message), _) => message.to_string(),
        (None, true) => "a payload of zero bytes".into(),
        (None, false) => String::from_utf8_lossy(&publish.payload).into_owned(),
    };
    let topic = if publish.topic.is_empty() { "no topic".into() } else { format!("on {}", publish.topic) };
    let mut details = vec![format!("{what} {topic}"), format!("QoS {}", publish.qos)];
    details.push(format!("RETAIN {}", u8::from(publish.retain)));
    details.push(format!("DUP {}", u8::from(publish.dup)));
    if publish.qos > 0 {
        details.push(identifier(publish.id));
    }
    let properties = &publish.properties;
    details.extend(Message::bytes_filled(&publish.payload).map(|bytes| format!("filled up to {bytes} bytes")));
    details.extend(properties.message_expiry.map(|seconds| format!("Message Expiry Interval {seconds} s")));
    details.extend(properties.topic_alias.map(|alias| format!("Topic Alias {alias}")));
    details.extend(properties.payload_format.map(|format| format!("Payload Format Indicator {format}")));
    details.extend(properties.content_type.as_ref().map(|text| format!("Content Type {text}")));
    details.extend(properties.response_topic.as_ref().map(|text| format!("Response Topic {text}")));
    let data = properties.correlation_data.as_ref();
    details.extend(data.map(|data| format!("Correlation Data {}", String::from_utf8_lossy(data))));
    details.extend(properties.user.iter().map(|(key, value)| format!("User Property {key}={value}")));
    details.extend(properties.subscription_ids.iter().map(|id| format!("Subscription Identifier {id}")));
    details
}

fn filter(filter: &Filter) -> String {
    let mut text = format!("filter {} at QoS {}", filter.filter, filter.qos);
    if filter.no_local {
        text += " with No Local";
    }
    if filter.retain_as_published {
        text += " with Retain As Published";
    }
    if filter.retain_handling > 0 {
        text += &format!(" with Retain Handling {}", filter.retain_handling);
    }
    text
}
