//! An event in a few words, for an arrow of the sequence diagram.

use crate::history::{Event, Message, Turn};
use crate::packet::{Packet, Publish};

/// The words; what the diagram does not show has none.
pub fn label(event: &Event) -> String {
    match event {
        Event::Sent(_, packet) | Event::Received(_, packet) => self::packet(packet),
        Event::Half(_, packet) => format!("half of {}", packet.name()),
        Event::Ended(_, end) | Event::Closed(_, end) => format!("end ({})", end.sign()),
        Event::Undecodable(..) => "no packet".into(),
        Event::Missing(_, awaited) => format!("no {}", awaited.name()),
        Event::AtNode(_, node) => format!("to node {node}"),
        Event::Unreachable(_) => "no connection".into(),
        Event::Settled(_) => "settle window: nothing more".into(),
        Event::Timed { seconds, passed, .. } => {
            format!("{seconds} s {}", if *passed { "have passed" } else { "have not passed" })
        }
        Event::Withheld(..) => "not sent".into(),
        Event::WithoutEnd(..) => "too much".into(),
        Event::Broker(Turn::Ended(_), _) => "ended".into(),
        Event::Broker(Turn::Started, _) => "started".into(),
        Event::Broker(Turn::CutOff, _) => "cut off".into(),
        Event::Broker(Turn::Joined, _) => "joined".into(),
        Event::Step(step) => step.clone(),
        Event::Late(_) | Event::Broken(_) | Event::Stopped | Event::Attempt(_) => String::new(),
    }
}

fn packet(packet: &Packet) -> String {
    let name = packet.name();
    match packet {
        Packet::Connect(connect) => format!("{name} clean {}", u8::from(connect.clean)),
        Packet::Connack(connack) if connack.code == 0 => {
            format!("{name} session present {}", u8::from(connack.session_present))
        }
        Packet::Connack(connack) => format!("{name} {:#04x}", connack.code),
        Packet::Publish(publish) => self::publish(publish),
        Packet::Ack(ack) => format!("{name} {}", ack.id),
        Packet::Subscribe(subscribe) => {
            let filters: Vec<&str> = subscribe.filters.iter().map(|filter| filter.filter.as_str()).collect();
            format!("{name} {}", filters.join(" "))
        }
        Packet::Unsubscribe(unsubscribe) => {
            let filters: Vec<&str> = unsubscribe.filters.iter().map(|filter| &**filter).collect();
            format!("{name} {}", filters.join(" "))
        }
        Packet::Suback(suback) => {
            let codes: Vec<String> = suback.codes.iter().map(|code| format!("{code:#04x}")).collect();
            format!("{name} {}", codes.join(" "))
        }
        _ => name.into(),
    }
}

/// `PUBLISH m1 QoS 1 DUP`: flags that are 0 are left out.
fn publish(publish: &Publish) -> String {
    let what = Message::of(&publish.payload).map(|message| format!(" {message}")).unwrap_or_default();
    let retain = if publish.retain { " RETAIN" } else { "" };
    let dup = if publish.dup { " DUP" } else { "" };
    format!("PUBLISH{what} QoS {}{retain}{dup}", publish.qos)
}
